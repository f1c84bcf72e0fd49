/* embedding_kernel.h - the sum of three table rows, its layer norm and dropout; and the sums back into the tables. */

static void kk_embedding_piece(float *y, float *xhat, float *rstd, const float *word, const float *position,
                               const float *type, const int32_t *ids, const int32_t *positions, const int32_t *types,
                               const float *gain, const float *bias, kk_rows rows, float epsilon,
                               const kk_dropout *dropout) {
  size_t width = rows.width;
  for (size_t row = rows.begin; row < rows.end; row++) {
    const float *a = word + (size_t)ids[row] * width, *b = position + (size_t)positions[row] * width;
    const float *c = type + (size_t)types[row] * width;
    float *to = y + row * width;
    if (row + 2 < rows.end) /* rows of the big table lie anywhere: ask for one before it is needed */
      for (size_t i = 0; i < width; i += 16) __builtin_prefetch(word + (size_t)ids[row + 2] * width + i);
    size_t i = 0;
    for (; i + KK_WIDTH <= width; i += KK_WIDTH)
      kk_v_store(to + i, kk_v_add(kk_v_add(kk_v_load(a + i), kk_v_load(b + i)), kk_v_load(c + i)));
    if (i < width) {
      size_t n = width - i;
      kk_vec sum = kk_v_add(kk_v_load_part(a + i, n), kk_v_load_part(b + i, n));
      kk_v_store_part(to + i, kk_v_add(sum, kk_v_load_part(c + i, n)), n);
    }
    float r = kk_normalise_row(to, xhat ? xhat + row * width : NULL, gain, bias, width, epsilon);
    if (rstd) rstd[row] = r;
    if (kk_drops(dropout)) {
      kk_row_mask mask = kk_mask_of_row(dropout, row);
      kk_dropout_row(to, to, width, &mask);
    }
  }
}

/* Rows whose gradients are first summed among themselves, when they follow each other with the same index: the token
 * types come in such runs, and thousands of terms added one by one to one float would lose digits. */
#define KK_SCATTER_RUN 64
/* Rows of a big table lie anywhere in memory: ask for one this many rows of the batch before it is needed. */
#define KK_SCATTER_AHEAD 4

static void kk_scatter_add_piece(float *table, const float *dy, const int32_t *index, size_t rows, size_t width,
                                 size_t column, size_t columns, int32_t skip) {
  for (size_t row = 0, next; row < rows; row = next) {
    next = row + 1;
    while (next < rows && next - row < KK_SCATTER_RUN && index[next] == index[row]) next++;
    if (index[row] == skip) continue;
    if (row + KK_SCATTER_AHEAD < rows && index[row + KK_SCATTER_AHEAD] >= 0) {
      const float *later = table + (size_t)index[row + KK_SCATTER_AHEAD] * width + column;
      for (size_t i = 0; i < columns; i += 16) __builtin_prefetch(later + i, 1);
    }
    float *to = table + (size_t)index[row] * width + column;
    const float *from = dy + row * width + column;
    size_t i = 0, run = next - row;
    for (; i + KK_WIDTH <= columns; i += KK_WIDTH) {
      kk_vec sum = kk_v_load(from + i);
      for (size_t r = 1; r < run; r++) sum = kk_v_add(sum, kk_v_load(from + r * width + i));
      kk_v_store(to + i, kk_v_add(kk_v_load(to + i), sum));
    }
    size_t n = columns - i;
    if (n == 0) continue;
    kk_vec sum = kk_v_load_part(from + i, n);
    for (size_t r = 1; r < run; r++) sum = kk_v_add(sum, kk_v_load_part(from + r * width + i, n));
    kk_v_store_part(to + i, kk_v_add(kk_v_load_part(to + i, n), sum), n);
  }
}
