// test_loss.cpp - cross entropy, the other classification losses, softmax.
#include <functional>

#include "test_support.h"

static numbers log_softmax(const numbers &x) {
  double largest = x[0], sum = 0;
  for (const double v : x) largest = std::fmax(largest, v);
  for (const double v : x) sum += std::exp(v - largest);
  numbers y;
  for (const double v : x) y.push_back(v - largest - std::log(sum));
  return y;
}

struct shape {
  size_t rows, classes;
  double spread;
};

// Some rows without a label.
static std::vector<int32_t> labels_of(random_values &random, shape s) {
  std::vector<int32_t> labels;
  for (size_t row = 0; row < s.rows; row++) labels.push_back(row % 5 == 4 ? -100 : (int32_t)random.below(s.classes));
  if (s.rows > 6) labels[6] = (int32_t)s.classes;
  return labels;
}

static numbers row_of(const numbers &x, size_t row, size_t classes) {
  return numbers(x.begin() + (long)(row * classes), x.begin() + (long)((row + 1) * classes));
}

using call = std::function<int(float *gradient, const float *logits, kc_update_state *state)>;
using reference = std::function<double(const numbers &logits, size_t row)>;

// The sum of the rows' losses and its gradient, times 0.25 and a loss scale of 8, against `loss` of a row and its finite
// differences; rows that `reach` each other are neighbours.
static void check_loss(checks &t, const std::string &name, shape s, const std::vector<int32_t> &labels,
                       const array &logits, size_t reach, const call &run, const reference &loss) {
  array gradient(KC_F32, s.rows * s.classes);
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 8, 0), name);
  state.loss_sum = 100; // calls add to it
  t.ok(run(gradient.f32(), logits.f32(), &state), name);
  double total = 100;
  numbers x = logits.values(), found = gradient.values(), probed, at_probes;
  const auto labelled = [&](size_t row) { return labels[row] >= 0 && (size_t)labels[row] < s.classes; };
  for (size_t row = 0; row < s.rows; row++) {
    if (!labelled(row)) {
      for (size_t j = 0; j < s.classes; j++) t.is_true(found[row * s.classes + j] == 0, name + ": no label, no gradient");
      continue;
    }
    total += loss(x, row);
    const auto label = (size_t)labels[row];
    const size_t first = row / reach * reach, last = std::min(first + reach, s.rows);
    const auto around = [&] {
      double sum = 0;
      for (size_t other = first; other < last; other++) sum += labelled(other) ? loss(x, other) : 0;
      return sum;
    };
    for (size_t j = 0; j < s.classes; j += s.classes > 100 && j != label ? s.classes / 17 : 1) {
      double &place = x[row * s.classes + j];
      const double own = place, h = 1e-4;
      place = own + h;
      const double above = around();
      place = own - h;
      const double below = around();
      place = own;
      probed.push_back((above - below) / (2 * h) * 0.25 * 8);
      at_probes.push_back(found[row * s.classes + j]);
    }
  }
  t.near(state.loss_sum, total, 1e-6, name);
  t.close(at_probes, probed, 3e-6, name + " gradient");
  t.ok(kc_update_begin(&t.device, &state), name);
  t.ok(run(nullptr, logits.f32(), &state), name); // the sum alone
  t.near(state.loss_sum, total - 100, 1e-6, name);
}

static void cross_entropy_case(checks &t, shape s) {
  random_values random(s.classes + s.rows);
  const array logits(KC_F32, random.many(s.rows * s.classes, s.spread));
  const std::vector<int32_t> labels = labels_of(random, s);
  const call run = [&](float *gradient, const float *from, kc_update_state *state) {
    return kc_cross_entropy(&t.device, gradient, from, labels.data(), s.rows, s.classes, 0.25f, state);
  };
  check_loss(t, "cross entropy", s, labels, logits, 1, run, [&](const numbers &x, size_t row) {
    return -log_softmax(row_of(x, row, s.classes))[(size_t)labels[row]];
  });
  array apart(KC_F32, s.rows * s.classes), in_place(KC_F32, logits.values());
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 8, 0), "cross entropy");
  t.ok(run(apart.f32(), logits.f32(), &state), "cross entropy");
  t.ok(run(in_place.f32(), in_place.f32(), &state), "cross entropy");
  t.is_true(in_place.same_bits(apart), "cross entropy in place");
}

