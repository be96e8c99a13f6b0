#include "ir/s_tir/primitives_reference.h"

#include "ir/s_tir/primitive.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

const char* kind_word(ValueKind kind) {
  switch (kind) {
  case ValueKind::kBlock:
    return "block";
  case ValueKind::kLoop:
    return "loop";
  case ValueKind::kBlockOrLoop:
    return "block or loop";
  case ValueKind::kInt:
    return "int";
  case ValueKind::kIntOrNone:
    return "int or None";
  case ValueKind::kBool:
    return "bool";
  case ValueKind::kString:
    return "str";
  case ValueKind::kIndexMap:
    return "index map";
  case ValueKind::kAny:
    return "int, float, str or list";
  case ValueKind::kIntList:
    return "list of int";
  case ValueKind::kFloatList:
    return "list of float";
  case ValueKind::kBlockList:
    return "list of blocks";
  case ValueKind::kLoopList:
    return "list of loops";
  }
  TEMPER_UNREACHABLE("all kinds are listed");
}

std::string literal(const Value& value, ValueKind kind) {
  if (value.is_none())
    return "None";
  if (const auto* number = value.as_int())
    return kind == ValueKind::kBool ? (*number != 0 ? "True" : "False")
                                    : fmt::format("{}", *number);
  if (const auto* real = value.as_double())
    return fmt::format("{}", *real);
  if (const auto* text = value.as_string())
    return fmt::format("\"{}\"", *text);
  return "[]";
}

} // namespace

std::string signature_of(const Primitive& primitive) {
  std::vector<const Parameter*> order;
  for (const auto* list : {&primitive.inputs, &primitive.attrs})
    for (const Parameter& parameter : *list)
      order.push_back(&parameter);
  if (!primitive.python_order.empty())
    std::stable_sort(order.begin(), order.end(), [&](const Parameter* a, const Parameter* b) {
      auto place = [&](const Parameter* parameter) {
        return std::find(primitive.python_order.begin(), primitive.python_order.end(),
                         parameter->name);
      };
      return place(a) < place(b);
    });
  std::vector<std::string> parameters;
  for (const Parameter* parameter : order) {
    const bool loops = parameter->variadic && parameter->kind == ValueKind::kLoop;
    std::string text = loops ? "*" + parameter->name : parameter->name;
    text += fmt::format(": {}", parameter->variadic && !loops
                                    ? fmt::format("list of ({})", kind_word(parameter->kind))
                                    : kind_word(parameter->kind));
    if (parameter->default_value)
      text += fmt::format(" = {}", literal(*parameter->default_value, parameter->kind));
    parameters.push_back(std::move(text));
  }
  if (primitive.has_decision)
    parameters.emplace_back("decision = None");
  std::string result = "None";
  if (primitive.variadic_output) {
    result = fmt::format("list of {}", kind_word(primitive.outputs[0]));
    if (primitive.outputs[0] == ValueKind::kBlock || primitive.outputs[0] == ValueKind::kLoop)
      result += "s";
  } else if (!primitive.outputs.empty()) {
    std::vector<std::string> words;
    for (const ValueKind output : primitive.outputs)
      words.push_back(kind_word(output));
    result = join(words, ", ");
  }
  return fmt::format("{}({}) -> {}", primitive.python_name, join(parameters, ", "), result);
}

std::string primitives_reference() {
  std::string out =
      "# Schedule primitives\n"
      "\n"
      "Generated from the registry (`ir/s_tir/primitives/`); a test keeps it fresh, and\n"
      "`TEMPER_UPDATE_GOLDEN=1 s_tir_tests` rewrites it. Names in parentheses are those of "
      "traces.\n";
  for (const Primitive* primitive : all_primitives()) {
    fmt::format_to(std::back_inserter(out), "\n## {} ({})\n\n```\n{}\n```\n\n",
                   primitive->python_name, primitive->name, signature_of(*primitive));
    // Indented lines of a summary are an example.
    bool code = false;
    for (const std::string& line : split_text(primitive->summary, '\n')) {
      const bool indented = line.starts_with("    ");
      if (indented != code && (indented || !line.empty())) {
        out += "```\n";
        code = indented;
      }
      out += (indented ? line.substr(4) : line) + "\n";
    }
    if (code)
      out += "```\n";
  }
  return out;
}

} // namespace temper::s_tir
