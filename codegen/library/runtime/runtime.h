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

typedef struct {
  const char* signature; /* "matmul(A: float32[512, 512], ...)", for errors */
  const char* metadata;
  const char* doc;
  const char* target; /* "cpu:znver4" */
  int32_t (*kernel)(void* const* arguments);
  const temper_argument* arguments;
  uint64_t features; /* bits in the order of cpu_features.def */
  int32_t count;
  int32_t extents; /* so many arguments at the end are taken from the shapes of tensors */
} temper_function;

/* Codes of the typed entries, beside those of the kernel itself (> 0). */
enum {
  TEMPER_NULL_POINTER = -1,
  TEMPER_MISALIGNED = -2,
  TEMPER_OVERLAP = -3,
  TEMPER_WRONG_CPU = -4,
  TEMPER_BAD_EXTENT = -5
};

int temper_rt_call(const temper_function* function, void* const* arguments);
int temper_rt_call_ffi(const temper_function* function, const temper_ffi_any* args, int32_t count);
int temper_rt_string(const char* text, temper_ffi_any* result);
const char* temper_rt_last_error(void);

#endif
