/* engine_pool.h - the threads of an engine. */
#ifndef KLUERE_ENGINE_POOL_H
#define KLUERE_ENGINE_POOL_H
#include <stddef.h>

typedef void (*kk_pool_body)(void *context, size_t item, size_t worker);

/* workers >= 1: threads beside the caller; their indices are 1 ... workers. NULL when memory or threads ran out. */
struct kk_pool *kk_pool_create(size_t workers);
void kk_pool_destroy(struct kk_pool *pool);
/* Runs body for items [0, items) on the workers and the caller (index 0); returns when all have finished. */
void kk_pool_run(struct kk_pool *pool, size_t items, kk_pool_body body, void *context);
/* Whether a worker is looking for work, so that a region starts without waking anyone. */
int kk_pool_awake(struct kk_pool *pool);
#endif
