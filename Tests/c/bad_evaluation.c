/* Resampling, groups, calibration, coverage, ensembles and submissions with arguments that cannot be right. */
#include "bad_input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, SMALL = KLUERE_ERR_BUFFER_TOO_SMALL, ROWS = 4, CLASSES = 3, ROOM = 64 };

static float scores[ROWS * CLASSES] = {0.2f, 0.3f, 0.5f, 0.1f, 0.8f, 0.1f, 0.6f, 0.2f, 0.2f, 0.3f, 0.3f, 0.4f};
static int32_t labels[ROWS] = {2, 1, 0, 1};
static const float not_probabilities[ROWS * CLASSES] = {3, 0, -1, 1, 0, 0, 1, 0, 0, 1, 0, 0};

static void resampling(void) {
  const int32_t metrics[3] = {KLUERE_METRIC_MICRO_F1, KLUERE_METRIC_AUPRC, KLUERE_METRIC_LOSS}, unknown[1] = {6};
  kluere_interval out[3] = {{7, 7, 7, 7}};
  kluere_comparison both[3];
  double samples[3 * 10];
  kluere_resampling_options options;
  SUCCEEDS(kluere_resampling_options_init(&options, sizeof options));
  HOLDS(options.resamples == 1000 && options.confidence == 0.95);
  options.resamples = 10;
  REFUSES(BAD, kluere_metrics_bootstrap(NULL, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, NULL, ROWS, CLASSES, NULL, &options, metrics, 3, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, 0, CLASSES, NULL, &options, metrics, 3, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, (size_t)-1, CLASSES, NULL, &options, metrics, 3, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, NULL, 3, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 0, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, (size_t)-1, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, unknown, 1, out, NULL));
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compare(scores, NULL, labels, ROWS, CLASSES, NULL, &options, metrics, 3, both, NULL));
  REFUSES(BAD, kluere_metrics_compare(scores, scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, NULL, NULL));
  const double confidences[] = {0, 1, -1, NAN, INFINITY};
  for (size_t i = 0; i < sizeof confidences / sizeof confidences[0]; i++) {
    options.confidence = confidences[i];
    REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, NULL));
    REFUSES(BAD, kluere_metrics_compare(scores, scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, both, NULL));
  }
  options.confidence = 0.9;
  options.resamples = 0;
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, NULL));
  options.resamples = UINT32_MAX;
  REFUSES(BAD, kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, NULL));
  HOLDS(out[0].value == 7);
  options.resamples = 10;
  SUCCEEDS(kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, samples));
  HOLDS(out[0].low <= out[0].value && out[0].value <= out[0].high);
  double again[30];
  SUCCEEDS(kluere_metrics_bootstrap(scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, out, again));
  HOLDS(memcmp(samples, again, sizeof samples) == 0);
  SUCCEEDS(kluere_metrics_compare(scores, scores, labels, ROWS, CLASSES, NULL, &options, metrics, 3, both, samples));
  HOLDS(both[1].difference == 0 && both[1].p_randomization == 1);
}

static void groups(void) {
  const int32_t good[ROWS] = {0, 2, 2, -1}, bad[] = {3, -2, INT32_MAX, INT32_MIN};
  kluere_metrics out[3];
  memset(out, 0, sizeof out);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int32_t changed[ROWS] = {0, 0, 0, 0};
    changed[2] = bad[i];
    REFUSES(BAD, kluere_metrics_by_group(scores, labels, changed, ROWS, CLASSES, 3, NULL, out, sizeof out[0]));
  }
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, NULL, ROWS, CLASSES, 3, NULL, out, sizeof out[0]));
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, 0, NULL, out, sizeof out[0]));
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, (size_t)-1, NULL, out, sizeof out[0]));
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, 3, NULL, NULL, sizeof out[0]));
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, 3, NULL, out, 8));
  REFUSES(BAD, kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, 3, NULL, out, (size_t)-1));
  HOLDS(out[0].rows == 0 && out[0].struct_size == 0);
  SUCCEEDS(kluere_metrics_by_group(scores, labels, good, ROWS, CLASSES, 3, NULL, out, sizeof out[0]));
  HOLDS(out[0].rows == 1 && out[1].rows == 0 && isnan(out[1].micro_f1) && out[2].rows == 2);
  HOLDS(out[2].struct_size == sizeof out[2]);
}

