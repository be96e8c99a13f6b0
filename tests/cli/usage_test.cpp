#include "tests/cli/shell.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstdio>
#include <regex>

namespace temper::testing {
namespace {

/// One sentence on stderr that mentions `words`, nothing on stdout, and the exit code.
void expect_refused(const Ran& ran, int code, const std::string& words) {
  EXPECT_EQ(ran.code, code) << ran.out << ran.err;
  EXPECT_NE(ran.err.find(words), std::string::npos) << ran.err;
  EXPECT_EQ(ran.out, "");
}

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  for (const std::string& line : split_text(text, '\n'))
    longest = std::max(longest, line.size());
  return longest;
}

TEST(Usage, EveryCommandHasHelpWithExamples) {
  const Shell shell;
  for (const char* command :
       {"check",  "tune",    "batch",  "bench",   "resume", "stop",      "list",   "show",
        "best",   "compare", "report", "explain", "rerun",  "remeasure", "export", "dump",
        "import", "tag",     "note",   "prune",   "doctor", "score"}) {
    const Ran ran = shell.run(std::string("temper ") + command + " --help");
    EXPECT_EQ(ran.code, 0) << command;
    EXPECT_NE(ran.out.find("examples:"), std::string::npos) << command;
    EXPECT_LE(longest_line(ran.out), 80U) << command;
  }
}

TEST(Usage, APasswordIsNeitherShownNorKept) {
  const Shell shell;
  const std::string address = "postgresql://ada:s3cret@127.0.0.1:1/x";
  for (const std::string& command :
       {"temper best --db " + address, "temper best --json --db=" + address,
        "TEMPER_DB=" + address + " temper list runs", "temper import " + address,
        "temper " + address, "temper list --limit " + address, "temper --database " + address,
        "temper dump -o /nowhere/" + address, "temper doctor --quick --db " + address,
        "temper tune matmul M=8 N=8 K=8 --trials 1 --db '" + address + "?password=s3cret'",
        std::string("temper best --db postgresql://ada:s3cret"),
        std::string("temper best --db postgresql://ada:s3/cret@host/x")}) {
    const Ran ran = shell.run(command);
    EXPECT_EQ((ran.out + ran.err).find("s3cret"), std::string::npos) << command << "\n" << ran.err;
    EXPECT_EQ((ran.out + ran.err).find("cret@"), std::string::npos) << command << "\n" << ran.err;
  }
}

TEST(Usage, AServerHasNoDiskOfOurs) {
  const Shell shell;
  const Ran ran = shell.run("temper doctor --quick --json --db postgresql://nobody@127.0.0.1:1/x");
  for (const Json& finding : ran.list("findings")) {
    EXPECT_NE(finding["name"], "disk") << finding.dump();
    if (finding["name"] == "database") {
      EXPECT_EQ(finding["state"], "missing");
    }
  }
  EXPECT_NE(shell.run("temper doctor --quick").out.find("free for the database"),
            std::string::npos);
}

TEST(Usage, ADatabaseIsAFileOrAnAddress) {
  const Shell shell;
  for (const std::string& location :
       {std::string("host=127.0.0.1 user=ada password=s3cret dbname=x"), std::string("dbname = x"),
        std::string("user=ada password=\\'s3 cret\\'"), std::string("mysql://ada:s3cret@host/x")}) {
    const Ran ran = shell.run("temper best --db \"" + location + "\"");
    expect_refused(ran, 2, "postgresql://user@host/name");
    EXPECT_EQ(ran.err.find("cret"), std::string::npos) << ran.err;
  }
  EXPECT_EQ(shell.run("ls | grep -v -e out.txt -e err.txt").out, "") << "no file of that name";
  expect_refused(shell.run("temper best --db ./host=attic.db"), 2, "there is no database");
  ASSERT_EQ(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1 --db ./host=attic.db").code, 0);
  EXPECT_EQ(shell.run("temper best --db ./host=attic.db").code, 0) << "a file may be called so";
}

TEST(Usage, ALibraryToCompareWithNeedsANameAndAFile) {
  const Shell shell;
  for (const char* text : {"kernels.so", "=kernels.so", "theirs="})
    expect_refused(shell.run(std::string("temper compare matmul --library ") + text), 2,
                   "NAME=FILE");
}

TEST(Usage, ShapesOfALibrarysFunctionAreNumbersBetweenParentheses) {
  const Shell shell;
  for (const char* text :
       {"a=b.so:main(3x4", "a=b.so:main(3x,4)", "a=b.so:main(0)", "a=b.so:main()"})
    expect_refused(shell.run(std::string("temper compare matmul --library '") + text + "'"), 2,
                   "(1x56x56x64,64)");
}

TEST(Usage, ATableIsOfARun) {
  const Shell shell;
  const Ran ran = shell.run("temper dump --table run:rdeadbeef");
  EXPECT_NE(ran.code, 0);
  EXPECT_NE(ran.err.find("rdeadbeef"), std::string::npos) << ran.err;
}

TEST(Usage, AMisspeltCommandGetsTheNearestOne) {
  const Shell shell;
  expect_refused(shell.run("temper tun matmul"), 2, "did you mean 'temper tune'");
}

TEST(Usage, TensorIntrinsicsThatCannotBeReadAreNamed) {
  const Shell shell;
  const std::string with = "export TEMPER_INTRINSICS=mine.py; ";
  expect_refused(shell.run(with + "temper list workloads"), 2, "mine.py");
  shell.write("mine.py", R"(
@T.prim_func(s_tir=True)
def twice_desc(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("Y"):
            vi = T.axis.spatial(4, i)
            Y[vi] = X[vi] * T.float32(2)
)");
  expect_refused(shell.run(with + "temper list workloads"), 2, "add twice_impl");
  expect_refused(shell.run(with + "temper-opt scale.py"), 2, "add twice_impl");
}

TEST(Usage, AnUnknownOptionIsWrongUsage) {
  const Shell shell;
  expect_refused(shell.run("temper tune matmul --trails 3"), 2, "--trails");
}

TEST(Usage, AnUnknownWorkloadGetsTheNearestOne) {
  const Shell shell;
  expect_refused(shell.run("temper check matmull M=8 N=8 K=8"), 2, "did you mean 'matmul'");
}

TEST(Usage, ConstantOperandsAreInputs) {
  const Shell shell;
  expect_refused(shell.run("temper check matmul M=8 N=8 K=8 constant=C"), 2,
                 "'C' cannot be constant: it is written");
  expect_refused(shell.run("temper tune matmul M=8 N=8 K=8 constant=W"), 2,
                 "'W' cannot be constant: there is no such operand; they are A, B, C");
}

TEST(Usage, SomeParametersButNotAllAreNamed) {
  const Shell shell;
  expect_refused(shell.run("temper check matmul M=8"), 2, "K");
}

TEST(Usage, ParametersMustBePositive) {
  const Shell shell;
  for (const char* value : {"0", "-4", "x"})
    expect_refused(shell.run(std::string("temper check matmul M=8 N=8 K=") + value), 2, "K");
}

TEST(Usage, AShapeThatOverflowsIsRefused) {
  const Shell shell;
  const Ran ran = shell.run("temper check matmul M=4000000000 N=4000000000 K=4000000000");
  EXPECT_EQ(ran.code, 2) << ran.err;
  EXPECT_NE(ran.err, "");
}

TEST(Usage, AShapeLargerThanMemoryIsRefused) {
  const Shell shell;
  expect_refused(shell.run("temper check elementwise M=1000000 N=1000000"), 2, "GiB");
}

TEST(Usage, AMalformedScriptGetsSeveralErrorsWithPlaces) {
  const Shell shell;
  shell.write("bad.py", "def f(M):\n    @T.prim_func(s_tir=True)\n"
                        "    def main(A: T.Buffer((M,), \"float31\")):\n"
                        "        A[0] = T.exq(1)\n    return main\n");
  const Ran ran = shell.run("temper check bad.py M=4");
  expect_refused(ran, 2, "bad.py:3:32: 'float31' is not a data type (did you mean 'float32'?)");
  expect_refused(ran, 2, "bad.py:4:16: T.exq is not known (did you mean 'exp'?)");
}

TEST(Usage, AProgramWithoutAReferenceIsRefused) {
  const Shell shell;
  shell.write("plain.py", "def plain(M):\n    @T.prim_func\n"
                          "    def main(A: T.Buffer((M,), \"float32\")):\n"
                          "        A[0] = T.float32(1)\n    return main\n");
  expect_refused(shell.run("temper check plain.py M=4"), 2, "without a reference");
  expect_refused(shell.run("temper tune plain.py M=4 --trials 1"), 2, "--unchecked");
}

TEST(Usage, AFolderIsNoFile) {
  const Shell shell;
  expect_refused(shell.run("temper check ./ M=4"), 2, "is a folder");
  expect_refused(shell.run("temper import ."), 2, "is a folder");
  expect_refused(shell.run("temper dump -o ."), 1, "Is a directory");
}

TEST(Usage, WhatIsWrongWithADumpIsTheWorksFailure) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper dump -o whole.jsonl").code, 0);
  shell.write("empty.jsonl", "");
  shell.write("letter.jsonl", "dear Ada\n");
  shell.write("newer.jsonl", "{\"schema\":\"temper.dump/99\"}\n");
  ASSERT_EQ(shell.run("head -n 1 whole.jsonl > cut.jsonl").code, 0);
  for (const char* words : {"empty.jsonl", "letter.jsonl", "newer.jsonl", "cut.jsonl",
                            "--google-benchmark letter.jsonl", "--google-benchmark empty.jsonl"})
    EXPECT_EQ(shell.run(std::string("temper import ") + words).code, 1) << words;
  EXPECT_EQ(shell.run("temper import nowhere.jsonl").code, 2);
  EXPECT_EQ(shell.run("temper import .").code, 2);
}

TEST(Usage, ATargetThatTheHostLacksRunsNowhere) {
  const Shell shell;
  shell.write("scale.py", kScale);
  // No processor has all of AMD's and of Intel's extensions.
  const std::string target = " --target cpu:znver4,+amx-tile,+fma4,+xop";
  for (const char* command : {"tune scale.py M=64 N=64 --trials 1", "check scale.py M=64 N=64"})
    expect_refused(shell.run(std::string("temper ") + command + target), 2, "lacks");
  EXPECT_TRUE(shell.run("temper list runs --json").json()["runs"].empty());
  EXPECT_EQ(shell.run("temper check scale.py --target cpu:x86-64").code, 0);
}

TEST(Usage, ATargetThatLlvmLacksIsNamed) {
  const Shell shell;
  expect_refused(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1 --target cpu:znver44"), 2,
                 "znver4");
  expect_refused(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1 --target cuda:sm_91"), 2,
                 "cuda:sm_90a");
}

// What is printed to be typed next was of the default database.
TEST(Usage, CommandsThatAreNamedHaveTheDatabaseThatWasGiven) {
  const Shell shell;
  shell.write("scale.py", kScale);
  const Ran tuned = shell.run("temper tune scale.py M=64 N=64 --trials 1 --db 'my kernels.db'");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string words = "see it with: ";
  const size_t at = tuned.out.find(words);
  ASSERT_NE(at, std::string::npos) << tuned.out;
  const std::string named =
      tuned.out.substr(at + words.size(), tuned.out.find('\n', at) - at - words.size());
  EXPECT_NE(named.find(" --db 'my kernels.db'"), std::string::npos) << named;
  const Ran shown = shell.run(named);
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find(named.substr(0, named.find(" --db")) + " --db 'my kernels.db' --script"),
            std::string::npos)
      << shown.out;
}

TEST(Usage, AMissingRecordIsNamed) {
  const Shell shell;
  expect_refused(shell.run("temper show m123456"), 2, "m123456");
}

TEST(Usage, ADatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  const Shell shell;
  shell.write("t.db", "this is not a database, it is a letter");
  const Ran ran = shell.run("temper best");
  EXPECT_NE(ran.code, 0);
  EXPECT_NE(ran.err.find("t.db"), std::string::npos) << ran.err;
  EXPECT_EQ(read_file(shell.folder() / "t.db").value_or(""),
            "this is not a database, it is a letter");
}

void run_sql(const Shell& shell, const char* statements) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((shell.folder() / "t.db").c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, statements, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
}

TEST(Usage, ADatabaseOfANewerVersionIsRefused) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1").code, 0);
  run_sql(shell, "PRAGMA user_version = 999");
  for (const char* command : {"best", "tune matmul M=8 N=8 K=8 --trials 1", "resume", "dump"})
    expect_refused(shell.run(std::string("temper ") + command), 1, "newer version of temper");
}

