#include "gui/widgets/table.h"

#include "gui/widgets/theme.h"

#include <QHeaderView>
#include <QPainter>
#include <QTableView>

#include <algorithm>

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
}

void setColumnWidths(QTableView* table, std::initializer_list<int> digits, int stretched) {
  const int digit = table->fontMetrics().horizontalAdvance(u'0');
  int column = 0;
  for (const int width : digits)
    table->horizontalHeader()->resizeSection(column++, width * digit);
  if (stretched >= 0)
    table->horizontalHeader()->setSectionResizeMode(stretched, QHeaderView::Stretch);
}

void BarDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                        const QModelIndex& index) const {
  const QVariant length = index.data(role_);
  QStyledItemDelegate::paint(painter, option, index);
  if (!length.isValid())
    return;
  QColor color = theme().accent;
  color.setAlpha(theme().dark ? 90 : 60);
  QRect bar = option.rect.adjusted(4, 3, -4, -3);
  bar.setWidth(static_cast<int>(std::clamp(length.toDouble(), 0.0, 1.0) * bar.width()));
  painter->fillRect(bar, color);
}

} // namespace temper::gui
