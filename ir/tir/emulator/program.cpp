// Statements to instructions. Shuffles inside of expressions are taken out into variables of their
// own: all lanes must have evaluated their operand first.
#include "ir/tir/emulator/program.h"

#include "ir/op.h"
#include "ir/tir/cluster.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <unordered_set>

namespace temper::tir::emulator {
namespace {

constexpr const char* kThreadTags[] = {"blockIdx.x",  "blockIdx.y",  "blockIdx.z",
                                       "threadIdx.x", "threadIdx.y", "threadIdx.z"};
/// Dynamic vectors in loads: the widest a GPU moves, and then some.
constexpr int kMostIndices = 8;

int axis_of(const std::string& tag) {
  for (int i = 0; i < 6; ++i)
    if (tag == kThreadTags[i])
      return i;
  return -1;
}

class Load final : public interpreter::Code {
public:
  Load(int count, Memory& memory, int buffer, std::vector<CodePtr> indices, CodePtr predicate,
       const Node* node)
      : Code(count), memory_(memory), buffer_(buffer), indices_(std::move(indices)),
        predicate_(std::move(predicate)), node_(node) {}

  Slot scalar(Frame& frame) override {
    if (predicate_ && predicate_->scalar(frame).i == 0)
      return {.i = 0};
    int64_t at[kMostIndices];
    for (size_t d = 0; d < indices_.size(); ++d)
      at[d] = indices_[d]->scalar(frame).i;
    return memory_.load(buffer_, {at, indices_.size()}, node_);
  }

  void lanes(Frame& frame, Slot* out) override {
    const int lanes = count();
    std::vector<std::vector<Slot>> values(indices_.size());
    for (size_t d = 0; d < indices_.size(); ++d) {
      values[d].resize(static_cast<size_t>(indices_[d]->count()));
      indices_[d]->eval(frame, values[d].data());
    }
    std::vector<Slot> mask;
    if (predicate_) {
      mask.resize(static_cast<size_t>(predicate_->count()));
      predicate_->eval(frame, mask.data());
    }
    for (int l = 0; l < lanes; ++l) {
      if (!mask.empty() && mask[mask.size() == 1 ? 0 : static_cast<size_t>(l)].i == 0) {
        out[l] = {.i = 0};
        continue;
      }
      int64_t at[kMostIndices];
      for (size_t d = 0; d < indices_.size(); ++d)
        at[d] = values[d][values[d].size() == 1 ? 0 : static_cast<size_t>(l)].i;
      out[l] = memory_.load(buffer_, {at, indices_.size()}, node_);
    }
  }

private:
  Memory& memory_;
  int buffer_;
  std::vector<CodePtr> indices_;
  CodePtr predicate_;
  const Node* node_;
};

bool is_shuffle(const std::string& op) { return op.starts_with("shfl_"); }

class Builder final : public interpreter::LoadCompiler {
public:
  Builder(Memory& memory, const EmulateOptions& options) : memory_(memory), options_(options) {
    compiler_.load_compiler = this;
  }

  Result<Program> run(const PrimFunc& function) {
    for (const Var& var : function->shape_vars)
      define(var);
    for (const Param& param : function->params) {
      if (param.var)
        define(param.var);
      else
        add_buffer(param.buffer, Where::kGlobal, nullptr).parameter = true;
    }
    note_written(function->body);
    code_ = &program_.host;
    statement(function->body);
    emit(Do::kEnd, nullptr);
    if (compiler_.failed())
      return compiler_.take_error();
    program_.var_slots = compiler_.var_slots();
    for (size_t i = 0; i < program_.buffers.size(); ++i)
      program_.buffers[i].written = written_.contains(program_.buffers[i].buffer.get());
    return std::move(program_);
  }

  CodePtr compile_load(interpreter::Compiler&, const BufferLoad& load) override {
    const int buffer = buffer_of(load.buffer, &load);
    if (buffer >= 0 && !check_access(load.buffer, load.indices, &load))
      compiler_.compile(make_int(DataType::int32(), 0));
    std::vector<CodePtr> indices = compiler_.compile(load.indices);
    return std::make_unique<Load>(
        load.dtype.lanes, memory_, std::max(buffer, 0), std::move(indices),
        load.predicate ? compiler_.compile(load.predicate) : nullptr, &load);
  }

private:
  int define(const Var& var) {
    const int slot = compiler_.define(var);
    program_.var_slot[var.get()] = slot;
    return slot;
  }

  void fail(const Node* where, std::string message, ErrorCode code = ErrorCode::kUnsupported) {
    compiler_.fail(where, std::move(message), code);
  }

