#include "ir/s_tir/trace.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

std::string Rv::name() const {
  constexpr char kLetters[] = {'b', 'l', 'v'};
  return fmt::format("{}{}", kLetters[static_cast<size_t>(kind)], index);
}

void Trace::append(Instruction instruction) {
  append(std::make_shared<const Instruction>(std::move(instruction)));
}

void Trace::append(std::shared_ptr<const Instruction> instruction) {
  for (const Rv& rv : instruction->outputs) {
    TEMPER_CHECK(rv.index == rv_count_, "outputs are numbered on from the last one");
    ++rv_count_;
  }
  instructions_.push_back(std::move(instruction));
}

bool Trace::operator==(const Trace& other) const {
  return std::equal(instructions_.begin(), instructions_.end(), other.instructions_.begin(),
                    other.instructions_.end(),
                    [](const auto& a, const auto& b) { return a == b || *a == *b; });
}

Error unknown_primitive(std::string_view name) {
  std::vector<std::string> names;
  for (const Primitive* primitive : all_primitives()) {
    names.push_back(primitive->name);
    names.push_back(primitive->python_name);
  }
  const std::string nearest = nearest_name(name, names);
  return Error(ErrorCode::kNotFound,
               fmt::format("there is no schedule primitive \"{}\"{}", name,
                           nearest.empty() ? "; PRIMITIVES.md lists them"
                                           : fmt::format("; did you mean \"{}\"?", nearest)));
}

namespace {

const char* kind_words(ValueKind kind) {
  switch (kind) {
  case ValueKind::kBlock:
    return "a block";
  case ValueKind::kLoop:
    return "a loop";
  case ValueKind::kBlockOrLoop:
    return "a block or a loop";
  case ValueKind::kInt:
    return "an integer";
  case ValueKind::kIntOrNone:
    return "an integer or None";
  case ValueKind::kBool:
    return "True or False";
  case ValueKind::kString:
    return "a string";
  case ValueKind::kAny:
    return "a number, a string or a list";
  case ValueKind::kIntList:
    return "a list of integers";
  case ValueKind::kFloatList:
    return "a list of numbers";
  case ValueKind::kBlockList:
    return "a list of blocks";
  case ValueKind::kLoopList:
    return "a list of loops";
  }
  TEMPER_UNREACHABLE("all kinds are listed");
}

bool is_rv(const Operand& operand, RvKind kind) {
  const Rv* rv = operand.as_rv();
  return rv != nullptr && rv->kind == kind;
}

template <typename Item, typename List> bool all_of(const List* list, Item&& item) {
  return list != nullptr && std::all_of(list->begin(), list->end(), item);
}

bool fits(const Operand& operand, ValueKind kind) {
  const bool integer =
      std::holds_alternative<int64_t>(operand.data) || is_rv(operand, RvKind::kExpr);
  switch (kind) {
  case ValueKind::kBlock:
    return is_rv(operand, RvKind::kBlock);
  case ValueKind::kLoop:
    return is_rv(operand, RvKind::kLoop);
  case ValueKind::kBlockOrLoop:
    return is_rv(operand, RvKind::kBlock) || is_rv(operand, RvKind::kLoop);
  case ValueKind::kInt:
  case ValueKind::kBool:
    return integer;
  case ValueKind::kIntOrNone:
    return integer || operand.is_none();
  case ValueKind::kString:
    return std::holds_alternative<std::string>(operand.data);
  case ValueKind::kAny:
    return !operand.is_none() && !is_rv(operand, RvKind::kBlock) && !is_rv(operand, RvKind::kLoop);
  case ValueKind::kIntList:
  case ValueKind::kFloatList:
    return all_of(operand.as_list(),
                  [](const Operand& item) { return fits(item, ValueKind::kInt); });
  case ValueKind::kBlockList:
    return all_of(operand.as_list(),
                  [](const Operand& item) { return fits(item, ValueKind::kBlock); });
  case ValueKind::kLoopList:
    return all_of(operand.as_list(),
                  [](const Operand& item) { return fits(item, ValueKind::kLoop); });
  }
  return false;
}

bool fits(const Value& value, ValueKind kind) {
  switch (kind) {
  case ValueKind::kInt:
    return value.as_int() != nullptr;
  case ValueKind::kBool:
    return value.as_int() != nullptr && (*value.as_int() == 0 || *value.as_int() == 1);
  case ValueKind::kIntOrNone:
    return value.as_int() != nullptr || value.is_none();
  case ValueKind::kString:
    return value.as_string() != nullptr;
  case ValueKind::kAny:
    return !value.is_none();
  case ValueKind::kIntList:
    return all_of(value.as_list(), [](const Value& item) { return item.as_int() != nullptr; });
  case ValueKind::kFloatList:
    return all_of(value.as_list(), [](const Value& item) {
      return item.as_double() != nullptr || item.as_int() != nullptr;
    });
  default:
    return false; // handles are inputs
  }
}

Error wrong_argument(const Primitive& primitive, std::string what) {
  return Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}", primitive.python_name, what));
}

} // namespace

Result<void> complete_arguments(const Primitive& primitive, const std::vector<Operand>& inputs,
                                std::vector<Value>& attrs) {
  const bool variadic = !primitive.inputs.empty() && primitive.inputs.back().variadic;
  const size_t fixed = primitive.inputs.size() - (variadic ? 1 : 0);
  if (inputs.size() < fixed + (variadic ? 1 : 0) || (!variadic && inputs.size() > fixed))
    return wrong_argument(primitive, fmt::format("takes {}{} inputs, not {}",
                                                 variadic ? "at least " : "",
                                                 fixed + (variadic ? 1 : 0), inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Parameter& parameter = primitive.inputs[std::min(i, primitive.inputs.size() - 1)];
    if (!fits(inputs[i], parameter.kind))
      return wrong_argument(primitive, fmt::format("\"{}\" must be {}", parameter.name,
                                                   kind_words(parameter.kind)));
  }
  if (attrs.size() > primitive.attrs.size())
    return wrong_argument(primitive, fmt::format("takes {} attributes, not {}",
                                                 primitive.attrs.size(), attrs.size()));
  for (size_t i = attrs.size(); i < primitive.attrs.size(); ++i) {
    if (!primitive.attrs[i].default_value)
      return wrong_argument(primitive, fmt::format("\"{}\" is missing", primitive.attrs[i].name));
    attrs.push_back(*primitive.attrs[i].default_value);
  }
  for (size_t i = 0; i < attrs.size(); ++i) {
    const Parameter& parameter = primitive.attrs[i];
    if (!fits(attrs[i], parameter.kind))
      return wrong_argument(primitive, fmt::format("\"{}\" must be {}", parameter.name,
                                                   kind_words(parameter.kind)));
    if (const auto* number = attrs[i].as_int(); number != nullptr && parameter.domain)
      if (*number < parameter.domain->first || *number > parameter.domain->second)
        return wrong_argument(primitive, fmt::format("\"{}\" must be from {} to {}, not {}",
                                                     parameter.name, parameter.domain->first,
                                                     parameter.domain->second, *number));
  }
  return {};
}

} // namespace temper::s_tir
