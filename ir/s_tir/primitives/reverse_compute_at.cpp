// reverse_compute_at(block, loop, preserve_unit_loops, index): a consumer is computed below a loop
// of its producers, as much of it as they have made ready there.
//
// What the producers write in one iteration of `loop` is a box; solving the block's read indices
// for its axes gives the new loops. All producers must be below `loop`, or be finished in a nest of
// their own before it; none of their reductions may be carried by `loop` or a loop above it, and
// what the block then reads must lie in the box.

#include "ir/s_tir/detail/move_block.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  return move_block(context, arguments, MoveDirection::kToProducers);
}
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_moves(context, handle, MoveDirection::kToProducers);
}

} // namespace

void register_reverse_compute_at() {
  register_primitive({
      .name = "ReverseComputeAt",
      .python_name = "reverse_compute_at",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "preserve_unit_loops", .kind = ValueKind::kBool, .default_value = false},
                {.name = "index", .kind = ValueKind::kInt, .default_value = -1}},
      .summary = R"(Moves a consumer below a loop of its producers and computes there what one
iteration of the loop has made ready. `index` is the position below the loop: -1 is as late as
possible, -2 as early as possible.

    # reverse_compute_at(C, i)
    for i, j in T.grid(8, 8):                    for i in range(8):
        with T.sblock("B"):                          for j in range(8):
            B[vi, vj] = A[vi, vj] * 2                    with T.sblock("B"):
    for i, j in T.grid(8, 8):               →                B[vi, vj] = A[vi, vj] * 2
        with T.sblock("C"):                          for ax0 in range(8):
            C[vi, vj] = B[vi, vj] + 1                    with T.sblock("C"):
                                                             vi = T.axis.spatial(8, i)
                                                             vj = T.axis.spatial(8, ax0)
                                                             C[vi, vj] = B[vi, vj] + 1)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
