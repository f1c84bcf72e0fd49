// attention.cu - attention in fp32 arithmetic, for any head width up to 256 and every number type; forward and
// backward, deterministic: the gradients of queries and those of keys and values have kernels of their own, so that
// every element is written by one thread. What tensor cores can do for 16-bit numbers is in attention_mma.cu.
//
// A block has a few rows of one sequence and head ("own rows": queries, or keys and values in dkv), Q for each warp,
// and walks over the other side in tiles of 32 rows, one for each lane. Sums over the head width are made by a lane
// alone, with the tile in shared memory at an odd stride, so that 32 lanes read 32 banks. Results have their columns
// over the lanes, C for each.
#include "device.cuh"

#define LOWEST (-1e30f)

// This block's sequence, head and own rows.
struct head_place {
  kc_u64 query, key; // as in kc_sequence
  unsigned queries, keys, text_queries, text_keys, gap;
  unsigned first;         // of the own rows
  unsigned width, stride; // of a head; floats from one row of the tile to the next
  kc_u64 layer, column;   // width of the layer; first column of the head
};
KC_DEVICE head_place place_of(const kc_attention_parameters &p, unsigned own_rows) {
  const kc_sequence s = kc_sequence_of(p, p.texts, blockIdx.x / p.tiles);
  return {s.query,
          s.key,
          (unsigned)s.queries,
          (unsigned)s.keys,
          (unsigned)s.text_queries,
          (unsigned)s.text_keys,
          (unsigned)s.gap,
          blockIdx.x % p.tiles * own_rows,
          p.head_width,
          p.head_width | 1,
          (kc_u64)p.heads * p.head_width,
          (kc_u64)blockIdx.y * p.head_width};
}
// The first query that reads a key; all behind it do too.
KC_DEVICE unsigned first_reader(const head_place &h, unsigned key) {
  return key < h.text_keys ? 0 : key < h.keys ? h.text_queries : 0xffffffffu;
}
// A block whose own queries are the text's alone has no other keys than the text's.
KC_DEVICE void limit_keys(head_place &h, unsigned own_rows) {
  if (h.first + own_rows <= h.text_queries || h.queries == h.text_queries) h.keys = h.text_keys;
}
// Elements of a row of the sequence; part 0: keys, 1: values.
KC_DEVICE kc_u64 in_queries(const kc_attention_parameters &p, const head_place &h, unsigned row) {
  return (h.query + row) * p.query_stride + h.column;
}
KC_DEVICE kc_u64 in_keys(const kc_attention_parameters &p, const head_place &h, unsigned row, unsigned part) {
  return (h.key + row + (row < h.text_keys ? 0 : h.gap)) * p.key_stride + part * h.layer + h.column;
}
KC_DEVICE kc_u64 in_out(const head_place &h, unsigned row) { return (h.query + row) * h.layer + h.column; }

// Rows [first, first + rows) of the `there` that the sequence has, zeros past its end, a warp to a row. step: elements
// from row to row.
template <class T>
KC_DEVICE void load_rows(float *to, unsigned stride, const void *array, kc_u64 at, kc_u64 step, unsigned first,
                         unsigned rows, unsigned there, const head_place &h) {
  const typename T::word *from = (const typename T::word *)array + at;
  for (unsigned row = kc_warp(); row < rows; row += blockDim.x / 32) {
    for (unsigned column = kc_lane(); column < h.width; column += 32)
      to[row * stride + column] = first + row < there ? T::up(from[row * step + column]) : 0.0f;
  }
}
// The same of keys (part 0) or values (part 1).
template <class T>
KC_DEVICE void load_key_rows(float *to, unsigned stride, const kc_attention_parameters &p, unsigned first,
                             unsigned rows, unsigned part, const head_place &h) {
  for (unsigned row = kc_warp(); row < rows; row += blockDim.x / 32) {
    const typename T::word *from = (const typename T::word *)p.keys + in_keys(p, h, first + row, part);
    for (unsigned column = kc_lane(); column < h.width; column += 32)
      to[row * stride + column] = first + row < h.keys ? T::up(from[column]) : 0.0f;
  }
}
template <class T>
KC_DEVICE void load_tile(float *tile, const void *array, kc_u64 at, kc_u64 step, unsigned first, unsigned there,
                         const head_place &h) {
  kc_sync(); // all have read the tile before
  load_rows<T>(tile, h.stride, array, at, step, first, 32, there, h);
  kc_sync();
}
template <class T>
KC_DEVICE void load_keys(float *tile, const kc_attention_parameters &p, unsigned key, unsigned part,
                         const head_place &h) {
  kc_sync(); // all have read the tile before
  load_key_rows<T>(tile, h.stride, p, key, 32, part, h);
  kc_sync();
}

