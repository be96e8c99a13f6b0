#include "gui/widgets/table.h"

#include "gui/widgets/theme.h"

#include <QHeaderView>
#include <QHelpEvent>
#include <QPainter>
#include <QTableView>
#include <QToolTip>
#include <QTreeView>

#include <algorithm>
#include <cmath>

namespace temper::gui {

void setUpTable(QTableView* table, const QString& name, const QString& words,
                QAbstractItemModel* model) {
  table->setObjectName(name);
  table->setAccessibleName(words);
  table->setModel(model);
  table->setSelectionBehavior(QAbstractItemView::SelectRows);
  table->setSelectionMode(QAbstractItemView::SingleSelection);
  table->setShowGrid(false);
  table->setAlternatingRowColors(true);
  table->setWordWrap(false);
  table->setTabKeyNavigation(false);
  table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  table->verticalHeader()->setVisible(false);
  table->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  table->verticalHeader()->setDefaultSectionSize(table->fontMetrics().height() + 9);
  table->horizontalHeader()->setHighlightSections(false);
  table->horizontalHeader()->setSectionsClickable(false);
  table->setItemDelegate(new TipDelegate(table));
}

void setColumnWidths(QTableView* table, std::initializer_list<int> digits, int stretched) {
  const int digit = table->fontMetrics().horizontalAdvance(u'0');
  int column = 0;
  for (const int width : digits)
    table->horizontalHeader()->resizeSection(column++, width * digit);
  if (stretched >= 0)
    table->horizontalHeader()->setSectionResizeMode(stretched, QHeaderView::Stretch);
}

QString TipDelegate::tipOf(const QStyleOptionViewItem& option, const QModelIndex& index,
                           int width) const {
  const QString own = index.data(Qt::ToolTipRole).toString();
  const QString text = index.data(Qt::DisplayRole).toString();
  const bool cut = sizeHint(option, index).width() > width;
  if (!cut || text.isEmpty() || own.contains(text.trimmed()))
    return own;
  return own.isEmpty() ? text.trimmed() : text.trimmed() + u'\n' + own;
}

bool TipDelegate::helpEvent(QHelpEvent* event, QAbstractItemView* view,
                            const QStyleOptionViewItem& option, const QModelIndex& index) {
  const QRect cell = view->visualRect(index);
  const QString tip = event->type() == QEvent::ToolTip && index.isValid()
                          ? tipOf(option, index, cell.width())
                          : QString();
  if (tip.isEmpty()) // the view may have one of its own
    return QStyledItemDelegate::helpEvent(event, view, option, index);
  // Over the cell alone: of the next one it says something else.
  QToolTip::showText(event->globalPos(), tip, view->viewport(), cell);
  return true;
}

WrapDelegate::WrapDelegate(QTreeView* tree) : QStyledItemDelegate(tree), tree_(tree) {
  tree->setWordWrap(true);
  tree->setUniformRowHeights(false);
  tree->setItemDelegate(this);
  connect(tree->header(), &QHeaderView::sectionResized, this,
          [this] { emit sizeHintChanged(QModelIndex()); });
}

QSize WrapDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  QSize size = QStyledItemDelegate::sizeHint(option, index);
  const bool spanned = tree_->isFirstColumnSpanned(index.row(), index.parent());
  if (spanned && index.column() > 0)
    return size;
  int width = spanned ? tree_->viewport()->width() : tree_->columnWidth(index.column());
  if (index.column() == 0) {
    int levels = tree_->rootIsDecorated() ? 1 : 0;
    for (QModelIndex above = index.parent(); above.isValid(); above = above.parent())
      ++levels;
    width -= levels * tree_->indentation();
  }
  QFont font = option.font;
  if (const QVariant own = index.data(Qt::FontRole); own.isValid())
    font = own.value<QFont>().resolve(font);
  // As the style draws it: with a margin at both sides of the words, in lines that it breaks by
  // parts of pixels.
  width -= 2 * (tree_->style()->pixelMetric(QStyle::PM_FocusFrameHMargin, nullptr, tree_) + 1) +
           QFontMetrics(font).averageCharWidth();
  const QRect words = QFontMetrics(font).boundingRect(QRect(0, 0, std::max(width, 1), 1 << 20),
                                                      Qt::TextWordWrap, index.data().toString());
  const int air = size.height() - QFontMetrics(font).height();
  size.setHeight(std::max(size.height(), words.height() + std::clamp(air, 0, 8)));
  return size;
}

void BarDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                        const QModelIndex& index) const {
  if (const QVariant length = index.data(role_); length.isValid()) {
    QColor color = theme().accent;
    color.setAlpha(theme().dark ? 90 : 60);
    QRect bar = option.rect.adjusted(4, 3, -4, -3);
    bar.setWidth(static_cast<int>(std::clamp(length.toDouble(), 0.0, 1.0) * bar.width()));
    painter->fillRect(bar, color); // first: the number stays as bright as the others
  }
  QStyledItemDelegate::paint(painter, option, index);
}

void HeatDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                         const QModelIndex& index) const {
  if (const QVariant heat = index.data(role_);
      heat.isValid() && !option.state.testFlag(QStyle::State_Selected))
    painter->fillRect(option.rect, theme().tint(heat.toDouble()));
  QStyledItemDelegate::paint(painter, option, index);
}

void SignedBarDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                              const QModelIndex& index) const {
  if (const double length = std::clamp(index.data(role_).toDouble(), -1.0, 1.0); length != 0) {
    QColor color = length > 0 ? theme().better : theme().worse;
    color.setAlpha(theme().dark ? 110 : 80);
    const QRect cell = option.rect.adjusted(4, 3, -4, -3);
    const int middle = cell.center().x();
    const int width = static_cast<int>(std::abs(length) * cell.width() / 2);
    painter->fillRect(QRect(length > 0 ? middle : middle - width, cell.top(), width, cell.height()),
                      color);
  }
  QStyledItemDelegate::paint(painter, option, index);
}

} // namespace temper::gui