  Instruction& emit(Do what, const Node* node) {
    Instruction& instruction = code_->emplace_back();
    instruction.what = what;
    instruction.node = node;
    return instruction;
  }
  size_t here() const { return code_->size(); }

  // Buffers.

  bool check_access(const Buffer& buffer, const std::vector<Expr>& indices, const Node* where) {
    if (indices.size() != buffer->shape.size() || indices.size() > kMostIndices) {
      fail(where,
           fmt::format("{} has {} dimensions and is accessed with {} indices", buffer->name,
                       buffer->shape.size(), indices.size()),
           ErrorCode::kFailed);
      return false;
    }
    return true;
  }

  int buffer_of(const Buffer& buffer, const Node* where) {
    const auto found = program_.buffer_index.find(buffer.get());
    if (found != program_.buffer_index.end())
      return found->second;
    fail(where, "buffer '" + buffer->name + "' does not exist here", ErrorCode::kFailed);
    return -1;
  }

  BufferInfo& add_buffer(const Buffer& buffer, Where where, const Node* node) {
    if (!buffer->dtype.is_scalar() || buffer->dtype.is_handle())
      fail(node, "the emulator has no buffers of " + temper::to_string(buffer->dtype));
    if (buffer->layout)
      fail(node, "the layout of " + buffer->name + " is an index map; lower it first");
    program_.buffer_index[buffer.get()] = static_cast<int>(program_.buffers.size());
    BufferInfo& info = program_.buffers.emplace_back();
    info.buffer = buffer;
    info.where = where;
    info.kernel = kernel_;
    return info;
  }

  void note_written(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written_.insert(store->buffer.get());
      if (const auto* call = node.as<Call>())
        if (const OpInfo* op = find_op(call->op);
            op != nullptr && op->result == OpResult::kStatement)
          for (const Expr& arg : call->args)
            if (const auto* address = arg.as<BufferLoad>())
              written_.insert(address->buffer.get());
      return true;
    });
  }

  void alloc(const AllocBuffer& node) {
    const Buffer& buffer = node.buffer;
    const bool shared = buffer->scope.starts_with("shared");
    const bool local = buffer->scope.starts_with("local");
    if (!shared && !local && buffer->scope != "global") {
      fail(&node, "the emulator knows no memory of scope \"" + buffer->scope + "\"");
      return;
    }
    if (kernel_ < 0) {
      // A scratch buffer between kernels, or a mutable scalar of the host.
      BufferInfo& info = add_buffer(buffer, Where::kGlobal, &node);
      for (const Expr& extent : buffer->shape)
        info.shape_codes.push_back(compiler_.compile(extent));
      emit(Do::kAlloc, &node).buffer = program_.buffer_index[buffer.get()];
      return;
    }
    if (!shared && !local) {
      fail(&node, buffer->name + " is allocated in global memory inside of a kernel; allocate it "
                                 "before the kernel, or as shared or local memory");
      return;
    }
    BufferInfo& info = add_buffer(buffer, shared ? Where::kShared : Where::kLocal, &node);
    int64_t count = 1;
    for (const Expr& extent : buffer->shape) {
      const auto value = as_int(extent);
      if (!value || *value < 0) {
        fail(&node, "the shape of " + buffer->name + " inside of a kernel must be constant");
        return;
      }
      info.shape.push_back(*value);
    }
    info.strides.resize(info.shape.size());
    for (size_t d = info.shape.size(); d-- > 0; count *= info.shape[d])
      info.strides[d] = count;
    if (!buffer->strides.empty()) {
      count = 1;
      for (size_t d = 0; d < info.shape.size(); ++d) {
        const auto stride = as_int(buffer->strides[d]);
        if (!stride || *stride < 0) {
          fail(&node, "the strides of " + buffer->name + " must be constant");
          return;
        }
        info.strides[d] = *stride;
        count += (info.shape[d] - 1) * *stride;
      }
    }
    if (const Expr layout = node.annotations.get("layout"); is_layout(layout)) {
      auto value = layout_of(layout);
      if (!value || value->shape != info.shape || value->is_fragment()) {
        fail(&node,
             "the layout of " + buffer->name + " does not fit: it maps " +
                 std::string(!value ? "nothing" : "another shape, or to threads"),
             ErrorCode::kFailed);
        return;
      }
      count = value->span(kMemoryAxis);
      info.layout = std::move(*value);
    }
    info.count = count;
    if (local) {
      emit(Do::kAlloc, &node).buffer = program_.buffer_index[buffer.get()];
      return;
    }
    // Shared memory: where the plan says, else behind the others.
    Kernel& kernel = program_.kernels[static_cast<size_t>(kernel_)];
    const int64_t bytes = buffer->dtype.element_bytes();
    if (const auto offset = node.annotations.get_int("shared_offset")) {
      info.arena = *offset;
      if (*offset < 0 || *offset % bytes != 0)
        fail(&node,
             fmt::format("the offset {} of {} in shared memory is not aligned to its "
                         "elements",
                         *offset, buffer->name),
             ErrorCode::kFailed);
    } else {
      const int64_t alignment = std::max<int64_t>(buffer->alignment, 16);
      info.arena = (kernel.shared_bytes + alignment - 1) / alignment * alignment;
    }
    kernel.shared_bytes = std::max(kernel.shared_bytes, info.arena + count * bytes);
    kernel.granule = std::min(kernel.granule, bytes);
    if (kernel.shared_bytes > options_.shared_limit)
      fail(&node,
           fmt::format("the block needs {} bytes of shared memory with {}, there are {}; "
                       "make tiles smaller or take fewer stages",
                       kernel.shared_bytes, buffer->name, options_.shared_limit),
           ErrorCode::kFailed);
  }

