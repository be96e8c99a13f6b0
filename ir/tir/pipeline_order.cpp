#include "ir/tir/pipeline_order.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/atomic.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/pipeline.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/printing.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <unordered_set>

namespace temper::tir {
namespace {

constexpr int64_t kMostStages = 64;

/// What one statement of the body does with one buffer.
struct Access {
  size_t statement;
  bool reads = false;
  bool writes = false;
  bool fresh = false; ///< it writes all of it, whatever it held
};

/// A statement of the body, and when it runs: in round iteration + stage, by rank within it.
struct Step {
  Stmt stmt;
  int64_t stage = 0;
  int64_t rank = 0;
};

struct Arrangement {
  std::vector<Stmt> declarations; ///< allocations and names, as they stand
  std::vector<Step> steps;        ///< as they stand
  std::vector<size_t> by_rank;
  int64_t depth = 0;                                ///< the last stage
  std::vector<std::pair<Buffer, int64_t>> versions; ///< where there are several

  /// Statement `a` of an iteration comes before `b` of the one `later` iterations on.
  bool before(size_t a, size_t b, int64_t later) const {
    return std::pair(steps[a].stage, steps[a].rank) <
           std::pair(steps[b].stage + later, steps[b].rank);
  }
};

std::string name_of(const Step& step) {
  const auto* call = step.stmt.as<TileCall>();
  const std::string what = call != nullptr ? "T." + call->op : "the statement";
  return step.stmt->span.line == 0 ? what
                                   : fmt::format("{} in line {}", what, step.stmt->span.line);
}

Error refused(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

Result<std::vector<int64_t>> integers(const Expr& list, const char* name) {
  std::vector<int64_t> values;
  for (const Expr& item : list.as<ListImm>()->values) {
    const auto value = as_int(item);
    if (!value)
      return refused(fmt::format("{}= is a list of integers", name));
    values.push_back(*value);
  }
  return values;
}

/// Scalars that are one name for a value: what is allocated in the body and stored once.
std::unordered_set<const BufferNode*> names_in(const std::vector<Stmt>& body) {
  std::unordered_set<const BufferNode*> names;
  for (const Stmt& stmt : body)
    if (const auto* alloc = stmt.as<AllocBuffer>(); alloc != nullptr &&
                                                    alloc->buffer->scope == "local" &&
                                                    alloc->buffer->element_count().value_or(0) == 1)
      names.insert(alloc->buffer.get());
  std::unordered_map<const BufferNode*, int> stores;
  for (const Stmt& stmt : body)
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        ++stores[store->buffer.get()];
      return true;
    });
  std::erase_if(names, [&](const BufferNode* buffer) { return stores[buffer] != 1; });
  return names;
}

/// Declarations and statements apart.
void split(const For& loop, Arrangement& plan) {
  std::vector<Stmt> body{loop.body};
  if (const auto* seq = loop.body.as<SeqStmt>())
    body = seq->statements;
  const auto names = names_in(body);
  for (const Stmt& stmt : body) {
    const auto* store = stmt.as<BufferStore>();
    const bool declares = stmt.is<AllocBuffer>() || stmt.is<Bind>() ||
                          (store != nullptr && names.contains(store->buffer.get()));
    if (declares)
      plan.declarations.push_back(stmt);
    else
      plan.steps.push_back({stmt});
  }
}

/// The statements that each entry of order= and stage= speaks of.
Result<std::vector<std::vector<size_t>>> groups_of(const For& loop, size_t statements) {
  std::vector<std::vector<size_t>> groups;
  const Expr given = loop.annotations.get(kPipelineGroup);
  if (!given) {
    for (size_t i = 0; i < statements; ++i)
      groups.push_back({i});
    return groups;
  }
  size_t next = 0;
  for (const Expr& item : given.as<ListImm>()->values) {
    auto& group = groups.emplace_back();
    if (!item.is<ListImm>())
      return refused("group= is a list of lists of integers, the statements of each entry");
    TEMPER_TRY(members, integers(item, "group"));
    for (const int64_t member : members) {
      if (member != static_cast<int64_t>(next))
        return refused(fmt::format("group= names the statements one after the other, each once: "
                                   "after {} comes {}, not {}",
                                   static_cast<int64_t>(next) - 1, next, member));
      group.push_back(next++);
    }
  }
  if (next != statements)
    return refused(fmt::format("group= names {} statements, and the loop has {} (allocations and "
                               "names do not count)",
                               next, statements));
  return groups;
}

/// Stage and rank of each statement.
Result<void> place(const For& loop, Arrangement& plan) {
  TEMPER_TRY(groups, groups_of(loop, plan.steps.size()));
  const auto entries = [&](const char* name, int64_t step) -> Result<std::vector<int64_t>> {
    std::vector<int64_t> values(groups.size());
    if (const Expr given = loop.annotations.get(name)) {
      TEMPER_TRY(read, integers(given, name));
      if (read.size() != groups.size())
        return refused(fmt::format(
            "{}= has {} entries, and the loop has {} {} (allocations and names do not count)", name,
            read.size(), groups.size(),
            loop.annotations.get(kPipelineGroup) ? "groups" : "statements"));
      return read;
    }
    for (size_t g = 0; g < values.size(); ++g)
      values[g] = step * static_cast<int64_t>(g);
    return values;
  };
  TEMPER_TRY(order, entries(kPipelineOrder, 1));
  TEMPER_TRY(stage, entries(kPipelineStage, 0));
  const bool both = loop.annotations.get(kPipelineOrder) && loop.annotations.get(kPipelineStage);
  bool ahead = false;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (order[g] < -1 || stage[g] < -1 || stage[g] > kMostStages)
      return refused(fmt::format("order= counts from 0 and stage= from 0 to {}; -1 in both is a "
                                 "copy that runs ahead",
                                 kMostStages));
    if (both && (order[g] == -1) != (stage[g] == -1))
      return refused(
          fmt::format("entry {} is -1 in {}= alone: a copy that runs ahead is -1 in both", g,
                      order[g] == -1 ? kPipelineOrder : kPipelineStage));
    if (order[g] == -1 || stage[g] == -1)
      order[g] = stage[g] = -1;
    ahead |= order[g] == -1;
    for (size_t other = 0; other < g; ++other)
      if (order[g] >= 0 && order[g] == order[other])
        return refused(fmt::format("order= has {} twice", order[g]));
  }
  const int64_t rounds_ahead =
      ahead ? std::max<int64_t>(loop.annotations.get_int(kStages).value_or(2), 1) - 1 : 0;
  for (size_t g = 0; g < groups.size(); ++g)
    for (const size_t member : groups[g])
      plan.steps[member].stage = order[g] == -1 ? 0 : stage[g] + rounds_ahead;
  std::vector<size_t> sorted(groups.size());
  std::iota(sorted.begin(), sorted.end(), size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](size_t a, size_t b) { return order[a] < order[b]; });
  for (const size_t g : sorted)
    for (const size_t member : groups[g]) {
      plan.steps[member].rank = static_cast<int64_t>(plan.by_rank.size());
      plan.by_rank.push_back(member);
    }
  for (const Step& step : plan.steps)
    plan.depth = std::max(plan.depth, step.stage);
  return {};
}

