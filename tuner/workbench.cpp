#include "tuner/workbench.h"

#include "codegen/gpu/backends.h"
#include "codegen/llvm/compile.h"
#include "database/postgres_store.h"
#include "database/sqlite_store.h"
#include "engine/arguments.h"
#include "engine/compare.h"
#include "engine/fingerprint.h"
#include "engine/local_measurer.h"
#include "engine/machine_speed.h"
#include "ir/extents.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/script/diagnostic.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/schedule_language.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/verify.h"
#include "tuner/compile_protocol.h"
#include "tuner/emulation.h"
#include "tuner/external_function.h"
#include "tuner/float8_sums.h"
#include "tuner/google_benchmark.h"
#include "tuner/gpu_pruning.h"
#include "tuner/gpu_space.h"
#include "tuner/padding.h"
#include "tuner/record_context.h"
#include "tuner/record_mapping.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/sketch_space.h"
#include "tuner/templates.h"
#include "tuner/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace temper::tuner {

namespace fs = std::filesystem;

namespace {

fs::path program_folder() {
  std::error_code failed;
  const fs::path self = fs::read_symlink("/proc/self/exe", failed);
  return failed ? fs::path(".") : self.parent_path();
}

Json binding_json(const script::Binding& binding) {
  Json json = Json::object();
  for (const auto& [name, value] : binding)
    std::visit([&, key = name](const auto& v) { json[key] = v; }, value);
  return json;
}

/// Arguments and reference results must fit in memory several times over.
Result<void> check_memory(const Task& task) {
  double bytes = 0;
  for (const codegen::ArgumentSpec& argument : task.signature) {
    double size = argument.dtype.bytes();
    for (int64_t extent : argument.shape)
      size *= static_cast<double>(extent);
    // Two input sets; outputs also have a reference in float64 for each.
    bytes += size * (argument.is_output ? 6 : 2);
  }
  const double available =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (bytes > 0.8 * available)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{} needs {:.1f} GiB for its arguments and references, this machine "
                             "has {:.1f} GiB; choose a smaller shape",
                             task.title(), bytes / (1 << 30), available / (1 << 30)));
  return {};
}

} // namespace

Result<std::string> find_helper_program(const std::string& name) {
  std::vector<fs::path> places;
  if (const char* folder = std::getenv("TEMPER_LIBEXEC"))
    places.emplace_back(folder);
  places.push_back(program_folder());
  places.push_back(program_folder() / ".." / "libexec" / "temper");
  places.emplace_back(TEMPER_BUILD_PROGRAMS);
  std::string looked;
  for (const fs::path& place : places) {
    const fs::path path = place / name;
    if (access(path.c_str(), X_OK) == 0)
      return path.lexically_normal().string();
    looked += (looked.empty() ? "" : ", ") + path.lexically_normal().string();
  }
  return Error(ErrorCode::kEnvironment, "the program " + name + " is missing; looked for " +
                                            looked +
                                            "; install temper again, or set TEMPER_LIBEXEC");
}

namespace {
const engine::Machine& this_machine() {
  static const engine::Machine machine = engine::read_machine(); // does not change while we run
  return machine;
}
} // namespace

Result<MachineHints> machine_hints_for(const ir::Target& target, int threads) {
  TEMPER_TRY(registers, codegen::vector_registers(target));
  MachineHints hints;
  hints.threads = threads;
  hints.vector_bits = registers.bits;
  hints.vector_registers = registers.count;
  TEMPER_TRY(features, codegen::required_features(target));
  hints.features = std::move(features);
  for (const auto& [level, bytes] : {std::pair{1, &hints.l1_bytes}, std::pair{2, &hints.l2_bytes}})
    if (const int64_t size = engine::cache_bytes(this_machine(), level); size > 0)
      *bytes = size;
  return hints;
}

Result<std::unique_ptr<Space>> space_of(const Task& task) {
  if (!task.target.is_cpu()) {
    TEMPER_TRY(limits, codegen::gpu_limits(task.target));
    TEMPER_TRY(templates, templates_of(task));
    TEMPER_TRY(rule_files, rule_files_of(task));
    return make_gpu_space(task.module, limits, std::move(templates), std::move(rule_files));
  }
  if (is_knob_program(task.module)) {
    TEMPER_TRY(lower, lower_options_for(task.target, task.threads <= 1));
    return make_knob_space(task.module, std::move(lower));
  }
  SketchOptions sketch;
  TEMPER_TRY(hints, machine_hints_for(task.target, task.threads));
  sketch.machine = hints;
  TEMPER_TRY(templates, templates_of(task));
  sketch.templates = std::move(templates);
  TEMPER_TRY(rule_files, rule_files_of(task));
  sketch.rule_files = std::move(rule_files);
  return make_sketch_space(task.module, std::move(sketch));
}

namespace {
/// The text of the file of a workload with blocks; empty where it is not there (any more).
Result<std::string> own_file(const Task& task) {
  std::error_code failed;
  if (task.layer != "s-tir" || !fs::is_regular_file(task.source_path, failed))
    return std::string();
  return read_file(task.source_path);
}
} // namespace

