/// Keeps the lists of a software pipeline (ir/pass/pipeline_loops.h) in step with the statements of
/// its loop: lowering makes several of one, an init and its update, or a block's body.
#pragma once

#include "ir/s_tir/block.h"

#include <unordered_map>
#include <vector>

namespace temper::s_tir {

class PipelineParts {
public:
  /// What a statement of a sequence has become counts once for each statement in it, allocations
  /// aside.
  void record(const SeqStmt& seq, size_t child, const Stmt& made);
  /// The loop's annotations, its lists repeated for what its statements have become. The statements
  /// are those of the body, or of a block that is all of the body.
  Annotations annotations_of(const For& loop) const;

private:
  std::unordered_map<const SeqStmt*, std::vector<size_t>> counts_;
};

} // namespace temper::s_tir
