// test_optimizer.cpp - norm of the gradients, loss scale, AdamW, averages of weights.
#include "test_support.h"

static double norm_of(const numbers &x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

static void norm_case(checks &t, size_t count, size_t shift) {
  random_values random(count);
  const array gradient(KC_F32, random.many(count, 4), shift);
  const double norm = norm_of(gradient.values()) / 16;
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 16, 0), "update");
  t.ok(kc_update_prepare(&t.device, &state, gradient.f32(), count, 0.5, 0, 0), "update");
  t.near(state.grad_norm, norm, 1e-12, "gradient norm");
  t.near(state.gradient_scale, std::fmin(1, 0.5 / (norm + 1e-6)) / 16, 1e-7, "gradient scale");
  t.is_true(state.skip == 0 && state.loss_scale == 16, "no skip");
  t.ok(kc_update_prepare(&t.device, &state, gradient.f32(), count, 0, 0, 0), "update");
  t.near(state.gradient_scale, 1.0 / 16, 0, "gradient scale without clipping");
  kc_update_state seen = {};
  t.ok(kc_update_read(&t.device, &state, &seen), "update");
  t.is_true(seen.grad_norm == state.grad_norm && seen.loss_scale == 16, "the state as the host reads it");
}

// torch.amp.GradScaler: half after each update that is not finite, twice after the interval.
static void scaling_case(checks &t) {
  array good(KC_F32, {1, 2, 3}), bad(KC_F32, {1, NAN, 3}), infinite(KC_F32, {INFINITY, 0, 0});
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 1024, 1), "update");
  const auto prepare = [&](const array &gradient) {
    t.ok(kc_update_prepare(&t.device, &state, gradient.f32(), 3, 1.0, 1, 3), "update");
  };
  prepare(good);
  t.is_true(state.skip == 0 && state.loss_scale == 1024 && state.good_updates == 2, "two good updates");
  prepare(good);
  t.is_true(state.skip == 0 && state.loss_scale == 2048 && state.good_updates == 0, "doubled");
  t.near(state.gradient_scale, 1.0 / 1024 / (std::sqrt(14.0) / 1024 > 1 ? std::sqrt(14.0) / 1024 : 1), 1e-6,
         "the scale that the gradients had");
  prepare(good);
  prepare(bad);
  t.is_true(state.skip == 1 && state.loss_scale == 1024 && state.good_updates == 0, "halved on NaN");
  prepare(infinite);
  t.is_true(state.skip == 1 && state.loss_scale == 512, "halved on infinity");
  prepare(good);
  t.is_true(state.skip == 0 && state.good_updates == 1, "and on");
  state.loss_sum = NAN;
  prepare(good);
  t.is_true(state.skip == 1 && state.loss_scale == 256, "a loss that is not finite");
  t.ok(kc_update_start(&t.device, &state, 3e38f, 2), "update");
  prepare(good);
  t.is_true(state.skip == 0 && state.loss_scale == 3e38f, "never to infinity");
}

static void adamw_case(checks &t, int half_type, size_t count, size_t shift) {
  random_values random(count);
  array w(KC_F32, random.many(count), shift), m(KC_F32, numbers(count, 0), shift), v(KC_F32, numbers(count, 0), shift),
      half(half_type, count, shift);
  const std::string name = std::string("AdamW ") + type_name(half_type);
  const kc_array copy = {kc_is_half(half_type) ? half.view().data : nullptr, half_type};
  numbers ew = w.values(), em(count, 0), ev(count, 0);
  kc_update_state state = {};
  t.ok(kc_update_start(&t.device, &state, 4, 0), name);
  const double lr = 1e-2f, b1 = 0.9f, b2 = 0.98f, epsilon = 1e-6f, decay = 0.01f;
  for (int step = 1; step <= 4; step++) {
    const array gradient(KC_F32, random.many(count), shift);
    const numbers g = gradient.values();
    kc_adamw options = {1e-2f, 0.9f, 0.98f, 1e-6f, 0.01f, 1 - std::pow(b1, step), 1 - std::pow(b2, step)};
    t.ok(kc_update_prepare(&t.device, &state, gradient.f32(), count, 1.0, 0, 0), name);
    t.ok(kc_adamw_apply(&t.device, w.f32(), copy, m.f32(), v.f32(), gradient.f32(), count, &options, &state), name);
    const double scale = std::fmin(1, 1 / (norm_of(g) / 4 + 1e-6)) / 4;
    for (size_t i = 0; i < count; i++) {
      em[i] = b1 * em[i] + (1 - b1) * g[i] * scale;
      ev[i] = b2 * ev[i] + (1 - b2) * g[i] * scale * g[i] * scale;
      ew[i] = ew[i] * (1 - lr * decay) -
              lr / options.correction1 * em[i] / (std::sqrt(ev[i]) / std::sqrt(options.correction2) + epsilon);
    }
  }
  t.close(w.values(), ew, 1e-6, name);
  t.close(m.values(), em, 1e-6, name + " m");
  t.close(v.values(), ev, 1e-6, name + " v");
  if (copy.data) t.close(half.values(), rounded(half_type, w.values()), 0, name + " copy");
  const numbers before = w.values();
  const array bad(KC_F32, numbers(count, INFINITY), shift);
  kc_adamw options = {1e-2f, 0.9f, 0.98f, 1e-6f, 0.01f, 0.5, 0.5};
  t.ok(kc_update_prepare(&t.device, &state, bad.f32(), count, 1.0, 0, 0), name);
  t.ok(kc_adamw_apply(&t.device, w.f32(), copy, m.f32(), v.f32(), bad.f32(), count, &options, &state), name);
  t.close(w.values(), before, 0, name + ", skipped");
}

static void lerp_case(checks &t, size_t count, size_t shift) {
  random_values random(count + 3);
  array average(KC_F32, numbers(count, 0), shift);
  numbers expected(count, 0);
  for (const float weight : {1.0f, 0.5f, 1.0f / 3, 0.01f, 0.9f, 0.0f}) {
    const array x(KC_F32, random.many(count, 2), shift);
    const numbers values = x.values();
    t.ok(kc_lerp(&t.device, average.f32(), x.f32(), weight, count), "lerp");
    for (size_t i = 0; i < count; i++) expected[i] += weight * (values[i] - expected[i]);
    t.close(average.values(), expected, weight == 1 ? 0 : 1e-6, "average of weights");
  }
  t.ok(kc_lerp(&t.device, average.f32(), average.f32(), 0.5f, 0), "nothing to average");
}

void add_optimizer_cases() {
  for (const size_t count : {1, 13, 5000})
    all_cases().push_back({"average of weights", "optimizer", "", [=](checks &t) { lerp_case(t, count, count == 13); }});
  for (const size_t count : {1, 13, 5000, 70001})
    all_cases().push_back({"gradient norm", "optimizer", "", [=](checks &t) { norm_case(t, count, count == 5000); }});
  all_cases().push_back({"loss scale", "optimizer", "", scaling_case});
  for (const int type : all_types) {
    for (const size_t count : {5, 2048, 4099})
      all_cases().push_back({std::string("AdamW ") + type_name(type), "optimizer", type_name(type),
                             [=](checks &t) { adamw_case(t, type, count, count == 5); }});
  }
}
