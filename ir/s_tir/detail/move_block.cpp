#include "ir/s_tir/detail/move_block.h"

#include "ir/s_tir/detail/nest.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace temper::s_tir {
namespace {

/// Where below the target loop the block may stand.
struct Slot {
  std::vector<Stmt> siblings;
  size_t earliest = 0; ///< behind the last producer
  size_t latest = 0;   ///< in front of the first consumer
};

std::vector<Stmt> statements_of(const Stmt& body) {
  if (const auto* seq = body.as<SeqStmt>())
    return seq->statements;
  return {body};
}

/// One end of what the indices of an access say about an axis: `lo <= axis <= hi`.
struct Constraint {
  const VarNode* axis;
  LinearInterval range;
};

/// What `form` (an index of `extent` elements, over the block's axes) lying in `range` says about
/// an axis; nothing when it says nothing simple.
std::optional<Constraint> solve(IndexMath& math, const Linear& form, int64_t extent,
                                const LinearInterval& range) {
  if (form.terms.size() != 1)
    return std::nullopt;
  const Linear::Term& term = form.terms[0];
  const Linear lo = math.offset(range.lo, -form.constant);
  const Linear hi = math.offset(range.hi, -form.constant);
  if (const auto* axis = term.atom.as<VarNode>()) {
    if (term.factor <= 0)
      return std::nullopt;
    // axis * factor .. axis * factor + extent - 1 meets [lo, hi].
    const int64_t c = term.factor;
    return Constraint{
        axis, {math.floor_divide(math.offset(lo, c - extent), c), math.floor_divide(hi, c)}};
  }
  if (const auto* quotient = term.atom.as<FloorDiv>(); quotient != nullptr && term.factor == 1) {
    const auto* axis = quotient->a.as<VarNode>();
    const auto divisor = as_int(quotient->b);
    if (axis != nullptr && divisor)
      return Constraint{axis,
                        {math.scaled(math.offset(lo, 1 - extent), *divisor),
                         math.offset(math.scaled(hi, *divisor), *divisor - 1)}};
  }
  return std::nullopt;
}

/// What the accesses `regions` of the block to `buffer`, limited to `box`, leave of each axis.
void solve_axes(IndexMath& math, const SBlock& block, const std::vector<BufferRegion>& regions,
                const Buffer& buffer, const std::vector<LinearInterval>& box,
                std::vector<Wanted>& wanted) {
  for (const BufferRegion& region : regions) {
    if (region.buffer != buffer)
      continue;
    for (size_t d = 0; d < box.size(); ++d) {
      const auto extent = as_int(region.region[d].extent);
      if (!extent)
        continue;
      const auto constraint = solve(math, math.linear(region.region[d].min), *extent, box[d]);
      if (!constraint)
        continue;
      for (size_t i = 0; i < block.iter_vars.size(); ++i) {
        if (block.iter_vars[i].var.get() != constraint->axis)
          continue;
        if (!wanted[i]) {
          wanted[i] = constraint->range;
        } else {
          // Two indices bind one axis: the tighter one holds, when it is known which.
          if (math.proves_less_equal(wanted[i]->lo, constraint->range.lo))
            wanted[i]->lo = constraint->range.lo;
          if (math.proves_less_equal(constraint->range.hi, wanted[i]->hi))
            wanted[i]->hi = constraint->range.hi;
        }
      }
    }
  }
}

class Mover {
public:
  Mover(const Context& context, const Arguments& arguments, MoveDirection direction)
      : context_(context), arguments_(arguments), direction_(direction) {}

  Result<Applied> run();

private:
  Error error(std::string rule) const {
    return illegal(context_, arguments_.inputs[0], std::move(rule));
  }
  bool to_consumers() const { return direction_ == MoveDirection::kToConsumers; }
  const SBlock& block() const { return *scoped_.block(); }
  bool below_target(int child) const {
    const auto& loops = scoped_.info(child).loops;
    return loops.size() > depth_ && loops[depth_] == target_;
  }

