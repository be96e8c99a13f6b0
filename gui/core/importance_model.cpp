#include "gui/core/importance_model.h"

#include "gui/core/format.h"

#include <cmath>

namespace temper::gui {

ImportanceModel::ImportanceModel(Analysis& analysis, QObject* parent)
    : QAbstractTableModel(parent), analysis_(analysis) {
  connect(&analysis_, &Analysis::dataChanged, this, [this] {
    if (analysis_.importance() == result_)
      return;
    beginResetModel();
    result_ = analysis_.importance();
    of_ = analysis_.data();
    endResetModel();
  });
}

QString ImportanceModel::sentence() const {
  if (!result_ || !of_)
    return analysis_.isBusy() ? tr("Reading what was decided…") : QString();
  if (result_->decisions.empty())
    return tr("Too little to learn from: %1 with a time, of which the decisions are known.")
        .arg(countText(result_->candidates, "record"));
  QString text = tr("From %1: the decisions foretell %2 % of the variance of log time in records "
                    "that were not learnt from.")
                     .arg(countText(result_->candidates, "record"))
                     .arg(100 * result_->explained, 0, 'f', 0);
  if (of_->failed > 0)
    text += tr(" %1 without a time left out.").arg(countText(of_->failed, "record"));
  if (analysis_.isBusy())
    text += tr(" Working…");
  return text;
}

QString ImportanceModel::nameOf(const Importance& importance) const {
  return importance.column < of_->axes.size() ? of_->axes[importance.column].name : QString();
}

std::optional<std::pair<QString, float>> ImportanceModel::bestOf(int row) const {
  if (!result_ || row < 0 || row >= rowCount())
    return std::nullopt;
  const Importance& importance = result_->decisions[static_cast<size_t>(row)];
  const std::vector<float>& values = of_->values[importance.column];
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] == static_cast<float>(importance.best) ||
        (std::isnan(values[i]) && std::isnan(importance.best)))
      return std::pair(nameOf(importance), of_->places[importance.column][i]);
  return std::nullopt;
}

QString ImportanceModel::csv() const {
  QString text = QStringLiteral("decision,share,alone,best_value,best_median_ns,other_median_ns\n");
  if (result_)
    for (const Importance& importance : result_->decisions)
      text += QStringLiteral("\"%1\",%2,%3,%4,%5,%6\n")
                  .arg(nameOf(importance))
                  .arg(importance.share, 0, 'g', 4)
                  .arg(importance.alone, 0, 'g', 4)
                  .arg(importance.best, 0, 'g', 6)
                  .arg(importance.bestNs, 0, 'g', 8)
                  .arg(importance.otherNs, 0, 'g', 8);
  return text;
}

int ImportanceModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() || !result_ ? 0 : static_cast<int>(result_->decisions.size());
}

int ImportanceModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant ImportanceModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const Importance& importance = result_->decisions[static_cast<size_t>(index.row())];
  if (role == Qt::TextAlignmentRole)
    return QVariant((index.column() == kDecision ? Qt::AlignLeft : Qt::AlignRight) |
                    Qt::AlignVCenter);
  if (role == kBarRole)
    return index.column() == kShare   ? QVariant(importance.share)
           : index.column() == kAlone ? QVariant(importance.alone)
                                      : QVariant();
  if (role == Qt::ToolTipRole)
    return index.column() == kBest ? tr("%1 have it").arg(countText(importance.bestCount, "record"))
                                   : nameOf(importance);
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
  case kDecision:
    return nameOf(importance);
  case kShare:
    return QStringLiteral("%1 %").arg(100 * importance.share, 0, 'f', 0);
  case kAlone:
    return QStringLiteral("%1 %").arg(100 * importance.alone, 0, 'f', 0);
  case kBest:
    return std::isnan(importance.best) ? tr("absent") : QString::number(importance.best, 'g', 6);
  case kBestTime:
    return timeText(importance.bestNs);
  case kOthersTime:
    return importance.otherNs > 0 ? timeText(importance.otherNs) : QString();
  default:
    return {};
  }
}

QVariant ImportanceModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"decision",   "importance", "by itself",
                                               "best value", "its median", "others'"};
  static const char* const hints[kColumns] = {
      "Loops as the trace names them",
      "How much worse the time is foretold when this decision is shuffled, as a share of all",
      "Share of the variance of log time that the decision's value alone explains",
      "The value whose records have the least median time",
      "Median time of the records with the best value",
      "Median time of all others"};
  if (orientation != Qt::Horizontal || section < 0 || section >= kColumns)
    return {};
  if (role == Qt::DisplayRole)
    return QString::fromLatin1(titles[section]);
  if (role == Qt::ToolTipRole)
    return QString::fromLatin1(hints[section]);
  if (role == Qt::TextAlignmentRole)
    return QVariant((section == kDecision ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
  return {};
}

} // namespace temper::gui
