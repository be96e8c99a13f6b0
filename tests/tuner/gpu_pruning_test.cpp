// Why programs for a GPU are refused without running them.
#include "tuner/gpu_pruning.h"

#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

codegen::ArgumentSpec matrix(const char* name, const char* dtype, int64_t rows, int64_t columns,
                             bool output = false) {
  return {name, *parse_data_type(dtype), {rows, columns}, true, output};
}

/// A product of n x n of 16-bit operands.
Task product(int64_t n) {
  Task task;
  task.signature = {matrix("A", "float16", n, n), matrix("B", "float16", n, n),
                    matrix("C", "float16", n, n, true)};
  task.flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  return task;
}

codegen::Artifact code(int64_t blocks, std::map<std::string, int64_t> operations) {
  codegen::Artifact artifact;
  artifact.launch.kernels = {{"k", {blocks, 1, 1}, {128, 1, 1}, 0, {}}};
  artifact.facts.registers = 64;
  artifact.facts.resident_blocks = 2;
  artifact.facts.operations = std::move(operations);
  return artifact;
}

TEST(GpuPruning, MachineCodeIsRefusedByReason) {
  codegen::StaticFacts facts = code(1, {}).facts;
  EXPECT_FALSE(refused_code(facts));
  facts.spilled_bytes = 24;
  EXPECT_EQ(refused_code(facts)->reason, "spills");
  EXPECT_NE(refused_code(facts)->message.find("24 bytes"), std::string::npos);
  facts = code(1, {}).facts;
  facts.resident_blocks = 0;
  facts.limited_by = "registers";
  EXPECT_EQ(refused_code(facts)->reason, "occupancy");
  EXPECT_EQ(refused_code(facts)->outcome, engine::Outcome::kDeviceLimit);
  facts.limited_by = "__launch_bounds__, which allow 128 threads in a block; it has 256";
  EXPECT_EQ(refused_code(facts)->reason, "threads");
  EXPECT_NE(refused_code(facts)->message.find("128 threads in a block; it has 256"),
            std::string::npos);
  EXPECT_EQ(refused_code(facts)->outcome, engine::Outcome::kDeviceLimit);
  facts = code(1, {}).facts;
  facts.warnings = {"ptxas info : (C7510) Potential Performance Loss: wgmma.mma_async instructions "
                    "are serialized due to insufficient register resources for the wgmma pipeline"};
  EXPECT_EQ(refused_code(facts)->reason, "serialised");
}

TEST(GpuPruning, TheBoundIsOfTheInstructionsThatAreUsed) {
  const Task task = product(8192);
  const int64_t even = 132 * 8;
  const GpuBound tensor = gpu_bound(task, code(even, {{"wgmma", 4}}), 90);
  EXPECT_NEAR(tensor.ns(), task.flops / 989.5e12 * 1e9, 1);
  EXPECT_DOUBLE_EQ(tensor.imbalance, 1);
  EXPECT_EQ(gpu_bound(task, code(even, {{"mma.sync", 4}}), 90).ns(), tensor.ns());
  const GpuBound plain = gpu_bound(task, code(even, {{"fma", 4}}), 90);
  EXPECT_GT(plain.ns(), 10 * tensor.ns());
  EXPECT_EQ(refused_bound(plain, 0, &tensor)->reason, "roofline");
  EXPECT_FALSE(refused_bound(tensor, 0, &tensor));
  EXPECT_FALSE(refused_bound(plain, 0, nullptr)) << "nothing to compare with";
  // Against what was timed, the bound itself counts.
  EXPECT_EQ(refused_bound(tensor, 0.99 * tensor.ns(), nullptr)->reason, "roofline");
  EXPECT_FALSE(refused_bound(tensor, 1.01 * tensor.ns(), nullptr));
}

TEST(GpuPruning, BlocksThatLeaveMultiprocessorsIdle) {
  const Task task = product(2048);
  const GpuBound few = gpu_bound(task, code(16, {{"wgmma", 4}}), 90);
  EXPECT_DOUBLE_EQ(few.imbalance, 132.0 / 16);
  EXPECT_NEAR(gpu_bound(task, code(133, {{"wgmma", 4}}), 90).imbalance, 2 * 132.0 / 133, 1e-9);
  const GpuBound many = gpu_bound(task, code(256, {{"wgmma", 4}}), 90);
  const auto refused = refused_bound(few, 0, &many);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->reason, "waves");
  EXPECT_NE(refused->message.find("its blocks (16)"), std::string::npos) << refused->message;
  // Of a rival with as few blocks, the instructions are the reason.
  const GpuBound plain = gpu_bound(task, code(16, {{"fma", 4}}), 90);
  const auto slower = refused_bound(plain, 0, &few);
  ASSERT_TRUE(slower);
  EXPECT_EQ(slower->reason, "roofline");
  EXPECT_EQ(slower->message.find("blocks"), std::string::npos) << slower->message;
}

TEST(GpuPruning, WhatMemoryBoundsIsNotHeldAgainstItsBlocks) {
  Task task;
  task.signature = {matrix("A", "float32", 8192, 8192), matrix("B", "float32", 8192, 8192, true)};
  task.flops = 8192.0 * 8192;
  const GpuBound bound = gpu_bound(task, code(100, {{"fma", 1}}), 90);
  EXPECT_NEAR(bound.ns(), 2 * 4 * 8192.0 * 8192 / 4.8e12 * 1e9, 1);
  EXPECT_FALSE(refused_bound(bound, 0, &bound));
}

} // namespace
} // namespace temper::tuner
