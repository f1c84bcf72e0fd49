/* Everything else that a caller can get wrong: contexts, data sets, tokenizers, tensors, metrics, submissions. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, TOO_SMALL = KLUERE_ERR_BUFFER_TOO_SMALL };

static void contexts(void) {
  kluere_context *context = NULL;
  kluere_context_options options;
  const int32_t threads[] = {-1, -1000000, 100000, INT32_MAX, INT32_MIN}, levels[] = {-1, 5, 1000, INT32_MIN};
  const int32_t devices[] = {-2, -1000, INT32_MIN};
  SUCCEEDS(kluere_context_options_init(&options, sizeof options));
  for (int i = 0; i < 5; i++) {
    options.thread_count = threads[i];
    REFUSES(BAD, kluere_context_create(&options, &context));
  }
  options.thread_count = 1;
  for (int i = 0; i < 4; i++) {
    options.log_level = levels[i];
    REFUSES(BAD, kluere_context_create(&options, &context));
  }
  options.log_level = KLUERE_LOG_WARNING;
  for (int i = 0; i < 3; i++) {
    options.device = devices[i];
    REFUSES(BAD, kluere_context_create(&options, &context));
  }
  options.device = 1000; /* no machine has that many GPUs */
  REFUSES(0, kluere_context_create(&options, &context));
  options.device = INT32_MAX;
  REFUSES(0, kluere_context_create(&options, &context));
  HOLDS(context == NULL);
}

static void datasets(struct fixture *f) {
  kluere_dataset *first = NULL, *second = NULL;
  kluere_example row;
  int32_t labels[FIXTURE_ROWS] = {77};
  const size_t off_the_end[] = {FIXTURE_ROWS, (size_t)-1, (size_t)1 << 63};
  const double fractions[] = {0, 1, -0.5, 1.5, NAN, INFINITY, -INFINITY, -0.0};
  for (int i = 0; i < 3; i++) {
    REFUSES(BAD, kluere_dataset_get(f->train, off_the_end[i], 0, &row, sizeof row));
    REFUSES(BAD, kluere_dataset_subset(f->train, &off_the_end[i], 1, &first));
    HOLDS(kluere_dataset_label(f->train, off_the_end[i]) == NULL);
    HOLDS(kluere_dataset_skipped_reason(f->train, off_the_end[i]) == NULL);
    HOLDS(kluere_model_label(f->model, off_the_end[i]) == NULL);
  }
  REFUSES(BAD, kluere_dataset_get(f->train, 0, 0, NULL, sizeof row));
  REFUSES(BAD, kluere_dataset_get(f->train, 0, 9, &row, sizeof row));
  REFUSES(BAD, kluere_dataset_subset(f->train, NULL, 3, &first));
  REFUSES(BAD, kluere_dataset_subset(f->train, off_the_end, (size_t)-1, &first));
  REFUSES(BAD, kluere_dataset_subset(f->train, off_the_end, (size_t)1 << 61, &first));
  for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++)
    REFUSES(BAD, kluere_dataset_split(f->train, fractions[i], 1, &first, &second));
  size_t zero = 0;
  kluere_dataset *one = NULL;
  if (SUCCEEDS(kluere_dataset_subset(f->train, &zero, 1, &one)))
    REFUSES(BAD, kluere_dataset_split(one, 0.5, 1, &first, &second)); /* a side would be empty */
  kluere_dataset_destroy(one);
  REFUSES(TOO_SMALL, kluere_dataset_label_indices(f->train, labels, FIXTURE_ROWS - 1));
  REFUSES(TOO_SMALL, kluere_dataset_label_indices(f->train, NULL, 0));
  REFUSES(BAD, kluere_dataset_label_indices(f->train, NULL, FIXTURE_ROWS));
  REFUSES(TOO_SMALL, kluere_model_label_indices(f->model, f->train, labels, 0));
  REFUSES(BAD, kluere_model_label_indices(f->model, f->train, NULL, FIXTURE_ROWS));
  HOLDS(labels[0] == 77 && !first && !second);
}

static void unknown_label(struct fixture *f) {
  static const char *const names[] = {"no_relation", "of:nobody"};
  kluere_example row = fixture_row(0);
  kluere_dataset *dataset = NULL;
  kluere_dataset_options options;
  kluere_trainer *trainer = NULL;
  int32_t labels[1] = {77};
  row.label = "of:nobody";
  SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
  options.label_order = KLUERE_LABELS_CUSTOM;
  options.labels = names;
  options.label_count = 2;
  if (!SUCCEEDS(kluere_dataset_create(f->context, &row, sizeof row, 1, 0, &options, &dataset))) return;
  REFUSES(BAD, kluere_model_label_indices(f->model, dataset, labels, 1));
  REFUSES(BAD, kluere_trainer_create(f->model, dataset, NULL, NULL, &trainer));
  REFUSES(BAD, kluere_trainer_create(f->model, f->train, dataset, NULL, &trainer));
  REFUSES(BAD, kluere_trainer_create(f->model, f->hidden, NULL, NULL, &trainer));
  REFUSES(BAD, kluere_trainer_create(f->model, f->train, f->hidden, NULL, &trainer));
  HOLDS(labels[0] == 77 && trainer == NULL);
  kluere_dataset_destroy(dataset);
}

