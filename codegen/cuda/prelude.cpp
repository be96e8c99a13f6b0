#include "codegen/cuda/prelude.h"

#include "ir/support/check.h"

#include <algorithm>
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

} // namespace

bool in_cuda_prelude(std::string_view name) {
  return std::any_of(pieces().begin(), pieces().end(),
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
  return text;
}

} // namespace temper::codegen
