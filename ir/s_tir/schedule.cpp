#include "ir/s_tir/schedule.h"

#include "ir/s_tir/detail/storage_scope.h"
#include "ir/s_tir/primitives/common.h"
#include "ir/support/text.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <unordered_set>

namespace temper::s_tir {
namespace {

/// Handles name blocks by id, so that ids must be there and unique. Modules from the parser are;
/// a module put together from parts may not be.
IRModule with_block_ids(const IRModule& module) {
  std::unordered_set<BlockId> seen;
  bool unique = true;
  walk(module, [&](const NodeRef& node) {
    if (node->kind() == SBlock::kKind) {
      const BlockId id = static_cast<const SBlock&>(*node).id;
      unique &= id != 0 && seen.insert(id).second;
      reserve_block_ids(id);
    }
    return node->kind() >= kFunctionKinds; // expressions hold no blocks
  });
  if (unique)
    return module;
  seen.clear();
  return cast_ref<IRModuleNode>(rewrite_post(module, [&](const NodeRef& node) -> NodeRef {
    if (node->kind() != SBlock::kKind)
      return node;
    const auto& block = static_cast<const SBlock&>(*node);
    if (block.id != 0 && seen.insert(block.id).second)
      return node;
    return copy_node(block, [](SBlock& copy) { copy.id = new_block_id(); });
  }));
}

RvKind rv_kind(ValueKind kind) {
  if (kind == ValueKind::kBlock)
    return RvKind::kBlock;
  return kind == ValueKind::kLoop ? RvKind::kLoop : RvKind::kExpr;
}

Error with_name(const Primitive& primitive, Error error) {
  error.message = fmt::format("{}: {}", primitive.python_name, error.message);
  return error;
}

/// What sample_perfect_tile gives for the outermost factor of a symbolic extent is None, as in TVM.
Error open_factor(Rv rv) {
  return Error(ErrorCode::kIllegal,
               fmt::format("{} is None, the outermost factor of a symbolic extent, which split "
                           "infers; there is no number to take",
                           rv.name()));
}

/// A sampled factor that is None goes where None may stand, and nowhere else.
Result<void> require_value(const Operand& operand, const Value& value) {
  if (const Rv* rv = operand.as_rv(); rv != nullptr && value.is_none())
    return open_factor(*rv);
  if (const auto* list = operand.as_list())
    for (size_t i = 0; i < list->size(); ++i)
      TEMPER_TRY_VOID(require_value((*list)[i], (*value.as_list())[i]));
  return {};
}

Result<void> require_values(const Primitive& primitive, const std::vector<Operand>& operands,
                            const std::vector<Value>& values) {
  for (size_t i = 0; i < operands.size(); ++i)
    if (primitive.inputs[std::min(i, primitive.inputs.size() - 1)].kind != ValueKind::kIntOrNone)
      TEMPER_TRY_VOID(require_value(operands[i], values[i]));
  return {};
}

} // namespace

Schedule::Schedule(IRModule module, uint64_t seed)
    : module_(with_block_ids(module)), random_(seed) {}

Result<Value> Schedule::get(Rv rv) const {
  if (rv.index >= table_.size())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("there is no {} in this schedule, which has {} random variables",
                             rv.name(), table_.size()));
  const Entry& entry = table_[rv.index];
  if (entry.value.is_none()) {
    if (entry.gone_by < 0)
      return open_factor(rv);
    return Error(ErrorCode::kIllegal,
                 fmt::format("{} is gone: {} replaced or removed it (instruction {})", rv.name(),
                             trace_[static_cast<size_t>(entry.gone_by)].primitive->python_name,
                             entry.gone_by));
  }
  return entry.value;
}

