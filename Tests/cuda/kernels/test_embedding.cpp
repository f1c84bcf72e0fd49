// test_embedding.cpp - embeddings and the gradients of their tables; rows taken out and added.
#include "test_support.h"

struct batch {
  std::vector<int32_t> ids, positions, types;
  kc_tokens view() const { return {ids.data(), positions.data(), types.data()}; }
};
// Sentences of 7 tokens: a hot first token, padding in word 1 and position 0 now and then.
static batch make_batch(size_t rows, int32_t words, int32_t positions, int32_t types, random_values &random) {
  batch b;
  for (size_t i = 0; i < rows; i++) {
    b.ids.push_back(i % 7 == 0 ? 2 : (int32_t)random.below((size_t)words));
    b.positions.push_back((int32_t)(i % 7) % positions);
    b.types.push_back((int32_t)random.below((size_t)types));
  }
  return b;
}

struct tables {
  array word, position, type;
  kc_tables view;
  tables(size_t width, int32_t words, int32_t positions, int32_t types, random_values &random)
      : word(KC_F32, random.many((size_t)words * width)), position(KC_F32, random.many((size_t)positions * width)),
        type(KC_F32, random.many((size_t)types * width)),
        view{word.f32(), position.f32(), type.f32(), words, positions, types, 1, 0} {}
};

struct shape {
  size_t rows, width;
  int32_t types;
  double p;
};

static void forward_case(checks &t, int type, bool streams, shape s) {
  random_values random(s.width);
  const std::string name = std::string("embedding ") + type_name(type);
  const masks mask(s.p, s.rows, 11, random);
  const tables table(s.width, 50, 7, s.types, random);
  const batch tokens = make_batch(s.rows, 50, 7, s.types, random);
  const array gain(KC_F32, random.many(s.width, 0.5, 1)), bias(KC_F32, random.many(s.width));
  const size_t n = s.rows * s.width;
  array y(type, n), stream(KC_F32, n), xhat(type, n), rstd(KC_F32, s.rows);
  const kc_tokens view = tokens.view();
  t.ok(kc_embedding(&t.device, y.view(), streams ? stream.f32() : nullptr, xhat.view(), rstd.f32(), &table.view, &view,
                    gain.f32(), bias.f32(), s.rows, s.width, 1e-5f, mask.get()),
       name);
  const numbers word = table.word.values(), position = table.position.values(), kind = table.type.values(),
                g = gain.values(), b = bias.values();
  numbers ey(n), ex(n), er(s.rows);
  for (size_t row = 0; row < s.rows; row++) {
    numbers sum(s.width);
    double mean = 0, variance = 0;
    for (size_t j = 0; j < s.width; j++) {
      sum[j] = word[(size_t)tokens.ids[row] * s.width + j] + position[(size_t)tokens.positions[row] * s.width + j] +
               kind[(size_t)tokens.types[row] * s.width + j];
      mean += sum[j] / (double)s.width;
    }
    for (const double v : sum) variance += (v - mean) * (v - mean) / (double)s.width;
    er[row] = 1 / std::sqrt(variance + 1e-5);
    const numbers factors = mask.factors(row, s.width);
    for (size_t j = 0; j < s.width; j++) {
      ex[row * s.width + j] = (sum[j] - mean) * er[row];
      ey[row * s.width + j] = (ex[row * s.width + j] * g[j] + b[j]) * factors[j];
    }
  }
  t.close(y.values(), ey, rounding(type), name);
  t.close(xhat.values(), ex, rounding(type), name + " xhat");
  t.close(rstd.values(), er, 2e-6, name + " rstd");
  if (streams) t.close(stream.values(), ey, 2e-6, name + " stream");
}

static void add_rows(numbers &table, const numbers &rows, const std::vector<int32_t> &index, int32_t padding,
                     size_t width) {
  for (size_t row = 0; row < index.size(); row++) {
    for (size_t j = 0; j < width && index[row] != padding; j++)
      table[(size_t)index[row] * width + j] += rows[row * width + j];
  }
}

