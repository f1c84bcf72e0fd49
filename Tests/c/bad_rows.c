/* Examples whose spans, labels or strings cannot be right, through every function that takes examples. */
#include "bad_input.h"

#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT };

struct bad_row {
  const char *name;
  kluere_example row;
};

static kluere_example with_spans(size_t sb, size_t se, size_t ob, size_t oe) {
  kluere_example row = fixture_row(0);
  row.subject.begin = sb;
  row.subject.end = se;
  row.object.begin = ob;
  row.object.end = oe;
  return row;
}

static kluere_example with_text(const char *text, size_t length) {
  kluere_example row = fixture_row(0);
  row.text = text;
  row.text_length = length;
  return row;
}

static void rows(struct fixture *f) {
  const size_t huge = (size_t)-1, top = (size_t)1 << 63;
  struct bad_row bad[] = {
      {"empty subject", with_spans(3, 3, 7, 10)},
      {"empty object", with_spans(0, 3, 7, 7)},
      {"subject backwards", with_spans(3, 0, 7, 10)},
      {"object backwards", with_spans(0, 3, 10, 7)},
      {"subject inside a character", with_spans(1, 3, 7, 10)},
      {"subject ends inside a character", with_spans(0, 2, 7, 10)},
      {"object inside a character", with_spans(0, 3, 8, 10)},
      {"object ends inside a character", with_spans(0, 3, 7, 9)},
      {"subject past the end", with_spans(0, 1000, 7, 10)},
      {"object past the end", with_spans(0, 3, 1000, 1003)},
      {"subject begins at SIZE_MAX", with_spans(huge, huge, 7, 10)},
      {"object ends at SIZE_MAX", with_spans(0, 3, 7, huge)},
      {"object begins at 2^63", with_spans(0, 3, top, top + 3)},
      {"equal spans", with_spans(0, 3, 0, 3)},
      {"no text", with_text(NULL, 0)},
      {"NULL text with a length", with_text(NULL, 19)},
      {"empty text", with_text("", 0)},
      {"text of 2^63 bytes", with_text("abc", top)},
      {"text shorter than the spans", with_text("\xEA\xB0\x80", 3)},
      {"NULL type with a length", fixture_row(0)},
      {"NULL id with a length", fixture_row(0)},
      {"NULL source with a length", fixture_row(0)},
      {"NULL label with a length", fixture_row(0)},
  };
  size_t count = sizeof bad / sizeof bad[0];
  bad[count - 4].row.object.type = NULL;
  bad[count - 3].row.id_length = 5;
  bad[count - 2].row.source_length = 5;
  bad[count - 1].row.label = NULL;
  bad[count - 1].row.label_length = 5;
  for (size_t i = 0; i < count; i++) {
    kluere_example pair[2] = {fixture_row(1), bad[i].row};
    float scores[2 * FIXTURE_LABELS];
    kluere_token tokens[32];
    size_t token_count = 77;
    kluere_dataset *dataset = NULL;
    kluere_dataset_options options;
    char message[1024];
    SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
    options.label_order = KLUERE_LABELS_CUSTOM;
    memset(scores, 0x55, sizeof scores);
    REFUSES_CASE(bad[i].name, BAD,
                 kluere_dataset_create(f->context, pair, sizeof pair[0], 2, KLUERE_OFFSETS_BYTES, &options, &dataset));
    HOLDS(dataset == NULL);
    REFUSES_CASE(bad[i].name, BAD,
                 kluere_predictor_predict(f->predictor, pair, sizeof pair[0], 2, 0, scores, 2 * FIXTURE_LABELS));
    kluere_last_error(message, sizeof message);
    HOLDS(strstr(message, "examples[1]") != NULL);
    for (int j = 0; j < 4; j++) HOLDS(((unsigned char *)scores)[j] == 0x55);
    REFUSES_CASE(bad[i].name, BAD,
                 kluere_model_encode(f->model, &pair[1], sizeof pair[1], 0, tokens, 32, &token_count));
    HOLDS(token_count == 77);
  }
  /* The same byte offsets are past the end in code points and UTF-16 units. */
  kluere_example row = fixture_row(0);
  float scores[FIXTURE_LABELS];
  row.object.begin = 16;
  row.object.end = 19;
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, KLUERE_OFFSETS_CODE_POINTS, scores, 3));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, KLUERE_OFFSETS_UTF16, scores, 3));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, 3, scores, 3));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &row, sizeof row, 1, -1, scores, 3));
}

