/* memory.c - device memory, and copies between it and the host. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 };

/* ---- blocks of device memory ------------------------------------------------------------------------------------- */

/* Without zeroing. */
static int take(kc_device *device, size_t bytes, kc_block *out) {
  size_t rounded = bytes < ALIGNMENT ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  CUdeviceptr at = 0;
  size_t free_bytes = 0, total = device->info.memory_total;
  CUresult result = rounded < bytes ? CUDA_ERROR_OUT_OF_MEMORY : device->cu.cuMemAlloc_v2(&at, rounded);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    if (device->cu.cuMemGetInfo_v2(&free_bytes, &total) != CUDA_SUCCESS) free_bytes = 0;
    return kc_fail(device, KC_OUT_OF_MEMORY, "%s has no room for %zu bytes: %zu are free of %zu", device->info.name,
                   bytes, free_bytes, total);
  }
  int status = kc_check(device, result, "cuMemAlloc");
  if (status) return status;
  *out = (kc_block){at, rounded};
  return KC_OK;
}

static int remember(kc_device *device, kc_block block) {
  if (device->block_count == device->block_capacity) {
    size_t capacity = device->block_capacity ? device->block_capacity * 2 : 64;
    kc_block *blocks = realloc(device->blocks, capacity * sizeof *blocks);
    if (!blocks) return kc_fail(device, KC_OUT_OF_MEMORY, "no memory for the list of device memory");
    device->blocks = blocks;
    device->block_capacity = capacity;
  }
  device->blocks[device->block_count++] = block;
  return KC_OK;
}

static int allocate(kc_device *device, size_t bytes, void **out) {
  kc_block block;
  int status = kc_refuse_capture(device, "allocating");
  if (!status) status = take(device, bytes, &block);
  if (status) return status;
  status = kc_check(device, device->cu.cuMemsetD8Async(block.at, 0, block.bytes, device->stream), "cuMemsetD8Async");
  if (!status) status = remember(device, block);
  if (status) {
    if (!device->lost) device->cu.cuMemFree_v2(block.at);
    return status;
  }
  *out = (void *)(uintptr_t)block.at;
  return KC_OK;
}

int kc_allocate(kc_device *device, size_t bytes, void **out) {
  *out = NULL;
  int status = kc_enter(device);
  return status ? status : kc_leave(device, allocate(device, bytes, out));
}

/* The message of a failure before stays: freeing is what callers do after one. */
void kc_free(kc_device *device, void *memory) {
  char before[KC_MESSAGE];
  if (!device || !memory) return;
  memcpy(before, device->error, sizeof before);
  if (kc_enter(device)) return;
  int status = kc_refuse_capture(device, "freeing memory");
  for (size_t i = device->block_count; i > 0 && !status; i--) {
    kc_block *block = &device->blocks[i - 1];
    if (block->at != (CUdeviceptr)(uintptr_t)memory) continue;
    /* On an error the driver keeps it until the context ends; nobody can use it any more. */
    status = kc_check(device, device->cu.cuMemFree_v2(block->at), "cuMemFree");
    *block = device->blocks[--device->block_count];
    break;
  }
  if (kc_leave(device, status) == KC_OK) memcpy(device->error, before, sizeof before);
}

