# Writes OUTPUT, a C++ file with every migrations/NNNN_name.sql of FOLDER as text, in order.
file(GLOB scripts ${FOLDER}/[0-9][0-9][0-9][0-9]_*.sql)
list(SORT scripts)
set(body "")
set(expected 1)
foreach(script ${scripts})
  get_filename_component(name ${script} NAME)
  string(SUBSTRING ${name} 0 4 number)
  math(EXPR number "1${number} - 10000")
  if(NOT number EQUAL expected)
    message(FATAL_ERROR "migrations are numbered without gaps: expected ${expected}, found ${name}")
  endif()
  math(EXPR expected "${expected} + 1")
  file(READ ${script} text)
  string(APPEND body "    {${number}, \"${name}\", R\"temper_sql(${text})temper_sql\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made from database/migrations by embed_migrations.cmake.
#include \"database/detail/migrations.h\"

namespace temper::database::detail {
namespace {
constexpr Migration kMigrations[] = {
${body}};
} // namespace
std::span<const Migration> migrations() { return kMigrations; }
} // namespace temper::database::detail
")
