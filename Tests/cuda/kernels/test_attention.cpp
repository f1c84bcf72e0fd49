// test_attention.cpp - attention and its gradient, against three loops in double, and against the CPU library.
#include <algorithm>

#include "test_support.h"

extern "C" {
#include "elementwise.h"
}

struct shape {
  std::vector<size_t> lengths;
  size_t heads, width;
  double p;
};

struct problem {
  shape s;
  int type;
  std::vector<int32_t> offsets;
  size_t rows, longest, layer;
  masks mask;
  array qkv, dout;
  numbers q, d;
  // A row before the first sequence and one after the last belong to nobody.
  problem(int type, const shape &s, random_values &random)
      : s(s), type(type), offsets(1, 1), rows(2), longest(1), layer(s.heads * s.width),
        mask(s.p, count_rows(s.lengths), 5, random), qkv(type, count_rows(s.lengths) * 3 * layer),
        dout(type, count_rows(s.lengths) * layer) {
    for (const size_t length : s.lengths) {
      offsets.push_back(offsets.back() + (int32_t)length);
      longest = length > longest ? length : longest;
    }
    rows = count_rows(s.lengths);
    qkv.set(random.many(qkv.size(), 1.5));
    dout.set(random.many(dout.size()));
    q = qkv.values();
    d = dout.values();
  }
  static size_t count_rows(const std::vector<size_t> &lengths) {
    size_t rows = 2;
    for (const size_t length : lengths) rows += length;
    return rows;
  }
  size_t in_qkv(size_t row, size_t part, size_t head) const { return (row * 3 + part) * layer + head * s.width; }
  size_t in_out(size_t row, size_t head) const { return row * layer + head * s.width; }
};

struct answers {
  numbers out, lse, dqkv;
};

static double dot(const numbers &a, size_t i, const numbers &b, size_t j, size_t n) {
  double sum = 0;
  for (size_t k = 0; k < n; k++) sum += a[i + k] * b[j + k];
  return sum;
}
static void add(numbers &to, size_t i, const numbers &from, size_t j, size_t n, double factor) {
  for (size_t k = 0; k < n; k++) to[i + k] += factor * from[j + k];
}

static void answer_head(const problem &p, answers &a, size_t begin, size_t length, size_t head) {
  const double scale = 1 / std::sqrt((double)p.s.width);
  const size_t n = p.s.width;
  for (size_t i = begin; i < begin + length; i++) {
    numbers weight(length), slope(length);
    const numbers factor = p.mask.factors(i, length, (uint32_t)head);
    double sum = 0, mean = 0;
    for (size_t j = 0; j < length; j++)
      sum += weight[j] = std::exp(scale * dot(p.q, p.in_qkv(i, 0, head), p.q, p.in_qkv(begin + j, 1, head), n));
    a.lse[head * p.rows + i] = std::log(sum);
    for (size_t j = 0; j < length; j++) {
      weight[j] /= sum;
      add(a.out, p.in_out(i, head), p.q, p.in_qkv(begin + j, 2, head), n, weight[j] * factor[j]);
      slope[j] = factor[j] * dot(p.d, p.in_out(i, head), p.q, p.in_qkv(begin + j, 2, head), n);
      mean += slope[j] * weight[j];
    }
    for (size_t j = 0; j < length; j++) {
      const double ds = weight[j] * (slope[j] - mean) * scale;
      add(a.dqkv, p.in_qkv(i, 0, head), p.q, p.in_qkv(begin + j, 1, head), n, ds);
      add(a.dqkv, p.in_qkv(begin + j, 1, head), p.q, p.in_qkv(i, 0, head), n, ds);
      add(a.dqkv, p.in_qkv(begin + j, 2, head), p.d, p.in_out(i, head), n, weight[j] * factor[j]);
    }
  }
}

static answers answer(const problem &p) {
  answers a = {numbers(p.rows * p.layer, 0), numbers(p.s.heads * p.rows, 0), numbers(p.rows * 3 * p.layer, 0)};
  for (size_t s = 0; s < p.s.lengths.size(); s++)
    for (size_t head = 0; head < p.s.heads; head++) answer_head(p, a, (size_t)p.offsets[s], p.s.lengths[s], head);
  return a;
}

