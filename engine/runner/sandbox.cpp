#include "engine/runner/sandbox.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

namespace temper::engine {
namespace {

// Signal handlers and malloc have no argument to carry this in; set once in each child.
ControlBlock* control_of_this_child = nullptr;
std::atomic<unsigned char> allocation_fill = 0;

alignas(16) char handler_stack[64 * 1024];

void on_crash(int signal, siginfo_t* info, void* context) {
  ControlBlock* control = control_of_this_child;
  int32_t none = 0;
  if (!control->crash_signal.compare_exchange_strong(none, signal)) {
    for (;;) // another thread is reporting and will end us all
      ::pause();
  }
  control->crash_code = info->si_code;
  control->crash_address = reinterpret_cast<uint64_t>(info->si_addr);
#if defined(__x86_64__)
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  control->crash_was_write = (registers[REG_ERR] & 2) != 0 ? 1 : 0;
  control->crash_stack = static_cast<uint64_t>(registers[REG_RSP]);
#else
  (void)context;
#endif
  if (signal == SIGSYS)
    control->crash_syscall = info->si_syscall;
  // No room left for 4 MiB: it is the memory limit that this crash comes from, whoever asked.
  constexpr size_t kProbeBytes = size_t{4} << 20;
  void* probe = ::mmap(nullptr, kProbeBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED && control->refused_bytes.load() == 0)
    control->refused_bytes.store(kProbeBytes);
  ::syscall(SYS_exit_group, kReportedExit);
}

struct Forbidden {
  int number;
  const char* name;
};

constexpr Forbidden kForbidden[] = {
    {SYS_kill, "kill"},
    {SYS_tkill, "tkill"},
    {SYS_tgkill, "tgkill"},
    {SYS_clone, "fork"},
#ifdef SYS_fork
    {SYS_fork, "fork"},
    {SYS_vfork, "vfork"},
    {SYS_unlink, "unlink"},
    {SYS_rename, "rename"},
    {SYS_rmdir, "rmdir"},
#endif
    {SYS_execve, "execve"},
    {SYS_execveat, "execveat"},
    {SYS_ptrace, "ptrace"},
    {SYS_process_vm_writev, "process_vm_writev"},
    {SYS_process_vm_readv, "process_vm_readv"},
    {SYS_pidfd_open, "pidfd_open"},
    {SYS_pidfd_send_signal, "pidfd_send_signal"},
    {SYS_rt_sigqueueinfo, "rt_sigqueueinfo"},
    {SYS_rt_tgsigqueueinfo, "rt_tgsigqueueinfo"},
    {SYS_setpgid, "setpgid"},
    {SYS_setsid, "setsid"},
    {SYS_socket, "socket"},
    {SYS_unlinkat, "unlinkat"},
    {SYS_renameat2, "renameat2"},
    {SYS_mount, "mount"},
    {SYS_umount2, "umount2"},
    {SYS_reboot, "reboot"},
    {SYS_setrlimit, "setrlimit"},
};

constexpr uint32_t kArchitecture =
#if defined(__x86_64__)
    AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    AUDIT_ARCH_AARCH64;
#else
    0;
#endif

// Builds the filter as a straight list of "if the number is N, then ...".
class Filter {
public:
  void add(uint16_t code, uint32_t k, uint8_t if_true = 0, uint8_t if_false = 0) {
    instructions_[count_++] = {code, if_true, if_false, k};
  }
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void give(uint32_t action) { add(BPF_RET | BPF_K, action); }
  void when_number(int number, uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1);
    give(action);
  }
  bool install() {
    sock_fprog program{count_, instructions_};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
  }

private:
  sock_filter instructions_[160];
  uint16_t count_ = 0;
};

void write_to(const char* path, std::string_view text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0)
    return;
  (void)!::write(file, text.data(), text.size());
  ::close(file);
}

} // namespace

