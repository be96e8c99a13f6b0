/* A library in tvm-ffi's C ABI that uses what one compiled by TVM uses: scratch memory and a parallel
   loop, through variables that the loader fills, and an error raised by the runtime. C = A + B for
   float32 vectors of 1000. */
#include <stdint.h>

struct any {
  int32_t type_index;
  uint32_t padding;
  void* pointer;
};
struct tensor {
  char* data;
  int32_t device_type, device_id, ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};

void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);
int (*__TVMBackendFreeWorkspace)(int, int, void*);
int (*__TVMBackendParallelLaunch)(int (*)(int, void*, void*), void*, int);
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count);

static int add(int task, void* group, void* data) {
  float** all = data;
  for (int i = 0; i < 1000; ++i)
    all[3][i] = all[0][i] + all[1][i];
  for (int i = 0; i < 1000; ++i)
    all[2][i] = all[3][i];
  return 0;
}

int __tvm_ffi_main(void* handle, const struct any* arguments, int32_t count, struct any* result) {
  float* all[4];
  for (int i = 0; i < 3; ++i) {
    struct tensor* t = arguments[i].pointer;
    if (count != 3 || arguments[i].type_index != 7 || t->device_type != 1 || t->ndim != 1 ||
        t->shape[0] != 1000 || t->code != 2 || t->bits != 32 || t->lanes != 1) {
      const char* parts[] = {"these are not ", "three vectors"};
      TVMFFIErrorSetRaisedFromCStrParts("TypeError", parts, 2);
      return -1;
    }
    all[i] = (float*)(t->data + t->byte_offset);
  }
  all[3] = __TVMBackendAllocWorkspace(1, 0, 4000, 2, 32);
  if (__TVMBackendParallelLaunch(add, all, 0) != 0)
    return -1;
  return __TVMBackendFreeWorkspace(1, 0, all[3]);
}

/* An ordinary function, each kind of value among its arguments. */
void plain_add(int first, const float* a, float one, const float* b, double zero, float* c,
               long n) {
  for (long i = first; i < n; ++i)
    c[i] = one * a[i] + b[i] + (float)zero;
}
