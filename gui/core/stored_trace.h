/// A stored program (a trace as JSON) read by the workbench: its steps, what was decided, and words
/// for both. What post-processing added is left out: it follows from the rest.
#pragma once

#include "ir/support/json.h"

#include <QStringList>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::gui {

struct StoredTrace {
  Json instructions = Json::array(); ///< [name, inputs, attrs, outputs], up to post-processing
  std::map<size_t, Json> decisions;  ///< by the number of their instruction
};

/// Nothing where the text is no trace.
std::optional<StoredTrace> readTrace(const std::string& program);

/// "split(l6)", of the first step that takes what instruction `index` decides, of a knob its name;
/// else of the decision itself.
QString decisionName(const StoredTrace& trace, size_t index);
/// The decision as a person means it: the chosen value, not its number.
QString decisionText(const Json& instruction, const Json& decision);

/// The two halves of a program's text, instructions and decisions, without reading either: of many
/// thousand programs most share the first. Empty where the text is no trace.
std::pair<std::string_view, std::string_view> halvesOf(std::string_view program);

/// One number that was decided: a factor of a tile, a category's value, a place.
struct DecisionSlot {
  QString name;               ///< "l6 → l13": the extent of l13, which split made of l6
  size_t instruction = 0;     ///< of the trace
  int factor = -1;            ///< which number of a list; -1: the decision is one number
  std::vector<double> values; ///< of a category, by its number; empty: the number itself
  QStringList words;          ///< of a category that no numbers name: what its choices are called
};
/// All of a trace, in its order.
std::vector<DecisionSlot> decisionSlots(const StoredTrace& trace);

} // namespace temper::gui
