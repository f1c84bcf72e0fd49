// emulation.h - the device layer of device.cuh on a CPU, so that a kernel's own source runs there.
//
// A block is run alone; each of its threads is a fiber. Where threads meet (barriers, and what a warp does together) a
// fiber waits for the others; the last one to arrive computes for its warp. Threads of a warp that meet in different
// places, a barrier after a thread has left, and a deadlock end the program with a message. Shared memory begins as
// NaN; with a seed, the order of threads is shuffled and random warps run ahead as far as barriers allow, so that a
// missing barrier shows. Not emulated: time, the visibility of copies that are still under way, registers.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define KC_DEVICE static inline
#define KC_KERNEL(max_threads, min_blocks, name, parameters)                                                           \
  static_assert((max_threads) % 32 == 0 && (max_threads) <= 1024, "");                                                 \
  extern const unsigned name##_max_threads = max_threads;                                                              \
  void name(const parameters p)
#define KC_SHARED(type, name, count)                                                                                   \
  type *name = static_cast<type *>(kc_emulation::shared_array(__COUNTER__, sizeof(type) * (count)))
#define KC_DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(kc_emulation::dynamic_shared())
#define KC_UNROLL
#define KC_UNROLL_BY(count)
#define KC_HAS_BF16 1
#define KC_HAS_MATRIX 1
#define __align__(bytes) alignas(bytes)

struct alignas(16) kc_16bytes {
  kc_u32 word[4];
};

namespace kc_emulation {
struct dimensions {
  unsigned x = 1, y = 1, z = 1;
};
// What the fiber that runs now sees.
const dimensions &thread_index();
const dimensions &block_index();
const dimensions &block_size();
const dimensions &grid_size();
void *shared_array(int id, size_t bytes);
void *dynamic_shared();
void barrier(const char *file, int line);
bool barrier_or(bool v);

// Ends the program: the kernel breaks a rule.
[[noreturn]] void broken(const char *rule);

// Meeting of a warp: `in` of each lane is given to `compute` by the last to arrive, which fills `out` of each lane.
enum { MEETING_BYTES = 64 };
struct meeting {
  alignas(16) unsigned char in[32][MEETING_BYTES], out[32][MEETING_BYTES];
};
void meet(int operation, const void *in, size_t in_bytes, void *out, size_t out_bytes,
          void (*compute)(meeting &, int operation));
enum {
  SHUFFLE_XOR = 0x100,
  SHUFFLE = 0x200,
  BALLOT = 0x300,
  LOAD_MATRICES,
  LOAD_TRANSPOSED,
  TRANSPOSE,
  MULTIPLY_F16,
  MULTIPLY_BF16
};
void shuffle(meeting &m, int operation);
void ballot(meeting &m, int operation);
void load_matrices(meeting &m, int operation);
void transpose_matrix(meeting &m, int operation);
void multiply_matrices(meeting &m, int operation);

float float_of_f16(kc_u16 v);
kc_u16 f16_of_float(float v);

template <class V>
V shuffled(int operation, int lane, V v) {
  struct {
    V value;
    int lane;
  } in = {v, lane};
  V out;
  static_assert(offsetof(decltype(in), lane) == sizeof(V), "");
  meet(operation | (int)sizeof(V), &in, sizeof(V) + sizeof(int), &out, sizeof out, shuffle);
  return out;
}
} // namespace kc_emulation

#define threadIdx (kc_emulation::thread_index())
#define blockIdx (kc_emulation::block_index())
#define blockDim (kc_emulation::block_size())
#define gridDim (kc_emulation::grid_size())

