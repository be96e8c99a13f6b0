/// Schedule primitives are entries of one registry, a file each in ir/s_tir/primitives/. An entry
/// has a name, typed parameters, `check`, `apply` and `enumerate`; the trace's JSON, the Python
/// form, the editor's menu, the fuzzer and PRIMITIVES.md come from it.
///
/// A handle names a block or a loop of a module by what survives rebuilding: a block by its
/// BlockId, a loop by its loop variable. Where it stands (its path) is looked up in the module at
/// hand; a primitive that removes or replaces loops or blocks says so in Applied::moved.
#pragma once

#include "ir/module.h"
#include "ir/s_tir/block.h"
#include "ir/support/random.h"
#include "ir/support/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace temper::s_tir {

struct BlockHandle {
  BlockId id = 0;
  bool operator==(const BlockHandle&) const = default;
};
struct LoopHandle {
  Var var;
  bool operator==(const LoopHandle& other) const { return var == other.var; }
};

/// An argument or result of a primitive, with random variables already replaced by what they stand
/// for: nothing (None), a number, text, a handle, or a list.
struct Value {
  using List = std::vector<Value>;
  std::variant<std::monostate, int64_t, double, std::string, BlockHandle, LoopHandle, List> data;

  Value() = default;
  Value(int64_t value) : data(value) {}                    // NOLINT: implicit
  Value(int value) : data(static_cast<int64_t>(value)) {}  // NOLINT: implicit
  Value(bool value) : data(static_cast<int64_t>(value)) {} // NOLINT: implicit
  Value(double value) : data(value) {}                     // NOLINT: implicit
  Value(std::string value) : data(std::move(value)) {}     // NOLINT: implicit
  Value(const char* value) : data(std::string(value)) {}   // NOLINT: implicit
  Value(BlockHandle value) : data(value) {}                // NOLINT: implicit
  Value(LoopHandle value) : data(std::move(value)) {}      // NOLINT: implicit
  Value(List value) : data(std::move(value)) {}            // NOLINT: implicit

  bool is_none() const { return data.index() == 0; }
  const int64_t* as_int() const { return std::get_if<int64_t>(&data); }
  const double* as_double() const { return std::get_if<double>(&data); }
  const std::string* as_string() const { return std::get_if<std::string>(&data); }
  const BlockHandle* as_block() const { return std::get_if<BlockHandle>(&data); }
  const LoopHandle* as_loop() const { return std::get_if<LoopHandle>(&data); }
  const List* as_list() const { return std::get_if<List>(&data); }
  bool operator==(const Value&) const = default;
};

enum class ValueKind : uint8_t {
  kBlock,
  kLoop,
  kBlockOrLoop,
  kInt,       ///< a literal or a sampled value
  kIntOrNone, ///< split's factor: at most one None, to be inferred
  kBool,
  kString,
  kIndexMap, ///< "lambda i, j: (j, i)", as text (detail/index_map.h)
  kAny, ///< annotation values
  kIntList,
  kFloatList,
  kBlockList,
  kLoopList,
};

struct Parameter {
  std::string name; ///< Python's keyword
  ValueKind kind;
  bool variadic =
      false; ///< takes all remaining inputs (split's factors, fuse's and reorder's loops)
  std::optional<Value> default_value;
  /// Legal range of a kInt, both ends included.
  std::optional<std::pair<int64_t, int64_t>> domain;
};

/// What a primitive is called with.
struct Arguments {
  std::vector<Value> inputs; ///< in the order of Primitive::inputs; a variadic one is flattened
  std::vector<Value> attrs;
  Value decision; ///< None: to be sampled
};

/// The module a primitive works on, and where randomness comes from (sampling primitives only).
struct Context {
  IRModule module;
  Random* random = nullptr;
  /// Illegal uses render the IR into the error (costs a print of the module); a search that tries
  /// thousands of candidates turns it off.
  bool render_errors = true;
};

/// The result of a primitive: a new module (the same one when it changed nothing), outputs, what
/// was decided, and which handles mean something else now. Handles that are not listed are still
/// valid.
struct Applied {
  IRModule module;
  std::vector<Value> outputs;
  Value decision;
  struct Move {
    Value from; ///< a handle of the old module
    Value to;   ///< its successor; None when it is gone
  };
  std::vector<Move> moved;
};

struct Primitive {
  std::string name;        ///< as traces spell it: "Split"
  std::string python_name; ///< "split"
  std::vector<Parameter> inputs;
  std::vector<Parameter> attrs;
  /// Kinds of the outputs; `variadic_output` when their number depends on the arguments.
  std::vector<ValueKind> outputs;
  bool variadic_output = false;
  bool has_decision = false;
  bool changes_module = true; ///< false for getters and sampling
  /// The order of Python's keywords where it is not inputs, then attrs; names of parameters.
  std::vector<std::string> python_order;
  /// One paragraph, and an example before -> after as text.
  std::string summary;

  /// Error (kIllegal) with the rule that is broken, the module's text with the loop or block
  /// marked.
  Result<void> (*check)(const Context& context, const Arguments& arguments);
  /// Checks, then transforms.
  Result<Applied> (*apply)(const Context& context, const Arguments& arguments);
  /// Legal uses at a loop or block, a bounded number of representative ones (for the editor and the
  /// fuzzer); empty when there are none. May be null for primitives without a place (get_sblock).
  std::vector<Arguments> (*enumerate)(const Context& context, const Value& handle) = nullptr;
  /// Sampling primitives: the legal decision nearest to `arguments.decision`, which was made for
  /// another shape. None when there is no legal one.
  Value (*adapt)(const Context& context, const Arguments& arguments) = nullptr;
};

/// Null when there is no such primitive. Both spellings are known.
const Primitive* find_primitive(std::string_view name);
std::span<const Primitive* const> all_primitives();
/// Called once by each primitive's file through register_primitives() (primitives/registry.cpp
/// lists them all, so that static linking cannot lose one).
void register_primitive(const Primitive& primitive);

// Where handles stand in a module.

/// A block, the function it is in, and the chain of statements from the function's body (first) to
/// the block's realize (last).
struct BlockPlace {
  PrimFunc function;
  std::vector<Stmt> chain;
  BlockRealize realize;
  const Block& block() const { return realize->block; }
};
/// A loop, its function, and the chain of statements from the function's body to the For (last).
struct LoopPlace {
  PrimFunc function;
  std::vector<Stmt> chain;
  Ref<For> loop;
};
std::optional<BlockPlace> find_block(const IRModule& module, BlockHandle block);
std::optional<LoopPlace> find_loop(const IRModule& module, const LoopHandle& loop);
/// The function with `chain.back()` replaced by `replacement`, its ancestors rebuilt. `replacement`
/// null removes the statement (from its sequence; emptied loops are removed too).
PrimFunc replace_statement(const PrimFunc& function, std::span<const Stmt> chain, Stmt replacement);
/// The same inside a part of a chain: what takes the place of `chain.front()`. Null when nothing is
/// left of it.
Stmt replace_statement(std::span<const Stmt> chain, Stmt replacement);
/// The block whose body contains the last statement of `chain` most closely; null at function
/// level.
Block enclosing_block(std::span<const Stmt> chain);
/// Loops of `chain` outside-in below its innermost enclosing block, the last statement excluded
/// unless it is itself a loop.
std::vector<Ref<For>> loops_of(std::span<const Stmt> chain);

} // namespace temper::s_tir
