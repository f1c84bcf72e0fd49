// test_selftest.cpp - the self-test's expected words: the emulation makes them, and the comparison notices a wrong one.
#include <cstdio>

#include "kernels/parameters.h"
#include "test_support.h"

extern "C" {
#include "selftest.h"
}

static std::vector<uint32_t> emulated_words(checks &t) {
  std::vector<uint32_t> words((size_t)KC_SELFTEST_COUNT * KC_SELFTEST_WORDS, 0);
  const kc_selftest_parameters p = {words.data()};
  for (const int kernel : {KC_K_kc_selftest_common, KC_K_kc_selftest_matrix, KC_K_kc_selftest_bf16})
    t.ok(kc_launch(&t.device, kernel, {1, 1, 1}, kernel == KC_K_kc_selftest_matrix ? 64 : 32, 0, &p, sizeof p),
         "self-test");
  return words;
}

static void selftest_case(checks &t) {
  t.ok(kc_selftest(&t.device), "self-test");
  char message[160] = "";
  std::vector<uint32_t> words = emulated_words(t);
  t.is_true(kc_selftest_check(words.data(), KC_SELFTEST_COUNT, message, sizeof message) == 0, message);
  for (int section = 0; section < KC_SELFTEST_COUNT; section++) { // a wrong word in each is found and named
    uint32_t &word = words[(size_t)section * KC_SELFTEST_WORDS + 21];
    word ^= 0x40;
    t.is_true(kc_selftest_check(words.data(), KC_SELFTEST_COUNT, message, sizeof message) == 1, "a wrong word");
    t.is_true(std::string(message).find("lane 5, word 1") != std::string::npos, message);
    t.is_true(kc_selftest_check(words.data(), section, message, sizeof message) == 0, "sections before it");
    word ^= 0x40;
  }
  t.is_true(kc_selftest_sections(70) == 9 && kc_selftest_sections(75) == 13 && kc_selftest_sections(90) == 15,
            "sections by chip");
}

// Writes selftest_expected.h.
bool write_selftest(const char *path) {
  checks t(0);
  const std::vector<uint32_t> words = emulated_words(t);
  std::FILE *file = std::fopen(path, "w");
  if (t.failed() || file == nullptr) return false;
  std::fprintf(file,
               "/* selftest_expected.h - made by Tests/cuda/test_kernels --write (the emulation); do not edit. */\n"
               "static const uint32_t kc_selftest_expected[KC_SELFTEST_COUNT * KC_SELFTEST_WORDS] = {\n");
  for (size_t i = 0; i < words.size(); i += 8) {
    std::fprintf(file, "   ");
    for (size_t j = i; j < i + 8; j++) std::fprintf(file, " 0x%08x,", (unsigned)words[j]);
    std::fprintf(file, "\n");
  }
  std::fprintf(file, "};\n");
  return std::fclose(file) == 0;
}

void add_selftest_cases() { all_cases().push_back({"self-test", "selftest", "", selftest_case}); }
