#include "ir/script/value.h"

#include <algorithm>
#include <cmath>

namespace temper::script {

std::optional<double> as_double(const Value& value) {
  if (const auto* b = value.as<bool>())
    return *b ? 1 : 0;
  if (const auto* i = value.as<Int>())
    return static_cast<double>(*i);
  if (const auto* d = value.as<double>())
    return *d;
  return std::nullopt;
}

std::optional<Int> as_integer(const Value& value) {
  if (const auto* b = value.as<bool>())
    return *b ? 1 : 0;
  if (const auto* i = value.as<Int>())
    return *i;
  return std::nullopt;
}

namespace {

std::string float_repr(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char text[64];
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value)
      break;
  }
  std::string result = text;
  if (result.find_first_of(".en") == std::string::npos)
    result += ".0";
  return result;
}

} // namespace

std::string decimal(Int value) {
  if (value == 0)
    return "0";
  const bool negative = value < 0;
  std::string digits;
  for (; value != 0; value /= 10)
    digits += static_cast<char>('0' + std::abs(static_cast<int>(value % 10)));
  if (negative)
    digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string repr(const Value& value) {
  if (value.is<None>())
    return "None";
  if (const auto* b = value.as<bool>())
    return *b ? "True" : "False";
  if (const auto* i = value.as<Int>())
    return decimal(*i);
  if (const auto* d = value.as<double>())
    return float_repr(*d);
  if (const auto* text = value.text())
    return "'" + *text + "'";
  if (const auto* sequence = value.as<Sequence>()) {
    std::string text = sequence->is_tuple ? "(" : "[";
    for (size_t i = 0; i < sequence->items->size(); ++i) {
      if (i > 0)
        text += ", ";
      if (i == 20) {
        text += "...";
        break;
      }
      const Value& item = (*sequence->items)[i];
      text += item.is<Sequence>() || item.is<Dict>() ? "..." : repr(item);
    }
    if (sequence->is_tuple && sequence->items->size() == 1)
      text += ",";
    return text + (sequence->is_tuple ? ")" : "]");
  }
  if (const auto* type = value.as<TypeName>())
    return temper::to_string(type->dtype);
  return describe(value);
}

std::string describe(const Value& value) {
  struct Visitor {
    std::string operator()(const Poison&) const { return "a broken value"; }
    std::string operator()(const None&) const { return "None"; }
    std::string operator()(bool) const { return "True or False"; }
    std::string operator()(const Int& i) const { return "the integer " + decimal(i); }
    std::string operator()(double d) const { return "the number " + float_repr(d); }
    std::string operator()(const Text& text) const {
      return "the string \"" + text.text->substr(0, 40) + "\"";
    }
    std::string operator()(const Sequence& s) const { return s.is_tuple ? "a tuple" : "a list"; }
    std::string operator()(const Dict&) const { return "a dict"; }
    std::string operator()(const Expr& expr) const {
      if (const auto* var = expr.as<VarNode>())
        return "the " + temper::to_string(expr->dtype) + " variable " + var->name;
      return "an expression of type " + temper::to_string(expr->dtype);
    }
    std::string operator()(const Buffer& buffer) const { return "the buffer " + buffer->name; }
    std::string operator()(const ScalarVar& scalar) const {
      return "the " + temper::to_string(scalar.buffer->dtype) + " scalar " + scalar.buffer->name;
    }
    std::string operator()(const Region& region) const {
      return "a region of " + region.buffer->name;
    }
    std::string operator()(const TypeName& type) const {
      return "the type " + temper::to_string(type.dtype);
    }
    std::string operator()(const Builtin& builtin) const {
      return std::string("the function ") + builtin.name;
    }
    std::string operator()(const Closure* closure) const {
      return closure->def != nullptr ? "the function " + closure->def->name : "a lambda";
    }
    std::string operator()(const Namespace&) const { return "a module of Python names"; }
    std::string operator()(const RangeValue&) const { return "a range"; }
    std::string operator()(const SliceValue&) const { return "a slice"; }
    std::string operator()(const std::shared_ptr<const BufferType>&) const {
      return "a buffer type";
    }
    std::string operator()(const LetType&) const { return "T.let"; }
    std::string operator()(const Symbol& symbol) const { return "the dimension " + symbol.name; }
    std::string operator()(const std::shared_ptr<const LoopSpec>&) const { return "a loop"; }
    std::string operator()(const s_tir::IterVar& axis) const {
      return "the axis " + axis.var->name;
    }
    std::string operator()(const ContextSpec& context) const {
      if (context.block)
        return "the block " + context.name;
      return context.kind == ContextSpec::Kind::kBlock    ? "T.sblock"
             : context.kind == ContextSpec::Kind::kKernel ? "T.Kernel"
             : context.kind == ContextSpec::Kind::kRole   ? "T.ws"
                                                          : "T.init";
    }
    std::string operator()(const Decorator&) const { return "a decorator"; }
    std::string operator()(const Tunable&) const { return "T.tune"; }
    std::string operator()(const PrimFunc& function) const {
      return "the prim_func " + (function ? function->name : std::string());
    }
    std::string operator()(const IRModule&) const { return "a module"; }
    std::string operator()(const std::shared_ptr<ScheduleValue>&) const { return "a schedule"; }
    std::string operator()(const s_tir::Rv& rv) const {
      return (rv.kind == s_tir::RvKind::kBlock  ? "the block "
              : rv.kind == s_tir::RvKind::kLoop ? "the loop "
                                                : "the sampled value ") +
             rv.name();
    }
  };
  return std::visit(Visitor(), value.data);
}

} // namespace temper::script