Result<std::vector<script::RuleFile>> rule_files_of(const Task& task) {
  std::vector<script::RuleFile> files;
  TEMPER_TRY(text, own_file(task));
  if (script::may_hold_rules(text)) {
    TEMPER_TRY(own, script::RuleFile::parse(text, task.source_path));
    files.push_back(std::move(own));
  }
  TEMPER_TRY(more, script::load_rule_files());
  files.insert(files.end(), more.begin(), more.end());
  return files;
}

Result<std::vector<s_tir::Trace>> templates_of(const Task& task) {
  TEMPER_TRY(text, own_file(task));
  if (text.find("schedule(") == std::string::npos)
    return std::vector<s_tir::Trace>();
  TEMPER_TRY(file, script::WorkloadFile::parse(text, task.source_path));
  const size_t colon = task.workload.rfind(':');
  std::string name = colon != std::string::npos ? task.workload.substr(colon + 1) : task.workload;
  if (colon == std::string::npos && (name.ends_with(".py") || name.find('/') != std::string::npos))
    name.clear(); // the file's only one
  TEMPER_TRY(info, file.find(name));
  return script::schedule_templates(text, task.source_path, info->name, task.module);
}

Workbench::~Workbench() = default;

void Workbench::retarget(const std::string& target, int threads) {
  options_.target = target;
  options_.threads = threads;
}

Result<std::optional<engine::GpuInfo>> Workbench::gpu() {
  TEMPER_TRY(parsed, ir::parse_target(options_.target));
  if (parsed.is_cpu())
    return std::optional<engine::GpuInfo>();
  TEMPER_TRY(info, engine::gpu_info(options_.gpu.value_or(0)));
  return std::optional(std::move(info));
}

Result<void> Workbench::check_host(const Task& task) {
  if (!task.target.is_cpu()) {
    TEMPER_TRY(gpu, this->gpu());
    if (gpu && engine::runs_on(task.target.arch, gpu->architecture))
      return {};
    return Error(
        ErrorCode::kUnsupported,
        fmt::format("code for '{}' does not run here: {}", task.target.to_string(),
                    gpu ? fmt::format("{} is of architecture sm_{}", gpu->name, gpu->architecture)
                        : "it is for a GPU"));
  }
  TEMPER_TRY(needed, codegen::required_features(task.target));
  TEMPER_TRY(native, codegen::resolve_target({}));
  TEMPER_TRY(there, codegen::required_features(native));
  std::vector<std::string> missing;
  std::set_difference(needed.begin(), needed.end(), there.begin(), there.end(),
                      std::back_inserter(missing));
  if (missing.empty())
    return {};
  return Error(ErrorCode::kUnsupported,
               fmt::format("code for '{}' does not run here: this processor ({}) lacks {}",
                           task.target.to_string(), native.arch, join(missing, ", ")));
}

Result<database::Store*> Workbench::store() {
  if (!store_) {
    database::SqliteOptions options;
    if (options_.database.empty()) {
      TEMPER_TRY(path, database::default_database_path());
      options.path = path;
      options.create_folders = true;
    } else {
      options.path = options_.database;
      // The usual one is the same by its name: the workbench always names it.
      const auto usual = database::default_database_path();
      options.create_folders = usual && *usual == options.path;
    }
    TEMPER_TRY_VOID(database::check_location(options.path.string()));
    if (database::is_postgres_url(options.path.string())) {
      TEMPER_TRY(shared, database::open_postgres_store(
                             {.url = options.path.string(), .on_wait = [](const std::string& what) {
                                std::fprintf(stderr, "temper: %s\n", what.c_str());
                              }}));
      store_ = std::move(shared);
      return store_.get();
    }
    // Who only reads leaves no file behind: what is not there yet is empty.
    if (std::error_code ignored;
        options_.viewing && !std::filesystem::exists(options.path, ignored))
      options.path = ":memory:";
    auto store = database::open_sqlite_store(options);
    if (!store && options_.viewing && store.error().code == ErrorCode::kEnvironment) {
      options.read_only = true;
      if (auto readable = database::open_sqlite_store(options))
        store = std::move(readable); // else the first sentence says more
    }
    if (!store)
      return std::move(store).error();
    store_ = std::move(*store);
  }
  return store_.get();
}

Result<ir::Target> Workbench::target() {
  TEMPER_TRY(parsed, ir::parse_target(options_.target));
  if (!parsed.is_cpu()) {
    TEMPER_TRY_VOID(codegen::gpu_limits(parsed));
    const auto not_here = [&](const std::string& why) {
      return Error(ErrorCode::kUnsupported,
                   "target '" + options_.target + "' is for a GPU: " + why +
                       "; check and tune take --device emulated with it, other commands native "
                       "or cpu:NAME");
    };
    if (tir::is_amd(parsed.arch))
      return not_here(tir::kNothingRunsAmd);
    if (const auto gpu = this->gpu(); !gpu)
      return not_here(gpu.error().message);
    return parsed;
  }
  TEMPER_TRY(resolved, codegen::resolve_target(parsed));
  const int threads = options_.threads > 0 ? options_.threads : std::max(1, parsed.threads);
  resolved.threads = threads > 1 ? threads : 0;
  return resolved;
}

