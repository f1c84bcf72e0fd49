/* simd_avx2.h - vectors of 8 floats with AVX2 and FMA. Names as in simd_plain.h, where they are explained.
 * Include <immintrin.h> before, and this inside a region with target("avx2,fma"). */
#ifndef KLUERE_SIMD_H
#define KLUERE_SIMD_H
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KK_INLINE static inline __attribute__((always_inline, unused))
#define KK_WIDTH 8
#define KK_TILE_ROWS 6
#define KK_TILE_VECTORS 2
#define KK_TRANSPOSE 8

typedef __m256 kk_vec;
typedef __m256i kk_uvec;
typedef __m256 kk_mask;

KK_INLINE __m256i kk_first_lanes(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
KK_INLINE kk_vec kk_v_zero(void) { return _mm256_setzero_ps(); }
KK_INLINE kk_vec kk_v_set(float x) { return _mm256_set1_ps(x); }
KK_INLINE kk_vec kk_v_load(const float *p) { return _mm256_loadu_ps(p); }
KK_INLINE void kk_v_store(float *p, kk_vec v) { _mm256_storeu_ps(p, v); }
KK_INLINE kk_vec kk_v_load_part(const float *p, size_t n) { return _mm256_maskload_ps(p, kk_first_lanes(n)); }
KK_INLINE void kk_v_store_part(float *p, kk_vec v, size_t n) { _mm256_maskstore_ps(p, kk_first_lanes(n), v); }
KK_INLINE kk_vec kk_v_add(kk_vec a, kk_vec b) { return _mm256_add_ps(a, b); }
KK_INLINE kk_vec kk_v_sub(kk_vec a, kk_vec b) { return _mm256_sub_ps(a, b); }
KK_INLINE kk_vec kk_v_mul(kk_vec a, kk_vec b) { return _mm256_mul_ps(a, b); }
KK_INLINE kk_vec kk_v_div(kk_vec a, kk_vec b) { return _mm256_div_ps(a, b); }
KK_INLINE kk_vec kk_v_fma(kk_vec a, kk_vec b, kk_vec c) { return _mm256_fmadd_ps(a, b, c); }
KK_INLINE kk_vec kk_v_fnma(kk_vec a, kk_vec b, kk_vec c) { return _mm256_fnmadd_ps(a, b, c); }
KK_INLINE kk_vec kk_v_select(kk_mask m, kk_vec a, kk_vec b) { return _mm256_blendv_ps(b, a, m); }
KK_INLINE kk_mask kk_v_less(kk_vec a, kk_vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
KK_INLINE kk_vec kk_v_max(kk_vec a, kk_vec b) { return _mm256_max_ps(a, b); }
KK_INLINE kk_vec kk_v_min(kk_vec a, kk_vec b) { return _mm256_min_ps(a, b); }
KK_INLINE kk_vec kk_v_sqrt(kk_vec a) { return _mm256_sqrt_ps(a); }
KK_INLINE kk_vec kk_v_abs(kk_vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
KK_INLINE kk_vec kk_v_with_sign(kk_vec magnitude, kk_vec s) {
  return _mm256_or_ps(magnitude, _mm256_and_ps(_mm256_set1_ps(-0.0f), s));
}
KK_INLINE kk_vec kk_v_keep(kk_mask m, kk_vec v) { return _mm256_and_ps(m, v); }
KK_INLINE kk_vec kk_v_first(kk_vec v, size_t n) { return _mm256_and_ps(_mm256_castsi256_ps(kk_first_lanes(n)), v); }
KK_INLINE kk_vec kk_v_round(kk_vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
KK_INLINE kk_vec kk_v_power2(kk_vec v, kk_vec n) {
  __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}
KK_INLINE float kk_v_sum(kk_vec v) {
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps(a, a, 1)));
}
KK_INLINE float kk_v_largest(kk_vec v) {
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}

typedef struct kk_squares {
  __m256d low, high;
} kk_squares;
KK_INLINE kk_squares kk_squares_zero(void) { return (kk_squares){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
KK_INLINE void kk_squares_add(kk_squares *s, kk_vec v) {
  __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v)), high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
  s->low = _mm256_fmadd_pd(low, low, s->low);
  s->high = _mm256_fmadd_pd(high, high, s->high);
}
KK_INLINE double kk_squares_total(const kk_squares *s) {
  __m256d sum = _mm256_add_pd(s->low, s->high);
  __m128d a = _mm_add_pd(_mm256_castpd256_pd128(sum), _mm256_extractf128_pd(sum, 1));
  return _mm_cvtsd_f64(_mm_add_sd(a, _mm_unpackhi_pd(a, a)));
}

KK_INLINE kk_uvec kk_u_set(uint32_t x) { return _mm256_set1_epi32((int)x); }
KK_INLINE kk_uvec kk_u_ramp(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
KK_INLINE kk_uvec kk_u_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
KK_INLINE void kk_u_store(uint32_t *p, kk_uvec v) { _mm256_storeu_si256((__m256i *)p, v); }
KK_INLINE kk_uvec kk_u_add(kk_uvec a, kk_uvec b) { return _mm256_add_epi32(a, b); }
KK_INLINE kk_uvec kk_u_xor(kk_uvec a, kk_uvec b) { return _mm256_xor_si256(a, b); }
KK_INLINE void kk_u_multiply(kk_uvec *high, kk_uvec *low, kk_uvec a, uint32_t m) {
  const __m256i factor = _mm256_set1_epi64x((long long)m);
  __m256i even = _mm256_mul_epu32(a, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
KK_INLINE void kk_u_store_words(uint16_t *out, kk_uvec r0, kk_uvec r1, kk_uvec r2, kk_uvec r3) {
  __m256i a = _mm256_unpacklo_epi32(r0, r1), b = _mm256_unpacklo_epi32(r2, r3); /* lanes 0 1 and 4 5 */
  __m256i c = _mm256_unpackhi_epi32(r0, r1), d = _mm256_unpackhi_epi32(r2, r3); /* lanes 2 3 and 6 7 */
  __m256i l04 = _mm256_unpacklo_epi64(a, b), l15 = _mm256_unpackhi_epi64(a, b);
  __m256i l26 = _mm256_unpacklo_epi64(c, d), l37 = _mm256_unpackhi_epi64(c, d);
  __m256i *to = (__m256i *)out;
  _mm256_storeu_si256(to, _mm256_permute2x128_si256(l04, l15, 0x20));
  _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(l26, l37, 0x20));
  _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(l04, l15, 0x31));
  _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(l26, l37, 0x31));
}
KK_INLINE kk_mask kk_bits_at_least(const uint16_t *bits, uint32_t threshold) {
  __m256i b = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)bits));
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, _mm256_set1_epi32((int)threshold - 1)));
}
#include "simd_x86_transpose.h"
#include "simd_math.h"
#endif
