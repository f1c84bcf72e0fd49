/* operation.h - what the operations share: the kernel for a number type, alignment, masks, grids. */
#ifndef KLUERE_CUDA_OPERATION_H
#define KLUERE_CUDA_OPERATION_H
#include <stdint.h>

#include "engine.h"
#include "kernels/parameters.h"

#define KC_WIDEST 8192 /* columns of a row in row-wise kernels: 8 for each of 1024 threads */
#define KC_MOST_BLOCKS 0x7fffffffu
#define KC_BLOCK_ELEMENTS (256 * 8) /* of a block of a kernel on elements */

/* The kernel of this name for a number type; TF32 is stored as F32. */
#define KC_KERNEL_FOR(name, type)                                                                                      \
  ((type) == KC_BF16 ? KC_K_##name##_bf16 : (type) == KC_F16 ? KC_K_##name##_f16 : KC_K_##name##_f32)
/* The kernel for 16-bit or F32 values beside a stream of stream_type. */
#define KC_KERNEL_FOR_STREAM(name, type, stream_type)                                                                  \
  (!kc_is_half(type) || kc_is_half(stream_type) ? KC_KERNEL_FOR(name, type)                                            \
   : (type) == KC_BF16                          ? KC_K_##name##_bf16_f32                                               \
                                                : KC_K_##name##_f16_f32)

static inline int kc_same_storage(int a, int b) { return a == b || (!kc_is_half(a) && !kc_is_half(b)); }
/* A stream has its values' type or fp32. */
static inline int kc_stream_fits(int type, int stream_type) {
  return kc_same_storage(type, stream_type) || !kc_is_half(stream_type);
}

static inline size_t kc_divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

/* Whether rows of this width, of arrays whose addresses are or-ed together, can be moved in whole words. NULL is 0. */
static inline int kc_aligned(uintptr_t addresses) { return addresses % 16 == 0; }
static inline int kc_vectors(size_t width, uintptr_t addresses) { return width % 8 == 0 && kc_aligned(addresses); }
static inline uintptr_t kc_address(const void *array) { return (uintptr_t)array; }

static inline kc_mask kc_mask_of(const kc_dropout *dropout) {
  kc_mask mask = {0};
  if (dropout == NULL || dropout->threshold == 0) return mask;
  mask.seed = dropout->seed;
  mask.sample = dropout->sample;
  mask.position = dropout->position;
  mask.threshold = dropout->threshold;
  mask.site = dropout->site;
  mask.scale = 65536.0f / (float)(65536u - dropout->threshold);
  return mask;
}

/* Warps of a row of 8 columns a thread, and how many such rows a block has. */
static inline unsigned kc_row_warps(size_t width) { return (unsigned)kc_divide_up(width, 256); }
static inline unsigned kc_block_slots(unsigned warps) { return warps < 4 ? 4 / warps : 1; }
/* Threads for one row of 8 columns a thread. */
static inline unsigned kc_row_threads(size_t width) {
  size_t threads = 32 * (size_t)kc_row_warps(width);
  return threads < 1024 ? (unsigned)threads : 1024;
}

/* elementwise.c: kc_activate without its enclosing kc_enter; KC_ACT_NONE copies. */
int kc_activate_values(kc_device *device, int activation_kind, kc_array y, kc_array x, size_t count);
/* norm.c: to[k] += column sums of from[k] [rows, width], for k < arrays <= 2. */
int kc_add_column_sums(kc_device *device, float *const *to, const float *const *from, unsigned arrays, size_t rows,
                       size_t width);
/* norm.c: column sums of x [rows, width] in two stages. Scratch floats for the first: kc_column_sums_scratch. selector:
 * NULL, or only the rows whose selector is `selected`. */
size_t kc_column_sums_scratch(size_t rows, size_t width);
int kc_column_sums(kc_device *device, float *to, kc_array x, const int32_t *selector, int32_t selected, size_t rows,
                   size_t width, float *scratch);
/* norm.c: the norm's backward without its enclosing kc_enter; scratch: kc_norm_scratch floats. */
typedef struct kc_norm_gradient {
  kc_array dx, dsum, dy, xhat;
  float *dgain, *dbias;
  const float *rstd, *gain;
  size_t rows, width;
  int mask_first; /* dropout came after the norm */
  const kc_dropout *dropout;
} kc_norm_gradient;
size_t kc_norm_scratch(const kc_device *device, size_t rows, size_t width);
int kc_norm_backward(kc_device *device, const kc_norm_gradient *gradient, float *scratch);
#endif
