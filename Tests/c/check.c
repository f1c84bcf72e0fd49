#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed;
static char before[1200];

static int count(const char *file, int line, const char *what, int good, const char *why) {
  if (good) {
    passed++;
  } else {
    failed++;
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, why);
  }
  return good;
}

/* Leaves a message in the slot that no other call leaves, so that a stale message is not taken for a new one. */
void check_before(void) {
  static unsigned number;
  size_t out;
  kluere_offset_convert("x", 1, 900000000u + number++ % 1000u, KLUERE_OFFSETS_BYTES, KLUERE_OFFSETS_BYTES, &out);
  kluere_last_error(before, sizeof before);
}

static const char *message_problem(void) {
  char message[1200];
  size_t needed = kluere_last_error(message, sizeof message);
  if (needed < 2 || needed > 1024 || strlen(message) + 1 != needed) return "no message";
  if (strcmp(message, before) == 0) return "the message is an older one";
  if (strpbrk(message, "\n\r")) return "the message has more than one line";
  if (getenv("SHOW_MESSAGES")) printf("  %s\n", message);
  return NULL;
}

int check_refused(const char *file, int line, const char *what, kluere_status expected, kluere_status got) {
  char why[1400];
  const char *problem = got < 0 ? message_problem() : NULL;
  if (got >= 0) {
    snprintf(why, sizeof why, "status %d, expected a failure", (int)got);
  } else if (problem) {
    snprintf(why, sizeof why, "%s: %s", kluere_status_name(got), problem);
  } else if (expected != 0 && got != expected) {
    char message[1100];
    kluere_last_error(message, sizeof message);
    snprintf(why, sizeof why, "%s (%s), expected %s", kluere_status_name(got), message, kluere_status_name(expected));
  } else {
    return count(file, line, what, 1, "");
  }
  return count(file, line, what, 0, why);
}

int check_survived(const char *file, int line, const char *what, kluere_status got) {
  return got == KLUERE_OK ? count(file, line, what, 1, "") : check_refused(file, line, what, 0, got);
}

int check_succeeded(const char *file, int line, const char *what, kluere_status got) {
  char message[1024] = "";
  if (got != KLUERE_OK) kluere_last_error(message, sizeof message);
  return count(file, line, what, got == KLUERE_OK, message);
}

int check_holds(const char *file, int line, const char *what, int holds) {
  return count(file, line, what, holds, "does not hold");
}

int check_finish(void) {
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

/* ---- files ---- */

static void stop(const char *what, const char *path) {
  fprintf(stderr, "cannot %s %s: %s\n", what, path, strerror(errno));
  exit(2);
}

const char *path_in(const char *folder, const char *name) {
  static char paths[16][4096];
  static unsigned next;
  char *path = paths[next++ % 16];
  if (snprintf(path, sizeof paths[0], "%s/%s", folder, name) >= (int)sizeof paths[0]) stop("name a file in", folder);
  return path;
}

void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file || (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0) stop("write", path);
}

void write_text(const char *path, const char *text) { write_bytes(path, text, strlen(text)); }

char *read_bytes(const char *path, size_t *size) {
  struct stat status;
  FILE *file = fopen(path, "rb");
  if (!file || fstat(fileno(file), &status) != 0) stop("read", path);
  *size = (size_t)status.st_size;
  char *bytes = malloc(*size + 1);
  if (!bytes || fread(bytes, 1, *size, file) != *size) stop("read", path);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}

int same_file(const char *a, const char *b) {
  size_t size_a, size_b;
  char *bytes_a = read_bytes(a, &size_a), *bytes_b = read_bytes(b, &size_b);
  int same = size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
  free(bytes_a);
  free(bytes_b);
  return same;
}

int exists(const char *path) { return access(path, F_OK) == 0; }

void make_folder(const char *path) {
  if (mkdir(path, 0777) != 0 && errno != EEXIST) stop("make the folder", path);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

char **list_files(const char *folder, size_t *found) {
  char **names = NULL;
  *found = 0;
  DIR *open_folder = opendir(folder);
  if (!open_folder) stop("list", folder);
  for (struct dirent *entry; (entry = readdir(open_folder));) {
    struct stat status;
    if (stat(path_in(folder, entry->d_name), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    names = realloc(names, (*found + 1) * sizeof *names);
    if (!names || !(names[*found] = strdup(entry->d_name))) stop("list", folder);
    (*found)++;
  }
  closedir(open_folder);
  if (names) qsort(names, *found, sizeof *names, by_name);
  return names;
}

void free_list(char **names, size_t found) {
  for (size_t i = 0; i < found; i++) free(names[i]);
  free(names);
}

void copy_folder(const char *from, const char *to) {
  size_t found;
  char **names = list_files(from, &found);
  make_folder(to);
  for (size_t i = 0; i < found; i++) {
    size_t size;
    char *bytes = read_bytes(path_in(from, names[i]), &size);
    write_bytes(path_in(to, names[i]), bytes, size);
    free(bytes);
  }
  free_list(names, found);
}

void remove_folder(const char *path) {
  if (!exists(path)) return;
  size_t found;
  char **names = list_files(path, &found);
  for (size_t i = 0; i < found; i++) unlink(path_in(path, names[i]));
  free_list(names, found);
  if (rmdir(path) != 0) stop("remove", path);
}