// Rows of nobody must be as they were (NaN); the rest is compared, with those left out.
static numbers owned(checks &t, const numbers &found, size_t per_row, size_t rows, const std::string &what) {
  for (size_t i = 0; i < per_row; i++)
    t.is_true(std::isnan(found[i]) && std::isnan(found[(rows - 1) * per_row + i]), what + ": rows of no sequence");
  return numbers(found.begin() + (long)per_row, found.end() - (long)per_row);
}

static kc_array behind(const array &a, size_t elements) {
  return {static_cast<char *>(a.view().data) + elements * (a.type == KC_F32 ? 4 : 2), a.type};
}
static kc_array keys_of(const problem &p, const array &qkv) { return behind(qkv, p.layer); }
// Every row is a query, and queries lie beside their keys.
static kc_attention_input joined(const problem &p, size_t longest) {
  return {p.qkv.view(),       keys_of(p, p.qkv), 3 * p.layer,        3 * p.layer, p.offsets.data(),
          p.offsets.data(),   nullptr,           p.s.lengths.size(), p.rows,      longest,
          longest,            p.s.heads,         p.s.width};
}

static void attention_case(checks &t, int type, const shape &s, int capability) {
  random_values random(s.width + s.lengths[0]);
  const problem p(type, s, random);
  const answers a = answer(p);
  t.device.capability = capability;
  const std::string name =
      std::string("attention ") + type_name(type) + (capability < 75 ? " without tensor cores" : "");
  array out(type, p.rows * p.layer), lse(KC_F32, s.heads * p.rows), dqkv(type, p.rows * 3 * p.layer);
  const kc_attention_input input = joined(p, p.longest), longer = joined(p, p.longest + 40);
  t.ok(kc_attention(&t.device, out.view(), lse.f32(), &input, p.mask.get()), name);
  const double tolerance = type == KC_F32 ? 3e-6 : 2 * rounding(type);
  t.close(owned(t, out.values(), p.layer, p.rows, name),
          numbers(a.out.begin() + (long)p.layer, a.out.end() - (long)p.layer), tolerance, name);
  const numbers found = lse.values();
  for (size_t head = 0; head < s.heads; head++) {
    const auto at = [&](const numbers &v) {
      return numbers(v.begin() + (long)(head * p.rows + 1), v.begin() + (long)((head + 1) * p.rows - 1));
    };
    t.close(at(found), at(a.lse), 2e-6, name + " lse");
  }
  array again(type, p.rows * p.layer);
  t.ok(kc_attention(&t.device, again.view(), nullptr, &longer, p.mask.get()), name);
  t.is_true(again.same_bits(out), name + ": the same without lse and with a longer `longest`");
  t.ok(kc_attention_backward(&t.device, dqkv.view(), keys_of(p, dqkv), p.dout.view(), out.view(), lse.f32(), &input,
                             p.mask.get()),
       name);
  t.close(owned(t, dqkv.values(), 3 * p.layer, p.rows, name),
          numbers(a.dqkv.begin() + (long)(3 * p.layer), a.dqkv.end() - (long)(3 * p.layer)), 1.5 * tolerance,
          name + " backward");
}

// Some rows of `from`, `per_row` numbers each from column `first` of `stride`.
static numbers chosen(const numbers &from, const std::vector<size_t> &rows, size_t stride, size_t first,
                      size_t per_row) {
  numbers some;
  for (const size_t row : rows)
    some.insert(some.end(), from.begin() + (long)(row * stride + first),
                from.begin() + (long)(row * stride + first + per_row));
  return some;
}

