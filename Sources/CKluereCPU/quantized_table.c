/* quantized_table.c - which table belongs to an instruction set on this machine. */
#include "quantized.h"

const struct kk_quantized_table *kk_quantized_table_for(int isa) {
  switch (isa) {
#if defined(__x86_64__)
    case KK_ISA_AVX2:
      __builtin_cpu_init();
      if (!__builtin_cpu_supports("f16c")) return &kk_quantized_plain;
      return __builtin_cpu_supports("avxvnni") ? &kk_quantized_avx2_vnni : &kk_quantized_avx2;
    case KK_ISA_AVX512:
      __builtin_cpu_init();
      return __builtin_cpu_supports("avx512vnni") ? &kk_quantized_avx512_vnni : &kk_quantized_avx512;
#endif
#if defined(__aarch64__)
    case KK_ISA_NEON:
      return &kk_quantized_neon;
#endif
    case KK_ISA_PLAIN:
      return &kk_quantized_plain;
    default:
      return NULL;
  }
}
