#include "tuner/batch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Error error_of(const std::string& text) {
  const auto batch = parse_batch_file(text, "night.toml");
  EXPECT_FALSE(batch) << text;
  return batch ? Error() : batch.error();
}

TEST(BatchFile, ATaskTakesWhatItDoesNotSayFromTheDefaults) {
  const auto batch = parse_batch_file(R"(
seconds = 3600

[defaults]
target = "cpu:x86-64-v3"
threads = 2
trials = 100
tags = ["night"]

[[task]]
workload = "matmul"
shapes = [{M = 512, N = 256, K = 128}, {M = 1, N = 2, K = 3, dtype = "float64"}]

[[task]]
workload = "softmax"
threads = 1
trials = 7
seconds = 2.5
tags = []
)",
                                      "jobs/night.toml");
  ASSERT_TRUE(batch) << batch.error().to_string();
  EXPECT_EQ(batch->name, "night");
  EXPECT_EQ(batch->seconds, 3600);
  EXPECT_EQ(batch->trials, 0);
  EXPECT_FALSE(batch->weighted);
  ASSERT_EQ(batch->entries.size(), 2U);
  const BatchEntry& matmul = batch->entries[0];
  EXPECT_EQ(matmul.workload, "matmul");
  EXPECT_EQ(matmul.target, "cpu:x86-64-v3");
  EXPECT_EQ(matmul.threads, 2);
  EXPECT_EQ(matmul.trials, 100);
  EXPECT_THAT(matmul.tags, ElementsAre("night"));
  ASSERT_EQ(matmul.shapes.size(), 2U);
  EXPECT_THAT(matmul.shapes[0], ElementsAre(Pair("K", "128"), Pair("M", "512"), Pair("N", "256")));
  EXPECT_EQ(matmul.shapes[1].at("dtype"), "float64");
  const BatchEntry& softmax = batch->entries[1];
  EXPECT_THAT(softmax.shapes, IsEmpty());
  EXPECT_EQ(softmax.threads, 1);
  EXPECT_EQ(softmax.trials, 7);
  EXPECT_EQ(softmax.seconds, 2.5);
  EXPECT_THAT(softmax.tags, IsEmpty());
}

TEST(BatchFile, AWeightAnywhereMakesItWeighted) {
  EXPECT_TRUE(
      parse_batch_file("[[task]]\nworkload = \"gemv\"\nweight = 0.5\n", "a.toml").value().weighted);
  EXPECT_TRUE(parse_batch_file("[defaults]\nweight = 2\n[[task]]\nworkload = \"gemv\"\n", "a.toml")
                  .value()
                  .weighted);
}

TEST(BatchFile, AFileOfTheUsersOwnLiesBesideTheBatch) {
  const auto batch = parse_batch_file(
      "[[task]]\nworkload = \"scale.py:scale\"\n[[task]]\nworkload = \"/k/scale.py\"\n"
      "[[task]]\nworkload = \"reduction:row_sum\"\n",
      "jobs/night.toml");
  ASSERT_TRUE(batch) << batch.error().to_string();
  EXPECT_EQ(batch->entries[0].workload, "jobs/scale.py:scale");
  EXPECT_EQ(batch->entries[1].workload, "/k/scale.py");
  EXPECT_EQ(batch->entries[2].workload, "reduction:row_sum");
}

TEST(BatchFile, AnUnknownKeyIsNamedWithItsLineAndTheNearest) {
  const Error error = error_of("[[task]]\nworkload = \"gemv\"\n\ntrails = 100\n");
  EXPECT_EQ(error.message,
            "night.toml:4: there is no key 'trails' in [[task]]; did you mean 'trials'?");
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error_of("[[tasks]]\nworkload = \"gemv\"\n").message,
              HasSubstr("did you mean 'task'?"));
  EXPECT_THAT(error_of("[defaults]\nworkload = \"gemv\"\n[[task]]\nworkload = \"gemv\"\n").message,
              HasSubstr("night.toml:2: there is no key 'workload' in [defaults]"));
  EXPECT_THAT(error_of("[[task]]\nworkload = \"gemv\"\nzzz = 1\n").message,
              HasSubstr("there are workload, shapes, target"));
}

TEST(BatchFile, AllErrorsAreToldAtOnce) {
  const Error error = error_of("seconds = \"long\"\n[[task]]\nthreads = 0\nshapes = 3\n");
  EXPECT_THAT(error.message, HasSubstr("night.toml:1: 'seconds' is a positive number"));
  EXPECT_THAT(error.notes, ElementsAre(HasSubstr(":3: 'threads' is a whole number from 1 to 1024"),
                                       HasSubstr(":2: this [[task]] names no workload"),
                                       HasSubstr(":4: 'shapes' is a list of tables")));
}

TEST(BatchFile, WrongValuesAreOneSentenceEach) {
  const std::string task = "[[task]]\nworkload = \"gemv\"\n";
  EXPECT_THAT(error_of(task + "trials = 1.5\n").message, HasSubstr(":3: 'trials' is a whole"));
  EXPECT_THAT(error_of(task + "trials = -1\n").message, HasSubstr("'trials'"));
  EXPECT_THAT(error_of(task + "weight = 0\n").message, HasSubstr("'weight' is a positive number"));
  EXPECT_THAT(error_of(task + "weight = true\n").message, HasSubstr("'weight'"));
  EXPECT_THAT(error_of(task + "seconds = nan\n").message, HasSubstr("'seconds'"));
  EXPECT_THAT(error_of(task + "target = 3\n").message, HasSubstr("'target' is a text"));
  EXPECT_THAT(error_of(task + "tags = \"night\"\n").message, HasSubstr("'tags' is a list"));
  EXPECT_THAT(error_of(task + "shapes = []\n").message, HasSubstr("'shapes' is a list"));
  EXPECT_THAT(error_of(task + "shapes = [3]\n").message, HasSubstr("a shape is a table"));
  EXPECT_THAT(error_of(task + "shapes = [{M = [1]}]\n").message, HasSubstr("the parameter 'M'"));
  EXPECT_THAT(error_of("[task]\nworkload = \"gemv\"\n").message, HasSubstr("double brackets"));
  EXPECT_THAT(error_of("").message, HasSubstr("there is no [[task]]"));
  EXPECT_THAT(error_of("[[task]\n").message, HasSubstr("night.toml:1: this is no TOML"));
}

} // namespace
} // namespace temper::tuner
