// test_norm.cpp - residual, dropout and layer norm, forward and backward.
#include "test_support.h"

struct norm_result {
  numbers y, xhat, rstd;
};
// sum: what is normalised.
static norm_result normalise(const numbers &sum, const numbers &gain, const numbers &bias, size_t rows,
                             double epsilon) {
  const size_t width = gain.size();
  norm_result r = {numbers(rows * width), numbers(rows * width), numbers(rows)};
  for (size_t row = 0; row < rows; row++) {
    double mean = 0, variance = 0;
    for (size_t j = 0; j < width; j++) mean += sum[row * width + j] / (double)width;
    for (size_t j = 0; j < width; j++) variance += std::pow(sum[row * width + j] - mean, 2) / (double)width;
    r.rstd[row] = 1 / std::sqrt(variance + epsilon);
    for (size_t j = 0; j < width; j++) {
      r.xhat[row * width + j] = (sum[row * width + j] - mean) * r.rstd[row];
      r.y[row * width + j] = r.xhat[row * width + j] * gain[j] + bias[j];
    }
  }
  return r;
}

struct norm_shape {
  size_t rows, width;
  double p;
  bool residual;
  size_t shift; // elements by which arrays are not aligned
};

static void forward_case(checks &t, type_pair types, norm_shape s) {
  random_values random(s.width + s.rows);
  const std::string name = std::string("residual norm ") + types.kind;
  const masks mask(s.p, s.rows, 3, random);
  const size_t n = s.rows * s.width;
  const array x(types.values, random.many(n, 1, 0.5), s.shift), residual(types.stream, random.many(n), s.shift),
      gain(KC_F32, random.many(s.width, 0.5, 1)), bias(KC_F32, random.many(s.width));
  array y(types.values, n, s.shift), xhat(types.values, n, s.shift), rstd(KC_F32, s.rows), stream(KC_F32, n, s.shift);
  const kc_array none = {nullptr, types.stream};
  const bool streams = types.values != types.stream;
  t.ok(kc_residual_norm(&t.device, y.view(), streams ? stream.f32() : nullptr, xhat.view(), rstd.f32(), x.view(),
                        s.residual ? residual.view() : none, gain.f32(), bias.f32(), s.rows, s.width, 1e-5f,
                        mask.get()),
       name);
  numbers sum = x.values();
  const numbers other = residual.values();
  for (size_t row = 0; row < s.rows; row++) {
    const numbers factors = mask.factors(row, s.width);
    for (size_t j = 0; j < s.width; j++)
      sum[row * s.width + j] = sum[row * s.width + j] * factors[j] + (s.residual ? other[row * s.width + j] : 0);
  }
  const norm_result expected = normalise(sum, gain.values(), bias.values(), s.rows, 1e-5);
  t.close(y.values(), expected.y, rounding(types.values), name);
  t.close(xhat.values(), expected.xhat, rounding(types.values), name + " xhat");
  t.close(rstd.values(), expected.rstd, 2e-6, name + " rstd");
  if (streams) t.close(stream.values(), expected.y, 2e-6, name + " stream");
  // In place of the residual, or of x, and without what training needs.
  array in_place(types.values, n, s.shift);
  in_place.set(x.values());
  t.ok(kc_residual_norm(&t.device, in_place.view(), nullptr, none, nullptr, in_place.view(),
                        s.residual ? residual.view() : none, gain.f32(), bias.f32(), s.rows, s.width, 1e-5f,
                        mask.get()),
       name);
  t.is_true(in_place.same_bits(y), name + " in place");
}

// The gradient of the sum that was normalised, and of gain and bias.
struct norm_gradients {
  numbers dsum, dgain, dbias;
};
static norm_gradients gradients(const numbers &dy, const numbers &xhat, const numbers &rstd, const numbers &gain,
                                numbers dgain, numbers dbias) {
  const size_t width = gain.size(), rows = rstd.size();
  norm_gradients g = {numbers(rows * width), dgain, dbias};
  for (size_t row = 0; row < rows; row++) {
    double mean = 0, slope = 0;
    for (size_t j = 0; j < width; j++) {
      const double d = dy[row * width + j], h = xhat[row * width + j];
      g.dgain[j] += d * h;
      g.dbias[j] += d;
      mean += d * gain[j] / (double)width;
      slope += d * gain[j] * h / (double)width;
    }
    for (size_t j = 0; j < width; j++)
      g.dsum[row * width + j] = (dy[row * width + j] * gain[j] - mean - xhat[row * width + j] * slope) * rstd[row];
  }
  return g;
}

