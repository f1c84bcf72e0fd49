/* device.c - opening a device, its errors, and what encloses each call. */
#include "device.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OLDEST_DRIVER = 12000, OLDEST_CHIP = 70 };

/* The process that initialised the driver. A child made by fork inherits the mark, and not the driver. */
static atomic_int initialised_in;

/* ---- errors ------------------------------------------------------------------------------------------------------ */

int kc_fail(kc_device *device, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(device->error, sizeof device->error, format, arguments);
  va_end(arguments);
  kc_text_one_line(device->error);
  if (status == KC_LOST) device->lost = 1;
  if (device->capturing) device->capture_failed = 1;
  return status;
}

/* After these the context answers every call with the same error, in every library of the process. */
static int is_sticky(CUresult result) {
  switch (result) {
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_INVALID_CONTEXT:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_MPS_CLIENT_TERMINATED: return 1;
    default: return 0;
  }
}

static void describe_result(const kc_driver *cu, CUresult result, char *line, size_t capacity) {
  const char *name = NULL, *words = NULL;
  if (cu->cuGetErrorName(result, &name) != CUDA_SUCCESS || !name) name = "unknown error";
  if (cu->cuGetErrorString(result, &words) != CUDA_SUCCESS || !words) words = "no description";
  snprintf(line, capacity, "%s (%s, %d)", words, name, (int)result);
}

int kc_check(kc_device *device, CUresult result, const char *call) {
  if (result == CUDA_SUCCESS) return KC_OK;
  char line[256];
  describe_result(&device->cu, result, line, sizeof line);
  if (is_sticky(result)) {
    return kc_fail(device, KC_LOST, "the CUDA device is lost, restart the process: %s: %s", call, line);
  }
  return kc_fail(device, result == CUDA_ERROR_OUT_OF_MEMORY ? KC_OUT_OF_MEMORY : KC_FAILED, "%s: %s", call, line);
}

int kc_refuse_capture(kc_device *device, const char *what) {
  if (!device->capturing) return KC_OK;
  return kc_fail(device, KC_FAILED, "%s is not possible while a graph is recorded", what);
}

const char *kc_error(const kc_device *device) { return device ? device->error : ""; }

/* ---- around each call -------------------------------------------------------------------------------------------- */

int kc_enter(kc_device *device) {
  if (!device) return KC_FAILED;
  if (device->lost) return KC_LOST; /* the message stays that of the first error */
  if (device->pid != (int)getpid()) {
    return kc_fail(device, KC_FORKED, "the process was forked after the CUDA device was opened; open it in the child");
  }
  device->error[0] = 0;
  return kc_check(device, device->cu.cuCtxPushCurrent_v2(device->context), "cuCtxPushCurrent");
}

