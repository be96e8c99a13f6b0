/// The Python form of traces, both ways. Reading knows the lines that writing makes (and that TVM
/// prints): one call of a method of `sch` per line, arguments that are literals, lists and names.
#include "ir/s_tir/python_call.h"
#include "ir/support/number.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <unordered_map>

namespace temper::s_tir {
namespace {

void write_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  out += '"';
}

void write_real(double value, std::string& out) {
  const size_t start = out.size();
  fmt::format_to(std::back_inserter(out), "{}", value);
  if (out.find_first_of(".en", start) == std::string::npos)
    out += ".0";
}

template <typename T> void write(const T& value, ValueKind kind, std::string& out);

template <typename List> void write_list(const List& list, ValueKind kind, std::string& out) {
  out += '[';
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0)
      out += ", ";
    write(list[i], kind, out);
  }
  out += ']';
}

template <typename T> void write(const T& value, ValueKind kind, std::string& out) {
  std::visit(Overloaded{[&](std::monostate) { out += "None"; },
                        [&](int64_t number) {
                          if (kind == ValueKind::kBool)
                            out += number != 0 ? "True" : "False";
                          else
                            fmt::format_to(std::back_inserter(out), "{}", number);
                        },
                        [&](double number) { write_real(number, out); },
                        [&](const std::string& text) {
                          if (kind == ValueKind::kIndexMap)
                            out += text; // a lambda, as it is
                          else
                            write_string(text, out);
                        },
                        [&](const Rv& rv) { out += rv.name(); },
                        [&](const BlockHandle&) { TEMPER_UNREACHABLE("traces hold no handles"); },
                        [&](const LoopHandle&) { TEMPER_UNREACHABLE("traces hold no handles"); },
                        [&](const typename T::List& list) { write_list(list, kind, out); }},
             value.data);
}

bool is_handle(ValueKind kind) {
  return kind == ValueKind::kBlock || kind == ValueKind::kLoop || kind == ValueKind::kBlockOrLoop;
}

/// Names of the parameters in Python's order.
std::vector<std::string> python_order(const Primitive& primitive) {
  if (!primitive.python_order.empty())
    return primitive.python_order;
  std::vector<std::string> order;
  for (const Parameter& parameter : primitive.inputs)
    order.push_back(parameter.name);
  for (const Parameter& parameter : primitive.attrs)
    order.push_back(parameter.name);
  return order;
}

const Parameter* find_parameter(const std::vector<Parameter>& parameters, std::string_view name,
                                size_t& index) {
  for (index = 0; index < parameters.size(); ++index)
    if (parameters[index].name == name)
      return &parameters[index];
  return nullptr;
}

constexpr const char* kBufferIndex = "buffer_index";
constexpr const char* kBufferSide = "buffer_index_type";

void write_instruction(const Instruction& instruction, std::string& out) {
  const Primitive& primitive = *instruction.primitive;
  for (size_t i = 0; i < instruction.outputs.size(); ++i)
    out += (i > 0 ? ", " : "") + instruction.outputs[i].name();
  if (!instruction.outputs.empty())
    out += primitive.variadic_output && instruction.outputs.size() == 1 ? ", = " : " = ";
  fmt::format_to(std::back_inserter(out), "sch.{}(", primitive.python_name);
  const char* separator = "";
  auto keyword = [&](const std::string& name) {
    fmt::format_to(std::back_inserter(out), "{}{}=", separator, name);
    separator = ", ";
  };
  for (const std::string& name : python_order(primitive)) {
    size_t index = 0;
    if (const Parameter* input = find_parameter(primitive.inputs, name, index)) {
      if (input->variadic) {
        const Operand::List rest(instruction.inputs.begin() + static_cast<ptrdiff_t>(index),
                                 instruction.inputs.end());
        if (is_handle(input->kind)) {
          for (const Operand& operand : rest) {
            out += separator;
            separator = ", ";
            write(operand, input->kind, out);
          }
        } else if (!rest.empty() || !input->default_value) {
          keyword(name);
          write_list(rest, input->kind, out);
        }
        continue;
      }
      const Operand& operand = instruction.inputs[index];
      // As TVM prints: an empty list of consumers is left out, the place of get_child_blocks has no
      // keyword.
      if (operand.as_list() != nullptr && operand.as_list()->empty())
        continue;
      if (primitive.inputs.size() + primitive.attrs.size() == 1 &&
          input->kind == ValueKind::kBlockOrLoop) {
        write(operand, input->kind, out);
        continue;
      }
      keyword(name);
      write(operand, input->kind, out);
    } else {
      const Parameter* attr = find_parameter(primitive.attrs, name, index);
      TEMPER_CHECK(attr != nullptr, "python_order names a parameter that is not there");
      if (index >= instruction.attrs.size())
        continue; // None, and not written down
      // Two attributes, one argument: buffer=("write", 0).
      if (name == kBufferSide)
        continue;
      if (size_t side = 0;
          name == kBufferIndex && find_parameter(primitive.attrs, kBufferSide, side) != nullptr) {
        keyword("buffer");
        out += '(';
        write(instruction.attrs[side], ValueKind::kString, out);
        out += ", ";
        write(instruction.attrs[index], attr->kind, out);
        out += ')';
        continue;
      }
      keyword(name);
      write(instruction.attrs[index], attr->kind, out);
    }
  }
  if (!instruction.decision.is_none()) {
    keyword("decision");
    write(instruction.decision, ValueKind::kAny, out);
  }
  out += ")\n";
}

