/* Entity types and pairs of a sentence: settings out of range, contradictions, entities and rooms that cannot be right. */
#include "bad_input.h"

#include <math.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, SMALL = KLUERE_ERR_BUFFER_TOO_SMALL, STATE = KLUERE_ERR_STATE, ROOM = 256 };

static void masks(struct fixture *f) {
  static const double smoothings[] = {0, -1, 1e10, 1e-7}, strengths[] = {-0.5, 101, -1};
  kluere_type_mask_options options;
  kluere_model *model = NULL, *other = NULL;
  kluere_text *text = NULL;
  double prior[FIXTURE_LABELS];
  SUCCEEDS(kluere_type_mask_options_init(&options, sizeof options));
  HOLDS(options.smoothing == 1 && options.strength == 1 && options.hard_count == 0 && options.in_training == 0);
  for (size_t i = 0; i < sizeof smoothings / sizeof smoothings[0]; i++) {
    options.smoothing = smoothings[i];
    REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  }
  options.smoothing = NAN;
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  options.smoothing = 1;
  for (size_t i = 0; i < sizeof strengths / sizeof strengths[0]; i++) {
    options.strength = strengths[i];
    REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  }
  options.strength = INFINITY;
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  options.strength = 1;
  options.in_training = 2;
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  options.in_training = 0;
  options.hard_count = 0xFFFFFFFFu;
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, &model));
  options.hard_count = 0;
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->train, &options, NULL));
  REFUSES(BAD, kluere_model_with_type_mask(f->model, f->hidden, &options, &model));
  REFUSES(STATE, kluere_model_with_type_mask(f->model, NULL, &options, &model));
  REFUSES(STATE, kluere_model_type_prior(f->model, "PER", 3, "ORG", 3, prior, FIXTURE_LABELS));
  REFUSES(BAD, kluere_dataset_type_counts(f->hidden, &text));
  HOLDS(!model && !text);

  if (!SUCCEEDS(kluere_model_with_type_mask(f->model, f->train, NULL, &model))) return;
  REFUSES(BAD, kluere_model_type_prior(model, NULL, 3, "ORG", 3, prior, FIXTURE_LABELS));
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_model_type_prior(model, "\xFF", 1, "ORG", 3, prior, FIXTURE_LABELS));
  REFUSES(SMALL, kluere_model_type_prior(model, "PER", 3, "ORG", 3, prior, FIXTURE_LABELS - 1));
  SUCCEEDS(kluere_model_type_prior(model, "PER", KLUERE_NUL_TERMINATED, "ORG", 3, prior, FIXTURE_LABELS));
  /* Four rows of each of three labels: log((4 + 5/15) / 13) = -log 3. */
  HOLDS(prior[0] > -1.098612288669 && prior[0] < -1.098612288667);
  SUCCEEDS(kluere_model_type_prior(model, "", 0, "ORG", 3, prior, FIXTURE_LABELS));
  HOLDS(prior[0] == 0 && prior[1] == 0);
  if (SUCCEEDS(kluere_model_types(model, &text)))
    HOLDS(text_says(text, "type_mask") && !text_says(text, "pair_heads"));
  kluere_text_destroy(text);
  SUCCEEDS(kluere_model_with_type_mask(model, NULL, NULL, &other));
  HOLDS(kluere_model_type_prior(other, "PER", 3, "ORG", 3, prior, FIXTURE_LABELS) == STATE);
  kluere_model_destroy(other);
  kluere_model_destroy(model);
}

static void heads(struct fixture *f) {
  kluere_pair_head_options options;
  kluere_type_mask_options mask;
  kluere_model *model = NULL, *other = NULL;
  SUCCEEDS(kluere_pair_head_options_init(&options, sizeof options));
  SUCCEEDS(kluere_type_mask_options_init(&mask, sizeof mask));
  REFUSES(BAD, kluere_model_with_pair_heads(f->model, NULL, &options, &model));
  REFUSES(BAD, kluere_model_with_pair_heads(f->model, f->hidden, &options, &model));
  options.hard_count = 0;
  REFUSES(BAD, kluere_model_with_pair_heads(f->model, f->train, &options, &model));
  options.hard_count = 1;
  options.random_init = 2;
  REFUSES(BAD, kluere_model_with_pair_heads(f->model, f->train, &options, &model));
  options.random_init = 0;
  options.min_rows = FIXTURE_ROWS + 1;
  REFUSES(BAD, kluere_model_with_pair_heads(f->model, f->train, &options, &model));
  HOLDS(!model);
  if (!SUCCEEDS(kluere_model_with_pair_heads(f->model, f->train, NULL, &model))) return;
  mask.hard_count = 1;
  REFUSES(BAD, kluere_model_with_type_mask(model, f->train, &mask, &other));
  mask.hard_count = 0;
  if (SUCCEEDS(kluere_model_with_type_mask(model, f->train, &mask, &other))) kluere_model_destroy(other);
  SUCCEEDS(kluere_model_with_pair_heads(model, NULL, NULL, &other));
  HOLDS(kluere_model_tensor_count(other) == kluere_model_tensor_count(f->model));
  HOLDS(kluere_model_tensor_count(model) == kluere_model_tensor_count(f->model) + 2);
  kluere_model_destroy(other);
  kluere_model_destroy(model);
}

