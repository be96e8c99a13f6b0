#include "codegen/llvm/emit.h"

#include "codegen/assertions.h"
#include "codegen/llvm/amx.h"
#include "codegen/llvm/compile.h"
#include "codegen/llvm/math.h"
#include "ir/op.h"
#include "ir/structural.h"
#include "ir/tir/atomic.h"
#include "ir/tir/printing.h"
#include "ir/walk.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

// How a kernel looks in LLVM IR:
//
//   define i32 @temper_entry(ptr %arguments)        loads the arguments, calls the kernel
//   define internal i32 @kernel(ptr noalias %A, ptr noalias %B, ...)
//   define internal void @parallel.0(ptr %data)     one per parallel loop: finds the thread's
//   chunk, define internal i32 @parallel.0.body(i64 %begin, i64 %end, ptr noalias %A, ...)   runs
//   it
//
// Buffers are noalias parameters of every function they are used in: that is the one form of alias
// fact that all of LLVM's analyses know without metadata.
//
// Values: integers and floats as LLVM has them, bool as i1 (i8 in memory), float16 as half,
// bfloat16 as i16. Arithmetic on the two 16-bit floats is done in float: `emit_real` gives the
// float, `emit` the rounded value, so that an expression is rounded once, at its root.

namespace temper::codegen {
namespace {

using namespace ::temper::tir; // NOLINT: this file is about tir
using llvm::BasicBlock;
using llvm::Value;

/// Buffers up to this many bytes live on the stack (while the frame has room for them).
constexpr int64_t kStackBufferBytes = 64 << 10;
constexpr int64_t kStackFrameBytes = 256 << 10;
constexpr int64_t kLocalAlignment = 64;
constexpr int64_t kUnbounded = int64_t{1} << 40;

/// A closed interval of what an integer can be, for picking cheaper divisions.
struct Interval {
  int64_t low = -kUnbounded;
  int64_t high = kUnbounded;
};

/// The interval of a sum, difference or product of `type`, which wraps: one that leaves the type
/// (or what we count as bounded) says nothing.
Interval within(DataType type, __int128 low, __int128 high) {
  const __int128 limit = type.bits < 40 ? __int128{1} << (type.bits - 1) : __int128{kUnbounded};
  if (low < -limit || high >= limit)
    return {};
  return {static_cast<int64_t>(low), static_cast<int64_t>(high)};
}

struct Known {
  Value* value = nullptr;
  Value* wide = nullptr; ///< as i64, for index arithmetic; made when first needed
  Interval range;
  int64_t divisor = 1; ///< a power of two that divides it
  int depth = 0;       ///< how many loops are around its definition
};

struct Memory {
  Value* pointer = nullptr;
  int64_t alignment = 1;
  bool invariant = false; ///< a parameter that is never written
};

/// Where break and continue go.
struct LoopTargets {
  BasicBlock* on_break;
  BasicBlock* on_continue;
};

/// What belongs to the LLVM function being filled.
struct Frame {
  llvm::Function* function = nullptr;
  BasicBlock* entry = nullptr; ///< holds the allocas; has no terminator until the end
  BasicBlock* exit = nullptr;  ///< frees, returns the code
  llvm::AllocaInst* code = nullptr;
  std::vector<LoopTargets> loops;
  int64_t stack_bytes = 0;
};

/// sum(coefficient * leaf) + constant, plus 0, step, 2 * step, ... over the lanes when a vector,
/// plus leaves that are vectors of their own.
struct Linear {
  struct Term {
    Expr leaf;
    int64_t coefficient;
  };
  std::vector<Term> terms;
  std::vector<Term> vector_terms;
  int64_t constant = 0;
  int64_t step = 0;
};

std::optional<int64_t> constant_of(const Expr& expr) {
  if (const auto* broadcast = expr.as<Broadcast>())
    return as_int(broadcast->value);
  return as_int(expr);
}

bool is_small_float(DataType type) { return type.is_floating() && type.bits == 16; }

/// The largest power of two that divides `value`; 0 divides by everything.
int64_t power_of_two_divisor(int64_t value) {
  return value == 0 ? int64_t{1} << 30
                    : int64_t{1} << std::min(30, std::countr_zero(static_cast<uint64_t>(value)));
}

class Emitter {
public:
  Emitter(const EmitOptions& options, llvm::Module& module)
      : options_(options), module_(module), context_(module.getContext()), builder_(context_) {
    llvm::FastMathFlags flags;
    flags.setAllowContract(true);
    builder_.setFastMathFlags(flags);
  }

  Result<Emitted> run(const PrimFuncNode& function) {
    auto signature = signature_of(PrimFunc(&function));
    if (!signature)
      return std::move(signature).error();
    Emitted emitted;
    emitted.signature = *std::move(signature);
    emit_kernel(function, emitted.signature);
    emit_assertions();
    emitted.parallel = parallel_loops_ > 0;
    if (error_)
      return std::move(*error_);
    return emitted;
  }

private:
  // ---------------------------------------------------------------- failing
  void fail(ErrorCode code, std::string sentence) {
    if (!error_)
      error_ = Error(code, std::move(sentence));
  }
  Value* unsupported(std::string sentence, DataType type) {
    fail(ErrorCode::kUnsupported, std::move(sentence));
    return llvm::PoisonValue::get(register_type(type));
  }

  // ---------------------------------------------------------------- types
  llvm::Type* scalar_type(DataType type) {
    switch (type.code) {
    case TypeCode::kInt:
    case TypeCode::kUInt:
      return builder_.getIntNTy(type.bits);
    case TypeCode::kBool:
      return builder_.getInt1Ty();
    case TypeCode::kBFloat:
      return builder_.getInt16Ty();
    case TypeCode::kFloat:
      return type.bits == 16   ? builder_.getHalfTy()
             : type.bits == 32 ? builder_.getFloatTy()
                               : builder_.getDoubleTy();
    case TypeCode::kHandle:
      break;
    }
    return builder_.getPtrTy();
  }
  llvm::Type* with_lanes(llvm::Type* type, int lanes) {
    return lanes == 1 ? type : llvm::FixedVectorType::get(type, static_cast<unsigned>(lanes));
  }
  /// The type of a value between instructions.
  llvm::Type* register_type(DataType type) { return with_lanes(scalar_type(type), type.lanes); }
  llvm::Type* memory_scalar(DataType type) {
    return type.is_bool() ? builder_.getInt8Ty() : scalar_type(type);
  }
  llvm::Type* i64(int lanes = 1) { return with_lanes(builder_.getInt64Ty(), lanes); }
  llvm::Type* i32(int lanes = 1) { return with_lanes(builder_.getInt32Ty(), lanes); }
  llvm::Type* f32(int lanes = 1) { return with_lanes(builder_.getFloatTy(), lanes); }
  static int lanes_of(Value* value) {
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
    return vector == nullptr ? 1 : static_cast<int>(vector->getNumElements());
  }
  /// What `make` makes of these operands, made once in a basic block: the parts of an unrolled body
  /// ask for the same addresses and broadcasts over and over, and for LLVM to find that out costs
  /// more than everything else it does with them. Only for what depends on its operands alone.
  enum class Pure : uint8_t { kMultiply, kAdd, kAddress, kFreeAddress, kSplat };
  template <typename Make>
  Value* once(Pure operation, const void* a, const void* b, int64_t number, Make make) {
    forget_other_blocks();
    const auto [at, is_new] = made_.try_emplace({operation, a, b, number}, nullptr);
    if (is_new)
      at->second = make();
    return at->second;
  }

  void forget_other_blocks() {
    if (made_in_ == builder_.GetInsertBlock())
      return;
    made_.clear();
    held_.clear();
    made_in_ = builder_.GetInsertBlock();
  }

  /// Where a load or store without a mask begins: base + variable + constant elements.
  struct Place {
    Value* base = nullptr;
    Value* variable = nullptr; ///< null when there is none
    int64_t constant = 0;
    int lanes = 1;
    llvm::Type* element = nullptr;
  };
  /// What memory holds at a place, as far as this basic block has loaded or stored it: register
  /// tiles are arrays here, and LLVM takes long to find out which of their loads are the same.
  /// Different bases never overlap (parameters do not alias, allocations are their own).
  struct Held {
    Place at;
    Value* value;
    llvm::StoreInst* store = nullptr; ///< that put it there, while nothing has read it since
  };
  Value* held(const Place& at) {
    forget_other_blocks();
    for (const Held& known : held_[at.base])
      if (known.at.variable == at.variable && known.at.constant == at.constant &&
          known.at.lanes == at.lanes && known.at.element == at.element)
        return known.value;
    return nullptr;
  }
  /// After a load that went to memory.
  void hold_loaded(const Place& at, Value* value) {
    note_read(at.base);
    held_[at.base].push_back({at, value});
  }
  void note_read(Value* base) {
    forget_other_blocks();
    for (Held& known : held_[base])
      known.store = nullptr;
  }
  /// What may have changed is forgotten; a store to the same place that nothing has read goes.
  void hold_stored(const Place& at, Value* value, llvm::StoreInst* store) {
    forget_other_blocks();
    std::vector<Held>& all = held_[at.base];
    std::erase_if(all, [&](const Held& known) {
      const bool same = known.at.variable == at.variable && known.at.element == at.element;
      if (same && known.at.constant == at.constant && known.at.lanes == at.lanes) {
        if (known.store != nullptr)
          known.store->eraseFromParent();
        return true;
      }
      return !same || (known.at.constant < at.constant + at.lanes &&
                       at.constant < known.at.constant + known.at.lanes);
    });
    all.push_back({at, value, store});
  }
  void forget_all_of(Value* base) {
    forget_other_blocks();
    held_.erase(base);
  }

  Value* splat(Value* value, int lanes) {
    if (lanes == 1)
      return value;
    return once(Pure::kSplat, value, nullptr, lanes,
                [&] { return builder_.CreateVectorSplat(static_cast<unsigned>(lanes), value); });
  }
  llvm::Constant* const_i64(int64_t value, int lanes = 1) {
    return llvm::ConstantInt::get(i64(lanes), static_cast<uint64_t>(value), true);
  }
  llvm::Constant* const_i32(uint32_t value, int lanes = 1) {
    return llvm::ConstantInt::get(i32(lanes), value);
  }

  // ---------------------------------------------------------------- functions and frames
  llvm::Function* make_function(const std::string& name, llvm::Type* result,
                                std::vector<llvm::Type*> parameters, bool exported) {
    auto* type = llvm::FunctionType::get(result, parameters, false);
    auto* function = llvm::Function::Create(
        type, exported ? llvm::Function::ExternalLinkage : llvm::Function::InternalLinkage, name,
        module_);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    if (!exported)
      function->addFnAttr(llvm::Attribute::NoInline); // keeps the noalias parameters
    if (!exported)
      function->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return function;
  }

  /// A pointer parameter to a buffer.
  void describe_buffer(llvm::Argument* argument, const BufferNode& buffer, int64_t alignment) {
    argument->setName(buffer.name);
    llvm::AttrBuilder attributes(context_);
    attributes.addAttribute(llvm::Attribute::NoAlias);
    attributes.addAttribute(llvm::Attribute::NonNull);
    attributes.addAttribute(llvm::Attribute::NoUndef);
    attributes.addAlignmentAttr(llvm::Align(static_cast<uint64_t>(alignment)));
    if (const auto bytes = buffer_bytes(buffer); bytes && *bytes > 0)
      attributes.addDereferenceableAttr(static_cast<uint64_t>(*bytes));
    argument->addAttrs(attributes);
  }

  static std::optional<int64_t> buffer_bytes(const BufferNode& buffer) {
    const auto count = buffer.element_count();
    if (!count || !buffer.strides.empty())
      return std::nullopt;
    int64_t bytes = 0;
    if (__builtin_mul_overflow(*count, buffer.dtype.bytes(), &bytes))
      return std::nullopt;
    return bytes;
  }

  void emit_kernel(const PrimFuncNode& function, const std::vector<ArgumentSpec>& signature) {
    llvm::Function* entry =
        make_function(options_.entry, builder_.getInt32Ty(), {builder_.getPtrTy()}, true);
    std::vector<llvm::Type*> types;
    for (const Param& param : function.params)
      types.push_back(param.buffer ? builder_.getPtrTy() : register_type(param.var->dtype));
    llvm::Function* kernel = make_function("kernel", builder_.getInt32Ty(), types, false);

    builder_.SetInsertPoint(BasicBlock::Create(context_, "", entry));
    std::vector<Value*> values;
    for (size_t i = 0; i < function.params.size(); ++i) {
      Value* slot = builder_.CreateConstInBoundsGEP1_64(builder_.getPtrTy(), entry->getArg(0), i);
      Value* value = builder_.CreateLoad(builder_.getPtrTy(), slot);
      if (!function.params[i].buffer)
        value = load_scalar(value, function.params[i].var->dtype);
      values.push_back(value);
    }
    llvm::CallInst* call = builder_.CreateCall(kernel, values);
    call->setTailCall();
    builder_.CreateRet(call);

    for (size_t i = 0; i < function.params.size(); ++i) {
      const Param& param = function.params[i];
      llvm::Argument* argument = kernel->getArg(static_cast<unsigned>(i));
      if (param.buffer) {
        const int64_t natural = param.buffer->dtype.element_bytes();
        const int64_t alignment =
            options_.parameter_alignment > 0
                ? std::max<int64_t>(natural, std::min<int64_t>(options_.parameter_alignment,
                                                               param.buffer->alignment))
                : natural;
        describe_buffer(argument, *param.buffer, alignment);
        buffers_[param.buffer.get()] = {argument, alignment, !signature[i].is_output};
      } else {
        argument->setName(param.var->name);
        define(param.var, argument);
      }
    }
    fill_function(kernel, function.body, [&] { emit_stmt(function.body); });
  }

