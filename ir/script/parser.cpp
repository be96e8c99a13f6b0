#include "ir/script/parser.h"

#include "ir/script/evaluator.h"

namespace temper::script {

Result<IRModule> parse_module(std::string_view text, std::string file,
                              std::vector<Diagnostic>* diagnostics) {
  Diagnostics found(std::move(file), text);
  const Body body = parse_syntax(text, found);
  Evaluator evaluator(found);
  evaluator.run(body, evaluator.globals());
  if (found.empty() && evaluator.modules().size() > 1)
    found.report({1, 1, 1}, "the text holds several modules; parse one at a time");
  if (found.empty() && evaluator.modules().empty() && evaluator.functions().empty())
    found.report({1, 1, 1}, "the text holds no kernel: no function decorated with @T.prim_func and "
                            "no class decorated with @I.ir_module");
  std::vector<ModuleEntry> entries;
  if (found.empty() && evaluator.modules().empty())
    for (const auto& [name, function] : evaluator.functions()) {
      for (const ModuleEntry& entry : entries)
        if (entry.name == name)
          found.report({function->span.line, function->span.column, 1},
                       "there are two functions named " + name);
      entries.push_back({name, function});
    }
  if (diagnostics != nullptr)
    *diagnostics = found.list();
  if (!found.empty())
    return found.to_error();
  if (!evaluator.modules().empty())
    return evaluator.modules().front();
  return make_module(std::move(entries));
}

Result<PrimFunc> parse_prim_func(std::string_view text, std::string file,
                                 std::vector<Diagnostic>* diagnostics) {
  TEMPER_TRY(module, parse_module(text, file, diagnostics));
  if (module->functions.size() == 1)
    if (PrimFunc function = module->functions[0].function.as_ref<PrimFuncNode>())
      return function;
  return Error(ErrorCode::kInvalidArgument, file + ": expected one prim_func, found " +
                                                std::to_string(module->functions.size()) +
                                                " functions");
}

} // namespace temper::script
