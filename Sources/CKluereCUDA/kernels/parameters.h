/* parameters.h - the one struct that each kernel takes, the same bytes for the C operations and for the kernels (C17 and
 * CUDA C++; no include, since the run-time compiler has no headers). Pointers are device memory. "rows" x "width" arrays
 * are row-major without padding.
 * vectors: 1 if all arrays begin on 16 bytes and the width, where there is one, is a multiple of 8: whole words can be
 * moved. */
#ifndef KLUERE_KERNEL_PARAMETERS_H
#define KLUERE_KERNEL_PARAMETERS_H

/* kc_dropout with its scale 65536 / (65536 - threshold); threshold 0: no dropout, and nothing else is read. */
typedef struct kc_mask {
  unsigned long long seed;
  const unsigned *sample, *position;
  unsigned threshold, site;
  float scale;
} kc_mask;

/* The layout of kc_update_state (kluere_cuda.h); optimizer.c compares the two at compile time. */
typedef struct kc_device_state {
  double loss_sum, grad_norm;
  float gradient_scale;
  unsigned skip;
  float loss_scale;
  unsigned good_updates;
} kc_device_state;

/* ---- attention.cu and attention_mma.cu -------------------------------------------------------------------------------- */
/* A block is one tile of one sequence and head: blockIdx.x = sequence * tiles + tile, blockIdx.y = head. Arrays are those of
 * kc_attention_input (kluere_cuda.h); strides count numbers. */
typedef struct kc_attention_parameters {
  void *out, *dqueries, *dkeys; /* forward writes out and lse; backward reads both, writes the gradients and mean */
  const void *queries, *keys, *dout;
  float *lse, *mean;            /* [heads, rows]; mean = row sums of dout . out, made by the dq kernel for the dkv kernel */
  const int *query_offsets, *key_offsets, *texts;
  unsigned long long rows;      /* queries */
  unsigned long long query_stride, key_stride;
  unsigned tiles, heads, head_width;
  float scale;
  kc_mask mask;
} kc_attention_parameters;

/* ---- norm.cu ---------------------------------------------------------------------------------------------------------- */
typedef struct kc_norm_parameters {
  void *y, *xhat;               /* xhat, stream, rstd, residual: NULL if not there */
  float *stream, *rstd;
  const void *x, *residual;
  const float *gain, *bias;
  unsigned long long rows;
  unsigned width, warps;        /* warps of a row; a block of 32 * warps * n threads has n rows */
  float epsilon;
  kc_mask mask;
  int vectors;
} kc_norm_parameters;

/* Block b sums rows b * block_rows .. of dy * xhat and dy into row b of gain_sums and bias_sums [blocks, width]. */
typedef struct kc_norm_backward_parameters {
  void *dx, *dsum;              /* NULL: not wanted */
  float *gain_sums, *bias_sums;
  const void *dy, *xhat;
  const float *rstd, *gain;
  unsigned long long rows, block_rows;
  unsigned width, warps;
  int mask_first;               /* 1: dropout was after the norm (embeddings): dy is masked, not dx */
  kc_mask mask;
  int vectors;
} kc_norm_backward_parameters;

/* sums [blocks, width]: row b = sum of rows b * block_rows .. of x; selector: only rows with selector[row] == selected. */
typedef struct kc_column_sums_parameters {
  float *sums;
  const void *x;
  const int *selector;
  int selected;
  unsigned width;
  unsigned long long rows, block_rows;
  int vectors;
} kc_column_sums_parameters;

/* to[k] += column sums of from[k] [rows, width], k = blockIdx.y. */
typedef struct kc_add_sums_parameters {
  float *to[2];
  const float *from[2];
  unsigned long long rows;
  unsigned width;
} kc_add_sums_parameters;

/* ---- embedding.cu ----------------------------------------------------------------------------------------------------- */
typedef struct kc_embedding_parameters {
  void *y, *xhat;
  float *stream, *rstd;
  const float *word, *position, *type, *gain, *bias;
  const int *ids, *positions, *types;
  unsigned long long rows;
  unsigned width, warps;
  float epsilon;
  kc_mask mask;
  int vectors;
} kc_embedding_parameters;

/* table[index[r]] += x[r], in the order of r; rows of table with index == padding stay. */
typedef struct kc_table_parameters {
  float *table;
  const void *x;
  const int *index;
  int padding;
  unsigned rows, width;
  int vectors;
} kc_table_parameters;

/* gather: values[i] = x[index[i]]; scatter: x[index[i]] += values[i]. */
typedef struct kc_rows_parameters {
  void *x;
  float *values;
  const int *index;
  unsigned long long count;
  unsigned width;
  int vectors;
} kc_rows_parameters;

/* One block per span forward, per sentence backward. values, largest [features, count, width], spans [features, count, 2];
 * largest NULL: not wanted, or the mean. */
