/* driver_api.h - the entry points of libcuda, libcublasLt and libnvrtc that are used, declared here so that building
 * needs nothing of NVIDIA's. Facts only: names, parameter types, values. Tests/cuda/check_api.c compares each with
 * NVIDIA's headers: it defines KC_REAL_HEADERS, and then the types and constants come from those. */
#ifndef KLUERE_CUDA_DRIVER_API_H
#define KLUERE_CUDA_DRIVER_API_H
#include <stddef.h>
#include <stdint.h>

#ifndef KC_REAL_HEADERS
typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef int CUdevice_attribute;
typedef int CUfunction_attribute;
typedef int CUstreamCaptureMode;
typedef int CUstreamCaptureStatus;
typedef int CUdriverProcAddressQueryResult;
typedef uint64_t cuuint64_t;

typedef int nvrtcResult;
typedef struct _nvrtcProgram *nvrtcProgram;

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
typedef CUstream cudaStream_t;
#endif

typedef struct kc_lt_algorithm {
  uint64_t data[8];
} kc_lt_algorithm;
typedef struct kc_lt_heuristic {
  kc_lt_algorithm algo;
  size_t workspaceSize;
  int state;
  float wavesCount;
  int reserved[4];
} kc_lt_heuristic;
#ifndef KC_REAL_HEADERS
typedef kc_lt_algorithm cublasLtMatmulAlgo_t;
typedef kc_lt_heuristic cublasLtMatmulHeuristicResult_t;
#endif

#define KC_CONSTANTS(X) \
  X(CUDA_SUCCESS, 0) \
  X(CUDA_ERROR_OUT_OF_MEMORY, 2) \
  X(CUDA_ERROR_NOT_INITIALIZED, 3) \
  X(CUDA_ERROR_DEINITIALIZED, 4) \
  X(CUDA_ERROR_STUB_LIBRARY, 34) \
  X(CUDA_ERROR_NO_DEVICE, 100) \
  X(CUDA_ERROR_INVALID_IMAGE, 200) \
  X(CUDA_ERROR_INVALID_CONTEXT, 201) \
  X(CUDA_ERROR_NO_BINARY_FOR_GPU, 209) \
  X(CUDA_ERROR_ECC_UNCORRECTABLE, 214) \
  X(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220) \
  X(CUDA_ERROR_CONTAINED, 226) \
  X(CUDA_ERROR_NOT_FOUND, 500) \
  X(CUDA_ERROR_NOT_READY, 600) \
  X(CUDA_ERROR_ILLEGAL_ADDRESS, 700) \
  X(CUDA_ERROR_LAUNCH_TIMEOUT, 702) \
  X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709) \
  X(CUDA_ERROR_ASSERT, 710) \
  X(CUDA_ERROR_HARDWARE_STACK_ERROR, 714) \
  X(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715) \
  X(CUDA_ERROR_MISALIGNED_ADDRESS, 716) \
  X(CUDA_ERROR_INVALID_ADDRESS_SPACE, 717) \
  X(CUDA_ERROR_INVALID_PC, 718) \
  X(CUDA_ERROR_LAUNCH_FAILED, 719) \
  X(CUDA_ERROR_MPS_CLIENT_TERMINATED, 810) \
  X(CU_STREAM_NON_BLOCKING, 1) \
  X(CU_EVENT_DISABLE_TIMING, 2) \
  X(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, 1) \
  X(CU_STREAM_CAPTURE_STATUS_NONE, 0) \
  X(CU_GET_PROC_ADDRESS_SUCCESS, 0) \
  X(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16) \
  X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75) \
  X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76) \
  X(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97) \
  X(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8) \
  X(CU_LAUNCH_PARAM_END_AS_INT, 0) \
  X(CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT, 1) \
  X(CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT, 2) \
  X(NVRTC_SUCCESS, 0) \
  X(NVRTC_ERROR_COMPILATION, 6) \
  X(NVRTC_ERROR_BUILTIN_OPERATION_FAILURE, 7)

#define KC_CUBLAS_CONSTANTS(X) \
  X(CUBLAS_STATUS_SUCCESS, 0) \
  X(CUBLAS_STATUS_ALLOC_FAILED, 3) \
  X(CUBLAS_STATUS_INVALID_VALUE, 7) \
  X(CUBLAS_STATUS_NOT_SUPPORTED, 15) \
  X(CUBLAS_OP_N, 0) \
  X(CUBLAS_OP_T, 1) \
  X(CUBLAS_COMPUTE_32F, 68) \
  X(CUBLAS_COMPUTE_32F_FAST_TF32, 77) \
  X(CUDA_R_32F, 0) \
  X(CUDA_R_16F, 2) \
  X(CUDA_R_16BF, 14) \
  X(CUBLASLT_MATMUL_DESC_TRANSA, 3) \
  X(CUBLASLT_MATMUL_DESC_TRANSB, 4) \
  X(CUBLASLT_MATMUL_DESC_EPILOGUE, 7) \
  X(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8) \
  X(CUBLASLT_EPILOGUE_DEFAULT, 1) \
  X(CUBLASLT_EPILOGUE_BIAS, 4) \
  X(CUBLASLT_MATRIX_LAYOUT_ROWS, 2) \
  X(CUBLASLT_MATRIX_LAYOUT_COLS, 3) \
  X(CUBLASLT_MATRIX_LAYOUT_LD, 4) \
  X(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1) \
  X(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 3) \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5) \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 6) \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 7) \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8) \
  X(CUBLASLT_REDUCTION_SCHEME_NONE, 0) \
  X(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 2)

