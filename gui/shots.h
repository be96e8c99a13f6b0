/// Pictures drawn without a display: of every view, `temper-gui --db FILE --shots FOLDER`, and what
/// a link shows as a file, `temper-gui LINK --save FILE`.
#pragma once

#include "gui/core/place_link.h"

#include <QString>

namespace temper::gui {

/// Draws all views from the database, light and dark, as PNG files. Returns an exit code; what is
/// wrong goes to stderr.
struct ShotOptions {
  /// Only views that look the same on every machine and under every compiler: no assembly, no
  /// roofline, nothing that depends on which compiler is today's.
  bool sameEverywhere = false;
};
int takeShots(const QString& database, const QString& folder, const ShotOptions& options = {});

/// Saves what a place shows, as the window's own commands do: a plot of Explore (the samples of the
/// record where none shows), the course of a run, a comparison. By the file's ending. An exit code.
int saveView(const QString& database, const PlaceLink& place, const QString& file);

} // namespace temper::gui
