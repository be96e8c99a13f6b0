// Waiting: barriers, mbarriers, deadlocks, and operations that complete later.
#include "ir/tir/emulator/machine.h"

namespace temper::tir::emulator {

void Machine::deadlock() {
  std::string text = "deadlock: ";
  const Node* first = nullptr;
  std::vector<std::string> waits;
  for (Warp& warp : warps_) {
    if (warp.wait == Wait::kDone)
      continue;
    if (first == nullptr)
      first = warp.wait_where;
    if (warp.wait == Wait::kCluster) {
      waits.push_back(fmt::format("warp {} waits at {} for its cluster, of which {} of {} threads "
                                  "have come",
                                  warp.number, line_of(warp.wait_where), cluster_barrier_.arrived,
                                  threads_of_cluster()));
      if (waits.size() == 8) {
        waits.emplace_back("and others");
        break;
      }
      continue;
    }
    if (warp.wait == Wait::kBarrier) {
      enter(warp);
      const Barrier& barrier = here_->barriers[warp.wait_barrier];
      for (const Warp& other : warps_)
        if (other.block == warp.block && other.wait == Wait::kDone && barrier.expected == 0 &&
            (other.all & ~other.returned) != 0) {
          fail(warp.wait_where,
               fmt::format("divergent barrier: warp {} waits here, warp {} ended without reaching "
                           "it; all threads of a block must, or none",
                           warp.number, other.number));
          return;
        }
      waits.push_back(fmt::format("warp {} waits at {} for barrier {}, which {} of {} threads "
                                  "reached",
                                  warp.number, line_of(warp.wait_where), warp.wait_barrier,
                                  barrier.arrived, expected_threads(barrier, warp.block)));
      continue;
    }
    for (const auto& [index, parity] : warp.wait_phases) {
      const MBarrier& barrier = mbarriers_[static_cast<size_t>(index)];
      if (passed(barrier, parity))
        continue;
      waits.push_back(fmt::format(
          "warp {} waits at {} for the phase of parity {} of {}, which is in phase {} with {} to "
          "come and {}",
          warp.number, line_of(warp.wait_where), parity, barrier.name, barrier.phase,
          counted(barrier.pending, "arrival"),
          barrier.bytes >= 0 ? counted(barrier.bytes, "byte") + " outstanding"
                             : counted(-barrier.bytes, "byte") + " more than announced"));
      break;
    }
    if (waits.size() == 8) {
      waits.emplace_back("and others");
      break;
    }
  }
  fail(first, text + join(waits, "; "));
}

int64_t Machine::expected_threads(const Barrier& barrier, size_t block) const {
  if (barrier.expected > 0)
    return barrier.expected;
  // Threads that returned early do not count; those that ran past the barrier do.
  int64_t threads = 0;
  for (const Warp& warp : warps_)
    if (warp.block == block)
      threads += std::popcount(warp.all & ~warp.returned);
  return threads;
}

int64_t Machine::threads_of_cluster() const {
  int64_t threads = 0;
  for (const Warp& warp : warps_)
    if (warp.wait != Wait::kDone)
      threads += std::popcount(warp.all & ~warp.returned);
  return threads;
}

namespace {
constexpr const char* kDivergent = "divergent barrier";
}

bool Machine::arrives_whole(const Warp& warp, const Node* where, const std::string& what) {
  const uint32_t alive = warp.all & ~warp.returned;
  if (warp.active == alive)
    return true;
  fail(where, fmt::format("{}: {} of the {} threads of warp {} reach it ({} "
                          "does not); move it out of the condition",
                          what, std::popcount(warp.active), std::popcount(alive), warp.number,
                          thread(warp.number, std::countr_zero(alive & ~warp.active))));
  return false;
}

void Machine::arrive_at_cluster(Warp& warp, Instruction& inst) {
  if (!arrives_whole(warp, inst.node, kDivergent))
    return;
  Barrier& barrier = cluster_barrier_;
  barrier.arrived += std::popcount(warp.active);
  barrier.warps.push_back(warp.number);
  barrier.knows.join(warp.knows);
  barrier.fenced.join(warp.fenced);
  warp.wait = Wait::kCluster;
  warp.wait_where = inst.node;
}

void Machine::arrive_at_barrier(Warp& warp, Instruction& inst) {
  int64_t id = 0;
  int64_t count = 0;
  each_lane(warp, warp.active & -warp.active, [&](int) {
    if (!inst.codes.empty())
      id = inst.codes[0]->scalar(*frame_).i;
    if (inst.codes.size() > 1)
      count = inst.codes[1]->scalar(*frame_).i;
  });
  if (failed())
    return;
  if (!arrives_whole(warp, inst.node, kDivergent))
    return;
  if (id < 0 || id > 15 || count < 0 || count % kLanes != 0) {
    fail(inst.node, fmt::format("barrier {} of {} threads: there are barriers 0 to 15, for whole "
                                "warps",
                                id, count));
    return;
  }
  Barrier& barrier = here_->barriers[id];
  if (barrier.arrived > 0 && barrier.expected != count) {
    fail(inst.node, fmt::format("barrier {} is met for {} threads here and for {} at {}", id, count,
                                barrier.expected, line_of(barrier.where)));
    return;
  }
  if (barrier.arrived > 0 && count == 0 && barrier.where != inst.node) {
    fail(inst.node, fmt::format("divergent barrier: warp {} is here while warp {} waits at another "
                                "one, {}; all threads of a block must meet at the same place",
                                warp.number, barrier.warps.front(), line_of(barrier.where)));
    return;
  }
  barrier.expected = count;
  barrier.where = inst.node;
  barrier.arrived += std::popcount(warp.active);
  barrier.warps.push_back(warp.number);
  barrier.knows.join(warp.knows);
  barrier.fenced.join(warp.fenced);
  warp.wait = Wait::kBarrier;
  warp.wait_barrier = id;
  warp.wait_where = inst.node;
  release_barriers();
}

bool Machine::release_barriers() {
  bool any = false;
  const auto release = [&](Barrier& barrier, int64_t expected) {
    if (barrier.arrived == 0 || barrier.arrived < expected)
      return;
    for (const int number : barrier.warps) {
      Warp& warp = warps_[static_cast<size_t>(number)];
      warp.knows.join(barrier.knows);
      warp.fenced.join(barrier.fenced);
      released(warp);
      warp.wait = Wait::kNothing;
    }
    barrier = Barrier();
    any = true;
  };
  for (size_t i = 0; i < running_; ++i)
    for (auto& [id, barrier] : blocks_[i].barriers)
      release(barrier, expected_threads(barrier, i));
  release(cluster_barrier_, threads_of_cluster());
  return any;
}

void Machine::released(Warp& warp) {
  const auto own = static_cast<size_t>(warp.number);
  warp.knows.set(own, warp.knows.at(own) + 1);
  ++warp.sync;
}

bool Machine::phases_passed(const Warp& warp) const {
  for (const auto& [index, parity] : warp.wait_phases)
    if (!passed(mbarriers_[static_cast<size_t>(index)], parity))
      return false;
  return true;
}

void Machine::acquire_phases(Warp& warp) {
  for (const auto& [index, parity] : warp.wait_phases) {
    const MBarrier& barrier = mbarriers_[static_cast<size_t>(index)];
    warp.knows.join(barrier.passed);
    warp.fenced.join(barrier.passed_fenced);
    const auto [seen, first] = warp.passed_phase.try_emplace(index, 0);
    if (barrier.phase == seen->second)
      warp.at_once[index] =
          fmt::format("the wait for parity {} of {} ({}) passed at once, no phase had ended since "
                      "the one before: is its parity right?",
                      parity, barrier.name, line_of(warp.wait_where));
    else
      warp.at_once.erase(index);
    seen->second = barrier.phase;
  }
  warp.wait_phases.clear();
  ++warp.sync;
}

int Machine::mbarrier(Address& address, const Node* where) {
  std::vector<int64_t> at;
  for (const CodePtr& index : address.indices)
    at.push_back(index->scalar(*frame_).i);
  const BufferInfo& info = program_.buffers[static_cast<size_t>(address.buffer)];
  const int64_t element = failed() ? -1 : locate(address.buffer, at, where);
  if (element < 0)
    return -1;
  const auto found = here_->mbarrier_at.find({address.buffer, element});
  if (found != here_->mbarrier_at.end())
    return found->second;
  fail(where, info.buffer->name + "[" + std::to_string(element) +
                  "] is no mbarrier yet; T.mbarrier_init(" + info.buffer->name +
                  "[...], arrivals) and T.sync_threads() come first");
  return -1;
}

void Machine::init_mbarrier(Address& address, int64_t arrivals, const Node* where) {
  std::vector<int64_t> at;
  for (const CodePtr& index : address.indices)
    at.push_back(index->scalar(*frame_).i);
  const BufferInfo& info = program_.buffers[static_cast<size_t>(address.buffer)];
  if (info.where != Where::kShared || info.buffer->dtype.element_bytes() != 8) {
    fail(where, info.buffer->name + " cannot hold mbarriers: they lie in shared memory, 8 bytes "
                                    "each (uint64)");
    return;
  }
  const int64_t element = failed() ? -1 : locate(address.buffer, at, where);
  if (element < 0)
    return;
  if (arrivals < 1 || arrivals >= 1 << 20) {
    fail(where, fmt::format("an mbarrier of {} arrivals: it takes 1 to 2^20 - 1", arrivals));
    return;
  }
  if (!check_write(address.buffer, element, actor(where), false))
    return;
  const auto [entry, added] = here_->mbarrier_at.try_emplace({address.buffer, element},
                                                             static_cast<int>(mbarriers_.size()));
  if (added)
    mbarriers_.emplace_back();
  MBarrier& barrier = mbarriers_[static_cast<size_t>(entry->second)];
  barrier = MBarrier();
  barrier.name = element_name(address.buffer, element);
  barrier.expected = barrier.pending = arrivals;
  barrier.component = static_cast<int16_t>(next_component_++);
}

bool Machine::use_mbarrier(Address& address, int index, const Node* where) {
  if (index < 0)
    return false;
  for (const auto& [at, found] : here_->mbarrier_at)
    if (found == index && at.first == address.buffer)
      return check_read(address.buffer, at.second, [&] {
        Actor user = actor(where);
        user.atomic = true;
        user.block = here_->number;
        return user;
      }());
  return true;
}

void Machine::arrive(Warp& warp, int index, int64_t bytes, bool arrives, const Node* where) {
  MBarrier& barrier = mbarriers_[static_cast<size_t>(index)];
  barrier.bytes += bytes;
  if (arrives) {
    if (barrier.pending == 0) {
      fail(where, fmt::format("{} gets more arrivals in phase {} than the {} it was initialised "
                              "with",
                              barrier.name, barrier.phase, barrier.expected));
      return;
    }
    --barrier.pending;
    barrier.arriving.join(warp.knows);
    barrier.arriving_fenced.join(warp.fenced);
    const auto own = static_cast<size_t>(warp.number);
    warp.knows.set(own, warp.knows.at(own) + 1);
  }
  flip(barrier);
}

void Machine::flip(MBarrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0)
    return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  barrier.passed.join(barrier.arriving);
  barrier.passed_fenced.join(barrier.arriving_fenced);
  barrier.passed.set(static_cast<size_t>(barrier.component), barrier.phase);
}

