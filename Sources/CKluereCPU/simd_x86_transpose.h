/* simd_x86_transpose.h - 8 x 8 floats with AVX, for simd_avx2.h and simd_avx512.h. */
KK_INLINE void kk_transpose(float *out, size_t out_stride, const float *in, size_t in_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 4; i++) { /* rows i and i + 4 side by side, in halves */
    const float *a = in + (size_t)i * in_stride, *b = in + (size_t)(i + 4) * in_stride;
    r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
    r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a + 4)), _mm_loadu_ps(b + 4), 1);
  }
  for (int i = 0; i < 8; i += 4) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    t[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
    t[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    _mm256_storeu_ps(out + (size_t)i * out_stride, _mm256_shuffle_ps(t[i], t[i + 2], 0x44));
    _mm256_storeu_ps(out + (size_t)(i + 1) * out_stride, _mm256_shuffle_ps(t[i], t[i + 2], 0xEE));
    _mm256_storeu_ps(out + (size_t)(i + 2) * out_stride, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44));
    _mm256_storeu_ps(out + (size_t)(i + 3) * out_stride, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE));
  }
}
