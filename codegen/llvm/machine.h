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

/// Gives LLVM the options of TEMPER_LLVM_FLAGS; the error names one that it does not know. lld resets
/// all of LLVM's options in this process at each link, so this is done again after each.
Result<void> set_llvm_flags();

/// Whether the resolved target has a feature, as "avx512f".
bool has_feature(const llvm::TargetMachine& machine, std::string_view feature);

} // namespace temper::codegen
