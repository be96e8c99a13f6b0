// x86's dot products of short groups, and the interleaving of rows that their operands need; and
// the products of small matrices of AMX, over so long a reduction that loading and storing the sums
// hardly counts.
//
//   dot_16x4_u8s8_avx512vnni: 16 sums of int32, each of 4 products of uint8 (the same for all
//   sums) and int8. One vector instruction, whose operand in groups of four is 64 bytes.
//
// What is broadcast may be either operand of the instruction: vpdpbusd multiplies bytes without
// sign by bytes with sign, so there is an entry for each side.
#include "ir/s_tir/detail/builtin_intrinsics.h"

#include "ir/walk.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

constexpr DataType kIndex = DataType::int32();

Expr imm(int64_t value) { return make_int(kIndex, value); }
Expr ramp(int64_t first, int64_t lanes) {
  return make_ramp(imm(first), imm(1), static_cast<int>(lanes));
}
Range whole(int64_t extent) { return {imm(0), imm(extent)}; }

std::vector<Param> params(const std::vector<Buffer>& buffers) {
  std::vector<Param> list;
  for (const Buffer& buffer : buffers)
    list.push_back({buffer, nullptr});
  return list;
}

} // namespace

std::vector<Buffer> copies(const std::vector<Buffer>& buffers) {
  std::vector<Buffer> list;
  for (const Buffer& buffer : buffers)
    list.push_back(make_buffer(buffer->name, buffer->dtype, buffer->shape, buffer->scope));
  return list;
}

/// An s-tir function of one block under its loops; `store` gets the block's axes.
PrimFunc describe_by(const std::string& name, const std::vector<Buffer>& buffers,
                     const std::vector<IntrinsicAxis>& loops, std::vector<BufferRegion> reads,
                     std::vector<BufferRegion> writes,
                     FunctionRef<Stmt(const std::vector<Expr>&)> store) {
  std::vector<IterVar> axes;
  std::vector<Var> vars;
  std::vector<Expr> values;
  std::vector<Expr> bindings;
  for (const IntrinsicAxis& loop : loops) {
    vars.push_back(make_var(loop.name));
    axes.push_back({whole(loop.extent), make_var(std::string("v") + loop.name), loop.type});
    values.push_back(axes.back().var);
    bindings.push_back(vars.back());
  }
  const Block block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "compute";
    node.iter_vars = axes;
    node.body = store(values);
    // One element each: the axes' own regions.
    const auto element = [&](const Buffer& buffer, const std::vector<Expr>& at) {
      BufferRegion region{buffer, {}};
      for (const Expr& index : at)
        region.region.push_back({index, imm(1)});
      return region;
    };
    const auto* written = node.body.as<BufferStore>();
    node.writes.push_back(element(written->buffer, written->indices));
    walk(written->value, [&](const NodeRef& inside) {
      if (const auto* load = inside.as<BufferLoad>())
        node.reads.push_back(element(load->buffer, load->indices));
      return true;
    });
  });
  Stmt body = make_realize(bindings, make_bool(true), block);
  for (size_t i = loops.size(); i-- > 0;)
    body = make_for(vars[i], imm(0), imm(loops[i].extent), ForKind::kSerial, body);
  const Block root = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "root";
    node.reads = std::move(reads);
    node.writes = std::move(writes);
    node.body = body;
  });
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = name + "_desc";
    node.params = params(buffers);
    node.s_tir = true;
    node.body = make_realize({}, make_bool(true), root);
  });
}

PrimFunc implement_by(const std::string& name, const std::vector<Buffer>& buffers, Stmt body) {
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = name + "_impl";
    node.params = params(buffers);
    node.body = std::move(body);
  });
}

