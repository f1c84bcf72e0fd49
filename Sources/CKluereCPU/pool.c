/* pool.c - one vector for a span of rows: their mean or, column by column, their maximum; and the gradients back. Plain
 * code: a batch has two or three short spans for each sentence. */
#include <string.h>

#include "pieces.h"

typedef struct pool {
  float *y;
  int32_t *largest;
  const float *x;
  const int32_t *spans;
  size_t count, width, piece;
  int maximum;
} pool;

/* NaN is larger than everything, as in torch.max; of equals the first. */
static void pool_maximum(float *y, int32_t *largest, const float *x, size_t begin, size_t end, size_t width) {
  memcpy(y, x + begin * width, width * sizeof(float));
  for (size_t j = 0; largest != NULL && j < width; j++) largest[j] = (int32_t)begin;
  for (size_t row = begin + 1; row < end; row++) {
    const float *from = x + row * width;
    for (size_t j = 0; j < width; j++) {
      if (!(from[j] > y[j]) && from[j] == from[j]) continue;
      y[j] = from[j];
      if (largest != NULL) largest[j] = (int32_t)row;
    }
  }
}

static void pool_mean(float *y, const float *x, size_t begin, size_t end, size_t width) {
  memcpy(y, x + begin * width, width * sizeof(float));
  if (end - begin == 1) return;
  for (size_t row = begin + 1; row < end; row++)
    for (size_t j = 0; j < width; j++) y[j] += x[row * width + j];
  for (size_t j = 0; j < width; j++) y[j] /= (float)(end - begin);
}

static void pool_piece(void *context, size_t item) {
  const pool *p = context;
  kk_rows r = kk_piece_range(item, p->piece, p->count, p->width);
  for (size_t i = r.begin; i < r.end; i++) {
    float *y = p->y + i * p->width;
    int32_t *largest = p->largest == NULL ? NULL : p->largest + i * p->width;
    int32_t begin = p->spans[2 * i], end = p->spans[2 * i + 1];
    if (begin >= end) {
      memset(y, 0, p->width * sizeof(float));
      for (size_t j = 0; largest != NULL && j < p->width; j++) largest[j] = -1;
    } else if (p->maximum) {
      pool_maximum(y, largest, p->x, (size_t)begin, (size_t)end, p->width);
    } else {
      pool_mean(y, p->x, (size_t)begin, (size_t)end, p->width);
    }
  }
}

void kk_pool_spans(kk_engine *engine, float *y, int32_t *largest, const float *x, const int32_t *spans, size_t count,
                   size_t width, int maximum) {
  pool p = {y, largest, x, spans, count, width, kk_piece_rows(width), maximum};
  kk_run(engine, kk_pieces(count, p.piece), count * width, 1.0, pool_piece, &p);
}

typedef struct unpool {
  float *dx;
  const float *dy;
  const int32_t *largest, *spans;
  size_t count, width, columns;
} unpool;

/* A piece owns columns and adds all spans in their order: spans may overlap, and an element's sum has this one order
 * however the columns are shared out. */
static void unpool_piece(void *context, size_t item) {
  const unpool *p = context;
  kk_rows columns = kk_piece_range(item, p->columns, p->width, 0);
  for (size_t i = 0; i < p->count; i++) {
    int32_t begin = p->spans[2 * i], end = p->spans[2 * i + 1];
    const float *dy = p->dy + i * p->width;
    if (begin >= end) continue;
    if (p->largest != NULL) {
      const int32_t *largest = p->largest + i * p->width;
      for (size_t j = columns.begin; j < columns.end; j++) p->dx[(size_t)largest[j] * p->width + j] += dy[j];
      continue;
    }
    for (int32_t row = begin; row < end; row++)
      for (size_t j = columns.begin; j < columns.end; j++)
        p->dx[(size_t)row * p->width + j] += dy[j] / (float)(end - begin);
  }
}

/* At least two cache lines of a row. */
#define OWNED_COLUMNS 32

void kk_pool_spans_backward(kk_engine *engine, float *dx, const float *dy, const int32_t *largest, const int32_t *spans,
                            size_t count, size_t width) {
  if (count == 0 || width == 0) return;
  unpool p = {dx, dy, largest, spans, count, width, 0};
  p.columns = kk_pieces(kk_pieces(width, (size_t)kk_engine_threads(engine)), OWNED_COLUMNS) * OWNED_COLUMNS;
  kk_run(engine, kk_pieces(width, p.columns), count * width, 1.0, unpool_piece, &p);
}