  Result<void> find_target();
  Result<void> check_others();
  void leave_out_finished_producers();
  Result<Slot> find_slot();
  Result<std::vector<Wanted>> wanted_by_consumers();
  std::optional<std::vector<LinearInterval>> over_sharing_threads(std::vector<LinearInterval> box,
                                                                  const std::string& scope);
  Result<std::vector<Wanted>> offered_by_producers();
  Result<void> check_domain_is_reached(const std::vector<Wanted>& offered);
  /// The block as it stands below the target.
  ChildBlock place_of(const Nest& nest) const;
  /// How many of the loops down to the target the child stands below.
  size_t loops_shared_with(int child) const;
  Result<void> check_producers_are_ahead(const Nest& nest);
  Result<void> check_reads_are_ready(const Nest& nest);
  Result<void> check_order_of_reduction(const Nest& nest);
  Result<std::vector<Expr>> when_producers_run();
  Stmt edit(const Stmt& stmt, const Stmt& new_body) const;

  const Context& context_;
  const Arguments& arguments_;
  MoveDirection direction_;
  ScopedBlock scoped_;
  const For* target_ = nullptr;
  size_t depth_ = 0;              ///< of the target among the loops of its scope
  std::vector<const For*> outer_; ///< loops of the scope down to the target
  LoopPlace target_place_;
  std::vector<int> partners_; ///< consumers, or producers
  IndexMath math_;
  /// Per produced buffer: what an iteration of the target loop makes of it (reverse only).
  struct Produced {
    Buffer buffer;
    std::vector<LinearInterval> box;
  };
  std::vector<Produced> produced_;
};

Result<void> Mover::find_target() {
  TEMPER_TRY(place, require_loop(context_, arguments_.inputs[1]));
  target_place_ = std::move(place);
  target_ = target_place_.loop.get();
  const Block scope = enclosing_block(target_place_.chain);
  if (scope != scoped_.scope_block())
    return illegal(context_, arguments_.inputs[1],
                   fmt::format("loop {} is not in the scope of {}", target_->loop_var->name,
                               describe(scoped_.block())));
  for (const Ref<For>& loop : loops_of(target_place_.chain))
    outer_.push_back(loop.get());
  depth_ = outer_.size() - 1;
  if (below_target(scoped_.child))
    return error(fmt::format("{} is already below loop {}", describe(scoped_.block()),
                             target_->loop_var->name));
  return {};
}

Result<void> Mover::check_others() {
  const std::string name = describe(scoped_.block());
  partners_ = to_consumers() ? scoped_.scope.consumers(scoped_.child)
                             : scoped_.scope.producers(scoped_.child);
  if (to_consumers()) {
    for (const BufferRegion& write : block().writes)
      if (scoped_.scope.is_output(write.buffer))
        return error(fmt::format("{} writes {}, an output of its scope: all of it must be "
                                 "computed, not only what one loop needs",
                                 name, write.buffer->name));
  }
  if (partners_.empty())
    return error(
        fmt::format("{} has no {} in its scope", name, to_consumers() ? "consumers" : "producers"));
  if (!to_consumers())
    leave_out_finished_producers();
  for (const int partner : partners_)
    if (!below_target(partner))
      return error(fmt::format(
          "block \"{}\", a {} of {}, is not below loop {}", scoped_.info(partner).block().name,
          to_consumers() ? "consumer" : "producer", name, target_->loop_var->name));
  if (!predicate_follows_from_domains(scoped_.realize(), scoped_.info().loops))
    return error(fmt::format("the predicate of {} leaves out points of its domain", name));
  return {};
}

/// A producer in a nest of its own in front of the target's has finished when that starts: the
/// block need not follow its loops.
void Mover::leave_out_finished_producers() {
  const std::vector<int> all = partners_;
  std::erase_if(partners_, [&](int child) {
    return loops_shared_with(child) == 0 && std::any_of(all.begin(), all.end(), [&](int other) {
             return below_target(other) && child < other; // numbered in the order of the text
           });
  });
}

Result<Slot> Mover::find_slot() {
  Slot slot;
  slot.siblings = statements_of(target_->body);
  slot.latest = slot.siblings.size();
  const std::vector<int> producers = scoped_.scope.producers(scoped_.child);
  const std::vector<int> consumers = scoped_.scope.consumers(scoped_.child);
  auto holds = [&](const Stmt& stmt, const std::vector<int>& children) {
    return has_child_block(stmt, [&](const SBlock& other) {
      return std::any_of(children.begin(), children.end(),
                         [&](int child) { return &scoped_.info(child).block() == &other; });
    });
  };
  for (size_t i = 0; i < slot.siblings.size(); ++i) {
    if (holds(slot.siblings[i], producers))
      slot.earliest = i + 1;
    if (slot.latest == slot.siblings.size() && holds(slot.siblings[i], consumers))
      slot.latest = i;
  }
  if (slot.earliest > slot.latest)
    return error(fmt::format("below loop {} the producers of {} do not stand before its consumers",
                             target_->loop_var->name, describe(scoped_.block())));
  const int64_t index = arguments_.attrs.size() > 1 ? *arguments_.attrs[1].as_int() : -1;
  if (index == -1) {
    slot.earliest = slot.latest;
  } else if (index == -2) {
    slot.latest = slot.earliest;
  } else if (index >= static_cast<int64_t>(slot.earliest) &&
             index <= static_cast<int64_t>(slot.latest)) {
    slot.earliest = slot.latest = static_cast<size_t>(index);
  } else {
    return error(fmt::format("position {} below loop {} is not between {} (behind the producers) "
                             "and {} (in front of the consumers)",
                             index, target_->loop_var->name, slot.earliest, slot.latest));
  }
  return slot;
}

/// What all threads that share memory of a scope want, where one of them wants `box`: threads of a
/// block share "shared" memory.
std::optional<std::vector<LinearInterval>>
Mover::over_sharing_threads(std::vector<LinearInterval> box, const std::string& scope) {
  if (!scope.starts_with("shared"))
    return box;
  std::vector<const VarNode*> threads;
  for (const For* loop : outer_)
    if (loop->kind == ForKind::kThreadBinding && !loop->thread.starts_with("blockIdx"))
      threads.push_back(loop->loop_var.get());
  if (threads.empty())
    return box;
  for (LinearInterval& range : box) {
    const auto low = math_.relax(range.lo, threads);
    const auto high = math_.relax(range.hi, threads);
    if (!low || !high)
      return std::nullopt;
    range = {low->lo, high->hi};
  }
  return box;
}

Result<std::vector<Wanted>> Mover::wanted_by_consumers() {
  std::vector<Wanted> wanted(block().iter_vars.size());
  bool first = true;
  for (const BufferRegion& write : block().writes) {
    std::optional<std::vector<LinearInterval>> box;
    bool bounded = true;
    bool consumed = false;
    for (const int consumer : partners_) {
      for (const BufferRegion& read : scoped_.info(consumer).block().reads) {
        if (read.buffer != write.buffer)
          continue;
        consumed = true;
        auto part = relax_region(math_, scoped_.info(consumer), depth_ + 1, read);
        if (part)
          part = over_sharing_threads(*part, write.buffer->scope);
        if (!part) {
          bounded = false;
        } else if (box) {
          unite(math_, *box, *part);
        } else {
          box = std::move(part);
        }
      }
    }
    if (!consumed)
      continue;
    std::vector<Wanted> by_this(block().iter_vars.size());
    if (bounded)
      solve_axes(math_, block(), {write}, write.buffer, *box, by_this);
    // Several outputs: whatever one of them needs must be computed.
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (first) {
        wanted[i] = by_this[i];
      } else if (wanted[i] && by_this[i]) {
        wanted[i]->lo = math_.minimum(wanted[i]->lo, by_this[i]->lo);
        wanted[i]->hi = math_.maximum(wanted[i]->hi, by_this[i]->hi);
      } else {
        wanted[i].reset();
      }
    }
    first = false;
  }
  return wanted;
}

