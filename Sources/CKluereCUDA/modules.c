/* modules.c - kernels: compiled for the present chip, kept on disk, loaded at first use, launched. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct named_kernel {
  const char *file, *name;
} named_kernel;

#define NAMED(file, name) {#file ".cu", #name},
static const named_kernel kernel_names[] = {KC_KERNELS(NAMED)};

static int is_unit(const kc_source *source) {
  size_t length = strlen(source->name);
  return length > 3 && strcmp(source->name + length - 3, ".cu") == 0;
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

enum { OPTIONS = 2 };
static const char standard[] = "--std=c++17";

static void architecture_option(const kc_device *device, char option[64]) {
  snprintf(option, 64, "--gpu-architecture=sm_%d", device->architecture);
}

/* Everything that the result depends on. */
static void cache_key(const kc_device *device, const char *file, unsigned char key[32]) {
  char option[64], versions[64];
  architecture_option(device, option);
  snprintf(versions, sizeof versions, "cubin 1, nvrtc %d.%d", device->nvrtc_major, device->nvrtc_minor);
  const char *parts[] = {versions, option, standard, file};
  kc_sha256 sha;
  kc_sha256_start(&sha);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) kc_sha256_add(&sha, parts[i], strlen(parts[i]) + 1);
  for (size_t i = 0; i < kc_source_count; i++) {
    kc_sha256_add(&sha, kc_sources[i].name, strlen(kc_sources[i].name) + 1);
    kc_sha256_add(&sha, kc_sources[i].text, strlen(kc_sources[i].text) + 1);
  }
  kc_sha256_finish(&sha, key);
}

static int compiler_error(kc_device *device, nvrtcProgram program, nvrtcResult result, const char *file) {
  const char *words = device->rtc.nvrtcGetErrorString(result);
  size_t size = 0;
  char *log = NULL;
  if (result == NVRTC_ERROR_COMPILATION || result == NVRTC_ERROR_BUILTIN_OPERATION_FAILURE) {
    if (device->rtc.nvrtcGetProgramLogSize(program, &size) == NVRTC_SUCCESS && size > 1) log = calloc(1, size + 1);
    if (log && device->rtc.nvrtcGetProgramLog(program, log) != NVRTC_SUCCESS) log[0] = 0;
  }
  int status = kc_fail(device, KC_FAILED, "libnvrtc %d.%d does not compile %s for sm_%d: %s%s%.1000s",
                       device->nvrtc_major, device->nvrtc_minor, file, device->architecture,
                       words ? words : "unknown error", log && log[0] ? ": " : "", log ? log : "");
  free(log);
  return status;
}

static int take_image(kc_device *device, nvrtcProgram program, const char *file, void **image, size_t *bytes) {
  nvrtcResult result = device->rtc.nvrtcGetCUBINSize(program, bytes);
  if (result != NVRTC_SUCCESS) return compiler_error(device, program, result, file);
  char *buffer = *bytes > 0 ? malloc(*bytes) : NULL;
  if (!buffer) return kc_fail(device, KC_OUT_OF_MEMORY, "no memory for the compiled %s (%zu bytes)", file, *bytes);
  result = device->rtc.nvrtcGetCUBIN(program, buffer);
  if (result != NVRTC_SUCCESS) {
    free(buffer);
    return compiler_error(device, program, result, file);
  }
  *image = buffer;
  return KC_OK;
}

