/* activation_kernel.h - activations and their gradients. A tail goes through the same vector arithmetic as the rest, so
 * that the bits of an element do not depend on where it lies. */

/* y[i] = f(x[i]) */
#define KK_MAP(f)                                                                   \
  size_t i = 0;                                                                     \
  for (; i + KK_WIDTH <= count; i += KK_WIDTH) kk_v_store(y + i, f(kk_v_load(x + i))); \
  if (i < count) kk_v_store_part(y + i, f(kk_v_load_part(x + i, count - i)), count - i);

static void kk_gelu_piece(float *y, const float *x, size_t count) { KK_MAP(kk_v_gelu) }
static void kk_gelu_new_piece(float *y, const float *x, size_t count) { KK_MAP(kk_v_gelu_new) }
static void kk_relu_piece(float *y, const float *x, size_t count) { KK_MAP(kk_v_relu) }
static void kk_tanh_piece(float *y, const float *x, size_t count) { KK_MAP(kk_v_tanh) }
#undef KK_MAP

/* dx[i] = f(dy[i], x[i]) */
#define KK_MAP_BACKWARD(f)                                                                                     \
  size_t i = 0;                                                                                                \
  for (; i + KK_WIDTH <= count; i += KK_WIDTH)                                                                 \
    kk_v_store(dx + i, f(kk_v_load(dy + i), kk_v_load(x + i)));                                                \
  if (i < count)                                                                                               \
    kk_v_store_part(dx + i, f(kk_v_load_part(dy + i, count - i), kk_v_load_part(x + i, count - i)), count - i);

KK_INLINE kk_vec kk_gelu_gradient(kk_vec dy, kk_vec x) { return kk_v_mul(dy, kk_v_gelu_slope(x)); }
KK_INLINE kk_vec kk_gelu_new_gradient(kk_vec dy, kk_vec x) { return kk_v_mul(dy, kk_v_gelu_new_slope(x)); }
KK_INLINE kk_vec kk_relu_gradient(kk_vec dy, kk_vec x) { return kk_v_mul(dy, kk_v_relu_slope(x)); }
KK_INLINE kk_vec kk_tanh_gradient(kk_vec dy, kk_vec y) {
  return kk_v_mul(dy, kk_v_fnma(y, y, kk_v_set(1.0f)));
}
static void kk_gelu_backward_piece(float *dx, const float *dy, const float *x, size_t count) {
  KK_MAP_BACKWARD(kk_gelu_gradient)
}
static void kk_gelu_new_backward_piece(float *dx, const float *dy, const float *x, size_t count) {
  KK_MAP_BACKWARD(kk_gelu_new_gradient)
}
static void kk_relu_backward_piece(float *dx, const float *dy, const float *x, size_t count) {
  KK_MAP_BACKWARD(kk_relu_gradient)
}
static void kk_tanh_backward_piece(float *dx, const float *dy, const float *x, size_t count) {
  KK_MAP_BACKWARD(kk_tanh_gradient)
}
#undef KK_MAP_BACKWARD
