#include "codegen/hip/prelude.h"

#include "codegen/cuda/prelude.h"
#include "ir/support/check.h"
#include "ir/tir/mfma.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace temper::codegen {
namespace {

struct Piece {
  const char* name;
  std::vector<const char*> needs;
  const char* text;
};

constexpr const char* kAlways = R"(#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(threads) __attribute__((amdgpu_flat_work_group_size(threads, threads)))

)";

/// Pieces of CUDA's prelude that are plain C++.
constexpr std::array<std::string_view, 2> kShared = {"floor_div", "copy_vector"};

const std::vector<Piece>& pieces() {
  static const std::vector<Piece> list = {
      {"half_t", {}, R"(struct half_t { _Float16 value; };
__device__ __forceinline__ float to_float(half_t x) { return static_cast<float>(x.value); }
__device__ __forceinline__ half_t to_half(float x) { return {static_cast<_Float16>(x)}; }
)"},
      {"bfloat_t", {}, R"(struct bfloat_t { unsigned short bits; };
__device__ __forceinline__ float to_float(bfloat_t x) {
  return __builtin_bit_cast(float, static_cast<unsigned>(x.bits) << 16);
}
// To the nearest, ties to even.
__device__ __forceinline__ bfloat_t to_bfloat(float x) {
  const unsigned bits = __builtin_bit_cast(unsigned, x);
  if (x != x)
    return {static_cast<unsigned short>(bits >> 16 | 0x40)};
  return {static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
)"},
      {"half_of_bits",
       {"half_t"},
       R"(__device__ __forceinline__ half_t half_of_bits(unsigned short bits) { return {__builtin_bit_cast(_Float16, bits)}; }
)"},
      {"bits_of_half",
       {"half_t"},
       R"(__device__ __forceinline__ unsigned short bits_of_half(half_t x) { return __builtin_bit_cast(unsigned short, x.value); }
)"},
      {"bfloat_of_bits",
       {"bfloat_t"},
       R"(__device__ __forceinline__ bfloat_t bfloat_of_bits(unsigned short bits) { return {bits}; }
)"},
      {"bits_of_bfloat",
       {"bfloat_t"},
       R"(__device__ __forceinline__ unsigned short bits_of_bfloat(bfloat_t x) { return x.bits; }
)"},
      {"uint4", {}, R"(struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
)"},
      {"approximate_exp2",
       {},
       R"(__device__ __forceinline__ float approximate_exp2(float x) { return __builtin_amdgcn_exp2f(x); }
)"},
      {"rsqrtf",
       {},
       R"(__device__ __forceinline__ float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
)"},
      {"tanhf", {}, R"(// Of small arguments exp would lose the digits.
__device__ __forceinline__ float tanhf(float x) {
  const float y = __builtin_fabsf(x);
  const float z = y < 0.04f ? y - y * y * y * (1.0f / 3.0f)
                            : 1.0f - 2.0f / (__builtin_expf(2.0f * y) + 1.0f);
  return __builtin_copysignf(z, x);
}
)"},
      {"__syncthreads", {}, R"(__device__ __forceinline__ void __syncthreads() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
)"},
      {"__syncwarp",
       {},
       R"(__device__ __forceinline__ void __syncwarp() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}
)"},
      {"__trap",
       {},
       R"(__device__ __forceinline__ void __trap() { __builtin_trap(); }
)"},
      {"min",
       {},
       R"(template <typename T> __device__ __forceinline__ T min(T a, T b) { return b < a ? b : a; }
)"},
      {"max",
       {},
       R"(template <typename T> __device__ __forceinline__ T max(T a, T b) { return a < b ? b : a; }
)"},
      {"__float_as_int", {}, R"(__device__ __forceinline__ int __float_as_int(float x) {
  return __builtin_bit_cast(int, x);
}
)"},
      {"__float_as_uint", {}, R"(__device__ __forceinline__ unsigned __float_as_uint(float x) {
  return __builtin_bit_cast(unsigned, x);
}
)"},
      {"__int_as_float", {}, R"(__device__ __forceinline__ float __int_as_float(int x) {
  return __builtin_bit_cast(float, x);
}
)"},
      {"__uint_as_float", {}, R"(__device__ __forceinline__ float __uint_as_float(unsigned x) {
  return __builtin_bit_cast(float, x);
}
)"},
      {"__longlong_as_double",
       {},
       R"(__device__ __forceinline__ double __longlong_as_double(long long x) {
  return __builtin_bit_cast(double, x);
}
)"},
      {"__clz",
       {},
       R"(__device__ __forceinline__ int __clz(unsigned x) { return x == 0 ? 32 : __builtin_clz(x); }
)"},
      {"__clzll", {}, R"(__device__ __forceinline__ int __clzll(unsigned long long x) {
  return x == 0 ? 64 : __builtin_clzll(x);
}
)"},
      {"__popc",
       {},
       R"(__device__ __forceinline__ int __popc(unsigned x) { return __builtin_popcount(x); }
)"},
      {"__popcll", {}, R"(__device__ __forceinline__ int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
)"},
      {"atomicAdd",
       {},
       R"(template <typename T> __device__ __forceinline__ void atomicAdd(T* place, T value) {
  __hip_atomic_fetch_add(place, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
)"},
      {"atomicMax",
       {},
       R"(template <typename T> __device__ __forceinline__ void atomicMax(T* place, T value) {
  __hip_atomic_fetch_max(place, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
)"},
      {"atomicMin",
       {},
       R"(template <typename T> __device__ __forceinline__ void atomicMin(T* place, T value) {
  __hip_atomic_fetch_min(place, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}
)"},
      {"shuffle",
       {},
       R"(// A program's warps are 32 threads: the halves of a wave of 64 shuffle apart.
__device__ __forceinline__ int lane_in_warp() {
  return __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u)) & 31;
}
template <typename T> __device__ __forceinline__ T shuffle(T value, int lane) {
  static_assert(sizeof(T) == 4, "values of 32 bits are shuffled");
  const int half = __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0u)) & 32;
  return __builtin_bit_cast(T, __builtin_amdgcn_ds_bpermute((half + lane) << 2,
                                                            __builtin_bit_cast(int, value)));
}
)"},
      {"__shfl_sync",
       {"shuffle"},
       R"(template <typename T> __device__ __forceinline__ T __shfl_sync(unsigned, T value, int lane) {
  return shuffle(value, lane & 31);
}
)"},
      {"__shfl_xor_sync",
       {"shuffle"},
       R"(template <typename T> __device__ __forceinline__ T __shfl_xor_sync(unsigned, T value, int mask) {
  return shuffle(value, (lane_in_warp() ^ mask) & 31);
}
)"},
      {"__shfl_up_sync",
       {"shuffle"},
       R"(template <typename T> __device__ __forceinline__ T __shfl_up_sync(unsigned, T value, unsigned by) {
  const int lane = lane_in_warp() - static_cast<int>(by);
  return shuffle(value, lane < 0 ? lane_in_warp() : lane);
}
)"},
      {"__shfl_down_sync",
       {"shuffle"},
       R"(template <typename T> __device__ __forceinline__ T __shfl_down_sync(unsigned, T value, unsigned by) {
  const int lane = lane_in_warp() + static_cast<int>(by);
  return shuffle(value, lane > 31 ? lane_in_warp() : lane);
}
)"},
  };
  return list;
}