namespace {

struct Dot {
  const char* name;
  const char* feature;
  int lanes;
  int group;
  DataType broadcast; ///< of A
  DataType vector;    ///< of B
  DataType sum;
  const char* instruction;
  /// The instruction takes the sums, then what is broadcast, then the vector; else these two turned
  /// round.
  bool broadcast_first;
  /// What the instruction calls the type of its two vectors.
  DataType operand;
};

TensorIntrinsic make_dot(const Dot& dot) {
  const int64_t lanes = dot.lanes;
  const int64_t group = dot.group;
  const std::vector<Buffer> described = {
      make_buffer("A", dot.broadcast, {imm(group)}),
      make_buffer("B", dot.vector, {imm(lanes * group)}),
      make_buffer("C", dot.sum, {imm(lanes)}),
  };
  TensorIntrinsic entry;
  entry.name = dot.name;
  entry.features = {dot.feature};
  entry.description = describe_by(
      dot.name, described, {{"i", lanes, IterType::kSpatial}, {"k", group, IterType::kReduce}},
      {{described[2], {whole(lanes)}},
       {described[0], {whole(group)}},
       {described[1], {whole(lanes * group)}}},
      {{described[2], {whole(lanes)}}}, [&](const std::vector<Expr>& v) {
        const Expr product =
            make_binary<Mul>(make_cast(dot.sum, make_load(described[0], {v[1]})),
                             make_cast(dot.sum, make_load(described[1], {v[0] * group + v[1]})));
        return make_store(described[2], {v[0]},
                          make_binary<Add>(make_load(described[2], {v[0]}), product));
      });

  const std::vector<Buffer> own = copies(described);
  const auto as = [](DataType type, Expr value) {
    return value->dtype == type ? value : make_call(type, "reinterpret", {std::move(value)});
  };
  const Expr one = as(DataType::int32(), make_load(own[0], {ramp(0, group)}));
  const Expr broadcast = as(dot.operand, make_broadcast(one, dot.lanes));
  const Expr vector = as(dot.operand, make_load(own[1], {ramp(0, lanes * group)}));
  const Expr sums = make_load(own[2], {ramp(0, lanes)});
  entry.implementation =
      implement_by(dot.name, own,
                   make_store(own[2], {ramp(0, lanes)},
                              make_call(dot.sum.with_lanes(dot.lanes), "call_llvm_pure_intrin",
                                        {make_string(dot.instruction), sums,
                                         dot.broadcast_first ? broadcast : vector,
                                         dot.broadcast_first ? vector : broadcast})));
  return entry;
}

/// Rows of `lanes` columns as groups of one column each. Halves of rows, then pairs of pairs: each
/// step is one shuffle of two registers. `parts[p]` holds rows p, p + step, ... interleaved.
Expr interleaved_pairs(std::vector<Expr> parts, int64_t lanes) {
  for (int64_t width = 1; parts.size() > 1; width *= 2) {
    std::vector<Expr> joined;
    for (size_t p = 0; p < parts.size(); p += 2) {
      std::vector<Expr> picks;
      for (int64_t column = 0; column < lanes; ++column)
        for (const int64_t side : {int64_t{0}, lanes * width})
          for (int64_t i = 0; i < width; ++i)
            picks.push_back(imm(side + column * width + i));
      joined.push_back(make_shuffle({parts[p], parts[p + 1]}, std::move(picks)));
    }
    parts = std::move(joined);
  }
  return parts[0];
}

constexpr int64_t kQuad = 4;

/// The same for four rows of a quarter of a register each: they become one register by loads, then
/// four columns of all rows go to each quarter, then each quarter is transposed in itself. Half as
/// many shuffles as of pairs, on which packing int8 spends its time.
Expr transposed_quads(const std::vector<Expr>& rows, int64_t lanes) {
  const auto together = [](const Expr& a, const Expr& b) {
    std::vector<Expr> all;
    for (int64_t i = 0; i < 2 * a->dtype.lanes; ++i)
      all.push_back(imm(i));
    return make_shuffle({a, b}, std::move(all));
  };
  const auto shuffled = [&](const Expr& whole, const auto& from) {
    std::vector<Expr> picks;
    for (int64_t quarter = 0; quarter < kQuad; ++quarter)
      for (int64_t a = 0; a < kQuad; ++a)
        for (int64_t b = 0; b < kQuad; ++b)
          picks.push_back(imm(from(quarter, a, b)));
    return make_shuffle({whole}, std::move(picks));
  };
  const Expr whole = together(together(rows[0], rows[1]), together(rows[2], rows[3]));
  const Expr columns = shuffled(whole, [&](int64_t quarter, int64_t row, int64_t column) {
    return row * lanes + quarter * kQuad + column;
  });
  return shuffled(columns, [&](int64_t quarter, int64_t column, int64_t row) {
    return quarter * lanes + row * kQuad + column;
  });
}

/// D[i * rows + k] = S[k, i]: rows one behind the other become groups of one column each.
TensorIntrinsic make_interleave(int64_t rows, int64_t lanes, DataType dtype) {
  const std::string name = fmt::format("interleave_{}x{}_{}", rows, lanes, to_string(dtype));
  const std::vector<Buffer> described = {make_buffer("S", dtype, {imm(rows), imm(lanes)}),
                                         make_buffer("D", dtype, {imm(lanes * rows)})};
  TensorIntrinsic entry;
  entry.name = name;
  entry.description = describe_by(
      name, described, {{"i", lanes, IterType::kSpatial}, {"k", rows, IterType::kSpatial}},
      {{described[0], {whole(rows), whole(lanes)}}}, {{described[1], {whole(lanes * rows)}}},
      [&](const std::vector<Expr>& v) {
        return make_store(described[1], {v[0] * rows + v[1]},
                          make_load(described[0], {v[1], v[0]}));
      });

  const std::vector<Buffer> own = copies(described);
  std::vector<Expr> parts;
  for (int64_t row = 0; row < rows; ++row)
    parts.push_back(make_load(own[0], {imm(row), ramp(0, lanes)}));
  const Expr groups = rows == kQuad && lanes == kQuad * kQuad ? transposed_quads(parts, lanes)
                                                              : interleaved_pairs(parts, lanes);
  entry.implementation =
      implement_by(name, own, make_store(own[1], {ramp(0, lanes * rows)}, groups));
  return entry;
}

/// C[rows, 32] += A[rows, depth] * B, by tiles of 16 x 16 sums in the registers of AMX. B[k, j * g
/// + i] is the product's B[k * g + i, j]: groups of g elements, four bytes, of a column lie
/// together.
struct TileProduct {
  const char* types; ///< of A and B in the name
  const char* feature;
  DataType a;
  DataType b;
  DataType sum;
};

constexpr TileProduct kTileProducts[] = {
    {"bf16", "amx-bf16", DataType::bfloat16(), DataType::bfloat16(), DataType::float32()},
    {"s8s8", "amx-int8", DataType::integer(8), DataType::integer(8), DataType::int32()},
    {"s8u8", "amx-int8", DataType::integer(8), DataType::uint(8), DataType::int32()},
    {"u8s8", "amx-int8", DataType::uint(8), DataType::integer(8), DataType::int32()},
    {"u8u8", "amx-int8", DataType::uint(8), DataType::uint(8), DataType::int32()},
};
constexpr int64_t kColumns = 32;
constexpr int64_t kDepths[] = {64, 128, 192, 256, 512, 1024};

std::string tile_product_name(const TileProduct& kind, int64_t rows, int64_t depth) {
  return fmt::format("amx_{}x{}x{}_{}", rows, kColumns, depth, kind.types);
}

TensorIntrinsic make_tile_product(const TileProduct& kind, int64_t rows, int64_t depth) {
  const int64_t group = 4 / kind.a.bytes();
  const std::string name = tile_product_name(kind, rows, depth);
  const std::vector<Buffer> described = {
      make_buffer("A", kind.a, {imm(rows), imm(depth)}),
      make_buffer("B", kind.b, {imm(depth / group), imm(kColumns * group)}),
      make_buffer("C", kind.sum, {imm(rows), imm(kColumns)}),
  };
  TensorIntrinsic entry;
  entry.name = name;
  entry.features = {"amx-tile", kind.feature};
  entry.description = describe_by(
      name, described,
      {{"i", rows, IterType::kSpatial},
       {"j", kColumns, IterType::kSpatial},
       {"k", depth / group, IterType::kReduce},
       {"g", group, IterType::kReduce}},
      {{described[2], {whole(rows), whole(kColumns)}},
       {described[0], {whole(rows), whole(depth)}},
       {described[1], {whole(depth / group), whole(kColumns * group)}}},
      {{described[2], {whole(rows), whole(kColumns)}}}, [&](const std::vector<Expr>& v) {
        const Expr product = make_binary<Mul>(
            make_cast(kind.sum, make_load(described[0], {v[0], v[2] * group + v[3]})),
            make_cast(kind.sum, make_load(described[1], {v[2], v[1] * group + v[3]})));
        return make_store(described[2], {v[0], v[1]},
                          make_binary<Add>(make_load(described[2], {v[0], v[1]}), product));
      });
  const std::vector<Buffer> own = copies(described);
  std::vector<Expr> args;
  for (const size_t operand : {size_t{2}, size_t{0}, size_t{1}}) {
    const Buffer& buffer = own[operand];
    args.push_back(make_load(buffer, {imm(0), imm(0)}));
    args.push_back(make_load(buffer, {imm(1), imm(0)}));
    args.push_back(make_load(
        buffer, {imm(*as_int(buffer->shape[0]) - 1), imm(*as_int(buffer->shape[1]) - 1)}));
  }
  for (const int64_t extent : {rows, kColumns, depth})
    args.push_back(imm(extent));
  args.push_back(imm(0)); // what is in C counts
  entry.implementation = implement_by(
      name, own, make_evaluate(make_call(DataType::int32(), "amx_multiply_add", std::move(args))));
  return entry;
}

} // namespace

