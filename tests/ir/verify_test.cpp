#include "ir/verify.h"

#include "ir/s_tir/layer.h"
#include "tests/support/programs.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

using namespace testing; // NOLINT: IR in tests

const DataType kFloat = DataType::float32();
Expr real(double value) { return make_float(kFloat, value); }

/// Nodes with fields that make_* would refuse.
template <typename T, typename F> Expr broken(DataType dtype, F&& fill) {
  return make_node<T>([&](T& node) {
    node.dtype = dtype;
    fill(node);
  });
}

class Verify : public ::testing::Test {
protected:
  Verify() { register_layer(); }

  PrimFunc function(const Stmt& body) {
    return make_function("main", {{a, nullptr}, {b, nullptr}, {nullptr, n}}, body);
  }
  void expect_good(const Stmt& body) {
    const auto result = verify(function(body));
    EXPECT_TRUE(result) << result.error().to_string();
  }
  void expect_error(const Stmt& body, const std::string& part) {
    const auto result = verify(function(body));
    ASSERT_FALSE(result) << "no error; expected: " << part;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().to_string();
  }
  void expect_bad_value(const Expr& value, const std::string& part) {
    expect_error(make_evaluate(value), part);
  }
  Stmt store(const Expr& index, const Expr& value) { return make_store(b, {index}, value); }
  Stmt copy(const Expr& index) { return store(index, make_load(a, {index})); }

  /// for i in range(8): with block("B"): vi = i; reads, writes as given; the body.
  Stmt block(std::vector<BufferRegion> reads, std::vector<BufferRegion> writes, Stmt body) {
    BlockParts parts;
    parts.name = "B";
    parts.iter_vars = {{extent(8), vi, IterType::kSpatial}};
    parts.reads = std::move(reads);
    parts.writes = std::move(writes);
    parts.body = std::move(body);
    return loop_over(i, 8, make_realize({i}, make_bool(true), make_block(std::move(parts))));
  }

  Buffer a = make_buffer("A", kFloat, {imm(8)});
  Buffer b = make_buffer("B", kFloat, {imm(8)});
  Var n = make_var("n");
  Var i = make_var("i");
  Var j = make_var("j");
  Var vi = make_var("vi");
};

TEST_F(Verify, GoodProgramsPass) {
  EXPECT_TRUE(verify(make_module(matmul(4, 5, 6))));
  expect_good(loop_over(i, 8, copy(i)));
  expect_good(block({{a, {element(vi)}}}, {{b, {element(vi)}}}, copy(vi)));
}

TEST_F(Verify, VariablesAreDefinedOnceBeforeUseInScope) {
  expect_error(copy(i), "variable 'i' is used, but not defined");
  expect_error(make_seq({loop_over(i, 8, copy(i)), copy(i)}),
               "variable 'i' is used outside of its scope");
  expect_error(make_seq({loop_over(i, 8, copy(i)), loop_over(i, 8, copy(i))}),
               "variable 'i' is defined twice");
  const Var x = make_var("x");
  expect_error(make_seq({make_bind(x, imm(1)), make_bind(x, imm(2))}), "defined twice");
  expect_error(loop_over(i, 8, make_for(j, imm(0), j, ForKind::kSerial, copy(i))),
               "variable 'j' is used, but not defined");
}

TEST_F(Verify, BuffersAreDefinedOnceBeforeUse) {
  const Buffer t = make_buffer("T", kFloat, {imm(8)});
  expect_error(make_store(t, {imm(0)}, real(1)), "buffer 'T' is used, but not defined here");
  expect_error(make_seq({make_if(make_bool(true), make_seq({make_alloc(t), copy(imm(1))})),
                         make_store(t, {imm(0)}, real(1))}),
               "buffer 'T' is used, but not defined here");
  expect_error(make_seq({make_alloc(t), make_alloc(t)}), "buffer 'T' is defined twice");
  expect_error(make_alloc(make_buffer("T", kFloat, {imm(-1)})), "negative extent -1");
  expect_error(make_alloc(make_buffer("T", kFloat, {real(1)})), "type float32, not that of an int");
  expect_error(make_alloc(copy_node(*t,
                                    [](BufferNode& node) {
                                      node.strides = {imm(1), imm(1)};
                                    })),
               "has 1 dimensions and 2 strides");
}