  // Expressions.

  /// The expression with its shuffles evaluated before, into variables.
  Expr without_shuffles(const Expr& expr, const Node* node) {
    bool any = false;
    walk(expr, [&](const NodeRef& child) {
      const auto* call = child.as<Call>();
      any |= call != nullptr && is_shuffle(call->op);
      return !any;
    });
    if (!any)
      return expr;
    Expr result = cast_ref<ExprNode>(rewrite_post(expr, [&](const NodeRef& child) -> NodeRef {
      if (const auto* lazy = child.as<Call>(); lazy != nullptr && lazy->op == "if_then_else")
        for (size_t i = 1; i < 3; ++i)
          walk(lazy->args[i], [&](const NodeRef& inner) {
            if (const auto* var = inner.as<VarNode>(); var != nullptr && shuffled_.contains(var))
              fail(lazy,
                   "a shuffle stands on one side of a condition; shuffle before it, with all "
                   "lanes",
                   ErrorCode::kFailed);
            return true;
          });
      const auto* call = child.as<Call>();
      if (call == nullptr || !is_shuffle(call->op))
        return child;
      const Var result = make_var("shuffled", call->dtype);
      shuffled_.insert(result.get());
      keep_.push_back(result);
      Instruction shuffle;
      shuffle.what = Do::kShuffle;
      shuffle.node = call->span.line > 0 ? static_cast<const Node*>(call) : node;
      shuffle.operation = call->op;
      shuffle.codes.push_back(compiler_.compile(call->args[0]));
      shuffle.codes.push_back(compiler_.compile(call->args[1]));
      shuffle.slot = define(result);
      shuffle.dtype = call->dtype;
      code_->push_back(std::move(shuffle));
      return result;
    }));
    program_.kept.push_back(result);
    return result;
  }

  CodePtr value_code(const Expr& expr, const Node* node) {
    return compiler_.compile(without_shuffles(expr, node));
  }

  // Statements.