TEST(Usage, ASqliteFileOfAnotherProgramIsRefused) {
  const Shell shell;
  run_sql(shell, "CREATE TABLE bookmarks (url TEXT)");
  expect_refused(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1"), 2, "of another program");
}

TEST(Usage, AMissingOrUnwritableDatabaseFolderIsOneSentence) {
  const Shell shell;
  expect_refused(shell.run("temper best --db nowhere/t.db"), 2, "nowhere");
  expect_refused(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1 --db /proc/t.db"), 1,
                 "/proc");
}

TEST(Usage, WhoOnlyReadsMakesNoDatabase) {
  const Shell shell;
  for (const std::string command :
       {"best", "list runs", "show m123456", "explain m123456", "rerun m123456",
        "dump -o all.jsonl", "export --out lib m123456", "remeasure --stale", "resume",
        "tag m123456 night"})
    expect_refused(shell.run("temper " + command + " --db typo.db"), 2,
                   "there is no database 'typo.db'");
  EXPECT_EQ(shell.run("temper best").code, 0) << "nothing is tuned yet";
  const Ran doctor = shell.run("temper doctor --quick");
  EXPECT_EQ(doctor.code, 0);
  // A line a probe, for who waits; what is found is on stdout alone.
  for (const char* probe : {"looking at speed", "looking at isolation", "looking at peers",
                            "looking at GPUs", "looking at the database"})
    EXPECT_NE(doctor.err.find(probe), std::string::npos) << doctor.err;
  EXPECT_EQ(doctor.out.find("looking at"), std::string::npos) << doctor.out;
  EXPECT_FALSE(std::filesystem::exists(shell.folder() / "typo.db"));
  EXPECT_FALSE(std::filesystem::exists(shell.folder() / "t.db"));
}

TEST(Usage, ALibraryToCompareWithTakesNoWordOfTheSelection) {
  const Shell shell;
  // What is missing is the record, not the selection.
  expect_refused(shell.run("temper compare --library theirs=lib.so matmul"), 2, "matmul");
}

TEST(Usage, ListJsonIsOneObjectWithItsSchema) {
  const Shell shell;
  const Ran ran = shell.run("temper list workloads --json");
  EXPECT_EQ(ran.code, 0);
  const Json json = ran.json();
  ASSERT_TRUE(json.is_object()) << ran.out;
  EXPECT_EQ(json["schema"], "temper.list/1");
  EXPECT_GE(json["workloads"].size(), 11U);
}

TEST(Dumps, EveryProgramThatIsLoweredHasAFolderOfItsOwn) {
  const Shell shell;
  shell.write("scale.py", kScale);
  const auto check = [&] {
    const Ran ran =
        shell.run("TEMPER_DUMP=passes TEMPER_DUMP_DIR=dumps temper check scale.py M=16 N=16");
    ASSERT_EQ(ran.code, 0) << ran.err;
  };
  const auto content = [&](const std::string& name) {
    return read_file(shell.folder() / "dumps" / name).value_or("none");
  };
  check();
  const std::string reference = content("reference.1/00.input.txt");
  const std::string program = content("untuned.1/00.input.txt");
  EXPECT_NE(reference.find("float64"), std::string::npos) << reference;
  EXPECT_EQ(program.find("float64"), std::string::npos) << program;
  EXPECT_NE(program.find("T.prim_func"), std::string::npos) << program;
  EXPECT_EQ(content("untuned.2/00.input.txt"), "none") << "one program, one folder";

  shell.write("scale.py", std::string(kScale).replace(std::string(kScale).find("float32(2)"), 10,
                                                      "float32(3)"));
  check();
  EXPECT_EQ(content("untuned.1/00.input.txt"), program) << "an earlier dump stays";
  EXPECT_NE(content("untuned.2/00.input.txt").find("float32(3"), std::string::npos);
}

TEST(Usage, ASeedIsAWholeNumber) {
  const Shell shell;
  for (const char* value : {"--db", "-1", "1.5", "x", "18446744073709551616"})
    expect_refused(shell.run(std::string("temper tune matmul M=8 N=8 K=8 --seed ") + value), 2,
                   std::string("'") + value + "' is not a whole number from 0 to 2^64 - 1");
}

TEST(Usage, NumbersThatMustBePositiveSayOnlyThat) {
  const Shell shell;
  for (const char* value : {"0", "-4", "x", "nan"}) {
    const Ran ran = shell.run(std::string("temper tune matmul M=8 N=8 K=8 --trials ") + value);
    expect_refused(ran, 2, "is not a positive number");
    EXPECT_LT(ran.err.size(), 120U) << ran.err;
  }
}

TEST(Usage, CountsAreWholeAndWithinReason) {
  const Shell shell;
  const std::string tune = "temper tune matmul M=8 N=8 K=8 ";
  expect_refused(shell.run(tune + "--trials 2.5"), 2, "'2.5' is not a whole number");
  expect_refused(shell.run(tune + "--trials 99999999999999999999"), 2, "is more than 1000000000");
  expect_refused(shell.run(tune + "--seed -1"), 2, "--seed");
  expect_refused(shell.run("temper list records --limit 1.5"), 2, "is not a whole number");
}

/// Runs in a terminal of `columns`; both streams come in `out`, without carriage returns.
Ran in_terminal(const Shell& shell, int columns, const std::string& command) {
  Ran ran = shell.run("script -qec 'stty cols " + std::to_string(columns) + "; " + command +
                      "' /dev/null");
  std::erase(ran.out, '\r');
  return ran;
}

TEST(Screens, FitAPipe) {
  const Shell shell;
  for (const char* command : {"temper list workloads", "temper doctor --quick"}) {
    const Ran ran = shell.run(command);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_LE(longest_line(ran.out), 100U) << ran.out;
  }
}

TEST(Screens, FitTheTerminal) {
  const Shell shell;
  if (shell.run("script --version").code != 0)
    GTEST_SKIP() << "there is no program 'script', which makes a terminal";
  for (const char* command : {"temper list workloads", "temper doctor --quick", "temper --help"}) {
    for (const int columns : {80, 100}) {
      const Ran ran = in_terminal(shell, columns, command);
      EXPECT_EQ(ran.code, 0) << ran.out;
      EXPECT_NE(ran.out, "");
      EXPECT_LE(longest_line(ran.out), static_cast<size_t>(columns)) << ran.out;
    }
  }
}

TEST(Screens, CutNoWordOfACellThatGoesOn) {
  const Shell shell;
  if (shell.run("script --version").code != 0)
    GTEST_SKIP() << "there is no program 'script', which makes a terminal";
  const Ran ran = in_terminal(shell, 80, "temper list workloads");
  const auto letters = [](std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
    std::sort(text.begin(), text.end());
    return text;
  };
  EXPECT_EQ(letters(ran.out), letters(shell.run("temper list workloads").out));
  EXPECT_TRUE(std::regex_search(ran.out, std::regex("\n {20,}pad dilation dtype")))
      << "the column goes on below itself: " << ran.out;
}

TEST(Usage, NoCommandIsASentence) {
  const Shell shell;
  expect_refused(shell.run("temper"), 2, "temper: name a command; temper --help lists them");
}

TEST(Usage, HelpSaysTheExitCodes) {
  const Shell shell;
  EXPECT_NE(shell.run("temper --help").out.find("3 the answer is no"), std::string::npos);
}

TEST(Usage, TheUsualDatabaseHasItsFolderMadeWhenItIsNamed) {
  const Shell shell;
  const std::string home = "unset TEMPER_DB; export XDG_DATA_HOME=" + shell.folder().string() +
                           "/data; temper tune matmul M=8 N=8 K=8 --trials 1 --db ";
  // As the workbench does on its first day.
  const Ran named = shell.run(home + "$XDG_DATA_HOME/temper/temper.db");
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_TRUE(std::filesystem::exists(shell.folder() / "data/temper/temper.db"));
  expect_refused(shell.run(home + "$XDG_DATA_HOME/tempre/temper.db"), 2, "there is no folder");
}

TEST(Usage, OnlyARunAtWorkIsStopped) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=8 N=8 K=8 --trials 1").code, 0);
  expect_refused(shell.run("temper stop"), 2, "no run is at work");
  const std::string run =
      shell.run("temper list runs --json").json()["runs"][0]["run"].get<std::string>();
  expect_refused(shell.run("temper stop " + run), 2, "is not running, it is finished");
  expect_refused(shell.run("temper stop r000000000000abcd"), 2, "r000000000000abcd");
}