TEST_F(Verify, OperandTypesFit) {
  expect_bad_value(broken<Add>(kFloat, [&](Add& e) { e.a = real(1), e.b = imm(1); }),
                   "the operands of Add have types float32 and int32");
  expect_bad_value(broken<Add>(kFloat, [&](Add& e) { e.a = imm(1), e.b = imm(1); }),
                   "Add of int32 has type float32, not int32");
  expect_bad_value(broken<LT>(DataType::int32(), [&](LT& e) { e.a = imm(1), e.b = imm(1); }),
                   "LT of int32 has type int32, not bool");
  expect_bad_value(make_binary<FloorDiv>(real(1), real(2)),
                   "FloorDiv does not take operands of type float32");
  expect_bad_value(make_binary<And>(imm(1), imm(2)), "And does not take operands of type int32");
  expect_bad_value(broken<Not>(DataType::int32(), [&](Not& e) { e.a = imm(1); }),
                   "not takes and gives bool");
  expect_bad_value(broken<Cast>(kFloat.with_lanes(4), [&](Cast& e) { e.value = imm(1); }),
                   "a cast does not fit");
  expect_bad_value(make_select(imm(1), imm(1), imm(2)), "the condition of a select has type int32");
  expect_bad_value(broken<IntImm>(DataType::integer(8), [](IntImm& e) { e.value = 300; }),
                   "the number 300 does not fit its type int8");
  expect_bad_value(make_string("x"), "text stands where a value must be");
  expect_bad_value(
      broken<Ramp>(DataType::integer(32, 4), [&](Ramp& e) { e.base = imm(0), e.stride = real(1); }),
      "a ramp takes an integer base");
  expect_bad_value(broken<Broadcast>(kFloat.with_lanes(4), [&](Broadcast& e) { e.value = imm(0); }),
                   "a broadcast takes a scalar");
  expect_bad_value(make_shuffle({make_broadcast(imm(1), 2)}, {imm(2)}),
                   "picks a lane that is not there");
  expect_bad_value(broken<Let>(DataType::int32(),
                               [&](Let& e) { e.var = j, e.value = real(1), e.body = imm(1); }),
                   "differ in type");
  expect_bad_value(broken<Add>(DataType::int32(), [&](Add& e) { e.a = imm(1); }),
                   "Add has an operand missing");
}

TEST_F(Verify, CallsFitTheTableOfOperations) {
  expect_bad_value(make_call(kFloat, "no_such", {real(1)}), "there is no operation T.no_such");
  expect_bad_value(make_call(kFloat, "exp", {real(1), real(1)}), "takes 1 arguments, not 2");
  expect_bad_value(make_call(DataType::int32(), "exp", {imm(1)}),
                   "does not take an argument of type int32");
  expect_bad_value(make_call(kFloat, "shift_left", {real(1), real(1)}), "does not take");
  expect_bad_value(
      make_call(DataType::int32(), "shift_left", {imm(1), make_int(DataType::int64(), 1)}),
      "the arguments of T.shift_left have types int32 and int64");
  expect_bad_value(make_call(kFloat, "if_then_else", {make_bool(true), real(1), imm(1)}),
                   "the sides of T.if_then_else");
  expect_bad_value(make_call(kFloat, "isnan", {real(1)}), "T.isnan has type float32, not bool");
}

TEST_F(Verify, StatementsHaveTheirTypes) {
  expect_error(make_if(imm(1), copy(imm(0))), "a condition has type int32, not bool");
  expect_error(make_while(imm(1), copy(imm(0))), "a condition has type int32");
  expect_error(store(imm(0), imm(1)), "a value of type int32 is stored where float32 must be");
  expect_error(make_for(i, imm(0), make_int(DataType::int64(), 8), ForKind::kSerial, copy(i)),
               "the extent of a loop has type int64, not int32");
  expect_error(make_for(i, imm(0), imm(8), ForKind::kThreadBinding, copy(i)),
               "does not name its thread");
  expect_error(make_for(i, imm(0), imm(8), ForKind::kSerial, copy(i), {}, "threadIdx.x"),
               "no thread binding");
  const Expr lanes = make_ramp(imm(0), imm(1), 4);
  expect_error(
      make_store(b, {lanes}, make_broadcast(real(1), 4), make_broadcast(make_bool(true), 8)),
      "the predicate of a store of 4 lanes has 8");
  expect_good(make_store(b, {lanes}, make_load(a, {lanes})));
}

TEST_F(Verify, AccessesHaveTheRankOfTheirBuffer) {
  expect_error(make_store(b, {imm(0), imm(0)}, real(1)), "has 1 dimensions, the access has 2");
  expect_error(store(imm(0), make_load(a, {})), "has 1 dimensions, the access has 0");
  expect_error(store(real(0), real(1)), "an index of 'B' has type float32");
}

