/// Private to codegen/llvm: target machines and linking.
#pragma once

#include "ir/support/result.h"
#include "ir/target.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llvm {
class TargetMachine;
}

namespace temper::codegen {

/// This thread's target machine for a resolved target; made on first use and kept.
Result<llvm::TargetMachine*> target_machine(const ir::Target& resolved);

/// Whether the resolved target has a feature, as "avx512f".
bool has_feature(const llvm::TargetMachine& machine, std::string_view feature);

} // namespace temper::codegen
