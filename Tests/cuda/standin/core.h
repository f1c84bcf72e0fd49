// core.h - what the three stand-in libraries share; it is in libcuda.so.1, which the two others link.
#ifndef STANDIN_CORE_H
#define STANDIN_CORE_H
#include <functional>
#include <mutex>
#include <string>

extern "C" {
#include "driver_api.h"
}
#include "standin.h"

#pragma GCC visibility push(default)
namespace standin {
// One at a time: the order of calls is what is tested, not their overlap.
std::recursive_mutex &lock();
// Counts the call; 0, or the error that the test wants here.
int entered(const char *entry);
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
long long setting(const char *what);

// Handles: a destroyed one, or one of another kind, is a violation.
void created(const void *handle, const char *kind);
void destroyed(const void *handle, const char *kind);
bool is_alive(const void *handle, const char *kind, const char *entry);

// Whether these bytes lie in one living allocation of a device.
bool is_device_memory(const void *at, size_t bytes);
// The current context's error, or 0; a call without a context is a violation and gives 201.
CUresult context_error(const char *entry);
// Runs work when the stream comes to it; recorded instead while the stream is captured. work gives a CUresult, which
// sticks.
CUresult enqueue(CUstream stream, const char *entry, std::function<CUresult()> work);
}  // namespace standin
#pragma GCC visibility pop

#define STANDIN_ENTRY(type) \
  std::lock_guard<std::recursive_mutex> guard(standin::lock()); \
  if (int wanted = standin::entered(__func__)) return static_cast<type>(wanted)
#endif