TEST(Usage, ListTakesTheNamesOfWorkloads) {
  const Shell shell;
  const Ran one = shell.run("temper list workloads matmul --json");
  ASSERT_EQ(one.list("workloads").size(), 1U) << one.out << one.err;
  EXPECT_EQ(one.list("workloads")[0]["name"], "matmul");
  expect_refused(shell.run("temper list workloads nosuch"), 2, "no workload 'nosuch'");
}

TEST(Usage, PicturesOfADatabaseThatIsNotThereAreRefused) {
  const Shell shell;
  if (!std::filesystem::exists(TEMPER_BUILD_DIR "/bin/temper-gui"))
    GTEST_SKIP() << "built without the workbench";
  const Ran ran = shell.run("env QT_QPA_PLATFORM=offscreen temper-gui --db missing.db --shots out");
  expect_refused(ran, 2, "missing.db");
}

TEST(Usage, ResumeTakesNoTarget) {
  const Shell shell;
  expect_refused(shell.run("temper resume --target cpu:x86-64-v3"), 2, "--target");
}

TEST(Usage, OutputThatCannotBeWrittenIsAFailure) {
  const Shell shell;
  for (const char* command : {"list workloads", "list workloads --json", "best --json"}) {
    const Ran ran = shell.run(std::string("bash -c 'temper ") + command + " >/dev/full'");
    EXPECT_EQ(ran.code, 1) << command;
    EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  }
}

