// launches.cpp - libcuda.so.1: modules and kernels.
#include "driver.h"

using namespace standin;

#pragma GCC visibility push(default)
extern "C" {
// ---- modules and launches -------------------------------------------------------------------------------------------

// What the stand-in's NVRTC makes: "STANDIN-CUBIN <architecture> <file> <hash>\n".
CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  ENTER_CONTEXT;
  if (CUresult refused = refuse_recording(__func__)) return refused;
  int architecture;
  char file[64];
  unsigned long long hash;
  // An image has no length: like the driver, this reads as far as its format goes.
  if (std::memcmp(image, "STANDIN-CUBIN ", 14) != 0 ||
      std::sscanf(static_cast<const char *>(image) + 14, "%d %63s %llx", &architecture, file, &hash) != 3) {
    return CUDA_ERROR_INVALID_IMAGE;
  }
  if (architecture != setting("capability")) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  *module = new CUmod_st{current(), file, architecture, {}};
  created(*module, "module");
  return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule module) {
  ENTER_CONTEXT;
  if (!is_alive(module, "module", __func__)) return INVALID_HANDLE;
  run_all(current());
  for (const auto &each : module->functions) destroyed(each.second.get(), "function");
  destroyed(module, "module");
  delete module;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  ENTER_CONTEXT;
  if (!is_alive(module, "module", __func__)) return INVALID_HANDLE;
  const kc_emulated_kernel *kernel = kc_emulated_find(name);
  if (!kernel || module->file != std::string(kernel->file) + ".cu") return CUDA_ERROR_NOT_FOUND;
  if (module->architecture < 80 && std::strstr(name, "bf16")) return CUDA_ERROR_NOT_FOUND;
  auto &slot = module->functions[name];
  if (!slot) {
    slot.reset(new CUfunc_st{module, kernel, ALWAYS_SHARED});
    created(slot.get(), "function");
  }
  *function = slot.get();
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  ENTER_CONTEXT;
  if (!is_alive(function, "function", __func__)) return INVALID_HANDLE;
  int most = setting("capability") >= 90 ? 232448 : 65536;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > most) return INVALID_VALUE;
  function->shared_limit = static_cast<unsigned>(value);
  return CUDA_SUCCESS;
}

static CUresult run_kernel(const kc_emulated_kernel *kernel, const unsigned grid[3], unsigned threads, unsigned shared,
                           const std::string &parameters) {
  long long left = setting("sticky_after");
  if (left > 0) standin_set("sticky_after", left - 1);
  if (left == 1) return static_cast<CUresult>(setting("sticky_error"));
  alignas(16) unsigned char bytes[4096];
  std::memcpy(bytes, parameters.data(), parameters.size());
  const unsigned block[3] = {threads, 1, 1};
  // More than the emulation has is asked for by a test of the asking alone.
  if (shared > ALWAYS_SHARED) shared = ALWAYS_SHARED;
  const char *refused = kc_emulated_launch(kernel, grid, block, shared, bytes, parameters.size(), 0);
  if (!refused) return CUDA_SUCCESS;
  violation("kernel %s: %s", kernel->name, refused);
  return CUDA_ERROR_LAUNCH_FAILED;
}

CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads_x, unsigned threads_y,
                        unsigned threads_z, unsigned shared, CUstream stream, void **parameters, void **extra) {
  ENTER_CONTEXT;
  if (!is_alive(function, "function", __func__)) return INVALID_HANDLE;
  const kc_emulated_kernel *kernel = function->kernel;
  bool sizes = x && y && z && x <= 0x7fffffffu && y <= 65535 && z <= 65535 && threads_x &&
               threads_x <= kernel->max_threads && threads_y == 1 && threads_z == 1 && shared <= function->shared_limit;
  const void *buffer = nullptr;
  size_t bytes = 0;
  for (size_t i = 0; extra && extra[i] != nullptr; i += 2) {
    uintptr_t what = reinterpret_cast<uintptr_t>(extra[i]);
    if (what == CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT) buffer = extra[i + 1];
    if (what == CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT) bytes = *static_cast<size_t *>(extra[i + 1]);
  }
  if (!sizes || parameters || !buffer || bytes != kernel->parameter_bytes) {
    violation("launch of %s: grid %u %u %u, %u threads, %u bytes of shared memory, %zu of parameters; it takes %zu",
              kernel->name, x, y, z, threads_x, shared, bytes, kernel->parameter_bytes);
    return INVALID_VALUE;
  }
  std::string copy(static_cast<const char *>(buffer), bytes);
  return enqueue(stream, __func__, [=] {
    const unsigned grid[3] = {x, y, z};
    return run_kernel(kernel, grid, threads_x, shared, copy);
  });
}
}  // extern "C"
#pragma GCC visibility pop
