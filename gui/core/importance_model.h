/// The importance of decisions as a table model, most important first, the factors of a tile below
/// their decision.
#pragma once

#include "gui/core/analysis_table.h"

namespace temper::gui {

class ImportanceModel : public TableOf<ImportanceResult> {
  Q_OBJECT
public:
  enum Column { kDecision, kShapley, kShuffled, kAlone, kBest, kBestTime, kOthersTime, kColumns };
  /// The bar of a cell, 0 to 1; of kShapley, kShuffled and kAlone.
  static constexpr int kBarRole = Qt::UserRole;

  explicit ImportanceModel(Analysis& analysis, QObject* parent = nullptr);

  /// "117 candidates; the decisions explain 81 % of ...".
  QString sentence() const;
  /// The axes of a row with the places of their best values; empty where nothing is best.
  std::vector<std::pair<QString, float>> bestOf(int row) const;
  QString csv() const;

private:
  size_t count() const override { return result_ ? result_->decisions.size() : 0; }
  QVariant cell(size_t row, int column, int role) const override;
  /// "l1 → l4, l5", or the one axis.
  QString nameOf(const Importance& importance) const;
  QString bestText(const Importance& importance) const;
};

} // namespace temper::gui
