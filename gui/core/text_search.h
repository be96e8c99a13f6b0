/// Words looked for in every text of a candidate, those that it is lowered to as well: how often
/// each has them. Texts come through a CodeLoader, one after the other.
///
///   search.start(database, record, "cpu:znver4", log, "vfmadd");
///   connect(&search, &TextSearch::changed, ...);   search.found()[4].count
#pragma once

#include "gui/core/code_loader.h"

#include <QObject>

#include <vector>

namespace temper::gui {

/// How often the words are there, letters large or small.
int occurrences(const QString& text, const QString& words);

class TextSearch : public QObject {
  Q_OBJECT
public:
  explicit TextSearch(QObject* parent = nullptr);

  struct Found {
    QString name;  ///< "trace", ..., "ptx", "log": as commands call it
    QString title; ///< "LLVM IR"
    int count = 0;
    bool isKnown = false; ///< its text has come, or does not come
  };

  /// Another search ends the one before. Without words nothing is looked for.
  /// The texts are those that code for the target has.
  void start(const QString& database, const QString& record, const QString& target,
             const QString& log, const QString& words);
  const QString& words() const { return words_; }
  /// In the order of the levels, the log last.
  const std::vector<Found>& found() const { return found_; }
  bool isBusy() const { return busy_; }
  /// The next text after `name` that has the words (the one before, unless `forward`), itself when
  /// no other has; empty: none has.
  QString next(const QString& name, bool forward) const;
  /// "Script 12", ...; what was not looked at yet has an ellipsis. As rich text: names are links.
  QString sentence() const;

signals:
  void changed();

private:
  void look(size_t at);

  CodeLoader loader_;
  QString database_, record_, words_;
  std::vector<CodeLevel> levels_;
  std::vector<Found> found_;
  bool busy_ = false;
};

} // namespace temper::gui
