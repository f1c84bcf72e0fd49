// test_attention_texts.cpp - attention of tokens beside a text, which read it and are not read by it, and of sequences
// that read an earlier one's text: against loops in double, and bit for bit against the same without the others.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "test_support.h"

namespace {

enum asking { ALL, SOME, TEXT_ALONE, BESIDE_ALONE };
struct sequence {
  size_t text, beside;
  asking who = ALL;
  int lender = -1; // the sequence whose text it reads, which then says how long that is; -1: a text of its own
};
struct shape {
  std::vector<sequence> sequences;
  size_t heads, width;
  double p;
};

// Which rows a batch has. A row before the first sequence and one after the last belong to nobody.
struct layout {
  std::vector<int32_t> key_offsets{1}, query_offsets{1}, texts;
  std::vector<std::vector<size_t>> reads; // for each sequence, rows in the order of the keys' numbers
  std::vector<size_t> query_rows{0};      // for each query, the row of its token
  std::vector<size_t> text_queries, others, text_rows, rows_beside; // queries, queries, rows, rows
  size_t rows = 1, longest_queries = 0, longest_keys = 0;

  explicit layout(const shape &s) {
    for (const sequence &one : s.sequences) add(one);
    query_rows.push_back(rows++);
  }
  void add(const sequence &one) {
    const bool own = one.lender < 0;
    const size_t key = rows, query = query_rows.size();
    const size_t begin = own ? key : (size_t)texts[3 * (size_t)one.lender];
    const size_t count = own ? one.text : (size_t)texts[3 * (size_t)one.lender + 1];
    std::vector<size_t> read;
    for (size_t i = 0; i < count; i++) read.push_back(begin + i);
    for (size_t i = 0; own && i < count; i++) {
      text_rows.push_back(rows);
      if (one.who == ALL || one.who == TEXT_ALONE || (one.who == SOME && (i < 2 || i % 5 == 3))) {
        text_queries.push_back(query_rows.size());
        query_rows.push_back(rows);
      }
      rows++;
    }
    texts.insert(texts.end(), {(int32_t)begin, (int32_t)count, (int32_t)(query_rows.size() - query)});
    for (size_t i = 0; i < one.beside; i++) {
      rows_beside.push_back(rows);
      if (one.who == ALL || one.who == BESIDE_ALONE || (one.who == SOME && i % 3 != 1)) {
        others.push_back(query_rows.size());
        query_rows.push_back(rows);
      }
      read.push_back(rows++);
    }
    key_offsets.push_back((int32_t)rows);
    query_offsets.push_back((int32_t)query_rows.size());
    longest_queries = std::max(longest_queries, query_rows.size() - query);
    longest_keys = std::max(longest_keys, read.size());
    reads.push_back(read);
  }
};

numbers chosen(const numbers &from, const std::vector<size_t> &rows, size_t stride, size_t first, size_t per_row) {
  numbers some;
  for (const size_t row : rows)
    some.insert(some.end(), from.begin() + (long)(row * stride + first),
                from.begin() + (long)(row * stride + first + per_row));
  return some;
}

kc_array behind(const array &a, size_t elements) {
  return {static_cast<char *>(a.view().data) + elements * (a.type == KC_F32 ? 4 : 2), a.type};
}

struct problem : layout {
  shape s;
  int type;
  size_t layer, queries;
  bool joined; // every token asks: queries lie beside their keys
  masks mask;
  array qkv, some, dout;
  numbers q, d;
  std::vector<uint32_t> sample, position;
  kc_dropout dropout;
  problem(int type, const shape &s, random_values &random)
      : layout(s), s(s), type(type), layer(s.heads * s.width), queries(query_rows.size()), joined(queries == rows),
        mask(s.p, rows, 5, random), qkv(type, random.many(rows * 3 * layer, 1.5)),
        some(type, chosen(qkv.values(), query_rows, 3 * layer, 0, layer)), dout(type, random.many(queries * layer)),
        q(qkv.values()), d(dout.values()), dropout(mask.dropout) {
    for (const size_t row : query_rows) {
      sample.push_back(mask.sample[row]);
      position.push_back(mask.position[row]);
    }
    dropout.sample = sample.data();
    dropout.position = position.data();
  }
  problem(const problem &) = delete;
  size_t query_stride() const { return joined ? 3 * layer : layer; }
  const kc_dropout *masked() const { return mask.get() ? &dropout : nullptr; }
  kc_attention_input input() const {
    return {joined ? qkv.view() : some.view(), behind(qkv, layer),   query_stride(), 3 * layer,    query_offsets.data(),
            key_offsets.data(),                texts.data(),         reads.size(),   queries,      longest_queries,
            longest_keys,                      s.heads,              s.width};
  }
};

struct answers {
  numbers out, lse, dqueries, dkeys; // dkeys [rows, 2 * layer]
};

double dot(const numbers &a, size_t i, const numbers &b, size_t j, size_t n) {
  double sum = 0;
  for (size_t k = 0; k < n; k++) sum += a[i + k] * b[j + k];
  return sum;
}
void add(numbers &to, size_t i, const numbers &from, size_t j, size_t n, double factor) {
  for (size_t k = 0; k < n; k++) to[i + k] += factor * from[j + k];
}

void answer_query(const problem &p, answers &a, size_t query, const std::vector<size_t> &keys, size_t head) {
  const double scale = 1 / std::sqrt((double)p.s.width);
  const size_t n = p.s.width, column = head * n, row = p.query_rows[query];
  const auto in_qkv = [&](size_t row, size_t part) { return (row * 3 + part) * p.layer + column; };
  const size_t at = query * p.layer + column;
  numbers weight(keys.size()), slope(keys.size());
  const numbers factor = p.mask.factors(row, keys.size(), (uint32_t)head);
  double sum = 0, mean = 0;
  for (size_t j = 0; j < keys.size(); j++)
    sum += weight[j] = std::exp(scale * dot(p.q, in_qkv(row, 0), p.q, in_qkv(keys[j], 1), n));
  a.lse[head * p.queries + query] = std::log(sum);
  for (size_t j = 0; j < keys.size(); j++) {
    weight[j] /= sum;
    add(a.out, at, p.q, in_qkv(keys[j], 2), n, weight[j] * factor[j]);
    slope[j] = factor[j] * dot(p.d, at, p.q, in_qkv(keys[j], 2), n);
    mean += slope[j] * weight[j];
  }
  for (size_t j = 0; j < keys.size(); j++) {
    const double ds = weight[j] * (slope[j] - mean) * scale;
    add(a.dqueries, at, p.q, in_qkv(keys[j], 1), n, ds);
    add(a.dkeys, keys[j] * 2 * p.layer + column, p.q, in_qkv(row, 0), n, ds);
    add(a.dkeys, (keys[j] * 2 + 1) * p.layer + column, p.d, at, n, weight[j] * factor[j]);
  }
}

answers answer(const problem &p) {
  answers a = {numbers(p.queries * p.layer, 0), numbers(p.s.heads * p.queries, 0), numbers(p.queries * p.layer, 0),
               numbers(p.rows * 2 * p.layer, 0)};
  for (size_t s = 0; s < p.reads.size(); s++) {
    const size_t first = (size_t)p.query_offsets[s], others = first + (size_t)p.texts[3 * s + 2];
    const std::vector<size_t> text(p.reads[s].begin(), p.reads[s].begin() + p.texts[3 * s + 1]);
    for (size_t query = first; query < (size_t)p.query_offsets[s + 1]; query++)
      for (size_t head = 0; head < p.s.heads; head++)
        answer_query(p, a, query, query < others ? text : p.reads[s], head);
  }
  return a;
}

struct results {
  array out, lse, dqueries, dqkv;
  explicit results(const problem &p)
      : out(p.type, p.queries * p.layer), lse(KC_F32, p.s.heads * p.queries),
        dqueries(p.type, p.joined ? 0 : p.queries * p.layer), dqkv(p.type, p.rows * 3 * p.layer) {}
  numbers query_gradients(const problem &p) const {
    return p.joined ? chosen(dqkv.values(), p.query_rows, 3 * p.layer, 0, p.layer) : dqueries.values();
  }
};

void forward(checks &t, const problem &p, results &r, const kc_attention_input &input) {
  t.ok(kc_attention(&t.device, r.out.view(), r.lse.f32(), &input, p.masked()), "attention with texts");
}
void backward(checks &t, const problem &p, results &r, const kc_attention_input &input) {
  t.ok(kc_attention_backward(&t.device, p.joined ? r.dqkv.view() : r.dqueries.view(), behind(r.dqkv, p.layer),
                             p.dout.view(), r.out.view(), r.lse.f32(), &input, p.masked()),
       "attention with texts, backward");
}

// Whether queries of two results have the same bits: zeros beside a sum do not change it.
bool same_queries(const problem &p, const results &a, const results &b, size_t first, size_t count) {
  const size_t row_bytes = p.layer * kc_type_bytes(p.type);
  const auto rows = [&](const results &r) { return static_cast<char *>(r.out.view().data) + first * row_bytes; };
  if (std::memcmp(rows(a), rows(b), count * row_bytes) != 0) return false;
  for (size_t head = 0; head < p.s.heads; head++) {
    const size_t at = head * p.queries + first;
    if (std::memcmp(a.lse.f32() + at, b.lse.f32() + at, count * sizeof(float)) != 0) return false;
  }
  return true;
}

void compare_some(checks &t, const numbers &found, const numbers &expected, const std::vector<size_t> &rows,
                  size_t width, double tolerance, const std::string &what) {
  t.close(chosen(found, rows, width, 0, width), chosen(expected, rows, width, 0, width), tolerance, what);
}

// Of a text of its own, the text's queries have the bits that they have where nothing is beside it.
void compare_alone(checks &t, const problem &p, const results &r, const std::string &name, bool gradients) {
  const numbers all = gradients ? r.query_gradients(p) : numbers();
  for (size_t s = 0; s < p.reads.size(); s++) {
    const int32_t query = p.query_offsets[s], key = p.key_offsets[s];
    const size_t asking = (size_t)p.texts[3 * s + 2];
    if (asking == 0) continue;
    const int32_t queries[] = {query, query + p.texts[3 * s + 2]}, keys[] = {key, key + p.texts[3 * s + 1]};
    kc_attention_input input = p.input();
    input.query_offsets = queries;
    input.key_offsets = keys;
    input.texts = nullptr;
    input.sequences = 1;
    results alone(p);
    forward(t, p, alone, input);
    t.is_true(same_queries(p, r, alone, (size_t)query, asking),
              name + ": a text is what it is alone");
    if (!gradients) continue;
    backward(t, p, alone, input);
    const numbers found = alone.query_gradients(p);
    const auto begin = [&](const numbers &of) { return of.begin() + (long)((size_t)query * p.layer); };
    t.is_true(std::equal(begin(found), begin(found) + (long)(asking * p.layer), begin(all)),
              name + ": a text's gradient is what it is alone");
  }
}

// A sequence that reads another's text has the bits that it has with a copy of the text before its own keys.
void compare_copied(checks &t, const problem &p, const results &r, const std::string &name) {
  for (size_t s = 0; s < p.reads.size(); s++) {
    const size_t first = (size_t)p.query_offsets[s], asking = (size_t)p.query_offsets[s + 1] - first;
    if (p.s.sequences[s].lender < 0 || asking == 0) continue;
    const array keys(p.type, chosen(p.q, p.reads[s], 3 * p.layer, 0, 3 * p.layer));
    const int32_t queries[] = {p.query_offsets[s], p.query_offsets[s + 1]};
    const int32_t offsets[] = {0, (int32_t)p.reads[s].size()}, texts[] = {0, p.texts[3 * s + 1], 0};
    kc_attention_input input = p.input();
    input.keys = behind(keys, p.layer);
    input.query_offsets = queries;
    input.key_offsets = offsets;
    input.texts = texts;
    input.sequences = 1;
    results copied(p);
    forward(t, p, copied, input);
    t.is_true(same_queries(p, r, copied, first, asking),
              name + ": another's text is as good as a copy of it");
  }
}

void texts_case(checks &t, int type, const shape &s, int capability) {
  random_values random(s.width + s.sequences.size());
  const problem p(type, s, random);
  const answers a = answer(p);
  t.device.capability = capability;
  const std::string name = std::string("attention with texts, ") + type_name(type);
  const bool gradients = std::all_of(s.sequences.begin(), s.sequences.end(), [](const sequence &one) {
    return one.lender < 0;
  });
  results r(p);
  forward(t, p, r, p.input());
  const double tolerance = type == KC_F32 ? 3e-6 : 2 * rounding(type);
  const numbers out = r.out.values(), lse = r.lse.values();
  for (size_t c = 0; c < p.layer; c++)
    t.is_true(std::isnan(out[c]) && std::isnan(out[(p.queries - 1) * p.layer + c]), name + ": rows of no sequence");
  compare_some(t, out, a.out, p.text_queries, p.layer, tolerance, name);
  compare_some(t, out, a.out, p.others, p.layer, tolerance, name + " beside");
  for (size_t head = 0; head < s.heads; head++) {
    const auto at = [&](const numbers &v) {
      return numbers(v.begin() + (long)(head * p.queries + 1), v.begin() + (long)((head + 1) * p.queries - 1));
    };
    t.close(at(lse), at(a.lse), 2e-6, name + " lse");
  }
  kc_attention_input longer = p.input();
  longer.longest_queries += 40;
  longer.longest_keys += 40;
  results again(p);
  t.ok(kc_attention(&t.device, again.out.view(), nullptr, &longer, p.masked()), name);
  t.is_true(again.out.same_bits(r.out), name + ": the same without lse and with a longer `longest`");
  if (gradients) {
    backward(t, p, r, p.input());
    std::vector<size_t> rows(p.rows);
    std::iota(rows.begin(), rows.end(), 0);
    const numbers dqueries = r.query_gradients(p);
    const numbers dkeys = chosen(r.dqkv.values(), rows, 3 * p.layer, p.layer, 2 * p.layer);
    for (size_t c = 0; c < 2 * p.layer; c++)
      t.is_true(std::isnan(dkeys[c]) && std::isnan(dkeys[(p.rows - 1) * 2 * p.layer + c]), name + ": keys of nobody");
    compare_some(t, dqueries, a.dqueries, p.text_queries, p.layer, 1.5 * tolerance, name + " backward");
    compare_some(t, dqueries, a.dqueries, p.others, p.layer, 1.5 * tolerance, name + " beside backward");
    compare_some(t, dkeys, a.dkeys, p.text_rows, 2 * p.layer, 1.5 * tolerance, name + " keys backward");
    compare_some(t, dkeys, a.dkeys, p.rows_beside, 2 * p.layer, 1.5 * tolerance, name + " keys beside backward");
  }
  compare_alone(t, p, r, name, gradients);
  compare_copied(t, p, r, name);
}

// Texts that have nothing beside them are no texts at all.
void ordinary_case(checks &t, int type, const shape &s, int capability) {
  random_values random(s.width + 1);
  const problem p(type, s, random);
  t.device.capability = capability;
  kc_attention_input without = p.input();
  without.texts = nullptr;
  results a(p), b(p);
  forward(t, p, a, p.input());
  backward(t, p, a, p.input());
  forward(t, p, b, without);
  backward(t, p, b, without);
  const std::string name = std::string("attention, ordinary texts, ") + type_name(type);
  t.is_true(a.out.same_bits(b.out) && a.lse.same_bits(b.lse), name + ": as without");
  t.is_true(a.dqkv.same_bits(b.dqkv) && a.dqueries.same_bits(b.dqueries), name + ": as without, backward");
}

void add_case(int type, const shape &s, int capability, const std::string &what,
              void (*run)(checks &, int, const shape &, int) = texts_case) {
  all_cases().push_back({"attention, " + what + ", " + type_name(type) + " width " + std::to_string(s.width),
                         capability < 75 ? "attention" : "attention_mma", type_name(type),
                         [=](checks &t) { run(t, type, s, capability); }});
}

// Texts around the tiles' 32 and 64 rows; {0, 0} pads a batch. Emulation is slow: some kernels alone take the longer.
using sequences = std::vector<sequence>;
const sequences own = {{1, 4}, {31, 1}, {0, 0}, {33, 0}, {64, 4}, {60, 10}, {0, 0}};
const sequences longer_own = {{130, 10}, {63, 1}, {31, 10}, {65, 4}, {64, 10}};
const sequences own_of_some = {{65, 10, SOME}, {33, 4, BESIDE_ALONE}, {31, 4, TEXT_ALONE}, {0, 0},
                               {1, 1, SOME},   {30, 40, SOME},        {33, 0, SOME}};
const sequences lent = {{33, 0}, {0, 4, ALL, 0}, {0, 10, ALL, 0}, {0, 0},          {31, 4}, {0, 1, ALL, 4},
                        {1, 0},  {0, 4, ALL, 6}, {65, 1},         {0, 10, ALL, 8}, {0, 0},  {0, 33, ALL, 0}};
const sequences longer_lent = {{130, 10}, {0, 10, ALL, 0}, {64, 0}, {0, 4, ALL, 2}, {0, 70, ALL, 2}, {0, 1, ALL, 0}};
const sequences lent_of_some = {{65, 0, SOME}, {0, 10, SOME, 0}, {0, 0},          {0, 40, SOME, 0}, {31, 4, SOME},
                                {0, 4, SOME, 4}, {1, 0},         {0, 1, SOME, 6}, {0, 7, SOME, 4}};
const sequences ordinary = {{33, 0}, {0, 0}, {65, 0}, {1, 0}};

void add_cases(int type, size_t heads, size_t width, double p, int capability) {
  add_case(type, {own, heads, width, p}, capability, "texts");
  add_case(type, {own_of_some, heads, width, p}, capability, "texts of which some ask");
  add_case(type, {lent, heads, width, p}, capability, "texts that several read");
  add_case(type, {lent_of_some, heads, width, p}, capability, "texts that some of several read");
  add_case(type, {ordinary, heads, width, p}, capability, "texts alone", ordinary_case);
}
void add_longer_cases(int type, size_t heads, size_t width, double p, int capability) {
  add_case(type, {longer_own, heads, width, p}, capability, "longer texts");
  add_case(type, {longer_lent, heads, width, p}, capability, "longer texts that several read");
}

} // namespace

void add_attention_text_cases() {
  for (const int type : all_types) {
    add_cases(type, 1, 24, type == KC_BF16 ? 0 : 0.1, 70);
    add_cases(type, 2, 80, type == KC_BF16 ? 0.1 : 0, 70);
  }
  add_longer_cases(KC_F32, 1, 64, 0.1, 70);
  add_longer_cases(KC_F32, 1, 65, 0.1, 70);
  for (const int type : {KC_BF16, KC_F16}) {
    for (const double p : {0.0, 0.1}) {
      add_cases(type, 2, 32, p, 90);
      add_cases(type, 1, 64, p, 90);
      add_longer_cases(type, 1, 32, p, 90);
      add_longer_cases(type, 1, 64, p, 90);
    }
  }
}
