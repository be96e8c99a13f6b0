/// The A/A test of `temper compare`: kernels against themselves, which it should call the same, and
/// against themselves slowed by 2 %, which it should find. Both go the way of `temper compare`: the
/// measurer's comparison in turns, and its verdict from the interval of the ratio.
///
///   temper_aa [--times N] [--seconds S] [--json FILE]
///
/// Nothing else should be running. Says how often it was wrong; the exit status is 0 either way.
#include "engine/local_measurer.h"
#include "ir/support/json.h"
#include "ir/support/text.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace {

using namespace temper;
using namespace temper::engine;

struct Kernel {
  const char* name;
  const char* what;
  std::vector<codegen::ArgumentSpec> signature; ///< the last is the output
};

constexpr int64_t kParts = 200;
constexpr int64_t kSlowedParts = 204;

std::vector<Kernel> kernels() {
  const auto tensor = [](const char* name, std::vector<int64_t> shape, bool output = false) {
    return codegen::ArgumentSpec{name, DataType::float32(), std::move(shape), true, output};
  };
  return {
      {"compute",
       "200x64x64 matmul rows",
       {tensor("A", {200, 64}), tensor("B", {64, 64}), tensor("C", {200, 64}, true)}},
      {"brief",
       "200x16x8 matmul rows",
       {tensor("A", {200, 8}), tensor("B", {8, 16}), tensor("C", {200, 16}, true)}},
      {"stream",
       "8 MB read, 8 MB written",
       {tensor("X", {200, 10000}), tensor("Y", {200, 10000}, true)}},
  };
}

struct Tally {
  int pairs = 0;
  int different = 0; ///< not called the same
  int slower = 0;
  std::vector<double> ratios;
  std::vector<double> widths; ///< of the intervals
};

Result<void> compare_once(LocalMeasurer& measurer, WorkloadId workload,
                          const std::shared_ptr<const codegen::Artifact>& artifact, int64_t parts,
                          double max_seconds, Tally& tally) {
  CompareRequest request;
  request.workload = workload;
  request.contenders = {{"a", artifact, {kParts}, 1, false}, {"b", artifact, {parts}, 1, false}};
  request.max_seconds = max_seconds;
  request.half_width = kComparedHalfWidth;
  TEMPER_TRY(comparison, measurer.compare(request));
  const ComparedContender& b = comparison.contenders[1];
  for (const ComparedContender& side : comparison.contenders)
    if (!is_correct(side.measurement.outcome))
      return Error(ErrorCode::kFailed, side.measurement.error);
  ++tally.pairs;
  const Verdict verdict = verdict_of(b);
  tally.different += verdict == Verdict::kFaster || verdict == Verdict::kSlower ? 1 : 0;
  tally.slower += verdict == Verdict::kSlower ? 1 : 0;
  tally.ratios.push_back(b.ratio);
  tally.widths.push_back(b.ratio_interval.high - b.ratio_interval.low);
  return {};
}

Result<Json> test_kernel(LocalMeasurer& measurer, const Kernel& kernel, int times,
                         double max_seconds) {
  WorkloadSpec spec;
  spec.name = kernel.name;
  spec.signature = kernel.signature;
  spec.input_sets = default_input_sets(7, {});
  TEMPER_TRY(workload, measurer.add_workload(spec));
  auto artifact = std::make_shared<codegen::Artifact>();
  TEMPER_TRY(code, read_file(TEMPER_AA_KERNELS));
  artifact->code = std::move(code);
  artifact->entry = kernel.name;
  artifact->signature = kernel.signature;
  artifact->signature.push_back({"parts", DataType::int64(), {}, false, false});
  Tally same;
  Tally slowed;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) { // alternating, so that a bad moment hits both
    TEMPER_TRY_VOID(compare_once(measurer, workload, artifact, kParts, max_seconds, same));
    TEMPER_TRY_VOID(compare_once(measurer, workload, artifact, kSlowedParts, max_seconds, slowed));
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  measurer.remove_workload(workload);
  const auto share = [](int count, int of) { return static_cast<double>(count) / of; };
  const auto worst = [](const Tally& tally, double centre) {
    double most = 0;
    for (const double ratio : tally.ratios)
      most = std::max(most, std::abs(ratio - centre));
    return most;
  };
  fmt::print("{:8} {:24} {:5} times: {:5.1f} % called different (ratio {:.4f}, up to {:.2f} % off, "
             "interval {:.2f} % wide); slowed by 2 %: {:5.1f} % found (ratio {:.4f}); {:.0f} ms a "
             "comparison\n",
             kernel.name, kernel.what, times, 100 * share(same.different, same.pairs),
             median(same.ratios), 100 * worst(same, 1), 100 * median(same.widths),
             100 * share(slowed.slower, slowed.pairs), median(slowed.ratios),
             1e3 * seconds / (2 * times));
  std::fflush(stdout);
  return Json{{"kernel", kernel.name},
              {"times", times},
              {"called_different", share(same.different, same.pairs)},
              {"slowed_found", share(slowed.slower, slowed.pairs)},
              {"ratio", median(same.ratios)},
              {"slowed_ratio", median(slowed.ratios)},
              {"interval_width", median(same.widths)},
              {"ratios", same.ratios}};
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("The A/A test of comparisons: how often equal kernels are called different, and how "
               "often 2 % more time is found");
  int times = 200;
  double max_seconds = 5;
  std::string json_file;
  std::vector<std::string> only;
  app.add_option("--times", times, "comparisons of each kind, over all kernels (default: 200)")
      ->check(CLI::Range(1, 100000));
  app.add_option("--seconds", max_seconds, "at most, for a comparison (default: 5)");
  app.add_option("--kernel", only, "only these: compute, brief, stream");
  app.add_option("--json", json_file, "also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  auto measurer = LocalMeasurer::start();
  if (!measurer) {
    fmt::print(stderr, "temper_aa: {}\n", measurer.error().message);
    return 1;
  }
  std::vector<Kernel> tested = kernels();
  if (!only.empty())
    std::erase_if(tested, [&](const Kernel& kernel) {
      return std::find(only.begin(), only.end(), kernel.name) == only.end();
    });
  const int count = static_cast<int>(tested.size());
  Json list = Json::array();
  for (int i = 0; i < count; ++i) {
    const Kernel& kernel = tested[static_cast<size_t>(i)];
    const int share = times / count + (i < times % count ? 1 : 0);
    if (share == 0)
      continue;
    auto figures = test_kernel(**measurer, kernel, share, max_seconds);
    if (!figures) {
      fmt::print(stderr, "temper_aa: {}: {}\n", kernel.name, figures.error().message);
      return 1;
    }
    list.push_back(std::move(*figures));
  }
  if (!json_file.empty())
    if (auto written = write_file(json_file, Json{{"kernels", list}}.dump(2) + "\n"); !written) {
      fmt::print(stderr, "temper_aa: {}\n", written.error().message);
      return 1;
    }
  return 0;
}
