#include "ir/s_tir/trace.h"

#include "ir/s_tir/primitives/tile_decision.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

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

Trace Trace::prefix(size_t count) const {
  Trace result;
  for (size_t i = 0; i < std::min(count, size()); ++i)
    result.append(instructions_[i]);
  return result;
}

Trace Trace::without_postproc() const {
  static const Primitive* const kMark = find_primitive("EnterPostproc");
  size_t count = 0;
  while (count < size() && instructions_[count]->primitive != kMark)
    ++count;
  return prefix(count);
}

Trace Trace::with_decision(size_t index, Value decision) const {
  TEMPER_CHECK(index < size() && instructions_[index]->primitive->has_decision,
               "this instruction takes no decision");
  Instruction changed = *instructions_[index];
  changed.decision = std::move(decision);
  Trace result = *this;
  result.instructions_[index] = std::make_shared<const Instruction>(std::move(changed));
  return result;
}

Trace Trace::without_decisions() const {
  Trace result = *this;
  for (size_t i = 0; i < size(); ++i)
    if (!instructions_[i]->decision.is_none())
      result = result.with_decision(i, {});
  return result;
}

namespace {

uint64_t hash_value(const Value& value) {
  return std::visit(
      Overloaded{[](std::monostate) -> uint64_t { return 0; },
                 [](int64_t number) { return hash_combine(1, static_cast<uint64_t>(number)); },
                 [](double number) { return hash_combine(2, std::bit_cast<uint64_t>(number)); },
                 [](const std::string& text) { return hash_combine(3, hash_bytes(text)); },
                 [](const Value::List& list) {
                   uint64_t hash = 4;
                   for (const Value& item : list)
                     hash = hash_combine(hash, hash_value(item));
                   return hash_combine(hash, list.size());
                 },
                 [](const auto&) -> uint64_t { TEMPER_UNREACHABLE("traces hold no handles"); }},
      value.data);
}

uint64_t hash_operand(const Operand& operand) {
  return std::visit(
      Overloaded{[](Rv rv) { return hash_combine(5 + static_cast<uint64_t>(rv.kind), rv.index); },
                 [](const Operand::List& list) {
                   uint64_t hash = 4;
                   for (const Operand& item : list)
                     hash = hash_combine(hash, hash_operand(item));
                   return hash_combine(hash, list.size());
                 },
                 [](std::monostate) -> uint64_t { return 0; },
                 [](const auto& value) { return hash_value(Value(value)); }},
      operand.data);
}

} // namespace

uint64_t Trace::skeleton_hash() const {
  uint64_t hash = size();
  for (const auto& instruction : instructions_) {
    hash = hash_combine(hash, hash_bytes(instruction->primitive->name));
    for (const Operand& input : instruction->inputs)
      hash = hash_combine(hash, hash_operand(input));
    for (const Value& attr : instruction->attrs)
      hash = hash_combine(hash, hash_value(attr));
    hash = hash_combine(hash, instruction->outputs.size());
  }
  return hash;
}

uint64_t Trace::hash() const {
  uint64_t hash = skeleton_hash();
  for (const auto& instruction : instructions_)
    hash = hash_combine(hash, hash_value(instruction->decision));
  return hash;
}

namespace {

void for_each_rv(const Operand& operand, FunctionRef<void(Rv)> visit) {
  if (const Rv* rv = operand.as_rv())
    visit(*rv);
  if (const auto* list = operand.as_list())
    for (const Operand& item : *list)
      for_each_rv(item, visit);
}

void renumber(Operand& operand, std::span<const uint32_t> numbers) {
  if (auto* rv = std::get_if<Rv>(&operand.data))
    rv->index = numbers[rv->index];
  if (auto* list = std::get_if<Operand::List>(&operand.data))
    for (Operand& item : *list)
      renumber(item, numbers);
}

} // namespace

Trace Trace::simplified() const {
  static const Primitive* const kMark = find_primitive("EnterPostproc");
  std::vector<bool> used(rv_count_);
  std::vector<bool> kept(size());
  for (size_t i = size(); i-- > 0;) {
    const Instruction& instruction = *instructions_[i];
    kept[i] = instruction.primitive->changes_module || instruction.primitive == kMark ||
              std::any_of(instruction.outputs.begin(), instruction.outputs.end(),
                          [&](Rv rv) { return used[rv.index]; });
    if (kept[i])
      for (const Operand& input : instruction.inputs)
        for_each_rv(input, [&](Rv rv) { used[rv.index] = true; });
  }
  Trace result;
  std::vector<uint32_t> numbers(rv_count_);
  for (size_t i = 0; i < size(); ++i) {
    if (!kept[i])
      continue;
    Instruction instruction = *instructions_[i];
    for (Operand& input : instruction.inputs)
      renumber(input, numbers);
    uint32_t next = result.rv_count();
    for (Rv& rv : instruction.outputs) {
      numbers[rv.index] = next;
      rv.index = next++;
    }
    result.append(std::move(instruction));
  }
  return result;
}

