// One instruction of a warp after another; kernels, blocks and clusters.
#include "ir/tir/emulator/machine.h"

namespace temper::tir::emulator {

void Machine::step(Warp& warp, std::vector<Instruction>& code) {
  Instruction& inst = code[warp.at];
  ++statement_;
  if (++steps_ > options_.max_steps || is_late()) {
    fail(looping_ != nullptr ? looping_ : inst.node,
         fmt::format("the program did not end within {}{}",
                     steps_ > options_.max_steps
                         ? fmt::format("{} steps", options_.max_steps)
                         : fmt::format("{:.3g} seconds", options_.max_seconds),
                     looping_ != nullptr ? ": this loop went on" : ""));
    return;
  }
  enter(warp);
  ++warp.at;
  switch (inst.what) {
  case Do::kBind:
    each_lane(warp, warp.active, [&](int) {
      inst.value->eval(*frame_, &frame_->vars[static_cast<size_t>(inst.slot)]);
    });
    break;
  case Do::kStore:
    store(warp, inst);
    break;
  case Do::kEvaluate:
    each_lane(warp, warp.active, [&](int) {
      std::vector<Slot> out(static_cast<size_t>(inst.value->count()));
      inst.value->eval(*frame_, out.data());
    });
    break;
  case Do::kAlloc:
    alloc(warp, inst);
    break;
  case Do::kIf: {
    const uint32_t yes = holds(warp, warp.active, *inst.value);
    Mask mask;
    mask.restore = warp.active;
    mask.other = warp.active & ~yes;
    warp.stack.push_back(std::move(mask));
    warp.active = yes;
    if (yes == 0)
      warp.at = inst.target;
    break;
  }
  case Do::kElse:
    warp.active = warp.stack.back().other & ~gone(warp);
    if (warp.active == 0)
      warp.at = inst.target;
    break;
  case Do::kEndIf: {
    const uint32_t restore = warp.stack.back().restore;
    warp.stack.pop_back();
    warp.active = restore & ~gone(warp);
    break;
  }
  case Do::kForBegin: {
    Mask mask;
    mask.is_loop = true;
    mask.restore = warp.active;
    mask.min.assign(kLanes, 0);
    mask.extent.assign(kLanes, 0);
    each_lane(warp, warp.active, [&](int lane) {
      mask.min[static_cast<size_t>(lane)] = inst.codes[0]->scalar(*frame_).i;
      mask.extent[static_cast<size_t>(lane)] = inst.codes[1]->scalar(*frame_).i;
    });
    warp.stack.push_back(std::move(mask));
    break;
  }
  case Do::kForTest: {
    looping_ = inst.node;
    Mask& mask = warp.stack.back();
    mask.continued = 0;
    uint32_t live = mask.restore & ~mask.broken & ~warp.returned;
    for (uint32_t rest = live; rest != 0; rest &= rest - 1) {
      const auto lane = static_cast<size_t>(std::countr_zero(rest));
      if (mask.iteration < mask.extent[lane])
        warp.vars[lane][static_cast<size_t>(inst.slot)].i = mask.min[lane] + mask.iteration;
      else
        live &= ~(1u << lane);
    }
    ++mask.iteration;
    warp.active = live;
    if (live == 0)
      warp.at = inst.target;
    break;
  }
  case Do::kWhileBegin: {
    Mask mask;
    mask.is_loop = true;
    mask.restore = warp.active;
    warp.stack.push_back(std::move(mask));
    break;
  }
  case Do::kWhileTest: {
    looping_ = inst.node;
    Mask& mask = warp.stack.back();
    mask.continued = 0;
    const uint32_t live = mask.restore & ~mask.broken & ~warp.returned;
    const uint32_t yes = holds(warp, live, *inst.value);
    warp.stack.back().broken |= live & ~yes;
    warp.active = yes;
    if (yes == 0)
      warp.at = inst.target;
    break;
  }
  case Do::kLoopNext:
    // The condition of a while is evaluated by the lanes that come back.
    warp.active = warp.stack.back().restore & ~warp.stack.back().broken & ~warp.returned;
    warp.at = inst.target;
    break;
  case Do::kLoopEnd: {
    const uint32_t restore = warp.stack.back().restore;
    warp.stack.pop_back();
    warp.active = restore & ~gone(warp);
    break;
  }
  case Do::kBreak:
    innermost_loop(warp)->broken |= warp.active;
    warp.active = 0;
    break;
  case Do::kContinue:
    innermost_loop(warp)->continued |= warp.active;
    warp.active = 0;
    break;
  case Do::kReturn:
    warp.returned |= warp.active;
    warp.active = 0;
    break;
  case Do::kAssert: {
    const uint32_t yes = holds(warp, warp.active, *inst.value);
    if (!failed() && yes != warp.active)
      fail(inst.node,
           fmt::format("assertion failed in {}: {}",
                       thread(warp.number, std::countr_zero(warp.active & ~yes)), inst.text));
    break;
  }
  case Do::kThread:
    each_lane(warp, warp.active, [&](int lane) {
      const int64_t number = int64_t{warp.in_block} * kLanes + lane;
      const int64_t* extents = inst.axis < 3 ? grid_ : threads_;
      const int64_t flat = inst.axis < 3 ? block_ : number;
      const int axis = inst.axis % 3;
      const int64_t value = axis == 0   ? flat % extents[0]
                            : axis == 1 ? flat / extents[0] % extents[1]
                                        : flat / extents[0] / extents[1];
      frame_->vars[static_cast<size_t>(inst.slot)].i = inst.codes[0]->scalar(*frame_).i + value;
    });
    break;
  case Do::kShuffle:
    shuffle(warp, inst);
    break;
  case Do::kIntrinsic:
    intrinsic(warp, inst);
    break;
  case Do::kLaunch:
    launch(warp, program_.kernels[inst.target]);
    break;
  case Do::kEnd:
    warp.wait = Wait::kDone;
    break;
  }
  if (!requests_.empty())
    count_requests();
}

bool Machine::is_late() const {
  constexpr int64_t kStepsBetweenLooks = 1024;
  return steps_ % kStepsBetweenLooks == 0 &&
         std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count() >
             options_.max_seconds;
}

void Machine::store(Warp& warp, Instruction& inst) {
  // All lanes read before any writes: they run in lock step.
  struct Write {
    int lane;
    int64_t element;
    Slot value;
  };
  std::vector<Write> writes;
  const BufferInfo& info = program_.buffers[static_cast<size_t>(inst.buffer)];
  each_lane(warp, warp.active, [&](int lane) {
    int lanes = inst.value->count();
    for (const CodePtr& index : inst.codes)
      lanes = std::max(lanes, index->count());
    std::vector<Slot> values(static_cast<size_t>(inst.value->count()));
    inst.value->eval(*frame_, values.data());
    std::vector<std::vector<Slot>> indices(inst.codes.size());
    for (size_t d = 0; d < inst.codes.size(); ++d) {
      indices[d].resize(static_cast<size_t>(inst.codes[d]->count()));
      inst.codes[d]->eval(*frame_, indices[d].data());
    }
    std::vector<Slot> mask;
    if (inst.predicate) {
      mask.resize(static_cast<size_t>(inst.predicate->count()));
      inst.predicate->eval(*frame_, mask.data());
    }
    std::vector<int64_t> at(indices.size());
    for (int l = 0; l < lanes && !failed(); ++l) {
      const auto pick = [&](const std::vector<Slot>& list) {
        return list[list.size() == 1 ? 0 : static_cast<size_t>(l)];
      };
      if (!mask.empty() && pick(mask).i == 0)
        continue;
      for (size_t d = 0; d < at.size(); ++d)
        at[d] = pick(indices[d]).i;
      const int64_t element = locate(inst.buffer, at, inst.node);
      if (element >= 0)
        writes.push_back({lane, element, pick(values)});
    }
  });
  for (const Write& write : writes) {
    if (failed())
      return;
    lane_ = write.lane;
    if (info.where == Where::kLocal) {
      store_local(inst.buffer, write.lane, write.element, write.value, inst.node);
      continue;
    }
    note_access(inst.buffer, write.element, inst.node, true);
    const DataType dtype = info.buffer->dtype;
    const bool same =
        bits_of(dtype, write.value) == bits_of(dtype, get(inst.buffer, write.element));
    if (check_write(inst.buffer, write.element, actor(inst.node), same))
      put(inst.buffer, write.element, write.value);
  }
}

void Machine::alloc(Warp& warp, Instruction& inst) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(inst.buffer)];
  if (info.where == Where::kLocal) {
    each_lane(warp, warp.active, [&](int lane) {
      LocalMemory& memory = local(inst.buffer, lane);
      std::fill(memory.written.begin(), memory.written.end(), uint8_t{0});
    });
    return;
  }
  GlobalMemory& memory = globals_[static_cast<size_t>(inst.buffer)];
  memory = GlobalMemory();
  int64_t count = 1;
  each_lane(warp, 1, [&](int) {
    for (const CodePtr& extent : info.shape_codes)
      memory.shape.push_back(std::max<int64_t>(extent->scalar(*frame_).i, 0));
  });
  memory.strides.resize(memory.shape.size());
  for (size_t d = memory.shape.size(); d-- > 0; count *= memory.shape[d])
    memory.strides[d] = count;
  memory.count = count;
  memory.owned.assign(static_cast<size_t>(count * info.buffer->dtype.element_bytes()), kPoison);
  memory.data = memory.owned.data();
  memory.shadow.resize(static_cast<size_t>(count));
}