TEST_F(Verify, IndicesThatAreAlwaysOutsideAreFound) {
  expect_error(copy(imm(8)), "index 0 of 'A' is 8, outside its extent 8");
  expect_error(copy(imm(-1)), "is -1, outside");
  expect_error(loop_over(i, 8, copy(i + 8)), "is 8 or more, outside its extent 8");
  // What a condition keeps from running is nobody's fault, nor what is only sometimes outside.
  expect_good(make_if(less(n, imm(0)), copy(imm(8))));
  expect_good(
      loop_over(i, 8, store(i, if_then_else(less(i, imm(4)), make_load(a, {i + 9}), real(0)))));
  expect_good(loop_over(i, 9, copy(i)));
}

TEST_F(Verify, AccessesAreProvenOrCaughtOutsideOrLeftOpen) {
  const auto accesses = [&](const Stmt& body) { return verify_accesses(function(body)); };
  const auto caught = [&](const Stmt& body, const std::string& part) {
    const auto result = accesses(body);
    ASSERT_FALSE(result) << "no error; expected: " << part;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().to_string();
  };
  const auto is = [&](bool proven, const Stmt& body) {
    const auto result = accesses(body);
    ASSERT_TRUE(result) << result.error().to_string();
    EXPECT_EQ(*result, proven);
  };
  is(true, loop_over(i, 8, copy(i)));
  caught(loop_over(i, 9, copy(i)), "index 0 of 'A' is 8, outside its extent 8, where i = 8");
  caught(loop_over(i, 8, store(i, make_load(a, {i - 1}))), "is -1, outside its extent 8");
  // A condition of it.
  const Expr guarded = if_then_else(less(i, imm(7)), make_load(a, {i + 1}), real(0));
  is(true, loop_over(i, 8, store(i, guarded)));
  caught(loop_over(i, 8, store(i, if_then_else(less(imm(3), i), make_load(a, {i + 1}), real(0)))),
         "where i = 7");
  // What memory or a caller says is open, and so is what may not be reached.
  is(false, copy(n));
  is(false, make_if(less(n, imm(0)), copy(imm(8))));
  is(false,
     loop_over(i, 9, make_seq({make_if(make_binary<EQ>(i, imm(7)), make_break()), copy(i)})));
  // The region of a block may say more than is touched.
  is(true, block({{a, {{imm(0), imm(9)}}}}, {{b, {element(vi)}}}, copy(vi)));
  caught(block({{a, {{imm(0), imm(9)}}}}, {{b, {element(vi)}}}, store(vi, make_load(a, {vi + 1}))),
         "index 0 of 'A' is 8");
}

TEST_F(Verify, BlocksDoNotSeeLoopsOutside) {
  expect_error(block({{a, {element(i)}}}, {{b, {element(vi)}}}, copy(vi)),
               "variable 'i' is a loop outside the block");
  expect_error(block({{a, {element(vi)}}}, {{b, {element(vi)}}}, store(vi, make_load(a, {i}))),
               "give the block an axis for it");
}

TEST_F(Verify, BlocksHaveAValuePerAxisOfItsType) {
  BlockParts parts;
  parts.name = "B";
  parts.iter_vars = {{extent(8), vi, IterType::kSpatial}};
  parts.writes = {{b, {element(vi)}}};
  parts.body = store(vi, real(1));
  const Block inner = make_block(parts);
  const auto realize = [&](std::vector<Expr> values, const Expr& predicate) -> Stmt {
    return make_node<SBlockRealize>([&](SBlockRealize& node) {
      node.iter_values = std::move(values);
      node.predicate = predicate;
      node.block = inner;
    });
  };
  expect_good(realize({imm(0)}, make_bool(true)));
  expect_error(realize({}, make_bool(true)), "has 1 axes and 0 values");
  expect_error(realize({make_int(DataType::int64(), 0)}, make_bool(true)),
               "the value of an axis has type int64, not int32");
  expect_error(realize({imm(0)}, imm(1)), "a condition has type int32");
  expect_error(Stmt(inner), "without the realize that binds its axes");
}

TEST_F(Verify, RegionsCoverWhatTheBodyTouches) {
  expect_error(block({}, {{b, {element(vi)}}}, copy(vi)),
               "block 'B' reads 'A', but its T.reads do not name it");
  expect_error(block({{a, {element(vi)}}}, {}, copy(vi)),
               "block 'B' writes 'B', but its T.writes do not name it");
  expect_error(block({{a, {element(vi)}}}, {{b, {element(vi)}}},
                     store(vi, make_load(a, {floormod(vi + 1, 8)}))),
               "block 'B' reads 'A' outside of what its T.reads say, for example where i = ");
  expect_good(block({{a, {extent(8)}}}, {{b, {element(vi)}}},
                    store(vi, make_load(a, {floormod(vi + 1, 8)}))));
  expect_error(block({{a, {extent(8), extent(8)}}}, {{b, {element(vi)}}}, copy(vi)),
               "a region of 'A' has 2 dimensions, the buffer 1");
  // A loop inside the block is relaxed; a condition inside helps.
  const Stmt shifted =
      loop_over(j, 3, make_if(less(vi + j, imm(8)), store(vi, make_load(a, {vi + j}))));
  expect_good(
      block({{a, {{vi, make_binary<Min>(imm(3), imm(8) - vi)}}}}, {{b, {element(vi)}}}, shifted));
}

