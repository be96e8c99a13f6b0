/// The course of a run: every measurement as a dot, failures on a rug along the lower edge, the
/// best so far as a line. Times on a logarithmic axis, lower is better. Below, where there is a
/// model, how well it ranked each batch that it had not seen.
#pragma once

#include "gui/core/run_model.h"

#include <QWidget>

#include <optional>
#include <utility>

class QCustomPlot;
class QCPAxisRect;
class QCPGraph;

namespace temper::gui {

class RunPlot : public QWidget {
  Q_OBJECT
public:
  explicit RunPlot(QWidget* parent = nullptr);

  /// Null clears it.
  void setRun(const RunDetail* detail);
  /// A line at the time of the run's baseline; 0: none. Shown with the next run.
  void setBaseline(double ns, const QString& name);
  /// What is drawn, for tests and for "show as table".
  int measuredCount() const { return measured_; }
  int failedCount() const { return failed_; }
  int rankedCount() const { return static_cast<int>(quality_.size()); } ///< batches
  /// As .png, .svg or .pdf, or the numbers as .csv; false and a sentence when it cannot be written.
  bool exportTo(const QString& file, QString* problem) const;

signals:
  void recordClicked(const QString& id);

protected:
  void changeEvent(QEvent* event) override;

private:
  void restyle();
  void redraw();
  void showTip(const QPoint& position);
  int pointNear(const QPointF& position) const;
  void showQuality();
  /// The batch under the cursor, as a text; empty elsewhere.
  QString qualityTip(const QPoint& position) const;

  QCustomPlot* plot_;
  QCPAxisRect* model_;
  QCPGraph* ranked_;
  std::vector<database::ModelQuality> quality_; ///< with a rank correlation
  QCPGraph* dots_;
  QCPGraph* rug_;
  QCPGraph* best_;
  QCPGraph* confirmed_;
  QCPGraph* baseline_;
  double baselineNs_ = 0;
  QString baselineName_;
  std::vector<database::ConvergencePoint> points_;
  QString run_;
  double unit_ = 1; ///< nanoseconds of one on the axis
  double flops_ = database::kUnknown;
  std::string binding_; ///< of the run's workload
  int measured_ = 0;
  int failed_ = 0;
};

/// The samples of one measurement, as they were taken, with their interval.
class SamplePlot : public QWidget {
  Q_OBJECT
public:
  explicit SamplePlot(QWidget* parent = nullptr);
  void setMeasurement(const database::Measurement* measurement);
  /// From where to where its own samples would be drawn, nanoseconds; nothing without enough.
  std::optional<std::pair<double, double>> ownRange() const;
  /// Draws from there to there, so that two stand over each other; nothing: its own range.
  void setRange(std::optional<std::pair<double, double>> range);
  /// As .png or .svg, or the samples as .csv; false and a sentence when it cannot be written.
  bool exportTo(const QString& file, QString* problem);

protected:
  void paintEvent(QPaintEvent* event) override;

private:
  std::vector<float> samples_;
  std::optional<std::pair<double, double>> range_;
  double median_ = 0, low_ = 0, high_ = 0;
};

} // namespace temper::gui
