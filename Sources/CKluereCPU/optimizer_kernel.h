/* optimizer_kernel.h - AdamW in one pass over its four arrays, sum of squares, fill, averages of weights. */

KK_INLINE void kk_adamw_vector(kk_vec *w, kk_vec *m, kk_vec *v, kk_vec gradient, const kk_adamw_constants *c) {
  kk_vec g = kk_v_mul(gradient, kk_v_set(c->grad_scale));
  *m = kk_v_fma(*m, kk_v_set(c->beta1), kk_v_mul(g, kk_v_set(c->rest1)));
  *v = kk_v_fma(*v, kk_v_set(c->beta2), kk_v_mul(kk_v_mul(g, g), kk_v_set(c->rest2)));
  kk_vec below = kk_v_fma(kk_v_sqrt(*v), kk_v_set(c->root), kk_v_set(c->epsilon));
  kk_vec change = kk_v_div(kk_v_mul(*m, kk_v_set(c->step)), below);
  *w = kk_v_sub(kk_v_mul(*w, kk_v_set(c->decay)), change);
}

static void kk_adamw_piece(float *w, float *m, float *v, const float *gradient, size_t count,
                           const kk_adamw_constants *constants) {
  const kk_adamw_constants c = *constants;
  size_t i = 0;
  for (; i + KK_WIDTH <= count; i += KK_WIDTH) {
    kk_vec wi = kk_v_load(w + i), mi = kk_v_load(m + i), vi = kk_v_load(v + i);
    kk_adamw_vector(&wi, &mi, &vi, kk_v_load(gradient + i), &c);
    kk_v_store(w + i, wi);
    kk_v_store(m + i, mi);
    kk_v_store(v + i, vi);
  }
  if (i < count) {
    size_t n = count - i;
    kk_vec wi = kk_v_load_part(w + i, n), mi = kk_v_load_part(m + i, n), vi = kk_v_load_part(v + i, n);
    kk_adamw_vector(&wi, &mi, &vi, kk_v_load_part(gradient + i, n), &c);
    kk_v_store_part(w + i, wi, n);
    kk_v_store_part(m + i, mi, n);
    kk_v_store_part(v + i, vi, n);
  }
}

static double kk_sum_of_squares_piece(const float *x, size_t count) {
  kk_squares a = kk_squares_zero(), b = a;
  size_t i = 0;
  for (; i + 2 * KK_WIDTH <= count; i += 2 * KK_WIDTH) {
    kk_squares_add(&a, kk_v_load(x + i));
    kk_squares_add(&b, kk_v_load(x + i + KK_WIDTH));
  }
  for (; i < count; i += KK_WIDTH)
    kk_squares_add(&a, kk_v_load_part(x + i, count - i < KK_WIDTH ? count - i : KK_WIDTH));
  return kk_squares_total(&a) + kk_squares_total(&b);
}

static void kk_fill_piece(float *x, float value, size_t count) {
  kk_vec v = kk_v_set(value);
  size_t i = 0;
  for (; i + KK_WIDTH <= count; i += KK_WIDTH) kk_v_store(x + i, v);
  if (i < count) kk_v_store_part(x + i, v, count - i);
}

/* From the nearer end, as torch.lerp: weight 1 gives x to the bit. */
KK_INLINE kk_vec kk_lerp_vector(kk_vec y, kk_vec x, float weight) {
  kk_vec way = kk_v_sub(x, y);
  return weight < 0.5f ? kk_v_fma(way, kk_v_set(weight), y) : kk_v_fma(way, kk_v_set(weight - 1.0f), x);
}

static void kk_lerp_piece(float *y, const float *x, float weight, size_t count) {
  size_t i = 0;
  for (; i + KK_WIDTH <= count; i += KK_WIDTH)
    kk_v_store(y + i, kk_lerp_vector(kk_v_load(y + i), kk_v_load(x + i), weight));
  if (i < count) {
    size_t n = count - i;
    kk_v_store_part(y + i, kk_lerp_vector(kk_v_load_part(y + i, n), kk_v_load_part(x + i, n), weight), n);
  }
}
