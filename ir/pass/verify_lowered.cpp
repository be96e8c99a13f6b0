// The form that code generators rely on (codegen/lower.h), as code; and what lowering refuses.
#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/printing.h"

#include <bit>
#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

int LowerOptions::lanes(DataType element) const {
  // 16-bit floats are computed in float32 on most CPUs: as many lanes as that has.
  const int bits =
      element.is_floating() && element.bits == 16 ? 32 : std::max<int>(element.bits, 8);
  return std::max(1, vector_bits / bits);
}

Result<void> check_lowerable(const PrimFunc& function) {
  std::string problem;
  std::unordered_set<const Node*> parameters;
  const auto check_buffer = [&](const BufferNode& buffer) {
    const auto constant = [](const std::vector<Expr>& values) {
      for (const Expr& value : values)
        if (!as_int(value))
          return false;
      return true;
    };
    if (!constant(buffer.shape) && !(parameters.contains(&buffer) && buffer.strides.empty()))
      problem = "buffer " + buffer.name +
                " has a symbolic shape, which only parameters may have: bind it to numbers";
    else if (!constant(buffer.strides) || (buffer.elem_offset && !as_int(buffer.elem_offset)))
      problem = "buffer " + buffer.name +
                " has symbolic strides or a symbolic offset: only constant "
                "ones can be compiled";
    else if (buffer.layout)
      problem = "buffer " + buffer.name + " has a layout, which CPU code cannot have: remove it";
    else if (buffer.dtype.is_handle() || !buffer.dtype.is_scalar())
      problem = "buffer " + buffer.name + " has elements of type " + to_string(buffer.dtype) +
                ": only scalars can be compiled";
  };
  for (const Param& param : function->params)
    if (param.buffer) {
      parameters.insert(param.buffer.get());
      check_buffer(*param.buffer);
    }
  Span place; // of the statement around
  bool located = false;
  walk(function->body, [&](const NodeRef& node) {
    if (StmtNode::accepts(node->kind()) && node->span.line != 0)
      place = node->span;
    if (const auto* buffer = node.as<BufferNode>())
      check_buffer(*buffer);
    else if (const auto* loop = node.as<For>();
             loop != nullptr && loop->kind == ForKind::kThreadBinding)
      problem = "loop " + loop->loop_var->name + " is bound to " + loop->thread +
                ", which a CPU does not have: use T.serial or T.parallel";
    else if (const auto* call = node.as<Call>(); call != nullptr && problem.empty()) {
      // Atomic operations and barriers of tile programs have a meaning without threads.
      const OpInfo* op = find_op(call->op);
      const bool of_lanes = call->op.starts_with("shfl_");
      if (op != nullptr &&
          (of_lanes || (op->result == OpResult::kStatement && !op->name.starts_with("atomic_") &&
                        !op->name.starts_with("sync_") && op->name != tir::kPrint))) {
        located = place.line != 0;
        problem =
            (located ? "line " + std::to_string(place.line) + ", column " +
                           std::to_string(place.column) + ": "
                     : "") +
            (of_lanes ? "values of other threads of a warp (T." + op->name +
                            ", T.warp_reduce_sum) are of GPUs: of tiles take T.reduce_sum, or "
                      : "T." + op->name + " is an instruction of a GPU: ") +
            "take a cuda target, or --device emulated";
      }
    }
    return problem.empty();
  });
  if (problem.empty())
    return check_narrow_types(function);
  return Error{ErrorCode::kUnsupported,
               located ? problem : "cannot lower " + function->name + " for a CPU: " + problem};
}

namespace {

class LoweredVerifier {
public:
  explicit LoweredVerifier(const LowerOptions& options) : options_(options) {}

  Result<void> verify(const PrimFunc& function) {
    if (function->s_tir)
      fail("the function is still s-tir");
    for (const Param& param : function->params)
      if (param.buffer) {
        parameters_.insert(param.buffer.get());
        check_buffer(param.buffer);
      }
    statement(function->body, false);
    if (problem_.empty())
      return {};
    return Error{ErrorCode::kFailed, "lowered function " + function->name + ": " + problem_};
  }

private:
  void fail(std::string problem) {
    if (problem_.empty())
      problem_ = std::move(problem);
  }

  void check_buffer(const Buffer& buffer) {
    if (buffer->rank() != 1 || !(as_int(buffer->shape[0]) || parameters_.contains(buffer.get())) ||
        !buffer->strides.empty() || buffer->elem_offset || buffer->layout)
      fail("buffer " + buffer->name + " is not flat");
  }