  Value* load_scalar(Value* pointer, DataType type) {
    Value* value = builder_.CreateLoad(memory_scalar(type), pointer);
    return type.is_bool() ? builder_.CreateIsNotNull(value) : value;
  }

  /// Makes frame, memory and exit of `function` around what `body` emits.
  template <typename F> void fill_function(llvm::Function* function, const Stmt& scope, F&& body) {
    Frame saved = std::move(frame_);
    frame_ = Frame();
    frame_.function = function;
    frame_.entry = BasicBlock::Create(context_, "entry", function);
    BasicBlock* start = BasicBlock::Create(context_, "start", function);
    frame_.exit = BasicBlock::Create(context_, "exit", function);
    builder_.SetInsertPoint(frame_.entry);
    frame_.code = builder_.CreateAlloca(builder_.getInt32Ty(), nullptr, "code");
    builder_.CreateStore(builder_.getInt32(0), frame_.code);

    builder_.SetInsertPoint(start);
    std::vector<llvm::AllocaInst*> heap;
    allocate_below(scope, heap);
    body();
    if (!terminated())
      builder_.CreateBr(frame_.exit);

    builder_.SetInsertPoint(frame_.entry);
    builder_.CreateBr(start);
    frame_.exit->moveAfter(&function->back());
    builder_.SetInsertPoint(frame_.exit);
    for (llvm::AllocaInst* slot : heap)
      builder_.CreateCall(library_function("free", builder_.getVoidTy(), {builder_.getPtrTy()}),
                          {builder_.CreateLoad(builder_.getPtrTy(), slot)});
    builder_.CreateRet(builder_.CreateLoad(builder_.getInt32Ty(), frame_.code));
    frame_ = std::move(saved);
  }

  llvm::FunctionCallee library_function(const char* name, llvm::Type* result,
                                        std::vector<llvm::Type*> parameters) {
    return module_.getOrInsertFunction(name, llvm::FunctionType::get(result, parameters, false));
  }

  bool runs_parallel(const For& loop) const {
    return loop.kind == ForKind::kParallel && !in_parallel_ && options_.threads != 1;
  }

  /// Memory of every buffer allocated below `scope` in the same LLVM function. All of it is made
  /// once, on entry: no allocation happens inside a loop.
  void allocate_below(const Stmt& scope, std::vector<llvm::AllocaInst*>& heap) {
    std::vector<const AllocBuffer*> allocations;
    walk(scope, [&](const NodeRef& node) {
      if (const auto* loop = node.as<For>(); loop != nullptr && runs_parallel(*loop))
        return false;
      if (const auto* alloc = node.as<AllocBuffer>())
        allocations.push_back(alloc);
      return node->kind() >= kTirKinds; // expressions allocate nothing
    });
    for (const AllocBuffer* alloc : allocations) {
      const BufferNode& buffer = *alloc->buffer;
      const auto bytes = buffer_bytes(buffer);
      if (!bytes) {
        fail(ErrorCode::kUnsupported,
             "buffer '" + buffer.name + "' needs a constant size and no strides to be allocated");
        return;
      }
      const int64_t alignment = std::max(kLocalAlignment, buffer.alignment);
      if (*bytes <= kStackBufferBytes && frame_.stack_bytes + *bytes <= kStackFrameBytes) {
        llvm::IRBuilder<> at_entry(frame_.entry, frame_.entry->begin());
        auto* type = llvm::ArrayType::get(memory_scalar(buffer.dtype),
                                          static_cast<uint64_t>(*bytes) /
                                              static_cast<uint64_t>(buffer.dtype.element_bytes()));
        llvm::AllocaInst* memory = at_entry.CreateAlloca(type, nullptr, buffer.name);
        memory->setAlignment(llvm::Align(static_cast<uint64_t>(alignment)));
        frame_.stack_bytes += *bytes;
        buffers_[alloc->buffer.get()] = {memory, alignment, false};
        continue;
      }
      llvm::IRBuilder<> at_entry(frame_.entry);
      llvm::AllocaInst* slot = at_entry.CreateAlloca(builder_.getPtrTy());
      at_entry.CreateStore(llvm::ConstantPointerNull::get(builder_.getPtrTy()), slot);
      heap.push_back(slot);
      const int64_t rounded = (*bytes + alignment - 1) / alignment * alignment;
      auto allocate = library_function("aligned_alloc", builder_.getPtrTy(), {i64(), i64()});
      llvm::CallInst* memory =
          builder_.CreateCall(allocate, {const_i64(alignment), const_i64(rounded)}, buffer.name);
      memory->addRetAttr(llvm::Attribute::NoAlias);
      memory->addRetAttr(llvm::Attribute::getWithAlignment(
          context_, llvm::Align(static_cast<uint64_t>(alignment))));
      builder_.CreateStore(memory, slot);
      return_if(builder_.CreateIsNull(memory), builder_.getInt32(kKernelOutOfMemory));
      buffers_[alloc->buffer.get()] = {memory, alignment, false};
    }
  }

  bool terminated() { return builder_.GetInsertBlock()->getTerminator() != nullptr; }
  BasicBlock* new_block(const char* name) {
    return BasicBlock::Create(context_, name, frame_.function);
  }

  /// Leaves the function with `code` where `condition` holds; the cold way out.
  void return_if(Value* condition, Value* code) {
    BasicBlock* leave = new_block("leave");
    BasicBlock* next = new_block("");
    builder_.CreateCondBr(condition, leave, next,
                          llvm::MDBuilder(context_).createBranchWeights(1, 1 << 20));
    builder_.SetInsertPoint(leave);
    builder_.CreateStore(code, frame_.code);
    builder_.CreateBr(frame_.exit);
    builder_.SetInsertPoint(next);
  }

  void define(const Var& var, Value* value, Interval range = {}, int64_t divisor = 1) {
    Known known;
    known.value = value;
    known.range = range;
    known.divisor = divisor;
    known.depth = static_cast<int>(frame_.loops.size());
    vars_[var.get()] = known;
  }

  // ---------------------------------------------------------------- facts about integers
  Interval range_of(const Expr& expr) const {
    if (const auto value = constant_of(expr))
      return within(DataType::int64(), *value, *value);
    if (const auto* var = expr.as<VarNode>()) {
      const auto place = vars_.find(var);
      return place == vars_.end() ? Interval{} : place->second.range;
    }
    if (const auto* node = expr.as<Broadcast>())
      return range_of(node->value);
    if (const auto* node = expr.as<Ramp>()) {
      const Interval base = range_of(node->base);
      const Interval stride = range_of(node->stride);
      const __int128 last = node->lanes() - 1;
      return within(node->dtype, base.low + std::min<__int128>(0, stride.low * last),
                    base.high + std::max<__int128>(0, stride.high * last));
    }
    if (const auto* node = expr.as<Add>()) {
      const Interval a = range_of(node->a), b = range_of(node->b);
      return within(node->dtype, __int128{a.low} + b.low, __int128{a.high} + b.high);
    }
    if (const auto* node = expr.as<Sub>()) {
      const Interval a = range_of(node->a), b = range_of(node->b);
      return within(node->dtype, __int128{a.low} - b.high, __int128{a.high} - b.low);
    }
    if (const auto* node = expr.as<Mul>()) {
      const Interval a = range_of(node->a), b = range_of(node->b);
      const __int128 corners[] = {__int128{a.low} * b.low, __int128{a.low} * b.high,
                                  __int128{a.high} * b.low, __int128{a.high} * b.high};
      return within(node->dtype, *std::min_element(corners, corners + 4),
                    *std::max_element(corners, corners + 4));
    }
    if (const auto* node = expr.as<FloorDiv>()) {
      const Interval a = range_of(node->a);
      if (const auto b = constant_of(node->b); b && *b > 0)
        return {a.low <= -kUnbounded ? a.low : floor_div(a.low, *b),
                a.high >= kUnbounded ? a.high : floor_div(a.high, *b)};
    }
    if (const auto* node = expr.as<FloorMod>())
      if (const auto b = constant_of(node->b); b && *b > 0)
        return {0, *b - 1};
    if (const auto* node = expr.as<Min>()) {
      const Interval a = range_of(node->a), b = range_of(node->b);
      return {std::min(a.low, b.low), std::min(a.high, b.high)};
    }
    if (const auto* node = expr.as<Max>()) {
      const Interval a = range_of(node->a), b = range_of(node->b);
      return {std::max(a.low, b.low), std::max(a.high, b.high)};
    }
    if (const auto* node = expr.as<Cast>())
      if (node->dtype.is_int() && node->value->dtype.is_int() &&
          node->dtype.bits >= node->value->dtype.bits)
        return range_of(node->value);
    return {};
  }

  int64_t divisor_of(const Expr& expr) const {
    if (const auto value = constant_of(expr))
      return power_of_two_divisor(*value);
    if (const auto* var = expr.as<VarNode>()) {
      const auto place = vars_.find(var);
      return place == vars_.end() ? 1 : place->second.divisor;
    }
    if (const auto* node = expr.as<Add>())
      return std::min(divisor_of(node->a), divisor_of(node->b));
    if (const auto* node = expr.as<Sub>())
      return std::min(divisor_of(node->a), divisor_of(node->b));
    if (const auto* node = expr.as<Mul>())
      return std::min<int64_t>(int64_t{1} << 30, divisor_of(node->a) * divisor_of(node->b));
    if (const auto* node = expr.as<FloorMod>())
      return std::min(divisor_of(node->a), divisor_of(node->b));
    if (const auto* node = expr.as<FloorDiv>())
      if (const auto b = constant_of(node->b);
          b && *b > 0 && std::has_single_bit(static_cast<uint64_t>(*b)))
        return std::max<int64_t>(1, divisor_of(node->a) / *b);
    if (const auto* node = expr.as<Cast>())
      if (node->dtype.is_int() && node->value->dtype.is_int() &&
          node->dtype.bits >= node->value->dtype.bits)
        return divisor_of(node->value);
    return 1;
  }

  /// Evaluating it where it would not have been evaluated is harmless: no load, no division that
  /// might be by zero, nothing slow.
  bool is_speculatable(const Expr& expr, int budget = 8) const {
    bool harmless = true;
    walk(expr, [&](const NodeRef& node) {
      if (!harmless || --budget < 0) {
        harmless = false;
        return false;
      }
      const auto divides = [&](const Expr& divisor) {
        const auto value = constant_of(divisor);
        if (!divisor->dtype.is_floating() && (!value || *value == 0))
          harmless = false;
      };
      if (node.is<BufferLoad>() || node.is<Let>())
        harmless = false;
      else if (const auto* div = node.as<Div>())
        divides(div->b);
      else if (const auto* mod = node.as<Mod>())
        divides(mod->b);
      else if (const auto* floor_div_node = node.as<FloorDiv>())
        divides(floor_div_node->b);
      else if (const auto* floor_mod_node = node.as<FloorMod>())
        divides(floor_mod_node->b);
      else if (const auto* call = node.as<Call>()) {
        const OpInfo* op = find_op(call->op);
        if (op == nullptr || !op->pure || op->math)
          harmless = false;
      }
      return harmless;
    });
    return harmless;
  }

  // ---------------------------------------------------------------- index arithmetic (i64, nsw)
  /// Adds scale * expr to `sum`.
  void collect(const Expr& expr, int64_t scale, Linear& sum) {
    if (const auto value = constant_of(expr)) {
      sum.constant += *value * scale;
      return;
    }
    if (const auto* node = expr.as<Add>()) {
      collect(node->a, scale, sum);
      collect(node->b, scale, sum);
      return;
    }
    if (const auto* node = expr.as<Sub>()) {
      collect(node->a, scale, sum);
      collect(node->b, -scale, sum);
      return;
    }
    if (const auto* node = expr.as<Mul>()) {
      if (const auto value = constant_of(node->b))
        return collect(node->a, scale * *value, sum);
      if (const auto value = constant_of(node->a))
        return collect(node->b, scale * *value, sum);
    }
    if (const auto* node = expr.as<Ramp>())
      if (const auto step = as_int(node->stride)) {
        sum.step += *step * scale;
        return collect(node->base, scale, sum);
      }
    if (const auto* node = expr.as<Broadcast>())
      return collect(node->value, scale, sum);
    if (const auto* node = expr.as<Cast>())
      if (node->dtype.is_int() && node->value->dtype.is_int() &&
          node->dtype.bits >= node->value->dtype.bits)
        return collect(node->value, scale, sum);
    auto& terms = expr->dtype.lanes == 1 ? sum.terms : sum.vector_terms;
    for (Linear::Term& term : terms)
      if (term.leaf == expr) {
        term.coefficient += scale;
        return;
      }
    terms.push_back({expr, scale});
  }

  int depth_of(const Expr& leaf) const {
    if (const auto* var = leaf.as<VarNode>())
      if (const auto place = vars_.find(var); place != vars_.end())
        return place->second.depth;
    return 1 << 20;
  }

  /// The scalar terms, outer loops first, so that what is invariant in an inner loop is one value.
  Value* sum_terms(Linear& sum) {
    std::stable_sort(sum.terms.begin(), sum.terms.end(),
                     [&](const Linear::Term& a, const Linear::Term& b) {
                       return depth_of(a.leaf) < depth_of(b.leaf);
                     });
    Value* total = nullptr;
    for (const Linear::Term& term : sum.terms) {
      if (term.coefficient == 0)
        continue;
      Value* value = emit_leaf(term.leaf);
      if (term.coefficient != 1)
        value = once(Pure::kMultiply, value, nullptr, term.coefficient,
                     [&] { return builder_.CreateNSWMul(value, const_i64(term.coefficient)); });
      total = total == nullptr ? value : once(Pure::kAdd, total, value, 0, [&] {
        return builder_.CreateNSWAdd(total, value);
      });
    }
    return total;
  }

