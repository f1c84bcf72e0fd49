// norm.cu - residual, dropout and layer norm in one pass, forward and backward, and the column sums that gradients of
// gains and biases need. A row is spread over as many warps as it has 256 columns, so that a thread holds 8 of them in
// registers and any width up to 8192 runs from one text.
#include "device.cuh"

// y = LN(residual + dropout(x)). T: x, y and xhat; R: residual.
template <class T, class R>
KC_DEVICE void residual_norm(const kc_norm_parameters &p) {
  KC_SHARED(float, parts, 64);
  const kc_place place = kc_place_in_block(p.warps);
  const unsigned column = place.column, width = p.width;
  const kc_u64 row = (kc_u64)blockIdx.x * place.slots + place.slot, at = row * width;
  const bool mine = row < p.rows && column < width;
  float v[8] = {0, 0, 0, 0, 0, 0, 0, 0}, other[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  if (mine) {
    kc_load8<T>(v, p.x, at, column, width, p.vectors);
    if (p.residual) kc_load8<R>(other, p.residual, at, column, width, p.vectors);
    kc_mask8(v, p.mask, row, column / 8);
    KC_UNROLL
    for (int i = 0; i < 8; i++) v[i] += other[i];
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
  kc_store8<T>(p.y, at, column, width, p.vectors, v);
  if (p.stream) kc_store8<kc_type_f32>(p.stream, at, column, width, p.vectors, v);
}

// The sums a + b and the like over a row's warps. Two halves of parts take turns: when a half is written again, every
// warp has passed the barrier in between, and so has read it.
KC_DEVICE void sum_pair(float *a, float *b, float *parts, unsigned warps, unsigned turn) {
  *a = kc_warp_sum(*a);
  *b = kc_warp_sum(*b);
  if (warps == 1) return;
  float *half = parts + turn % 2 * 64;
  if (kc_lane() == 0) {
    half[kc_warp()] = *a;
    half[32 + kc_warp()] = *b;
  }
  kc_sync();
  const unsigned first = kc_warp() / warps * warps;
  *a = *b = 0;
  for (unsigned i = first; i < first + warps; i++) {
    *a += half[i];
    *b += half[32 + i];
  }
}

// A block's sums from those of its slots, in the order of the slots. More than one slot means at most 4 warps: 1024
// columns.
KC_DEVICE void write_sums(float *sums, const float v[8], float *shared, const kc_place &place, unsigned warps,
                          unsigned width, int vectors) {
  const kc_u64 at = (kc_u64)blockIdx.x * width;
  if (place.slots == 1) {
    if (place.column < width) kc_store8<kc_type_f32>(sums, at, place.column, width, vectors, v);
    return;
  }
  KC_UNROLL
  for (int i = 0; i < 8; i++) shared[place.slot * warps * 256 + place.column + i] = v[i];
  kc_sync();
  for (unsigned column = threadIdx.x; column < width; column += blockDim.x) {
    float sum = 0;
    for (unsigned slot = 0; slot < place.slots; slot++) sum += shared[slot * warps * 256 + column];
    sums[at + column] = sum;
  }
}

// One row: dsum and dx, and the row's part of the sums for gain and bias. T: dx and xhat; S: dy and dsum.
template <class T, class S>
KC_DEVICE void norm_backward_row(const kc_norm_backward_parameters &p, kc_u64 row, bool mine, const kc_place &place,
                                 unsigned turn, float *parts, float gain_sum[8], float bias_sum[8]) {
  const unsigned column = place.column, width = p.width;
  const kc_u64 at = row * width;
  float d[8] = {0, 0, 0, 0, 0, 0, 0, 0}, xhat[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rstd = 0, mean = 0, slope = 0;
  if (mine) {
    float gain[8];
    kc_load8<S>(d, p.dy, at, column, width, p.vectors);
    kc_load8<T>(xhat, p.xhat, at, column, width, p.vectors);
    kc_load8<kc_type_f32>(gain, p.gain, 0, column, width, p.vectors);
    rstd = p.rstd[row];
    if (p.mask_first) kc_mask8(d, p.mask, row, column / 8);
    KC_UNROLL
    for (int i = 0; i < 8; i++) {
      gain_sum[i] += d[i] * xhat[i];
      bias_sum[i] += d[i];
      d[i] *= gain[i];
      mean += d[i];
      slope += d[i] * xhat[i];
    }
  }
  sum_pair(&mean, &slope, parts, p.warps, turn);
  if (!mine) return;
  KC_UNROLL
  for (int i = 0; i < 8; i++) d[i] = (d[i] - mean / (float)width - xhat[i] * (slope / (float)width)) * rstd;
  if (p.dsum) kc_store8<S>(p.dsum, at, column, width, p.vectors, d);
  if (!p.dx) return;
  if (!p.mask_first) kc_mask8(d, p.mask, row, column / 8);
  kc_store8<T>(p.dx, at, column, width, p.vectors, d);
}

template <class T, class S>
KC_DEVICE void norm_backward(const kc_norm_backward_parameters &p) {
  KC_SHARED(float, parts, 128);
  KC_SHARED(float, gains, 1024);
  KC_SHARED(float, biases, 1024);
  const kc_place place = kc_place_in_block(p.warps);
  const kc_u64 begin = blockIdx.x * p.block_rows, rest = p.rows - begin;
  const kc_u64 count = rest < p.block_rows ? rest : p.block_rows;
  float gain_sum[8] = {0, 0, 0, 0, 0, 0, 0, 0}, bias_sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  unsigned turn = 0;
  for (kc_u64 i = 0; i < count; i += place.slots, turn++) {
    const bool mine = i + place.slot < count && place.column < p.width;
    norm_backward_row<T, S>(p, begin + i + place.slot, mine, place, turn, parts, gain_sum, bias_sum);
  }
  write_sums(p.gain_sums, gain_sum, gains, place, p.warps, p.width, p.vectors);
  write_sums(p.bias_sums, bias_sum, biases, place, p.warps, p.width, p.vectors);
}

// Sums of a block's rows: a warp takes every 8th row of 256 columns, then the 8 sums are added in order.
template <class T>
KC_DEVICE void column_sums(const kc_column_sums_parameters &p) {
  KC_SHARED(float, parts, 8 * 256);
  const unsigned column = (blockIdx.x * 32 + kc_lane()) * 8;
  const kc_u64 begin = blockIdx.y * p.block_rows;
  const kc_u64 end = p.rows - begin < p.block_rows ? p.rows : begin + p.block_rows;
  float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (kc_u64 row = begin + kc_warp(); row < end; row += 8) {
    if (column >= p.width || (p.selector && p.selector[row] != p.selected)) continue;
    float v[8];
    kc_load8<T>(v, p.x, row * p.width, column, p.width, p.vectors);
    KC_UNROLL
    for (int i = 0; i < 8; i++) sum[i] += v[i];
  }
  KC_UNROLL
  for (int i = 0; i < 8; i++) parts[kc_warp() * 256 + i * 32 + kc_lane()] = sum[i];
  kc_sync();
  const unsigned lane = threadIdx.x / 8, i = threadIdx.x % 8, own = (blockIdx.x * 32 + lane) * 8 + i;
  if (own >= p.width) return;
  float total = 0;
  for (unsigned warp = 0; warp < 8; warp++) total += parts[warp * 256 + i * 32 + lane];
  p.sums[(kc_u64)blockIdx.y * p.width + own] = total;
}

// 32 columns, a lane each; a warp adds every 32nd row.
KC_KERNEL(1024, 1, kc_add_sums, kc_add_sums_parameters) {
  KC_SHARED(float, parts, 32 * 32);
  const unsigned column = blockIdx.x * 32 + kc_lane();
  const float *from = blockIdx.y == 0 ? p.from[0] : p.from[1];
  float sum = 0;
  if (column < p.width) {
    for (kc_u64 row = kc_warp(); row < p.rows; row += 32) sum += from[row * p.width + column];
  }
  parts[threadIdx.x] = sum;
  kc_sync();
  if (kc_warp() != 0 || column >= p.width) return;
  float total = 0;
  for (unsigned warp = 0; warp < 32; warp++) total += parts[warp * 32 + kc_lane()];
  float *to = blockIdx.y == 0 ? p.to[0] : p.to[1];
  to[column] += total;
}

KC_KERNEL(256, 4, kc_column_sums_f32, kc_column_sums_parameters) { column_sums<kc_type_f32>(p); }
KC_KERNEL(256, 4, kc_column_sums_f16, kc_column_sums_parameters) { column_sums<kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_residual_norm_f32, kc_norm_parameters) { residual_norm<kc_type_f32, kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_residual_norm_f16, kc_norm_parameters) { residual_norm<kc_type_f16, kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_residual_norm_f16_f32, kc_norm_parameters) { residual_norm<kc_type_f16, kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_norm_backward_f32, kc_norm_backward_parameters) { norm_backward<kc_type_f32, kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_norm_backward_f16, kc_norm_backward_parameters) { norm_backward<kc_type_f16, kc_type_f16>(p); }
KC_KERNEL(1024, 1, kc_norm_backward_f16_f32, kc_norm_backward_parameters) {
  norm_backward<kc_type_f16, kc_type_f32>(p);
}
#ifdef KC_HAS_BF16
KC_KERNEL(256, 4, kc_column_sums_bf16, kc_column_sums_parameters) { column_sums<kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_residual_norm_bf16, kc_norm_parameters) { residual_norm<kc_type_bf16, kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_residual_norm_bf16_f32, kc_norm_parameters) { residual_norm<kc_type_bf16, kc_type_f32>(p); }
KC_KERNEL(1024, 1, kc_norm_backward_bf16, kc_norm_backward_parameters) { norm_backward<kc_type_bf16, kc_type_bf16>(p); }
KC_KERNEL(1024, 1, kc_norm_backward_bf16_f32, kc_norm_backward_parameters) {
  norm_backward<kc_type_bf16, kc_type_f32>(p);
}
#endif
