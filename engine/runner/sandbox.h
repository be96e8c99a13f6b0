/// What a child may not do, and how the runner learns what it died of. Called in the child.
#pragma once

#include "engine/runner/control_block.h"

#include <cstdint>

namespace temper::engine {

struct Limits {
  int64_t address_space_bytes = 0;
  int64_t cpu_seconds = 0;
  int64_t file_bytes = 1 << 20; ///< of anything it writes, its log included
};

/// What is measured goes before whatever else this machine does, where we may say so. To be called
/// in a session of its own.
void raise_priority();
/// When memory runs out, rather this process than anybody else on the machine.
void offer_to_memory_killer();

/// The exit status of a child whose signal handler has reported.
inline constexpr int kReportedExit = 111;

/// Memory, processor time, files and core dumps.
bool apply_limits(const Limits& limits);
/// Reports SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS to the control block, with
/// the address, on a stack of their own; then ends the process.
void install_crash_handlers(ControlBlock* control);
/// Forbids what reaches beyond the process: signals to others, new processes (threads are fine),
/// sockets, deleting and renaming files, raising limits. False where the kernel has no filters.
bool forbid_system_calls();
/// "fork" for its number; "system call 123" when it is not one we forbid.
const char* forbidden_call_name(int number);

/// Where failed allocations of the child are told to; null in the runner itself.
void watch_allocations(ControlBlock* control);
void note_refused_allocation(uint64_t bytes);

/// What malloc and its kin hand out is filled with this byte from now on; 0 leaves it as it is.
/// Fresh memory is mostly zeros, so a kernel that reads what it never wrote is right by luck, until
/// its caller's memory is not fresh.
void fill_allocations(unsigned char byte);
/// `memory`, which may be null, so filled.
void* filled(void* memory, uint64_t bytes);

} // namespace temper::engine
