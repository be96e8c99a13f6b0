/// What the window looks at: a database file, or one on a PostgreSQL server.
#pragma once

#include <QString>

namespace temper::gui {

bool isOnServer(const QString& location);

/// A location as somebody gives it, ready to be opened: a file's path becomes absolute. The
/// password of a server's address is taken out of it, into `password` (null: there was none), so
/// that nothing that shows, copies or hands on the location tells it.
QString databaseLocation(const QString& given, QString* password);

/// Hands the password to everything of this process that connects from now on, and to its child
/// processes; null takes back what was handed over before. No thread may be connecting meanwhile.
void useServerPassword(const QString& password);

/// For the window's title: "overnight.db", "kernels on attic".
QString databaseTitle(const QString& location);
/// As a shell would have it: short, and the same for everybody.
QString databaseLabel(const QString& location);

} // namespace temper::gui
