/* linear.c - the products of a linear layer with weights [out, in], and packing weights once. */
#include <stdint.h>

#include "engine_internal.h"
#include "product.h"

/* ---- y = act(x w^T + bias) --------------------------------------------------------------------------------------- */
int kk_linear(kk_engine *engine, float *y, float *pre, const float *x, const float *w, const float *bias, size_t rows,
              size_t out, size_t in, int activation) {
  kk_product product = {.c = y, .m = rows, .n = out, .k = in, .a = {x, in, 1}, .b = {w, in, 1}, .bias = bias,
                        .pre = pre, .activation = activation};
  return kk_product_compute(engine, &product, NULL);
}

int kk_linear_parts(kk_engine *engine, float *y, const float *x, const float *const *parts, size_t part_count,
                    const float *bias, size_t rows, size_t out, size_t in, int activation) {
  if (part_count == 0) return 0;
  kk_product product = {.c = y, .m = rows, .n = out, .k = in, .a = {x, in, 1}, .parts = parts,
                        .part_lines = out / part_count, .bias = bias, .activation = activation};
  return kk_product_compute(engine, &product, NULL);
}

/* dx [rows, in] = dy [rows, out] w [out, in]. */
int kk_linear_backward_input(kk_engine *engine, float *dx, const float *dy, const float *w, size_t rows, size_t out,
                             size_t in, int accumulate) {
  kk_product product = {.c = dx, .m = rows, .n = in, .k = out, .a = {dy, out, 1}, .b = {w, 1, in},
                        .add = accumulate};
  return kk_product_compute(engine, &product, NULL);
}

/* dw [out, in] += dy^T [out, rows] x [rows, in]; the sums of dy's columns are taken while it is packed. */
int kk_linear_backward_weight(kk_engine *engine, float *dw, float *dbias, const float *dy, const float *x, size_t rows,
                              size_t out, size_t in) {
  if (rows == 0) return 0;
  kk_product product = {.c = dw, .m = out, .n = in, .k = rows, .a = {dy, 1, out}, .b = {x, 1, in}, .add = 1};
  return kk_product_compute(engine, &product, dbias);
}

/* ---- weights packed once: for each block of k, all panels -------------------------------------------------------- */
size_t kk_packed_size(const kk_engine *engine, size_t out, size_t in) {
  size_t width = engine->gemm->width, floats;
  if (__builtin_mul_overflow(kk_up(out, width) * width, in, &floats)) return SIZE_MAX;
  return floats;
}

typedef struct kk_packing {
  const struct kk_gemm_table *gemm;
  float *packed;
  const float *const *parts;
  size_t part_rows, out, in, depth, groups;
} kk_packing;

static void kk_pack_weight_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_packing *packing = context;
  size_t width = packing->gemm->width, padded = kk_up(packing->out, width) * width;
  size_t step = item / packing->groups * packing->depth, column = item % packing->groups * KK_GROUP_COLUMNS;
  size_t depth = kk_least(packing->in - step, packing->depth);
  kk_pack_parts_block(packing->gemm, packing->packed + padded * step + column * depth, packing->parts,
                      packing->part_rows, packing->in, column, kk_least(packing->out - column, KK_GROUP_COLUMNS), step,
                      depth);
}

void kk_pack(kk_engine *engine, float *packed, const float *w, size_t out, size_t in) {
  kk_pack_parts(engine, packed, &w, 1, out, in);
}

void kk_pack_parts(kk_engine *engine, float *packed, const float *const *parts, size_t part_count, size_t out,
                   size_t in) {
  if (out == 0 || in == 0 || part_count == 0) return;
  kk_packing packing = {engine->gemm, packed, parts, out / part_count, out, in, kk_depth(in),
                        kk_up(out, KK_GROUP_COLUMNS)};
  kk_parallel_estimated(engine, kk_up(in, packing.depth) * packing.groups,
                        (double)out * (double)in / KK_PACKED_FLOATS, kk_pack_weight_item, &packing);
}

int kk_linear_packed(kk_engine *engine, float *y, const float *x, const float *packed, const float *bias, size_t rows,
                     size_t out, size_t in, int activation) {
  kk_product product = {.c = y, .m = rows, .n = out, .k = in, .a = {x, in, 1}, .packed_b = packed, .bias = bias,
                        .activation = activation};
  return kk_product_compute(engine, &product, NULL);
}

/* ---- the same in 16 bits ----------------------------------------------------------------------------------------- */
size_t kk_packed_half_size(const kk_engine *engine, size_t out, size_t in) {
  size_t values = kk_packed_size(engine, out, in), bytes;
  return __builtin_mul_overflow(values, sizeof(uint16_t), &bytes) ? SIZE_MAX : bytes;
}

typedef struct kk_half_packing {
  uint16_t *packed;
  const uint16_t *w;
  size_t out, in, depth, width, panels;
} kk_half_packing;

/* One panel of one block of k. */
static void kk_pack_half_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_half_packing *packing = context;
  size_t width = packing->width, column = item % packing->panels * width, step = item / packing->panels * packing->depth;
  size_t depth = kk_least(packing->in - step, packing->depth);
  uint16_t *to = packing->packed + packing->panels * width * step + column * depth;
  for (size_t j = 0; j < width; j++)
    for (size_t s = 0; s < depth; s++)
      to[s * width + j] = column + j < packing->out ? packing->w[(column + j) * packing->in + step + s] : 0;
}

void kk_pack_half(kk_engine *engine, uint16_t *packed, const uint16_t *w, size_t out, size_t in) {
  if (out == 0 || in == 0) return;
  size_t width = engine->gemm->width;
  kk_half_packing packing = {packed, w, out, in, kk_depth(in), width, kk_up(out, width)};
  kk_parallel_estimated(engine, kk_up(in, packing.depth) * packing.panels,
                        (double)out * (double)in / KK_PACKED_FLOATS, kk_pack_half_item, &packing);
}

int kk_linear_half(kk_engine *engine, float *y, const float *x, const uint16_t *packed, const float *bias, size_t rows,
                   size_t out, size_t in, int activation, int form) {
  kk_product product = {.c = y, .m = rows, .n = out, .k = in, .a = {x, in, 1}, .narrow_b = packed, .form = form,
                        .bias = bias, .activation = activation};
  return kk_product_compute(engine, &product, NULL);
}
