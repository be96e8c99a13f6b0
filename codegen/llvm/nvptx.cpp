#include "codegen/llvm/nvptx.h"

#include "codegen/cuda/assemble.h"
#include "codegen/cuda/compile.h"
#include "codegen/cuda/cubin.h"
#include "codegen/prefetch.h"
#include "codegen/shared_offsets.h"
#include "codegen/written_buffers.h"
#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/support/hash.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

// How a kernel looks in LLVM IR:
//
//   @shared_memory = external addrspace(3) global [0 x i8]
//   define ptx_kernel void @main_kernel(ptr addrspace(1) noalias %A, i32 %n, ...)
//
// Integers and floats are as LLVM has them; bool is i1, and i8 in memory. The 16-bit floats are
// computed with as float, as CUDA C++ has them.

namespace temper::codegen {
namespace {

using namespace ::temper::tir; // NOLINT: this file is about tir
using llvm::BasicBlock;
namespace I = llvm::Intrinsic;
using llvm::Value;

constexpr unsigned kGlobal = 1, kShared = 3; // NVPTX's address spaces
constexpr int64_t kUnrolledAtMost = 256;

bool is_small_float(DataType type) { return type.is_floating() && type.bits == 16; }

class Emitter {
public:
  explicit Emitter(llvm::Module& module)
      : module_(module), context_(module.getContext()), builder_(context_) {
    llvm::FastMathFlags flags;
    flags.setAllowContract(true);
    builder_.setFastMathFlags(flags);
  }

  Result<void> run(const PrimFunc& function) {
    function_ = function;
    written_ = written_buffers(function);
    host(function->body);
    if (!error_.message.empty())
      return error_;
    return {};
  }

private:
  void fail(const Node& where, const std::string& message) {
    if (error_.message.empty())
      error_ =
          Error(ErrorCode::kUnsupported,
                (where.span.line > 0 ? fmt::format("line {}: ", where.span.line) : "") + message);
  }
  /// Fails; something of the type, so that what is around goes on.
  Value* no_form(const Node& where, const std::string& what, DataType type) {
    fail(where, what + " has no form in LLVM's back end for NVIDIA's GPUs; NVRTC compiles it");
    return llvm::PoisonValue::get(value_type(type));
  }

  // Types.

  llvm::Type* memory_type(DataType type) {
    if (type.is_bool())
      return builder_.getInt8Ty();
    if (type == DataType::bfloat16())
      return builder_.getBFloatTy();
    if (type.is_floating())
      return type.bits == 16   ? builder_.getHalfTy()
             : type.bits == 32 ? builder_.getFloatTy()
                               : builder_.getDoubleTy();
    return builder_.getIntNTy(static_cast<unsigned>(std::max(8, int{type.bits})));
  }
  llvm::Type* value_type(DataType type) {
    if (type.is_bool())
      return builder_.getInt1Ty();
    if (is_small_float(type))
      return builder_.getFloatTy();
    if (type.is_handle())
      return builder_.getInt32Ty();
    return memory_type(type);
  }
  bool plain(const Node& where, DataType type) {
    if (!type.is_scalar())
      fail(where, "vectors have no form in LLVM's back end for NVIDIA's GPUs yet; access the "
                  "elements one by one");
    else if (type.is_floating() ? type.bits < 16 : !type.is_bool() && type.bits < 8)
      fail(where, to_string(type) + " has no form in LLVM's back end for NVIDIA's GPUs");
    else
      return true;
    return false;
  }

  // Around the kernels.

  void host(const Stmt& stmt) {
    if (!error_.message.empty())
      return;
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        host(child);
    } else if (const auto* alloc = stmt.as<AllocBuffer>()) {
      workspaces_.push_back(alloc->buffer);
    } else {
      kernel(stmt);
    }
  }

  void kernel(const Stmt& root) {
    const std::string name =
        function_->name + "_kernel" + (kernels_ == 0 ? "" : std::to_string(kernels_));
    ++kernels_;
    std::vector<llvm::Type*> types;
    std::vector<Buffer> buffers;
    for (const Param& param : function_->params) {
      if (!plain(*root, param.buffer ? param.buffer->dtype : param.var->dtype))
        return;
      types.push_back(param.buffer ? builder_.getPtrTy(kGlobal) : value_type(param.var->dtype));
    }
    for (size_t i = 0; i < workspaces_.size(); ++i)
      types.push_back(builder_.getPtrTy(kGlobal));
    kernel_ = llvm::Function::Create(llvm::FunctionType::get(builder_.getVoidTy(), types, false),
                                     llvm::GlobalValue::ExternalLinkage, name, module_);
    kernel_->setCallingConv(llvm::CallingConv::PTX_Kernel);
    values_.clear();
    memory_.clear();
    const auto pointer = [&](size_t i, const Buffer& buffer) {
      llvm::Argument* argument = kernel_->getArg(static_cast<unsigned>(i));
      argument->setName(buffer->name);
      argument->addAttr(llvm::Attribute::NoAlias);
      if (!written_.contains(buffer.get()))
        argument->addAttr(llvm::Attribute::ReadOnly);
      memory_[buffer.get()] = argument;
    };
    size_t i = 0;
    for (const Param& param : function_->params) {
      if (param.buffer)
        pointer(i, param.buffer);
      else
        values_[param.var.get()] = kernel_->getArg(static_cast<unsigned>(i));
      ++i;
    }
    for (const Buffer& buffer : workspaces_)
      pointer(i++, buffer);
    entry_ = BasicBlock::Create(context_, "entry", kernel_);
    builder_.SetInsertPoint(BasicBlock::Create(context_, "body", kernel_));
    BasicBlock* const body = builder_.GetInsertBlock();
    offsets_.clear();
    shared_offsets(root, offsets_);
    threads_ = 1;
    const Analyzer::Scope scope(math_);
    if (const auto* launch = root.as<KernelLaunch>()) {
      for (size_t d = 0; d < launch->block_vars.size(); ++d)
        axis(launch->block_vars[d], launch->grid[d], d);
      for (size_t d = 0; d < launch->thread_vars.size(); ++d)
        axis(launch->thread_vars[d], launch->threads[d], 3 + d);
      statement(launch->body);
    } else {
      statement(root);
    }
    finish(nullptr);
    builder_.SetInsertPoint(entry_);
    builder_.CreateBr(body);
    // As __launch_bounds__ says it.
    llvm::Metadata* bound[] = {
        llvm::ValueAsMetadata::get(kernel_), llvm::MDString::get(context_, "maxntidx"),
        llvm::ConstantAsMetadata::get(builder_.getInt32(static_cast<uint32_t>(threads_)))};
    module_.getOrInsertNamedMetadata("nvvm.annotations")
        ->addOperand(llvm::MDNode::get(context_, bound));
  }

