/// Random modules, lowered tir and s-tir, that use every node, type and annotation the text knows.
/// Well-typed and with every definition before its uses; what they compute makes no sense.
#pragma once

#include "ir/module.h"
#include "ir/op.h"
#include "ir/s_tir/block.h"
#include "ir/support/random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace temper::script {

using namespace temper::ir; // NOLINT

class RandomProgram {
public:
  explicit RandomProgram(uint64_t seed) : random_(seed) {}

  IRModule module() {
    std::vector<ModuleEntry> entries;
    const int64_t count = random_.between(1, 2);
    for (int64_t i = 0; i < count; ++i) {
      PrimFunc function = prim_func(i == 0 ? "main" : "second", random_.below(2) == 0);
      entries.push_back({function->name, function});
    }
    Annotations attrs;
    if (chance(4))
      attrs = annotations();
    return make_module(std::move(entries), std::move(attrs));
  }

  PrimFunc prim_func(std::string name, bool s_tir) {
    vars_.clear();
    buffers_.clear();
    s_tir_ = s_tir;
    std::vector<Var> dimensions;
    std::vector<Param> params;
    const int64_t buffers = random_.between(1, 3);
    for (int64_t i = 0; i < buffers; ++i) {
      std::vector<Expr> shape;
      const int64_t rank = random_.below(4);
      for (int64_t d = 0; d < rank; ++d) {
        if (chance(6)) {
          if (dimensions.empty() || chance(2))
            dimensions.push_back(
                make_var(hint(), chance(2) ? DataType::int64() : DataType::int32()));
          shape.push_back(dimensions[dimensions.size() - 1]);
        } else {
          shape.push_back(
              make_int(chance(5) ? DataType::int64() : DataType::int32(), random_.between(1, 64)));
        }
      }
      params.push_back({buffer(std::move(shape), false), nullptr});
      buffers_.push_back(params.back().buffer);
    }
    // Dimensions are listed as they appear in the shapes.
    std::vector<Var> ordered;
    for (const Param& param : params)
      for (const Expr& extent : param.buffer->shape)
        if (const Var var = extent.as_ref<VarNode>())
          if (std::find(ordered.begin(), ordered.end(), var) == ordered.end())
            ordered.push_back(var);
    for (const Var& var : ordered)
      vars_.push_back(var);
    while (chance(2)) {
      Var var = make_var(hint(), scalar_type());
      vars_.push_back(var);
      params.push_back({nullptr, var});
    }
    Stmt body;
    if (s_tir) {
      s_tir::Block root = block("root", 3, true);
      body = s_tir::make_realize({}, make_bool(true), root);
    } else {
      body = list(4);
    }
    return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
      node.name = std::move(name);
      node.shape_vars = ordered;
      node.params = std::move(params);
      if (chance(2))
        node.attrs = annotations();
      node.s_tir = s_tir;
      node.is_private = chance(4);
      node.body = std::move(body);
    });
  }

