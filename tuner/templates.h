/// Hand-written spaces of tasks, and what users add to the spaces of the rules.
#pragma once

#include "ir/s_tir/trace.h"
#include "ir/script/rule_file.h"
#include "tuner/task.h"

namespace temper::tuner {

/// What `def schedule(sch)` of the workload's file makes of the task's program
/// (ir/script/schedule_language.h); none where it has no such function, or is not there (any more).
Result<std::vector<s_tir::Trace>> templates_of(const Task& task);

/// The workload's own file, where it holds rules, then those that TEMPER_RULES names.
Result<std::vector<script::RuleFile>> rule_files_of(const Task& task);

} // namespace temper::tuner
