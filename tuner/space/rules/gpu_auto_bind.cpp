/// The outer loops of a block that nothing has bound become blocks and threads (MetaSchedule's
/// AutoBind): one thread for each element, or, where that would be too many blocks, a loop of them.
#include "tuner/space/gpu_rules.h"

namespace temper::tuner {
namespace {

using namespace s_tir;

class GpuAutoBind final : public Rule {
public:
  explicit GpuAutoBind(const GpuHints& gpu) : gpu_(gpu) {}
  const char* name() const override { return "gpu_auto_bind"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const auto iterations = unbound_iterations(schedule, block);
    if (!iterations)
      return {schedule};
    Schedule bound = schedule;
    bound.set_render_errors(false);
    if (!bind(bound, block, *iterations))
      return {schedule};
    return {bound};
  }

private:
  Result<void> bind(Schedule& schedule, BlockRv block, int64_t iterations) const {
    std::vector<int64_t> extents;
    for (const int64_t extent : gpu_.thread_extents)
      if (extent <= std::min(iterations, gpu_.threads))
        extents.push_back(extent);
    if (extents.size() < 2)
      return bind_block(schedule, block, gpu_, extents.empty() ? iterations : extents[0]);
    const std::vector<double> even(extents.size(), 1.0 / static_cast<double>(extents.size()));
    TEMPER_TRY(threads, schedule.sample_categorical(extents, even));
    return bind_block(schedule, block, gpu_, threads);
  }

  GpuHints gpu_;
};

} // namespace

std::unique_ptr<Rule> make_gpu_auto_bind_rule(const GpuHints& gpu) {
  return std::make_unique<GpuAutoBind>(gpu);
}

} // namespace temper::tuner
