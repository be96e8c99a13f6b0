/// The rows of the database as plain structs: no behaviour, no SQL, no knowledge of the engine.
/// `tuner/record_mapping` turns the engine's measurements into these.
///
/// Every row that people or other rows name has an id: a letter for its kind and 16 hexadecimal
/// digits, derived from its content (`m3f9c2a10b7e4d586`), so that the same row imported twice is
/// one row. Shown and accepted as short as is unique, from 6 characters on (`m3f9c2`).
///
/// Units: times in nanoseconds (`_ns`) or milliseconds (`_ms`), points in time are nanoseconds
/// since 1970 UTC (`_at`). Absent numbers are NaN (double) or 0, absent text is empty. Fields
/// called
/// `..._json` hold one JSON value as text; empty means none.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace temper::database {

using Id = std::string;

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// ---- Lists of words. to_string gives the word that is stored and printed; parse_* the way back.

/// What became of a trial; the one list of design section 2.
enum class Outcome : uint8_t {
  kOk,            ///< correct and timed
  kCensored,      ///< correct; timing stopped early because it is hopeless against the best
  kDisturbed,     ///< correct; the machine was too noisy for a number
  kRejected,      ///< illegal, or the static filter says it cannot be good
  kCompileFailed, ///< the compiler refused, died or ran out of time
  kCrashed,       ///< signal or non-zero return while running
  kTimedOut,
  kOutOfMemory,
  kWrongResult,  ///< never becomes best
  kDeviceLimit,  ///< more threads, shared memory, registers than the device has
  kChecked,      ///< correct where it was emulated; not timed, for want of the device
  kNotChecked,   ///< nothing there could run it, so whether it is right is not known
  kUnbelievable, ///< correct; its time cannot be the kernel's
};
inline constexpr int kOutcomeCount = 13;
const char* to_string(Outcome outcome);
Result<Outcome> parse_outcome(std::string_view word);

enum class RunState : uint8_t { kCreated, kRunning, kPaused, kFinished, kInterrupted, kFailed };
const char* to_string(RunState state);
Result<RunState> parse_run_state(std::string_view word);

/// What a person asked a running run to do; the process that runs it sees it with each heartbeat
/// and each recorded trial.
enum class RequestedState : uint8_t { kNone, kPause, kStop };
const char* to_string(RequestedState state);
Result<RequestedState> parse_requested_state(std::string_view word);

/// Hot and cold caches are different quantities and never compared.
enum class TimingRegime : uint8_t { kHot, kCold };
const char* to_string(TimingRegime regime);
Result<TimingRegime> parse_timing_regime(std::string_view word);

/// Why a measurement was made. Which of them is a candidate's number, candidate_number.h says: the
/// fastest of many noisy ones is too good to be true.
enum class Purpose : uint8_t { kSearch, kConfirm };
const char* to_string(Purpose purpose);
Result<Purpose> parse_purpose(std::string_view word);

// ---- Identity rows: written once, never changed.

/// A program with its shapes and knob domains bound. Its id is the hash of the normalised program,
/// so an edit makes another workload; the rows of the earlier one stay.
struct Workload {
  Id id;                        ///< w…
  std::string name;             ///< as the user types it: `matmul`, `scale.py:scale`
  std::string layer;            ///< `s-tir`, `tir`, `source`, `table`
  std::string function;         ///< the function inside the file
  uint64_t structural_hash = 0; ///< of the normalised program
  std::string binding_json;    ///< object: parameter -> value, `{"K":512,"M":512}`; keys get sorted
  std::string parameters_json; ///< list of the parameters in the order of the workload file
  double flops = kUnknown;     ///< floating point operations of one call
  double bytes = kUnknown;     ///< compulsory traffic of one call
  std::string program;         ///< text that parses back
  std::string source_path;
  bool unchecked = false; ///< has no reference
  int64_t created_at = 0;
};

/// What may be chosen for a workload: prefix, free decisions, locks.
struct Space {
  Id id; ///< s…
  Id workload;
  std::string maker; ///< `s-tir`, `tir`, `source`, `table`
  uint64_t hash = 0; ///< the maker's own, of everything that decides what is in the space
  std::string json;
};

