/* Many threads at once: predictors on one model, handles made and destroyed, messages, and a stop from outside. Run it
 * under ThreadSanitizer or valgrind's helgrind too.
 *
 *   threads SCRATCH_FOLDER
 */
#define _GNU_SOURCE
#include "check.h"
#include "fixture.h"
#include "threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 40, SCORES = FIXTURE_ROWS * FIXTURE_LABELS };

/* Threads of the predictors' own; 0: the context's. A model just opened: its weights are packed meanwhile. */
static int own_threads;
static kluere_model *opened;

static void *predict(void *argument) {
  struct worker *worker = argument;
  struct fixture *f = worker->fixture;
  kluere_predictor *predictor = NULL;
  float scores[SCORES];
  kluere_predictor_options options;
  worker->wrong += kluere_predictor_options_init(&options, sizeof options) != KLUERE_OK;
  options.threads = own_threads;
  worker->wrong += kluere_predictor_create(opened, &options, &predictor) != KLUERE_OK;
  for (int round = 0; round < ROUNDS; round++) {
    worker->wrong += kluere_predictor_predict_dataset(predictor, f->train, scores, SCORES) != KLUERE_OK;
    worker->wrong += memcmp(scores, f->before, sizeof scores) != 0;
    for (int i = 0; i < FIXTURE_ROWS; i++) {
      kluere_example row = fixture_row(i);
      worker->wrong += kluere_predictor_predict(predictor, &row, sizeof row, 1, 0, scores, 3) != KLUERE_OK;
      worker->wrong += memcmp(scores, f->before + i * FIXTURE_LABELS, sizeof(float) * FIXTURE_LABELS) != 0;
    }
  }
  kluere_predictor_destroy(predictor);
  return NULL;
}

/* Each thread fails in its own way and reads its own message. */
static void *fail(void *argument) {
  struct worker *worker = argument;
  char message[1024], expected[64];
  snprintf(expected, sizeof expected, "offset %d ", 1000 + worker->number);
  for (int round = 0; round < 2000; round++) {
    size_t out;
    worker->wrong += kluere_offset_convert("abc", 3, 1000u + (unsigned)worker->number, 0, 0, &out) !=
                     KLUERE_ERR_INVALID_ARGUMENT;
    kluere_last_error(message, sizeof message);
    worker->wrong += strncmp(message, expected, strlen(expected)) != 0;
  }
  return NULL;
}

/* Handles of every thread come and go; a destroyed one is refused. */
static void *come_and_go(void *argument) {
  struct worker *worker = argument;
  struct fixture *f = worker->fixture;
  for (int round = 0; round < 400; round++) {
    size_t rows[2] = {1, 2};
    kluere_dataset *dataset = NULL;
    kluere_tokenizer *tokenizer = NULL;
    worker->wrong += kluere_dataset_subset(f->train, rows, 2, &dataset) != KLUERE_OK;
    worker->wrong += kluere_model_tokenizer(f->model, &tokenizer) != KLUERE_OK;
    worker->wrong += kluere_dataset_count(dataset) != 2;
    kluere_dataset_destroy(dataset);
    worker->wrong += kluere_dataset_count(dataset) != 0;
    worker->wrong += kluere_tokenizer_id(tokenizer, "[UNK]") != 1;
    kluere_tokenizer_destroy(tokenizer);
  }
  return NULL;
}

static kluere_dataset *contested;

/* Uses a handle that another thread destroys meanwhile: either the answer or BAD_HANDLE, never anything else. */
static void *use_contested(void *argument) {
  struct worker *worker = argument;
  for (;;) {
    int32_t labels[FIXTURE_ROWS];
    kluere_status status = kluere_dataset_label_indices(contested, labels, FIXTURE_ROWS);
    if (status == KLUERE_ERR_BAD_HANDLE) return NULL;
    worker->wrong += status != KLUERE_OK || labels[0] != 0 || labels[1] != 1;
  }
}

static kluere_predictor *shared;

/* One predictor in two threads at once: the right answer or STATE. */
static void *use_shared(void *argument) {
  struct worker *worker = argument;
  float scores[SCORES];
  for (int round = 0; round < 200; round++) {
    kluere_status status = kluere_predictor_predict_dataset(shared, worker->fixture->train, scores, SCORES);
    if (status == KLUERE_ERR_STATE) continue;
    worker->wrong += status != KLUERE_OK || memcmp(scores, worker->fixture->before, sizeof scores) != 0;
  }
  return NULL;
}

