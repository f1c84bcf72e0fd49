package import KluereBase

/// Which tokens a masked-LM is asked for, and what it is shown in their place (Devlin et al. 2019, section 3.1). The fields
/// are those of kluere_masked_lm_options.
package struct MaskingOptions: Sendable, Equatable {
  /// The chance of each token that is not special to be asked for; with `wholeWords`, of each word.
  package var probability = 0.15
  /// Of those: the share that the mask token stands for, and the share with a random piece. The rest is shown as it is.
  package var maskShare = 0.8
  package var randomShare = 0.1
  /// All pieces of a word are asked for, or none.
  package var wholeWords = false
  /// Of the masks that an evaluation uses, always the same ones.
  package var evaluationSeed: UInt64 = 42

  package init() {}

  package func validate() throws(KluereError) {
    guard probability > 0, probability <= 1 else {
      throw KluereError(.invalidArgument, "mask_probability: \(probability), expected more than 0 and at most 1")
    }
    guard maskShare >= 0, maskShare <= 1 else {
      throw KluereError(.invalidArgument, "mask_share: \(maskShare), expected 0 to 1")
    }
    guard randomShare >= 0, randomShare <= 1, maskShare + randomShare <= 1 + 1e-9 else {
      throw KluereError(
        .invalidArgument,
        "random_share: \(randomShare) beside mask_share \(maskShare), expected at least 0 and at most 1 together")
    }
  }
}
