#include "tuner/task.h"

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "ir/narrow.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/packs.h"
#include "ir/support/json.h"
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
  return task.flops / (lanes * operations * kCyclesPerNs * std::max(task.threads, 1));
}

Result<std::vector<codegen::ArgumentSpec>> signature_of(const ir::PrimFunc& function) {
  const std::vector<bool> written = codegen::written_parameters(function);
  std::vector<codegen::ArgumentSpec> signature;
  for (size_t i = 0; i < function->params.size(); ++i) {
    const ir::Param& param = function->params[i];
    codegen::ArgumentSpec argument;
    argument.name = param.name();
    argument.is_buffer = static_cast<bool>(param.buffer);
    argument.is_output = i < written.size() && written[i];
    // As the arguments lie in memory: packed elements and narrow floats are bytes.
    const ir::Buffer buffer = param.buffer ? ir::storage_buffer(param.buffer) : nullptr;
    argument.dtype = buffer ? buffer->dtype : param.var->dtype;
    if (buffer) {
      for (const ir::Expr& extent : buffer->shape) {
        const auto value = ir::as_int(extent);
        if (!value)
          return Error(ErrorCode::kUnsupported,
                       "the shape of '" + argument.name +
                           "' is symbolic; bind its parameters to numbers");
        argument.shape.push_back(*value);
      }
    }
    signature.push_back(std::move(argument));
  }
  return signature;
}

namespace {

/// Of plain loops.
void find_longest_sum(const ir::Stmt& stmt, std::vector<const tir::For*>& loops, int64_t& longest) {
  if (const auto* store = stmt.as<tir::BufferStore>()) {
    bool adds = false;
    ir::walk(store->value, [&](const ir::NodeRef& node) {
      if (const auto* load = node.as<ir::BufferLoad>())
        adds |= load->buffer == store->buffer;
      return !adds;
    });
    int64_t length = 1;
    for (const tir::For* loop : loops) {
      const bool moves = std::any_of(store->indices.begin(), store->indices.end(),
                                     [&](const ir::Expr& index) {
                                       return ir::mentions(index, loop->loop_var);
                                     });
      if (!moves)
        length *= std::max<int64_t>(1, ir::as_int(loop->extent).value_or(1));
    }
    if (adds)
      longest = std::max(longest, length);
    return;
  }
  const auto* loop = stmt.as<tir::For>();
  if (loop != nullptr)
    loops.push_back(loop);
  stmt->info().for_each_child(stmt.get(), [&](const ir::NodeRef& child, ir::Role) {
    if (ir::StmtNode::accepts(child->kind()))
      find_longest_sum(ir::cast_ref<ir::StmtNode>(child), loops, longest);
  });
  if (loop != nullptr)
    loops.pop_back();
}

} // namespace

int64_t reduction_length_of(const ir::PrimFunc& function) {
  int64_t longest = 1;
  if (!function->s_tir) {
    std::vector<const tir::For*> loops;
    find_longest_sum(function->body, loops, longest);
    return longest;
  }
  ir::walk(function->body, [&](const ir::NodeRef& node) {
    if (const auto* block = node.as<s_tir::SBlock>()) {
      int64_t length = 1;
      for (const s_tir::IterVar& axis : block->iter_vars)
        if (axis.type == s_tir::IterType::kReduce)
          length *= ir::as_int(axis.domain.extent).value_or(1);
      longest = std::max(longest, length);
    }
    return !ir::ExprNode::accepts(node->kind());
  });
  return longest;
}

} // namespace temper::tuner
