/// temper-gui: the desktop workbench.
#include "database/location.h"
#include "database/sqlite_store.h"
#include "gui/main_window.h"
#include "gui/shots.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QSettings>

#include <cstdio>

using namespace temper;

int main(int argc, char** argv) {
  // Before there is an application: pictures need no display, and the scale is read only once.
  for (int i = 1; i < argc; ++i) {
    const QByteArray word(argv[i]);
    if (word == "--shots" || word.startsWith("--shots="))
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
      QStringLiteral(
          "Database file (default: $TEMPER_DB, else temper/temper.db in the data home)."),
      QStringLiteral("FILE"));
  const QCommandLineOption shots(
      QStringLiteral("shots"),
      QStringLiteral("Draw every view to PNG files in this folder and exit."),
      QStringLiteral("FOLDER"));
  const QCommandLineOption theme(QStringLiteral("theme"), QStringLiteral("light, dark or auto."),
                                 QStringLiteral("NAME"));
  const QCommandLineOption scale(QStringLiteral("scale"),
                                 QStringLiteral("Size of everything in per cent, 50 to 400."),
                                 QStringLiteral("PERCENT"));
  parser.addOptions({database, shots, theme, scale});
  parser.process(app);

  QString path = parser.value(database);
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
  if (path.contains(QStringLiteral("://"))) { // not repeated: it may hold a password
    std::fprintf(stderr, "temper-gui: it opens database files only; copy a server's records into "
                         "one with temper dump and temper import\n");
    return 2;
  }
  path = QFileInfo(path).absoluteFilePath();

  if (parser.isSet(shots))
    return gui::takeShots(path, parser.value(shots));
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
  window.show();
  return QApplication::exec();
}
