#include "tuner/cost/analytical.h"

#include "ir/arith/linear.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace temper::tuner {
namespace {

using namespace tir;

constexpr double kLine = 64;
/// Prefetchers stop at pages: lines that are a page apart cost their latency.
constexpr int64_t kFarBytes = 2048;
constexpr double kFarFactor = 3;
constexpr double kCallCycles = 12; // exp, tanh, ...: a polynomial in registers
constexpr double kLoopOverhead = 2;
constexpr double kOverlap = 0.2; // of what is not the largest

/// Where an access is: the buffer, and the bytes per iteration of each loop that moves it, in
/// order.
struct Place {
  const BufferNode* buffer = nullptr;
  std::vector<std::pair<const VarNode*, int64_t>> steps;
  auto operator<=>(const Place&) const = default;
};

/// Accesses of one buffer that differ by constants only: streams that run side by side.
struct Stream : Place {
  std::vector<int64_t> starts; ///< bytes, sorted when used
  int64_t span = 0;            ///< bytes of one access
};

struct Ops {
  double multiply_adds = 0; ///< and whatever else the vector units do
  double loads = 0;
  double wide_loads = 0; ///< of these: of whole vectors
  double stores = 0;
  double others = 0;
  double calls = 0;
};

/// A loop with all that is inside.
struct Nest {
  const VarNode* var = nullptr; ///< null: the function's body, or a branch
  double extent = 1;
  bool parallel = false;
  Ops ops;                     ///< of the statements directly inside
  std::vector<Nest> nests;     ///< loops directly inside
  std::vector<Stream> streams; ///< of the statements directly inside
  /// Dependent sums per iteration, by what they add to.
  std::map<std::pair<Place, int64_t>, double> sums;
  std::map<const BufferNode*, std::vector<int64_t>> registers; ///< slots of local buffers
  double chain = 0; ///< cycles per iteration of the longest chain
};

/// One access of a statement, whatever copy of it: unrolled variables move it by constants.
struct Access {
  const BufferNode* buffer = nullptr;
  LinearForm start;                                       ///< elements, without unrolled variables
  std::vector<std::pair<const VarNode*, int64_t>> moving; ///< unrolled ones, elements
  std::vector<std::pair<const VarNode*, int64_t>> steps;  ///< bytes; sorted
  int64_t span = 0;                                       ///< bytes
  bool is_store = false;
  bool is_contiguous = false; ///< a vector of neighbours
};

/// What one statement asks for.
struct Statement {
  Ops ops; ///< but for loads and stores of `accesses`
  std::vector<Access> accesses;
  const Access* sum = nullptr; ///< C[i] = C[i] + ...: the next sum waits for this one
};

/// Loops that are marked as unrolled are read as if they were expanded (ir/pass/fold.h).
class Reader {
public:
  explicit Reader(const MachineRates& rates) : rates_(rates) {}

  void read(const Stmt& stmt, Nest& nest) {
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        read(child, nest);
    } else if (const auto* loop = stmt.as<For>()) {
      if (is_unrolled(*loop)) {
        each_copy(*loop, [&] { read(loop->body, nest); });
        return;
      }
      Nest inner;
      inner.var = loop->loop_var.get();
      inner.extent = static_cast<double>(as_int(loop->extent).value_or(16));
      inner.parallel = loop->kind == ForKind::kParallel;
      read(loop->body, inner);
      if (loop->annotations.get_int(kPrefetch).value_or(0) > 0 && inner.nests.empty())
        inner.ops.loads += count_hints(*loop);
      nest.nests.push_back(std::move(inner));
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      apply(of_expression(stmt.get(), branch->condition), nest);
      read(branch->then_case, nest); // as if it were always taken
    } else if (stmt->kind() == BufferStore::kKind) {
      apply(of_store(stmt), nest);
    } else if (const auto* bind = stmt.as<Bind>()) {
      apply(of_expression(stmt.get(), bind->value), nest);
      if (copies_ > 0) {
        kept_.emplace_back(make_var(bind->var->name, bind->var->dtype));
        renamed_[bind->var.get()] = kept_.back().get();
      }
    } else if (const auto* alloc = stmt.as<AllocBuffer>()) {
      if (copies_ > 0) {
        kept_.emplace_back(copy_node(*alloc->buffer, [](BufferNode&) {}));
        renamed_[alloc->buffer.get()] = kept_.back().get();
      }
    } else if (const auto* evaluate = stmt.as<Evaluate>()) {
      apply(of_expression(stmt.get(), evaluate->value), nest);
    } else if (const auto* loop = stmt.as<While>()) {
      Nest inner;
      inner.extent = 16;
      read(loop->body, inner);
      nest.nests.push_back(std::move(inner));
    }
  }

private:
  static bool is_register(const BufferNode& buffer) { return buffer.scope == "local"; }
  static bool is_unrolled(const For& loop) {
    return loop.kind == ForKind::kUnrolled && as_int(loop.min) && as_int(loop.extent);
  }

