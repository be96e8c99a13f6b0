#include "gui/core/decisions.h"

#include "gui/core/format.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace temper::gui {

namespace {
constexpr float kAbsent = std::numeric_limits<float>::quiet_NaN();
}

int64_t DecisionTable::rowOf(uint64_t record) const {
  const auto at = std::lower_bound(records.begin(), records.end(), record);
  return at != records.end() && *at == record ? at - records.begin() : -1;
}

DecisionReader::Skeleton& DecisionReader::skeletonOf(std::string_view instructions,
                                                     const std::string& program) {
  const auto [entry, isNew] = skeletons_.try_emplace(std::string(instructions));
  Skeleton& skeleton = entry->second;
  if (!isNew)
    return skeleton;
  const auto trace = readTrace(program);
  // What post-processing did differs within a sketch, as do the choices that a shape leaves.
  // Knobs that others close are absent, which says all.
  std::string steps;
  if (trace)
    for (const Json& step : trace->instructions)
      if (step[0] != "SampleKnob")
        steps += step[0].get<std::string>() + step[1].dump();
  skeleton.sketch =
      sketches_.try_emplace(steps, static_cast<int>(sketches_.size()) + 1).first->second;
  if (!trace)
    return skeleton;
  skeleton.slots_ = decisionSlots(*trace);
  for (DecisionSlot& slot : skeleton.slots_) {
    // The same name of another kind of step is another decision.
    const std::string key = slot.name.toStdString() + '\n' +
                            trace->instructions[slot.instruction][0].get<std::string>();
    const auto [column, added] = columnOf_.try_emplace(key, names_.size());
    const size_t number = column->second;
    if (added) {
      names_.push_back(slot.name);
      words_.emplace_back();
      together_.push_back(number);
    }
    // Words are numbered by the column: another sketch may offer others.
    for (const QString& word : slot.words) {
      if (!words_[number].contains(word))
        words_[number] << word;
      slot.values.push_back(static_cast<double>(words_[number].indexOf(word)));
    }
    if (slot.factor > 0)
      together_[firstOf(number)] = firstOf(skeleton.columns.back());
    skeleton.columns.push_back(number);
  }
  return skeleton;
}

size_t DecisionReader::firstOf(size_t column) const {
  while (together_[column] != column)
    column = together_[column];
  return column;
}

void DecisionReader::add(uint64_t record, const std::string& program, double predicted) {
  const auto [instructions, decided] = halvesOf(program);
  if (instructions.empty())
    return;
  const Skeleton& skeleton = skeletonOf(instructions, program);
  if (skeleton.slots_.empty())
    return;
  Row row{record, static_cast<float>(predicted), skeleton.sketch, {}};
  const auto decisions = parse_json(decided);
  if (!decisions || !decisions->is_array())
    return;
  size_t slot = 0;
  for (const Json& pair : *decisions) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned())
      continue;
    const auto instruction = pair[0].get<size_t>();
    while (slot < skeleton.slots_.size() && skeleton.slots_[slot].instruction < instruction)
      ++slot;
    for (; slot < skeleton.slots_.size() && skeleton.slots_[slot].instruction == instruction;
         ++slot) {
      const DecisionSlot& made = skeleton.slots_[slot];
      double value = kAbsent;
      if (made.factor >= 0) {
        const auto factor = static_cast<size_t>(made.factor);
        if (pair[1].is_array() && factor < pair[1].size() && pair[1][factor].is_number())
          value = pair[1][factor].get<double>();
      } else if (pair[1].is_number()) {
        value = pair[1].get<double>();
        if (!made.values.empty())
          value = value >= 0 && value < static_cast<double>(made.values.size())
                      ? made.values[static_cast<size_t>(value)]
                      : kAbsent;
      }
      row.values.emplace_back(static_cast<uint32_t>(skeleton.columns[slot]),
                              static_cast<float>(value));
    }
  }
  rows_.push_back(std::move(row));
}

std::shared_ptr<const DecisionTable> DecisionReader::finish(const QString& workload) {
  auto table = std::make_shared<DecisionTable>();
  table->workload = workload;
  std::sort(rows_.begin(), rows_.end(),
            [](const Row& a, const Row& b) { return a.record < b.record; });
  const size_t count = rows_.size();
  std::vector<DecisionTable::Column> columns(names_.size() + 1);
  columns[0] = {QStringLiteral("sketch"), std::vector<float>(count), 0, {}};
  for (size_t i = 0; i < names_.size(); ++i)
    columns[i + 1] = {names_[i], std::vector<float>(count, kAbsent), firstOf(i) + 1, words_[i]};
  for (size_t i = 0; i < count; ++i) {
    const Row& row = rows_[i];
    table->records.push_back(row.record);
    table->predicted.push_back(row.predicted);
    columns[0].values[i] = static_cast<float>(row.sketch);
    for (const auto& [column, value] : row.values)
      columns[column + 1].values[i] = value;
  }
  for (DecisionTable::Column& column : columns) {
    const bool constant = std::all_of(column.values.begin(), column.values.end(), [&](float value) {
      return value == column.values.front() ||
             (std::isnan(value) && std::isnan(column.values.front()));
    });
    if (!constant)
      table->columns.push_back(std::move(column));
  }
  return table;
}

} // namespace temper::gui
