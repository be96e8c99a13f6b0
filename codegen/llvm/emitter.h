#pragma once

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

namespace temper::codegen::emitter {

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
inline Interval within(DataType type, __int128 low, __int128 high) {
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

inline std::optional<int64_t> constant_of(const Expr& expr) {
  if (const auto* broadcast = expr.as<Broadcast>())
    return as_int(broadcast->value);
  return as_int(expr);
}

inline bool is_small_float(DataType type) { return type.is_floating() && type.bits == 16; }

/// The largest power of two that divides `value`; 0 divides by everything.
inline int64_t power_of_two_divisor(int64_t value) {
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

  Result<Emitted> run(const PrimFuncNode& function);

private:
  // ---------------------------------------------------------------- failing
  void fail(ErrorCode code, std::string sentence);
  Value* unsupported(std::string sentence, DataType type);

  // ---------------------------------------------------------------- types
  llvm::Type* scalar_type(DataType type);
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
  static int lanes_of(Value* value);
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

  void forget_other_blocks();

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
  Value* held(const Place& at);
  /// After a load that went to memory.
  void hold_loaded(const Place& at, Value* value);
  void note_read(Value* base);
  /// What may have changed is forgotten; a store to the same place that nothing has read goes.
  void hold_stored(const Place& at, Value* value, llvm::StoreInst* store);
  void forget_all_of(Value* base);

  Value* splat(Value* value, int lanes);
  llvm::Constant* const_i64(int64_t value, int lanes = 1) {
    return llvm::ConstantInt::get(i64(lanes), static_cast<uint64_t>(value), true);
  }
  llvm::Constant* const_i32(uint32_t value, int lanes = 1) {
    return llvm::ConstantInt::get(i32(lanes), value);
  }

  // ---------------------------------------------------------------- functions and frames
  llvm::Function* make_function(const std::string& name, llvm::Type* result,
                                std::vector<llvm::Type*> parameters, bool exported);

  /// A pointer parameter to a buffer.
  void describe_buffer(llvm::Argument* argument, const BufferNode& buffer, int64_t alignment);

  static std::optional<int64_t> buffer_bytes(const BufferNode& buffer);

  void emit_kernel(const PrimFuncNode& function, const std::vector<ArgumentSpec>& signature);

  Value* load_scalar(Value* pointer, DataType type);

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
                                        std::vector<llvm::Type*> parameters);

  bool runs_parallel(const For& loop) const {
    return loop.kind == ForKind::kParallel && !in_parallel_ && options_.threads != 1;
  }

  /// Memory of every buffer allocated below `scope` in the same LLVM function. All of it is made
  /// once, on entry: no allocation happens inside a loop.
  void allocate_below(const Stmt& scope, std::vector<llvm::AllocaInst*>& heap);

  bool terminated() { return builder_.GetInsertBlock()->getTerminator() != nullptr; }
  BasicBlock* new_block(const char* name) {
    return BasicBlock::Create(context_, name, frame_.function);
  }

  /// Leaves the function with `code` where `condition` holds; the cold way out.
  void return_if(Value* condition, Value* code);

  void define(const Var& var, Value* value, Interval range = {}, int64_t divisor = 1);

  // ---------------------------------------------------------------- facts about integers
  Interval range_of(const Expr& expr) const;

  int64_t divisor_of(const Expr& expr) const;

  /// Evaluating it where it would not have been evaluated is harmless: no load, no division that
  /// might be by zero, nothing slow.
  bool is_speculatable(const Expr& expr, int budget = 8) const;

  // ---------------------------------------------------------------- index arithmetic (i64, nsw)
  /// Adds scale * expr to `sum`.
  void collect(const Expr& expr, int64_t scale, Linear& sum);

  int depth_of(const Expr& leaf) const;

  /// The scalar terms, outer loops first, so that what is invariant in an inner loop is one value.
  Value* sum_terms(Linear& sum);

  /// step * lane + vector terms, as <lanes x i64>.
  Value* sum_lanes(Linear& sum, int lanes);

  /// An integer expression as i64 (or a vector of them), assuming that nothing overflows.
  Value* emit_index(const Expr& expr);

  /// A part of an index that is no sum.
  Value* emit_leaf(const Expr& expr);

  Value* widen_integer(Value* value, DataType type);

  /// a / b or a mod b of signed integers of any width. `floor`: towards minus infinity; else
  /// towards zero. `quotient`: the quotient, else the rest. What is known about the operands picks
  /// the form.
  Value* emit_division(const Expr& a_expr, const Expr& b_expr, Value* a, Value* b, bool floor,
                       bool quotient);

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
                   Access& access);

  Place place_of(Access& access, llvm::Type* element, int lanes) {
    return {access.memory.pointer, sum_terms(access.index), access.index.constant, lanes, element};
  }

  Value* address(Access& access, llvm::Type* element);

  llvm::Align alignment_of(const Access& access, int64_t element_bytes, bool contiguous) const;

  Value* reverse(Value* vector) { return builder_.CreateVectorReverse(vector); }

  /// The mask of an access of `lanes` lanes: its predicate and the masks of vector conditions
  /// around it; null when every lane is on.
  Value* access_mask(const Expr& predicate, int lanes);

  void mark_invariant(llvm::Instruction* load, const Access& access);

