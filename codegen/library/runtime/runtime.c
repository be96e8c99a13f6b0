/* The part of an exported library that checks arguments, finds out about the CPU and reports errors.
 * Compiled once, when temper is built, and linked into every exported library; it needs only the C
 * library and is safe to call from any thread. */
#define _GNU_SOURCE
#include "runtime.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(temper_ffi_tensor) == 48, "DLTensor");
_Static_assert(sizeof(temper_ffi_object) == 24, "object header");
_Static_assert(sizeof(temper_ffi_any) == 16, "Any");

/* ------------------------------------------------------------------ errors */

static _Thread_local char last_error[768];

const char* temper_rt_last_error(void) { return last_error; }

/* An entry point of libtvm_ffi when it is in this process. Asked for each time: it may be loaded
 * after us, so a "no" must not be kept. */
static void* ffi_symbol(const char* name) {
  void* symbol = dlsym(RTLD_DEFAULT, name); /* Python loads it RTLD_GLOBAL */
  if (symbol == NULL) {
    void* library = dlopen("libtvm_ffi.so", RTLD_LAZY | RTLD_NOLOAD); /* another host may not */
    if (library != NULL) {
      symbol = dlsym(library, name);
      dlclose(library);
    }
  }
  return symbol;
}

__attribute__((format(printf, 3, 4))) static void say(const temper_function* function, int argument,
                                                      const char* format, ...) {
  int used = snprintf(last_error, sizeof last_error, "%s: ", function->signature);
  if (used < 0 || used >= (int)sizeof last_error)
    used = (int)sizeof last_error - 1;
  if (argument >= 0 && used < (int)sizeof last_error - 1) {
    int more = snprintf(last_error + used, sizeof last_error - (size_t)used, "argument %d (%s) ",
                        argument, function->arguments[argument].name);
    used = more < 0 || used + more >= (int)sizeof last_error ? (int)sizeof last_error - 1
                                                             : used + more;
  }
  va_list list;
  va_start(list, format);
  vsnprintf(last_error + used, sizeof last_error - (size_t)used, format, list);
  va_end(list);
}

/* Hands last_error to Python when there is one. tvm-ffi crashes on -1 without an error, so a process
 * without it (a C caller of the __tvm_ffi_ entry) is the only one that gets -1 alone. */
static int raise_as(const char* kind) {
  void (*set)(const char*, const char*) =
      (void (*)(const char*, const char*))ffi_symbol("TVMFFIErrorSetRaisedFromCStr");
  if (set != NULL)
    set(kind, last_error);
  return -1;
}

/* ------------------------------------------------------------------ the CPU */

static const struct {
  const char* name;
  uint8_t word, bit, state;
} kFeatures[] = {
#define TEMPER_CPU_FEATURE(name, word, bit, state) {name, word, bit, state},
#include "cpu_features.def"
#undef TEMPER_CPU_FEATURE
};
enum { kFeatureCount = sizeof kFeatures / sizeof kFeatures[0] };
_Static_assert(kFeatureCount < 63, "features are bits of a word");

static uint64_t ask_cpu(void) {
  uint32_t a, b, c, d;
  uint32_t word[7] = {0};
  uint64_t saved = 0; /* register state that the operating system saves */
  if (__get_cpuid(1, &a, &b, &c, &d)) {
    word[0] = c;
    if (c & (1u << 27)) { /* OSXSAVE */
      uint32_t low, high;
      __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
      saved = ((uint64_t)high << 32) | low;
    }
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    word[1] = b;
    word[2] = c;
    word[3] = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
      word[4] = a;
      word[5] = d;
    }
  }
  if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
    word[6] = c;
  static const uint64_t needed[] = {0, 0x6, 0xe6, 0x60000};
  uint64_t features = 0;
  for (int i = 0; i < kFeatureCount; ++i) {
    const uint64_t state = needed[kFeatures[i].state];
    if ((word[kFeatures[i].word] >> kFeatures[i].bit & 1) && (saved & state) == state)
      features |= (uint64_t)1 << i;
  }
  return features;
}

