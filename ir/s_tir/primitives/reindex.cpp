/// ReIndex: a block uses a buffer through a copy that is laid out by the block's axes.
#include "ir/s_tir/detail/reindex.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(side, parse_side("buffer_index_type", *arguments.attrs[1].as_string()));
  return reindex_region(context, arguments.inputs[0],
                        {.side = side, .index = *arguments.attrs[0].as_int()});
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_block() == nullptr)
    return uses;
  for (const char* side : {"read", "write"})
    for (const int index : {0, 1}) {
      Arguments use{.inputs = {handle}, .attrs = {index, side}};
      if (apply({context.module, nullptr, false}, use))
        uses.push_back(std::move(use));
    }
  return uses;
}

} // namespace

void register_reindex() {
  register_primitive({
      .name = "ReIndex",
      .python_name = "reindex",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "buffer_index", .kind = ValueKind::kInt},
                {.name = "buffer_index_type", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(The block uses a buffer that it reads or writes through a copy whose indices are the
axes of the block that the access mentions; a new block, which is returned, copies. Traces in Python
spell the buffer ("read", 0) or ("write", 0).

    # reindex(C, ("read", 0))                          X_reindex[v0, v1] = X[v0 + v1]
    C[vi] = C[vi] + X[vi + vk] * W[vk]         →       C[vi] = C[vi] + X_reindex[vi, vk] * W[vk])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
