#include "tuner/cost/features.h"

#include "ir/s_tir/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace temper::tuner {
namespace {

using namespace s_tir;

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }

struct Axis {
  const char* name;
  int64_t extent;
  IterType type;
  ForKind kind = ForKind::kSerial;
};

/// C[i, j] += A[i, k] * B[k, j], loops in the given order and kinds.
PrimFunc matmul(int64_t n, std::vector<Axis> axes) {
  const auto buffer = [&](const char* name) {
    return make_buffer(name, DataType::float32(), {imm(n), imm(n)});
  };
  const Buffer a = buffer("A");
  const Buffer b = buffer("B");
  const Buffer c = buffer("C");
  std::vector<IterVar> iters;
  std::vector<Expr> bindings(3);
  std::vector<Var> loops;
  for (const char* name : {"i", "j", "k"})
    iters.push_back({{imm(0), imm(n)},
                     make_var(std::string("v") + name),
                     name[0] == 'k' ? IterType::kReduce : IterType::kSpatial});
  for (const Axis& axis : axes) {
    loops.push_back(make_var(axis.name));
    bindings[static_cast<size_t>(axis.name[0] - 'i')] = loops.back();
  }
  const Var i = iters[0].var;
  const Var j = iters[1].var;
  const Var k = iters[2].var;
  const Block block = make_node<SBlock>([&](SBlock& node) {
    node.name = "C";
    node.iter_vars = iters;
    node.body =
        make_store(c, {i, j}, make_load(c, {i, j}) + make_load(a, {i, k}) * make_load(b, {k, j}));
  });
  Stmt body = make_realize(bindings, make_bool(true), block);
  for (size_t l = axes.size(); l-- > 0;)
    body = make_for(loops[l], imm(0), imm(axes[l].extent), axes[l].kind, body);
  const Block root = make_node<SBlock>([&](SBlock& node) {
    node.name = "root";
    node.body = body;
  });
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = "main";
    node.s_tir = true;
    node.params = {{a, nullptr}, {b, nullptr}, {c, nullptr}};
    node.body = make_realize({}, make_bool(true), root);
  });
}

double feature(const FeatureMatrix& matrix, const std::string& name, int row = 0) {
  const std::vector<std::string>& names = feature_names();
  const auto found = std::find(names.begin(), names.end(), name);
  EXPECT_NE(found, names.end()) << name;
  return matrix.row(row)[static_cast<size_t>(found - names.begin())];
}

/// Undoes slog.
double amount(const FeatureMatrix& matrix, const std::string& name) {
  return std::exp2(feature(matrix, name)) - 1;
}

constexpr auto kS = IterType::kSpatial;
constexpr auto kR = IterType::kReduce;

TEST(Features, NamesAreDistinctAndComplete) {
  const std::vector<std::string>& names = feature_names();
  EXPECT_EQ(names.size(), static_cast<size_t>(kFeatureCount));
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

TEST(Features, MatmulCountsItsMultiplyAdds) {
  const FeatureMatrix matrix =
      extract_features(matmul(64, {{"i", 64, kS}, {"j", 64, kS}, {"k", 64, kR}}));
  ASSERT_EQ(matrix.rows, 1);
  EXPECT_NEAR(amount(matrix, "float_mad"), 64.0 * 64 * 64, 1);
  EXPECT_NEAR(amount(matrix, "float_mul"), 0, 1e-6);
  EXPECT_NEAR(amount(matrix, "outer_prod"), 64.0 * 64 * 64, 1);
  EXPECT_NEAR(amount(matrix, "num_loops"), 3, 1e-3);
}

TEST(Features, BytesAndReuseFollowTheLoopOrder) {
  const FeatureMatrix matrix =
      extract_features(matmul(64, {{"i", 64, kS}, {"j", 64, kS}, {"k", 64, kR}}));
  // B[k, j] jumps a row with the innermost loop: it touches most lines, so it comes first.
  EXPECT_NEAR(amount(matrix, "B0.stride"), 64, 1e-2);
  EXPECT_NEAR(amount(matrix, "B0.unique_bytes"), 64.0 * 64 * 4, 2);
  EXPECT_EQ(feature(matrix, "B0.acc_type.kRead"), 1);
  // i is the innermost loop that does not move B: 64 x 64 iterations lie between two uses.
  EXPECT_EQ(feature(matrix, "B0.reuse_type.kLoopMultipleRead"), 1);
  EXPECT_NEAR(amount(matrix, "B0.reuse_dis_iter"), 64.0 * 64, 1);
  EXPECT_NEAR(amount(matrix, "B0.reuse_ct"), 64, 1e-2);
}

TEST(Features, AVectorLoopIsSeenWithItsPlace) {
  const FeatureMatrix matrix = extract_features(
      matmul(64, {{"i", 64, kS}, {"k", 64, kR}, {"j", 64, kS, ForKind::kVectorized}}));
  EXPECT_NEAR(amount(matrix, "vec_num"), 1, 1e-3);
  EXPECT_NEAR(amount(matrix, "vec_len"), 64, 1e-2);
  EXPECT_EQ(feature(matrix, "vec_type.kPosInnerSpatial"), 1);
  EXPECT_EQ(feature(matrix, "unroll_type.kPosNone"), 1);
  EXPECT_EQ(feature(matrix, "parallel_type.kPosNone"), 1);
}

TEST(Features, ContiguousAccessTouchesFewerLines) {
  const FeatureMatrix bad =
      extract_features(matmul(64, {{"i", 64, kS}, {"j", 64, kS}, {"k", 64, kR}}));
  const FeatureMatrix good =
      extract_features(matmul(64, {{"i", 64, kS}, {"k", 64, kR}, {"j", 64, kS}}));
  EXPECT_GT(feature(bad, "B0.lines"), feature(good, "B0.lines") + 2);
}

TEST(Features, AreFinite) {
  const FeatureMatrix matrix =
      extract_features(matmul(1, {{"i", 1, kS}, {"j", 1, kS}, {"k", 1, kR}}));
  for (float value : matrix.values)
    EXPECT_TRUE(std::isfinite(value));
}

} // namespace
} // namespace temper::tuner
