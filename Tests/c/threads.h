/* What the parts of threads.c share. */
#ifndef THREADS_H
#define THREADS_H
#include "fixture.h"

#include <pthread.h>

enum { THREADS = 8 };

/* check.c counts without locks: workers count for themselves. */
struct worker {
  pthread_t thread;
  struct fixture *fixture;
  int number;
  int wrong;
};

/* Runs body in THREADS threads, meanwhile (may be NULL) in this one, and checks that none of them found anything wrong. */
void together(struct fixture *fixture, void *(*body)(void *), void (*meanwhile)(void));
void queue_threads(struct fixture *fixture);

#endif
