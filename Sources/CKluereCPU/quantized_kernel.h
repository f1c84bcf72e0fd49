/* quantized_kernel.h - see quantized.h; written once over the vectors of simd_*.h. The including file sets
 * KK_QUANTIZED_HEIGHT (2, 4, 6 or 14), KK_QUANTIZED_VECTORS, the vectors across a tile, KK_QUANTIZED_GROUP (2 or 4),
 * KK_QUANTIZED_UNIT (1, or 2 for `bytes`), and has
 *   kk_q_weights(p)    a vector of columns of one group
 *   kk_q_dot(s, a, w)  s + the sum over the group of a w, a one word of the input in every column; or, if the unit is 2,
 *   kk_q_fours(s, a, b, v, w)  s + that of a v and of b w
 *   kk_wide_bf16(p), kk_wide_f16(p)  KK_WIDTH 16-bit values as floats
 * KK_QUANTIZED_BYTES: the table `bytes`, of the same width, if there is one.
 * KK_PANEL: columns of a panel of the gemm table, or 0: `few` is not made. KK_HALF(name): name for the instruction set, where
 * KK_HALF_ELSEWHERE says that a file for the same vectors has what makes weights wide. */
#include <float.h>
#include "quantized.h"

#define KK_QUANTIZED_WIDTH (KK_QUANTIZED_VECTORS * KK_WIDTH)
#define KK_UNROLL _Pragma("clang loop unroll(full)")

typedef int32_t kk_ints __attribute__((vector_size(KK_WIDTH * 4), aligned(4)));

#if KK_QUANTIZED_GROUP == 4
typedef uint8_t kk_level;
#else
typedef int16_t kk_level;
#endif

/* ---- the input --------------------------------------------------------------------------------------------------- */
/* Floats as whole numbers in the same order, and back. Whole numbers have a smallest and a largest that vectors find fast; -NaN
 * stands below all, NaN above. */
