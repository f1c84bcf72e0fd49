import KluereBase
import KluereCompute
import KluereData
import KluereModel
import KluereText
import Testing

/// The example of docs/input_forms.md with the pieces of klue/roberta that it needs.
let formPieces =
  ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"] + "@*#^$.?()[]-{}!".map(String.init)
  + ["솔", "##가", "##람", "늘", "##봄", "##시", "##은", "은", "는", "##는", "##에서", "에서", "태어났", "##다", "와", "과", "##와", "##과"]
  + ["의", "##의", "인", "관계", "무엇", "##인", "사이", "##이다", "사람", "단체", "위치", "장소", "날짜", "수량", "기타", "인물"]
  + ["person", "l", "##oc", "##ation", "이", "가", "을", "를", "로", "으로", "나", "이나", "아", "야", "며", "이며", "라는", "이라는"]

let formSentence = "솔가람은 늘봄시에서 태어났다."
/// Its tokens without markers.
let formTokens = "솔 ##가 ##람 ##은 늘 ##봄 ##시 ##에서 태어났 ##다 ."

func makeFormModel(
  _ context: Context, _ change: (inout ModelConfiguration) -> Void = { _ in }
) throws -> Model {
  var tokenizer = TokenizerConfiguration()
  tokenizer.doLowerCase = false
  var configuration = ModelConfiguration()
  configuration.hiddenSize = 4
  configuration.layerCount = 1
  configuration.headCount = 1
  configuration.intermediateSize = 4
  configuration.maxPositions = 128
  configuration.maxTokens = 128
  configuration.head = .entityStart  // some forms need one that reads entities
  change(&configuration)
  return try Model.create(
    context: context,
    tokenizer: try Tokenizer(
      vocabulary: Array((formPieces.joined(separator: "\n") + "\n").utf8), configuration: tokenizer),
    configuration: configuration, labels: try LabelSet(["no_relation", "a"]), seed: 1)
}

func encodeForm(_ model: Model, _ example: ExampleView) -> EncodedExample {
  var scratch = InputEncoder.Scratch()
  var encoded = EncodedExample()
  do { try model.encode(example, &scratch, into: &encoded) } catch { Issue.record(error) }
  return encoded
}

func tokenNames(_ model: Model, _ ids: some Sequence<Int32>) -> [String] {
  ids.map { model.tokenizer.token($0) ?? "?" }
}

/// Tokens between [CLS] and the [SEP] at the end; those of markers beside the text with it.
func innerTokens(_ model: Model, _ encoded: EncodedExample) -> String {
  let tokens = tokenNames(model, encoded.ids.dropFirst())
  return (tokens.last == "[SEP]" ? tokens.dropLast() : tokens[...]).joined(separator: " ")
}