TEST(Usage, ADatabaseThatMayOnlyBeReadCanBeLookedAt) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper best").code, 0);
  // Root may write everything: an immutable view of the file is a mount, so leave it to others.
  if (geteuid() == 0)
    GTEST_SKIP() << "root may write every file";
  ASSERT_EQ(shell
                .run("chmod 0444 t.db; chmod 0555 .; temper best >/dev/null; code=$?; chmod 0755 "
                     ".; exit $code")
                .code,
            0);
}

TEST(Opt, AnUnknownPassGetsTheNearestOne) {
  const Shell shell;
  const Ran ran = shell.run("temper-opt matmul M=8 N=8 K=8 --pass flaten_buffers");
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("did you mean 'flatten_buffers'"), std::string::npos) << ran.err;
}

TEST(Opt, ReadsTheModulesThatItWritesAsJson) {
  const Shell shell;
  const Ran text = shell.run("temper-opt matmul M=8 N=8 K=8");
  const Ran json = shell.run("temper-opt matmul M=8 N=8 K=8 --print json");
  ASSERT_EQ(json.code, 0) << json.err;
  shell.write("module.json", json.out);
  const Ran again = shell.run("temper-opt module.json");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, text.out);
}

TEST(Opt, AWorkloadNeedsNoParameters) {
  const Shell shell;
  const Ran ran = shell.run("temper-opt softmax --sketches");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("sch.get_loops"), std::string::npos) << ran.out;
  const Ran unknown = shell.run("temper-opt sofmax");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean 'softmax'"), std::string::npos) << unknown.err;
}