/* CPUID takes microseconds in a virtual machine: asked once. */
static uint64_t cpu_features(void) {
  static _Atomic uint64_t cached; /* bit 63: filled */
  uint64_t features = atomic_load_explicit(&cached, memory_order_relaxed);
  if (features == 0) {
    features = ask_cpu() | (uint64_t)1 << 63;
    atomic_store_explicit(&cached, features, memory_order_relaxed);
  }
  return features;
}

static int check_cpu(const temper_function* function) {
  const uint64_t missing = function->features & ~cpu_features();
  if (missing == 0)
    return 0;
  char names[256] = "";
  size_t used = 0;
  for (int i = 0; i < kFeatureCount; ++i)
    if (missing >> i & 1) {
      int more = snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                          kFeatures[i].name);
      if (more < 0 || used + (size_t)more >= sizeof names)
        break;
      used += (size_t)more;
    }
  say(function, -1, "was compiled for %s; this CPU lacks %s", function->target, names);
  return TEMPER_WRONG_CPU;
}

/* ------------------------------------------------------------------ GPUs */

#include "launch.h"

/* ------------------------------------------------------------------ arguments */

/* The value of an extent, an integer argument. */
static int64_t extent_value(const temper_function* function, int32_t i, void* const* pointers) {
  if (function->arguments[i].bits == 64)
    return *(const int64_t*)pointers[i];
  return *(const int32_t*)pointers[i];
}

static uint64_t bytes_of(const temper_function* function, int32_t i, void* const* pointers) {
  const temper_argument* argument = &function->arguments[i];
  uint64_t bytes = argument->bits / 8;
  for (int32_t d = 0; d < argument->ndim; ++d) {
    const int64_t extent = argument->shape[d];
    bytes *= (uint64_t)(extent < 0 ? extent_value(function, (int32_t)(-1 - extent), pointers)
                                   : extent);
  }
  return bytes;
}

static int check_extents(const temper_function* function, void* const* pointers) {
  for (int32_t i = function->count - function->extents; i < function->count; ++i) {
    const int64_t value = extent_value(function, i, pointers);
    if (value < 0) {
      say(function, i, "is %lld, but an extent is not negative", (long long)value);
      return TEMPER_BAD_EXTENT;
    }
  }
  return 0;
}

/* Null pointers, alignment, overlap of what is written with anything else. */
static int check_memory(const temper_function* function, void* const* pointers) {
  for (int32_t i = 0; i < function->count; ++i) {
    const temper_argument* argument = &function->arguments[i];
    if (!argument->is_buffer)
      continue;
    if (bytes_of(function, i, pointers) == 0) /* its address is nobody's business */
      continue;
    if (pointers[i] == NULL) {
      say(function, i, "is a null pointer");
      return TEMPER_NULL_POINTER;
    }
    if ((uintptr_t)pointers[i] % (uintptr_t)argument->alignment != 0) {
      say(function, i, "is at address %p, which is not aligned to %d bytes", pointers[i],
          (int)argument->alignment);
      return TEMPER_MISALIGNED;
    }
  }
  for (int32_t i = 0; i < function->count; ++i) {
    if (!function->arguments[i].is_buffer || !function->arguments[i].is_output)
      continue;
    const uintptr_t begin = (uintptr_t)pointers[i];
    const uintptr_t end = begin + bytes_of(function, i, pointers);
    if (end == begin)
      continue;
    for (int32_t j = 0; j < function->count; ++j) {
      if (j == i || !function->arguments[j].is_buffer)
        continue;
      const uintptr_t other = (uintptr_t)pointers[j];
      const uint64_t bytes = bytes_of(function, j, pointers);
      if (bytes > 0 && begin < other + bytes && other < end) {
        say(function, i, "is written and overlaps argument %d (%s)", (int)j,
            function->arguments[j].name);
        return TEMPER_OVERLAP;
      }
    }
  }
  return 0;
}

int temper_rt_call_gpu(const temper_function* function, void* const* arguments, void* stream) {
  int code = check_extents(function, arguments);
  if (code == 0)
    code = check_memory(function, arguments);
  return code != 0 ? code : call_gpu_on(function, arguments, stream, -1);
}