Result<Value> Schedule::resolve(const Operand& operand) const {
  if (const Rv* rv = operand.as_rv()) {
    if (rv->index < table_.size() && table_[rv->index].gone_by < 0)
      return table_[rv->index].value; // None: require_values() looks who takes it
    return get(*rv);
  }
  if (const auto* list = operand.as_list()) {
    Value::List values;
    values.reserve(list->size());
    for (const Operand& item : *list) {
      TEMPER_TRY(value, resolve(item));
      values.push_back(std::move(value));
    }
    return Value(std::move(values));
  }
  if (const auto* number = std::get_if<int64_t>(&operand.data))
    return Value(*number);
  if (const auto* real = std::get_if<double>(&operand.data))
    return Value(*real);
  if (const auto* text = std::get_if<std::string>(&operand.data))
    return Value(*text);
  return Value();
}

Result<Value> Schedule::perform(const Primitive& primitive, const Arguments& arguments,
                                std::vector<Rv>& outputs) {
  for (size_t i = 0; i < arguments.attrs.size(); ++i)
    if (primitive.attrs[i].name == kStorageScope)
      TEMPER_TRY_VOID(require_storage_scope(*arguments.attrs[i].as_string()));
  const uint64_t random_state = random_.state();
  auto applied = primitive.apply({module_, &random_, render_errors_}, arguments);
  if (!applied) {
    random_ = Random::from_state(random_state);
    return std::move(applied).error();
  }
  TEMPER_CHECK(primitive.variadic_output || applied->outputs.size() == primitive.outputs.size(),
               primitive.name.c_str());
  module_ = std::move(applied->module);
  const auto instruction = static_cast<int32_t>(trace_.size());
  for (const Applied::Move& move : applied->moved)
    for (Entry& entry : table_)
      if (entry.value == move.from) {
        entry.value = move.to;
        if (move.to.is_none())
          entry.gone_by = instruction;
      }
  outputs.reserve(applied->outputs.size());
  for (size_t i = 0; i < applied->outputs.size(); ++i) {
    const ValueKind kind = primitive.variadic_output ? primitive.outputs[0] : primitive.outputs[i];
    outputs.push_back({rv_kind(kind), static_cast<uint32_t>(table_.size())});
    table_.push_back({std::move(applied->outputs[i]), -1});
  }
  return std::move(applied->decision);
}

Result<std::vector<Rv>> Schedule::call(const Primitive& primitive, std::vector<Operand> inputs,
                                       std::vector<Value> attrs, Value decision) {
  TEMPER_TRY_VOID(complete_arguments(primitive, inputs, attrs));
  Arguments arguments;
  arguments.inputs.reserve(inputs.size());
  for (const Operand& operand : inputs) {
    auto value = resolve(operand);
    if (!value)
      return with_name(primitive, std::move(value).error());
    arguments.inputs.push_back(*std::move(value));
  }
  if (auto numbers = require_values(primitive, inputs, arguments.inputs); !numbers)
    return with_name(primitive, std::move(numbers).error());
  arguments.attrs = std::move(attrs);
  arguments.decision = std::move(decision);
  std::vector<Rv> outputs;
  auto made = perform(primitive, arguments, outputs);
  if (!made)
    return with_name(primitive, std::move(made).error());
  trace_.append(Instruction{&primitive, std::move(inputs), std::move(arguments.attrs), outputs,
                            *std::move(made)});
  return outputs;
}

Result<std::vector<Rv>> Schedule::call(std::string_view name, std::vector<Operand> inputs,
                                       std::vector<Value> attrs, Value decision) {
  const Primitive* primitive = find_primitive(name);
  if (primitive == nullptr)
    return unknown_primitive(name);
  return call(*primitive, std::move(inputs), std::move(attrs), std::move(decision));
}

template <typename F> auto Schedule::all_or_nothing(F body) {
  Schedule before = *this;
  auto result = body();
  if (!result)
    *this = std::move(before);
  return result;
}

Result<Rv> Schedule::name_of(const Value& handle) {
  return all_or_nothing([&] { return find_or_make_name(handle); });
}

