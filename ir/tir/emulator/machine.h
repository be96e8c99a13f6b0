#pragma once

// The machine: host statements, blocks, warps, barriers, asynchronous operations.
//
// Time is that of vector clocks (shadow.h), not of the run: an access is checked against what its
// warp has been told by barriers, whatever the order was in which warps happened to run here. The
// bytes of asynchronous operations move early or late all the same, so that a program whose checks
// somehow pass still computes with poison.
#include "ir/tir/emulator/emulate.h"

#include "ir/narrow.h"
#include "ir/support/random.h"
#include "ir/support/text.h"
#include "ir/tir/emulator/program.h"
#include "ir/tir/emulator/shadow.h"
#include "ir/tir/fragments.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/printing.h"

#include <fmt/format.h>

#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <numeric>
#include <set>

namespace temper::tir::emulator {

constexpr int kLanes = 32;
constexpr std::byte kPoison{0xff};

using interpreter::bits_of;
using interpreter::from_bits;

/// Memory of a buffer in global memory.
struct GlobalMemory {
  std::byte* data = nullptr;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  int64_t count = 0;
  bool initialised = true;
  Shadow shadow;
  std::vector<std::byte> owned;
};

/// A thread's own memory of one buffer.
struct LocalMemory {
  std::vector<uint64_t> bits;
  std::vector<uint8_t> written;
  /// An asynchronous operation of this group writes the register, or reads it; 0: none.
  std::vector<uint32_t> pending;
  std::vector<uint32_t> reading;
};

struct Mask {
  bool is_loop = false;
  uint32_t restore = 0;   ///< lanes that entered
  uint32_t other = 0;     ///< of an if: lanes of the else side
  uint32_t broken = 0;    ///< of a loop: lanes that left
  uint32_t continued = 0; ///< of a loop: lanes that wait for the next iteration
  int64_t iteration = 0;
  std::vector<int64_t> min;
  std::vector<int64_t> extent;
};

struct Operation {
  std::function<void()> perform;
  size_t block = 0; ///< of the cluster, whose shared memory it works on
  int barrier = -1; ///< mbarrier that gets the bytes
  int64_t bytes = 0;
  const Node* where = nullptr;
};

/// Asynchronous operations that complete in groups, in order.
struct Queue {
  int16_t component = 0;
  uint32_t open = 1; ///< number of the group that is being filled
  std::deque<std::pair<uint32_t, std::vector<Operation>>> groups; ///< committed, not yet waited for
  std::vector<Operation> filling;
  bool used = false;
};

enum class Wait : uint8_t { kNothing, kBarrier, kCluster, kPhase, kDone };

struct Warp {
  int number = 0;   ///< among the cluster's
  int in_block = 0; ///< among its block's
  size_t block = 0; ///< which one of the cluster
  size_t at = 0;
  uint32_t all = 0; ///< lanes that exist
  uint32_t active = 0;
  uint32_t returned = 0;
  std::vector<Mask> stack;
  std::vector<std::vector<Slot>> vars;          ///< per lane
  std::vector<std::vector<LocalMemory>> locals; ///< per lane, per buffer
  Clock knows;
  Clock fenced;
  uint32_t sync = 1;
  Wait wait = Wait::kNothing;
  int64_t wait_barrier = 0;                     ///< id of the block's barrier
  std::vector<std::pair<int, int>> wait_phases; ///< (mbarrier, parity)
  const Node* wait_where = nullptr;
  /// By mbarrier: its phase when this warp last passed a wait for it, and what is known of a wait
  /// that passed although no phase had come to its end since.
  std::map<int, uint32_t> passed_phase;
  std::map<int, std::string> at_once;
  Queue copies;               ///< cp.async
  Queue stores;               ///< bulk stores
  Queue products;             ///< wgmma
  bool arrived_fence = false; ///< warpgroup_arrive since the last product's group
};

struct Barrier {
  int64_t expected = 0; ///< threads; 0: all
  int64_t arrived = 0;
  std::vector<int> warps;
  Clock knows;
  Clock fenced;
  const Node* where = nullptr;
};

struct MBarrier {
  std::string name;
  int64_t expected = 0; ///< arrivals of a phase
  int64_t pending = 0;  ///< arrivals to come
  int64_t bytes = 0;    ///< to come; negative when they came before they were announced
  uint32_t phase = 0;   ///< number of the current phase
  int16_t component = 0;
  Clock arriving; ///< what arrivals of the current phase know
  Clock arriving_fenced;
  Clock passed; ///< what completed phases hand on
  Clock passed_fenced;
};

/// A block that runs, alone or side by side with the others of its cluster.
struct Block {
  int64_t number = 0; ///< in the grid
  std::string unwritten;
  const Node* unwritten_where = nullptr;
  std::map<int64_t, Barrier> barriers;
  std::map<std::pair<int, int64_t>, int> mbarrier_at; ///< (buffer, element)
  std::vector<std::byte> arena;
  Shadow arena_shadow;
};

inline std::string counted(int64_t n, const char* word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

inline std::string line_of(const Node* node) {
  return node == nullptr || node->span.line == 0 ? std::string("elsewhere")
                                                 : "line " + std::to_string(node->span.line);
}

class Machine final : public Memory {
public:
  explicit Machine(const EmulateOptions& options) : options_(options), random_(options.seed) {}

  Result<EmulateReport> run(const PrimFunc& function, std::span<const InterpretArgument> arguments);

  bool float_atomics() const { return program_.float_atomics; }

  // Loads, from inside expressions.

  Slot load(int buffer, std::span<const int64_t> indices, const Node* where) override;

private:
  // Errors.

  bool failed() const { return frame_->failed(); }

  /// The first read of shared memory that was never written, when nothing better was found.
  bool fail_unwritten();

  std::string position() const;
  static std::string triple(int64_t number, const int64_t* extents);
  /// `warp`: its number in the cluster.
  std::string thread(int warp, int lane) const;
  void fail(const Node* where, const std::string& message) {
    frame_->fail(where, message + position());
  }

  // Arguments: scalars and symbolic dimensions, then buffers.

  Result<void> bind(const PrimFunc& function, std::span<const InterpretArgument> arguments);

  Result<int64_t> host_value(const Expr& expr);

  // Memory.

  /// The element's place in its buffer's memory; -1 after an error.
  int64_t locate(int buffer, std::span<const int64_t> indices, const Node* where,
                 bool may_be_outside = false);

  const LayoutMap& layout_map(int buffer);

  std::byte* address(int buffer, int64_t element);

  Slot get(int buffer, int64_t element);
  void put(int buffer, int64_t element, Slot value);

  Slot load_local(int buffer, int lane, int64_t element, const Node* where);
  void store_local(int buffer, int lane, int64_t element, Slot value, const Node* where);
  bool check_pending(LocalMemory& memory, int buffer, int64_t element, const Node* where);
  bool check_reading(LocalMemory& memory, int buffer, int64_t element, const Node* where);
  LocalMemory& local(int buffer, int lane);

  // Races.

  Actor actor(const Node* where);

  template <typename F> bool each_cell(int buffer, int64_t element, F&& f) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    if (info.where == Where::kGlobal) {
      Shadow& shadow = globals_[static_cast<size_t>(buffer)].shadow;
      return shadow.empty() || block_ < 0 ? note_host(shadow, element)
                                          : f(shadow, static_cast<size_t>(element));
    }
    const int64_t bytes = info.buffer->dtype.element_bytes();
    const int64_t begin = (info.arena + element * bytes) / granule_;
    for (int64_t i = 0; i < std::max<int64_t>(bytes / granule_, 1); ++i)
      if (!f(here_->arena_shadow, static_cast<size_t>(begin + i)))
        return false;
    return true;
  }
  /// Outside of kernels everything runs in order.
  bool note_host(Shadow& shadow, int64_t element);

  bool check_read(int buffer, int64_t element, const Actor& actor);
  bool check_write(int buffer, int64_t element, const Actor& actor, bool same_value);

  std::string element_name(int buffer, int64_t element);

  /// Reports the conflict; true when the run goes on all the same.
  bool explain(const Conflict& found, int buffer, int64_t element, const Actor& actor,
               bool is_write);

  // Bank conflicts: addresses of one statement of a warp, by access.

  void note_access(int buffer, int64_t element, const Node* where, bool is_store);
  void count_requests();

  // Evaluating for lanes.

  template <typename F> void each_lane(Warp& warp, uint32_t mask, F&& f) {
    for (uint32_t rest = mask; rest != 0 && !failed(); rest &= rest - 1) {
      lane_ = std::countr_zero(rest);
      std::swap(frame_->vars, warp.vars[static_cast<size_t>(lane_)]);
      f(lane_);
      std::swap(frame_->vars, warp.vars[static_cast<size_t>(lane_)]);
    }
  }

  /// Lanes of `mask` for which the condition holds.
  uint32_t holds(Warp& warp, uint32_t mask, interpreter::Code& condition);

  static Mask* innermost_loop(Warp& warp);
  static uint32_t gone(Warp& warp);

  /// Runs one instruction of the warp, which does not wait.
  void step(Warp& warp, std::vector<Instruction>& code);

  void store(Warp& warp, Instruction& inst);

  void alloc(Warp& warp, Instruction& inst);

  void shuffle(Warp& warp, Instruction& inst);

  // Launching.

  void launch(Warp& host, Kernel& kernel);

  /// Which elements of a parameter the kernel wrote.
  void note_written(size_t buffer);

  /// Numbers in the grid of the blocks of a cluster, by rank.
  std::vector<int64_t> blocks_of_cluster(const Kernel& kernel, int64_t cluster) const;

  /// The code at hand is the warp's, and shared memory that of its block.
  void enter(Warp& warp);
  /// Shared memory is that of another block of the cluster, for a while.
  class Elsewhere {
  public:
    Elsewhere(Machine& machine, size_t block) : machine_(machine), here_(machine.here_) {
      machine.here_ = &machine.blocks_[block];
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;
    ~Elsewhere() { machine_.here_ = here_; }

  private:
    Machine& machine_;
    Block* here_;
  };

  void run_cluster(Warp& host, Kernel& kernel, const std::vector<int64_t>& numbers,
                   int64_t threads);

  /// A block may end once its warps have; what other blocks do to its memory must be known to one
  /// of them by then.
  void check_reached();
  /// The warp at hand does something to memory of another block, as `component`.
  void note_reached(size_t block, int16_t component, uint32_t step, const Node* where);

  /// A warp that ends must not leave operations behind that use the block's memory.
  void finish(Warp& warp);

  void deadlock();

  // The block's barriers.

  int64_t expected_threads(const Barrier& barrier, size_t block) const;
  /// Those that have not ended.
  int64_t threads_of_cluster() const;

  /// Whether all threads of the warp that run are at the barrier; an error where they are not.
  /// It runs for longer than it may.
  bool is_late() const;
  /// All of the warp's threads that go on are here, as `what` ("divergent barrier") needs.
  bool arrives_whole(const Warp& warp, const Node* where, const std::string& what);

  void arrive_at_cluster(Warp& warp, Instruction& inst);

  void arrive_at_barrier(Warp& warp, Instruction& inst);

  bool release_barriers();

  /// What the warp does from here on is not covered by what it told others before.
  void released(Warp& warp);

  // mbarriers.

  static bool passed(const MBarrier& barrier, int parity) {
    return static_cast<int>(barrier.phase & 1) != parity;
  }
  bool phases_passed(const Warp& warp) const;
  void acquire_phases(Warp& warp);

  /// Index of the mbarrier at the address, for the current lane; -1 after an error.
  int mbarrier(Address& address, const Node* where);

  void init_mbarrier(Address& address, int64_t arrivals, const Node* where);

  /// The use of an mbarrier reads it: its initialisation must be ordered before.
  bool use_mbarrier(Address& address, int index, const Node* where);

  void arrive(Warp& warp, int index, int64_t bytes, bool arrives, const Node* where);
  void flip(MBarrier& barrier);

  // Asynchronous operations.

  void perform(Operation& operation);
  void complete(int64_t which);
  bool complete_one();

  void issue(Queue& queue, Operation operation);
  static void commit(Queue& queue);
  void wait_groups(Warp& warp, Queue& queue, int64_t left);
  Actor queue_actor(const Queue& queue, const Node* where, bool asynchronous);

  std::vector<int64_t> evaluate(const std::vector<CodePtr>& codes);
  bool expect_scope(const Address& address, Where where, const Node* node, const char* what);
  void poison(int buffer, int64_t element);

  /// ptx_cp_async(S[i], A[j], elements[, predicate]): by each active lane.
  void cp_async(Warp& warp, Instruction& inst);

  /// copy_vector(B[i], A[j], elements): by each active lane, all of which read first.
  void copy_vector(Warp& warp, Instruction& inst);

  bool inside(int buffer, int64_t element, int64_t count, const Node* where);

  /// A box of a global buffer and the elements of shared memory it goes with, row-major.
  struct Box {
    std::vector<int64_t> shared; ///< elements
    std::vector<int64_t> global; ///< elements; -1 outside of the buffer
  };
  bool make_box(Address& shared, Address& global, const std::vector<int64_t>& extents,
                const Node* where, Box& box);

  /// The blocks whose bits are set; empty after an error.
  std::vector<size_t> blocks_of_mask(int64_t mask, const Node* where);

  /// tma_load(S[i], A[j, k], bar[b], extents...); tma_load_multicast(S[i], A[j, k], bar[b], mask,
  /// extents...): the same into each block of the mask, at the barrier of each.
  void tma_load(Warp& warp, Instruction& inst);
  void load_box(Instruction& inst, const Box& box, size_t target);

  /// tma_store(A[j, k], S[i], extents...)
  void tma_store(Warp& warp, Instruction& inst);

  void atomic(Warp& warp, Instruction& inst);

  // Matrix operations: on whole warps.

  bool whole_warp(const Warp& warp, const Instruction& inst);

  /// First register of the operand, the same in all lanes or not.
  std::vector<int64_t> registers(Warp& warp, Address& address, const Node* where);

  /// Which lane has which register of each element: a fragment's layout, tabulated.
  struct FragmentTable {
    std::vector<int> lane;
    std::vector<int64_t> reg;
    std::vector<int64_t> shape;
  };
  const FragmentTable* fragment(const std::string& name, const Node* where);

  std::vector<Slot> gather(const FragmentTable& table, int buffer,
                           const std::vector<int64_t>& first, const Node* where);
  bool inside_local(int buffer, int64_t element, const Node* where);

  static double as_double(DataType dtype, Slot value,
                          MatrixOperand operand = MatrixOperand::kAsStored);
  /// Narrow floats are bytes, tf32 is float32.
  bool operands_are(const MatrixText& text, DataType a, DataType b, const Node* where);
  Slot accumulated(DataType dtype, Slot old, double sum);

  void mma(Warp& warp, Instruction& inst);

  /// ptx_ldmatrix(R[i], S[row, column], matrices, transposed)
  void ldmatrix(Warp& warp, Instruction& inst);
  /// ptx_stmatrix(S[row, column], R[i], matrices)
  void stmatrix(Warp& warp, Instruction& inst);
  void count_ldmatrix(const std::vector<int64_t>& addresses, int buffer, const Node* where);

  /// ptx_wgmma_ss(D[i], A[j, k], B[l, m], "m64n64k16", transpose_b, accumulate): each warp of the
  /// warpgroup does its 16 rows. A: [64, k]; B: [k, n], or [n, k] with transpose_b. ptx_wgmma_rs:
  /// A[j] is the first of its registers.
  void wgmma(Warp& warp, Instruction& inst);
  /// Rows 0 to 15 of one warp.
  const FragmentTable* accumulator_table(int64_t n);

  void print(const Instruction& inst);

  void intrinsic(Warp& warp, Instruction& inst);

  const EmulateOptions& options_;
  InterpretOptions interpret_options_;
  Random random_;
  Program program_;
  std::unique_ptr<Frame> frame_;
  EmulateReport report_;
  int64_t steps_ = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const Node* looping_ = nullptr; ///< the loop whose end was asked for last
  uint64_t statement_ = 0;

  Warp host_;
  std::vector<GlobalMemory> globals_; ///< by buffer
  std::unordered_map<int, std::unique_ptr<LayoutMap>> layouts_;
  std::unordered_map<std::string, FragmentTable> fragments_;
  bool host_writes_ = false;

  // The kernel and the blocks that run.
  int64_t grid_[3] = {1, 1, 1};
  int64_t threads_[3] = {1, 1, 1};
  int64_t block_ = -1; ///< its number in the grid
  int64_t granule_ = 1;
  int block_warps_ = 1;
  int warp_count_ = 1; ///< of the cluster
  int next_component_ = 1;
  std::vector<Block> blocks_; ///< of the cluster, by rank; those behind `running_` wait for use
  size_t running_ = 1;
  Block* here_ = nullptr; ///< whose shared memory is at hand
  Barrier cluster_barrier_;
  struct Reached {
    uint32_t step = 0;
    const Node* where = nullptr;
  };
  /// (block, component): the last that a component of another block does to the block's memory.
  std::map<std::pair<size_t, int16_t>, Reached> reached_;
  std::deque<Warp> warps_;
  std::vector<MBarrier> mbarriers_;
  std::vector<Operation> pending_; ///< that complete on an mbarrier

  // The warp and lane that run.
  Warp* warp_ = nullptr;
  int lane_ = 0;

  struct Request {
    int buffer = 0;
    bool is_store = false;
    std::vector<int64_t> addresses;
    std::vector<int64_t> bytes;
  };
  std::map<const Node*, Request> requests_;
  std::vector<std::pair<const Node*, SharedAccess>> accesses_;
  std::unordered_map<const Node*, size_t> accesses_index_;
};

} // namespace temper::tir::emulator
