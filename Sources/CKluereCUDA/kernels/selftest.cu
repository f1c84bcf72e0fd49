// selftest.cu - each function of device.cuh that stands for an instruction, once, with fixed inputs: the results must
// be those of the emulation, on which everything else was tested. 4 words for each lane and section, in the order of
// KC_SELFTEST_SECTIONS.
#include "device.cuh"

KC_DEVICE kc_u32 bits_of(float v) {
  union {
    float value;
    kc_u32 bits;
  } u;
  u.value = v;
  return u.bits;
}
KC_DEVICE void write4(const kc_selftest_parameters &p, int section, kc_u32 a, kc_u32 b, kc_u32 c, kc_u32 d) {
  if (kc_warp() != 0) return;
  kc_u32 *to = p.found + section * KC_SELFTEST_WORDS + kc_lane() * 4;
  to[0] = a;
  to[1] = b;
  to[2] = c;
  to[3] = d;
}
KC_DEVICE void write4(const kc_selftest_parameters &p, int section, float a, float b, float c, float d) {
  write4(p, section, bits_of(a), bits_of(b), bits_of(c), bits_of(d));
}

KC_DEVICE void test_shuffles(const kc_selftest_parameters &p) {
  const kc_u32 lane = kc_lane(), v = lane * 0x9E3779B9u;
  const kc_u32 ballot = kc_ballot(v >> 31);
  write4(p, KC_SELFTEST_shuffle, kc_shuffle_xor(v, 5), kc_shuffle(v, (int)(lane * 7 % 32)), ballot,
         (kc_u32)kc_lowest_bit(v | 0x80000000u));
  const float f = 1.0f / (float)(lane + 1);
  const double sum = kc_shuffle_xor(1.0 / (double)(lane + 3), 16);
  write4(p, KC_SELFTEST_shuffle_float, kc_shuffle_xor(f, 2), kc_shuffle(f, (int)(31 - lane)), (float)sum,
         (float)((sum - (float)sum) * 1073741824.0));
}

KC_DEVICE void test_functions(const kc_selftest_parameters &p) {
  const kc_u32 lane = kc_lane();
  const kc_bits bits = kc_philox(lane, 2, 3, 4, 0x123456789abcdef0ull);
  write4(p, KC_SELFTEST_philox, bits.word[0], bits.word[1], bits.word[2], bits.word[3]);
  const float x = 0.09375f * (float)(lane + 1); // exact, so that a fused multiply-add changes nothing
  write4(p, KC_SELFTEST_exp2, kc_exp2(x), kc_exp2(-x), kc_exp2(10.0f * x), kc_exp2(-10.0f * x));
  write4(p, KC_SELFTEST_log2, kc_log2(2.0f + x), kc_log2(100.0f * (x + 1.0f)), kc_log2(1e-3f * x), kc_log2(1e6f * x));
  write4(p, KC_SELFTEST_functions, erff(x), expf(-x), tanhf(x), logf(x + 2.0f));
  write4(p, KC_SELFTEST_exact, sqrtf(x), 1.0f / x, fmaxf(x, -x), x / (x + 3.0f));
  const kc_u16 half = kc_type_f16::down(x);
  write4(p, KC_SELFTEST_f16, bits_of(kc_type_f16::up(half)), half, kc_type_f16::pack(-x, 1e-6f * x),
         kc_type_f16::pack(70000.0f * x, 2049.0f + 2.0f * (float)lane));
}

KC_DEVICE void test_shared(const kc_selftest_parameters &p) {
  KC_SHARED(kc_16bytes, from, 32);
  KC_SHARED(kc_16bytes, to, 32);
  const kc_u32 lane = kc_lane();
  from[lane] = {{lane, lane * 3, lane * 5, lane * 7}};
  const kc_u32 any = kc_sync_or(lane == 31) + 2u * kc_sync_or(lane == 32);
  // Those were barriers. From device memory: what the section before has written is read back, every 5th lane gets
  // zeros instead.
  kc_copy16(&to[lane], p.found + KC_SELFTEST_philox * KC_SELFTEST_WORDS + (lane ^ 1) * 4, lane % 5 != 0);
  kc_copies_wait();
  kc_sync();
  write4(p, KC_SELFTEST_copy, to[31 - lane].word[0], to[31 - lane].word[3], from[(lane + 9) % 32].word[2], any);
}

KC_KERNEL(32, 1, kc_selftest_common, kc_selftest_parameters) {
  test_shuffles(p);
  test_functions(p);
  test_shared(p);
}

#ifdef KC_HAS_MATRIX
// Two warps: the second writes what the first one reads.
KC_KERNEL(64, 1, kc_selftest_matrix, kc_selftest_parameters) {
  KC_SHARED(kc_16bytes, rows, 32);
  const kc_u32 lane = kc_lane(), n = lane * 8;
  if (kc_warp() == 1)
    rows[lane] = {{n | (n + 1) << 16, (n + 2) | (n + 3) << 16, (n + 4) | (n + 5) << 16, (n + 6) | (n + 7) << 16}};
  kc_sync();
  kc_u32 r[4];
  kc_load_matrices(r, &rows[lane * 5 % 32]);
  write4(p, KC_SELFTEST_load_matrices, r[0], r[1], r[2], r[3]);
  kc_load_matrices_transposed(r, &rows[lane * 11 % 32]);
  write4(p, KC_SELFTEST_load_transposed, r[0], r[1], r[2], r[3]);
  write4(p, KC_SELFTEST_transpose, kc_transpose_matrix(n | (n + 1) << 16), kc_transpose_matrix(r[1]), 0u, 0u);
  const float v = (float)(lane % 7) - 3.0f, w = (float)(lane % 5) - 2.0f; // small whole numbers: sums are exact
  const kc_u32 a[4] = {kc_type_f16::pack(v, w), kc_type_f16::pack(w, 1), kc_type_f16::pack(2, v),
                       kc_type_f16::pack(v - w, v + w)};
  float c[4] = {v, w, 100, -1};
  kc_type_f16::multiply(c, a, kc_type_f16::pack(w, v + 1), kc_type_f16::pack(v - 1, w));
  write4(p, KC_SELFTEST_multiply_f16, c[0], c[1], c[2], c[3]);
}
#endif

#ifdef KC_HAS_BF16
KC_KERNEL(32, 1, kc_selftest_bf16, kc_selftest_parameters) {
  const kc_u32 lane = kc_lane();
  const float x = 0.09375f * (float)(lane + 1); // exact, so that a fused multiply-add changes nothing
  const kc_u16 half = kc_type_bf16::down(x);
  write4(p, KC_SELFTEST_bf16, bits_of(kc_type_bf16::up(half)), half, kc_type_bf16::pack(-x, 1e-30f * x),
         kc_type_bf16::pack(257.0f + 2.0f * (float)lane, 1e30f * x));
  const float v = (float)(lane % 7) - 3.0f, w = (float)(lane % 5) - 2.0f;
  const kc_u32 a[4] = {kc_type_bf16::pack(v, w), kc_type_bf16::pack(w, 1), kc_type_bf16::pack(2, v),
                       kc_type_bf16::pack(v - w, v + w)};
  float c[4] = {v, w, 100, -1};
  kc_type_bf16::multiply(c, a, kc_type_bf16::pack(w, v + 1), kc_type_bf16::pack(v - 1, w));
  write4(p, KC_SELFTEST_multiply_bf16, c[0], c[1], c[2], c[3]);
}
#endif