std::vector<TensorIntrinsic> builtin_tensor_intrinsics() {
  constexpr DataType kS8 = DataType::integer(8);
  constexpr DataType kU8 = DataType::uint(8);
  constexpr DataType kS32 = DataType::int32();
  constexpr DataType kBf16 = DataType::bfloat16();
  constexpr DataType kF32 = DataType::float32();
  std::vector<TensorIntrinsic> list;
  const DataType words16 = kS32.with_lanes(16);
  const DataType words8 = kS32.with_lanes(8);
  const char* vpdpbusd512 = "llvm.x86.avx512.vpdpbusd.512";
  const char* vpdpbusd256 = "llvm.x86.avx512.vpdpbusd.256";
  const Dot dots[] = {
      {"dot_16x2_bf16_avx512bf16", "avx512bf16", 16, 2, kBf16, kBf16, kF32,
       "llvm.x86.avx512bf16.dpbf16ps.512", true, kBf16.with_lanes(32)},
      {"dot_16x4_u8s8_avx512vnni", "avx512vnni", 16, 4, kU8, kS8, kS32, vpdpbusd512, true, words16},
      {"dot_16x4_s8u8_avx512vnni", "avx512vnni", 16, 4, kS8, kU8, kS32, vpdpbusd512, false,
       words16},
      {"dot_8x4_u8s8_avxvnni", "avxvnni", 8, 4, kU8, kS8, kS32, vpdpbusd256, true, words8},
      {"dot_8x4_s8u8_avxvnni", "avxvnni", 8, 4, kS8, kU8, kS32, vpdpbusd256, false, words8},
      {"dot_8x4_s8s8_avxvnniint8", "avxvnniint8", 8, 4, kS8, kS8, kS32,
       "llvm.x86.avx2.vpdpbssd.256", true, words8},
      {"dot_4x4_s8s8_neon", "dotprod", 4, 4, kS8, kS8, kS32, "llvm.aarch64.neon.sdot.v4i32.v16i8",
       true, kS8.with_lanes(16)},
      {"dot_4x4_u8u8_neon", "dotprod", 4, 4, kU8, kU8, kS32, "llvm.aarch64.neon.udot.v4i32.v16i8",
       true, kU8.with_lanes(16)},
      {"dot_4x4_u8s8_neon", "i8mm", 4, 4, kU8, kS8, kS32, "llvm.aarch64.neon.usdot.v4i32.v16i8",
       true, kS8.with_lanes(16)},
      {"dot_4x4_s8u8_neon", "i8mm", 4, 4, kS8, kU8, kS32, "llvm.aarch64.neon.usdot.v4i32.v16i8",
       false, kS8.with_lanes(16)},
  };
  for (const Dot& dot : dots)
    list.push_back(make_dot(dot));
  for (const TileProduct& kind : kTileProducts)
    for (const int64_t rows : {16, 32})
      for (const int64_t depth : kDepths)
        list.push_back(make_tile_product(kind, rows, depth));
  for (const int64_t lanes : {4, 8, 16}) {
    list.push_back(make_interleave(2, lanes, kBf16));
    list.push_back(make_interleave(4, lanes, kS8));
    list.push_back(make_interleave(4, lanes, kU8));
  }
  for (TensorIntrinsic& entry : warp_tensor_intrinsics())
    list.push_back(std::move(entry));
  return list;
}

std::optional<TensorIntrinsic> tile_product_named(std::string_view name) {
  constexpr int64_t kMostRows = 32;
  if (name.starts_with("amx_"))
    for (const TileProduct& kind : kTileProducts)
      for (const int64_t depth : kDepths)
        for (int64_t rows = 2; rows < kMostRows; ++rows)
          if (name == tile_product_name(kind, rows, depth))
            return make_tile_product(kind, rows, depth);
  return std::nullopt;
}

} // namespace temper::s_tir
