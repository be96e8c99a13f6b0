#include "ir/s_tir/detail/allocated.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Result<Side> parse_side(std::string_view parameter, const std::string& text) {
  if (text == "read")
    return Side::kRead;
  if (text == "write")
    return Side::kWrite;
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("{} is \"read\" or \"write\", not \"{}\"", parameter, text));
}

Result<BufferRegion> require_region(const Context& context, const Value& at, const Block& block,
                                    Side side, int64_t index) {
  const std::vector<BufferRegion>& regions = side == Side::kRead ? block->reads : block->writes;
  if (index < 0 || index >= static_cast<int64_t>(regions.size()))
    return illegal(context, at,
                   fmt::format("{} {} {} buffers: there is none with index {}", describe(block),
                               side == Side::kRead ? "reads" : "writes", regions.size(), index));
  return regions[static_cast<size_t>(index)];
}

Result<AllocatedBuffer> require_allocated(const Context& context, const Value& at, int64_t index,
                                          std::string_view to_do) {
  TEMPER_TRY(place, require_block(context, at));
  TEMPER_TRY(region, require_region(context, at, place.block(), Side::kWrite, index));
  AllocatedBuffer allocated{.place = std::move(place), .buffer = region.buffer};
  for (size_t i = allocated.place.chain.size(); i-- > 0;) {
    const auto* realize = allocated.place.chain[i].as<SBlockRealize>();
    if (realize == nullptr)
      continue;
    const std::vector<Buffer>& own = realize->block->alloc_buffers;
    if (std::find(own.begin(), own.end(), region.buffer) != own.end()) {
      allocated.owner_at = i;
      return allocated;
    }
  }
  return illegal(context, at,
                 fmt::format("{} is not allocated by a block: {}", region.buffer->name, to_do));
}

IRModule replace_owner(const Context& context, const AllocatedBuffer& allocated, Block owner) {
  return replace_in_module(context.module, allocated.place.function,
                           std::span(allocated.place.chain).first(allocated.owner_at + 1),
                           copy_node(allocated.owner_realize(),
                                     [&](SBlockRealize& node) { node.block = std::move(owner); }));
}

} // namespace temper::s_tir
