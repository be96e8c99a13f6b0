#include "gui/core/text_search.h"

namespace temper::gui {

int occurrences(const QString& text, const QString& words) {
  return words.isEmpty() ? 0 : static_cast<int>(text.count(words, Qt::CaseInsensitive));
}

TextSearch::TextSearch(QObject* parent) : QObject(parent), loader_(this) {}

void TextSearch::start(const QString& database, const QString& record, const QString& target,
                       const QString& log, const QString& words) {
  loader_.cancel();
  database_ = database;
  record_ = record;
  words_ = words;
  levels_.clear();
  found_.clear();
  busy_ = false;
  if (!words.isEmpty()) {
    for (int i = 0; i < kCodeLevels; ++i)
      if (const auto level = static_cast<CodeLevel>(i); hasLevel(target, level)) {
        levels_.push_back(level);
        found_.push_back({levelName(level), levelTitle(level, target), 0, false});
      }
    found_.push_back({QStringLiteral("log"), tr("Log"), occurrences(log, words), true});
    busy_ = true;
    look(0);
  }
  emit changed();
}

void TextSearch::look(size_t at) {
  if (at == levels_.size()) {
    busy_ = false;
    emit changed();
    return;
  }
  loader_.load(database_, record_, levels_[at], [this, at](const CodeLoader::Code& code) {
    found_[at].count = occurrences(code.text, words_);
    found_[at].isKnown = true;
    emit changed();
    look(at + 1);
  });
}

QString TextSearch::next(const QString& name, bool forward) const {
  const auto count = static_cast<int>(found_.size());
  int at = forward ? -1 : count;
  for (int i = 0; i < count; ++i)
    if (found_[static_cast<size_t>(i)].name == name)
      at = i;
  for (int step = 1; step <= count; ++step) {
    const int i = ((at + (forward ? step : -step)) % count + count) % count;
    if (found_[static_cast<size_t>(i)].count > 0)
      return found_[static_cast<size_t>(i)].name;
  }
  return {};
}

QString TextSearch::sentence() const {
  QStringList parts;
  for (const Found& text : found_) {
    // A blank that does not break: a number stays with its text.
    const QString words = text.title + QChar(QChar::Nbsp) +
                          (text.isKnown ? QString::number(text.count) : QStringLiteral("…"));
    parts << (text.count > 0
                  ? QStringLiteral("<a href=\"%1\">%2</a>").arg(text.name, words.toHtmlEscaped())
                  : words.toHtmlEscaped());
  }
  return parts.join(QStringLiteral(" · "));
}

} // namespace temper::gui
