// Compression of programs, base64, and what a trial costs in the file.
#include "database/detail/record_json.h"
#include "database/detail/text_codec.h"
#include "ir/support/json.h"
#include "ir/support/random.h"
#include "tests/database/fixture.h"

#include <gmock/gmock.h>

namespace temper::database {
namespace {

using detail::decode_text;
using detail::encode_text;

/// A trace as the search makes them for a convolution: 45 instructions, about 3.5 kB, decisions and
/// the loops that post-processing fuses differing from candidate to candidate.
std::string realistic_trace(Random& random) {
  std::string text =
      "[[[\"GetSBlock\",[],[\"conv2d_nhwc\",\"main\"],[\"b0\"]],"
      "[\"GetSBlock\",[],[\"root\",\"main\"],[\"b1\"]],"
      "[\"Annotate\",[\"b0\",\"\\\"SSRSRS\\\"\"],"
      "[\"meta_schedule.tiling_structure\"],[]],"
      "[\"GetLoops\",[\"b0\"],[],[\"l2\",\"l3\",\"l4\",\"l5\",\"l6\",\"l7\",\"l8\"]]";
  std::string decisions;
  int instruction = 4;
  int value = 9;
  const auto name = [&](char letter) {
    return "\"" + std::string(1, letter) + std::to_string(value++) + "\"";
  };
  std::vector<std::string> loops;
  for (int axis = 2; axis <= 8; ++axis) {
    const int parts = axis < 6 ? 4 : 2;
    std::string made, sizes;
    for (int i = 0; i < parts; ++i) {
      made += (i ? "," : "") + name('v');
      sizes += (i ? "," : "") + std::to_string(1 << random.below(6));
    }
    text += ",[\"SamplePerfectTile\",[\"l" + std::to_string(axis) + "\"],[" +
            std::to_string(parts) + ",64],[" + made + "]]";
    decisions +=
        (decisions.empty() ? "[" : ",[") + std::to_string(instruction) + ",[" + sizes + "]]";
    std::string results;
    for (int i = 0; i < parts; ++i) {
      loops.push_back(name('l'));
      results += (i ? "," : "") + loops.back();
    }
    text += ",[\"Split\",[\"l" + std::to_string(axis) + "\"," + made + "],[1,0],[" + results + "]]";
    instruction += 2;
  }
  std::string order;
  for (const std::string& loop : loops)
    order += (order.empty() ? "" : ",") + loop;
  text += ",[\"Reorder\",[" + order + "],[],[]]";
  text += ",[\"SampleCategorical\",[],[[0,16,64,512],[0.25,0.25,0.25,0.25]],[\"v90\"]]";
  decisions += ",[" + std::to_string(instruction + 1) + "," + std::to_string(random.below(4)) + "]";
  instruction += 2;
  text += ",[\"Annotate\",[\"b1\",\"v90\"],[\"meta_schedule.unroll_explicit\"],[]]";
  text += ",[\"EnterPostproc\",[],[],[]]";
  for (int i = 0; i < 23; ++i) {
    const int64_t fused = random.between(2, 9);
    std::string list;
    for (int64_t k = 0; k <= fused; ++k)
      list += (k ? "," : "") + ("\"l" + std::to_string(100 + i * 10 + k) + "\"");
    text += i % 2 ? ",[\"Fuse\",[" + list + "],[1],[" + name('l') + "]]"
                  : ",[\"GetLoops\",[\"b" + std::to_string(20 + i) + "\"],[],[" + list + "]]";
  }
  return text + "],[" + decisions + "]]";
}

TEST(TextCodec, GivesEveryTextBack) {
  Random random(1);
  for (int round = 0; round < 2000; ++round) {
    const int letters = static_cast<int>(1 + random.below(4));
    const auto make = [&](int64_t length) {
      std::string text;
      while (static_cast<int64_t>(text.size()) < length) {
        if (text.size() > 8 && random.below(4) == 0) {
          const auto from = static_cast<size_t>(random.below(static_cast<int64_t>(text.size())));
          text += text.substr(from, static_cast<size_t>(random.between(1, 40)));
        } else {
          text += static_cast<char>(random.below(8) == 0 ? random.below(256)
                                                         : 'a' + random.below(letters));
        }
      }
      return text;
    };
    const std::string base = make(random.below(300));
    std::string text = random.below(2) ? make(random.below(500)) : base;
    if (!text.empty() && random.below(2))
      text[static_cast<size_t>(random.below(static_cast<int64_t>(text.size())))] = '!';
    const std::string encoded = encode_text(text, base);
    const auto decoded = decode_text(encoded, base);
    ASSERT_OK(decoded);
    ASSERT_EQ(*decoded, text) << "round " << round;
  }
}

TEST(TextCodec, RefusesDamagedBytesAndNeverReadsBeyondThem) {
  Random random(2);
  Random traces(3);
  const std::string base = realistic_trace(traces);
  const std::string encoded = encode_text(realistic_trace(traces), base);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string broken = encoded;
    if (random.below(3) == 0)
      broken.resize(static_cast<size_t>(random.below(static_cast<int64_t>(broken.size()))));
    for (int64_t i = random.below(4); i >= 0 && !broken.empty(); --i)
      broken[static_cast<size_t>(random.below(static_cast<int64_t>(broken.size())))] =
          static_cast<char>(random.below(256));
    refused += !decode_text(broken, base); // under the sanitizers: no bad read
  }
  EXPECT_GT(refused, 1000);
  EXPECT_FALSE(decode_text("", base));
  EXPECT_FALSE(decode_text(encode_text("text", "") + "x", ""));
}

TEST(TextCodec, StoresATraceLikeAnotherInAFifthOfItsSize) {
  Random random(4);
  const std::string base = realistic_trace(random);
  EXPECT_GT(base.size(), 3000u);
  EXPECT_LT(base.size(), 4000u);
  size_t plain = 0, encoded = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string text = realistic_trace(random);
    plain += text.size();
    encoded += encode_text(text, base).size();
  }
  EXPECT_LT(encoded * 5, plain);
}

