/* kluere_cuda.h - the CUDA engine: one device, its memory, and the arithmetic of the encoder on it.
 *
 * The same operations as kluere_cpu.h, on device memory. Arrays are row-major without padding between rows; "rows" are
 * tokens of a packed batch. Outputs come first, then inputs, then sizes. "=" or "+=" is said per output.
 * Nothing of CUDA is linked: libcuda, libcublasLt and libnvrtc are opened at run time (loader.c).
 *
 * Threads: one call at a time per device (the caller's duty); any thread. Each call makes the device's primary context
 * current and restores what was current before, so that PyTorch can live in the same process.
 * Order: all work goes to one stream of the device's own; calls return before it is done unless they say "waits".
 * Errors: calls return KC_OK or another KC_*; kc_error() then has one line. After KC_LOST every further call on that
 * device gives KC_LOST. Nothing here prints, aborts or changes signals.
 * Determinism: no atomics, sums in a fixed order: the same calls give the same bits on the same chip and libraries. */
#ifndef KLUERE_CUDA_H
#define KLUERE_CUDA_H
#include <stddef.h>
#include <stdint.h>

enum {
  KC_OK = 0,
  KC_OUT_OF_MEMORY = 1,
  KC_FAILED = 2,      /* a driver or library call failed; the device can still be used */
  KC_LOST = 3,        /* the context is beyond repair (illegal address, hardware error): only kc_close is left */
  KC_UNSUPPORTED = 4, /* no driver, no device, too old, or a type that the chip cannot do */
  KC_FORKED = 5       /* the process was forked after the device was opened */
};

typedef struct kc_device kc_device;

/* How values are stored and multiplied. TF32 is stored as F32; its products are rounded to 10 bits of mantissa. */
enum { KC_F32 = 0, KC_TF32 = 1, KC_BF16 = 2, KC_F16 = 3 };

/* A device array and its type; data NULL: absent. */
typedef struct kc_array {
  void *data;
  int32_t type;
} kc_array;

/* Weights: fp32 masters, and the same values as 16-bit numbers of type half_type (NULL if there are none). Products
 * with 16-bit values read the half copy, which must have their type; all others read the masters. */
typedef struct kc_weights {
  const float *f32;
  const void *half;
  int32_t half_type;
} kc_weights;

/* ---- device.c ---- */
/* Number of CUDA devices; 0 with a line in message (what was looked for, where) if there is no driver or none. */
int kc_count(char *message, size_t capacity);
/* Opens device `ordinal`. libraries: a folder to look in first, or NULL; cache: the folder for compiled kernels, NULL
 * for $KLUERE_CACHE, else $XDG_CACHE_HOME/kluere, else $HOME/.cache/kluere. On failure message has a line that names
 * each library and every path that was tried. Waits. */
int kc_open(int ordinal, const char *libraries, const char *cache, kc_device **out, char *message, size_t capacity);
/* Frees what the device still holds; host memory only when it is lost or the process was forked. NULL is allowed. */
void kc_close(kc_device *device);
const char *kc_error(const kc_device *device); /* one line, valid until the next call */

typedef struct kc_info {
  char name[256];
  int32_t major, minor; /* compute capability */
  int32_t multiprocessors;
  int32_t driver_version; /* as cuDriverGetVersion: 13000 is 13.0 */
  uint64_t cublas_version;
  uint64_t memory_total; /* bytes */
  int32_t bf16;          /* 1: KC_BF16 and KC_TF32 can be used */
  int32_t f16;           /* 1: KC_F16 can be used */
} kc_info;
int kc_describe(const kc_device *device, kc_info *info);
int kc_memory_free(kc_device *device, uint64_t *bytes); /* free on the device now */
/* Compiles or loads every kernel, runs the self-test of the hardware wrappers (kernels/selftest.cu) against constants
 * computed on the CPU. KC_FAILED names the first wrapper that differs. Waits. */
int kc_selftest(kc_device *device);
int kc_synchronize(kc_device *device); /* waits */

/* ---- memory.c ---- */
/* Zeroed, 256-byte aligned. */
int kc_allocate(kc_device *device, size_t bytes, void **out);
/* Waits for work in progress. NULL is allowed; never fails. */
void kc_free(kc_device *device, void *memory);
/* The source may be changed when the call returns. */
int kc_copy_in(kc_device *device, void *to, const void *host, size_t bytes);
int kc_copy_out(kc_device *device, void *host, const void *from, size_t bytes); /* waits */
int kc_copy(kc_device *device, void *to, const void *from, size_t bytes);
int kc_zero(kc_device *device, void *memory, size_t bytes);
int kc_fill(kc_device *device, float *x, float value, size_t count);
/* y = x as another type; for the 16-bit copy of weights too. */
int kc_convert(kc_device *device, kc_array y, kc_array x, size_t count);

