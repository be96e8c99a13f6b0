/// What a script's expressions evaluate to: Python's compile-time values, IR expressions, buffers,
/// and what the T language hands around (types, loops, contexts).
#pragma once

#include "ir/module.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/trace.h"
#include "ir/script/syntax.h"
#include "ir/tir/tile.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace temper::script {

using namespace temper::ir; // NOLINT: scripts speak of everything in the IR

class Evaluator;
class Environment;
struct ScheduleValue; ///< schedule_language.h
struct Value;
struct CallArguments;

/// A value that could not be computed; its error is reported, whoever uses it stays silent.
struct Poison {};
struct None {};
struct Text {
  std::shared_ptr<const std::string> text;
};
/// A tuple or a list.
struct Sequence {
  std::shared_ptr<std::vector<Value>> items;
  bool is_tuple = false;
};
struct Dict {
  std::shared_ptr<std::vector<std::pair<Value, Value>>> items;
};
/// A mutable scalar: a local buffer of one element, read by its name alone.
struct ScalarVar {
  Buffer buffer;
};
/// One index of a buffer access: an expression, or begin:end.
struct IndexOrRange {
  Expr index;
  Expr end; ///< null for a plain index
};
/// A[i, 0:4]: an access with at least one range.
struct Region {
  Buffer buffer;
  std::shared_ptr<const std::vector<IndexOrRange>> indices;
};
/// T.float32 and its like: a type, a constructor of constants, a cast.
struct TypeName {
  DataType dtype;
};
using BuiltinFunction = Value (*)(Evaluator&, CallArguments&);
/// A function of the language; `self` is there for methods.
struct Builtin {
  const char* name = "";
  BuiltinFunction function = nullptr;
  std::shared_ptr<const Value> self;
  const char* data = nullptr; ///< what a shared function needs to know: the operation's name
};
/// A def or lambda with the environment it was written in. Owned by the evaluator.
struct Closure {
  const Statement* def = nullptr;
  const Expression* lambda = nullptr;
  Environment* environment = nullptr;
  /// Values of default parameters, evaluated where the function was defined.
  std::shared_ptr<const std::vector<Value>> defaults;
  bool is_macro = false; ///< @T.macro: its statements stand where it is called
};
struct Namespace {
  enum class Name : uint8_t {
    kT,
    kAxis,
    kI,
    kMath,
    kTemper,
    kTyping,
    kGemmWarpPolicy,
    kTe,
    kTileLang
  } name;
};
/// range(begin, end, step); any of them may be IR expressions.
struct RangeValue {
  std::shared_ptr<const std::vector<Value>> bounds; ///< exactly three
};
/// begin:end:step inside an index.
struct SliceValue {
  std::shared_ptr<const std::vector<Value>> bounds; ///< exactly three, None where left out
};
/// T.Buffer(shape, dtype, ...) as a parameter's type.
struct BufferType {
  std::vector<Value> shape; ///< numbers, expressions, or names of symbolic dimensions
  DataType dtype = DataType::float32();
  std::vector<Value> strides;
  Expr elem_offset;
  std::string scope = "global";
  int64_t alignment = 64;
  IndexMap layout;
};
/// T.let or T.let[T.int32]: the type of an immutable name.
struct LetType {
  std::optional<DataType> dtype;
};
/// TypeVar("m"): a symbolic dimension; each function that mentions it gets its own variable.
struct Symbol {
  std::string name;
  std::optional<DataType> dtype = std::nullopt; ///< nothing: int64, or what the function says
};
/// T.grid(...), T.vectorized(...): what a for loop runs over.
struct LoopSpec {
  tir::ForKind kind = tir::ForKind::kSerial;
  std::vector<Range> ranges;
  Annotations annotations;
  std::string thread;
  bool is_grid = false;
  /// The loop's variable counts rounds from 0 on, and the name it is given is first + step * round.
  int64_t step = 1;
  Expr first = nullptr; ///< where step is not 1
  /// T.Persistent: how many blocks share the tiles of `ranges`, and which of them this is.
  Expr persistent_blocks;
  Expr persistent_block;
  int64_t persistent_group = 1; ///< neighbours along the last axis that come one after the other
};
/// T.Kernel(8, 8, threads=128).
struct KernelSpec {
  std::vector<Expr> grid;
  std::vector<Expr> threads;
  Annotations annotations;
};
/// T.sblock("name"), T.init(), T.Kernel(...), T.ws(0): what a with statement opens.
struct ContextSpec {
  enum class Kind : uint8_t { kBlock, kInit, kKernel, kRole } kind = Kind::kBlock;
  std::string name;
  Expr condition;                           ///< of kRole: the threads that take it
  std::shared_ptr<const KernelSpec> kernel; ///< of kKernel
  s_tir::Block block;                       ///< what sch.get() gives for a block
};
/// T.prim_func, T.prim_func(s_tir=True), T.macro, I.ir_module; kNothing: tilelang.jit and
/// tilelang.autotune, which leave a function what it is.
struct Decorator {
  enum class Kind : uint8_t { kPrimFunc, kModule, kMacro, kNothing } kind = Kind::kPrimFunc;
  std::optional<bool> s_tir;
  bool is_private = false;
};
/// T.tune([32, 64, 128]).
struct Tunable {
  std::shared_ptr<const std::vector<Value>> choices;
};

