/// Which constant operands a candidate packs ahead of the kernel's calls: said wherever its time
/// is.
#pragma once

#include "codegen/artifact.h"
#include "ir/module.h"
#include "ir/support/json.h"
#include "ir/support/result.h"

#include <string>
#include <vector>

namespace temper::tuner {

struct PackedAhead {
  codegen::ArgumentSpec plain;
  codegen::ArgumentSpec packed;

  /// "B packed ahead: float32[1024, 1024] as [16, 1024, 64], 4.00 MiB; packing is not in the time".
  std::string text() const;
};

/// Of a candidate's trace on its workload's module; none where the trace does not pack ahead.
Result<std::vector<PackedAhead>> packed_ahead(const ir::IRModule& module,
                                              const std::string& trace_json);
/// The same from a workload's text, as the database keeps it. Parses it only where a trace packs.
Result<std::vector<PackedAhead>> packed_ahead(const std::string& module_text,
                                              const std::string& trace_json);
/// What a kernel packs; for its own code.
std::vector<PackedAhead> packed_ahead(const codegen::Artifact& artifact);

/// "B packed ahead", "A, B packed ahead"; empty when there are none.
std::string short_text(const std::vector<PackedAhead>& packed);
Json to_json(const std::vector<PackedAhead>& packed);

} // namespace temper::tuner
