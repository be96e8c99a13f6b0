// Layouts as Python text and as values in annotations.
#include "ir/op.h"
#include "ir/support/text.h"
#include "ir/tir/layout.h"

#include <fmt/format.h>

#include <cctype>

namespace temper::tir {
namespace {

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

constexpr const char* kUsage = "write T.Layout((64, 64), [(64, 64), (64, 1)]), digits as (extent, "
                               "stride) or (extent, stride, \"lane\")";

std::string tuple_text(std::span<const int64_t> values) {
  std::string text = "(";
  for (size_t i = 0; i < values.size(); ++i)
    text += (i > 0 ? ", " : "") + std::to_string(values[i]);
  return text + (values.size() == 1 ? ",)" : ")");
}

std::string digits_text(const std::vector<LayoutDigit>& digits) {
  std::string text = "[";
  for (size_t i = 0; i < digits.size(); ++i) {
    text += fmt::format("{}({}, {}", i > 0 ? ", " : "", digits[i].extent, digits[i].stride);
    text += digits[i].axis == kMemoryAxis ? ")" : ", \"" + digits[i].axis + "\")";
  }
  return text + "]";
}

std::string swizzle_text(const XorSwizzle& swizzle) {
  return fmt::format("({}, {}, {})", swizzle.bits, swizzle.base, swizzle.shift);
}

/// A literal: a number, a string, or a tuple or list of literals.
struct Literal {
  enum class Kind : uint8_t { kInt, kString, kSequence } kind = Kind::kInt;
  int64_t number = 0;
  std::string text;
  std::vector<Literal> items;
};

class Reader {
public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Layout> layout() {
    skip();
    if (text_.substr(at_).starts_with("T."))
      at_ += 2;
    const std::string name = word();
    if (name != "Layout" && name != "Fragment")
      return fail("expected T.Layout or T.Fragment");
    if (!take('('))
      return fail("expected '('");
    std::vector<std::pair<std::string, Literal>> arguments;
    static constexpr const char* kOrder[] = {"shape", "digits"};
    while (!take(')')) {
      skip();
      std::string key;
      if (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) {
        key = word();
        if (!take('='))
          return fail("expected '=' after " + key);
      } else if (arguments.size() < 2) {
        key = kOrder[arguments.size()];
      } else {
        return fail("arguments after the digits are given by name");
      }
      TEMPER_TRY(value, literal(0));
      arguments.emplace_back(std::move(key), std::move(value));
      if (!take(',') && !peek(')'))
        return fail("expected ',' or ')'");
    }
    skip();
    if (at_ != text_.size())
      return fail("expected nothing after the layout");
    return build(arguments);
  }

private:
  Error fail(const std::string& what) const {
    return bad(fmt::format("{} at column {} of the layout; {}", what, at_ + 1, kUsage));
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
      ++at_;
  }
  bool peek(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool take(char c) {
    if (!peek(c))
      return false;
    ++at_;
    return true;
  }
  std::string word() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<Literal> literal(int depth) {
    if (depth > 4)
      return fail("too many brackets");
    skip();
    if (at_ >= text_.size())
      return fail("the text ends");
    Literal value;
    const char c = text_[at_];
    if (c == '(' || c == '[') {
      ++at_;
      value.kind = Literal::Kind::kSequence;
      const char end = c == '(' ? ')' : ']';
      while (!take(end)) {
        TEMPER_TRY(item, literal(depth + 1));
        value.items.push_back(std::move(item));
        if (!take(',') && !peek(end))
          return fail("expected ',' or a closing bracket");
      }
      return value;
    }
    if (c == '"' || c == '\'') {
      const size_t end = text_.find(c, at_ + 1);
      if (end == std::string_view::npos)
        return fail("a string does not end");
      value.kind = Literal::Kind::kString;
      value.text = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
      return value;
    }
    const bool negative = take('-');
    const std::string digits = word();
    if (digits.empty() || digits.size() > 15 ||
        digits.find_first_not_of("0123456789") != std::string::npos)
      return fail("expected a number, a string, a tuple or a list");
    value.number = std::stoll(digits) * (negative ? -1 : 1);
    return value;
  }

  static Result<std::vector<int64_t>> numbers(const Literal& value, const std::string& what) {
    std::vector<int64_t> list;
    if (value.kind == Literal::Kind::kSequence)
      for (const Literal& item : value.items)
        if (item.kind == Literal::Kind::kInt)
          list.push_back(item.number);
    if (value.kind != Literal::Kind::kSequence || list.size() != value.items.size())
      return bad(what + " of a layout is a tuple of numbers; " + kUsage);
    return list;
  }

  static Result<std::vector<LayoutDigit>> digits(const Literal& value, const std::string& what) {
    std::vector<LayoutDigit> list;
    const Error error = bad(what +
                            " of a layout are a list of (extent, stride) or (extent, "
                            "stride, \"axis\"); " +
                            kUsage);
    if (value.kind != Literal::Kind::kSequence)
      return error;
    for (const Literal& item : value.items) {
      const auto& parts = item.items;
      if (parts.size() < 2 || parts.size() > 3 || parts[0].kind != Literal::Kind::kInt ||
          parts[1].kind != Literal::Kind::kInt ||
          (parts.size() == 3 && parts[2].kind != Literal::Kind::kString))
        return error;
      list.push_back({parts[0].number, parts[1].number,
                      parts.size() == 3 ? parts[2].text : std::string(kMemoryAxis)});
    }
    return list;
  }

  static Result<XorSwizzle> swizzle(const Literal& value, const std::string& what) {
    TEMPER_TRY(list, numbers(value, what));
    if (list.size() != 3)
      return bad("the " + what + " of a layout is (bits, base, shift)");
    return XorSwizzle{list[0], list[1], list[2]};
  }

  static Result<Layout> build(const std::vector<std::pair<std::string, Literal>>& arguments) {
    Layout layout;
    std::vector<std::string> seen;
    for (const auto& [key, value] : arguments) {
      if (std::find(seen.begin(), seen.end(), key) != seen.end())
        return bad("a layout has two arguments " + key);
      seen.push_back(key);
      if (key == "shape") {
        TEMPER_TRY(list, numbers(value, "the shape"));
        layout.shape = std::move(list);
      } else if (key == "digits" || key == "replicas") {
        TEMPER_TRY(list, digits(value, "the " + key));
        (key == "digits" ? layout.digits : layout.replicas) = std::move(list);
      } else if (key == "offsets") {
        for (const Literal& item : value.items) {
          const auto& parts = item.items;
          if (parts.empty() || parts.size() > 2 || parts[0].kind != Literal::Kind::kInt ||
              (parts.size() == 2 && parts[1].kind != Literal::Kind::kString))
            return bad("the offsets of a layout are a list of (value,) or (value, \"axis\")");
          layout.offsets.push_back(
              {parts[0].number, parts.size() == 2 ? parts[1].text : std::string(kMemoryAxis)});
        }
      } else if (key == "swizzle" || key == "input_swizzle") {
        TEMPER_TRY(parsed, swizzle(value, key));
        (key == "swizzle" ? layout.swizzle : layout.input_swizzle) = parsed;
      } else {
        return bad("a layout has no argument " + key +
                   "; it has shape, digits, replicas, offsets, swizzle and input_swizzle");
      }
    }
    if (std::find(seen.begin(), seen.end(), "digits") == seen.end())
      layout.digits = row_major(layout.shape).digits;
    TEMPER_TRY_VOID(verify_layout(layout));
    return layout;
  }

  std::string_view text_;
  size_t at_ = 0;
};

Expr number(int64_t value) { return make_int(DataType::int64(), value); }

Expr digits_expr(const std::vector<LayoutDigit>& digits) {
  std::vector<Expr> list;
  for (const LayoutDigit& digit : digits)
    list.push_back(
        make_list({number(digit.extent), number(digit.stride), make_string(digit.axis)}));
  return make_list(std::move(list));
}

Expr swizzle_expr(const XorSwizzle& swizzle) {
  return make_list({number(swizzle.bits), number(swizzle.base), number(swizzle.shift)});
}

Error broken() {
  return {ErrorCode::kCorrupt, "the operation Layout has arguments that are no layout"};
}

Result<std::vector<int64_t>> numbers_of(const Expr& expr, size_t count = 0) {
  const auto* list = expr.as<ListImm>();
  if (list == nullptr || (count > 0 && list->values.size() != count))
    return broken();
  std::vector<int64_t> values;
  for (const Expr& item : list->values) {
    const auto value = as_int(item);
    if (!value)
      return broken();
    values.push_back(*value);
  }
  return values;
}

Result<std::vector<LayoutDigit>> digits_of(const Expr& expr) {
  const auto* list = expr.as<ListImm>();
  if (list == nullptr)
    return broken();
  std::vector<LayoutDigit> digits;
  for (const Expr& item : list->values) {
    const auto* parts = item.as<ListImm>();
    if (parts == nullptr || parts->values.size() != 3)
      return broken();
    const auto extent = as_int(parts->values[0]);
    const auto stride = as_int(parts->values[1]);
    const auto* axis = parts->values[2].as<StringImm>();
    if (!extent || !stride || axis == nullptr)
      return broken();
    digits.push_back({*extent, *stride, axis->value});
  }
  return digits;
}

Result<XorSwizzle> swizzle_of(const Expr& expr) {
  TEMPER_TRY(values, numbers_of(expr, 3));
  return XorSwizzle{values[0], values[1], values[2]};
}

} // namespace

std::string to_text(const Layout& layout) {
  std::string text = layout.is_fragment() ? "T.Fragment(" : "T.Layout(";
  text += tuple_text(layout.shape) + ", " + digits_text(layout.digits);
  if (!layout.replicas.empty())
    text += ", replicas=" + digits_text(layout.replicas);
  if (!layout.offsets.empty()) {
    text += ", offsets=[";
    for (size_t i = 0; i < layout.offsets.size(); ++i) {
      const LayoutOffset& offset = layout.offsets[i];
      text += i > 0 ? ", " : "";
      text += offset.axis == kMemoryAxis ? fmt::format("({},)", offset.value)
                                         : fmt::format("({}, \"{}\")", offset.value, offset.axis);
    }
    text += "]";
  }
  if (!layout.swizzle.empty())
    text += ", swizzle=" + swizzle_text(layout.swizzle);
  if (!layout.input_swizzle.empty())
    text += ", input_swizzle=" + swizzle_text(layout.input_swizzle);
  return text + ")";
}

Result<Layout> parse_layout(std::string_view text) { return Reader(text).layout(); }

Expr to_expr(const Layout& layout) {
  std::vector<Expr> shape;
  for (const int64_t extent : layout.shape)
    shape.push_back(number(extent));
  std::vector<Expr> offsets;
  for (const LayoutOffset& offset : layout.offsets)
    offsets.push_back(make_list({number(offset.value), make_string(offset.axis)}));
  return make_call(DataType::handle(), "Layout",
                   {make_list(std::move(shape)), digits_expr(layout.digits),
                    digits_expr(layout.replicas), make_list(std::move(offsets)),
                    swizzle_expr(layout.swizzle), swizzle_expr(layout.input_swizzle)});
}

bool is_layout(const Expr& expr) {
  const auto* call = expr ? expr.as<Call>() : nullptr;
  return call != nullptr && call->op == "Layout";
}

Result<Layout> layout_of(const Expr& expr) {
  const auto* call = expr ? expr.as<Call>() : nullptr;
  if (call == nullptr || call->op != "Layout" || call->args.size() != 6)
    return broken();
  Layout layout;
  TEMPER_TRY(shape, numbers_of(call->args[0]));
  TEMPER_TRY(digits, digits_of(call->args[1]));
  TEMPER_TRY(replicas, digits_of(call->args[2]));
  const auto* offsets = call->args[3].as<ListImm>();
  if (offsets == nullptr)
    return broken();
  for (const Expr& item : offsets->values) {
    const auto* parts = item.as<ListImm>();
    const auto* axis =
        parts != nullptr && parts->values.size() == 2 ? parts->values[1].as<StringImm>() : nullptr;
    const auto value = axis != nullptr ? as_int(parts->values[0]) : std::nullopt;
    if (!value)
      return broken();
    layout.offsets.push_back({*value, axis->value});
  }
  TEMPER_TRY(swizzle, swizzle_of(call->args[4]));
  TEMPER_TRY(input_swizzle, swizzle_of(call->args[5]));
  layout.shape = std::move(shape);
  layout.digits = std::move(digits);
  layout.replicas = std::move(replicas);
  layout.swizzle = swizzle;
  layout.input_swizzle = input_swizzle;
  TEMPER_TRY_VOID(verify_layout(layout));
  return layout;
}

} // namespace temper::tir