KK_INLINE int32_t kk_order(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }
KK_INLINE int32_t kk_order_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return kk_order(bits);
}
KK_INLINE float kk_of_order(int32_t order) {
  int32_t bits = kk_order(order);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Adding this to a float below 2^22 leaves the nearest whole number, ties to even, in its lowest bits. */
#define KK_ROUND 12582912.0f
#define KK_ROUND_BITS 0x4B400000
KK_INLINE int32_t kk_nearest(float x) {
  float sum = x + KK_ROUND;
  int32_t bits;
  memcpy(&bits, &sum, sizeof bits);
  return bits - KK_ROUND_BITS;
}

/* scale = (highest - lowest) / 255 over the row and 0; q = nearest(x / scale) + zero. Multiplications and additions stay
 * apart on machines that could do both at once: all give the same bits. */
static void kk_quantize_panel(uint32_t *words, float *scales, int32_t *zeros, const float *x, size_t rows, size_t depth) {
#pragma STDC FP_CONTRACT OFF
  enum { CHUNK = 64 };
  for (size_t row = 0; row < rows; row++) {
    const float *in = x + row * depth;
    int32_t low = 0, high = 0;
    for (size_t i = 0; i < depth; i++) {
      int32_t order = kk_order_of(in[i]);
      low = order < low ? order : low;
      high = order > high ? order : high;
    }
    float lowest = kk_of_order(low), range = kk_of_order(high) - lowest, scale = range / 255.0f, inverse = 0.0f;
    int32_t zero = 0;
    if (high >= kk_order_of(INFINITY) || low <= kk_order_of(-INFINITY) || range > FLT_MAX) {
      scale = NAN;
    } else if (scale < FLT_MIN) {
      scale = 0.0f;
    } else {
      inverse = 1.0f / scale;
      float below = -lowest * inverse;
      zero = kk_nearest(below);
    }
    scales[row] = scale;
    zeros[row] = zero;
    kk_level levels[CHUNK];
    uint32_t *out = words + row;
    for (size_t begin = 0; begin < depth; begin += CHUNK) {
      size_t count = depth - begin < CHUNK ? depth - begin : CHUNK;
      for (size_t i = 0; i < count; i++) {
        float level = in[begin + i] * inverse;
        int32_t q = kk_nearest(level) + zero;
        q = q < 0 ? 0 : q;
        levels[i] = (kk_level)(q > 255 ? 255 : q);
      }
      while (count % (KK_QUANTIZED_GROUP * KK_QUANTIZED_UNIT) != 0) levels[count++] = 0;
      for (size_t i = 0; i < count; i += KK_QUANTIZED_GROUP, out += rows) memcpy(out, levels + i, sizeof *out);
    }
  }
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */
/* What a tile of one panel of weights fetches for the next one: half of it. */
typedef struct kk_quantized_ahead {
  const int8_t *next;
  size_t step;
} kk_quantized_ahead;

/* sums [height][KK_QUANTIZED_WIDTH] = a b. */
KK_INLINE void kk_quantized_tile(const int height, const uint32_t *restrict a, const int8_t *restrict b, size_t groups,
                                 int32_t *restrict sums, kk_quantized_ahead ahead) {
  kk_ints sum[KK_QUANTIZED_HEIGHT][KK_QUANTIZED_VECTORS];
  KK_UNROLL for (int i = 0; i < height; i++) {
    KK_UNROLL for (int v = 0; v < KK_QUANTIZED_VECTORS; v++) sum[i][v] = (kk_ints){0};
  }
  enum { GROUP_BYTES = KK_QUANTIZED_WIDTH * KK_QUANTIZED_GROUP };
  for (; groups > 0; groups -= KK_QUANTIZED_UNIT, a += height * KK_QUANTIZED_UNIT, b += GROUP_BYTES * KK_QUANTIZED_UNIT) {
    __builtin_prefetch(ahead.next, 0, 2);
    ahead.next += ahead.step;
    kk_q_operand right[KK_QUANTIZED_UNIT][KK_QUANTIZED_VECTORS];
    KK_UNROLL for (int g = 0; g < KK_QUANTIZED_UNIT; g++) {
      KK_UNROLL for (int v = 0; v < KK_QUANTIZED_VECTORS; v++) right[g][v] =
          kk_q_weights(b + g * GROUP_BYTES + v * KK_WIDTH * KK_QUANTIZED_GROUP);
    }
    KK_UNROLL for (int i = 0; i < height; i++) {
      KK_UNROLL for (int v = 0; v < KK_QUANTIZED_VECTORS; v++) {
#if KK_QUANTIZED_UNIT == 2
        sum[i][v] = kk_q_fours(sum[i][v], a[i], a[height + i], right[0][v], right[1][v]);
#else
        sum[i][v] = kk_q_dot(sum[i][v], a[i], right[0][v]);
#endif
      }
    }
  }
  KK_UNROLL for (int i = 0; i < height; i++) {
    KK_UNROLL for (int v = 0; v < KK_QUANTIZED_VECTORS; v++)
        memcpy(sums + i * KK_QUANTIZED_WIDTH + v * KK_WIDTH, &sum[i][v], sizeof sum[i][v]);
  }
}

#define KK_QUANTIZED_TILE(HEIGHT)                                                                             \
  static void kk_quantized_tile_##HEIGHT(const uint32_t *a, const int8_t *b, size_t groups, int32_t *sums,    \
                                         kk_quantized_ahead ahead) {                                          \
    kk_quantized_tile(HEIGHT, a, b, groups, sums, ahead);                                                     \
  }
#if KK_QUANTIZED_HEIGHT == 14
#define KK_FOR_HEIGHTS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#elif KK_QUANTIZED_HEIGHT == 6
#define KK_FOR_HEIGHTS(F) F(1) F(2) F(3) F(4) F(5) F(6)
#elif KK_QUANTIZED_HEIGHT == 4
#define KK_FOR_HEIGHTS(F) F(1) F(2) F(3) F(4)
#elif KK_QUANTIZED_HEIGHT == 2
#define KK_FOR_HEIGHTS(F) F(1) F(2)
#endif
KK_FOR_HEIGHTS(KK_QUANTIZED_TILE)
#define KK_QUANTIZED_NAME(HEIGHT) kk_quantized_tile_##HEIGHT,
static void (*const kk_quantized_tiles[])(const uint32_t *a, const int8_t *b, size_t groups, int32_t *sums,
                                          kk_quantized_ahead ahead) = {NULL, KK_FOR_HEIGHTS(KK_QUANTIZED_NAME)};

KK_INLINE kk_vec kk_v_of_ints(kk_ints x) {
  typedef float kk_floats __attribute__((vector_size(KK_WIDTH * 4), aligned(4)));
  kk_floats floats = __builtin_convertvector(x, kk_floats);
  kk_vec vector;
  memcpy(&vector, &floats, sizeof vector);
  return vector;
}

/* The sums of a tile become y. */
static void kk_quantized_finish(const kk_quantized_block *block, const int32_t *sums, size_t row, size_t column,
                                size_t rows, size_t columns) {
  const float *bias = block->bias ? block->bias + column : NULL;
  for (size_t i = 0; i < rows; i++) {
    float *y = block->y + (row + i) * block->y_stride + column;
    int32_t zero = block->a_zeros[row + i];
    kk_vec scale = kk_v_set(block->a_scales[row + i]);
    for (size_t j = 0; j < columns; j += KK_WIDTH) {
      size_t n = columns - j;
      kk_ints sum, weights;
      memcpy(&sum, sums + i * KK_QUANTIZED_WIDTH + j, sizeof sum);
      memcpy(&weights, block->b_sums + column + j, sizeof weights);
      kk_vec x = kk_v_mul(kk_v_of_ints(sum - zero * weights), kk_v_mul(scale, kk_v_load(block->b_scales + column + j)));
      if (n >= KK_WIDTH) {
        if (bias) x = kk_v_add(x, kk_v_load(bias + j));
        kk_v_store(y + j, x);
      } else {
        if (bias) x = kk_v_add(x, kk_v_load_part(bias + j, n));
        kk_v_store_part(y + j, x, n);
      }
    }
  }
}

/* A panel of weights stays in the nearest cache while the panels of the input, which are in the next, pass by. The first two
 * tiles, if there are two, fetch the next panel, which may be in memory. */
static void kk_quantized_block_run(const kk_quantized_block *block) {
  _Alignas(64) int32_t sums[KK_QUANTIZED_HEIGHT * KK_QUANTIZED_WIDTH];
  for (size_t column = 0; column < block->columns; column += KK_QUANTIZED_WIDTH) {
    size_t columns = block->columns - column < KK_QUANTIZED_WIDTH ? block->columns - column : KK_QUANTIZED_WIDTH;
    const size_t panel_bytes = KK_QUANTIZED_WIDTH * block->groups * KK_QUANTIZED_GROUP;
    const int8_t *b = block->b + column * block->groups * KK_QUANTIZED_GROUP;
    const size_t fetched = panel_bytes / 2;
    int more = column + columns < block->columns;
    for (size_t row = 0, done = 0; row < block->rows; row += block->height, done += fetched) {
      size_t rows = block->rows - row < block->height ? block->rows - row : block->height;
      kk_quantized_ahead ahead = {b, 0};
      if (more && done < 2 * fetched)
        ahead = (kk_quantized_ahead){b + panel_bytes + done, KK_QUANTIZED_WIDTH * KK_QUANTIZED_GROUP * KK_QUANTIZED_UNIT / 2};
      kk_quantized_tiles[rows](block->a + row * block->groups, b, block->groups, sums, ahead);
      kk_quantized_finish(block, sums, row, column, rows, columns);
    }
  }
  if (!block->activate) return;
  for (size_t row = 0; row < block->rows; row++) {
    float *y = block->y + row * block->y_stride;
    block->activate(y, y, block->columns);
  }
}

#ifndef KK_HALF_ELSEWHERE
/* ---- weights made wide ------------------------------------------------------------------------------------------- */
KK_INLINE kk_vec kk_wide(const uint16_t *p, const int form) {
  return form == KK_WEIGHTS_F16 ? kk_wide_f16(p) : kk_wide_bf16(p);
}

KK_INLINE void kk_widen_all(float *out, const uint16_t *in, size_t count, const int form) {
  size_t i = 0;
  for (; i + KK_WIDTH <= count; i += KK_WIDTH) kk_v_store(out + i, kk_wide(in + i, form));
  if (i == count) return;
  uint16_t rest[KK_WIDTH] = {0};
  memcpy(rest, in + i, (count - i) * sizeof *in);
  kk_v_store_part(out + i, kk_wide(rest, form), count - i);
}
void KK_HALF(kk_widen)(float *out, const uint16_t *in, size_t count, int form) {
  if (form == KK_WEIGHTS_F16) {
    kk_widen_all(out, in, count, KK_WEIGHTS_F16);
  } else {
    kk_widen_all(out, in, count, KK_WEIGHTS_BF16);
  }
}

void KK_HALF(kk_scale)(float *out, const int8_t *q, float scale, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = scale * (float)q[i];
}

/* ---- few rows by 16-bit weights ---------------------------------------------------------------------------------- */
#if KK_PANEL > 0
/* sums [height][panels][KK_PANEL]: one row by four panels, or two by two, enough independent sums to hide the latency of an
 * addition. Where fewer panels are left the last is read again. */
KK_INLINE void kk_few_tile(const int height, const int panels, const int form, float *sums, const float *restrict a,
                           size_t a_stride, const uint16_t *const *b, size_t depth) {
  enum { VECTORS = KK_PANEL / KK_WIDTH };
  kk_vec sum[2][VECTORS * 4];
  const int vectors = VECTORS * panels;
  KK_UNROLL for (int i = 0; i < height; i++) {
    KK_UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = kk_v_zero();
  }
  for (size_t step = 0; step < depth; step++) {
    KK_UNROLL for (int v = 0; v < vectors; v++) {
      kk_vec right = kk_wide(b[v / VECTORS] + step * KK_PANEL + v % VECTORS * KK_WIDTH, form);
      KK_UNROLL for (int i = 0; i < height; i++) {
        sum[i][v] = kk_v_fma(kk_v_set(a[step * a_stride + i]), right, sum[i][v]);
      }
    }
  }
  KK_UNROLL for (int i = 0; i < height; i++) {
    KK_UNROLL for (int v = 0; v < vectors; v++) kk_v_store(sums + (i * vectors + v) * KK_WIDTH, sum[i][v]);
  }
}

void KK_HALF(kk_few)(float *c, size_t c_stride, size_t rows, size_t columns, const float *a, const uint16_t *b, size_t depth,
                     int form, int add) {
  float sums[4 * KK_PANEL];
  for (size_t row = 0; row < rows; row += 2) {
    size_t height = row + 1 == rows ? 1 : 2, width = 4 / height * KK_PANEL;
    for (size_t column = 0; column < columns; column += width) {
      const uint16_t *panels[4];
      size_t at = column;
      for (int i = 0; i < 4; i++) {
        panels[i] = b + at * depth;
        if (at + KK_PANEL < columns) at += KK_PANEL;
      }
      if (height == 1 && form == KK_WEIGHTS_F16) {
        kk_few_tile(1, 4, KK_WEIGHTS_F16, sums, a + row, rows, panels, depth);
      } else if (height == 1) {
        kk_few_tile(1, 4, KK_WEIGHTS_BF16, sums, a + row, rows, panels, depth);
      } else if (form == KK_WEIGHTS_F16) {
        kk_few_tile(2, 2, KK_WEIGHTS_F16, sums, a + row, rows, panels, depth);
      } else {
        kk_few_tile(2, 2, KK_WEIGHTS_BF16, sums, a + row, rows, panels, depth);
      }
      size_t count = columns - column < width ? columns - column : width;
      for (size_t i = 0; i < height; i++) {
        float *to = c + (row + i) * c_stride + column;
        const float *from = sums + i * width;
        if (!add) memcpy(to, from, count * sizeof *to);
        if (add)
          for (size_t j = 0; j < count; j++) to[j] = from[j] + to[j];
      }
    }
  }
}
#define KK_FEW KK_HALF(kk_few)
#else
#define KK_FEW NULL
#endif
#else
#define KK_FEW KK_HALF(kk_few)
void KK_HALF(kk_widen)(float *out, const uint16_t *in, size_t count, int form);
void KK_HALF(kk_scale)(float *out, const int8_t *q, float scale, size_t count);
void KK_FEW(float *c, size_t c_stride, size_t rows, size_t columns, const float *a, const uint16_t *b, size_t depth, int form,
            int add);
#endif

#ifndef KK_QUANTIZED_BYTES
#define KK_QUANTIZED_BYTES NULL
#endif
#define KK_QUANTIZED_TABLE                                                                                      \
  {KK_QUANTIZED_HEIGHT, KK_QUANTIZED_WIDTH, KK_QUANTIZED_GROUP, KK_QUANTIZED_UNIT, kk_quantize_panel,           \
   kk_quantized_block_run, KK_HALF(kk_widen), KK_HALF(kk_scale), KK_PANEL, KK_FEW, KK_QUANTIZED_BYTES}