void Machine::shuffle(Warp& warp, Instruction& inst) {
  if (warp.active == 0 ||
      !arrives_whole(warp, inst.node,
                     "divergent T." + inst.operation + ", which is of all lanes of a warp"))
    return;
  std::vector<Slot> values(kLanes);
  std::vector<int64_t> other(kLanes);
  each_lane(warp, warp.active, [&](int lane) {
    values[static_cast<size_t>(lane)] = inst.codes[0]->scalar(*frame_);
    other[static_cast<size_t>(lane)] = inst.codes[1]->scalar(*frame_).i;
  });
  for (uint32_t rest = warp.active; rest != 0 && !failed(); rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const int64_t n = other[static_cast<size_t>(lane)];
    int64_t from = inst.operation == "shfl_xor_sync"    ? lane ^ n
                   : inst.operation == "shfl_up_sync"   ? lane - n
                   : inst.operation == "shfl_down_sync" ? lane + n
                                                        : ((n % kLanes) + kLanes) % kLanes;
    if (from < 0 || from >= kLanes)
      from = lane; // beyond the ends a lane keeps its own
    if ((warp.active >> from & 1) == 0) {
      fail(inst.node, fmt::format("{} takes a value from lane {}, which takes no part in the "
                                  "shuffle; all lanes must reach it",
                                  thread(warp.number, lane), from));
      return;
    }
    warp.vars[static_cast<size_t>(lane)][static_cast<size_t>(inst.slot)] =
        values[static_cast<size_t>(from)];
  }
  // The lanes met, and yet it orders no memory: that is sync_warp's.
}

