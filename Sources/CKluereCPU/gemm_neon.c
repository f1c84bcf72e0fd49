/* gemm_neon.c - the product for 64-bit Arm: 24 sums, 4 vectors of b, and the row's value in 32 registers. */
#if defined(__aarch64__)
#include "simd_neon.h"

#define KK_GEMM_HEIGHT 6
#define KK_GEMM_VECTORS 4
#define KK_GEMM_RESIDENT 32
#include "gemm_kernel.h"

const struct kk_gemm_table kk_gemm_neon = KK_GEMM_TABLE;
#else
typedef int kk_no_gemm_neon; /* a file may not be empty */
#endif
