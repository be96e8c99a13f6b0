/// ReindexCacheRead: a block reads a buffer through a cache whose indices are given by a map of the
/// block's axes.
#include "ir/s_tir/detail/reindex.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const std::string& storage = *arguments.attrs[1].as_string();
  if (storage.empty())
    return Error(ErrorCode::kInvalidArgument, "the scope must have a name, as \"shared\"");
  return reindex_region(context, arguments.inputs[0],
                        {.side = Side::kRead,
                         .index = *arguments.attrs[0].as_int(),
                         .index_map = *arguments.inputs[1].as_string(),
                         .storage = storage});
}

/// The axes that the access mentions, turned round.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  const auto place = handle.as_block() != nullptr ? find_block(context.module, *handle.as_block())
                                                  : std::nullopt;
  if (!place || place->block()->reads.empty())
    return {};
  const SBlock& block = *place->block();
  std::string inputs;
  std::string outputs;
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    inputs += fmt::format("{}i{}", i > 0 ? ", " : "", i);
    const auto mentioned = [&](const Range& range) {
      return mentions(range.min, block.iter_vars[i].var);
    };
    const std::vector<Range>& region = block.reads[0].region;
    if (std::any_of(region.begin(), region.end(), mentioned))
      outputs = fmt::format("i{}{}{}", i, outputs.empty() ? "" : ", ", outputs);
  }
  Arguments use{.inputs = {handle, fmt::format("lambda {}: ({},)", inputs, outputs)},
                .attrs = {0, "global"}};
  if (apply({context.module, nullptr, false}, use))
    return {std::move(use)};
  return {};
}

} // namespace

void register_reindex_cache_read() {
  register_primitive({
      .name = "ReindexCacheRead",
      .python_name = "reindex_cache_read",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "index_map", .kind = ValueKind::kIndexMap}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .python_order = {"block", "read_buffer_index", "storage_scope", "index_map"},
      .summary = R"(What the block reads of a buffer comes from a cache in `storage_scope`, which a new block, the
one returned, fills for all values of the block's axes. `index_map`, a lambda, gives the cache's
indices from the axes; it must tell apart what the access does.

    # reindex_cache_read(C, 0, "shared", lambda i, j, k: (k, i))
                                                    A_shared[vk, vi] = A[vi, vk]
    C[vi, vj] += A[vi, vk] * B[vk, vj]      →       C[vi, vj] += A_shared[vk, vi] * B[vk, vj])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
