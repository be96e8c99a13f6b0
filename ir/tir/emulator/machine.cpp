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
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <numeric>
#include <set>

namespace temper::tir {
namespace emulator {
namespace {

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

std::string counted(int64_t n, const char* word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

std::string line_of(const Node* node) {
  return node == nullptr || node->span.line == 0 ? std::string("elsewhere")
                                                 : "line " + std::to_string(node->span.line);
}

class Machine final : public Memory {
public:
  explicit Machine(const EmulateOptions& options) : options_(options), random_(options.seed) {}

  Result<EmulateReport> run(const PrimFunc& function,
                            std::span<const InterpretArgument> arguments) {
    TEMPER_TRY(program, compile(function, *this, options_));
    program_ = std::move(program);
    interpret_options_.max_steps = options_.max_steps;
    frame_ = std::make_unique<Frame>(program_.var_slots, 0, interpret_options_);
    TEMPER_TRY_VOID(bind(function, arguments));
    host_.all = host_.active = 1;
    host_.vars.assign(1, frame_->vars);
    host_.locals.resize(1);
    host_.knows.set(0, 1);
    warp_ = &host_;
    while (!failed() && host_.wait != Wait::kDone)
      step(host_, program_.host);
    if (failed())
      return frame_->take_error();
    report_.steps = steps_;
    for (auto& [node, access] : accesses_)
      report_.shared_accesses.push_back(access);
    return std::move(report_);
  }

  bool float_atomics() const { return program_.float_atomics; }

  // Loads, from inside expressions.

  Slot load(int buffer, std::span<const int64_t> indices, const Node* where) override {
    if (failed())
      return {.i = 0};
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    const int64_t element = locate(buffer, indices, where);
    if (element < 0)
      return {.i = 0};
    if (info.where == Where::kLocal)
      return load_local(buffer, lane_, element, where);
    note_access(buffer, element, where, false);
    if (!check_read(buffer, element, actor(where)))
      return {.i = 0};
    return get(buffer, element);
  }

private:
  // Errors.

  bool failed() const { return frame_->failed(); }

  /// The first read of shared memory that was never written, when nothing better was found.
  bool fail_unwritten() {
    if (block_ < 0 || here_->unwritten.empty())
      return false;
    fail(here_->unwritten_where, here_->unwritten);
    return true;
  }

  std::string position() const {
    if (block_ < 0)
      return {};
    return fmt::format(" (block {})", triple(block_, grid_));
  }
  static std::string triple(int64_t number, const int64_t* extents) {
    const int64_t x = number % extents[0];
    const int64_t y = number / extents[0] % extents[1];
    const int64_t z = number / extents[0] / extents[1];
    if (extents[2] > 1)
      return fmt::format("({}, {}, {})", x, y, z);
    return extents[1] > 1 ? fmt::format("({}, {})", x, y) : fmt::format("{}", x);
  }
  /// `warp`: its number in the cluster.
  std::string thread(int warp, int lane) const {
    const int block_warps = std::max(block_warps_, 1);
    const std::string text =
        "thread " + triple(int64_t{warp % block_warps} * kLanes + lane, threads_);
    const auto block = static_cast<size_t>(warp / block_warps);
    return block_ < 0 || block >= running_ || &blocks_[block] == here_
               ? text
               : text + " of block " + triple(blocks_[block].number, grid_);
  }
  void fail(const Node* where, const std::string& message) {
    frame_->fail(where, message + position());
  }

  // Arguments: scalars and symbolic dimensions, then buffers.

  Result<void> bind(const PrimFunc& function, std::span<const InterpretArgument> arguments) {
    if (arguments.size() != function->params.size())
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("function '{}' has {} parameters, {} arguments were given",
                               function->name, function->params.size(), arguments.size())};
    std::unordered_map<const VarNode*, bool> known;
    const auto set = [&](const VarNode* var, Slot value) {
      frame_->vars[static_cast<size_t>(program_.var_slot.at(var))] = value;
      known[var] = true;
    };
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Param& param = function->params[i];
      const auto wrong = [&](const char* what) {
        return Error{ErrorCode::kInvalidArgument,
                     fmt::format("parameter {} ('{}') {}", i, param.name(), what)};
      };
      if (param.buffer) {
        const auto* view = std::get_if<ArrayView>(&arguments[i]);
        if (view == nullptr)
          return wrong("is a buffer; give an array for it");
        for (size_t d = 0; d < view->shape.size() && d < param.buffer->shape.size(); ++d)
          if (const auto* dim = param.buffer->shape[d].as<VarNode>(); dim && !known[dim])
            set(dim, interpreter::slot_of(view->shape[d]));
        continue;
      }
      if (const auto* integer = std::get_if<int64_t>(&arguments[i]);
          integer != nullptr && !param.var->dtype.is_floating())
        set(param.var.get(), interpreter::slot_of(*integer));
      else if (const auto* real = std::get_if<double>(&arguments[i]);
               real != nullptr && param.var->dtype.is_floating())
        set(param.var.get(), interpreter::slot_of(*real));
      else
        return wrong("is a scalar; give a number of its kind");
    }
    for (const Var& var : function->shape_vars)
      if (!known[var.get()])
        return Error{ErrorCode::kInvalidArgument,
                     "nothing gives a value to the symbolic dimension '" + var->name +
                         "'; give the arrays' shapes"};
    globals_.resize(program_.buffers.size());
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Buffer& buffer = function->params[i].buffer;
      if (!buffer)
        continue;
      const auto& view = std::get<ArrayView>(arguments[i]);
      const auto index = static_cast<size_t>(program_.buffer_index.at(buffer.get()));
      GlobalMemory& memory = globals_[index];
      if (view.dtype != buffer->dtype)
        return Error{ErrorCode::kInvalidArgument,
                     fmt::format("parameter {} ('{}') has type {}, the array {}", i, buffer->name,
                                 temper::to_string(buffer->dtype), temper::to_string(view.dtype))};
      int64_t all = 1;
      memory.strides.resize(buffer->shape.size());
      memory.shape.resize(buffer->shape.size());
      for (size_t d = buffer->shape.size(); d-- > 0;) {
        TEMPER_TRY(extent, host_value(buffer->shape[d]));
        memory.shape[d] = extent;
        memory.strides[d] = all;
        all *= extent;
      }
      int64_t last = all - 1;
      if (!buffer->strides.empty()) {
        last = 0;
        for (size_t d = 0; d < buffer->strides.size(); ++d) {
          TEMPER_TRY(stride, host_value(buffer->strides[d]));
          memory.strides[d] = stride;
          last += (memory.shape[d] - 1) * stride;
        }
      }
      if (buffer->elem_offset) {
        TEMPER_TRY(offset, host_value(buffer->elem_offset));
        memory.offset = offset;
      }
      if (all > 0 && memory.offset + last >= view.count)
        return Error{ErrorCode::kInvalidArgument,
                     fmt::format("parameter {} ('{}') needs {} elements, the array has {}", i,
                                 buffer->name, memory.offset + last + 1, view.count)};
      memory.data = static_cast<std::byte*>(view.data);
      memory.count = view.count;
      memory.initialised = view.initialised;
      if (program_.buffers[index].written || !view.initialised) {
        memory.shadow.resize(static_cast<size_t>(view.count));
        if (view.initialised)
          memory.shadow.initialise();
      }
    }
    return {};
  }

