// test_elementwise.cpp - activations, dropout, fill, conversions; linear layers around the product.
#include "test_support.h"

static double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
static double gelu_new(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
static double value_of(int activation, double x) {
  switch (activation) {
    case KC_ACT_GELU: return gelu(x);
    case KC_ACT_TANH: return std::tanh(x);
    case KC_ACT_GELU_NEW: return gelu_new(x);
    case KC_ACT_RELU: return x > 0 ? x : 0;
    default: return x;
  }
}
// By central differences of the value in double.
static double slope_of(int activation, double x) {
  const double h = 1e-5;
  return (value_of(activation, x + h) - value_of(activation, x - h)) / (2 * h);
}

static const int activations[] = {KC_ACT_GELU, KC_ACT_TANH, KC_ACT_GELU_NEW, KC_ACT_RELU};
static const char *const activation_names[] = {"none", "gelu", "tanh", "gelu_new", "relu"};

static void activation_case(checks &t, int type, size_t count, size_t shift) {
  random_values random(count);
  for (const int activation : activations) {
    const std::string name = std::string(activation_names[activation]) + " " + type_name(type);
    const array x(type, random.many(count, 4), shift), dy(type, random.many(count), shift);
    array y(type, count, shift), dx(type, count, shift);
    const numbers in = x.values(), slope = dy.values();
    numbers value(count), gradient(count);
    t.ok(kc_activate(&t.device, activation, y.view(), x.view(), count), name);
    for (size_t i = 0; i < count; i++) value[i] = value_of(activation, in[i]);
    t.close(y.values(), value, rounding(type), name);
    const array &at = activation == KC_ACT_TANH ? y : x; // tanh from its result
    const numbers results = y.values();
    t.ok(kc_activate_backward(&t.device, activation, dx.view(), dy.view(), at.view(), count), name);
    for (size_t i = 0; i < count; i++)
      gradient[i] = slope[i] * (activation == KC_ACT_TANH ? 1 - results[i] * results[i] : slope_of(activation, in[i]));
    t.close(dx.values(), gradient, rounding(type), name + " backward");
    t.ok(kc_activate_backward(&t.device, activation, dy.view(), dy.view(), at.view(), count), name);
    t.is_true(dy.same_bits(dx), name + " backward in place");
    t.ok(kc_activate(&t.device, activation, x.view(), x.view(), count), name);
    t.is_true(x.same_bits(y), name + " in place");
  }
}

static void dropout_case(checks &t, int type, size_t width, double p) {
  random_values random(width);
  const size_t rows = 5;
  const masks mask(p, rows, 7, random);
  const array x(type, random.many(rows * width));
  array y(type, rows * width);
  t.ok(kc_dropout_apply(&t.device, y.view(), x.view(), rows, width, mask.get()), "dropout");
  numbers expected = x.values();
  for (size_t row = 0; row < rows; row++) {
    const numbers factors = mask.factors(row, width);
    for (size_t j = 0; j < width; j++) expected[row * width + j] *= factors[j];
  }
  const numbers found = y.values();
  t.close(found, expected, rounding(type), std::string("dropout ") + type_name(type));
  for (size_t i = 0; i < expected.size(); i++) t.is_true((found[i] == 0) == (expected[i] == 0), "the CPU's mask");
  array z(type, rows * width);
  z.set(x.values());
  t.ok(kc_dropout_apply(&t.device, z.view(), z.view(), rows, width, mask.get()), "dropout");
  t.is_true(z.same_bits(y), "dropout in place");
}

// What is dropped is 0 even where it is not finite; with p = 1 nothing is left.
static void dropped_infinity_case(checks &t) {
  random_values random(3);
  const size_t rows = 2, width = 24;
  for (const double p : {0.5, 1.0}) {
    const masks mask(p, rows, 1, random);
    const array x(KC_F32, numbers(rows * width, INFINITY));
    array y(KC_F32, rows * width);
    t.ok(kc_dropout_apply(&t.device, y.view(), x.view(), rows, width, mask.get()), "dropout");
    const numbers found = y.values();
    for (size_t row = 0; row < rows; row++) {
      const numbers factors = mask.factors(row, width);
      for (size_t j = 0; j < width; j++)
        t.is_true(found[row * width + j] == (factors[j] == 0 ? 0.0 : INFINITY), "dropout of infinity");
    }
  }
}

static void fill_and_convert_case(checks &t, size_t count, size_t shift) {
  random_values random(count + 1);
  array filled(KC_F32, count, shift);
  t.ok(kc_fill(&t.device, filled.f32(), 1.5f, count), "fill");
  t.close(filled.values(), numbers(count, 1.5), 0, "fill");
  for (const int from : all_types) {
    for (const int to : all_types) {
      const array x(from, random.many(count, 3), shift);
      array y(to, count);
      t.ok(kc_convert(&t.device, y.view(), x.view(), count), "convert");
      t.close(y.values(), rounded(to, x.values()), 0, std::string(type_name(from)) + " to " + type_name(to));
    }
  }
}

void add_elementwise_cases() {
  for (const int type : all_types) {
    for (const size_t count : {1, 8, 2051, 4096})
      all_cases().push_back({std::string("activations ") + type_name(type), "elementwise", type_name(type),
                             [=](checks &t) { activation_case(t, type, count, count == 4096 ? 0 : count % 2); }});
    for (const size_t width : {1, 13, 64, 300, 1024})
      all_cases().push_back({std::string("dropout ") + type_name(type), "elementwise", type_name(type),
                             [=](checks &t) { dropout_case(t, type, width, width == 13 ? 0.0 : 0.1); }});
  }
  all_cases().push_back({"dropped infinities", "elementwise", "f32", dropped_infinity_case});
  for (const size_t count : {7, 2064})
    all_cases().push_back(
        {"fill and convert", "elementwise", "", [=](checks &t) { fill_and_convert_case(t, count, count % 2); }});
}

// ---- linear.c ----

static kc_weights weights(const array &f32, const array &half) {
  return {f32.f32(), kc_is_half(half.type) ? half.view().data : nullptr, half.type};
}

static void linear_case(checks &t, type_pair types, int activation, bool keep_pre) {
  const size_t rows = 67, out = 37, in = 24;
  random_values random(9);
  const array w(KC_F32, random.many(out * in)), b(KC_F32, random.many(out)), w_half(types.values, w.values()),
      b_half(types.values, b.values()), x(types.values, random.many(rows * in));
  array y(types.stream, rows * out), pre(types.stream, rows * out);
  const kc_array none = {nullptr, types.stream};
  t.ok(kc_linear(&t.device, y.view(), keep_pre ? pre.view() : none, x.view(), weights(w, w_half), weights(b, b_half),
                 rows, out, in, activation),
       "linear");
  const numbers wv = w_half.values(), xv = x.values(), bv = kc_is_half(types.stream) ? b_half.values() : b.values();
  numbers sums(rows * out), expected;
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < out; j++) {
      sums[i * out + j] = bv[j];
      for (size_t k = 0; k < in; k++) sums[i * out + j] += xv[i * in + k] * wv[j * in + k];
    }
  }
  for (const double sum : rounded(types.stream, sums)) expected.push_back(value_of(activation, sum));
  t.close(y.values(), expected, 2 * rounding(types.stream), std::string("linear ") + types.kind);
  if (keep_pre) t.close(pre.values(), sums, rounding(types.stream), std::string("linear ") + types.kind);
}

