#include "codegen/cuda/prelude.h"

#include "ir/support/check.h"
#include "ir/support/text.h"
#include "ir/tir/wgmma_width.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>

namespace temper::codegen {
namespace {

struct Piece {
  const char* name;
  std::vector<const char*> needs;
  const char* text;
};

// Instructions and their operands are those of the PTX ISA.
const std::vector<Piece>& pieces() {
  static const std::vector<Piece> list = {
      {"half_t", {}, R"(struct half_t { unsigned short bits; };
__device__ __forceinline__ float to_float(half_t x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}
__device__ __forceinline__ half_t to_half(float x) {
  half_t y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}
)"},
      {"bfloat_t", {}, R"(struct bfloat_t { unsigned short bits; };
__device__ __forceinline__ float to_float(bfloat_t x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}
__device__ __forceinline__ bfloat_t to_bfloat(float x) {
  bfloat_t y;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
  const unsigned bits = __float_as_uint(x);
  y.bits = (bits & 0x7fffffffu) > 0x7f800000u
               ? 0x7fff
               : static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
  return y;
}
)"},
      {"atomic_add_half",
       {"half_t"},
       R"(__device__ __forceinline__ void atomic_add_half(half_t* place, half_t value) {
  asm volatile("red.add.noftz.f16 [%0], %1;" ::"l"(place), "h"(value.bits) : "memory");
}
)"},
      {"atomic_add_bfloat",
       {"bfloat_t"},
       R"(__device__ __forceinline__ void atomic_add_bfloat(bfloat_t* place, bfloat_t value) {
#if __CUDA_ARCH__ >= 900
  asm volatile("red.add.noftz.bf16 [%0], %1;" ::"l"(place), "h"(value.bits) : "memory");
#else
  bfloat_t found = {*static_cast<volatile unsigned short*>(&place->bits)}, seen;
  do {
    seen = found;
    const bfloat_t sum = to_bfloat(to_float(seen) + to_float(value));
    asm volatile("atom.cas.b16 %0, [%1], %2, %3;"
                 : "=h"(found.bits)
                 : "l"(place), "h"(seen.bits), "h"(sum.bits)
                 : "memory");
  } while (found.bits != seen.bits);
#endif
}
)"},
      {"half_of_bits",
       {"half_t"},
       R"(__device__ __forceinline__ half_t half_of_bits(unsigned short bits) { return {bits}; }
)"},
      {"bits_of_half",
       {"half_t"},
       R"(__device__ __forceinline__ unsigned short bits_of_half(half_t x) { return x.bits; }
)"},
      {"bfloat_of_bits",
       {"bfloat_t"},
       R"(__device__ __forceinline__ bfloat_t bfloat_of_bits(unsigned short bits) { return {bits}; }
)"},
      {"bits_of_bfloat",
       {"bfloat_t"},
       R"(__device__ __forceinline__ unsigned short bits_of_bfloat(bfloat_t x) { return x.bits; }
)"},
      {"atomic_max_float",
       {},
       R"(// Of floats without a sign the bits are ordered as integers, of others the other way round.
__device__ __forceinline__ void atomic_max_float(float* place, float value) {
  if (__float_as_int(value) >= 0)
    atomicMax(reinterpret_cast<int*>(place), __float_as_int(value));
  else
    atomicMin(reinterpret_cast<unsigned*>(place), __float_as_uint(value));
}
)"},
      {"atomic_min_float",
       {},
       R"(// Of floats without a sign the bits are ordered as integers, of others the other way round.
__device__ __forceinline__ void atomic_min_float(float* place, float value) {
  if (__float_as_int(value) >= 0)
    atomicMin(reinterpret_cast<int*>(place), __float_as_int(value));
  else
    atomicMax(reinterpret_cast<unsigned*>(place), __float_as_uint(value));
}
)"},
      {"floor_div",
       {},
       R"(__device__ __forceinline__ long long floor_div(long long a, long long b) {
  const long long q = a / b;
  return q - (a % b != 0 && (a % b < 0) != (b < 0));
}
__device__ __forceinline__ long long floor_mod(long long a, long long b) {
  return a - floor_div(a, b) * b;
}
)"},
      {"approximate_exp2",
       {},
       R"(// Two units in the last place; what float32 has only as a denormal is 0.
__device__ __forceinline__ float approximate_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
)"},
      {"shared_address",
       {},
       R"(__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}
)"},
      {"copy_vector", {}, R"(template <int bytes>
__device__ __forceinline__ void copy_vector(void* to, const void* from) {
  if constexpr (bytes == 16)
    *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
  else if constexpr (bytes == 8)
    *static_cast<uint2*>(to) = *static_cast<const uint2*>(from);
  else if constexpr (bytes == 4)
    *static_cast<unsigned*>(to) = *static_cast<const unsigned*>(from);
  else
    *static_cast<unsigned short*>(to) = *static_cast<const unsigned short*>(from);
}
)"},
      {"cp_async", {"shared_address"}, R"(// What is not there is filled with zeros.
template <int bytes>
__device__ __forceinline__ void cp_async(void* to, const void* from, bool is_there = true) {
  const int size = is_there ? bytes : 0;
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(size) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)),
                 "l"(from), "n"(bytes), "r"(size) : "memory");
}
)"},
      {"prefetch_l1", {}, R"(__device__ __forceinline__ void prefetch_l1(const void* at) {
  asm volatile("prefetch.L1 [%0];" ::"l"(at));
}
)"},
      {"prefetch_l2", {}, R"(__device__ __forceinline__ void prefetch_l2(const void* at) {
  asm volatile("prefetch.L2 [%0];" ::"l"(at));
}
)"},
      {"cp_async_commit", {}, R"(__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
)"},
      {"cp_async_wait",
       {},
       R"(template <int groups> __device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}
)"},
      {"mbarrier_init",
       {"shared_address"},
       R"(__device__ __forceinline__ void mbarrier_init(void* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals) : "memory");
}
)"},
      {"mbarrier_arrive",
       {"shared_address"},
       R"(__device__ __forceinline__ void mbarrier_arrive(void* barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }"
               ::"r"(shared_address(barrier)) : "memory");
}
)"},
      {"mbarrier_arrive_cluster",
       {"shared_address"},
       R"(// At the barrier of another block of the cluster, by its rank.
__device__ __forceinline__ void mbarrier_arrive_cluster(void* barrier, unsigned block) {
  asm volatile("{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; "
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }"
               ::"r"(shared_address(barrier)), "r"(block) : "memory");
}
)"},
      {"fence_mbarrier_init", {}, R"(__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
)"},
      {"cluster_sync", {}, R"(__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}
)"},
      {"mbarrier_expect_tx",
       {"shared_address"},
       R"(__device__ __forceinline__ void mbarrier_expect_tx(void* barrier, unsigned bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;"
               ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
)"},
      {"mbarrier_arrive_expect_tx",
       {"shared_address"},
       R"(__device__ __forceinline__ void mbarrier_arrive_expect_tx(void* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
)"},
      {"mbarrier_wait_parity",
       {"shared_address"},
       R"(__device__ __forceinline__ void mbarrier_wait_parity(void* barrier, unsigned parity) {
  unsigned done = 0;
  while (done == 0)
#if __CUDA_ARCH__ >= 900 // sleeps for a while
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
#else
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; "
#endif
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
}
)"},
      {"setmaxnreg",
       {},
       R"(template <int registers, int more> __device__ __forceinline__ void setmaxnreg() {
  if constexpr (more != 0)
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
  else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
)"},
      {"fence_proxy_async", {}, R"(__device__ __forceinline__ void fence_proxy_async() {
  asm volatile("fence.proxy.async;" ::: "memory");
}
)"},
      {"tensor_map", {}, R"(struct alignas(64) tensor_map { unsigned long long words[16]; };
)"},
      {"tma_store_arrive", {}, R"(__device__ __forceinline__ void tma_store_arrive() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
)"},
      {"tma_store_wait",
       {},
       R"(// Shared memory is free again; kernels that come later see what was stored.
template <int groups> __device__ __forceinline__ void tma_store_wait() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(groups) : "memory");
}
)"},
      {"wgmma_descriptor",
       {"shared_address"},
       R"(// A tile in shared memory: bytes from one box of columns to the next, and from eight rows to the
// next eight; swizzle 1: 128 bytes, 2: 64, 3: 32.
template <int box_bytes, int rows_bytes, int swizzle>
__device__ __forceinline__ unsigned long long wgmma_descriptor(const void* tile) {
  return static_cast<unsigned long long>((shared_address(tile) & 0x3ffff) >> 4) |
         static_cast<unsigned long long>(box_bytes >> 4) << 16 |
         static_cast<unsigned long long>(rows_bytes >> 4) << 32 |
         static_cast<unsigned long long>(swizzle) << 62;
}
)"},
      {"warpgroup_arrive", {}, R"(__device__ __forceinline__ void warpgroup_arrive() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
)"},
      {"warpgroup_commit_batch", {}, R"(__device__ __forceinline__ void warpgroup_commit_batch() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
)"},
      {"warpgroup_wait",
       {},
       R"(template <int groups> __device__ __forceinline__ void warpgroup_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}
)"},
      {"ldmatrix_x1",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x1(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
               : "=r"(r[0]) : "r"(shared_address(row)) : "memory");
}
)"},
      {"ldmatrix_x1_trans",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x1_trans(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
               : "=r"(r[0]) : "r"(shared_address(row)) : "memory");
}
)"},
      {"ldmatrix_x2",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x2(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
)"},
      {"ldmatrix_x2_trans",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x2_trans(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(row)) : "memory");
}
)"},
      {"ldmatrix_x4",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x4(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)) : "memory");
}
)"},
      {"ldmatrix_x4_trans",
       {"shared_address"},
       R"(__device__ __forceinline__ void ldmatrix_x4_trans(void* to, const void* row) {
  unsigned* r = static_cast<unsigned*>(to);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)) : "memory");
}
)"},
  };
  return list;
}