static void backward_case(checks &t, type_pair types, shape s) {
  random_values random(s.width + 1);
  const std::string name = std::string("embedding backward ") + types.kind;
  const masks mask(s.p, s.rows, 11, random);
  const tables table(s.width, 50, 7, s.types, random);
  const batch tokens = make_batch(s.rows, 50, 7, s.types, random);
  const size_t n = s.rows * s.width;
  array dy(types.stream, random.many(n)), dgain(KC_F32, random.many(s.width)), dbias(KC_F32, random.many(s.width));
  const array xhat(types.values, random.many(n, 1.7)), rstd(KC_F32, random.many(s.rows, 0.5, 1)),
      gain(KC_F32, random.many(s.width, 0.5, 1));
  const numbers d = dy.values(), h = xhat.values(), r = rstd.values(), g = gain.values();
  numbers edgain = dgain.values(), edbias = dbias.values(), dsum(n), word = table.word.values(),
          position = table.position.values(), kind = table.type.values();
  for (size_t row = 0; row < s.rows; row++) {
    const numbers factors = mask.factors(row, s.width);
    double mean = 0, slope = 0;
    for (size_t j = 0; j < s.width; j++) {
      const size_t i = row * s.width + j;
      edgain[j] += d[i] * factors[j] * h[i];
      edbias[j] += d[i] * factors[j];
      mean += d[i] * factors[j] * g[j] / (double)s.width;
      slope += d[i] * factors[j] * g[j] * h[i] / (double)s.width;
    }
    for (size_t j = 0; j < s.width; j++) {
      const size_t i = row * s.width + j;
      dsum[i] = (d[i] * factors[j] * g[j] - mean - h[i] * slope) * r[row];
    }
  }
  const kc_tokens view = tokens.view();
  t.ok(kc_embedding_backward(&t.device, &table.view, dgain.f32(), dbias.f32(), dy.view(), xhat.view(), rstd.f32(),
                             gain.f32(), &view, s.rows, s.width, mask.get()),
       name);
  dsum = rounded(types.stream, dsum);
  add_rows(word, dsum, tokens.ids, 1, s.width);
  add_rows(position, dsum, tokens.positions, 0, s.width);
  add_rows(kind, dsum, tokens.types, -1, s.width);
  // A gradient that lies between two 16-bit numbers may be rounded to the other one.
  const double tolerance = kc_is_half(types.stream) ? rounding(types.stream) / 4 : 3e-6;
  t.close(table.word.values(), word, tolerance, name + " word");
  t.close(table.position.values(), position, tolerance, name + " position");
  t.close(table.type.values(), kind, tolerance, name + " type");
  t.close(dgain.values(), edgain, 3e-6, name + " dgain");
  t.close(dbias.values(), edbias, 3e-6, name + " dbias");
}

static void rows_case(checks &t, int type, size_t width) {
  random_values random(width);
  const size_t rows = 12;
  const std::vector<int32_t> index = {3, 11, 0, 7, 5};
  const std::string name = std::string("rows ") + type_name(type);
  array x(type, random.many(rows * width));
  array y(KC_F32, index.size() * width);
  numbers values = x.values(), expected;
  for (const int32_t row : index)
    expected.insert(expected.end(), values.begin() + (long)((size_t)row * width),
                    values.begin() + (long)((size_t)(row + 1) * width));
  t.ok(kc_gather_rows(&t.device, y.f32(), x.view(), index.data(), index.size(), width), name);
  t.close(y.values(), expected, 0, name + " gathered");
  const array more(KC_F32, random.many(index.size() * width));
  const numbers added = more.values();
  for (size_t i = 0; i < added.size(); i++) values[(size_t)index[i / width] * width + i % width] += added[i];
  t.ok(kc_scatter_add_rows(&t.device, x.view(), more.f32(), index.data(), index.size(), width), name);
  t.close(x.values(), values, rounding(type), name + " scattered");
}