/// A machine in a certain setting. Results of one class are comparable; the id also covers what
/// does not matter for that (kernel version, microcode).
struct Environment {
  Id id;                    ///< e…
  uint64_t fingerprint = 0; ///< of the stable part of `json`; the id is made of it
  std::string class_name;   ///< as `cpu:sapphirerapids/2`
  std::string host;
  std::string json; ///< everything that was found out
};

/// Compiler version, target, options, kCodegenVersion and the tensor intrinsics that a user added.
/// Results made under another toolchain than today's are stale.
struct Toolchain {
  Id id;            ///< t…
  std::string json; ///< its hash is the id; keys in a fixed order
};

// ---- Runs

/// A process, so that a run whose process is gone can be told from one that is at work.
struct ProcessIdentity {
  std::string host;   ///< name for messages
  std::string domain; ///< where process numbers mean something: host, boot, PID namespace
  int64_t pid = 0;
  int64_t start_ticks = 0; ///< tells a process from a later one with the same number
};

struct Run {
  Id id; ///< r…
  Id workload;
  std::string target; ///< canonical text
  Id environment;
  Id toolchain;
  Id space; ///< may be empty
  std::string strategy;
  uint64_t seed = 0;
  int64_t budget_trials = 0; ///< 0: none given
  double budget_seconds = 0; ///< 0: none given
  Id parent_run;             ///< the run it goes on from; may be empty
  Id parent_record;          ///< `--from RECORD`; may be empty
  std::string command_line;
  std::string options_json;
  int64_t started_at = 0;

  // What changes while it runs. On reading, `state` is kInterrupted when it was left running by a
  // process that is gone.
  RunState state = RunState::kCreated;
  RequestedState requested = RequestedState::kNone;
  std::string stopped_because;
  int64_t ended_at = 0; ///< 0 while it goes on
  uint64_t random_state = 0;
  int64_t trials = 0;              ///< distinct artifacts measured so far
  double seconds = 0;              ///< spent so far, over all its continuations
  std::string funnel_json;         ///< per stage: count and first error
  std::string strategy_state_json; ///< what the strategy cannot rebuild from the records
  ProcessIdentity owner;
  int64_t heartbeat_at = 0;
  int64_t updated_at = 0;
};

/// The part of a run that is committed together with each outcome.
struct RunProgress {
  uint64_t random_state = 0;
  int64_t trials = 0;
  double seconds = 0;
  std::string funnel_json;
  std::string strategy_state_json;
};

/// The right to write to a run; only one process has it.
struct RunClaim {
  Id run;
  int64_t token = 0;
};

// ---- Candidates and their measurements

/// A workload's canonical program: the same program is the same candidate, wherever it came from.
struct Candidate {
  Id id; ///< c…
  Id workload;
  std::string kind;    ///< `trace`, `knobs`, `source`
  std::string program; ///< canonical JSON: a trace `[[instructions],[decisions]]`, or knobs
  Id parent;           ///< the candidate it was first derived from; may be empty
  std::string origin;  ///< the step that first made it: `sample`, `mutate:tile`, `edit`
};

/// One trial of a candidate, successful or not.
struct Measurement {
  Id id; ///< m…
  Id run;
  Id candidate;
  int64_t sequence = 0; ///< from 0 within the run; the store numbers it when it is negative
  Outcome outcome = Outcome::kOk;
  Purpose purpose = Purpose::kSearch;
  std::string stage; ///< how far it came: `compile`, `run`, `check`, `time`
  double median_ns = kUnknown;
  double low_ns = kUnknown; ///< interval of the median
  double high_ns = kUnknown;
  std::vector<float> samples_ns;
  int64_t gaps_dropped = 0; ///< samples thrown away because the core was taken away meanwhile
  TimingRegime regime = TimingRegime::kHot;
  std::string inputs = "normal"; ///< distribution of the inputs
  int threads = 1;
  double compile_ms = kUnknown;
  double measure_ms = kUnknown;
  std::string error;      ///< one sentence, and whatever the compiler said
  std::string log;        ///< the end of what compiler and kernel wrote; empty for most
  std::string worst_json; ///< worst element of a wrong result: output, index, expected, got
  Id environment;
  Id toolchain;
  uint64_t code_hash = 0;            ///< of what was executed; equal hashes are one trial
  std::string origin;                ///< why this run proposed it
  double predicted_score = kUnknown; ///< by the cost model, before measuring
  std::string timing_json;           ///< how the timing went: calls a sample, noise, stolen time
  double anchor_drift = kUnknown;    ///< of its batch; 0.01 is one per cent
  bool unchecked = false;            ///< the result was not compared with a reference
  std::string facts_json;            ///< static facts of the artifact
  std::string counters_json;
  int64_t measured_at = 0;