/// "%3, %4, %5" and "\"r\"(a[0]), \"r\"(a[1])".
std::string places(int first, int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}%{}", i > 0 ? ", " : "", first + i);
  return text;
}
std::string constraints(const char* kind, const char* array, int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}\"{}\"({}[{}])", i > 0 ? ", " : "", kind, array, i);
  return text;
}

/// What a product of matrices is of: the parts of its name behind the shape.
struct ProductTypes {
  std::string out, a, b;
  int k = 0;          ///< of the instruction of a warp: 32 bytes
  bool half = false;  ///< 16 bits, which may lie in columns
  bool bytes = false; ///< integers
};
std::optional<ProductTypes> product_types(std::span<const std::string> parts) {
  if (parts.size() != 2 && parts.size() != 3)
    return std::nullopt;
  ProductTypes types{parts[0], parts[1], parts.back()};
  const auto is_float8 = [](const std::string& type) { return type == "e4m3" || type == "e5m2"; };
  const bool wide = types.out == "f32";
  types.half = types.a == types.b &&
               ((types.a == "f16" && (wide || types.out == "f16")) || (types.a == "bf16" && wide));
  types.bytes = types.a == types.b && (types.a == "s8" || types.a == "u8") && types.out == "s32";
  const bool tf32 = types.a == types.b && types.a == "tf32" && wide;
  if (!types.half && !types.bytes && !tf32 && !(is_float8(types.a) && is_float8(types.b) && wide))
    return std::nullopt;
  types.k = types.half ? 16 : tf32 ? 8 : 32;
  return types;
}
const char* sum_type(const ProductTypes& types) {
  return types.out == "f32" ? "float" : types.out == "f16" ? "unsigned" : "int";
}
const char* sum_kind(const ProductTypes& types) { return types.out == "f32" ? "+f" : "+r"; }

