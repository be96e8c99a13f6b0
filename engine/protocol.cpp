#include "engine/protocol.h"

#include "codegen/artifact_json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace temper::engine {
namespace {

// JSON has no NaN or infinity; a worst element may well be one.
Json number_to_json(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value > 0 ? "inf" : "-inf";
  return value;
}

double number_from_json(const Json& json) {
  if (json.is_number())
    return json.get<double>();
  const std::string word = json.get<std::string>();
  if (word == "nan")
    return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return word == "inf" ? infinity : -infinity;
}

Json to_json(const codegen::ArgumentSpec& spec) {
  return {{"name", spec.name},
          {"dtype", temper::to_string(spec.dtype)},
          {"shape", spec.shape},
          {"is_buffer", spec.is_buffer},
          {"is_output", spec.is_output}};
}

codegen::ArgumentSpec argument_from_json(const Json& json) {
  codegen::ArgumentSpec spec;
  spec.name = json.at("name").get<std::string>();
  spec.dtype = parse_data_type(json.at("dtype").get<std::string>()).value_or(DataType::handle());
  spec.shape = json.at("shape").get<std::vector<int64_t>>();
  spec.is_buffer = json.at("is_buffer").get<bool>();
  spec.is_output = json.at("is_output").get<bool>();
  return spec;
}

Json to_json(const std::vector<codegen::ArgumentSpec>& signature) {
  Json json = Json::array();
  for (const codegen::ArgumentSpec& spec : signature)
    json.push_back(to_json(spec));
  return json;
}

std::vector<codegen::ArgumentSpec> signature_from_json(const Json& json) {
  std::vector<codegen::ArgumentSpec> signature;
  for (const Json& argument : json)
    signature.push_back(argument_from_json(argument));
  return signature;
}

} // namespace

Result<void> require_same_protocol(const Json& ready, const std::string& runner_path) {
  if (ready.value("protocol", 0) == kProtocol)
    return {};
  return Error(ErrorCode::kEnvironment,
               fmt::format("{} is of another build than this program: build both anew (./dev "
                           "build), or name the right one in TEMPER_RUNNER",
                           runner_path));
}

Json to_json(const Measurement& m) {
  Json json = {{"outcome", to_string(m.outcome)},
               {"regime", to_string(m.regime)},
               {"threads", m.threads},
               {"samples_ns", m.samples_ns},
               {"median_ns", m.median_ns},
               {"interval_ns", {m.interval.low, m.interval.high}},
               {"calls_per_sample", m.calls_per_sample},
               {"gaps_dropped", m.gaps_dropped},
               {"flagged", m.flagged},
               {"error", m.error},
               {"log", m.log},
               {"stage", m.stage},
               {"compile_ms", m.compile_ms},
               {"measure_ms", m.measure_ms},
               {"counters", m.counters},
               {"steal_ms", m.steal_ms},
               {"involuntary_switches", m.involuntary_switches},
               {"side_by_side", m.side_by_side},
               {"clock_ghz", m.clock_ghz}};
  if (m.worst)
    json["worst"] = {{"argument", m.worst->argument},
                     {"index", m.worst->index},
                     {"got", number_to_json(m.worst->got)},
                     {"expected", number_to_json(m.worst->expected)},
                     {"tolerance", number_to_json(m.worst->tolerance)},
                     {"wrong_count", m.worst->wrong_count},
                     {"input_set", m.worst->input_set}};
  return json;
}

Result<Measurement> measurement_from_json(const Json& json) {
  return guard_json("a measurement", [&]() -> Result<Measurement> {
    Measurement m;
    const std::optional<Outcome> outcome = parse_outcome(json.at("outcome").get<std::string>());
    const std::optional<Regime> regime = parse_regime(json.at("regime").get<std::string>());
    if (!outcome || !regime)
      return Error(ErrorCode::kCorrupt, "a measurement has an unknown outcome or regime");
    m.outcome = *outcome;
    m.regime = *regime;
    m.threads = json.at("threads").get<int>();
    m.samples_ns = json.at("samples_ns").get<std::vector<double>>();
    m.median_ns = json.at("median_ns").get<double>();
    m.interval = {json.at("interval_ns").at(0).get<double>(),
                  json.at("interval_ns").at(1).get<double>()};
    m.calls_per_sample = json.at("calls_per_sample").get<int64_t>();
    m.gaps_dropped = json.at("gaps_dropped").get<int>();
    m.flagged = json.at("flagged").get<bool>();
    m.error = json.at("error").get<std::string>();
    m.log = json.at("log").get<std::string>();
    m.stage = json.at("stage").get<std::string>();
    m.compile_ms = json.at("compile_ms").get<double>();
    m.measure_ms = json.at("measure_ms").get<double>();
    m.counters = json.at("counters").get<std::map<std::string, double>>();
    m.steal_ms = json.at("steal_ms").get<double>();
    m.involuntary_switches = json.at("involuntary_switches").get<int64_t>();
    m.side_by_side = json.at("side_by_side").get<double>();
    m.clock_ghz = json.at("clock_ghz").get<double>();
    if (json.contains("worst")) {
      const Json& worst = json.at("worst");
      m.worst = WorstElement{
          worst.at("argument").get<std::string>(), worst.at("index").get<int64_t>(),
          number_from_json(worst.at("got")),       number_from_json(worst.at("expected")),
          number_from_json(worst.at("tolerance")), worst.at("wrong_count").get<int64_t>(),
          worst.at("input_set").get<int>()};
    }
    return m;
  });
}

