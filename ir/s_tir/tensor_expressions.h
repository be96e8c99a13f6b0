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
/// Statements may stand where there is no formula (extern_tensors). A tensor is its buffer.
/// Workload files have the same as te.placeholder, te.compute, te.sum and so on
/// (ir/script/te_language.cpp).
#pragma once

#include "ir/function.h"
#include "ir/s_tir/block.h"
#include "ir/support/result.h"

#include <functional>
#include <memory>
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

/// Statements that compute tensors which no formula says, and the buffers of their own.
struct Statements {
  Stmt body;
  std::vector<Buffer> allocated;
};
/// A tensor that such statements write.
struct Output {
  std::vector<Expr> shape;
  DataType dtype;
};

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
  /// for a reduction inside a larger formula, or over axes that it does not use. `annotations` are
  /// the block's.
  Result<Buffer> compute(const std::string& name, std::vector<Expr> shape, std::vector<Var> axes,
                         const Expr& value, Annotations annotations = {});
  Result<Buffer> compute(const std::string& name, std::vector<Expr> shape,
                         const std::function<Result<Expr>(const std::vector<Var>& axes)>& formula);

  /// The tensors that the statements of `body` compute from `inputs`: one block without axes, which
  /// may have blocks of its own inside. `body` is called once, with the inputs and with what is to
  /// be written; one output has the name, several have it with a number. An error for statements
  /// that read or write any other tensor, or leave an output unwritten.
  Result<std::vector<Buffer>>
  extern_tensors(const std::string& name, std::vector<Output> outputs, std::vector<Buffer> inputs,
                 const std::function<Result<Statements>(const std::vector<Buffer>& inputs,
                                                        const std::vector<Buffer>& outputs)>& body,
                 Annotations annotations = {});

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
    Annotations annotations;
  };
  struct Extern {
    std::vector<Buffer> inputs;
    std::vector<Buffer> outputs;
    Block block;
  };
  Stmt nest(const Buffer& tensor, const Stage& stage) const;
  bool is_tensor(const Buffer& buffer) const {
    return placeholders_.contains(buffer) || stages_.contains(buffer) || externs_.contains(buffer);
  }

  std::unordered_map<Var, Range, RefHash> domains_; ///< of reduction axes
  /// The variables that reduce() gives.
  std::unordered_map<Var, Reduction, RefHash> reductions_;
  std::unordered_map<Buffer, Stage, RefHash> stages_; ///< of computed tensors
  /// Of each output of statements; those of the same statements have the same one.
  std::unordered_map<Buffer, std::shared_ptr<const Extern>, RefHash> externs_;
  std::unordered_map<Buffer, bool, RefHash> placeholders_;
};

} // namespace temper::s_tir::te
