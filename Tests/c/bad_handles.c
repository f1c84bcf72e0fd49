/* Handles that are NULL, destroyed, of another kind, or no handles at all. */
#include "bad_input.h"

#include <stdlib.h>
#include <string.h>

enum { BAD_HANDLE_COUNT = 8 };
enum { REFUSED = KLUERE_ERR_BAD_HANDLE };

/* wrong: a handle of another kind; destroyed: one that is no more. */
static void collect(void *handles[BAD_HANDLE_COUNT], void *wrong, void *destroyed, void *memory) {
  handles[0] = NULL;
  handles[1] = wrong;
  handles[2] = destroyed;
  handles[3] = (char *)wrong + 1;
  handles[4] = (char *)wrong + 8;
  handles[5] = memory;
  handles[6] = (void *)(uintptr_t)1;
  handles[7] = (void *)(uintptr_t)0xFFFFFFFFFFFFFFF8u;
}

static void as_context(void *handle, struct fixture *f) {
  kluere_context_info info = {0};
  kluere_dataset *dataset = NULL;
  kluere_tokenizer *tokenizer = NULL;
  kluere_model *model = NULL;
  kluere_trainer *trainer = NULL;
  kluere_example row = fixture_row(0);
  kluere_model_config config = fixture_config();
  info.struct_size = sizeof info;
  REFUSES(REFUSED, kluere_context_describe(handle, &info));
  REFUSES(REFUSED, kluere_context_selftest(handle));
  REFUSES(REFUSED, kluere_dataset_read(handle, f->vocabulary, NULL, &dataset));
  REFUSES(REFUSED, kluere_dataset_create(handle, &row, sizeof row, 1, 0, NULL, &dataset));
  REFUSES(REFUSED, kluere_tokenizer_open(handle, f->vocabulary, NULL, &tokenizer));
  REFUSES(REFUSED, kluere_model_create(handle, f->tokenizer, &config, NULL, 0, &model));
  REFUSES(REFUSED, kluere_model_open(handle, f->model_folder, NULL, &model));
  REFUSES(REFUSED, kluere_trainer_resume(handle, f->model_folder, f->train, NULL, &trainer));
  HOLDS(!dataset && !tokenizer && !model && !trainer);
  kluere_context_destroy(handle);
}

static void as_tokenizer(void *handle, struct fixture *f) {
  kluere_model *model = NULL;
  kluere_token tokens[4];
  kluere_model_config config = fixture_config();
  char text[16];
  int32_t id = 0;
  size_t count = 77;
  const char *texts[1] = {"a"};
  size_t splits[2] = {77, 77};
  REFUSES(REFUSED, kluere_tokenizer_encode(handle, "a", 1, NULL, 0, NULL, tokens, 4, &count));
  REFUSES(REFUSED, kluere_tokenizer_encode_batch(f->context, handle, texts, NULL, NULL, NULL, 1, NULL, &id, NULL, NULL, 1,
                                                 splits));
  REFUSES(REFUSED, kluere_tokenizer_encode_batch(handle, f->tokenizer, texts, NULL, NULL, NULL, 1, NULL, &id, NULL, NULL,
                                                 1, splits));
  HOLDS(splits[0] == 77);
  REFUSES(REFUSED, kluere_tokenizer_decode(handle, &id, 1, 0, text, sizeof text, &count));
  REFUSES(REFUSED, kluere_model_create(f->context, handle, &config, NULL, 0, &model));
  HOLDS(kluere_tokenizer_vocabulary_size(handle) == 0);
  HOLDS(kluere_tokenizer_token(handle, 0) == NULL);
  HOLDS(kluere_tokenizer_id(handle, "[UNK]") == -1);
  HOLDS(count == 77);
  kluere_tokenizer_destroy(handle);
}

