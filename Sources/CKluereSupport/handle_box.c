#include "kluere_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct box {
  _Atomic uint32_t kind; // 0: not alive
  uint32_t reserved;
  void *object;           // under lock
  _Atomic(ks_flag *) flag;
  struct box *next_free;  // under lock
};

// Slab i holds FIRST_SLAB << i boxes, so that a look-up by address compares with a handful of ranges. A slab's size
// never changes and its pointer is written once: readers need no lock.
enum { FIRST_SLAB = 1024, SLAB_COUNT = 21 };
static _Atomic(struct box *) slabs[SLAB_COUNT];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// All under lock: the boxes given out of the newest slab, and the destroyed ones, oldest first.
static size_t slabs_in_use, used_of_newest;
static struct box *oldest_free, *newest_free;
static size_t free_count;

static size_t boxes_of(size_t slab) { return (size_t)FIRST_SLAB << slab; }

// The box at this address if there is one; reads only the table.
static struct box *box_at(const void *pointer) {
  uintptr_t address = (uintptr_t)pointer;
  for (size_t i = 0; i < SLAB_COUNT; i++) {
    struct box *slab = atomic_load(&slabs[i]);
    if (!slab) return NULL;
    uintptr_t first = (uintptr_t)slab;
    if (address < first || address - first >= boxes_of(i) * sizeof(struct box)) continue;
    size_t offset = address - first;
    return offset % sizeof(struct box) == 0 ? slab + offset / sizeof(struct box) : NULL;
  }
  return NULL;
}

static struct box *take_box(void) {
  if (free_count > KS_BOX_QUARANTINE) {
    struct box *box = oldest_free;
    oldest_free = box->next_free;
    free_count--;
    return box;
  }
  if (slabs_in_use == 0 || used_of_newest == boxes_of(slabs_in_use - 1)) {
    if (slabs_in_use == SLAB_COUNT) return NULL;
    struct box *slab = calloc(boxes_of(slabs_in_use), sizeof(struct box));
    if (!slab) return NULL;
    atomic_store(&slabs[slabs_in_use], slab);
    slabs_in_use++;
    used_of_newest = 0;
  }
  return atomic_load(&slabs[slabs_in_use - 1]) + used_of_newest++;
}

void *ks_box_create(uint32_t kind, void *object, ks_flag *flag) {
  pthread_mutex_lock(&lock);
  struct box *box = take_box();
  if (box) {
    box->object = object;
    box->next_free = NULL;
    atomic_store(&box->flag, flag);
    atomic_store(&box->kind, kind);
  }
  pthread_mutex_unlock(&lock);
  return box;
}

void *ks_box_object(const void *pointer, uint32_t kind, void (*retain)(void *object)) {
  struct box *box = box_at(pointer);
  if (!box || kind == 0) return NULL;
  void *object = NULL;
  pthread_mutex_lock(&lock);
  if (atomic_load(&box->kind) == kind) {
    object = box->object;
    retain(object);
  }
  pthread_mutex_unlock(&lock);
  return object;
}

void *ks_box_destroy(void *pointer, uint32_t kind) {
  struct box *box = box_at(pointer);
  if (!box || kind == 0) return NULL;
  void *object = NULL;
  pthread_mutex_lock(&lock);
  if (atomic_load(&box->kind) == kind) {
    object = box->object;
    atomic_store(&box->kind, 0);
    atomic_store(&box->flag, NULL);
    box->object = NULL;
    box->next_free = NULL;
    if (free_count == 0) {
      oldest_free = box;
    } else {
      newest_free->next_free = box;
    }
    newest_free = box;
    free_count++;
  }
  pthread_mutex_unlock(&lock);
  return object;
}

int ks_box_raise(const void *pointer, uint32_t kind) {
  struct box *box = box_at(pointer);
  if (!box || kind == 0 || atomic_load(&box->kind) != kind) return 0;
  ks_flag *flag = atomic_load(&box->flag);
  if (flag) ks_flag_set(flag, 1);
  return flag != NULL;
}