/// Statements that say where they stand among others.
Result<void> check_movable(const Step& step) {
  const char* what = nullptr;
  std::string name;
  walk(step.stmt, [&](const NodeRef& node) {
    if (node.is<Break>() || node.is<Continue>() || node.is<Return>())
      what = "a jump";
    const Call* call = call_of(node);
    if (call != nullptr && !is_atomic(*call) && call->op != kPrint) {
      what = "T.";
      name = call->op;
    }
    return what == nullptr;
  });
  if (what == nullptr)
    return {};
  return refused(
      fmt::format("{}{} stands in the loop, and order= and stage= move what is around it; "
                  "leave them out",
                  what, name));
}

std::vector<std::pair<Buffer, std::vector<Access>>> accesses_of(const Arrangement& plan) {
  std::vector<std::pair<Buffer, std::vector<Access>>> all;
  const auto note = [&](const Buffer& buffer, size_t statement) -> Access& {
    auto at =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.first == buffer; });
    if (at == all.end())
      at = all.insert(all.end(), {buffer, {}});
    if (at->second.empty() || at->second.back().statement != statement)
      at->second.push_back({statement});
    return at->second.back();
  };
  for (size_t i = 0; i < plan.steps.size(); ++i)
    walk(plan.steps[i].stmt, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        note(load->buffer, i).reads = true;
      if (const auto* store = node.as<BufferStore>())
        note(store->buffer, i).writes = true;
      if (const auto* evaluate = node.as<Evaluate>())
        if (const Call* atomic = as_atomic(Stmt(evaluate)))
          if (const auto* element = atomic->args[0].as<BufferLoad>())
            note(element->buffer, i).writes = true;
      if (const auto* call = node.as<TileCall>()) {
        const std::vector<size_t> written = written_operands(*call);
        const TileOp* op = find_tile_op(call->op);
        for (size_t r = 0; r < call->regions.size(); ++r) {
          Access& access = note(call->regions[r].buffer, i);
          const bool writes = std::find(written.begin(), written.end(), r) != written.end();
          const bool starts_anew =
              op != nullptr && op->parameters[r].type == TileParameterType::kWrite;
          access.writes |= writes;
          access.reads |= !writes || !starts_anew;
          access.fresh |= writes && starts_anew && is_whole(call->regions[r]) &&
                          plan.steps[i].stmt.get() == node.get();
        }
      }
      return true;
    });
  return all;
}

