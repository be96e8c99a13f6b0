/// A product of narrow types, tiled so that an instruction of the table of tensor intrinsics can
/// compute a vector of its sums.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/script/parser.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace temper::s_tir {

/// C = A B with the types of the operands and of the sums.
inline IRModule typed_product(int64_t m, int64_t n, int64_t k, const std::string& a,
                              const std::string& b, const std::string& c) {
  const std::string text = fmt::format(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer(({m}, {k}), "{a}"), B: T.Buffer(({k}, {n}), "{b}"),
         C: T.Buffer(({m}, {n}), "{c}")):
    for i, j, k in T.grid({m}, {n}, {k}):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.cast(0, "{c}")
            C[vi, vj] = C[vi, vj] + T.cast(A[vi, vk], "{c}") * T.cast(B[vk, vj], "{c}")
)",
                                       fmt::arg("m", m), fmt::arg("n", n), fmt::arg("k", k),
                                       fmt::arg("a", a), fmt::arg("b", b), fmt::arg("c", c));
  auto parsed = script::parse_module(text, "product");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().to_string());
  return *parsed;
}

struct TiledProduct {
  BlockRv update;
  BlockRv init;
  BlockRv packed;
  LoopRv tile;  ///< a vector of sums of `group` products
  LoopRv panel; ///< as many columns of `group` rows of B
};

/// Tiles of `rows` x two vectors, B in panels of groups of rows.
inline TiledProduct tiled_product(Schedule& sch, int64_t group, int64_t rows = 2,
                                  int64_t lanes = 16) {
  const auto get = [](auto result) {
    if (!result) {
      ADD_FAILURE() << result.error().to_string();
      std::abort();
    }
    return std::move(result).value();
  };
  const auto done = [](const Result<void>& result) {
    EXPECT_TRUE(result) << (result ? "" : result.error().to_string());
  };
  const BlockRv block = get(sch.get_sblock("C"));
  const auto loops = get(sch.get_loops(block));
  const auto i = get(sch.split(loops[0], {std::nullopt, rows}));
  const auto j = get(sch.split(loops[1], {std::nullopt, 2, lanes}));
  const auto k = get(sch.split(loops[2], {std::nullopt, group}));
  done(sch.reorder({i[0], j[0], k[0], i[1], j[1], j[2], k[1]}));
  const BlockRv packed = get(sch.cache_read(block, 1, "global"));
  done(sch.transform_layout(packed, 0, "write",
                            "lambda k, n, w, g: (n // w, k // g, n % w * g + k % g)",
                            {2 * lanes, group}));
  const auto parts = get(sch.get_loops(packed));
  const auto down = get(sch.split(parts[0], {std::nullopt, group}));
  const auto across = get(sch.split(parts[1], {std::nullopt, lanes}));
  done(sch.reorder({down[0], across[0], across[1], down[1]}));
  const BlockRv init = get(sch.decompose_reduction(block, k[0]));
  return {block, init, packed, j[2], across[1]};
}

} // namespace temper::s_tir
