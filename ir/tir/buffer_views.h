/// Memory under another shape or type, as T.reshape and T.view name it. Programs hold no views:
/// what uses one is rewritten to the buffer behind it.
///
///   x = T.reshape(tile, (4, 8))          tile: (32,)
///   x[i, j] = x[i, j] + 1          ->    tile[i * 8 + j] = tile[i * 8 + j] + 1
///   T.copy(x, A)                   ->    for i, j in T.Parallel(4, 8): A[i, j] = tile[i * 8 + j]
///
/// An operator takes the region behind a view where that has the same dimensions but those of
/// extent 1; else it is carried out by its meaning.
#pragma once

#include "ir/support/result.h"
#include "ir/tir/stmt.h"

#include <unordered_map>

namespace temper::tir {

/// The buffer behind each view; itself no view. Elements are counted row by row.
using BufferViews = std::unordered_map<const BufferNode*, Buffer>;

/// Why `view` is no view of `buffer`, in one sentence: sizes differ, types of different widths,
/// strides, a shape that is not constant.
Result<void> check_view(const Buffer& view, const Buffer& buffer);

/// The statement without the views.
Stmt resolve_views(const Stmt& stmt, const BufferViews& views);

} // namespace temper::tir
