/* Clients that ask for one sentence at a time, as fast as they are answered; one JSON line with throughput and latencies.
 * Driven by bench_serving.py.
 *
 *   bench_serving MODEL DATA WAY CLIENTS SECONDS THREADS DELAY_US BATCH_ROWS
 *
 * WAY: locked   one predictor on a pool of THREADS, behind a lock
 *      own      each client a predictor of one thread
 *      queue    a queue on a pool of THREADS
 *      workers  a queue with THREADS workers of one thread
 * Every answer is compared, bit for bit, with what a predictor gave before the clock starts. */
#define _GNU_SOURCE
#include <kluere.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CLIENTS = 1024, MOST_REQUESTS = 1 << 20 };

static enum { LOCKED, OWN, QUEUE, WORKERS } way;
static kluere_dataset *data;
static kluere_model *model;
static kluere_predictor *shared;
static kluere_queue *queue;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;
static size_t rows, labels;
static kluere_example *examples;
static float *expected;
static _Atomic int measuring, stop;

typedef struct client {
  pthread_t thread;
  int number;
  size_t count;
  double *latencies; /* seconds */
} client;

static void check(kluere_status status, const char *what) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fprintf(stderr, "%s: %s (%s)\n", what, message, kluere_status_name(status));
  exit(1);
}

static double clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void) { return clock_of(CLOCK_MONOTONIC); }

static kluere_predictor *predictor_of(int threads) {
  kluere_predictor_options options;
  kluere_predictor *made = NULL;
  check(kluere_predictor_options_init(&options, sizeof options), "options");
  options.threads = threads;
  check(kluere_predictor_create(model, &options, &made), "predictor");
  return made;
}

static void ask(kluere_predictor *own, const kluere_example *example, float *scores) {
  size_t size = sizeof *example;
  switch (way) {
    case LOCKED:
      pthread_mutex_lock(&lock);
      check(kluere_predictor_predict(shared, example, size, 1, KLUERE_OFFSETS_BYTES, scores, labels), "prediction");
      pthread_mutex_unlock(&lock);
      break;
    case OWN:
      check(kluere_predictor_predict(own, example, size, 1, KLUERE_OFFSETS_BYTES, scores, labels), "prediction");
      break;
    default:
      check(kluere_queue_predict(queue, example, size, 1, KLUERE_OFFSETS_BYTES, 0, scores, labels), "prediction");
  }
}

static void *run(void *argument) {
  client *self = argument;
  float *scores = malloc(labels * sizeof *scores);
  kluere_predictor *own = way == OWN ? predictor_of(1) : NULL;
  if (!scores) exit(1);
  pthread_barrier_wait(&start);
  for (size_t i = (size_t)self->number * 7919; !atomic_load(&stop); i++) {
    size_t row = i % rows;
    double begun = now();
    ask(own, &examples[row], scores);
    double ended = now();
    if (memcmp(scores, expected + row * labels, labels * sizeof *scores) != 0) {
      fprintf(stderr, "row %zu: other bits than a single prediction\n", row);
      exit(1);
    }
    if (atomic_load(&measuring) && self->count < MOST_REQUESTS) self->latencies[self->count++] = ended - begun;
  }
  kluere_predictor_destroy(own);
  free(scores);
  return NULL;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void pause_for(double seconds) {
  struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&t, NULL);
}

int main(int argc, char **argv) {
  static client clients[MOST_CLIENTS];
  static const char *const ways[] = {"locked", "own", "queue", "workers"};
  kluere_context *context = NULL;
  kluere_context_options options;
  if (argc != 9) return fprintf(stderr, "usage: see the head of bench_serving.c\n"), 2;
  while (way <= WORKERS && strcmp(argv[3], ways[way]) != 0) way++;
  int count = atoi(argv[4]), threads = atoi(argv[6]);
  double seconds = atof(argv[5]);
  if (way > WORKERS || count < 1 || count > MOST_CLIENTS || threads < 1 || seconds <= 0) return 2;
  check(kluere_context_options_init(&options, sizeof options), "options");
  options.thread_count = threads;
  check(kluere_context_create(&options, &context), "context");
  check(kluere_model_open(context, argv[1], NULL, &model), "model");
  check(kluere_dataset_read(context, argv[2], NULL, &data), "data");
  rows = kluere_dataset_count(data);
  labels = kluere_model_label_count(model);
  examples = calloc(rows, sizeof *examples);
  expected = malloc(rows * labels * sizeof *expected);
  if (!examples || !expected || rows == 0) return 1;
  for (size_t i = 0; i < rows; i++)
    check(kluere_dataset_get(data, i, KLUERE_OFFSETS_BYTES, &examples[i], sizeof *examples), "row");
  shared = predictor_of(0);
  check(kluere_predictor_predict_dataset(shared, data, expected, rows * labels), "reference");
  if (way == QUEUE || way == WORKERS) {
    kluere_predictor_options each;
    kluere_queue_options how;
    check(kluere_predictor_options_init(&each, sizeof each), "options");
    check(kluere_queue_options_init(&how, sizeof how), "options");
    each.threads = way == WORKERS ? 1 : 0;
    how.max_delay_us = (uint32_t)strtoul(argv[7], NULL, 10);
    how.max_batch_rows = (uint32_t)strtoul(argv[8], NULL, 10);
    check(kluere_queue_create(model, &each, &how, &queue), "queue");
  }
  if (pthread_barrier_init(&start, NULL, (unsigned)count + 1) != 0) return 1;
  for (int i = 0; i < count; i++) {
    clients[i].number = i;
    clients[i].latencies = malloc(MOST_REQUESTS * sizeof(double)); /* untouched pages cost nothing */
    if (!clients[i].latencies || pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0) return 1;
  }
  pthread_barrier_wait(&start);
  pause_for(seconds / 4); /* warm-up */
  kluere_queue_info info = {0};
  info.struct_size = sizeof info;
  if (queue) check(kluere_queue_stats(queue, 1, &info), "figures");
  double begun = now(), used = clock_of(CLOCK_PROCESS_CPUTIME_ID);
  atomic_store(&measuring, 1);
  pause_for(seconds);
  atomic_store(&measuring, 0);
  double measured = now() - begun;
  used = clock_of(CLOCK_PROCESS_CPUTIME_ID) - used;
  if (queue) check(kluere_queue_stats(queue, 0, &info), "figures");
  atomic_store(&stop, 1);
  size_t total = 0, place = 0;
  for (int i = 0; i < count; i++) {
    pthread_join(clients[i].thread, NULL);
    total += clients[i].count;
  }
  double *all = malloc((total + 1) * sizeof *all);
  if (!all || total == 0) return fprintf(stderr, "no request was answered in time\n"), 1;
  for (int i = 0; i < count; i++) {
    memcpy(all + place, clients[i].latencies, clients[i].count * sizeof *all);
    place += clients[i].count;
  }
  qsort(all, total, sizeof *all, ascending);
  printf("{\"requests\": %zu, \"per_second\": %.6g, \"p50\": %.6g, \"p99\": %.6g, \"cpu\": %.6g, \"rows_per_batch\": %.6g}\n",
         total, (double)total / measured, all[(total - 1) / 2], all[(size_t)(0.99 * (double)(total - 1))],
         used / (double)total, queue ? info.rows_per_batch : 1.0);
  return 0;
}