/// mma_m16n8k16_f32_bf16, mma_m16n8k8_f16_f16, mma_m16n8k32_f32_e4m3_e5m2: C += A B by a warp.
/// Nothing for another name.
std::optional<std::string> mma_function(std::string_view name) {
  const std::vector<std::string> parts = split_text(name, '_');
  if (parts.size() < 4 || parts[0] != "mma")
    return std::nullopt;
  const auto types = product_types(std::span(parts).subspan(2));
  if (!types)
    return std::nullopt;
  // Of two and of one byte there is an instruction half as long, too.
  const bool half_as_long =
      (types->half || types->bytes) && parts[1] == fmt::format("m16n8k{}", types->k / 2);
  if (!half_as_long && parts[1] != fmt::format("m16n8k{}", types->k))
    return std::nullopt;
  const int sums = types->out == "f16" ? 2 : 4;
  const int a_count = half_as_long ? 2 : 4, b_count = a_count / 2;
  return fmt::format(
      "__device__ __forceinline__ void {0}(void* sums, const void* a_registers,\n"
      "    const void* b_registers) {{\n"
      "  {1}* c = static_cast<{1}*>(sums);\n"
      "  const unsigned* a = static_cast<const unsigned*>(a_registers);\n"
      "  const unsigned* b = static_cast<const unsigned*>(b_registers);\n"
      "  asm volatile(\"mma.sync.aligned.{2}.row.col.{3}.{4}.{5}.{3} {{{6}}}, {{{7}}}, \"\n"
      "               \"{{{8}}}, {{{6}}};\"\n"
      "               : {9}\n"
      "               : {10}, {11});\n"
      "}}\n",
      name, sum_type(*types), parts[1], types->out, types->a, types->b, places(0, sums),
      places(sums, a_count), places(sums + a_count, b_count),
      constraints(sum_kind(*types), "c", sums), constraints("r", "a", a_count),
      constraints("r", "b", b_count));
}

