/* Training options that cannot be, calls that do not fit what a trainer has done, and calls from inside callbacks. */
#include "bad_input.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT };

struct change {
  const char *name;
  size_t offset;
  size_t size;
  double number;
  uint64_t bits;
};
#define DOUBLE(field, value) {#field " = " #value, offsetof(kluere_train_options, field), 0, value, 0}
#define FLOAT(field, value) {#field " = " #value, offsetof(kluere_train_options, field), 1, value, 0}
#define WORD(field, value) {#field " = " #value, offsetof(kluere_train_options, field), 4, 0, (uint32_t)(value)}
#define LONG(field, value) {#field " = " #value, offsetof(kluere_train_options, field), 8, 0, (uint64_t)(value)}

static void apply(kluere_train_options *options, const struct change *change) {
  char *place = (char *)options + change->offset;
  float narrow = (float)change->number;
  uint32_t word = (uint32_t)change->bits;
  if (change->size == 0) memcpy(place, &change->number, sizeof change->number);
  if (change->size == 1) memcpy(place, &narrow, sizeof narrow);
  if (change->size == 4) memcpy(place, &word, sizeof word);
  if (change->size == 8) memcpy(place, &change->bits, sizeof change->bits);
}

/* Each by itself is right; the message names both. */
static void contradictions(struct fixture *f) {
  const struct {
    struct change first, second;
    const char *words[2];
  } pairs[] = {
      {DOUBLE(ema_decay, 0.9), DOUBLE(swa_start, 0.5), {"ema_decay", "swa_start"}},
      {WORD(schedule, KLUERE_SCHEDULE_COSINE_WITH_RESTARTS), DOUBLE(schedule_cycles, 1.5),
       {"schedule_cycles", "cosine_with_restarts"}},
      {WORD(schedule, KLUERE_SCHEDULE_COSINE), DOUBLE(schedule_power, 2.0), {"schedule_power", "cosine"}},
      {WORD(schedule, KLUERE_SCHEDULE_POLYNOMIAL), DOUBLE(learning_rate, 1e-8), {"end_learning_rate", "learning_rate"}},
      {WORD(schedule, KLUERE_SCHEDULE_POLYNOMIAL), DOUBLE(end_learning_rate, 1e30),
       {"end_learning_rate", "learning_rate"}},
      {WORD(optimizer, KLUERE_OPTIMIZER_ADAMW_HF), DOUBLE(weight_decay, 1e30), {"weight_decay", "adamw_hf"}},
      {DOUBLE(learning_rate, 1e38), DOUBLE(head_learning_rate_factor, 1e6),
       {"head_learning_rate_factor", "learning rate"}}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    kluere_train_options train = fixture_train_options();
    kluere_trainer *trainer = NULL;
    apply(&train, &pairs[i].first);
    apply(&train, &pairs[i].second);
    REFUSES_CASE(pairs[i].second.name, BAD, kluere_trainer_create(f->model, f->train, NULL, &train, &trainer));
    char message[512] = "";
    kluere_last_error(message, sizeof message);
    HOLDS(strstr(message, pairs[i].words[0]) && strstr(message, pairs[i].words[1]));
    kluere_trainer_destroy(trainer);
  }
}

