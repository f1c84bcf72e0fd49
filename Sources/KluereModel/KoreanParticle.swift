internal import KluereText

/// A particle with two forms, of which the sound before it chooses: 사람과, 친구와.
enum KoreanParticle: CaseIterable, Sendable {
  case and, topic, subject, object, toward, or, vocative, copula, called

  /// After a final consonant, and after a vowel.
  var forms: (closed: String, open: String) {
    switch self {
    case .and: ("과", "와")
    case .topic: ("은", "는")
    case .subject: ("이", "가")
    case .object: ("을", "를")
    case .toward: ("으로", "로")
    case .or: ("이나", "나")
    case .vocative: ("아", "야")
    case .copula: ("이며", "며")
    case .called: ("이라는", "라는")
    }
  }

  /// "와/과" or "과/와".
  init?(pair: String) {
    let found = KoreanParticle.allCases.first { particle in
      let (closed, open) = particle.forms
      return pair == open + "/" + closed || pair == closed + "/" + open
    }
    guard let found else { return nil }
    self = found
  }

  init?(form: Substring) {
    guard let found = KoreanParticle.allCases.first(where: { $0.forms.closed == form || $0.forms.open == form }) else {
      return nil
    }
    self = found
  }

  /// The form behind `text`; `written` where its sound is not known. 로 follows ㄹ too.
  func form(after text: [UInt8], otherwise written: String) -> String {
    switch FinalSound(of: text) {
    case .vowel: forms.open
    case .rieul: self == .toward ? forms.open : forms.closed
    case .consonant: forms.closed
    case .unknown: written
    }
  }
}

/// How a text ends when it is read aloud.
enum FinalSound: Equatable {
  case vowel, rieul, consonant
  /// Hanja and other scripts.
  case unknown

  /// By the last letter or digit; marks, brackets and spaces behind it are not read. Digits are read one by one (영, 일, 이),
  /// a Latin letter of a word in capitals by its name (엘, 엠), other Latin words as they are mostly written in Hangul.
  init(of text: [UInt8]) {
    var scalars = Array(String(decoding: text, as: Unicode.UTF8.self).unicodeScalars.suffix(64))
    while let last = scalars.last, !last.properties.isAlphabetic, last.properties.numericType == nil {
      scalars.removeLast()
    }
    guard let last = scalars.last else {
      self = .unknown
      return
    }
    switch last.value {
    case 0xAC00...0xD7A3:
      let final = (last.value - 0xAC00) % 28
      self = final == 0 ? .vowel : final == 8 ? .rieul : .consonant
    case 0x30...0x39:
      self =
        [.consonant, .rieul, .vowel, .consonant, .vowel, .vowel, .consonant, .rieul, .rieul, .vowel][
          Int(last.value - 0x30)]
    case 0x41...0x5A, 0x61...0x7A:
      let before = scalars.dropLast().last?.value ?? 0
      self = FinalSound.latin(last.value, before: before)
    default: self = .unknown
    }
  }

  private static func latin(_ letter: UInt32, before: UInt32) -> FinalSound {
    let isCapital = letter <= 0x5A
    switch letter | 0x20 {
    case 0x6C: return .rieul  // l
    case 0x6D, 0x6E: return .consonant  // m, n
    case 0x72: return isCapital ? .rieul : .vowel  // R is 알, -er is 어
    case 0x67: return !isCapital && before | 0x20 == 0x6E ? .consonant : .vowel  // -ng
    case 0x62, 0x63, 0x6B, 0x70, 0x74:  // b, c, k, p, t: 북, 팩, 숍, 넷; their names end in vowels
      return isCapital ? .vowel : .consonant
    default: return .vowel
    }
  }
}
