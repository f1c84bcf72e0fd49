/* Queues with options that cannot be, rows that are none, and calls from a forked child. Threads: queue_threads.c. */
#define _GNU_SOURCE
#include "bad_input.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BAD = KLUERE_ERR_INVALID_ARGUMENT, HANDLE = KLUERE_ERR_BAD_HANDLE, SMALL = KLUERE_ERR_BUFFER_TOO_SMALL };

static kluere_queue_options queue_options(void) {
  kluere_queue_options options;
  SUCCEEDS(kluere_queue_options_init(&options, sizeof options));
  return options;
}

static void creating(struct fixture *f) {
  kluere_queue *queue = NULL;
  kluere_queue_options options = queue_options();
  kluere_predictor_options predictor;
  SUCCEEDS(kluere_predictor_options_init(&predictor, sizeof predictor));
  HOLDS(predictor.threads == 0 && options.max_delay_us == 0 && options.max_batch_rows == 32 && options.workers == 0);
  HOLDS(options.max_batch_tokens == 0 && options.max_waiting == 1024);
  REFUSES(HANDLE, kluere_queue_create(NULL, NULL, NULL, &queue));
  REFUSES(HANDLE, kluere_queue_create((kluere_model *)f->train, NULL, NULL, &queue));
  REFUSES(BAD, kluere_queue_create(f->model, NULL, NULL, NULL));
  const int32_t threads[] = {-1, 1025, INT32_MIN, INT32_MAX};
  for (int i = 0; i < 4; i++) {
    kluere_predictor *made = NULL;
    predictor.threads = threads[i];
    REFUSES(BAD, kluere_queue_create(f->model, &predictor, NULL, &queue));
    REFUSES(BAD, kluere_predictor_create(f->model, &predictor, &made));
  }
  predictor.threads = 0;
  const uint32_t huge[] = {0, (1u << 20) + 1, 0xFFFFFFFFu};
  for (int i = 0; i < 3; i++) {
    options.max_batch_rows = huge[i];
    REFUSES(BAD, kluere_queue_create(f->model, NULL, &options, &queue));
    options = queue_options();
    options.max_waiting = huge[i];
    REFUSES(BAD, kluere_queue_create(f->model, NULL, &options, &queue));
    options = queue_options();
  }
  options.max_batch_tokens = 8193; /* more than batch_tokens */
  REFUSES(BAD, kluere_queue_create(f->model, &predictor, &options, &queue));
  options = queue_options();
  options.workers = 2; /* without threads of their own */
  REFUSES(BAD, kluere_queue_create(f->model, &predictor, &options, &queue));
  options.workers = 1025;
  predictor.threads = 1;
  REFUSES(BAD, kluere_queue_create(f->model, &predictor, &options, &queue));
  HOLDS(queue == NULL);
}

static void asking(struct fixture *f, kluere_queue *queue) {
  kluere_example rows[2] = {fixture_row(0), fixture_row(1)};
  kluere_queue_info info = {0};
  float out[2 * FIXTURE_LABELS] = {7};
  char message[1024];
  info.struct_size = sizeof info;
  REFUSES(HANDLE, kluere_queue_predict(NULL, rows, sizeof rows[0], 1, 0, 0, out, 6));
  REFUSES(HANDLE, kluere_queue_predict((kluere_queue *)f->model, rows, sizeof rows[0], 1, 0, 0, out, 6));
  REFUSES(HANDLE, kluere_queue_close(NULL));
  REFUSES(HANDLE, kluere_queue_stats(NULL, 0, &info));
  REFUSES(BAD, kluere_queue_stats(queue, 2, &info));
  REFUSES(BAD, kluere_queue_predict(queue, NULL, sizeof rows[0], 1, 0, 0, out, 6));
  REFUSES(BAD, kluere_queue_predict(queue, rows, 1, 1, 0, 0, out, 6));
  REFUSES(BAD, kluere_queue_predict(queue, rows, sizeof rows[0], 1, 3, 0, out, 6));
  REFUSES(BAD, kluere_queue_predict(queue, rows, sizeof rows[0], (size_t)-1, 0, 0, out, 6));
  REFUSES(SMALL, kluere_queue_predict(queue, rows, sizeof rows[0], 2, 0, 0, out, 5));
  REFUSES(BAD, kluere_queue_predict(queue, rows, sizeof rows[0], 1, 0, 0, NULL, 6));
  rows[1].text = "\xFF";
  rows[1].text_length = 1;
  REFUSES(KLUERE_ERR_INVALID_UTF8, kluere_queue_predict(queue, rows, sizeof rows[0], 2, 0, 0, out, 6));
  rows[1] = fixture_row(1);
  rows[1].object = rows[1].subject;
  REFUSES(BAD, kluere_queue_predict(queue, rows, sizeof rows[0], 2, 0, 0, out, 6));
  kluere_last_error(message, sizeof message);
  HOLDS(strncmp(message, "examples[1]: ", 13) == 0);
  HOLDS(out[0] == 7);
  rows[1] = fixture_row(1);
  SUCCEEDS(kluere_queue_predict(queue, rows, sizeof rows[0], 0, 0, 0, out, 6));
  SUCCEEDS(kluere_queue_predict(queue, rows, sizeof rows[0], 2, 0, UINT64_MAX, out, 6));
  HOLDS(memcmp(out, f->before, sizeof out) == 0);
}

/* The child has the queue, but perhaps not the thread that holds its lock. */
static void forking(kluere_queue *queue) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    kluere_example row = fixture_row(0);
    kluere_queue_info info = {0};
    float out[FIXTURE_LABELS];
    int wrong = kluere_queue_predict(queue, &row, sizeof row, 1, 0, 0, out, 3) != KLUERE_ERR_STATE;
    info.struct_size = sizeof info;
    wrong += kluere_queue_stats(queue, 0, &info) != KLUERE_ERR_STATE;
    kluere_queue_destroy(queue);
    _exit(wrong);
  }
  HOLDS(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void without_head(struct fixture *f) {
  kluere_model_open_options options;
  kluere_model *model = NULL;
  kluere_queue *queue = NULL;
  SUCCEEDS(kluere_model_open_options_init(&options, sizeof options));
  options.task = KLUERE_TASK_MASKED_LM;
  if (!SUCCEEDS(kluere_model_open(f->context, f->model_folder, &options, &model))) return;
  REFUSES(KLUERE_ERR_STATE, kluere_queue_create(model, NULL, NULL, &queue));
  kluere_model_destroy(model);
}

void bad_queues(struct fixture *f) {
  kluere_queue *queue = NULL;
  creating(f);
  without_head(f);
  if (!SUCCEEDS(kluere_queue_create(f->model, NULL, NULL, &queue))) return;
  asking(f, queue);
  forking(queue);
  asking(f, queue);
  kluere_queue_destroy(queue);
  kluere_queue_destroy(queue);
  REFUSES(HANDLE, kluere_queue_close(queue));
}
