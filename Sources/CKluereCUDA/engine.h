/* engine.h - what the operations (attention.c, norm.c, ...) need of the host side (device.c, modules.c, ...). Internal.
 * */
#ifndef KLUERE_CUDA_ENGINE_H
#define KLUERE_CUDA_ENGINE_H
#include "include/kluere_cuda.h"
#include "kernels/kernel_list.h"

/* Every public call is enclosed: refuses a lost or forked device, makes the context current, and back.
 *   int kc_x(...) { int status = kc_enter(device); if (status) return status; ...; return kc_leave(device, status); }
 * */
int kc_enter(kc_device *device);
int kc_leave(kc_device *device, int status);

/* Launches kernel KC_K_<name> (kernel_list.h) on the device's stream; parameters is the one struct that the kernel
 * takes. Compiles and loads its module at first use. KC_UNSUPPORTED if this chip has no such kernel (bf16 on sm_70 and
 * sm_75). */
typedef struct kc_grid {
  unsigned x, y, z;
} kc_grid;
int kc_launch(kc_device *device, int kernel, kc_grid grid, unsigned threads, unsigned shared_bytes,
              const void *parameters, size_t parameter_bytes);

/* Compiles or loads every module and looks up every kernel; one that this chip does not have is no error. */
int kc_load_kernels(kc_device *device);

/* Device memory for one operation's partial results, at least bytes, 256-byte aligned, content undefined; each
 * operation may ask once. Only grows; never during a capture. */
int kc_scratch(kc_device *device, size_t bytes, void **out);

/* Notes the message and returns status; longer lines are cut. */
int kc_fail(kc_device *device, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

int kc_multiprocessors(const kc_device *device);
int kc_compute_capability(const kc_device *device); /* 90 for 9.0 */
static inline size_t kc_type_bytes(int type) { return type == KC_F32 || type == KC_TF32 ? 4 : 2; }
static inline int kc_is_half(int type) { return type == KC_BF16 || type == KC_F16; }

/* gemm.c: c [m, n] = alpha op(a) op(b) + beta c, row-major, sums in fp32. a_type is b's too; c_type is a's or KC_F32.
 * bias: NULL, or [n] of c_type, added to each row. transposed: a is stored [k, m], b is stored [n, k]. */
typedef struct kc_gemm {
  void *c;
  const void *a, *b, *bias;
  size_t m, n, k;
  int a_type, c_type, a_transposed, b_transposed;
  float beta;
} kc_gemm;
int kc_multiply(kc_device *device, const kc_gemm *product);
#endif