static void options(struct fixture *f) {
  const struct change changes[] = {
      WORD(batch_sentences, 0), WORD(batch_sentences, 0xFFFFFFFF), WORD(batch_tokens, 0xFFFFFFFF),
      WORD(batch_tokens, 1), WORD(accumulation, 0), WORD(accumulation, 0xFFFFFFFF), LONG(max_steps, -1),
      LONG(max_steps, INT64_MIN), LONG(max_steps, INT64_MAX), DOUBLE(epochs, NAN), DOUBLE(epochs, -1.0),
      DOUBLE(epochs, INFINITY), DOUBLE(epochs, 1e300), DOUBLE(learning_rate, NAN), DOUBLE(learning_rate, -1e-5),
      DOUBLE(learning_rate, INFINITY), DOUBLE(learning_rate, 1e300), DOUBLE(beta1, 1.0), DOUBLE(beta1, -0.1),
      DOUBLE(beta1, NAN), DOUBLE(beta2, 1.0), DOUBLE(beta2, 2.0), DOUBLE(beta2, NAN), DOUBLE(epsilon, 0.0),
      DOUBLE(epsilon, -1e-8), DOUBLE(epsilon, NAN), DOUBLE(epsilon, 1e-300), DOUBLE(weight_decay, -0.1),
      DOUBLE(weight_decay, NAN), DOUBLE(weight_decay, INFINITY), DOUBLE(max_grad_norm, -1.0),
      DOUBLE(max_grad_norm, NAN), WORD(schedule, 6), WORD(schedule, -1), WORD(group_by_length, 2),
      LONG(warmup_steps, -1), DOUBLE(warmup_ratio, -0.1), DOUBLE(warmup_ratio, 1.1), DOUBLE(warmup_ratio, NAN),
      FLOAT(hidden_dropout, -0.5), FLOAT(hidden_dropout, 1.0), FLOAT(hidden_dropout, NAN),
      FLOAT(attention_dropout, -2.0), FLOAT(attention_dropout, 1.0), FLOAT(attention_dropout, INFINITY),
      FLOAT(classifier_dropout, -0.01), FLOAT(classifier_dropout, 1.5), FLOAT(classifier_dropout, NAN),
      WORD(best_metric, 3), WORD(best_metric, -1), LONG(evaluate_every, -1), LONG(checkpoint_every, -1),
      LONG(patience, -1), WORD(multi_sample_dropout, 0), WORD(multi_sample_dropout, 65),
      WORD(multi_sample_dropout, 0xFFFFFFFF),
      DOUBLE(layer_decay, 0.0), DOUBLE(layer_decay, -0.5), DOUBLE(layer_decay, 1.01),
      DOUBLE(layer_decay, NAN), DOUBLE(head_learning_rate_factor, 0.0), DOUBLE(head_learning_rate_factor, -1.0),
      DOUBLE(head_learning_rate_factor, NAN), DOUBLE(head_learning_rate_factor, 1e7), WORD(freeze_embeddings, 2),
      WORD(freeze_layers, 1000), WORD(freeze_layers, -1), DOUBLE(ema_decay, -0.1), DOUBLE(ema_decay, 1.0),
      DOUBLE(ema_decay, NAN), DOUBLE(ema_decay, 2.0), DOUBLE(swa_start, -0.1), DOUBLE(swa_start, 1.0),
      DOUBLE(swa_start, NAN), LONG(swa_every, 0), LONG(swa_every, 2), LONG(swa_every, -1),
      DOUBLE(swa_learning_rate, 1e-3), DOUBLE(swa_learning_rate, -1.0), DOUBLE(swa_learning_rate, NAN),
      DOUBLE(swa_learning_rate, INFINITY), WORD(ema_warmup, 1), WORD(ema_warmup, 2), WORD(checkpoint_activations, 2),
      WORD(optimizer, 2), WORD(optimizer, -1), DOUBLE(schedule_cycles, 1.0),
      DOUBLE(schedule_cycles, -1.0), DOUBLE(schedule_cycles, NAN), DOUBLE(schedule_cycles, INFINITY),
      DOUBLE(schedule_power, 1.0), DOUBLE(schedule_power, -1.0), DOUBLE(schedule_power, NAN),
      DOUBLE(end_learning_rate, 0.0), DOUBLE(end_learning_rate, -2.0), DOUBLE(end_learning_rate, NAN)};
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    kluere_train_options train = fixture_train_options();
    kluere_trainer *trainer = NULL;
    apply(&train, &changes[i]);
    REFUSES_CASE(changes[i].name, BAD, kluere_trainer_create(f->model, f->train, NULL, &train, &trainer));
    HOLDS(trainer == NULL);
    kluere_trainer_destroy(trainer);
  }
  kluere_train_options train = fixture_train_options();
  kluere_trainer *trainer = NULL;
  train.max_steps = 0;
  train.epochs = 0;
  REFUSES(BAD, kluere_trainer_create(f->model, f->train, NULL, &train, &trainer));
  contradictions(f);
  train = fixture_train_options();
  train.output_directory = "";
  REFUSES(BAD, kluere_trainer_create(f->model, f->train, NULL, &train, &trainer));
  train.output_directory = "\xFF";
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_trainer_create(f->model, f->train, NULL, &train, &trainer));
}

