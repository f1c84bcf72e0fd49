/* elementwise_plain.c - the kernels for any machine. */
#include "simd_plain.h"

#include "elementwise_kernels.h"

const struct kk_elementwise_table kk_elementwise_plain = KK_ELEMENTWISE_TABLE;
