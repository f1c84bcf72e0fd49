/* gemm_avx512.c - the product for AVX-512 F, BW, DQ and VL: 28 sums, 2 vectors of b, and the row's value in 32
 * registers. System headers come before the region with the target attribute. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gemm.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#include "simd_avx512.h"

#define KK_GEMM_HEIGHT 14
#define KK_GEMM_VECTORS 2
#define KK_GEMM_RESIDENT 1
#include "gemm_kernel.h"
#pragma clang attribute pop

const struct kk_gemm_table kk_gemm_avx512 = KK_GEMM_TABLE;
#else
typedef int kk_no_gemm_avx512; /* a file may not be empty */
#endif
