/* How long the audit and the statistics of a dataset take, alone and with a tokenizer and a second dataset.
 *
 *   bench_data TRAIN DEV VOCABULARY
 */
#define _XOPEN_SOURCE 700
#include <kluere.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void need(kluere_status status) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fprintf(stderr, "%s (%s)\n", message, kluere_status_name(status));
  exit(1);
}

static void measure(const char *what, const kluere_dataset *train, const kluere_dataset *dev,
                    const kluere_tokenizer *tokenizer) {
  double best_statistics = 1e9, best_audit = 1e9;
  size_t findings = 0;
  for (int i = 0; i < 5; i++) {
    kluere_text *text = NULL;
    kluere_audit *audit = NULL;
    double begun = now();
    need(kluere_dataset_statistics(train, tokenizer, &text));
    double between = now();
    need(kluere_audit_create(train, dev, tokenizer, NULL, &audit));
    double end = now();
    findings = kluere_audit_count(audit);
    if (between - begun < best_statistics) best_statistics = between - begun;
    if (end - between < best_audit) best_audit = end - between;
    kluere_text_destroy(text);
    kluere_audit_destroy(audit);
  }
  printf("%-28s statistics %.3f s, audit %.3f s, together %.3f s; %zu findings in %zu rows\n", what, best_statistics,
         best_audit, best_statistics + best_audit, findings, kluere_dataset_count(train));
}

int main(int argc, char **argv) {
  kluere_context *context = NULL;
  kluere_dataset *train = NULL, *dev = NULL;
  kluere_tokenizer *tokenizer = NULL;
  if (argc != 4) {
    fprintf(stderr, "usage: %s TRAIN DEV VOCABULARY\n", argv[0]);
    return 2;
  }
  need(kluere_context_create(NULL, &context));
  need(kluere_dataset_read(context, argv[1], NULL, &train));
  need(kluere_dataset_read(context, argv[2], NULL, &dev));
  need(kluere_tokenizer_open(context, argv[3], NULL, &tokenizer));
  measure("alone", train, NULL, NULL);
  measure("beside a second dataset", train, dev, NULL);
  measure("and with a tokenizer", train, dev, tokenizer);
  kluere_tokenizer_destroy(tokenizer);
  kluere_dataset_destroy(train);
  kluere_dataset_destroy(dev);
  kluere_context_destroy(context);
  return 0;
}