/* ---- graph.c: a recorded sequence of calls, for inference on small batches ---- */
typedef struct kc_graph kc_graph;
/* Between begin and end, operations are recorded, not run; calls that wait or allocate give KC_FAILED. Run the same
 * calls once before (libraries load kernels at first use). */
int kc_capture_begin(kc_device *device);
int kc_capture_end(kc_device *device, kc_graph **out); /* also ends a capture in which a call failed: *out = NULL then */
int kc_graph_launch(kc_device *device, kc_graph *graph);
void kc_graph_destroy(kc_device *device, kc_graph *graph);

/* Dropout masks are recomputed, never stored, and are those of the CPU bit for bit (kluere_cpu.h, kk_dropout): element
 * j of a row is kept if 16 bits of Philox4x32-7 are >= threshold. Counter: (j / 8, position[row], sample[row], site),
 * key: seed; bits (j % 8) of the 128 as 8 x 16, low first. threshold = round(p * 65536); kept elements are scaled by
 * 65536 / (65536 - threshold). In attention: j is the key's place among those of its sequence, the text's first,
 * position[row] the query's, site + head the site. threshold 0: no dropout. */
typedef struct kc_dropout {
  uint64_t seed; /* already mixed with the step */
  uint32_t threshold;
  uint32_t site;
  const uint32_t *sample;   /* device, [rows] */
  const uint32_t *position; /* device, [rows] */
} kc_dropout;

/* ---- linear.c: products with weights w [out, in] through cuBLASLt; sums in fp32 ---- */
enum { KC_ACT_NONE = 0, KC_ACT_GELU = 1, KC_ACT_TANH = 2, KC_ACT_GELU_NEW = 3, KC_ACT_RELU = 4 };
/* y = act(x w^T + bias). x [rows, in], y [rows, out]; bias.f32 may be NULL. pre: absent, or [rows, out] = the value
 * before act (of y's type). y and x have the same type, or y is F32. */
int kc_linear(kc_device *device, kc_array y, kc_array pre, kc_array x, kc_weights w, kc_weights bias, size_t rows,
              size_t out, size_t in, int activation);
/* dx = (accumulate ? dx : 0) + dy w. dx has dy's type, or is F32. */
int kc_linear_backward_input(kc_device *device, kc_array dx, kc_array dy, kc_weights w, size_t rows, size_t out,
                             size_t in, int accumulate);
/* dw += dy^T x, dbias += column sums of dy (dbias may be NULL); both fp32. dy and x have the same type. */
int kc_linear_backward_weight(kc_device *device, float *dw, float *dbias, kc_array dy, kc_array x, size_t rows,
                              size_t out, size_t in);

/* ---- elementwise.c ---- */
/* y = f(x); GELU with the exact erf. y may be x; same type. */
int kc_activate(kc_device *device, int activation, kc_array y, kc_array x, size_t count);
/* dx = dy f'(x); for TANH dx = dy (1 - x^2), x being its result. dx may be dy. Same type. */
int kc_activate_backward(kc_device *device, int activation, kc_array dx, kc_array dy, kc_array x, size_t count);
/* y = dropout(x); its backward is the same call on the gradient. y may be x. Same type. */
int kc_dropout_apply(kc_device *device, kc_array y, kc_array x, size_t rows, size_t width, const kc_dropout *dropout);

/* ---- norm.c: layer norm over the last dimension, arithmetic in fp32 ---- */
/* y = LN(residual + dropout(x)). Stream arrays (residual, stream) keep the residual path in fp32 beside 16-bit values,
 * as PyTorch's autocast does: stream, if there, gets the unrounded y; residual is of x's type or F32. xhat (of x's
 * type) = the normalised value before gain and bias, rstd [rows] = 1 / standard deviation; both absent in inference.
 * gain, bias fp32 [width]. y may be x or residual where the types agree. */
int kc_residual_norm(kc_device *device, kc_array y, float *stream, kc_array xhat, float *rstd, kc_array x,
                     kc_array residual, const float *gain, const float *bias, size_t rows, size_t width,
                     float epsilon, const kc_dropout *dropout);