Json to_json(const codegen::Artifact& artifact) {
  if (artifact.kind == codegen::ArtifactKind::kCubin)
    return {{"gpu", codegen::artifact_to_json(artifact)}};
  Json packs = Json::array();
  for (const codegen::PackStep& pack : artifact.packs)
    packs.push_back(
        {{"argument", pack.argument}, {"entry", pack.entry}, {"packed", to_json(pack.packed)}});
  return {{"library", artifact.kind == codegen::ArtifactKind::kLibrary},
          {"library_path", artifact.library_path},
          {"environment", artifact.environment},
          {"entry", artifact.entry},
          {"signature", to_json(artifact.signature)},
          {"packs", std::move(packs)},
          {"threads", artifact.launch.threads}};
}

Result<codegen::Artifact> artifact_from_json(const Json& json) {
  return guard_json("an artifact", [&]() -> Result<codegen::Artifact> {
    if (json.contains("gpu"))
      return codegen::artifact_from_json(json.at("gpu"));
    codegen::Artifact artifact;
    artifact.kind = json.at("library").get<bool>() ? codegen::ArtifactKind::kLibrary
                                                   : codegen::ArtifactKind::kSharedObject;
    artifact.library_path = json.at("library_path").get<std::string>();
    artifact.environment = json.at("environment").get<std::map<std::string, std::string>>();
    artifact.entry = json.at("entry").get<std::string>();
    artifact.signature = signature_from_json(json.at("signature"));
    for (const Json& item : json.at("packs")) {
      codegen::PackStep pack;
      pack.argument = item.at("argument").get<int>();
      pack.entry = item.at("entry").get<std::string>();
      pack.packed = argument_from_json(item.at("packed"));
      if (pack.argument < 0 || static_cast<size_t>(pack.argument) >= artifact.signature.size())
        return Error(ErrorCode::kCorrupt, "an artifact packs an argument that it has not");
      artifact.packs.push_back(std::move(pack));
    }
    artifact.launch.threads = json.at("threads").get<int>();
    return artifact;
  });
}

Json to_json(const StopRule& rule) {
  return {{"hopeless_factor", rule.hopeless_factor},
          {"noise", rule.noise},
          {"doubt", rule.doubt},
          {"trailing_samples", rule.trailing_samples},
          {"half_width", rule.half_width},
          {"level", rule.level},
          {"min_samples", rule.min_samples},
          {"max_samples", rule.max_samples},
          {"max_seconds", rule.max_seconds},
          {"sample_ns", rule.sample_ns}};
}

StopRule stop_rule_from_json(const Json& json) {
  StopRule rule;
  rule.hopeless_factor = json.at("hopeless_factor").get<double>();
  rule.noise = json.at("noise").get<double>();
  rule.doubt = json.at("doubt").get<double>();
  rule.trailing_samples = json.at("trailing_samples").get<int>();
  rule.half_width = json.at("half_width").get<double>();
  rule.level = json.at("level").get<double>();
  rule.min_samples = json.at("min_samples").get<int>();
  rule.max_samples = json.at("max_samples").get<int>();
  rule.max_seconds = json.at("max_seconds").get<double>();
  rule.sample_ns = json.at("sample_ns").get<double>();
  return rule;
}

Json to_json(const WorkloadSpec& spec) {
  Json sets = Json::array();
  for (const InputSet& set : spec.input_sets)
    sets.push_back({{"seed", set.seed},
                    {"distributions", set.distributions},
                    {"default", set.default_distribution}});
  return {{"name", spec.name},
          {"signature", to_json(spec.signature)},
          {"input_sets", sets},
          {"reference_timeout_ms", spec.reference_timeout_ms},
          {"tolerance", spec.tolerance},
          {"output_tolerances", spec.output_tolerances},
          {"reduction_length", spec.reduction_length},
          {"floor_ns", spec.floor_ns}};
}

Result<WorkloadSpec> workload_from_json(const Json& json) {
  return guard_json("a workload", [&]() -> Result<WorkloadSpec> {
    WorkloadSpec spec;
    spec.name = json.at("name").get<std::string>();
    spec.signature = signature_from_json(json.at("signature"));
    for (const Json& set : json.at("input_sets"))
      spec.input_sets.push_back({set.at("seed").get<uint64_t>(),
                                 set.at("distributions").get<std::map<std::string, std::string>>(),
                                 set.at("default").get<std::string>()});
    spec.reference_timeout_ms = json.at("reference_timeout_ms").get<int>();
    spec.tolerance = json.at("tolerance").get<double>();
    spec.output_tolerances = json.at("output_tolerances").get<std::map<std::string, double>>();
    spec.reduction_length = json.at("reduction_length").get<int64_t>();
    spec.floor_ns = json.at("floor_ns").get<double>();
    return spec;
  });
}

} // namespace temper::engine