static int compile(kc_device *device, const kc_source *source, void **image, size_t *bytes) {
  const char *texts[KC_FILE_LIMIT], *names[KC_FILE_LIMIT];
  int headers = 0;
  for (size_t i = 0; i < kc_source_count; i++) {
    if (is_unit(&kc_sources[i])) continue;
    texts[headers] = kc_sources[i].text;
    names[headers++] = kc_sources[i].name;
  }
  char option[64];
  architecture_option(device, option);
  const char *const options[OPTIONS] = {option, standard};
  nvrtcProgram program = NULL;
  nvrtcResult result = device->rtc.nvrtcCreateProgram(&program, source->text, source->name, headers, texts, names);
  if (result != NVRTC_SUCCESS) return compiler_error(device, NULL, result, source->name);
  result = device->rtc.nvrtcCompileProgram(program, OPTIONS, options);
  int status = result == NVRTC_SUCCESS ? take_image(device, program, source->name, image, bytes)
                                       : compiler_error(device, program, result, source->name);
  device->rtc.nvrtcDestroyProgram(&program);
  return status;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int load_module(kc_device *device, size_t index) {
  const kc_source *source = &kc_sources[index];
  int status = kc_refuse_capture(device, "the first use of a kernel");
  if (status) return status;
  unsigned char key[32];
  size_t bytes;
  cache_key(device, source->name, key);
  void *image = kc_cache_read(device->cache, key, &bytes);
  if (image) {
    CUresult result = device->cu.cuModuleLoadData(&device->modules[index], image);
    free(image);
    if (result == CUDA_SUCCESS) return KC_OK;
    device->modules[index] = NULL;
    /* An image of this key that the driver does not take is replaced by a new one; anything else is no fault of it. */
    if (result != CUDA_ERROR_INVALID_IMAGE && result != CUDA_ERROR_NO_BINARY_FOR_GPU) {
      return kc_check(device, result, "cuModuleLoadData");
    }
  }
  status = compile(device, source, &image, &bytes);
  if (status) return status;
  status = kc_check(device, device->cu.cuModuleLoadData(&device->modules[index], image), "cuModuleLoadData");
  if (status) {
    device->modules[index] = NULL;
  } else {
    kc_cache_write(device->cache, key, image, bytes);
  }
  free(image);
  return status;
}

/* Finds the kernel's function; that there is none on this chip is kept, and no error here. */
static int load_kernel(kc_device *device, int kernel) {
  kc_kernel *entry = &device->kernels[kernel];
  const named_kernel *named = &kernel_names[kernel];
  if (entry->function || entry->absent) return KC_OK;
  size_t index = 0;
  while (index < kc_source_count && strcmp(kc_sources[index].name, named->file) != 0) index++;
  if (index == kc_source_count) return kc_fail(device, KC_FAILED, "there is no kernel file %s", named->file);
  int status = device->modules[index] ? KC_OK : load_module(device, index);
  if (status) return status;
  CUresult result = device->cu.cuModuleGetFunction(&entry->function, device->modules[index], named->name);
  if (result == CUDA_ERROR_NOT_FOUND) {
    entry->function = NULL;
    entry->absent = 1;
    return KC_OK;
  }
  status = kc_check(device, result, "cuModuleGetFunction");
  if (status) entry->function = NULL;
  return status;
}

int kc_load_kernels(kc_device *device) {
  int status = KC_OK;
  for (int kernel = 0; kernel < KC_KERNEL_COUNT && !status; kernel++) status = load_kernel(device, kernel);
  return status;
}

void kc_modules_close(kc_device *device) {
  for (size_t i = 0; i < kc_source_count; i++) {
    if (device->modules[i]) device->cu.cuModuleUnload(device->modules[i]);
  }
}

/* ---- launching --------------------------------------------------------------------------------------------------- */

/* More than 48 KiB of dynamic shared memory must be asked for, once per kernel. */
static int allow_shared(kc_device *device, kc_kernel *entry, unsigned bytes) {
  enum { ALWAYS = 48 << 10 };
  if (bytes <= ALWAYS || bytes <= entry->shared_limit) return KC_OK;
  if (bytes > (unsigned)device->shared_optin) {
    return kc_fail(device, KC_UNSUPPORTED, "a kernel needs %u bytes of shared memory; %s has %d", bytes,
                   device->info.name, device->shared_optin);
  }
  CUresult result =
      device->cu.cuFuncSetAttribute(entry->function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)bytes);
  if (result == CUDA_SUCCESS) entry->shared_limit = bytes;
  return kc_check(device, result, "cuFuncSetAttribute");
}

int kc_launch(kc_device *device, int kernel, kc_grid grid, unsigned threads, unsigned shared_bytes,
              const void *parameters, size_t parameter_bytes) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return KC_OK;
  int status = load_kernel(device, kernel);
  if (status) return status;
  kc_kernel *entry = &device->kernels[kernel];
  const char *name = kernel_names[kernel].name;
  if (entry->absent) return kc_fail(device, KC_UNSUPPORTED, "%s has no kernel %s", device->info.name, name);
  status = allow_shared(device, entry, shared_bytes);
  if (status) return status;
  /* By buffer and size, so that the driver compares the size with the kernel's own. It copies the bytes and writes
     none. */
  void *extra[] = {(void *)(uintptr_t)CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT, (void *)(uintptr_t)parameters,
                   (void *)(uintptr_t)CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT, &parameter_bytes,
                   (void *)(uintptr_t)CU_LAUNCH_PARAM_END_AS_INT};
  return kc_check(device,
                  device->cu.cuLaunchKernel(entry->function, grid.x, grid.y, grid.z, threads, 1, 1, shared_bytes,
                                            device->stream, NULL, extra),
                  name);
}
