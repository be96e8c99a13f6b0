// Every other call by its name.
#include "ir/tir/emulator/machine.h"

namespace temper::tir::emulator {

void Machine::print(const Instruction& inst) {
  const Call& call = *as_print(Stmt(static_cast<const StmtNode*>(inst.node)));
  const std::string line = print_line(call, [&](size_t i) -> std::variant<int64_t, double> {
    const Slot value = inst.codes[i]->scalar(*frame_);
    if (call.args[i + 1]->dtype.is_floating())
      return value.d;
    return value.i;
  });
  if (!failed())
    write_line(options_.print, line);
}

void Machine::intrinsic(Warp& warp, Instruction& inst) {
  if (warp.active == 0)
    return;
  const std::string& op = inst.operation;
  const uint32_t one = warp.active & -warp.active;
  const auto number = [&] {
    int64_t value = 0;
    each_lane(warp, one, [&](int) { value = inst.codes[0]->scalar(*frame_).i; });
    return value;
  };
  if (op == "sync_threads") {
    arrive_at_barrier(warp, inst);
  } else if (op == "cluster_sync") {
    arrive_at_cluster(warp, inst);
  } else if (op == kPrint) {
    each_lane(warp, warp.active, [&](int) { print(inst); });
  } else if (op == "sync_warp") {
    if (arrives_whole(warp, inst.node, "divergent T.sync_warp, which is of all lanes of a warp"))
      ++warp.sync;
  } else if (op.starts_with("atomic_")) {
    atomic(warp, inst);
  } else if (op == "mbarrier_init") {
    each_lane(warp, warp.active, [&](int) {
      init_mbarrier(inst.addresses[0], inst.codes[0]->scalar(*frame_).i, inst.node);
    });
  } else if (op == "mbarrier_arrive" || op == "mbarrier_expect_tx" ||
             op == "mbarrier_arrive_expect_tx") {
    each_lane(warp, warp.active, [&](int) {
      const int index = mbarrier(inst.addresses[0], inst.node);
      const int64_t bytes = inst.codes.empty() ? 0 : inst.codes[0]->scalar(*frame_).i;
      if (use_mbarrier(inst.addresses[0], index, inst.node))
        arrive(warp, index, bytes, op != "mbarrier_expect_tx", inst.node);
    });
  } else if (op == "mbarrier_arrive_cluster") {
    each_lane(warp, warp.active, [&](int) {
      const int64_t rank = inst.codes[0]->scalar(*frame_).i;
      if (failed())
        return;
      if (rank < 0 || rank >= static_cast<int64_t>(running_)) {
        fail(inst.node,
             fmt::format("there is no block of rank {} in the cluster: it has {}", rank, running_));
        return;
      }
      const auto target = static_cast<size_t>(rank);
      const Elsewhere there(*this, target);
      const int index = mbarrier(inst.addresses[0], inst.node);
      if (!use_mbarrier(inst.addresses[0], index, inst.node))
        return;
      note_reached(target, static_cast<int16_t>(warp.number),
                   warp.knows.at(static_cast<size_t>(warp.number)), inst.node);
      arrive(warp, index, 0, true, inst.node);
    });
  } else if (op == "fence_mbarrier_init") {
    // Barriers are known to others once these have met.
  } else if (op == "mbarrier_wait_parity") {
    each_lane(warp, warp.active, [&](int) {
      const int index = mbarrier(inst.addresses[0], inst.node);
      const int64_t parity = inst.codes[0]->scalar(*frame_).i;
      if (!use_mbarrier(inst.addresses[0], index, inst.node))
        return;
      if (parity != 0 && parity != 1) {
        fail(inst.node, fmt::format("a phase has parity 0 or 1, not {}", parity));
        return;
      }
      const std::pair<int, int> phase(index, static_cast<int>(parity));
      if (warp.wait_phases.empty() || warp.wait_phases.back() != phase)
        warp.wait_phases.push_back(phase);
    });
    warp.wait = Wait::kPhase;
    warp.wait_where = inst.node;
  } else if (op == "fence_proxy_async") {
    warp.fenced.join(warp.knows);
    const auto own = static_cast<size_t>(warp.number);
    warp.knows.set(own, warp.knows.at(own) + 1);
  } else if (op == "setmaxnreg") {
    const int64_t registers = number();
    if (registers < 24 || registers > 256 || registers % 8 != 0)
      fail(inst.node,
           fmt::format("T.setmaxnreg takes multiples of 8 from 24 to 256, not {}", registers));
    else if (warp.active != (warp.all & ~warp.returned))
      fail(inst.node, "T.setmaxnreg is for whole warpgroups; only some lanes of a warp reach it");
  } else if (op == "ptx_cp_async") {
    cp_async(warp, inst);
  } else if (op == "copy_vector") {
    copy_vector(warp, inst);
  } else if (op == "ptx_commit_group") {
    commit(warp.copies);
  } else if (op == "ptx_wait_group") {
    wait_groups(warp, warp.copies, number());
  } else if (op == "tma_load" || op == "tma_load_multicast") {
    tma_load(warp, inst);
  } else if (op == "tma_store") {
    tma_store(warp, inst);
  } else if (op == "tma_store_arrive") {
    commit(warp.stores);
  } else if (op == "tma_store_wait") {
    wait_groups(warp, warp.stores, number());
  } else if (op == "ptx_mma") {
    mma(warp, inst);
  } else if (op == "ptx_ldmatrix") {
    ldmatrix(warp, inst);
  } else if (op == "ptx_stmatrix") {
    stmatrix(warp, inst);
  } else if (op == "ptx_wgmma_ss" || op == "ptx_wgmma_rs") {
    wgmma(warp, inst);
  } else if (op == "warpgroup_arrive") {
    warp.arrived_fence = true;
  } else if (op == "warpgroup_commit_batch") {
    commit(warp.products);
    warp.arrived_fence = false;
  } else if (op == "warpgroup_wait") {
    wait_groups(warp, warp.products, number());
  } else {
    fail(inst.node, "the emulator cannot run T." + op);
  }
}

} // namespace temper::tir::emulator
