#include "ir/s_tir/primitive.h"

#include "ir/walk.h"

namespace temper::s_tir {
namespace {

/// Depth first, statements only (expressions hold none); fills `chain` down to the match.
bool find_chain(const Stmt& stmt, FunctionRef<bool(const StmtNode&)> matches,
                std::vector<Stmt>& chain) {
  chain.push_back(stmt);
  if (matches(*stmt))
    return true;
  const bool found = visit(
      stmt,
      [&](const SeqStmt& seq) {
        for (const Stmt& child : seq.statements)
          if (find_chain(child, matches, chain))
            return true;
        return false;
      },
      [&](const For& loop) { return find_chain(loop.body, matches, chain); },
      [&](const While& loop) { return find_chain(loop.body, matches, chain); },
      [&](const IfThenElse& branch) {
        return find_chain(branch.then_case, matches, chain) ||
               (branch.else_case && find_chain(branch.else_case, matches, chain));
      },
      [&](const SBlockRealize& realize) {
        const SBlock& block = *realize.block;
        return (block.init && find_chain(block.init, matches, chain)) ||
               find_chain(block.body, matches, chain);
      },
      [](const StmtNode&) { return false; });
  if (!found)
    chain.pop_back();
  return found;
}

/// `parent` with its child statement `from` replaced by `to` (null removes it). Null when nothing
/// is left.
Stmt replace_child(const Stmt& parent, const Stmt& from, const Stmt& to) {
  return visit(
      parent,
      [&](const SeqStmt& seq) -> Stmt {
        std::vector<Stmt> statements;
        for (const Stmt& child : seq.statements) {
          if (child != from)
            statements.push_back(child);
          else if (to)
            statements.push_back(to);
        }
        return statements.empty() ? Stmt() : make_seq(std::move(statements));
      },
      [&](const For& loop) -> Stmt {
        return to ? Stmt(copy_node(loop, [&](For& node) { node.body = to; })) : Stmt();
      },
      [&](const While& loop) -> Stmt {
        return to ? Stmt(copy_node(loop, [&](While& node) { node.body = to; })) : Stmt();
      },
      [&](const IfThenElse& branch) -> Stmt {
        if (branch.else_case == from)
          return copy_node(branch, [&](IfThenElse& node) { node.else_case = to; });
        if (!to && !branch.else_case)
          return nullptr;
        return copy_node(branch,
                         [&](IfThenElse& node) { node.then_case = to ? to : make_seq({}); });
      },
      [&](const SBlockRealize& realize) -> Stmt {
        Block block = copy_node(*realize.block, [&](SBlock& node) {
          if (node.init == from)
            node.init = to;
          else
            node.body = to ? to : make_seq({});
        });
        return copy_node(realize, [&](SBlockRealize& node) { node.block = std::move(block); });
      },
      [](const StmtNode&) -> Stmt { TEMPER_UNREACHABLE("this statement has no children"); });
}

} // namespace

std::optional<BlockPlace> find_block(const IRModule& module, BlockHandle block) {
  for (const ModuleEntry& entry : module->functions) {
    PrimFunc function = entry.function.as_ref<PrimFuncNode>();
    if (!function)
      continue;
    BlockPlace place;
    const bool found = find_chain(
        function->body,
        [&](const StmtNode& stmt) {
          return stmt.kind() == SBlockRealize::kKind &&
                 static_cast<const SBlockRealize&>(stmt).block->id == block.id;
        },
        place.chain);
    if (found) {
      place.realize = place.chain.back().as_ref<SBlockRealize>();
      place.function = std::move(function);
      return place;
    }
  }
  return std::nullopt;
}

std::optional<LoopPlace> find_loop(const IRModule& module, const LoopHandle& loop) {
  for (const ModuleEntry& entry : module->functions) {
    PrimFunc function = entry.function.as_ref<PrimFuncNode>();
    if (!function)
      continue;
    LoopPlace place;
    const bool found = find_chain(
        function->body,
        [&](const StmtNode& stmt) {
          return stmt.kind() == For::kKind && static_cast<const For&>(stmt).loop_var == loop.var;
        },
        place.chain);
    if (found) {
      place.loop = place.chain.back().as_ref<For>();
      place.function = std::move(function);
      return place;
    }
  }
  return std::nullopt;
}

Stmt replace_statement(std::span<const Stmt> chain, Stmt replacement) {
  for (size_t i = chain.size() - 1; i > 0; --i)
    replacement = replace_child(chain[i - 1], chain[i], replacement);
  return replacement;
}

PrimFunc replace_statement(const PrimFunc& function, std::span<const Stmt> chain,
                           Stmt replacement) {
  replacement = replace_statement(chain, std::move(replacement));
  return with_body(function, replacement ? replacement : make_seq({}));
}

Block enclosing_block(std::span<const Stmt> chain) {
  for (size_t i = chain.size(); i-- > 1;)
    if (const auto* realize = chain[i - 1].as<SBlockRealize>())
      return realize->block;
  return nullptr;
}

std::vector<Ref<For>> loops_of(std::span<const Stmt> chain) {
  size_t first = 0;
  for (size_t i = 0; i + 1 < chain.size(); ++i)
    if (chain[i].is<SBlockRealize>())
      first = i + 1;
  std::vector<Ref<For>> loops;
  for (size_t i = first; i < chain.size(); ++i)
    if (Ref<For> loop = chain[i].as_ref<For>())
      loops.push_back(std::move(loop));
  return loops;
}

} // namespace temper::s_tir