static void token_batches(struct fixture *f) {
  const char *texts[2] = {"a b c", "a"}, *hole[2] = {"a", NULL};
  const size_t lengths[2] = {5, 1}, wild[2] = {5, (size_t)-2};
  int32_t ids[16] = {77}, types[16] = {77};
  uint32_t offsets[32] = {77};
  size_t splits[3] = {77, 77, 77};
  kluere_encode_options options;
  SUCCEEDS(kluere_encode_options_init(&options, sizeof options));
#define BATCH(texts, lengths, pairs, pair_lengths, count, ids, capacity, splits)                                        \
  kluere_tokenizer_encode_batch(f->context, f->tokenizer, texts, lengths, pairs, pair_lengths, count, &options, ids,    \
                                types, offsets, capacity, splits)
  REFUSES(BAD, BATCH(NULL, NULL, NULL, NULL, 2, ids, 16, splits));
  REFUSES(BAD, BATCH(hole, NULL, NULL, NULL, 2, ids, 16, splits));
  REFUSES(BAD, BATCH(texts, wild, NULL, NULL, 2, ids, 16, splits));
  REFUSES(BAD, BATCH(texts, lengths, NULL, lengths, 2, ids, 16, splits));
  REFUSES(BAD, BATCH(texts, lengths, hole, NULL, 2, ids, 16, splits));
  REFUSES(BAD, BATCH(texts, lengths, NULL, NULL, (size_t)-1 / 4, ids, 16, splits));
  REFUSES(BAD, BATCH(texts, lengths, NULL, NULL, 2, ids, 16, NULL));
  HOLDS(splits[0] == 77 && ids[0] == 77);
  REFUSES(BAD, BATCH(texts, lengths, NULL, NULL, 2, NULL, 16, splits));
  REFUSES(TOO_SMALL, BATCH(texts, lengths, NULL, NULL, 2, ids, 7, splits));
  REFUSES(TOO_SMALL, BATCH(texts, lengths, NULL, NULL, 2, NULL, 0, splits));
  HOLDS(ids[0] == 77 && types[0] == 77 && offsets[0] == 77);
  HOLDS(splits[0] == 0 && splits[1] == 5 && splits[2] == 8);
  SUCCEEDS(BATCH(texts, NULL, NULL, NULL, 2, ids, 8, splits));
  SUCCEEDS(BATCH(texts, lengths, texts, NULL, 2, ids, 16, splits));
  HOLDS(splits[1] == 9 && types[5] == 1 && offsets[2] == 0 && offsets[3] == 1);
  SUCCEEDS(BATCH(NULL, NULL, NULL, NULL, 0, NULL, 0, splits));
  HOLDS(splits[0] == 0);
  SUCCEEDS(kluere_tokenizer_encode_batch(f->context, f->tokenizer, texts, NULL, NULL, NULL, 2, NULL, ids, NULL, NULL, 16,
                                         splits));
  options.flags = KLUERE_ENCODE_ADD_SPECIAL | KLUERE_ENCODE_TRUNCATE;
  options.max_tokens = 1; /* no room for [CLS] and [SEP] */
  REFUSES(BAD, BATCH(texts, lengths, NULL, NULL, 2, ids, 16, splits));
  options.flags = 8;
  REFUSES(BAD, BATCH(texts, lengths, NULL, NULL, 2, ids, 16, splits));
#undef BATCH
}

