/* elementwise_table.c - which table belongs to an instruction set. */
#include "elementwise.h"

const struct kk_elementwise_table *kk_elementwise_table_for(int isa) {
  switch (isa) {
    case KK_ISA_PLAIN:
      return &kk_elementwise_plain;
#if defined(__x86_64__)
    case KK_ISA_AVX2:
      return &kk_elementwise_avx2;
    case KK_ISA_AVX512:
      return &kk_elementwise_avx512;
#endif
#if defined(__aarch64__)
    case KK_ISA_NEON:
      return &kk_elementwise_neon;
#endif
    default:
      return NULL;
  }
}
