#include "ir/s_tir/detail/storage_scope.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace temper::s_tir {

Result<void> require_storage_scope(const std::string& scope) {
  static const std::vector<std::string> known = {
      "global",
      "shared",
      "shared.dyn",
      "local",
      "local.fragment",
      "warp",
      "wmma.matrix_a",
      "wmma.matrix_b",
      "wmma.accumulator",
      "m16n8k4.matrixA",
      "m16n8k4.matrixB",
      "m16n8k4.matrixC",
      "m16n8k8.matrixA",
      "m16n8k8.matrixB",
      "m16n8k8.matrixC",
      "m16n8k16.matrixA",
      "m16n8k16.matrixB",
      "m16n8k16.matrixC",
      "m16n8k32.matrixA",
      "m16n8k32.matrixB",
      "m16n8k32.matrixC",
      "m16n8k64.matrixA",
      "m16n8k64.matrixB",
      "m16n8k64.matrixC",
      "amx.tmm",
      "metal.simdgroup",
      "texture",
      "global.texture",
      "global.texture-nchw",
      "global.texture-nhwc",
      "global.texture-weight",
      "global.vtcm",
      "trn.sbuf",
      "trn.psum",
  };
  if (std::find(known.begin(), known.end(), scope) != known.end())
    return {};
  const std::string nearest = nearest_name(scope, known);
  // Behind these, as in TVM, a tag of one's own, of which a tensor intrinsic knows the meaning.
  for (const std::string_view tagged : {"global.", "shared.", "local.", "warp."})
    if (nearest.empty() && scope.starts_with(tagged) && scope.size() > tagged.size())
      return {};
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("there is no memory scope \"{}\"; {}", scope,
                           nearest.empty()
                               ? "there are global, shared, shared.dyn, local, warp, and "
                                 "those of matrix units, as wmma.matrix_a"
                               : fmt::format("did you mean \"{}\"?", nearest)));
}

} // namespace temper::s_tir
