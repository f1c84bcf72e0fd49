/* One queue and many threads: the bits of single predictions, batches that are merged, requests that are refused, late or
 * cancelled, and nobody who waits for ever. */
#define _GNU_SOURCE
#include "threads.h"

#include "check.h"

#include <string.h>
#include <unistd.h>

enum { ROUNDS = 30, BIG = 3000, LONG_DELAY_US = 60000000, SCORES = FIXTURE_ROWS * FIXTURE_LABELS };

static kluere_queue *queue;

static void open_queue(struct fixture *f, int32_t threads, uint32_t workers, uint32_t delay, uint32_t rows, uint32_t waiting) {
  kluere_predictor_options predictor;
  kluere_queue_options options;
  SUCCEEDS(kluere_predictor_options_init(&predictor, sizeof predictor));
  SUCCEEDS(kluere_queue_options_init(&options, sizeof options));
  predictor.threads = threads;
  options.workers = workers;
  options.max_delay_us = delay;
  options.max_batch_rows = rows;
  options.max_waiting = waiting;
  queue = NULL;
  SUCCEEDS(kluere_queue_create(f->model, &predictor, &options, &queue));
}

static kluere_queue_info stats(uint32_t reset) {
  kluere_queue_info info = {0};
  info.struct_size = sizeof info;
  SUCCEEDS(kluere_queue_stats(queue, reset, &info));
  return info;
}

static kluere_status ask(int row, uint64_t timeout_us, float *scores) {
  kluere_example example = fixture_row(row);
  return kluere_queue_predict(queue, &example, sizeof example, 1, 0, timeout_us, scores, FIXTURE_LABELS);
}

static int differs(struct fixture *f, int row, int rows, const float *scores) {
  return memcmp(scores, f->before + row * FIXTURE_LABELS, (size_t)rows * FIXTURE_LABELS * sizeof(float)) != 0;
}

/* Single rows, a few rows at once, and in between a row that is none, which nobody else notices. */
static void *request(void *argument) {
  struct worker *worker = argument;
  float scores[SCORES];
  for (int round = 0; round < ROUNDS; round++) {
    int row = (round + 5 * worker->number) % (FIXTURE_ROWS - 2);
    kluere_example rows[3] = {fixture_row(row), fixture_row(row + 1), fixture_row(row + 2)};
    worker->wrong += ask(row, 0, scores) != KLUERE_OK || differs(worker->fixture, row, 1, scores);
    worker->wrong += kluere_queue_predict(queue, rows, sizeof rows[0], 3, 0, 60000000, scores, SCORES) != KLUERE_OK ||
                     differs(worker->fixture, row, 3, scores);
    rows[1].object = rows[1].subject;
    scores[0] = 7;
    worker->wrong += kluere_queue_predict(queue, rows, sizeof rows[0], 3, 0, 0, scores, SCORES) !=
                         KLUERE_ERR_INVALID_ARGUMENT || scores[0] != 7;
  }
  return NULL;
}

static void same_bits(struct fixture *f) {
  static const struct { int32_t threads; uint32_t workers, delay, rows; } queues[] = {
      {0, 0, 0, 32}, {0, 1, 300, 4}, {1, 2, 0, 4}, {1, 3, 300, 32}, {2, 2, 100, 2}};
  for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
    open_queue(f, queues[i].threads, queues[i].workers, queues[i].delay, queues[i].rows, 64);
    together(f, request, NULL);
    kluere_queue_info info = stats(1);
    HOLDS(info.waiting == 0 && info.requests == 2 * THREADS * ROUNDS && info.rows == 4 * THREADS * ROUNDS);
    HOLDS(info.batches > 0 && info.batches <= info.requests && info.failed == THREADS * ROUNDS);
    HOLDS(info.refused == 0 && info.late == 0 && info.seconds > 0 && info.rows_per_second > 0);
    HOLDS(info.rows_per_batch * (double)info.batches > (double)info.rows - 0.5);
    HOLDS(info.rows_per_batch * (double)info.batches < (double)info.rows + 0.5);
    HOLDS(0 < info.latency_p50 && info.latency_p50 <= info.latency_p95 && info.latency_p95 <= info.latency_p99);
    HOLDS(info.latency_p99 <= info.latency_max && info.latency_max <= info.seconds);
    info = stats(0);
    HOLDS(info.requests == 0 && info.batches == 0 && info.failed == 0 && info.latency_max == 0 && info.rows_per_batch == 0);
    kluere_queue_destroy(queue);
  }
}

static void *request_once(void *argument) {
  struct worker *worker = argument;
  float scores[FIXTURE_LABELS];
  worker->wrong += ask(worker->number, 0, scores) != KLUERE_OK || differs(worker->fixture, worker->number, 1, scores);
  return NULL;
}

/* A batch waits for its last row, and no longer. */
static void merged(struct fixture *f) {
  open_queue(f, 0, 1, LONG_DELAY_US, THREADS, 64);
  together(f, request_once, NULL);
  kluere_queue_info info = stats(0);
  HOLDS(info.batches == 1 && info.requests == THREADS && info.rows_per_batch == THREADS);
  kluere_queue_destroy(queue);
}

/* ---- waiting that ends otherwise ---- */

static void *be_cancelled(void *argument) {
  struct worker *worker = argument;
  float scores[FIXTURE_LABELS] = {7};
  worker->wrong += ask(0, 0, scores) != KLUERE_ERR_CANCELLED || scores[0] != 7;
  worker->wrong += ask(0, 0, scores) != KLUERE_ERR_CANCELLED;
  return NULL;
}

