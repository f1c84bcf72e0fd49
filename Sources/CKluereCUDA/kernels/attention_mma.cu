// attention_mma.cu - attention on tensor cores, for 16-bit numbers and head widths 32 and 64; forward and backward.
//
// A block has 64 own rows of one sequence and head (queries, or keys and values in dkv), 16 for each of its 4 warps,
// and walks over the other side in tiles of 64. All three kernels compute scores in the same blocks of 16 queries x 16
// keys: in the layout of mma.m16n8k16, lane 4 g + t has queries g and g + 8 and keys 2 t, 2 t + 1, 2 t + 8, 2 t + 9. A
// call of the mask's generator gives 8 keys of one query, a word for each lane of a quad: every lane makes one of the
// four calls that its quad needs and the quad exchanges words. The gradients of keys and values need the blocks
// transposed, which movmatrix does in registers. No sum is shared between blocks: no atomics, and one order of
// additions.
#include "device.cuh"

#ifdef KC_HAS_MATRIX
#define LOWEST (-1e30f)
#define LOG2_E 1.44269504f

// ---- tiles in shared memory ----

// W: head width. A tile is 64 rows of W numbers; 16-byte chunk c of row r lies where 8 rows in a column of chunks,
// which ldmatrix reads together, touch all banks.
template <int W>
KC_DEVICE int chunk_at(int row, int chunk) {
  return W == 64 ? row * 64 + (chunk ^ (row & 7)) * 8 : row * 32 + (chunk ^ (row >> 1 & 3)) * 8;
}

// rows: those that there are, the rest becomes zero. stride: numbers from row to row. Rows from number `near` on lie
// `gap` rows further on.
template <int W>
KC_DEVICE void load_tile(kc_u16 *tile, const kc_u16 *from, kc_u64 stride, int rows, int near = 0, int gap = 0) {
  KC_UNROLL
  for (int i = 0; i < W / 16; i++) {
    const int piece = (int)threadIdx.x + i * 128, row = piece / (W / 8), chunk = piece % (W / 8);
    const bool there = row < rows;
    const kc_u16 *at = there ? from + (row + (row < near ? 0 : gap)) * stride + chunk * 8 : from;
    kc_copy16(tile + chunk_at<W>(row, chunk), at, there);
  }
}

