// What TileLang has a name for and this language says by what it has already: T.transpose, T.reduce
// with its kind, values of other lanes, atomic additions of several elements.
#include "ir/script/tile_language.h"

#include "ir/op.h"
#include "ir/script/function_builder.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>

namespace temper::script {
namespace {

/// The builder when the call stands in a kernel; reports and returns null otherwise.
FunctionBuilder* in_kernel(Evaluator& evaluator, const CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  if (builder == nullptr || !builder->in_kernel()) {
    evaluator.report(call.position, std::string(call.callee->name) +
                                        " stands inside of a kernel: with T.Kernel(...):");
    return nullptr;
  }
  return builder;
}

Expr int32(int64_t value) { return make_int(DataType::int32(), value); }

/// Reports an argument that is neither left out nor one of `values`, the default's.
bool is_default(Evaluator& evaluator, ArgReader& args, size_t index, const char* what,
                std::initializer_list<int64_t> values, const char* advice) {
  if (!args.has(index) || args[index].is<None>())
    return true;
  const auto given = evaluator.to_int64(args[index], args.where(index), what);
  if (given && std::find(values.begin(), values.end(), *given) == values.end())
    evaluator.report(args.where(index), advice);
  return given && std::find(values.begin(), values.end(), *given) != values.end();
}

/// mask= of what all lanes of a warp do together.
bool is_whole_warp(Evaluator& evaluator, ArgReader& args, size_t index) {
  return is_default(evaluator, args, index, "mask", {0xffffffff, -1},
                    "all lanes of the warp come here; leave mask out");
}

} // namespace

Value transpose(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"src", "dst", "annotations"}, 2);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto from = builder->to_region(args[0], args.where(0));
  const auto to = from ? builder->to_region(args[1], args.where(1)) : std::nullopt;
  if (!to)
    return Poison{};
  const std::vector<Expr> source = tir::tile_shape(*from);
  const std::vector<Expr> target = tir::tile_shape(*to);
  if (source.size() != 2 || target.size() != 2 || !tir::same_extent(source[0], target[1]) ||
      !tir::same_extent(source[1], target[0]))
    return evaluator.report(call.position, "T.transpose copies a matrix [m, n] into one of [n, m], "
                                           "but " +
                                               tir::tile_text(*from) + " and " +
                                               tir::tile_text(*to) + " are given");
  const tir::TileLoops loops(target);
  const Expr value = tir::tile_load(*from, std::vector{loops.indices[1], loops.indices[0]});
  builder->add(
      loops.wrap(tir::tile_store(*to, loops.indices, tir::tile_cast(to->buffer->dtype, value)),
                 tir::ForKind::kTileParallel),
      call.position);
  return None{};
}

Value reduce_of_kind(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call,
                 {"buffer", "out", "reduce_type", "dim", "clear", "batch", "annotations"}, 5);
  if (!args.ok())
    return Poison{};
  const auto kind = evaluator.to_string(args[2], args.where(2), "reduce_type");
  if (!kind)
    return Poison{};
  const tir::TileOp* op = tir::find_tile_op("reduce_" + *kind);
  if (op == nullptr)
    return evaluator.report(args.where(2),
                            "reduce_type is sum, abssum, max, min, absmax, bitand, bitor or "
                            "bitxor, not '" +
                                *kind + "'");
  static const std::string kName = "T.reduce";
  Builtin callee;
  callee.name = kName.c_str();
  callee.function = tile_call;
  callee.data = op->name.c_str();
  CallArguments inner;
  inner.position = call.position;
  inner.callee = &callee;
  for (const size_t i : {0, 1, 3, 4}) {
    inner.positional.push_back(args[i]);
    inner.positions.push_back(args.where(i));
  }
  if (args.has(6)) {
    inner.keywords.emplace_back("annotations", args[6]);
    inner.keyword_positions.push_back(args.where(6));
  }
  return tile_call(evaluator, inner);
}

