/// The table of tensor intrinsics: instructions that compute a small tensor operation at once. An
/// entry says what one computes by an s-tir function (the description), how by a tir function of
/// the same parameters (the implementation), and which features a target must have for it.
///
///   description                                  implementation
///   for i, k in T.grid(16, 2):                   C[0:16] = T.call_llvm_pure_intrin("float32x16",
///     with T.sblock("dot"):                          "llvm.x86.avx512bf16.dpbf16ps.512", C[0:16],
///       vi, vk = T.axis.remap("SR", [i, k])          T.Broadcast(A[0:2] as one, 16), B[0:32])
///       C[vi] = C[vi] + T.float32(A[vk])
///               * T.float32(B[vi * 2 + vk])
///
/// tensorize marks a block that computes the description; its body stays. So the interpreter, the
/// verifier and every other primitive see what is computed, and lowering puts the implementation in
/// its place where the target has the features (ir/s_tir/lower.h).
///
/// Users add entries of their own: register_tensor_intrinsic() here, or a script file
/// (ir/script/intrinsic_file.h).
#pragma once

#include "ir/function.h"
#include "ir/s_tir/block.h"
#include "ir/support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace temper::s_tir {

/// On a block that computes the description of an entry: its name.
inline constexpr const char* kTensorIntrinsic = "temper.tensor_intrin";

struct TensorIntrinsic {
  std::string name;
  /// s-tir: a nest of loops around one block with one store, without init.
  PrimFunc description;
  /// tir: statements without loops, over buffers like those of the description.
  PrimFunc implementation;
  /// LLVM's names, as in Target::features without sign; all of them must be there.
  std::vector<std::string> features;

  bool fits(const std::vector<std::string>& target_features) const;
};

/// Adds an entry. Error: the name is taken by another one, or the two functions are not as above.
/// Entries live until the end; safe from several threads.
Result<void> register_tensor_intrinsic(TensorIntrinsic entry);
/// Null when there is none.
const TensorIntrinsic* find_tensor_intrinsic(std::string_view name);
/// By name.
std::vector<const TensorIntrinsic*> all_tensor_intrinsics();

/// Of all that was added to the built-in entries; 0 when nothing was. It decides what a search
/// finds and what a schedule compiles to, and so is a part of the toolchain's identity.
uint64_t added_tensor_intrinsics_hash();

/// Where in a block the parameters of an entry lie: `start` of each buffer, in the block's axes.
/// The parameter's dimensions are the last ones.
struct TensorMatch {
  struct Operand {
    Buffer buffer;
    std::vector<Expr> start;
  };
  std::vector<Operand> operands; ///< by parameter
};
/// The block's body computes the description; or why it does not.
Result<TensorMatch> match_tensor_intrinsic(const TensorIntrinsic& entry, const SBlock& block);

/// The implementation on the operands.
Stmt instantiate(const TensorIntrinsic& entry, const TensorMatch& match);

/// Ok when every tensorized block of the function names an entry of the table which it still
/// matches and whose features are among `target_features`.
Result<void> check_tensor_intrinsics(const PrimFunc& function,
                                     const std::vector<std::string>& target_features);

} // namespace temper::s_tir
