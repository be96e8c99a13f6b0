/* Kernels for a GPU, started through the driver, which is loaded at the first call: a library that
 * holds some loads where there is no GPU, and its other functions work. Part of runtime.c. */
#ifndef TEMPER_EXPORT_LAUNCH_H
#define TEMPER_EXPORT_LAUNCH_H

#include <sched.h>

/* CUlaunchAttribute and CUlaunchConfig. */
typedef struct {
  int32_t id;
  int32_t padding;
  union {
    char bytes[64];
    uint32_t cluster[3];
  } value;
} temper_launch_attribute;
typedef struct {
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
  void* stream;
  temper_launch_attribute* attributes;
  uint32_t attribute_count;
} temper_launch;

/* The part of the driver's interface that is used. */
static struct {
  int (*init)(unsigned);
  int (*error_string)(int, const char**);
  int (*current)(void**);
  int (*push)(void*);
  int (*pop)(void**);
  int (*retain)(void**, int);
  int (*device)(int*);
  int (*load)(void**, const void*, void*, void*, unsigned, void*, void*, unsigned);
  int (*kernel)(void**, void*, const char*);
  int (*set_attribute)(int, int, void*, int);
  int (*launch)(const temper_launch*, void*, void**, void**);
  int (*allocate)(uint64_t*, size_t, void*);
  int (*release)(uint64_t, void*);
  int (*encode)(void*, int, uint32_t, void*, const uint64_t*, const uint64_t*, const uint32_t*,
                const uint32_t*, int, int, int, int);
} driver;

static _Atomic int driver_state; /* 0: not asked for, 1: there, -1: not */
static _Atomic int loading;      /* somebody is: handles are made once */

static void lock_loading(void) {
  int free = 0;
  while (!atomic_compare_exchange_weak(&loading, &free, 1)) {
    free = 0;
    sched_yield();
  }
}
static void unlock_loading(void) { atomic_store(&loading, 0); }

static int gpu_failed(const temper_function* function, const char* what, int code) {
  const char* text = NULL;
  if (driver.error_string == NULL || driver.error_string(code, &text) != 0 || text == NULL)
    text = "unknown error";
  say(function, -1, "%s: %s (the driver's error %d)", what, text, code);
  return TEMPER_GPU_FAILED;
}

/* Called with the lock. */
static int load_driver(const temper_function* function) {
  if (atomic_load(&driver_state) == 1)
    return 0;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    say(function, -1, "needs a GPU and its driver, which is not here: %s", dlerror());
    return TEMPER_NO_DRIVER;
  }
  static const struct {
    const char* name;
    void** place;
  } functions[] = {{"cuInit", (void**)&driver.init},
                   {"cuGetErrorString", (void**)&driver.error_string},
                   {"cuCtxGetCurrent", (void**)&driver.current},
                   {"cuCtxPushCurrent_v2", (void**)&driver.push},
                   {"cuCtxPopCurrent_v2", (void**)&driver.pop},
                   {"cuDevicePrimaryCtxRetain", (void**)&driver.retain},
                   {"cuCtxGetDevice", (void**)&driver.device},
                   {"cuLibraryLoadData", (void**)&driver.load},
                   {"cuLibraryGetKernel", (void**)&driver.kernel},
                   {"cuKernelSetAttribute", (void**)&driver.set_attribute},
                   {"cuLaunchKernelEx", (void**)&driver.launch},
                   {"cuMemAllocAsync", (void**)&driver.allocate},
                   {"cuMemFreeAsync", (void**)&driver.release},
                   {"cuTensorMapEncodeTiled", (void**)&driver.encode}};
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; ++i) {
    *functions[i].place = dlsym(library, functions[i].name);
    if (*functions[i].place == NULL) {
      say(function, -1, "needs a GPU driver of CUDA 12 or newer: this one has no %s",
          functions[i].name);
      return TEMPER_NO_DRIVER;
    }
  }
  const int code = driver.init(0);
  if (code != 0) {
    gpu_failed(function, "finds no GPU", code);
    return TEMPER_NO_DRIVER;
  }
  atomic_store(&driver_state, 1);
  return 0;
}

/* The handles of the kernels, for any device. Called with the lock. */
static int load_kernels(const temper_function* function) {
  const temper_gpu* gpu = function->gpu;
  if (gpu->loaded[0] != NULL)
    return 0;
  void* library = NULL;
  int code = driver.load(&library, gpu->cubin, NULL, NULL, 0, NULL, NULL, 0);
  if (code != 0 && driver.load(&library, gpu->ptx, NULL, NULL, 0, NULL, NULL, 0) != 0) {
    char what[96];
    snprintf(what, sizeof what, "was compiled for %s, which this GPU cannot run", function->target);
    return gpu_failed(function, what, code);
  }
  for (int32_t i = gpu->kernel_count; i-- > 0;) { /* the first comes last: it says that all are */
    code = driver.kernel(&gpu->loaded[i], library, gpu->kernels[i].name);
    if (code != 0)
      return gpu_failed(function, "lacks a kernel", code);
  }
  return 0;
}