Value lane_shuffle(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"value", "lane", "width", "mask"}, 2);
  // Lowered programs have it too, whose threads are loops.
  if (evaluator.builder() == nullptr)
    return evaluator.report(call.position, std::string(call.callee->name) +
                                               " stands inside a function decorated with "
                                               "@T.prim_func");
  if (!args.ok() ||
      !is_default(evaluator, args, 2, "width", {32},
                  "lanes are those of the whole warp of 32 here; leave width out, and of a part of "
                  "it write T.shfl_sync(x, lane) with the lane's number") ||
      !is_whole_warp(evaluator, args, 3))
    return Poison{};
  Expr value = evaluator.to_expr(args[0], args.where(0));
  Expr lane = value ? evaluator.to_index(args[1], args.where(1), false) : nullptr;
  if (!lane)
    return Poison{};
  return Value(call_op(call.callee->data, {std::move(value), std::move(lane)}));
}

Value warp_vote(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"predicate", "mask"}, 1);
  if (builder == nullptr || !args.ok() || !is_whole_warp(evaluator, args, 1))
    return Poison{};
  Expr holds;
  if (const auto* expr = args[0].as<Expr>();
      expr != nullptr && (*expr)->dtype.is_integral() && !(*expr)->dtype.is_bool())
    holds = make_binary<NE>(*expr, make_const((*expr)->dtype, 0));
  else
    holds = evaluator.to_condition(args[0], args.where(0));
  if (!holds)
    return Poison{};
  const std::string_view what = call.callee->data;
  if (what == "ballot") {
    const DataType bits = DataType::uint(32);
    const Expr lane = floormod(thread_number(*builder), 32);
    const Expr bit = call_op("shift_left", {make_cast(bits, holds), make_cast(bits, lane)});
    const Expr all = fold_warp(*builder, bit, WarpFold::kBitOr, call.position);
    return all ? Value(all) : Value(Poison{});
  }
  const Expr all = fold_warp(*builder, make_cast(DataType::int32(), holds),
                             what == "any" ? WarpFold::kMax : WarpFold::kMin, call.position);
  return all ? Value(make_binary<NE>(all, int32(0))) : Value(Poison{});
}

Value elected(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"thread_extent"}, 1);
  if (builder == nullptr || !args.ok())
    return Poison{};
  const auto threads = evaluator.to_int64(args[0], args.where(0), "thread_extent");
  if (!threads)
    return Poison{};
  if (*threads < 0)
    return evaluator.report(args.where(0), "of so many threads one is chosen; 0: of all of the "
                                           "block, not " +
                                               std::to_string(*threads));
  const Expr thread = thread_number(*builder);
  return Value(
      equal(*threads == 0 ? thread : floormod(thread, *threads), make_int(thread->dtype, 0)));
}

Value atomic_add_several(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = in_kernel(evaluator, call);
  ArgReader args(evaluator, call, {"dst", "value", "return_prev"}, 2);
  const std::string name = call.callee->name;
  const int64_t count = std::string_view(call.callee->data) == "4" ? 4 : 2;
  if (builder == nullptr || !args.ok())
    return Poison{};
  if (args.has(2) && evaluator.truth(args[2]).value_or(true))
    return evaluator.report(args.where(2), name + " gives no value here; leave return_prev out");
  const BufferLoad* places[2];
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const auto* expr = args[i].as<Expr>();
    places[i] = expr != nullptr ? expr->as<BufferLoad>() : nullptr;
    if (args[i].is_poison())
      return Poison{};
    if (places[i] == nullptr)
      return evaluator.report(args.where(i), name + " takes the first of " + std::to_string(count) +
                                                 " elements of a buffer, as C[i, j], not " +
                                                 describe(args[i]));
  }
  const auto element = [](const BufferLoad& first, int64_t offset) {
    std::vector<Expr> indices = first.indices;
    if (offset != 0)
      indices.back() = indices.back() + offset;
    return make_load(first.buffer, std::move(indices));
  };
  for (int64_t k = 0; k < count; ++k)
    builder->add(tir::make_evaluate(call_op(
                     "atomic_add", {element(*places[0], k),
                                    tir::tile_cast(places[0]->dtype, element(*places[1], k))})),
                 call.position);
  return None{};
}

Value register_hint(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"reg_count"}, 0);
  if (in_kernel(evaluator, call) == nullptr || !args.ok())
    return Poison{};
  if (!args.has(0))
    return None{};
  const auto count = evaluator.to_int64(args[0], args.where(0), "reg_count");
  if (!count)
    return Poison{};
  if (*count < 24 || *count > 256 || *count % 8 != 0)
    return evaluator.report(args.where(0), "a thread has 24 to 256 registers, in steps of 8, not " +
                                               std::to_string(*count));
  return None{};
}

} // namespace temper::script