namespace {

constexpr std::chrono::minutes kSpeedMaxAge(10); // measuring takes half a second

/// This process's figures of the machine, the newest last. All are kept: somebody may be reading
/// one while a newer one comes.
class Speeds {
public:
  const engine::MachineSpeed& get(bool kept_will_do) {
    const std::lock_guard lock(mutex_);
    if (speeds_.empty() || (!fresh_ && !kept_will_do)) {
      fresh_ = !kept_will_do;
      speeds_.push_back(
          fresh_ ? engine::known_machine_speed(this_machine(), engine::cache_folder(), kSpeedMaxAge)
                 : engine::kept_machine_speed(this_machine(), engine::cache_folder())
                       .value_or(engine::MachineSpeed()));
      if (!fresh_) {
        const auto age = std::chrono::system_clock::now().time_since_epoch() -
                         std::chrono::nanoseconds(speeds_.back().measured_at);
        fresh_ = speeds_.back().f32_flops > 0 && age <= kSpeedMaxAge;
      }
    }
    return speeds_.back();
  }
  bool is_old() {
    const std::lock_guard lock(mutex_);
    return !speeds_.empty() && !fresh_;
  }
  void refresh() {
    const engine::MachineSpeed speed =
        engine::known_machine_speed(this_machine(), engine::cache_folder(), kSpeedMaxAge);
    const std::lock_guard lock(mutex_);
    speeds_.push_back(speed);
    fresh_ = true;
  }

private:
  std::mutex mutex_;
  std::deque<engine::MachineSpeed> speeds_;
  bool fresh_ = false;
};

Speeds& speeds() {
  static Speeds all;
  return all;
}

const engine::MachineSpeed& this_speed() { return speeds().get(false); }

} // namespace

bool Workbench::is_speed_old() const { return speeds().is_old(); }

void Workbench::refresh_speed() { speeds().refresh(); }

MachineRates Workbench::rates(const Task& task) {
  MachineRates rates;
  if (!task.target.is_cpu())
    return rates; // estimates are of processors
  const engine::MachineSpeed& speed = speeds().get(options_.kept_speed);
  if (const auto hints = machine_hints_for(task.target, task.threads)) {
    rates.vector_registers = hints->vector_registers;
    const double lanes = hints->vector_bits / 32.0;
    if (speed.f32_flops > 0)
      rates.cycle_ns = 2 * lanes * rates.multiply_adds_per_cycle / speed.f32_flops * 1e9;
    // Dot products of pairs and fours: so many operations each, so many times a cycle.
    if (speed.bf16_flops > 0)
      rates.bf16_dots_per_cycle = speed.bf16_flops * rates.cycle_ns * 1e-9 / (4 * lanes);
    if (speed.int8_ops > 0)
      rates.int8_dots_per_cycle = speed.int8_ops * rates.cycle_ns * 1e-9 / (8 * lanes);
  }
  rates.levels.clear();
  for (size_t i = 0; i + 1 < speed.levels.size(); ++i)
    if (speed.levels[i + 1].bytes_per_s > 0)
      rates.levels.push_back({speed.levels[i].bytes, 64 / speed.levels[i + 1].bytes_per_s * 1e9});
  return rates;
}

const engine::MachineSpeed& Workbench::machine_speed() { return this_speed(); }

TuneOptions Workbench::tune_options(const Task& task) {
  TuneOptions options;
  options.bound_ns = bound_ns(task);
  options.rates = rates(task);
  options.compile_beside =
      task.target.is_cpu() && task.threads <= 1 && machine_speed().bears_company();
  return options;
}

double Workbench::bound_ns(const Task& task) {
  return task.target.is_cpu() ? machine_bound_ns(task, this_speed()) : gpu_floor_ns(task);
}

std::optional<engine::FmaKind> Workbench::bounding_arithmetic(const Task& task) {
  if (!task.target.is_cpu())
    return std::nullopt;
  return tuner::bounding_arithmetic(task, this_speed());
}

