#include "gui/core/importance_model.h"

#include "gui/core/format.h"

#include <cmath>

namespace temper::gui {

namespace {

constexpr TableColumn kHeads[] = {
    {"decision", "Loops as the trace names them; below a tile its factors", true},
    {"importance",
     "Part of the variance of log time that is foretold when this decision becomes known, on "
     "average "
     "over all orders in which decisions become known (its Shapley value); all together make what "
     "the sentence above says"},
    {"shuffled",
     "How much worse the time is foretold when this decision is shuffled, as a share of "
     "all (permutation importance)"},
    {"by itself", "Share of the variance of log time that the decision's value alone explains"},
    {"best value", "The value whose records have the least median time"},
    {"its median", "Median time of the records with the best value"},
    {"others'", "Median time of all others"}};
static_assert(std::size(kHeads) == ImportanceModel::kColumns);

QString percent(double share) { return QStringLiteral("%1 %").arg(100 * share, 0, 'f', 0); }

} // namespace

ImportanceModel::ImportanceModel(Analysis& analysis, QObject* parent)
    : TableOf(analysis, &Analysis::importance, kHeads, parent) {}

QString ImportanceModel::sentence() const {
  if (!result_ || !of_)
    return analysis_.isBusy() ? tr("Reading what was decided…") : QString();
  if (result_->decisions.empty())
    return tr("Too little to learn from: %1 with a time, of which the decisions are known.")
        .arg(countText(result_->candidates, "record"));
  QString text = tr("From %1: the decisions foretell %2 % of the variance of log time in records "
                    "that were not learnt from. Each one's importance is its part of that.")
                     .arg(countText(result_->candidates, "record"))
                     .arg(100 * result_->explained, 0, 'f', 0);
  if (constexpr double kLittle = 0.1; result_->explained < kLittle)
    text += tr(" That is so little that they say nothing: measure more records.");
  if (of_->failed > 0)
    text += tr(" %1 without a time left out.").arg(countText(of_->failed, "record"));
  if (of_->undecided > 0)
    text += tr(" %1 that decided nothing, as the untuned program, left out.")
                .arg(countText(of_->undecided, "record"));
  if (analysis_.isBusy())
    text += tr(" Working…");
  return text;
}

QString ImportanceModel::nameOf(const Importance& importance) const {
  QString text;
  for (const size_t column : importance.columns) {
    if (column >= of_->axes.size())
      return {};
    const QString& name = of_->axes[column].name;
    // What the loops are made from is said once: "l1 → l4, l5".
    const auto arrow = name.indexOf(QStringLiteral(" → "));
    if (text.isEmpty())
      text = name;
    else if (arrow > 0 && text.startsWith(name.left(arrow + 3)))
      text += QStringLiteral(", ") + name.mid(arrow + 3);
    else
      text += QStringLiteral(", ") + name;
  }
  return text;
}

QString ImportanceModel::bestText(const Importance& importance) const {
  QStringList parts;
  for (size_t i = 0; i < importance.best.size(); ++i)
    parts << of_->axes[importance.columns[i]].textOf(importance.best[i]);
  if (parts.count(QStringLiteral("absent")) == parts.size() && !parts.isEmpty())
    return parts.front();
  return parts.join(QStringLiteral(", "));
}

std::vector<std::pair<QString, float>> ImportanceModel::bestOf(int row) const {
  std::vector<std::pair<QString, float>> places;
  if (row < 0 || row >= rowCount())
    return places;
  const Importance& importance = result_->decisions[static_cast<size_t>(row)];
  for (size_t i = 0; i < importance.best.size(); ++i)
    if (const auto place = of_->placeOf(importance.columns[i], importance.best[i]))
      places.emplace_back(of_->axes[importance.columns[i]].name, *place);
  return places;
}

QString ImportanceModel::csv() const {
  QString text = QStringLiteral(
      "decision,factor_of,shapley,shuffled,alone,best_value,best_median_ns,other_median_ns\n");
  QString whole;
  const auto number = [](double value, int digits) {
    return std::isnan(value) ? QString() : QString::number(value, 'g', digits);
  };
  for (size_t row = 0; row < count(); ++row) {
    const Importance& importance = result_->decisions[row];
    if (!importance.isFactor)
      whole = nameOf(importance);
    const double unknown = std::nan("");
    text += QStringLiteral("\"%1\",\"%2\",%3,%4,%5,\"%6\",%7,%8\n")
                .arg(nameOf(importance), importance.isFactor ? whole : QString(),
                     number(importance.isFactor ? unknown : importance.shapley, 4),
                     number(importance.isFactor ? unknown : importance.shuffled, 4),
                     number(importance.alone, 4), bestText(importance),
                     number(importance.bestNs, 8), number(importance.otherNs, 8));
  }
  return text;
}

QVariant ImportanceModel::cell(size_t row, int column, int role) const {
  const Importance& importance = result_->decisions[row];
  const bool isPart = column == kShapley || column == kShuffled;
  if (isPart && importance.isFactor) // they are known and shuffled together
    return role == Qt::ToolTipRole ? tr("with its decision, above") : QVariant();
  const double share = column == kShapley    ? std::max(0.0, importance.shapley)
                       : column == kShuffled ? importance.shuffled
                                             : importance.alone;
  switch (role) {
  case kBarRole:
    return isPart || column == kAlone ? QVariant(share) : QVariant();
  case Qt::ToolTipRole:
    if (column != kBest)
      return importance.best.empty()
                 ? nameOf(importance)
                 : nameOf(importance) + tr("\nEnter keeps only the records with the best value.");
    return importance.best.empty()
               ? tr("No values have enough records: look at the factors one by one")
               : tr("%1 have it\nEnter keeps only these.")
                     .arg(countText(importance.bestCount, "record"));
  case Qt::DisplayRole:
    break;
  default:
    return {};
  }
  switch (column) {
  case kDecision:
    return importance.isFactor ? QStringLiteral("      ") + nameOf(importance) : nameOf(importance);
  case kShapley:
  case kShuffled:
  case kAlone:
    return percent(share);
  case kBest:
    return importance.best.empty() ? QStringLiteral("–") : bestText(importance);
  case kBestTime:
    return importance.bestNs > 0 ? timeText(importance.bestNs) : QString();
  case kOthersTime:
    return importance.otherNs > 0 ? timeText(importance.otherNs) : QString();
  default:
    return {};
  }
}

} // namespace temper::gui