/// wgmma_m64n128k16_f32_bf16: D (+)= A B by a warpgroup, B as [n, k]; with _n as [k, n];
/// wgmma_rs_... with A in registers. Nothing for another name.
std::optional<std::string> wgmma_function(std::string_view name) {
  std::vector<std::string> parts = split_text(name, '_');
  if (parts.size() < 4 || parts[0] != "wgmma")
    return std::nullopt;
  const bool registers_a = parts[1] == "rs";
  parts.erase(parts.begin(), parts.begin() + (registers_a ? 2 : 1));
  const bool columns = parts.back() == "n";
  if (columns)
    parts.pop_back();
  int n = 0, k = 0;
  const auto types = product_types(std::span(parts).subspan(1));
  if (!types || std::sscanf(parts[0].c_str(), "m64n%dk%d", &n, &k) != 2 || k != types->k ||
      !tir::is_wgmma_width(n, types->bytes) || (columns && !types->half))
    return std::nullopt;
  // 64 rows of n among 128 threads; two float16 share a register.
  const int sums = types->out == "f16" ? n / 4 : n / 2;
  const int a_count = registers_a ? 4 : 1;
  std::string flags;
  if (!types->bytes)
    flags += ", 1, 1"; // neither negated
  if (types->half)
    flags += fmt::format("{}, {}", registers_a ? "" : ", 0", columns ? 1 : 0);
  return fmt::format(
      "__device__ __forceinline__ void {0}(void* sums, {1}, unsigned long long b,\n"
      "    int accumulate) {{\n"
      "  {2}* d = static_cast<{2}*>(sums);\n"
      "{3}"
      "  asm volatile(\"{{ .reg .pred p; setp.ne.b32 p, %{4}, 0; \"\n"
      "               \"wgmma.mma_async.sync.aligned.{5}.{6}.{7}.{8} \"\n"
      "               \"{{{9}}}, {10}, %{11}, p{12}; }}\"\n"
      "               : {13}\n"
      "               : {14}, \"l\"(b), \"r\"(accumulate) : \"memory\");\n"
      "}}\n",
      name, registers_a ? "const void* a_registers" : "unsigned long long a", sum_type(*types),
      registers_a ? "  const unsigned* a = static_cast<const unsigned*>(a_registers);\n" : "",
      sums + a_count + 1, parts[0], types->out, types->a, types->b, places(0, sums),
      registers_a ? "{" + places(sums, 4) + "}" : fmt::format("%{}", sums), sums + a_count, flags,
      constraints(sum_kind(*types), "d", sums),
      registers_a ? constraints("r", "a", 4) : std::string("\"l\"(a)"));
}

