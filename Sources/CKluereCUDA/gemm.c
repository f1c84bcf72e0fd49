/* gemm.c - products through cublasLt. Row-major c [m, n] is column-major c^T [n, m] = op(b)^T op(a)^T: our b is the
 * library's A, our a its B, and no value is moved.
 * A plan (descriptors and the algorithm) is asked for once per shape, types, epilogue and alignment. Numbers of tokens,
 * which change from batch to batch, are rounded up to TOKENS for that, so that the plan does not depend on which of
 * them came first. The first answer of the library's heuristic is taken, untimed, and sums split over blocks are added
 * in a fixed order: the same bits for the same calls on the same chip and library. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64, SLOTS = 256, WORKSPACE = 32 << 20, ALIGNMENT = 16 };

typedef struct plan_key {
  uint64_t m, n, k;
  int32_t a_type, c_type, a_transposed, b_transposed, bias, accumulate;
  int32_t alignment_a, alignment_b, alignment_c, alignment_bias;
} plan_key;

typedef struct plan {
  plan_key key;
  struct plan *next;
  cublasLtMatmulDesc_t product;
  cublasLtMatrixLayout_t a, b, c; /* of our a, b and c */
  size_t m, n, k;                 /* what the layouts say now */
  cublasLtMatmulAlgo_t algorithm;
} plan;

struct kc_plans {
  plan *slots[SLOTS];
};

int kc_gemm_open(kc_device *device) {
  device->plans = calloc(1, sizeof *device->plans);
  if (!device->plans) return kc_fail(device, KC_OUT_OF_MEMORY, "no memory for the list of products");
  cublasStatus_t result = device->lt.cublasLtCreate(&device->cublas);
  if (result != CUBLAS_STATUS_SUCCESS) {
    device->cublas = NULL;
    const char *name = device->lt.cublasLtGetStatusName(result);
    return kc_fail(device, result == CUBLAS_STATUS_ALLOC_FAILED ? KC_OUT_OF_MEMORY : KC_FAILED,
                   "libcublasLt %llu cannot be used: %s", (unsigned long long)device->info.cublas_version,
                   name ? name : "unknown error");
  }
  return kc_check(device, device->cu.cuMemAlloc_v2(&device->workspace, WORKSPACE), "cuMemAlloc for cublasLt");
}

static void destroy(kc_device *device, plan *plan) {
  if (plan->product) device->lt.cublasLtMatmulDescDestroy(plan->product);
  if (plan->a) device->lt.cublasLtMatrixLayoutDestroy(plan->a);
  if (plan->b) device->lt.cublasLtMatrixLayoutDestroy(plan->b);
  if (plan->c) device->lt.cublasLtMatrixLayoutDestroy(plan->c);
  free(plan);
}

void kc_gemm_close(kc_device *device) {
  for (size_t i = 0; device->plans && i < SLOTS; i++) {
    for (plan *each = device->plans->slots[i], *next; each; each = next) {
      next = each->next;
      destroy(device, each); /* descriptors are host memory */
    }
  }
  free(device->plans);
  if (device->lost) return;
  if (device->cublas) device->lt.cublasLtDestroy(device->cublas);
  if (device->workspace) device->cu.cuMemFree_v2(device->workspace);
}

/* A failure of the library may be the driver's, which may be beyond repair. */
static int cublas_error(kc_device *device, cublasStatus_t result, const char *call, const kc_gemm *gemm) {
  if (!device->capturing) {
    CUresult state = device->cu.cuStreamQuery(device->stream);
    if (state != CUDA_SUCCESS && state != CUDA_ERROR_NOT_READY) return kc_check(device, state, call);
  }
  const char *name = device->lt.cublasLtGetStatusName(result);
  return kc_fail(device, result == CUBLAS_STATUS_ALLOC_FAILED ? KC_OUT_OF_MEMORY : KC_FAILED,
                 "%s of [%zu, %zu] x [%zu, %zu]: %s (%d)", call, gemm->m, gemm->k, gemm->k, gemm->n,
                 name ? name : "unknown error", (int)result);
}

static cudaDataType data_type(int type) {
  return type == KC_BF16 ? CUDA_R_16BF : type == KC_F16 ? CUDA_R_16F : CUDA_R_32F;
}

static int32_t alignment(const void *pointer) {
  uintptr_t at = (uintptr_t)pointer;
  return at % ALIGNMENT == 0 ? ALIGNMENT : (int32_t)(at & (~at + 1));
}

static cublasStatus_t set_layout(kc_device *device, cublasLtMatrixLayout_t layout, uint64_t rows, uint64_t columns) {
  int64_t ld = (int64_t)rows;
  cublasStatus_t result =
      device->lt.cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows);
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = device->lt.cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns);
  }
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = device->lt.cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld);
  }
  return result;
}

