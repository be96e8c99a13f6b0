#include "engine/measurement.h"

#include "ir/support/check.h"

namespace temper::engine {

const char* to_string(Outcome outcome) {
  switch (outcome) {
  case Outcome::kOk:
    return "ok";
  case Outcome::kCensored:
    return "censored";
  case Outcome::kDisturbed:
    return "disturbed";
  case Outcome::kRejected:
    return "rejected";
  case Outcome::kCompileFailed:
    return "compile_failed";
  case Outcome::kCrashed:
    return "crashed";
  case Outcome::kTimedOut:
    return "timed_out";
  case Outcome::kOutOfMemory:
    return "out_of_memory";
  case Outcome::kWrongResult:
    return "wrong_result";
  case Outcome::kDeviceLimit:
    return "device_limit";
  case Outcome::kChecked:
    return "checked";
  case Outcome::kNotChecked:
    return "not_checked";
  case Outcome::kUnbelievable:
    return "unbelievable";
  }
  TEMPER_UNREACHABLE("an outcome outside its enum");
}

std::optional<Outcome> parse_outcome(std::string_view word) {
  for (int i = 0; i < kOutcomeCount; ++i)
    if (const auto outcome = static_cast<Outcome>(i); word == to_string(outcome))
      return outcome;
  return std::nullopt;
}

const char* to_string(Regime regime) { return regime == Regime::kHot ? "hot" : "cold"; }

std::optional<Regime> parse_regime(std::string_view word) {
  if (word == "hot")
    return Regime::kHot;
  if (word == "cold")
    return Regime::kCold;
  return std::nullopt;
}

} // namespace temper::engine
