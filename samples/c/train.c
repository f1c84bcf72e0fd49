/* Trains a relation classifier from random weights and saves it.
 *
 *   ./train TRAIN DEV MODEL_OUT TOKENIZER [EPOCHS [LEARNING_RATE]]
 *
 * TRAIN and DEV: KLUE JSON, JSON Lines or the competition's CSV. TOKENIZER: a folder with vocab.txt, or a vocab.txt.
 * Progress goes to stderr; the figures on DEV to stdout. KLUERE_DEVICE=1 in the environment: on the first GPU, in
 * 16-bit precision; -1: on a GPU if there is one. */
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

static int32_t show(void *userdata, const kluere_train_event *event) {
  const kluere_step_info *step = event->step;
  (void)userdata;
  if (event->kind == KLUERE_EVENT_EVALUATION) {
    fprintf(stderr, "step %llu: micro-F1 %.4f  AUPRC %.4f\n", (unsigned long long)step->step, event->metrics->micro_f1,
            event->metrics->auprc);
  } else if (event->kind == KLUERE_EVENT_STEP && (step->step % 50 == 0 || step->done)) {
    fprintf(stderr, "step %llu of %llu: loss %.4f  %.0f sentences/s\n", (unsigned long long)step->step,
            (unsigned long long)step->total_steps, step->loss, (double)step->sentences / step->seconds);
  }
  return 0; /* anything else stops */
}

int main(int argc, char **argv) {
  kluere_context *context = NULL;
  kluere_tokenizer *tokenizer = NULL;
  kluere_dataset *train = NULL, *dev = NULL;
  kluere_model *start = NULL, *trained = NULL;
  kluere_trainer *trainer = NULL;
  kluere_model_config config;
  kluere_context_options place;
  kluere_train_options options;
  kluere_metrics metrics = {0};
  const char *device = getenv("KLUERE_DEVICE");

  if (argc < 5) {
    fprintf(stderr, "usage: %s TRAIN DEV MODEL_OUT TOKENIZER [EPOCHS [LEARNING_RATE]]\n", argv[0]);
    return 2;
  }
  if (kluere_abi_version() != KLUERE_ABI_VERSION) {
    fprintf(stderr, "libkluere has ABI %u, this program needs %u\n", kluere_abi_version(), KLUERE_ABI_VERSION);
    return 1;
  }
  /* README-BEGIN */
  check(kluere_context_options_init(&place, sizeof place), "options");
  place.device = device ? atoi(device) : KLUERE_DEVICE_CPU;
  check(kluere_context_create(&place, &context), "context");
  check(kluere_tokenizer_open(context, argv[4], NULL, &tokenizer), "tokenizer");
  check(kluere_dataset_read(context, argv[1], NULL, &train), "train data");
  check(kluere_dataset_read(context, argv[2], NULL, &dev), "dev data");

  check(kluere_model_config_init(&config, sizeof config), "config"); /* RoBERTa, 4 layers of width 256 */
  check(kluere_model_create(context, tokenizer, &config, NULL, 0, &start), "model");

  check(kluere_train_options_init(&options, sizeof options), "options");
  options.epochs = argc > 5 ? atof(argv[5]) : 3;
  options.learning_rate = argc > 6 ? atof(argv[6]) : 3e-4; /* random weights want more than fine-tuning's 5e-5 */
  options.group_by_length = 1;
  options.precision = KLUERE_PRECISION_AUTO; /* fp32 on the CPU */
  check(kluere_trainer_create(start, train, dev, &options, &trainer), "trainer");
  check(kluere_trainer_run(trainer, show, NULL), "training");

  metrics.struct_size = sizeof metrics;
  check(kluere_trainer_evaluate(trainer, dev, &metrics), "evaluation");
  printf("micro-F1 %.4f  AUPRC %.4f  on %llu sentences\n", metrics.micro_f1, metrics.auprc,
         (unsigned long long)metrics.rows);
  check(kluere_trainer_export_model(trainer, &trained), "export");
  check(kluere_model_save(trained, argv[3]), "save");
  /* README-END */

  kluere_trainer_destroy(trainer);
  kluere_model_destroy(trained);
  kluere_model_destroy(start);
  kluere_dataset_destroy(dev);
  kluere_dataset_destroy(train);
  kluere_tokenizer_destroy(tokenizer);
  kluere_context_destroy(context);
  return 0;
}