Result<std::vector<Wanted>> Mover::offered_by_producers() {
  // What the iteration of the target loop writes of each buffer that the block reads.
  for (const int producer : partners_) {
    const ChildBlock& place = scoped_.info(producer);
    for (const For* loop : outer_)
      if (as_int(loop->extent) != std::optional<int64_t>(1) &&
          loop_use(*place.realize, loop->loop_var).reduce)
        return error(fmt::format("loop {} is a loop of the reduction in block \"{}\": at loop {} "
                                 "its result is not complete",
                                 loop->loop_var->name, place.block().name,
                                 target_->loop_var->name));
    for (const BufferRegion& write : place.block().writes) {
      if (std::none_of(block().reads.begin(), block().reads.end(),
                       [&](const BufferRegion& read) { return read.buffer == write.buffer; }))
        continue;
      auto box = relax_region(math_, place, depth_ + 1, write);
      if (!box)
        return error(fmt::format("what block \"{}\" writes of {} below loop {} is not bounded by "
                                 "its loops",
                                 place.block().name, write.buffer->name, target_->loop_var->name));
      if (!touches_whole_box(math_, place, depth_ + 1, write))
        return error(fmt::format("block \"{}\" leaves gaps in what it writes of {} in one "
                                 "iteration of loop {}",
                                 place.block().name, write.buffer->name, target_->loop_var->name));
      const auto known =
          std::find_if(produced_.begin(), produced_.end(),
                       [&](const Produced& other) { return other.buffer == write.buffer; });
      // Of a buffer that several of them write, what is ready is what all have written.
      if (known == produced_.end() || covers(math_, known->box, *box, write.buffer)) {
        if (known != produced_.end())
          produced_.erase(known);
        produced_.push_back({write.buffer, std::move(*box)});
      } else if (!covers(math_, *box, known->box, write.buffer)) {
        return error(fmt::format("the producers of {} write different parts of {} in one iteration "
                                 "of loop {}",
                                 describe(scoped_.block()), write.buffer->name,
                                 target_->loop_var->name));
      }
    }
  }
  std::vector<Wanted> offered(block().iter_vars.size());
  for (const Produced& produced : produced_) {
    std::vector<Wanted> by_this(block().iter_vars.size());
    solve_axes(math_, block(), block().reads, produced.buffer, produced.box, by_this);
    for (size_t i = 0; i < offered.size(); ++i) {
      if (!by_this[i])
        continue;
      if (!offered[i]) {
        offered[i] = by_this[i];
        continue;
      }
      // One must lie inside the other: then the inner one, over all iterations, still reaches the
      // whole domain.
      const bool inside = math_.proves_less_equal(offered[i]->lo, by_this[i]->lo) &&
                          math_.proves_less_equal(by_this[i]->hi, offered[i]->hi);
      const bool around = math_.proves_less_equal(by_this[i]->lo, offered[i]->lo) &&
                          math_.proves_less_equal(offered[i]->hi, by_this[i]->hi);
      if (inside)
        offered[i] = by_this[i];
      else if (!around)
        return error(fmt::format("the producers of {} make different parts of what it reads in one "
                                 "iteration of loop {}",
                                 describe(scoped_.block()), target_->loop_var->name));
    }
  }
  return offered;
}

