/* attention.c - attention on packed sequences: which kernels, how many blocks, how much shared memory. */
#include <math.h>

#include "operation.h"

#define WIDEST_HEAD 256
#define WIDEST_NARROW 64 /* of the general kernels with 4 rows to a warp */

typedef struct call {
  kc_attention_parameters p;
  int type;
  const kc_attention_input *in;
} call;

static int make_call(kc_device *device, call *c, const kc_attention_input *in, const kc_dropout *dropout) {
  if (in->head_width == 0 || in->head_width > WIDEST_HEAD || in->heads > 65535)
    return kc_fail(device, KC_UNSUPPORTED, "%zu heads of width %zu; at most 65535 of width 1 to %d", in->heads,
                   in->head_width, WIDEST_HEAD);
  if (!kc_same_storage(in->queries.type, in->keys.type))
    return kc_fail(device, KC_UNSUPPORTED, "attention of queries of type %d to keys of type %d", in->queries.type,
                   in->keys.type);
  c->in = in;
  c->type = in->queries.type;
  c->p.queries = in->queries.data;
  c->p.keys = in->keys.data;
  c->p.query_stride = in->query_stride;
  c->p.key_stride = in->key_stride;
  c->p.query_offsets = in->query_offsets;
  c->p.key_offsets = in->key_offsets;
  c->p.texts = in->texts;
  c->p.rows = in->rows;
  c->p.heads = (unsigned)in->heads;
  c->p.head_width = (unsigned)in->head_width;
  c->p.scale = (float)(1.0 / sqrt((double)in->head_width));
  c->p.mask = kc_mask_of(dropout);
  return KC_OK;
}

/* Launches a kernel whose blocks have own_rows rows of a sequence each: of its `longest` queries or keys. */
static int launch(kc_device *device, call *c, int kernel, size_t longest, size_t own_rows, unsigned threads,
                  size_t shared_bytes) {
  size_t tiles = kc_divide_up(longest, own_rows), sequences = c->in->sequences;
  if (tiles == 0 || sequences == 0 || c->p.heads == 0) return KC_OK;
  if (tiles > UINT32_MAX || sequences > KC_MOST_BLOCKS / tiles)
    return kc_fail(device, KC_UNSUPPORTED, "%zu sequences of up to %zu tokens in one call", sequences, longest);
  c->p.tiles = (unsigned)tiles;
  kc_grid grid = {(unsigned)(sequences * tiles), c->p.heads, 1};
  return kc_launch(device, kernel, grid, threads, (unsigned)shared_bytes, &c->p, sizeof c->p);
}

/* arrays: how many arrays of own rows the kernel keeps beside its tile of 32 rows. */
static int launch_general(kc_device *device, call *c, size_t longest, int narrow, int wide, size_t arrays) {
  size_t width = c->p.head_width, rows = width <= WIDEST_NARROW ? 32 : 4;
  size_t floats = arrays * rows * width + 32 * (width | 1);
  return launch(device, c, width <= WIDEST_NARROW ? narrow : wide, longest, rows, width <= WIDEST_NARROW ? 256 : 64,
                floats * sizeof(float));
}

/* Tensor cores: 16-bit numbers of a head width that has kernels, moved by 16 bytes. bf16 means 8.0 or later anyway. */
static int on_tensor_cores(const kc_device *device, const call *c) {
  uintptr_t addresses = kc_address(c->p.queries) | kc_address(c->p.keys) | kc_address(c->p.dqueries) |
                        kc_address(c->p.dkeys) | kc_address(c->p.dout) | kc_address(c->p.out);
  return kc_is_half(c->type) && kc_compute_capability(device) >= 75 && kc_aligned(addresses) &&
         (c->p.query_stride | c->p.key_stride) % 8 == 0 && (c->p.head_width == 32 || c->p.head_width == 64);
}

/* The kernel of this name for the call's head width and type. */
#define MMA_KERNEL(c, part)                                                                                            \
  ((c)->p.head_width == 64                                                                                             \
       ? ((c)->type == KC_BF16 ? KC_K_kc_attention_mma64##part##_bf16 : KC_K_kc_attention_mma64##part##_f16)           \
       : ((c)->type == KC_BF16 ? KC_K_kc_attention_mma32##part##_bf16 : KC_K_kc_attention_mma32##part##_f16))

/* tiles: how many tiles of 64 rows the kernel keeps in shared memory. */
static int launch_mma(kc_device *device, call *c, size_t longest, int kernel, size_t tiles) {
  return launch(device, c, kernel, longest, 64, 128, tiles * 64 * c->p.head_width * sizeof(uint16_t));
}

static int forward(kc_device *device, call *c) {
  size_t longest = c->in->longest_queries;
  if (on_tensor_cores(device, c))
    return launch_mma(device, c, longest, c->p.texts ? MMA_KERNEL(c, _texts) : MMA_KERNEL(c, ), 3);
  return launch_general(device, c, longest, KC_KERNEL_FOR(kc_attention, c->type),
                        KC_KERNEL_FOR(kc_attention_wide, c->type), 1);
}

int kc_attention(kc_device *device, kc_array out, float *lse, const kc_attention_input *input,
                 const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  call c = {.p = {.out = out.data, .lse = lse}};
  status = make_call(device, &c, input, dropout);
  if (status == KC_OK && !kc_same_storage(out.type, c.type))
    status = kc_fail(device, KC_UNSUPPORTED, "attention from type %d to type %d", c.type, out.type);
  if (status == KC_OK) status = forward(device, &c);
  return kc_leave(device, status);
}

static int backward(kc_device *device, call *c) {
  void *mean = NULL;
  int status = kc_scratch(device, (size_t)c->p.heads * c->p.rows * sizeof(float), &mean);
  if (status != KC_OK) return status;
  c->p.mean = mean;
  size_t queries = c->in->longest_queries, keys = c->in->longest_keys;
  if (on_tensor_cores(device, c)) {
    status = launch_mma(device, c, queries, MMA_KERNEL(c, _queries), 2);
    return status == KC_OK ? launch_mma(device, c, keys, MMA_KERNEL(c, _keys), 2) : status;
  }
  status = launch_general(device, c, queries, KC_KERNEL_FOR(kc_attention_queries, c->type),
                          KC_KERNEL_FOR(kc_attention_wide_queries, c->type), 2);
  if (status != KC_OK) return status;
  return launch_general(device, c, keys, KC_KERNEL_FOR(kc_attention_keys, c->type),
                        KC_KERNEL_FOR(kc_attention_wide_keys, c->type), 2);
}

int kc_attention_backward(kc_device *device, kc_array dqueries, kc_array dkeys, kc_array dout, kc_array out,
                          const float *lse, const kc_attention_input *input, const kc_dropout *dropout) {
  int status = kc_enter(device);
  if (status != KC_OK) return status;
  call c = {.p = {.out = out.data,
                  .dqueries = dqueries.data,
                  .dkeys = dkeys.data,
                  .dout = dout.data,
                  .lse = (float *)(uintptr_t)lse}}; /* forward writes it, backward only reads */
  status = make_call(device, &c, input, dropout);
  if (status == KC_OK && !(kc_same_storage(dqueries.type, c.type) && kc_same_storage(dkeys.type, c.type) &&
                           kc_same_storage(dout.type, c.type) && kc_same_storage(out.type, c.type)))
    status =
        kc_fail(device, KC_UNSUPPORTED, "attention's gradient of type %d with values of type %d", dout.type, c.type);
  if (status == KC_OK) status = backward(device, &c);
  return kc_leave(device, status);
}
