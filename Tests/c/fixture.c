#include "fixture.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fixture_labels[FIXTURE_LABELS] = {"no_relation", "org:top_members/employees", "per:spouse"};

static const char vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n@\n#\n*\n^\n사람\n단체\n장소\n날짜\n수량\n기타\n가\n나\n다\n라\n##은\n##는\n##이\n"
    "##의\n회사\n대표\n아내\n도시\n.\n,\na\nb\nc\n##a\n##b\n##c\n1\n2\n##1\n##2\n";

/* 가 and 나 stand at bytes [0, 3) and [7, 10) of every sentence. */
static const char *const sentences[FIXTURE_ROWS] = {
    "가는 나의 대표", "가은 나의 아내", "가이 나의 회사", "가는 나의 도시", "가이 나는 대표.", "가은 나이 아내 a",
    "가는 나은 회사 b", "가의 나의 도시 c", "가의 나는 대표, 1", "가는 나는 아내 2", "가은 나의 회사 12", "가이 나이 abc"};

static void need(kluere_status status, const char *what) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fprintf(stderr, "fixture: %s: %s (%s)\n", what, message, kluere_status_name(status));
  exit(2);
}

kluere_example fixture_row(int index) {
  kluere_example row = {0};
  row.text = sentences[index];
  row.text_length = strlen(row.text);
  row.subject.begin = 0;
  row.subject.end = 3;
  row.subject.type = "PER";
  row.subject.type_length = KLUERE_NUL_TERMINATED;
  row.object.begin = 7;
  row.object.end = 10;
  row.object.type = "ORG";
  row.object.type_length = 3;
  row.label = fixture_labels[index % FIXTURE_LABELS];
  row.label_length = KLUERE_NUL_TERMINATED;
  return row;
}

kluere_model_config fixture_config(void) {
  kluere_model_config config;
  need(kluere_model_config_init(&config, sizeof config), "model config");
  config.hidden_size = 16;
  config.layer_count = 1;
  config.head_count = 2;
  config.intermediate_size = 32;
  config.max_positions = 32;
  return config;
}

kluere_train_options fixture_train_options(void) {
  kluere_train_options options;
  need(kluere_train_options_init(&options, sizeof options), "train options");
  options.batch_sentences = 4;
  options.max_steps = 4;
  return options;
}

static kluere_dataset *make_rows(kluere_context *context, int with_labels) {
  kluere_example rows[FIXTURE_ROWS];
  kluere_dataset_options options;
  kluere_dataset *dataset = NULL;
  for (int i = 0; i < FIXTURE_ROWS; i++) {
    rows[i] = fixture_row(i);
    if (!with_labels) {
      rows[i].label = NULL;
      rows[i].label_length = 0;
    }
  }
  need(kluere_dataset_options_init(&options, sizeof options), "dataset options");
  options.label_order = KLUERE_LABELS_CUSTOM;
  options.labels = fixture_labels;
  options.label_count = FIXTURE_LABELS;
  need(kluere_dataset_create(context, rows, sizeof rows[0], FIXTURE_ROWS, KLUERE_OFFSETS_BYTES, &options, &dataset),
       "dataset");
  return dataset;
}

void fixture_make(struct fixture *fixture, const char *scratch) {
  kluere_context_options options;
  kluere_model_config config = fixture_config();
  memset(fixture, 0, sizeof *fixture);
  fixture->scratch = scratch;
  snprintf(fixture->vocabulary, sizeof fixture->vocabulary, "%s/vocab.txt", scratch);
  snprintf(fixture->model_folder, sizeof fixture->model_folder, "%s/model", scratch);
  make_folder(scratch);
  remove_folder(fixture->model_folder);
  write_text(fixture->vocabulary, vocabulary);

  need(kluere_context_options_init(&options, sizeof options), "context options");
  options.thread_count = 2;
  need(kluere_context_create(&options, &fixture->context), "context");
  need(kluere_tokenizer_open(fixture->context, fixture->vocabulary, NULL, &fixture->tokenizer), "tokenizer");
  fixture->train = make_rows(fixture->context, 1);
  fixture->hidden = make_rows(fixture->context, 0);
  need(kluere_model_create(fixture->context, fixture->tokenizer, &config, fixture_labels, FIXTURE_LABELS,
                           &fixture->model), "model");
  need(kluere_model_save(fixture->model, fixture->model_folder), "save");
  need(kluere_predictor_create(fixture->model, NULL, &fixture->predictor), "predictor");
  need(kluere_predictor_predict_dataset(fixture->predictor, fixture->train, fixture->before,
                                        FIXTURE_ROWS * FIXTURE_LABELS), "prediction");
}

void fixture_destroy(struct fixture *fixture) {
  /* Parents first: each handle keeps alive what it needs. */
  kluere_context_destroy(fixture->context);
  kluere_tokenizer_destroy(fixture->tokenizer);
  kluere_model_destroy(fixture->model);
  kluere_dataset_destroy(fixture->train);
  kluere_dataset_destroy(fixture->hidden);
  kluere_predictor_destroy(fixture->predictor);
}

void fixture_still_works(struct fixture *fixture) {
  float now[FIXTURE_ROWS * FIXTURE_LABELS];
  kluere_model *reopened = NULL;
  kluere_predictor *predictor = NULL;
  kluere_token tokens[16];
  size_t count = 0;
  SUCCEEDS(kluere_predictor_predict_dataset(fixture->predictor, fixture->train, now, FIXTURE_ROWS * FIXTURE_LABELS));
  HOLDS(memcmp(now, fixture->before, sizeof now) == 0);
  SUCCEEDS(kluere_tokenizer_encode(fixture->tokenizer, "가는 나의", KLUERE_NUL_TERMINATED, NULL, 0, NULL, tokens, 16,
                                   &count));
  HOLDS(count == 6);
  HOLDS(kluere_dataset_count(fixture->train) == FIXTURE_ROWS);
  if (SUCCEEDS(kluere_model_open(fixture->context, fixture->model_folder, NULL, &reopened))) {
    SUCCEEDS(kluere_predictor_create(reopened, NULL, &predictor));
    SUCCEEDS(kluere_predictor_predict_dataset(predictor, fixture->train, now, FIXTURE_ROWS * FIXTURE_LABELS));
    HOLDS(memcmp(now, fixture->before, sizeof now) == 0);
  }
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(reopened);
}
