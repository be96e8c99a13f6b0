/// Products for tensor cores (MetaSchedule's MultiLevelTilingTensorCore), with its structure, its
/// levels of reuse and its tile sizes: 16-bit floats, float8 and bytes, in the form C[i, j] += A[i,
/// k] B[k, j] of a matrix product, a batch of them, or what becomes one when its axes are fused (a
/// convolution).
///
///   for b (blockIdx.z), i_0 j_0 (blockIdx.y), i_1 j_1 (blockIdx.x):       i_2 x j_2 warps
///     for k_0:                                                            in stages
///       A_shared, B_shared = what the tile needs                         -> T.copy
///       for i_2..i_4, j_2..j_4, k_1 k_2: C_fragment += A_shared * B_shared    -> T.gemm
///     C = C_fragment                                                     -> T.copy
///
/// A grid whose axes y or z may have too many blocks for the hardware has these loops along x, too.
///
/// TVM tensorizes the innermost 16 x 16 x 16 by WMMA or mma.m16n8k8. Here all that is below k_0 is
/// left as loops of the block's tile (ir/tir/bound_threads.h): they become the tile operators,
/// which know mma.sync and wgmma, their layouts, swizzles and asynchronous copies.
#include "tuner/space/gpu_rules.h"
#include "tuner/space/rules/tiles.h"

#include "ir/narrow.h"
#include "ir/tir/bound_threads.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace temper::tuner {
namespace {

using namespace s_tir;

constexpr std::string_view kStructure = "SSSRRSRS";
constexpr int64_t kRows = 16;            ///< of an instruction, and columns of two
constexpr int64_t kBlocksBehind = 65535; ///< that a grid may have along y, and along z

/// C[b.., i.., j..] += A[b.., i.., k..] * B[b.., k.., j..]: numbers of the block's axes.
struct Product {
  std::vector<size_t> batch, i, j, k;
  /// As in the block: A has the rows of C.
  struct Operand {
    Buffer buffer;
    int64_t number = 0; ///< among the block's reads
    std::vector<size_t> batch;
    bool turned = false; ///< k before i, j before k: as it lies in memory
    bool plain = false;  ///< its indices are axes
  };
  Operand a, b;
  int64_t m = 1, n = 1, depth = 1;
};

const BufferLoad* operand_of(const Expr& expr) {
  const auto* cast = expr.as<Cast>();
  return (cast != nullptr ? cast->value : expr).as<BufferLoad>();
}

bool has_tensor_cores(DataType operand, DataType sum, int architecture) {
  if (is_float8(operand))
    return architecture >= 89 && operand.is_scalar() && sum == DataType::float32();
  if (operand.is_floating() && operand.bits == 16)
    return sum == DataType::float32() || (sum == operand && operand.code == TypeCode::kFloat);
  return operand.is_integral() && operand.bits == 8 && operand.is_scalar() &&
         sum == DataType::int32();
}

bool mentions_axis(const Expr& expr, const IterVar& axis) {
  return uses_var(expr, [&](const VarNode& var) { return &var == axis.var.get(); });
}
bool mentions_axis(const std::vector<Expr>& exprs, const IterVar& axis) {
  return std::any_of(exprs.begin(), exprs.end(),
                     [&](const Expr& expr) { return mentions_axis(expr, axis); });
}

std::optional<Product::Operand> operand_of(const SBlock& block, const BufferLoad& load,
                                           const Product& product,
                                           const std::vector<size_t>& last) {
  Product::Operand operand{.buffer = load.buffer};
  const auto read =
      std::find_if(block.reads.begin(), block.reads.end(),
                   [&](const BufferRegion& region) { return region.buffer == load.buffer; });
  if (read == block.reads.end() || load.indices.empty())
    return std::nullopt;
  operand.number = read - block.reads.begin();
  for (const size_t axis : product.batch)
    if (mentions_axis(load.indices, block.iter_vars[axis]))
      operand.batch.push_back(axis);
  // What moves along its last dimension moves along the rows of its tile.
  operand.turned = std::none_of(last.begin(), last.end(), [&](size_t axis) {
    return mentions_axis(load.indices.back(), block.iter_vars[axis]);
  });
  operand.plain = std::all_of(load.indices.begin(), load.indices.end(),
                              [](const Expr& index) { return index.is<VarNode>(); });
  return operand;
}

std::optional<Product> product_of(const BlockFacts& facts, int architecture) {
  if (!is_tileable(facts) || !facts.has_init)
    return std::nullopt;
  const SBlock& block = *facts.block;
  const auto* sum = facts.store->value.as<Add>();
  const auto* before = sum != nullptr ? sum->a.as<BufferLoad>() : nullptr;
  const auto* product = sum != nullptr ? sum->b.as<Mul>() : nullptr;
  if (before == nullptr || before->buffer != facts.store->buffer || product == nullptr)
    return std::nullopt;
  const BufferLoad* a = operand_of(product->a);
  const BufferLoad* b = operand_of(product->b);
  if (a == nullptr || b == nullptr || a->buffer == b->buffer ||
      a->buffer->dtype != b->buffer->dtype ||
      !has_tensor_cores(a->buffer->dtype, facts.store->buffer->dtype, architecture))
    return std::nullopt;
  // The operand that the first of C's axes moves, of those that move one alone, is A.
  Product result;
  bool known = false;
  for (const Expr& index : facts.store->indices)
    for (const IterVar& axis : block.iter_vars)
      if (!known && mentions_axis(index, axis) &&
          mentions_axis(a->indices, axis) != mentions_axis(b->indices, axis)) {
        known = true;
        if (mentions_axis(b->indices, axis))
          std::swap(a, b);
      }
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
    const IterVar& var = block.iter_vars[axis];
    const int64_t extent = facts.extents[axis];
    const bool of_a = mentions_axis(a->indices, var);
    const bool of_b = mentions_axis(b->indices, var);
    if (extent <= 0 || (!of_a && !of_b))
      return std::nullopt;
    if (var.type == IterType::kReduce) {
      if (!of_a || !of_b)
        return std::nullopt;
      result.k.push_back(axis);
      result.depth *= extent;
      continue;
    }
    if (!mentions_axis(facts.store->indices, var))
      return std::nullopt;
    (of_a && of_b ? result.batch : of_a ? result.i : result.j).push_back(axis);
    if (of_a != of_b)
      (of_a ? result.m : result.n) *= extent;
  }
  if (result.i.empty() || result.j.empty() || result.k.empty())
    return std::nullopt;
  auto left = operand_of(block, *a, result, result.k);
  auto right = operand_of(block, *b, result, result.j);
  if (!left || !right)
    return std::nullopt;
  result.a = *std::move(left);
  result.b = *std::move(right);
  return result;
}