  Result<int64_t> host_value(const Expr& expr) {
    // Constants and symbolic dimensions, and arithmetic on them.
    if (const auto value = as_int(expr))
      return *value;
    interpreter::Compiler compiler;
    std::vector<std::pair<int, int>> slots;
    std::vector<const VarNode*> vars;
    const auto collect = [&](auto&& self, const NodeRef& node) -> void {
      if (const auto* var = node.as<VarNode>())
        vars.push_back(var);
      node->info().for_each_child(node.get(),
                                  [&](const NodeRef& child, Role) { self(self, child); });
    };
    collect(collect, expr);
    for (const VarNode* var : vars) {
      const auto known = program_.var_slot.find(var);
      if (known == program_.var_slot.end())
        return Error{ErrorCode::kInvalidArgument,
                     "a buffer's shape mentions '" + var->name + "', which has no value"};
      slots.emplace_back(compiler.define(Var(var)), known->second);
    }
    const CodePtr code = compiler.compile(expr);
    if (compiler.failed())
      return compiler.take_error();
    Frame frame(compiler.var_slots(), 0, interpret_options_);
    for (const auto& [to, from] : slots)
      frame.vars[static_cast<size_t>(to)] = frame_->vars[static_cast<size_t>(from)];
    const int64_t value = code->scalar(frame).i;
    if (frame.failed())
      return frame.take_error();
    return value;
  }

  // Memory.

  /// The element's place in its buffer's memory; -1 after an error.
  int64_t locate(int buffer, std::span<const int64_t> indices, const Node* where,
                 bool may_be_outside = false) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    const bool global = info.where == Where::kGlobal;
    const GlobalMemory* memory = global ? &globals_[static_cast<size_t>(buffer)] : nullptr;
    const std::vector<int64_t>& shape = global ? memory->shape : info.shape;
    const std::vector<int64_t>& strides = global ? memory->strides : info.strides;
    int64_t element = global ? memory->offset : 0;
    for (size_t d = 0; d < indices.size(); ++d) {
      if (static_cast<uint64_t>(indices[d]) >= static_cast<uint64_t>(shape[d])) {
        if (!may_be_outside && !fail_unwritten()) {
          std::vector<std::string> extents;
          for (const int64_t extent : shape)
            extents.push_back(std::to_string(extent));
          fail(where,
               fmt::format("index {} in dimension {} of {} is outside its shape [{}], in {}; "
                           "a tail needs a condition",
                           indices[d], d, info.buffer->name, join(extents, ", "),
                           thread(warp_->number, lane_)));
        }
        return -1;
      }
      element += indices[d] * strides[d];
    }
    if (info.layout)
      return layout_map(buffer).offset(number_of(shape, indices));
    if (global && static_cast<uint64_t>(element) >= static_cast<uint64_t>(memory->count)) {
      fail(where, fmt::format("strides or offset of {} lead outside of its memory, to element {}",
                              info.buffer->name, element));
      return -1;
    }
    return element;
  }

  const LayoutMap& layout_map(int buffer) {
    auto& map = layouts_[buffer];
    if (!map)
      map = std::make_unique<LayoutMap>(*program_.buffers[static_cast<size_t>(buffer)].layout);
    return *map;
  }

