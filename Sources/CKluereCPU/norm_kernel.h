/* norm_kernel.h - layer norm, with the residual sum and dropout before it. A row is read from memory once and stays
 * in the first cache for the passes over it; its sums depend on its width alone. */

KK_INLINE float kk_row_sum(const float *x, size_t width) {
  kk_vec s0 = kk_v_zero(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * KK_WIDTH <= width; i += 4 * KK_WIDTH) {
    s0 = kk_v_add(s0, kk_v_load(x + i));
    s1 = kk_v_add(s1, kk_v_load(x + i + KK_WIDTH));
    s2 = kk_v_add(s2, kk_v_load(x + i + 2 * KK_WIDTH));
    s3 = kk_v_add(s3, kk_v_load(x + i + 3 * KK_WIDTH));
  }
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) s0 = kk_v_add(s0, kk_v_load(x + i));
  if (i < width) s1 = kk_v_add(s1, kk_v_load_part(x + i, width - i));
  return kk_v_sum(kk_v_add(kk_v_add(s0, s1), kk_v_add(s2, s3)));
}

KK_INLINE kk_vec kk_squared_distance(kk_vec sum, kk_vec x, kk_vec mean) {
  kk_vec d = kk_v_sub(x, mean);
  return kk_v_fma(d, d, sum);
}

/* Sum of (x - mean)^2. */
KK_INLINE float kk_row_deviation(const float *x, float mean, size_t width) {
  kk_vec s0 = kk_v_zero(), s1 = s0, s2 = s0, s3 = s0, m = kk_v_set(mean);
  size_t i = 0;
  for (; i + 4 * KK_WIDTH <= width; i += 4 * KK_WIDTH) {
    s0 = kk_squared_distance(s0, kk_v_load(x + i), m);
    s1 = kk_squared_distance(s1, kk_v_load(x + i + KK_WIDTH), m);
    s2 = kk_squared_distance(s2, kk_v_load(x + i + 2 * KK_WIDTH), m);
    s3 = kk_squared_distance(s3, kk_v_load(x + i + 3 * KK_WIDTH), m);
  }
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) s0 = kk_squared_distance(s0, kk_v_load(x + i), m);
  if (i < width) {
    kk_vec d = kk_v_first(kk_v_sub(kk_v_load_part(x + i, width - i), m), width - i);
    s1 = kk_v_fma(d, d, s1);
  }
  return kk_v_sum(kk_v_add(kk_v_add(s0, s1), kk_v_add(s2, s3)));
}

/* y, which holds the sum to be normalised, becomes its layer norm. xhat: NULL, or the value before gain and bias.
 * Returns 1 / standard deviation. */
KK_INLINE float kk_normalise_row(float *y, float *xhat, const float *gain, const float *bias, size_t width,
                                 float epsilon) {
  float mean = kk_row_sum(y, width) / (float)width;
  float rstd = 1.0f / sqrtf(kk_row_deviation(y, mean, width) / (float)width + epsilon);
  kk_vec m = kk_v_set(mean), r = kk_v_set(rstd);
  size_t i = 0;
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) {
    kk_vec h = kk_v_mul(kk_v_sub(kk_v_load(y + i), m), r);
    if (xhat) kk_v_store(xhat + i, h);
    kk_v_store(y + i, kk_v_fma(h, kk_v_load(gain + i), kk_v_load(bias + i)));
  }
  if (i < width) {
    size_t n = width - i;
    kk_vec h = kk_v_mul(kk_v_sub(kk_v_load_part(y + i, n), m), r);
    if (xhat) kk_v_store_part(xhat + i, h, n);
    kk_v_store_part(y + i, kk_v_fma(h, kk_v_load_part(gain + i, n), kk_v_load_part(bias + i, n)), n);
  }
  return rstd;
}

/* y = residual + dropout(x); residual and mask may be NULL; y may be x or residual. */
KK_INLINE void kk_residual_sum(float *y, const float *x, const float *residual, size_t width, const kk_row_mask *mask) {
  uint16_t bits[KK_MASK_CHUNK];
  for (size_t column = 0; column < width; column += KK_MASK_CHUNK) {
    size_t count = width - column < KK_MASK_CHUNK ? width - column : KK_MASK_CHUNK, i = 0;
    if (mask) kk_mask_bits(bits, mask, column, count);
    for (; i + KK_WIDTH <= count; i += KK_WIDTH) {
      kk_vec v = kk_v_load(x + column + i);
      if (mask) v = kk_dropped(v, bits + i, mask->threshold, mask->scale);
      if (residual) v = kk_v_add(v, kk_v_load(residual + column + i));
      kk_v_store(y + column + i, v);
    }
    if (i < count) {
      size_t n = count - i;
      kk_vec v = kk_v_load_part(x + column + i, n);
      if (mask) v = kk_dropped(v, bits + i, mask->threshold, mask->scale);
      if (residual) v = kk_v_add(v, kk_v_load_part(residual + column + i, n));
      kk_v_store_part(y + column + i, v, n);
    }
  }
}

