/* embedding.c - embeddings of whole batches, and rows taken out of and added into tables. */
#include <string.h>

#include "norm_internal.h"

typedef struct embedding {
  const struct kk_elementwise_table *table;
  float *y, *xhat, *rstd;
  const float *word, *position, *type, *gain, *bias;
  const int32_t *ids, *positions, *types;
  size_t rows, width, piece;
  float epsilon;
  const kk_dropout *dropout;
} embedding;

static void embedding_piece(void *context, size_t item) {
  const embedding *e = context;
  e->table->embedding(e->y, e->xhat, e->rstd, e->word, e->position, e->type, e->ids, e->positions, e->types, e->gain,
                      e->bias, kk_piece_range(item, e->piece, e->rows, e->width), e->epsilon, e->dropout);
}

void kk_embedding(kk_engine *engine, float *y, float *xhat, float *rstd, const float *word, const float *position,
                  const float *type, const int32_t *ids, const int32_t *positions, const int32_t *types,
                  const float *gain, const float *bias, size_t rows, size_t width, float epsilon,
                  const kk_dropout *dropout) {
  embedding e = {engine->elementwise, y, xhat, rstd, word, position, type, gain, bias, ids, positions, types, rows,
                 width, kk_piece_rows(width), epsilon, dropout};
  kk_run(engine, kk_pieces(rows, e.piece), rows * width, 0.8, embedding_piece, &e);
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* A piece owns columns of the tables and adds all rows of the batch in order: an element's sum has that one order
 * however the columns are shared out, so here the cut may follow the number of threads. At least two cache lines of a
 * row. */
#define OWNED_COLUMNS 32

typedef struct scatter {
  const struct kk_elementwise_table *table;
  float *to[3];
  const int32_t *index[3];
  int32_t skip[3];
  size_t tables;
  const float *dy;
  size_t rows, width, columns;
} scatter;

static void scatter_piece(void *context, size_t item) {
  const scatter *s = context;
  kk_rows columns = kk_piece_range(item, s->columns, s->width, 0);
  for (size_t t = 0; t < s->tables; t++)
    s->table->scatter_add(s->to[t], s->dy, s->index[t], s->rows, s->width, columns.begin,
                          columns.end - columns.begin, s->skip[t]);
}

static void scatter_run(kk_engine *engine, scatter *s) {
  if (s->rows == 0 || s->width == 0) return;
  s->columns = kk_pieces(kk_pieces(s->width, (size_t)kk_engine_threads(engine)), OWNED_COLUMNS) * OWNED_COLUMNS;
  kk_run(engine, kk_pieces(s->width, s->columns), s->rows * s->width, 0.3 * (double)s->tables, scatter_piece, s);
}

int kk_embedding_backward(kk_engine *engine, float *dword, float *dposition, float *dtype, float *dgain, float *dbias,
                          float *dy, const float *xhat, const float *rstd, const float *gain, const int32_t *ids,
                          const int32_t *positions, const int32_t *types, size_t rows, size_t width,
                          size_t vocabulary, size_t position_count, size_t type_count, int32_t padding,
                          int32_t position_padding, const kk_dropout *dropout) {
  (void)vocabulary; /* a piece owns columns, so it need not know how many rows there are */
  (void)position_count;
  (void)type_count;
  kk_norm_gradient g = {.dsum = dy, .dgain = dgain, .dbias = dbias, .dy = dy, .dy_masked = dy, .xhat = xhat,
                        .rstd = rstd, .gain = gain, .rows = rows, .width = width, .incoming = dropout};
  if (kk_norm_gradient_run(engine, &g)) return 1;
  scatter s = {.table = engine->elementwise, .to = {dword, dposition, dtype}, .index = {ids, positions, types},
               .skip = {padding, position_padding, -1}, .tables = 3, .dy = dy, .rows = rows, .width = width};
  scatter_run(engine, &s);
  return 0;
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

typedef struct gather {
  float *y;
  const float *x;
  const int32_t *index;
  size_t count, width, piece;
} gather;

static void gather_piece(void *context, size_t item) {
  const gather *g = context;
  kk_rows r = kk_piece_range(item, g->piece, g->count, g->width);
  for (size_t i = r.begin; i < r.end; i++)
    memcpy(g->y + i * g->width, g->x + (size_t)g->index[i] * g->width, g->width * sizeof(float));
}

void kk_gather_rows(kk_engine *engine, float *y, const float *x, const int32_t *index, size_t count, size_t width) {
  gather g = {y, x, index, count, width, kk_piece_rows(width)};
  kk_run(engine, kk_pieces(count, g.piece), count * width, 0.2, gather_piece, &g);
}

void kk_scatter_add_rows(kk_engine *engine, float *dx, const float *dy, const int32_t *index, size_t count,
                         size_t width) {
  scatter s = {.table = engine->elementwise, .to = {dx}, .index = {index}, .skip = {-1}, .tables = 1, .dy = dy,
               .rows = count, .width = width};
  scatter_run(engine, &s);
}
