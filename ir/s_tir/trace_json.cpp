#include "ir/s_tir/trace_json.h"

#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/support/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <unordered_map>

namespace temper::s_tir {
namespace {

// Writing. By hand, because the floats' digits and the quotes inside strings are part of the
// format.

void write_string(std::string_view text, std::string& out) {
  out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write_double(double value, std::string& out) {
  const size_t start = out.size();
  fmt::format_to(std::back_inserter(out), "{:.20g}", value);
  if (std::isfinite(value) && out.find_first_of(".e", start) == std::string::npos)
    out += ".0"; // stays a float when it is read
}

void write_value(const Value& value, std::string& out) {
  if (const auto* number = value.as_int()) {
    fmt::format_to(std::back_inserter(out), "{}", *number);
  } else if (const auto* real = value.as_double()) {
    write_double(*real, out);
  } else if (const auto* text = value.as_string()) {
    write_string(*text, out);
  } else if (const auto* list = value.as_list()) {
    out += '[';
    for (size_t i = 0; i < list->size(); ++i) {
      if (i > 0)
        out += ',';
      write_value((*list)[i], out);
    }
    out += ']';
  } else {
    TEMPER_CHECK(value.is_none(), "handles are not stored in traces");
    out += "null";
  }
}

void write_operand(const Operand& operand, std::string& out) {
  std::visit(
      Overloaded{[&](std::monostate) { out += "\"None\""; },
                 [&](int64_t value) { fmt::format_to(std::back_inserter(out), "{}", value); },
                 [&](double value) { write_double(value, out); },
                 [&](const std::string& value) {
                   // An object graph, as MetaSchedule's index maps are, has no second pair.
                   write_string(value.starts_with("{") ? value : fmt::format("\"{}\"", value), out);
                 },
                 [&](Rv rv) { fmt::format_to(std::back_inserter(out), "\"{}\"", rv.name()); },
                 [&](const Operand::List& list) {
                   out += '[';
                   for (size_t i = 0; i < list.size(); ++i) {
                     if (i > 0)
                       out += ',';
                     write_operand(list[i], out);
                   }
                   out += ']';
                 }},
      operand.data);
}

template <typename Items, typename Write>
void write_list(const Items& items, std::string& out, Write&& write) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first)
      out += ',';
    first = false;
    write(item, out);
  }
  out += ']';
}

void write_instruction(const Instruction& instruction, std::string& out) {
  fmt::format_to(std::back_inserter(out), "[\"{}\",", instruction.primitive->name);
  write_list(instruction.inputs, out, write_operand);
  out += ',';
  write_list(instruction.attrs, out, write_value);
  out += ',';
  write_list(instruction.outputs, out, [](Rv rv, std::string& to) {
    fmt::format_to(std::back_inserter(to), "\"{}\"", rv.name());
  });
  out += ']';
}

void write_instructions(const Trace& trace, std::string& out) {
  out += '[';
  for (size_t i = 0; i < trace.size(); ++i) {
    if (i > 0)
      out += ',';
    write_instruction(trace[i], out);
  }
  out += ']';
}

void write_decisions(const Trace& trace, std::string& out) {
  out += '[';
  bool first = true;
  for (size_t i = 0; i < trace.size(); ++i) {
    if (trace[i].decision.is_none())
      continue;
    fmt::format_to(std::back_inserter(out), "{}[{},", first ? "" : ",", i);
    write_value(trace[i].decision, out);
    out += ']';
    first = false;
  }
  out += ']';
}

// Reading.

Error corrupt(std::string what) { return Error(ErrorCode::kCorrupt, std::move(what)); }

Result<Value> read_value(const Json& json, int depth = 0) {
  if (depth > kMaxListDepth)
    return corrupt("lists are nested too deeply");
  if (json.is_null())
    return Value();
  if (json.is_boolean())
    return Value(json.get<bool>());
  if (json.is_number_integer())
    return Value(json.get<int64_t>());
  if (json.is_number_float())
    return Value(json.get<double>());
  if (json.is_string())
    return Value(json.get<std::string>());
  if (!json.is_array())
    return corrupt("an object stands where a value is expected");
  Value::List list;
  for (const Json& item : json) {
    TEMPER_TRY(value, read_value(item, depth + 1));
    list.push_back(std::move(value));
  }
  return Value(std::move(list));
}

