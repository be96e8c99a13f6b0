// The verifier on workloads and on what lowering makes of them and of random schedules.
#include "codegen/lower.h"
#include "ir/pass/pass.h"
#include "ir/pass/pipelines.h"
#include "ir/s_tir/lower.h"
#include "ir/script/workload_file.h"
#include "ir/verify.h"
#include "tests/s_tir/random_schedule_cases.h"

#include <filesystem>
#include <map>

namespace temper::ir {
namespace {

// The verifier must know blocks, in every test of this program and whichever runs alone.
const bool kLayersRegistered = (s_tir::register_layer(), true);

TEST(Lowering, RandomSchedulesStayWellFormedAfterEveryPass) {
  s_tir::register_layer();
  int lowered = 0;
  for (const auto& example : s_tir::testing::small_programs())
    for (uint64_t seed = 200; seed < 210; ++seed) {
      s_tir::Schedule schedule(example.module, seed);
      Random random(seed);
      for (int step = 0; step < 8; ++step)
        ASSERT_TRUE(s_tir::testing::random_step(schedule, random, s_tir::testing::without_threads));
      PrimFunc function = schedule.module()->find_prim_func("main");
      if (!check_lowerable(function))
        continue;
      ++lowered;
      const auto check = [&](const char* pass) {
        const auto good = verify(function);
        ASSERT_TRUE(good) << pass << ": " << good.error().to_string() << "\n"
                          << example.name << ", seed " << seed << "\n"
                          << schedule.trace().to_python() << script::to_text(function);
      };
      function = s_tir::lower_blocks(function);
      check("lower_blocks");
      const LowerOptions options;
      for (const LoweringPass& pass : cpu_passes()) {
        function = pass.run(function, options);
        check(pass.name);
        if (::testing::Test::HasFatalFailure())
          return;
      }
    }
  EXPECT_GT(lowered, 30);
}

TEST(Lowering, WorkloadsAreWellFormedAndStaySo) {
  int workloads = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(TEMPER_SOURCE_DIR) / "workloads")) {
    if (entry.path().extension() != ".py")
      continue;
    const auto file = script::WorkloadFile::read(entry.path());
    ASSERT_TRUE(file) << file.error().to_string();
    for (const script::WorkloadInfo& info : file->workloads())
      for (const script::Binding& shape : info.shapes) {
        std::map<std::string, std::string> parameters;
        for (const auto& [name, value] : shape)
          parameters.emplace(name, script::to_string(value));
        const auto workload = file->instantiate(info.name, parameters, true);
        ASSERT_TRUE(workload) << workload.error().to_string();
        const auto good = verify(workload->module);
        ASSERT_TRUE(good) << good.error().to_string();
        PassOptions options;
        options.verify = true;
        const auto lowered = codegen::lower_for_cpu(workload->module, {}, options);
        ASSERT_TRUE(lowered) << lowered.error().to_string();
        ++workloads;
      }
  }
  EXPECT_GT(workloads, 5);
}

} // namespace
} // namespace temper::ir