  /// Ends the block: to `next`, or out of the kernel.
  void finish(BasicBlock* next) {
    if (builder_.GetInsertBlock()->getTerminator() != nullptr)
      return;
    if (next != nullptr)
      builder_.CreateBr(next);
    else
      builder_.CreateRetVoid();
  }

  void axis(const Var& var, const Expr& extent, size_t which, const Expr& min = nullptr) {
    constexpr I::ID kPlaces[] = {I::nvvm_read_ptx_sreg_ctaid_x, I::nvvm_read_ptx_sreg_ctaid_y,
                                 I::nvvm_read_ptx_sreg_ctaid_z, I::nvvm_read_ptx_sreg_tid_x,
                                 I::nvvm_read_ptx_sreg_tid_y,   I::nvvm_read_ptx_sreg_tid_z};
    math_.bind(var, Range{min ? min : make_int(var->dtype, 0), extent});
    llvm::CallInst* place = builder_.CreateIntrinsic(kPlaces[which], {}, {});
    if (const auto count = as_int(extent); count && *count > 0) {
      place->setMetadata(llvm::LLVMContext::MD_range,
                         llvm::MDBuilder(context_).createRange(
                             llvm::APInt(32, 0), llvm::APInt(32, static_cast<uint64_t>(*count))));
      if (which >= 3)
        threads_ *= *count;
    }
    Value* value = builder_.CreateIntCast(place, value_type(var->dtype), true);
    if (min && !is_int(min, 0))
      value = builder_.CreateAdd(emit(min), value);
    values_[var.get()] = value;
  }

  // Statements.

  static bool is_register(const Buffer& buffer) {
    return buffer->scope.starts_with("local") && tile_scope(buffer->scope) != "fragment";
  }

  void alloc(const AllocBuffer& node) {
    const Buffer& buffer = node.buffer;
    if (!plain(node, buffer->dtype))
      return;
    if (tile_scope(buffer->scope) == "shared") {
      if (node.annotations.get(kLayoutAnnotation)) {
        no_form(node, "shared memory whose layout an operation reads itself", buffer->dtype);
        return;
      }
      memory_[buffer.get()] = builder_.CreateConstInBoundsGEP1_64(
          builder_.getInt8Ty(), shared_memory(), static_cast<uint64_t>(offsets_.at(buffer.get())));
      return;
    }
    const auto count = buffer->element_count();
    if (!is_register(buffer) || !count)
      return fail(node, buffer->name + " is in memory that a kernel cannot allocate (" +
                            buffer->scope + "), or has no constant shape");
    llvm::IRBuilder<> entry(entry_, entry_->end());
    llvm::AllocaInst* memory = entry.CreateAlloca(
        llvm::ArrayType::get(memory_type(buffer->dtype), static_cast<uint64_t>(*count)), nullptr,
        buffer->name);
    memory->setAlignment(llvm::Align(16));
    memory_[buffer.get()] = memory;
  }

  llvm::GlobalVariable* shared_memory() {
    if (shared_ == nullptr) {
      auto* type = llvm::ArrayType::get(builder_.getInt8Ty(), 0);
      shared_ = new llvm::GlobalVariable(module_, type, false, llvm::GlobalValue::ExternalLinkage,
                                         nullptr, "shared_memory", nullptr,
                                         llvm::GlobalValue::NotThreadLocal, kShared);
      shared_->setAlignment(llvm::Align(1024));
    }
    return shared_;
  }

  /// Loops that index registers must be unrolled, else the registers are memory.
  static bool indexes_registers(const For& loop) {
    bool found = false;
    walk(loop.body, [&](const NodeRef& node) {
      const auto check = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
        if (is_register(buffer) && buffer->element_count() != 1)
          for (const Expr& index : indices)
            found |= mentions(index, loop.loop_var);
      };
      if (const auto* load = node.as<BufferLoad>())
        check(load->buffer, load->indices);
      if (const auto* store = node.as<BufferStore>())
        check(store->buffer, store->indices);
      return !found;
    });
    return found;
  }

  BasicBlock* new_block(const char* name) { return BasicBlock::Create(context_, name, kernel_); }

