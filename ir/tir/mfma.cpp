#include "ir/tir/mfma.h"

#include "ir/tir/layout_inference.h"

#include <fmt/format.h>

#include <cstdio>

namespace temper::tir {
namespace {

LayoutDigit reg(int64_t extent, int64_t stride) { return {extent, stride, kMemoryAxis}; }
LayoutDigit thread(int64_t extent, int64_t stride) { return {extent, stride, kThreadAxis}; }

Layout made(std::vector<int64_t> shape, std::vector<LayoutDigit> digits) {
  auto layout = make_layout(std::move(shape), std::move(digits));
  TEMPER_CHECK(layout.has_value(), "a fragment of MFMA is a layout");
  return *std::move(layout);
}

/// The instruction's fragment repeated in registers, then shared out among the waves of `outer`.
Result<Layout> block_fragment(const Layout& atom, int64_t rows, int64_t columns,
                              const Layout& outer) {
  const int64_t step_rows = outer.shape[0] * atom.shape[0];
  const int64_t step_columns = outer.shape[1] * atom.shape[1];
  if (rows < 1 || columns < 1 || rows % step_rows != 0 || columns % step_columns != 0)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("a fragment of {} x {} cannot be shared by {} x {} waves: they take "
                             "steps of {} x {}; change the tile or the number of threads",
                             rows, columns, outer.shape[0], outer.shape[1], step_rows,
                             step_columns));
  TEMPER_TRY(registers, repeat(atom, {rows / step_rows, columns / step_columns}));
  return tile(registers, outer);
}

} // namespace

Result<MfmaShape> mfma_shape(int64_t m, int element_bits) {
  if ((m != 16 && m != 32) || (element_bits != 16 && element_bits != 8))
    return Error(ErrorCode::kUnsupported,
                 fmt::format("there is no MFMA of {0} x {0} for operands of {1} bits: it has 16 or "
                             "32 rows, and operands of 16 bits or int8",
                             m, element_bits));
  // 16 x 16 x 16 and 32 x 32 x 8 of 16 bits; twice as many terms of bytes.
  return MfmaShape{m, (m == 16 ? 16 : 8) * (16 / element_bits)};
}

Result<std::string> mfma_text(const MfmaShape& shape, DataType sums, DataType a, DataType b) {
  const std::string size = fmt::format("{0}x{0}x{1}", shape.m, shape.k);
  if (a == b && sums == DataType::float32() && a == DataType::floating(16))
    return "f32_" + size + "_f16";
  if (a == b && sums == DataType::float32() && a == DataType::bfloat16())
    return "f32_" + size + "_bf16";
  if (a == b && sums == DataType::int32() && a == DataType{TypeCode::kInt, 8, 1})
    return "i32_" + size + "_i8";
  return Error(
      ErrorCode::kUnsupported,
      fmt::format("there is no MFMA of {} by {} into {}: it takes float16 or bfloat16 into "
                  "float32, or int8 into int32",
                  to_string(a), to_string(b), to_string(sums)));
}

Result<MfmaShape> parse_mfma_text(const std::string& text) {
  MfmaShape shape;
  int64_t n = 0;
  const size_t begin = text.find('_');
  if (begin == std::string::npos ||
      std::sscanf(text.c_str() + begin, "_%ldx%ldx%ld_", &shape.m, &n, &shape.k) != 3 ||
      shape.m != n || (shape.m != 16 && shape.m != 32))
    return Error(ErrorCode::kInvalidArgument, "\"" + text +
                                                  "\" names no matrix instruction; write it as "
                                                  "\"f32_16x16x16_f16\"");
  return shape;
}

Layout mfma_sums(const MfmaShape& shape) {
  const int64_t m = shape.m;
  return made({m, m},
              {reg(shape.sums() / 4, 4), thread(shape.groups(), m), reg(4, 1), thread(m, 1)});
}

Layout mfma_a(const MfmaShape& shape) {
  return made({shape.m, shape.k},
              {thread(shape.m, 1), thread(shape.groups(), shape.m), reg(shape.per(), 1)});
}

Layout mfma_b(const MfmaShape& shape) {
  return made({shape.k, shape.m},
              {thread(shape.groups(), shape.m), reg(shape.per(), 1), thread(shape.m, 1)});
}

Result<Layout> mfma_accumulator(int64_t m, int64_t n, WarpGrid waves, const MfmaShape& shape) {
  TEMPER_TRY(outer, make_layout({waves.rows, waves.columns},
                                {thread(waves.rows, waves.columns), thread(waves.columns, 1)}));
  return block_fragment(mfma_sums(shape), m, n, outer);
}

Result<Layout> mfma_operand_a(int64_t m, int64_t k, WarpGrid waves, const MfmaShape& shape) {
  TEMPER_TRY(outer, make_layout({waves.rows, 1}, {thread(waves.rows, waves.columns)},
                                {thread(waves.columns, 1)}));
  return block_fragment(mfma_a(shape), m, k, outer);
}

Result<Layout> mfma_operand_b(int64_t k, int64_t n, WarpGrid waves, const MfmaShape& shape) {
  TEMPER_TRY(outer, make_layout({1, waves.columns}, {thread(waves.columns, 1)},
                                {thread(waves.rows, waves.columns)}));
  return block_fragment(mfma_b(shape), k, n, outer);
}

int64_t mfma_rows(int64_t m, int64_t n, int64_t waves) {
  return warp_grids(m, n, waves, 32, 32).empty() ? 16 : 32;
}

} // namespace temper::tir
