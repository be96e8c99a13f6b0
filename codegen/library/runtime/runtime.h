/* What the stubs of an exported library hand to its runtime. codegen/llvm/stubs.cpp builds these
 * tables as LLVM constants: the two must agree field by field. */
#ifndef TEMPER_EXPORT_RUNTIME_H
#define TEMPER_EXPORT_RUNTIME_H

#include "abi.h"

typedef struct {
  const char* name;
  const char* dtype_name; /* "float32" */
  const int64_t* shape;   /* negative: the value of argument -1 - extent */
  int32_t ndim;
  int32_t alignment; /* bytes that the kernel assumes */
  uint8_t code;      /* as in DLPack */
  uint8_t bits;      /* 8 for bool */
  uint8_t is_buffer;
  uint8_t is_output;
} temper_argument;

/* What cuTensorMapEncodeTiled is told; dimensions innermost first. */
typedef struct {
  int32_t argument; /* whose memory it is */
  int32_t dtype;    /* CUtensorMapDataType */
  int32_t rank;
  int32_t swizzle; /* CUtensorMapSwizzle */
  uint64_t shape[5];
  uint64_t strides[5]; /* bytes, of all dimensions but the innermost */
  uint32_t box[6];
} temper_tensor_map;

typedef struct {
  const char* name;
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t cluster[3]; /* blocks; 0: they are alone */
  uint32_t shared_bytes;
  uint32_t map_count;
  const temper_tensor_map* maps;
} temper_gpu_kernel;

/* Code for a GPU. Each kernel takes the function's arguments, the workspaces, its tensor maps. */
typedef struct {
  const void* cubin;
  const char* ptx; /* for GPUs that the cubin does not fit; ends with 0 */
  const temper_gpu_kernel* kernels;
  const uint64_t* workspaces; /* bytes */
  int32_t kernel_count;
  int32_t workspace_count;
  void** loaded; /* the kernels' handles, null until the first call */
} temper_gpu;

typedef struct {
  const char* signature; /* "matmul(A: float32[512, 512], ...)", for errors */
  const char* metadata;
  const char* doc;
  const char* target;                        /* "cpu:znver4" */
  int32_t (*kernel)(void* const* arguments); /* null where `gpu` is not */
  const temper_argument* arguments;
  uint64_t features; /* bits in the order of cpu_features.def */
  int32_t count;
  int32_t extents; /* so many arguments at the end are taken from the shapes of tensors */
  const temper_gpu* gpu;
  const char* assertions; /* as codegen/assertions.h has them; null where nothing is asserted */
} temper_function;

/* Codes of the typed entries, beside those of the kernel itself (> 0). */
enum {
  TEMPER_NULL_POINTER = -1,
  TEMPER_MISALIGNED = -2,
  TEMPER_OVERLAP = -3,
  TEMPER_WRONG_CPU = -4,
  TEMPER_BAD_EXTENT = -5,
  TEMPER_NO_DRIVER = -6,
  TEMPER_GPU_FAILED = -7
};

int temper_rt_call(const temper_function* function, void* const* arguments);
/* Starts the kernels on the stream of the current context, or of the first GPU's, and does not wait
 * for them. Arrays are in the GPU's memory. */
int temper_rt_call_gpu(const temper_function* function, void* const* arguments, void* stream);
int temper_rt_call_ffi(const temper_function* function, const temper_ffi_any* args, int32_t count);
int temper_rt_string(const char* text, temper_ffi_any* result);
const char* temper_rt_last_error(void);

#endif