// 16 rows x W as the left side of products.
template <int W>
KC_DEVICE void load_left(kc_u32 a[W / 16][4], const kc_u16 *tile, int row) {
  const int lane = (int)kc_lane();
  KC_UNROLL
  for (int k = 0; k < W / 16; k++) kc_load_matrices(a[k], tile + chunk_at<W>(row + lane % 16, 2 * k + lane / 16));
}
// Columns 16 k .. of 16 rows, transposed, as the right side: b[0..1] for the first 8 rows, b[2..3] for the others.
template <int W>
KC_DEVICE void load_right_across(kc_u32 b[4], const kc_u16 *tile, int row, int k) {
  const int lane = (int)kc_lane();
  kc_load_matrices(b, tile + chunk_at<W>(row + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
}
// Columns 16 d .. of 16 rows as the right side: b[0..1] for the first 8 columns, b[2..3] for the others.
template <int W>
KC_DEVICE void load_right(kc_u32 b[4], const kc_u16 *tile, int row, int d) {
  const int lane = (int)kc_lane();
  kc_load_matrices_transposed(b, tile + chunk_at<W>(row + lane % 16, 2 * d + lane / 16));
}

// ---- blocks of 16 queries x 16 keys ----

// v[n][i]: query g + 8 (i / 2), key 8 n + 2 t + i % 2
struct score_block {
  float v[2][4];
};

template <class T>
KC_DEVICE void multiply_pair(float low[4], float high[4], const kc_u32 a[4], const kc_u32 b[4]) {
  T::multiply(low, a, b[0], b[1]);
  T::multiply(high, a, b[2], b[3]);
}

// rows of a (fragments) times rows of the tile
template <class T, int W>
KC_DEVICE score_block multiply_rows(const kc_u32 a[W / 16][4], const kc_u16 *tile, int row) {
  score_block s = {{{0, 0, 0, 0}, {0, 0, 0, 0}}};
  KC_UNROLL
  for (int k = 0; k < W / 16; k++) {
    kc_u32 b[4];
    load_right_across<W>(b, tile, row, k);
    multiply_pair<T>(s.v[0], s.v[1], a[k], b);
  }
  return s;
}

// sum [16, W] += a [16, 16] times 16 rows of the tile
template <class T, int W>
KC_DEVICE void add_rows(float sum[W / 8][4], const kc_u32 a[4], const kc_u16 *tile, int row) {
  KC_UNROLL
  for (int d = 0; d < W / 16; d++) {
    kc_u32 b[4];
    load_right<W>(b, tile, row, d);
    multiply_pair<T>(sum[2 * d], sum[2 * d + 1], a, b);
  }
}

// A block as the left side of a product over its keys, and transposed, of one over its queries.
template <class T>
KC_DEVICE void pack_block(kc_u32 a[4], const score_block &s) {
  a[0] = T::pack(s.v[0][0], s.v[0][1]);
  a[1] = T::pack(s.v[0][2], s.v[0][3]);
  a[2] = T::pack(s.v[1][0], s.v[1][1]);
  a[3] = T::pack(s.v[1][2], s.v[1][3]);
}
template <class T>
KC_DEVICE void pack_transposed(kc_u32 a[4], const score_block &s) {
  a[0] = kc_transpose_matrix(T::pack(s.v[0][0], s.v[0][1]));
  a[1] = kc_transpose_matrix(T::pack(s.v[1][0], s.v[1][1]));
  a[2] = kc_transpose_matrix(T::pack(s.v[0][2], s.v[0][3]));
  a[3] = kc_transpose_matrix(T::pack(s.v[1][2], s.v[1][3]));
}

template <int W>
KC_DEVICE void clear(float sum[W / 8][4]) {
  KC_UNROLL
  for (int n = 0; n < W / 8; n++) sum[n][0] = sum[n][1] = sum[n][2] = sum[n][3] = 0;
}

// ---- masks ----

// word[i] of lane t of a quad becomes word[t] of lane i.
KC_DEVICE void exchange_in_quad(kc_u32 word[4]) {
  const bool odd = kc_lane() & 1, upper = kc_lane() & 2;
  kc_u32 a = kc_shuffle_xor(odd ? word[0] : word[1], 1), b = kc_shuffle_xor(odd ? word[2] : word[3], 1);
  if (odd) {
    word[0] = a;
    word[2] = b;
  } else {
    word[1] = a;
    word[3] = b;
  }
  a = kc_shuffle_xor(upper ? word[0] : word[2], 2);
  b = kc_shuffle_xor(upper ? word[1] : word[3], 2);
  if (upper) {
    word[0] = a;
    word[1] = b;
  } else {
    word[2] = a;
    word[3] = b;
  }
}

// Of the query that this lane makes calls for: g for t = 0 and 1, g + 8 for t = 2 and 3.
struct mask_row {
  kc_u32 position, sample;
};
KC_DEVICE int mask_query() { return (int)(kc_lane() / 4 + kc_lane() % 4 / 2 * 8); }
KC_DEVICE mask_row mask_row_of(const kc_mask &mask, kc_u64 row) {
  if (mask.threshold == 0) return {0, 0};
  return {mask.position[row], mask.sample[row]};
}

// factor[n][i] for each element of a block: 0 where it is dropped, else the mask's scale. key: the block's first.
KC_DEVICE score_block mask_factors(const kc_mask &mask, mask_row row, int key) {
  score_block factor;
  kc_bits bits =
      kc_philox((kc_u32)key / 8 + kc_lane() % 2, row.position, row.sample, mask.site + blockIdx.y, mask.seed);
  exchange_in_quad(bits.word); // now call i: query g + 8 (i / 2), keys 8 (i % 2) + 2 t and the next
  KC_UNROLL
  for (int n = 0; n < 2; n++) {
    KC_UNROLL
    for (int i = 0; i < 4; i++)
      factor.v[n][i] = kc_kept(bits.word[i / 2 * 2 + n], i % 2, mask.threshold) ? mask.scale : 0.0f;
  }
  return factor;
}

// ---- places ----

struct head_place {
  kc_u64 query;                     // first query of the sequence in the batch
  int queries, keys;                // how many of each the sequence has
  int text_queries, text_keys, gap; // as in kc_sequence
  int first;                        // the first of the own rows
  int own;                          // this warp's first row among the block's 64
  kc_u64 layer;                     // width of the layer
  const kc_u16 *ask, *keep, *dout;  // the sequence's first query, first key, first gradient; this head
  kc_u64 lse;                       // element of lse and mean of the sequence's first query
};
template <int W>
KC_DEVICE head_place place_of(const kc_attention_parameters &p, const int *texts) {
  const kc_sequence s = kc_sequence_of(p, texts, blockIdx.x / p.tiles);
  const kc_u64 column = (kc_u64)blockIdx.y * W;
  head_place h;
  h.query = s.query;
  h.queries = s.queries;
  h.keys = s.keys;
  h.text_queries = s.text_queries;
  h.text_keys = s.text_keys;
  h.gap = s.gap;
  h.first = (int)(blockIdx.x % p.tiles * 64);
  h.own = (int)kc_warp() * 16;
  h.layer = (kc_u64)p.heads * W;
  h.ask = (const kc_u16 *)p.queries + h.query * p.query_stride + column;
  h.keep = (const kc_u16 *)p.keys + s.key * p.key_stride + column;
  h.dout = p.dout ? (const kc_u16 *)p.dout + h.query * h.layer + column : (const kc_u16 *)0;
  h.lse = blockIdx.y * p.rows + h.query;
  return h;
}
// Of `rows` rows of the sequence: whether this warp has some of its own; if not, it only takes part in loads and barriers.
KC_DEVICE bool is_active(const head_place &h, int rows) { return h.first + h.own < rows; }
// How many keys a query reads.
KC_DEVICE int keys_read(const head_place &h, int query) { return query < h.text_queries ? h.text_keys : h.keys; }
// A block whose own queries are the text's alone has no other keys than the text's.
KC_DEVICE void limit_keys(head_place &h) {
  if (h.first + 64 <= h.text_queries || h.queries == h.text_queries) h.keys = h.text_keys;
}
// Rows of keys (part 0) and of values (part 1).
template <int W>
KC_DEVICE void load_keys(kc_u16 *tile, const kc_attention_parameters &p, const head_place &h, int key, int part) {
  const kc_u16 *from = h.keep + part * h.layer + key * p.key_stride;
  load_tile<W>(tile, from, p.key_stride, h.keys - key, h.text_keys - key, h.gap);
}

// How many blocks of 16 rows a tile has that begins `rest` rows before the end.
KC_DEVICE int blocks_of_tile(int rest) { return rest > 48 ? 4 : (rest + 15) / 16; }

// A row of the result: numbers 2 t and the next of each 8.
template <class T, int W>
KC_DEVICE void store_row(kc_u16 *to, const float sum[W / 8][4], int half, float factor) {
  kc_u32 *pairs = (kc_u32 *)(void *)to;
  KC_UNROLL
  for (int n = 0; n < W / 8; n++)
    pairs[n * 4 + kc_lane() % 4] = T::pack(sum[n][2 * half] * factor, sum[n][2 * half + 1] * factor);
}

KC_DEVICE float quad_sum(float v) {
  v += kc_shuffle_xor(v, 1);
  return v + kc_shuffle_xor(v, 2);
}
KC_DEVICE float quad_max(float v) {
  v = fmaxf(v, kc_shuffle_xor(v, 1));
  return fmaxf(v, kc_shuffle_xor(v, 2));
}

// ---- forward ----

// The softmax so far, for queries g and g + 8.
template <int W>
struct softmax_state {
  float sum[W / 8][4], largest[2], total[2];
};

// The lowest scores to those of 64 keys, from `key` on, that queries g and g + 8 do not read. query: g.
KC_DEVICE void hide_unread(score_block s[4], const head_place &h, int query, int key) {
  const int read[2] = {keys_read(h, query) - key, keys_read(h, query + 8) - key};
  KC_UNROLL
  for (int e = 0; e < 32; e++) {
    if (e / 4 * 8 + (int)kc_lane() % 4 * 2 + e % 2 >= read[e % 4 / 2]) s[e / 8].v[e / 4 % 2][e % 4] = LOWEST;
  }
}

// Scores of 64 keys become weights relative to the largest yet seen; what was summed before shrinks with it. In powers
// of 2.
template <int W>
KC_DEVICE void softmax_step(score_block s[4], softmax_state<W> &state, float scale, int keys) {
  float largest[2] = {state.largest[0], state.largest[1]};
  KC_UNROLL
  for (int e = 0; e < 32; e++) {
    float &v = s[e / 8].v[e / 4 % 2][e % 4];
    const int key = e / 4 * 8 + (int)kc_lane() % 4 * 2 + e % 2;
    v = key < keys ? v * scale : LOWEST;
    largest[e % 4 / 2] = fmaxf(largest[e % 4 / 2], v);
  }
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    largest[half] = quad_max(largest[half]);
    const float shrink = kc_exp2(state.largest[half] - largest[half]);
    state.largest[half] = largest[half];
    state.total[half] *= shrink;
    KC_UNROLL
    for (int n = 0; n < W / 8; n++) {
      state.sum[n][2 * half] *= shrink;
      state.sum[n][2 * half + 1] *= shrink;
    }
  }
  KC_UNROLL
  for (int e = 0; e < 32; e++) {
    float &v = s[e / 8].v[e / 4 % 2][e % 4];
    v = kc_exp2(v - largest[e % 4 / 2]);
    state.total[e % 4 / 2] += v;
  }
}

template <class T, int W>
KC_DEVICE void forward_tile(const kc_attention_parameters &p, const head_place &h, softmax_state<W> &state,
                            const kc_u32 queries[W / 16][4], const kc_u16 *keys, const kc_u16 *values, mask_row row,
                            int query, int key) {
  const int blocks = blocks_of_tile(h.keys - key);
  score_block s[4];
  KC_UNROLL
  for (int b = 0; b < 4; b++) {
    s[b] = {{{0, 0, 0, 0}, {0, 0, 0, 0}}};
    if (b < blocks) s[b] = multiply_rows<T, W>(queries, keys, b * 16);
  }
  if (h.keys != h.text_keys) hide_unread(s, h, query + (int)kc_lane() / 4, key);
  softmax_step<W>(s, state, p.scale * LOG2_E, h.keys - key);
  KC_UNROLL
  for (int b = 0; b < 4; b++) {
    if (b >= blocks) continue;
    if (p.mask.threshold != 0) {
      const score_block factor = mask_factors(p.mask, row, key + b * 16);
      KC_UNROLL
      for (int e = 0; e < 8; e++) s[b].v[e / 4][e % 4] *= factor.v[e / 4][e % 4];
    }
    kc_u32 weights[4];
    pack_block<T>(weights, s[b]);
    add_rows<T, W>(state.sum, weights, values, b * 16);
  }
}

// TEXTS: whether there are any. Kernels without have no register to spare for what they need.
template <class T, int W, bool TEXTS>
KC_DEVICE void attention_forward(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(kc_u16, shared);
  kc_u16 *query_tile = shared, *keys = query_tile + 64 * W, *values = keys + 64 * W;
  head_place h = place_of<W>(p, TEXTS ? p.texts : (const int *)0);
  if (h.first >= h.queries) return;
  limit_keys(h);
  const bool active = is_active(h, h.queries);
  load_tile<W>(query_tile, h.ask + h.first * p.query_stride, p.query_stride, h.queries - h.first);
  const int query = h.first + h.own, own = query + mask_query();
  const mask_row row = mask_row_of(p.mask, h.query + (own < h.queries ? own : h.queries - 1));
  softmax_state<W> state;
  clear<W>(state.sum);
  state.largest[0] = state.largest[1] = LOWEST;
  state.total[0] = state.total[1] = 0;
  kc_u32 queries[W / 16][4];
  for (int key = 0; key < h.keys; key += 64) {
    if (key > 0) kc_sync(); // all have read the tiles before
    load_keys<W>(keys, p, h, key, 0);
    load_keys<W>(values, p, h, key, 1);
    kc_copies_wait();
    kc_sync();
    if (!active) continue;
    if (key == 0) load_left<W>(queries, query_tile, h.own);
    forward_tile<T, W>(p, h, state, queries, keys, values, row, query, key);
  }
  if (!active) return;
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    const float total = quad_sum(state.total[half]);
    const int to = query + (int)kc_lane() / 4 + half * 8;
    if (to >= h.queries) continue;
    store_row<T, W>((kc_u16 *)p.out + (h.query + to) * h.layer + blockIdx.y * W, state.sum, half, 1.0f / total);
    if (p.lse && kc_lane() % 4 == 0) p.lse[h.lse + to] = (state.largest[half] + kc_log2(total)) / LOG2_E;
  }
}