private:
  bool chance(int64_t one_in) { return random_.below(one_in) == 0; }
  template <typename T> const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(random_.below(static_cast<int64_t>(list.size())))];
  }

  std::string hint() {
    static const std::vector<std::string> kHints = {"i",  "i",      "j",      "A",     "x",   "x_1",
                                                    "",   "for",    "T",      "range", "1st", "a b",
                                                    "vi", "Module", "lambda", "sum"};
    return pick(kHints);
  }
  std::string text() {
    static const std::vector<std::string> kTexts = {
        "a",       "",         "quo\"te",    "back\\slash", "line\nbreak", "tab\t", "# no comment",
        "{brace}", "\x01\x7f", "caf\xc3\xa9"};
    return pick(kTexts);
  }

  DataType scalar_type() {
    static const std::vector<DataType> kTypes = {
        DataType::boolean(), DataType::integer(8), DataType::integer(16),  DataType::int32(),
        DataType::int32(),   DataType::int64(),    DataType::uint(8),      DataType::uint(16),
        DataType::uint(32),  DataType::uint(64),   DataType::floating(16), DataType::bfloat16(),
        DataType::float32(), DataType::float32(),  DataType::float64()};
    return pick(kTypes);
  }

  Buffer buffer(std::vector<Expr> shape, bool local) {
    return make_node<BufferNode>([&](BufferNode& node) {
      node.name = hint();
      node.dtype = scalar_type();
      if (chance(8))
        node.dtype = node.dtype.with_lanes(4);
      if (local && chance(2))
        node.scope = pick<std::string>({"local", "shared", "shared.dyn", "wmma.accumulator"});
      if (chance(6))
        node.alignment = int64_t{1} << random_.below(10);
      if (chance(8))
        node.elem_offset = make_int(DataType::int32(), random_.below(100));
      if (chance(6))
        for (size_t i = 0; i < shape.size(); ++i)
          node.strides.push_back(make_int(DataType::int32(), random_.between(1, 500)));
      if (chance(10) && !shape.empty())
        node.layout = make_node<IndexMapNode>([&](IndexMapNode& map) {
          for (size_t i = 0; i < shape.size(); ++i)
            map.inputs.push_back(make_var(hint()));
          const Expr first = map.inputs[0];
          map.outputs = {make_binary<FloorDiv>(first, make_int(DataType::int32(), 16)),
                         make_binary<FloorMod>(first, make_int(DataType::int32(), 16))};
        });
      node.shape = std::move(shape);
    });
  }
  Buffer local_buffer() {
    std::vector<Expr> shape;
    for (int64_t d = random_.below(3); d > 0; --d)
      shape.push_back(make_int(DataType::int32(), random_.between(1, 64)));
    return buffer(std::move(shape), true);
  }
  Buffer scalar_buffer() {
    return make_buffer(hint(), scalar_type(), {make_int(DataType::int32(), 1)}, "local");
  }

  // Expressions.

  int64_t integer(DataType type) {
    const int64_t any = static_cast<int64_t>(random_());
    return wrap_integer(
        type, pick<int64_t>({0, 1, 2, -1, -7, 127, 16, any, std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()}));
  }
  double real() {
    return pick<double>({0.0, -0.0, 1.0, 0.1, -2.5, 1e-30, 1e30, 5e-324, 3.4028234663852886e38,
                         INFINITY, -INFINITY, std::numeric_limits<double>::quiet_NaN(),
                         std::bit_cast<double>(uint64_t{0xfff8000000000123}),
                         std::bit_cast<double>(random_() & ~(uint64_t{0x7ff} << 52))});
  }

  Expr constant(DataType type) {
    if (!type.is_scalar())
      return make_broadcast(constant(type.element()), type.lanes);
    return type.is_floating() ? make_float(type, real()) : make_int(type, integer(type));
  }

  Expr leaf(DataType type) {
    for (int attempt = 0; attempt < 4; ++attempt) {
      if (!vars_.empty() && chance(2)) {
        const Var& var = pick(vars_);
        if (var->dtype == type)
          return var;
      }
      if (!buffers_.empty() && nested_loads_ < 2) {
        const Buffer source = pick(buffers_);
        if (source->dtype == type) {
          ++nested_loads_;
          Expr load = make_load(source, indices(source, 1, 0));
          --nested_loads_;
          return load;
        }
      }
    }
    return constant(type);
  }

  /// An index expression of one lane, or a vector in the last place.
  std::vector<Expr> indices(const Buffer& source, int lanes, int depth) {
    std::vector<Expr> result;
    const DataType type = chance(6) ? DataType::int64() : DataType::int32();
    for (int i = 0; i < source->rank(); ++i) {
      if (i + 1 == source->rank() && lanes > 1)
        result.push_back(chance(3) ? expr(type.with_lanes(lanes), depth)
                                   : make_ramp(expr(type, depth), expr(type, 0), lanes));
      else
        result.push_back(expr(type, depth));
    }
    return result;
  }

  Expr expr(DataType type, int depth) {
    if (depth <= 0)
      return leaf(type);
    --depth;
    const int lanes = type.lanes;
    if (lanes > 1) {
      if (chance(3))
        return make_broadcast(expr(type.element(), depth), lanes);
      if (chance(4) && type.is_integral())
        return make_ramp(expr(type.element(), depth), expr(type.element(), depth), lanes);
      if (chance(4)) {
        std::vector<Expr> places;
        for (int i = 0; i < lanes; ++i)
          places.push_back(make_int(DataType::int32(), random_.below(2 * lanes)));
        return make_shuffle({expr(type, depth), expr(type, depth)}, std::move(places));
      }
      if (chance(2) && !buffers_.empty()) {
        const Buffer source = pick(buffers_);
        if (source->rank() > 0 && source->dtype == type.element()) {
          Expr predicate;
          if (chance(2))
            predicate = expr(DataType::boolean(lanes), depth);
          return make_load(source, indices(source, lanes, depth), predicate);
        }
      }
    }
    const DataType condition = DataType::boolean(lanes);
    switch (random_.below(8)) {
    case 0: {
      const DataType from = scalar_type().with_lanes(lanes);
      return make_cast(type, expr(from, depth));
    }
    case 1:
      return make_select(expr(chance(2) ? condition : DataType::boolean(), depth),
                         expr(type, depth), expr(type, depth));
    case 2:
      return if_then_else(expr(DataType::boolean(), depth), expr(type, depth), expr(type, depth));
    case 3: {
      const DataType inner = scalar_type();
      Expr value = expr(inner, depth);
      Var var = make_var(hint(), inner);
      vars_.push_back(var);
      Expr body = expr(type, depth);
      vars_.pop_back();
      return make_let(var, std::move(value), std::move(body));
    }
    default:
      break;
    }
    const auto both = [&](auto make) { return make(expr(type, depth), expr(type, depth)); };
    if (type.is_bool()) {
      const DataType inner = chance(6) ? type : scalar_type().with_lanes(lanes);
      Expr a = expr(inner, depth);
      Expr b = expr(inner, depth);
      switch (random_.below(9)) {
      case 0:
        return make_binary<EQ>(a, b);
      case 1:
        return make_binary<NE>(a, b);
      case 2:
        return make_binary<LT>(a, b);
      case 3:
        return make_binary<LE>(a, b);
      case 4:
        return make_binary<GT>(a, b);
      case 5:
        return make_binary<GE>(a, b);
      case 6:
        return both(make_binary<And>);
      case 7:
        return both(make_binary<Or>);
      default:
        return make_not(expr(type, depth));
      }
    }
    if (type.is_floating()) {
      switch (random_.below(9)) {
      case 0:
        return both(make_binary<Sub>);
      case 1:
        return both(make_binary<Mul>);
      case 2:
        return both(make_binary<Div>);
      case 3:
        return both(make_binary<Mod>);
      case 4:
        return both(make_binary<Min>);
      case 5:
        return both(make_binary<Max>);
      case 6:
      case 7:
        for (const OpInfo& op : all_ops())
          if (chance(8) && op.result == OpResult::kSameAsArgument && !op.integer_only &&
              op.arity > 0 && op.name != "likely") {
            std::vector<Expr> args;
            for (int i = 0; i < op.arity; ++i)
              args.push_back(expr(type, depth));
            return call_op(op.name, std::move(args));
          }
        if (type.is_scalar())
          return make_call(type, "vector_reduce_add", {expr(type.with_lanes(4), depth)});
        return both(make_binary<Add>);
      default:
        return both(make_binary<Add>);
      }
    }
    switch (random_.below(14)) {
    case 0:
      return both(make_binary<Sub>);
    case 1:
      return both(make_binary<Mul>);
    case 2:
      return both(make_binary<Div>);
    case 3:
      return both(make_binary<Mod>);
    case 4:
      return both(make_binary<FloorDiv>);
    case 5:
      return both(make_binary<FloorMod>);
    case 6:
      return both(make_binary<Min>);
    case 7:
      return both(make_binary<Max>);
    case 8:
      return call_op("bitwise_not", {expr(type, depth)});
    case 9:
      return call_op(pick<std::string>(
                         {"bitwise_and", "bitwise_or", "bitwise_xor", "shift_left", "shift_right"}),
                     {expr(type, depth), expr(type, depth)});
    case 10:
      return call_op(chance(2) ? "popcount" : "abs", {expr(type, depth)});
    case 11:
      if (type.bits == 32)
        return make_call(type, "reinterpret", {expr(DataType::float32().with_lanes(lanes), depth)});
      [[fallthrough]];
    default:
      return both(make_binary<Add>);
    }
  }

  Expr annotation_value(int depth) {
    switch (random_.below(depth > 0 ? 8 : 6)) {
    case 0:
      return make_bool(chance(2));
    case 1:
      return make_int(DataType::int32(), integer(DataType::int32()));
    case 2:
      return make_int(DataType::int64(), integer(DataType::int64()));
    case 3:
      return make_float(DataType::float64(), real());
    case 4:
      return make_float(DataType::float32(), real());
    case 5:
      return make_string(text());
    default: {
      std::vector<Expr> values;
      for (int64_t i = random_.below(4); i > 0; --i)
        values.push_back(annotation_value(depth - 1));
      return make_list(std::move(values));
    }
    }
  }
  Annotations annotations() {
    Annotations result;
    for (int64_t i = random_.between(1, 3); i > 0; --i)
      result = result.with(chance(3) ? text() : pick<std::string>({"pragma_x", "a.b", "tirx.y"}),
                           annotation_value(2));
    return result;
  }

  // Statements. What a list defines is gone after it.

  Stmt list(int depth) {
    const size_t vars = vars_.size();
    const size_t buffers = buffers_.size();
    std::vector<Stmt> result;
    for (int64_t i = random_.below(4); i > 0; --i)
      statement(result, depth);
    vars_.resize(vars);
    buffers_.resize(buffers);
    return tir::make_seq(std::move(result));
  }

  Stmt store(const Buffer& target) {
    const int lanes = target->rank() > 0 && target->dtype.is_scalar() && chance(3) ? 4 : 1;
    Expr predicate;
    if (lanes > 1 && chance(3))
      predicate = expr(DataType::boolean(lanes), 1);
    return tir::make_store(target, indices(target, lanes, 2),
                           expr(target->dtype.with_lanes(target->dtype.lanes * lanes), 3),
                           predicate);
  }

  void statement(std::vector<Stmt>& out, int depth) {
    switch (random_.below(depth > 0 ? 14 : 7)) {
    case 0: {
      const DataType type = scalar_type().with_lanes(chance(5) ? 4 : 1);
      Expr value = expr(type, 3);
      Var var = make_var(hint(), type);
      out.push_back(tir::make_bind(var, std::move(value)));
      vars_.push_back(var);
      return;
    }
    case 1: {
      Buffer target = local_buffer();
      Annotations notes;
      if (chance(4))
        notes = annotations();
      out.push_back(tir::make_alloc(target, notes));
      buffers_.push_back(target);
      return;
    }
    case 2: {
      Buffer scalar = scalar_buffer();
      out.push_back(tir::make_alloc(scalar));
      if (chance(2))
        out.push_back(
            tir::make_store(scalar, {make_int(DataType::int32(), 0)}, expr(scalar->dtype, 3)));
      out.push_back(tir::make_store(scalar, {make_int(DataType::int32(), 0)},
                                    make_load(scalar, {make_int(DataType::int32(), 0)})));
      return;
    }
    case 3: {
      const Expr value = expr(scalar_type(), 3);
      out.push_back(tir::make_evaluate(value));
      return;
    }
    case 4:
      out.push_back(tir::make_assert(expr(DataType::boolean(), 3), text()));
      return;
    default:
      if (!buffers_.empty())
        out.push_back(store(pick(buffers_)));
      return;
    case 7:
    case 8:
    case 9: {
      const DataType type = chance(4) ? DataType::int64() : DataType::int32();
      const auto kind = static_cast<tir::ForKind>(random_.below(5));
      Expr min = make_int(type, 0);
      if (chance(4))
        min = chance(2) ? make_int(type, random_.between(-5, 20)) : expr(type, 2);
      Expr extent = chance(3) ? expr(type, 2) : make_int(type, random_.below(20));
      Var var = make_var(hint(), type);
      vars_.push_back(var);
      const bool was_in_loop = std::exchange(in_loop_, true);
      Stmt body = s_tir_ && chance(3) ? realize(depth - 1, var, min, extent) : list(depth - 1);
      in_loop_ = was_in_loop;
      vars_.pop_back();
      Annotations notes;
      if (chance(5))
        notes = annotations();
      out.push_back(tir::make_for(var, min, extent, kind, body, notes,
                                  kind == tir::ForKind::kThreadBinding
                                      ? pick<std::string>({"blockIdx.x", "threadIdx.y"})
                                      : std::string()));
      return;
    }
    case 10: {
      Expr condition = expr(DataType::boolean(), 3);
      Stmt then_case = list(depth - 1);
      Stmt else_case;
      if (chance(2))
        else_case = list(depth - 1);
      out.push_back(tir::make_if(std::move(condition), std::move(then_case), std::move(else_case)));
      return;
    }
    case 11: {
      const bool was_in_loop = std::exchange(in_loop_, true);
      out.push_back(tir::make_while(expr(DataType::boolean(), 2), list(depth - 1)));
      in_loop_ = was_in_loop;
      return;
    }
    case 12:
      if (in_loop_)
        out.push_back(chance(2) ? tir::make_break() : tir::make_continue());
      else
        out.push_back(tir::make_return(chance(2) ? expr(DataType::int32(), 1) : nullptr));
      return;
    case 13:
      if (s_tir_)
        out.push_back(realize(depth - 1, nullptr, nullptr, nullptr));
      return;
    }
  }

  // Blocks.

  std::vector<Range> box(const Buffer& buffer) {
    std::vector<Range> result;
    for (const Expr& extent : buffer->shape) {
      const DataType type = extent->dtype;
      if (chance(4))
        result.push_back({make_int(type, 0), extent});
      else
        result.push_back(
            {expr(type, 2), chance(2) ? make_int(type, random_.below(9)) : expr(type, 1)});
    }
    return result;
  }
  std::vector<BufferRegion> regions() {
    std::vector<BufferRegion> result;
    for (int64_t i = random_.below(3); i > 0 && !buffers_.empty(); --i) {
      const Buffer& buffer = pick(buffers_);
      result.push_back({buffer, box(buffer)});
    }
    return result;
  }

  s_tir::Block block(std::string name, int depth, bool is_root,
                     std::vector<s_tir::IterVar> axes = {}) {
    const size_t vars = vars_.size();
    const size_t buffers = buffers_.size();
    for (const s_tir::IterVar& axis : axes)
      vars_.push_back(axis.var);
    s_tir::Block result = make_node<s_tir::SBlock>([&](s_tir::SBlock& node) {
      node.id = s_tir::new_block_id();
      node.name = std::move(name);
      node.iter_vars = std::move(axes);
      if (!is_root || chance(3)) {
        node.reads = regions();
        node.writes = regions();
        if (chance(4))
          node.annotations = annotations();
      }
      for (int64_t i = random_.below(3); i > 0; --i) {
        node.alloc_buffers.push_back(local_buffer());
        buffers_.push_back(node.alloc_buffers.back());
      }
      if (!is_root && chance(4)) {
        const Buffer source = pick(buffers_);
        BufferRegion region{source, box(source)};
        Buffer view = make_node<BufferNode>([&](BufferNode& buffer) {
          buffer.name = hint();
          buffer.dtype = source->dtype;
          buffer.scope = source->scope;
          buffer.shape = {make_int(DataType::int32(), 4)};
          if (chance(2))
            buffer.strides = {make_int(DataType::int32(), 2)};
        });
        node.match_buffers.push_back({std::move(region), view});
        buffers_.push_back(view);
      }
      const bool was_in_loop = std::exchange(in_loop_, false);
      if (!is_root && chance(3))
        node.init = list(1);
      node.body = list(depth);
      in_loop_ = was_in_loop;
    });
    vars_.resize(vars);
    buffers_.resize(buffers);
    return result;
  }

  Stmt realize(int depth, const Var& loop, const Expr& min, const Expr& extent) {
    std::vector<s_tir::IterVar> axes;
    std::vector<Expr> values;
    if (loop && chance(2)) {
      axes.push_back({{min, extent},
                      make_var(hint(), loop->dtype),
                      chance(2) ? s_tir::IterType::kSpatial : s_tir::IterType::kReduce});
      values.push_back(loop);
    }
    for (int64_t i = random_.below(3); i > 0; --i) {
      const DataType type = chance(4) ? DataType::int64() : DataType::int32();
      s_tir::IterVar axis;
      axis.var = make_var(hint(), type);
      axis.type = static_cast<s_tir::IterType>(random_.below(4));
      axis.domain = {chance(3) ? expr(type, 1) : make_int(type, 0),
                     make_int(type, random_.between(1, 64))};
      values.push_back(expr(type, 2));
      axes.push_back(std::move(axis));
    }
    const Expr predicate = chance(3) ? expr(DataType::boolean(), 2) : make_bool(true);
    s_tir::Block inner =
        block(pick<std::string>({"C", "update", "", "root", "odd \"name\""}), depth, false, axes);
    return s_tir::make_realize(std::move(values), predicate, std::move(inner));
  }

  Random random_;
  std::vector<Var> vars_;
  std::vector<Buffer> buffers_;
  bool s_tir_ = false;
  bool in_loop_ = false;
  int nested_loads_ = 0;
};

} // namespace temper::script