static void states(struct fixture *f) {
  kluere_train_options train = fixture_train_options();
  kluere_trainer *trainer = NULL;
  kluere_metrics metrics = {0};
  kluere_model *model = NULL;
  float values[4] = {7};
  train.max_steps = 1;
  metrics.struct_size = sizeof metrics;
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, &train, &trainer))) return;
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_gradient_read(trainer, 0, values, 4)); /* no step yet */
  REFUSES(BAD, kluere_trainer_gradient_read(trainer, (size_t)-1, values, 4));
  SUCCEEDS(kluere_trainer_step(trainer, NULL));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_step(trainer, NULL)); /* that was the last */
  REFUSES(BAD, kluere_trainer_gradient_read(trainer, kluere_model_tensor_count(f->model), values, 4));
  REFUSES(KLUERE_ERR_BUFFER_TOO_SMALL, kluere_trainer_gradient_read(trainer, 0, values, 4));
  REFUSES(0, kluere_trainer_gradient_read(trainer, 0, NULL, 100000));
  REFUSES(BAD, kluere_trainer_evaluate(trainer, f->train, NULL));
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_trainer_evaluate(trainer, NULL, &metrics));
  REFUSES(BAD, kluere_trainer_evaluate(trainer, f->hidden, &metrics));
  REFUSES(BAD, kluere_trainer_export_model(trainer, NULL));
  REFUSES(BAD, kluere_trainer_save_checkpoint(trainer, NULL));
  REFUSES(BAD, kluere_trainer_save_checkpoint(trainer, ""));
  HOLDS(values[0] == 7 && metrics.rows == 0);
  SUCCEEDS(kluere_trainer_evaluate(trainer, f->train, &metrics));
  SUCCEEDS(kluere_trainer_export_model(trainer, &model));
  HOLDS(metrics.rows == FIXTURE_ROWS);
  kluere_model_destroy(model);
  kluere_trainer_destroy(trainer);
}

/* A learning rate beyond reason: NOT_FINITE sooner or later, and never in the weights that stay. */
static void not_finite(struct fixture *f) {
  kluere_train_options train = fixture_train_options();
  kluere_trainer *trainer = NULL;
  kluere_model *model = NULL;
  kluere_status status = KLUERE_OK;
  train.learning_rate = 1e37;
  train.max_steps = 20;
  train.warmup_ratio = 0;
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, &train, &trainer))) return;
  for (int i = 0; i < 20 && status == KLUERE_OK; i++) status = kluere_trainer_step(trainer, NULL);
  HOLDS(status == KLUERE_ERR_NOT_FINITE);
  REFUSES(KLUERE_ERR_NOT_FINITE, kluere_trainer_step(trainer, NULL));
  SUCCEEDS(kluere_trainer_export_model(trainer, &model));
  kluere_model_destroy(model);
  kluere_trainer_destroy(trainer);
}

struct inner {
  struct fixture *fixture;
  kluere_trainer *trainer;
  int events;
};

