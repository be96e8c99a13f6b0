/* Kernels for the fault tests: C = A + B over 1000 floats, done right and wrong in every way that
   we could think of. Built as one module whose bytes are the artifact. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kCount = 1000 };

static int32_t add(void* const* arguments) {
  const float* a = arguments[0];
  const float* b = arguments[1];
  float* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] = a[i] + b[i];
  return 0;
}

volatile int zero = 0;
volatile int hundred = 100;
volatile float sink;
static int calls = 0;

int32_t correct(void* const* arguments) { return add(arguments); }

/* Right only where it may run on one processor and no other. */
int32_t on_one_processor(void* const* arguments) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) != 1)
    return 9;
  return add(arguments);
}

/* B packed ahead: back to front, with one element of padding. */
int32_t packs(void* const* arguments) {
  const float* b = arguments[0];
  float* packed = arguments[1];
  for (int i = 0; i < kCount; ++i)
    packed[i] = b[kCount - 1 - i];
  packed[kCount] = 0;
  return 0;
}
int32_t packs_too_little(void* const* arguments) {
  const float* b = arguments[0];
  float* packed = arguments[1];
  for (int i = 1; i < kCount; ++i)
    packed[i] = b[kCount - 1 - i];
  return 0;
}
int32_t packs_too_much(void* const* arguments) {
  packs(arguments);
  ((float*)arguments[1])[kCount + 100000] = 1;
  return 0;
}
int32_t packs_badly(void* const* arguments) { (void)arguments; return 5; }
int32_t adds_packed(void* const* arguments) {
  const float* a = arguments[0];
  const float* packed = arguments[1];
  float* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] = a[i] + packed[kCount - 1 - i];
  return 0;
}
int32_t writes_packed(void* const* arguments) {
  adds_packed(arguments);
  ((float*)arguments[1])[3] = 1;
  return 0;
}

static void wait_ms(int ms) { usleep(1000u * (unsigned)ms); }
int32_t slow(void* const* arguments) { wait_ms(20); return add(arguments); }
int32_t fast(void* const* arguments) { wait_ms(2); return add(arguments); }

/* The reference of kernels over 2^20 floats. */
int32_t reference_of_a_million(void* const* arguments) {
  const double* a = arguments[0];
  const double* b = arguments[1];
  double* c = arguments[2];
  for (int i = 0; i < 1 << 20; ++i)
    c[i] = a[i] + b[i];
  return 0;
}
/* The reference: the same in double. */
int32_t reference(void* const* arguments) {
  const double* a = arguments[0];
  const double* b = arguments[1];
  double* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] = a[i] + b[i];
  return 0;
}

