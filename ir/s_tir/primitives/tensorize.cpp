// tensorize(block_or_loop, name): a block is to be computed by an instruction of the table of
// tensor intrinsics. The block must compute what the entry's description says; it keeps its body
// and gets the entry's name as an annotation, so that it stays open to other primitives. Lowering
// matches it again and puts the entry's implementation in its place.

#include "ir/s_tir/detail/blockize.h"
#include "ir/s_tir/detail/scoped_block.h"
#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/support/text.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const std::string& name = *arguments.attrs[0].as_string();
  const bool preserve_unit_iters = *arguments.attrs[1].as_int() != 0;
  const TensorIntrinsic* entry = find_tensor_intrinsic(name);
  if (entry == nullptr) {
    std::vector<std::string> names;
    for (const TensorIntrinsic* known : all_tensor_intrinsics())
      names.push_back(known->name);
    const std::string nearest = nearest_name(name, names);
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("there is no tensor intrinsic '{}'{}", name,
                             nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
  }
  Applied applied;
  applied.module = context.module;
  Value block = at;
  if (at.as_loop() != nullptr) {
    TEMPER_TRY(made, blockize_loop(context, at, preserve_unit_iters));
    applied.module = std::move(made.module);
    block = BlockHandle{made.block->id};
  }
  const Context blocked{applied.module, nullptr, false};
  TEMPER_TRY(scoped, require_in_scope(blocked, block));
  if (const auto other = scoped.block()->annotations.get_string(kTensorIntrinsic);
      other && *other != name)
    return illegal(context, at,
                   fmt::format("{} is tensorized by {} already", describe(scoped.block()), *other));
  if (auto match = match_tensor_intrinsic(*entry, *scoped.block()); !match)
    return illegal(context, at, match.error().message);
  TEMPER_TRY(annotated, change_annotations(blocked, block, [&](const Annotations& annotations) {
               return Result<Annotations>(annotations.with(kTensorIntrinsic, make_string(name)));
             }));
  applied.module = std::move(annotated.module);
  return applied;
}

/// "shared" of "shared.dyn": they are one memory.
std::string memory_of(const Buffer& buffer) {
  return buffer->scope.starts_with("shared") ? "shared" : buffer->scope;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  // Most entries are for memory that a program has only where it means them.
  std::set<std::string> memories{"global"};
  for (const ModuleEntry& function : context.module->functions)
    walk(function.function, [&](const NodeRef& node) {
      if (const auto* block = node.as<SBlock>())
        for (const Buffer& buffer : block->alloc_buffers)
          memories.insert(memory_of(buffer));
      return !ExprNode::accepts(node->kind());
    });
  for (const TensorIntrinsic* entry : all_tensor_intrinsics()) {
    const std::vector<Param>& params = entry->description->params;
    if (std::any_of(params.begin(), params.end(), [&](const Param& param) {
          return !memories.contains(memory_of(param.buffer));
        }))
      continue;
    Arguments use{.inputs = {handle}, .attrs = {entry->name, 1}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_tensorize() {
  register_primitive({
      .name = "Tensorize",
      .python_name = "tensorize",
      .inputs = {{.name = "block_or_loop", .kind = ValueKind::kBlockOrLoop}},
      .attrs = {{.name = "tensor_intrin", .kind = ValueKind::kString},
                {.name = "preserve_unit_iters", .kind = ValueKind::kBool, .default_value = true}},
      .summary =
          R"(A block, or all that is at and below a loop (which blockize makes a block of), is to be computed
by an instruction: an entry of the table of tensor intrinsics (TENSOR_INTRINSICS.md), which users can
extend. The block must compute what the entry's description says, one store in the same loops, without
an init (decompose_reduction first). It keeps its body, so that its meaning stays in sight; lowering
replaces it by the entry's implementation, and refuses a target without the features that needs.

    # tensorize(j_1, "dot_16x2_bf16_avx512bf16")
    for k_0, j_0, j_1, k_1 in ..:                 for k_0, j_0 in ..:
        with T.sblock("C_update"):           →        with T.sblock("C_update_o"):
            C[vi, vj] = C[vi, vj] + ...                   T.sblock_attr({"temper.tensor_intrin": ..})
                                                          for j_1, k_1 in T.grid(16, 2):
                                                              with T.sblock("C_update"): ...)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
