#include "gui/core/error_models.h"

#include "gui/core/format.h"

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {

QString signedText(double value) {
  return QStringLiteral("%1%2")
      .arg(value < 0 ? QStringLiteral("−") : QStringLiteral("+"))
      .arg(std::abs(value), 0, 'f', 2);
}

constexpr TableColumn kSharedHeads[] = {
    {"decision",
     "Decisions whose records are missed otherwise than the rest; those that chance makes in one "
     "of "
     "twenty such tables are left out",
     true},
    {"value", "What they decided"},
    {"records", "Predictions of such records"},
    {"error", "Score less measured speed, on average: above 0 the model hoped for too much"},
    {"others'", "The same of all others"},
    {"of all error", "Their part of the sum of all squared errors"}};
static_assert(std::size(kSharedHeads) == SharedErrorModel::kColumns);

constexpr TableColumn kRecordHeads[] = {
    {"record", "Those that the model missed by most", true},
    {"score", "What the model gave it before it was measured"},
    {"speed", "What was measured: 1 is as fast as the fastest"},
    {"time", "Median time"},
    {"error", "Score less speed: above 0 the model hoped for too much"}};
static_assert(std::size(kRecordHeads) == ErrorRecordModel::kColumns);

} // namespace

// ---- What they share

SharedErrorModel::SharedErrorModel(Analysis& analysis, QObject* parent)
    : TableOf(analysis, &Analysis::errors, kSharedHeads, parent) {}

QString SharedErrorModel::sentence() const {
  if (!result_ || !of_)
    return analysis_.isBusy() ? tr("Reading what was predicted…") : QString();
  if (result_->records.empty())
    return of_->records.empty()
               ? tr("No record passes the filter. Clear it, or choose another kernel above.")
               : tr("Nothing was predicted of these records: a run's model predicts once it has "
                    "learnt from a first batch.");
  const double mean = result_->mean;
  QString text = tr("%1: missed by %2 typically, %3 on average.")
                     .arg(countText(static_cast<int64_t>(result_->records.size()), "prediction"))
                     .arg(result_->typical, 0, 'f', 2)
                     .arg(std::abs(mean) < 0.005 ? tr("neither too high nor too low")
                          : mean > 0             ? tr("too high by %1").arg(mean, 0, 'f', 2)
                                                 : tr("too low by %1").arg(-mean, 0, 'f', 2));
  if (result_->failed > 0)
    text += tr(" %1 failed and count as speed 0.").arg(numberText(result_->failed));
  if (result_->shared.empty())
    text += tr(" No decision is missed otherwise than the rest, but by chance.");
  return text;
}

QString SharedErrorModel::valueText(const SharedError& shared) const {
  return of_->axes[shared.column].textOf(static_cast<double>(shared.value));
}

std::optional<std::pair<QString, float>> SharedErrorModel::placeOf(int row) const {
  if (!result_ || row < 0 || row >= rowCount())
    return std::nullopt;
  const SharedError& shared = result_->shared[static_cast<size_t>(row)];
  const auto place = of_->placeOf(shared.column, static_cast<double>(shared.value));
  return place ? std::optional(std::pair(of_->axes[shared.column].name, *place)) : std::nullopt;
}

QString SharedErrorModel::csv() const {
  QString text = QStringLiteral("decision,value,records,error,others,share_of_squares\n");
  for (int row = 0; row < rowCount(); ++row) {
    const SharedError& shared = result_->shared[static_cast<size_t>(row)];
    text += QStringLiteral("\"%1\",%2,%3,%4,%5,%6\n")
                .arg(of_->axes[shared.column].name, valueText(shared))
                .arg(shared.count)
                .arg(shared.error, 0, 'g', 6)
                .arg(shared.others, 0, 'g', 6)
                .arg(shared.share, 0, 'g', 6);
  }
  return text;
}