// ---- backward ----

// What the gradient of a query's softmax needs: log of its denominator, in powers of 2, dout . out, and how many keys
// it reads.
struct query_numbers {
  float lse[2], mean[2];
  int keys[2];
};

// The quad adds dout . out of its two queries, and leaves it for the kernel of the keys.
template <class T, int W>
KC_DEVICE query_numbers numbers_of_queries(const kc_attention_parameters &p, const head_place &h) {
  query_numbers numbers;
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    const int own = h.first + h.own + (int)kc_lane() / 4 + half * 8, row = own < h.queries ? own : h.queries - 1;
    const kc_u64 at = row * h.layer + kc_lane() % 4 * (W / 4);
    const kc_u16 *out = (const kc_u16 *)p.out + h.query * h.layer + blockIdx.y * W;
    float sum = 0;
    KC_UNROLL
    for (int i = 0; i < W / 4; i += 8) {
      float a[8], b[8];
      kc_eight<T>::load(a, out + at + i);
      kc_eight<T>::load(b, h.dout + at + i);
      KC_UNROLL
      for (int e = 0; e < 8; e++) sum += a[e] * b[e];
    }
    numbers.mean[half] = quad_sum(sum);
    numbers.lse[half] = p.lse[h.lse + row] * LOG2_E;
    numbers.keys[half] = keys_read(h, own);
    if (own < h.queries && kc_lane() % 4 == 0) p.mean[h.lse + own] = numbers.mean[half];
  }
  return numbers;
}

