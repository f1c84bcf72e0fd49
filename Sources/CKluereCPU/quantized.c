/* quantized.c - products with weights of 8 bits, cut into items for the threads. See quantized.h.
 *
 * The input is made whole numbers and packed once, by all threads; then each item, a piece of rows that stays in the
 * second-level cache by a group of columns, passes it by its panels of weights. Sums are exact: nothing hangs on how the work
 * is cut. */
#include <stdint.h>

#include "elementwise.h"
#include "engine_internal.h"
#include "quantized.h"

enum {
  KK_PIECE_WORDS = 48 << 10, /* words of a piece's input, about */
  KK_COLUMNS = 128,          /* columns of an item; fewer if that leaves too few items to share out */
  KK_ITEMS = 16,
};
/* Rough speeds of one thread, by the microsecond: multiply-adds, values made whole numbers, bytes of weights from memory. */
#define KK_BYTE_MULTIPLY_ADDS 8e4
#define KK_QUANTIZED_FLOATS 1e3
#define KK_STREAMED_BYTES 1.6e4

static size_t kk_divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }
static size_t kk_least(size_t a, size_t b) { return a < b ? a : b; }

/* Packed weights: the scales of the columns, the sums of their w, the panels. */
typedef struct kk_packed_s8 {
  const float *scales;
  const int32_t *sums;
  const int8_t *panels;
} kk_packed_s8;

/* Columns with those that fill up the last panel, and so that each part begins at 64 bytes. */
static size_t kk_padded(const kk_engine *engine, size_t out) {
  size_t width = engine->quantized->width < 16 ? 16 : engine->quantized->width;
  return kk_divide_up(out, width) * width;
}

static kk_packed_s8 kk_parts(const kk_engine *engine, const void *packed, size_t out) {
  size_t padded = kk_padded(engine, out);
  const float *scales = packed;
  return (kk_packed_s8){scales, (const int32_t *)(scales + padded), (const int8_t *)(scales + 2 * padded)};
}

size_t kk_packed_s8_size(const kk_engine *engine, size_t out, size_t in) {
  size_t group = engine->quantized->group, bytes;
  if (out > SIZE_MAX / 64 || in > KK_QUANTIZED_DEPTH) return SIZE_MAX;
  return __builtin_mul_overflow(kk_padded(engine, out), kk_divide_up(in, group) * group + 8, &bytes) ? SIZE_MAX : bytes;
}

typedef struct kk_s8_packing {
  float *scales;
  int32_t *sums;
  int8_t *panels;
  const int8_t *w;
  const float *w_scales;
  size_t out, in, width, group;
} kk_s8_packing;

static void kk_pack_s8_item(void *context, size_t panel, size_t worker) {
  (void)worker;
  const kk_s8_packing *p = context;
  size_t width = p->width, group = p->group, groups = kk_divide_up(p->in, group), column = panel * width;
  int8_t *to = p->panels + column * groups * group;
  for (size_t j = 0; j < width; j++) {
    int is_there = column + j < p->out;
    const int8_t *from = is_there ? p->w + (column + j) * p->in : NULL;
    int32_t sum = 0;
    for (size_t g = 0; g < groups; g++)
      for (size_t s = 0; s < group; s++) {
        size_t step = g * group + s;
        int8_t value = is_there && step < p->in ? from[step] : 0;
        to[(g * width + j) * group + s] = value;
        sum += value;
      }
    p->scales[column + j] = is_there ? p->w_scales[column + j] : 0.0f;
    p->sums[column + j] = sum;
  }
}

void kk_pack_s8(kk_engine *engine, void *packed, const int8_t *w, const float *scales, size_t out, size_t in) {
  if (out == 0) return;
  size_t padded = kk_padded(engine, out), width = engine->quantized->width;
  float *own = packed;
  kk_s8_packing packing = {own, (int32_t *)(own + padded), (int8_t *)(own + 2 * padded), w, scales, out, in, width,
                           engine->quantized->group};
  kk_parallel_estimated(engine, padded / width, (double)out * (double)in / KK_QUANTIZED_FLOATS, kk_pack_s8_item, &packing);
}