Result<database::Environment> Workbench::environment() {
  const engine::Machine& machine = this_machine();
  TEMPER_TRY(gpu, this->gpu());
  if (gpu) {
    const Json stable{{"gpu", gpu->name},
                      {"architecture", gpu->architecture},
                      {"multiprocessors", gpu->multiprocessors},
                      {"memory_bytes", gpu->memory_bytes}};
    database::Environment row;
    row.fingerprint = hash_bytes(stable.dump());
    row.class_name = fmt::format("cuda:{}/{}-{}", gpu->name, gpu->multiprocessors,
                                 hash_to_hex(row.fingerprint).substr(0, 6));
    const engine::EnvironmentFingerprint host = engine::fingerprint(machine);
    row.host = host.detail.value("host", "");
    row.json = Json{{"stable", stable},
                    {"detail",
                     {{"host", row.host}, {"driver", gpu->driver}, {"gpu", engine::to_json(*gpu)}}}}
                   .dump();
    return row;
  }
  const engine::EnvironmentFingerprint print = engine::fingerprint(machine);
  database::Environment row;
  row.fingerprint = print.environment_class;
  TEMPER_TRY(native, codegen::resolve_target({}));
  row.class_name = fmt::format("cpu:{}/{}-{}", native.arch, machine.cores,
                               hash_to_hex(print.environment_class).substr(0, 6));
  row.host = print.detail.value("host", "");
  row.json = Json{{"stable", print.stable}, {"detail", print.detail}}.dump();
  return row;
}

Result<database::Toolchain> Workbench::toolchain() {
  TEMPER_TRY(target, this->target());
  if (!target.is_cpu())
    return gpu_toolchain(target);
  target.threads = 0; // each record has its own
  database::Toolchain row;
  Json json{{"compiler", codegen::compiler_version()}, {"target", target.to_string()}};
  if (const uint64_t added = s_tir::added_tensor_intrinsics_hash(); added != 0)
    json["tensor_intrinsics"] = hash_to_hex(added);
  row.json = json.dump();
  row.id = database::id_of(row);
  return row;
}

Result<database::Toolchain> gpu_toolchain(const ir::Target& gpu) {
  database::Toolchain row;
  const auto compiler = codegen::gpu_compiler_version(gpu);
  row.json =
      Json{{"compiler", compiler ? *compiler
                                 : std::string(tir::is_amd(gpu.arch) ? "no clang 19" : "no NVRTC") +
                                       ", " + codegen::gpu_codegen_version()},
           {"target", gpu.to_string()}}
          .dump();
  row.id = database::id_of(row);
  return row;
}

Result<std::vector<database::Id>> Workbench::fresh_toolchains() {
  TEMPER_TRY(today, this->toolchain());
  // Looked up only where a database has code for a GPU: it loads the compiler.
  const auto is_todays_for_gpu = [](const database::Toolchain& row) {
    const Json json = parse_json(row.json).value_or(Json());
    const auto target = ir::parse_target(json.is_object() ? json.value("target", "") : "");
    if (!target || target->is_cpu())
      return false;
    const auto gpu = gpu_toolchain(*target);
    return gpu && gpu->id == row.id;
  };
  const auto compiler_of = [](const std::string& text) {
    Json json = parse_json(text).value_or(Json());
    if (json.is_object())
      json.erase("target");
    return json;
  };
  return toolchains_like_todays(
      [&, compiler = compiler_of(today.json)](const database::Toolchain& row) {
        return is_external(row) || compiler_of(row.json) == compiler || is_todays_for_gpu(row);
      });
}

Result<std::vector<database::Id>>
Workbench::toolchains_like_todays(const std::function<bool(const database::Toolchain&)>& alike) {
  TEMPER_TRY(today, this->toolchain());
  TEMPER_TRY(store, this->store());
  std::vector<database::Id> found{today.id};
  TEMPER_TRY_VOID(store->each_toolchain([&](const database::Toolchain& row) {
    if (row.id != today.id && alike(row))
      found.push_back(row.id);
    return true;
  }));
  return found;
}

Result<database::RecordFilter> Workbench::comparable() {
  TEMPER_TRY(environment, this->environment());
  database::RecordFilter filter;
  filter.environment_class = environment.class_name;
  filter.regime = to_row(options_.regime);
  // What temper did not make cannot be out of date with temper's compiler.
  TEMPER_TRY(current, toolchains_like_todays(is_external));
  filter.current_toolchains = std::move(current);
  return filter;
}

std::vector<std::string> Workbench::workload_folders() const {
  std::vector<std::string> folders;
  if (const char* text = std::getenv("TEMPER_WORKLOADS"))
    for (std::string& folder : split_text(text, ':'))
      if (!folder.empty())
        folders.push_back(std::move(folder));
  folders.push_back(
      (program_folder() / ".." / "share" / "temper" / "workloads").lexically_normal());
  folders.emplace_back(TEMPER_SOURCE_WORKLOADS);
  return folders;
}

