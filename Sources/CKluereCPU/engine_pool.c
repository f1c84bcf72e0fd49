/* engine_pool.c - threads that share out the items of one region at a time.
 *
 * A region is over when its items have finished, not when the workers have noticed it: the caller claims items like any
 * worker, so a worker that wakes late costs nothing. Claims go through one 64-bit ticket, generation << 32 | items not
 * yet claimed. A worker reads the ticket, then the region, then claims by compare-and-swap, only if items are left. If
 * the swap succeeds, that generation still had an unclaimed item, so it was not over, its region could not have been
 * replaced, and what was read belongs to the item. If it fails, the worker starts over. (The items left have to be in
 * the ticket: compared with a count beside it, the next region's count could revive a finished generation.) */
#define _GNU_SOURCE
#include "engine_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* A worker without work looks for some this long before it sleeps: the gaps between operations of a forward pass are
 * shorter. A caller waits as long for the last items before it sleeps. */
enum { KK_SPIN_NANOSECONDS = 60000, KK_SPINS_PER_LOOK = 32 };
/* Items of one ticket; larger regions are run in pieces. */
#define KK_LARGEST_REGION ((size_t)1 << 31)

typedef struct kk_pool_thread {
  struct kk_pool *pool;
  size_t index;
  pthread_t thread;
} kk_pool_thread;

struct kk_pool {
  _Alignas(64) _Atomic(uint64_t) ticket;
  _Alignas(64) _Atomic(uint64_t) finished; /* items of the region */
  /* The region, written before its ticket. */
  _Alignas(64) _Atomic(kk_pool_body) body;
  _Atomic(void *) context;
  _Atomic(size_t) first; /* added to the item */
  _Atomic(uint64_t) items;
  _Alignas(64) _Atomic(int) sleepers; /* workers at `work_condition`, or about to be */
  _Atomic(int) caller_waits;
  _Atomic(int) stop;
  pthread_mutex_t mutex;
  pthread_cond_t work_condition, done_condition;
  unsigned forks; /* of the process when the threads started */
  size_t workers;
  kk_pool_thread *threads;
};

/* A forked child has none of the threads: a pool from before the fork runs everything on the caller. */
static _Atomic(unsigned) kk_forks;
static pthread_once_t kk_fork_once = PTHREAD_ONCE_INIT;
static void kk_count_fork(void) { atomic_fetch_add(&kk_forks, 1); }
static void kk_watch_forks(void) { (void)pthread_atfork(NULL, NULL, kk_count_fork); }

static inline void kk_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}
static int64_t kk_nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline uint32_t kk_generation(uint64_t ticket) { return (uint32_t)(ticket >> 32); }

/* Claims and runs items until none is left; returns the generation of which none was left. */
static uint32_t kk_pool_work(struct kk_pool *pool, size_t worker) {
  uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
  for (;;) {
    uint32_t left = (uint32_t)ticket;
    if (left == 0) return kk_generation(ticket);
    kk_pool_body body = atomic_load_explicit(&pool->body, memory_order_relaxed);
    void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
    size_t first = atomic_load_explicit(&pool->first, memory_order_relaxed);
    uint64_t items = atomic_load_explicit(&pool->items, memory_order_relaxed);
    if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1, memory_order_acq_rel,
                                               memory_order_acquire))
      continue;
    body(context, first + (size_t)(items - left), worker);
    /* Sequentially consistent, as is the waiting caller's: one of the two sees the other. */
    if (atomic_fetch_add(&pool->finished, 1) + 1 == items && atomic_load(&pool->caller_waits)) {
      pthread_mutex_lock(&pool->mutex);
      pthread_mutex_unlock(&pool->mutex);
      pthread_cond_signal(&pool->done_condition);
    }
    ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
  }
}

/* Waits until a generation other than `seen` starts. 0: the pool stops. */
static int kk_pool_wait(struct kk_pool *pool, uint32_t seen) {
  int64_t end = kk_nanoseconds() + KK_SPIN_NANOSECONDS;
  do {
    for (int i = 0; i < KK_SPINS_PER_LOOK; i++) {
      if (kk_generation(atomic_load_explicit(&pool->ticket, memory_order_acquire)) != seen) return 1;
      kk_pause();
    }
    if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) return 0;
  } while (kk_nanoseconds() < end);
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (kk_generation(atomic_load(&pool->ticket)) == seen && !atomic_load(&pool->stop))
    pthread_cond_wait(&pool->work_condition, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return !atomic_load(&pool->stop);
}

static void *kk_pool_thread_main(void *argument) {
  kk_pool_thread *self = argument;
  uint32_t seen;
  do seen = kk_pool_work(self->pool, self->index);
  while (kk_pool_wait(self->pool, seen));
  return NULL;
}

