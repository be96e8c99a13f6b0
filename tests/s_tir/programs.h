/// Small s-tir programs that tests schedule, and a builder to write them with.
#pragma once

#include "ir/module.h"
#include "ir/op.h"
#include "ir/s_tir/block.h"

#include <string>
#include <utility>
#include <vector>

namespace temper::s_tir::programs {

inline Expr imm(int64_t value) { return make_int(DataType::int32(), value); }
inline Expr real(double value) { return make_float(DataType::float32(), value); }

inline Buffer tensor(std::string name, const std::vector<int64_t>& shape) {
  std::vector<Expr> dims;
  for (const int64_t extent : shape)
    dims.push_back(imm(extent));
  return make_buffer(std::move(name), DataType::float32(), std::move(dims));
}

/// A block in its own loops, one per axis: grid("C", "SSR", {{"i", 8}, {"j", 8}, {"k", 4}}).
struct Grid {
  std::string name;
  std::vector<Var> axes;
  Block block;
  std::vector<Var> loops;
  std::vector<int64_t> extents;

  Grid(std::string block_name, const std::string& types,
       const std::vector<std::pair<std::string, int64_t>>& dims)
      : name(std::move(block_name)) {
    for (const auto& [dim, extent] : dims) {
      loops.push_back(make_var(dim));
      axes.push_back(make_var("v_" + dim));
      extents.push_back(extent);
    }
    types_ = types;
  }
  Expr axis(size_t index) const { return axes[index]; }

  static BufferRegion region(const Buffer& buffer, const std::vector<Expr>& point) {
    BufferRegion result{buffer, {}};
    for (const Expr& index : point)
      result.region.push_back({index, imm(1)});
    return result;
  }
  Grid& reads(const Buffer& buffer, const std::vector<Expr>& point) {
    reads_.push_back(region(buffer, point));
    return *this;
  }
  Grid& init(Stmt stmt) {
    init_ = std::move(stmt);
    return *this;
  }
  /// Ends the block: buffer[point] = value.
  Stmt store(const Buffer& buffer, const std::vector<Expr>& point, const Expr& value) {
    const Block made = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = name;
      for (size_t i = 0; i < axes.size(); ++i)
        node.iter_vars.push_back({{imm(0), imm(extents[i])},
                                  axes[i],
                                  types_[i] == 'S' ? IterType::kSpatial : IterType::kReduce});
      node.reads = reads_;
      node.writes = {region(buffer, point)};
      node.init = init_;
      node.body = make_store(buffer, point, value);
    });
    std::vector<Expr> values(loops.begin(), loops.end());
    Stmt stmt = make_realize(std::move(values), make_bool(true), made);
    for (size_t i = loops.size(); i-- > 0;)
      stmt = make_for(loops[i], imm(0), imm(extents[i]), ForKind::kSerial, stmt);
    return stmt;
  }

private:
  std::string types_;
  std::vector<BufferRegion> reads_;
  Stmt init_;
};

inline IRModule function(const std::vector<Buffer>& params, std::vector<Buffer> allocated,
                         std::vector<Stmt> body) {
  const Block root = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "root";
    node.alloc_buffers = std::move(allocated);
    node.body = make_seq(std::move(body));
  });
  return make_module(make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = "main";
    for (const Buffer& param : params)
      node.params.push_back({param, nullptr});
    node.s_tir = true;
    node.body = make_realize({}, make_bool(true), root);
  }));
}

inline Stmt matmul_block(const Buffer& a, const Buffer& b, const Buffer& c, int64_t m, int64_t n,
                         int64_t k, const std::string& name = "C") {
  Grid grid(name, "SSR", {{"i", m}, {"j", n}, {"k", k}});
  const Expr i = grid.axis(0), j = grid.axis(1), r = grid.axis(2);
  return grid.reads(a, {i, r})
      .reads(b, {r, j})
      .init(make_store(c, {i, j}, real(0)))
      .store(c, {i, j}, make_load(c, {i, j}) + make_load(a, {i, r}) * make_load(b, {r, j}));
}

/// C[i, j] = sum_k A[i, k] * B[k, j]
inline IRModule matmul(int64_t m, int64_t n, int64_t k) {
  const Buffer a = tensor("A", {m, k}), b = tensor("B", {k, n}), c = tensor("C", {m, n});
  return function({a, b, c}, {}, {matmul_block(a, b, c, m, n, k)});
}

/// D = relu(A @ B + bias)
inline IRModule matmul_bias_relu(int64_t m, int64_t n, int64_t k) {
  const Buffer a = tensor("A", {m, k}), b = tensor("B", {k, n}), bias = tensor("bias", {n});
  const Buffer c = tensor("C", {m, n}), t = tensor("T_add", {m, n}), d = tensor("D", {m, n});
  Grid add("T_add", "SS", {{"i", m}, {"j", n}});
  const Stmt add_stmt =
      add.reads(c, {add.axis(0), add.axis(1)})
          .reads(bias, {add.axis(1)})
          .store(t, {add.axis(0), add.axis(1)},
                 make_load(c, {add.axis(0), add.axis(1)}) + make_load(bias, {add.axis(1)}));
  Grid relu("D", "SS", {{"i", m}, {"j", n}});
  const Stmt relu_stmt = relu.reads(t, {relu.axis(0), relu.axis(1)})
                             .store(d, {relu.axis(0), relu.axis(1)},
                                    max(make_load(t, {relu.axis(0), relu.axis(1)}), real(0)));
  return function({a, b, bias, d}, {c, t}, {matmul_block(a, b, c, m, n, k), add_stmt, relu_stmt});
}

