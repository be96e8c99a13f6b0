// Commands on records that are there, without a compiler or a measurement: they come from a dump.
#include "tests/cli/shell.h"
#include "tests/support/shelf.h"

namespace temper::testing {
namespace {

/// A dump: a finished run of matmul with three trials, all of 2020.
std::string old_dump() {
  const auto measurement = [](char digit, const char* candidate, int sequence, const char* outcome,
                              double ns) {
    return std::string("{\"row\":\"measurement\",\"id\":\"m") + digit +
           "000000000000000\",\"run\":\"r1000000000000000\",\"candidate\":\"" + candidate +
           "\",\"sequence\":" + std::to_string(sequence) + ",\"outcome\":\"" + outcome +
           "\",\"purpose\":\"search\",\"stage\":\"time\"," +
           (ns > 0 ? "\"median_ns\":" + std::to_string(ns) + "," : std::string()) +
           "\"regime\":\"hot\",\"inputs\":\"normal\",\"threads\":1,"
           "\"environment\":\"e1000000000000000\",\"toolchain\":\"t1000000000000000\","
           "\"measured_at\":" +
           std::to_string(1600000000000000000 + sequence) + "}\n";
  };
  const auto candidate = [](const char* id, int knob) {
    return std::string("{\"row\":\"candidate\",\"id\":\"") + id +
           "\",\"workload\":\"w1000000000000000\",\"kind\":\"trace\",\"program\":[[],[[0," +
           std::to_string(knob) + "]]],\"origin\":\"sample\"}\n";
  };
  std::string text =
      "{\"schema\":\"temper.dump/1\",\"database_schema\":1,\"created_at\":1600000000000000000}\n"
      "{\"row\":\"environment\",\"id\":\"e1000000000000000\",\"fingerprint\":\"0000000000000001\","
      "\"class_name\":\"cpu:old/2\",\"host\":\"attic\"}\n"
      "{\"row\":\"toolchain\",\"id\":\"t1000000000000000\",\"json\":{\"llvm\":\"14\"}}\n"
      "{\"row\":\"workload\",\"id\":\"w1000000000000000\",\"name\":\"matmul\",\"layer\":\"s-tir\","
      "\"function\":\"matmul\",\"structural_hash\":\"0000000000000001\",\"binding\":{\"M\":512},"
      "\"flops\":1000000.0,\"created_at\":1600000000000000000,\"program\":\"x\"}\n"
      "{\"row\":\"run\",\"id\":\"r1000000000000000\",\"workload\":\"w1000000000000000\","
      "\"target\":\"cpu:old\",\"environment\":\"e1000000000000000\","
      "\"toolchain\":\"t1000000000000000\",\"strategy\":\"auto\",\"state\":\"finished\","
      "\"stopped_because\":\"the space is exhausted\",\"trials\":3,"
      "\"started_at\":1600000000000000000,\"updated_at\":1600000000000000009}\n";
  text += candidate("c1000000000000000", 1) + candidate("c2000000000000000", 2) +
          candidate("c3000000000000000", 3);
  text += measurement('1', "c1000000000000000", 0, "ok", 3000) +
          measurement('2', "c2000000000000000", 1, "ok", 2000) +
          measurement('3', "c3000000000000000", 2, "crashed", 0);
  return text + "{\"row\":\"end\",\"rows\":10}\n";
}

struct Records : ::testing::Test {
  void SetUp() override {
    shell.write("old.jsonl", old_dump());
    const Ran ran = shell.run("temper import old.jsonl");
    ASSERT_EQ(ran.code, 0) << ran.out << ran.err;
  }
  size_t listed(const std::string& selection) const {
    const Ran ran = shell.run("temper list records --json " + selection);
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.json().value("records", Json::array()).size();
  }
  Shell shell;
};

TEST_F(Records, AreListedByAQuery) {
  EXPECT_EQ(listed("'query:outcome = crashed'"), 1u);
  EXPECT_EQ(listed("'query:workload ~ mat and M >= 512 and time < 2.5us'"), 1u);
  EXPECT_EQ(listed("'query:measured > 1d ago'"), 0u);
  EXPECT_EQ(listed("'query:host = attic and stale'"), 3u);
  EXPECT_EQ(listed("'query:script ~ X and trace !~ vectorize'"), 3u);
  EXPECT_EQ(listed("'query:trace ~ vectorize'"), 0u);
  const Ran best = shell.run("temper best --json 'query:stale and environment = cpu:old/2'");
  ASSERT_EQ(best.code, 0) << best.err;
  EXPECT_EQ(best.list("records").at(0).value("record", ""), "m2000000000000000");
  const Ran wrong = shell.run("temper best 'query:time < 2ms and worklod = matmul'");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("column 16: there is no field 'worklod'; did you mean 'workload'?"),
            std::string::npos)
      << wrong.err;
}

TEST_F(Records, HaveALog) {
  const Ran log = shell.run("temper show m30000 --log");
  EXPECT_EQ(log.code, 0) << log.err;
  EXPECT_EQ(log.out, "checked    right: the same as the reference\n"
                     "outcome    crashed (at: time)\n");
}

TEST_F(Records, HaveNoRateWhereNoneIsKnown) {
  EXPECT_EQ(shell.run("temper show m20000 --json").json().value("gflops", 0.0), 500);
  const Ran failed = shell.run("temper show m30000 --json");
  ASSERT_EQ(failed.code, 0) << failed.err;
  EXPECT_TRUE(failed.json().at("gflops").is_null());
}

TEST_F(Records, OfColdCachesAreAskedForByName) {
  Shelf shelf(shell.folder() / "t.db");
  shelf.add(shelf.place("cellar", "LLVM 19"), {.name = "scale", .size = 4, .ns = 4000});
  const auto rows = [&](const std::string& options) {
    const Ran ran = shell.run("temper best --json 'query:host = cellar and stale' " + options);
    return ran.code == 0 ? ran.json().at("records").size() : size_t{0};
  };
  EXPECT_EQ(rows(""), 1u);
  EXPECT_EQ(rows("--cache hot"), 1u);
  EXPECT_EQ(rows("--cache cold"), 0u);
  const Ran wrong = shell.run("temper best --cache warm");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("--cache: 'warm' is neither hot nor cold"), std::string::npos)
      << wrong.err;
}

