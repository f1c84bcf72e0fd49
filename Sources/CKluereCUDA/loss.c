/* loss.c - cross entropy, the other classification losses, softmax. */
#include "operation.h"

static unsigned class_threads(size_t classes) {
  return classes >= 256 ? 256 : (unsigned)kc_divide_up(classes, 32) * 32;
}

static int check(kc_device *device, size_t rows, size_t classes) {
  if (rows > KC_MOST_BLOCKS || classes > INT32_MAX)
    return kc_fail(device, KC_UNSUPPORTED, "%zu rows of %zu classes; at most %u rows", rows, classes, KC_MOST_BLOCKS);
  return KC_OK;
}

/* Memory for one loss a row, and the rows' losses added to the state. */
static int row_losses(kc_device *device, size_t rows, double **losses) {
  void *memory = NULL;
  int status = kc_scratch(device, rows * sizeof(double), &memory);
  *losses = memory;
  return status;
}

static int add_losses(kc_device *device, const double *losses, size_t rows, kc_update_state *state) {
  kc_grid one = {1, 1, 1};
  kc_sum_losses_parameters sum = {.state = (kc_device_state *)state, .losses = losses, .rows = rows};
  return kc_launch(device, KC_K_kc_sum_losses, one, 256, 0, &sum, sizeof sum);
}

static int cross_entropy(kc_device *device, kc_cross_entropy_parameters *p, size_t rows, size_t classes,
                         kc_update_state *state) {
  int status = check(device, rows, classes);
  if (status != KC_OK || rows == 0 || classes == 0) return status;
  status = row_losses(device, rows, &p->losses);
  if (status != KC_OK) return status;
  p->classes = (unsigned)classes;
  p->state = (const kc_device_state *)state;
  kc_grid grid = {(unsigned)rows, 1, 1};
  status = kc_launch(device, KC_K_kc_cross_entropy_f32, grid, class_threads(classes), 0, p, sizeof *p);
  if (status != KC_OK) return status;
  return add_losses(device, p->losses, rows, state);
}

int kc_cross_entropy(kc_device *device, float *dlogits, const float *logits, const int32_t *labels, size_t rows,
                     size_t classes, float scale, kc_update_state *state) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_cross_entropy_parameters p = {.dlogits = dlogits, .logits = logits, .labels = labels, .scale = scale};
  return kc_leave(device, cross_entropy(device, &p, rows, classes, state));
}

static int classification_loss(kc_device *device, kc_classification_loss_parameters *p, size_t rows, size_t classes,
                               kc_update_state *state) {
  int status = check(device, rows, classes);
  if (status != KC_OK || rows == 0 || classes == 0) return status;
  status = row_losses(device, rows, &p->losses);
  if (status != KC_OK) return status;
  p->rows = (unsigned)rows;
  p->classes = (unsigned)classes;
  p->state = (const kc_device_state *)state;
  kc_grid grid = {(unsigned)rows, 1, 1};
  status = kc_launch(device, KC_K_kc_classification_loss, grid, 32, 0, p, sizeof *p);
  if (status != KC_OK) return status;
  return add_losses(device, p->losses, rows, state);
}

int kc_classification_loss(kc_device *device, float *dlogits, const float *logits, const int32_t *labels, size_t rows,
                           size_t classes, float scale, const kc_loss_rule *rule, kc_update_state *state) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  kc_classification_loss_parameters p = {.dlogits = dlogits,
                                         .logits = logits,
                                         .labels = labels,
                                         .scale = scale,
                                         .weights = rule->weights,
                                         .margins = rule->margins,
                                         .teacher = rule->teacher,
                                         .on_target = rule->on_target,
                                         .off_target = rule->off_target,
                                         .gamma = rule->gamma,
                                         .sharpness = rule->sharpness,
                                         .temperature = rule->temperature,
                                         .hard = rule->hard,
                                         .soft = rule->soft,
                                         .agreement = rule->agreement,
                                         .detached = rule->detached};
  return kc_leave(device, classification_loss(device, &p, rows, classes, state));
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
