/// A trace: the instructions that made a schedule, with random variables (b0, l1, v8) in place of
/// the blocks, loops and sampled values of one module, so that it replays on another.
///
///   b0 = sch.get_sblock(name="C", func_name="main")
///   l1, l2, l3 = sch.get_loops(block=b0)
///   v4, v5 = sch.sample_perfect_tile(loop=l1, n=2, max_innermost_factor=16, decision=[8, 16])
///   l6, l7 = sch.split(loop=l1, factors=[v4, v5], preserve_unit_iters=True, ...)
///
/// Random variables are numbered from 0 over all kinds, in the order in which they come into being.
/// A trace is a value and cheap to copy: instructions are shared. Its JSON is in trace_json.h,
/// replaying it in schedule.h.
#pragma once

#include "ir/s_tir/primitive.h"

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::s_tir {

enum class RvKind : uint8_t { kBlock, kLoop, kExpr };

/// A random variable: what an instruction's output is called.
struct Rv {
  RvKind kind = RvKind::kExpr;
  uint32_t index = 0;
  bool operator==(const Rv&) const = default;
  /// "b0", "l1", "v8".
  std::string name() const;
};
struct BlockRv : Rv {
  BlockRv() : Rv{RvKind::kBlock, 0} {}
  explicit BlockRv(Rv rv) : Rv(rv) { TEMPER_CHECK(kind == RvKind::kBlock, "not a block"); }
};
struct LoopRv : Rv {
  LoopRv() : Rv{RvKind::kLoop, 0} {}
  explicit LoopRv(Rv rv) : Rv(rv) { TEMPER_CHECK(kind == RvKind::kLoop, "not a loop"); }
};
/// A sampled integer.
struct ExprRv : Rv {
  ExprRv() : Rv{RvKind::kExpr, 0} {}
  explicit ExprRv(Rv rv) : Rv(rv) { TEMPER_CHECK(kind == RvKind::kExpr, "not a sampled value"); }
};

/// An input of an instruction: a constant, a random variable, or a list of those.
struct Operand {
  using List = std::vector<Operand>;
  std::variant<std::monostate, int64_t, double, std::string, Rv, List> data;

  Operand() = default;
  Operand(std::nullopt_t) {}                                 // NOLINT: implicit
  Operand(int64_t value) : data(value) {}                    // NOLINT: implicit
  Operand(int value) : data(static_cast<int64_t>(value)) {}  // NOLINT: implicit
  Operand(bool value) : data(static_cast<int64_t>(value)) {} // NOLINT: implicit
  Operand(double value) : data(value) {}                     // NOLINT: implicit
  Operand(std::string value) : data(std::move(value)) {}     // NOLINT: implicit
  Operand(const char* value) : data(std::string(value)) {}   // NOLINT: implicit
  Operand(Rv value) : data(value) {}                         // NOLINT: implicit
  Operand(List value) : data(std::move(value)) {}            // NOLINT: implicit

  bool is_none() const { return data.index() == 0; }
  const Rv* as_rv() const { return std::get_if<Rv>(&data); }
  const List* as_list() const { return std::get_if<List>(&data); }
  bool operator==(const Operand&) const = default;
};

struct Instruction {
  const Primitive* primitive = nullptr;
  /// In the order of Primitive::inputs; a variadic parameter is flattened.
  std::vector<Operand> inputs;
  std::vector<Value> attrs; ///< constants; all of them, defaults filled in
  std::vector<Rv> outputs;
  Value decision; ///< None when the primitive takes none, or when it is still to be sampled
  bool operator==(const Instruction&) const = default;
};

class Trace {
public:
  size_t size() const { return instructions_.size(); }
  bool empty() const { return instructions_.empty(); }
  const Instruction& operator[](size_t index) const { return *instructions_[index]; }
  /// Outputs must be numbered on from rv_count().
  void append(Instruction instruction);
  void append(std::shared_ptr<const Instruction> instruction);
  const std::shared_ptr<const Instruction>& shared(size_t index) const {
    return instructions_[index];
  }
  /// How many random variables there are: the number the next one gets.
  uint32_t rv_count() const { return rv_count_; }

  /// The first `count` instructions.
  Trace prefix(size_t count) const;
  /// The instructions before EnterPostproc (all when there is none): what mutations work on.
  Trace without_postproc() const;
  /// The same trace with one decision replaced; None makes it be sampled anew.
  Trace with_decision(size_t index, Value decision) const;
  /// All decisions dropped.
  Trace without_decisions() const;

  /// Equal for traces that differ in decisions only; the same on every host and in every run.
  uint64_t skeleton_hash() const;
  /// Of the skeleton and the decisions.
  uint64_t hash() const;

  /// Instructions without effect removed: getters and samplings whose outputs nobody uses. Random
  /// variables are renumbered.
  Trace simplified() const;

  /// As TVM prints it: one call per line, without the function around them.
  std::string to_python() const;
  /// Reads what to_python() writes; the lines of `def apply_trace(...)`, comments and indentation
  /// are skipped. An error names the line.
  static Result<Trace> from_python(std::string_view text);

  bool operator==(const Trace& other) const;

private:
  std::vector<std::shared_ptr<const Instruction>> instructions_;
  uint32_t rv_count_ = 0;
};

/// A decision of a trace, and what else it could be, as far as the trace alone tells.
struct DecisionPoint {
  size_t instruction = 0; ///< index in the trace
  enum class Kind : uint8_t { kPerfectTile, kCategorical, kComputeLocation } kind;
  /// kPerfectTile: product of the factors, number of factors, the largest innermost one.
  int64_t extent = 0;
  int64_t parts = 0;
  int64_t max_innermost_factor = 0;
  /// kCategorical: decision is an index below candidates.size().
  std::vector<int64_t> candidates;
  std::vector<double> probabilities;
};
/// The decisions that were made, in order. A compute location's alternatives depend on the module:
/// ask SampleComputeLocation's `enumerate`.
std::vector<DecisionPoint> decision_points(const Trace& trace);

/// "there is no primitive "splt"; did you mean "Split"?"
Error unknown_primitive(std::string_view name);

/// Checks number and kinds of `inputs` and `attrs`, fills in defaults of missing attrs; an error
/// names the primitive and the parameter. Random variables are checked by kind only.
Result<void> complete_arguments(const Primitive& primitive, const std::vector<Operand>& inputs,
                                std::vector<Value>& attrs);

/// The decision has the shape the primitive takes: a list of integers for several outputs, else one
/// integer; None is fine. Whether it is legal depends on the module.
Result<void> check_decision(const Primitive& primitive, const Value& decision);

/// Nested lists deeper than this are refused when traces are read.
inline constexpr int kMaxListDepth = 64;

} // namespace temper::s_tir
