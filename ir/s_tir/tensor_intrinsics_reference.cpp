#include "ir/s_tir/detail/builtin_intrinsics.h"
#include "ir/s_tir/primitives_reference.h"

#include "ir/tir/warp_fragments.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

std::string tensor_intrinsics_reference() {
  std::string text =
      "# Tensor intrinsics\n"
      "\n"
      "The table that `tensorize` chooses from, generated from its built-in entries "
      "(`builtin_intrinsics.cpp`).\n"
      "What an entry is, and how lowering uses it: `tensor_intrinsic.h`. Entries of your own: a "
      "script file\n"
      "that `TEMPER_INTRINSICS` names (`ir/script/intrinsic_file.h`), or "
      "`register_tensor_intrinsic()`.\n"
      "\n"
      "`dot_LxG_..` computes `C[i] = C[i] + A[k] * B[i * G + k]` for i in L and k in G, operands "
      "converted to C's\n"
      "type; `interleave_RxL_..` computes `D[i * R + k] = S[k, i]`. bfloat16 products are summed "
      "as the\n"
      "instruction does: denormals count as zero, each step is rounded to nearest.\n"
      "\n"
      "int8 x int8 has no instruction in AVX-512 VNNI, which multiplies bytes without sign by "
      "bytes with sign:\n"
      "`offset_operand` makes A + 128 of A and subtracts 128 times the columns' sums of B again. "
      "A target with\n"
      "AVX-VNNI-INT8 has `dot_8x4_s8s8_avxvnniint8` and does without.\n"
      "\n"
      "`amx_MxNxK_..` computes `C[i, j] = C[i, j] + A[i, k] * B[k // G, j * G + k % G]` for i in "
      "M, "
      "j in N and k\n"
      "in K, where G elements of B have four bytes: 16 x 16 sums in each of AMX's registers. There "
      "are others of 2 to\n"
      "31 rows, which the table leaves out: `amx_20x32x256_bf16`.\n"
      "\n"
      "`wmma_..` and `mma_..` are tiles of a warp of a GPU, which threadIdx.x numbers (32 threads, "
      "or "
      "nothing bound\n"
      "to it): loads into its registers, sums started at 0, products `C[i, j] = C[i, j] + A[i, k] "
      "* "
      "B[k, j]` (`_trans`:\n"
      "`B[j, k]`), stores. Operands are caches in the scopes that the table says "
      "(`cache_read(C, 0, \"wmma.matrix_a\")`);\n"
      "all that touches one is tensorized. They become ldmatrix and mma.sync; of tf32 ten bits of "
      "the mantissa count.\n"
      "\n"
      "| name | needs | parameters | instruction |\n"
      "| --- | --- | --- | --- |\n";
  std::vector<TensorIntrinsic> entries = builtin_tensor_intrinsics();
  std::sort(entries.begin(), entries.end(),
            [](const TensorIntrinsic& a, const TensorIntrinsic& b) { return a.name < b.name; });
  for (const TensorIntrinsic& entry : entries) {
    std::vector<std::string> params;
    for (const Param& param : entry.description->params) {
      std::vector<int64_t> shape;
      for (const Expr& extent : param.buffer->shape)
        shape.push_back(*as_int(extent));
      params.push_back(fmt::format(
          "{}: {}[{}]{}", param.name(), to_string(param.buffer->dtype), fmt::join(shape, ", "),
          param.buffer->scope == "global" ? std::string() : " in " + param.buffer->scope));
    }
    std::string instruction = "shuffles";
    walk(entry.implementation->body, [&](const NodeRef& node) {
      if (const auto* call = node.as<Call>();
          call != nullptr && call->op == "call_llvm_pure_intrin")
        instruction = "`" + call->args[0].as<StringImm>()->value + "`";
      else if (call != nullptr && call->op == "amx_multiply_add")
        instruction = "`T.amx_multiply_add`";
      else if (call != nullptr && tir::is_warp_operation(*call))
        instruction =
            fmt::format("`T.{}` of {}", call->op, call->args.back().as<StringImm>()->value);
      return true;
    });
    text += fmt::format("| `{}` | {} | {} | {} |\n", entry.name,
                        entry.features.empty() ? std::string("any")
                                               : fmt::format("{}", fmt::join(entry.features, ", ")),
                        fmt::join(params, ", "), instruction);
  }
  return text;
}

} // namespace temper::s_tir
