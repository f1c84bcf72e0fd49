/* loader.c - finds and opens libcuda, libcublasLt and libnvrtc. They are never closed: their threads and exit handlers
   may run. */
#define _GNU_SOURCE
#include "device.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_LIMIT = 3 };

/* What one search is for. accept looks at an opened library; it may write a reason to pass it over. */
typedef struct search {
  const char *names[NAME_LIMIT]; /* sonames, the preferred first; NULL ends them */
  const char *const *packages;   /* folders of Python packages that may hold it, under site-packages; NULL ends them */
  int toolkit;                   /* also in CUDA toolkits */
  int (*accept)(void *library, void *context, kc_text *tried);
  void *context;
  kc_text *tried;
  int found;
} search;

static void attempt_handle(search *search, void *library, const char *path) {
  if (!search->accept(library, search->context, search->tried)) {
    kc_text_add(search->tried, " (%s)", path);
    return;
  }
  search->found = 1;
}

static void attempt_path(search *search, const char *path) {
  if (search->found) return;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library) {
    attempt_handle(search, library, path);
    return;
  }
  kc_text_add(search->tried, ", %s", path);
  /* The reason matters only if the file is there. */
  if (strchr(path, '/') && access(path, F_OK) == 0) {
    const char *reason = dlerror();
    kc_text_add(search->tried, " (%s)", reason ? reason : "cannot be loaded");
  }
}

static void attempt_folder(search *search, const char *folder) {
  if (!folder || !folder[0]) return;
  for (int i = 0; i < NAME_LIMIT && search->names[i] && !search->found; i++) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, search->names[i]);
    if (length > 0 && (size_t)length < sizeof path) attempt_path(search, path);
  }
}

static void attempt_folders(search *search, const char *list) {
  while (list && *list && !search->found) {
    size_t length = strcspn(list, ":");
    char folder[PATH_MAX];
    if (length > 0 && length < sizeof folder) {
      memcpy(folder, list, length);
      folder[length] = 0;
      attempt_folder(search, folder);
    }
    list += length + (list[length] == ':');
  }
}

/* Folders that a pattern matches, the last in order (the newest version) first. */
static void attempt_pattern(search *search, const char *pattern) {
  if (search->found) return;
  glob_t found;
  if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0) return;
  for (size_t i = found.gl_pathc; i > 0 && !search->found; i--) attempt_folder(search, found.gl_pathv[i - 1]);
  globfree(&found);
}

