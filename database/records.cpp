#include "database/records.h"

#include "ir/support/hash.h"
#include "ir/support/json.h"

#include <array>
#include <span>

namespace temper::database {

namespace {

constexpr std::array<const char*, kOutcomeCount> kOutcomes = {
    "ok",      "censored",    "disturbed",     "rejected",     "compile_failed",
    "crashed", "timed_out",   "out_of_memory", "wrong_result", "device_limit",
    "checked", "not_checked", "unbelievable"};
constexpr std::array<const char*, 6> kRunStates = {"created",  "running",     "paused",
                                                   "finished", "interrupted", "failed"};
constexpr std::array<const char*, 3> kRequestedStates = {"none", "pause", "stop"};
constexpr std::array<const char*, 2> kRegimes = {"hot", "cold"};
constexpr std::array<const char*, 2> kPurposes = {"search", "confirm"};

template <typename Enum>
Result<Enum> parse_word(std::string_view word, std::span<const char* const> words,
                        const char* what) {
  for (size_t i = 0; i < words.size(); ++i)
    if (word == words[i])
      return static_cast<Enum>(i);
  std::string known;
  for (const char* one : words)
    known += (known.empty() ? "" : ", ") + std::string(one);
  return Error(ErrorCode::kInvalidArgument,
               "'" + std::string(word) + "' is no " + what + "; it is one of " + known);
}

/// Hash of a sequence of fields; each field is closed by its length, so that ("ab","c") and
/// ("a","bc") differ.
class Fields {
public:
  Fields& add(std::string_view text) {
    hash_ = hash_combine(hash_bytes(text, hash_), text.size());
    return *this;
  }
  Fields& add(uint64_t word) {
    hash_ = hash_combine(hash_, word);
    return *this;
  }
  Fields& add(int64_t word) { return add(static_cast<uint64_t>(word)); }
  uint64_t hash() const { return hash_; }

private:
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

} // namespace

const char* to_string(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }
const char* to_string(RunState state) { return kRunStates[static_cast<size_t>(state)]; }
const char* to_string(RequestedState state) { return kRequestedStates[static_cast<size_t>(state)]; }
const char* to_string(TimingRegime regime) { return kRegimes[static_cast<size_t>(regime)]; }
const char* to_string(Purpose purpose) { return kPurposes[static_cast<size_t>(purpose)]; }

Result<Outcome> parse_outcome(std::string_view word) {
  return parse_word<Outcome>(word, kOutcomes, "outcome");
}
Result<RunState> parse_run_state(std::string_view word) {
  return parse_word<RunState>(word, kRunStates, "state of a run");
}
Result<RequestedState> parse_requested_state(std::string_view word) {
  return parse_word<RequestedState>(word, kRequestedStates, "requested state of a run");
}
Result<TimingRegime> parse_timing_regime(std::string_view word) {
  return parse_word<TimingRegime>(word, kRegimes, "timing regime");
}
Result<Purpose> parse_purpose(std::string_view word) {
  return parse_word<Purpose>(word, kPurposes, "purpose of a measurement");
}

const char* to_string(Kind kind) {
  switch (kind) {
  case Kind::kWorkload:
    return "workload";
  case Kind::kSpace:
    return "space";
  case Kind::kEnvironment:
    return "environment";
  case Kind::kToolchain:
    return "toolchain";
  case Kind::kRun:
    return "run";
  case Kind::kCandidate:
    return "candidate";
  case Kind::kMeasurement:
    return "record";
  case Kind::kArtifact:
    return "artifact";
  case Kind::kModel:
    return "model";
  case Kind::kNote:
    return "note";
  }
  TEMPER_UNREACHABLE("kind of row");
}

Id make_id(Kind kind, uint64_t hash) { return static_cast<char>(kind) + hash_to_hex(hash); }

bool looks_like_id(std::string_view text) {
  static constexpr std::string_view kLetters = "wsetrcmaon";
  if (text.size() < kShortIdLength || text.size() > kFullIdLength ||
      kLetters.find(text[0]) == std::string_view::npos)
    return false;
  return text.find_first_not_of("0123456789abcdef", 1) == std::string_view::npos;
}

Id id_of(const Workload& workload) {
  // The name is a label: the same program under another name keeps its records.
  return make_id(
      Kind::kWorkload,
      Fields().add(workload.layer).add(workload.structural_hash).add(workload.binding_json).hash());
}

Id id_of(const Space& space) {
  return make_id(
      Kind::kSpace,
      Fields().add(space.workload).add(space.maker).add(space.hash).add(space.json).hash());
}

Id id_of(const Environment& environment) {
  return make_id(Kind::kEnvironment,
                 Fields().add(environment.class_name).add(environment.fingerprint).hash());
}

Id id_of(const Toolchain& toolchain) {
  return make_id(Kind::kToolchain, Fields().add(toolchain.json).hash());
}

Id id_of(const Run& run) {
  return make_id(Kind::kRun, Fields()
                                 .add(run.workload)
                                 .add(run.target)
                                 .add(run.strategy)
                                 .add(run.seed)
                                 .add(run.started_at)
                                 .add(run.owner.domain)
                                 .add(run.owner.pid)
                                 .hash());
}

Id id_of(const Candidate& candidate) {
  return make_id(Kind::kCandidate, Fields().add(candidate.workload).add(candidate.program).hash());
}

Id id_of(const Measurement& measurement) {
  return make_id(Kind::kMeasurement, Fields()
                                         .add(measurement.run)
                                         .add(measurement.candidate)
                                         .add(measurement.sequence)
                                         .add(measurement.measured_at)
                                         .hash());
}

Id id_of(const Artifact& artifact) {
  return make_id(Kind::kArtifact, Fields()
                                      .add(artifact.candidate)
                                      .add(artifact.toolchain)
                                      .add(artifact.target)
                                      .add(artifact.code)
                                      .add(artifact.object)
                                      .add(artifact.json)
                                      .hash());
}

Id id_of(const Model& model) {
  return make_id(Kind::kModel,
                 Fields().add(model.run).add(model.trials_seen).add(model.blob).hash());
}

Id id_of(const Note& note) {
  return make_id(Kind::kNote,
                 Fields().add(note.subject).add(note.text).add(note.created_at).hash());
}

Result<std::string> canonical_binding(std::string_view json) {
  if (json.empty())
    return std::string("{}");
  TEMPER_TRY(value, parse_json(json));
  if (!value.is_object())
    return Error(ErrorCode::kInvalidArgument,
                 "a shape binding is a JSON object of parameters, not " + std::string(json));
  // nlohmann::json keeps objects sorted by key, unlike our Json.
  nlohmann::json sorted = nlohmann::json::object();
  for (const auto& [name, parameter] : value.items())
    sorted[name] = nlohmann::json::parse(parameter.dump());
  return sorted.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace temper::database