  /// `lanes` elements side by side; what this block has of them already, if it has.
  Value* load_once(Access& access, llvm::Type* element, int lanes);

  Value* emit_load(const BufferLoad& node);

  /// `value`, of `lanes` elements side by side, is stored and known from now on.
  void store_and_hold(Access& access, Value* value, llvm::Type* element, int lanes);

  void emit_store(const BufferStore& node);

  // ---------------------------------------------------------------- 16-bit floats
  Value* widen_float(Value* value, DataType type);

  Value* narrow_float(Value* value, DataType type);

  /// double to float such that rounding once more, to 16 bits, gives what rounding once would:
  /// towards zero, with the last bit set when inexact.
  Value* round_to_odd(Value* value);

  // ---------------------------------------------------------------- casts
  Value* convert(Value* value, DataType from, DataType to);

  // ---------------------------------------------------------------- expressions
  /// A floating expression in its arithmetic type: float for the 16-bit types, not yet rounded.
  Value* emit_real(const Expr& expr);

  /// Null when `expr` is not an operation of floating arithmetic.
  Value* emit_float_arithmetic(const Expr& expr);

  // (a < b) ? a : b, which is what minps computes; the interpreter does the same.
  Value* float_min(Value* a, Value* b) {
    return builder_.CreateSelect(builder_.CreateFCmpOLT(a, b), a, b);
  }
  Value* float_max(Value* a, Value* b) {
    return builder_.CreateSelect(builder_.CreateFCmpOGT(a, b), a, b);
  }

  Value* emit_float_call(const Call& call);

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

  Value* emit(const Expr& expr);

  Value* emit_var(const VarNode& node);

  Value* emit_float_imm(const FloatImm& node);

  Value* emit_ramp(const Ramp& node);

  Value* emit_shuffle(const Shuffle& node);

  Value* emit_integer_division(const Expr& a, const Expr& b, bool floor, bool quotient);

  Value* emit_extremum(const Expr& a, const Expr& b, bool minimum);
  static llvm::Intrinsic::ID extremum(DataType type, bool minimum);

  enum class Order { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };
  Value* compare(const Expr& a, const Expr& b, Order order);

  Value* emit_logical(const Expr& a, const Expr& b, bool is_and);

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

  Value* emit_if_then_else(const Expr& condition, const Expr& yes, const Expr& no);

  Value* emit_call(const Call& call);

  /// The types that an instruction has in its name ("sdot.v4i32.v16i8"): as those of our values
  /// are. False when there is no such instruction.
  bool types_in_name(llvm::Intrinsic::ID id, const Call& call,
                     llvm::SmallVectorImpl<llvm::Type*>& types);

  /// An instruction by LLVM's name. Its vectors may have another element type than ours (bfloat16
  /// is kept as 16 bits), as long as they have as many bits.
  Value* emit_llvm_intrinsic(const Call& call);

  /// One byte shuffle where the target has it for so many lanes, else a lane after the other.
  Value* emit_lookup(const Call& call);

  Value* emit_reinterpret(Value* value, DataType from, DataType to);

  Value* emit_prefetch(const Call& call);

  /// One call for a line, without a buffer of its own: lines of several threads stay whole, and a
  /// kernel that is stopped has written what it came by.
  Value* emit_print(const Call& call);

  /// In one step, whatever other threads do to the element. Nothing else is ordered by it: threads
  /// see each other's work when their loop ends.
  Value* emit_atomic(const Call& call);

  /// The product of tiles that the statement is; null for all else.
  static const Call* as_amx(const Stmt& stmt);

  /// Another product into the same sums, which may stay in registers in between.
  static bool goes_on(const Call& first, const Call& next);

  /// Products one after the other into the same sums.
  Value* emit_amx(std::span<const Call* const> calls);

  // ---------------------------------------------------------------- statements
  void emit_stmt(const Stmt& stmt);

  /// For whoever runs the kernel (codegen/assertions.h).
  void emit_assertions();

  int assert_number(const Assert& node);

  void emit_sequence(const SeqStmt& node);
  uint64_t stack_size(llvm::AllocaInst* memory) {
    return module_.getDataLayout().getTypeAllocSize(memory->getAllocatedType()).getFixedValue();
  }

  void emit_if(const IfThenElse& node);

  void emit_return(const Return& node);

  void emit_while(const While& node);

  static bool has_jump(const Stmt& body);

  void emit_for(const For& node);

  /// Loop variables do not overflow: a lower bound holds without an upper one.
  static Interval loop_range(Interval low, Interval extent);

  /// A counted loop over i64 from `low`, `extent` times.
  void emit_loop(const For& node, Value* low, Value* extent, std::optional<int64_t> constant_extent,
                 Interval range);

  llvm::MDNode* loop_metadata(const For& node);

  // ---------------------------------------------------------------- parallel loops
  /// Outlines the loop: GOMP_parallel runs `run` in every thread of a team; it takes its contiguous
  /// chunk and calls `body`. The first code that is not 0 becomes the kernel's.
  void emit_parallel(const For& node);

  /// run(data): the thread's part of [first, first + extent), the remainder to the first threads.
  void emit_chunk_of_thread(llvm::Function* run, llvm::Function* body, llvm::StructType* data_type,
                            size_t captured);

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

} // namespace temper::codegen::emitter