  /// step * lane + vector terms, as <lanes x i64>.
  Value* sum_lanes(Linear& sum, int lanes) {
    std::vector<llvm::Constant*> steps;
    for (int lane = 0; lane < lanes; ++lane)
      steps.push_back(const_i64(sum.step * lane));
    Value* total = llvm::ConstantVector::get(steps);
    for (const Linear::Term& term : sum.vector_terms) {
      Value* value = emit_leaf(term.leaf);
      if (term.coefficient != 1)
        value = builder_.CreateNSWMul(value, const_i64(term.coefficient, lanes));
      total = builder_.CreateNSWAdd(total, value);
    }
    return total;
  }

  /// An integer expression as i64 (or a vector of them), assuming that nothing overflows.
  Value* emit_index(const Expr& expr) {
    const int lanes = expr->dtype.lanes;
    Linear sum;
    collect(expr, 1, sum);
    Value* total = sum_terms(sum);
    if (total == nullptr)
      total = const_i64(sum.constant);
    else if (sum.constant != 0)
      total = builder_.CreateNSWAdd(total, const_i64(sum.constant));
    if (lanes == 1)
      return total;
    total = splat(total, lanes);
    if (sum.step != 0 || !sum.vector_terms.empty())
      total = builder_.CreateNSWAdd(total, sum_lanes(sum, lanes));
    return total;
  }

  /// A part of an index that is no sum.
  Value* emit_leaf(const Expr& expr) {
    const int lanes = expr->dtype.lanes;
    if (const auto* var = expr.as<VarNode>()) {
      const auto place = vars_.find(var);
      if (place == vars_.end()) {
        fail(ErrorCode::kInvalidArgument, "variable '" + var->name + "' is not defined here");
        return llvm::PoisonValue::get(i64(lanes));
      }
      // Widened where it is used: a cached value would have to dominate every later use.
      if (place->second.wide != nullptr)
        return place->second.wide;
      return widen_integer(place->second.value, expr->dtype);
    }
    const bool is_signed = !expr->dtype.is_uint();
    if (is_signed && !expr->dtype.is_bool()) {
      if (const auto* node = expr.as<Mul>())
        return builder_.CreateNSWMul(emit_index(node->a), emit_index(node->b));
      if (const auto* node = expr.as<FloorDiv>())
        return emit_division(node->a, node->b, emit_index(node->a), emit_index(node->b), true,
                             true);
      if (const auto* node = expr.as<FloorMod>())
        return emit_division(node->a, node->b, emit_index(node->a), emit_index(node->b), true,
                             false);
      if (const auto* node = expr.as<Min>())
        return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, emit_index(node->a),
                                              emit_index(node->b));
      if (const auto* node = expr.as<Max>())
        return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, emit_index(node->a),
                                              emit_index(node->b));
      if (const auto* node = expr.as<Ramp>()) {
        std::vector<llvm::Constant*> lane_numbers;
        for (int lane = 0; lane < lanes; ++lane)
          lane_numbers.push_back(const_i64(lane));
        Value* steps = builder_.CreateNSWMul(splat(emit_index(node->stride), lanes),
                                             llvm::ConstantVector::get(lane_numbers));
        return builder_.CreateNSWAdd(splat(emit_index(node->base), lanes), steps);
      }
    }
    return widen_integer(emit(expr), expr->dtype);
  }

  Value* widen_integer(Value* value, DataType type) {
    return type.is_int() ? builder_.CreateSExtOrTrunc(value, i64(type.lanes))
                         : builder_.CreateZExtOrTrunc(value, i64(type.lanes));
  }

  /// a / b or a mod b of signed integers of any width. `floor`: towards minus infinity; else
  /// towards zero. `quotient`: the quotient, else the rest. What is known about the operands picks
  /// the form.
  Value* emit_division(const Expr& a_expr, const Expr& b_expr, Value* a, Value* b, bool floor,
                       bool quotient) {
    llvm::Type* type = a->getType();
    const auto constant = [&](int64_t value) {
      return llvm::ConstantInt::get(type, static_cast<uint64_t>(value), true);
    };
    const Interval b_range = range_of(b_expr);
    const auto divisor = constant_of(b_expr);
    const bool divisor_positive = b_range.low > 0;
    if (divisor_positive && range_of(a_expr).low >= 0)
      return quotient ? builder_.CreateUDiv(a, b) : builder_.CreateURem(a, b);
    if (floor && divisor && *divisor > 0 && std::has_single_bit(static_cast<uint64_t>(*divisor))) {
      if (quotient)
        return builder_.CreateAShr(a, constant(std::countr_zero(static_cast<uint64_t>(*divisor))));
      return builder_.CreateAnd(a, constant(*divisor - 1));
    }
    // The smallest integer divided by -1 wraps (x86 would trap), so -1 is replaced beforehand.
    Value* negates = nullptr;
    if (!(divisor && *divisor != -1) && !divisor_positive) {
      negates = builder_.CreateICmpEQ(b, constant(-1));
      b = builder_.CreateSelect(negates, constant(1), b);
    }
    Value* result = nullptr;
    if (!floor) {
      result = quotient ? builder_.CreateSDiv(a, b) : builder_.CreateSRem(a, b);
    } else {
      Value* rest = builder_.CreateSRem(a, b);
      Value* opposite = builder_.CreateICmpSLT(
          divisor_positive ? rest : builder_.CreateXor(rest, b), constant(0));
      if (!divisor_positive)
        opposite = builder_.CreateAnd(opposite, builder_.CreateICmpNE(rest, constant(0)));
      if (quotient) {
        Value* down = builder_.CreateSDiv(a, b);
        result = builder_.CreateSelect(opposite, builder_.CreateSub(down, constant(1)), down);
      } else {
        result = builder_.CreateSelect(opposite, builder_.CreateAdd(rest, b), rest);
      }
    }
    if (negates != nullptr)
      result =
          builder_.CreateSelect(negates, quotient ? builder_.CreateNeg(a) : constant(0), result);
    return result;
  }

  // ---------------------------------------------------------------- memory
  /// An access: where it starts and how its lanes lie.
  struct Access {
    Memory memory;
    Linear index;
    int lanes = 1;       ///< lanes of the index
    int group = 1;       ///< elements per lane (buffers of vectors)
    bool checked = true; ///< the address is inside the buffer even if lanes are off
  };

  bool make_access(const Buffer& buffer, const std::vector<Expr>& indices, bool masked,
                   Access& access) {
    const auto place = buffers_.find(buffer.get());
    if (place == buffers_.end()) {
      fail(ErrorCode::kInvalidArgument, "buffer '" + buffer->name + "' is not defined here");
      return false;
    }
    if (buffer->layout) {
      fail(ErrorCode::kUnsupported,
           "buffer '" + buffer->name + "' has a layout; flatten buffers before compiling");
      return false;
    }
    access.memory = place->second;
    access.group = buffer->dtype.lanes;
    access.checked = !masked;
    int64_t stride = 1;
    for (size_t i = indices.size(); i-- > 0;) {
      int64_t scale = stride;
      if (!buffer->strides.empty()) {
        const auto given = as_int(buffer->strides[i]);
        if (!given) {
          fail(ErrorCode::kUnsupported, "buffer '" + buffer->name + "' has a symbolic stride");
          return false;
        }
        scale = *given;
      } else {
        const auto extent = as_int(buffer->shape[i]);
        if (!extent && i > 0) {
          fail(ErrorCode::kUnsupported, "buffer '" + buffer->name +
                                            "' has a symbolic shape; bind its sizes before "
                                            "compiling");
          return false;
        }
        stride *= extent.value_or(1);
      }
      access.lanes = std::max<int>(access.lanes, indices[i]->dtype.lanes);
      collect(indices[i], scale, access.index);
    }
    if (buffer->elem_offset)
      collect(buffer->elem_offset, 1, access.index);
    if (access.group > 1) {
      if (access.lanes > 1 && (access.index.step != 1 || !access.index.vector_terms.empty())) {
        fail(ErrorCode::kUnsupported,
             "buffer '" + buffer->name + "' holds vectors, which can only be read side by side");
        return false;
      }
      for (Linear::Term& term : access.index.terms)
        term.coefficient *= access.group;
      access.index.constant *= access.group;
      access.index.step = 1;
      access.lanes *= access.group;
    }
    return true;
  }

  Place place_of(Access& access, llvm::Type* element, int lanes) {
    return {access.memory.pointer, sum_terms(access.index), access.index.constant, lanes, element};
  }

  Value* address(Access& access, llvm::Type* element) {
    Value* pointer = access.memory.pointer;
    const auto step = [&](Value* index) {
      // The element's type belongs to the key, and its size tells it.
      const int64_t bits = element->getPrimitiveSizeInBits();
      pointer = access.checked
                    ? once(Pure::kAddress, pointer, index, bits,
                           [&] { return builder_.CreateInBoundsGEP(element, pointer, index); })
                    : once(Pure::kFreeAddress, pointer, index, bits,
                           [&] { return builder_.CreateGEP(element, pointer, index); });
    };
    if (Value* variable = sum_terms(access.index))
      step(variable);
    if (access.index.constant != 0)
      step(const_i64(access.index.constant));
    return pointer;
  }

  llvm::Align alignment_of(const Access& access, int64_t element_bytes, bool contiguous) const {
    int64_t elements = power_of_two_divisor(access.index.constant);
    for (const Linear::Term& term : access.index.terms)
      elements = std::min(elements, divisor_of(term.leaf) * power_of_two_divisor(term.coefficient));
    if (!contiguous)
      elements = 1;
    return llvm::Align(
        static_cast<uint64_t>(std::min(access.memory.alignment, elements * element_bytes)));
  }

  Value* reverse(Value* vector) { return builder_.CreateVectorReverse(vector); }

  /// The mask of an access of `lanes` lanes: its predicate and the masks of vector conditions
  /// around it; null when every lane is on.
  Value* access_mask(const Expr& predicate, int lanes) {
    Value* mask = predicate ? emit(predicate) : nullptr;
    if (mask != nullptr && lanes > 1 && lanes_of(mask) == 1)
      mask = splat(mask, lanes);
    if (mask_ != nullptr) {
      Value* around = mask_;
      if (lanes_of(around) != lanes)
        around = splat(builder_.CreateOrReduce(around), lanes);
      mask = mask == nullptr ? around : builder_.CreateAnd(mask, around);
    }
    return mask;
  }

  void mark_invariant(llvm::Instruction* load, const Access& access) {
    if (access.memory.invariant)
      load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  }

  /// `lanes` elements side by side; what this block has of them already, if it has.
  Value* load_once(Access& access, llvm::Type* element, int lanes) {
    llvm::Type* type = with_lanes(element, lanes);
    const Place place = place_of(access, element, lanes);
    Value* value = held(place);
    if (value != nullptr && value->getType() == type)
      return value;
    const auto bytes = static_cast<int64_t>(element->getPrimitiveSizeInBits()) / 8;
    auto* load = builder_.CreateAlignedLoad(type, address(access, element),
                                            alignment_of(access, bytes, true));
    mark_invariant(load, access);
    hold_loaded(place, load);
    return load;
  }

  Value* emit_load(const BufferLoad& node) {
    Access access;
    const bool masked = node.predicate || mask_ != nullptr;
    if (!make_access(node.buffer, node.indices, masked, access))
      return llvm::PoisonValue::get(register_type(node.dtype));
    llvm::Type* element = memory_scalar(node.buffer->dtype);
    const int64_t bytes = node.buffer->dtype.element_bytes();
    Value* mask = access_mask(node.predicate, access.lanes);
    const int lanes = access.lanes;
    Value* result = nullptr;
    if (mask != nullptr)
      note_read(access.memory.pointer);
    const bool uniform = lanes > 1 && access.index.step == 0 && access.index.vector_terms.empty();
    if (lanes == 1 || (uniform && mask == nullptr)) {
      if (mask == nullptr) {
        result = splat(load_once(access, element, 1), lanes);
      } else {
        Value* pointer = address(access, element);
        const llvm::Align align = alignment_of(access, bytes, true);
        // One lane that may be off: a vector of one element keeps it branch-free.
        auto* vector = llvm::FixedVectorType::get(element, 1);
        Value* one = builder_.CreateInsertElement(
            llvm::PoisonValue::get(llvm::FixedVectorType::get(builder_.getInt1Ty(), 1)), mask,
            uint64_t{0});
        Value* load = builder_.CreateMaskedLoad(vector, pointer, align, one,
                                                llvm::Constant::getNullValue(vector));
        result = builder_.CreateExtractElement(load, uint64_t{0});
      }
    } else if (std::abs(access.index.step) == 1 && access.index.vector_terms.empty()) {
      const bool backwards = access.index.step == -1;
      if (backwards) {
        access.index.constant -= lanes - 1;
        if (mask != nullptr)
          mask = reverse(mask);
      }
      auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
      if (mask == nullptr) {
        result = load_once(access, element, lanes);
      } else {
        Value* pointer = address(access, element);
        const llvm::Align align = alignment_of(access, bytes, true);
        auto* load = builder_.CreateMaskedLoad(vector, pointer, align, mask,
                                               llvm::Constant::getNullValue(vector));
        mark_invariant(load, access);
        result = load;
      }
      if (backwards)
        result = reverse(result);
    } else {
      auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
      note_read(access.memory.pointer);
      Value* pointer = address(access, element);
      Value* pointers = builder_.CreateGEP(element, pointer, sum_lanes(access.index, lanes));
      if (mask == nullptr)
        mask = llvm::ConstantInt::getTrue(with_lanes(builder_.getInt1Ty(), lanes));
      auto* load =
          builder_.CreateMaskedGather(vector, pointers, llvm::Align(static_cast<uint64_t>(bytes)),
                                      mask, llvm::Constant::getNullValue(vector));
      mark_invariant(load, access);
      result = load;
    }
    return node.dtype.is_bool() ? builder_.CreateIsNotNull(result) : result;
  }

