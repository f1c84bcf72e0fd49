#define _GNU_SOURCE
#include "kluere_support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// One write is kept under 2 GiB: Linux writes no more at once.
enum { LARGEST_WRITE = 1 << 30 };

static int write_slice(int descriptor, const ks_slice *slice) {
  const char *next = slice->data;
  size_t left = slice->size;
  while (left > 0) {
    ssize_t written = write(descriptor, next, left < LARGEST_WRITE ? left : LARGEST_WRITE);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    next += written;
    left -= (size_t)written;
  }
  return 0;
}

static int check_size_limit(const ks_slice *slices, size_t count) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  rlim_t left = limit.rlim_cur;
  for (size_t i = 0; i < count; i++) {
    if (slices[i].size > left) return EFBIG;
    left -= slices[i].size;
  }
  return 0;
}

// mode: of the new file, before the umask; exact if it is that of a file to be replaced.
static int write_new_file(const char *path, const ks_slice *slices, size_t count, mode_t mode, int exact_mode) {
  int error = check_size_limit(slices, count);
  if (error) return error;
  int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) return errno;
  if (exact_mode && fchmod(descriptor, mode) != 0) error = errno;
  for (size_t i = 0; i < count && !error; i++) error = write_slice(descriptor, &slices[i]);
  if (!error && fsync(descriptor) != 0) error = errno;
  if (close(descriptor) != 0 && !error && errno != EINTR) error = errno;
  if (error) unlink(path);
  return error;
}

int ks_write_file(const char *path, const ks_slice *slices, size_t count) {
  return write_new_file(path, slices, count, 0666, 0);
}

static int sync_parent(const char *path) {
  char *copy = strdup(path);
  if (!copy) return ENOMEM;
  size_t length = strlen(copy);
  while (length > 1 && copy[length - 1] == '/') copy[--length] = 0;
  char *slash = strrchr(copy, '/');
  const char *parent = ".";
  if (slash == copy) {
    parent = "/";
  } else if (slash) {
    *slash = 0;
    parent = copy;
  }
  int error = ks_sync_directory(parent);
  free(copy);
  return error;
}

int ks_replace_file(const char *path, const ks_slice *slices, size_t count) {
  static atomic_uint counter;
  char *target = NULL, *temporary = NULL;
  struct stat status;
  mode_t mode = 0666;
  int error = 0, exact_mode = 0;
  if (lstat(path, &status) == 0) {
    target = realpath(path, NULL);
    if (!target || stat(target, &status) != 0) {
      error = errno;
    } else if (!S_ISREG(status.st_mode)) {
      error = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    }
    mode = status.st_mode & 07777;
    exact_mode = 1;
  } else if (errno == ENOENT) {
    target = strdup(path);
    if (!target) error = ENOMEM;
  } else {
    error = errno;
  }
  if (!error && asprintf(&temporary, "%s.tmp-%d-%u", target, (int)getpid(), atomic_fetch_add(&counter, 1)) < 0) {
    temporary = NULL;
    error = ENOMEM;
  }
  if (!error) error = write_new_file(temporary, slices, count, mode, exact_mode);
  if (!error && rename(temporary, target) != 0) {
    error = errno;
    unlink(temporary);
  }
  if (!error) error = sync_parent(target);
  free(temporary);
  free(target);
  return error;
}

int ks_make_directory(const char *path) { return mkdir(path, 0777) == 0 ? 0 : errno; }

int ks_sync_directory(const char *path) {
  int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  int error = fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
  close(descriptor);
  return error;
}

// Three renames, for file systems without RENAME_EXCHANGE.
static int swap_by_renaming(const char *temporary, const char *final_path) {
  char *old = NULL;
  if (asprintf(&old, "%s.old-%d", final_path, (int)getpid()) < 0) return ENOMEM;
  int error = 0;
  if (rename(final_path, old) != 0) {
    error = errno;
  } else if (rename(temporary, final_path) != 0) {
    error = errno;
    rename(old, final_path);
  } else if (rename(old, temporary) != 0) {
    error = errno;
  }
  free(old);
  return error;
}

int ks_swap_directories(const char *temporary, const char *final_path) {
  struct stat status;
  int error = 0;
  if (lstat(final_path, &status) != 0) {
    if (errno != ENOENT) return errno;
    error = rename(temporary, final_path) == 0 ? 0 : errno;
    return error ? error : sync_parent(final_path);
  }
  // A link to a folder stays a link: the folder behind it is exchanged.
  char *target = realpath(final_path, NULL);
  if (!target || stat(target, &status) != 0) {
    error = errno;
  } else if (!S_ISDIR(status.st_mode)) {
    error = ENOTDIR;
  } else if (renameat2(AT_FDCWD, temporary, AT_FDCWD, target, RENAME_EXCHANGE) != 0) {
    error = errno == ENOSYS || errno == EINVAL ? swap_by_renaming(temporary, target) : errno;
  }
  if (!error) error = sync_parent(target);
  free(target);
  return error;
}
