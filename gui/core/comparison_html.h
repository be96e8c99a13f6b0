/// A comparison as one HTML file that needs nothing else: to be sent to somebody.
#pragma once

#include "gui/core/diff.h"
#include "gui/core/record_detail.h"
#include "gui/core/why_faster.h"

#include <QString>
#include <QStringList>

namespace temper::gui {

struct ComparisonReport {
  const RecordDetail& a;
  const RecordDetail& b;
  QString sentence;            ///< from the stored numbers
  QString measured;            ///< from a measurement in turns; may be empty
  QStringList changes;         ///< decisions that differ
  std::vector<WhySection> why; ///< why one is faster; may be empty
  QString level;               ///< "Assembly"
  SideBySide texts;
};
QString comparisonHtml(const ComparisonReport& report);

} // namespace temper::gui