// Weights and the gradient of scores from scores s and the gradient d of the weights; s becomes that gradient, d the
// dropped-out weights. first: the block's first key.
KC_DEVICE void softmax_gradient(score_block &s, score_block &d, const query_numbers &numbers, const score_block &factor,
                                float scale, int first) {
  KC_UNROLL
  for (int e = 0; e < 8; e++) {
    const int n = e / 4, i = e % 4, half = i / 2, key = first + n * 8 + (int)kc_lane() % 4 * 2 + i % 2;
    const float weight = key < numbers.keys[half] ? kc_exp2(s.v[n][i] * scale * LOG2_E - numbers.lse[half]) : 0.0f;
    s.v[n][i] = weight * (d.v[n][i] * factor.v[n][i] - numbers.mean[half]) * scale;
    d.v[n][i] = weight * factor.v[n][i];
  }
}

KC_DEVICE score_block factors_or_ones(const kc_mask &mask, mask_row row, int key) {
  if (mask.threshold != 0) return mask_factors(mask, row, key);
  return {{{1, 1, 1, 1}, {1, 1, 1, 1}}};
}

template <class T, int W>
KC_DEVICE void attention_queries(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(kc_u16, shared);
  kc_u16 *first_tile = shared, *second_tile = first_tile + 64 * W;
  head_place h = place_of<W>(p, p.texts);
  if (h.first >= h.queries) return;
  h.gap = 0; // here every text is the sequence's own
  limit_keys(h);
  load_tile<W>(first_tile, h.ask + h.first * p.query_stride, p.query_stride, h.queries - h.first);
  load_tile<W>(second_tile, h.dout + h.first * h.layer, h.layer, h.queries - h.first);
  kc_copies_wait();
  kc_sync();
  kc_u32 queries[W / 16][4], gradients[W / 16][4];
  load_left<W>(queries, first_tile, h.own);
  load_left<W>(gradients, second_tile, h.own);
  const query_numbers numbers = numbers_of_queries<T, W>(p, h);
  const int own = h.first + h.own + mask_query();
  const mask_row row = mask_row_of(p.mask, h.query + (own < h.queries ? own : h.queries - 1));
  float sum[W / 8][4];
  clear<W>(sum);
  for (int key = 0; key < h.keys; key += 64) {
    kc_sync(); // all have read the tiles before
    load_keys<W>(first_tile, p, h, key, 0);
    load_keys<W>(second_tile, p, h, key, 1);
    kc_copies_wait();
    kc_sync();
    const int blocks = is_active(h, h.queries) ? blocks_of_tile(h.keys - key) : 0;
    for (int b = 0; b < blocks; b++) {
      score_block s = multiply_rows<T, W>(queries, first_tile, b * 16);
      score_block d = multiply_rows<T, W>(gradients, second_tile, b * 16);
      const score_block factor = factors_or_ones(p.mask, row, key + b * 16);
      softmax_gradient(s, d, numbers, factor, p.scale, key + b * 16);
      kc_u32 slopes[4];
      pack_block<T>(slopes, s);
      add_rows<T, W>(sum, slopes, first_tile, b * 16);
    }
  }
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    const int to = h.first + h.own + (int)kc_lane() / 4 + half * 8;
    if (to >= h.queries) continue;
    store_row<T, W>((kc_u16 *)p.dqueries + (h.query + to) * p.query_stride + blockIdx.y * W, sum, half, 1.0f);
  }
}

