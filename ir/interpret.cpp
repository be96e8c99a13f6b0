// Statements of tir, and running a function. Loops check the flow of their body; errors inside
// expressions are noted in the frame and end the run at the next statement.
#include "ir/interpret.h"
#include "ir/narrow.h"

#include "ir/detail/interpreter.h"
#include "ir/tir/atomic.h"
#include "ir/tir/lower_tiles.h"
#include "ir/tir/printing.h"
#include "ir/tir/warp_fragments.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <type_traits>

namespace temper::ir {
namespace interpreter {

Frame::Frame(size_t var_slots, size_t buffer_count, const InterpretOptions& run_options)
    : vars(var_slots), buffers(buffer_count), options(run_options), random(run_options.seed),
      scratch_(size_t{1} << 14) {}

void Frame::fail(const Node* where, std::string message) {
  if (failed_)
    return;
  failed_ = true;
  error_ = Error{ErrorCode::kFailed, place_of(where) + message};
}

void Frame::too_many_steps(const Node* where) {
  fail(where, "the program did not end within " + std::to_string(options.max_steps) + " steps");
}

Slot* Frame::push(int lanes) {
  TEMPER_CHECK(used_ + static_cast<size_t>(lanes) <= scratch_.size(),
               "vectors nest deeper than the interpreter's scratch memory");
  Slot* slots = scratch_.data() + used_;
  used_ += static_cast<size_t>(lanes);
  return slots;
}

std::string place_of(const Node* node) {
  if (node == nullptr || node->span.line == 0)
    return {};
  return "line " + std::to_string(node->span.line) + ", column " +
         std::to_string(node->span.column) + ": ";
}

int Compiler::define(const Var& var) {
  const auto [place, added] = vars_.try_emplace(var.get(), static_cast<int>(var_slots_));
  if (added)
    var_slots_ += static_cast<size_t>(var->dtype.lanes);
  return place->second;
}

int Compiler::define(const Buffer& buffer) {
  return buffers_.try_emplace(buffer.get(), static_cast<int>(buffers_.size())).first->second;
}

int Compiler::slot_of(const VarNode* var, const Node* where) {
  const auto found = vars_.find(var);
  if (found != vars_.end())
    return found->second;
  fail(where, "variable '" + var->name + "' has no value here", ErrorCode::kFailed);
  return -1;
}

int Compiler::slot_of(const Buffer& buffer, const Node* where) {
  const auto found = buffers_.find(buffer.get());
  if (found != buffers_.end())
    return found->second;
  fail(where, "buffer '" + buffer->name + "' does not exist here", ErrorCode::kFailed);
  return -1;
}

void Compiler::fail(const Node* where, std::string message, ErrorCode code) {
  if (failed_)
    return;
  failed_ = true;
  error_ = Error{code, place_of(where) + message};
}

namespace {

using namespace tir; // NOLINT: the statements

class BindAction final : public Action {
public:
  BindAction(int slot, CodePtr value)
      : slot_(static_cast<size_t>(slot)), value_(std::move(value)) {}
  Flow run(Frame& frame) override {
    value_->eval(frame, &frame.vars[slot_]);
    return frame.failed() ? Flow::kError : Flow::kNext;
  }

private:
  size_t slot_;
  CodePtr value_;
};

class AllocAction final : public Action {
public:
  AllocAction(int slot, DataType dtype, std::vector<CodePtr> shape)
      : slot_(static_cast<size_t>(slot)), dtype_(dtype), shape_(std::move(shape)) {}
  Flow run(Frame& frame) override {
    BufferState& state = frame.buffers[slot_];
    state.shape.resize(shape_.size());
    for (size_t d = 0; d < shape_.size(); ++d)
      state.shape[d] = shape_[d]->scalar(frame).i;
    state.allocate(dtype_);
    return frame.failed() ? Flow::kError : Flow::kNext;
  }

private:
  size_t slot_;
  DataType dtype_;
  std::vector<CodePtr> shape_;
};

/// An action of statements that the program does not have: errors point into them.
class OwningAction final : public Action {
public:
  OwningAction(Stmt statements, ActionPtr action)
      : statements_(std::move(statements)), action_(std::move(action)) {}
  Flow run(Frame& frame) override { return action_->run(frame); }

private:
  Stmt statements_;
  ActionPtr action_;
};

class EvaluateAction final : public Action {
public:
  EvaluateAction(CodePtr value, const Node* node) : value_(std::move(value)), node_(node) {}
  Flow run(Frame& frame) override {
    if (!frame.step(node_))
      return Flow::kError;
    Scratch lanes(frame, value_->count());
    value_->eval(frame, lanes.get());
    return frame.failed() ? Flow::kError : Flow::kNext;
  }

private:
  CodePtr value_;
  const Node* node_;
};

class PrintAction final : public Action {
public:
  PrintAction(const Call& call, std::vector<CodePtr> values, const Node* node)
      : call_(&call), values_(std::move(values)), node_(node) {}
  Flow run(Frame& frame) override {
    if (!frame.step(node_))
      return Flow::kError;
    const std::string line =
        tir::print_line(*call_, [&](size_t i) -> std::variant<int64_t, double> {
          const Slot value = values_[i]->scalar(frame);
          if (call_->args[i + 1]->dtype.is_floating())
            return value.d;
          return value.i;
        });
    if (frame.failed())
      return Flow::kError;
    tir::write_line(frame.options.print, line);
    return Flow::kNext;
  }

private:
  const Call* call_;
  std::vector<CodePtr> values_;
  const Node* node_;
};

class Sequence final : public Action {
public:
  explicit Sequence(std::vector<ActionPtr> actions) : actions_(std::move(actions)) {}
  Flow run(Frame& frame) override {
    for (const ActionPtr& action : actions_)
      if (const Flow flow = action->run(frame); flow != Flow::kNext)
        return flow;
    return Flow::kNext;
  }

private:
  std::vector<ActionPtr> actions_;
};

class IfAction final : public Action {
public:
  IfAction(CodePtr condition, ActionPtr then_case, ActionPtr else_case)
      : condition_(std::move(condition)), then_(std::move(then_case)), else_(std::move(else_case)) {
  }
  Flow run(Frame& frame) override {
    const bool holds = condition_->scalar(frame).i != 0;
    if (frame.failed())
      return Flow::kError;
    if (holds)
      return then_->run(frame);
    return else_ ? else_->run(frame) : Flow::kNext;
  }

private:
  CodePtr condition_;
  ActionPtr then_;
  ActionPtr else_;
};

class ForAction final : public Action {
public:
  ForAction(int slot, bool independent, CodePtr min, CodePtr extent, ActionPtr body,
            const Node* node)
      : slot_(static_cast<size_t>(slot)), independent_(independent), min_(std::move(min)),
        extent_(std::move(extent)), body_(std::move(body)), node_(node) {}

