/* quantized_x86.h - names of quantized_kernel.h for 8 floats with AVX2 and F16C, or for 16 with AVX-512.
 * KK_QUANTIZED_GROUP 4 means VNNI, or `bytes` if KK_QUANTIZED_UNIT is 2. Inside a region with the target attribute. */
#if KK_WIDTH == 16
typedef __m512i kk_q_operand;
typedef __m512i kk_q_sums;
#if KK_QUANTIZED_GROUP == 4
KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) { return _mm512_loadu_si512(p); }
#define KK_Q_DOT(SUM, A, W) _mm512_dpbusd_epi32(SUM, A, W)
#else
KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}
#define KK_Q_DOT(SUM, A, W) _mm512_add_epi32(SUM, _mm512_madd_epi16(A, W))
#endif
#define KK_Q_FOURS(SUM, A, V, B, W)                                                                            \
  _mm512_add_epi32(SUM, _mm512_madd_epi16(_mm512_add_epi16(_mm512_maddubs_epi16(A, V), _mm512_maddubs_epi16(B, W)), \
                                          _mm512_set1_epi16(1)))
#define KK_Q_SET(WORD) _mm512_set1_epi32((int)(WORD))
#else
typedef __m256i kk_q_operand;
typedef __m256i kk_q_sums;
#if KK_QUANTIZED_GROUP == 4
KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
#define KK_Q_DOT(SUM, A, W) _mm256_dpbusd_avx_epi32(SUM, A, W)
#else
KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}
#define KK_Q_DOT(SUM, A, W) _mm256_add_epi32(SUM, _mm256_madd_epi16(A, W))
#endif
#define KK_Q_FOURS(SUM, A, V, B, W)                                                                            \
  _mm256_add_epi32(SUM, _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(A, V), _mm256_maddubs_epi16(B, W)), \
                                          _mm256_set1_epi16(1)))
#define KK_Q_SET(WORD) _mm256_set1_epi32((int)(WORD))
#endif

typedef int32_t kk_q_ints __attribute__((vector_size(KK_WIDTH * 4), aligned(4)));
#if KK_QUANTIZED_UNIT == 2
KK_INLINE kk_q_ints kk_q_fours(kk_q_ints sum, uint32_t first, uint32_t second, kk_q_operand v, kk_q_operand w) {
  return (kk_q_ints)KK_Q_FOURS((kk_q_sums)sum, KK_Q_SET(first), v, KK_Q_SET(second), w);
}
#else
KK_INLINE kk_q_ints kk_q_dot(kk_q_ints sum, uint32_t word, kk_q_operand w) {
  return (kk_q_ints)KK_Q_DOT((kk_q_sums)sum, KK_Q_SET(word), w);
}
#endif

/* bfloat16 is the upper half of a float. */
#if KK_WIDTH == 16
KK_INLINE kk_vec kk_wide_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
KK_INLINE kk_vec kk_wide_bf16(const uint16_t *p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
#else
KK_INLINE kk_vec kk_wide_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
KK_INLINE kk_vec kk_wide_bf16(const uint16_t *p) {
  __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
#endif
