/// What users add to the design spaces of s-tir programs, as functions of script files:
///
///   def stream_rule(sch, block, machine):       # NAME_rule: a schedule rule, tried on every block
///       if len(sch.get(block).reads) != 1:
///           return                              # not for this one
///       loops = sch.get_loops(block)
///       outer, inner = sch.split(loops[-1], [None, machine["vector_bits"] // 32])
///       sch.vectorize(inner)
///       sch.annotate(block, "temper.scheduled", 1)   # the rules of temper leave it alone
///
///   def flush_postproc(sch):                    # NAME_postproc: after temper's post-processing
///       ...
///
///   def halve_mutator(decision, weight=0.1):    # NAME_mutator: what a decision may become
///       if decision["kind"] == "tile" and decision["value"][-1] % 2 == 0:
///           first, last = decision["value"][0], decision["value"][-1]
///           return [[first * 2] + decision["value"][1:-1] + [last // 2]]
///
///   def rows(sch, block):                       # for blocks with the annotation
///       ...                                     # T.sblock_attr({"schedule_rule": "rows"})
///
/// `sch` is that of hand-written spaces (schedule_language.h); a rule may return several schedules,
/// each of them a sketch. A block that names a rule ("None": no rule at all) gets no other one. The
/// functions are called from several threads: each call runs the file anew.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/support/result.h"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace temper::script {

/// The block annotation that names the one rule for it; MetaSchedule's key, and its word for none.
inline constexpr const char* kScheduleRule = "schedule_rule";
inline constexpr const char* kNoScheduleRule = "None";

/// What rules are told of the machine: numbers, and lists of names.
using MachineFacts =
    std::vector<std::pair<std::string, std::variant<int64_t, std::vector<std::string>>>>;

class RuleFile {
public:
  struct Mutator {
    std::string function;
    double weight = 0; ///< share of all mutations
  };

  /// An error for a text that does not parse, and for a function whose parameters are not those of
  /// what its name says.
  static Result<RuleFile> parse(std::string text, const std::string& file);

  const std::string& file() const { return state_->file; }
  /// Functions by what their names say, in the order of the file.
  const std::vector<std::string>& rules() const { return state_->rules; }
  const std::vector<std::string>& postprocs() const { return state_->postprocs; }
  const std::vector<Mutator>& mutators() const { return state_->mutators; }
  /// The same file with these of its rules for all blocks.
  RuleFile with_rules(std::vector<std::string> rules) const;
  /// Whether there is a function of that name which a block may name as its rule.
  bool has_rule(const std::string& function) const;
  bool has_named_rules() const { return !state_->named.empty(); }
  bool empty() const { return rules().empty() && postprocs().empty() && mutators().empty(); }
  /// Of what takes part in each candidate: post-processors and mutators; 0 without any.
  uint64_t hash() const;

  /// The schedules that take the place of `schedule`; itself where the rule does nothing.
  Result<std::vector<s_tir::Schedule>> apply_rule(const std::string& function,
                                                  const s_tir::Schedule& schedule,
                                                  s_tir::BlockRv block,
                                                  const MachineFacts& machine) const;
  Result<void> postprocess(const std::string& function, s_tir::Schedule& schedule) const;
  /// What the mutator lets this decision of the trace become: none, where it leaves it alone.
  Result<std::vector<s_tir::Value>> alternatives(const std::string& function,
                                                 const s_tir::Trace& trace,
                                                 const s_tir::DecisionPoint& point) const;

private:
  struct State {
    std::string text;
    std::string file;
    std::vector<std::string> rules;
    std::vector<std::string> named; ///< all functions of a schedule and a block
    std::vector<std::string> postprocs;
    std::vector<Mutator> mutators;
  };
  std::shared_ptr<const State> state_;
};

/// The files that TEMPER_RULES names, with colons between them.
Result<std::vector<RuleFile>> load_rule_files();
/// Whether a workload file's text may hold such functions: others need not be read for them.
bool may_hold_rules(std::string_view text);
/// Whether a function of a workload file with this name and first parameter is such a function, and
/// no workload.
bool schedules_programs(std::string_view function, std::string_view first_parameter);

} // namespace temper::script
