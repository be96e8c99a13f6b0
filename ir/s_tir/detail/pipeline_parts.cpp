#include "ir/s_tir/detail/pipeline_parts.h"

#include "ir/pass/pipeline_loops.h"

#include <algorithm>
#include <numeric>

namespace temper::s_tir {
namespace {

Expr list_of(const std::vector<int64_t>& numbers) {
  std::vector<Expr> items;
  for (const int64_t number : numbers)
    items.push_back(make_int(DataType::int32(), number));
  return make_list(std::move(items));
}

} // namespace

void PipelineParts::record(const SeqStmt& seq, size_t child, const Stmt& made) {
  std::vector<size_t>& counts = counts_[&seq];
  counts.resize(seq.statements.size(), 1);
  const auto* several = made ? made.as<SeqStmt>() : nullptr;
  if (several == nullptr)
    counts[child] = made && !made.is<AllocBuffer>() ? 1 : 0;
  else
    counts[child] = static_cast<size_t>(
        std::count_if(several->statements.begin(), several->statements.end(),
                      [](const Stmt& stmt) { return !stmt.is<AllocBuffer>(); }));
}

Annotations PipelineParts::annotations_of(const For& loop) const {
  const auto* realize = loop.body.as<SBlockRealize>();
  const auto* seq = (realize != nullptr ? realize->block->body : loop.body).as<SeqStmt>();
  const auto found = seq != nullptr ? counts_.find(seq) : counts_.end();
  const auto stages = pipeline_list(loop.annotations, kPipelineStage);
  const auto order = pipeline_list(loop.annotations, kPipelineOrder);
  if (found == counts_.end() || !stages || !order || stages->size() != found->second.size() ||
      order->size() != found->second.size())
    return loop.annotations;
  std::vector<int64_t> sorted = *order;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return loop.annotations; // which pipeline_loops() refuses
  const std::vector<size_t>& counts = found->second;
  std::vector<size_t> in_order(counts.size());
  std::iota(in_order.begin(), in_order.end(), size_t{0});
  std::stable_sort(in_order.begin(), in_order.end(),
                   [&](size_t a, size_t b) { return (*order)[a] < (*order)[b]; });
  std::vector<int64_t> first(counts.size()); // place of the first of each
  int64_t place = 0;
  for (const size_t child : in_order) {
    first[child] = place;
    place += static_cast<int64_t>(counts[child]);
  }
  std::vector<int64_t> new_stages;
  std::vector<int64_t> new_order;
  for (size_t child = 0; child < counts.size(); ++child)
    for (size_t part = 0; part < counts[child]; ++part) {
      new_stages.push_back((*stages)[child]);
      new_order.push_back(first[child] + static_cast<int64_t>(part));
    }
  return loop.annotations.with(kPipelineStage, list_of(new_stages))
      .with(kPipelineOrder, list_of(new_order));
}

} // namespace temper::s_tir
