// Buffers of rank 1 with linear indices.
//
//   A: (64, 32)   A[i, j + 1]   ->   A: (2048,)   A[i * 32 + j + 1]
//
// The index is a linear form: the strides are multiplied out, so that later passes compare, split
// and shift addresses by looking at coefficients. Parameters become flat too; their shapes and
// which of them are written stay in the function's attributes, for signatures. A parameter's shape
// may be symbolic: products with a symbolic stride are terms of the form.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/atomic.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/tile_ops.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class Flattening {
public:
  Buffer flat(const Buffer& buffer) {
    if (const auto found = buffers_.find(buffer); found != buffers_.end())
      return found->second.buffer;
    Flat entry;
    entry.strides.resize(buffer->shape.size());
    Expr count = make_int(DataType::int64(), 1);
    for (size_t i = buffer->shape.size(); i-- > 0;) {
      entry.strides[i] = buffer->strides.empty() ? count : wide(buffer->strides[i]);
      count = count * wide(buffer->shape[i]);
    }
    const Expr size = as_int(count) ? make_int(DataType::int64(), flat_size(*buffer)) : count;
    if (buffer->elem_offset)
      entry.offset = *as_int(buffer->elem_offset);
    const bool is_flat = buffer->rank() == 1 && buffer->strides.empty() && !buffer->elem_offset;
    entry.buffer = is_flat ? buffer : copy_node(*buffer, [&](BufferNode& node) {
      node.shape = {size};
      node.strides.clear();
      node.elem_offset = nullptr;
    });
    return buffers_.emplace(buffer, entry).first->second.buffer;
  }

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>())
      bind_loop(math_, *loop);
    if (const auto* store = stmt.as<BufferStore>())
      return make_store(flat(store->buffer), {index(store->buffer, store->indices)},
                        rewrite(store->value),
                        store->predicate ? rewrite(store->predicate) : nullptr);
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      // A schedule's "local" or "shared" is memory on a CPU; "local" is promote_registers' word for
      // registers.
      const Buffer buffer = flat(alloc->buffer);
      if (buffer->scope != "global")
        buffers_[alloc->buffer].buffer =
            copy_node(*buffer, [](BufferNode& node) { node.scope = "global"; });
      return make_alloc(buffers_[alloc->buffer].buffer, alloc->annotations);
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [&](const Expr& expr) { return rewrite(expr); });
  }

private:
  struct Flat {
    Buffer buffer;
    std::vector<Expr> strides; ///< int64
    int64_t offset = 0;
  };

  static Expr wide(const Expr& extent) {
    const auto value = as_int(extent);
    return value ? make_int(DataType::int64(), *value) : tile_cast(DataType::int64(), extent);
  }

  /// Elements that a buffer of constant shape takes, from its start to the last one.
  static int64_t flat_size(const BufferNode& buffer) {
    int64_t count = 1;
    int64_t last = 0;
    for (size_t i = buffer.shape.size(); i-- > 0;) {
      const int64_t extent = *as_int(buffer.shape[i]);
      last += (extent - 1) * (buffer.strides.empty() ? count : *as_int(buffer.strides[i]));
      count *= extent;
    }
    int64_t size = count == 0 ? 0 : last + 1;
    const int64_t offset = buffer.elem_offset ? *as_int(buffer.elem_offset) : 0;
    size += offset;
    // Strides that round rows up also round up the size: a vector may end a row.
    if (!buffer.strides.empty() && !buffer.shape.empty())
      size = std::max(size, *as_int(buffer.strides[0]) * *as_int(buffer.shape[0]) + offset);
    return size;
  }

  /// form += part * stride
  void add(LinearForm& form, const Expr& part, const Expr& stride) {
    const LinearForm one = math_.linear(part);
    if (const auto constant = as_int(stride))
      return form.add(one, *constant);
    for (const LinearTerm& term : one.terms)
      form.add_term(wide(term.expr) * stride, term.coefficient);
    form.add_term(stride, one.constant);
  }

  Expr rewrite(const Expr& expr) {
    if (const auto* load = expr.as<BufferLoad>())
      return make_load(flat(load->buffer), {index(load->buffer, load->indices)},
                       load->predicate ? rewrite(load->predicate) : nullptr);
    return map_parts(
        expr, [](const Stmt& stmt) { return stmt; },
        [&](const Expr& child) { return rewrite(child); });
  }

  static LinearForm offset(int64_t constant) {
    LinearForm form;
    form.dtype = DataType::int64();
    form.constant = constant;
    return form;
  }

  Expr index(const Buffer& buffer, const std::vector<Expr>& indices) {
    flat(buffer);
    const Flat& entry = buffers_.at(buffer);
    TEMPER_CHECK(indices.size() == entry.strides.size(), "one index per dimension");
    bool scalar = true;
    int lanes = 1;
    for (const Expr& part : indices) {
      scalar &= part->dtype.is_scalar();
      lanes = std::max<int>(lanes, part->dtype.lanes);
    }
    if (scalar) {
      LinearForm form = offset(entry.offset);
      for (size_t i = 0; i < indices.size(); ++i)
        add(form, rewrite(indices[i]), entry.strides[i]);
      return math_.simplify(to_expr(form));
    }
    // Text may hold vector accesses already: at most one Ramp, scalars elsewhere.
    LinearForm base = offset(entry.offset);
    LinearForm step = offset(0);
    bool is_ramp = true;
    for (size_t i = 0; i < indices.size(); ++i) {
      const Expr part = rewrite(indices[i]);
      if (part->dtype.is_scalar()) {
        add(base, part, entry.strides[i]);
      } else if (const auto* ramp = part.as<Ramp>()) {
        add(base, ramp->base, entry.strides[i]);
        add(step, ramp->stride, entry.strides[i]);
      } else {
        is_ramp = false;
      }
    }
    if (is_ramp)
      return make_ramp(to_expr(base), to_expr(step), lanes);
    Expr result = make_const_int(DataType::int64().with_lanes(lanes), entry.offset);
    for (size_t i = 0; i < indices.size(); ++i) {
      Expr part = rewrite(indices[i]);
      if (part->dtype.bits < 64)
        part = make_cast(DataType::int64().with_lanes(part->dtype.lanes), part);
      if (part->dtype.is_scalar())
        part = make_broadcast(part, lanes);
      result = result + part * (as_int(entry.strides[i])
                                    ? make_const_int(part->dtype, *as_int(entry.strides[i]))
                                    : make_broadcast(entry.strides[i], lanes));
    }
    return result;
  }

  Analyzer math_;
  std::unordered_map<Buffer, Flat, RefHash> buffers_;
};

} // namespace

