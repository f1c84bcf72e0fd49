/* Device memory, copies, scratch. */
#include "host_test.h"

static float *numbers(size_t count, float first) {
  float *x = malloc(count * sizeof *x);
  for (size_t i = 0; i < count; i++) x[i] = first + (float)(i % 1000);
  return x;
}

static void memory_is_zeroed_and_aligned(void) {
  kc_device *device = opened();
  static const size_t sizes[] = {0, 1, 255, 256, 257, 5000, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    void *x = NULL;
    unsigned char *host = malloc(sizes[i] + 1);
    memset(host, 1, sizes[i] + 1);
    STATUS(KC_OK, NULL, device, kc_allocate(device, sizes[i], &x));
    CHECK(x != NULL && (uintptr_t)x % 256 == 0);
    STATUS(KC_OK, NULL, device, kc_copy_out(device, host, x, sizes[i]));
    for (size_t k = 0; k < sizes[i]; k++) {
      if (host[k]) CHECK(!"zero"), k = sizes[i];
    }
    CHECK(host[sizes[i]] == 1);
    free(host);
    if (i % 2) kc_free(device, x);
  }
  kc_free(device, NULL);
  kc_close(device); /* takes the others along */
  check_clean(1);
}

static void no_room_gives_the_sizes(void) {
  kc_device *device = opened();
  uint64_t free_bytes = 0;
  void *x = NULL, *y = (void *)1;
  STATUS(KC_OK, NULL, device, kc_memory_free(device, &free_bytes));
  char words[128];
  CHECK(free_bytes > 0 && free_bytes < device->info.memory_total);
  snprintf(words, sizeof words, "Stand-in 0 has no room for %llu bytes: %llu are free of %llu",
           (unsigned long long)free_bytes + 1, (unsigned long long)free_bytes,
           (unsigned long long)device->info.memory_total);
  STATUS(KC_OUT_OF_MEMORY, words, device, kc_allocate(device, free_bytes + 1, &y));
  CHECK(y == NULL);
  STATUS(KC_OUT_OF_MEMORY, "no room", device, kc_allocate(device, SIZE_MAX, &y));
  STATUS(KC_OUT_OF_MEMORY, "no room", device, kc_allocate(device, SIZE_MAX - 255, &y));
  STATUS(KC_OK, NULL, device, kc_allocate(device, 1000, &x));
  STATUS(KC_OK, NULL, device, fill(device, x, 2, 250));
  STATUS(KC_OUT_OF_MEMORY, "no room", device, kc_allocate(device, SIZE_MAX, &y));
  kc_free(device, x);
  CHECK(strstr(kc_error(device), "no room") != NULL); /* freeing does not take the message away */
  kc_close(device);
  standin()->set("memory", 1 << 20); /* not even the workspace of cublasLt fits */
  char message[KC_MESSAGE];
  CHECK(kc_open(0, standin_folder, scratch("cache"), &device, message, sizeof message) == KC_OUT_OF_MEMORY);
  CHECK(device == NULL && strstr(message, "out of memory") != NULL);
  check_clean(1);
}

/* Sizes below, at and beyond the staging segments; the source is overwritten at once, the device works later. */
static void a_source_may_change_after_copy_in(void) {
  kc_device *device = opened();
  static const size_t counts[] = {1, 63, 64, 65, 1000, 65535, 65536, 65537, 200000, 3000000};
  enum { COUNTS = sizeof counts / sizeof counts[0] };
  void *arrays[COUNTS];
  for (size_t i = 0; i < COUNTS; i++) {
    float *source = numbers(counts[i], (float)i);
    arrays[i] = uploaded(device, source, counts[i] * sizeof *source);
    memset(source, 0xff, counts[i] * sizeof *source);
    free(source);
  }
  for (size_t i = 0; i < COUNTS; i++) {
    float *want = numbers(counts[i], (float)i), *got = calloc(counts[i], sizeof *got);
    STATUS(KC_OK, NULL, device, kc_copy_out(device, got, arrays[i], counts[i] * sizeof *got));
    CHECK(memcmp(want, got, counts[i] * sizeof *got) == 0);
    free(want);
    free(got);
  }
  kc_close(device);
  check_clean(1);
}

