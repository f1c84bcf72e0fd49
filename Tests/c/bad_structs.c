/* struct_size: never set, too small, a newer caller's with and without something in the part we do not know. */
#include "bad_input.h"

#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT };

/* The size with which a struct first appeared: smaller ones are refused, sizes between it and today's are old callers'. */
static uint32_t first_size(const char *type, size_t now) {
  if (strcmp(type, "kluere_model_config") == 0) return 64;
  if (strcmp(type, "kluere_model_open_options") == 0) return 40;
  if (strcmp(type, "kluere_train_options") == 0) return 160;
  if (strcmp(type, "kluere_predictor_options") == 0) return 16;
  if (strcmp(type, "kluere_step_info") == 0) return 80;
  return (uint32_t)now;
}
#define FIRST_SIZE(type) first_size(#type, sizeof(type))

/* A struct as a newer header might have it. */
#define NEWER(type) \
  struct { type known; uint64_t unknown[2]; }

#define BAD_INIT(init, type)                              \
  do {                                                    \
    NEWER(type) newer;                                    \
    REFUSES(BAD, init(NULL, sizeof(type)));               \
    REFUSES(BAD, init(&newer.known, 0));                  \
    REFUSES(BAD, init(&newer.known, FIRST_SIZE(type) - 1));  \
    REFUSES(BAD, init(&newer.known, (size_t)1 << 40));    \
    REFUSES(BAD, init(&newer.known, (size_t)-1));         \
    memset(&newer, 0xAA, sizeof newer);                   \
    SUCCEEDS(init(&newer.known, sizeof newer));           \
    HOLDS(newer.known.struct_size == sizeof newer);       \
    HOLDS(newer.unknown[0] == 0 && newer.unknown[1] == 0); \
    memset(&newer, 0xAA, sizeof newer);                   \
    SUCCEEDS(init(&newer.known, sizeof newer.known));     \
    HOLDS(newer.unknown[0] == 0xAAAAAAAAAAAAAAAAu);       \
  } while (0)

/* call uses `options`, a pointer to the struct; undo destroys what a call that succeeds makes. */
#define BAD_OPTIONS(init, type, call, undo)              \
  do {                                                   \
    NEWER(type) newer;                                   \
    const type *options = &newer.known;                  \
    SUCCEEDS(init(&newer.known, sizeof newer));          \
    SUCCEEDS(call);                                      \
    undo;                                                \
    newer.unknown[1] = 1;                                \
    REFUSES(KLUERE_ERR_VERSION, call);                   \
    newer.known.struct_size = (uint32_t)sizeof(type);    \
    SUCCEEDS(call);                                      \
    undo;                                                \
    newer.known.struct_size = 0;                         \
    REFUSES(BAD, call);                                  \
    newer.known.struct_size = FIRST_SIZE(type) - 4;      \
    REFUSES(BAD, call);                                  \
    newer.known.struct_size = 0xFFFFFFFFu;               \
    REFUSES(BAD, call);                                  \
  } while (0)

/* Structs that the library fills. */
#define BAD_OUT(type, call)                              \
  do {                                                   \
    NEWER(type) newer;                                   \
    type *out = NULL;                                    \
    REFUSES(BAD, call);                                  \
    out = &newer.known;                                  \
    memset(&newer, 0xAA, sizeof newer);                  \
    newer.known.struct_size = 0;                         \
    REFUSES(BAD, call);                                  \
    newer.known.struct_size = FIRST_SIZE(type) - 1;      \
    REFUSES(BAD, call);                                  \
    newer.known.struct_size = (uint32_t)sizeof(type);    \
    SUCCEEDS(call);                                      \
    HOLDS(newer.known.struct_size == sizeof(type));      \
    HOLDS(newer.unknown[0] == 0xAAAAAAAAAAAAAAAAu);      \
    newer.known.struct_size = (uint32_t)sizeof newer;    \
    SUCCEEDS(call);                                      \
    HOLDS(newer.known.struct_size == sizeof newer);      \
    HOLDS(newer.unknown[0] == 0 && newer.unknown[1] == 0); \
  } while (0)