void Machine::launch(Warp& host, Kernel& kernel) {
  lane_ = 0;
  for (int i = 0; i < 6; ++i) {
    int64_t extent = 1;
    if (kernel.extents[i])
      each_lane(host, 1, [&](int) { extent = kernel.extents[i]->scalar(*frame_).i; });
    (i < 3 ? grid_[i] : threads_[i - 3]) = extent;
  }
  if (failed())
    return;
  const int64_t blocks = grid_[0] * grid_[1] * grid_[2];
  const int64_t threads = threads_[0] * threads_[1] * threads_[2];
  if (threads < 1 || threads > 1024) {
    fail(kernel.node, fmt::format("a block of {} threads: it may have 1 to 1024", threads));
    return;
  }
  report_.shared_bytes = std::max(report_.shared_bytes, kernel.shared_bytes);
  granule_ = kernel.granule;
  int64_t together = 1;
  for (int d = 0; d < 3; ++d) {
    together *= kernel.cluster[d];
    if (grid_[d] % kernel.cluster[d] != 0) {
      fail(kernel.node, fmt::format("a grid of {} blocks does not divide into clusters of {}",
                                    grid_[d], kernel.cluster[d]));
      return;
    }
  }
  const int64_t clusters = blocks / together;
  std::vector<int64_t> order;
  for (int64_t c = 0; c < clusters; ++c)
    order.push_back(options_.order == ParallelOrder::kReverse ? clusters - 1 - c : c);
  if (options_.order == ParallelOrder::kRandom)
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(random_.below(static_cast<int64_t>(i)))]);
  if (options_.sample > 0 && options_.sample < clusters * together) {
    // The same ones whatever the order of this run is.
    Random chosen(options_.sample_seed);
    std::vector<int64_t> all(static_cast<size_t>(clusters));
    std::iota(all.begin(), all.end(), 0);
    const auto wanted = static_cast<size_t>((options_.sample + together - 1) / together);
    for (size_t i = 0; i < wanted; ++i)
      std::swap(all[i],
                all[i + static_cast<size_t>(chosen.below(static_cast<int64_t>(all.size() - i)))]);
    const std::set<int64_t> sample(all.begin(), all.begin() + static_cast<int64_t>(wanted));
    std::erase_if(order, [&](int64_t c) { return !sample.contains(c); });
  }
  report_.grid_blocks += blocks;
  for (const int64_t c : order) {
    run_cluster(host, kernel, blocks_of_cluster(kernel, c), threads);
    if (failed())
      return;
    report_.blocks += together;
  }
  block_ = -1;
  here_ = nullptr;
  warp_ = &host;
  // What a kernel wrote is there for the next one.
  for (size_t i = 0; i < globals_.size(); ++i) {
    if (options_.sample > 0 && program_.buffers[i].parameter)
      note_written(i);
    globals_[i].shadow.settle();
  }
}

