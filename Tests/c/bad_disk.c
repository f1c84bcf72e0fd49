/* Disks that are full, folders that cannot be written, folders that hold somebody else's files. What was there before
 * must be there afterwards. */
#define _GNU_SOURCE
#include "bad_input.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IO = KLUERE_ERR_IO };

/* Files in the folder's parent that look like leftovers of an unfinished write. */
static int leftovers(const char *parent) {
  char command[8300];
  snprintf(command, sizeof command, "test -z \"$(ls -A '%s' | grep -E 'tmp-|[.]old-')\"", parent);
  return system(command) != 0;
}

static int is_intact(struct fixture *f, const char *folder) {
  kluere_model *model = NULL;
  int same = same_file(path_in(folder, "model.safetensors"), path_in(f->model_folder, "model.safetensors")) &&
             same_file(path_in(folder, "config.json"), path_in(f->model_folder, "config.json"));
  SUCCEEDS(kluere_model_open(f->context, folder, NULL, &model));
  kluere_model_destroy(model);
  return same;
}

static void unwritable(struct fixture *f, kluere_trainer *trainer) {
  const char *places[] = {"/proc/kluere", "/sys/kluere", "/dev/null/model", "/dev/full", "/dev/full/model",
                          path_in(f->scratch, "absent/deeper/model"), f->vocabulary};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    REFUSES_CASE(places[i], 0, kluere_model_save(f->model, places[i]));
    REFUSES_CASE(places[i], 0, kluere_trainer_save_checkpoint(trainer, places[i]));
  }
  struct stat status;
  HOLDS(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode));
  HOLDS(stat(f->vocabulary, &status) == 0 && S_ISREG(status.st_mode));
  char long_path[6000];
  memset(long_path, 'a', sizeof long_path - 1);
  long_path[0] = '/';
  long_path[sizeof long_path - 1] = 0;
  REFUSES(IO, kluere_model_save(f->model, long_path));
  kluere_train_options options = fixture_train_options();
  kluere_trainer *writing = NULL;
  options.output_directory = "/proc/kluere";
  kluere_status status_of_create = kluere_trainer_create(f->model, f->train, f->train, &options, &writing);
  if (status_of_create == KLUERE_OK) REFUSES(IO, kluere_trainer_run(writing, NULL, NULL));
  kluere_trainer_destroy(writing);
}

static void somebody_elses(struct fixture *f, kluere_trainer *trainer) {
  char folder[4096];
  struct stat status;
  snprintf(folder, sizeof folder, "%s/others", f->scratch);
  remove_folder(folder);
  copy_folder(f->model_folder, folder);
  write_text(path_in(folder, "notes.txt"), "mine");
  REFUSES(KLUERE_ERR_STATE, kluere_model_save(f->model, folder));
  REFUSES(KLUERE_ERR_STATE, kluere_trainer_save_checkpoint(trainer, folder));
  HOLDS(exists(path_in(folder, "notes.txt")) && is_intact(f, folder));
  unlink(path_in(folder, "notes.txt"));
  make_folder(path_in(folder, "sub"));
  REFUSES(KLUERE_ERR_STATE, kluere_model_save(f->model, folder));
  HOLDS(stat(path_in(folder, "sub"), &status) == 0 && is_intact(f, folder));
  rmdir(path_in(folder, "sub"));
  SUCCEEDS(kluere_model_save(f->model, folder));
  HOLDS(is_intact(f, folder) && !leftovers(f->scratch));
  remove_folder(folder);
}

