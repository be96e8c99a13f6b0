#include "ir/tir/promote_sums.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/ops/gemm.h"
#include "ir/tir/pipeline_stages.h"

namespace temper::tir {
namespace {

const TileCall* promoted_product(const NodeRef& node) {
  const auto* call = node.as<TileCall>();
  if (call == nullptr || call->op != "gemm" || integer_option(*call, kImpreciseSums) <= 0)
    return nullptr;
  const auto types = ops::tensor_types(*call);
  const BufferRegion& sums = call->regions[2];
  return types && *types == ops::TensorTypes::kFloat8 &&
                 tile_scope(sums.buffer->scope) == "fragment" && is_whole(sums)
             ? call
             : nullptr;
}

Stmt promoted(const TileCall& call, const Buffer& part) {
  const BufferRegion& sums = call.regions[2];
  const Stmt product = copy_node(call, [&](TileCall& node) {
    node.regions[2].buffer = part;
    // It is read directly behind the call.
    node.options = node.options.without(kImpreciseSums)
                       .with("clear_accum", make_bool(true))
                       .with("wg_wait", make_int(DataType::int32(), 0));
  });
  const TileLoops loops(tile_shape(sums));
  Expr value = make_load(part, loops.indices);
  if (!flag_option(call, "clear_accum"))
    value = make_load(sums.buffer, loops.indices) + value;
  Stmt sum = loops.wrap(make_store(sums.buffer, loops.indices, value), ForKind::kTileParallel);
  sum->span = call.span;
  return make_seq({product, sum});
}

} // namespace

PrimFunc promote_sums(const PrimFunc& function, int architecture) {
  if (!has_imprecise_float8(architecture))
    return function;
  BufferMap parts;
  walk(function->body, [&](const NodeRef& node) {
    if (const TileCall* call = promoted_product(node))
      if (const Buffer& sums = call->regions[2].buffer; !parts.contains(sums))
        parts.emplace(sums, copy_node(*sums, [](BufferNode& part) { part.name += "_part"; }));
    return !ExprNode::accepts(node->kind());
  });
  if (parts.empty())
    return function;
  return with_body(
      function,
      cast_ref<StmtNode>(rewrite_post(function->body, [&](const NodeRef& node) -> NodeRef {
        if (const TileCall* call = promoted_product(node))
          return promoted(*call, parts.at(call->regions[2].buffer));
        const auto* seq = node.as<SeqStmt>();
        if (seq == nullptr)
          return node;
        std::vector<Stmt> list;
        for (const Stmt& child : seq->statements) {
          list.push_back(child);
          const auto* alloc = child.as<AllocBuffer>();
          if (const auto part = alloc != nullptr ? parts.find(alloc->buffer) : parts.end();
              part != parts.end())
            list.push_back(make_alloc(part->second, alloc->annotations));
        }
        return list.size() == seq->statements.size() ? node : NodeRef(make_seq(std::move(list)));
      })));
}

} // namespace temper::tir
