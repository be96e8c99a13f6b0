#include "codegen/cuda/prelude.h"

#include "ir/support/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
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
      {"shared_address",
       {},
       R"(__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
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
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; "
                 "selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
}
)"},
      {"fence_proxy_async", {}, R"(__device__ __forceinline__ void fence_proxy_async() {
  asm volatile("fence.proxy.async;" ::: "memory");
}
)"},
      {"tensor_map", {}, R"(struct alignas(64) tensor_map { unsigned long long words[16]; };
)"},
      {"tma_load_1d",
       {"shared_address", "tensor_map"},
       R"(__device__ __forceinline__ void tma_load_1d(void* to, const tensor_map* map, void* barrier, int c0) {
  asm volatile("cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3}], [%2];"
               ::"r"(shared_address(to)), "l"(map), "r"(shared_address(barrier)),
               "r"(c0) : "memory");
}
)"},
      {"tma_load_2d",
       {"shared_address", "tensor_map"},
       R"(__device__ __forceinline__ void tma_load_2d(void* to, const tensor_map* map, void* barrier, int c0, int c1) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4}], [%2];"
               ::"r"(shared_address(to)), "l"(map), "r"(shared_address(barrier)),
               "r"(c0), "r"(c1) : "memory");
}
)"},
      {"tma_load_3d",
       {"shared_address", "tensor_map"},
       R"(__device__ __forceinline__ void tma_load_3d(void* to, const tensor_map* map, void* barrier, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5}], [%2];"
               ::"r"(shared_address(to)), "l"(map), "r"(shared_address(barrier)),
               "r"(c0), "r"(c1), "r"(c2) : "memory");
}
)"},
      {"tma_load_4d",
       {"shared_address", "tensor_map"},
       R"(__device__ __forceinline__ void tma_load_4d(void* to, const tensor_map* map, void* barrier, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5, %6}], [%2];"
               ::"r"(shared_address(to)), "l"(map), "r"(shared_address(barrier)),
               "r"(c0), "r"(c1), "r"(c2), "r"(c3) : "memory");
}
)"},
      {"tma_load_5d",
       {"shared_address", "tensor_map"},
       R"(__device__ __forceinline__ void tma_load_5d(void* to, const tensor_map* map, void* barrier, int c0, int c1, int c2, int c3, int c4) {
  asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%3, %4, %5, %6, %7}], [%2];"
               ::"r"(shared_address(to)), "l"(map), "r"(shared_address(barrier)),
               "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4) : "memory");
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
      {"mma_m16n8k16_f32_f16",
       {},
       R"(__device__ __forceinline__ void mma_m16n8k16_f32_f16(float* c, const void* a_registers,
                                                     const void* b_registers) {
  const unsigned* a = static_cast<const unsigned*>(a_registers);
  const unsigned* b = static_cast<const unsigned*>(b_registers);
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
)"},
      {"mma_m16n8k16_f32_bf16",
       {},
       R"(__device__ __forceinline__ void mma_m16n8k16_f32_bf16(float* c, const void* a_registers,
                                                      const void* b_registers) {
  const unsigned* a = static_cast<const unsigned*>(a_registers);
  const unsigned* b = static_cast<const unsigned*>(b_registers);
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
)"},
      {"mma_m16n8k16_f16_f16",
       {},
       R"(__device__ __forceinline__ void mma_m16n8k16_f16_f16(void* c_registers, const void* a_registers,
                                                     const void* b_registers) {
  unsigned* c = static_cast<unsigned*>(c_registers);
  const unsigned* a = static_cast<const unsigned*>(a_registers);
  const unsigned* b = static_cast<const unsigned*>(b_registers);
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, "
               "{%6, %7}, {%0, %1};"
               : "+r"(c[0]), "+r"(c[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
)"},
      {"mma_m16n8k32_s32_s8",
       {},
       R"(__device__ __forceinline__ void mma_m16n8k32_s32_s8(int* c, const void* a_registers,
                                                    const void* b_registers) {
  const unsigned* a = static_cast<const unsigned*>(a_registers);
  const unsigned* b = static_cast<const unsigned*>(b_registers);
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
)"},
      {"mma_m16n8k32_s32_u8",
       {},
       R"(__device__ __forceinline__ void mma_m16n8k32_s32_u8(int* c, const void* a_registers,
                                                    const void* b_registers) {
  const unsigned* a = static_cast<const unsigned*>(a_registers);
  const unsigned* b = static_cast<const unsigned*>(b_registers);
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
)"},
  };
  return list;
}

/// wgmma_m64n128k16_f32_bf16: D (+)= A B, B as [n, k]; with _n as [k, n]. Nothing for another name.
std::optional<std::string> wgmma_function(std::string_view name) {
  int n = 0, k = 0;
  std::array<char, 8> out{}, in{}, plain{};
  const int found =
      std::sscanf(std::string(name).c_str(), "wgmma_m64n%dk%d_%7[a-z0-9]_%7[a-z0-9]%7s", &n, &k,
                  out.data(), in.data(), plain.data());
  const std::string to(out.data()), from(in.data());
  const bool columns = found == 5 && std::string_view(plain.data()) == "_n";
  const bool half =
      (from == "f16" && (to == "f32" || to == "f16")) || (from == "bf16" && to == "f32");
  const bool bytes = (from == "s8" || from == "u8") && to == "s32";
  if (found < 4 || (found == 5 && !columns) || n < 8 || n > 256 || n % 8 != 0 ||
      !((half && k == 16) || (bytes && k == 32 && !columns)))
    return std::nullopt;
  // 64 rows of n among 128 threads; two float16 share a register.
  const int registers = to == "f16" ? n / 4 : n / 2;
  std::string places, operands;
  for (int i = 0; i < registers; ++i) {
    places += fmt::format("{}%{}", i > 0 ? ", " : "", i);
    operands += fmt::format("{}\"+{}\"(d[{}])", i > 0 ? ", " : "", to == "f32" ? "f" : "r", i);
  }
  const std::string type = to == "f32" ? "float" : to == "f16" ? "unsigned" : "int";
  return fmt::format(
      "__device__ __forceinline__ void {}(void* sums, unsigned long long a, unsigned long long b,\n"
      "    int accumulate) {{\n"
      "  {}* d = static_cast<{}*>(sums);\n"
      "  asm volatile(\"{{ .reg .pred p; setp.ne.b32 p, %{}, 0; \"\n"
      "               \"wgmma.mma_async.sync.aligned.m64n{}k{}.{}.{}.{} \"\n"
      "               \"{{{}}}, %{}, %{}, p{}; }}\"\n"
      "               : {}\n"
      "               : \"l\"(a), \"l\"(b), \"r\"(accumulate) : \"memory\");\n"
      "}}\n",
      name, type, type, registers + 2, n, k, to, from, from, places, registers, registers + 1,
      bytes ? "" : (columns ? ", 1, 1, 0, 1" : ", 1, 1, 0, 0"), operands);
}

} // namespace

bool in_cuda_prelude(std::string_view name) {
  return wgmma_function(name).has_value() ||
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
    if (const auto function = wgmma_function(name))
      text += *function + "\n";
  return text;
}

} // namespace temper::codegen
