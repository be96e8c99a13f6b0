#include "ir/tir/pipeline.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/cluster.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/pipeline_slice.h"
#include "ir/tir/pipeline_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

class Expanding {
public:
  Expanding(const PrimFunc& function, bool trades)
      : total_(uses_below(function)), trades_(trades) {}

  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (loop != nullptr && loop->kind == ForKind::kPipelined) {
      const auto stages = loop->annotations.get_int(kStages);
      const bool tma = loop->annotations.get_int(kTma).value_or(0) != 0;
      if (stages && *stages >= 2)
        if (const Stmt expanded = pipeline(*loop, *stages, tma))
          return expanded;
      if (tma)
        fail(*loop, kNothingAhead);
    }
    if (const auto* kernel = stmt.as<KernelLaunch>()) {
      kernel_ = kernel;
      if (const For* alone = specialised_loop(*kernel))
        return with_producer(*kernel, *alone);
    }
    loops_ += loop != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
    const Stmt result = rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
    loops_ -= loop != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
    return result;
  }

  const Error& error() const { return error_; }
  const BufferMap& stages() const { return stages_; }

private:
  static constexpr const char* kNothingAhead =
      "nothing of it runs ahead: it has no copies from global to shared memory, or less than two "
      "stages";

  void fail(const For& loop, const std::string& why) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported,
                     (loop.span.line == 0
                          ? std::string() // of a schedule
                          : fmt::format("line {}, column {}: ", loop.span.line, loop.span.column)) +
                         "TMA: " + why);
  }

  /// One thread prepares the barriers; a stage of each waits for so many arrivals.
  struct StageBarriers {
    Buffer barriers;
    int64_t arrivals = 0;
  };
  static Buffer stage_barriers(const char* name, int64_t stages) {
    return make_buffer(name, DataType::uint(64), {make_int(DataType::int32(), stages)}, "shared");
  }
  /// `cluster`: other blocks reach them, too.
  static Stmt prepared_barriers(const KernelLaunch& kernel, int64_t stages,
                                const std::vector<StageBarriers>& all, bool cluster = false) {
    Expr thread = make_int(DataType::int32(), 0);
    int64_t weight = 1;
    for (size_t d = 0; d < kernel.threads.size(); ++d) {
      thread = thread + Expr(kernel.thread_vars[d]) * weight;
      weight *= as_int(kernel.threads[d]).value_or(1);
    }
    std::vector<Stmt> init;
    for (const StageBarriers& one : all)
      for (int64_t s = 0; s < stages; ++s)
        init.push_back(make_evaluate(
            call_op("mbarrier_init", {make_load(one.barriers, {make_int(DataType::int32(), s)}),
                                      make_int(DataType::int32(), one.arrivals)})));
    const auto operation = [](const char* op) { return make_evaluate(call_op(op, {})); };
    if (cluster)
      init.push_back(operation("fence_mbarrier_init"));
    return make_seq({make_if(equal(thread, make_int(thread->dtype, 0)), make_seq(std::move(init))),
                     operation("fence_proxy_async"),
                     operation(cluster ? "cluster_sync" : "sync_threads")});
  }

  /// What of a loop's body runs ahead, and what does not.
  struct Ahead {
    std::vector<Stmt> copies, rest;
    BufferMap stage_of; ///< buffers to those with stages
  };
  /// `writers`: what may write what the copies read without their waiting for it.
  Ahead ahead_of(const For& loop, int64_t stages, const Stmt& writers) {
    Ahead ahead;
    auto& [copies, rest, stage_of] = ahead;
    const auto* body = loop.body.as<SeqStmt>();
    if (body == nullptr)
      return ahead;
    const auto below = uses_below(loop.body);
    const std::unordered_set<const BufferNode*> written = written_below(writers);
    std::unordered_set<const BufferNode*> seen;
    for (const Stmt& stmt : body->statements) {
      const auto* call = stmt.as<TileCall>();
      const bool takes_part =
          call != nullptr && call->op == "copy" && call->regions[0].buffer->scope == "global" &&
          !written.contains(call->regions[0].buffer.get()) && is_shared(call->regions[1].buffer) &&
          is_whole(call->regions[1]) && !seen.contains(call->regions[1].buffer.get()) &&
          written_once(loop.body, call->regions[1].buffer) &&
          total_.at(call->regions[1].buffer.get()) == below.at(call->regions[1].buffer.get()) &&
          depends_on_loop_alone(*call, *body);
      if (takes_part) {
        const Buffer& buffer = call->regions[1].buffer;
        stage_of.emplace(buffer, with_versions(buffer, stages));
        copies.push_back(copy_node(*call, [&](TileCall& copy) {
          copy.options = copy.options.with(kAsyncCopy, make_bool(true));
        }));
      } else {
        rest.push_back(stmt);
      }
      for (const auto& [buffer, count] : uses_below(stmt))
        seen.insert(buffer);
    }
    return ahead;
  }

  /// Blocks of a cluster that read alike what a copy brings: each asks for a slice of its rows, for
  /// all of them.
  struct Together {
    std::vector<size_t> axes; ///< along which they lie; none: the copy is the block's own
    int64_t blocks = 1;
    Expr slice; ///< number of the block among them
    Expr mask;  ///< their ranks in the cluster, a bit each
  };
  static Together together(const KernelLaunch& kernel, const std::vector<int64_t>& dims,
                           const For& loop, const TileCall& copy) {
    constexpr int64_t kRowsOfAtom = 8; // what a swizzle repeats after
    Together result;
    const std::vector<Range>& to = copy.regions[1].region;
    const auto rows = to.size() >= 2 ? as_int(to[to.size() - 2].extent) : std::nullopt;
    ClusterUse use(kernel, dims);
    for (size_t axis = 0; rows && axis < dims.size(); ++axis) {
      bool alike = dims[axis] > 1 && *rows % (kRowsOfAtom * result.blocks * dims[axis]) == 0 &&
                   use.same_control(Stmt(&loop), axis);
      for (const Range& range : copy.regions[0].region)
        alike = alike && use.same(range.min, axis);
      if (alike) {
        result.axes.push_back(axis);
        result.blocks *= dims[axis];
      }
    }
    if (result.axes.empty())
      return result;
    const DataType i32 = DataType::int32();
    result.slice = make_int(i32, 0);
    Expr base = make_int(i32, 0);
    int64_t members = 1, within = 1, stride = 1;
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      const Expr place = place_in_cluster(kernel, dims, axis);
      if (std::find(result.axes.begin(), result.axes.end(), axis) == result.axes.end()) {
        base = base + place * stride;
      } else {
        int64_t along = 0;
        for (int64_t i = 0; i < dims[axis]; ++i)
          along |= members << (i * stride);
        members = along;
        result.slice = result.slice + place * within;
        within *= dims[axis];
      }
      stride *= dims[axis];
    }
    result.mask = call_op("shift_left", {make_int(i32, members), base});
    return result;
  }

  /// The blocks whose stages copies of this one write to, and that write to this one's: how far
  /// they are along each axis of the cluster, the block itself first.
  static std::set<std::vector<int64_t>> neighbours(const std::vector<int64_t>& dims,
                                                   const std::vector<Together>& copies) {
    std::set<std::vector<int64_t>> all{std::vector<int64_t>(dims.size(), 0)};
    for (const Together& copy : copies) {
      std::vector<std::vector<int64_t>> found{std::vector<int64_t>(dims.size(), 0)};
      for (const size_t axis : copy.axes) {
        std::vector<std::vector<int64_t>> more;
        for (const auto& offsets : found)
          for (int64_t i = 0; i < dims[axis]; ++i) {
            more.push_back(offsets);
            more.back()[axis] = i;
          }
        found = std::move(more);
      }
      all.insert(found.begin(), found.end());
    }
    return all;
  }

  /// The loop's copies of one iteration, into `stage`; by the tensor memory accelerator at the
  /// stage's barrier where there are barriers. `shared`: for each copy, who else gets it; or empty.
  Stmt copies_of(const For& loop, const Ahead& ahead, const Expr& iteration, const Expr& stage,
                 const Buffer& full, const std::vector<Together>& shared = {}) {
    std::vector<Stmt> list;
    for (size_t number = 0; number < ahead.copies.size(); ++number) {
      const Stmt& copy = ahead.copies[number];
      Stmt moved = substitute(copy, {{loop.loop_var, loop.min + iteration}});
      moved = cast_ref<StmtNode>(rewrite_post(moved, [&](const NodeRef& node) -> NodeRef {
        const auto* call = node.as<TileCall>();
        if (call == nullptr)
          return node;
        return copy_node(*call, [&](TileCall& changed) {
          for (BufferRegion& region : changed.regions)
            for (Range& range : region.region)
              range.min = math_.simplify(range.min);
        });
      }));
      moved = staged(with_fresh_definitions(moved), ahead.stage_of, stage);
      if (full)
        moved = copy_node(*moved.as<TileCall>(), [&](TileCall& call) {
          call.options = call.options.with(kVariant, make_string(kTma))
                             .with(kCopyBarrier, make_load(full, {stage}));
          if (number < shared.size() && shared[number].blocks > 1)
            call.options =
                call.options
                    .with(kMulticastBlocks, make_int(DataType::int32(), shared[number].blocks))
                    .with(kMulticastSlice, shared[number].slice)
                    .with(kMulticastMask, shared[number].mask);
        });
      list.push_back(std::move(moved));
    }
    return make_seq(std::move(list));
  }

  Stmt pipeline(const For& loop, int64_t stages, bool tma) {
    const Ahead ahead_of_loop = ahead_of(loop, stages, loop.body);
    const auto& [copies, rest, stage_of] = ahead_of_loop;
    if (copies.empty())
      return nullptr;
    if (tma && (loops_ > 0 || kernel_ == nullptr)) {
      fail(loop, "the loop stands in another one, and its barriers count phases once");
      return nullptr;
    }
    const Buffer full = tma ? stage_barriers("full", stages) : nullptr;
    stages_.insert(stage_of.begin(), stage_of.end());

    const DataType dtype = loop.loop_var->dtype;
    const auto number = [&](int64_t value) { return make_int(dtype, value); };
    const auto ask_for = [&](const Expr& iteration) {
      return copies_of(loop, ahead_of_loop, iteration, floormod(iteration, number(stages)), full);
    };
    const auto guarded = [&](const Expr& iteration, const Stmt& stmt) {
      const auto extent = as_int(loop.extent);
      const auto known = as_int(iteration);
      if (extent && known && *known < *extent)
        return stmt;
      if (extent && known)
        return make_seq({});
      Stmt result = make_if(less(iteration, loop.extent), stmt);
      result->span = loop.span;
      return result;
    };
    const auto commit = [&] { return make_evaluate(call_op("ptx_commit_group", {})); };
    std::vector<Stmt> result;
    if (tma) {
      result.push_back(make_alloc(full));
      result.push_back(
          prepared_barriers(*kernel_, stages, {{full, static_cast<int64_t>(copies.size())}}));
    }
    for (int64_t s = 0; s + 1 < stages; ++s) {
      const Stmt early = guarded(number(s), ask_for(number(s)));
      if (!is_nothing(early))
        result.push_back(early);
      if (!tma)
        result.push_back(commit());
    }
    // The loop counts from 0, so that stages are its number.
    const Var k = make_var(loop.loop_var->name, dtype);
    std::vector<Stmt> round;
    if (tma)
      round.push_back(make_evaluate(call_op(
          "mbarrier_wait_parity", {make_load(full, {floormod(Expr(k), number(stages))}),
                                   floormod(floordiv(Expr(k), number(stages)), number(2))})));
    else
      round.push_back(
          make_evaluate(call_op("ptx_wait_group", {make_int(DataType::int32(), stages - 2)})));
    const Expr ahead = Expr(k) + (stages - 1);
    // One barrier for both: what has come is seen, and the stage that is written next was read.
    round.push_back(make_evaluate(call_op("sync_threads", {})));
    round.push_back(guarded(ahead, ask_for(ahead)));
    if (!tma)
      round.push_back(commit());
    ++loops_;
    const Stmt compute = substitute(drained(rewrite(make_seq(std::vector<Stmt>(rest)))),
                                    {{loop.loop_var, loop.min + Expr(k)}});
    --loops_;
    round.push_back(staged(compute, stage_of, floormod(Expr(k), number(stages))));
    Stmt main = make_for(k, number(0), loop.extent, ForKind::kSerial, make_seq(std::move(round)));
    main->span = loop.span;
    result.push_back(std::move(main));
    return make_seq(std::move(result));
  }

  // A warp of its own for the copies.

  /// The loop of the kernel whose copies a warp of their own makes.
  const For* specialised_loop(const KernelLaunch& kernel) {
    const For* found = nullptr;
    walk(kernel.body, [&](const NodeRef& node) {
      const auto* loop = node.as<For>();
      if (loop == nullptr || loop->kind != ForKind::kPipelined ||
          loop->annotations.get_int(kTma).value_or(0) != kOwnWarp)
        return true;
      if (found != nullptr)
        fail(*loop, fmt::format("with tma={} there is one such loop in a kernel; another one is in "
                                "line {}",
                                kOwnWarp, found->span.line));
      found = loop;
      return true;
    });
    return found;
  }

  static bool contains(const Stmt& stmt, const For& loop) {
    bool found = false;
    walk(stmt, [&](const NodeRef& node) {
      found |= node.get() == &loop;
      return !found;
    });
    return found;
  }

  /// The kernel with a warpgroup more, of which one warp makes the loop's copies; all else is what
  /// the others do.
  Stmt with_producer(const KernelLaunch& kernel, const For& loop) {
    constexpr int64_t kWarp = 32, kWarpgroup = 128, kMostThreads = 1024;
    const int64_t stages = loop.annotations.get_int(kStages).value_or(1);
    const auto threads =
        kernel.threads.size() == 1 ? as_int(kernel.threads[0]) : std::optional<int64_t>();
    // Nothing orders what other threads write before a warp that goes ahead of them.
    const Ahead ahead = ahead_of(loop, stages, kernel.body);
    const Stmt as_it_is = Stmt(&kernel);
    if (stages < 2 || ahead.copies.empty()) {
      fail(loop, kNothingAhead);
      return as_it_is;
    }
    if (!threads || *threads % kWarpgroup != 0 || *threads + kWarpgroup > kMostThreads) {
      fail(loop, fmt::format("with tma={} the kernel has whole warpgroups of 128 threads along one "
                             "axis, and room for one more",
                             kOwnWarp));
      return as_it_is;
    }
    stages_.insert(ahead.stage_of.begin(), ahead.stage_of.end());
    const DataType i32 = DataType::int32();
    const auto number = [&](int64_t value) { return make_int(i32, value); };
    const Var thread = kernel.thread_vars[0];
    const Expr index = thread->dtype == i32 ? Expr(thread) : make_cast(i32, thread);
    const Buffer full = stage_barriers("full", stages);
    const Buffer empty = stage_barriers("empty", stages);
    const std::vector<int64_t> dims = cluster_dims(kernel, true);
    constexpr int kFirstWithProducers = 90;
    if (auto possible = check_cluster(kernel, dims, kFirstWithProducers); !possible) {
      if (error_.message.empty())
        error_ = possible.error();
      return as_it_is;
    }
    std::vector<Together> shared;
    for (const Stmt& copy : ahead.copies)
      shared.push_back(together(kernel, dims, loop, *copy.as<TileCall>()));
    const std::set<std::vector<int64_t>> readers = neighbours(dims, shared);
    const bool multicast = readers.size() > 1;
    // Stage and parity of the iteration that is `round`-th since the kernel began.
    const auto counted = [&](const Buffer& count) -> Expr { return make_load(count, {number(0)}); };
    const auto stage_at = [&](const Expr& round) {
      return make_binary<Mod>(round, number(stages));
    };
    const auto parity_at = [&](const Expr& round) {
      return make_binary<Mod>(make_binary<Div>(round, number(stages)), number(2));
    };
    const auto waited = [&](const Buffer& barriers, const Expr& stage, const Expr& parity) {
      return make_evaluate(call_op("mbarrier_wait_parity", {make_load(barriers, {stage}), parity}));
    };
    const auto slice = slice_for_copies(kernel, loop, ahead.copies);
    if (!slice) {
      fail(loop, slice.error().message);
      return as_it_is;
    }
    // Products that may be under way when an iteration ends: their stages are free later.
    Stmt computed = make_seq(std::vector<Stmt>(ahead.rest));
    const std::optional<int64_t> counted_products = products_under_way(computed);
    if (!counted_products)
      computed = drained(computed);
    const int64_t under_way = counted_products.value_or(0);
    if (under_way >= stages) {
      fail(loop, fmt::format("{} products may be under way, which takes {} stages at the least",
                             under_way, under_way + 1));
      return as_it_is;
    }

    // The threads that compute.
    const Buffer rounds = make_buffer("rounds", i32, {number(1)}, "local");
    // Whoever copies into this block's stage waits until this block has read it.
    const auto free_stage = [&](const Expr& round) {
      const Expr stage = make_load(empty, {stage_at(round)});
      std::vector<Stmt> arrivals;
      for (const std::vector<int64_t>& offsets : readers)
        arrivals.push_back(make_evaluate(
            arrivals.empty() ? call_op("mbarrier_arrive", {stage})
                             : call_op("mbarrier_arrive_cluster",
                                       {stage, rank_in_cluster(kernel, dims, offsets)})));
      return make_if(equal(floormod(index, number(kWarp)), number(0)), make_seq(arrivals));
    };
    const auto consumer = [&] {
      const Var k = make_var(loop.loop_var->name, loop.loop_var->dtype);
      const Var round = make_var("round", i32);
      const Var stage = make_var("stage", i32);
      ++loops_;
      const Stmt compute = substitute(rewrite(computed), {{loop.loop_var, loop.min + Expr(k)}});
      --loops_;
      std::vector<Stmt> body{make_bind(round, counted(rounds)), make_bind(stage, stage_at(round)),
                             waited(full, stage, parity_at(round)),
                             staged(compute, ahead.stage_of, stage),
                             // What lanes of a warp read one by one is read by all of them.
                             make_evaluate(call_op("sync_warp", {}))};
      if (under_way == 0)
        body.push_back(free_stage(round));
      else
        body.push_back(make_if(make_binary<GE>(Expr(k), make_int(k->dtype, under_way)),
                               free_stage(Expr(round) - under_way)));
      body.push_back(make_store(rounds, {number(0)}, Expr(round) + 1));
      Stmt main = make_for(k, make_int(k->dtype, 0), loop.extent, ForKind::kSerial,
                           make_seq(std::move(body)));
      main->span = loop.span;
      if (under_way == 0)
        return main;
      std::vector<Stmt> all{std::move(main), make_evaluate(call_op("warpgroup_wait", {number(0)}))};
      for (int64_t left = under_way; left > 0; --left)
        all.push_back(make_if(make_binary<GE>(loop.extent, make_int(loop.extent->dtype, left)),
                              free_stage(counted(rounds) - left)));
      return make_seq(std::move(all));
    };
    // The warp that copies, and of all else does what says how often and where from.
    const auto sliced = [&](auto&& self, const Stmt& stmt, const auto& producer) -> Stmt {
      if (stmt.get() == &loop)
        return producer();
      if (const auto* seq = stmt.as<SeqStmt>()) {
        std::vector<Stmt> kept;
        for (const Stmt& child : seq->statements)
          if (slice->contains(child.get()))
            kept.push_back(self(self, child, producer));
        return make_seq(std::move(kept));
      }
      if (!slice->contains(stmt.get()))
        return make_seq({});
      const Stmt result = rebuild(
          stmt, [&](const Stmt& child) { return self(self, child, producer); },
          [](const Expr& expr) { return expr; });
      const auto* other = result.as<For>();
      if (other == nullptr || other->kind != ForKind::kPipelined)
        return result;
      return copy_node(*other, [](For& copy) {
        copy.kind = ForKind::kSerial;
        copy.annotations = {};
      });
    };
    const Buffer copied = make_buffer("rounds", i32, {number(1)}, "local");
    const auto producer = [&] {
      const Var k = make_var(loop.loop_var->name, loop.loop_var->dtype);
      const Var round = make_var("round", i32);
      const Var stage = make_var("stage", i32);
      Stmt main = make_for(
          k, make_int(k->dtype, 0), loop.extent, ForKind::kSerial,
          make_seq({make_bind(round, counted(copied)), make_bind(stage, stage_at(round)),
                    // Of a stage that was never filled the phase before the first one has passed.
                    waited(empty, stage, number(1) - parity_at(round)),
                    copies_of(loop, ahead, Expr(k), stage, full, shared),
                    substitute(sliced(sliced, make_seq(std::vector<Stmt>(ahead.rest)),
                                      [] {
                                        return make_seq({}); // no loop is in itself
                                      }),
                               {{loop.loop_var, loop.min + Expr(k)}}),
                    make_store(copied, {number(0)}, Expr(round) + 1)}));
      main->span = loop.span;
      return main;
    };
    const auto replaced = [&](auto&& self, const Stmt& stmt) -> Stmt {
      if (stmt.get() == &loop)
        return consumer();
      if (!contains(stmt, loop))
        return rewrite(stmt);
      loops_ += stmt.as<For>() != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
      const Stmt result = rebuild(
          stmt, [&](const Stmt& child) { return self(self, child); },
          [](const Expr& expr) { return expr; });
      loops_ -= stmt.as<For>() != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
      return result;
    };
    const auto from_zero = [&](const Buffer& count) {
      return make_store(count, {number(0)}, number(0));
    };
    const int64_t groups = *threads / kWarpgroup;
    const auto [few, many] = registers_of_roles(groups);
    const auto registers = [&](int64_t count, bool more) {
      return make_evaluate(call_op("setmaxnreg", {number(count), number(more ? 1 : 0)}));
    };
    std::vector<Stmt> computing, copying;
    if (few > 0 && trades_) {
      computing.push_back(registers(many, true));
      copying.push_back(registers(few, false));
    }
    const Stmt own = without_shared(kernel.body);
    if (!contains(own, loop)) {
      fail(loop, "shared memory is allocated inside of the loop; allocate it before");
      return as_it_is;
    }
    computing.insert(computing.end(),
                     {make_alloc(rounds), from_zero(rounds), replaced(replaced, own)});
    Stmt copies = make_seq({make_alloc(copied), from_zero(copied),
                            with_fresh_definitions(sliced(sliced, kernel.body, producer))});
    copying.push_back(make_if(less(index, number(*threads + kWarp)), copies));
    std::vector<Stmt> body = shared_allocations(kernel.body);
    body.push_back(make_alloc(full));
    body.push_back(make_alloc(empty));
    body.push_back(
        prepared_barriers(kernel, stages,
                          {{full, static_cast<int64_t>(ahead.copies.size())},
                           {empty, *threads / kWarp * static_cast<int64_t>(readers.size())}},
                          multicast));
    Stmt roles = make_if(less(index, number(*threads)), make_seq(std::move(computing)),
                         make_seq(std::move(copying)));
    roles->span = loop.span;
    body.push_back(std::move(roles));
    // A block's memory is there until others have come to it for the last time.
    if (multicast)
      body.push_back(make_evaluate(call_op("cluster_sync", {})));
    return Stmt(copy_node<KernelLaunch>(kernel, [&](KernelLaunch& copy) {
      copy.annotations = with_cluster(kernel.annotations, multicast ? dims : cluster_dims(kernel));
      copy.threads = {make_int(kernel.threads[0]->dtype, *threads + kWarpgroup)};
      copy.body = make_seq(std::move(body));
    }));
  }

  /// Registers of a thread that copies and of one that computes, beside `groups` warpgroups that
  /// do; 0 where all have as many as a thread can.
  static std::pair<int64_t, int64_t> registers_of_roles(int64_t groups) {
    constexpr int64_t kAll = 65536 / 128, kUnit = 8, kFew = 24, kMost = 240;
    const int64_t even = kAll / (groups + 1) / kUnit * kUnit;
    if (even > kMost)
      return {0, 0};
    const int64_t many = ((groups + 1) * even - kFew) / groups / kUnit * kUnit;
    return {kFew, std::min(many, kMost)};
  }

  /// Shared memory is there for both.
  static std::vector<Stmt> shared_allocations(const Stmt& body) {
    std::vector<Stmt> list;
    walk(body, [&](const NodeRef& node) {
      if (const auto* alloc = node.as<AllocBuffer>(); alloc != nullptr && is_shared(alloc->buffer))
        list.push_back(cast_ref<StmtNode>(node));
      return true;
    });
    return list;
  }
  static Stmt without_shared(const Stmt& body) {
    return cast_ref<StmtNode>(rewrite_post(body, [](const NodeRef& node) -> NodeRef {
      const auto* seq = node.as<SeqStmt>();
      if (seq == nullptr)
        return node;
      std::vector<Stmt> kept;
      for (const Stmt& child : seq->statements)
        if (const auto* alloc = child.as<AllocBuffer>();
            alloc == nullptr || !is_shared(alloc->buffer))
          kept.push_back(child);
      return kept.size() == seq->statements.size() ? node : NodeRef(make_seq(std::move(kept)));
    }));
  }

  static bool written_once(const Stmt& body, const Buffer& buffer) {
    int writes = 0;
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        writes += store->buffer == buffer ? 1 : 0;
      if (const auto* call = node.as<TileCall>())
        for (const size_t i : written_operands(*call))
          writes += call->regions[i].buffer == buffer ? 1 : 0;
      return true;
    });
    return writes == 1;
  }

  /// Where it copies from is known iterations ahead: no names or memory of the body.
  static bool depends_on_loop_alone(const TileCall& call, const SeqStmt& body) {
    std::unordered_set<const VarNode*> made;
    for (const Stmt& stmt : body.statements)
      if (const auto* bind = stmt.as<Bind>())
        made.insert(bind->var.get());
    bool alone = true;
    for (const Range& range : call.regions[0].region)
      walk(range.min, [&](const NodeRef& node) {
        alone &= node.as<BufferLoad>() == nullptr;
        if (const auto* var = node.as<VarNode>())
          alone &= !made.contains(var);
        return alone;
      });
    return alone;
  }

  std::unordered_map<const BufferNode*, int> total_;
  bool trades_ = true; ///< registers, between warpgroups
  BufferMap stages_;
  Analyzer math_;
  const KernelLaunch* kernel_ = nullptr; ///< around the loop
  int loops_ = 0;                        ///< around it
  Error error_;
};

} // namespace

Result<PrimFunc> expand_pipelines(const PrimFunc& function, bool trades) {
  Expanding expanding(function, trades);
  const Stmt body = expanding.rewrite(function->body);
  if (!expanding.error().message.empty())
    return expanding.error();
  return with_body(function, with_stages(body, expanding.stages()));
}

} // namespace temper::tir