// Queries' numbers for a tile of 64, in shared memory: each is used by all warps. Past the end lse makes weights 0.
struct tile_numbers {
  float lse[64], mean[64];
  int keys[64];
  kc_u32 position[64], sample[64];
};
KC_DEVICE void load_numbers(tile_numbers *to, const kc_attention_parameters &p, const head_place &h, int query) {
  if (threadIdx.x >= 64) return;
  const int own = query + (int)threadIdx.x;
  const bool there = own < h.queries;
  const mask_row row = mask_row_of(p.mask, h.query + (there ? own : h.queries - 1));
  to->lse[threadIdx.x] = there ? p.lse[h.lse + own] * LOG2_E : -LOWEST;
  to->mean[threadIdx.x] = there ? p.mean[h.lse + own] : 0.0f;
  to->keys[threadIdx.x] = keys_read(h, own);
  to->position[threadIdx.x] = row.position;
  to->sample[threadIdx.x] = row.sample;
}

// Own keys and values as right sides of products.
template <int W>
struct key_fragments {
  kc_u32 keys[W / 16][4], values[W / 16][4];
};

// 16 queries of the tile: their part of the gradients of the warp's 16 keys and values.
template <class T, int W>
KC_DEVICE void keys_block(const kc_attention_parameters &p, const head_place &h, const key_fragments<W> &own,
                          const kc_u16 *queries, const kc_u16 *gradients, const tile_numbers *tile, int block,
                          float key_sum[W / 8][4], float value_sum[W / 8][4]) {
  score_block s = {{{0, 0, 0, 0}, {0, 0, 0, 0}}}, d = s;
  const int row = block * 16, lane = (int)kc_lane();
  KC_UNROLL
  for (int k = 0; k < W / 16; k++) {
    kc_u32 a[4];
    kc_load_matrices(a, queries + chunk_at<W>(row + lane % 16, 2 * k + lane / 16));
    multiply_pair<T>(s.v[0], s.v[1], a, own.keys[k]);
    kc_load_matrices(a, gradients + chunk_at<W>(row + lane % 16, 2 * k + lane / 16));
    multiply_pair<T>(d.v[0], d.v[1], a, own.values[k]);
  }
  query_numbers numbers;
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    numbers.lse[half] = tile->lse[row + lane / 4 + half * 8];
    numbers.mean[half] = tile->mean[row + lane / 4 + half * 8];
    numbers.keys[half] = tile->keys[row + lane / 4 + half * 8];
  }
  const mask_row mine = {tile->position[row + mask_query()], tile->sample[row + mask_query()]};
  const score_block factor = factors_or_ones(p.mask, mine, h.first + h.own);
  softmax_gradient(s, d, numbers, factor, p.scale, h.first + h.own);
  kc_u32 a[4];
  pack_transposed<T>(a, d);
  add_rows<T, W>(value_sum, a, gradients, row);
  pack_transposed<T>(a, s);
  add_rows<T, W>(key_sum, a, queries, row);
}