/// All iterations together must reach the whole domain: points that read nothing of what the
/// producers write (a padding's border) are reached by none.
Result<void> Mover::check_domain_is_reached(const std::vector<Wanted>& offered) {
  std::vector<const VarNode*> all;
  for (const For* loop : outer_)
    all.push_back(loop->loop_var.get());
  for (size_t i = 0; i < offered.size(); ++i) {
    if (!offered[i])
      continue;
    const IterVar& axis = block().iter_vars[i];
    const Linear first = math_.linear(axis.domain.min);
    const Linear last = math_.offset(math_.sum(first, math_.linear(axis.domain.extent)), -1);
    const auto lo = math_.relax(offered[i]->lo, all);
    const auto hi = math_.relax(offered[i]->hi, all);
    if (!lo || !hi || !math_.proves_less_equal(lo->lo, first) ||
        !math_.proves_less_equal(last, hi->hi))
      return error(fmt::format("axis {} of {} would not run through its whole domain below loop "
                               "{}: not all of its points read what is computed there",
                               axis.var->name, describe(scoped_.block()), target_->loop_var->name));
  }
  return {};
}

ChildBlock Mover::place_of(const Nest& nest) const {
  ChildBlock place{nest.realize.get(), outer_};
  for (const Ref<For>& loop : nest.loops)
    place.loops.push_back(loop.get());
  return place;
}

size_t Mover::loops_shared_with(int child) const {
  const auto& loops = scoped_.info(child).loops;
  const auto [mine, other] =
      std::mismatch(outer_.begin(), outer_.end(), loops.begin(), loops.end());
  return static_cast<size_t>(mine - outer_.begin());
}