  template <typename F> void each_copy(const For& loop, F&& read_copy) {
    const int64_t min = *as_int(loop.min);
    const int64_t extent = *as_int(loop.extent);
    values_.emplace_back(loop.loop_var.get(), min);
    const size_t at = values_.size() - 1;
    for (int64_t i = 0; i < extent; ++i) {
      values_[at].second = min + i;
      copies_ += i == 0 ? 0 : 1;
      read_copy();
      copies_ -= i == 0 ? 0 : 1;
    }
    values_.pop_back();
  }

  /// In the copy at hand.
  template <typename T> const T* renamed(const T* node) const {
    const auto found = renamed_.find(node);
    return found == renamed_.end() ? node : static_cast<const T*>(found->second);
  }

  const Statement& of_expression(const Node* key, const Expr& expr) {
    const auto [place, is_new] = statements_.try_emplace(key);
    if (is_new)
      expression(expr, place->second);
    return place->second;
  }

  const Statement& of_store(const Stmt& stmt) {
    const auto [place, is_new] = statements_.try_emplace(stmt.get());
    Statement& result = place->second;
    if (!is_new)
      return result;
    const BufferStore& store = *stmt.as<BufferStore>();
    expression(store.value, result);
    if (store.indices.empty())
      return result;
    result.accesses.push_back(
        access(store.buffer.get(), store.indices[0], store.value->dtype.lanes, true));
    bool sums = false;
    walk(store.value, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      sums |= load != nullptr && load->buffer == store.buffer &&
              load->indices.size() == store.indices.size() &&
              std::equal(load->indices.begin(), load->indices.end(), store.indices.begin(),
                         [](const Expr& a, const Expr& b) { return same_expr(a, b); });
      return !sums;
    });
    if (sums)
      result.sum = &result.accesses.back();
    return result;
  }

  void expression(const Expr& expr, Statement& statement) const {
    if (!expr)
      return;
    Ops& ops = statement.ops;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>()) {
        if (!load->indices.empty())
          statement.accesses.push_back(
              access(load->buffer.get(), load->indices[0], load->dtype.lanes, false));
        return false; // index arithmetic runs beside
      }
      if (node.is<Mul>() || node.is<Broadcast>() || node.is<Ramp>())
        return true; // a multiplication fuses with the sum it goes into
      if (const auto* call = node.as<Call>()) {
        if (call->op == "prefetch") {
          ops.loads += 1; // at a load's port; what it moves its load moves
          return false;
        }
        if (call->op == "amx_multiply_add") {
          ops.multiply_adds += amx_in_multiply_adds(*call);
          for (size_t operand = 0; operand < 3; ++operand)
            tile_access(*call, operand, statement);
          return false;
        }
        const OpInfo* op = find_op(call->op);
        if (call->op == "call_llvm_pure_intrin")
          ops.multiply_adds += in_multiply_adds(*call);
        else if (op == nullptr || op->math)
          ops.calls += 1;
        else if (call->op != "reinterpret" && call->op != "likely")
          ops.others += 1;
      }
      if (node.is<Add>() || node.is<Sub>() || node.is<Div>() || node.is<Max>() || node.is<Min>())
        ops.multiply_adds += 1;
      else if (node.is<Select>() || node.is<Cast>() || node.is<Shuffle>())
        ops.others += 1;
      return true;
    });
  }

  /// An instruction of the table of tensor intrinsics takes the place of so many multiply-adds.
  double in_multiply_adds(const Call& call) const {
    const auto* name = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
    double per_cycle = rates_.multiply_adds_per_cycle;
    if (name != nullptr && name->value.find(".dpbf16ps.") != std::string::npos)
      per_cycle = rates_.bf16_dots_per_cycle;
    if (name != nullptr && name->value.find(".vpdpb") != std::string::npos)
      per_cycle = rates_.int8_dots_per_cycle;
    return per_cycle > 0 ? rates_.multiply_adds_per_cycle / per_cycle : 1;
  }

  /// 16 cycles for each product of tiles, and for each tile of sums some to load and store it.
  double amx_in_multiply_adds(const Call& call) const {
    constexpr double kTile = 16;
    constexpr double kSumsCycles = 24;
    const auto extent = [&](size_t i) {
      return static_cast<double>(as_int(call.args[i]).value_or(0));
    };
    const auto* a = call.args[3].as<BufferLoad>();
    const double bytes = a != nullptr ? a->buffer->dtype.bytes() : 1;
    const double tiles = std::ceil(extent(9) / kTile) * extent(10) / kTile; // full or not
    const double steps = extent(11) * bytes / 64;
    return rates_.multiply_adds_per_cycle * tiles * (kTile * steps + kSumsCycles);
  }

  /// All of C, A or B (`operand` 0 to 2), from its first element to its last.
  void tile_access(const Call& call, size_t operand, Statement& statement) const {
    const auto* first = call.args[3 * operand].as<BufferLoad>();
    const auto* last = call.args[3 * operand + 2].as<BufferLoad>();
    if (first == nullptr || last == nullptr || first->indices.size() != 1)
      return;
    Access whole = access(first->buffer.get(), first->indices[0], 1, operand == 0);
    const LinearForm from = linear_form(first->indices[0]);
    const LinearForm to = linear_form(last->indices[0]);
    if (same_terms(from, to) && to.constant > from.constant)
      whole.span += (to.constant - from.constant) * first->buffer->dtype.element_bytes();
    whole.is_contiguous = true;
    statement.accesses.push_back(std::move(whole));
  }

  Access access(const BufferNode* buffer, const Expr& index, int lanes, bool is_store) const {
    const int64_t bytes = buffer->dtype.element_bytes();
    Access result;
    result.buffer = buffer;
    result.is_store = is_store;
    result.span = bytes;
    Expr start = index;
    if (const auto* ramp = index.as<Ramp>()) {
      start = ramp->base;
      result.span = bytes * ((lanes - 1) * std::abs(as_int(ramp->stride).value_or(16)) + 1);
      result.is_contiguous = is_int(ramp->stride, 1);
    } else if (lanes > 1) {
      result.span = bytes * lanes; // a gather
    }
    if (!is_index_type(start->dtype))
      return result;
    LinearForm form = linear_form(start);
    result.start.dtype = form.dtype;
    result.start.constant = form.constant;
    result.start.overflow = form.overflow;
    for (const LinearTerm& term : form.terms) {
      const auto* whole = term.expr.as<VarNode>();
      if (whole != nullptr && std::any_of(values_.begin(), values_.end(), [&](const auto& value) {
            return value.first == whole;
          })) {
        result.moving.emplace_back(whole, term.coefficient);
        continue;
      }
      result.start.terms.push_back(term);
      walk(term.expr, [&](const NodeRef& node) {
        if (const auto* var = node.as<VarNode>())
          result.steps.emplace_back(var, term.coefficient * bytes);
        return true;
      });
    }
    std::sort(result.steps.begin(), result.steps.end());
    return result;
  }

  /// Elements, in the copy at hand.
  int64_t constant_of(const Access& access) const {
    int64_t constant = access.start.constant;
    for (const auto& [var, coefficient] : access.moving)
      for (const auto& [unrolled, value] : values_)
        constant += unrolled == var ? coefficient * value : 0;
    return constant;
  }

  Place place_of(const Access& access) const {
    Place place{renamed(access.buffer), access.steps};
    if (!renamed_.empty()) {
      for (auto& [var, step] : place.steps)
        var = renamed(var);
      std::sort(place.steps.begin(), place.steps.end());
    }
    return place;
  }

  void apply(const Statement& statement, Nest& nest) {
    nest.ops.multiply_adds += statement.ops.multiply_adds;
    nest.ops.loads += statement.ops.loads;
    nest.ops.others += statement.ops.others;
    nest.ops.calls += statement.ops.calls;
    for (const Access& access : statement.accesses)
      apply(access, nest);
    if (statement.sum == nullptr)
      return;
    const Access& sum = *statement.sum;
    if (std::any_of(sum.steps.begin(), sum.steps.end(),
                    [&](const auto& step) { return step.first == nest.var; }))
      return; // another element in each iteration
    double& chain =
        nest.sums[{place_of(sum), constant_of(sum) * sum.buffer->dtype.element_bytes()}];
    chain += is_register(*sum.buffer) ? rates_.add_latency : rates_.memory_latency;
    nest.chain = std::max(nest.chain, chain);
  }

  void apply(const Access& access, Nest& nest) {
    const int64_t start = constant_of(access) * access.buffer->dtype.element_bytes();
    if (is_register(*access.buffer)) {
      std::vector<int64_t>& slots = nest.registers[renamed(access.buffer)];
      if (std::find(slots.begin(), slots.end(), start) == slots.end())
        slots.push_back(start);
      return;
    }
    Place place = place_of(access);
    for (Stream& known : nest.streams)
      if (static_cast<const Place&>(known) == place) {
        // The same element twice in a body is one load: compilers see to that.
        const bool fresh =
            std::find(known.starts.begin(), known.starts.end(), start) == known.starts.end();
        if (fresh)
          known.starts.push_back(start);
        known.span = std::max(known.span, access.span);
        if (access.is_store || fresh)
          count(access, nest.ops);
        return;
      }
    count(access, nest.ops);
    nest.streams.push_back({std::move(place), {start}, access.span});
  }

  static void count(const Access& access, Ops& ops) {
    constexpr int64_t kWideBytes = 32;
    (access.is_store ? ops.stores : ops.loads) += 1;
    ops.wide_loads += !access.is_store && access.is_contiguous && access.span >= kWideBytes ? 1 : 0;
  }

  /// The lines that the loop's body asks for ahead, as insert_prefetches would have it.
  double count_hints(const For& loop) {
    std::unordered_set<const Node*> written;
    walk(loop.body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written.insert(store->buffer.get());
      return StmtNode::accepts(node->kind());
    });
    std::vector<std::pair<const Access*, int64_t>> asked; // and the line's number
    const auto ask = [&](const Access& access) {
      const VarNode* var = loop.loop_var.get();
      if (access.is_store || !access.is_contiguous || access.start.overflow ||
          is_register(*access.buffer) || written.contains(access.buffer) ||
          ir::hides(access.start, var) || ir::coefficient(access.start, var) == 0)
        return;
      const auto at =
          static_cast<double>(constant_of(access) * access.buffer->dtype.element_bytes());
      const auto line = static_cast<int64_t>(std::floor(at / kLine));
      for (const auto& [other, at_line] : asked)
        if (at_line == line && other->buffer == access.buffer &&
            ir::same_terms(other->start, access.start))
          return;
      asked.emplace_back(&access, line);
    };
    std::function<void(const Stmt&)> visit = [&](const Stmt& stmt) {
      if (const auto* inner = stmt.as<For>()) {
        each_copy(*inner, [&] { visit(inner->body); });
      } else if (stmt->kind() == BufferStore::kKind) {
        for (const Access& access : of_store(stmt).accesses)
          ask(access);
      } else {
        stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
          if (StmtNode::accepts(child->kind()))
            visit(cast_ref<StmtNode>(child));
        });
      }
    };
    visit(loop.body);
    return static_cast<double>(asked.size());
  }

  const MachineRates& rates_;
  std::unordered_map<const Node*, Statement> statements_;
  /// Variables of unrolled loops around, with what they are in the copy at hand.
  std::vector<std::pair<const VarNode*, int64_t>> values_;
  int copies_ = 0; ///< in a second or later copy: what is defined there is not what the first has
  std::unordered_map<const Node*, const Node*> renamed_;
  std::vector<NodeRef> kept_; ///< names that are nobody else's
};

