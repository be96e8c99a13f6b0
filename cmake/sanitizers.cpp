// What the sanitizers are told, in every program of the presets `asan` and `tsan`: compiled in, so
// that it holds for helper programs, for test discovery and for a program started by hand alike.
// The environment's ASAN_OPTIONS, TSAN_OPTIONS and so on still add to it.
//
// Suppressions are for code that is not ours only, each with its reason.

extern "C" {

#if defined(__SANITIZE_ADDRESS__)

const char* __asan_default_options() {
  // Kernels under test run into their memory limit on purpose: malloc returns null there, as it
  // does without the sanitizer.
  return "allocator_may_return_null=1:"
         "detect_stack_use_after_return=0:strict_string_checks=1:"
#if defined(TEMPER_RUNS_KERNELS)
         // A kernel that calls exit() must end with its own status, and may do no system call that
         // the leak checker needs.
         "detect_leaks=0";
#else
         "detect_leaks=1";
#endif
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

#endif

#if defined(__SANITIZE_THREAD__)

const char* __tsan_default_options() {
  // XGBoost, LLVM and OpenMP's runtime are not instrumented: what they do with intercepted
  // functions (memcpy, free) would be held against locks that the sanitizer never saw.
  // Allocations that are refused on purpose return null, as without the sanitizer.
  return "ignore_noninstrumented_modules=1:halt_on_error=0:second_deadlock_stack=1:"
         "allocator_may_return_null=1";
}

#endif

} // extern "C"
