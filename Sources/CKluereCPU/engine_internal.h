/* engine_internal.h - what the operations of this target know of an engine. */
#ifndef KLUERE_ENGINE_INTERNAL_H
#define KLUERE_ENGINE_INTERNAL_H
#include <stddef.h>

#include "include/kluere_cpu.h"

struct kk_elementwise_table; /* elementwise.h */
struct kk_gemm_table;        /* gemm.h */
struct kk_pool;              /* engine.c */
struct kk_quantized_table;   /* quantized.h */

typedef struct kk_buffer {
  float *data;
  size_t floats;
} kk_buffer;

/* Scratch of one worker, alone on its cache line: workers grow theirs at the same time. */
typedef struct kk_worker {
  _Alignas(64) kk_buffer scratch;
  size_t common; /* number of the chunk (product.c) or 8-bit product (quantized.c) whose common operand is in it */
} kk_worker;

struct kk_engine {
  int isa;
  int threads; /* the caller's included */
  const struct kk_elementwise_table *elementwise;
  const struct kk_gemm_table *gemm;
  const struct kk_quantized_table *quantized;
  kk_buffer scratch;
  kk_worker *workers; /* [threads] */
  struct kk_pool *pool; /* NULL with one thread */
  size_t most_packed;   /* floats: kk_engine_limit_packing */
  size_t products;      /* so far, and their chunks: the numbers above */
};

/* Memory of at least `floats` floats, 64-byte aligned, contents undefined; NULL when memory ran out. It belongs to the
 * engine, is valid until the next call, and only grows: a steady loop allocates nothing. Not from inside a region. */
float *kk_scratch(kk_engine *engine, size_t floats);
/* The same for one worker; from inside a region only with the running worker's index. */
float *kk_worker_scratch(kk_engine *engine, size_t worker, size_t floats);
/* Grows every worker's scratch before a region, which then cannot run out of memory. 0, or 1. */
int kk_reserve_worker_scratch(kk_engine *engine, size_t floats);

/* Calls body(context, item, worker) once for each item in [0, items) and returns when all are done. worker is in
 * [0, threads); no two items run at the same time under one worker. The caller is worker 0. */
void kk_parallel_workers(kk_engine *engine, size_t items, void (*body)(void *context, size_t item, size_t worker),
                         void *context);
/* The same, on the calling thread alone when the whole region takes less than about `microseconds` that waking another
 * thread would cost. Give an estimate for one thread. */
void kk_parallel_estimated(kk_engine *engine, size_t items, double microseconds,
                           void (*body)(void *context, size_t item, size_t worker), void *context);

/* linear.c: products with weights of 16 bits; quantized.c: of 8. The public functions choose by the form. */
size_t kk_packed_half_size(const kk_engine *engine, size_t out, size_t in);
void kk_pack_half(kk_engine *engine, uint16_t *packed, const uint16_t *w, size_t out, size_t in);
int kk_linear_half(kk_engine *engine, float *y, const float *x, const uint16_t *packed, const float *bias, size_t rows,
                   size_t out, size_t in, int activation, int form);
size_t kk_packed_s8_size(const kk_engine *engine, size_t out, size_t in);
void kk_pack_s8(kk_engine *engine, void *packed, const int8_t *w, const float *scales, size_t out, size_t in);
int kk_linear_s8(kk_engine *engine, float *y, const float *x, const void *packed, const float *bias, size_t rows,
                 size_t out, size_t in, int activation);
#endif
