// optimizer.cu - one update: the state that lives on the device, the norm of all gradients, the loss scale, AdamW, and
// averages of weights.
#include "device.cuh"

KC_KERNEL(32, 1, kc_update_start, kc_update_start_parameters) {
  if (threadIdx.x != 0) return;
  p.state->loss_sum = 0;
  if (p.begin) return;
  p.state->grad_norm = 0;
  p.state->gradient_scale = 0;
  p.state->skip = 0;
  p.state->loss_scale = p.loss_scale;
  p.state->good_updates = p.good_updates;
}

// Squares in double: neither too large nor too small gradients are lost, and a sum that is not finite means that one of
// them was not.
KC_KERNEL(256, 4, kc_squares, kc_squares_parameters) {
  KC_SHARED(double, parts, 32);
  const kc_u64 begin = blockIdx.x * p.block_count;
  const kc_u64 end = p.count - begin < p.block_count ? p.count : begin + p.block_count;
  double sum = 0;
  for (kc_u64 i = begin + threadIdx.x * 8; i < end; i += blockDim.x * 8) {
    float v[8];
    const unsigned left = end - i < 8 ? (unsigned)(end - i) : 8;
    kc_load8<kc_type_f32>(v, p.x, i, 0, left, p.vectors && left == 8);
    KC_UNROLL
    for (int k = 0; k < 8; k++) sum += (double)v[k] * v[k];
  }
  sum = kc_warps_sum(sum, parts, blockDim.x / 32);
  if (threadIdx.x == 0) p.squares[blockIdx.x] = sum;
}

// As torch.amp.GradScaler: half the scale after an update that was skipped, twice after enough good ones in a row.
KC_DEVICE void adapt_loss_scale(kc_device_state *state, unsigned growth_interval) {
  if (state->skip) {
    state->loss_scale *= 0.5f;
    state->good_updates = 0;
  } else if (++state->good_updates >= growth_interval) {
    const float doubled = state->loss_scale * 2.0f;
    if (isfinite(doubled)) state->loss_scale = doubled;
    state->good_updates = 0;
  }
}

// One block.
KC_KERNEL(256, 1, kc_update_prepare, kc_prepare_parameters) {
  KC_SHARED(double, parts, 32);
  double sum = 0;
  for (unsigned i = threadIdx.x; i < p.blocks; i += blockDim.x) sum += p.squares[i];
  sum = kc_warps_sum(sum, parts, blockDim.x / 32);
  if (threadIdx.x != 0) return;
  kc_device_state *state = p.state;
  const double scale = state->loss_scale, norm = sqrt(sum) / scale;
  const double clip = p.max_norm > 0 ? fmin(1.0, p.max_norm / (norm + 1e-6)) : 1.0;
  state->grad_norm = norm;
  state->gradient_scale = (float)(clip / scale);
  state->skip = isfinite(sum) && isfinite(state->loss_sum) ? 0 : 1;
  if (p.dynamic) adapt_loss_scale(state, p.growth_interval);
}

// T: the type of the 16-bit copy.
template <class T>
KC_DEVICE void adamw(const kc_adamw_parameters &p) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0 || p.state->skip) return;
  const float scale = p.state->gradient_scale;
  float w[8], m[8], v[8], g[8];
  kc_load8<kc_type_f32>(w, p.w, span.first, 0, span.left, span.vectors);
  kc_load8<kc_type_f32>(m, p.m, span.first, 0, span.left, span.vectors);
  kc_load8<kc_type_f32>(v, p.v, span.first, 0, span.left, span.vectors);
  kc_load8<kc_type_f32>(g, p.gradient, span.first, 0, span.left, span.vectors);
  KC_UNROLL
  for (int i = 0; i < 8; i++) {
    const float gradient = g[i] * scale;
    m[i] = m[i] * p.beta1 + gradient * p.rest1;
    v[i] = v[i] * p.beta2 + gradient * gradient * p.rest2;
    w[i] = w[i] * p.decay - m[i] * p.step / (sqrtf(v[i]) * p.root + p.epsilon);
  }
  kc_store8<kc_type_f32>(p.w, span.first, 0, span.left, span.vectors, w);
  kc_store8<kc_type_f32>(p.m, span.first, 0, span.left, span.vectors, m);
  kc_store8<kc_type_f32>(p.v, span.first, 0, span.left, span.vectors, v);
  if (p.half) kc_store8<T>(p.half, span.first, 0, span.left, span.vectors, w);
}
KC_KERNEL(256, 3, kc_adamw_f32, kc_adamw_parameters) { adamw<kc_type_f32>(p); }
KC_KERNEL(256, 3, kc_adamw_f16, kc_adamw_parameters) { adamw<kc_type_f16>(p); }
#ifdef KC_HAS_BF16
KC_KERNEL(256, 3, kc_adamw_bf16, kc_adamw_parameters) { adamw<kc_type_bf16>(p); }
#endif

// From the nearer end, as torch.lerp: weight 1 gives x to the bit.
KC_KERNEL(256, 4, kc_lerp_f32, kc_lerp_parameters) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0) return;
  float y[8], x[8];
  kc_load8<kc_type_f32>(y, p.y, span.first, 0, span.left, span.vectors);
  kc_load8<kc_type_f32>(x, p.x, span.first, 0, span.left, span.vectors);
  KC_UNROLL
  for (int i = 0; i < 8; i++) {
    const float way = x[i] - y[i];
    y[i] = p.weight < 0.5f ? y[i] + way * p.weight : x[i] + way * (p.weight - 1.0f);
  }
  kc_store8<kc_type_f32>(p.y, span.first, 0, span.left, span.vectors, y);
}
