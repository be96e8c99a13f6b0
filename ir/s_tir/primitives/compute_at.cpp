// compute_at(block, loop, preserve_unit_loops, index): a producer is computed below a loop of its
// consumers, as much of it as they read there.
//
// For each buffer the block writes, the consumers' read regions are relaxed over the loops below
// `loop`; what is left is a box in terms of the loops above. Solving the block's write indices for
// its axes gives new loops ax0, ax1, ...; where the box may reach beyond an axis's domain the block
// gets a predicate. The block must be a complete or reduction block, no output of its scope, with
// all consumers below `loop`.

#include "ir/s_tir/detail/move_block.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  return move_block(context, arguments, MoveDirection::kToConsumers);
}
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_moves(context, handle, MoveDirection::kToConsumers);
}

} // namespace

void register_compute_at() {
  register_primitive({
      .name = "ComputeAt",
      .python_name = "compute_at",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "preserve_unit_loops", .kind = ValueKind::kBool, .default_value = false},
                {.name = "index", .kind = ValueKind::kInt, .default_value = -1}},
      .summary = R"(Moves a producer below a loop of its consumers and computes there only what one
iteration of the loop reads. `index` is the position below the loop: -1 is as late as possible, -2 as
early as possible.

    # compute_at(B, i)
    for i, j in T.grid(8, 8):                    for i in range(8):
        with T.sblock("B"):                          for ax0 in range(8):
            B[vi, vj] = A[vi, vj] * 2                    with T.sblock("B"):
    for i, j in T.grid(8, 8):               →                vi = T.axis.spatial(8, i)
        with T.sblock("C"):                                  vj = T.axis.spatial(8, ax0)
            C[vi, vj] = B[vi, vj] + 1                        B[vi, vj] = A[vi, vj] * 2
                                                     for j in range(8):
                                                         with T.sblock("C"):
                                                             C[vi, vj] = B[vi, vj] + 1)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