Result<Rv> Schedule::find_or_make_name(const Value& handle) {
  if (const std::vector<Rv> names = names_of(handle); !names.empty())
    return names[0];
  auto name_in = [&](const PrimFunc& function) {
    for (const ModuleEntry& entry : module_->functions)
      if (entry.function == function)
        return entry.name;
    TEMPER_UNREACHABLE("the function is in the module");
  };
  auto pick = [&](Result<std::vector<Rv>> rvs) -> Result<Rv> {
    if (!rvs)
      return std::move(rvs).error();
    for (const Rv& rv : *rvs)
      if (table_[rv.index].value == handle)
        return rv;
    return Error(ErrorCode::kIllegal, "the module's getters do not reach this place");
  };
  if (const BlockHandle* block = handle.as_block()) {
    const auto place = find_block(module_, *block);
    if (!place)
      return Error(ErrorCode::kIllegal, "the block is not in this module (any more)");
    if (auto found = get_sblock(place->block()->name, name_in(place->function)))
      return Rv(*found);
    // Its name is not unique; its parent's children are.
    const Block parent = enclosing_block(place->chain);
    if (!parent)
      return Error(ErrorCode::kIllegal, "there are two root blocks in one function");
    TEMPER_TRY(name, find_or_make_name(BlockHandle{parent->id}));
    return pick(call("GetChildBlocks", {name}));
  }
  if (const LoopHandle* loop = handle.as_loop()) {
    const auto place = find_loop(module_, *loop);
    if (!place)
      return Error(ErrorCode::kIllegal, "the loop is not in this module (any more)");
    Value below;
    for_each_child_block(place->loop->body, [&](const BlockRealize& realize) {
      if (below.is_none())
        below = BlockHandle{realize->block->id};
    });
    if (below.is_none())
      return Error(ErrorCode::kIllegal, "there is no block below this loop to find it by");
    TEMPER_TRY(name, find_or_make_name(below));
    return pick(call("GetLoops", {name}));
  }
  return Error(ErrorCode::kInvalidArgument, "only blocks and loops have names");
}

Result<std::vector<Rv>> Schedule::call(const Primitive& primitive, const Arguments& arguments) {
  return all_or_nothing([&] { return call_by_handles(primitive, arguments); });
}

Result<std::vector<Rv>> Schedule::call_by_handles(const Primitive& primitive,
                                                  const Arguments& arguments) {
  auto named = [&](auto&& self, const Value& value) -> Result<Operand> {
    if (value.as_block() != nullptr || value.as_loop() != nullptr) {
      TEMPER_TRY(rv, find_or_make_name(value));
      return Operand(rv);
    }
    if (const auto* list = value.as_list()) {
      Operand::List operands;
      for (const Value& item : *list) {
        TEMPER_TRY(operand, self(self, item));
        operands.push_back(std::move(operand));
      }
      return Operand(std::move(operands));
    }
    return std::visit(Overloaded{[](std::monostate) { return Operand(); },
                                 [](int64_t number) { return Operand(number); },
                                 [](double number) { return Operand(number); },
                                 [](const std::string& text) { return Operand(text); },
                                 [](const auto&) { return Operand(); }},
                      value.data);
  };
  std::vector<Operand> inputs;
  for (const Value& input : arguments.inputs) {
    TEMPER_TRY(operand, named(named, input));
    inputs.push_back(std::move(operand));
  }
  return call(primitive, std::move(inputs), arguments.attrs, arguments.decision);
}

Result<Block> Schedule::get_block(BlockRv block) const {
  TEMPER_TRY(value, get(block));
  const auto place = find_block(module_, *value.as_block());
  TEMPER_CHECK(place.has_value(), "the table names a block that is not in the module");
  return place->realize->block;
}

Result<Ref<For>> Schedule::get_loop(LoopRv loop) const {
  TEMPER_TRY(value, get(loop));
  if (value.as_loop() == nullptr)
    return Error(ErrorCode::kIllegal,
                 fmt::format("{} is no loop but the location \"{}\"", loop.name(),
                             *value.as_int() == kInlineLocation ? "inline" : "root"));
  const auto place = find_loop(module_, *value.as_loop());
  TEMPER_CHECK(place.has_value(), "the table names a loop that is not in the module");
  return place->loop;
}

