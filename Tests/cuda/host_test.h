/* host_test.h - the tests of the CUDA target's host side: checks, and the stand-in driver's controls. Each case runs in
 * a process of its own, so that what it loads, and how it ends, is its own affair. */
#ifndef HOST_TEST_H
#define HOST_TEST_H
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "standin/standin.h"

#define CHECK(condition) check_holds(__FILE__, __LINE__, #condition, (condition) ? 1 : 0)
/* The status is expected, and a failure's line has the words. */
#define STATUS(expected, words, device, call) \
  do { \
    int status_ = (call); \
    check_status(__FILE__, __LINE__, #call, (expected), (words), status_, kc_error(device)); \
  } while (0)

void check_holds(const char *file, int line, const char *what, int holds);
void check_status(const char *file, int line, const char *what, int expected, const char *words, int got,
                  const char *message);

typedef struct test_case {
  const char *name;
  void (*run)(void);
} test_case;
extern const test_case loading_cases[], memory_cases[], cache_cases[], gemm_cases[], graph_cases[], process_cases[],
    fault_cases[];

/* The folder of the stand-in's libraries, and one that this process may write in. */
extern const char *standin_folder, *scratch_folder;
/* scratch/name, in static storage for the next 15 calls. */
const char *scratch(const char *name);

/* The stand-in's functions (standin.h); loads its libcuda. */
typedef struct standin_controls {
  void (*fail)(const char *entry, long nth, int error);
  void (*clear)(void);
  int (*set)(const char *what, long long value);
  long (*calls)(const char *entry);
  long (*violations)(char *text, size_t capacity);
  long (*live)(char *text, size_t capacity);
  int (*current)(CUcontext *context);
  int (*push)(CUcontext context);
  int (*pop)(CUcontext *context);
  int (*retain)(CUcontext *context, CUdevice device);
  int (*release)(CUdevice device);
} standin_controls;
const standin_controls *standin(void);
/* No rule of the driver was broken, and nothing of it is still held. */
void check_clean(int nothing_held);

/* A device from the stand-in, with its cache in scratch; ends the case if there is none. */
kc_device *opened(void);
/* x[0..count) = value, by a kernel. */
int fill(kc_device *device, void *x, float value, size_t count);
int multiply(kc_device *device, const kc_gemm *gemm);
/* device memory with these bytes. */
void *uploaded(kc_device *device, const void *host, size_t bytes);
/* Copies libraries of the stand-in to scratch/name, with the symbol's name spoiled in the one given (NULL: none). */
const char *spoiled_folder(const char *name, const char *library, const char *symbol);
void copy_spoiled(const char *from, const char *to, const char *symbol);
void make_folder(const char *path);
#endif