static void tokenizers(struct fixture *f) {
  kluere_token tokens[8];
  kluere_encode_options options;
  size_t count = 77;
  int32_t ids[3] = {0, 1, 2};
  char text[64] = "before";
  SUCCEEDS(kluere_encode_options_init(&options, sizeof options));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, NULL, 0, NULL, 0, NULL, tokens, 8, &count));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, NULL, KLUERE_NUL_TERMINATED, NULL, 0, NULL, tokens, 8, &count));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", (size_t)-2, NULL, 0, NULL, tokens, 8, &count));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 4, NULL, tokens, 8, &count));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 0, NULL, tokens, 8, NULL));
  HOLDS(count == 77);
  REFUSES(TOO_SMALL, kluere_tokenizer_encode(f->tokenizer, "a b c", 5, NULL, 0, NULL, tokens, 4, &count));
  HOLDS(count == 5);
  REFUSES(TOO_SMALL, kluere_tokenizer_encode(f->tokenizer, "a b c", 5, NULL, 0, NULL, NULL, 0, &count));
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a b c", 5, NULL, 0, NULL, NULL, 8, &count));
  options.flags = 8;
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 0, &options, tokens, 8, &count));
  options.flags = 0x80000001u;
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 0, &options, tokens, 8, &count));
  options.flags = KLUERE_ENCODE_ADD_SPECIAL | KLUERE_ENCODE_TRUNCATE;
  options.max_tokens = 1; /* no room for [CLS] and [SEP] */
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 0, &options, tokens, 8, &count));
  options.max_tokens = 2;
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, "b", 1, &options, tokens, 8, &count));
  options.max_tokens = 0;
  options.offset_unit = 5;
  REFUSES(BAD, kluere_tokenizer_encode(f->tokenizer, "a", 1, NULL, 0, &options, tokens, 8, &count));
  const int32_t no_ids[] = {-1, 100000, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 4; i++) {
    ids[2] = no_ids[i];
    count = 77;
    REFUSES(BAD, kluere_tokenizer_decode(f->tokenizer, ids, 3, 0, text, sizeof text, &count));
    HOLDS(count == 77 && kluere_tokenizer_token(f->tokenizer, no_ids[i]) == NULL);
  }
  ids[2] = 2;
  REFUSES(BAD, kluere_tokenizer_decode(f->tokenizer, NULL, 3, 0, text, sizeof text, &count));
  REFUSES(BAD, kluere_tokenizer_decode(f->tokenizer, ids, (size_t)-1, 0, text, sizeof text, &count));
  REFUSES(BAD, kluere_tokenizer_decode(f->tokenizer, ids, 3, 4, text, sizeof text, &count));
  REFUSES(BAD, kluere_tokenizer_decode(f->tokenizer, ids, 3, 0, text, sizeof text, NULL));
  HOLDS(strcmp(text, "before") == 0);
  REFUSES(TOO_SMALL, kluere_tokenizer_decode(f->tokenizer, ids, 3, 0, text, 4, &count));
  HOLDS(count == strlen("[PAD] [UNK] [CLS]") + 1);
  HOLDS(kluere_tokenizer_id(f->tokenizer, NULL) == -1 && kluere_tokenizer_id(f->tokenizer, "nothing") == -1);
}

static void tokenizer_options(struct fixture *f) {
  static const char *const with_null[] = {"[X]", NULL}, *const not_utf8[] = {"\xC0\x80"}, *const nothing[] = {""};
  kluere_tokenizer *tokenizer = NULL;
  kluere_tokenizer_options options;
  SUCCEEDS(kluere_tokenizer_options_init(&options, sizeof options));
  options.added_special_token_count = 2;
  REFUSES(BAD, kluere_tokenizer_open(f->context, f->vocabulary, &options, &tokenizer));
  options.added_special_tokens = with_null;
  REFUSES(BAD, kluere_tokenizer_open(f->context, f->vocabulary, &options, &tokenizer));
  options.added_special_token_count = (size_t)-1;
  REFUSES(BAD, kluere_tokenizer_open(f->context, f->vocabulary, &options, &tokenizer));
  options.added_special_tokens = not_utf8;
  options.added_special_token_count = 1;
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_tokenizer_open(f->context, f->vocabulary, &options, &tokenizer));
  options.added_special_tokens = nothing;
  REFUSES(0, kluere_tokenizer_open(f->context, f->vocabulary, &options, &tokenizer));
  HOLDS(tokenizer == NULL);
}