TEST(JsonText, KnowsACompleteValueAsAParserDoes) {
  // Against a full parser, on texts that are nearly JSON.
  Random random(6);
  const std::string seeds[] = {
      R"({"a":[1,2.5e-3,-0,true,false,null],"b":{"c":"x\n\u00e9\"","d":[]},"e":{}})",
      R"([[["Split",["l1","None",16],[1,0],["l4"]]],[[4,[16,8]]]])",
      R"([ 1 , { "k" : [ ] } ])",
  };
  const std::string alphabet = "{}[]\",:0123456789.eE+-\\ntfu xabc";
  int valid = 0, invalid = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = seeds[random.below(3)];
    for (int64_t i = random.below(4); i > 0; --i) {
      const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(text.size())));
      const char c =
          alphabet[static_cast<size_t>(random.below(static_cast<int64_t>(alphabet.size())))];
      switch (random.below(3)) {
      case 0:
        text[at] = c;
        break;
      case 1:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, 1, c);
      }
    }
    // The parser allows blanks around a value and values that are no containers.
    const bool container = !text.empty() && (text[0] == '{' || text[0] == '[') &&
                           text.back() != ' ' && nlohmann::json::accept(text);
    EXPECT_EQ(detail::is_json_container(text), container) << text;
    const auto members = detail::scan_json_object(text);
    EXPECT_EQ(members.has_value(),
              nlohmann::json::accept(text) && text[text.find_first_not_of(' ')] == '{')
        << text;
    ++(container ? valid : invalid);
  }
  EXPECT_GT(valid, 10'000);
  EXPECT_GT(invalid, 10'000);
}

TEST(JsonText, TakesOnlyOneLineAndLimitedNesting) {
  EXPECT_FALSE(detail::is_json_container("{\n}"));
  EXPECT_FALSE(detail::is_json_container("[1] "));
  EXPECT_FALSE(detail::is_json_container("12"));
  EXPECT_FALSE(detail::is_json_container(""));
  EXPECT_TRUE(detail::is_json_container(std::string(400, '[') + std::string(400, ']')));
  EXPECT_FALSE(detail::is_json_container(std::string(100'000, '[')));
}

TEST(JsonText, GivesStringsBack) {
  std::string text;
  for (int c = 1; c < 128; ++c)
    text += static_cast<char>(c);
  text += "\xe2\x82\xac";
  std::string quoted;
  detail::append_json_string(quoted, text);
  EXPECT_EQ(must(detail::read_json_string(quoted)), text);
  EXPECT_EQ(nlohmann::json::parse(quoted).get<std::string>(), text);
  EXPECT_EQ(must(detail::read_json_string("\"\\u20ac\"")), "\xe2\x82\xac");
  for (const char* broken : {"", "\"", "12", "\"\\x\"", "\"\\ud800\""})
    EXPECT_FALSE(detail::read_json_string(broken)) << broken;
}

TEST(Base64, GivesEveryByteBack) {
  EXPECT_EQ(detail::encode_base64("Man"), "TWFu");
  EXPECT_EQ(detail::encode_base64("Ma"), "TWE=");
  EXPECT_EQ(detail::encode_base64("M"), "TQ==");
  EXPECT_EQ(detail::encode_base64(""), "");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(must(detail::decode_base64(detail::encode_base64(bytes))), bytes);
    bytes += static_cast<char>(i * 37);
  }
  for (const char* broken : {"TWF", "TW=u", "T===", "=AAA", "TWF!", "TQ==TQ=="})
    EXPECT_FALSE(detail::decode_base64(broken)) << broken;
}

TEST(Size, OfATrialIsBelowFourKibibytesPlusSamples) {
  Folder folder;
  const std::filesystem::path path = folder / "t.db";
  auto store = must(open_sqlite_store({.path = path}));
  Scene scene(*store);
  Random random(5);
  const auto size = [&] {
    // Closing the last connection folds the log into the file.
    store.reset();
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
    store = must(open_sqlite_store({.path = path}));
    return bytes;
  };
  // As a run begins: with the untuned program, which helps no other to be small.
  must(store->add(Candidate{.workload = scene.workload, .kind = "trace", .program = "[[],[]]"}));
  Measurement row = scene.measurement(123456.789);
  constexpr int kSamples = 30;
  row.samples_ns.assign(kSamples, 123456.7f);
  row.compile_ms = 12.3456;
  row.measure_ms = 45.678;
  row.predicted_score = 0.123456;
  row.origin = "mutate:tile_size";
  row.facts_json = "{\"code_bytes\":4096,\"stack_bytes\":128,\"spills\":0,\"vector_bits\":512,"
                   "\"instructions\":811,\"lower_ms\":1.25,\"optimize_ms\":7.5,\"emit_ms\":6.25,"
                   "\"link_ms\":0.75}";
  scene.progress.funnel_json =
      "{\"proposed\":{\"count\":2048},\"legal\":{\"count\":1900,\"first_error\":\"block C: a loop "
      "that carries a reduction cannot be parallel\"},\"compiled\":{\"count\":1000},\"ran\":"
      "{\"count\":998},\"correct\":{\"count\":997},\"timed\":{\"count\":990}}";
  constexpr int kTrials = 1000;
  const RunClaim claim = scene.claim;
  const auto before = size();
  for (int i = 0; i < kTrials; ++i) {
    row.code_hash = random();
    must(store->record(claim,
                       {{.kind = "trace", .program = realistic_trace(random), .origin = "x"}, row},
                       scene.progress));
  }
  const double per_trial = static_cast<double>(size() - before) / kTrials;
  ::testing::Test::RecordProperty("bytes_per_trial", static_cast<int>(per_trial));
  std::printf("%.0f bytes a trial, of which samples %zu\n", per_trial, kSamples * sizeof(float));
  EXPECT_LT(per_trial, 4096 + kSamples * sizeof(float));
  // The bound holds with room: programs are compressed, and what is shared is stored once.
  EXPECT_LT(per_trial, 1600);
}

} // namespace
} // namespace temper::database