// Reading.

class LineParser {
public:
  LineParser(std::string_view text, const std::unordered_map<std::string, Rv>& names)
      : text_(text), names_(names) {}

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t'))
      ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c)
      return false;
    ++at_;
    return true;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size() || text_[at_] == '#';
  }
  std::string word() {
    skip_space();
    const size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_'))
      ++at_;
    return std::string(text_.substr(start, at_ - start));
  }
  /// "name =" of a keyword argument, or empty (nothing is taken then).
  std::string keyword() {
    const size_t start = at_;
    std::string name = word();
    if (!name.empty() && take('='))
      return name;
    at_ = start;
    return {};
  }

  Result<Operand> operand(int depth = 0) {
    if (depth > kMaxListDepth)
      return error("lists are nested too deeply");
    skip_space();
    if (at_ >= text_.size())
      return error("a value is missing");
    const char c = text_[at_];
    if (c == '[' || c == '(')
      return list(c == '[' ? ']' : ')', depth);
    if (c == '"' || c == '\'')
      return string(c);
    if (c == '-' || c == '+' || c == '.' || std::isdigit(static_cast<unsigned char>(c)) != 0)
      return number();
    const size_t start = at_;
    const std::string name = word();
    if (name == "lambda")
      return lambda(start);
    if (name == "None")
      return Operand();
    if (name == "True" || name == "False")
      return Operand(name == "True");
    const auto found = names_.find(name);
    if (found == names_.end())
      return error(name.empty() ? fmt::format("\"{}\" is not expected here", c)
                                : fmt::format("no earlier line makes {}", name));
    return Operand(found->second);
  }

  Error error(std::string what) const {
    return Error(ErrorCode::kInvalidArgument, fmt::format("column {}: {}", at_ + 1, what));
  }

private:
  /// To the end of the argument, as text.
  Result<Operand> lambda(size_t start) {
    while (at_ < text_.size() && text_[at_] != ':')
      ++at_;
    int open = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (open == 0 && (c == ',' || c == ')' || c == ']'))
        break;
      open += c == '(' || c == '[' ? 1 : c == ')' || c == ']' ? -1 : 0;
    }
    return Operand(std::string(trim(text_.substr(start, at_ - start))));
  }
  Result<Operand> list(char close, int depth) {
    ++at_;
    Operand::List items;
    while (!take(close)) {
      TEMPER_TRY(item, operand(depth + 1));
      items.push_back(std::move(item));
      if (!take(',') && (skip_space(), at_ >= text_.size() || text_[at_] != close))
        return error(fmt::format("\",\" or \"{}\" is expected", close));
    }
    return Operand(std::move(items));
  }
  Result<Operand> string(char quote) {
    std::string value;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        value += text_[at_] == 'n' ? '\n' : text_[at_];
      } else {
        value += text_[at_];
      }
    }
    if (at_ >= text_.size())
      return error("the string has no end");
    ++at_;
    return Operand(std::move(value));
  }
  Result<Operand> number() {
    size_t end = at_;
    while (end < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[end])) != 0 || text_[end] == '.' ||
            ((text_[end] == '-' || text_[end] == '+') &&
             (end == at_ || text_[end - 1] == 'e' || text_[end - 1] == 'E'))))
      ++end;
    std::string_view digits = text_.substr(at_, end - at_);
    if (!digits.empty() && digits[0] == '+')
      digits.remove_prefix(1);
    Operand value;
    if (const auto integer = parse_number<int64_t>(digits))
      value = *integer;
    else if (const auto real = parse_number<double>(digits))
      value = *real;
    else
      return error(fmt::format("\"{}\" is not a number", digits));
    at_ = end;
    return value;
  }

  std::string_view text_;
  const std::unordered_map<std::string, Rv>& names_;
  size_t at_ = 0;
};

