// embedding.cu - embeddings with their layer norm, the gradients of the tables, and rows taken out of and added into
// arrays.
#include "device.cuh"

// y = dropout(LN(word + position + type)), a row spread over warps as in norm.cu. T: y and xhat.
template <class T>
KC_DEVICE void embedding(const kc_embedding_parameters &p) {
  KC_SHARED(float, parts, 64);
  const kc_place place = kc_place_in_block(p.warps);
  const unsigned column = place.column, width = p.width;
  const kc_u64 row = (kc_u64)blockIdx.x * place.slots + place.slot, at = row * width;
  const bool mine = row < p.rows && column < width;
  float v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  if (mine) {
    float position[8], type[8];
    kc_load8<kc_type_f32>(v, p.word, (kc_u64)p.ids[row] * width, column, width, p.vectors);
    kc_load8<kc_type_f32>(position, p.position, (kc_u64)p.positions[row] * width, column, width, p.vectors);
    kc_load8<kc_type_f32>(type, p.type, (kc_u64)p.types[row] * width, column, width, p.vectors);
    KC_UNROLL
    for (int i = 0; i < 8; i++) v[i] += position[i] + type[i];
  }
  const float rstd = kc_normalise8(v, column, width, p.warps, p.epsilon, parts);
  if (!mine) return;
  if (p.rstd && column == 0) p.rstd[row] = rstd;
  if (p.xhat) kc_store8<T>(p.xhat, at, column, width, p.vectors, v);
  float gain[8], bias[8];
  kc_load8<kc_type_f32>(gain, p.gain, 0, column, width, p.vectors);
  kc_load8<kc_type_f32>(bias, p.bias, 0, column, width, p.vectors);
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] = v[i] * gain[i] + bias[i];
  kc_mask8(v, p.mask, row, column / 8);
  kc_store8<T>(p.y, at, column, width, p.vectors, v);
  if (p.stream) kc_store8<kc_type_f32>(p.stream, at, column, width, p.vectors, v);
}

// Adds the rows of x whose numbers are base + the bits set in matches, in order. Four at a time are loaded before the
// first is added: an id that is in every sentence would otherwise wait for memory once per row.
template <class T>
KC_DEVICE void add_matching(float sum[8], const kc_table_parameters &p, unsigned base, kc_u32 matches,
                            unsigned column) {
  while (matches) {
    float v[4][8];
    KC_UNROLL
    for (int k = 0; k < 4; k++) {
      KC_UNROLL
      for (int i = 0; i < 8; i++) v[k][i] = 0;
      if (!matches) continue;
      const unsigned row = base + (unsigned)kc_lowest_bit(matches);
      kc_load8<T>(v[k], p.x, (kc_u64)row * p.width, column, p.width, p.vectors);
      matches &= matches - 1;
    }
    KC_UNROLL
    for (int k = 0; k < 4; k++) {
      KC_UNROLL
      for (int i = 0; i < 8; i++) sum[i] += v[k][i];
    }
  }
}

// A block for each row; the first row with an index adds all rows with that index and writes the table's row. No two
// blocks write one row, and the order of additions is that of the rows. A thread owns 8 columns.
template <class T>
KC_DEVICE void table_gradient(const kc_table_parameters &p) {
  KC_SHARED(kc_u32, matches, 64);
  const unsigned row = blockIdx.x, threads = blockDim.x, column = threadIdx.x * 8;
  const int index = p.index[row];
  if (index == p.padding) return;
  for (unsigned end = row; end > 0; end = end > threads ? end - threads : 0) { // backwards: the last one is often near
    const bool found = threadIdx.x < end && p.index[end - 1 - threadIdx.x] == index;
    if (kc_sync_or(found)) return;
  }
  float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  unsigned turn = 0;
  for (unsigned base = row; base < p.rows; base += threads, turn++) {
    kc_u32 *found = matches + turn % 2 * 32; // two halves in turn: one barrier between writing and reading is enough
    const kc_u32 bits = kc_ballot(p.rows - base > threadIdx.x && p.index[base + threadIdx.x] == index);
    if (kc_lane() == 0) found[kc_warp()] = bits;
    kc_sync();
    if (column >= p.width) continue;
    for (unsigned warp = 0; warp < threads / 32; warp++) add_matching<T>(sum, p, base + warp * 32, found[warp], column);
  }
  if (column >= p.width) return;
  float old[8];
  const kc_u64 at = (kc_u64)index * p.width;
  kc_load8<kc_type_f32>(old, p.table, at, column, p.width, p.vectors);
  KC_UNROLL
  for (int i = 0; i < 8; i++) sum[i] += old[i];
  kc_store8<kc_type_f32>(p.table, at, column, p.width, p.vectors, sum);
}

template <class T>
KC_DEVICE void gather_rows(const kc_rows_parameters &p) {
  const kc_u64 from = (kc_u64)p.index[blockIdx.x] * p.width, to = (kc_u64)blockIdx.x * p.width;
  for (unsigned column = threadIdx.x * 8; column < p.width; column += blockDim.x * 8) {
    float v[8];
    kc_load8<T>(v, p.x, from, column, p.width, p.vectors);
    kc_store8<kc_type_f32>(p.values, to, column, p.width, p.vectors, v);
  }
}

