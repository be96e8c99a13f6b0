/// Functions. A PrimFunc has parameters (buffers and scalars), attributes and a body of statements.
#pragma once

#include "ir/stmt.h"

namespace temper::ir {

enum class FunctionKind : Kind { kPrimFunc = kFunctionKinds, kModule = kFunctionKinds + 0x10 };

/// A parameter: a buffer, or a scalar (exactly one of the two is there).
struct Param {
  Buffer buffer;
  Var var;
  static constexpr auto fields() {
    return std::tuple{define("buffer", &Param::buffer), define("var", &Param::var)};
  }
  const std::string& name() const { return buffer ? buffer->name : var->name; }
};

class FunctionNode : public Node {
public:
  static constexpr bool accepts(Kind kind) {
    return kind >= kFunctionKinds && kind < static_cast<Kind>(FunctionKind::kModule);
  }
  static constexpr const char* kind_name(Kind) { return "PrimFunc"; }

protected:
  using Node::Node;
};
using Function = Ref<FunctionNode>;

struct PrimFuncNode
    : NodeOf<PrimFuncNode, static_cast<Kind>(FunctionKind::kPrimFunc), FunctionNode> {
  std::string name;
  /// Symbolic dimensions that the parameters' shapes mention, in order of appearance.
  std::vector<Var> shape_vars;
  std::vector<Param> params;
  Annotations attrs;  ///< T.func_attr: "tirx.noalias", "global_symbol", ...
  bool s_tir = false; ///< @T.prim_func(s_tir=True): body is the realize of the root block
  bool is_private = false;
  Stmt body;
  static constexpr auto fields() {
    return std::tuple{
        ignored("name", &PrimFuncNode::name),    define("shape_vars", &PrimFuncNode::shape_vars),
        define("params", &PrimFuncNode::params), child("attrs", &PrimFuncNode::attrs),
        data("s_tir", &PrimFuncNode::s_tir),     data("is_private", &PrimFuncNode::is_private),
        child("body", &PrimFuncNode::body)};
  }
};
using PrimFunc = Ref<PrimFuncNode>;

/// The same function with another body (or itself when it is the same one).
PrimFunc with_body(const PrimFunc& function, Stmt body);

} // namespace temper::ir
