/// Where one is in the window: as a link, and kept for the next start.
#include "gui/main_window.h"

#include "gui/core/database_address.h"
#include "gui/core/format.h"
#include "gui/pages/candidate_pane.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/explore_page.h"
#include "gui/pages/library_page.h"
#include "gui/widgets/keys_dialog.h"

#include <QSettings>
#include <QStatusBar>

namespace temper::gui {

PlaceLink MainWindow::place() const {
  PlaceLink link;
  link.database = workspace_->database();
  link.view = QString::fromLatin1(kViewNames[static_cast<size_t>(perspective_)]);
  switch (perspective_) {
  case Perspective::kExplore:
    link.record = workspace_->selectedRecord();
    link.level = explore_->candidate()->levelName();
    explore_->describe(link);
    break;
  case Perspective::kRuns:
    link.run = workspace_->selectedRun();
    break;
  case Perspective::kCompare:
    for (const int side : {0, 1})
      link.sides[side] = workspace_->side(side);
    link.level = compare_->levelName();
    break;
  case Perspective::kEdit:
    link.record = meantRecord();
    break;
  case Perspective::kLibrary:
    link.record = library_->currentRecord();
    break;
  }
  return link;
}

void MainWindow::goTo(const PlaceLink& link) {
  QString password;
  if (!link.database.isEmpty() &&
      databaseLocation(link.database, &password) != workspace_->database())
    openDatabase(link.database);
  Perspective perspective = Perspective::kExplore;
  for (size_t i = 0; i < kViewNames.size(); ++i)
    if (link.view == QLatin1StringView(kViewNames[i]))
      perspective = static_cast<Perspective>(i);
  if (!link.run.isEmpty())
    workspace_->selectRun(link.run);
  for (const int side : {0, 1})
    if (!link.sides[side].isEmpty())
      workspace_->setSide(side, link.sides[side]);
  if (perspective == Perspective::kEdit) {
    if (!link.record.isEmpty() && link.record != meantRecordOfEdit())
      workspace_->edit().open(link.record);
  } else if (!link.record.isEmpty()) {
    workspace_->selectRecord(link.record);
  }
  explore_->use(link);
  showPerspective(perspective);
  if (perspective == Perspective::kCompare && link.level == u"why")
    compare_->showWhy();
  else if (!link.level.isEmpty())
    actions_->trigger(QStringLiteral("code.") + link.level);
}

QString MainWindow::meantRecordOfEdit() const {
  return workspace_->edit().isOpen() ? workspace_->edit().history().current()->record : QString();
}

void MainWindow::openLink(const QString& text) {
  const auto link = PlaceLink::parse(text);
  if (link)
    goTo(*link);
  else
    statusBar()->showMessage(QStringLiteral("⚠ ") + sentence(link.error()));
}

void MainWindow::edit(const EditProposal& proposal) {
  if (!proposal.trace.isEmpty())
    workspace_->edit().openWith(proposal); // shows the editor when it is there
}

void MainWindow::keepState() {
  if (!remembering_)
    return;
  kept_ = std::make_unique<KeptState>(workspace_->database(), [this] {
    PlaceLink link = place();
    // All that is open, whatever shows.
    link.record = perspective_ == Perspective::kEdit ? QString() : workspace_->selectedRecord();
    link.run = workspace_->selectedRun();
    for (const int side : {0, 1})
      link.sides[side] = workspace_->side(side);
    explore_->describe(link);
    return Json{{"place", link.toText().toStdString()},
                {"selected", workspace_->selectedRecord().toStdString()},
                {"edit", workspace_->edit().kept()}};
  });
  const auto touch = [this] {
    if (kept_)
      kept_->touch();
  };
  Workspace* workspace = workspace_.get();
  connect(workspace, &Workspace::recordSelected, this, touch);
  connect(workspace, &Workspace::runSelected, this, touch);
  connect(workspace, &Workspace::sidesChanged, this, touch);
  connect(workspace, &Workspace::queryChanged, this, touch);
  connect(&workspace->records(), &RecordModel::orderChanged, this, touch);
  connect(&workspace->edit(), &EditSession::decisionsChanged, this, touch);
  connect(&workspace->edit().history(), &EditHistory::currentChanged, this, touch);
  connect(&workspace->edit().history(), &QAbstractItemModel::dataChanged, this, touch);
}

void MainWindow::restoreState() {
  keepState();
  const Json kept = kept_->read();
  if (kept.empty())
    return;
  workspace_->edit().restore(kept.value("edit", Json()));
  const auto text = [&](const char* name) {
    const auto entry = kept.find(name);
    return entry != kept.end() && entry->is_string() ? toQString(entry->get<std::string>())
                                                     : QString();
  };
  if (auto link = PlaceLink::parse(text("place"))) {
    link->database.clear(); // it is this one
    goTo(*link);
  }
  if (const QString selected = text("selected"); !selected.isEmpty())
    workspace_->selectRecord(selected);
}

void MainWindow::readKeys() {
  QSettings settings;
  settings.beginGroup(QStringLiteral("keys"));
  std::map<QString, QString> keys;
  for (const QString& id : settings.childKeys())
    keys[id] = settings.value(id).toString();
  actions_->takeKeys(keys);
}

void MainWindow::showKeys() {
  KeysDialog dialog(*actions_, this);
  connect(&dialog, &KeysDialog::keysChanged, this, [this] {
    if (!remembering_)
      return;
    QSettings settings;
    settings.remove(QStringLiteral("keys"));
    settings.beginGroup(QStringLiteral("keys"));
    for (const auto& [id, keys] : actions_->changedKeys())
      settings.setValue(id, keys);
  });
  dialog.exec();
}

} // namespace temper::gui
