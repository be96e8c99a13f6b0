// T.gemm by AMD's matrix instructions (MFMA, ir/tir/mfma.h): float16 and bfloat16 into float32,
// int8 into int32, 16 x 16 or 32 x 32 of C at a time by a wave of 64 threads.
//
//   for k in range(block_K / 16):
//     A's rows of the wave and B's columns into registers: vectors where they lie along k
//     for each 16 x 16 of the wave's tile: C += A B
//
// There is nothing like ldmatrix: each thread reads what the instruction wants of it.
#include "ir/tir/cuda/variants.h"

#include "ir/op.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_inference.h"
#include "ir/tir/mfma.h"
#include "ir/tir/ops/gemm.h"

#include <fmt/format.h>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

constexpr int64_t kWave = 64;

struct Product {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  WarpGrid grid; ///< of waves
  MfmaShape shape;
  std::string text; ///< of the instruction
};

Result<void> operand_fits(const BufferRegion& region, const char* what,
                          const Result<Layout>& needed, TileContext& context) {
  if (!is_fragment(region)) {
    if (tile_scope(region.buffer->scope) != "shared")
      return no(std::string(what) + " lies in global memory");
    return {};
  }
  if (!needed)
    return needed.error();
  const auto have = context.gpu->layout(region.buffer);
  if (!have || !equivalent(*have, *needed))
    return no(std::string(what) + " is a fragment that lies otherwise than MFMA takes it");
  return {};
}

Result<Product> product_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || !is_amd(context.gpu->architecture))
    return no("MFMA is AMD's");
  TEMPER_TRY(extents, ops::gemm_shape(call));
  Product product;
  const auto m = as_int(extents.m), n = as_int(extents.n), k = as_int(extents.k);
  if (!m || !n || !k)
    return no("the shapes are not constant");
  product.m = *m;
  product.n = *n;
  product.k = *k;
  product.transpose_a = extents.transpose_a;
  product.transpose_b = extents.transpose_b;
  const BufferRegion& a = call.regions[0];
  const BufferRegion& b = call.regions[1];
  const BufferRegion& c = call.regions[2];
  if (context.gpu->threads % kWave != 0)
    return no(fmt::format("{} threads are no whole waves of 64", context.gpu->threads));
  const int64_t waves = context.gpu->threads / kWave;
  TEMPER_TRY(shape, mfma_shape(call.options.get_int(kMfmaRows).value_or(mfma_rows(*m, *n, waves)),
                               a.buffer->dtype.bits));
  product.shape = shape;
  TEMPER_TRY(text, mfma_text(shape, c.buffer->dtype, a.buffer->dtype, b.buffer->dtype));
  product.text = text;
  if (product.k % shape.k != 0)
    return no(fmt::format("K = {} is no multiple of {}", product.k, shape.k));
  if (!is_fragment(c))
    return no("C is no fragment: accumulators are registers");
  // The waves' share is what layout inference gave C.
  const auto have = context.gpu->layout(c.buffer);
  bool found = false;
  for (const WarpGrid& grid : warp_grids(product.m, product.n, waves, shape.m, shape.m)) {
    const auto accumulator = mfma_accumulator(product.m, product.n, grid, shape);
    found = have && accumulator && equivalent(*have, *accumulator);
    product.grid = grid;
    if (found)
      break;
  }
  if (!found)
    return no("C lies otherwise than MFMA leaves it");
  if (is_fragment(a) && product.transpose_a)
    return no("A is transposed in registers");
  TEMPER_TRY_VOID(
      operand_fits(a, "A", mfma_operand_a(product.m, product.k, product.grid, shape), context));
  Result<Layout> b_needed = mfma_operand_b(product.k, product.n, product.grid, shape);
  if (b_needed && product.transpose_b)
    b_needed = permute(*b_needed, {1, 0});
  TEMPER_TRY_VOID(operand_fits(b, "B", b_needed, context));
  return product;
}

/// The code of one thread.
class Code {
public:
  Code(const TileCall& call, const Product& product, TileContext& context)
      : call_(call), p_(product), shape_(product.shape), gpu_(*context.gpu) {
    lane_ = floormod(gpu_.thread, kWave);
    const Expr wave = floordiv(gpu_.thread, kWave);
    rows_ = p_.m / p_.grid.rows / shape_.m;
    columns_ = p_.n / p_.grid.columns / shape_.m;
    first_row_ = floordiv(wave, p_.grid.columns) * (rows_ * shape_.m);
    first_column_ = floormod(wave, p_.grid.columns) * (columns_ * shape_.m);
  }