/* What the assertion says whose code the kernel returned: a line CODE <tab> LINE <tab> MESSAGE. */
static void say_assertion(const temper_function* function, int code) {
  const char* row = function->assertions;
  while (row != NULL && *row != 0) {
    char* end;
    const long number = strtol(row, &end, 10);
    const long line = strtol(end, &end, 10);
    const char* message = end + 1;
    const size_t length = strcspn(message, "\n");
    if (number == code) {
      if (line > 0)
        say(function, -1, "assertion failed at line %ld: %.*s", line, (int)length, message);
      else
        say(function, -1, "assertion failed: %.*s", (int)length, message);
      return;
    }
    row = message + length + (message[length] != 0);
  }
  say(function, -1, "the kernel returned %d", code);
}

int temper_rt_call(const temper_function* function, void* const* arguments) {
  int code = check_cpu(function);
  if (code == 0)
    code = check_extents(function, arguments);
  if (code == 0)
    code = check_memory(function, arguments);
  if (code != 0)
    return code;
  code = function->kernel(arguments);
  if (code == 1)
    say(function, -1, "could not allocate its temporary memory");
  else if (code >= 16)
    say_assertion(function, code);
  else if (code != 0)
    say(function, -1, "the kernel returned %d", code);
  return code;
}

enum { kDeviceCpu = 1, kDeviceCuda = 2, kDeviceCudaHost = 3 }; /* as in DLPack */

static const char* kind_name(int32_t type_index) {
  switch (type_index) {
  case TEMPER_FFI_NONE:
    return "None";
  case TEMPER_FFI_INT:
    return "int";
  case TEMPER_FFI_BOOL:
    return "bool";
  case TEMPER_FFI_FLOAT:
    return "float";
  case 11:
  case 65:
    return "str";
  case TEMPER_FFI_DLTENSOR:
  case TEMPER_FFI_TENSOR:
    return "tensor";
  case 71:
    return "list or tuple";
  case 72:
    return "dict";
  default:
    return "object";
  }
}

static const char* code_name(uint8_t code) {
  static const char* const names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  return code < 7 ? names[code] : "type ";
}

static void describe_shape(const temper_function* function, char* text, size_t size,
                           const int64_t* shape, int32_t ndim) {
  size_t used = (size_t)snprintf(text, size, "(");
  for (int32_t i = 0; i < ndim && used < size; ++i) {
    const char* comma = i ? ", " : "";
    int more = shape[i] < 0 ? snprintf(text + used, size - used, "%s%s", comma,
                                       function->arguments[-1 - shape[i]].name)
                            : snprintf(text + used, size - used, "%s%lld", comma,
                                       (long long)shape[i]);
    used += more < 0 ? 0 : (size_t)more;
  }
  if (used < size)
    snprintf(text + used, size - used, ")");
}

/* An extent that a tensor's shape gives; an earlier one may have given it. */
static int take_extent(const temper_function* function, int32_t i, int32_t d, int64_t value,
                       int32_t extent, int32_t* given_by, uint64_t* scalars) {
  if (given_by[extent] < 0) {
    if (function->arguments[extent].bits < 64 && value > INT32_MAX) {
      say(function, i, "has %lld elements in dimension %d, more than %s can count",
          (long long)value, (int)d, function->arguments[extent].dtype_name);
      return raise_as("ValueError");
    }
    given_by[extent] = i;
    scalars[extent] = (uint64_t)value;
  } else if ((int64_t)scalars[extent] != value) {
    say(function, i, "has %lld elements in dimension %d, but %s is %lld in argument %d (%s)",
        (long long)value, (int)d, function->arguments[extent].name, (long long)scalars[extent],
        (int)given_by[extent], function->arguments[given_by[extent]].name);
    return raise_as("ValueError");
  }
  return 0;
}

