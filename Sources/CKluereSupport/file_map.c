#define _GNU_SOURCE
#include "kluere_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file_bytes {
  void *memory; // NULL for an empty file
  size_t size;
  int mapped;
};

static const uint8_t no_bytes[1];

// Reads until size bytes are there or the file ends: it may have become shorter since fstat.
static int read_whole(int descriptor, uint8_t *memory, size_t *size) {
  size_t done = 0;
  while (done < *size) {
    ssize_t got = read(descriptor, memory + done, *size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    done += (size_t)got;
  }
  *size = done;
  return 0;
}

static int take_bytes(int descriptor, int copy_into_memory, struct file_bytes *bytes) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (!S_ISREG(status.st_mode)) return EINVAL;
  if (status.st_size == 0) return 0;
  if (status.st_size < 0 || (uintmax_t)status.st_size > PTRDIFF_MAX) return EFBIG;
  bytes->size = (size_t)status.st_size;
  if (copy_into_memory) {
    bytes->memory = ks_allocate(bytes->size);
    return bytes->memory ? read_whole(descriptor, bytes->memory, &bytes->size) : ENOMEM;
  }
  void *memory = mmap(NULL, bytes->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory == MAP_FAILED) return errno;
  bytes->memory = memory;
  bytes->mapped = 1;
  return 0;
}

int ks_map_file(const char *path, int copy_into_memory, const uint8_t **data, size_t *size, void **token) {
  struct file_bytes *bytes = calloc(1, sizeof *bytes);
  if (!bytes) return ENOMEM;
  // O_NONBLOCK: a named pipe without a writer is refused below instead of waited for.
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  int error = descriptor < 0 ? errno : take_bytes(descriptor, copy_into_memory, bytes);
  if (descriptor >= 0) close(descriptor);
  if (error) {
    ks_unmap_file(bytes);
    return error;
  }
  *data = bytes->size > 0 ? bytes->memory : no_bytes;
  *size = bytes->size;
  *token = bytes;
  return 0;
}

void ks_unmap_file(void *token) {
  struct file_bytes *bytes = token;
  if (!bytes) return;
  if (bytes->mapped) {
    munmap(bytes->memory, bytes->size);
  } else {
    ks_free(bytes->memory);
  }
  free(bytes);
}

void ks_release_pages(const void *data, size_t size) {
  long page = sysconf(_SC_PAGESIZE);
  if (page <= 0) return;
  uintptr_t mask = (uintptr_t)page - 1, begin = (uintptr_t)data, end = begin + size;
  uintptr_t first = (begin + mask) & ~mask, last = end & ~mask;
  // A private mapping that nobody writes: what goes is the reference to the page, not data.
  if (first < last) (void)madvise((void *)first, last - first, MADV_DONTNEED);
}