  void statement(const Stmt& stmt) {
    if (!error_.message.empty() || builder_.GetInsertBlock()->getTerminator() != nullptr)
      return; // what stands behind break and return is never reached
    if (stmt->kind() >= kTileKinds)
      return fail(*stmt, std::string("a ") + stmt->info().name + " is not lowered");
    tir::visit(
        stmt,
        [&](const Bind& s) {
          if (s.var->dtype.is_integral() && s.var->dtype.is_scalar())
            math_.bind(s.var, math_.bounds(s.value));
          values_[s.var.get()] = emit(s.value);
        },
        [&](const AllocBuffer& s) { alloc(s); },
        [&](const BufferStore& s) {
          if (s.predicate)
            return (void)no_form(s, "a masked store", s.buffer->dtype);
          store(emit(s.value), place(s.buffer, s.indices, s), s.buffer->dtype);
        },
        [&](const Evaluate& s) { evaluate(s); },
        [&](const SeqStmt& s) {
          for (const Stmt& child : s.statements)
            statement(child);
        },
        [&](const IfThenElse& s) {
          BasicBlock* yes = new_block("then");
          BasicBlock* no = s.else_case ? new_block("else") : nullptr;
          BasicBlock* after = new_block("after");
          builder_.CreateCondBr(emit(s.condition), yes, no != nullptr ? no : after);
          builder_.SetInsertPoint(yes);
          {
            const Analyzer::Scope scope(math_);
            math_.assume(s.condition);
            statement(s.then_case);
          }
          finish(after);
          if (no != nullptr) {
            builder_.SetInsertPoint(no);
            statement(s.else_case);
            finish(after);
          }
          builder_.SetInsertPoint(after);
        },
        [&](const For& s) { loop(s); },
        [&](const While& s) {
          BasicBlock* head = new_block("while");
          BasicBlock* body = new_block("body");
          BasicBlock* after = new_block("after");
          finish(head);
          builder_.SetInsertPoint(head);
          builder_.CreateCondBr(emit(s.condition), body, after);
          targets_.emplace_back(after, head);
          builder_.SetInsertPoint(body);
          statement(s.body);
          finish(head);
          targets_.pop_back();
          builder_.SetInsertPoint(after);
        },
        [&](const Break&) { finish(targets_.back().first); },
        [&](const Continue&) { finish(targets_.back().second); },
        [&](const Return&) { finish(nullptr); },
        [&](const Assert& s) {
          BasicBlock* bad = new_block("failed");
          BasicBlock* good = new_block("holds");
          builder_.CreateCondBr(emit(s.condition), good, bad);
          builder_.SetInsertPoint(bad);
          builder_.CreateIntrinsic(I::trap, {}, {});
          builder_.CreateUnreachable();
          builder_.SetInsertPoint(good);
        });
  }

  void loop(const For& s) {
    const Analyzer::Scope scope(math_);
    if (s.kind == ForKind::kThreadBinding) {
      static const std::vector<std::string> kAxes = {"blockIdx.x",  "blockIdx.y",  "blockIdx.z",
                                                     "threadIdx.x", "threadIdx.y", "threadIdx.z"};
      const auto which = std::find(kAxes.begin(), kAxes.end(), s.thread);
      if (which == kAxes.end())
        return (void)no_form(s, "the thread axis " + s.thread, DataType::int32());
      axis(s.loop_var, s.extent, static_cast<size_t>(which - kAxes.begin()), s.min);
      return statement(s.body);
    }
    Value* const min = emit(s.min);
    Value* const end = builder_.CreateNSWAdd(min, emit(s.extent));
    math_.bind(s.loop_var, Range{s.min, s.extent});
    BasicBlock* const before = builder_.GetInsertBlock();
    BasicBlock* const body = new_block("for");
    BasicBlock* const next = new_block("next");
    BasicBlock* const after = new_block("after");
    builder_.CreateCondBr(builder_.CreateICmpSLT(min, end), body, after);
    builder_.SetInsertPoint(body);
    llvm::PHINode* var = builder_.CreatePHI(min->getType(), 2, s.loop_var->name);
    var->addIncoming(min, before);
    values_[s.loop_var.get()] = var;
    targets_.emplace_back(after, next);
    statement(s.body);
    targets_.pop_back();
    finish(next);
    builder_.SetInsertPoint(next);
    Value* const following = builder_.CreateNSWAdd(var, llvm::ConstantInt::get(var->getType(), 1));
    var->addIncoming(following, next);
    llvm::BranchInst* back =
        builder_.CreateCondBr(builder_.CreateICmpSLT(following, end), body, after);
    const auto extent = as_int(s.extent);
    if (s.kind == ForKind::kUnrolled || s.kind == ForKind::kVectorized ||
        (extent && *extent <= kUnrolledAtMost && indexes_registers(s))) {
      llvm::MDNode* unroll =
          llvm::MDNode::get(context_, llvm::MDString::get(context_, "llvm.loop.unroll.full"));
      llvm::MDNode* id = llvm::MDNode::getDistinct(context_, {nullptr, unroll});
      id->replaceOperandWith(0, id);
      back->setMetadata(llvm::LLVMContext::MD_loop, id);
    }
    builder_.SetInsertPoint(after);
  }

  /// An element that an operation works on.
  Value* address(const Expr& expr, const Node& where) {
    const auto* load = expr.as<BufferLoad>();
    if (load != nullptr)
      return place(load->buffer, load->indices, where);
    fail(where, "an address is an element, as S[i, j]");
    return llvm::PoisonValue::get(builder_.getPtrTy());
  }
  static int64_t element_bytes(const Expr& expr) { return expr->dtype.element_bytes(); }