/// An index map from some of the block's axes, as traces have it.
class MapText {
public:
  MapText(const BlockFacts& facts, std::vector<size_t> inputs)
      : facts_(facts), inputs_(std::move(inputs)) {}

  MapText& axes(const std::vector<size_t>& axes) {
    for (const size_t axis : axes)
      outputs_.push_back(name(axis));
    return *this;
  }
  /// The last one moves fastest.
  MapText& fused(const std::vector<size_t>& axes) {
    std::string text = name(axes[0]);
    for (size_t at = 1; at < axes.size(); ++at)
      text = fmt::format("{} * {} + {}", at > 1 ? "(" + text + ")" : text, facts_.extents[axes[at]],
                         name(axes[at]));
    outputs_.push_back(std::move(text));
    return *this;
  }
  std::string text() const {
    std::vector<std::string> names;
    for (const size_t axis : inputs_)
      names.push_back(name(axis));
    return fmt::format("lambda {}: ({},)", fmt::join(names, ", "), fmt::join(outputs_, ", "));
  }

private:
  static std::string name(size_t axis) { return fmt::format("i{}", axis); }

  const BlockFacts& facts_;
  std::vector<size_t> inputs_;
  std::vector<std::string> outputs_;
};

class GpuTensorCores final : public Rule {
public:
  explicit GpuTensorCores(const GpuHints& gpu) : gpu_(gpu) {}
  const char* name() const override { return "gpu_tensor_cores"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (gpu_.architecture < 80 || gpu_.architecture > 100)
      return {schedule};
    const auto product = product_of(facts, gpu_.architecture);
    if (!product)
      return {schedule};
    // An instruction takes 32 bytes of the reduction.
    const int64_t step = 32 / product->a.buffer->dtype.element_bytes();
    if (product->m % kRows != 0 || product->n % kRows != 0 || product->depth % step != 0)
      return {schedule};
    Schedule tiled = schedule;
    tiled.set_render_errors(false);
    if (!tile(tiled, block, facts, *product, step))
      return {schedule};
    return {tiled};
  }

private:
  static size_t places(char kind) {
    return static_cast<size_t>(std::count(kStructure.begin(), kStructure.end(), kind));
  }