static void inits(void) {
  BAD_INIT(kluere_context_options_init, kluere_context_options);
  BAD_INIT(kluere_dataset_options_init, kluere_dataset_options);
  BAD_INIT(kluere_tokenizer_options_init, kluere_tokenizer_options);
  BAD_INIT(kluere_encode_options_init, kluere_encode_options);
  BAD_INIT(kluere_model_config_init, kluere_model_config);
  BAD_INIT(kluere_model_open_options_init, kluere_model_open_options);
  BAD_INIT(kluere_predictor_options_init, kluere_predictor_options);
  BAD_INIT(kluere_metrics_options_init, kluere_metrics_options);
  BAD_INIT(kluere_resampling_options_init, kluere_resampling_options);
  BAD_INIT(kluere_calibration_options_init, kluere_calibration_options);
  BAD_INIT(kluere_ensemble_options_init, kluere_ensemble_options);
  BAD_INIT(kluere_decoding_options_init, kluere_decoding_options);
  BAD_INIT(kluere_select_options_init, kluere_select_options);
  BAD_INIT(kluere_pipeline_options_init, kluere_pipeline_options);
  BAD_INIT(kluere_queue_options_init, kluere_queue_options);
  BAD_INIT(kluere_train_options_init, kluere_train_options);
  BAD_INIT(kluere_loss_options_init, kluere_loss_options);
  BAD_INIT(kluere_pseudo_label_options_init, kluere_pseudo_label_options);
  BAD_INIT(kluere_audit_options_init, kluere_audit_options);
  BAD_INIT(kluere_clean_options_init, kluere_clean_options);
  BAD_INIT(kluere_split_options_init, kluere_split_options);
  BAD_INIT(kluere_augment_options_init, kluere_augment_options);
  BAD_INIT(kluere_fill_options_init, kluere_fill_options);
  BAD_INIT(kluere_type_mask_options_init, kluere_type_mask_options);
  BAD_INIT(kluere_pair_head_options_init, kluere_pair_head_options);
  BAD_INIT(kluere_pair_options_init, kluere_pair_options);
  BAD_INIT(kluere_corpus_options_init, kluere_corpus_options);
  BAD_INIT(kluere_masked_lm_options_init, kluere_masked_lm_options);
}