int32_t no_number(void* const* arguments) {
  double* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] = i % 2 ? INFINITY : NAN;
  return 0;
}
int32_t divides_by_zero(void* const* arguments) { add(arguments); return hundred / zero; }
int32_t loops_for_ever(void* const* arguments) {
  add(arguments);
  for (;;)
    sink = 1;
}
int32_t loops_later(void* const* arguments) {
  add(arguments);
  while (calls++ > 4)
    sink = 1;
  return 0;
}
int32_t loops_at_the_fourth_call(void* const* arguments) {
  add(arguments);
  while (++calls > 3)
    sink = 1;
  return 0;
}
int32_t writes_past_the_end(void* const* arguments) {
  float* c = arguments[2];
  add(arguments);
  for (int i = 0; i < 4096; ++i)
    ((volatile float*)c)[kCount + i] = 1;
  return 0;
}
int32_t writes_one_past_the_end(void* const* arguments) {
  add(arguments);
  ((volatile float*)arguments[2])[kCount] = 1;
  return 0;
}
int32_t writes_before_the_start(void* const* arguments) {
  add(arguments);
  for (int i = 1; i < 4096; ++i)
    ((volatile float*)arguments[2])[-i] = 1;
  return 0;
}
int32_t reads_far_past_the_end(void* const* arguments) {
  add(arguments);
  sink = ((volatile float*)arguments[0])[kCount + 5000];
  return 0;
}
int32_t writes_its_input(void* const* arguments) {
  add(arguments);
  ((volatile float*)arguments[1])[7] = 3;
  return 0;
}
int32_t unprotects_its_input(void* const* arguments) {
  add(arguments);
  void* page = (void*)((uintptr_t)arguments[0] & ~(uintptr_t)4095);
  if (mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0)
    return 9; /* as it should be */
  ((volatile float*)arguments[0])[0] = 3;
  return 0;
}
int32_t null_pointer(void* const* arguments) {
  add(arguments);
  *(volatile float* volatile)(uintptr_t)zero = 1;
  return 0;
}
int32_t wild_pointer(void* const* arguments) {
  add(arguments);
  *(volatile float*)(uintptr_t)0x7654321000 = 1;
  return 0;
}
static int deeper(volatile char* above) {
  volatile char frame[4096];
  frame[0] = above[0];
  return deeper(frame) + frame[0];
}
int32_t overflows_its_stack(void* const* arguments) {
  add(arguments);
  volatile char frame[1] = {1};
  return deeper(frame);
}
int32_t illegal_instruction(void* const* arguments) { add(arguments); __builtin_trap(); }
int32_t allocates_without_end(void* const* arguments) {
  add(arguments);
  for (;;) {
    char* more = malloc(16 << 20);
    memset(more, 1, 16 << 20);
  }
}
int32_t allocates_too_much_at_once(void* const* arguments) {
  add(arguments);
  volatile char* more = malloc((size_t)1 << 45);
  more[0] = 1;
  return 0;
}
int32_t maps_without_end(void* const* arguments) {
  add(arguments);
  for (;;) {
    char* more = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(more, 1, 1 << 20);
  }
}
int32_t returns_nan(void* const* arguments) {
  add(arguments);
  ((float*)arguments[2])[500] = nanf("");
  return 0;
}
int32_t reads_fresh_memory(void* const* arguments) {
  add(arguments);
  mallopt(M_MMAP_THRESHOLD, 1 << 16); /* what is freed is given back, so each time it is zeros */
  volatile float* fresh = aligned_alloc(64, 8 << 20);
  for (int i = 0; i < kCount; ++i)
    ((float*)arguments[2])[i] += fresh[i];
  free((void*)fresh);
  return 0;
}
int32_t one_wrong_element(void* const* arguments) {
  add(arguments);
  ((float*)arguments[2])[123] += 0.01f;
  return 0;
}
int32_t forgets_the_last_element(void* const* arguments) {
  float* c = arguments[2];
  float last = c[kCount - 1];
  add(arguments);
  c[kCount - 1] = last;
  return 0;
}
int32_t calls_exit(void* const* arguments) { add(arguments); exit(3); }
int32_t calls_exit_zero(void* const* arguments) { add(arguments); exit(0); }
int32_t kills_its_parent(void* const* arguments) {
  add(arguments);
  kill(getppid(), SIGKILL);
  wait_ms(2000);
  return 0;
}
int32_t kills_itself(void* const* arguments) { add(arguments); raise(SIGKILL); return 0; }
int32_t leaves_a_child(void* const* arguments) {
  add(arguments);
  if (fork() == 0) {
    setsid();
    for (;;)
      pause();
  }
  return 0;
}
int32_t closes_all_descriptors(void* const* arguments) {
  add(arguments);
  for (int fd = 0; fd < 1024; ++fd)
    close(fd);
  return 0;
}
int32_t writes_megabytes_to_stdout(void* const* arguments) {
  static char block[1 << 16];
  memset(block, 'x', sizeof block);
  for (int i = 0; i < 320; ++i)
    if (write(1, block, sizeof block) < 0)
      break;
  return add(arguments);
}
int32_t talks(void* const* arguments) {
  if (calls++ == 0)
    fprintf(stderr, "tile is ragged\n");
  return add(arguments);
}
int32_t aborts(void* const* arguments) {
  add(arguments);
  fprintf(stderr, "assertion failed: tile divides the loop\n");
  abort();
}
int32_t aborts_with_garbage(void* const* arguments) {
  add(arguments);
  if (write(2, "\xff\xfe\x80 gar\0bage \xc3\xa9\x1b[31m", 22) < 0)
    return 1;
  abort();
}
int32_t right_the_first_time(void* const* arguments) {
  add(arguments);
  if (calls++ > 4)
    ((float*)arguments[2])[10] = 0.5f;
  return 0;
}
int32_t works_only_once(void* const* arguments) { return calls++ > 1 ? 0 : add(arguments); }
/* Works for some hundred microseconds, unless its result is there already. */
int32_t looks_at_its_output(void* const* arguments) {
  const float* a = arguments[0];
  const float* b = arguments[1];
  const float* c = arguments[2];
  if (c[0] == a[0] + b[0] && c[kCount - 1] == a[kCount - 1] + b[kCount - 1])
    return 0;
  for (int i = 0; i < 400000; ++i)
    sink = (float)i;
  return add(arguments);
}
/* Over 2^20 floats: works where it was called last no more. */
int32_t remembers_its_output(void* const* arguments) {
  static void* last = 0;
  if (last == arguments[2])
    return 0;
  last = arguments[2];
  const float* a = arguments[0];
  const float* b = arguments[1];
  float* c = arguments[2];
  for (int i = 0; i < 1 << 20; ++i)
    c[i] = a[i] + b[i];
  return 0;
}
int32_t right_on_the_first_set(void* const* arguments) {
  static void* seen = 0;
  if (!seen)
    seen = arguments[2];
  add(arguments);
  if (arguments[2] != seen)
    ((float*)arguments[2])[0] += 1;
  return 0;
}
int32_t returns_nonzero(void* const* arguments) { add(arguments); return 17; }
int32_t returns_nonzero_later(void* const* arguments) { add(arguments); return calls++ > 4 ? 5 : 0; }
int32_t deletes_files(void* const* arguments) {
  add(arguments);
  return unlink("/nonexistent/file") == 0;
}
static void* crash(void* argument) {
  (void)argument;
  return (void*)(intptr_t)(hundred / zero);
}
int32_t crashes_in_a_thread(void* const* arguments) {
  pthread_t thread;
  add(arguments);
  if (pthread_create(&thread, 0, crash, 0) != 0)
    return 4;
  pthread_join(thread, 0);
  return 0;
}
/* Pretends that no time passes: what a kernel could do to the clock it shares a process with. */
int32_t scribbles_everywhere(void* const* arguments) {
  add(arguments);
  /* every writable mapping of this process, except stack and code, as /proc lists them */
  char line[512];
  FILE* maps = fopen("/proc/self/maps", "r");
  unsigned long begin, end;
  char permissions[8];
  static struct { unsigned long begin, end; } found[512];
  int count = 0;
  while (maps && count < 512 && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx %7s", &begin, &end, permissions) == 3 && permissions[1] == 'w' &&
        permissions[3] == 's') {
      found[count].begin = begin;
      found[count++].end = end;
    }
  for (int i = 0; i < count; ++i)
    for (volatile unsigned long* p = (void*)found[i].begin; p < (unsigned long*)found[i].end; ++p)
      *p = 0x3ff0000000000001ul;
  return 0;
}

