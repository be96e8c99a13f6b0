#include "ir/tir/tile_ops.h"

#include "ir/support/text.h"
#include "ir/tir/ops/ops.h"
#include "ir/tir/tile_dimensions.h"

#include <algorithm>

namespace temper::tir {
namespace {

const std::vector<const TileOp*>& registry() {
  static const std::vector<const TileOp*> ops = [] {
    std::vector<const TileOp*> list = ops::all();
    std::sort(list.begin(), list.end(),
              [](const TileOp* a, const TileOp* b) { return a->name < b->name; });
    return list;
  }();
  return ops;
}

Expr option_of(const TileCall& call, std::string_view name) {
  if (Expr given = call.options.get(name))
    return given;
  const TileOp* op = find_tile_op(call.op);
  TEMPER_CHECK(op != nullptr, "the operator is registered");
  for (const TileParameter& parameter : op->parameters)
    if (parameter.name == name)
      return parameter.default_value;
  TEMPER_UNREACHABLE("the operator has no such option");
}

} // namespace

const TileOp* find_tile_op(std::string_view name) {
  for (const TileOp* op : registry())
    if (op->name == name)
      return op;
  return nullptr;
}

std::span<const TileOp* const> all_tile_ops() { return registry(); }

std::vector<size_t> written_operands(const TileCall& call) {
  std::vector<size_t> result;
  const TileOp* op = find_tile_op(call.op);
  size_t region = 0;
  if (op == nullptr)
    while (region < call.regions.size())
      result.push_back(region++);
  else
    for (const TileParameter& parameter : op->parameters)
      if (is_region(parameter.type) && region++ < call.regions.size() &&
          parameter.type != TileParameterType::kRead)
        result.push_back(region - 1);
  return result;
}

bool flag_option(const TileCall& call, std::string_view name) {
  return as_int(option_of(call, name)).value_or(0) != 0;
}
int64_t integer_option(const TileCall& call, std::string_view name) {
  return as_int(option_of(call, name)).value_or(0);
}
std::string text_option(const TileCall& call, std::string_view name) {
  const Expr value = option_of(call, name);
  const auto* text = value ? value.as<StringImm>() : nullptr;
  return text != nullptr ? text->value : std::string();
}

Result<void> check_tile_call(const TileCall& call) {
  const TileOp* op = find_tile_op(call.op);
  if (op == nullptr) {
    std::vector<std::string> names;
    for (const TileOp* known : registry())
      names.push_back(known->name);
    const std::string nearest = nearest_name(call.op, names);
    return Error(ErrorCode::kInvalidArgument,
                 "there is no tile operator T." + call.op +
                     (nearest.empty() ? "" : "; did you mean T." + nearest + "?"));
  }
  size_t regions = 0;
  size_t values = 0;
  for (const TileParameter& parameter : op->parameters) {
    if (is_region(parameter.type)) {
      ++regions;
    } else if (parameter.type == TileParameterType::kValue) {
      ++values;
    } else if (const Expr given = call.options.get(parameter.name)) {
      const bool fits =
          parameter.type == TileParameterType::kText ? given.is<StringImm>() : given.is<IntImm>();
      if (!fits)
        return Error(ErrorCode::kInvalidArgument,
                     "T." + call.op + ": " + parameter.name +
                         (parameter.type == TileParameterType::kText      ? " is a string"
                          : parameter.type == TileParameterType::kInteger ? " is an integer"
                                                                          : " is True or False"));
      if (const auto* text = given.as<StringImm>();
          text != nullptr && !parameter.choices.empty() &&
          std::find(parameter.choices.begin(), parameter.choices.end(), text->value) ==
              parameter.choices.end())
        return Error(ErrorCode::kInvalidArgument,
                     "T." + call.op + ": " + parameter.name + " is one of " +
                         join(parameter.choices, ", ") + ", not '" + text->value + "'");
    }
  }
  if (call.regions.size() != regions || call.values.size() != values)
    return Error(ErrorCode::kInvalidArgument, "T." + call.op + " takes " + std::to_string(regions) +
                                                  " regions and " + std::to_string(values) +
                                                  " values, not " +
                                                  std::to_string(call.regions.size()) + " and " +
                                                  std::to_string(call.values.size()));
  for (const BufferRegion& region : call.regions)
    if (static_cast<int>(region.region.size()) != region.buffer->rank())
      return Error(ErrorCode::kInvalidArgument,
                   "T." + call.op + ": a region of " + region.buffer->name + " has " +
                       std::to_string(region.region.size()) + " dimensions, the buffer has " +
                       std::to_string(region.buffer->rank()));
  return op->check != nullptr ? op->check(call) : Result<void>();
}

std::string tile_text(const BufferRegion& region) {
  std::string text = region.buffer->name + "[";
  for (size_t i = 0; i < region.region.size(); ++i) {
    const auto extent = as_int(region.region[i].extent);
    text += (i > 0 ? ", " : "") + (extent ? std::to_string(*extent) : std::string("?"));
  }
  return text + "]";
}

std::vector<size_t> tile_dimensions(const BufferRegion& region, size_t rank) {
  std::vector<bool> taken;
  size_t count = 0;
  for (const Range& range : region.region) {
    taken.push_back(!is_int(range.extent, 1));
    count += taken.back() ? 1 : 0;
  }
  for (size_t d = taken.size(); d-- > 0 && count < rank;)
    if (!taken[d]) {
      taken[d] = true;
      ++count;
    }
  std::vector<size_t> dimensions;
  for (size_t d = 0; d < taken.size(); ++d)
    if (taken[d])
      dimensions.push_back(d);
  return dimensions;
}

std::vector<Expr> tile_indices(const BufferRegion& region, std::span<const Expr> indices) {
  std::vector<Expr> result;
  for (const Range& range : region.region)
    result.push_back(range.min);
  size_t next = 0;
  for (const size_t d : tile_dimensions(region, indices.size())) {
    TEMPER_CHECK(next < indices.size(), "an index for each extent of the tile");
    const Expr& first = region.region[d].min;
    Expr index = indices[next++];
    if (index->dtype != first->dtype) {
      const DataType wide = DataType::int64();
      index = make_cast(wide, index);
      result[d] = is_int(first, 0) ? index : make_cast(wide, first) + index;
    } else {
      result[d] = first + index;
    }
  }
  return result;
}

Expr tile_load(const BufferRegion& region, std::span<const Expr> indices) {
  return make_load(region.buffer, tile_indices(region, indices));
}
Stmt tile_store(const BufferRegion& region, std::span<const Expr> indices, Expr value) {
  return make_store(region.buffer, tile_indices(region, indices), std::move(value));
}

bool same_extent(const Expr& a, const Expr& b) {
  const auto x = as_int(a);
  const auto y = as_int(b);
  return x || y ? x && y && *x == *y : a == b;
}

TileLoops::TileLoops(const std::vector<Expr>& shape, std::string_view names) : extents(shape) {
  for (size_t d = 0; d < shape.size(); ++d) {
    vars.push_back(make_var(std::string(1, names[std::min(d, names.size() - 1)]), shape[d]->dtype));
    indices.emplace_back(vars.back());
  }
}

Stmt TileLoops::wrap(Stmt body, ForKind kind) const {
  for (size_t d = vars.size(); d-- > 0;)
    body = make_for(vars[d], make_int(extents[d]->dtype, 0), extents[d], kind, std::move(body));
  return body;
}

Expr tile_cast(DataType dtype, Expr value) {
  return value->dtype == dtype ? value : make_cast(dtype, std::move(value));
}

} // namespace temper::tir
