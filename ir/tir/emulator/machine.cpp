// A run from its arguments to its report.
#include "ir/tir/emulator/machine.h"

namespace temper::tir {
namespace emulator {

Result<EmulateReport> Machine::run(const PrimFunc& function,
                                   std::span<const InterpretArgument> arguments) {
  TEMPER_TRY(program, compile(function, *this, options_));
  program_ = std::move(program);
  interpret_options_.max_steps = options_.max_steps;
  frame_ = std::make_unique<Frame>(program_.var_slots, 0, interpret_options_);
  TEMPER_TRY_VOID(bind(function, arguments));
  host_.all = host_.active = 1;
  host_.vars.assign(1, frame_->vars);
  host_.locals.resize(1);
  host_.knows.set(0, 1);
  warp_ = &host_;
  while (!failed() && host_.wait != Wait::kDone)
    step(host_, program_.host);
  if (failed())
    return frame_->take_error();
  report_.steps = steps_;
  for (auto& [node, access] : accesses_)
    report_.shared_accesses.push_back(access);
  return std::move(report_);
}

} // namespace emulator

bool did_not_end(const Error& error) {
  return error.code == ErrorCode::kFailed &&
         error.message.find("did not end within") != std::string::npos;
}

std::string SharedAccess::to_string() const {
  std::string text =
      (where.line == 0 ? std::string()
                       : fmt::format("line {}, column {}: ", where.line, where.column)) +
      fmt::format("the {} {} takes {:.1f} times the wavefronts it would without bank "
                  "conflicts",
                  is_store ? "store to" : "load of", buffer, ways());
  if (!worst.collisions.empty()) {
    const BankCollision& collision = worst.collisions.front();
    std::vector<std::string> lanes;
    for (size_t i = 0; i < collision.lanes.size() && i < 8; ++i)
      lanes.push_back(std::to_string(collision.lanes[i]));
    if (collision.lanes.size() > 8)
      lanes.emplace_back("...");
    text += fmt::format(": lanes {} want different words of bank {}", join(lanes, ", "),
                        collision.bank);
  }
  return text;
}

std::vector<SharedAccess> EmulateReport::conflicts() const {
  std::vector<SharedAccess> list;
  for (const SharedAccess& access : shared_accesses)
    if (access.wavefronts > access.ideal)
      list.push_back(access);
  std::stable_sort(list.begin(), list.end(), [](const SharedAccess& a, const SharedAccess& b) {
    return a.wavefronts - a.ideal > b.wavefronts - b.ideal;
  });
  return list;
}

Result<EmulateReport> emulate(const PrimFunc& function,
                              std::span<const InterpretArgument> arguments,
                              const EmulateOptions& options) {
  emulator::Machine machine(options);
  return machine.run(function, arguments);
}

Result<EmulateReport> emulate_thoroughly(const PrimFunc& function,
                                         std::span<const InterpretArgument> arguments,
                                         const EmulateOptions& options) {
  struct Saved {
    std::byte* data;
    std::vector<std::byte> before;
    std::vector<std::byte> after;
  };
  std::vector<Saved> saved;
  for (const InterpretArgument& argument : arguments)
    if (const auto* view = std::get_if<ArrayView>(&argument)) {
      auto* data = static_cast<std::byte*>(view->data);
      const auto bytes = static_cast<size_t>(view->count * view->dtype.bytes());
      saved.push_back({data, {data, data + bytes}, {}});
    }
  const std::pair<AsyncTiming, ParallelOrder> runs[] = {
      {AsyncTiming::kEarly, ParallelOrder::kForward},
      {AsyncTiming::kLate, ParallelOrder::kReverse},
      {AsyncTiming::kRandom, ParallelOrder::kRandom},
  };
  static constexpr const char* kNames[] = {"early", "late", "at random moments"};
  std::optional<EmulateReport> report;
  for (size_t r = 0; r < std::size(runs); ++r) {
    for (const Saved& memory : saved)
      std::copy(memory.before.begin(), memory.before.end(), memory.data);
    EmulateOptions run = options;
    run.timing = runs[r].first;
    run.order = runs[r].second;
    if (r > 0)
      run.print = [](const std::string&) {};
    emulator::Machine machine(run);
    TEMPER_TRY(result, machine.run(function, arguments));
    for (size_t i = 0; i < saved.size(); ++i) {
      std::vector<std::byte> now(saved[i].data, saved[i].data + saved[i].before.size());
      if (r == 0)
        saved[i].after = std::move(now);
      else if (now != saved[i].after && !machine.float_atomics())
        return Error{
            ErrorCode::kFailed,
            fmt::format("the results depend on timing: with asynchronous operations done {} "
                        "(and warps in another order) buffer {} differs from the run with "
                        "them done early",
                        kNames[r], i)};
    }
    if (!report)
      report = std::move(result);
  }
  return *std::move(report);
}

} // namespace temper::tir
