/* elementwise.h - everything but the matrix products, one table of kernels per instruction set.
 *
 * A kernel works on one piece of an operation (a range of elements or rows, or one sequence and head) on one thread.
 * The public functions of activation.c, dropout.c, norm.c, embedding.c, attention.c, loss.c and optimizer.c cut the
 * pieces. */
#ifndef KLUERE_ELEMENTWISE_H
#define KLUERE_ELEMENTWISE_H
#include "include/kluere_cpu.h"

/* Rows [begin, end) of arrays that are [rows, width]. */
typedef struct kk_rows {
  size_t begin, end, width;
} kk_rows;

/* Arrays of an attention; `rows` is the length of a row of lse, strides are those of kk_attention_input. Forward writes out
 * and lse; backward writes dqueries and dkeys from dout and what forward left, saved_out and saved_lse. */
typedef struct kk_attention_arrays {
  float *out, *lse, *dqueries, *dkeys;
  const float *queries, *keys, *dout, *saved_out, *saved_lse;
  size_t query_stride, key_stride, rows, heads, head_width;
  const kk_dropout *dropout;
} kk_attention_arrays;
/* Queries of one sequence and head that have the same keys: those of rows first_key .. first_key + keys, and behind
 * them those of first_beside .. first_beside + beside. In backward the latter follow the former; again: another piece has
 * written the gradients of the former, to which this one's are added. */
typedef struct kk_attention_piece {
  size_t first_query, queries, first_key, keys, first_beside, beside, head;
  int again;
} kk_attention_piece;

/* The constants of one AdamW update, rounded once. */
typedef struct kk_adamw_constants {
  float decay, beta1, rest1, beta2, rest2, step, root, epsilon, grad_scale;
} kk_adamw_constants;

struct kk_elementwise_table {
  /* By KK_ACT_*. Backward: the slope is taken at x, for tanh at y. */
  void (*activate[KK_ACT_COUNT])(float *y, const float *x, size_t count);
  void (*activate_backward[KK_ACT_COUNT])(float *dx, const float *dy, const float *at, size_t count);

  void (*dropout)(float *y, const float *x, kk_rows rows, const kk_dropout *dropout);

  void (*residual_norm)(float *y, float *xhat, float *rstd, const float *x, const float *residual, const float *gain,
                        const float *bias, kk_rows rows, float epsilon, const kk_dropout *dropout);
  /* gain_sum and bias_sum [width] = the sums of these rows. */
  void (*norm_backward)(float *dx, float *dsum, float *gain_sum, float *bias_sum, const float *dy, const float *xhat,
                        const float *rstd, const float *gain, kk_rows rows, const kk_dropout *dropout);
  /* out[j] += sum over b in order of parts[b * stride + j], j in [0, count). */
  void (*add_parts)(float *out, const float *parts, size_t parts_count, size_t stride, size_t count);

  void (*embedding)(float *y, float *xhat, float *rstd, const float *word, const float *position, const float *type,
                    const int32_t *ids, const int32_t *positions, const int32_t *types, const float *gain,
                    const float *bias, kk_rows rows, float epsilon, const kk_dropout *dropout);
  /* table[index[i]] += dy[i] in columns [column, column + columns), all rows in order; rows of `skip` are left out. */
  void (*scatter_add)(float *table, const float *dy, const int32_t *index, size_t rows, size_t width, size_t column,
                      size_t columns, int32_t skip);

  size_t (*attention_scratch)(size_t queries, size_t keys, size_t head_width, int backward); /* floats */
  void (*attention)(const kk_attention_arrays *arrays, kk_attention_piece piece, float *scratch);
  void (*attention_backward)(const kk_attention_arrays *arrays, kk_attention_piece piece, float *scratch);

  void (*cross_entropy)(double *loss, float *dlogits, const float *logits, const int32_t *labels, kk_rows rows,
                        float scale);
  void (*softmax)(float *y, const float *x, kk_rows rows);

  double (*sum_of_squares)(const float *x, size_t count);
  void (*adamw)(float *w, float *m, float *v, const float *gradient, size_t count, const kk_adamw_constants *constants);
  void (*fill)(float *x, float value, size_t count);
  void (*lerp)(float *y, const float *x, float weight, size_t count);
};

/* NULL if this build has no code for the instruction set. Whether the machine runs it is the caller's question. */
const struct kk_elementwise_table *kk_elementwise_table_for(int isa);

extern const struct kk_elementwise_table kk_elementwise_plain;
#if defined(__x86_64__)
extern const struct kk_elementwise_table kk_elementwise_avx2;
extern const struct kk_elementwise_table kk_elementwise_avx512;
#endif
#if defined(__aarch64__)
extern const struct kk_elementwise_table kk_elementwise_neon;
#endif
#endif
