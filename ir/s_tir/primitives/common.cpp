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

Stmt substitute_loops(const Stmt& stmt, const VarMap& values) {
  return visit(
      stmt,
      [&](const SeqStmt& seq) -> Stmt {
        std::vector<Stmt> statements;
        statements.reserve(seq.statements.size());
        bool changed = false;
        for (const Stmt& child : seq.statements) {
          statements.push_back(substitute_loops(child, values));
          changed |= statements.back() != child;
        }
        return changed ? make_seq(std::move(statements)) : stmt;
      },
      [&](const For& loop) -> Stmt {
        const Expr min = substitute(loop.min, values);
        const Expr extent = substitute(loop.extent, values);
        const Stmt body = substitute_loops(loop.body, values);
        if (min == loop.min && extent == loop.extent && body == loop.body)
          return stmt;
        return copy_node(loop, [&](For& node) {
          node.min = min;
          node.extent = extent;
          node.body = body;
        });
      },
      [&](const SBlockRealize& realize) -> Stmt {
        std::vector<Expr> bindings;
        bindings.reserve(realize.iter_values.size());
        bool changed = false;
        for (const Expr& value : realize.iter_values) {
          bindings.push_back(substitute(value, values));
          changed |= bindings.back() != value;
        }
        const Expr predicate = substitute(realize.predicate, values);
        if (!changed && predicate == realize.predicate)
          return stmt;
        return copy_node(realize, [&](SBlockRealize& node) {
          node.iter_values = std::move(bindings);
          node.predicate = predicate;
        });
      },
      [&](const StmtNode&) -> Stmt { return substitute(stmt, values); });
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