/// How many versions of the buffer are alive at a time, or why it cannot be.
Result<int64_t> versions_of(const Arrangement& plan, const Buffer& buffer,
                            const std::vector<Access>& accesses, bool alone) {
  const auto meet = [](const Access& a, const Access& b) { return a.writes || b.writes; };
  for (size_t i = 0; i < accesses.size(); ++i)
    for (size_t j = i + 1; j < accesses.size(); ++j) {
      const size_t first = accesses[i].statement, second = accesses[j].statement;
      if (meet(accesses[i], accesses[j]) && !plan.before(first, second, 0))
        return refused(fmt::format("{} would run before {} of the same iteration, and both use {}",
                                   name_of(plan.steps[second]), name_of(plan.steps[first]),
                                   buffer->name));
    }
  const auto enough = [&](int64_t versions) -> std::optional<std::pair<size_t, size_t>> {
    for (const Access& a : accesses)
      for (const Access& b : accesses)
        if (meet(a, b) && !plan.before(a.statement, b.statement, versions))
          return std::pair(a.statement, b.statement);
    return std::nullopt;
  };
  const auto conflict = enough(1);
  if (!conflict)
    return 1;
  size_t writers = 0;
  for (const Access& access : accesses)
    writers += access.writes ? 1 : 0;
  const bool renewed = writers == 1 && accesses[0].fresh && !accesses[0].reads;
  if (!renewed || !is_shared(buffer) || !alone)
    return refused(fmt::format(
        "{} of an iteration would run before {} of the iteration before it, and both use {}, of "
        "which there is one: only a buffer in shared memory that one operator writes whole, and "
        "the loop alone uses, has versions",
        name_of(plan.steps[conflict->second]), name_of(plan.steps[conflict->first]), buffer->name));
  int64_t versions = 2;
  while (enough(versions))
    ++versions;
  return versions;
}

/// `everywhere`: how often buffers are used in the whole function; null: not known.
Result<Arrangement> arranged(const For& loop,
                             const std::unordered_map<const BufferNode*, int>* everywhere) {
  if (loop.annotations.get_int(kTma).value_or(0) != 0)
    return refused(
        "order= and stage= place the copies, and so does \"tma\": leave one of them out");
  Arrangement plan;
  split(loop, plan);
  for (const Step& step : plan.steps)
    TEMPER_TRY_VOID(check_movable(step));
  TEMPER_TRY_VOID(place(loop, plan));
  const auto here = uses_below(loop.body);
  for (const auto& [buffer, accesses] : accesses_of(plan)) {
    const bool alone =
        everywhere == nullptr || everywhere->at(buffer.get()) == here.at(buffer.get());
    TEMPER_TRY(versions, versions_of(plan, buffer, accesses, alone));
    if (versions > 1)
      plan.versions.emplace_back(buffer, versions);
  }
  return plan;
}

/// Copies that are under way from their round to the one that reads them.
struct UnderWay {
  std::vector<bool> copies;                                   ///< by statement
  std::vector<bool> readers;                                  ///< by statement
  int64_t first_copy = -1, last_copy = -1, first_reader = -1; ///< ranks
  int64_t allowed = 0; ///< groups that may still be under way where they are waited for

  bool any() const { return last_copy >= 0; }
};

