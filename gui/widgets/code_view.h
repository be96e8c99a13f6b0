/// Code to look at: coloured, searchable, with line numbers; in comparisons with lines marked and
/// two views scrolling together.
#pragma once

#include "gui/core/code_loader.h"
#include "gui/core/diff.h"
#include "gui/core/line_heat.h"

#include <QWidget>

#include <optional>

class QsciScintilla;

namespace temper::gui {

class CodeLexer;

class CodeView : public QWidget {
  Q_OBJECT
public:
  explicit CodeView(QWidget* parent = nullptr);

  void setCode(const QString& text, CodeLevel level);
  /// Words that are no program: nothing in them is coloured.
  void setPlain(const QString& text);
  /// A sentence instead of code.
  void setMessage(const QString& sentence);
  /// One side of a comparison; `right` says which.
  /// Without a level they are words that are no program.
  void setDiff(const SideBySide& diff, bool right, std::optional<CodeLevel> level);
  /// How often the lines run, in a column beside them; of the text that shows. Empty: no column.
  void setHeat(std::vector<LineHeat> heat);
  const std::vector<LineHeat>& heat() const { return heat_; }
  QString text() const;
  /// Lines that show: the end of the last one begins no other.
  int lineCount() const;
  bool isMessage() const { return isMessage_; }
  /// Whether words, numbers and the like have colours of their own.
  bool isColoured() const;
  /// What the letter there, counted from 0, is coloured as: "keyword", "comment", "plain"...
  QString kindAt(int line, int column) const;

  /// Scrolls both together.
  static void join(CodeView* a, CodeView* b);
  /// Shows the next group of marked lines after the cursor; false when there is none.
  bool showDifference(bool forward);
  /// Marks and shows the next occurrence, with `wrap` from the other end on; false when there is
  /// none.
  bool find(const QString& text, bool forward, bool wrap = true);
  /// The same from the text's beginning, or its end.
  bool findFromEdge(const QString& text, bool forward);
  void copyAll() const;
  /// For texts that somebody writes; edited() tells of it.
  void setEditable(bool editable);
  /// Marks and shows one line; -1 for none.
  void markLine(int line) { markLines(line, line); }
  void markLines(int first, int last);
  /// The line that the cursor is in.
  int currentLine() const;

signals:
  /// Somebody typed.
  void edited();
  /// The cursor went to a line, onto this word.
  void cursorMoved(int line, const QString& word);

protected:
  void changeEvent(QEvent* event) override;

private:
  void restyle();
  /// Numbered lines; nothing: words that are no program.
  void showLines(const QString& text, std::optional<CodeLevel> level);
  void showText(const QString& text);
  void showHeat();

  QsciScintilla* editor_;
  CodeLexer* lexer_;
  std::vector<DiffLine::Kind> kinds_;
  std::vector<LineHeat> heat_;
  bool isMessage_ = false;
  bool endsLine_ = false; ///< the text's end of its last line, which is not shown as a line
  bool setting_ = false;  ///< the text changes, but nobody types
  int marker_[2] = {};
};

} // namespace temper::gui
