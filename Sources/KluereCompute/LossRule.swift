/// What a row's loss is made of, H + K + R. With q = onTarget for the label and offTarget for the other classes, and
/// p = softmax(sharpness * (logits - margins[label] at the label)):
///   H = hard * sum over j of weights[j] q_j (1 - p_j)^gamma (-log p_j); detached: (1 - p_j)^gamma has no gradient
///   K = soft * KL(teacher[row] || softmax(logits / temperature))
///   R = agreement * (KL(a || b) + KL(b || a)) / 4, a and b = softmax(logits) of rows 2 i and 2 i + 1, one sentence with
///       two dropouts: the two rows together count the pair once
package struct LossRule {
  /// [classes]; nil: all 1.
  package var weights: ConstantFloats?
  /// [classes]; nil: none.
  package var margins: ConstantFloats?
  /// [rows, classes]
  package var teacher: ConstantFloats?
  package var onTarget = 1.0
  package var offTarget = 0.0
  package var gamma = 0.0
  package var sharpness = 1.0
  package var temperature = 1.0
  package var hard = 1.0
  package var soft = 0.0
  package var agreement = 0.0
  package var isDetached = false

  package init() {}
}