UnderWay under_way(const Arrangement& plan) {
  UnderWay result;
  result.copies.resize(plan.steps.size());
  result.readers.resize(plan.steps.size());
  std::vector<std::pair<size_t, size_t>> pairs; // copy, reader
  const auto accesses = accesses_of(plan);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const auto* call = plan.steps[i].stmt.as<TileCall>();
    if (call == nullptr || call->op != "copy" || call->regions[0].buffer->scope != "global" ||
        !is_shared(call->regions[1].buffer))
      continue;
    const auto used = std::find_if(accesses.begin(), accesses.end(), [&](const auto& one) {
      return one.first == call->regions[1].buffer;
    });
    bool later = used->second.size() > 1 && used->second[0].statement == i && used->second[0].fresh;
    for (const Access& access : used->second)
      later =
          later && (access.statement == i ||
                    (!access.writes && plan.steps[access.statement].stage > plan.steps[i].stage));
    if (!later)
      continue;
    result.copies[i] = true;
    for (const Access& access : used->second)
      if (access.statement != i) {
        result.readers[access.statement] = true;
        pairs.emplace_back(i, access.statement);
      }
  }
  for (size_t rank = 0; rank < plan.by_rank.size(); ++rank) {
    const auto number = static_cast<int64_t>(rank);
    if (result.copies[plan.by_rank[rank]]) {
      result.first_copy = result.first_copy < 0 ? number : result.first_copy;
      result.last_copy = number;
    }
    if (result.readers[plan.by_rank[rank]] && result.first_reader < 0)
      result.first_reader = number;
  }
  // A group a round, closed behind its last copy.
  int64_t least = kMostStages;
  for (const auto& [copy, reader] : pairs)
    least = std::min(least, plan.steps[reader].stage - plan.steps[copy].stage);
  result.allowed = least - 1 + (result.last_copy < result.first_reader ? 1 : 0);
  return result;
}

class Ordering {
public:
  Ordering(const PrimFunc& function, bool asynchronous)
      : everywhere_(uses_below(function)), asynchronous_(asynchronous) {}

  Stmt rewrite(const Stmt& stmt) {
    const Stmt inner = rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
    const auto* loop = inner.as<For>();
    if (loop == nullptr || !is_ordered(*loop) || error_)
      return inner;
    auto rounds = expand(*loop);
    if (rounds)
      return *rounds;
    error_ = Error(rounds.error().code, fmt::format("line {}, column {}: {}", loop->span.line,
                                                    loop->span.column, rounds.error().message));
    return inner;
  }

  const std::optional<Error>& error() const { return error_; }
  const BufferMap& stages() const { return stages_; }

private:
  /// Which iterations of a round's statements there are.
  enum class Round : uint8_t { kFirst, kMain, kLast };

  Result<Stmt> expand(const For& loop) {
    TEMPER_TRY(plan, arranged(loop, &everywhere_));
    for (const auto& [buffer, versions] : plan.versions)
      stages_.emplace(buffer, with_versions(buffer, versions));
    const UnderWay copies = asynchronous_ ? under_way(plan) : UnderWay();
    VarMap names;
    std::vector<Stmt> result;
    for (const Stmt& stmt : plan.declarations)
      if (const auto* bind = stmt.as<Bind>()) {
        bool of_memory = false;
        walk(bind->value, [&](const NodeRef& node) {
          of_memory |= node.is<BufferLoad>();
          return !of_memory;
        });
        if (of_memory)
          return refused("the value of " + bind->var->name +
                         " is read from memory, and order= and stage= move its uses to other "
                         "rounds; write it where it is used");
        names[bind->var] = substitute(bind->value, names);
      } else {
        result.push_back(stmt); // memory of the loop: once, around it
      }
    const DataType dtype = loop.loop_var->dtype;
    const auto number = [&](int64_t value) { return make_int(dtype, value); };
    const auto extent = as_int(loop.extent);
    const Expr depth = number(plan.depth);
    const auto round = [&](const Expr& t, Round which, int64_t of_last) {
      append(result, one_round(loop, plan, copies, names, t, which, of_last));
    };
    const int64_t first = extent ? std::min(plan.depth, *extent + plan.depth) : plan.depth;
    for (int64_t t = 0; t < first; ++t)
      round(number(t), Round::kFirst, 0);
    if (!extent || *extent > plan.depth) {
      const Var t = make_var(loop.loop_var->name, dtype);
      Stmt main = make_for(
          t, depth, extent ? number(*extent - plan.depth) : max(loop.extent - depth, number(0)),
          ForKind::kSerial,
          make_seq(one_round(loop, plan, copies, names, Expr(t), Round::kMain, 0)));
      main->span = loop.span;
      result.push_back(std::move(main));
    }
    const Expr behind = extent ? number(std::max(*extent, plan.depth)) : max(loop.extent, depth);
    for (int64_t e = 0; e < plan.depth; ++e)
      round(behind + e, Round::kLast, e);
    return make_seq(std::move(result));
  }

