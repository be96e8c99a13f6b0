/// Light and dark: one palette for widgets, one set of colours with fixed meanings for plots,
/// states and code. Meaning is never by colour alone.
#pragma once

#include <QColor>
#include <QFont>
#include <QPalette>

namespace temper::gui {

enum class ThemeChoice : uint8_t { kAuto, kLight, kDark };

struct Theme {
  bool dark = false;
  QColor window, base, alternate, text, faint, line, accent, accentText;
  QColor better, worse;                           ///< blue and orange
  QColor measured, best, failed;                  ///< of plots
  QColor changedLine, addedLine;                  ///< backgrounds in comparisons
  QColor keyword, number, string, comment, label; ///< of code
  QPalette palette() const;
  /// Behind a number that is better (1) or worse (-1) than others, or in between: a shade of blue
  /// or orange that the text can be read on.
  QColor tint(double value) const;
};

/// The theme that is on; views ask it while painting.
const Theme& theme();
/// Sets style, palette and theme() for the application. Widgets that hold colours of their own
/// react to QEvent::PaletteChange.
void applyTheme(ThemeChoice choice);

/// The font of code, as large as the application's; a family that was set, else the desktop's.
QFont fixedFont();
void setFixedFamily(const QString& family);

/// Contrast of two colours as WCAG counts it, 1 to 21.
double contrast(const QColor& a, const QColor& b);

} // namespace temper::gui
