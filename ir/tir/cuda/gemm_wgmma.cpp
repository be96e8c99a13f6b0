// T.gemm on the tensor cores of a warpgroup: wgmma, which reads B from shared memory, and A from
// there or from registers.
//
//   T.warpgroup_arrive()
//   for k in range(block_K / 16):
//     for each 64 x N of the warpgroup's tile: C += A B      asynchronous, in order
//   T.warpgroup_commit_batch(); T.warpgroup_wait(0)
//
// Each warpgroup has the rows and columns of C that the accumulator's layout gives it; with A in
// registers it has whole rows. Operands in shared memory lie in tiles with an XOR swizzle of 32 to
// 128 bytes. It is taken only where it is asked for by name: layout inference gives C another
// layout then.
#include "ir/tir/cuda/variants.h"

#include "ir/op.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_inference.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/ops/gemm.h"
#include "ir/tir/wgmma_width.h"

#include <fmt/format.h>

namespace temper::tir::cuda {
namespace {

constexpr int64_t kWarpgroup = 128; ///< threads
constexpr int64_t kRows = 64;       ///< of an instruction

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

struct Product {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t step = 16; ///< k of an instruction: 32 bytes
  bool transpose_b = false;
  WarpGrid grid;     ///< of warpgroups
  int64_t width = 0; ///< n of an instruction
  std::vector<WarpGrid> grids;
  std::string types;        ///< behind the shape, in the instruction's text
  bool registers_a = false; ///< A is a fragment
};

/// What does not depend on how operands lie.
Result<Product> shapes_fit(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture != 90)
    return no("wgmma is there on sm_90a alone");
  TEMPER_TRY(shape, ops::gemm_shape(call));
  const auto m = as_int(shape.m), n = as_int(shape.n), k = as_int(shape.k);
  if (!m || !n || !k)
    return no("the shapes are not constant");
  Product product;
  product.m = *m;
  product.n = *n;
  product.k = *k;
  product.transpose_b = shape.transpose_b;
  const BufferRegion& a = call.regions[0];
  const BufferRegion& b = call.regions[1];
  const BufferRegion& c = call.regions[2];
  const DataType in = a.buffer->dtype;
  const auto types = ops::tensor_types(call);
  if (!types)
    return no("there is no wgmma of " + types.error().message);
  if (*types != ops::TensorTypes::kBytes)
    product.types = matrix_types(in, b.buffer->dtype);
  product.registers_a = tile_scope(a.buffer->scope) == "fragment";
  product.step = 256 / in.bits;
  if (shape.transpose_a)
    return no("A is transposed");
  if (in.bits != 16 && !shape.transpose_b)
    return no(
        fmt::format("of elements of {} bits, wgmma takes B as [n, k]: transpose_B=True", in.bits));
  if (product.k % product.step != 0)
    return no(fmt::format("K = {} is no multiple of {}", product.k, product.step));
  if (tile_scope(c.buffer->scope) != "fragment")
    return no("C is no fragment: accumulators are registers");
  for (const auto& [region, what] : {std::pair(&a, "A"), std::pair(&b, "B")}) {
    if (product.registers_a && region == &a)
      continue;
    if (tile_scope(region->buffer->scope) != "shared")
      return no(std::string(what) + " does not lie in shared memory");
    const size_t rank = region->region.size();
    for (size_t d = rank - 2; d < rank; ++d)
      if (!is_int(region->region[d].min, 0) ||
          !same_extent(region->region[d].extent, region->buffer->shape[d]))
        return no(std::string(what) + " is a part of " + region->buffer->name);
    if (widest_swizzle(as_int(region->buffer->shape.back()).value_or(1), in.bits) == 0)
      return no("rows of " + std::string(what) + " are no multiple of 32 bytes");
  }
  const int64_t threads = context.gpu->threads;
  if (threads % kWarpgroup != 0)
    return no(fmt::format("{} threads are no warpgroups of 128", threads));
  product.grids = warp_grids(product.m, product.n, threads / kWarpgroup, kRows, 8);
  if (product.registers_a)
    std::erase_if(product.grids, [](const WarpGrid& grid) { return grid.columns != 1; });
  const bool shared = !product.grids.empty();
  if (*types == ops::TensorTypes::kBytes)
    std::erase_if(product.grids, [&](const WarpGrid& grid) {
      return !is_wgmma_width(wgmma_width(product.n / grid.columns), true);
    });
  if (shared && product.grids.empty())
    return no(
        fmt::format("an instruction on integers has 8 or 24 columns, or a multiple of 16, and "
                    "not {}",
                    wgmma_width(product.n)));
  if (product.grids.empty())
    return no(fmt::format("{} warpgroups cannot share {} x {} in steps of 64 x {}",
                          threads / kWarpgroup, product.m, product.n,
                          product.registers_a ? "all columns, as A in registers needs" : "8"));
  return product;
}

Result<Product> product_of(const TileCall& call, TileContext& context) {
  if (call.options.get_string(kVariant).value_or("") != kWgmma)
    return no("it is taken where a call names it: its accumulators lie otherwise");
  TEMPER_TRY(product, shapes_fit(call, context));
  const auto have = context.gpu->layout(call.regions[2].buffer);
  bool found = false;
  for (const WarpGrid& grid : product.grids) {
    const auto accumulators = wgmma_accumulators(product.m, product.n, grid);
    found = have && accumulators && equivalent(*have, flatten_threads(*accumulators));
    product.grid = grid;
    if (found)
      break;
  }
  if (!found)
    return no("C lies otherwise than wgmma leaves it");
  product.width = wgmma_width(product.n / product.grid.columns);
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Buffer& buffer = call.regions[i].buffer;
    if (i == 0 && product.registers_a) {
      const auto lies = context.gpu->layout(buffer);
      const auto needed =
          wgmma_operand(product.m, product.k, product.grid.rows, buffer->dtype.bits);
      if (!needed || !lies || !equivalent(*lies, flatten_threads(*needed)))
        return no("A is a fragment that lies otherwise than wgmma takes it");
      continue;
    }
    const auto swizzle = tile_swizzle(buffer, *context.gpu);
    if (swizzle.value_or(0) == 0)
      return no(buffer->name + " lies without the swizzle that wgmma reads");
    // Where columns of B are rows in memory, an instruction takes whole boxes of them.
    const int64_t inner = *swizzle / buffer->dtype.element_bytes();
    if (i == 1 && !product.transpose_b && product.width % inner != 0)
      return no(fmt::format("the {} columns of an instruction are no multiple of the {} that a "
                            "swizzle of {} bytes permutes",
                            product.width, inner, *swizzle));
  }
  return product;
}

