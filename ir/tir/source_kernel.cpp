#include "ir/tir/source_kernel.h"

#include "ir/tir/statement_call.h"
#include "ir/walk.h"

namespace temper::tir {

std::optional<SourceKernel> source_kernel_in(const NodeRef& root) {
  std::optional<SourceKernel> found;
  walk(root, [&](const NodeRef& node) {
    const auto* call = node.as<Call>();
    if (call != nullptr && call->op == kCallSourceKernel && call->args.size() == 2)
      if (const auto* name = call->args[0].as<StringImm>())
        found = {name->value, as_int(call->args[1]).value_or(0)};
    return !found;
  });
  return found;
}

std::string only_on_gpu(const NodeRef& root) {
  if (const auto kernel = source_kernel_in(root))
    return kernel->name + " is CUDA C++ of its own, which nothing but a GPU runs";
  std::string why;
  walk(root, [&](const NodeRef& node) {
    const Call* call = call_of(node);
    if (call != nullptr && why.empty() && (call->op == "inline_cuda" || call->op == "inline_ptx"))
      why = (node->span.line > 0 ? "line " + std::to_string(node->span.line) + ": " : "") + "T." +
            call->op + " is text for a GPU's compiler, and nothing but a GPU runs it";
    return why.empty();
  });
  return why;
}

} // namespace temper::tir