  void statement(const Stmt& stmt) {
    if (compiler_.failed())
      return;
    if (const auto* kernel = stmt.as<KernelLaunch>()) {
      kernel_launch(*kernel);
      return;
    }
    if (stmt->kind() < kTirKinds || stmt->kind() >= kTirKinds + 0x40) {
      fail(stmt.get(), std::string("the emulator runs flat programs; lower the ") +
                           stmt->info().name + " first");
      return;
    }
    tir::visit(
        stmt,
        [&](const Bind& s) {
          CodePtr value = value_code(s.value, &s);
          Instruction& instruction = emit(Do::kBind, &s);
          instruction.value = std::move(value);
          instruction.dtype = s.value->dtype;
          instruction.slot = define(s.var);
        },
        [&](const AllocBuffer& s) { alloc(s); },
        [&](const BufferStore& s) {
          const int buffer = buffer_of(s.buffer, &s);
          if (buffer < 0 || !check_access(s.buffer, s.indices, &s))
            return;
          const Expr value = without_shuffles(s.value, &s);
          Instruction instruction;
          instruction.what = Do::kStore;
          instruction.node = &s;
          instruction.buffer = buffer;
          instruction.codes = compiler_.compile(s.indices);
          instruction.value = compiler_.compile(value);
          instruction.dtype = s.value->dtype;
          if (s.predicate)
            instruction.predicate = compiler_.compile(s.predicate);
          code_->push_back(std::move(instruction));
        },
        [&](const Evaluate& s) { evaluate(s); },
        [&](const SeqStmt& s) {
          for (const Stmt& child : s.statements)
            statement(child);
        },
        [&](const IfThenElse& s) {
          CodePtr condition = value_code(s.condition, &s);
          const size_t begin = here();
          emit(Do::kIf, &s).value = std::move(condition);
          statement(s.then_case);
          const size_t middle = here();
          emit(Do::kElse, &s);
          (*code_)[begin].target = middle;
          if (s.else_case)
            statement(s.else_case);
          (*code_)[middle].target = here();
          emit(Do::kEndIf, &s);
        },
        [&](const For& s) {
          if (s.kind == ForKind::kThreadBinding)
            thread_loop(s);
          else if (s.kind == ForKind::kTileParallel)
            fail(&s,
                 "the emulator runs flat programs; share T.Parallel out among the threads first");
          else
            loop(s);
        },
        [&](const While& s) {
          emit(Do::kWhileBegin, &s);
          const size_t test = here();
          CodePtr condition = value_code(s.condition, &s);
          const size_t leave = here();
          emit(Do::kWhileTest, &s).value = std::move(condition);
          statement(s.body);
          emit(Do::kLoopNext, &s).target = test;
          (*code_)[leave].target = here();
          emit(Do::kLoopEnd, &s);
        },
        [&](const Break& s) { emit(Do::kBreak, &s); },
        [&](const Continue& s) { emit(Do::kContinue, &s); },
        [&](const Return& s) { emit(Do::kReturn, &s); },
        [&](const Assert& s) {
          CodePtr condition = value_code(s.condition, &s);
          Instruction& instruction = emit(Do::kAssert, &s);
          instruction.value = std::move(condition);
          instruction.text = s.message;
        });
  }

  void loop(const For& s) {
    CodePtr min = compiler_.compile(s.min);
    CodePtr extent = compiler_.compile(s.extent);
    const int slot = define(s.loop_var);
    Instruction& begin = emit(Do::kForBegin, &s);
    begin.codes.push_back(std::move(min));
    begin.codes.push_back(std::move(extent));
    begin.slot = slot;
    const size_t test = here();
    emit(Do::kForTest, &s).slot = slot;
    statement(s.body);
    emit(Do::kLoopNext, &s).target = test;
    (*code_)[test].target = here();
    emit(Do::kLoopEnd, &s);
  }

  /// with T.Kernel(...): the same, with all axes in one statement.
  void kernel_launch(const KernelLaunch& s) {
    if (kernel_ >= 0)
      return fail(&s, "a kernel stands in another kernel");
    kernel_ = static_cast<int>(program_.kernels.size());
    Kernel& kernel = program_.kernels.emplace_back();
    kernel.node = &s;
    kernel.granule = 8;
    for (size_t d = 0; d < s.grid.size(); ++d)
      kernel.extents[d] = compiler_.compile(s.grid[d]);
    for (size_t d = 0; d < s.threads.size(); ++d)
      kernel.extents[3 + d] = compiler_.compile(s.threads[d]);
    const std::vector<int64_t> cluster = cluster_dims(s);
    for (size_t d = 0; d < cluster.size(); ++d)
      kernel.cluster[d] = std::max<int64_t>(cluster[d], 1);
    emit(Do::kLaunch, &s).target = static_cast<size_t>(kernel_);
    outer_ = code_;
    kernel_code_.clear();
    code_ = &kernel_code_;
    const auto bind = [&](const std::vector<Var>& vars, int first) {
      for (size_t d = 0; d < vars.size(); ++d) {
        CodePtr zero = compiler_.compile(make_int(vars[d]->dtype, 0));
        const int slot = define(vars[d]);
        Instruction& instruction = emit(Do::kThread, &s);
        instruction.axis = first + static_cast<int>(d);
        instruction.slot = slot;
        instruction.codes.push_back(std::move(zero));
      }
    };
    bind(s.block_vars, 0);
    bind(s.thread_vars, 3);
    statement(s.body);
    emit(Do::kEnd, &s);
    program_.kernels[static_cast<size_t>(kernel_)].code = std::move(kernel_code_);
    code_ = outer_;
    kernel_ = -1;
  }

