/* attention.c - attention over packed sequences: one piece per sequence and head. */
#include "pieces.h"

typedef struct attention {
  const struct kk_elementwise_table *table;
  kk_attention_arrays arrays;
  const int32_t *offsets;
  kk_engine *engine;
  size_t floats; /* scratch of a worker */
  int backward;
} attention;

static void attention_piece(void *context, size_t item, size_t worker) {
  const attention *a = context;
  size_t sequence = item / a->arrays.heads, begin = (size_t)a->offsets[sequence];
  kk_attention_piece piece = {begin, (size_t)a->offsets[sequence + 1] - begin, item % a->arrays.heads};
  if (piece.length == 0) return;
  float *scratch = kk_worker_scratch(a->engine, worker, a->floats); /* reserved before, so it is there */
  if (a->backward) {
    a->table->attention_backward(&a->arrays, piece, scratch);
  } else {
    a->table->attention(&a->arrays, piece, scratch);
  }
}

static int attention_run(kk_engine *engine, attention *a, size_t sequences) {
  if (sequences == 0 || a->arrays.heads == 0 || a->arrays.head_width == 0) return 0;
  size_t longest = 0;
  double work = 0.0;
  for (size_t s = 0; s < sequences; s++) {
    size_t length = (size_t)(a->offsets[s + 1] - a->offsets[s]);
    if (length > longest) longest = length;
    work += (double)length * (double)length;
  }
  if (longest == 0) return 0;
  work *= (double)(a->arrays.heads * a->arrays.head_width) * (a->backward ? 5.0 : 2.0); /* multiply-adds */
  a->table = engine->elementwise;
  a->arrays.rows = (size_t)a->offsets[sequences];
  a->engine = engine;
  a->floats = a->table->attention_scratch(longest, a->arrays.head_width, a->backward);
  if (kk_reserve_worker_scratch(engine, a->floats)) return 1;
  kk_parallel_estimated(engine, sequences * a->arrays.heads, work / 25e3, attention_piece, a);
  return 0;
}

int kk_attention(kk_engine *engine, float *out, float *lse, const float *qkv, const int32_t *offsets, size_t sequences,
                 size_t heads, size_t head_width, const kk_dropout *dropout) {
  attention a = {.arrays = {.out = out, .lse = lse, .qkv = qkv, .heads = heads, .head_width = head_width,
                            .dropout = dropout},
                 .offsets = offsets};
  return attention_run(engine, &a, sequences);
}

int kk_attention_backward(kk_engine *engine, float *dqkv, const float *dout, const float *out, const float *lse,
                          const float *qkv, const int32_t *offsets, size_t sequences, size_t heads, size_t head_width,
                          const kk_dropout *dropout) {
  attention a = {.arrays = {.dqkv = dqkv, .dout = dout, .saved_out = out, .saved_lse = lse, .qkv = qkv, .heads = heads,
                            .head_width = head_width, .dropout = dropout},
                 .offsets = offsets, .backward = 1};
  return attention_run(engine, &a, sequences);
}
