// What the parser says about bad text: tests/text/script/errors.txt has the cases.

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/support/text.h"
#include "tests/support/golden.h"

#include <gtest/gtest.h>

namespace temper::script {
namespace {

TEST(Diagnostics, EveryBadTextGetsItsSentences) {
  const size_t count = testing::check_golden_cases(
      "tests/text/script/errors.txt", [](const testing::GoldenCase& one) -> std::string {
        std::vector<Diagnostic> diagnostics;
        const auto module = parse_module(one.input, "bad.py", &diagnostics);
        if (module)
          return "parsed:\n" + to_text(*module);
        EXPECT_FALSE(diagnostics.empty());
        std::string text;
        for (const Diagnostic& diagnostic : diagnostics)
          text += diagnostic.to_string() + "\n";
        return text;
      });
  EXPECT_GE(count, 60u);
}

TEST(Diagnostics, TheErrorHoldsTheFirstSentenceAndTheOthersAsNotes) {
  const auto module = parse_module("@T.prim_func\ndef f(A):\n    A[0] = B[0]\n", "x.py");
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(module.error().message.find("x.py:2:7: the parameter A needs a type"),
            std::string::npos)
      << module.error().message;
  ASSERT_EQ(module.error().notes.size(), 1u);
  EXPECT_NE(module.error().notes[0].find("'B' is not known here"), std::string::npos);
}

TEST(Diagnostics, TheSameWordsAtSeveralPlacesAreSaidOnce) {
  const std::string text = "first\nsecond\nthird\n";
  Diagnostics diagnostics("a.py", text);
  diagnostics.report({1, 1, 5}, "'float7' is not a data type");
  diagnostics.report({2, 1, 6}, "something else");
  diagnostics.report({2, 3, 2}, "'float7' is not a data type");
  diagnostics.report({3, 1, 5}, "'float7' is not a data type");
  const Error error = diagnostics.to_error();
  EXPECT_NE(error.message.find("a.py:1:1"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("and the same at 2 more places"), std::string::npos)
      << error.message;
  ASSERT_EQ(error.notes.size(), 1U);
  EXPECT_NE(error.notes[0].find("something else"), std::string::npos) << error.notes[0];
}

TEST(Diagnostics, OfALineThatFillsScreensThePartAroundThePlaceIsShown) {
  Diagnostic diagnostic;
  diagnostic.file = "x.json";
  diagnostic.source_line = std::string(5000, 'a') + "HERE" + std::string(5000, 'b');
  diagnostic.position = {1, 5001, 4};
  diagnostic.message = "wrong";
  const std::string text = diagnostic.to_string();
  EXPECT_LT(text.size(), 600U);
  const std::vector<std::string> lines = split_text(text, '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].find("HERE"), lines[2].find('^')) << text;
}

TEST(Diagnostics, NoMoreThanTwentyAreKept) {
  std::string text = "@T.prim_func\ndef f(A: T.Buffer((4,), \"float32\")):\n";
  for (int i = 0; i < 100; ++i)
    text += "    A[0] = unknown_" + std::to_string(i) + "\n";
  std::vector<Diagnostic> diagnostics;
  EXPECT_FALSE(parse_module(text, "x.py", &diagnostics));
  EXPECT_EQ(diagnostics.size(), Diagnostics::kLimit);
}

TEST(Diagnostics, EndlessProgramsAreStopped) {
  for (const char* text : {
           "while True:\n    pass\n",
           "for i in range(10**30):\n    pass\n",
           "def f(n):\n    return f(n + 1)\nf(0)\n",
           "def f(n):\n    return f(n - 1) + f(n - 2)\nf(1000)\n",
           "x = [0]\nfor i in range(100):\n    x = x + x\n",
           "x = 'a' * 10**9\n",
           "x = 2 ** 100000\n",
           "x = [0]\nx.append(x)\n",
           "x = [0]\nx[0] = [x]\n",
           "x = dict(a=0)\nx['a'] = x\n",
           "a = [0]\nfor i in range(45):\n    a = [a, a]\nb = []\nb.append(a)\n",
           "f = lambda g: g(g)\nf(f)\n",
       }) {
    std::vector<Diagnostic> diagnostics;
    EXPECT_FALSE(parse_module(text, "x.py", &diagnostics)) << text;
    EXPECT_FALSE(diagnostics.empty()) << text;
  }
}

TEST(Diagnostics, DeepNestingIsRefusedNotFatal) {
  const auto repeated = [](const std::string& unit, int times) {
    std::string text;
    for (int i = 0; i < times; ++i)
      text += unit;
    return text;
  };
  const std::string head = "@T.prim_func\ndef f(A: T.Buffer((4,), \"float32\"), n: T.int32):\n";
  std::vector<std::string> texts = {
      head + "    A[0] = " + repeated("(", 100000) + "\n",
      head + "    A[0] = " + repeated("-", 100000) + "1\n",
      head + "    A[0] = " + repeated("n + ", 100000) + "n\n",
      head + "    A[0] = " + repeated("not ", 100000) + "n\n",
      head + "    A[0] = " + repeated("A[", 100000) + "\n",
      head + "    A[0] = " + repeated("T.exp(", 5000) + "A[0]" + repeated(")", 5000) + "\n",
      head + "    A[0] = n" + repeated(" if n else n", 5000) + "\n",
      head + "    A[0] = n" + repeated(" ** n", 5000) + "\n",
      head + "    A[0] = " + repeated("lambda: ", 5000) + "n\n",
      head + "    x = " + repeated("[", 5000) + repeated("]", 5000) + "\n",
      head + "    x = " + repeated("f'{", 500) + "1" + repeated("}'", 500) + "\n",
  };
  std::string blocks = head;
  for (int i = 0; i < 3000; ++i)
    blocks += std::string(static_cast<size_t>(i + 1) * 1, ' ') + "if n > 0:\n";
  texts.push_back(blocks);
  std::string chain = head + "    if n == 0:\n        pass\n";
  for (int i = 0; i < 5000; ++i)
    chain += "    elif n == 1:\n        pass\n";
  texts.push_back(chain);
  for (const std::string& text : texts)
    EXPECT_FALSE(parse_module(text, "deep.py")) << text.substr(0, 200);
}

} // namespace
} // namespace temper::script
