#include "ir/module.h"

namespace temper::ir {

PrimFunc with_body(const PrimFunc& function, Stmt body) {
  if (function->body == body)
    return function;
  return copy_node(*function, [&](PrimFuncNode& node) { node.body = std::move(body); });
}

Function IRModuleNode::find(std::string_view name) const {
  for (const ModuleEntry& entry : functions)
    if (entry.name == name)
      return entry.function;
  return nullptr;
}

PrimFunc IRModuleNode::find_prim_func(std::string_view name) const {
  return find(name).as_ref<PrimFuncNode>();
}

IRModule make_module(std::vector<ModuleEntry> functions, Annotations attrs) {
  return make_node<IRModuleNode>([&](IRModuleNode& node) {
    node.functions = std::move(functions);
    node.attrs = std::move(attrs);
  });
}

IRModule make_module(const PrimFunc& function) { return make_module({{function->name, function}}); }

IRModule with_function(const IRModule& module, const std::string& name, Function function) {
  return copy_node(*module, [&](IRModuleNode& node) {
    for (ModuleEntry& entry : node.functions) {
      if (entry.name == name) {
        entry.function = std::move(function);
        return;
      }
    }
    node.functions.push_back({name, std::move(function)});
  });
}

} // namespace temper::ir
