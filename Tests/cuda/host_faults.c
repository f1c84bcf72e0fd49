/* Every entry point fails once, at each of its calls, with an error that passes and with one that does not. */
#include "host_test.h"
#include "kernels/parameters.h"

enum { SIDE = 32, COUNT = SIDE * SIDE, SOURCE = 80 << 10 }; /* 14 times SOURCE floats fill the staging memory */

/* One of everything. Statuses of the steps go to `statuses`, the line of the first failure to `line`; stops at none. */
static void note(kc_device *device, int status, int *failed, int *worst, char line[KC_MESSAGE]) {
  if (status == KC_OK) return;
  if (*failed == 0) snprintf(line, KC_MESSAGE, "%s", kc_error(device));
  ++*failed;
  if (status > *worst) *worst = status;
}

/* A launch with so much shared memory that the driver must be asked first. */
static int large_launch(kc_device *device, void *x) {
  kc_fill_parameters parameters = {x, 1, COUNT, 0};
  int status = kc_enter(device);
  if (status) return status;
  return kc_leave(device,
                  kc_launch(device, KC_K_kc_fill_f32, (kc_grid){1, 1, 1}, 32, 60000, &parameters, sizeof parameters));
}

/* Returns the number of failed steps; *worst: the largest status. */
static int everything(kc_device *device, int *worst, char line[KC_MESSAGE]) {
  int failed = 0;
  void *a = NULL, *b = NULL, *c = NULL, *scratch_memory = NULL;
  kc_graph *graph = NULL;
  static float host[SOURCE];
  uint64_t bytes;
  *worst = KC_OK;
  line[0] = 0;
#define NOTE(call) note(device, (call), &failed, worst, line)
  NOTE(kc_allocate(device, sizeof host, &a));
  NOTE(kc_allocate(device, COUNT * 4, &b));
  NOTE(kc_allocate(device, COUNT * 4, &c));
  if (a && b && c) {
    for (int i = 0; i < 14; i++) NOTE(kc_copy_in(device, a, host, sizeof host));
    NOTE(kc_enter(device) ? KC_FAILED : kc_leave(device, kc_scratch(device, 1000, &scratch_memory)));
    NOTE(kc_enter(device) ? KC_FAILED : kc_leave(device, kc_scratch(device, 100000, &scratch_memory)));
    kc_gemm gemm = {.c = c, .a = a, .b = b, .m = SIDE, .n = SIDE, .k = SIDE, .a_type = KC_F32, .c_type = KC_F32};
    NOTE(fill(device, b, 1, COUNT));
    NOTE(large_launch(device, b));
    NOTE(multiply(device, &gemm));
    gemm.bias = b;
    NOTE(multiply(device, &gemm));
    NOTE(kc_memory_free(device, &bytes));
    NOTE(kc_copy(device, b, c, COUNT * 4));
    NOTE(kc_zero(device, b, COUNT * 4));
    NOTE(kc_copy_out(device, host, c, COUNT * 4));
    int began = kc_capture_begin(device);
    NOTE(began);
    if (began == KC_OK) {
      NOTE(fill(device, b, 1, COUNT));
      NOTE(multiply(device, &gemm));
      NOTE(kc_capture_end(device, &graph));
      if (device->capturing) kc_capture_end(device, &graph); /* the device could not be reached: again */
    }
    if (graph) NOTE(kc_graph_launch(device, graph));
    kc_graph_destroy(device, graph);
    NOTE(kc_synchronize(device));
  }
  kc_free(device, a), kc_free(device, b), kc_free(device, c);
  return failed;
#undef NOTE
}

typedef struct entry {
  const char *name;
  int passing, sticky; /* errors; sticky 0: its errors say nothing of the context */
} entry;

static const entry entries[] = {
#define DRIVER(name, plain, version, result, parameters) {#name, 999, CUDA_ERROR_ILLEGAL_ADDRESS},
    KC_DRIVER(DRIVER)
#define CUBLAS(name, result, parameters) {#name, 14, 0},
        KC_CUBLAS(CUBLAS)
#define NVRTC(name, result, parameters) {#name, 11, 0},
            KC_NVRTC(NVRTC)};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* These only word messages, or tell a version. */
static int cannot_fail(const char *name) {
  static const char *const names[] = {"cuGetErrorName", "cuGetErrorString", "cublasLtGetVersion",
                                      "cublasLtGetStatusName", "nvrtcGetErrorString"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(names[i], name) == 0) return 1;
  }
  return 0;
}

/* Called after another error alone; an_error_within_an_error has these. */
static int is_rare(const char *name) {
  return strcmp(name, "cuStreamQuery") == 0 || strcmp(name, "cuStreamIsCapturing") == 0 ||
         strcmp(name, "nvrtcGetProgramLogSize") == 0 || strcmp(name, "nvrtcGetProgramLog") == 0;
}

