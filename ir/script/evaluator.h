/// Evaluates compile-time Python: what stands outside kernels (generator functions, workload
/// descriptions), and every expression inside them. Where an operand is an IR expression the result
/// is one, with TVM's rules for literals and mixed types.
///
/// Errors are reported where they are found and give Poison, which stays silent from there on: one
/// mistake is one message, and the rest of the text is still read.
#pragma once

#include "ir/op.h"
#include "ir/script/value.h"

#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::s_tir::te {
class Graph;
struct Statements;
} // namespace temper::s_tir::te

namespace temper::script {

class FunctionBuilder;

class Evaluator {
public:
  /// More steps (statements and expressions) than this is an endless program.
  static constexpr int64_t kSteps = 1'000'000;
  /// Nested calls and expressions, together.
  static constexpr int kDepth = 1200;

  explicit Evaluator(Diagnostics& diagnostics);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Diagnostics& diagnostics() { return diagnostics_; }
  Value report(Position position, std::string message);

  /// Runs statements as Python does. Prim_funcs and modules that they define are built.
  void run(const Body& body, Environment& environment);
  Environment& globals() { return *globals_; }
  Environment& new_environment(Environment* parent, bool is_function = false);
  /// A prim_func's definition as a function of the IR; null when it has errors.
  PrimFunc build_prim_func(const Statement& def, const Decorator& decorator,
                           Environment& environment);
  /// What calling the script's function makes where it stands for statements of a kernel (a def
  /// like a macro's, a lambda by its one expression); nothing when something was reported.
  std::optional<s_tir::te::Statements>
  build_statements(const Closure& closure, std::vector<Value> arguments, Position position);

  Value evaluate(const Expression& expression);
  Value call(const Value& callee, CallArguments& arguments);
  Value binary(Operator op, const Value& a, const Value& b, Position position);
  /// Calls a def or lambda of the script.
  Value call_closure(const Closure& closure, CallArguments& arguments);
  /// Binds a target (a name or nested tuples of names) in the current environment.
  void assign_name(const Expression& target, const Value& value);
  /// What a `for` runs over at compile time; null (reported unless `silent`) when it cannot.
  std::optional<std::vector<Value>> iterate(const Value& value, Position position);
  /// Truth of a compile-time value; nothing for IR expressions and poison.
  std::optional<bool> truth(const Value& value);

  // Conversions. They report and return null (or nothing) when the value does not fit.

  /// An IR expression; literals take the type `wanted`, or int32 (int64 when too large) and
  /// float32.
  Expr to_expr(const Value& value, Position position,
               std::optional<DataType> wanted = std::nullopt);
  /// An integer expression for an index, a shape or an extent.
  Expr to_index(const Value& value, Position position, bool allow_vector = true);
  Expr to_condition(const Value& value, Position position);
  std::optional<DataType> to_dtype(const Value& value, Position position);
  std::optional<int64_t> to_int64(const Value& value, Position position, const char* what);
  std::optional<std::string> to_string(const Value& value, Position position, const char* what);
  Expr to_annotation(const Value& value, Position position);
  /// The items, each made by `make`; null when one could not be.
  Expr to_list(const std::vector<Value>& items, Position position,
               FunctionRef<Expr(const Value&)> make);
  bool to_annotations(const Value& value, Position position, Annotations& result);
  /// A constant of a scalar or vector type; reports integers that do not fit.
  Expr literal(const Value& number, DataType dtype, Position position);

  /// Two expressions brought to one type, by TVM's rules; false when there is none (reported).
  bool match_types(Expr& a, Expr& b, Position position, const char* what);
  /// The two operands of an operation, literals taking the other's type, brought to one type.
  bool operands(const Value& a, const Value& b, Position position, const char* what, Expr& x,
                Expr& y);
  Value ir_binary(Operator op, const Value& a, const Value& b, Position position);
  /// buffer[indices]: a load, or a Region when there are ranges.
  Value access(const Buffer& buffer, const Value& index, Position position);

  /// The tensors that the program has said by formulas so far.
  s_tir::te::Graph& tensor_expressions();
  /// The builder of the prim_func being read; null outside.
  FunctionBuilder* builder() const { return builder_; }
  Environment* environment() const { return environment_; }
  /// Makes `environment` current until the end of the scope.
  class Scope {
  public:
    Scope(Evaluator& evaluator, Environment& environment)
        : evaluator_(evaluator), saved_(evaluator.environment_) {
      evaluator_.environment_ = &environment;
    }
    ~Scope() { evaluator_.environment_ = saved_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

  private:
    Evaluator& evaluator_;
    Environment* saved_;
  };

  /// Counts a step; false when the program has taken too many or nests too deeply (reported once).
  bool step(Position position);
  bool stopped() const { return stopped_; }
  /// A new program begins: the steps taken so far do not count.
  void restart() {
    steps_ = 0;
    stopped_ = false;
  }

