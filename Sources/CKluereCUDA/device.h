/* device.h - the state of an opened device, shared by the host side's files (loader.c, device.c, memory.c, modules.c,
   gemm.c, graph.c). */
#ifndef KLUERE_CUDA_DEVICE_H
#define KLUERE_CUDA_DEVICE_H
#include "driver_api.h"
#include "engine.h"

enum { KC_MESSAGE = 2048 };

/* ---- text.c: a line built piece by piece, cut at its capacity ---------------------------------------------------- */
typedef struct kc_text {
  char *data;
  size_t capacity, length;
} kc_text;
void kc_text_add(kc_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Control characters become spaces: it is one line. */
void kc_text_one_line(char *text);

/* ---- loader.c: each gives KC_OK, or KC_UNSUPPORTED with what was looked for and where in `tried` ----------------- */
int kc_load_driver(kc_driver *driver, const char *folder, kc_text *tried);
/* newest: the newest major that driver and chip allow. */
int kc_load_cublas(kc_cublas *cublas, const char *folder, int newest, kc_text *tried);
/* A library that does not compile for architecture (90 for 9.0) is passed over. */
int kc_load_nvrtc(kc_nvrtc *nvrtc, const char *folder, int newest, int architecture, kc_text *tried);

/* ---- sources.c --------------------------------------------------------------------------------------------------- */
typedef struct kc_source {
  const char *name; /* "attention.cu" */
  const char *text;
} kc_source;
extern const kc_source kc_sources[];
extern const size_t kc_source_count;

/* ---- sha256.c ---------------------------------------------------------------------------------------------------- */
typedef struct kc_sha256 {
  uint32_t state[8];
  uint64_t bytes;
  unsigned char block[64];
} kc_sha256;
void kc_sha256_start(kc_sha256 *sha);
void kc_sha256_add(kc_sha256 *sha, const void *data, size_t bytes);
void kc_sha256_finish(kc_sha256 *sha, unsigned char digest[32]);

/* ---- cache.c: compiled kernels on disk; whatever goes wrong there means "not cached" ----------------------------- */
/* The folder, made if absent; NULL if there is none that can be used. malloc'ed. */
char *kc_cache_folder(const char *wanted);
/* malloc'ed bytes, or NULL. A file that is cut, changed or another key's is as good as none. */
void *kc_cache_read(const char *folder, const unsigned char key[32], size_t *bytes);
void kc_cache_write(const char *folder, const unsigned char key[32], const void *image, size_t bytes);

/* ---- memory.c ---------------------------------------------------------------------------------------------------- */
enum { KC_SEGMENTS = 16, KC_SEGMENT_BYTES = 256 << 10 };
typedef struct kc_staging {
  unsigned char *pinned; /* KC_SEGMENTS segments, filled one after another */
  CUevent done[KC_SEGMENTS];
  int recorded[KC_SEGMENTS]; /* its event says when the device has read it */
  int segment;
  size_t used;
} kc_staging;
typedef struct kc_block {
  CUdeviceptr at;
  size_t bytes;
} kc_block;
int kc_staging_open(kc_device *device);
void kc_memory_close(kc_device *device);

/* ---- modules.c --------------------------------------------------------------------------------------------------- */
enum { KC_FILE_LIMIT = 32 };
typedef struct kc_kernel {
  CUfunction function;
  int absent;           /* the chip has no such kernel */
  unsigned shared_limit; /* dynamic shared memory it may use now */
} kc_kernel;
void kc_modules_close(kc_device *device);

/* ---- gemm.c ------------------------------------------------------------------------------------------------------ */
typedef struct kc_plans kc_plans;
int kc_gemm_open(kc_device *device);
void kc_gemm_close(kc_device *device);

/* ---- graph.c ----------------------------------------------------------------------------------------------------- */
void kc_graphs_close(kc_device *device);

struct kc_device {
  int ordinal, pid, lost, entered, capturing, capture_failed;
  CUdevice handle;
  CUcontext context;
  CUstream stream;
  kc_driver cu;
  kc_cublas lt;
  kc_nvrtc rtc;
  kc_info info;
  int architecture, shared_optin;
  char *cache;
  int nvrtc_major, nvrtc_minor;
  kc_block *blocks;
  size_t block_count, block_capacity;
  kc_block scratch;
  kc_staging staging;
  CUmodule modules[KC_FILE_LIMIT]; /* in the order of kc_sources */
  kc_kernel kernels[KC_KERNEL_COUNT];
  cublasLtHandle_t cublas;
  CUdeviceptr workspace;
  kc_plans *plans;
  kc_graph *graphs;
  char error[KC_MESSAGE];
};

/* device.c. Notes what call did not work and returns KC_OK, KC_OUT_OF_MEMORY, KC_FAILED or KC_LOST. */
int kc_check(kc_device *device, CUresult result, const char *call);
/* KC_FAILED while a graph is recorded, with what cannot be done then. */
int kc_refuse_capture(kc_device *device, const char *what);
#endif
