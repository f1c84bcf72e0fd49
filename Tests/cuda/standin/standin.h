// standin.h - a driver without a GPU, for tests. libcuda.so.1, libcublasLt and libnvrtc of this folder answer the same
// calls as NVIDIA's; device memory is host memory, kernels run in the emulation, and work waits in its stream until
// something waits for it, so that a source or a buffer reused too early shows in the results. What a real driver leaves
// undefined is written down as a violation.
//
// Tests steer it through the functions below (dlsym in libcuda.so.1), or the environment before it is loaded:
//   STANDIN="driver=12040,devices=2,memory=1000000,fail=cuMemAlloc_v2:3:2"
#ifndef STANDIN_H
#define STANDIN_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
// The nth call from now (1: the next) of this entry point gives the error and does nothing. "cuModuleLoadData",
// "nvrtcGetCUBIN", ...
void standin_fail(const char *entry, long nth, int error);
// Forgets standin_fail and makes lost contexts good again.
void standin_clear(void);
// "driver": its version, 13000. "devices": 2. "capability": of all devices, 90. "memory": bytes of a device.
// "sticky_after": launches until one gives "sticky_error". "exact_shapes": 1: cublasLt algorithms work for the very
// shape they were asked for, no other. "builtins": 1: NVRTC needs its second library opened before. "nvrtc_oldest",
// "nvrtc_newest": architectures it compiles for. 0 on success.
int standin_set(const char *what, long long value);
// How often it was called, refused calls too.
long standin_calls(const char *entry);
// Number of broken rules so far; text: the first of them, a line each.
long standin_violations(char *text, size_t capacity);
// Number of handles and allocations that live now; text: how many of which kind.
long standin_live(char *text, size_t capacity);
#ifdef __cplusplus
}
#endif
#endif
