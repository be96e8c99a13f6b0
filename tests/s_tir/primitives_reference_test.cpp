#include "ir/s_tir/primitives_reference.h"

#include "ir/s_tir/primitive.h"
#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::s_tir {
namespace {

void expect_fresh(const std::string& file, const std::string& wanted) {
  const std::string path = TEMPER_SOURCE_DIR "/ir/s_tir/" + file;
  if (std::getenv("TEMPER_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file(path, wanted));
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text) << text.error().to_string();
  EXPECT_EQ(*text, wanted) << "an entry changed: TEMPER_UPDATE_GOLDEN=1 rewrites the file";
}

TEST(PrimitivesReference, IsFresh) { expect_fresh("PRIMITIVES.md", primitives_reference()); }

TEST(TensorIntrinsicsReference, IsFresh) {
  expect_fresh("TENSOR_INTRINSICS.md", tensor_intrinsics_reference());
}

TEST(PrimitivesReference, EveryEntryIsComplete) {
  for (const Primitive* primitive : all_primitives()) {
    EXPECT_FALSE(primitive->summary.empty()) << primitive->name;
    EXPECT_EQ(find_primitive(primitive->python_name), primitive);
    if (primitive->variadic_output) {
      EXPECT_EQ(primitive->outputs.size(), 1U) << primitive->name;
    }
    if (primitive->has_decision) {
      EXPECT_NE(primitive->adapt, nullptr) << primitive->name;
    }
    for (size_t i = 0; i + 1 < primitive->inputs.size(); ++i)
      EXPECT_FALSE(primitive->inputs[i].variadic) << primitive->name;
  }
}

} // namespace
} // namespace temper::s_tir