std::vector<Rv> Schedule::names_of(const Value& handle) const {
  std::vector<Rv> names;
  for (size_t i = 0; i < table_.size(); ++i)
    if (table_[i].value == handle)
      names.push_back({handle.as_block() != nullptr ? RvKind::kBlock : RvKind::kLoop,
                       static_cast<uint32_t>(i)});
  return names;
}

namespace {

/// A trace's random variable in the numbering of the schedule it is replayed on; false when
/// unknown.
bool renumber(Operand& operand, std::span<const Rv> known) {
  if (auto* rv = std::get_if<Rv>(&operand.data)) {
    if (rv->index >= known.size())
      return false;
    *rv = known[rv->index];
    return true;
  }
  if (auto* list = std::get_if<Operand::List>(&operand.data))
    for (Operand& item : *list)
      if (!renumber(item, known))
        return false;
  return true;
}

} // namespace

Result<void> Schedule::apply(const Trace& trace, const ReplayOptions& options) {
  return all_or_nothing([&] { return apply_each(trace, options); });
}

Result<void> Schedule::apply_each(const Trace& trace, const ReplayOptions& options) {
  // On a fresh schedule the numbering is the trace's own, and its instructions can be shared.
  bool same_numbers = table_.empty();
  const size_t count = trace.size(); // the trace may be our own, which grows
  std::vector<Rv> known;             // by the trace's number
  for (size_t index = 0; index < count; ++index) {
    const Instruction& instruction = trace[index];
    const Primitive& primitive = *instruction.primitive;
    auto failed = [&](Error error) {
      return with_name(primitive, std::move(error))
          .with_note(fmt::format("instruction {} of the trace", index));
    };
    std::vector<Operand> inputs;
    if (!same_numbers) {
      inputs = instruction.inputs;
      for (Operand& operand : inputs)
        if (!renumber(operand, known))
          return failed(Error(ErrorCode::kCorrupt, "an input names a random variable that no "
                                                   "earlier instruction makes"));
    }
    Arguments arguments;
    arguments.inputs.reserve(instruction.inputs.size());
    const std::vector<Operand>& operands = same_numbers ? instruction.inputs : inputs;
    for (const Operand& operand : operands) {
      auto value = resolve(operand);
      if (!value)
        return failed(std::move(value).error());
      arguments.inputs.push_back(*std::move(value));
    }
    if (auto numbers = require_values(primitive, operands, arguments.inputs); !numbers)
      return failed(std::move(numbers).error());
    arguments.attrs = instruction.attrs;
    arguments.decision = instruction.decision;
    if (primitive.has_decision) {
      if (arguments.decision.is_none() && !options.sample_missing)
        return failed(Error(ErrorCode::kInvalidArgument, "the decision is missing"));
      if (!arguments.decision.is_none() && options.adapt && primitive.adapt != nullptr)
        arguments.decision = primitive.adapt({module_, &random_, render_errors_}, arguments);
    }
    std::vector<Rv> outputs;
    auto decision = perform(primitive, arguments, outputs);
    if (!decision)
      return failed(std::move(decision).error());
    const size_t made = outputs.size();
    // A call whose list of results got no name, in Python: nothing refers to them, and what follows
    // is numbered on from behind them.
    const bool unnamed = primitive.variadic_output && instruction.outputs.empty();
    if (same_numbers && outputs == instruction.outputs && *decision == instruction.decision)
      trace_.append(trace.shared(index));
    else
      trace_.append(Instruction{&primitive, same_numbers ? instruction.inputs : std::move(inputs),
                                std::move(arguments.attrs), outputs, *std::move(decision)});
    if (unnamed && made != 0) {
      same_numbers = false;
      continue;
    }
    if (made != instruction.outputs.size())
      return failed(
          Error(ErrorCode::kIllegal,
                fmt::format(
                    "it gives {} results here, the trace has {}: the trace was made for a program "
                    "of another structure",
                    made, instruction.outputs.size())));
    known.insert(known.end(), outputs.begin(), outputs.end());
  }
  return {};
}

Result<Schedule> replay(const Trace& trace, const IRModule& module, uint64_t seed,
                        const ReplayOptions& options) {
  Schedule schedule(module, seed);
  TEMPER_TRY_VOID(schedule.apply(trace, options));
  return schedule;
}