/* Two spans for each of three sentences: one row, several, overlapping, none; with and without a maximum. */
static void pool_case(checks &t, size_t width, bool maximum) {
  random_values random(width + maximum);
  const size_t rows = 12, features = 2, count = 3;
  const std::vector<int32_t> spans = {0, 1, 4, 7, 9, 12, /* second feature: */ 1, 3, 5, 9, 11, 11};
  const std::string name = std::string("pool ") + (maximum ? "maximum " : "mean ") + std::to_string(width);
  const array x(KC_F32, random.many(rows * width));
  const numbers values = x.values();
  array y(KC_F32, features * count * width);
  std::vector<int32_t> largest(features * count * width, -7);
  numbers expected(features * count * width), dx(rows * width, 0.25);
  const array dy(KC_F32, random.many(features * count * width));
  const numbers gradient = dy.values();
  bool places = true;
  for (size_t i = 0; i < features * count; i++) {
    const int32_t begin = spans[2 * i], end = spans[2 * i + 1];
    for (size_t j = 0; j < width; j++) {
      int32_t best = begin < end ? begin : -1;
      double sum = 0;
      for (int32_t row = begin; row < end; row++) {
        const double v = values[(size_t)row * width + j];
        sum += v;
        if (v > values[(size_t)best * width + j]) best = row;
      }
      const double d = gradient[i * width + j];
      if (begin >= end) continue;
      expected[i * width + j] = maximum ? values[(size_t)best * width + j] : sum / (end - begin);
      for (int32_t row = begin; row < end; row++)
        if (!maximum || row == best) dx[(size_t)row * width + j] += maximum ? d : d / (end - begin);
    }
  }
  int32_t *const where = maximum ? largest.data() : nullptr;
  t.ok(kc_pool_spans(&t.device, y.f32(), where, x.f32(), spans.data(), features, count, width, maximum), name);
  t.close(y.values(), expected, maximum ? 0 : 1e-6, name);
  for (size_t i = 0; maximum && i < features * count; i++)
    for (size_t j = 0; j < width; j++) {
      const int32_t row = largest[i * width + j];
      places = places && (i == features * count - 1 ? row == -1 : values[(size_t)row * width + j] == expected[i * width + j]);
    }
  t.close({places ? 1.0 : 0.0}, {1.0}, 0, name + " places");
  array back(KC_F32, numbers(rows * width, 0.25));
  t.ok(kc_pool_spans_backward(&t.device, back.f32(), dy.f32(), where, spans.data(), features, count, width), name);
  t.close(back.values(), dx, 1e-6, name + " backward");
}

void add_embedding_cases() {
  const std::vector<shape> shapes = {
      {9, 256, 1, 0.1}, {30, 24, 2, 0.1}, {5, 13, 6, 0}, {4, 1024, 2, 0.2}, {2, 1100, 1, 0.1}};
  for (const shape &s : shapes) {
    for (const bool maximum : {false, true})
      all_cases().push_back({std::string("pool ") + std::to_string(s.width), "embedding", "f32",
                             [=](checks &t) { pool_case(t, s.width, maximum); }});
    for (const int type : all_types) {
      all_cases().push_back({std::string("embedding ") + type_name(type) + " " + std::to_string(s.width), "embedding",
                             type_name(type), [=](checks &t) { forward_case(t, type, s.width != 24, s); }});
      all_cases().push_back({std::string("rows ") + type_name(type), "embedding", type_name(type),
                             [=](checks &t) { rows_case(t, type, s.width); }});
    }
    // The kernels for tables have the type of dy, the norm's both.
    for (const type_pair &types : type_pairs) {
      all_cases().push_back({std::string("embedding backward ") + types.kind + " " + std::to_string(s.width),
                             "embedding", type_name(types.stream), [=](checks &t) { backward_case(t, types, s); }});
    }
  }
  // Several hundred rows: one id in more chunks than one, and many equal ones.
  for (const type_pair &types : type_pairs)
    all_cases().push_back({std::string("embedding backward, hot ids ") + types.kind, "embedding",
                           type_name(types.stream), [=](checks &t) { backward_case(t, types, {400, 40, 2, 0.1}); }});
}
