#include "tuner/transfer.h"

#include "ir/s_tir/trace_json.h"
#include "ir/support/json.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

namespace temper::tuner {
namespace {

// Near shapes want nearly the same schedule; a few more hedge against one that was tuned badly.
constexpr size_t kShapes = 3;
constexpr size_t kProgramsOfShape = 4;

struct Program {
  double median_ns;
  std::string trace_json;
};

/// The fastest programs of a workload for the task's target and threads.
Result<std::vector<Program>> fastest(database::Store& store, const database::Id& workload,
                                     const Task& task) {
  std::vector<Program> programs;
  const std::string target = task.target.to_string();
  TEMPER_TRY_VOID(store.measured_programs(workload, [&](const database::MeasuredProgram& row) {
    if (row.outcome == database::Outcome::kOk && row.target == target &&
        row.threads == task.threads)
      programs.push_back({row.median_ns, row.program});
    return true;
  }));
  std::stable_sort(programs.begin(), programs.end(),
                   [](const Program& a, const Program& b) { return a.median_ns < b.median_ns; });
  if (programs.size() > kProgramsOfShape)
    programs.resize(kProgramsOfShape);
  return programs;
}

} // namespace

std::optional<double> shape_distance(std::string_view a_json, std::string_view b_json) {
  const auto a = parse_json(a_json);
  const auto b = parse_json(b_json);
  if (!a || !b || !a->is_object() || !b->is_object() || a->size() != b->size())
    return std::nullopt;
  double distance = 0;
  for (const auto& [name, value] : a->items()) {
    if (!b->contains(name))
      return std::nullopt;
    const Json& other = (*b)[name];
    const auto is_size = [](const Json& size) {
      return size.is_number_integer() && size.get<int64_t>() > 0;
    };
    if (is_size(value) && is_size(other))
      distance +=
          std::abs(std::log2(static_cast<double>(value.get<int64_t>()) / other.get<int64_t>()));
    else if (value != other)
      return std::nullopt;
  }
  return distance;
}

Result<Transferred> transfer(database::Store& store, const Task& task, const Space& space) {
  TEMPER_TRY(rows, store.list_workloads(task.workload));
  std::vector<std::pair<double, database::Id>> shapes;
  for (const database::WorkloadRow& row : rows)
    if (const auto distance = shape_distance(row.workload.binding_json, task.binding_json);
        distance && *distance > 0 && row.records > 0)
      shapes.emplace_back(*distance, row.workload.id);
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });

  Transferred result;
  std::unordered_set<uint64_t> known;
  size_t used = 0;
  for (size_t i = 0; i < shapes.size() && used < kShapes; ++i) {
    TEMPER_TRY(programs, fastest(store, shapes[i].second, task));
    used += programs.empty() ? 0 : 1; // tuned for other targets only
    for (const Program& program : programs) {
      const auto trace = s_tir::trace_from_json_text(program.trace_json);
      if (!trace || !space.admits(*trace)) {
        ++result.dropped;
        continue;
      }
      const auto candidate = space.apply(*trace, "transfer");
      if (!candidate)
        ++result.dropped;
      else if (known.insert((*candidate)->program_hash).second)
        result.candidates.push_back(*candidate);
    }
  }
  return result;
}

} // namespace temper::tuner
