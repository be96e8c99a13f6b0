/// A workload file, run once.
#pragma once

#include "ir/script/evaluator.h"

namespace temper::script {

/// The file run once: its functions and descriptions live as long as this.
struct Session {
  Diagnostics diagnostics;
  Body body;
  Evaluator evaluator;

  Session(const std::string& file, std::string_view text)
      : diagnostics(file, text), body(parse_syntax(text, diagnostics)), evaluator(diagnostics) {
    evaluator.run(body, evaluator.globals());
  }

  const Value* global(const std::string& name) { return evaluator.globals().find_here(name); }
  const Closure* function(const std::string& name) {
    const Value* value = global(name);
    const auto* closure = value != nullptr ? value->as<const Closure*>() : nullptr;
    return closure != nullptr && (*closure)->def != nullptr ? *closure : nullptr;
  }
  const Dict* description(const std::string& name) {
    const Value* value = global(name + "_workload");
    return value != nullptr ? value->as<Dict>() : nullptr;
  }
};

} // namespace temper::script