// Typed calls -----------------------------------------------------------------------------------

namespace {

template <typename RvType> std::vector<RvType> as(const std::vector<Rv>& rvs) {
  std::vector<RvType> result;
  result.reserve(rvs.size());
  for (const Rv& rv : rvs)
    result.emplace_back(rv);
  return result;
}
template <typename RvType> Result<RvType> one(Result<std::vector<Rv>> rvs) {
  if (!rvs)
    return std::move(rvs).error();
  return RvType(rvs->at(0));
}
template <typename RvType> Result<std::vector<RvType>> many(Result<std::vector<Rv>> rvs) {
  if (!rvs)
    return std::move(rvs).error();
  return as<RvType>(*rvs);
}
Result<void> none(Result<std::vector<Rv>> rvs) {
  if (!rvs)
    return std::move(rvs).error();
  return {};
}
template <typename RvType> Operand::List operands(const std::vector<RvType>& rvs) {
  Operand::List list;
  list.reserve(rvs.size());
  for (const Rv& rv : rvs)
    list.emplace_back(rv);
  return list;
}
template <typename T> Value::List values(const std::vector<T>& items) {
  return Value::List(items.begin(), items.end());
}
Value decided(std::optional<int64_t> decision) { return decision ? Value(*decision) : Value(); }

} // namespace