TEST_F(Records, AreTaggedAndNoted) {
  EXPECT_EQ(shell.run("temper tag odd m30000").code, 0);
  EXPECT_EQ(shell.run("temper tag nightly run:r10000").code, 0);
  EXPECT_EQ(
      shell.run("temper tag slow --all 'query:time > 2500ns and stale and host = attic'").code, 0);
  EXPECT_EQ(listed("tag:odd"), 1u);
  EXPECT_EQ(listed("tag:nightly"), 3u) << "a run's tag is its records'";
  EXPECT_EQ(listed("'query:tag = slow and tag = nightly'"), 1u);
  EXPECT_EQ(shell.run("temper note 'ask Ada' m30000").code, 0);
  EXPECT_EQ(listed("'query:note ~ ADA'"), 1u);
  const Ran shown = shell.run("temper show m30000");
  EXPECT_NE(shown.out.find("odd, nightly"), std::string::npos) << shown.out << shown.err;
  EXPECT_NE(shown.out.find("ask Ada"), std::string::npos) << shown.out;
  EXPECT_EQ(shell.run("temper tag --json").list("tags").size(), 3u);
  EXPECT_EQ(shell.run("temper tag --remove odd m30000").code, 0);
  EXPECT_EQ(listed("tag:odd"), 0u);
  EXPECT_EQ(shell.run("temper tag odd m99999").code, 2);
  for (const auto& [words, meant] : {std::pair("matmul odd", "temper tag odd matmul"),
                                     std::pair("matmul M=512 odd", "temper tag odd matmul M=512"),
                                     std::pair("m30000 odd", "temper tag odd m30000")}) {
    const Ran turned = shell.run(std::string("temper tag ") + words);
    EXPECT_EQ(turned.code, 2);
    EXPECT_NE(turned.err.find(std::string("the tag comes before what gets it: ") + meant + "\n"),
              std::string::npos)
        << turned.err;
  }
}

