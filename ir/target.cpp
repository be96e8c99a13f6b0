#include "ir/target.h"

#include "ir/support/number.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"

namespace temper::ir {

using tir::is_amd;

std::string Target::to_string() const {
  std::string text;
  if (kind == TargetKind::kCpu)
    text = arch == "native" ? "native" : "cpu:" + arch;
  else // one model of threads (ir/tir/gpu_architecture.h)
    text = (is_amd(arch) ? "hip:" : "cuda:") + arch;
  if (!features.empty())
    text += "," + features;
  if (threads != 0)
    text += " threads=" + std::to_string(threads);
  return text;
}

Result<Target> parse_target(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return Error(ErrorCode::kInvalidArgument,
                 "target '" + std::string(text) + "' " + why +
                     "; write native, cpu:NAME (as cpu:znver4), cuda:sm_NN or hip:gfx942");
  };
  Target target;
  std::string_view rest = trim(text);
  if (const size_t space = rest.find(' '); space != std::string_view::npos) {
    std::string_view option = trim(rest.substr(space));
    rest = rest.substr(0, space);
    constexpr std::string_view kThreads = "threads=";
    if (!option.starts_with(kThreads))
      return wrong("has an unknown option '" + std::string(option) + "'");
    option.remove_prefix(kThreads.size());
    target.threads = parse_number<int>(option).value_or(0);
    if (target.threads < 1)
      return wrong("needs a positive number of threads");
  }
  if (const size_t comma = rest.find(','); comma != std::string_view::npos) {
    target.features = rest.substr(comma + 1);
    rest = rest.substr(0, comma);
  }
  if (rest == "native" || rest == "cpu")
    return target;
  if (rest.starts_with("cpu:"))
    target.kind = TargetKind::kCpu;
  else if (rest.starts_with("cuda:") || rest.starts_with("hip:"))
    target.kind = TargetKind::kCuda;
  else
    return wrong("is not known");
  target.arch = rest.substr(rest.find(':') + 1);
  if (target.arch.empty())
    return wrong("names no architecture");
  if (target.kind == TargetKind::kCuda && rest.starts_with("hip:") != is_amd(target.arch))
    return wrong(is_amd(target.arch) ? "names an architecture of AMD's as NVIDIA's"
                                     : "names an architecture that is not AMD's");
  return target;
}

} // namespace temper::ir
