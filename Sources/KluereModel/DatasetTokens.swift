package import KluereBase
package import KluereData
package import KluereText

/// What a tokenizer makes of a dataset's rows.
package enum DatasetTokens {
  /// Per row the tokens of the sentence, special tokens included.
  package static func lengths(_ dataset: Dataset, _ tokenizer: Tokenizer) throws(KluereError) -> [Int32] {
    var tokens: [Token] = []
    let added = tokenizer.template.single.count - 1
    return try (0..<dataset.count).map { row throws(KluereError) in
      tokens.removeAll(keepingCapacity: true)
      try tokenizer.tokenize(dataset.example(row).text, allowSpecial: false, into: &tokens)
      return Int32(clamping: tokens.count + added)
    }
  }

  /// How long each row's input is in an input form, and where the tokenizer does not know an entity.
  package static func inputs(
    _ dataset: Dataset, _ tokenizer: Tokenizer, form: InputForm, maxTokens: Int
  ) throws(KluereError) -> InputFacts {
    var configuration = ModelConfiguration()
    configuration.inputForm = form
    configuration.maxTokens = maxTokens
    let tokens = try configuration.parsedTemplate().addedTokens
    let encoder = try InputEncoder(try tokenizer.with(specialTokens: tokens), configuration)
    var scratch = InputEncoder.Scratch()
    var encoded = EncodedExample()
    var facts = InputFacts(tokenCounts: [], limit: maxTokens, unknownEntities: [])
    for row in 0..<dataset.count {
      let example = dataset.example(row)
      try encoder.encode(example, &scratch, into: &encoded)
      facts.tokenCounts.append(Int32(clamping: encoded.count + encoded.croppedCount))
      var unknown: UInt8 = 0
      for place in 0..<encoded.count where encoded.ids[place] == tokenizer.unknownID && encoded.sequences[place] == 0 {
        let (begin, end) = (encoded.begins[place], encoded.ends[place])
        if begin < example.subject.end, end > example.subject.begin { unknown |= 1 }
        if begin < example.object.end, end > example.object.begin { unknown |= 2 }
      }
      facts.unknownEntities.append(unknown)
    }
    return facts
  }
}