  Result<void> tile(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                    const Product& product, int64_t step) const {
    TEMPER_TRY_VOID(schedule.annotate(block, kTilingStructure, std::string(kStructure)));
    TEMPER_TRY(fetch_a, cached(schedule, block, facts, product, &product.a));
    TEMPER_TRY(fetch_b, cached(schedule, block, facts, product, &product.b));
    TEMPER_TRY(write, cached(schedule, block, facts, product, nullptr));
    TEMPER_TRY_VOID(as_matrices(schedule, block, facts, product));

    TEMPER_TRY(loops, schedule.get_loops(block));
    const size_t batch = product.batch.size();
    TEMPER_TRY(i, parts_of(schedule, loops[batch], kRows, places('S')));
    TEMPER_TRY(j, parts_of(schedule, loops[batch + 1], kRows, places('S')));
    TEMPER_TRY(k, parts_of(schedule, loops[batch + 2], step, places('R')));
    std::vector<LoopRv> order(loops.begin(), loops.begin() + static_cast<std::ptrdiff_t>(batch));
    for (const LoopRv& loop : {i.loops[0], j.loops[0], i.loops[1], j.loops[1], k.loops[0],
                               i.loops[2], j.loops[2], k.loops[1]})
      order.push_back(loop);
    TEMPER_TRY_VOID(schedule.reorder(order));

    // The same blocks in the same order, along one axis where the others might be too short.
    order.resize(batch);
    int64_t batches = 1;
    for (const size_t axis : product.batch)
      batches *= facts.extents[axis];
    std::vector<LoopRv> fastest;
    if (batches > kBlocksBehind)
      fastest = std::exchange(order, {});
    if (!order.empty())
      TEMPER_TRY_VOID(bind(schedule, order, "blockIdx.z"));
    if (!fastest.empty() || (product.m / kRows) * (product.n / kRows) > kBlocksBehind)
      fastest.insert(fastest.end(), {i.loops[0], j.loops[0]});
    else
      TEMPER_TRY_VOID(bind(schedule, {i.loops[0], j.loops[0]}, "blockIdx.y"));
    fastest.insert(fastest.end(), {i.loops[1], j.loops[1]});
    TEMPER_TRY(block_loop, bind(schedule, fastest, "blockIdx.x"));
    TEMPER_TRY_VOID(schedule.annotate(block_loop, tir::kTileWarpRows, i.factors[2]));
    TEMPER_TRY_VOID(schedule.annotate(block_loop, tir::kTileWarpColumns, j.factors[2]));
    if (gpu_.use_software_pipeline)
      TEMPER_TRY_VOID(one_of(schedule, k.loops[0], tir::kTileStages, gpu_.pipeline_stages));
    if (gpu_.architecture == 90) {
      // wgmma reads bytes along the reduction alone, and A so in any case.
      if (!product.a.turned && (product.a.buffer->dtype.element_bytes() == 2 || product.b.turned))
        TEMPER_TRY_VOID(one_of(schedule, i.loops[2], tir::kTileWgmma, {0, 1}));
      // The tensor memory accelerator moves boxes of the operands.
      if (gpu_.use_software_pipeline && product.a.plain && product.b.plain)
        TEMPER_TRY_VOID(one_of(schedule, k.loops[0], tir::kTileTma, {0, 1, 2}));
    }
    TEMPER_TRY_VOID(schedule.reverse_compute_at(write, block_loop, true));
    TEMPER_TRY_VOID(schedule.compute_at(fetch_a, k.loops[0], true));
    return schedule.compute_at(fetch_b, k.loops[0], true);
  }

