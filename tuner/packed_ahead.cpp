#include "tuner/packed_ahead.h"

#include "ir/s_tir/packs.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/support/text.h"
#include "tuner/task.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::tuner {
namespace {

/// Sooner said than by replaying it.
bool may_pack(const std::string& trace_json) {
  return trace_json.find("PackAhead") != std::string::npos;
}

Result<std::vector<PackedAhead>> packed_by(const s_tir::Trace& trace, const ir::IRModule& module) {
  TEMPER_TRY(schedule, s_tir::replay(trace, module));
  TEMPER_TRY(split, s_tir::split_packs(schedule.module()));
  std::vector<PackedAhead> result;
  for (const ir::ModuleEntry& entry : split->functions)
    if (const auto function = entry.function.as_ref<ir::PrimFuncNode>();
        function && s_tir::packed_parameter(function)) {
      TEMPER_TRY(signature, signature_of(function));
      result.push_back({signature[0], signature[1]});
    }
  return result;
}

} // namespace

std::string PackedAhead::text() const {
  return fmt::format("{} packed ahead: {}[{}] as [{}], {:.2f} MiB; packing is not in the time",
                     plain.name, to_string(plain.dtype), fmt::join(plain.shape, ", "),
                     fmt::join(packed.shape, ", "),
                     static_cast<double>(packed.byte_count()) / (1 << 20));
}

Result<std::vector<PackedAhead>> packed_ahead(const ir::IRModule& module,
                                              const std::string& trace_json) {
  if (!may_pack(trace_json))
    return std::vector<PackedAhead>();
  TEMPER_TRY(trace, s_tir::trace_from_json_text(trace_json));
  return packed_by(trace, module);
}

Result<std::vector<PackedAhead>> packed_ahead(const std::string& module_text,
                                              const std::string& trace_json) {
  if (!may_pack(trace_json))
    return std::vector<PackedAhead>();
  TEMPER_TRY(module, script::parse_module(module_text, "workload"));
  return packed_ahead(module, trace_json);
}

std::vector<PackedAhead> packed_ahead(const codegen::Artifact& artifact) {
  std::vector<PackedAhead> result;
  for (const codegen::PackStep& pack : artifact.packs)
    result.push_back({artifact.signature[static_cast<size_t>(pack.argument)], pack.packed});
  return result;
}

std::string short_text(const std::vector<PackedAhead>& packed) {
  std::vector<std::string> names;
  for (const PackedAhead& operand : packed)
    names.push_back(operand.plain.name);
  return names.empty() ? "" : join(names, ", ") + " packed ahead";
}

Json to_json(const std::vector<PackedAhead>& packed) {
  Json list = Json::array();
  for (const PackedAhead& operand : packed)
    list.push_back(Json{{"operand", operand.plain.name},
                        {"shape", operand.plain.shape},
                        {"packed_shape", operand.packed.shape},
                        {"packed_bytes", operand.packed.byte_count()}});
  return list;
}

} // namespace temper::tuner
