/* elementwise_avx2.c - the kernels for AVX2 and FMA. System headers stand before the target attribute. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "elementwise.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "simd_avx2.h"

#include "elementwise_kernels.h"
#pragma clang attribute pop

const struct kk_elementwise_table kk_elementwise_avx2 = KK_ELEMENTWISE_TABLE;
#else
typedef int kk_no_avx2; /* a file may not be empty */
#endif
