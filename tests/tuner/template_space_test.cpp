// A workload file with def schedule(sch): its space is sampled, mutated and replayed as that of the
// rules is.
#include "ir/extents.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/text.h"
#include "tests/support/run_program.h"
#include "tests/tuner/scene.h"
#include "tuner/templates.h"
#include "tuner/workbench.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <unistd.h>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kProducts = R"(
from tvm.script import tirx as T


def product(M, N, K):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, K), "float32"), B: T.Buffer((K, N), "float32"), C: T.Buffer((M, N), "float32")):
        for i, j, k in T.grid(M, N, K):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                with T.init():
                    C[vi, vj] = T.float32(0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
    return main


product_workload = dict(shapes=[dict(M=16, N=24, K=12), dict(M=8, N=8, K=8)])


def schedule(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    i0, i1 = sch.split(i, sch.sample_perfect_tile(i, n=2))
    j0, j1 = sch.split(j, sch.sample_perfect_tile(j, n=2))
    sch.reorder(i0, j0, k, i1, j1)
    sch.vectorize(j1)
    step = sch.sample_categorical([0, 16, 64], [0.25, 0.5, 0.25])
    sch.annotate(i0, "pragma_auto_unroll_max_step", step)
)";

class TemplateSpace : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / "temper-template-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    write(kProducts);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& text) { must(write_file(file(), text)); }
  std::string file() const { return folder_ + "/products.py"; }
  Task task(std::map<std::string, std::string> parameters = {}) {
    Workbench bench({.database = folder_ + "/temper.db"});
    return must(bench.task(WorkloadArguments{file(), std::move(parameters), false}));
  }

private:
  std::string folder_;
};

TEST_F(TemplateSpace, IsSampledMutatedAndReplayed) {
  const Task task = this->task();
  const auto space = must(space_of(task));
  EXPECT_STREQ(space->maker(), "template");
  EXPECT_EQ(space->describe(), "hand-written: 1 sketch, 3 decisions");
  const s_tir::RunResult expected = s_tir::run_on_integers(task.module, 2, 1);
  Random random(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 20; ++i) {
    const CandidateRef sampled = must(space->sample(random));
    const CandidateRef mutated = must(space->mutate(*sampled, random));
    const auto near = space->neighbours(*mutated, 4);
    EXPECT_FALSE(near.empty());
    for (const CandidateRef& candidate : {sampled, mutated, near.front()}) {
      seen.insert(candidate->program_hash);
      // What the database keeps gives the same program.
      const auto stored = s_tir::trace_from_json_text(s_tir::trace_to_json_text(candidate->trace));
      const CandidateRef again = must(space->apply(must(stored), "database"));
      EXPECT_EQ(again->program_hash, candidate->program_hash);
      EXPECT_EQ(s_tir::difference(expected, s_tir::run_on_integers(candidate->module, 2, 1), 1e-4),
                "");
    }
  }
  EXPECT_GT(seen.size(), 20U);
}

TEST_F(TemplateSpace, IsAnotherOneForAnotherTemplate) {
  const Task task = this->task();
  const uint64_t before = must(space_of(task))->hash();
  EXPECT_EQ(must(space_of(task))->hash(), before);
  std::string other = kProducts;
  other.replace(other.find("[0, 16, 64]"), 11, "[0, 16, 32]");
  write(other);
  EXPECT_NE(must(space_of(task))->hash(), before);
  // The workload is the same: its records stay what they are.
  EXPECT_EQ(ir::structural_hash(this->task().module), ir::structural_hash(task.module));
}

TEST_F(TemplateSpace, AdaptsAProgramOfAnotherShape) {
  const auto large = must(space_of(task()));
  const auto small = must(space_of(task({{"M", "8"}, {"N", "8"}, {"K", "8"}})));
  Random random(3);
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(small->apply(must(large->sample(random))->trace, "database"));
}

TEST_F(TemplateSpace, ThatIsRefusedSaysWhere) {
  std::string wrong = kProducts;
  wrong.replace(wrong.find("sch.vectorize(j1)"), 17, "sch.vectorize(k)");
  write(wrong);
  const Task task = this->task(); // the program itself is good
  const auto space = space_of(task);
  ASSERT_FALSE(space);
  EXPECT_THAT(space.error().message, HasSubstr("products.py:26:5: vectorize: "));
}

TEST_F(TemplateSpace, TakesSymbolicDimensions) {
  Workbench bench({});
  const Task task =
      must(bench.task(WorkloadArguments{TEMPER_SOURCE_DIR "/workloads/dynamic_dense.py",
                                        {{"N", "12"}, {"K", "8"}, {"m", "7"}},
                                        false}));
  const auto space = must(space_of(task));
  // The program serves every m: it is tried at others than the one that it is tuned at.
  const auto at = [](const ir::IRModule& module, int64_t m) {
    const auto function = module->find_prim_func("main");
    return ir::with_function(
        module, "main", must(ir::bound_to_extents(ir::with_extents(function, {{"m", m}}), false)));
  };
  Random random(1);
  for (int i = 0; i < 10; ++i) {
    const CandidateRef candidate = must(space->sample(random));
    EXPECT_GT(candidate->features.rows, 0);
    for (const int64_t m : {1, 6, 7, 13})
      EXPECT_EQ(s_tir::difference(s_tir::run_on_integers(at(task.module, m), 2, 1),
                                  s_tir::run_on_integers(at(candidate->module, m), 2, 1), 1e-4),
                "")
          << candidate->trace.to_python();
  }
}

TEST_F(TemplateSpace, WithoutOneItIsTheRules) {
  std::string plain = kProducts;
  plain.resize(plain.find("def schedule"));
  write(plain);
  const Task task = this->task();
  EXPECT_TRUE(must(templates_of(task)).empty());
  EXPECT_STREQ(must(space_of(task))->maker(), "sketches");
}

} // namespace
} // namespace temper::tuner
