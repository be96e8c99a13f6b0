/// What the candidates of one workload decided, as columns of numbers: a column for each decision
/// that any of them made, NaN where a candidate has no such decision (another sketch, a condition
/// that did not hold). The matter of parallel coordinates and of the importance of decisions.
#pragma once

#include "gui/core/stored_trace.h"

#include <QString>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace temper::gui {

struct DecisionTable {
  struct Column {
    QString name;
    std::vector<float> values; ///< per row; NaN: absent
    /// Columns of the same number are one decision: the factors of a tile.
    size_t decision = 0;
    /// Of choices that no numbers name: value i is words[i]. Empty: the values are what is meant.
    QStringList words;
  };
  QString workload; ///< id
  /// The first is "sketch" where there are several; constant columns are left out.
  std::vector<Column> columns;
  std::vector<uint64_t> records; ///< digits of the ids, ascending: rows
  std::vector<float> predicted;  ///< score before it was measured, larger is faster; NaN: none

  /// Row of a record; -1 when it has none.
  int64_t rowOf(uint64_t record) const;
};

/// Makes a table of programs that come one by one. Reads each skeleton of a program once: a hundred
/// thousand programs take about a second.
class DecisionReader {
public:
  /// Programs that are no trace (the untuned program) have no decisions.
  void add(uint64_t record, const std::string& program, double predicted);
  size_t size() const { return rows_.size(); }
  std::shared_ptr<const DecisionTable> finish(const QString& workload);

private:
  struct Skeleton {
    int sketch = 0;
    std::vector<DecisionSlot> slots_;
    std::vector<size_t> columns; ///< of each slot
  };
  struct Row {
    uint64_t record;
    float predicted;
    int sketch;
    std::vector<std::pair<uint32_t, float>> values; ///< column, number
  };
  Skeleton& skeletonOf(std::string_view instructions, const std::string& program);
  size_t firstOf(size_t column) const; ///< the one that stands for its decision

  std::unordered_map<std::string, Skeleton> skeletons_;
  std::unordered_map<std::string, int> sketches_; ///< by steps without numbers of post-processing
  std::unordered_map<std::string, size_t> columnOf_;
  std::vector<QString> names_;
  std::vector<QStringList> words_; ///< of each column
  std::vector<size_t> together_;   ///< another column of the same decision, or the column itself
  std::vector<Row> rows_;
};

} // namespace temper::gui
