/// TVM MetaSchedule's database: two files in a folder, database_workload.json and
/// database_tuning_record.json, a JSON value per line.
///
///   ["1975238974954591924", "<base64 of a program>"]
///   [0, [[[instruction, ...], [decision, ...]], [seconds, ...], {target}, [argument, ...]]]
///
/// Each workload becomes a workload file that tune, check and the others take; each record whose
/// trace replays here becomes a record of that workload, with MetaSchedule's time, which belongs to
/// the machine and the compiler that its target names and is never compared with ours. The other
/// way round, workloads and their records are written for MetaSchedule to read.
#pragma once

#include "database/store.h"
#include "tuner/workbench.h"

#include <string>
#include <vector>

namespace temper::tuner {

inline constexpr const char* kMetaScheduleWorkloads = "database_workload.json";
inline constexpr const char* kMetaScheduleRecords = "database_tuning_record.json";

/// The folder holds such a database.
bool is_metaschedule_folder(const std::string& folder);

struct MetaScheduleImport {
  struct Workload {
    std::string name; ///< "gmm.py:gmm": what other commands take
    std::string file;
    database::Id id;
    int64_t records = 0;
    int64_t failed = 0; ///< among them, those that MetaSchedule could not time
    database::Id best;
    double best_ns = 0;
  };
  std::vector<Workload> workloads;
  int64_t lines = 0;                 ///< of records
  int64_t records = 0;               ///< rows that are in the database now
  int64_t added = 0;                 ///< of them new
  int64_t broken = 0;                ///< lines left out
  std::vector<std::string> problems; ///< of the first of them: file, line, what is wrong
};
inline constexpr size_t kMostProblems = 20;

/// Reads the folder line by line. Broken lines are counted and named, the rest is read. Workload
/// files are written to `out` (a folder) under the name of `folder`; one that is there and differs
/// is an error.
Result<MetaScheduleImport> import_metaschedule(Workbench& bench, const std::string& folder,
                                               const std::string& out);

struct MetaScheduleExport {
  int64_t workloads = 0;
  int64_t records = 0;
  int64_t left_out = 0; ///< candidates, and workloads as a whole, that TVM has no form for
  std::vector<std::string> problems; ///< of the first of them, why
};

/// Writes the two files to `folder`, which must not hold them yet: of each workload one record per
/// candidate and target, its time (1e10 seconds, as MetaSchedule writes, for one that failed); of
/// one machine, since MetaSchedule compares all of them. Candidates whose timing was stopped are
/// left out without a word, as nothing is known of them.
Result<MetaScheduleExport> export_metaschedule(database::Store& store,
                                               const std::vector<database::Id>& workloads,
                                               const std::string& folder);

} // namespace temper::tuner
