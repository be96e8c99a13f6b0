/// Pictures of every view, light and dark, from a database of real runs and with fonts of their
/// own, compared with those that somebody approved (tests/gui/pictures). QT_SCALE_FACTOR says at
/// which size. Where they differ, what was drawn, what was expected and the difference are left in
/// the build folder; TEMPER_UPDATE_PICTURES=1 approves what is drawn.
#include "tests/gui/fixture.h"

#include "gui/core/record_filter.h"
#include "gui/shots.h"
#include "gui/widgets/theme.h"

#include <QApplication>
#include <QFontDatabase>
#include <QHash>
#include <QImage>
#include <QStandardPaths>
#include <QTest>

#include <algorithm>

namespace temper::gui {

namespace {

constexpr int kTolerance = 40;       ///< of a channel
constexpr double kMostOther = 0.001; ///< share of the pixels
constexpr int kColours = 16;

/// As it is kept: half as large, whatever the scale. Smaller things than that nobody approves.
QImage halved(const QImage& image) {
  const QSize size = (QSizeF(image.size()) / qApp->devicePixelRatio() / 2).toSize();
  return image.scaled(size, Qt::IgnoreAspectRatio, Qt::SmoothTransformation)
      .convertToFormat(QImage::Format_RGB32);
}

/// The same with each colour as the nearest of a table.
QImage inColours(const QImage& image, const QList<QRgb>& table) {
  QImage indexed(image.size(), QImage::Format_Indexed8);
  indexed.setColorTable(table);
  QHash<QRgb, int> nearest;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x) {
      const QRgb colour = image.pixel(x, y) | 0xff000000;
      auto found = nearest.find(colour);
      if (found == nearest.end()) {
        int best = 0, distance = 1 << 30;
        for (int i = 0; i < table.size(); ++i) {
          const int red = qRed(colour) - qRed(table[i]), green = qGreen(colour) - qGreen(table[i]),
                    blue = qBlue(colour) - qBlue(table[i]);
          if (const int away = red * red + green * green + blue * blue; away < distance) {
            distance = away;
            best = i;
          }
        }
        found = nearest.insert(colour, best);
      }
      indexed.setPixel(x, y, static_cast<uint>(*found));
    }
  return indexed;
}

/// The same with the colours that it has most of: small, and within the tolerance nearly
/// everywhere.
QImage withFewColours(const QImage& image) {
  QHash<QRgb, int> counts;
  for (int y = 0; y < image.height(); ++y)
    for (int x = 0; x < image.width(); ++x)
      ++counts[image.pixel(x, y) | 0xff000000];
  QList<QRgb> colours = counts.keys();
  std::sort(colours.begin(), colours.end(),
            [&](QRgb a, QRgb b) { return std::pair(counts[a], a) > std::pair(counts[b], b); });
  // The most frequent, but none that another stands for already.
  QList<QRgb> table;
  for (const int apart : {40, 20, 8, 0})
    for (const QRgb colour : colours) {
      if (table.size() >= kColours)
        break;
      const bool near = std::any_of(table.begin(), table.end(), [&](QRgb other) {
        return qAbs(qRed(colour) - qRed(other)) <= apart &&
               qAbs(qGreen(colour) - qGreen(other)) <= apart &&
               qAbs(qBlue(colour) - qBlue(other)) <= apart;
      });
      if (!near)
        table << colour;
    }
  return inColours(image, table);
}

/// Share of pixels that differ; what differs is white in `marks`.
double differenceOf(const QImage& a, const QImage& b, QImage* marks) {
  if (a.size() != b.size())
    return 1;
  *marks = QImage(a.size(), QImage::Format_RGB32);
  marks->fill(Qt::black);
  int64_t other = 0;
  for (int y = 0; y < a.height(); ++y)
    for (int x = 0; x < a.width(); ++x) {
      const QRgb left = a.pixel(x, y), right = b.pixel(x, y);
      if (qAbs(qRed(left) - qRed(right)) > kTolerance ||
          qAbs(qGreen(left) - qGreen(right)) > kTolerance ||
          qAbs(qBlue(left) - qBlue(right)) > kTolerance) {
        ++other;
        marks->setPixel(x, y, qRgb(255, 255, 255));
      }
    }
  return static_cast<double>(other) / (static_cast<double>(a.width()) * a.height());
}

} // namespace

