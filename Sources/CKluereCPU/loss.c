/* loss.c - softmax and cross entropy over whole batches. */
#include "pieces.h"

typedef struct loss {
  const struct kk_elementwise_table *table;
  double *loss;
  float *out;
  const float *x;
  const int32_t *labels;
  size_t rows, classes, piece;
  float scale;
} loss;

static void cross_entropy_piece(void *context, size_t item) {
  const loss *l = context;
  l->table->cross_entropy(l->loss, l->out, l->x, l->labels, kk_piece_range(item, l->piece, l->rows, l->classes),
                          l->scale);
}

static void softmax_piece(void *context, size_t item) {
  const loss *l = context;
  l->table->softmax(l->out, l->x, kk_piece_range(item, l->piece, l->rows, l->classes));
}

void kk_cross_entropy(kk_engine *engine, double *loss_out, float *dlogits, const float *logits, const int32_t *labels,
                      size_t rows, size_t classes, float scale) {
  if (classes == 0) return;
  loss l = {engine->elementwise, loss_out, dlogits, logits, labels, rows, classes, kk_piece_rows(classes), scale};
  kk_run(engine, kk_pieces(rows, l.piece), rows * classes, 1.5, cross_entropy_piece, &l);
}

void kk_softmax(kk_engine *engine, float *y, const float *x, size_t rows, size_t classes) {
  if (classes == 0) return;
  loss l = {engine->elementwise, NULL, y, x, NULL, rows, classes, kk_piece_rows(classes), 0.0f};
  kk_run(engine, kk_pieces(rows, l.piece), rows * classes, 1.0, softmax_piece, &l);
}
