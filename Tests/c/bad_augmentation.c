/* New rows from old ones: what they are, and which calls are refused. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE };

static void augmentation(struct fixture *f) {
  kluere_augment_options options;
  kluere_dataset *made = NULL, *again = NULL;
  kluere_text *text = NULL;
  kluere_example row, swap = fixture_row(2);
  SUCCEEDS(kluere_augment_options_init(&options, sizeof options));
  HOLDS(options.swap_map == 7 && options.copies == 1 && strcmp(options.mask, "[MASK]") == 0);
  for (int32_t kind = KLUERE_AUGMENT_MASK_WORDS; kind <= KLUERE_AUGMENT_DELETE_WORDS; kind++) {
    options.kind = kind;
    if (!SUCCEEDS(kluere_dataset_augment(f->train, &options, &made))) continue;
    size_t count = kluere_dataset_count(made);
    HOLDS(count == 2 * FIXTURE_ROWS);
    for (size_t i = 0; i < count; i++) {
      SUCCEEDS(kluere_dataset_get(made, i, KLUERE_OFFSETS_BYTES, &row, sizeof row));
      int masked = i >= FIXTURE_ROWS && kind == KLUERE_AUGMENT_MASK_SUBJECT;
      HOLDS(strncmp(row.text + row.subject.begin, masked ? "[MASK]" : "가", masked ? 6 : 3) == 0);
      HOLDS((row.origin != NULL) == (i >= FIXTURE_ROWS) && row.id != NULL);
    }
    SUCCEEDS(kluere_dataset_augment(f->train, &options, &again));
    SUCCEEDS(kluere_dataset_compare(made, again, NULL, &text));
    HOLDS(text_says(text, "\"same_label\":24,\"other_label\":0"));
    kluere_text_destroy(text);
    kluere_dataset_destroy(made);
    kluere_dataset_destroy(again);
    made = again = NULL;
  }
  /* Spouses: both are persons. */
  swap.object.type = "PER";
  swap.id = "s";
  swap.id_length = 1;
  kluere_dataset *spouses = data_make(f, &swap, 1);
  options.kind = KLUERE_AUGMENT_SWAP_ROLES;
  options.keep_originals = 0;
  if (SUCCEEDS(kluere_dataset_augment(spouses, &options, &made))) {
    SUCCEEDS(kluere_dataset_get(made, 0, KLUERE_OFFSETS_BYTES, &row, sizeof row));
    HOLDS(row.subject.begin == 7 && row.object.begin == 0 && strcmp(row.label, "per:spouse") == 0);
    HOLDS(strcmp(row.id, "s~swap") == 0 && strcmp(row.origin, "s") == 0);
  }
  kluere_dataset_destroy(made);
  made = NULL;
  options.swap_map = KLUERE_SWAP_INVERSE; /* has no spouses: nothing is left */
  REFUSES(BAD, kluere_dataset_augment(spouses, &options, &made));
  options.swap_map = 32;
  REFUSES(BAD, kluere_dataset_augment(spouses, &options, &made));
  kluere_dataset_destroy(spouses);

  SUCCEEDS(kluere_augment_options_init(&options, sizeof options));
  options.copies = 2; /* of a swap: the same row twice */
  REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
  options.kind = KLUERE_AUGMENT_MASK_WORDS;
  const uint32_t copies[] = {0, 1001, UINT32_MAX};
  for (int i = 0; i < 3; i++) {
    options.copies = copies[i];
    REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
  }
  options.copies = 1;
  const double shares[] = {-1, 1.5, NAN, INFINITY};
  for (int i = 0; i < 4; i++) {
    options.row_share = shares[i];
    REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
    options.row_share = 1;
    options.word_share = shares[i];
    REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
    options.word_share = 0;
  }
  const char *masks[] = {NULL, "", "\xFF"};
  for (int i = 0; i < 3; i++) {
    options.mask = masks[i];
    REFUSES(0, kluere_dataset_augment(f->train, &options, &made));
  }
  options.mask = "x";
  options.keep_originals = 2;
  REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
  options.keep_originals = 1;
  const int32_t kinds[] = {-1, 8, INT32_MAX};
  for (int i = 0; i < 3; i++) {
    options.kind = kinds[i];
    REFUSES(BAD, kluere_dataset_augment(f->train, &options, &made));
  }
  REFUSES(BAD, kluere_dataset_augment(f->train, NULL, NULL));
  REFUSES(HANDLE, kluere_dataset_augment((kluere_dataset *)f->model, NULL, &made));
  HOLDS(made == NULL);
}

