// Loops over the same rows, one of which reads what the other writes, become one.
//
//   for i in range(256):                                for i in range(256):
//     for j in T.vectorized(128):                         for j in T.vectorized(128):
//       scores[i, j] = exp2(scores[i, j] - m[i])            scores[i, j] = exp2(...)
//   for i in range(256):                         ->       for r in range(8):
//     for r in range(8):                                    part[..] = part[..] + scores[i, r * 16
//     ..]
//       part[..] = part[..] + scores[i, r * 16 ..]        total[i] = ...
//     total[i] = ...
//
// Operators work on whole tiles, one after the other; a tile of any size leaves the first cache in
// between. Row by row each finds what the one before it left there. The loops stand next to each
// other, have the same bounds, and no iteration touches what another one of the two writes: each
// access of such a buffer has the loop's variable as the index of one and the same dimension.
#include "ir/pass/rewrite.h"
#include "ir/tir/lower_tiles.h"
#include "ir/walk.h"

#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

/// What a loop does with a buffer.
struct Use {
  bool read = false;
  bool written = false;
  /// The dimensions that have the loop's variable as their index in every access.
  std::vector<bool> by_row;
};

struct Uses {
  bool possible = true;
  std::unordered_map<const Node*, Use> buffers;

  explicit Uses(const For& loop) {
    std::unordered_set<const Node*> own;
    const auto access = [&](const Buffer& buffer, const std::vector<Expr>& indices, bool write) {
      const auto [place, is_new] = buffers.try_emplace(buffer.get());
      Use& use = place->second;
      (write ? use.written : use.read) = true;
      if (is_new)
        use.by_row.assign(indices.size(), true);
      for (size_t d = 0; d < indices.size(); ++d)
        use.by_row[d] = use.by_row[d] && indices[d].get() == loop.loop_var.get();
    };
    walk(loop.body, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        access(load->buffer, load->indices, false);
      else if (const auto* store = node.as<BufferStore>())
        access(store->buffer, store->indices, true);
      else if (const auto* alloc = node.as<AllocBuffer>())
        own.insert(alloc->buffer.get());
      else if (StmtNode::accepts(node->kind()))
        possible = possible && (node.is<For>() || node.is<SeqStmt>() || node.is<IfThenElse>() ||
                                node.is<Bind>());
      return possible;
    });
    for (const Node* buffer : own)
      buffers.erase(buffer);
  }
};

bool can_join(const For& first, const For& second) {
  const auto serial = [](const For& loop) {
    return loop.kind == ForKind::kSerial && loop.annotations.empty();
  };
  if (!serial(first) || !serial(second) || first.loop_var->dtype != second.loop_var->dtype ||
      !as_int(first.extent) || !as_int(first.min) ||
      as_int(first.extent) != as_int(second.extent) || as_int(first.min) != as_int(second.min))
    return false;
  const Uses before(first);
  const Uses after(second);
  if (!before.possible || !after.possible)
    return false;
  bool hands_over = false;
  for (const auto& [buffer, a] : before.buffers) {
    const auto found = after.buffers.find(buffer);
    if (found == after.buffers.end())
      continue;
    const Use& b = found->second;
    if (!a.written && !b.written)
      continue;
    bool apart = false;
    for (size_t d = 0; d < a.by_row.size(); ++d)
      apart |= a.by_row[d] && b.by_row[d];
    if (!apart)
      return false;
    hands_over |= a.written && b.read;
  }
  return hands_over;
}

Stmt rewrite(const Stmt& stmt) {
  const auto* seq = stmt.as<SeqStmt>();
  if (seq == nullptr)
    return rebuild(
        stmt, [](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
  std::vector<Stmt> list;
  bool changed = false;
  for (const Stmt& child : seq->statements) {
    const auto* loop = child.as<For>();
    const auto* before = loop != nullptr && !list.empty() ? list.back().as<For>() : nullptr;
    if (before == nullptr || !can_join(*before, *loop)) {
      list.push_back(child);
      continue;
    }
    const Stmt rest = substitute(loop->body, VarMap{{loop->loop_var, Expr(before->loop_var)}});
    list.back() = change_loop(*before, [&](For& node) {
      node.body = make_seq({before->body, rest});
    });
    changed = true;
  }
  for (Stmt& child : list) {
    Stmt inner = rewrite(child);
    changed |= inner != child;
    child = std::move(inner);
  }
  return changed ? make_seq(std::move(list)) : stmt;
}

} // namespace

PrimFunc fuse_rows(const PrimFunc& function) {
  return with_body(function, rewrite(function->body));
}

} // namespace temper::tir
