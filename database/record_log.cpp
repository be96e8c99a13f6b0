#include "database/record_log.h"

#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

namespace temper::database {

namespace {

/// The object in a field of the row; an empty one where there is none.
Json object_of(const std::string& json) {
  auto parsed = parse_json(json);
  return parsed && parsed->is_object() ? std::move(*parsed) : Json::object();
}

double number_of(const Json& object, const char* name) {
  const auto entry = object.find(name);
  return entry != object.end() && entry->is_number() ? entry->get<double>() : kUnknown;
}

/// Trials end early: whatever comes after `stage` was not done.
bool reached(const Measurement& record, const char* stage) {
  static constexpr const char* kStages[] = {"compile", "load", "pack",   "run",
                                            "check",   "time", "recheck"};
  if (record.stage.empty()) // all the way, unless it failed somewhere that nobody noted
    return record.outcome < Outcome::kRejected || record.outcome == Outcome::kChecked;
  // "compiling", and words of why a candidate for a GPU was not run (spills, serialised, ...).
  if (std::none_of(std::begin(kStages), std::end(kStages),
                   [&](const char* known) { return record.stage == known; }))
    return stage == std::string_view("compile") && record.outcome != Outcome::kCompileFailed;
  for (const char* known : kStages) {
    if (record.stage == known)
      return false;
    if (std::string_view(stage) == known)
      return true;
  }
  return false;
}

std::string code_words(const Json& facts) {
  std::vector<std::string> words;
  for (const auto& [name, noun] :
       {std::pair("code_bytes", "byte"), std::pair("instructions", "instruction")})
    if (const double count = number_of(facts, name); count > 0)
      words.push_back(format_count(static_cast<int64_t>(count), noun));
  if (const double registers = number_of(facts, "registers"); registers > 0) { // of a GPU
    words.push_back(format_count(static_cast<int64_t>(registers), "register") + " of a thread");
    if (const double shared = number_of(facts, "shared_bytes"); shared >= 0)
      words.push_back(format_count(static_cast<int64_t>(shared), "byte") + " of shared memory");
    if (const double spilled = number_of(facts, "spilled_bytes"); spilled >= 0)
      words.push_back(format_count(static_cast<int64_t>(spilled), "byte") + " spilled");
    return join(words, ", ");
  }
  if (const double bits = number_of(facts, "vector_bits"); bits > 0)
    words.push_back(fmt::format("{:.0f}-bit vectors", bits));
  if (const double spills = number_of(facts, "spills"); spills >= 0)
    words.push_back(format_count(static_cast<int64_t>(spills), "spill") + " in inner loops");
  return join(words, ", ");
}

} // namespace

double clock_ghz(const Measurement& record) {
  const double ghz = number_of(object_of(record.timing_json), "clock_ghz");
  return ghz > 0 ? ghz : kUnknown;
}

/// Of a GPU, as engine/gpu_conditions.h writes it.
static void gpu_state(const Json& gpu, std::vector<std::string>& words) {
  if (const double mhz = number_of(gpu, "sm_clock_mhz"); mhz > 0)
    words.push_back(fmt::format("{:.0f} MHz, {:.0f} W, {:.0f} C", mhz, number_of(gpu, "power_w"),
                                number_of(gpu, "temperature_c")));
  if (const Json slowed = gpu.value("slowdowns", Json::array()); !slowed.empty())
    words.push_back("slowed by its " + join(slowed.get<std::vector<std::string>>(), ", its "));
  words.push_back(gpu.value("timer", "") == "activity" ? "timed by CUPTI's records"
                                                       : "timed by events");
  if (const double broken = number_of(gpu, "broken_traces"); broken > 0)
    words.push_back(format_count(static_cast<int64_t>(broken), "trace") + " broken and repeated");
}

std::string machine_state(const Measurement& record) {
  const Json timing = object_of(record.timing_json);
  std::vector<std::string> words;
  const bool on_gpu = timing.is_object() && timing.contains("gpu");
  if (on_gpu)
    gpu_state(timing.at("gpu"), words);
  if (const double ghz = clock_ghz(record); ghz > 0 && !on_gpu)
    words.push_back(fmt::format("{:.2f} GHz right after timing", ghz));
  if (const double ms = number_of(timing, "steal_ms"); ms >= 0 && !on_gpu)
    words.push_back(fmt::format("{:.0f} ms stolen by the host", ms));
  if (const double switches = number_of(timing, "involuntary_switches"); switches >= 0 && !on_gpu)
    words.push_back("lost its core " + format_count(static_cast<int64_t>(switches), "time"));
  if (const double share = number_of(timing, "side_by_side"); share > 0)
    words.push_back(fmt::format("threads side by side at {:.0f} %", 100 * share));
  if (!std::isnan(record.anchor_drift))
    words.push_back(
        fmt::format("speed drifted by {:+.1f} % over its batch", 100 * record.anchor_drift));
  return join(words, "; ");
}

std::string record_log(const Measurement& record) {
  std::string text;
  const auto line = [&](const char* what, const std::string& words) {
    if (!words.empty())
      text += fmt::format("{:<11}{}\n", what, words);
  };
  std::string proposed = record.origin;
  if (!std::isnan(record.predicted_score))
    proposed += fmt::format("{}the model gave it {:.3g}", proposed.empty() ? "" : "; ",
                            record.predicted_score);
  line("proposed", proposed);
  if (reached(record, "compile")) {
    const std::string code = code_words(object_of(record.facts_json));
    std::string compiled =
        record.compile_ms > 0 ? fmt::format("in {:.1f} ms", record.compile_ms) : "";
    if (!code.empty())
      compiled += (compiled.empty() ? "" : ": ") + code;
    line("compiled", compiled);
  }
  if (reached(record, "check"))
    line("checked", record.unchecked ? "not: the workload has no reference"
                                     : "right: the same as the reference");
  if (!record.samples_ns.empty()) {
    const double calls = number_of(object_of(record.timing_json), "calls_per_sample");
    line("timed",
         fmt::format(
             "{}{} with {} caches{}",
             format_count(static_cast<int64_t>(record.samples_ns.size()), "sample"),
             calls > 0 ? " of " + format_count(static_cast<int64_t>(calls), "call") : std::string(),
             to_string(record.regime),
             record.gaps_dropped > 0 ? fmt::format("; {} more thrown away: the core was taken away",
                                                   record.gaps_dropped)
                                     : std::string()));
  }
  line("machine", machine_state(record));
  std::string outcome = to_string(record.outcome);
  if (record.median_ns > 0)
    outcome += fmt::format(": {}, 95 % in [{}, {}]", format_time(record.median_ns),
                           format_time(record.low_ns), format_time(record.high_ns));
  if (!record.error.empty())
    outcome += (record.median_ns > 0 ? "; " : ": ") + record.error;
  if (!record.stage.empty() && record.outcome != Outcome::kOk)
    outcome += " (at: " + record.stage + ")";
  line("outcome", outcome);
  if (const Json worst = object_of(record.worst_json); !worst.empty())
    line("worst", worst.dump());
  if (!record.log.empty())
    text += "\n" + record.log + "\n";
  return text;
}

} // namespace temper::database
