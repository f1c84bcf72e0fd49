/* optimizer.c - one update: its state on the device, the norm of the gradients, AdamW, averages of weights. */
#include <math.h>

#include "operation.h"

/* The kernels know the state under another name, since they can include nothing. */
_Static_assert(sizeof(kc_update_state) == sizeof(kc_device_state), "one layout");
_Static_assert(offsetof(kc_update_state, loss_sum) == offsetof(kc_device_state, loss_sum), "one layout");
_Static_assert(offsetof(kc_update_state, grad_norm) == offsetof(kc_device_state, grad_norm), "one layout");
_Static_assert(offsetof(kc_update_state, gradient_scale) == offsetof(kc_device_state, gradient_scale), "one layout");
_Static_assert(offsetof(kc_update_state, skip) == offsetof(kc_device_state, skip), "one layout");
_Static_assert(offsetof(kc_update_state, loss_scale) == offsetof(kc_device_state, loss_scale), "one layout");
_Static_assert(offsetof(kc_update_state, good_updates) == offsetof(kc_device_state, good_updates), "one layout");

/* Blocks of the sum of squares: a fixed number of elements each, more for arrays that would make too many blocks. */
#define SQUARES_ELEMENTS ((size_t)32768)
#define SQUARES_BLOCKS ((size_t)16384)

static int start(kc_device *device, kc_update_state *state, float loss_scale, uint32_t good_updates, int begin) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_update_start_parameters p = {.state = (kc_device_state *)state,
                                  .loss_scale = loss_scale,
                                  .good_updates = good_updates,
                                  .begin = begin};
  kc_grid one = {1, 1, 1};
  return kc_leave(device, kc_launch(device, KC_K_kc_update_start, one, 32, 0, &p, sizeof p));
}

int kc_update_start(kc_device *device, kc_update_state *state, float loss_scale, uint32_t good_updates) {
  return start(device, state, loss_scale, good_updates, 0);
}

int kc_update_begin(kc_device *device, kc_update_state *state) { return start(device, state, 0, 0, 1); }

static int prepare(kc_device *device, kc_prepare_parameters *p, const float *gradients, size_t count) {
  size_t each = kc_divide_up(kc_divide_up(count, SQUARES_BLOCKS), SQUARES_ELEMENTS) * SQUARES_ELEMENTS;
  size_t blocks = count == 0 ? 0 : kc_divide_up(count, each);
  kc_grid grid = {(unsigned)blocks, 1, 1}, one = {1, 1, 1};
  void *squares = NULL;
  int status = kc_scratch(device, (blocks + 1) * sizeof(double), &squares);
  if (status == KC_OK && blocks > 0) {
    kc_squares_parameters s = {.squares = squares,
                               .x = gradients,
                               .count = count,
                               .block_count = each,
                               .vectors = kc_aligned(kc_address(gradients))};
    status = kc_launch(device, KC_K_kc_squares, grid, 256, 0, &s, sizeof s);
  }
  if (status != KC_OK) return status;
  p->squares = squares;
  p->blocks = (unsigned)blocks;
  return kc_launch(device, KC_K_kc_update_prepare, one, 256, 0, p, sizeof *p);
}

int kc_update_prepare(kc_device *device, kc_update_state *state, const float *gradients, size_t count, double max_norm,
                      int dynamic, uint32_t growth_interval) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_prepare_parameters p = {.state = (kc_device_state *)state,
                             .growth_interval = growth_interval,
                             .max_norm = max_norm,
                             .dynamic = dynamic};
  return kc_leave(device, prepare(device, &p, gradients, count));
}

int kc_adamw_apply(kc_device *device, float *w, kc_array half, float *m, float *v, const float *gradient, size_t count,
                   const kc_adamw *options, const kc_update_state *state) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  size_t blocks = kc_divide_up(count, KC_BLOCK_ELEMENTS);
  if (blocks > KC_MOST_BLOCKS || (half.data && !kc_is_half(half.type)))
    return kc_leave(device,
                    kc_fail(device, KC_UNSUPPORTED, "AdamW on %zu values with a copy of type %d", count, half.type));
  if (blocks == 0) return kc_leave(device, KC_OK);
  kc_adamw_parameters p = {.w = w,
                           .m = m,
                           .v = v,
                           .half = half.data,
                           .gradient = gradient,
                           .count = count,
                           .state = (const kc_device_state *)state,
                           .beta1 = options->beta1,
                           .rest1 = (float)(1.0 - (double)options->beta1),
                           .beta2 = options->beta2,
                           .rest2 = (float)(1.0 - (double)options->beta2),
                           .epsilon = options->epsilon,
                           .decay = (float)(1.0 - (double)options->learning_rate * (double)options->weight_decay),
                           .step = (float)((double)options->learning_rate / options->correction1),
                           .root = (float)(1.0 / sqrt(options->correction2)),
                           .vectors = kc_aligned(kc_address(w) | kc_address(m) | kc_address(v) | kc_address(half.data) |
                                                 kc_address(gradient))};
  kc_grid grid = {(unsigned)blocks, 1, 1};
  int type = half.data ? half.type : KC_F32;
  return kc_leave(device, kc_launch(device, KC_KERNEL_FOR(kc_adamw, type), grid, 256, 0, &p, sizeof p));
}

int kc_lerp(kc_device *device, float *y, const float *x, float weight, size_t count) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  size_t blocks = kc_divide_up(count, KC_BLOCK_ELEMENTS);
  if (blocks > KC_MOST_BLOCKS)
    return kc_leave(device, kc_fail(device, KC_UNSUPPORTED, "an average of %zu values", count));
  if (blocks == 0) return kc_leave(device, KC_OK);
  kc_lerp_parameters p = {
    .y = y, .x = x, .weight = weight, .count = count, .vectors = kc_aligned(kc_address(y) | kc_address(x))};
  kc_grid grid = {(unsigned)blocks, 1, 1};
  return kc_leave(device, kc_launch(device, KC_K_kc_lerp_f32, grid, 256, 0, &p, sizeof p));
}

int kc_update_read(kc_device *device, const kc_update_state *state, kc_update_state *out) {
  return kc_copy_out(device, out, state, sizeof *out);
}