Result<Value> constant(const Operand& operand, const std::string& name) {
  return std::visit(
      Overloaded{[](std::monostate) -> Result<Value> { return Value(); },
                 [&](const Rv& rv) -> Result<Value> {
                   return Error(ErrorCode::kInvalidArgument,
                                fmt::format("\"{}\" must be a constant, not {}", name, rv.name()));
                 },
                 [&](const Operand::List& list) -> Result<Value> {
                   Value::List values;
                   for (const Operand& item : list) {
                     TEMPER_TRY(value, constant(item, name));
                     values.push_back(std::move(value));
                   }
                   return Value(std::move(values));
                 },
                 [](const auto& value) -> Result<Value> { return Value(value); }},
      operand.data);
}

Error wrong_call(const Primitive& primitive, const std::string& what) {
  return Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}", primitive.python_name, what));
}

/// buffer=("write", 0), or without keyword in the place of both attributes.
Result<void> take_buffer(const Primitive& primitive, Operand value,
                         std::unordered_map<std::string, Operand>& given) {
  size_t index = 0;
  auto* pair = std::get_if<Operand::List>(&value.data);
  if (find_parameter(primitive.attrs, kBufferSide, index) == nullptr || pair == nullptr ||
      pair->size() != 2)
    return wrong_call(primitive, "there is no \"buffer\" of this form; write (\"read\", 0)");
  if (!given.emplace(kBufferSide, std::move((*pair)[0])).second ||
      !given.emplace(kBufferIndex, std::move((*pair)[1])).second)
    return wrong_call(primitive, "the buffer is given twice");
  return {};
}

Result<Instruction> assemble(const Primitive& primitive,
                             std::unordered_map<std::string, Operand>& given,
                             std::vector<Operand> variadic) {
  const auto missing = [&](const std::string& name) {
    return wrong_call(primitive, fmt::format("\"{}\" is missing", name));
  };
  Instruction instruction;
  instruction.primitive = &primitive;
  for (const Parameter& parameter : primitive.inputs) {
    if (parameter.variadic && is_handle(parameter.kind)) {
      instruction.inputs.insert(instruction.inputs.end(), variadic.begin(), variadic.end());
      continue;
    }
    const auto found = given.find(parameter.name);
    if (found == given.end()) {
      if (parameter.variadic && parameter.default_value)
        continue; // none of them
      if (parameter.kind != ValueKind::kBlockList)
        return missing(parameter.name);
      instruction.inputs.emplace_back(Operand::List());
    } else if (parameter.variadic) {
      const auto* list = found->second.as_list();
      if (list == nullptr)
        return wrong_call(primitive, fmt::format("\"{}\" must be a list", parameter.name));
      instruction.inputs.insert(instruction.inputs.end(), list->begin(), list->end());
    } else {
      instruction.inputs.push_back(found->second);
    }
  }
  for (const Parameter& parameter : primitive.attrs) {
    const auto found = given.find(parameter.name);
    if (found == given.end()) {
      if (!parameter.default_value)
        return missing(parameter.name);
      instruction.attrs.push_back(*parameter.default_value);
      continue;
    }
    TEMPER_TRY(value, constant(found->second, parameter.name));
    instruction.attrs.push_back(std::move(value));
  }
  if (const auto found = given.find("decision"); found != given.end()) {
    TEMPER_TRY(value, constant(found->second, "decision"));
    TEMPER_TRY_VOID(check_decision(primitive, value));
    instruction.decision = std::move(value);
  }
  TEMPER_TRY_VOID(complete_arguments(primitive, instruction.inputs, instruction.attrs));
  return instruction;
}

class TraceReader {
public:
  Result<void> read_line(std::string_view line) {
    LineParser parser(line, names_);
    std::vector<std::string> targets;
    std::string word = parser.word();
    while (word != "sch") {
      if (word.empty())
        return parser.error("a line is \"[outputs =] sch.primitive(...)\"");
      targets.push_back(std::move(word));
      if (parser.take('=')) {
        word = parser.word();
        break;
      }
      if (!parser.take(','))
        return parser.error("\",\" or \"=\" is expected");
      if (parser.take('=')) {
        word = parser.word();
        break;
      }
      word = parser.word();
    }
    if (word != "sch" || !parser.take('.'))
      return parser.error("\"sch.\" is expected");
    const std::string name = parser.word();
    const Primitive* primitive = find_primitive(name);
    if (primitive == nullptr)
      return unknown_primitive(name);
    if (!parser.take('('))
      return parser.error("\"(\" is expected");
    TEMPER_TRY(instruction, arguments(*primitive, parser));
    if (!parser.at_end())
      return parser.error("nothing is expected after the call");
    return append(std::move(instruction), targets);
  }