// s[q] = own row q . the tile's row of this lane
template <int Q>
KC_DEVICE void multiply_tile(float s[Q], const float *own, const float *tile, const head_place &h) {
  const float *row = tile + kc_lane() * h.stride;
  KC_UNROLL
  for (int q = 0; q < Q; q++) s[q] = 0;
  KC_UNROLL_BY(4)
  for (unsigned column = 0; column < h.width; column++) {
    const float v = row[column];
    KC_UNROLL
    for (int q = 0; q < Q; q++) s[q] += own[q * h.width + column] * v;
  }
}

// sum[q] += over the tile's rows: w[q] of the row's lane times the row
template <int C, int Q>
KC_DEVICE void add_tile(float sum[Q][C], const float w[Q], const float *tile, const head_place &h) {
  KC_UNROLL_BY(4)
  for (int row = 0; row < 32; row++) {
    float v[C];
    KC_UNROLL
    for (int c = 0; c < C; c++) {
      const unsigned column = kc_lane() + 32 * c;
      v[c] = column < h.width ? tile[row * h.stride + column] : 0.0f;
    }
    KC_UNROLL
    for (int q = 0; q < Q; q++) {
      const float weight = kc_shuffle(w[q], row);
      KC_UNROLL
      for (int c = 0; c < C; c++) sum[q][c] += weight * v[c];
    }
  }
}

template <class T, int C>
KC_DEVICE void store_row(void *array, kc_u64 at, const float v[C], float factor, const head_place &h) {
  typename T::word *to = (typename T::word *)array + at;
  KC_UNROLL
  for (int c = 0; c < C; c++) {
    const unsigned column = kc_lane() + 32 * c;
    if (column < h.width) to[column] = T::down(v[c] * factor);
  }
}

template <int C, int Q>
KC_DEVICE void clear(float sum[Q][C]) {
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    KC_UNROLL
    for (int c = 0; c < C; c++) sum[q][c] = 0;
  }
}

// ---- masks ----

KC_DEVICE kc_bits mask_bits(const kc_attention_parameters &p, const head_place &h, unsigned query, unsigned group) {
  const kc_u64 row = h.query + (query < h.queries ? query : h.queries - 1);
  return kc_philox(group, p.mask.position[row], p.mask.sample[row], p.mask.site + blockIdx.y, p.mask.seed);
}
// Number n of the 8 of a call; chosen by comparison, since registers have no index.
KC_DEVICE bool kept_of(const kc_bits &bits, unsigned n, kc_u32 threshold) {
  kc_u32 word = bits.word[0];
  KC_UNROLL
  for (unsigned w = 1; w < 4; w++) word = n / 2 == w ? bits.word[w] : word;
  return kc_kept(word, n % 2, threshold);
}

// kept[q]: whether query + q keeps this lane's key. 32 keys are 4 calls of the generator for each query: lane 4 q + i
// makes call i of query q, and the others fetch from it.
template <int Q>
KC_DEVICE void keys_kept(bool kept[Q], const kc_attention_parameters &p, const head_place &h, unsigned query,
                         unsigned key) {
  const unsigned lane = kc_lane();
  const kc_bits own = mask_bits(p, h, query + lane / 4 % Q, key / 8 + lane % 4);
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    kc_bits bits;
    KC_UNROLL
    for (int w = 0; w < 4; w++) bits.word[w] = kc_shuffle(own.word[w], q * 4 + lane / 8);
    kept[q] = kept_of(bits, lane % 8, p.mask.threshold);
  }
}
// kept[q]: whether this lane's query keeps key + q; the keys are in one group of 8.
template <int Q>
KC_DEVICE void queries_keep(bool kept[Q], const kc_attention_parameters &p, const head_place &h, unsigned query,
                            unsigned key) {
  const kc_bits bits = mask_bits(p, h, query, key / 8);
  KC_UNROLL
  for (int q = 0; q < Q; q++) kept[q] = kept_of(bits, (key + q) % 8, p.mask.threshold);
}

// ---- forward ----

// The softmax so far: scores s become weights relative to the largest yet seen; what was summed before shrinks with it.
// A key that a query does not read gets weight 0; the first tile has keys that it reads.
template <int C, int Q>
KC_DEVICE void softmax_step(float s[Q], float largest[Q], float total[Q], float sum[Q][C], float scale,
                            const head_place &h, unsigned query, unsigned key) {
  const unsigned reader = first_reader(h, key + kc_lane());
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    const float score = query + q >= reader ? s[q] * scale : LOWEST;
    const float now = fmaxf(largest[q], kc_warp_max(score)), shrink = expf(largest[q] - now);
    s[q] = expf(score - now);
    total[q] = total[q] * shrink + s[q];
    largest[q] = now;
    KC_UNROLL
    for (int c = 0; c < C; c++) sum[q][c] *= shrink;
  }
}