/* dsum = gradient of (residual + dropout(x)), of dy's type; dx (of xhat's type) = its dropped part, the gradient of x.
 * dgain, dbias +=. dsum may be dy. dy is of xhat's type or F32. */
int kc_residual_norm_backward(kc_device *device, kc_array dx, kc_array dsum, float *dgain, float *dbias, kc_array dy,
                              kc_array xhat, const float *rstd, const float *gain, size_t rows, size_t width,
                              const kc_dropout *dropout);

/* ---- embedding.c ---- */
/* Tables are fp32 [*, width]. */
typedef struct kc_tables {
  float *word, *position, *type;
  int32_t word_rows, position_rows, type_rows;
  int32_t word_padding, position_padding; /* rows that get no gradient, -1: none */
} kc_tables;
typedef struct kc_tokens { /* device, [rows] each; all inside the tables (the caller has checked) */
  const int32_t *ids, *positions, *types;
} kc_tokens;
/* y = dropout(LN(word[ids] + position[positions] + type[types])); stream, xhat and rstd as in kc_residual_norm. Dropout
 * is after LN here, for y and stream alike. */
int kc_embedding(kc_device *device, kc_array y, float *stream, kc_array xhat, float *rstd, const kc_tables *tables,
                 const kc_tokens *tokens, const float *gain, const float *bias, size_t rows, size_t width,
                 float epsilon, const kc_dropout *dropout);
/* Gradients of the tables, gain and bias +=, rows in a fixed order. dy (of xhat's type or F32) is overwritten. */
int kc_embedding_backward(kc_device *device, const kc_tables *gradients, float *dgain, float *dbias, kc_array dy,
                          kc_array xhat, const float *rstd, const float *gain, const kc_tokens *tokens, size_t rows,
                          size_t width, const kc_dropout *dropout);
/* y[i] = x[index[i]], as fp32; and dx[index[i]] += dy[i] (distinct indices). */
int kc_gather_rows(kc_device *device, float *y, kc_array x, const int32_t *index, size_t count, size_t width);
int kc_scatter_add_rows(kc_device *device, kc_array dx, const float *dy, const int32_t *index, size_t count,
                        size_t width);
/* y[f, s] = mean, or maximum of each column, of rows spans[f, s, 0] .. spans[f, s, 1] of x [rows, width]: `features` spans
 * for each of `count` sentences, which share no row. largest: NULL, or shaped as y: the row that each maximum comes from (the
 * first of equals; NaN is larger than everything). A span without rows gives 0, and -1 in largest. */
int kc_pool_spans(kc_device *device, float *y, int32_t *largest, const float *x, const int32_t *spans, size_t features,
                  size_t count, size_t width, int maximum);
/* dx += its gradient; a sentence's spans in order, they may overlap. largest: that of the maximum, NULL for the mean. */
int kc_pool_spans_backward(kc_device *device, float *dx, const float *dy, const int32_t *largest, const int32_t *spans,
                           size_t features, size_t count, size_t width);

/* ---- attention.c: softmax(q k^T / sqrt(head_width)) v, per sequence and head, on packed sequences ---- */
/* Arrays and offsets in device memory, laid out as in kk_attention_input (kluere_cpu.h), except that the first sequence may
 * begin behind row 0. rows: those of out and lse, at least query_offsets[sequences]. longest_queries, longest_keys: at least
 * those of any sequence. A sequence without queries, or without anything, is allowed.
 * texts: NULL: every query of a sequence reads all of its keys. Else [sequences][3], {begin, count, queries}: the
 * sequence's text is the keys in rows begin .. begin + count. Its first `queries` queries are the text's and read the
 * text alone; the others read the text and, behind it, those of its own keys that are not the text's. The text begins
 * the sequence's own keys, or lies before them, as an earlier sequence's: then queries is 0, and all own keys are beside
 * the text. An ordinary sequence has {key_offsets[s], its keys, its queries}. longest_keys counts all that a sequence
 * reads. The gradient has only texts that are the sequences' own. */
typedef struct kc_attention_input {
  kc_array queries, keys;
  size_t query_stride, key_stride;
  const int32_t *query_offsets, *key_offsets, *texts;
  size_t sequences, rows, longest_queries, longest_keys, heads, head_width;
} kc_attention_input;
/* out [rows, heads * head_width]. lse [heads, rows]: log of the softmax's denominator, natural, with the scale inside; NULL
 * in inference. Rows that no sequence owns are not written. */
