/* Losses that cannot be or contradict themselves, soft targets and pseudo-labels from tables that are none. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, CELLS = FIXTURE_ROWS * FIXTURE_LABELS };

static kluere_loss_options loss_options(void) {
  kluere_loss_options loss;
  SUCCEEDS(kluere_loss_options_init(&loss, sizeof loss));
  return loss;
}

/* The trainer of a loss; destroyed at once. */
static kluere_status made(struct fixture *f, const kluere_loss_options *loss) {
  kluere_train_options train = fixture_train_options();
  kluere_trainer *trainer = NULL;
  train.loss = loss;
  kluere_status status = kluere_trainer_create(f->model, f->train, NULL, &train, &trainer);
  if (status == KLUERE_OK) status = kluere_trainer_step(trainer, NULL);
  kluere_trainer_destroy(trainer);
  return status;
}

/* The message of the last failure has both names in it. */
static void names_both(const char *first, const char *second) {
  char message[1024];
  kluere_last_error(message, sizeof message);
  HOLDS(strstr(message, first) != NULL && strstr(message, second) != NULL);
}

#define REFUSED(change)                        \
  do {                                         \
    kluere_loss_options loss = loss_options(); \
    change;                                    \
    REFUSES_CASE(#change, BAD, made(f, &loss)); \
  } while (0)
#define CONTRADICTS(change, first, second) \
  do {                                     \
    REFUSED(change);                       \
    names_both(first, second);             \
  } while (0)

static void values(struct fixture *f) {
  float weights[FIXTURE_LABELS] = {1, 2, 3}, negative[FIXTURE_LABELS] = {1, -1, 1}, nan[FIXTURE_LABELS] = {NAN, 1, 1};
  float four[FIXTURE_LABELS + 1] = {1, 1, 1, 1};
  float zeros[FIXTURE_LABELS] = {0};
  REFUSED(loss.kind = 3);
  REFUSED(loss.kind = -1);
  REFUSED(loss.class_weight_rule = 4);
  REFUSED(loss.class_weight_scale = 3);
  REFUSED(loss.smoothing_mode = 2);
  REFUSED(loss.weighted_mean = 2);
  REFUSED(loss.detach_pt = 2);
  REFUSED(loss.reserved = 1);
  REFUSED(loss.label_smoothing = NAN);
  REFUSED(loss.label_smoothing = 1.5);
  REFUSED(loss.label_smoothing = -0.1);
  REFUSED(loss.r_drop = -1);
  REFUSED(loss.r_drop = INFINITY);
  REFUSED(loss.r_drop = NAN);
  REFUSED((loss.kind = KLUERE_LOSS_FOCAL, loss.focal_gamma = -2));
  REFUSED((loss.kind = KLUERE_LOSS_FOCAL, loss.focal_gamma = NAN));
  REFUSED((loss.kind = KLUERE_LOSS_FOCAL, loss.focal_alpha = INFINITY));
  REFUSED((loss.kind = KLUERE_LOSS_LDAM, loss.ldam_scale = 0));
  REFUSED((loss.kind = KLUERE_LOSS_LDAM, loss.ldam_margin = NAN));
  REFUSED((loss.class_weight_rule = KLUERE_CLASS_WEIGHTS_EFFECTIVE, loss.effective_beta = 1));
  REFUSED((loss.class_weight_rule = KLUERE_CLASS_WEIGHTS_SQRT, loss.weights_from = 1.5));
  REFUSED((loss.class_weights = weights, loss.class_weight_count = 2));
  REFUSED((loss.class_weights = weights, loss.class_weight_count = (size_t)-1));
  REFUSED(loss.class_weight_count = 3);
  REFUSED((loss.class_weights = negative, loss.class_weight_count = FIXTURE_LABELS));
  REFUSED((loss.class_weights = nan, loss.class_weight_count = FIXTURE_LABELS));
  REFUSED((loss.class_weights = zeros, loss.class_weight_count = FIXTURE_LABELS));
  REFUSED((loss.kind = KLUERE_LOSS_FOCAL, loss.focal_alphas = four, loss.focal_alpha_count = FIXTURE_LABELS + 1));
}

static void contradictions(struct fixture *f) {
  float weights[FIXTURE_LABELS] = {1, 2, 3}, targets[CELLS];
  for (int i = 0; i < CELLS; i++) targets[i] = i % FIXTURE_LABELS == 1;
  CONTRADICTS((loss.class_weights = weights, loss.class_weight_count = FIXTURE_LABELS,
               loss.class_weight_rule = KLUERE_CLASS_WEIGHTS_SQRT), "class_weights", "class_weight_rule");
  CONTRADICTS((loss.class_weights = weights, loss.class_weight_count = FIXTURE_LABELS,
               loss.class_weight_scale = KLUERE_WEIGHT_SCALE_AS_IS), "class_weight_scale", "class_weight_rule");
  CONTRADICTS(loss.effective_beta = 0.9, "effective_beta", "class_weight_rule");
  CONTRADICTS(loss.weighted_mean = 1, "weighted_mean", "class_weights");
  CONTRADICTS(loss.weights_from = 0.5, "weights_from", "class_weights");
  CONTRADICTS(loss.smoothing_mode = KLUERE_SMOOTHING_OTHERS, "smoothing_mode", "label_smoothing");
  CONTRADICTS(loss.focal_gamma = 2, "focal_gamma", "cross_entropy");
  CONTRADICTS((loss.kind = KLUERE_LOSS_LDAM, loss.focal_gamma = 2), "focal_gamma", "ldam");
  CONTRADICTS(loss.focal_alpha = 0.25, "focal_alpha", "cross_entropy");
  CONTRADICTS(loss.detach_pt = 1, "detach_pt", "cross_entropy");
  CONTRADICTS((loss.kind = KLUERE_LOSS_FOCAL, loss.focal_alpha = 0.5, loss.focal_alphas = weights,
               loss.focal_alpha_count = FIXTURE_LABELS), "focal_alpha ", "focal_alphas");
  CONTRADICTS(loss.ldam_margin = 0.5, "ldam_margin", "cross_entropy");
  CONTRADICTS((loss.kind = KLUERE_LOSS_FOCAL, loss.ldam_scale = 30), "ldam_scale", "focal");
  CONTRADICTS((loss.kind = KLUERE_LOSS_LDAM, loss.label_smoothing = 0.1), "label_smoothing", "ldam");
  CONTRADICTS(loss.temperature = 2, "temperature", "soft_targets");
  CONTRADICTS(loss.distill_share = 0.5, "distill_share", "soft_targets");
  CONTRADICTS((loss.kind = KLUERE_LOSS_FOCAL, loss.soft_targets = targets, loss.soft_target_count = CELLS,
               loss.distill_share = 1), "distill_share", "focal");
  CONTRADICTS((loss.label_smoothing = 0.1, loss.soft_targets = targets, loss.soft_target_count = CELLS,
               loss.distill_share = 1), "distill_share", "label_smoothing");
}

static void soft_targets(struct fixture *f) {
  float targets[CELLS];
  for (int i = 0; i < CELLS; i++) targets[i] = i % FIXTURE_LABELS == 1;
  REFUSED(loss.soft_target_count = CELLS);
  REFUSED((loss.soft_targets = targets, loss.soft_target_count = CELLS - 1));
  REFUSED((loss.soft_targets = targets, loss.soft_target_count = (size_t)-1));
  REFUSED((loss.soft_targets = targets, loss.soft_target_count = 0));
  REFUSED((loss.soft_targets = targets, loss.soft_target_count = CELLS, loss.temperature = 0));
  REFUSED((loss.soft_targets = targets, loss.soft_target_count = CELLS, loss.distill_share = 1.5));
  const float wrong[] = {NAN, -0.1f, 2, INFINITY, 0.5f};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    targets[4] = wrong[i];
    REFUSED((loss.soft_targets = targets, loss.soft_target_count = CELLS));
  }
}