void Machine::note_written(size_t buffer) {
  auto& ranges = report_.written[program_.buffers[buffer].buffer->name];
  globals_[buffer].shadow.each_touched([&](size_t i, const Cell& cell) {
    const auto element = static_cast<int64_t>(i);
    if (cell.writer == kNobody)
      return;
    if (ranges.empty() || ranges.back().second != element)
      ranges.emplace_back(element, element);
    ranges.back().second = element + 1;
  });
}

std::vector<int64_t> Machine::blocks_of_cluster(const Kernel& kernel, int64_t cluster) const {
  const int64_t x = grid_[0] / kernel.cluster[0];
  const int64_t y = grid_[1] / kernel.cluster[1];
  const int64_t corner[] = {cluster % x * kernel.cluster[0], cluster / x % y * kernel.cluster[1],
                            cluster / x / y * kernel.cluster[2]};
  std::vector<int64_t> blocks;
  for (int64_t k = 0; k < kernel.cluster[2]; ++k)
    for (int64_t j = 0; j < kernel.cluster[1]; ++j)
      for (int64_t i = 0; i < kernel.cluster[0]; ++i)
        blocks.push_back(corner[0] + i + grid_[0] * (corner[1] + j + grid_[1] * (corner[2] + k)));
  return blocks;
}

void Machine::enter(Warp& warp) {
  warp_ = &warp;
  if (block_ < 0)
    return;
  here_ = &blocks_[warp.block];
  block_ = here_->number;
}