  void thread_loop(const For& s) {
    const int axis = axis_of(s.thread);
    if (axis < 0) {
      fail(&s, "the emulator knows no thread axis \"" + s.thread +
                   "\"; it has blockIdx and threadIdx, x to z");
      return;
    }
    const bool outermost = kernel_ < 0;
    if (outermost) {
      kernel_ = static_cast<int>(program_.kernels.size());
      Kernel& kernel = program_.kernels.emplace_back();
      kernel.node = &s;
      kernel.granule = 8;
      launch(s, kernel);
      Instruction& start = emit(Do::kLaunch, &s);
      start.target = static_cast<size_t>(kernel_);
      outer_ = code_;
      kernel_code_.clear();
      code_ = &kernel_code_;
    }
    CodePtr min = compiler_.compile(s.min);
    const int slot = define(s.loop_var);
    Instruction& bind = emit(Do::kThread, &s);
    bind.axis = axis;
    bind.slot = slot;
    bind.codes.push_back(std::move(min));
    statement(s.body);
    if (outermost) {
      emit(Do::kEnd, &s);
      program_.kernels[static_cast<size_t>(kernel_)].code = std::move(kernel_code_);
      code_ = outer_;
      kernel_ = -1;
    }
  }

  /// Grid and threads: every binding of the kernel has its extent, the same wherever it occurs.
  void launch(const For& outermost, Kernel& kernel) {
    std::map<int, const For*> bindings;
    walk(Stmt(&outermost), [&](const NodeRef& node) {
      const auto* loop = node.as<For>();
      if (loop == nullptr || loop->kind != ForKind::kThreadBinding)
        return true;
      const int axis = axis_of(loop->thread);
      if (axis < 0)
        return true;
      const auto [known, added] = bindings.emplace(axis, loop);
      if (!added) {
        const auto a = as_int(known->second->extent);
        const auto b = as_int(loop->extent);
        if (!a || !b || *a != *b)
          fail(loop,
               "two loops over " + loop->thread +
                   " of one kernel have different extents; "
                   "put a condition into the shorter one",
               ErrorCode::kFailed);
      }
      return true;
    });
    for (const auto& [axis, loop] : bindings)
      kernel.extents[axis] = compiler_.compile(loop->extent);
  }

  void evaluate(const Evaluate& s) {
    const auto* call = s.value.as<Call>();
    const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
    if (op == nullptr || op->result != OpResult::kStatement) {
      CodePtr value = value_code(s.value, &s);
      emit(Do::kEvaluate, &s).value = std::move(value);
      return;
    }
    if (kernel_ < 0) {
      fail(&s, "T." + call->op + " stands outside of a kernel", ErrorCode::kFailed);
      return;
    }
    Instruction instruction;
    instruction.what = Do::kIntrinsic;
    instruction.node = &s;
    instruction.operation = call->op;
    for (size_t i = 0; i < call->args.size(); ++i) {
      const Expr& arg = call->args[i];
      if (static_cast<int>(i) < op->addresses) {
        const auto* load = arg.as<BufferLoad>();
        if (load == nullptr) {
          fail(&s,
               fmt::format("operand {} of T.{} is an address: write an element, as S[i, j]", i + 1,
                           call->op),
               ErrorCode::kInvalidArgument);
          return;
        }
        Address address;
        address.buffer = buffer_of(load->buffer, &s);
        if (address.buffer < 0 || !check_access(load->buffer, load->indices, &s))
          return;
        address.indices = compiler_.compile(load->indices);
        address.node = load;
        instruction.addresses.push_back(std::move(address));
        continue;
      }
      if (const auto* text = arg.as<StringImm>()) {
        instruction.text = text->value;
        continue;
      }
      instruction.codes.push_back(compiler_.compile(without_shuffles(arg, &s)));
      instruction.dtype = arg->dtype;
    }
    if (static_cast<int>(instruction.addresses.size()) < op->addresses) {
      fail(&s, fmt::format("T.{} needs {} addresses", call->op, op->addresses),
           ErrorCode::kInvalidArgument);
      return;
    }
    if (call->op == "atomic_add")
      program_.float_atomics |= call->args[0]->dtype.is_floating();
    code_->push_back(std::move(instruction));
  }

  Memory& memory_;
  const EmulateOptions& options_;
  interpreter::Compiler compiler_;
  Program program_;
  std::vector<Instruction>* code_ = nullptr;
  std::vector<Instruction>* outer_ = nullptr;
  std::vector<Instruction> kernel_code_;
  int kernel_ = -1;
  std::unordered_set<const BufferNode*> written_;
  std::unordered_set<const VarNode*> shuffled_;
  std::vector<Var> keep_;
};

} // namespace

Result<Program> compile(const PrimFunc& function, Memory& memory, const EmulateOptions& options) {
  return Builder(memory, options).run(function);
}

} // namespace temper::tir::emulator
