// Copies: cp.async, vectors, boxes (TMA), and atomic operations.
#include "ir/tir/emulator/machine.h"

namespace temper::tir::emulator {

void Machine::cp_async(Warp& warp, Instruction& inst) {
  Address& to = inst.addresses[0];
  Address& from = inst.addresses[1];
  if (!expect_scope(to, Where::kShared, inst.node, "the destination") ||
      !expect_scope(from, Where::kGlobal, inst.node, "the source"))
    return;
  const DataType dtype = program_.buffers[static_cast<size_t>(to.buffer)].buffer->dtype;
  if (dtype != program_.buffers[static_cast<size_t>(from.buffer)].buffer->dtype) {
    fail(inst.node, "source and destination of T.ptx_cp_async have different types");
    return;
  }
  each_lane(warp, warp.active, [&](int) {
    const int64_t count = inst.codes.empty() ? 1 : inst.codes[0]->scalar(*frame_).i;
    const int64_t bytes = count * dtype.element_bytes();
    if (bytes != 4 && bytes != 8 && bytes != 16) {
      fail(inst.node, fmt::format("T.ptx_cp_async copies 4, 8 or 16 bytes, not {}", bytes));
      return;
    }
    const bool copies = inst.codes.size() < 2 || inst.codes[1]->scalar(*frame_).i != 0;
    const int64_t to_element = locate(to.buffer, evaluate(to.indices), inst.node);
    const int64_t from_element =
        copies && !failed() ? locate(from.buffer, evaluate(from.indices), inst.node) : 0;
    if (to_element < 0 || from_element < 0)
      return;
    const int64_t address_bytes =
        to_element * dtype.element_bytes() + program_.buffers[static_cast<size_t>(to.buffer)].arena;
    if (address_bytes % bytes != 0) {
      fail(inst.node, fmt::format("the destination {} is not aligned to the {} bytes that are "
                                  "copied",
                                  element_name(to.buffer, to_element), bytes));
      return;
    }
    if (!inside(to.buffer, to_element, count, inst.node) ||
        (copies && !inside(from.buffer, from_element, count, inst.node)))
      return;
    const Actor who = queue_actor(warp.copies, inst.node, false);
    for (int64_t i = 0; i < count; ++i) {
      note_access(to.buffer, to_element + i, inst.node, true);
      if ((copies && !check_read(from.buffer, from_element + i, who)) ||
          !check_write(to.buffer, to_element + i, who, false))
        return;
      if (options_.timing != AsyncTiming::kEarly)
        poison(to.buffer, to_element + i);
    }
    Operation operation;
    operation.where = inst.node;
    operation.perform = [this, &to, &from, to_element, from_element, bytes, copies] {
      if (copies)
        std::memcpy(address(to.buffer, to_element), address(from.buffer, from_element),
                    static_cast<size_t>(bytes));
      else
        std::memset(address(to.buffer, to_element), 0, static_cast<size_t>(bytes));
    };
    issue(warp.copies, std::move(operation));
  });
}

void Machine::copy_vector(Warp& warp, Instruction& inst) {
  Address& to = inst.addresses[0];
  Address& from = inst.addresses[1];
  const BufferInfo& target = program_.buffers[static_cast<size_t>(to.buffer)];
  const BufferInfo& source = program_.buffers[static_cast<size_t>(from.buffer)];
  const DataType dtype = target.buffer->dtype;
  if (dtype != source.buffer->dtype) {
    fail(inst.node, "source and destination of T.copy_vector have different types");
    return;
  }
  struct Move {
    int lane;
    int64_t to;
    std::vector<Slot> values;
  };
  std::vector<Move> moves;
  const auto aligned = [&](const BufferInfo& info, int buffer, int64_t element, int64_t bytes) {
    if ((element * dtype.element_bytes() + info.arena) % bytes == 0)
      return true;
    fail(inst.node, fmt::format("{} is not aligned to the {} bytes that are copied",
                                element_name(buffer, element), bytes));
    return false;
  };
  each_lane(warp, warp.active, [&](int lane) {
    const int64_t count = inst.codes[0]->scalar(*frame_).i;
    const int64_t bytes = count * dtype.element_bytes();
    if (bytes != 2 && bytes != 4 && bytes != 8 && bytes != 16) {
      fail(inst.node, fmt::format("T.copy_vector copies 2, 4, 8 or 16 bytes, not {}", bytes));
      return;
    }
    Move move{lane, locate(to.buffer, evaluate(to.indices), inst.node), {}};
    const int64_t begin = failed() ? -1 : locate(from.buffer, evaluate(from.indices), inst.node);
    if (move.to < 0 || begin < 0 || !aligned(target, to.buffer, move.to, bytes) ||
        !aligned(source, from.buffer, begin, bytes) ||
        !inside(to.buffer, move.to, count, inst.node) ||
        !inside(from.buffer, begin, count, inst.node))
      return;
    for (int64_t i = 0; i < count && !failed(); ++i) {
      if (source.where == Where::kLocal) {
        move.values.push_back(load_local(from.buffer, lane, begin + i, inst.node));
        continue;
      }
      note_access(from.buffer, begin + i, inst.addresses[1].node, false);
      if (check_read(from.buffer, begin + i, actor(inst.node)))
        move.values.push_back(get(from.buffer, begin + i));
    }
    moves.push_back(std::move(move));
  });
  for (const Move& move : moves)
    for (size_t i = 0; i < move.values.size() && !failed(); ++i) {
      lane_ = move.lane;
      const int64_t element = move.to + static_cast<int64_t>(i);
      if (target.where == Where::kLocal) {
        store_local(to.buffer, move.lane, element, move.values[i], inst.node);
        continue;
      }
      note_access(to.buffer, element, inst.addresses[0].node, true);
      const bool same = bits_of(dtype, move.values[i]) == bits_of(dtype, get(to.buffer, element));
      if (check_write(to.buffer, element, actor(inst.node), same))
        put(to.buffer, element, move.values[i]);
    }
}

bool Machine::inside(int buffer, int64_t element, int64_t count, const Node* where) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
  const int64_t all =
      info.where == Where::kGlobal ? globals_[static_cast<size_t>(buffer)].count : info.count;
  if (element + count <= all)
    return true;
  fail(where, fmt::format("{} elements from {} reach outside of the buffer", count,
                          element_name(buffer, element)));
  return false;
}

