/// What the plots of Explore show: the records that the filter leaves, of one series at a time,
/// because only those may be compared; what their candidates decided; what was predicted of them;
/// how important each decision is; and all kernels of a machine under its roofline. Everything is
/// computed on other threads, and only what a view that shows wants. What is brushed in one view
/// restricts the table and all views.
///
///   Analysis analysis(records, database);
///   analysis.want(Analysis::View::kDecisions);
///   connect(&analysis, &Analysis::dataChanged, ...);   analysis.data()->axes ...
#pragma once

#include "gui/core/decisions.h"
#include "gui/core/importance.h"
#include "gui/core/model_errors.h"
#include "gui/core/record_model.h"
#include "gui/core/store_client.h"
#include "gui/core/temper_session.h"

#include <QObject>
#include <QTimer>

#include <memory>
#include <optional>

namespace temper::gui {

struct PlotAxis {
  QString name;
  enum class Kind : uint8_t { kDecision, kPredicted, kTime } kind = Kind::kDecision;
  /// Place from 0 (bottom) to 1 (top) and what stands there.
  std::vector<std::pair<float, QString>> ticks;
  bool hasAbsent = false; ///< some have no value: they stand below 0
  /// Of a decision: axes of the same number are factors of one decision.
  size_t decision = 0;
  QStringList words; ///< DecisionTable::Column::words

  /// A decision's value in words: "16", "mfma", "absent" where it is NaN.
  QString textOf(double value) const;
};

/// Where what has no value stands on an axis.
inline constexpr float kAbsentPlace = -0.09f;

/// The records of one series as columns.
struct PlotData {
  Series series;
  std::vector<uint64_t> records; ///< digits of ids: rows
  std::vector<double> timeNs;    ///< NaN: no time
  std::vector<double> predicted; ///< score; NaN: none
  /// 1 for predictions of the second half of a run's trials, when its model had seen more.
  std::vector<uint8_t> late;
  std::vector<float> tones; ///< 0 the fastest, 1 the slowest by rank; NaN: no time
  std::vector<PlotAxis> axes;
  std::vector<std::vector<float>> places; ///< per axis and row; kAbsentPlace where absent
  std::vector<std::vector<float>> values; ///< of decisions, per axis and row; NaN: absent
  size_t hiddenAxes = 0; ///< decisions that say less of the time than those that have an axis
  int64_t failed = 0;
  int64_t undecided = 0;            ///< without decisions: the untuned program, those of others
  std::vector<uint8_t> isUndecided; ///< which these are
  /// Rank correlation of predictions and speed; NaN without predictions.
  double rankCorrelation = database::kUnknown;

  int rowOf(uint64_t record) const; ///< -1 when it is not there
  QString valueText(size_t axis, size_t row) const;
  /// Where a decision's value stands on its axis, NaN being what is absent; nothing where no row
  /// has it.
  std::optional<float> placeOf(size_t axis, double value) const;
};

/// Records of all kernels on one machine.
struct RooflineData {
  Series machine; ///< threads, regime and environment are those of all
  struct Kernel {
    QString name;
    double intensity = 0; ///< flops per byte that must be moved
    double flops = 0;     ///< a second, of the fastest
    uint64_t best = 0;
    QString unit; ///< "GFLOP/s", "GOP/s"
  };
  std::vector<Kernel> kernels;
  std::vector<uint64_t> records;
  std::vector<uint32_t> kernelOf;
  std::vector<double> flops; ///< a second
  std::vector<float> tones;
  int64_t without = 0; ///< records whose workload has no flops or bytes
};

/// What this machine can do, as `temper session` says.
struct MachineLimits {
  QString environment;
  QString toolchain; ///< of today
  double flops = 0;  ///< a second and core, float32
  struct Level {
    QString name; ///< "L1", "memory"
    double bytes = 0;
    double bytesPerSecond = 0;
  };
  std::vector<Level> levels;
};

class Analysis : public QObject {
  Q_OBJECT
public:
  enum class View : uint8_t { kNone, kDecisions, kImportance, kRoofline, kErrors };

  Analysis(RecordModel& records, QString database, QObject* parent = nullptr);
  ~Analysis() override;

  /// The view that shows; nothing is computed for others.
  void want(View view);
  /// The record whose series the plots are of, unless a series was chosen.
  void follow(const QString& record);

  struct Choice {
    uint32_t series = 0;
    QString text;
    int64_t records = 0;
  };
  /// Series that may be shown, most records first.
  const std::vector<Choice>& choices() const { return choices_; }
  /// -1: that of the selected record.
  void choose(int series);
  /// All decisions have an axis, else the kMostAxes that say most of the time.
  void setAllAxes(bool all);
  bool allAxes() const { return allAxes_; }
  static constexpr size_t kMostAxes = 9;
  int chosen() const { return chosen_; }
  int series() const { return series_; } ///< that the data are of; -1 before there are any

  bool isBusy() const { return working_ || reading_ || again_; }
  /// Null before there are any.
  std::shared_ptr<const PlotData> data() const { return data_; }
  std::shared_ptr<const RooflineData> roofline() const { return roofline_; }
  std::shared_ptr<const ImportanceResult> importance() const { return importance_; }
  /// Where the cost model is wrong, by rows of data().
  std::shared_ptr<const ModelErrors> errors() const { return errors_; }
  const std::optional<MachineLimits>& machine() const { return machine_; }
  /// Asks what this machine can do and what records are made on here; machineChanged tells.
  void needMachine() { askMachine(); }
  const QString& message() const { return message_; } ///< why there are no data

  // Brushing.
  /// Restricts to what is between two places of an axis; a part below 0 holds what is absent.
  void brush(const QString& axis, float low, float high);
  void unbrush(const QString& axis);
  void clearBrushes();
  const std::map<QString, std::pair<float, float>>& brushes() const { return brushes_; }
  /// A byte for each row of data(): 1 where it is in all brushes; empty without brushes.
  std::shared_ptr<const std::vector<uint8_t>> on() const { return on_; }

  static QString seriesText(const Series& series);

signals:
  void dataChanged();
  void brushChanged();
  void choicesChanged();
  void busyChanged();
  void machineChanged();

private:
  void start();
  void readDecisions(const QString& workload, int64_t records);
  void applyBrushes();
  void askMachine();
  struct Work;
  void finish(std::shared_ptr<Work> work);

  RecordModel& records_;
  QString database_;
  View view_ = View::kNone;
  int chosen_ = -1;
  bool allAxes_ = false;
  int series_ = -1;
  uint64_t followed_ = 0;
  std::vector<Choice> choices_;
  std::shared_ptr<const DecisionTable> decisions_;
  int64_t decisionsOf_ = 0; ///< records of the workload when its decisions were read
  std::shared_ptr<const PlotData> data_;
  std::shared_ptr<const RooflineData> roofline_;
  std::shared_ptr<const ImportanceResult> importance_;
  std::shared_ptr<const ModelErrors> errors_;
  std::optional<MachineLimits> machine_;
  std::map<QString, std::pair<float, float>> brushes_;
  std::shared_ptr<const std::vector<uint8_t>> on_;
  QString message_;
  bool working_ = false, reading_ = false, again_ = false;
  QString done_; ///< what the newest data were made of
  QTimer soon_;
  std::unique_ptr<TemperSession> session_;
  std::unique_ptr<StoreClient> client_; ///< last: it ends first
};

} // namespace temper::gui
