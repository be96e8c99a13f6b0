/// The window: perspectives, menus and the palette over one workspace. All commands are in the
/// registry; this is where they are made.
#pragma once

#include "gui/core/actions.h"
#include "gui/core/kept_state.h"
#include "gui/core/place_link.h"
#include "gui/core/workspace.h"
#include "gui/widgets/theme.h"

#include <QMainWindow>

#include <memory>

class QLabel;
class QStackedWidget;
class QToolBar;

namespace temper::gui {

class CommandPalette;
class ComparePage;
class EditPage;
class ExplorePage;
class LibraryPage;
class MarkStrip;
class RunsPage;

class MainWindow : public QMainWindow {
  Q_OBJECT
public:
  enum class Perspective : uint8_t { kExplore, kRuns, kCompare, kEdit, kLibrary };

  explicit MainWindow(const QString& database, QWidget* parent = nullptr);
  ~MainWindow() override;

  /// Closes what is open and looks at another database: a file, or postgresql://user@host/name.
  void openDatabase(const QString& database);
  /// Where one is, as a link; and to such a place. A link's database is opened when it is another.
  PlaceLink place() const;
  void goTo(const PlaceLink& link);
  /// The same with what somebody typed or pasted; what is wrong with it is said.
  void openLink(const QString& text);
  /// Takes a step in the editor.
  void edit(const EditProposal& proposal);
  void showPerspective(Perspective perspective);
  Perspective perspective() const { return perspective_; }
  /// Remembers layout, theme, keys and what is open for the next start, and takes up what was
  /// remembered; off in tests and pictures.
  void setRemembering(bool remembering);

  /// The size of everything, 100 to 300 per cent.
  void setScale(int percent);
  int scale() const { return scale_; }

  ActionRegistry& actions() { return *actions_; }
  Workspace& workspace() { return *workspace_; }
  ExplorePage* explorePage() const { return explore_; }
  RunsPage* runsPage() const { return runs_; }
  ComparePage* comparePage() const { return compare_; }
  EditPage* editPage() const { return edit_; }
  LibraryPage* libraryPage() const { return library_; }
  CommandPalette* commandPalette() const { return palette_; }
  MarkStrip* markStrip() const { return marks_; }
  QString statusText() const;
  /// Of the perspective that shows: what is selected, a run's best, B of a comparison, the schedule
  /// that is edited. Empty when there is none.
  QString meantRecord() const;

protected:
  void closeEvent(QCloseEvent* event) override;
  /// Whether a command may run is looked up when somebody presses keys: what enables it need not
  /// have said so.
  bool eventFilter(QObject* object, QEvent* event) override;

private:
  void makeActions();
  void makeRecordActions();
  void makePlotActions();
  void makeRunActions();
  void makeCompareActions();
  void makeEditActions();
  void makeLibraryActions();
  void makeHelpActions();
  void makeCommandLines();
  void makeMenus();
  void makeToolBar();
  void makePages();
  void deletePages();
  /// Splitters and columns of all perspectives, under a name of the settings: "layout" is kept for
  /// the next start, others were saved by somebody.
  void restoreLayout(const QString& name = QStringLiteral("layout"));
  void saveLayout(const QString& name = QStringLiteral("layout")) const;
  void makeMarkActions();
  void makePlaceActions();
  void makeLayoutActions();
  void showState();
  void compareSelected();
  void saveComparison();
  void setTheme(ThemeChoice choice);
  void setHeat(bool on);
  void showKeys();
  void showAbout();
  /// What is open, kept a moment after it changes, so that a window that is killed comes back to
  /// it.
  void keepState();
  void restoreState();
  QString meantRecordOfEdit() const;
  void readKeys();

  ActionRegistry* actions_;
  std::unique_ptr<Workspace> workspace_;
  QStackedWidget* pages_;
  QWidget* empty_ = nullptr;
  QLabel* emptyTitle_ = nullptr;
  QLabel* emptyText_ = nullptr;
  ExplorePage* explore_ = nullptr;
  RunsPage* runs_ = nullptr;
  ComparePage* compare_ = nullptr;
  EditPage* edit_ = nullptr;
  LibraryPage* library_ = nullptr;
  CommandPalette* palette_;
  MarkStrip* marks_ = nullptr;
  QLabel* databaseLabel_;
  Perspective perspective_ = Perspective::kExplore;
  bool remembering_ = false;
  int scale_ = 100;
  bool heat_ = true;
  std::unique_ptr<KeptState> kept_; ///< of the database that is open
};

} // namespace temper::gui