/// A producer of the block that runs inside loops above the target has made, in one iteration of
/// those, only a part of what it makes; the block must not read more than that part.
Result<void> Mover::check_producers_are_ahead(const Nest& nest) {
  const ChildBlock place = place_of(nest);
  for (const int producer : scoped_.scope.producers(scoped_.child)) {
    const size_t shared = loops_shared_with(producer);
    if (shared == 0)
      continue;
    for (const BufferRegion& write : scoped_.info(producer).block().writes)
      for (const BufferRegion& read : block().reads) {
        if (read.buffer != write.buffer)
          continue;
        const auto made = relax_region(math_, scoped_.info(producer), shared, write);
        const auto wanted = relax_region(math_, place, outer_.size(), read);
        if (!made || !wanted || !covers(math_, *made, *wanted, read.buffer) ||
            !touches_whole_box(math_, scoped_.info(producer), shared, write))
          return error(fmt::format("below loop {} {} would read elements of {} that block \"{}\" "
                                   "has not computed in this iteration of loop {}",
                                   target_->loop_var->name, describe(scoped_.block()),
                                   read.buffer->name, scoped_.info(producer).block().name,
                                   outer_[shared - 1]->loop_var->name));
      }
  }
  return {};
}

Result<void> Mover::check_reads_are_ready(const Nest& nest) {
  const ChildBlock place = place_of(nest);
  for (const BufferRegion& read : block().reads) {
    const auto produced =
        std::find_if(produced_.begin(), produced_.end(),
                     [&](const Produced& other) { return other.buffer == read.buffer; });
    if (produced == produced_.end())
      continue;
    const auto box = relax_region(math_, place, outer_.size(), read);
    const bool ready = box && covers(math_, produced->box, *box, read.buffer);
    if (!ready)
      return error(fmt::format("{} reads elements of {} that an iteration of loop {} has not "
                               "computed",
                               describe(scoped_.block()), read.buffer->name,
                               target_->loop_var->name));
  }
  return {};
}

Result<void> Mover::check_order_of_reduction(const Nest& nest) {
  if (why_not_complete(scoped_.scope, scoped_.child) == nullptr)
    return {};
  // A reduction must do each of its steps once.
  std::vector<const For*> loops = outer_;
  for (const Ref<For>& loop : nest.loops)
    loops.push_back(loop.get());
  if (!is_affine_binding(*nest.realize, loops))
    return error(fmt::format("{} is a reduction, and below loop {} its steps would not be bound "
                             "one to one to loops",
                             describe(scoped_.block()), target_->loop_var->name));
  if (const For* loop = repeating_loop(*nest.realize, loops, 0, outer_.size()))
    return error(fmt::format("{} is a reduction, and loop {} would repeat its steps",
                             describe(scoped_.block()), loop->loop_var->name));
  for (const For* loop : outer_) {
    const LoopUse use = loop_use(*nest.realize, loop->loop_var);
    if (use.reduce && loop->kind != ForKind::kSerial && loop->kind != ForKind::kUnrolled)
      return error(fmt::format("loop {} is not serial, and would carry the reduction of {}",
                               loop->loop_var->name, describe(scoped_.block())));
  }
  return {};
}

/// In iterations of the outer loops that break one of these, the producers below the target do
/// nothing, and what the block reads is not ready.
Result<std::vector<Expr>> Mover::when_producers_run() {
  std::optional<std::vector<Expr>> running;
  for (const int producer : partners_) {
    if (!below_target(producer))
      continue;
    std::vector<Expr> conditions = conditions_on_outer_loops(scoped_.info(producer), outer_);
    if (!running) {
      running = std::move(conditions);
      continue;
    }
    const bool same =
        conditions.size() == running->size() &&
        std::all_of(conditions.begin(), conditions.end(), [&](const Expr& condition) {
          return std::any_of(running->begin(), running->end(),
                             [&](const Expr& other) { return same_expr(condition, other); });
        });
    if (!same)
      return error(fmt::format("the producers of {} run in different iterations of loop {}",
                               describe(scoped_.block()), target_->loop_var->name));
  }
  return running ? std::move(*running) : std::vector<Expr>();
}

/// The scope's body with the block's realize taken out and the target loop's body replaced.
Stmt Mover::edit(const Stmt& stmt, const Stmt& new_body) const {
  if (stmt.get() == scoped_.place.realize.get())
    return nullptr;
  if (stmt.get() == target_)
    return copy_node(*target_, [&](For& node) { node.body = new_body; });
  if (const auto* loop = stmt.as<For>()) {
    Stmt body = edit(loop->body, new_body);
    if (body == loop->body || !body)
      return body ? stmt : nullptr;
    return copy_node(*loop, [&](For& node) { node.body = std::move(body); });
  }
  if (const auto* seq = stmt.as<SeqStmt>()) {
    std::vector<Stmt> statements;
    statements.reserve(seq->statements.size());
    bool changed = false;
    for (const Stmt& child : seq->statements) {
      Stmt edited = edit(child, new_body);
      changed |= edited != child;
      if (edited)
        statements.push_back(std::move(edited));
    }
    if (!changed)
      return stmt;
    return statements.empty() ? nullptr : make_seq(std::move(statements));
  }
  return stmt;
}