  static void append(std::vector<Stmt>& list, std::vector<Stmt> more) {
    for (Stmt& stmt : more)
      list.push_back(std::move(stmt));
  }

  std::vector<Stmt> one_round(const For& loop, const Arrangement& plan, const UnderWay& copies,
                              const VarMap& names, const Expr& t, Round which, int64_t of_last) {
    std::vector<Stmt> list;
    const auto barrier = [] { return make_evaluate(call_op("sync_threads", {})); };
    for (size_t rank = 0; rank < plan.by_rank.size(); ++rank) {
      const size_t i = plan.by_rank[rank];
      const auto here = static_cast<int64_t>(rank);
      // The versions that are written now have been read.
      if (copies.any() && here == copies.first_copy)
        list.push_back(barrier());
      if (copies.any() && here == copies.first_reader) {
        list.push_back(make_evaluate(
            call_op("ptx_wait_group", {make_int(DataType::int32(), copies.allowed)})));
        list.push_back(barrier());
      }
      if (Stmt stmt = at(loop, plan.steps[i], plan, names, t, which, of_last,
                         copies.any() && copies.copies[i]))
        list.push_back(std::move(stmt));
      if (copies.any() && here == copies.last_copy)
        list.push_back(make_evaluate(call_op("ptx_commit_group", {})));
    }
    return list;
  }

  /// The statement in round `t`; null where it has no iteration there.
  Stmt at(const For& loop, const Step& step, const Arrangement& plan, const VarMap& names,
          const Expr& t, Round which, int64_t of_last, bool asynchronous) {
    const DataType dtype = loop.loop_var->dtype;
    const Expr iteration = math_.simplify(t - step.stage);
    const auto known = as_int(iteration);
    const auto extent = as_int(loop.extent);
    if (which == Round::kFirst && known && *known < 0)
      return nullptr;
    if (which == Round::kLast && step.stage <= of_last)
      return nullptr;
    if (known && extent && (*known < 0 || *known >= *extent))
      return nullptr;
    VarMap values = names;
    Stmt stmt = step.stmt;
    if (!names.empty())
      stmt = substitute(stmt, names);
    stmt = substitute(stmt, {{loop.loop_var, math_.simplify(loop.min + iteration)}});
    stmt = with_fresh_definitions(finished(stmt));
    if (asynchronous)
      stmt = copy_node(*stmt.as<TileCall>(), [](TileCall& copy) {
        copy.options = copy.options.with(kAsyncCopy, make_bool(true));
      });
    stmt->span = step.stmt->span;
    for (const auto& [buffer, versions] : plan.versions)
      stmt = staged(stmt, {{buffer, stages_.at(buffer)}},
                    math_.simplify(floormod(iteration, make_int(dtype, versions))));
    if (which == Round::kMain || (known && extent))
      return stmt;
    Stmt guarded = make_if(less(iteration, loop.extent), stmt);
    guarded->span = stmt->span;
    return guarded;
  }

  std::unordered_map<const BufferNode*, int> everywhere_;
  bool asynchronous_;
  BufferMap stages_;
  Analyzer math_;
  std::optional<Error> error_;
};

} // namespace

bool is_ordered(const For& loop) {
  return loop.kind == ForKind::kPipelined &&
         (loop.annotations.get(kPipelineOrder) || loop.annotations.get(kPipelineStage));
}

Result<void> check_pipeline_order(const For& loop) {
  TEMPER_TRY_VOID(arranged(loop, nullptr));
  return {};
}

Result<PrimFunc> expand_ordered_pipelines(const PrimFunc& function, bool asynchronous) {
  Ordering ordering(function, asynchronous);
  const Stmt body = ordering.rewrite(function->body);
  if (ordering.error())
    return *ordering.error();
  return with_body(function, with_stages(body, ordering.stages()));
}

} // namespace temper::tir
