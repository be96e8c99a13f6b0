/// Hand-written design spaces: a workload file may say how its programs with blocks are scheduled,
/// and leave decisions open. It takes the place of the rules.
///
///   def schedule(sch):                  # for all of the file; matmul_schedule(sch) for matmul
///   alone
///       block = sch.get_sblock("C")
///       i, j, k = sch.get_loops(block)
///       i0, i1 = sch.split(i, sch.sample_perfect_tile(i, n=2, max_innermost_factor=16))
///       sch.reorder(i0, j, k, i1)
///       sch.vectorize(i1)
///
/// The methods of `sch` are the schedule primitives (ir/s_tir/PRIMITIVES.md), as in TVM; sch.get(x)
/// gives a loop with its `extent`, or a block with its `name_hint`, `iter_vars` (each with `dom`,
/// and `iter_type`: 0 spatial, 2 reduce), `reads`, `writes` and `annotations`; sch.can("vectorize",
/// j) says whether a primitive would take its arguments. The function is run once for a program:
/// what it samples is decided anew for each candidate, so nothing may depend on it. It may return
/// several schedules, made with sch.copy().
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/script/value.h"
#include "ir/support/function_ref.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::script {

/// `sch`, and what sch.copy() gives.
struct ScheduleValue {
  s_tir::Schedule schedule;
  /// The first error of a primitive, of this schedule or a copy.
  std::shared_ptr<std::optional<Error>> refusal;
  /// Where a software pipeline was last asked for; line 0: nowhere.
  std::shared_ptr<Position> pipeline = std::make_shared<Position>();
};

struct Session;

/// What a function of the file makes of `start`, which is its first argument; `more` are the
/// others. One schedule when it returns nothing; none when `function` finds none. What is sampled
/// by chance may lead to a primitive that refuses: then other samples are tried. An error has the
/// place in the file; of a primitive, the program as it is there, too.
Result<std::vector<s_tir::Schedule>> schedules_by(const std::string& file, std::string_view text,
                                                  const s_tir::Schedule& start,
                                                  FunctionRef<const Closure*(Session&)> function,
                                                  FunctionRef<std::vector<Value>(Session&)> more);

/// The schedules that the file `file` with this `text` makes of `module`, one function, for its
/// workload of that name, with decisions that the primitives took; none when it has no such
/// function. An error has the place in the file; of a primitive that refuses whatever is sampled
/// before it, the program as it is there, too.
Result<std::vector<s_tir::Trace>> schedule_templates(std::string_view text, const std::string& file,
                                                     const std::string& workload,
                                                     const IRModule& module);

} // namespace temper::script