  /// Where T.constraint notes what does not hold; null: it is an error.
  std::vector<std::string>* violations = nullptr;
  /// T.constraint notes here every constraint it comes by; may be null.
  std::vector<std::string>* constraints = nullptr;
  /// Only what stands around kernels is run: prim_funcs are not built.
  bool without_kernels = false;
  /// Names in sight, for suggestions.
  std::vector<std::string> known_names() const;
  const Closure* keep(Closure closure);
  void set_span(const NodeRef& node, Position position) const;
  /// Functions that `run` built at the level of the file, in order.
  const std::vector<std::pair<std::string, PrimFunc>>& functions() const { return functions_; }
  const std::vector<IRModule>& modules() const { return modules_; }
  /// The file imports tilelang: its kernels leave barriers of threads to the compiler.
  bool is_for_tilelang() const { return is_for_tilelang_; }
  /// The body of def statements that are decorated is needed again for each call of a generator.
  int nested_depth() const { return depth_; }
  void enter() { ++depth_; }
  void leave() { --depth_; }

private:
  friend class Scope;
  enum class Flow : uint8_t { kNext, kBreak, kContinue, kReturn };

  Flow execute(const Body& body);
  Flow execute(const Statement& statement);
  Flow for_loop(const Statement& statement);
  void define_function(const Statement& statement);
  void define_class(const Statement& statement);
  void import(const Statement& statement);
  std::optional<Decorator> decorator_of(const Statement& statement, bool& plain);

  Value evaluate_inner(const Expression& expression);
  std::optional<Value> fold_neutral(const Expression& expression, const Value& a, const Value& b);
  Value name(const Expression& expression);
  Value f_string(const Expression& expression);
  Value call_expression(const Expression& expression);
  Value attribute(const Expression& expression);
  Value subscript(const Expression& expression);
  Value unary(const Expression& expression);
  Value compare(const Expression& expression);
  Value logic(const Expression& expression);
  Value if_else(const Expression& expression);
  Value list_comprehension(const Expression& expression);
  Value display(const Expression& expression);
  Value python_binary(Operator op, const Value& a, const Value& b, Position position);
  Value compare_values(Operator op, const Value& a, const Value& b, Position position);

  Diagnostics& diagnostics_;
  uint32_t file_ = 0;
  std::deque<Environment> environments_;
  std::deque<Closure> closures_;
  Environment* globals_ = nullptr;
  Environment* environment_ = nullptr;
  FunctionBuilder* builder_ = nullptr;
  int64_t steps_ = 0;
  int depth_ = 0;
  bool stopped_ = false;
  bool is_for_tilelang_ = false;
  Value returned_;
  std::vector<std::pair<std::string, PrimFunc>> functions_;
  std::vector<IRModule> modules_;
  std::unique_ptr<s_tir::te::Graph> tensor_expressions_;
};

/// Binds a call's arguments to names: by position, then by keyword; reports what does not fit.
class ArgReader {
public:
  ArgReader(Evaluator& evaluator, CallArguments& call, std::initializer_list<const char*> names,
            size_t required);
  ArgReader(Evaluator& evaluator, CallArguments& call, std::span<const char* const> names,
            size_t required);
  bool ok() const { return ok_; }
  /// Null when the argument was not given.
  const Value* get(size_t index) const { return values_[index]; }
  bool has(size_t index) const { return values_[index] != nullptr; }
  const Value& operator[](size_t index) const { return *values_[index]; }
  Position where(size_t index) const { return positions_[index]; }

private:
  std::vector<const Value*> values_;
  std::vector<Position> positions_;
  bool ok_ = true;
};

/// The range of a loop from `first` to before `last` by `step`, which is not 0.
void set_steps(LoopSpec& spec, const Expr& first, const Expr& last, int64_t step);

/// What a lambda or function of the script gives for these arguments.
Value call_with(Evaluator& evaluator, const Closure& closure, std::vector<Value> values,
                Position position);
/// Names of its parameters.
std::vector<std::string> parameters_of(const Closure& closure);

/// The T language (language.cpp): T.name, or nothing when there is no such name.
std::optional<Value> find_in_t(const std::string& name);
std::optional<Value> find_axis(const std::string& name);
const std::vector<std::string>& names_in_t();
/// Tensor expressions (te_language.cpp): te.name.
std::optional<Value> find_in_te(const std::string& name);
std::vector<std::string> names_in_te();
/// What is said of a name that T knows but does not have; nothing for others.
std::optional<std::string> refusal_in_t(const std::string& name);
/// Attributes and methods of buffers and expressions.
std::optional<Value> find_buffer_attribute(Evaluator& evaluator, const Buffer& buffer,
                                           const std::string& name, Position position);
/// Python's own functions (builtins.cpp): len, range, min, ...
std::optional<Value> find_builtin(const std::string& name);
const std::vector<std::string>& builtin_names();
std::optional<Value> find_in_math(const std::string& name);
/// A method of a string, list or dict.
std::optional<Value> find_method(const Value& self, const std::string& name);
/// Methods and attributes of schedules, and of the loops and blocks that sch.get() gives
/// (schedule_language.cpp); nothing for other values.
std::optional<Value> find_in_schedule(Evaluator& evaluator, const Value& self,
                                      const std::string& name, Position position);
/// What an import line binds; nothing for a module or name that is not known.
std::optional<Value> find_import(const std::string& module, const std::string& name);

} // namespace temper::script
