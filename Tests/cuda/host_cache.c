/* Compiled kernels on disk. */
#include "host_test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static kc_device *opened_with(const char *cache) {
  kc_device *device = NULL;
  char message[KC_MESSAGE];
  CHECK(kc_open(0, standin_folder, cache, &device, message, sizeof message) == KC_OK);
  return device;
}

/* Opens, runs a kernel, closes; the number of compilations that took. */
static long compilations(const char *cache) {
  long before = standin()->calls("nvrtcCompileProgram");
  kc_device *device = opened_with(cache);
  void *x;
  float got[10] = {0};
  STATUS(KC_OK, NULL, device, kc_allocate(device, sizeof got, &x));
  STATUS(KC_OK, NULL, device, fill(device, x, 4, 10));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, x, sizeof got));
  CHECK(got[0] == 4 && got[9] == 4);
  kc_close(device);
  check_clean(1);
  return standin()->calls("nvrtcCompileProgram") - before;
}

/* Number of files, with the path of the last. */
static int files(const char *folder, char path[4096]) {
  int count = 0;
  DIR *open_folder = opendir(folder);
  if (!open_folder) return 0;
  for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, 4096, "%s/%s", folder, entry->d_name);
    count++;
  }
  closedir(open_folder);
  return count;
}

static void the_second_time_nothing_is_compiled(void) {
  char path[4096];
  const char *cache = scratch("deep/er/cache");
  CHECK(compilations(cache) == 1);
  CHECK(files(cache, path) == 1 && strlen(strrchr(path, '/')) == 1 + 64 + 6);
  CHECK(compilations(cache) == 0);
  standin()->set("capability", 80); /* another chip, another file */
  CHECK(compilations(cache) == 1);
  CHECK(files(cache, path) == 2);
  standin()->set("driver", 12040); /* another compiler */
  CHECK(compilations(cache) == 1);
  standin()->set("driver", 13000);
  standin()->set("capability", 90);
  CHECK(compilations(cache) == 0);
}

static void damage(const char *path, long at, int cut) {
  FILE *file = fopen(path, "r+b");
  fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
  int byte = fgetc(file);
  fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
  fputc(byte ^ 1, file);
  fclose(file);
  if (cut >= 0) CHECK(truncate(path, cut) == 0);
}

static void damaged_files_are_compiled_again(void) {
  char path[4096];
  const char *cache = scratch("cache");
  CHECK(compilations(cache) == 1 && files(cache, path) == 1);
  struct stat status;
  CHECK(stat(path, &status) == 0 && status.st_size > 33);
  const struct {
    long at;
    int cut;
  } damages[] = {
      {0, -1}, {20, -1}, {-1, -1}, {-33, -1}, {0, 0}, {0, 31}, {0, 32}, {1, 33}, {3, (int)status.st_size - 1}};
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    damage(path, damages[i].at, damages[i].cut);
    CHECK(compilations(cache) == 1); /* and written again */
    CHECK(compilations(cache) == 0);
  }
  CHECK(unlink(path) == 0 && mkdir(path, 0777) == 0); /* a folder in its place */
  CHECK(compilations(cache) == 1);
  CHECK(compilations(cache) == 1);
  CHECK(rmdir(path) == 0 && symlink("/nowhere/at/all", path) == 0);
  CHECK(compilations(cache) == 1);
  CHECK(files(cache, path) == 1); /* no temporary file is left */
}

/* A file that is whole, but that this driver does not take. */
static void an_image_the_driver_refuses_is_compiled_again(void) {
  const char *cache = scratch("cache");
  CHECK(compilations(cache) == 1);
  static const int refusals[] = {CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_NO_BINARY_FOR_GPU};
  for (int i = 0; i < 2; i++) {
    standin()->fail("cuModuleLoadData", 1, refusals[i]);
    CHECK(compilations(cache) == 1);
  }
  CHECK(compilations(cache) == 0);
}

/* The tests may run as root, for whom no folder is read-only; these are none for anybody. */
static void a_folder_that_cannot_be_written_is_tolerated(void) {
  const char *file = scratch("file");
  FILE *made = fopen(file, "wb");
  fclose(made);
  CHECK(compilations("/proc/1/nowhere") == 1);
  CHECK(compilations("/proc/1/nowhere") == 1);
  CHECK(compilations(file) == 1);
  char below[4096];
  snprintf(below, sizeof below, "%s/below", file);
  CHECK(compilations(below) == 1);
  unsetenv("HOME");
  unsetenv("XDG_CACHE_HOME");
  CHECK(compilations(NULL) == 1);
  const char *cache = scratch("read-only");
  make_folder(cache);
  CHECK(chmod(cache, 0555) == 0);
  CHECK(compilations(cache) == 1);
  if (geteuid() != 0) CHECK(compilations(cache) == 1);
}

static void the_environment_says_where(void) {
  char path[4096];
  setenv("HOME", scratch("home"), 1);
  unsetenv("XDG_CACHE_HOME");
  CHECK(compilations(NULL) == 1 && files(scratch("home/.cache/kluere"), path) == 1);
  setenv("XDG_CACHE_HOME", scratch("xdg"), 1);
  CHECK(compilations(NULL) == 1 && files(scratch("xdg/kluere"), path) == 1);
  setenv("KLUERE_CACHE", scratch("own"), 1);
  CHECK(compilations(NULL) == 1 && files(scratch("own"), path) == 1);
  CHECK(compilations("") == 0);
  CHECK(compilations(scratch("given")) == 1 && files(scratch("given"), path) == 1);
}

