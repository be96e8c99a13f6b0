#include "tuner/export.h"

#include "engine/arguments.h"
#include "engine/compare.h"
#include "ir/extents.h"
#include "ir/narrow.h"
#include "ir/support/json.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "tuner/emulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <random>
#include <set>
#include <span>
#include <sys/mman.h>
#include <unistd.h>

namespace temper::tuner {
namespace {

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

Memory allocate(int64_t bytes) {
  const size_t rounded = (static_cast<size_t>(std::max<int64_t>(bytes, 1)) + 63) / 64 * 64;
  return Memory(std::aligned_alloc(codegen::kArgumentAlignment, rounded));
}

ir::PrimFunc function_of(const Task& task) {
  return task.module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

/// The task's signature as callers have it: a symbolic dimension is an argument behind the others.
/// Which extent it was timed at does not matter to them.
Result<std::vector<codegen::ArgumentSpec>> callers_signature(const Task& task) {
  std::vector<codegen::ArgumentSpec> signature = task.signature;
  const ir::PrimFunc function = function_of(task);
  const std::vector<ir::Var>& dimensions = function->shape_vars;
  std::vector<bool> given(dimensions.size(), false);
  for (size_t i = 0; i < function->params.size(); ++i) {
    if (!function->params[i].buffer)
      continue;
    const ir::Buffer buffer = ir::storage_buffer(function->params[i].buffer);
    for (size_t d = 0; d < buffer->shape.size(); ++d) {
      if (ir::as_int(buffer->shape[d]))
        continue;
      size_t which = 0;
      while (which < dimensions.size() && ir::Expr(dimensions[which]) != buffer->shape[d])
        ++which;
      if (which == dimensions.size())
        return Error(ErrorCode::kUnsupported,
                     fmt::format("dimension {} of {} is computed from symbolic dimensions, so it "
                                 "cannot be taken from a tensor's shape; make it a dimension of "
                                 "its own",
                                 d, signature[i].name));
      given[which] = true;
      signature[i].shape[d] = -1 - static_cast<int64_t>(function->params.size() + which);
    }
  }
  for (size_t i = 0; i < dimensions.size(); ++i)
    if (!given[i])
      return Error(ErrorCode::kUnsupported, "no argument has the dimension " + dimensions[i]->name +
                                                ", so its extent cannot be taken from a shape");
  return signature;
}

std::string function_name(const Task& task, const ExportItem& item) {
  if (!item.name.empty())
    return item.name;
  std::vector<int64_t> sizes;
  const Json binding = parse_json(task.binding_json).value_or(Json::object());
  const ir::Extents extents = ir::extents_of(function_of(task));
  for (const auto& [name, value] : binding.items())
    if (value.is_number_integer() &&
        std::none_of(extents.begin(), extents.end(),
                     [&name = name](const auto& entry) { return entry.first == name; }))
      sizes.push_back(value.get<int64_t>());
  std::string workload = task.workload;
  if (const size_t colon = workload.rfind(':'); colon != std::string::npos)
    workload = workload.substr(colon + 1);
  workload = std::filesystem::path(workload).stem().string();
  std::string name = codegen::default_function_name(workload, task.signature, sizes);
  if (const std::vector<std::string> constants = task.constants(); !constants.empty())
    name += "_constant_" + join(constants, "_");
  return name;
}

/// The reference program in this process: it was compiled from text that the user trusts.
Result<void> run_reference(const codegen::Artifact& artifact, std::vector<void*>& arguments) {
  const int file = memfd_create("temper-reference", MFD_CLOEXEC);
  if (file < 0 || write(file, artifact.code.data(), artifact.code.size()) !=
                      static_cast<ssize_t>(artifact.code.size())) {
    if (file >= 0)
      close(file);
    return Error(ErrorCode::kEnvironment, "cannot load the reference: no memory for its code");
  }
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  close(file);
  if (library == nullptr)
    return Error(ErrorCode::kFailed, std::string("cannot load the reference: ") + dlerror());
  using Entry = int32_t (*)(void* const*);
  const auto entry = reinterpret_cast<Entry>(dlsym(library, artifact.entry.c_str()));
  const int32_t code = entry != nullptr ? entry(arguments.data()) : -1;
  dlclose(library);
  if (code != 0)
    return Error(ErrorCode::kFailed, "the reference returned " + std::to_string(code));
  return {};
}

/// Calls an exported kernel, and before it the functions behind it that pack its operands, on
/// inputs of its own and compares with the reference program.
Result<void> verify(Workbench& bench, const std::filesystem::path& library,
                    const codegen::Artifact& artifact,
                    std::span<const codegen::ExportedFunction> functions, const Task& task,
                    uint64_t seed) {
  if (!task.reference)
    return {};
  TEMPER_TRY(reference, bench.compile_reference(task));
  std::vector<Memory> memory;
  std::vector<void*> exported_arguments;
  std::vector<void*> reference_arguments;
  for (size_t i = 0; i < task.signature.size(); ++i) {
    const codegen::ArgumentSpec& argument = task.signature[i];
    const auto named = task.inputs.find(argument.name);
    TEMPER_TRY(distribution,
               engine::parse_distribution(named == task.inputs.end() ? "normal" : named->second));
    const auto filled = [&](const codegen::ArgumentSpec& spec) {
      memory.push_back(allocate(spec.byte_count()));
      auto* bytes = static_cast<std::byte*>(memory.back().get());
      if (argument.is_output && named == task.inputs.end())
        std::memset(bytes, 0xff, static_cast<size_t>(spec.byte_count())); // NaN, or -1
      else
        engine::fill({bytes, static_cast<size_t>(spec.byte_count())}, spec.dtype, distribution,
                     engine::argument_seed(seed, static_cast<int>(i)));
      return static_cast<void*>(bytes);
    };
    exported_arguments.push_back(filled(argument));
    reference_arguments.push_back(argument.is_output ? filled(reference->signature[i])
                                                     : exported_arguments.back());
  }
  TEMPER_TRY_VOID(run_reference(*reference, reference_arguments));
  std::vector<codegen::ArgumentSpec> signature = task.signature;
  // Extents are in the shapes there.
  signature.resize(function_of(task)->params.size());
  exported_arguments.resize(signature.size());
  for (size_t step = 0; step < artifact.packs.size(); ++step) {
    const codegen::PackStep& pack = artifact.packs[step];
    const auto i = static_cast<size_t>(pack.argument);
    codegen::ArgumentSpec written = pack.packed;
    written.is_output = true;
    memory.push_back(allocate(written.byte_count()));
    void* packed = memory.back().get();
    std::memset(packed, 0xff, static_cast<size_t>(written.byte_count()));
    TEMPER_TRY_VOID(codegen::call_exported(library, functions[step + 1].name,
                                           {task.signature[i], written},
                                           {exported_arguments[i], packed}));
    signature[i] = pack.packed;
    exported_arguments[i] = packed;
  }
  TEMPER_TRY_VOID(
      codegen::call_exported(library, functions[0].name, signature, exported_arguments));
  for (size_t i = 0; i < task.signature.size(); ++i) {
    const codegen::ArgumentSpec& argument = task.signature[i];
    if (!argument.is_output)
      continue;
    const codegen::ArgumentSpec& wide = reference->signature[i];
    const std::span<const std::byte> right{static_cast<const std::byte*>(reference_arguments[i]),
                                           static_cast<size_t>(wide.byte_count())};
    const engine::Reference expected{right, wide.dtype, engine::reference_scale(right, wide.dtype)};
    const double tolerance =
        engine::tolerance_of(task.tolerance, task.output_tolerances, argument.name, argument.dtype,
                             task.reduction_length);
    if (const auto worst = engine::compare({static_cast<const std::byte*>(exported_arguments[i]),
                                            static_cast<size_t>(argument.byte_count())},
                                           argument.dtype, expected, tolerance))
      return Error(ErrorCode::kFailed,
                   fmt::format("{}[{}] is {:.9g} where the reference has {:.9g}", argument.name,
                               worst->index, worst->got, worst->expected));
  }
  return {};
}

} // namespace

/// What code for a GPU takes for granted of its arrays: vectors, asynchronous copies and tensor
/// maps of 16 bytes. Whatever allocates on a GPU gives 256.
static constexpr int kGpuAlignment = 16;

/// Nothing here runs a GPU's code before it is exported.
static Result<void> check_gpu_code(const database::RecordRow& record, const ir::Target& target) {
  using database::Outcome;
  if (target.is_cpu())
    return {};
  if (tir::is_amd(target.arch))
    return Error(ErrorCode::kUnsupported,
                 "record " + record.id + " is for " + target.to_string() +
                     ", and a library loads its kernels by NVIDIA's driver");
  const bool right = record.outcome == Outcome::kOk || record.outcome == Outcome::kChecked ||
                     record.outcome == Outcome::kCensored ||
                     record.outcome == Outcome::kDisturbed ||
                     record.outcome == Outcome::kUnbelievable;
  if (!right)
    return Error(ErrorCode::kUnsupported,
                 "record " + record.id + " is not known to be right (" +
                     database::to_string(record.outcome) +
                     "), and nothing here runs it; measure it on a GPU first, with: temper rerun " +
                     record.id);
  return {};
}

Result<ExportOutcome> export_records(Workbench& bench, const std::string& name,
                                     const std::vector<ExportItem>& items,
                                     const codegen::ExportOptions& options) {
  TEMPER_TRY(store, bench.store());
  std::vector<codegen::ExportFunction> functions;
  std::vector<Task> tasks;
  std::set<std::string> names;
  for (const ExportItem& item : items) {
    TEMPER_TRY(workload, store->workload(item.record.workload));
    TEMPER_TRY(task, bench.task(workload));
    TEMPER_TRY(target, ir::parse_target(item.record.target));
    TEMPER_TRY_VOID(check_gpu_code(item.record, target));
    task.target = target;
    task.threads = item.record.threads;
    TEMPER_TRY(candidate, store->candidate(item.record.candidate));
    TEMPER_TRY(artifact, bench.compile(task, candidate.program));
    codegen::ExportFunction function;
    function.name = function_name(task, item);
    // Two records of one workload (other threads, say) must not share a name.
    for (int suffix = 2; !names.insert(function.name).second; ++suffix)
      function.name = function_name(task, item) + "_" + std::to_string(suffix);
    function.artifact = *artifact;
    if (!target.is_cpu())
      function.alignment = kGpuAlignment;
    else
      TEMPER_TRY_VOID(refuse_faulty(task));
    auto signature = callers_signature(task);
    if (!signature)
      return std::move(signature).error().with_note("in " + task.title());
    function.artifact.signature = std::move(*signature);
    function.summary = task.title();
    // Which extent it was tuned at is no property of what it computes.
    for (const auto& [dimension, extent] : ir::extents_of(function_of(task))) {
      const std::string words = fmt::format(" {}={}", dimension, extent);
      if (const size_t place = function.summary.rfind(words); place != std::string::npos)
        function.summary.erase(place, words.size());
      function.summary += fmt::format(", tuned at {}={}", dimension, extent);
    }
    function.provenance = Json{{"record", item.record.id},
                               {"workload", task.workload},
                               {"binding", parse_json(task.binding_json).value_or(Json::object())},
                               {"target", item.record.target},
                               {"threads", item.record.threads},
                               {"environment", item.record.environment_class},
                               {"toolchain", item.record.toolchain},
                               {"median_ns", item.record.median_ns},
                               {"unchecked", item.record.unchecked},
                               {"trace", parse_json(candidate.program).value_or(Json())}};
    functions.push_back(std::move(function));
    tasks.push_back(std::move(task));
  }
  // What fails its check is never seen under the library's name, and an older library stays.
  std::error_code failed;
  const bool is_new = std::filesystem::create_directories(options.directory, failed);
  if (failed)
    return Error(ErrorCode::kEnvironment, "cannot make the folder '" + options.directory.string() +
                                              "': " + failed.message());
  codegen::ExportOptions unverified = options;
  unverified.directory /= "." + name + ".unverified";
  struct Cleaner {
    std::filesystem::path staging;
    std::filesystem::path empty; // is removed when it is
    ~Cleaner() {
      std::error_code ignored;
      std::filesystem::remove_all(staging, ignored);
      if (!empty.empty())
        std::filesystem::remove(empty, ignored);
    }
  } cleaner{unverified.directory, is_new ? options.directory : ""};
  TEMPER_TRY(exported, codegen::export_library(name, functions, unverified));
  std::random_device entropy;
  const auto is_gpu = [&](size_t i) {
    return functions[i].artifact.kind == codegen::ArtifactKind::kCubin;
  };
  size_t at = 0; // each kernel is followed by what packs its operands
  for (size_t i = 0; i < functions.size(); ++i) {
    const codegen::Artifact& artifact = functions[i].artifact;
    const auto parts = std::span(exported.functions).subspan(at, artifact.packs.size() + 1);
    at += parts.size();
    if (is_gpu(i))
      continue; // nothing here runs it; its record says that it was checked by emulation
    if (auto verified = verify(bench, exported.library, artifact, parts, tasks[i], entropy());
        !verified)
      return std::move(verified).error().with_note("in the exported function " + functions[i].name +
                                                   "; no library is written");
  }
  ExportOutcome outcome;
  for (const std::filesystem::path& file : exported.files) {
    outcome.files.push_back(options.directory / file.filename());
    std::filesystem::rename(file, outcome.files.back(), failed);
    if (failed)
      return Error(ErrorCode::kEnvironment,
                   "cannot write '" + outcome.files.back().string() + "': " + failed.message());
  }
  at = 0;
  for (size_t i = 0; i < functions.size(); ++i)
    for (size_t part = 0; part <= functions[i].artifact.packs.size(); ++part, ++at)
      outcome.functions.push_back({exported.functions[at].name, exported.functions[at].signature,
                                   items[i].record.id, tasks[i].reference && !is_gpu(i),
                                   is_gpu(i)});
  return outcome;
}

} // namespace temper::tuner
