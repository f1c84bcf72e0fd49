/* quantized.c - products with weights of 8 bits, cut into items for the threads. See quantized.h.
 *
 * The input is made whole numbers by the core that reads them (product.c says why). Of many rows an item has a piece of them,
 * which stays in the second-level cache, and all columns; of few it has all rows and a group of columns, and each worker makes
 * the rows whole numbers once, or all workers together where they are many. Sums are exact: nothing hangs on how the work is
 * cut. */
#include <stdint.h>
#include <string.h>

#include "elementwise.h"
#include "engine_internal.h"
#include "product.h"
#include "quantized.h"

enum {
  KK_PIECE_WORDS = 48 << 10,  /* most words of a piece's input, about */
  KK_FEW_WHOLE = 192,         /* rows of which items take all */
  KK_COLUMNS = 128,           /* columns of such an item; fewer if that leaves too few items to share out */
};
/* Rough speeds of one thread, by the microsecond: multiply-adds, values made whole numbers, bytes of weights from memory. */
#define KK_BYTE_MULTIPLY_ADDS 8e4
#define KK_QUANTIZED_FLOATS 1e3
#define KK_STREAMED_BYTES 1.6e4

/* Packed weights: whether they are packed for the table `bytes`, the scales of the columns, the sums of their w, the panels. */
typedef struct kk_packed_s8 {
  int32_t *is_bytes;
  float *scales;
  int32_t *sums;
  int8_t *panels;
} kk_packed_s8;
enum { KK_PACKED_HEAD = 64 };

/* Columns with those that fill up the last panel, and so that each part begins at 64 bytes. */
static size_t kk_padded(const kk_engine *engine, size_t out) {
  size_t width = engine->quantized->width < 16 ? 16 : engine->quantized->width;
  return kk_up(out, width) * width;
}

static size_t kk_groups(const struct kk_quantized_table *table, size_t in) {
  return kk_up(in, table->group * table->unit) * table->unit;
}

static kk_packed_s8 kk_parts(const kk_engine *engine, const void *packed, size_t out) {
  size_t padded = kk_padded(engine, out);
  char *base = (char *)packed;
  float *scales = (float *)(base + KK_PACKED_HEAD);
  return (kk_packed_s8){(int32_t *)base, scales, (int32_t *)(scales + padded), (int8_t *)(scales + 2 * padded)};
}

size_t kk_packed_s8_size(const kk_engine *engine, size_t out, size_t in) {
  const struct kk_quantized_table *table = engine->quantized, *bytes = table->bytes;
  if (out > SIZE_MAX / 64 || in > KK_QUANTIZED_DEPTH) return SIZE_MAX;
  size_t steps = kk_groups(table, in) * table->group, size;
  if (bytes && kk_groups(bytes, in) * bytes->group > steps) steps = kk_groups(bytes, in) * bytes->group;
  if (__builtin_mul_overflow(kk_padded(engine, out), steps + 8, &size)) return SIZE_MAX;
  return __builtin_add_overflow(size, KK_PACKED_HEAD, &size) ? SIZE_MAX : size;
}

typedef struct kk_s8_packing {
  kk_packed_s8 to;
  const int8_t *w;
  const float *w_scales;
  size_t out, in;
  const struct kk_quantized_table *table;
} kk_s8_packing;

typedef int16_t kk_eight __attribute__((vector_size(16)));

/* The sums over both fours of a unit, in lanes 0 and 2. */
static inline kk_eight kk_sum_fours(kk_eight x) {
  x += __builtin_shufflevector(x, x, 4, 5, 6, 7, 4, 5, 6, 7);
  return x + __builtin_shufflevector(x, x, 1, 1, 3, 3, 1, 1, 3, 3);
}

/* Whether all fours of a row of weights stay in 16 bits. */
static int kk_fours_fit(const int8_t *w, size_t count) {
  enum { CHUNK = 4 * KK_FOURS_STEPS };
  for (size_t begin = 0; begin < count; begin += CHUNK) {
    size_t end = begin + kk_least(count - begin, CHUNK);
    kk_eight most = {0};
    for (size_t step = begin; step < end; step += KK_FOURS_STEPS) {
      typedef int8_t kk_unit __attribute__((vector_size(KK_FOURS_STEPS)));
      kk_unit unit = {0};
      memcpy(&unit, w + step, kk_least(end - step, KK_FOURS_STEPS));
      kk_eight x = __builtin_convertvector(unit, kk_eight), above = x & (x > 0);
      kk_eight sums = kk_sum_fours(above), below = kk_sum_fours(above - x);
      most = (sums & (sums > most)) | (most & ~(sums > most));
      most = (below & (below > most)) | (most & ~(below > most));
    }
    if (most[0] > KK_FOURS_SUM || most[2] > KK_FOURS_SUM) return 0;
  }
  return 1;
}

