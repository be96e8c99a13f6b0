/// RULES.md: the rules of the design space in their order, and what takes part beside them.
#pragma once

#include <string>

namespace temper::tuner {

/// The whole file, as Markdown. Aborts when a rule of default_cpu_rules() or default_gpu_rules() is
/// not described.
std::string rules_reference();

} // namespace temper::tuner
