/* norm_internal.h - the gradient of layer norm, for norm.c and embedding.c. */
#ifndef KLUERE_NORM_INTERNAL_H
#define KLUERE_NORM_INTERNAL_H
#include "pieces.h"

/* A layer norm to be differentiated. incoming: NULL, or the mask that dy (which is overwritten) passes first. dropout:
 * NULL, or the mask of dx. */
typedef struct kk_norm_gradient {
  float *dx, *dsum, *dgain, *dbias, *dy_masked;
  const float *dy, *xhat, *rstd, *gain;
  size_t rows, width;
  const kk_dropout *incoming, *dropout;
} kk_norm_gradient;

/* 0, or 1 when memory ran out. */
int kk_norm_gradient_run(kk_engine *engine, const kk_norm_gradient *gradient);
#endif
