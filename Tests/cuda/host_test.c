#define _GNU_SOURCE
#include "host_test.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *standin_folder, *scratch_folder;
static int failures;
static const char *running = "";

void check_holds(const char *file, int line, const char *what, int holds) {
  if (holds) return;
  failures++;
  printf("%s:%d: %s: %s does not hold\n", file, line, running, what);
}

void check_status(const char *file, int line, const char *what, int expected, const char *words, int got,
                  const char *message) {
  int one_line = strchr(message, '\n') == NULL, told = got == KC_OK || (one_line && words && strstr(message, words));
  if (got == expected && told) return;
  failures++;
  printf("%s:%d: %s: %s: status %d, expected %d; message \"%s\", expected \"%s\"\n", file, line, running, what, got,
         expected, message, words ? words : "");
}

const char *scratch(const char *name) {
  static char paths[16][4096];
  static int next;
  char *path = paths[next++ % 16];
  snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
  return path;
}

void make_folder(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) return;
  printf("%s cannot be made\n", path);
  exit(2);
}

/* ---- the stand-in ---------------------------------------------------------------------------------------------------
 * */

const standin_controls *standin(void) {
  static standin_controls controls;
  if (controls.fail) return &controls;
  char path[4096];
  snprintf(path, sizeof path, "%s/libcuda.so.1", standin_folder);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    printf("%s\n", dlerror());
    exit(2);
  }
  const struct {
    void *slot;
    const char *name;
  } names[] = {
      {&controls.clear, "standin_clear"},
      {&controls.set, "standin_set"},
      {&controls.calls, "standin_calls"},
      {&controls.violations, "standin_violations"},
      {&controls.live, "standin_live"},
      {&controls.current, "cuCtxGetCurrent"},
      {&controls.push, "cuCtxPushCurrent_v2"},
      {&controls.pop, "cuCtxPopCurrent_v2"},
      {&controls.retain, "cuDevicePrimaryCtxRetain"},
      {&controls.release, "cuDevicePrimaryCtxRelease_v2"},
      {&controls.fail, "standin_fail"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    void *address = dlsym(library, names[i].name);
    if (!address) {
      printf("the stand-in has no %s\n", names[i].name);
      exit(2);
    }
    memcpy(names[i].slot, &address, sizeof address);
  }
  return &controls;
}

void check_clean(int nothing_held) {
  char text[2048];
  if (standin()->violations(text, sizeof text)) {
    failures++;
    printf("%s: broken rules:\n%s", running, text);
  }
  if (nothing_held && standin()->live(text, sizeof text)) {
    failures++;
    printf("%s: still held: %s\n", running, text);
  }
}

kc_device *opened(void) {
  kc_device *device;
  char message[KC_MESSAGE];
  standin();
  if (kc_open(0, standin_folder, scratch("cache"), &device, message, sizeof message) == KC_OK) return device;
  printf("%s: %s\n", running, message);
  exit(1);
}

int fill(kc_device *device, void *x, float value, size_t count) { return kc_fill(device, x, value, count); }

int multiply(kc_device *device, const kc_gemm *gemm) {
  int status = kc_enter(device);
  return status ? status : kc_leave(device, kc_multiply(device, gemm));
}

void *uploaded(kc_device *device, const void *host, size_t bytes) {
  void *memory = NULL;
  STATUS(KC_OK, NULL, device, kc_allocate(device, bytes, &memory));
  STATUS(KC_OK, NULL, device, kc_copy_in(device, memory, host, bytes));
  return memory;
}

void copy_spoiled(const char *from, const char *to, const char *symbol) {
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  if (!in || !out) {
    printf("%s cannot be copied to %s\n", from, to);
    exit(2);
  }
  fseek(in, 0, SEEK_END);
  size_t size = (size_t)ftell(in), length = symbol ? strlen(symbol) : 0;
  rewind(in);
  char *bytes = malloc(size);
  if (fread(bytes, 1, size, in) != size) exit(2);
  int found = 0;
  /* In the list of symbols, and in the table of cuGetProcAddress, where it may be the end of another string. */
  for (size_t i = 1; symbol && i + length < size; i++) {
    if ((bytes[i - 1] && bytes[i - 1] != ' ') || bytes[i + length] || memcmp(bytes + i, symbol, length) != 0) continue;
    bytes[i + length - 1] = '~';
    found = 1;
  }
  if (symbol && !found) printf("%s has no %s\n", from, symbol), exit(2);
  fwrite(bytes, 1, size, out);
  free(bytes);
  fclose(in);
  fclose(out);
}

const char *spoiled_folder(const char *name, const char *library, const char *symbol) {
  static const char *const all[] = {"libcuda.so.1",   "libcublasLt.so.13", "libcublasLt.so.12",
                                    "libnvrtc.so.13", "libnvrtc.so.12",    "libnvrtc-builtins.so.13.0"};
  const char *folder = scratch(name);
  make_folder(folder);
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/%s", standin_folder, all[i]);
    snprintf(to, sizeof to, "%s/%s", folder, all[i]);
    copy_spoiled(from, to, library && strncmp(all[i], library, strlen(library)) == 0 ? symbol : NULL);
  }
  return folder;
}

/* ---- running
 * ----------------------------------------------------------------------------------------------------------- */

static int run_case(const test_case *test) {
  fflush(stdout);
  time_t begun = time(NULL);
  pid_t child = fork();
  if (child == 0) {
    running = test->name;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/case-%d", scratch_folder, (int)getpid());
    make_folder(folder);
    scratch_folder = folder;
    test->run();
    fflush(stdout);
    exit(failures ? 1 : 0); /* the sanitizer's leak check comes here */
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return 0;
  if (time(NULL) - begun > 3) printf("%s: %d s\n", test->name, (int)(time(NULL) - begun));
  if (WIFSIGNALED(status)) printf("%s: ended by signal %d\n", test->name, WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 1;
  printf("FAILED %s\n", test->name);
  return 0;
}

int main(int count, char **arguments) {
  if (count < 3) {
    printf("host_test STAND-IN-FOLDER SCRATCH-FOLDER [CASE]\n");
    return 2;
  }
  standin_folder = arguments[1];
  scratch_folder = arguments[2];
  make_folder(scratch_folder);
  unsetenv("KLUERE_CUDA_LIBRARIES");
  unsetenv("KLUERE_CACHE");
  static const test_case *const lists[] = {loading_cases, memory_cases,  cache_cases, gemm_cases,
                                           graph_cases,   process_cases, fault_cases};
  int passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    for (const test_case *test = lists[i]; test->name; test++) {
      if (count > 3 && !strstr(test->name, arguments[3])) continue;
      if (run_case(test)) {
        passed++;
      } else {
        failed++;
      }
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
