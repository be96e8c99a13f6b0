#include "ir/json_graph.h"

#include "ir/s_tir/layer.h"
#include "ir/structural.h"
#include "tests/arith/evaluate.h"
#include "tests/support/programs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace temper {
namespace {

using namespace testing; // NOLINT: IR in tests

class JsonGraph : public ::testing::Test {
protected:
  JsonGraph() { register_layer(); }

  NodeRef round_trip(const NodeRef& node) {
    // Through text, so that what JSON itself cannot hold shows.
    const auto parsed = parse_json(to_json(node).dump());
    EXPECT_TRUE(parsed);
    auto result = node_from_json(*parsed);
    EXPECT_TRUE(result) << result.error().to_string();
    return result ? *result : nullptr;
  }
  void expect_error(const Json& json, const std::string& part) {
    const auto result = node_from_json(json);
    ASSERT_FALSE(result) << "no error; expected: " << part;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().to_string();
  }
};

TEST_F(JsonGraph, ModuleRoundTrips) {
  const IRModule module = make_module(matmul(4, 5, 6));
  std::string difference;
  const auto loaded = module_from_json(to_json(module));
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_TRUE(structural_equal(module, *loaded, &difference)) << difference;
  EXPECT_EQ(structural_hash(module), structural_hash(*loaded));
}

TEST_F(JsonGraph, EveryStatementOfTirRoundTrips) {
  const Buffer a = make_buffer("A", DataType::float32(), {imm(8)});
  const Var i = make_var("i");
  const Var x = make_var("x", DataType::float32());
  const Expr lanes = make_ramp(imm(0), imm(2), 4);
  const Expr mask = make_broadcast(make_bool(true), 4);
  const Stmt body = make_seq(
      {make_alloc(a, Annotations().with("key", make_list({imm(1), make_string("x")}))),
       make_bind(x, make_float(DataType::float32(), 0.1)),
       make_store(a, {lanes}, make_load(a, {lanes}, mask), mask),
       make_for(i, imm(0), imm(8), ForKind::kThreadBinding,
                make_if(less(i, imm(2)), make_break(), make_continue()), {}, "threadIdx.x"),
       make_while(make_bool(false), make_evaluate(if_then_else(make_bool(true), imm(1), imm(2)))),
       make_assert(make_bool(true), "message"), make_return(),
       make_store(a, {imm(0)}, make_let(x, make_float(DataType::float32(), 2), x))});
  EXPECT_TRUE(structural_equal(body, round_trip(body)));
}

TEST_F(JsonGraph, SharedNodesStaySharedAndNamesStay) {
  const Var x = make_var("x");
  const Expr sum = x + 1;
  const Expr product = make_binary<Mul>(sum, sum);
  const NodeRef loaded = round_trip(product);
  const auto& result = static_cast<const Mul&>(*loaded);
  EXPECT_EQ(result.a, result.b);
  EXPECT_EQ(result.a.as<Add>()->a.as<VarNode>()->name, "x");
  EXPECT_EQ(to_json(product)["nodes"].size(), 4U);
}

TEST_F(JsonGraph, NumbersKeepTheirValues) {
  for (const double value : {0.1, -0.0, 1e300, std::nan(""), HUGE_VAL, -HUGE_VAL, 5e-324}) {
    const NodeRef loaded = round_trip(make_float(DataType::float64(), value));
    const double got = static_cast<const FloatImm&>(*loaded).value;
    EXPECT_TRUE(std::isnan(value) ? std::isnan(got)
                                  : got == value && std::signbit(got) == std::signbit(value))
        << value;
  }
  for (const int64_t value : {INT64_MIN, INT64_MAX, int64_t{0}}) {
    const NodeRef loaded = round_trip(make_int(DataType::int64(), value));
    EXPECT_EQ(static_cast<const IntImm&>(*loaded).value, value);
  }
}

TEST_F(JsonGraph, LoadedBlocksGetNewIds) {
  const PrimFunc function = matmul(2, 2, 2);
  const NodeRef loaded = round_trip(function);
  EXPECT_NE(static_cast<const PrimFuncNode&>(*loaded).body.as<SBlockRealize>()->block->id,
            function->body.as<SBlockRealize>()->block->id);
}

TEST_F(JsonGraph, BrokenInputIsASentence) {
  const Json good = to_json(make_var("x") + 1);
  expect_error(Json::array(), "not a program in JSON");
  Json bad = good;
  bad["schema"] = "temper.ir/9";
  expect_error(bad, "this build reads");
  bad = good;
  bad["root"] = 99;
  expect_error(bad, "'root' is node 99, but there are 3");
  bad = good;
  bad["nodes"][2]["node"] = "Plus";
  expect_error(bad, "node 2 has the kind 'Plus'");
  bad = good;
  bad["nodes"][2].erase("a");
  expect_error(bad, "node 2 (Add): field 'a' is missing");
  bad = good;
  bad["nodes"][2]["a"] = nullptr;
  expect_error(bad, "field 'a' is null, but must be there");
  bad = good;
  bad["nodes"][2]["a"] = 2;
  expect_error(bad, "refers to node 2, which does not stand before it");
  bad = good;
  bad["nodes"][2]["a"] = -1;
  expect_error(bad, "refers to node -1");
  bad = good;
  bad["nodes"][2]["dtype"] = "int33";
  expect_error(bad, "'int33', which is no data type");
  bad = good;
  bad["nodes"][0]["name"] = 7;
  expect_error(bad, "field 'name' is not text");
  bad = good;
  bad["nodes"].push_back({{"node", "Evaluate"}, {"value", 2}});
  bad["nodes"].push_back({{"node", "Evaluate"}, {"value", 3}});
  expect_error(bad, "field 'value' refers to a node of a wrong kind");
  const auto module = module_from_json(good);
  ASSERT_FALSE(module);
  EXPECT_NE(module.error().message.find("not a module"), std::string::npos);
}

TEST_F(JsonGraph, EnumerationsAreChecked) {
  Json loop = to_json(loop_over(make_var("i"), 4, make_seq({})));
  loop["nodes"].back()["kind"] = 9;
  expect_error(loop, "a loop has a kind that does not exist");
}

/// Any single damage to a program's JSON is an error or still a program, never a crash.
TEST_F(JsonGraph, RandomDamageNeverCrashes) {
  Random random(5);
  const std::string text = to_json(make_module(matmul(4, 4, 4))).dump();
  int errors = 0;
  for (int round = 0; round < 400; ++round) {
    Json json = *parse_json(text);
    Json& nodes = json["nodes"];
    Json& node = nodes[static_cast<size_t>(random.below(std::ssize(nodes)))];
    auto field = node.begin();
    std::advance(field, random.below(std::ssize(node)));
    switch (random.below(5)) {
    case 0:
      field.value() = nullptr;
      break;
    case 1:
      field.value() = random.between(-2, std::ssize(nodes));
      break;
    case 2:
      field.value() = "text";
      break;
    case 3:
      field.value() = Json::array({1, 2, 3});
      break;
    default:
      node.erase(field);
      break;
    }
    if (const auto result = node_from_json(json); !result) {
      ++errors;
      EXPECT_FALSE(result.error().message.empty());
    }
  }
  EXPECT_GT(errors, 200);
}

} // namespace
} // namespace temper
