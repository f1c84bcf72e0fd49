// test_loss.cpp - cross entropy, focal loss, softmax.
#include "test_support.h"

// -w (1 - p)^gamma log p
static double loss_of(const numbers &logits, size_t label, double gamma, double weight) {
  double largest = logits[0], sum = 0, rest = 0;
  for (const double x : logits) largest = std::fmax(largest, x);
  for (size_t j = 0; j < logits.size(); j++) {
    sum += std::exp(logits[j] - largest);
    if (j != label) rest += std::exp(logits[j] - largest);
  }
  return -weight * std::pow(rest / sum, gamma) * (logits[label] - largest - std::log(sum));
}

struct shape {
  size_t rows, classes;
  double gamma;
  bool weighted;
  double spread;
};

static void loss_case(checks &t, shape s) {
  random_values random(s.classes + s.rows);
  const std::string name = s.gamma > 0 ? "focal loss" : "cross entropy";
  const array logits(KC_F32, random.many(s.rows * s.classes, s.spread)), weight(KC_F32, random.many(s.classes, 0.5, 1));
  array gradient(KC_F32, s.rows * s.classes);
  std::vector<int32_t> labels;
  for (size_t row = 0; row < s.rows; row++) labels.push_back(row % 5 == 4 ? -100 : (int32_t)random.below(s.classes));
  if (s.rows > 6) labels[6] = (int32_t)s.classes;
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 8, 0), name);
  state.loss_sum = 100; // calls add to it
  t.ok(kc_cross_entropy(&t.device, gradient.f32(), logits.f32(), labels.data(), s.rows, s.classes, 0.25f,
                        (float)s.gamma, s.weighted ? weight.f32() : nullptr, &state),
       name);
  double total = 100;
  const numbers x = logits.values(), w = weight.values(), found = gradient.values();
  numbers expected(found.size(), 0), probed, at_probes;
  for (size_t row = 0; row < s.rows; row++) {
    if (labels[row] < 0 || (size_t)labels[row] >= s.classes) continue;
    const auto label = (size_t)labels[row];
    numbers one(x.begin() + (long)(row * s.classes), x.begin() + (long)((row + 1) * s.classes));
    total += loss_of(one, label, s.gamma, s.weighted ? w[label] : 1);
    for (size_t j = 0; j < s.classes; j += s.classes > 100 && j != label ? s.classes / 17 : 1) { // finite differences
      const double own = one[j], h = 1e-4;
      one[j] = own + h;
      const double above = loss_of(one, label, s.gamma, s.weighted ? w[label] : 1);
      one[j] = own - h;
      const double below = loss_of(one, label, s.gamma, s.weighted ? w[label] : 1);
      one[j] = own;
      probed.push_back((above - below) / (2 * h) * 0.25 * 8);
      at_probes.push_back(found[row * s.classes + j]);
    }
  }
  for (size_t row = 0; row < s.rows; row++) {
    if (labels[row] >= 0 && (size_t)labels[row] < s.classes) continue;
    for (size_t j = 0; j < s.classes; j++) t.is_true(found[row * s.classes + j] == 0, name + ": no label, no gradient");
  }
  t.near(state.loss_sum, total, 1e-6, name);
  t.close(at_probes, probed, 3e-6, name + " gradient");
  // In place, and the sum alone.
  array in_place(KC_F32, logits.values());
  t.ok(kc_cross_entropy(&t.device, in_place.f32(), in_place.f32(), labels.data(), s.rows, s.classes, 0.25f,
                        (float)s.gamma, s.weighted ? weight.f32() : nullptr, &state),
       name);
  t.is_true(in_place.same_bits(gradient), name + " in place");
  t.ok(kc_update_begin(&t.device, &state), name);
  t.ok(kc_cross_entropy(&t.device, nullptr, logits.f32(), labels.data(), s.rows, s.classes, 0.25f, (float)s.gamma,
                        s.weighted ? weight.f32() : nullptr, &state),
       name);
  t.near(state.loss_sum, total - 100, 1e-6, name);
}

// Certain, and certainly wrong: no NaN from 0 times infinity.
static void extremes_case(checks &t) {
  for (const float gamma : {0.0f, 0.5f, 1.0f, 2.0f}) {
    const array logits(KC_F32, {200, 0, 0, 0, 200, 0});
    array gradient(KC_F32, 6);
    const int32_t labels[] = {0, 0};
    kc_update_state state = {};
    t.ok(kc_update_start(&t.device, &state, 1, 0), "focal loss");
    t.ok(kc_cross_entropy(&t.device, gradient.f32(), logits.f32(), labels, 2, 3, 1, gamma, nullptr, &state),
         "focal loss");
    const numbers g = gradient.values();
    t.near(state.loss_sum, 200, 1e-6, "focal loss, certain");
    t.near(g[0], 0, 1e-6, "focal loss, certain");
    t.near(g[3], -1, 1e-6, "focal loss, certain");
    t.near(g[4], 1, 1e-6, "focal loss, certain");
  }
}

static void softmax_case(checks &t, size_t rows, size_t classes) {
  random_values random(classes);
  array x(KC_F32, random.many(rows * classes, 5)), y(KC_F32, rows * classes);
  t.ok(kc_softmax(&t.device, y.f32(), x.f32(), rows, classes), "softmax");
  numbers expected = x.values();
  for (size_t row = 0; row < rows; row++) {
    double sum = 0;
    for (size_t j = 0; j < classes; j++) sum += expected[row * classes + j] = std::exp(expected[row * classes + j]);
    for (size_t j = 0; j < classes; j++) expected[row * classes + j] /= sum;
  }
  t.close(y.values(), expected, 1e-6, "softmax");
  t.ok(kc_softmax(&t.device, x.f32(), x.f32(), rows, classes), "softmax");
  t.is_true(x.same_bits(y), "softmax in place");
}

void add_loss_cases() {
  const std::vector<shape> shapes = {{12, 30, 0, false, 3}, {7, 30, 2, true, 3},    {9, 2, 0.5, true, 1},
                                     {300, 3, 1, false, 2}, {2, 64000, 0, true, 4}, {2, 1000, 1.5, true, 3}};
  for (const shape &s : shapes)
    all_cases().push_back(
        {"loss over " + std::to_string(s.classes) + " classes", "loss", "", [=](checks &t) { loss_case(t, s); }});
  all_cases().push_back({"loss, extremes", "loss", "", extremes_case});
  for (const size_t classes : {1, 30, 700})
    all_cases().push_back({"softmax", "loss", "", [=](checks &t) { softmax_case(t, 5, classes); }});
}
