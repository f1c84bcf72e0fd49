/* product.c - how a matrix product is shared out.
 *
 * c [m, n] = a b with the sum over k, in blocks. An item is a piece of rows by a group of columns of c; it takes the blocks
 * of k in order. Each worker packs what it reads into its own scratch: memory that one core writes and another reads costs
 * more than packing twice (a line that another core has takes some 40 to 100 ns to write, packing one 8). Of many rows each
 * item has its own and all columns, of few rows all rows and its own columns. So one operand is an item's own, packed when
 * the item needs it, and the other is the same for all items: it is packed once by every worker, at its first item, and
 * stays in the scratch; or once for all before the items, where there are so many workers that this is less. */
#include "product.h"

#include "quantized.h"

enum {
  KK_PIECE_PANELS = 16,        /* most panels of a in a piece: with a block's depth they fit into the second cache */
  KK_FEW_PIECES = 2,           /* pieces of fewer rows than these are no items of their own */
  KK_PACK_PANELS = 8,          /* panels of a that one item of packing takes */
};
/* Rough speeds of one thread, to tell whether a second one pays: multiply-adds per microsecond, and floats of weights from
 * memory. */
#define KK_MULTIPLY_ADDS 5e4
#define KK_STREAMED_FLOATS 4e3

typedef struct kk_product_run {
  const kk_product *product;
  kk_engine *engine;
  const struct kk_gemm_table *gemm;
  float *row_sums;
  size_t depth, blocks;  /* of k: at least one */
  size_t height, panels; /* of a */
  int by_rows;           /* the common operand is b, else a */
  int packs_b;
  size_t piece_rows, pieces, group_columns, groups;
  /* The present chunk. */
  size_t first_column, columns, first_block, chunk_blocks;
  /* The common operand of the chunk: how many items pack a block of it, and where it is if all workers share it. */
  size_t pack_parts;
  float *shared;
  float *sums; /* of a's rows, where a is common: [block][panel][KK_GEMM_SUMS] */
  size_t own_floats; /* of a worker's scratch, before the common operand */
  size_t number;     /* of the chunk, among all that the engine ever computed */
} kk_product_run;

static size_t kk_block_depth(const kk_product_run *run, size_t block) {
  size_t begin = kk_least(block * run->depth, run->product->k);
  return kk_least(run->product->k - begin, run->depth);
}

static size_t kk_padded(const kk_product_run *run, size_t columns) {
  return kk_up(columns, run->gemm->width) * run->gemm->width;
}

void kk_pack_parts_block(const struct kk_gemm_table *gemm, float *packed, const float *const *parts, size_t part_lines,
                         size_t stride, size_t column, size_t columns, size_t step, size_t depth) {
  for (size_t done = 0; done < columns;) {
    size_t line = (column + done) % part_lines, lines = kk_least(columns - done, part_lines - line);
    kk_gemm_operand b = {parts[(column + done) / part_lines] + line * stride + step, stride, 1};
    gemm->pack_columns(packed + done * depth, b, lines, depth);
    done += lines;
  }
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */
static void kk_pack_a(const kk_product_run *run, float *packed, float *sums, size_t row, size_t rows, size_t block) {
  const kk_product *product = run->product;
  kk_gemm_operand a = product->a;
  a.data += row * a.line_stride + block * run->depth * a.step_stride;
  run->gemm->pack_rows(packed, sums, a, rows, product->m - row, run->height, kk_block_depth(run, block));
}

static void kk_pack_b(const kk_product_run *run, float *packed, size_t column, size_t columns, size_t block) {
  const kk_product *product = run->product;
  size_t step = block * run->depth, depth = kk_block_depth(run, block);
  if (product->parts) {
    kk_pack_parts_block(run->gemm, packed, product->parts, product->part_lines, product->k, column, columns, step, depth);
    return;
  }
  kk_gemm_operand b = product->b;
  b.data += column * b.line_stride + step * b.step_stride;
  run->gemm->pack_columns(packed, b, columns, depth);
}

/* One part of the common operand, of all blocks of the chunk one after the other. */
static void kk_pack_common(const kk_product_run *run, float *packed, float *sums, size_t part) {
  size_t chunk_block = part / run->pack_parts, block = run->first_block + chunk_block;
  size_t place = part % run->pack_parts, before = chunk_block * run->depth, depth = kk_block_depth(run, block);
  if (run->by_rows) {
    size_t column = place * KK_GROUP_COLUMNS;
    kk_pack_b(run, packed + kk_padded(run, run->columns) * before + column * depth, run->first_column + column,
              kk_least(run->columns - column, KK_GROUP_COLUMNS), block);
  } else {
    size_t m = run->product->m, panel = place * KK_PACK_PANELS, row = panel * run->height;
    if (sums) sums += (chunk_block * run->panels + panel) * KK_GEMM_SUMS;
    kk_pack_a(run, packed + m * before + row * depth, sums, row, kk_least(m - row, KK_PACK_PANELS * run->height), block);
  }
}

static void kk_pack_common_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_product_run *run = context;
  kk_pack_common(run, run->shared, run->sums, item);
}

