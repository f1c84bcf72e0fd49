/* tile_kernel.h - products of the small matrices of one attention head, a tile of the result in registers at a time.
 *
 * An element of the result is one chain of multiply-adds over the depth in order, whatever tile it falls in: a row's
 * bits do not depend on the number of rows. */

typedef void (*kk_tile)(float *c, size_t c_stride, const float *a, size_t a_row, size_t a_step, const float *b,
                        size_t b_stride, size_t depth, size_t last, int accumulate);

/* The sums stay in registers only if the loops over them are gone. */
#define KK_UNROLL _Pragma("clang loop unroll(full)")

/* c [rows, vectors * KK_WIDTH], the last vector only its first `last` lanes; element (i, p) of a at a[i a_row + p
 * a_step]; b [depth, vectors * KK_WIDTH], readable to the last lane. */
KK_INLINE void kk_tile_body(int rows, int vectors, float *c, size_t c_stride, const float *a, size_t a_row,
                            size_t a_step, const float *b, size_t b_stride, size_t depth, size_t last,
                            int accumulate) {
  kk_vec sum[KK_TILE_ROWS][KK_TILE_VECTORS];
  KK_UNROLL for (int i = 0; i < rows; i++) {
    KK_UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = kk_v_zero();
  }
  /* Two pointers and the multiples of a stride that an address can hold: compilers would chain additions, a quarter more
   * instructions in this loop. */
  const float *low = a, *high = rows > 3 ? a + 3 * a_row : a;
  for (size_t p = 0; p < depth; p++, low += a_step, high += a_step, b += b_stride) {
    kk_vec across[KK_TILE_VECTORS];
    __asm__("" : "+r"(low), "+r"(high));
    KK_UNROLL for (int j = 0; j < vectors; j++) across[j] = kk_v_load(b + j * KK_WIDTH);
    KK_UNROLL for (int i = 0; i < rows; i++) {
      kk_vec one = kk_v_set(i < 3 ? low[(size_t)i * a_row] : high[(size_t)(i - 3) * a_row]);
      KK_UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = kk_v_fma(one, across[j], sum[i][j]);
    }
  }
  KK_UNROLL for (int i = 0; i < rows; i++) {
    KK_UNROLL for (int j = 0; j < vectors; j++) {
      float *to = c + (size_t)i * c_stride + j * KK_WIDTH;
      if (j < vectors - 1 || last == KK_WIDTH) {
        kk_v_store(to, accumulate ? kk_v_add(kk_v_load(to), sum[i][j]) : sum[i][j]);
      } else {
        kk_v_store_part(to, accumulate ? kk_v_add(kk_v_load_part(to, last), sum[i][j]) : sum[i][j], last);
      }
    }
  }
}

#define KK_TILE(r, v)                                                                                                  \
  static __attribute__((noinline)) void kk_tile_##r##_##v(float *c, size_t c_stride, const float *a, size_t a_row,     \
                                                          size_t a_step, const float *b, size_t b_stride,              \
                                                          size_t depth, size_t last, int accumulate) {                 \
    kk_tile_body(r, v, c, c_stride, a, a_row, a_step, b, b_stride, depth, last, accumulate);                           \
  }
#define KK_TILE_COLUMN(v) KK_TILE(1, v) KK_TILE(2, v) KK_TILE(3, v) KK_TILE(4, v) KK_TILE(5, v) KK_TILE(6, v)
#define KK_TILE_NAMES(v) {kk_tile_1_##v, kk_tile_2_##v, kk_tile_3_##v, kk_tile_4_##v, kk_tile_5_##v, kk_tile_6_##v}

KK_TILE_COLUMN(1)
KK_TILE_COLUMN(2)
#if KK_TILE_VECTORS == 4
KK_TILE_COLUMN(3)
KK_TILE_COLUMN(4)
#endif
static const kk_tile kk_tiles[KK_TILE_VECTORS][KK_TILE_ROWS] = {
  KK_TILE_NAMES(1), KK_TILE_NAMES(2),
#if KK_TILE_VECTORS == 4
  KK_TILE_NAMES(3), KK_TILE_NAMES(4),
#endif
};

KK_INLINE size_t kk_divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
KK_INLINE size_t kk_round_up(size_t a, size_t b) { return kk_divide_up(a, b) * b; }

/* c [rows, columns] = (accumulate ? c : 0) + a b; rows of b readable up to columns rounded up to KK_WIDTH. Tiles are of
 * even sizes, 35 rows as 6 6 6 6 6 5: a tile of one row would wait for each multiply-add. */
static void kk_product(float *c, size_t c_stride, size_t rows, size_t columns, const float *a, size_t a_row,
                       size_t a_step, const float *b, size_t b_stride, size_t depth, int accumulate) {
  size_t vectors = kk_divide_up(columns, KK_WIDTH), panels = kk_divide_up(vectors, KK_TILE_VECTORS);
  size_t blocks = kk_divide_up(rows, KK_TILE_ROWS);
  for (size_t panel = 0, vector = 0; panel < panels; panel++) {
    size_t across = kk_divide_up(vectors - vector, panels - panel), column = vector * KK_WIDTH;
    size_t last = vector + across < vectors ? KK_WIDTH : columns - (vectors - 1) * KK_WIDTH;
    for (size_t block = 0, row = 0; block < blocks; block++) {
      size_t down = kk_divide_up(rows - row, blocks - block);
      kk_tiles[across - 1][down - 1](c + row * c_stride + column, c_stride, a + row * a_row, a_row, a_step, b + column,
                                     b_stride, depth, last, accumulate);
      row += down;
    }
    vector += across;
  }
}
