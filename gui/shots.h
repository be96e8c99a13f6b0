/// Pictures of every view, drawn without a display: `temper-gui --db FILE --shots FOLDER`.
#pragma once

#include <QString>

namespace temper::gui {

/// Draws all views from the database, light and dark, as PNG files. Returns an exit code; what is
/// wrong goes to stderr.
int takeShots(const QString& database, const QString& folder);

} // namespace temper::gui
