/// Small s-tir programs for tests, by a builder that writes loops, blocks and their regions.
#pragma once

#include "ir/module.h"
#include "ir/op.h"
#include "ir/s_tir/analysis.h"

#include <functional>

namespace temper::s_tir::testing {

inline Expr imm(int64_t value) { return make_int(DataType::int32(), value); }
inline Expr real(double value) { return make_float(DataType::float32(), value); }

using Axes = std::vector<Expr>;
using Shape = std::vector<int64_t>;

/// Buffers and blocks of one function, in the order of the calls.
class ProgramBuilder {
public:
  Buffer param(const std::string& name, const Shape& shape) {
    params_.push_back({buffer(name, shape), nullptr});
    return params_.back().buffer;
  }
  Buffer local(const std::string& name, const Shape& shape) {
    locals_.push_back(buffer(name, shape));
    return locals_.back();
  }

  /// out[axes] = value(axes), in a block named as the buffer.
  void compute(const Buffer& out, const std::function<Expr(const Axes&)>& value) {
    block(out, {}, [&](const Axes& axes, const Axes&) {
      return std::pair(Stmt(), make_store(out, axes, value(axes)));
    });
  }
  /// out[axes] accumulates value(axes, reduction axes), from `init`.
  void reduce(
      const Buffer& out, const Shape& extents, double init,
      const std::function<Expr(const Axes&, const Axes&)>& value,
      const std::function<Expr(const Expr&, const Expr&)>& combine =
          [](const Expr& a, const Expr& b) { return make_binary<Add>(a, b); }) {
    block(out, extents, [&](const Axes& axes, const Axes& over) {
      return std::pair(make_store(out, axes, real(init)),
                       make_store(out, axes, combine(make_load(out, axes), value(axes, over))));
    });
  }

  IRModule build() const {
    const Block root = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = "root";
      node.alloc_buffers = locals_;
      node.body = make_seq(statements_);
    });
    return make_module(make_node<PrimFuncNode>([&](PrimFuncNode& node) {
      node.name = "main";
      node.params = params_;
      node.s_tir = true;
      node.body = make_realize({}, make_bool(true), root);
    }));
  }

private:
  static Buffer buffer(const std::string& name, const Shape& shape) {
    std::vector<Expr> dims;
    for (const int64_t extent : shape)
      dims.push_back(imm(extent));
    return make_buffer(name, DataType::float32(), dims);
  }

  void block(const Buffer& out, const Shape& reduction,
             const std::function<std::pair<Stmt, Stmt>(const Axes&, const Axes&)>& body) {
    std::vector<Var> loops;
    std::vector<IterVar> axes;
    auto add = [&](const Expr& extent, const std::string& name, IterType type) {
      loops.push_back(make_var(name));
      axes.push_back({{imm(0), extent}, make_var("v_" + name), type});
    };
    for (size_t i = 0; i < out->shape.size(); ++i)
      add(out->shape[i], "i" + std::to_string(i), IterType::kSpatial);
    for (size_t i = 0; i < reduction.size(); ++i)
      add(imm(reduction[i]), "k" + std::to_string(i), IterType::kReduce);
    Axes spatial, over;
    for (const IterVar& axis : axes)
      (axis.type == IterType::kSpatial ? spatial : over).push_back(axis.var);
    auto [init, store] = body(spatial, over);
    Block block = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = out->name;
      node.iter_vars = axes;
      node.init = init;
      node.body = store;
    });
    const Accesses accesses = detect_accesses(*block);
    block = copy_node(*block, [&](SBlock& node) {
      node.reads = accesses.reads;
      node.writes = accesses.writes;
    });
    Stmt stmt = make_realize({loops.begin(), loops.end()}, make_bool(true), block);
    for (size_t i = loops.size(); i-- > 0;)
      stmt = make_for(loops[i], imm(0), axes[i].domain.extent, ForKind::kSerial, stmt);
    statements_.push_back(stmt);
  }

  std::vector<Param> params_;
  std::vector<Buffer> locals_;
  std::vector<Stmt> statements_;
};

inline IRModule matmul(int64_t m, int64_t n, int64_t k) {
  ProgramBuilder program;
  const Buffer a = program.param("A", {m, k});
  const Buffer b = program.param("B", {k, n});
  const Buffer c = program.param("C", {m, n});
  program.reduce(c, {k}, 0, [&](const Axes& i, const Axes& over) {
    return make_load(a, {i[0], over[0]}) * make_load(b, {over[0], i[1]});
  });
  return program.build();
}

