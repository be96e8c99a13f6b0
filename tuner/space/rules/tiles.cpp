#include "tuner/space/rules/tiles.h"

#include "ir/walk.h"

namespace temper::tuner {

using namespace s_tir; // NOLINT

bool has_reuse(const BlockFacts& facts) {
  for (const BufferRegion& read : facts.block->reads) {
    if (!facts.block->writes.empty() && read.buffer == facts.block->writes[0].buffer)
      continue;
    for (const IterVar& axis : facts.block->iter_vars) {
      if (axis.type != IterType::kSpatial || is_int(axis.domain.extent, 1))
        continue;
      bool moves = false;
      for (const Range& range : read.region)
        moves |= uses_var(range.min, [&](const VarNode& var) { return &var == axis.var.get(); });
      if (!moves)
        return true;
    }
  }
  return false;
}

bool is_tileable(const BlockFacts& facts) {
  return facts.trivially_bound && facts.has_reduction && facts.store != nullptr &&
         facts.block->annotations.empty() && has_reuse(facts);
}

Result<std::vector<std::vector<LoopRv>>> tile_loops(Schedule& schedule, BlockRv block,
                                                    const BlockFacts& facts,
                                                    std::string_view structure,
                                                    int64_t max_innermost_factor) {
  TEMPER_TRY_VOID(schedule.annotate(block, kTilingStructure, std::string(structure)));
  TEMPER_TRY(loops, schedule.get_loops(block));
  std::vector<std::vector<LoopRv>> levels(structure.size());
  for (size_t axis = 0; axis < loops.size(); ++axis) {
    const char kind = facts.block->iter_vars[axis].type == IterType::kReduce ? 'R' : 'S';
    std::vector<size_t> places;
    for (size_t i = 0; i < structure.size(); ++i)
      if (structure[i] == kind)
        places.push_back(i);
    TEMPER_TRY(factors, schedule.sample_perfect_tile(loops[axis], static_cast<int>(places.size()),
                                                     max_innermost_factor));
    std::vector<Operand> operands(factors.begin(), factors.end());
    TEMPER_TRY(parts, schedule.split(loops[axis], std::move(operands)));
    for (size_t i = 0; i < places.size(); ++i)
      levels[places[i]].push_back(parts[i]);
  }
  std::vector<LoopRv> order;
  for (const std::vector<LoopRv>& level : levels)
    order.insert(order.end(), level.begin(), level.end());
  TEMPER_TRY_VOID(schedule.reorder(order));
  return levels;
}

} // namespace temper::tuner