int kc_leave(kc_device *device, int status) {
  CUcontext popped = NULL;
  CUresult result = device->cu.cuCtxPopCurrent_v2(&popped);
  if (status != KC_OK) return status;
  return kc_check(device, result, "cuCtxPopCurrent");
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Initialises the driver; *count: its devices. */
static int start_driver(kc_driver *cu, const char *folder, int *count, kc_text *message) {
  int pid = (int)getpid(), before = atomic_load(&initialised_in), version = 0;
  char line[256];
  if (before != 0 && before != pid) {
    kc_text_add(message, "the process was forked after CUDA was used; CUDA cannot be used in the child");
    return KC_FORKED;
  }
  int status = kc_load_driver(cu, folder, message);
  if (status != KC_OK) return status;
  CUresult result = cu->cuDriverGetVersion(&version);
  if (result == CUDA_SUCCESS && version < OLDEST_DRIVER) {
    kc_text_add(message, "the NVIDIA driver supports CUDA %d.%d; %d.%d or newer is needed", version / 1000,
                version % 1000 / 10, OLDEST_DRIVER / 1000, OLDEST_DRIVER % 1000 / 10);
    return KC_UNSUPPORTED;
  }
  if (result == CUDA_SUCCESS) result = cu->cuInit(0);
  if (result == CUDA_SUCCESS) {
    atomic_store(&initialised_in, pid);
    result = cu->cuDeviceGetCount(count);
  }
  if (result == CUDA_SUCCESS && *count > 0) return KC_OK;
  if (result == CUDA_SUCCESS || result == CUDA_ERROR_NO_DEVICE) {
    kc_text_add(message, "the NVIDIA driver (CUDA %d.%d) finds no device", version / 1000, version % 1000 / 10);
    return KC_UNSUPPORTED;
  }
  describe_result(cu, result, line, sizeof line);
  if (result == CUDA_ERROR_NOT_INITIALIZED) {
    kc_text_add(message, "CUDA was used before the process was forked: %s", line);
    return KC_FORKED;
  }
  kc_text_add(message, "the NVIDIA driver cannot be initialised: %s", line);
  return KC_UNSUPPORTED;
}

int kc_count(char *message, size_t capacity) {
  char line[KC_MESSAGE] = "";
  kc_text text = {line, sizeof line, 0};
  kc_driver cu;
  int count = 0;
  int status = start_driver(&cu, NULL, &count, &text);
  kc_text_one_line(line);
  if (message && capacity) snprintf(message, capacity, "%s", line);
  return status == KC_OK ? count : 0;
}

static int attribute(kc_device *device, CUdevice_attribute which, int *value) {
  return kc_check(device, device->cu.cuDeviceGetAttribute(value, which, device->handle), "cuDeviceGetAttribute");
}

static int read_facts(kc_device *device) {
  kc_info *info = &device->info;
  size_t total = 0;
  int multiprocessors = 0, major = 0, minor = 0;
  int status = kc_check(device, device->cu.cuDeviceGet(&device->handle, device->ordinal), "cuDeviceGet");
  if (!status) {
    status =
        kc_check(device, device->cu.cuDeviceGetName(info->name, sizeof info->name, device->handle), "cuDeviceGetName");
  }
  info->name[sizeof info->name - 1] = 0;
  if (!status) status = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major);
  if (!status) status = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor);
  if (!status) status = attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &multiprocessors);
  if (!status) {
    status = attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &device->shared_optin);
  }
  if (!status) status = kc_check(device, device->cu.cuDeviceTotalMem_v2(&total, device->handle), "cuDeviceTotalMem");
  if (!status) {
    status = kc_check(device, device->cu.cuDriverGetVersion(&info->driver_version), "cuDriverGetVersion");
  }
  if (status) return status;
  info->major = major;
  info->minor = minor;
  info->multiprocessors = multiprocessors;
  info->memory_total = total;
  device->architecture = major * 10 + minor;
  info->f16 = device->architecture >= OLDEST_CHIP;
  info->bf16 = device->architecture >= 80;
  if (device->architecture < OLDEST_CHIP) {
    return kc_fail(device, KC_UNSUPPORTED, "%s has compute capability %d.%d; %d.%d or newer is needed", info->name,
                   major, minor, OLDEST_CHIP / 10, OLDEST_CHIP % 10);
  }
  return KC_OK;
}

static int load_libraries(kc_device *device, const char *folder) {
  char line[KC_MESSAGE] = "";
  kc_text tried = {line, sizeof line, 0};
  /* CUDA 13 libraries need its driver, and know no chip before Turing. */
  int newest = device->info.driver_version >= 13000 && device->architecture >= 75 ? 13 : 12;
  int status = kc_load_cublas(&device->lt, folder, newest, &tried);
  if (status == KC_OK) status = kc_load_nvrtc(&device->rtc, folder, newest, device->architecture, &tried);
  if (status != KC_OK) return kc_fail(device, status, "%s", line);
  device->info.cublas_version = device->lt.cublasLtGetVersion();
  if (device->rtc.nvrtcVersion(&device->nvrtc_major, &device->nvrtc_minor) != NVRTC_SUCCESS) {
    return kc_fail(device, KC_FAILED, "libnvrtc does not tell its version");
  }
  return KC_OK;
}

