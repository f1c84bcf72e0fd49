// loss.cu - cross entropy with its gradient, and softmax, over rows of up to millions of classes: a block per row, three
// passes over it (largest, sum, result). The other classification losses: a warp per row, since classes are few.
#include "device.cuh"

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
    // In double, by one thread: near p = 1 the digits are in the rest.
    const double power = exp((double)own - (double)largest);
    p.losses[row] = -((double)own - (double)largest - log(power + (double)rest));
    *factor = (float)(1.0 * p.scale * p.state->loss_scale);
  }
  if (!p.dlogits) return;
  kc_sync();
  const float sum = expf(own - largest) + rest, miss = rest / sum, f = *factor;
  for (unsigned j = threadIdx.x; j < p.classes; j += blockDim.x) { // dlogits may be the logits: each element once
    p.dlogits[at + j] = j == (unsigned)label ? -f * miss : f * (expf(x[j] - largest) / sum);
  }
}

// The softmax of factor * (x[j] - [j is marked] margin), so that neither p near 1 nor 1 - p near 0 loses its digits.
struct softmax_row {
  const float *x;
  unsigned marked, top;
  double factor, margin, largest, rest, log_sum; // rest: sum of e^(. - largest) without the top class
};

KC_DEVICE double scaled(const softmax_row &r, unsigned j) {
  return r.factor * ((double)r.x[j] - (j == r.marked ? r.margin : 0.0));
}

// Whole warp. The top class is found in fp32: one of several that are equal so far serves as well as the largest.
KC_DEVICE softmax_row softmax_of(const float *x, unsigned classes, double factor, unsigned marked, double margin) {
  softmax_row r = {x, marked, 0, factor, margin, 0, 0, 0};
  float largest = (float)scaled(r, 0);
  for (unsigned j = kc_lane(); j < classes; j += 32) largest = fmaxf(largest, (float)scaled(r, j));
  largest = kc_warp_max(largest);
  float place = 1.0f - (float)classes; // minus the first top class
  for (unsigned j = kc_lane(); j < classes; j += 32)
    if ((float)scaled(r, j) == largest) place = fmaxf(place, -(float)j);
  r.top = (unsigned)-kc_warp_max(place);
  r.largest = scaled(r, r.top);
  double rest = 0;
  for (unsigned j = kc_lane(); j < classes; j += 32)
    if (j != r.top) rest += exp(scaled(r, j) - r.largest);
  r.rest = kc_warp_sum(rest);
  r.log_sum = log1p(r.rest);
  return r;
}

KC_DEVICE double log_p(const softmax_row &r, unsigned j) { return scaled(r, j) - r.largest - r.log_sum; }
KC_DEVICE double p_of(const softmax_row &r, unsigned j) {
  return (j == r.top ? 1.0 : exp(scaled(r, j) - r.largest)) / (1.0 + r.rest);
}
KC_DEVICE double miss_of(const softmax_row &r, unsigned j) {
  return j == r.top ? r.rest / (1.0 + r.rest) : 1.0 - p_of(r, j);
}

// One class's part of the hard loss, c (1 - p)^gamma (-log p); slope: minus its derivative by log p.
struct hard_part {
  double value, slope;
};

KC_DEVICE hard_part hard_part_of(const kc_classification_loss_parameters &p, const softmax_row &r, unsigned j) {
  const double c = (j == r.marked ? p.on_target : p.off_target) * (p.weights ? (double)p.weights[j] : 1.0);
  if (c == 0) return {0, 0}; // not 0 times infinity
  const double lp = log_p(r, j);
  if (p.gamma == 0) return {-c * lp, c};
  const double miss = miss_of(r, j), chance = p_of(r, j), power = pow(miss, p.gamma);
  double slope = power;
  // -log p / (1 - p) is 1 where p is 1.
  if (!p.detached && chance > 0) slope += p.gamma * chance * power * (miss > 0 ? -lp / miss : 1.0);
  return {-c * power * lp, c * slope};
}

KC_KERNEL(32, 8, kc_classification_loss, kc_classification_loss_parameters) {
  const unsigned row = blockIdx.x, other_row = row ^ 1u, classes = p.classes;
  const kc_u64 at = (kc_u64)row * classes;
  const int label = p.labels[row];
  if (label < 0 || (unsigned)label >= classes) { // no label: no part in the loss
    if (threadIdx.x == 0) p.losses[row] = 0;
    for (unsigned j = kc_lane(); p.dlogits && j < classes; j += 32) p.dlogits[at + j] = 0;
    return;
  }
  const float *x = p.logits + at, *teacher = p.soft != 0 && p.teacher ? p.teacher + at : nullptr;
  const bool agrees = p.agreement != 0 && other_row < p.rows;
  softmax_row hard = {}, soft = {}, own = {}, other = {};
  double value = 0, slopes = 0, total = 0, kl = 0;
  if (p.hard != 0) {
    hard = softmax_of(x, classes, p.sharpness, (unsigned)label, p.margins ? (double)p.margins[label] : 0.0);
    double sum = 0;
    for (unsigned j = kc_lane(); j < classes; j += 32) {
      const hard_part one = hard_part_of(p, hard, j);
      sum += one.value;
      slopes += one.slope;
    }
    slopes = kc_warp_sum(slopes);
    value += p.hard * kc_warp_sum(sum);
  }
  if (teacher) { // KL(teacher || softmax)
    soft = softmax_of(x, classes, 1.0 / p.temperature, ~0u, 0);
    double sum = 0;
    for (unsigned j = kc_lane(); j < classes; j += 32) {
      const double t = teacher[j];
      if (t == 0) continue;
      sum += t * (log(t) - log_p(soft, j));
      total += t;
    }
    total = kc_warp_sum(total);
    value += p.soft * kc_warp_sum(sum);
  }
  if (agrees) { // KL(own || other), and that with KL(other || own); a class that neither gives a chance counts nothing
    own = softmax_of(x, classes, 1, ~0u, 0);
    other = softmax_of(p.logits + (kc_u64)other_row * classes, classes, 1, ~0u, 0);
    double both = 0;
    for (unsigned j = kc_lane(); j < classes; j += 32) {
      const double a = p_of(own, j), b = p_of(other, j);
      if (a == 0 && b == 0) continue;
      const double difference = log_p(own, j) - log_p(other, j);
      kl += a * difference;
      both += (a - b) * difference;
    }
    kl = kc_warp_sum(kl);
    value += p.agreement * 0.25 * kc_warp_sum(both); // half of the pair's (KL + KL) / 2
  }
  if (threadIdx.x == 0) p.losses[row] = value;
  if (!p.dlogits) return;
  const double scale = (double)p.scale * p.state->loss_scale;
  for (unsigned j = kc_lane(); j < classes; j += 32) {
    double d = 0;
    if (p.hard != 0) {
      const double slope = hard_part_of(p, hard, j).slope;
      d += p.hard * p.sharpness * (p_of(hard, j) * (slopes - slope) - miss_of(hard, j) * slope);
    }
    if (teacher) d += p.soft / p.temperature * (p_of(soft, j) * total - (double)teacher[j]);
    if (agrees) {
      const double a = p_of(own, j), b = p_of(other, j);
      if (a != 0 || b != 0) d += p.agreement * 0.5 * (a * (log_p(own, j) - log_p(other, j) - kl) + (a - b));
    }
    p.dlogits[at + j] = (float)(scale * d);
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