class Estimator {
public:
  Estimator(const MachineRates& rates, int threads, int compiled_vector_bits)
      : rates_(rates), threads_(std::max(threads, 1)), compiled_vector_bits_(compiled_vector_bits) {
  }

  KernelEstimate run(const Nest& top) {
    KernelEstimate estimate;
    estimate.port_ns = cycles(top) * rates_.cycle_ns;
    double sum = estimate.port_ns;
    double largest = estimate.port_ns;
    for (size_t level = 0; level < rates_.levels.size(); ++level) {
      const auto capacity = static_cast<double>(rates_.levels[level].bytes);
      // Calls follow each other: what stays in a level is not moved at all.
      const double lines = footprint(top) <= capacity ? 0 : traffic(top, capacity) / parallel_;
      const double ns = lines * rates_.levels[level].ns_per_line;
      estimate.traffic_ns.push_back(ns);
      sum += ns;
      largest = std::max(largest, ns);
    }
    estimate.total_ns = largest + kOverlap * (sum - largest);
    return estimate;
  }

private:
  /// Iterations that the compiler makes one of: 1 where the loop has vectors already, elements that
  /// do not lie one behind the other, or a sum whose order is to be kept.
  double compiled_lanes(const Nest& nest) const {
    if (compiled_vector_bits_ == 0 || !nest.nests.empty() || nest.streams.empty() ||
        nest.ops.calls > 0 || nest.chain > 0)
      return 1;
    int64_t widest = 1;
    for (const Stream& stream : nest.streams) {
      const int64_t element = stream.buffer->dtype.element_bytes();
      if (stream.span != element)
        return 1;
      for (const auto& [var, step] : stream.steps)
        if (var == nest.var && step != 0 && step != element)
          return 1;
      widest = std::max(widest, element);
    }
    return std::clamp(static_cast<double>(compiled_vector_bits_) /
                          (8.0 * static_cast<double>(widest)),
                      1.0, std::max(nest.extent, 1.0));
  }

