// driver.h - the state of the stand-in driver: contexts, streams, memory. Shared by the files of libcuda.so.1.
#ifndef STANDIN_DRIVER_H
#define STANDIN_DRIVER_H
#include "core.h"

#include "emulation/launch_table.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#define GUARD(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define UNGUARD(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#else
#define GUARD(at, bytes) static_cast<void>(0)
#define UNGUARD(at, bytes) static_cast<void>(0)
#endif

// The handle types of driver_api.h, completed.
struct CUctx_st {
  int device, references;
  CUresult error;
};

struct work {
  unsigned long long ticket;
  std::function<CUresult()> run;
};

struct CUstream_st {
  CUcontext context;
  unsigned long long given, done;
  std::deque<work> waiting;
  bool capturing, invalidated;
  std::thread::id recorder;
  std::vector<std::function<CUresult()>> recorded;
};

struct CUevent_st {
  CUcontext context;
  CUstream stream;
  unsigned long long ticket;
};

struct CUmod_st {
  CUcontext context;
  std::string file;
  int architecture;
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};

struct CUfunc_st {
  CUmodule module;
  const kc_emulated_kernel *kernel;
  unsigned shared_limit;
};

struct CUgraph_st {
  std::vector<std::function<CUresult()>> calls;
};

struct CUgraphExec_st {
  CUcontext context;
  std::vector<std::function<CUresult()>> calls;
};

namespace standin {

constexpr int INVALID_VALUE = 1, INVALID_DEVICE = 101, INVALID_HANDLE = 400, CAPTURE_UNSUPPORTED = 900,
              CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903, WRONG_THREAD = 908, DEVICES = 8;
constexpr size_t ZONE = 256, QUEUE = 64, FILLED = 1 << 20;
constexpr unsigned ALWAYS_SHARED = 48 << 10;

struct block {
  unsigned char *raw;
  size_t bytes;
  CUcontext context;
  bool pinned;
};

struct device_state {
  int initialised_in = 0;
  CUctx_st contexts[DEVICES] = {};
  std::map<unsigned char *, block> blocks;
  std::map<CUstream, bool> streams;
};

inline device_state &state() {
  static device_state *only = new device_state;
  return *only;
}

inline std::vector<CUcontext> &stack() {
  static thread_local std::vector<CUcontext> contexts;
  return contexts;
}

inline CUcontext current() { return stack().empty() ? nullptr : stack().back(); }

inline bool is_initialised() { return state().initialised_in == static_cast<int>(getpid()); }

inline size_t used(CUcontext context) {
  size_t sum = 0;
  for (const auto &each : state().blocks) {
    if (each.second.context == context && !each.second.pinned) sum += each.second.bytes;
  }
  return sum;
}

inline size_t device_memory() { return static_cast<size_t>(setting("memory")); }

// ---- memory ---------------------------------------------------------------------------------------------------------

inline bool is_whole(const block &b) {
#ifndef WITH_ASAN
  for (size_t i = 0; i < ZONE; i++) {
    if (b.raw[i] != 0xa5 || b.raw[ZONE + b.bytes + i] != 0xa5) return false;
  }
#else
  static_cast<void>(b);
#endif
  return true;
}

inline void check_zones(const char *entry) {
  for (const auto &each : state().blocks) {
    if (!is_whole(each.second))
      violation("%s: something wrote beside an allocation of %zu bytes", entry, each.second.bytes);
  }
}

// Content is undefined: NaN in every type, as far as the time for it goes.
inline unsigned char *take(size_t bytes, bool pinned) {
  size_t whole = (bytes + ZONE - 1) / ZONE * ZONE + 2 * ZONE;
  unsigned char *raw = static_cast<unsigned char *>(std::aligned_alloc(ZONE, whole));
  if (!raw) return nullptr;
  std::memset(raw, 0xa5, ZONE);
  std::memset(raw + ZONE + bytes, 0xa5, whole - ZONE - bytes);
  std::memset(raw + ZONE, 0xff, std::min(bytes, FILLED));
  GUARD(raw, ZONE);
  GUARD(raw + ZONE + bytes, whole - ZONE - bytes);
  state().blocks[raw + ZONE] = {raw, bytes, current(), pinned};
  created(raw + ZONE, pinned ? "pinned memory" : "device memory");
  return raw + ZONE;
}

inline void give_back(unsigned char *at) {
  block b = state().blocks[at];
  if (!is_whole(b)) violation("freed memory of %zu bytes: something wrote beside it", b.bytes);
  UNGUARD(b.raw, 2 * ZONE + (b.bytes + ZONE - 1) / ZONE * ZONE);
  std::memset(b.raw, 0xff, std::min(b.bytes, FILLED));
  state().blocks.erase(at);
  destroyed(at, b.pinned ? "pinned memory" : "device memory");
  std::free(b.raw);
}

// The living allocation that holds these bytes.
inline const block *holder(const void *at, size_t bytes) {
  auto *first = static_cast<unsigned char *>(const_cast<void *>(at));
  auto next = state().blocks.upper_bound(first);
  if (next == state().blocks.begin()) return nullptr;
  --next;
  size_t offset = static_cast<size_t>(first - next->first);
  return offset <= next->second.bytes && bytes <= next->second.bytes - offset ? &next->second : nullptr;
}

inline void *pointer(CUdeviceptr at) { return reinterpret_cast<void *>(static_cast<uintptr_t>(at)); }

// ---- streams --------------------------------------------------------------------------------------------------------

inline void run_one(CUstream stream) {
  work next = std::move(stream->waiting.front());
  stream->waiting.pop_front();
  stream->done = next.ticket;
  if (stream->context->error) return;
  stream->context->error = next.run();
}

inline void run_to(CUstream stream, unsigned long long ticket) {
  while (!stream->waiting.empty() && stream->waiting.front().ticket <= ticket) run_one(stream);
}

inline void run_all(CUcontext context) {
  for (const auto &each : state().streams) {
    if (each.first->context == context) run_to(each.first, each.first->given);
  }
}

inline bool is_recording(std::thread::id thread) {
  for (const auto &each : state().streams) {
    if (each.first->capturing && each.first->recorder == thread) return true;
  }
  return false;
}

// Calls that a recording thread must not make; they spoil the recording.
inline CUresult refuse_recording(const char *entry) {
  if (!is_recording(std::this_thread::get_id())) return CUDA_SUCCESS;
  violation("%s was called while a graph was recorded", entry);
  for (const auto &each : state().streams) {
    if (each.first->capturing) each.first->invalidated = true;
  }
  return CAPTURE_UNSUPPORTED;
}

inline CUresult check_stream(CUstream stream, const char *entry) {
  if (!is_alive(stream, "stream", entry)) return INVALID_HANDLE;
  if (stream->context == current()) return CUDA_SUCCESS;
  violation("%s was given a stream of another context", entry);
  return INVALID_HANDLE;
}
}  // namespace standin

// The declarations of driver_api.h hold for the definitions here.
#pragma GCC visibility push(default)
extern "C" {
#define DECLARED(name, plain, version, result, parameters) result name parameters;
KC_DRIVER(DECLARED)
}
#pragma GCC visibility pop

#define ENTER STANDIN_ENTRY(CUresult)
#define ENTER_CONTEXT \
  ENTER;              \
  if (CUresult broken = context_error(__func__)) return broken
#endif
