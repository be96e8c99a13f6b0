// temper on a machine with a GPU, which is none: a driver that takes compiled code for a kernel it
// knows (tests/cuda/fake), the slower the more threads a block has.
#include "tests/cli/shell.h"

#include "codegen/cuda/library.h"
#include "codegen/cuda/nvrtc.h"

#include <algorithm>
#include <set>

namespace temper::testing {
namespace {

constexpr const char* kDouble = R"(from tvm.script import tirx as T

def double(N, block=T.tune([64, 128]), threads=T.tune([32, 64, 128, 256]), dtype="float32"):
    @T.prim_func
    def main(A: T.Tensor((N,), dtype), B: T.Tensor((N,), dtype)):
        with T.Kernel(T.ceildiv(N, block), threads=threads) as bx:
            for i in T.Parallel(block):
                B[bx * block + i] = A[bx * block + i] * T.float32(2)
    return main

def double_reference(N, dtype="float32"):
    @T.prim_func
    def main(A: T.Buffer((N,), dtype), B: T.Buffer((N,), dtype)):
        for i in range(N):
            B[i] = A[i] * T.float32(2)
    return main

double_workload = dict(shapes=[dict(N=1000)], flops="N")
)";

std::string with_gpu(const std::string& settings, const std::string& command) {
  return "TEMPER_CUDA_LIBRARIES=" TEMPER_FAKE_GPU_FOLDER " TEMPER_FAKE_GPU=" + settings + " " +
         command;
}
constexpr const char* kGood = "any=double,n=1000,memory=67108864";

#define SKIP_WITHOUT_NVRTC()                                                                       \
  if (const auto nvrtc = codegen::Nvrtc::load(); !nvrtc)                                           \
  GTEST_SKIP() << nvrtc.error().message

TEST(OnAGpu, TuneFindsTheFastestAndKeepsHowItWasTimed) {
  SKIP_WITHOUT_NVRTC();
  const Shell shell;
  shell.write("double.py", kDouble);
  const Ran tuned = shell.run(
      with_gpu(kGood, "temper tune double.py --device cuda:0 --trials 8 --seed 1 --jobs 1 --json"));
  ASSERT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  const Json json = tuned.json();
  EXPECT_EQ(json["target"], "cuda:sm_90a") << "what the GPU can do, where nothing else was said";
  EXPECT_EQ(json["best"]["median_ns"], 4000 + 8 * 32);
  const std::string best = json["best"]["record"];
  const Json shown = shell.run("temper show " + best + " --json").json();
  EXPECT_TRUE(shown["environment"].dump().find("Fake H100") != std::string::npos ||
              shown.dump().find("cuda:Fake H100") != std::string::npos)
      << shown.dump();
  EXPECT_EQ(shown["timing"]["gpu"]["sm_clock_mhz"], 1755) << shown["timing"].dump();
  EXPECT_TRUE(shown["timing"]["gpu"]["timer"].is_string());
  EXPECT_NE(shell.run("temper show " + best).out.find("1755 MHz, 612 W, 61 C"), std::string::npos);
  // Where the driver is, the target alone says what is meant; it is measured again there.
  const Ran again = shell.run(with_gpu(kGood, "temper rerun " + best + " --json"));
  EXPECT_EQ(again.json()["median_ns"], 4000 + 8 * 32) << again.out << again.err;
#ifdef TEMPER_HAS_CUPTI
  const Ran counted = shell.run(with_gpu(kGood, "temper rerun " + best + " --counters lite"));
  EXPECT_EQ(counted.code, 0) << counted.err;
  EXPECT_NE(counted.out.find("gpu__time_duration.sum"), std::string::npos) << counted.out;
  EXPECT_NE(counted.out.find(" 4256\n"), std::string::npos) << counted.out;
  // What they say of it: the counters of this GPU are next to nothing.
  EXPECT_NE(counted.out.find("latency limits it"), std::string::npos) << counted.out;
  const Json limits =
      shell.run(with_gpu(kGood, "temper rerun " + best + " --counters lite,stall --json")).json();
  EXPECT_FALSE(limits["limits"].empty()) << limits.dump();
  // They are a record of the same candidate, which the first one's views know, too.
  ASSERT_TRUE(limits["kept"].is_string()) << limits.dump();
  const Json kept =
      shell.run("temper show " + limits["kept"].get<std::string>() + " --json").json();
  EXPECT_EQ(kept["counters"]["gpu__time_duration.sum"], 4256) << kept.dump();
  EXPECT_EQ(kept["median_ns"], 4256);
  EXPECT_EQ(kept["origin"], "rerun");
  EXPECT_EQ(kept["candidate"], shown["candidate"]);
  const Json whose = shell.run("temper show " + best + " --json").json();
  EXPECT_EQ(whose["counted_in"], kept["record"]) << whose.dump();
  EXPECT_EQ(whose["counters"], kept["counters"]);
  EXPECT_NE(shell.run("temper show " + best).out.find("another measurement of the same candidate"),
            std::string::npos);
  EXPECT_NE(shell.run("temper explain " + best + " --json").json()["limits"].dump().find("latency"),
            std::string::npos);
  // And a later run learns from them.
  const Ran learnt = shell.run(
      with_gpu(kGood, "temper tune double.py --device cuda:0 --trials 4 --seed 2 --jobs 1 --json"));
  EXPECT_EQ(learnt.code, 0) << learnt.out << learnt.err;
  const Ran unknown = shell.run(with_gpu(kGood, "temper rerun " + best + " --counters light"));
  EXPECT_NE(unknown.code, 0);
  EXPECT_NE(unknown.err.find("there is no set of metrics 'light'; there are lite"),
            std::string::npos)
      << unknown.err;
#endif
}

TEST(OnAGpu, CompareRunsBothRecordsThere) {
  SKIP_WITHOUT_NVRTC();
  const Shell shell;
  shell.write("double.py", kDouble);
  ASSERT_EQ(shell
                .run(with_gpu(kGood, "temper tune double.py --target cuda:sm_90a --trials 8 "
                                     "--seed 1 --jobs 1 --strategy random"))
                .code,
            0);
  std::string fast;
  std::string slow;
  for (const Json& record : shell.run("temper list records --json").list("records")) {
    EXPECT_EQ(record["target"], "cuda:sm_90a");
    if (record["median_ns"] == 4000 + 8 * 32)
      fast = record["record"];
    else if (record["median_ns"] == 4000 + 8 * 256)
      slow = record["record"];
  }
  ASSERT_FALSE(fast.empty() || slow.empty());
  const Ran compared =
      shell.run(with_gpu(kGood, "temper compare " + fast + " " + slow + " --seconds 1 --json"));
  EXPECT_EQ(compared.code, 3) << compared.out << compared.err;
  EXPECT_EQ(compared.json()["verdict"], "slower") << compared.out;
}

TEST(OnAGpu, AWrongKernelIsFoundAndAFaultEndsNothing) {
  SKIP_WITHOUT_NVRTC();
  const Shell shell;
  shell.write("double.py", kDouble);
  const Ran wrong = shell.run(
      with_gpu("any=unwritten,n=1000,memory=67108864", "temper check double.py --device cuda:0"));
  EXPECT_EQ(wrong.code, 3) << wrong.out << wrong.err;
  EXPECT_NE(wrong.out.find("nan"), std::string::npos) << wrong.out;
  const Ran faults =
      shell.run(with_gpu("any=illegal_address,memory=67108864",
                         "temper tune double.py --device cuda:0 --trials 4 --seed 1 --jobs 1"));
  EXPECT_EQ(faults.code, 1) << faults.out << faults.err;
  std::set<std::string> outcomes;
  for (const Json& record : shell.run("temper list records --json").list("records"))
    outcomes.insert(record["outcome"].get<std::string>());
  EXPECT_EQ(outcomes, std::set<std::string>{"crashed"});
}

TEST(OnAGpu, DevicesThatAreNotThereAreRefusedInOneSentence) {
  const Shell shell;
  shell.write("double.py", kDouble);
  const auto refused = [&](const std::string& command, const char* words) {
    const Ran ran = shell.run(with_gpu(kGood, command));
    EXPECT_NE(ran.code, 0) << command;
    EXPECT_NE(ran.err.find(words), std::string::npos) << command << "\n" << ran.out << ran.err;
  };
  refused("temper check double.py --device cuda:7", "there is no GPU 7: this machine has 1");
  refused("temper check double.py --device cuda:0 --target cpu:znver4",
          "leave --target out, or take --target cuda:sm_90a");
  refused("temper check double.py --device cpu --target cuda:sm_90a", "--device emulated");
  refused("temper check double.py --device cuda:x", "there is no device 'cuda:x'");
  refused("temper check double.py --device cuda:0 --target cuda:sm_80",
          "code for 'cuda:sm_80' does not run here: Fake H100 is of architecture sm_90");
  refused("temper tune double.py --target cuda:sm_70", "is no GPU that temper knows; it knows");
  // What another GPU is needed for is emulated, and why.
  const Ran other = shell.run(
      with_gpu(kGood, "temper tune double.py --target cuda:sm_80 --trials 1 --seed 1 --jobs 1"));
  EXPECT_NE(other.out.find("Fake H100 is of architecture sm_90, so no GPU is used"),
            std::string::npos)
      << other.out << other.err;
}

TEST(OnAGpu, WithoutADriverItSaysSoAndDoesWhatIsLeft) {
  if (const auto driver = codegen::load_cuda_library({"libcuda.so.1"}); driver)
    GTEST_SKIP() << "there is a driver: " << driver->path;
  const Shell shell;
  shell.write("double.py", kDouble);
  const Ran asked = shell.run("temper check double.py --device cuda:0");
  EXPECT_EQ(asked.code, 1);
  EXPECT_EQ(std::count(asked.err.begin(), asked.err.end(), '\n'), 1) << asked.err;
  EXPECT_NE(asked.err.find("--device emulated runs programs for a GPU on the CPU"),
            std::string::npos)
      << asked.err;
  const Ran left = shell.run("temper tune double.py --target cuda:sm_90a --trials 1 --no-compile");
  EXPECT_EQ(left.code, 0) << left.err;
  EXPECT_NE(left.out.find("so no GPU is used and nothing is timed"), std::string::npos) << left.out;
}

TEST(OnAGpu, DoctorNamesGpuTimerClocksAndPermission) {
  const Shell shell;
  const auto findings = [&](const std::string& settings) {
    std::map<std::string, Json> by_name;
    for (const Json& finding :
         shell.run(with_gpu(settings, "temper doctor --quick --json")).list("findings"))
      by_name[finding["name"]] = finding;
    return by_name;
  };
  auto good = findings("memory=67108864");
  EXPECT_EQ(good["GPU"]["state"], "ok");
  EXPECT_NE(good["GPU"]["sentence"].dump().find("Fake H100 (sm_90, 132 multiprocessors"),
            std::string::npos);
  EXPECT_EQ(good["GPU clocks"]["state"], "ok");
  auto poor = findings("memory=67108864,nvml=0,counters=35,activity=39");
  EXPECT_EQ(poor["GPU"]["state"], "ok");
  for (const char* name : {"GPU timer", "GPU clocks", "GPU counters"})
    EXPECT_EQ(poor[name]["state"], "limited") << name;
  auto taken = findings("context=46");
  EXPECT_EQ(taken["GPU"]["state"], "limited");
  EXPECT_NE(taken["GPU"]["sentence"].dump().find("is taken"), std::string::npos);
  EXPECT_EQ(findings("init=100")["GPU"]["state"], "missing");
#ifdef TEMPER_HAS_CUPTI
  EXPECT_EQ(good["GPU timer"]["state"], "ok");
  EXPECT_EQ(good["GPU counters"]["state"], "ok");
  EXPECT_NE(poor["GPU counters"]["sentence"].dump().find("NVreg_RestrictProfilingToAdminUsers"),
            std::string::npos);
#endif
}

} // namespace
} // namespace temper::testing
