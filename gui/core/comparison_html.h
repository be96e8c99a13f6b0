/// A comparison as one HTML file that needs nothing else: to be sent to somebody.
#pragma once

#include "gui/core/diff.h"
#include "gui/core/record_detail.h"

#include <QString>
#include <QStringList>

namespace temper::gui {

struct ComparisonReport {
  const RecordDetail& a;
  const RecordDetail& b;
  QString sentence;    ///< from the stored numbers
  QString measured;    ///< from a measurement in turns; may be empty
  QStringList changes; ///< decisions that differ
  QString level;       ///< "Assembly"
  SideBySide texts;
};
QString comparisonHtml(const ComparisonReport& report);

} // namespace temper::gui