/* sums of a panel: 1 where the fours of a column fit. */
static void kk_fours_item(void *context, size_t panel, size_t worker) {
  (void)worker;
  const kk_s8_packing *p = context;
  size_t width = p->table->width;
  for (size_t column = panel * width; column < (panel + 1) * width; column++)
    p->to.sums[column] = column >= p->out || kk_fours_fit(p->w + column * p->in, p->in);
}

static void kk_pack_s8_item(void *context, size_t panel, size_t worker) {
  (void)worker;
  const kk_s8_packing *p = context;
  size_t width = p->table->width, group = p->table->group, groups = kk_groups(p->table, p->in), column = panel * width;
  int8_t *to = p->to.panels + column * groups * group;
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
    p->to.scales[column + j] = is_there ? p->w_scales[column + j] : 0.0f;
    p->to.sums[column + j] = sum;
  }
}

void kk_pack_s8(kk_engine *engine, void *packed, const int8_t *w, const float *scales, size_t out, size_t in) {
  if (out == 0) return;
  kk_s8_packing packing = {kk_parts(engine, packed, out), w, scales, out, in, engine->quantized->bytes};
  size_t padded = kk_padded(engine, out), panels = padded / engine->quantized->width;
  double work = (double)out * (double)in / KK_QUANTIZED_FLOATS;
  int fit = packing.table != NULL;
  if (fit) kk_parallel_estimated(engine, panels, work, kk_fours_item, &packing);
  for (size_t column = 0; fit && column < padded; column++) fit = packing.to.sums[column];
  *packing.to.is_bytes = fit;
  if (!fit) packing.table = engine->quantized;
  kk_parallel_estimated(engine, panels, work, kk_pack_s8_item, &packing);
}

int kk_packed_sums_fours(const void *packed) { return *(const int32_t *)packed; }
int kk_engine_sums_fours(const kk_engine *engine) { return engine->quantized->bytes != NULL; }

typedef struct kk_s8_run {
  kk_engine *engine;
  const struct kk_quantized_table *table;
  kk_packed_s8 w;
  const float *x, *bias;
  float *y;
  void (*activate)(float *y, const float *x, size_t count);
  size_t m, n, k, groups;
  size_t height, panels, piece_rows, pieces, columns, column_groups;
  int by_rows;
  float *shared; /* the input in whole numbers, of all workers; NULL: each has its own */
  size_t number; /* of the product, among all that the engine ever computed */
} kk_s8_run;

/* Rows in whole numbers: their scales, zeros and words. */
typedef struct kk_s8_rows {
  float *scales;
  int32_t *zeros;
  uint32_t *words;
} kk_s8_rows;

static kk_s8_rows kk_rows_at(float *memory, size_t rows) {
  return (kk_s8_rows){memory, (int32_t *)(memory + rows), (uint32_t *)(memory + 2 * rows)};
}

static void kk_make_whole(const kk_s8_run *run, kk_s8_rows to, size_t row, size_t rows) {
  for (size_t done = 0; done < rows; done += run->height)
    run->table->quantize(to.words + done * run->groups, to.scales + done, to.zeros + done, run->x + (row + done) * run->k,
                         kk_least(rows - done, run->height), run->k);
}

static void kk_quantize_item(void *context, size_t panel, size_t worker) {
  (void)worker;
  const kk_s8_run *run = context;
  size_t row = panel * run->height;
  kk_s8_rows all = kk_rows_at(run->shared, run->m);
  kk_s8_rows to = {all.scales + row, all.zeros + row, all.words + row * run->groups};
  kk_make_whole(run, to, row, kk_least(run->m - row, run->height));
}

/* The rows of a piece in whole numbers, where this worker has them. */
static kk_s8_rows kk_own_rows(const kk_s8_run *run, size_t row, size_t rows, size_t worker) {
  if (run->shared) return kk_rows_at(run->shared, run->m);
  kk_worker *mine = &run->engine->workers[worker];
  kk_s8_rows own = kk_rows_at(mine->scratch.data, run->by_rows ? run->piece_rows : run->m);
  if (run->by_rows || mine->common != run->number) kk_make_whole(run, own, row, rows);
  if (!run->by_rows) mine->common = run->number;
  return own;
}

