// What a loop reads is asked for some rounds before.
//
//   for k in range(512, annotations={"temper.prefetch": 8}):     for k in range(512):
//     C[0:16] = C[0:16] + A[k] * B[k * 32 : +16]           ->       prefetch(B[(k + 4) * 32])
//     C[16:32] = C[16:32] + A[k] * B[k * 32 + 16 : +16]             C[0:16] = ...
//                                                                   prefetch(B[(k + 4) * 32 + 16])
//                                                                   C[16:32] = ...
//
// The annotation says how many statements of the loop's body should lie between asking and use: a
// statement is about one vector operation, so the distance means a time, whatever the tile's shape
// and however far the loop is unrolled. Asked for are vectors that lie side by side in memory,
// whose address moves on evenly with the loop, in buffers that the loop does not write; each cache
// line once, just before its first use (there the loads and the hints take turns at the ports).
// Only loops without loops inside; the annotation ends here in any case. Addresses may run past the
// end of a buffer: a hint is not an access.
//
// The panels of a packed matrix product are what it is for. They come from the second level cache,
// in which processors find the next line by themselves, but too late for a register tile that needs
// one every few cycles (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication).
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/pass/unroll.h"

#include <algorithm>
#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

constexpr int64_t kLineBytes = 64;

class Inserter {
public:
  Inserter(const For& loop, int64_t statements_ahead) : loop_(loop) {
    const int64_t statements = std::max<int64_t>(1, count_statements(loop.body, {}));
    rounds_ = (statements_ahead + statements - 1) / statements;
    walk(loop.body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written_.insert(store->buffer.get());
      has_loops_ |= node->kind() == For::kKind || node->kind() == While::kKind;
      return true;
    });
  }

  Stmt body() { return has_loops_ ? loop_.body : before(loop_.body); }

private:
  Stmt before(const Stmt& stmt) {
    if (stmt->kind() != BufferStore::kKind)
      return rebuild(
          stmt, [&](const Stmt& child) { return before(child); },
          [](const Expr& expr) { return expr; });
    std::vector<Stmt> statements;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        ask(*load, statements);
      return true;
    });
    if (statements.empty())
      return stmt;
    statements.push_back(stmt);
    return make_seq(std::move(statements));
  }

  void ask(const BufferLoad& load, std::vector<Stmt>& statements) {
    if (load.indices.size() != 1 || written_.contains(load.buffer.get()) ||
        load.buffer->scope == "local")
      return;
    const auto* ramp = load.indices[0].as<Ramp>();
    if (ramp == nullptr || !is_int(ramp->stride, 1))
      return;
    LinearForm start = linear_form(ramp->base);
    const VarNode* var = loop_.loop_var.get();
    if (start.overflow || hides(start, var) || coefficient(start, var) == 0)
      return;
    const int64_t bytes = load.buffer->dtype.element_bytes();
    Line line{load.buffer.get(), start, start.constant * bytes};
    line.at -= ((line.at % kLineBytes) + kLineBytes) % kLineBytes;
    for (const Line& asked : lines_)
      if (asked.buffer == line.buffer && asked.at == line.at && same_terms(asked.start, line.start))
        return;
    start.add_constant(coefficient(start, var) * rounds_);
    statements.push_back(make_evaluate(
        make_call(DataType::int32(), "prefetch",
                  {make_load(load.buffer, {to_expr(start)}), make_const_int(DataType::int32(), 0),
                   make_const_int(DataType::int32(), 3)})));
    lines_.push_back(std::move(line));
  }

  struct Line {
    const Node* buffer;
    LinearForm start;
    int64_t at; ///< constant part, in bytes, of the line's start
  };

  const For& loop_;
  int64_t rounds_ = 1;
  bool has_loops_ = false;
  std::unordered_set<const Node*> written_;
  std::vector<Line> lines_;
};

Stmt insert(const Stmt& stmt) {
  const Stmt inner = rebuild(
      stmt, [](const Stmt& child) { return insert(child); }, [](const Expr& expr) { return expr; });
  const auto* loop = inner.as<For>();
  const auto ahead = loop != nullptr ? loop->annotations.get_int(kPrefetch) : std::nullopt;
  if (!ahead)
    return inner;
  return change_loop(*loop, [&](For& node) {
    if (*ahead > 0)
      node.body = Inserter(*loop, *ahead).body();
    node.annotations = node.annotations.without(kPrefetch);
  });
}

} // namespace

PrimFunc insert_prefetches(const PrimFunc& function) {
  return with_body(function, insert(function->body));
}

} // namespace temper::ir
