// emulation.cpp - the scheduler behind emulation.h: fibers, barriers, meetings of warps, and what a warp computes
// together.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "device.cuh"
#include "launch_table.h"

namespace kc_emulation {
namespace {
constexpr size_t STACK_BYTES = 128 << 10;

struct warp_state {
  unsigned arrived = 0, generation = 0;
  int operation = 0;
  meeting places;
};
struct fiber {
  void *stack_pointer = nullptr;
  dimensions index;
  unsigned number = 0;
  bool done = false;
};
struct shared_block {
  int id;
  void *memory;
};
struct block_state {
  const kc_emulated_kernel *kernel = nullptr;
  const void *parameters = nullptr;
  void *scheduler_stack = nullptr;
  std::vector<fiber> fibers;
  std::vector<warp_state> warps;
  fiber *current = nullptr;
  dimensions index, size, grid;
  unsigned at_barrier = 0, barrier_generation = 0, live = 0;
  bool any = false, any_result = false;
  uint64_t progress = 0;
  std::vector<shared_block> shared;
  void *dynamic = nullptr;
};
thread_local block_state *state = nullptr;

struct barrier_place {
  const char *file;
  int line;
  const kc_emulated_kernel *kernel;
  bool operator<(const barrier_place &o) const {
    return line != o.line   ? line < o.line
           : file != o.file ? std::less<const char *>()(file, o.file)
                            : std::less<const void *>()(kernel, o.kernel);
  }
};
std::set<barrier_place> seen;
std::string dropped;

std::string name_of(const barrier_place &place) {
  const char *slash = std::strrchr(place.file, '/');
  return std::string(slash ? slash + 1 : place.file) + ":" + std::to_string(place.line) + " " + place.kernel->name;
}
} // namespace

extern "C" void kc_emulation_switch(void **save, void *to);
#if defined(__x86_64__)
asm(R"(.text
.globl kc_emulation_switch
kc_emulation_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");
#elif defined(__aarch64__)
asm(R"(.text
.globl kc_emulation_switch
kc_emulation_switch:
  sub sp, sp, #176
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  ret
)");
#else
#error "a switch of stacks for this processor"
#endif

void broken(const char *rule) {
  std::fprintf(stderr, "emulation: %s: %s (block %u,%u thread %u)\n", state->kernel->name, rule, state->index.x,
               state->index.y, state->current ? state->current->number : 0);
  std::abort();
}

static void wait() { kc_emulation_switch(&state->current->stack_pointer, state->scheduler_stack); }

static void fiber_main() {
  state->kernel->body(state->parameters);
  state->current->done = true;
  state->live--;
  state->progress++;
  wait();
  broken("a thread that had ended went on");
}

const dimensions &thread_index() { return state->current->index; }
const dimensions &block_index() { return state->index; }
const dimensions &block_size() { return state->size; }
const dimensions &grid_size() { return state->grid; }
void *dynamic_shared() { return state->dynamic; }

void *shared_array(int id, size_t bytes) {
  for (const shared_block &block : state->shared) {
    if (block.id == id) return block.memory;
  }
  void *memory = nullptr;
  if (posix_memalign(&memory, 128, bytes) != 0) broken("out of memory");
  std::memset(memory, 0xff, bytes);
  state->shared.push_back({id, memory});
  return memory;
}

static void pass_barrier() {
  if (state->live != state->fibers.size()) broken("a barrier after a thread has left");
  const unsigned generation = state->barrier_generation;
  if (++state->at_barrier == state->live) {
    state->at_barrier = 0;
    state->any_result = state->any;
    state->any = false;
    state->barrier_generation++;
    state->progress++;
  } else {
    while (state->barrier_generation == generation) wait();
  }
}

void barrier(const char *file, int line) {
  const barrier_place place = {file, line, state->kernel};
  if (seen.insert(place).second || !dropped.empty()) {
    if (name_of(place) == dropped) return;
  }
  pass_barrier();
}

bool barrier_or(bool v) {
  state->any |= v;
  pass_barrier();
  return state->any_result;
}

void meet(int operation, const void *in, size_t in_bytes, void *out, size_t out_bytes,
          void (*compute)(meeting &, int)) {
  const unsigned number = state->current->number, lane = number % 32;
  warp_state &warp = state->warps[number / 32];
  const unsigned generation = warp.generation;
  if (in_bytes > MEETING_BYTES || out_bytes > MEETING_BYTES) broken("a meeting with too many bytes");
  if (warp.arrived == 0) warp.operation = operation;
  if (warp.operation != operation) broken("threads of one warp meet in different places");
  std::memcpy(warp.places.in[lane], in, in_bytes);
  if (++warp.arrived == 32) {
    compute(warp.places, operation);
    warp.arrived = 0;
    warp.generation++;
    state->progress++;
  } else {
    while (warp.generation == generation) wait();
  }
  std::memcpy(out, warp.places.out[lane], out_bytes);
}

// ---- what a warp computes together ----

void shuffle(meeting &m, int operation) {
  const size_t bytes = (size_t)operation & 0xff;
  for (int lane = 0; lane < 32; lane++) {
    int from;
    std::memcpy(&from, m.in[lane] + bytes, sizeof from);
    std::memcpy(m.out[lane], m.in[from & 31], bytes);
  }
}

void ballot(meeting &m, int) {
  kc_u32 bits = 0, v;
  for (int lane = 0; lane < 32; lane++) {
    std::memcpy(&v, m.in[lane], sizeof v);
    bits |= v << lane;
  }
  for (int lane = 0; lane < 32; lane++) std::memcpy(m.out[lane], &bits, sizeof bits);
}

void load_matrices(meeting &m, int operation) {
  for (int lane = 0; lane < 32; lane++) {
    for (int matrix = 0; matrix < 4; matrix++) {
      for (int e = 0; e < 2; e++) {
        int row = lane / 4, column = 2 * (lane % 4) + e;
        if (operation == LOAD_TRANSPOSED) std::swap(row, column);
        const unsigned char *from;
        std::memcpy(&from, m.in[matrix * 8 + row], sizeof from);
        if ((uintptr_t)from % 16 != 0) broken("a row of a matrix that is not aligned");
        std::memcpy(m.out[lane] + 4 * matrix + 2 * e, from + 2 * column, 2);
      }
    }
  }
}

void transpose_matrix(meeting &m, int) {
  for (int lane = 0; lane < 32; lane++) {
    for (int e = 0; e < 2; e++) {
      const int row = 2 * (lane % 4) + e, column = lane / 4;
      std::memcpy(m.out[lane] + 2 * e, m.in[row * 4 + column / 2] + 2 * (column % 2), 2);
    }
  }
}

static float half_of(int operation, const unsigned char *bytes) {
  kc_u16 v;
  std::memcpy(&v, bytes, sizeof v);
  return operation == MULTIPLY_F16 ? kc_type_f16::up(v) : kc_type_bf16::up(v);
}

// c [16, 8] += a [16, 16] b [16, 8]; a lane has 8 of a, 4 of b and 4 of c.
void multiply_matrices(meeting &m, int operation) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; lane++) {
    const int group = lane / 4, pair = 2 * (lane % 4);
    for (int e = 0; e < 2; e++) {
      for (int part = 0; part < 4; part++)
        a[group + part % 2 * 8][pair + part / 2 * 8 + e] = half_of(operation, m.in[lane] + 4 * part + 2 * e);
      for (int part = 0; part < 2; part++)
        b[pair + part * 8 + e][group] = half_of(operation, m.in[lane] + 16 + 4 * part + 2 * e);
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    float c[4];
    std::memcpy(c, m.in[lane] + 24, 16);
    for (int i = 0; i < 4; i++) {
      const int row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
      double sum = c[i];
      for (int k = 0; k < 16; k++) sum += (double)a[row][k] * b[k][column];
      c[i] = (float)sum;
    }
    std::memcpy(m.out[lane], c, 16);
  }
}

float float_of_f16(kc_u16 v) {
  const int exponent = v >> 10 & 31, mantissa = v & 1023;
  float f = exponent == 31 ? (mantissa ? NAN : INFINITY)
            : exponent     ? std::ldexp((float)(mantissa | 1024), exponent - 25)
                           : std::ldexp((float)mantissa, -24);
  return v & 0x8000 ? -f : f;
}

// To the nearest, ties to even.
kc_u16 f16_of_float(float v) {
  const kc_u16 sign = std::signbit(v) ? 0x8000 : 0;
  const float size = std::fabs(v);
  if (std::isnan(v)) return 0x7fff;
  if (size >= 65520.0f) return sign | 0x7c00;
  int exponent;
  std::frexp(size, &exponent);
  const int unit = std::max(exponent - 11, -24); // exponent of the last bit
  const auto count = (unsigned)std::nearbyint(std::ldexp(size, -unit));
  if (count == 0) return sign;
  return sign | (kc_u16)(unit == -24 ? count : count - 1024 + ((unsigned)(unit + 25) << 10));
}

// ---- scheduler ----

namespace {
class random_numbers {
public:
  explicit random_numbers(uint64_t seed) : value(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
  uint64_t next() {
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
    return value >> 5;
  }

private:
  uint64_t value;
};

void *fresh_stack(unsigned char *stack) {
  void **top = reinterpret_cast<void **>(stack + STACK_BYTES);
#if defined(__x86_64__)
  *--top = nullptr; // the return address of fiber_main: keeps the stack aligned as after a call
  *--top = reinterpret_cast<void *>(fiber_main);
  for (int i = 0; i < 6; i++) *--top = nullptr;
#else
  top -= 22;
  std::memset(top, 0, 176);
  top[11] = reinterpret_cast<void *>(fiber_main);
#endif
  return top;
}

void start_block(block_state &s, unsigned char *stacks) {
  s.at_barrier = 0;
  s.any = false;
  s.live = (unsigned)s.fibers.size();
  for (unsigned i = 0; i < s.fibers.size(); i++) {
    fiber &f = s.fibers[i];
    f.index = {i % s.size.x, i / s.size.x % s.size.y, i / s.size.x / s.size.y};
    f.number = i;
    f.done = false;
    f.stack_pointer = fresh_stack(stacks + STACK_BYTES * i);
  }
  for (warp_state &warp : s.warps) warp.arrived = 0;
}

// With a seed, a random subset of the warps runs for a while, in a random order.
void run_block(block_state &s, std::vector<unsigned> &order, random_numbers *random) {
  uint64_t running = ~0ull, rounds = 0;
  if (random) {
    for (size_t i = order.size() - 1; i > 0; i--) std::swap(order[i], order[random->next() % (i + 1)]);
  }
  while (s.live > 0) {
    if (random && rounds == 0) {
      running = random->next() | random->next() << 32;
      rounds = 1 + random->next() % 400;
    }
    const uint64_t before = s.progress;
    for (const unsigned i : order) {
      if (s.fibers[i].done || !(running >> i / 32 & 1)) continue;
      s.current = &s.fibers[i];
      kc_emulation_switch(&s.scheduler_stack, s.current->stack_pointer);
    }
    if (rounds > 0) rounds--;
    if (s.progress != before) continue;
    if (running == ~0ull) broken("a deadlock");
    running = ~0ull;
    rounds = 1;
  }
}

void run_grid(block_state &s, size_t shared_bytes, uint64_t seed) {
  const unsigned threads = s.size.x * s.size.y * s.size.z;
  s.fibers.resize(threads);
  s.warps.resize(threads / 32);
  std::vector<unsigned> order(threads);
  for (unsigned i = 0; i < threads; i++) order[i] = i;
  auto *stacks = static_cast<unsigned char *>(std::aligned_alloc(4096, STACK_BYTES * threads));
  random_numbers random(seed);
  for (s.index.z = 0; s.index.z < s.grid.z; s.index.z++) {
    for (s.index.y = 0; s.index.y < s.grid.y; s.index.y++) {
      for (s.index.x = 0; s.index.x < s.grid.x; s.index.x++) {
        if (posix_memalign(&s.dynamic, 128, shared_bytes ? shared_bytes : 1) != 0) broken("out of memory");
        std::memset(s.dynamic, 0xff, shared_bytes);
        start_block(s, stacks);
        run_block(s, order, seed ? &random : nullptr);
        std::free(s.dynamic);
        for (const shared_block &block : s.shared) std::free(block.memory);
        s.shared.clear();
      }
    }
  }
  std::free(stacks);
}
} // namespace
} // namespace kc_emulation

using namespace kc_emulation;

extern "C" const char *kc_emulated_launch(const kc_emulated_kernel *kernel, const unsigned grid[3],
                                          const unsigned block[3], size_t shared_bytes, const void *parameters,
                                          size_t parameter_bytes, uint64_t seed) {
  const uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  if (threads == 0 || threads > kernel->max_threads || threads % 32 != 0) return "threads beyond the kernel's bounds";
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return "an empty grid";
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) return "a grid that is too large";
  if (shared_bytes > 48 << 10) return "more than 48 KiB of shared memory";
  if (parameter_bytes != kernel->parameter_bytes) return "another size of parameters";
  block_state s;
  s.kernel = kernel;
  s.parameters = parameters;
  s.grid = {grid[0], grid[1], grid[2]};
  s.size = {block[0], block[1], block[2]};
  block_state *outer = state;
  state = &s;
  run_grid(s, shared_bytes, seed);
  state = outer;
  return nullptr;
}

extern "C" size_t kc_emulated_barriers(char (*names)[160], size_t capacity) {
  size_t count = 0;
  for (const barrier_place &place : seen) {
    if (count < capacity) std::snprintf(names[count], sizeof names[count], "%s", name_of(place).c_str());
    count++;
  }
  return count;
}

extern "C" void kc_emulated_drop(const char *name) { dropped = name ? name : ""; }
