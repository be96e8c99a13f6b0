/// Annotations of tile operators, checked where a program is read: annotations={"variant": "tma"}.
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

namespace temper::tir {

/// An annotation is an option of the operator, "variant" with the name of one of its variants on
/// some target, or a knob of one (ir/tir/dispatch.h) with an integer. The error says in one
/// sentence which is none of them; whether a value is legal here is the variant's to say.
Result<void> check_tile_annotations(const TileCall& call);

} // namespace temper::tir