static int32_t calls_from_inside(void *userdata, const kluere_train_event *event) {
  struct inner *inner = userdata;
  kluere_metrics metrics = {0};
  kluere_model *model = NULL;
  float values[4];
  metrics.struct_size = sizeof metrics;
  inner->events++;
  HOLDS(event->struct_size == sizeof *event && event->step->struct_size == sizeof *event->step);
  HOLDS(event->kind != KLUERE_EVENT_EVALUATION || event->metrics->struct_size == sizeof *event->metrics);
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_step(inner->trainer, NULL));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_run(inner->trainer, NULL, NULL));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_evaluate(inner->trainer, inner->fixture->train, &metrics));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_export_model(inner->trainer, &model));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_save_checkpoint(inner->trainer, path_in(inner->fixture->scratch, "never")));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_gradient_read(inner->trainer, 0, values, 4));
  /* Other handles are free. */
  float scores[FIXTURE_ROWS * FIXTURE_LABELS];
  SUCCEEDS(kluere_predictor_predict_dataset(inner->fixture->predictor, inner->fixture->train, scores,
                                            FIXTURE_ROWS * FIXTURE_LABELS));
  return event->step->step == 2;
}

static int32_t destroys_its_trainer(void *userdata, const kluere_train_event *event) {
  (void)event;
  kluere_trainer_destroy(userdata); /* forbidden, and survived: run() holds what it uses */
  return 0;
}

static void callbacks(struct fixture *f) {
  kluere_train_options train = fixture_train_options();
  struct inner inner = {f, NULL, 0};
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, f->train, &train, &inner.trainer))) return;
  REFUSES(KLUERE_ERR_CANCELLED, kluere_trainer_run(inner.trainer, calls_from_inside, &inner));
  HOLDS(inner.events >= 2);
  kluere_trainer_request_stop(inner.trainer);
  REFUSES(KLUERE_ERR_CANCELLED, kluere_trainer_run(inner.trainer, NULL, NULL));
  SUCCEEDS(kluere_trainer_run(inner.trainer, NULL, NULL));
  kluere_trainer_destroy(inner.trainer);
  HOLDS(!exists(path_in(f->scratch, "never")));

  kluere_trainer *trainer = NULL;
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, &train, &trainer))) return;
  SUCCEEDS(kluere_trainer_run(trainer, destroys_its_trainer, trainer));
  REFUSES(KLUERE_ERR_BAD_HANDLE, kluere_trainer_run(trainer, NULL, NULL));
}

struct log {
  int lines;
  int wrong;
};

static void note_line(void *userdata, int32_t level, const char *utf8, size_t length) {
  struct log *log = userdata;
  log->lines++;
  log->wrong += level != KLUERE_LOG_INFO || strlen(utf8) != length || length == 0 || strpbrk(utf8, "\n\r") != NULL;
}

/* Sentences that do not fit are said so, on the caller's thread, at the level that was asked for and to nobody else. */
static void logs(struct fixture *f) {
  for (int32_t level = KLUERE_LOG_WARNING; level <= KLUERE_LOG_INFO; level++) {
    struct log log = {0, 0};
    kluere_context *context = NULL;
    kluere_model *model = NULL;
    kluere_trainer *trainer = NULL;
    kluere_context_options options;
    kluere_model_open_options open;
    kluere_train_options train = fixture_train_options();
    SUCCEEDS(kluere_context_options_init(&options, sizeof options));
    options.log = note_line;
    options.log_userdata = &log;
    options.log_level = level;
    options.thread_count = 1;
    SUCCEEDS(kluere_context_create(&options, &context));
    SUCCEEDS(kluere_model_open_options_init(&open, sizeof open));
    open.max_tokens = 12;
    SUCCEEDS(kluere_model_open(context, f->model_folder, &open, &model));
    SUCCEEDS(kluere_trainer_create(model, f->train, NULL, &train, &trainer));
    HOLDS(log.wrong == 0 && (log.lines > 0) == (level == KLUERE_LOG_INFO));
    kluere_context_destroy(context);
    kluere_model_destroy(model);
    kluere_trainer_destroy(trainer);
  }
}

void bad_training(struct fixture *fixture) {
  options(fixture);
  states(fixture);
  not_finite(fixture);
  callbacks(fixture);
  logs(fixture);
}