#ifndef KC_REAL_HEADERS
#define KC_CONSTANT(name, value) name = value,
enum { KC_CONSTANTS(KC_CONSTANT) KC_CUBLAS_CONSTANTS(KC_CONSTANT) };
#undef KC_CONSTANT
#endif

/* X(name of the exported symbol, name without its version, the CUDA version whose form of it is meant, result,
   parameters) */
#define KC_DRIVER(X) \
  X(cuInit, "cuInit", 2000, CUresult, (unsigned)) \
  X(cuDriverGetVersion, "cuDriverGetVersion", 2020, CUresult, (int *)) \
  X(cuGetErrorName, "cuGetErrorName", 6000, CUresult, (CUresult, const char **)) \
  X(cuGetErrorString, "cuGetErrorString", 6000, CUresult, (CUresult, const char **)) \
  X(cuDeviceGetCount, "cuDeviceGetCount", 2000, CUresult, (int *)) \
  X(cuDeviceGet, "cuDeviceGet", 2000, CUresult, (CUdevice *, int)) \
  X(cuDeviceGetName, "cuDeviceGetName", 2000, CUresult, (char *, int, CUdevice)) \
  X(cuDeviceGetAttribute, "cuDeviceGetAttribute", 2000, CUresult, (int *, CUdevice_attribute, CUdevice)) \
  X(cuDeviceTotalMem_v2, "cuDeviceTotalMem", 3020, CUresult, (size_t *, CUdevice)) \
  X(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", 7000, CUresult, (CUcontext *, CUdevice)) \
  X(cuDevicePrimaryCtxRelease_v2, "cuDevicePrimaryCtxRelease", 11000, CUresult, (CUdevice)) \
  X(cuCtxPushCurrent_v2, "cuCtxPushCurrent", 4000, CUresult, (CUcontext)) \
  X(cuCtxPopCurrent_v2, "cuCtxPopCurrent", 4000, CUresult, (CUcontext *)) \
  X(cuMemGetInfo_v2, "cuMemGetInfo", 3020, CUresult, (size_t *, size_t *)) \
  X(cuMemAlloc_v2, "cuMemAlloc", 3020, CUresult, (CUdeviceptr *, size_t)) \
  X(cuMemFree_v2, "cuMemFree", 3020, CUresult, (CUdeviceptr)) \
  X(cuMemHostAlloc, "cuMemHostAlloc", 2020, CUresult, (void **, size_t, unsigned)) \
  X(cuMemFreeHost, "cuMemFreeHost", 2000, CUresult, (void *)) \
  X(cuMemcpyHtoDAsync_v2, "cuMemcpyHtoDAsync", 3020, CUresult, (CUdeviceptr, const void *, size_t, CUstream)) \
  X(cuMemcpyDtoHAsync_v2, "cuMemcpyDtoHAsync", 3020, CUresult, (void *, CUdeviceptr, size_t, CUstream)) \
  X(cuMemcpyDtoDAsync_v2, "cuMemcpyDtoDAsync", 3020, CUresult, (CUdeviceptr, CUdeviceptr, size_t, CUstream)) \
  X(cuMemsetD8Async, "cuMemsetD8Async", 3020, CUresult, (CUdeviceptr, unsigned char, size_t, CUstream)) \
  X(cuStreamCreate, "cuStreamCreate", 2000, CUresult, (CUstream *, unsigned)) \
  X(cuStreamDestroy_v2, "cuStreamDestroy", 4000, CUresult, (CUstream)) \
  X(cuStreamSynchronize, "cuStreamSynchronize", 2000, CUresult, (CUstream)) \
  X(cuStreamQuery, "cuStreamQuery", 2000, CUresult, (CUstream)) \
  X(cuStreamBeginCapture_v2, "cuStreamBeginCapture", 10010, CUresult, (CUstream, CUstreamCaptureMode)) \
  X(cuStreamIsCapturing, "cuStreamIsCapturing", 10000, CUresult, (CUstream, CUstreamCaptureStatus *)) \
  X(cuStreamEndCapture, "cuStreamEndCapture", 10000, CUresult, (CUstream, CUgraph *)) \
  X(cuEventCreate, "cuEventCreate", 2000, CUresult, (CUevent *, unsigned)) \
  X(cuEventDestroy_v2, "cuEventDestroy", 4000, CUresult, (CUevent)) \
  X(cuEventRecord, "cuEventRecord", 2000, CUresult, (CUevent, CUstream)) \
  X(cuEventSynchronize, "cuEventSynchronize", 2000, CUresult, (CUevent)) \
  X(cuModuleLoadData, "cuModuleLoadData", 2000, CUresult, (CUmodule *, const void *)) \
  X(cuModuleUnload, "cuModuleUnload", 2000, CUresult, (CUmodule)) \
  X(cuModuleGetFunction, "cuModuleGetFunction", 2000, CUresult, (CUfunction *, CUmodule, const char *)) \
  X(cuFuncSetAttribute, "cuFuncSetAttribute", 9000, CUresult, (CUfunction, CUfunction_attribute, int)) \
  X(cuLaunchKernel, "cuLaunchKernel", 4000, CUresult, \
    (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **)) \
  X(cuGraphInstantiateWithFlags, "cuGraphInstantiateWithFlags", 11040, CUresult, \
    (CUgraphExec *, CUgraph, unsigned long long)) \
  X(cuGraphDestroy, "cuGraphDestroy", 10000, CUresult, (CUgraph)) \
  X(cuGraphExecDestroy, "cuGraphExecDestroy", 10000, CUresult, (CUgraphExec)) \
  X(cuGraphLaunch, "cuGraphLaunch", 10000, CUresult, (CUgraphExec, CUstream))

/* X(name, result, parameters) */
#define KC_CUBLAS(X) \
  X(cublasLtGetVersion, size_t, (void)) \
  X(cublasLtCreate, cublasStatus_t, (cublasLtHandle_t *)) \
  X(cublasLtDestroy, cublasStatus_t, (cublasLtHandle_t)) \
  X(cublasLtGetStatusName, const char *, (cublasStatus_t)) \
  X(cublasLtMatmulDescCreate, cublasStatus_t, (cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType)) \
  X(cublasLtMatmulDescDestroy, cublasStatus_t, (cublasLtMatmulDesc_t)) \
  X(cublasLtMatmulDescSetAttribute, cublasStatus_t, \
    (cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *, size_t)) \
  X(cublasLtMatrixLayoutCreate, cublasStatus_t, (cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t, int64_t)) \
  X(cublasLtMatrixLayoutDestroy, cublasStatus_t, (cublasLtMatrixLayout_t)) \
  X(cublasLtMatrixLayoutSetAttribute, cublasStatus_t, \
    (cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, const void *, size_t)) \
  X(cublasLtMatmulPreferenceCreate, cublasStatus_t, (cublasLtMatmulPreference_t *)) \
  X(cublasLtMatmulPreferenceDestroy, cublasStatus_t, (cublasLtMatmulPreference_t)) \
  X(cublasLtMatmulPreferenceSetAttribute, cublasStatus_t, \
    (cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void *, size_t)) \
  X(cublasLtMatmulAlgoGetHeuristic, cublasStatus_t, \
    (cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, \
     cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t *, int *)) \
  X(cublasLtMatmul, cublasStatus_t, \
    (cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *, cublasLtMatrixLayout_t, const void *, \
     cublasLtMatrixLayout_t, const void *, const void *, cublasLtMatrixLayout_t, void *, cublasLtMatrixLayout_t, \
     const cublasLtMatmulAlgo_t *, void *, size_t, cudaStream_t))

#define KC_NVRTC(X) \
  X(nvrtcVersion, nvrtcResult, (int *, int *)) \
  X(nvrtcGetErrorString, const char *, (nvrtcResult)) \
  X(nvrtcGetNumSupportedArchs, nvrtcResult, (int *)) \
  X(nvrtcGetSupportedArchs, nvrtcResult, (int *)) \
  X(nvrtcCreateProgram, nvrtcResult, \
    (nvrtcProgram *, const char *, const char *, int, const char *const *, const char *const *)) \
  X(nvrtcDestroyProgram, nvrtcResult, (nvrtcProgram *)) \
  X(nvrtcCompileProgram, nvrtcResult, (nvrtcProgram, int, const char *const *)) \
  X(nvrtcGetProgramLogSize, nvrtcResult, (nvrtcProgram, size_t *)) \
  X(nvrtcGetProgramLog, nvrtcResult, (nvrtcProgram, char *)) \
  X(nvrtcGetCUBINSize, nvrtcResult, (nvrtcProgram, size_t *)) \
  X(nvrtcGetCUBIN, nvrtcResult, (nvrtcProgram, char *))

#define KC_FIELD(name, plain, version, result, parameters) result(*name) parameters;
#define KC_FIELD3(name, result, parameters) result(*name) parameters;
typedef struct kc_driver {
  KC_DRIVER(KC_FIELD)
} kc_driver;
typedef struct kc_cublas {
  KC_CUBLAS(KC_FIELD3)
} kc_cublas;
typedef struct kc_nvrtc {
  KC_NVRTC(KC_FIELD3)
} kc_nvrtc;
#undef KC_FIELD
#undef KC_FIELD3
#endif
