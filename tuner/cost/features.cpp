#include "tuner/cost/features.h"

#include "ir/op.h"
#include "ir/s_tir/block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

namespace temper::tuner {
namespace {

using namespace s_tir;
using s_tir::visit; // both layers, not only tir

constexpr int kMaxLoops = 40; // deeper nests share the last slot; none of ours comes near

float slog(double x) { return static_cast<float>(std::log2(std::abs(x) + 1)); }

enum Arithmetic {
  kFloatMad,
  kFloatAddSub,
  kFloatMul,
  kFloatDivMod,
  kFloatCmp,
  kFloatMath,
  kFloatOther,
  kIntMad,
  kIntAddSub,
  kIntMul,
  kIntDivMod,
  kIntCmp,
  kIntMath,
  kIntOther,
  kBoolOp,
  kSelectOp,
  kArithmeticCount
};

enum Position {
  kNone,
  kInnerSpatial,
  kMiddleSpatial,
  kOuterSpatial,
  kInnerReduce,
  kMiddleReduce,
  kOuterReduce,
  kMixed,
  kPositionCount
};

/// Half of an index: sum of |coefficient| x loop, whose range is cut at `cap` values (by a modulo
/// or the extent of a division).
struct Term {
  std::array<float, kMaxLoops> coefficient{};
  double cap = 0; ///< 0: no cap
};

/// How an expression moves with the loops around the block.
struct Motion {
  std::vector<Term> terms;
};

struct LoopInfo {
  const For* loop = nullptr;
  double extent = 1;
  double unroll_step = 0; // auto_unroll_max_step in force at this loop
};

/// Values that a set of loops (those from `first` inwards) gives to an index.
double span_of(const Motion& motion, std::span<const LoopInfo> loops, size_t first) {
  double extent = 1;
  for (const Term& term : motion.terms) {
    double width = 0;
    for (size_t l = first; l < loops.size(); ++l)
      width += term.coefficient[l] * (loops[l].extent - 1);
    if (term.cap > 0)
      width = std::min(width, term.cap - 1);
    extent += width;
  }
  return extent;
}

double coefficient_of(const Motion& motion, size_t loop) {
  double sum = 0;
  for (const Term& term : motion.terms)
    sum += term.coefficient[loop];
  return sum;
}

void add_scaled(Motion& to, const Motion& from, double scale) {
  // Uncapped parts are added up in one term; capped ones stay apart.
  for (const Term& term : from.terms) {
    Term scaled = term;
    for (float& value : scaled.coefficient)
      value = static_cast<float>(value * scale);
    scaled.cap = term.cap * scale;
    if (scaled.cap == 0 && !to.terms.empty() && to.terms[0].cap == 0) {
      for (size_t l = 0; l < scaled.coefficient.size(); ++l)
        to.terms[0].coefficient[l] += scaled.coefficient[l];
    } else if (scaled.cap == 0) {
      to.terms.insert(to.terms.begin(), scaled);
    } else {
      to.terms.push_back(scaled);
    }
  }
}

double number_or(const Expr& expr, double other) {
  const auto value = as_int(expr);
  return value ? static_cast<double>(*value) : other;
}

struct Access {
  const BufferNode* buffer = nullptr;
  bool reads = false;
  bool writes = false;
  std::vector<Motion> dims;
};

class StoreFeatures;

/// Collects what one store does: arithmetic and accesses, indices in terms of the loops around.
class StoreAnalysis {
public:
  explicit StoreAnalysis(const std::unordered_map<const VarNode*, Motion>& motions)
      : motions_(motions) {}

  std::array<double, kArithmeticCount> counts{};
  std::vector<Access> accesses;

  void store(const BufferStore& store) {
    expression(store.value);
    for (const Expr& index : store.indices)
      index_arithmetic(index);
    access(store.buffer, store.indices, false);
  }