TEST(Opt, AppliesPrimitivesOfTheCommandLine) {
  const Shell shell;
  const std::string matmul = "temper-opt matmul M=8 N=8 K=8 --apply '";
  const std::string loops = "b = sch.get_sblock(\"C\", \"main\"); i, j, k = sch.get_loops(b);";
  const Ran ran =
      shell.run(matmul + loops + " i0, i1 = sch.split(i, [None, 4]); sch.parallel(i0)'");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("for i_0 in T.parallel(2):"), std::string::npos) << ran.out;
  // The trace goes out, in again, and on.
  const Ran trace = shell.run(matmul + loops + "' --print trace");
  ASSERT_EQ(trace.code, 0) << trace.err;
  EXPECT_NE(trace.out.find("l1, l2, l3 = sch.get_loops(block=b0)"), std::string::npos) << trace.out;
  ASSERT_TRUE(write_file((shell.folder() / "trace.py").string(), trace.out));
  const Ran on = shell.run("temper-opt matmul M=8 N=8 K=8 --trace trace.py --apply "
                           "'sch.reorder(l3, l1)' --print trace-json");
  EXPECT_EQ(on.code, 0) << on.err;
  EXPECT_NE(on.out.find(R"(["Reorder",["l3","l1"],[],[]])"), std::string::npos) << on.out;
}