bool Machine::make_box(Address& shared, Address& global, const std::vector<int64_t>& extents,
                       const Node* where, Box& box) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(global.buffer)];
  const BufferInfo& tile = program_.buffers[static_cast<size_t>(shared.buffer)];
  if (!expect_scope(shared, Where::kShared, where, "the tile") ||
      !expect_scope(global, Where::kGlobal, where, "the tensor"))
    return false;
  if (info.buffer->dtype != tile.buffer->dtype) {
    fail(where, "the tensor and the tile have different types");
    return false;
  }
  const std::vector<int64_t> origin = evaluate(global.indices);
  std::vector<int64_t> corner = evaluate(shared.indices);
  if (failed())
    return false;
  if (extents.empty() || extents.size() > origin.size() || extents.size() > corner.size()) {
    fail(where, fmt::format("a box of {} dimensions out of {} into {}: the extents are those of "
                            "the last dimensions of both",
                            extents.size(), info.buffer->name, tile.buffer->name));
    return false;
  }
  int64_t count = 1;
  for (const int64_t extent : extents)
    count *= std::max<int64_t>(extent, 0);
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<int64_t> offset = coordinate_of(extents, i);
    std::vector<int64_t> at = origin;
    std::vector<int64_t> to = corner;
    for (size_t d = 0; d < extents.size(); ++d) {
      at[at.size() - extents.size() + d] += offset[d];
      to[to.size() - extents.size() + d] += offset[d];
    }
    box.global.push_back(locate(global.buffer, at, where, true));
    box.shared.push_back(locate(shared.buffer, to, where));
    if (failed())
      return false;
  }
  return true;
}

std::vector<size_t> Machine::blocks_of_mask(int64_t mask, const Node* where) {
  std::vector<size_t> blocks;
  for (size_t i = 0; i < running_; ++i)
    if ((mask >> i & 1) != 0)
      blocks.push_back(i);
  if (blocks.empty() || mask < 0 || mask >> running_ != 0) {
    fail(where, fmt::format("the mask {:#x} names blocks that the cluster has not: it has {}", mask,
                            running_));
    blocks.clear();
  }
  return blocks;
}

void Machine::tma_load(Warp& warp, Instruction& inst) {
  each_lane(warp, warp.active, [&](int) {
    std::vector<int64_t> extents = evaluate(inst.codes);
    std::vector<size_t> targets{warp.block};
    if (inst.operation == "tma_load_multicast" && !failed()) {
      targets = blocks_of_mask(extents.front(), inst.node);
      extents.erase(extents.begin());
    }
    Box box;
    if (failed() || !make_box(inst.addresses[0], inst.addresses[1], extents, inst.node, box))
      return;
    for (const size_t target : targets)
      if (!failed())
        load_box(inst, box, target);
  });
}