static void as_dataset(void *handle, struct fixture *f) {
  kluere_dataset *first = NULL, *second = NULL;
  kluere_trainer *trainer = NULL;
  kluere_example row;
  size_t index = 0;
  int32_t labels[FIXTURE_ROWS];
  float scores[FIXTURE_ROWS * FIXTURE_LABELS];
  REFUSES(REFUSED, kluere_dataset_get(handle, 0, 0, &row, sizeof row));
  REFUSES(REFUSED, kluere_dataset_label_indices(handle, labels, FIXTURE_ROWS));
  REFUSES(REFUSED, kluere_dataset_subset(handle, &index, 1, &first));
  REFUSES(REFUSED, kluere_dataset_split(handle, 0.5, 1, &first, &second));
  REFUSES(REFUSED, kluere_model_label_indices(f->model, handle, labels, FIXTURE_ROWS));
  REFUSES(REFUSED, kluere_predictor_predict_dataset(f->predictor, handle, scores, FIXTURE_ROWS * FIXTURE_LABELS));
  REFUSES(REFUSED, kluere_submission_write(f->model, handle, scores, 3, path_in(f->scratch, "no.csv")));
  {
    kluere_model *made = NULL;
    kluere_text *text = NULL;
    REFUSES(REFUSED, kluere_dataset_type_counts(handle, &text));
    if (handle) REFUSES(REFUSED, kluere_model_with_type_mask(f->model, handle, NULL, &made));
    if (handle) REFUSES(REFUSED, kluere_model_with_pair_heads(f->model, handle, NULL, &made));
    HOLDS(!made && !text);
  }
  REFUSES(REFUSED, kluere_trainer_create(f->model, handle, NULL, NULL, &trainer));
  if (handle) REFUSES(REFUSED, kluere_trainer_create(f->model, f->train, handle, NULL, &trainer));
  HOLDS(kluere_dataset_count(handle) == 0 && kluere_dataset_label_count(handle) == 0);
  HOLDS(kluere_dataset_skipped_count(handle) == 0 && !kluere_dataset_skipped_reason(handle, 0));
  HOLDS(!kluere_dataset_label(handle, 0) && !first && !second && !trainer);
  kluere_dataset_destroy(handle);
}

static void as_model(void *handle, struct fixture *f) {
  kluere_tokenizer *tokenizer = NULL;
  kluere_predictor *predictor = NULL;
  kluere_trainer *trainer = NULL;
  kluere_model_config config = {0};
  kluere_tensor_info info = {0};
  kluere_example row = fixture_row(0);
  kluere_token tokens[4];
  int32_t labels[FIXTURE_ROWS];
  float values[4];
  size_t count = 77;
  kluere_input_places places;
  places.struct_size = sizeof places;
  config.struct_size = sizeof config;
  info.struct_size = sizeof info;
  REFUSES(REFUSED, kluere_model_save(handle, path_in(f->scratch, "never")));
  REFUSES(REFUSED, kluere_model_describe(handle, &config));
  REFUSES(REFUSED, kluere_model_tokenizer(handle, &tokenizer));
  REFUSES(REFUSED, kluere_model_label_indices(handle, f->train, labels, FIXTURE_ROWS));
  REFUSES(REFUSED, kluere_model_encode(handle, &row, sizeof row, 0, tokens, 4, &count));
  REFUSES(REFUSED, kluere_model_input_places(handle, &row, sizeof row, 0, &places));
  REFUSES(REFUSED, kluere_model_tensor_describe(handle, 0, &info));
  REFUSES(REFUSED, kluere_model_tensor_read(handle, 0, values, 4));
  {
    kluere_model *made = NULL;
    kluere_text *text = NULL;
    double prior[FIXTURE_LABELS];
    REFUSES(REFUSED, kluere_model_with_type_mask(handle, f->train, NULL, &made));
    REFUSES(REFUSED, kluere_model_with_pair_heads(handle, f->train, NULL, &made));
    REFUSES(REFUSED, kluere_model_type_prior(handle, "a", 1, "b", 1, prior, FIXTURE_LABELS));
    REFUSES(REFUSED, kluere_model_types(handle, &text));
    HOLDS(!made && !text);
  }
  REFUSES(REFUSED, kluere_predictor_create(handle, NULL, &predictor));
  REFUSES(REFUSED, kluere_submission_write(handle, f->train, values, 4, path_in(f->scratch, "no.csv")));
  REFUSES(REFUSED, kluere_trainer_create(handle, f->train, NULL, NULL, &trainer));
  HOLDS(kluere_model_label_count(handle) == 0 && !kluere_model_label(handle, 0));
  HOLDS(kluere_model_parameter_count(handle) == 0 && kluere_model_tensor_count(handle) == 0);
  HOLDS(kluere_model_unused_tensor_count(handle) == 0 && kluere_model_unused_tensor(handle, 0) == NULL);
  HOLDS(!tokenizer && !predictor && !trainer && count == 77);
  HOLDS(!exists(path_in(f->scratch, "never")) && !exists(path_in(f->scratch, "no.csv")));
  kluere_model_destroy(handle);
}

