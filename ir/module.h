/// IRModule: named functions of every kind. Every transformation maps a module to a module.
#pragma once

#include "ir/function.h"

namespace temper::ir {

struct ModuleEntry {
  std::string name;
  Function function;
  static constexpr auto fields() {
    return std::tuple{data("name", &ModuleEntry::name), child("function", &ModuleEntry::function)};
  }
};

class ModuleBase : public Node {
public:
  static constexpr const char* kind_name(Kind) { return "IRModule"; }

protected:
  using Node::Node;
};

struct IRModuleNode : NodeOf<IRModuleNode, static_cast<Kind>(FunctionKind::kModule), ModuleBase> {
  std::vector<ModuleEntry> functions; ///< in the order of the text; names are unique
  Annotations attrs;
  static constexpr auto fields() {
    return std::tuple{child("functions", &IRModuleNode::functions),
                      child("attrs", &IRModuleNode::attrs)};
  }

  /// Null when there is no such function.
  Function find(std::string_view name) const;
  PrimFunc find_prim_func(std::string_view name) const;
};
using IRModule = Ref<IRModuleNode>;

IRModule make_module(std::vector<ModuleEntry> functions, Annotations attrs = {});
/// A module of one function, under its own name.
IRModule make_module(const PrimFunc& function);
/// The module with the function of that name replaced, or added at the end.
IRModule with_function(const IRModule& module, const std::string& name, Function function);

} // namespace temper::ir
