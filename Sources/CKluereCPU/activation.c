/* activation.c - activations over whole arrays. */
#include "pieces.h"

typedef struct activation {
  void (*forward)(float *y, const float *x, size_t count);
  void (*backward)(float *dx, const float *dy, const float *at, size_t count);
  float *out;
  const float *in, *at; /* backward: the gradient, and the value the slope is taken at */
  size_t count;
} activation;

static void forward_piece(void *context, size_t item) {
  const activation *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->forward(a->out + r.begin, a->in + r.begin, r.end - r.begin);
}

static void backward_piece(void *context, size_t item) {
  const activation *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->backward(a->out + r.begin, a->in + r.begin, a->at + r.begin, r.end - r.begin);
}

/* Rough nanoseconds for an element, to tell whether a second thread pays. */
static double cost(int kind, int backward) {
  if (kind == KK_ACT_RELU) return 0.1;
  if (kind == KK_ACT_TANH && backward) return 0.2;
  return backward ? 0.8 : 0.5;
}

void kk_activate(kk_engine *engine, int kind, float *y, const float *x, size_t count) {
  if (kind <= KK_ACT_NONE || kind >= KK_ACT_COUNT) return;
  activation a = {engine->elementwise->activate[kind], NULL, y, x, NULL, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, cost(kind, 0), forward_piece, &a);
}

void kk_activate_backward(kk_engine *engine, int kind, float *dx, const float *dy, const float *x, size_t count) {
  if (kind <= KK_ACT_NONE || kind >= KK_ACT_COUNT) return;
  activation a = {NULL, engine->elementwise->activate_backward[kind], dx, dy, x, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, cost(kind, 1), backward_piece, &a);
}