Result<BlockRv> Schedule::get_sblock(const std::string& name, const std::string& function) {
  std::string in = function;
  if (in.empty())
    in = module_->functions.size() == 1 ? module_->functions[0].name : "main";
  return one<BlockRv>(call("GetSBlock", {}, {name, in}));
}
Result<std::vector<LoopRv>> Schedule::get_loops(BlockRv block) {
  return many<LoopRv>(call("GetLoops", {block}));
}
Result<std::vector<BlockRv>> Schedule::get_child_blocks(Rv block_or_loop) {
  return many<BlockRv>(call("GetChildBlocks", {block_or_loop}));
}
Result<std::vector<BlockRv>> Schedule::get_producers(BlockRv block) {
  return many<BlockRv>(call("GetProducers", {block}));
}
Result<std::vector<BlockRv>> Schedule::get_consumers(BlockRv block) {
  return many<BlockRv>(call("GetConsumers", {block}));
}
Result<std::vector<BlockRv>> Schedule::get_output_blocks(BlockRv scope_block) {
  return many<BlockRv>(call("GetOutputBlocks", {scope_block}));
}
Result<std::vector<ExprRv>> Schedule::sample_perfect_tile(LoopRv loop, int n,
                                                          int64_t max_innermost_factor,
                                                          std::vector<int64_t> decision) {
  return many<ExprRv>(call("SamplePerfectTile", {loop}, {n, max_innermost_factor},
                           decision.empty() ? Value() : Value(values(decision))));
}
Result<ExprRv> Schedule::sample_categorical(const std::vector<int64_t>& candidates,
                                            const std::vector<double>& probabilities,
                                            std::optional<int64_t> decision) {
  return one<ExprRv>(call("SampleCategorical", {}, {values(candidates), values(probabilities)},
                          decided(decision)));
}
Result<LoopRv> Schedule::sample_compute_location(BlockRv block, std::optional<int64_t> decision) {
  return one<LoopRv>(call("SampleComputeLocation", {block}, {}, decided(decision)));
}
Result<std::vector<LoopRv>> Schedule::split(LoopRv loop, std::vector<Operand> factors,
                                            bool preserve_unit_iters, bool disable_predication) {
  factors.insert(factors.begin(), loop);
  return many<LoopRv>(
      call("Split", std::move(factors), {preserve_unit_iters, disable_predication}));
}
Result<LoopRv> Schedule::fuse(const std::vector<LoopRv>& loops, bool preserve_unit_iters) {
  return one<LoopRv>(call("Fuse", operands(loops), {preserve_unit_iters}));
}
Result<void> Schedule::reorder(const std::vector<LoopRv>& loops) {
  return none(call("Reorder", operands(loops)));
}
Result<void> Schedule::parallel(LoopRv loop) { return none(call("Parallel", {loop})); }
Result<void> Schedule::vectorize(LoopRv loop) { return none(call("Vectorize", {loop})); }
Result<void> Schedule::unroll(LoopRv loop) { return none(call("Unroll", {loop})); }
Result<void> Schedule::annotate(Rv block_or_loop, const std::string& key, Operand value) {
  return none(call("Annotate", {block_or_loop, std::move(value)}, {key}));
}
Result<void> Schedule::unannotate(Rv block_or_loop, const std::string& key) {
  return none(call("Unannotate", {block_or_loop}, {key}));
}
Result<BlockRv> Schedule::cache_read(BlockRv block, int64_t read_buffer_index,
                                     const std::string& scope,
                                     const std::vector<BlockRv>& consumers) {
  return one<BlockRv>(call("CacheRead", {block, operands(consumers)}, {read_buffer_index, scope}));
}
Result<BlockRv> Schedule::cache_write(BlockRv block, int64_t write_buffer_index,
                                      const std::string& scope,
                                      const std::vector<BlockRv>& consumers) {
  return one<BlockRv>(
      call("CacheWrite", {block, operands(consumers)}, {write_buffer_index, scope}));
}
Result<void> Schedule::transform_layout(BlockRv block, int64_t buffer_index,
                                        const std::string& buffer_index_type,
                                        const std::string& index_map,
                                        const std::vector<Operand>& parameters) {
  std::vector<Operand> inputs = parameters;
  inputs.insert(inputs.begin(), block);
  return none(
      call("TransformLayout", std::move(inputs), {buffer_index, buffer_index_type, index_map}));
}
Result<void> Schedule::compute_at(BlockRv block, LoopRv loop, bool preserve_unit_loops,
                                  int64_t index) {
  return none(call("ComputeAt", {block, loop}, {preserve_unit_loops, index}));
}
Result<void> Schedule::reverse_compute_at(BlockRv block, LoopRv loop, bool preserve_unit_loops,
                                          int64_t index) {
  return none(call("ReverseComputeAt", {block, loop}, {preserve_unit_loops, index}));
}
Result<void> Schedule::compute_inline(BlockRv block) {
  return none(call("ComputeInline", {block}));
}
Result<void> Schedule::reverse_compute_inline(BlockRv block) {
  return none(call("ReverseComputeInline", {block}));
}
Result<BlockRv> Schedule::convert_operand(BlockRv block, int64_t read_buffer_index,
                                          const std::string& dtype) {
  return one<BlockRv>(call("ConvertOperand", {block}, {read_buffer_index, dtype}));
}
Result<std::vector<BlockRv>> Schedule::offset_operand(BlockRv block, int64_t read_buffer_index,
                                                      int64_t offset, const std::string& dtype) {
  return many<BlockRv>(call("OffsetOperand", {block}, {read_buffer_index, offset, dtype}));
}
Result<BlockRv> Schedule::blockize(LoopRv target, bool preserve_unit_iters) {
  return one<BlockRv>(call("Blockize", {target}, {preserve_unit_iters}));
}
Result<void> Schedule::tensorize(Rv block_or_loop, const std::string& tensor_intrin,
                                 bool preserve_unit_iters) {
  return none(call("Tensorize", {block_or_loop}, {tensor_intrin, preserve_unit_iters}));
}
Result<BlockRv> Schedule::decompose_reduction(BlockRv block, LoopRv loop) {
  return one<BlockRv>(call("DecomposeReduction", {block, loop}));
}
Result<BlockRv> Schedule::rfactor(LoopRv loop, int64_t factor_axis) {
  return one<BlockRv>(call("RFactor", {loop}, {factor_axis}));
}
Result<void> Schedule::pack_ahead(BlockRv block) { return none(call("PackAhead", {block})); }
Result<void> Schedule::enter_postproc() { return none(call("EnterPostproc", {})); }

} // namespace temper::s_tir
