#include "tuner/float8_sums.h"

#include "codegen/lower_gpu.h"
#include "engine/compare.h"
#include "ir/narrow.h"
#include "ir/tir/promote_sums.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>

namespace temper::tuner {
namespace {

using namespace ir;

/// It reads float8, as it is or converted.
bool is_of_float8(const Expr& factor) {
  const auto* cast = factor.as<Cast>();
  const auto* load = (cast != nullptr ? cast->value : factor).as<BufferLoad>();
  return load != nullptr && is_float8(load->buffer->dtype);
}

/// The most products that one sum of the function's tensor cores may take; 0: it multiplies no
/// float8.
int64_t products_of(const PrimFunc& function, int64_t length) {
  int64_t most = 0;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* call = node.as<tir::TileCall>();
        call != nullptr && call->op == "gemm" && is_float8(call->regions[0].buffer->dtype)) {
      const int64_t promoted = tir::integer_option(*call, tir::kImpreciseSums);
      most = std::max(most, promoted > 0 ? std::min(promoted, length) : length);
    }
    if (const auto* product = node.as<Mul>();
        product != nullptr && is_of_float8(product->a) && is_of_float8(product->b))
      most = length;
    return true;
  });
  return most;
}

} // namespace

std::optional<double> float8_tolerance(const PrimFunc& function, int64_t length,
                                       const Target& target) {
  const auto limits = codegen::gpu_limits(target);
  if (!limits || !tir::has_imprecise_float8(limits->architecture))
    return std::nullopt;
  const int64_t products = products_of(function, length);
  if (products == 0)
    return std::nullopt;
  const double instructions =
      std::ceil(static_cast<double>(products) / static_cast<double>(tir::kFloat8Step));
  return engine::default_tolerance(DataType::float32(), length) +
         std::ldexp(16 + 2 * instructions, -tir::kFloat8SumBits);
}

} // namespace temper::tuner