  void evaluate(const Evaluate& s) {
    const auto* call = s.value.as<Call>();
    if (call == nullptr)
      return (void)emit(s.value);
    const std::string& op = call->op;
    const auto number = [&](size_t i) { return as_int(call->args[i]).value_or(-1); };
    if (op == "sync_threads" && call->args.empty())
      return (void)builder_.CreateIntrinsic(I::nvvm_barrier0, {}, {});
    if (op == "sync_warp")
      return (void)builder_.CreateIntrinsic(I::nvvm_bar_warp_sync, {}, {builder_.getInt32(~0u)});
    if (op.starts_with("atomic_"))
      return atomic(s, *call);
    if (op == "copy_vector") {
      const int64_t bytes = number(2) * element_bytes(call->args[0]);
      llvm::Type* const type =
          bytes < 4
              ? static_cast<llvm::Type*>(builder_.getInt16Ty())
              : llvm::FixedVectorType::get(builder_.getInt32Ty(), static_cast<unsigned>(bytes / 4));
      const llvm::Align align(static_cast<uint64_t>(bytes));
      Value* const value = builder_.CreateAlignedLoad(type, address(call->args[1], s), align);
      builder_.CreateAlignedStore(value, address(call->args[0], s), align);
      return;
    }
    if (op == "ptx_cp_async") {
      const int64_t bytes = (call->args.size() > 2 ? number(2) : 1) * element_bytes(call->args[0]);
      const bool guarded = call->args.size() > 3;
      const I::ID id = bytes == 16  ? (guarded ? I::nvvm_cp_async_cg_shared_global_16_s
                                               : I::nvvm_cp_async_cg_shared_global_16)
                       : bytes == 8 ? (guarded ? I::nvvm_cp_async_ca_shared_global_8_s
                                               : I::nvvm_cp_async_ca_shared_global_8)
                       : bytes == 4 ? (guarded ? I::nvvm_cp_async_ca_shared_global_4_s
                                               : I::nvvm_cp_async_ca_shared_global_4)
                                    : I::ID{I::not_intrinsic};
      if (id == I::not_intrinsic)
        return fail(s, fmt::format("T.ptx_cp_async copies 4, 8 or 16 bytes, not {}", bytes));
      std::vector<Value*> operands{address(call->args[0], s), address(call->args[1], s)};
      if (guarded)
        operands.push_back(builder_.CreateSelect(emit(call->args[3]),
                                                 builder_.getInt32(static_cast<uint32_t>(bytes)),
                                                 builder_.getInt32(0)));
      return (void)builder_.CreateIntrinsic(id, {}, operands);
    }
    if (op == "ptx_commit_group")
      return (void)builder_.CreateIntrinsic(I::nvvm_cp_async_commit_group, {}, {});
    if (op == "ptx_wait_group")
      return (void)builder_.CreateIntrinsic(I::nvvm_cp_async_wait_group, {},
                                            {builder_.getInt32(static_cast<uint32_t>(number(0)))});
    if (op == "prefetch") {
      Value* const at = address(prefetch_address(*call), s);
      auto* type = llvm::FunctionType::get(builder_.getVoidTy(), {builder_.getPtrTy()}, false);
      builder_.CreateCall(
          llvm::InlineAsm::get(type, fmt::format("prefetch.L{} [$0];", prefetch_level(*call)), "l",
                               /*hasSideEffects=*/true),
          {builder_.CreateAddrSpaceCast(at, builder_.getPtrTy())});
      return;
    }
    const OpInfo* info = find_op(op);
    if (info != nullptr && info->result == OpResult::kStatement)
      return (void)no_form(s, "T." + op, DataType::int32());
    emit(s.value);
  }

  void atomic(const Evaluate& s, const Call& call) {
    using Operation = llvm::AtomicRMWInst::BinOp;
    const DataType dtype = call.args[0]->dtype;
    const bool adds = call.op == "atomic_add";
    const bool is_small = is_small_float(dtype);
    if (is_small ? !adds : dtype.bits < 32 || (!adds && dtype.is_floating() && dtype.bits != 32))
      return (void)no_form(s, "T." + call.op + " of " + to_string(dtype), dtype);
    const bool is_float = dtype.is_floating(), is_unsigned = dtype.is_uint();
    const bool largest = call.op == "atomic_max";
    const Operation operation = adds          ? (is_float ? Operation::FAdd : Operation::Add)
                                : is_float    ? (largest ? Operation::FMax : Operation::FMin)
                                : is_unsigned ? (largest ? Operation::UMax : Operation::UMin)
                                              : (largest ? Operation::Max : Operation::Min);
    Value* value = emit(call.args[1]);
    if (is_small)
      value = builder_.CreateFPTrunc(value, memory_type(dtype));
    builder_.CreateAtomicRMW(operation, address(call.args[0], s), value, llvm::MaybeAlign(),
                             llvm::AtomicOrdering::Monotonic,
                             context_.getOrInsertSyncScopeID("device"));
  }

  // Memory.

