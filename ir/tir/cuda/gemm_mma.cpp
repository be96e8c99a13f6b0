// T.gemm on the tensor cores of a warp: mma.sync.m16n8k16 (16 bits), m16n8k32 (8 bits: integers,
// from sm_89 on float8) and m16n8k8 (float32 as tf32).
//
//   for k in range(block_K / 16):
//     A's rows of the warp by ldmatrix, B's columns by ldmatrix (.trans where k is the row; other
//     elements than those of 16 bits one by one then)
//     for each 16 x 8 of the warp's tile: C += A B
//
// Each warp has the rows and columns of C that the accumulator's layout gives it. An operand that
// is a fragment is there already, in the registers of the instruction.
#include "ir/tir/cuda/variants.h"

#include "ir/op.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/layout_inference.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/ops/gemm.h"

#include <fmt/format.h>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

struct Product {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  WarpGrid grid;
  MmaShape step;
  int bits = 16;
  std::string text;       ///< of the instruction
  bool matrices_a = true; ///< ldmatrix loads A; else element by element
  bool matrices_b = true;
  int64_t chunk() const { return 128 / bits; } ///< elements of 16 bytes
};

/// Whether ldmatrix loads the operand, which is no fragment: `rows_of_k` where its rows are along
/// k.
Result<void> matrices_fit(const BufferRegion& region, const char* what, const Product& product,
                          bool rows_of_k, TileContext& context) {
  if (product.bits != 16 && !rows_of_k)
    return no(std::string(what) + " is transposed, which ldmatrix does for 16 bits alone");
  const size_t rank = region.region.size();
  for (size_t d = rank - 2; d < rank; ++d)
    if (!is_int(region.region[d].min, 0) ||
        !same_extent(region.region[d].extent, region.buffer->shape[d]))
      return no(std::string(what) + " is a part of " + region.buffer->name +
                ", whose rows ldmatrix may not find aligned");
  const auto layout = context.gpu->layout(region.buffer);
  const int64_t width =
      layout ? vector_width(*layout) : as_int(region.buffer->shape.back()).value_or(1);
  if (width % product.chunk() != 0)
    return no(fmt::format("rows of {} have no {} elements side by side, which ldmatrix loads", what,
                          product.chunk()));
  return {};
}

/// `matrices`: whether ldmatrix loads it.
Result<void> operand_fits(const BufferRegion& region, const char* what, const Product& product,
                          bool rows_of_k, const Result<Layout>& needed, TileContext& context,
                          bool& matrices) {
  if (is_fragment(region)) {
    const auto have = context.gpu->layout(region.buffer);
    if (!needed)
      return needed.error();
    if (!have || !equivalent(*have, flatten_threads(*needed)))
      return no(std::string(what) + " is a fragment that lies otherwise than mma.sync takes it");
    return {};
  }
  if (tile_scope(region.buffer->scope) != "shared")
    return no(std::string(what) + " lies in global memory");
  auto fits = matrices_fit(region, what, product, rows_of_k, context);
  matrices = fits.has_value();
  // Elements of other sizes may be loaded one by one; those of 16 bits go in pairs.
  return product.bits == 16 ? fits : Result<void>();
}

Result<Product> product_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture < 80)
    return no("mma.sync of these shapes is there from sm_80 on");
  TEMPER_TRY(shape, ops::gemm_shape(call));
  Product product;
  const auto m = as_int(shape.m), n = as_int(shape.n), k = as_int(shape.k);
  if (!m || !n || !k)
    return no("the shapes are not constant");
  product.m = *m;
  product.n = *n;
  product.k = *k;
  product.transpose_a = shape.transpose_a;
  product.transpose_b = shape.transpose_b;
  const BufferRegion& a = call.regions[0];
  const BufferRegion& b = call.regions[1];
  const BufferRegion& c = call.regions[2];
  const DataType in = a.buffer->dtype;
  product.bits = in.bits;
  const auto types = ops::tensor_types(call);
  if (!types)
    return no("there is no mma.sync of " + types.error().message);
  if (*types == ops::TensorTypes::kFloat8 && context.gpu->architecture < 89)
    return no("mma.sync of float8 is there from sm_89 on");
  TEMPER_TRY(step, mma_shape(in.bits));
  product.step = step;
  product.text =
      fmt::format("m16n8k{}{}", step.k,
                  *types == ops::TensorTypes::kBytes ? ".i8" : matrix_types(in, b.buffer->dtype));
  if (product.k % step.k != 0)
    return no("K = " + std::to_string(product.k) + " is no multiple of " + std::to_string(step.k));
  if (!is_fragment(c))
    return no("C is no fragment: accumulators are registers");
  // The warps' share is what layout inference gave C.
  const auto have = context.gpu->layout(c.buffer);
  const auto grids = warp_grids(product.m, product.n, context.gpu->threads / 32);
  if (grids.empty())
    return warp_grid(product.m, product.n, context.gpu->threads / 32, GemmPolicy::kSquare).error();
  bool found = false;
  for (const WarpGrid& grid : grids) {
    const auto accumulator = mma_accumulator(product.m, product.n, grid, product.bits);
    found = have && accumulator && equivalent(*have, flatten_threads(*accumulator));
    product.grid = grid;
    if (found)
      break;
  }
  if (!found)
    return no("C lies otherwise than mma.sync leaves it");
  const WarpGrid& grid = product.grid;
  TEMPER_TRY_VOID(operand_fits(a, "A", product, !product.transpose_a,
                               mma_operand_a(product.m, product.k, grid, product.bits), context,
                               product.matrices_a));
  if (is_fragment(a) && product.transpose_a)
    return no("A is transposed in registers");
  Result<Layout> b_needed = mma_operand_b(product.k, product.n, grid, product.bits);
  if (b_needed && product.transpose_b)
    b_needed = permute(*b_needed, {1, 0});
  TEMPER_TRY_VOID(
      operand_fits(b, "B", product, product.transpose_b, b_needed, context, product.matrices_b));
  return product;
}