/// conv2d NHWC 3x3 with padding, bias, batch-norm scale and offset, ReLU: MetaSchedule's CBR.
inline IRModule conv_bias_relu(int64_t size, int64_t channels) {
  ProgramBuilder program;
  const Buffer input = program.param("X", {1, size, size, channels});
  const Buffer weight = program.param("W", {3, 3, channels, channels});
  const Buffer bias = program.param("bias", {channels});
  const Buffer scale = program.param("bn_scale", {channels});
  const Buffer offset = program.param("bn_offset", {channels});
  const Buffer out = program.param("compute", {1, size, size, channels});
  const Buffer padded = program.local("PaddedInput", {1, size + 2, size + 2, channels});
  const Buffer conv = program.local("Conv2dOutput", {1, size, size, channels});
  const Buffer biased = program.local("bias_add", {1, size, size, channels});
  const Buffer scaled = program.local("bn_mul", {1, size, size, channels});
  const Buffer shifted = program.local("bn_add", {1, size, size, channels});
  program.compute(padded, [&](const Axes& i) {
    const Expr inside =
        logical_and(logical_and(less_equal(imm(1), i[1]), less(i[1], imm(size + 1))),
                    logical_and(less_equal(imm(1), i[2]), less(i[2], imm(size + 1))));
    return if_then_else(inside, make_load(input, {i[0], i[1] - 1, i[2] - 1, i[3]}), real(0));
  });
  program.reduce(conv, {3, 3, channels}, 0, [&](const Axes& i, const Axes& r) {
    return make_load(padded, {i[0], i[1] + r[0], i[2] + r[1], r[2]}) *
           make_load(weight, {r[0], r[1], r[2], i[3]});
  });
  program.compute(biased,
                  [&](const Axes& i) { return make_load(conv, i) + make_load(bias, {i[3]}); });
  program.compute(scaled,
                  [&](const Axes& i) { return make_load(biased, i) * make_load(scale, {i[3]}); });
  program.compute(shifted,
                  [&](const Axes& i) { return make_load(scaled, i) + make_load(offset, {i[3]}); });
  program.compute(out, [&](const Axes& i) { return max(make_load(shifted, i), real(0)); });
  return program.build();
}

inline IRModule softmax(int64_t rows, int64_t columns) {
  ProgramBuilder program;
  const Buffer a = program.param("A", {rows, columns});
  const Buffer out = program.param("T_softmax_norm", {rows, columns});
  const Buffer maximum = program.local("T_softmax_maxelem", {rows});
  const Buffer exponent = program.local("T_softmax_exp", {rows, columns});
  const Buffer sum = program.local("T_softmax_expsum", {rows});
  program.reduce(
      maximum, {columns}, -3.4028234663852886e38,
      [&](const Axes& i, const Axes& r) {
        return make_load(a, {i[0], r[0]});
      },
      [](const Expr& x, const Expr& y) { return max(x, y); });
  program.compute(exponent, [&](const Axes& i) {
    return call_op("exp", {make_load(a, i) - make_load(maximum, {i[0]})});
  });
  program.reduce(sum, {columns}, 0, [&](const Axes& i, const Axes& r) {
    return make_load(exponent, {i[0], r[0]});
  });
  program.compute(out, [&](const Axes& i) {
    return make_binary<Div>(make_load(exponent, i), make_load(sum, {i[0]}));
  });
  return program.build();
}

inline IRModule row_sum(int64_t rows, int64_t columns) {
  ProgramBuilder program;
  const Buffer a = program.param("A", {rows, columns});
  const Buffer b = program.param("B", {rows});
  program.reduce(b, {columns}, 0, [&](const Axes& i, const Axes& r) {
    return make_load(a, {i[0], r[0]});
  });
  return program.build();
}

/// D = (A + 1) * 2, through C.
inline IRModule elementwise(int64_t m, int64_t n) {
  ProgramBuilder program;
  const Buffer a = program.param("A", {m, n});
  const Buffer d = program.param("D", {m, n});
  const Buffer c = program.local("C", {m, n});
  program.compute(c, [&](const Axes& i) { return make_load(a, i) + real(1); });
  program.compute(d, [&](const Axes& i) { return make_load(c, i) * real(2); });
  return program.build();
}

inline IRModule transpose(int64_t m, int64_t n) {
  ProgramBuilder program;
  const Buffer a = program.param("A", {m, n});
  const Buffer b = program.param("B", {n, m});
  program.compute(b, [&](const Axes& i) { return make_load(a, {i[1], i[0]}); });
  return program.build();
}

} // namespace temper::s_tir::testing
