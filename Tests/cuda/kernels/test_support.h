// test_support.h - arrays of every number type, random values, comparisons, masks of the CPU library, the list of
// cases.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fake_engine.h"

double element(const void *array, int type, size_t i);
void set_element(void *array, int type, size_t i, double value);
const char *type_name(int type);

using numbers = std::vector<double>;

// Device memory: ends where it must, begins `shift` elements behind an aligned address, and is NaN until written.
class array {
public:
  array(int type, size_t count, size_t shift = 0);
  array(int type, const numbers &values, size_t shift = 0);
  ~array();
  array(const array &) = delete;
  array &operator=(const array &) = delete;
  void poison();
  void set(const numbers &values);
  numbers values() const;
  bool same_bits(const array &other) const;
  kc_array view() const { return {at, type}; }
  float *f32() const { return static_cast<float *>(at); }
  size_t size() const { return count; }
  int type;

private:
  size_t count, bytes;
  unsigned char *memory;
  void *at;
};
// The values as numbers of a type.
numbers rounded(int type, const numbers &values);

// Repeatable, in [-1, 1).
class random_values {
public:
  explicit random_values(uint64_t seed) : state(seed * 2654435761u + 12345) {}
  double next();
  size_t below(size_t n);
  numbers many(size_t count, double scale = 1, double shift = 0);

private:
  uint64_t state;
};

// Dropout as the CPU library has it, for `rows` rows.
class masks {
public:
  masks(double p, size_t rows, uint32_t site, random_values &random);
  const kc_dropout *get() const { return threshold ? &dropout : nullptr; }
  // What element (row, column) is multiplied by: computed by the CPU library's C code.
  numbers factors(size_t row, size_t columns, uint32_t site_offset = 0) const;
  std::vector<uint32_t> sample, position;
  uint32_t threshold;
  kc_dropout dropout;
};

// One run of a case.
class checks {
public:
  explicit checks(uint64_t seed) { device.seed = seed; }
  void ok(int status, const std::string &what);
  void is_true(bool value, const std::string &what);
  // Relative distance in the 2-norm, at most `tolerance`; NaN fails.
  void close(const numbers &found, const numbers &expected, double tolerance, const std::string &what);
  void near(double found, double expected, double tolerance, const std::string &what);
  bool failed() const { return failures > 0; }
  kc_device device;
  bool quiet = false;
  unsigned failures = 0, compared = 0;
};
// The largest distance of each comparison so far, for the report.
void report_distances();

struct test_case {
  std::string name;
  const char *file; // whose kernels it runs
  const char *kind; // number types: end of those kernels' names; "": others
  std::function<void(checks &)> run;
};
std::vector<test_case> &all_cases();
void add_attention_cases();
void add_attention_text_cases();
void add_norm_cases();
void add_embedding_cases();
void add_elementwise_cases();
void add_linear_cases();
void add_loss_cases();
void add_optimizer_cases();
void add_selftest_cases();
bool write_selftest(const char *path);

// Number types of values and stream that operations take together.
struct type_pair {
  int values, stream;
  const char *kind;
};
extern const std::vector<type_pair> type_pairs;
extern const std::vector<int> all_types; // F32, BF16, F16
// What rounding a result once to this type costs, with some room.
double rounding(int type);
