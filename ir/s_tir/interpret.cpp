// Blocks in the interpreter: axes take their values when the predicate holds, init runs when all
// reduction axes are at their start, then the body. An axis outside its domain is an error: the
// schedule lost a predicate.
#include "ir/detail/interpreter.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/layer.h"

namespace temper::s_tir {
namespace {

using namespace ir::interpreter; // NOLINT: this is a part of it

class RealizeAction final : public Action {
public:
  struct Axis {
    size_t slot;
    bool reduce;
    CodePtr value;
    CodePtr min;
    CodePtr extent;
  };
  struct Allocation {
    size_t slot;
    DataType dtype;
    std::vector<CodePtr> shape;
  };
  struct Match {
    size_t source;
    size_t slot;
    std::vector<CodePtr> starts;
    std::vector<CodePtr> shape;
    /// Slots of symbolic strides and offset that the view defines; -1 = none.
    std::vector<int> stride_slots;
    int offset_slot = -1;
  };

  const SBlockRealize* node = nullptr;
  CodePtr predicate;
  std::vector<Axis> axes;
  std::vector<Allocation> allocations;
  std::vector<Match> matches;
  ActionPtr init;
  ActionPtr body;

  Flow run(Frame& frame) override {
    if (!frame.step(node))
      return Flow::kError;
    // Values first: an axis' value may not see the axes set before it.
    Scratch values(frame, static_cast<int>(axes.size()) + 1);
    for (size_t i = 0; i < axes.size(); ++i)
      values[static_cast<int>(i)] = axes[i].value->scalar(frame);
    const bool holds = predicate->scalar(frame).i != 0;
    if (frame.failed())
      return Flow::kError;
    if (!holds)
      return Flow::kNext;
    bool at_start = true;
    for (size_t i = 0; i < axes.size(); ++i) {
      const Axis& axis = axes[i];
      const int64_t value = values[static_cast<int>(i)].i;
      const int64_t min = axis.min->scalar(frame).i;
      const int64_t extent = axis.extent->scalar(frame).i;
      if (value < min || value >= min + extent) {
        frame.fail(node, "axis '" + node->block->iter_vars[i].var->name + "' of block '" +
                             node->block->name + "' is " + std::to_string(value) +
                             ", outside its domain [" + std::to_string(min) + ", " +
                             std::to_string(min + extent) + ")");
        return Flow::kError;
      }
      frame.vars[axis.slot].i = value;
      at_start &= !axis.reduce || value == min;
    }
    for (const Allocation& allocation : allocations) {
      BufferState& state = frame.buffers[allocation.slot];
      state.shape.resize(allocation.shape.size());
      for (size_t d = 0; d < allocation.shape.size(); ++d)
        state.shape[d] = allocation.shape[d]->scalar(frame).i;
      state.allocate(allocation.dtype);
    }
    for (const Match& match : matches)
      view(frame, match);
    if (frame.failed())
      return Flow::kError;
    if (init && at_start)
      if (const Flow flow = init->run(frame); flow != Flow::kNext)
        return flow;
    return body->run(frame);
  }

private:
  static void view(Frame& frame, const Match& match) {
    const BufferState& source = frame.buffers[match.source];
    BufferState& state = frame.buffers[match.slot];
    state.data = source.data;
    state.count = source.count;
    state.stamps = source.stamps;
    state.generation = source.generation;
    state.offset = source.offset;
    for (size_t d = 0; d < match.starts.size(); ++d)
      state.offset += match.starts[d]->scalar(frame).i * source.strides[d];
    // A view of fewer dimensions leaves out leading ones, of extent 1.
    const size_t dropped = match.starts.size() - match.shape.size();
    state.shape.resize(match.shape.size());
    state.strides.resize(match.shape.size());
    for (size_t d = 0; d < match.shape.size(); ++d) {
      state.strides[d] = source.strides[d + dropped];
      if (match.stride_slots[d] >= 0)
        frame.vars[static_cast<size_t>(match.stride_slots[d])].i = state.strides[d];
    }
    if (match.offset_slot >= 0)
      frame.vars[static_cast<size_t>(match.offset_slot)].i = state.offset;
    for (size_t d = 0; d < match.shape.size(); ++d)
      state.shape[d] = match.shape[d]->scalar(frame).i;
  }
};

ActionPtr compile_realize(Compiler& compiler, const Stmt& stmt) {
  const auto& realize = static_cast<const SBlockRealize&>(*stmt);
  const SBlock& block = *realize.block;
  auto action = std::make_unique<RealizeAction>();
  action->node = &realize;
  if (realize.iter_values.size() != block.iter_vars.size()) {
    compiler.fail(&realize,
                  "block '" + block.name + "' has " + std::to_string(block.iter_vars.size()) +
                      " axes and " + std::to_string(realize.iter_values.size()) +
                      " values for them",
                  ErrorCode::kFailed);
    return action;
  }
  action->predicate = compiler.compile(realize.predicate);
  for (const Expr& value : realize.iter_values)
    action->axes.push_back({0, false, compiler.compile(value), nullptr, nullptr});
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const IterVar& iter = block.iter_vars[i];
    auto& axis = action->axes[i];
    axis.min = compiler.compile(iter.domain.min);
    axis.extent = compiler.compile(iter.domain.extent);
    axis.slot = static_cast<size_t>(compiler.define(iter.var));
    axis.reduce = iter.type == IterType::kReduce;
  }
  for (const Buffer& buffer : block.alloc_buffers) {
    std::vector<CodePtr> shape = compiler.compile(buffer->shape);
    action->allocations.push_back(
        {static_cast<size_t>(compiler.define(buffer)), buffer->dtype, std::move(shape)});
  }
  for (const MatchBufferRegion& match : block.match_buffers) {
    const Buffer& buffer = match.buffer;
    RealizeAction::Match code;
    const int source = compiler.slot_of(match.source.buffer, &realize);
    if (source < 0)
      return action;
    if (match.source.region.size() < buffer->shape.size()) {
      compiler.fail(&realize,
                    "matched buffer '" + buffer->name + "' has more dimensions than what it views",
                    ErrorCode::kFailed);
      return action;
    }
    code.source = static_cast<size_t>(source);
    for (const Range& range : match.source.region)
      code.starts.push_back(compiler.compile(range.min));
    const auto define_symbol = [&](const Expr& expr) {
      const Var var = expr ? expr.as_ref<VarNode>() : nullptr;
      return var && !compiler.is_defined(var.get()) ? compiler.define(var) : -1;
    };
    code.stride_slots.assign(buffer->shape.size(), -1);
    for (size_t d = 0; d < buffer->strides.size() && d < buffer->shape.size(); ++d)
      code.stride_slots[d] = define_symbol(buffer->strides[d]);
    code.offset_slot = define_symbol(buffer->elem_offset);
    code.shape = compiler.compile(buffer->shape);
    code.slot = static_cast<size_t>(compiler.define(buffer));
    action->matches.push_back(std::move(code));
  }
  if (block.init)
    action->init = compiler.compile(block.init);
  action->body = compiler.compile(block.body);
  return action;
}

} // namespace

void register_interpreter_of_blocks() {
  register_interpreter(SBlockRealize::kKind, compile_realize);
}

} // namespace temper::s_tir