int kc_scratch(kc_device *device, size_t bytes, void **out) {
  *out = NULL;
  if (bytes > device->scratch.bytes) {
    int status = kc_refuse_capture(device, "more scratch memory");
    if (status) return status;
    kc_block grown, old = device->scratch;
    size_t wanted = bytes > old.bytes * 2 ? bytes : old.bytes * 2;
    status = take(device, wanted, &grown);
    if (status == KC_OUT_OF_MEMORY && wanted > bytes) status = take(device, bytes, &grown);
    if (status) return status;
    /* Recorded graphs hold the old address, so it lives as long as they may: until the device is closed. */
    if (old.at && device->graphs) {
      status = remember(device, old);
    } else if (old.at) {
      status = kc_check(device, device->cu.cuMemFree_v2(old.at), "cuMemFree"); /* waits for what still uses it */
    }
    device->scratch = grown;
    if (status) return status;
  }
  *out = (void *)(uintptr_t)device->scratch.at;
  return KC_OK;
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

int kc_staging_open(kc_device *device) {
  kc_staging *staging = &device->staging;
  void *pinned = NULL;
  int status =
      kc_check(device, device->cu.cuMemHostAlloc(&pinned, (size_t)KC_SEGMENTS * KC_SEGMENT_BYTES, 0), "cuMemHostAlloc");
  if (status) return status;
  staging->pinned = pinned;
  for (int i = 0; i < KC_SEGMENTS && !status; i++) {
    status = kc_check(device, device->cu.cuEventCreate(&staging->done[i], CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    if (status) staging->done[i] = NULL;
  }
  return status;
}

void kc_memory_close(kc_device *device) {
  kc_staging *staging = &device->staging;
  if (!device->lost) {
    for (size_t i = 0; i < device->block_count; i++) device->cu.cuMemFree_v2(device->blocks[i].at);
    if (device->scratch.at) device->cu.cuMemFree_v2(device->scratch.at);
    for (int i = 0; i < KC_SEGMENTS; i++) {
      if (staging->done[i]) device->cu.cuEventDestroy_v2(staging->done[i]);
    }
    if (staging->pinned) device->cu.cuMemFreeHost(staging->pinned);
  }
  free(device->blocks);
}

/* Goes on to the next segment, once the device has read what was there. */
static int next_segment(kc_device *device) {
  kc_staging *staging = &device->staging;
  int status =
      kc_check(device, device->cu.cuEventRecord(staging->done[staging->segment], device->stream), "cuEventRecord");
  if (status) return status;
  staging->recorded[staging->segment] = 1;
  int next = (staging->segment + 1) % KC_SEGMENTS;
  if (staging->recorded[next]) {
    status = kc_check(device, device->cu.cuEventSynchronize(staging->done[next]), "cuEventSynchronize");
    if (status) return status;
    staging->recorded[next] = 0;
  }
  staging->segment = next;
  staging->used = 0;
  return KC_OK;
}

static int copy_in(kc_device *device, CUdeviceptr to, const unsigned char *host, size_t bytes) {
  kc_staging *staging = &device->staging;
  int status = kc_refuse_capture(device, "copying from the host");
  while (bytes > 0 && !status) {
    if (staging->used == KC_SEGMENT_BYTES) status = next_segment(device);
    if (status) break;
    size_t room = KC_SEGMENT_BYTES - staging->used, part = bytes < room ? bytes : room;
    unsigned char *slot = staging->pinned + (size_t)staging->segment * KC_SEGMENT_BYTES + staging->used;
    memcpy(slot, host, part);
    status = kc_check(device, device->cu.cuMemcpyHtoDAsync_v2(to, slot, part, device->stream), "cuMemcpyHtoDAsync");
    /* Slots begin at multiples of 256 bytes; one that was refused is used up too: it may have been read in part. */
    size_t taken = (part + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    staging->used += taken < room ? taken : room;
    to += part;
    host += part;
    bytes -= part;
  }
  return status;
}

int kc_copy_in(kc_device *device, void *to, const void *host, size_t bytes) {
  int status = kc_enter(device);
  return status ? status : kc_leave(device, copy_in(device, (CUdeviceptr)(uintptr_t)to, host, bytes));
}

int kc_copy_out(kc_device *device, void *host, const void *from, size_t bytes) {
  int status = kc_enter(device);
  if (status) return status;
  status = kc_refuse_capture(device, "copying to the host");
  if (!status && bytes > 0) {
    status =
        kc_check(device, device->cu.cuMemcpyDtoHAsync_v2(host, (CUdeviceptr)(uintptr_t)from, bytes, device->stream),
                 "cuMemcpyDtoHAsync");
  }
  if (!status) status = kc_check(device, device->cu.cuStreamSynchronize(device->stream), "cuStreamSynchronize");
  return kc_leave(device, status);
}

int kc_copy(kc_device *device, void *to, const void *from, size_t bytes) {
  int status = kc_enter(device);
  if (status) return status;
  if (bytes > 0) {
    status = kc_check(device,
                      device->cu.cuMemcpyDtoDAsync_v2((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, bytes,
                                                      device->stream),
                      "cuMemcpyDtoDAsync");
  }
  return kc_leave(device, status);
}

int kc_zero(kc_device *device, void *memory, size_t bytes) {
  int status = kc_enter(device);
  if (status) return status;
  if (bytes > 0) {
    status = kc_check(device, device->cu.cuMemsetD8Async((CUdeviceptr)(uintptr_t)memory, 0, bytes, device->stream),
                      "cuMemsetD8Async");
  }
  return kc_leave(device, status);
}
