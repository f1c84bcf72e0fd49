/* gemm_kernel.h - packing and tiles, written once over the names of simd_*.h. The including file sets
 * KK_GEMM_HEIGHT, the rows of the largest tile (6 or 14), KK_GEMM_VECTORS, the vectors across one, and
 * KK_GEMM_RESIDENT, see kk_block. */
#include "gemm.h"

#define KK_GEMM_WIDTH (KK_GEMM_VECTORS * KK_WIDTH)
#define KK_GEMM_AHEAD 8    /* steps of b that are fetched ahead */
/* Floats of the next panel of b that four steps fetch, see kk_block: half of a panel in a tile, or all of it. */
#define KK_GEMM_NEXT ((KK_GEMM_RESIDENT > 1 ? 2 : 4) * KK_GEMM_WIDTH)
#define KK_GEMM_SHALLOW 64 /* steps, see kk_block */
#define KK_UNROLL _Pragma("clang loop unroll(full)")

/* ---- packing ----------------------------------------------------------------------------------------------------- */
typedef float kk_four __attribute__((vector_size(16), aligned(4)));

/* out[step * height + row] for 4 rows and 4 steps. */
KK_INLINE void kk_pack_4x4(float *out, size_t height, const float *a, size_t stride) {
  kk_four r0 = *(const kk_four *)a, r1 = *(const kk_four *)(a + stride);
  kk_four r2 = *(const kk_four *)(a + 2 * stride), r3 = *(const kk_four *)(a + 3 * stride);
  kk_four s0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), s1 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  kk_four t0 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), t1 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  *(kk_four *)out = __builtin_shufflevector(s0, t0, 0, 1, 4, 5);
  *(kk_four *)(out + height) = __builtin_shufflevector(s0, t0, 2, 3, 6, 7);
  *(kk_four *)(out + 2 * height) = __builtin_shufflevector(s1, t1, 0, 1, 4, 5);
  *(kk_four *)(out + 3 * height) = __builtin_shufflevector(s1, t1, 2, 3, 6, 7);
}

/* One panel whose rows lie along memory. Sixteen steps at a time: a whole cache line of every row. */
static void kk_pack_panel_transposed(float *out, const float *a, size_t stride, size_t height, size_t depth) {
  size_t step = 0;
  if (height >= 4)
    for (; step + 4 <= depth;) {
      size_t end = step + 16 <= depth ? step + 16 : step + (depth - step) / 4 * 4;
      for (size_t row = 0; row < height; row += 4) {
        size_t first = row + 4 <= height ? row : height - 4; /* the last four rows may be packed twice */
        for (size_t s = step; s < end; s += 4)
          kk_pack_4x4(out + s * height + first, height, a + first * stride + s, stride);
      }
      step = end;
    }
  for (; step < depth; step++)
    for (size_t row = 0; row < height; row++) out[step * height + row] = a[row * stride + step];
}

/* Panels whose steps lie along memory: 16 steps of each panel in turn, so that memory is read along its rows. */
static void kk_pack_rows_copied(float *out, float *sums, const float *a, size_t stride, size_t lines, size_t readable,
                                size_t height, size_t depth) {
  enum { VECTORS = (KK_GEMM_HEIGHT + KK_WIDTH - 1) / KK_WIDTH, REACH = VECTORS * KK_WIDTH };
  _Static_assert(REACH <= KK_GEMM_SUMS, "a panel's sums");
  if (sums)
    for (size_t i = 0; i < (lines + height - 1) / height * KK_GEMM_SUMS; i++) sums[i] = 0.0f;
  for (size_t begin = 0; begin < depth; begin += 16) {
    size_t end = begin + 16 < depth ? begin + 16 : depth;
    float *panel_sums = sums;
    for (size_t line = 0; line < lines; line += height) {
      float *panel = out + line * depth;
      size_t rows = lines - line < height ? lines - line : height, step = begin;
      /* Whole vectors reach beyond the panel's row: into the next rows of a, and of the panel, written later. */
      if (line + REACH <= readable) {
        kk_vec total[VECTORS];
        KK_UNROLL for (int v = 0; v < VECTORS; v++)
            total[v] = sums ? kk_v_load(panel_sums + v * KK_WIDTH) : kk_v_zero();
        for (; step < end && step * rows + REACH <= depth * rows; step++)
          KK_UNROLL for (int v = 0; v < VECTORS; v++) {
            kk_vec x = kk_v_load(a + line + step * stride + v * KK_WIDTH);
            total[v] = kk_v_add(total[v], x);
            kk_v_store(panel + step * rows + v * KK_WIDTH, x);
          }
        if (sums) KK_UNROLL for (int v = 0; v < VECTORS; v++) kk_v_store(panel_sums + v * KK_WIDTH, total[v]);
      }
      for (; step < end; step++)
        for (size_t row = 0; row < rows; row++) {
          float x = a[line + row + step * stride];
          panel[step * rows + row] = x;
          if (sums) panel_sums[row] += x;
        }
      if (sums) panel_sums += KK_GEMM_SUMS;
    }
  }
}