// Only some tokens ask, and queries lie in an array of their own: results are those of the whole, gradients those of the
// whole with none for the others' results. s.lengths[1] asks nothing.
static void some_queries_case(checks &t, int type, const shape &s, int capability) {
  random_values random(s.width + 3);
  problem p(type, s, random);
  t.device.capability = capability;
  const std::string name = std::string("attention of some rows, ") + type_name(type);
  std::vector<size_t> rows(1, 0); // row 0 belongs to nobody, and so does the last
  std::vector<int32_t> offsets(1, 1);
  size_t longest = 0;
  for (size_t i = 0; i < s.lengths.size(); i++) {
    const size_t before = rows.size();
    for (size_t row = 0; row < s.lengths[i]; row++)
      if (i != 1 && (row < 2 || row % 5 == 3)) rows.push_back((size_t)p.offsets[i] + row);
    offsets.push_back((int32_t)rows.size());
    longest = std::max(longest, rows.size() - before);
  }
  rows.push_back(p.rows - 1);
  numbers gradients(p.d.size(), 0);
  for (const size_t row : rows)
    for (size_t c = 0; c < p.layer; c++) gradients[row * p.layer + c] = p.d[row * p.layer + c];
  p.d = gradients;
  const answers a = answer(p);
  const size_t n = rows.size();
  const array queries(type, chosen(p.q, rows, 3 * p.layer, 0, p.layer)),
      dout(type, chosen(p.d, rows, p.layer, 0, p.layer));
  array out(type, n * p.layer), lse(KC_F32, s.heads * n), dqueries(type, n * p.layer), dqkv(type, p.rows * 3 * p.layer);
  std::vector<uint32_t> sample, position;
  for (const size_t row : rows) {
    sample.push_back(p.mask.sample[row]);
    position.push_back(p.mask.position[row]);
  }
  kc_dropout dropout = p.mask.dropout;
  dropout.sample = sample.data();
  dropout.position = position.data();
  const kc_dropout *mask = p.mask.get() ? &dropout : nullptr;
  const kc_attention_input input = {queries.view(),     keys_of(p, p.qkv), p.layer, 3 * p.layer,
                                    offsets.data(),     p.offsets.data(),  nullptr, s.lengths.size(),
                                    n,                  longest,           p.longest, s.heads,
                                    s.width};
  t.ok(kc_attention(&t.device, out.view(), lse.f32(), &input, mask), name);
  const double tolerance = type == KC_F32 ? 3e-6 : 2 * rounding(type);
  const std::vector<size_t> inner(rows.begin() + 1, rows.end() - 1);
  t.close(owned(t, out.values(), p.layer, n, name), chosen(a.out, inner, p.layer, 0, p.layer), tolerance, name);
  t.ok(kc_attention_backward(&t.device, dqueries.view(), keys_of(p, dqkv), dout.view(), out.view(), lse.f32(), &input,
                             mask),
       name);
  t.close(owned(t, dqueries.values(), p.layer, n, name), chosen(a.dqkv, inner, 3 * p.layer, 0, p.layer),
          1.5 * tolerance, name + " queries backward");
  std::vector<size_t> tokens;
  for (size_t row = 1; row + 1 < p.rows; row++) tokens.push_back(row);
  const numbers found = dqkv.values();
  t.close(chosen(found, tokens, 3 * p.layer, p.layer, 2 * p.layer),
          chosen(a.dqkv, tokens, 3 * p.layer, p.layer, 2 * p.layer), 1.5 * tolerance, name + " keys backward");
  for (size_t row = (size_t)p.offsets[1]; row < (size_t)p.offsets[2]; row++)
    for (size_t c = p.layer; c < 3 * p.layer; c++)
      t.is_true(found[row * 3 * p.layer + c] == 0, name + ": keys that nobody asks have no gradient");
}

// The CPU library's own attention on the same numbers and masks.
static void cpu_case(checks &t) {
  random_values random(77);
  const problem p(KC_F32, {{37, 70}, 2, 24, 0.1}, random);
  array out(KC_F32, p.rows * p.layer), lse(KC_F32, 2 * p.rows);
  numbers cpu;
  std::vector<float> cpu_out(p.rows * p.layer, NAN),
      scratch(kk_elementwise_plain.attention_scratch(p.longest, p.longest, p.s.width, 0) + 16);
  float *aligned = scratch.data();
  while (reinterpret_cast<uintptr_t>(aligned) % 64 != 0) aligned++;
  const kk_dropout dropout = {p.mask.dropout.seed, p.mask.threshold, p.mask.dropout.site, p.mask.sample.data(),
                              p.mask.position.data()};
  kk_attention_arrays arrays = {};
  arrays.out = cpu_out.data();
  arrays.queries = p.qkv.f32();
  arrays.keys = p.qkv.f32() + p.layer;
  arrays.query_stride = arrays.key_stride = 3 * p.layer;
  arrays.rows = p.rows;
  arrays.heads = 2;
  arrays.head_width = p.s.width;
  arrays.dropout = &dropout;
  for (size_t s = 0; s < 2; s++) {
    const size_t begin = (size_t)p.offsets[s], length = p.s.lengths[s];
    for (size_t head = 0; head < 2; head++)
      kk_elementwise_plain.attention(&arrays, {begin, length, begin, length, 0, 0, head, 0}, aligned);
  }
  const kc_attention_input input = joined(p, p.longest);
  t.ok(kc_attention(&t.device, out.view(), lse.f32(), &input, p.mask.get()), "attention");
  cpu.assign(cpu_out.begin(), cpu_out.end());
  t.close(owned(t, out.values(), p.layer, p.rows, "attention"),
          numbers(cpu.begin() + (long)p.layer, cpu.end() - (long)p.layer), 2e-6, "attention of the CPU library");
}

