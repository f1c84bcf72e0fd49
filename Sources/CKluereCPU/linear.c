/* linear.c - products with weights [out, in], cut into blocks for the caches and into items for the threads.
 *
 * c [m, n] = a b with the sum over k, in chunks of a few k blocks. Of each chunk a is packed once into the engine's
 * scratch, by all threads; then each item, a piece of rows by a group of columns of c, takes the k blocks in order: it
 * packs its columns of b into its worker's scratch, where they stay in the second-level cache, and lets the panels of a
 * pass by. */
#include <stdint.h>

#include "engine_internal.h"
#include "gemm.h"
#include "quantized.h"

enum {
  KK_DEPTH = 384,         /* most steps of a block */
  KK_CHUNK_BLOCKS = 4,    /* blocks of a chunk */
  KK_PIECE_ROWS = 512,    /* rows of an item, about */
  KK_GROUP_COLUMNS = 128, /* columns of an item; fewer if that leaves too few items to share out */
  KK_ENOUGH_ITEMS = 16,
  KK_PACK_PANELS = 8,     /* panels of a that one item packs */
};
/* Rough speeds of one thread, to tell whether a second one pays: multiply-adds and packed floats per microsecond, and
 * floats of weights from memory. */
#define KK_MULTIPLY_ADDS 5e4
#define KK_PACKED_FLOATS 2e3
#define KK_STREAMED_FLOATS 4e3

static size_t kk_divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }
static size_t kk_least(size_t a, size_t b) { return a < b ? a : b; }

/* Steps of a block: k in equal parts. The order of the sums, and so the bits, hang on this. */
static size_t kk_depth(size_t k) {
  size_t blocks = kk_divide_up(k, KK_DEPTH);
  return blocks ? (kk_divide_up(k, blocks) + 3) / 4 * 4 : 4;
}

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
  int wants_sums; /* of a's rows */
} kk_product;

typedef struct kk_product_run {
  const kk_product *product;
  kk_engine *engine;
  const struct kk_gemm_table *gemm;
  size_t depth, blocks;                    /* blocks of k, at least one */
  size_t height, panels;                   /* of a */
  size_t piece_rows, pieces, group_columns, groups;
  size_t pack_parts;                       /* items of one block of a */
  size_t first_block, chunk_blocks;        /* of the current chunk */
  float *packed_a;                         /* of the current chunk */
  float *sums;                             /* of the current chunk: [block][panel][KK_GEMM_SUMS] */
} kk_product_run;

static size_t kk_block_depth(const kk_product_run *run, size_t block) {
  size_t begin = kk_least(block * run->depth, run->product->k);
  return kk_least(run->product->k - begin, run->depth);
}

static void kk_pack_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_product_run *run = context;
  const kk_product *product = run->product;
  size_t chunk_block = item / run->pack_parts, panel = item % run->pack_parts * KK_PACK_PANELS;
  size_t line = panel * run->height, lines = kk_least(product->m - line, KK_PACK_PANELS * run->height);
  size_t step = (run->first_block + chunk_block) * run->depth;
  size_t depth = kk_block_depth(run, run->first_block + chunk_block);
  kk_gemm_operand a = product->a;
  a.data += line * a.line_stride + step * a.step_stride;
  float *sums = product->wants_sums ? run->sums + (chunk_block * run->panels + panel) * KK_GEMM_SUMS : NULL;
  run->gemm->pack_rows(run->packed_a + product->m * chunk_block * run->depth + line * depth, sums, a, lines,
                       product->m - line, run->height, depth);
}

/* Packs `columns` columns of b from `column` on, of all that stand in parts, `depth` steps from `step` on. A part ends
 * with a whole panel: where one begins in `packed` does not hang on the parts. */
static void kk_pack_parts_block(const struct kk_gemm_table *gemm, float *packed, const float *const *parts,
                                size_t part_lines, size_t stride, size_t column, size_t columns, size_t step,
                                size_t depth) {
  for (size_t done = 0; done < columns;) {
    size_t line = (column + done) % part_lines, lines = kk_least(columns - done, part_lines - line);
    kk_gemm_operand b = {parts[(column + done) / part_lines] + line * stride + step, stride, 1};
    gemm->pack_columns(packed + done * depth, b, lines, depth);
    done += lines;
  }
}

