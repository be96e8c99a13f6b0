// Texts and calls that nobody would write: traces with bytes changed, object graphs with numbers
// changed, primitives called with whatever fits their parameters. None may crash, hang, or leave a
// program that the verifier refuses or that computes something else.
#include "ir/s_tir/tvm_graph.h"
#include "tests/s_tir/random_schedule_cases.h"
#include "tests/support/any_call.h"

#include <cstdlib>

namespace temper::s_tir::testing {
namespace {

/// TEMPER_FUZZ_ROUNDS=N takes N times as many.
int rounds(int few) {
  const char* const text = std::getenv("TEMPER_FUZZ_ROUNDS");
  return text != nullptr ? few * std::max(std::atoi(text), 1) : few;
}

/// The first thing that is wrong after so many calls; empty when nothing is.
std::string check_random_calls(const IRModule& module, uint64_t seed, int calls) {
  register_layer();
  Random random(seed);
  Schedule schedule(module, seed);
  schedule.set_render_errors(false);
  std::vector<Value> handles;
  for (int call = 0; call < calls; ++call)
    if (std::string wrong = any_call(random, schedule, handles); !wrong.empty())
      return wrong;
  const RunResult expected = run_on_integers(module, first_output(module), 1);
  const std::string wrong = wrong_values(expected, schedule.module());
  return wrong.empty()
             ? wrong
             : wrong + "\n" + schedule.trace().to_python() + script::to_text(schedule.module());
}

TEST(Fuzz, CallsWithWhateverFitsKeepTheProgram) {
  for (const Case& program : small_programs())
    for (int seed = 1; seed <= rounds(12); ++seed)
      ASSERT_EQ(check_random_calls(program.module, static_cast<uint64_t>(seed), 120), "")
          << program.name << ", seed " << seed;
}

// Texts.

/// A few bytes changed, left out, doubled, or taken from elsewhere in the text.
std::string changed(Random& random, std::string text) {
  for (int64_t times = 1 + random.below(3); times > 0 && !text.empty(); --times) {
    const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(text.size())));
    const auto length = static_cast<size_t>(1 + random.below(8));
    const auto from = static_cast<size_t>(random.below(static_cast<int64_t>(text.size())));
    switch (random.below(5)) {
    case 0:
      text.erase(at, length);
      break;
    case 1:
      text.insert(at, text.substr(from, length));
      break;
    case 2:
      text.replace(at, length, text.substr(from, length));
      break;
    case 3:
      text[at] = static_cast<char>(random.below(128));
      break;
    default:
      text.insert(
          at, one_of(random, std::vector<std::string>{"[[[[", "((((", "-", "99999999999999999999",
                                                      "\"", "None", "lambda", "l1", "b0", "v3", "{",
                                                      "0x", "1e999", "//", ","}));
    }
  }
  return text;
}

/// A program, and a random schedule of it.
struct Scheduled {
  IRModule original;
  Schedule schedule;
};

std::vector<Scheduled> some_schedules() {
  register_layer();
  std::vector<Scheduled> schedules;
  for (const Case& program : small_programs())
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      Schedule schedule(program.module, seed);
      Random random(seed);
      for (int step = 0; step < 8; ++step)
        EXPECT_TRUE(random_step(schedule, random));
      schedules.push_back({program.module, std::move(schedule)});
    }
  return schedules;
}

/// What a text that reads as a trace makes of a program is a program.
void expect_sound(const Result<Trace>& trace, const IRModule& module, const std::string& text) {
  if (!trace || text.find("unsafe") != std::string::npos)
    return;
  const auto again = replay(*trace, module, 1);
  if (!again)
    return;
  const auto good = verify(again->module());
  EXPECT_TRUE(good) << good.error().to_string() << "\n" << text;
}

TEST(Fuzz, ChangedTextsOfTracesAreReadOrRefused) {
  Random random(5);
  for (const auto& [module, schedule] : some_schedules()) {
    const std::string json = trace_to_json_text(schedule.trace());
    const std::string python = schedule.trace().to_python();
    for (int i = 0; i < rounds(60); ++i) {
      const std::string a = changed(random, json);
      expect_sound(trace_from_json_text(a), module, a);
      const std::string b = changed(random, python);
      expect_sound(Trace::from_python(b), module, b);
    }
  }
}

/// Numbers and words of a JSON value replaced by others.
void change_inside(Random& random, Json& json, int64_t one_in) {
  if (json.is_structured()) {
    for (auto& item : json)
      change_inside(random, item, one_in);
    return;
  }
  if (random.below(one_in) != 0)
    return;
  if (json.is_number())
    json = one_of(random, std::vector<int64_t>{0, 1, 2, 5, 20, -1, 1 << 20, int64_t{1} << 50});
  else if (json.is_string())
    json = one_of(random, std::vector<std::string>{"", "ir.Var", "int32", "float16", "tirx.For",
                                                   "ffi.Array", "prim.Add", "s_tir.SBlock", "x"});
}

TEST(Fuzz, ChangedObjectGraphsAreReadOrRefused) {
  Random random(6);
  for (const auto& [module, schedule] : some_schedules()) {
    const auto graph = module_to_tvm(schedule.module());
    if (!graph)
      continue;
    for (int i = 0; i < rounds(40); ++i) {
      Json other = *graph;
      change_inside(random, other, 20 + random.below(400));
      if (const auto module = module_from_tvm(other)) {
        const auto good = verify(*module);
        EXPECT_TRUE(good) << good.error().to_string();
      }
    }
  }
}

} // namespace
} // namespace temper::s_tir::testing