TEST(Opt, TakesALineOfMetaSchedulesRecords) {
  const Shell shell;
  const std::string stored = TEMPER_SOURCE_DIR "/tests/tuner/data/metaschedule";
  const Ran read = shell.run("temper import " + stored + " --out .");
  ASSERT_EQ(read.code, 0) << read.out << read.err;
  const auto records = read_file(stored + "/database_tuning_record.json");
  ASSERT_TRUE(records);
  shell.write("record.json", records->substr(0, records->find('\n')));
  const std::string opt = "temper-opt metaschedule_0.py:metaschedule_0 --trace ";
  const Ran shown = shell.run(opt + "record.json --print trace");
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("ann_val=\"SSRSRS\""), std::string::npos) << shown.out;
  shell.write("wrong.json", "[0, []]");
  EXPECT_NE(shell.run(opt + "wrong.json").err.find("a trace is [instructions, decisions]"),
            std::string::npos);
}

TEST(Import, RecordsOfMetaScheduleSayWhereTheirTimesAreFrom) {
  const Shell shell;
  const Ran read =
      shell.run("temper import " TEMPER_SOURCE_DIR "/tests/tuner/data/metaschedule --out .");
  ASSERT_EQ(read.code, 0) << read.out << read.err;
  const std::string words = "measured here: ";
  const size_t at = read.out.find(words);
  ASSERT_NE(at, std::string::npos) << read.out;
  const std::string command =
      read.out.substr(at + words.size(), read.out.find('\n', at) - at - words.size());
  const std::string id = command.substr(command.rfind(' ') + 1);
  const Ran shown = shell.run("temper show " + id);
  EXPECT_NE(shown.out.find("MetaSchedule does not look at results"), std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("GFLOP/s"), std::string::npos) << shown.out;
  const Ran again = shell.run(command);
  EXPECT_EQ(again.code, 0) << again.out << again.err;
  EXPECT_NE(again.out.find("stored on another machine, metaschedule cpu:skylake-avx512/2"),
            std::string::npos)
      << again.out;
}

