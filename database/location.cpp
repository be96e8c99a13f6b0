#include "database/location.h"

#include "ir/support/text.h"

#include <algorithm>
#include <array>

namespace temper::database {

bool is_postgres_url(std::string_view location) {
  return location.starts_with("postgresql://") || location.starts_with("postgres://");
}

Result<void> check_location(std::string_view location) {
  if (is_postgres_url(location))
    return {};
  static constexpr std::array<std::string_view, 12> kKeywords = {
      "host",    "hostaddr", "port",    "dbname",          "user",   "password",
      "service", "passfile", "sslmode", "connect_timeout", "schema", "options"};
  const size_t equals = location.find('=');
  const bool keywords =
      equals != std::string_view::npos &&
      std::ranges::find(kKeywords, trim(location.substr(0, equals))) != kKeywords.end();
  if (!keywords && location.find("://") == std::string_view::npos)
    return {};
  return Error(ErrorCode::kInvalidArgument,
               std::string(keywords ? "a server is not named by keywords, as host=..."
                                    : "databases are files or PostgreSQL servers") +
                   "; give its address as --db postgresql://user@host/name, and the password in "
                   "PGPASSWORD or ~/.pgpass");
}

} // namespace temper::database
