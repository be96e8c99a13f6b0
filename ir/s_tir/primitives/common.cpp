#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

std::string describe_value(const Value& value) {
  if (value.is_none())
    return "None";
  if (const auto* number = value.as_int()) {
    if (*number == kInlineLocation)
      return "the location \"inline\"";
    if (*number == kRootLocation)
      return "the location \"root\"";
    return fmt::format("the number {}", *number);
  }
  if (value.as_double() != nullptr)
    return "a floating-point number";
  if (const auto* text = value.as_string())
    return fmt::format("the string \"{}\"", *text);
  if (value.as_block() != nullptr)
    return "a block";
  if (value.as_loop() != nullptr)
    return "a loop";
  return "a list";
}

} // namespace

Result<BlockPlace> require_block(const Context& context, const Value& value) {
  const BlockHandle* handle = value.as_block();
  if (handle == nullptr)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("a block is expected here, not {}", describe_value(value)));
  auto place = find_block(context.module, *handle);
  if (!place)
    return illegal(context, {}, "the block is not in this module (any more)");
  return std::move(*place);
}

Result<LoopPlace> require_loop(const Context& context, const Value& value) {
  const LoopHandle* handle = value.as_loop();
  if (handle == nullptr)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("a loop is expected here, not {}", describe_value(value)));
  auto place = find_loop(context.module, *handle);
  if (!place)
    return illegal(context, {},
                   fmt::format("loop {} is not in this module (any more)",
                               handle->var ? handle->var->name : "(null)"));
  return std::move(*place);
}

Result<Block> require_scope(const Context& context, const BlockPlace& place) {
  if (Block scope = enclosing_block(place.chain))
    return scope;
  return illegal(context, BlockHandle{place.block()->id},
                 fmt::format("{} is the function's root block; nothing is around it",
                             describe(place.block())));
}

Result<Applied> change_annotations(const Context& context, const Value& block_or_loop,
                                   FunctionRef<Result<Annotations>(const Annotations&)> change) {
  Applied applied;
  if (block_or_loop.as_block() != nullptr) {
    TEMPER_TRY(place, require_block(context, block_or_loop));
    TEMPER_TRY(annotations, change(place.block()->annotations));
    Block block = copy_node(*place.block(), [&](SBlock& node) { node.annotations = annotations; });
    applied.module = replace_in_module(
        context.module, place.function, place.chain,
        copy_node(*place.realize, [&](SBlockRealize& node) { node.block = std::move(block); }));
  } else {
    TEMPER_TRY(place, require_loop(context, block_or_loop));
    TEMPER_TRY(annotations, change(place.loop->annotations));
    applied.module = replace_in_module(
        context.module, place.function, place.chain,
        copy_node(*place.loop, [&](For& node) { node.annotations = annotations; }));
  }
  return applied;
}

std::string describe(const Block& block) { return fmt::format("block \"{}\"", block->name); }
std::string describe(const Ref<For>& loop) { return fmt::format("loop {}", loop->loop_var->name); }

IRModule replace_function(const IRModule& module, const PrimFunc& function, PrimFunc replacement) {
  return copy_node(*module, [&](IRModuleNode& node) {
    for (ModuleEntry& entry : node.functions)
      if (entry.function == function) {
        entry.function = std::move(replacement);
        return;
      }
    TEMPER_UNREACHABLE("the function is not in the module");
  });
}

IRModule replace_in_module(const IRModule& module, const PrimFunc& function,
                           std::span<const Stmt> chain, Stmt replacement) {
  return replace_function(module, function,
                          replace_statement(function, chain, std::move(replacement)));
}

Applied with_kind(const Context& context, const LoopPlace& place, ForKind kind) {
  if (place.loop->kind == kind)
    return {.module = context.module};
  return {.module =
              replace_in_module(context.module, place.function, place.chain,
                                copy_node(*place.loop, [&](For& node) { node.kind = kind; }))};
}

Result<void> require_plain_loop(const Context& context, const Ref<For>& loop) {
  const Value at = LoopHandle{loop->loop_var};
  if (loop->kind == ForKind::kThreadBinding)
    return illegal(context, at,
                   fmt::format("{} is bound to the thread {}", describe(loop), loop->thread));
  if (!loop->annotations.empty())
    return illegal(context, at,
                   fmt::format("{} has the annotation \"{}\", which would be lost; unannotate it "
                               "first, or annotate afterwards",
                               describe(loop), loop->annotations.entries[0].key));
  if (!is_int(loop->min, 0))
    return illegal(context, at, fmt::format("{} does not start at 0", describe(loop)));
  return {};
}

