/* engine_isa.c - which instruction sets this machine runs, and how many cores this process may use. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>

#include "include/kluere_cpu.h"

/* The compiler's run-time library also asks the operating system whether it saves the wide registers. */
int kk_isa_supported(int isa) {
  switch (isa) {
    case KK_ISA_AUTO:
    case KK_ISA_PLAIN:
      return 1;
#if defined(__x86_64__)
    case KK_ISA_AVX2:
      __builtin_cpu_init();
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case KK_ISA_AVX512:
      __builtin_cpu_init();
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
#endif
#if defined(__aarch64__)
    case KK_ISA_NEON:
      return 1; /* part of the base architecture */
#endif
    default:
      return 0;
  }
}

int kk_isa_best(void) {
  static const int order[] = {KK_ISA_AVX512, KK_ISA_AVX2, KK_ISA_NEON};
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
    if (kk_isa_supported(order[i])) return order[i];
  return KK_ISA_PLAIN;
}

const char *kk_isa_name(int isa) {
  switch (isa) {
    case KK_ISA_AUTO:
      return "auto";
    case KK_ISA_PLAIN:
      return "plain";
    case KK_ISA_AVX2:
      return "avx2";
    case KK_ISA_AVX512:
      return "avx512";
    case KK_ISA_NEON:
      return "neon";
    default:
      return "unknown";
  }
}

int kk_cpu_count(void) {
  /* The kernel refuses a set smaller than its own number of cores. */
  for (int cores = 1024; cores <= 65536; cores *= 4) {
    cpu_set_t *set = CPU_ALLOC(cores);
    if (!set) return 1;
    size_t bytes = CPU_ALLOC_SIZE(cores);
    int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return 1;
}
