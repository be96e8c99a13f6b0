/// libtemper_peer_peak.so: the processor's peak as a contender. It does as many operations as the
/// kernel beside it, in registers, and touches none of its arguments, so its time over the kernel's
/// is the kernel's share of the peak at that very time: a machine whose clock drifts drifts for
/// both. TEMPER_PEER_PEAK, which engine/peers.cpp sets, says what and how many: "float32
/// 2147483648".
#include "engine/fma_probe.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

struct Work {
  temper::engine::FmaProbe probe;
  int64_t rounds = 0;
};

Work read_work() {
  const char* text = std::getenv("TEMPER_PEER_PEAK");
  const std::string words = text != nullptr ? text : "";
  const size_t blank = words.rfind(' '); // a kind may be two words
  const auto kind = temper::engine::parse_fma_kind(std::string_view(words).substr(0, blank));
  if (!kind || blank == std::string::npos)
    return {};
  const temper::engine::FmaProbe probe = temper::engine::fma_probe(*kind);
  if (probe.run == nullptr)
    return {};
  const double rounds = std::strtod(words.c_str() + blank, nullptr) / probe.flops_per_round;
  return {probe, std::max<int64_t>(1, static_cast<int64_t>(rounds))};
}

} // namespace

extern "C" int32_t peak(void* const* /*arguments*/) {
  static const Work work = read_work();
  if (work.probe.run == nullptr)
    return 1;
  work.probe.run(work.rounds);
  return 0;
}
