// elementwise.cu - activations and their gradients, dropout alone, fill, and conversions between number types. A thread
// has 8 neighbouring elements.
#include "device.cuh"

enum { activation_gelu = 1, activation_tanh = 2, activation_gelu_new = 3, activation_relu = 4 }; // KC_ACT_*

struct gelu {
  KC_DEVICE float value(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
  KC_DEVICE float slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
  }
};
struct gelu_new {
  KC_DEVICE float inner(float x) { return 0.79788456f * (x + 0.044715f * x * x * x); }
  KC_DEVICE float value(float x) { return 0.5f * x * (1.0f + tanhf(inner(x))); }
  KC_DEVICE float slope(float x) {
    const float t = tanhf(inner(x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 3.0f * 0.044715f * x * x);
  }
};
struct relu { // NaN goes through, as in PyTorch
  KC_DEVICE float value(float x) { return x < 0.0f ? 0.0f : x; }
  KC_DEVICE float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
};
struct hyperbolic { // the slope from the result
  KC_DEVICE float value(float x) { return tanhf(x); }
  KC_DEVICE float slope(float y) { return 1.0f - y * y; }
};

template <class F>
KC_DEVICE void apply(float v[8]) {
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] = F::value(v[i]);
}
template <class F>
KC_DEVICE void apply_slope(float d[8], const float v[8]) {
  KC_UNROLL
  for (int i = 0; i < 8; i++) d[i] *= F::slope(v[i]);
}

template <class T>
KC_DEVICE void activate(const kc_activation_parameters &p) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0) return;
  float v[8];
  kc_load8<T>(v, p.x, span.first, 0, span.left, span.vectors);
  switch (p.activation) {
    case activation_gelu: apply<gelu>(v); break;
    case activation_tanh: apply<hyperbolic>(v); break;
    case activation_gelu_new: apply<gelu_new>(v); break;
    case activation_relu: apply<relu>(v); break;
    default: break;
  }
  kc_store8<T>(p.y, span.first, 0, span.left, span.vectors, v);
}

template <class T>
KC_DEVICE void activate_backward(const kc_activation_parameters &p) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0) return;
  float v[8], d[8];
  kc_load8<T>(v, p.x, span.first, 0, span.left, span.vectors);
  kc_load8<T>(d, p.dy, span.first, 0, span.left, span.vectors);
  switch (p.activation) {
    case activation_gelu: apply_slope<gelu>(d, v); break;
    case activation_tanh: apply_slope<hyperbolic>(d, v); break;
    case activation_gelu_new: apply_slope<gelu_new>(d, v); break;
    case activation_relu: apply_slope<relu>(d, v); break;
    default: break;
  }
  kc_store8<T>(p.y, span.first, 0, span.left, span.vectors, d);
}

// A block per row.
template <class T>
KC_DEVICE void dropout(const kc_dropout_parameters &p) {
  const kc_u64 row = blockIdx.x, at = row * p.width;
  for (unsigned column = threadIdx.x * 8; column < p.width; column += blockDim.x * 8) {
    float v[8];
    kc_load8<T>(v, p.x, at, column, p.width, p.vectors);
    kc_mask8(v, p.mask, row, column / 8);
    kc_store8<T>(p.y, at, column, p.width, p.vectors, v);
  }
}

template <class To, class From>
KC_DEVICE void convert(const kc_convert_parameters &p) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0) return;
  float v[8];
  kc_load8<From>(v, p.x, span.first, 0, span.left, span.vectors);
  kc_store8<To>(p.y, span.first, 0, span.left, span.vectors, v);
}

KC_KERNEL(256, 4, kc_fill_f32, kc_fill_parameters) {
  const kc_span span = kc_span_of_thread(p.count, p.vectors);
  if (span.left == 0) return;
  float v[8];
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] = p.value;
  kc_store8<kc_type_f32>(p.x, span.first, 0, span.left, span.vectors, v);
}

KC_KERNEL(256, 4, kc_activate_f32, kc_activation_parameters) { activate<kc_type_f32>(p); }
KC_KERNEL(256, 4, kc_activate_f16, kc_activation_parameters) { activate<kc_type_f16>(p); }
KC_KERNEL(256, 4, kc_activate_backward_f32, kc_activation_parameters) { activate_backward<kc_type_f32>(p); }
KC_KERNEL(256, 4, kc_activate_backward_f16, kc_activation_parameters) { activate_backward<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_dropout_f32, kc_dropout_parameters) { dropout<kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_dropout_f16, kc_dropout_parameters) { dropout<kc_type_f16>(p); }
KC_KERNEL(256, 4, kc_convert_f16_from_f32, kc_convert_parameters) { convert<kc_type_f16, kc_type_f32>(p); }
KC_KERNEL(256, 4, kc_convert_f32_from_f16, kc_convert_parameters) { convert<kc_type_f32, kc_type_f16>(p); }
#ifdef KC_HAS_BF16
KC_KERNEL(256, 4, kc_activate_bf16, kc_activation_parameters) { activate<kc_type_bf16>(p); }
KC_KERNEL(256, 4, kc_activate_backward_bf16, kc_activation_parameters) { activate_backward<kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_dropout_bf16, kc_dropout_parameters) { dropout<kc_type_bf16>(p); }
KC_KERNEL(256, 4, kc_convert_bf16_from_f32, kc_convert_parameters) { convert<kc_type_bf16, kc_type_f32>(p); }
KC_KERNEL(256, 4, kc_convert_f32_from_bf16, kc_convert_parameters) { convert<kc_type_f32, kc_type_bf16>(p); }
KC_KERNEL(256, 4, kc_convert_f16_from_bf16, kc_convert_parameters) { convert<kc_type_f16, kc_type_bf16>(p); }
KC_KERNEL(256, 4, kc_convert_bf16_from_f16, kc_convert_parameters) { convert<kc_type_bf16, kc_type_f16>(p); }
#endif
