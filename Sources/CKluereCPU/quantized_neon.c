/* quantized_neon.c - products with 8-bit weights for 64-bit Arm: 16-bit multiplications, sums of pairs. */
#if defined(__aarch64__)
#include "simd_neon.h"

#define KK_QUANTIZED_HEIGHT 6
#define KK_QUANTIZED_VECTORS 2
#define KK_QUANTIZED_GROUP 2
#define KK_QUANTIZED_UNIT 1
#define KK_PANEL (4 * KK_WIDTH)
#define KK_HALF(name) name##_neon

typedef int16x8_t kk_q_operand; /* 4 columns of 2 steps */
typedef int32_t kk_q_sums __attribute__((vector_size(KK_WIDTH * 4), aligned(4)));

KK_INLINE kk_q_operand kk_q_weights(const int8_t *p) { return vmovl_s8(vld1_s8(p)); }
KK_INLINE kk_q_sums kk_q_dot(kk_q_sums sum, uint32_t word, kk_q_operand w) {
  int16x8_t a = vreinterpretq_s16_u32(vdupq_n_u32(word));
  int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(w)), high = vmull_high_s16(a, w);
  return (kk_q_sums)vaddq_s32((int32x4_t)sum, vpaddq_s32(low, high));
}

KK_INLINE kk_vec kk_wide_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
KK_INLINE kk_vec kk_wide_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }

#include "quantized_kernel.h"

const struct kk_quantized_table kk_quantized_neon = KK_QUANTIZED_TABLE;
#else
typedef int kk_no_quantized_neon; /* a file may not be empty */
#endif
