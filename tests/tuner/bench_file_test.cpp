#include "tuner/bench_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> sentences(const std::string& text) {
  const auto file = parse_bench_file(text, "peers.toml");
  EXPECT_FALSE(file) << text;
  if (file)
    return {};
  std::vector<std::string> all = file.error().notes;
  all.insert(all.begin(), file.error().message);
  return all;
}

TEST(BenchFile, AnEntryIsAWorkloadOrACommand) {
  const auto file = parse_bench_file(R"toml(
[defaults]
seconds = 2
untuned = true

[[bench]]
workload = "mine.py:scale"
shapes = [{M = 8}]
threads = 2
tuned = false
functions = ["openblas", "./lib/libmine.so:scale(float* A, int M)"]
baseline = "onednn:matmul(M, N)"

[[bench]]
workload = "matmul"

[[bench]]
command = ["./run", "--benchmark_filter=A"]
timeout = 1.5
)toml",
                                     "jobs/peers.toml");
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->name, "peers");
  ASSERT_EQ(file->entries.size(), 3U);
  const BenchEntry& mine = file->entries[0];
  EXPECT_EQ(mine.workload, "jobs/mine.py:scale");
  EXPECT_EQ(mine.threads, 2);
  EXPECT_EQ(mine.seconds, 2);
  EXPECT_FALSE(mine.tuned);
  EXPECT_TRUE(mine.untuned);
  ASSERT_TRUE(mine.functions);
  ASSERT_EQ(mine.functions->size(), 2U);
  EXPECT_EQ((*mine.functions)[1].library, "jobs/lib/libmine.so");
  ASSERT_TRUE(mine.baseline);
  EXPECT_EQ(mine.baseline->name(), "onednn:matmul");
  EXPECT_FALSE(file->entries[1].functions) << "those that its file names";
  EXPECT_THAT(file->entries[1].shapes, IsEmpty());
  const BenchEntry& command = file->entries[2];
  ASSERT_EQ(command.command.size(), 2U);
  EXPECT_THAT(command.command[0], ::testing::EndsWith("/jobs/run"));
  EXPECT_EQ(command.timeout, 1.5);
}

TEST(BenchFile, AllThatIsWrongIsSaidAtOnce) {
  EXPECT_THAT(sentences(R"toml([[bench]]
workload = "matmul"
functons = ["openblas"]
functions = ["openblas:sgemm(M"]
seconds = -1
tuned = "yes"
[[bench]]
[[bench]]
command = []
tuned = true
)toml"),
              ElementsAre(HasSubstr("peers.toml:3: there is no key 'functons' in [[bench]]; did "
                                    "you mean 'functions'?"),
                          HasSubstr("peers.toml:5: 'seconds' is a positive number"),
                          HasSubstr("peers.toml:6: 'tuned' is true or false"),
                          HasSubstr("peers.toml:4: the function 'openblas:sgemm(M' has no closing"),
                          HasSubstr("peers.toml:7: this [[bench]] names neither"),
                          HasSubstr("peers.toml:10: there is no key 'tuned'"),
                          HasSubstr("peers.toml:8: 'command' is empty")));
  EXPECT_THAT(sentences(""), ElementsAre("peers.toml:1: there is no [[bench]], so nothing to do"));
  EXPECT_THAT(sentences("[[bench]\n"), ElementsAre(HasSubstr("peers.toml:1: this is no TOML")));
}

} // namespace
} // namespace temper::tuner
