/* optimizer.c - AdamW, the gradient's norm, fill, averages of weights. */
#include <math.h>

#include "pieces.h"

/* Partial sums that fit the stack. */
#define SUMS 256

typedef struct squares {
  const struct kk_elementwise_table *table;
  const float *x;
  size_t count, piece;
  double sums[SUMS];
} squares;

static void squares_piece(void *context, size_t item) {
  squares *s = context;
  kk_rows r = kk_piece_range(item, s->piece, s->count, 1);
  s->sums[item] = s->table->sum_of_squares(s->x + r.begin, r.end - r.begin);
}

double kk_sum_of_squares(kk_engine *engine, const float *x, size_t count) {
  squares s = {.table = engine->elementwise, .x = x, .count = count};
  s.piece = kk_pieces(count, SUMS); /* a multiple of a piece, as many as leave at most SUMS blocks */
  s.piece = kk_pieces(s.piece, KK_PIECE) * KK_PIECE;
  if (count == 0) return 0.0;
  size_t blocks = kk_pieces(count, s.piece);
  kk_run(engine, blocks, count, 0.2, squares_piece, &s);
  double sum = 0.0;
  for (size_t b = 0; b < blocks; b++) sum += s.sums[b];
  return sum;
}

typedef struct adamw {
  const struct kk_elementwise_table *table;
  float *w, *m, *v;
  const float *gradient;
  size_t count;
  kk_adamw_constants constants;
} adamw;

static void adamw_piece(void *context, size_t item) {
  const adamw *a = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, a->count, 1);
  a->table->adamw(a->w + r.begin, a->m + r.begin, a->v + r.begin, a->gradient + r.begin, r.end - r.begin,
                  &a->constants);
}

void kk_adamw_apply(kk_engine *engine, float *w, float *m, float *v, const float *gradient, size_t count,
                    const kk_adamw *options) {
  adamw a = {.table = engine->elementwise, .w = w, .m = m, .v = v, .gradient = gradient, .count = count};
  double rate = (double)options->learning_rate;
  a.constants = (kk_adamw_constants){
    .decay = (float)(1.0 - rate * (double)options->weight_decay),
    .beta1 = options->beta1,
    .rest1 = (float)(1.0 - (double)options->beta1),
    .beta2 = options->beta2,
    .rest2 = (float)(1.0 - (double)options->beta2),
    .step = (float)(rate / options->correction1),
    .root = (float)(1.0 / sqrt(options->correction2)),
    .epsilon = options->epsilon,
    .grad_scale = options->grad_scale,
  };
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 1.0, adamw_piece, &a);
}

typedef struct filling {
  const struct kk_elementwise_table *table;
  float *x;
  float value;
  size_t count;
} filling;

static void fill_piece(void *context, size_t item) {
  const filling *f = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, f->count, 1);
  f->table->fill(f->x + r.begin, f->value, r.end - r.begin);
}

void kk_fill(kk_engine *engine, float *x, float value, size_t count) {
  filling f = {engine->elementwise, x, value, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 0.15, fill_piece, &f);
}

typedef struct interpolation {
  const struct kk_elementwise_table *table;
  float *y;
  const float *x;
  float weight;
  size_t count;
} interpolation;

static void lerp_piece(void *context, size_t item) {
  const interpolation *l = context;
  kk_rows r = kk_piece_range(item, KK_PIECE, l->count, 1);
  l->table->lerp(l->y + r.begin, l->x + r.begin, l->weight, r.end - r.begin);
}

void kk_lerp(kk_engine *engine, float *y, const float *x, float weight, size_t count) {
  interpolation l = {engine->elementwise, y, x, weight, count};
  kk_run(engine, kk_pieces(count, KK_PIECE), count, 0.4, lerp_piece, &l);
}