/* A stored row is a column of the library's. */
static cublasStatus_t set_shape(kc_device *device, plan *plan, size_t m, size_t n, size_t k) {
  if (plan->m == m && plan->n == n && plan->k == k) return CUBLAS_STATUS_SUCCESS;
  const plan_key *key = &plan->key;
  cublasStatus_t result = set_layout(device, plan->a, key->a_transposed ? m : k, key->a_transposed ? k : m);
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = set_layout(device, plan->b, key->b_transposed ? k : n, key->b_transposed ? n : k);
  }
  if (result == CUBLAS_STATUS_SUCCESS) result = set_layout(device, plan->c, n, m);
  plan->m = result == CUBLAS_STATUS_SUCCESS ? m : 0;
  plan->n = n;
  plan->k = k;
  return result;
}

static cublasStatus_t set_product(kc_device *device, plan *plan, const kc_gemm *gemm) {
  const kc_cublas *lt = &device->lt;
  int32_t op_a = gemm->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = gemm->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  uint32_t epilogue = gemm->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  cublasStatus_t result =
      lt->cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a);
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = lt->cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b);
  }
  if (result == CUBLAS_STATUS_SUCCESS) {
    result =
        lt->cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
  }
  return result;
}

static cublasStatus_t set_bias(kc_device *device, plan *plan, const void *bias) {
  if (!bias) return CUBLAS_STATUS_SUCCESS;
  return device->lt.cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                                   sizeof bias);
}

static cublasStatus_t set_preference(kc_device *device, cublasLtMatmulPreference_t preference, const plan_key *key) {
  uint64_t workspace = WORKSPACE;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* NONE is no bit: always allowed */
  uint32_t a = (uint32_t)key->alignment_b, b = (uint32_t)key->alignment_a, c = (uint32_t)key->alignment_c;
  const struct {
    cublasLtMatmulPreferenceAttributes_t name;
    const void *value;
    size_t bytes;
  } attributes[] = {
      {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
      {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &a, sizeof a},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &b, sizeof b},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &c, sizeof c},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &c, sizeof c},
  };
  cublasStatus_t result = CUBLAS_STATUS_SUCCESS;
  for (size_t i = 0; i < sizeof attributes / sizeof attributes[0] && result == CUBLAS_STATUS_SUCCESS; i++) {
    result = device->lt.cublasLtMatmulPreferenceSetAttribute(preference, attributes[i].name, attributes[i].value,
                                                             attributes[i].bytes);
  }
  return result;
}

static int ask(kc_device *device, plan *plan, const kc_gemm *gemm) {
  cublasLtMatmulPreference_t preference = NULL;
  cublasLtMatmulHeuristicResult_t answer;
  int answers = 0;
  memset(&answer, 0, sizeof answer);
  cublasStatus_t result = device->lt.cublasLtMatmulPreferenceCreate(&preference);
  if (result != CUBLAS_STATUS_SUCCESS) return cublas_error(device, result, "cublasLtMatmulPreferenceCreate", gemm);
  result = set_preference(device, preference, &plan->key);
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = device->lt.cublasLtMatmulAlgoGetHeuristic(device->cublas, plan->product, plan->b, plan->a, plan->c,
                                                       plan->c, preference, 1, &answer, &answers);
  }
  device->lt.cublasLtMatmulPreferenceDestroy(preference);
  if (result == CUBLAS_STATUS_SUCCESS && answers < 1) result = CUBLAS_STATUS_NOT_SUPPORTED;
  if (result == CUBLAS_STATUS_SUCCESS) result = (cublasStatus_t)answer.state;
  if (result != CUBLAS_STATUS_SUCCESS) return cublas_error(device, result, "cublasLtMatmulAlgoGetHeuristic", gemm);
  plan->algorithm = answer.algo;
  return KC_OK;
}

static int make(kc_device *device, const plan_key *key, const kc_gemm *gemm, plan **out) {
  plan *made = calloc(1, sizeof *made);
  if (!made) return kc_fail(device, KC_OUT_OF_MEMORY, "no memory for a product");
  made->key = *key;
  const kc_cublas *lt = &device->lt;
  cudaDataType type = data_type(gemm->a_type);
  cublasComputeType_t compute = gemm->a_type == KC_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  cublasStatus_t result = lt->cublasLtMatmulDescCreate(&made->product, compute, CUDA_R_32F);
  if (result == CUBLAS_STATUS_SUCCESS) result = lt->cublasLtMatrixLayoutCreate(&made->a, type, 1, 1, 1);
  if (result == CUBLAS_STATUS_SUCCESS) result = lt->cublasLtMatrixLayoutCreate(&made->b, type, 1, 1, 1);
  if (result == CUBLAS_STATUS_SUCCESS) {
    result = lt->cublasLtMatrixLayoutCreate(&made->c, data_type(gemm->c_type), 1, 1, 1);
  }
  if (result == CUBLAS_STATUS_SUCCESS) result = set_product(device, made, gemm);
  if (result == CUBLAS_STATUS_SUCCESS) result = set_bias(device, made, gemm->bias);
  if (result == CUBLAS_STATUS_SUCCESS) result = set_shape(device, made, key->m, key->n, key->k);
  int status = result == CUBLAS_STATUS_SUCCESS ? ask(device, made, gemm)
                                               : cublas_error(device, result, "a descriptor for cublasLtMatmul", gemm);
  if (status) {
    destroy(device, made);
    return status;
  }
  *out = made;
  return KC_OK;
}