typedef struct kk_s8_run {
  const struct kk_quantized_table *table;
  kk_packed_s8 w;
  const float *x, *bias;
  float *y;
  void (*activate)(float *y, const float *x, size_t count);
  size_t m, n, k, groups;
  size_t height, panels, piece_rows, pieces, columns;
  uint32_t *words;
  float *scales;
  int32_t *zeros;
} kk_s8_run;

static void kk_quantize_item(void *context, size_t panel, size_t worker) {
  (void)worker;
  const kk_s8_run *run = context;
  size_t row = panel * run->height;
  run->table->quantize(run->words + row * run->groups, run->scales + row, run->zeros + row, run->x + row * run->k,
                       kk_least(run->m - row, run->height), run->k);
}

static void kk_s8_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_s8_run *run = context;
  size_t row = item % run->pieces * run->piece_rows, column = item / run->pieces * run->columns;
  kk_quantized_block block = {.y = run->y + row * run->n + column,
                              .y_stride = run->n,
                              .rows = kk_least(run->m - row, run->piece_rows),
                              .columns = kk_least(run->n - column, run->columns),
                              .groups = run->groups,
                              .height = run->height,
                              .a = run->words + row * run->groups,
                              .a_scales = run->scales + row,
                              .a_zeros = run->zeros + row,
                              .b = run->w.panels + column * run->groups * run->table->group,
                              .b_scales = run->w.scales + column,
                              .b_sums = run->w.sums + column,
                              .bias = run->bias ? run->bias + column : NULL,
                              .activate = run->activate};
  run->table->block(&block);
}

int kk_linear_s8(kk_engine *engine, float *y, const float *x, const void *packed, const float *bias, size_t rows,
                 size_t out, size_t in, int activation) {
  if (rows == 0 || out == 0) return 0;
  const struct kk_quantized_table *table = engine->quantized;
  kk_s8_run run = {.table = table, .w = kk_parts(engine, packed, out), .x = x, .bias = bias, .y = y, .m = rows, .n = out,
                   .k = in, .groups = kk_divide_up(in, table->group)};
  run.activate = activation == KK_ACT_NONE ? NULL : engine->elementwise->activate[activation];
  run.panels = kk_divide_up(rows, table->most_height);
  run.height = kk_divide_up(rows, run.panels); /* equal panels */
  run.panels = kk_divide_up(rows, run.height);
  size_t piece_panels = KK_PIECE_WORDS / (run.height * (run.groups ? run.groups : 1));
  run.piece_rows = (piece_panels ? piece_panels : 1) * run.height;
  run.pieces = kk_divide_up(rows, run.piece_rows);
  run.columns = KK_COLUMNS;
  while (run.columns > table->width && run.pieces * kk_divide_up(out, run.columns) < KK_ITEMS) run.columns /= 2;

  size_t words;
  if (__builtin_mul_overflow(rows, run.groups + 2, &words)) return 1;
  float *scratch = kk_scratch(engine, words);
  if (!scratch) return 1;
  run.scales = scratch;
  run.zeros = (int32_t *)(scratch + rows);
  run.words = (uint32_t *)(scratch + 2 * rows);
  double steps = (double)in, all = (double)rows * (double)out * steps;
  kk_parallel_estimated(engine, run.panels, (double)rows * steps / KK_QUANTIZED_FLOATS, kk_quantize_item, &run);
  double arithmetic = all / KK_BYTE_MULTIPLY_ADDS, memory = (double)out * steps / KK_STREAMED_BYTES;
  kk_parallel_estimated(engine, run.pieces * kk_divide_up(out, run.columns), arithmetic > memory ? arithmetic : memory,
                        kk_s8_item, &run);
  return 0;
}
