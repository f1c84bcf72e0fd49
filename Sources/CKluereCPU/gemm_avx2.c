/* gemm_avx2.c - the product for AVX2 and FMA: 12 sums, 2 vectors of b, and the row's value in 16 registers. System
 * headers come before the region with the target attribute. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gemm.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "simd_avx2.h"

#define KK_GEMM_HEIGHT 6
#define KK_GEMM_VECTORS 2
#define KK_GEMM_RESIDENT 32
#include "gemm_kernel.h"
#pragma clang attribute pop

const struct kk_gemm_table kk_gemm_avx2 = KK_GEMM_TABLE;
#else
typedef int kk_no_gemm_avx2; /* a file may not be empty */
#endif
