// loss.cu - cross entropy and focal loss with their gradient, and softmax, over rows of up to millions of classes: a
// block per row, three passes over it (largest, sum, result).
#include "device.cuh"

// What the row's gradient is: factor * (p_j - [j is the label]).
struct row_loss {
  double loss;
  double factor;
};

// largest, own: logits; rest: sum of e^(x - largest) over the classes that are not the label. Loss -w (1 - p)^gamma log
// p has the gradient w ((1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p) (p_j - [j is the label]). In double, by one
// thread: near p = 1 and p = 0 both factors of the products vanish or grow without bound.
KC_DEVICE row_loss focal_loss(double largest, double own, double rest, double gamma, double weight) {
  const double power = exp(own - largest), sum = power + rest;
  const double log_p = own - largest - log(sum), p = power / sum, miss = rest / sum; // miss = 1 - p, but exact near 0
  if (gamma == 0) return {-weight * log_p, weight};
  // -log p / (1 - p) is 1 where p is 1.
  const double scaled = pow(miss, gamma), ratio = miss > 0 ? -log_p / miss : 1.0;
  return {-weight * scaled * log_p, weight * (scaled + gamma * p * scaled * ratio)};
}

KC_DEVICE float row_largest(const float *x, unsigned classes, float *parts) {
  float largest = x[0];
  for (unsigned j = threadIdx.x; j < classes; j += blockDim.x) largest = fmaxf(largest, x[j]);
  return kc_block_max(largest, parts);
}

KC_KERNEL(256, 4, kc_cross_entropy_f32, kc_cross_entropy_parameters) {
  KC_SHARED(float, maxima, 32);
  KC_SHARED(float, sums, 32);
  KC_SHARED(float, factor, 1);
  const kc_u64 row = blockIdx.x, at = row * p.classes;
  const int label = p.labels[row];
  const float *x = p.logits + at;
  if (label < 0 || (unsigned)label >= p.classes) { // no label: no part in the loss
    if (threadIdx.x == 0) p.losses[row] = 0;
    for (unsigned j = threadIdx.x; p.dlogits && j < p.classes; j += blockDim.x) p.dlogits[at + j] = 0;
    return;
  }
  const float own = x[label], largest = row_largest(x, p.classes, maxima);
  float rest = 0;
  for (unsigned j = threadIdx.x; j < p.classes; j += blockDim.x)
    rest += j == (unsigned)label ? 0.0f : expf(x[j] - largest);
  rest = kc_warps_sum(rest, sums, blockDim.x / 32);
  if (threadIdx.x == 0) {
    const row_loss r = focal_loss(largest, own, rest, p.gamma, p.weight ? p.weight[label] : 1.0f);
    p.losses[row] = r.loss;
    *factor = (float)(r.factor * p.scale * p.state->loss_scale);
  }
  if (!p.dlogits) return;
  kc_sync();
  const float sum = expf(own - largest) + rest, miss = rest / sum, f = *factor;
  for (unsigned j = threadIdx.x; j < p.classes; j += blockDim.x) { // dlogits may be the logits: each element once
    p.dlogits[at + j] = j == (unsigned)label ? -f * miss : f * (expf(x[j] - largest) / sum);
  }
}

// One block. A thread adds every 256th row, then one adds the threads' sums.
KC_KERNEL(256, 1, kc_sum_losses, kc_sum_losses_parameters) {
  KC_SHARED(double, parts, 32);
  double sum = 0;
  for (kc_u64 row = threadIdx.x; row < p.rows; row += blockDim.x) sum += p.losses[row];
  sum = kc_warps_sum(sum, parts, blockDim.x / 32);
  if (threadIdx.x == 0) p.state->loss_sum += sum;
}

KC_KERNEL(256, 4, kc_softmax_f32, kc_softmax_parameters) {
  KC_SHARED(float, maxima, 32);
  KC_SHARED(float, sums, 32);
  const kc_u64 at = (kc_u64)blockIdx.x * p.classes;
  const float *x = p.x + at;
  const float largest = row_largest(x, p.classes, maxima);
  float sum = 0;
  for (unsigned j = threadIdx.x; j < p.classes; j += blockDim.x) sum += expf(x[j] - largest);
  const float factor = 1.0f / kc_warps_sum(sum, sums, blockDim.x / 32);
  for (unsigned j = threadIdx.x; j < p.classes; j += blockDim.x) p.y[at + j] = expf(x[j] - largest) * factor;
}
