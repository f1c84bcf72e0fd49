// cublaslt.cpp - libcublasLt: column-major products, sums in double, results rounded once. The rules of the real one
// that a caller can break (attribute sizes, alignment promised to the heuristic, workspace, types that go together) are
// checked.
#include "core.h"

#include <cmath>
#include <cstring>
#include <vector>

// MAJOR: of this library.
struct cublasLtContext {
  CUcontext unused;
};

struct kc_lt_desc {
  int compute, scale;
  int transpose_a, transpose_b;
  unsigned epilogue;
  const void *bias;
};

struct kc_lt_layout {
  int type;
  uint64_t rows, columns;
  int64_t ld;
};

struct kc_lt_preference {
  uint64_t workspace;
  uint32_t reduction, alignment[4];
};

namespace {
using namespace standin;
constexpr int NOT_INITIALIZED = 1, SUCCESS = CUBLAS_STATUS_SUCCESS, INVALID = CUBLAS_STATUS_INVALID_VALUE, FAILED = 13;
constexpr uint64_t MAGIC = 0x5354414e44494e31ull;

size_t bytes_of(int type) { return type == CUDA_R_32F ? 4 : 2; }
bool is_type(int type) { return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF; }

float read(const void *data, size_t i, int type) {
  if (type == CUDA_R_32F) return static_cast<const float *>(data)[i];
  uint16_t half = static_cast<const uint16_t *>(data)[i];
  if (type == CUDA_R_16F) {
    _Float16 value;
    std::memcpy(&value, &half, 2);
    return static_cast<float>(value);
  }
  uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

void write(void *data, size_t i, int type, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float *>(data)[i] = value;
  } else if (type == CUDA_R_16F) {
    _Float16 half = static_cast<_Float16>(value);
    std::memcpy(static_cast<uint16_t *>(data) + i, &half, 2);
  } else {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
    static_cast<uint16_t *>(data)[i] =
        nan ? static_cast<uint16_t>(0x7fff) : static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
}

// To 10 bits of mantissa, ties away from zero, as the tensor cores' conversion does.
float to_tf32(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & ~0x1fffu;
  std::memcpy(&value, &bits, 4);
  return value;
}

// op(matrix) with its summed dimension adjacent: result[i * inner + k], i over the outer one.
std::vector<float> gathered(const void *data, const kc_lt_layout &layout, bool inner_is_rows, bool round) {
  size_t outer = inner_is_rows ? layout.columns : layout.rows, inner = inner_is_rows ? layout.rows : layout.columns;
  std::vector<float> out(outer * inner);
  for (size_t i = 0; i < outer; i++) {
    for (size_t k = 0; k < inner; k++) {
      size_t row = inner_is_rows ? k : i, column = inner_is_rows ? i : k;
      float value = read(data, row + column * static_cast<size_t>(layout.ld), layout.type);
      out[i * inner + k] = round ? to_tf32(value) : value;
    }
  }
  return out;
}

double dot(const float *a, const float *b, size_t count) {
  double sums[4] = {0, 0, 0, 0};
  size_t k = 0;
  for (; k + 4 <= count; k += 4) {
    for (size_t j = 0; j < 4; j++) sums[j] += static_cast<double>(a[k + j]) * b[k + j];
  }
  for (; k < count; k++) sums[0] += static_cast<double>(a[k]) * b[k];
  return sums[0] + sums[1] + (sums[2] + sums[3]);
}

struct product {
  kc_lt_desc desc;
  kc_lt_layout a, b, c;
  const void *a_data, *b_data;
  void *d_data;
  float alpha, beta;
};

void multiply(const product &p) {
  bool round = p.desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  bool a_inner_rows = p.desc.transpose_a == CUBLAS_OP_T, b_inner_rows = p.desc.transpose_b == CUBLAS_OP_N;
  size_t inner = a_inner_rows ? p.a.rows : p.a.columns;
  std::vector<float> a = gathered(p.a_data, p.a, a_inner_rows, round), b = gathered(p.b_data, p.b, b_inner_rows, round);
  for (size_t j = 0; j < p.c.columns; j++) {
    for (size_t i = 0; i < p.c.rows; i++) {
      size_t at = i + j * static_cast<size_t>(p.c.ld);
      double sum = p.alpha * dot(&a[i * inner], &b[j * inner], inner);
      if (p.beta != 0) sum += static_cast<double>(p.beta) * read(p.d_data, at, p.c.type);
      if (p.desc.bias) sum += read(p.desc.bias, i, p.c.type);
      write(p.d_data, at, p.c.type, static_cast<float>(sum));
    }
  }
}

bool shapes_agree(const kc_lt_desc &desc, const kc_lt_layout &a, const kc_lt_layout &b, const kc_lt_layout &c) {
  uint64_t m = desc.transpose_a ? a.columns : a.rows, k = desc.transpose_a ? a.rows : a.columns;
  uint64_t n = desc.transpose_b ? b.rows : b.columns, also_k = desc.transpose_b ? b.columns : b.rows;
  for (const kc_lt_layout *layout : {&a, &b, &c}) {
    if (layout->rows == 0 || layout->columns == 0 || layout->ld < static_cast<int64_t>(layout->rows)) return false;
  }
  return k == also_k && c.rows == m && c.columns == n;
}

// The combinations of the manual's table that have a 32-bit scale.
bool types_agree(const kc_lt_desc &desc, const kc_lt_layout &a, const kc_lt_layout &b, const kc_lt_layout &c) {
  if (desc.scale != CUDA_R_32F || a.type != b.type) return false;
  if (desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32) return a.type == CUDA_R_32F && c.type == CUDA_R_32F;
  return desc.compute == CUBLAS_COMPUTE_32F && (c.type == a.type || c.type == CUDA_R_32F);
}

uint64_t kind_of(const kc_lt_desc &desc, const kc_lt_layout &a, const kc_lt_layout &c) {
  return static_cast<uint64_t>(desc.compute) | static_cast<uint64_t>(a.type) << 8 |
         static_cast<uint64_t>(c.type) << 16 | static_cast<uint64_t>(desc.transpose_a) << 24 |
         static_cast<uint64_t>(desc.transpose_b) << 25 | static_cast<uint64_t>(desc.epilogue) << 32;
}

uint64_t shape_of(const kc_lt_layout &a, const kc_lt_layout &b, const kc_lt_layout &c) {
  return (a.rows * 0x9e3779b97f4a7c15ull ^ a.columns) * 0x9e3779b97f4a7c15ull ^ (b.rows << 32 | b.columns) ^
         c.columns << 16;
}

size_t span(const kc_lt_layout &layout) {
  return ((layout.columns - 1) * static_cast<size_t>(layout.ld) + layout.rows) * bytes_of(layout.type);
}

bool is_aligned(const void *at, uint64_t alignment) { return reinterpret_cast<uintptr_t>(at) % alignment == 0; }

template <class T>
int set(T &field, const void *value, size_t bytes, const char *what) {
  if (!value || bytes != sizeof field) {
    violation("%s was given %zu bytes; it has %zu", what, bytes, sizeof field);
    return INVALID;
  }
  std::memcpy(&field, value, sizeof field);
  return SUCCESS;
}
}  // namespace

#pragma GCC visibility push(default)
extern "C" {
#define ENTER STANDIN_ENTRY(cublasStatus_t)
#define NEED(handle, kind) \
  if (!is_alive(handle, kind, __func__)) return INVALID

size_t cublasLtGetVersion(void) { return MAJOR == 12 ? 120805 : 130000; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  ENTER;
  if (context_error(__func__)) return NOT_INITIALIZED;
  *handle = new cublasLtContext{nullptr};
  created(*handle, "cublasLt");
  return SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  ENTER;
  NEED(handle, "cublasLt");
  destroyed(handle, "cublasLt");
  delete handle;
  return SUCCESS;
}

const char *cublasLtGetStatusName(cublasStatus_t status) {
  return status == 0    ? "CUBLAS_STATUS_SUCCESS"
         : status == 1  ? "CUBLAS_STATUS_NOT_INITIALIZED"
         : status == 3  ? "CUBLAS_STATUS_ALLOC_FAILED"
         : status == 7  ? "CUBLAS_STATUS_INVALID_VALUE"
         : status == 13 ? "CUBLAS_STATUS_EXECUTION_FAILED"
         : status == 14 ? "CUBLAS_STATUS_INTERNAL_ERROR"
         : status == 15 ? "CUBLAS_STATUS_NOT_SUPPORTED"
                        : "unknown";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType scale) {
  ENTER;
  *desc = new kc_lt_desc{compute, scale, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
  created(*desc, "product");
  return SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  ENTER;
  NEED(desc, "product");
  destroyed(desc, "product");
  delete desc;
  return SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t bytes) {
  ENTER;
  NEED(desc, "product");
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return set(desc->transpose_a, value, bytes, "TRANSA");
    case CUBLASLT_MATMUL_DESC_TRANSB: return set(desc->transpose_b, value, bytes, "TRANSB");
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return set(desc->epilogue, value, bytes, "EPILOGUE");
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return set(desc->bias, value, bytes, "BIAS_POINTER");
    default: violation("product attribute %d", name); return INVALID;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  ENTER;
  if (!is_type(type)) return INVALID;
  *layout = new kc_lt_layout{type, rows, columns, ld};
  created(*layout, "layout");
  return SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  ENTER;
  NEED(layout, "layout");
  destroyed(layout, "layout");
  delete layout;
  return SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name,
                                                const void *value, size_t bytes) {
  ENTER;
  NEED(layout, "layout");
  switch (name) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return set(layout->rows, value, bytes, "ROWS");
    case CUBLASLT_MATRIX_LAYOUT_COLS: return set(layout->columns, value, bytes, "COLS");
    case CUBLASLT_MATRIX_LAYOUT_LD: return set(layout->ld, value, bytes, "LD");
    default: violation("layout attribute %d", name); return INVALID;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  ENTER;
  *preference = new kc_lt_preference{0, 7, {256, 256, 256, 256}};
  created(*preference, "preference");
  return SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  ENTER;
  NEED(preference, "preference");
  destroyed(preference, "preference");
  delete preference;
  return SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                                    size_t bytes) {
  ENTER;
  NEED(preference, "preference");
  switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(preference->workspace, value, bytes, "MAX_WORKSPACE_BYTES");
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(preference->reduction, value, bytes, "REDUCTION_SCHEME");
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(preference->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes,
                 "MIN_ALIGNMENT");
    default: violation("preference attribute %d", name); return INVALID;
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *answers, int *found) {
  ENTER;
  NEED(handle, "cublasLt");
  NEED(desc, "product");
  NEED(a, "layout");
  NEED(b, "layout");
  NEED(c, "layout");
  NEED(d, "layout");
  NEED(preference, "preference");
  *found = 0;
  if (wanted < 1 || c != d || !shapes_agree(*desc, *a, *b, *c)) return INVALID;
  if (!types_agree(*desc, *a, *b, *c)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT && desc->epilogue != CUBLASLT_EPILOGUE_BIAS) return INVALID;
  if ((desc->epilogue == CUBLASLT_EPILOGUE_BIAS) != (desc->bias != nullptr))
    violation("the bias is not what the epilogue says");
  if (preference->reduction != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) {
    violation("reduction schemes %u would let sums depend on the order of blocks", preference->reduction);
  }
  std::memset(answers, 0, sizeof *answers);
  uint64_t alignments = 0;
  for (int i = 0; i < 4; i++) alignments |= static_cast<uint64_t>(preference->alignment[i]) << 16 * i;
  const uint64_t data[8] = {
      MAGIC, kind_of(*desc, *a, *c), shape_of(*a, *b, *c), alignments, preference->workspace, 0, 0, 0};
  std::memcpy(answers->algo.data, data, sizeof data);
  answers->workspaceSize = static_cast<size_t>(preference->workspace);
  answers->wavesCount = 1;
  *found = 1;
  return SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a_data,
                              cublasLtMatrixLayout_t a, const void *b_data, cublasLtMatrixLayout_t b, const void *beta,
                              const void *c_data, cublasLtMatrixLayout_t c, void *d_data, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  ENTER;
  NEED(handle, "cublasLt");
  NEED(desc, "product");
  NEED(a, "layout");
  NEED(b, "layout");
  NEED(c, "layout");
  NEED(d, "layout");
  if (context_error(__func__)) return FAILED;
  if (!algo || c != d || c_data != d_data || !shapes_agree(*desc, *a, *b, *c)) return INVALID;
  if (algo->data[0] != MAGIC || algo->data[1] != kind_of(*desc, *a, *c)) {
    violation("cublasLtMatmul was given the algorithm of another product");
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (setting("exact_shapes") && algo->data[2] != shape_of(*a, *b, *c)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const void *operands[4] = {a_data, b_data, c_data, d_data};
  for (int i = 0; i < 4; i++) {
    if (!is_aligned(operands[i], algo->data[3] >> 16 * i & 0xffff)) {
      violation("operand %d is less aligned than the heuristic was told", i);
      return INVALID;
    }
  }
  if (workspace_bytes < algo->data[4] || !is_aligned(workspace, 16) || !is_device_memory(workspace, workspace_bytes)) {
    violation("the workspace of cublasLtMatmul");
    return INVALID;
  }
  if (!is_device_memory(a_data, span(*a)) || !is_device_memory(b_data, span(*b)) ||
      !is_device_memory(d_data, span(*d)) ||
      (desc->bias && !is_device_memory(desc->bias, c->rows * bytes_of(c->type)))) {
    violation("cublasLtMatmul: an operand of %llu x %llu x %llu is not all device memory",
              static_cast<unsigned long long>(c->rows), static_cast<unsigned long long>(c->columns),
              static_cast<unsigned long long>(a->rows * a->columns / (desc->transpose_a ? a->columns : a->rows)));
    return INVALID;
  }
  product p{
      *desc, *a, *b, *c, a_data, b_data, d_data, *static_cast<const float *>(alpha), *static_cast<const float *>(beta)};
  return enqueue(stream, __func__, [p] { return multiply(p), CUDA_SUCCESS; }) ? FAILED : SUCCESS;
}
}  // extern "C"
#pragma GCC visibility pop