static void calibration_and_coverage(void) {
  kluere_calibration out;
  kluere_calibration_options options;
  kluere_calibration_bin bins[4];
  kluere_coverage coverage;
  kluere_coverage_point points[4];
  kluere_metrics_options logits;
  memset(&out, 0, sizeof out);
  memset(&coverage, 0, sizeof coverage);
  out.struct_size = sizeof out;
  coverage.struct_size = sizeof coverage;
  SUCCEEDS(kluere_calibration_options_init(&options, sizeof options));
  options.bins = 4;
  REFUSES(SMALL, kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, bins, 3));
  REFUSES(BAD, kluere_metrics_calibration(not_probabilities, labels, ROWS, CLASSES, NULL, &options, &out, bins, 4));
  options.label = CLASSES;
  REFUSES(BAD, kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, bins, 4));
  options.label = -2;
  REFUSES(BAD, kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, bins, 4));
  options.label = -1;
  options.binning = 2;
  REFUSES(BAD, kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, bins, 4));
  options.binning = KLUERE_BINS_MASS;
  const uint32_t bad_bins[] = {0, 10001, UINT32_MAX};
  for (size_t i = 0; i < 3; i++) {
    options.bins = bad_bins[i];
    REFUSES(BAD, kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, NULL, 0));
  }
  options.bins = 4;
  SUCCEEDS(kluere_metrics_calibration(scores, labels, ROWS, CLASSES, NULL, &options, &out, bins, 4));
  HOLDS(out.rows == ROWS && bins[0].rows + bins[1].rows + bins[2].rows + bins[3].rows == ROWS);
  SUCCEEDS(kluere_metrics_options_init(&logits, sizeof logits));
  logits.score_space = KLUERE_OUTPUT_LOGITS;
  SUCCEEDS(kluere_metrics_calibration(not_probabilities, labels, ROWS, CLASSES, &logits, NULL, &out, NULL, 0));

  REFUSES(BAD, kluere_metrics_coverage(not_probabilities, labels, ROWS, CLASSES, NULL, &coverage, points, 4));
  REFUSES(BAD, kluere_metrics_coverage(scores, labels, ROWS, CLASSES, NULL, &coverage, points, 0));
  REFUSES(BAD, kluere_metrics_coverage(scores, labels, ROWS, CLASSES, NULL, &coverage, points, (size_t)-1));
  REFUSES(BAD, kluere_metrics_coverage(scores, labels, ROWS, CLASSES, NULL, NULL, points, 4));
  SUCCEEDS(kluere_metrics_coverage(scores, labels, ROWS, CLASSES, NULL, &coverage, points, 4));
  HOLDS(points[3].coverage == 1 && points[3].risk == coverage.risk);
  SUCCEEDS(kluere_metrics_coverage(scores, labels, ROWS, CLASSES, NULL, &coverage, NULL, 0));
}