/// B = A * 2; C = B + 1; D = C * C: a chain over m x n.
inline IRModule chain(int64_t m, int64_t n) {
  const Buffer a = tensor("A", {m, n}), b = tensor("B", {m, n}), c = tensor("C", {m, n});
  const Buffer d = tensor("D", {m, n});
  Grid g1("B", "SS", {{"i", m}, {"j", n}}), g2("C", "SS", {{"i", m}, {"j", n}}),
      g3("D", "SS", {{"i", m}, {"j", n}});
  auto at = [](const Grid& g) { return std::vector<Expr>{g.axis(0), g.axis(1)}; };
  const Stmt s1 = g1.reads(a, at(g1)).store(b, at(g1), make_load(a, at(g1)) * real(2));
  const Stmt s2 = g2.reads(b, at(g2)).store(c, at(g2), make_load(b, at(g2)) + real(1));
  const Stmt s3 = g3.reads(c, at(g3)).store(d, at(g3), make_load(c, at(g3)) * make_load(c, at(g3)));
  return function({a, d}, {b, c}, {s1, s2, s3});
}

/// Padding by 1 and a 3x3 convolution, then a ReLU: X [c, h, w], W [o, c, 3, 3], Y [o, h, w].
inline IRModule conv2d(int64_t c, int64_t o, int64_t h, int64_t w) {
  const Buffer x = tensor("X", {c, h, w}), weight = tensor("W", {o, c, 3, 3});
  const Buffer pad = tensor("pad", {c, h + 2, w + 2}), conv = tensor("conv", {o, h, w});
  const Buffer y = tensor("Y", {o, h, w});
  Grid p("pad", "SSS", {{"ci", c}, {"hi", h + 2}, {"wi", w + 2}});
  const Expr pc = p.axis(0), ph = p.axis(1), pw = p.axis(2);
  const Expr inside = logical_and(logical_and(less_equal(imm(1), ph), less(ph, imm(h + 1))),
                                  logical_and(less_equal(imm(1), pw), less(pw, imm(w + 1))));
  const Stmt pad_stmt =
      p.reads(x, {pc, ph - 1, pw - 1})
          .store(pad, {pc, ph, pw},
                 if_then_else(inside, make_load(x, {pc, ph - 1, pw - 1}), real(0)));
  Grid g("conv", "SSSRRR", {{"oo", o}, {"hh", h}, {"ww", w}, {"rc", c}, {"rh", 3}, {"rw", 3}});
  const Expr vo = g.axis(0), vh = g.axis(1), vw = g.axis(2), rc = g.axis(3), rh = g.axis(4),
             rw = g.axis(5);
  const Stmt conv_stmt =
      g.reads(pad, {rc, vh + rh, vw + rw})
          .reads(weight, {vo, rc, rh, rw})
          .init(make_store(conv, {vo, vh, vw}, real(0)))
          .store(conv, {vo, vh, vw},
                 make_load(conv, {vo, vh, vw}) +
                     make_load(pad, {rc, vh + rh, vw + rw}) * make_load(weight, {vo, rc, rh, rw}));
  Grid r("Y", "SSS", {{"oo", o}, {"hh", h}, {"ww", w}});
  const std::vector<Expr> at{r.axis(0), r.axis(1), r.axis(2)};
  const Stmt relu = r.reads(conv, at).store(y, at, max(make_load(conv, at), real(0)));
  return function({x, weight, y}, {pad, conv}, {pad_stmt, conv_stmt, relu});
}

/// Softmax over the last axis, in four blocks: max, exp, sum, divide.
inline IRModule softmax(int64_t m, int64_t n) {
  const Buffer a = tensor("A", {m, n}), mx = tensor("T_max", {m}), e = tensor("T_exp", {m, n});
  const Buffer s = tensor("T_sum", {m}), y = tensor("Y", {m, n});
  Grid g1("T_max", "SR", {{"i", m}, {"k", n}}), g2("T_exp", "SS", {{"i", m}, {"j", n}}),
      g3("T_sum", "SR", {{"i", m}, {"k", n}}), g4("Y", "SS", {{"i", m}, {"j", n}});
  auto at = [](const Grid& g) { return std::vector<Expr>{g.axis(0), g.axis(1)}; };
  auto row = [](const Grid& g) { return std::vector<Expr>{g.axis(0)}; };
  const Stmt s1 = g1.reads(a, at(g1))
                      .init(make_store(mx, row(g1), real(-3.4028234663852886e38)))
                      .store(mx, row(g1), max(make_load(mx, row(g1)), make_load(a, at(g1))));
  const Stmt s2 =
      g2.reads(a, at(g2))
          .reads(mx, row(g2))
          .store(e, at(g2), call_op("exp", {make_load(a, at(g2)) - make_load(mx, row(g2))}));
  const Stmt s3 = g3.reads(e, at(g3))
                      .init(make_store(s, row(g3), real(0)))
                      .store(s, row(g3), make_load(s, row(g3)) + make_load(e, at(g3)));
  const Stmt s4 =
      g4.reads(e, at(g4))
          .reads(s, row(g4))
          .store(y, at(g4), make_binary<Div>(make_load(e, at(g4)), make_load(s, row(g4))));
  return function({a, y}, {mx, e, s}, {s1, s2, s3, s4});
}

} // namespace temper::s_tir::programs
