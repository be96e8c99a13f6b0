#include "gui/widgets/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QPainter>
#include <QPolygonF>
#include <QProxyStyle>
#include <QStyleOption>

#include <algorithm>
#include <cmath>

namespace temper::gui {

namespace {

Theme lightTheme() {
  Theme t;
  t.dark = false;
  t.window = QColor("#f4f5f7");
  t.base = QColor("#ffffff");
  t.alternate = QColor("#f8f9fb");
  t.text = QColor("#1d2430");
  t.faint = QColor("#5d6675");
  t.line = QColor("#d5d9e0");
  t.accent = QColor("#1f5fbf");
  t.accentText = QColor("#ffffff");
  t.better = QColor("#0b5fa5");
  t.worse = QColor("#a64b00");
  t.measured = QColor("#8a97ab");
  t.best = QColor("#1f5fbf");
  t.failed = QColor("#a64b00");
  t.changedLine = QColor("#fff0d6");
  t.addedLine = QColor("#e2eefb");
  t.keyword = QColor("#7a2aa8");
  t.number = QColor("#0f5b8a");
  t.string = QColor("#2b6a2b");
  t.comment = QColor("#5d6675");
  t.label = QColor("#9a4a00");
  return t;
}

Theme darkTheme() {
  Theme t;
  t.dark = true;
  t.window = QColor("#1e2228");
  t.base = QColor("#16191e");
  t.alternate = QColor("#1a1e24");
  t.text = QColor("#e3e7ee");
  t.faint = QColor("#9aa4b3");
  t.line = QColor("#39404b");
  t.accent = QColor("#6aa5ff");
  t.accentText = QColor("#0c1220");
  t.better = QColor("#7db8ff");
  t.worse = QColor("#ffad66");
  t.measured = QColor("#78859a");
  t.best = QColor("#6aa5ff");
  t.failed = QColor("#ffad66");
  t.changedLine = QColor("#43331a");
  t.addedLine = QColor("#1c3450");
  t.keyword = QColor("#d3a0ff");
  t.number = QColor("#86c7f3");
  t.string = QColor("#9bd39b");
  t.comment = QColor("#9aa4b3");
  t.label = QColor("#ffb87a");
  return t;
}

/// Fusion, with boxes that are ticked instead of coloured.
class WorkbenchStyle : public QProxyStyle {
public:
  WorkbenchStyle() : QProxyStyle(QStringLiteral("Fusion")) {}

