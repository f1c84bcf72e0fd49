/* dropout.c - dropout over whole arrays. */
#include "pieces.h"

typedef struct masking {
  const struct kk_elementwise_table *table;
  float *y;
  const float *x;
  size_t rows, width, piece;
  const kk_dropout *dropout;
} masking;

static void masking_piece(void *context, size_t item) {
  const masking *m = context;
  m->table->dropout(m->y, m->x, kk_piece_range(item, m->piece, m->rows, m->width), m->dropout);
}

void kk_dropout_apply(kk_engine *engine, float *y, const float *x, size_t rows, size_t width,
                      const kk_dropout *dropout) {
  masking m = {engine->elementwise, y, x, rows, width, kk_piece_rows(width), dropout};
  kk_run(engine, kk_pieces(rows, m.piece), rows * width, 0.3, masking_piece, &m);
}