/// tma_load_2d, tma_store_3d: a box of a tensor; tma_load_multicast_2d: into several blocks of the
/// cluster. Nothing for another name.
std::optional<std::string> tma_function(std::string_view name) {
  std::string_view rest;
  bool load = false, multicast = false;
  for (const std::string_view prefix : {"tma_load_", "tma_store_", "tma_load_multicast_"})
    if (name.starts_with(prefix)) {
      rest = name.substr(prefix.size());
      load = prefix != "tma_store_";
      multicast = prefix == "tma_load_multicast_";
    }
  if (rest.size() != 2 || rest[0] < '1' || rest[0] > '5' || rest[1] != 'd')
    return std::nullopt;
  const int rank = rest[0] - '0';
  std::string parameters, operands;
  for (int d = 0; d < rank; ++d) {
    parameters += fmt::format(", int c{}", d);
    operands += fmt::format(", \"r\"(c{})", d);
  }
  if (multicast)
    return fmt::format(
        "// To the same place in each block of the cluster whose rank's bit is set.\n"
        "__device__ __forceinline__ void {}(void* to, const tensor_map* map,\n"
        "    void* barrier, int blocks{}) {{\n"
        "  asm volatile(\"cp.async.bulk.tensor.{}d.shared::cluster.global\"\n"
        "               \".mbarrier::complete_tx::bytes.multicast::cluster\"\n"
        "               \" [%0], [%1, {{{}}}], [%2], %3;\"\n"
        "               ::\"r\"(shared_address(to)), \"l\"(map),\n"
        "               \"r\"(shared_address(barrier)),\n"
        "               \"h\"(static_cast<unsigned short>(blocks)){} : \"memory\");\n"
        "}}\n",
        name, parameters, rank, places(4, rank), operands);
  if (load)
    return fmt::format(
        "__device__ __forceinline__ void {}(void* to, const tensor_map* map,\n"
        "    void* barrier{}) {{\n"
        "  asm volatile(\"cp.async.bulk.tensor.{}d.shared::cluster.global\"\n"
        "               \".mbarrier::complete_tx::bytes [%0], [%1, {{{}}}], [%2];\"\n"
        "               ::\"r\"(shared_address(to)), \"l\"(map),\n"
        "               \"r\"(shared_address(barrier)){} : \"memory\");\n"
        "}}\n",
        name, parameters, rank, places(3, rank), operands);
  return fmt::format("__device__ __forceinline__ void {}(const tensor_map* map,\n"
                     "    const void* from{}) {{\n"
                     "  asm volatile(\"cp.async.bulk.tensor.{}d.global.shared::cta.bulk_group \"\n"
                     "               \"[%0, {{{}}}], [%1];\"\n"
                     "               ::\"l\"(map), \"r\"(shared_address(from)){} : \"memory\");\n"
                     "}}\n",
                     name, parameters, rank, places(2, rank), operands);
}

/// stmatrix_x4: matrices of 8 x 8 elements of 16 bits into shared memory.
std::optional<std::string> stmatrix_function(std::string_view name) {
  const int count = name == "stmatrix_x1" ? 1 : name == "stmatrix_x2" ? 2 : 4;
  if (name != fmt::format("stmatrix_x{}", count))
    return std::nullopt;
  return fmt::format("__device__ __forceinline__ void {}(void* row, const void* from) {{\n"
                     "  const unsigned* r = static_cast<const unsigned*>(from);\n"
                     "  asm volatile(\"stmatrix.sync.aligned.m8n8.x{}.shared.b16 [%0], {{{}}};\"\n"
                     "               ::\"r\"(shared_address(row)), {} : \"memory\");\n"
                     "}}\n",
                     name, count, places(1, count), constraints("r", "r", count));
}

/// Functions whose text follows from their name.
std::optional<std::string> made_function(std::string_view name) {
  if (auto function = tma_function(name))
    return function;
  if (auto function = stmatrix_function(name))
    return function;
  if (auto function = mma_function(name))
    return function;
  return wgmma_function(name);
}

} // namespace

bool in_cuda_prelude(std::string_view name) {
  return made_function(name).has_value() ||
         std::any_of(pieces().begin(), pieces().end(),
                     [&](const Piece& piece) { return piece.name == name; });
}

std::string cuda_prelude(const std::vector<std::string>& names) {
  std::vector<std::string> wanted;
  const auto want = [&](const std::string& name) {
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end())
      wanted.push_back(name);
  };
  for (const std::string& name : names) {
    TEMPER_CHECK(in_cuda_prelude(name), "the prelude has no function of this name");
    want(name);
    if (tma_function(name)) {
      want("shared_address");
      want("tensor_map");
    }
    if (stmatrix_function(name))
      want("shared_address");
    for (const Piece& piece : pieces())
      if (piece.name == name)
        for (const char* other : piece.needs)
          want(other);
  }
  std::string text;
  for (const Piece& piece : pieces())
    if (std::find(wanted.begin(), wanted.end(), piece.name) != wanted.end())
      text += std::string(piece.text) + "\n";
  for (const std::string& name : wanted)
    if (const auto function = made_function(name))
      text += *function + "\n";
  return text;
}

} // namespace temper::codegen