static void options_of_calls(struct fixture *f) {
  kluere_context *context = NULL;
  kluere_dataset *dataset = NULL;
  kluere_tokenizer *tokenizer = NULL;
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  kluere_trainer *trainer = NULL;
  kluere_audit *audit = NULL;
  kluere_example row = fixture_row(0);
  kluere_token tokens[16];
  size_t count;
  float scores[2] = {0.25f, 0.75f};
  int32_t labels[1] = {1};
  float sure[FIXTURE_ROWS * FIXTURE_LABELS] = {1.0f};
  kluere_metrics metrics = {0};
  metrics.struct_size = sizeof metrics;
  row.label = NULL;
  row.label_length = 0;
  BAD_OPTIONS(kluere_context_options_init, kluere_context_options, kluere_context_create(options, &context),
              kluere_context_destroy(context));
  BAD_OPTIONS(kluere_dataset_options_init, kluere_dataset_options,
              kluere_dataset_create(f->context, &row, sizeof row, 1, 0, options, &dataset),
              kluere_dataset_destroy(dataset));
  BAD_OPTIONS(kluere_tokenizer_options_init, kluere_tokenizer_options,
              kluere_tokenizer_open(f->context, f->vocabulary, options, &tokenizer),
              kluere_tokenizer_destroy(tokenizer));
  BAD_OPTIONS(kluere_encode_options_init, kluere_encode_options,
              kluere_tokenizer_encode(f->tokenizer, "a b", 3, NULL, 0, options, tokens, 16, &count), (void)0);
  BAD_OPTIONS(kluere_model_open_options_init, kluere_model_open_options,
              kluere_model_open(f->context, f->model_folder, options, &model), kluere_model_destroy(model));
  kluere_pair_relation relations[4];
  BAD_OPTIONS(kluere_type_mask_options_init, kluere_type_mask_options,
              kluere_model_with_type_mask(f->model, f->train, options, &model), kluere_model_destroy(model));
  BAD_OPTIONS(kluere_pair_head_options_init, kluere_pair_head_options,
              kluere_model_with_pair_heads(f->model, f->train, options, &model), kluere_model_destroy(model));
  BAD_OPTIONS(kluere_pair_options_init, kluere_pair_options,
              kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, &row.subject, 1, 0, options,
                                             relations, 4, &count, NULL, 0),
              (void)0);
  BAD_OPTIONS(kluere_predictor_options_init, kluere_predictor_options,
              kluere_predictor_create(f->model, options, &predictor), kluere_predictor_destroy(predictor));
  BAD_OPTIONS(kluere_metrics_options_init, kluere_metrics_options,
              kluere_metrics_compute(scores, labels, 1, 2, options, &metrics, NULL, NULL), (void)0);
  const int32_t kind = KLUERE_METRIC_ACCURACY;
  const float *members[1] = {scores};
  kluere_interval interval;
  kluere_calibration calibration = {0};
  float combined[2];
  calibration.struct_size = sizeof calibration;
  BAD_OPTIONS(kluere_resampling_options_init, kluere_resampling_options,
              kluere_metrics_bootstrap(scores, labels, 1, 2, NULL, options, &kind, 1, &interval, NULL), (void)0);
  BAD_OPTIONS(kluere_calibration_options_init, kluere_calibration_options,
              kluere_metrics_calibration(scores, labels, 1, 2, NULL, options, &calibration, NULL, 0), (void)0);
  BAD_OPTIONS(kluere_ensemble_options_init, kluere_ensemble_options,
              kluere_ensemble_combine(members, 1, NULL, 1, 2, options, combined, 2), (void)0);
  float table[4] = {1, -1, -1, 1};
  int32_t truths[2] = {0, 1};
  kluere_decoding *decoding = NULL;
  BAD_OPTIONS(kluere_decoding_options_init, kluere_decoding_options,
              (newer.known.folds = 2, kluere_decoding_fit(table, truths, NULL, 2, 2, options, NULL, &decoding)),
              kluere_decoding_destroy(decoding));
  BAD_OPTIONS(kluere_select_options_init, kluere_select_options,
              kluere_dataset_select(f->train, options, &dataset), kluere_dataset_destroy(dataset));
  kluere_pipeline_member one = {0};
  kluere_pipeline *pipeline = NULL;
  one.model = f->model;
  BAD_OPTIONS(kluere_pipeline_options_init, kluere_pipeline_options,
              kluere_pipeline_create(&one, sizeof one, 1, options, NULL, &pipeline), kluere_pipeline_destroy(pipeline));
  kluere_queue *queue = NULL;
  BAD_OPTIONS(kluere_queue_options_init, kluere_queue_options, kluere_queue_create(f->model, NULL, options, &queue),
              kluere_queue_destroy(queue));
  BAD_OPTIONS(kluere_predictor_options_init, kluere_predictor_options,
              kluere_queue_create(f->model, options, NULL, &queue), kluere_queue_destroy(queue));
  BAD_OPTIONS(kluere_train_options_init, kluere_train_options,
              kluere_trainer_create(f->model, f->train, NULL, options, &trainer), kluere_trainer_destroy(trainer));
  kluere_train_options with_loss = fixture_train_options();
  BAD_OPTIONS(kluere_loss_options_init, kluere_loss_options,
              (with_loss.loss = options, kluere_trainer_create(f->model, f->train, NULL, &with_loss, &trainer)),
              kluere_trainer_destroy(trainer));
  BAD_OPTIONS(kluere_pseudo_label_options_init, kluere_pseudo_label_options,
              kluere_dataset_pseudo_label(f->train, sure, FIXTURE_ROWS * FIXTURE_LABELS, options, &dataset, NULL, 0, NULL),
              kluere_dataset_destroy(dataset));
  BAD_OPTIONS(kluere_model_config_init, kluere_model_config,
              kluere_model_create(f->context, f->tokenizer, options, fixture_labels, FIXTURE_LABELS, &model),
              kluere_model_destroy(model));
  BAD_OPTIONS(kluere_audit_options_init, kluere_audit_options,
              kluere_audit_create(f->train, NULL, f->tokenizer, options, &audit), kluere_audit_destroy(audit));
  BAD_OPTIONS(kluere_clean_options_init, kluere_clean_options,
              kluere_dataset_clean(f->train, options, &dataset, NULL), kluere_dataset_destroy(dataset));
  int32_t folds[FIXTURE_ROWS];
  BAD_OPTIONS(kluere_split_options_init, kluere_split_options,
              kluere_dataset_folds(f->train, 2, options, folds, FIXTURE_ROWS), (void)0);
  BAD_OPTIONS(kluere_augment_options_init, kluere_augment_options,
              kluere_dataset_augment(f->train, options, &dataset), kluere_dataset_destroy(dataset));
  kluere_corpus *corpus = NULL, *made = NULL;
  const char *const lines[1] = {"a b"};
  int32_t shown[16], asked[16];
  SUCCEEDS(kluere_corpus_create(f->tokenizer, lines, NULL, 1, NULL, &corpus));
  BAD_OPTIONS(kluere_corpus_options_init, kluere_corpus_options,
              kluere_corpus_create(f->tokenizer, lines, NULL, 1, options, &made), kluere_corpus_destroy(made));
  BAD_OPTIONS(kluere_masked_lm_options_init, kluere_masked_lm_options,
              kluere_corpus_mask(corpus, 0, options, 1, 0, shown, asked, 16, &count), (void)0);
  kluere_corpus_destroy(corpus);
}

