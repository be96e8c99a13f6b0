/// What T.lookup's variants need of its operands. Private to ir/tir.
#pragma once

#include "ir/tir/tile_ops.h"

namespace temper::tir::ops {

/// The length of the table, a power of two; an error when the operands do not fit each other.
Result<int64_t> lookup_entries(const TileCall& call);

} // namespace temper::tir::ops