/* thirty: a model that has the competition's labels. */
static void submissions(struct fixture *f) {
  kluere_model_config config = fixture_config();
  kluere_model *thirty = NULL;
  float *scores = calloc(FIXTURE_ROWS * 30, sizeof *scores);
  char path[4096];
  struct stat status;
  snprintf(path, sizeof path, "%s/submission.csv", f->scratch);
  if (!scores || !SUCCEEDS(kluere_model_create(f->context, f->tokenizer, &config, NULL, 0, &thirty))) return;
  for (int i = 0; i < FIXTURE_ROWS * 30; i++) scores[i] = 1.0f / 30;
  write_text(path, "what was there");
  REFUSES(0, kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, "/dev/full"));
  HOLDS(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode));
  REFUSES(0, kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, f->scratch));
  REFUSES(0, kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, "/proc/submission.csv"));
  REFUSES(0, kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, "/absent/submission.csv"));
  struct rlimit limit, small;
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit;
  small.rlim_cur = 100;
  setrlimit(RLIMIT_FSIZE, &small);
  REFUSES(IO, kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, path));
  setrlimit(RLIMIT_FSIZE, &limit);
  size_t size;
  char *text = read_bytes(path, &size);
  HOLDS(strcmp(text, "what was there") == 0);
  free(text);
  SUCCEEDS(kluere_submission_write(thirty, f->train, scores, FIXTURE_ROWS * 30, path));
  HOLDS(!leftovers(f->scratch));
  remove(path);
  free(scores);
  kluere_model_destroy(thirty);
}

/* The limit is met while the folder is being written: with SIGXFSZ at its default, which would end the program. */
static void file_size_limit(struct fixture *f, kluere_trainer *trainer) {
  char folder[4096];
  struct rlimit limit, small;
  const rlim_t sizes[] = {0, 100, 1000, 10000};
  snprintf(folder, sizeof folder, "%s/limited", f->scratch);
  remove_folder(folder);
  copy_folder(f->model_folder, folder);
  getrlimit(RLIMIT_FSIZE, &limit);
  small = limit;
  for (int round = 0; round < 8; round++) {
    signal(SIGXFSZ, round < 4 ? SIG_IGN : SIG_DFL);
    small.rlim_cur = sizes[round % 4];
    setrlimit(RLIMIT_FSIZE, &small);
    kluere_status saved = kluere_model_save(f->model, folder);
    kluere_status checkpoint = kluere_trainer_save_checkpoint(trainer, folder);
    setrlimit(RLIMIT_FSIZE, &limit);
    HOLDS(saved == IO && checkpoint == IO);
    HOLDS(is_intact(f, folder) && !leftovers(f->scratch));
  }
  signal(SIGXFSZ, SIG_DFL);
  SUCCEEDS(kluere_model_save(f->model, folder));
  HOLDS(is_intact(f, folder));
  remove_folder(folder);
}

/* A file system of a few pages, where this process may mount one. */
static void full_file_system(struct fixture *f, kluere_trainer *trainer) {
  char mounted[4096], folder[5000];
  snprintf(mounted, sizeof mounted, "%s/tiny", f->scratch);
  snprintf(folder, sizeof folder, "%s/model", mounted);
  make_folder(mounted);
  if (mount("none", mounted, "tmpfs", 0, "size=96k") != 0) {
    printf("a tiny file system cannot be mounted here: that part is left out (RLIMIT_FSIZE is tested)\n");
    rmdir(mounted);
    return;
  }
  copy_folder(f->model_folder, folder);
  char *filler = calloc(1, 96 * 1024);
  FILE *file = fopen(path_in(mounted, "filler"), "wb");
  if (file && filler) {
    setvbuf(file, NULL, _IONBF, 0);
    for (int i = 0; i < 96; i++) fwrite(filler, 1, 1024, file);
    fclose(file);
  }
  free(filler);
  REFUSES(IO, kluere_model_save(f->model, folder));
  REFUSES(IO, kluere_trainer_save_checkpoint(trainer, folder));
  HOLDS(is_intact(f, folder) && !leftovers(mounted));
  umount(mounted);
  rmdir(mounted);
}

void bad_disk(struct fixture *f) {
  kluere_train_options options = fixture_train_options();
  kluere_trainer *trainer = NULL;
  if (!SUCCEEDS(kluere_trainer_create(f->model, f->train, f->train, &options, &trainer))) return;
  SUCCEEDS(kluere_trainer_step(trainer, NULL));
  unwritable(f, trainer);
  somebody_elses(f, trainer);
  submissions(f);
  file_size_limit(f, trainer);
  full_file_system(f, trainer);
  SUCCEEDS(kluere_trainer_run(trainer, NULL, NULL));
  kluere_trainer_destroy(trainer);
  HOLDS(is_intact(f, f->model_folder));
}
