/* linear.c - products with weights: the product itself is gemm.c's, around it bias and activation. */
#include "operation.h"

/* The weights as numbers of this type; NULL if there are none. */
static const void *weights_of(const kc_weights *weights, int type) {
  if (!kc_is_half(type)) return weights->f32;
  return weights->half_type == type ? weights->half : NULL;
}

static int no_weights(kc_device *device, const char *what, int type, const kc_weights *weights) {
  return kc_fail(device, KC_UNSUPPORTED, "%s of type %d are not there; the 16-bit copy is of type %d", what, type,
                 weights->half ? weights->half_type : -1);
}

/* ---- forward ---- */

static int linear(kc_device *device, const kc_gemm *product, kc_array y, int activation) {
  int status = kc_multiply(device, product);
  if (status != KC_OK || (activation == KC_ACT_NONE && y.data == product->c)) return status;
  kc_array from = {product->c, product->c_type};
  return kc_activate_values(device, activation, y, from, product->m * product->n);
}

int kc_linear(kc_device *device, kc_array y, kc_array pre, kc_array x, kc_weights w, kc_weights bias, size_t rows,
              size_t out, size_t in, int activation) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_array to = pre.data ? pre : y;
  int bias_type = kc_is_half(to.type) ? to.type : KC_F32, has_bias = bias.f32 != NULL || bias.half != NULL;
  kc_gemm product = {.c = to.data,
                     .a = x.data,
                     .b = weights_of(&w, x.type),
                     .bias = has_bias ? weights_of(&bias, bias_type) : NULL,
                     .m = rows,
                     .n = out,
                     .k = in,
                     .a_type = x.type,
                     .c_type = to.type,
                     .b_transposed = 1};
  if (!kc_same_storage(y.type, to.type) || !kc_stream_fits(x.type, y.type))
    status = kc_fail(device, KC_UNSUPPORTED, "a linear layer from type %d to type %d", x.type, y.type);
  else if (product.b == NULL)
    status = no_weights(device, "weights", x.type, &w);
  else if (has_bias && product.bias == NULL)
    status = no_weights(device, "biases", bias_type, &bias);
  else if (rows > 0)
    status = linear(device, &product, y, activation);
  return kc_leave(device, status);
}

/* ---- backward ---- */

int kc_linear_backward_input(kc_device *device, kc_array dx, kc_array dy, kc_weights w, size_t rows, size_t out,
                             size_t in, int accumulate) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_gemm product = {.c = dx.data,
                     .a = dy.data,
                     .b = weights_of(&w, dy.type),
                     .m = rows,
                     .n = in,
                     .k = out,
                     .a_type = dy.type,
                     .c_type = dx.type,
                     .beta = accumulate ? 1.0f : 0.0f};
  if (!kc_stream_fits(dy.type, dx.type))
    status = kc_fail(device, KC_UNSUPPORTED, "a gradient from type %d to type %d", dy.type, dx.type);
  else if (product.b == NULL)
    status = no_weights(device, "weights", dy.type, &w);
  else if (rows > 0)
    status = kc_multiply(device, &product);
  return kc_leave(device, status);
}

static int bias_gradient(kc_device *device, float *dbias, kc_array dy, size_t rows, size_t out) {
  void *scratch = NULL;
  int status = kc_scratch(device, kc_column_sums_scratch(rows, out) * sizeof(float), &scratch);
  return status == KC_OK ? kc_column_sums(device, dbias, dy, NULL, 0, rows, out, scratch) : status;
}

int kc_linear_backward_weight(kc_device *device, float *dw, float *dbias, kc_array dy, kc_array x, size_t rows,
                              size_t out, size_t in) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_gemm product = {.c = dw,
                     .a = dy.data,
                     .b = x.data,
                     .m = out,
                     .n = in,
                     .k = rows,
                     .a_type = dy.type,
                     .c_type = KC_F32,
                     .a_transposed = 1,
                     .beta = 1.0f};
  if (!kc_same_storage(dy.type, x.type))
    status = kc_fail(device, KC_UNSUPPORTED, "a gradient of type %d with values of type %d", dy.type, x.type);
  else if (rows > 0)
    status = kc_multiply(device, &product);
  if (status == KC_OK && dbias && rows > 0) status = bias_gradient(device, dbias, dy, rows, out);
  return kc_leave(device, status);
}
