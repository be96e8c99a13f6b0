/// Small programs, built in code, that several tests run.
#pragma once

#include "ir/module.h"
#include "ir/op.h"
#include "ir/s_tir/block.h"

namespace temper::testing {

using namespace temper::s_tir; // NOLINT: IR in tests

inline Expr imm(int64_t value) { return make_int(DataType::int32(), value); }
inline Range extent(int64_t count) { return {imm(0), imm(count)}; }
inline Range element(const Expr& index) { return {index, imm(1)}; }

inline PrimFunc make_function(std::string name, std::vector<Param> params, Stmt body,
                              bool is_s_tir = false) {
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = std::move(name);
    node.params = std::move(params);
    node.body = std::move(body);
    node.s_tir = is_s_tir;
  });
}

struct BlockParts {
  std::string name;
  std::vector<IterVar> iter_vars;
  std::vector<BufferRegion> reads;
  std::vector<BufferRegion> writes;
  Stmt init;
  Stmt body;
  std::vector<Buffer> alloc_buffers;
  std::vector<MatchBufferRegion> match_buffers;
};
inline Block make_block(BlockParts parts) {
  return make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = std::move(parts.name);
    node.iter_vars = std::move(parts.iter_vars);
    node.reads = std::move(parts.reads);
    node.writes = std::move(parts.writes);
    node.init = std::move(parts.init);
    node.body = std::move(parts.body);
    node.alloc_buffers = std::move(parts.alloc_buffers);
    node.match_buffers = std::move(parts.match_buffers);
  });
}
/// The root block that holds a scheduled function's body.
inline Stmt make_root(Stmt body, std::vector<Buffer> alloc_buffers = {}) {
  BlockParts parts;
  parts.name = "root";
  parts.body = std::move(body);
  parts.alloc_buffers = std::move(alloc_buffers);
  return make_realize({}, make_bool(true), make_block(std::move(parts)));
}
inline Stmt loop_over(const Var& var, int64_t count, Stmt body, ForKind kind = ForKind::kSerial) {
  return make_for(var, imm(0), imm(count), kind, std::move(body));
}

/// for i, j, k: with block("C"): vi, vj, vk = remap("SSR", [i, j, k]); init C = 0;
/// C[vi, vj] += A[vi, vk] * B[vk, vj]
inline PrimFunc matmul(int64_t m, int64_t n, int64_t k, DataType dtype = DataType::float32()) {
  const Buffer a = make_buffer("A", dtype, {imm(m), imm(k)});
  const Buffer b = make_buffer("B", dtype, {imm(k), imm(n)});
  const Buffer c = make_buffer("C", dtype, {imm(m), imm(n)});
  const Var vi = make_var("vi");
  const Var vj = make_var("vj");
  const Var vk = make_var("vk");
  BlockParts parts;
  parts.name = "C";
  parts.iter_vars = {{extent(m), vi, IterType::kSpatial},
                     {extent(n), vj, IterType::kSpatial},
                     {extent(k), vk, IterType::kReduce}};
  parts.reads = {{a, {element(vi), element(vk)}}, {b, {element(vk), element(vj)}}};
  parts.writes = {{c, {element(vi), element(vj)}}};
  parts.init = make_store(c, {vi, vj}, make_const(dtype, 0));
  parts.body = make_store(c, {vi, vj},
                          make_load(c, {vi, vj}) + make_load(a, {vi, vk}) * make_load(b, {vk, vj}));
  const Var i = make_var("i");
  const Var j = make_var("j");
  const Var l = make_var("k");
  const Stmt realize = make_realize({i, j, l}, make_bool(true), make_block(std::move(parts)));
  return make_function("main", {{a, nullptr}, {b, nullptr}, {c, nullptr}},
                       make_root(loop_over(i, m, loop_over(j, n, loop_over(l, k, realize)))), true);
}

} // namespace temper::testing