TEST_F(Records, AreComparedAsTheyAreStored) {
  Shelf shelf(shell.folder() / "t.db");
  const Place one = shelf.place("cellar", "LLVM 19");
  const Place other = shelf.place("tower", "LLVM 20", "cpu:y");
  shelf.add(one, {.name = "scale", .size = 4, .ns = 4000});
  shelf.add(other, {.name = "scale", .size = 4, .ns = 6000});
  const RecordRow alone = shelf.add(one, {.name = "scale", .size = 5});
  const Ran slower =
      shell.run("temper compare --stored 'query:host = cellar' 'query:host = tower' --json");
  EXPECT_EQ(slower.code, 3) << slower.err;
  const Json json = slower.json();
  EXPECT_EQ(json.value("schema", ""), "temper.compare/1");
  EXPECT_EQ(json.value("stored", false), true);
  EXPECT_NEAR(json.value("ratio", 0.0), 1.5, 1e-9);
  EXPECT_EQ(json.value("verdict", ""), "slower");
  EXPECT_EQ(json.at("a").value("host", ""), "cellar");
  EXPECT_LE(json.at("ratio_interval").at(0).get<double>(), 1.5);
  EXPECT_EQ(json.at("only_a").at(0).value("record", ""), alone.id);
  const Ran text = shell.run("temper compare --stored 'query:host = tower' 'query:host = cellar'");
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* words :
       {"scale N=4 K=64", "0.667", "faster", "not taken in turns", "quotient\nof the two medians",
        "tower, cpu:tower/2, LLVM 20", "Holm's", "only in b: 1 kernel: scale N=5 K=64"})
    EXPECT_NE(text.out.find(words), std::string::npos) << words << "\n" << text.out;
  for (const std::string& line : split_text(text.out, '\n'))
    EXPECT_LE(line.size(), 100u) << line;
  const Ran nothing = shell.run("temper compare --stored " + alone.id + " 'query:host = tower'");
  EXPECT_EQ(nothing.code, 2);
  EXPECT_NE(nothing.err.find("no kernel in common"), std::string::npos) << nothing.err;
  EXPECT_EQ(shell.run("temper compare --stored --peers " + alone.id).code, 2);
}

/// The name of the first element that is not closed as XML wants it; empty when all are.
std::string unclosed(const std::string& page) {
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos)
      return "<";
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag.empty() || tag[0] == '!' || tag.back() == '/')
      continue;
    if (tag[0] != '/') {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    } else {
      if (open.empty() || open.back() != tag.substr(1))
        return tag;
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++count;
  return count;
}

