/* attention_kernel.h - softmax(q k^T / sqrt(head_width)) v of queries of one sequence and head, and its gradient.
 *
 * Keys are packed transposed, so that scores of one query and many keys lie side by side; values, and in backward
 * keys, queries and output gradients, are packed as rows of one head: in the batch they lie a large power of two
 * apart, where a cache holds few of them. Queries go in blocks, whose scores stay in the cache. They may be fewer than the
 * keys: a row's result does not depend on which others are asked for. */

#define KK_QUERY_BLOCK 64

/* Sizes and scratch of one piece. */
typedef struct kk_head {
  size_t queries, length, width; /* queries, keys, head width */
  size_t keys, columns;          /* the latter two, rounded up to whole vectors */
  size_t groups;                 /* of 8 keys, for the mask */
  size_t mask_stride;   /* bits from a query to the next */
  float scale;
  float *keys_across, *values_across; /* [width, keys] */
  float *query_rows, *gradient_rows; /* [queries, columns] */
  float *key_rows, *value_rows;      /* [length, columns] */
  float *scores, *slopes; /* [KK_QUERY_BLOCK, keys] */
  uint32_t *counters;     /* 3 arrays of mask_counters */
  size_t mask_counters;
  uint16_t *bits; /* [KK_QUERY_BLOCK, mask_stride] */
} kk_head;

/* Lays the arrays out one after another, each on a 64-byte line; returns the floats taken. base may be NULL to ask. */
static size_t kk_head_layout(kk_head *h, size_t queries, size_t length, size_t width, int backward, float *base) {
  size_t used = 0;
  h->queries = queries;
  h->length = length;
  h->width = width;
  h->keys = kk_round_up(length, KK_WIDTH);
  h->columns = kk_round_up(width, KK_WIDTH);
  h->scale = 1.0f / sqrtf((float)width);
  h->groups = kk_divide_up(length, 8);
  h->mask_stride = 8 * h->groups;
  /* One vector more: the arrays are filled and read in whole vectors. */
  h->mask_counters = KK_QUERY_BLOCK * h->groups + KK_WIDTH;
#define KK_TAKE(pointer, type, floats)                        \
  do {                                                        \
    (pointer) = base ? (type)(void *)(base + used) : NULL;    \
    used += kk_round_up((floats), 16);                        \
  } while (0)
  KK_TAKE(h->keys_across, float *, width * h->keys);
  KK_TAKE(h->scores, float *, KK_QUERY_BLOCK * h->keys);
  KK_TAKE(h->counters, uint32_t *, 3 * h->mask_counters);
  KK_TAKE(h->bits, uint16_t *, 4 * h->mask_counters);
  h->value_rows = h->values_across = h->query_rows = h->key_rows = h->gradient_rows = h->slopes = NULL;
  if (!backward) {
    KK_TAKE(h->value_rows, float *, length * h->columns);
  } else {
    KK_TAKE(h->values_across, float *, width * h->keys);
    KK_TAKE(h->query_rows, float *, queries * h->columns);
    KK_TAKE(h->key_rows, float *, length * h->columns);
    KK_TAKE(h->gradient_rows, float *, queries * h->columns);
    KK_TAKE(h->slopes, float *, KK_QUERY_BLOCK * h->keys);
  }
#undef KK_TAKE
  return used;
}

static size_t kk_attention_scratch(size_t queries, size_t keys, size_t head_width, int backward) {
  kk_head h;
  return kk_head_layout(&h, queries, keys, head_width, backward, NULL);
}

/* Columns [first, first + rows) of out [width, keys] = transpose of in [rows, width]. */
static void kk_pack_part_across(float *out, size_t first, const float *in, size_t in_stride, size_t rows,
                                const kk_head *h) {
  size_t tall = rows - rows % KK_TRANSPOSE, wide = h->width - h->width % KK_TRANSPOSE;
  out += first;
  for (size_t i = 0; i < tall; i += KK_TRANSPOSE)
    for (size_t j = 0; j < wide; j += KK_TRANSPOSE)
      kk_transpose(out + j * h->keys + i, h->keys, in + i * in_stride + j, in_stride);
  for (size_t j = 0; j < h->width; j++)
    for (size_t i = j < wide ? tall : 0; i < rows; i++) out[j * h->keys + i] = in[i * in_stride + j];
}