int kc_attention(kc_device *device, kc_array out, float *lse, const kc_attention_input *input,
                 const kc_dropout *dropout);
/* dqueries, dkeys = gradients, laid out as queries and keys. */
int kc_attention_backward(kc_device *device, kc_array dqueries, kc_array dkeys, kc_array dout, kc_array out,
                          const float *lse, const kc_attention_input *input, const kc_dropout *dropout);

/* ---- loss.c and optimizer.c: one update, without waiting for its numbers ---- */
/* Lives in device memory (kc_allocate, then kc_update_start); the host sees it through kc_update_read alone. */
typedef struct kc_update_state {
  double loss_sum;       /* of this update's rows, without the loss scale */
  double grad_norm;      /* 2-norm of all gradients, without the loss scale */
  float gradient_scale;  /* what AdamW multiplies gradients with: clipping / loss scale */
  uint32_t skip;         /* 1: loss or gradients are not finite: AdamW changes nothing */
  float loss_scale;      /* 1 unless dynamic */
  uint32_t good_updates; /* since the scale last changed */
} kc_update_state;
/* Once: loss_scale, and everything else 0. */
int kc_update_start(kc_device *device, kc_update_state *state, float loss_scale, uint32_t good_updates);
/* At the beginning of each update: loss_sum = 0. */
int kc_update_begin(kc_device *device, kc_update_state *state);
/* state->loss_sum += sum over rows of -log softmax(logits)[label]; dlogits (NULL if not wanted) = scale * loss_scale *
 * gradient. fp32 logits. A label outside [0, classes) gives loss 0 and gradient 0. */
int kc_cross_entropy(kc_device *device, float *dlogits, const float *logits, const int32_t *labels, size_t rows,
                     size_t classes, float scale, kc_update_state *state);
/* What a row's loss is made of, H + K + R. With q = on_target for the label and off_target for the other classes, and
 * p = softmax(sharpness * (logits - margins[label] at the label)):
 *   H = hard * sum over j of weights[j] q_j (1 - p_j)^gamma (-log p_j)      detached: (1 - p_j)^gamma has no gradient
 *   K = soft * KL(teacher[row] || softmax(logits / temperature))
 *   R = agreement * (KL(a || b) + KL(b || a)) / 4, a and b = softmax(logits) of the row and of row ^ 1, the same sentence with
 *       other dropout: two rows together count the pair once
 * NULL: no margins, all weights 1. */
typedef struct kc_loss_rule {
  const float *weights, *margins; /* [classes] */
  const float *teacher;           /* [rows, classes] */
  double on_target, off_target, gamma, sharpness, temperature, hard, soft, agreement;
  int detached;
} kc_loss_rule;
/* As kc_cross_entropy; dlogits is not the logits themselves. With agreement both rows of a pair have one label. */
int kc_classification_loss(kc_device *device, float *dlogits, const float *logits, const int32_t *labels, size_t rows,
                           size_t classes, float scale, const kc_loss_rule *rule, kc_update_state *state);
int kc_softmax(kc_device *device, float *y, const float *x, size_t rows, size_t classes); /* y may be x */
/* grad_norm, gradient_scale = min(1, max_norm / (norm + 1e-6)) / loss_scale (max_norm 0: 1 / loss_scale) and skip from
 * the gradients; dynamic: halves loss_scale on a skip, doubles it after growth_interval good updates
 * (torch.amp.GradScaler). */
int kc_update_prepare(kc_device *device, kc_update_state *state, const float *gradients, size_t count, double max_norm,
                      int dynamic, uint32_t growth_interval);
/* torch.optim.AdamW: w *= 1 - lr wd; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= lr / correction1 * m / (sqrt(v) /
 * sqrt(correction2) + epsilon); g = state->gradient_scale * gradient. half: also the 16-bit copy of w, or absent. */
typedef struct kc_adamw {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  double correction1, correction2;
} kc_adamw;
int kc_adamw_apply(kc_device *device, float *w, kc_array half, float *m, float *v, const float *gradient, size_t count,
                   const kc_adamw *options, const kc_update_state *state);
/* torch.lerp: y += weight (x - y), weight in [0, 1]; 1 copies x. */
int kc_lerp(kc_device *device, float *y, const float *x, float weight, size_t count);
int kc_update_read(kc_device *device, const kc_update_state *state, kc_update_state *out); /* waits */
#endif
