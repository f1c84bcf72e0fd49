// driver.cpp - libcuda.so.1: devices, contexts, memory, addresses of entry points.
#include "driver.h"

namespace standin {
bool is_device_memory(const void *at, size_t bytes) {
  const block *b = holder(at, bytes);
  return b && !b->pinned;
}

void heal_contexts() {
  for (CUctx_st &context : state().contexts) context.error = CUDA_SUCCESS;
  for (const auto &each : state().streams) each.first->capturing = false;
}

CUresult context_error(const char *entry) {
  if (!is_initialised()) {
    violation("%s was called before cuInit, or in a forked child", entry);
    return CUDA_ERROR_NOT_INITIALIZED;
  }
  if (!current()) {
    violation("%s was called without a context", entry);
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  return current()->error;
}

CUresult enqueue(CUstream stream, const char *entry, std::function<CUresult()> run) {
  CUresult error = check_stream(stream, entry);
  if (error) return error;
  if (stream->capturing) {
    if (stream->invalidated) return CAPTURE_INVALIDATED;
    stream->recorded.push_back(std::move(run));
    return CUDA_SUCCESS;
  }
  stream->waiting.push_back({++stream->given, std::move(run)});
  if (stream->waiting.size() > QUEUE) run_to(stream, stream->given - QUEUE / 2);
  return CUDA_SUCCESS;
}
}  // namespace standin

using namespace standin;

#pragma GCC visibility push(default)
extern "C" {
// ---- driver and devices ---------------------------------------------------------------------------------------------

CUresult cuInit(unsigned flags) {
  ENTER;
  if (flags) return INVALID_VALUE;
  int pid = static_cast<int>(getpid());
  if (state().initialised_in && state().initialised_in != pid) return CUDA_ERROR_NOT_INITIALIZED;
  if (setting("devices") == 0) return CUDA_ERROR_NO_DEVICE;
  state().initialised_in = pid;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
  ENTER;
  *version = static_cast<int>(setting("driver"));
  return CUDA_SUCCESS;
}

static const struct {
  int code;
  const char *name, *words;
} results[] = {
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

CUresult cuGetErrorName(CUresult error, const char **text) {
  ENTER;
  for (const auto &each : results) {
    if (each.code == error) return *text = each.name, CUDA_SUCCESS;
  }
  *text = nullptr;
  return INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  ENTER;
  for (const auto &each : results) {
    if (each.code == error) return *text = each.words, CUDA_SUCCESS;
  }
  *text = nullptr;
  return INVALID_VALUE;
}

static bool is_device(CUdevice device, const char *entry) {
  if (!is_initialised()) violation("%s was called before cuInit", entry);
  return device >= 0 && device < setting("devices") && device < DEVICES;
}

CUresult cuDeviceGetCount(int *count) {
  ENTER;
  *count = static_cast<int>(setting("devices"));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER;
  if (!is_device(ordinal, __func__)) return INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int capacity, CUdevice device) {
  ENTER;
  if (!is_device(device, __func__)) return INVALID_DEVICE;
  std::snprintf(name, static_cast<size_t>(capacity), "Stand-in %d", device);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  ENTER;
  if (!is_device(device, __func__)) return INVALID_DEVICE;
  int capability = static_cast<int>(setting("capability"));
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = capability % 10; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = capability >= 90 ? 232448 : 65536; break;
    default: return INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  ENTER;
  if (!is_device(device, __func__)) return INVALID_DEVICE;
  *bytes = device_memory();
  return CUDA_SUCCESS;
}

// A real libnvrtc 13 in the same process asks for it, and does without.
CUresult cuGetExportTable(const void **table, const void *) {
  ENTER;
  *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

// ---- contexts -------------------------------------------------------------------------------------------------------

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  ENTER;
  if (!is_initialised()) return CUDA_ERROR_NOT_INITIALIZED;
  if (!is_device(device, __func__)) return INVALID_DEVICE;
  CUcontext found = &state().contexts[device];
  found->device = device;
  if (found->references++ == 0) created(found, "context");
  *context = found;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  ENTER;
  CUcontext context = &state().contexts[device];
  if (context->references == 0) {
    violation("a context was released more often than retained");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  if (--context->references == 0) destroyed(context, "context");
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  ENTER;
  if (!is_alive(context, "context", __func__)) return CUDA_ERROR_INVALID_CONTEXT;
  stack().push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
  ENTER;
  if (stack().empty()) {
    violation("a context was popped, and none was pushed");
    return CUDA_ERROR_INVALID_CONTEXT;
  }
  *context = stack().back();
  stack().pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
  ENTER;
  *context = current();
  return CUDA_SUCCESS;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  ENTER_CONTEXT;
  size_t taken = used(current());
  *total = device_memory();
  *free_bytes = taken < *total ? *total - taken : 0;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes) {
  ENTER_CONTEXT;
  if (CUresult refused = refuse_recording(__func__)) return refused;
  if (bytes == 0) return INVALID_VALUE;
  size_t taken = used(current()), total = device_memory();
  if (taken > total || bytes > total - taken) return CUDA_ERROR_OUT_OF_MEMORY;
  unsigned char *memory = take(bytes, false);
  if (!memory) return CUDA_ERROR_OUT_OF_MEMORY;
  *at = reinterpret_cast<uintptr_t>(memory);
  return CUDA_SUCCESS;
}

static CUresult free_memory(void *at, const char *kind, const char *entry) {
  if (CUresult refused = refuse_recording(entry)) return refused;
  if (!is_alive(at, kind, entry)) return INVALID_VALUE;
  run_all(current());
  give_back(static_cast<unsigned char *>(at));
  return current()->error;
}

CUresult cuMemFree_v2(CUdeviceptr at) {
  ENTER_CONTEXT;
  return free_memory(pointer(at), "device memory", __func__);
}

CUresult cuMemHostAlloc(void **at, size_t bytes, unsigned flags) {
  ENTER_CONTEXT;
  if (CUresult refused = refuse_recording(__func__)) return refused;
  if (bytes == 0 || flags > 7) return INVALID_VALUE;
  *at = take(bytes, true);
  return *at ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFreeHost(void *at) {
  ENTER_CONTEXT;
  return free_memory(at, "pinned memory", __func__);
}

static bool is_target(CUdeviceptr at, size_t bytes, const char *entry) {
  if (is_device_memory(pointer(at), bytes)) return true;
  violation("%s: %zu bytes at %p are not all device memory", entry, bytes, pointer(at));
  return false;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_target(to, bytes, __func__)) return INVALID_VALUE;
  void *target = pointer(to);
  const block *source = holder(from, bytes);
  if (source && source->pinned) {
    return enqueue(stream, __func__, [=] { return std::memcpy(target, from, bytes), CUDA_SUCCESS; });
  }
  if (is_recording(std::this_thread::get_id())) violation("a copy from pageable memory was recorded");
  std::string bytes_now(static_cast<const char *>(from), bytes);
  return enqueue(stream, __func__, [=] { return std::memcpy(target, bytes_now.data(), bytes), CUDA_SUCCESS; });
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_target(from, bytes, __func__)) return INVALID_VALUE;
  void *source = pointer(from);
  return enqueue(stream, __func__, [=] { return std::memcpy(to, source, bytes), CUDA_SUCCESS; });
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_target(to, bytes, __func__) || !is_target(from, bytes, __func__)) return INVALID_VALUE;
  void *target = pointer(to), *source = pointer(from);
  return enqueue(stream, __func__, [=] { return std::memmove(target, source, bytes), CUDA_SUCCESS; });
}

CUresult cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (!is_target(at, bytes, __func__)) return INVALID_VALUE;
  void *target = pointer(at);
  return enqueue(stream, __func__, [=] { return std::memset(target, value, bytes), CUDA_SUCCESS; });
}

// ---- addresses ------------------------------------------------------------------------------------------------------

CUresult cuGetProcAddress_v2(const char *name, void **address, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *found) {
  ENTER;
  static const struct {
    const char *name;
    int version;
    void *address;
  } table[] = {
#define ROW(exported, plain, since, result, parameters) {plain, since, reinterpret_cast<void *>(&exported)},
      KC_DRIVER(ROW)};
  *address = nullptr;
  if (flags > 2) return INVALID_VALUE;
  for (const auto &row : table) {
    if (std::strcmp(row.name, name) != 0) continue;
    if (version < row.version) violation("%s was asked for as of CUDA %d, which has another form of it", name, version);
    *address = row.address;
    if (found) *found = CU_GET_PROC_ADDRESS_SUCCESS;
    return CUDA_SUCCESS;
  }
  if (found) *found = 1;
  return CUDA_ERROR_NOT_FOUND;
}
}  // extern "C"
#pragma GCC visibility pop
