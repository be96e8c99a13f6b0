// Tiles of a warp of a GPU: loaded, started, multiplied, stored. Names, shapes and scopes are TVM's
// where it has them; those of m16n8k16, m16n8k32 and of tf32 follow its m16n8k8.
//
//   wmma_sync_16x16x16_f16f16f32: C[i, j] += A[i, k] * B[k, j] over 16 x 16 x 16, by two m16n8k16
#include "ir/s_tir/detail/builtin_intrinsics.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/warp_fragments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace temper::s_tir {
namespace {

constexpr DataType kIndex = DataType::int32();

Expr imm(int64_t value) { return make_int(kIndex, value); }

struct Shape {
  int64_t rows;
  int64_t columns;
};
constexpr int64_t kLanes = 32;

/// In "warp": by lanes.
Buffer tile(const char* name, DataType dtype, Shape shape, const std::string& scope) {
  if (scope == "warp")
    shape = {kLanes, shape.rows * shape.columns / kLanes};
  return make_buffer(name, dtype, {imm(shape.rows), imm(shape.columns)}, scope);
}
/// The element of a tile of so many rows.
std::vector<Expr> element(const Buffer& buffer, int64_t rows, const Expr& row, const Expr& column) {
  if (buffer->scope != "warp")
    return {row, column};
  const auto at = tir::lane_element(row, column, *as_int(buffer->shape[1]), rows == kLanes);
  return {at[0], at[1]};
}
BufferRegion whole(const Buffer& buffer) {
  return {buffer, {{imm(0), buffer->shape[0]}, {imm(0), buffer->shape[1]}}};
}

/// The first and the last element of a tile.
void add_tile(std::vector<Expr>& args, const Buffer& buffer) {
  args.push_back(make_load(buffer, {imm(0), imm(0)}));
  args.push_back(
      make_load(buffer, {imm(*as_int(buffer->shape[0]) - 1), imm(*as_int(buffer->shape[1]) - 1)}));
}
Stmt operation(const char* op, std::vector<Expr> args) {
  return make_evaluate(call_op(op, std::move(args)));
}

TensorIntrinsic entry_of(std::string name, PrimFunc description, PrimFunc implementation) {
  const bool float8 =
      std::any_of(description->params.begin(), description->params.end(),
                  [](const Param& param) { return is_float8(param.buffer->dtype); });
  TensorIntrinsic entry;
  entry.name = std::move(name);
  entry.description = std::move(description);
  entry.implementation = std::move(implementation);
  entry.features = {float8 ? "sm_89" : "sm_80"}; // the first with these shapes
  return entry;
}

/// to = from: loads, and stores where the fragment is what is read.
TensorIntrinsic make_move(const std::string& name, Shape shape, DataType dtype,
                          const std::string& from_scope, const std::string& to_scope,
                          const char* op, const std::string& role) {
  const std::vector<Buffer> described = {tile("src", dtype, shape, from_scope),
                                         tile("dst", dtype, shape, to_scope)};
  const std::vector<Buffer> own = copies(described);
  std::vector<Expr> args;
  add_tile(args, own[1]);
  add_tile(args, own[0]);
  args.push_back(make_string(role));
  return entry_of(
      name,
      describe_by(name, described,
                  {{"i", shape.rows, IterType::kSpatial}, {"j", shape.columns, IterType::kSpatial}},
                  {whole(described[0])}, {whole(described[1])},
                  [&](const std::vector<Expr>& v) {
                    return make_store(
                        described[1], element(described[1], shape.rows, v[0], v[1]),
                        make_load(described[0], element(described[0], shape.rows, v[0], v[1])));
                  }),
      implement_by(name, own, operation(op, std::move(args))));
}

TensorIntrinsic make_fill(const std::string& name, Shape shape, DataType dtype,
                          const std::string& scope, const std::string& role) {
  const std::vector<Buffer> described = {tile("dst", dtype, shape, scope)};
  const std::vector<Buffer> own = copies(described);
  std::vector<Expr> args;
  add_tile(args, own[0]);
  args.push_back(make_const(dtype, 0));
  args.push_back(make_string(role));
  return entry_of(
      name,
      describe_by(name, described,
                  {{"i", shape.rows, IterType::kSpatial}, {"j", shape.columns, IterType::kSpatial}},
                  {}, {whole(described[0])},
                  [&](const std::vector<Expr>& v) {
                    return make_store(described[0], element(described[0], shape.rows, v[0], v[1]),
                                      make_const(dtype, 0));
                  }),
      implement_by(name, own, operation("warp_fill", std::move(args))));
}

struct Scopes {
  std::string a, b, c;
};

/// C[m, n] += A[m, k] B[k, n], either operand turned.
TensorIntrinsic make_product(const std::string& name, int64_t m, int64_t n, int64_t k,
                             DataType operand, DataType sum, const Scopes& scopes, bool turned_a,
                             bool turned_b, const std::string& instruction) {
  const std::vector<Buffer> described = {
      tile("A", operand, turned_a ? Shape{k, m} : Shape{m, k}, scopes.a),
      tile("B", operand, turned_b ? Shape{n, k} : Shape{k, n}, scopes.b),
      tile("C", sum, {m, n}, scopes.c)};
  const std::vector<Buffer> own = copies(described);
  std::vector<Expr> args;
  for (const size_t i : {size_t{2}, size_t{0}, size_t{1}})
    add_tile(args, own[i]);
  args.push_back(make_string(
      fmt::format("{}.A{}.B{}", instruction, turned_a ? "t" : "", turned_b ? "t" : "")));
  const auto term = [&](const Buffer& buffer, int64_t rows, Expr row, Expr column, bool turned) {
    if (turned)
      std::swap(row, column);
    Expr value = make_load(buffer, element(buffer, rows, row, column));
    return operand == sum ? value : make_cast(sum, std::move(value));
  };
  return entry_of(
      name,
      describe_by(
          name, described,
          {{"i", m, IterType::kSpatial}, {"j", n, IterType::kSpatial}, {"k", k, IterType::kReduce}},
          {whole(described[2]), whole(described[0]), whole(described[1])}, {whole(described[2])},
          [&](const std::vector<Expr>& v) {
            const Expr product =
                make_binary<Mul>(term(described[0], turned_a ? k : m, v[0], v[2], turned_a),
                                 term(described[1], turned_b ? n : k, v[2], v[1], turned_b));
            const std::vector<Expr> sums = element(described[2], m, v[0], v[1]);
            return make_store(described[2], sums,
                              make_binary<Add>(make_load(described[2], sums), product));
          }),
      implement_by(name, own, operation("warp_mma", std::move(args))));
}

/// Types as names have them.
struct Type {
  const char* name;
  DataType dtype;
};
constexpr Type kF16 = {"f16", DataType::floating(16)};
constexpr Type kBf16 = {"bf16", DataType::bfloat16()};
constexpr Type kTf32 = {"tf32", DataType::float32()};
constexpr Type kS8 = {"s8", DataType::integer(8)};
constexpr Type kE4m3 = {"e4m3", DataType{TypeCode::kFloat, 8, 1}};
constexpr Type kE5m2 = {"e5m2", DataType{TypeCode::kBFloat, 8, 1}};
constexpr Type kF32 = {"f32", DataType::float32()};
constexpr Type kS32 = {"s32", DataType::int32()};

struct Memory {
  const char* name;
  const char* scope;
};
constexpr std::array<Memory, 2> kShared = {{{"shared", "shared"}, {"shared_dyn", "shared.dyn"}}};
constexpr std::array<Memory, 3> kTargets = {
    {{"global", "global"}, {"shared", "shared"}, {"shared_dyn", "shared.dyn"}}};

struct Product {
  Type operand;
  Type sum;
};

void add_wmma(std::vector<TensorIntrinsic>& list) {
  constexpr Shape kTile = {16, 16};
  const Scopes scopes{"wmma.matrix_a", "wmma.matrix_b", "wmma.accumulator"};
  const auto instruction = [](const Type& type) {
    return type.dtype.bits == 8 ? "m16n8k16.i8" : "m16n8k16";
  };
  for (const Type& type : {kF16, kBf16, kS8})
    for (const Memory& memory : kShared)
      for (const bool turned : {false, true})
        for (const char operand : {'a', 'b'})
          list.push_back(make_move(fmt::format("wmma_load_16x16x16_{}_{}{}_{}", type.name, operand,
                                               turned ? "_trans" : "", memory.name),
                                   kTile, type.dtype, memory.scope,
                                   operand == 'a' ? scopes.a : scopes.b, "warp_load_matrix",
                                   fmt::format("{}.{}{}", instruction(type),
                                               operand == 'a' ? 'A' : 'B', turned ? "t" : "")));
  for (const Product& types : {Product{kF16, kF32}, {kF16, kF16}, {kBf16, kF32}, {kS8, kS32}})
    for (const bool turned : {false, true})
      list.push_back(make_product(fmt::format("wmma_sync_16x16x16_{0}{0}{1}{2}", types.operand.name,
                                              types.sum.name, turned ? "_trans" : ""),
                                  16, 16, 16, types.operand.dtype, types.sum.dtype, scopes, false,
                                  turned, instruction(types.operand)));
  for (const Type& type : {kF32, kF16, kS32}) {
    const std::string role = type.dtype == DataType::int32() ? "m16n8k16.i8.C" : "m16n8k16.C";
    list.push_back(make_fill(fmt::format("wmma_fill_16x16x16_{}", type.name), kTile, type.dtype,
                             scopes.c, role));
    for (const Memory& memory : kTargets)
      list.push_back(make_move(fmt::format("wmma_store_16x16x16_{}_{}", type.name, memory.name),
                               kTile, type.dtype, scopes.c, memory.scope, "warp_store_matrix",
                               role));
  }
}

/// One instruction: its shape, its text and what it multiplies. The text of one for float8 says
/// which.
struct Instruction {
  const char* shape;
  const char* text;
  int64_t k;
  Shape load_a; ///< what TVM loads at once, or one operand
  Shape load_b;
  std::vector<Product> products;
};

void add_mma(std::vector<TensorIntrinsic>& list, const Instruction& mma) {
  const Scopes scopes{fmt::format("{}.matrixA", mma.shape), fmt::format("{}.matrixB", mma.shape),
                      fmt::format("{}.matrixC", mma.shape)};
  std::vector<std::string> seen;
  const auto first = [&](const std::string& name) {
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return false;
    seen.push_back(name);
    return true;
  };
  for (const Product& types : mma.products) {
    const Type& in = types.operand;
    const Type& out = types.sum;
    // The sums of tf32 are held in a layout of their own name.
    const std::string kind = in.dtype.bits == 32 ? "tf32_" : "";
    const std::string text =
        is_float8(in.dtype) ? mma.text + tir::matrix_types(in.dtype, in.dtype) : mma.text;
    if (first(fmt::format("operand {}", in.name)))
      for (const Memory& memory : kShared) {
        list.push_back(make_move(
            fmt::format("mma_load_{}_{}_A_{}", mma.shape, in.name, memory.name), mma.load_a,
            in.dtype, memory.scope, scopes.a, "warp_load_matrix", fmt::format("{}.A", text)));
        for (const bool turned : {false, true})
          list.push_back(make_move(fmt::format("mma_load_{}_{}_B{}_{}", mma.shape, in.name,
                                               turned ? "_trans" : "", memory.name),
                                   turned ? Shape{mma.load_b.columns, mma.load_b.rows} : mma.load_b,
                                   in.dtype, memory.scope, scopes.b, "warp_load_matrix",
                                   fmt::format("{}.B{}", text, turned ? "t" : "")));
      }
    if (first(fmt::format("sums {}{}", kind, out.name))) {
      const std::string role = fmt::format("{}.C", text);
      list.push_back(make_fill(fmt::format("mma_init_{}_{}{}", mma.shape, kind, out.name), {16, 8},
                               out.dtype, scopes.c, role));
      for (const Memory& memory : kTargets)
        list.push_back(
            make_move(fmt::format("mma_store_{}_{}{}_{}", mma.shape, kind, out.name, memory.name),
                      {16, 8}, out.dtype, scopes.c, memory.scope, "warp_store_matrix", role));
    }
    for (const bool turned : {false, true})
      list.push_back(make_product(fmt::format("mma_sync_{0}_{1}{1}{2}{3}", mma.shape, in.name,
                                              out.name, turned ? "_trans_b" : ""),
                                  16, 8, mma.k, in.dtype, out.dtype, scopes, false, turned, text));
  }
}

/// TVM's of ldmatrix, whose fragments are in "warp", by lanes.
void add_lanes(std::vector<TensorIntrinsic>& list) {
  const std::string warp = "warp";
  const auto shape = [](char operand, bool turned, int64_t k) {
    return (operand == 'a') == turned ? Shape{k, 16} : Shape{16, k};
  };
  struct Kind {
    const char* name;
    DataType dtype;
    int64_t k;
    const char* instruction;
    std::vector<Type> sums;
  };
  const Kind kinds[] = {
      {"f16", kF16.dtype, 16, "m16n8k16", {kF32, kF16}},
      {"i8", kS8.dtype, 32, "m16n8k32.i8", {{"i32", DataType::int32()}}},
      {"e4m3", kE4m3.dtype, 32, "m16n8k32.e4m3.e4m3", {kF32}},
      {"e5m2", kE5m2.dtype, 32, "m16n8k32.e5m2.e5m2", {kF32}},
  };
  std::vector<std::string> sums; // that have their entries
  for (const Kind& kind : kinds) {
    const bool bytes = kind.dtype.bits == 8; // of which A is not turned
    for (const char operand : {'a', 'b'})
      for (const bool turned : {false, true})
        for (const bool dynamic : {false, true}) {
          if (bytes && (dynamic || (operand == 'a' && turned)))
            continue;
          list.push_back(make_move(fmt::format("mma_ldmatrix_{}_{}{}{}", kind.name, operand,
                                               turned ? "_trans" : "", dynamic ? "_dyn" : ""),
                                   shape(operand, turned, kind.k), kind.dtype,
                                   dynamic ? "shared.dyn" : "shared", warp, "warp_load_matrix",
                                   fmt::format("{}.{}{}", kind.instruction,
                                               operand == 'a' ? 'A' : 'B', turned ? "t" : "")));
        }
    for (const Type& sum : kind.sums) {
      const std::string role = fmt::format("{}.C", kind.instruction);
      if (std::find(sums.begin(), sums.end(), sum.name) == sums.end()) {
        sums.emplace_back(sum.name);
        list.push_back(
            make_fill(fmt::format("mma_fill_16x16_{}", sum.name), {16, 16}, sum.dtype, warp, role));
        list.push_back(make_move(fmt::format("mma_store_16x16_{}_global_", sum.name), {16, 16},
                                 sum.dtype, warp, "global", "warp_store_matrix", role));
      }
      for (const bool turned_a : {false, true})
        for (const bool turned_b : {false, true})
          if (!bytes || !turned_a)
            list.push_back(
                make_product(fmt::format("mma_{0}{0}{1}{2}{3}", kind.name, sum.name,
                                         turned_a ? "_trans_a" : "", turned_b ? "_trans_b" : ""),
                             16, 16, kind.k, kind.dtype, sum.dtype, {warp, warp, warp}, turned_a,
                             turned_b, kind.instruction));
    }
  }
}

} // namespace

std::vector<TensorIntrinsic> warp_tensor_intrinsics() {
  std::vector<TensorIntrinsic> list;
  add_lanes(list);
  add_wmma(list);
  add_mma(list, {"m16n8k8", "m16n8k8", 8, {32, 8}, {8, 32}, {{kF16, kF32}, {kF16, kF16}}});
  add_mma(list, {"m16n8k8", "m16n8k8.tf32", 8, {16, 8}, {8, 8}, {{kTf32, kF32}}});
  add_mma(
      list,
      {"m16n8k16", "m16n8k16", 16, {16, 16}, {16, 8}, {{kF16, kF32}, {kF16, kF16}, {kBf16, kF32}}});
  add_mma(list, {"m16n8k32", "m16n8k32.i8", 32, {16, 32}, {32, 8}, {{kS8, kS32}}});
  add_mma(list, {"m16n8k32", "m16n8k32", 32, {16, 32}, {32, 8}, {{kE4m3, kF32}, {kE5m2, kF32}}});
  return list;
}

} // namespace temper::s_tir