class PicturesTest : public QObject {
  Q_OBJECT

private slots:
  void everyViewLooksAsItWasApproved() {
    QStandardPaths::setTestModeEnabled(true);
    const QString source = QStringLiteral(TEMPER_PICTURES_SOURCE);
    for (const char* font : {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf"})
      QVERIFY(QFontDatabase::addApplicationFont(source + QStringLiteral("/fonts/") +
                                                QString::fromLatin1(font)) >= 0);
    QFont font(QStringLiteral("DejaVu Sans"));
    font.setPointSizeF(9.75);
    font.setHintingPreference(QFont::PreferNoHinting);
    QApplication::setFont(font);
    setFixedFamily(QStringLiteral("DejaVu Sans Mono"));
    // In a home of its own, so that the status bar says the same everywhere.
    QTemporaryDir home;
    qputenv("HOME", home.path().toLocal8Bit());
    const QString database = home.filePath(QStringLiteral("kernels.db"));
    for (const char* records : {"/pictures/records.jsonl", "/gpu_records.jsonl"})
      importRecords(source + QString::fromLatin1(records), database);

    // A baseline and a pin, so that they are seen everywhere.
    {
      const auto store = must(database::open_sqlite_store({.path = database.toStdString()}));
      const auto best = must(store->best({}));
      QVERIFY(!best.empty());
      for (const database::RecordRow& row : best) {
        database::RecordFilter filter = database::same_conditions(row);
        for (const database::RecordRow& other : must(store->list_records(filter)))
          if (other.median_ns > 0 && must(store->measurement(other.id)).origin == "untuned") {
            must(store->add(database::Tag{other.id, std::string(kBaselineTag.latin1()), 0}));
            break;
          }
      }
      must(store->add(database::Tag{best.front().id, std::string(kPinTag.latin1()), 0}));
    }
    const QString drawn =
        QDir::current().filePath(QStringLiteral("gui-pictures-%1x").arg(qApp->devicePixelRatio()));
    QDir(drawn).removeRecursively();
    ShotOptions options;
    options.sameEverywhere = true;
    QCOMPARE(takeShots(database, drawn, options), 0);
    const bool update = qEnvironmentVariableIsSet("TEMPER_UPDATE_PICTURES");
    QStringList problems;
    const QStringList names = QDir(drawn).entryList({QStringLiteral("*.png")}, QDir::Files);
    QVERIFY(names.size() >= 20);
    for (const QString& name : names) {
      const QString approved =
          source + QStringLiteral("/pictures/%1x/%2").arg(qApp->devicePixelRatio()).arg(name);
      const QImage now = halved(QImage(drawn + u'/' + name));
      if (update) {
        // At twice the size a few will do: layouts are the same, only edges are finer.
        static const QStringList few{"explore-light.png", "explore-parallel-dark.png",
                                     "edit-sweep-light.png", "runs-dark.png"};
        if (qApp->devicePixelRatio() > 1 && !few.contains(name))
          continue;
        QDir().mkpath(QFileInfo(approved).path());
        QVERIFY(withFewColours(now).save(approved, "PNG", 0));
        continue;
      }
      if (qApp->devicePixelRatio() > 1 && !QFile::exists(approved))
        continue;
      const QImage before(approved);
      QImage marks;
      const double other =
          before.isNull()
              ? 1
              : differenceOf(inColours(now, before.colorTable()).convertToFormat(now.format()),
                             before.convertToFormat(now.format()), &marks);
      if (other <= kMostOther)
        continue;
      problems << QStringLiteral("%1: %2 % of it differ").arg(name).arg(100 * other, 0, 'f', 2);
      if (!before.isNull()) {
        before.save(drawn + QStringLiteral("/expected-") + name);
        marks.save(drawn + QStringLiteral("/difference-") + name);
      }
    }
    QVERIFY2(problems.isEmpty(), qPrintable(problems.join(u'\n') +
                                            QStringLiteral("\nlook at %1; TEMPER_UPDATE_PICTURES=1 "
                                                           "approves them")
                                                .arg(drawn)));
  }
};

} // namespace temper::gui

QTEST_MAIN(temper::gui::PicturesTest)
#include "pictures_test.moc"
