#include "tests/fuzz/targets.h"

#include "ir/json_graph.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/script/rule_file.h"
#include "ir/script/schedule_language.h"
#include "ir/script/workload_file.h"
#include "ir/support/json.h"
#include "tests/s_tir/random_schedule_cases.h"
#include "tests/support/any_call.h"

#include <cstdlib>
#include <iostream>

namespace temper::fuzz {
namespace {

using namespace s_tir;          // NOLINT
using namespace s_tir::testing; // NOLINT

void expect(bool holds, const std::string& otherwise) {
  if (holds)
    return;
  std::cerr << otherwise << std::endl;
  std::abort();
}

/// A program with what it computes, known once.
struct Program {
  Case program;
  RunResult expected;
};
const Program& program(std::string_view& input) {
  static const std::vector<Program> all = [] {
    std::vector<Program> made;
    for (const auto& programs : {small_programs(), programs_of_moves()})
      for (const Case& each : programs)
        made.push_back({each, run_on_integers(each.module, first_output(each.module), 1)});
    return made;
  }();
  const auto choice = input.empty() ? 0 : static_cast<unsigned char>(input[0]);
  input.remove_prefix(std::min<size_t>(1, input.size()));
  return all[choice % all.size()];
}

void expect_sound(const IRModule& module, const std::string& what) {
  const auto good = verify(module);
  expect(good.has_value(), what + ": " + (good ? "" : good.error().to_string()));
  const std::string text = script::to_text(module);
  const auto parsed = script::parse_module(text);
  expect(parsed.has_value(), what + ": what is printed does not parse: " +
                                 (parsed ? "" : parsed.error().to_string()) + "\n" + text);
  std::string where;
  expect(structural_equal(*parsed, module, &where),
         what + ": what is printed parses to another program: " + where + "\n" + text);
}

void expect_same_values(const Program& program, const Schedule& schedule) {
  const std::string wrong = wrong_values(program.expected, schedule.module());
  expect(wrong.empty(),
         wrong + "\n" + schedule.trace().to_python() + script::to_text(schedule.module()));
}

/// Interpreting takes too long for more; replaying may make as much as it is told to.
bool is_small(const IRModule& module) {
  return iterations(module->find_prim_func("main")->body) <= kMaxIterations / 20;
}

void replay_on(const Program& program, const Trace& trace) {
  const auto schedule = replay(trace, program.program.module, 1);
  if (!schedule)
    return;
  bool trusted = true;
  for (size_t i = 0; i < trace.size(); ++i)
    trusted &= keeps_meaning(*trace[i].primitive) &&
               // A promise of the caller.
               !(trace[i].primitive->name == "Split" && trace[i].attrs[1] != Value(0));
  if (!trusted) {
    const auto good = verify(schedule->module());
    expect(good.has_value(), schedule->trace().to_python());
    return;
  }
  expect_sound(schedule->module(), schedule->trace().to_python());
  if (is_small(schedule->module()))
    expect_same_values(program, *schedule);
}

/// What the text adds to design spaces, on a small program.
void fuzz_rules(const std::string& text) {
  const auto file = script::RuleFile::parse(text, "fuzz.py");
  if (!file) {
    expect(!file.error().message.empty(), "a file of rules refused without a word");
    return;
  }
  std::string_view first;
  Schedule schedule(program(first).program.module, 1);
  schedule.set_render_errors(false);
  const auto root = schedule.get_sblock("root");
  const auto blocks =
      root ? schedule.get_child_blocks(*root) : Result<std::vector<BlockRv>>(Error());
  if (!blocks)
    return;
  const script::MachineFacts machine{{"threads", 2},
                                     {"features", std::vector<std::string>{"avx2"}}};
  const auto expect_good = [](const Schedule& made) {
    const auto good = verify(made.module());
    expect(good.has_value(), made.trace().to_python());
  };
  for (const std::string& rule : file->rules())
    if (const auto made = file->apply_rule(rule, schedule, blocks->front(), machine))
      for (const Schedule& each : *made)
        expect_good(each);
  for (const std::string& postproc : file->postprocs()) {
    Schedule made = schedule;
    if (file->postprocess(postproc, made))
      expect_good(made);
  }
  for (const script::RuleFile::Mutator& mutator : file->mutators())
    for (const DecisionPoint& point : decision_points(schedule.trace()))
      (void)file->alternatives(mutator.function, schedule.trace(), point);
}

} // namespace

void fuzz_script(std::string_view input) {
  const std::string text(input);
  fuzz_rules(text);
  std::vector<script::Diagnostic> diagnostics;
  const auto module = script::parse_module(text, "fuzz.py", &diagnostics);
  if (module)
    expect_sound(*module, "a module");
  else
    expect(!diagnostics.empty(), "refused without a word");
  const auto file = script::WorkloadFile::parse(text, "fuzz.py");
  if (!file) {
    expect(!file.error().message.empty(), "a file refused without a word");
    return;
  }
  for (const script::WorkloadInfo& info : file->workloads()) {
    const auto workload = file->instantiate(info.name, {}, true);
    expect(workload || !workload.error().message.empty(), "a workload refused without a word");
    if (!workload || workload->module->functions.size() != 1)
      continue;
    const auto function = workload->module->functions[0].function.as_ref<PrimFuncNode>();
    if (function && function->s_tir)
      if (const auto templates =
              script::schedule_templates(text, "fuzz.py", info.name, workload->module))
        for (const Trace& trace : *templates)
          if (const auto schedule = replay(trace, workload->module, 1)) {
            const auto good = verify(schedule->module());
            expect(good.has_value(), schedule->trace().to_python());
          }
  }
}

void fuzz_json(std::string_view input) {
  const auto json = parse_json(input);
  if (!json)
    return;
  if (const auto module = module_from_json(*json)) {
    const auto good = verify(*module);
    // What the verifier refuses is refused before anybody works on it.
    if (good) {
      std::string where;
      const auto again = module_from_json(to_json(*module));
      expect(again && structural_equal(*again, *module, &where), "JSON gives another module");
    }
  }
  if (const auto module = module_from_tvm(*json))
    expect_sound(*module, "a module of TVM");
  if (const auto trace = trace_from_json(*json)) {
    const auto again = trace_from_json_text(trace_to_json_text(*trace));
    expect(again && *again == *trace, "JSON gives another trace");
  }
  for (const MapForm form : {MapForm::kIndices, MapForm::kRanges})
    (void)index_map_from_tvm(*json, form);
}

void fuzz_trace(std::string_view input) {
  const Program& on = program(input);
  const std::string text(input);
  if (const auto trace = trace_from_json_text(text))
    replay_on(on, *trace);
  if (const auto trace = Trace::from_python(text)) {
    const auto again = Trace::from_python(trace->to_python());
    expect(again && *again == *trace, "the Python form gives another trace: " + trace->to_python());
    replay_on(on, *trace);
  }
}

void fuzz_calls(std::string_view input) {
  const Program& on = program(input);
  ByteChoices choices(input);
  Schedule schedule(on.program.module, 1);
  schedule.set_render_errors(false);
  std::vector<Value> handles;
  for (int calls = 0; calls < 60 && !choices.done(); ++calls) {
    const std::string wrong = any_call(choices, schedule, handles);
    expect(wrong.empty(), wrong);
  }
  expect_same_values(on, schedule);
  expect_sound(schedule.module(), schedule.trace().to_python());
}

} // namespace temper::fuzz