namespace {

constexpr const char* kWorkloadEndings[] = {".py", ".cu"};
bool is_workload_file(const fs::path& file) {
  return std::any_of(std::begin(kWorkloadEndings), std::end(kWorkloadEndings),
                     [&](const char* ending) { return file.extension() == ending; });
}

/// "scale.py:scale" -> file and function; "matmul" -> a file of the folders.
struct Found {
  std::string file;
  std::string function; ///< empty: the file's only one
};

Result<Found> find_workload(const Workbench& bench, const std::string& name) {
  std::string file = name;
  std::string function;
  if (const size_t colon = name.rfind(':'); colon != std::string::npos) {
    file = name.substr(0, colon);
    function = name.substr(colon + 1);
  }
  if (is_workload_file(file) || file.find('/') != std::string::npos) {
    if (!fs::exists(file))
      return Error(ErrorCode::kNotFound, "there is no file '" + file + "'");
    if (fs::is_directory(file))
      return Error(ErrorCode::kInvalidArgument,
                   "'" + file + "' is a folder; name a workload file in it");
    return Found{file, function};
  }
  std::vector<std::string> known;
  for (const std::string& folder : bench.workload_folders()) {
    std::error_code failed;
    for (const char* ending : kWorkloadEndings) {
      const fs::path path = fs::path(folder) / (file + ending);
      if (fs::is_regular_file(path, failed))
        return Found{path.string(), function.empty() ? file : function};
    }
    for (const auto& entry : fs::directory_iterator(folder, failed))
      if (is_workload_file(entry.path()))
        known.push_back(entry.path().stem().string());
  }
  const std::string nearest = nearest_name(file, known);
  return Error(ErrorCode::kNotFound,
               "there is no workload '" + name + "'" +
                   (nearest.empty() ? std::string("; temper list workloads shows them")
                                    : "; did you mean '" + nearest + "'?"));
}

/// A kernel that reads beyond its buffers may compute what is right as long as what lies there
/// suits; nothing measured of it would be worth anything.
Result<void> check_accesses(const ir::IRModule& module, const std::string& path) {
  const auto function =
      module ? module->functions.front().function.as_ref<ir::PrimFuncNode>() : ir::PrimFunc();
  if (!function)
    return {};
  s_tir::register_layer();
  if (const Result<bool> inside = ir::verify_accesses(function); !inside)
    return script::located(inside.error(), path);
  return {};
}

/// Each is of an output, and whole steps where that is of integers.
Result<void> check_output_tolerances(const std::string& file, const std::string& workload,
                                     const std::map<std::string, double>& tolerances,
                                     const std::vector<codegen::ArgumentSpec>& signature) {
  std::vector<std::string> outputs;
  for (const codegen::ArgumentSpec& argument : signature)
    if (argument.is_output)
      outputs.push_back(argument.name);
  for (const auto& [name, allowed] : tolerances) {
    const auto output =
        std::find_if(signature.begin(), signature.end(),
                     [&](const codegen::ArgumentSpec& argument) { return argument.name == name; });
    if (output == signature.end() || !output->is_output)
      return Error(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: {}_workload: tolerance names '{}', which is no output{}; outputs are {}",
                      file, workload, name, script::did_you_mean(name, outputs),
                      join(outputs, ", ")));
    if (!output->dtype.is_floating() && allowed != std::floor(allowed))
      return Error(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: {}_workload: the tolerance of {}, which is of {}, is a number of whole "
                      "steps as 1, not {}",
                      file, workload, name, to_string(output->dtype), allowed));
  }
  return {};
}

Result<Task> make_task(Workbench& bench, const std::string& name, const std::string& file,
                       const std::string& layer, script::Workload workload) {
  Task task;
  task.workload = name;
  std::error_code failed;
  task.source_path = fs::absolute(file, failed).string();
  task.layer = layer;
  task.binding_json = binding_json(workload.parameters).dump();
  Json names = Json::array();
  for (const auto& [parameter, value] : workload.parameters)
    names.push_back(parameter);
  task.parameters_json = names.dump();
  for (const ir::IRModule& module : {workload.module, workload.reference})
    TEMPER_TRY_VOID(check_accesses(module, task.source_path));
  task.module = workload.module;
  task.module_text = script::to_text(task.module);
  task.reference = workload.reference;
  if (task.reference)
    task.reference_text = script::to_text(task.reference);
  task.flops = workload.flops;
  task.bytes = workload.bytes;
  task.inputs = workload.inputs;
  for (const auto& [argument, text] : task.inputs)
    if (const auto distribution = engine::parse_distribution(text); !distribution)
      return Error(distribution.error().code,
                   fmt::format("{}: {}: the inputs of '{}': {}", file, name, argument,
                               distribution.error().message));
  task.tolerance = workload.tolerance.value_or(0);
  task.baselines = workload.baselines;
  const auto function = task.module->functions.front().function.as_ref<ir::PrimFuncNode>();
  if (!function)
    return Error(ErrorCode::kUnsupported, "'" + name + "' is not a prim_func");
  TEMPER_TRY(signature, signature_of(function));
  task.signature = std::move(signature);
  TEMPER_TRY_VOID(
      check_output_tolerances(file, workload.name, workload.output_tolerances, task.signature));
  task.output_tolerances = std::move(workload.output_tolerances);
  if (workload.tolerance == 0) // every output as it is, where 0 of a task leaves it to the types
    for (const codegen::ArgumentSpec& argument : task.signature)
      if (argument.is_output)
        task.output_tolerances.try_emplace(argument.name, 0);
  task.share_besides_padding = share_besides_padding(function, task.flops);
  const Sums sums = sums_of(function);
  task.reduction_length = sums.length;
  for (const auto& [dimension, extent] : ir::extents_of(function))
    task.inputs[dimension] = fmt::format("constant({})", extent);
  // A tile program's sums are in its operators; the reference has them as loops.
  if (task.reference)
    if (const auto reference =
            task.reference->functions.front().function.as_ref<ir::PrimFuncNode>())
      task.reduction_length = std::max(task.reduction_length, sums_of(reference).length);
  // Checking takes 16-bit results as sums in float32 that are rounded once.
  if (sums.narrow && !workload.tolerance)
    task.tolerance = engine::narrow_sum_tolerance(*sums.narrow, task.reduction_length);
  TEMPER_TRY(target, bench.target());
  task.target = target;
  if (!workload.tolerance)
    task.tolerance = std::max(
        task.tolerance, float8_tolerance(function, task.reduction_length, target).value_or(0));
  task.threads = std::max(1, target.threads);
  task.regime = bench.options().regime;
  TEMPER_TRY_VOID(check_memory(task));
  if (target.is_cpu())
    return task;
  TEMPER_TRY_VOID(codegen::check_source_text(task.module, target));
  return bound_task(std::move(task));
}

} // namespace

