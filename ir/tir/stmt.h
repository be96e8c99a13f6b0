/// tir: the core layer. Statements, and what programs mean.
///
/// **The meaning of the IR** (ir/interpret.h is its executable form):
///  - Integers are two's complement and wrap at their width. Division or modulo by zero is an error
///    (the interpreter reports it; generated code may trap). Div and Mod round towards zero,
///    FloorDiv and FloorMod towards minus infinity. Shifts by a negative amount or by the width or
///    more are errors.
///  - Index arithmetic must not overflow: passes may widen or narrow it.
///  - Floating point is IEEE; it may be contracted (fused multiply-add) everywhere, and
///  reassociated
///    only where a primitive or an operator says so (rfactor, reordered reductions). float16 and
///    bfloat16 arithmetic may be carried out in float32 and rounded once per operation or later.
///  - Operands are evaluated left to right; expressions have no side effects except calls that say
///    so. And, Or and T.if_then_else evaluate only what they need; Select evaluates all.
///  - Reading or writing outside a buffer is an error. Reading an element that was never written is
///    an error, unless the buffer is a parameter that is an input.
///  - Buffer parameters do not overlap.
///  - Each statement and each definition (variable, buffer) occurs once in a function; expressions
///    may be shared.
///  - A parallel or vectorized loop promises that its iterations are independent. Iterations of
///  other
///    kinds run in order.
///  - Bind and AllocBuffer are flat: what they define is visible in the statements after them in
///  the
///    same sequence. A buffer's content does not survive the end of that sequence.
#pragma once

#include "ir/stmt.h"

