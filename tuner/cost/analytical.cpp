#include "tuner/cost/analytical.h"

#include "ir/arith/linear.h"
#include "ir/op.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>
#include <map>

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

/// Accesses of one buffer that differ by constants only: streams that run side by side.
struct Stream {
  const BufferNode* buffer = nullptr;
  std::vector<std::pair<const VarNode*, int64_t>> steps; ///< bytes per iteration of a loop
  std::vector<int64_t> starts;                           ///< bytes, sorted when used
  int64_t span = 0;                                      ///< bytes of one access
};

struct Ops {
  double multiply_adds = 0; ///< and whatever else the vector units do
  double loads = 0;
  double stores = 0;
  double others = 0;
  double calls = 0;
};

/// A loop with all that is inside.
struct Nest {
  const VarNode* var = nullptr; ///< null: the function's body, or a branch
  double extent = 1;
  bool parallel = false;
  Ops ops;                            ///< of the statements directly inside
  std::vector<Nest> nests;            ///< loops directly inside
  std::vector<Stream> streams;        ///< of the statements directly inside
  std::map<std::string, double> sums; ///< dependent sums per iteration, by what they add to
  std::map<const BufferNode*, std::vector<int64_t>> registers; ///< slots of local buffers
  double chain = 0; ///< cycles per iteration of the longest chain
};

class Reader {
public:
  explicit Reader(const MachineRates& rates) : rates_(rates) {}

  void read(const Stmt& stmt, Nest& nest) {
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        read(child, nest);
    } else if (const auto* loop = stmt.as<For>()) {
      Nest inner;
      inner.var = loop->loop_var.get();
      inner.extent = static_cast<double>(as_int(loop->extent).value_or(16));
      inner.parallel = loop->kind == ForKind::kParallel;
      read(loop->body, inner);
      nest.nests.push_back(std::move(inner));
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      expression(branch->condition, nest);
      read(branch->then_case, nest); // as if it were always taken
    } else if (const auto* store = stmt.as<BufferStore>()) {
      read_store(*store, nest);
    } else if (const auto* bind = stmt.as<Bind>()) {
      expression(bind->value, nest);
    } else if (const auto* evaluate = stmt.as<Evaluate>()) {
      expression(evaluate->value, nest);
    } else if (const auto* loop = stmt.as<While>()) {
      Nest inner;
      inner.extent = 16;
      read(loop->body, inner);
      nest.nests.push_back(std::move(inner));
    }
  }