/* The address of a tensor's first element; null and an error raised when it does not fit. */
static int take_tensor(const temper_function* function, int32_t i, const temper_ffi_any* arg,
                       int32_t* device_id, int32_t* given_by, uint64_t* scalars, void** pointer) {
  const temper_argument* want = &function->arguments[i];
  const temper_ffi_tensor* tensor;
  if (arg->type_index == TEMPER_FFI_TENSOR)
    tensor = (const temper_ffi_tensor*)((const char*)arg->value.v_ptr + sizeof(temper_ffi_object));
  else if (arg->type_index == TEMPER_FFI_DLTENSOR)
    tensor = (const temper_ffi_tensor*)arg->value.v_ptr;
  else {
    say(function, i, "must be a %s tensor, not %s (type index %d)", want->dtype_name,
        kind_name(arg->type_index), (int)arg->type_index);
    return raise_as("TypeError");
  }
  if (tensor == NULL) {
    say(function, i, "is a null tensor");
    return raise_as("ValueError");
  }
  if (tensor->dtype.code != want->code || tensor->dtype.bits != want->bits ||
      tensor->dtype.lanes != 1) {
    char lanes[16] = "";
    if (tensor->dtype.lanes != 1)
      snprintf(lanes, sizeof lanes, "x%d", (int)tensor->dtype.lanes);
    say(function, i, "has dtype %s%d%s, expected %s", code_name(tensor->dtype.code),
        (int)tensor->dtype.bits, lanes, want->dtype_name);
    return raise_as("TypeError");
  }
  const int32_t device = tensor->device.device_type;
  if (function->gpu != NULL ? device != kDeviceCuda
                            : device != kDeviceCpu && device != kDeviceCudaHost) {
    say(function, i, "is on device type %d, expected %s", (int)device,
        function->gpu != NULL ? "cuda" : "cpu");
    return raise_as("ValueError");
  }
  if (*device_id >= 0 && tensor->device.device_id != *device_id) {
    say(function, i, "is on device %d, the arguments before it on device %d",
        (int)tensor->device.device_id, (int)*device_id);
    return raise_as("ValueError");
  }
  *device_id = tensor->device.device_id;
  if (tensor->ndim != want->ndim) {
    say(function, i, "has %d dimensions, expected %d", (int)tensor->ndim, (int)want->ndim);
    return raise_as("ValueError");
  }
  for (int32_t d = 0; d < want->ndim; ++d)
    if (want->shape[d] < 0) {
      if (take_extent(function, i, d, tensor->shape[d], (int32_t)(-1 - want->shape[d]), given_by,
                      scalars) != 0)
        return -1;
    } else if (tensor->shape[d] != want->shape[d]) {
      char has[128], expected[128];
      describe_shape(function, has, sizeof has, tensor->shape, tensor->ndim);
      describe_shape(function, expected, sizeof expected, want->shape, want->ndim);
      say(function, i, "has shape %s, expected %s", has, expected);
      return raise_as("ValueError");
    }
  int empty = 0;
  for (int32_t d = 0; d < want->ndim; ++d)
    empty |= tensor->shape[d] == 0;
  if (tensor->strides != NULL && !empty) { /* of no elements, strides may be anything */
    int64_t stride = 1;
    for (int32_t d = want->ndim - 1; d >= 0; --d) {
      /* Where there is one element there is no step. */
      if (tensor->shape[d] != 1 && tensor->strides[d] != stride) {
        say(function, i,
            "is not contiguous: stride %lld in dimension %d, expected %lld (elements); pass a copy",
            (long long)tensor->strides[d], (int)d, (long long)stride);
        return raise_as("ValueError");
      }
      stride *= tensor->shape[d];
    }
  }
  *pointer = tensor->data == NULL ? NULL : (char*)tensor->data + tensor->byte_offset;
  return 0;
}

static uint16_t to_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x47800000u)
    return (uint16_t)(sign | 0x7c00u);
  if (magnitude < 0x38800000u) { /* subnormal: the addition rounds and shifts */
    float small;
    memcpy(&small, &magnitude, sizeof small);
    small += 0.5f;
    memcpy(&bits, &small, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000u));
  }
  return (uint16_t)(sign | (magnitude + 0xc8000fffu + (magnitude >> 13 & 1)) >> 13);
}

