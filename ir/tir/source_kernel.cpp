#include "ir/tir/source_kernel.h"

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

std::string only_on_gpu(const SourceKernel& kernel) {
  return kernel.name + " is CUDA C++ of its own, which nothing but a GPU runs";
}

} // namespace temper::tir
