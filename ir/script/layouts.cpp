#include "ir/script/layouts.h"

#include "ir/tir/fragments.h"

namespace temper::script {
namespace {

std::optional<int64_t> number(const Value& value) {
  if (const auto* constant = value.as<Int>())
    if (*constant >= -(Int{1} << 60) && *constant <= Int{1} << 60)
      return static_cast<int64_t>(*constant);
  if (const auto* expr = value.as<Expr>())
    return as_int(*expr);
  return std::nullopt;
}

std::optional<std::vector<int64_t>> numbers(const Value& value) {
  std::vector<int64_t> list;
  if (const auto single = number(value))
    return std::vector{*single};
  const auto* items = value.sequence();
  if (items == nullptr)
    return std::nullopt;
  for (const Value& item : *items) {
    const auto one = number(item);
    if (!one)
      return std::nullopt;
    list.push_back(*one);
  }
  return list;
}

std::optional<std::vector<tir::LayoutDigit>> digits(const Value& value) {
  const auto* items = value.sequence();
  if (items == nullptr)
    return std::nullopt;
  std::vector<tir::LayoutDigit> list;
  for (const Value& item : *items) {
    const auto* parts = item.sequence();
    if (parts == nullptr || parts->size() < 2 || parts->size() > 3)
      return std::nullopt;
    const auto extent = number((*parts)[0]);
    const auto stride = number((*parts)[1]);
    const std::string* axis = parts->size() == 3 ? (*parts)[2].text() : nullptr;
    if (!extent || !stride || (parts->size() == 3 && axis == nullptr))
      return std::nullopt;
    list.push_back({*extent, *stride, axis != nullptr ? *axis : std::string(tir::kMemoryAxis)});
  }
  return list;
}

/// What a lambda does with each coordinate: a physical index, or (thread, register).
std::optional<tir::Layout> layout_of_lambda(Evaluator& evaluator, const Value& function,
                                            std::vector<int64_t> shape, bool fragment,
                                            Position position) {
  int64_t size = 1;
  for (const int64_t extent : shape)
    if (extent < 1 || __builtin_mul_overflow(size, extent, &size) || size > 1 << 20) {
      evaluator.report(position, "a layout by a lambda has positive extents, up to 2^20 elements");
      return std::nullopt;
    }
  std::vector<std::vector<int64_t>> results;
  for (int64_t i = 0; i < size; ++i) {
    CallArguments call;
    call.position = position;
    for (const int64_t index : tir::coordinate_of(shape, i)) {
      call.positional.emplace_back(static_cast<Int>(index));
      call.positions.push_back(position);
    }
    const Value result = evaluator.call(function, call);
    if (result.is_poison())
      return std::nullopt;
    auto values = numbers(result);
    if (!values || values->empty() || (fragment && values->size() != 2) ||
        (!results.empty() && results[0].size() != values->size())) {
      evaluator.report(position, fragment ? "the lambda of a fragment returns (thread, register), "
                                            "numbers that follow from the coordinate"
                                          : "the lambda of a layout returns the physical index, as "
                                            "[i // 8, j, i % 8], numbers that follow from the "
                                            "coordinate");
      return std::nullopt;
    }
    results.push_back(*std::move(values));
  }
  std::vector<int64_t> extents(results[0].size(), 1);
  for (const auto& values : results)
    for (size_t d = 0; d < values.size(); ++d)
      extents[d] = std::max(extents[d], values[d] + 1);
  const std::vector<std::string> axes =
      fragment ? std::vector<std::string>{tir::kThreadAxis, tir::kMemoryAxis}
               : std::vector<std::string>{tir::kMemoryAxis};
  auto layout =
      tir::layout_of_map(shape, axes, [&](std::span<const int64_t> at, std::span<int64_t> values) {
        const auto& result = results[static_cast<size_t>(tir::number_of(shape, at))];
        if (fragment) {
          values[0] = result[0];
          values[1] = result[1];
        } else {
          values[0] = tir::number_of(extents, result);
        }
      });
  if (!layout) {
    evaluator.report(position, layout.error().message);
    return std::nullopt;
  }
  return *std::move(layout);
}

} // namespace

Value layout_value(Evaluator& evaluator, CallArguments& call) {
  const std::string name = call.callee->name;
  const bool fragment = name == "T.Fragment";
  ArgReader args(evaluator, call,
                 {"shape", "digits", "replicas", "offsets", "swizzle", "input_swizzle",
                  "forward_fn", "replicate"},
                 1);
  if (!args.ok())
    return Poison{};
  const auto wrong = [&](size_t index, const char* what) {
    return evaluator.report(args.where(index), name + ": " + what);
  };
  tir::Layout layout;
  const auto shape = numbers(args[0]);
  if (!shape)
    return wrong(0, "the shape is a tuple of numbers, as (64, 64)");
  const size_t map = args.has(6) ? 6 : 1;
  if (args.has(map) && args[map].is<const Closure*>()) {
    auto found = layout_of_lambda(evaluator, args[map], *shape, fragment, args.where(map));
    if (!found)
      return Poison{};
    layout = *std::move(found);
  } else {
    layout.shape = *shape;
    if (args.has(1)) {
      auto list = digits(args[1]);
      if (!list)
        return wrong(1, "digits are a list of (extent, stride) or (extent, stride, \"lane\"), or a "
                        "lambda from the coordinate");
      layout.digits = *std::move(list);
    } else {
      layout.digits = tir::row_major(layout.shape).digits;
    }
  }
  if (args.has(2)) {
    auto list = digits(args[2]);
    if (!list)
      return wrong(2, "replicas are a list of (extent, stride, \"lane\")");
    layout.replicas = *std::move(list);
  }
  if (args.has(3)) {
    const auto* items = args[3].sequence();
    for (size_t i = 0; items != nullptr && i < items->size(); ++i) {
      const auto* parts = (*items)[i].sequence();
      const auto value = parts != nullptr && !parts->empty() ? number((*parts)[0]) : std::nullopt;
      const std::string* axis =
          parts != nullptr && parts->size() == 2 ? (*parts)[1].text() : nullptr;
      if (!value || parts->size() > 2 || (parts->size() == 2 && axis == nullptr))
        return wrong(3, "offsets are a list of (value,) or (value, \"axis\")");
      layout.offsets.push_back({*value, axis != nullptr ? *axis : std::string(tir::kMemoryAxis)});
    }
    if (items == nullptr)
      return wrong(3, "offsets are a list of (value,) or (value, \"axis\")");
  }
  for (const size_t index : {size_t{4}, size_t{5}}) {
    if (!args.has(index))
      continue;
    const auto list = numbers(args[index]);
    if (!list || list->size() != 3)
      return wrong(index, "a swizzle is (bits, base, shift)");
    (index == 4 ? layout.swizzle : layout.input_swizzle) = {(*list)[0], (*list)[1], (*list)[2]};
  }
  if (auto good = tir::verify_layout(layout); !good)
    return evaluator.report(call.position, name + ": " + good.error().message);
  if (args.has(7)) {
    const auto count = number(args[7]);
    if (!count || *count < 1)
      return wrong(7, "replicate is how often each element is held");
    if (*count > 1)
      layout = tir::replicate(layout, tir::kThreadAxis, *count);
  }
  return Value(tir::to_expr(layout));
}

Value hardware_fragment_value(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"name"}, 1);
  if (!args.ok())
    return Poison{};
  const std::string* name = args[0].text();
  if (name == nullptr)
    return evaluator.report(args.where(0), "a hardware fragment is named by text, as "
                                           "\"mma.m16n8k16.A\"");
  auto layout = tir::hardware_fragment(*name);
  if (!layout)
    return evaluator.report(args.where(0), layout.error().message);
  return Value(tir::to_expr(*layout));
}

