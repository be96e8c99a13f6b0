/// RollingBuffer: a producer that was moved below a loop of its consumers, and computes rows again
/// that the iteration before has computed, keeps them: it computes the new rows only, and the
/// buffer becomes as long as one iteration's rows, used round and round.
///
///   row r is computed in the first iteration that needs it       T.where(i < 1 or 2 <= ax0)
///   and lies at r % 6 until the loop has passed it               B[r % 6, ..]
///
/// For a row to be there, its iterations must run in order: the axes of what rolls become opaque,
/// so that no loop that drives them is reordered or made parallel.
#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/nest.h"
#include "ir/s_tir/detail/relayout.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// A dimension of which each iteration of a loop has `kept` rows from the one before.
struct Roll {
  size_t dimension = 0;
  size_t axis = 0; ///< of the producer
  size_t loop = 0; ///< among the loops that all share
  int64_t kept = 0;
  Expr row; ///< within one iteration
};

/// The rows of an iteration of the loops that all share, and how they move with a loop; nothing
/// where no row is kept.
std::optional<Roll> find_roll(IndexMath& math, const ChildBlock& producer, size_t shared,
                              std::span<const LinearInterval> box, const BufferRegion& write,
                              size_t dimension) {
  const SBlock& block = producer.block();
  const auto* index = write.region[dimension].min.as<VarNode>();
  const Linear extent = math.count(box[dimension]);
  if (index == nullptr || !extent.is_constant())
    return std::nullopt;
  Roll roll{.dimension = dimension};
  // The innermost shared loop that the rows move with.
  bool found = false;
  int64_t step = 0;
  for (const Linear::Term& term : box[dimension].lo.terms) {
    const auto loop = std::find_if(
        producer.loops.begin(), producer.loops.begin() + static_cast<ptrdiff_t>(shared),
        [&](const For* candidate) { return candidate->loop_var.get() == term.atom.get(); });
    if (loop == producer.loops.begin() + static_cast<ptrdiff_t>(shared))
      return std::nullopt;
    const auto at = static_cast<size_t>(loop - producer.loops.begin());
    if (!found || at > roll.loop) {
      roll.loop = at;
      step = term.factor;
    }
    found = true;
  }
  if (!found || step <= 0 || step >= extent.constant ||
      is_int(producer.loops[roll.loop]->extent, 1))
    return std::nullopt;
  // Rows that move with the loop in two dimensions leave corners that nobody computes.
  for (size_t other = 0; other < box.size(); ++other)
    for (const Linear::Term& term : box[other].lo.terms)
      if (other != dimension && mentions(term.atom, producer.loops[roll.loop]->loop_var.get()))
        return std::nullopt;
  roll.kept = extent.constant - step;
  for (size_t i = 0; i < block.iter_vars.size(); ++i)
    if (block.iter_vars[i].var.get() == index)
      roll.axis = i;
  const Expr& binding = producer.realize->iter_values[roll.axis];
  roll.row = math.expr(math.difference(math.linear(binding), box[dimension].lo), binding->dtype);
  return roll;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  const int64_t index = *arguments.attrs[0].as_int();
  TEMPER_TRY(allocated,
             require_allocated(context, at, index, "all of a parameter is seen outside"));
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const Buffer& buffer = allocated.buffer;
  const ChildBlock& producer = scoped.info();
  const Scope& scope = scoped.scope;
  if (allocated.owner() != scoped.scope_block())
    return refuse(
        fmt::format("{} is not allocated by the block around {}", buffer->name, describe(block)));
  TEMPER_TRY_VOID(require_stage_pipeline(context, scoped));
  if (!scope.only_writer(scoped.child))
    return refuse(
        fmt::format("{} is not the only block that writes {}", describe(block), buffer->name));
  // Bindings overlap from one iteration to the next: that is what is to be mended.
  if (std::any_of(block->iter_vars.begin(), block->iter_vars.end(), [](const IterVar& axis) {
        return axis.type != IterType::kSpatial && axis.type != IterType::kReduce;
      }))
    return refuse(
        fmt::format("{} has an axis that is neither spatial nor a reduction", describe(block)));
  if (reads(*block, buffer))
    return refuse(fmt::format("{} updates {}, which it also reads: a row begins with what is there",
                              describe(block), buffer->name));
  if (has_predicate(scoped.realize()))
    return refuse(fmt::format("{} has a predicate already: which rows it computes is not known",
                              describe(block)));
  for (const Range& range : block->writes[static_cast<size_t>(index)].region)
    if (std::any_of(block->iter_vars.begin(), block->iter_vars.end(), [&](const IterVar& axis) {
          return axis.type == IterType::kReduce && mentions(range.min, axis.var.get());
        }))
      return refuse(
          fmt::format("{} indexes {} by a reduction axis", describe(block), buffer->name));
  if (!has_trivial_writes(*block))
    return refuse(fmt::format("{} does not store at its own axes", describe(block)));

  // The loops that the producer shares with all who read the buffer.
  size_t shared = producer.loops.size();
  bool any = false;
  for (int i = 0; i < static_cast<int>(scope.children.size()); ++i) {
    const ChildBlock& consumer = scope.children[static_cast<size_t>(i)];
    if (i == scoped.child || !reads(consumer.block(), buffer))
      continue;
    any = true;
    const auto ours = producer.loops.begin() + static_cast<ptrdiff_t>(shared);
    shared = static_cast<size_t>(
        std::mismatch(producer.loops.begin(), ours, consumer.loops.begin(), consumer.loops.end())
            .first -
        producer.loops.begin());
    if (i < scoped.child || !covers_region(scope, scoped.child, i))
      return refuse(fmt::format("block \"{}\" reads elements of {} that {} has not computed in the "
                                "same iteration",
                                consumer.block().name, buffer->name, describe(block)));
  }
  if (!any || shared == 0)
    return refuse(fmt::format("{} shares no loop with what reads {}: compute_at first",
                              describe(block), buffer->name));
  IndexMath math;
  for (size_t i = 0; i < producer.loops.size(); ++i) {
    const For& loop = *producer.loops[i];
    math.set_loop(loop);
    if (i >= shared)
      continue;
    if (loop.kind != ForKind::kSerial && loop.kind != ForKind::kUnrolled)
      return refuse(fmt::format("loop {} does not run in order: rows of its iteration before may "
                                "not be there",
                                loop.loop_var->name));
    if (!is_int(loop.min, 0) || !constant_extent(loop))
      return refuse(fmt::format("loop {} does not run from 0 to a constant", loop.loop_var->name));
    if (loop_use(scoped.realize(), loop.loop_var).reduce)
      return refuse(fmt::format("{} reduces over loop {}, in each iteration of which rows must be "
                                "complete",
                                describe(block), loop.loop_var->name));
  }
  const BufferRegion& write = block->writes[static_cast<size_t>(index)];
  const auto box = relax_region(math, producer, shared, write);
  std::vector<Roll> rolls;
  for (size_t d = 0; box && d < box->size(); ++d)
    if (auto roll = find_roll(math, producer, shared, *box, write, d))
      rolls.push_back(std::move(*roll));
  if (rolls.empty())
    return refuse(fmt::format("no iteration of the loops around computes rows of {} again that the "
                              "one before has computed",
                              buffer->name));

  // The buffer is folded where the outermost of these loops moves: the others run anew in each of
  // its iterations, and need their rows whole.
  const Roll& outermost = *std::min_element(
      rolls.begin(), rolls.end(), [](const Roll& a, const Roll& b) { return a.loop < b.loop; });
  const auto& rows_of = (*box)[outermost.dimension];
  const int64_t rows = math.difference(rows_of.hi, rows_of.lo).constant + 1;
  Expr predicate = make_bool(true);
  for (const Roll& roll : rolls) {
    const Expr loop_var = producer.loops[roll.loop]->loop_var;
    predicate = logical_and(
        predicate,
        make_binary<Or>(make_binary<LT>(loop_var, make_int(loop_var->dtype, 1)),
                        make_binary<LE>(make_int(roll.row->dtype, roll.kept), roll.row)));
  }
  const Block rolled = copy_node(*block, [&](SBlock& node) {
    for (const Roll& roll : rolls)
      node.iter_vars[roll.axis].type = IterType::kOpaque;
  });
  const Stmt realize = make_realize(scoped.realize().iter_values, predicate, rolled);
  Block changed =
      with_scope_part(scoped.scope_block(), scoped.scope_block()->body,
                      replace_realize(scoped.scope_block()->body, &scoped.realize(), realize));

  std::vector<Var> inputs;
  std::vector<Expr> outputs;
  for (const Expr& extent : buffer->shape) {
    inputs.push_back(make_var(fmt::format("i{}", inputs.size()), extent->dtype));
    outputs.emplace_back(inputs.back());
  }
  outputs[outermost.dimension] =
      floormod(outputs[outermost.dimension], make_int(outputs[outermost.dimension]->dtype, rows));
  const Buffer folded = copy_node(*buffer, [&](BufferNode& node) {
    node.shape[outermost.dimension] = make_int(node.shape[outermost.dimension]->dtype, rows);
  });
  Relayout relayout(buffer, folded, make_node<IndexMapNode>([&](IndexMapNode& node) {
                      node.inputs = inputs;
                      node.outputs = outputs;
                    }));
  changed = relayout.run(changed);
  if (relayout.viewed || relayout.vector)
    return refuse(fmt::format("{} is seen through a match_buffer or by vectors of indices, which "
                              "would not go round its end",
                              buffer->name));
  Applied applied;
  applied.module = replace_scope(context, scoped, std::move(changed));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  Arguments use{.inputs = {handle}, .attrs = {0}};
  if (handle.as_block() != nullptr && apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_rolling_buffer() {
  register_primitive({
      .name = "RollingBuffer",
      .python_name = "rolling_buffer",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "write_buffer_index", .kind = ValueKind::kInt}},
      .summary =
          R"(A producer below a loop of its consumers that computes elements again which the
iteration before has computed keeps them: it computes what is new, and the buffer becomes as long as
what one iteration needs, in the dimension that moves with the outermost such loop, and is used round
and round. The loops around run in order from then on.

    # rolling_buffer(B, 0)                         B = T.sblock_alloc_buffer((6, 10))
    B = T.sblock_alloc_buffer((10, 10))            for i in range(2):
    for i in range(2):                                 for ax0, ax1 in T.grid(6, 10):
        for ax0, ax1 in T.grid(6, 10):                     with T.sblock("B"):
            with T.sblock("B"):              →                 T.where(i < 1 or 2 <= ax0)
                B[v0, v1] = A[v0, v1] * 2                      B[v0 % 6, v1] = A[v0, v1] * 2
        for j, k, r in T.grid(4, 10, 3):               for j, k, r in T.grid(4, 10, 3):
            with T.sblock("C"):                            with T.sblock("C"):
                C[v0, v1] += B[v0 + vr, v1]                    C[v0, v1] += B[(v0 + vr) % 6, v1])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
