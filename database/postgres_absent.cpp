// In place of postgres_store.cpp where TEMPER_POSTGRES is off.
#include "database/postgres_store.h"

namespace temper::database {

Result<std::unique_ptr<Store>> open_postgres_store(const PostgresOptions& /*options*/) {
  return Error(ErrorCode::kUnsupported,
               "this temper was built without PostgreSQL (libpq); build it with libpq-dev "
               "installed, or name a file with --db");
}

} // namespace temper::database