  void expression(const Expr& expr) {
    const bool real = expr->dtype.is_floating();
    const auto both = [&](const auto& node) {
      expression(node.a);
      expression(node.b);
    };
    visit(
        expr,
        [&](const Add& node) {
          // A product that is added at once becomes a fused multiply-add.
          const bool fused = node.a.template is<Mul>() || node.b.template is<Mul>();
          if (fused) {
            ++counts[real ? kFloatMad : kIntMad];
            --counts[real ? kFloatMul : kIntMul];
          } else {
            ++counts[real ? kFloatAddSub : kIntAddSub];
          }
          both(node);
        },
        [&](const Sub& node) {
          ++counts[real ? kFloatAddSub : kIntAddSub];
          both(node);
        },
        [&](const Mul& node) {
          ++counts[real ? kFloatMul : kIntMul];
          both(node);
        },
        [&](const Div& node) {
          ++counts[real ? kFloatDivMod : kIntDivMod];
          both(node);
        },
        [&](const Mod& node) {
          ++counts[real ? kFloatDivMod : kIntDivMod];
          both(node);
        },
        [&](const FloorDiv& node) {
          ++counts[kIntDivMod];
          both(node);
        },
        [&](const FloorMod& node) {
          ++counts[kIntDivMod];
          both(node);
        },
        [&](const Min& node) {
          ++counts[real ? kFloatCmp : kIntCmp];
          both(node);
        },
        [&](const Max& node) {
          ++counts[real ? kFloatCmp : kIntCmp];
          both(node);
        },
        [&](const EQ& node) { comparison(node); }, [&](const NE& node) { comparison(node); },
        [&](const LT& node) { comparison(node); }, [&](const LE& node) { comparison(node); },
        [&](const GT& node) { comparison(node); }, [&](const GE& node) { comparison(node); },
        [&](const And& node) {
          ++counts[kBoolOp];
          both(node);
        },
        [&](const Or& node) {
          ++counts[kBoolOp];
          both(node);
        },
        [&](const Not& node) {
          ++counts[kBoolOp];
          expression(node.a);
        },
        [&](const Select& node) {
          ++counts[kSelectOp];
          expression(node.condition);
          expression(node.true_value);
          expression(node.false_value);
        },
        [&](const Call& node) {
          const OpInfo* op = find_op(node.op);
          if (node.op == "if_then_else")
            ++counts[kSelectOp];
          else if (op != nullptr && op->math)
            ++counts[real ? kFloatMath : kIntMath];
          else
            ++counts[real ? kFloatOther : kIntOther];
          for (const Expr& arg : node.args)
            expression(arg);
        },
        [&](const BufferLoad& node) {
          for (const Expr& index : node.indices)
            index_arithmetic(index);
          access(node.buffer, node.indices, true);
        },
        [&](const Cast& node) { expression(node.value); },
        [&](const Ramp& node) { expression(node.base); },
        [&](const Broadcast& node) { expression(node.value); },
        [&](const Shuffle& node) {
          for (const Expr& vector : node.vectors)
            expression(vector);
        },
        [&](const Let& node) {
          expression(node.value);
          expression(node.body);
        },
        [](const ExprNode&) {});
  }

private:
  template <typename T> void comparison(const T& node) {
    ++counts[node.a->dtype.is_floating() ? kFloatCmp : kIntCmp];
    expression(node.a);
    expression(node.b);
  }

  void index_arithmetic(const Expr& index) {
    if (!index.is<VarNode>() && !index.is<IntImm>())
      expression(index);
  }