  /// The block uses an operand, or its result where that is null, through memory that is laid out
  /// as a matrix; the block that copies has an axis for each of its dimensions.
  static Result<BlockRv> cached(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                                const Product& product, const Product::Operand* operand) {
    const std::vector<size_t>& batch = operand != nullptr ? operand->batch : product.batch;
    const std::vector<size_t>& rows = operand == &product.b ? product.k : product.i;
    const std::vector<size_t>& columns = operand == &product.a ? product.k : product.j;
    const bool turned = operand != nullptr && operand->turned;
    const auto map = [&](std::vector<size_t> inputs) {
      MapText text(facts, std::move(inputs));
      text.axes(batch).fused(turned ? columns : rows).fused(turned ? rows : columns);
      return text.text();
    };
    std::vector<size_t> all, own;
    for (size_t axis = 0; axis < facts.extents.size(); ++axis) {
      all.push_back(axis);
      for (const std::vector<size_t>* group : {&batch, &rows, &columns})
        if (std::find(group->begin(), group->end(), axis) != group->end())
          own.push_back(axis);
    }
    const Result<std::vector<Rv>> made =
        operand != nullptr
            ? schedule.call("ReindexCacheRead", {block, map(all)}, {operand->number, "shared"})
            : schedule.call("ReindexCacheWrite", {block, map(all)}, {0, "local.fragment"});
    if (!made)
      return made.error();
    const BlockRv copy((*made)[0]);
    if (rows.size() + columns.size() > 2)
      TEMPER_TRY_VOID(schedule.call("TransformBlockLayout", {copy}, {map(own)}));
    return copy;
  }

  /// The block has the axes (batch.., i, j, k).
  static Result<void> as_matrices(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                                  const Product& product) {
    std::vector<size_t> order = product.batch;
    for (const std::vector<size_t>* group : {&product.i, &product.j, &product.k})
      order.insert(order.end(), group->begin(), group->end());
    if (order.size() == product.batch.size() + 3 && std::is_sorted(order.begin(), order.end()))
      return {};
    std::vector<size_t> all = order;
    std::sort(all.begin(), all.end());
    MapText map(facts, std::move(all));
    map.axes(product.batch).fused(product.i).fused(product.j).fused(product.k);
    TEMPER_TRY_VOID(schedule.call("TransformBlockLayout", {block}, {map.text()}));
    return {};
  }

  struct Parts {
    std::vector<ExprRv> factors; ///< of the loop in instructions
    std::vector<LoopRv> loops;   ///< of the levels that are not the tile's, then the tile's
  };
  /// The loop in instructions is split into `levels` by sampled factors; those inside of the
  /// blocks, or of the outer reduction, are the tile's.
  Result<Parts> parts_of(Schedule& schedule, LoopRv loop, int64_t step, size_t levels) const {
    TEMPER_TRY(both, schedule.split(loop, {std::nullopt, step}));
    TEMPER_TRY(factors, schedule.sample_perfect_tile(both[0], static_cast<int>(levels),
                                                     gpu_.tensor_max_innermost));
    const size_t outside = levels == places('S') ? 2 : 1;
    std::vector<Operand> split(factors.begin(),
                               factors.begin() + static_cast<std::ptrdiff_t>(outside));
    split.emplace_back(std::nullopt);
    TEMPER_TRY(parts, schedule.split(both[0], std::move(split)));
    TEMPER_TRY(tile, schedule.fuse({parts.back(), both[1]}));
    parts.back() = tile;
    return Parts{factors, parts};
  }

  static Result<LoopRv> bind(Schedule& schedule, const std::vector<LoopRv>& loops,
                             const char* thread) {
    LoopRv loop = loops[0];
    if (loops.size() > 1) {
      TEMPER_TRY(fused, schedule.fuse(loops));
      loop = fused;
    }
    TEMPER_TRY_VOID(schedule.call("Bind", {loop}, {thread}));
    return loop;
  }

  static Result<void> one_of(Schedule& schedule, LoopRv loop, const char* key,
                             const std::vector<int64_t>& choices) {
    const std::vector<double> even(choices.size(), 1.0 / static_cast<double>(choices.size()));
    TEMPER_TRY(choice, schedule.sample_categorical(choices, even));
    return schedule.annotate(loop, key, choice);
  }

  GpuHints gpu_;
};

} // namespace

std::unique_ptr<Rule> make_gpu_tensor_cores_rule(const GpuHints& gpu) {
  return std::make_unique<GpuTensorCores>(gpu);
}

} // namespace temper::tuner
