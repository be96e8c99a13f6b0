// Files of tensor intrinsics: what a good one adds, and one sentence for each mistake. The table
// lives as long as the process, so each test has names of its own.

#include "ir/script/intrinsic_file.h"

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace temper::script {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

/// Y = 2 X of four elements, as NAME.
std::string entry(const std::string& name, const std::string& attributes = "") {
  const std::string text = R"(
@T.prim_func(s_tir=True)
def NAME_desc(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("Y"):
            vi = T.axis.spatial(4, i)
            Y[vi] = X[vi] * T.float32(2)

@T.prim_func
def NAME_impl(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    ATTRIBUTES
    Y[T.Ramp(0, 1, 4)] = X[T.Ramp(0, 1, 4)] + X[T.Ramp(0, 1, 4)]
)";
  return replaced(replaced(text, "NAME", name), "    ATTRIBUTES\n",
                  attributes.empty() ? "" : "    " + attributes + "\n");
}

std::string refusal(const std::string& text) {
  const auto loaded = load_tensor_intrinsics(text, "mine.py");
  EXPECT_FALSE(loaded);
  return loaded ? "" : loaded.error().to_string();
}

class IntrinsicFile : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("temper_intrinsics_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    ::unsetenv("TEMPER_INTRINSICS");
    fs::remove_all(folder_);
  }
  std::string write(const std::string& name, const std::string& text) const {
    const fs::path path = folder_ / name;
    EXPECT_TRUE(write_file(path, text));
    return path.string();
  }
  /// What a program says at its start with these files.
  static std::string load(const std::string& files) {
    ::setenv("TEMPER_INTRINSICS", files.c_str(), 1);
    const auto loaded = load_tensor_intrinsics();
    return loaded ? "" : loaded.error().to_string();
  }
  fs::path folder_;
};

TEST_F(IntrinsicFile, AddsItsEntriesToTheTable) {
  const uint64_t before = s_tir::added_tensor_intrinsics_hash();
  const std::string text =
      entry("good_one") + entry("good_two", "T.func_attr({\"temper.features\": \"avx, avx2\"})");
  ASSERT_TRUE(load_tensor_intrinsics(text, "mine.py"));
  const s_tir::TensorIntrinsic* one = s_tir::find_tensor_intrinsic("good_one");
  const s_tir::TensorIntrinsic* two = s_tir::find_tensor_intrinsic("good_two");
  ASSERT_NE(one, nullptr);
  ASSERT_NE(two, nullptr);
  EXPECT_TRUE(one->features.empty());
  EXPECT_THAT(two->features, ElementsAre("avx", "avx2"));
  EXPECT_FALSE(two->fits({"avx"}));
  EXPECT_TRUE(two->fits({"avx2", "avx"}));
  const uint64_t after = s_tir::added_tensor_intrinsics_hash();
  EXPECT_NE(after, before);
  EXPECT_TRUE(load_tensor_intrinsics(text, "mine.py")); // read twice
  EXPECT_EQ(s_tir::added_tensor_intrinsics_hash(), after);
}

TEST_F(IntrinsicFile, MayUseTheOperationsOfAWarp) {
  const std::string text = R"(
@T.prim_func(s_tir=True)
def zero_16x8_desc(D: T.Buffer((16, 8), "float32", scope="m16n8k16.matrixC")):
    for i, j in T.grid(16, 8):
        with T.sblock("D"):
            vi, vj = T.axis.remap("SS", [i, j])
            D[vi, vj] = T.float32(0)

@T.prim_func
def zero_16x8_impl(D: T.Buffer((16, 8), "float32", scope="m16n8k16.matrixC")):
    T.func_attr({"temper.features": "sm_80"})
    T.warp_fill(D[0, 0], D[15, 7], T.float32(0), "m16n8k16.C")
)";
  const auto loaded = load_tensor_intrinsics(text, "mine.py");
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_NE(s_tir::find_tensor_intrinsic("zero_16x8"), nullptr);
  EXPECT_THAT(refusal(replaced(replaced(text, "zero_16x8", "zero_other"), "D[15, 7]", "1")),
              HasSubstr("names tiles by their first and last elements"));
}