static void refusals(checks &t) {
  array x(KC_F32, 3000);
  const int32_t offsets[] = {0, 1};
  kc_attention_input input = {x.view(), x.view(), 800, 800, offsets, offsets, nullptr, 1, 1, 1, 1, 1, 257};
  t.is_true(kc_attention(&t.device, x.view(), nullptr, &input, nullptr) == KC_UNSUPPORTED, "a head that is too wide");
  t.is_true(t.device.message.find("257") != std::string::npos, t.device.message);
  input.head_width = 64;
  input.keys.type = KC_F16;
  t.is_true(kc_attention(&t.device, x.view(), nullptr, &input, nullptr) == KC_UNSUPPORTED, "keys of another type");
  input.keys.type = KC_F32;
  input.sequences = input.rows = input.longest_queries = input.longest_keys = 0;
  t.ok(kc_attention(&t.device, x.view(), nullptr, &input, nullptr), "nothing");
}

static void add_case(int type, const shape &s, int capability,
                     void (*run)(checks &, int, const shape &, int) = attention_case) {
  all_cases().push_back({std::string(run == attention_case ? "attention " : "attention of some rows ") +
                             type_name(type) + " width " + std::to_string(s.width) + " length " +
                             std::to_string(s.lengths[0]),
                         capability < 75 ? "attention" : "attention_mma", type_name(type),
                         [=](checks &t) { run(t, type, s, capability); }});
}

void add_attention_cases() {
  for (const int type : all_types) {
    for (const shape &s : std::vector<shape>{{{5, 0, 33}, 2, 24, 0.1},
                                             {{40, 1, 65}, 1, 64, 0.1},
                                             {{70}, 1, 1, 0.2},
                                             {{31, 37}, 1, 200, 0.1},
                                             {{9, 34}, 2, 256, 0},
                                             {{67}, 1, 65, 0.1}})
      add_case(type, s, 70);
  }
  add_case(KC_F32, {{256, 2, 131}, 1, 64, 0.1}, 70);
  for (const int type : {KC_F32, KC_F16}) {
    add_case(type, {{40, 7, 0, 65}, 2, 24, 0.1}, 70, some_queries_case);
    add_case(type, {{34, 9}, 1, 80, 0.1}, 70, some_queries_case);
  }
  for (const int type : {KC_BF16, KC_F16}) {
    add_case(type, {{70, 9, 131}, 2, 32, 0.1}, 90, some_queries_case);
    add_case(type, {{200, 65, 1, 0, 33}, 1, 64, 0.1}, 90, some_queries_case);
    add_case(type, {{65, 3}, 1, 64, 0}, 90, some_queries_case);
  }
  for (const int type : {KC_BF16, KC_F16}) {
    for (const shape &s : std::vector<shape>{{{5, 0, 70}, 2, 64, 0.1},
                                             {{1, 16, 17, 63}, 1, 64, 0.1},
                                             {{64, 65}, 1, 64, 0},
                                             {{129, 200}, 1, 64, 0.1},
                                             {{256}, 1, 64, 0.3},
                                             {{33, 70, 1}, 2, 32, 0.1},
                                             {{131}, 1, 32, 0}})
      add_case(type, s, 90);
  }
  all_cases().push_back({"attention of the CPU library", "attention", "f32", cpu_case});
  all_cases().push_back({"attention refusals", "attention", "", refusals});
}