TEST(Opt, ShowsTheProgramWhereAPrimitiveIsRefused) {
  const Shell shell;
  const Ran ran = shell.run(
      "temper-opt matmul M=8 N=8 K=8 --apply "
      "'b = sch.get_sblock(\"C\", \"main\"); i, j, k = sch.get_loops(b); sch.parallel(k)'");
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("its iterations accumulate into the same elements"), std::string::npos)
      << ran.err;
  EXPECT_NE(ran.err.find("with T.sblock(\"C\")"), std::string::npos) << ran.err;
}

TEST(Opt, KnowsPrimitivesAndRulesByName) {
  const Shell shell;
  const Ran primitives = shell.run("temper-opt --list-primitives");
  EXPECT_EQ(primitives.code, 0) << primitives.err;
  EXPECT_NE(primitives.out.find("parallel(loop: loop) -> None"), std::string::npos);
  const Ran rules = shell.run("temper-opt --list-rules");
  EXPECT_EQ(rules.code, 0) << rules.err;
  const std::string first = rules.out.substr(0, rules.out.find('\n'));
  const Ran space = shell.run("temper-opt softmax --rule " + first);
  EXPECT_EQ(space.code, 0) << space.err;
  const Ran unknown = shell.run("temper-opt softmax --rule " + first + "x");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean '" + first + "'"), std::string::npos) << unknown.err;
}

