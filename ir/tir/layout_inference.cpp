#include "ir/tir/layout_inference.h"

#include "ir/support/function_ref.h"
#include "ir/tir/bank_conflicts.h"
#include "ir/tir/mfma.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <deque>
#include <numeric>
#include <set>
#include <tuple>

namespace temper::tir {
namespace {

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

std::string place(const Span& span) {
  return span.line == 0 ? std::string() : fmt::format(", line {}", span.line);
}

/// "line 3, column 5: " in front of a message.
std::string at(const Span& span) {
  return span.line == 0 ? std::string()
                        : fmt::format("line {}, column {}: ", span.line, span.column);
}

/// A warpgroup's tile of `atom`s, for each warpgroup of the grid.
Result<Layout> grown(const Layout& atom, int64_t rows, int64_t columns, WarpGrid grid) {
  TEMPER_TRY(registers, repeat(atom, {rows / grid.rows / atom.shape[0],
                                      columns / grid.columns / atom.shape[1]}));
  // A warpgroup's four warps are the atom's; the next warpgroup's follow.
  TEMPER_TRY(outer, make_layout({grid.rows, grid.columns}, {{grid.rows, grid.columns, kWarpAxis},
                                                            {grid.columns, 1, kWarpAxis}}));
  return tile(registers, outer);
}

class Solver {
public:
  Solver(const LayoutProblem& problem, LayoutConflicts conflicts)
      : problem_(problem), through_memory_(conflicts == LayoutConflicts::kGoThroughMemory),
        layouts_(problem.buffers.size()) {}

  Result<std::vector<InferredLayout>> run() {
    if (problem_.threads < 32 || problem_.threads % 32 != 0 || problem_.threads > 1024)
      return bad(fmt::format("a block of {} threads: layouts need whole warps of 32, up to 1024 "
                             "threads",
                             problem_.threads));
    TEMPER_TRY_VOID(fixed());
    for (const LayoutUse& use : problem_.uses)
      if (use.is_gemm)
        // Without a share for each warp there is none of its instructions either: its operands may
        // lie anywhere.
        if (auto shared_out = gemm(use); !shared_out && !(through_memory_ && !stated_))
          return shared_out.error();
    for (const LayoutUse& use : problem_.uses)
      if (use.boxes >= 0 && !known(use.boxes)) {
        TEMPER_TRY(layout, shared_operand(buffer(use.boxes), -1));
        known(use.boxes) = {std::move(layout), "boxes of " + use.op + place(use.where)};
      }
    TEMPER_TRY_VOID(propagate());
    for (const LayoutUse& use : problem_.uses)
      if (use.stored >= 0)
        stored(use);
    TEMPER_TRY_VOID(defaults());
    TEMPER_TRY_VOID(check());
    std::vector<InferredLayout> result;
    for (auto& layout : layouts_)
      result.push_back(*std::move(layout));
    return result;
  }

private:
  const LayoutBuffer& buffer(int index) const {
    return problem_.buffers[static_cast<size_t>(index)];
  }
  /// Of a role, or of the block.
  int64_t threads_of(int64_t role) const { return role > 0 ? role : problem_.threads; }
  std::optional<InferredLayout>& known(int index) { return layouts_[static_cast<size_t>(index)]; }

  Result<void> fixed() {
    for (size_t i = 0; i < problem_.buffers.size(); ++i) {
      const LayoutBuffer& buffer = problem_.buffers[i];
      if (!buffer.fixed)
        continue;
      const std::string who = at(buffer.fixed_where) + "the layout of " + buffer.name;
      if (buffer.fixed->shape != buffer.shape)
        return bad(fmt::format("{} is for the shape ({}), the buffer has ({})", who,
                               fmt::join(buffer.fixed->shape, ", "),
                               fmt::join(buffer.shape, ", ")));
      if (buffer.is_fragment) {
        const Layout flat = flatten_threads(*buffer.fixed);
        if (flat.span(kThreadAxis) != threads_of(buffer.threads))
          return bad(fmt::format("{} spreads over {} threads, the {} has {}", who,
                                 flat.span(kThreadAxis), buffer.threads > 0 ? "role" : "block",
                                 threads_of(buffer.threads)));
        if (!is_injective(flat))
          return bad(who + " puts several elements into the same register of a thread");
        layouts_[i] = {flat, "annotated" + place(buffer.fixed_where)};
      } else {
        if (buffer.fixed->is_fragment())
          return bad(who + " maps to threads, but the buffer is shared memory; T.Layout is for "
                           "memory, T.Fragment for registers");
        if (!is_injective(*buffer.fixed))
          return bad(who + " puts several elements in the same place");
        layouts_[i] = {*buffer.fixed, "annotated" + place(buffer.fixed_where)};
      }
    }
    return {};
  }

