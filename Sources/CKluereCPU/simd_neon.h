/* simd_neon.h - vectors of 4 floats with AArch64's Advanced SIMD. Names as in simd_plain.h, explained there. */
#ifndef KLUERE_SIMD_H
#define KLUERE_SIMD_H
#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KK_INLINE static inline __attribute__((always_inline, unused))
#define KK_WIDTH 4
#define KK_TILE_ROWS 6
#define KK_TILE_VECTORS 4
#define KK_TRANSPOSE 4

typedef float32x4_t kk_vec;
typedef uint32x4_t kk_uvec;
typedef uint32x4_t kk_mask;

KK_INLINE uint32x4_t kk_first_lanes(size_t n) {
  const uint32x4_t lane = {0, 1, 2, 3};
  return vcltq_u32(lane, vdupq_n_u32((uint32_t)n));
}
KK_INLINE kk_vec kk_v_zero(void) { return vdupq_n_f32(0.0f); }
KK_INLINE kk_vec kk_v_set(float x) { return vdupq_n_f32(x); }
KK_INLINE kk_vec kk_v_load(const float *p) { return vld1q_f32(p); }
KK_INLINE void kk_v_store(float *p, kk_vec v) { vst1q_f32(p, v); }
KK_INLINE kk_vec kk_v_load_part(const float *p, size_t n) {
  kk_vec v = vdupq_n_f32(0.0f);
  v = vld1q_lane_f32(p, v, 0);
  if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
  if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
  if (n > 3) v = vld1q_lane_f32(p + 3, v, 3);
  return v;
}
KK_INLINE void kk_v_store_part(float *p, kk_vec v, size_t n) {
  vst1q_lane_f32(p, v, 0);
  if (n > 1) vst1q_lane_f32(p + 1, v, 1);
  if (n > 2) vst1q_lane_f32(p + 2, v, 2);
  if (n > 3) vst1q_lane_f32(p + 3, v, 3);
}
KK_INLINE kk_vec kk_v_add(kk_vec a, kk_vec b) { return vaddq_f32(a, b); }
KK_INLINE kk_vec kk_v_sub(kk_vec a, kk_vec b) { return vsubq_f32(a, b); }
KK_INLINE kk_vec kk_v_mul(kk_vec a, kk_vec b) { return vmulq_f32(a, b); }
KK_INLINE kk_vec kk_v_div(kk_vec a, kk_vec b) { return vdivq_f32(a, b); }
KK_INLINE kk_vec kk_v_fma(kk_vec a, kk_vec b, kk_vec c) { return vfmaq_f32(c, a, b); }
KK_INLINE kk_vec kk_v_fnma(kk_vec a, kk_vec b, kk_vec c) { return vfmsq_f32(c, a, b); }
KK_INLINE kk_vec kk_v_select(kk_mask m, kk_vec a, kk_vec b) { return vbslq_f32(m, a, b); }
KK_INLINE kk_mask kk_v_less(kk_vec a, kk_vec b) { return vcltq_f32(a, b); }
/* NaN in either operand gives NaN: at least what simd_plain.h promises of the second. */
KK_INLINE kk_vec kk_v_max(kk_vec a, kk_vec b) { return vmaxq_f32(a, b); }
KK_INLINE kk_vec kk_v_min(kk_vec a, kk_vec b) { return vminq_f32(a, b); }
KK_INLINE kk_vec kk_v_sqrt(kk_vec a) { return vsqrtq_f32(a); }
KK_INLINE kk_vec kk_v_abs(kk_vec a) { return vabsq_f32(a); }
KK_INLINE kk_vec kk_v_with_sign(kk_vec magnitude, kk_vec s) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), s, magnitude);
}
KK_INLINE kk_vec kk_v_keep(kk_mask m, kk_vec v) {
  return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(v)));
}
KK_INLINE kk_vec kk_v_first(kk_vec v, size_t n) { return kk_v_keep(kk_first_lanes(n), v); }
KK_INLINE kk_vec kk_v_round(kk_vec x) { return vrndnq_f32(x); }
KK_INLINE kk_vec kk_v_power2(kk_vec v, kk_vec n) {
  int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
  return vmulq_f32(v, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
}
KK_INLINE float kk_v_sum(kk_vec v) { return vaddvq_f32(v); }
KK_INLINE float kk_v_largest(kk_vec v) { return vmaxvq_f32(v); }

typedef struct kk_squares {
  float64x2_t low, high;
} kk_squares;
KK_INLINE kk_squares kk_squares_zero(void) { return (kk_squares){vdupq_n_f64(0.0), vdupq_n_f64(0.0)}; }
KK_INLINE void kk_squares_add(kk_squares *s, kk_vec v) {
  float64x2_t low = vcvt_f64_f32(vget_low_f32(v)), high = vcvt_high_f64_f32(v);
  s->low = vfmaq_f64(s->low, low, low);
  s->high = vfmaq_f64(s->high, high, high);
}
KK_INLINE double kk_squares_total(const kk_squares *s) { return vaddvq_f64(vaddq_f64(s->low, s->high)); }

KK_INLINE kk_uvec kk_u_set(uint32_t x) { return vdupq_n_u32(x); }
KK_INLINE kk_uvec kk_u_ramp(void) {
  const uint32x4_t ramp = {0, 1, 2, 3};
  return ramp;
}
KK_INLINE kk_uvec kk_u_load(const uint32_t *p) { return vld1q_u32(p); }
KK_INLINE void kk_u_store(uint32_t *p, kk_uvec v) { vst1q_u32(p, v); }
KK_INLINE kk_uvec kk_u_add(kk_uvec a, kk_uvec b) { return vaddq_u32(a, b); }
KK_INLINE kk_uvec kk_u_xor(kk_uvec a, kk_uvec b) { return veorq_u32(a, b); }
KK_INLINE void kk_u_multiply(kk_uvec *high, kk_uvec *low, kk_uvec a, uint32_t m) {
  const uint32x4_t factor = vdupq_n_u32(m);
  uint32x4_t p01 = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(factor)));
  uint32x4_t p23 = vreinterpretq_u32_u64(vmull_high_u32(a, factor));
  *low = vuzp1q_u32(p01, p23); /* little endian: the low halves come first */
  *high = vuzp2q_u32(p01, p23);
}
KK_INLINE void kk_u_store_words(uint16_t *out, kk_uvec r0, kk_uvec r1, kk_uvec r2, kk_uvec r3) {
  const uint32x4x4_t words = {{r0, r1, r2, r3}};
  uint32_t interleaved[4 * KK_WIDTH];
  vst4q_u32(interleaved, words);
  memcpy(out, interleaved, sizeof interleaved);
}
KK_INLINE kk_mask kk_bits_at_least(const uint16_t *bits, uint32_t threshold) {
  return vcgeq_u32(vmovl_u16(vld1_u16(bits)), vdupq_n_u32(threshold));
}
KK_INLINE void kk_transpose(float *out, size_t out_stride, const float *in, size_t in_stride) {
  float32x4_t a = vld1q_f32(in), b = vld1q_f32(in + in_stride);
  float32x4_t c = vld1q_f32(in + 2 * in_stride), d = vld1q_f32(in + 3 * in_stride);
  float64x2_t ab0 = vreinterpretq_f64_f32(vzip1q_f32(a, b)), ab1 = vreinterpretq_f64_f32(vzip2q_f32(a, b));
  float64x2_t cd0 = vreinterpretq_f64_f32(vzip1q_f32(c, d)), cd1 = vreinterpretq_f64_f32(vzip2q_f32(c, d));
  vst1q_f32(out, vreinterpretq_f32_f64(vzip1q_f64(ab0, cd0)));
  vst1q_f32(out + out_stride, vreinterpretq_f32_f64(vzip2q_f64(ab0, cd0)));
  vst1q_f32(out + 2 * out_stride, vreinterpretq_f32_f64(vzip1q_f64(ab1, cd1)));
  vst1q_f32(out + 3 * out_stride, vreinterpretq_f32_f64(vzip2q_f64(ab1, cd1)));
}
#include "simd_math.h"
#endif