  void statement(const Stmt& stmt, bool in_parallel) {
    if (!problem_.empty())
      return;
    if (stmt->kind() >= kSTirKinds)
      return fail("a block is left");
    tir::visit(
        stmt,
        [&](const For& loop) {
          if (loop.kind != ForKind::kSerial && loop.kind != ForKind::kParallel)
            fail("loop " + loop.loop_var->name + " is neither serial nor parallel");
          if (loop.kind == ForKind::kParallel && in_parallel)
            fail("parallel loop " + loop.loop_var->name + " is inside another one");
          if (loop.loop_var->dtype != DataType::int64())
            fail("loop variable " + loop.loop_var->name + " is not int64");
          expression(loop.min);
          expression(loop.extent);
          statement(loop.body, in_parallel || loop.kind == ForKind::kParallel);
        },
        [&](const AllocBuffer& alloc) { check_buffer(alloc.buffer); },
        [&](const BufferStore& store) {
          access(store.buffer, store.indices, store.value->dtype);
          expression(store.value);
          if (store.predicate) {
            expression(store.predicate);
            if (store.predicate->dtype != DataType::boolean(store.value->dtype.lanes))
              fail("the predicate of a store to " + store.buffer->name + " has the wrong lanes");
          }
        },
        [&](const SeqStmt& seq) {
          for (const Stmt& child : seq.statements)
            statement(child, in_parallel);
        },
        [&](const IfThenElse& branch) {
          if (!branch.condition->dtype.is_scalar())
            fail("a condition is a vector");
          expression(branch.condition);
          statement(branch.then_case, in_parallel);
          if (branch.else_case)
            statement(branch.else_case, in_parallel);
        },
        [&](const While& loop) {
          expression(loop.condition);
          statement(loop.body, in_parallel);
        },
        [&](const StmtNode& other) {
          other.info().for_each_child(&other, [&](const NodeRef& child, Role role) {
            if (role == Role::kChild && ExprNode::accepts(child->kind()))
              expression(cast_ref<ExprNode>(child));
          });
        });
  }

  void expression(const Expr& expr) {
    if (!checked_.insert(expr.get()).second)
      return; // expressions are shared
    const DataType type = expr->dtype;
    if (type.lanes > 1) {
      if (!std::has_single_bit(static_cast<unsigned>(type.lanes)))
        fail("a vector has " + std::to_string(type.lanes) + " lanes, not a power of two");
      // Indices (int64) and masks go with the data; data itself fits a register. (Arithmetic on 16
      // bits is done in 32; instructions of tensor intrinsics take them as they are.)
      if (type.is_floating() && type.lanes * type.bits > options_.vector_bits)
        fail("a vector of " + std::to_string(type.lanes) + " " + to_string(type.element()) +
             " is wider than a register");
    }
    if (const auto* load = expr.as<BufferLoad>()) {
      access(load->buffer, load->indices, load->dtype);
      if (load->predicate && load->predicate->dtype != DataType::boolean(load->dtype.lanes))
        fail("the predicate of a load from " + load->buffer->name + " has the wrong lanes");
    }
    expr->info().for_each_child(expr.get(), [&](const NodeRef& child, Role role) {
      if (role == Role::kChild && ExprNode::accepts(child->kind()))
        expression(cast_ref<ExprNode>(child));
    });
  }

  void access(const Buffer& buffer, const std::vector<Expr>& indices, DataType type) {
    check_buffer(buffer);
    if (indices.size() != 1)
      return fail("an access of " + buffer->name + " has not one index");
    if (indices[0]->dtype.element() != DataType::int64())
      fail("an index of " + buffer->name + " is not int64");
    if (type.lanes != indices[0]->dtype.lanes)
      fail("an access of " + buffer->name + " has " + std::to_string(type.lanes) +
           " lanes of data and " + std::to_string(indices[0]->dtype.lanes) + " of indices");
    expression(indices[0]);
    if (buffer->scope == "local" && !as_int(indices[0])) {
      const auto* ramp = indices[0].as<Ramp>();
      if (ramp == nullptr || !as_int(ramp->base) || !is_int(ramp->stride, 1))
        fail("an index of the register buffer " + buffer->name + " is not constant");
    }
  }

  const LowerOptions& options_;
  std::string problem_;
  std::unordered_set<const Node*> parameters_; ///< which may be of symbolic length
  std::unordered_set<const ExprNode*> checked_;
};

} // namespace

Result<void> verify_lowered(const PrimFunc& function, const LowerOptions& options) {
  return LoweredVerifier(options).verify(function);
}

} // namespace temper::ir
