// T.gemm: C += A B, either operand transposed. Products are formed and summed in C's type.
#include "ir/tir/ops/gemm.h"

#include "ir/narrow.h"
#include "ir/tir/ops/ops.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/promote_sums.h"
#include "ir/tir/tile_dimensions.h"

namespace temper::tir::ops {

namespace {

/// The extents of a region as a matrix, some of which may be 1.
std::vector<Expr> matrix_shape(const BufferRegion& region) {
  std::vector<Expr> shape;
  for (const size_t d : tile_dimensions(region, 2))
    shape.push_back(region.region[d].extent);
  return shape;
}

} // namespace

Result<GemmShape> gemm_shape(const TileCall& call) {
  const std::vector<Expr> a = matrix_shape(call.regions[0]);
  const std::vector<Expr> b = matrix_shape(call.regions[1]);
  const std::vector<Expr> c = matrix_shape(call.regions[2]);
  const auto text = [&] {
    return tile_text(call.regions[0]) + ", " + tile_text(call.regions[1]) + " and " +
           tile_text(call.regions[2]);
  };
  if (a.size() != 2 || b.size() != 2 || c.size() != 2)
    return Error(ErrorCode::kInvalidArgument,
                 "T.gemm multiplies matrices, but a dimension is missing or too many of " + text());
  GemmShape shape;
  shape.transpose_a = flag_option(call, "transpose_A");
  shape.transpose_b = flag_option(call, "transpose_B");
  shape.m = a[shape.transpose_a ? 1 : 0];
  shape.k = a[shape.transpose_a ? 0 : 1];
  shape.n = b[shape.transpose_b ? 0 : 1];
  const Expr& k_of_b = b[shape.transpose_b ? 1 : 0];
  if (!same_extent(shape.k, k_of_b) || !same_extent(shape.m, c[0]) || !same_extent(shape.n, c[1])) {
    const auto number = [](const Expr& extent) {
      const auto value = as_int(extent);
      return value ? std::to_string(*value) : std::string("?");
    };
    return Error(ErrorCode::kInvalidArgument,
                 "T.gemm does not fit " + text() + ": A gives M=" + number(shape.m) + " K=" +
                     number(shape.k) + ", B gives K=" + number(k_of_b) + " N=" + number(shape.n) +
                     ", C is " + number(c[0]) + " x " + number(c[1]) + "; is a transpose missing?");
  }
  return shape;
}

Result<GemmExtents> gemm_extents(const TileCall& call) {
  TEMPER_TRY(shape, gemm_shape(call));
  const auto m = as_int(shape.m);
  const auto n = as_int(shape.n);
  const auto k = as_int(shape.k);
  if (!m || !n || !k)
    return Error(ErrorCode::kUnsupported, "the tile's shape is not constant");
  return GemmExtents{*m, *n, *k};
}

Result<TensorTypes> tensor_types(const TileCall& call) {
  const DataType a = call.regions[0].buffer->dtype;
  const DataType b = call.regions[1].buffer->dtype;
  const DataType c = call.regions[2].buffer->dtype;
  const bool wide = c == DataType::float32();
  if (is_float8(a) && is_float8(b) && wide)
    return TensorTypes::kFloat8;
  if (a == b && a.is_floating() && a.bits == 16 && (wide || (a == c && a.code == TypeCode::kFloat)))
    return TensorTypes::kHalf;
  if (a == b && a.is_integral() && a.bits == 8 && c == DataType::int32())
    return TensorTypes::kBytes;
  const bool floats = a == DataType::float32() && a == b && wide;
  if (floats && flag_option(call, "allow_tf32"))
    return TensorTypes::kTf32;
  return Error(ErrorCode::kUnsupported,
               to_string(a) + " and " + to_string(b) + " into " + to_string(c) +
                   "; float16 and bfloat16 go into float32, float8 into float32, int8 into int32, "
                   "float32 as tf32 where the call says allow_tf32=True");
}

namespace {

Result<void> check(const TileCall& call) {
  TEMPER_TRY(shape, gemm_shape(call));
  const int64_t imprecise = integer_option(call, kImpreciseSums);
  if (const int64_t k = as_int(shape.k).value_or(0);
      imprecise < 0 || (imprecise > 0 && imprecise < k))
    return Error(ErrorCode::kInvalidArgument,
                 std::string("T.gemm: ") + kImpreciseSums + " is 0 or at least the " +
                     std::to_string(k) + " products that a call sums, not " +
                     std::to_string(imprecise) + "; give it tiles of a smaller K");
  if (imprecise > 0 &&
      (tile_scope(call.regions[2].buffer->scope) != "fragment" || !is_whole(call.regions[2])))
    return Error(ErrorCode::kInvalidArgument, std::string("T.gemm: with ") + kImpreciseSums +
                                                  " C is a whole fragment, not " +
                                                  tile_text(call.regions[2]));
  const DataType a = call.regions[0].buffer->dtype;
  const DataType b = call.regions[1].buffer->dtype;
  if (a.is_floating() != b.is_floating())
    return Error(ErrorCode::kInvalidArgument, "T.gemm multiplies numbers of one kind, not " +
                                                  to_string(a) + " by " + to_string(b) +
                                                  "; copy one of them into the other's type");
  return {};
}

/// `rounds`: the sum's loop is outside.
Stmt product(const TileCall& call, bool rounds) {
  const GemmShape shape = gemm_shape(call).value();
  const BufferRegion& c = call.regions[2];
  const DataType sum = c.buffer->dtype;
  const TileLoops outer({shape.m, shape.n});
  const TileLoops inner({shape.k}, "k");
  const Expr& i = outer.indices[0];
  const Expr& j = outer.indices[1];
  const Expr& k = inner.indices[0];
  const auto load = [&](const BufferRegion& region, bool transposed, const Expr& row,
                        const Expr& column) {
    const std::vector<Expr> indices =
        transposed ? std::vector{column, row} : std::vector{row, column};
    return tile_cast(sum, tile_load(region, indices));
  };
  const Expr term = make_binary<Mul>(load(call.regions[0], shape.transpose_a, i, k),
                                     load(call.regions[1], shape.transpose_b, k, j));
  const Stmt update =
      tile_store(c, outer.indices, make_binary<Add>(tile_load(c, outer.indices), term));
  const bool clears = flag_option(call, "clear_accum");
  if (rounds) {
    const Stmt loop = inner.wrap(outer.wrap(update, ForKind::kTileParallel));
    const Stmt all = copy_node(*loop.as<For>(), [](For& node) {
      node.annotations = node.annotations.with(kRounds, make_bool(true));
    });
    if (!clears)
      return all;
    const TileLoops first({shape.m, shape.n});
    const Stmt clear = tile_store(c, first.indices, make_const(sum, 0));
    return make_seq({first.wrap(clear, ForKind::kTileParallel), all});
  }
  Stmt body = inner.wrap(update);
  if (clears)
    body = make_seq({tile_store(c, outer.indices, make_const(sum, 0)), body});
  return outer.wrap(body, ForKind::kTileParallel);
}

Stmt meaning(const TileCall& call) { return product(call, false); }

} // namespace

Stmt gemm_rounds(const TileCall& call) {
  const auto in_registers = [](const BufferRegion& region) {
    return tile_scope(region.buffer->scope) == "fragment";
  };
  if (!in_registers(call.regions[2]) || !is_whole(call.regions[2]) ||
      in_registers(call.regions[0]) || in_registers(call.regions[1]))
    return nullptr;
  return product(call, true);
}

const TileOp& gemm() {
  static const TileOp op{
      .name = "gemm",
      .doc =
          "C[M, N] += A[M, K] B[K, N] for matrices in tiles, or with transpose_A and transpose_B "
          "A[K, M] and B[N, K]; products are formed and summed in C's type, in any order. "
          "clear_accum=True starts from zero. policy says how warps divide C, and k_pack is "
          "read: neither changes the result. With allow_tf32, float32 operands may be taken for "
          "tf32: 10 bits of mantissa. With allow_bf16x3 they may be taken as sums of three "
          "bfloat16: all 24 bits of mantissa, but an infinity gives NaN, and operands below "
          "2^-110 and terms below 2^-104 lose digits. wg_wait: how many products of warpgroups may "
          "be under way behind it; -1: all, until T.warpgroup_wait(n). max_num_imprecise_acc: "
          "tensor "
          "cores of sm_89 and sm_90 sum float8 with 13 bits of mantissa; with n > 0, at least the "
          "call's own K, they sum at most n products so, and what each call sums is added to C, a "
          "whole fragment, in float32. 0: they sum all of them so (cuBLAS: fast accumulation).",
      .example = R"(@T.prim_func
def main(A: T.Tensor((64, 32), "float32"), B: T.Tensor((48, 32), "float32"), C: T.Tensor((64, 48), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 32), "float32")
        B_shared = T.alloc_shared((48, 32), "float32")
        C_local = T.alloc_fragment((64, 48), "float32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.clear(C_local)
        T.gemm(A_shared, B_shared, C_local, transpose_B=True)
        T.copy(C_local, C)
)",
      .parameters = {{"A", TileParameterType::kRead},
                     {"B", TileParameterType::kRead},
                     {"C", TileParameterType::kReadWrite},
                     {"transpose_A", TileParameterType::kFlag, make_bool(false)},
                     {"transpose_B", TileParameterType::kFlag, make_bool(false)},
                     {"policy",
                      TileParameterType::kText,
                      make_string("Square"),
                      {"Square", "FullRow", "FullCol"}},
                     {"clear_accum", TileParameterType::kFlag, make_bool(false)},
                     {"k_pack", TileParameterType::kInteger, make_int(DataType::int32(), 1)},
                     {"allow_tf32", TileParameterType::kFlag, make_bool(false)},
                     {"allow_bf16x3", TileParameterType::kFlag, make_bool(false)},
                     {"wg_wait", TileParameterType::kInteger, make_int(DataType::int32(), 0)},
                     {kImpreciseSums, TileParameterType::kInteger, make_int(DataType::int32(), 0)}},
      .check = check,
      .meaning = meaning};
  return op;
}

} // namespace temper::tir::ops
