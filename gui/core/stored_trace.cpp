#include "gui/core/stored_trace.h"

#include "gui/core/format.h"

#include <algorithm>

namespace temper::gui {

namespace {

bool isInstruction(const Json& json) {
  return json.is_array() && json.size() == 4 && json[0].is_string() && json[1].is_array() &&
         json[2].is_array() && json[3].is_array();
}

/// What a decision chooses from by its number: of a category or a knob; null where it is no such
/// choice.
const Json* choicesOf(const Json& instruction) {
  const size_t at = instruction[0] == "SampleKnob" ? 1 : 0; // after its name
  return (at == 1 || instruction[0] == "SampleCategorical") && instruction[2].size() > at &&
                 instruction[2][at].is_array()
             ? &instruction[2][at]
             : nullptr;
}

QString choiceText(const Json& choice) {
  return toQString(choice.is_string() ? choice.get<std::string>() : choice.dump());
}

} // namespace

std::optional<StoredTrace> readTrace(const std::string& program) {
  const auto json = parse_json(program);
  if (!json || !json->is_array() || json->size() != 2 || !(*json)[0].is_array() ||
      !(*json)[1].is_array())
    return std::nullopt;
  StoredTrace trace;
  for (const Json& instruction : (*json)[0]) {
    if (!isInstruction(instruction))
      return std::nullopt;
    if (instruction[0] == "EnterPostproc")
      break;
    trace.instructions.push_back(instruction);
  }
  for (const Json& decision : (*json)[1])
    if (decision.is_array() && decision.size() == 2 && decision[0].is_number_unsigned() &&
        decision[0].get<size_t>() < trace.instructions.size())
      trace.decisions[decision[0].get<size_t>()] = decision[1];
  return trace;
}

QString decisionName(const StoredTrace& trace, size_t index) {
  if (const Json& own = trace.instructions[index];
      own[0] == "SampleKnob" && !own[2].empty() && own[2][0].is_string())
    return toQString(own[2][0].get<std::string>());
  const Json& outputs = trace.instructions[index][3];
  for (size_t i = index + 1; i < trace.instructions.size(); ++i) {
    const Json& step = trace.instructions[i];
    const bool uses = std::any_of(outputs.begin(), outputs.end(), [&](const Json& output) {
      return std::find(step[1].begin(), step[1].end(), output) != step[1].end();
    });
    if (!uses)
      continue;
    QString text = toQString(step[0].get<std::string>());
    text[0] = text[0].toLower(); // as the trace calls it
    if (step[0] == "Annotate" && !step[2].empty() && step[2][0].is_string())
      return text + u' ' + toQString(step[2][0].get<std::string>());
    return !step[1].empty() && step[1][0].is_string()
               ? QStringLiteral("%1(%2)").arg(text, toQString(step[1][0].get<std::string>()))
               : text;
  }
  return toQString(trace.instructions[index][0].get<std::string>());
}

QString decisionText(const Json& instruction, const Json& decision) {
  if (const Json* choices = choicesOf(instruction);
      choices && decision.is_number_unsigned() && decision.get<size_t>() < choices->size())
    return choiceText((*choices)[decision.get<size_t>()]);
  return toQString(decision.dump()).replace(u',', QStringLiteral(", "));
}

std::pair<std::string_view, std::string_view> halvesOf(std::string_view program) {
  // [[instructions],[decisions]]: the second half holds numbers only, so that its start is found
  // from the end by counting brackets.
  if (program.size() < 6 || !program.starts_with("[[") || !program.ends_with("]]"))
    return {};
  int depth = 0;
  for (size_t i = program.size() - 1; i-- > 1;) {
    if (program[i] == ']')
      ++depth;
    else if (program[i] == '[' && --depth == 0) {
      if (program[i - 1] != ',')
        return {};
      return {program.substr(1, i - 2), program.substr(i, program.size() - 1 - i)};
    } else if (program[i] == '"') {
      return {};
    }
  }
  return {};
}

std::vector<DecisionSlot> decisionSlots(const StoredTrace& trace) {
  std::vector<DecisionSlot> slots_;
  // "l6 → l13" where what is decided is the extent of a loop that split makes, else the user's
  // name.
  const auto nameOf = [&](size_t index, size_t output) -> QString {
    const Json& outputs = trace.instructions[index][3];
    if (output < outputs.size())
      for (size_t i = index + 1; i < trace.instructions.size(); ++i) {
        const Json& step = trace.instructions[i];
        if (step[0] != "Split" && step[0] != "LoopPartition")
          continue;
        for (size_t factor = 1; factor < step[1].size() && factor <= step[3].size(); ++factor)
          if (step[1][factor] == outputs[output] && step[1][0].is_string() &&
              step[3][factor - 1].is_string())
            return QStringLiteral("%1 → %2").arg(toQString(step[1][0].get<std::string>()),
                                                 toQString(step[3][factor - 1].get<std::string>()));
      }
    return decisionName(trace, index);
  };
  for (const auto& [index, decision] : trace.decisions) {
    const Json& instruction = trace.instructions[index];
    DecisionSlot slot;
    slot.instruction = index;
    if (decision.is_array()) {
      for (size_t factor = 0; factor < decision.size(); ++factor) {
        slot.factor = static_cast<int>(factor);
        slot.name = nameOf(index, factor);
        slots_.push_back(slot);
      }
      continue;
    }
    slot.name = nameOf(index, 0);
    if (const Json* choices = choicesOf(instruction)) {
      const bool numbers = std::all_of(choices->begin(), choices->end(),
                                       [](const Json& choice) { return choice.is_number(); });
      for (const Json& choice : *choices) {
        if (numbers)
          slot.values.push_back(choice.get<double>());
        else
          slot.words << choiceText(choice);
      }
    }
    slots_.push_back(std::move(slot));
  }
  // Names tell axes apart: what has the name of another gets a number.
  std::map<QString, int> seen;
  for (DecisionSlot& slot : slots_)
    if (const int number = ++seen[slot.name]; number > 1)
      slot.name += QStringLiteral(" #%1").arg(number);
  return slots_;
}

} // namespace temper::gui
