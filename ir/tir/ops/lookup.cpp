// T.lookup: elements of a small table, picked by indices, summed into a tile. The core of matrix
// products with weights of a few bits: a table holds the sums of every choice of some activations.
#include "ir/op.h"
#include "ir/tir/ops/lookup.h"
#include "ir/tir/ops/ops.h"

#include <bit>

namespace temper::tir::ops {

Result<int64_t> lookup_entries(const TileCall& call) {
  const std::vector<Expr> table = tile_shape(call.regions[0]);
  const std::vector<Expr> index = tile_shape(call.regions[1]);
  const std::vector<Expr> out = tile_shape(call.regions[2]);
  const auto entries = table.size() == 1 ? as_int(table[0]) : std::nullopt;
  if (!entries || *entries < 2 || !std::has_single_bit(static_cast<uint64_t>(*entries)))
    return Error(ErrorCode::kInvalidArgument,
                 "T.lookup takes a table of one dimension whose length is a power of two, not " +
                     tile_text(call.regions[0]));
  if (!call.regions[1].buffer->dtype.is_integral())
    return Error(ErrorCode::kInvalidArgument,
                 "T.lookup takes integers as indices, not " +
                     to_string(call.regions[1].buffer->dtype));
  bool same = index.size() == out.size();
  for (size_t d = 0; same && d < out.size(); ++d)
    same = same_extent(index[d], out[d]);
  if (!same)
    return Error(ErrorCode::kInvalidArgument, "T.lookup gives an element for each index, but " +
                                                  tile_text(call.regions[1]) + " and " +
                                                  tile_text(call.regions[2]) + " differ");
  const int64_t shift = integer_option(call, "shift");
  const int bits = call.regions[1].buffer->dtype.bits;
  if (shift < 0 || shift + std::countr_zero(static_cast<uint64_t>(*entries)) > bits)
    return Error(ErrorCode::kInvalidArgument,
                 "T.lookup: an index of " + std::to_string(bits) + " bits has no " +
                     std::to_string(std::countr_zero(static_cast<uint64_t>(*entries))) +
                     " bits from bit " + std::to_string(shift));
  return *entries;
}

namespace {

Result<void> check(const TileCall& call) {
  TEMPER_TRY(entries, lookup_entries(call));
  (void)entries;
  return {};
}

Stmt meaning(const TileCall& call) {
  const int64_t entries = lookup_entries(call).value();
  const BufferRegion& out = call.regions[2];
  const DataType index_type = call.regions[1].buffer->dtype;
  const TileLoops loops(tile_shape(out));
  Expr index = tile_load(call.regions[1], loops.indices);
  if (const int64_t shift = integer_option(call, "shift"); shift != 0)
    index = call_op("shift_right", {index, make_int(index_type, shift)});
  index = call_op("bitwise_and", {index, make_int(index_type, entries - 1)});
  const std::vector<Expr> at{make_cast(DataType::int32(), index)};
  const Expr value = tile_cast(out.buffer->dtype, tile_load(call.regions[0], at));
  return loops.wrap(tile_store(out, loops.indices,
                               flag_option(call, "accumulate")
                                   ? make_binary<Add>(tile_load(out, loops.indices), value)
                                   : value),
                    ForKind::kTileParallel);
}

} // namespace

const TileOp& lookup() {
  static const TileOp op{
      .name = "lookup",
      .doc = "out += table[(index >> shift) mod the table's length], element by element; "
             "accumulate=False stores instead of adding.",
      .example = R"(@T.prim_func
def main(A: T.Tensor((16,), "float32"), B: T.Tensor((64,), "float32"), C: T.Tensor((64,), "float32")):
    with T.Kernel(1, threads=32) as bx:
        table = T.alloc_shared((16,), "int8")
        index = T.alloc_shared((64,), "uint8")
        out = T.alloc_fragment((64,), "int16")
        for i in T.Parallel(16):
            table[i] = T.cast(A[i], "int8")
        for i in T.Parallel(64):
            index[i] = T.cast(T.cast(B[i], "int32") + 4, "uint8")
        T.clear(out)
        T.lookup(table, index, out)
        T.copy(out, C)
)",
      .parameters = {{"table", TileParameterType::kRead},
                     {"index", TileParameterType::kRead},
                     {"out", TileParameterType::kReadWrite},
                     {"shift", TileParameterType::kInteger, make_int(DataType::int32(), 0)},
                     {"accumulate", TileParameterType::kFlag, make_bool(true)}},
      .check = check,
      .meaning = meaning};
  return op;
}

} // namespace temper::tir::ops