static void voting(void) {
  const float *members[17], *with_null[2] = {scores, NULL};
  const double weights[2] = {1, 3};
  const double bad_weights[][2] = {{-1, 1}, {0, 0}, {NAN, 1}, {INFINITY, 1}, {1e308, 1e308}};
  float out[ROWS * CLASSES] = {7};
  kluere_subset subsets[3];
  kluere_contribution contributions[2];
  size_t count = 77;
  kluere_ensemble_options options;
  for (size_t i = 0; i < 17; i++) members[i] = scores;
  SUCCEEDS(kluere_ensemble_options_init(&options, sizeof options));
  for (size_t i = 0; i < sizeof bad_weights / sizeof bad_weights[0]; i++)
    REFUSES(BAD, kluere_ensemble_combine(members, 2, bad_weights[i], ROWS, CLASSES, NULL, out, ROOM));
  REFUSES(BAD, kluere_ensemble_combine(NULL, 2, NULL, ROWS, CLASSES, NULL, out, ROOM));
  REFUSES(BAD, kluere_ensemble_combine(with_null, 2, NULL, ROWS, CLASSES, NULL, out, ROOM));
  REFUSES(BAD, kluere_ensemble_combine(members, 0, NULL, ROWS, CLASSES, NULL, out, ROOM));
  REFUSES(BAD, kluere_ensemble_combine(members, (size_t)-1, NULL, ROWS, CLASSES, NULL, out, ROOM));
  REFUSES(BAD, kluere_ensemble_combine(members, 2, NULL, (size_t)1 << 33, (size_t)1 << 33, NULL, out, ROOM));
  REFUSES(0, kluere_ensemble_combine(members, 2, NULL, 0, CLASSES, NULL, out, ROOM));
  REFUSES(SMALL, kluere_ensemble_combine(members, 2, NULL, ROWS, CLASSES, NULL, out, ROWS * CLASSES - 1));
  scores[4] = NAN;
  REFUSES(BAD, kluere_ensemble_combine(members, 2, NULL, ROWS, CLASSES, NULL, out, ROOM));
  scores[4] = 0.8f;
  options.vote = 2;
  REFUSES(BAD, kluere_ensemble_combine(members, 2, NULL, ROWS, CLASSES, &options, out, ROOM));
  HOLDS(out[0] == 7);
  options.vote = KLUERE_VOTE_HARD;
  SUCCEEDS(kluere_ensemble_combine(members, 2, weights, ROWS, CLASSES, &options, out, ROOM));
  HOLDS(out[2] == 1 && out[0] == 0);

  REFUSES(BAD, kluere_ensemble_rank(members, 17, NULL, labels, ROWS, CLASSES, NULL, subsets, 3, NULL, &count));
  REFUSES(SMALL, kluere_ensemble_rank(members, 2, NULL, labels, ROWS, CLASSES, NULL, subsets, 2, NULL, &count));
  REFUSES(BAD, kluere_ensemble_rank(members, 2, NULL, NULL, ROWS, CLASSES, NULL, subsets, 3, NULL, &count));
  REFUSES(BAD, kluere_ensemble_rank(members, 2, NULL, labels, ROWS, CLASSES, NULL, subsets, 3, NULL, NULL));
  const int32_t bad_metrics[] = {KLUERE_METRIC_MICRO_RECALL, 6, -1};
  for (size_t i = 0; i < 3; i++) {
    options.metric = bad_metrics[i];
    REFUSES(BAD, kluere_ensemble_rank(members, 2, NULL, labels, ROWS, CLASSES, &options, subsets, 3, NULL, &count));
  }
  options.metric = KLUERE_METRIC_AUPRC;
  options.no_relation = CLASSES;
  REFUSES(BAD, kluere_ensemble_rank(members, 2, NULL, labels, ROWS, CLASSES, &options, subsets, 3, NULL, &count));
  HOLDS(count == 77);
  SUCCEEDS(kluere_ensemble_rank(members, 2, NULL, labels, ROWS, CLASSES, NULL, subsets, 3, contributions, &count));
  HOLDS(count == 3 && subsets[0].members == 1 && subsets[2].members == 3 && contributions[1].leave_one_out == 0);
}

static void weight_search(void) {
  const float *members[2] = {scores, scores};
  const int32_t good[ROWS] = {0, 1, 0, 1}, outside[ROWS] = {0, 1, 0, 2}, empty[ROWS] = {0, 0, 0, 0};
  double weights[2] = {7, 7}, fold_weights[4];
  kluere_weight_search out;
  kluere_ensemble_options options;
  memset(&out, 0, sizeof out);
  out.struct_size = sizeof out;
  SUCCEEDS(kluere_ensemble_options_init(&options, sizeof options));
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, NULL, ROWS, CLASSES, NULL, &out, weights, NULL));
  options.folds = 2;
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, outside, ROWS, CLASSES, &options, &out, weights, NULL));
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, empty, ROWS, CLASSES, &options, &out, weights, NULL));
  REFUSES(BAD, kluere_ensemble_search(members, 2, NULL, good, ROWS, CLASSES, &options, &out, weights, NULL));
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, good, ROWS, CLASSES, &options, NULL, weights, NULL));
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, good, ROWS, CLASSES, &options, &out, NULL, NULL));
  options.rounds = 0;
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, good, ROWS, CLASSES, &options, &out, weights, NULL));
  options.rounds = UINT32_MAX;
  REFUSES(BAD, kluere_ensemble_search(members, 2, labels, good, ROWS, CLASSES, &options, &out, weights, NULL));
  HOLDS(weights[0] == 7);
  options.rounds = 3;
  SUCCEEDS(kluere_ensemble_search(members, 2, labels, good, ROWS, CLASSES, &options, &out, weights, fold_weights));
  HOLDS(weights[0] + weights[1] == 1 && out.folds == 2);
}