/* 16-bit b. For few rows memory is the limit: values become wide in registers. Else a panel becomes wide in the worker's
 * scratch, where it stays in the nearest cache while the panels of a pass by. */
static void kk_compute_narrow(const kk_product_run *run, const kk_gemm_block *whole, const uint16_t *narrow, float *wide) {
  const struct kk_quantized_table *table = run->engine->quantized;
  size_t width = run->gemm->width;
  if (run->product->m <= KK_FEW_ROWS && table->few && table->panel == width) {
    table->few(whole->c, whole->c_stride, whole->rows, whole->columns, whole->a, narrow, whole->depth, run->product->form,
               whole->add);
    if (!whole->finish) return;
    kk_gemm_block rest = *whole; /* nothing to add but what `finish` does */
    rest.depth = 0;
    rest.add = 1;
    run->gemm->block(&rest);
    return;
  }
  kk_gemm_finish finish;
  for (size_t column = 0; column < whole->columns; column += width) {
    kk_gemm_block part = *whole;
    part.c += column;
    part.columns = kk_least(whole->columns - column, width);
    table->widen(wide, narrow + column * whole->depth, width * whole->depth, run->product->form);
    part.b = wide;
    if (whole->finish) {
      finish = *whole->finish;
      if (finish.bias) finish.bias += column;
      part.finish = &finish;
    }
    run->gemm->block(&part);
  }
}

static void kk_compute_item(void *context, size_t item, size_t worker) {
  const kk_product_run *run = context;
  const kk_product *product = run->product;
  size_t group = item / run->pieces, piece = item % run->pieces;
  size_t row = piece * run->piece_rows, column = group * run->group_columns;
  size_t width = run->gemm->width, padded = kk_divide_up(product->n, width) * width;
  kk_gemm_finish finish = {product->bias ? product->bias + column : NULL,
                           product->pre ? product->pre + row * product->n + column : NULL, product->activation};
  kk_gemm_block part = {.c = product->c + row * product->n + column,
                        .c_stride = product->n,
                        .rows = kk_least(product->m - row, run->piece_rows),
                        .columns = kk_least(product->n - column, run->group_columns),
                        .height = run->height};
  for (size_t i = 0; i < run->chunk_blocks; i++) {
    size_t block = run->first_block + i, step = block * run->depth, depth = kk_block_depth(run, block);
    part.depth = depth;
    part.a = run->packed_a + product->m * i * run->depth + row * depth;
    part.add = block > 0 || product->add;
    int last = block + 1 == run->blocks;
    part.finish = last && (finish.bias || finish.pre || finish.activation) ? &finish : NULL;
    if (product->narrow_b) {
      kk_compute_narrow(run, &part, product->narrow_b + padded * step + column * depth,
                        run->engine->workers[worker].scratch.data);
      continue;
    }
    if (product->packed_b) {
      part.b = product->packed_b + padded * step + column * depth;
    } else {
      kk_gemm_operand b = product->b;
      float *packed = run->engine->workers[worker].scratch.data;
      if (product->parts) {
        kk_pack_parts_block(run->gemm, packed, product->parts, product->part_lines, product->k, column, part.columns,
                            step, depth);
      } else {
        b.data += column * b.line_stride + step * b.step_stride;
        run->gemm->pack_columns(packed, b, part.columns, depth);
      }
      part.b = packed;
    }
    run->gemm->block(&part);
  }
}

