/// Barriers of code that single threads run, where its author leaves them to the compiler: kernels
/// that are written for TileLang, which puts them in by itself.
#pragma once

#include "ir/function.h"

namespace temper::tir {

/// The function with `T.sync_threads()` between statements of its kernels one of which writes
/// shared memory that the other reads, and at the end of loops whose next iteration does. Only
/// where all threads come by: not below conditions and loops of some threads, nor within a
/// statement that hands something over to itself, which stays the author's to order (the emulator
/// finds what is missing). Kernels that do not name their threads have none: operators meet; nor
/// have those with mbarriers, which say themselves who waits for whom.
ir::PrimFunc meet_between_threads(const ir::PrimFunc& function);

} // namespace temper::tir
