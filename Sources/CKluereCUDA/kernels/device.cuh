// device.cuh - what every kernel stands on: the machine's instructions behind named functions, number types, masks,
// rows, attention's sequences.
//
// Nothing is included: the run-time compiler (NVRTC) has no headers, so that this text and parameters.h are all that a
// kernel needs. Without NVRTC the same names come from emulation.h (Tests/cuda/emulation), where a kernel's own source
// runs on a CPU. Rules that both sides need: kc_sync and every function marked "whole warp" are called by all threads
// of the block or warp, with no branch around them that only some of these threads take.
#pragma once
#include "parameters.h"

typedef unsigned short kc_u16;
typedef unsigned int kc_u32;
typedef unsigned long long kc_u64;

#if defined(__CUDACC_RTC__) || defined(__CUDACC__)
#define KC_DEVICE static __device__ __forceinline__
#define KC_KERNEL(max_threads, min_blocks, name, parameters)                                                           \
  extern "C" __global__ void __launch_bounds__(max_threads, min_blocks) name(const parameters p)
#define KC_SHARED(type, name, count) __shared__ type name[count]
#define KC_DYNAMIC_SHARED(type, name) extern __shared__ __align__(128) type name[]
#define KC_UNROLL _Pragma("unroll")
#define KC_PRAGMA(text) _Pragma(#text)
#define KC_UNROLL_BY(count) KC_PRAGMA(unroll count)
#if __CUDA_ARCH__ >= 800
#define KC_HAS_BF16 1
#endif
#if __CUDA_ARCH__ >= 750
#define KC_HAS_MATRIX 1 // ldmatrix, movmatrix and the tensor cores' m16n8 products
#endif

struct __align__(16) kc_16bytes {
  kc_u32 word[4];
};

KC_DEVICE void kc_sync() { __syncthreads(); }
KC_DEVICE bool kc_sync_or(bool v) { return __syncthreads_or(v); }
// Whole warp.
KC_DEVICE float kc_shuffle_xor(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
KC_DEVICE double kc_shuffle_xor(double v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
KC_DEVICE kc_u32 kc_shuffle_xor(kc_u32 v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }
KC_DEVICE float kc_shuffle(float v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
KC_DEVICE kc_u32 kc_shuffle(kc_u32 v, int lane) { return __shfl_sync(0xffffffffu, v, lane); }
KC_DEVICE kc_u32 kc_ballot(bool v) { return __ballot_sync(0xffffffffu, v); }

KC_DEVICE int kc_lowest_bit(kc_u32 v) { return __ffs((int)v) - 1; }
KC_DEVICE kc_u32 kc_multiply_high(kc_u32 a, kc_u32 b) { return __umulhi(a, b); }
KC_DEVICE float kc_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
KC_DEVICE float kc_log2(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 16 bytes from device memory to shared memory, zeros if not ok; there when kc_copies_wait and then kc_sync have
// passed.
#if __CUDA_ARCH__ >= 800
KC_DEVICE void kc_copy16(void *to, const void *from, bool ok) {
  kc_u64 address;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((kc_u32)address), "l"(from), "r"(ok ? 16 : 0)
               : "memory");
}
KC_DEVICE void kc_copies_wait() {
  asm volatile("cp.async.commit_group;" ::: "memory");
  asm volatile("cp.async.wait_group 0;" ::: "memory");
}
#else
KC_DEVICE void kc_copy16(void *to, const void *from, bool ok) {
  kc_16bytes v = {{0, 0, 0, 0}};
  if (ok) v = *(const kc_16bytes *)from;
  *(kc_16bytes *)to = v;
}
KC_DEVICE void kc_copies_wait() {}
#endif

#ifdef KC_HAS_MATRIX
// Whole warp: four 8x8 matrices of 16-bit numbers from shared memory, row r of matrix m at the address that lane 8 m +
// r gives. Lane l receives numbers 2 (l % 4) and the next of row l / 4 of each; transposed: of column l / 4.
KC_DEVICE void kc_load_matrices(kc_u32 r[4], const void *row) {
  kc_u64 address;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"((kc_u32)address)
               : "memory");
}
KC_DEVICE void kc_load_matrices_transposed(kc_u32 r[4], const void *row) {
  kc_u64 address;
  asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"((kc_u32)address)
               : "memory");
}
// Whole warp: an 8x8 matrix in registers, transposed.
KC_DEVICE kc_u32 kc_transpose_matrix(kc_u32 v) {
  kc_u32 t;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(t) : "r"(v));
  return t;
}
#endif

// A number type: word is how it is stored.
struct kc_type_f32 {
  typedef float word;
  KC_DEVICE float up(word v) { return v; }
  KC_DEVICE word down(float v) { return v; }
};
struct kc_type_f16 {
  typedef kc_u16 word;
  KC_DEVICE float up(word v) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v));
    return f;
  }
  KC_DEVICE word down(float v) {
    word r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
  }
  KC_DEVICE kc_u32 pack(float low, float high) { return (kc_u32)down(low) | (kc_u32)down(high) << 16; }