  Value* place(const Buffer& buffer, const std::vector<Expr>& indices, const Node& where) {
    const auto found = memory_.find(buffer.get());
    if (found == memory_.end()) {
      fail(where, buffer->name + " is not allocated here");
      return llvm::PoisonValue::get(builder_.getPtrTy());
    }
    if (!plain(where, buffer->dtype))
      return llvm::PoisonValue::get(builder_.getPtrTy());
    std::vector<Expr> strides = buffer->strides;
    if (strides.empty()) {
      Expr stride = make_int(DataType::int64(), 1);
      strides.resize(indices.size());
      for (size_t d = indices.size(); d-- > 0;) {
        strides[d] = stride;
        if (d > 0)
          stride = stride * wide(buffer->shape[d]);
      }
    }
    Value* offset = builder_.getInt64(0);
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!plain(where, indices[d]->dtype))
        return llvm::PoisonValue::get(builder_.getPtrTy());
      Value* const index = builder_.CreateIntCast(emit(indices[d]), builder_.getInt64Ty(),
                                                  !indices[d]->dtype.is_uint());
      offset = builder_.CreateNSWAdd(offset, builder_.CreateNSWMul(index, emit(wide(strides[d]))));
    }
    return builder_.CreateInBoundsGEP(memory_type(buffer->dtype), found->second, offset);
  }
  Expr wide(const Expr& expr) {
    if (const auto value = as_int(expr))
      return make_int(DataType::int64(), *value);
    return expr->dtype == DataType::int64() ? expr : make_cast(DataType::int64(), expr);
  }

  void store(Value* value, Value* to, DataType type) {
    if (type.is_bool())
      value = builder_.CreateZExt(value, builder_.getInt8Ty());
    else if (is_small_float(type))
      value = builder_.CreateFPTrunc(value, memory_type(type));
    builder_.CreateStore(value, to);
  }

  // Expressions.

  template <typename Yes, typename No>
  Value* choice(const Expr& condition, DataType type, Yes&& yes, No&& no) {
    BasicBlock* const a = new_block("yes");
    BasicBlock* const b = new_block("no");
    BasicBlock* const after = new_block("chosen");
    builder_.CreateCondBr(emit(condition), a, b);
    builder_.SetInsertPoint(a);
    Value* const first = yes();
    BasicBlock* const first_end = builder_.GetInsertBlock();
    finish(after);
    builder_.SetInsertPoint(b);
    Value* const second = no();
    BasicBlock* const second_end = builder_.GetInsertBlock();
    finish(after);
    builder_.SetInsertPoint(after);
    llvm::PHINode* result = builder_.CreatePHI(value_type(type), 2);
    result->addIncoming(first, first_end);
    result->addIncoming(second, second_end);
    return result;
  }

  template <typename Integer, typename Floating>
  Value* arithmetic(const Expr& a, const Expr& b, Integer&& integer, Floating&& floating) {
    Value* const x = emit(a);
    Value* const y = emit(b);
    return a->dtype.is_floating() ? floating(x, y) : integer(x, y);
  }

  Value* compare(const Expr& a, const Expr& b, llvm::CmpInst::Predicate with_sign,
                 llvm::CmpInst::Predicate without, llvm::CmpInst::Predicate floating) {
    Value* const x = emit(a);
    Value* const y = emit(b);
    if (a->dtype.is_floating())
      return builder_.CreateFCmp(floating, x, y);
    return builder_.CreateICmp(a->dtype.is_uint() || a->dtype.is_bool() ? without : with_sign, x,
                               y);
  }

  /// Towards minus infinity.
  Value* floored(const Expr& a, const Expr& b, bool remainder) {
    Value* const x = emit(a);
    Value* const y = emit(b);
    const auto zero = [](const Expr& e) { return make_int(e->dtype, 0); };
    if (a->dtype.is_uint())
      return remainder ? builder_.CreateURem(x, y) : builder_.CreateUDiv(x, y);
    if (math_.can_prove(make_binary<LE>(zero(a), a)) &&
        math_.can_prove(make_binary<LT>(zero(b), b)))
      return remainder ? builder_.CreateURem(x, y) : builder_.CreateUDiv(x, y);
    Value* const rest = builder_.CreateSRem(x, y);
    Value* const none = llvm::ConstantInt::get(rest->getType(), 0);
    // The rest has the sign of the dividend; where the divisor's is another one, one step down.
    Value* const down =
        builder_.CreateAnd(builder_.CreateICmpNE(rest, none),
                           builder_.CreateICmpSLT(builder_.CreateXor(rest, y), none));
    if (remainder)
      return builder_.CreateAdd(rest, builder_.CreateSelect(down, y, none));
    return builder_.CreateSub(builder_.CreateSDiv(x, y), builder_.CreateZExt(down, x->getType()));
  }

  Value* extremum(const Expr& a, const Expr& b, bool largest) {
    const DataType type = a->dtype;
    const I::ID id = type.is_floating() ? (largest ? I::maxnum : I::minnum)
                     : type.is_uint()   ? (largest ? I::umax : I::umin)
                                        : (largest ? I::smax : I::smin);
    return builder_.CreateBinaryIntrinsic(id, emit(a), emit(b));
  }

  Value* emit(const Expr& expr) {
    if (!error_.message.empty() || !plain(*expr, expr->dtype))
      return llvm::PoisonValue::get(
          value_type(expr->dtype.is_scalar() ? expr->dtype : expr->dtype.element()));
    using P = llvm::CmpInst;
    const auto unsupported = [&](const Node& e, const char* what) {
      return no_form(e, what, expr->dtype);
    };
    return ir::visit(
        expr,
        [&](const VarNode& e) -> Value* {
          const auto found = values_.find(&e);
          return found != values_.end() ? found->second
                                        : unsupported(e, "a variable that nothing defines");
        },
        [&](const IntImm& e) -> Value* {
          return llvm::ConstantInt::getSigned(
              value_type(e.dtype), e.dtype.is_bool() ? (e.value != 0 ? -1 : 0) : e.value);
        },
        [&](const FloatImm& e) -> Value* {
          return llvm::ConstantFP::get(value_type(e.dtype), e.value);
        },
        [&](const StringImm& e) { return unsupported(e, "text"); },
        [&](const ListImm& e) { return unsupported(e, "a list"); },
        [&](const Cast& e) { return cast(e); },
        [&](const Add& e) {
          return arithmetic(
              e.a, e.b, [&](Value* x, Value* y) { return builder_.CreateAdd(x, y); },
              [&](Value* x, Value* y) { return builder_.CreateFAdd(x, y); });
        },
        [&](const Sub& e) {
          return arithmetic(
              e.a, e.b, [&](Value* x, Value* y) { return builder_.CreateSub(x, y); },
              [&](Value* x, Value* y) { return builder_.CreateFSub(x, y); });
        },
        [&](const Mul& e) {
          return arithmetic(
              e.a, e.b, [&](Value* x, Value* y) { return builder_.CreateMul(x, y); },
              [&](Value* x, Value* y) { return builder_.CreateFMul(x, y); });
        },
        [&](const Div& e) {
          return arithmetic(
              e.a, e.b,
              [&](Value* x, Value* y) {
                return e.dtype.is_uint() ? builder_.CreateUDiv(x, y) : builder_.CreateSDiv(x, y);
              },
              [&](Value* x, Value* y) { return builder_.CreateFDiv(x, y); });
        },
        [&](const Mod& e) -> Value* {
          if (e.dtype.is_floating())
            return unsupported(e, "a remainder of floats");
          Value* const x = emit(e.a);
          Value* const y = emit(e.b);
          return e.dtype.is_uint() ? builder_.CreateURem(x, y) : builder_.CreateSRem(x, y);
        },
        [&](const FloorDiv& e) { return floored(e.a, e.b, false); },
        [&](const FloorMod& e) { return floored(e.a, e.b, true); },
        [&](const Min& e) { return extremum(e.a, e.b, false); },
        [&](const Max& e) { return extremum(e.a, e.b, true); },
        [&](const EQ& e) { return compare(e.a, e.b, P::ICMP_EQ, P::ICMP_EQ, P::FCMP_OEQ); },
        [&](const NE& e) { return compare(e.a, e.b, P::ICMP_NE, P::ICMP_NE, P::FCMP_UNE); },
        [&](const LT& e) { return compare(e.a, e.b, P::ICMP_SLT, P::ICMP_ULT, P::FCMP_OLT); },
        [&](const LE& e) { return compare(e.a, e.b, P::ICMP_SLE, P::ICMP_ULE, P::FCMP_OLE); },
        [&](const GT& e) { return compare(e.a, e.b, P::ICMP_SGT, P::ICMP_UGT, P::FCMP_OGT); },
        [&](const GE& e) { return compare(e.a, e.b, P::ICMP_SGE, P::ICMP_UGE, P::FCMP_OGE); },
        [&](const And& e) {
          return choice(
              e.a, DataType::boolean(), [&] { return emit(e.b); },
              [&]() -> Value* { return builder_.getFalse(); });
        },
        [&](const Or& e) {
          return choice(
              e.a, DataType::boolean(), [&]() -> Value* { return builder_.getTrue(); },
              [&] { return emit(e.b); });
        },
        [&](const Not& e) -> Value* { return builder_.CreateNot(emit(e.a)); },
        [&](const Select& e) {
          return choice(
              e.condition, e.dtype, [&] { return emit(e.true_value); },
              [&] { return emit(e.false_value); });
        },
        [&](const BufferLoad& e) -> Value* {
          if (e.predicate)
            return unsupported(e, "a masked load");
          const DataType type = e.buffer->dtype;
          llvm::LoadInst* load =
              builder_.CreateLoad(memory_type(type), place(e.buffer, e.indices, e));
          if (type.is_bool())
            return builder_.CreateICmpNE(load, builder_.getInt8(0));
          return is_small_float(type) ? builder_.CreateFPExt(load, builder_.getFloatTy())
                                      : static_cast<Value*>(load);
        },
        [&](const Ramp& e) { return unsupported(e, "a vector"); },
        [&](const Broadcast& e) { return unsupported(e, "a vector"); },
        [&](const Shuffle& e) { return unsupported(e, "a vector"); },
        [&](const Let& e) -> Value* {
          values_[e.var.get()] = emit(e.value);
          return emit(e.body);
        },
        [&](const Call& e) { return operation(e); });
  }

  Value* rounded(Value* value, DataType type) {
    return is_small_float(type)
               ? builder_.CreateFPExt(builder_.CreateFPTrunc(value, memory_type(type)),
                                      builder_.getFloatTy())
               : value;
  }

  Value* cast(const Cast& e) {
    const DataType from = e.value->dtype, to = e.dtype;
    Value* const value = emit(e.value);
    if (from == to)
      return value;
    llvm::Type* const type = value_type(to);
    if (to.is_bool())
      return from.is_floating()
                 ? builder_.CreateFCmpUNE(value, llvm::ConstantFP::get(value->getType(), 0))
                 : builder_.CreateICmpNE(value, llvm::ConstantInt::get(value->getType(), 0));
    if (from.is_floating() && to.is_floating())
      return rounded(builder_.CreateFPCast(value, type), to);
    if (from.is_floating())
      return to.is_uint() ? builder_.CreateFPToUI(value, type) : builder_.CreateFPToSI(value, type);
    const bool has_sign = !from.is_uint() && !from.is_bool();
    if (to.is_floating())
      return rounded(
          has_sign ? builder_.CreateSIToFP(value, type) : builder_.CreateUIToFP(value, type), to);
    return builder_.CreateIntCast(value, type, has_sign);
  }

  Value* constant(double value) { return llvm::ConstantFP::get(builder_.getFloatTy(), value); }

  /// e to the power of x, to a few units in the last place: 2 to the power of a product in two
  /// parts, since one float loses digits of large ones.
  Value* exponential(Value* x) {
    constexpr double kLog2E = 1.4426950408889634, kHigh = 1.44269502162933349609375;
    Value* const high = builder_.CreateFMul(x, constant(kHigh));
    const auto fma_of = [&](Value* a, Value* b, Value* c) {
      return builder_.CreateIntrinsic(I::fma, {a->getType()}, {a, b, c});
    };
    Value* low = fma_of(x, constant(kHigh), builder_.CreateFNeg(high));
    low = fma_of(x, constant(kLog2E - kHigh), low);
    Value* const power = builder_.CreateIntrinsic(I::nvvm_ex2_approx_f, {}, {high});
    // What overflows has no parts.
    Value* const finite =
        builder_.CreateFCmpOLT(builder_.CreateUnaryIntrinsic(I::fabs, high), constant(128));
    return builder_.CreateSelect(
        finite, fma_of(power, builder_.CreateFMul(low, constant(0.6931471805599453)), power),
        power);
  }

  Value* operation(const Call& e) {
    const std::string& op = e.op;
    if (op == "if_then_else")
      return choice(
          e.args[0], e.dtype, [&] { return emit(e.args[1]); }, [&] { return emit(e.args[2]); });
    if (op == "likely")
      return emit(e.args[0]);
    const bool narrow = e.dtype.is_floating() && e.dtype.bits <= 32;
    static const std::unordered_map<std::string, I::ID> kUnary = {{"floor", I::floor},
                                                                  {"ceil", I::ceil},
                                                                  {"trunc", I::trunc},
                                                                  {"nearbyint", I::nearbyint},
                                                                  {"sqrt", I::sqrt}};
    if (const auto found = kUnary.find(op); found != kUnary.end())
      return rounded(builder_.CreateUnaryIntrinsic(found->second, emit(e.args[0])), e.dtype);
    static const std::unordered_map<std::string, I::ID> kApproximate = {
        {"exp2", I::nvvm_ex2_approx_ftz_f},
        {"log2", I::nvvm_lg2_approx_f},
        {"sin", I::nvvm_sin_approx_f},
        {"cos", I::nvvm_cos_approx_f},
        {"rsqrt", I::nvvm_rsqrt_approx_f}};
    if (const auto found = kApproximate.find(op); found != kApproximate.end() && narrow)
      return rounded(builder_.CreateIntrinsic(found->second, {}, {emit(e.args[0])}), e.dtype);
    if (op == "exp" && narrow)
      return rounded(exponential(emit(e.args[0])), e.dtype);
    if ((op == "log" || op == "log10") && narrow)
      return rounded(
          builder_.CreateFMul(builder_.CreateIntrinsic(I::nvvm_lg2_approx_f, {}, {emit(e.args[0])}),
                              constant(op == "log" ? 0.6931471805599453 : 0.3010299956639812)),
          e.dtype);
    if (op == "sigmoid" && narrow) {
      Value* const power = exponential(builder_.CreateFNeg(emit(e.args[0])));
      return rounded(builder_.CreateFDiv(constant(1), builder_.CreateFAdd(constant(1), power)),
                     e.dtype);
    }
    if (op == "tanh" && narrow) {
      Value* const x = emit(e.args[0]);
      Value* const y = builder_.CreateUnaryIntrinsic(I::fabs, x);
      Value* const power = exponential(builder_.CreateFMul(y, constant(2)));
      Value* const large = builder_.CreateFSub(
          constant(1), builder_.CreateFDiv(constant(2), builder_.CreateFAdd(power, constant(1))));
      // Of small arguments exp would lose the digits.
      Value* const cube = builder_.CreateFMul(y, builder_.CreateFMul(y, y));
      Value* const small = builder_.CreateFSub(y, builder_.CreateFMul(cube, constant(1.0 / 3)));
      Value* const value =
          builder_.CreateSelect(builder_.CreateFCmpOLT(y, constant(0.04)), small, large);
      return rounded(builder_.CreateBinaryIntrinsic(I::copysign, value, x), e.dtype);
    }
    if (op == "fma")
      return rounded(builder_.CreateIntrinsic(I::fma, {value_type(e.dtype)},
                                              {emit(e.args[0]), emit(e.args[1]), emit(e.args[2])}),
                     e.dtype);
    if (op == "copysign")
      return builder_.CreateBinaryIntrinsic(I::copysign, emit(e.args[0]), emit(e.args[1]));
    if (op == "abs")
      return e.dtype.is_floating()
                 ? builder_.CreateUnaryIntrinsic(I::fabs, emit(e.args[0]))
                 : builder_.CreateBinaryIntrinsic(I::abs, emit(e.args[0]), builder_.getFalse());
    if (op == "isnan" || op == "isinf" || op == "isfinite") {
      Value* const x = emit(e.args[0]);
      if (op == "isnan")
        return builder_.CreateFCmpUNO(x, x);
      Value* const limit = llvm::ConstantFP::getInfinity(x->getType());
      Value* const size = builder_.CreateUnaryIntrinsic(I::fabs, x);
      return op == "isinf" ? builder_.CreateFCmpOEQ(size, limit)
                           : builder_.CreateFCmpOLT(size, limit);
    }
    if (op.starts_with("bitwise_") || op.starts_with("shift_")) {
      Value* const x = emit(e.args[0]);
      if (op == "bitwise_not")
        return builder_.CreateNot(x);
      Value* const y = emit(e.args[1]);
      return op == "bitwise_and"   ? builder_.CreateAnd(x, y)
             : op == "bitwise_or"  ? builder_.CreateOr(x, y)
             : op == "bitwise_xor" ? builder_.CreateXor(x, y)
             : op == "shift_left"  ? builder_.CreateShl(x, y)
             : e.dtype.is_uint()   ? builder_.CreateLShr(x, y)
                                   : builder_.CreateAShr(x, y);
    }
    if (op == "popcount" || op == "clz") {
      Value* const x = emit(e.args[0]);
      Value* const count = op == "clz"
                               ? builder_.CreateBinaryIntrinsic(I::ctlz, x, builder_.getFalse())
                               : builder_.CreateUnaryIntrinsic(I::ctpop, x);
      return builder_.CreateIntCast(count, value_type(e.dtype), false);
    }
    if (op.starts_with("shfl_"))
      return shuffle(e);
    if (op == "reinterpret") {
      const DataType from = e.args[0]->dtype;
      Value* const x = emit(e.args[0]);
      if (from.is_integral() && e.dtype.is_integral())
        return builder_.CreateIntCast(x, value_type(e.dtype), !from.is_uint());
      if (from.bits == e.dtype.bits && from.bits >= 32)
        return builder_.CreateBitCast(x, value_type(e.dtype));
      // Small floats are values as float.
      if (from.bits == 16 && from.is_integral() && is_small_float(e.dtype))
        return builder_.CreateFPExt(builder_.CreateBitCast(x, memory_type(e.dtype)),
                                    builder_.getFloatTy());
      if (e.dtype.bits == 16 && e.dtype.is_integral() && is_small_float(from))
        return builder_.CreateBitCast(builder_.CreateFPTrunc(x, memory_type(from)),
                                      value_type(e.dtype));
    }
    return no_form(e, "T." + op + " of " + to_string(e.dtype), e.dtype);
  }

  Value* shuffle(const Call& e) {
    struct Kind {
      const char* name;
      I::ID integer, floating;
      uint32_t clamp; ///< the last lane, or for `up` the first
    };
    static const Kind kinds[] = {
        {"shfl_sync", I::nvvm_shfl_sync_idx_i32, I::nvvm_shfl_sync_idx_f32, 31},
        {"shfl_xor_sync", I::nvvm_shfl_sync_bfly_i32, I::nvvm_shfl_sync_bfly_f32, 31},
        {"shfl_up_sync", I::nvvm_shfl_sync_up_i32, I::nvvm_shfl_sync_up_f32, 0},
        {"shfl_down_sync", I::nvvm_shfl_sync_down_i32, I::nvvm_shfl_sync_down_f32, 31}};
    const DataType type = e.dtype;
    for (const Kind& kind : kinds) {
      if (e.op != kind.name || type.bits > 32 || type.is_bool())
        continue;
      Value* value = emit(e.args[0]);
      if (!type.is_floating())
        value = builder_.CreateIntCast(value, builder_.getInt32Ty(), !type.is_uint());
      Value* const lane = builder_.CreateIntCast(emit(e.args[1]), builder_.getInt32Ty(), true);
      Value* const result = builder_.CreateIntrinsic(
          type.is_floating() ? kind.floating : kind.integer, {},
          {builder_.getInt32(~0u), value, lane, builder_.getInt32(kind.clamp)});
      return type.is_floating() ? result : builder_.CreateIntCast(result, value_type(type), true);
    }
    return no_form(e, "T." + e.op + " of " + to_string(type), type);
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  PrimFunc function_;
  llvm::Function* kernel_ = nullptr;
  BasicBlock* entry_ = nullptr; ///< allocas
  llvm::GlobalVariable* shared_ = nullptr;
  int kernels_ = 0;
  int64_t threads_ = 1;
  std::vector<Buffer> workspaces_;
  std::unordered_set<const BufferNode*> written_;
  std::unordered_map<const Node*, Value*> values_;
  std::unordered_map<const BufferNode*, Value*> memory_;
  std::unordered_map<const BufferNode*, int64_t> offsets_;
  std::vector<std::pair<BasicBlock*, BasicBlock*>> targets_; ///< of break and continue
  Analyzer math_;
  Error error_;
};

