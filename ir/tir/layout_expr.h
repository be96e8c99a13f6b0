/// Layouts in programs: places as expressions, and accesses by place instead of by coordinate.
///
///   S = T.alloc_shared((64, 64), "float16")           S = T.alloc_shared((4096,), "float16")
///     with T.Layout((64, 64), [(64, 64), (64, 1)],  ->  S[(i * 64 + j) ^ (i % 8 * 8)]
///     swizzle=(3, 3, 3))
///   S[i, j]
#pragma once

#include "ir/function.h"
#include "ir/tir/layout.h"

#include <span>
#include <string_view>

namespace temper::tir {

/// The layout's value on `axis` for the coordinate, int32; replicas are not looked at. Layouts with
/// an input swizzle have no such expression.
Expr layout_value(const Layout& layout, std::span<const Expr> coordinate,
                  const char* axis = kMemoryAxis);

/// True for operations that take boxes or tiles of shared memory and know how they lie.
bool takes_tiles(std::string_view op);

/// Shared and local buffers with a layout become flat ones, in the order of the layout. Buffers
/// whose layout an operation reads itself (TMA, wgmma) stay. Error: a vector access that the layout
/// tears apart, named with its line.
Result<PrimFunc> apply_layouts(const PrimFunc& function);

} // namespace temper::tir
