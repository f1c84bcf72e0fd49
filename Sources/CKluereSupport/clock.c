#define _GNU_SOURCE
#include "kluere_support.h"

#include <time.h>
#include <unistd.h>

double ks_now_seconds(void) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int ks_process_id(void) { return (int)getpid(); }