/* out [width, keys] = transpose of the piece's rows; the columns past length repeat the last: a score more of the same
 * value does not change a maximum, and nothing else reads them. in: row 0. */
static void kk_pack_across(float *out, const float *in, size_t in_stride, kk_attention_piece piece, const kk_head *h) {
  kk_pack_part_across(out, 0, in + piece.first_key * in_stride, in_stride, piece.keys, h);
  kk_pack_part_across(out, piece.keys, in + piece.first_beside * in_stride, in_stride, piece.beside, h);
  for (size_t j = 0; j < h->width; j++, out += h->keys)
    for (size_t i = h->length; i < h->keys; i++) out[i] = out[h->length - 1];
}

/* out [rows, columns] = in [rows, width] with zeros after it. */
static void kk_pack_rows(float *out, const float *in, size_t in_stride, size_t rows, const kk_head *h) {
  for (size_t i = 0; i < rows; i++, in += in_stride, out += h->columns) {
    size_t j = 0;
    for (; j + KK_WIDTH <= h->width; j += KK_WIDTH) kk_v_store(out + j, kk_v_load(in + j));
    if (j < h->width) kk_v_store(out + j, kk_v_load_part(in + j, h->width - j));
  }
}

/* The mask bits of queries [first, first + count) of the piece. Counters of all queries
 * are made as one list, since 60 keys are fewer counters than a vector has lanes. */
static void kk_attention_mask(const kk_head *h, const kk_dropout *dropout, kk_attention_piece piece, size_t first,
                              size_t count) {
  uint32_t *group = h->counters, *position = group + h->mask_counters, *sample = position + h->mask_counters;
  size_t n = 0;
  for (size_t i = 0; i < count; i++, n += h->groups) {
    size_t row = piece.first_query + first + i;
    kk_uvec p = kk_u_set(dropout->position[row]), s = kk_u_set(dropout->sample[row]), g = kk_u_ramp();
    for (size_t k = 0; k < h->groups; k += KK_WIDTH) { /* the excess is overwritten by the next query */
      kk_u_store(group + n + k, g);
      kk_u_store(position + n + k, p);
      kk_u_store(sample + n + k, s);
      g = kk_u_add(g, kk_u_set(KK_WIDTH));
    }
  }
  kk_uvec site = kk_u_set(dropout->site + (uint32_t)piece.head);
  for (size_t k = 0; k < n; k += KK_WIDTH)
    kk_philox(h->bits + 8 * k, kk_u_load(group + k), kk_u_load(position + k), kk_u_load(sample + k), site,
              dropout->seed);
}

/* Scores become probabilities, dropped out if bits is given; returns the log of the denominator. */
KK_INLINE float kk_softmax_scores(float *s, const kk_head *h, const uint16_t *bits, uint32_t threshold, float keep) {
  kk_vec m = kk_v_load(s);
  for (size_t i = KK_WIDTH; i < h->keys; i += KK_WIDTH) m = kk_v_max(m, kk_v_load(s + i));
  float largest = kk_v_largest(m) * h->scale;
  kk_vec scale = kk_v_set(h->scale), shift = kk_v_set(-largest), s0 = kk_v_zero(), s1 = s0;
  size_t i = 0;
  for (; i + 2 * KK_WIDTH <= h->length; i += 2 * KK_WIDTH) {
    kk_vec e0 = kk_v_exp(kk_v_fma(kk_v_load(s + i), scale, shift));
    kk_vec e1 = kk_v_exp(kk_v_fma(kk_v_load(s + i + KK_WIDTH), scale, shift));
    kk_v_store(s + i, e0);
    kk_v_store(s + i + KK_WIDTH, e1);
    s0 = kk_v_add(s0, e0);
    s1 = kk_v_add(s1, e1);
  }
  for (; i < h->length; i += KK_WIDTH) {
    kk_vec e = kk_v_exp(kk_v_fma(kk_v_load(s + i), scale, shift));
    kk_v_store(s + i, e);
    s0 = kk_v_add(s0, h->length - i < KK_WIDTH ? kk_v_first(e, h->length - i) : e);
  }
  float sum = kk_v_sum(kk_v_add(s0, s1));
  kk_vec factor = kk_v_set(keep / sum);
  for (i = 0; i < h->keys; i += KK_WIDTH) {
    kk_vec p = kk_v_mul(kk_v_load(s + i), factor);
    if (bits) p = kk_v_keep(kk_bits_at_least(bits + i, threshold), p);
    kk_v_store(s + i, p);
  }
  return largest + logf(sum);
}

