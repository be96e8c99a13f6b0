#include "ir/s_tir/detail/pipeline_parts.h"

#include "ir/pass/pipeline_loops.h"

namespace temper::s_tir {

void PipelineParts::record(const SeqStmt& seq, size_t child, const Stmt& made) {
  std::vector<size_t>& counts = counts_[&seq];
  counts.resize(seq.statements.size(), 1);
  counts[child] = made ? pipeline_statements(made) : 0;
}

Annotations PipelineParts::annotations_of(const For& loop) const {
  const auto* realize = loop.body.as<SBlockRealize>();
  const auto* seq = (realize != nullptr ? realize->block->body : loop.body).as<SeqStmt>();
  const auto found = seq != nullptr ? counts_.find(seq) : counts_.end();
  return found == counts_.end() ? loop.annotations
                                : repeat_pipeline(loop.annotations, found->second);
}

} // namespace temper::s_tir
