package import KluereBase
package import KluereModel

/// How text becomes rows of tokens. The fields are those of kluere_corpus_options.
package struct CorpusOptions: Sendable, Equatable {
  package enum Rows: Int32, Sendable {
    /// A line is a row, or several where it is too long.
    case lines = 0
    /// Lines are laid end to end and cut where a row is full.
    case packed = 1
  }

  package enum BadLines: Int32, Sendable {
    case stop = 0
    case skip = 1
  }

  /// Of a row, special tokens included.
  package var maxTokens = 128
  package var rows = Rows.lines
  package var badLines = BadLines.stop
  /// Of a data set's rows: as a classifier of that form would see them; nil: the sentence alone.
  package var inputForm: InputForm?

  package init() {}

  package func validate() throws(KluereError) {
    guard (8...1 << 20).contains(maxTokens) else {
      throw KluereError(.invalidArgument, "max_tokens: \(maxTokens), expected 8 to \(1 << 20)")
    }
    guard inputForm == nil || rows == .lines else {
      throw KluereError(
        .invalidArgument, "input_form: given with packed rows, which take sentences apart; expected rows by line")
    }
  }
}
