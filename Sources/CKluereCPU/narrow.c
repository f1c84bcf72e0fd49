/* narrow.c - weights in 8 or 16 bits: made from fp32, and read back where single rows are wanted. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "engine_internal.h"
#include "pieces.h"
#include "quantized.h"

/* ---- made from fp32 ---------------------------------------------------------------------------------------------- */
typedef struct kk_narrowing {
  const float *w;
  uint16_t *half;
  int8_t *q;
  float *scales;
  size_t count, width, piece;
  int form, fours_fit;
  atomic_int *failed; /* set by any thread, read by the caller alone */
} kk_narrowing;

static uint32_t kk_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* To the nearest value, ties to even; *bad if there is none that is finite. */
static uint16_t kk_to_bf16(float x, int *bad) {
  uint32_t bits = kk_bits(x), rounded = bits + 0x7fff + (bits >> 16 & 1);
  if ((bits & 0x7fffffff) >= 0x7f7f8000) *bad = 1;
  return (uint16_t)(rounded >> 16);
}

static uint16_t kk_to_f16(float x, int *bad) {
  uint32_t bits = kk_bits(x), size = bits & 0x7fffffff;
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  if (size >= 0x477ff000) *bad = 1; /* 65520 would round to infinity */
  if (size < 0x38800000) {          /* below 2^-14: a multiple of 2^-24, and adding 0.5 leaves it in the lowest bits */
    float sum = fabsf(x) + 0.5f;
    return (uint16_t)(sign | (kk_bits(sum) - 0x3f000000));
  }
  return (uint16_t)(sign | ((size + 0xfff + (size >> 13 & 1)) >> 13) - (112 << 10));
}

static void kk_narrow_piece(void *context, size_t item) {
  const kk_narrowing *n = context;
  kk_rows part = kk_piece_range(item, n->piece, n->count, 0);
  int bad = 0;
  for (size_t i = part.begin; i < part.end; i++)
    n->half[i] = n->form == KK_WEIGHTS_F16 ? kk_to_f16(n->w[i], &bad) : kk_to_bf16(n->w[i], &bad);
  if (bad) atomic_store_explicit(n->failed, 1, memory_order_relaxed);
}

int kk_narrow(kk_engine *engine, uint16_t *half, const float *w, size_t count, int form) {
  atomic_int failed = 0;
  kk_narrowing n = {.w = w, .half = half, .count = count, .piece = KK_PIECE, .form = form, .failed = &failed};
  kk_run(engine, kk_pieces(count, n.piece), count, 1.0, kk_narrow_piece, &n);
  return atomic_load(&failed);
}

/* The largest sum of weights of one sign among four whose products are summed in 16 bits. */
static float kk_largest_fours(const float *w, size_t width) {
  float largest = 0.0f;
  for (size_t unit = 0; unit < width; unit += KK_FOURS_STEPS) {
    float steps[KK_FOURS_STEPS] = {0};
    memcpy(steps, w + unit, (width - unit < KK_FOURS_STEPS ? width - unit : KK_FOURS_STEPS) * sizeof *steps);
    for (int four = 0; four < 2; four++) {
      float above = 0.0f, below = 0.0f;
      for (int i = 0; i < 4; i++) {
        float value = steps[kk_fours_step(four, i)];
        above += value > 0.0f ? value : 0.0f;
        below += value < 0.0f ? -value : 0.0f;
      }
      largest = above > largest ? above : largest;
      largest = below > largest ? below : largest;
    }
  }
  return largest;
}

static void kk_quantize_rows_piece(void *context, size_t item) {
  const kk_narrowing *n = context;
  kk_rows rows = kk_piece_range(item, n->piece, n->count, n->width);
  for (size_t row = rows.begin; row < rows.end; row++) {
    const float *w = n->w + row * n->width;
    int8_t *q = n->q + row * n->width;
    uint32_t largest = 0; /* floats without their sign are in the order of their bits */
    for (size_t i = 0; i < n->width; i++) {
      uint32_t size = kk_bits(w[i]) & 0x7fffffff;
      largest = size > largest ? size : largest;
    }
    float most;
    memcpy(&most, &largest, sizeof most);
    float scale = most / 127.0f;
    /* Rounding adds at most a half to each of four. */
    if (n->fours_fit) scale = kk_largest_fours(w, n->width) / (KK_FOURS_SUM - 2);
    int bad = largest >= 0x7f800000 || scale > FLT_MAX;
    if (bad) atomic_store_explicit(n->failed, 1, memory_order_relaxed);
    if (bad || scale < FLT_MIN) {
      n->scales[row] = 0.0f;
      memset(q, 0, n->width);
      continue;
    }
    n->scales[row] = scale;
    for (size_t i = 0; i < n->width; i++) {
      /* As in quantized_kernel.h: the nearest whole number. */
      float ratio = w[i] / scale;
      float sum = ratio + 12582912.0f;
      q[i] = (int8_t)((int32_t)kk_bits(sum) - 0x4B400000);
    }
  }
}

