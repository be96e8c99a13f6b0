#include "ir/tir/tile_annotations.h"

#include "ir/support/text.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/cuda/variants.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/mfma.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>
#include <set>

namespace temper::tir {
namespace {

/// Knobs of the variants that are built in, by what their operators begin with.
std::vector<std::string> knob_names(const std::string& op) {
  if (op == "gemm")
    return {"vectors",  "rows",  "panels",  "a_layout", "order",   "step",
            "prefetch", "share", kWarpRows, kSwizzleA,  kSwizzleB, kMfmaRows};
  if (op == "copy")
    return {"bytes"};
  if (op.starts_with("reduce_"))
    return {"vectors", "chains"};
  return {};
}

/// What lowering says to itself; printed programs have it.
bool is_internal(const std::string& key) {
  for (const char* name :
       {kAsyncCopy, kCopyBarrier, kMulticastBlocks, kMulticastSlice, kMulticastMask})
    if (key == name)
      return true;
  return key.starts_with("temper.");
}

/// Variants of the operator on any target and in any scope; `others`: some are not built in.
std::vector<std::string> variant_names(const std::string& op, bool& others) {
  static const std::set<std::string> built_in = [] {
    std::set<std::string> names;
    for (const auto& list : {cpu::variants(), cuda::variants()})
      for (const TileVariant& variant : list)
        names.insert(variant.op + " " + variant.name);
    return names;
  }();
  std::vector<std::string> names;
  for (const TileVariant* variant : all_tile_variants()) {
    if (variant->op != op && variant->op != "*")
      continue;
    others |= !built_in.contains(variant->op + " " + variant->name);
    if (std::find(names.begin(), names.end(), variant->name) == names.end())
      names.push_back(variant->name);
  }
  return names;
}

} // namespace

Result<void> check_tile_annotations(const TileCall& call) {
  const auto wrong = [&](const std::string& what) {
    return Error(ErrorCode::kInvalidArgument, "T." + call.op + ": " + what);
  };
  const TileOp* op = find_tile_op(call.op);
  if (op == nullptr)
    return {};
  for (const Annotation& entry : call.options.entries) {
    const bool is_option =
        std::any_of(op->parameters.begin(), op->parameters.end(),
                    [&](const TileParameter& parameter) { return parameter.name == entry.key; });
    if (is_option || is_internal(entry.key))
      continue;
    bool others = false;
    const std::vector<std::string> variants = variant_names(call.op, others);
    if (entry.key == kVariant) {
      const auto* name = entry.value.as<StringImm>();
      if (name == nullptr)
        return wrong("the annotation variant is the name of one: " + join(variants, ", "));
      if (std::find(variants.begin(), variants.end(), name->value) == variants.end()) {
        const std::string nearest = nearest_name(name->value, variants);
        return wrong("there is no variant '" + name->value + "'" +
                     (nearest.empty() ? "" : " (did you mean '" + nearest + "'?)") + "; it has " +
                     join(variants, ", "));
      }
      continue;
    }
    if (others)
      continue; // its own knobs are its variant's to read
    std::vector<std::string> known = knob_names(call.op);
    known.emplace_back(kVariant);
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const std::string nearest = nearest_name(entry.key, known);
      return wrong("nothing reads the annotation '" + entry.key + "'" +
                   (nearest.empty() ? "" : " (did you mean '" + nearest + "'?)") + "; it has " +
                   join(known, ", "));
    }
    const auto value = as_int(entry.value);
    const bool swizzle = entry.key == kSwizzleA || entry.key == kSwizzleB;
    if (!value)
      return wrong("the annotation " + entry.key + " is an integer known before the kernel runs");
    if (swizzle && *value != 0 && *value != 32 && *value != 64 && *value != 128)
      return wrong("the annotation " + entry.key +
                   " is the bytes of a swizzle, 0, 32, 64 or 128, "
                   "not " +
                   std::to_string(*value));
    if (*value < 0)
      return wrong("the annotation " + entry.key + " is not negative, but " +
                   std::to_string(*value));
  }
  return {};
}

} // namespace temper::tir