/* 0, or 1 when memory ran out. row_sums: NULL, or [m] += sums of a's rows, block after block. */
static int kk_product_compute(kk_engine *engine, const kk_product *product, float *row_sums) {
  size_t m = product->m, n = product->n, k = product->k;
  if (m == 0 || (n == 0 && !product->wants_sums)) return 0;
  kk_product_run run = {.product = product, .engine = engine, .gemm = engine->gemm};
  run.depth = kk_depth(k);
  run.blocks = k ? kk_divide_up(k, run.depth) : 1;
  run.panels = kk_divide_up(m, run.gemm->most_height);
  run.height = kk_divide_up(m, run.panels); /* equal panels: a low last one would be slow */
  run.panels = kk_divide_up(m, run.height);
  run.pack_parts = kk_divide_up(run.panels, KK_PACK_PANELS);
  run.pieces = kk_divide_up(m, KK_PIECE_ROWS);
  run.piece_rows = kk_divide_up(run.panels, run.pieces) * run.height;
  run.pieces = kk_divide_up(m, run.piece_rows);
  run.group_columns = KK_GROUP_COLUMNS;
  while (run.group_columns > run.gemm->width && run.pieces * kk_divide_up(n, run.group_columns) < KK_ENOUGH_ITEMS)
    run.group_columns /= 2;
  run.groups = kk_divide_up(n, run.group_columns);

  size_t chunk = kk_least(run.blocks, KK_CHUNK_BLOCKS), sums = 0;
  if (product->wants_sums) sums = chunk * run.panels * KK_GEMM_SUMS;
  size_t packed;
  if (__builtin_mul_overflow(m, chunk * run.depth, &packed) || __builtin_add_overflow(packed, sums, &packed)) return 1;
  float *scratch = kk_scratch(engine, packed);
  if (!scratch) return 1;
  run.packed_a = scratch + sums;
  run.sums = scratch;
  size_t wide = product->narrow_b ? run.gemm->width : product->packed_b ? 0 : run.group_columns;
  if (wide > 0 && kk_reserve_worker_scratch(engine, run.depth * wide)) return 1;

  for (; run.first_block < run.blocks; run.first_block += KK_CHUNK_BLOCKS) {
    run.chunk_blocks = kk_least(run.blocks - run.first_block, KK_CHUNK_BLOCKS);
    double steps = (double)(run.chunk_blocks * run.depth), columns = (double)n;
    kk_parallel_estimated(engine, run.chunk_blocks * run.pack_parts, (double)m * steps / KK_PACKED_FLOATS, kk_pack_item,
                          &run);
    double arithmetic = (double)m * columns * steps / KK_MULTIPLY_ADDS, memory = columns * steps / KK_STREAMED_FLOATS;
    kk_parallel_estimated(engine, run.pieces * run.groups, arithmetic > memory ? arithmetic : memory, kk_compute_item,
                          &run);
    if (product->wants_sums)
      for (size_t block = 0; block < run.chunk_blocks; block++)
        for (size_t line = 0; line < m; line++)
          row_sums[line] += run.sums[(block * run.panels + line / run.height) * KK_GEMM_SUMS + line % run.height];
  }
  return 0;
}

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
  kk_product product = {.c = dw, .m = out, .n = in, .k = rows, .a = {dy, 1, out}, .b = {x, 1, in}, .add = 1,
                        .wants_sums = dbias != NULL};
  return kk_product_compute(engine, &product, dbias);
}

/* ---- weights packed once: for each block of k, all panels -------------------------------------------------------- */
size_t kk_packed_size(const kk_engine *engine, size_t out, size_t in) {
  size_t width = engine->gemm->width, floats;
  if (__builtin_mul_overflow(kk_divide_up(out, width) * width, in, &floats)) return SIZE_MAX;
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
  size_t width = packing->gemm->width, padded = kk_divide_up(packing->out, width) * width;
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
                        kk_divide_up(out, KK_GROUP_COLUMNS)};
  kk_parallel_estimated(engine, kk_divide_up(in, packing.depth) * packing.groups,
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
  kk_half_packing packing = {packed, w, out, in, kk_depth(in), width, kk_divide_up(out, width)};
  kk_parallel_estimated(engine, kk_divide_up(in, packing.depth) * packing.panels,
                        (double)out * (double)in / KK_PACKED_FLOATS, kk_pack_half_item, &packing);
}

int kk_linear_half(kk_engine *engine, float *y, const float *x, const uint16_t *packed, const float *bias, size_t rows,
                   size_t out, size_t in, int activation, int form) {
  kk_product product = {.c = y, .m = rows, .n = out, .k = in, .a = {x, in, 1}, .narrow_b = packed, .form = form,
                        .bias = bias, .activation = activation};
  return kk_product_compute(engine, &product, NULL);
}
