/* Corpora and masked-LM training: text that is none, options that cannot be, handles of the wrong kind, and one run that is
 * as it should be, from text to a folder that opens. */
#include "bad_input.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, STATE = KLUERE_ERR_STATE, HANDLE = KLUERE_ERR_BAD_HANDLE, TOKENS = 64 };

static const char *const lines[4] = {"가 나 다 라 가 나 다 라", "가은 나", "", "다 라는 가 나"};

static kluere_corpus *corpus_make(struct fixture *f) {
  kluere_corpus *corpus = NULL;
  SUCCEEDS(kluere_corpus_create(f->tokenizer, lines, NULL, 4, NULL, &corpus));
  return corpus;
}

static kluere_model *masked_model(struct fixture *f) {
  kluere_model *model = NULL;
  kluere_model_config config = fixture_config();
  config.task = KLUERE_TASK_MASKED_LM;
  SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, NULL, 0, &model));
  return model;
}

static kluere_train_options masked_options(void) {
  kluere_train_options train = fixture_train_options();
  train.best_metric = KLUERE_BEST_LOSS;
  return train;
}

static void texts(struct fixture *f) {
  kluere_corpus *corpus = NULL;
  kluere_corpus_options options;
  const char *const missing[2] = {"a", NULL}, *const broken[2] = {"a", "b \xFF"}, *const blank[2] = {"", "  "};
  const size_t far[2] = {1, (size_t)1 << 62};
  const char *const paths[2] = {f->vocabulary, "/none/such"}, *const folder[1] = {f->scratch};
  const kluere_dataset *datasets[2] = {f->train, NULL};
  SUCCEEDS(kluere_corpus_options_init(&options, sizeof options));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, NULL, NULL, 2, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, missing, NULL, 2, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, missing, far, 2, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, blank, NULL, 2, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, blank, NULL, 0, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, (size_t)1 << 62, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, NULL, NULL));
  REFUSES(HANDLE, kluere_corpus_create(NULL, lines, NULL, 4, NULL, &corpus));
  REFUSES(HANDLE, kluere_corpus_create((const kluere_tokenizer *)f->train, lines, NULL, 4, NULL, &corpus));
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_corpus_create(f->tokenizer, broken, NULL, 2, NULL, &corpus));
  REFUSES(KLUERE_ERR_IO, kluere_corpus_read(f->tokenizer, paths, 2, NULL, &corpus));
  REFUSES(0, kluere_corpus_read(f->tokenizer, folder, 1, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_read(f->tokenizer, paths, 0, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_read(f->tokenizer, missing + 1, 1, NULL, &corpus));
  REFUSES(HANDLE, kluere_corpus_from_datasets(f->tokenizer, datasets, 2, NULL, &corpus));
  REFUSES(BAD, kluere_corpus_from_datasets(f->tokenizer, datasets, 0, NULL, &corpus));
  options.max_tokens = 7;
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, &options, &corpus));
  options.max_tokens = 0xFFFFFFFFu;
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, &options, &corpus));
  options.max_tokens = 16;
  options.rows = 2;
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, &options, &corpus));
  options.rows = KLUERE_CORPUS_PACK;
  options.bad_lines = -1;
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, &options, &corpus));
  options.bad_lines = KLUERE_BAD_ROWS_SKIP;
  options.input_form = KLUERE_INPUT_ENTITY_PAIR; /* with packed rows, and with text */
  REFUSES(BAD, kluere_corpus_from_datasets(f->tokenizer, datasets, 1, &options, &corpus));
  options.rows = KLUERE_CORPUS_LINES;
  REFUSES(BAD, kluere_corpus_create(f->tokenizer, lines, NULL, 4, &options, &corpus));
  REFUSES(BAD, kluere_corpus_read(f->tokenizer, paths, 1, &options, &corpus));
  options.input_form = KLUERE_INPUT_TEMPLATE; /* there is no text for one */
  REFUSES(BAD, kluere_corpus_from_datasets(f->tokenizer, datasets, 1, &options, &corpus));
  options.input_form = 99;
  REFUSES(BAD, kluere_corpus_from_datasets(f->tokenizer, datasets, 1, &options, &corpus));
  HOLDS(corpus == NULL);
  options.input_form = -1;
  SUCCEEDS(kluere_corpus_create(f->tokenizer, broken, NULL, 2, &options, &corpus));
  kluere_corpus_destroy(corpus);
}

