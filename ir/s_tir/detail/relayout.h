/// What transform_layout and rolling_buffer share: every access to a buffer in its scope goes
/// through a map of its indices.
#pragma once

#include "ir/arith/simplify.h"
#include "ir/s_tir/block.h"

namespace temper::s_tir {

/// Accesses of `buffer` below a block become accesses of `mapped`; regions are derived again.
class Relayout {
public:
  Relayout(Buffer buffer, Buffer mapped, IndexMap map);

  Block run(const Block& scope);
  bool viewed = false; ///< a match_buffer looks at the buffer
  bool vector = false; ///< an access has a vector of indices

private:
  NodeRef rewrite(const NodeRef& node);
  std::vector<Expr> indices(const std::vector<Expr>& old);
  NodeRef regions(const SBlock& block, const NodeRef& node);

  Buffer buffer_;
  Buffer mapped_;
  IndexMap map_;
  Analyzer analyzer_;
};

} // namespace temper::s_tir
