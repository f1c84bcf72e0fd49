extension FixedWidthInteger {
  /// `self * other`, or nil where it does not fit. For sizes that come from files and callers.
  package func product(_ other: Self) -> Self? {
    let (value, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? nil : value
  }

  /// `self + other`, or nil where it does not fit.
  package func sum(_ other: Self) -> Self? {
    let (value, overflow) = addingReportingOverflow(other)
    return overflow ? nil : value
  }
}
