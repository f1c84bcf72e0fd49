/* Relation heads: names that there are not, options that contradict each other, and what a head can and cannot be asked. */
#include <string.h>

#include "bad_input.h"

#define BAD KLUERE_ERR_INVALID_ARGUMENT
#define HEADS 10

static void refused(struct fixture *f) {
  static const int32_t heads[] = {-1, HEADS, INT32_MAX, INT32_MIN};
  kluere_model *model = NULL;
  kluere_model_config config;
  kluere_model_open_options open;
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    config = fixture_config();
    config.head = heads[i];
    REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
    SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
    HOLDS(open.head == -1 && open.entity_segments == -1);
    if (heads[i] == -1) continue; /* the folder's */
    open.head = heads[i];
    REFUSES(BAD, kluere_model_open(f->context, f->model_folder, &open, &model));
  }
  config = fixture_config();
  HOLDS(config.head == KLUERE_HEAD_CLS && config.entity_segments == 0);
  config.entity_segments = 2;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
  open.entity_segments = 2;
  REFUSES(BAD, kluere_model_open(f->context, f->model_folder, &open, &model));
  open.entity_segments = -2;
  REFUSES(BAD, kluere_model_open(f->context, f->model_folder, &open, &model));
  HOLDS(model == NULL);
}

/* Masks of a dropout that drops nothing. */
static void contradiction(struct fixture *f) {
  char message[512];
  kluere_trainer *trainer = NULL;
  kluere_train_options options = fixture_train_options();
  HOLDS(options.multi_sample_dropout == 1);
  options.multi_sample_dropout = 4;
  options.classifier_dropout = 0;
  REFUSES(BAD, kluere_trainer_create(f->model, f->train, NULL, &options, &trainer));
  kluere_last_error(message, sizeof message);
  HOLDS(strstr(message, "multi_sample_dropout") && strstr(message, "classifier_dropout"));
  HOLDS(trainer == NULL);
}

/* Every head: trains, predicts, saves, opens; entities that no piece stands for, and no more room than markers need. */
static void each(struct fixture *f, int32_t head) {
  const int32_t ids[] = {2, 5, 3};
  const size_t offsets[] = {0, 3};
  kluere_model *model = NULL, *again = NULL;
  kluere_predictor *predictor = NULL;
  kluere_trainer *trainer = NULL;
  kluere_model_config config = fixture_config();
  kluere_train_options options = fixture_train_options();
  kluere_step_info info = {.struct_size = sizeof info};
  kluere_token_batch batch = {.struct_size = sizeof batch, .ids = ids, .offsets = offsets, .input_count = 1};
  float scores[FIXTURE_ROWS * FIXTURE_LABELS];
  const char *folder = path_in(f->scratch, "head");
  config.head = head;
  config.entity_segments = head % 2 == 0;
  config.input_form = head % 3 == 0 ? KLUERE_INPUT_ENTITY_PAIR : KLUERE_INPUT_ENTITY_MARKER;
  SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  options.multi_sample_dropout = 3;
  SUCCEEDS(kluere_trainer_create(model, f->train, NULL, &options, &trainer));
  SUCCEEDS(kluere_trainer_step(trainer, &info));
  SUCCEEDS(kluere_predictor_create(model, NULL, &predictor));
  SUCCEEDS(kluere_predictor_predict_dataset(predictor, f->train, scores, FIXTURE_ROWS * FIXTURE_LABELS));
  /* Blanks are no pieces: nothing of the entity is left but its markers, if the form has some. */
  kluere_example row = fixture_row(0);
  row.text = "   .   ";
  row.text_length = 7;
  row.subject.begin = 0;
  row.subject.end = 2;
  row.object.begin = 4;
  row.object.end = 6;
  SUCCEEDS(kluere_predictor_predict(predictor, &row, sizeof row, 1, KLUERE_OFFSETS_BYTES, scores, FIXTURE_LABELS));
  for (int i = 0; i < FIXTURE_LABELS; i++) HOLDS(scores[i] >= 0 && scores[i] <= 1);
  if (head <= KLUERE_HEAD_CLS_LINEAR)
    SUCCEEDS(kluere_predictor_classify(predictor, &batch, scores, FIXTURE_LABELS));
  else
    REFUSES(KLUERE_ERR_UNSUPPORTED, kluere_predictor_classify(predictor, &batch, scores, FIXTURE_LABELS));
  SUCCEEDS(kluere_model_save(model, folder));
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &again));
  config.struct_size = sizeof config;
  SUCCEEDS(kluere_model_describe(again, &config));
  HOLDS(config.head == head && config.entity_segments == (head % 2 == 0));
  kluere_trainer_destroy(trainer);
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(again);
  kluere_model_destroy(model);
}

/* A head's name in a folder that this version does not know. */
static void unknown_in_a_folder(struct fixture *f) {
  kluere_model *model = NULL;
  const char *folder = path_in(f->scratch, "head");
  write_text(path_in(folder, "kluere.json"),
             "{\"format_version\": 1, \"input_form\": \"entity_pair\", \"max_tokens\": 32, \"head\": \"shoulders\","
                   " \"labels\": [\"no_relation\", \"a\"]}");
  REFUSES(KLUERE_ERR_UNSUPPORTED, kluere_model_open(f->context, folder, NULL, &model));
  HOLDS(model == NULL);
}

void bad_heads(struct fixture *f) {
  refused(f);
  contradiction(f);
  for (int32_t head = 0; head < HEADS; head++) each(f, head);
  unknown_in_a_folder(f);
}
