// Broken text never crashes, hangs or aborts the parser: random edits of real programs.

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/support/random.h"
#include "ir/support/text.h"
#include "tests/script/random_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace temper::script {
namespace {

/// A few random edits: characters and lines lost, doubled, swapped, or replaced by what the
/// language is made of.
std::string mutate(std::string text, Random& random) {
  static const std::vector<std::string> kPieces = {"(",
                                                   ")",
                                                   "[",
                                                   "]",
                                                   "{",
                                                   "}",
                                                   ":",
                                                   ",",
                                                   ".",
                                                   "=",
                                                   "==",
                                                   "//",
                                                   "-",
                                                   "\"",
                                                   "'",
                                                   "\"\"\"",
                                                   "f\"{",
                                                   "\n",
                                                   "    ",
                                                   "\t",
                                                   "\\\n",
                                                   "#",
                                                   "0",
                                                   "1",
                                                   "99999999999999999999",
                                                   "1e999",
                                                   "0x",
                                                   "T.",
                                                   "I.",
                                                   "T.sblock(\"x\")",
                                                   "T.init()",
                                                   "T.axis.remap(\"S\", [i])",
                                                   "T.reads(A)",
                                                   "T.float32",
                                                   "T.let",
                                                   "lambda x: ",
                                                   "for i in ",
                                                   "if ",
                                                   "else:",
                                                   "while True:",
                                                   "with ",
                                                   "def ",
                                                   "class ",
                                                   "return ",
                                                   "None",
                                                   "True",
                                                   "not ",
                                                   " and ",
                                                   " or ",
                                                   "T.Buffer((4,), \"int8\")",
                                                   "T.handle",
                                                   "*",
                                                   "**",
                                                   "@",
                                                   "T.alloc_local((1,))",
                                                   "T.Ramp(0, 1, 4)",
                                                   "T.Broadcast(",
                                                   "range(",
                                                   "T.grid(",
                                                   "A[0]",
                                                   "-1",
                                                   "T.match_buffer(A[0:4], (4,))",
                                                   "T.int32()",
                                                   "T.Let(1, where={",
                                                   "\x80\xff",
                                                   "len(",
                                                   "int"};
  for (int64_t edits = random.between(1, 4); edits > 0; --edits) {
    const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(text.size()) + 1));
    const auto span = static_cast<size_t>(random.between(1, 12));
    switch (random.below(5)) {
    case 0:
      text.erase(at, span);
      break;
    case 1:
      text.insert(at, text.substr(at, span));
      break;
    case 2: {
      const std::vector<std::string> lines = split_text(text, '\n');
      std::vector<std::string> changed = lines;
      const auto i = static_cast<size_t>(random.below(static_cast<int64_t>(lines.size())));
      const auto j = static_cast<size_t>(random.below(static_cast<int64_t>(lines.size())));
      if (random.below(2) == 0)
        std::swap(changed[i], changed[j]);
      else
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      text = join(changed, "\n");
      break;
    }
    default:
      text.insert(at,
                  kPieces[static_cast<size_t>(random.below(static_cast<int64_t>(kPieces.size())))]);
    }
    if (text.empty())
      text = "\n";
  }
  return text;
}

/// Parses; what parses prints and parses back.
void check(const std::string& text) {
  std::vector<Diagnostic> diagnostics;
  const auto module = parse_module(text, "fuzz.py", &diagnostics);
  if (!module) {
    EXPECT_FALSE(diagnostics.empty()) << text;
    for (const Diagnostic& diagnostic : diagnostics) {
      EXPECT_FALSE(diagnostic.message.empty()) << text;
      EXPECT_GE(diagnostic.position.line, 1u) << text;
      EXPECT_GE(diagnostic.position.column, 1u) << text;
    }
    return;
  }
  const std::string printed = to_text(*module);
  const auto again = parse_module(printed);
  ASSERT_TRUE(again) << text << "\n" << printed << "\n" << again.error().to_string();
  std::string difference;
  ASSERT_TRUE(structural_equal(*module, *again, &difference)) << difference << "\n"
                                                              << text << "\n"
                                                              << printed;
}

std::vector<std::string> workload_texts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TEMPER_SOURCE_DIR) + "/workloads"))
    if (entry.path().extension() == ".py")
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const auto& path : paths)
    texts.push_back(*read_file(path));
  return texts;
}

TEST(Fuzz, EditedProgramsNeverBreakTheParser) {
  std::vector<std::string> texts;
  for (uint64_t seed = 1; seed <= 20; ++seed)
    texts.push_back(to_text(RandomProgram(seed).module()));
  for (const std::string& text : workload_texts()) {
    const auto file = WorkloadFile::parse(text, "workload.py");
    ASSERT_TRUE(file) << file.error().to_string();
    const auto workload = file->instantiate(file->workloads()[0].name, {});
    ASSERT_TRUE(workload) << workload.error().to_string();
    texts.push_back(to_text(workload->module));
  }
  Random random(7);
  for (int i = 0; i < 600 && !::testing::Test::HasFailure(); ++i)
    check(mutate(texts[static_cast<size_t>(random.below(static_cast<int64_t>(texts.size())))],
                 random));
}

TEST(Fuzz, EditedWorkloadFilesNeverBreakTheReader) {
  const std::vector<std::string> texts = workload_texts();
  Random random(8);
  for (int i = 0; i < 300; ++i) {
    const std::string text = mutate(
        texts[static_cast<size_t>(random.below(static_cast<int64_t>(texts.size())))], random);
    const auto file = WorkloadFile::parse(text, "fuzz.py");
    if (!file) {
      EXPECT_FALSE(file.error().message.empty()) << text;
      continue;
    }
    for (const WorkloadInfo& info : file->workloads()) {
      const auto workload = file->instantiate(info.name, {});
      if (!workload) {
        EXPECT_FALSE(workload.error().message.empty()) << text;
      }
    }
  }
}

TEST(Fuzz, RandomBytesNeverBreakTheParser) {
  Random random(9);
  for (int i = 0; i < 200; ++i) {
    std::string text;
    for (int64_t n = random.below(300); n > 0; --n)
      text += static_cast<char>(random.below(256));
    std::vector<Diagnostic> diagnostics;
    EXPECT_FALSE(parse_module(text, "bytes.py", &diagnostics));
  }
}

} // namespace
} // namespace temper::script
