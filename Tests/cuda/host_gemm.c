/* Products against sums in double: shapes, types, both operands either way, bias, accumulation, alignment. */
#include "host_test.h"

#include <math.h>

static uint64_t random_state = 1;
static float random_number(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (float)((double)(random_state >> 33) / (1u << 30) - 1);
}

/* Values that bf16, f16 and tf32 all hold exactly: 8 bits of mantissa. */
static float exact_number(void) { return (float)(int)(random_number() * 128) / 64; }

static float bf16_value(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static uint16_t bf16_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void put(void *array, size_t i, int type, float value) {
  if (type == KC_BF16) {
    ((uint16_t *)array)[i] = bf16_of(value);
  } else if (type == KC_F16) {
    ((_Float16 *)array)[i] = (_Float16)value;
  } else {
    ((float *)array)[i] = value;
  }
}
static float get(const void *array, size_t i, int type) {
  if (type == KC_BF16) return bf16_value(((const uint16_t *)array)[i]);
  if (type == KC_F16) return (float)((const _Float16 *)array)[i];
  return ((const float *)array)[i];
}

typedef struct problem {
  size_t m, n, k, offset; /* offset: elements by which a and c are moved from their alignment */
  int type, c_type, a_transposed, b_transposed, bias;
  float beta;
} problem;

/* The largest difference from sums in double, relative to what the result's type can hold. */
static double error_of(kc_device *device, const problem *p) {
  size_t a_count = p->m * p->k, b_count = p->k * p->n, c_count = p->m * p->n, o = p->offset;
  size_t in = kc_type_bytes(p->type), out = kc_type_bytes(p->c_type);
  unsigned char *a = calloc(a_count + o, in), *b = calloc(b_count, in), *c = calloc(c_count + o, out);
  unsigned char *bias = calloc(p->n, out);
  for (size_t i = 0; i < a_count; i++) put(a + o * in, i, p->type, exact_number());
  for (size_t i = 0; i < b_count; i++) put(b, i, p->type, exact_number());
  for (size_t i = 0; i < c_count; i++) put(c + o * out, i, p->c_type, p->beta != 0 ? exact_number() : NAN);
  for (size_t i = 0; i < p->n; i++) put(bias, i, p->c_type, exact_number());
  char *da = uploaded(device, a, (a_count + o) * in), *db = uploaded(device, b, b_count * in);
  char *dc = uploaded(device, c, (c_count + o) * out), *dbias = uploaded(device, bias, p->n * out);
  kc_gemm gemm = {.c = dc + o * out,
                  .a = da + o * in,
                  .b = db,
                  .bias = p->bias ? dbias : NULL,
                  .m = p->m,
                  .n = p->n,
                  .k = p->k,
                  .a_type = p->type,
                  .c_type = p->c_type,
                  .a_transposed = p->a_transposed,
                  .b_transposed = p->b_transposed,
                  .beta = p->beta};
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  unsigned char *got = calloc(c_count + o, out);
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, dc, (c_count + o) * out));
  double worst = 0, step = p->c_type == KC_BF16 ? 0x1p-8 : p->c_type == KC_F16 ? 0x1p-11 : 0x1p-24;
  for (size_t i = 0; i < p->m; i++) {
    for (size_t j = 0; j < p->n; j++) {
      double sum = p->bias ? get(bias, j, p->c_type) : 0;
      for (size_t k = 0; k < p->k; k++) {
        sum += (double)get(a + o * in, p->a_transposed ? k * p->m + i : i * p->k + k, p->type) *
               get(b, p->b_transposed ? j * p->k + k : k * p->n + j, p->type);
      }
      if (p->beta != 0) sum += (double)p->beta * get(c + o * out, i * p->n + j, p->c_type);
      double error = fabs(get(got + o * out, i * p->n + j, p->c_type) - sum) / (step * fmax(fabs(sum), 1e-3));
      if (!(error <= worst)) worst = error;
    }
  }
  kc_free(device, da), kc_free(device, db), kc_free(device, dc), kc_free(device, dbias);
  free(a), free(b), free(c), free(bias), free(got);
  return worst;
}

static void every_kind_of_product(void) {
  kc_device *device = opened();
  static const size_t shapes[][3] = {{1, 1, 1}, {64, 64, 64}, {3, 5, 7}, {130, 31, 65}, {1, 100, 33}, {65, 1, 128}};
  static const int types[][2] = {{KC_F32, KC_F32},  {KC_TF32, KC_TF32}, {KC_TF32, KC_F32}, {KC_BF16, KC_BF16},
                                 {KC_BF16, KC_F32}, {KC_F16, KC_F16},   {KC_F16, KC_F32}};
  double worst = 0;
  int products = 0;
  for (size_t s = 0; s < 6; s++) {
    for (size_t t = 0; t < 7; t++) {
      for (int bits = 0; bits < 32; bits++) {
        problem p = {shapes[s][0], shapes[s][1], shapes[s][2],  bits & 16 ? 3 : 0, types[t][0],
                     types[t][1],  bits & 1,     bits >> 1 & 1, bits >> 2 & 1,     bits & 8 ? 1 : 0};
        double error = error_of(device, &p);
        products++;
        if (!(error <= 1)) {
          CHECK(!"the product within rounding");
          printf("  %zu %zu %zu types %d %d bits %d: %g\n", p.m, p.n, p.k, p.type, p.c_type, bits, error);
        }
        if (error > worst) worst = error;
      }
    }
  }
  printf("  %d products, worst error %.3g of a rounding\n", products, worst);
  kc_close(device);
  check_clean(1);
}