/// The code of one thread.
class Code {
public:
  Code(const TileCall& call, const Product& product, const GpuKernel& gpu)
      : call_(call), p_(product), gpu_(gpu) {
    lane_ = floormod(gpu.thread, 32);
    const Expr warp = floordiv(gpu.thread, 32);
    rows_ = p_.m / p_.grid.rows / p_.step.m;
    columns_ = p_.n / p_.grid.columns / p_.step.n;
    first_row_ =
        p_.grid.rows == 1
            ? int32(0)
            : (p_.grid.columns == 1 ? warp : floordiv(warp, p_.grid.columns)) * (rows_ * p_.step.m);
    first_column_ =
        p_.grid.columns == 1
            ? int32(0)
            : (p_.grid.rows == 1 ? warp : floormod(warp, p_.grid.columns)) * (columns_ * p_.step.n);
  }

  Stmt make() {
    const BufferRegion& a = call_.regions[0];
    const BufferRegion& b = call_.regions[1];
    const BufferRegion& c = call_.regions[2];
    const int64_t per_a = p_.step.m * p_.step.k / 32;
    const int64_t per_b = p_.step.n * p_.step.k / 32;
    const int64_t steps = p_.k / p_.step.k;
    const Var k = make_var("k");
    std::vector<Stmt> list;
    std::vector<Stmt> body;
    Buffer a_registers, b_registers;
    Expr a_first = int32(0), b_first = int32(0); // register of row 0, of column 0
    int64_t a_stride = per_a, b_stride = per_b;  // to the next row, to the next column
    const Var i = make_var("i"), j = make_var("j");
    if (is_fragment(a)) {
      a_registers = gpu_.registers(a.buffer);
      a_first = Expr(k) * per_a;
      a_stride = steps * per_a;
    } else {
      a_registers = local("A_registers", a.buffer->dtype, rows_ * per_a);
      list.push_back(make_alloc(a_registers));
      body.push_back(unrolled(i, rows_, load_a(a, a_registers, Expr(i), Expr(k))));
    }
    if (is_fragment(b)) {
      b_registers = gpu_.registers(b.buffer);
      b_first = Expr(k) * (columns_ * per_b);
      b_stride = per_b;
    } else {
      b_registers = local("B_registers", b.buffer->dtype, columns_ * per_b);
      list.push_back(make_alloc(b_registers));
      // Two columns of tiles at a time by ldmatrix.x4.
      const int64_t pair = p_.matrices_b && columns_ % 2 == 0 ? 2 : 1;
      body.push_back(
          unrolled(j, columns_ / pair, load_b(b, b_registers, Expr(j) * pair, Expr(k), pair)));
    }
    const Buffer c_registers = gpu_.registers(c.buffer);
    const Var row = make_var("row"), column = make_var("column");
    Stmt product =
        statement("ptx_mma", {make_load(c_registers, {(Expr(row) * columns_ + Expr(column)) * 4}),
                              make_load(a_registers, {a_first + Expr(row) * a_stride}),
                              make_load(b_registers, {b_first + Expr(column) * b_stride}),
                              make_string(p_.text)});
    body.push_back(unrolled(row, rows_, unrolled(column, columns_, product)));
    if (flag_option(call_, "clear_accum")) {
      const Var r = make_var("r");
      const int64_t count = rows_ * columns_ * 4;
      list.push_back(make_for(r, int32(0), int32(count), ForKind::kUnrolled,
                              make_store(c_registers, {Expr(r)}, make_const(c.buffer->dtype, 0))));
    }
    list.push_back(unrolled(k, steps, make_seq(std::move(body))));
    return make_seq(std::move(list));
  }

private:
  Stmt statement(const char* op, std::vector<Expr> operands) const {
    Stmt result = make_evaluate(call_op(op, std::move(operands)));
    result->span = call_.span;
    return result;
  }
  static Buffer local(const char* name, DataType dtype, int64_t count) {
    return make_buffer(name, dtype, {int32(count)}, "local");
  }
  Expr element(const BufferRegion& region, const Expr& row, const Expr& column) const {
    return make_load(region.buffer, tile_indices(region, std::vector<Expr>{row, column}));
  }