QVariant SharedErrorModel::cell(size_t row, int column, int role) const {
  const SharedError& shared = result_->shared[row];
  const QString& name = of_->axes[shared.column].name;
  switch (role) {
  case kBarRole:
    return column == kShare ? QVariant(shared.share) : QVariant();
  case Qt::ToolTipRole: {
    QString text = tr("%1 = %2: %3 of %4 with %5 % of the squared error")
                       .arg(name, valueText(shared), numberText(shared.count),
                            countText(static_cast<int64_t>(result_->records.size()), "prediction"))
                       .arg(100 * shared.share, 0, 'f', 0);
    if (shared.alike > 0)
      text += tr("\nThe same records, and no others, made %1 more alike.")
                  .arg(countText(shared.alike, "decision"));
    return text + tr("\nEnter keeps only these.");
  }
  case Qt::DisplayRole:
    break;
  default:
    return {};
  }
  switch (column) {
  case kDecision:
    return name;
  case kValue:
    return valueText(shared);
  case kRecords:
    return numberText(shared.count);
  case kError:
    return signedText(shared.error);
  case kOthers:
    return signedText(shared.others);
  case kShare:
    return QStringLiteral("%1 %").arg(100 * shared.share, 0, 'f', 0);
  default:
    return {};
  }
}

// ---- The records

ErrorRecordModel::ErrorRecordModel(Analysis& analysis, QObject* parent)
    : TableOf(analysis, &Analysis::errors, kRecordHeads, parent) {
  connect(&analysis_, &Analysis::brushChanged, this, [this] {
    beginResetModel();
    arrange();
    endResetModel();
  });
}

void ErrorRecordModel::arrange() {
  shown_.clear();
  // Another view may have other rows since.
  const auto on = analysis_.data() == of_ ? analysis_.on() : nullptr;
  for (size_t i = 0; result_ && i < result_->records.size() && shown_.size() < kMost; ++i)
    if (!on || (*on)[result_->records[i].row] != 0)
      shown_.push_back(i);
}

QString ErrorRecordModel::idAt(int row) const {
  return row < 0 || row >= rowCount()
             ? QString()
             : idText(database::Kind::kMeasurement,
                      of_->records[result_->records[shown_[static_cast<size_t>(row)]].row]);
}

int ErrorRecordModel::rowOf(const QString& id) const {
  const uint64_t digits = idDigits(id);
  const auto at = std::find_if(shown_.begin(), shown_.end(), [&](size_t i) {
    return of_->records[result_->records[i].row] == digits;
  });
  return at == shown_.end() ? -1 : static_cast<int>(at - shown_.begin());
}

QString ErrorRecordModel::csv() const {
  QString text = QStringLiteral("record,score,speed,median_ns,error\n");
  if (result_)
    for (const ScoreError& record : result_->records)
      text +=
          QStringLiteral("%1,%2,%3,%4,%5\n")
              .arg(idText(database::Kind::kMeasurement, of_->records[record.row]))
              .arg(record.score, 0, 'g', 6)
              .arg(record.speed, 0, 'g', 6)
              .arg(of_->timeNs[record.row] > 0 ? QString::number(of_->timeNs[record.row], 'g', 10)
                                               : QString())
              .arg(record.error, 0, 'g', 6);
  return text;
}

QVariant ErrorRecordModel::cell(size_t row, int column, int role) const {
  const ScoreError& record = result_->records[shown_[row]];
  if (role == kBarRole) {
    const double largest = std::abs(result_->records.front().error);
    return column == kError && largest > 0 ? QVariant(std::abs(record.error) / largest)
                                           : QVariant();
  }
  if (role == Qt::ToolTipRole)
    return tr("%1: the model gave it %2, it has %3 of the fastest's speed")
        .arg(shortId(idAt(static_cast<int>(row))))
        .arg(record.score, 0, 'f', 3)
        .arg(record.speed, 0, 'f', 3);
  if (role != Qt::DisplayRole)
    return {};
  switch (column) {
  case kRecord:
    return shortId(idAt(static_cast<int>(row)));
  case kScore:
    return QString::number(record.score, 'f', 2);
  case kSpeed:
    return QString::number(record.speed, 'f', 2);
  case kTime:
    return of_->timeNs[record.row] > 0 ? timeText(of_->timeNs[record.row]) : tr("failed");
  case kError:
    return signedText(record.error);
  default:
    return {};
  }
}

} // namespace temper::gui
