/// The whole database as JSON lines, and back: for backups, for colleagues, for other programs.
///
///   {"schema":"temper.dump/1","database_schema":1,"created_at":1763712000000000000}
///   {"row":"environment","id":"e81a…","class_name":"cpu:sapphirerapids/2",…}
///   {"row":"measurement","id":"m3f9…","outcome":"ok","median_ns":1234.5,"samples_f32":"…",…}
///   {"row":"end","rows":1234}
///
/// Rows come after those that they name. Absent numbers and texts are left out; hashes are 16
/// hexadecimal digits; bytes and samples (float32, little-endian) are base64. Ids are made of
/// content, so importing a dump twice, or two dumps that overlap, adds each row once.
#pragma once

#include "database/store.h"

#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace temper::database {

inline constexpr int kDumpVersion = 1;

struct DumpOptions {
  bool artifacts = true;     ///< machine code of the bests
  bool models = true;        ///< cost models
  std::vector<Id> workloads; ///< only what belongs to these; empty: everything
};

struct DumpSummary {
  std::map<std::string, int64_t> rows; ///< per kind
};

/// Writes a consistent snapshot; other processes may go on recording meanwhile.
Result<DumpSummary> dump(Store& store, std::ostream& out, const DumpOptions& options = {});

struct ImportSummary {
  std::map<std::string, int64_t> rows;  ///< read, per kind
  std::map<std::string, int64_t> added; ///< that were not there before, per kind
  std::vector<std::string> problems;    ///< a sentence per line that was left out, with its number
  int64_t problem_count = 0;            ///< of which `problems` has the first 20
  bool truncated = false;               ///< the end line is missing: the file was cut
};

struct ImportOptions {
  bool partial = false; ///< take what is complete of a dump that was cut off
};

/// Reads a dump; `name` is for messages. A dump that was cut off is refused, with the line, before
/// anything is imported (what cannot be read twice, as a pipe, is put into a temporary file first).
/// Every broken line is a problem of the summary, and the others are imported. An error is, too: no
/// dump at all, one of a newer version, a store that cannot be written.
Result<ImportSummary> import_dump(Store& store, std::istream& in, const std::string& name,
                                  const ImportOptions& options = {});

} // namespace temper::database