  void access(const Buffer& buffer, const std::vector<Expr>& indices, bool is_read) {
    std::vector<Motion> dims;
    dims.reserve(indices.size());
    for (const Expr& index : indices)
      dims.push_back(motion_of(index));
    for (Access& known : accesses) {
      if (known.buffer != buffer.get())
        continue;
      // Several accesses to one buffer count as one that moves as the first does.
      (is_read ? known.reads : known.writes) = true;
      return;
    }
    accesses.push_back({buffer.get(), is_read, !is_read, std::move(dims)});
  }

public:
  Motion motion_of(const Expr& expr) const {
    Motion result;
    visit(
        expr,
        [&](const VarNode& var) {
          if (const auto found = motions_.find(&var); found != motions_.end())
            result = found->second;
        },
        [&](const Add& node) {
          result = motion_of(node.a);
          add_scaled(result, motion_of(node.b), 1);
        },
        [&](const Sub& node) {
          result = motion_of(node.a);
          add_scaled(result, motion_of(node.b), 1);
        },
        [&](const Mul& node) {
          if (const auto b = as_int(node.b))
            add_scaled(result, motion_of(node.a), std::abs(static_cast<double>(*b)));
          else if (const auto a = as_int(node.a))
            add_scaled(result, motion_of(node.b), std::abs(static_cast<double>(*a)));
          else
            add_scaled(result, motion_of(node.a), 1);
        },
        [&](const FloorDiv& node) {
          add_scaled(result, motion_of(node.a), 1 / std::max(1.0, number_or(node.b, 1)));
        },
        [&](const FloorMod& node) {
          Motion inner = motion_of(node.a);
          const double cap = number_or(node.b, 0);
          for (Term& term : inner.terms)
            term.cap = term.cap > 0 ? std::min(term.cap, cap) : cap;
          result = std::move(inner);
        },
        [&](const Cast& node) { result = motion_of(node.value); },
        [&](const Min& node) {
          result = motion_of(node.a);
          if (result.terms.empty())
            result = motion_of(node.b);
        },
        [&](const Max& node) {
          result = motion_of(node.a);
          if (result.terms.empty())
            result = motion_of(node.b);
        },
        [](const ExprNode&) {});
    return result;
  }

private:
  const std::unordered_map<const VarNode*, Motion>& motions_;
};

/// A store with the loops around it.
struct StoreSite {
  std::vector<LoopInfo> loops; // outside in
  std::vector<uint8_t> is_reduce;
  StoreAnalysis analysis;
  double auto_unroll_step = 0;
};

class Extractor {
public:
  FeatureMatrix run(const PrimFunc& function) {
    statement(function->body);
    FeatureMatrix matrix;
    matrix.rows = static_cast<int>(sites_.size());
    matrix.values.resize(sites_.size() * kFeatureCount);
    for (size_t i = 0; i < sites_.size(); ++i)
      fill(sites_[i], std::span(matrix.values).subspan(i * kFeatureCount, kFeatureCount));
    return matrix;
  }

private:
  void statement(const Stmt& stmt) {
    visit(
        stmt,
        [&](const SeqStmt& seq) {
          for (const Stmt& child : seq.statements)
            statement(child);
        },
        [&](const For& loop) {
          LoopInfo info{&loop, std::max(1.0, number_or(loop.extent, 1)), unroll_step()};
          if (const auto step = loop.annotations.get_int("pragma_auto_unroll_max_step"))
            info.unroll_step = static_cast<double>(*step);
          if (loops_.size() + 1 < kMaxLoops) {
            Term term;
            term.coefficient[loops_.size()] = 1;
            motions_[loop.loop_var.get()] = Motion{{term}};
            loops_.push_back(info);
            statement(loop.body);
            loops_.pop_back();
          } else {
            statement(loop.body);
          }
        },
        [&](const SBlockRealize& realize) { block(realize); },
        [&](const IfThenElse& branch) {
          statement(branch.then_case);
          if (branch.else_case)
            statement(branch.else_case);
        },
        [&](const While& loop) { statement(loop.body); },
        [&](const BufferStore& store) { record(store); }, [](const StmtNode&) {});
  }

  double unroll_step() const { return loops_.empty() ? root_unroll_ : loops_.back().unroll_step; }

  void block(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    if (const auto step = block.annotations.get_int("pragma_auto_unroll_max_step"))
      root_unroll_ = static_cast<double>(*step);
    const std::vector<uint8_t> outer_reduce = reduce_;
    const StoreAnalysis resolver(motions_);
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      Motion motion = resolver.motion_of(realize.iter_values[i]);
      if (block.iter_vars[i].type == IterType::kReduce)
        for (const Term& term : motion.terms)
          for (size_t l = 0; l < loops_.size(); ++l)
            if (term.coefficient[l] != 0)
              mark_reduce(l);
      motions_[block.iter_vars[i].var.get()] = std::move(motion);
    }
    statement(block.body);
    reduce_ = outer_reduce;
  }

  void mark_reduce(size_t loop) {
    if (reduce_.size() <= loop)
      reduce_.resize(loop + 1);
    reduce_[loop] = 1;
  }

