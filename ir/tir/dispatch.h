/// Dispatch: which code a tile operator becomes on a target. Each operator has variants, registered
/// by (operator, target, scope); a variant has a predicate, which says why it does not fit, and
/// knobs, which a search may set. One file per variant, in ir/tir/cpu and so on.
///
///   gemm on cpu, block scope:
///     register_tile   tiles of C in vector registers, over the whole of K     rows: 1..16
///     vectors: 1..4 loops           plain loops, the last one vectorized
///
/// A call says which variant it wants by its annotation "variant", and sets knobs by annotations of
/// their names; what it leaves open takes the first variant that fits and the knob's default.
#pragma once

#include "ir/pass/lowering.h"
#include "ir/support/result.h"
#include "ir/target.h"
#include "ir/tir/layout.h"
#include "ir/tir/lower_tiles.h"
#include "ir/tir/tile_ops.h"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::tir {

/// The kernel around a call, for the variants of GPUs.
struct GpuKernel {
  int architecture = 80; ///< 80 for sm_80
  int64_t threads = 0;   ///< of a block
  Expr thread;           ///< number of the thread in its block, int32
  /// Of a fragment (over the axis "thread") or a buffer in shared memory; nothing: row-major.
  std::function<std::optional<Layout>(const Buffer&)> layout;
  /// What a thread holds of a fragment: a flat local buffer in the order of the layout.
  std::function<Buffer(const Buffer& fragment)> registers;
};

/// What a variant may look at.
struct TileContext {
  const LowerOptions& options;
  Analyzer& math;                 ///< knows the loops around the call
  const GpuKernel* gpu = nullptr; ///< null on a CPU
  TargetKind target() const { return gpu != nullptr ? TargetKind::kCuda : TargetKind::kCpu; }
};

/// Annotation of a T.copy: a pipeline waits for it, so it may be asynchronous.
inline constexpr const char* kAsyncCopy = "async";
/// Annotation of a T.copy: the mbarrier that a pipeline waits at for it.
inline constexpr const char* kCopyBarrier = "mbarrier";
/// Annotations of a T.copy into the same place of several blocks of a cluster (ir/tir/cluster.h):
/// how many they are, which of them this one is, so that it brings that slice of the rows, and a
/// bit for the rank of each.
inline constexpr const char* kMulticastBlocks = "multicast";
inline constexpr const char* kMulticastSlice = "multicast_slice";
inline constexpr const char* kMulticastMask = "multicast_mask";
/// Annotation of a pipelined loop, 0 to 2: its copies are the tensor memory accelerator's, the
/// variant of this name; with 2 a warp of its own makes them (ir/tir/pipeline.h).
inline constexpr const char* kTma = "tma";

/// A decision of a variant: an annotation of the call with an integer value.
struct TileKnob {
  std::string name;
  std::vector<int64_t> choices; ///< that are legal here; not empty
  int64_t default_value = 0;    ///< one of them
};

struct TileVariant {
  std::string op;
  TargetKind target = TargetKind::kCpu;
  std::string scope; ///< who works together: "block"; on GPUs also "warpgroup", "warp", "thread"
  std::string name;
  std::string doc; ///< one line
  /// Why it does not fit this call, in one sentence.
  Result<void> (*fits)(const TileCall& call, TileContext& context) = nullptr;
  /// The same of a call that does not name the variant, whose operands would lie otherwise if it
  /// did: only what is asked for by name is chosen. Null: it fits as calls stand.
  Result<void> (*fits_by_name)(const TileCall& call, TileContext& context) = nullptr;
  /// What is left open once it is chosen. May be null.
  std::vector<TileKnob> (*knobs)(const TileCall& call, TileContext& context) = nullptr;
  /// The code. Called only where it fits.
  Result<Stmt> (*lower)(const TileCall& call, TileContext& context) = nullptr;
  /// Where it fits, a search need not try those behind it.
  bool best = false;
};

/// Adds a variant ahead of those that are there; an error when the name is taken.
Result<void> register_tile_variant(TileVariant variant);
/// In order of preference.
std::vector<const TileVariant*> tile_variants(std::string_view op, TargetKind target,
                                              std::string_view scope = "block");
std::vector<const TileVariant*> all_tile_variants();

/// The variant of a call: the one it names, if that fits, else the first that does. The error lists
/// why each was refused.
Result<const TileVariant*> choose_tile_variant(const TileCall& call, TileContext& context,
                                               std::string_view scope = "block");
/// The knob's value in this call: its annotation, else the default. The error says which values
/// are legal.
Result<int64_t> tile_knob(const TileCall& call, const TileKnob& knob);

/// Tiles that operators lay out anew anyway are read where they come from.
PrimFunc forward_copies(const PrimFunc& function, const LowerOptions& options);

/// Every tile operator becomes the code of its variant for a CPU.
Result<PrimFunc> dispatch_tiles(const PrimFunc& function, const LowerOptions& options);

/// The steps from a tile program to plain loops of a CPU, in order (ir/tir/lower_tiles.h says what
/// each does). The one list: code generation, spaces and temper-opt take it.
struct TileStep {
  const char* name;
  Result<PrimFunc> (*run)(const PrimFunc& function, const LowerOptions& options);
};
std::span<const TileStep> tile_steps();
/// All of them.
Result<PrimFunc> lower_tiles(const PrimFunc& function, const LowerOptions& options);

/// Annotation of a call: the variant that was asked for.
inline constexpr const char* kVariant = "variant";

/// What a tile operator leaves open, for a search: its variants that fit, each with its knobs. On
/// GPUs also a pipelined loop ("pipeline") and a kernel ("kernel"), each with one choice.
struct OpenCall {
  std::string label; ///< "gemm", or "gemm_2" for the second one of a function
  struct Choice {
    std::string variant;
    std::vector<TileKnob> knobs;
  };
  std::vector<Choice> choices;
  /// More than one choice, or knobs.
  bool is_open() const {
    return choices.size() > 1 || (choices.size() == 1 && !choices[0].knobs.empty());
  }
};
/// The choices of one call that its annotations leave.
std::vector<OpenCall::Choice> open_choices(const TileCall& call, TileContext& context);
/// The calls of the function that are open on a CPU, in order of the text.
Result<std::vector<OpenCall>> open_calls(const PrimFunc& function, const LowerOptions& options);
/// The function with annotations set on what the label names; null when it has no such thing.
PrimFunc annotate_open(const PrimFunc& function, const std::string& label,
                       const Annotations& annotations);
/// The label of each operator, pipelined loop and kernel, in order of the text.
class OpenLabels {
public:
  /// Empty for a statement that has none. Called once for each statement, outer ones first.
  std::string next(const Stmt& stmt);

private:
  std::map<std::string, int> count_;
};

/// For temper-opt --dispatch: every variant with its doc; and for each call of `function`, when it
/// is there, which one is taken and why others were refused.
std::string dispatch_table(const PrimFunc& function, const LowerOptions& options);
/// Of one call: "  mma_sync (taken)", "  cp_async refused: ...", a line each.
std::string dispatch_lines(const TileCall& call, TileContext& context);

} // namespace temper::tir