static void tf32_rounds_to_ten_bits(void) {
  kc_device *device = opened();
  float a = 1 + 0x1p-12f, b = 1, c = 0;
  void *da = uploaded(device, &a, 4), *db = uploaded(device, &b, 4), *dc = uploaded(device, &c, 4);
  kc_gemm gemm = {.c = dc, .a = da, .b = db, .m = 1, .n = 1, .k = 1, .a_type = KC_TF32, .c_type = KC_F32};
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, &c, dc, 4));
  CHECK(c == 1);
  gemm.a_type = KC_F32;
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, &c, dc, 4));
  CHECK(c == a);
  kc_close(device);
  check_clean(1);
}

/* The heuristic is asked once for 64 numbers of tokens, whatever came first; and once more for a shape its answer does
 * not do. */
static void plans_are_kept(void) {
  kc_device *device = opened();
  problem forward = {.m = 60, .n = 32, .k = 48, .type = KC_BF16, .c_type = KC_BF16, .b_transposed = 1, .bias = 1};
  problem weights = {.m = 32, .n = 48, .k = 60, .type = KC_BF16, .c_type = KC_F32, .a_transposed = 1, .beta = 1};
  for (int exact = 0; exact < 2; exact++) {
    standin()->set("exact_shapes", exact);
    for (size_t tokens = 1; tokens <= 192; tokens += tokens % 64 == 1 ? 62 : 1) { /* 1 63 64 65 127 128 ... */
      forward.m = weights.k = tokens;
      for (int again = 0; again < 2; again++) {
        CHECK(error_of(device, &forward) <= 1);
        CHECK(error_of(device, &weights) <= 1);
      }
    }
    /* 3 numbers of 64 tokens, two products; then one plan each for the 6 shapes that are not whole. */
    CHECK(standin()->calls("cublasLtMatmulAlgoGetHeuristic") == (exact ? 6 + 12 : 6));
  }
  kc_close(device);
  check_clean(1);
}

static void products_of_nothing(void) {
  kc_device *device = opened();
  float c[4] = {1, 2, 3, 4}, got[4];
  void *dc = uploaded(device, c, sizeof c);
  kc_gemm gemm = {.c = dc, .a = dc, .b = dc, .m = 2, .n = 2, .k = 0, .a_type = KC_F32, .c_type = KC_F32, .beta = 1};
  STATUS(KC_OK, NULL, device, multiply(device, &gemm)); /* += an empty sum */
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, dc, sizeof got));
  CHECK(memcmp(got, c, sizeof c) == 0);
  gemm.beta = 0.5f;
  STATUS(KC_FAILED, "inner size of 0", device, multiply(device, &gemm));
  gemm.beta = 0;
  gemm.bias = dc;
  STATUS(KC_FAILED, "inner size of 0", device, multiply(device, &gemm));
  gemm.bias = NULL;
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  STATUS(KC_OK, NULL, device, kc_copy_out(device, got, dc, sizeof got));
  CHECK(got[0] == 0 && got[3] == 0);
  gemm.m = 0, gemm.k = 3;
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  gemm.m = 2, gemm.n = 0;
  STATUS(KC_OK, NULL, device, multiply(device, &gemm));
  CHECK(standin()->calls("cublasLtMatmul") == 0);
  kc_close(device);
  check_clean(1);
}

static void types_that_the_chip_does_not_have(void) {
  standin()->set("capability", 75);
  kc_device *device = opened();
  problem p = {.m = 8, .n = 8, .k = 8, .type = KC_F16, .c_type = KC_F16};
  CHECK(error_of(device, &p) <= 1);
  void *x;
  STATUS(KC_OK, NULL, device, kc_allocate(device, 1000, &x));
  kc_gemm gemm = {.c = x, .a = x, .b = x, .m = 2, .n = 2, .k = 2, .a_type = KC_BF16, .c_type = KC_BF16};
  STATUS(KC_UNSUPPORTED, "Stand-in 0 (compute capability 7.5) has no bf16", device, multiply(device, &gemm));
  gemm.a_type = KC_TF32;
  STATUS(KC_UNSUPPORTED, "tf32", device, multiply(device, &gemm));
  kc_close(device);
  check_clean(1);
}

const test_case gemm_cases[] = {{"every kind of product", every_kind_of_product},
                                {"tf32 rounds to ten bits", tf32_rounds_to_ten_bits},
                                {"plans are kept", plans_are_kept},
                                {"products of nothing", products_of_nothing},
                                {"types that the chip does not have", types_that_the_chip_does_not_have},
                                {NULL, NULL}};