private:
  static bool is_register(const BufferNode& buffer) { return buffer.scope == "local"; }

  void read_store(const BufferStore& store, Nest& nest) {
    expression(store.value, nest);
    access(store.buffer.get(), store.indices, store.value->dtype.lanes, nest, true);
    // C[i] = C[i] + ...: the next sum waits for this one.
    bool sums = false;
    walk(store.value, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      sums |= load != nullptr && load->buffer == store.buffer &&
              load->indices.size() == store.indices.size() &&
              std::equal(load->indices.begin(), load->indices.end(), store.indices.begin(),
                         [](const Expr& a, const Expr& b) { return same_expr(a, b); });
      return !sums;
    });
    if (!sums || store.indices.empty())
      return;
    const Stream place = stream_of(store.buffer.get(), store.indices[0], 1);
    std::string key = std::to_string(reinterpret_cast<uintptr_t>(place.buffer));
    for (const auto& [var, step] : place.steps) {
      if (var == nest.var)
        return; // another element in each iteration
      key += '/' + std::to_string(reinterpret_cast<uintptr_t>(var)) + '*' + std::to_string(step);
    }
    key += '+' + std::to_string(place.starts[0]);
    double& chain = nest.sums[key];
    chain += is_register(*store.buffer) ? rates_.add_latency : rates_.memory_latency;
    nest.chain = std::max(nest.chain, chain);
  }

  void expression(const Expr& expr, Nest& nest) {
    if (!expr)
      return;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>()) {
        access(load->buffer.get(), load->indices, load->dtype.lanes, nest, false);
        return false; // index arithmetic runs beside
      }
      if (node.is<Mul>() || node.is<Broadcast>() || node.is<Ramp>())
        return true; // a multiplication fuses with the sum it goes into
      if (const auto* call = node.as<Call>()) {
        if (call->op == "prefetch") {
          nest.ops.loads += 1; // at a load's port; what it moves its load moves
          return false;
        }
        if (call->op == "amx_multiply_add") {
          nest.ops.multiply_adds += amx_in_multiply_adds(*call);
          return false;
        }
        const OpInfo* op = find_op(call->op);
        if (call->op == "call_llvm_pure_intrin")
          nest.ops.multiply_adds += in_multiply_adds(*call);
        else if (op == nullptr || op->math)
          nest.ops.calls += 1;
        else if (call->op != "reinterpret" && call->op != "likely")
          nest.ops.others += 1;
      }
      if (node.is<Add>() || node.is<Sub>() || node.is<Div>() || node.is<Max>() || node.is<Min>())
        nest.ops.multiply_adds += 1;
      else if (node.is<Select>() || node.is<Cast>() || node.is<Shuffle>())
        nest.ops.others += 1;
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
    const double tiles = extent(9) / kTile * extent(10) / kTile;
    const double steps = extent(11) * bytes / 64;
    return rates_.multiply_adds_per_cycle * tiles * (kTile * steps + kSumsCycles);
  }

  void access(const BufferNode* buffer, const std::vector<Expr>& indices, int lanes, Nest& nest,
              bool store) {
    if (indices.empty())
      return;
    Stream stream = stream_of(buffer, indices[0], lanes);
    if (is_register(*buffer)) {
      std::vector<int64_t>& slots = nest.registers[buffer];
      if (std::find(slots.begin(), slots.end(), stream.starts[0]) == slots.end())
        slots.push_back(stream.starts[0]);
      return;
    }
    for (Stream& known : nest.streams)
      if (known.buffer == stream.buffer && known.steps == stream.steps) {
        // The same element twice in a body is one load: compilers see to that.
        const bool fresh = std::find(known.starts.begin(), known.starts.end(), stream.starts[0]) ==
                           known.starts.end();
        if (fresh)
          known.starts.push_back(stream.starts[0]);
        known.span = std::max(known.span, stream.span);
        (store ? nest.ops.stores : nest.ops.loads) += store || fresh ? 1 : 0;
        return;
      }
    (store ? nest.ops.stores : nest.ops.loads) += 1;
    nest.streams.push_back(std::move(stream));
  }

  static Stream stream_of(const BufferNode* buffer, const Expr& index, int lanes) {
    const int64_t bytes = buffer->dtype.element_bytes();
    Stream stream;
    stream.buffer = buffer;
    stream.span = bytes;
    Expr start = index;
    if (const auto* ramp = index.as<Ramp>()) {
      start = ramp->base;
      stream.span = bytes * ((lanes - 1) * std::abs(as_int(ramp->stride).value_or(16)) + 1);
    } else if (lanes > 1) {
      stream.span = bytes * lanes; // a gather
    }
    int64_t constant = 0;
    if (is_index_type(start->dtype)) {
      const LinearForm form = linear_form(start);
      constant = form.constant;
      for (const LinearTerm& term : form.terms)
        walk(term.expr, [&](const NodeRef& node) {
          if (const auto* var = node.as<VarNode>())
            stream.steps.emplace_back(var, term.coefficient * bytes);
          return true;
        });
    }
    std::sort(stream.steps.begin(), stream.steps.end());
    stream.starts = {constant * bytes};
    return stream;
  }

  const MachineRates& rates_;
};

class Estimator {
public:
  Estimator(const MachineRates& rates, int threads)
      : rates_(rates), threads_(std::max(threads, 1)) {}

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
    double body = std::max({(ops.multiply_adds + ops.others) / rates_.multiply_adds_per_cycle,
                            loads / rates_.loads_per_cycle, stores / rates_.stores_per_cycle,
                            (ops.multiply_adds + ops.others + loads + stores + 2) /
                                rates_.instructions_per_cycle,
                            nest.chain}) +
                  ops.calls * kCallCycles;
    for (const Nest& inner : nest.nests)
      body += cycles(inner) + kLoopOverhead;
    double times = nest.extent;
    if (nest.parallel) {
      times = std::ceil(nest.extent / threads_);
      parallel_ = std::max(parallel_, nest.extent / times);
    }
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
  double parallel_ = 1;
};

} // namespace

KernelEstimate estimate_time(const ir::PrimFunc& lowered, const MachineRates& rates, int threads) {
  Nest top;
  Reader(rates).read(lowered->body, top);
  return Estimator(rates, threads).run(top);
}

} // namespace temper::tuner