static void backward_case(checks &t, type_pair types, norm_shape s) {
  random_values random(s.width * 3 + s.rows);
  const std::string name = std::string("norm backward ") + types.kind;
  const masks mask(s.p, s.rows, 3, random);
  const size_t n = s.rows * s.width;
  const array dy(types.stream, random.many(n), s.shift), xhat(types.values, random.many(n, 1.7), s.shift),
      rstd(KC_F32, random.many(s.rows, 0.5, 1)), gain(KC_F32, random.many(s.width, 0.5, 1));
  array dx(types.values, n, s.shift), dsum(types.stream, n, s.shift), dgain(KC_F32, random.many(s.width)),
      dbias(KC_F32, random.many(s.width));
  const norm_gradients expected =
      gradients(dy.values(), xhat.values(), rstd.values(), gain.values(), dgain.values(), dbias.values());
  t.ok(kc_residual_norm_backward(&t.device, dx.view(), dsum.view(), dgain.f32(), dbias.f32(), dy.view(), xhat.view(),
                                 rstd.f32(), gain.f32(), s.rows, s.width, mask.get()),
       name);
  numbers dropped = expected.dsum;
  for (size_t row = 0; row < s.rows; row++) {
    const numbers factors = mask.factors(row, s.width);
    for (size_t j = 0; j < s.width; j++) dropped[row * s.width + j] *= factors[j];
  }
  t.close(dsum.values(), expected.dsum, rounding(types.stream), name + " dsum");
  t.close(dx.values(), dropped, rounding(types.values), name + " dx");
  t.close(dgain.values(), expected.dgain, 3e-6, name + " dgain");
  t.close(dbias.values(), expected.dbias, 3e-6, name + " dbias");
  array in_place(types.stream, n, s.shift), more(KC_F32, numbers(s.width, 0)), most(KC_F32, numbers(s.width, 0));
  in_place.set(dy.values());
  t.ok(kc_residual_norm_backward(&t.device, {nullptr, types.values}, in_place.view(), more.f32(), most.f32(),
                                 in_place.view(), xhat.view(), rstd.f32(), gain.f32(), s.rows, s.width, mask.get()),
       name);
  t.is_true(in_place.same_bits(dsum), name + " in place");
}

static void refusals(checks &t) {
  array x(KC_BF16, 8), other(KC_F16, 8), gain(KC_F32, 8), rstd(KC_F32, 1), wide(KC_F32, 8200);
  t.is_true(kc_residual_norm(&t.device, x.view(), nullptr, {nullptr, 0}, nullptr, x.view(), other.view(), gain.f32(),
                             gain.f32(), 1, 8, 1e-5f, nullptr) == KC_UNSUPPORTED,
            "bf16 beside f16");
  t.is_true(kc_residual_norm(&t.device, wide.view(), nullptr, {nullptr, 0}, nullptr, wide.view(), {nullptr, 0},
                             wide.f32(), wide.f32(), 1, 8200, 1e-5f, nullptr) == KC_UNSUPPORTED,
            "rows that are too wide");
  t.is_true(t.device.message.find("8200 columns") != std::string::npos, t.device.message);
  t.ok(kc_residual_norm(&t.device, x.view(), nullptr, {nullptr, 0}, nullptr, x.view(), {nullptr, 0}, gain.f32(),
                        gain.f32(), 0, 8, 1e-5f, nullptr),
       "no rows");
}

void add_norm_cases() {
  const std::vector<norm_shape> shapes = {{5, 256, 0.1, true, 0},  {3, 1024, 0.1, true, 0}, {9, 40, 0.3, true, 0},
                                          {6, 13, 0.1, true, 1},   {2, 768, 0, true, 0},    {17, 512, 0, false, 0},
                                          {2, 1024, 0.2, true, 1}, {1, 1, 0, true, 0},      {2, 2048, 0.1, true, 0},
                                          {1, 2500, 0.1, true, 0}};
  for (const type_pair &types : type_pairs) {
    for (const norm_shape &shape : shapes) {
      all_cases().push_back({std::string("residual norm ") + types.kind + " " + std::to_string(shape.width), "norm",
                             types.kind, [=](checks &t) { forward_case(t, types, shape); }});
      all_cases().push_back({std::string("norm backward ") + types.kind + " " + std::to_string(shape.width), "norm",
                             types.kind, [=](checks &t) { backward_case(t, types, shape); }});
    }
    // More rows than the blocks have at once, so that a block goes on to further rows.
    for (const size_t width : {24, 300, 1024})
      all_cases().push_back({std::string("norm backward, many rows ") + types.kind, "norm", types.kind,
                             [=](checks &t) { backward_case(t, types, {200, width, 0.1, true, 0}); }});
  }
  all_cases().push_back({"norm refusals", "norm", "", refusals});
}
