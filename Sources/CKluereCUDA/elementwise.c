/* elementwise.c - activations, dropout alone, fill, conversions. */
#include "operation.h"

static int launch_elements(kc_device *device, int kernel, size_t count, const void *parameters, size_t bytes) {
  size_t blocks = kc_divide_up(count, KC_BLOCK_ELEMENTS);
  if (blocks == 0) return KC_OK;
  if (blocks > KC_MOST_BLOCKS) return kc_fail(device, KC_UNSUPPORTED, "an array of %zu elements", count);
  kc_grid grid = {(unsigned)blocks, 1, 1};
  return kc_launch(device, kernel, grid, 256, 0, parameters, bytes);
}

int kc_fill(kc_device *device, float *x, float value, size_t count) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_fill_parameters p = {.x = x, .value = value, .count = count, .vectors = kc_aligned(kc_address(x))};
  return kc_leave(device, launch_elements(device, KC_K_kc_fill_f32, count, &p, sizeof p));
}

/* The kernel from one type to another; -1: the same storage. */
static int conversion(int to, int from) {
  if (kc_same_storage(to, from)) return -1;
  if (!kc_is_half(from)) return to == KC_BF16 ? KC_K_kc_convert_bf16_from_f32 : KC_K_kc_convert_f16_from_f32;
  if (!kc_is_half(to)) return from == KC_BF16 ? KC_K_kc_convert_f32_from_bf16 : KC_K_kc_convert_f32_from_f16;
  return to == KC_BF16 ? KC_K_kc_convert_bf16_from_f16 : KC_K_kc_convert_f16_from_bf16;
}

int kc_convert(kc_device *device, kc_array y, kc_array x, size_t count) {
  int kernel = conversion(y.type, x.type);
  if (kernel < 0) return kc_copy(device, y.data, x.data, count * kc_type_bytes(x.type));
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_convert_parameters p = {.y = y.data,
                             .x = x.data,
                             .count = count,
                             .vectors = kc_aligned(kc_address(y.data) | kc_address(x.data))};
  return kc_leave(device, launch_elements(device, kernel, count, &p, sizeof p));
}

static int activation(kc_device *device, int kernel, int kind, kc_array y, kc_array x, kc_array dy, size_t count) {
  if (!kc_same_storage(y.type, x.type) || (dy.data && !kc_same_storage(dy.type, x.type)))
    return kc_fail(device, KC_UNSUPPORTED, "an activation from type %d to type %d", x.type, y.type);
  kc_activation_parameters p = {.y = y.data,
                                .x = x.data,
                                .dy = dy.data,
                                .count = count,
                                .activation = kind,
                                .vectors = kc_aligned(kc_address(y.data) | kc_address(x.data) | kc_address(dy.data))};
  return launch_elements(device, kernel, count, &p, sizeof p);
}

int kc_activate_values(kc_device *device, int activation_kind, kc_array y, kc_array x, size_t count) {
  kc_array none = {NULL, x.type};
  return activation(device, KC_KERNEL_FOR(kc_activate, x.type), activation_kind, y, x, none, count);
}

int kc_activate(kc_device *device, int activation_kind, kc_array y, kc_array x, size_t count) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  return kc_leave(device, kc_activate_values(device, activation_kind, y, x, count));
}

int kc_activate_backward(kc_device *device, int activation_kind, kc_array dx, kc_array dy, kc_array x, size_t count) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  return kc_leave(device,
                  activation(device, KC_KERNEL_FOR(kc_activate_backward, x.type), activation_kind, dx, x, dy, count));
}

static int dropout_rows(kc_device *device, kc_array y, kc_array x, size_t rows, size_t width,
                        const kc_dropout *dropout) {
  if (rows == 0 || width == 0) return KC_OK;
  if (!kc_same_storage(y.type, x.type))
    return kc_fail(device, KC_UNSUPPORTED, "dropout from type %d to type %d", x.type, y.type);
  if (rows > KC_MOST_BLOCKS || width > UINT32_MAX)
    return kc_fail(device, KC_UNSUPPORTED, "%zu rows of %zu columns; at most %u rows", rows, width, KC_MOST_BLOCKS);
  kc_dropout_parameters p = {.y = y.data,
                             .x = x.data,
                             .rows = rows,
                             .width = (unsigned)width,
                             .mask = kc_mask_of(dropout),
                             .vectors = kc_vectors(width, kc_address(y.data) | kc_address(x.data))};
  kc_grid grid = {(unsigned)rows, 1, 1};
  return kc_launch(device, KC_KERNEL_FOR(kc_dropout, x.type), grid, kc_row_threads(width), 0, &p, sizeof p);
}

int kc_dropout_apply(kc_device *device, kc_array y, kc_array x, size_t rows, size_t width, const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  return kc_leave(device, dropout_rows(device, y, x, rows, width, dropout));
}
