/* Models that cannot be: sizes of zero, sizes beyond any memory, shares and deviations that are no numbers. */
#include "bad_input.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT };

struct change {
  const char *name;
  size_t offset;
  uint32_t value;
};
#define FIELD(field, value) {#field " = " #value, offsetof(kluere_model_config, field), (uint32_t)(value)}

static void integers(struct fixture *f) {
  static const struct change changes[] = {
      FIELD(family, 4), FIELD(family, -1), FIELD(task, 3), FIELD(task, -1), FIELD(activation, 3),
      FIELD(activation, -1), FIELD(untied_decoder, 2), FIELD(embedding_size, 12), FIELD(embedding_size, 0xFFFFFFFF),
      FIELD(input_form, 2), FIELD(input_form, -1), FIELD(input_form, 0x7FFFFFFF),
      FIELD(hidden_size, 0), FIELD(hidden_size, 15), FIELD(hidden_size, 0xFFFFFFFF), FIELD(hidden_size, 0x80000000),
      FIELD(layer_count, 0), FIELD(layer_count, 0xFFFFFFFF), FIELD(head_count, 0), FIELD(head_count, 3),
      FIELD(head_count, 0xFFFFFFFF), FIELD(head_count, 32), FIELD(intermediate_size, 0),
      FIELD(intermediate_size, 0xFFFFFFFF), FIELD(max_positions, 0), FIELD(max_positions, 1),
      FIELD(max_positions, 0xFFFFFFFF), FIELD(max_tokens, 1), FIELD(max_tokens, 33), FIELD(max_tokens, 0xFFFFFFFF)};
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    kluere_model_config config = fixture_config();
    kluere_model *model = NULL;
    memcpy((char *)&config + changes[i].offset, &changes[i].value, sizeof changes[i].value);
    REFUSES_CASE(changes[i].name, BAD,
                 kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
    HOLDS(model == NULL);
  }
}

static void numbers(struct fixture *f) {
  static const size_t shares[] = {offsetof(kluere_model_config, hidden_dropout),
                                  offsetof(kluere_model_config, attention_dropout),
                                  offsetof(kluere_model_config, classifier_dropout),
                                  offsetof(kluere_model_config, layer_norm_epsilon)};
  const float values[] = {1, 1.5f, -0.5f, NAN, INFINITY, -INFINITY};
  kluere_model *model = NULL;
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
    for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
      kluere_model_config config = fixture_config();
      memcpy((char *)&config + shares[i], &values[j], sizeof values[j]);
      REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
    }
  }
  for (size_t j = 2; j < sizeof values / sizeof values[0]; j++) {
    kluere_model_config config = fixture_config();
    config.initializer_range = values[j];
    REFUSES(BAD, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  }
  HOLDS(model == NULL);
}

/* AddressSanitizer ends the program at such a size unless it is told to do as malloc does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

/* Well-formed, and more than any machine has: an answer, not an end. */
static void too_large(struct fixture *f) {
  kluere_model_config config = fixture_config();
  kluere_model *model = NULL;
  config.hidden_size = 65536;
  config.head_count = 1024;
  config.layer_count = 1024;
  config.intermediate_size = 1u << 20;
  REFUSES(0, kluere_model_create(f->context, f->tokenizer, &config, fixture_labels, FIXTURE_LABELS, &model));
  HOLDS(model == NULL);
}

void bad_shapes(struct fixture *fixture) {
  integers(fixture);
  numbers(fixture);
  too_large(fixture);
}
