#include "gui/core/format.h"

#include "ir/support/quantities.h"

#include <QLocale>
#include <QRegularExpression>
#include <QStringList>

namespace temper::gui {

QString toQString(const std::string& text) { return QString::fromStdString(text); }
QString sentence(const Error& error) { return toQString(error.to_string()); }

QString timeText(double ns) {
  // The sign of "micro" is in every font that Qt comes with; the command line keeps to ASCII.
  return toQString(format_time(ns)).replace(QStringLiteral(" us"), QStringLiteral(" µs"));
}
QString rateText(double flops, double ns, const std::string& bindingJson) {
  return toQString(format_rate(flops, ns, bindingJson));
}
QString secondsText(double seconds) { return toQString(format_seconds(seconds)); }
QString dateText(int64_t unixNs) { return unixNs > 0 ? toQString(format_date(unixNs)) : QString(); }
QString numberText(int64_t number) { return QLocale(QLocale::English).toString(number); }

QString countText(int64_t count, const char* noun) {
  return numberText(count) + u' ' + QString::fromLatin1(noun) +
         (count == 1 ? QString() : QStringLiteral("s"));
}

QString halfWidthText(double median, double low, double high) {
  if (!(median > 0) || !(high >= low))
    return {};
  return QStringLiteral("±%1 %").arg(50 * (high - low) / median, 0, 'f', 1);
}

QString outcomeText(database::Outcome outcome) {
  return QString::fromLatin1(database::to_string(outcome)).replace(u'_', u' ');
}

QString stateText(database::RunState state) {
  const QString word = QString::fromLatin1(database::to_string(state));
  switch (state) {
  case database::RunState::kRunning:
    return QStringLiteral("● ") + word;
  case database::RunState::kPaused:
  case database::RunState::kInterrupted:
    return QStringLiteral("◐ ") + word;
  case database::RunState::kFailed:
    return QStringLiteral("✕ ") + word;
  case database::RunState::kFinished:
    return QStringLiteral("✓ ") + word;
  case database::RunState::kCreated:
    break;
  }
  return QStringLiteral("○ ") + word;
}

QString shortId(const QString& id) { return id.left(8); }

QString shellWord(const QString& word) {
  static const QRegularExpression plain(QStringLiteral("^[A-Za-z0-9_./:=,+@%-]+$"));
  if (plain.match(word).hasMatch())
    return word;
  return u'\'' + QString(word).replace(u'\'', QStringLiteral("'\\''")) + u'\'';
}

QString shellCommand(const QString& program, const QStringList& arguments) {
  QString text = shellWord(program);
  for (const QString& argument : arguments)
    text += u' ' + shellWord(argument);
  return text;
}

} // namespace temper::gui