  /// Gives the buffer a layout, or checks the one it has.
  Result<void> set(int index, Layout layout, std::string reason, const LayoutUse& use) {
    if (buffer(index).is_fragment)
      layout = flatten_threads(layout);
    auto& have = known(index);
    if (!have) {
      have = {std::move(layout), std::move(reason)};
      changed_ = true;
      return {};
    }
    if (covers(have->layout, layout))
      return {};
    if (through_memory_ && !buffer(index).fixed)
      return {};
    stated_ = buffer(index).fixed.has_value();
    return conflict(index, layout, use);
  }

  Error conflict(int index, const Layout& needed, const LayoutUse& use) {
    const InferredLayout& have = *known(index);
    return bad(fmt::format("{}{} needs {} as {}, but it is {} ({}); copy it into a second buffer "
                           "through shared memory, or annotate a layout that suits both",
                           at(use.where), use.op, buffer(index).name, tir::to_text(needed),
                           tir::to_text(have.layout), have.reason));
  }

  // Products.

  Result<void> gemm(const LayoutUse& use) {
    const LayoutBuffer& a = buffer(use.a);
    const LayoutBuffer& b = buffer(use.b);
    const LayoutBuffer& c = buffer(use.c);
    const int64_t m = c.shape[c.shape.size() - 2];
    const int64_t n = c.shape.back();
    const int64_t k = a.shape[a.shape.size() - (use.transpose_a ? 2 : 1)];
    const int64_t warps = threads_of(use.threads) / 32;
    const auto located = [&](const Error& error) {
      return bad(at(use.where) + use.op + ": " + error.message);
    };
    if (c.is_fragment) {
      if (c.shape.size() != 2)
        return bad(at(use.where) + use.op + ": the accumulator " + c.name +
                   " has more than two dimensions; use a fragment per product");
      Result<Layout> accumulator = Layout{};
      const bool warpgroups = (problem_.wgmma || use.wgmma) && warps % 4 == 0 && m % 64 == 0 &&
                              n % 8 == 0 && !b.is_fragment &&
                              (a.element_bits == 16 || a.element_bits == 8 || a.element_bits == 32);
      if (problem_.mfma) {
        accumulator = by_waves(use, m, n, k);
        if (!accumulator)
          return located(accumulator.error());
      } else if (warpgroups) {
        LayoutUse warpgroup_use = use;
        if (a.is_fragment) // its rows are shared by nobody
          warpgroup_use.policy = GemmPolicy::kFullRow;
        const auto grid = grid_of(warpgroup_use, m, n, warps / 4, 64, 8);
        if (!grid)
          return located(grid.error());
        accumulator = wgmma_accumulators(m, n, *grid);
        if (!accumulator)
          return located(accumulator.error());
        if (a.is_fragment) {
          if (use.transpose_a || grid->columns != 1)
            return bad(at(use.where) + use.op +
                       ": A in registers is not transposed, and its "
                       "warpgroups share no rows; use policy FullRow");
          auto whole = wgmma_operand(m, k, grid->rows, a.element_bits);
          if (!whole)
            return located(whole.error());
          TEMPER_TRY_VOID(set(use.a, *whole, "A of " + use.op + place(use.where), use));
        }
      } else {
        const auto grid = grid_of(use, m, n, warps);
        if (!grid)
          return located(grid.error());
        accumulator = mma_accumulator(m, n, *grid, a.element_bits);
        if (!accumulator)
          return located(accumulator.error());
        if (a.is_fragment) {
          if (use.transpose_a)
            return bad(at(use.where) + use.op +
                       ": A in registers cannot be transposed; copy it "
                       "through shared memory");
          auto layout = mma_operand_a(m, k, *grid, a.element_bits);
          if (!layout)
            return located(layout.error());
          TEMPER_TRY_VOID(set(use.a, *layout, "A of " + use.op + place(use.where), use));
        }
        if (b.is_fragment) {
          // Registers hold B as [k, n], or as [n, k] read the other way round.
          auto layout = mma_operand_b(k, n, *grid, a.element_bits);
          if (!layout)
            return located(layout.error());
          if (use.transpose_b)
            layout = permute(*layout, {1, 0});
          TEMPER_TRY_VOID(set(use.b, *layout, "B of " + use.op + place(use.where), use));
        }
      }
      TEMPER_TRY_VOID(set(use.c, *accumulator, "C of " + use.op + place(use.where), use));
    }
    for (const auto& [index, what, swizzle] :
         {std::tuple(use.a, "A", use.swizzle_a), std::tuple(use.b, "B", use.swizzle_b)}) {
      const LayoutBuffer& operand = buffer(index);
      // A second product reads what is there through its own addresses: any layout does.
      if (operand.is_fragment || known(index))
        continue;
      TEMPER_TRY(layout, shared_operand(operand, swizzle));
      known(index) = {std::move(layout), std::string(what) + " of " + use.op + place(use.where)};
    }
    return {};
  }

