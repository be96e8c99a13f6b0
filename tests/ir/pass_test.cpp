#include "ir/pass/pass.h"

#include "ir/s_tir/layer.h"
#include "ir/support/text.h"
#include "tests/support/programs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace temper {
namespace {

using namespace testing; // NOLINT: IR in tests

class Passes : public ::testing::Test {
protected:
  Passes() {
    register_layer();
    options.verify = true;
  }

  /// Renames the function's body into a store of `value`, noting that it ran.
  Pass storing(const std::string& name, const Expr& value) {
    return function_pass(name, [this, name, value](const PrimFunc& function) -> Result<PrimFunc> {
      ran.push_back(name);
      return with_body(function, make_store(buffer, {imm(0)}, value));
    });
  }
  Pass idle(const std::string& name) {
    return {name, [this, name](const IRModule& input) -> Result<IRModule> {
              ran.push_back(name);
              return input;
            }};
  }

  Buffer buffer = make_buffer("A", DataType::int32(), {imm(4)});
  IRModule module =
      make_module(make_function("main", {{buffer, nullptr}}, make_store(buffer, {imm(0)}, imm(1))));
  PassOptions options;
  std::vector<std::string> ran;
};

TEST_F(Passes, RunInOrderAndKeepTheModuleWhenUnchanged) {
  const std::vector<Pass> passes = {idle("one"), idle("two")};
  const auto result = run_passes(module, passes, options);
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, module);
  EXPECT_EQ(ran, (std::vector<std::string>{"one", "two"}));
}

TEST_F(Passes, TheCulpritIsNamedAndTheProgramBeforeItShown) {
  options.render = [](const IRModule& input) {
    return "text with " +
           std::to_string(*as_int(input->find_prim_func("main")->body.as<BufferStore>()->value));
  };
  const std::vector<Pass> passes = {storing("good", imm(2)),
                                    storing("bad", make_float(DataType::float32(), 3))};
  const auto result = run_passes(module, passes, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kFailed);
  EXPECT_EQ(result.error().message.find("pass 'bad' broke the program: main"), 0U)
      << result.error().message;
  EXPECT_NE(result.error().to_string().find("text with 2"), std::string::npos);
  options.verify = false;
  EXPECT_TRUE(run_passes(module, passes, options));
}

TEST_F(Passes, ErrorsOfPassesNameThePass) {
  const std::vector<Pass> passes = {{"failing", [](const IRModule&) -> Result<IRModule> {
                                       return Error{ErrorCode::kUnsupported, "cannot do this"};
                                     }}};
  const auto result = run_passes(module, passes, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "cannot do this");
  EXPECT_EQ(result.error().notes[0], "in pass 'failing'");
}

TEST_F(Passes, AnIllFormedInputIsNotBlamedOnAPass) {
  const IRModule bad = make_module(make_function("main", {}, make_break()));
  const std::vector<Pass> passes = {idle("one")};
  const auto result = run_passes(bad, passes, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.find("main: break"), 0U) << result.error().message;
  EXPECT_TRUE(ran.empty());
}

TEST_F(Passes, SkippedAndDumpedByTheEnvironment) {
  const std::filesystem::path folder =
      std::filesystem::path(TEMPER_BUILD_DIR) / "tests" / "pass_test_dump";
  std::filesystem::remove_all(folder);
  setenv("TEMPER_DUMP", "passes", 1);
  setenv("TEMPER_DUMP_DIR", folder.c_str(), 1);
  setenv("TEMPER_SKIP_PASSES", "two, other", 1);
  options.render = [](const IRModule&) { return std::string("text\n"); };
  const PassOptions from_environment = with_environment(options);
  unsetenv("TEMPER_DUMP");
  unsetenv("TEMPER_DUMP_DIR");
  unsetenv("TEMPER_SKIP_PASSES");
  const std::vector<Pass> passes = {idle("one"), idle("two"), storing("three", imm(3))};
  ASSERT_TRUE(run_passes(module, passes, from_environment));
  EXPECT_EQ(ran, (std::vector<std::string>{"one", "three"}));
  const auto content = [&](const char* name) { return read_file(folder / name).value_or("none"); };
  EXPECT_EQ(content("main.1/00.input.txt"), "text\n");
  EXPECT_EQ(content("main.1/01.one.txt"), "unchanged\n");
  EXPECT_EQ(content("main.1/02.two.txt"), "skipped\n");
  EXPECT_EQ(content("main.1/03.three.txt"), "text\n");
  std::filesystem::remove_all(folder);
}

TEST_F(Passes, ADumpNeverOverwritesAnother) {
  options.dump_dir = std::filesystem::path(TEMPER_BUILD_DIR) / "tests" / "pass_test_dumps";
  std::filesystem::remove_all(options.dump_dir);
  const std::vector<Pass> passes = {storing("three", imm(3))};
  for (const char* text : {"first", "second"}) {
    options.render = [text](const IRModule&) { return std::string(text); };
    ASSERT_TRUE(run_passes(module, passes, options));
  }
  options.name = "reference";
  ASSERT_TRUE(run_passes(module, passes, options));
  const auto content = [&](const char* name) {
    return read_file(options.dump_dir / name).value_or("none");
  };
  EXPECT_EQ(content("main.1/00.input.txt"), "first");
  EXPECT_EQ(content("main.1/01.three.txt"), "first");
  EXPECT_EQ(content("main.2/01.three.txt"), "second");
  EXPECT_EQ(content("main.3/00.input.txt"), "none");
  EXPECT_EQ(content("reference.1/00.input.txt"), "second");
  std::filesystem::remove_all(options.dump_dir);
}

TEST_F(Passes, ADumpFolderThatCannotBeMadeIsNamed) {
  options.dump_dir = "/proc/nowhere";
  const std::vector<Pass> passes = {idle("one")};
  const auto result = run_passes(module, passes, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  EXPECT_NE(result.error().message.find("/proc/nowhere"), std::string::npos);
}

} // namespace
} // namespace temper