static int open_fresh(kc_device **device, char message[KC_MESSAGE]) {
  static int number;
  char cache[32];
  snprintf(cache, sizeof cache, "fresh-%d", number++); /* kernels are compiled, not found */
  return kc_open(0, standin_folder, scratch(cache), device, message, KC_MESSAGE);
}

/* The error comes at the nth call within opening, everything() and closing. 0: there was no such call. */
static int one_fault(const entry *entry, long nth, int error) {
  kc_device *device = NULL;
  char message[KC_MESSAGE] = "", line[KC_MESSAGE] = "", where[128];
  int worst = KC_OK, lost = error == entry->sticky;
  long before = standin()->calls(entry->name);
  snprintf(where, sizeof where, "%s, call %ld, error %d", entry->name, nth, error);
  standin()->fail(entry->name, nth, error);
  int status = open_fresh(&device, message);
  int failed = status == KC_OK ? everything(device, &worst, line) : 0;
  int came = standin()->calls(entry->name) - before >= nth;
  if (!came && status == KC_OK) { /* then in closing, which says nothing */
    kc_close(device);
    came = standin()->calls(entry->name) - before >= nth;
    standin()->clear();
    return came;
  }
  standin()->clear();
  if (status != KC_OK && (device || !message[0] || strchr(message, '\n'))) {
    printf("  %s: %s\n", where, message), CHECK(!"a message of one line");
  }
  if (failed && (worst != (lost ? KC_LOST : KC_FAILED) || !line[0])) {
    printf("  %s: status %d (%s)\n", where, worst, line), CHECK(!"the expected status");
  }
  if (status == KC_OK && lost && device->lost) { /* kc_free does not say so itself */
    STATUS(KC_LOST, "the CUDA device is lost, restart the process", device, kc_synchronize(device));
  } else if (status == KC_OK) {
    int again = everything(device, &worst, line);
    if (again) printf("  after %s: %s\n", where, line), CHECK(!"usable again");
  }
  kc_close(device);
  return came;
}

static int is_release(const char *name) {
  return strstr(name, "Free") || strstr(name, "Destroy") || strstr(name, "Unload") || strstr(name, "Release") ||
         strstr(name, "PopCurrent") || strstr(name, "PushCurrent");
}

/* Passing errors: said once, then everything works on the same handle, and nothing is left behind (what could not be
 * given back for the error itself aside). */
static void an_error_passes(void) {
  long faults = 0;
  for (int i = 0; i < ENTRIES; i++) {
    if (cannot_fail(entries[i].name)) continue;
    long live = standin()->live(NULL, 0), nth = 1;
    while (nth < 400 && one_fault(&entries[i], nth, entries[i].passing)) nth++;
    faults += nth - 1;
    char held[1000];
    if (!is_release(entries[i].name) && standin()->live(held, sizeof held) != live) {
      printf("  after faults of %s: held %s\n", entries[i].name, held), CHECK(!"nothing held");
    }
    if (nth == 1 && !is_rare(entries[i].name)) printf("  %s is never called\n", entries[i].name), CHECK(!"called");
  }
  printf("  %ld faults\n", faults);
  check_clean(0);
}

static void an_error_that_stays_loses_the_device(void) {
  for (int i = 0; i < ENTRIES; i++) {
    if (!entries[i].sticky || cannot_fail(entries[i].name)) continue;
    long nth = 1;
    while (nth < 400 && one_fault(&entries[i], nth, entries[i].sticky)) nth++;
  }
  check_clean(0);
}

/* A kernel breaks the context while it runs: whichever call notices first says so. */
static void a_kernel_breaks_the_context(void) {
  static const int errors[] = {CUDA_ERROR_ILLEGAL_ADDRESS,    CUDA_ERROR_LAUNCH_FAILED,
                               CUDA_ERROR_MISALIGNED_ADDRESS, CUDA_ERROR_ASSERT,
                               CUDA_ERROR_ECC_UNCORRECTABLE,  CUDA_ERROR_CONTEXT_IS_DESTROYED};
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    for (int launches = 1; launches <= 2; launches++) {
      kc_device *device;
      char message[KC_MESSAGE], line[KC_MESSAGE];
      int worst;
      CHECK(open_fresh(&device, message) == KC_OK);
      standin()->set("sticky_error", errors[i]);
      standin()->set("sticky_after", launches);
      CHECK(everything(device, &worst, line) > 0 && worst == KC_LOST);
      CHECK(strstr(line, "the CUDA device is lost") != NULL);
      char first[KC_MESSAGE];
      snprintf(first, sizeof first, "%s", kc_error(device));
      void *x = NULL;
      STATUS(KC_LOST, first, device, kc_allocate(device, 8, &x)); /* the first error stays the message */
      kc_free(device, x);
      long calls = standin()->calls("cuMemFree_v2");
      kc_close(device);
      CHECK(standin()->calls("cuMemFree_v2") == calls);
      standin()->clear();
    }
  }
  check_clean(0);
}

