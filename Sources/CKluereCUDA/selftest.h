/* selftest.h - the comparison of kc_selftest, apart from a device. */
#ifndef KLUERE_CUDA_SELFTEST_H
#define KLUERE_CUDA_SELFTEST_H
#include <stddef.h>
#include <stdint.h>

/* How many sections a chip of this compute capability has (90 for 9.0). */
int kc_selftest_sections(int capability);
/* 0, or 1 and a message that names the first section that differs. */
int kc_selftest_check(const uint32_t *found, int count, char *message, size_t capacity);
#endif
