/* Finding the libraries: none, old, incomplete, in each place. */
#include "host_test.h"

#include <unistd.h>

/* Opens device 0 with these libraries; the line must have the words. */
static void refused(const char *folder, const char *words) {
  kc_device *device = (kc_device *)1;
  char message[KC_MESSAGE];
  int status = kc_open(0, folder, scratch("cache"), &device, message, sizeof message);
  check_status(__FILE__, __LINE__, folder ? folder : "no folder", KC_UNSUPPORTED, words, status, message);
  CHECK(device == NULL);
}

static void no_driver_names_every_path(void) {
  setenv("KLUERE_CUDA_LIBRARIES", "/nowhere/first:/nowhere/second", 1);
  refused("/nowhere/given", "/nowhere/given/libcuda.so.1");
  refused("/nowhere/given", "/nowhere/first/libcuda.so.1");
  refused("/nowhere/given", "/nowhere/second/libcuda.so.1");
  refused("/nowhere/given", "/usr/lib/wsl/lib/libcuda.so.1");
  refused(NULL, "libcuda.so.1 was not found");
  char message[KC_MESSAGE], tiny[8] = "";
  CHECK(kc_count(message, sizeof message) == 0);
  CHECK(strstr(message, "/nowhere/second/libcuda.so.1") != NULL);
  kc_device *device;
  CHECK(kc_open(0, NULL, NULL, &device, NULL, 0) == KC_UNSUPPORTED && device == NULL);
  CHECK(kc_open(0, NULL, NULL, &device, tiny, sizeof tiny) == KC_UNSUPPORTED);
  CHECK(strlen(tiny) == 7 && strncmp(tiny, "libcuda.so.1", 7) == 0);
  CHECK(kc_count(NULL, 0) == 0);
}

static void no_cublas_or_nvrtc_names_every_path(void) {
  const char *folder = spoiled_folder("partial", NULL, NULL);
  char path[4096];
  snprintf(path, sizeof path, "%s/libcublasLt.so.13", folder);
  unlink(path);
  snprintf(path, sizeof path, "%s/libcublasLt.so.12", folder);
  unlink(path);
  setenv("CUDA_HOME", "/nowhere/toolkit", 1);
  setenv("CONDA_PREFIX", "/nowhere/conda", 1);
  refused(folder, "libcublasLt.so.13 or libcublasLt.so.12 was not found");
  refused(folder, path);
  refused(folder, "/nowhere/toolkit/lib64/libcublasLt.so.12");
  refused(folder, "/nowhere/conda/lib/libcublasLt.so.13");
  FILE *broken = fopen(path, "wb");
  fputs("no library", broken);
  fclose(broken);
  refused(folder, "file too short"); /* the loader's own words */
  folder = spoiled_folder("other", NULL, NULL);
  for (int major = 12; major <= 13; major++) {
    snprintf(path, sizeof path, "%s/libnvrtc.so.%d", folder, major);
    unlink(path);
  }
  refused(folder, "libnvrtc.so.13 or libnvrtc.so.12 was not found");
  check_clean(0);
}

static void a_missing_symbol_is_named(void) {
  static const struct {
    const char *library, *symbol, *spoiled;
  } symbols[] = {
#define DRIVER(name, plain, version, result, parameters) {"libcuda", #name, plain},

      KC_DRIVER(DRIVER)
#define CUBLAS(name, result, parameters) {"libcublasLt", #name, #name},
          KC_CUBLAS(CUBLAS)
#define NVRTC(name, result, parameters) {"libnvrtc.so", #name, #name},
              KC_NVRTC(NVRTC)};
  for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
    char name[64];
    snprintf(name, sizeof name, "without-%zu", i);
    const char *folder = spoiled_folder(name, symbols[i].library, symbols[i].symbol);
    if (strcmp(symbols[i].symbol, symbols[i].spoiled) != 0) {
      char from[4096], to[4096];
      /* The same name without a version is in cuGetProcAddress' table. */
      snprintf(from, sizeof from, "%s/libcuda.so.1", folder);
      snprintf(to, sizeof to, "%s/spoiled", folder);
      copy_spoiled(from, to, symbols[i].spoiled);
      rename(to, from);
    }
    char words[128];
    snprintf(words, sizeof words, "without the symbol %s", symbols[i].symbol);
    refused(folder, words);
  }
}

static void symbols_come_by_name_where_the_driver_does_not_tell_addresses(void) {
  const char *folder = spoiled_folder("plain", "libcuda", "cuGetProcAddress_v2");
  kc_device *device;
  char message[KC_MESSAGE];
  CHECK(kc_open(0, folder, scratch("cache"), &device, message, sizeof message) == KC_OK);
  kc_close(device);
}

