/// Libraries to be compared with: OpenBLAS and oneDNN behind the calling convention of an
/// artifact, each at its best setting. What their entries take: engine/peers/*.cpp.
///
///   TEMPER_TRY(peer, peer_artifact("openblas", "sgemm", workload.signature, {m, n, k}));
///   request.contenders.push_back({"OpenBLAS", peer.artifact, peer.extra_scalars});
#pragma once

#include "codegen/artifact.h"
#include "ir/support/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::engine {

struct Peer {
  std::string name; ///< "OpenBLAS", "oneDNN"
  std::shared_ptr<const codegen::Artifact> artifact;
  std::vector<int64_t> extra_scalars;
};

/// Names that this build has, as "openblas", "onednn".
std::vector<std::string> peer_libraries();

/// The peer's entry over the workload's arguments. An error when the library was not found when
/// temper was built, or its adapter is gone.
Result<Peer> peer_artifact(std::string_view library, std::string_view entry,
                           std::vector<codegen::ArgumentSpec> signature, std::vector<int64_t> sizes,
                           int threads = 1);

} // namespace temper::engine
