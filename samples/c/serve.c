/* Many clients, one model: each thread asks for one sentence at a time, the queue answers them in batches.
 *
 *   ./serve MODEL DATA [CLIENTS [MAX_DELAY_US]]
 *
 * DATA: a file with examples, as for training. Every client asks for every row of it. Needs POSIX threads. */
#include <kluere.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_CLIENTS = 256 };

static kluere_queue *queue;
static kluere_dataset *data;
static size_t labels;

static void check(kluere_status status, const char *what) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fprintf(stderr, "%s: %s (%s)\n", what, message, kluere_status_name(status));
  exit(1);
}

static void *client(void *argument) {
  float *scores = malloc(labels * sizeof *scores);
  (void)argument;
  if (!scores) return NULL;
  for (size_t row = 0; row < kluere_dataset_count(data); row++) {
    kluere_example example = {0};
    check(kluere_dataset_get(data, row, KLUERE_OFFSETS_BYTES, &example, sizeof example), "row");
    /* Within five seconds, or not at all. BUSY and TIMEOUT would be for a server to answer with. */
    check(kluere_queue_predict(queue, &example, sizeof example, 1, KLUERE_OFFSETS_BYTES, 5000000, scores, labels),
          "prediction");
  }
  free(scores);
  return NULL;
}

int main(int argc, char **argv) {
  kluere_context *context = NULL;
  kluere_model *model = NULL;
  kluere_predictor_options predictor;
  kluere_queue_options options;
  kluere_queue_info info = {0};
  pthread_t clients[MOST_CLIENTS];
  int count = argc > 3 ? atoi(argv[3]) : 8;

  if (argc < 3 || argc > 5 || count < 1 || count > MOST_CLIENTS) {
    fprintf(stderr, "usage: %s MODEL DATA [CLIENTS [MAX_DELAY_US]]\n", argv[0]);
    return 2;
  }
  check(kluere_context_create(NULL, &context), "context");
  check(kluere_model_open(context, argv[1], NULL, &model), "model");
  check(kluere_dataset_read(context, argv[2], NULL, &data), "data");
  labels = kluere_model_label_count(model);

  /* A worker for each core, each with one thread: batches are computed side by side. */
  check(kluere_predictor_options_init(&predictor, sizeof predictor), "options");
  predictor.threads = 1;
  check(kluere_queue_options_init(&options, sizeof options), "options");
  if (argc > 4) options.max_delay_us = (uint32_t)strtoul(argv[4], NULL, 10);
  check(kluere_queue_create(model, &predictor, &options, &queue), "queue");

  for (int i = 0; i < count; i++)
    if (pthread_create(&clients[i], NULL, client, NULL) != 0) return 1;
  for (int i = 0; i < count; i++) pthread_join(clients[i], NULL);

  info.struct_size = sizeof info;
  check(kluere_queue_stats(queue, 0, &info), "figures");
  printf("%llu requests in %llu batches, %.0f a second; latency: half within %.1f ms, 99 %% within %.1f ms\n",
         (unsigned long long)info.requests, (unsigned long long)info.batches, info.rows_per_second,
         info.latency_p50 * 1e3, info.latency_p99 * 1e3);
  kluere_queue_destroy(queue);
  kluere_dataset_destroy(data);
  kluere_model_destroy(model);
  kluere_context_destroy(context);
  return 0;
}