/* What another part of the process has opened already: PyTorch's cublasLt is 550 MB, and one is enough. */
static void attempt_opened(search *search) {
  for (int i = 0; i < NAME_LIMIT && search->names[i] && !search->found; i++) {
    void *library = dlopen(search->names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (library) attempt_handle(search, library, search->names[i]);
  }
}

/* Beside this library, and in the Python packages of the site-packages it may lie in. */
static void attempt_beside(search *search) {
  static const char marker = 0;
  Dl_info info;
  char folder[PATH_MAX], real[PATH_MAX];
  if (search->found || !dladdr(&marker, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) return;
  for (int up = 0; up < 5; up++) {
    char *slash = strrchr(real, '/');
    if (!slash || slash == real) return;
    *slash = 0;
    if (up == 0) attempt_folder(search, real);
    for (const char *const *package = search->packages; package && *package && !search->found; package++) {
      int length = snprintf(folder, sizeof folder, "%s/nvidia/%s/lib", real, *package);
      if (length > 0 && (size_t)length < sizeof folder && access(folder, F_OK) == 0) attempt_folder(search, folder);
    }
  }
}

static void attempt_toolkit(search *search, const char *variable) {
  const char *home = getenv(variable);
  if (!home || !home[0] || search->found) return;
  static const char *const parts[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !search->found; i++) {
    char folder[PATH_MAX];
    int length = snprintf(folder, sizeof folder, "%s/%s", home, parts[i]);
    if (length > 0 && (size_t)length < sizeof folder) attempt_folder(search, folder);
  }
}

static int run_search(search *search, const char *folder) {
  kc_text_add(search->tried, "%s", search->names[0]);
  for (int i = 1; i < NAME_LIMIT && search->names[i]; i++) kc_text_add(search->tried, " or %s", search->names[i]);
  kc_text_add(search->tried, " was not found; tried");
  size_t begin = search->tried->length;
  attempt_folder(search, folder);
  attempt_folders(search, getenv("KLUERE_CUDA_LIBRARIES"));
  attempt_opened(search);
  attempt_beside(search);
  for (int i = 0; i < NAME_LIMIT && search->names[i]; i++) attempt_path(search, search->names[i]);
  if (search->toolkit) {
    attempt_toolkit(search, "CUDA_HOME");
    attempt_toolkit(search, "CUDA_PATH");
    attempt_pattern(search, "/usr/local/cuda*/lib64");
    attempt_pattern(search, "/usr/local/cuda*/targets/*/lib");
    attempt_toolkit(search, "CONDA_PREFIX");
  } else {
    attempt_folder(search, "/usr/lib/wsl/lib");
  }
  if (search->found) {
    search->tried->length = 0;
    if (search->tried->capacity) search->tried->data[0] = 0;
    return KC_OK;
  }
  if (search->tried->length > begin && search->tried->data[begin] == ',') search->tried->data[begin] = ':';
  return KC_UNSUPPORTED;
}

/* ---- libcuda ----------------------------------------------------------------------------------------------------- */

typedef CUresult (*get_address)(const char *, void **, int, cuuint64_t, CUdriverProcAddressQueryResult *);

static void *driver_symbol(void *library, get_address get, const char *plain, const char *exported, int version) {
  void *address = NULL;
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SUCCESS;
  if (get && get(plain, &address, version, 0, &found) == CUDA_SUCCESS && found == CU_GET_PROC_ADDRESS_SUCCESS &&
      address) {
    return address;
  }
  return dlsym(library, exported);
}

/* The compiler's view of a function pointer is no object pointer: it is copied, not cast. */
#define TAKE(table, name, value)                                \
  do {                                                          \
    void *address = (value);                                    \
    if (!address) {                                             \
      kc_text_add(tried, ", one without the symbol %s", #name); \
      return 0;                                                 \
    }                                                           \
    memcpy(&(table)->name, &address, sizeof address);           \
  } while (0)

static int accept_driver(void *library, void *context, kc_text *tried) {
  kc_driver *driver = context;
  get_address get = NULL;
  void *address = dlsym(library, "cuGetProcAddress_v2");
  memcpy(&get, &address, sizeof address);
#define KC_TAKE(name, plain, version, result, parameters) \
  TAKE(driver, name, driver_symbol(library, get, plain, #name, version));
  KC_DRIVER(KC_TAKE)
#undef KC_TAKE
  return 1;
}

int kc_load_driver(kc_driver *driver, const char *folder, kc_text *tried) {
  search search = {.names = {"libcuda.so.1"}, .accept = accept_driver, .context = driver, .tried = tried};
  return run_search(&search, folder);
}

/* ---- libcublasLt ------------------------------------------------------------------------------------------------- */

static int accept_cublas(void *library, void *context, kc_text *tried) {
  kc_cublas *cublas = context;
#define KC_TAKE(name, result, parameters) TAKE(cublas, name, dlsym(library, #name));
  KC_CUBLAS(KC_TAKE)
#undef KC_TAKE
  return 1;
}

int kc_load_cublas(kc_cublas *cublas, const char *folder, int newest, kc_text *tried) {
  static const char *const packages[] = {"cu13", "cublas", NULL};
  search search = {.names = {"libcublasLt.so.13", "libcublasLt.so.12"}, .packages = packages, .toolkit = 1};
  if (newest < 13) search.names[0] = search.names[1], search.names[1] = NULL;
  search.accept = accept_cublas;
  search.context = cublas;
  search.tried = tried;
  return run_search(&search, folder);
}

/* ---- libnvrtc ---------------------------------------------------------------------------------------------------- */

/* Some releases (13.0) do not look for their second library beside themselves; opened by its path before, it is found.
   */
static void open_builtins(const kc_nvrtc *nvrtc) {
  Dl_info info;
  char real[PATH_MAX], path[PATH_MAX];
  int major = 0, minor = 0;
  void *address;
  memcpy(&address, &nvrtc->nvrtcVersion, sizeof address);
  if (nvrtc->nvrtcVersion(&major, &minor) != NVRTC_SUCCESS) return;
  if (!dladdr(address, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) return;
  char *slash = strrchr(real, '/');
  if (!slash) return;
  *slash = 0;
  int length = snprintf(path, sizeof path, "%s/libnvrtc-builtins.so.%d.%d", real, major, minor);
  if (length > 0 && (size_t)length < sizeof path && !dlopen(path, RTLD_NOW | RTLD_LOCAL)) dlerror();
}

typedef struct nvrtc_wish {
  kc_nvrtc *nvrtc;
  int architecture;
} nvrtc_wish;

static int knows(const kc_nvrtc *nvrtc, int architecture) {
  int count = 0, known = 0;
  if (nvrtc->nvrtcGetNumSupportedArchs(&count) != NVRTC_SUCCESS || count <= 0 || count > 1000) return 1;
  int *list = calloc((size_t)count, sizeof *list);
  if (!list || nvrtc->nvrtcGetSupportedArchs(list) != NVRTC_SUCCESS) known = 1; /* the compiler will say */
  for (int i = 0; i < count && !known; i++) known = list[i] == architecture;
  free(list);
  return known;
}

static int accept_nvrtc(void *library, void *context, kc_text *tried) {
  nvrtc_wish *wish = context;
  kc_nvrtc *nvrtc = wish->nvrtc;
#define KC_TAKE(name, result, parameters) TAKE(nvrtc, name, dlsym(library, #name));
  KC_NVRTC(KC_TAKE)
#undef KC_TAKE
  if (!knows(nvrtc, wish->architecture)) {
    kc_text_add(tried, ", one that does not compile for sm_%d", wish->architecture);
    return 0;
  }
  open_builtins(nvrtc);
  return 1;
}

int kc_load_nvrtc(kc_nvrtc *nvrtc, const char *folder, int newest, int architecture, kc_text *tried) {
  static const char *const packages[] = {"cu13", "cuda_nvrtc", NULL};
  nvrtc_wish wish = {nvrtc, architecture};
  search search = {.names = {"libnvrtc.so.13", "libnvrtc.so.12"}, .packages = packages, .toolkit = 1};
  if (newest < 13) search.names[0] = search.names[1], search.names[1] = NULL;
  search.accept = accept_nvrtc;
  search.context = &wish;
  search.tried = tried;
  return run_search(&search, folder);
}
