// Blocks become plain code.
//
// One walk: a block's axes are replaced by their values (simplified with the ranges of the loops
// around it), its predicate becomes a condition unless the ranges prove it, a matched buffer's
// accesses become accesses of what it views, allocations go where plan_allocations says, with the
// strides that storage_align asks for as an annotation.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/pipeline_loops.h"
#include "ir/pass/rewrite.h"
#include "ir/s_tir/detail/pipeline_parts.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/tensor_intrinsic.h"

namespace temper::s_tir {
namespace {

/// What blocks ask of the buffers that they write: by storage_align [axis, factor, offset] each,
/// for align_strides; a double buffer, for pipeline_loops.
std::unordered_map<Buffer, Annotations, RefHash> alignments_of(const Stmt& body) {
  std::unordered_map<Buffer, Annotations, RefHash> result;
  walk(body, [&](const NodeRef& node) {
    const auto* block = node.as<SBlock>();
    if (const auto index =
            block != nullptr ? block->annotations.get_int(kDoubleBuffer) : std::optional<int64_t>();
        index && *index >= 0 && *index < static_cast<int64_t>(block->writes.size())) {
      Annotations& annotations = result[block->writes[static_cast<size_t>(*index)].buffer];
      annotations = annotations.with(kDoubleBuffer, make_int(DataType::int32(), 1));
    }
    const Expr asked = block != nullptr ? block->annotations.get(kDimAlign) : Expr();
    const auto* entries = asked ? asked.as<ListImm>() : nullptr;
    for (const Expr& item : entries != nullptr ? entries->values : std::vector<Expr>()) {
      const auto* entry = item.as<ListImm>();
      const auto index = entry != nullptr && entry->values.size() == 4 ? as_int(entry->values[0])
                                                                       : std::optional<int64_t>();
      if (!index || *index < 0 || *index >= static_cast<int64_t>(block->writes.size()))
        continue; // of a program that was read
      Annotations& annotations = result[block->writes[static_cast<size_t>(*index)].buffer];
      std::vector<Expr> all;
      if (const Expr before = annotations.get(kDimAlign))
        all = before.as<ListImm>()->values;
      all.push_back(make_list({entry->values.begin() + 1, entry->values.end()}));
      annotations = annotations.with(kDimAlign, make_list(std::move(all)));
    }
    return !ExprNode::accepts(node->kind());
  });
  return result;
}

class BlockConversion {
public:
  BlockConversion(const Stmt& body, AllocationPlan plan, bool tensor_intrinsics)
      : plan_(std::move(plan)), alignments_(alignments_of(body)),
        tensor_intrinsics_(tensor_intrinsics) {}

  Stmt convert(const Stmt& stmt) {
    if (const auto* realize = stmt.as<SBlockRealize>())
      return convert_realize(*realize);
    if (const auto* loop = stmt.as<For>())
      return convert_loop(stmt, *loop);
    if (const auto* store = stmt.as<BufferStore>()) {
      std::vector<Expr> indices;
      for (const Expr& index : store->indices)
        indices.push_back(math_.simplify(replace(index)));
      Expr predicate = store->predicate ? convert(store->predicate) : nullptr;
      const View* view = find_view(store->buffer);
      if (view != nullptr)
        indices = through(*view, std::move(indices));
      return make_store(view != nullptr ? view->source : store->buffer, std::move(indices),
                        convert(store->value), std::move(predicate));
    }
    const auto* seq = stmt.as<SeqStmt>();
    size_t next = 0;
    return rebuild(
        stmt,
        [&](const Stmt& child) {
          const Stmt converted = convert(child);
          if (seq != nullptr)
            parts_.record(*seq, next++, converted);
          return converted;
        },
        [&](const Expr& expr) { return convert(expr); });
  }

private:
  struct View {
    Buffer source;
    std::vector<Expr> start; ///< per dimension of the source
  };

  Stmt convert_loop(const Stmt& stmt, const For& loop) {
    const Expr min = convert(loop.min);
    const Expr extent = convert(loop.extent);
    Ref<For> changed = stmt.as_ref<For>();
    if (min != loop.min || extent != loop.extent)
      changed = change_loop(loop, [&](For& node) {
        node.min = min;
        node.extent = extent;
      });
    const Analyzer::Scope scope(math_);
    bind_loop(math_, *changed);
    std::vector<Stmt> body = take_allocations(&loop);
    body.push_back(convert(loop.body));
    Stmt all = make_seq(std::move(body));
    if (is_nothing(all))
      return all;
    return all == changed->body ? Stmt(changed) : Stmt(change_loop(*changed, [&](For& node) {
      node.body = std::move(all);
      node.annotations = parts_.annotations_of(loop);
    }));
  }

