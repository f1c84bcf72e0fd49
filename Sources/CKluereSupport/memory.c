#define _GNU_SOURCE
#include "kluere_support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *ks_allocate(size_t bytes) {
  void *memory = NULL;
  if (bytes > PTRDIFF_MAX) return NULL;
  // A whole number of cache lines: kernels may read, never write, the rest of the last one.
  size_t padded = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
  return posix_memalign(&memory, 64, padded) == 0 ? memory : NULL;
}

void ks_free(void *memory) { free(memory); }

// ---- Zeroed memory --------------------------------------------------------------------------------------------------

enum { LARGE = 4 << 20, HUGE_PAGE = 2 << 20, HEADER = 64 };

// Stands right before what the caller gets.
struct block {
  void *start;
  size_t mapped;  // bytes from start, 0 if it came from the heap
};

static struct block *block_of(void *memory) { return (struct block *)((char *)memory - HEADER); }

static void *place(char *start, size_t alignment, size_t mapped) {
  uintptr_t begin = ((uintptr_t)start + HEADER + alignment - 1) / alignment * alignment;
  void *memory = start + (begin - (uintptr_t)start);
  *block_of(memory) = (struct block){start, mapped};
  return memory;
}

void *ks_allocate_zeroed(size_t bytes) {
  if (bytes > PTRDIFF_MAX - 2 * HUGE_PAGE) return NULL;
  if (bytes < LARGE) {
    char *start = ks_allocate(bytes + HEADER);
    if (!start) return NULL;
    void *memory = place(start, 64, 0);
    memset(memory, 0, bytes);
    return memory;
  }
  // Fresh pages are zero as they come, and come when they are touched.
  size_t mapped = bytes + 2 * HUGE_PAGE;
  void *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  void *memory = place(start, HUGE_PAGE, mapped);
#ifdef MADV_HUGEPAGE
  // Only a hint: with pages of 4 KiB the faults cost more than the work on what they bring.
  (void)madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
  return memory;
}

void ks_free_zeroed(void *memory) {
  if (!memory) return;
  struct block block = *block_of(memory);
  if (block.mapped) {
    (void)munmap(block.start, block.mapped);
  } else {
    ks_free(block.start);
  }
}