#ifdef KC_HAS_MATRIX
  // Whole warp: c [16, 8] += a [16, 16] b [16, 8], laid out over the lanes as PTX says of mma.m16n8k16.
  KC_DEVICE void multiply(float c[4], const kc_u32 a[4], kc_u32 b0, kc_u32 b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else // Turing multiplies 8 deep: two steps
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
  }
#endif
};
#ifdef KC_HAS_BF16
struct kc_type_bf16 {
  typedef kc_u16 word;
  KC_DEVICE float up(word v) { return __uint_as_float((kc_u32)v << 16); }
  KC_DEVICE word down(float v) {
    word r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
  }
  KC_DEVICE kc_u32 pack(float low, float high) {
    kc_u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
  }
  KC_DEVICE void multiply(float c[4], const kc_u32 a[4], kc_u32 b0, kc_u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};
#endif
#else
#include "emulation.h"
#endif

// ---- sums of a warp and of a block ----

KC_DEVICE unsigned kc_lane() { return threadIdx.x % 32; }
KC_DEVICE unsigned kc_warp() { return threadIdx.x / 32; }

// Whole warp; every lane gets the result.
template <class V>
KC_DEVICE V kc_warp_sum(V v) {
  KC_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) v += kc_shuffle_xor(v, mask);
  return v;
}
KC_DEVICE float kc_warp_max(float v) {
  KC_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) v = fmaxf(v, kc_shuffle_xor(v, mask));
  return v;
}

// The sum over `warps` neighbouring warps, to all their threads; they begin at a multiple of warps, and all threads of
// the block call. parts: shared, a value for each warp of the block, not used again before another barrier.
template <class V>
KC_DEVICE V kc_warps_sum(V v, V *parts, unsigned warps) {
  v = kc_warp_sum(v);
  if (warps == 1) return v;
  if (kc_lane() == 0) parts[kc_warp()] = v;
  kc_sync();
  const V *first = parts + kc_warp() / warps * warps;
  V sum = first[0];
  for (unsigned i = 1; i < warps; i++) sum += first[i];
  return sum;
}
KC_DEVICE float kc_block_max(float v, float *parts) {
  v = kc_warp_max(v);
  if (kc_lane() == 0) parts[kc_warp()] = v;
  kc_sync();
  for (unsigned i = 0; i < blockDim.x / 32; i++) v = fmaxf(v, parts[i]);
  return v;
}

// ---- 8 columns of a row ----

// Row-wise kernels work on groups of 8 columns: 16 bytes of a 16-bit type, and one call of the mask's generator.
// vectors: every row begins on 16 bytes and width is a multiple of 8, so that whole words can be moved.
template <class T>
struct kc_eight {
  KC_DEVICE void load(float v[8], const typename T::word *from) {
    const kc_16bytes a = *(const kc_16bytes *)(const void *)from;
    KC_UNROLL
    for (int i = 0; i < 4; i++) {
      v[2 * i] = T::up((kc_u16)(a.word[i] & 0xffffu));
      v[2 * i + 1] = T::up((kc_u16)(a.word[i] >> 16));
    }
  }
  KC_DEVICE void store(typename T::word *to, const float v[8]) {
    kc_16bytes a;
    KC_UNROLL
    for (int i = 0; i < 4; i++) a.word[i] = T::pack(v[2 * i], v[2 * i + 1]);
    *(kc_16bytes *)(void *)to = a;
  }
};
struct __align__(16) kc_4floats {
  float value[4];
};
template <>
struct kc_eight<kc_type_f32> {
  KC_DEVICE void load(float v[8], const float *from) {
    const kc_4floats a = *(const kc_4floats *)(const void *)from, b = *(const kc_4floats *)(const void *)(from + 4);
    KC_UNROLL
    for (int i = 0; i < 4; i++) {
      v[i] = a.value[i];
      v[4 + i] = b.value[i];
    }
  }
  KC_DEVICE void store(float *to, const float v[8]) {
    *(kc_4floats *)(void *)to = {{v[0], v[1], v[2], v[3]}};
    *(kc_4floats *)(void *)(to + 4) = {{v[4], v[5], v[6], v[7]}};
  }
};

// v = the columns from `column` on of the row that begins at element `at` of the array; zeros past the width.
template <class T>
KC_DEVICE void kc_load8(float v[8], const void *array, kc_u64 at, unsigned column, unsigned width, int vectors) {
  const typename T::word *from = (const typename T::word *)array + at + column;
  if (vectors) {
    kc_eight<T>::load(v, from);
    return;
  }
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] = column + i < width ? T::up(from[i]) : 0.0f;
}
template <class T>
KC_DEVICE void kc_store8(void *array, kc_u64 at, unsigned column, unsigned width, int vectors, const float v[8]) {
  typename T::word *to = (typename T::word *)array + at + column;
  if (vectors) {
    kc_eight<T>::store(to, v);
    return;
  }
  KC_UNROLL
  for (int i = 0; i < 8; i++) {
    if (column + i < width) to[i] = T::down(v[i]);
  }
}

