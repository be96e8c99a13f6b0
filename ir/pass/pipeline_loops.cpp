// Software pipelines and double buffers.
//
// Statement i of the body, at stage s, runs iteration t - s when the loop is at t. So the loop is
// taken apart: what runs while t is below the largest stage S (a prologue of single iterations),
// the loop for t from S on, and what is left over behind it (an epilogue). A buffer that belongs to
// an iteration is used from stage a to stage b; then b - a + 1 iterations of it are alive (b - a,
// where all of its last uses stand before all of its first ones in the new order), and iteration k
// has version k % that.
//
// Order matters between statements that touch the same elements, one of them writing. Within an
// iteration the later statement must have a larger stage, or the same and a later place. Across
// iterations, a statement that is ahead by d stages meets what the one behind has not yet done of
// the d iterations before: of buffers that do not belong to an iteration, they must touch different
// elements there, which linear forms of the indices show.
#include "ir/pass/pipeline_loops.h"

#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile.h"
#include "ir/tir/warp_fragments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

struct Access {
  Buffer buffer;
  std::vector<Expr> indices;
  bool write = false;
};

/// A number of a GPU's threads, or of its blocks.
struct ThreadVar {
  Var var;
  Range range;
  bool of_block = false;
};

/// One statement of the loop's body.
struct Step {
  Stmt stmt;
  int64_t stage = 0;
  int64_t order = 0;
  bool asynchronous = false; ///< its copies may be
  std::vector<Access> accesses;
};

std::string place_of(const For& loop) {
  return loop.span.line == 0
             ? std::string()
             : fmt::format("line {}, column {}: ", loop.span.line, loop.span.column);
}

bool is_barrier(const Stmt& stmt) { return is_call(stmt, "sync_threads"); }
Stmt operation(const char* op, std::vector<Expr> args = {}) {
  return make_evaluate(call_op(op, std::move(args)));
}

/// What a statement touches; its loops become known to `math`. `foreign`: in a call that may write
/// what it is given.
void collect(const NodeRef& node, Analyzer& math, std::vector<Access>& accesses, bool foreign) {
  if (const auto* loop = node.as<For>())
    math.bind(loop->loop_var, Range{loop->min, loop->extent});
  if (const auto* store = node.as<BufferStore>())
    accesses.push_back({store->buffer, store->indices, true});
  // What an instruction is given may be what it writes, where that is not known.
  foreign |= node.as<Evaluate>() != nullptr;
  if (const auto* call = node.as<Call>(); call != nullptr && is_warp_operation(*call)) {
    for (size_t i = 0; i < call->args.size(); ++i)
      collect(call->args[i], math, accesses, writes_argument(*call, i));
    return;
  }
  if (const auto* load = node.as<BufferLoad>())
    accesses.push_back({load->buffer, load->indices, foreign});
  node->info().for_each_child(node.get(), [&](const NodeRef& child, Role role) {
    if (role == Role::kChild)
      collect(child, math, accesses, foreign);
  });
}

class Pipeline {
public:
  /// `threads`: of the kernel around it, if it is in one.
  Pipeline(const For& loop, std::vector<Stmt> allocations, std::vector<Step> steps,
           const std::vector<ThreadVar>& threads)
      : loop_(loop), allocations_(std::move(allocations)), steps_(std::move(steps)),
        threads_(threads) {
    math_.bind(loop.loop_var, Range{loop.min, loop.extent});
    for (Step& step : steps_) {
      collect(step.stmt, math_, step.accesses, false);
      last_ = std::max(last_, step.stage);
    }
    in_order_.resize(steps_.size());
    std::iota(in_order_.begin(), in_order_.end(), size_t{0});
    std::sort(in_order_.begin(), in_order_.end(),
              [&](size_t a, size_t b) { return steps_[a].order < steps_[b].order; });
  }