std::vector<std::vector<int64_t>> parameter_shapes(const PrimFunc& function) {
  std::vector<std::vector<int64_t>> result;
  if (const Expr shapes = function->attrs.get("temper.param_shapes")) {
    for (const Expr& shape : shapes.as<ListImm>()->values) {
      result.emplace_back();
      for (const Expr& extent : shape.as<ListImm>()->values)
        result.back().push_back(*as_int(extent));
    }
    return result;
  }
  for (const Param& param : function->params) {
    result.emplace_back();
    if (!param.buffer)
      continue;
    for (const Expr& extent : param.buffer->shape)
      result.back().push_back(as_int(extent).value_or(kSymbolicExtent));
  }
  return result;
}

std::vector<bool> written_parameters(const PrimFunc& function) {
  std::vector<bool> result(function->params.size(), false);
  if (const Expr outputs = function->attrs.get("temper.outputs")) {
    for (const Expr& position : outputs.as<ListImm>()->values)
      result.at(static_cast<size_t>(*as_int(position))) = true;
    return result;
  }
  walk(function->body, [&](const NodeRef& node) {
    const auto writes = [&](const Buffer& buffer) {
      for (size_t i = 0; i < result.size(); ++i)
        if (function->params[i].buffer == buffer)
          result[i] = true;
    };
    if (const auto* store = node.as<BufferStore>())
      writes(store->buffer);
    else if (const auto* call = node.as<TileCall>())
      for (const size_t operand : written_operands(*call))
        writes(call->regions[operand].buffer);
    else if (const auto* evaluate = node.as<Evaluate>()) {
      const auto* operation = evaluate->value.as<Call>();
      if (as_atomic(cast_ref<StmtNode>(node)) != nullptr ||
          (operation != nullptr && operation->op == tir::kSourceWrites))
        if (const auto* place = operation->args[0].as<BufferLoad>())
          writes(place->buffer);
    }
    return !ExprNode::accepts(node->kind());
  });
  return result;
}

PrimFunc flatten_buffers(const PrimFunc& function) {
  std::vector<Expr> shapes;
  for (const std::vector<int64_t>& shape : parameter_shapes(function)) {
    std::vector<Expr> extents;
    for (const int64_t extent : shape)
      extents.push_back(make_int(DataType::int64(), extent));
    shapes.push_back(make_list(std::move(extents)));
  }
  std::vector<Expr> outputs;
  const std::vector<bool> written = written_parameters(function);
  for (size_t i = 0; i < written.size(); ++i)
    if (written[i])
      outputs.push_back(make_int(DataType::int64(), static_cast<int64_t>(i)));
  Flattening flattening;
  const Stmt body = flattening.rewrite(function->body);
  return copy_node(*function, [&](PrimFuncNode& node) {
    for (Param& param : node.params)
      if (param.buffer)
        param.buffer = flattening.flat(param.buffer);
    node.attrs = node.attrs.with("temper.param_shapes", make_list(std::move(shapes)))
                     .with("temper.outputs", make_list(std::move(outputs)));
    node.body = body;
  });
}

} // namespace temper::ir
