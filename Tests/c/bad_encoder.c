/* Token ids, offsets and positions that cannot be right, for the calls that need no examples. */
#include "bad_input.h"

#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, SMALL = KLUERE_ERR_BUFFER_TOO_SMALL, TOKENS = 5, ROOM = 4096 };

static const int32_t ids[TOKENS] = {2, 3, 4, 5, 6};
static const size_t offsets[3] = {0, 2, 5};
static float out[ROOM];

static kluere_token_batch good(void) {
  kluere_token_batch batch = {0};
  batch.struct_size = sizeof batch;
  batch.ids = ids;
  batch.offsets = offsets;
  batch.input_count = 2;
  return batch;
}

/* Every call of the group refuses the batch, whatever is wrong with it. */
static void all_refuse(struct fixture *f, const char *what, const kluere_token_batch *batch) {
  size_t position = 0;
  REFUSES_CASE(what, BAD, kluere_predictor_hidden_states(f->predictor, batch, out, ROOM));
  REFUSES_CASE(what, BAD, kluere_predictor_embed(f->predictor, batch, KLUERE_POOLING_MEAN, 0, out, ROOM));
  REFUSES_CASE(what, BAD, kluere_predictor_classify(f->predictor, batch, out, ROOM));
  REFUSES_CASE(what, 0, kluere_predictor_mask_logits(f->predictor, batch, &position, 1, out, ROOM));
}

static void batches(struct fixture *f) {
  static const size_t wrong[][3] = {{1, 2, 5}, {0, 0, 5}, {0, 5, 5}, {0, 4, 2},
                                    {0, (size_t)-1, 5}, {0, 2, (size_t)-1}, {0, (size_t)1 << 63, 5}};
  static const int32_t outside[][2] = {{-1, 0}, {0x7FFFFFFF, 0}, {100000, 0}};
  static int32_t many[64];
  const size_t whole[2] = {0, 64};
  kluere_token_batch batch = good();
  all_refuse(f, "NULL batch", NULL);
  batch.struct_size = 0;
  all_refuse(f, "struct_size 0", &batch);
  batch = good();
  batch.ids = NULL;
  all_refuse(f, "no ids", &batch);
  batch = good();
  batch.offsets = NULL;
  all_refuse(f, "no offsets", &batch);
  batch = good();
  batch.input_count = (size_t)-1;
  all_refuse(f, "inputs without end", &batch);
  batch.input_count = (size_t)1 << 62;
  all_refuse(f, "inputs beyond memory", &batch);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    batch = good();
    batch.offsets = wrong[i];
    all_refuse(f, "offsets", &batch);
  }
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    int32_t changed[TOKENS], types[TOKENS] = {0};
    memcpy(changed, ids, sizeof ids);
    changed[3] = outside[i][0];
    batch = good();
    batch.ids = changed;
    all_refuse(f, "an id outside the vocabulary", &batch);
    types[4] = outside[i][0];
    batch = good();
    batch.type_ids = types;
    all_refuse(f, "a type outside its table", &batch);
  }
  for (size_t i = 0; i < 64; i++) many[i] = 2;
  batch = good();
  batch.ids = many;
  batch.offsets = whole;
  batch.input_count = 1;
  all_refuse(f, "longer than the positions", &batch);
}

static void arguments(struct fixture *f) {
  kluere_token_batch batch = good();
  kluere_model_open_options options;
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  const char *const texts[2] = {"a", "\xFF"};
  const char *const missing[2] = {"a", NULL};
  const size_t lengths[2] = {1, (size_t)1 << 62}, positions[2] = {0, TOKENS};
  REFUSES(BAD, kluere_predictor_embed(f->predictor, &batch, 3, 0, out, ROOM));
  REFUSES(BAD, kluere_predictor_embed(f->predictor, &batch, -1, 0, out, ROOM));
  REFUSES(BAD, kluere_predictor_embed(f->predictor, &batch, 0, 2, out, ROOM));
  REFUSES(SMALL, kluere_predictor_embed(f->predictor, &batch, 0, 0, out, 1));
  REFUSES(SMALL, kluere_predictor_hidden_states(f->predictor, &batch, out, 1));
  REFUSES(SMALL, kluere_predictor_classify(f->predictor, &batch, out, 2 * FIXTURE_LABELS - 1));
  REFUSES(BAD, kluere_predictor_classify(f->predictor, &batch, NULL, ROOM));
  REFUSES(KLUERE_ERR_STATE, kluere_predictor_mask_logits(f->predictor, &batch, positions, 1, out, ROOM));
  REFUSES(BAD, kluere_predictor_embed_texts(f->predictor, NULL, NULL, 1, 0, 0, out, ROOM));
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_predictor_embed_texts(f->predictor, texts, NULL, 2, 0, 0, out, ROOM));
  REFUSES(BAD, kluere_predictor_embed_texts(f->predictor, missing, NULL, 2, 0, 0, out, ROOM));
  REFUSES(0, kluere_predictor_embed_texts(f->predictor, texts, lengths, (size_t)-1, 0, 0, out, ROOM));
  REFUSES(SMALL, kluere_predictor_embed_texts(f->predictor, texts, NULL, 1, 0, 0, out, 1));
  SUCCEEDS(kluere_predictor_embed_texts(f->predictor, texts, NULL, 1, 0, KLUERE_EMBED_NORMALIZE, out, ROOM));
  SUCCEEDS(kluere_predictor_classify(f->predictor, &batch, out, ROOM));

  SUCCEEDS(kluere_model_open_options_init(&options, sizeof options));
  options.task = 3;
  REFUSES(BAD, kluere_model_open(f->context, f->model_folder, &options, &model));
  options.task = KLUERE_TASK_MASKED_LM;
  if (!SUCCEEDS(kluere_model_open(f->context, f->model_folder, &options, &model))) return;
  HOLDS(kluere_model_unused_tensor_count(model) == 4 && kluere_model_unused_tensor(model, 4) == NULL);
  if (SUCCEEDS(kluere_predictor_create(model, NULL, &predictor))) {
    kluere_example row = fixture_row(0);
    REFUSES(BAD, kluere_predictor_mask_logits(predictor, &batch, positions, 2, out, ROOM));
    REFUSES(SMALL, kluere_predictor_mask_logits(predictor, &batch, positions, 1, out, 1));
    REFUSES(KLUERE_ERR_UNSUPPORTED, kluere_predictor_embed(predictor, &batch, KLUERE_POOLING_POOLER, 0, out, ROOM));
    REFUSES(KLUERE_ERR_STATE, kluere_predictor_predict(predictor, &row, sizeof row, 1, 0, out, ROOM));
    REFUSES(KLUERE_ERR_STATE, kluere_predictor_classify(predictor, &batch, out, ROOM));
    SUCCEEDS(kluere_predictor_mask_logits(predictor, &batch, positions, 1, out, ROOM));
  }
  {
    kluere_train_options train = fixture_train_options();
    kluere_trainer *trainer = NULL;
    REFUSES(KLUERE_ERR_STATE, kluere_trainer_create(model, f->train, NULL, &train, &trainer));
    HOLDS(trainer == NULL);
  }
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(model);
}

void bad_encoder(struct fixture *f) {
  batches(f);
  arguments(f);
}