/* Everything at once, as far as it goes together. */
static void allowed(struct fixture *f) {
  float targets[CELLS];
  for (int i = 0; i < CELLS; i++) targets[i] = i % FIXTURE_LABELS == 1;
  kluere_loss_options loss = loss_options();
  SUCCEEDS(made(f, &loss));
  SUCCEEDS(made(f, NULL));
  loss.kind = KLUERE_LOSS_FOCAL;
  loss.class_weight_rule = KLUERE_CLASS_WEIGHTS_EFFECTIVE;
  loss.weighted_mean = 1;
  loss.weights_from = 0.5;
  loss.label_smoothing = 0.1;
  loss.smoothing_mode = KLUERE_SMOOTHING_OTHERS;
  loss.detach_pt = 1;
  loss.r_drop = 1;
  loss.soft_targets = targets;
  loss.soft_target_count = CELLS;
  loss.temperature = 2;
  SUCCEEDS(made(f, &loss));
}

#define LABEL(...) kluere_dataset_pseudo_label(f->hidden, sure, CELLS, __VA_ARGS__)

static void pseudo_labels(struct fixture *f) {
  float sure[CELLS];
  size_t rows[FIXTURE_ROWS], count = 7;
  double shares[FIXTURE_LABELS] = {1, 0, 0};
  int32_t labels[2];
  kluere_dataset *out = NULL, *both = NULL;
  kluere_pseudo_label_options options;
  for (int i = 0; i < CELLS; i++) sure[i] = i % FIXTURE_LABELS == 1 ? 0.5f + (float)i / 100 : 0.1f;
  SUCCEEDS(kluere_pseudo_label_options_init(&options, sizeof options));
  options.min_confidence = 0.82; /* the last row: 0.84 */
  SUCCEEDS(LABEL(&options, &out, rows, FIXTURE_ROWS, &count));
  HOLDS(count == 1 && rows[0] == FIXTURE_ROWS - 1 && kluere_dataset_count(out) == 1);
  SUCCEEDS(kluere_dataset_label_indices(out, labels, 2));
  HOLDS(labels[0] == 1);
  SUCCEEDS(kluere_dataset_concat(f->train, out, &both));
  HOLDS(kluere_dataset_count(both) == FIXTURE_ROWS + 1);
  kluere_dataset_destroy(both);
  kluere_dataset_destroy(out);
  out = both = NULL;
  count = 7;
  options.min_confidence = 0.99;
  REFUSES(KLUERE_ERR_STATE, LABEL(&options, &out, rows, FIXTURE_ROWS, &count));
  options.min_confidence = NAN;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  options.min_confidence = 1.5;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  options.min_confidence = 0;
  options.reserved = 1;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  options.reserved = 0;
  options.max_rows = (uint64_t)-1;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  options.max_rows = 0;
  options.label_shares = shares;
  options.label_share_count = FIXTURE_LABELS;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  names_both("label_shares", "max_rows");
  options.max_rows = INT64_MAX;
  REFUSES(KLUERE_ERR_STATE, LABEL(&options, &out, NULL, 0, NULL)); /* no row of the one label that has a share */
  options.label_share_count = 2;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  options.label_share_count = FIXTURE_LABELS;
  shares[1] = NAN;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  shares[1] = 0;
  shares[0] = 0;
  REFUSES(BAD, LABEL(&options, &out, NULL, 0, NULL));
  REFUSES(BAD, kluere_dataset_pseudo_label(f->hidden, sure, CELLS - 1, NULL, &out, NULL, 0, NULL));
  REFUSES(BAD, kluere_dataset_pseudo_label(f->hidden, NULL, CELLS, NULL, &out, NULL, 0, NULL));
  REFUSES(BAD, LABEL(NULL, NULL, NULL, 0, NULL));
  REFUSES(BAD, LABEL(NULL, &out, rows, FIXTURE_ROWS, NULL));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, LABEL(NULL, &out, rows, FIXTURE_ROWS - 1, &count));
  sure[3] = 5;
  REFUSES(BAD, LABEL(NULL, &out, NULL, 0, NULL));
  sure[3] = NAN;
  REFUSES(BAD, LABEL(NULL, &out, NULL, 0, NULL));
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_dataset_concat(f->train, NULL, &both));
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_dataset_concat(NULL, f->train, &both));
  REFUSES(BAD, kluere_dataset_concat(f->train, f->train, NULL));
  HOLDS(out == NULL && both == NULL && count == 7);
}

/* Rows of other labels do not join. */
static void other_labels(struct fixture *f) {
  const char *const names[] = {"no_relation", "made:up"};
  kluere_dataset_options options;
  kluere_dataset *other = NULL, *both = NULL;
  kluere_example row = fixture_row(0);
  SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
  options.label_order = KLUERE_LABELS_CUSTOM;
  options.labels = names;
  options.label_count = 2;
  row.label = "made:up";
  row.label_length = 7;
  SUCCEEDS(kluere_dataset_create(f->context, &row, sizeof row, 1, KLUERE_OFFSETS_BYTES, &options, &other));
  REFUSES(BAD, kluere_dataset_concat(f->train, other, &both));
  HOLDS(both == NULL);
  kluere_dataset_destroy(other);
}

void bad_losses(struct fixture *fixture) {
  values(fixture);
  contradictions(fixture);
  soft_targets(fixture);
  allowed(fixture);
  pseudo_labels(fixture);
  other_labels(fixture);
}