void Machine::run_cluster(Warp& host, Kernel& kernel, const std::vector<int64_t>& numbers,
                          int64_t threads) {
  warps_.clear();
  mbarriers_.clear();
  pending_.clear();
  reached_.clear();
  cluster_barrier_ = Barrier();
  running_ = numbers.size();
  if (blocks_.size() < running_)
    blocks_.resize(running_);
  const auto cells = static_cast<size_t>((kernel.shared_bytes + granule_ - 1) / granule_);
  for (size_t i = 0; i < running_; ++i) {
    Block& block = blocks_[i];
    block.number = numbers[i];
    block.unwritten.clear();
    block.barriers.clear();
    block.mbarrier_at.clear();
    block.arena.assign(static_cast<size_t>(kernel.shared_bytes), kPoison);
    if (block.arena_shadow.size() != cells)
      block.arena_shadow.resize(cells);
    block.arena_shadow.reset();
  }
  here_ = blocks_.data();
  block_ = here_->number;
  block_warps_ = static_cast<int>((threads + kLanes - 1) / kLanes);
  warp_count_ = block_warps_ * static_cast<int>(running_);
  next_component_ = warp_count_;
  for (int w = 0; w < warp_count_; ++w) {
    Warp& warp = warps_.emplace_back();
    warp.number = w;
    warp.in_block = w % block_warps_;
    warp.block = static_cast<size_t>(w / block_warps_);
    const int64_t lanes = std::min<int64_t>(kLanes, threads - int64_t{warp.in_block} * kLanes);
    warp.all = warp.active = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    warp.vars.assign(kLanes, host.vars[0]);
    warp.locals.assign(kLanes, std::vector<LocalMemory>(program_.buffers.size()));
    warp.knows.set(static_cast<size_t>(w), 1);
    warp.copies.component = static_cast<int16_t>(next_component_++);
    warp.stores.component = static_cast<int16_t>(next_component_++);
    warp.products.component = static_cast<int16_t>(next_component_++);
  }
  while (!failed()) {
    std::vector<int> ready;
    bool all_done = true;
    for (Warp& warp : warps_) {
      all_done &= warp.wait == Wait::kDone;
      if (warp.wait == Wait::kPhase && phases_passed(warp)) {
        enter(warp);
        acquire_phases(warp);
        warp.wait = Wait::kNothing;
      }
      if (warp.wait == Wait::kNothing)
        ready.push_back(warp.number);
    }
    if (all_done) {
      for (size_t i = 0; i < running_ && !failed(); ++i) {
        here_ = &blocks_[i];
        block_ = here_->number;
        fail_unwritten();
      }
      check_reached();
      break;
    }
    if (options_.timing == AsyncTiming::kRandom && !pending_.empty() && random_.below(2) == 0) {
      complete(random_.below(static_cast<int64_t>(pending_.size())));
      continue; // a phase may have passed
    }
    if (ready.empty()) {
      if (release_barriers() || complete_one())
        continue;
      deadlock();
      return;
    }
    int chosen = ready.front();
    int64_t quantum = int64_t{1} << 40;
    if (options_.order == ParallelOrder::kReverse)
      chosen = ready.back();
    if (options_.order == ParallelOrder::kRandom) {
      chosen = ready[static_cast<size_t>(random_.below(static_cast<int64_t>(ready.size())))];
      quantum = random_.between(1, 24);
    }
    Warp& warp = warps_[static_cast<size_t>(chosen)];
    for (; quantum > 0 && warp.wait == Wait::kNothing && !failed(); --quantum)
      step(warp, kernel.code);
    if (warp.wait == Wait::kDone)
      finish(warp);
  }
}

void Machine::check_reached() {
  for (const auto& [key, last] : reached_) {
    const auto& [block, component] = key;
    bool known = false;
    for (const Warp& warp : warps_)
      known |= warp.block == block && warp.knows.at(static_cast<size_t>(component)) >= last.step;
    if (!known && !failed())
      fail(last.where,
           fmt::format("this reaches shared memory of block {} of the cluster, which may have "
                       "ended; T.cluster_sync() at the end of the kernel keeps it",
                       triple(blocks_[block].number, grid_)));
  }
}

void Machine::note_reached(size_t block, int16_t component, uint32_t step, const Node* where) {
  if (block == warp_->block)
    return;
  Reached& last = reached_[{block, component}];
  if (step >= last.step)
    last = {step, where};
}

void Machine::finish(Warp& warp) {
  enter(warp);
  if (!warp.stores.filling.empty() || !warp.stores.groups.empty()) {
    const Node* where = !warp.stores.groups.empty()
                            ? warp.stores.groups.front().second.front().where
                            : warp.stores.filling.front().where;
    fail(where, "the kernel ends while this store may still read shared memory; end with "
                "T.tma_store_arrive() and T.tma_store_wait(0)");
  }
}

} // namespace temper::tir::emulator
