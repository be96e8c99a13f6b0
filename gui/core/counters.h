/// Hardware counters of a record as people read them: of a processor by Linux' names, of a GPU by
/// CUPTI's, which are long. The name that the engine knows stays with each.
#pragma once

#include "database/records.h"

#include <QString>
#include <QStringList>

#include <vector>

namespace temper::gui {

struct CounterValue {
  QString name;  ///< "dram__bytes_read.sum"
  QString words; ///< "read from memory"; the name where nothing better is known
  QString unit;  ///< "byte", "%", "ns"; empty: a count
  double value = 0;

  QString text() const; ///< "1,048,576 bytes", "61.4 %"
  /// Of what the machine does at most, 0 to 1; NaN: it is no such share.
  double shareOfPeak() const;
};

CounterValue counterOf(const QString& name, double value);
/// In the order of their words.
std::vector<CounterValue> countersOf(const database::Measurement& measurement);

/// What slowed the GPU while it was measured: "power cap"; empty where nothing did.
QStringList slowdownsOf(const database::Measurement& measurement);

} // namespace temper::gui