static void no_room_in_the_driver_is_no_failure_of_the_device(void) {
  static const char *const names[] = {"cuMemAlloc_v2",           "cuMemHostAlloc",   "cuStreamCreate",
                                      "cuEventCreate",           "cuModuleLoadData", "cuGraphInstantiateWithFlags",
                                      "cuDevicePrimaryCtxRetain"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    kc_device *device = NULL;
    char message[KC_MESSAGE] = "", line[KC_MESSAGE] = "";
    int worst = KC_OK;
    standin()->fail(names[i], 1, CUDA_ERROR_OUT_OF_MEMORY);
    int status = open_fresh(&device, message);
    if (status == KC_OK) {
      CHECK(everything(device, &worst, line) >= 1 && worst == KC_OUT_OF_MEMORY);
      CHECK(everything(device, &worst, line) == 0);
    } else {
      CHECK(status == KC_OUT_OF_MEMORY && strstr(message, "out of memory") != NULL);
    }
    kc_close(device);
  }
  standin()->fail("cublasLtCreate", 1, CUBLAS_STATUS_ALLOC_FAILED);
  kc_device *device = NULL;
  char message[KC_MESSAGE] = "";
  CHECK(open_fresh(&device, message) == KC_OUT_OF_MEMORY && strstr(message, "CUBLAS_STATUS_ALLOC_FAILED") != NULL);
  check_clean(1);
}

static void an_error_within_an_error(void) {
  kc_device *device = opened();
  void *x = NULL;
  kc_graph *graph = NULL;
  STATUS(KC_OK, NULL, device, kc_allocate(device, COUNT * 4, &x));
  static const char compiles[] = "does not compile elementwise.cu for sm_90: NVRTC_ERROR_COMPILATION";
  standin()->fail("nvrtcCompileProgram", 1, NVRTC_ERROR_COMPILATION);
  standin()->fail("nvrtcGetProgramLogSize", 1, 11);
  STATUS(KC_FAILED, compiles, device, fill(device, x, 1, 4));
  standin()->fail("nvrtcCompileProgram", 1, NVRTC_ERROR_COMPILATION);
  standin()->fail("nvrtcGetProgramLog", 1, 11);
  STATUS(KC_FAILED, compiles, device, fill(device, x, 1, 4));
  CHECK(strstr(kc_error(device), "wanted_by_the_test") == NULL);
  kc_gemm gemm = {.c = x, .a = x, .b = x, .m = 8, .n = 8, .k = 8, .a_type = KC_F32, .c_type = KC_F32};
  static const int harmless[] = {0, CUDA_ERROR_NOT_READY};
  for (int i = 0; i < 2; i++) {
    standin()->fail("cublasLtMatmul", 1, 14);
    if (harmless[i]) standin()->fail("cuStreamQuery", 1, harmless[i]);
    STATUS(KC_FAILED, "cublasLtMatmul of [8, 8] x [8, 8]: CUBLAS_STATUS_INTERNAL_ERROR (14)", device,
           multiply(device, &gemm));
  }
  STATUS(KC_OK, NULL, device, kc_capture_begin(device));
  standin()->fail("cuStreamEndCapture", 1, 999);
  standin()->fail("cuStreamIsCapturing", 1, 999);
  STATUS(KC_FAILED, "cuStreamEndCapture", device, kc_capture_end(device, &graph));
  device->capturing = 1; /* the stand-in's stream still records */
  STATUS(KC_OK, NULL, device, kc_capture_end(device, &graph));
  STATUS(KC_OK, NULL, device, fill(device, x, 1, 4));
  standin()->fail("cublasLtMatmul", 1, 13);
  standin()->fail("cuStreamQuery", 1, CUDA_ERROR_ILLEGAL_ADDRESS);
  STATUS(KC_LOST, "cublasLtMatmul: an illegal memory access", device, multiply(device, &gemm));
  STATUS(KC_LOST, "cublasLtMatmul: an illegal memory access", device, multiply(device, &gemm));
  kc_close(device);
  check_clean(0);
}

const test_case fault_cases[] = {{"an error passes", an_error_passes},
                                 {"an error that stays loses the device", an_error_that_stays_loses_the_device},
                                 {"an error within an error", an_error_within_an_error},
                                 {"a kernel breaks the context", a_kernel_breaks_the_context},
                                 {"no room in the driver", no_room_in_the_driver_is_no_failure_of_the_device},
                                 {NULL, NULL}};