/* Many small copies, more than the segments hold together, with kernels between them that read what was copied. */
static void small_copies_do_not_overtake(void) {
  kc_device *device = opened();
  enum { ROUNDS = 3000, COUNT = 700 };
  void *x, *sum;
  STATUS(KC_OK, NULL, device, kc_allocate(device, COUNT * 4, &x));
  STATUS(KC_OK, NULL, device, kc_allocate(device, ROUNDS * 4, &sum));
  float source[COUNT];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COUNT; i++) source[i] = (float)(round + i);
    STATUS(KC_OK, NULL, device, kc_copy_in(device, x, source, sizeof source));
    STATUS(KC_OK, NULL, device, kc_copy(device, (float *)sum + round, (float *)x + round % COUNT, 4));
  }
  CHECK(standin()->calls("cuStreamSynchronize") == 0); /* it waits for events, and only when the ring is full */
  CHECK(standin()->calls("cuEventSynchronize") <= ROUNDS * 3072 / KC_SEGMENT_BYTES + 1);
  float *got = calloc(ROUNDS, sizeof *got);
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, sum, ROUNDS * 4));
  int same = 1;
  for (int round = 0; round < ROUNDS; round++) same &= got[round] == (float)(round + round % COUNT);
  CHECK(same);
  free(got);
  kc_close(device);
  check_clean(1);
}

static void copies_and_zeros_on_the_device(void) {
  kc_device *device = opened();
  float source[100], got[100];
  for (int i = 0; i < 100; i++) source[i] = (float)i;
  void *x = uploaded(device, source, sizeof source), *y;
  STATUS(KC_OK, NULL, device, kc_allocate(device, sizeof source, &y));
  STATUS(KC_OK, NULL, device, kc_copy(device, y, x, sizeof source));
  STATUS(KC_OK, NULL, device, kc_zero(device, (float *)y + 10, 40));
  STATUS(KC_OK, NULL, device, fill(device, (float *)y + 30, 7, 10));
  STATUS(KC_OK, NULL, device, kc_copy(device, y, x, 0));
  STATUS(KC_OK, NULL, device, kc_zero(device, y, 0));
  STATUS(KC_OK, NULL, device, kc_copy_in(device, y, source, 0));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, y, 0));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, y, sizeof got));
  for (int i = 0; i < 100; i++) {
    float want = i >= 10 && i < 20 ? 0 : i >= 30 && i < 40 ? 7 : (float)i;
    if (got[i] != want) CHECK(!"the expected value");
  }
  STATUS(KC_OK, NULL, device, kc_synchronize(device));
  kc_close(device);
  check_clean(1);
}

static void *scratch_of(kc_device *device, size_t bytes) {
  void *memory = NULL;
  STATUS(KC_OK, NULL, device, kc_enter(device));
  STATUS(KC_OK, NULL, device, kc_scratch(device, bytes, &memory));
  STATUS(KC_OK, NULL, device, kc_leave(device, KC_OK));
  CHECK((uintptr_t)memory % 256 == 0);
  return memory;
}

static void scratch_only_grows(void) {
  kc_device *device = opened();
  void *small = scratch_of(device, 1000);
  CHECK(scratch_of(device, 10) == small);
  long before = standin()->live(NULL, 0);
  void *large = scratch_of(device, 100000);
  STATUS(KC_OK, NULL, device, kc_zero(device, large, 100000));
  CHECK(standin()->live(NULL, 0) == before); /* the small one is gone */
  CHECK(scratch_of(device, 1000) == large);
  standin()->set("memory", (32 << 20) + (1 << 20));
  CHECK(scratch_of(device, 700000) != NULL); /* twice the old size fits no more, but this does */
  kc_close(device);
  check_clean(1);
}

static void unknown_memory_is_not_freed(void) {
  kc_device *device = opened();
  int local = 0;
  void *x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 100, &x));
  kc_free(device, &local);
  kc_free(device, (char *)x + 1);
  kc_free(device, x);
  kc_free(device, x);
  CHECK(kc_enter(NULL) == KC_FAILED && strcmp(kc_error(NULL), "") == 0);
  kc_close(NULL);
  kc_close(device);
  check_clean(1);
}

const test_case memory_cases[] = {{"memory is zeroed and aligned", memory_is_zeroed_and_aligned},
                                  {"no room gives the sizes", no_room_gives_the_sizes},
                                  {"a source may change after copy_in", a_source_may_change_after_copy_in},
                                  {"small copies do not overtake", small_copies_do_not_overtake},
                                  {"copies and zeros on the device", copies_and_zeros_on_the_device},
                                  {"scratch only grows", scratch_only_grows},
                                  {"unknown memory is not freed", unknown_memory_is_not_freed},
                                  {NULL, NULL}};
