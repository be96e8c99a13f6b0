// MetaSchedule's database written: what metaschedule.cpp reads.
#include "tuner/metaschedule.h"

#include "database/candidate_number.h"
#include "ir/s_tir/trace_json.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/script/parser.h"
#include "ir/structural.h"
#include "ir/support/base64.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

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

/// What MetaSchedule said of the machine of a record of its own; nothing for ours.
std::optional<Json> metaschedule_target(const database::Environment& environment) {
  if (const auto known = parse_json(environment.json);
      known && known->is_object() && known->contains("target") &&
      text_at(*known, "program") == "TVM MetaSchedule")
    return (*known)["target"];
  return std::nullopt;
}

/// MetaSchedule's words for a target of ours; what it said itself for a record of its own.
Json target_json(const database::Measurement& row, const database::Environment& environment) {
  if (const auto known = metaschedule_target(environment))
    return *known;
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

    TEMPER_TRY(machines, measurements_of(workload.id));
    TEMPER_TRY_VOID(keep_one_machine(machines, workload.name));
    std::vector<std::string> lines;
    for (const database::Measurement& row : of_candidates(machines, workload.name)) {
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
  struct Machine {
    bool is_ours = true;                     ///< temper timed there
    std::vector<database::Measurement> rows; ///< oldest first
  };
  using Machines = std::map<std::string, Machine>; ///< by class

  Result<Machines> measurements_of(const database::Id& workload) {
    TEMPER_TRY(ids, store_.list_record_ids({.workloads = {workload}}));
    Machines machines;
    std::map<database::Id, database::Environment> environments;
    for (const database::Id& id : ids) {
      TEMPER_TRY(row, store_.measurement(id));
      // Slower than the best is all that is known of one that was stopped.
      if (row.outcome == database::Outcome::kCensored)
        continue;
      if (!environments.contains(row.environment)) {
        TEMPER_TRY(environment, store_.environment(row.environment));
        environments.emplace(row.environment, std::move(environment));
      }
      const database::Environment& environment = environments.at(row.environment);
      const bool is_ours = !metaschedule_target(environment);
      Machine& machine = machines[is_ours ? environment.class_name : "TVM MetaSchedule's database"];
      machine.is_ours = is_ours;
      machine.rows.push_back(std::move(row));
    }
    for (auto& [name, machine] : machines)
      std::ranges::stable_sort(machine.rows, {}, &database::Measurement::measured_at);
    return machines;
  }

  /// MetaSchedule compares all times of a file: they must be of one machine. The one on which
  /// temper measured last; where it did nowhere, the one of the newest record.
  Result<void> keep_one_machine(Machines& machines, const std::string& workload) {
    if (machines.size() < 2)
      return {};
    const auto kept = std::ranges::max_element(machines, {}, [](const auto& entry) {
      return std::pair(entry.second.is_ours, entry.second.rows.back().measured_at);
    });
    for (const auto& [name, machine] : machines)
      if (name != kept->first)
        TEMPER_TRY_VOID(left_out(fmt::format(
            "{}: {} of {}, whose times are not those of {}", workload,
            format_count(static_cast<int64_t>(machine.rows.size()), "record"), name, kept->first)));
    Machines one;
    one.insert(machines.extract(kept));
    machines = std::move(one);
    return {};
  }

  /// One measurement for each candidate and target: its number (database/candidate_number.h), or
  /// that it failed. Of the candidates that were not confirmed none that would be taken for better
  /// than the best of those that were: it lost to them, or its time is luck.
  std::vector<database::Measurement> of_candidates(const Machines& machines,
                                                   const std::string& workload) {
    using Key = std::pair<database::Id, std::string>;
    std::map<Key, std::vector<const database::Measurement*>> rows;
    std::vector<Key> order;
    for (const auto& [name, machine] : machines)
      for (const database::Measurement& row : machine.rows) {
        const Key key(row.candidate, row.target);
        if (rows[key].empty())
          order.push_back(key);
        rows[key].push_back(&row);
      }
    std::map<std::string, double> best; // confirmed, by target
    std::vector<const database::Measurement*> chosen;
    for (const Key& key : order) {
      std::vector<database::CandidateTime> times;
      std::vector<const database::Measurement*> timed;
      for (const database::Measurement* row : rows.at(key))
        if (row->outcome == database::Outcome::kOk) {
          times.push_back({row->median_ns, row->purpose == database::Purpose::kConfirm,
                           static_cast<int64_t>(row->samples_ns.size())});
          timed.push_back(row);
        }
      chosen.push_back(times.empty() ? rows.at(key).front() : timed[database::number_among(times)]);
      if (const database::Measurement& row = *chosen.back();
          row.outcome == database::Outcome::kOk && row.purpose == database::Purpose::kConfirm) {
        const auto [at, is_first] = best.emplace(row.target, row.median_ns);
        at->second = std::min(at->second, row.median_ns);
      }
    }
    std::vector<database::Measurement> written;
    for (const database::Measurement* row : chosen) {
      const auto confirmed = best.find(row->target);
      if (row->outcome == database::Outcome::kOk && confirmed != best.end() &&
          row->purpose != database::Purpose::kConfirm && row->median_ns < confirmed->second)
        (void)left_out(
            fmt::format("{}: candidate {}, whose time was not confirmed and is below the "
                        "confirmed best",
                        workload, row->candidate));
      else
        written.push_back(*row);
    }
    return written;
  }

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