static void kk_pool_run_piece(struct kk_pool *pool, size_t first, uint64_t items, kk_pool_body body, void *context) {
  atomic_store_explicit(&pool->finished, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->body, body, memory_order_relaxed);
  atomic_store_explicit(&pool->context, context, memory_order_relaxed);
  atomic_store_explicit(&pool->first, first, memory_order_relaxed);
  atomic_store_explicit(&pool->items, items, memory_order_relaxed);
  uint32_t generation = kk_generation(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) + 1;
  atomic_store(&pool->ticket, (uint64_t)generation << 32 | items);

  int sleepers = atomic_load(&pool->sleepers);
  if (sleepers > 0) {
    /* A worker holds the mutex from its look at the ticket until it sleeps. */
    pthread_mutex_lock(&pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    for (uint64_t woken = 0; woken < (uint64_t)sleepers && woken + 1 < items; woken++)
      pthread_cond_signal(&pool->work_condition);
  }

  (void)kk_pool_work(pool, 0);

  int64_t end = 0;
  for (int spins = 0; atomic_load_explicit(&pool->finished, memory_order_acquire) != items; spins++) {
    kk_pause();
    if (spins % KK_SPINS_PER_LOOK) continue;
    int64_t now = kk_nanoseconds();
    if (!end) end = now + KK_SPIN_NANOSECONDS;
    if (now < end) continue;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_waits, 1);
    while (atomic_load(&pool->finished) != items) pthread_cond_wait(&pool->done_condition, &pool->mutex);
    atomic_store(&pool->caller_waits, 0);
    pthread_mutex_unlock(&pool->mutex);
  }
}

void kk_pool_run(struct kk_pool *pool, size_t items, kk_pool_body body, void *context) {
  if (pool->forks != atomic_load_explicit(&kk_forks, memory_order_relaxed)) {
    for (size_t item = 0; item < items; item++) body(context, item, 0);
    return;
  }
  for (size_t first = 0; first < items;) {
    size_t piece = items - first < KK_LARGEST_REGION ? items - first : KK_LARGEST_REGION;
    kk_pool_run_piece(pool, first, piece, body, context);
    first += piece;
  }
}

int kk_pool_awake(struct kk_pool *pool) {
  return (size_t)atomic_load_explicit(&pool->sleepers, memory_order_relaxed) < pool->workers;
}

/* Stops and joins the first `started` threads. */
static void kk_pool_join(struct kk_pool *pool, size_t started) {
  atomic_store(&pool->stop, 1);
  pthread_mutex_lock(&pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
  pthread_cond_broadcast(&pool->work_condition);
  for (size_t i = 0; i < started; i++) pthread_join(pool->threads[i].thread, NULL);
}

static void kk_pool_free(struct kk_pool *pool) {
  pthread_cond_destroy(&pool->done_condition);
  pthread_cond_destroy(&pool->work_condition);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->threads);
  free(pool);
}

struct kk_pool *kk_pool_create(size_t workers) {
  pthread_once(&kk_fork_once, kk_watch_forks);
  struct kk_pool *pool = aligned_alloc(_Alignof(struct kk_pool), sizeof *pool);
  if (!pool) return NULL;
  *pool = (struct kk_pool){.forks = atomic_load(&kk_forks), .workers = workers};
  pool->threads = calloc(workers, sizeof *pool->threads);
  if (!pool->threads) {
    free(pool);
    return NULL;
  }
  /* With default attributes these allocate nothing and cannot fail. */
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->work_condition, NULL);
  pthread_cond_init(&pool->done_condition, NULL);

  /* Threads inherit the mask: the host's signals are handled on the host's threads. */
  sigset_t all, before;
  sigfillset(&all);
  int masked = pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  size_t started = 0;
  for (; masked && started < workers; started++) {
    kk_pool_thread *thread = &pool->threads[started];
    thread->pool = pool;
    thread->index = started + 1;
    if (pthread_create(&thread->thread, NULL, kk_pool_thread_main, thread) != 0) break;
    (void)pthread_setname_np(thread->thread, "kluere");
  }
  if (masked) pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started == workers) return pool;
  kk_pool_join(pool, started);
  kk_pool_free(pool);
  return NULL;
}

void kk_pool_destroy(struct kk_pool *pool) {
  if (!pool) return;
  if (pool->forks != atomic_load(&kk_forks)) {
    /* The threads and their locks are the parent's; only the memory is ours. */
    free(pool->threads);
    free(pool);
    return;
  }
  kk_pool_join(pool, pool->workers);
  kk_pool_free(pool);
}