  // Filled in on reading, from the run, the candidate and the environment; ignored on writing.
  Id workload;
  std::string target;
  std::string environment_class;
};

/// The bytes of a compiled candidate: kept for every best, so that it can run again.
struct Artifact {
  Id id; ///< a…
  Id candidate;
  Id toolchain;
  std::string target;
  uint64_t code_hash = 0;
  std::string code;   ///< shared object
  std::string object; ///< relocatable object, for `export`
  std::string json;   ///< entry, signature, launch plan, static facts
  int64_t created_at = 0;
};

// ---- What a run leaves beside its measurements

/// How well the cost model ranked a batch that it had not seen.
struct ModelQuality {
  Id run;
  int64_t batch = 0;
  int64_t trials_seen = 0; ///< that the model was trained on
  double rank_correlation = kUnknown;
  double top_recall = kUnknown; ///< share of the truly best k among the predicted best k
  int64_t top_k = 0;
  std::string json; ///< anything else
  int64_t measured_at = 0;
};

struct Model {
  Id id; ///< o…
  Id run;
  std::string kind; ///< `xgboost`
  int64_t trials_seen = 0;
  std::string features; ///< name and version of the feature set
  std::string blob;
  int64_t created_at = 0;
};

/// Something that happened in a run and is no measurement: paused, probe failed, batch repeated.
struct Event {
  Id run;
  int64_t sequence = -1; ///< numbered by the store when it is negative
  std::string kind;
  std::string json;
  int64_t happened_at = 0;
};

/// A person's words about any row.
struct Note {
  Id id; ///< n…
  Id subject;
  std::string text;
  std::string author;
  int64_t created_at = 0;
};

struct Tag {
  Id subject;
  std::string tag;
  int64_t created_at = 0;
};

// ---- Ids

/// The kinds of rows that have ids, by their letter.
enum class Kind : char {
  kWorkload = 'w',
  kSpace = 's',
  kEnvironment = 'e',
  kToolchain = 't',
  kRun = 'r',
  kCandidate = 'c',
  kMeasurement = 'm',
  kArtifact = 'a',
  kModel = 'o',
  kNote = 'n',
};
const char* to_string(Kind kind); ///< as people say it: "workload", "record" for measurements

inline constexpr size_t kFullIdLength = 17;
inline constexpr size_t kShortIdLength = 6;

/// The letter and 16 digits.
Id make_id(Kind kind, uint64_t hash);
/// True for a known letter followed by 5 to 16 hexadecimal digits: the text may be an id.
bool looks_like_id(std::string_view text);

/// Ids of rows from their content; the store calls these for rows that come without one.
Id id_of(const Workload& workload);
Id id_of(const Space& space);
Id id_of(const Environment& environment);
Id id_of(const Toolchain& toolchain);
Id id_of(const Run& run); ///< workload, strategy, seed, start and owner
Id id_of(const Candidate& candidate);
Id id_of(const Measurement& measurement); ///< run, candidate, sequence and time
Id id_of(const Artifact& artifact);
Id id_of(const Model& model);
Id id_of(const Note& note);

/// The binding as stored: an object with sorted keys and no blanks. Empty text is `{}`.
Result<std::string> canonical_binding(std::string_view json);

} // namespace temper::database