TEST_F(Verify, RegionsOfInnerBlocksCountForOuterOnes) {
  const Var vj = make_var("vj");
  BlockParts inner;
  inner.name = "inner";
  inner.iter_vars = {{extent(8), vj, IterType::kSpatial}};
  inner.reads = {{a, {element(vj)}}};
  inner.writes = {{b, {element(vj)}}};
  inner.body = copy(vj);
  const Stmt body =
      loop_over(j, 2, make_realize({floormod(vi + j, 8)}, make_bool(true), make_block(inner)));
  expect_error(block({{a, {element(vi)}}}, {{b, {extent(8)}}}, body),
               "block 'B' reads 'A' outside of what its T.reads say");
}

TEST_F(Verify, RegionsOfInnerBlocksThatFitPass) {
  const Var vj = make_var("vj");
  BlockParts inner;
  inner.name = "inner";
  inner.iter_vars = {{extent(8), vj, IterType::kSpatial}};
  inner.reads = {{a, {element(vj)}}};
  inner.writes = {{b, {element(vj)}}};
  inner.body = copy(vj);
  expect_good(block({{a, {element(vi)}}}, {{b, {element(vi)}}},
                    make_realize({vi}, make_bool(true), make_block(inner))));
}

TEST_F(Verify, SequencesAreFlatAndNotOfOne) {
  const auto raw_seq = [](std::vector<Stmt> statements) -> Stmt {
    return make_node<SeqStmt>([&](SeqStmt& node) { node.statements = std::move(statements); });
  };
  expect_error(raw_seq({copy(imm(0))}), "a sequence holds one statement");
  expect_error(raw_seq({copy(imm(0)), make_seq({copy(imm(1)), copy(imm(2))})}),
               "a sequence stands directly in a sequence");
  expect_good(raw_seq({}));
}

TEST_F(Verify, BreakAndContinueBelongToSerialLoops) {
  expect_error(make_break(), "break is not inside a serial loop");
  expect_error(loop_over(i, 8, make_continue(), ForKind::kParallel), "continue is not inside");
  expect_error(block({}, {}, make_break()), "break is not inside");
  expect_good(loop_over(i, 8, make_if(less(i, n), make_break())));
  expect_good(make_while(less(n, imm(3)), make_break()));
}

TEST_F(Verify, StatementsOccurOnce) {
  const Stmt twice = copy(imm(0));
  expect_error(make_seq({twice, twice}), "occurs twice in the function");
}

TEST_F(Verify, FunctionsAndModulesAreWhole) {
  const PrimFunc good = function(copy(imm(0)));
  EXPECT_FALSE(verify(copy_node(*good, [](PrimFuncNode& node) { node.params.push_back({}); })));
  EXPECT_FALSE(verify(copy_node(*good, [](PrimFuncNode& node) { node.body = nullptr; })));
  EXPECT_FALSE(verify(copy_node(*good, [](PrimFuncNode& node) { node.s_tir = true; })));
  EXPECT_FALSE(verify(copy_node(*good, [](PrimFuncNode& node) {
    node.attrs.entries = {{"b", imm(1)}, {"a", imm(1)}};
  })));
  EXPECT_FALSE(verify(make_module({{"f", good}, {"f", good}})));
  EXPECT_TRUE(verify(make_module({{"f", good}, {"g", good}})));
}

TEST_F(Verify, ErrorsSayWhereAndRender) {
  VerifyOptions options;
  options.render = [](const PrimFunc& function, const NodeRef&) {
    return "text of " + function->name;
  };
  const Stmt bad = make_store(b, {imm(0)}, imm(1));
  bad->span = {0, 7, 3};
  const auto result = verify(function(loop_over(i, 4, make_if(less(i, n), bad))), options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.find("main, for i, if, store to B: "), 0U)
      << result.error().message;
  ASSERT_EQ(result.error().notes.size(), 2U);
  EXPECT_EQ(result.error().notes[0], "at line 7, column 3");
  EXPECT_EQ(result.error().notes[1], "text of main");
}

} // namespace
} // namespace temper
