// test_support.cpp
#include "test_support.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "device.cuh"

extern "C" {
#include "elementwise.h"
}

const std::vector<type_pair> type_pairs = {{KC_F32, KC_F32, "f32"},
                                           {KC_BF16, KC_BF16, "bf16"},
                                           {KC_BF16, KC_F32, "bf16_f32"},
                                           {KC_F16, KC_F16, "f16"},
                                           {KC_F16, KC_F32, "f16_f32"}};
const std::vector<int> all_types = {KC_F32, KC_BF16, KC_F16};

double rounding(int type) { return type == KC_BF16 ? 3e-3 : type == KC_F16 ? 4e-4 : 2e-6; }

const char *type_name(int type) { return type == KC_BF16 ? "bf16" : type == KC_F16 ? "f16" : "f32"; }

double element(const void *array, int type, size_t i) {
  if (!kc_is_half(type)) return static_cast<const float *>(array)[i];
  const kc_u16 word = static_cast<const kc_u16 *>(array)[i];
  return type == KC_BF16 ? kc_type_bf16::up(word) : kc_type_f16::up(word);
}

void set_element(void *array, int type, size_t i, double value) {
  if (!kc_is_half(type))
    static_cast<float *>(array)[i] = (float)value;
  else
    static_cast<kc_u16 *>(array)[i] =
        type == KC_BF16 ? kc_type_bf16::down((float)value) : kc_type_f16::down((float)value);
}

array::array(int type, size_t count, size_t shift) : type(type), count(count), bytes(count * kc_type_bytes(type)) {
  const size_t before = shift * kc_type_bytes(type);
  void *block = nullptr;
  if (posix_memalign(&block, 256, before + bytes + (before + bytes == 0)) != 0) std::abort();
  memory = static_cast<unsigned char *>(block);
  at = memory + before;
  poison();
}
array::array(int type, const numbers &values, size_t shift) : array(type, values.size(), shift) { set(values); }
array::~array() { std::free(memory); }
void array::poison() { std::memset(at, 0xff, bytes); }
void array::set(const numbers &values) {
  for (size_t i = 0; i < count; i++) set_element(at, type, i, values[i]);
}
numbers array::values() const {
  numbers v(count);
  for (size_t i = 0; i < count; i++) v[i] = element(at, type, i);
  return v;
}
bool array::same_bits(const array &other) const {
  return bytes == other.bytes && std::memcmp(at, other.at, bytes) == 0;
}

numbers rounded(int type, const numbers &values) { return array(type, values).values(); }

double random_values::next() {
  state = state * 6364136223846793005ull + 1442695040888963407ull;
  return (double)(state >> 33) / (double)(1u << 30) - 1;
}
size_t random_values::below(size_t n) { return (size_t)((next() + 1) / 2 * (double)n) % n; }
numbers random_values::many(size_t count, double scale, double shift) {
  numbers v(count);
  for (double &x : v) x = next() * scale + shift;
  return v;
}

masks::masks(double p, size_t rows, uint32_t site, random_values &random)
    : sample(rows), position(rows), threshold((uint32_t)std::lround(p * 65536)) {
  for (size_t i = 0; i < rows; i++) {
    sample[i] = (uint32_t)random.below(1000);
    position[i] = (uint32_t)random.below(512);
  }
  dropout = {0x123456789abcdef0ull, threshold, site, sample.data(), position.data()};
}

numbers masks::factors(size_t row, size_t columns, uint32_t site_offset) const {
  if (threshold == 0) return numbers(columns, 1.0);
  std::vector<float> ones(columns, 1.0f), kept(columns);
  const kk_dropout own = {dropout.seed, threshold, dropout.site + site_offset, &sample[row], &position[row]};
  kk_elementwise_plain.dropout(kept.data(), ones.data(), {0, 1, columns}, &own);
  return numbers(kept.begin(), kept.end());
}

// ---- comparisons ----

static std::map<std::string, double> &distances() {
  static std::map<std::string, double> map;
  return map;
}

void checks::ok(int status, const std::string &what) {
  is_true(status == KC_OK, what + ": status " + std::to_string(status) + ": " + device.message);
}

void checks::is_true(bool value, const std::string &what) {
  compared++;
  if (value) return;
  failures++;
  if (!quiet) std::printf("  FAILED %s\n", what.c_str());
}

void checks::close(const numbers &found, const numbers &expected, double tolerance, const std::string &what) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
    size += expected[i] * expected[i];
  }
  const double distance = size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
  double &worst = distances()[what];
  worst = std::fmax(worst, distance);
  char line[160];
  std::snprintf(line, sizeof line, "%s: distance %.3g, at most %.3g", what.c_str(), distance, tolerance);
  is_true(found.size() == expected.size() && distance <= tolerance, line);
}

void checks::near(double found, double expected, double tolerance, const std::string &what) {
  close({found}, {expected}, tolerance, what);
}

void report_distances() {
  for (const auto &[what, distance] : distances()) std::printf("  %-44s %.1e\n", what.c_str(), distance);
}

std::vector<test_case> &all_cases() {
  static std::vector<test_case> cases;
  return cases;
}
