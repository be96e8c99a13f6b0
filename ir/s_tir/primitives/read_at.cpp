/// ReadAt: what the blocks below a loop read of a buffer is copied to a cache there, a tile at a
/// time, by a block of its own: cache_read and compute_at, and the copy's loops inside one block.
#include "ir/s_tir/detail/tile_block.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  return copy_tile_at(context, arguments, TileCopy::kRead);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_tile_copies(context, handle, TileCopy::kRead);
}

} // namespace

void register_read_at() {
  register_primitive({
      .name = "ReadAt",
      .python_name = "read_at",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop},
                 {.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(What the blocks below a loop read of a buffer is copied below the loop, a tile for each
iteration, to a cache in `storage_scope`. The copy is one block, which is returned: its axes are the
loops around, its loops stand inside, and it has the annotation auto_copy. The index is that of the
region that `block`, one of those blocks, reads.

    # read_at(k_0, C, 0, "shared")            for i_0, k_0 in T.grid(4, 4):
    for i_0, k_0 in T.grid(4, 4):                 with T.sblock("A_shared"):
        for i_1, j, k_1 in ..:           →            T.sblock_attr({"auto_copy": 1})
            with T.sblock("C"):                       for ax0, ax1 in T.grid(16, 16):
                C[vi, vj] += A[vi, vk] * ..               A_shared[..] = A[..]
                                                  for i_1, j, k_1 in ..:
                                                      with T.sblock("C"):
                                                          C[vi, vj] += A_shared[vi, vk] * ..)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
