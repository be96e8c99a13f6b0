/// Where the cost model is wrong, as two table models: what the records that it misses have decided
/// alike, and these records, the greatest error first.
#pragma once

#include "gui/core/analysis_table.h"

#include <optional>

namespace temper::gui {

class SharedErrorModel : public TableOf<ModelErrors> {
  Q_OBJECT
public:
  enum Column { kDecision, kValue, kRecords, kError, kOthers, kShare, kColumns };
  /// The bar of a cell, 0 to 1; of kShare.
  static constexpr int kBarRole = Qt::UserRole;

  explicit SharedErrorModel(Analysis& analysis, QObject* parent = nullptr);

  /// "88 predictions: missed by 0.12 typically, ..."; empty without any.
  QString sentence() const;
  /// Name of the decision and the place of the value on its axis.
  std::optional<std::pair<QString, float>> placeOf(int row) const;
  QString csv() const;

private:
  size_t count() const override { return result_ ? result_->shared.size() : 0; }
  QVariant cell(size_t row, int column, int role) const override;
  QString valueText(const SharedError& shared) const;
};

/// What is brushed away is left out, as in every view.
class ErrorRecordModel : public TableOf<ModelErrors> {
  Q_OBJECT
public:
  enum Column { kRecord, kScore, kSpeed, kTime, kError, kColumns };
  static constexpr int kBarRole = Qt::UserRole; ///< of kError
  /// Nobody looks at more; the file has all.
  static constexpr size_t kMost = 500;

  explicit ErrorRecordModel(Analysis& analysis, QObject* parent = nullptr);

  QString idAt(int row) const;
  int rowOf(const QString& id) const; ///< -1 when it is not among them
  QString csv() const;

private:
  size_t count() const override { return shown_.size(); }
  QVariant cell(size_t row, int column, int role) const override;
  void arrange() override;

  std::vector<size_t> shown_; ///< numbers in result_->records
};

} // namespace temper::gui