Stmt statement(const TileCall& call, const char* op, std::vector<Expr> operands = {}) {
  Stmt result = make_evaluate(call_op(op, std::move(operands)));
  result->span = call.span;
  return result;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(p, product_of(call, context));
  const GpuKernel& gpu = *context.gpu;
  const Buffer accumulators = gpu.registers(call.regions[2].buffer);
  const int64_t rows = p.m / p.grid.rows / kRows;
  const int64_t columns = p.n / p.grid.columns / p.width;
  const int64_t per = kRows * p.width / kWarpgroup; // registers of an instruction
  const Expr group = floordiv(gpu.thread, kWarpgroup);
  const Expr first_row =
      p.grid.rows == 1
          ? int32(0)
          : (p.grid.columns == 1 ? group : floordiv(group, p.grid.columns)) * (rows * kRows);
  const Expr first_column =
      p.grid.columns == 1
          ? int32(0)
          : (p.grid.rows == 1 ? group : floormod(group, p.grid.columns)) * (columns * p.width);
  const auto element = [&](const BufferRegion& region, const Expr& row, const Expr& column) {
    return make_load(region.buffer, tile_indices(region, std::vector<Expr>{row, column}));
  };
  const std::string text = fmt::format("m64n{}k{}{}", p.width, p.step, p.types);
  const Buffer registers_a = p.registers_a ? gpu.registers(call.regions[0].buffer) : nullptr;
  const auto operand_a = [&](const Expr& first, int64_t row, int64_t k) {
    if (!p.registers_a)
      return element(call.regions[0], first + row * kRows, int32(k));
    return make_load(registers_a,
                     {int32((row * p.k + k) * kRows / kWarpgroup)}); // tiles row by row
  };
  const bool clear = flag_option(call, "clear_accum");
  std::vector<Stmt> list{statement(call, "warpgroup_arrive")};
  // Written out: which registers, and whether they are added to, must be constant.
  for (int64_t k = 0; k < p.k; k += p.step)
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        const Expr y = first_column + column * p.width;
        list.push_back(statement(call, p.registers_a ? "ptx_wgmma_rs" : "ptx_wgmma_ss",
                                 {make_load(accumulators, {int32((row * columns + column) * per)}),
                                  operand_a(first_row, row, k),
                                  p.transpose_b ? element(call.regions[1], y, int32(k))
                                                : element(call.regions[1], int32(k), y),
                                  make_string(text), int32(p.transpose_b ? 1 : 0),
                                  int32(clear && k == 0 ? 0 : 1)}));
      }
  list.push_back(statement(call, "warpgroup_commit_batch"));
  if (const int64_t under_way = integer_option(call, "wg_wait"); under_way >= 0)
    list.push_back(statement(call, "warpgroup_wait", {int32(under_way)}));
  return make_seq(std::move(list));
}

/// What layout inference takes from the call's annotations.
std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  std::vector<TileKnob> result;
  const auto product = shapes_fit(call, context);
  if (!product)
    return result;
  TileKnob rows{kWarpRows, {}, 0};
  for (const WarpGrid& grid : product->grids)
    rows.choices.push_back(grid.rows);
  const auto square = warp_grid(product->m, product->n, context.gpu->threads / kWarpgroup,
                                GemmPolicy::kSquare, kRows, 8);
  rows.default_value = square && !product->registers_a ? square->rows : rows.choices.front();
  result.push_back(std::move(rows));
  if (!product->registers_a)
    result.push_back(swizzle_knob(kSwizzleA, call.regions[0]));
  result.push_back(swizzle_knob(kSwizzleB, call.regions[1]));
  return result;
}

} // namespace

TileVariant gemm_wgmma() {
  return {.op = "gemm",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = kWgmma,
          .doc = "tensor cores by wgmma, B and perhaps A in shared memory (sm_90a)",
          .fits = succeeds<product_of>,
          .fits_by_name = succeeds<shapes_fit>,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cuda
