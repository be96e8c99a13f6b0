// T.im2col(img, col, nhw_step, c_step, kernel, stride, dilation, pad): a tile of the matrix whose
// rows are the windows of an image, channels last. It is the T.Parallel that one would write:
//
//   for i, j in T.Parallel(rows, columns):
//     m = nhw_step * rows + i                     # which output: n, y, x
//     d = c_step * columns + j                    # which element of its window: r, s, channel
//     col[i, j] = img[n, y * stride + r * dilation - pad, x * stride + s * dilation - pad, channel]
//
// and zero where that lies outside of the image, or the matrix ends.
#include "ir/op.h"
#include "ir/script/function_builder.h"
#include "ir/script/regions.h"
#include "ir/script/tile_language.h"
#include "ir/tir/tile_ops.h"

#include <array>

namespace temper::script {
namespace {

/// Along the height and the width: a number for both, or one for each.
std::optional<std::array<int64_t, 2>> read_pair(Evaluator& evaluator, const ArgReader& args,
                                                size_t index, const char* name, int64_t least) {
  std::array<int64_t, 2> result{};
  const std::vector<Value>* both = args[index].sequence();
  if (both != nullptr && both->size() != 2) {
    evaluator.report(args.where(index), std::string(name) + " is a number, or one for the height "
                                                            "and one for the width");
    return std::nullopt;
  }
  for (size_t d = 0; d < 2; ++d) {
    const auto number =
        evaluator.to_int64(both != nullptr ? (*both)[d] : args[index], args.where(index), name);
    if (!number)
      return std::nullopt;
    if (*number < least) {
      evaluator.report(args.where(index), std::string(name) + " is at least " +
                                              std::to_string(least) + ", not " +
                                              std::to_string(*number));
      return std::nullopt;
    }
    result[d] = *number;
  }
  return result;
}

} // namespace

Value im2col(Evaluator& evaluator, CallArguments& call) {
  FunctionBuilder* builder = evaluator.builder();
  ArgReader args(evaluator, call,
                 {"img", "col", "nhw_step", "c_step", "kernel", "stride", "dilation", "pad",
                  "eviction_policy", "annotations"},
                 8);
  if (!args.ok())
    return Poison{};
  const std::string name = call.callee->name;
  if (builder == nullptr || !builder->in_kernel())
    return evaluator.report(call.position,
                            name + " stands inside of a kernel: with T.Kernel(...):");
  const auto* image = args[0].as<Buffer>();
  std::array<int64_t, 4> shape{}; // N, H, W, C
  bool known = image != nullptr && (*image)->rank() == 4;
  for (size_t d = 0; known && d < 4; ++d) {
    const auto extent = as_int((*image)->shape[d]);
    known = extent.has_value();
    shape[d] = extent.value_or(0);
  }
  if (!known)
    return args[0].is_poison()
               ? Value(Poison{})
               : evaluator.report(args.where(0), name +
                                                     " takes an image with channels last, a "
                                                     "whole buffer of constant shape [N, H, W, "
                                                     "C], not " +
                                                     describe(args[0]));
  const auto col = builder->to_region(args[1], args.where(1));
  const auto kernel = read_pair(evaluator, args, 4, "kernel", 1);
  const auto stride = read_pair(evaluator, args, 5, "stride", 1);
  const auto dilation = read_pair(evaluator, args, 6, "dilation", 1);
  const auto pad = read_pair(evaluator, args, 7, "pad", 0);
  const Expr row_step = evaluator.to_index(args[2], args.where(2), false);
  const Expr column_step = evaluator.to_index(args[3], args.where(3), false);
  if (!col || !kernel || !stride || !dilation || !pad || !row_step || !column_step)
    return Poison{};
  const std::vector<Expr> tile = tir::tile_shape(*col);
  if (tile.size() != 2 || !as_int(tile[0]) || !as_int(tile[1]))
    return evaluator.report(args.where(1), name +
                                               " fills a tile of two dimensions, windows by "
                                               "their elements, not " +
                                               tir::tile_text(*col));
  std::array<int64_t, 2> out{};
  for (size_t d = 0; d < 2; ++d) {
    out[d] =
        (shape[1 + d] + 2 * (*pad)[d] - (*dilation)[d] * ((*kernel)[d] - 1) - 1) / (*stride)[d] + 1;
    if (shape[1 + d] + 2 * (*pad)[d] <= (*dilation)[d] * ((*kernel)[d] - 1))
      return evaluator.report(args.where(4), "a window of " + std::to_string((*kernel)[d]) +
                                                 " does not fit into the image's " +
                                                 std::to_string(shape[1 + d]));
  }

  const tir::TileLoops loops(tile);
  const DataType type = DataType::int32();
  const auto step = [&](const Expr& which, size_t d) {
    return tir::tile_cast(type, which) * make_int(type, *as_int(tile[d])) + loops.indices[d];
  };
  const Expr m = step(row_step, 0);
  const Expr d = step(column_step, 1);
  const int64_t channels = shape[3];
  const int64_t windows = shape[0] * out[0] * out[1];
  const int64_t depth = (*kernel)[0] * (*kernel)[1] * channels;
  const auto place = [&](size_t axis) {
    const Expr output = axis == 0 ? floormod(floordiv(m, out[1]), out[0]) : floormod(m, out[1]);
    const Expr inside = axis == 0 ? floordiv(d, (*kernel)[1] * channels)
                                  : floormod(floordiv(d, channels), (*kernel)[1]);
    return output * (*stride)[axis] + inside * (*dilation)[axis] - (*pad)[axis];
  };
  const auto below = [&](const Expr& value, int64_t end) {
    return make_binary<LT>(value, make_int(type, end));
  };
  Expr there = logical_and(below(m, windows), below(d, depth));
  for (size_t axis = 0; axis < 2; ++axis) {
    there = logical_and(there, make_binary<GE>(place(axis), make_int(type, 0)));
    there = logical_and(there, below(place(axis), shape[1 + axis]));
  }
  const Expr element =
      make_load(*image, {floordiv(m, out[0] * out[1]), place(0), place(1), floormod(d, channels)});
  const Expr value = if_then_else(there, element, make_const((*image)->dtype, 0));
  builder->add(
      loops.wrap(tir::tile_store(*col, loops.indices, tir::tile_cast(col->buffer->dtype, value)),
                 tir::ForKind::kTileParallel),
      call.position);
  return None{};
}

} // namespace temper::script