/* With the context current. */
static int open_parts(kc_device *device) {
  int status = kc_check(device, device->cu.cuStreamCreate(&device->stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  if (!status) status = kc_staging_open(device);
  if (!status) status = kc_gemm_open(device);
  return status;
}

static int open_device(kc_device *device, const char *libraries, const char *cache) {
  char line[KC_MESSAGE] = "";
  kc_text message = {line, sizeof line, 0};
  int count = 0;
  int status = start_driver(&device->cu, libraries, &count, &message);
  if (status != KC_OK) return kc_fail(device, status, "%s", line);
  if (device->ordinal < 0 || device->ordinal >= count) {
    return kc_fail(device, KC_UNSUPPORTED, "there is no CUDA device %d; the driver has %d, counted from 0",
                   device->ordinal, count);
  }
  status = read_facts(device);
  if (!status) status = load_libraries(device, libraries);
  if (!status) {
    status = kc_check(device, device->cu.cuDevicePrimaryCtxRetain(&device->context, device->handle),
                      "cuDevicePrimaryCtxRetain");
    if (status) device->context = NULL;
  }
  if (status) return status;
  device->cache = kc_cache_folder(cache);
  status = kc_enter(device);
  if (status) return status;
  return kc_leave(device, open_parts(device));
}

int kc_open(int ordinal, const char *libraries, const char *cache, kc_device **out, char *message, size_t capacity) {
  if (message && capacity) message[0] = 0;
  *out = NULL;
  kc_device *device = calloc(1, sizeof *device);
  if (!device) {
    if (message && capacity) snprintf(message, capacity, "no memory for a CUDA device");
    return KC_OUT_OF_MEMORY;
  }
  device->ordinal = ordinal;
  device->pid = (int)getpid();
  int status = open_device(device, libraries, cache);
  if (status == KC_OK) {
    *out = device;
    return KC_OK;
  }
  if (message && capacity) snprintf(message, capacity, "%s", device->error);
  kc_close(device);
  return status;
}

void kc_close(kc_device *device) {
  if (!device) return;
  int reachable = !device->lost && device->context && device->pid == (int)getpid();
  if (reachable && device->cu.cuCtxPushCurrent_v2(device->context) == CUDA_SUCCESS) {
    CUcontext popped;
    if (device->capturing) {
      CUgraph graph = NULL;
      device->cu.cuStreamEndCapture(device->stream, &graph);
      if (graph) device->cu.cuGraphDestroy(graph);
      device->capturing = 0;
    }
    if (device->stream) device->cu.cuStreamSynchronize(device->stream);
    kc_graphs_close(device);
    kc_gemm_close(device);
    kc_modules_close(device);
    kc_memory_close(device);
    if (device->stream) device->cu.cuStreamDestroy_v2(device->stream);
    device->cu.cuCtxPopCurrent_v2(&popped);
    device->cu.cuDevicePrimaryCtxRelease_v2(device->handle);
  } else {
    if (reachable) device->cu.cuDevicePrimaryCtxRelease_v2(device->handle);
    device->lost = 1; /* the parts below free host memory alone */
    kc_graphs_close(device);
    kc_gemm_close(device);
    kc_memory_close(device);
  }
  free(device->cache);
  free(device);
}

/* ---- facts ------------------------------------------------------------------------------------------------------- */

int kc_describe(const kc_device *device, kc_info *info) {
  if (!device || !info) return KC_FAILED;
  *info = device->info;
  return KC_OK;
}

int kc_multiprocessors(const kc_device *device) { return device->info.multiprocessors; }
int kc_compute_capability(const kc_device *device) { return device->architecture; }

int kc_memory_free(kc_device *device, uint64_t *bytes) {
  size_t free_bytes = 0, total = 0;
  int status = kc_enter(device);
  if (status) return status;
  status = kc_check(device, device->cu.cuMemGetInfo_v2(&free_bytes, &total), "cuMemGetInfo");
  *bytes = free_bytes;
  return kc_leave(device, status);
}

int kc_synchronize(kc_device *device) {
  int status = kc_enter(device);
  if (status) return status;
  status = kc_refuse_capture(device, "waiting");
  if (!status) status = kc_check(device, device->cu.cuStreamSynchronize(device->stream), "cuStreamSynchronize");
  return kc_leave(device, status);
}
