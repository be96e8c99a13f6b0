#include "gui/core/database_address.h"

#include "database/location.h"
#include "ir/support/passwords.h"

#include "gui/core/format.h"

#include <QDir>
#include <QFileInfo>
#include <QUrl>
#include <QUrlQuery>

#include <optional>

namespace temper::gui {

bool isOnServer(const QString& location) {
  return database::is_postgres_url(location.toStdString());
}

QString databaseLocation(const QString& given, QString* password) {
  *password = QString();
  if (!isOnServer(given))
    // What only looks like an address is said where it is opened.
    return given.contains(QStringLiteral("://")) ? given : QFileInfo(given).absoluteFilePath();
  QUrl url(given, QUrl::StrictMode);
  if (!url.isValid())
    return given; // several hosts, perhaps: the library that connects knows
  const QString word = QStringLiteral("password");
  QUrlQuery options(url);
  if (!url.password().isEmpty())
    *password = url.password(QUrl::FullyDecoded);
  else if (options.hasQueryItem(word))
    *password = options.queryItemValue(word, QUrl::FullyDecoded);
  if (password->isNull())
    return given;
  url.setPassword(QString());
  options.removeAllQueryItems(word);
  url.setQuery(options.isEmpty() ? QString() : options.toString(QUrl::FullyEncoded));
  return url.toString(QUrl::FullyEncoded);
}

void useServerPassword(const QString& password) {
  static const char* const kVariable = "PGPASSWORD";
  static const std::optional<QByteArray> before =
      qEnvironmentVariableIsSet(kVariable) ? std::optional(qgetenv(kVariable)) : std::nullopt;
  if (!password.isNull())
    qputenv(kVariable, password.toUtf8());
  else if (before)
    qputenv(kVariable, *before);
  else
    qunsetenv(kVariable);
}

QString databaseTitle(const QString& location) {
  if (!isOnServer(location))
    return QFileInfo(location).fileName();
  const QUrl url(location);
  return url.isValid() && !url.host().isEmpty()
             ? QStringLiteral("%1 on %2").arg(url.path().mid(1), url.host())
             : QStringLiteral("a server's database");
}

QString databaseLabel(const QString& location) {
  const QString home = QDir::homePath();
  if (home.size() > 1 && location.startsWith(home + u'/'))
    return u'~' + location.mid(home.size());
  return toQString(without_passwords(location.toStdString()));
}

} // namespace temper::gui
