#include "ir/tir/layout_expr.h"

#include "ir/op.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/stmt.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

Expr swizzled(const Expr& x, const XorSwizzle& swizzle) {
  const int64_t field = int64_t{1} << (swizzle.base + swizzle.shift);
  const Expr moved =
      floormod(floordiv(x, field), int64_t{1} << swizzle.bits) * (int64_t{1} << swizzle.base);
  return call_op("bitwise_xor", {x, moved});
}

class Applying {
public:
  explicit Applying(const Stmt& body) {
    std::unordered_set<const BufferNode*> kept;
    walk(body, [&](const NodeRef& node) {
      if (const auto* call = node.as<Call>(); call != nullptr && takes_tiles(call->op))
        for (const Expr& arg : call->args)
          if (const auto* load = arg.as<BufferLoad>())
            kept.insert(load->buffer.get());
      return true;
    });
    walk(body, [&](const NodeRef& node) {
      const auto* alloc = node.as<AllocBuffer>();
      const Expr annotation =
          alloc != nullptr ? alloc->annotations.get(kLayoutAnnotation) : nullptr;
      if (!annotation || kept.contains(alloc->buffer.get()))
        return true;
      auto layout = layout_of(annotation);
      if (!layout || layout->is_fragment() || !layout->input_swizzle.empty())
        return true;
      Flat flat{*layout, copy_node(*alloc->buffer, [&](BufferNode& copy) {
                  copy.shape = {make_int(DataType::int32(), layout->span(kMemoryAxis))};
                  copy.strides = {};
                })};
      flats_.emplace(alloc->buffer.get(), std::move(flat));
      return true;
    });
  }

  Result<Stmt> run(const Stmt& body) {
    if (flats_.empty())
      return body;
    const Stmt result = cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
      if (const auto* alloc = node.as<AllocBuffer>()) {
        const Flat* flat = find(alloc->buffer);
        if (flat == nullptr)
          return node;
        return copy_node(*alloc, [&](AllocBuffer& copy) {
          copy.buffer = flat->buffer;
          std::erase_if(copy.annotations.entries,
                        [](const Annotation& entry) { return entry.key == kLayoutAnnotation; });
        });
      }
      if (const auto* store = node.as<BufferStore>())
        if (const Flat* flat = find(store->buffer))
          return copy_node(*store, [&](BufferStore& copy) {
            copy.buffer = flat->buffer;
            copy.indices = {place(*flat, store->indices, *store)};
          });
      if (const auto* load = node.as<BufferLoad>())
        if (const Flat* flat = find(load->buffer))
          return copy_node(*load, [&](BufferLoad& copy) {
            copy.buffer = flat->buffer;
            copy.indices = {place(*flat, load->indices, *load)};
          });
      return node;
    }));
    if (!error_.message.empty())
      return error_;
    return result;
  }

private:
  struct Flat {
    Layout layout;
    Buffer buffer;
  };

  const Flat* find(const Buffer& buffer) const {
    const auto found = flats_.find(buffer.get());
    return found == flats_.end() ? nullptr : &found->second;
  }

  Expr place(const Flat& flat, std::vector<Expr> indices, const Node& where) {
    int lanes = 1;
    for (size_t d = 0; d < indices.size(); ++d) {
      if (indices[d]->dtype.is_scalar())
        continue;
      const auto* ramp = indices[d].as<Ramp>();
      lanes = indices[d]->dtype.lanes;
      if (ramp == nullptr || d + 1 != indices.size() || !is_int(ramp->stride, 1) ||
          vector_width(flat.layout) % lanes != 0) {
        if (error_.message.empty())
          error_ = Error(ErrorCode::kUnsupported,
                         fmt::format("line {}: {} elements of {} do not lie side by side in its "
                                     "layout; access them one by one",
                                     where.span.line, lanes, flat.buffer->name));
        return make_int(DataType::int32(), 0);
      }
      indices[d] = ramp->base;
    }
    // An index of a single barrier may be wrong, and is not to be lost: nothing has proven it.
    if (flat.buffer->dtype == DataType::uint(64) && indices.size() == 1 &&
        is_int(flat.buffer->shape[0], 1))
      return tile_cast(DataType::int32(), indices[0]);
    const Expr first = layout_value(flat.layout, indices);
    return lanes == 1 ? first : make_ramp(first, make_int(first->dtype, 1), lanes);
  }

  std::unordered_map<const BufferNode*, Flat> flats_;
  Error error_;
};

} // namespace

bool takes_tiles(std::string_view op) {
  return op.starts_with("tma_load") || op == "tma_store" || op == "ptx_wgmma_ss" ||
         op == "ptx_wgmma_rs";
}

Expr layout_value(const Layout& layout, std::span<const Expr> coordinate, const char* axis) {
  TEMPER_CHECK(layout.input_swizzle.empty(), "places of inverted swizzles are no expressions");
  const DataType dtype = DataType::int32();
  Expr value = make_int(dtype, 0);
  for (const LayoutOffset& offset : layout.offsets)
    if (offset.axis == axis)
      value = value + offset.value;
  std::vector<LayoutDigit> digits = layout.digits;
  std::erase_if(digits, [](const LayoutDigit& digit) { return digit.extent == 1; });
  size_t digit = digits.size();
  for (size_t d = layout.shape.size(); d-- > 0;) {
    int64_t weight = 1;
    const Expr index = tile_cast(dtype, coordinate[d]);
    while (weight < layout.shape[d]) {
      const LayoutDigit& part = digits[--digit];
      if (part.axis == axis && part.stride > 0 && part.extent > 1) {
        Expr cut = weight > 1 ? floordiv(index, weight) : index;
        if (weight * part.extent < layout.shape[d])
          cut = floormod(cut, part.extent);
        value = value + cut * part.stride;
      }
      weight *= part.extent;
    }
  }
  if (std::string_view(axis) == kMemoryAxis && !layout.swizzle.empty())
    value = swizzled(value, layout.swizzle);
  return value;
}

Result<PrimFunc> apply_layouts(const PrimFunc& function) {
  TEMPER_TRY(body, Applying(function->body).run(function->body));
  return with_body(function, body);
}

} // namespace temper::tir
