/// A table that scrolls sideways shows whole columns: one of them, whose texts are long, takes what
/// the last one that has room leaves. Somebody who drags that column's edge has it as they want.
#pragma once

#include <QObject>

class QTableView;

namespace temper::gui {

class WholeColumns : public QObject {
  Q_OBJECT
public:
  /// `column` is never narrower than so many digits. Lives as long as the table.
  WholeColumns(QTableView* table, int column, int leastDigits);

  /// Of the table: true once somebody chose the width; kept with its layout.
  static constexpr const char* kByHand = "columnsByHand";
  void fit();

protected:
  bool eventFilter(QObject* object, QEvent* event) override;

private:
  QTableView* table_;
  int column_;
  int least_; ///< pixels
  bool fitting_ = false;
};

} // namespace temper::gui
