/// The numbers of two records side by side: times, code, counters, machine, provenance.
#pragma once

#include "gui/core/record_detail.h"

#include <vector>

namespace temper::gui {

struct FactPair {
  QString name;
  QString a, b;  ///< empty: not known of this one
  QString ratio; ///< "1.32×", of B's over A's where both are counts that may be compared
  QString tip;   ///< the engine's own name; may be empty
  bool differs() const { return a != b; }
};

/// Everything worth a line of either, in the order of A's; what B alone has comes after what stands
/// before it there.
std::vector<FactPair> factPairs(const RecordDetail& a, const RecordDetail& b);

} // namespace temper::gui
