// Looking at folders and removing them.
#define _GNU_SOURCE
#include "kluere_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int kind_of_mode(mode_t mode) {
  if (S_ISREG(mode)) return KS_PATH_FILE;
  return S_ISDIR(mode) ? KS_PATH_DIRECTORY : KS_PATH_OTHER;
}

int ks_path_kind(const char *path) {
  struct stat status;
  if (stat(path, &status) == 0) return kind_of_mode(status.st_mode);
  return errno == ENOENT || errno == ENOTDIR ? KS_PATH_ABSENT : -errno;
}

typedef int (*visit_fn)(void *userdata, const char *name, int kind);

// Returns 0 or errno; takes the descriptor over.
static int visit_entries(int descriptor, visit_fn visit, void *userdata) {
  DIR *folder = fdopendir(descriptor);
  if (!folder) {
    int error = errno;
    close(descriptor);
    return error;
  }
  int error = 0;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(folder);
    if (!entry) {
      error = errno;
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    struct stat status;
    if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      error = errno;
      break;
    }
    if (visit(userdata, entry->d_name, kind_of_mode(status.st_mode)) != 0) break;
  }
  closedir(folder);
  return error;
}

int ks_list_directory(const char *path, visit_fn visit, void *userdata) {
  int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return descriptor < 0 ? errno : visit_entries(descriptor, visit, userdata);
}

static int note_folder(void *userdata, const char *name, int kind) {
  (void)name;
  if (kind == KS_PATH_DIRECTORY) *(int *)userdata = 1;
  return kind == KS_PATH_DIRECTORY;
}

struct removal {
  int folder;
  int error;
};

static int remove_entry(void *userdata, const char *name, int kind) {
  struct removal *removal = userdata;
  (void)kind;
  if (unlinkat(removal->folder, name, 0) != 0 && errno != ENOENT) removal->error = errno;
  return removal->error;
}

static int remove_entries(int folder) {
  int has_folder = 0;
  int listing = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listing < 0) return errno;
  int error = visit_entries(listing, note_folder, &has_folder);
  if (error) return error;
  if (has_folder) return ENOTEMPTY;
  listing = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listing < 0) return errno;
  struct removal removal = {folder, 0};
  error = visit_entries(listing, remove_entry, &removal);
  return error ? error : removal.error;
}

int ks_remove_tree(const char *path) {
  struct stat status;
  if (lstat(path, &status) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISDIR(status.st_mode)) return unlink(path) == 0 ? 0 : errno;
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return errno;
  int error = remove_entries(folder);
  close(folder);
  if (error) return error;
  return rmdir(path) == 0 ? 0 : errno;
}
