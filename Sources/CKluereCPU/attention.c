/* attention.c - attention over packed sequences: a worker takes one sequence and head at a time. */
#include "pieces.h"

typedef struct attention {
  const struct kk_elementwise_table *table;
  kk_attention_arrays arrays;
  const kk_attention_input *input;
  kk_engine *engine;
  size_t floats; /* scratch of a worker */
  int backward;
} attention;

/* A sequence is two pieces where markers stand beside its text: the text's queries, and the markers'. */
typedef struct pieces {
  kk_attention_piece text, markers;
} pieces;

static pieces pieces_of(const kk_attention_input *in, size_t sequence, size_t head) {
  size_t query = (size_t)in->query_offsets[sequence], key = (size_t)in->key_offsets[sequence];
  size_t queries = (size_t)in->query_offsets[sequence + 1] - query, keys = (size_t)in->key_offsets[sequence + 1] - key;
  if (!in->texts) return (pieces){.text = {query, queries, key, keys, 0, 0, head, 0}};
  const int32_t *text = in->texts + 3 * sequence;
  size_t begin = (size_t)text[0], count = (size_t)text[1], asking = (size_t)text[2];
  size_t beside = begin == key ? count : 0;
  return (pieces){.text = {query, asking, begin, count, 0, 0, head, 0},
                  .markers = {query + asking, queries - asking, begin, count, key + beside, keys - beside, head, 1}};
}

static int is_empty(kk_attention_piece piece, int backward) {
  return piece.keys + piece.beside == 0 || (piece.queries == 0 && !backward);
}

static void attention_piece(void *context, size_t item, size_t worker) {
  const attention *a = context;
  pieces p = pieces_of(a->input, item / a->arrays.heads, item % a->arrays.heads);
  float *scratch = kk_worker_scratch(a->engine, worker, a->floats); /* reserved before, so it is there */
  void (*run)(const kk_attention_arrays *, kk_attention_piece, float *) =
      a->backward ? a->table->attention_backward : a->table->attention;
  if (!is_empty(p.text, a->backward)) run(&a->arrays, p.text, scratch);
  if (!is_empty(p.markers, a->backward)) run(&a->arrays, p.markers, scratch);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static int attention_run(kk_engine *engine, attention *a) {
  const kk_attention_input *in = a->input;
  if (in->sequences == 0 || in->heads == 0 || in->head_width == 0) return 0;
  size_t queries = 0, keys = 0;
  double work = 0.0;
  for (size_t s = 0; s < in->sequences; s++) {
    pieces p = pieces_of(in, s, 0);
    queries = larger(queries, larger(p.text.queries, p.markers.queries));
    keys = larger(keys, larger(p.text.keys, p.markers.keys + p.markers.beside));
    work += (double)p.text.queries * (double)p.text.keys;
    work += (double)p.markers.queries * (double)(p.markers.keys + p.markers.beside);
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
