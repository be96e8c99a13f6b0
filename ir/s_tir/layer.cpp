#include "ir/s_tir/layer.h"

#include "ir/json_graph.h"
#include "ir/s_tir/block.h"

#include <mutex>

namespace temper::s_tir {
namespace {

/// An id names a block within one schedule of this process: a loaded block gets a new one.
Result<NodeRef> finish_block(const NodeRef& node) {
  const auto& block = static_cast<const SBlock&>(*node);
  for (const IterVar& iter : block.iter_vars)
    if (iter.type > IterType::kOpaque)
      return Error{ErrorCode::kCorrupt, "an axis has a type that does not exist"};
  return NodeRef(copy_node(block, [](SBlock& copy) { copy.id = new_block_id(); }));
}

void register_nodes() {
#define TEMPER_S_TIR_STMT(name) register_node(name::kInfo);
#include "ir/s_tir/node_kinds.def"
#undef TEMPER_S_TIR_STMT
  register_optional_field(SBlock::kInfo.name, "init");
  register_loaded_node(SBlock::kKind, finish_block);
}

} // namespace

void register_layer() {
  static std::once_flag once;
  std::call_once(once, [] {
    register_nodes();
    register_interpreter_of_blocks();
    register_verifier_of_blocks();
  });
}

} // namespace temper::s_tir
