#include "engine/runner/verdict.h"

#include "engine/compare.h"
#include "engine/timing/repeated_calls.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::engine {

using codegen::ArgumentSpec;

std::optional<WorstElement> check_outputs(const PreparedWorkload& workload, size_t set_index) {
  const PreparedSet& set = workload.sets[set_index];
  for (size_t i = 0; i < workload.spec.signature.size(); ++i) {
    const ArgumentSpec& spec = workload.spec.signature[i];
    if (!spec.is_output || set.references[i].bytes.empty())
      continue;
    const ReferenceOutput& reference = set.references[i];
    const double tolerance = tolerance_of(workload.spec.tolerance, workload.spec.output_tolerances,
                                          spec.name, spec.dtype, workload.spec.reduction_length);
    std::optional<WorstElement> worst =
        compare(set.arguments.buffers[i].bytes(), spec.dtype,
                {reference.bytes.bytes(), reference.type, reference.scale}, tolerance);
    if (worst) {
      worst->argument = spec.name;
      worst->input_set = static_cast<int>(set_index);
      return worst;
    }
  }
  return std::nullopt;
}

bool reads_outputs(const PreparedWorkload& workload) {
  const auto& initial = workload.sets.front().initial;
  return std::any_of(initial.begin(), initial.end(),
                     [](const UnforkedMemory& memory) { return !memory.empty(); });
}

static std::string position_text(const ArgumentSpec& spec, int64_t index) {
  std::vector<std::string> positions(spec.shape.size());
  for (size_t d = spec.shape.size(); d-- > 0;) {
    positions[d] = std::to_string(index % spec.shape[d]);
    index /= spec.shape[d];
  }
  return join(positions, ", ");
}

std::string describe_worst(const PreparedWorkload& workload, const WorstElement& worst,
                           const char* when) {
  const auto& signature = workload.spec.signature;
  const auto spec =
      std::find_if(signature.begin(), signature.end(),
                   [&](const ArgumentSpec& argument) { return argument.name == worst.argument; });
  return fmt::format("wrong result{}: {}[{}] is {:.9g} and should be {:.9g} (tolerance {:.3g}); {} "
                     "of {} elements are wrong",
                     when, worst.argument, position_text(*spec, worst.index), worst.got,
                     worst.expected, worst.tolerance, worst.wrong_count, spec->element_count());
}

std::string signature_mismatch(const PreparedWorkload& workload, const TrialRequest& request) {
  const auto& want = workload.spec.signature;
  const auto& have = request.artifact->signature;
  if (have.size() != want.size() + request.extra_scalars.size())
    return fmt::format("takes {} arguments where the workload has {}", have.size(),
                       want.size() + request.extra_scalars.size());
  for (size_t i = 0; i < want.size(); ++i)
    if (have[i].is_buffer != want[i].is_buffer || have[i].byte_count() != want[i].byte_count() ||
        have[i].dtype.element() != want[i].dtype.element() ||
        have[i].is_output != want[i].is_output)
      return fmt::format(
          "takes {} of {} elements as argument {} where the workload has {} of {} ({})",
          to_string(have[i].dtype), have[i].element_count(), i, to_string(want[i].dtype),
          want[i].element_count(), want[i].name);
  for (const codegen::PackStep& pack : request.artifact->packs)
    if (want[static_cast<size_t>(pack.argument)].is_output)
      return fmt::format("packs argument {}, which is an output",
                         want[static_cast<size_t>(pack.argument)].name);
  return {};
}

std::string too_fast(const WorkloadSpec& spec, double median_ns) {
  if (spec.floor_ns <= 0 || median_ns >= spec.floor_ns)
    return {};
  return fmt::format("its {:.4g} ns are less than the {:.4g} ns that this workload's operations "
                     "take at the least: it leaves some out, or `flops` counts too many",
                     median_ns, spec.floor_ns);
}

int pairs_timeout_ms(int timeout_ms) {
  constexpr int64_t kLongest = 1 << 30;
  return static_cast<int>(std::min(int64_t{2} * kMostPairs * timeout_ms, kLongest));
}

std::string faster_on_results(std::span<const double> fresh_ns,
                              std::span<const double> repeated_ns) {
  if (!is_faster_on_results(fresh_ns, repeated_ns))
    return {};
  return fmt::format("a call takes {:.4g} ns where its outputs hold the right results already and "
                     "{:.4g} ns where they do not: it looks at what it is to write, so repeated "
                     "calls do not measure it",
                     *std::min_element(repeated_ns.begin(), repeated_ns.end()),
                     *std::min_element(fresh_ns.begin(), fresh_ns.end()));
}

} // namespace temper::engine