  /// `value`, of `lanes` elements side by side, is stored and known from now on.
  void store_and_hold(Access& access, Value* value, llvm::Type* element, int lanes) {
    const auto bytes = static_cast<int64_t>(element->getPrimitiveSizeInBits()) / 8;
    llvm::StoreInst* store = builder_.CreateAlignedStore(value, address(access, element),
                                                         alignment_of(access, bytes, true));
    hold_stored(place_of(access, element, lanes), value, store);
  }

  void emit_store(const BufferStore& node) {
    Value* value = emit(node.value);
    Access access;
    if (!make_access(node.buffer, node.indices, static_cast<bool>(node.predicate), access))
      return;
    llvm::Type* element = memory_scalar(node.buffer->dtype);
    const int64_t bytes = node.buffer->dtype.element_bytes();
    const int lanes = access.lanes;
    Value* mask = node.predicate ? access_mask(node.predicate, lanes) : nullptr;
    if (node.buffer->dtype.is_bool())
      value = builder_.CreateZExt(value, with_lanes(element, lanes_of(value)));
    if (lanes_of(value) == 1)
      value = splat(value, lanes);
    if (lanes_of(value) != lanes)
      return fail(ErrorCode::kInvalidArgument, "a store to '" + node.buffer->name + "' has " +
                                                   std::to_string(lanes) + " lanes of index and " +
                                                   std::to_string(lanes_of(value)) + " of value");
    if (lanes == 1) {
      if (mask == nullptr) {
        store_and_hold(access, value, element, lanes);
        return;
      }
      Value* pointer = address(access, element);
      const llvm::Align align = alignment_of(access, bytes, true);
      BasicBlock* write = new_block("write");
      BasicBlock* next = new_block("");
      builder_.CreateCondBr(mask, write, next);
      builder_.SetInsertPoint(write);
      builder_.CreateAlignedStore(value, pointer, align);
      builder_.CreateBr(next);
      builder_.SetInsertPoint(next);
      return;
    }
    if (std::abs(access.index.step) == 1 && access.index.vector_terms.empty()) {
      if (access.index.step == -1) {
        access.index.constant -= lanes - 1;
        value = reverse(value);
        if (mask != nullptr)
          mask = reverse(mask);
      }
      if (mask == nullptr) {
        store_and_hold(access, value, element, lanes);
      } else {
        Value* pointer = address(access, element);
        const llvm::Align align = alignment_of(access, bytes, true);
        builder_.CreateMaskedStore(value, pointer, align, mask);
        forget_all_of(access.memory.pointer);
      }
      return;
    }
    forget_all_of(access.memory.pointer);
    Value* pointer = address(access, element);
    Value* pointers = builder_.CreateGEP(element, pointer, sum_lanes(access.index, lanes));
    builder_.CreateMaskedScatter(value, pointers, llvm::Align(static_cast<uint64_t>(bytes)), mask);
  }

  // ---------------------------------------------------------------- 16-bit floats
  Value* widen_float(Value* value, DataType type) {
    const int lanes = lanes_of(value);
    if (type.code == TypeCode::kBFloat) {
      Value* bits =
          builder_.CreateShl(builder_.CreateZExt(value, i32(lanes)), const_i32(16, lanes));
      return builder_.CreateBitCast(bits, f32(lanes));
    }
    if (options_.has_f16c)
      return builder_.CreateFPExt(value, f32(lanes));
    // Without the instruction LLVM would call a compiler's support library, which we do not link.
    Value* half = builder_.CreateZExt(
        builder_.CreateBitCast(value, with_lanes(builder_.getInt16Ty(), lanes)), i32(lanes));
    Value* sign = builder_.CreateShl(builder_.CreateAnd(half, const_i32(0x8000, lanes)),
                                     const_i32(16, lanes));
    Value* shifted = builder_.CreateShl(builder_.CreateAnd(half, const_i32(0x7fff, lanes)),
                                        const_i32(13, lanes));
    Value* scaled = builder_.CreateFMul(builder_.CreateBitCast(shifted, f32(lanes)),
                                        llvm::ConstantFP::get(f32(lanes), 0x1p112));
    Value* bits = builder_.CreateBitCast(scaled, i32(lanes));
    Value* special = builder_.CreateICmpUGE(shifted, const_i32(0x0f800000, lanes));
    bits =
        builder_.CreateSelect(special, builder_.CreateOr(bits, const_i32(0x7f800000, lanes)), bits);
    return builder_.CreateBitCast(builder_.CreateOr(bits, sign), f32(lanes));
  }

  Value* narrow_float(Value* value, DataType type) {
    const int lanes = lanes_of(value);
    if (type.code == TypeCode::kFloat && options_.has_f16c)
      return builder_.CreateFPTrunc(value, with_lanes(builder_.getHalfTy(), lanes));
    Value* bits = builder_.CreateBitCast(value, i32(lanes));
    llvm::Type* i16 = with_lanes(builder_.getInt16Ty(), lanes);
    if (type.code == TypeCode::kBFloat) {
      // Round to nearest even; a NaN keeps its upper bits and becomes quiet.
      Value* upper = builder_.CreateLShr(bits, const_i32(16, lanes));
      Value* odd = builder_.CreateAnd(upper, const_i32(1, lanes));
      Value* rounded = builder_.CreateLShr(
          builder_.CreateAdd(bits, builder_.CreateAdd(odd, const_i32(0x7fff, lanes))),
          const_i32(16, lanes));
      Value* nan = builder_.CreateFCmpUNO(value, value);
      return builder_.CreateTrunc(
          builder_.CreateSelect(nan, builder_.CreateOr(upper, const_i32(0x40, lanes)), rounded),
          i16);
    }
    Value* magnitude = builder_.CreateAnd(bits, const_i32(0x7fffffff, lanes));
    Value* sign = builder_.CreateAnd(builder_.CreateLShr(bits, const_i32(16, lanes)),
                                     const_i32(0x8000, lanes));
    Value* odd = builder_.CreateAnd(builder_.CreateLShr(magnitude, const_i32(13, lanes)),
                                    const_i32(1, lanes));
    Value* normal = builder_.CreateLShr(
        builder_.CreateAdd(magnitude, builder_.CreateAdd(odd, const_i32(0xc8000fff, lanes))),
        const_i32(13, lanes));
    // Adding 0.5 shifts a subnormal result's bits into place, rounded by the addition.
    Value* tiny = builder_.CreateSub(
        builder_.CreateBitCast(builder_.CreateFAdd(builder_.CreateBitCast(magnitude, f32(lanes)),
                                                   llvm::ConstantFP::get(f32(lanes), 0.5)),
                               i32(lanes)),
        const_i32(0x3f000000, lanes));
    Value* result = builder_.CreateSelect(
        builder_.CreateICmpULT(magnitude, const_i32(0x38800000, lanes)), tiny, normal);
    result = builder_.CreateSelect(builder_.CreateICmpUGE(magnitude, const_i32(0x47800000, lanes)),
                                   const_i32(0x7c00, lanes), result);
    result = builder_.CreateSelect(builder_.CreateICmpUGT(magnitude, const_i32(0x7f800000, lanes)),
                                   const_i32(0x7e00, lanes), result);
    result = builder_.CreateTrunc(builder_.CreateOr(result, sign), i16);
    return builder_.CreateBitCast(result, with_lanes(builder_.getHalfTy(), lanes));
  }