  /// C of a product by MFMA; operands in registers get their layouts.
  Result<Layout> by_waves(const LayoutUse& use, int64_t m, int64_t n, int64_t k) {
    const LayoutBuffer& a = buffer(use.a);
    const LayoutBuffer& b = buffer(use.b);
    const int64_t threads = threads_of(use.threads);
    if (threads % 64 != 0)
      return bad(fmt::format("{} threads are no whole waves of 64", threads));
    const int64_t waves = threads / 64;
    TEMPER_TRY(shape, mfma_shape(use.mfma_rows > 0 ? use.mfma_rows : mfma_rows(m, n, waves),
                                 a.element_bits));
    TEMPER_TRY(grid, grid_of(use, m, n, waves, shape.m, shape.m));
    if (a.is_fragment) {
      if (use.transpose_a)
        return bad("A in registers cannot be transposed; copy it through shared memory");
      TEMPER_TRY(layout, mfma_operand_a(m, k, grid, shape));
      TEMPER_TRY_VOID(set(use.a, layout, "A of " + use.op + place(use.where), use));
    }
    if (b.is_fragment) {
      TEMPER_TRY(layout, mfma_operand_b(k, n, grid, shape));
      if (use.transpose_b) {
        TEMPER_TRY(turned, permute(layout, {1, 0}));
        layout = std::move(turned);
      }
      TEMPER_TRY_VOID(set(use.b, layout, "B of " + use.op + place(use.where), use));
    }
    return mfma_accumulator(m, n, grid, shape);
  }

  /// `swizzle`: the most bytes that a row's XOR swizzle may span; -1: any.
  static Result<Layout> shared_operand(const LayoutBuffer& operand, int swizzle) {
    int bytes = widest_swizzle(operand.shape.back(), operand.element_bits);
    if (swizzle >= 0)
      bytes = std::min(bytes, swizzle);
    for (; bytes >= 32; bytes /= 2)
      if (auto swizzled = shared_tiles(operand.shape, operand.element_bits, bytes))
        return swizzled;
    return shared_tiles(operand.shape, operand.element_bits, 0);
  }

  /// Memory that a fragment of known layout is stored to whole: rows as they are, or with a swizzle
  /// where a warp stores them in fewer passes then.
  void stored(const LayoutUse& use) {
    const LayoutBuffer& memory = buffer(use.stored);
    const auto& from = known(use.operands[0].buffer);
    if (!from || known(use.stored) || memory.by_hand || memory.shape.size() < 2)
      return;
    const auto passes = [&](const Layout& layout) -> std::optional<int64_t> {
      const auto report = transfer_conflicts(from->layout, layout, memory.element_bits);
      return report ? std::optional(report->wavefronts) : std::nullopt;
    };
    const auto swizzled = shared_operand(memory, -1);
    const auto as_rows = passes(row_major(memory.shape));
    const auto fewer = swizzled && as_rows ? passes(*swizzled) : std::nullopt;
    if (fewer && *fewer < *as_rows)
      known(use.stored) = {*swizzled, "stored to by " + use.op + place(use.where)};
  }

