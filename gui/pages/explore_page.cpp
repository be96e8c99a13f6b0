#include "gui/pages/explore_page.h"

#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/plots_pane.h"
#include "gui/widgets/table.h"
#include "gui/widgets/whole_columns.h"

#include <QBoxLayout>
#include <QEvent>
#include <QHeaderView>
#include <QInputDialog>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QResizeEvent>
#include <QScrollBar>
#include <QSplitter>
#include <QTableView>
#include <QTimer>
#include <QToolButton>

namespace temper::gui {

ExplorePage::ExplorePage(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), table_(new QTableView(this)),
      query_(new QLineEdit(this)), filterRow_(new QWidget(this)), count_(new QLabel(this)),
      pending_(new QPushButton(this)), candidate_(new CandidatePane(workspace, this)),
      saved_(new QToolButton(this)), plots_(new PlotsPane(workspace, this)) {
  setObjectName(QStringLiteral("explore"));
  RecordModel& model = workspace_.records();
  setUpTable(table_, QStringLiteral("records"), tr("Records"), &model);
  table_->setSortingEnabled(false);
  QHeaderView* header = table_->horizontalHeader();
  table_->viewport()->installEventFilter(this);
  header->setSectionsClickable(true);
  header->setSortIndicatorShown(true);
  header->setSortIndicator(static_cast<int>(RecordColumn::kMeasured), Qt::DescendingOrder);
  setColumnWidths(table_, {13, 32, 14, 12, 12, 10, 15, 10, 21, 13, 19, 19});
  table_->setItemDelegate(new HeatDelegate(RecordModel::kHeatRole, table_));
  // Where it is seen without scrolling: what is stale, from elsewhere or pinned.
  header->moveSection(static_cast<int>(RecordColumn::kMarks),
                      static_cast<int>(RecordColumn::kOutcome) + 1);
  constexpr int kLeastWorkload = 24;
  new WholeColumns(table_, static_cast<int>(RecordColumn::kWorkload), kLeastWorkload);
  connect(header, &QHeaderView::sortIndicatorChanged, this,
          [&model](int column, Qt::SortOrder order) { model.sort(column, order); });

  query_->setObjectName(QStringLiteral("query"));
  query_->setAccessibleName(tr("Query"));
  query_->setClearButtonEnabled(true);
  query_->setPlaceholderText(
      tr("query (Enter):  workload ~ conv* and M >= 512 and (time < 2ms or tag = star)"));
  query_->setToolTip(tr("As in query:\"…\" of the command line; Ctrl+L goes here"));
  connect(query_, &QLineEdit::returnPressed, this, [this] { workspace_.setQuery(query_->text()); });
  connect(query_, &QLineEdit::textChanged, this, [this](const QString& text) {
    if (text.isEmpty())
      workspace_.setQuery({});
  });
  connect(&workspace_, &Workspace::queryChanged, this, &ExplorePage::updateCount);

  // The filter row: a field over each column, moving with it.
  filterRow_->setFixedHeight(fontMetrics().height() + 18);
  for (int i = 0; i < kRecordColumns; ++i) {
    const auto column = static_cast<RecordColumn>(i);
    auto* field = new QLineEdit(filterRow_);
    field->setObjectName(QStringLiteral("filter.") + columnTitle(column));
    field->setAccessibleName(tr("Filter of %1").arg(columnTitle(column)));
    field->setToolTip(columnFilterHint(column));
    field->setPlaceholderText(column == RecordColumn::kWorkload ? tr("filter…") : QString());
    field->installEventFilter(this);
    connect(field, &QLineEdit::textChanged, &filterDelay_, qOverload<>(&QTimer::start));
    filters_[static_cast<size_t>(i)] = field;
  }
  setTabOrder(filters_[static_cast<size_t>(RecordColumn::kOutcome)],
              filters_[static_cast<size_t>(RecordColumn::kMarks)]);
  setTabOrder(filters_[static_cast<size_t>(RecordColumn::kMarks)],
              filters_[static_cast<size_t>(RecordColumn::kTime)]);
  filterDelay_.setSingleShot(true);
  filterDelay_.setInterval(120);
  connect(&filterDelay_, &QTimer::timeout, this, &ExplorePage::applyFilter);
  connect(header, &QHeaderView::sectionResized, this, &ExplorePage::layoutFilters);
  connect(header, &QHeaderView::geometriesChanged, this, &ExplorePage::layoutFilters);
  connect(table_->horizontalScrollBar(), &QScrollBar::valueChanged, this,
          &ExplorePage::layoutFilters);

  pending_->setObjectName(QStringLiteral("pending"));
  pending_->setVisible(false);
  pending_->setFlat(true);
  connect(pending_, &QPushButton::clicked, this, [&model] { model.refresh(); });
  count_->setProperty("faint", true);
  auto* foot = new QHBoxLayout;
  foot->setContentsMargins(8, 4, 8, 4);
  foot->addWidget(count_);
  foot->addSpacing(12);
  foot->addWidget(plots_->brushes());
  foot->addStretch();
  foot->addWidget(pending_);

  saved_->setObjectName(QStringLiteral("savedQueries"));
  saved_->setText(tr("Saved ▾"));
  saved_->setAccessibleName(tr("Saved queries"));
  saved_->setToolTip(tr("Queries and filters that were saved, and saving this one"));
  saved_->setPopupMode(QToolButton::InstantPopup);
  saved_->setFocusPolicy(Qt::TabFocus);
  saved_->setMenu(new QMenu(saved_));
  connect(saved_->menu(), &QMenu::aboutToShow, this, &ExplorePage::fillSaved);

  auto* records = new QWidget(this);
  auto* recordsLayout = new QVBoxLayout(records);
  recordsLayout->setContentsMargins(0, 0, 0, 0);
  recordsLayout->setSpacing(0);
  recordsLayout->addWidget(filterRow_);
  recordsLayout->addWidget(table_);
  auto* stacked = new QSplitter(Qt::Vertical, this);
  stacked->setObjectName(QStringLiteral("explore.plots.splitter"));
  stacked->setChildrenCollapsible(false);
  stacked->addWidget(plots_);
  stacked->addWidget(records);
  stacked->setStretchFactor(0, 1);
  stacked->setStretchFactor(1, 1);
  stacked->setSizes({400, 360});
  auto* list = new QWidget(this);
  auto* listLayout = new QVBoxLayout(list);
  listLayout->setContentsMargins(0, 0, 0, 0);
  listLayout->setSpacing(0);
  auto* queryRow = new QHBoxLayout;
  queryRow->setContentsMargins(2, 8, 8, 0);
  queryRow->addWidget(query_);
  queryRow->addWidget(saved_);
  listLayout->addLayout(queryRow);
  listLayout->addWidget(plots_->bar());
  listLayout->addWidget(stacked, 1);
  listLayout->addLayout(foot);
  auto* splitter = new QSplitter(Qt::Horizontal, this);
  splitter->setObjectName(QStringLiteral("explore.splitter"));
  splitter->addWidget(list);
  splitter->addWidget(candidate_);
  splitter->setStretchFactor(0, 55);
  splitter->setStretchFactor(1, 45);
  splitter->setChildrenCollapsible(false);
  splitter->setSizes({880, 560});
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->addWidget(splitter);

  connect(table_->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
          [this, &model](const QModelIndex& current) {
            if (!restoring_ && current.isValid())
              workspace_.selectRecord(model.idAt(current.row()));
          });
  connect(&model, &RecordModel::orderChanged, this, [this] {
    showSelection();
    updateCount();
  });
  connect(&model, &RecordModel::pendingChanged, this, &ExplorePage::updateCount);
  connect(&workspace_, &Workspace::recordSelected, this, &ExplorePage::showSelection);
  connect(&workspace_, &Workspace::loadingChanged, this, &ExplorePage::updateCount);
  // Rows must not move under somebody who looks at them: at the top one sees new ones come.
  const auto follow = [this, &model] {
    model.setFollowing(workspace_.isLoading() || table_->verticalScrollBar()->value() == 0);
  };
  connect(table_->verticalScrollBar(), &QScrollBar::valueChanged, this, follow);
  connect(&workspace_, &Workspace::loadingChanged, this, follow);
  connect(&workspace_, &Workspace::marksChanged, this, &ExplorePage::showMarks);
  showMarks();
  layoutFilters();
  updateCount();
}

void ExplorePage::showMarks() {
  const auto ratio = static_cast<int>(RecordColumn::kRatio);
  const bool hidden = workspace_.records().context().baselines.empty();
  if (hidden != table_->isColumnHidden(ratio)) {
    table_->setColumnHidden(ratio, hidden);
    if (hidden)
      filterField(RecordColumn::kRatio)->clear();
    layoutFilters();
  }
}

void ExplorePage::layoutFilters() {
  const QHeaderView* header = table_->horizontalHeader();
  // Over the rows: no part of a field stands over their scroll bar.
  filterRow_->setMask(QRect(0, 0, table_->viewport()->width(), filterRow_->height()));
  for (int i = 0; i < kRecordColumns; ++i) {
    QLineEdit* field = filters_[static_cast<size_t>(i)];
    const int x = header->sectionViewportPosition(i);
    field->setVisible(!header->isSectionHidden(i));
    field->setGeometry(x + 2, 4, header->sectionSize(i) - 4, filterRow_->height() - 8);
  }
}

bool ExplorePage::eventFilter(QObject* object, QEvent* event) {
  if (event->type() == QEvent::FocusIn) {
    // A field that is scrolled away comes into view with the focus.
    for (int i = 0; i < kRecordColumns; ++i)
      if (filters_[static_cast<size_t>(i)] == object) {
        QScrollBar* bar = table_->horizontalScrollBar();
        const QHeaderView* header = table_->horizontalHeader();
        const int x = header->sectionViewportPosition(i);
        if (x < 0)
          bar->setValue(bar->value() + x);
        else if (x + header->sectionSize(i) > table_->viewport()->width())
          bar->setValue(bar->value() + x + header->sectionSize(i) - table_->viewport()->width());
      }
  }
  if (object == table_->viewport() && event->type() == QEvent::Resize) {
    // A plot takes room: the selected record that showed goes on showing.
    const QModelIndex selected = table_->currentIndex();
    const int before = static_cast<QResizeEvent*>(event)->oldSize().height();
    const int y = selected.isValid() ? table_->visualRect(selected).top() : -1;
    if (y >= 0 && y < before &&
        y + table_->rowHeight(selected.row()) > table_->viewport()->height())
      QTimer::singleShot(0, table_, [this] { table_->scrollTo(table_->currentIndex()); });
  }
  return QWidget::eventFilter(object, event);
}

void ExplorePage::applyFilter() {
  FilterText texts;
  for (int i = 0; i < kRecordColumns; ++i)
    texts.columns[static_cast<size_t>(i)] = filters_[static_cast<size_t>(i)]->text();
  workspace_.records().setFilter(texts);
  const auto& errors = workspace_.records().filterErrors();
  for (int i = 0; i < kRecordColumns; ++i) {
    const QString& error = errors[static_cast<size_t>(i)];
    QLineEdit* field = filters_[static_cast<size_t>(i)];
    field->setToolTip(error.isEmpty() ? columnFilterHint(static_cast<RecordColumn>(i)) : error);
    field->setStyleSheet(error.isEmpty() ? QString()
                                         : QStringLiteral("border: 1px solid palette(text);"
                                                          " text-decoration: underline;"));
  }
  updateCount();
}

void ExplorePage::focusTable() { table_->setFocus(); }

void ExplorePage::focusFilter() {
  QLineEdit* field = filterField(RecordColumn::kWorkload);
  field->setFocus(Qt::ShortcutFocusReason);
  field->selectAll();
}

void ExplorePage::focusQuery() {
  query_->setFocus(Qt::ShortcutFocusReason);
  query_->selectAll();
}

void ExplorePage::searchPrograms(const QString& words) {
  // A text of the language ends at its quote.
  const QChar quote = words.contains(u'"') ? u'\'' : u'"';
  const QString text = quote + QString(words).remove(quote) + quote;
  query_->setText(QStringLiteral("trace ~ %1 or script ~ %1 or note ~ %1").arg(text));
  workspace_.setQuery(query_->text());
}

void ExplorePage::fillSaved() {
  QMenu* menu = saved_->menu();
  menu->clear();
  SavedQueries& queries = workspace_.savedQueries();
  for (const SavedQuery& query : queries.all())
    connect(menu->addAction(query.name), &QAction::triggered, this,
            [this, name = query.name] { useSaved(name); });
  if (!queries.all().empty())
    menu->addSeparator();
  QAction* save = menu->addAction(tr("Save this query and filter…"));
  save->setEnabled(canSaveQuery());
  connect(save, &QAction::triggered, this, &ExplorePage::saveQuery);
  if (queries.all().empty())
    return;
  QMenu* forget = menu->addMenu(tr("Forget"));
  for (const SavedQuery& query : queries.all())
    connect(forget->addAction(query.name), &QAction::triggered, this,
            [this, name = query.name] { workspace_.savedQueries().remove(name); });
}

bool ExplorePage::canSaveQuery() const {
  return !query_->text().trimmed().isEmpty() || !workspace_.records().filter().isEmpty();
}

void ExplorePage::saveQuery() {
  bool ok = false;
  QString suggestion = query_->text().trimmed();
  for (const QString& text : workspace_.records().filter().columns)
    if (suggestion.isEmpty())
      suggestion = text;
  const QString name = QInputDialog::getText(this, tr("Save query"), tr("Name"), QLineEdit::Normal,
                                             suggestion.left(60), &ok);
  if (ok)
    workspace_.savedQueries().save({name, query_->text().trimmed(), workspace_.records().filter()});
}

void ExplorePage::useSaved(const QString& name) {
  const SavedQuery* query = workspace_.savedQueries().find(name);
  if (!query)
    return;
  const SavedQuery used = *query;
  setTexts(used.query, used.filter);
}

void ExplorePage::setTexts(const QString& query, const FilterText& filter) {
  query_->setText(query);
  workspace_.setQuery(query);
  for (int i = 0; i < kRecordColumns; ++i)
    filters_[static_cast<size_t>(i)]->setText(filter.columns[static_cast<size_t>(i)]);
  applyFilter();
}

void ExplorePage::describe(PlaceLink& link) const {
  const RecordModel& model = workspace_.records();
  link.query = workspace_.query();
  link.filter = model.filter();
  const bool usual = model.sortColumn() == RecordColumn::kMeasured && model.sortDescending();
  if (!usual)
    link.sort = (model.sortDescending() ? QStringLiteral("-") : QString()) +
                columnTitle(model.sortColumn());
  if (plots_->plot() != PlotsPane::Plot::kNone)
    link.plot = QString::fromLatin1(kPlotNames[static_cast<size_t>(plots_->plot())]);
}

void ExplorePage::use(const PlaceLink& link) {
  if (!link.query.isEmpty() || !link.filter.isEmpty())
    setTexts(link.query, link.filter);
  const bool descending = link.sort.startsWith(u'-');
  for (int i = 0; i < kRecordColumns; ++i)
    if (columnTitle(static_cast<RecordColumn>(i)) == link.sort.mid(descending ? 1 : 0))
      table_->horizontalHeader()->setSortIndicator(i, descending ? Qt::DescendingOrder
                                                                 : Qt::AscendingOrder);
  for (size_t i = 0; i < kPlotNames.size(); ++i)
    if (link.plot == QLatin1StringView(kPlotNames[i]))
      plots_->show(static_cast<PlotsPane::Plot>(i));
}

void ExplorePage::clearFilter() {
  workspace_.analysis().clearBrushes();
  query_->clear();
  for (QLineEdit* field : filters_)
    field->clear();
  applyFilter();
}

void ExplorePage::showRun(const QString& id) {
  for (QLineEdit* field : filters_)
    field->clear();
  filterField(RecordColumn::kRun)->setText(shortId(id));
  applyFilter();
  table_->horizontalHeader()->setSortIndicator(static_cast<int>(RecordColumn::kTime),
                                               Qt::AscendingOrder);
}

void ExplorePage::showSelection() {
  const QString& id = workspace_.selectedRecord();
  if (!id.isEmpty() && table_->currentIndex().isValid() &&
      workspace_.records().idAt(table_->currentIndex().row()) == id)
    return;
  const int row = id.isEmpty() ? -1 : workspace_.records().rowOf(id);
  restoring_ = true;
  if (row >= 0) {
    const QModelIndex index = workspace_.records().index(row, 0);
    if (table_->currentIndex().row() != row) {
      table_->setCurrentIndex(index);
      table_->scrollTo(index);
    }
  } else {
    table_->clearSelection();
    table_->scrollToTop();
  }
  restoring_ = false;
}

void ExplorePage::updateCount() {
  const RecordModel& model = workspace_.records();
  const auto shown = static_cast<int64_t>(model.rowCount());
  const auto all = static_cast<int64_t>(model.table().size());
  QString text = shown == all || (model.filter().isEmpty() && !model.isRestricted())
                     ? countText(shown, "record")
                     : tr("%1 of %2").arg(numberText(shown), countText(all, "record"));
  if (workspace_.isLoading())
    text += tr(", loading…");
  if (!workspace_.queryError().isEmpty())
    text += QStringLiteral("   ⚠ ") + workspace_.queryError();
  for (const QString& error : model.filterErrors())
    if (!error.isEmpty())
      text += QStringLiteral("   ⚠ ") + error;
  count_->setText(text);
  const bool pending = model.pending() > 0 && !workspace_.isLoading() && !model.isBusy();
  pending_->setVisible(pending);
  pending_->setText(tr("Show %1 new").arg(countText(model.pending(), "record")));
}

} // namespace temper::gui
