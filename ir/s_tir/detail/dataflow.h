/// What get_producers and get_consumers share.
#pragma once

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {

/// Scope::producers or Scope::consumers.
using Neighbours = std::vector<int> (Scope::*)(int child) const;

/// The blocks of the scope that `neighbours` says stand in relation to the block.
template <Neighbours neighbours>
Result<Applied> get_neighbours(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, require_block(context, arguments.inputs[0]));
  TEMPER_TRY(around, require_scope(context, place));
  const Scope scope = analyze_scope(*around);
  Applied applied{.module = context.module};
  for (const int child : (scope.*neighbours)(scope.index_of(place.block()->id)))
    applied.outputs.push_back(BlockHandle{scope.children[static_cast<size_t>(child)].block().id});
  return applied;
}

template <Neighbours neighbours>
std::vector<Arguments> enumerate_neighbours(const Context& context, const Value& handle) {
  const Arguments arguments{.inputs = {handle}};
  if (handle.as_block() == nullptr || !get_neighbours<neighbours>(context, arguments))
    return {};
  return {arguments};
}

} // namespace temper::s_tir
