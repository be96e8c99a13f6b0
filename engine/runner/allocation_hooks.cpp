// The allocation functions of the runner program, hence of every kernel it loads: glibc's own,
// filled while results are checked, plus a note when one of them fails. A kernel that crashes on a
// null pointer after that ran out of memory, and is told so.
#include "engine/runner/sandbox.h"

#include <cerrno>
#include <cstddef>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

using temper::engine::filled;
using temper::engine::note_refused_allocation;

extern "C" {

void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) {
  void* memory = __libc_malloc(bytes);
  if (!memory)
    note_refused_allocation(bytes);
  return filled(memory, bytes);
}

void* calloc(size_t count, size_t size) {
  void* memory = __libc_calloc(count, size);
  if (!memory)
    note_refused_allocation(count * size);
  return memory;
}

void* realloc(void* old, size_t bytes) {
  void* memory = __libc_realloc(old, bytes);
  if (!memory && bytes > 0)
    note_refused_allocation(bytes);
  return memory;
}

void* memalign(size_t alignment, size_t bytes) {
  void* memory = __libc_memalign(alignment, bytes);
  if (!memory)
    note_refused_allocation(bytes);
  return filled(memory, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
    return EINVAL;
  void* got = memalign(alignment, bytes);
  if (!got)
    return ENOMEM;
  *memory = got;
  return 0;
}

} // extern "C"

#endif
