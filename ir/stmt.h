/// The base of statements of every layer. tir's kinds are in ir/tir/stmt.h, the blocks of s-tir in
/// ir/s_tir/block.h.
#pragma once

#include "ir/buffer.h"
#include "ir/expr.h"

namespace temper::ir {

class StmtNode : public Node {
public:
  static constexpr bool accepts(Kind kind) { return kind >= kTirKinds && kind < kSTirKinds + 0x80; }

protected:
  using Node::Node;
};
using Stmt = Ref<StmtNode>;

} // namespace temper::ir
