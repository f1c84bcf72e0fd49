/* elementwise_neon.c - the kernels for AArch64, where Advanced SIMD is always there. */
#if defined(__aarch64__)
#include "simd_neon.h"

#include "elementwise_kernels.h"

const struct kk_elementwise_table kk_elementwise_neon = KK_ELEMENTWISE_TABLE;
#else
typedef int kk_no_neon; /* a file may not be empty */
#endif
