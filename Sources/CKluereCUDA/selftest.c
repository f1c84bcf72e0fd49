/* selftest.c - whether the chip does what the emulation says (kernels/selftest.cu). */
#include <stdio.h>

#include "operation.h"
#include "selftest.h"
#include "selftest_expected.h"

typedef struct section {
  const char *name;
  uint32_t units;
} section;

#define SECTION(name, units) {#name, units},
static const section sections[] = {KC_SELFTEST_SECTIONS(SECTION)};
#undef SECTION

/* Floats of one sign lie in the order of their bits. */
static int within(uint32_t found, uint32_t expected, uint32_t units) {
  uint32_t distance = found > expected ? found - expected : expected - found;
  return distance <= units;
}

int kc_selftest_sections(int capability) {
  if (capability >= 80) return KC_SELFTEST_COUNT;
  return capability >= 75 ? KC_SELFTEST_bf16 : KC_SELFTEST_load_matrices;
}

int kc_selftest_check(const uint32_t *found, int count, char *message, size_t capacity) {
  for (int i = 0; i < count; i++) {
    for (int word = 0; word < KC_SELFTEST_WORDS; word++) {
      int at = i * KC_SELFTEST_WORDS + word;
      if (within(found[at], kc_selftest_expected[at], sections[i].units)) continue;
      snprintf(message, capacity, "self-test: %s, lane %d, word %d: found %08x, expected %08x", sections[i].name,
               word / 4, word % 4, (unsigned)found[at], (unsigned)kc_selftest_expected[at]);
      return 1;
    }
  }
  return 0;
}

static int run(kc_device *device, uint32_t *found) {
  int status = kc_enter(device), capability = kc_compute_capability(device);
  if (status != KC_OK) return status;
  kc_selftest_parameters p = {.found = found};
  kc_grid one = {1, 1, 1};
  status = kc_load_kernels(device);
  if (status == KC_OK) status = kc_launch(device, KC_K_kc_selftest_common, one, 32, 0, &p, sizeof p);
  if (status == KC_OK && capability >= 75)
    status = kc_launch(device, KC_K_kc_selftest_matrix, one, 64, 0, &p, sizeof p);
  if (status == KC_OK && capability >= 80) status = kc_launch(device, KC_K_kc_selftest_bf16, one, 32, 0, &p, sizeof p);
  return kc_leave(device, status);
}

int kc_selftest(kc_device *device) {
  uint32_t found[KC_SELFTEST_COUNT * KC_SELFTEST_WORDS];
  char message[512] = "";
  void *memory = NULL;
  int status = kc_allocate(device, sizeof found, &memory);
  if (status != KC_OK) return status;
  status = run(device, memory);
  if (status == KC_OK) status = kc_copy_out(device, found, memory, sizeof found);
  /* Freeing is a call like any other and takes the message with it. */
  if (status != KC_OK) {
    snprintf(message, sizeof message, "%s", kc_error(device));
  } else if (kc_selftest_check(found, kc_selftest_sections(kc_compute_capability(device)), message, sizeof message)) {
    status = KC_FAILED;
  }
  kc_free(device, memory);
  return status == KC_OK ? KC_OK : kc_fail(device, status, "%s", message);
}
