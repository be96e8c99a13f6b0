#include "gui/core/run_model.h"

#include "gui/core/format.h"
#include "ir/support/json.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace temper::gui {

void RunModel::setRows(std::vector<RunRow> rows) {
  // Runs are only added in front: what is common at the end keeps its rows.
  size_t added = 0;
  while (added < rows.size() && !rows_.empty() && rows[added].run.id != rows_.front().run.id)
    ++added;
  bool extends = rows_.empty() || added < rows.size();
  for (size_t i = 0; extends && i < rows_.size(); ++i)
    extends = added + i < rows.size() && rows[added + i].run.id == rows_[i].run.id;
  if (!extends || rows_.empty() || rows.size() != added + rows_.size()) {
    beginResetModel();
    rows_ = std::move(rows);
    endResetModel();
    return;
  }
  if (added > 0) {
    beginInsertRows({}, 0, static_cast<int>(added) - 1);
    rows_ = std::move(rows);
    endInsertRows();
  } else {
    rows_ = std::move(rows);
  }
  emit dataChanged(index(0, 0), index(rowCount() - 1, kColumns - 1));
}

void RunModel::ratiosChanged() {
  if (!rows_.empty())
    emit dataChanged(index(0, kRatio), index(rowCount() - 1, kRatio));
}

double RunRow::secondsLeft() const {
  double left = database::kUnknown;
  if (run.budget_seconds > 0)
    left = std::max(0.0, run.budget_seconds - run.seconds);
  if (run.budget_trials > 0 && run.trials > 0) {
    const double byTrials =
        run.seconds / static_cast<double>(run.trials) *
        static_cast<double>(std::max<int64_t>(0, run.budget_trials - run.trials));
    left = std::isnan(left) ? byTrials : std::min(left, byTrials);
  }
  return left;
}

const RunRow* RunModel::find(const QString& id) const {
  const int row = rowOf(id);
  return row < 0 ? nullptr : &rows_[static_cast<size_t>(row)];
}

int RunModel::rowOf(const QString& id) const {
  for (size_t row = 0; row < rows_.size(); ++row)
    if (toQString(rows_[row].run.id) == id)
      return static_cast<int>(row);
  return -1;
}

int RunModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int RunModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant RunModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const RunRow& row = rows_[static_cast<size_t>(index.row())];
  if (role == Qt::TextAlignmentRole) {
    const bool right = index.column() >= kTrials && index.column() <= kTime;
    return QVariant((right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
  }
  if (role == Qt::UserRole)
    return toQString(row.run.id);
  if (role == Qt::ToolTipRole)
    return toQString(row.run.command_line.empty() ? row.run.id
                                                  : row.run.id + ": " + row.run.command_line);
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
  case kState:
    return stateText(row.run.state);
  case kWorkload:
    return row.workload;
  case kTrials:
    return row.run.budget_trials > 0 && row.isLive()
               ? QStringLiteral("%1 / %2").arg(row.run.trials).arg(row.run.budget_trials)
               : numberText(row.run.trials);
  case kBest:
    return row.bestNs > 0 ? timeText(row.bestNs) : QString();
  case kRatio:
    return ratioOf_ ? ratioOf_(row.bestRecord) : QString();
  case kTime: {
    const double left = row.secondsLeft();
    return row.run.state == database::RunState::kRunning && std::isfinite(left)
               ? QStringLiteral("%1 + ~%2").arg(secondsText(row.run.seconds), secondsText(left))
               : secondsText(row.run.seconds);
  }
  case kStarted:
    return dateText(row.run.started_at);
  default:
    return {};
  }
}

QVariant RunModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"state",   "workload", "trials", "best",
                                               "of base", "time",     "started"};
  if (orientation != Qt::Horizontal || section < 0 || section >= kColumns)
    return {};
  if (role == Qt::DisplayRole)
    return QString::fromLatin1(titles[section]);
  if (role == Qt::TextAlignmentRole)
    return QVariant((section >= kTrials && section <= kTime ? Qt::AlignRight : Qt::AlignLeft) |
                    Qt::AlignVCenter);
  return {};
}

