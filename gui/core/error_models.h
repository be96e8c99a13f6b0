/// Where the cost model is wrong, as two table models: what the records that it misses have decided
/// alike, and these records, the greatest error first.
#pragma once

#include "gui/core/analysis.h"

#include <QAbstractTableModel>

#include <optional>

namespace temper::gui {

class SharedErrorModel : public QAbstractTableModel {
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

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
  QString valueText(const SharedError& shared) const;

  Analysis& analysis_;
  std::shared_ptr<const ModelErrors> errors_;
  std::shared_ptr<const PlotData> of_;
};

/// What is brushed away is left out, as in every view.
class ErrorRecordModel : public QAbstractTableModel {
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

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
  void take();

  Analysis& analysis_;
  std::shared_ptr<const ModelErrors> errors_;
  std::shared_ptr<const PlotData> of_;
  std::vector<size_t> shown_; ///< numbers in errors_->records
};

} // namespace temper::gui