struct Value {
  using Data =
      std::variant<Poison, None, bool, Int, double, Text, Sequence, Dict, Expr, Buffer, ScalarVar,
                   Region, TypeName, Builtin, const Closure*, Namespace, RangeValue, SliceValue,
                   std::shared_ptr<const BufferType>, LetType, Symbol,
                   std::shared_ptr<const LoopSpec>, ContextSpec, Decorator, Tunable, PrimFunc,
                   IRModule, std::shared_ptr<ScheduleValue>, s_tir::Rv, s_tir::IterVar>;
  Data data;
  /// The value was made for the name it is assigned to (an axis, an allocation, T.meta_var): the
  /// name means the value itself, no mutable scalar is made for it.
  bool is_definition = false;

  Value() = default;
  template <typename T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Value> &&
           std::is_constructible_v<Data, std::in_place_type_t<std::remove_cvref_t<T>>, T>)
      Value(T&& value) // NOLINT: implicit
      : data(std::in_place_type<std::remove_cvref_t<T>>, std::forward<T>(value)) {}

  template <typename T> const T* as() const { return std::get_if<T>(&data); }
  template <typename T> bool is() const { return std::holds_alternative<T>(data); }
  bool is_poison() const { return is<Poison>(); }
  /// An IR value: an expression or a mutable scalar.
  bool is_ir() const { return is<Expr>() || is<ScalarVar>(); }
  bool is_number() const { return is<bool>() || is<Int>() || is<double>(); }
  const std::string* text() const {
    const Text* value = as<Text>();
    return value != nullptr ? value->text.get() : nullptr;
  }
  const std::vector<Value>* sequence() const {
    const Sequence* value = as<Sequence>();
    return value != nullptr ? value->items.get() : nullptr;
  }
  Value defining() && {
    is_definition = true;
    return std::move(*this);
  }
};

inline Value make_text(std::string text) {
  return Text{std::make_shared<const std::string>(std::move(text))};
}
inline Value make_sequence(std::vector<Value> items, bool is_tuple) {
  return Sequence{std::make_shared<std::vector<Value>>(std::move(items)), is_tuple};
}

/// The most items or characters a value may have.
inline constexpr size_t kMaxSequence = 1'000'000;

/// Of a number, True or False; nothing of anything else. as_integer: of no float.
std::optional<double> as_double(const Value& value);
std::optional<Int> as_integer(const Value& value);

/// "an integer", "the buffer A", "a float32 expression": for messages.
std::string describe(const Value& value);
/// As Python's repr() shows it.
std::string repr(const Value& value);
std::string decimal(Int value);
/// True when `container` (the items of a list or dict) is in `value`: what holds itself would never
/// be freed.
bool contains(const Value& value, const void* container);

/// The arguments of a call, and where each stands in the text.
struct CallArguments {
  Position position; ///< of the whole call
  const Builtin* callee = nullptr;
  std::vector<Value> positional;
  std::vector<Position> positions;
  std::vector<std::pair<std::string, Value>> keywords;
  std::vector<Position> keyword_positions;
};

class Environment {
public:
  explicit Environment(Environment* parent, bool is_function = false)
      : parent_(parent), is_function_(is_function) {}
  Environment* parent() const { return parent_; }
  bool is_function() const { return is_function_; }

  Value* find_here(const std::string& name) {
    for (auto& [key, value] : values_)
      if (key == name)
        return &value;
    return nullptr;
  }
  Value* find(const std::string& name) {
    for (Environment* env = this; env != nullptr; env = env->parent_)
      if (Value* value = env->find_here(name))
        return value;
    return nullptr;
  }
  void set(const std::string& name, Value value) {
    if (Value* known = find_here(name))
      *known = std::move(value);
    else
      values_.emplace_back(name, std::move(value));
  }
  const std::vector<std::pair<std::string, Value>>& values() const { return values_; }

private:
  Environment* parent_;
  bool is_function_;
  std::vector<std::pair<std::string, Value>> values_; ///< few: searched in order
};

} // namespace temper::script