static int start_kernels(const temper_function* function, void* const* arguments, void* stream) {
  enum { kMostMaps = 16, kMostWorkspaces = 16, kDynamicSharedBytes = 8 };
  const temper_gpu* gpu = function->gpu;
  int device = 0;
  int code = driver.device(&device);
  if (code != 0)
    return gpu_failed(function, "has no device", code);
  uint64_t workspaces[kMostWorkspaces];
  int allocated = 0;
  for (; code == 0 && allocated < gpu->workspace_count; ++allocated) {
    code = driver.allocate(&workspaces[allocated], gpu->workspaces[allocated], stream);
    if (code != 0) {
      gpu_failed(function, "could not allocate its temporary memory", code);
      break;
    }
  }
  for (int32_t i = 0; code == 0 && i < gpu->kernel_count; ++i) {
    const temper_gpu_kernel* kernel = &gpu->kernels[i];
    void* parameters[function->count + kMostWorkspaces + kMostMaps];
    struct {
      _Alignas(128) uint64_t words[16];
    } maps[kMostMaps];
    int count = 0;
    for (int32_t a = 0; a < function->count; ++a)
      parameters[count++] =
          function->arguments[a].is_buffer ? (void*)&arguments[a] : (void*)arguments[a];
    for (int32_t w = 0; w < gpu->workspace_count; ++w)
      parameters[count++] = &workspaces[w];
    for (uint32_t m = 0; code == 0 && m < kernel->map_count; ++m) {
      const temper_tensor_map* map = &kernel->maps[m];
      static const uint32_t dense[5] = {1, 1, 1, 1, 1};
      /* 128-byte promotion: tiles are read once from memory, by whole lines */
      code = driver.encode(maps[m].words, map->dtype, (uint32_t)map->rank, arguments[map->argument],
                           map->shape, map->strides, map->box, dense, 0, map->swizzle, 2, 0);
      if (code != 0)
        gpu_failed(function, "could not describe an argument to the copy engine", code);
      parameters[count++] = maps[m].words;
    }
    /* 48 KB less what is declared statically are there without being asked for */
    if (code == 0 && kernel->shared_bytes > 0) {
      code = driver.set_attribute(kDynamicSharedBytes, (int)kernel->shared_bytes, gpu->loaded[i],
                                  device);
      if (code != 0)
        gpu_failed(function, "asks for more shared memory than this GPU has", code);
    }
    if (code == 0) {
      enum { kClusterDimension = 4 };
      temper_launch_attribute attribute = {.id = kClusterDimension};
      temper_launch launch = {.shared_bytes = kernel->shared_bytes, .stream = stream};
      memcpy(launch.grid, kernel->grid, sizeof launch.grid);
      memcpy(launch.block, kernel->block, sizeof launch.block);
      if (kernel->cluster[0] > 0) {
        memcpy(attribute.value.cluster, kernel->cluster, sizeof attribute.value.cluster);
        launch.attributes = &attribute;
        launch.attribute_count = 1;
      }
      code = driver.launch(&launch, gpu->loaded[i], parameters, NULL);
      if (code != 0)
        gpu_failed(function, "could not be started", code);
    }
  }
  while (allocated-- > 0)
    driver.release(workspaces[allocated], stream);
  return code == 0 ? 0 : TEMPER_GPU_FAILED;
}

/* `device`: whose primary context it runs in; -1: the current one, else the first device's. */
static int call_gpu_on(const temper_function* function, void* const* arguments, void* stream,
                       int device) {
  lock_loading();
  int code = load_driver(function);
  if (code == 0)
    code = load_kernels(function);
  unlock_loading();
  if (code != 0)
    return code;
  void* context = NULL;
  int failed = driver.current(&context);
  if (failed != 0)
    return gpu_failed(function, "has no context", failed);
  void* own = NULL;
  if (context == NULL || device >= 0) {
    failed = driver.retain(&own, device >= 0 ? device : 0);
    if (failed == 0 && own != context)
      failed = driver.push(own);
    else
      own = NULL;
    if (failed != 0)
      return gpu_failed(function, "could not take the GPU", failed);
  }
  code = start_kernels(function, arguments, stream);
  if (own != NULL)
    driver.pop(&own);
  return code;
}

#endif
