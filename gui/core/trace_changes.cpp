#include "gui/core/trace_changes.h"

#include "gui/core/diff.h"
#include "gui/core/format.h"
#include "gui/core/stored_trace.h"

#include <QRegularExpression>

#include <algorithm>

namespace temper::gui {

namespace {

/// Steps without the numbering of their names; what an annotation says is among the inputs.
QStringList stepsOf(const StoredTrace& trace) {
  static const QRegularExpression numbered(QStringLiteral("\"([a-z])[0-9]+\""));
  QStringList steps;
  for (const Json& step : trace.instructions) {
    QString inputs = toQString(step[1].dump());
    inputs.replace(numbered, QStringLiteral("\"\\1\""));
    steps << toQString(step[0].get<std::string>()) + inputs + toQString(step[2].dump());
  }
  return steps;
}

} // namespace

QStringList changedDecisions(const std::string& a, const std::string& b) {
  const auto left = readTrace(a), right = readTrace(b);
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
                 .arg(decisionName(*left, index), decisionText(instruction, decision),
                      decisionText(instruction, other->second));
  }
  return lines;
}

} // namespace temper::gui
