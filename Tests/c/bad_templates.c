/* Input forms: templates that cannot be right, options that contradict each other, and what the good ones hand out. */
#include <string.h>

#include "bad_input.h"

#define BAD KLUERE_ERR_INVALID_ARGUMENT

static void refused_by_place(struct fixture *f) {
  static const struct {
    const char *text, *place;
  } cases[] = {
      {"", "character 0: "},
      {"{sentence", "character 0: \"{\" is not closed"},
      {"\xEA\xB0\x80{sentence} }", "character 12: \"}\" closes nothing"},
      {"{sentence}{sentence}", "character 20: "},
      {"{subjekt}{sentence}", "character 0: {subjekt} is no placeholder"},
      {"{sentence} {marked_sentence:nothing}", "character 11: {marked_sentence:nothing}"},
      {"{subject_type:latin}{sentence}", "character 0: {subject_type:latin}"},
      {"{sentence:klue}", "character 0: {sentence:klue} is no placeholder"},
      {"{}{sentence}", "character 0: {} is no placeholder"},
      {"{\xEC\x99\x80/\xEA\xB3\xBC}{sentence}", "character 0: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char message[1024];
    kluere_model *model = NULL;
    kluere_model_config config = fixture_config();
    config.input_form = KLUERE_INPUT_TEMPLATE;
    config.input_template = cases[i].text;
    REFUSES_CASE(cases[i].text, BAD,
                 kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
    kluere_last_error(message, sizeof message);
    HOLDS(strstr(message, "input_template: ") && strstr(message, cases[i].place));
    HOLDS(model == NULL);
  }
}

static void contradictions(struct fixture *f) {
  static char huge[8192];
  kluere_model *model = NULL;
  kluere_model_config config = fixture_config();
  config.input_form = KLUERE_INPUT_TEMPLATE;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  config.input_template = "{sentence}\xFF";
  REFUSES(KLUERE_ERR_INVALID_UTF8,
          kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  memset(huge, 'a', sizeof huge - 1);
  config.input_template = huge;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  config.input_template = "{sentence}";
  config.input_form = KLUERE_INPUT_ENTITY_PAIR;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  config = fixture_config();
  config.particles = 2;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  config = fixture_config();
  config.after_marker = 3;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  /* A text that does not see its markers, and a head that sees the text alone. */
  config = fixture_config();
  config.input_form = KLUERE_INPUT_LEVITATED_MARKER;
  config.head = KLUERE_HEAD_CLS;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  /* Markers that alone are longer than the input may be. */
  config = fixture_config();
  config.input_form = KLUERE_INPUT_TYPED_MARKER_PUNCT;
  config.max_tokens = 8;
  REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  HOLDS(model == NULL);
}

/* Markers beside the text: where they are, and that all pairs have the probabilities of single predictions. */
static void beside(struct fixture *f) {
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  kluere_model_config config = fixture_config();
  kluere_input_places found = {.struct_size = sizeof found};
  kluere_token tokens[64];
  float probabilities[2 * FIXTURE_LABELS], alone[FIXTURE_LABELS];
  kluere_pair_relation pairs[2];
  size_t count = 0;
  kluere_example row = fixture_row(0);
  kluere_entity entities[2] = {row.subject, row.object};
  config.input_form = KLUERE_INPUT_TYPED_LEVITATED_MARKER;
  config.head = KLUERE_HEAD_ENTITY_START;
  SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  SUCCEEDS(kluere_model_encode(model, &row, sizeof row, 0, tokens, 64, &count));
  SUCCEEDS(kluere_model_input_places(model, &row, sizeof row, 0, &found));
  HOLDS(found.text_count == count - 4 && found.subject.marker_begin == found.text_count);
  HOLDS(found.object.marker_begin == found.subject.marker_end && found.object.marker_end == count);
  HOLDS(tokens[found.subject.begin].begin == row.subject.begin && tokens[found.object.end - 1].end == row.object.end);
  SUCCEEDS(kluere_predictor_create(model, NULL, &predictor));
  SUCCEEDS(kluere_predictor_predict_pairs(predictor, row.text, row.text_length, entities, 2, 0, NULL, pairs, 2,
                                          &count, probabilities, 2 * FIXTURE_LABELS));
  SUCCEEDS(kluere_predictor_predict(predictor, &row, sizeof row, 1, 0, alone, FIXTURE_LABELS));
  HOLDS(count == 2 && !memcmp(alone, probabilities, sizeof alone));
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(model);
}

static void places(struct fixture *f) {
  kluere_model *model = NULL, *again = NULL;
  kluere_model_open_options options;
  kluere_model_config config = fixture_config();
  kluere_input_places found;
  kluere_token tokens[64];
  size_t count = 0;
  kluere_example row = fixture_row(0);
  const char *folder = path_in(f->scratch, "marked");
  config.input_form = KLUERE_INPUT_ENTITY_MARKER;
  SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  SUCCEEDS(kluere_model_save(model, folder));
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &again));
  config.struct_size = sizeof config;
  SUCCEEDS(kluere_model_describe(again, &config));
  HOLDS(config.input_form == KLUERE_INPUT_ENTITY_MARKER && config.input_template == NULL);
  found.struct_size = sizeof found;
  SUCCEEDS(kluere_model_encode(again, &row, sizeof row, 0, tokens, 64, &count));
  SUCCEEDS(kluere_model_input_places(again, &row, sizeof row, 0, &found));
  HOLDS(found.cls == 0 && found.cropped == 0);
  HOLDS(found.subject.begin == found.subject.marker_begin + 1 && found.subject.marker_end == found.subject.end + 1);
  HOLDS(found.object.marker_end < count && tokens[found.object.marker_begin].sequence == -1);
  HOLDS(tokens[found.subject.begin].begin == row.subject.begin);
  HOLDS(tokens[found.subject.end - 1].end == row.subject.end);
  REFUSES(BAD, kluere_model_input_places(again, NULL, sizeof row, 0, &found));
  REFUSES(BAD, kluere_model_input_places(again, &row, 1, 0, &found));
  REFUSES(BAD, kluere_model_input_places(again, &row, sizeof row, 9, &found));
  REFUSES(BAD, kluere_model_input_places(again, &row, sizeof row, 0, NULL));
  kluere_model_destroy(again);
  SUCCEEDS(kluere_model_open_options_init(&options, sizeof options));
  options.input_template = "{subject}[SEP]{sentence}";
  options.particles = KLUERE_PARTICLES_AGREE;
  options.after_marker = KLUERE_AFTER_MARKER_CONTINUATION;
  SUCCEEDS(kluere_model_open(f->context, folder, &options, &again));
  SUCCEEDS(kluere_model_describe(again, &config));
  HOLDS(config.input_form == KLUERE_INPUT_TEMPLATE && !strcmp(config.input_template, options.input_template));
  HOLDS(config.particles == KLUERE_PARTICLES_AGREE && config.after_marker == KLUERE_AFTER_MARKER_CONTINUATION);
  kluere_model_destroy(again);
  options.input_form = KLUERE_INPUT_KLUE;
  REFUSES(BAD, kluere_model_open(f->context, folder, &options, &again));
  kluere_model_destroy(model);
}

void bad_templates(struct fixture *f) {
  refused_by_place(f);
  contradictions(f);
  places(f);
  beside(f);
}