  Result<Stmt> run() {
    TEMPER_TRY_VOID(check_order());
    find_async_copies();
    TEMPER_TRY_VOID(make_versions());
    std::vector<Stmt> all = std::move(new_allocations_);
    const auto extent = as_int(loop_.extent);
    const DataType type = loop_.loop_var->dtype;
    for (int64_t t = 0; t < last_; ++t)
      for (size_t place = 0; place < in_order_.size(); ++place) {
        const size_t i = in_order_[place];
        const int64_t iteration = t - steps_[i].stage;
        if (iteration < 0 || (extent && iteration >= *extent))
          continue;
        // Groups that were asked for behind the one that is waited for.
        const auto behind = [&](int64_t stage, bool asked) {
          return extent ? std::min(t - stage + (asked ? 1 : 0), *extent) - (iteration + 1) : 0;
        };
        std::vector<Stmt> list;
        emit(list, place, loop_.min + iteration, behind);
        Stmt at = make_seq(std::move(list));
        if (!extent)
          at = make_if(make_binary<LT>(make_int(type, iteration), loop_.extent), at);
        all.push_back(std::move(at));
      }
    if (!extent || *extent > last_) {
      const Var var = make_var(loop_.loop_var->name, type);
      std::vector<Stmt> body;
      for (size_t place = 0; place < in_order_.size(); ++place) {
        const int64_t own = steps_[in_order_[place]].stage;
        emit(body, place, Expr(var) - own,
             [&](int64_t stage, bool asked) { return own - stage + (asked ? 1 : 0) - 1; });
      }
      Annotations annotations = loop_.annotations;
      for (const char* key : {kPipelineStage, kPipelineOrder, kPipelineAsyncStages})
        annotations = annotations.without(key);
      const Expr left = extent ? make_int(type, *extent - last_)
                               : make_binary<Max>(loop_.extent - last_, make_int(type, 0));
      all.push_back(change_loop(loop_, [&](For& node) {
        node.loop_var = var;
        node.min = loop_.min + last_;
        node.extent = left;
        node.annotations = annotations;
        node.body = make_seq(std::move(body));
      }));
    }
    for (int64_t behind = 0; behind < last_; ++behind) {
      if (extent && *extent + behind < last_)
        continue; // done in the prologue
      for (size_t place = 0; place < in_order_.size(); ++place) {
        const int64_t own = steps_[in_order_[place]].stage;
        if (own <= behind)
          continue;
        const auto groups = [&](int64_t stage, bool asked) {
          return extent ? std::min<int64_t>(behind - stage + (asked ? 1 : 0), 0) + own - behind - 1
                        : 0;
        };
        std::vector<Stmt> list;
        emit(list, place, loop_.min + loop_.extent + (behind - own), groups);
        Stmt at = make_seq(std::move(list));
        if (!extent && behind < last_)
          at = make_if(make_binary<GE>(loop_.extent + behind, make_int(type, last_)), at);
        all.push_back(std::move(at));
      }
    }
    return make_seq(std::move(all));
  }

private:
  Error refuse(const std::string& why) const {
    return Error(ErrorCode::kIllegal, fmt::format("{}the software pipeline of loop {} {}",
                                                  place_of(loop_), loop_.loop_var->name, why));
  }

  /// Memory of the iteration that asynchronous steps fill from global memory and do nothing else
  /// with.
  void find_async_copies() {
    for (const Stmt& stmt : allocations_) {
      const Buffer& buffer = stmt.as<AllocBuffer>()->buffer;
      bool filled = buffer->scope.starts_with("shared");
      bool any = false;
      for (const Step& step : steps_) {
        bool reads = false;
        for (const Access& access : step.accesses)
          if (access.buffer == buffer) {
            any |= access.write;
            filled &= !access.write || step.asynchronous;
            reads |= !access.write;
          }
        filled &= !reads || !step.asynchronous;
        if (step.asynchronous)
          walk(step.stmt, [&](const NodeRef& node) {
            const auto* store = node.as<BufferStore>();
            if (store == nullptr || store->buffer != buffer)
              return true;
            const auto* load = store->value.as<BufferLoad>();
            filled &= load != nullptr && load->buffer->scope == "global";
            return true;
          });
      }
      if (filled && any)
        async_.push_back(buffer);
    }
    if (async_.empty())
      return;
    // Where in the order a stage's copies are all asked for, and from where on they are needed.
    for (size_t place = 0; place < in_order_.size(); ++place) {
      const Step& step = steps_[in_order_[place]];
      for (const Access& access : step.accesses) {
        if (std::find(async_.begin(), async_.end(), access.buffer) == async_.end())
          continue;
        if (access.write) {
          asked_[step.stage] = place;
          continue;
        }
        // Ahead of the barrier at which the others' copies are there, too.
        size_t first = place;
        while (first > 0 && is_barrier(steps_[in_order_[first - 1]].stmt) &&
               steps_[in_order_[first - 1]].stage == step.stage)
          --first;
        for (const Step& source : steps_)
          for (const Access& fill : source.accesses)
            if (fill.write && fill.buffer == access.buffer)
              needed_[first].push_back(source.stage);
      }
    }
  }

