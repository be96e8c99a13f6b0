#include "tuner/padding.h"

#include "ir/arith/linear.h"
#include "ir/arith/simplify.h"
#include "ir/pass/rewrite.h"
#include "ir/s_tir/block.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace temper::tuner {
namespace {

using namespace ir;
using s_tir::IterVar;
using s_tir::SBlock;
using tir::BufferLoad;
using tir::BufferStore;

/// Longer dimensions are taken to be without padding: what is padded is small beside them.
constexpr int64_t kLongest = 1 << 14;

int64_t extent_of(const IterVar& axis) { return as_int(axis.domain.extent).value_or(0); }

/// A padded copy: which positions of each dimension are no padding.
struct Padding {
  const BufferNode* buffer = nullptr;
  std::vector<std::vector<bool>> inside;
};

std::optional<Padding> padding_of(const SBlock& block) {
  const auto* store = block.body.as<BufferStore>();
  const auto* choice = store != nullptr ? store->value.as<Call>() : nullptr;
  if (choice == nullptr || choice->op != "if_then_else" || as_number(choice->args[2]) != 0.0 ||
      store->indices.size() != block.iter_vars.size())
    return std::nullopt;
  Padding padding{store->buffer.get(), {}};
  for (size_t d = 0; d < block.iter_vars.size(); ++d) {
    const int64_t extent = extent_of(block.iter_vars[d]);
    if (store->indices[d].get() != block.iter_vars[d].var.get() || extent < 1)
      return std::nullopt;
    padding.inside.emplace_back(static_cast<size_t>(extent), true);
  }
  std::vector<Expr> conjuncts;
  split_conjunction(choice->args[0], conjuncts);
  Analyzer math;
  for (const Expr& conjunct : conjuncts) {
    std::vector<size_t> axes;
    for (size_t d = 0; d < block.iter_vars.size(); ++d)
      if (mentions(conjunct, block.iter_vars[d].var))
        axes.push_back(d);
    if (axes.size() != 1 || padding.inside[axes[0]].size() > static_cast<size_t>(kLongest))
      continue;
    const Var& var = block.iter_vars[axes[0]].var;
    std::vector<bool>& inside = padding.inside[axes[0]];
    for (size_t at = 0; at < inside.size(); ++at) {
      const Expr holds = math.simplify(
          substitute(conjunct, {{var, make_int(var->dtype, static_cast<int64_t>(at))}}));
      inside[at] = inside[at] && as_int(holds).value_or(1) != 0;
    }
  }
  return padding;
}

/// Of all values that the index takes over the block's axes, the share that is inside; nothing
/// where it is no sum of axes, of which `taken` are another dimension's.
std::optional<double> share_inside(const Expr& index, const SBlock& block,
                                   const std::vector<bool>& inside, std::set<const Node*>& taken) {
  const LinearForm form = linear_form(index);
  if (form.overflow)
    return std::nullopt;
  std::map<int64_t, double> counts{{form.constant, 1}};
  double all = 1;
  for (const LinearTerm& term : form.terms) {
    int64_t extent = 0;
    for (const IterVar& axis : block.iter_vars)
      if (term.expr.get() == axis.var.get())
        extent = extent_of(axis);
    if (extent < 1 || extent > kLongest || !taken.insert(term.expr.get()).second)
      return std::nullopt;
    std::map<int64_t, double> sums;
    for (const auto& [value, count] : counts)
      for (int64_t i = 0; i < extent; ++i)
        sums[value + term.coefficient * i] += count;
    counts.swap(sums);
    all *= static_cast<double>(extent);
  }
  double good = 0;
  for (const auto& [value, count] : counts)
    if (value >= 0 && value < static_cast<int64_t>(inside.size()) &&
        inside[static_cast<size_t>(value)])
      good += count;
  return good / all;
}

} // namespace

double share_besides_padding(const PrimFunc& function, double flops) {
  std::vector<Padding> paddings;
  const SBlock* largest = nullptr;
  double most = 0;
  walk(function->body, [&](const NodeRef& node) {
    const auto* block = node.as<SBlock>();
    if (block == nullptr || block->iter_vars.empty())
      return true;
    if (auto padding = padding_of(*block))
      paddings.push_back(*std::move(padding));
    double iterations = 1;
    for (const IterVar& axis : block->iter_vars)
      iterations *= static_cast<double>(extent_of(axis));
    if (iterations > most) {
      most = iterations;
      largest = block;
    }
    return true;
  });
  const auto* store = largest != nullptr ? largest->body.as<BufferStore>() : nullptr;
  if (store == nullptr || paddings.empty() || flops < most)
    return 1;
  double share = 1;
  walk(store->value, [&](const NodeRef& node) {
    const auto* load = node.as<BufferLoad>();
    if (load == nullptr ||
        share < 1) // of one operand: the other's padding is not known to lie apart
      return true;
    for (const Padding& padding : paddings) {
      if (padding.buffer != load->buffer.get() || padding.inside.size() != load->indices.size())
        continue;
      std::set<const Node*> taken;
      for (size_t d = 0; d < load->indices.size(); ++d)
        share *= share_inside(load->indices[d], *largest, padding.inside[d], taken).value_or(1);
    }
    return true;
  });
  return share;
}

} // namespace temper::tuner