  /// double to float such that rounding once more, to 16 bits, gives what rounding once would:
  /// towards zero, with the last bit set when inexact.
  Value* round_to_odd(Value* value) {
    const int lanes = lanes_of(value);
    llvm::Type* f64 = value->getType();
    Value* narrow = builder_.CreateFPTrunc(value, f32(lanes));
    Value* back = builder_.CreateFPExt(narrow, f64);
    Value* bits = builder_.CreateBitCast(narrow, i32(lanes));
    const auto magnitude = [&](Value* v) {
      return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v);
    };
    Value* above = builder_.CreateFCmpOGT(magnitude(back), magnitude(value));
    Value* truncated =
        builder_.CreateSelect(above, builder_.CreateSub(bits, const_i32(1, lanes)), bits);
    Value* inexact = builder_.CreateFCmpONE(back, value);
    return builder_.CreateBitCast(
        builder_.CreateSelect(inexact, builder_.CreateOr(truncated, const_i32(1, lanes)), bits),
        f32(lanes));
  }

  // ---------------------------------------------------------------- casts
  Value* convert(Value* value, DataType from, DataType to) {
    if (from.element() == to.element())
      return value;
    const int lanes = lanes_of(value);
    llvm::Type* type = with_lanes(scalar_type(to), lanes);
    if (from.is_handle() || to.is_handle())
      return unsupported("a cast to or from a handle cannot be compiled", to);
    if (to.is_bool()) {
      if (!from.is_floating())
        return builder_.CreateIsNotNull(value);
      Value* real = is_small_float(from) ? widen_float(value, from) : value;
      return builder_.CreateFCmpUNE(real, llvm::Constant::getNullValue(real->getType()));
    }
    if (to.is_integral()) {
      if (from.is_floating()) {
        Value* real = is_small_float(from) ? widen_float(value, from) : value;
        return to.is_int() ? builder_.CreateFPToSI(real, type) : builder_.CreateFPToUI(real, type);
      }
      return from.is_int() ? builder_.CreateSExtOrTrunc(value, type)
                           : builder_.CreateZExtOrTrunc(value, type);
    }
    if (!is_small_float(to)) {
      if (from.is_floating()) {
        Value* real = is_small_float(from) ? widen_float(value, from) : value;
        return builder_.CreateFPCast(real, type);
      }
      return from.is_int() ? builder_.CreateSIToFP(value, type)
                           : builder_.CreateUIToFP(value, type);
    }
    if (from.is_floating()) {
      if (is_small_float(from))
        return narrow_float(widen_float(value, from), to);
      return narrow_float(from.bits == 64 ? round_to_odd(value) : value, to);
    }
    llvm::Type* f64 = with_lanes(builder_.getDoubleTy(), lanes);
    Value* real =
        from.is_int() ? builder_.CreateSIToFP(value, f64) : builder_.CreateUIToFP(value, f64);
    return narrow_float(round_to_odd(real), to);
  }

  // ---------------------------------------------------------------- expressions
  /// A floating expression in its arithmetic type: float for the 16-bit types, not yet rounded.
  Value* emit_real(const Expr& expr) {
    if (!is_small_float(expr->dtype))
      return emit(expr);
    if (Value* value = emit_float_arithmetic(expr))
      return value;
    return widen_float(emit(expr), expr->dtype);
  }

  /// Null when `expr` is not an operation of floating arithmetic.
  Value* emit_float_arithmetic(const Expr& expr) {
    const auto binary = [&](const auto* node, auto&& make) -> Value* {
      Value* a = emit_real(node->a);
      return make(a, emit_real(node->b));
    };
    if (const auto* node = expr.as<Add>()) {
      // As instruction selection would make of the two, which it finds faster in one.
      if (const auto* product = node->b.as<Mul>(); product != nullptr && options_.has_fma) {
        Value* sum = emit_real(node->a);
        Value* a = emit_real(product->a);
        Value* b = emit_real(product->b);
        return builder_.CreateIntrinsic(llvm::Intrinsic::fmuladd, {sum->getType()}, {a, b, sum});
      }
      return binary(node, [&](Value* a, Value* b) { return builder_.CreateFAdd(a, b); });
    }
    if (const auto* node = expr.as<Sub>())
      return binary(node, [&](Value* a, Value* b) { return builder_.CreateFSub(a, b); });
    if (const auto* node = expr.as<Mul>())
      return binary(node, [&](Value* a, Value* b) { return builder_.CreateFMul(a, b); });
    if (const auto* node = expr.as<Div>())
      return binary(node, [&](Value* a, Value* b) { return builder_.CreateFDiv(a, b); });
    if (const auto* node = expr.as<Mod>())
      return binary(node, [&](Value* a, Value* b) { return builder_.CreateFRem(a, b); });
    if (const auto* node = expr.as<Min>())
      return binary(node, [&](Value* a, Value* b) { return float_min(a, b); });
    if (const auto* node = expr.as<Max>())
      return binary(node, [&](Value* a, Value* b) { return float_max(a, b); });
    if (const auto* node = expr.as<Call>())
      return emit_float_call(*node);
    return nullptr;
  }

  // (a < b) ? a : b, which is what minps computes; the interpreter does the same.
  Value* float_min(Value* a, Value* b) {
    return builder_.CreateSelect(builder_.CreateFCmpOLT(a, b), a, b);
  }
  Value* float_max(Value* a, Value* b) {
    return builder_.CreateSelect(builder_.CreateFCmpOGT(a, b), a, b);
  }

  Value* emit_float_call(const Call& call) {
    const std::string& op = call.op;
    using namespace llvm::Intrinsic; // NOLINT
    static constexpr std::pair<const char*, ID> kUnary[] = {
        {"floor", floor},         {"ceil", ceil}, {"round", round}, {"trunc", trunc},
        {"nearbyint", nearbyint}, {"abs", fabs},  {"sqrt", sqrt},
    };
    for (const auto& [name, id] : kUnary)
      if (op == name)
        return builder_.CreateUnaryIntrinsic(id, emit_real(call.args[0]));
    if (op == "copysign") {
      Value* a = emit_real(call.args[0]);
      return builder_.CreateBinaryIntrinsic(copysign, a, emit_real(call.args[1]));
    }
    if (op == "fma") {
      Value* a = emit_real(call.args[0]);
      Value* b = emit_real(call.args[1]);
      Value* c = emit_real(call.args[2]);
      return builder_.CreateIntrinsic(a->getType(), fma, {a, b, c});
    }
    if (op == "vector_reduce_add" || op == "vector_reduce_max" || op == "vector_reduce_min")
      return reduce(emit_real(call.args[0]), [&](Value* a, Value* b) {
        return op == "vector_reduce_add"   ? builder_.CreateFAdd(a, b)
               : op == "vector_reduce_max" ? float_max(a, b)
                                           : float_min(a, b);
      });
    const OpInfo* info = find_op(op);
    if (info != nullptr && info->math) {
      std::vector<Value*> args;
      for (const Expr& arg : call.args)
        args.push_back(emit_real(arg));
      return emit_math(builder_,
                       {.has_fma = options_.has_fma,
                        .has_avx512 = options_.has_avx512,
                        .has_avx512dq = options_.has_avx512dq},
                       op, args);
    }
    return nullptr;
  }

  /// Folds a vector's halves onto each other until one lane is left.
  template <typename F> Value* reduce(Value* vector, F&& combine) {
    int lanes = lanes_of(vector);
    if (lanes == 1)
      return vector;
    Value* odd = nullptr; // the last lane of an odd count is combined at the end
    while (lanes > 1) {
      if (lanes % 2 != 0) {
        Value* last = builder_.CreateExtractElement(vector, static_cast<uint64_t>(lanes - 1));
        odd = odd == nullptr ? last : combine(odd, last);
        --lanes;
      }
      lanes /= 2;
      std::vector<int> low(static_cast<size_t>(lanes));
      std::iota(low.begin(), low.end(), 0);
      std::vector<int> high(static_cast<size_t>(lanes));
      std::iota(high.begin(), high.end(), lanes);
      vector = combine(builder_.CreateShuffleVector(vector, low),
                       builder_.CreateShuffleVector(vector, high));
    }
    Value* result = builder_.CreateExtractElement(vector, uint64_t{0});
    return odd == nullptr ? result : combine(result, odd);
  }

  Value* emit(const Expr& expr) {
    if (error_)
      return llvm::PoisonValue::get(register_type(expr->dtype));
    if (expr->dtype.is_floating())
      if (Value* value = emit_float_arithmetic(expr))
        return is_small_float(expr->dtype) ? narrow_float(value, expr->dtype) : value;
    return visit(
        expr, [&](const VarNode& node) { return emit_var(node); },
        [&](const IntImm& node) -> Value* {
          return llvm::ConstantInt::get(register_type(node.dtype),
                                        static_cast<uint64_t>(node.value), true);
        },
        [&](const FloatImm& node) -> Value* { return emit_float_imm(node); },
        [&](const StringImm& node) {
          return unsupported("a string has no place in code for a CPU", node.dtype);
        },
        [&](const ListImm& node) {
          return unsupported("a list has no place in code for a CPU", node.dtype);
        },
        [&](const Cast& node) -> Value* {
          // A value that was not yet rounded to 16 bits must be before it is seen as wider.
          return convert(emit(node.value), node.value->dtype, node.dtype);
        },
        [&](const Add& node) -> Value* {
          Value* a = emit(node.a);
          return builder_.CreateAdd(a, emit(node.b));
        },
        [&](const Sub& node) -> Value* {
          Value* a = emit(node.a);
          return builder_.CreateSub(a, emit(node.b));
        },
        [&](const Mul& node) -> Value* {
          Value* a = emit(node.a);
          return builder_.CreateMul(a, emit(node.b));
        },
        [&](const Div& node) { return emit_integer_division(node.a, node.b, false, true); },
        [&](const Mod& node) { return emit_integer_division(node.a, node.b, false, false); },
        [&](const FloorDiv& node) { return emit_integer_division(node.a, node.b, true, true); },
        [&](const FloorMod& node) { return emit_integer_division(node.a, node.b, true, false); },
        [&](const Min& node) { return emit_extremum(node.a, node.b, true); },
        [&](const Max& node) { return emit_extremum(node.a, node.b, false); },
        [&](const EQ& node) { return compare(node.a, node.b, Order::kEqual); },
        [&](const NE& node) { return compare(node.a, node.b, Order::kNotEqual); },
        [&](const LT& node) { return compare(node.a, node.b, Order::kLess); },
        [&](const LE& node) { return compare(node.a, node.b, Order::kLessEqual); },
        [&](const GT& node) { return compare(node.a, node.b, Order::kGreater); },
        [&](const GE& node) { return compare(node.a, node.b, Order::kGreaterEqual); },
        [&](const And& node) { return emit_logical(node.a, node.b, true); },
        [&](const Or& node) { return emit_logical(node.a, node.b, false); },
        [&](const Not& node) -> Value* { return builder_.CreateNot(emit(node.a)); },
        [&](const Select& node) -> Value* {
          Value* condition = emit(node.condition);
          Value* yes = emit(node.true_value);
          Value* no = emit(node.false_value);
          return builder_.CreateSelect(condition, yes, no);
        },
        [&](const BufferLoad& node) { return emit_load(node); },
        [&](const Ramp& node) { return emit_ramp(node); },
        [&](const Broadcast& node) -> Value* { return splat(emit(node.value), node.lanes()); },
        [&](const Shuffle& node) { return emit_shuffle(node); },
        [&](const Let& node) -> Value* {
          define(node.var, emit(node.value), range_of(node.value), divisor_of(node.value));
          return emit(node.body);
        },
        [&](const Call& node) { return emit_call(node); });
  }

  Value* emit_var(const VarNode& node) {
    const auto place = vars_.find(&node);
    if (place != vars_.end())
      return place->second.value;
    fail(ErrorCode::kInvalidArgument, "variable '" + node.name + "' is not defined here");
    return llvm::PoisonValue::get(register_type(node.dtype));
  }

  Value* emit_float_imm(const FloatImm& node) {
    if (node.dtype.code == TypeCode::kBFloat) {
      llvm::APFloat value(node.value);
      bool inexact = false;
      value.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven, &inexact);
      return llvm::ConstantInt::get(builder_.getInt16Ty(), value.bitcastToAPInt().getZExtValue());
    }
    return llvm::ConstantFP::get(scalar_type(node.dtype), node.value);
  }

  Value* emit_ramp(const Ramp& node) {
    const int lanes = node.lanes();
    llvm::Type* type = register_type(node.dtype);
    std::vector<llvm::Constant*> numbers;
    for (int lane = 0; lane < lanes; ++lane)
      numbers.push_back(
          llvm::ConstantInt::get(scalar_type(node.dtype), static_cast<uint64_t>(lane)));
    Value* base = splat(emit(node.base), lanes);
    Value* steps = llvm::ConstantVector::get(numbers);
    if (!is_int(node.stride, 1))
      steps = builder_.CreateMul(splat(emit(node.stride), lanes), steps);
    TEMPER_CHECK(base->getType() == type, "a ramp is a vector of its base");
    return builder_.CreateAdd(base, steps);
  }

  Value* emit_shuffle(const Shuffle& node) {
    std::vector<Value*> vectors;
    for (const Expr& vector : node.vectors)
      vectors.push_back(emit(vector));
    std::vector<std::pair<size_t, int>> lanes; // of the concatenation: vector, lane
    for (size_t i = 0; i < vectors.size(); ++i)
      for (int lane = 0; lane < lanes_of(vectors[i]); ++lane)
        lanes.emplace_back(i, lane);
    std::vector<size_t> picks;
    for (const Expr& index : node.indices) {
      const auto value = as_int(index);
      if (!value || *value < 0 || static_cast<size_t>(*value) >= lanes.size())
        return unsupported("a shuffle needs constant indices within its vectors", node.dtype);
      picks.push_back(static_cast<size_t>(*value));
    }
    const auto pick_scalar = [&](size_t pick) -> Value* {
      Value* vector = vectors[lanes[pick].first];
      return lanes_of(vector) == 1
                 ? vector
                 : builder_.CreateExtractElement(vector, static_cast<uint64_t>(lanes[pick].second));
    };
    if (picks.size() == 1)
      return pick_scalar(picks[0]);
    const bool same_width = std::all_of(vectors.begin(), vectors.end(), [&](Value* vector) {
      return vector->getType() == vectors[0]->getType() && lanes_of(vector) > 1;
    });
    if (same_width && vectors.size() <= 2) {
      std::vector<int> mask(picks.begin(), picks.end());
      Value* second =
          vectors.size() == 2 ? vectors[1] : llvm::PoisonValue::get(vectors[0]->getType());
      return builder_.CreateShuffleVector(vectors[0], second, mask);
    }
    Value* result = llvm::PoisonValue::get(register_type(node.dtype));
    for (size_t i = 0; i < picks.size(); ++i)
      result = builder_.CreateInsertElement(result, pick_scalar(picks[i]), i);
    return result;
  }

  Value* emit_integer_division(const Expr& a, const Expr& b, bool floor, bool quotient) {
    if (!a->dtype.is_integral())
      return unsupported("division of " + to_string(a->dtype) + " with rounding is not defined",
                         a->dtype);
    Value* x = emit(a);
    Value* y = emit(b);
    // A lane that is off may hold a zero: it must not trap.
    if (mask_ != nullptr && !constant_of(b)) {
      Value* on = lanes_of(mask_) == lanes_of(y) ? mask_ : builder_.CreateOrReduce(mask_);
      y = builder_.CreateSelect(on, y, llvm::ConstantInt::get(y->getType(), 1));
    }
    if (a->dtype.is_uint())
      return quotient ? builder_.CreateUDiv(x, y) : builder_.CreateURem(x, y);
    return emit_division(a, b, x, y, floor, quotient);
  }

  Value* emit_extremum(const Expr& a, const Expr& b, bool minimum) {
    Value* x = emit(a);
    Value* y = emit(b);
    if (a->dtype.is_bool())
      return minimum ? builder_.CreateAnd(x, y) : builder_.CreateOr(x, y);
    return builder_.CreateBinaryIntrinsic(extremum(a->dtype, minimum), x, y);
  }
  static llvm::Intrinsic::ID extremum(DataType type, bool minimum) {
    if (type.is_uint())
      return minimum ? llvm::Intrinsic::umin : llvm::Intrinsic::umax;
    return minimum ? llvm::Intrinsic::smin : llvm::Intrinsic::smax;
  }

  enum class Order { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
  Value* compare(const Expr& a, const Expr& b, Order order) {
    using P = llvm::CmpInst::Predicate;
    static constexpr P kFloat[] = {P::FCMP_OEQ, P::FCMP_UNE, P::FCMP_OLT,
                                   P::FCMP_OLE, P::FCMP_OGT, P::FCMP_OGE};
    static constexpr P kSigned[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_SLT,
                                    P::ICMP_SLE, P::ICMP_SGT, P::ICMP_SGE};
    static constexpr P kUnsigned[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_ULT,
                                      P::ICMP_ULE, P::ICMP_UGT, P::ICMP_UGE};
    const auto which = static_cast<size_t>(order);
    if (a->dtype.is_floating()) {
      // Compared values are rounded ones.
      Value* x = emit(a);
      Value* y = emit(b);
      if (is_small_float(a->dtype)) {
        x = widen_float(x, a->dtype);
        y = widen_float(y, b->dtype);
      }
      return builder_.CreateFCmp(kFloat[which], x, y);
    }
    Value* x = emit(a);
    Value* y = emit(b);
    return builder_.CreateICmp(a->dtype.is_int() ? kSigned[which] : kUnsigned[which], x, y);
  }

  Value* emit_logical(const Expr& a, const Expr& b, bool is_and) {
    const auto combine = [&](Value* x, Value* y) {
      return is_and ? builder_.CreateAnd(x, y) : builder_.CreateOr(x, y);
    };
    if (a->dtype.lanes > 1) {
      Value* x = emit(a);
      if (is_speculatable(b, 64))
        return combine(x, emit(b));
      Value* outer = mask_;
      Value* on = is_and ? x : builder_.CreateNot(x);
      mask_ = outer == nullptr ? on : builder_.CreateAnd(outer, on);
      Value* y = emit(b);
      mask_ = outer;
      return combine(x, y);
    }
    if (is_speculatable(b)) {
      Value* x = emit(a);
      return combine(x, emit(b));
    }
    return branch(
        a, [&]() -> Value* { return is_and ? emit(b) : builder_.getTrue(); },
        [&]() -> Value* { return is_and ? builder_.getFalse() : emit(b); });
  }

  template <typename Yes, typename No> Value* branch(const Expr& condition, Yes&& yes, No&& no) {
    Value* test = emit(condition);
    BasicBlock* on_true = new_block("yes");
    BasicBlock* on_false = new_block("no");
    BasicBlock* join = new_block("");
    builder_.CreateCondBr(test, on_true, on_false);
    builder_.SetInsertPoint(on_true);
    Value* a = yes();
    BasicBlock* end_a = builder_.GetInsertBlock();
    builder_.CreateBr(join);
    builder_.SetInsertPoint(on_false);
    Value* b = no();
    BasicBlock* end_b = builder_.GetInsertBlock();
    builder_.CreateBr(join);
    builder_.SetInsertPoint(join);
    llvm::PHINode* phi = builder_.CreatePHI(a->getType(), 2);
    phi->addIncoming(a, end_a);
    phi->addIncoming(b, end_b);
    return phi;
  }

  Value* emit_if_then_else(const Expr& condition, const Expr& yes, const Expr& no) {
    if (condition->dtype.lanes > 1) {
      Value* test = emit(condition);
      Value* outer = mask_;
      mask_ = outer == nullptr ? test : builder_.CreateAnd(outer, test);
      Value* a = emit(yes);
      Value* inverse = builder_.CreateNot(test);
      mask_ = outer == nullptr ? inverse : builder_.CreateAnd(outer, inverse);
      Value* b = emit(no);
      mask_ = outer;
      return builder_.CreateSelect(test, a, b);
    }
    if (is_speculatable(yes) && is_speculatable(no)) {
      Value* test = emit(condition);
      Value* a = emit(yes);
      return builder_.CreateSelect(test, a, emit(no));
    }
    return branch(
        condition, [&] { return emit(yes); }, [&] { return emit(no); });
  }

  Value* emit_call(const Call& call) {
    const OpInfo* op = find_op(call.op);
    if (op == nullptr || (op->arity >= 0 && static_cast<size_t>(op->arity) != call.args.size()))
      return unsupported("T." + call.op + " is no operation that code for a CPU can have",
                         call.dtype);
    const std::string& name = call.op;
    if (tir::is_atomic(call))
      return emit_atomic(call);
    if (name == tir::kPrint)
      return emit_print(call);
    if (op->result == OpResult::kStatement)
      return unsupported("T." + name +
                             " is an instruction of a GPU, which a CPU does not have: "
                             "take a cuda target, or --device emulated",
                         call.dtype);
    if (name == "if_then_else")
      return emit_if_then_else(call.args[0], call.args[1], call.args[2]);
    if (name == "likely")
      return emit(call.args[0]);
    if (name == "isnan" || name == "isinf" || name == "isfinite") {
      Value* value = emit(call.args[0]);
      if (is_small_float(call.args[0]->dtype))
        value = widen_float(value, call.args[0]->dtype);
      if (name == "isnan")
        return builder_.CreateFCmpUNO(value, value);
      Value* magnitude = builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value);
      Value* infinity = llvm::ConstantFP::getInfinity(value->getType());
      return name == "isinf" ? builder_.CreateFCmpOEQ(magnitude, infinity)
                             : builder_.CreateFCmpOLT(magnitude, infinity);
    }
    if (name == "prefetch")
      return emit_prefetch(call);
    if (name == "amx_multiply_add") {
      const Call* const alone = &call;
      return emit_amx({&alone, 1});
    }
    if (name == "call_llvm_pure_intrin")
      return emit_llvm_intrinsic(call);
    if (name == "table_lookup")
      return emit_lookup(call);
    std::vector<Value*> args;
    for (const Expr& arg : call.args)
      args.push_back(emit(arg));
    const DataType type = call.args.empty() ? call.dtype : call.args[0]->dtype;
    if (name == "reinterpret")
      return emit_reinterpret(args[0], type, call.dtype);
    if (name == "bitwise_and")
      return builder_.CreateAnd(args[0], args[1]);
    if (name == "bitwise_or")
      return builder_.CreateOr(args[0], args[1]);
    if (name == "bitwise_xor")
      return builder_.CreateXor(args[0], args[1]);
    if (name == "bitwise_not")
      return builder_.CreateNot(args[0]);
    if (name == "shift_left")
      return builder_.CreateShl(args[0], args[1]);
    if (name == "shift_right")
      return type.is_int() ? builder_.CreateAShr(args[0], args[1])
                           : builder_.CreateLShr(args[0], args[1]);
    if (name == "popcount")
      return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, args[0]);
    if (name == "clz")
      return builder_.CreateIntrinsic(args[0]->getType(), llvm::Intrinsic::ctlz,
                                      {args[0], builder_.getFalse()});
    if (name == "abs")
      return type.is_int() ? builder_.CreateIntrinsic(args[0]->getType(), llvm::Intrinsic::abs,
                                                      {args[0], builder_.getFalse()})
                           : args[0];
    if (name == "vector_reduce_add")
      return reduce(args[0],
                    [&](Value* a, Value* b) -> Value* { return builder_.CreateAdd(a, b); });
    if (name == "vector_reduce_max" || name == "vector_reduce_min") {
      const bool minimum = name == "vector_reduce_min";
      return reduce(args[0], [&](Value* a, Value* b) -> Value* {
        if (type.is_bool())
          return minimum ? builder_.CreateAnd(a, b) : builder_.CreateOr(a, b);
        return builder_.CreateBinaryIntrinsic(extremum(type, minimum), a, b);
      });
    }
    return unsupported("T." + name + " on " + to_string(type) + " cannot be compiled for a CPU",
                       call.dtype);
  }

  /// The types that an instruction has in its name ("sdot.v4i32.v16i8"): as those of our values
  /// are. False when there is no such instruction.
  bool types_in_name(llvm::Intrinsic::ID id, const Call& call,
                     llvm::SmallVectorImpl<llvm::Type*>& types) {
    if (!llvm::Intrinsic::isOverloaded(id))
      return true;
    std::vector<llvm::Type*> parameters;
    for (size_t i = 1; i < call.args.size(); ++i)
      parameters.push_back(register_type(call.args[i]->dtype));
    llvm::SmallVector<llvm::Intrinsic::IITDescriptor, 8> table;
    llvm::Intrinsic::getIntrinsicInfoTableEntries(id, table);
    llvm::ArrayRef<llvm::Intrinsic::IITDescriptor> rest = table;
    return llvm::Intrinsic::matchIntrinsicSignature(
               llvm::FunctionType::get(register_type(call.dtype), parameters, false), rest,
               types) == llvm::Intrinsic::MatchIntrinsicTypes_Match &&
           llvm::Intrinsic::getName(id, types, &module_) == call.args[0].as<StringImm>()->value;
  }

  /// An instruction by LLVM's name. Its vectors may have another element type than ours (bfloat16
  /// is kept as 16 bits), as long as they have as many bits.
  Value* emit_llvm_intrinsic(const Call& call) {
    const auto* name = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
    if (name == nullptr)
      return unsupported("T.call_llvm_pure_intrin needs LLVM's name of an instruction", call.dtype);
    const llvm::Intrinsic::ID id = llvm::Function::lookupIntrinsicID(name->value);
    llvm::SmallVector<llvm::Type*, 4> types;
    if (id == llvm::Intrinsic::not_intrinsic || !types_in_name(id, call, types))
      return unsupported("LLVM " LLVM_VERSION_STRING " knows no instruction '" + name->value + "'",
                         call.dtype);
    llvm::Function* function = llvm::Intrinsic::getDeclaration(&module_, id, types);
    const llvm::FunctionType* type = function->getFunctionType();
    const auto wrong = [&](const std::string& what) {
      std::string text;
      llvm::raw_string_ostream stream(text);
      type->print(stream);
      return unsupported(name->value + " is " + text + ": " + what, call.dtype);
    };
    if (type->getNumParams() != call.args.size() - 1)
      return wrong("not of " + std::to_string(call.args.size() - 1) + " arguments");
    if (!function->doesNotAccessMemory())
      return wrong("it touches memory");
    std::vector<Value*> args;
    for (unsigned i = 0; i < type->getNumParams(); ++i) {
      Value* value = emit(call.args[i + 1]);
      llvm::Type* wanted = type->getParamType(i);
      if (value->getType() != wanted) {
        if (value->getType()->getPrimitiveSizeInBits() != wanted->getPrimitiveSizeInBits() ||
            wanted->getPrimitiveSizeInBits() == 0)
          return wrong("argument " + std::to_string(i) + " is " +
                       to_string(call.args[i + 1]->dtype));
        value = builder_.CreateBitCast(value, wanted);
      }
      args.push_back(value);
    }
    Value* result = builder_.CreateCall(function, args);
    llvm::Type* own = register_type(call.dtype);
    if (result->getType() == own)
      return result;
    if (result->getType()->getPrimitiveSizeInBits() != own->getPrimitiveSizeInBits() ||
        own->getPrimitiveSizeInBits() == 0)
      return wrong("its result is not " + to_string(call.dtype));
    return builder_.CreateBitCast(result, own);
  }

  /// One byte shuffle where the target has it for so many lanes, else a lane after the other.
  Value* emit_lookup(const Call& call) {
    const DataType type = call.dtype;
    const DataType index_type = call.args[1]->dtype;
    if (call.args[0]->dtype.lanes != 16 || call.args[0]->dtype.bits != 8 || index_type.bits != 8 ||
        index_type.lanes != type.lanes)
      return unsupported("T.table_lookup takes 16 bytes and as many indices as it gives lanes",
                         type);
    Value* table = emit(call.args[0]);
    // The instruction gives zero where the highest bit is set: it must not be.
    Value* index = builder_.CreateAnd(emit(call.args[1]),
                                      llvm::ConstantInt::get(register_type(index_type), 15));
    llvm::Intrinsic::ID shuffle = llvm::Intrinsic::not_intrinsic;
    if (type.lanes == 16)
      shuffle = llvm::Intrinsic::x86_ssse3_pshuf_b_128;
    else if (type.lanes == 32)
      shuffle = llvm::Intrinsic::x86_avx2_pshuf_b;
    else if (type.lanes == 64)
      shuffle = llvm::Intrinsic::x86_avx512_pshuf_b_512;
    if (options_.byte_shuffle_bits < type.lanes * 8)
      shuffle = llvm::Intrinsic::not_intrinsic;
    if (shuffle != llvm::Intrinsic::not_intrinsic) {
      std::vector<int> repeated;
      for (int lane = 0; lane < type.lanes; ++lane)
        repeated.push_back(lane % 16);
      return builder_.CreateIntrinsic(shuffle, {},
                                      {builder_.CreateShuffleVector(table, repeated), index});
    }
    if (type.lanes == 1)
      return builder_.CreateExtractElement(table, index);
    Value* result = llvm::PoisonValue::get(register_type(type));
    for (int lane = 0; lane < type.lanes; ++lane) {
      Value* place = builder_.CreateExtractElement(index, static_cast<uint64_t>(lane));
      result = builder_.CreateInsertElement(result, builder_.CreateExtractElement(table, place),
                                            static_cast<uint64_t>(lane));
    }
    return result;
  }

  Value* emit_reinterpret(Value* value, DataType from, DataType to) {
    if (from.bits * from.lanes != to.bits * to.lanes || from.is_bool() || to.is_bool() ||
        from.is_handle() || to.is_handle())
      return unsupported("T.reinterpret needs types of the same size, not " + to_string(from) +
                             " and " + to_string(to),
                         to);
    return builder_.CreateBitCast(value, register_type(to));
  }

  Value* emit_prefetch(const Call& call) {
    const auto* load = call.args[0].as<BufferLoad>();
    const auto write = as_int(call.args[1]);
    const auto locality = as_int(call.args[2]);
    if (load == nullptr || !write || !locality)
      return unsupported("T.prefetch takes an element of a buffer and two constants", call.dtype);
    Access access;
    // A hint may point past the end: the address must not be assumed to be inside.
    if (make_access(load->buffer, load->indices, true, access)) {
      Value* pointer = address(access, memory_scalar(load->buffer->dtype));
      builder_.CreateIntrinsic(
          llvm::Intrinsic::prefetch, {builder_.getPtrTy()},
          {pointer, builder_.getInt32(*write != 0),
           builder_.getInt32(static_cast<uint32_t>(std::clamp<int64_t>(*locality, 0, 3))),
           builder_.getInt32(1)});
    }
    return llvm::Constant::getNullValue(register_type(call.dtype));
  }

  /// One call for a line, without a buffer of its own: lines of several threads stay whole, and a
  /// kernel that is stopped has written what it came by.
  Value* emit_print(const Call& call) {
    constexpr uint32_t kStandardOutput = 1;
    std::vector<Value*> args{builder_.getInt32(kStandardOutput),
                             builder_.CreateGlobalStringPtr(tir::print_format(call), "line")};
    for (size_t i = 1; i < call.args.size(); ++i) {
      const DataType type = call.args[i]->dtype;
      Value* value = emit(call.args[i]);
      if (!type.is_scalar())
        return unsupported("T.print of " + to_string(type) + " cannot be compiled for a CPU",
                           call.dtype);
      args.push_back(type.is_floating()
                         ? builder_.CreateFPExt(value, builder_.getDoubleTy())
                         : builder_.CreateIntCast(value, builder_.getInt64Ty(), type.is_int()));
    }
    builder_.CreateCall(
        module_.getOrInsertFunction(
            "dprintf", llvm::FunctionType::get(builder_.getInt32Ty(),
                                               {builder_.getInt32Ty(), builder_.getPtrTy()}, true)),
        args);
    return llvm::Constant::getNullValue(register_type(call.dtype));
  }

  /// In one step, whatever other threads do to the element. Nothing else is ordered by it: threads
  /// see each other's work when their loop ends.
  Value* emit_atomic(const Call& call) {
    using Operation = llvm::AtomicRMWInst;
    constexpr auto kOrder = llvm::AtomicOrdering::Monotonic;
    const auto* place = call.args[0].as<BufferLoad>();
    const DataType type = call.args[0]->dtype;
    if (place == nullptr || !type.is_scalar() || (type.bits != 32 && type.bits != 64))
      return unsupported("T." + call.op + " takes an element of 32 or 64 bits", call.dtype);
    Value* value = emit(call.args[1]);
    Value* none = llvm::Constant::getNullValue(register_type(call.dtype));
    Access access;
    if (!make_access(place->buffer, place->indices, false, access))
      return none;
    forget_all_of(access.memory.pointer);
    llvm::Type* element = memory_scalar(type);
    Value* pointer = address(access, element);
    const llvm::Align alignment(static_cast<uint64_t>(type.element_bytes()));
    const bool adds = call.op == "atomic_add";
    const bool largest = call.op == "atomic_max";
    if (adds || !type.is_floating()) {
      const auto operation = adds ? (type.is_floating() ? Operation::FAdd : Operation::Add)
                             : type.is_uint() ? (largest ? Operation::UMax : Operation::UMin)
                                              : (largest ? Operation::Max : Operation::Min);
      builder_.CreateAtomicRMW(operation, pointer, value, alignment, kOrder);
      return none;
    }
    // What T.max makes of NaN is not what the instruction for floats would.
    llvm::Type* bits = builder_.getIntNTy(static_cast<unsigned>(type.bits));
    llvm::LoadInst* first = builder_.CreateAlignedLoad(bits, pointer, alignment);
    first->setAtomic(kOrder);
    BasicBlock* before = builder_.GetInsertBlock();
    BasicBlock* attempt = new_block("attempt");
    BasicBlock* done = new_block("done");
    builder_.CreateBr(attempt);
    builder_.SetInsertPoint(attempt);
    llvm::PHINode* seen = builder_.CreatePHI(bits, 2);
    Value* now = builder_.CreateBitCast(seen, element);
    Value* result =
        builder_.CreateBitCast(largest ? float_max(now, value) : float_min(now, value), bits);
    Value* exchanged =
        builder_.CreateAtomicCmpXchg(pointer, seen, result, alignment, kOrder, kOrder);
    seen->addIncoming(first, before);
    seen->addIncoming(builder_.CreateExtractValue(exchanged, 0), attempt);
    builder_.CreateCondBr(builder_.CreateExtractValue(exchanged, 1), done, attempt);
    builder_.SetInsertPoint(done);
    return none;
  }

  /// The product of tiles that the statement is; null for all else.
  static const Call* as_amx(const Stmt& stmt) {
    const auto* evaluate = stmt.as<Evaluate>();
    const auto* call = evaluate != nullptr ? evaluate->value.as<Call>() : nullptr;
    return call != nullptr && call->op == "amx_multiply_add" ? call : nullptr;
  }

  /// Another product into the same sums, which may stay in registers in between.
  static bool goes_on(const Call& first, const Call& next) {
    const auto buffer = [](const Call& call, size_t operand) -> const Node* {
      const auto* load = call.args[3 * operand].as<BufferLoad>();
      return load != nullptr ? load->buffer.get() : nullptr;
    };
    for (const size_t same : {0, 1, 2, 9, 10})
      if (!structural_equal(first.args[same], next.args[same]))
        return false;
    return is_int(next.args[12], 0) && buffer(next, 1) == buffer(first, 1) &&
           buffer(next, 2) == buffer(first, 2) && buffer(next, 1) != buffer(first, 0) &&
           buffer(next, 2) != buffer(first, 0);
  }

  /// Products one after the other into the same sums.
  Value* emit_amx(std::span<const Call* const> calls) {
    const Call& first = *calls.front();
    const auto rows = as_int(first.args[9]);
    const auto columns = as_int(first.args[10]);
    std::vector<DataType> types; // of C, A and B
    std::vector<Value*> args;
    bool known = rows && columns;
    // The first element, and how many bytes the second row lies behind it.
    const auto operand = [&](const Call& call, size_t number) {
      std::vector<Value*> places;
      for (size_t row = 0; row < 2; ++row) {
        const auto* load = call.args[3 * number + row].as<BufferLoad>();
        Access access;
        if (load == nullptr || !make_access(load->buffer, load->indices, false, access))
          return false;
        forget_all_of(access.memory.pointer); // read, and of C written
        places.push_back(address(access, memory_scalar(load->buffer->dtype)));
        if (types.size() == number)
          types.push_back(load->buffer->dtype);
      }
      args.push_back(places[0]);
      args.push_back(builder_.CreatePtrDiff(builder_.getInt8Ty(), places[1], places[0]));
      return true;
    };
    if (!operand(first, 0))
      return unsupported("T.amx_multiply_add takes elements of buffers", first.dtype);
    args.push_back(builder_.CreateIsNotNull(emit(first.args[12])));
    for (const Call* call : calls) {
      if (!operand(*call, 1) || !operand(*call, 2))
        return unsupported("T.amx_multiply_add takes elements of buffers", first.dtype);
      const auto bytes = as_int(call->args[11]).value_or(0) * types[1].bytes();
      known = known && bytes > 0 && bytes % 64 == 0;
      args.push_back(builder_.getInt64(static_cast<uint64_t>(bytes / 64)));
    }
    llvm::Function* function = nullptr;
    if (known && *columns == 32 && types[0].bits == 32)
      function = amx_multiply_add(module_, types[1], types[2], static_cast<int>(*rows),
                                  static_cast<int>(calls.size()));
    if (function == nullptr)
      return unsupported("T.amx_multiply_add takes 16 or 32 rows and 32 columns of sums of "
                         "bfloat16 or bytes, 64 bytes at a time",
                         first.dtype);
    builder_.CreateCall(function, args);
    return llvm::Constant::getNullValue(register_type(first.dtype));
  }

  // ---------------------------------------------------------------- statements
  void emit_stmt(const Stmt& stmt) {
    if (error_ || terminated())
      return;
    if (stmt->kind() < kTirKinds || stmt->kind() >= kSTirKinds)
      return fail(ErrorCode::kUnsupported,
                  "the function still has blocks; lower it to tir before compiling");
    visit(
        stmt,
        [&](const Bind& node) {
          define(node.var, emit(node.value), range_of(node.value), divisor_of(node.value));
          if (node.var->dtype.is_integral() && node.var->dtype.is_scalar())
            vars_[node.var.get()].wide =
                widen_integer(vars_[node.var.get()].value, node.var->dtype);
        },
        [&](const AllocBuffer&) {}, [&](const BufferStore& node) { emit_store(node); },
        [&](const Evaluate& node) { emit(node.value); },
        [&](const SeqStmt& node) { emit_sequence(node); },
        [&](const IfThenElse& node) { emit_if(node); }, [&](const For& node) { emit_for(node); },
        [&](const While& node) { emit_while(node); },
        [&](const Break&) {
          if (frame_.loops.empty())
            return fail(ErrorCode::kInvalidArgument,
                        "break outside a loop (or out of a parallel loop)");
          builder_.CreateBr(frame_.loops.back().on_break);
        },
        [&](const Continue&) {
          if (frame_.loops.empty())
            return fail(ErrorCode::kInvalidArgument, "continue outside a loop");
          builder_.CreateBr(frame_.loops.back().on_continue);
        },
        [&](const Return& node) { emit_return(node); },
        [&](const Assert& node) {
          const int number = assert_number(node);
          return_if(builder_.CreateNot(emit(node.condition)),
                    builder_.getInt32(static_cast<uint32_t>(kKernelAssert + number)));
        });
  }

  /// For whoever runs the kernel (codegen/assertions.h).
  void emit_assertions() {
    if (asserts_.empty())
      return;
    std::vector<const Assert*> in_order(asserts_.size());
    for (const auto& [node, number] : asserts_)
      in_order[static_cast<size_t>(number)] = node;
    std::string text;
    for (size_t i = 0; i < in_order.size(); ++i) {
      std::string message = in_order[i]->message;
      std::replace(message.begin(), message.end(), '\n', ' ');
      text += std::to_string(kKernelAssert + static_cast<int>(i)) + "\t" +
              std::to_string(in_order[i]->span.line) + "\t" + message + "\n";
    }
    llvm::Constant* bytes = llvm::ConstantDataArray::getString(context_, text);
    new llvm::GlobalVariable(module_, bytes->getType(), true, llvm::GlobalValue::ExternalLinkage,
                             bytes, assertions_symbol(options_.entry));
  }

  int assert_number(const Assert& node) {
    // A statement occurs once, but a serial copy of a parallel loop must not count twice.
    const auto [place, added] = asserts_.emplace(&node, static_cast<int>(asserts_.size()));
    return place->second;
  }

  void emit_sequence(const SeqStmt& node) {
    std::vector<llvm::AllocaInst*> live;
    for (size_t i = 0; i < node.statements.size(); ++i) {
      const Stmt& stmt = node.statements[i];
      if (const Call* product = as_amx(stmt)) {
        std::vector<const Call*> products{product};
        while (i + 1 < node.statements.size() && as_amx(node.statements[i + 1]) != nullptr &&
               goes_on(*product, *as_amx(node.statements[i + 1])))
          products.push_back(as_amx(node.statements[++i]));
        emit_amx(products);
        continue;
      }
      if (const auto* alloc = stmt.as<AllocBuffer>()) {
        if (auto* memory =
                llvm::dyn_cast_or_null<llvm::AllocaInst>(buffers_[alloc->buffer.get()].pointer)) {
          builder_.CreateLifetimeStart(memory, builder_.getInt64(stack_size(memory)));
          live.push_back(memory);
        }
        continue;
      }
      emit_stmt(stmt);
      if (terminated())
        return; // nothing after a jump is reached, and its blocks need no lifetime's end
    }
    for (llvm::AllocaInst* memory : live)
      builder_.CreateLifetimeEnd(memory, builder_.getInt64(stack_size(memory)));
  }
  uint64_t stack_size(llvm::AllocaInst* memory) {
    return module_.getDataLayout().getTypeAllocSize(memory->getAllocatedType()).getFixedValue();
  }

  void emit_if(const IfThenElse& node) {
    Value* test = emit(node.condition);
    BasicBlock* on_true = new_block("then");
    BasicBlock* on_false = node.else_case ? new_block("else") : nullptr;
    BasicBlock* join = new_block("");
    builder_.CreateCondBr(test, on_true, on_false != nullptr ? on_false : join);
    builder_.SetInsertPoint(on_true);
    emit_stmt(node.then_case);
    if (!terminated())
      builder_.CreateBr(join);
    if (on_false != nullptr) {
      builder_.SetInsertPoint(on_false);
      emit_stmt(node.else_case);
      if (!terminated())
        builder_.CreateBr(join);
    }
    builder_.SetInsertPoint(join);
    if (llvm::pred_empty(join))
      builder_.CreateUnreachable();
  }

  void emit_return(const Return& node) {
    if (in_parallel_ && (!node.value || is_int(node.value, 0)))
      return fail(ErrorCode::kUnsupported, "return out of a parallel loop needs a code that is "
                                           "not 0, since other iterations go on");
    Value* code = builder_.getInt32(0);
    if (node.value) {
      if (!node.value->dtype.is_scalar() || node.value->dtype.is_floating())
        return fail(ErrorCode::kInvalidArgument, "a kernel returns an integer code");
      code = convert(emit(node.value), node.value->dtype, DataType::int32());
    }
    builder_.CreateStore(code, frame_.code);
    builder_.CreateBr(frame_.exit);
  }

  void emit_while(const While& node) {
    BasicBlock* test = new_block("while");
    BasicBlock* body = new_block("body");
    BasicBlock* after = new_block("after");
    builder_.CreateBr(test);
    builder_.SetInsertPoint(test);
    builder_.CreateCondBr(emit(node.condition), body, after);
    frame_.loops.push_back({after, test});
    builder_.SetInsertPoint(body);
    emit_stmt(node.body);
    if (!terminated())
      builder_.CreateBr(test);
    frame_.loops.pop_back();
    builder_.SetInsertPoint(after);
  }

  static bool has_jump(const Stmt& body) {
    bool found = false;
    walk(body, [&](const NodeRef& node) {
      found = found || node.is<Break>() || node.is<Continue>();
      // Jumps of inner loops are theirs.
      return !found && node->kind() >= kTirKinds && !node.is<For>() && !node.is<While>();
    });
    return found;
  }

  void emit_for(const For& node) {
    if (node.kind == ForKind::kThreadBinding)
      return fail(ErrorCode::kUnsupported, "the loop over '" + node.loop_var->name +
                                               "' is bound to " + node.thread +
                                               ", which only a GPU has");
    if (runs_parallel(node))
      return emit_parallel(node);
    Interval range;
    {
      const Interval low = range_of(node.min);
      const Interval extent = range_of(node.extent);
      range = loop_range(low, extent);
    }
    emit_loop(node, emit_index(node.min), emit_index(node.extent), as_int(node.extent), range);
  }

  /// Loop variables do not overflow: a lower bound holds without an upper one.
  static Interval loop_range(Interval low, Interval extent) {
    const __int128 high = __int128{low.high} + extent.high - 1;
    return {low.low, high >= kUnbounded ? kUnbounded : static_cast<int64_t>(high)};
  }

  /// A counted loop over i64 from `low`, `extent` times.
  void emit_loop(const For& node, Value* low, Value* extent, std::optional<int64_t> constant_extent,
                 Interval range) {
    if (constant_extent && *constant_extent <= 0)
      return;
    const auto bind = [&](Value* counter, int64_t divisor) {
      const DataType type = node.loop_var->dtype;
      Value* value = type.bits == 64 ? counter
                                     : builder_.CreateTrunc(counter, register_type(type), "", false,
                                                            type.is_int());
      define(node.loop_var, value, range, divisor);
      vars_[node.loop_var.get()].wide = counter;
    };
    if (constant_extent && *constant_extent == 1 && !has_jump(node.body)) {
      bind(low, divisor_of(node.min));
      emit_stmt(node.body);
      return;
    }
    BasicBlock* body = new_block("loop");
    BasicBlock* next = new_block("next");
    BasicBlock* after = new_block("after");
    Value* end = builder_.CreateNSWAdd(low, extent);
    BasicBlock* before = builder_.GetInsertBlock();
    if (constant_extent)
      builder_.CreateBr(body);
    else
      builder_.CreateCondBr(builder_.CreateICmpSGT(extent, const_i64(0)), body, after);

    builder_.SetInsertPoint(body);
    llvm::PHINode* counter = builder_.CreatePHI(builder_.getInt64Ty(), 2, node.loop_var->name);
    counter->addIncoming(low, before);
    frame_.loops.push_back({after, next});
    bind(counter, 1);
    emit_stmt(node.body);
    if (!terminated())
      builder_.CreateBr(next);
    frame_.loops.pop_back();

    next->moveAfter(&frame_.function->back());
    builder_.SetInsertPoint(next);
    if (llvm::pred_empty(next)) {
      // The body always leaves: no second iteration.
      counter->addIncoming(llvm::PoisonValue::get(counter->getType()), next);
      builder_.CreateBr(body);
    } else {
      Value* following = builder_.CreateAdd(counter, const_i64(1), "", range.low >= 0, true);
      llvm::Instruction* back =
          builder_.CreateCondBr(builder_.CreateICmpSLT(following, end), body, after);
      back->setMetadata(llvm::LLVMContext::MD_loop, loop_metadata(node));
      counter->addIncoming(following, next);
    }
    after->moveAfter(&frame_.function->back());
    builder_.SetInsertPoint(after);
    if (llvm::pred_empty(after))
      builder_.CreateUnreachable();
  }

  llvm::MDNode* loop_metadata(const For& node) {
    std::vector<llvm::Metadata*> parts{nullptr};
    const auto flag = [&](const char* name) {
      parts.push_back(llvm::MDNode::get(context_, llvm::MDString::get(context_, name)));
    };
    flag("llvm.loop.mustprogress");
    if (node.annotations.get_int("temper.unroll") == 0)
      flag("llvm.loop.unroll.disable");
    if (node.kind == ForKind::kUnrolled)
      flag("llvm.loop.unroll.full");
    if (node.kind == ForKind::kVectorized)
      parts.push_back(
          llvm::MDNode::get(context_, {llvm::MDString::get(context_, "llvm.loop.vectorize.enable"),
                                       llvm::ConstantAsMetadata::get(builder_.getTrue())}));
    llvm::MDNode* loop = llvm::MDNode::getDistinct(context_, parts);
    loop->replaceOperandWith(0, loop);
    return loop;
  }

  // ---------------------------------------------------------------- parallel loops
  /// Outlines the loop: GOMP_parallel runs `run` in every thread of a team; it takes its contiguous
  /// chunk and calls `body`. The first code that is not 0 becomes the kernel's.
  void emit_parallel(const For& node) {
    // What the body uses of what is defined outside, in order of first use (never of addresses).
    std::vector<const VarNode*> used_vars;
    std::vector<const BufferNode*> used_buffers;
    std::unordered_set<const void*> seen;
    walk(node.body, [&](const NodeRef& inner) {
      if (!seen.insert(inner.get()).second)
        return false;
      if (const auto* var = inner.as<VarNode>(); var != nullptr && vars_.contains(var))
        used_vars.push_back(var);
      else if (const auto* buffer = inner.as<BufferNode>();
               buffer != nullptr && buffers_.contains(buffer))
        used_buffers.push_back(buffer);
      return true;
    });
    std::vector<Value*> captured;
    for (const BufferNode* buffer : used_buffers)
      captured.push_back(buffers_[buffer].pointer);
    for (const VarNode* var : used_vars)
      captured.push_back(vars_[var].value);

    const std::string name = "parallel." + std::to_string(parallel_loops_++);
    // { first, extent, code, captured values }
    std::vector<llvm::Type*> fields{i64(), i64(), builder_.getInt32Ty()};
    std::vector<llvm::Type*> body_types{i64(), i64()};
    for (Value* value : captured) {
      fields.push_back(value->getType());
      body_types.push_back(value->getType());
    }
    auto* data_type = llvm::StructType::get(context_, fields);
    Value* low = emit_index(node.min);
    Value* extent = emit_index(node.extent);

    llvm::IRBuilder<> at_entry(frame_.entry, frame_.entry->begin());
    llvm::AllocaInst* data = at_entry.CreateAlloca(data_type, nullptr, "shared");
    const auto field = [&](Value* base, unsigned index) {
      return builder_.CreateStructGEP(data_type, base, index);
    };
    builder_.CreateStore(low, field(data, 0));
    builder_.CreateStore(extent, field(data, 1));
    builder_.CreateStore(builder_.getInt32(0), field(data, 2));
    for (size_t i = 0; i < captured.size(); ++i)
      builder_.CreateStore(captured[i], field(data, static_cast<unsigned>(i) + 3));

    llvm::Function* run = make_function(name, builder_.getVoidTy(), {builder_.getPtrTy()}, false);
    llvm::Function* body = make_function(name + ".body", builder_.getInt32Ty(), body_types, false);

    // More threads than iterations would only wait; 0 leaves the number to the runtime.
    Value* threads = builder_.getInt32(static_cast<uint32_t>(options_.threads));
    if (const auto count = as_int(node.extent); count && options_.threads > 0)
      threads = builder_.getInt32(
          static_cast<uint32_t>(std::clamp<int64_t>(*count, 1, options_.threads)));
    auto launch = library_function(
        "GOMP_parallel", builder_.getVoidTy(),
        {builder_.getPtrTy(), builder_.getPtrTy(), builder_.getInt32Ty(), builder_.getInt32Ty()});
    builder_.CreateCall(launch, {run, data, threads, builder_.getInt32(0)});
    Value* code = builder_.CreateLoad(builder_.getInt32Ty(), field(data, 2));
    return_if(builder_.CreateIsNotNull(code), code);

    const auto saved_point = builder_.saveIP();
    emit_chunk_of_thread(run, body, data_type, captured.size());

    // The body sees the captured values as its parameters.
    auto saved_vars = vars_;
    auto saved_buffers = buffers_;
    Frame saved_frame = std::move(frame_);
    frame_ = Frame();
    unsigned position = 2;
    for (const BufferNode* buffer : used_buffers) {
      Memory& memory = buffers_[buffer];
      describe_buffer(body->getArg(position), *buffer, memory.alignment);
      memory.pointer = body->getArg(position++);
    }
    for (const VarNode* var : used_vars) {
      Known& known = vars_[var];
      known.value = body->getArg(position++);
      known.value->setName(var->name);
      known.wide = nullptr;
      known.depth = 0;
    }
    in_parallel_ = true;
    fill_function(body, node.body, [&] {
      Value* begin = body->getArg(0);
      Value* count = builder_.CreateNSWSub(body->getArg(1), begin);
      const Interval first = range_of(node.min);
      const Interval size = range_of(node.extent);
      // What belongs to an iteration is allocated once per thread: fill_function sees to it.
      emit_loop(node, begin, count, std::nullopt, loop_range(first, size));
    });
    in_parallel_ = false;
    frame_ = std::move(saved_frame);
    vars_ = std::move(saved_vars);
    buffers_ = std::move(saved_buffers);
    builder_.restoreIP(saved_point);
  }

  /// run(data): the thread's part of [first, first + extent), the remainder to the first threads.
  void emit_chunk_of_thread(llvm::Function* run, llvm::Function* body, llvm::StructType* data_type,
                            size_t captured) {
    BasicBlock* start = BasicBlock::Create(context_, "", run);
    BasicBlock* work = BasicBlock::Create(context_, "work", run);
    BasicBlock* failed = BasicBlock::Create(context_, "failed", run);
    BasicBlock* done = BasicBlock::Create(context_, "done", run);
    builder_.SetInsertPoint(start);
    Value* data = run->getArg(0);
    const auto load = [&](unsigned index) {
      return builder_.CreateLoad(data_type->getElementType(index),
                                 builder_.CreateStructGEP(data_type, data, index));
    };
    const auto ask = [&](const char* question) {
      return builder_.CreateSExt(
          builder_.CreateCall(library_function(question, builder_.getInt32Ty(), {})), i64());
    };
    Value* thread = ask("omp_get_thread_num");
    Value* threads = ask("omp_get_num_threads");
    Value* first = load(0);
    Value* extent = load(1);
    Value* share = builder_.CreateSDiv(extent, threads);
    Value* rest = builder_.CreateSRem(extent, threads);
    Value* begin =
        builder_.CreateAdd(builder_.CreateMul(thread, share),
                           builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, thread, rest));
    Value* count =
        builder_.CreateAdd(share, builder_.CreateZExt(builder_.CreateICmpSLT(thread, rest), i64()));
    begin = builder_.CreateAdd(first, begin);
    builder_.CreateCondBr(builder_.CreateICmpSGT(count, const_i64(0)), work, done);

    builder_.SetInsertPoint(work);
    std::vector<Value*> args{begin, builder_.CreateAdd(begin, count)};
    for (size_t i = 0; i < captured; ++i)
      args.push_back(load(static_cast<unsigned>(i) + 3));
    Value* code = builder_.CreateCall(body, args);
    builder_.CreateCondBr(builder_.CreateIsNotNull(code), failed, done);

    builder_.SetInsertPoint(failed);
    builder_.CreateStore(code, builder_.CreateStructGEP(data_type, data, 2))
        ->setAtomic(llvm::AtomicOrdering::Monotonic);
    builder_.CreateBr(done);
    builder_.SetInsertPoint(done);
    builder_.CreateRetVoid();
  }

  const EmitOptions& options_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  std::map<std::tuple<Pure, const void*, const void*, int64_t>, Value*> made_; ///< by once()
  std::unordered_map<Value*, std::vector<Held>> held_;                         ///< by base
  const BasicBlock* made_in_ = nullptr;
  std::optional<Error> error_;
  Frame frame_;
  std::unordered_map<const VarNode*, Known> vars_;
  std::unordered_map<const BufferNode*, Memory> buffers_;
  std::unordered_map<const Assert*, int> asserts_;
  Value* mask_ = nullptr; ///< lanes that a vector condition around us leaves on
  bool in_parallel_ = false;
  int parallel_loops_ = 0;
};