std::vector<DecisionPoint> decision_points(const Trace& trace) {
  static const Primitive* const kPerfectTile = find_primitive("SamplePerfectTile");
  static const Primitive* const kPartitionedTile = find_primitive("SamplePartitionedTile");
  static const Primitive* const kCategorical = find_primitive("SampleCategorical");
  static const Primitive* const kLocation = find_primitive("SampleComputeLocation");
  static const Primitive* const kKnob = find_primitive("SampleKnob");
  std::vector<DecisionPoint> points;
  for (size_t i = 0; i < trace.size(); ++i) {
    const Instruction& instruction = trace[i];
    if (instruction.decision.is_none())
      continue;
    DecisionPoint point;
    point.instruction = i;
    if (instruction.primitive == kPerfectTile || instruction.primitive == kPartitionedTile) {
      const Value::List& factors = *instruction.decision.as_list();
      if (!factors.empty() && factors.front() == Value(kOpenFactor))
        continue; // a symbolic extent has this tiling alone
      point.kind = DecisionPoint::Kind::kPerfectTile;
      point.extent = 1;
      for (const Value& factor : factors)
        if (__builtin_mul_overflow(point.extent, *factor.as_int(), &point.extent))
          point.extent = 0; // no loop has such a tiling
      point.parts = *instruction.attrs[0].as_int();
      // Which factors a partitioned tiling may have is not in the point: replay says no.
      point.max_innermost_factor = instruction.primitive == kPerfectTile
                                       ? *instruction.attrs[1].as_int()
                                       : std::numeric_limits<int32_t>::max();
    } else if (instruction.primitive == kCategorical) {
      point.kind = DecisionPoint::Kind::kCategorical;
      for (const Value& candidate : *instruction.attrs[0].as_list())
        point.candidates.push_back(*candidate.as_int());
      for (const Value& weight : *instruction.attrs[1].as_list())
        point.probabilities.push_back(weight.as_double() != nullptr
                                          ? *weight.as_double()
                                          : static_cast<double>(*weight.as_int()));
    } else if (instruction.primitive == kKnob) {
      point.kind = DecisionPoint::Kind::kCategorical;
      if (const Value::List* choices = instruction.attrs[1].as_list())
        for (size_t c = 0; c < choices->size(); ++c) {
          point.candidates.push_back(static_cast<int64_t>(c));
          point.probabilities.push_back(1.0 / static_cast<double>(choices->size()));
        }
    } else {
      TEMPER_CHECK(instruction.primitive == kLocation, "this sampling primitive is not known here");
      point.kind = DecisionPoint::Kind::kComputeLocation;
    }
    points.push_back(std::move(point));
  }
  return points;
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
  case ValueKind::kIndexMap:
    return "an index map, as lambda i, j: (j, i)";
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
    // blockize takes several blocks; others refuse a list themselves.
    return is_rv(operand, RvKind::kBlock) || is_rv(operand, RvKind::kLoop) ||
           (operand.as_list() != nullptr && !operand.as_list()->empty() &&
            fits(operand, ValueKind::kBlockList));
  case ValueKind::kInt:
  case ValueKind::kBool:
    return integer;
  case ValueKind::kIntOrNone:
    return integer || operand.is_none();
  case ValueKind::kString:
  case ValueKind::kIndexMap:
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
  case ValueKind::kIndexMap:
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
  const size_t least = fixed + (variadic && !primitive.inputs.back().default_value ? 1 : 0);
  if (inputs.size() < least || (!variadic && inputs.size() > fixed))
    return wrong_argument(primitive,
                          fmt::format("takes {}{} inputs, not {}", variadic ? "at least " : "",
                                      least, inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Parameter& parameter = primitive.inputs[std::min(i, primitive.inputs.size() - 1)];
    if (!fits(inputs[i], parameter.kind))
      return wrong_argument(
          primitive, fmt::format("\"{}\" must be {}", parameter.name, kind_words(parameter.kind)));
  }
  if (attrs.size() > primitive.attrs.size())
    return wrong_argument(primitive, fmt::format("takes {} attributes, not {}",
                                                 primitive.attrs.size(), attrs.size()));
  // An attribute at the end that is None is not written down, so that traces from before there was
  // one stay what they are.
  const auto is_optional = [&](size_t i) {
    return primitive.attrs[i].default_value && primitive.attrs[i].default_value->is_none();
  };
  while (!attrs.empty() && attrs.back().is_none() && is_optional(attrs.size() - 1))
    attrs.pop_back();
  for (size_t i = attrs.size(); i < primitive.attrs.size() && !is_optional(i); ++i) {
    if (!primitive.attrs[i].default_value)
      return wrong_argument(primitive, fmt::format("\"{}\" is missing", primitive.attrs[i].name));
    attrs.push_back(*primitive.attrs[i].default_value);
  }
  for (size_t i = 0; i < attrs.size(); ++i) {
    const Parameter& parameter = primitive.attrs[i];
    if (!fits(attrs[i], parameter.kind))
      return wrong_argument(
          primitive, fmt::format("\"{}\" must be {}", parameter.name, kind_words(parameter.kind)));
    if (parameter.kind == ValueKind::kFloatList)
      for (Value& item : std::get<Value::List>(attrs[i].data))
        if (const auto* number = item.as_int())
          item = static_cast<double>(*number);
    if (const auto* number = attrs[i].as_int(); number != nullptr && parameter.domain)
      if (*number < parameter.domain->first || *number > parameter.domain->second)
        return wrong_argument(primitive, fmt::format("\"{}\" must be from {} to {}, not {}",
                                                     parameter.name, parameter.domain->first,
                                                     parameter.domain->second, *number));
  }
  return {};
}

Result<void> check_decision(const Primitive& primitive, const Value& decision) {
  if (decision.is_none())
    return {};
  if (!primitive.has_decision)
    return wrong_argument(primitive, "it takes no decision");
  const ValueKind kind = primitive.variadic_output ? ValueKind::kIntList : ValueKind::kInt;
  if (!fits(decision, kind))
    return wrong_argument(primitive, fmt::format("the decision must be {}", kind_words(kind)));
  return {};
}

} // namespace temper::s_tir