  Trace trace;

private:
  Result<Instruction> arguments(const Primitive& primitive, LineParser& parser) {
    std::vector<PythonArgument> list;
    bool closed = parser.take(')');
    while (!closed) {
      std::string keyword = parser.keyword();
      TEMPER_TRY(value, parser.operand());
      list.push_back({std::move(keyword), std::move(value)});
      const bool comma = parser.take(',');
      closed = parser.take(')');
      if (!comma && !closed)
        return parser.error("\",\" or \")\" is expected");
    }
    return instruction_of_call(primitive, std::move(list));
  }

  Result<void> append(Instruction instruction, const std::vector<std::string>& targets) {
    const Primitive& primitive = *instruction.primitive;
    // Results that get no name; of a list of them, nobody knows here how many there will be.
    const bool unnamed = targets.empty();
    if (!primitive.variadic_output && !unnamed && targets.size() != primitive.outputs.size())
      return Error(ErrorCode::kInvalidArgument,
                   fmt::format("{} has {} outputs, not {}", primitive.python_name,
                               primitive.outputs.size(), targets.size()));
    const size_t made =
        unnamed && !primitive.variadic_output ? primitive.outputs.size() : targets.size();
    for (size_t i = 0; i < made; ++i) {
      const ValueKind kind = primitive.outputs[primitive.variadic_output ? 0 : i];
      const Rv rv{kind == ValueKind::kBlock  ? RvKind::kBlock
                  : kind == ValueKind::kLoop ? RvKind::kLoop
                                             : RvKind::kExpr,
                  trace.rv_count() + static_cast<uint32_t>(i)};
      if (!unnamed)
        names_[targets[i]] = rv; // a name may be used again, as in Python
      instruction.outputs.push_back(rv);
    }
    trace.append(std::move(instruction));
    return {};
  }

  std::unordered_map<std::string, Rv> names_;
};

} // namespace

Result<Instruction> instruction_of_call(const Primitive& primitive,
                                        std::vector<PythonArgument> arguments) {
  const std::vector<std::string> order = python_order(primitive);
  std::unordered_map<std::string, Operand> given;
  std::vector<Operand> variadic;
  const bool handles = !primitive.inputs.empty() && primitive.inputs.back().variadic &&
                       is_handle(primitive.inputs.back().kind);
  size_t position = 0;
  for (PythonArgument& argument : arguments) {
    const std::string& keyword = argument.keyword;
    if (keyword.empty() && handles && position + 1 >= primitive.inputs.size()) {
      variadic.push_back(std::move(argument.value));
      continue;
    }
    const std::string name = !keyword.empty()          ? keyword
                             : position < order.size() ? order[position]
                                                       : std::string();
    ++position;
    if (name == "buffer" || (name == kBufferIndex && argument.value.as_list() != nullptr)) {
      TEMPER_TRY_VOID(take_buffer(primitive, std::move(argument.value), given));
      position += keyword.empty() ? 1 : 0; // it stands for two
      continue;
    }
    if (std::find(order.begin(), order.end(), name) == order.end() &&
        !(name == "decision" && primitive.has_decision))
      return Error(ErrorCode::kInvalidArgument,
                   name.empty()
                       ? fmt::format("{} takes {} arguments", primitive.python_name, order.size())
                       : fmt::format("{} has no parameter \"{}\"; it has {}", primitive.python_name,
                                     name, join(order, ", ")));
    if (!given.emplace(name, std::move(argument.value)).second)
      return wrong_call(primitive, fmt::format("\"{}\" is given twice", name));
  }
  return assemble(primitive, given, std::move(variadic));
}

std::string Trace::to_python() const {
  std::string out;
  for (const auto& instruction : instructions_)
    write_instruction(*instruction, out);
  return out;
}

Result<Trace> Trace::from_python(std::string_view text) {
  TraceReader reader;
  size_t number = 0;
  for (const std::string& raw : split_text(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line[0] == '#' || line.starts_with("from ") ||
        line.starts_with("import ") || line.starts_with("def "))
      continue;
    if (auto read = reader.read_line(line); !read)
      return std::move(read).error().with_note(
          fmt::format("line {} of the trace: {}", number, line));
  }
  return std::move(reader.trace);
}

} // namespace temper::s_tir
