/// temper-gui: the desktop workbench.
#include "database/location.h"
#include "database/sqlite_store.h"
#include "gui/main_window.h"
#include "gui/shots.h"
#include "ir/support/passwords.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QSettings>

#include <cstdio>
#include <optional>

using namespace temper;

int main(int argc, char** argv) {
  // Before there is an application: pictures need no display, and the scale is read only once.
  for (int i = 1; i < argc; ++i) {
    const QByteArray word(argv[i]);
    if (word == "--shots" || word.startsWith("--shots=") || word == "--save" ||
        word.startsWith("--save="))
      qputenv("QT_QPA_PLATFORM", "offscreen");
    const QByteArray scale = word.startsWith("--scale=")         ? word.mid(8)
                             : word == "--scale" && i + 1 < argc ? QByteArray(argv[i + 1])
                                                                 : QByteArray();
    if (!scale.isEmpty()) {
      bool ok = false;
      const double percent = scale.toDouble(&ok);
      if (!ok || percent < 50 || percent > 400) {
        std::fprintf(stderr, "temper-gui: --scale is per cent from 50 to 400, not '%s'\n",
                     scale.constData());
        return 2;
      }
      qputenv("QT_SCALE_FACTOR", QByteArray::number(percent / 100));
    }
  }
  QApplication app(argc, argv);
  QApplication::setOrganizationName(QStringLiteral("temper"));
  QApplication::setApplicationName(QStringLiteral("temper-gui"));

  QCommandLineParser parser;
  parser.setApplicationDescription(
      QStringLiteral("The desktop workbench of temper: records, runs, comparisons."));
  parser.addHelpOption();
  const QCommandLineOption database(
      QStringLiteral("db"),
      QStringLiteral("Database: a file, or postgresql://user@host/name (default: that of the link, "
                     "$TEMPER_DB, else temper/temper.db in the data home)."),
      QStringLiteral("DATABASE"));
  const QCommandLineOption shots(
      QStringLiteral("shots"),
      QStringLiteral("Draw every view to PNG files in this folder and exit."),
      QStringLiteral("FOLDER"));
  const QCommandLineOption save(
      QStringLiteral("save"),
      QStringLiteral("Save what the link shows (a plot, a run, a comparison) to this file, .png, "
                     ".svg, .csv or .html, and exit."),
      QStringLiteral("FILE"));
  const QCommandLineOption theme(QStringLiteral("theme"), QStringLiteral("light, dark or auto."),
                                 QStringLiteral("NAME"));
  const QCommandLineOption scale(QStringLiteral("scale"),
                                 QStringLiteral("Size of everything in per cent, 50 to 400."),
                                 QStringLiteral("PERCENT"));
  parser.addOptions({database, shots, save, theme, scale});
  parser.addPositionalArgument(
      QStringLiteral("link"),
      QStringLiteral("A place in the workbench, copied there with Ctrl+Alt+L: temper://open?..."),
      QStringLiteral("[LINK]"));
  parser.process(app);
  for (int i = 1; i < argc; ++i)
    blot_out_passwords(argv[i]); // every user of the machine can read them

  std::optional<gui::PlaceLink> place;
  const QStringList words = parser.positionalArguments();
  if (words.size() > 1) {
    std::fprintf(stderr, "temper-gui: one link at a time, not %lld\n",
                 static_cast<long long>(words.size()));
    return 2;
  }
  if (!words.isEmpty()) {
    auto link = gui::PlaceLink::parse(words.front());
    if (!link) {
      std::fprintf(stderr, "temper-gui: %s\n", link.error().to_string().c_str());
      return 2;
    }
    place = *link;
  }

  QString path = parser.value(database);
  if (path.isEmpty() && place)
    path = place->database;
  if (path.isEmpty()) {
    const auto usual = database::default_database_path();
    if (!usual) {
      std::fprintf(stderr, "temper-gui: %s\n", usual.error().to_string().c_str());
      return 2;
    }
    path = QString::fromStdString(usual->string());
  }
  if (const auto place = database::check_location(path.toStdString()); !place) {
    std::fprintf(stderr, "temper-gui: %s\n", place.error().to_string().c_str());
    return 2;
  }
  // It was said once: a link may come from a machine where the same database has another name.
  if (place)
    place->database.clear();

  const bool is_file = !database::is_postgres_url(path.toStdString());
  if ((parser.isSet(shots) || parser.isSet(save)) && is_file && !QFileInfo::exists(path)) {
    std::fprintf(stderr,
                 "temper-gui: there is no database %s to take pictures of; --db "
                 "names another\n",
                 qPrintable(path));
    return 2;
  }
  if (parser.isSet(shots))
    return gui::takeShots(path, parser.value(shots));
  if (parser.isSet(save)) {
    if (!place) {
      std::fprintf(stderr, "temper-gui: --save needs a link that says what to save: copy one with "
                           "Ctrl+Alt+L in the workbench\n");
      return 2;
    }
    return gui::saveView(path, *place, parser.value(save));
  }
  auto choice =
      static_cast<gui::ThemeChoice>(QSettings().value(QStringLiteral("theme"), 0).toInt());
  if (const QString name = parser.value(theme); !name.isEmpty()) {
    if (name != u"light" && name != u"dark" && name != u"auto") {
      std::fprintf(stderr, "temper-gui: --theme is light, dark or auto, not '%s'\n",
                   qPrintable(name));
      return 2;
    }
    choice = name == u"light"  ? gui::ThemeChoice::kLight
             : name == u"dark" ? gui::ThemeChoice::kDark
                               : gui::ThemeChoice::kAuto;
  }
  gui::applyTheme(choice);
  gui::MainWindow window(path);
  window.setRemembering(true);
  if (place)
    window.goTo(*place);
  window.show();
  return QApplication::exec();
}
