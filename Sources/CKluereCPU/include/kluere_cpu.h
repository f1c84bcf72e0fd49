/* kluere_cpu.h - the CPU engine: a thread pool, scratch memory, and the arithmetic of the encoder.
 *
 * All arrays are row-major fp32 without padding between rows, unless a stride is named. "rows" are tokens of a packed
 * batch. Outputs come first, then inputs, then sizes. "=" or "+=" is said per output. Functions that may need scratch
 * return 0, or 1 when memory ran out (outputs are then undefined); others return void and cannot fail.
 * Results are the same bits for any number of threads: the order of every sum depends on the shapes alone, however the work
 * is cut. A row of a forward result does not depend on the other rows.
 * One engine runs one operation at a time (the caller's duty); separate engines are independent. */
#ifndef KLUERE_CPU_H
#define KLUERE_CPU_H
#include <stddef.h>
#include <stdint.h>

typedef struct kk_engine kk_engine;
enum { KK_ISA_AUTO = 0, KK_ISA_PLAIN = 1, KK_ISA_AVX2 = 2, KK_ISA_AVX512 = 3, KK_ISA_NEON = 4 };

/* Whether this machine runs the instruction set. AUTO: the best one. Names: "plain", "avx2", "avx512", "neon". */
int kk_isa_supported(int isa);
int kk_isa_best(void);
const char *kk_isa_name(int isa);
int kk_cpu_count(void); /* cores this process may use (affinity mask) */

/* threads >= 1, the caller's included. NULL when memory or threads ran out, or the isa is not supported. Workers block
 * all signals. */
kk_engine *kk_engine_create(int isa, int threads);
void kk_engine_destroy(kk_engine *engine);
int kk_engine_threads(const kk_engine *engine);
int kk_engine_isa(const kk_engine *engine);
/* Products pack at most about that many floats of an operand at a time (4 MiB unless set; no less than 128 columns, or all
 * rows, of one block). It changes no result: tests make it small to see many chunks. */
void kk_engine_limit_packing(kk_engine *engine, size_t floats);
/* Calls body(context, item) once for each item in [0, items), on the pool's threads, in any order; returns when all are
 * done. body must not call the engine. */
void kk_parallel(kk_engine *engine, size_t items, void (*body)(void *context, size_t item), void *context);

/* Dropout masks are recomputed, never stored: element j of a row is kept if 16 bits of Philox4x32-7 are >= threshold.
 * Counter: (j / 8, position[row], sample[row], site), key: seed; bits (j % 8) of the 128 as 8 x 16, low first.
 * threshold = round(p * 65536); kept elements are scaled by 65536 / (65536 - threshold). Same as the CUDA kernels.
 * In attention: j is the key's number among those that the query reads, position[row] the query's, site + head the site.
 * threshold 0, or a NULL kk_dropout: no dropout; sample and position may be NULL. */
typedef struct kk_dropout {
  uint64_t seed; /* already mixed with the step */
  uint32_t threshold;
  uint32_t site;
  const uint32_t *sample;   /* [rows]: number of the sentence within the update */
  const uint32_t *position; /* [rows]: position of the token within its sentence */
} kk_dropout;

/* ---- linear.c: products with weights w [out, in] -------------------------------------------------------------- */
enum { KK_ACT_NONE = 0, KK_ACT_GELU = 1, KK_ACT_TANH = 2, KK_ACT_GELU_NEW = 3, KK_ACT_RELU = 4, KK_ACT_COUNT = 5 };
/* y = act(x w^T + bias). x [rows, in], y [rows, out]; bias may be NULL. pre: NULL, or [rows, out] = the value before act. */
int kk_linear(kk_engine *engine, float *y, float *pre, const float *x, const float *w, const float *bias, size_t rows,
              size_t out, size_t in, int activation);
/* The same with the rows of w in several places, out / part_count in each, one part below the other. With more than one
 * these are a multiple of the panels' width: kk_packed_size(out / part_count, in) = out / part_count * in. */
int kk_linear_parts(kk_engine *engine, float *y, const float *x, const float *const *parts, size_t part_count,
                    const float *bias, size_t rows, size_t out, size_t in, int activation);