void Machine::load_box(Instruction& inst, const Box& box, size_t target) {
  const Elsewhere there(*this, target);
  const int index = mbarrier(inst.addresses[2], inst.node);
  if (!use_mbarrier(inst.addresses[2], index, inst.node))
    return;
  const int to = inst.addresses[0].buffer;
  const int from = inst.addresses[1].buffer;
  Actor who = actor(inst.node);
  MBarrier& barrier = mbarriers_[static_cast<size_t>(index)];
  who.component = barrier.component;
  who.step = barrier.phase + 1;
  who.asynchronous = true;
  note_reached(target, who.component, who.step, inst.node);
  const int64_t bytes = static_cast<int64_t>(box.shared.size()) *
                        program_.buffers[static_cast<size_t>(to)].buffer->dtype.element_bytes();
  if (bytes % 16 != 0) {
    fail(inst.node, fmt::format("T.{} moves multiples of 16 bytes, not {}", inst.operation, bytes));
    return;
  }
  Actor writer = who;
  writer.block = here_->number;
  for (size_t i = 0; i < box.shared.size(); ++i) {
    if ((box.global[i] >= 0 && !check_read(from, box.global[i], who)) ||
        !check_write(to, box.shared[i], writer, false))
      return;
    poison(to, box.shared[i]);
  }
  Operation operation;
  operation.where = inst.node;
  operation.block = target;
  operation.barrier = index;
  operation.bytes = bytes;
  operation.perform = [this, to, from, box] {
    const auto size = static_cast<size_t>(
        program_.buffers[static_cast<size_t>(to)].buffer->dtype.element_bytes());
    for (size_t i = 0; i < box.shared.size(); ++i)
      if (box.global[i] >= 0)
        std::memcpy(address(to, box.shared[i]), address(from, box.global[i]), size);
      else
        std::memset(address(to, box.shared[i]), 0, size);
  };
  if (options_.timing == AsyncTiming::kEarly)
    perform(operation);
  else
    pending_.push_back(std::move(operation));
}

void Machine::tma_store(Warp& warp, Instruction& inst) {
  each_lane(warp, warp.active, [&](int) {
    Box box;
    if (!make_box(inst.addresses[1], inst.addresses[0], evaluate(inst.codes), inst.node, box))
      return;
    const int to = inst.addresses[0].buffer;
    const int from = inst.addresses[1].buffer;
    const Actor who = queue_actor(warp.stores, inst.node, true);
    for (size_t i = 0; i < box.shared.size(); ++i)
      if (!check_read(from, box.shared[i], who) ||
          (box.global[i] >= 0 && !check_write(to, box.global[i], who, false)))
        return;
    Operation operation;
    operation.where = inst.node;
    operation.perform = [this, to, from, box = std::move(box)] {
      const auto size = static_cast<size_t>(
          program_.buffers[static_cast<size_t>(to)].buffer->dtype.element_bytes());
      for (size_t i = 0; i < box.shared.size(); ++i)
        if (box.global[i] >= 0)
          std::memcpy(address(to, box.global[i]), address(from, box.shared[i]), size);
    };
    issue(warp.stores, std::move(operation));
  });
}

void Machine::atomic(Warp& warp, Instruction& inst) {
  Address& to = inst.addresses[0];
  const BufferInfo& info = program_.buffers[static_cast<size_t>(to.buffer)];
  if (info.where == Where::kLocal) {
    fail(inst.node, "T." + inst.operation + " works on shared or global memory");
    return;
  }
  const DataType dtype = info.buffer->dtype;
  const bool adds = inst.operation == "atomic_add";
  const bool largest = inst.operation == "atomic_max";
  // As plain_atomic (ir/tir/atomic.h) has it.
  const auto after = [&](Slot old, Slot value) {
    if (adds)
      return dtype.is_floating() ? interpreter::slot_of(old.d + value.d)
                                 : interpreter::slot_of(wrap_integer(dtype, old.i + value.i));
    const bool less = dtype.is_floating() ? value.d < old.d
                      : dtype.is_uint()
                          ? static_cast<uint64_t>(value.i) < static_cast<uint64_t>(old.i)
                          : value.i < old.i;
    return less == largest ? old : value;
  };
  each_lane(warp, warp.active, [&](int) {
    const Slot value = inst.codes[0]->scalar(*frame_);
    const int64_t element = locate(to.buffer, evaluate(to.indices), inst.node);
    if (element < 0)
      return;
    Actor who = actor(inst.node);
    who.atomic = true;
    note_access(to.buffer, element, inst.node, true);
    if (!check_read(to.buffer, element, who) || !check_write(to.buffer, element, who, false))
      return;
    const Slot old = get(to.buffer, element);
    put(to.buffer, element, after(old, value));
  });
}

} // namespace temper::tir::emulator
