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

QVariant alignment(bool isText) {
  return QVariant((isText ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
}

QVariant headOf(int section, Qt::Orientation orientation, int role, int columns,
                const char* const* titles, const char* const* hints, int textColumns) {
  if (orientation != Qt::Horizontal || section < 0 || section >= columns)
    return {};
  if (role == Qt::DisplayRole)
    return QString::fromUtf8(titles[section]);
  if (role == Qt::ToolTipRole)
    return QString::fromUtf8(hints[section]);
  return role == Qt::TextAlignmentRole ? alignment(section < textColumns) : QVariant();
}

} // namespace

// ---- What they share

SharedErrorModel::SharedErrorModel(Analysis& analysis, QObject* parent)
    : QAbstractTableModel(parent), analysis_(analysis) {
  connect(&analysis_, &Analysis::dataChanged, this, [this] {
    if (analysis_.errors() == errors_)
      return;
    beginResetModel();
    errors_ = analysis_.errors();
    of_ = analysis_.data();
    endResetModel();
  });
}

QString SharedErrorModel::sentence() const {
  if (!errors_ || !of_)
    return analysis_.isBusy() ? tr("Reading what was predicted…") : QString();
  if (errors_->records.empty())
    return of_->records.empty()
               ? tr("No record passes the filter. Clear it, or choose another kernel above.")
               : tr("Nothing was predicted of these records: a run's model predicts once it has "
                    "learnt from a first batch.");
  const double mean = errors_->mean;
  QString text = tr("%1: missed by %2 typically, %3 on average.")
                     .arg(countText(static_cast<int64_t>(errors_->records.size()), "prediction"))
                     .arg(errors_->typical, 0, 'f', 2)
                     .arg(std::abs(mean) < 0.005 ? tr("neither too high nor too low")
                          : mean > 0             ? tr("too high by %1").arg(mean, 0, 'f', 2)
                                                 : tr("too low by %1").arg(-mean, 0, 'f', 2));
  if (errors_->failed > 0)
    text += tr(" %1 failed and count as speed 0.").arg(numberText(errors_->failed));
  if (errors_->shared.empty())
    text += tr(" No decision is missed otherwise than the rest, but by chance.");
  return text;
}

QString SharedErrorModel::valueText(const SharedError& shared) const {
  return std::isnan(shared.value) ? tr("absent")
                                  : QString::number(static_cast<double>(shared.value), 'g', 6);
}

std::optional<std::pair<QString, float>> SharedErrorModel::placeOf(int row) const {
  if (!errors_ || row < 0 || row >= rowCount())
    return std::nullopt;
  const SharedError& shared = errors_->shared[static_cast<size_t>(row)];
  const std::vector<float>& values = of_->values[shared.column];
  for (size_t i = 0; i < values.size(); ++i)
    if (values[i] == shared.value || (std::isnan(values[i]) && std::isnan(shared.value)))
      return std::pair(of_->axes[shared.column].name, of_->places[shared.column][i]);
  return std::nullopt;
}

QString SharedErrorModel::csv() const {
  QString text = QStringLiteral("decision,value,records,error,others,share_of_squares\n");
  for (int row = 0; row < rowCount(); ++row) {
    const SharedError& shared = errors_->shared[static_cast<size_t>(row)];
    text += QStringLiteral("\"%1\",%2,%3,%4,%5,%6\n")
                .arg(of_->axes[shared.column].name, valueText(shared))
                .arg(shared.count)
                .arg(shared.error, 0, 'g', 6)
                .arg(shared.others, 0, 'g', 6)
                .arg(shared.share, 0, 'g', 6);
  }
  return text;
}

int SharedErrorModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() || !errors_ ? 0 : static_cast<int>(errors_->shared.size());
}

int SharedErrorModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant SharedErrorModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const SharedError& shared = errors_->shared[static_cast<size_t>(index.row())];
  const QString& name = of_->axes[shared.column].name;
  switch (role) {
  case Qt::TextAlignmentRole:
    return alignment(index.column() <= kDecision);
  case kBarRole:
    return index.column() == kShare ? QVariant(shared.share) : QVariant();
  case Qt::ToolTipRole: {
    QString text = tr("%1 = %2: %3 of %4 with %5 % of the squared error")
                       .arg(name, valueText(shared), numberText(shared.count),
                            countText(static_cast<int64_t>(errors_->records.size()), "prediction"))
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
  switch (index.column()) {
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

QVariant SharedErrorModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"decision", "value",   "records",
                                               "error",    "others'", "of all error"};
  static const char* const hints[kColumns] = {
      "Decisions whose records are missed otherwise than the rest; those that chance makes in one "
      "of twenty such tables are left out",
      "What they decided",
      "Predictions of such records",
      "Score less measured speed, on average: above 0 the model hoped for too much",
      "The same of all others",
      "Their part of the sum of all squared errors"};
  return headOf(section, orientation, role, kColumns, titles, hints, kDecision + 1);
}

// ---- The records

ErrorRecordModel::ErrorRecordModel(Analysis& analysis, QObject* parent)
    : QAbstractTableModel(parent), analysis_(analysis) {
  connect(&analysis_, &Analysis::dataChanged, this, [this] {
    if (analysis_.errors() == errors_)
      return;
    errors_ = analysis_.errors();
    of_ = analysis_.data();
    take();
  });
  connect(&analysis_, &Analysis::brushChanged, this, &ErrorRecordModel::take);
}

void ErrorRecordModel::take() {
  beginResetModel();
  shown_.clear();
  // Another view may have other rows since.
  const auto on = analysis_.data() == of_ ? analysis_.on() : nullptr;
  for (size_t i = 0; errors_ && i < errors_->records.size() && shown_.size() < kMost; ++i)
    if (!on || (*on)[errors_->records[i].row] != 0)
      shown_.push_back(i);
  endResetModel();
}

QString ErrorRecordModel::idAt(int row) const {
  return row < 0 || row >= rowCount()
             ? QString()
             : idText(database::Kind::kMeasurement,
                      of_->records[errors_->records[shown_[static_cast<size_t>(row)]].row]);
}

int ErrorRecordModel::rowOf(const QString& id) const {
  const uint64_t digits = idDigits(id);
  const auto at = std::find_if(shown_.begin(), shown_.end(), [&](size_t i) {
    return of_->records[errors_->records[i].row] == digits;
  });
  return at == shown_.end() ? -1 : static_cast<int>(at - shown_.begin());
}

QString ErrorRecordModel::csv() const {
  QString text = QStringLiteral("record,score,speed,median_ns,error\n");
  if (errors_)
    for (const ScoreError& record : errors_->records)
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

int ErrorRecordModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(shown_.size());
}

int ErrorRecordModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant ErrorRecordModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount())
    return {};
  const ScoreError& record = errors_->records[shown_[static_cast<size_t>(index.row())]];
  if (role == Qt::TextAlignmentRole)
    return alignment(index.column() == kRecord);
  if (role == kBarRole) {
    const double largest = std::abs(errors_->records.front().error);
    return index.column() == kError && largest > 0 ? QVariant(std::abs(record.error) / largest)
                                                   : QVariant();
  }
  if (role == Qt::ToolTipRole)
    return tr("%1: the model gave it %2, it has %3 of the fastest's speed")
        .arg(shortId(idAt(index.row())))
        .arg(record.score, 0, 'f', 3)
        .arg(record.speed, 0, 'f', 3);
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
  case kRecord:
    return shortId(idAt(index.row()));
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

QVariant ErrorRecordModel::headerData(int section, Qt::Orientation orientation, int role) const {
  static const char* const titles[kColumns] = {"record", "score", "speed", "time", "error"};
  static const char* const hints[kColumns] = {
      "Those that the model missed by most", "What the model gave it before it was measured",
      "What was measured: 1 is as fast as the fastest", "Median time",
      "Score less speed: above 0 the model hoped for too much"};
  return headOf(section, orientation, role, kColumns, titles, hints, kRecord + 1);
}

} // namespace temper::gui