  std::byte* address(int buffer, int64_t element) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    const int64_t bytes = info.buffer->dtype.element_bytes();
    if (info.where == Where::kGlobal)
      return globals_[static_cast<size_t>(buffer)].data + element * bytes;
    return here_->arena.data() + info.arena + element * bytes;
  }

  Slot get(int buffer, int64_t element) {
    const DataType dtype = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype;
    uint64_t bits = 0;
    std::memcpy(&bits, address(buffer, element), static_cast<size_t>(dtype.element_bytes()));
    return from_bits(dtype, bits);
  }
  void put(int buffer, int64_t element, Slot value) {
    const DataType dtype = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype;
    const uint64_t bits = bits_of(dtype, value);
    std::memcpy(address(buffer, element), &bits, static_cast<size_t>(dtype.element_bytes()));
  }

  Slot load_local(int buffer, int lane, int64_t element, const Node* where) {
    LocalMemory& memory = local(buffer, lane);
    const auto i = static_cast<size_t>(element);
    if (memory.written[i] == 0) {
      fail(where, fmt::format("read of {}[{}] of {} that was never written",
                              program_.buffers[static_cast<size_t>(buffer)].buffer->name, element,
                              thread(warp_->number, lane)));
      return {.i = 0};
    }
    if (!check_pending(memory, buffer, element, where))
      return {.i = 0};
    return from_bits(program_.buffers[static_cast<size_t>(buffer)].buffer->dtype, memory.bits[i]);
  }
  void store_local(int buffer, int lane, int64_t element, Slot value, const Node* where) {
    LocalMemory& memory = local(buffer, lane);
    const auto i = static_cast<size_t>(element);
    if (!check_pending(memory, buffer, element, where) ||
        !check_reading(memory, buffer, element, where))
      return;
    memory.bits[i] = bits_of(program_.buffers[static_cast<size_t>(buffer)].buffer->dtype, value);
    memory.written[i] = 1;
  }
  bool check_pending(LocalMemory& memory, int buffer, int64_t element, const Node* where) {
    uint32_t& pending = memory.pending[static_cast<size_t>(element)];
    if (pending == 0)
      return true;
    if (warp_->knows.at(static_cast<size_t>(warp_->products.component)) >= pending) {
      pending = 0;
      return true;
    }
    fail(where,
         fmt::format("{}[{}] is touched while an asynchronous product still works on it; put "
                     "T.warpgroup_commit_batch() and T.warpgroup_wait(0) before",
                     program_.buffers[static_cast<size_t>(buffer)].buffer->name, element));
    return false;
  }
  bool check_reading(LocalMemory& memory, int buffer, int64_t element, const Node* where) {
    uint32_t& reading = memory.reading[static_cast<size_t>(element)];
    if (reading == 0)
      return true;
    if (warp_->knows.at(static_cast<size_t>(warp_->products.component)) >= reading) {
      reading = 0;
      return true;
    }
    fail(where, fmt::format("{}[{}] is written while an asynchronous product still reads it; put "
                            "T.warpgroup_commit_batch() and T.warpgroup_wait(0) before",
                            program_.buffers[static_cast<size_t>(buffer)].buffer->name, element));
    return false;
  }
  LocalMemory& local(int buffer, int lane) {
    LocalMemory& memory = warp_->locals[static_cast<size_t>(lane)][static_cast<size_t>(buffer)];
    if (memory.bits.empty()) {
      const auto count = static_cast<size_t>(program_.buffers[static_cast<size_t>(buffer)].count);
      memory.bits.assign(count, 0);
      memory.written.assign(count, 0);
      memory.pending.assign(count, 0);
      memory.reading.assign(count, 0);
    }
    return memory;
  }

  // Races.

  Actor actor(const Node* where) {
    Actor actor;
    actor.component = static_cast<int16_t>(warp_->number);
    actor.step = warp_->knows.at(static_cast<size_t>(warp_->number));
    actor.knows = &warp_->knows;
    actor.fenced = &warp_->fenced;
    actor.warp = static_cast<int16_t>(warp_->number);
    actor.lane = static_cast<int16_t>(lane_);
    actor.sync = warp_->sync;
    actor.block = block_;
    actor.statement = statement_;
    actor.where = where;
    return actor;
  }

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
  bool note_host(Shadow& shadow, int64_t element) {
    if (!shadow.empty() && host_writes_)
      shadow[static_cast<size_t>(element)].written = true;
    return true;
  }

  bool check_read(int buffer, int64_t element, const Actor& actor) {
    const bool global = program_.buffers[static_cast<size_t>(buffer)].where == Where::kGlobal;
    if (global && block_ < 0) {
      Shadow& shadow = globals_[static_cast<size_t>(buffer)].shadow;
      if (!shadow.empty() && !shadow[static_cast<size_t>(element)].written) {
        Conflict unwritten;
        unwritten.kind = Conflict::Kind::kUnwritten;
        return explain(unwritten, buffer, element, actor, false);
      }
      return true;
    }
    return each_cell(buffer, element, [&](Shadow& shadow, size_t cell) {
      const Conflict found = shadow.read(cell, actor, global ? -1 : buffer, warp_count_);
      return !found || explain(found, buffer, element, actor, false);
    });
  }
  bool check_write(int buffer, int64_t element, const Actor& actor, bool same_value) {
    const bool global = program_.buffers[static_cast<size_t>(buffer)].where == Where::kGlobal;
    host_writes_ = true;
    const bool good = each_cell(buffer, element, [&](Shadow& shadow, size_t cell) {
      const Conflict found =
          shadow.write(cell, actor, global ? -1 : buffer, warp_count_, same_value);
      return !found || explain(found, buffer, element, actor, true);
    });
    host_writes_ = false;
    return good;
  }

  std::string element_name(int buffer, int64_t element) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    const bool global = info.where == Where::kGlobal;
    const std::vector<int64_t>& shape =
        global ? globals_[static_cast<size_t>(buffer)].shape : info.shape;
    const std::vector<int64_t>& strides =
        global ? globals_[static_cast<size_t>(buffer)].strides : info.strides;
    std::vector<std::string> parts;
    if (info.layout) {
      const LayoutMap& map = layout_map(buffer);
      for (int64_t i = 0; i < map.size(); ++i)
        if (map.offset(i) == element) {
          for (const int64_t index : coordinate_of(shape, i))
            parts.push_back(std::to_string(index));
          break;
        }
    } else {
      int64_t rest = element - (global ? globals_[static_cast<size_t>(buffer)].offset : 0);
      for (size_t d = 0; d < shape.size(); ++d) {
        parts.push_back(std::to_string(strides[d] > 0 ? rest / strides[d] : 0));
        rest = strides[d] > 0 ? rest % strides[d] : rest;
      }
    }
    return info.buffer->name + "[" + join(parts, ", ") + "]";
  }

  /// Reports the conflict; true when the run goes on all the same.
  bool explain(const Conflict& found, int buffer, int64_t element, const Actor& actor,
               bool is_write) {
    using Kind = Conflict::Kind;
    const std::string name = element_name(buffer, element);
    const std::string who = actor.component < warp_count_
                                ? thread(actor.warp, actor.lane)
                                : "an asynchronous operation of " + thread(actor.warp, actor.lane);
    const std::string other =
        found.other_asynchronous
            ? fmt::format("an asynchronous operation ({})", line_of(found.other))
        : found.other_lane == kManyLanes || found.other_lane < 0
            ? fmt::format("warp {} ({})", found.other_warp, line_of(found.other))
            : fmt::format("{} ({})", thread(found.other_warp, found.other_lane),
                          line_of(found.other));
    const char* verb = is_write ? "writes" : "reads";
    // Why the read, of this warp or of the other one, may have come too early.
    std::string hint;
    const Warp* reader = !is_write && actor.component < warp_count_ ? warp_ : nullptr;
    if (is_write && !found.other_is_write && !found.other_asynchronous && block_ >= 0 &&
        found.other_warp >= 0 && found.other_warp < static_cast<int>(warps_.size()))
      reader = &warps_[static_cast<size_t>(found.other_warp)];
    if (reader != nullptr && !reader->at_once.empty())
      hint = "; " + reader->at_once.begin()->second;
    std::string text;
    switch (found.kind) {
    case Kind::kUnwritten:
      text = fmt::format("read of {} that was never written, by {}{}", name, who, hint);
      if (block_ >= 0 && program_.buffers[static_cast<size_t>(buffer)].where == Where::kShared) {
        // Perhaps it is written later, and a barrier is missing: the race says more.
        if (here_->unwritten.empty()) {
          here_->unwritten = text;
          here_->unwritten_where = actor.where;
        }
        return true;
      }
      break;
    case Kind::kOverwritten: {
      text = fmt::format("{} reads {}, whose memory was last written through another buffer ({}): "
                         "their places in shared memory overlap while both are in use",
                         who, name, line_of(found.other));
      break;
    }
    case Kind::kReadAfterWrite:
    case Kind::kWriteAfterWrite:
    case Kind::kWriteAfterRead:
      text = fmt::format("race on {}: {} {} it, and nothing orders that after the {} by {}", name,
                         who, verb, found.other_is_write ? "write" : "read", other);
      text += found.other_asynchronous
                  ? "; wait for the operation (its group, or its barrier's phase) before" + hint
                  : "; put T.sync_threads(), or another barrier, between them" + hint;
      break;
    case Kind::kLanes:
      text = fmt::format("race on {} within a warp: {} {} it, and nothing orders that after the {} "
                         "by {}; put T.sync_warp() or T.sync_threads() between them",
                         name, who, verb, found.other_is_write ? "write" : "read", other);
      break;
    case Kind::kBlocks:
      text = fmt::format(
          "race on {} between blocks: {} {} it, another block {} it ({}); blocks run "
          "in any order",
          name, who, verb, found.other_is_write ? "writes" : "reads", line_of(found.other));
      break;
    case Kind::kUnfenced:
      text = fmt::format("{} reads {} through the asynchronous proxy, and no "
                         "T.fence_proxy_async() stands behind the ordinary store by {}",
                         who, name, other);
      break;
    case Kind::kDifferentValues:
      text = fmt::format("{} and {} write different values to {} in one step",
                         thread(found.other_warp, found.other_lane), who, name);
      break;
    case Kind::kNone:
      return false;
    }
    fail(actor.where, text);
    return false;
  }

  // Bank conflicts: addresses of one statement of a warp, by access.

  void note_access(int buffer, int64_t element, const Node* where, bool is_store) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    if (info.where != Where::kShared || block_ < 0)
      return;
    auto [request, added] = requests_.try_emplace(where);
    if (added)
      request->second = {buffer, is_store, std::vector<int64_t>(kLanes, kInactiveLane),
                         std::vector<int64_t>(kLanes, 0)};
    const auto lane = static_cast<size_t>(lane_);
    const int64_t bytes = info.buffer->dtype.element_bytes();
    const int64_t at = info.arena + element * bytes;
    Request& r = request->second;
    if (r.addresses[lane] == kInactiveLane) {
      r.addresses[lane] = at;
      r.bytes[lane] = bytes;
    } else if (at == r.addresses[lane] + r.bytes[lane]) {
      r.bytes[lane] += bytes; // a vector access
    }
  }
  void count_requests() {
    for (auto& [where, request] : requests_) {
      int64_t bytes = 1;
      for (const int64_t b : request.bytes)
        bytes = std::max(bytes, b);
      while ((bytes & (bytes - 1)) != 0 || bytes > 16)
        --bytes;
      bool aligned = true;
      for (const int64_t at : request.addresses)
        aligned &= at == kInactiveLane || at % bytes == 0;
      auto result = aligned ? bank_conflicts(request.addresses, bytes) : Error{};
      if (!result)
        continue;
      auto [access, added] = accesses_index_.try_emplace(where, accesses_.size());
      if (added) {
        accesses_.emplace_back(where, SharedAccess{});
        SharedAccess& fresh = accesses_.back().second;
        fresh.where = where->span;
        fresh.buffer = program_.buffers[static_cast<size_t>(request.buffer)].buffer->name;
        fresh.is_store = request.is_store;
      }
      SharedAccess& total = accesses_[access->second].second;
      if (total.requests == 0 || result->extra() > total.worst.extra())
        total.worst = *result;
      ++total.requests;
      total.wavefronts += result->wavefronts;
      total.ideal += result->ideal;
    }
    requests_.clear();
  }

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
  uint32_t holds(Warp& warp, uint32_t mask, interpreter::Code& condition) {
    uint32_t result = 0;
    each_lane(warp, mask, [&](int lane) {
      if (condition.scalar(*frame_).i != 0)
        result |= 1u << lane;
    });
    return result;
  }

  static Mask* innermost_loop(Warp& warp) {
    for (size_t i = warp.stack.size(); i-- > 0;)
      if (warp.stack[i].is_loop)
        return &warp.stack[i];
    return nullptr;
  }
  static uint32_t gone(Warp& warp) {
    const Mask* loop = innermost_loop(warp);
    return warp.returned | (loop != nullptr ? loop->broken | loop->continued : 0);
  }

  /// Runs one instruction of the warp, which does not wait.
  void step(Warp& warp, std::vector<Instruction>& code) {
    Instruction& inst = code[warp.at];
    ++statement_;
    if (++steps_ > options_.max_steps) {
      fail(inst.node, fmt::format("the program did not end within {} steps", options_.max_steps));
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

  void store(Warp& warp, Instruction& inst) {
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

  void alloc(Warp& warp, Instruction& inst) {
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

  void shuffle(Warp& warp, Instruction& inst) {
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
    ++warp.sync;
  }

  // Launching.

  void launch(Warp& host, Kernel& kernel) {
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

  /// Which elements of a parameter the kernel wrote.
  void note_written(size_t buffer) {
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

  /// Numbers in the grid of the blocks of a cluster, by rank.
  std::vector<int64_t> blocks_of_cluster(const Kernel& kernel, int64_t cluster) const {
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

  /// The code at hand is the warp's, and shared memory that of its block.
  void enter(Warp& warp) {
    warp_ = &warp;
    if (block_ < 0)
      return;
    here_ = &blocks_[warp.block];
    block_ = here_->number;
  }
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

  /// A block may end once its warps have; what other blocks do to its memory must be known to one
  /// of them by then.
  void check_reached() {
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
  /// The warp at hand does something to memory of another block, as `component`.
  void note_reached(size_t block, int16_t component, uint32_t step, const Node* where) {
    if (block == warp_->block)
      return;
    Reached& last = reached_[{block, component}];
    if (step >= last.step)
      last = {step, where};
  }

  /// A warp that ends must not leave operations behind that use the block's memory.
  void finish(Warp& warp) {
    enter(warp);
    if (!warp.stores.filling.empty() || !warp.stores.groups.empty()) {
      const Node* where = !warp.stores.groups.empty()
                              ? warp.stores.groups.front().second.front().where
                              : warp.stores.filling.front().where;
      fail(where, "the kernel ends while this store may still read shared memory; end with "
                  "T.tma_store_arrive() and T.tma_store_wait(0)");
    }
  }

  void deadlock() {
    std::string text = "deadlock: ";
    const Node* first = nullptr;
    std::vector<std::string> waits;
    for (Warp& warp : warps_) {
      if (warp.wait == Wait::kDone)
        continue;
      if (first == nullptr)
        first = warp.wait_where;
      if (warp.wait == Wait::kCluster) {
        waits.push_back(fmt::format(
            "warp {} waits at {} for its cluster, of which {} of {} threads "
            "have come",
            warp.number, line_of(warp.wait_where), cluster_barrier_.arrived, threads_of_cluster()));
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
            fail(
                warp.wait_where,
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

  // The block's barriers.

  int64_t expected_threads(const Barrier& barrier, size_t block) const {
    if (barrier.expected > 0)
      return barrier.expected;
    // Threads that returned early do not count; those that ran past the barrier do.
    int64_t threads = 0;
    for (const Warp& warp : warps_)
      if (warp.block == block)
        threads += std::popcount(warp.all & ~warp.returned);
    return threads;
  }
  /// Those that have not ended.
  int64_t threads_of_cluster() const {
    int64_t threads = 0;
    for (const Warp& warp : warps_)
      if (warp.wait != Wait::kDone)
        threads += std::popcount(warp.all & ~warp.returned);
    return threads;
  }

  void arrive_at_cluster(Warp& warp, Instruction& inst) {
    const uint32_t alive = warp.all & ~warp.returned;
    if (warp.active != alive) {
      fail(inst.node, fmt::format("divergent barrier: {} of the {} threads of warp {} reach it ({} "
                                  "does not); move it out of the condition",
                                  std::popcount(warp.active), std::popcount(alive), warp.number,
                                  thread(warp.number, std::countr_zero(alive & ~warp.active))));
      return;
    }
    Barrier& barrier = cluster_barrier_;
    barrier.arrived += std::popcount(warp.active);
    barrier.warps.push_back(warp.number);
    barrier.knows.join(warp.knows);
    barrier.fenced.join(warp.fenced);
    warp.wait = Wait::kCluster;
    warp.wait_where = inst.node;
  }

  void arrive_at_barrier(Warp& warp, Instruction& inst) {
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
    const uint32_t alive = warp.all & ~warp.returned;
    if (warp.active != alive) {
      fail(inst.node, fmt::format("divergent barrier: {} of the {} threads of warp {} reach it ({} "
                                  "does not); move it out of the condition",
                                  std::popcount(warp.active), std::popcount(alive), warp.number,
                                  thread(warp.number, std::countr_zero(alive & ~warp.active))));
      return;
    }
    if (id < 0 || id > 15 || count < 0 || count % kLanes != 0) {
      fail(inst.node, fmt::format("barrier {} of {} threads: there are barriers 0 to 15, for whole "
                                  "warps",
                                  id, count));
      return;
    }
    Barrier& barrier = here_->barriers[id];
    if (barrier.arrived > 0 && barrier.expected != count) {
      fail(inst.node, fmt::format("barrier {} is met for {} threads here and for {} at {}", id,
                                  count, barrier.expected, line_of(barrier.where)));
      return;
    }
    if (barrier.arrived > 0 && count == 0 && barrier.where != inst.node) {
      fail(inst.node,
           fmt::format("divergent barrier: warp {} is here while warp {} waits at another "
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

  bool release_barriers() {
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

  /// What the warp does from here on is not covered by what it told others before.
  void released(Warp& warp) {
    const auto own = static_cast<size_t>(warp.number);
    warp.knows.set(own, warp.knows.at(own) + 1);
    ++warp.sync;
  }

  // mbarriers.

  static bool passed(const MBarrier& barrier, int parity) {
    return static_cast<int>(barrier.phase & 1) != parity;
  }
  bool phases_passed(const Warp& warp) const {
    for (const auto& [index, parity] : warp.wait_phases)
      if (!passed(mbarriers_[static_cast<size_t>(index)], parity))
        return false;
    return true;
  }
  void acquire_phases(Warp& warp) {
    for (const auto& [index, parity] : warp.wait_phases) {
      const MBarrier& barrier = mbarriers_[static_cast<size_t>(index)];
      warp.knows.join(barrier.passed);
      warp.fenced.join(barrier.passed_fenced);
      const auto [seen, first] = warp.passed_phase.try_emplace(index, 0);
      if (barrier.phase == seen->second)
        warp.at_once[index] = fmt::format(
            "the wait for parity {} of {} ({}) passed at once, no phase had ended since "
            "the one before: is its parity right?",
            parity, barrier.name, line_of(warp.wait_where));
      else
        warp.at_once.erase(index);
      seen->second = barrier.phase;
    }
    warp.wait_phases.clear();
    ++warp.sync;
  }

  /// Index of the mbarrier at the address, for the current lane; -1 after an error.
  int mbarrier(Address& address, const Node* where) {
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

  void init_mbarrier(Address& address, int64_t arrivals, const Node* where) {
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

  /// The use of an mbarrier reads it: its initialisation must be ordered before.
  bool use_mbarrier(Address& address, int index, const Node* where) {
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

  void arrive(Warp& warp, int index, int64_t bytes, bool arrives, const Node* where) {
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
  void flip(MBarrier& barrier) {
    if (barrier.pending != 0 || barrier.bytes != 0)
      return;
    ++barrier.phase;
    barrier.pending = barrier.expected;
    barrier.passed.join(barrier.arriving);
    barrier.passed_fenced.join(barrier.arriving_fenced);
    barrier.passed.set(static_cast<size_t>(barrier.component), barrier.phase);
  }

  // Asynchronous operations.

  void perform(Operation& operation) {
    const Elsewhere there(*this, operation.block);
    operation.perform();
    if (operation.barrier >= 0) {
      MBarrier& barrier = mbarriers_[static_cast<size_t>(operation.barrier)];
      barrier.bytes -= operation.bytes;
      flip(barrier);
    }
  }
  void complete(int64_t which) {
    Operation operation = std::move(pending_[static_cast<size_t>(which)]);
    pending_.erase(pending_.begin() + which);
    perform(operation);
  }
  bool complete_one() {
    if (pending_.empty())
      return false;
    complete(0);
    return true;
  }

  void issue(Queue& queue, Operation operation) {
    queue.used = true;
    if (options_.timing == AsyncTiming::kEarly ||
        (options_.timing == AsyncTiming::kRandom && random_.below(2) == 0)) {
      operation.perform();
      operation.perform = nullptr;
    }
    queue.filling.push_back(std::move(operation));
  }
  static void commit(Queue& queue) {
    queue.groups.emplace_back(queue.open++, std::move(queue.filling));
    queue.filling.clear();
  }
  void wait_groups(Warp& warp, Queue& queue, int64_t left) {
    while (static_cast<int64_t>(queue.groups.size()) > std::max<int64_t>(left, 0)) {
      for (Operation& operation : queue.groups.front().second)
        if (operation.perform)
          operation.perform();
      warp.knows.set(static_cast<size_t>(queue.component), queue.groups.front().first);
      queue.groups.pop_front();
    }
  }
  Actor queue_actor(const Queue& queue, const Node* where, bool asynchronous) {
    Actor result = actor(where);
    result.component = queue.component;
    result.step = queue.open;
    result.asynchronous = asynchronous;
    return result;
  }

  std::vector<int64_t> evaluate(const std::vector<CodePtr>& codes) {
    std::vector<int64_t> values;
    for (const CodePtr& code : codes)
      values.push_back(code->scalar(*frame_).i);
    return values;
  }
  bool expect_scope(const Address& address, Where where, const Node* node, const char* what) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(address.buffer)];
    if (info.where == where)
      return true;
    fail(node, fmt::format("{} is {} here, which must lie in {} memory", info.buffer->name, what,
                           where == Where::kGlobal   ? "global"
                           : where == Where::kShared ? "shared"
                                                     : "local"));
    return false;
  }
  void poison(int buffer, int64_t element) {
    const auto bytes = static_cast<size_t>(
        program_.buffers[static_cast<size_t>(buffer)].buffer->dtype.element_bytes());
    std::memset(address(buffer, element), static_cast<int>(kPoison), bytes);
  }

  /// ptx_cp_async(S[i], A[j], elements[, predicate]): by each active lane.
  void cp_async(Warp& warp, Instruction& inst) {
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
      const int64_t address_bytes = to_element * dtype.element_bytes() +
                                    program_.buffers[static_cast<size_t>(to.buffer)].arena;
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

  /// copy_vector(B[i], A[j], elements): by each active lane, all of which read first.
  void copy_vector(Warp& warp, Instruction& inst) {
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
      if (bytes != 4 && bytes != 8 && bytes != 16) {
        fail(inst.node, fmt::format("T.copy_vector copies 4, 8 or 16 bytes, not {}", bytes));
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

  bool inside(int buffer, int64_t element, int64_t count, const Node* where) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    const int64_t all =
        info.where == Where::kGlobal ? globals_[static_cast<size_t>(buffer)].count : info.count;
    if (element + count <= all)
      return true;
    fail(where, fmt::format("{} elements from {} reach outside of the buffer", count,
                            element_name(buffer, element)));
    return false;
  }

  /// A box of a global buffer and the elements of shared memory it goes with, row-major.
  struct Box {
    std::vector<int64_t> shared; ///< elements
    std::vector<int64_t> global; ///< elements; -1 outside of the buffer
  };
  bool make_box(Address& shared, Address& global, const std::vector<int64_t>& extents,
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

  /// The blocks whose bits are set; empty after an error.
  std::vector<size_t> blocks_of_mask(int64_t mask, const Node* where) {
    std::vector<size_t> blocks;
    for (size_t i = 0; i < running_; ++i)
      if ((mask >> i & 1) != 0)
        blocks.push_back(i);
    if (blocks.empty() || mask < 0 || mask >> running_ != 0) {
      fail(where, fmt::format("the mask {:#x} names blocks that the cluster has not: it has {}",
                              mask, running_));
      blocks.clear();
    }
    return blocks;
  }

  /// tma_load(S[i], A[j, k], bar[b], extents...); tma_load_multicast(S[i], A[j, k], bar[b], mask,
  /// extents...): the same into each block of the mask, at the barrier of each.
  void tma_load(Warp& warp, Instruction& inst) {
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
  void load_box(Instruction& inst, const Box& box, size_t target) {
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
      fail(inst.node,
           fmt::format("T.{} moves multiples of 16 bytes, not {}", inst.operation, bytes));
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

  /// tma_store(A[j, k], S[i], extents...)
  void tma_store(Warp& warp, Instruction& inst) {
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

  void atomic_add(Warp& warp, Instruction& inst) {
    Address& to = inst.addresses[0];
    const BufferInfo& info = program_.buffers[static_cast<size_t>(to.buffer)];
    if (info.where == Where::kLocal) {
      fail(inst.node, "T.atomic_add works on shared or global memory");
      return;
    }
    const DataType dtype = info.buffer->dtype;
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
      put(to.buffer, element,
          dtype.is_floating() ? interpreter::slot_of(old.d + value.d)
                              : interpreter::slot_of(wrap_integer(dtype, old.i + value.i)));
    });
  }

  // Matrix operations: on whole warps.

  bool whole_warp(const Warp& warp, const Instruction& inst) {
    if (warp.active == ~0u)
      return true;
    fail(inst.node, fmt::format("T.{} is done by a whole warp; {} of 32 lanes reach it",
                                inst.operation, std::popcount(warp.active)));
    return false;
  }

  /// First register of the operand, the same in all lanes or not.
  std::vector<int64_t> registers(Warp& warp, Address& address, const Node* where) {
    std::vector<int64_t> first(kLanes, 0);
    if (!expect_scope(address, Where::kLocal, where, "an operand in registers"))
      return first;
    each_lane(warp, warp.active, [&](int lane) {
      first[static_cast<size_t>(lane)] = locate(address.buffer, evaluate(address.indices), where);
    });
    return first;
  }

  /// Which lane has which register of each element: a fragment's layout, tabulated.
  struct FragmentTable {
    std::vector<int> lane;
    std::vector<int64_t> reg;
    std::vector<int64_t> shape;
  };
  const FragmentTable* fragment(const std::string& name, const Node* where) {
    auto found = fragments_.find(name);
    if (found != fragments_.end())
      return &found->second;
    auto layout = hardware_fragment(name);
    if (!layout) {
      fail(where, layout.error().message);
      return nullptr;
    }
    FragmentTable table;
    table.shape = layout->shape;
    const LayoutMap map(*layout);
    const int lane = map.find(kLaneAxis);
    std::vector<int64_t> place(map.axes().size());
    for (int64_t i = 0; i < map.size(); ++i) {
      map.place(i, place);
      table.lane.push_back(static_cast<int>(place[static_cast<size_t>(lane)]));
      table.reg.push_back(place.back());
    }
    return &fragments_.emplace(name, std::move(table)).first->second;
  }

  std::vector<Slot> gather(const FragmentTable& table, int buffer,
                           const std::vector<int64_t>& first, const Node* where) {
    std::vector<Slot> values(table.lane.size());
    for (size_t i = 0; i < values.size() && !failed(); ++i) {
      const int64_t element = first[static_cast<size_t>(table.lane[i])] + table.reg[i];
      if (inside_local(buffer, element, where))
        values[i] = load_local(buffer, table.lane[i], element, where);
    }
    return values;
  }
  bool inside_local(int buffer, int64_t element, const Node* where) {
    const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
    if (element >= 0 && element < info.count)
      return true;
    fail(where, fmt::format("the operation needs register {} of {}, which has {}", element,
                            info.buffer->name, info.count));
    return false;
  }

  static double as_double(DataType dtype, Slot value,
                          MatrixOperand operand = MatrixOperand::kAsStored) {
    if (operand == MatrixOperand::kTf32)
      return as_tf32(static_cast<float>(value.d));
    if (operand != MatrixOperand::kAsStored)
      return float8_to_float(static_cast<uint8_t>(value.i), operand == MatrixOperand::kE5M2);
    return dtype.is_floating() ? value.d : static_cast<double>(value.i);
  }
  /// Narrow floats are bytes, tf32 is float32.
  bool operands_are(const MatrixText& text, DataType a, DataType b, const Node* where) {
    const auto good = [](MatrixOperand operand, DataType type) {
      return operand == MatrixOperand::kAsStored ||
             type == (operand == MatrixOperand::kTf32 ? DataType::float32() : DataType::uint(8));
    };
    if (good(text.a, a) && good(text.b, b))
      return true;
    fail(where, fmt::format("a product of tf32 takes float32, one of narrow floats bytes, and not "
                            "{} and {}",
                            temper::to_string(a), temper::to_string(b)));
    return false;
  }
  Slot accumulated(DataType dtype, Slot old, double sum) {
    if (dtype.is_floating())
      return from_bits(dtype, bits_of(dtype, interpreter::slot_of(old.d + sum)));
    return interpreter::slot_of(wrap_integer(dtype, old.i + static_cast<int64_t>(sum)));
  }

  void mma(Warp& warp, Instruction& inst) {
    if (!whole_warp(warp, inst))
      return;
    const auto text = parse_matrix_text(inst.text);
    if (!text) {
      fail(inst.node, text.error().message);
      return;
    }
    const FragmentTable* tables[3];
    const char* names[] = {"C", "A", "B"};
    std::vector<Slot> values[3];
    std::vector<int64_t> first[3];
    for (int i = 0; i < 3; ++i) {
      tables[i] = fragment(fmt::format("mma.{}.{}", text->fragment, names[i]), inst.node);
      if (tables[i] == nullptr)
        return;
      first[i] = registers(warp, inst.addresses[static_cast<size_t>(i)], inst.node);
      if (failed())
        return;
      values[i] =
          gather(*tables[i], inst.addresses[static_cast<size_t>(i)].buffer, first[i], inst.node);
      if (failed())
        return;
    }
    const auto dtype = [&](int i) {
      return program_.buffers[static_cast<size_t>(inst.addresses[static_cast<size_t>(i)].buffer)]
          .buffer->dtype;
    };
    if (!operands_are(*text, dtype(1), dtype(2), inst.node))
      return;
    const int64_t m = tables[0]->shape[0];
    const int64_t n = tables[0]->shape[1];
    const int64_t k = tables[1]->shape[1];
    std::vector<double> a_values, b_values;
    for (const Slot& value : values[1])
      a_values.push_back(as_double(dtype(1), value, text->a));
    for (const Slot& value : values[2])
      b_values.push_back(as_double(dtype(2), value, text->b));
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p)
          sum +=
              a_values[static_cast<size_t>(i * k + p)] * b_values[static_cast<size_t>(p * n + j)];
        const auto at = static_cast<size_t>(i * n + j);
        const int lane = tables[0]->lane[at];
        store_local(inst.addresses[0].buffer, lane,
                    first[0][static_cast<size_t>(lane)] + tables[0]->reg[at],
                    accumulated(dtype(0), values[0][at], sum), inst.node);
      }
    ++warp.sync;
  }

  /// ptx_ldmatrix(R[i], S[row, column], matrices, transposed)
  void ldmatrix(Warp& warp, Instruction& inst) {
    if (!whole_warp(warp, inst) ||
        !expect_scope(inst.addresses[1], Where::kShared, inst.node, "the source"))
      return;
    const int buffer = inst.addresses[1].buffer;
    const int to = inst.addresses[0].buffer;
    const int bits = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype.bits;
    if ((bits != 8 && bits != 16 && bits != 32) ||
        program_.buffers[static_cast<size_t>(to)].buffer->dtype.bits != bits) {
      fail(inst.node, "T.ptx_ldmatrix moves elements of 8, 16 or 32 bits into registers of such");
      return;
    }
    const int64_t chunk = 128 / bits;
    int64_t count = 0;
    bool transposed = false;
    std::vector<int64_t> rows(kLanes, 0);
    each_lane(warp, warp.active, [&](int lane) {
      count = inst.codes[0]->scalar(*frame_).i;
      transposed = inst.codes[1]->scalar(*frame_).i != 0;
      if (lane >= 8 * count)
        return;
      const int64_t element = locate(buffer, evaluate(inst.addresses[1].indices), inst.node);
      rows[static_cast<size_t>(lane)] = element;
      if (element >= 0 && element % chunk != 0)
        fail(inst.node,
             fmt::format("lane {} gives the address {}, which is not aligned to a row of "
                         "16 bytes",
                         lane, element_name(buffer, element)));
    });
    if (!failed() && count != 1 && count != 2 && count != 4)
      fail(inst.node, fmt::format("T.ptx_ldmatrix loads 1, 2 or 4 matrices, not {}", count));
    if (!failed() && transposed && bits != 16)
      fail(inst.node,
           fmt::format("T.ptx_ldmatrix transposes elements of 16 bits, not of {}", bits));
    if (failed())
      return;
    const std::vector<int64_t> first = registers(warp, inst.addresses[0], inst.node);
    const FragmentTable* table = fragment(ldmatrix_fragment(count, transposed, bits), inst.node);
    if (failed())
      return;
    const int64_t arena = program_.buffers[static_cast<size_t>(buffer)].arena;
    std::vector<int64_t> addresses;
    for (int64_t i = 0; i < 8 * count; ++i)
      addresses.push_back(arena + bits / 8 * rows[static_cast<size_t>(i)]);
    count_ldmatrix(addresses, buffer, inst.node);
    for (int64_t matrix = 0; matrix < count; ++matrix)
      for (int64_t row = 0; row < 8; ++row) {
        lane_ = static_cast<int>(8 * matrix + row);
        const int64_t begin = rows[static_cast<size_t>(lane_)];
        if (!inside(buffer, begin, chunk, inst.node))
          return;
        for (int64_t column = 0; column < chunk; ++column) {
          if (!check_read(buffer, begin + column, actor(inst.node)))
            return;
          const auto at = static_cast<size_t>((matrix * 8 + row) * chunk + column);
          const int lane = table->lane[at];
          const int64_t reg = first[static_cast<size_t>(lane)] + table->reg[at];
          if (!inside_local(to, reg, inst.node))
            return;
          store_local(to, lane, reg, get(buffer, begin + column), inst.node);
        }
      }
  }
  /// ptx_stmatrix(S[row, column], R[i], matrices)
  void stmatrix(Warp& warp, Instruction& inst) {
    Address& to = inst.addresses[0];
    Address& from = inst.addresses[1];
    if (!whole_warp(warp, inst) || !expect_scope(to, Where::kShared, inst.node, "the destination"))
      return;
    if (program_.buffers[static_cast<size_t>(to.buffer)].buffer->dtype.bits != 16 ||
        program_.buffers[static_cast<size_t>(from.buffer)].buffer->dtype.bits != 16) {
      fail(inst.node, "T.ptx_stmatrix moves elements of 16 bits");
      return;
    }
    int64_t count = 0;
    std::vector<int64_t> rows(kLanes, 0);
    each_lane(warp, warp.active, [&](int lane) {
      count = inst.codes[0]->scalar(*frame_).i;
      if (lane >= 8 * count)
        return;
      const int64_t element = locate(to.buffer, evaluate(to.indices), inst.node);
      rows[static_cast<size_t>(lane)] = element;
      if (element >= 0 && element % 8 != 0)
        fail(inst.node,
             fmt::format("lane {} gives the address {}, which is not aligned to a row of "
                         "16 bytes",
                         lane, element_name(to.buffer, element)));
    });
    if (!failed() && count != 1 && count != 2 && count != 4)
      fail(inst.node, fmt::format("T.ptx_stmatrix stores 1, 2 or 4 matrices, not {}", count));
    if (failed())
      return;
    const std::vector<int64_t> first = registers(warp, from, inst.node);
    const FragmentTable* table = fragment(ldmatrix_fragment(count, false, 16), inst.node);
    if (failed())
      return;
    const int64_t arena = program_.buffers[static_cast<size_t>(to.buffer)].arena;
    std::vector<int64_t> addresses;
    for (int64_t i = 0; i < 8 * count; ++i)
      addresses.push_back(arena + 2 * rows[static_cast<size_t>(i)]);
    count_ldmatrix(addresses, to.buffer, inst.node);
    const std::vector<Slot> values = gather(*table, from.buffer, first, inst.node);
    for (int64_t row = 0; row < 8 * count && !failed(); ++row) {
      lane_ = static_cast<int>(row);
      const int64_t begin = rows[static_cast<size_t>(row)];
      if (!inside(to.buffer, begin, 8, inst.node))
        return;
      for (int64_t column = 0; column < 8; ++column) {
        if (!check_write(to.buffer, begin + column, actor(inst.node), false))
          return;
        put(to.buffer, begin + column, values[static_cast<size_t>(row * 8 + column)]);
      }
    }
  }
  void count_ldmatrix(const std::vector<int64_t>& addresses, int buffer, const Node* where) {
    BankReport report;
    for (size_t begin = 0; begin < addresses.size(); begin += 8) {
      auto pass = bank_conflicts(std::span(addresses).subspan(begin, 8), 16);
      if (!pass)
        return;
      report.wavefronts += pass->wavefronts;
      report.ideal += pass->ideal;
      for (BankCollision& collision : pass->collisions) {
        for (int& lane : collision.lanes)
          lane += static_cast<int>(begin);
        report.collisions.push_back(std::move(collision));
      }
    }
    auto [access, added] = accesses_index_.try_emplace(where, accesses_.size());
    if (added) {
      accesses_.emplace_back(where, SharedAccess{});
      accesses_.back().second.where = where->span;
      accesses_.back().second.buffer = program_.buffers[static_cast<size_t>(buffer)].buffer->name;
    }
    SharedAccess& total = accesses_[access->second].second;
    if (total.requests == 0 || report.extra() > total.worst.extra())
      total.worst = report;
    ++total.requests;
    total.wavefronts += report.wavefronts;
    total.ideal += report.ideal;
  }

  /// ptx_wgmma_ss(D[i], A[j, k], B[l, m], "m64n64k16", transpose_b, accumulate): each warp of the
  /// warpgroup does its 16 rows. A: [64, k]; B: [k, n], or [n, k] with transpose_b. ptx_wgmma_rs:
  /// A[j] is the first of its registers.
  void wgmma(Warp& warp, Instruction& inst) {
    if (!whole_warp(warp, inst))
      return;
    const auto text = parse_matrix_text(inst.text);
    if (!text || text->m != 64 || text->n < 8 || text->n > 256 || text->n % 8 != 0) {
      fail(inst.node, "there is no wgmma of shape \"" + inst.text +
                          "\"; write \"m64n64k16\": n a multiple of 8 up to 256");
      return;
    }
    const int64_t n = text->n;
    const int64_t k = text->k;
    const bool registers_a = inst.operation == "ptx_wgmma_rs";
    Address& a = inst.addresses[1];
    Address& b = inst.addresses[2];
    if (!expect_scope(a, registers_a ? Where::kLocal : Where::kShared, inst.node, "an operand") ||
        !expect_scope(b, Where::kShared, inst.node, "an operand"))
      return;
    const auto type_of = [&](const Address& address) {
      return program_.buffers[static_cast<size_t>(address.buffer)].buffer->dtype;
    };
    const DataType in = type_of(a);
    const DataType out = type_of(inst.addresses[0]);
    if (!operands_are(*text, in, type_of(b), inst.node))
      return;
    if (type_of(b) != in || k * in.bits != 256) {
      fail(inst.node,
           fmt::format("wgmma of {} and {} takes k = {}: 32 bytes of it", temper::to_string(in),
                       temper::to_string(type_of(b)), 256 / in.bits));
      return;
    }
    if (!warp.arrived_fence) {
      fail(inst.node,
           "T.warpgroup_arrive() must come before the products of a group: registers and "
           "shared memory are not ordered before them otherwise");
      return;
    }
    std::vector<int64_t> corner_a, corner_b, flags;
    each_lane(warp, 1, [&](int) {
      if (!registers_a)
        corner_a = evaluate(a.indices);
      corner_b = evaluate(b.indices);
      flags = evaluate(inst.codes);
    });
    const std::vector<int64_t> first = registers(warp, inst.addresses[0], inst.node);
    const std::vector<int64_t> first_a =
        registers_a ? registers(warp, a, inst.node) : std::vector<int64_t>();
    if (failed())
      return;
    const bool transposed = !flags.empty() && flags[0] != 0;
    const bool accumulate = flags.size() < 2 || flags[1] != 0;
    if (!transposed && in.bits != 16) {
      fail(inst.node, "wgmma takes B as [n, k] where its elements have other than 16 bits");
      return;
    }
    const Actor who = queue_actor(warp.products, inst.node, true);
    lane_ = 0;
    const int64_t row0 = 16 * (warp.in_block % 4);
    std::vector<int64_t> at_a, at_b;
    const auto element = [&](Address& address, std::vector<int64_t> corner, int64_t row,
                             int64_t column) {
      corner[corner.size() - 2] += row;
      corner[corner.size() - 1] += column;
      return locate(address.buffer, corner, inst.node);
    };
    if ((!registers_a && corner_a.size() < 2) || corner_b.size() < 2) {
      fail(inst.node, "the operands of wgmma have at least two dimensions");
      return;
    }
    // In registers: each warp's rows, as mma.sync has its A.
    const FragmentTable* table_a = nullptr;
    if (registers_a) {
      table_a = fragment(in.bits == 16   ? "mma.m16n8k16.A"
                         : in.bits == 32 ? "mma.m16n8k8.tf32.A"
                                         : "mma.m16n8k32.i8.A",
                         inst.node);
      for (size_t i = 0; i < table_a->lane.size(); ++i) {
        const int lane = table_a->lane[i];
        const int64_t reg = first_a[static_cast<size_t>(lane)] + table_a->reg[i];
        if (!inside_local(a.buffer, reg, inst.node))
          return;
        load_local(a.buffer, lane, reg, inst.node); // written, and not being written
        if (failed())
          return;
        local(a.buffer, lane).reading[static_cast<size_t>(reg)] = warp.products.open;
      }
    }
    for (int64_t i = 0; i < 16 && !registers_a; ++i)
      for (int64_t p = 0; p < k; ++p) {
        at_a.push_back(element(a, corner_a, row0 + i, p));
        if (failed() || !check_read(a.buffer, at_a.back(), who))
          return;
      }
    for (int64_t p = 0; p < k; ++p)
      for (int64_t j = 0; j < n; ++j) {
        at_b.push_back(transposed ? element(b, corner_b, j, p) : element(b, corner_b, p, j));
        if (failed() || !check_read(b.buffer, at_b.back(), who))
          return;
      }
    // Registers: free for this product, busy until its group is waited for. Products of one warp on
    // the same accumulator follow each other.
    const FragmentTable* table = accumulator_table(n);
    const int d = inst.addresses[0].buffer;
    for (size_t i = 0; i < table->lane.size(); ++i) {
      const int lane = table->lane[i];
      const int64_t reg = first[static_cast<size_t>(lane)] + table->reg[i];
      if (!inside_local(d, reg, inst.node))
        return;
      LocalMemory& memory = local(d, lane);
      if (accumulate && memory.written[static_cast<size_t>(reg)] == 0) {
        fail(inst.node, fmt::format("wgmma adds to register {} of {}, which was never written; "
                                    "clear it, or pass accumulate = 0",
                                    reg, program_.buffers[static_cast<size_t>(d)].buffer->name));
        return;
      }
      memory.pending[static_cast<size_t>(reg)] = warp.products.open;
      memory.written[static_cast<size_t>(reg)] = 1;
    }
    Operation operation;
    operation.where = inst.node;
    const int number = warp.number;
    operation.perform = [this, number, table, first, d, in, out, n, k, accumulate, table_a, first_a,
                         kind_a = text->a, kind_b = text->b, buffer_a = a.buffer,
                         buffer_b = b.buffer, at_a = std::move(at_a), at_b = std::move(at_b)] {
      Warp& owner = warps_[static_cast<size_t>(number)];
      const auto value_a = [&](size_t i) {
        if (table_a == nullptr)
          return get(buffer_a, at_a[i]);
        const auto lane = static_cast<size_t>(table_a->lane[i]);
        return from_bits(in, owner.locals[lane][static_cast<size_t>(buffer_a)]
                                 .bits[static_cast<size_t>(first_a[lane] + table_a->reg[i])]);
      };
      // Each element is read once; there are n, or 16, products of it.
      std::vector<double> a_values(static_cast<size_t>(16 * k)), b_values(at_b.size());
      for (size_t i = 0; i < a_values.size(); ++i)
        a_values[i] = as_double(in, value_a(i), kind_a);
      for (size_t i = 0; i < b_values.size(); ++i)
        b_values[i] = as_double(in, get(buffer_b, at_b[i]), kind_b);
      for (int64_t i = 0; i < 16; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t p = 0; p < k; ++p)
            sum +=
                a_values[static_cast<size_t>(i * k + p)] * b_values[static_cast<size_t>(p * n + j)];
          const auto at = static_cast<size_t>(i * n + j);
          const auto lane = static_cast<size_t>(table->lane[at]);
          uint64_t& bits = owner.locals[lane][static_cast<size_t>(d)]
                               .bits[static_cast<size_t>(first[lane] + table->reg[at])];
          const Slot old = accumulate ? from_bits(out, bits) : from_bits(out, 0);
          bits = bits_of(out, accumulated(out, old, sum));
        }
    };
    // Products of one queue are done in order.
    warp.products.used = true;
    if (options_.timing == AsyncTiming::kEarly)
      operation.perform(), operation.perform = nullptr;
    warp.products.filling.push_back(std::move(operation));
  }
  /// Rows 0 to 15 of one warp.
  const FragmentTable* accumulator_table(int64_t n) {
    const std::string name = "accumulator." + std::to_string(n);
    auto found = fragments_.find(name);
    if (found != fragments_.end())
      return &found->second;
    FragmentTable table;
    auto layout = wgmma_accumulator(n);
    TEMPER_CHECK(layout.has_value(), "n was checked");
    const LayoutMap map(*layout);
    const int lane = map.find(kLaneAxis);
    std::vector<int64_t> place(map.axes().size());
    for (int64_t i = 0; i < 16 * n; ++i) {
      map.place(i, place);
      table.lane.push_back(static_cast<int>(place[static_cast<size_t>(lane)]));
      table.reg.push_back(place.back());
    }
    return &fragments_.emplace(name, std::move(table)).first->second;
  }

  void print(const Instruction& inst) {
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

  void intrinsic(Warp& warp, Instruction& inst) {
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
      ++warp.sync;
    } else if (op == "atomic_add") {
      atomic_add(warp, inst);
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
          fail(inst.node, fmt::format("there is no block of rank {} in the cluster: it has {}",
                                      rank, running_));
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

  const EmulateOptions& options_;
  InterpretOptions interpret_options_;
  Random random_;
  Program program_;
  std::unique_ptr<Frame> frame_;
  EmulateReport report_;
  int64_t steps_ = 0;
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

} // namespace
} // namespace emulator

std::string SharedAccess::to_string() const {
  std::string text =
      (where.line == 0 ? std::string()
                       : fmt::format("line {}, column {}: ", where.line, where.column)) +
      fmt::format("the {} {} takes {:.1f} times the wavefronts it would without bank "
                  "conflicts",
                  is_store ? "store to" : "load of", buffer, ways());
  if (!worst.collisions.empty()) {
    const BankCollision& collision = worst.collisions.front();
    std::vector<std::string> lanes;
    for (size_t i = 0; i < collision.lanes.size() && i < 8; ++i)
      lanes.push_back(std::to_string(collision.lanes[i]));
    if (collision.lanes.size() > 8)
      lanes.emplace_back("...");
    text += fmt::format(": lanes {} want different words of bank {}", join(lanes, ", "),
                        collision.bank);
  }
  return text;
}

std::vector<SharedAccess> EmulateReport::conflicts() const {
  std::vector<SharedAccess> list;
  for (const SharedAccess& access : shared_accesses)
    if (access.wavefronts > access.ideal)
      list.push_back(access);
  std::stable_sort(list.begin(), list.end(), [](const SharedAccess& a, const SharedAccess& b) {
    return a.wavefronts - a.ideal > b.wavefronts - b.ideal;
  });
  return list;
}

Result<EmulateReport> emulate(const PrimFunc& function,
                              std::span<const InterpretArgument> arguments,
                              const EmulateOptions& options) {
  emulator::Machine machine(options);
  return machine.run(function, arguments);
}

Result<EmulateReport> emulate_thoroughly(const PrimFunc& function,
                                         std::span<const InterpretArgument> arguments,
                                         const EmulateOptions& options) {
  struct Saved {
    std::byte* data;
    std::vector<std::byte> before;
    std::vector<std::byte> after;
  };
  std::vector<Saved> saved;
  for (const InterpretArgument& argument : arguments)
    if (const auto* view = std::get_if<ArrayView>(&argument)) {
      auto* data = static_cast<std::byte*>(view->data);
      const auto bytes = static_cast<size_t>(view->count * view->dtype.bytes());
      saved.push_back({data, {data, data + bytes}, {}});
    }
  const std::pair<AsyncTiming, ParallelOrder> runs[] = {
      {AsyncTiming::kEarly, ParallelOrder::kForward},
      {AsyncTiming::kLate, ParallelOrder::kReverse},
      {AsyncTiming::kRandom, ParallelOrder::kRandom},
  };
  static constexpr const char* kNames[] = {"early", "late", "at random moments"};
  std::optional<EmulateReport> report;
  for (size_t r = 0; r < std::size(runs); ++r) {
    for (const Saved& memory : saved)
      std::copy(memory.before.begin(), memory.before.end(), memory.data);
    EmulateOptions run = options;
    run.timing = runs[r].first;
    run.order = runs[r].second;
    if (r > 0)
      run.print = [](const std::string&) {};
    emulator::Machine machine(run);
    TEMPER_TRY(result, machine.run(function, arguments));
    for (size_t i = 0; i < saved.size(); ++i) {
      std::vector<std::byte> now(saved[i].data, saved[i].data + saved[i].before.size());
      if (r == 0)
        saved[i].after = std::move(now);
      else if (now != saved[i].after && !machine.float_atomics())
        return Error{
            ErrorCode::kFailed,
            fmt::format("the results depend on timing: with asynchronous operations done {} "
                        "(and warps in another order) buffer {} differs from the run with "
                        "them done early",
                        kNames[r], i)};
    }
    if (!report)
      report = std::move(result);
  }
  return *std::move(report);
}

} // namespace temper::tir
