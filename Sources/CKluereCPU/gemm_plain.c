/* gemm_plain.c - the product in the compiler's vector extension: the reference for every machine. */
#include "simd_plain.h"

#define KK_GEMM_HEIGHT 6
#define KK_GEMM_VECTORS 2
#define KK_GEMM_RESIDENT 32
#include "gemm_kernel.h"

const struct kk_gemm_table kk_gemm_plain = KK_GEMM_TABLE;
