/* Decodings: numbers, shares and scores that cannot be right, and a model that keeps one. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE, SMALL = KLUERE_ERR_BUFFER_TOO_SMALL };
enum { ROWS = 6, CLASSES = 3 };

static const float scores[ROWS * CLASSES] = {2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 0, 0, 0, 1, 0, 1, 0, 1};
static const int32_t labels[ROWS] = {0, 1, 2, 0, 1, 0};
static const double third[CLASSES] = {0.5, 0.25, 0.25};

static void numbers(void) {
  kluere_decoding *out = NULL;
  const double weights[4][CLASSES] = {{1, 1, 0}, {1, 1, -1}, {NAN, 1, 1}, {1, INFINITY, 1}};
  const double shares[4][CLASSES] = {{0.5, 0.5, 0.5}, {-0.5, 1, 0.5}, {NAN, 0.5, 0.5}, {0, 0.5, 0.5}};
  const double temperatures[5] = {0, -1, NAN, INFINITY, 1000};
  for (int i = 0; i < 5; i++) REFUSES(BAD, kluere_decoding_create(CLASSES, temperatures[i], NULL, NULL, NULL, &out));
  for (int i = 0; i < 4; i++) {
    REFUSES(BAD, kluere_decoding_create(CLASSES, 1, weights[i], NULL, NULL, &out));
    REFUSES(BAD, kluere_decoding_create(CLASSES, 1, NULL, shares[i], third, &out));
    if (i < 3) REFUSES(BAD, kluere_decoding_create(CLASSES, 1, NULL, third, shares[i], &out));
  }
  REFUSES(BAD, kluere_decoding_create(0, 1, NULL, NULL, NULL, &out));
  REFUSES(BAD, kluere_decoding_create((size_t)-1, 1, third, NULL, NULL, &out));
  REFUSES(BAD, kluere_decoding_create((size_t)1 << 40, 1, NULL, NULL, NULL, &out));
  REFUSES(BAD, kluere_decoding_create(CLASSES, 1, NULL, third, NULL, &out));
  REFUSES(BAD, kluere_decoding_create(CLASSES, 1, NULL, NULL, third, &out));
  REFUSES(BAD, kluere_decoding_create(CLASSES, 1, NULL, NULL, NULL, NULL));
  HOLDS(out == NULL);
}

static void fitting(void) {
  kluere_decoding *out = NULL;
  kluere_decoding_options options;
  kluere_decoding_report report = {0};
  const int32_t outside[ROWS] = {0, 1, 2, 3, 1, 0}, folds[ROWS] = {0, 1, 0, 1, 0, 2};
  float bad[ROWS * CLASSES];
  report.struct_size = sizeof report;
  SUCCEEDS(kluere_decoding_options_init(&options, sizeof options));
  options.folds = 2;
#define FIT(s, l, f, n, c) kluere_decoding_fit(s, l, f, n, c, &options, &report, &out)
  REFUSES(BAD, FIT(NULL, labels, NULL, ROWS, CLASSES));
  REFUSES(BAD, FIT(scores, NULL, NULL, ROWS, CLASSES));
  REFUSES(BAD, FIT(scores, outside, NULL, ROWS, CLASSES));
  REFUSES(BAD, FIT(scores, labels, folds, ROWS, CLASSES));
  REFUSES(BAD, FIT(scores, labels, NULL, 0, CLASSES));
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, 0));
  REFUSES(BAD, FIT(scores, labels, NULL, (size_t)1 << 60, (size_t)1 << 10));
  REFUSES(BAD, FIT(scores, labels, NULL, (size_t)-1, CLASSES));
  REFUSES(BAD, kluere_decoding_fit(scores, labels, NULL, ROWS, CLASSES, &options, &report, NULL));
  memcpy(bad, scores, sizeof bad);
  bad[4] = NAN;
  REFUSES(BAD, FIT(bad, labels, NULL, ROWS, CLASSES));
  options.score_space = KLUERE_OUTPUT_PROBABILITIES;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.score_space = 2;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.score_space = KLUERE_OUTPUT_LOGITS;
  options.class_weights = 2;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.class_weights = 1;
  options.no_relation = 3;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.no_relation = 0;
  options.prior_share = 0.5;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.prior_label = 0;
  options.target_prior = third;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.target_prior = NULL;
  options.prior_share = NAN;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.prior_share = 0.6;
  options.folds = 0;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  options.folds = 2;
  report.struct_size = 0;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  report.struct_size = sizeof report - 1;
  REFUSES(BAD, FIT(scores, labels, NULL, ROWS, CLASSES));
  report.struct_size = sizeof report;
  HOLDS(out == NULL && report.before.micro_f1 == 0);
  if (!SUCCEEDS(FIT(scores, labels, NULL, ROWS, CLASSES))) return;
  double target[CLASSES] = {0};
  REFUSES(SMALL, kluere_decoding_read(out, NULL, NULL, target, CLASSES - 1));
  SUCCEEDS(kluere_decoding_read(out, NULL, NULL, target, CLASSES));
  HOLDS(fabs(target[0] - 0.6) < 1e-12 && report.after.micro_f1 > 0);
  kluere_decoding_destroy(out);
  REFUSES(HANDLE, kluere_decoding_read(out, NULL, NULL, target, CLASSES));
}

static void estimating(void) {
  double target[CLASSES] = {7, 7, 7};
  uint32_t rounds = 7;
  const double zero[CLASSES] = {0, 0.5, 0.5};
#define PRIOR(s, n, c, space, t, source, target) kluere_decoding_prior(s, n, c, space, t, source, target, &rounds)
  REFUSES(BAD, PRIOR(NULL, ROWS, CLASSES, 1, 1, third, target));
  REFUSES(BAD, PRIOR(scores, 0, CLASSES, 1, 1, third, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 0, 1, third, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 3, 1, third, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 1, NAN, third, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 1, 1, NULL, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 1, 1, zero, target));
  REFUSES(BAD, PRIOR(scores, ROWS, CLASSES, 1, 1, third, NULL));
  REFUSES(BAD, PRIOR(scores, (size_t)1 << 60, (size_t)1 << 10, 1, 1, third, target));
  HOLDS(target[0] == 7 && rounds == 7);
  SUCCEEDS(kluere_decoding_prior(scores, ROWS, CLASSES, 1, 1, third, target, NULL));
  HOLDS(fabs(target[0] + target[1] + target[2] - 1) < 1e-9);
}

static void in_a_model(struct fixture *f) {
  enum { CELLS = FIXTURE_ROWS * FIXTURE_LABELS };
  kluere_decoding *decoding = NULL, *again = NULL, *narrow = NULL;
  kluere_model *model = NULL, *reopened = NULL;
  kluere_predictor *predictor = NULL;
  kluere_predictor_options options;
  float logits[CELLS], expected[CELLS], out[CELLS];
  const double weights[CLASSES] = {1, 3, 0.5};
  SUCCEEDS(kluere_decoding_create(CLASSES, 0.5, weights, third, third, &decoding));
  SUCCEEDS(kluere_decoding_create(CLASSES - 1, 1, NULL, NULL, NULL, &narrow));
  REFUSES(HANDLE, kluere_model_with_decoding(NULL, decoding, &model));
  REFUSES(BAD, kluere_model_with_decoding(f->model, narrow, &model));
  REFUSES(BAD, kluere_model_with_decoding(f->model, decoding, NULL));
  REFUSES(HANDLE, kluere_model_with_decoding(f->model, (const kluere_decoding *)f->model, &model));
  REFUSES(KLUERE_ERR_STATE, kluere_model_decoding(f->model, &again));
  REFUSES(HANDLE, kluere_decoding_apply(NULL, scores, ROWS, CLASSES, 1, out, CELLS));
  REFUSES(BAD, kluere_decoding_apply(narrow, scores, ROWS, CLASSES, 1, out, CELLS));
  REFUSES(BAD, kluere_decoding_apply(decoding, NULL, ROWS, CLASSES, 1, out, CELLS));
  REFUSES(SMALL, kluere_decoding_apply(decoding, scores, ROWS, CLASSES, 1, out, ROWS * CLASSES - 1));
  REFUSES(BAD, kluere_decoding_apply(decoding, scores, (size_t)-1, CLASSES, 1, out, CELLS));
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  options.decoding = 2;
  REFUSES(BAD, kluere_predictor_create(f->model, &options, &predictor));
  options.decoding = KLUERE_DECODING_AUTO;
  options.output = KLUERE_OUTPUT_LOGITS;
  SUCCEEDS(kluere_predictor_create(f->model, &options, &predictor));
  SUCCEEDS(kluere_predictor_predict_dataset(predictor, f->train, logits, CELLS));
  kluere_predictor_destroy(predictor);
  SUCCEEDS(kluere_decoding_apply(decoding, logits, FIXTURE_ROWS, CLASSES, 1, expected, CELLS));
  if (!SUCCEEDS(kluere_model_with_decoding(f->model, decoding, &model))) return;
  const char *folder = path_in(f->scratch, "decoded");
  remove_folder(folder);
  SUCCEEDS(kluere_model_save(model, folder));
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &reopened));
  kluere_model_destroy(model);
  SUCCEEDS(kluere_predictor_create(reopened, NULL, &predictor));
  SUCCEEDS(kluere_predictor_predict_dataset(predictor, f->train, out, CELLS));
  HOLDS(memcmp(out, expected, sizeof out) == 0);
  SUCCEEDS(kluere_model_decoding(reopened, &again));
  kluere_decoding_info info = {0};
  info.struct_size = sizeof info;
  SUCCEEDS(kluere_decoding_describe(again, &info));
  HOLDS(info.temperature == 0.5 && info.classes == CLASSES && info.has_weights == 1 && info.has_priors == 1);
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(reopened);
  kluere_decoding_destroy(again);
  kluere_decoding_destroy(narrow);
  kluere_decoding_destroy(decoding);
  kluere_decoding_destroy(NULL);
  remove_folder(folder);
}

void bad_decoding(struct fixture *f) {
  numbers();
  fitting();
  estimating();
  in_a_model(f);
}