void raise_priority() {
  // Where sessions are scheduled as groups, niceness counts only inside one; the group has its own.
  write_to("/proc/self/autogroup", "-10");
  ::setpriority(PRIO_PROCESS, 0, -10);
}

void offer_to_memory_killer() { write_to("/proc/self/oom_score_adj", "1000"); }

bool apply_limits(const Limits& limits) {
  bool done = true;
  const auto limit = [&](auto resource, int64_t soft, int64_t hard) {
    rlimit both{static_cast<rlim_t>(soft), static_cast<rlim_t>(hard)};
    // A shell or a batch system may allow less, and then that is the limit.
    if (rlimit now{}; ::getrlimit(resource, &now) == 0 && now.rlim_max < both.rlim_max)
      both = {std::min(both.rlim_cur, now.rlim_max), now.rlim_max};
    done = ::setrlimit(resource, &both) == 0 && done;
  };
  limit(RLIMIT_CORE, 0, 0);
  if (limits.file_bytes > 0)
    limit(RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes);
  if (limits.cpu_seconds > 0)
    limit(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1);
  if (limits.address_space_bytes > 0)
    limit(RLIMIT_AS, limits.address_space_bytes, limits.address_space_bytes);
  // A write beyond the file limit is an error to the writer, not a reason to die.
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  return done;
}

void install_crash_handlers(ControlBlock* control) {
  control_of_this_child = control;
  stack_t stack{};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof handler_stack;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
    ::sigaction(signal, &action, nullptr);
}

bool forbid_system_calls() {
  if (kArchitecture == 0)
    return false;
  Filter filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
  filter.give(SECCOMP_RET_KILL_PROCESS);
  filter.load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  filter.add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); // the x32 numbers
  filter.give(SECCOMP_RET_TRAP);
#endif
  // glibc tries clone3 for threads and takes clone when there is none; only clone's flags lie in
  // a register, where a filter can read them.
  filter.when_number(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  for (const Forbidden& call : kForbidden) {
    if (call.number == SYS_clone || call.number == SYS_tgkill || call.number == SYS_kill)
      continue;
    filter.when_number(call.number, SECCOMP_RET_TRAP);
  }
  const auto first_argument = offsetof(seccomp_data, args);
  // clone: threads only.
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
  filter.load(first_argument);
  filter.add(BPF_JMP | BPF_JSET | BPF_K, 0x00010000 /* CLONE_THREAD */, 1, 0);
  filter.give(SECCOMP_RET_TRAP);
  filter.give(SECCOMP_RET_ALLOW);
  // kill and tgkill: this process only (abort and raise).
  for (int number : {SYS_kill, SYS_tgkill}) {
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 4);
    filter.load(first_argument);
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(::getpid()), 1, 0);
    filter.give(SECCOMP_RET_TRAP);
    filter.give(SECCOMP_RET_ALLOW);
  }
  // prlimit64: reading is fine, setting is not.
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 6);
  filter.load(first_argument + 2 * sizeof(uint64_t));
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3);
  filter.load(first_argument + 2 * sizeof(uint64_t) + sizeof(uint32_t));
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
  filter.give(SECCOMP_RET_ALLOW);
  filter.give(SECCOMP_RET_ERRNO | EPERM);
  filter.give(SECCOMP_RET_ALLOW);
  return filter.install();
}

const char* forbidden_call_name(int number) {
  for (const Forbidden& call : kForbidden)
    if (call.number == number)
      return call.name;
  return "a forbidden system call";
}

void watch_allocations(ControlBlock* control) { control_of_this_child = control; }

void fill_allocations(unsigned char byte) { allocation_fill.store(byte); }

void* filled(void* memory, uint64_t bytes) {
  if (const unsigned char byte = allocation_fill.load(std::memory_order_relaxed);
      byte != 0 && memory != nullptr)
    std::memset(memory, byte, bytes);
  return memory;
}

void note_refused_allocation(uint64_t bytes) {
  if (control_of_this_child)
    control_of_this_child->refused_bytes.store(bytes);
}

} // namespace temper::engine