static void rows(struct fixture *f) {
  kluere_corpus *corpus = corpus_make(f);
  kluere_masked_lm_options options;
  int32_t ids[TOKENS], labels[TOKENS];
  size_t count = 0;
  SUCCEEDS(kluere_masked_lm_options_init(&options, sizeof options));
  REFUSES(BAD, kluere_corpus_row(corpus, 3, ids, NULL, TOKENS, &count));
  REFUSES(BAD, kluere_corpus_row(corpus, (size_t)-1, ids, NULL, TOKENS, &count));
  REFUSES(BAD, kluere_corpus_row(corpus, 0, ids, NULL, TOKENS, NULL));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_corpus_row(corpus, 0, ids, NULL, 1, &count));
  HOLDS(count == 10);
  REFUSES(BAD, kluere_corpus_row(corpus, 0, NULL, NULL, TOKENS, &count));
  SUCCEEDS(kluere_corpus_row(corpus, 0, ids, labels, TOKENS, &count));
  REFUSES(BAD, kluere_corpus_mask(corpus, 3, NULL, 1, 0, ids, labels, TOKENS, &count));
  REFUSES(BAD, kluere_corpus_mask(corpus, 0, NULL, 1, 0, NULL, labels, TOKENS, &count));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_corpus_mask(corpus, 0, NULL, 1, 0, ids, NULL, 0, &count));
  static const double wrong[] = {0, -0.5, 1.5, NAN, INFINITY};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    options.mask_probability = wrong[i];
    REFUSES_CASE("mask_probability", BAD, kluere_corpus_mask(corpus, 0, &options, 1, 0, ids, labels, TOKENS, &count));
  }
  options.mask_probability = 0.5;
  options.mask_share = NAN;
  REFUSES(BAD, kluere_corpus_mask(corpus, 0, &options, 1, 0, ids, labels, TOKENS, &count));
  options.mask_share = 0.95;
  REFUSES(BAD, kluere_corpus_mask(corpus, 0, &options, 1, 0, ids, labels, TOKENS, &count));
  options.mask_share = 0.8;
  options.whole_words = 2;
  REFUSES(BAD, kluere_corpus_mask(corpus, 0, &options, 1, 0, ids, labels, TOKENS, &count));
  options.whole_words = 1;
  SUCCEEDS(kluere_corpus_mask(corpus, 0, &options, UINT64_MAX, UINT64_MAX, ids, labels, TOKENS, &count));
  kluere_corpus_destroy(corpus);
  REFUSES(HANDLE, kluere_corpus_row(corpus, 0, ids, NULL, TOKENS, &count));
  REFUSES(HANDLE, kluere_corpus_row((const kluere_corpus *)f->train, 0, ids, NULL, TOKENS, &count));
  kluere_corpus_destroy(NULL);
}

