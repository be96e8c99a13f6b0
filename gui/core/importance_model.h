/// The importance of decisions as a table model, most important first.
#pragma once

#include "gui/core/analysis.h"

#include <QAbstractTableModel>

namespace temper::gui {

class ImportanceModel : public QAbstractTableModel {
  Q_OBJECT
public:
  enum Column { kDecision, kShare, kAlone, kBest, kBestTime, kOthersTime, kColumns };
  /// The bar of a cell, 0 to 1; of kShare and kAlone.
  static constexpr int kBarRole = Qt::UserRole;

  explicit ImportanceModel(Analysis& analysis, QObject* parent = nullptr);

  /// "117 candidates; the decisions explain 81 % of ...".
  QString sentence() const;
  /// Name of the decision and the place of its best value on its axis.
  std::optional<std::pair<QString, float>> bestOf(int row) const;
  QString csv() const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
  QString nameOf(const Importance& importance) const;

  Analysis& analysis_;
  std::shared_ptr<const ImportanceResult> result_;
  std::shared_ptr<const PlotData> of_;
};

} // namespace temper::gui
