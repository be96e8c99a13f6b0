#include "codegen/artifact.h"

#include <algorithm>

namespace temper::codegen {

bool ArgumentSpec::is_symbolic() const {
  return std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; });
}

int64_t ArgumentSpec::element_count() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

} // namespace temper::codegen