  Stmt convert_realize(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    TEMPER_CHECK(!block.init, "lower_init runs before convert_blocks");
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      const Var& var = block.iter_vars[i].var;
      Expr value = math_.simplify(replace(realize.iter_values[i]));
      if (value->dtype != var->dtype)
        value = make_cast(var->dtype, value);
      values_[var] = std::move(value);
    }
    const Expr predicate = convert(realize.predicate);
    if (is_int(predicate, 0))
      return make_seq({});
    for (const MatchBufferRegion& match : block.match_buffers) {
      View view{match.source.buffer, {}};
      for (const Range& range : match.source.region)
        view.start.push_back(math_.simplify(replace(range.min)));
      if (const View* outer = find_view(view.source))
        view = {outer->source, through(*outer, std::move(view.start))};
      views_.emplace(match.buffer, std::move(view));
    }
    // Allocations whose accesses share no deeper loop stay with their block; the others wait for
    // it.
    std::vector<Stmt> statements;
    for (const Buffer& buffer : block.alloc_buffers) {
      const auto place = plan_.find(buffer);
      if (place == plan_.end())
        statements.push_back(alloc(buffer));
      else
        waiting_[place->second.get()].push_back(buffer);
    }
    statements.push_back(convert(tensorized(block)));
    Stmt body = make_seq(std::move(statements));
    if (is_int(predicate, 1) || is_nothing(body))
      return body;
    return make_if(predicate, body);
  }

  /// What stands for the block's body: the instruction of a tensorized one.
  Stmt tensorized(const SBlock& block) const {
    const auto name = tensor_intrinsics_ ? block.annotations.get_string(kTensorIntrinsic)
                                         : std::optional<std::string>();
    if (!name)
      return block.body;
    const TensorIntrinsic* entry = find_tensor_intrinsic(*name);
    TEMPER_CHECK(entry != nullptr, "check_tensor_intrinsics() has found it");
    const Result<TensorMatch> match = match_tensor_intrinsic(*entry, block);
    TEMPER_CHECK(match.has_value(), "check_tensor_intrinsics() has matched it");
    return instantiate(*entry, *match);
  }

  Stmt alloc(const Buffer& buffer) const {
    const auto found = alignments_.find(buffer);
    return make_alloc(buffer, found == alignments_.end() ? Annotations() : found->second);
  }

  std::vector<Stmt> take_allocations(const For* loop) {
    std::vector<Stmt> result;
    if (const auto found = waiting_.find(loop); found != waiting_.end())
      for (const Buffer& buffer : found->second)
        result.push_back(alloc(buffer));
    return result;
  }

  /// Axes and views replaced, not simplified.
  Expr replace(const Expr& expr) {
    if (views_.empty())
      return substitute(expr, values_);
    return cast_ref<ExprNode>(rewrite_post(substitute(expr, values_), [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      const View* view = load != nullptr ? find_view(load->buffer) : nullptr;
      return view == nullptr
                 ? node
                 : NodeRef(make_load(view->source, through(*view, load->indices), load->predicate));
    }));
  }
  Expr convert(const Expr& expr) { return math_.simplify(replace(expr)); }

  const View* find_view(const Buffer& buffer) const {
    const auto found = views_.find(buffer);
    return found == views_.end() ? nullptr : &found->second;
  }

  /// Indices of the source for indices of the view; leading dimensions that the view lacks are the
  /// region's start.
  std::vector<Expr> through(const View& view, std::vector<Expr> indices) {
    TEMPER_CHECK(indices.size() <= view.start.size(),
                 "a view has no more dimensions than its source");
    std::vector<Expr> result = view.start;
    const size_t skip = view.start.size() - indices.size();
    for (size_t i = 0; i < indices.size(); ++i)
      result[skip + i] = math_.simplify(result[skip + i] + indices[i]);
    return result;
  }

  AllocationPlan plan_;
  PipelineParts parts_;
  std::unordered_map<Buffer, Annotations, RefHash> alignments_;
  bool tensor_intrinsics_;
  Analyzer math_;
  VarMap values_;
  std::unordered_map<Buffer, View, RefHash> views_;
  std::unordered_map<const For*, std::vector<Buffer>> waiting_;
};

} // namespace

PrimFunc convert_blocks(const PrimFunc& function, bool tensor_intrinsics) {
  const Stmt body = BlockConversion(function->body, plan_allocations(function), tensor_intrinsics)
                        .convert(function->body);
  return copy_node(*function, [&](PrimFuncNode& node) {
    node.body = body;
    node.s_tir = false;
  });
}

PrimFunc lower_blocks(const PrimFunc& function, bool tensor_intrinsics) {
  return function->s_tir ? convert_blocks(lower_init(function), tensor_intrinsics) : function;
}

} // namespace temper::s_tir
