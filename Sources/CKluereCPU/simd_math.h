/* simd_math.h - functions on vectors, written once over the names of simd_*.h (they include it). NaN goes through. */

/* e^x to 2 ulp for x in [-87.33, 88]; beyond, the value at the limit. */
KK_INLINE kk_vec kk_v_exp(kk_vec x) {
  x = kk_v_max(kk_v_set(-87.33f), kk_v_min(kk_v_set(88.0f), x));
  kk_vec n = kk_v_round(kk_v_mul(x, kk_v_set(1.44269504f)));
  kk_vec r = kk_v_fnma(n, kk_v_set(0.693359375f), x); /* ln 2 in two parts: the first product is exact */
  r = kk_v_fnma(n, kk_v_set(-2.12194440e-4f), r);
  kk_vec p = kk_v_set(1.9875691500e-4f);
  p = kk_v_fma(p, r, kk_v_set(1.3981999507e-3f));
  p = kk_v_fma(p, r, kk_v_set(8.3334519073e-3f));
  p = kk_v_fma(p, r, kk_v_set(4.1665795894e-2f));
  p = kk_v_fma(p, r, kk_v_set(1.6666665459e-1f));
  p = kk_v_fma(p, r, kk_v_set(5.0000001201e-1f));
  p = kk_v_fma(p, kk_v_mul(r, r), kk_v_add(r, kk_v_set(1.0f)));
  return kk_v_power2(p, n);
}

/* erf(x), absolute error below 6e-7: rational approximation on [-4, 4], +-1 outside (1 - erf 4 = 1.5e-8). */
KK_INLINE kk_vec kk_v_erf(kk_vec x) {
  kk_vec c = kk_v_max(kk_v_set(-4.0f), kk_v_min(kk_v_set(4.0f), x)), s = kk_v_mul(c, c);
  kk_vec p = kk_v_set(-2.72614225801306e-10f);
  p = kk_v_fma(p, s, kk_v_set(2.77068142495902e-08f));
  p = kk_v_fma(p, s, kk_v_set(-2.10102402082508e-06f));
  p = kk_v_fma(p, s, kk_v_set(-5.69250639462346e-05f));
  p = kk_v_fma(p, s, kk_v_set(-7.34990630326855e-04f));
  p = kk_v_fma(p, s, kk_v_set(-2.95459980854025e-03f));
  p = kk_v_fma(p, s, kk_v_set(-1.60960333262415e-02f));
  kk_vec q = kk_v_set(-1.45660718464996e-05f);
  q = kk_v_fma(q, s, kk_v_set(-2.13374055278905e-04f));
  q = kk_v_fma(q, s, kk_v_set(-1.68282697438203e-03f));
  q = kk_v_fma(q, s, kk_v_set(-7.37332916720468e-03f));
  q = kk_v_fma(q, s, kk_v_set(-1.42647390514189e-02f));
  kk_vec e = kk_v_div(kk_v_mul(c, p), q);
  kk_mask outside = kk_v_less(kk_v_set(4.0f), kk_v_abs(x));
  return kk_v_select(outside, kk_v_with_sign(kk_v_set(1.0f), x), e);
}

KK_INLINE kk_vec kk_v_gelu(kk_vec x) {
  kk_vec half = kk_v_mul(x, kk_v_set(0.5f));
  return kk_v_fma(half, kk_v_erf(kk_v_mul(x, kk_v_set(0.70710678f))), half);
}
/* gelu'(x) = (1 + erf(x / sqrt 2)) / 2 + x e^(-x^2 / 2) / sqrt(2 pi). */
KK_INLINE kk_vec kk_v_gelu_slope(kk_vec x) {
  kk_vec density = kk_v_exp(kk_v_mul(kk_v_mul(x, x), kk_v_set(-0.5f)));
  kk_vec e = kk_v_erf(kk_v_mul(x, kk_v_set(0.70710678f)));
  kk_vec cumulative = kk_v_fma(e, kk_v_set(0.5f), kk_v_set(0.5f));
  return kk_v_fma(kk_v_mul(x, kk_v_set(0.39894228f)), density, cumulative);
}

