#include "gui/widgets/whole_columns.h"

#include <QApplication>
#include <QEvent>
#include <QHeaderView>
#include <QTableView>

#include <algorithm>

namespace temper::gui {

WholeColumns::WholeColumns(QTableView* table, int column, int leastDigits)
    : QObject(table), table_(table), column_(column),
      least_(leastDigits * table->fontMetrics().horizontalAdvance(u'0')) {
  table->viewport()->installEventFilter(this);
  QHeaderView* header = table->horizontalHeader();
  connect(header, &QHeaderView::sectionResized, this, [this](int resized) {
    if (fitting_)
      return;
    if (resized == column_ && (QApplication::mouseButtons() & Qt::LeftButton))
      table_->setProperty(kByHand, true);
    fit();
  });
  connect(header, &QHeaderView::sectionMoved, this, [this] { fit(); });
  fit();
}

void WholeColumns::fit() {
  if (table_->property(kByHand).toBool())
    return;
  const QHeaderView* header = table_->horizontalHeader();
  const int room = table_->viewport()->width();
  int taken = 0;
  bool before = true; // what stands before the column is there in any case
  for (int place = 0; place < header->count(); ++place) {
    const int column = header->logicalIndex(place);
    if (column == column_) {
      before = false;
      continue;
    }
    const int width = header->isSectionHidden(column) ? 0 : header->sectionSize(column);
    if (!before && taken + width + least_ > room)
      break;
    taken += width;
  }
  fitting_ = true;
  table_->horizontalHeader()->resizeSection(column_, std::max(least_, room - taken));
  fitting_ = false;
}

bool WholeColumns::eventFilter(QObject* object, QEvent* event) {
  if (event->type() == QEvent::Resize)
    fit();
  return QObject::eventFilter(object, event);
}

} // namespace temper::gui
