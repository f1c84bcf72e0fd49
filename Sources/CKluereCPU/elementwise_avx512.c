/* elementwise_avx512.c - the kernels for AVX-512 F, BW, DQ and VL. System headers come before the region with the
 * target attribute. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "elementwise.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#include "simd_avx512.h"

#include "elementwise_kernels.h"
#pragma clang attribute pop

const struct kk_elementwise_table kk_elementwise_avx512 = KK_ELEMENTWISE_TABLE;
#else
typedef int kk_no_avx512; /* a file may not be empty */
#endif
