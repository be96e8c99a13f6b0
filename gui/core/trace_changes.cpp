#include "gui/core/trace_changes.h"

#include "gui/core/diff.h"
#include "gui/core/format.h"
#include "ir/support/json.h"

#include <algorithm>
#include <map>
#include <optional>

namespace temper::gui {

namespace {

struct StoredTrace {
  Json instructions = Json::array(); ///< [name, inputs, attrs, outputs], up to post-processing
  std::map<size_t, Json> decisions;
};

bool isInstruction(const Json& json) {
  return json.is_array() && json.size() == 4 && json[0].is_string() && json[1].is_array() &&
         json[2].is_array() && json[3].is_array();
}

std::optional<StoredTrace> read(const std::string& program) {
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

/// "split(l6)", of the first step that takes what `index` decides; else of the decision itself.
QString userOf(const StoredTrace& trace, size_t index) {
  const Json& outputs = trace.instructions[index][3];
  for (size_t i = index + 1; i < trace.instructions.size(); ++i) {
    const Json& step = trace.instructions[i];
    const bool uses = std::any_of(outputs.begin(), outputs.end(), [&](const Json& output) {
      return std::find(step[1].begin(), step[1].end(), output) != step[1].end();
    });
    if (!uses)
      continue;
    QString text = toQString(step[0].get<std::string>());
    if (step[0] == "Annotate" && !step[2].empty() && step[2][0].is_string())
      return text + u' ' + toQString(step[2][0].get<std::string>());
    return !step[1].empty() && step[1][0].is_string()
               ? QStringLiteral("%1(%2)").arg(text, toQString(step[1][0].get<std::string>()))
               : text;
  }
  return toQString(trace.instructions[index][0].get<std::string>());
}

/// The decision as a person means it: the chosen value, not its number.
QString valueOf(const Json& instruction, const Json& decision) {
  if (instruction[0] == "SampleCategorical" && decision.is_number_unsigned() &&
      !instruction[2].empty() && instruction[2][0].is_array() &&
      decision.get<size_t>() < instruction[2][0].size())
    return toQString(instruction[2][0][decision.get<size_t>()].dump());
  return toQString(decision.dump()).replace(u',', QStringLiteral(", "));
}

/// Steps without the numbering of their names.
QStringList stepsOf(const StoredTrace& trace) {
  QStringList steps;
  for (const Json& step : trace.instructions)
    steps << toQString(step[0].get<std::string>() + step[2].dump());
  return steps;
}

} // namespace

QStringList changedDecisions(const std::string& a, const std::string& b) {
  const auto left = read(a), right = read(b);
  if (!left || !right)
    return {};
  if (left->instructions != right->instructions) {
    int onlyA = 0, onlyB = 0;
    for (const DiffLine& line : diffLines(stepsOf(*left), stepsOf(*right)))
      if (line.kind != DiffLine::Kind::kSame) {
        onlyA += line.left >= 0 ? 1 : 0;
        onlyB += line.right >= 0 ? 1 : 0;
      }
    return {QStringLiteral("other steps: %1 of A's are not in B, %2 of B's not in A")
                .arg(onlyA)
                .arg(onlyB)};
  }
  QStringList lines;
  for (const auto& [index, decision] : left->decisions) {
    const auto other = right->decisions.find(index);
    if (other == right->decisions.end() || other->second == decision)
      continue;
    const Json& instruction = left->instructions[index];
    lines << QStringLiteral("%1: %2 → %3")
                 .arg(userOf(*left, index), valueOf(instruction, decision),
                      valueOf(instruction, other->second));
  }
  return lines;
}

} // namespace temper::gui
