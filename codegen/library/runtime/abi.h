/* tvm-ffi's C ABI (64-bit, little endian), in definitions of our own: exported libraries need no
 * header and no library of tvm-ffi. */
#ifndef TEMPER_EXPORT_ABI_H
#define TEMPER_EXPORT_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int32_t device_type; /* 1 = cpu, 2 = cuda, 3 = cuda_host (pinned memory of the host) */
  int32_t device_id;
} temper_ffi_device;

typedef struct {
  uint8_t code; /* 0 int, 1 uint, 2 float, 4 bfloat, 6 bool */
  uint8_t bits;
  uint16_t lanes;
} temper_ffi_dtype;

typedef struct { /* DLTensor, 48 bytes */
  void* data;
  temper_ffi_device device;
  int32_t ndim;
  temper_ffi_dtype dtype;
  int64_t* shape;
  int64_t* strides;     /* in elements; null = compact row-major (foreign tensors only) */
  uint64_t byte_offset; /* added to data */
} temper_ffi_tensor;

typedef struct { /* header of every heap object, 24 bytes */
  uint64_t combined_ref_count;
  int32_t type_index;
  uint32_t padding;
  void (*deleter)(void* self, int flags);
} temper_ffi_object;

typedef struct { /* TVMFFIAny, 16 bytes */
  int32_t type_index;
  uint32_t small_length; /* 0 but for short strings */
  union {
    int64_t v_int64;
    double v_float64;
    void* v_ptr;
  } value;
} temper_ffi_any;

typedef struct {
  const char* data;
  uint64_t size;
} temper_ffi_bytes;

enum {
  TEMPER_FFI_NONE = 0,
  TEMPER_FFI_INT = 1,
  TEMPER_FFI_BOOL = 2,
  TEMPER_FFI_FLOAT = 3,
  TEMPER_FFI_DLTENSOR = 7, /* value is a DLTensor* */
  TEMPER_FFI_TENSOR = 70   /* value is an object; its DLTensor follows the header */
};

typedef int (*temper_ffi_call)(void* self, const temper_ffi_any* args, int32_t count,
                               temper_ffi_any* result);

#ifdef __cplusplus
}
#endif
#endif
