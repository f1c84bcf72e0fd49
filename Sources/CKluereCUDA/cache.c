/* cache.c - compiled kernels on disk, one file each: the image, then 32 bytes that are the SHA-256 of key and image. */
#define _GNU_SOURCE
#include "device.h"

#include "kluere_support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST = 32, LARGEST_IMAGE = 64 << 20 };

static void digest_of(const unsigned char key[DIGEST], const void *image, size_t bytes, unsigned char digest[DIGEST]) {
  kc_sha256 sha;
  kc_sha256_start(&sha);
  kc_sha256_add(&sha, key, DIGEST);
  kc_sha256_add(&sha, image, bytes);
  kc_sha256_finish(&sha, digest);
}

static int path_of(char path[PATH_MAX], const char *folder, const unsigned char key[DIGEST]) {
  char name[2 * DIGEST + 1];
  for (int i = 0; i < DIGEST; i++) snprintf(name + 2 * i, 3, "%02x", key[i]);
  int length = snprintf(path, PATH_MAX, "%s/%s.cubin", folder, name);
  return length > 0 && length < PATH_MAX;
}

static char *joined(const char *folder, const char *name) {
  size_t capacity = strlen(folder) + strlen(name) + 2;
  char *path = malloc(capacity);
  if (path) snprintf(path, capacity, "%s/%s", folder, name);
  return path;
}

/* Makes the folder and those above it. */
static int make_folders(char *path) {
  for (char *slash = path + 1; *path && (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = 0;
    ks_make_directory(path);
    *slash = '/';
  }
  ks_make_directory(path);
  return ks_path_kind(path) == KS_PATH_DIRECTORY;
}

char *kc_cache_folder(const char *wanted) {
  const char *variable = getenv("KLUERE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  char *folder = NULL;
  if (wanted && wanted[0]) {
    folder = joined(wanted, "");
  } else if (variable && variable[0]) {
    folder = joined(variable, "");
  } else if (xdg && xdg[0] == '/') {
    folder = joined(xdg, "kluere");
  } else if (home && home[0] == '/') {
    folder = joined(home, ".cache/kluere");
  }
  if (folder && !make_folders(folder)) {
    free(folder);
    return NULL;
  }
  return folder;
}

void *kc_cache_read(const char *folder, const unsigned char key[DIGEST], size_t *bytes) {
  char path[PATH_MAX];
  const uint8_t *data;
  size_t size;
  void *token, *image = NULL;
  unsigned char digest[DIGEST];
  *bytes = 0;
  if (!folder || !path_of(path, folder, key) || ks_map_file(path, 1, &data, &size, &token) != 0) return NULL;
  if (size > DIGEST && size <= LARGEST_IMAGE) {
    digest_of(key, data, size - DIGEST, digest);
    if (memcmp(digest, data + size - DIGEST, DIGEST) == 0) image = malloc(size - DIGEST);
    if (image) {
      memcpy(image, data, size - DIGEST);
      *bytes = size - DIGEST;
    }
  }
  ks_unmap_file(token);
  return image;
}

void kc_cache_write(const char *folder, const unsigned char key[DIGEST], const void *image, size_t bytes) {
  char path[PATH_MAX];
  unsigned char digest[DIGEST];
  if (!folder || bytes == 0 || bytes > LARGEST_IMAGE - DIGEST || !path_of(path, folder, key)) return;
  digest_of(key, image, bytes, digest);
  const ks_slice slices[] = {{image, bytes}, {digest, DIGEST}};
  ks_replace_file(path, slices, 2); /* not written: compiled again next time */
}
