#include "ir/tir/emulator/shadow.h"

namespace temper::tir::emulator {
namespace {

bool ordered(int16_t component, uint32_t step, const Actor& actor) {
  return component == kNobody || actor.knows->at(static_cast<size_t>(component)) >= step;
}

} // namespace

Conflict Shadow::conflict(Conflict::Kind kind, const Cell& cell, const Actor& actor, int warps,
                          bool with_write) {
  (void)actor;
  Conflict found;
  found.kind = kind;
  found.other = with_write ? cell.write_where : cell.read_where;
  found.other_is_write = with_write;
  const int16_t other = with_write ? cell.writer : cell.reader;
  found.other_asynchronous = other >= warps;
  found.other_warp = with_write ? cell.write_warp : other;
  found.other_lane = with_write ? cell.write_lane : cell.read_lane;
  return found;
}

Conflict Shadow::read(size_t index, const Actor& actor, int buffer, int warps) {
  using Kind = Conflict::Kind;
  Cell& cell = (*this)[index];
  if (cell.block != actor.block && cell.block >= 0) {
    // Another block's accesses are never ordered with this one's.
    if (cell.writer != kNobody && !(cell.atomic && actor.atomic))
      return conflict(Kind::kBlocks, cell, actor, warps, true);
    if (cell.writer == kNobody)
      cell.reader = kNobody, cell.more_readers = -1;
  } else {
    const bool both_atomic = cell.atomic && actor.atomic;
    if (!both_atomic && !ordered(cell.writer, cell.write_step, actor))
      return conflict(Kind::kReadAfterWrite, cell, actor, warps, true);
    if (!both_atomic && cell.writer == actor.warp && cell.write_lane != actor.lane &&
        cell.write_sync == actor.sync)
      return conflict(Kind::kLanes, cell, actor, warps, true);
    if (actor.asynchronous && cell.generic && cell.writer != kNobody &&
        actor.fenced->at(static_cast<size_t>(cell.writer)) < cell.write_step)
      return conflict(Kind::kUnfenced, cell, actor, warps, true);
  }
  if (cell.written && cell.buffer >= 0 && buffer >= 0 && cell.buffer != buffer)
    return conflict(Kind::kOverwritten, cell, actor, warps, true);
  cell.block = actor.block;
  const int16_t lane = actor.asynchronous ? int16_t{0} : actor.lane;
  if (cell.reader == actor.component) {
    if (cell.read_sync == actor.sync && cell.read_lane != lane)
      cell.read_lane = kManyLanes;
    else
      cell.read_lane = lane;
  } else if (cell.reader == kNobody || ordered(cell.reader, cell.read_step, actor)) {
    cell.read_lane = lane;
  } else {
    // Concurrent readers: keep the earlier one aside.
    if (cell.more_readers < 0) {
      cell.more_readers = static_cast<int32_t>(more_.size());
      more_.emplace_back();
    }
    auto& list = more_[static_cast<size_t>(cell.more_readers)];
    const Reader earlier{cell.reader, cell.read_lane, cell.read_step, cell.read_where};
    const auto known = std::find_if(list.begin(), list.end(), [&](const Reader& reader) {
      return reader.component == earlier.component;
    });
    if (known != list.end())
      *known = earlier;
    else
      list.push_back(earlier);
    cell.read_lane = lane;
  }
  cell.reader = actor.component;
  cell.read_step = actor.step;
  cell.read_sync = actor.sync;
  cell.read_where = actor.where;
  // Noted all the same: a write that comes later tells more.
  if (!cell.written)
    return conflict(Kind::kUnwritten, cell, actor, warps, true);
  return {};
}

Conflict Shadow::write(size_t index, const Actor& actor, int buffer, int warps, bool same_value) {
  using Kind = Conflict::Kind;
  Cell& cell = (*this)[index];
  const bool other_block = cell.block != actor.block && cell.block >= 0;
  const bool both_atomic = cell.atomic && actor.atomic;
  if (other_block) {
    if (!both_atomic && cell.writer != kNobody)
      return conflict(Kind::kBlocks, cell, actor, warps, true);
    if (!both_atomic && cell.reader != kNobody)
      return conflict(Kind::kBlocks, cell, actor, warps, false);
  } else {
    if (!both_atomic && !ordered(cell.writer, cell.write_step, actor))
      return conflict(Kind::kWriteAfterWrite, cell, actor, warps, true);
    if (!both_atomic && cell.writer == actor.warp && actor.component == actor.warp &&
        cell.write_lane != actor.lane && cell.write_sync == actor.sync) {
      // Lanes may agree on a value in one step; anything else is decided by chance.
      if (cell.write_statement != actor.statement)
        return conflict(Kind::kLanes, cell, actor, warps, true);
      if (!same_value)
        return conflict(Kind::kDifferentValues, cell, actor, warps, true);
    }
    if (!both_atomic && cell.reader != kNobody) {
      if (!ordered(cell.reader, cell.read_step, actor))
        return conflict(Kind::kWriteAfterRead, cell, actor, warps, false);
      if (cell.reader == actor.warp && cell.read_lane != actor.lane && cell.read_sync == actor.sync)
        return conflict(Kind::kLanes, cell, actor, warps, false);
      if (cell.more_readers >= 0)
        for (const Reader& reader : more_[static_cast<size_t>(cell.more_readers)])
          if (!ordered(reader.component, reader.step, actor)) {
            Conflict found = conflict(Kind::kWriteAfterRead, cell, actor, warps, false);
            found.other = reader.where;
            found.other_warp = reader.component;
            found.other_asynchronous = reader.component >= warps;
            return found;
          }
    }
  }
  cell.written = true;
  cell.atomic = actor.atomic;
  cell.generic = !actor.asynchronous && actor.component == actor.warp;
  cell.writer = actor.component;
  cell.write_lane = actor.lane;
  cell.write_warp = actor.warp;
  cell.write_step = actor.step;
  cell.write_sync = actor.sync;
  cell.write_statement = actor.statement;
  cell.write_where = actor.where;
  cell.reader = kNobody;
  cell.more_readers = -1;
  cell.buffer = buffer;
  cell.block = actor.block;
  return {};
}

} // namespace temper::tir::emulator
