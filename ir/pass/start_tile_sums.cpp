// Products of tiles whose sums were set to zero just before start from zero.
//
//   for i, j in T.grid(32, 32):
//     C[i * 1024 + j] = 0
//   for k in range(2):                               for k in range(2):
//     T.amx_multiply_add(C[0], .., 0)         ->       T.amx_multiply_add(C[0], .., k == 0)
//
// A tile register is cleared in a cycle, where stores that go to memory, and loads that have to
// wait for them, take as long as half of a product over 1024 terms.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/statement_call.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

// Of T.amx_multiply_add: the first elements of the first two rows of C, its rows and columns, and
// whether it starts from zero.
constexpr size_t kFirst = 0;
constexpr size_t kSecondRow = 1;
constexpr size_t kRows = 9;
constexpr size_t kColumns = 10;
constexpr size_t kStart = 12;

/// The loops around one statement, outermost first.
struct Nest {
  std::vector<const For*> loops;
  Stmt inside;
};

Nest nest_of(const Stmt& stmt) {
  Nest nest{{}, stmt};
  while (const auto* loop = nest.inside.as<For>()) {
    nest.loops.push_back(loop);
    nest.inside = loop->body;
  }
  return nest;
}

/// Loops that run from a constant, so often.
bool run_constantly(const Nest& nest) {
  return std::all_of(nest.loops.begin(), nest.loops.end(), [](const For* loop) {
    return loop->kind != ForKind::kParallel && loop->kind != ForKind::kThreadBinding &&
           as_int(loop->min) && as_int(loop->extent) && *as_int(loop->extent) > 0;
  });
}

const Call* product_in(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr && call->op == "amx_multiply_add" ? call : nullptr;
}

bool is_zero(const Expr& value) {
  const auto* real = value.as<FloatImm>();
  return is_int(value, 0) || (real != nullptr && real->value == 0);
}

/// The flat index of an argument that is an element; none when it is none.
std::optional<LinearForm> place_of(const Call& call, size_t argument) {
  const auto* load = call.args[argument].as<BufferLoad>();
  if (load == nullptr || load->indices.size() != 1)
    return std::nullopt;
  LinearForm form = linear_form(load->indices[0]);
  return form.overflow ? std::nullopt : std::optional(std::move(form));
}

std::optional<int64_t> difference(LinearForm a, const LinearForm& b) {
  a.add(b, -1);
  return a.is_constant() ? std::optional(a.constant) : std::nullopt;
}

/// Whether the loops of `fill` set each element of the product's sums to zero, and nothing else.
bool clears(const Nest& fill, const Call& call) {
  const auto* store = fill.inside.as<BufferStore>();
  const auto* sums = call.args[kFirst].as<BufferLoad>();
  if (store == nullptr || sums == nullptr || store->buffer != sums->buffer || store->predicate ||
      store->indices.size() != 1 || !is_zero(store->value) || !run_constantly(fill))
    return false;
  LinearForm start = linear_form(store->indices[0]);
  struct Step {
    int64_t elements;
    int64_t min;
    int64_t extent;
  };
  std::vector<Step> steps;
  int64_t stores = 1;
  for (const For* loop : fill.loops) {
    const VarNode* var = loop->loop_var.get();
    if (hides(start, var))
      return false;
    steps.push_back({coefficient(start, var), *as_int(loop->min), *as_int(loop->extent)});
    start.add_term(loop->loop_var, -steps.back().elements);
    stores *= steps.back().extent;
  }
  const auto first = place_of(call, kFirst);
  const auto second = place_of(call, kSecondRow);
  const auto rows = as_int(call.args[kRows]);
  const auto columns = as_int(call.args[kColumns]);
  if (!first || !second || !rows || !columns || start.overflow || stores != *rows * *columns)
    return false;
  const auto begin = difference(start, *first);
  const auto stride = difference(*second, *first);
  if (!begin || !stride || *stride < *columns)
    return false;
  // As many stores as there are sums: when no two are the same and none is outside, all are there.
  std::vector<bool> cleared(static_cast<size_t>(stores), false);
  for (int64_t index = 0; index < stores; ++index) {
    int64_t offset = *begin;
    int64_t rest = index;
    for (const Step& step : steps) {
      offset += step.elements * (step.min + rest % step.extent);
      rest /= step.extent;
    }
    if (offset < 0 || offset / *stride >= *rows || offset % *stride >= *columns)
      return false;
    const auto at = static_cast<size_t>(offset / *stride * *columns + offset % *stride);
    if (cleared[at])
      return false;
    cleared[at] = true;
  }
  return true;
}

/// The product's loops, the product starting from zero in their first round; null when that is not
/// what clearing its sums before means.
Stmt started(const Nest& fill, const Nest& product) {
  const Call* call = product_in(product.inside);
  if (call == nullptr || !is_int(call->args[kStart], 0) || !run_constantly(product) ||
      !clears(fill, *call))
    return nullptr;
  const auto sums = place_of(*call, kFirst);
  Expr start;
  for (const For* loop : product.loops) {
    if (depends_on(*sums, loop->loop_var.get()))
      return nullptr; // other sums in each round
    const Expr first = equal(loop->loop_var, loop->min);
    start = start ? logical_and(start, first) : first;
  }
  std::vector<Expr> args = call->args;
  args[kStart] = start ? make_cast(DataType::int32(), start) : make_int(DataType::int32(), 1);
  Stmt body = make_evaluate(make_call(call->dtype, call->op, std::move(args)));
  for (size_t i = product.loops.size(); i-- > 0;) {
    const Stmt below = body;
    body = copy_node(*product.loops[i], [&](For& loop) { loop.body = below; });
  }
  return body;
}

Stmt rewrite(const Stmt& stmt) {
  const Stmt mapped = rebuild(
      stmt, [](const Stmt& child) { return rewrite(child); },
      [](const Expr& expr) { return expr; });
  const auto* seq = mapped.as<SeqStmt>();
  if (seq == nullptr)
    return mapped;
  std::vector<Stmt> statements;
  bool changed = false;
  for (const Stmt& next : seq->statements) {
    const Stmt product =
        statements.empty() ? nullptr : started(nest_of(statements.back()), nest_of(next));
    changed |= product != nullptr;
    if (product)
      statements.back() = product;
    else
      statements.push_back(next);
  }
  return changed ? make_seq(std::move(statements)) : mapped;
}

} // namespace

PrimFunc start_tile_sums(const PrimFunc& function) {
  return with_body(function, rewrite(function->body));
}

} // namespace temper::ir