  void record(const BufferStore& store) {
    StoreSite site{loops_, reduce_, StoreAnalysis(motions_), unroll_step()};
    site.is_reduce.resize(loops_.size());
    site.analysis.store(store);
    const auto index = sites_.size();
    for (const Access& access : site.analysis.accesses)
      users_[access.buffer].push_back(index);
    sites_.push_back(std::move(site));
  }

  static double footprint_elements(const Access& access, std::span<const LoopInfo> loops,
                                   size_t first) {
    double elements = 1;
    for (size_t d = 0; d < access.dims.size(); ++d) {
      double extent = span_of(access.dims[d], loops, first);
      const double limit = number_or(access.buffer->shape[d], extent);
      elements *= std::min(extent, std::max(1.0, limit));
    }
    return elements;
  }

  /// Elements per step of loop `l`, row-major; 0 when the access does not move.
  static double stride_of(const Access& access, size_t l) {
    double stride = 0;
    double pitch = 1;
    for (size_t d = access.dims.size(); d-- > 0;) {
      stride += coefficient_of(access.dims[d], l) * pitch;
      pitch *= std::max(1.0, number_or(access.buffer->shape[d], 1));
    }
    return stride;
  }

  void loop_kind(const StoreSite& site, ForKind kind, std::span<float> out) const {
    double count = 0;
    double product = 1;
    double length = 0;
    size_t innermost = 0;
    for (size_t l = 0; l < site.loops.size(); ++l) {
      if (site.loops[l].loop->kind != kind)
        continue;
      ++count;
      product *= site.loops[l].extent;
      length = site.loops[l].extent;
      innermost = l;
    }
    out[0] = slog(count);
    out[1] = slog(count > 0 ? product : 0);
    out[2] = slog(length);
    out[3 + static_cast<size_t>(count > 0 ? position(site, innermost) : kNone)] = 1;
  }

  /// Inner: no loop of its class below. Outer: none above. Else middle.
  static Position position(const StoreSite& site, size_t loop) {
    const bool reduce = site.is_reduce[loop] != 0;
    bool above = false;
    bool below = false;
    for (size_t l = 0; l < site.loops.size(); ++l) {
      if ((site.is_reduce[l] != 0) != reduce || l == loop)
        continue;
      (l < loop ? above : below) = true;
    }
    if (!below)
      return reduce ? kInnerReduce : kInnerSpatial;
    if (!above)
      return reduce ? kOuterReduce : kOuterSpatial;
    return reduce ? kMiddleReduce : kMiddleSpatial;
  }