  Flow run(Frame& frame) override {
    const int64_t min = min_->scalar(frame).i;
    const int64_t extent = extent_->scalar(frame).i;
    if (frame.failed())
      return Flow::kError;
    const ParallelOrder order =
        independent_ ? frame.options.parallel_order : ParallelOrder::kForward;
    std::vector<int64_t> shuffled;
    if (order == ParallelOrder::kRandom) {
      shuffled.resize(static_cast<size_t>(std::max<int64_t>(extent, 0)));
      std::iota(shuffled.begin(), shuffled.end(), 0);
      for (size_t i = shuffled.size(); i > 1; --i)
        std::swap(shuffled[i - 1],
                  shuffled[static_cast<size_t>(frame.random.below(static_cast<int64_t>(i)))]);
    }
    for (int64_t i = 0; i < extent; ++i) {
      if (!frame.step(node_))
        return Flow::kError;
      const int64_t index = order == ParallelOrder::kForward   ? i
                            : order == ParallelOrder::kReverse ? extent - 1 - i
                                                               : shuffled[static_cast<size_t>(i)];
      frame.vars[slot_].i = min + index;
      const Flow flow = body_->run(frame);
      if (flow == Flow::kNext || flow == Flow::kContinue)
        continue;
      if (flow == Flow::kBreak)
        break;
      return flow;
    }
    return Flow::kNext;
  }

private:
  size_t slot_;
  bool independent_;
  CodePtr min_;
  CodePtr extent_;
  ActionPtr body_;
  const Node* node_;
};

class WhileAction final : public Action {
public:
  WhileAction(CodePtr condition, ActionPtr body, const Node* node)
      : condition_(std::move(condition)), body_(std::move(body)), node_(node) {}
  Flow run(Frame& frame) override {
    while (condition_->scalar(frame).i != 0 && !frame.failed()) {
      if (!frame.step(node_))
        return Flow::kError;
      const Flow flow = body_->run(frame);
      if (flow == Flow::kBreak)
        break;
      if (flow != Flow::kNext && flow != Flow::kContinue)
        return flow;
    }
    return frame.failed() ? Flow::kError : Flow::kNext;
  }

private:
  CodePtr condition_;
  ActionPtr body_;
  const Node* node_;
};

class Jump final : public Action {
public:
  explicit Jump(Flow flow) : flow_(flow) {}
  Flow run(Frame&) override { return flow_; }

private:
  Flow flow_;
};

class AssertAction final : public Action {
public:
  AssertAction(CodePtr condition, const tir::Assert* node)
      : condition_(std::move(condition)), node_(node) {}
  Flow run(Frame& frame) override {
    if (condition_->scalar(frame).i == 0 && !frame.failed())
      frame.fail(node_, "assertion failed: " + node_->message);
    return frame.failed() ? Flow::kError : Flow::kNext;
  }

private:
  CodePtr condition_;
  const tir::Assert* node_;
};

std::unordered_map<Kind, StmtCompiler>& layers() {
  static std::unordered_map<Kind, StmtCompiler> table;
  return table;
}

} // namespace

void register_interpreter(Kind kind, StmtCompiler compiler) { layers()[kind] = compiler; }

ActionPtr compile_store(Compiler& compiler, const tir::BufferStore& store); // interpret_memory.cpp

ActionPtr Compiler::compile(const Stmt& stmt) {
  if (const auto layer = layers().find(stmt->kind()); layer != layers().end())
    return layer->second(*this, stmt);
  if (stmt->kind() >= kSTirKinds) {
    fail(stmt.get(), std::string("a statement of kind ") + stmt->info().name +
                         " cannot be run: its layer is not registered");
    return std::make_unique<Jump>(Flow::kError);
  }
  return tir::visit(
      stmt,
      [&](const Bind& s) -> ActionPtr {
        CodePtr value = compile(s.value);
        return std::make_unique<BindAction>(define(s.var), std::move(value));
      },
      [&](const AllocBuffer& s) -> ActionPtr {
        std::vector<CodePtr> shape = compile(s.buffer->shape);
        return std::make_unique<AllocAction>(define(s.buffer), s.buffer->dtype, std::move(shape));
      },
      [&](const BufferStore& s) -> ActionPtr {
        ActionPtr action = compile_store(*this, s);
        return action ? std::move(action) : std::make_unique<Jump>(Flow::kError);
      },
      [&](const Evaluate& s) -> ActionPtr {
        if (const auto* call = s.value.as<Call>();
            call != nullptr && (call->op == "amx_multiply_add" ||
                                (tir::is_warp_operation(*call) && tir::names_tiles(*call)))) {
          Stmt loops =
              tir::is_warp_operation(*call) ? tir::warp_as_loops(*call) : amx_as_loops(*call);
          ActionPtr action = compile(loops);
          return std::make_unique<OwningAction>(std::move(loops), std::move(action));
        }
        if (const Call* atomic = tir::as_atomic(stmt)) { // iterations run one by one here
          Stmt store = tir::plain_atomic(*atomic);
          store->span = stmt->span;
          ActionPtr action = compile(store);
          return std::make_unique<OwningAction>(std::move(store), std::move(action));
        }
        if (const Call* print = tir::as_print(stmt)) {
          std::vector<CodePtr> values;
          for (size_t i = 1; i < print->args.size(); ++i)
            values.push_back(compile(print->args[i]));
          return std::make_unique<PrintAction>(*print, std::move(values), &s);
        }
        return std::make_unique<EvaluateAction>(compile(s.value), &s);
      },
      [&](const SeqStmt& s) -> ActionPtr {
        std::vector<ActionPtr> actions;
        for (const Stmt& child : s.statements)
          actions.push_back(compile(child));
        return std::make_unique<Sequence>(std::move(actions));
      },
      [&](const IfThenElse& s) -> ActionPtr {
        CodePtr condition = compile(s.condition);
        ActionPtr then_case = compile(s.then_case);
        return std::make_unique<IfAction>(std::move(condition), std::move(then_case),
                                          s.else_case ? compile(s.else_case) : nullptr);
      },
      [&](const For& s) -> ActionPtr {
        CodePtr min = compile(s.min);
        CodePtr extent = compile(s.extent);
        const int slot = define(s.loop_var);
        const bool independent = s.kind == ForKind::kParallel || s.kind == ForKind::kVectorized ||
                                 s.kind == ForKind::kTileParallel;
        return std::make_unique<ForAction>(slot, independent, std::move(min), std::move(extent),
                                           compile(s.body), &s);
      },
      [&](const While& s) -> ActionPtr {
        CodePtr condition = compile(s.condition);
        return std::make_unique<WhileAction>(std::move(condition), compile(s.body), &s);
      },
      [&](const Break&) -> ActionPtr { return std::make_unique<Jump>(Flow::kBreak); },
      [&](const Continue&) -> ActionPtr { return std::make_unique<Jump>(Flow::kContinue); },
      [&](const Return&) -> ActionPtr { return std::make_unique<Jump>(Flow::kReturn); },
      [&](const Assert& s) -> ActionPtr {
        return std::make_unique<AssertAction>(compile(s.condition), &s);
      });
}

} // namespace interpreter

namespace {

using namespace interpreter; // NOLINT: this is its entry

/// The scalar parameters and symbolic dimensions, then the buffers they describe.
Result<void> bind_arguments(const PrimFunc& function, Compiler& compiler, Frame& frame,
                            std::span<const InterpretArgument> arguments) {
  const auto parameter = [&](size_t i) {
    return "parameter " + std::to_string(i) + " ('" + function->params[i].name() + "')";
  };
  std::unordered_map<const VarNode*, bool> known;
  const auto set = [&](const VarNode* var, Slot value) {
    frame.vars[static_cast<size_t>(compiler.slot_of(var, nullptr))] = value;
    known[var] = true;
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Param& param = function->params[i];
    if (param.buffer) {
      if (!std::holds_alternative<ArrayView>(arguments[i]))
        return Error{ErrorCode::kInvalidArgument,
                     parameter(i) + " is a buffer; give an array for it"};
      continue;
    }
    const DataType dtype = param.var->dtype;
    if (const auto* integer = std::get_if<int64_t>(&arguments[i]); integer && !dtype.is_floating())
      set(param.var.get(), interpreter::slot_of(wrap_integer(dtype, *integer)));
    else if (const auto* real = std::get_if<double>(&arguments[i]); real && dtype.is_floating())
      set(param.var.get(), interpreter::slot_of(*real));
    else
      return Error{ErrorCode::kInvalidArgument,
                   parameter(i) + " is a " + to_string(dtype) + "; give a number of that kind"};
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Buffer& buffer = function->params[i].buffer;
    if (!buffer)
      continue;
    const auto& view = std::get<ArrayView>(arguments[i]);
    for (size_t d = 0; d < view.shape.size() && d < buffer->shape.size(); ++d)
      if (const auto* dim = buffer->shape[d].as<VarNode>(); dim && !known[dim])
        set(dim, interpreter::slot_of(view.shape[d]));
  }
  for (const Var& var : function->shape_vars)
    if (!known[var.get()])
      return Error{ErrorCode::kInvalidArgument,
                   "nothing gives a value to the symbolic dimension '" + var->name +
                       "'; give the arrays' shapes"};
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Buffer& buffer = function->params[i].buffer;
    if (!buffer)
      continue;
    const auto& view = std::get<ArrayView>(arguments[i]);
    if (view.dtype != buffer->dtype.element() && view.dtype != buffer->dtype &&
        !(view.dtype == DataType::uint(8) && buffer->dtype.is_bool()))
      return Error{ErrorCode::kInvalidArgument, parameter(i) + " has type " +
                                                    to_string(buffer->dtype) + ", the array " +
                                                    to_string(view.dtype)};
    if (buffer->layout)
      return Error{ErrorCode::kUnsupported, parameter(i) + " has a layout, which the interpreter "
                                                           "does not apply to host arrays"};
    BufferState& state = frame.buffers[static_cast<size_t>(compiler.slot_of(buffer, nullptr))];
    const auto value_of = [&](const Expr& expr) { return compiler.compile(expr)->scalar(frame).i; };
    int64_t extent_of_all = 1;
    int64_t last = 0;
    state.shape.clear();
    state.strides.assign(buffer->shape.size(), 0);
    for (const Expr& extent : buffer->shape)
      state.shape.push_back(value_of(extent));
    if (!view.shape.empty() && view.shape != state.shape)
      return Error{ErrorCode::kInvalidArgument,
                   parameter(i) + " and the array given for it have different shapes"};
    for (size_t d = buffer->shape.size(); d-- > 0;) {
      state.strides[d] = buffer->strides.empty() ? extent_of_all : value_of(buffer->strides[d]);
      extent_of_all *= state.shape[d];
      last += (state.shape[d] - 1) * state.strides[d];
    }
    state.offset = buffer->elem_offset ? value_of(buffer->elem_offset) : 0;
    state.count = view.count;
    state.data = static_cast<std::byte*>(view.data);
    if (extent_of_all > 0 && (state.offset < 0 || state.offset + last >= view.count))
      return Error{ErrorCode::kInvalidArgument,
                   parameter(i) + " needs " + std::to_string(state.offset + last + 1) +
                       " elements, the array has " + std::to_string(view.count)};
    if (!view.initialised) {
      state.stamp_memory.assign(static_cast<size_t>(view.count), 0);
      state.stamps = state.stamp_memory.data();
      state.generation = 1;
    }
  }
  return {};
}

} // namespace