static void kk_residual_norm_piece(float *y, float *xhat, float *rstd, const float *x, const float *residual,
                                   const float *gain, const float *bias, kk_rows rows, float epsilon,
                                   const kk_dropout *dropout) {
  for (size_t row = rows.begin; row < rows.end; row++) {
    size_t at = row * rows.width;
    if (kk_drops(dropout)) {
      kk_row_mask mask = kk_mask_of_row(dropout, row);
      kk_residual_sum(y + at, x + at, residual ? residual + at : NULL, rows.width, &mask);
    } else {
      kk_residual_sum(y + at, x + at, residual ? residual + at : NULL, rows.width, NULL);
    }
    float r = kk_normalise_row(y + at, xhat ? xhat + at : NULL, gain, bias, rows.width, epsilon);
    if (rstd) rstd[row] = r;
  }
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* With d = dy gain: the means of d and of d xhat over a row. */
KK_INLINE void kk_gradient_means(float *mean, float *slope, const float *dy, const float *xhat, const float *gain,
                                 size_t width) {
  kk_vec a0 = kk_v_zero(), a1 = a0, b0 = a0, b1 = a0;
  size_t i = 0;
  for (; i + 2 * KK_WIDTH <= width; i += 2 * KK_WIDTH) {
    kk_vec d0 = kk_v_mul(kk_v_load(dy + i), kk_v_load(gain + i));
    kk_vec d1 = kk_v_mul(kk_v_load(dy + i + KK_WIDTH), kk_v_load(gain + i + KK_WIDTH));
    a0 = kk_v_add(a0, d0);
    a1 = kk_v_add(a1, d1);
    b0 = kk_v_fma(d0, kk_v_load(xhat + i), b0);
    b1 = kk_v_fma(d1, kk_v_load(xhat + i + KK_WIDTH), b1);
  }
  for (; i < width; i += KK_WIDTH) {
    size_t n = width - i < KK_WIDTH ? width - i : KK_WIDTH;
    kk_vec d = kk_v_mul(kk_v_load_part(dy + i, n), kk_v_load_part(gain + i, n));
    a0 = kk_v_add(a0, d);
    b0 = kk_v_fma(d, kk_v_load_part(xhat + i, n), b0);
  }
  *mean = kk_v_sum(kk_v_add(a0, a1)) / (float)width;
  *slope = kk_v_sum(kk_v_add(b0, b1)) / (float)width;
}

/* Rows handled together, so that the sums for gain and bias are loaded and stored once for all of them. */
#define KK_NORM_GROUP 4

/* What a group of rows shares. */
typedef struct kk_norm_group {
  float *dx, *dsum, *gain_sum, *bias_sum;
  const float *dy, *xhat, *rstd, *gain;
  size_t width;
  const kk_dropout *dropout;
} kk_norm_group;

/* Columns [i, i + n) of `count` rows from `row` on. bits: NULL, or the masks of these columns, row after row. */
KK_INLINE void kk_norm_backward_columns(const kk_norm_group *g, size_t row, int count, const float *mean,
                                        const float *slope, const uint16_t *bits, const kk_row_mask *masks, size_t i,
                                        size_t n) {
  int full = n == KK_WIDTH;
  kk_vec gain = full ? kk_v_load(g->gain + i) : kk_v_load_part(g->gain + i, n);
  kk_vec gain_sum = full ? kk_v_load(g->gain_sum + i) : kk_v_load_part(g->gain_sum + i, n);
  kk_vec bias_sum = full ? kk_v_load(g->bias_sum + i) : kk_v_load_part(g->bias_sum + i, n);
  for (int r = 0; r < count; r++) {
    size_t at = (row + (size_t)r) * g->width + i;
    kk_vec dy = full ? kk_v_load(g->dy + at) : kk_v_load_part(g->dy + at, n);
    kk_vec xhat = full ? kk_v_load(g->xhat + at) : kk_v_load_part(g->xhat + at, n);
    gain_sum = kk_v_fma(dy, xhat, gain_sum);
    bias_sum = kk_v_add(bias_sum, dy);
    kk_vec d = kk_v_sub(kk_v_mul(dy, gain), kk_v_set(mean[r]));
    d = kk_v_mul(kk_v_fnma(xhat, kk_v_set(slope[r]), d), kk_v_set(g->rstd[row + (size_t)r]));
    if (full) {
      kk_v_store(g->dsum + at, d);
    } else {
      kk_v_store_part(g->dsum + at, d, n);
    }
    if (!g->dx) continue;
    if (bits) d = kk_dropped(d, bits + r * KK_MASK_CHUNK, masks[r].threshold, masks[r].scale);
    if (full) {
      kk_v_store(g->dx + at, d);
    } else {
      kk_v_store_part(g->dx + at, d, n);
    }
  }
  if (full) {
    kk_v_store(g->gain_sum + i, gain_sum);
    kk_v_store(g->bias_sum + i, bias_sum);
  } else {
    kk_v_store_part(g->gain_sum + i, gain_sum, n);
    kk_v_store_part(g->bias_sum + i, bias_sum, n);
  }
}

KK_INLINE void kk_norm_backward_group(const kk_norm_group *g, size_t row, int count) {
  float mean[KK_NORM_GROUP], slope[KK_NORM_GROUP];
  uint16_t bits[KK_NORM_GROUP * KK_MASK_CHUNK];
  kk_row_mask masks[KK_NORM_GROUP];
  int drops = g->dx && kk_drops(g->dropout);
  for (int r = 0; r < count; r++) {
    size_t at = (row + (size_t)r) * g->width;
    kk_gradient_means(mean + r, slope + r, g->dy + at, g->xhat + at, g->gain, g->width);
    if (drops) masks[r] = kk_mask_of_row(g->dropout, row + (size_t)r);
  }
  for (size_t column = 0; column < g->width; column += KK_MASK_CHUNK) {
    size_t chunk = g->width - column < KK_MASK_CHUNK ? g->width - column : KK_MASK_CHUNK, i = 0;
    if (drops)
      for (int r = 0; r < count; r++) kk_mask_bits(bits + r * KK_MASK_CHUNK, masks + r, column, chunk);
    for (; i + KK_WIDTH <= chunk; i += KK_WIDTH)
      kk_norm_backward_columns(g, row, count, mean, slope, drops ? bits + i : NULL, masks, column + i, KK_WIDTH);
    if (i < chunk)
      kk_norm_backward_columns(g, row, count, mean, slope, drops ? bits + i : NULL, masks, column + i, chunk - i);
  }
}

static void kk_norm_backward_piece(float *dx, float *dsum, float *gain_sum, float *bias_sum, const float *dy,
                                   const float *xhat, const float *rstd, const float *gain, kk_rows rows,
                                   const kk_dropout *dropout) {
  kk_norm_group g = {dx, dsum, gain_sum, bias_sum, dy, xhat, rstd, gain, rows.width, dropout};
  memset(gain_sum, 0, rows.width * sizeof(float));
  memset(bias_sum, 0, rows.width * sizeof(float));
  size_t row = rows.begin;
  for (; row + KK_NORM_GROUP <= rows.end; row += KK_NORM_GROUP) kk_norm_backward_group(&g, row, KK_NORM_GROUP);
  for (; row < rows.end; row++) kk_norm_backward_group(&g, row, 1);
}

static void kk_add_parts_piece(float *out, const float *parts, size_t parts_count, size_t stride, size_t count) {
  for (size_t i = 0; i < count; i += KK_WIDTH) {
    size_t n = count - i < KK_WIDTH ? count - i : KK_WIDTH;
    kk_vec sum = kk_v_zero();
    for (size_t b = 0; b < parts_count; b++) {
      const float *part = parts + b * stride + i;
      sum = kk_v_add(sum, n == KK_WIDTH ? kk_v_load(part) : kk_v_load_part(part, n));
    }
    if (n == KK_WIDTH) {
      kk_v_store(out + i, kk_v_add(kk_v_load(out + i), sum));
    } else {
      kk_v_store_part(out + i, kk_v_add(kk_v_load_part(out + i, n), sum), n);
    }
  }
}