static void counts(struct fixture *f) {
  kluere_example row = fixture_row(0);
  kluere_dataset *dataset = NULL;
  float scores[FIXTURE_LABELS];
  size_t size = sizeof row;
  REFUSES(BAD, kluere_dataset_create(f->context, NULL, size, 1, 0, NULL, &dataset));
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, (size_t)-1, 0, NULL, &dataset));
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, (size_t)1 << 63, 0, NULL, &dataset));
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, (size_t)-1 / size + 1, 0, NULL, &dataset));
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, ((size_t)1 << 63) / size, 0, NULL, &dataset));
  REFUSES(0, kluere_predictor_predict(f->predictor, NULL, size, 1, 0, scores, 3));
  REFUSES(0, kluere_predictor_predict(f->predictor, &row, size, (size_t)-1, 0, scores, 3));
  REFUSES(0, kluere_predictor_predict(f->predictor, &row, size, (size_t)1 << 50, 0, scores, 3));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_predictor_predict(f->predictor, &row, size, 1, 0, scores, 2));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_predictor_predict(f->predictor, &row, size, 1, 0, NULL, 0));
  REFUSES(BAD, kluere_predictor_predict(f->predictor, &row, size, 1, 0, NULL, 3));
  SUCCEEDS(kluere_predictor_predict(f->predictor, NULL, size, 0, 0, NULL, 0));
  HOLDS(dataset == NULL);
}

static void labels(struct fixture *f) {
  static const char *const twice[] = {"a", "b", "a"};
  static const char *const with_null[] = {"a", NULL};
  static const char *const not_utf8[] = {"a", "\xFF"};
  static const char *const others[] = {"no_relation", "per:spouse"};
  static const char *const empty_name[] = {"a", ""};
  kluere_example row = fixture_row(1);
  kluere_dataset *dataset = NULL;
  kluere_model *model = NULL;
  kluere_dataset_options options;
  kluere_model_config config = fixture_config();
  size_t size = sizeof row;
  SUCCEEDS(kluere_dataset_options_init(&options, sizeof options));
  options.label_order = KLUERE_LABELS_CUSTOM;
  const struct {
    const char *name;
    const char *const *labels;
    size_t count;
  } bad[] = {{"twice", twice, 3},          {"NULL label", with_null, 2},       {"not UTF-8", not_utf8, 2},
             {"empty name", empty_name, 2}, {"none", twice, 0},                {"NULL labels", NULL, 2},
             {"2^63 labels", twice, (size_t)1 << 63}, {"2^61 labels", twice, (size_t)1 << 61}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    options.labels = bad[i].labels;
    options.label_count = bad[i].count;
    REFUSES_CASE(bad[i].name, 0, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
    REFUSES_CASE(bad[i].name, 0, kluere_model_create(f->context, f->tokenizer, &config, bad[i].labels, bad[i].count,
                                                     &model));
    kluere_model_open_options open;
    SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
    open.labels = bad[i].labels;
    open.label_count = bad[i].count;
    REFUSES_CASE(bad[i].name, 0, kluere_model_open(f->context, f->model_folder, &open, &model));
  }
  options.labels = others; /* the row's label is not among them */
  options.label_count = 2;
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
  options.labels = NULL;
  options.label_count = 0;
  options.label_order = 3;
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
  options.label_order = KLUERE_LABELS_KLUE;
  options.bad_rows = 2;
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
  options.bad_rows = 0;
  options.format = 5;
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
  options.format = -1;
  REFUSES(BAD, kluere_dataset_create(f->context, &row, size, 1, 0, &options, &dataset));
  HOLDS(dataset == NULL && model == NULL);
}

void bad_rows(struct fixture *fixture) {
  rows(fixture);
  counts(fixture);
  labels(fixture);
}