/* The chunk's common operand: a worker packs it when its first item asks. Item 0 is some worker's first: the sums come with
 * it. */
static const float *kk_common(const kk_product_run *run, size_t item, size_t worker) {
  if (run->shared) return run->shared;
  kk_worker *mine = &run->engine->workers[worker];
  float *packed = mine->scratch.data + run->own_floats;
  if (mine->common == run->number) return packed;
  mine->common = run->number;
  for (size_t part = 0; part < run->chunk_blocks * run->pack_parts; part++)
    kk_pack_common(run, packed, item == 0 ? run->sums : NULL, part);
  return packed;
}

/* ---- computing --------------------------------------------------------------------------------------------------- */
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

/* The sums of the rows of one piece, whose panels were packed with them. */
static void kk_add_sums(const kk_product_run *run, const float *sums, size_t row, size_t rows) {
  for (size_t line = 0; line < rows; line++)
    run->row_sums[row + line] += sums[line / run->height * KK_GEMM_SUMS + line % run->height];
}

static void kk_compute_item(void *context, size_t item, size_t worker) {
  const kk_product_run *run = context;
  const kk_product *product = run->product;
  size_t piece = run->by_rows ? item / run->groups : item % run->pieces;
  size_t group = run->by_rows ? item % run->groups : item / run->pieces;
  size_t row = piece * run->piece_rows, place = group * run->group_columns, column = run->first_column + place;
  float *own = run->engine->workers[worker].scratch.data;
  const float *common = run->by_rows && !run->packs_b ? NULL : kk_common(run, item, worker);
  float sums[KK_PIECE_PANELS * KK_GEMM_SUMS];
  int takes_sums = run->row_sums && run->by_rows && column == 0;
  kk_gemm_finish finish = {product->bias ? product->bias + column : NULL,
                           product->pre ? product->pre + row * product->n + column : NULL, product->activation};
  kk_gemm_block part = {.c = product->c + row * product->n + column,
                        .c_stride = product->n,
                        .rows = kk_least(product->m - row, run->piece_rows),
                        .columns = kk_least(run->columns - place, run->group_columns),
                        .height = run->height};
  for (size_t i = 0; i < run->chunk_blocks; i++) {
    size_t block = run->first_block + i, step = block * run->depth, depth = kk_block_depth(run, block);
    part.depth = depth;
    part.add = block > 0 || product->add;
    int last = block + 1 == run->blocks;
    part.finish = last && (finish.bias || finish.pre || finish.activation) ? &finish : NULL;
    if (run->by_rows) {
      kk_pack_a(run, own, takes_sums ? sums : NULL, row, part.rows, block);
      if (takes_sums) kk_add_sums(run, sums, row, part.rows);
      part.a = own;
    } else {
      part.a = common + product->m * i * run->depth + row * depth;
    }
    size_t padded = kk_padded(run, product->n);
    if (product->narrow_b) {
      kk_compute_narrow(run, &part, product->narrow_b + padded * step + column * depth,
                        own + (run->by_rows ? kk_up(run->piece_rows * run->depth, 16) * 16 : 0));
      continue;
    }
    if (product->packed_b) {
      part.b = product->packed_b + padded * step + column * depth;
      part.next = last ? NULL : product->packed_b + padded * (step + depth) + column * kk_block_depth(run, block + 1);
    } else if (run->by_rows) {
      part.b = common + kk_padded(run, run->columns) * i * run->depth + place * depth;
    } else {
      kk_pack_b(run, own, column, part.columns, block);
      part.b = own;
    }
    run->gemm->block(&part);
  }
}

/* ---- cutting ----------------------------------------------------------------------------------------------------- */
/* Pieces and groups of the chunks: enough items for all workers, rows shared out first where rows are. */
static void kk_cut(kk_product_run *run, size_t columns) {
  const kk_product *product = run->product;
  size_t width = run->gemm->width, workers = (size_t)run->engine->threads, wanted = workers * KK_ITEMS_PER_WORKER;
  size_t most = run->by_rows ? KK_PIECE_PANELS : 4 * KK_PIECE_PANELS, padded = kk_padded(run, columns ? columns : 1);
  run->pieces = kk_up(run->panels, most);
  run->group_columns = run->by_rows ? padded : kk_least(padded, KK_GROUP_COLUMNS);
  if (run->by_rows) {
    size_t least = kk_up(run->panels, KK_PIECE_PANELS / 4);
    if (run->pieces < wanted) run->pieces = kk_least(wanted, least);
    /* As many for each worker. */
    if (workers > 1 && run->pieces > workers) run->pieces = kk_up(run->pieces, workers) * workers;
  }
  run->piece_rows = kk_up(run->panels, run->pieces) * run->height;
  run->pieces = kk_up(product->m, run->piece_rows);
  /* Each group of columns packs a piece's rows again: they are cut only where workers would have none. */
  if (run->by_rows) wanted = workers;
  while (run->group_columns > width && run->pieces * kk_up(columns, run->group_columns) < wanted)
    run->group_columns = kk_up(run->group_columns / width, 2) * width;
}

