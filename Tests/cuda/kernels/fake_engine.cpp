// fake_engine.cpp - what engine.h promises, on the CPU.
#include "fake_engine.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "launch_table.h"
#include "test_support.h"

kc_device::~kc_device() { std::free(scratch); }

// Calls are not nested: the engine's own may count on it.
extern "C" int kc_enter(kc_device *device) {
  if (device->entered++ != 0) return kc_fail(device, KC_FAILED, "a call inside a call");
  return KC_OK;
}

extern "C" int kc_leave(kc_device *device, int status) {
  device->entered--;
  return status;
}

extern "C" int kc_fail(kc_device *device, int status, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  device->message = line;
  return status;
}

extern "C" const char *kc_error(const kc_device *device) { return device->message.c_str(); }
extern "C" int kc_multiprocessors(const kc_device *device) { return device->multiprocessors; }
extern "C" int kc_compute_capability(const kc_device *device) { return device->capability; }

extern "C" int kc_launch(kc_device *device, int kernel, kc_grid grid, unsigned threads, unsigned shared_bytes,
                         const void *parameters, size_t parameter_bytes) {
  const kc_emulated_kernel *found = kc_emulated_at(kernel);
  const unsigned blocks[3] = {grid.x, grid.y, grid.z}, block[3] = {threads, 1, 1};
  device->launches++;
  const char *refused =
      kc_emulated_launch(found, blocks, block, shared_bytes, parameters, parameter_bytes, device->seed);
  if (refused) return kc_fail(device, KC_FAILED, "%s: %s", found->name, refused);
  return KC_OK;
}

// A block of its own for each call, so that a sanitizer sees what lies beyond; NaN.
extern "C" int kc_scratch(kc_device *device, size_t bytes, void **out) {
  std::free(device->scratch);
  device->scratch = nullptr;
  if (posix_memalign(&device->scratch, 256, bytes ? bytes : 1) != 0) return KC_OUT_OF_MEMORY;
  std::memset(device->scratch, 0xff, bytes);
  *out = device->scratch;
  return KC_OK;
}

extern "C" int kc_copy(kc_device *device, void *to, const void *from, size_t bytes) {
  int status = kc_enter(device);
  if (status == KC_OK) std::memmove(to, from, bytes);
  return kc_leave(device, status);
}

extern "C" int kc_load_kernels(kc_device *device) {
  return device->entered == 1 ? KC_OK : kc_fail(device, KC_FAILED, "kernels loaded outside a call");
}

extern "C" int kc_allocate(kc_device *, size_t bytes, void **out) {
  if (posix_memalign(out, 256, bytes) != 0) return KC_OUT_OF_MEMORY;
  std::memset(*out, 0, bytes);
  return KC_OK;
}
extern "C" void kc_free(kc_device *, void *memory) { std::free(memory); }

extern "C" int kc_copy_out(kc_device *device, void *host, const void *from, size_t bytes) {
  return kc_copy(device, host, from, bytes);
}

extern "C" int kc_multiply(kc_device *, const kc_gemm *g) {
  for (size_t i = 0; i < g->m; i++) {
    for (size_t j = 0; j < g->n; j++) {
      double sum = g->bias ? element(g->bias, g->c_type, j) : 0;
      for (size_t k = 0; k < g->k; k++)
        sum += element(g->a, g->a_type, g->a_transposed ? k * g->m + i : i * g->k + k) *
               element(g->b, g->a_type, g->b_transposed ? j * g->k + k : k * g->n + j);
      if (g->beta != 0) sum += (double)g->beta * element(g->c, g->c_type, i * g->n + j);
      set_element(g->c, g->c_type, i * g->n + j, sum);
    }
  }
  return KC_OK;
}
