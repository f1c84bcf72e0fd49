/* quantized_avx512_bytes.c - the table `bytes` for AVX-512 without VNNI: vpmaddubsw. System headers come before the region
 * with the target attribute. */
#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "quantized.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#include "simd_avx512.h"

#define KK_QUANTIZED_HEIGHT 6
#define KK_QUANTIZED_VECTORS 2
#define KK_PANEL (2 * KK_WIDTH)
#define KK_HALF(name) name##_avx512
#define KK_HALF_ELSEWHERE
#define KK_QUANTIZED_GROUP 4
#define KK_QUANTIZED_UNIT 2
#include "quantized_x86.h"
#include "quantized_kernel.h"
#pragma clang attribute pop

const struct kk_quantized_table kk_quantized_avx512_bytes = KK_QUANTIZED_TABLE;
#else
typedef int kk_no_quantized_avx512_bytes; /* a file may not be empty */
#endif