/* dx = (accumulate ? dx : 0) + dy w. */
int kk_linear_backward_input(kk_engine *engine, float *dx, const float *dy, const float *w, size_t rows, size_t out,
                             size_t in, int accumulate);
/* dw += dy^T x, dbias += column sums of dy (dbias may be NULL). */
int kk_linear_backward_weight(kk_engine *engine, float *dw, float *dbias, const float *dy, const float *x, size_t rows,
                              size_t out, size_t in);
/* Weights packed once, for inference. Bits equal those of kk_linear. */
size_t kk_packed_size(const kk_engine *engine, size_t out, size_t in); /* floats; packed must be 64-byte aligned */
void kk_pack(kk_engine *engine, float *packed, const float *w, size_t out, size_t in);
/* parts as kk_linear_parts takes them. */
void kk_pack_parts(kk_engine *engine, float *packed, const float *const *parts, size_t part_count, size_t out,
                   size_t in);
int kk_linear_packed(kk_engine *engine, float *y, const float *x, const float *packed, const float *bias, size_t rows,
                     size_t out, size_t in, int activation);

/* ---- narrow.c, quantized.c: weights in fewer bits, for inference --------------------------------------------------- */
enum { KK_WEIGHTS_BF16 = 2, KK_WEIGHTS_F16 = 3, KK_WEIGHTS_S8 = 4 };
/* half [count] = w rounded to BF16 or F16, ties to even. 0, or 1 if a value is not finite or has none that is. */
int kk_narrow(kk_engine *engine, uint16_t *half, const float *w, size_t count, int form);
/* scales [rows] = largest |w| of the row / 127; q [rows, width] = w / scale to the nearest whole number, ties to even. A row
 * whose scale would be below 2^-126 is 0 with scale 0. 0, or 1 if a value or a scale is not finite. fours_fit: scales so much
 * larger that sums of four products fit in 16 bits (quantized.h), which x86 processors without VNNI multiply faster: largest
 * sum of values of one sign among four / 126. */
int kk_quantize_rows(kk_engine *engine, int8_t *q, float *scales, const float *w, size_t rows, size_t width, int fours_fit);
/* Bytes of packed weights, 64-byte aligned; SIZE_MAX for more than fit. w: 16-bit values, or q with the scales of its rows. */
size_t kk_packed_narrow_size(const kk_engine *engine, size_t out, size_t in, int form);
void kk_pack_narrow(kk_engine *engine, void *packed, const void *w, const float *scales, size_t out, size_t in, int form);
/* Whether packed S8 weights are multiplied as bytes, products summed in 16 bits, and whether the engine can; for tests. */
int kk_packed_sums_fours(const void *packed);
int kk_engine_sums_fours(const kk_engine *engine);
/* y = act(x w^T + bias). 16 bits: the bits of kk_linear with the same weights in fp32. S8: each row of x becomes 8-bit numbers
 * too, the products are added exactly; before the activation all instruction sets give the same bits. in <= 65536. */
int kk_linear_narrow(kk_engine *engine, float *y, const float *x, const void *packed, const float *bias, size_t rows,
                     size_t out, size_t in, int activation, int form);
/* kk_embedding without dropout and what training keeps; word [*, width] in `form`, word_scales [*] of S8. */
void kk_embedding_narrow(kk_engine *engine, float *y, const void *word, const float *word_scales, int form,
                         const float *position, const float *type, const int32_t *ids, const int32_t *positions,
                         const int32_t *types, const float *gain, const float *bias, size_t rows, size_t width,
                         float epsilon);

/* ---- activation.c ---------------------------------------------------------------------------------------------- */
/* y = f(x), f by KK_ACT_*. GELU: x/2 (1 + erf(x / sqrt 2)), absolute error of erf at most 1e-6. GELU_NEW: x/2 (1 +
 * tanh(sqrt(2 / pi) (x + 0.044715 x^3))). RELU: max(0, x). y may be x. */
void kk_activate(kk_engine *engine, int activation, float *y, const float *x, size_t count);
/* dx = dy f'(x); for TANH dx = dy (1 - x^2), x being its result. dx may be dy. */
void kk_activate_backward(kk_engine *engine, int activation, float *dx, const float *dy, const float *x, size_t count);