bool is_shared_piece(std::string_view name) {
  return std::find(kShared.begin(), kShared.end(), name) != kShared.end();
}

/// mfma_f32_32x32x8_f16: C += A B by a wave.
std::optional<std::string> mfma_function(std::string_view name) {
  constexpr std::string_view kPrefix = "mfma_";
  if (!name.starts_with(kPrefix))
    return std::nullopt;
  const std::string text(name.substr(kPrefix.size()));
  const auto shape = tir::parse_mfma_text(text);
  if (!shape)
    return std::nullopt;
  struct Kind {
    DataType sums, operands;
    const char *sum, *operand; ///< types of the instruction's vectors
    const char* suffix;        ///< of clang's function
  };
  const DataType half = DataType::floating(16), bfloat = DataType::bfloat16();
  const DataType byte{TypeCode::kInt, 8, 1};
  const Kind kinds[] = {{DataType::float32(), half, "float", "_Float16", "f16"},
                        {DataType::float32(), bfloat, "float", "short", "bf16_1k"},
                        {DataType::int32(), byte, "int", "long", "_i8"}};
  for (const Kind& kind : kinds) {
    const auto known = tir::mfma_text(*shape, kind.sums, kind.operands, kind.operands);
    const auto legal = tir::mfma_shape(shape->m, kind.operands.bits);
    if (!known || *known != text || !legal || legal->k != shape->k)
      continue;
    // Bytes are taken eight at a time, as an integer.
    const std::string vector =
        kind.operands.bits == 8
            ? std::string("long")
            : fmt::format("{} __attribute__((ext_vector_type({})))", kind.operand, shape->per());
    return fmt::format(
        "__device__ __forceinline__ void {0}(void* c, const void* a, const void* b) {{\n"
        "  typedef {1} __attribute__((ext_vector_type({2}), aligned(16))) sums_t;\n"
        "  typedef {3} operand_t;\n"
        "  sums_t* const sums = static_cast<sums_t*>(c);\n"
        "  *sums = __builtin_amdgcn_mfma_{4}_{5}x{5}x{6}{7}(*static_cast<const operand_t*>(a),\n"
        "      *static_cast<const operand_t*>(b), *sums, 0, 0, 0);\n"
        "}}\n",
        name, kind.sum, shape->sums(), vector, kind.operands.bits == 8 ? "i32" : "f32", shape->m,
        shape->k, kind.suffix);
  }
  return std::nullopt;
}

} // namespace

bool in_hip_prelude(std::string_view name) {
  return is_shared_piece(name) || mfma_function(name).has_value() ||
         std::any_of(pieces().begin(), pieces().end(),
                     [&](const Piece& piece) { return piece.name == name; });
}

std::string hip_prelude(const std::vector<std::string>& names) {
  std::vector<std::string> wanted;
  const auto want = [&](const std::string& name) {
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end())
      wanted.push_back(name);
  };
  std::vector<std::string> shared;
  for (const std::string& name : names) {
    TEMPER_CHECK(in_hip_prelude(name), "the prelude has no function of this name");
    want(name);
    if (is_shared_piece(name))
      shared.push_back(name);
    if (name == "copy_vector")
      want("uint4");
    for (const Piece& piece : pieces())
      if (piece.name == name)
        for (const char* other : piece.needs)
          want(other);
  }
  std::string text = kAlways;
  for (const Piece& piece : pieces())
    if (std::find(wanted.begin(), wanted.end(), piece.name) != wanted.end())
      text += std::string(piece.text) + "\n";
  text += cuda_prelude(shared);
  for (const std::string& name : wanted)
    if (const auto function = mfma_function(name))
      text += *function + "\n";
  return text;
}

} // namespace temper::codegen