  void fill(const StoreSite& site, std::span<float> out) const {
    const std::span<const LoopInfo> loops = site.loops;
    const size_t depth = loops.size();
    double product = 1;
    for (const LoopInfo& loop : loops)
      product *= loop.extent;

    // Group 1
    for (int i = 0; i < kArithmeticCount; ++i)
      out[static_cast<size_t>(i)] =
          slog(std::max(0.0, site.analysis.counts[static_cast<size_t>(i)]) * product);
    loop_kind(site, ForKind::kVectorized, out.subspan(16, 11));
    loop_kind(site, ForKind::kUnrolled, out.subspan(27, 11));
    loop_kind(site, ForKind::kParallel, out.subspan(38, 11));
    // out[49..56]: GPU threads, 0 on CPUs.

    // Bytes touched by everything from loop l inwards; [depth] is one iteration.
    std::vector<double> bytes_inside(depth + 1);
    for (size_t l = 0; l <= depth; ++l)
      for (const Access& access : site.analysis.accesses)
        bytes_inside[l] += footprint_elements(access, loops, l) * access.buffer->dtype.bytes();
    std::vector<double> product_inside(depth + 1, 1);
    for (size_t l = depth; l-- > 0;)
      product_inside[l] = product_inside[l + 1] * loops[l].extent;

    // Group 2
    struct BufferFeatures {
      const Access* access;
      double bytes, unique_bytes, lines, unique_lines, stride;
      int reuse_type;
      double reuse_iterations, reuse_bytes, reuse_count;
    };
    std::vector<BufferFeatures> buffers;
    buffers.reserve(site.analysis.accesses.size());
    for (const Access& access : site.analysis.accesses) {
      const double element = access.buffer->dtype.bytes();
      BufferFeatures f{&access, product * element, 0, 0, 0, 0, 2, 0, 0, 0};
      f.unique_bytes = footprint_elements(access, loops, 0) * element;
      double still = 1; // iterations of loops inside the innermost moving one
      size_t l = depth;
      while (l-- > 0) {
        f.stride = stride_of(access, l);
        if (f.stride > 0)
          break;
        still *= loops[l].extent;
      }
      const double line_step = std::min(1.0, std::max(f.stride, 0.0) * element / kCacheLineBytes);
      f.lines = std::max(1.0, product / still * line_step);
      const double contiguous = access.dims.empty() ? 1 : span_of(access.dims.back(), loops, 0);
      f.unique_lines =
          std::max(1.0, f.unique_bytes / std::min<double>(kCacheLineBytes, contiguous * element));
      for (l = depth; l-- > 0;) {
        if (stride_of(access, l) == 0 && loops[l].extent > 1) {
          f.reuse_type = 0; // read again by a loop
          f.reuse_iterations = product_inside[l + 1];
          f.reuse_bytes = bytes_inside[l + 1];
          f.reuse_count = loops[l].extent;
          break;
        }
      }
      if (f.reuse_type == 2 && users_.at(access.buffer).size() > 1) {
        f.reuse_type = 1; // touched by another statement
        const size_t common = common_depth(users_.at(access.buffer));
        f.reuse_iterations = product_inside[std::min(common, depth)];
        f.reuse_bytes = bytes_inside[std::min(common, depth)];
        f.reuse_count = static_cast<double>(users_.at(access.buffer).size() - 1);
      }
      buffers.push_back(f);
    }
    std::stable_sort(buffers.begin(), buffers.end(), [](const auto& a, const auto& b) {
      return a.lines != b.lines ? a.lines > b.lines : a.bytes > b.bytes;
    });
    for (size_t b = 0; b < std::min<size_t>(buffers.size(), kBuffersPerStore); ++b) {
      const BufferFeatures& f = buffers[b];
      const std::span<float> to = out.subspan(57 + 18 * b, 18);
      to[f.access->reads && f.access->writes ? 2 : (f.access->writes ? 1 : 0)] = 1;
      to[3] = slog(f.bytes);
      to[4] = slog(f.unique_bytes);
      to[5] = slog(f.lines);
      to[6] = slog(f.unique_lines);
      to[7 + static_cast<size_t>(f.reuse_type)] = 1;
      to[10] = slog(f.reuse_iterations);
      to[11] = slog(f.reuse_bytes);
      to[12] = slog(f.reuse_count);
      const double divisor = f.reuse_count > 0 ? f.reuse_count : 0.5;
      to[13] = slog(f.bytes / divisor);
      to[14] = slog(f.unique_bytes / divisor);
      to[15] = slog(f.lines / divisor);
      to[16] = slog(f.unique_lines / divisor);
      to[17] = slog(f.stride);
    }

    // Group 3: flop and bytes as the nest is left from the inside; the curve is sampled at equal
    // steps of log(flop).
    double flop = 0;
    for (int i = kFloatMad; i <= kFloatOther; ++i)
      flop += site.analysis.counts[static_cast<size_t>(i)] * (i == kFloatMad ? 2 : 1);
    flop = std::max(flop, 0.0);
    const std::span<float> curve = out.subspan(57 + 18 * kBuffersPerStore, kCurvePoints);
    if (flop > 0) {
      const double low = std::log2(flop);
      const double high = std::log2(flop * product);
      for (int point = 0; point < kCurvePoints; ++point) {
        const double at = low + (high - low) * (point + 1) / kCurvePoints;
        // The level (inside out) whose flop is the first to reach `at`.
        size_t level = depth;
        while (level > 0 && std::log2(flop * product_inside[level]) < at - 1e-9)
          --level;
        curve[static_cast<size_t>(point)] =
            slog(flop * product_inside[level] / std::max(1.0, bytes_inside[level]));
      }
    }

    // Group 4
    const Access& written = site.analysis.accesses.back();
    size_t allocated_at = 0; // loops outside the allocation
    double elements =
        written.buffer->element_count() ? static_cast<double>(*written.buffer->element_count()) : 1;
    if (written.buffer->scope != "global" || !is_parameter_like(written.buffer)) {
      allocated_at = std::min(common_depth(users_.at(written.buffer)), depth);
      elements = footprint_elements(written, loops, allocated_at);
    }
    double outer = 1;
    for (size_t l = 0; l < allocated_at; ++l)
      outer *= loops[l].extent;
    const std::span<float> group4 = out.subspan(57 + 18 * kBuffersPerStore + kCurvePoints, 4);
    group4[0] = slog(elements * written.buffer->dtype.bytes());
    group4[1] = slog(elements * outer);
    group4[2] = slog(outer);
    group4[3] = slog(product / outer);

    // Group 5
    const std::span<float> group5 = out.subspan(57 + 18 * kBuffersPerStore + kCurvePoints + 4, 3);
    group5[0] = slog(product);
    group5[1] = slog(static_cast<double>(depth));
    group5[2] = slog(site.auto_unroll_step);
  }