// A thread's 8 elements of an array without rows; at its end fewer, and then no whole words.
struct kc_span {
  kc_u64 first;
  unsigned left;
  int vectors;
};
KC_DEVICE kc_span kc_span_of_thread(kc_u64 count, int vectors) {
  const kc_u64 first = ((kc_u64)blockIdx.x * blockDim.x + threadIdx.x) * 8;
  const kc_u64 left = first < count ? count - first : 0;
  return {first, left < 8 ? (unsigned)left : 8, vectors && left >= 8};
}

// ---- dropout masks ----

// Philox4x32 with 7 rounds (Salmon et al. 2011): 128 bits from a counter and a key. The CPU's kernels make the same
// bits.
struct kc_bits {
  kc_u32 word[4];
};
KC_DEVICE kc_bits kc_philox(kc_u32 c0, kc_u32 c1, kc_u32 c2, kc_u32 c3, kc_u64 seed) {
  kc_u32 k0 = (kc_u32)seed, k1 = (kc_u32)(seed >> 32);
  KC_UNROLL
  for (int round = 0; round < 7; round++) {
    const kc_u32 h0 = kc_multiply_high(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    const kc_u32 h1 = kc_multiply_high(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}
// Of a word's two 16-bit numbers: whether the element of the low (0) or high (1) one is kept.
KC_DEVICE bool kc_kept(kc_u32 word, int half, kc_u32 threshold) { return (word >> 16 * half & 0xffffu) >= threshold; }
// v = dropout(v) for group `group` of 8 columns of a row. What is dropped is 0 even where v is not finite.
KC_DEVICE void kc_mask8(float v[8], const kc_mask &mask, kc_u64 row, unsigned group) {
  if (mask.threshold == 0) return;
  const kc_bits bits = kc_philox(group, mask.position[row], mask.sample[row], mask.site, mask.seed);
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] = kc_kept(bits.word[i / 2], i % 2, mask.threshold) ? v[i] * mask.scale : 0.0f;
}

// ---- sequences of attention ----

// A sequence's queries, and the keys that they read, in the order of their numbers: the text's, then those beside it,
// which only queries that are not the text's read. Without texts all are the text's.
struct kc_sequence {
  kc_u64 query, key;           // rows of the first query and of the first key
  int queries, keys;           // how many of each
  int text_queries, text_keys; // the text's, which come first
  int gap;                     // rows between the text's keys and those beside it
};
KC_DEVICE kc_sequence kc_sequence_of(const kc_attention_parameters &p, const int *texts, unsigned sequence) {
  const int query = p.query_offsets[sequence], key = p.key_offsets[sequence];
  const int queries = p.query_offsets[sequence + 1] - query, keys = p.key_offsets[sequence + 1] - key;
  if (!texts) return {(kc_u64)query, (kc_u64)key, queries, keys, queries, keys, 0};
  const int *text = texts + 3 * (kc_u64)sequence, begin = text[0], count = text[1];
  if (begin == key) return {(kc_u64)query, (kc_u64)key, queries, keys, text[2], count, 0};
  return {(kc_u64)query, (kc_u64)begin, queries, count + keys, text[2], count, key - begin - count};
}

// ---- layer norm of a row ----

// Where a thread works when a row belongs to `warps` neighbouring warps and a thread to 8 columns of it.
struct kc_place {
  unsigned column, slot, slots; // the block has `slots` rows at a time; this thread is in number `slot`
};
KC_DEVICE kc_place kc_place_in_block(unsigned warps) {
  return {(kc_warp() % warps * 32 + kc_lane()) * 8, kc_warp() / warps, blockDim.x / 32 / warps};
}
// v (zeros where there is no column) becomes (v - mean) / deviation; returns 1 / deviation. parts: shared, 2 x 32.
KC_DEVICE float kc_normalise8(float v[8], unsigned column, unsigned width, unsigned warps, float epsilon,
                              float *parts) {
  float sum = 0;
  KC_UNROLL
  for (int i = 0; i < 8; i++) sum += v[i];
  const float mean = kc_warps_sum(sum, parts, warps) / (float)width;
  float squares = 0;
  KC_UNROLL
  for (int i = 0; i < 8; i++) {
    v[i] = column + i < width ? v[i] - mean : 0.0f;
    squares += v[i] * v[i];
  }
  const float rstd = 1.0f / sqrtf(kc_warps_sum(squares, parts + 32, warps) / (float)width + epsilon);
  KC_UNROLL
  for (int i = 0; i < 8; i++) v[i] *= rstd;
  return rstd;
}
