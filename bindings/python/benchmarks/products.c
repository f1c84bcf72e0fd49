/* products.c - what bench_products.py needs beside kluere's own sources: the processor's rate of fused multiply-adds.
 * Compiled with -march=native. */
#include <time.h>

#ifdef __AVX512F__
typedef float vector __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef float vector __attribute__((vector_size(32)));
#else
typedef float vector __attribute__((vector_size(16)));
#endif

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GFLOP/s of one thread: ten sums that do not wait for each other. */
double fma_rate(long rounds) {
  enum { SUMS = 10, LANES = sizeof(vector) / sizeof(float) };
  vector sum[SUMS], x, y;
  for (int i = 0; i < SUMS; i++)
    for (int lane = 0; lane < LANES; lane++) sum[i][lane] = 1.0f;
  for (int lane = 0; lane < LANES; lane++) x[lane] = 0.9999f, y[lane] = 1e-3f;
  double begun = now();
  for (long round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < SUMS; i++) sum[i] = __builtin_elementwise_fma(sum[i], x, y);
    __asm__ volatile("" : "+m"(y)); /* one round after the other */
  }
  double seconds = now() - begun;
  volatile float sink = 0;
  for (int i = 0; i < SUMS; i++) sink = sink + sum[i][0];
  return 2.0 * SUMS * LANES * (double)rounds / seconds * 1e-9;
}