/* ---- dropout.c -------------------------------------------------------------------------------------------------- */
/* y = dropout(x); its backward is the same call on the gradient. y may be x. */
void kk_dropout_apply(kk_engine *engine, float *y, const float *x, size_t rows, size_t width, const kk_dropout *dropout);

/* ---- norm.c: layer norm over the last dimension, variance without Bessel's correction ----------------------------- */
/* y = LN(residual + dropout(x)); xhat = the normalised value before gain and bias, rstd [rows] = 1 / standard deviation.
 * residual may be NULL. xhat and rstd may be NULL (inference). y may be x or residual. */
void kk_residual_norm(kk_engine *engine, float *y, float *xhat, float *rstd, const float *x, const float *residual,
                      const float *gain, const float *bias, size_t rows, size_t width, float epsilon,
                      const kk_dropout *dropout);
/* dsum = gradient of (residual + dropout(x)), i.e. of the residual; dx = its dropped part, the gradient of x (dx may be
 * NULL when threshold is 0: then it equals dsum; dx may not alias dsum). dgain, dbias +=. dsum may be dy. */
int kk_residual_norm_backward(kk_engine *engine, float *dx, float *dsum, float *dgain, float *dbias, const float *dy,
                              const float *xhat, const float *rstd, const float *gain, size_t rows, size_t width,
                              const kk_dropout *dropout);

/* ---- embedding.c ------------------------------------------------------------------------------------------------- */
/* y = dropout(LN(word[ids] + position[positions] + type[types])). word [*, width] etc. The caller has checked the ids. */
void kk_embedding(kk_engine *engine, float *y, float *xhat, float *rstd, const float *word, const float *position,
                  const float *type, const int32_t *ids, const int32_t *positions, const int32_t *types,
                  const float *gain, const float *bias, size_t rows, size_t width, float epsilon,
                  const kk_dropout *dropout);
/* dword, dposition, dtype, dgain, dbias +=, rows in order. padding: the row of dword that gets no gradient, -1 for none
 * (and likewise position_padding). dy is overwritten. vocabulary, positions_count, type_count: rows of the tables. */
int kk_embedding_backward(kk_engine *engine, float *dword, float *dposition, float *dtype, float *dgain, float *dbias,
                          float *dy, const float *xhat, const float *rstd, const float *gain, const int32_t *ids,
                          const int32_t *positions, const int32_t *types, size_t rows, size_t width,
                          size_t vocabulary, size_t position_count, size_t type_count, int32_t padding,
                          int32_t position_padding, const kk_dropout *dropout);
/* y[i] = x[index[i]] ; and dx[index[i]] += dy[i] (distinct indices). */
void kk_gather_rows(kk_engine *engine, float *y, const float *x, const int32_t *index, size_t count, size_t width);
void kk_scatter_add_rows(kk_engine *engine, float *dx, const float *dy, const int32_t *index, size_t count, size_t width);

/* ---- pool.c ------------------------------------------------------------------------------------------------------ */
/* y[i] = mean, or maximum of each column, of rows spans[2 i] .. spans[2 i + 1] of x. y [count, width]. largest: NULL, or
 * [count, width]: the row that each maximum comes from (the first of equals; NaN is larger than everything). A span without
 * rows gives 0, and -1 in largest. */
void kk_pool_spans(kk_engine *engine, float *y, int32_t *largest, const float *x, const int32_t *spans, size_t count,
                   size_t width, int maximum);
/* dx += its gradient, spans in order; they may overlap. largest: that of the maximum, NULL for the mean. */
void kk_pool_spans_backward(kk_engine *engine, float *dx, const float *dy, const int32_t *largest, const int32_t *spans,
                            size_t count, size_t width);

/* ---- attention.c: softmax(q k^T / sqrt(head_width)) v, per sequence and head, on packed sequences ------------------ */
/* Sequence s asks with queries query_offsets[s] .. query_offsets[s+1] and has the keys and values key_offsets[s] ..
 * key_offsets[s+1]; both begin with 0. A row of `queries` and one of `keys` begin so many floats after the one before; the
 * latter holds keys, then values, each head after head. Where every token asks, both may be parts of one product's result
 * [rows, 3 * heads * head_width]; where only some do, a query's result does not depend on the others. */