static void submissions(struct fixture *f) {
  const char *path = path_in(f->scratch, "read.csv");
  const char *const files[] = {"", "id\n", "id,pred_label,probs\n", "id,pred_label,probs\n0,no_relation,\"[0.5]\"\n",
                               "id,pred_label,probs\n\"0,no_relation", "id,id,id\n0,0,0\n", "\xFF\xFE"};
  kluere_dataset_options options;
  kluere_dataset *dataset = NULL;
  kluere_example row = fixture_row(0);
  static float out[64];
  float again[30];
  int32_t prediction = 7;
  row.label = NULL;
  row.label_length = 0;
  row.id = NULL;
  row.id_length = 0;
  REFUSES(BAD, kluere_submission_read(f->train, path, out, 64, NULL));
  SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
  if (!SUCCEEDS(kluere_dataset_create(f->context, &row, sizeof row, 1, 0, &options, &dataset))) return;
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_submission_read(NULL, path, out, 30, NULL));
  REFUSES(KLUERE_ERR_IO, kluere_submission_read(dataset, path_in(f->scratch, "nowhere.csv"), out, 30, NULL));
  REFUSES(BAD, kluere_submission_read(dataset, NULL, out, 30, NULL));
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    write_text(path, files[i]);
    REFUSES_CASE(files[i], KLUERE_ERR_BAD_FORMAT, kluere_submission_read(dataset, path, out, 30, &prediction));
  }
  HOLDS(prediction == 7 && out[0] == 0);
  char text[512], *end = text;
  end += sprintf(end, "id,pred_label,probs\n0,per:title,\"[0.25");
  for (int i = 1; i < 30; i++) end += sprintf(end, ", %d.5e-1", i == 4 ? 5 : 0);
  sprintf(end, "]\"\n");
  write_text(path, text);
  REFUSES(SMALL, kluere_submission_read(dataset, path, out, 29, &prediction));
  SUCCEEDS(kluere_submission_read(dataset, path, out, 30, &prediction));
  /* per:title is the last of KLUE's 30 and the fifth of the competition's. */
  HOLDS(prediction == 29 && out[0] == 0.25f && out[29] > 0.5f);
  /* Cut short and with single bits turned over: a status or a table, nothing else. */
  size_t size = strlen(text);
  for (size_t i = 0; i < size; i++) {
    char changed[512];
    memcpy(changed, text, size + 1);
    changed[i] = 0;
    write_bytes(path, changed, i);
    SURVIVES("a submission cut short", kluere_submission_read(dataset, path, again, 30, NULL));
    for (int bit = 0; bit < 8; bit += 3) {
      memcpy(changed, text, size + 1);
      changed[i] = (char)(changed[i] ^ (1 << bit));
      write_bytes(path, changed, size);
      SURVIVES("a submission with a bit turned over", kluere_submission_read(dataset, path, again, 30, NULL));
    }
  }
  const char *written = path_in(f->scratch, "written.csv");
  REFUSES(SMALL, kluere_submission_write_table(dataset, out, 29, written));
  REFUSES(BAD, kluere_submission_write_table(dataset, NULL, 30, written));
  REFUSES(BAD, kluere_submission_write_table(dataset, out, 30, NULL));
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_submission_write_table(NULL, out, 30, written));
  REFUSES(BAD, kluere_submission_write_table(f->train, out, 64, written));
  HOLDS(!exists(written));
  SUCCEEDS(kluere_submission_write_table(dataset, out, 30, written));
  SUCCEEDS(kluere_submission_read(dataset, written, again, 30, NULL));
  HOLDS(memcmp(again, out, sizeof again) == 0);
  kluere_dataset_destroy(dataset);
}

void bad_evaluation(struct fixture *f) {
  resampling();
  groups();
  calibration_and_coverage();
  voting();
  weight_search();
  submissions(f);
}