using Names = std::unordered_map<std::string, Rv>;

Result<Operand> read_operand(const Json& json, const Names& names, int depth = 0) {
  if (depth > kMaxListDepth)
    return corrupt("lists are nested too deeply");
  if (json.is_null())
    return Operand();
  if (json.is_boolean())
    return Operand(json.get<bool>());
  if (json.is_number_integer())
    return Operand(json.get<int64_t>());
  if (json.is_number_float())
    return Operand(json.get<double>());
  if (json.is_array()) {
    Operand::List list;
    for (const Json& item : json) {
      TEMPER_TRY(operand, read_operand(item, names, depth + 1));
      list.push_back(std::move(operand));
    }
    return Operand(std::move(list));
  }
  if (!json.is_string())
    return corrupt("an object stands where an input is expected");
  const auto& text = json.get_ref<const std::string&>();
  if (text == "None")
    return Operand();
  if (text.starts_with("{")) // an object graph, as index maps are, has no second pair
    return Operand(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    return Operand(text.substr(1, text.size() - 2));
  const auto found = names.find(text);
  if (found == names.end())
    return corrupt(fmt::format("no earlier instruction makes {} (strings carry a second pair of "
                               "quotes)",
                               text));
  return Operand(found->second);
}

RvKind kind_of_output(const Primitive& primitive, size_t index) {
  switch (primitive.outputs[primitive.variadic_output ? 0 : index]) {
  case ValueKind::kBlock:
    return RvKind::kBlock;
  case ValueKind::kLoop:
    return RvKind::kLoop;
  default:
    return RvKind::kExpr;
  }
}

/// A map of MetaSchedule's as ours; a lambda stays what it is.
Result<std::string> read_index_map(const std::string& text, MapForm form = MapForm::kIndices) {
  if (!text.starts_with("{"))
    return text;
  TEMPER_TRY(graph, parse_json(text));
  return index_map_from_tvm(graph, form);
}

/// "lambda i, j: (0,)" gives 0; nothing when the output is anything but an integer.
std::optional<int64_t> constant_output(std::string_view map) {
  map.remove_prefix(std::min(map.find(':'), map.size() - 1) + 1);
  const size_t first = map.find_first_not_of(" (");
  const size_t last = map.find_last_not_of(" ,)");
  if (first == std::string_view::npos || last < first)
    return std::nullopt;
  return parse_number<int64_t>(map.substr(first, last + 1 - first));
}

/// ["TransformLayout", ["b0", "{map}"], [0, 1, null, 0], []]: MetaSchedule's map is an input, in
/// which sampled values stand by their names; ours is an attribute, and they are inputs.
Result<Json> our_transform_layout(const Json& json, const Names& names) {
  const Json& inputs = json[1];
  const Json& attrs = json[2];
  if (inputs.size() != 2 || !inputs[1].is_string() || attrs.size() != 4)
    return corrupt("TransformLayout has a block and a map, and four attributes");
  Json pad_value;
  if (!attrs[2].is_null() && attrs[2] != "None") {
    // A map of its own, from the indices to the value.
    const Result<std::string> text =
        attrs[2].is_string() ? read_index_map(attrs[2].get<std::string>())
                             : Result<std::string>(corrupt("a pad_value is a map to it"));
    const std::optional<int64_t> value = text ? constant_output(*text) : std::optional<int64_t>();
    if (!value)
      return Error(ErrorCode::kUnsupported,
                   "transform_layout with a pad_value that is not one integer for all indices");
    pad_value = *value;
  }
  TEMPER_TRY(map, read_index_map(inputs[1].get<std::string>()));
  Json converted = json;
  converted[1] = Json::array({inputs[0]});
  std::vector<std::string> sampled;
  const size_t colon = map.find(':');
  for (size_t i = colon; i < map.size(); ++i) {
    const bool starts = (std::isalpha(static_cast<unsigned char>(map[i])) != 0) &&
                        std::isalnum(static_cast<unsigned char>(map[i - 1])) == 0 &&
                        map[i - 1] != '_';
    if (!starts)
      continue;
    size_t end = i;
    while (end < map.size() &&
           (std::isalnum(static_cast<unsigned char>(map[end])) != 0 || map[end] == '_'))
      ++end;
    const std::string word = map.substr(i, end - i);
    const auto rv = names.find(word);
    if (rv != names.end() && rv->second.kind == RvKind::kExpr &&
        std::find(sampled.begin(), sampled.end(), word) == sampled.end())
      sampled.push_back(word);
  }
  for (const std::string& word : sampled) {
    converted[1].push_back(word);
    map.insert(map.find(':'), ", " + word);
  }
  converted[2] = Json::array({attrs[0], attrs[1], map, pad_value});
  return converted;
}

Result<Instruction> read_instruction(const Json& given, Names& names, uint32_t next) {
  if (!given.is_array() || given.size() != 4 || !given[0].is_string() || !given[1].is_array() ||
      !given[2].is_array() || !given[3].is_array())
    return corrupt("an instruction is [name, inputs, attrs, outputs]");
  Json converted;
  if (given[0] == "TransformLayout" && given[2].size() == 4 && given[2][1].is_number()) {
    TEMPER_TRY(made, our_transform_layout(given, names));
    converted = std::move(made);
  }
  const Json& json = converted.is_null() ? given : converted;
  Instruction instruction;
  const auto& name = json[0].get_ref<const std::string&>();
  instruction.primitive = find_primitive(name);
  if (instruction.primitive == nullptr)
    return unknown_primitive(name);
  const Primitive& primitive = *instruction.primitive;
  for (const Json& input : json[1]) {
    TEMPER_TRY(operand, read_operand(input, names));
    const size_t index = instruction.inputs.size();
    if (index < primitive.inputs.size() && primitive.inputs[index].kind == ValueKind::kIndexMap)
      if (auto* map = std::get_if<std::string>(&operand.data)) {
        TEMPER_TRY(text, read_index_map(*map, name == "AnnotateBufferAccess" ? MapForm::kRanges
                                                                             : MapForm::kIndices));
        *map = std::move(text);
      }
    if (index < primitive.inputs.size() && primitive.inputs[index].name == "buf_type")
      if (const auto* side = std::get_if<int64_t>(&operand.data))
        operand = *side == 0 ? "read" : "write";
    instruction.inputs.push_back(std::move(operand));
  }
  for (const Json& attr : json[2]) {
    TEMPER_TRY(value, read_value(attr));
    // MetaSchedule numbers the sides of a block.
    const size_t index = instruction.attrs.size();
    if (index < primitive.attrs.size() && primitive.attrs[index].name == "buffer_index_type")
      if (const int64_t* side = value.as_int())
        value = *side == 0 ? "read" : "write";
    if (index < primitive.attrs.size() && primitive.attrs[index].kind == ValueKind::kIndexMap)
      if (const std::string* map = value.as_string()) {
        TEMPER_TRY(text, read_index_map(*map));
        value = std::move(text);
      }
    instruction.attrs.push_back(std::move(value));
  }
  TEMPER_TRY_VOID(complete_arguments(primitive, instruction.inputs, instruction.attrs));
  if (!primitive.variadic_output && json[3].size() != primitive.outputs.size())
    return corrupt(
        fmt::format("{} has {} outputs, not {}", name, primitive.outputs.size(), json[3].size()));
  for (size_t i = 0; i < json[3].size(); ++i) {
    if (!json[3][i].is_string())
      return corrupt("outputs are names of random variables");
    const Rv rv{kind_of_output(primitive, i), next++};
    const auto& output = json[3][i].get_ref<const std::string&>();
    if (!names.emplace(output, rv).second)
      return corrupt(fmt::format("{} is made twice", output));
    instruction.outputs.push_back(rv);
  }
  return instruction;
}

} // namespace