static void kk_attention_forward_piece(const kk_attention_arrays *a, kk_attention_piece piece, float *scratch) {
  kk_head h;
  kk_head_layout(&h, piece.queries, piece.keys + piece.beside, a->head_width, 0, scratch);
  size_t all = a->heads * h.width, at = piece.head * h.width; /* width of the layer, the head's first column */
  const float *q = a->queries + piece.first_query * a->query_stride + at;
  const float *k = a->keys + at, *v = k + all;
  int drops = kk_drops(a->dropout);
  uint32_t threshold = drops ? a->dropout->threshold : 0;
  float keep = drops ? kk_keep_scale(threshold) : 1.0f;
  kk_pack_across(h.keys_across, k, a->key_stride, piece, &h);
  kk_pack_rows(h.value_rows, v + piece.first_key * a->key_stride, a->key_stride, piece.keys, &h);
  kk_pack_rows(h.value_rows + piece.keys * h.columns, v + piece.first_beside * a->key_stride, a->key_stride,
               piece.beside, &h);
  size_t blocks = kk_divide_up(h.queries, KK_QUERY_BLOCK);
  for (size_t block = 0, first = 0, count; block < blocks; block++, first += count) {
    count = kk_divide_up(h.queries - first, blocks - block);
    kk_product(h.scores, h.keys, count, h.keys, q + first * a->query_stride, a->query_stride, 1, h.keys_across, h.keys,
               h.width, 0);
    if (drops) kk_attention_mask(&h, a->dropout, piece, first, count);
    for (size_t i = 0; i < count; i++) {
      const uint16_t *bits = drops ? h.bits + i * h.mask_stride : NULL;
      float lse = kk_softmax_scores(h.scores + i * h.keys, &h, bits, threshold, keep);
      if (a->lse) a->lse[piece.head * a->rows + piece.first_query + first + i] = lse;
    }
    kk_product(a->out + (piece.first_query + first) * all + at, all, count, h.width, h.scores, h.keys, 1, h.value_rows,
               h.columns, h.length, 0);
  }
}

/* ---- backward ------------------------------------------------------------------------------------------------ */

/* Sum of a[i] b[i]. */
KK_INLINE float kk_dot(const float *a, const float *b, size_t width) {
  kk_vec sum = kk_v_zero();
  size_t i = 0;
  for (; i + KK_WIDTH <= width; i += KK_WIDTH) sum = kk_v_fma(kk_v_load(a + i), kk_v_load(b + i), sum);
  if (i < width) sum = kk_v_fma(kk_v_load_part(a + i, width - i), kk_v_load_part(b + i, width - i), sum);
  return kk_v_sum(sum);
}

/* One query: its scores s become the dropped-out probabilities, and ds, which holds the gradient of those, becomes the
 * gradient of the scores before scaling. mean: the sum of gradient times probability, equal to dout . out. */
KK_INLINE void kk_softmax_gradient(float *s, float *ds, const kk_head *h, float lse, float mean, const uint16_t *bits,
                                   uint32_t threshold, float keep) {
  kk_vec scale = kk_v_set(h->scale), shift = kk_v_set(-lse), kept = kk_v_set(keep), m = kk_v_set(mean);
  for (size_t i = 0; i < h->keys; i += KK_WIDTH) {
    kk_vec p = kk_v_exp(kk_v_fma(kk_v_load(s + i), scale, shift)), d = kk_v_load(ds + i), dropped = p;
    if (bits) {
      kk_mask mask = kk_bits_at_least(bits + i, threshold);
      dropped = kk_v_keep(mask, kk_v_mul(p, kept));
      d = kk_v_keep(mask, kk_v_mul(d, kept));
    }
    kk_v_store(s + i, dropped);
    kk_v_store(ds + i, kk_v_mul(kk_v_mul(p, scale), kk_v_sub(d, m)));
  }
}