int kk_quantize_rows(kk_engine *engine, int8_t *q, float *scales, const float *w, size_t rows, size_t width, int fours_fit) {
  atomic_int failed = 0;
  kk_narrowing n = {.w = w, .q = q, .scales = scales, .count = rows, .width = width, .piece = kk_piece_rows(width),
                    .fours_fit = fours_fit, .failed = &failed};
  kk_run(engine, kk_pieces(rows, n.piece), rows * width, 1.0, kk_quantize_rows_piece, &n);
  return atomic_load(&failed);
}

/* ---- products: by the form --------------------------------------------------------------------------------------- */
size_t kk_packed_narrow_size(const kk_engine *engine, size_t out, size_t in, int form) {
  return form == KK_WEIGHTS_S8 ? kk_packed_s8_size(engine, out, in) : kk_packed_half_size(engine, out, in);
}

void kk_pack_narrow(kk_engine *engine, void *packed, const void *w, const float *scales, size_t out, size_t in, int form) {
  if (form == KK_WEIGHTS_S8) {
    kk_pack_s8(engine, packed, w, scales, out, in);
  } else {
    kk_pack_half(engine, packed, w, out, in);
  }
}

int kk_linear_narrow(kk_engine *engine, float *y, const float *x, const void *packed, const float *bias, size_t rows,
                     size_t out, size_t in, int activation, int form) {
  if (form == KK_WEIGHTS_S8) return kk_linear_s8(engine, y, x, packed, bias, rows, out, in, activation);
  return kk_linear_half(engine, y, x, packed, bias, rows, out, in, activation, form);
}

/* ---- word embeddings --------------------------------------------------------------------------------------------- */
typedef struct kk_narrow_embedding {
  const kk_engine *engine;
  float *y;
  const void *word;
  const float *word_scales, *position, *type, *gain, *bias;
  const int32_t *ids, *positions, *types;
  size_t rows, width, piece;
  float epsilon;
  int form;
} kk_narrow_embedding;

/* A token's row is made wide where its result will stand, and is the table of one row that the kernel reads. */
static void kk_narrow_embedding_piece(void *context, size_t item) {
  const kk_narrow_embedding *e = context;
  const struct kk_quantized_table *table = e->engine->quantized;
  kk_rows rows = kk_piece_range(item, e->piece, e->rows, e->width);
  static const int32_t first = 0;
  for (size_t row = rows.begin; row < rows.end; row++) {
    float *y = e->y + row * e->width;
    size_t start = (size_t)e->ids[row] * e->width;
    if (e->form == KK_WEIGHTS_S8) {
      table->scale(y, (const int8_t *)e->word + start, e->word_scales[e->ids[row]], e->width);
    } else {
      table->widen(y, (const uint16_t *)e->word + start, e->width, e->form);
    }
    e->engine->elementwise->embedding(y, NULL, NULL, y, e->position, e->type, &first, e->positions + row, e->types + row,
                                      e->gain, e->bias, (kk_rows){0, 1, e->width}, e->epsilon, NULL);
  }
}

void kk_embedding_narrow(kk_engine *engine, float *y, const void *word, const float *word_scales, int form,
                         const float *position, const float *type, const int32_t *ids, const int32_t *positions,
                         const int32_t *types, const float *gain, const float *bias, size_t rows, size_t width,
                         float epsilon) {
  kk_narrow_embedding e = {engine, y, word, word_scales, position, type, gain, bias, ids, positions, types, rows, width,
                           kk_piece_rows(width), epsilon, form};
  kk_run(engine, kk_pieces(rows, e.piece), rows * width, 0.7, kk_narrow_embedding_piece, &e);
}