static uint16_t to_bfloat(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/* A number, stored in `slot` as the kernel reads it. */
static int take_scalar(const temper_function* function, int32_t i, const temper_ffi_any* arg,
                       uint64_t* slot) {
  const temper_argument* want = &function->arguments[i];
  const int is_int = arg->type_index == TEMPER_FFI_INT || arg->type_index == TEMPER_FFI_BOOL;
  *slot = 0;
  if (want->code == 2 || want->code == 4) {
    if (!is_int && arg->type_index != TEMPER_FFI_FLOAT) {
      say(function, i, "must be a number, not %s", kind_name(arg->type_index));
      return raise_as("TypeError");
    }
    const double value = is_int ? (double)arg->value.v_int64 : arg->value.v_float64;
    const float narrow = (float)value;
    if (want->bits == 64)
      memcpy(slot, &value, 8);
    else if (want->bits == 32)
      memcpy(slot, &narrow, 4);
    else
      *slot = want->code == 4 ? to_bfloat(narrow) : to_half(narrow);
    return 0;
  }
  if (!is_int) {
    say(function, i, "must be an integer (%s), not %s", want->dtype_name,
        kind_name(arg->type_index));
    return raise_as("TypeError");
  }
  const int64_t value = arg->value.v_int64;
  int64_t low = 0, high = 1;
  if (want->code != 6) {
    const int magnitude = want->bits - (want->code == 0);
    high = magnitude >= 63 ? INT64_MAX : ((int64_t)1 << magnitude) - 1;
    low = want->code == 0 ? -high - 1 : 0;
  }
  if (value < low || value > high) {
    say(function, i, "is %lld, which does not fit %s", (long long)value, want->dtype_name);
    return raise_as("ValueError");
  }
  memcpy(slot, &value, 8); /* little endian: the low bytes come first */
  return 0;
}

int temper_rt_call_ffi(const temper_function* function, const temper_ffi_any* args, int32_t count) {
  const int32_t expected = function->count - function->extents;
  if (count != expected) {
    say(function, -1, "expected %d arguments, got %d", (int)expected, (int)count);
    return raise_as("TypeError");
  }
  void* pointers[function->count + 1];
  uint64_t scalars[function->count + 1];
  int32_t given_by[function->count + 1]; /* of extents: the argument whose shape gave it */
  int32_t device_id = -1;
  for (int32_t i = expected; i < function->count; ++i) {
    given_by[i] = -1;
    pointers[i] = &scalars[i];
  }
  for (int32_t i = 0; i < count; ++i) {
    if (function->arguments[i].is_buffer) {
      pointers[i] = NULL;
      if (take_tensor(function, i, &args[i], &device_id, given_by, scalars, &pointers[i]) != 0)
        return -1;
    } else {
      pointers[i] = &scalars[i];
      if (take_scalar(function, i, &args[i], &scalars[i]) != 0)
        return -1;
    }
  }
  int code;
  if (function->gpu == NULL) {
    code = temper_rt_call(function, pointers);
  } else if ((code = check_memory(function, pointers)) == 0) {
    /* The stream that the caller works on, as tvm-ffi has been told. */
    void* (*stream_of)(int32_t, int32_t) =
        (void* (*)(int32_t, int32_t))ffi_symbol("TVMFFIEnvGetStream");
    const int32_t device = device_id >= 0 ? device_id : 0;
    code = call_gpu_on(function, pointers,
                       stream_of != NULL ? stream_of(kDeviceCuda, device) : NULL, device);
  }
  if (code == 0)
    return 0;
  const int by_caller =
      code < 0 && code != TEMPER_WRONG_CPU && code != TEMPER_NO_DRIVER && code != TEMPER_GPU_FAILED;
  return raise_as(by_caller ? "ValueError" : "RuntimeError");
}

int temper_rt_string(const char* text, temper_ffi_any* result) {
  int (*make)(const temper_ffi_bytes*, temper_ffi_any*) =
      (int (*)(const temper_ffi_bytes*, temper_ffi_any*))ffi_symbol("TVMFFIStringFromByteArray");
  temper_ffi_bytes bytes = {text, strlen(text)};
  if (make != NULL)
    return make(&bytes, result);
  snprintf(last_error, sizeof last_error, "libtvm_ffi is not loaded, so no string can be made");
  return raise_as("RuntimeError");
}