template <class T>
KC_DEVICE void scatter_rows(const kc_rows_parameters &p) {
  const kc_u64 to = (kc_u64)p.index[blockIdx.x] * p.width, from = (kc_u64)blockIdx.x * p.width;
  for (unsigned column = threadIdx.x * 8; column < p.width; column += blockDim.x * 8) {
    float v[8], old[8];
    kc_load8<kc_type_f32>(v, p.values, from, column, p.width, p.vectors);
    kc_load8<T>(old, p.x, to, column, p.width, p.vectors);
    KC_UNROLL
    for (int i = 0; i < 8; i++) v[i] += old[i];
    kc_store8<T>(p.x, to, column, p.width, p.vectors, v);
  }
}

// A span's rows in their order, 8 columns a thread.
KC_DEVICE void pool_spans(const kc_pool_parameters &p) {
  const int begin = p.spans[2 * (kc_u64)blockIdx.x], end = p.spans[2 * (kc_u64)blockIdx.x + 1];
  const kc_u64 to = (kc_u64)blockIdx.x * p.width;
  for (unsigned column = threadIdx.x * 8; column < p.width; column += blockDim.x * 8) {
    float result[8];
    int from[8];
    KC_UNROLL
    for (int i = 0; i < 8; i++) {
      result[i] = 0;
      from[i] = begin < end ? begin : -1;
    }
    for (int row = begin; row < end; row++) {
      float v[8];
      kc_load8<kc_type_f32>(v, p.x, (kc_u64)row * p.width, column, p.width, p.vectors);
      KC_UNROLL
      for (int i = 0; i < 8; i++) {
        const bool larger = row == begin || v[i] > result[i] || v[i] != v[i];
        from[i] = larger ? row : from[i];
        result[i] = p.maximum ? (larger ? v[i] : result[i]) : row == begin ? v[i] : result[i] + v[i];
      }
    }
    if (!p.maximum && end - begin > 1) {
      KC_UNROLL
      for (int i = 0; i < 8; i++) result[i] = result[i] / (float)(end - begin);
    }
    kc_store8<kc_type_f32>(p.values, to, column, p.width, p.vectors, result);
    if (p.largest == nullptr) continue;
    KC_UNROLL
    for (int i = 0; i < 8; i++) {
      if (column + i < p.width) p.largest[to + column + i] = from[i];
    }
  }
}

// A block owns a sentence's rows, a thread 8 of their columns: overlapping spans are added one after the other.
KC_DEVICE void pool_gradient(const kc_pool_parameters &p) {
  for (unsigned column = threadIdx.x * 8; column < p.width; column += blockDim.x * 8) {
    for (unsigned feature = 0; feature < p.features; feature++) {
      const kc_u64 span = (kc_u64)feature * p.count + blockIdx.x, from = span * p.width;
      const int begin = p.spans[2 * span], end = p.spans[2 * span + 1];
      if (begin >= end) continue;
      float v[8];
      kc_load8<kc_type_f32>(v, p.values, from, column, p.width, p.vectors);
      if (p.largest != nullptr) {
        KC_UNROLL
        for (int i = 0; i < 8; i++) {
          if (column + i < p.width) p.x[(kc_u64)p.largest[from + column + i] * p.width + column + i] += v[i];
        }
        continue;
      }
      KC_UNROLL
      for (int i = 0; i < 8; i++) v[i] = v[i] / (float)(end - begin);
      for (int row = begin; row < end; row++) {
        float old[8];
        kc_load8<kc_type_f32>(old, p.x, (kc_u64)row * p.width, column, p.width, p.vectors);
        KC_UNROLL
        for (int i = 0; i < 8; i++) old[i] += v[i];
        kc_store8<kc_type_f32>(p.x, (kc_u64)row * p.width, column, p.width, p.vectors, old);
      }
    }
  }
}

KC_KERNEL(1024, 1, kc_embedding_f32, kc_embedding_parameters) { embedding<kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_embedding_f16, kc_embedding_parameters) { embedding<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_table_gradient_f32, kc_table_parameters) { table_gradient<kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_table_gradient_f16, kc_table_parameters) { table_gradient<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_gather_rows_f32, kc_rows_parameters) { gather_rows<kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_gather_rows_f16, kc_rows_parameters) { gather_rows<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_scatter_rows_f32, kc_rows_parameters) { scatter_rows<kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_scatter_rows_f16, kc_rows_parameters) { scatter_rows<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_pool_spans_f32, kc_pool_parameters) { pool_spans(p); }
KC_KERNEL(1024, 1, kc_pool_gradient_f32, kc_pool_parameters) { pool_gradient(p); }
#ifdef KC_HAS_BF16
KC_KERNEL(1024, 1, kc_embedding_bf16, kc_embedding_parameters) { embedding<kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_table_gradient_bf16, kc_table_parameters) { table_gradient<kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_gather_rows_bf16, kc_rows_parameters) { gather_rows<kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_scatter_rows_bf16, kc_rows_parameters) { scatter_rows<kc_type_bf16>(p); }
#endif
