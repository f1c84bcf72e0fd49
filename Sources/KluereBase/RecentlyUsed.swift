/// Values by key, of which only so many are kept: the one that was not asked for the longest goes first.
package struct RecentlyUsed<Key: Hashable, Value> {
  private struct Entry {
    var value: Value
    var use: UInt64
  }

  private let limit: Int
  private var entries: [Key: Entry] = [:]
  private var uses: UInt64 = 0

  /// `limit`: at least 1.
  package init(limit: Int) { self.limit = max(1, limit) }

  package var count: Int { entries.count }

  /// The value of a key, which was used then.
  package mutating func value(_ key: Key) -> Value? {
    guard let place = entries.index(forKey: key) else { return nil }
    uses &+= 1
    entries.values[place].use = uses
    return entries.values[place].value
  }

  /// Keeps a value, in place of that one which the key has; looks at all entries where one has to go.
  package mutating func keep(_ value: Value, for key: Key) {
    uses &+= 1
    if entries[key] == nil, entries.count >= limit, let oldest = entries.min(by: { $0.value.use < $1.value.use }) {
      entries.removeValue(forKey: oldest.key)
    }
    entries[key] = Entry(value: value, use: uses)
  }

  package mutating func removeAll() { entries.removeAll(keepingCapacity: true) }
}
