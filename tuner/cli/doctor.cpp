/// temper doctor: what this machine can and cannot measure.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "codegen/cuda/nvrtc.h"
#include "codegen/llvm/compile.h"
#include "database/location.h"
#include "database/sqlite_store.h"
#include "engine/doctor.h"
#include "engine/gpu_doctor.h"

#include <fmt/format.h>

#include <filesystem>

namespace temper::cli {
namespace {

struct DoctorCommand {
  CommonOptions common;
  bool quick = false;
};

/// A line a probe, for whoever waits.
void looking_at(const std::string& probe) {
  fmt::print(stderr, "looking at {}\n", probe);
  std::fflush(stderr);
}

/// What only this program knows: the code generator and the database.
std::vector<engine::Finding> own_findings(const DoctorCommand& options,
                                          const std::filesystem::path& database) {
  using State = engine::Finding::State;
  std::vector<engine::Finding> findings;
  const auto target = codegen::resolve_target({});
  if (target) {
    const auto registers = codegen::vector_registers(*target);
    findings.push_back({"code generator", State::kOk,
                        fmt::format("{} for {}, {}-bit vectors", codegen::compiler_version(),
                                    target->arch, registers ? registers->bits : 0),
                        Json{{"target", target->to_string()}}});
  } else {
    findings.push_back({"code generator", State::kMissing, target.error().message, Json::object()});
  }
  looking_at("GPUs and their compilers");
  const auto nvrtc = codegen::Nvrtc::load();
  findings.push_back({"GPU compiler", nvrtc ? State::kOk : State::kMissing,
                      nvrtc ? fmt::format("NVRTC {} ({}): programs for cuda:sm_90a and others are "
                                          "compiled and pruned",
                                          (*nvrtc)->version(), (*nvrtc)->path())
                            : nvrtc.error().message,
                      Json::object()});
  for (engine::Finding& finding : engine::examine_gpu())
    findings.push_back(std::move(finding));
  looking_at("the database");
  if (std::error_code ignored;
      !database.empty() && !std::filesystem::exists(database, ignored) &&
      std::filesystem::is_directory(std::filesystem::absolute(database).parent_path(), ignored)) {
    findings.push_back(
        {"database", State::kOk,
         fmt::format("{} is not there yet: the first run makes it", database.string()),
         Json::object()});
    return findings;
  }
  tuner::Workbench bench(options.common.workbench);
  const auto store = bench.store();
  if (store) {
    const auto sound = (*store)->check_integrity();
    findings.push_back({"database", sound ? State::kOk : State::kLimited,
                        sound ? (*store)->name() + " opens and is sound" : sound.error().message,
                        Json::object()});
  } else {
    findings.push_back({"database", State::kMissing, store.error().message, Json::object()});
  }
  return findings;
}

int run_doctor(DoctorCommand& options) {
  engine::DoctorOptions settings;
  settings.quick = options.quick;
  settings.database = options.common.workbench.database;
  if (settings.database.empty())
    if (auto path = database::default_database_path())
      settings.database = *path;
  if (database::is_postgres_url(settings.database.string()))
    settings.database.clear(); // the disk of a server is not ours to see
  settings.progress = looking_at;
  std::vector<engine::Finding> findings = engine::examine(settings);
  for (engine::Finding& finding : own_findings(options, settings.database))
    findings.push_back(std::move(finding));
  Json list = Json::array();
  Table table({{"state"}, {"of"}, {"finding", false, true}});
  for (const engine::Finding& finding : findings) {
    if (options.common.json)
      list.push_back(engine::to_json(finding));
    else
      table.add({engine::to_string(finding.state), finding.name, finding.sentence});
  }
  if (options.common.json)
    print_json("doctor", Json{{"findings", std::move(list)}});
  else
    table.print();
  return kDone;
}

} // namespace

void add_doctor(Program& program) {
  auto options = std::make_shared<DoctorCommand>();
  CLI::App* command =
      program.app.add_subcommand("doctor", "say what this machine can and cannot measure");
  command->add_flag("--quick", options->quick, "without the tests of noise and cores");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper doctor", "temper doctor --json"});
  command->callback(
      [&program, options] { program.action = [options] { return run_doctor(*options); }; });
}

} // namespace temper::cli