static void trainers(struct fixture *f) {
  kluere_corpus *corpus = corpus_make(f);
  kluere_model *model = masked_model(f);
  kluere_trainer *trainer = NULL;
  kluere_predictor *predictor = NULL;
  kluere_train_options train = masked_options();
  kluere_masked_lm_options masking;
  kluere_masked_lm_figures figures = {0};
  kluere_metrics metrics = {0};
  figures.struct_size = sizeof figures;
  metrics.struct_size = sizeof metrics;
  SUCCEEDS(kluere_masked_lm_options_init(&masking, sizeof masking));
  REFUSES(HANDLE, kluere_trainer_create_masked_lm(NULL, corpus, NULL, NULL, &train, &trainer));
  REFUSES(HANDLE, kluere_trainer_create_masked_lm(model, NULL, NULL, NULL, &train, &trainer));
  REFUSES(HANDLE, kluere_trainer_create_masked_lm(model, (const kluere_corpus *)f->train, NULL, NULL, &train, &trainer));
  REFUSES(HANDLE, kluere_trainer_create_masked_lm(model, corpus, (const kluere_corpus *)f, NULL, &train, &trainer));
  REFUSES(BAD, kluere_trainer_create_masked_lm(model, corpus, NULL, NULL, &train, NULL));
  REFUSES(STATE, kluere_trainer_create_masked_lm(f->model, corpus, NULL, NULL, &train, &trainer));
  REFUSES(STATE, kluere_trainer_create(model, f->train, NULL, &train, &trainer));
  train.best_metric = KLUERE_BEST_MICRO_F1;
  REFUSES(BAD, kluere_trainer_create_masked_lm(model, corpus, NULL, NULL, &train, &trainer));
  train.best_metric = KLUERE_BEST_LOSS;
  train.classifier_dropout = 0.1f;
  REFUSES(BAD, kluere_trainer_create_masked_lm(model, corpus, NULL, NULL, &train, &trainer));
  train.classifier_dropout = -1;
  masking.random_share = 2;
  REFUSES(BAD, kluere_trainer_create_masked_lm(model, corpus, NULL, &masking, &train, &trainer));
  HOLDS(trainer == NULL);
  masking.random_share = 0.1;
  masking.mask_probability = 0.5;

  SUCCEEDS(kluere_trainer_create_masked_lm(model, corpus, corpus, &masking, &train, &trainer));
  REFUSES(STATE, kluere_trainer_evaluate(trainer, f->train, &metrics));
  REFUSES(HANDLE, kluere_trainer_evaluate_masked_lm(trainer, NULL, &figures));
  SUCCEEDS(kluere_trainer_step(trainer, NULL));
  SUCCEEDS(kluere_trainer_evaluate_masked_lm(trainer, corpus, &figures));
  HOLDS(figures.tokens > 0 && figures.loss > 0 && figures.perplexity > 1 + figures.loss);
  char folder[4200];
  snprintf(folder, sizeof folder, "%s/masked", f->scratch);
  remove_folder(folder);
  SUCCEEDS(kluere_trainer_save_checkpoint(trainer, folder));
  kluere_trainer_destroy(trainer);
  trainer = NULL;
  REFUSES(STATE, kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer));
  REFUSES(BAD, kluere_trainer_resume_masked_lm(f->context, folder, corpus, NULL, &trainer));
  HOLDS(trainer == NULL);
  SUCCEEDS(kluere_trainer_resume_masked_lm(f->context, folder, corpus, corpus, &trainer));
  SUCCEEDS(kluere_trainer_run(trainer, NULL, NULL));
  kluere_trainer_destroy(trainer);
  trainer = NULL;

  SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, NULL, &trainer));
  REFUSES(STATE, kluere_trainer_evaluate_masked_lm(trainer, corpus, &figures));
  kluere_trainer_destroy(trainer);
  REFUSES(STATE, kluere_predictor_evaluate_masked_lm(f->predictor, corpus, NULL, &figures));
  SUCCEEDS(kluere_predictor_create(model, NULL, &predictor));
  SUCCEEDS(kluere_predictor_evaluate_masked_lm(predictor, corpus, &masking, &figures));
  kluere_predictor_destroy(predictor);

  /* What was trained opens with a head for relations. */
  kluere_model *opened = NULL;
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &opened));
  kluere_model_destroy(opened);
  remove_folder(folder);
  kluere_model_destroy(model);
  kluere_corpus_destroy(corpus);
}

/* A state whose options of masks are not what they should be: its checksum says so. */
static void checkpoints(struct fixture *f) {
  kluere_corpus *corpus = corpus_make(f);
  kluere_model *model = masked_model(f);
  kluere_trainer *trainer = NULL;
  kluere_train_options train = masked_options();
  char folder[4200], path[4300];
  snprintf(folder, sizeof folder, "%s/damaged", f->scratch);
  remove_folder(folder);
  SUCCEEDS(kluere_trainer_create_masked_lm(model, corpus, NULL, NULL, &train, &trainer));
  SUCCEEDS(kluere_trainer_save_checkpoint(trainer, folder));
  kluere_trainer_destroy(trainer);
  trainer = NULL;
  snprintf(path, sizeof path, "%s/trainer_state.json", folder);
  size_t size;
  char *state = read_bytes(path, &size);
  char *place = strstr(state, "\"mask_probability\":");
  HOLDS(place != NULL);
  if (place) {
    place[strlen("\"mask_probability\":") + 2] = '9';
    write_bytes(path, state, size);
    REFUSES(KLUERE_ERR_BAD_FORMAT, kluere_trainer_resume_masked_lm(f->context, folder, corpus, NULL, &trainer));
  }
  free(state);
  HOLDS(trainer == NULL);
  remove_folder(folder);
  kluere_model_destroy(model);
  kluere_corpus_destroy(corpus);
}

void bad_pretraining(struct fixture *f) {
  texts(f);
  rows(f);
  trainers(f);
  checkpoints(f);
}