constexpr const char* kTriple = "nvptx64-nvidia-cuda";

/// The back end, where it knows the architecture.
Result<const llvm::Target*> back_end_for(const std::string& architecture) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(kTriple, error);
  if (target == nullptr)
    return Error(ErrorCode::kEnvironment, "this LLVM has no back end for NVIDIA's GPUs: " + error);
  const std::unique_ptr<llvm::MCSubtargetInfo> known(
      target->createMCSubtargetInfo(kTriple, "", ""));
  if (!known->isCPUStringValid(architecture))
    return Error(ErrorCode::kUnsupported,
                 fmt::format("LLVM {} does not know {}, so its back end goes no further than "
                             "cuda:sm_90a,nvptx; take NVRTC, as cuda:{}",
                             LLVM_VERSION_STRING, architecture, architecture));
  return target;
}

Result<std::unique_ptr<llvm::TargetMachine>> machine_for(const std::string& architecture) {
  TEMPER_TRY(target, back_end_for(architecture));
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      kTriple, architecture, "", {}, llvm::Reloc::PIC_, {}, llvm::CodeGenOptLevel::Aggressive));
}

} // namespace

Result<void> nvptx_knows(const std::string& architecture) {
  TEMPER_TRY_VOID(back_end_for(architecture));
  return {};
}