Result<void> interpret(const PrimFunc& function, std::span<const InterpretArgument> arguments,
                       const InterpretOptions& options) {
  if (tir::is_tile_program(function)) {
    TEMPER_TRY(plain, tir::tile_meaning(function));
    return interpret(plain, arguments, options);
  }
  if (const PrimFunc ordinary = lower_narrow_types(function); ordinary != function) {
    TEMPER_TRY_VOID(check_narrow_types(function));
    return interpret(ordinary, arguments, options);
  }
  if (arguments.size() != function->params.size())
    return Error{ErrorCode::kInvalidArgument,
                 "function '" + function->name + "' has " +
                     std::to_string(function->params.size()) + " parameters, " +
                     std::to_string(arguments.size()) + " arguments were given"};
  Compiler compiler;
  for (const Var& var : function->shape_vars)
    compiler.define(var);
  for (const Param& param : function->params) {
    if (param.buffer)
      compiler.define(param.buffer);
    else
      compiler.define(param.var);
  }
  const ActionPtr body = compiler.compile(function->body);
  if (compiler.failed())
    return compiler.take_error();
  Frame frame(compiler.var_slots(), compiler.buffer_count(), options);
  TEMPER_TRY_VOID(bind_arguments(function, compiler, frame, arguments));
  if (compiler.failed())
    return compiler.take_error();
  body->run(frame);
  if (frame.failed())
    return frame.take_error();
  return {};
}

Result<void> interpret(const IRModule& module, std::string_view name,
                       std::span<const InterpretArgument> arguments,
                       const InterpretOptions& options) {
  PrimFunc function;
  if (name.empty() && module->functions.size() == 1)
    function = module->functions[0].function.as_ref<PrimFuncNode>();
  else
    function = module->find_prim_func(name);
  if (!function)
    return Error{ErrorCode::kNotFound,
                 "the module has no function '" + std::string(name) + "' that can be run"};
  return interpret(function, arguments, options);
}

} // namespace temper::ir