/// The shape that `temper.param_shapes` keeps for parameter i of a flattened function.
std::optional<std::vector<int64_t>> original_shape(const PrimFuncNode& function, size_t i) {
  const Expr all = function.attrs.get("temper.param_shapes");
  const auto* list = all.as<ListImm>();
  if (list == nullptr || i >= list->values.size())
    return std::nullopt;
  const auto* one = list->values[i].as<ListImm>();
  if (one == nullptr)
    return std::nullopt;
  std::vector<int64_t> shape;
  for (const Expr& extent : one->values)
    shape.push_back(as_int(extent).value_or(0));
  return shape;
}

} // namespace

Result<std::vector<ArgumentSpec>> signature_of(const PrimFunc& function) {
  if (!function->shape_vars.empty())
    return Error(ErrorCode::kUnsupported,
                 "function '" + function->name + "' has the symbolic size '" +
                     function->shape_vars[0]->name + "'; bind it to a number before compiling");
  std::unordered_set<const BufferNode*> written;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* store = node.as<BufferStore>())
      written.insert(store->buffer.get());
    else if (node.is<Evaluate>())
      if (const Call* atomic = as_atomic(cast_ref<StmtNode>(node)))
        written.insert(atomic->args[0].as<BufferLoad>()->buffer.get());
    return node->kind() >= kTirKinds;
  });
  const Expr outputs = function->attrs.get("temper.outputs");
  const auto* output_list = outputs.as<ListImm>();
  std::vector<ArgumentSpec> signature;
  for (size_t i = 0; i < function->params.size(); ++i) {
    const Param& param = function->params[i];
    ArgumentSpec spec;
    spec.name = param.name();
    if (!param.buffer) {
      spec.dtype = param.var->dtype;
      spec.is_buffer = false;
      if (!spec.dtype.is_scalar() || spec.dtype.is_handle())
        return Error(ErrorCode::kUnsupported,
                     "parameter '" + spec.name + "' of type " + to_string(spec.dtype) +
                         " cannot be passed to a kernel; pass a buffer or a number");
      signature.push_back(std::move(spec));
      continue;
    }
    spec.dtype = param.buffer->dtype;
    spec.is_output = written.contains(param.buffer.get());
    if (output_list != nullptr)
      for (const Expr& position : output_list->values)
        spec.is_output = spec.is_output || is_int(position, static_cast<int64_t>(i));
    if (auto shape = original_shape(*function, i)) {
      spec.shape = *std::move(shape);
    } else {
      for (const Expr& extent : param.buffer->shape) {
        const auto value = as_int(extent);
        if (!value)
          return Error(ErrorCode::kUnsupported, "parameter '" + spec.name +
                                                    "' has a symbolic shape; bind its sizes to "
                                                    "numbers before compiling");
        spec.shape.push_back(*value);
      }
    }
    signature.push_back(std::move(spec));
  }
  return signature;
}

Result<Emitted> emit_function(const PrimFunc& function, const EmitOptions& options,
                              llvm::Module& module) {
  Result<Emitted> emitted = Emitter(options, module).run(*function);
  amx_configure(module);
  return emitted;
}

} // namespace temper::codegen