/* Keys that no query asked have no gradient. */
static void kk_clear_rows(float *rows, size_t stride, size_t count, size_t width) {
  for (size_t i = 0; i < count; i++) memset(rows + i * stride, 0, width * sizeof *rows);
}

static void kk_attention_backward_piece(const kk_attention_arrays *a, kk_attention_piece piece, float *scratch) {
  kk_head h;
  kk_head_layout(&h, piece.queries, piece.keys + piece.beside, a->head_width, 1, scratch);
  size_t all = a->heads * h.width, at = piece.head * h.width, query_stride = a->query_stride;
  size_t q_at = piece.first_query * query_stride + at, k_at = piece.first_key * a->key_stride + at;
  size_t out_at = piece.first_query * all + at;
  const float *q = a->queries + q_at, *k = a->keys + k_at, *dout = a->dout + out_at, *out = a->saved_out + out_at;
  const float *lse = a->saved_lse + piece.head * a->rows + piece.first_query;
  float *dq = a->dqueries + q_at, *dk = a->dkeys + k_at, *dv = dk + all;
  /* Of the rows that have a gradient already, none are new. */
  size_t old = piece.again ? piece.keys : 0, fresh = h.length - old, fresh_at = old * a->key_stride;
  if (h.queries == 0) {
    kk_clear_rows(dk + fresh_at, a->key_stride, fresh, h.width);
    kk_clear_rows(dv + fresh_at, a->key_stride, fresh, h.width);
    return;
  }
  int drops = kk_drops(a->dropout);
  uint32_t threshold = drops ? a->dropout->threshold : 0;
  float keep = drops ? kk_keep_scale(threshold) : 1.0f;
  kk_pack_across(h.keys_across, a->keys + at, a->key_stride, piece, &h);
  kk_pack_across(h.values_across, a->keys + at + all, a->key_stride, piece, &h);
  kk_pack_rows(h.query_rows, q, query_stride, h.queries, &h);
  kk_pack_rows(h.key_rows, k, a->key_stride, h.length, &h);
  kk_pack_rows(h.gradient_rows, dout, all, h.queries, &h);
  size_t blocks = kk_divide_up(h.queries, KK_QUERY_BLOCK);
  for (size_t block = 0, first = 0, count; block < blocks; block++, first += count) {
    count = kk_divide_up(h.queries - first, blocks - block);
    const float *queries = h.query_rows + first * h.columns, *gradients = h.gradient_rows + first * h.columns;
    kk_product(h.scores, h.keys, count, h.keys, queries, h.columns, 1, h.keys_across, h.keys, h.width, 0);
    kk_product(h.slopes, h.keys, count, h.keys, gradients, h.columns, 1, h.values_across, h.keys, h.width, 0);
    if (drops) kk_attention_mask(&h, a->dropout, piece, first, count);
    for (size_t i = 0; i < count; i++) {
      float mean = kk_dot(dout + (first + i) * all, out + (first + i) * all, h.width);
      kk_softmax_gradient(h.scores + i * h.keys, h.slopes + i * h.keys, &h, lse[first + i], mean,
                          drops ? h.bits + i * h.mask_stride : NULL, threshold, keep);
    }
    kk_product(dq + first * query_stride, query_stride, count, h.width, h.slopes, h.keys, 1, h.key_rows, h.columns,
               h.length, 0);
    if (old > 0) {
      kk_product(dk, a->key_stride, old, h.width, h.slopes, 1, h.keys, queries, h.columns, count, 1);
      kk_product(dv, a->key_stride, old, h.width, h.scores, 1, h.keys, gradients, h.columns, count, 1);
    }
    kk_product(dk + fresh_at, a->key_stride, fresh, h.width, h.slopes + old, 1, h.keys, queries, h.columns, count,
               first > 0);
    kk_product(dv + fresh_at, a->key_stride, fresh, h.width, h.scores + old, 1, h.keys, gradients, h.columns, count,
               first > 0);
  }
}
