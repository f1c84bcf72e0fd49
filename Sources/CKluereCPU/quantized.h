/* quantized.h - products with weights of 8 bits, and weights of 16 bits made wide again; one table per instruction set.
 *
 * A row x of the input becomes whole numbers q in [0, 255] with x ~ scale (q - zero); a row of weights is scale w with w in
 * [-128, 127]. So x . w ~ scale scale (sum of q w - zero sum of w): the sums are of whole numbers and exact in 32 bits for
 * up to KK_QUANTIZED_DEPTH steps, so that every instruction set gives the same ones. Nothing saturates: where there is no
 * instruction that sums products of bytes in 32 bits (VNNI's vpdpbusd), q and w are multiplied as 16-bit numbers, or, by the
 * table `bytes`, as bytes, if all weights allow to sum four products in 16 bits: KK_FOURS_SUM.
 *
 * Steps come in groups of `group`, as many as one 32-bit word of the input holds: 4 of 8 bits, or 2 of 16; groups in units of
 * `unit`. The input is packed into panels of `height` rows, [group][row] words; the weights into panels of `width` columns,
 * [group][column][step], the last one filled up with zeros. */
#ifndef KLUERE_QUANTIZED_H
#define KLUERE_QUANTIZED_H
#include "include/kluere_cpu.h"

/* 255 * 128 * this many is below 2^31. */
#define KK_QUANTIZED_DEPTH 65536

/* The unit of `bytes` has eight steps: products 0, 1, 4 and 5 of them are summed in 16 bits, and so are 2, 3, 6 and 7. The
 * input is at most 255, and 255 * 128 below 2^15: no sum leaves 16 bits if the weights of one sign among the four do not sum
 * up to more. */
enum { KK_FOURS_STEPS = 8, KK_FOURS_SUM = 128 };

/* The step of product i of the first (0) or the second four (1). */
static inline int kk_fours_step(int four, int i) { return 2 * four + i % 2 + i / 2 * 4; }

#define KK_FEW_ROWS 4

/* y = activate(scale scale (sum - zero sum of w) + bias) for rows x columns of y. */
typedef struct kk_quantized_block {
  float *y;
  size_t y_stride, rows, columns, groups, height;
  const uint32_t *a; /* the last panel has rows % height rows if that is not 0 */
  const float *a_scales;
  const int32_t *a_zeros;
  const int8_t *b;
  const float *b_scales, *bias; /* of the first column; padded to whole panels, but for bias, which may be NULL */
  const int32_t *b_sums;
  void (*activate)(float *y, const float *x, size_t count); /* or NULL */
} kk_quantized_block;

struct kk_quantized_table {
  size_t most_height, width, group, unit;
  /* One panel of the input, [rows, depth]. A row with a value that is not finite gets the scale NaN. */
  void (*quantize)(uint32_t *words, float *scales, int32_t *zeros, const float *x, size_t rows, size_t depth);
  void (*block)(const kk_quantized_block *block);
  /* 16-bit values of KK_WEIGHTS_BF16 or _F16 to fp32; and scale * q. */
  void (*widen)(float *out, const uint16_t *in, size_t count, int form);
  void (*scale)(float *out, const int8_t *q, float scale, size_t count);
  /* c [rows, columns] = (add ? c : 0) + a b of one block of k for at most KK_FEW_ROWS rows: a as the gemm table packs it, in
   * one panel; b 16-bit values in panels of `panel` columns. The bits are those of the gemm table's tiles. NULL: not made. */
  size_t panel;
  void (*few)(float *c, size_t c_stride, size_t rows, size_t columns, const float *a, const uint16_t *b, size_t depth,
              int form, int add);
  const struct kk_quantized_table *bytes; /* of the same width; NULL: none, it would not be faster */
};

const struct kk_quantized_table *kk_quantized_table_for(int isa);

extern const struct kk_quantized_table kk_quantized_plain;
#if defined(__x86_64__)
extern const struct kk_quantized_table kk_quantized_avx2;
extern const struct kk_quantized_table kk_quantized_avx2_bytes;
extern const struct kk_quantized_table kk_quantized_avx2_vnni;
extern const struct kk_quantized_table kk_quantized_avx512;
extern const struct kk_quantized_table kk_quantized_avx512_bytes;
extern const struct kk_quantized_table kk_quantized_avx512_vnni;
#endif
#if defined(__aarch64__)
extern const struct kk_quantized_table kk_quantized_neon;
#endif
#endif
