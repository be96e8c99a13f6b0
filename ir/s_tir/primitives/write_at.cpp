/// WriteAt: a block writes a cache, and below a loop the tile that one iteration has made is copied
/// to where it belongs, by a block of its own: cache_write and reverse_compute_at, and the copy's
/// loops inside one block.
#include "ir/s_tir/detail/tile_block.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  return copy_tile_at(context, arguments, TileCopy::kWrite);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_tile_copies(context, handle, TileCopy::kWrite);
}

} // namespace

void register_write_at() {
  register_primitive({
      .name = "WriteAt",
      .python_name = "write_at",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop},
                 {.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "write_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(The block writes its result to a cache in `storage_scope`, and below the loop, behind
what has made it, the tile of each iteration is copied to where it belongs. The copy is one block,
which is returned: its axes are the loops around, its loops stand inside, and it has the annotation
auto_copy.

    # write_at(i_0, C, 0, "local")            for i_0 in range(4):
    for i_0 in range(4):                          for i_1, j, k in ..:
        for i_1, j, k in ..:             →            with T.sblock("C"):
            with T.sblock("C"):                           C_local[vi, vj] += ..
                C[vi, vj] += ..                   with T.sblock("C_local"):
                                                      T.sblock_attr({"auto_copy": 1})
                                                      for ax0, ax1 in T.grid(16, 64):
                                                          C[..] = C_local[..])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