Result<Task> Workbench::task(const WorkloadArguments& arguments) {
  TEMPER_TRY(found, find_workload(*this, arguments.name));
  TEMPER_TRY(file, script::WorkloadFile::read(found.file));
  TEMPER_TRY(info, file.find(found.function));
  TEMPER_TRY(workload, file.instantiate(info->name, arguments.parameters, arguments.unchecked));
  // What a GPU does in a millisecond takes a reference on the processor minutes: it may be left
  // out.
  TEMPER_TRY(target, ir::parse_target(options_.target));
  if (!target.is_cpu() && arguments.unchecked)
    workload.reference = {};
  return make_task(*this, arguments.name, found.file, info->layer, std::move(workload));
}

Json declared_order(const database::Workload& row) {
  return ordered_binding(row.binding_json, row.parameters_json);
}

/// What a command line would say for a stored workload: by its name, then by the file it was read
/// from, as its name may be a path from another folder than this one.
static std::vector<WorkloadArguments> where_it_is(const database::Workload& row) {
  WorkloadArguments arguments{row.name, {}, row.unchecked};
  const Json binding = declared_order(row);
  for (const auto& [name, value] : binding.items())
    arguments.parameters[name] = value.is_string()    ? value.get<std::string>()
                                 : value.is_boolean() ? (value.get<bool>() ? "True" : "False")
                                                      : value.dump();
  std::vector<WorkloadArguments> places{arguments};
  if (!row.source_path.empty()) {
    const size_t colon = row.name.rfind(':');
    arguments.name =
        row.source_path + (colon == std::string::npos ? std::string() : row.name.substr(colon));
    places.push_back(std::move(arguments));
  }
  return places;
}

/// With what inputs and tolerances the workload's records were checked, of which only its file knew
/// when they were made. Nothing where it has none: then nobody said either.
static Result<void> restore_checking(Workbench& bench, const database::Workload& row,
                                     script::Workload& workload) {
  if (row.id.empty())
    return {};
  TEMPER_TRY(store, bench.store());
  database::RecordFilter filter;
  filter.workloads = {row.id};
  filter.include_stale = true;
  filter.limit = 1;
  TEMPER_TRY(newest, store->list_records(filter));
  if (newest.empty())
    return {};
  TEMPER_TRY(measurement, store->measurement(newest.front().id));
  restore_checking(measurement, workload);
  return {};
}

Result<Task> Workbench::task(const database::Workload& row) {
  if (row.layer == kFunctionLayer || row.layer == kBenchmarkLayer)
    return Error(ErrorCode::kUnsupported,
                 row.name + " has no program here: it is " +
                     (row.layer == kFunctionLayer ? "a function of a library"
                                                  : "a benchmark of another program") +
                     ", which temper bench measures");
  // From its file when that still gives the same program: it knows reference, inputs, tolerance.
  for (const WorkloadArguments& arguments : where_it_is(row))
    if (Result<Task> task = this->task(arguments);
        task && ir::structural_hash(task->module) == row.structural_hash) {
      task->workload = row.name;
      return task;
    }
  const Json binding = declared_order(row);
  TEMPER_TRY(module, script::parse_module(row.program, row.name));
  script::Workload workload;
  workload.name = row.name;
  for (const auto& [name, value] : binding.items()) {
    if (value.is_string())
      workload.parameters.emplace_back(name, value.get<std::string>());
    else if (value.is_boolean())
      workload.parameters.emplace_back(name, value.get<bool>());
    else if (value.is_number_integer())
      workload.parameters.emplace_back(name, value.get<int64_t>());
    else
      workload.parameters.emplace_back(name, value.get<double>());
  }
  workload.module = module;
  if (!row.unchecked)
    workload.reference = module;
  workload.flops = row.flops > 0 ? row.flops : 0;
  workload.bytes = row.bytes > 0 ? row.bytes : 0;
  TEMPER_TRY_VOID(restore_checking(*this, row, workload));
  return make_task(*this, row.name, row.source_path, row.layer, std::move(workload));
}

