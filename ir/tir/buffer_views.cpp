// Dimensions of view and buffer are matched from the last one on: a group of the view's goes with a
// group of the buffer's of the same size, so that indices stay as they are where they can.
#include "ir/tir/buffer_views.h"

#include "ir/op.h"
#include "ir/tir/spans.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <optional>

namespace temper::tir {
namespace {

/// Dimensions [first, last) of each, of the same size.
struct Group {
  size_t view_first, view_last, buffer_first, buffer_last;
};

std::vector<int64_t> shape_of(const Buffer& buffer) {
  std::vector<int64_t> shape;
  for (const Expr& extent : buffer->shape)
    shape.push_back(as_int(extent).value_or(0));
  return shape;
}

/// The last dimensions first.
std::vector<Group> groups_of(const std::vector<int64_t>& view, const std::vector<int64_t>& buffer) {
  std::vector<Group> groups;
  size_t v = view.size(), b = buffer.size();
  while (v > 0 || b > 0) {
    Group group{v, v, b, b};
    int64_t sizes[2] = {1, 1};
    do {
      if (group.view_first > 0 && (sizes[0] <= sizes[1] || group.buffer_first == 0))
        sizes[0] *= view[--group.view_first];
      else
        sizes[1] *= buffer[--group.buffer_first];
    } while (sizes[0] != sizes[1]);
    v = group.view_first;
    b = group.buffer_first;
    groups.push_back(group);
  }
  return groups;
}

class Resolving {
public:
  explicit Resolving(const BufferViews& views) : views_(views) {}

  Stmt rewrite(const Stmt& stmt) {
    return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
      if (const auto* call = node.as<TileCall>())
        return operation(*call);
      return access(node);
    }));
  }

private:
  const Buffer* behind(const Buffer& buffer) const {
    const auto found = views_.find(buffer.get());
    return found == views_.end() ? nullptr : &found->second;
  }

  NodeRef access(const NodeRef& node) {
    if (const auto* load = node.as<BufferLoad>())
      if (const Buffer* buffer = behind(load->buffer)) {
        Expr value = make_load(*buffer, indices_of(load->buffer, *buffer, load->indices));
        value->span = load->span;
        return (*buffer)->dtype == load->buffer->dtype
                   ? value
                   : make_call(load->buffer->dtype, "reinterpret", {value});
      }
    if (const auto* store = node.as<BufferStore>())
      if (const Buffer* buffer = behind(store->buffer)) {
        Stmt result = make_store(*buffer, indices_of(store->buffer, *buffer, store->indices),
                                 (*buffer)->dtype == store->buffer->dtype
                                     ? store->value
                                     : make_call((*buffer)->dtype, "reinterpret", {store->value}),
                                 store->predicate);
        result->span = store->span;
        return result;
      }
    return node;
  }

  static std::vector<Expr> indices_of(const Buffer& view, const Buffer& buffer,
                                      const std::vector<Expr>& indices) {
    const std::vector<int64_t> from = shape_of(view), to = shape_of(buffer);
    std::vector<Expr> result(to.size());
    for (const Group& group : groups_of(from, to)) {
      Expr number;
      for (size_t d = group.view_first; d < group.view_last; ++d) {
        if (number)
          number = number * from[d];
        if (from[d] > 1)
          number = number ? number + indices[d] : indices[d];
      }
      if (!number)
        number = make_int(DataType::int32(), 0);
      int64_t weight = 1;
      for (size_t d = group.buffer_last; d-- > group.buffer_first;) {
        Expr index = weight > 1 ? floordiv(number, weight) : number;
        weight *= to[d];
        if (d > group.buffer_first)
          index = to[d] > 1 ? floormod(index, to[d]) : make_int(number->dtype, 0);
        result[d] = index;
      }
    }
    return result;
  }

  /// The region behind; nothing where it is none.
  static std::optional<BufferRegion> region_of(const BufferRegion& region, const Buffer& buffer) {
    if (region.buffer->dtype != buffer->dtype)
      return std::nullopt;
    const std::vector<int64_t> from = shape_of(region.buffer), to = shape_of(buffer);
    BufferRegion result{buffer, std::vector<Range>(to.size())};
    for (const Group& group : groups_of(from, to)) {
      const auto one = [](const std::vector<int64_t>& shape, size_t first, size_t last) {
        size_t found = last;
        for (size_t d = first; d < last; ++d)
          if (shape[d] > 1) {
            if (found != last)
              return last + 1; // several
            found = d;
          }
        return found;
      };
      const size_t v = one(from, group.view_first, group.view_last);
      const size_t b = one(to, group.buffer_first, group.buffer_last);
      if (v > group.view_last || b > group.buffer_last)
        return std::nullopt;
      const DataType index = DataType::int32();
      for (size_t d = group.buffer_first; d < group.buffer_last; ++d)
        result.region[d] =
            d == b ? region.region[v] : Range{make_int(index, 0), make_int(index, 1)};
    }
    return result;
  }

  NodeRef operation(const TileCall& call) {
    bool any = false;
    bool regions = true;
    std::vector<BufferRegion> behind_them = call.regions;
    for (BufferRegion& region : behind_them)
      if (const Buffer* buffer = behind(region.buffer)) {
        any = true;
        auto found = region_of(region, *buffer);
        regions &= found.has_value();
        if (found)
          region = std::move(*found);
      }
    if (!any)
      return NodeRef(&call);
    if (regions)
      return copy_node(call, [&](TileCall& copy) { copy.regions = std::move(behind_them); });
    Stmt meaning = find_tile_op(call.op)->meaning(call);
    place_at(meaning, call.span);
    return rewrite(meaning);
  }

  const BufferViews& views_;
};

} // namespace

Result<void> check_view(const Buffer& view, const Buffer& buffer) {
  const auto no = [](std::string why) {
    return Error(ErrorCode::kInvalidArgument, std::move(why));
  };
  const auto have = buffer->element_count(), want = view->element_count();
  if (!have || !want)
    return no("the shapes of a view and of what is behind it are constant");
  if (!buffer->strides.empty() || buffer->elem_offset)
    return no(buffer->name + " has strides of its own; index it as it is");
  if (view->dtype.bits != buffer->dtype.bits || buffer->dtype.bits < 8)
    return no(
        fmt::format("{} is {}, whose elements are no {}: a view keeps their width; copy with a "
                    "cast, or T.reinterpret each element",
                    buffer->name, to_string(buffer->dtype), to_string(view->dtype)));
  if (*have != *want)
    return no(fmt::format("{} has {} elements, the view {}", buffer->name, *have, *want));
  return {};
}

Stmt resolve_views(const Stmt& stmt, const BufferViews& views) {
  return views.empty() ? stmt : Resolving(views).rewrite(stmt);
}

} // namespace temper::tir
