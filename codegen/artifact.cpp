#include "codegen/artifact.h"

namespace temper::codegen {

int64_t ArgumentSpec::element_count() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

} // namespace temper::codegen
