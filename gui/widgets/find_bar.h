/// A field for words that are looked for in texts, with what was found beside it. Enter and
/// Shift+Enter go on and back, Escape closes it.
#pragma once

#include <QWidget>

#include <vector>

class QLabel;
class QLineEdit;

namespace temper::gui {

class CodeView;

class FindBar : public QWidget {
  Q_OBJECT
public:
  /// `name` is for tests: the field's.
  explicit FindBar(const QString& name, QWidget* parent = nullptr);

  /// Shows it, and goes to the field.
  void open();
  QString words() const;
  QLineEdit* field() const { return field_; }
  /// Rich text; what its links are called comes back with linkChosen.
  void setFound(const QString& sentence);
  QString found() const;

  /// Goes on in the texts of several views, one after the other, beginning at view `at`, and round:
  /// the number of the view that shows a place now, -1 where none has the words.
  static int findInTurn(const std::vector<CodeView*>& views, int at, const QString& words,
                        bool forward);

signals:
  void wordsChanged();
  void wanted(bool forward);
  void linkChosen(const QString& link);
  void closed();

protected:
  bool eventFilter(QObject* object, QEvent* event) override;

private:
  QLineEdit* field_;
  QLabel* found_;
};

} // namespace temper::gui
