/// The tile operators, one file each. Private to ir/tir; a new one is a line here and in ops.cpp.
#pragma once

#include "ir/tir/tile_ops.h"

namespace temper::tir::ops {

const TileOp& copy();
const TileOp& clear();
const TileOp& fill();
const TileOp& gemm();
const TileOp& reduce_sum();
const TileOp& reduce_max();
const TileOp& reduce_min();
const TileOp& reduce_absmax();
const TileOp& reduce_abssum();
const TileOp& reduce_bitand();
const TileOp& reduce_bitor();
const TileOp& reduce_bitxor();
const TileOp& cumsum();
const TileOp& cummax();
const TileOp& lookup();
const TileOp& atomic_add();
const TileOp& atomic_max();
const TileOp& atomic_min();

std::vector<const TileOp*> all();

} // namespace temper::tir::ops
