/// The runs of a database as a table model, newest first.
#pragma once

#include "database/query.h"
#include "database/records.h"

#include <QAbstractTableModel>
#include <QString>

#include <functional>
#include <vector>

namespace temper::gui {

/// A run as a line: what the store says, and the best of it.
struct RunRow {
  database::Run run;
  QString workload; ///< "matmul M=512 N=512 K=512"
  double flops = database::kUnknown;
  std::string binding; ///< the workload's, as JSON
  double bestNs = database::kUnknown;
  QString bestRecord;

  bool isLive() const {
    return run.state == database::RunState::kRunning || run.state == database::RunState::kCreated;
  }
  /// Seconds that are left by the trials' or the time's budget; NaN when there is neither.
  double secondsLeft() const;
  bool canResume() const {
    return run.state == database::RunState::kInterrupted ||
           run.state == database::RunState::kPaused || run.state == database::RunState::kFailed;
  }
};

class RunModel : public QAbstractTableModel {
  Q_OBJECT
public:
  enum Column { kState, kWorkload, kTrials, kBest, kRatio, kTime, kStarted, kColumns };

  using QAbstractTableModel::QAbstractTableModel;

  /// Rows that stay keep their place in views (and their selection): only what changed is told.
  void setRows(std::vector<RunRow> rows);
  const std::vector<RunRow>& rows() const { return rows_; }
  /// What a run's best is of the baseline of its kind, in words.
  void setRatioOf(std::function<QString(const QString& record)> ratioOf) {
    ratioOf_ = std::move(ratioOf);
  }
  /// Ratios are others.
  void ratiosChanged();
  const RunRow* find(const QString& id) const;
  int rowOf(const QString& id) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
  std::vector<RunRow> rows_;
  std::function<QString(const QString&)> ratioOf_;
};

/// "2 of the batch's best 4 were foreseen"; empty where the batch was too small to say so.
QString foreseenText(const database::ModelQuality& batch);

/// What the page of a run shows.
struct RunDetail {
  RunRow row;
  std::vector<database::ConvergencePoint> points;
  std::vector<database::FailureGroup> failures;
  std::vector<database::ModelQuality> quality;

  /// "200 trials in 21.3 s, 9.4 a second; stopped: 200 trials".
  QString progressText() const;
  /// "proposed 412 > legal 410 > compiled 200 > ..."; empty when not known.
  QString funnelText() const;
  /// How well the model ranked the last batch of many candidates, else the last one, in words;
  /// empty before there was one.
  QString modelText() const;
  /// Trials that the run had done when the model's ranking of a batch was known: up to its end.
  static int64_t trialsAt(const std::vector<database::ConvergencePoint>& points,
                          const database::ModelQuality& batch);
  /// Every trial as a line of comma-separated values, with a head; the last of a batch has how well
  /// the model ranked that batch.
  static QString csv(const std::vector<database::ConvergencePoint>& points,
                     const std::vector<database::ModelQuality>& quality = {});
  /// Seconds that are left by the trials' or the time's budget; NaN when there is neither.
  double secondsLeft() const;
};

} // namespace temper::gui