  // What follows.

  /// The layout of the loop nest of an elementwise use: that of an operand with all its dimensions.
  std::optional<Layout> loop_layout(const LayoutUse& use) {
    for (const LayoutOperand& operand : use.operands) {
      if (!buffer(operand.buffer).is_fragment || !known(operand.buffer) ||
          static_cast<int>(operand.loops.size()) != use.loop_rank)
        continue;
      // operand dimension d is loop dimension loops[d]: order the loops.
      std::vector<int> order(operand.loops.size());
      for (size_t d = 0; d < operand.loops.size(); ++d)
        order[static_cast<size_t>(operand.loops[d])] = static_cast<int>(d);
      if (auto layout = permute(known(operand.buffer)->layout, order))
        return *std::move(layout);
    }
    return std::nullopt;
  }

  /// For each fragment of an elementwise use whose loops have a layout, with a layout of its own or
  /// without: `visit` of it, of the layout that the loops want for it, and of the use.
  Result<void> for_each_need(
      bool with_layout,
      FunctionRef<Result<void>(int fragment, const Layout& needed, const LayoutUse&)> visit) {
    for (const LayoutUse& use : problem_.uses) {
      const auto loop = use.is_gemm ? std::nullopt : loop_layout(use);
      if (!loop)
        continue;
      for (const LayoutOperand& operand : use.operands) {
        if (!buffer(operand.buffer).is_fragment || known(operand.buffer).has_value() != with_layout)
          continue;
        TEMPER_TRY(needed, operand_layout(*loop, operand));
        TEMPER_TRY_VOID(visit(operand.buffer, needed, use));
      }
    }
    return {};
  }

  Result<void> propagate() {
    do {
      changed_ = false;
      TEMPER_TRY_VOID(
          for_each_need(false, [&](int fragment, const Layout& needed, const LayoutUse& use) {
            return set(fragment, needed, "follows from " + use.op + place(use.where), use);
          }));
    } while (changed_);
    return {};
  }

  static int vector_bits(const LayoutBuffer& buffer) {
    return buffer.exchanged_bits > 0 ? std::min(buffer.exchanged_bits, buffer.element_bits)
                                     : buffer.element_bits;
  }

  Result<void> defaults() {
    // Operands with most dimensions first: the others follow from them.
    std::vector<size_t> order(problem_.buffers.size());
    std::iota(order.begin(), order.end(), size_t{0});
    // Of these, first what is exchanged with memory, whose vectors are to be whole.
    std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
      const LayoutBuffer& a = problem_.buffers[x];
      const LayoutBuffer& b = problem_.buffers[y];
      return std::pair(a.shape.size(), vector_bits(b)) > std::pair(b.shape.size(), vector_bits(a));
    });
    for (const size_t i : order) {
      const LayoutBuffer& buffer = problem_.buffers[i];
      if (layouts_[i])
        continue;
      if (!buffer.is_fragment) {
        layouts_[i] = {row_major(buffer.shape), "default"};
        continue;
      }
      auto layout = default_fragment(buffer.shape, threads_of(buffer.threads), vector_bits(buffer));
      if (!layout)
        return bad(buffer.name + ": " + layout.error().message);
      layouts_[i] = {*std::move(layout), "default"};
      TEMPER_TRY_VOID(propagate());
    }
    return {};
  }

  /// Every elementwise use finds its operands in the threads that need them.
  Result<void> check() {
    if (through_memory_)
      return {};
    return for_each_need(
        true, [&](int fragment, const Layout& needed, const LayoutUse& use) -> Result<void> {
          if (covers(known(fragment)->layout, needed))
            return {};
          return conflict(fragment, needed, use);
        });
  }

