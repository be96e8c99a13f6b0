/// What two candidates decided differently: the first thing one asks when one of them is faster.
#pragma once

#include <QString>
#include <QStringList>

#include <string>

namespace temper::gui {

/// From two stored programs (traces as JSON). A line for each decision that differs, named by the
/// step that uses it: "split(l6): [19, 9] → [57, 3]"; for traces of different steps one line that
/// says how many are not in the other. Empty when they decide the same, or cannot be read. What
/// post-processing added is left out: it follows from the rest.
QStringList changedDecisions(const std::string& a, const std::string& b);

} // namespace temper::gui
