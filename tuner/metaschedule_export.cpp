// MetaSchedule's database written: what metaschedule.cpp reads.
#include "tuner/metaschedule.h"

#include "ir/s_tir/trace_json.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/script/parser.h"
#include "ir/structural.h"
#include "ir/support/base64.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;

/// What MetaSchedule writes for a candidate that failed.
constexpr double kFailedSeconds = 1e10;

std::string encoded(const Json& graph) {
  const std::string text = graph.dump(2, ' ', false, Json::error_handler_t::replace);
  const uint64_t length = text.size(); // little-endian, as this machine
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return encode_base64(bytes + text);
}

/// MetaSchedule's words for a target of ours; what it said itself for a record of its own.
Json target_json(const database::Measurement& row, const database::Environment& environment) {
  if (const auto known = parse_json(environment.json);
      known && known->is_object() && known->contains("target") &&
      text_at(*known, "program") == "TVM MetaSchedule")
    return (*known)["target"];
  const size_t colon = row.target.find(':');
  const std::string device = row.target.substr(0, colon);
  const std::string processor = colon == std::string::npos ? "" : row.target.substr(colon + 1);
  Json target = Json::object();
  target["kind"] = device == "cpu" || device == "native" ? "llvm" : device;
  if (!processor.empty())
    target[device == "cuda" ? "arch" : "mcpu"] = processor;
  if (device != "cuda")
    target["num-cores"] = row.threads;
  return target;
}

/// Of the function's tensors: ["TENSOR", "float32", [32, 16]].
Json arguments_of(const ir::IRModule& module) {
  Json list = Json::array();
  const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
  for (const ir::Param& param : function->params) {
    Json shape = Json::array();
    for (const ir::Expr& extent : param.buffer->shape)
      shape.push_back(*ir::as_int(extent));
    list.push_back(
        Json::array({"TENSOR", temper::to_string(param.buffer->dtype), std::move(shape)}));
  }
  return list;
}

class Exporter {
public:
  explicit Exporter(database::Store& store) : store_(store) {}

  Result<void> add(const database::Workload& workload) {
    const auto leave_out = [&](const std::string& why) -> Result<void> {
      return left_out(fmt::format("{}: {}", workload.name, why));
    };
    if (workload.layer != "s-tir")
      return leave_out("it is no program with blocks");
    TEMPER_TRY(module, script::parse_module(workload.program, workload.name));
    if (module->functions.size() != 1 ||
        !module->functions.front().function.as_ref<ir::PrimFuncNode>())
      return leave_out("it is not one function");
    const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
    for (const ir::Param& param : function->params)
      if (!param.buffer)
        return leave_out("it has a parameter that is no tensor");
    const Result<Json> graph = s_tir::module_to_tvm(module);
    if (!graph)
      return leave_out(graph.error().message);

    TEMPER_TRY(ids, store_.list_record_ids({.workloads = {workload.id}}));
    std::map<std::pair<database::Id, std::string>, database::Measurement> chosen; // by target
    std::vector<std::pair<database::Id, std::string>> order;
    for (const database::Id& id : ids) {
      TEMPER_TRY(row, store_.measurement(id));
      // Slower than the best is all that is known of one that was stopped.
      if (row.outcome == database::Outcome::kCensored)
        continue;
      const std::pair key(row.candidate, row.target);
      const auto [at, fresh] = chosen.emplace(key, row);
      if (fresh)
        order.push_back(key);
      const bool timed = row.outcome == database::Outcome::kOk;
      const bool before = at->second.outcome == database::Outcome::kOk;
      if (!fresh && timed && (!before || row.median_ns < at->second.median_ns))
        at->second = std::move(row);
    }
    std::vector<std::string> lines;
    for (const auto& key : order) {
      const database::Measurement& row = chosen.at(key);
      TEMPER_TRY(candidate, store_.candidate(row.candidate));
      const auto trace = s_tir::trace_from_json_text(candidate.program);
      const Result<std::string> written =
          trace ? s_tir::trace_to_tvm_json_text(*trace) : Result<std::string>(trace.error());
      if (!written) {
        TEMPER_TRY_VOID(
            left_out(fmt::format("candidate {}: {}", row.candidate, written.error().message)));
        continue;
      }
      TEMPER_TRY(environment, store_.environment(row.environment));
      lines.push_back(fmt::format("[{},[{},{},{},{}]]", result_.workloads, *written, times_of(row),
                                  target_json(row, environment).dump(),
                                  arguments_of(module).dump()));
    }
    if (lines.empty())
      return leave_out("none of its candidates can be written");
    workloads_ +=
        Json::array({fmt::format("{}", ir::structural_hash(module)), encoded(*graph)}).dump() +
        "\n";
    records_ += join(lines, "\n") + "\n";
    result_.workloads += 1;
    result_.records += static_cast<int64_t>(lines.size());
    return {};
  }

  Result<MetaScheduleExport> write(const std::string& folder) {
    if (result_.records == 0)
      return Error(ErrorCode::kNotFound,
                   result_.problems.empty()
                       ? "there are no records of programs with blocks to write"
                       : "there is nothing to write; " + result_.problems.front());
    std::error_code failed;
    fs::create_directories(folder, failed);
    for (const auto& [name, text] : {std::pair(kMetaScheduleWorkloads, &workloads_),
                                     std::pair(kMetaScheduleRecords, &records_)})
      TEMPER_TRY_VOID(write_file((fs::path(folder) / name).string(), *text));
    return std::move(result_);
  }

private:
  Result<void> left_out(std::string why) {
    ++result_.left_out;
    if (result_.problems.size() < kMostProblems)
      result_.problems.push_back(std::move(why));
    return {};
  }

  static std::string times_of(const database::Measurement& row) {
    std::vector<std::string> seconds;
    if (row.outcome != database::Outcome::kOk)
      seconds.push_back(fmt::format("{:.17g}", kFailedSeconds));
    else if (row.samples_ns.empty())
      seconds.push_back(fmt::format("{:.17g}", row.median_ns * 1e-9));
    for (const float sample :
         row.outcome == database::Outcome::kOk ? row.samples_ns : std::vector<float>())
      seconds.push_back(fmt::format("{:.17g}", static_cast<double>(sample) * 1e-9));
    return "[" + join(seconds, ",") + "]";
  }

  database::Store& store_;
  std::string workloads_;
  std::string records_;
  MetaScheduleExport result_;
};

} // namespace

Result<MetaScheduleExport> export_metaschedule(database::Store& store,
                                               const std::vector<database::Id>& workloads,
                                               const std::string& folder) {
  for (const char* name : {kMetaScheduleWorkloads, kMetaScheduleRecords})
    if (std::error_code failed; fs::exists(fs::path(folder) / name, failed))
      return Error(ErrorCode::kInvalidArgument,
                   fmt::format("'{}' has a {} already: name another folder", folder, name));
  Exporter exporter(store);
  for (const database::Id& id : workloads) {
    TEMPER_TRY(workload, store.workload(id));
    TEMPER_TRY_VOID(exporter.add(workload));
  }
  return exporter.write(folder);
}

} // namespace temper::tuner