static void structs_to_fill(struct fixture *f) {
  float scores[2] = {0.25f, 0.75f};
  int32_t labels[1] = {1};
  kluere_trainer *trainer = NULL;
  kluere_train_options options = fixture_train_options();
  kluere_example row = fixture_row(0);
  kluere_corpus *corpus = NULL;
  const char *const lines[1] = {"a b"};
  SUCCEEDS(kluere_corpus_create(f->tokenizer, lines, NULL, 1, NULL, &corpus));
  BAD_OUT(kluere_corpus_info, kluere_corpus_describe(corpus, out));
  kluere_corpus_destroy(corpus);
  BAD_OUT(kluere_context_info, kluere_context_describe(f->context, out));
  BAD_OUT(kluere_model_config, kluere_model_describe(f->model, out));
  BAD_OUT(kluere_tensor_info, kluere_model_tensor_describe(f->model, 0, out));
  BAD_OUT(kluere_input_places, kluere_model_input_places(f->model, &row, sizeof row, 0, out));
  BAD_OUT(kluere_metrics, kluere_metrics_compute(scores, labels, 1, 2, NULL, out, NULL, NULL));
  float table[4] = {0.25f, 0.75f, 0.75f, 0.25f};
  const float *members[1] = {table};
  int32_t truth[2] = {1, 0};
  double weight;
  kluere_ensemble_options two_folds;
  SUCCEEDS(kluere_ensemble_options_init(&two_folds, sizeof two_folds));
  two_folds.folds = 2;
  BAD_OUT(kluere_calibration, kluere_metrics_calibration(scores, labels, 1, 2, NULL, NULL, out, NULL, 0));
  BAD_OUT(kluere_coverage, kluere_metrics_coverage(scores, labels, 1, 2, NULL, out, NULL, 0));
  kluere_decoding *decoding = NULL;
  SUCCEEDS(kluere_decoding_create(2, 1, NULL, NULL, NULL, &decoding));
  BAD_OUT(kluere_decoding_info, kluere_decoding_describe(decoding, out));
  BAD_OUT(kluere_quantization_report, kluere_quantization_measure(f->model, f->model, f->train, out));
  kluere_decoding_destroy(decoding);
  kluere_pipeline_member one = {0};
  kluere_pipeline *pipeline = NULL;
  one.model = f->model;
  if (SUCCEEDS(kluere_pipeline_create(&one, sizeof one, 1, NULL, NULL, &pipeline))) {
    BAD_OUT(kluere_pipeline_info, kluere_pipeline_describe(pipeline, out));
    BAD_OUT(kluere_pipeline_member_info, kluere_pipeline_describe_member(pipeline, 0, out));
  }
  kluere_pipeline_destroy(pipeline);
  kluere_queue *queue = NULL;
  SUCCEEDS(kluere_queue_create(f->model, NULL, NULL, &queue));
  BAD_OUT(kluere_queue_info, kluere_queue_stats(queue, 0, out));
  kluere_queue_destroy(queue);
  BAD_OUT(kluere_weight_search,
          kluere_ensemble_search(members, 1, truth, NULL, 2, 2, &two_folds, out, &weight, NULL));
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, &options, &trainer))) return;
  BAD_OUT(kluere_metrics, kluere_trainer_evaluate(trainer, f->train, out));
  kluere_step_info info;
  memset(&info, 0, sizeof info);
  REFUSES(BAD, kluere_trainer_step(trainer, &info));
  info.struct_size = sizeof info;
  SUCCEEDS(kluere_trainer_step(trainer, &info));
  HOLDS(info.step == 1 && info.sentences == 4 && info.struct_size == sizeof info);
  SUCCEEDS(kluere_trainer_step(trainer, NULL));
  kluere_trainer_destroy(trainer);
}