TEST_F(IntrinsicFile, IsNamedByTheEnvironmentWithColonsBetween) {
  const std::string first = write("first.py", entry("named_first"));
  const std::string second = write("second.py", entry("named_second"));
  EXPECT_EQ(load(first + ":" + second), "");
  EXPECT_NE(s_tir::find_tensor_intrinsic("named_first"), nullptr);
  EXPECT_NE(s_tir::find_tensor_intrinsic("named_second"), nullptr);
  EXPECT_EQ(load(""), "");
}

TEST_F(IntrinsicFile, ThatIsNotThereIsNamedWithTheVariable) {
  EXPECT_THAT(load((folder_ / "none.py").string()),
              AllOf(HasSubstr("none.py"), HasSubstr("TEMPER_INTRINSICS")));
}

TEST_F(IntrinsicFile, WithAMistakeIsNamedWithItsPlace) {
  const std::string bad = write("bad.py", "\n@T.prim_func\ndef x_desc(:\n    pass\n");
  EXPECT_THAT(load(bad), AllOf(HasSubstr("bad.py"), HasSubstr(":3:")));
}

TEST(IntrinsicText, NeedsBothFunctions) {
  const std::string both = entry("half");
  const size_t at = both.find("@T.prim_func\n");
  EXPECT_THAT(refusal(both.substr(0, at)),
              AllOf(HasSubstr("mine.py"), HasSubstr("half_desc"), HasSubstr("add half_impl")));
  EXPECT_THAT(refusal(both.substr(at)),
              AllOf(HasSubstr("mine.py"), HasSubstr("half_impl"), HasSubstr("NAME_desc")));
  EXPECT_EQ(s_tir::find_tensor_intrinsic("half"), nullptr);
}

TEST(IntrinsicText, WithoutFunctionsIsRefused) {
  EXPECT_THAT(refusal("X = 4\n"), AllOf(HasSubstr("mine.py:1:1"), HasSubstr("@T.prim_func")));
}

TEST(IntrinsicText, NeedsADescriptionOfOneStore) {
  const std::string block = R"(
        with T.sblock("Y"):
            vi = T.axis.spatial(4, i)
            Y[vi] = X[vi] * T.float32(2)
)";
  const std::string plain = replaced(entry("no_block"), "(s_tir=True)", "");
  EXPECT_THAT(refusal(replaced(plain, block, "\n        Y[i] = X[i] * T.float32(2)\n")),
              AllOf(HasSubstr("'no_block'"), HasSubstr("a description is an s-tir function")));
  EXPECT_THAT(refusal(replaced(entry("two_stores"), "            Y[vi] = X[vi] * T.float32(2)",
                               "            Y[vi] = X[vi]\n            Y[vi] = X[vi]")),
              AllOf(HasSubstr("'two_stores'"), HasSubstr("not one store"), HasSubstr("mine.py")));
}

TEST(IntrinsicText, NeedsTheSameParametersInBoth) {
  EXPECT_THAT(
      refusal(replaced(entry("other_shape"), "_impl(X: T.Buffer((4,)", "_impl(X: T.Buffer((8,)")),
      AllOf(HasSubstr("'other_shape'"), HasSubstr("X"), HasSubstr("shape")));
  EXPECT_THAT(refusal(replaced(entry("other_type"), "_impl(X: T.Buffer((4,), \"float32\")",
                               "_impl(X: T.Buffer((4,), \"int32\")")),
              AllOf(HasSubstr("'other_type'"), HasSubstr("parameter 0")));
}

TEST(IntrinsicText, NeedsAnImplementationWithoutLoops) {
  EXPECT_THAT(refusal(replaced(entry("loops"),
                               "    Y[T.Ramp(0, 1, 4)] = X[T.Ramp(0, 1, 4)] + "
                               "X[T.Ramp(0, 1, 4)]",
                               "    for i in range(4):\n        Y[i] = X[i] + X[i]")),
              AllOf(HasSubstr("'loops'"), HasSubstr("without loops")));
}

TEST(IntrinsicText, MayNotTakeANameOfTheTable) {
  EXPECT_THAT(refusal(entry("dot_16x2_bf16_avx512bf16")),
              AllOf(HasSubstr("another tensor intrinsic"), HasSubstr("a name of its own")));
}

} // namespace
} // namespace temper::script
