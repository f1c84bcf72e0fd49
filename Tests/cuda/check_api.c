/* Compares Sources/CKluereCUDA/driver_api.h with NVIDIA's own headers. Compiling it is the test; check_api.py does. */
#include <cuda.h>
#include <nvrtc.h>
#ifdef WITH_CUBLAS
/* Its header includes those of the 16-bit types, which need a C++ library, for functions that are not used here. */
#define __CUDA_FP16_H__
#define __CUDA_BF16_H__
typedef struct __half {
  unsigned short bits;
} __half;
typedef struct __nv_bfloat16 {
  unsigned short bits;
} __nv_bfloat16;
#include <cublasLt.h>
#endif
#define KC_REAL_HEADERS
#ifndef WITH_CUBLAS
/* Without its header, the types of cublasLt are only names here. */
typedef int cublasStatus_t;
typedef int cudaDataType;
typedef int cublasComputeType_t;
typedef struct cublasLtContext *cublasLtHandle_t;
typedef struct kc_lt_desc *cublasLtMatmulDesc_t;
typedef struct kc_lt_layout *cublasLtMatrixLayout_t;
typedef struct kc_lt_preference *cublasLtMatmulPreference_t;
typedef int cublasLtMatmulDescAttributes_t;
typedef int cublasLtMatrixLayoutAttribute_t;
typedef int cublasLtMatmulPreferenceAttributes_t;
typedef struct cublasLtMatmulAlgo_t cublasLtMatmulAlgo_t;
typedef struct cublasLtMatmulHeuristicResult_t cublasLtMatmulHeuristicResult_t;
typedef CUstream cudaStream_t;
#endif
#include "driver_api.h"

#define SAME_TYPE(name, result, parameters) \
  _Static_assert(__builtin_types_compatible_p(result(*) parameters, __typeof__(&name)), #name " has another type");
#define SAME_DRIVER(name, plain, version, result, parameters) SAME_TYPE(name, result, parameters)
KC_DRIVER(SAME_DRIVER)
KC_NVRTC(SAME_TYPE)

#define SAME_VALUE(name, value) _Static_assert((int)(name) == (value), #name " has another value");
KC_CONSTANTS(SAME_VALUE)

#ifdef WITH_CUBLAS
KC_CUBLAS(SAME_TYPE)
KC_CUBLAS_CONSTANTS(SAME_VALUE)
/* What is filled in by the library and copied by us. */
_Static_assert(sizeof(kc_lt_algorithm) == sizeof(cublasLtMatmulAlgo_t), "cublasLtMatmulAlgo_t");
_Static_assert(sizeof(kc_lt_heuristic) == sizeof(cublasLtMatmulHeuristicResult_t), "cublasLtMatmulHeuristicResult_t");
#define SAME_PLACE(field) \
  _Static_assert(offsetof(kc_lt_heuristic, field) == offsetof(cublasLtMatmulHeuristicResult_t, field), #field);
SAME_PLACE(algo)
SAME_PLACE(workspaceSize)
SAME_PLACE(state)
SAME_PLACE(wavesCount)
#endif
