/// Inside the interpreter: code objects, the state they run on, and the compiler that makes them
/// from nodes. Each layer adds the statements it defines (register_interpreter); private to ir/.
#pragma once

#include "ir/interpret.h"
#include "ir/support/random.h"
#include "ir/tir/stmt.h"

#include <memory>
#include <string>
#include <unordered_map>

namespace temper::ir::interpreter {

/// One lane: integers sign-extended (uint64 by its bits), floats as double.
union Slot {
  int64_t i;
  double d;
};
inline Slot slot_of(int64_t value) { return {.i = value}; }
inline Slot slot_of(double value) { return {.d = value}; }

/// Memory of a buffer that is alive. Several buffers may view one memory (match_buffer).
struct BufferState {
  std::byte* data = nullptr;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  int64_t count = 0; ///< elements of the whole memory
  /// An element was written when its stamp is the generation; null: everything counts as written.
  uint32_t* stamps = nullptr;
  uint32_t generation = 0;

  // Owned by buffers that the program allocates.
  std::vector<std::byte> memory;
  std::vector<uint32_t> stamp_memory;

  /// Fresh, unwritten memory for the shape.
  void allocate(DataType dtype);
};

enum class Flow : uint8_t { kNext, kBreak, kContinue, kReturn, kError };

/// What a run works on. Errors are noted once and end the run at the next statement; until then
/// values are zero.
class Frame {
public:
  Frame(size_t var_slots, size_t buffers, const InterpretOptions& options);

  std::vector<Slot> vars; ///< a vector's lanes lie one behind the other
  std::vector<BufferState> buffers;
  const InterpretOptions& options;
  Random random;

  bool failed() const { return failed_; }
  /// Keeps the first error; `where` gives its line.
  void fail(const Node* where, std::string message);
  Error take_error() { return std::move(error_); }
  /// False once the step limit is passed (and the error is noted).
  bool step(const Node* where) {
    if (++steps_ <= options.max_steps)
      return true;
    too_many_steps(where);
    return false;
  }

  /// `lanes` slots until the Scratch ends.
  Slot* push(int lanes);
  void pop(int lanes) { used_ -= static_cast<size_t>(lanes); }

private:
  void too_many_steps(const Node* where);

  std::vector<Slot> scratch_;
  size_t used_ = 0;
  int64_t steps_ = 0;
  bool failed_ = false;
  Error error_;
};

class Scratch {
public:
  Scratch(Frame& frame, int lanes) : frame_(frame), lanes_(lanes), slots_(frame.push(lanes)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { frame_.pop(lanes_); }
  Slot* get() { return slots_; }
  Slot& operator[](int lane) { return slots_[lane]; }

private:
  Frame& frame_;
  int lanes_;
  Slot* slots_;
};

/// An expression. A scalar implements scalar(), a vector lanes(); eval() serves both.
class Code {
public:
  explicit Code(int count) : count_(count) {}
  virtual ~Code() = default;
  int count() const { return count_; }
  virtual Slot scalar(Frame& frame) = 0;
  virtual void lanes(Frame& frame, Slot* out) = 0;
  void eval(Frame& frame, Slot* out) {
    if (count_ == 1)
      out[0] = scalar(frame);
    else
      lanes(frame, out);
  }

private:
  int count_;
};
using CodePtr = std::unique_ptr<Code>;

/// One lane as it lies in memory, and back.
uint64_t bits_of(DataType dtype, Slot value);
Slot from_bits(DataType dtype, uint64_t bits);
/// The same bytes as lanes of another width.
CodePtr reinterpret_lanes(DataType from, DataType to, CodePtr value);
class Compiler;
/// T.call_llvm_pure_intrin: the instructions of interpret_llvm.cpp's list.
CodePtr compile_llvm_call(Compiler& compiler, const Call& call);

/// What T.amx_multiply_add does, as loops.
Stmt amx_as_loops(const Call& call);

/// A statement.
class Action {
public:
  virtual ~Action() = default;
  virtual Flow run(Frame& frame) = 0;
};
using ActionPtr = std::unique_ptr<Action>;

/// Compiles loads in place of the interpreter's own (the emulator's memory is another one).
class LoadCompiler {
public:
  virtual CodePtr compile_load(Compiler& compiler, const BufferLoad& load) = 0;

protected:
  ~LoadCompiler() = default;
};

class Compiler {
public:
  LoadCompiler* load_compiler = nullptr; ///< null: the interpreter's own loads

  CodePtr compile(const Expr& expr);
  std::vector<CodePtr> compile(std::span<const Expr> exprs);
  ActionPtr compile(const Stmt& stmt);

  /// New slots for a variable (the first of one per lane), or one for a buffer, defined here.
  int define(const Var& var);
  int define(const Buffer& buffer);
  /// -1, and an error, when it is not defined.
  int slot_of(const VarNode* var, const Node* where);
  int slot_of(const Buffer& buffer, const Node* where);
  bool is_defined(const VarNode* var) const { return vars_.contains(var); }

  /// Keeps the first error: what cannot be run.
  void fail(const Node* where, std::string message, ErrorCode code = ErrorCode::kUnsupported);
  bool failed() const { return failed_; }
  Error take_error() { return std::move(error_); }
  size_t var_slots() const { return var_slots_; }
  size_t buffer_count() const { return buffers_.size(); }

private:
  std::unordered_map<const VarNode*, int> vars_;
  size_t var_slots_ = 0;
  std::unordered_map<const BufferNode*, int> buffers_;
  bool failed_ = false;
  Error error_;
};

/// "line 3, column 5: " from the node's span; empty when it was made by code.
std::string place_of(const Node* node);

/// A layer's compiler of one statement kind.
using StmtCompiler = ActionPtr (*)(Compiler& compiler, const Stmt& stmt);
void register_interpreter(Kind kind, StmtCompiler compiler);

} // namespace temper::ir::interpreter
