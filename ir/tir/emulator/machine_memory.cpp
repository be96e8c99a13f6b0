// Memory, and who may touch it when: arguments, places, races, banks.
#include "ir/tir/emulator/machine.h"

namespace temper::tir::emulator {

Slot Machine::load(int buffer, std::span<const int64_t> indices, const Node* where) {
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

bool Machine::fail_unwritten() {
  if (block_ < 0 || here_->unwritten.empty())
    return false;
  fail(here_->unwritten_where, here_->unwritten);
  return true;
}

std::string Machine::position() const {
  if (block_ < 0)
    return {};
  return fmt::format(" (block {})", triple(block_, grid_));
}

std::string Machine::triple(int64_t number, const int64_t* extents) {
  const int64_t x = number % extents[0];
  const int64_t y = number / extents[0] % extents[1];
  const int64_t z = number / extents[0] / extents[1];
  if (extents[2] > 1)
    return fmt::format("({}, {}, {})", x, y, z);
  return extents[1] > 1 ? fmt::format("({}, {})", x, y) : fmt::format("{}", x);
}

std::string Machine::thread(int warp, int lane) const {
  const int block_warps = std::max(block_warps_, 1);
  const std::string text =
      "thread " + triple(int64_t{warp % block_warps} * kLanes + lane, threads_);
  const auto block = static_cast<size_t>(warp / block_warps);
  return block_ < 0 || block >= running_ || &blocks_[block] == here_
             ? text
             : text + " of block " + triple(blocks_[block].number, grid_);
}

Result<void> Machine::bind(const PrimFunc& function, std::span<const InterpretArgument> arguments) {
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

Result<int64_t> Machine::host_value(const Expr& expr) {
  // Constants and symbolic dimensions, and arithmetic on them.
  if (const auto value = as_int(expr))
    return *value;
  interpreter::Compiler compiler;
  std::vector<std::pair<int, int>> slots;
  std::vector<const VarNode*> vars;
  const auto collect = [&](auto&& self, const NodeRef& node) -> void {
    if (const auto* var = node.as<VarNode>())
      vars.push_back(var);
    node->info().for_each_child(node.get(), [&](const NodeRef& child, Role) { self(self, child); });
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

int64_t Machine::locate(int buffer, std::span<const int64_t> indices, const Node* where,
                        bool may_be_outside) {
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
        fail(where, fmt::format("index {} in dimension {} of {} is outside its shape [{}], in {}; "
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

const LayoutMap& Machine::layout_map(int buffer) {
  auto& map = layouts_[buffer];
  if (!map)
    map = std::make_unique<LayoutMap>(*program_.buffers[static_cast<size_t>(buffer)].layout);
  return *map;
}

std::byte* Machine::address(int buffer, int64_t element) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
  const int64_t bytes = info.buffer->dtype.element_bytes();
  if (info.where == Where::kGlobal)
    return globals_[static_cast<size_t>(buffer)].data + element * bytes;
  return here_->arena.data() + info.arena + element * bytes;
}

Slot Machine::get(int buffer, int64_t element) {
  const DataType dtype = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype;
  uint64_t bits = 0;
  std::memcpy(&bits, address(buffer, element), static_cast<size_t>(dtype.element_bytes()));
  return from_bits(dtype, bits);
}

void Machine::put(int buffer, int64_t element, Slot value) {
  const DataType dtype = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype;
  const uint64_t bits = bits_of(dtype, value);
  std::memcpy(address(buffer, element), &bits, static_cast<size_t>(dtype.element_bytes()));
}

Slot Machine::load_local(int buffer, int lane, int64_t element, const Node* where) {
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

void Machine::store_local(int buffer, int lane, int64_t element, Slot value, const Node* where) {
  LocalMemory& memory = local(buffer, lane);
  const auto i = static_cast<size_t>(element);
  if (!check_pending(memory, buffer, element, where) ||
      !check_reading(memory, buffer, element, where))
    return;
  memory.bits[i] = bits_of(program_.buffers[static_cast<size_t>(buffer)].buffer->dtype, value);
  memory.written[i] = 1;
}

bool Machine::check_pending(LocalMemory& memory, int buffer, int64_t element, const Node* where) {
  uint32_t& pending = memory.pending[static_cast<size_t>(element)];
  if (pending == 0)
    return true;
  if (warp_->knows.at(static_cast<size_t>(warp_->products.component)) >= pending) {
    pending = 0;
    return true;
  }
  fail(where, fmt::format("{}[{}] is touched while an asynchronous product still works on it; put "
                          "T.warpgroup_commit_batch() and T.warpgroup_wait(0) before",
                          program_.buffers[static_cast<size_t>(buffer)].buffer->name, element));
  return false;
}

bool Machine::check_reading(LocalMemory& memory, int buffer, int64_t element, const Node* where) {
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

LocalMemory& Machine::local(int buffer, int lane) {
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

Actor Machine::actor(const Node* where) {
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

bool Machine::note_host(Shadow& shadow, int64_t element) {
  if (!shadow.empty() && host_writes_)
    shadow[static_cast<size_t>(element)].written = true;
  return true;
}

bool Machine::check_read(int buffer, int64_t element, const Actor& actor) {
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

bool Machine::check_write(int buffer, int64_t element, const Actor& actor, bool same_value) {
  const bool global = program_.buffers[static_cast<size_t>(buffer)].where == Where::kGlobal;
  host_writes_ = true;
  const bool good = each_cell(buffer, element, [&](Shadow& shadow, size_t cell) {
    const Conflict found = shadow.write(cell, actor, global ? -1 : buffer, warp_count_, same_value);
    return !found || explain(found, buffer, element, actor, true);
  });
  host_writes_ = false;
  return good;
}

std::string Machine::element_name(int buffer, int64_t element) {
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

bool Machine::explain(const Conflict& found, int buffer, int64_t element, const Actor& actor,
                      bool is_write) {
  using Kind = Conflict::Kind;
  const std::string name = element_name(buffer, element);
  const std::string who = actor.component < warp_count_
                              ? thread(actor.warp, actor.lane)
                              : "an asynchronous operation of " + thread(actor.warp, actor.lane);
  const std::string other =
      found.other_asynchronous ? fmt::format("an asynchronous operation ({})", line_of(found.other))
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
    text = fmt::format("race on {} between blocks: {} {} it, another block {} it ({}); blocks run "
                       "in any order",
                       name, who, verb, found.other_is_write ? "writes" : "reads",
                       line_of(found.other));
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

void Machine::note_access(int buffer, int64_t element, const Node* where, bool is_store) {
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

void Machine::count_requests() {
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

uint32_t Machine::holds(Warp& warp, uint32_t mask, interpreter::Code& condition) {
  uint32_t result = 0;
  each_lane(warp, mask, [&](int lane) {
    if (condition.scalar(*frame_).i != 0)
      result |= 1u << lane;
  });
  return result;
}

Mask* Machine::innermost_loop(Warp& warp) {
  for (size_t i = warp.stack.size(); i-- > 0;)
    if (warp.stack[i].is_loop)
      return &warp.stack[i];
  return nullptr;
}

uint32_t Machine::gone(Warp& warp) {
  const Mask* loop = innermost_loop(warp);
  return warp.returned | (loop != nullptr ? loop->broken | loop->continued : 0);
}

} // namespace temper::tir::emulator
