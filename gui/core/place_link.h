/// A place in the workbench as a text that can be copied, kept in a note or sent, and opened again:
///
///   temper://open?db=/home/ann/overnight.db&view=explore&record=m3f9c2aa01d24b77&level=assembly
///       &filter.time=%3C50us&sort=-time&plot=parallel&query=workload%20~%20conv*
///
/// `temper gui LINK` and the window open it; what a link does not name stays as it is.
#pragma once

#include "gui/core/record_filter.h"
#include "ir/support/result.h"

#include <QString>

#include <array>

namespace temper::gui {

/// Names in links: perspectives and plots of the window in their orders.
inline constexpr std::array kViewNames{"explore", "runs", "compare", "edit", "library"};
inline constexpr std::array kPlotNames{"none",     "parallel",    "importance", "predicted",
                                       "roofline", "calibration", "errors"};

struct PlaceLink {
  QString database; ///< as --db takes it, without a password; empty: the one that is open
  QString view;     ///< of kViewNames; empty: explore
  QString record;   ///< whole id
  QString run;      ///< whole id
  QString sides[2]; ///< whole ids
  QString level;    ///< "overview", "limits", "trace", ..., "assembly", "why"; empty: as it is
  QString plot;     ///< of kPlotNames; empty: as it is
  QString query;    ///< as in the query field
  FilterText filter;
  QString sort; ///< title of a column, with "-" before it for the largest first

  bool operator==(const PlaceLink&) const = default;

  QString toText() const;
  /// The error says what is wrong with the text in a sentence.
  static Result<PlaceLink> parse(const QString& text);
  /// True for what is meant to be a link.
  static bool isLink(const QString& text);
};

} // namespace temper::gui
