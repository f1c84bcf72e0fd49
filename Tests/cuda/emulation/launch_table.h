/* launch_table.h - every kernel of kernel_list.h by name, to be run by the emulation. For the tests of the kernels and
 * for the stand-in driver (cuLaunchKernel with the parameter struct's bytes). C and C++. */
#ifndef KLUERE_LAUNCH_TABLE_H
#define KLUERE_LAUNCH_TABLE_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct kc_emulated_kernel {
  const char *name, *file; /* file: without .cu */
  size_t parameter_bytes;
  unsigned max_threads;
  void (*body)(const void *parameters);
} kc_emulated_kernel;

/* NULL if there is none. */
const kc_emulated_kernel *kc_emulated_find(const char *name);
/* Number i of KC_K_*; NULL past the end. */
const kc_emulated_kernel *kc_emulated_at(int i);

/* Runs all blocks. What a driver would refuse (too many threads, too much shared memory, a grid that is too large,
 * another number of parameter bytes) is not run and gives a message; NULL otherwise. seed 0: threads in their order. */
const char *kc_emulated_launch(const kc_emulated_kernel *kernel, const unsigned grid[3], const unsigned block[3],
                               size_t shared_bytes, const void *parameters, size_t parameter_bytes, uint64_t seed);

/* The barriers that ran so far, in no order: "file:line kernel". */
size_t kc_emulated_barriers(char (*names)[160], size_t capacity);
/* This barrier does nothing from now on; NULL: all work. */
void kc_emulated_drop(const char *name);
#ifdef __cplusplus
}
#endif
#endif
