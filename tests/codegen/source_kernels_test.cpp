// The kernels in CUDA C++ under workloads/, compiled as C++ and run by this processor's threads:
// one for each of a block, who meet at __syncthreads().
#include <gtest/gtest.h>

#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wpedantic"

namespace {

struct Place {
  int x = 0, y = 0;
};
thread_local Place threadIdx, blockIdx; // NOLINT: CUDA's names
Place blockDim;                         // NOLINT
std::barrier<>* meeting = nullptr;

struct float4 { // NOLINT
  float x, y, z, w;
};
float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; } // NOLINT
void __syncthreads() { meeting->arrive_and_wait(); }                            // NOLINT

/// Every thread of every block; blocks one after the other.
void launch(Place grid, Place block, const std::function<void()>& kernel) {
  blockDim = block;
  for (int by = 0; by < grid.y; ++by)
    for (int bx = 0; bx < grid.x; ++bx) {
      std::barrier<> all(static_cast<std::ptrdiff_t>(block.x) * block.y);
      meeting = &all;
      std::vector<std::jthread> threads;
      for (int y = 0; y < block.y; ++y)
        for (int x = 0; x < block.x; ++x)
          threads.emplace_back([&, x, y] {
            threadIdx = {x, y};
            blockIdx = {bx, by};
            kernel();
          });
    }
}

std::vector<float> whole_numbers(int count, int from) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i)
    values.push_back(static_cast<float>((i * 7 + from) % 9 - 4));
  return values;
}

} // namespace

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(threads)

extern "C" {
alignas(16) float tiles[1 << 15]; // NOLINT: dynamic shared memory
alignas(16) float tile[1 << 15];  // NOLINT
}

#define M 100
#define N 60
#define K 36
namespace small_tiles {
#define BM 32
#define BN 32
#define BK 8
#define TM 4
#define TN 2
#define VECTOR 1
#define PAD 0
#define gemm gemm_small_tiles
#include "workloads/gemm_cuda.cu"
#undef gemm
#undef BM
#undef BN
#undef BK
#undef TM
#undef TN
#undef VECTOR
#undef PAD
} // namespace small_tiles
namespace vectors {
#define BM 64
#define BN 32
#define BK 16
#define TM 4
#define TN 8
#define VECTOR 4
#define PAD 4
#define gemm gemm_vectors
#include "workloads/gemm_cuda.cu"
#undef gemm
#undef BM
#undef BN
#undef BK
#undef TM
#undef TN
#undef VECTOR
#undef PAD
} // namespace vectors
constexpr int kM = M, kN = N, kK = K;
#undef M
#undef N
#undef K

#define H 40
#define W 70
#define R 3
#define UNROLL 1
namespace in_a_tile {
#define BX 16
#define BY 4
#define TX 2
#define TY 4
#define SHARED 1
#define filter filter_in_a_tile
#include "workloads/conv2d_cuda.cu"
#undef filter
#undef BX
#undef BY
#undef TX
#undef TY
#undef SHARED
} // namespace in_a_tile
namespace directly {
#define BX 32
#define BY 2
#define TX 1
#define TY 1
#define SHARED 0
#define filter filter_directly
#include "workloads/conv2d_cuda.cu"
#undef filter
#undef BX
#undef BY
#undef TX
#undef TY
#undef SHARED
} // namespace directly
constexpr int kH = H, kW = W, kR = R;
#undef H
#undef W
#undef R
#undef UNROLL

namespace {

using Product = void (*)(const float*, const float*, float*);

void expect_product(Product kernel, Place grid, Place block) {
  const std::vector<float> a = whole_numbers(kM * kK, 1), b = whole_numbers(kK * kN, 2);
  std::vector<float> c(static_cast<size_t>(kM) * kN, -1);
  launch(grid, block, [&] { kernel(a.data(), b.data(), c.data()); });
  for (int i = 0; i < kM; ++i)
    for (int j = 0; j < kN; ++j) {
      float sum = 0;
      for (int k = 0; k < kK; ++k)
        sum += a[static_cast<size_t>(i * kK + k)] * b[static_cast<size_t>(k * kN + j)];
      ASSERT_EQ(c[static_cast<size_t>(i * kN + j)], sum) << i << ", " << j;
    }
}

TEST(SourceKernels, TheProductIsRightWithTails) {
  expect_product(small_tiles::gemm_small_tiles, {2, 4}, {16, 8});
  expect_product(vectors::gemm_vectors, {2, 2}, {4, 16});
}

void expect_filtered(Product kernel, Place grid, Place block) {
  constexpr int kWidth = kW + kR - 1;
  const std::vector<float> x = whole_numbers((kH + kR - 1) * kWidth, 3),
                           f = whole_numbers(kR * kR, 4);
  std::vector<float> y(static_cast<size_t>(kH) * kW, -1);
  launch(grid, block, [&] { kernel(x.data(), f.data(), y.data()); });
  for (int i = 0; i < kH; ++i)
    for (int j = 0; j < kW; ++j) {
      float sum = 0;
      for (int r = 0; r < kR; ++r)
        for (int s = 0; s < kR; ++s)
          sum +=
              x[static_cast<size_t>((i + r) * kWidth + j + s)] * f[static_cast<size_t>(r * kR + s)];
      ASSERT_EQ(y[static_cast<size_t>(i * kW + j)], sum) << i << ", " << j;
    }
}

TEST(SourceKernels, TheFilterIsRightWithTails) {
  expect_filtered(in_a_tile::filter_in_a_tile, {3, 3}, {16, 4});
  expect_filtered(directly::filter_directly, {3, 20}, {32, 2});
}

} // namespace