static void linear_backward_case(checks &t, type_pair types, size_t rows) {
  const size_t out = 37, in = 24;
  random_values random(rows);
  const array w(KC_F32, random.many(out * in)), w_half(types.values, w.values()),
      x(types.values, random.many(rows * in)), dy(types.values, random.many(rows * out));
  const numbers wv = w_half.values(), xv = x.values(), dyv = dy.values();
  array dx(types.stream, random.many(rows * in)), dw(KC_F32, random.many(out * in)), db(KC_F32, random.many(out));
  numbers edx = dx.values(), edw = dw.values(), edb = db.values();
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < out; j++) {
      edb[j] += dyv[i * out + j];
      for (size_t k = 0; k < in; k++) {
        edx[i * in + k] += dyv[i * out + j] * wv[j * in + k];
        edw[j * in + k] += dyv[i * out + j] * xv[i * in + k];
      }
    }
  }
  t.ok(kc_linear_backward_input(&t.device, dx.view(), dy.view(), weights(w, w_half), rows, out, in, 1),
       "linear backward");
  t.ok(kc_linear_backward_weight(&t.device, dw.f32(), db.f32(), dy.view(), x.view(), rows, out, in), "linear backward");
  t.close(dx.values(), edx, rounding(types.stream), std::string("linear dx ") + types.kind);
  t.close(dw.values(), edw, 2e-6, std::string("linear dw ") + types.kind);
  t.close(db.values(), edb, 2e-6, std::string("linear dbias ") + types.kind);
}

static void linear_refusals(checks &t) {
  array x(KC_BF16, 4), y(KC_BF16, 4), w(KC_F32, 4);
  const kc_array none = {nullptr, KC_BF16};
  const kc_weights only_f32 = {w.f32(), nullptr, KC_BF16}, other = {w.f32(), x.view().data, KC_F16};
  for (const kc_weights &weights : {only_f32, other}) {
    t.is_true(kc_linear(&t.device, y.view(), none, x.view(), weights, {nullptr, nullptr, 0}, 2, 2, 2, KC_ACT_NONE) ==
                  KC_UNSUPPORTED,
              "bf16 values need bf16 weights");
    t.is_true(t.device.message.find("weights of type 2") != std::string::npos, t.device.message);
  }
}

void add_linear_cases() {
  for (const type_pair &types : type_pairs) {
    for (const int activation : {KC_ACT_NONE, KC_ACT_GELU, KC_ACT_TANH}) {
      for (const bool pre : {false, true})
        all_cases().push_back({std::string("linear ") + types.kind, "elementwise", type_name(types.values),
                               [=](checks &t) { linear_case(t, types, activation, pre); }});
    }
    for (const size_t rows : {1, 67, 5000})
      all_cases().push_back({std::string("linear backward ") + types.kind, "norm", type_name(types.values),
                             [=](checks &t) { linear_backward_case(t, types, rows); }});
  }
  all_cases().push_back({"linear without weights", "elementwise", "", linear_refusals});
}