typedef struct kc_pool_parameters {
  float *x;                     /* backward: its gradient */
  float *values;                /* backward: read only */
  int *largest;
  const int *spans;
  unsigned long long count;
  unsigned features, width;
  int maximum;
  int vectors;
} kc_pool_parameters;

/* ---- elementwise.cu --------------------------------------------------------------------------------------------------- */
typedef struct kc_fill_parameters {
  float *x;
  float value;
  unsigned long long count;
  int vectors;
} kc_fill_parameters;

typedef struct kc_convert_parameters {
  void *y;
  const void *x;
  unsigned long long count;
  int vectors;
} kc_convert_parameters;

typedef struct kc_activation_parameters {
  void *y;                      /* backward: dx */
  const void *x, *dy;
  unsigned long long count;
  int activation;
  int vectors;
} kc_activation_parameters;

typedef struct kc_dropout_parameters {
  void *y;
  const void *x;
  unsigned long long rows;
  unsigned width;
  kc_mask mask;
  int vectors;
} kc_dropout_parameters;

/* ---- loss.cu ---------------------------------------------------------------------------------------------------------- */
/* One block per row. losses [rows]. */
typedef struct kc_cross_entropy_parameters {
  float *dlogits;
  double *losses;
  const float *logits;
  const int *labels;
  unsigned classes;
  float scale;
  const kc_device_state *state;
} kc_cross_entropy_parameters;

/* One warp per row. The terms are those of kc_loss_rule (kluere_cuda.h). losses [rows]. */
typedef struct kc_classification_loss_parameters {
  float *dlogits;
  double *losses;
  const float *logits, *weights, *margins, *teacher;
  const int *labels;
  const kc_device_state *state;
  double on_target, off_target, gamma, sharpness, temperature, hard, soft, agreement;
  unsigned rows, classes;
  float scale;
  int detached;
} kc_classification_loss_parameters;

typedef struct kc_sum_losses_parameters {
  kc_device_state *state;
  const double *losses;
  unsigned long long rows;
} kc_sum_losses_parameters;

typedef struct kc_softmax_parameters {
  float *y;
  const float *x;
  unsigned classes;
} kc_softmax_parameters;

/* ---- optimizer.cu ----------------------------------------------------------------------------------------------------- */
typedef struct kc_update_start_parameters {
  kc_device_state *state;
  float loss_scale;
  unsigned good_updates;
  int begin; /* 1: only loss_sum = 0 */
} kc_update_start_parameters;

/* squares [blocks]: block b has elements b * block_count .. of x. */
typedef struct kc_squares_parameters {
  double *squares;
  const float *x;
  unsigned long long count, block_count;
  int vectors;
} kc_squares_parameters;

typedef struct kc_prepare_parameters {
  kc_device_state *state;
  const double *squares;
  unsigned blocks, growth_interval;
  double max_norm;
  int dynamic;
} kc_prepare_parameters;

typedef struct kc_adamw_parameters {
  float *w, *m, *v;
  void *half;
  const float *gradient;
  unsigned long long count;
  const kc_device_state *state;
  float beta1, rest1, beta2, rest2, epsilon;
  float decay;  /* 1 - learning rate * weight decay */
  float step;   /* learning rate / correction1 */
  float root;   /* 1 / sqrt(correction2) */
  int vectors;
} kc_adamw_parameters;

typedef struct kc_lerp_parameters {
  float *y;
  const float *x;
  float weight;
  unsigned long long count;
  int vectors;
} kc_lerp_parameters;

/* ---- selftest.cu ------------------------------------------------------------------------------------------------------ */
/* A section is what one group of functions gives, 4 words for each of 32 lanes: S(name, units in the last place by which
 * results may differ: the chip's functions are approximations). First those of every chip, then of 7.5 on, then of 8.0
 * on. */
#define KC_SELFTEST_SECTIONS(S) \
  S(shuffle, 0)                 \
  S(shuffle_float, 0)           \
  S(philox, 0)                  \
  S(exp2, 16)                   \
  S(log2, 32)                   \
  S(functions, 16)              \
  S(exact, 0)                   \
  S(f16, 0)                     \
  S(copy, 0)                    \
  S(load_matrices, 0)           \
  S(load_transposed, 0)         \
  S(transpose, 0)               \
  S(multiply_f16, 0)            \
  S(bf16, 0)                    \
  S(multiply_bf16, 0)
#define KC_SELFTEST_WORDS 128
#define KC_SELFTEST_NUMBER(name, units) KC_SELFTEST_##name,
enum { KC_SELFTEST_SECTIONS(KC_SELFTEST_NUMBER) KC_SELFTEST_COUNT };
#undef KC_SELFTEST_NUMBER
typedef struct kc_selftest_parameters {
  unsigned *found; /* [KC_SELFTEST_COUNT, KC_SELFTEST_WORDS] */
} kc_selftest_parameters;
#endif