  /// The statement at a place of the order, for an iteration, with what its asynchronous copies
  /// need. `behind`: how many groups of a stage may be under way when those of this iteration are
  /// waited for, this round's asked for or not.
  template <typename F>
  void emit(std::vector<Stmt>& list, size_t place, const Expr& iteration, const F& behind) {
    if (const auto found = needed_.find(place); found != needed_.end()) {
      int64_t groups = -1;
      for (const int64_t stage : found->second) {
        const int64_t left = std::max<int64_t>(behind(stage, asked_.at(stage) < place), 0);
        groups = groups < 0 ? left : std::min(groups, left);
      }
      list.push_back(operation("ptx_wait_group", {make_int(DataType::int32(), groups)}));
    }
    const size_t i = in_order_[place];
    list.push_back(step_at(i, iteration));
    if (const auto found = asked_.find(steps_[i].stage);
        found != asked_.end() && found->second == place)
      list.push_back(operation("ptx_commit_group"));
  }

  bool belongs_to_iteration(const Buffer& buffer) const {
    return std::any_of(allocations_.begin(), allocations_.end(),
                       [&](const Stmt& stmt) { return stmt.as<AllocBuffer>()->buffer == buffer; });
  }

  /// At the iterations that `ahead` has done before `behind` comes to them, none of their accesses
  /// meet.
  bool never_meet(const Access& ahead, const Access& behind, int64_t distance) {
    const Analyzer::Scope scope(math_);
    const DataType type = loop_.loop_var->dtype;
    const Var between = make_var("between", type);
    math_.bind(between, IntInterval{1, distance});
    VarMap later{{loop_.loop_var, Expr(loop_.loop_var) + Expr(between)}};
    // What one thread does ahead may meet what another one still has to do.
    const std::string& memory = ahead.buffer->scope;
    const bool is_shared = memory.starts_with("shared");
    if (is_shared || memory == "global")
      for (const ThreadVar& thread : threads_) {
        if (is_shared && thread.of_block)
          continue;
        const Var other = make_var(thread.var->name, thread.var->dtype);
        math_.bind(thread.var, thread.range);
        math_.bind(other, thread.range);
        later[thread.var] = other;
      }
    for (size_t d = 0; d < ahead.indices.size(); ++d) {
      const Expr& a = ahead.indices[d];
      const Expr& b = behind.indices[d];
      if (!is_index_type(a->dtype) || !is_index_type(b->dtype) || a->dtype != b->dtype)
        continue;
      const IntInterval difference = math_.bounds(substitute(a, later) - b);
      if (difference.low > 0 || difference.high < 0)
        return true;
    }
    return false;
  }

  Result<void> check_order() {
    for (size_t i = 0; i < steps_.size(); ++i)
      for (size_t j = i + 1; j < steps_.size(); ++j)
        for (const Access& first : steps_[i].accesses)
          for (const Access& second : steps_[j].accesses) {
            if (first.buffer != second.buffer || (!first.write && !second.write))
              continue;
            const Step& a = steps_[i];
            const Step& b = steps_[j];
            if (a.stage > b.stage || (a.stage == b.stage && a.order > b.order))
              return refuse(
                  fmt::format("would run statement {} before statement {}, which {} {} first", j, i,
                              first.write ? "writes" : "reads", first.buffer->name));
            if (a.stage == b.stage || belongs_to_iteration(first.buffer))
              continue;
            if (!never_meet(first, second, b.stage - a.stage))
              return refuse(fmt::format("would let statement {}, {} iterations ahead, meet what "
                                        "statement {} does with {}, which is not allocated in the "
                                        "loop",
                                        i, b.stage - a.stage, j, first.buffer->name));
          }
    return {};
  }

