/// Flat tir with threads (codegen/lower_gpu.h) to an artifact for one of AMD's GPUs:
///
///   HIP C++ -> assembly -> object, by clang 19
///
/// The artifact's `code` is the object, its `object` the assembly. Nothing runs it here: what is
/// known of it are its facts.
#pragma once

#include "codegen/artifact.h"
#include "ir/module.h"
#include "ir/support/result.h"
#include "ir/target.h"

namespace temper::codegen {

/// `lowered`: one function, for `target` ("hip:gfx942"). Of the artifact everything but the
/// signature is filled in. Errors as compile_cuda's.
Result<Artifact> compile_hip(const ir::IRModule& lowered, const ir::Target& target,
                             double deadline_seconds = 0);

} // namespace temper::codegen
