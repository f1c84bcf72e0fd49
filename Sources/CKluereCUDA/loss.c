/* loss.c - cross entropy, focal loss, softmax. */
#include "operation.h"

static unsigned class_threads(size_t classes) {
  return classes >= 256 ? 256 : (unsigned)kc_divide_up(classes, 32) * 32;
}

static int check(kc_device *device, size_t rows, size_t classes) {
  if (rows > KC_MOST_BLOCKS || classes > INT32_MAX)
    return kc_fail(device, KC_UNSUPPORTED, "%zu rows of %zu classes; at most %u rows", rows, classes, KC_MOST_BLOCKS);
  return KC_OK;
}

static int cross_entropy(kc_device *device, kc_cross_entropy_parameters *p, size_t rows, size_t classes,
                         kc_update_state *state) {
  int status = check(device, rows, classes);
  if (status != KC_OK || rows == 0 || classes == 0) return status;
  void *losses = NULL;
  status = kc_scratch(device, rows * sizeof(double), &losses);
  if (status != KC_OK) return status;
  p->losses = losses;
  p->classes = (unsigned)classes;
  p->state = (const kc_device_state *)state;
  kc_grid grid = {(unsigned)rows, 1, 1}, one = {1, 1, 1};
  status = kc_launch(device, KC_K_kc_cross_entropy_f32, grid, class_threads(classes), 0, p, sizeof *p);
  if (status != KC_OK) return status;
  kc_sum_losses_parameters sum = {.state = (kc_device_state *)state, .losses = losses, .rows = rows};
  return kc_launch(device, KC_K_kc_sum_losses, one, 256, 0, &sum, sizeof sum);
}

int kc_cross_entropy(kc_device *device, float *dlogits, const float *logits, const int32_t *labels, size_t rows,
                     size_t classes, float scale, float gamma, const float *weight, kc_update_state *state) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_cross_entropy_parameters p = {
      .dlogits = dlogits, .logits = logits, .weight = weight, .labels = labels, .scale = scale, .gamma = gamma};
  return kc_leave(device, cross_entropy(device, &p, rows, classes, state));
}

int kc_softmax(kc_device *device, float *y, const float *x, size_t rows, size_t classes) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  status = check(device, rows, classes);
  if (status == KC_OK && rows > 0 && classes > 0) {
    kc_softmax_parameters p = {.y = y, .x = x, .classes = (unsigned)classes};
    kc_grid grid = {(unsigned)rows, 1, 1};
    status = kc_launch(device, KC_K_kc_softmax_f32, grid, class_threads(classes), 0, &p, sizeof p);
  }
  return kc_leave(device, status);
}