  Result<void> make_versions() {
    for (const Stmt& stmt : allocations_) {
      const auto& alloc = *stmt.as<AllocBuffer>();
      const Buffer& buffer = alloc.buffer;
      int64_t first = last_ + 1;
      int64_t last = -1;
      for (const Step& step : steps_)
        if (touches(step, buffer)) {
          first = std::min(first, step.stage);
          last = std::max(last, step.stage);
        }
      if (last < 0)
        continue; // nobody uses it
      int64_t count = last - first + 1;
      if (count > 1 && ends_before_it_starts(buffer, first, last))
        --count;
      const bool async = std::find(async_.begin(), async_.end(), buffer) != async_.end();
      const auto marked = [&](const Annotations& annotations) {
        return async ? annotations.with(kAsyncCopies, make_int(DataType::int32(), 1)) : annotations;
      };
      if (count == 1) {
        new_allocations_.push_back(async ? make_alloc(buffer, marked(alloc.annotations)) : stmt);
        continue;
      }
      if (!buffer->strides.empty() || buffer->layout || buffer->elem_offset)
        return refuse(fmt::format("needs versions of {}, which has strides or a layout of its own",
                                  buffer->name));
      const Buffer versions = copy_node(*buffer, [&](BufferNode& node) {
        const DataType type = node.shape.empty() ? DataType::int32() : node.shape[0]->dtype;
        node.shape.insert(node.shape.begin(), make_int(type, count));
      });
      versions_[buffer] = {versions, count};
      new_allocations_.push_back(make_alloc(versions, marked(behind_versions(alloc.annotations))));
    }
    return {};
  }

  static bool touches(const Step& step, const Buffer& buffer) {
    return std::any_of(step.accesses.begin(), step.accesses.end(),
                       [&](const Access& access) { return access.buffer == buffer; });
  }

  /// The uses of the last stage come before those of the first one.
  bool ends_before_it_starts(const Buffer& buffer, int64_t first, int64_t last) const {
    for (const Step& a : steps_)
      for (const Step& b : steps_)
        if (a.stage == first && b.stage == last && touches(a, buffer) && touches(b, buffer) &&
            a.order < b.order)
          return false;
    return true;
  }

  /// Dimensions that storage_align names are one further to the right.
  static Annotations behind_versions(Annotations annotations) {
    const Expr asked = annotations.get(kDimAlign);
    const auto* entries = asked ? asked.as<ListImm>() : nullptr;
    if (entries == nullptr)
      return annotations;
    std::vector<Expr> moved;
    for (const Expr& item : entries->values) {
      std::vector<Expr> parts = item.as<ListImm>()->values;
      if (const auto axis = as_int(parts[0]); axis && *axis >= 0)
        parts[0] = make_int(parts[0]->dtype, *axis + 1);
      moved.push_back(make_list(std::move(parts)));
    }
    return annotations.with(kDimAlign, make_list(std::move(moved)));
  }

  /// The statement at an iteration.
  Stmt step_at(size_t i, const Expr& iteration) {
    const Stmt stmt = substitute(steps_[i].stmt, {{loop_.loop_var, iteration}});
    const auto versioned = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      const auto found = versions_.find(buffer);
      std::vector<Expr> all = indices;
      if (found != versions_.end())
        all.insert(all.begin(),
                   floormod(iteration, make_int(iteration->dtype, found->second.count)));
      return all;
    };
    return with_fresh_definitions(
        cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
          const auto* load = node.as<BufferLoad>();
          if (load != nullptr && versions_.contains(load->buffer))
            return make_load(versions_[load->buffer].buffer, versioned(load->buffer, load->indices),
                             load->predicate);
          const auto* store = node.as<BufferStore>();
          if (store != nullptr && versions_.contains(store->buffer))
            return make_store(versions_[store->buffer].buffer,
                              versioned(store->buffer, store->indices), store->value,
                              store->predicate);
          return node;
        })));
  }

  struct Versions {
    Buffer buffer;
    int64_t count = 0;
  };
  const For& loop_;
  std::vector<Stmt> allocations_;
  std::vector<Step> steps_;
  const std::vector<ThreadVar>& threads_;
  std::vector<size_t> in_order_;
  int64_t last_ = 0; ///< stage
  std::vector<Buffer> async_;
  std::map<int64_t, size_t> asked_;               ///< by stage, places in the order
  std::map<size_t, std::vector<int64_t>> needed_; ///< by place, stages
  Analyzer math_;
  std::unordered_map<Buffer, Versions, RefHash> versions_;
  std::vector<Stmt> new_allocations_;
};

struct Parts {
  std::vector<Stmt> allocations;
  std::vector<Stmt> statements;
};
Parts parts_of(const Stmt& body) {
  Parts parts;
  const auto* seq = body.as<SeqStmt>();
  for (const Stmt& stmt : seq != nullptr ? seq->statements : std::vector<Stmt>{body})
    (stmt.is<AllocBuffer>() ? parts.allocations : parts.statements).push_back(stmt);
  return parts;
}

