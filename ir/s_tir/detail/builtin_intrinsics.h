/// The entries that the table of tensor intrinsics starts with (ir/s_tir/TENSOR_INTRINSICS.md), and
/// how they are made.
#pragma once

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/support/function_ref.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::s_tir {

/// All of them.
std::vector<TensorIntrinsic> builtin_tensor_intrinsics();
/// Those of a warp of a GPU: tiles by ldmatrix and mma.sync (ir/tir/warp_fragments.h).
std::vector<TensorIntrinsic> warp_tensor_intrinsics();
/// Those of AMX with other numbers of rows, 2 to 31, which are too many to list; none where `name`
/// is not one's.
std::optional<TensorIntrinsic> tile_product_named(std::string_view name);

struct IntrinsicAxis {
  const char* name;
  int64_t extent;
  IterType type;
};
/// A description: one block under its loops; `store` gets the block's axes.
PrimFunc describe_by(const std::string& name, const std::vector<Buffer>& buffers,
                     const std::vector<IntrinsicAxis>& loops, std::vector<BufferRegion> reads,
                     std::vector<BufferRegion> writes,
                     FunctionRef<Stmt(const std::vector<Expr>&)> store);
/// An implementation over `buffers`.
PrimFunc implement_by(const std::string& name, const std::vector<Buffer>& buffers, Stmt body);
/// Buffers like these, for the other function of an entry.
std::vector<Buffer> copies(const std::vector<Buffer>& buffers);

} // namespace temper::s_tir