static void as_predictor(void *handle, struct fixture *f) {
  kluere_example row = fixture_row(0);
  float out[FIXTURE_ROWS * FIXTURE_LABELS];
  REFUSES(REFUSED, kluere_predictor_predict(handle, &row, sizeof row, 1, 0, out, FIXTURE_LABELS));
  REFUSES(REFUSED, kluere_predictor_predict_dataset(handle, f->train, out, FIXTURE_ROWS * FIXTURE_LABELS));
  {
    kluere_pair_relation found[2];
    size_t count = 77;
    REFUSES(REFUSED, kluere_predictor_predict_pairs(handle, row.text, row.text_length, &row.subject, 1, 0, NULL, found, 2,
                                                    &count, NULL, 0));
    HOLDS(count == 77);
  }
  {
    const int32_t ids[2] = {2, 3};
    const size_t offsets[2] = {0, 2}, position = 0;
    const char *const text = "a";
    kluere_token_batch batch = {0};
    batch.struct_size = sizeof batch;
    batch.ids = ids;
    batch.offsets = offsets;
    batch.input_count = 1;
    REFUSES(REFUSED, kluere_predictor_hidden_states(handle, &batch, out, FIXTURE_LABELS));
    REFUSES(REFUSED, kluere_predictor_embed(handle, &batch, 0, 0, out, FIXTURE_LABELS));
    REFUSES(REFUSED, kluere_predictor_embed_texts(handle, &text, NULL, 1, 0, 0, out, FIXTURE_LABELS));
    REFUSES(REFUSED, kluere_predictor_classify(handle, &batch, out, FIXTURE_LABELS));
    REFUSES(REFUSED, kluere_predictor_mask_logits(handle, &batch, &position, 1, out, FIXTURE_LABELS));
  }
  kluere_predictor_destroy(handle);
}

static void as_trainer(void *handle, struct fixture *f) {
  kluere_model *model = NULL;
  kluere_metrics metrics = {0};
  float out[4];
  metrics.struct_size = sizeof metrics;
  REFUSES(REFUSED, kluere_trainer_step(handle, NULL));
  REFUSES(REFUSED, kluere_trainer_run(handle, NULL, NULL));
  REFUSES(REFUSED, kluere_trainer_evaluate(handle, f->train, &metrics));
  REFUSES(REFUSED, kluere_trainer_export_model(handle, &model));
  REFUSES(REFUSED, kluere_trainer_save_checkpoint(handle, path_in(f->scratch, "never")));
  REFUSES(REFUSED, kluere_trainer_gradient_read(handle, 0, out, 4));
  HOLDS(!model && !exists(path_in(f->scratch, "never")));
  kluere_trainer_request_stop(handle);
  kluere_trainer_destroy(handle);
}

/* Where a handle is to be put: NULL is refused before any work. */
static void null_outs(struct fixture *f) {
  kluere_example row = fixture_row(0);
  kluere_model_config config = fixture_config();
  kluere_dataset *dataset = NULL;
  size_t index = 0;
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_context_create(NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_read(f->context, f->vocabulary, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_create(f->context, &row, sizeof row, 1, 0, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_subset(f->train, &index, 1, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_split(f->train, 0.5, 1, NULL, &dataset));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_dataset_split(f->train, 0.5, 1, &dataset, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_tokenizer_open(f->context, f->vocabulary, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_create(f->context, f->tokenizer, &config, NULL, 0, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_open(f->context, f->model_folder, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_model_tokenizer(f->model, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_predictor_create(f->model, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_trainer_create(f->model, f->train, NULL, NULL, NULL));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_trainer_resume(f->context, f->model_folder, f->train, NULL, NULL));
  HOLDS(dataset == NULL);
}

void bad_handles(struct fixture *f) {
  kluere_context *context = NULL;
  kluere_tokenizer *tokenizer = NULL;
  kluere_dataset *dataset = NULL;
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  kluere_trainer *trainer = NULL;
  kluere_train_options options = fixture_train_options();
  size_t index = 0;
  SUCCEEDS(kluere_context_create(NULL, &context));
  SUCCEEDS(kluere_tokenizer_open(context, f->vocabulary, NULL, &tokenizer));
  SUCCEEDS(kluere_dataset_subset(f->train, &index, 1, &dataset));
  SUCCEEDS(kluere_model_open(context, f->model_folder, NULL, &model));
  SUCCEEDS(kluere_predictor_create(model, NULL, &predictor));
  SUCCEEDS(kluere_trainer_create(model, f->train, NULL, &options, &trainer));
  kluere_context_destroy(context);
  kluere_tokenizer_destroy(tokenizer);
  kluere_dataset_destroy(dataset);
  kluere_model_destroy(model);
  kluere_predictor_destroy(predictor);
  kluere_trainer_destroy(trainer);

  void *memory = calloc(64, 8);
  if (memory) memset(memory, 0x4B, 512);
  void *handles[BAD_HANDLE_COUNT];
  for (int i = 0; i < BAD_HANDLE_COUNT; i++) {
    collect(handles, f->model, context, memory);
    as_context(handles[i], f);
    collect(handles, f->model, tokenizer, memory);
    as_tokenizer(handles[i], f);
    collect(handles, f->model, dataset, memory);
    as_dataset(handles[i], f);
    collect(handles, f->context, model, memory);
    as_model(handles[i], f);
    collect(handles, f->model, predictor, memory);
    as_predictor(handles[i], f);
    collect(handles, f->model, trainer, memory);
    as_trainer(handles[i], f);
  }
  free(memory);
  null_outs(f);
}
