/// Tensor expressions (te): tensors said by formulas, turned into a function with a block for each.
///
///   te::Graph graph;
///   A = graph.placeholder("A", {m, k}, float32), B = ...
///   r = graph.reduce_axis("k", {0, k})
///   C = graph.compute("C", {m, n}, [&](axes i, j) { return graph.reduce(te::sum(), A[i, r] * B[r,
///   j], {r}); }) graph.function({A, B, C})
///
///   def main(A: T.Buffer((m, k)), B: T.Buffer((k, n)), C: T.Buffer((m, n))):
///       for i, j, k in T.grid(m, n, k):
///           with T.sblock("C"):
///               vi, vj, vk = T.axis.remap("SSR", [i, j, k])
///               with T.init():
///                   C[vi, vj] = 0
///               C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
///
/// A tensor is its buffer. Workload files have the same as te.placeholder, te.compute, te.sum and
/// so on (ir/script/te_language.cpp).
#pragma once

#include "ir/function.h"
#include "ir/s_tir/block.h"
#include "ir/support/result.h"

#include <functional>
#include <span>
#include <unordered_map>
#include <variant>

namespace temper::s_tir::te {

/// How values are brought together, and what changes nothing.
struct Reducer {
  std::function<Expr(const Expr& left, const Expr& right)> combine;
  std::function<Expr(DataType dtype)> identity;
};
Reducer sum();
Reducer max();
Reducer min();

/// A tensor, or a scalar parameter.
using Argument = std::variant<Buffer, Var>;

class Graph {
public:
  Buffer placeholder(const std::string& name, std::vector<Expr> shape, DataType dtype);
  Var reduce_axis(const std::string& name, Range domain);
  bool is_reduce_axis(const Var& var) const { return domains_.contains(var); }

  /// The reduction of `value` over `axes` (of reduce_axis), where `condition`, if any, holds. It
  /// stands for a value and must be all that a tensor's formula is. An error for an axis that is
  /// none.
  Result<Expr> reduce(const Reducer& reducer, const Expr& value, std::vector<Var> axes,
                      const Expr& condition = nullptr);
  /// The tensor whose element at `axes` (one variable per dimension, fresh) is `value`. An error
  /// for a reduction inside a larger formula, or over axes that it does not use.
  Result<Buffer> compute(const std::string& name, std::vector<Expr> shape, std::vector<Var> axes,
                         const Expr& value);
  Result<Buffer> compute(const std::string& name, std::vector<Expr> shape,
                         const std::function<Result<Expr>(const std::vector<Var>& axes)>& formula);

  /// The function of these parameters. Tensors that they are computed from and that are not among
  /// them are allocated inside; dimensions that are no parameters become symbols of the shapes. An
  /// error for a placeholder that is needed and not among them, and for a parameter named twice.
  Result<PrimFunc> function(std::span<const Argument> arguments,
                            const std::string& name = "main") const;

private:
  struct Reduction {
    Reducer reducer;
    Expr value;
    std::vector<Var> axes;
    Expr condition;
  };
  struct Stage {
    std::vector<Var> axes;
    Expr value; ///< what is reduced, where it is a reduction
    const Reduction* reduction = nullptr;
  };
  Stmt nest(const Buffer& tensor, const Stage& stage) const;

  std::unordered_map<Var, Range, RefHash> domains_; ///< of reduction axes
  /// The variables that reduce() gives.
  std::unordered_map<Var, Reduction, RefHash> reductions_;
  std::unordered_map<Buffer, Stage, RefHash> stages_; ///< of computed tensors
  std::unordered_map<Buffer, bool, RefHash> placeholders_;
};

} // namespace temper::s_tir::te
