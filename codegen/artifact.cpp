#include "codegen/artifact.h"

#include <algorithm>

namespace temper::codegen {

bool ArgumentSpec::is_symbolic() const {
  return std::find(shape.begin(), shape.end(), -1) != shape.end();
}

int64_t ArgumentSpec::element_count() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

} // namespace temper::codegen