void together(struct fixture *fixture, void *(*body)(void *), void (*meanwhile)(void)) {
  struct worker workers[THREADS];
  int wrong = 0;
  for (int i = 0; i < THREADS; i++) {
    workers[i].fixture = fixture;
    workers[i].number = i;
    workers[i].wrong = 0;
    HOLDS(pthread_create(&workers[i].thread, NULL, body, &workers[i]) == 0);
  }
  if (meanwhile) meanwhile();
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    wrong += workers[i].wrong;
  }
  HOLDS(wrong == 0);
}

static void destroy_contested(void) {
  usleep(20000);
  kluere_dataset_destroy(contested);
}

/* ---- stopping ---- */

struct run {
  kluere_trainer *trainer;
  int started; /* by atomic builtins: C99 has no atomics */
  kluere_status status;
};

static int32_t note(void *userdata, const kluere_train_event *event) {
  struct run *run = userdata;
  (void)event;
  __atomic_store_n(&run->started, 1, __ATOMIC_SEQ_CST);
  return 0;
}

static void *train(void *argument) {
  struct run *run = argument;
  run->status = kluere_trainer_run(run->trainer, note, run);
  return NULL;
}

static kluere_trainer *interrupted;

static void on_signal(int number) {
  (void)number;
  kluere_trainer_request_stop(interrupted);
}

/* An endless run ends by request_stop, from another thread and from a signal handler, and goes on where it stopped. */
static void stop_from_outside(struct fixture *f) {
  kluere_train_options options = fixture_train_options();
  options.max_steps = 100000000;
  for (int by_signal = 0; by_signal < 2; by_signal++) {
    struct run run = {NULL, 0, KLUERE_OK};
    pthread_t thread;
    kluere_metrics metrics = {0};
    metrics.struct_size = sizeof metrics;
    if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, NULL, &options, &run.trainer))) return;
    HOLDS(pthread_create(&thread, NULL, train, &run) == 0);
    while (!__atomic_load_n(&run.started, __ATOMIC_SEQ_CST)) usleep(1000);
    HOLDS(kluere_trainer_step(run.trainer, NULL) == KLUERE_ERR_STATE); /* it is busy */
    if (by_signal) {
      interrupted = run.trainer;
      signal(SIGUSR1, on_signal);
      pthread_kill(thread, SIGUSR1);
    } else {
      kluere_trainer_request_stop(run.trainer);
    }
    pthread_join(thread, NULL);
    HOLDS(run.status == KLUERE_ERR_CANCELLED);
    SUCCEEDS(kluere_trainer_step(run.trainer, NULL));
    SUCCEEDS(kluere_trainer_evaluate(run.trainer, f->train, &metrics));
    kluere_trainer_destroy(run.trainer);
  }
}

int main(int argc, char **argv) {
  struct fixture fixture;
  size_t all[FIXTURE_ROWS];
  if (argc < 2) {
    fprintf(stderr, "usage: %s SCRATCH_FOLDER\n", argv[0]);
    return 2;
  }
  fixture_make(&fixture, argv[1]);
  for (own_threads = 0; own_threads < 3; own_threads++) {
    SUCCEEDS(kluere_model_open(fixture.context, fixture.model_folder, NULL, &opened));
    together(&fixture, predict, NULL);
    kluere_model_destroy(opened);
  }
  queue_threads(&fixture);
  together(&fixture, fail, NULL);
  together(&fixture, come_and_go, NULL);
  for (size_t i = 0; i < FIXTURE_ROWS; i++) all[i] = i;
  SUCCEEDS(kluere_dataset_subset(fixture.train, all, FIXTURE_ROWS, &contested));
  together(&fixture, use_contested, destroy_contested);
  SUCCEEDS(kluere_predictor_create(fixture.model, NULL, &shared));
  together(&fixture, use_shared, NULL);
  kluere_predictor_destroy(shared);
  stop_from_outside(&fixture);
  fixture_still_works(&fixture);
  fixture_destroy(&fixture);
  return check_finish();
}
