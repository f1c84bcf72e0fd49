/* engine.c - an engine: its instruction set, its threads, and memory that the operations reuse. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "elementwise.h"
#include "engine_internal.h"
#include "engine_pool.h"
#include "gemm.h"
#include "quantized.h"

enum {
  KK_MOST_THREADS = 1024,
  KK_HUGE_PAGE = 2 << 20, /* bytes */
  KK_MOST_PACKED = 1 << 20, /* floats */
  /* Estimated microseconds of a region on one thread, above which a second thread pays: asleep or awake. */
  KK_WAKE_MICROSECONDS = 25,
  KK_SHARE_MICROSECONDS = 4,
};

/* 0, or 1 when memory ran out; the buffer is then empty. */
static int kk_buffer_reserve(kk_buffer *buffer, size_t floats) {
  if (floats <= buffer->floats) return 0;
  free(buffer->data);
  *buffer = (kk_buffer){0};
  /* A quarter more than asked, so that slowly growing batches do not allocate at every step. */
  if (floats > SIZE_MAX / 16) return 1;
  size_t bytes = (floats + floats / 4 + 16) * sizeof(float), alignment = 64;
  if (bytes >= KK_HUGE_PAGE) alignment = KK_HUGE_PAGE;
  bytes = (bytes + alignment - 1) / alignment * alignment;
  void *data = NULL;
  if (posix_memalign(&data, alignment, bytes) != 0) return 1;
  /* Packed panels are read all over: with pages of 4 KiB the address translation would cost. Only a hint. */
  if (alignment == KK_HUGE_PAGE) (void)madvise(data, bytes, MADV_HUGEPAGE);
  *buffer = (kk_buffer){data, bytes / sizeof(float)};
  return 0;
}

kk_engine *kk_engine_create(int isa, int threads) {
  if (threads < 1 || threads > KK_MOST_THREADS || !kk_isa_supported(isa)) return NULL;
  if (isa == KK_ISA_AUTO) isa = kk_isa_best();
  kk_engine *engine = calloc(1, sizeof *engine);
  if (!engine) return NULL;
  engine->isa = isa;
  engine->threads = threads;
  engine->most_packed = KK_MOST_PACKED;
  engine->elementwise = kk_elementwise_table_for(isa);
  engine->gemm = kk_gemm_table_for(isa);
  engine->quantized = kk_quantized_table_for(isa);
  engine->workers = aligned_alloc(_Alignof(kk_worker), (size_t)threads * sizeof(kk_worker));
  if (engine->workers)
    for (int i = 0; i < threads; i++) engine->workers[i] = (kk_worker){.scratch = {0}};
  if (engine->workers && threads > 1) engine->pool = kk_pool_create((size_t)threads - 1);
  if (!engine->elementwise || !engine->gemm || !engine->quantized || !engine->workers ||
      (threads > 1 && !engine->pool)) {
    kk_engine_destroy(engine);
    return NULL;
  }
  return engine;
}

void kk_engine_destroy(kk_engine *engine) {
  if (!engine) return;
  kk_pool_destroy(engine->pool);
  if (engine->workers)
    for (int i = 0; i < engine->threads; i++) free(engine->workers[i].scratch.data);
  free(engine->workers);
  free(engine->scratch.data);
  free(engine);
}

void kk_engine_limit_packing(kk_engine *engine, size_t floats) { engine->most_packed = floats; }

int kk_engine_threads(const kk_engine *engine) { return engine->threads; }
int kk_engine_isa(const kk_engine *engine) { return engine->isa; }

float *kk_scratch(kk_engine *engine, size_t floats) {
  return kk_buffer_reserve(&engine->scratch, floats ? floats : 1) ? NULL : engine->scratch.data;
}

float *kk_worker_scratch(kk_engine *engine, size_t worker, size_t floats) {
  kk_buffer *buffer = &engine->workers[worker].scratch;
  return kk_buffer_reserve(buffer, floats ? floats : 1) ? NULL : buffer->data;
}

int kk_reserve_worker_scratch(kk_engine *engine, size_t floats) {
  for (int i = 0; i < engine->threads; i++)
    if (!kk_worker_scratch(engine, (size_t)i, floats)) return 1;
  return 0;
}

void kk_parallel_workers(kk_engine *engine, size_t items, void (*body)(void *context, size_t item, size_t worker),
                         void *context) {
  if (engine->pool && items > 1) {
    kk_pool_run(engine->pool, items, body, context);
    return;
  }
  for (size_t item = 0; item < items; item++) body(context, item, 0);
}

void kk_parallel_estimated(kk_engine *engine, size_t items, double microseconds,
                           void (*body)(void *context, size_t item, size_t worker), void *context) {
  if (engine->pool && items > 1 &&
      microseconds >= (kk_pool_awake(engine->pool) ? KK_SHARE_MICROSECONDS : KK_WAKE_MICROSECONDS)) {
    kk_pool_run(engine->pool, items, body, context);
    return;
  }
  for (size_t item = 0; item < items; item++) body(context, item, 0);
}

typedef struct kk_plain_region {
  void (*body)(void *context, size_t item);
  void *context;
} kk_plain_region;
static void kk_plain_item(void *context, size_t item, size_t worker) {
  (void)worker;
  const kk_plain_region *region = context;
  region->body(region->context, item);
}
void kk_parallel(kk_engine *engine, size_t items, void (*body)(void *context, size_t item), void *context) {
  kk_plain_region region = {body, context};
  kk_parallel_workers(engine, items, kk_plain_item, &region);
}
