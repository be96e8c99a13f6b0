/// The names of memory scopes that primitives take.
#pragma once

#include "ir/support/result.h"

#include <string>

namespace temper::s_tir {

/// What every primitive calls the attribute that names a memory scope.
inline constexpr const char* kStorageScope = "storage_scope";

/// An error that names the nearest scope unless `scope` is one that TVM or temper knows: "global",
/// "shared.dyn", "wmma.matrix_a", ..., or one of those of plain memory with a tag behind it
/// ("local.sums").
Result<void> require_storage_scope(const std::string& scope);

} // namespace temper::s_tir