class PipelineLoops {
public:
  explicit PipelineLoops(bool asynchronous) : asynchronous_(asynchronous) {}

  Stmt rewrite(const Stmt& stmt) {
    if (error)
      return stmt;
    const auto* kernel = stmt.as<KernelLaunch>();
    if (kernel != nullptr)
      enter(*kernel);
    const Stmt result = rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
    if (kernel != nullptr)
      threads_.clear();
    const auto* loop = result.as<For>();
    if (loop == nullptr)
      return result;
    if (loop->annotations.get(kPipelineStage)) {
      auto made = pipelined(*loop);
      if (made)
        return *made;
      error = std::move(made).error();
      return result;
    }
    return double_buffered(result, *loop);
  }

  std::optional<Error> error;

private:
  void enter(const KernelLaunch& kernel) {
    const auto add = [&](const std::vector<Var>& vars, const std::vector<Expr>& extents,
                         bool of_block) {
      for (size_t i = 0; i < std::min(vars.size(), extents.size()); ++i)
        threads_.push_back({vars[i], Range{make_int(vars[i]->dtype, 0), extents[i]}, of_block});
    };
    add(kernel.block_vars, kernel.grid, true);
    add(kernel.thread_vars, kernel.threads, false);
  }

  static Error refuse(const For& loop, const std::string& why) {
    return Error(ErrorCode::kIllegal,
                 fmt::format("{}loop {} {}", place_of(loop), loop.loop_var->name, why));
  }

  Result<Stmt> pipelined(const For& loop) const {
    Parts parts = parts_of(loop.body);
    const size_t count = parts.statements.size();
    const auto stages = pipeline_list(loop.annotations, kPipelineStage);
    const auto order = pipeline_list(loop.annotations, kPipelineOrder);
    if (!stages || !order)
      return refuse(loop, fmt::format("asks for a software pipeline, which takes two lists of "
                                      "numbers: {} and {}",
                                      kPipelineStage, kPipelineOrder));
    if (stages->size() != count || order->size() != count)
      return refuse(loop, fmt::format("has {} statements, and its software pipeline {} stages and "
                                      "{} places in the order",
                                      count, stages->size(), order->size()));
    if (loop.kind != ForKind::kSerial)
      return refuse(loop, "is not serial, and only such a loop can be a software pipeline");
    std::vector<int64_t> sorted = *order;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      return refuse(loop, "gives two statements of its software pipeline the same place in the "
                          "order");
    if (std::any_of(stages->begin(), stages->end(),
                    [](int64_t stage) { return stage < 0 || stage > kMostStages; }))
      return refuse(loop, fmt::format("has a stage of its software pipeline that is not between 0 "
                                      "and {}",
                                      kMostStages));
    for (const Stmt& stmt : parts.statements)
      if (stmt.is<Bind>() || stmt.is<Break>() || stmt.is<Continue>())
        return refuse(loop, "has a definition or a jump among the statements of its software "
                            "pipeline");
    std::vector<int64_t> asynchronous;
    if (loop.annotations.get(kPipelineAsyncStages)) {
      const auto asked = pipeline_list(loop.annotations, kPipelineAsyncStages);
      if (!asked)
        return refuse(loop, fmt::format("has something else than a list of stages as {}",
                                        kPipelineAsyncStages));
      for (const int64_t stage : *asked)
        if (std::find(stages->begin(), stages->end(), stage) == stages->end())
          return refuse(loop, fmt::format("says that stage {} of its software pipeline is "
                                          "asynchronous, which no statement has",
                                          stage));
      if (asynchronous_)
        asynchronous = *asked;
    }
    // Stages count from the first one that is used.
    const int64_t least = count == 0 ? 0 : *std::min_element(stages->begin(), stages->end());
    std::vector<Step> steps;
    for (size_t i = 0; i < count; ++i)
      steps.push_back(
          {parts.statements[i],
           (*stages)[i] - least,
           (*order)[i],
           std::find(asynchronous.begin(), asynchronous.end(), (*stages)[i]) != asynchronous.end(),
           {}});
    return Pipeline(loop, std::move(parts.allocations), std::move(steps), threads_).run();
  }

