/// Pictures of every view, drawn without a display: `temper-gui --db FILE --shots FOLDER`.
#pragma once

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

} // namespace temper::gui
