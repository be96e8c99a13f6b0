/// DecomposePadding: a block that pads becomes one that fills with the padding's value, in front of
/// a loop, and one that copies what is inside.
#include "ir/s_tir/detail/inline.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const LoopHandle* handle = arguments.inputs[1].as_loop();
  if (handle == nullptr)
    return Error(ErrorCode::kInvalidArgument, "a loop is expected here");
  const Block& block = scoped.block();
  const SBlockRealize& realize = scoped.realize();
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  if (const char* why = why_not_complete(scoped.scope, scoped.child))
    return refuse(fmt::format("{} is not a complete block: it {}", describe(block), why));
  TEMPER_TRY(store, require_single_store(context, at, block));
  const auto* choice = store->value.as<Call>();
  const bool padding = choice != nullptr && choice->op == "if_then_else" &&
                       choice->args.size() == 3 && as_number(choice->args[2]).has_value();
  if (!padding)
    return refuse(
        fmt::format("{} does not store T.if_then_else(inside, value, constant)", describe(block)));
  const std::vector<const For*>& loops = scoped.info().loops;
  const auto target = std::find_if(loops.begin(), loops.end(),
                                   [&](const For* loop) { return loop->loop_var == handle->var; });
  if (target == loops.end())
    return illegal(
        context, at,
        fmt::format("loop {} is not a loop around {}", handle->var->name, describe(block)));
  // What is around the block below the loop is repeated for the filling: nothing else may be there.
  const std::span<const Stmt> chain = scoped.place.chain;
  const auto from =
      static_cast<size_t>(std::find_if(chain.begin(), chain.end(),
                                       [&](const Stmt& stmt) { return stmt.get() == *target; }) -
                          chain.begin());
  for (size_t i = from; i + 1 < chain.size(); ++i)
    if (!chain[i].is<For>())
      return refuse(fmt::format("{} is not the only block below loop {}", describe(block),
                                handle->var->name));

  // The filling: the same loops with variables of their own.
  VarMap loop_map;
  for (auto loop = target; loop != loops.end(); ++loop)
    loop_map[(*loop)->loop_var] = fresh_var((*loop)->loop_var);
  VarMap axis_map;
  Block filling = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = block->name + "_pad_const";
    for (const IterVar& axis : block->iter_vars) {
      const Var var = fresh_var(axis.var);
      axis_map[axis.var] = var;
      node.iter_vars.push_back({axis.domain, var, axis.type});
    }
    for (const BufferRegion& write : block->writes) {
      BufferRegion& region = node.writes.emplace_back(BufferRegion{write.buffer, {}});
      for (const Range& range : write.region)
        region.region.push_back(
            {substitute(range.min, axis_map), substitute(range.extent, axis_map)});
    }
    std::vector<Expr> indices;
    for (const Expr& index : store->indices)
      indices.push_back(substitute(index, axis_map));
    node.body = make_store(store->buffer, std::move(indices), choice->args[2]);
  });
  std::vector<Expr> values;
  for (const Expr& value : realize.iter_values)
    values.push_back(substitute(value, loop_map));
  Stmt fill = make_realize(std::move(values), substitute(realize.predicate, loop_map), filling);
  for (size_t i = loops.size(); i-- > static_cast<size_t>(target - loops.begin());) {
    const Stmt body = fill;
    fill = copy_node(*loops[i], [&](For& node) {
      node.loop_var = Var(static_cast<const VarNode*>(loop_map[node.loop_var].get()));
      node.min = substitute(node.min, loop_map);
      node.extent = substitute(node.extent, loop_map);
      node.body = body;
    });
  }

  // The copy runs where the condition, in terms of the loops, holds.
  VarMap bindings;
  for (size_t i = 0; i < block->iter_vars.size(); ++i)
    bindings[block->iter_vars[i].var] = realize.iter_values[i];
  bool reads_memory = false;
  walk(choice->args[0], [&](const NodeRef& node) {
    reads_memory |= node->kind() == BufferLoad::kKind;
    return true;
  });
  if (reads_memory)
    return refuse(fmt::format("what is inside depends on memory in {}", describe(block)));
  Block inside = copy_node(*block, [&](SBlock& node) {
    node.body = make_store(store->buffer, store->indices, choice->args[1]);
  });
  // Copies of what lies inside: guarded reads of the old block may have been wider.
  Stmt copy = copy_node(realize, [&](SBlockRealize& node) {
    node.block = inside;
    node.predicate = logical_and(realize.predicate, substitute(choice->args[0], bindings));
  });
  Stmt rest = replace_statement(chain.subspan(from), std::move(copy));
  Applied applied;
  applied.module = replace_in_module(context.module, scoped.place.function, chain.first(from + 1),
                                     make_seq({fill, std::move(rest)}));
  applied.outputs = {BlockHandle{filling->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_loops_around(context, handle, apply);
}

} // namespace

void register_decompose_padding() {
  register_primitive({
      .name = "DecomposePadding",
      .python_name = "decompose_padding",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "loop", .kind = ValueKind::kLoop}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(A block that stores a value where it lies inside and a constant elsewhere becomes two: one
that fills with the constant, in front of `loop`, and one that stores what lies inside. The block
must be the only one below `loop`. Returns the filling block. (`Primitive::check` is TVM's
can_decompose_padding.)

    # decompose_padding(B, i)                              for i in range(20):
    for i in range(20):                                        with T.sblock("B_pad_const"):
        with T.sblock("B"):                           →            B[vi] = T.float32(0)
            B[vi] = T.if_then_else(                        for i in range(20):
                2 <= vi and vi < 18, A[vi - 2], 0)             with T.sblock("B"):
                                                                   T.where(2 <= i and i < 18)
                                                                   B[vi] = A[vi - 2])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