static void uses(struct fixture *f) {
  kluere_predictor_options options;
  kluere_predictor *predictor = NULL;
  kluere_model *model = NULL;
  if (!SUCCEEDS(kluere_model_with_type_mask(f->model, f->train, NULL, &model))) return;
  SUCCEEDS(kluere_predictor_options_init(&options, sizeof options));
  options.type_mask = 2;
  REFUSES(BAD, kluere_predictor_create(model, &options, &predictor));
  options.type_mask = -1;
  REFUSES(BAD, kluere_predictor_create(model, &options, &predictor));
  options.type_mask = KLUERE_TYPE_MASK_OFF;
  options.type_mask_strength = 1;
  REFUSES(BAD, kluere_predictor_create(model, &options, &predictor));
  options.type_mask = KLUERE_TYPE_MASK_AUTO;
  REFUSES(STATE, kluere_predictor_create(f->model, &options, &predictor));
  options.type_mask_strength = NAN;
  REFUSES(BAD, kluere_predictor_create(model, &options, &predictor));
  options.type_mask_strength = 1e9;
  REFUSES(BAD, kluere_predictor_create(model, &options, &predictor));
  HOLDS(!predictor);
  kluere_model_destroy(model);
}

static void pairs(struct fixture *f) {
  static const kluere_entity wrong[] = {
      {2, 3, NULL, 0}, {3, 3, NULL, 0}, {5, 3, NULL, 0}, {0, 1000, NULL, 0}, {(size_t)-1, 3, NULL, 0},
      {0, (size_t)1 << 63, NULL, 0}, {0, 3, "\xFF", 1}, {0, 3, NULL, 7}, {0, 3, "a", (size_t)1 << 63}};
  const kluere_example row = fixture_row(0);
  kluere_entity entities[3];
  kluere_pair_options options;
  kluere_pair_relation found[6], untouched[6];
  float scores[ROOM];
  size_t count = 77;
  SUCCEEDS(kluere_pair_options_init(&options, sizeof options));
  entities[0] = row.subject;
  entities[1] = row.object;
  entities[2] = row.subject;
  memset(found, 0xAA, sizeof found);
  memcpy(untouched, found, sizeof found);
#define PAIRS(n, out, capacity, probabilities, room)                                                              \
  kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, entities, n, KLUERE_OFFSETS_BYTES, &options, \
                                 out, capacity, &count, probabilities, room)
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    entities[1] = wrong[i];
    REFUSES(0, PAIRS(2, found, 6, NULL, 0));
    REFUSES(0, kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, &wrong[i], 1, 0, NULL, found, 6,
                                              &count, NULL, 0));
  }
  entities[1] = row.object;
  REFUSES(SMALL, PAIRS(3, found, 3, NULL, 0));
  HOLDS(count == 4); /* the third entity is the span of the first */
  REFUSES(SMALL, PAIRS(3, NULL, 0, NULL, 0));
  REFUSES(BAD, PAIRS(3, NULL, 6, NULL, 0));
  REFUSES(SMALL, PAIRS(3, found, 6, scores, 4 * FIXTURE_LABELS - 1));
  REFUSES(BAD, PAIRS(3, found, 6, NULL, 1));
  REFUSES(0, PAIRS((size_t)-1, found, 6, NULL, 0));
  REFUSES(0, PAIRS((size_t)1 << 58, found, 6, NULL, 0));
  options.max_pairs = 5;
  REFUSES(BAD, PAIRS(3, found, 6, NULL, 0));
  options.max_pairs = ~(uint64_t)0;
  REFUSES(BAD, PAIRS(3, found, 6, NULL, 0));
  options.max_pairs = 6;
  options.prune = 3;
  REFUSES(BAD, PAIRS(3, found, 6, NULL, 0));
  options.prune = KLUERE_PRUNE_UNSEEN;
  REFUSES(STATE, PAIRS(3, found, 6, NULL, 0));
  options.prune = KLUERE_PRUNE_NONE;
  REFUSES(BAD, kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, NULL, 2, 0, NULL, found, 6, &count,
                                              NULL, 0));
  REFUSES(BAD, kluere_predictor_predict_pairs(f->predictor, NULL, 4, entities, 2, 0, NULL, found, 6, &count, NULL, 0));
  REFUSES(BAD, kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, entities, 2, 9, NULL, found, 6,
                                              &count, NULL, 0));
  REFUSES(BAD, kluere_predictor_predict_pairs(f->predictor, row.text, row.text_length, entities, 2, 0, NULL, found, 6, NULL,
                                              NULL, 0));
  HOLDS(memcmp(found, untouched, sizeof found) == 0);
  SUCCEEDS(PAIRS(0, NULL, 0, NULL, 0));
  HOLDS(count == 0);
  SUCCEEDS(PAIRS(3, found, 6, scores, ROOM));
  HOLDS(count == 4 && found[0].subject == 0 && found[0].object == 1 && found[0].status == KLUERE_PAIR_COMPUTED);
  HOLDS(memcmp(scores, f->before, FIXTURE_LABELS * sizeof(float)) == 0);
}

void bad_types(struct fixture *f) {
  masks(f);
  heads(f);
  uses(f);
  pairs(f);
}