  /// What fills a double buffer is a stage ahead of everything else.
  Stmt double_buffered(const Stmt& stmt, const For& loop) const {
    Parts parts = parts_of(loop.body);
    if (loop.kind != ForKind::kSerial || parts.statements.size() < 2)
      return stmt;
    std::vector<Buffer> buffers;
    for (const Stmt& alloc : parts.allocations)
      if (alloc.as<AllocBuffer>()->annotations.get(kDoubleBuffer))
        buffers.push_back(alloc.as<AllocBuffer>()->buffer);
    if (buffers.empty())
      return stmt;
    std::vector<Step> steps;
    int64_t filling = 0;
    for (const Stmt& statement : parts.statements) {
      bool fills = false;
      walk(statement, [&](const NodeRef& node) {
        const auto* store = node.as<BufferStore>();
        fills |= store != nullptr &&
                 std::find(buffers.begin(), buffers.end(), store->buffer) != buffers.end();
        return true;
      });
      filling += fills ? 1 : 0;
      steps.push_back({statement, fills ? 0 : 1, 0, false, {}});
    }
    if (filling == static_cast<int64_t>(steps.size()))
      return stmt;
    int64_t first = 0;
    int64_t second = filling;
    for (Step& step : steps)
      step.order = step.stage == 0 ? first++ : second++;
    const auto made =
        Pipeline(loop, std::move(parts.allocations), std::move(steps), threads_).run();
    return made ? *made : stmt;
  }

  /// Prologue and epilogue have the statements once for each.
  static constexpr int64_t kMostStages = 64;
  bool asynchronous_;
  std::vector<ThreadVar> threads_; ///< of the kernel around the statement at hand
};

} // namespace

std::optional<std::vector<int64_t>> pipeline_list(const Annotations& annotations, const char* key) {
  const Expr value = annotations.get(key);
  const auto* list = value ? value.as<ListImm>() : nullptr;
  if (list == nullptr)
    return std::nullopt;
  std::vector<int64_t> numbers;
  for (const Expr& item : list->values) {
    const auto number = as_int(item);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

Annotations repeat_pipeline(const Annotations& annotations, const std::vector<size_t>& counts) {
  const auto stages = pipeline_list(annotations, kPipelineStage);
  const auto order = pipeline_list(annotations, kPipelineOrder);
  if (!stages || !order || stages->size() != counts.size() || order->size() != counts.size())
    return annotations;
  std::vector<int64_t> sorted = *order;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return annotations;
  std::vector<size_t> in_order(counts.size());
  std::iota(in_order.begin(), in_order.end(), size_t{0});
  std::stable_sort(in_order.begin(), in_order.end(),
                   [&](size_t a, size_t b) { return (*order)[a] < (*order)[b]; });
  std::vector<int64_t> first(counts.size()); // place of the first of each
  int64_t place = 0;
  for (const size_t child : in_order) {
    first[child] = place;
    place += static_cast<int64_t>(counts[child]);
  }
  std::vector<Expr> new_stages, new_order;
  for (size_t child = 0; child < counts.size(); ++child)
    for (size_t part = 0; part < counts[child]; ++part) {
      new_stages.push_back(make_int(DataType::int32(), (*stages)[child]));
      new_order.push_back(make_int(DataType::int32(), first[child] + static_cast<int64_t>(part)));
    }
  return annotations.with(kPipelineStage, make_list(std::move(new_stages)))
      .with(kPipelineOrder, make_list(std::move(new_order)));
}

size_t pipeline_statements(const Stmt& made) {
  const auto* several = made.as<SeqStmt>();
  if (several == nullptr)
    return made.is<AllocBuffer>() ? 0 : 1;
  return static_cast<size_t>(
      std::count_if(several->statements.begin(), several->statements.end(),
                    [](const Stmt& stmt) { return !stmt.is<AllocBuffer>(); }));
}

namespace {

Result<PrimFunc> pipelined(const PrimFunc& function, bool asynchronous) {
  PipelineLoops passes(asynchronous);
  const Stmt body = passes.rewrite(function->body);
  if (passes.error)
    return *std::move(passes.error);
  return body == function->body
             ? function
             : copy_node(*function, [&](PrimFuncNode& node) { node.body = body; });
}

} // namespace

Result<PrimFunc> pipeline_loops(const PrimFunc& function) { return pipelined(function, false); }
Result<PrimFunc> pipeline_kernel_loops(const PrimFunc& function) {
  return pipelined(function, true);
}

} // namespace temper::ir