bool Workbench::is_outdated(const database::Workload& row) {
  if (row.layer == kFunctionLayer || row.layer == kBenchmarkLayer || row.source_path.empty())
    return false;
  for (const WorkloadArguments& arguments : where_it_is(row)) {
    if (!find_workload(*this, arguments.name))
      continue;
    // The first that is there: it is the one that whoever says the name means.
    const Result<Task> task = this->task(arguments);
    return !task || ir::structural_hash(task->module) != row.structural_hash;
  }
  return false;
}

Result<std::vector<WorkloadArguments>> Workbench::shapes(const std::string& name) {
  TEMPER_TRY(found, find_workload(*this, name));
  TEMPER_TRY(file, script::WorkloadFile::read(found.file));
  TEMPER_TRY(info, file.find(found.function));
  std::vector<WorkloadArguments> shapes;
  for (const script::Binding& binding : info->shapes) {
    WorkloadArguments arguments{name, {}, false};
    for (const auto& [parameter, value] : binding)
      arguments.parameters[parameter] = script::to_string(value);
    shapes.push_back(std::move(arguments));
  }
  if (shapes.empty())
    shapes.push_back({name, {}, false});
  return shapes;
}

Result<std::vector<std::string>> Workbench::open_dimensions(const WorkloadArguments& arguments) {
  TEMPER_TRY(found, find_workload(*this, arguments.name));
  TEMPER_TRY(file, script::WorkloadFile::read(found.file));
  TEMPER_TRY(info, file.find(found.function));
  return file.open_dimensions(info->name, arguments.parameters);
}

Result<std::vector<std::string>> Workbench::parameters(const std::string& name) {
  TEMPER_TRY(found, find_workload(*this, name));
  TEMPER_TRY(file, script::WorkloadFile::read(found.file));
  TEMPER_TRY(info, file.find(found.function));
  std::vector<std::string> names;
  for (const script::WorkloadParameter& parameter : info->parameters)
    names.push_back(parameter.name);
  return names;
}

Result<std::vector<Workbench::KnownWorkload>> Workbench::known_workloads() {
  std::vector<KnownWorkload> known;
  std::vector<std::string> seen;
  for (const std::string& folder : workload_folders()) {
    std::error_code failed;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder, failed))
      if (is_workload_file(entry.path()))
        files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& path : files) {
      const std::string stem = path.stem().string();
      if (std::find(seen.begin(), seen.end(), stem) != seen.end())
        continue; // an earlier folder's file of that name is the one that is meant
      seen.push_back(stem);
      Result<script::WorkloadFile> file = script::WorkloadFile::read(path);
      if (!file)
        return std::move(file).error();
      for (const script::WorkloadInfo& info : file->workloads()) {
        KnownWorkload workload;
        workload.name = info.name == stem ? stem : stem + ":" + info.name;
        workload.file = path.string();
        workload.layer = info.layer;
        for (const script::WorkloadParameter& parameter : info.parameters)
          workload.parameters.push_back(parameter.name);
        workload.flops = info.flops;
        workload.bytes = info.bytes;
        known.push_back(std::move(workload));
      }
    }
  }
  return known;
}

Result<engine::CompilePool*> Workbench::compilers() {
  if (!compilers_) {
    engine::CompilePoolOptions options;
    TEMPER_TRY(program, find_helper_program("temper-compiler"));
    options.program = program;
    options.workers = options_.jobs > 0
                          ? options_.jobs
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    options.deadline_ms = 30'000;
    TEMPER_TRY(pool, engine::CompilePool::start(std::move(options)));
    compilers_ = std::move(pool);
  }
  return compilers_.get();
}

Result<engine::Measurer*> Workbench::measurer() {
  TEMPER_TRY(gpu, this->gpu());
  std::unique_ptr<engine::Measurer>& known = measurers_[gpu ? gpu->index : -1];
  if (!known) {
    engine::LocalMeasurerOptions options;
    if (options_.workloads_kept > 0)
      options.workloads_kept = options_.workloads_kept;
    if (gpu) {
      options.gpu = gpu->index;
      options.lock_path += fmt::format(".gpu{}", gpu->index);
    }
    TEMPER_TRY(measurer, engine::LocalMeasurer::start(std::move(options)));
    known = std::move(measurer);
  }
  return known.get();
}

Result<Devices> Workbench::devices() {
  TEMPER_TRY(store, this->store());
  TEMPER_TRY(compilers, this->compilers());
  TEMPER_TRY(measurer, this->measurer());
  TEMPER_TRY(environment, this->environment());
  return Devices{store, measurer, compilers, environment.class_name};
}