static double divergence(const numbers &log_p, const numbers &log_q) {
  double sum = 0;
  for (size_t j = 0; j < log_p.size(); j++) sum += std::exp(log_p[j]) * (log_p[j] - log_q[j]);
  return sum;
}

// rule's arrays are set here where `arrays` says so. Detached factors have no finite differences: those are another case.
static void rule_case(checks &t, const std::string &name, shape s, kc_loss_rule rule, bool weighted, bool margins) {
  random_values random(s.classes * 3 + s.rows);
  const array logits(KC_F32, random.many(s.rows * s.classes, s.spread)), weight(KC_F32, random.many(s.classes, 0.5, 1)),
      margin(KC_F32, random.many(s.classes, 0.2, 0.3));
  std::vector<int32_t> labels = labels_of(random, s);
  if (rule.agreement != 0)
    for (size_t row = 1; row < s.rows; row += 2) labels[row] = labels[row - 1];
  numbers targets = random.many(s.rows * s.classes, 1);
  for (size_t row = 0; row < s.rows; row++) { // distributions, with a class of no chance
    double sum = 0;
    for (size_t j = 0; j < s.classes; j++) {
      double &target = targets[row * s.classes + j];
      sum += target = j == row % s.classes ? 0 : std::exp(target);
    }
    for (size_t j = 0; j < s.classes; j++) targets[row * s.classes + j] /= sum;
  }
  const array teacher(KC_F32, targets);
  if (weighted) rule.weights = weight.f32();
  if (margins) rule.margins = margin.f32();
  if (rule.soft != 0) rule.teacher = teacher.f32();
  const numbers w = weight.values(), m = margin.values(), taught = teacher.values();
  const call run = [&](float *gradient, const float *from, kc_update_state *state) {
    return kc_classification_loss(&t.device, gradient, from, labels.data(), s.rows, s.classes, 0.25f, &rule, state);
  };
  check_loss(t, name, s, labels, logits, 2, run, [&](const numbers &x, size_t row) {
    const auto label = (size_t)labels[row];
    const numbers plain = row_of(x, row, s.classes);
    numbers sharp = plain, cool = plain;
    double value = 0;
    for (size_t j = 0; j < s.classes; j++) {
      sharp[j] = rule.sharpness * (plain[j] - (margins && j == label ? m[j] : 0));
      cool[j] = plain[j] / rule.temperature;
    }
    const numbers hard = log_softmax(sharp), soft = log_softmax(cool);
    for (size_t j = 0; j < s.classes; j++) {
      const double q = (j == label ? rule.on_target : rule.off_target) * (weighted ? w[j] : 1);
      value -= rule.hard * q * std::pow(-std::expm1(hard[j]), rule.gamma) * hard[j];
      const double target = taught[row * s.classes + j];
      if (rule.soft != 0 && target > 0) value += rule.soft * target * (std::log(target) - soft[j]);
    }
    if (rule.agreement != 0 && (row ^ 1) < s.rows) {
      const numbers own = log_softmax(plain), other = log_softmax(row_of(x, row ^ 1, s.classes));
      value += rule.agreement * 0.25 * (divergence(own, other) + divergence(other, own));
    }
    return value;
  });
}

static kc_loss_rule plain_rule() {
  return {nullptr, nullptr, nullptr, 1, 0, 0, 1, 1, 1, 0, 0, 0};
}

// (1 - p)^gamma detached: its value times the gradient of cross entropy.
static void detached_case(checks &t) {
  const array logits(KC_F32, {1, 2, 0.5});
  array gradient(KC_F32, 3);
  const int32_t labels[] = {1};
  kc_loss_rule rule = plain_rule();
  rule.gamma = 1.5;
  rule.detached = 1;
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 1, 0), "detached");
  t.ok(kc_classification_loss(&t.device, gradient.f32(), logits.f32(), labels, 1, 3, 1, &rule, &state), "detached");
  const numbers log_p = log_softmax(logits.values()), found = gradient.values();
  const double factor = std::pow(1 - std::exp(log_p[1]), 1.5);
  t.near(state.loss_sum, -factor * log_p[1], 1e-6, "detached");
  for (size_t j = 0; j < 3; j++) t.near(found[j], factor * (std::exp(log_p[j]) - (j == 1 ? 1 : 0)), 1e-6, "detached");
}