namespace temper::tir {

using namespace temper::ir; // NOLINT: tir is ir plus statements

enum class StmtKind : Kind {
  kBegin = kTirKinds - 1,
#define TEMPER_TIR_STMT(name) k##name,
#include "ir/tir/node_kinds.def"
#undef TEMPER_TIR_STMT
  kEnd
};

class TirStmtNode : public StmtNode {
public:
  static constexpr const char* kind_name(Kind kind) {
    constexpr const char* kNames[] = {
#define TEMPER_TIR_STMT(name) #name,
#include "ir/tir/node_kinds.def"
#undef TEMPER_TIR_STMT
    };
    return kNames[kind - kTirKinds];
  }

protected:
  using StmtNode::StmtNode;
};

template <typename T, StmtKind K> using StmtNodeOf = NodeOf<T, static_cast<Kind>(K), TirStmtNode>;

/// x = value: an immutable name for a value.
struct Bind : StmtNodeOf<Bind, StmtKind::kBind> {
  Expr value;
  Var var;
  static constexpr auto fields() {
    return std::tuple{child("value", &Bind::value), define("var", &Bind::var)};
  }
};

/// Memory for a buffer, until the end of the enclosing sequence.
struct AllocBuffer : StmtNodeOf<AllocBuffer, StmtKind::kAllocBuffer> {
  Buffer buffer;
  Annotations annotations;
  static constexpr auto fields() {
    return std::tuple{define("buffer", &AllocBuffer::buffer),
                      child("annotations", &AllocBuffer::annotations)};
  }
};

/// buffer[indices] = value; a vector store when the last index is a Ramp.
struct BufferStore : StmtNodeOf<BufferStore, StmtKind::kBufferStore> {
  Buffer buffer;
  std::vector<Expr> indices;
  Expr value;
  Expr predicate; ///< bool vector: lanes that are false are not written; null = all
  static constexpr auto fields() {
    return std::tuple{child("buffer", &BufferStore::buffer),
                      child("indices", &BufferStore::indices), child("value", &BufferStore::value),
                      child("predicate", &BufferStore::predicate)};
  }
};

struct Evaluate : StmtNodeOf<Evaluate, StmtKind::kEvaluate> {
  Expr value;
  static constexpr auto fields() { return std::tuple{child("value", &Evaluate::value)}; }
};

/// Never nested directly in another one, never of one statement (make_seq sees to it); empty is
/// `pass`.
struct SeqStmt : StmtNodeOf<SeqStmt, StmtKind::kSeqStmt> {
  std::vector<Stmt> statements;
  static constexpr auto fields() { return std::tuple{child("statements", &SeqStmt::statements)}; }
};

struct IfThenElse : StmtNodeOf<IfThenElse, StmtKind::kIfThenElse> {
  Expr condition;
  Stmt then_case;
  Stmt else_case; ///< may be null
  static constexpr auto fields() {
    return std::tuple{child("condition", &IfThenElse::condition),
                      child("then_case", &IfThenElse::then_case),
                      child("else_case", &IfThenElse::else_case)};
  }
};

/// The last two only in tile programs (ir/tir/tile.h).
enum class ForKind : uint8_t {
  kSerial,
  kParallel,
  kVectorized,
  kUnrolled,
  kThreadBinding,
  kTileParallel, ///< T.Parallel: independent iterations, shared out among the threads of a block
  kPipelined,    ///< T.Pipelined: serial, of which several iterations may be under way at once
};

/// for loop_var in [min, min + extent).
struct For : StmtNodeOf<For, StmtKind::kFor> {
  Expr min;
  Expr extent;
  Var loop_var;
  ForKind kind = ForKind::kSerial;
  std::string thread; ///< "blockIdx.x" for kThreadBinding; empty otherwise
  Annotations annotations;
  Stmt body;
  static constexpr auto fields() {
    return std::tuple{child("min", &For::min),
                      child("extent", &For::extent),
                      define("loop_var", &For::loop_var),
                      data("kind", &For::kind),
                      data("thread", &For::thread),
                      child("annotations", &For::annotations),
                      child("body", &For::body)};
  }
};

struct While : StmtNodeOf<While, StmtKind::kWhile> {
  Expr condition;
  Stmt body;
  static constexpr auto fields() {
    return std::tuple{child("condition", &While::condition), child("body", &While::body)};
  }
};

struct Break : StmtNodeOf<Break, StmtKind::kBreak> {
  static constexpr auto fields() { return std::tuple<>{}; }
};
struct Continue : StmtNodeOf<Continue, StmtKind::kContinue> {
  static constexpr auto fields() { return std::tuple<>{}; }
};
struct Return : StmtNodeOf<Return, StmtKind::kReturn> {
  Expr value; ///< may be null
  static constexpr auto fields() { return std::tuple{child("value", &Return::value)}; }
};
struct Assert : StmtNodeOf<Assert, StmtKind::kAssert> {
  Expr condition;
  std::string message;
  static constexpr auto fields() {
    return std::tuple{child("condition", &Assert::condition), data("message", &Assert::message)};
  }
};

/// Dispatch over tir's statements. A block of s-tir here is a bug: tir passes run on lowered
/// functions (s_tir::visit takes both).
template <typename... Fs> decltype(auto) visit(const Stmt& stmt, Fs&&... functions) {
  Overloaded overloaded{std::forward<Fs>(functions)...};
  switch (static_cast<StmtKind>(stmt->kind())) {
#define TEMPER_TIR_STMT(name)                                                                      \
  case StmtKind::k##name:                                                                          \
    return overloaded(static_cast<const name&>(*stmt));
#include "ir/tir/node_kinds.def"
#undef TEMPER_TIR_STMT
  case StmtKind::kBegin:
  case StmtKind::kEnd:
    break;
  }
  TEMPER_UNREACHABLE("this node is not a tir statement");
}
using ir::visit;

Stmt make_bind(Var var, Expr value);
Stmt make_alloc(Buffer buffer, Annotations annotations = {});
Stmt make_store(Buffer buffer, std::vector<Expr> indices, Expr value, Expr predicate = nullptr);
Stmt make_evaluate(Expr value);
/// Flattens nested sequences and drops empty ones; one statement is returned as it is.
Stmt make_seq(std::vector<Stmt> statements);
Stmt make_if(Expr condition, Stmt then_case, Stmt else_case = nullptr);
Stmt make_for(Var loop_var, Expr min, Expr extent, ForKind kind, Stmt body,
              Annotations annotations = {}, std::string thread = {});
Stmt make_while(Expr condition, Stmt body);
Stmt make_break();
Stmt make_continue();
Stmt make_return(Expr value = nullptr);
Stmt make_assert(Expr condition, std::string message);

} // namespace temper::tir