QString RunDetail::progressText() const {
  QString text = QStringLiteral("%1 in %2")
                     .arg(countText(row.run.trials, "trial"), secondsText(row.run.seconds));
  if (row.run.trials > 0 && row.run.seconds > 0)
    text += QStringLiteral(", %1 a second")
                .arg(static_cast<double>(row.run.trials) / row.run.seconds, 0, 'f', 1);
  if (const double left = secondsLeft(); row.isLive() && std::isfinite(left))
    text += QStringLiteral(", about %1 left").arg(secondsText(left));
  if (!row.run.stopped_because.empty())
    text += QStringLiteral("; stopped: %1").arg(toQString(row.run.stopped_because));
  if (!row.run.parent_record.empty())
    text += QStringLiteral("; around %1").arg(shortId(toQString(row.run.parent_record)));
  return text;
}

QString RunDetail::funnelText() const {
  const auto funnel = parse_json(row.run.funnel_json);
  if (!funnel || !funnel->is_object())
    return {};
  QStringList stages;
  for (const char* stage : {"proposed", "legal", "compiled", "ran", "correct", "timed"})
    if (const auto entry = funnel->find(stage); entry != funnel->end() && entry->is_object())
      stages << QStringLiteral("%1 %2")
                    .arg(QString::fromLatin1(stage))
                    .arg(numberText(entry->value("count", int64_t{0})));
  return stages.join(QStringLiteral("  ›  "));
}

QString foreseenText(const database::ModelQuality& batch) {
  // Of one or two it is all or nothing: chance.
  constexpr int64_t kEnough = 3;
  if (std::isnan(batch.top_recall) || batch.top_k < kEnough)
    return {};
  const int64_t found = std::llround(batch.top_recall * static_cast<double>(batch.top_k));
  return QStringLiteral("%1 of the batch's best %2 %3 foreseen")
      .arg(found)
      .arg(batch.top_k)
      .arg(found == 1 ? QStringLiteral("was") : QStringLiteral("were"));
}

QString RunDetail::modelText() const {
  if (quality.empty())
    return {};
  const database::ModelQuality& last = quality.back();
  QStringList parts;
  if (!std::isnan(last.rank_correlation))
    parts << QStringLiteral("rank correlation %1 in its last batch")
                 .arg(last.rank_correlation, 0, 'f', 2);
  // Of the last batch that was large enough: the end of a run is often short of candidates.
  for (auto batch = quality.rbegin(); batch != quality.rend(); ++batch)
    if (const QString words = foreseenText(*batch); !words.isEmpty()) {
      parts << (batch == quality.rbegin()
                    ? words
                    : QStringLiteral("%1 in batch %2").arg(words).arg(batch->batch + 1));
      break;
    }
  return parts.join(QStringLiteral(", "));
}

int64_t RunDetail::trialsAt(const std::vector<database::ConvergencePoint>& points,
                            const database::ModelQuality& batch) {
  return std::count_if(points.begin(), points.end(), [&](const database::ConvergencePoint& point) {
    return point.measured_at <= batch.measured_at;
  });
}

QString RunDetail::csv(const std::vector<database::ConvergencePoint>& points,
                       const std::vector<database::ModelQuality>& quality) {
  QString text = QStringLiteral("trial,record,outcome,median_ns,best_ns,model_rank_correlation\n");
  std::map<int64_t, double> ranked; // by the last trial of the batch
  for (const database::ModelQuality& batch : quality)
    if (!std::isnan(batch.rank_correlation))
      ranked[trialsAt(points, batch)] = batch.rank_correlation;
  const auto number = [](double ns) { return ns > 0 ? QString::number(ns, 'g', 10) : QString(); };
  int trial = 0;
  for (const database::ConvergencePoint& point : points) {
    const auto batch = ranked.find(trial + 1);
    text +=
        QStringLiteral("%1,%2,%3,%4,%5,%6\n")
            .arg(++trial)
            .arg(toQString(point.record), QString::fromLatin1(database::to_string(point.outcome)),
                 number(point.median_ns), number(point.best_ns),
                 batch == ranked.end() ? QString() : QString::number(batch->second, 'g', 4));
  }
  return text;
}

double RunDetail::secondsLeft() const { return row.secondsLeft(); }

} // namespace temper::gui