static void await_all(void) {
  while (stats(0).waiting < THREADS) usleep(500);
}

static void close_queue(void) {
  float scores[FIXTURE_LABELS];
  await_all();
  REFUSES(KLUERE_ERR_BUSY, ask(0, 0, scores)); /* max_waiting is THREADS */
  REFUSES(KLUERE_ERR_BUSY, ask(0, 1, scores));
  HOLDS(stats(0).refused == 2);
  SUCCEEDS(kluere_queue_close(queue));
}

static void closed(struct fixture *f) {
  float scores[FIXTURE_LABELS];
  open_queue(f, 1, 2, LONG_DELAY_US, 1000, THREADS);
  together(f, be_cancelled, close_queue);
  SUCCEEDS(kluere_queue_close(queue));
  REFUSES(KLUERE_ERR_CANCELLED, ask(0, 0, scores));
  HOLDS(stats(0).waiting == 0);
  kluere_queue_destroy(queue);
}

static void *be_destroyed(void *argument) {
  struct worker *worker = argument;
  float scores[FIXTURE_LABELS];
  kluere_status status = ask(0, 0, scores);
  worker->wrong += status != KLUERE_ERR_CANCELLED;
  while (status == KLUERE_ERR_CANCELLED) status = ask(0, 0, scores); /* it is closed before it is destroyed */
  worker->wrong += status != KLUERE_ERR_BAD_HANDLE;
  return NULL;
}

static void destroy_queue(void) {
  await_all();
  kluere_queue_destroy(queue);
}

static kluere_status big_status;

/* Keeps the only worker for a while. */
static void *big_request(void *argument) {
  static kluere_example rows[BIG];
  static float scores[BIG * FIXTURE_LABELS];
  struct worker *worker = argument;
  for (int i = 0; i < BIG; i++) rows[i] = fixture_row(i % FIXTURE_ROWS);
  big_status = kluere_queue_predict(queue, rows, sizeof rows[0], BIG, 0, 0, scores, BIG * FIXTURE_LABELS);
  for (int i = 0; i < BIG; i++) worker->wrong += differs(worker->fixture, i % FIXTURE_ROWS, 1, scores + i * FIXTURE_LABELS);
  __atomic_store_n(&worker->number, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static void late(struct fixture *f) {
  struct worker big = {0, f, 0, 0};
  float scores[FIXTURE_LABELS];
  int late = 0, other = 0;
  open_queue(f, 0, 1, 0, 32, 64);
  REFUSES(KLUERE_ERR_TIMEOUT, ask(0, 1, scores)); /* encoding takes longer */
  for (int round = 0; late == 0 && round < 100; round++) { /* this thread may have no turn while the big one computes */
    big.number = 0;
    if (!HOLDS(pthread_create(&big.thread, NULL, big_request, &big) == 0)) break;
    while (!__atomic_load_n(&big.number, __ATOMIC_SEQ_CST)) {
      kluere_status status = ask(0, 500, scores);
      late += status == KLUERE_ERR_TIMEOUT;
      other += status != KLUERE_ERR_TIMEOUT && (status != KLUERE_OK || differs(f, 0, 1, scores));
    }
    pthread_join(big.thread, NULL);
    HOLDS(big_status == KLUERE_OK && big.wrong == 0 && other == 0);
  }
  HOLDS(late > 0);
  HOLDS(stats(0).late == (uint64_t)late + 1);
  kluere_queue_destroy(queue);
  /* Gathering ends by the deadline, and the request is in the batch. */
  open_queue(f, 0, 1, LONG_DELAY_US, 32, 64);
  uint64_t timeout = 25000;
  kluere_status status;
  do { /* on a busy machine the time may be over before the request is in the queue */
    timeout *= 2;
    status = ask(3, timeout, scores);
  } while (status == KLUERE_ERR_TIMEOUT && timeout < LONG_DELAY_US / 2);
  HOLDS(status == KLUERE_OK && !differs(f, 3, 1, scores) && stats(0).latency_max < LONG_DELAY_US * 1e-6);
  kluere_queue_destroy(queue);
}

/* Deadlines of every length, until the queue is closed in the middle of it: only statuses that there may be. */
static void *hurry(void *argument) {
  struct worker *worker = argument;
  float scores[FIXTURE_LABELS];
  for (unsigned round = 0;; round++) {
    kluere_status status = ask(worker->number, (round * 37u + (unsigned)worker->number * 11u) % 300u, scores);
    if (status == KLUERE_ERR_CANCELLED) return NULL;
    if (status == KLUERE_OK) worker->wrong += differs(worker->fixture, worker->number, 1, scores);
    else worker->wrong += status != KLUERE_ERR_TIMEOUT && status != KLUERE_ERR_BUSY;
  }
}

static void close_soon(void) {
  usleep(150000);
  for (int i = 0; i < 20000 && stats(0).requests == 0; i++) usleep(500);
  SUCCEEDS(kluere_queue_close(queue));
}

void queue_threads(struct fixture *f) {
  same_bits(f);
  merged(f);
  closed(f);
  open_queue(f, 0, 1, LONG_DELAY_US, 1000, 64);
  together(f, be_destroyed, destroy_queue);
  late(f);
  for (uint32_t delay = 0; delay <= 200; delay += 100) {
    open_queue(f, 1, 2, delay, 3, 5);
    together(f, hurry, close_soon);
    HOLDS(stats(0).requests > 0);
    kluere_queue_destroy(queue);
  }
}
