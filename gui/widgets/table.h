/// What all tables of the workbench have in common.
#pragma once

#include <QString>
#include <QStyledItemDelegate>

#include <initializer_list>

class QAbstractItemModel;
class QTableView;
class QTreeView;

namespace temper::gui {

/// Whole rows, one at a time, all of one height: nothing is measured, however many there are. Tab
/// leaves the table. `name` is for tests, `words` for screen readers.
void setUpTable(QTableView* table, const QString& name, const QString& words,
                QAbstractItemModel* model);
/// Widths of the columns in digits; the column `stretched` takes what is left, -1: none does.
void setColumnWidths(QTableView* table, std::initializer_list<int> digits, int stretched = -1);

/// What a cell has no room for is in its tool tip, above what the model says there. Tables have it
/// by setUpTable.
class TipDelegate : public QStyledItemDelegate {
  Q_OBJECT
public:
  using QStyledItemDelegate::QStyledItemDelegate;
  bool helpEvent(QHelpEvent* event, QAbstractItemView* view, const QStyleOptionViewItem& option,
                 const QModelIndex& index) override;
  /// As helpEvent shows it, of a cell so wide; empty: nothing.
  QString tipOf(const QStyleOptionViewItem& option, const QModelIndex& index, int width) const;
};

/// A bar behind the number of a cell, as long as the model's `role` says (0 to 1).
class BarDelegate : public TipDelegate {
  Q_OBJECT
public:
  BarDelegate(int role, QObject* parent) : TipDelegate(parent), role_(role) {}
  void paint(QPainter* painter, const QStyleOptionViewItem& option,
             const QModelIndex& index) const override;

private:
  int role_;
};

/// Rows of a tree as high as their words need, broken where the columns end: a tree by itself takes
/// one line for each and cuts it. For some hundred rows.
class WrapDelegate : public QStyledItemDelegate {
  Q_OBJECT
public:
  /// Becomes the delegate of all columns of the tree, which lays its rows out anew with their
  /// widths.
  explicit WrapDelegate(QTreeView* tree);
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

private:
  QTreeView* tree_;
};

/// A shade behind the text by a number from -1 to 1, Theme::tint; none where there is no number or
/// the row is selected.
class HeatDelegate : public TipDelegate {
  Q_OBJECT
public:
  HeatDelegate(int role, QObject* parent) : TipDelegate(parent), role_(role) {}
  void paint(QPainter* painter, const QStyleOptionViewItem& option,
             const QModelIndex& index) const override;

private:
  int role_;
};

/// A bar behind the text from the middle of the cell: to the right for what is better, to the left
/// for what is worse, by a number from -1 to 1.
class SignedBarDelegate : public TipDelegate {
  Q_OBJECT
public:
  SignedBarDelegate(int role, QObject* parent) : TipDelegate(parent), role_(role) {}
  void paint(QPainter* painter, const QStyleOptionViewItem& option,
             const QModelIndex& index) const override;

private:
  int role_;
};

} // namespace temper::gui
