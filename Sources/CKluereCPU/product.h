/* product.h - a matrix product, cut into blocks for the caches and into items for the threads. */
#ifndef KLUERE_PRODUCT_H
#define KLUERE_PRODUCT_H
#include <stdint.h>

#include "engine_internal.h"
#include "gemm.h"

enum {
  KK_DEPTH = 384,             /* most steps of a block of k */
  KK_GROUP_COLUMNS = 128,     /* most columns that are packed in one go */
  KK_ITEMS_PER_WORKER = 4,    /* at least, if there are as many */
  KK_WORKERS_THAT_REPEAT = 4, /* up to this many prepare what all items read each for itself */
};
/* Rough speeds of one thread, to tell whether a second one pays: packed floats per microsecond. */
#define KK_PACKED_FLOATS 2e3

static inline size_t kk_up(size_t a, size_t b) { return a / b + (a % b != 0); }
static inline size_t kk_least(size_t a, size_t b) { return a < b ? a : b; }

/* Steps of a block: k in equal parts. The order of the sums, and so the bits, hang on this. */
static inline size_t kk_depth(size_t k) {
  size_t blocks = kk_up(k, KK_DEPTH);
  return blocks ? (kk_up(k, blocks) + 3) / 4 * 4 : 4;
}

/* c [m, n] = (add ? c : 0) + a b, then bias, `pre`, activation. */
typedef struct kk_product {
  float *c;
  size_t m, n, k;
  kk_gemm_operand a, b;
  const float *packed_b;    /* all blocks, or NULL: b is packed on the way */
  const uint16_t *narrow_b; /* or all blocks in 16 bits of `form` */
  int form;
  const float *const *parts; /* b's lines, part_lines of each: instead of b.data; or NULL */
  size_t part_lines;
  int add;
  const float *bias;
  float *pre;
  int activation;
} kk_product;

/* 0, or 1 when memory ran out. row_sums: NULL, or [m] += sums of a's rows, block after block; only if a.line_stride is 1. */
int kk_product_compute(kk_engine *engine, const kk_product *product, float *row_sums);

/* Packs `columns` columns of b from `column` on, of all that stand in parts, `depth` steps from `step` on. A part ends
 * with a whole panel: where one begins in `packed` does not hang on the parts. */
void kk_pack_parts_block(const struct kk_gemm_table *gemm, float *packed, const float *const *parts, size_t part_lines,
                         size_t stride, size_t column, size_t columns, size_t step, size_t depth);
#endif
