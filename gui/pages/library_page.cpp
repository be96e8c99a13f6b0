#include "gui/pages/library_page.h"

#include "gui/core/format.h"
#include "gui/widgets/table.h"
#include "gui/widgets/theme.h"

#include <QBoxLayout>
#include <QDir>
#include <QFileDialog>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QTableView>
#include <QTextDocument>

#include <algorithm>

namespace temper::gui {

LibraryPage::LibraryPage(Workspace& workspace, QWidget* parent)
    : QWidget(parent), workspace_(workspace), exporter_(this), table_(new QTableView(this)),
      head_(new QLabel(this)), name_(new QLineEdit(QStringLiteral("kernels"), this)),
      folder_(new QLineEdit(QStringLiteral("out"), this)), command_(new QLabel(this)),
      problem_(new QLabel(this)), export_(new QPushButton(tr("Export"), this)),
      log_(new QPlainTextEdit(this)) {
  setObjectName(QStringLiteral("library"));
  LibraryModel& model = workspace_.library();
  setUpTable(table_, QStringLiteral("libraryTable"), tr("Kernels of the library"), &model);
  setColumnWidths(table_, {40, 24, 9, 12, 16, 34, 11}, LibraryModel::kKernel);
  head_->setWordWrap(true);
  head_->setProperty("faint", true);
  head_->setContentsMargins(16, 12, 16, 8);
  name_->setObjectName(QStringLiteral("library.name"));
  name_->setAccessibleName(tr("Name of the library"));
  folder_->setObjectName(QStringLiteral("library.folder"));
  folder_->setAccessibleName(tr("Folder of the library"));
  folder_->setPlaceholderText(tr("a folder, which is made when it is not there"));
  auto* choose = new QPushButton(tr("Choose…"), this);
  command_->setFont(fixedFont());
  command_->setWordWrap(true);
  command_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  command_->setAccessibleName(tr("Equal command line"));
  problem_->setWordWrap(true);
  export_->setObjectName(QStringLiteral("library.export"));
  export_->setDefault(true);
  log_->setObjectName(QStringLiteral("library.log"));
  log_->setAccessibleName(tr("What the export said"));
  log_->setReadOnly(true);
  log_->setFont(fixedFont());
  log_->setFrameShape(QFrame::NoFrame);
  log_->document()->setDocumentMargin(14);
  log_->setPlaceholderText(tr("What the export says shows here."));
  log_->setMaximumHeight(fontMetrics().height() * 9);

  auto* grid = new QGridLayout;
  grid->setHorizontalSpacing(12);
  grid->setVerticalSpacing(6);
  const auto label = [this](const QString& text) {
    auto* words = new QLabel(text, this);
    words->setProperty("faint", true);
    return words;
  };
  grid->addWidget(label(tr("Name")), 0, 0);
  grid->addWidget(name_, 0, 1);
  grid->addWidget(label(tr("Folder")), 0, 2);
  grid->addWidget(folder_, 0, 3);
  grid->addWidget(choose, 0, 4);
  grid->setColumnStretch(1, 1);
  grid->setColumnStretch(3, 3);
  auto* foot = new QHBoxLayout;
  foot->addWidget(command_, 1);
  foot->addWidget(export_, 0, Qt::AlignTop);
  auto* form = new QVBoxLayout;
  form->setContentsMargins(16, 12, 16, 12);
  form->setSpacing(10);
  form->addLayout(grid);
  form->addWidget(problem_);
  form->addLayout(foot);
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  layout->addWidget(head_);
  layout->addWidget(table_, 1);
  layout->addLayout(form);
  layout->addWidget(log_);

  connect(choose, &QPushButton::clicked, this, &LibraryPage::chooseFolder);
  connect(export_, &QPushButton::clicked, this, &LibraryPage::exportNow);
  connect(name_, &QLineEdit::textChanged, this, &LibraryPage::update);
  connect(folder_, &QLineEdit::textChanged, this, &LibraryPage::update);
  connect(&model, &QAbstractItemModel::modelReset, this, &LibraryPage::update);
  connect(&model, &QAbstractItemModel::dataChanged, this, &LibraryPage::update);
  connect(&workspace_.analysis(), &Analysis::machineChanged, this, &LibraryPage::refresh);
  connect(table_, &QTableView::activated, this, [this](const QModelIndex& index) {
    if (index.column() != LibraryModel::kName)
      emit recordChosen(index.data(Qt::UserRole).toString());
  });
  update();
}

void LibraryPage::refresh() { workspace_.askLibrary(); }

QString LibraryPage::currentRecord() const {
  return table_->currentIndex().isValid()
             ? table_->currentIndex().siblingAtColumn(0).data(Qt::UserRole).toString()
             : QString();
}

void LibraryPage::focusTable() { table_->setFocus(); }

void LibraryPage::chooseFolder() {
  const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder of the library"));
  if (!folder.isEmpty())
    folder_->setText(folder);
}

QStringList LibraryPage::arguments(const QString& folder) const {
  return workspace_.library().arguments(name_->text(), folder) +
         QStringList{QStringLiteral("--db"), workspace_.database()};
}

QString LibraryPage::commandLine() const {
  return shellCommand(QStringLiteral("temper"), arguments(folder_->text().trimmed()));
}

QString LibraryPage::logText() const { return log_->toPlainText(); }

bool LibraryPage::canExport() const {
  return !exporter_.isRunning() && !folder_->text().trimmed().isEmpty() &&
         workspace_.library().problem(name_->text()).isEmpty();
}

void LibraryPage::update() {
  const LibraryModel& model = workspace_.library();
  const auto stale = std::count_if(model.rows().begin(), model.rows().end(),
                                   [](const LibraryRow& row) { return row.record.stale; });
  QString head =
      model.rows().empty()
          ? (workspace_.analysis().machine()
                 ? tr("Nothing of this machine yet: tune a kernel first (Ctrl+R).")
                 : tr("Asking what this machine is…"))
          : tr("The best of each kernel on this machine; %1 of %2 are ticked. Export compiles each "
               "again and checks it on fresh inputs before it goes in.")
                .arg(model.includedCount())
                .arg(model.rows().size());
  if (stale > 0)
    head += tr(" %1 stale: made by another compiler than today's.")
                .arg(countText(stale, "record") + (stale == 1 ? tr(" is") : tr(" are")));
  head_->setText(head);
  const QString problem = model.problem(name_->text());
  problem_->setText(!problem.isEmpty()                    ? problem
                    : folder_->text().trimmed().isEmpty() ? tr("Name a folder for it.")
                                                          : QString());
  problem_->setVisible(!problem_->text().isEmpty() && !model.rows().empty());
  command_->setText(fontMetrics().elidedText(commandLine(), Qt::ElideMiddle,
                                             fontMetrics().averageCharWidth() * 220));
  command_->setToolTip(commandLine());
  export_->setEnabled(canExport());
  export_->setText(exporter_.isRunning() ? tr("Exporting…") : tr("Export"));
}

void LibraryPage::exportNow() {
  if (!canExport())
    return;
  const QString folder = QDir(folder_->text().trimmed()).absolutePath();
  log_->setPlainText(shellCommand(QStringLiteral("temper"), arguments(folder)));
  exporter_.start(arguments(folder), [this](const TemperCommand::Answer& answer) {
    if (!answer.output.trimmed().isEmpty())
      log_->appendPlainText(answer.output.trimmed());
    if (!answer.error.isEmpty())
      log_->appendPlainText(QStringLiteral("⚠ ") + answer.error);
    else
      log_->appendPlainText(tr("Done."));
    update();
  });
  update();
}

} // namespace temper::gui
