/* simd_plain.h - vectors of 4 floats in the compiler's vector extension: the reference for every machine.
 *
 * Each simd_*.h defines the same names; a file includes exactly one. kk_vec: KK_WIDTH floats; kk_uvec: as many uint32;
 * kk_mask: as many truth values. "part" functions touch only the first n lanes, 0 < n <= KK_WIDTH. */
#ifndef KLUERE_SIMD_H
#define KLUERE_SIMD_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KK_INLINE static inline __attribute__((always_inline, unused))
#define KK_WIDTH 4
#define KK_TILE_ROWS 6    /* register tile of small products: rows */
#define KK_TILE_VECTORS 2 /* and vectors across */
#define KK_TRANSPOSE 4    /* kk_transpose works on squares of this side */

typedef float kk_vec __attribute__((vector_size(16), aligned(16)));
typedef uint32_t kk_uvec __attribute__((vector_size(16), aligned(16)));
typedef int32_t kk_mask __attribute__((vector_size(16), aligned(16))); /* all ones or all zeros */
typedef double kk_double4 __attribute__((vector_size(32), aligned(16)));

KK_INLINE kk_vec kk_v_zero(void) { return (kk_vec){0}; }
KK_INLINE kk_vec kk_v_set(float x) { return (kk_vec){x, x, x, x}; }
KK_INLINE kk_vec kk_v_load(const float *p) {
  kk_vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
KK_INLINE void kk_v_store(float *p, kk_vec v) { memcpy(p, &v, sizeof v); }
KK_INLINE kk_vec kk_v_load_part(const float *p, size_t n) {
  kk_vec v = {0};
  for (size_t i = 0; i < KK_WIDTH; i++)
    if (i < n) v[i] = p[i];
  return v;
}
KK_INLINE void kk_v_store_part(float *p, kk_vec v, size_t n) {
  for (size_t i = 0; i < KK_WIDTH; i++)
    if (i < n) p[i] = v[i];
}
KK_INLINE kk_vec kk_v_add(kk_vec a, kk_vec b) { return a + b; }
KK_INLINE kk_vec kk_v_sub(kk_vec a, kk_vec b) { return a - b; }
KK_INLINE kk_vec kk_v_mul(kk_vec a, kk_vec b) { return a * b; }
KK_INLINE kk_vec kk_v_div(kk_vec a, kk_vec b) { return a / b; }
/* a b + c and c - a b; one rounding or two, as the machine has it. */
KK_INLINE kk_vec kk_v_fma(kk_vec a, kk_vec b, kk_vec c) { return a * b + c; }
KK_INLINE kk_vec kk_v_fnma(kk_vec a, kk_vec b, kk_vec c) { return c - a * b; }
KK_INLINE kk_vec kk_v_select(kk_mask m, kk_vec a, kk_vec b) { return (kk_vec)((m & (kk_mask)a) | (~m & (kk_mask)b)); }
/* a < b, lane by lane; false for NaN. */
KK_INLINE kk_mask kk_v_less(kk_vec a, kk_vec b) { return (kk_mask)(a < b); }
/* b where either is NaN: kk_v_min(limit, x) lets NaN in x through. */
KK_INLINE kk_vec kk_v_max(kk_vec a, kk_vec b) { return kk_v_select(kk_v_less(b, a), a, b); }
KK_INLINE kk_vec kk_v_min(kk_vec a, kk_vec b) { return kk_v_select(kk_v_less(a, b), a, b); }
KK_INLINE kk_vec kk_v_sqrt(kk_vec a) { return __builtin_elementwise_sqrt(a); }
KK_INLINE kk_vec kk_v_abs(kk_vec a) { return (kk_vec)((kk_uvec)a & 0x7fffffffu); }
/* magnitude (>= 0) with the sign of s. */
KK_INLINE kk_vec kk_v_with_sign(kk_vec magnitude, kk_vec s) {
  return (kk_vec)((kk_uvec)magnitude | ((kk_uvec)s & 0x80000000u));
}
/* v where the mask is set, else 0. */
KK_INLINE kk_vec kk_v_keep(kk_mask m, kk_vec v) { return (kk_vec)(m & (kk_mask)v); }
/* The first n lanes of v, 0 in the others. */
KK_INLINE kk_vec kk_v_first(kk_vec v, size_t n) {
  const kk_mask lane = {0, 1, 2, 3};
  return kk_v_keep((kk_mask)(lane < (int32_t)n), v);
}
/* Nearest integer, |x| < 2^22. */
KK_INLINE kk_vec kk_v_round(kk_vec x) {
  const kk_vec magic = kk_v_set(12582912.0f); /* 1.5 * 2^23: its last place is 1 */
  kk_vec shifted = x + magic;
  return shifted - magic;
}
/* v 2^n for integral n in [-126, 127]; NaN in v stays. */
KK_INLINE kk_vec kk_v_power2(kk_vec v, kk_vec n) {
  kk_uvec bits = (kk_uvec)(n + (12582912.0f + 127.0f)); /* the integer n + 127 stands in the low bits */
  return v * (kk_vec)(bits << 23);
}
KK_INLINE float kk_v_sum(kk_vec v) { return (v[0] + v[1]) + (v[2] + v[3]); }
KK_INLINE float kk_v_largest(kk_vec v) {
  float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}

/* Sums of squares in double. */
typedef struct kk_squares {
  kk_double4 sum;
} kk_squares;
KK_INLINE kk_squares kk_squares_zero(void) { return (kk_squares){{0}}; }
KK_INLINE void kk_squares_add(kk_squares *s, kk_vec v) {
  kk_double4 d = __builtin_convertvector(v, kk_double4);
  s->sum = d * d + s->sum;
}
KK_INLINE double kk_squares_total(const kk_squares *s) { return (s->sum[0] + s->sum[1]) + (s->sum[2] + s->sum[3]); }

KK_INLINE kk_uvec kk_u_set(uint32_t x) { return (kk_uvec){x, x, x, x}; }
KK_INLINE kk_uvec kk_u_ramp(void) { return (kk_uvec){0, 1, 2, 3}; }
KK_INLINE kk_uvec kk_u_load(const uint32_t *p) {
  kk_uvec v;
  memcpy(&v, p, sizeof v);
  return v;
}
KK_INLINE void kk_u_store(uint32_t *p, kk_uvec v) { memcpy(p, &v, sizeof v); }
KK_INLINE kk_uvec kk_u_add(kk_uvec a, kk_uvec b) { return a + b; }
KK_INLINE kk_uvec kk_u_xor(kk_uvec a, kk_uvec b) { return a ^ b; }
/* The 64-bit products of a and the constant m. */
KK_INLINE void kk_u_multiply(kk_uvec *high, kk_uvec *low, kk_uvec a, uint32_t m) {
  for (int i = 0; i < KK_WIDTH; i++) (*high)[i] = (uint32_t)(((uint64_t)a[i] * m) >> 32);
  *low = a * m;
}
/* Lane after lane, the four words of the lane: 8 * KK_WIDTH values of 16 bits, low half first. */
KK_INLINE void kk_u_store_words(uint16_t *out, kk_uvec r0, kk_uvec r1, kk_uvec r2, kk_uvec r3) {
  for (int i = 0; i < KK_WIDTH; i++) {
    const uint32_t words[4] = {r0[i], r1[i], r2[i], r3[i]};
    for (int w = 0; w < 4; w++) {
      out[8 * i + 2 * w] = (uint16_t)words[w];
      out[8 * i + 2 * w + 1] = (uint16_t)(words[w] >> 16);
    }
  }
}
/* bits[lane] >= threshold, threshold <= 65536. */
KK_INLINE kk_mask kk_bits_at_least(const uint16_t *bits, uint32_t threshold) {
  const kk_mask b = {bits[0], bits[1], bits[2], bits[3]};
  return (kk_mask)(b >= (int32_t)threshold);
}

/* A square of KK_TRANSPOSE x KK_TRANSPOSE floats: out[j][i] = in[i][j]. */
KK_INLINE void kk_transpose(float *out, size_t out_stride, const float *in, size_t in_stride) {
  kk_vec a = kk_v_load(in), b = kk_v_load(in + in_stride);
  kk_vec c = kk_v_load(in + 2 * in_stride), d = kk_v_load(in + 3 * in_stride);
  kk_vec ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  kk_vec cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  kk_v_store(out, __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5));
  kk_v_store(out + out_stride, __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7));
  kk_v_store(out + 2 * out_stride, __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5));
  kk_v_store(out + 3 * out_stride, __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7));
}
#include "simd_math.h"
#endif
