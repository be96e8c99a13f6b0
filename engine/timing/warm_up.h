/// What "hot" means for arguments that do not fit into a core's own caches: the calls before the
/// first sample go on until further ones would find the data no nearer. A search, whose samples of
/// a kernel follow each other, and a comparison, in which others had the caches since the kernel's
/// last turn, then time the same thing. Pure functions on numbers: no clock here.
///
/// Why one call is not enough: a last level of cache that holds what the cores drop takes in little
/// of a stream that it has seen once. Of kernels in turns on a Xeon with 2 MiB of its own for each
/// core, reading or copying 8 to 32 MiB, the second call after a switch was nearly as slow as the
/// first, up to twice as slow as later ones; the third had lost two thirds of that, the sixth all.
/// What fits into the core's own cache is there after two. Beyond some 60 MiB times fell for a
/// dozen calls, which is more than a turn is worth: there a tenth may be left.
#pragma once

#include <cstdint>

namespace temper::engine {

/// Calls, one or more, after which further ones take as long as ever, to 1 %: of a kernel whose
/// arguments have `bytes`, on a core with `own_cache_bytes` of its own (0: not known), a settled
/// call of which takes `call_ns`. One call of what computes for so long that its data does not
/// matter. All of them take about 20 ms at the most, and are two where the data matters.
int64_t calls_until_settled(int64_t bytes, int64_t own_cache_bytes, double call_ns);

/// Calls before a sample of `calls` calls in a turn: those, and never fewer than wake up threads
/// and let the clock rise.
int64_t warm_up_calls(int64_t calls, int64_t calls_until_settled);

/// The largest cache that this processor's cores have for themselves (the second level); 0 where
/// the system does not tell.
int64_t own_cache_bytes();

} // namespace temper::engine