  double cycles(const Nest& nest) {
    const Ops& ops = nest.ops;
    // Slots of register tiles that do not fit go to the stack and back in each iteration.
    double slots = 0;
    for (const auto& [buffer, starts] : nest.registers)
      slots += static_cast<double>(starts.size());
    const double spilled =
        nest.nests.empty() ? std::max(0.0, slots + 3 - rates_.vector_registers) : 0;
    const double loads = ops.loads + spilled;
    const double stores = ops.stores + spilled;
    const double arithmetic = (ops.multiply_adds + ops.others) / rates_.multiply_adds_per_cycle;
    const double reading = loads / rates_.loads_per_cycle;
    double body = std::max({arithmetic, reading, stores / rates_.stores_per_cycle,
                            (ops.multiply_adds + ops.others + loads + stores + 2) /
                                rates_.instructions_per_cycle,
                            nest.chain}) +
                  ops.calls * kCallCycles;
    // Loads have ports of their own, and yet slow the multiply-adds that run beside them: 24 of
    // those with 12 broadcasts take a tenth longer than alone, with 12 whole vectors a fifth (a
    // Xeon with AVX-512, whatever the values are; the clock stays, and nops in their place cost
    // nothing).
    body += kOverlap * std::min(arithmetic, (loads + ops.wide_loads) / rates_.loads_per_cycle);
    for (const Nest& inner : nest.nests)
      body += cycles(inner) + kLoopOverhead;
    double times = nest.extent;
    if (nest.parallel) {
      times = std::ceil(nest.extent / threads_);
      parallel_ = std::max(parallel_, nest.extent / times);
    }
    times /= compiled_lanes(nest);
    return times * body;
  }