typedef struct kk_attention_input {
  const float *queries, *keys;
  size_t query_stride, key_stride;
  const int32_t *query_offsets, *key_offsets; /* [sequences + 1] */
  size_t sequences, heads, head_width;
  /* NULL: every query reads all keys of its sequence. Else [sequences][3]: begin, count, asking. The sequence's text is keys
   * begin .. begin + count. Its first `asking` queries are the text's and read the text alone; the others, of markers beside
   * the text, read it and behind it those of the sequence's own keys that are not the text's (levitated markers: Ye et al.
   * 2022). The text begins the sequence's own keys, or it is an earlier sequence's: then none of the queries are the text's. */
  const int32_t *texts;
} kk_attention_input;
/* out [queries, heads * head_width]. lse [heads, queries]: log of the softmax's denominator, natural, with the scale inside;
 * NULL in inference. dropout on the probabilities: sample[] and position[] per query; head h uses site + h. */
int kk_attention(kk_engine *engine, float *out, float *lse, const kk_attention_input *input, const kk_dropout *dropout);
/* dqueries, dkeys = gradients, laid out as queries and keys. Every sequence has a text of its own. */
int kk_attention_backward(kk_engine *engine, float *dqueries, float *dkeys, const float *dout, const float *out,
                          const float *lse, const kk_attention_input *input, const kk_dropout *dropout);

/* ---- loss.c -------------------------------------------------------------------------------------------------------- */
/* loss[row] = -log softmax(logits[row])[label]; dlogits = scale * (softmax - onehot), NULL if not wanted. A label outside
 * [0, classes) gives loss 0 and gradient 0. */
void kk_cross_entropy(kk_engine *engine, double *loss, float *dlogits, const float *logits, const int32_t *labels,
                      size_t rows, size_t classes, float scale);
void kk_softmax(kk_engine *engine, float *y, const float *x, size_t rows, size_t classes); /* y may be x */
/* What a row's loss is made of, H + K + R (classification_loss.c). With q = on_target for the label and off_target for the
 * other classes, and p = softmax(sharpness * (logits - margins[label] at the label)):
 *   H = hard * sum over j of weights[j] q_j (1 - p_j)^gamma (-log p_j)      detached: (1 - p_j)^gamma has no gradient
 *   K = soft * KL(teacher[row] || softmax(logits / temperature))
 *   R = agreement * (KL(a || b) + KL(b || a)) / 4, a and b = softmax(logits) of the row and of row ^ 1, the same sentence with
 *       other dropout: two rows together count the pair once
 * NULL: no margins, all weights 1. */
typedef struct kk_loss_rule {
  const float *weights, *margins; /* [classes] */
  const float *teacher;           /* [rows, classes] */
  double on_target, off_target, gamma, sharpness, temperature, hard, soft, agreement;
  int detached;
} kk_loss_rule;
/* loss[row] and dlogits = scale * gradient, NULL if not wanted; not the logits themselves. Labels as above; with
 * agreement both rows of a pair have the same. */
void kk_classification_loss(kk_engine *engine, double *loss, float *dlogits, const float *logits, const int32_t *labels,
                            size_t rows, size_t classes, float scale, const kk_loss_rule *rule);

/* ---- optimizer.c ---------------------------------------------------------------------------------------------------- */
double kk_sum_of_squares(kk_engine *engine, const float *x, size_t count); /* summed in double, in fixed blocks */
/* torch.optim.AdamW: w *= 1 - lr wd; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 * w -= lr / correction1 * m / (sqrt(v) / sqrt(correction2) + epsilon), g = grad_scale * gradient,
 * correction = 1 - beta^step with beta as rounded to float. */
typedef struct kk_adamw {
  float learning_rate, beta1, beta2, epsilon, weight_decay, grad_scale;
  double correction1, correction2;
} kk_adamw;
void kk_adamw_apply(kk_engine *engine, float *w, float *m, float *v, const float *gradient, size_t count,
                    const kk_adamw *options);
void kk_fill(kk_engine *engine, float *x, float value, size_t count);
/* torch.lerp: y += weight (x - y), weight in [0, 1]; 1 copies x. */
void kk_lerp(kk_engine *engine, float *y, const float *x, float weight, size_t count);
#endif
