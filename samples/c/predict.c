/* Prints the three most probable relations between two entities of a sentence.
 *
 *   ./predict MODEL SENTENCE SUBJECT_BEGIN SUBJECT_END OBJECT_BEGIN OBJECT_END [SUBJECT_TYPE OBJECT_TYPE]
 *
 * Offsets count code points, the end exclusive; types as in the training data, e.g. ORG PER. KLUERE_DEVICE=1 in the
 * environment: on the first GPU; -1: on a GPU if there is one. */
#include <kluere.h>
#include <stdio.h>
#include <stdlib.h>

static void check(kluere_status status, const char *what) {
  char message[1024];
  if (status == KLUERE_OK) return;
  kluere_last_error(message, sizeof message);
  fprintf(stderr, "%s: %s (%s)\n", what, message, kluere_status_name(status));
  exit(1);
}

static kluere_entity entity(const char *begin, const char *end, const char *type) {
  kluere_entity result = {0};
  result.begin = strtoul(begin, NULL, 10);
  result.end = strtoul(end, NULL, 10);
  result.type = type;
  result.type_length = KLUERE_NUL_TERMINATED;
  return result;
}

static void print_best(const kluere_model *model, float *probabilities, size_t count) {
  for (int rank = 0; rank < 3 && (size_t)rank < count; rank++) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
      if (probabilities[i] > probabilities[best]) best = i;
    printf("%.4f  %s\n", probabilities[best], kluere_model_label(model, best));
    probabilities[best] = -1;
  }
}

int main(int argc, char **argv) {
  kluere_context *context = NULL;
  kluere_model *model = NULL;
  kluere_predictor *predictor = NULL;
  kluere_context_options options;
  const char *device = getenv("KLUERE_DEVICE");

  if (argc != 7 && argc != 9) {
    fprintf(stderr, "usage: %s MODEL SENTENCE SUBJECT_BEGIN SUBJECT_END OBJECT_BEGIN OBJECT_END "
                    "[SUBJECT_TYPE OBJECT_TYPE]\n", argv[0]);
    return 2;
  }
  if (kluere_abi_version() != KLUERE_ABI_VERSION) {
    fprintf(stderr, "libkluere has ABI %u, this program needs %u\n", kluere_abi_version(), KLUERE_ABI_VERSION);
    return 1;
  }
  /* README-BEGIN */
  check(kluere_context_options_init(&options, sizeof options), "options");
  options.device = device ? atoi(device) : KLUERE_DEVICE_CPU;
  check(kluere_context_create(&options, &context), "context");
  check(kluere_model_open(context, argv[1], NULL, &model), "model");
  check(kluere_predictor_create(model, NULL, &predictor), "predictor");

  kluere_example example = {0};
  example.text = argv[2];
  example.text_length = KLUERE_NUL_TERMINATED;
  example.subject = entity(argv[3], argv[4], argc == 9 ? argv[7] : NULL);
  example.object = entity(argv[5], argv[6], argc == 9 ? argv[8] : NULL);

  size_t count = kluere_model_label_count(model);
  float *probabilities = malloc(count * sizeof *probabilities);
  if (!probabilities) return 1;
  check(kluere_predictor_predict(predictor, &example, sizeof example, 1, KLUERE_OFFSETS_CODE_POINTS, probabilities,
                                 count), "prediction");
  print_best(model, probabilities, count);
  /* README-END */

  free(probabilities);
  kluere_predictor_destroy(predictor);
  kluere_model_destroy(model);
  kluere_context_destroy(context);
  return 0;
}
