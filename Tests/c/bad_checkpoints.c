/* Checkpoints to resume from: other rows, missing and cut files, changed bits. */
#include "bad_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void refused(struct fixture *f, const char *folder, const char *what) {
  kluere_trainer *trainer = NULL;
  REFUSES_CASE(what, 0, kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer));
  HOLDS(trainer == NULL);
  kluere_trainer_destroy(trainer);
}

/* Bits of every file: what resumes must also be able to make its next update, or say why not. */
static void flipped(struct fixture *f, const char *folder, const char *name) {
  size_t size;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *bytes = read_bytes(path, &size);
  size_t end = size < 4096 ? size : 4096, stride = end / 48 + 1;
  for (size_t i = 0; i < end; i += stride) {
    kluere_trainer *trainer = NULL;
    char kept = bytes[i];
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    write_bytes(path, bytes, size);
    SURVIVES(name, kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer));
    if (trainer) SURVIVES(name, kluere_trainer_step(trainer, NULL));
    kluere_trainer_destroy(trainer);
    bytes[i] = kept;
  }
  write_bytes(path, bytes, size);
  free(bytes);
}

static void missing_and_cut(struct fixture *f, const char *folder, const char *name) {
  static const char *const optional[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
                                         "kluere.json"};
  size_t size;
  char path[4096];
  int is_optional = 0;
  for (int i = 0; i < 4; i++) is_optional |= strcmp(name, optional[i]) == 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *bytes = read_bytes(path, &size);
  unlink(path);
  if (!is_optional) refused(f, folder, name);
  for (size_t part = 0; part < 6; part++) {
    kluere_trainer *trainer = NULL;
    write_bytes(path, bytes, size * part / 6);
    if (strcmp(name, "vocab.txt") != 0) {
      refused(f, folder, name);
    } else {
      SURVIVES(name, kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer));
      kluere_trainer_destroy(trainer);
    }
  }
  write_bytes(path, bytes, size);
  free(bytes);
}

/* Every digit of the numbers in the trainer's state becomes a 9, a minus, a letter. */
static void bent_state(struct fixture *f, const char *folder, const char *name) {
  size_t size;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *bytes = read_bytes(path, &size);
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] < '0' || bytes[i] > '9') continue;
    for (const char *with = "9-x"; *with; with++) {
      kluere_trainer *trainer = NULL;
      char kept = bytes[i];
      bytes[i] = *with;
      write_bytes(path, bytes, size);
      SURVIVES(name, kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer));
      if (trainer) SURVIVES(name, kluere_trainer_step(trainer, NULL));
      kluere_trainer_destroy(trainer);
      bytes[i] = kept;
    }
  }
  write_bytes(path, bytes, size);
  free(bytes);
}

void bad_checkpoints(struct fixture *f) {
  char folder[4096];
  size_t count, rows[FIXTURE_ROWS];
  kluere_train_options options = fixture_train_options();
  kluere_trainer *trainer = NULL;
  kluere_dataset *others = NULL;
  snprintf(folder, sizeof folder, "%s/checkpoint", f->scratch);
  remove_folder(folder);
  options.ema_decay = 0.5; /* a folder with every file that a checkpoint may have */
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, f->train, &options, &trainer))) return;
  SUCCEEDS(kluere_trainer_step(trainer, NULL));
  SUCCEEDS(kluere_trainer_save_checkpoint(trainer, folder));
  kluere_trainer_destroy(trainer);
  trainer = NULL;

  for (size_t i = 0; i < FIXTURE_ROWS; i++) rows[i] = FIXTURE_ROWS - 1 - i;
  if (SUCCEEDS(kluere_dataset_subset(f->train, rows, FIXTURE_ROWS, &others))) {
    REFUSES(0, kluere_trainer_resume(f->context, folder, others, f->train, &trainer));
    REFUSES(0, kluere_trainer_resume(f->context, folder, f->train, others, &trainer));
    REFUSES(0, kluere_trainer_resume(f->context, folder, f->train, NULL, &trainer));
    REFUSES(0, kluere_trainer_resume(f->context, folder, f->hidden, f->train, &trainer));
  }
  kluere_dataset_destroy(others);
  REFUSES(0, kluere_trainer_resume(f->context, path_in(f->scratch, "absent"), f->train, f->train, &trainer));
  REFUSES(0, kluere_trainer_resume(f->context, f->model_folder, f->train, f->train, &trainer)); /* only a model */
  REFUSES(0, kluere_trainer_resume(f->context, f->vocabulary, f->train, f->train, &trainer));
  REFUSES(0, kluere_trainer_resume(f->context, f->scratch, f->train, f->train, &trainer));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_trainer_resume(f->context, NULL, f->train, f->train, &trainer));
  REFUSES(KLUERE_ERR_INVALID_ARGUMENT, kluere_trainer_resume(f->context, "", f->train, f->train, &trainer));
  HOLDS(trainer == NULL);

  char **names = list_files(folder, &count);
  HOLDS(count >= 8);
  for (size_t i = 0; i < count; i++) {
    missing_and_cut(f, folder, names[i]);
    flipped(f, folder, names[i]);
    if (strstr(names[i], "trainer_state") && strstr(names[i], ".json")) bent_state(f, folder, names[i]);
  }
  free_list(names, count);
  /* Nothing of this harmed the checkpoint. */
  if (SUCCEEDS(kluere_trainer_resume(f->context, folder, f->train, f->train, &trainer)))
    SUCCEEDS(kluere_trainer_run(trainer, NULL, NULL));
  kluere_trainer_destroy(trainer);
  remove_folder(folder);
}