static void processes_share_a_cache(void) {
  enum { PROCESSES = 8 };
  const char *cache = scratch("shared");
  pid_t children[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      for (int k = 0; k < 5; k++) {
        if (compilations(cache) > 1) _exit(1);
        char path[4096];
        /* Whoever finds the file removes it now and then, while the others read and write. */
        if (i % 3 == 0 && files(cache, path) > 0) unlink(path);
      }
      _exit(0);
    }
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status = 1;
    CHECK(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  compilations(cache);
  char path[4096];
  CHECK(files(cache, path) == 1);
  CHECK(compilations(cache) == 0);
}

static void a_failed_compilation_shows_the_log(void) {
  kc_device *device = opened_with(scratch("cache"));
  void *x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 64, &x));
  standin()->fail("nvrtcCompileProgram", 1, NVRTC_ERROR_COMPILATION);
  STATUS(KC_FAILED, "libnvrtc 13.0 does not compile elementwise.cu for sm_90", device, fill(device, x, 1, 4));
  CHECK(strstr(kc_error(device), "identifier \"wanted_by_the_test\" is undefined") != NULL);
  char path[4096];
  CHECK(files(scratch("cache"), path) == 0); /* nothing is kept of it */
  STATUS(KC_OK, NULL, device, fill(device, x, 1, 4));
  kc_close(device);
  check_clean(1);
}

/* Every file of kernels/ is embedded and finds what it includes; on chips before Ampere the bf16 kernels are missing.
 * */
static void every_kernel_loads(void) {
  static const int chips[] = {70, 75, 80, 90, 120};
  for (size_t i = 0; i < sizeof chips / sizeof chips[0]; i++) {
    standin()->set("capability", chips[i]);
    kc_device *device = opened_with(scratch("cache"));
    STATUS(KC_OK, NULL, device, kc_enter(device));
    STATUS(KC_OK, NULL, device, kc_load_kernels(device));
    STATUS(KC_OK, NULL, device, kc_leave(device, KC_OK));
    int missing = 0;
    for (int kernel = 0; kernel < KC_KERNEL_COUNT; kernel++) missing += device->kernels[kernel].absent;
    CHECK(chips[i] >= 80 ? missing == 0 : missing > 0 && missing < KC_KERNEL_COUNT / 2);
    if (missing > 0) {
      void *x;
      STATUS(KC_OK, NULL, device, kc_allocate(device, 64, &x));
      STATUS(KC_UNSUPPORTED, "Stand-in 0 has no kernel kc_convert_bf16_from_f32", device,
             kc_convert(device, (kc_array){x, KC_BF16}, (kc_array){(float *)x + 8, KC_F32}, 8));
    }
    kc_close(device);
  }
  check_clean(1);
}

static void the_selftest_passes_in_the_emulation(void) {
  kc_device *device = opened_with(scratch("cache"));
  STATUS(KC_OK, NULL, device, kc_selftest(device));
  kc_close(device);
  check_clean(1);
}

/* FIPS 180-4's examples, and lengths around the block's end against coreutils' sha256sum. */
static void digest_text(const void *data, size_t bytes, size_t piece, char text[65]) {
  kc_sha256 sha;
  unsigned char digest[32];
  kc_sha256_start(&sha);
  for (size_t at = 0; at < bytes; at += piece) {
    kc_sha256_add(&sha, (const char *)data + at, bytes - at < piece ? bytes - at : piece);
  }
  kc_sha256_finish(&sha, digest);
  for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void sha256_is_sha256(void) {
  char text[65], command[4096], line[128] = "";
  digest_text("abc", 3, 3, text);
  CHECK(strcmp(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
  digest_text("", 0, 1, text);
  CHECK(strcmp(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0);
  unsigned char bytes[300];
  for (int i = 0; i < 300; i++) bytes[i] = (unsigned char)(i * 7);
  for (size_t length = 50; length <= 300; length += length < 70 ? 1 : 46) {
    FILE *file = fopen(scratch("bytes"), "wb");
    fwrite(bytes, 1, length, file);
    fclose(file);
    snprintf(command, sizeof command, "sha256sum < %s", scratch("bytes"));
    FILE *pipe = popen(command, "r");
    CHECK(pipe && fgets(line, sizeof line, pipe) != NULL);
    pclose(pipe);
    digest_text(bytes, length, length % 3 ? length : 13, text);
    CHECK(strncmp(text, line, 64) == 0);
  }
}

const test_case cache_cases[] = {
    {"the second time nothing is compiled", the_second_time_nothing_is_compiled},
    {"damaged files are compiled again", damaged_files_are_compiled_again},
    {"an image the driver refuses is compiled again", an_image_the_driver_refuses_is_compiled_again},
    {"a folder that cannot be written is tolerated", a_folder_that_cannot_be_written_is_tolerated},
    {"the environment says where the cache is", the_environment_says_where},
    {"processes share a cache", processes_share_a_cache},
    {"a failed compilation shows the log", a_failed_compilation_shows_the_log},
    {"every kernel loads", every_kernel_loads},
    {"the self-test passes in the emulation", the_selftest_passes_in_the_emulation},
    {"SHA-256", sha256_is_sha256},
    {NULL, NULL}};