Rebind::Rebind(std::span<const Stmt> chain, bool preserve_unit_iters)
    : preserve_unit_iters_(preserve_unit_iters) {
  for (const Stmt& stmt : chain.first(chain.size() - 1))
    if (const auto* loop = stmt.as<For>())
      bind_loop(*loop);
}

void Rebind::bind(const Var& var, const Expr& extent) {
  // A unit loop whose range is not known stays in the bindings.
  if (const auto constant = as_int(extent); constant && !(preserve_unit_iters_ && *constant == 1))
    analyzer_.bind(var, IntInterval::range(0, *constant));
}

void Rebind::bind_loop(const For& loop) {
  if (is_int(loop.min, 0))
    bind(loop.loop_var, loop.extent);
}

Stmt Rebind::run(const Stmt& stmt, const VarMap& values) {
  return visit(
      stmt,
      [&](const SeqStmt& seq) -> Stmt {
        std::vector<Stmt> statements;
        statements.reserve(seq.statements.size());
        bool changed = false;
        for (const Stmt& child : seq.statements) {
          statements.push_back(run(child, values));
          changed |= statements.back() != child;
        }
        return changed ? make_seq(std::move(statements)) : stmt;
      },
      [&](const For& loop) -> Stmt {
        const Expr min = substitute(loop.min, values);
        const Expr extent = substitute(loop.extent, values);
        bind_loop(loop);
        const Stmt body = run(loop.body, values);
        if (min == loop.min && extent == loop.extent && body == loop.body)
          return stmt;
        return copy_node(loop, [&](For& node) {
          node.min = min == loop.min ? min : analyzer_.simplify(min);
          node.extent = extent == loop.extent ? extent : analyzer_.simplify(extent);
          node.body = body;
        });
      },
      [&](const SBlockRealize& realize) -> Stmt {
        std::vector<Expr> bindings;
        bindings.reserve(realize.iter_values.size());
        bool changed = false;
        for (const Expr& value : realize.iter_values) {
          Expr replaced = substitute(value, values);
          if (replaced != value) {
            replaced = analyzer_.simplify(replaced);
            changed = true;
          }
          bindings.push_back(std::move(replaced));
        }
        Expr predicate = substitute(realize.predicate, values);
        if (!changed && predicate == realize.predicate)
          return stmt;
        if (predicate != realize.predicate)
          predicate = analyzer_.simplify(predicate);
        return copy_node(realize, [&](SBlockRealize& node) {
          node.iter_values = std::move(bindings);
          node.predicate = std::move(predicate);
        });
      },
      [&](const StmtNode&) -> Stmt { return substitute(stmt, values); });
}

Stmt Rebind::guard(const Stmt& stmt, const Expr& condition) {
  return visit(
      stmt,
      [&](const SeqStmt& seq) -> Stmt {
        std::vector<Stmt> statements;
        statements.reserve(seq.statements.size());
        for (const Stmt& child : seq.statements)
          statements.push_back(guard(child, condition));
        return make_seq(std::move(statements));
      },
      [&](const For& loop) -> Stmt {
        return copy_node(loop, [&](For& node) { node.body = guard(loop.body, condition); });
      },
      [&](const SBlockRealize& realize) -> Stmt {
        return copy_node(realize, [&](SBlockRealize& node) {
          node.predicate = logical_and(realize.predicate, condition);
        });
      },
      [&](const StmtNode&) -> Stmt { return make_if(condition, stmt); });
}

void for_each_child_block(const Stmt& stmt, FunctionRef<void(const BlockRealize&)> visit_block) {
  visit(
      stmt,
      [&](const SeqStmt& seq) {
        for (const Stmt& child : seq.statements)
          for_each_child_block(child, visit_block);
      },
      [&](const For& loop) { for_each_child_block(loop.body, visit_block); },
      [&](const While& loop) { for_each_child_block(loop.body, visit_block); },
      [&](const IfThenElse& branch) {
        for_each_child_block(branch.then_case, visit_block);
        if (branch.else_case)
          for_each_child_block(branch.else_case, visit_block);
      },
      [&](const SBlockRealize& realize) { visit_block(BlockRealize(&realize)); },
      [](const StmtNode&) {});
}

} // namespace temper::s_tir
