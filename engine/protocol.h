/// What LocalMeasurer and temper-runner say to each other: frames (wire.h) whose payload is JSON;
/// machine code rides along as memory files. Private to the engine.
#pragma once

#include "engine/measurer.h"
#include "engine/wire.h"
#include "ir/support/json.h"

#include <vector>

namespace temper::engine {

enum class Message : uint32_t {
  kAddWorkload = 1, ///< {"id", spec}, [reference code] -> kWorkloadReady or kError
  kWorkloadReady,   ///< {"id", "protocol"}: see require_same_protocol
  kError,           ///< {"message"}: answer to anything but kMeasure
  kDropWorkload,    ///< {"id"}; no answer
  kMeasure,         ///< {"ticket", request}, [code] -> kStarted, then kMeasured
  kStarted,         ///< {"ticket"}: from here its clock runs
  kMeasured,        ///< {"ticket", "measurement"}
  kCancel,          ///< {"ticket"}; no answer to it any more (one may have been sent already)
  kCompare,         ///< request, [code...] -> kCompared or kError
  kCompared,        ///< {"rounds", "contenders": [measurement...]}
  kDeviceState,     ///< {"threads", "describe" of a GPU} -> same with state, or kError
  kNoise,           ///< {"pairs"} -> same with {"a": [ns], "b": [ns]}: the anchor against itself
  /// {"id", "set", "argument", "elements": [[begin, end]...]} -> {"type", "scale"}, [bytes], or
  /// kError
  kReferenceValues,
};

/// Raised whenever what a frame holds changes: programs of two builds would wait for each other.
constexpr int kProtocol = 4;
/// An error for a kWorkloadReady of a runner that speaks another protocol, or none.
Result<void> require_same_protocol(const Json& ready, const std::string& runner_path);

Json to_json(const Measurement& measurement);
Result<Measurement> measurement_from_json(const Json& json);

/// Without the code, which travels as a memory file.
Json to_json(const codegen::Artifact& artifact);
Result<codegen::Artifact> artifact_from_json(const Json& json);
Json to_json(const StopRule& rule);
StopRule stop_rule_from_json(const Json& json);

/// Without the reference artifact.
Json to_json(const WorkloadSpec& spec);
Result<WorkloadSpec> workload_from_json(const Json& json);

/// Calls `body` and turns what the JSON library throws into one sentence.
template <typename Body> auto guard_json(const char* what, const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Json::exception& exception) {
    return Error(ErrorCode::kCorrupt, std::string(what) + ": " + exception.what());
  }
}

} // namespace temper::engine
