#include "gui/pages/errors_pane.h"

#include "gui/widgets/table.h"

#include <QBoxLayout>
#include <QLabel>
#include <QSplitter>
#include <QTableView>

namespace temper::gui {

ErrorsPane::ErrorsPane(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace),
      shared_(new SharedErrorModel(workspace.analysis(), this)),
      records_(new ErrorRecordModel(workspace.analysis(), this)), sentence_(new QLabel(this)),
      sharedView_(new QTableView(this)), recordView_(new QTableView(this)) {
  setObjectName(QStringLiteral("plot.errors"));
  sentence_->setWordWrap(true);
  sentence_->setProperty("faint", true);
  sentence_->setContentsMargins(12, 6, 12, 6);
  setUpTable(sharedView_, QStringLiteral("plot.errors.shared"),
             tr("Decisions of the records that the model misses"), shared_);
  setColumnWidths(sharedView_, {16, 8, 9, 8, 9, 13}, SharedErrorModel::kDecision);
  sharedView_->setItemDelegateForColumn(SharedErrorModel::kShare,
                                        new BarDelegate(SharedErrorModel::kBarRole, this));
  setUpTable(recordView_, QStringLiteral("plot.errors.records"),
             tr("Records that the model misses by most"), records_);
  setColumnWidths(recordView_, {12, 8, 8, 12, 9}, ErrorRecordModel::kError);
  recordView_->setItemDelegateForColumn(ErrorRecordModel::kError,
                                        new BarDelegate(ErrorRecordModel::kBarRole, this));
  auto* both = new QSplitter(Qt::Horizontal, this);
  both->setObjectName(QStringLiteral("plot.errors.splitter"));
  both->setChildrenCollapsible(false);
  both->addWidget(sharedView_);
  both->addWidget(recordView_);
  both->setStretchFactor(0, 1);
  both->setStretchFactor(1, 1);
  both->setSizes({450, 420});
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(sentence_);
  layout->addWidget(both, 1);

  connect(sharedView_, &QTableView::activated, this, [this](const QModelIndex& index) {
    constexpr float kHalf = 0.004f;
    if (const auto place = shared_->placeOf(index.row()))
      workspace_.analysis().brush(place->first, place->second - kHalf, place->second + kHalf);
  });
  connect(recordView_->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
          [this](const QModelIndex& current) {
            if (!showing_ && current.isValid())
              workspace_.selectRecord(records_->idAt(current.row()));
          });
  connect(&workspace_, &Workspace::recordSelected, this, &ErrorsPane::showSelection);
  connect(records_, &QAbstractItemModel::modelReset, this, &ErrorsPane::showSelection);
  connect(shared_, &QAbstractItemModel::modelReset, this, &ErrorsPane::showSentence);
  connect(&workspace_.analysis(), &Analysis::busyChanged, this, &ErrorsPane::showSentence);
}

void ErrorsPane::showSentence() { sentence_->setText(shared_->sentence()); }

void ErrorsPane::showSelection() {
  const int row = records_->rowOf(workspace_.selectedRecord());
  showing_ = true;
  if (row >= 0)
    recordView_->selectRow(row);
  else
    recordView_->clearSelection();
  showing_ = false;
}

QString ErrorsPane::csv() const { return shared_->csv() + u'\n' + records_->csv(); }

} // namespace temper::gui