// Certain, and certainly wrong: no NaN from 0 times infinity, with a logit of minus infinity too.
static void extremes_case(checks &t) {
  for (const double gamma : {0.0, 0.5, 1.0, 2.0}) {
    const array logits(KC_F32, {200, 0, -INFINITY, 0, 200, -INFINITY});
    const array taught(KC_F32, {1, 0, 0, 0, 1, 0});
    array gradient(KC_F32, 6);
    const int32_t labels[] = {0, 0};
    kc_loss_rule rule = plain_rule();
    rule.gamma = gamma;
    kc_update_state state = {};
    t.ok(kc_update_start(&t.device, &state, 1, 0), "extremes");
    t.ok(kc_classification_loss(&t.device, gradient.f32(), logits.f32(), labels, 2, 3, 1, &rule, &state), "extremes");
    const numbers g = gradient.values();
    t.near(state.loss_sum, 200, 1e-6, "extremes");
    t.near(g[0], 0, 1e-6, "extremes");
    t.near(g[3], -1, 1e-6, "extremes");
    t.near(g[4], 1, 1e-6, "extremes");
    t.is_true(g[2] == 0 && g[5] == 0, "extremes");
    rule.hard = 0;
    rule.soft = 1;
    rule.agreement = 1;
    rule.teacher = taught.f32();
    t.ok(kc_update_begin(&t.device, &state), "extremes");
    t.ok(kc_classification_loss(&t.device, gradient.f32(), logits.f32(), labels, 2, 3, 1, &rule, &state), "extremes");
    t.near(state.loss_sum, 200, 1e-6, "extremes, agreement"); // (200 + 200) / 2 of the pair
    for (const double v : gradient.values()) t.is_true(std::isfinite(v), "extremes, agreement");
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
  const std::vector<shape> shapes = {{12, 30, 3}, {9, 2, 1}, {300, 3, 2}, {2, 64000, 4}};
  for (const shape &s : shapes)
    all_cases().push_back({"cross entropy over " + std::to_string(s.classes) + " classes", "loss", "",
                           [=](checks &t) { cross_entropy_case(t, s); }});
  struct rule {
    const char *name;
    kc_loss_rule rule;
    bool weighted, margins;
  };
  // on_target, off_target, gamma, sharpness, temperature, hard, soft, agreement, detached
  const std::vector<rule> rules = {
      {"weights", {nullptr, nullptr, nullptr, 1, 0, 0, 1, 1, 1, 0, 0, 0}, true, false},
      {"smoothing", {nullptr, nullptr, nullptr, 0.9, 0.01, 0, 1, 1, 1, 0, 0, 0}, true, false},
      {"focal", {nullptr, nullptr, nullptr, 1, 0, 2, 1, 1, 0.7, 0, 0, 0}, true, false},
      {"smoothed focal", {nullptr, nullptr, nullptr, 0.8, 0.05, 0.5, 1, 1, 1, 0, 0, 0}, false, false},
      {"margins", {nullptr, nullptr, nullptr, 1, 0, 0, 5, 1, 1, 0, 0, 0}, true, true},
      {"distillation", {nullptr, nullptr, nullptr, 1, 0, 0, 1, 3, 0, 2, 0, 0}, false, false},
      {"everything", {nullptr, nullptr, nullptr, 0.9, 0.02, 1.5, 1, 2, 0.4, 0.8, 3, 0}, true, false},
      {"agreement", {nullptr, nullptr, nullptr, 1, 0, 0, 1, 1, 0.5, 0, 2, 0}, false, false}};
  for (const rule &r : rules)
    for (const shape &s : {shape{12, 30, 3}, shape{7, 2, 1}, shape{2, 1000, 3}})
      all_cases().push_back({std::string(r.name) + " over " + std::to_string(s.classes) + " classes", "loss", "",
                             [=](checks &t) { rule_case(t, r.name, s, r.rule, r.weighted, r.margins); }});
  all_cases().push_back({"focal, detached", "loss", "", detached_case});
  all_cases().push_back({"loss, extremes", "loss", "", extremes_case});
  for (const size_t classes : {1, 30, 700})
    all_cases().push_back({"softmax", "loss", "", [=](checks &t) { softmax_case(t, 5, classes); }});
}