  /// A buffer that only one statement touches is a parameter (or dead).
  bool is_parameter_like(const BufferNode* buffer) const { return users_.at(buffer).size() <= 1; }

  /// How many outer loops all the given stores share.
  size_t common_depth(const std::vector<size_t>& stores) const {
    const std::vector<LoopInfo>& first = sites_[stores[0]].loops;
    size_t depth = first.size();
    for (size_t store : stores) {
      const std::vector<LoopInfo>& other = sites_[store].loops;
      size_t same = 0;
      while (same < std::min(depth, other.size()) && other[same].loop == first[same].loop)
        ++same;
      depth = same;
    }
    return depth;
  }

  std::vector<LoopInfo> loops_;
  std::vector<uint8_t> reduce_;
  std::unordered_map<const VarNode*, Motion> motions_;
  std::vector<StoreSite> sites_;
  std::unordered_map<const BufferNode*, std::vector<size_t>> users_;
  double root_unroll_ = 0;
};

} // namespace

FeatureMatrix extract_features(const ir::PrimFunc& function) { return Extractor().run(function); }

const std::vector<std::string>& feature_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const char* type : {"float", "int"})
      for (const char* name : {"mad", "addsub", "mul", "divmod", "cmp", "mathfunc", "otherfunc"})
        list.push_back(std::string(type) + "_" + name);
    list.insert(list.end(), {"bool_op", "select_op"});
    for (const char* kind : {"vec", "unroll", "parallel"}) {
      for (const char* name :
           {"_num", "_prod", "_len", "_type.kPosNone", "_type.kPosInnerSpatial",
            "_type.kPosMiddleSpatial", "_type.kPosOuterSpatial", "_type.kPosInnerReduce",
            "_type.kPosMiddleReduce", "_type.kPosOuterReduce", "_type.kPosMixed"})
        list.push_back(std::string(kind) + name);
    }
    list.insert(list.end(),
                {"is_gpu", "blockIdx_x_len", "blockIdx_y_len", "blockIdx_z_len", "threadIdx_x_len",
                 "threadIdx_y_len", "threadIdx_z_len", "vthread_len"});
    for (int b = 0; b < kBuffersPerStore; ++b) {
      for (const char* name :
           {"acc_type.kRead", "acc_type.kWrite", "acc_type.kReadWrite", "bytes", "unique_bytes",
            "lines", "unique_lines", "reuse_type.kLoopMultipleRead",
            "reuse_type.kSerialMultipleReadWrite", "reuse_type.kNoReuse", "reuse_dis_iter",
            "reuse_dis_bytes", "reuse_ct", "bytes_d_reuse_ct", "unique_bytes_d_reuse_ct",
            "lines_d_reuse_ct", "unique_lines_d_reuse_ct", "stride"})
        list.push_back("B" + std::to_string(b) + "." + name);
    }
    for (int i = 0; i < kCurvePoints; ++i)
      list.push_back("arith_intensity_curve_" + std::to_string(i));
    list.insert(list.end(), {"alloc_size", "alloc_prod", "alloc_outer_prod", "alloc_inner_prod",
                             "outer_prod", "num_loops", "auto_unroll_max_step"});
    return list;
  }();
  return names;
}

} // namespace temper::tuner