/* tanh x to about 2 ulp: an odd polynomial up to 0.625, then 1 - 2 / (e^2x + 1). */
KK_INLINE kk_vec kk_v_tanh(kk_vec x) {
  kk_vec a = kk_v_abs(x), s = kk_v_mul(x, x);
  kk_vec p = kk_v_set(-5.70498872745e-3f);
  p = kk_v_fma(p, s, kk_v_set(2.06390887954e-2f));
  p = kk_v_fma(p, s, kk_v_set(-5.37397155531e-2f));
  p = kk_v_fma(p, s, kk_v_set(1.33314422036e-1f));
  p = kk_v_fma(p, s, kk_v_set(-3.33332819422e-1f));
  kk_vec small = kk_v_fma(kk_v_mul(p, s), x, x);
  kk_vec e = kk_v_exp(kk_v_mul(kk_v_min(kk_v_set(10.0f), a), kk_v_set(2.0f)));
  kk_vec large = kk_v_sub(kk_v_set(1.0f), kk_v_div(kk_v_set(2.0f), kk_v_add(e, kk_v_set(1.0f))));
  return kk_v_select(kk_v_less(a, kk_v_set(0.625f)), small, kk_v_with_sign(large, x));
}

/* gelu_new(x) = x/2 (1 + tanh u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
KK_INLINE kk_vec kk_v_gelu_new_tanh(kk_vec x) {
  kk_vec s = kk_v_mul(x, x);
  return kk_v_tanh(kk_v_mul(kk_v_mul(x, kk_v_set(0.79788456f)), kk_v_fma(s, kk_v_set(0.044715f), kk_v_set(1.0f))));
}
KK_INLINE kk_vec kk_v_gelu_new(kk_vec x) {
  kk_vec half = kk_v_mul(x, kk_v_set(0.5f));
  return kk_v_fma(half, kk_v_gelu_new_tanh(x), half);
}
/* (1 + t) / 2 + x / 2 (1 - t^2) sqrt(2 / pi) (1 + 3 * 0.044715 x^2), t = tanh u. */
KK_INLINE kk_vec kk_v_gelu_new_slope(kk_vec x) {
  kk_vec t = kk_v_gelu_new_tanh(x), s = kk_v_mul(x, x);
  kk_vec inner = kk_v_fma(s, kk_v_set(0.134145f), kk_v_set(1.0f));
  kk_vec rise = kk_v_mul(kk_v_mul(x, kk_v_set(0.39894228f)), kk_v_mul(inner, kk_v_fnma(t, t, kk_v_set(1.0f))));
  return kk_v_add(kk_v_fma(t, kk_v_set(0.5f), kk_v_set(0.5f)), rise);
}

KK_INLINE kk_vec kk_v_relu(kk_vec x) { return kk_v_max(kk_v_set(0.0f), x); }
KK_INLINE kk_vec kk_v_relu_slope(kk_vec x) {
  return kk_v_select(kk_v_less(kk_v_set(0.0f), x), kk_v_set(1.0f), kk_v_set(0.0f));
}

/* Philox4x32-7 on KK_WIDTH counters at once; out: 8 * KK_WIDTH values of 16 bits, counter after counter. */
KK_INLINE void kk_philox(uint16_t *out, kk_uvec c0, kk_uvec c1, kk_uvec c2, kk_uvec c3, uint64_t seed) {
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 7; round++) {
    kk_uvec h0, l0, h1, l1;
    kk_u_multiply(&h0, &l0, c0, 0xD2511F53u);
    kk_u_multiply(&h1, &l1, c2, 0xCD9E8D57u);
    c0 = kk_u_xor(kk_u_xor(h1, c1), kk_u_set(k0));
    c1 = l1;
    c2 = kk_u_xor(kk_u_xor(h0, c3), kk_u_set(k1));
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  kk_u_store_words(out, c0, c1, c2, c3);
}