static size_t slot_of(const plan_key *key) {
  uint64_t hash = key->m * 0x9e3779b97f4a7c15u ^ key->n * 0xc2b2ae3d27d4eb4fu ^ key->k * 0x165667b19e3779f9u;
  hash ^= (uint64_t)(key->a_type + 4 * key->c_type + 16 * key->a_transposed + 32 * key->b_transposed + 64 * key->bias +
                     128 * key->accumulate) *
          0x27d4eb2f165667c5u;
  return (size_t)(hash >> 32) % SLOTS;
}

static int find(kc_device *device, const plan_key *key, const kc_gemm *gemm, plan **out) {
  plan **slot = &device->plans->slots[slot_of(key)];
  for (plan *each = *slot; each; each = each->next) {
    if (memcmp(&each->key, key, sizeof *key) == 0) {
      *out = each;
      return KC_OK;
    }
  }
  int status = make(device, key, gemm, out);
  if (status) return status;
  (*out)->next = *slot;
  *slot = *out;
  return KC_OK;
}

static cublasStatus_t run(kc_device *device, plan *plan, const kc_gemm *gemm) {
  static const float one = 1;
  cublasStatus_t result = set_shape(device, plan, gemm->m, gemm->n, gemm->k);
  if (result == CUBLAS_STATUS_SUCCESS) result = set_bias(device, plan, gemm->bias);
  if (result != CUBLAS_STATUS_SUCCESS) return result;
  return device->lt.cublasLtMatmul(device->cublas, plan->product, &one, gemm->b, plan->b, gemm->a, plan->a, &gemm->beta,
                                   gemm->c, plan->c, gemm->c, plan->c, &plan->algorithm,
                                   (void *)(uintptr_t)device->workspace, WORKSPACE, device->stream);
}

static size_t round_up(size_t x) { return x > SIZE_MAX - TOKENS ? x : (x + TOKENS - 1) / TOKENS * TOKENS; }

static plan_key key_of(const kc_gemm *gemm) {
  plan_key key;
  memset(&key, 0, sizeof key); /* padding is compared too */
  key.m = gemm->m;
  key.n = gemm->n;
  key.k = gemm->k;
  /* Tokens are the rows of a; of a stored transposed (a gradient of weights), they are what is summed over. */
  if (gemm->a_transposed) {
    key.k = round_up(gemm->k);
  } else {
    key.m = round_up(gemm->m);
  }
  key.a_type = gemm->a_type;
  key.c_type = gemm->c_type == KC_TF32 ? KC_F32 : gemm->c_type;
  key.a_transposed = gemm->a_transposed != 0;
  key.b_transposed = gemm->b_transposed != 0;
  key.bias = gemm->bias != NULL;
  key.accumulate = gemm->beta != 0;
  key.alignment_a = alignment(gemm->a);
  key.alignment_b = alignment(gemm->b);
  key.alignment_c = alignment(gemm->c);
  key.alignment_bias = gemm->bias ? alignment(gemm->bias) : 0;
  return key;
}

int kc_multiply(kc_device *device, const kc_gemm *gemm) {
  if (gemm->m == 0 || gemm->n == 0) return KC_OK;
  if ((gemm->a_type == KC_BF16 || gemm->a_type == KC_TF32) && !device->info.bf16) {
    return kc_fail(device, KC_UNSUPPORTED, "%s (compute capability %d.%d) has no bf16 and tf32 products",
                   device->info.name, device->info.major, device->info.minor);
  }
  if (gemm->k == 0) {
    if (gemm->bias) return kc_fail(device, KC_FAILED, "a product with an inner size of 0 and a bias");
    if (gemm->beta == 1) return KC_OK;
    if (gemm->beta != 0) return kc_fail(device, KC_FAILED, "a product with an inner size of 0 and beta %g", gemm->beta);
    size_t bytes = gemm->m * gemm->n * kc_type_bytes(gemm->c_type);
    return kc_check(device, device->cu.cuMemsetD8Async((CUdeviceptr)(uintptr_t)gemm->c, 0, bytes, device->stream),
                    "cuMemsetD8Async");
  }
  plan_key key = key_of(gemm);
  plan *plan = NULL;
  int status = find(device, &key, gemm, &plan);
  if (status) return status;
  cublasStatus_t result = run(device, plan, gemm);
  int exact = key.m == gemm->m && key.k == gemm->k;
  if (!exact && (result == CUBLAS_STATUS_NOT_SUPPORTED || result == CUBLAS_STATUS_INVALID_VALUE)) {
    /* The algorithm for the rounded shape does not do this one: its own is asked for. */
    key.m = gemm->m;
    key.k = gemm->k;
    status = find(device, &key, gemm, &plan);
    if (status) return status;
    result = run(device, plan, gemm);
  }
  return result == CUBLAS_STATUS_SUCCESS ? KC_OK : cublas_error(device, result, "cublasLtMatmul", gemm);
}
