#include "tuner/task.h"

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "ir/extents.h"
#include "ir/narrow.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/packs.h"
#include "ir/support/json.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::tuner {

std::vector<std::string> Task::constants() const {
  std::vector<std::string> names;
  if (const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>())
    for (const size_t position : s_tir::constant_operands(function))
      names.push_back(function->params[position].name());
  return names;
}

std::string Task::title() const {
  std::string text = workload;
  const Result<Json> binding = parse_json(binding_json);
  if (binding && binding->is_object())
    for (const auto& [name, value] : binding->items())
      if (!(value.is_string() && value.get<std::string>().empty())) // a default that says nothing
        text += " " + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

std::string Task::inputs_text() const {
  if (inputs.empty())
    return "normal";
  std::string text;
  for (const auto& [name, distribution] : inputs)
    text += (text.empty() ? "" : ",") + name + "=" + distribution;
  return text;
}

double roofline_ns(const Task& task) {
  constexpr double kVectorOperations = 8;  // per lane and cycle
  constexpr double kMatrixOperations = 64; // per lane of the vectors and cycle
  constexpr double kCyclesPerNs = 8;
  const auto registers = codegen::vector_registers(task.target);
  if (!registers || task.flops <= 0 || task.signature.empty())
    return 0;
  int bits = 64;
  for (const codegen::ArgumentSpec& argument : task.signature)
    bits = std::min(bits, 8 * argument.dtype.element_bytes());
  const double lanes = static_cast<double>(registers->bits) / bits;
  const double operations = bits <= 16 ? kMatrixOperations : kVectorOperations;
  return task.least_flops() / (lanes * operations * kCyclesPerNs * std::max(task.threads, 1));
}

Result<std::vector<codegen::ArgumentSpec>> signature_of(const ir::PrimFunc& function) {
  const std::vector<bool> written = codegen::written_parameters(function);
  // As the arguments lie in memory: packed elements and narrow floats are bytes.
  const ir::PrimFunc stored = ir::copy_node(*function, [](ir::PrimFuncNode& node) {
    for (ir::Param& param : node.params)
      if (param.buffer)
        param.buffer = ir::storage_buffer(param.buffer);
  });
  TEMPER_TRY(shapes, ir::shapes_at_extents(stored));
  std::vector<codegen::ArgumentSpec> signature;
  for (size_t i = 0; i < function->params.size(); ++i) {
    const ir::Param& param = function->params[i];
    codegen::ArgumentSpec argument;
    argument.name = param.name();
    argument.is_buffer = static_cast<bool>(param.buffer);
    argument.is_output = i < written.size() && written[i];
    argument.dtype = param.buffer ? stored->params[i].buffer->dtype : param.var->dtype;
    argument.shape = shapes[i];
    signature.push_back(std::move(argument));
  }
  for (const ir::Var& var : function->shape_vars)
    signature.push_back({.name = var->name, .dtype = var->dtype, .shape = {}, .is_buffer = false});
  return signature;
}

namespace {

class SumFinder {
public:
  Sums sums;

  void visit(const ir::Stmt& stmt) {
    if (const auto* store = stmt.as<tir::BufferStore>())
      return see(*store);
    if (const auto* call = stmt.as<tir::TileCall>()) {
      // How many terms the reference says, which has them as loops.
      if (call->op == "gemm" || call->op == "cumsum" || call->op == "cummax" ||
          call->op.starts_with("reduce_"))
        for (const size_t operand : tir::written_operands(*call))
          note(call->regions[operand].buffer->dtype);
      return;
    }
    const auto* loop = stmt.as<tir::For>();
    const auto* block = stmt.as<s_tir::SBlock>();
    if (loop != nullptr)
      loops_.push_back(loop);
    // A block's axes say all of the loops around it.
    const auto loops_around = loops_;
    const int64_t terms_around = terms_;
    if (block != nullptr) {
      loops_.clear();
      terms_ = 1;
      for (const s_tir::IterVar& axis : block->iter_vars)
        if (axis.type == s_tir::IterType::kReduce)
          terms_ *= ir::as_int(axis.domain.extent).value_or(1);
      sums.length = std::max(sums.length, terms_);
    }
    stmt->info().for_each_child(stmt.get(), [&](const ir::NodeRef& child, ir::Role) {
      if (ir::StmtNode::accepts(child->kind()))
        visit(ir::cast_ref<ir::StmtNode>(child));
    });
    terms_ = terms_around;
    loops_ = loops_around;
    if (loop != nullptr)
      loops_.pop_back();
  }

private:
  void see(const tir::BufferStore& store) {
    bool adds = false;
    ir::walk(store.value, [&](const ir::NodeRef& node) {
      if (const auto* load = node.as<ir::BufferLoad>())
        adds |= load->buffer == store.buffer;
      return !adds;
    });
    int64_t length = terms_;
    for (const tir::For* loop : loops_) {
      const bool moves =
          std::any_of(store.indices.begin(), store.indices.end(),
                      [&](const ir::Expr& index) { return ir::mentions(index, loop->loop_var); });
      if (!moves)
        length *= std::max<int64_t>(1, ir::as_int(loop->extent).value_or(1));
    }
    if (!adds)
      return;
    sums.length = std::max(sums.length, length);
    if (length > 1)
      note(store.buffer->dtype);
  }

  void note(DataType type) {
    const bool narrow = type.is_floating() && type.bits == 16;
    if (narrow && (!sums.narrow || type.code == TypeCode::kBFloat))
      sums.narrow = type.element();
  }

  std::vector<const tir::For*> loops_;
  int64_t terms_ = 1; ///< of the block around
};

} // namespace

Sums sums_of(const ir::PrimFunc& function) {
  SumFinder finder;
  finder.visit(function->body);
  return finder.sums;
}

} // namespace temper::tuner