  /// The warps' share of a product as the program says, or else as its policy has it.
  Result<WarpGrid> grid_of(const LayoutUse& use, int64_t m, int64_t n, int64_t warps,
                           int64_t step_m = 16, int64_t step_n = 8) {
    if (use.warp_rows == 0)
      return warp_grid(m, n, warps, use.policy, step_m, step_n);
    std::vector<int64_t> rows;
    for (const WarpGrid& grid : warp_grids(m, n, warps, step_m, step_n)) {
      if (grid.rows == use.warp_rows)
        return grid;
      rows.push_back(grid.rows);
    }
    stated_ = true;
    return bad(fmt::format(
        "{} warps cannot share {} x {} with warp_rows = {}{}", warps, m, n, use.warp_rows,
        rows.empty() ? "" : fmt::format("; it is one of {}", fmt::join(rows, ", "))));
  }

  const LayoutProblem& problem_;
  const bool through_memory_;
  bool stated_ = false; ///< the last error is about what the program states
  std::vector<std::optional<InferredLayout>> layouts_;
  bool changed_ = false;
};

} // namespace

int64_t wgmma_width(int64_t columns) {
  int64_t width = std::min<int64_t>(columns, 256);
  while (columns % width != 0 || width % 8 != 0)
    --width;
  return width;
}

Result<Layout> wgmma_accumulators(int64_t m, int64_t n, WarpGrid warpgroups) {
  TEMPER_TRY(atom, wgmma_accumulator(wgmma_width(n / warpgroups.columns)));
  return grown(atom, m, n, warpgroups);
}

Result<Layout> wgmma_operand(int64_t m, int64_t k, int64_t warpgroups, int element_bits) {
  TEMPER_TRY(atom, wgmma_operand_a(element_bits));
  return grown(atom, m, k, {warpgroups, 1});
}

Result<Layout> shared_tiles(const std::vector<int64_t>& shape, int element_bits,
                            int swizzle_bytes) {
  TEMPER_TRY(layout,
             swizzled_tile(shape[shape.size() - 2], shape.back(), element_bits, swizzle_bytes));
  // Stages of a pipeline: tiles one behind the other.
  for (size_t d = shape.size() - 2; d-- > 0;) {
    layout.digits.insert(layout.digits.begin(), {shape[d], layout.span(kMemoryAxis), kMemoryAxis});
    layout.shape.insert(layout.shape.begin(), shape[d]);
  }
  return canonical(layout);
}

Result<std::vector<InferredLayout>> infer_layouts(const LayoutProblem& problem,
                                                  LayoutConflicts conflicts) {
  return Solver(problem, conflicts).run();
}

Result<std::vector<InferredLayout>> choose_layouts(const LayoutProblem& problem) {
  LayoutProblem rows = problem;
  for (LayoutUse& use : rows.uses)
    if (use.policy_open)
      use.policy = GemmPolicy::kFullRow;
  auto first = infer_layouts(problem);
  if (first)
    return first;
  if (auto layouts = infer_layouts(rows))
    return layouts;
  if (auto layouts = infer_layouts(problem, LayoutConflicts::kGoThroughMemory))
    return layouts;
  return first;
}

bool covers(const Layout& have, const Layout& needed) {
  if (equivalent(have, needed))
    return true;
  if (have.shape != needed.shape)
    return false;
  const LayoutMap a(have);
  const LayoutMap b(needed);
  std::vector<std::string> axes = a.axes();
  for (const std::string& axis : b.axes())
    if (a.find(axis) < 0)
      return false;
  std::vector<int64_t> values(a.axes().size());
  std::vector<int64_t> other(b.axes().size());
  for (int64_t i = 0; i < a.size(); ++i) {
    std::set<std::vector<int64_t>> places;
    for (int64_t r = 0; r < a.replication(); ++r) {
      a.place(i, values, r);
      places.insert(values);
    }
    for (int64_t r = 0; r < b.replication(); ++r) {
      b.place(i, other, r);
      for (size_t k = 0; k < axes.size(); ++k) {
        const int found = b.find(axes[k]);
        values[k] = found < 0 ? 0 : other[static_cast<size_t>(found)];
      }
      if (!places.contains(values))
        return false;
    }
  }
  return true;
}

