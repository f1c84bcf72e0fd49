/* simd_avx512.h - vectors of 16 floats with AVX-512 F, BW, DQ and VL. Names as in simd_plain.h, where they are
 * explained. Include <immintrin.h> before, and this inside a region with
 * target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"). */
#ifndef KLUERE_SIMD_H
#define KLUERE_SIMD_H
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KK_INLINE static inline __attribute__((always_inline, unused))
#define KK_WIDTH 16
#define KK_TILE_ROWS 6
#define KK_TILE_VECTORS 4
#define KK_TRANSPOSE 8

typedef __m512 kk_vec;
typedef __m512i kk_uvec;
typedef __mmask16 kk_mask;

KK_INLINE __mmask16 kk_first_lanes(size_t n) { return (__mmask16)((1u << n) - 1u); }
KK_INLINE kk_vec kk_v_zero(void) { return _mm512_setzero_ps(); }
KK_INLINE kk_vec kk_v_set(float x) { return _mm512_set1_ps(x); }
KK_INLINE kk_vec kk_v_load(const float *p) { return _mm512_loadu_ps(p); }
KK_INLINE void kk_v_store(float *p, kk_vec v) { _mm512_storeu_ps(p, v); }
KK_INLINE kk_vec kk_v_load_part(const float *p, size_t n) { return _mm512_maskz_loadu_ps(kk_first_lanes(n), p); }
KK_INLINE void kk_v_store_part(float *p, kk_vec v, size_t n) { _mm512_mask_storeu_ps(p, kk_first_lanes(n), v); }
KK_INLINE kk_vec kk_v_add(kk_vec a, kk_vec b) { return _mm512_add_ps(a, b); }
KK_INLINE kk_vec kk_v_sub(kk_vec a, kk_vec b) { return _mm512_sub_ps(a, b); }
KK_INLINE kk_vec kk_v_mul(kk_vec a, kk_vec b) { return _mm512_mul_ps(a, b); }
KK_INLINE kk_vec kk_v_div(kk_vec a, kk_vec b) { return _mm512_div_ps(a, b); }
KK_INLINE kk_vec kk_v_fma(kk_vec a, kk_vec b, kk_vec c) { return _mm512_fmadd_ps(a, b, c); }
KK_INLINE kk_vec kk_v_fnma(kk_vec a, kk_vec b, kk_vec c) { return _mm512_fnmadd_ps(a, b, c); }
KK_INLINE kk_vec kk_v_select(kk_mask m, kk_vec a, kk_vec b) { return _mm512_mask_blend_ps(m, b, a); }
KK_INLINE kk_mask kk_v_less(kk_vec a, kk_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
KK_INLINE kk_vec kk_v_max(kk_vec a, kk_vec b) { return _mm512_max_ps(a, b); }
KK_INLINE kk_vec kk_v_min(kk_vec a, kk_vec b) { return _mm512_min_ps(a, b); }
KK_INLINE kk_vec kk_v_sqrt(kk_vec a) { return _mm512_sqrt_ps(a); }
KK_INLINE kk_vec kk_v_abs(kk_vec a) { return _mm512_abs_ps(a); }
KK_INLINE kk_vec kk_v_with_sign(kk_vec magnitude, kk_vec s) {
  return _mm512_or_ps(magnitude, _mm512_and_ps(_mm512_set1_ps(-0.0f), s));
}
KK_INLINE kk_vec kk_v_keep(kk_mask m, kk_vec v) { return _mm512_maskz_mov_ps(m, v); }
KK_INLINE kk_vec kk_v_first(kk_vec v, size_t n) { return _mm512_maskz_mov_ps(kk_first_lanes(n), v); }
KK_INLINE kk_vec kk_v_round(kk_vec x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
KK_INLINE kk_vec kk_v_power2(kk_vec v, kk_vec n) { return _mm512_scalef_ps(v, n); }
KK_INLINE float kk_v_sum(kk_vec v) {
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
KK_INLINE float kk_v_largest(kk_vec v) {
  __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}

typedef struct kk_squares {
  __m512d low, high;
} kk_squares;
KK_INLINE kk_squares kk_squares_zero(void) { return (kk_squares){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
KK_INLINE void kk_squares_add(kk_squares *s, kk_vec v) {
  __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v)), high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
  s->low = _mm512_fmadd_pd(low, low, s->low);
  s->high = _mm512_fmadd_pd(high, high, s->high);
}
KK_INLINE double kk_squares_total(const kk_squares *s) {
  __m512d sum = _mm512_add_pd(s->low, s->high);
  __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(sum), _mm512_extractf64x4_pd(sum, 1));
  __m128d a = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
  return _mm_cvtsd_f64(_mm_add_sd(a, _mm_unpackhi_pd(a, a)));
}

KK_INLINE kk_uvec kk_u_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
KK_INLINE kk_uvec kk_u_ramp(void) {
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
KK_INLINE kk_uvec kk_u_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
KK_INLINE void kk_u_store(uint32_t *p, kk_uvec v) { _mm512_storeu_si512(p, v); }
KK_INLINE kk_uvec kk_u_add(kk_uvec a, kk_uvec b) { return _mm512_add_epi32(a, b); }
KK_INLINE kk_uvec kk_u_xor(kk_uvec a, kk_uvec b) { return _mm512_xor_si512(a, b); }
KK_INLINE void kk_u_multiply(kk_uvec *high, kk_uvec *low, kk_uvec a, uint32_t m) {
  const __m512i factor = _mm512_set1_epi64((long long)m);
  __m512i even = _mm512_mul_epu32(a, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
KK_INLINE void kk_u_store_words(uint16_t *out, kk_uvec r0, kk_uvec r1, kk_uvec r2, kk_uvec r3) {
  __m512i a = _mm512_unpacklo_epi32(r0, r1), b = _mm512_unpacklo_epi32(r2, r3); /* lanes 4 i and 4 i + 1 */
  __m512i c = _mm512_unpackhi_epi32(r0, r1), d = _mm512_unpackhi_epi32(r2, r3); /* lanes 4 i + 2 and 4 i + 3 */
  __m512i l0 = _mm512_unpacklo_epi64(a, b), l1 = _mm512_unpackhi_epi64(a, b);   /* 128-bit part i: lane 4 i (+ 1) */
  __m512i l2 = _mm512_unpacklo_epi64(c, d), l3 = _mm512_unpackhi_epi64(c, d);
  __m512i p = _mm512_shuffle_i64x2(l0, l1, 0x44), q = _mm512_shuffle_i64x2(l2, l3, 0x44); /* 0 4 1 5; 2 6 3 7 */
  __m512i s = _mm512_shuffle_i64x2(l0, l1, 0xEE), t = _mm512_shuffle_i64x2(l2, l3, 0xEE); /* 8 12 9 13; 10 14 11 15 */
  _mm512_storeu_si512(out, _mm512_shuffle_i64x2(p, q, 0x88));
  _mm512_storeu_si512(out + 32, _mm512_shuffle_i64x2(p, q, 0xDD));
  _mm512_storeu_si512(out + 64, _mm512_shuffle_i64x2(s, t, 0x88));
  _mm512_storeu_si512(out + 96, _mm512_shuffle_i64x2(s, t, 0xDD));
}
KK_INLINE kk_mask kk_bits_at_least(const uint16_t *bits, uint32_t threshold) {
  __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)bits));
  return _mm512_cmpge_epu32_mask(b, _mm512_set1_epi32((int)threshold));
}
#include "simd_x86_transpose.h"
#include "simd_math.h"
#endif