template <class T, int W>
KC_DEVICE void attention_keys(const kc_attention_parameters &p) {
  KC_DYNAMIC_SHARED(kc_u16, shared);
  KC_SHARED(tile_numbers, tile, 1);
  kc_u16 *first_tile = shared, *second_tile = first_tile + 64 * W;
  head_place h = place_of<W>(p, p.texts);
  if (h.first >= h.keys) return;
  h.gap = 0; // here every text is the sequence's own
  load_keys<W>(first_tile, p, h, h.first, 0);
  load_keys<W>(second_tile, p, h, h.first, 1);
  kc_copies_wait();
  kc_sync();
  key_fragments<W> own;
  KC_UNROLL
  for (int k = 0; k < W / 16; k++) {
    load_right_across<W>(own.keys[k], first_tile, h.own, k);
    load_right_across<W>(own.values[k], second_tile, h.own, k);
  }
  float key_sum[W / 8][4], value_sum[W / 8][4];
  clear<W>(key_sum);
  clear<W>(value_sum);
  // Keys beside the text alone are not read by the text's queries.
  for (int query = h.first < h.text_keys ? 0 : h.text_queries / 64 * 64; query < h.queries; query += 64) {
    kc_sync(); // all have read the tiles before
    load_tile<W>(first_tile, h.ask + query * p.query_stride, p.query_stride, h.queries - query);
    load_tile<W>(second_tile, h.dout + query * h.layer, h.layer, h.queries - query);
    load_numbers(tile, p, h, query);
    kc_copies_wait();
    kc_sync();
    const int blocks = is_active(h, h.keys) ? blocks_of_tile(h.queries - query) : 0;
    for (int b = 0; b < blocks; b++) keys_block<T, W>(p, h, own, first_tile, second_tile, tile, b, key_sum, value_sum);
  }
  KC_UNROLL
  for (int half = 0; half < 2; half++) {
    const int to = h.first + h.own + (int)kc_lane() / 4 + half * 8;
    if (to >= h.keys) continue;
    kc_u16 *row = (kc_u16 *)p.dkeys + (h.keep - (const kc_u16 *)p.keys) + to * p.key_stride;
    store_row<T, W>(row, key_sum, half, 1.0f);
    store_row<T, W>(row + h.layer, value_sum, half, 1.0f);
  }
}

#define MMA_KERNELS(type, width, kind)                                                                                 \
  KC_KERNEL(128, 4, kc_attention_mma##width##_##kind, kc_attention_parameters) {                                       \
    attention_forward<type, width, false>(p);                                                                          \
  }                                                                                                                    \
  KC_KERNEL(128, 3, kc_attention_mma##width##_texts_##kind, kc_attention_parameters) {                                 \
    attention_forward<type, width, true>(p);                                                                           \
  }                                                                                                                    \
  KC_KERNEL(128, 3, kc_attention_mma##width##_queries_##kind, kc_attention_parameters) {                               \
    attention_queries<type, width>(p);                                                                                 \
  }                                                                                                                    \
  KC_KERNEL(128, 2, kc_attention_mma##width##_keys_##kind, kc_attention_parameters) { attention_keys<type, width>(p); }

MMA_KERNELS(kc_type_f16, 32, f16)
MMA_KERNELS(kc_type_f16, 64, f16)
#ifdef KC_HAS_BF16
MMA_KERNELS(kc_type_bf16, 32, bf16)
MMA_KERNELS(kc_type_bf16, 64, bf16)
#endif
#endif