Value swizzled_layout_value(Evaluator& evaluator, CallArguments& call) {
  ArgReader args(evaluator, call, {"buffer"}, 1);
  if (!args.ok())
    return Poison{};
  const auto* buffer = args[0].as<Buffer>();
  std::vector<int64_t> shape;
  if (buffer != nullptr)
    for (const Expr& extent : (*buffer)->shape)
      if (const auto value = as_int(extent))
        shape.push_back(*value);
  if (buffer == nullptr || shape.size() != (*buffer)->shape.size() || shape.size() < 2)
    return evaluator.report(args.where(0), "T.make_swizzled_layout takes a buffer of two or more "
                                           "constant dimensions");
  const int bits = (*buffer)->dtype.bits;
  const int64_t columns = shape.back();
  const int64_t rows = shape[shape.size() - 2];
  auto matrix = tir::swizzled_tile(rows, columns, bits, tir::widest_swizzle(columns, bits));
  if (!matrix)
    return evaluator.report(call.position, matrix.error().message);
  // Further dimensions are tiles one behind the other.
  tir::Layout layout = *std::move(matrix);
  for (size_t d = shape.size() - 2; d-- > 0;) {
    layout.digits.insert(layout.digits.begin(),
                         {shape[d], layout.span(tir::kMemoryAxis), tir::kMemoryAxis});
    layout.shape.insert(layout.shape.begin(), shape[d]);
  }
  return Value(tir::to_expr(tir::canonical(layout)));
}

} // namespace temper::script