static void kk_s8_item(void *context, size_t item, size_t worker) {
  const kk_s8_run *run = context;
  size_t row = run->by_rows ? item / run->column_groups * run->piece_rows : 0;
  size_t column = item % run->column_groups * run->columns, rows = kk_least(run->m - row, run->piece_rows);
  kk_s8_rows own = kk_own_rows(run, row, rows, worker);
  kk_quantized_block block = {.y = run->y + row * run->n + column,
                              .y_stride = run->n,
                              .rows = rows,
                              .columns = kk_least(run->n - column, run->columns),
                              .groups = run->groups,
                              .height = run->height,
                              .a = own.words,
                              .a_scales = own.scales,
                              .a_zeros = own.zeros,
                              .b = run->w.panels + column * run->groups * run->table->group,
                              .b_scales = run->w.scales + column,
                              .b_sums = run->w.sums + column,
                              .bias = run->bias ? run->bias + column : NULL,
                              .activate = run->activate};
  run->table->block(&block);
}

/* Pieces of rows, or groups of columns. */
static void kk_s8_cut(kk_s8_run *run) {
  size_t width = run->table->width, padded = kk_padded(run->engine, run->n);
  size_t workers = (size_t)run->engine->threads, wanted = workers * KK_ITEMS_PER_WORKER;
  run->by_rows = run->m > KK_FEW_WHOLE;
  run->piece_rows = run->m;
  run->pieces = 1;
  run->columns = run->by_rows ? padded : KK_COLUMNS;
  if (run->by_rows) {
    size_t most = KK_PIECE_WORDS / (run->height * (run->groups ? run->groups : 1));
    run->pieces = kk_up(run->panels, most ? most : 1);
    if (run->pieces < wanted) run->pieces = kk_least(wanted, kk_up(run->panels, 4));
    if (workers > 1) run->pieces = kk_up(run->pieces, workers) * workers;
    run->piece_rows = kk_up(run->panels, run->pieces) * run->height;
    run->pieces = kk_up(run->m, run->piece_rows);
  }
  if (run->by_rows) wanted = workers; /* each group of columns makes a piece's rows whole numbers again */
  while (run->columns > width && run->pieces * kk_up(run->n, run->columns) < wanted)
    run->columns = kk_up(run->columns / width, 2) * width;
  run->column_groups = kk_up(run->n, run->columns);
}

int kk_linear_s8(kk_engine *engine, float *y, const float *x, const void *packed, const float *bias, size_t rows,
                 size_t out, size_t in, int activation) {
  if (rows == 0 || out == 0) return 0;
  kk_packed_s8 w = kk_parts(engine, packed, out);
  const struct kk_quantized_table *table = *w.is_bytes ? engine->quantized->bytes : engine->quantized;
  kk_s8_run run = {.engine = engine, .table = table, .w = w, .x = x, .bias = bias, .y = y,
                   .m = rows, .n = out, .k = in, .groups = kk_groups(table, in)};
  run.activate = activation == KK_ACT_NONE ? NULL : engine->elementwise->activate[activation];
  run.panels = kk_up(rows, table->most_height);
  run.height = kk_up(rows, run.panels); /* equal panels */
  run.panels = kk_up(rows, run.height);
  kk_s8_cut(&run);
  run.number = ++engine->products;
  int shares = !run.by_rows && engine->threads > KK_WORKERS_THAT_REPEAT;
  size_t words;
  if (__builtin_mul_overflow(run.piece_rows, run.groups + 2, &words)) return 1;
  if (shares) {
    run.shared = kk_scratch(engine, words);
    if (!run.shared) return 1;
  } else if (kk_reserve_worker_scratch(engine, words)) {
    return 1;
  }
  double steps = (double)in, all = (double)rows * (double)out * steps;
  double making = (double)rows * steps / KK_QUANTIZED_FLOATS;
  if (shares) kk_parallel_estimated(engine, run.panels, making, kk_quantize_item, &run);
  double arithmetic = all / KK_BYTE_MULTIPLY_ADDS, memory = (double)out * steps / KK_STREAMED_BYTES;
  kk_parallel_estimated(engine, run.pieces * run.column_groups, (arithmetic > memory ? arithmetic : memory) + making,
                        kk_s8_item, &run);
  return 0;
}
