#define _GNU_SOURCE
#include "kluere_support.h"

#include <stdlib.h>

void *ks_allocate(size_t bytes) {
  void *memory = NULL;
  if (bytes > PTRDIFF_MAX) return NULL;
  // A whole number of cache lines: kernels may read, never write, the rest of the last one.
  size_t padded = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
  return posix_memalign(&memory, 64, padded) == 0 ? memory : NULL;
}

void ks_free(void *memory) { free(memory); }