TEST_F(Records, AreReportedOnOnePage) {
  Shelf shelf(shell.folder() / "t.db");
  const Place cellar = shelf.place("cellar<1>", "LLVM \"19\" & more");
  const RecordRow first = shelf.add(cellar, {.name = "scale",
                                             .size = 4,
                                             .ns = 4000,
                                             .untuned_ns = 36'000,
                                             .earlier = {{"[[],[[0,7]]]", 9000}},
                                             .command_line = "temper tune scale --trials 3"});
  shelf.add(cellar, {.name = "scale", .size = 5, .ns = 5000});
  ASSERT_EQ(shell.run("temper note 'a <b> & \"c\"' " + first.id).code, 0);
  const Json peers{
      {"peers", Json::array({Json{
                    {"record", first.id},
                    {"contenders",
                     Json::array({Json{{"name", "tuned"}, {"outcome", "ok"}, {"median_ns", 5120.0}},
                                  Json{{"name", "OpenBLAS"},
                                       {"outcome", "ok"},
                                       {"median_ns", 10'240.0},
                                       {"ratio", 2.0},
                                       {"ratio_interval", {1.9, 2.1}}}})}}})}};
  shell.write("peers.json", peers.dump());
  const Ran ran =
      shell.run("temper report --all 'query:host = \"cellar<1>\"' --out page.html --title "
                "'Night & day' --peers peers.json --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json kernels = ran.list("kernels");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_NEAR(kernels[0].value("ratio", 0.0), 9, 1e-9);
  EXPECT_LE(kernels[0].at("ratio_interval").at(0).get<double>(), 9.05);
  EXPECT_EQ(kernels[0].at("peers").at("OpenBLAS").value("ratio", 0.0), 2.0);
  EXPECT_EQ(kernels[0].at("peers").at("OpenBLAS").value("tuned_ns", 0.0), 5120.0);
  EXPECT_TRUE(kernels[0].at("bound_ns").is_null()) << "of another machine nothing is known here";
  EXPECT_TRUE(kernels[1].at("ratio").is_null());
  const std::string page = read_file(shell.folder() / "page.html").value_or("");
  EXPECT_EQ(unclosed(page), "");
  for (const std::string& words :
       {std::string("<h1>Night &amp; day</h1>"), std::string("scale N=4 K=64"), first.id,
        std::string("9.00x"), std::string("cellar&lt;1&gt;"),
        std::string("LLVM &quot;19&quot; &amp; more"),
        std::string("a &lt;b&gt; &amp; &quot;c&quot;"), std::string("temper tune scale --trials 3"),
        std::string("OpenBLAS"), std::string("beside 5.12 us"),
        std::string("prefers-color-scheme: dark"), std::string("@media print"),
        std::string(">untuned</text>")})
    EXPECT_NE(page.find(words), std::string::npos) << words;
  EXPECT_EQ(count_of(page, "<polyline"), 2u) << "a course of one trial is none";
  for (const char* loaded : {"http", "<script", "src=", "@import", "url("})
    EXPECT_EQ(page.find(loaded), std::string::npos) << loaded;
}

TEST_F(Records, OfLibrariesAreColumnsBesideWhatTheyCompute) {
  Shelf shelf(shell.folder() / "t.db");
  const Place cellar = shelf.place("cellar", "LLVM 19");
  const Place tower = shelf.place("tower", "LLVM 19");
  const std::string trace = "[[],[[0,4]]]";
  const RecordRow searched = shelf.add(cellar, {.name = "scale",
                                                .size = 4,
                                                .ns = 4000,
                                                .untuned_ns = 36'000,
                                                .trace = trace,
                                                .command_line = "temper tune scale"});
  // Measured again by bench, in a run of its own, beside a library; elsewhere the library alone.
  const RecordRow again = shelf.add(cellar, {.name = "scale",
                                             .size = 4,
                                             .ns = 3900,
                                             .strategy = "bench",
                                             .trace = trace,
                                             .command_line = "temper bench night.toml"});
  const std::string computes = Json{{"computes", searched.workload}}.dump();
  const auto library = [&](const Place& machine, double ns) {
    return shelf.add(shelf.library(machine, "OpenBLAS"), {.name = "openblas:sscal",
                                                          .size = 4,
                                                          .ns = ns,
                                                          .layer = "function",
                                                          .strategy = "bench",
                                                          .program_text = computes});
  };
  const RecordRow beside = library(cellar, 7800);
  library(tower, 1000);
  const Ran ran = shell.run("temper report --all 'query:host = cellar' --out page.html --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json kernels = ran.list("kernels");
  ASSERT_EQ(kernels.size(), 1u) << ran.out;
  EXPECT_EQ(kernels[0].value("record", ""), again.id);
  EXPECT_NEAR(kernels[0].at("peers").at("OpenBLAS").value("ratio", 0.0), 2, 1e-9);
  EXPECT_LT(kernels[0].at("peers").at("OpenBLAS").at("ratio_interval").at(0).get<double>(), 2.01);
  EXPECT_EQ(kernels[0].at("provenance").value("search_command", ""), "temper tune scale");
  EXPECT_EQ(kernels[0].value("trials", 0), 2) << "of the run that found it";
  EXPECT_NEAR(kernels[0].value("ratio", 0.0), 36'000 / 3900.0, 1e-9);
  const std::string page = read_file(shell.folder() / "page.html").value_or("");
  EXPECT_EQ(unclosed(page), "");
  EXPECT_NE(page.find("temper bench night.toml"), std::string::npos);
  EXPECT_EQ(shell.run("temper report --out page.html " + beside.id).code, 2);
}

TEST_F(Records, AreFasterThanTheUntunedOfTheSameSession) {
  Shelf shelf(shell.folder() / "t.db");
  const Place cellar = shelf.place("cellar", "LLVM 19");
  shelf.add(cellar, {.name = "scale", .size = 4, .ns = 5000, .untuned_ns = 40'000});
  // A later session of bench, in which the machine is twice as fast; then another search.
  shelf.add(cellar, {.name = "scale",
                     .size = 4,
                     .ns = 20'000,
                     .strategy = "bench",
                     .trace = "[[],[]]",
                     .origin = "bench"});
  const RecordRow best =
      shelf.add(cellar, {.name = "scale", .size = 4, .ns = 2500, .strategy = "bench"});
  for (int i = 0; i < 3; ++i)
    shelf.add(cellar, {.name = "other", .size = 4});
  shelf.add(cellar, {.name = "scale", .size = 4, .ns = 6000, .untuned_ns = 48'000});
  const Ran ran = shell.run("temper explain --json " + best.id);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.json().value("untuned_ns", 0.0), 20'000) << "of that session";
  EXPECT_NEAR(ran.json().value("ratio", 0.0), 8, 1e-9);
}

TEST_F(Records, HaveACourseOfAsManyTrialsAsTheirRunCounts) {
  Shelf shelf(shell.folder() / "t.db");
  shelf.add(shelf.place("cellar", "LLVM 19"), {.name = "scale",
                                               .size = 4,
                                               .ns = 4000,
                                               .untuned_ns = 36'000,
                                               .earlier = {{"[[],[[0,7]]]", 9000}},
                                               .confirmations_ns = {4100, 4200}});
  const Ran ran = shell.run("temper report --all 'query:host = cellar' --out page.html --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.list("kernels").at(0).value("trials", 0), 3);
  const std::string page = read_file(shell.folder() / "page.html").value_or("");
  EXPECT_EQ(count_of(page, "best so far over 3 trials"), 2u);
  EXPECT_EQ(count_of(page, "<polyline"), 2u);
}

TEST_F(Records, AHundredOnAPageStaySmall) {
  {
    Shelf shelf(shell.folder() / "t.db");
    const Place cellar = shelf.place("cellar", "LLVM 19");
    for (int size = 0; size < 100; ++size) {
      std::vector<std::pair<std::string, double>> earlier;
      for (int i = 0; i < 20; ++i)
        earlier.emplace_back("[[],[[0," + std::to_string(i) + "]]]", 9e6 - 1e5 * i);
      must(shelf.store->transaction([&]() -> Result<void> {
        shelf.add(cellar, {.size = size, .untuned_ns = 1e7, .earlier = earlier});
        return {};
      }));
    }
  }
  const Ran ran = shell.run("temper report --all 'query:host = cellar' --out page.html");
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("100 kernels"), std::string::npos) << ran.out;
  EXPECT_LT(std::filesystem::file_size(shell.folder() / "page.html"), 3u << 20);
}

TEST_F(Records, WithoutPeersInItAFileOfPeersIsRefused) {
  shell.write("wrong.json", "{\"peers\":[{\"record\":\"m1\"}]}");
  shell.write("text.json", "no");
  for (const char* file : {"wrong.json", "text.json", "absent.json"}) {
    const Ran ran = shell.run(std::string("temper report --all --out page.html --peers ") + file);
    EXPECT_NE(ran.code, 0) << file;
    EXPECT_NE(ran.err.find(file), std::string::npos) << ran.err;
  }
  const Ran nowhere = shell.run("temper report --out /nowhere/page.html --all");
  EXPECT_NE(nowhere.code, 0);
  EXPECT_NE(nowhere.err.find("/nowhere/page.html"), std::string::npos) << nowhere.err;
}

TEST_F(Records, AreExplainedAsFarAsTheyAreKnown) {
  Shelf shelf(shell.folder() / "t.db");
  const Place cellar = shelf.place("cellar", "LLVM 19");
  const std::string sampled = R"([[["SampleCategorical",[],[[8,4,2],[0.3,0.3,0.4]],["v1"]],)"
                              R"(["SamplePerfectTile",["l1"],[2,64],["v2","v3"]]],)";
  const RecordRow row = shelf.add(cellar, {.ns = 4000,
                                           .untuned_ns = 36'000,
                                           .earlier = {{sampled + "[[0,1],[1,[16,32]]]]", 5000},
                                                       {sampled + "[[0,2],[1,[32,16]]]]", 8000},
                                                       {sampled + "[[0,2],[1,[64,8]]]]", 9000}},
                                           .trace = sampled + "[[0,1],[1,[32,16]]]]"});
  const Ran ran = shell.run("temper explain " + row.id + " --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json json = ran.json();
  EXPECT_EQ(json.value("schema", ""), "temper.explain/1");
  EXPECT_NEAR(json.value("ratio", 0.0), 9, 1e-9);
  EXPECT_EQ(json.value("rank", 0), 1);
  EXPECT_EQ(json.value("candidates", 0), 5);
  EXPECT_EQ(json.value("origin", ""), "mutate tile");
  const Json neighbours = ran.list("neighbours");
  ASSERT_EQ(neighbours.size(), 2u) << "two decisions away is no neighbour";
  EXPECT_EQ(neighbours[0].value("decision", ""), "v2, v3");
  EXPECT_EQ(neighbours[0].value("there", ""), "[16, 32]");
  EXPECT_EQ(neighbours[1].value("decision", ""), "v1");
  EXPECT_EQ(neighbours[1].value("here", ""), "4") << "the value, not its number";
  EXPECT_EQ(neighbours[1].value("there", ""), "2");
  EXPECT_NEAR(neighbours[1].value("ratio", 0.0), 2, 1e-9);
  ASSERT_EQ(json.at("unknown").size(), 2u) << "another machine, and no program";
  const Ran text = shell.run("temper explain " + row.id);
  for (const char* words : {"What limits it", "cellar", "9.00x", "One decision away", "v2, v3",
                            "1 of 5", "256-bit vectors", "2 spills", "mutate tile"})
    EXPECT_NE(text.out.find(words), std::string::npos) << words << "\n" << text.out;
  for (const std::string& line : split_text(text.out, '\n'))
    EXPECT_LE(line.size(), 100u) << line;
}

TEST_F(Records, ThePasswordOfACommandIsNotInTheListOfProcesses) {
  // It waits for the writer of the pipe, with an address among its arguments.
  const Ran ran = shell.run(
      "mkfifo pipe; temper report --all --out page.html --peers pipe --title "
      "postgresql://ada:s3cret@host/x & temper=$!\n"
      "for i in $(seq 200); do grep -q 'ada:\\*\\*\\*' /proc/$temper/cmdline && break; sleep 0.05;"
      "done\ntr '\\0' ' ' < /proc/$temper/cmdline; echo '{\"peers\":[]}' > pipe; wait $temper");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("ada:******@host"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("s3cret"), std::string::npos) << ran.out;
}

TEST_F(Records, ArePrunedButForTheBestAndThePinned) {
  EXPECT_EQ(shell.run("temper tag pinned m30000").code, 0);
  const Ran told = shell.run("temper prune --dry-run --json");
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_EQ(told.json().at("dropped").value("measurement", 0), 1);
  EXPECT_EQ(listed(""), 3u) << "a dry run drops nothing";
  const Ran pruned = shell.run("temper prune");
  ASSERT_EQ(pruned.code, 0) << pruned.err;
  EXPECT_NE(pruned.out.find("dropped 1 of 3 records older than 90d"), std::string::npos)
      << pruned.out;
  EXPECT_EQ(listed(""), 2u);
  EXPECT_EQ(listed("'query:record = m10000'"), 0u);
  EXPECT_EQ(shell.run("temper prune --older-than yesterday").code, 2);
}

} // namespace
} // namespace temper::testing