static void paraphrases(struct fixture *f) {
  const char *texts[] = {"나의 대표는 가 아니다", "나의 대표", "\xFF"};
  size_t rows[] = {0, 1, 2}, lengths[] = {30, 13, 1};
  kluere_dataset *made = NULL;
  kluere_text *report = NULL;
  kluere_example row;
  if (SUCCEEDS(kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 2, 1, &made, &report))) {
    HOLDS(kluere_dataset_count(made) == FIXTURE_ROWS + 1);
    SUCCEEDS(kluere_dataset_get(made, FIXTURE_ROWS, KLUERE_OFFSETS_CODE_POINTS, &row, sizeof row));
    HOLDS(row.subject.begin == 7 && row.object.begin == 0 && strcmp(row.origin, "0") == 0);
    HOLDS(text_says(report, "{\"added\":1,\"refused\":[{\"index\":1,\"row\":1,\"why\":"));
  }
  kluere_dataset_destroy(made);
  kluere_text_destroy(report);
  made = NULL;
  report = NULL;
  SUCCEEDS(kluere_dataset_add_paraphrases(f->train, rows, texts, lengths, 1, 0, &made, NULL));
  HOLDS(kluere_dataset_count(made) == 1);
  kluere_dataset_destroy(made);
  made = NULL;
  SUCCEEDS(kluere_dataset_add_paraphrases(f->train, NULL, NULL, NULL, 0, 1, &made, NULL));
  kluere_dataset_destroy(made);
  made = NULL;
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 3, 1, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, &rows[1], &texts[1], NULL, 1, 0, &made, &report)); /* none left */
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 1, 2, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, NULL, texts, NULL, 1, 1, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, NULL, NULL, 1, 1, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, (size_t)-1, 1, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, (size_t)1 << 61, 1, &made, &report));
  texts[0] = NULL;
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 1, 1, &made, &report));
  texts[0] = "a";
  rows[0] = FIXTURE_ROWS;
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 1, 1, &made, &report));
  rows[0] = (size_t)-1;
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 1, 1, &made, &report));
  REFUSES(BAD, kluere_dataset_add_paraphrases(f->train, rows, texts, NULL, 0, 1, NULL, &report));
  REFUSES(HANDLE, kluere_dataset_add_paraphrases(NULL, rows, texts, NULL, 0, 1, &made, &report));
  HOLDS(!made && !report);
}

static void fill_in(struct fixture *f) {
  kluere_fill_options options;
  kluere_dataset *made = NULL;
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  kluere_model_config config = fixture_config();
  config.task = KLUERE_TASK_MASKED_LM;
  SUCCEEDS(kluere_fill_options_init(&options, sizeof options));
  HOLDS(options.top_k == 10 && options.word_share == 0.15 && options.keep_originals == 1);
  REFUSES(KLUERE_ERR_STATE, kluere_predictor_fill_in(f->predictor, NULL, f->train, NULL, &made));
  if (!SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model))) return;
  if (SUCCEEDS(kluere_predictor_create(model, NULL, &predictor))) {
    if (SUCCEEDS(kluere_predictor_fill_in(predictor, NULL, f->train, &options, &made)))
      HOLDS(kluere_dataset_count(made) > FIXTURE_ROWS);
    kluere_dataset_destroy(made);
    made = NULL;
    if (SUCCEEDS(kluere_predictor_fill_in(predictor, f->predictor, f->train, &options, &made)))
      HOLDS(kluere_dataset_count(made) >= FIXTURE_ROWS);
    kluere_dataset_destroy(made);
    made = NULL;
    REFUSES(KLUERE_ERR_STATE, kluere_predictor_fill_in(predictor, predictor, f->train, &options, &made));
    REFUSES(HANDLE, kluere_predictor_fill_in(predictor, (kluere_predictor *)f->train, f->train, &options, &made));
    REFUSES(HANDLE, kluere_predictor_fill_in(predictor, NULL, NULL, &options, &made));
    REFUSES(HANDLE, kluere_predictor_fill_in(NULL, NULL, f->train, &options, &made));
    REFUSES(BAD, kluere_predictor_fill_in(predictor, NULL, f->train, &options, NULL));
    options.top_k = 0;
    REFUSES(BAD, kluere_predictor_fill_in(predictor, NULL, f->train, &options, &made));
    options.top_k = 10;
    options.word_share = NAN;
    REFUSES(BAD, kluere_predictor_fill_in(predictor, NULL, f->train, &options, &made));
    options.word_share = 0.5;
    options.row_share = 0;
    REFUSES(BAD, kluere_predictor_fill_in(predictor, NULL, f->train, &options, &made));
  }
  HOLDS(made == NULL);
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(model);
}

void bad_augmentation(struct fixture *fixture) {
  augmentation(fixture);
  paraphrases(fixture);
  fill_in(fixture);
}