  void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                     const QWidget* widget) const override {
    if (element != PE_IndicatorCheckBox && element != PE_IndicatorItemViewItemCheck) {
      QProxyStyle::drawPrimitive(element, option, painter, widget);
      return;
    }
    const bool ticked = (option->state & State_On) != 0;
    const bool enabled = (option->state & State_Enabled) != 0;
    const Theme& t = theme();
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    const double side = std::min(option->rect.width(), option->rect.height()) - 1;
    const QRectF box(option->rect.center().x() - side / 2 + 0.5,
                     option->rect.center().y() - side / 2 + 0.5, side, side);
    const QColor fill = !ticked ? t.base : enabled ? t.accent : t.faint;
    painter->setPen((option->state & State_HasFocus) != 0 ? t.accent : ticked ? fill : t.faint);
    painter->setBrush(fill);
    painter->drawRoundedRect(box, 2, 2);
    if (ticked) {
      painter->setPen(QPen(t.accentText, side / 7, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
      const auto at = [&](double x, double y) {
        return QPointF(box.left() + x * side, box.top() + y * side);
      };
      painter->drawPolyline(QPolygonF({at(0.22, 0.52), at(0.42, 0.72), at(0.78, 0.3)}));
    }
    painter->restore();
  }
};

Theme& current() {
  static Theme theme = lightTheme();
  return theme;
}

double luminance(const QColor& color) {
  const auto channel = [](double value) {
    return value <= 0.03928 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * channel(color.redF()) + 0.7152 * channel(color.greenF()) +
         0.0722 * channel(color.blueF());
}

} // namespace

const Theme& theme() { return current(); }

QPalette Theme::palette() const {
  QPalette palette;
  palette.setColor(QPalette::Window, window);
  palette.setColor(QPalette::WindowText, text);
  palette.setColor(QPalette::Base, base);
  palette.setColor(QPalette::AlternateBase, alternate);
  palette.setColor(QPalette::Text, text);
  palette.setColor(QPalette::PlaceholderText, faint);
  palette.setColor(QPalette::Button, dark ? QColor("#2a3038") : QColor("#ffffff"));
  palette.setColor(QPalette::ButtonText, text);
  palette.setColor(QPalette::BrightText, accent);
  palette.setColor(QPalette::Highlight, dark ? QColor("#2f5f9f") : QColor("#cfe0f8"));
  palette.setColor(QPalette::HighlightedText, text);
  palette.setColor(QPalette::ToolTipBase, dark ? QColor("#2a3038") : QColor("#ffffff"));
  palette.setColor(QPalette::ToolTipText, text);
  palette.setColor(QPalette::Link, accent);
  palette.setColor(QPalette::Light, dark ? QColor("#333a44") : QColor("#ffffff"));
  palette.setColor(QPalette::Midlight, dark ? QColor("#2d333c") : QColor("#eceef2"));
  palette.setColor(QPalette::Mid, line);
  palette.setColor(QPalette::Dark, dark ? QColor("#101216") : QColor("#aab2bf"));
  palette.setColor(QPalette::Shadow, QColor("#000000"));
  for (const QPalette::ColorRole role :
       {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText})
    palette.setColor(QPalette::Disabled, role, dark ? QColor("#6b7483") : QColor("#9aa2af"));
  return palette;
}

QColor Theme::tint(double value) const {
  constexpr double kMost = 0.42;
  const double share = kMost * std::clamp(std::abs(value), 0.0, 1.0);
  const QColor& hue = value > 0 ? better : worse;
  const auto mix = [&](int from, int to) {
    return static_cast<int>(std::lround(from + share * (to - from)));
  };
  return {mix(base.red(), hue.red()), mix(base.green(), hue.green()), mix(base.blue(), hue.blue())};
}

void applyTheme(ThemeChoice choice) {
  static const bool systemIsDark = [] {
    return qApp->palette().color(QPalette::Window).lightness() < 128;
  }();
  const bool dark = choice == ThemeChoice::kDark || (choice == ThemeChoice::kAuto && systemIsDark);
  current() = dark ? darkTheme() : lightTheme();
  QApplication::setStyle(new WorkbenchStyle);
  QApplication::setPalette(current().palette());
  const Theme& t = current();
  // Little more than spacing and thin lines: Fusion with the palette does the rest.
  qApp->setStyleSheet(
      QStringLiteral(
          "QToolTip { border: 1px solid %1; padding: 4px; }"
          "QSplitter::handle { background: %1; }"
          "QSplitter::handle:horizontal { width: 1px; } QSplitter::handle:vertical { height: 1px; }"
          "QHeaderView::section { background: %2; border: none; border-bottom: 1px solid %1;"
          " padding: 5px 9px; }" // where the cells' texts begin
          "QTableView { border: none; gridline-color: %1; }"
          "QTableView::item { border: none; padding: 0 6px; }"
          // The selected row says where one is; a box around one of its cells says nothing more.
          "QTableView, QListView, QTreeView { outline: 0; }"
          "QListView::item, QTreeView::item { border: none; padding: 1px 9px; }"
          "QTabWidget::pane { border: none; border-top: 1px solid %1; }"
          "QTabBar::tab { padding: 6px 9px; border: none; color: %3; background: transparent; }"
          "QTabBar::tab:selected { color: %4; border-bottom: 2px solid %5; }"
          "QTabBar::tab:hover { color: %4; }"
          "QStatusBar { border-top: 1px solid %1; } QStatusBar::item { border: none; }"
          "QToolBar { border: none; border-bottom: 1px solid %1; spacing: 4px; padding: 4px 8px; }"
          "QToolButton { padding: 5px 12px; border: none; border-radius: 4px; color: %3; }"
          "QToolButton:hover { background: %1; color: %4; }"
          "QToolButton:checked { background: %6; color: %4; }"
          "QToolButton:focus { border: 1px solid %5; }"
          "QToolButton::menu-indicator { image: none; }"
          "QTableView::item:selected, QListView::item:selected, QTreeView::item:selected { "
          "background: %6; color: %4; }"
          "QLineEdit { padding: 3px 6px; border: 1px solid %1; border-radius: 4px;"
          " background: %7; } QLineEdit:focus { border: 1px solid %5; }"
          "QAbstractSpinBox > QLineEdit, QComboBox > QLineEdit { border: none; padding: 0;"
          " background: transparent; }"
          "QPushButton { padding: 5px 14px; border: 1px solid %1; border-radius: 4px;"
          " background: %7; }"
          "QPushButton:hover { border-color: %5; } QPushButton:focus { border: 1px solid %5; }"
          "QPushButton:default { background: %5; color: %8; border-color: %5; }"
          "QPushButton:disabled { color: %3; background: transparent; border-color: %1; }"
          "QLabel#faint, QLabel[faint=\"true\"] { color: %3; }")
          .arg(t.line.name(), t.window.name(), t.faint.name(), t.text.name(), t.accent.name(),
               t.palette().color(QPalette::Highlight).name(), t.base.name(), t.accentText.name()));
}

namespace {
QString& fixedFamily() {
  static QString family;
  return family;
}
} // namespace

void setFixedFamily(const QString& family) { fixedFamily() = family; }

QFont fixedFont() {
  QFont font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
  if (!fixedFamily().isEmpty())
    font = QFont(fixedFamily());
  font.setStyleHint(QFont::Monospace);
  font.setPointSizeF(QApplication::font().pointSizeF());
  return font;
}

double contrast(const QColor& a, const QColor& b) {
  const double first = luminance(a), second = luminance(b);
  return (std::max(first, second) + 0.05) / (std::min(first, second) + 0.05);
}

} // namespace temper::gui