void Machine::perform(Operation& operation) {
  const Elsewhere there(*this, operation.block);
  operation.perform();
  if (operation.barrier >= 0) {
    MBarrier& barrier = mbarriers_[static_cast<size_t>(operation.barrier)];
    barrier.bytes -= operation.bytes;
    flip(barrier);
  }
}

void Machine::complete(int64_t which) {
  Operation operation = std::move(pending_[static_cast<size_t>(which)]);
  pending_.erase(pending_.begin() + which);
  perform(operation);
}

bool Machine::complete_one() {
  if (pending_.empty())
    return false;
  complete(0);
  return true;
}

void Machine::issue(Queue& queue, Operation operation) {
  queue.used = true;
  if (options_.timing == AsyncTiming::kEarly ||
      (options_.timing == AsyncTiming::kRandom && random_.below(2) == 0)) {
    operation.perform();
    operation.perform = nullptr;
  }
  queue.filling.push_back(std::move(operation));
}

void Machine::commit(Queue& queue) {
  queue.groups.emplace_back(queue.open++, std::move(queue.filling));
  queue.filling.clear();
}

void Machine::wait_groups(Warp& warp, Queue& queue, int64_t left) {
  while (static_cast<int64_t>(queue.groups.size()) > std::max<int64_t>(left, 0)) {
    for (Operation& operation : queue.groups.front().second)
      if (operation.perform)
        operation.perform();
    warp.knows.set(static_cast<size_t>(queue.component), queue.groups.front().first);
    queue.groups.pop_front();
  }
}

Actor Machine::queue_actor(const Queue& queue, const Node* where, bool asynchronous) {
  Actor result = actor(where);
  result.component = queue.component;
  result.step = queue.open;
  result.asynchronous = asynchronous;
  return result;
}

std::vector<int64_t> Machine::evaluate(const std::vector<CodePtr>& codes) {
  std::vector<int64_t> values;
  for (const CodePtr& code : codes)
    values.push_back(code->scalar(*frame_).i);
  return values;
}

bool Machine::expect_scope(const Address& address, Where where, const Node* node,
                           const char* what) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(address.buffer)];
  if (info.where == where)
    return true;
  fail(node, fmt::format("{} is {} here, which must lie in {} memory", info.buffer->name, what,
                         where == Where::kGlobal   ? "global"
                         : where == Where::kShared ? "shared"
                                                   : "local"));
  return false;
}

void Machine::poison(int buffer, int64_t element) {
  const auto bytes = static_cast<size_t>(
      program_.buffers[static_cast<size_t>(buffer)].buffer->dtype.element_bytes());
  std::memset(address(buffer, element), static_cast<int>(kPoison), bytes);
}

} // namespace temper::tir::emulator