static void models(struct fixture *f) {
  kluere_tensor_info info = {0};
  kluere_example row = fixture_row(0);
  kluere_token tokens[64];
  kluere_predictor *predictor = NULL;
  kluere_predictor_options options;
  float values[4] = {1, 2, 3, 4};
  size_t count = 77;
  info.struct_size = sizeof info;
  REFUSES(BAD, kluere_model_tensor_describe(f->model, kluere_model_tensor_count(f->model), &info));
  REFUSES(BAD, kluere_model_tensor_describe(f->model, (size_t)-1, &info));
  REFUSES(BAD, kluere_model_tensor_read(f->model, (size_t)-1, values, 4));
  REFUSES(TOO_SMALL, kluere_model_tensor_read(f->model, 0, values, 4));
  REFUSES(TOO_SMALL, kluere_model_tensor_read(f->model, 0, NULL, 0));
  REFUSES(BAD, kluere_model_tensor_read(f->model, 0, NULL, (size_t)-1));
  HOLDS(values[0] == 1);
  REFUSES(BAD, kluere_model_encode(f->model, NULL, sizeof row, 0, tokens, 64, &count));
  REFUSES(BAD, kluere_model_encode(f->model, &row, sizeof row, 0, tokens, 64, NULL));
  REFUSES(BAD, kluere_model_encode(f->model, &row, 1, 0, tokens, 64, &count));
  REFUSES(BAD, kluere_model_encode(f->model, &row, sizeof row, 8, tokens, 64, &count));
  HOLDS(count == 77);
  REFUSES(TOO_SMALL, kluere_model_encode(f->model, &row, sizeof row, 0, tokens, 3, &count));
  HOLDS(count > 3 && count < 64);
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  const int32_t outputs[] = {2, -1, INT32_MAX};
  for (int i = 0; i < 3; i++) {
    options.output = outputs[i];
    REFUSES(BAD, kluere_predictor_create(f->model, &options, &predictor));
  }
  options.output = 0;
  options.batch_tokens = 0;
  REFUSES(BAD, kluere_predictor_create(f->model, &options, &predictor));
  options.batch_tokens = 0xFFFFFFFFu;
  REFUSES(BAD, kluere_predictor_create(f->model, &options, &predictor));
  HOLDS(predictor == NULL);
  REFUSES(TOO_SMALL, kluere_predictor_predict_dataset(f->predictor, f->train, values, 4));
  REFUSES(TOO_SMALL, kluere_predictor_predict_dataset(f->predictor, f->train, NULL, 0));
  REFUSES(BAD, kluere_predictor_predict_dataset(f->predictor, f->train, NULL, 1000));
  REFUSES(BAD, kluere_model_save(f->model, NULL));
  REFUSES(BAD, kluere_model_save(f->model, ""));
  /* Three labels are not the competition's thirty. */
  const char *path = path_in(f->scratch, "submission.csv");
  REFUSES(0, kluere_submission_write(f->model, f->train, f->before, FIXTURE_ROWS * FIXTURE_LABELS, path));
  REFUSES(TOO_SMALL, kluere_submission_write(f->model, f->train, f->before, 5, path));
  REFUSES(BAD, kluere_submission_write(f->model, f->train, NULL, 36, path));
  REFUSES(BAD, kluere_submission_write(f->model, f->train, f->before, FIXTURE_ROWS * FIXTURE_LABELS, NULL));
  HOLDS(!exists(path));
}

static void metrics(void) {
  float scores[6] = {0.2f, 0.3f, 0.5f, 0.1f, 0.8f, 0.1f};
  int32_t labels[2] = {0, 1};
  uint64_t confusion[9] = {77};
  kluere_metrics out;
  kluere_metrics_options options;
  const int32_t bad_labels[] = {-1, 3, INT32_MAX, INT32_MIN};
  const float bad_scores[] = {NAN, INFINITY, -INFINITY};
  memset(&out, 0, sizeof out);
  out.struct_size = sizeof out;
  SUCCEEDS(kluere_metrics_options_init(&options, sizeof options));
  REFUSES(BAD, kluere_metrics_compute(NULL, labels, 2, 3, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, NULL, 2, 3, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, labels, 0, 3, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 0, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, labels, (size_t)1 << 33, (size_t)1 << 33, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, labels, (size_t)-1, 3, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, (size_t)-1, NULL, &out, NULL, NULL));
  REFUSES(BAD, kluere_metrics_compute(NULL, NULL, 0, 0, NULL, &out, NULL, NULL));
  for (int i = 0; i < 4; i++) {
    labels[1] = bad_labels[i];
    REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 3, NULL, &out, NULL, confusion));
  }
  labels[1] = 1;
  for (int i = 0; i < 3; i++) {
    scores[4] = bad_scores[i];
    REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 3, NULL, &out, NULL, confusion));
  }
  scores[4] = 0.8f;
  const int32_t bad_no_relation[] = {3, -2, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 4; i++) {
    options.no_relation = bad_no_relation[i];
    REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 3, &options, &out, NULL, NULL));
  }
  options.no_relation = 0;
  options.missing_class = 3;
  REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 3, &options, &out, NULL, NULL));
  options.missing_class = 0;
  options.score_space = 2;
  REFUSES(BAD, kluere_metrics_compute(scores, labels, 2, 3, &options, &out, NULL, NULL));
  HOLDS(confusion[0] == 77 && out.rows == 0);
  SUCCEEDS(kluere_metrics_compute(scores, labels, 2, 3, NULL, &out, NULL, confusion));
  HOLDS(confusion[0] == 0 && out.rows == 2);
}

void bad_arguments(struct fixture *fixture) {
  contexts();
  datasets(fixture);
  unknown_label(fixture);
  tokenizers(fixture);
  token_batches(fixture);
  tokenizer_options(fixture);
  models(fixture);
  metrics();
}