template <class T, int C, int Q>
KC_DEVICE void attention_forward(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(float, shared);
  const unsigned own_rows = blockDim.x / 32 * Q;
  head_place h = place_of(p, own_rows);
  if (h.first >= h.queries) return;
  limit_keys(h, own_rows);
  float *queries = shared, *tile = queries + own_rows * h.width, *own = queries + kc_warp() * Q * h.width;
  const unsigned query = h.first + kc_warp() * Q;
  load_rows<T>(queries, h.width, p.queries, in_queries(p, h, h.first), p.query_stride, h.first, own_rows, h.queries,
               h);
  float sum[Q][C], largest[Q], total[Q];
  clear<C, Q>(sum);
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    largest[q] = LOWEST;
    total[q] = 0;
  }
  for (unsigned key = 0; key < h.keys; key += 32) {
    float s[Q];
    load_keys<T>(tile, p, key, 0, h);
    multiply_tile<Q>(s, own, tile, h);
    softmax_step<C, Q>(s, largest, total, sum, p.scale, h, query, key);
    if (p.mask.threshold != 0) {
      bool kept[Q];
      keys_kept<Q>(kept, p, h, query, key);
      KC_UNROLL
      for (int q = 0; q < Q; q++) s[q] = kept[q] ? s[q] * p.mask.scale : 0.0f;
    }
    load_keys<T>(tile, p, key, 1, h);
    add_tile<C, Q>(sum, s, tile, h);
  }
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    const float all = kc_warp_sum(total[q]);
    if (query + q >= h.queries) continue;
    store_row<T, C>(p.out, in_out(h, query + q), sum[q], 1.0f / all, h);
    if (p.lse && kc_lane() == 0) p.lse[blockIdx.y * p.rows + h.query + query + q] = largest[q] + logf(all);
  }
}

// ---- backward ----

// dout . out of a query: what the gradient of a softmax subtracts.
template <class T>
KC_DEVICE float gradient_mean(const kc_attention_parameters &p, const head_place &h, unsigned query) {
  const kc_u64 at = in_out(h, query < h.queries ? query : h.queries - 1);
  const typename T::word *out = (const typename T::word *)p.out + at, *dout = (const typename T::word *)p.dout + at;
  float sum = 0;
  for (unsigned column = kc_lane(); column < h.width; column += 32) sum += T::up(out[column]) * T::up(dout[column]);
  return kc_warp_sum(sum);
}

template <class T, int C, int Q>
KC_DEVICE void attention_queries(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(float, shared);
  const unsigned own_rows = blockDim.x / 32 * Q;
  head_place h = place_of(p, own_rows);
  if (h.first >= h.queries) return;
  limit_keys(h, own_rows);
  float *queries = shared, *gradients = queries + own_rows * h.width, *tile = gradients + own_rows * h.width;
  const unsigned own = kc_warp() * Q * h.width, query = h.first + kc_warp() * Q;
  load_rows<T>(queries, h.width, p.queries, in_queries(p, h, h.first), p.query_stride, h.first, own_rows, h.queries,
               h);
  load_rows<T>(gradients, h.width, p.dout, in_out(h, h.first), h.layer, h.first, own_rows, h.queries, h);
  float sum[Q][C], lse[Q], mean[Q];
  clear<C, Q>(sum);
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    mean[q] = gradient_mean<T>(p, h, query + q);
    const kc_u64 at = blockIdx.y * p.rows + h.query + query + q;
    lse[q] = query + q < h.queries ? p.lse[at] : 0.0f;
    if (query + q < h.queries && kc_lane() == 0) p.mean[at] = mean[q];
  }
  for (unsigned key = 0; key < h.keys; key += 32) {
    float s[Q], d[Q];
    bool kept[Q];
    load_keys<T>(tile, p, key, 0, h);
    multiply_tile<Q>(s, queries + own, tile, h);
    load_keys<T>(tile, p, key, 1, h);
    multiply_tile<Q>(d, gradients + own, tile, h);
    if (p.mask.threshold != 0) keys_kept<Q>(kept, p, h, query, key);
    const unsigned reader = first_reader(h, key + kc_lane());
    KC_UNROLL
    for (int q = 0; q < Q; q++) {
      const float weight = query + q >= reader ? expf(s[q] * p.scale - lse[q]) : 0.0f;
      if (p.mask.threshold != 0) d[q] = kept[q] ? d[q] * p.mask.scale : 0.0f;
      s[q] = weight * (d[q] - mean[q]) * p.scale;
    }
    load_keys<T>(tile, p, key, 0, h);
    add_tile<C, Q>(sum, s, tile, h);
  }
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    if (query + q < h.queries) store_row<T, C>(p.dqueries, in_queries(p, h, query + q), sum[q], 1.0f, h);
  }
}