Result<NvptxText> emit_nvptx(const PrimFunc& function, const std::string& architecture) {
  TEMPER_TRY(machine, machine_for(architecture));
  llvm::LLVMContext context;
  llvm::Module module("temper", context);
  module.setTargetTriple(machine->getTargetTriple().str());
  module.setDataLayout(machine->createDataLayout());
  TEMPER_TRY_VOID(Emitter(module).run(function));
  std::string complaint;
  llvm::raw_string_ostream complaints(complaint);
  TEMPER_CHECK(!llvm::verifyModule(module, &complaints), complaint);

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(machine.get());
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graphs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graphs, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);

  NvptxText text;
  llvm::raw_string_ostream ir(text.ir);
  module.print(ir, nullptr);
  llvm::SmallString<0> ptx;
  llvm::raw_svector_ostream stream(ptx);
  llvm::legacy::PassManager emit;
  if (machine->addPassesToEmitFile(emit, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return Error(ErrorCode::kFailed, "LLVM's back end for NVIDIA's GPUs writes no PTX");
  emit.run(module);
  text.ptx = ptx.str().str();
  return text;
}

Result<Artifact> compile_nvptx(const ir::IRModule& lowered, const ir::Target& target,
                               double deadline_seconds) {
  const auto function = lowered->functions.front().function.as_ref<ir::PrimFuncNode>();
  // The one launch plan, whichever compiler: what the printer says of it.
  TEMPER_TRY(source, print_cuda(function));
  const auto start = std::chrono::steady_clock::now();
  TEMPER_TRY(text, emit_nvptx(function, target.arch));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CudaCode code;
  code.ptx = std::move(text.ptx);
  code.seconds = seconds;
  auto assembled = assemble_ptx(code.ptx, target.arch, deadline_seconds);
  if (!assembled && assembled.error().code != ErrorCode::kEnvironment)
    return assembled.error();
  if (assembled) {
    code.cubin = std::move(assembled->cubin);
    code.facts = std::move(assembled->facts);
    code.warnings = std::move(assembled->warnings);
  }
  return artifact_of(std::move(source), std::move(code), lowered->functions.front().name, target);
}

std::string nvptx_version() { return "LLVM " LLVM_VERSION_STRING " NVPTX"; }

} // namespace temper::codegen