std::string trace_to_json_text(const Trace& trace) {
  std::string out = "[";
  write_instructions(trace, out);
  out += ',';
  write_decisions(trace, out);
  out += ']';
  return out;
}

std::string skeleton_to_json(const Trace& trace) {
  std::string out = "[";
  write_instructions(trace, out);
  out += ",[]]";
  return out;
}

std::string decisions_to_json(const Trace& trace) {
  std::string out;
  write_decisions(trace, out);
  return out;
}

namespace {

/// The numbers that sampled values have by their decisions.
std::unordered_map<uint32_t, int64_t> decided_values(const Trace& trace) {
  std::unordered_map<uint32_t, int64_t> values;
  for (size_t i = 0; i < trace.size(); ++i) {
    const Instruction& instruction = trace[i];
    const auto* list = instruction.decision.as_list();
    const auto* number = instruction.decision.as_int();
    const Value::List* candidates =
        instruction.attrs.empty() ? nullptr : instruction.attrs[0].as_list();
    for (size_t k = 0; k < instruction.outputs.size(); ++k) {
      const Value* value = nullptr;
      if (list != nullptr && k < list->size())
        value = &(*list)[k];
      else if (number != nullptr && candidates != nullptr && *number >= 0 &&
               *number < static_cast<int64_t>(candidates->size()))
        value = &(*candidates)[static_cast<size_t>(*number)];
      if (value != nullptr && value->as_int() != nullptr)
        values[instruction.outputs[k].index] = *value->as_int();
    }
  }
  return values;
}

size_t lambda_inputs(const std::string& map) {
  const size_t colon = map.find(':');
  return static_cast<size_t>(std::count(
             map.begin(), map.begin() + static_cast<ptrdiff_t>(std::min(colon, map.size())), ',')) +
         1;
}

/// A map as MetaSchedule stores it: the text of a graph, indented.
Result<std::string> graph_of_map(const IndexMap& map) {
  TEMPER_TRY(graph, index_map_to_tvm(map));
  return graph.dump(2, ' ', false, Json::error_handler_t::replace);
}

int64_t number_of_side(const std::string& side) { return side == "write" ? 1 : 0; }

/// The instruction with what MetaSchedule spells otherwise changed; maps stand as text in inputs.
Result<Instruction> as_in_tvm(const Instruction& given,
                              const std::unordered_map<uint32_t, int64_t>& decided) {
  const std::string& name = given.primitive->name;
  for (const char* ours :
       {"ConvertOperand", "OffsetOperand", "PackAhead", "SampleKnob", "Tensorize"})
    if (name == ours)
      return Error(ErrorCode::kUnsupported,
                   fmt::format("TVM has no {}{}", given.primitive->python_name,
                               name == "Tensorize" ? " with an instruction of this name" : ""));
  Instruction made = given;
  const DataType index = DataType::int32();
  if (name == "TransformLayout") {
    std::vector<int64_t> parameters;
    for (size_t i = 1; i < given.inputs.size(); ++i) {
      const Rv* rv = given.inputs[i].as_rv();
      const auto known = rv != nullptr ? decided.find(rv->index) : decided.end();
      const int64_t* number = std::get_if<int64_t>(&given.inputs[i].data);
      if (number == nullptr && known == decided.end())
        return Error(ErrorCode::kUnsupported,
                     fmt::format("{} is not decided, and a layout depends on it",
                                 rv != nullptr ? rv->name() : "a value"));
      parameters.push_back(number != nullptr ? *number : known->second);
    }
    const std::string& text = *given.attrs[2].as_string();
    const size_t inputs = lambda_inputs(text);
    TEMPER_TRY(map, parse_index_map(text, inputs - std::min(inputs, parameters.size()), parameters,
                                    index));
    TEMPER_TRY(graph, graph_of_map(map));
    Value pad;
    if (given.attrs.size() > 3) {
      // A map of its own, from the same indices to the value.
      const int64_t* value = given.attrs[3].as_int();
      if (value == nullptr)
        return Error(ErrorCode::kUnsupported, "a pad_value that is no integer is not written");
      TEMPER_TRY(constant, graph_of_map(make_node<IndexMapNode>([&](IndexMapNode& node) {
                   node.inputs = map->inputs;
                   node.outputs = {make_int(index, *value)};
                 })));
      pad = constant;
    }
    made.inputs = {given.inputs[0], graph};
    made.attrs = {given.attrs[0], number_of_side(*given.attrs[1].as_string()), pad, 0};
    return made;
  }
  if (name == "AnnotateBufferAccess") {
    made.inputs[2] = number_of_side(std::get<std::string>(given.inputs[2].data));
    const std::string& text = std::get<std::string>(given.inputs[3].data);
    TEMPER_TRY(map, parse_range_map(text, lambda_inputs(text), index));
    TEMPER_TRY(graph, graph_of_map(map));
    made.inputs[3] = graph;
    return made;
  }
  for (size_t i = 0; i < given.inputs.size() && i < given.primitive->inputs.size(); ++i)
    if (given.primitive->inputs[i].kind == ValueKind::kIndexMap) {
      const std::string& text = std::get<std::string>(given.inputs[i].data);
      TEMPER_TRY(map, parse_index_map(text, lambda_inputs(text), {}, index));
      TEMPER_TRY(graph, graph_of_map(map));
      made.inputs[i] = graph;
    }
  for (size_t i = 0; i < given.attrs.size(); ++i) {
    if (given.primitive->attrs[i].name == "buffer_index_type")
      made.attrs[i] = number_of_side(*given.attrs[i].as_string());
    if (given.primitive->attrs[i].kind == ValueKind::kIndexMap) {
      const std::string& text = *given.attrs[i].as_string();
      TEMPER_TRY(map, parse_index_map(text, lambda_inputs(text), {}, index));
      TEMPER_TRY(graph, graph_of_map(map));
      made.attrs[i] = graph;
    }
  }
  return made;
}

} // namespace