/* The present chunk: what all share is packed, the items run, the sums of a's rows are added. */
static void kk_compute_chunk(kk_product_run *run) {
  size_t m = run->product->m;
  run->number = ++run->engine->products;
  double steps = (double)(run->chunk_blocks * run->depth), columns = (double)run->columns;
  double packing = ((double)m + (run->packs_b ? columns : 0)) * steps / KK_PACKED_FLOATS;
  if (run->shared)
    kk_parallel_estimated(run->engine, run->chunk_blocks * run->pack_parts, packing, kk_pack_common_item, run);
  double arithmetic = (double)m * columns * steps / KK_MULTIPLY_ADDS, memory = columns * steps / KK_STREAMED_FLOATS;
  kk_parallel_estimated(run->engine, run->pieces * run->groups, (arithmetic > memory ? arithmetic : memory) + packing,
                        kk_compute_item, run);
  if (run->sums)
    for (size_t block = 0; block < run->chunk_blocks; block++)
      kk_add_sums(run, run->sums + block * run->panels * KK_GEMM_SUMS, 0, m);
}

int kk_product_compute(kk_engine *engine, const kk_product *product, float *row_sums) {
  size_t m = product->m, n = product->n, k = product->k;
  if (m == 0 || (n == 0 && !row_sums)) return 0;
  kk_product_run run = {.product = product, .engine = engine, .gemm = engine->gemm, .row_sums = row_sums};
  run.depth = kk_depth(k);
  run.blocks = k ? kk_up(k, run.depth) : 1;
  run.panels = kk_up(m, run.gemm->most_height);
  run.height = kk_up(m, run.panels); /* equal panels: a low last one would be slow */
  run.panels = kk_up(m, run.height);
  run.packs_b = !product->packed_b && !product->narrow_b;
  run.by_rows = run.panels >= KK_FEW_PIECES * KK_PIECE_PANELS && (!run.packs_b || m >= n);

  /* Chunks: as many columns, and then blocks of k, as the common operand may have. */
  size_t lines = run.by_rows && n > 0 ? n : m, most = engine->most_packed / run.depth, chunks = 1;
  if (most < KK_GROUP_COLUMNS) most = KK_GROUP_COLUMNS;
  run.chunk_blocks = run.blocks;
  if (!run.by_rows || run.packs_b) {
    if (run.by_rows && n > most) chunks = kk_up(n, most / KK_GROUP_COLUMNS * KK_GROUP_COLUMNS);
    run.chunk_blocks = lines < most ? kk_least(run.blocks, most / lines) : 1;
  }
  size_t chunk_columns = chunks > 1 ? kk_up(kk_up(n, chunks), KK_GROUP_COLUMNS) * KK_GROUP_COLUMNS : n;
  kk_cut(&run, kk_least(n, chunk_columns));
  run.pack_parts = run.by_rows ? kk_up(chunk_columns, KK_GROUP_COLUMNS) : kk_up(run.panels, KK_PACK_PANELS);

  /* Scratch: a worker's own part, and the common operand, of the workers or of all. */
  size_t common = 0, sums = 0, own = run.by_rows ? run.piece_rows : run.packs_b ? run.group_columns : 0;
  own = kk_up(own * run.depth, 16) * 16; /* what follows begins a cache line */
  if (product->narrow_b) own += run.gemm->width * run.depth;
  if (!run.by_rows || run.packs_b) {
    size_t padded = run.by_rows ? kk_padded(&run, chunk_columns) : m;
    if (__builtin_mul_overflow(padded, run.chunk_blocks * run.depth, &common)) return 1;
  }
  if (row_sums && !run.by_rows) sums = run.chunk_blocks * run.panels * KK_GEMM_SUMS;
  int shares = common > 0 && engine->threads > KK_WORKERS_THAT_REPEAT;
  size_t total;
  if (__builtin_add_overflow(shares ? common : 0, sums, &total)) return 1;
  float *scratch = total ? kk_scratch(engine, total) : NULL;
  if (total && !scratch) return 1;
  run.sums = sums ? scratch : NULL;
  run.shared = shares ? scratch + sums : NULL;
  run.own_floats = own;
  if (__builtin_add_overflow(own, shares ? 0 : common, &total)) return 1;
  if (total && kk_reserve_worker_scratch(engine, total)) return 1;

  size_t chunk_blocks = run.chunk_blocks;
  for (size_t chunk = 0; chunk < chunks; chunk++) {
    run.first_column = chunk * chunk_columns;
    if (chunk > 0 && run.first_column >= n) break;
    run.columns = kk_least(n - run.first_column, chunk_columns);
    run.groups = run.columns ? kk_up(run.columns, run.group_columns) : 1; /* without columns there are still sums */
    if (run.by_rows) run.pack_parts = kk_up(run.columns, KK_GROUP_COLUMNS);
    for (run.first_block = 0; run.first_block < run.blocks; run.first_block += chunk_blocks) {
      run.chunk_blocks = kk_least(run.blocks - run.first_block, chunk_blocks);
      kk_compute_chunk(&run);
    }
  }
  return 0;
}
