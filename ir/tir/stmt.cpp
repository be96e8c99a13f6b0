#include "ir/tir/stmt.h"

namespace temper::tir {

Stmt make_bind(Var var, Expr value) {
  TEMPER_CHECK(var->dtype == value->dtype, "a bound variable has the type of its value");
  return make_node<Bind>([&](Bind& node) {
    node.var = std::move(var);
    node.value = std::move(value);
  });
}

Stmt make_alloc(Buffer buffer, Annotations annotations) {
  return make_node<AllocBuffer>([&](AllocBuffer& node) {
    node.buffer = std::move(buffer);
    node.annotations = std::move(annotations);
  });
}

Stmt make_store(Buffer buffer, std::vector<Expr> indices, Expr value, Expr predicate) {
  return make_node<BufferStore>([&](BufferStore& node) {
    node.buffer = std::move(buffer);
    node.indices = std::move(indices);
    node.value = std::move(value);
    node.predicate = std::move(predicate);
  });
}

Stmt make_evaluate(Expr value) {
  return make_node<Evaluate>([&](Evaluate& node) { node.value = std::move(value); });
}

Stmt make_seq(std::vector<Stmt> statements) {
  std::vector<Stmt> flat;
  flat.reserve(statements.size());
  for (Stmt& statement : statements) {
    if (!statement)
      continue;
    if (const auto* inner = statement.as<SeqStmt>())
      flat.insert(flat.end(), inner->statements.begin(), inner->statements.end());
    else
      flat.push_back(std::move(statement));
  }
  if (flat.size() == 1)
    return flat[0];
  return make_node<SeqStmt>([&](SeqStmt& node) { node.statements = std::move(flat); });
}

Stmt make_if(Expr condition, Stmt then_case, Stmt else_case) {
  return make_node<IfThenElse>([&](IfThenElse& node) {
    node.condition = std::move(condition);
    node.then_case = std::move(then_case);
    node.else_case = std::move(else_case);
  });
}

Stmt make_for(Var loop_var, Expr min, Expr extent, ForKind kind, Stmt body, Annotations annotations,
              std::string thread) {
  return make_node<For>([&](For& node) {
    node.loop_var = std::move(loop_var);
    node.min = std::move(min);
    node.extent = std::move(extent);
    node.kind = kind;
    node.body = std::move(body);
    node.annotations = std::move(annotations);
    node.thread = std::move(thread);
  });
}

Stmt make_while(Expr condition, Stmt body) {
  return make_node<While>([&](While& node) {
    node.condition = std::move(condition);
    node.body = std::move(body);
  });
}

Stmt make_break() {
  return make_node<Break>([](Break&) {});
}
Stmt make_continue() {
  return make_node<Continue>([](Continue&) {});
}
Stmt make_return(Expr value) {
  return make_node<Return>([&](Return& node) { node.value = std::move(value); });
}
Stmt make_assert(Expr condition, std::string message) {
  return make_node<Assert>([&](Assert& node) {
    node.condition = std::move(condition);
    node.message = std::move(message);
  });
}

} // namespace temper::tir
