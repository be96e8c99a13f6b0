#include "ir/s_tir/detail/scoped_block.h"

#include "ir/s_tir/detail/index_type.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Result<ScopedBlock> require_in_scope(const Context& context, const Value& block) {
  TEMPER_TRY(place, require_block(context, block));
  ScopedBlock scoped;
  scoped.place = std::move(place);
  size_t at = scoped.place.chain.size() - 1;
  while (at > 0 && !scoped.place.chain[at - 1].is<SBlockRealize>())
    --at;
  if (at == 0)
    return illegal(context, block,
                   fmt::format("{} is the outermost block of its function: it stands in no scope",
                               describe(scoped.block())));
  scoped.scope_at = at - 1;
  scoped.scope = analyze_scope(*scoped.scope_block());
  scoped.child = scoped.scope.index_of(scoped.block()->id);
  TEMPER_CHECK(scoped.child >= 0, "a block is a child of its scope");
  return scoped;
}

Result<void> require_stage_pipeline(const Context& context, const ScopedBlock& scoped) {
  if (const std::string why = why_not_stage_pipeline(scoped.scope, scoped.child); !why.empty())
    return illegal(
        context, BlockHandle{scoped.block()->id},
        fmt::format("blocks in {} cannot be moved: {}", describe(scoped.scope_block()), why));
  return {};
}

Result<void> require_complete_or_reduction(const Context& context, const ScopedBlock& scoped,
                                           int child) {
  const char* not_complete = why_not_complete(scoped.scope, child);
  if (not_complete == nullptr)
    return {};
  const char* not_reduction = why_not_reduction(scoped.scope, child);
  if (not_reduction == nullptr)
    return {};
  const SBlock& block = scoped.info(child).block();
  return illegal(context, BlockHandle{block.id},
                 fmt::format("block \"{}\" is neither a complete block (it {}) nor a reduction "
                             "block (it {})",
                             block.name, not_complete, not_reduction));
}

IRModule replace_scope(const Context& context, const ScopedBlock& scoped, Block changed) {
  return replace_scope(context, scoped.place.function, scoped.scope_chain(), std::move(changed));
}

IRModule replace_scope(const Context& context, const PrimFunc& function,
                       std::span<const Stmt> scope_chain, Block changed) {
  const auto& realize = static_cast<const SBlockRealize&>(*scope_chain.back());
  return replace_in_module(
      context.module, function, scope_chain,
      copy_node(realize, [&](SBlockRealize& node) { node.block = std::move(changed); }));
}

std::string identifier(std::string text) {
  std::replace(text.begin(), text.end(), '.', '_');
  return text;
}

bool reads(const SBlock& block, const Buffer& buffer) {
  return std::any_of(block.reads.begin(), block.reads.end(),
                     [&](const BufferRegion& region) { return region.buffer == buffer; });
}

bool writes(const SBlock& block, const Buffer& buffer) {
  return std::any_of(block.writes.begin(), block.writes.end(),
                     [&](const BufferRegion& region) { return region.buffer == buffer; });
}

std::vector<Stmt> statements_of(const Stmt& body) {
  const auto* seq = body.as<SeqStmt>();
  return seq != nullptr ? seq->statements : std::vector<Stmt>{body};
}

bool same_extent(const Expr& a, const Expr& b) {
  const auto known = as_int(a);
  return known ? known == as_int(b) : same_expr(a, as_type(a->dtype, b));
}

bool depends_on(const Expr& extent, std::span<const Ref<For>> loops) {
  return uses_var(extent, [&](const VarNode& var) {
    return std::any_of(loops.begin(), loops.end(),
                       [&](const Ref<For>& loop) { return loop->loop_var.get() == &var; });
  });
}

Var fresh_var(const Var& var, std::string_view suffix) {
  return make_var(var->name + std::string(suffix), var->dtype);
}

namespace {
void collect_conditions(const Expr& predicate, std::vector<Expr>& conditions) {
  if (const auto* both = predicate.as<And>()) {
    collect_conditions(both->a, conditions);
    collect_conditions(both->b, conditions);
  } else if (!is_int(predicate, 1)) {
    conditions.push_back(predicate);
  }
}
} // namespace

std::vector<Expr> conditions_of(const Expr& predicate) {
  std::vector<Expr> conditions;
  collect_conditions(predicate, conditions);
  return conditions;
}

std::vector<Arguments> enumerate_loops_around(const Context& context, const Value& block,
                                              Result<Applied> (*apply)(const Context&,
                                                                       const Arguments&)) {
  std::vector<Arguments> uses;
  const auto scoped =
      block.as_block() != nullptr ? require_in_scope(context, block) : Result<ScopedBlock>(Error());
  if (!scoped)
    return uses;
  for (const For* loop : scoped->info().loops) {
    Arguments use{.inputs = {block, LoopHandle{loop->loop_var}}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace temper::s_tir
