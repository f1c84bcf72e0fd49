/* gemm.h - the inner parts of a matrix product c = a b, one table per instruction set.
 *
 * c is m x n, the sum runs over k. k is cut into blocks of kk_depth(k) steps (product.h). For one block, a is packed into
 * panels of `height` rows, [step][row], and b into panels of `width` columns, [step][column], the last one filled up
 * with zeros. A tile, height x width, is summed in registers from zero in the order of the steps, then added to c. So
 * the bits of an element of c depend on its row of a, its column of b and k, and on nothing else: not on m, n, the
 * position, the height of the panel, or who computed it. */
#ifndef KLUERE_GEMM_H
#define KLUERE_GEMM_H
#include "include/kluere_cpu.h"

/* A matrix whose element (line, step) is at data[line * line_stride + step * step_stride]; one stride is 1. */
typedef struct kk_gemm_operand {
  const float *data;
  size_t line_stride, step_stride;
} kk_gemm_operand;

/* What happens to an element after the last block of k: x + bias, stored in pre, then the activation. */
typedef struct kk_gemm_finish {
  const float *bias; /* of the block's first column; may be NULL */
  float *pre;        /* of the block's first element, rows c_stride apart; may be NULL */
  int activation;
} kk_gemm_finish;

/* A block of c: c = (add ? c : 0) + a b over `depth` steps, then `finish` unless NULL. */
typedef struct kk_gemm_block {
  float *c;
  size_t c_stride, rows, columns, depth, height;
  const float *a, *b; /* packed; the last panel of a has rows % height rows if that is not 0 */
  const float *next;  /* a panel of b that is read after these, to be fetched meanwhile; or NULL */
  int add;
  const kk_gemm_finish *finish;
} kk_gemm_block;

/* Floats that the sums of a panel's rows take. */
#define KK_GEMM_SUMS 16

struct kk_gemm_table {
  size_t most_height, width;
  /* Packs `lines` rows of a, of which `readable` >= lines are there. sums: NULL, or per panel KK_GEMM_SUMS floats: the
   * sum of each row over the steps; only if a.line_stride is 1. */
  void (*pack_rows)(float *out, float *sums, kk_gemm_operand a, size_t lines, size_t readable, size_t height,
                    size_t depth);
  void (*pack_columns)(float *out, kk_gemm_operand b, size_t lines, size_t depth);
  void (*block)(const kk_gemm_block *block);
};

const struct kk_gemm_table *kk_gemm_table_for(int isa);

extern const struct kk_gemm_table kk_gemm_plain;
#if defined(__x86_64__)
extern const struct kk_gemm_table kk_gemm_avx2;
extern const struct kk_gemm_table kk_gemm_avx512;
#endif
#if defined(__aarch64__)
extern const struct kk_gemm_table kk_gemm_neon;
#endif
#endif
