#include "ir/tir/fragments.h"

#include "ir/support/text.h"

#include <fmt/format.h>

namespace temper::tir {
namespace {

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

LayoutDigit reg(int64_t extent, int64_t stride) { return {extent, stride, kMemoryAxis}; }
LayoutDigit lane(int64_t extent, int64_t stride) { return {extent, stride, kLaneAxis}; }
LayoutDigit warp(int64_t extent, int64_t stride) { return {extent, stride, kWarpAxis}; }

Layout made(std::vector<int64_t> shape, std::vector<LayoutDigit> digits) {
  auto layout = make_layout(std::move(shape), std::move(digits));
  TEMPER_CHECK(layout.has_value(), "a table entry is a layout");
  return *std::move(layout);
}

std::vector<HardwareFragment> table() {
  std::vector<HardwareFragment> list;
  // In all of them lane = 4 * group + t: the group is the row of A and C and the column of B, t
  // counts along k (A, B) or n (C). What does not fit goes to further registers.
  const auto c16x8 = [&](const std::string& shape, int bits, const char* about) {
    list.push_back({"mma." + shape + ".C", bits,
                    made({16, 8}, {reg(2, 2), lane(8, 4), lane(4, 1), reg(2, 1)}), about});
  };
  list.push_back({"mma.m8n8k4.f64.A", 64, made({8, 4}, {lane(8, 4), lane(4, 1)}), "float64"});
  list.push_back({"mma.m8n8k4.f64.B", 64, made({4, 8}, {lane(4, 1), lane(8, 4)}), "float64"});
  list.push_back(
      {"mma.m8n8k4.f64.C", 64, made({8, 8}, {lane(8, 4), lane(4, 1), reg(2, 1)}), "float64"});

  list.push_back({"mma.m16n8k8.A", 16,
                  made({16, 8}, {reg(2, 2), lane(8, 4), lane(4, 1), reg(2, 1)}),
                  "float16, bfloat16"});
  list.push_back({"mma.m16n8k8.B", 16, made({8, 8}, {lane(4, 1), reg(2, 1), lane(8, 4)}),
                  "float16, bfloat16"});
  c16x8("m16n8k8", 0, "float16, float32");
  list.push_back({"mma.m16n8k16.A", 16,
                  made({16, 16}, {reg(2, 2), lane(8, 4), reg(2, 4), lane(4, 1), reg(2, 1)}),
                  "float16, bfloat16"});
  list.push_back({"mma.m16n8k16.B", 16,
                  made({16, 8}, {reg(2, 2), lane(4, 1), reg(2, 1), lane(8, 4)}),
                  "float16, bfloat16"});
  c16x8("m16n8k16", 0, "float16, float32");

  list.push_back(
      {"mma.m16n8k4.tf32.A", 32, made({16, 4}, {reg(2, 1), lane(8, 4), lane(4, 1)}), "tfloat32"});
  list.push_back({"mma.m16n8k4.tf32.B", 32, made({4, 8}, {lane(4, 1), lane(8, 4)}), "tfloat32"});
  c16x8("m16n8k4.tf32", 32, "float32");
  list.push_back({"mma.m16n8k8.tf32.A", 32,
                  made({16, 8}, {reg(2, 1), lane(8, 4), reg(2, 2), lane(4, 1)}), "tfloat32"});
  list.push_back(
      {"mma.m16n8k8.tf32.B", 32, made({8, 8}, {reg(2, 1), lane(4, 1), lane(8, 4)}), "tfloat32"});
  c16x8("m16n8k8.tf32", 32, "float32");

  list.push_back({"mma.m16n8k16.i8.A", 8,
                  made({16, 16}, {reg(2, 4), lane(8, 4), lane(4, 1), reg(4, 1)}),
                  "int8, uint8, float8"});
  list.push_back({"mma.m16n8k16.i8.B", 8, made({16, 8}, {lane(4, 1), reg(4, 1), lane(8, 4)}),
                  "int8, uint8, float8"});
  c16x8("m16n8k16.i8", 32, "int32, float32");
  list.push_back({"mma.m16n8k32.i8.A", 8,
                  made({16, 32}, {reg(2, 4), lane(8, 4), reg(2, 8), lane(4, 1), reg(4, 1)}),
                  "int8, uint8, float8"});
  list.push_back({"mma.m16n8k32.i8.B", 8,
                  made({32, 8}, {reg(2, 4), lane(4, 1), reg(4, 1), lane(8, 4)}),
                  "int8, uint8, float8"});
  c16x8("m16n8k32.i8", 32, "int32, float32");
  list.push_back({"mma.m16n8k64.i4.A", 4,
                  made({16, 64}, {reg(2, 8), lane(8, 4), reg(2, 16), lane(4, 1), reg(8, 1)}),
                  "int4, uint4"});
  list.push_back({"mma.m16n8k64.i4.B", 4,
                  made({64, 8}, {reg(2, 8), lane(4, 1), reg(8, 1), lane(8, 4)}), "int4, uint4"});
  c16x8("m16n8k64.i4", 32, "int32");

  // Matrix i arrives in 32-bit register i.
  for (const int64_t count : {1, 2, 4}) {
    list.push_back({fmt::format("ldmatrix.x{}", count), 16,
                    made({count, 8, 8}, {reg(count, 2), lane(8, 4), lane(4, 1), reg(2, 1)}),
                    "8 x 8 elements of 16 bits"});
    list.push_back({fmt::format("ldmatrix.x{}.trans", count), 16,
                    made({count, 8, 8}, {reg(count, 2), lane(4, 1), reg(2, 1), lane(8, 4)}),
                    "8 x 8 elements of 16 bits, transposed"});
    // Rows of 16 bytes all the same.
    list.push_back({fmt::format("ldmatrix.x{}.b8", count), 8,
                    made({count, 8, 16}, {reg(count, 4), lane(8, 4), lane(4, 1), reg(4, 1)}),
                    "8 x 16 bytes"});
    list.push_back({fmt::format("ldmatrix.x{}.b32", count), 32,
                    made({count, 8, 4}, {reg(count, 1), lane(8, 4), lane(4, 1)}),
                    "8 x 4 elements of 32 bits"});
  }

  // A in registers: each warp of the warpgroup has 16 rows, as mma's A of that k.
  list.push_back(
      {"wgmma.k16.A", 16,
       made({64, 16}, {warp(4, 1), reg(2, 2), lane(8, 4), reg(2, 4), lane(4, 1), reg(2, 1)}),
       "float16, bfloat16"});
  list.push_back({"wgmma.k8.tf32.A", 32,
                  made({64, 8}, {warp(4, 1), reg(2, 1), lane(8, 4), reg(2, 2), lane(4, 1)}),
                  "tfloat32"});
  list.push_back(
      {"wgmma.k32.i8.A", 8,
       made({64, 32}, {warp(4, 1), reg(2, 4), lane(8, 4), reg(2, 8), lane(4, 1), reg(4, 1)}),
       "int8, uint8, float8"});
  return list;
}

/// "m16n8k16", "m16n8k8.tf32", ...: how the table calls the instruction.
const char* mma_name(int element_bits) {
  return element_bits == 16   ? "m16n8k16"
         : element_bits == 32 ? "m16n8k8.tf32"
         : element_bits == 8  ? "m16n8k32.i8"
         : element_bits == 4  ? "m16n8k64.i4"
                              : nullptr;
}

Result<Layout> mma_operand(const char* operand, int element_bits) {
  const char* name = mma_name(element_bits);
  if (name == nullptr)
    return bad(fmt::format("there is no mma.sync for operands of {} bits; convert them to float16",
                           element_bits));
  return hardware_fragment(fmt::format("mma.{}.{}", name, operand));
}

/// `atom` repeated to rows x columns by registers, then by warps: `outer` says where the warps are.
Result<Layout> block_fragment(const Layout& atom, int64_t rows, int64_t columns,
                              const Layout& outer, const char* what) {
  const int64_t step_rows = outer.shape[0] * atom.shape[0];
  const int64_t step_columns = outer.shape[1] * atom.shape[1];
  if (rows < 1 || columns < 1 || rows % step_rows != 0 || columns % step_columns != 0)
    return bad(fmt::format("{} of {} x {} cannot be shared by {} x {} warps: they take steps of {} "
                           "x {}; change the tile or the number of threads",
                           what, rows, columns, outer.shape[0], outer.shape[1], step_rows,
                           step_columns));
  TEMPER_TRY(registers, repeat(atom, {rows / step_rows, columns / step_columns}));
  return tile(registers, outer);
}

} // namespace

std::string ldmatrix_fragment(int64_t count, bool transposed, int element_bits) {
  return fmt::format("ldmatrix.x{}{}{}", count,
                     element_bits == 16 ? "" : fmt::format(".b{}", element_bits),
                     transposed ? ".trans" : "");
}

const std::vector<HardwareFragment>& hardware_fragments() {
  static const std::vector<HardwareFragment> fragments = table();
  return fragments;
}

Result<Layout> hardware_fragment(const std::string& name) {
  std::vector<std::string> names;
  for (const HardwareFragment& fragment : hardware_fragments()) {
    if (fragment.name == name)
      return fragment.layout;
    names.push_back(fragment.name);
  }
  constexpr std::string_view kPrefix = "wgmma.m64n";
  if (name.starts_with(kPrefix) && name.ends_with(".D")) {
    const std::string n = name.substr(kPrefix.size(), name.size() - kPrefix.size() - 2);
    if (!n.empty() && n.size() <= 3 && n.find_first_not_of("0123456789") == std::string::npos)
      return wgmma_accumulator(std::stoll(n));
  }
  names.emplace_back("wgmma.m64n128.D");
  const std::string near = nearest_name(name, names);
  return Error{ErrorCode::kNotFound,
               fmt::format("there is no hardware fragment \"{}\"{}", name,
                           near.empty() ? "" : "; did you mean \"" + near + "\"?")};
}

Result<Layout> wgmma_operand_a(int element_bits) {
  return hardware_fragment(element_bits == 16   ? "wgmma.k16.A"
                           : element_bits == 32 ? "wgmma.k8.tf32.A"
                                                : "wgmma.k32.i8.A");
}

Result<Layout> wgmma_accumulator(int64_t n) {
  if (n < 8 || n > 256 || n % 8 != 0)
    return bad(fmt::format("wgmma has no shape m64n{}: n is a multiple of 8 up to 256", n));
  return canonical(
      made({64, n}, {warp(4, 1), reg(2, 2), lane(8, 4), reg(n / 8, 4), lane(4, 1), reg(2, 1)}));
}

Layout ldmatrix_addresses(int count) {
  TEMPER_CHECK(count == 1 || count == 2 || count == 4, "ldmatrix loads 1, 2 or 4 matrices");
  return made({count, 8}, {lane(count, 8), lane(8, 1)});
}

Result<MmaShape> mma_shape(int element_bits) {
  TEMPER_TRY(a, mma_operand("A", element_bits));
  return MmaShape{16, 8, a.shape[1]};
}

Result<Layout> mma_accumulator(int64_t m, int64_t n, WarpGrid warps, int element_bits) {
  TEMPER_TRY(atom, mma_operand("C", element_bits));
  TEMPER_TRY(outer, make_layout({warps.rows, warps.columns},
                                {warp(warps.rows, warps.columns), warp(warps.columns, 1)}));
  return block_fragment(atom, m, n, outer, "an accumulator");
}

Result<Layout> mma_operand_a(int64_t m, int64_t k, WarpGrid warps, int element_bits) {
  TEMPER_TRY(atom, mma_operand("A", element_bits));
  TEMPER_TRY(outer, make_layout({warps.rows, 1}, {warp(warps.rows, warps.columns)},
                                {warp(warps.columns, 1)}));
  return block_fragment(atom, m, k, outer, "an A operand");
}

Result<Layout> mma_operand_b(int64_t k, int64_t n, WarpGrid warps, int element_bits) {
  TEMPER_TRY(atom, mma_operand("B", element_bits));
  TEMPER_TRY(outer, make_layout({1, warps.columns}, {warp(warps.columns, 1)},
                                {warp(warps.rows, warps.columns)}));
  return block_fragment(atom, k, n, outer, "a B operand");
}

Result<XorSwizzle> tma_swizzle(int bytes, int element_bits) {
  int64_t bits = 0;
  if (bytes != 0) {
    while (bits < 3 && (16 << (bits + 1)) <= bytes)
      ++bits;
    if (bytes != 16 << bits || bits < 1)
      return bad(fmt::format("there is no swizzle of {} bytes: 32, 64 and 128 (0: none) are there",
                             bytes));
  }
  int64_t base = 0; // log2 of the elements in 16 bytes
  while (int64_t{element_bits} << base < 128)
    ++base;
  if (element_bits < 1 || int64_t{element_bits} << base != 128)
    return bad(fmt::format("elements of {} bits do not fill chunks of 16 bytes", element_bits));
  // The row number of a row of 128 bytes is three bits above the chunk number; with shorter rows
  // the same bits of the address are used.
  return bits == 0 ? XorSwizzle{} : XorSwizzle{bits, base, 3};
}

Result<Layout> swizzled_tile(int64_t rows, int64_t columns, int element_bits, int swizzle_bytes) {
  TEMPER_TRY(swizzle, tma_swizzle(swizzle_bytes, element_bits));
  if (rows < 1 || columns < 1)
    return bad("a tile has at least one row and one column");
  if (swizzle.empty())
    return row_major({rows, columns});
  const int64_t inner = int64_t{8} * swizzle_bytes / element_bits;
  if (columns % inner != 0)
    return bad(fmt::format("rows of {} elements are no multiple of the {} elements that a swizzle "
                           "of {} bytes permutes",
                           columns, inner, swizzle_bytes));
  TEMPER_TRY(layout, make_layout({rows, columns},
                                 {{rows, inner, kMemoryAxis},
                                  {columns / inner, rows * inner, kMemoryAxis},
                                  {inner, 1, kMemoryAxis}},
                                 {}, swizzle));
  if (layout.span(kMemoryAxis) != rows * columns ||
      (columns > inner && rows * inner % swizzle.period() != 0))
    return bad(
        fmt::format("a tile of {} rows is no multiple of the rows that a swizzle of {} bytes "
                    "takes turns over; make it a multiple of 8",
                    rows, swizzle_bytes));
  return canonical(layout);
}

int widest_swizzle(int64_t columns, int element_bits) {
  const int64_t row_bits = columns * element_bits;
  for (const int bytes : {128, 64, 32})
    if (row_bits % (int64_t{8} * bytes) == 0)
      return bytes;
  return 0;
}

} // namespace temper::tir