TEST(Opt, LowersAWorkloadToFlatTir) {
  const Shell shell;
  const Ran ran = shell.run("temper-opt matmul M=8 N=8 K=8 --lower --serial");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out.find("T.sblock"), std::string::npos);
  EXPECT_NE(ran.out.find("for "), std::string::npos);
}

TEST(Usage, ScorePrintsTheSameFiguresAsTextAndAsJson) {
  const Shell shell;
  const std::string table = TEMPER_SOURCE_DIR "/tests/tuner/matmul_cache.json";
  const Ran text = shell.run("temper score " + table + " --repeats 6 --runs runs.jsonl");
  ASSERT_EQ(text.code, 0) << text.err;
  const Ran ran = shell.run("temper score " + table + " --repeats 6 --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json answer = ran.json();
  EXPECT_EQ(answer["schema"], "temper.score/1");
  EXPECT_EQ(answer["strategy"], "surrogate");
  const Json space = ran.list("spaces")[0];
  EXPECT_EQ(space["space"], "matmul_cache");
  EXPECT_EQ(space["score"], answer["mean"]);
  char score[32];
  std::snprintf(score, sizeof(score), " %.3f ", space["score"].get<double>());
  EXPECT_NE(text.out.find(score), std::string::npos) << text.out;
  const std::string lines = read_file(shell.folder() / "runs.jsonl").value_or("");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 6 * space["budget"].get<int64_t>());
}

TEST(Usage, ScoreNamesABrokenTableWithItsLine) {
  const Shell shell;
  shell.write("cut_cache.json",
              "{\"tune_params_keys\": [\"a\"],\n\"cache\": {\n\"1\": {\"a\": 1, ");
  expect_refused(shell.run("temper score cut_cache.json"), 1, "cut_cache.json:3: ");
  expect_refused(shell.run("temper score ."), 1, "cut_cache.json:3: ");
  expect_refused(shell.run("temper score nowhere_cache.json"), 2, "nowhere_cache.json");
  expect_refused(shell.run("temper score . --strategy tabu"), 2, "surrogate");
}

} // namespace
} // namespace temper::testing