#define kc_sync() kc_emulation::barrier(__FILE__, __LINE__)
KC_DEVICE bool kc_sync_or(bool v) { return kc_emulation::barrier_or(v); }
KC_DEVICE int kc_own_lane() { return (int)(threadIdx.x % 32); }
KC_DEVICE float kc_shuffle_xor(float v, int mask) {
  return kc_emulation::shuffled(kc_emulation::SHUFFLE_XOR, kc_own_lane() ^ mask, v);
}
KC_DEVICE double kc_shuffle_xor(double v, int mask) {
  return kc_emulation::shuffled(kc_emulation::SHUFFLE_XOR, kc_own_lane() ^ mask, v);
}
KC_DEVICE kc_u32 kc_shuffle_xor(kc_u32 v, int mask) {
  return kc_emulation::shuffled(kc_emulation::SHUFFLE_XOR, kc_own_lane() ^ mask, v);
}
KC_DEVICE float kc_shuffle(float v, int lane) { return kc_emulation::shuffled(kc_emulation::SHUFFLE, lane & 31, v); }
KC_DEVICE kc_u32 kc_shuffle(kc_u32 v, int lane) { return kc_emulation::shuffled(kc_emulation::SHUFFLE, lane & 31, v); }
KC_DEVICE kc_u32 kc_ballot(bool v) {
  kc_u32 in = v, out;
  kc_emulation::meet(kc_emulation::BALLOT, &in, sizeof in, &out, sizeof out, kc_emulation::ballot);
  return out;
}
KC_DEVICE int kc_lowest_bit(kc_u32 v) { return v ? __builtin_ctz(v) : -1; }
KC_DEVICE kc_u32 kc_multiply_high(kc_u32 a, kc_u32 b) { return (kc_u32)((kc_u64)a * b >> 32); }
KC_DEVICE float kc_exp2(float x) { return std::exp2(x); }
KC_DEVICE float kc_log2(float x) { return std::log2(x); }
using std::isfinite;

KC_DEVICE void kc_copy16(void *to, const void *from, bool ok) {
  if ((reinterpret_cast<uintptr_t>(to) | (ok ? reinterpret_cast<uintptr_t>(from) : 0)) % 16 != 0)
    kc_emulation::broken("a copy of 16 bytes that is not aligned");
  if (ok)
    std::memcpy(to, from, 16);
  else
    std::memset(to, 0, 16);
}
KC_DEVICE void kc_copies_wait() {}
KC_DEVICE void kc_load_matrices(kc_u32 r[4], const void *row) {
  kc_emulation::meet(kc_emulation::LOAD_MATRICES, &row, sizeof row, r, 16, kc_emulation::load_matrices);
}
KC_DEVICE void kc_load_matrices_transposed(kc_u32 r[4], const void *row) {
  kc_emulation::meet(kc_emulation::LOAD_TRANSPOSED, &row, sizeof row, r, 16, kc_emulation::load_matrices);
}
KC_DEVICE kc_u32 kc_transpose_matrix(kc_u32 v) {
  kc_u32 t;
  kc_emulation::meet(kc_emulation::TRANSPOSE, &v, sizeof v, &t, sizeof t, kc_emulation::transpose_matrix);
  return t;
}
KC_DEVICE void kc_multiply_matrices(int operation, float c[4], const kc_u32 a[4], kc_u32 b0, kc_u32 b1) {
  struct {
    kc_u32 a[4], b[2];
    float c[4];
  } in;
  std::memcpy(in.a, a, 16);
  in.b[0] = b0;
  in.b[1] = b1;
  std::memcpy(in.c, c, 16);
  kc_emulation::meet(operation, &in, sizeof in, c, 16, kc_emulation::multiply_matrices);
}

struct kc_type_f32 {
  typedef float word;
  static float up(word v) { return v; }
  static word down(float v) { return v; }
};
struct kc_type_f16 {
  typedef kc_u16 word;
  static float up(word v) { return kc_emulation::float_of_f16(v); }
  static word down(float v) { return kc_emulation::f16_of_float(v); }
  static kc_u32 pack(float low, float high) { return (kc_u32)down(low) | (kc_u32)down(high) << 16; }
  static void multiply(float c[4], const kc_u32 a[4], kc_u32 b0, kc_u32 b1) {
    kc_multiply_matrices(kc_emulation::MULTIPLY_F16, c, a, b0, b1);
  }
};
struct kc_type_bf16 {
  typedef kc_u16 word;
  static float up(word v) {
    const kc_u32 bits = (kc_u32)v << 16;
    float f;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  static word down(float v) {
    kc_u32 bits;
    std::memcpy(&bits, &v, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (word)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
  static kc_u32 pack(float low, float high) { return (kc_u32)down(low) | (kc_u32)down(high) << 16; }
  static void multiply(float c[4], const kc_u32 a[4], kc_u32 b0, kc_u32 b1) {
    kc_multiply_matrices(kc_emulation::MULTIPLY_BF16, c, a, b0, b1);
  }
};