  Stmt make() {
    const BufferRegion& a = call_.regions[0];
    const BufferRegion& b = call_.regions[1];
    const BufferRegion& c = call_.regions[2];
    const int64_t per = shape_.per();
    const int64_t steps = p_.k / shape_.k;
    const Var k = make_var("k"), i = make_var("i"), j = make_var("j");
    std::vector<Stmt> list, body;
    Buffer a_registers, b_registers;
    Expr a_first = int32(0), b_first = int32(0); // register of row 0, of column 0
    int64_t a_stride = per;                      // to the next row
    if (is_fragment(a)) {
      a_registers = gpu_.registers(a.buffer);
      a_first = Expr(k) * per;
      a_stride = steps * per;
    } else {
      a_registers = local("A_registers", a.buffer->dtype, rows_ * per);
      list.push_back(make_alloc(a_registers));
      body.push_back(unrolled(i, rows_,
                              load(a, a_registers, Expr(i) * per, !p_.transpose_a,
                                   first_row_ + Expr(i) * shape_.m, Expr(k))));
    }
    if (is_fragment(b)) {
      b_registers = gpu_.registers(b.buffer);
      b_first = Expr(k) * (columns_ * per);
    } else {
      b_registers = local("B_registers", b.buffer->dtype, columns_ * per);
      list.push_back(make_alloc(b_registers));
      body.push_back(unrolled(j, columns_,
                              load(b, b_registers, Expr(j) * per, p_.transpose_b,
                                   first_column_ + Expr(j) * shape_.m, Expr(k))));
    }
    const Buffer c_registers = gpu_.registers(c.buffer);
    const Var row = make_var("row"), column = make_var("column");
    const Expr sums = (Expr(row) * columns_ + Expr(column)) * shape_.sums();
    Stmt product = make_evaluate(call_op(
        "amd_mfma",
        {make_load(c_registers, {sums}), make_load(a_registers, {a_first + Expr(row) * a_stride}),
         make_load(b_registers, {b_first + Expr(column) * per}), make_string(p_.text)}));
    product->span = call_.span;
    body.push_back(unrolled(row, rows_, unrolled(column, columns_, product)));
    if (flag_option(call_, "clear_accum")) {
      const Var r = make_var("r");
      list.push_back(make_for(r, int32(0), int32(rows_ * columns_ * shape_.sums()),
                              ForKind::kUnrolled,
                              make_store(c_registers, {Expr(r)}, make_const(c.buffer->dtype, 0))));
    }
    list.push_back(unrolled(k, steps, make_seq(std::move(body))));
    return make_seq(std::move(list));
  }

private:
  static Buffer local(const char* name, DataType dtype, int64_t count) {
    return make_buffer(name, dtype, {int32(count)}, "local");
  }
  Expr element(const BufferRegion& region, const Expr& row, const Expr& column) const {
    return make_load(region.buffer, tile_indices(region, std::vector<Expr>{row, column}));
  }

  /// Elements of `region` side by side along its last dimension, from multiples of `count` on.
  bool has_vectors(const BufferRegion& region, int64_t count) const {
    const Range& last = region.region.back();
    if (!is_int(last.min, 0) || !same_extent(last.extent, region.buffer->shape.back()))
      return false;
    const auto layout = gpu_.layout(region.buffer);
    const int64_t width =
        layout ? vector_width(*layout) : as_int(region.buffer->shape.back()).value_or(1);
    return width % count == 0;
  }

  /// What a thread has of rows (of A) or columns (of B) from `first` on, in step `k`. `along_k`: k
  /// is the last dimension in memory.
  Stmt load(const BufferRegion& region, const Buffer& registers, const Expr& at, bool along_k,
            const Expr& first, const Expr& k) const {
    const int64_t per = shape_.per();
    const Expr row = first + floormod(lane_, shape_.m);
    const Expr column = k * shape_.k + floordiv(lane_, shape_.m) * per;
    Stmt result;
    if (along_k && has_vectors(region, per)) {
      result = make_evaluate(call_op(
          "copy_vector", {make_load(registers, {at}), element(region, row, column), int32(per)}));
    } else {
      const Var r = make_var("r");
      const Expr term = column + Expr(r);
      result =
          make_for(r, int32(0), int32(per), ForKind::kUnrolled,
                   make_store(registers, {at + Expr(r)},
                              along_k ? element(region, row, term) : element(region, term, row)));
    }
    result->span = call_.span;
    return result;
  }

  const TileCall& call_;
  const Product& p_;
  const MfmaShape& shape_;
  const GpuKernel& gpu_;
  Expr lane_, first_row_, first_column_;
  int64_t rows_ = 1; ///< tiles of the instruction in the wave's
  int64_t columns_ = 1;
};

/// What layout inference takes from the call's annotations.
std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  std::vector<TileKnob> result;
  const auto product = product_of(call, context);
  if (!product)
    return result;
  const int64_t waves = context.gpu->threads / kWave;
  TileKnob instruction{kMfmaRows, {}, product->shape.m};
  for (const int64_t rows : {32, 16}) {
    const auto shape = mfma_shape(rows, call.regions[0].buffer->dtype.bits);
    if (shape && product->k % shape->k == 0 &&
        !warp_grids(product->m, product->n, waves, rows, rows).empty())
      instruction.choices.push_back(rows);
  }
  result.push_back(std::move(instruction));
  if (call.options.get_int(kMfmaRows)) { // which shares there are depends on it
    TileKnob rows{kWarpRows, {}, product->grid.rows};
    for (const WarpGrid& grid :
         warp_grids(product->m, product->n, waves, product->shape.m, product->shape.m))
      rows.choices.push_back(grid.rows);
    result.push_back(std::move(rows));
  }
  add_operand_swizzles(call, result);
  return result;
}

} // namespace

TileVariant gemm_mfma() {
  return {.op = "gemm",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "mfma",
          .doc = "matrix cores of AMD's GPUs, by waves of 64 threads",
          .fits = succeeds<product_of>,
          .knobs = knobs,
          .lower = [](const TileCall& call, TileContext& context) -> Result<Stmt> {
            TEMPER_TRY(product, product_of(call, context));
            return Code(call, product, context).make();
          }};
}

} // namespace temper::tir::cuda
