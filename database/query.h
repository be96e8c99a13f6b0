/// Questions to the database: filters, the rows that answer them, and the text form of a selection.
///
///   SELECTION = record id | WORKLOAD [NAME=VALUE…] | run:ID | tag:X | query:"…"
///
/// The best is a query, never a stored fact. Two numbers are compared only when they agree in the
/// key: workload (which includes its shape binding), target, threads, environment class, toolchain,
/// timing regime, input distribution.
#pragma once

#include "database/query_language.h"
#include "database/records.h"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::database {

class Store;

/// One line of a list of records: enough to show it, without its program and samples.
struct RecordRow {
  Id id;
  Id run;
  Id candidate;
  Id workload;
  std::string workload_name;
  std::string binding_json;
  std::string target;
  int threads = 1;
  std::string environment_class;
  Id toolchain;
  TimingRegime regime = TimingRegime::kHot;
  std::string inputs;
  Outcome outcome = Outcome::kOk;
  Purpose purpose = Purpose::kSearch;
  double median_ns = kUnknown;
  double low_ns = kUnknown;
  double high_ns = kUnknown;
  double flops = kUnknown; ///< of one call of the workload
  int64_t sequence = 0;
  int64_t measured_at = 0;
  bool unchecked = false;
  bool stale = false; ///< made under a toolchain that is not among the filter's current ones
};

struct WorkloadRow {
  Workload workload; ///< without the program text
  int64_t records = 0;
  int64_t last_active_at = 0; ///< the latest change of any of its runs
};

enum class Order : uint8_t { kNewest, kFastest };

/// Which records. An empty field does not restrict; the fields are joined by "and".
struct RecordFilter {
  std::vector<Id> workloads;
  std::string workload_name;                  ///< any of its versions
  std::map<std::string, std::string> binding; ///< parameter -> value as text, `M` -> `512`
  Id record;                                  ///< this one alone
  Id run;
  Id candidate;
  std::string tag; ///< of the record, its run, its candidate or its workload
  std::vector<Outcome> outcomes;
  std::string target;
  int threads = 0;
  std::string environment_class;
  std::optional<TimingRegime> regime;
  std::string inputs;
  int64_t since = 0; ///< measured at or after
  QueryRef query;    ///< of query:"…"; null: no restriction
  Order order = Order::kNewest;
  int64_t limit = 0;  ///< 0: all
  int64_t offset = 0; ///< rows to skip, for pages

  /// Toolchains of today, one per target. Records of others are stale: `best` leaves them out
  /// unless `include_stale`; lists mark them. Empty: nothing is known to be stale.
  std::vector<Id> current_toolchains;
  bool include_stale = false;
};

/// Which runs.
struct RunFilter {
  Id workload;
  std::string workload_name;
  std::optional<RunState> state; ///< as seen from here: a run whose process is gone is interrupted
  int64_t limit = 0;
};

/// One trial of a run in order, and the best so far (NaN while there is none).
struct ConvergencePoint {
  Id record;
  int64_t sequence = 0;
  Outcome outcome = Outcome::kOk;
  double median_ns = kUnknown;
  double best_ns = kUnknown;
  int64_t measured_at = 0;
};

/// The failures of one kind.
struct FailureGroup {
  Outcome outcome = Outcome::kRejected;
  std::string stage;
  int64_t count = 0;
  Id first_record;
  std::string first_error;
};

/// What the cost model learns from.
struct MeasuredProgram {
  Id record;
  Id candidate;
  std::string program;
  Outcome outcome = Outcome::kOk;
  double median_ns = kUnknown;
  double predicted_score = kUnknown; ///< of the record, before it was measured
  std::string target;
  int threads = 1;
  std::string environment_class;
  Id toolchain;
  TimingRegime regime = TimingRegime::kHot;
  std::string inputs;
  Purpose purpose = Purpose::kSearch;
  std::string counters_json; ///< as Measurement has it
};

/// A parsed SELECTION.
struct Selection {
  enum class Form : uint8_t { kId, kWorkload, kRun, kTag, kQuery };
  Form form = Form::kWorkload;
  std::string text; ///< the id, the workload's name, the tag, or the query
  std::map<std::string, std::string> binding; ///< only for kWorkload
  QueryRef query;                             ///< only for kQuery

  std::string to_string() const;
};

/// Parses the words of one selection: the first names it, `NAME=VALUE` words follow a workload.
Result<Selection> parse_selection(std::span<const std::string> words);

/// Splits command line words into selections: a word without `=` starts the next one.
Result<std::vector<Selection>> parse_selections(std::span<const std::string> words);

/// The records a selection means. An id gives that record (or, for a run's id, its best records);
/// everything else gives the best per key. `defaults` says what counts as comparable: environment,
/// current toolchains, regime; a query that speaks of one of these itself is not held to the
/// default. Nothing found is an error that says what there is instead.
Result<std::vector<RecordRow>> resolve_selection(Store& store, const Selection& selection,
                                                 const RecordFilter& defaults);

/// Whatever a record may be compared with: of its workload, target, threads, class of machine,
/// timing regime and inputs; of any toolchain.
RecordFilter same_conditions(const RecordRow& row);

/// The filter of everything that a selection names, not only of the bests: for lists.
Result<RecordFilter> filter_of(Store& store, const Selection& selection,
                               const RecordFilter& defaults);

/// The full id for a prefix of at least 6 characters. An ambiguous prefix is an error that lists
/// the matches.
Result<Id> resolve_id(Store& store, std::string_view prefix);
/// The same, and it must be of this kind.
Result<Id> resolve_id(Store& store, std::string_view prefix, Kind kind);

} // namespace temper::database