Result<Layout> operand_layout(const Layout& loop, const LayoutOperand& operand) {
  Layout layout = loop;
  for (int d = loop.rank(); d-- > 0;)
    if (std::find(operand.loops.begin(), operand.loops.end(), d) == operand.loops.end()) {
      TEMPER_TRY(without, reduced(layout, d));
      layout = std::move(without);
    }
  std::vector<int> left(operand.loops);
  std::sort(left.begin(), left.end());
  std::vector<int> order;
  for (const int loop_dimension : operand.loops)
    order.push_back(static_cast<int>(std::lower_bound(left.begin(), left.end(), loop_dimension) -
                                     left.begin()));
  if (order.empty())
    return layout;
  return permute(layout, order);
}

std::vector<WarpGrid> warp_grids(int64_t m, int64_t n, int64_t warps, int64_t step_m,
                                 int64_t step_n) {
  std::vector<WarpGrid> grids;
  for (int64_t rows = 1; rows <= warps; ++rows) {
    const WarpGrid grid{rows, warps / rows};
    if (warps % rows == 0 && m % (grid.rows * step_m) == 0 && n % (grid.columns * step_n) == 0)
      grids.push_back(grid);
  }
  return grids;
}

Result<WarpGrid> warp_grid(int64_t m, int64_t n, int64_t warps, GemmPolicy policy, int64_t step_m,
                           int64_t step_n) {
  std::optional<WarpGrid> best;
  double best_ratio = 0;
  for (const WarpGrid& grid : warp_grids(m, n, warps, step_m, step_n)) {
    // How far a warp's tile is from what the policy wants; operands are read rows + columns times.
    const double height = static_cast<double>(m) / static_cast<double>(grid.rows);
    const double width = static_cast<double>(n) / static_cast<double>(grid.columns);
    const double ratio = policy == GemmPolicy::kFullRow ? static_cast<double>(grid.columns)
                         : policy == GemmPolicy::kFullColumn
                             ? static_cast<double>(grid.rows)
                             : std::max(height / width, width / height);
    if (!best || ratio < best_ratio) {
      best = grid;
      best_ratio = ratio;
    }
  }
  if (!best)
    return bad(fmt::format("{} warps cannot share {} x {} in steps of {} x {}; change the tile or "
                           "the number of threads",
                           warps, m, n, step_m, step_n));
  return *best;
}

Result<Layout> default_fragment(const std::vector<int64_t>& shape, int64_t threads,
                                int element_bits) {
  int64_t size = 1;
  for (const int64_t extent : shape)
    size *= extent;
  int64_t width = std::max<int64_t>(128 / element_bits, 1);
  while (width > 1 && (shape.back() % width != 0 || size % (width * threads) != 0))
    width /= 2;
  Layout layout;
  layout.shape = shape;
  int64_t left = threads; // not yet dealt to
  int64_t stride = 1;     // of threads
  int64_t registers = 1;
  std::vector<LayoutDigit> digits; // innermost first
  for (size_t d = shape.size(); d-- > 0;) {
    int64_t rest = shape[d];
    if (d + 1 == shape.size() && width > 1) {
      digits.push_back({width, 1, kMemoryAxis});
      registers = width;
      rest /= width;
    }
    const int64_t dealt = std::gcd(rest, left);
    if (dealt > 1) {
      digits.push_back({dealt, stride, kThreadAxis});
      stride *= dealt;
      left /= dealt;
      rest /= dealt;
    }
    if (rest > 1) {
      digits.push_back({rest, registers, kMemoryAxis});
      registers *= rest;
    }
    if (shape[d] == 1)
      digits.push_back({1, 0, kMemoryAxis});
  }
  layout.digits.assign(digits.rbegin(), digits.rend());
  if (left > 1)
    layout.replicas.push_back({left, stride, kThreadAxis});
  TEMPER_TRY_VOID(verify_layout(layout));
  return canonical(layout);
}

std::string to_text(const LayoutProblem& problem, const std::vector<InferredLayout>& layouts) {
  std::string text;
  for (size_t i = 0; i < layouts.size() && i < problem.buffers.size(); ++i)
    text += fmt::format("{}: {}  # {}\n", problem.buffers[i].name, to_text(layouts[i].layout),
                        layouts[i].reason);
  return text;
}

} // namespace temper::tir
