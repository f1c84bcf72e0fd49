/* norm.c - layer norm over whole batches. */
#include "norm_internal.h"

typedef struct norm {
  const struct kk_elementwise_table *table;
  float *y, *xhat, *rstd;
  const float *x, *residual, *gain, *bias;
  size_t rows, width, piece;
  float epsilon;
  const kk_dropout *dropout;
} norm;

static void norm_piece(void *context, size_t item) {
  const norm *n = context;
  n->table->residual_norm(n->y, n->xhat, n->rstd, n->x, n->residual, n->gain, n->bias,
                          kk_piece_range(item, n->piece, n->rows, n->width), n->epsilon, n->dropout);
}

void kk_residual_norm(kk_engine *engine, float *y, float *xhat, float *rstd, const float *x, const float *residual,
                      const float *gain, const float *bias, size_t rows, size_t width, float epsilon,
                      const kk_dropout *dropout) {
  norm n = {engine->elementwise, y, xhat, rstd, x, residual, gain, bias, rows, width, kk_piece_rows(width), epsilon,
            dropout};
  kk_run(engine, kk_pieces(rows, n.piece), rows * width, 0.5, norm_piece, &n);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* Rows whose contributions to the gradients of gain and bias make one partial sum. */
#define SUM_ROWS 32
/* Columns of those sums that one piece adds up. */
#define SUM_COLUMNS 128

typedef struct norm_backward {
  const struct kk_elementwise_table *table;
  const kk_norm_gradient *g;
  float *parts; /* [blocks, 2, width] */
  size_t blocks, piece;
} norm_backward;

static void backward_piece(void *context, size_t item) {
  const norm_backward *n = context;
  const kk_norm_gradient *g = n->g;
  kk_rows blocks = kk_piece_range(item, n->piece, n->blocks, 0);
  for (size_t block = blocks.begin; block < blocks.end; block++) {
    kk_rows rows = kk_piece_range(block, SUM_ROWS, g->rows, g->width);
    float *part = n->parts + block * 2 * g->width;
    if (g->incoming && g->incoming->threshold != 0) n->table->dropout(g->dy_masked, g->dy, rows, g->incoming);
    n->table->norm_backward(g->dx, g->dsum, part, part + g->width, g->dy, g->xhat, g->rstd, g->gain, rows, g->dropout);
  }
}

static void sum_piece(void *context, size_t item) {
  const norm_backward *n = context;
  const kk_norm_gradient *g = n->g;
  kk_rows columns = kk_piece_range(item, SUM_COLUMNS, g->width, 0);
  size_t first = columns.begin, count = columns.end - columns.begin;
  n->table->add_parts(g->dgain + first, n->parts + first, n->blocks, 2 * g->width, count);
  n->table->add_parts(g->dbias + first, n->parts + g->width + first, n->blocks, 2 * g->width, count);
}

int kk_norm_gradient_run(kk_engine *engine, const kk_norm_gradient *gradient) {
  if (gradient->rows == 0 || gradient->width == 0) return 0;
  norm_backward n = {.table = engine->elementwise, .g = gradient, .blocks = kk_pieces(gradient->rows, SUM_ROWS)};
  n.parts = kk_scratch(engine, n.blocks * 2 * gradient->width);
  if (!n.parts) return 1;
  n.piece = kk_piece_rows(SUM_ROWS * gradient->width);
  kk_run(engine, kk_pieces(n.blocks, n.piece), gradient->rows * gradient->width, 0.6, backward_piece, &n);
  kk_run(engine, kk_pieces(gradient->width, SUM_COLUMNS), n.blocks * gradient->width, 0.3, sum_piece, &n);
  return 0;
}

int kk_residual_norm_backward(kk_engine *engine, float *dx, float *dsum, float *dgain, float *dbias, const float *dy,
                              const float *xhat, const float *rstd, const float *gain, size_t rows, size_t width,
                              const kk_dropout *dropout) {
  kk_norm_gradient g = {.dx = dx, .dsum = dsum, .dgain = dgain, .dbias = dbias, .dy = dy, .xhat = xhat, .rstd = rstd,
                        .gain = gain, .rows = rows, .width = width, .dropout = dropout};
  return kk_norm_gradient_run(engine, &g);
}
