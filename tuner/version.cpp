#include "tuner/version.h"

#include "temper_commit.h" // made by cmake/commit.cmake at each build

namespace temper::tuner {

std::string version_text() {
  const std::string commit = TEMPER_COMMIT;
  return commit.empty() ? TEMPER_VERSION : TEMPER_VERSION " (" + commit + ")";
}

} // namespace temper::tuner
