/// When the iterations of a loop may run in another order, or all at once.
///
/// What a block declares about its axes is believed: instances that differ in a spatial axis write
/// different elements, or the same values to the same elements (a producer that was moved below a
/// loop may compute its borders twice).
#pragma once

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {

/// The child blocks below the last statement of `chain`, each with all its loops up to the
/// enclosing block. Nothing when other statements than loops and blocks are below it.
std::optional<std::vector<ChildBlock>> blocks_below(std::span<const Stmt> chain);

/// Not a block whose instances each compute their elements whole; a block inside may be the one.
bool accumulates(const SBlock& block);

/// A buffer of which the block reads other elements than it writes, so that its instances may
/// exchange values while the loops from `moving` on run and those before stand still; null when
/// there is none.
Buffer exchanged_buffer(const ChildBlock& child, size_t moving);

/// What blocks below a loop exchange stays within one iteration of the loops they share: what one
/// reads it finds written by the other in the same iteration, and what one has read or written the
/// other overwrites in the same iteration. Null, or the reason why not.
std::optional<std::string> carried_dependence(std::span<const Stmt> chain,
                                              std::span<const ChildBlock> below);

/// Whether iterations may accumulate into the same elements.
enum class Reductions : uint8_t {
  kNever,
  kAcrossThreads, ///< those of which recognise_reducer() knows how partial results combine
};

/// The iterations of the loop are independent: no block below accumulates over it (but for what
/// `reductions` allows), and no block reads what another iteration writes. Else an error (`at`
/// marks the loop).
Result<void> require_independent_iterations(const Context& context, const LoopPlace& place,
                                            const Value& at,
                                            Reductions reductions = Reductions::kNever);

/// Which axes a question is about.
enum class Axes : uint8_t { kSpatial, kAll };

/// While the loops from `moving` on run and those before stand still, no two iterations of loops
/// that drive `axes` give the axes the same values. False means "cannot tell", too.
bool is_injective(const ChildBlock& child, size_t moving, Axes axes);

/// The order in which the block's body accumulates does not matter: B[..] = B[..] + e, and the
/// like.
bool is_commutative_update(const SBlock& block);

} // namespace temper::s_tir
