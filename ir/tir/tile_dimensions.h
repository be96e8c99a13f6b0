/// Which dimensions of a region make a tile of so many dimensions.
#pragma once

#include "ir/tir/tile.h"

#include <vector>

namespace temper::tir {

/// Numbers of the region's dimensions, in order: those of extents other than 1, and where they are
/// fewer than `rank`, the last ones of extent 1 besides. K[b, 0:64, h, 0:1] as a matrix is 64 x 1.
/// Fewer than `rank` where the region has no more; more where more extents are not 1.
std::vector<size_t> tile_dimensions(const BufferRegion& region, size_t rank);

} // namespace temper::tir