Result<std::string> trace_to_tvm_json_text(const Trace& trace) {
  const auto decided = decided_values(trace);
  std::string out = "[[";
  for (size_t i = 0; i < trace.size(); ++i) {
    auto instruction = as_in_tvm(trace[i], decided);
    if (!instruction)
      return std::move(instruction)
          .error()
          .with_note(fmt::format("instruction {} of the trace", i));
    if (i > 0)
      out += ',';
    write_instruction(*instruction, out);
  }
  out += "],";
  write_decisions(trace, out);
  out += ']';
  return out;
}

Result<Trace> trace_from_json(const Json& json) {
  if (!json.is_array() || json.size() != 2 || !json[0].is_array())
    return corrupt("a trace is [instructions, decisions]");
  Trace trace;
  Names names;
  for (size_t i = 0; i < json[0].size(); ++i) {
    auto instruction = read_instruction(json[0][i], names, trace.rv_count());
    if (!instruction)
      return std::move(instruction)
          .error()
          .with_note(fmt::format("instruction {} of the trace", i));
    trace.append(*std::move(instruction));
  }
  return with_decisions(trace, json[1]);
}

Result<Trace> trace_from_json_text(std::string_view text) {
  TEMPER_TRY(json, parse_json(text));
  return trace_from_json(json);
}

