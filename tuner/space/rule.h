/// Rules that make the design space of an s-tir workload: each looks at one block of a schedule and
/// returns the ways to treat it. A rule is one file in tuner/space/rules/; sketch_space.cpp applies
/// them in order, each to every block in post order (producers first).
///
/// What rules decide is left open as sampled decisions; each combination of structural choices is a
/// sketch, whose trace is replayed with new decisions for every candidate.
#pragma once

#include "ir/s_tir/schedule.h"

#include <memory>
#include <string>
#include <vector>

namespace temper::tuner {

/// What rules need to know of the machine.
struct MachineHints {
  int threads = 1;       ///< of the kernel
  int vector_bits = 256; ///< widest vector registers
  int vector_registers = 16;
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 1 << 20;
  std::vector<std::string> features; ///< LLVM's names: which tensor intrinsics there are
};

class Rule {
public:
  virtual ~Rule() = default;
  virtual const char* name() const = 0;
  /// The schedules that take the place of `schedule`; {schedule} itself when the rule does not
  /// apply. `block` is never the root block.
  virtual std::vector<s_tir::Schedule> apply(const s_tir::Schedule& schedule,
                                             s_tir::BlockRv block) const = 0;
};

using RuleList = std::vector<std::unique_ptr<Rule>>;

std::unique_ptr<Rule> make_auto_inline_rule();
std::unique_ptr<Rule> make_row_fusion_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_vector_reduction_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_row_streaming_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_register_tiling_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_window_tiling_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_multi_level_tiling_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_add_rfactor_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_spatial_tiling_rule(const MachineHints& machine);
std::unique_ptr<Rule> make_random_compute_location_rule();

/// The rules for CPUs, in order.
RuleList default_cpu_rules(const MachineHints& machine);

// What rules ask of blocks.

enum class LoopClass : uint8_t { kNone, kSpatial, kReduce, kMixed };

struct BlockFacts {
  s_tir::Block block;
  std::vector<s_tir::Ref<s_tir::For>> loops; ///< outside in, below the enclosing block
  std::vector<int64_t> extents;              ///< 0 when not constant
  std::vector<s_tir::Expr> bindings;         ///< values of the block's axes
  std::vector<LoopClass> classes;            ///< which axes a loop is bound to
  /// Each axis is bound to a loop of its own, in order.
  bool trivially_bound = false;
  bool has_reduction = false; ///< a reduce axis
  bool has_init = false;
  /// The body is one store.
  const s_tir::BufferStore* store = nullptr;
  int64_t spatial_extent = 1;
  int64_t reduce_extent = 1;
};
BlockFacts block_facts(const s_tir::Schedule& schedule, s_tir::BlockRv block);

/// Annotation keys that rules leave for later rules and post-processing.
inline constexpr const char* kTilingStructure = "meta_schedule.tiling_structure";
inline constexpr const char* kParallelJobs = "meta_schedule.parallel";
inline constexpr const char* kVectorizeExtent = "meta_schedule.vectorize";
inline constexpr const char* kUnrollExplicit = "meta_schedule.unroll_explicit";
/// On a block that a rule has scheduled in full: others leave it alone.
inline constexpr const char* kScheduled = "temper.scheduled";
/// On a block whose whole loop nest a rule has scheduled, unrolling included.
inline constexpr const char* kRegisterTile = "temper.register_tile";

} // namespace temper::tuner