/* Arrays of examples from a caller whose struct is larger. */
static void strides(struct fixture *f) {
  NEWER(kluere_example) rows[2];
  float out[2 * FIXTURE_LABELS];
  memset(rows, 0, sizeof rows);
  rows[0].known = fixture_row(0);
  rows[1].known = fixture_row(1);
  SUCCEEDS(kluere_predictor_predict(f->predictor, &rows[0].known, sizeof rows[0], 2, 0, out, 2 * FIXTURE_LABELS));
  HOLDS(memcmp(out, f->before, sizeof out) == 0);
  rows[1].unknown[0] = 7;
  REFUSES(KLUERE_ERR_VERSION,
          kluere_predictor_predict(f->predictor, &rows[0].known, sizeof rows[0], 2, 0, out, 2 * FIXTURE_LABELS));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &rows[0].known, 0, 2, 0, out, 2 * FIXTURE_LABELS));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &rows[0].known, 128 - 8, 2, 0, out, 2 * FIXTURE_LABELS));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &rows[0].known, (size_t)-8, 2, 0, out, 2 * FIXTURE_LABELS));
  kluere_example view;
  memset(&view, 0, sizeof view);
  REFUSES(BAD, kluere_dataset_get(f->train, 0, 0, &view, 128 - 1));
  REFUSES(BAD, kluere_dataset_get(f->train, 0, 0, &view, (size_t)-1));
  /* The first version's struct ended before origin. */
  memset(&view, 0xAA, sizeof view);
  SUCCEEDS(kluere_dataset_get(f->train, 0, 0, &view, 128));
  HOLDS(view.subject.end == 3 && view.source == NULL && view.origin_length == (size_t)0xAAAAAAAAAAAAAAAAu);
  memset(rows, 0xAA, sizeof rows);
  SUCCEEDS(kluere_dataset_get(f->train, 0, 0, &rows[0].known, sizeof rows[0]));
  HOLDS(rows[0].unknown[0] == 0 && rows[0].unknown[1] == 0 && rows[1].unknown[1] == 0xAAAAAAAAAAAAAAAAu);
}

void bad_structs(struct fixture *fixture) {
  inits();
  options_of_calls(fixture);
  structs_to_fill(fixture);
  strides(fixture);
}