Result<Trace> with_decisions(const Trace& skeleton, const Json& decisions) {
  if (!decisions.is_array())
    return corrupt("decisions are a list of [instruction, decision]");
  std::vector<Value> values(skeleton.size());
  for (const Json& entry : decisions) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number_integer())
      return corrupt("a decision is [instruction, decision]");
    const auto index = entry[0].get<int64_t>();
    if (index < 0 || index >= static_cast<int64_t>(skeleton.size()))
      return corrupt(fmt::format("a decision for instruction {}, of {}", index, skeleton.size()));
    const Primitive& primitive = *skeleton[static_cast<size_t>(index)].primitive;
    if (!primitive.has_decision)
      return corrupt(fmt::format("a decision for instruction {}, {}, which takes none", index,
                                 primitive.name));
    TEMPER_TRY(value, read_value(entry[1]));
    if (auto fits = check_decision(primitive, value); !fits)
      return std::move(fits).error().with_note(fmt::format("instruction {} of the trace", index));
    values[static_cast<size_t>(index)] = std::move(value);
  }
  Trace trace;
  for (size_t i = 0; i < skeleton.size(); ++i) {
    if (skeleton[i].decision == values[i]) {
      trace.append(skeleton.shared(i));
    } else {
      Instruction instruction = skeleton[i];
      instruction.decision = std::move(values[i]);
      trace.append(std::move(instruction));
    }
  }
  return trace;
}

Result<Trace> with_decisions_text(const Trace& skeleton, std::string_view decisions) {
  TEMPER_TRY(json, parse_json(decisions));
  return with_decisions(skeleton, json);
}

} // namespace temper::s_tir
