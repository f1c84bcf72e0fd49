/* loss_kernel.h - softmax over a row, and the cross entropy with its gradient. */

KK_INLINE float kk_row_largest(const float *x, size_t width) {
  kk_vec m = kk_v_set(x[0]);
  size_t i = 0;
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) m = kk_v_max(m, kk_v_load(x + i));
  float largest = kk_v_largest(m);
  for (; i < width; i++) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

/* e^x for x <= 0, and 0 where that is no normal number: what is impossible (-10000) has probability 0, as on a GPU. */
KK_INLINE kk_vec kk_v_share(kk_vec x) {
  return kk_v_select(kk_v_less(x, kk_v_set(-87.33f)), kk_v_zero(), kk_v_exp(x));
}

/* y = e^(x - largest), y may be x; returns the sum. y may be NULL. */
KK_INLINE float kk_row_exponentials(float *y, const float *x, float largest, size_t width) {
  kk_vec s0 = kk_v_zero(), s1 = s0, m = kk_v_set(largest);
  size_t i = 0;
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) {
    kk_vec e = kk_v_share(kk_v_sub(kk_v_load(x + i), m));
    if (y) kk_v_store(y + i, e);
    s0 = kk_v_add(s0, e);
  }
  if (i < width) {
    size_t n = width - i;
    kk_vec e = kk_v_share(kk_v_sub(kk_v_load_part(x + i, n), m));
    if (y) kk_v_store_part(y + i, e, n);
    s1 = kk_v_first(e, n);
  }
  return kk_v_sum(kk_v_add(s0, s1));
}

KK_INLINE void kk_row_scale(float *y, float factor, size_t width) {
  kk_vec f = kk_v_set(factor);
  size_t i = 0;
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) kk_v_store(y + i, kk_v_mul(kk_v_load(y + i), f));
  if (i < width) kk_v_store_part(y + i, kk_v_mul(kk_v_load_part(y + i, width - i), f), width - i);
}

static void kk_softmax_piece(float *y, const float *x, kk_rows rows) {
  for (size_t row = rows.begin; row < rows.end; row++) {
    const float *from = x + row * rows.width;
    float *to = y + row * rows.width;
    float sum = kk_row_exponentials(to, from, kk_row_largest(from, rows.width), rows.width);
    kk_row_scale(to, 1.0f / sum, rows.width);
  }
}

static void kk_cross_entropy_piece(double *loss, float *dlogits, const float *logits, const int32_t *labels,
                                   kk_rows rows, float scale) {
  for (size_t row = rows.begin; row < rows.end; row++) {
    const float *x = logits + row * rows.width;
    float *dx = dlogits ? dlogits + row * rows.width : NULL;
    if (labels[row] < 0 || (size_t)labels[row] >= rows.width) { /* no label: no part in the loss */
      loss[row] = 0.0;
      if (dx) memset(dx, 0, rows.width * sizeof(float));
      continue;
    }
    float largest = kk_row_largest(x, rows.width), own = x[labels[row]];
    float sum = kk_row_exponentials(dx, x, largest, rows.width);
    loss[row] = log((double)sum) + ((double)largest - (double)own);
    if (!dx) continue;
    kk_row_scale(dx, scale / sum, rows.width);
    dx[labels[row]] -= scale;
  }
}