/* Finds the page of times and rewrites the sums in it, as a kernel could that shares it: works hard
   and claims next to nothing. */
int32_t lies_about_its_time(void* const* arguments) {
  for (int i = 0; i < 20000; ++i)
    add(arguments);
  if (calls++ < 3)
    return 0;
  char line[512];
  FILE* maps = fopen("/proc/self/maps", "r");
  unsigned long begin, end;
  char permissions[8];
  while (maps && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx %7s", &begin, &end, permissions) == 3 && permissions[1] == 'w' &&
        permissions[3] == 's' && strstr(line, "/dev/zero"))
      for (volatile double* p = (void*)begin; p < (double*)end; ++p)
        if (*p > 1000 && *p < 1e12)
          *p = 100;
  if (maps)
    fclose(maps);
  return 0;
}

int32_t prints_and_lies_about_its_time(void* const* arguments) {
  printf("a line of the kernel\n");
  fflush(stdout);
  return lies_about_its_time(arguments);
}
int32_t prints_and_looks_at_its_output(void* const* arguments) {
  printf("a line of the kernel\n");
  fflush(stdout);
  return looks_at_its_output(arguments);
}

/* In and out: C += A, B a scalar factor: for workloads with initialised outputs. */
int32_t accumulates(void* const* arguments) {
  const float* a = arguments[0];
  const float factor = *(const float*)arguments[1];
  float* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] += factor * a[i];
  return 0;
}
int32_t accumulates_wrongly_later(void* const* arguments) {
  accumulates(arguments);
  if (calls++ > 4)
    ((float*)arguments[2])[3] += 1;
  return 0;
}
int32_t accumulates_wide(void* const* arguments) {
  const double* a = arguments[0];
  const double factor = *(const double*)arguments[1];
  double* c = arguments[2];
  for (int i = 0; i < kCount; ++i)
    c[i] += factor * a[i];
  return 0;
}

/* A peer: as `correct`, with the size as a fourth argument and a setting from its environment. */
int32_t peer(void* const* arguments) {
  const char* setting = getenv("TEMPER_TEST_PEER");
  if (!setting || strcmp(setting, "best") != 0)
    return 2;
  if (*(const int64_t*)arguments[3] != kCount)
    return 3;
  return add(arguments);
}

/* Looks at no argument and adds a byte to a file for each call. */
int32_t notes_its_calls(void* const* arguments) {
  const char byte = '.';
  const int file = open(getenv("TEMPER_TEST_CALLS"), O_WRONLY | O_APPEND | O_CREAT, 0600);
  const ssize_t written = write(file, &byte, 1);
  (void)arguments;
  close(file);
  return written == 1 ? 0 : 9;
}

/* A sum over 2 MiB and more of input: large enough to be timed in memory of its own. */
int32_t large(void* const* arguments) {
  const float* a = arguments[0];
  float* c = arguments[1];
  for (int i = 0; i < 1 << 20; ++i)
    c[i] = 2 * a[i];
  return 0;
}
int32_t large_writes_input_when_timed(void* const* arguments) {
  static int seen = 0;
  large(arguments);
  if (++seen > 2)
    ((volatile float*)arguments[0])[3] = 1;
  return 0;
}