template <class T, int C, int Q>
KC_DEVICE void attention_keys(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(float, shared);
  const unsigned own_rows = blockDim.x / 32 * Q;
  const head_place h = place_of(p, own_rows);
  if (h.first >= h.keys) return;
  float *keys = shared, *values = keys + own_rows * h.width, *tile = values + own_rows * h.width;
  const unsigned own = kc_warp() * Q * h.width, key = h.first + kc_warp() * Q;
  load_key_rows<T>(keys, h.width, p, h.first, own_rows, 0, h);
  load_key_rows<T>(values, h.width, p, h.first, own_rows, 1, h);
  float key_sum[Q][C], value_sum[Q][C];
  clear<C, Q>(key_sum);
  clear<C, Q>(value_sum);
  // Keys beside the text alone are not read by the text's queries.
  for (unsigned first = h.first < h.text_keys ? 0 : h.text_queries / 32 * 32; first < h.queries; first += 32) {
    const unsigned query = first + kc_lane();
    const kc_u64 at = blockIdx.y * p.rows + h.query + query;
    const float lse = query < h.queries ? p.lse[at] : -LOWEST, mean = query < h.queries ? p.mean[at] : 0.0f;
    float s[Q], d[Q];
    bool kept[Q];
    load_tile<T>(tile, p.queries, in_queries(p, h, first), p.query_stride, first, h.queries, h);
    multiply_tile<Q>(s, keys + own, tile, h);
    load_tile<T>(tile, p.dout, in_out(h, first), h.layer, first, h.queries, h);
    multiply_tile<Q>(d, values + own, tile, h);
    if (p.mask.threshold != 0) queries_keep<Q>(kept, p, h, query, key);
    KC_UNROLL
    for (int q = 0; q < Q; q++) {
      const float weight = query >= first_reader(h, key + q) ? expf(s[q] * p.scale - lse) : 0.0f;
      const float factor = p.mask.threshold == 0 ? 1.0f : kept[q] ? p.mask.scale : 0.0f;
      s[q] = weight * (d[q] * factor - mean) * p.scale;
      d[q] = weight * factor;
    }
    add_tile<C, Q>(value_sum, d, tile, h);
    load_tile<T>(tile, p.queries, in_queries(p, h, first), p.query_stride, first, h.queries, h);
    add_tile<C, Q>(key_sum, s, tile, h);
  }
  KC_UNROLL
  for (int q = 0; q < Q; q++) {
    if (key + q >= h.keys) continue;
    store_row<T, C>(p.dkeys, in_keys(p, h, key + q, 0), key_sum[q], 1.0f, h);
    store_row<T, C>(p.dkeys, in_keys(p, h, key + q, 1), value_sum[q], 1.0f, h);
  }
}

// Head widths up to 64: 4 own rows to a warp, 32 to a block; up to 256: 2, and 4 to a block.
#define ATTENTION_KERNELS(name, type)                                                                                  \
  KC_KERNEL(256, 2, kc_attention_##name, kc_attention_parameters) { attention_forward<type, 2, 4>(p); }                \
  KC_KERNEL(256, 2, kc_attention_queries_##name, kc_attention_parameters) { attention_queries<type, 2, 4>(p); }        \
  KC_KERNEL(256, 2, kc_attention_keys_##name, kc_attention_parameters) { attention_keys<type, 2, 4>(p); }              \
  KC_KERNEL(64, 4, kc_attention_wide_##name, kc_attention_parameters) { attention_forward<type, 8, 2>(p); }            \
  KC_KERNEL(64, 4, kc_attention_wide_queries_##name, kc_attention_parameters) { attention_queries<type, 8, 2>(p); }    \
  KC_KERNEL(64, 4, kc_attention_wide_keys_##name, kc_attention_parameters) { attention_keys<type, 8, 2>(p); }

ATTENTION_KERNELS(f32, kc_type_f32)
ATTENTION_KERNELS(f16, kc_type_f16)
#ifdef KC_HAS_BF16
ATTENTION_KERNELS(bf16, kc_type_bf16)
#endif