Result<database::Run> Workbench::new_run(const Task& task) {
  TEMPER_TRY_VOID(check_host(task));
  TEMPER_TRY(store, this->store());
  TEMPER_TRY(environment, this->environment());
  TEMPER_TRY(toolchain, this->toolchain());
  database::Run run;
  TEMPER_TRY(workload, store->add(workload_row(task)));
  run.workload = workload;
  run.target = task.target.to_string();
  TEMPER_TRY(environment_id, store->add(environment));
  run.environment = environment_id;
  TEMPER_TRY(toolchain_id, store->add(toolchain));
  run.toolchain = toolchain_id;
  run.options_json =
      Json{{"cache", engine::to_string(task.regime)}, {"temper", version_text()}}.dump();
  return run;
}

Result<std::shared_ptr<const codegen::Artifact>> Workbench::compile(const Task& task,
                                                                    const std::string& trace_json) {
  TEMPER_TRY(artifact, compile_request(candidate_request(task, trace_json)));
  return std::shared_ptr<const codegen::Artifact>(
      std::make_shared<codegen::Artifact>(std::move(artifact)));
}

Result<std::shared_ptr<const codegen::Artifact>> Workbench::compile_reference(const Task& task) {
  TEMPER_TRY(artifact, compile_request(reference_request(task)));
  return std::shared_ptr<const codegen::Artifact>(
      std::make_shared<codegen::Artifact>(std::move(artifact)));
}

Result<std::shared_ptr<const codegen::Artifact>> Workbench::kept_code(const database::Id& record) {
  TEMPER_TRY(store, this->store());
  TEMPER_TRY(kept, store->artifact_of(record));
  TEMPER_TRY(artifact, artifact_from_row(kept));
  return std::shared_ptr<const codegen::Artifact>(
      std::make_shared<codegen::Artifact>(std::move(artifact)));
}

Result<std::shared_ptr<const codegen::Artifact>>
Workbench::code_of(const Task& task, const database::RecordRow& record) {
  auto kept = kept_code(record.id);
  if (kept || kept.error().code != ErrorCode::kNotFound)
    return kept;
  TEMPER_TRY(store, this->store());
  TEMPER_TRY(candidate, store->candidate(record.candidate));
  return compile(task, candidate.program);
}

Result<engine::WorkloadId> Workbench::prepare(const Task& task, uint64_t seed) {
  TEMPER_TRY_VOID(check_host(task));
  TEMPER_TRY(measurer, this->measurer());
  std::shared_ptr<const codegen::Artifact> reference;
  if (task.reference) {
    TEMPER_TRY(compiled, compile_reference(task));
    reference = compiled;
  }
  engine::WorkloadSpec spec = workload_spec(task, reference, seed);
  spec.reference_timeout_ms = static_cast<int>(options_.limit_seconds * 1e3);
  return measurer->add_workload(std::move(spec));
}

Result<engine::Measurement> Workbench::measure_on(engine::WorkloadId prepared, const Task& task,
                                                  std::shared_ptr<const codegen::Artifact> artifact,
                                                  int timeout_ms, const engine::StopRule& rule) {
  TEMPER_TRY(measurer, this->measurer());
  engine::MeasureRequest request;
  request.rule = rule;
  request.workload = prepared;
  request.artifact = std::move(artifact);
  request.regime = task.regime;
  request.threads = task.threads;
  request.timeout_ms = timeout_ms;
  request.check = task.reference != nullptr;
  const engine::Ticket ticket = measurer->submit(std::move(request));
  while (true) {
    for (engine::FinishedMeasurement& done : measurer->poll(500))
      if (done.ticket == ticket)
        return std::move(done.measurement);
    if (measurer->pending() == 0)
      return Error(ErrorCode::kEnvironment, "the measuring device lost a measurement");
  }
}

Result<engine::Measurement> Workbench::measure(const Task& task,
                                               std::shared_ptr<const codegen::Artifact> artifact,
                                               uint64_t seed) {
  TEMPER_TRY(measurer, this->measurer());
  TEMPER_TRY(prepared, prepare(task, seed));
  auto measurement = measure_on(prepared, task, std::move(artifact),
                                static_cast<int>(options_.limit_seconds * 1e3));
  measurer->remove_workload(prepared);
  return measurement;
}

Result<engine::Comparison> Workbench::compare_on(engine::WorkloadId prepared, const Task& task,
                                                 std::vector<engine::Contender> contenders,
                                                 double max_seconds) {
  TEMPER_TRY(measurer, this->measurer());
  for (engine::Contender& contender : contenders)
    contender.check &= task.reference != nullptr;
  engine::CompareRequest request;
  request.workload = prepared;
  request.regime = task.regime;
  request.max_seconds = max_seconds;
  request.half_width = engine::kComparedHalfWidth;
  request.contenders = std::move(contenders);
  return measurer->compare(request);
}

Result<engine::Comparison> Workbench::compare(const Task& task,
                                              std::vector<engine::Contender> contenders,
                                              double max_seconds) {
  TEMPER_TRY(measurer, this->measurer());
  TEMPER_TRY(prepared, prepare(task, 3));
  auto comparison = compare_on(prepared, task, std::move(contenders), max_seconds);
  measurer->remove_workload(prepared);
  return comparison;
}

} // namespace temper::tuner