  /// Streams at and below the nest, with the loops of `nest` and inside in `loops_`.
  struct Lines {
    double all = 0;     ///< distinct lines while the loop runs
    double weighed = 0; ///< the same, with far ones counted by their cost
  };
  Lines lines(const Nest& nest, bool with_own_loop) const {
    std::vector<std::pair<const VarNode*, double>> loops;
    if (with_own_loop && nest.var != nullptr)
      loops.emplace_back(nest.var, nest.extent);
    Lines sum;
    collect(nest, loops, sum);
    return sum;
  }

  void collect(const Nest& nest, std::vector<std::pair<const VarNode*, double>>& loops,
               Lines& sum) const {
    for (const Stream& stream : nest.streams)
      add(stream, loops, sum);
    for (const Nest& inner : nest.nests) {
      loops.emplace_back(inner.var, inner.extent);
      collect(inner, loops, sum);
      loops.pop_back();
    }
  }

  static void add(const Stream& stream, const std::vector<std::pair<const VarNode*, double>>& loops,
                  Lines& sum) {
    std::vector<int64_t> starts = stream.starts;
    std::sort(starts.begin(), starts.end());
    double streams = 0;
    double bytes = 0; // of one of them, the longest
    for (size_t i = 0; i < starts.size();) {
      size_t last = i;
      while (last + 1 < starts.size() &&
             starts[last + 1] - starts[last] <= std::max<int64_t>(stream.span, 64))
        ++last;
      streams += 1;
      bytes = std::max(bytes, static_cast<double>(starts[last] - starts[i] + stream.span));
      i = last + 1;
    }
    std::vector<std::pair<int64_t, double>> steps;
    for (const auto& [var, step] : stream.steps)
      for (const auto& [loop, extent] : loops)
        if (loop == var && step != 0)
          steps.emplace_back(std::abs(step), extent);
    std::sort(steps.begin(), steps.end());
    bool far = !steps.empty() && steps.front().first >= kFarBytes;
    for (const auto& [step, extent] : steps) {
      if (static_cast<double>(step) <= std::max(bytes, kLine))
        bytes += static_cast<double>(step) * (extent - 1);
      else
        streams *= extent;
    }
    double count = streams * std::ceil(bytes / kLine);
    if (const auto elements = stream.buffer->element_count())
      count = std::min(count, std::ceil(static_cast<double>(*elements) *
                                        stream.buffer->dtype.element_bytes() / kLine));
    sum.all += count;
    sum.weighed += far ? kFarFactor * count : count;
  }

  double footprint(const Nest& nest) const { return lines(nest, false).all * kLine; }

  /// Lines that a level of this capacity does not hold when they are touched, weighed.
  double traffic(const Nest& nest, double capacity) const {
    if (footprint(nest) <= capacity)
      return lines(nest, true).weighed;
    Lines direct;
    for (const Stream& stream : nest.streams)
      add(stream, {}, direct);
    double body = direct.weighed;
    for (const Nest& inner : nest.nests)
      body += traffic(inner, capacity);
    return nest.extent * body;
  }

  const MachineRates& rates_;
  double threads_;
  int compiled_vector_bits_;
  double parallel_ = 1;
};

} // namespace

KernelEstimate estimate_time(const ir::PrimFunc& lowered, const MachineRates& rates, int threads,
                             int compiled_vector_bits) {
  Nest top;
  Reader reader(rates); // whose names the nests mention
  reader.read(lowered->body, top);
  return Estimator(rates, threads, compiled_vector_bits).run(top);
}

} // namespace temper::tuner