static void the_driver_must_be_new_enough(void) {
  standin()->set("driver", 11080);
  refused(standin_folder, "supports CUDA 11.8; 12.0 or newer is needed");
  char message[KC_MESSAGE];
  setenv("KLUERE_CUDA_LIBRARIES", standin_folder, 1);
  CHECK(kc_count(message, sizeof message) == 0 && strstr(message, "11.8") != NULL);
  standin()->set("driver", 13000);
  CHECK(kc_count(message, sizeof message) == 2 && message[0] == 0);
  standin()->set("devices", 0);
  CHECK(kc_count(message, sizeof message) == 0 && strstr(message, "finds no device") != NULL);
  refused(standin_folder, "finds no device");
  check_clean(1);
}

static void a_device_that_is_not_there(void) {
  kc_device *device;
  char message[KC_MESSAGE];
  CHECK(kc_open(2, standin_folder, NULL, &device, message, sizeof message) == KC_UNSUPPORTED);
  CHECK(strstr(message, "no CUDA device 2; the driver has 2") != NULL);
  CHECK(kc_open(-1, standin_folder, NULL, &device, message, sizeof message) == KC_UNSUPPORTED);
  standin()->set("capability", 61);
  refused(standin_folder, "Stand-in 0 has compute capability 6.1; 7.0 or newer is needed");
  check_clean(1);
}

/* The version is that of the library which was opened. */
static uint64_t cublas_taken(int driver, int capability) {
  kc_device *device;
  kc_info info = {0};
  char message[KC_MESSAGE];
  standin()->set("driver", driver);
  standin()->set("capability", capability);
  if (kc_open(0, standin_folder, scratch("cache"), &device, message, sizeof message) != KC_OK) {
    printf("%s\n", message);
    return 0;
  }
  CHECK(kc_describe(device, &info) == KC_OK);
  CHECK(info.bf16 == (capability >= 80) && info.f16 == 1 && info.driver_version == driver);
  CHECK(info.major * 10 + info.minor == capability && strcmp(info.name, "Stand-in 0") == 0);
  CHECK(device->nvrtc_major == (int)(info.cublas_version / 10000));
  kc_close(device);
  return info.cublas_version;
}

static void the_library_version_follows_driver_and_chip(void) {
  CHECK(cublas_taken(13000, 90) == 130000);
  CHECK(cublas_taken(12080, 90) == 120805);
  CHECK(cublas_taken(13000, 70) == 120805); /* CUDA 13 knows no Volta */
  CHECK(cublas_taken(13000, 75) == 130000);
  check_clean(1);
}

static void a_compiler_that_does_not_know_the_chip_is_passed_over(void) {
  standin()->set("nvrtc_newest", 89);
  refused(standin_folder, "one that does not compile for sm_90");
  check_clean(1);
}

static void the_environment_names_folders(void) {
  kc_device *device;
  char message[KC_MESSAGE], list[4096];
  snprintf(list, sizeof list, "/nowhere::%s:", standin_folder);
  setenv("KLUERE_CUDA_LIBRARIES", list, 1);
  CHECK(kc_open(1, NULL, scratch("cache"), &device, message, sizeof message) == KC_OK);
  kc_info info;
  kc_describe(device, &info);
  CHECK(strcmp(info.name, "Stand-in 1") == 0);
  kc_close(device);
}

static void what_the_process_has_opened_is_found(void) {
  kc_device *device = opened(); /* all three are open now */
  kc_close(device);
  char message[KC_MESSAGE];
  CHECK(kc_open(0, NULL, scratch("cache"), &device, message, sizeof message) == KC_OK);
  kc_close(device);
  check_clean(1);
}

/* NVRTC 13.0 in its wheel. */
static void the_compilers_second_library_is_opened_for_it(void) {
  standin()->set("builtins", 1);
  kc_device *device = opened();
  void *x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 64, &x));
  STATUS(KC_OK, NULL, device, fill(device, x, 1, 16));
  kc_close(device);
  check_clean(1);
}

const test_case loading_cases[] = {{"no driver: every path is named", no_driver_names_every_path},
                                   {"no cublasLt or nvrtc: every path is named", no_cublas_or_nvrtc_names_every_path},
                                   {"a missing symbol is named", a_missing_symbol_is_named},
                                   {"symbols by name", symbols_come_by_name_where_the_driver_does_not_tell_addresses},
                                   {"driver too old, or no device", the_driver_must_be_new_enough},
                                   {"a device that is not there, or too old", a_device_that_is_not_there},
                                   {"library version by driver and chip", the_library_version_follows_driver_and_chip},
                                   {"compiler without the chip", a_compiler_that_does_not_know_the_chip_is_passed_over},
                                   {"folders of the environment", the_environment_names_folders},
                                   {"libraries the process has opened", what_the_process_has_opened_is_found},
                                   {"the compiler's second library", the_compilers_second_library_is_opened_for_it},
                                   {NULL, NULL}};