static void kk_pack_rows(float *out, float *sums, kk_gemm_operand a, size_t lines, size_t readable, size_t height,
                         size_t depth) {
  if (sums || a.step_stride != 1) {
    kk_pack_rows_copied(out, sums, a.data, a.step_stride, lines, readable, height, depth);
    return;
  }
  for (size_t line = 0; line < lines; line += height)
    kk_pack_panel_transposed(out + line * depth, a.data + line * a.line_stride, a.line_stride,
                             lines - line < height ? lines - line : height, depth);
}

static void kk_pack_columns(float *out, kk_gemm_operand b, size_t lines, size_t depth) {
  const size_t width = KK_GEMM_WIDTH;
  size_t whole = lines / width * width;
  if (b.line_stride == 1) {
    for (size_t step = 0; step < depth; step++)
      for (size_t line = 0; line < whole; line += width)
        KK_UNROLL for (int v = 0; v < KK_GEMM_VECTORS; v++)
            kk_v_store(out + line * depth + step * width + v * KK_WIDTH,
                       kk_v_load(b.data + step * b.step_stride + line + v * KK_WIDTH));
  } else {
    for (size_t line = 0; line < whole; line += width) {
      const float *in = b.data + line * b.line_stride;
      float *panel = out + line * depth;
      size_t step = 0;
      while (step + KK_TRANSPOSE <= depth) {
        size_t end = step + 16 <= depth ? step + 16 : step + (depth - step) / KK_TRANSPOSE * KK_TRANSPOSE;
        for (size_t j = 0; j < width; j += KK_TRANSPOSE)
          for (size_t s = step; s < end; s += KK_TRANSPOSE)
            kk_transpose(panel + s * width + j, width, in + j * b.line_stride + s, b.line_stride);
        step = end;
      }
      for (; step < depth; step++)
        for (size_t j = 0; j < width; j++) panel[step * width + j] = in[j * b.line_stride + step];
    }
  }
  if (whole == lines) return;
  for (size_t step = 0; step < depth; step++)
    for (size_t j = 0; j < width; j++)
      out[whole * depth + step * width + j] =
          whole + j < lines ? b.data[(whole + j) * b.line_stride + step * b.step_stride] : 0.0f;
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */
/* What a tile reads and writes. next: what it fetches for tiles to come, and how many floats on after four steps. */
typedef struct kk_tile_part {
  const float *a, *b;
  size_t depth;
  float *c;
  size_t stride;
  int add;
  const float *bias; /* of b's columns, added last; or NULL */
  const float *next;
  size_t next_step;
} kk_tile_part;

/* c = (add ? c : 0) + a b + bias for `height` rows and `panels` panels of b. Low tiles take several panels, for enough
 * independent sums to hide the latency of an addition. */
KK_INLINE void kk_tile(const int height, const int panels, const kk_tile_part *part) {
  const float *restrict a = part->a, *restrict b = part->b, *next = part->next;
  float *restrict c = part->c;
  const size_t depth = part->depth, stride = part->stride, next_step = part->next_step;
  kk_vec sum[KK_GEMM_HEIGHT][KK_GEMM_VECTORS * 4];
  const int vectors = KK_GEMM_VECTORS * panels;
  KK_UNROLL for (int i = 0; i < height; i++) {
    KK_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = kk_v_zero();
    __builtin_prefetch(c + (size_t)i * stride, 1);
    __builtin_prefetch(c + (size_t)i * stride + KK_GEMM_WIDTH - 1, 1);
  }
#define KK_STEP(S)                                                                                                    \
  {                                                                                                                   \
    kk_vec right[KK_GEMM_VECTORS * 4];                                                                                \
    KK_UNROLL for (int v = 0; v < vectors; v++) right[v] =                                                            \
        kk_v_load(b + (size_t)(v / KK_GEMM_VECTORS) * depth * KK_GEMM_WIDTH + (S)*KK_GEMM_WIDTH +                     \
                  v % KK_GEMM_VECTORS * KK_WIDTH);                                                                    \
    KK_UNROLL for (int i = 0; i < height; i++) {                                                                      \
      kk_vec left = kk_v_set(a[(S)*height + i]);                                                                      \
      KK_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = kk_v_fma(left, right[v], sum[i][v]);                    \
    }                                                                                                                 \
  }
  size_t left_steps = depth;
  for (; left_steps >= 4; left_steps -= 4) {
    for (int p = 0; p < panels; p++)
      KK_UNROLL for (int line = 0; line < 4 * KK_GEMM_WIDTH; line += 16)
        __builtin_prefetch(b + (size_t)p * depth * KK_GEMM_WIDTH + KK_GEMM_AHEAD * KK_GEMM_WIDTH + line);
    KK_UNROLL for (int line = 0; line < KK_GEMM_NEXT; line += 16) __builtin_prefetch(next + line, 0, 2);
    KK_STEP(0)
    KK_STEP(1)
    KK_STEP(2)
    KK_STEP(3)
    a += 4 * height;
    b += 4 * KK_GEMM_WIDTH;
    next += next_step;
  }
  for (; left_steps > 0; left_steps--) {
    KK_STEP(0)
    a += height;
    b += KK_GEMM_WIDTH;
  }
#undef KK_STEP
  KK_UNROLL for (int i = 0; i < height; i++)
    KK_UNROLL for (int v = 0; v < vectors; v++) {
      float *out = c + (size_t)i * stride + v * KK_WIDTH;
      kk_vec x = sum[i][v];
      if (part->add) x = kk_v_add(x, kk_v_load(out));
      if (part->bias) x = kk_v_add(x, kk_v_load(part->bias + v * KK_WIDTH));
      kk_v_store(out, x);
    }
}
#define KK_TILE(HEIGHT, PANELS) \
  static void kk_tile_##HEIGHT(const kk_tile_part *part) { kk_tile(HEIGHT, PANELS, part); }
/* KK_FOR_HEIGHTS(F): F(height, panels) for every height of a tile. */
#if KK_GEMM_HEIGHT == 14
#define KK_FOR_HEIGHTS(F) \
  F(1, 4) F(2, 2) F(3, 1) F(4, 1) F(5, 1) F(6, 1) F(7, 1) F(8, 1) F(9, 1) F(10, 1) F(11, 1) F(12, 1) F(13, 1) F(14, 1)
#elif KK_GEMM_HEIGHT == 6
#define KK_FOR_HEIGHTS(F) F(1, 4) F(2, 2) F(3, 1) F(4, 1) F(5, 1) F(6, 1)
#endif
KK_FOR_HEIGHTS(KK_TILE)
/* For the columns that are left over from several panels. */
static void kk_tile_narrow_1(const kk_tile_part *part) { kk_tile(1, 1, part); }
static void kk_tile_narrow_2(const kk_tile_part *part) { kk_tile(2, 1, part); }

typedef struct kk_tile_kind {
  void (*run)(const kk_tile_part *part);
  size_t panels;
} kk_tile_kind;
#define KK_TILE_KIND(HEIGHT, PANELS) {kk_tile_##HEIGHT, PANELS},
static const kk_tile_kind kk_tiles[] = {{NULL, 0}, KK_FOR_HEIGHTS(KK_TILE_KIND)};
static const kk_tile_kind kk_narrow_tiles[] = {{NULL, 0}, {kk_tile_narrow_1, 1}, {kk_tile_narrow_2, 1}};

KK_INLINE kk_vec kk_v_activate(kk_vec x, const int activation) {
  if (activation == KK_ACT_GELU) return kk_v_gelu(x);
  if (activation == KK_ACT_TANH) return kk_v_tanh(x);
  if (activation == KK_ACT_GELU_NEW) return kk_v_gelu_new(x);
  if (activation == KK_ACT_RELU) return kk_v_relu(x);
  return x;
}

/* A tile that has its sums in `tile`, KK_GEMM_WIDTH * panels floats a row, goes to c: rows x columns of it. */
KK_INLINE void kk_finish_rows(const kk_gemm_block *block, const float *tile, size_t tile_stride, size_t row, size_t column,
                              size_t rows, size_t columns, const int activation) {
  const kk_gemm_finish *finish = block->finish;
  const float *bias = finish && finish->bias ? finish->bias + column : NULL;
  for (size_t i = 0; i < rows; i++) {
    size_t at = (row + i) * block->c_stride + column, j = 0;
    float *c = block->c + at, *pre = finish && finish->pre ? finish->pre + at : NULL;
    for (; j + KK_WIDTH <= columns; j += KK_WIDTH) {
      kk_vec x = kk_v_load(tile + i * tile_stride + j);
      if (block->add) x = kk_v_add(x, kk_v_load(c + j));
      if (bias) x = kk_v_add(x, kk_v_load(bias + j));
      if (pre) kk_v_store(pre + j, x);
      kk_v_store(c + j, kk_v_activate(x, activation));
    }
    size_t n = columns - j;
    if (n == 0) continue;
    kk_vec x = kk_v_load(tile + i * tile_stride + j);
    if (block->add) x = kk_v_add(x, kk_v_load_part(c + j, n));
    if (bias) x = kk_v_add(x, kk_v_load_part(bias + j, n));
    if (pre) kk_v_store_part(pre + j, x, n);
    kk_v_store_part(c + j, kk_v_activate(x, activation), n);
  }
}

static void kk_finish_tile(const kk_gemm_block *block, const float *tile, size_t tile_stride, size_t row, size_t column,
                           size_t rows, size_t columns) {
#define KK_FINISH(ACTIVATION) \
  case ACTIVATION:            \
    kk_finish_rows(block, tile, tile_stride, row, column, rows, columns, ACTIVATION); break
  switch (block->finish ? block->finish->activation : KK_ACT_NONE) {
    KK_FINISH(KK_ACT_GELU);
    KK_FINISH(KK_ACT_TANH);
    KK_FINISH(KK_ACT_GELU_NEW);
    KK_FINISH(KK_ACT_RELU);
    default: kk_finish_rows(block, tile, tile_stride, row, column, rows, columns, KK_ACT_NONE);
  }
#undef KK_FINISH
}

/* `part` has what to fetch; the rest of it is set here. */
static void kk_block_tile(const kk_gemm_block *block, const kk_tile_kind *kind, size_t row, size_t column,
                          kk_tile_part part) {
  _Alignas(64) float tile[(KK_GEMM_HEIGHT > 4 ? KK_GEMM_HEIGHT : 4) * KK_GEMM_WIDTH];
  size_t rows = block->rows - row < block->height ? block->rows - row : block->height;
  size_t width = KK_GEMM_WIDTH * kind->panels;
  size_t columns = block->columns - column < width ? block->columns - column : width;
  const kk_gemm_finish *finish = block->finish;
  int straight = columns == width && (!finish || (finish->activation == KK_ACT_NONE && !finish->pre));
  part.a = block->a + row * block->depth;
  part.b = block->b + column * block->depth;
  part.depth = block->depth;
  part.c = straight ? block->c + row * block->c_stride + column : tile;
  part.stride = straight ? block->c_stride : width;
  part.add = straight && block->add;
  part.bias = straight && finish && finish->bias ? finish->bias + column : NULL;
  kind->run(&part);
  if (!straight) kk_finish_tile(block, tile, width, row, column, rows, columns);
}

/* With one resident panel: it stays in the nearest cache while the panels of b, which are in the next, pass by. With
 * many: they stay in the second cache, and each panel of b in the nearest while they pass by. Of a shallow product c is most of
 * what is read and written: then one panel, so that c passes by along its rows.
 *
 * Weights come from memory: the first tiles that read a panel of b, two if there are as many, fetch the next panel into the
 * second cache. (block->next may be a little shallower than the present panels: what is fetched beyond it is not read.) */
static void kk_block(const kk_gemm_block *block) {
  size_t resident = block->depth <= KK_GEMM_SHALLOW ? 1 : KK_GEMM_RESIDENT;
  size_t panel_floats = block->depth * KK_GEMM_WIDTH, fetched = block->depth / 4 * KK_GEMM_NEXT;
  for (size_t begin = 0, end; begin < block->rows; begin = end) {
    end = begin + resident * block->height;
    if (end > block->rows) end = block->rows;
    size_t panels;
    for (size_t column = 0; column < block->columns; column += panels * KK_GEMM_WIDTH) {
      panels = end - begin <= 2 ? kk_tiles[end - begin].panels : 1;
      if (column + (panels - 1) * KK_GEMM_WIDTH >= block->columns) panels = 1;
      const float *present = block->b + column * block->depth, *next = present + panels * panel_floats;
      if (column + panels * KK_GEMM_WIDTH >= block->columns) next = block->next;
      size_t done = 0;
      for (size_t row = begin; row < end; row += block->height, done += fetched) {
        size_t rows = end - row < block->height ? end - row : block->height;
        const kk_tile_kind *kind = &kk_tiles[rows];
        int fetches = next && begin == 0 && done < panel_floats;
        kk_tile_part part = {.next = fetches ? next + done : present, .next_step = fetches ? KK_GEMM_NEXT : 0};
        kk_block_tile(block, kind->panels == panels ? kind : &kk_narrow_tiles[rows], row, column, part);
      }
    }
  }
}

#define KK_GEMM_TABLE {KK_GEMM_HEIGHT, KK_GEMM_WIDTH, kk_pack_rows, kk_pack_columns, kk_block}