  /// Element by element, as the fragment has them: what ldmatrix does not load.
  Stmt load_elements(const BufferRegion& region, const Buffer& registers, const Expr& first,
                     const char* operand, bool transposed, const Expr& row,
                     const Expr& column) const {
    const auto text = parse_matrix_text(p_.text);
    TEMPER_CHECK(text.has_value(), "product_of() wrote it");
    const auto layout = hardware_fragment("mma." + text->fragment + "." + operand);
    TEMPER_CHECK(layout.has_value(), "product_of() knows the instruction");
    const auto elements = inverse(*layout, {kLaneAxis, kMemoryAxis});
    TEMPER_CHECK(elements.has_value(), "fragments of mma are bijective");
    const Var r = make_var("r");
    const Expr number = layout_value(*elements, std::vector<Expr>{lane_, Expr(r)});
    Expr x = row + floordiv(number, layout->shape[1]);
    Expr y = column + floormod(number, layout->shape[1]);
    if (transposed)
      std::swap(x, y);
    return make_for(r, int32(0), int32(elements->shape[1]), ForKind::kUnrolled,
                    make_store(registers, {first + Expr(r)}, element(region, x, y)));
  }

  Stmt load_a(const BufferRegion& a, const Buffer& registers, const Expr& i, const Expr& k) const {
    const int64_t per = p_.step.m * p_.step.k / 32;
    const Expr row = first_row_ + i * p_.step.m;
    const Expr column = k * p_.step.k;
    if (!p_.matrices_a)
      return load_elements(a, registers, i * per, "A", p_.transpose_a, row, column);
    // Matrices: rows 0 and 8 of the first 16 bytes, then of the second.
    const Expr address =
        p_.transpose_a
            ? element(a, column + floordiv(lane_, 16) * 8 + floormod(lane_, 8),
                      row + floormod(floordiv(lane_, 8), 2) * 8)
            : element(a, row + floormod(lane_, 16), column + floordiv(lane_, 16) * p_.chunk());
    return statement("ptx_ldmatrix", {make_load(registers, {i * per}), address, int32(4),
                                      int32(p_.transpose_a ? 1 : 0)});
  }

  Stmt load_b(const BufferRegion& b, const Buffer& registers, const Expr& j, const Expr& k,
              int64_t columns) const {
    const int64_t per = p_.step.n * p_.step.k / 32;
    const Expr row = k * p_.step.k;
    const Expr column = first_column_ + j * p_.step.n;
    if (!p_.matrices_b)
      return load_elements(b, registers, j * per, "B", p_.transpose_b, row, column);
    // Matrices: rows 0 and 8 of the first column, then of the second.
    const Expr second = columns == 2 ? floordiv(lane_, 16) * 8 : int32(0);
    const Expr half = floormod(floordiv(lane_, 8), 2) * 8 + floormod(lane_, 8);
    const Expr address = p_.transpose_b
                             ? element(b, column + second + floormod(lane_, 8),
                                       row + floormod(floordiv(lane_, 8), 2) * p_.chunk())
                             : element(b, row + half, column + second);
    return statement("ptx_ldmatrix", {make_load(registers, {j * per}), address, int32(2 * columns),
                                      int32(p_.transpose_b ? 0 : 1)});
  }

  const TileCall& call_;
  const Product& p_;
  const GpuKernel& gpu_;
  Expr lane_, first_row_, first_column_;
  int64_t rows_ = 1; ///< tiles of the instruction in the warp's
  int64_t columns_ = 1;
};

/// What layout inference takes from the call's annotations.
std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  std::vector<TileKnob> result;
  const auto product = product_of(call, context);
  if (!product)
    return result;
  TileKnob rows{kWarpRows, {}, product->grid.rows};
  for (const WarpGrid& grid : warp_grids(product->m, product->n, context.gpu->threads / 32))
    rows.choices.push_back(grid.rows);
  result.push_back(std::move(rows));
  add_operand_swizzles(call, result);
  return result;
}

} // namespace

TileVariant gemm_mma() {
  return {.op = "gemm",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "mma_sync",
          .doc = "tensor cores by mma.sync, operands by ldmatrix",
          .fits = succeeds<product_of>,
          .knobs = knobs,
          .lower = [](const TileCall& call, TileContext& context) -> Result<Stmt> {
            TEMPER_TRY(product, product_of(call, context));
            return Code(call, product, *context.gpu).make();
          }};
}

} // namespace temper::tir::cuda
