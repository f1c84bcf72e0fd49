/* quantized_plain.c - products with 8-bit weights in plain C: the reference for every machine. */
#include "simd_plain.h"

#define KK_QUANTIZED_HEIGHT 2
#define KK_QUANTIZED_VECTORS 2
#define KK_QUANTIZED_GROUP 2
#define KK_QUANTIZED_UNIT 1
#define KK_PANEL 0
#define KK_HALF(name) name##_plain

typedef struct kk_q_operand {
  const int8_t *columns; /* [KK_WIDTH][2] */
} kk_q_operand;
typedef int32_t kk_q_sums __attribute__((vector_size(KK_WIDTH * 4), aligned(4)));

KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) { return (kk_q_operand){p}; }
KK_INLINE kk_q_sums kk_q_dot(kk_q_sums sum, uint32_t word, kk_q_operand w) {
  int16_t a[2];
  memcpy(a, &word, sizeof a);
  for (int j = 0; j < KK_WIDTH; j++) sum[j] += a[0] * w.columns[2 * j] + a[1] * w.columns[2 * j + 1];
  return sum;
}

/* IEEE binary16: biases of the exponents are 15 and 127. */
KK_INLINE float kk_of_f16(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023, bits;
  float x;
  if (exponent == 0) {
    x = (float)fraction * 0x1p-24f;
    memcpy(&bits, &x, sizeof bits);
  } else {
    bits = (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
  }
  bits |= sign;
  memcpy(&x, &bits, sizeof x);
  return x;
}
KK_INLINE kk_vec kk_wide_f16(const uint16_t *p) {
  kk_vec x;
  for (int j = 0; j < KK_WIDTH; j++) x[j] = kk_of_f16(p[j]);
  return x;
}
/* bfloat16 is the upper half of a float. */
KK_INLINE kk_vec kk_wide_bf16(const uint16_t *p) {
  kk_uvec bits;
  for (int j = 0; j < KK_WIDTH; j++) bits[j] = (uint32_t)p[j] << 16;
  return (kk_vec)bits;
}

#include "quantized_kernel.h"

const struct kk_quantized_table kk_quantized_plain = KK_QUANTIZED_TABLE;
