/* activation.c - GELU and tanh over whole arrays. */
#include "pieces.h"

typedef struct activation {
  const struct kk_elementwise_table *table;
  float *out;
  const float *in, *at; /* backward: the gradient, and the value the slope is taken at */
  size_t count;
} activation;

static void gelu_piece(void *context, size_t item) {
  const activation *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->table->gelu(a->out + r.begin, a->in + r.begin, r.end - r.begin);
}

static void gelu_backward_piece(void *context, size_t item) {
  const activation *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->table->gelu_backward(a->out + r.begin, a->in + r.begin, a->at + r.begin, r.end - r.begin);
}

static void tanh_backward_piece(void *context, size_t item) {
  const activation *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->table->tanh_backward(a->out + r.begin, a->in + r.begin, a->at + r.begin, r.end - r.begin);
}

void kk_gelu(kk_engine *engine, float *y, const float *x, size_t count) {
  activation a = {engine->elementwise, y, x, NULL, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 0.5, gelu_piece, &a);
}

void kk_gelu_backward(kk_engine *engine, float *dx, const float *dy, const float *x, size_t count) {
  activation a = {engine->elementwise, dx, dy, x, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 0.8, gelu_backward_piece, &a);
}

void kk_tanh_backward(kk_engine *engine, float *dx, const float *dy, const float *y, size_t count) {
  activation a = {engine->elementwise, dx, dy, y, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 0.2, tanh_backward_piece, &a);
}
