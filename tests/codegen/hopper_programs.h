/// Programs for sm_90a that several tests compile and run.
#pragma once

#include "ir/support/text.h"

#include <string>
#include <vector>

namespace temper::codegen {

/// C = A B on Hopper by wgmma, tiles as "128x128x64"; with `tma` copies are boxes of the tensor
/// memory accelerator, else cp.async. B is [k, n], or [n, k] where it is transposed.
inline std::string hopper_gemm(const std::string& dtype, int64_t m, int64_t n, int64_t k,
                               bool transposed, const std::string& tiles, int threads, bool tma) {
  std::string text = R"(
@T.prim_func
def gemm(A: T.Tensor((M_, K_), "IN"), B: T.Tensor(B_SHAPE, "IN"), C: T.Tensor((M_, N_), "OUT")):
    with T.Kernel(T.ceildiv(N_, TN), T.ceildiv(M_, TM), threads=THREADS) as (bx, by):
        A_shared = T.alloc_shared((TM, TK), "IN")
        B_shared = T.alloc_shared(B_TILE, "IN")
        C_local = T.alloc_fragment((TM, TN), "OUT")
        T.clear(C_local)
        for k in T.Pipelined(T.ceildiv(K_, TK), num_stages=3PIPE):
            T.copy(A[by * TM, k * TK], A_shared)
            T.copy(B[B_AT], B_shared)
            T.gemm(A_shared, B_shared, C_local, transpose_B=TRANSPOSED, annotations={"variant": "wgmma"})
        T.copy(C_local, C[by * TM, bx * TN])
)";
  const auto set = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  };
  const std::vector<std::string> tile = split_text(tiles, 'x');
  set("B_SHAPE", transposed ? "(N_, K_)" : "(K_, N_)");
  set("B_TILE", transposed ? "(TN, TK)" : "(TK, TN)");
  set("B_AT", transposed ? "bx * TN, k * TK" : "k * TK, bx * TN");
  set("TRANSPOSED", transposed ? "True" : "False");
  set("THREADS", std::to_string(threads));
  set("PIPE", tma ? ", annotations={\"tma\": 1}" : "");
  set("M_", std::to_string(m));
  set("N_", std::to_string(n));
  set("K_", std::to_string(k));
  set("TM", tile[0]);
  set("TN", tile[1]);
  set("TK", tile[2]);
  set("OUT", dtype == "int8" ? "int32" : "float32");
  set("IN", dtype);
  return text;
}

} // namespace temper::codegen