Result<Applied> Mover::run() {
  TEMPER_TRY(scoped, require_in_scope(context_, arguments_.inputs[0]));
  scoped_ = std::move(scoped);
  TEMPER_TRY_VOID(require_stage_pipeline(context_, scoped_));
  TEMPER_TRY_VOID(require_complete_or_reduction(context_, scoped_, scoped_.child));
  TEMPER_TRY_VOID(find_target());
  TEMPER_TRY_VOID(check_others());
  TEMPER_TRY(slot, find_slot());
  for (const For* loop : outer_)
    math_.set_loop(*loop);
  TEMPER_TRY(wanted, to_consumers() ? wanted_by_consumers() : offered_by_producers());
  const bool preserve = !arguments_.attrs.empty() && *arguments_.attrs[0].as_int() != 0;
  // More than what is wanted may be computed only where all that it takes is there.
  const std::vector<int> producers = scoped_.scope.producers(scoped_.child);
  const bool may_widen =
      to_consumers() && std::all_of(producers.begin(), producers.end(),
                                    [&](int producer) { return loops_shared_with(producer) == 0; });
  const Nest nest = build_nest(math_, scoped_.block(), wanted, preserve, may_widen);
  if (to_consumers()) {
    TEMPER_TRY_VOID(check_producers_are_ahead(nest));
  } else {
    TEMPER_TRY_VOID(check_domain_is_reached(wanted));
    TEMPER_TRY_VOID(check_reads_are_ready(nest));
    TEMPER_TRY_VOID(check_order_of_reduction(nest));
  }

  Stmt moved = nest.stmt;
  if (!to_consumers()) {
    TEMPER_TRY(running, when_producers_run());
    moved = with_conditions(moved, running);
  }
  slot.siblings.insert(slot.siblings.begin() + static_cast<ptrdiff_t>(slot.latest),
                       std::move(moved));
  const Block& scope_block = scoped_.scope_block();
  Block changed = copy_node(*scope_block, [&](SBlock& node) {
    node.body = edit(scope_block->body, make_seq(std::move(slot.siblings)));
  });
  Applied applied;
  applied.module = replace_scope(context_, scoped_, std::move(changed));
  // Loops that held nothing but the block are gone.
  const std::span<const Stmt> chain = scoped_.place.chain;
  for (size_t i = chain.size() - 1; i-- > scoped_.scope_at + 1;) {
    const auto* loop = chain[i].as<For>();
    if (loop == nullptr)
      break;
    applied.moved.push_back({LoopHandle{loop->loop_var}, {}});
  }
  return applied;
}

} // namespace

Result<Applied> move_block(const Context& context, const Arguments& arguments,
                           MoveDirection direction) {
  if (const int64_t* location = arguments.inputs[1].as_int()) {
    // A sampled location may be "stay" or "inline" instead of a loop.
    if (*location == kRootLocation)
      return Applied{.module = context.module};
    if (*location == kInlineLocation) {
      const Primitive* inlining = find_primitive(
          direction == MoveDirection::kToConsumers ? "ComputeInline" : "ReverseComputeInline");
      return inlining->apply(context, {.inputs = {arguments.inputs[0]}});
    }
  }
  return Mover(context, arguments, direction).run();
}

std::vector<Arguments> enumerate_moves(const Context& context, const Value& handle,
                                       MoveDirection direction) {
  std::vector<Arguments> uses;
  const auto scoped = handle.as_block() != nullptr ? require_in_scope(context, handle)
                                                   : Result<ScopedBlock>(Error());
  if (!scoped)
    return uses;
  const std::vector<int> partners = direction == MoveDirection::kToConsumers
                                        ? scoped->scope.consumers(scoped->child)
                                        : scoped->scope.producers(scoped->child);
  if (partners.empty())
    return uses;
  const Context quiet{context.module, nullptr, false};
  for (const For* loop : scoped->info(partners.front()).loops) {
    Arguments use{.inputs = {handle, LoopHandle{loop->loop_var}}, .attrs = {true, -1}};
    if (move_block(quiet, use, direction))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace temper::s_tir
