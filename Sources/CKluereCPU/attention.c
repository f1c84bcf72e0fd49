/* attention.c - attention over packed sequences: one piece per sequence and head. */
#include "pieces.h"

typedef struct attention {
  const struct kk_elementwise_table *table;
  kk_attention_arrays arrays;
  const kk_attention_input *input;
  kk_engine *engine;
  size_t floats; /* scratch of a worker */
  int backward;
} attention;

static kk_attention_piece piece_of(const kk_attention_input *in, size_t sequence, size_t head) {
  size_t query = (size_t)in->query_offsets[sequence], key = (size_t)in->key_offsets[sequence];
  kk_attention_piece piece = {query, (size_t)in->query_offsets[sequence + 1] - query,
                              key, (size_t)in->key_offsets[sequence + 1] - key, head};
  return piece;
}

static void attention_piece(void *context, size_t item, size_t worker) {
  const attention *a = context;
  kk_attention_piece piece = piece_of(a->input, item / a->arrays.heads, item % a->arrays.heads);
  if (piece.keys == 0 || (piece.queries == 0 && !a->backward)) return;
  float *scratch = kk_worker_scratch(a->engine, worker, a->floats); /* reserved before, so it is there */
  if (a->backward) {
    a->table->attention_backward(&a->arrays, piece, scratch);
  } else {
    a->table->attention(&a->arrays, piece, scratch);
  }
}

static int attention_run(kk_engine *engine, attention *a) {
  const kk_attention_input *in = a->input;
  if (in->sequences == 0 || in->heads == 0 || in->head_width == 0) return 0;
  size_t queries = 0, keys = 0;
  double work = 0.0;
  for (size_t s = 0; s < in->sequences; s++) {
    kk_attention_piece piece = piece_of(in, s, 0);
    if (piece.queries > queries) queries = piece.queries;
    if (piece.keys > keys) keys = piece.keys;
    work += (double)piece.queries * (double)piece.keys;
  }
  if (keys == 0) return 0;
  work *= (double)(in->heads * in->head_width) * (a->backward ? 5.0 : 2.0); /* multiply-adds */
  a->table = engine->elementwise;
  a->arrays.queries = in->queries;
  a->arrays.keys = in->keys;
  a->arrays.query_stride = in->query_stride;
  a->arrays.key_stride = in->key_stride;
  a->arrays.rows = (size_t)in->query_offsets[in->sequences];
  a->arrays.heads = in->heads;
  a->arrays.head_width = in->head_width;
  a->engine = engine;
  a->floats = a->table->attention_scratch(queries, keys, in->head_width, a->backward);
  if (kk_reserve_worker_scratch(engine, a->floats)) return 1;
  kk_parallel_estimated(engine, in->sequences * in->heads, work / 25e3, attention_piece, a);
  return 0;
}

int kk_attention(kk_engine *engine, float *out, float *lse, const kk_attention_input *input,
                 const kk_dropout *dropout) {
  attention a = {.arrays = {.out = out, .lse = lse, .dropout = dropout}, .input = input};
  return attention_run(engine, &a);
}

int kk_attention_backward(kk_engine *engine, float *dqueries, float *dkeys, const float *dout, const float *out,
                          const float *lse, const kk_attention_input *input, const kk_dropout *dropout) {
  attention a = {.arrays = {.dqueries = dqueries, .dkeys = dkeys, .dout = dout, .saved_out = out, .saved_lse = lse,
                            .dropout = dropout},
                 .input = input, .backward = 1};
  return attention_run(engine, &a);
}
