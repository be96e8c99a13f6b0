#include "tuner/emulation.h"

#include "engine/arguments.h"
#include "engine/compare.h"
#include "ir/s_tir/layer.h"
#include "ir/script/diagnostic.h"
#include "ir/script/knobs.h"
#include "ir/script/printer.h"
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/emulator/thread_loops.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/lower_tiles.h"
#include "ir/tir/source_kernel.h"
#include "ir/verify.h"
#include "ir/walk.h"

#include <fmt/format.h>

namespace temper::tuner {
namespace {

using engine::Outcome;

ir::PrimFunc function_of(const ir::IRModule& module) {
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

/// What one argument holds, for the interpreters.
struct Argument {
  std::vector<std::byte> bytes;
  codegen::ArgumentSpec spec;

  ir::InterpretArgument view() {
    return ir::ArrayView{spec.dtype, bytes.data(), spec.element_count(), spec.shape,
                         !spec.is_output};
  }
};

Result<std::vector<Argument>> filled_arguments(const Task& task, const engine::InputSet& set) {
  std::vector<Argument> arguments;
  for (size_t i = 0; i < task.signature.size(); ++i) {
    Argument argument;
    argument.spec = task.signature[i];
    if (!argument.spec.is_buffer)
      return Error(ErrorCode::kUnsupported, "it has scalar arguments");
    argument.bytes.resize(static_cast<size_t>(argument.spec.byte_count()));
    const auto named = set.distributions.find(argument.spec.name);
    if (!argument.spec.is_output || named != set.distributions.end()) {
      TEMPER_TRY(distribution, engine::parse_distribution(named != set.distributions.end()
                                                              ? named->second
                                                              : set.default_distribution));
      engine::fill(argument.bytes, argument.spec.dtype, distribution,
                   engine::argument_seed(set.seed, static_cast<int>(i)));
      argument.spec.is_output = false; // it holds values
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

std::vector<ir::InterpretArgument> views(std::vector<Argument>& arguments) {
  std::vector<ir::InterpretArgument> list;
  for (Argument& argument : arguments)
    list.push_back(argument.view());
  return list;
}

/// Puts lines of T.print behind `text`, which says who wrote them.
std::function<void(const std::string&)> noted_in(std::string& text) {
  return [&text](const std::string& line) {
    text += text.empty() ? "the kernel wrote:\n" + line : line;
  };
}

/// Of a program for a CPU: some seconds.
constexpr int64_t kInterpretedSteps = int64_t{1} << 26;

double work_of(const Task& task) {
  double work = task.flops;
  for (const codegen::ArgumentSpec& argument : task.signature)
    work += 8 * static_cast<double>(argument.element_count());
  return work;
}

/// What blocks drawn by chance wrote, against the reference's results, which the measuring program
/// has.
Result<void> compare_sampled(Workbench& bench, engine::WorkloadId prepared, size_t set,
                             const Task& task, const tir::EmulateReport& report,
                             const std::vector<Argument>& arguments, EmulatedCheck& check) {
  TEMPER_TRY(measurer, bench.measurer());
  bool any = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const codegen::ArgumentSpec& spec = task.signature[i];
    const auto written = report.written.find(spec.name);
    if (!spec.is_output || written == report.written.end() || written->second.empty())
      continue;
    any = true;
    const auto size = static_cast<size_t>(spec.dtype.element_bytes());
    std::vector<std::byte> got;
    std::vector<int64_t> elements;
    for (const auto& [begin, end] : written->second) {
      const std::byte* first = arguments[i].bytes.data() + static_cast<size_t>(begin) * size;
      got.insert(got.end(), first, first + static_cast<size_t>(end - begin) * size);
      for (int64_t element = begin; element < end; ++element)
        elements.push_back(element);
    }
    TEMPER_TRY(values,
               measurer->reference_values(prepared, set, static_cast<int>(i), written->second));
    if (auto worst =
            engine::compare(got, spec.dtype, {values.bytes, values.type, values.scale},
                            engine::tolerance_of(task.tolerance, task.output_tolerances, spec.name,
                                                 spec.dtype, task.reduction_length))) {
      worst->argument = spec.name;
      worst->index = elements[static_cast<size_t>(worst->index)];
      check.worst = worst;
      check.outcome = Outcome::kWrongResult;
    }
  }
  if (!any) {
    check.outcome = Outcome::kWrongResult;
    check.error = "the blocks that were run wrote nothing";
  }
  return {};
}

/// What kind of mistake the emulator's sentence is about.
std::string finding_of(const std::string& message) {
  static constexpr std::pair<const char*, const char*> kKinds[] = {
      {"race on ", "race"},
      {"different values to ", "race"},
      {"deadlock", "deadlock"},
      {"divergent ", "divergence"},
      {" that was never written", "read before writing"},
      {"was last written through another buffer", "overlapping buffers"},
      {" outside ", "out of bounds"},
      {"the results depend on timing", "depends on timing"},
      {"assertion failed", "assertion failed"},
  };
  for (const auto& [part, kind] : kKinds)
    if (message.find(part) != std::string::npos)
      return kind;
  return "faulty";
}

/// The emulator gave up on the program, or found something: what that says of it.
void note_error(const Error& error, const EmulatedProgram& program, EmulatedCheck& check) {
  const bool endless = tir::did_not_end(error);
  if (error.code == ErrorCode::kUnsupported ||
      (endless && check.compiled && check.outcome != Outcome::kTimedOut)) {
    check.not_interpreted = error.message;
    if (!check.compiled)
      check.error = program.why_interpreted + "; " + error.message;
    return;
  }
  check.interpreted = true;
  check.outcome = endless ? Outcome::kTimedOut : Outcome::kWrongResult;
  check.finding = endless ? "" : finding_of(error.message);
  check.worst.reset();
  check.error = error.message;
}

/// So many blocks of the program, drawn by `seed`, are run warp by warp; or why none are.
Result<void> sample_threads(Workbench& bench, engine::WorkloadId prepared, const Task& task,
                            const EmulatedProgram& program, uint64_t seed, double limit_seconds,
                            EmulatedCheck& check) {
  const auto no = [&](const std::string& why) {
    check.not_interpreted =
        "the shape is too large to run all of it warp by warp, " + why + "; check a smaller one";
    if (check.compiled)
      return Result<void>();
    check.outcome = Outcome::kNotChecked;
    check.error = program.why_interpreted + "; " + check.not_interpreted;
    return Result<void>();
  };
  const ir::PrimFunc function = function_of(program.flat);
  bool adds = false;
  ir::walk(function->body, [&](const ir::NodeRef& node) {
    const auto* call = node.as<ir::Call>();
    adds |= call != nullptr && call->op.starts_with("atomic_");
    return !adds;
  });
  if (program.needs.kernels != 1)
    return no("and its kernels read what all blocks of others wrote");
  if (adds)
    return no("and its blocks add to the same elements");
  if (program.needs.blocks == 0)
    return no("and its grid is not constant");
  const double of_block = task.flops / static_cast<double>(program.needs.blocks);
  const double most = check.compiled ? kSampledForRaces : kSampledWork;
  const auto blocks =
      std::min(kSampledBlocks, static_cast<int64_t>(most / std::max(of_block, 1.0)));
  if (blocks < 1)
    return no(fmt::format("and a single block of it does {:.2g} operations", of_block));
  const std::vector<engine::InputSet> sets = engine::default_input_sets(seed, task.inputs);
  auto arguments = filled_arguments(task, sets.back()); // exact sums
  if (!arguments)
    return no("and " + arguments.error().message);
  tir::EmulateOptions options;
  options.sample = blocks;
  options.sample_seed = seed;
  options.max_steps = int64_t{1} << 40;
  options.max_seconds = limit_seconds;
  std::string again; // compiled loops have printed the same
  options.print = noted_in(check.compiled ? again : check.printed);
  auto report = tir::emulate_thoroughly(function, views(*arguments), options);
  if (!report)
    note_error(report.error(), program, check);
  else
    check.interpreted = true;
  if (check.interpreted)
    (check.compiled ? check.raced_blocks : check.sampled_blocks) = report ? report->blocks : blocks;
  if (!report)
    return {};
  for (const tir::SharedAccess& access : report->conflicts())
    check.conflicts.push_back(access.to_string());
  if (check.compiled)
    return {}; // the values were compared already
  check.outcome = Outcome::kOk;
  if (!task.reference)
    return {};
  return compare_sampled(bench, prepared, sets.size() - 1, task, *report, *arguments, check);
}

/// Warp by warp: what is found, and the outputs against the reference's.
Result<void> interpret_threads(const Task& task, const EmulatedProgram& program,
                               double limit_seconds, EmulatedCheck& check) {
  const engine::InputSet set = engine::default_input_sets(1, task.inputs).back(); // exact sums
  auto arguments = filled_arguments(task, set);
  if (!arguments) {
    check.not_interpreted = arguments.error().message;
    if (!check.compiled)
      check.error = program.why_interpreted + "; " + check.not_interpreted;
    return {};
  }
  tir::EmulateOptions options;
  options.max_seconds = limit_seconds;
  std::string again; // compiled loops have printed the same
  options.print = noted_in(check.compiled ? again : check.printed);
  auto report = tir::emulate_thoroughly(function_of(program.flat), views(*arguments), options);
  if (!report) {
    note_error(report.error(), program, check);
    return {};
  }
  check.interpreted = true;
  for (const tir::SharedAccess& access : report->conflicts())
    check.conflicts.push_back(access.to_string());
  if (check.compiled)
    return {}; // the values were compared already
  if (!task.reference) {
    check.outcome = Outcome::kOk;
    return {};
  }
  TEMPER_TRY(expected, filled_arguments(task, set));
  const ir::PrimFunc reference = function_of(task.reference);
  TEMPER_TRY(meaning, tir::tile_meaning(reference));
  ir::InterpretOptions silent;
  silent.print = [](const std::string&) {};
  TEMPER_TRY_VOID(ir::interpret(meaning, views(expected), silent));
  check.outcome = Outcome::kOk;
  for (size_t i = 0; i < arguments->size(); ++i) {
    const codegen::ArgumentSpec& spec = task.signature[i];
    if (!spec.is_output)
      continue;
    const std::vector<std::byte>& right = expected[i].bytes;
    const engine::Reference known{right, spec.dtype, engine::reference_scale(right, spec.dtype)};
    if (auto worst =
            engine::compare((*arguments)[i].bytes, spec.dtype, known,
                            engine::tolerance_of(task.tolerance, task.output_tolerances, spec.name,
                                                 spec.dtype, task.reduction_length))) {
      worst->argument = spec.name;
      check.worst = worst;
      check.outcome = Outcome::kWrongResult;
    }
  }
  return {};
}

} // namespace

Result<Task> bound_task(Task task) {
  const size_t dimensions = function_of(task.module)->shape_vars.size();
  if (dimensions == 0)
    return task;
  TEMPER_TRY(module, script::bound_to_extents(task.module));
  task.module = module;
  task.module_text = script::to_text(task.module);
  for (size_t i = 0; i < dimensions; ++i) {
    task.inputs.erase(task.signature.back().name);
    task.signature.pop_back();
  }
  if (task.reference) {
    const ir::PrimFunc reference = function_of(task.reference);
    task.reference = ir::with_function(
        task.reference, reference->name, ir::copy_node(*reference, [&](ir::PrimFuncNode& node) {
          node.params.erase(node.params.end() - static_cast<std::ptrdiff_t>(dimensions),
                            node.params.end());
        }));
    task.reference_text = script::to_text(task.reference);
  }
  return task;
}

Result<EmulatedProgram> emulated_program(const ir::IRModule& module, const ir::Target& gpu) {
  EmulatedProgram program;
  TEMPER_TRY(flat, codegen::lower_for_gpu(module, gpu));
  program.flat = std::move(flat);
  const ir::PrimFunc function = function_of(program.flat);
  program.needs = codegen::gpu_needs(function);
  program.only_on_gpu = program.why_interpreted = tir::only_on_gpu(function->body);
  if (!program.only_on_gpu.empty())
    return program;
  if (const auto loops = tir::thread_loops(function); !loops)
    program.why_interpreted = loops.error().message;
  ir::walk(function->body, [&](const ir::NodeRef& node) {
    const auto* call = node.as<ir::Call>();
    if (call != nullptr && call->op == "amd_mfma")
      program.not_by_warps = "waves of 64 threads are run as loops, and not one by one";
    return program.not_by_warps.empty();
  });
  return program;
}

static bool accesses_are_proven(const Task& task) {
  s_tir::register_layer();
  const Result<bool> proven = ir::verify_accesses(function_of(task.module));
  return proven && *proven;
}

/// `proven`: its accesses. What is proven needs no look; assertions, and elements that are read
/// before they are written, are looked for where it takes little.
static MeaningCheck meaning_of(const Task& task, const ir::IRModule& module, bool proven) {
  MeaningCheck check;
  const ir::PrimFunc function = function_of(module);
  check.looked = proven;
  if (work_of(task) > kInterpretedWork)
    return check;
  auto arguments = filled_arguments(task, engine::default_input_sets(1, task.inputs).back());
  if (!arguments)
    return check;
  ir::InterpretOptions silent; // machine code has printed the same
  silent.print = [](const std::string&) {};
  silent.max_steps = kInterpretedSteps;
  const auto done = ir::interpret(function, views(*arguments), silent);
  // Longer than that it may be: its machine code has come to an end, or said that it did not.
  const bool gave_up = !done && tir::did_not_end(done.error());
  const bool looked = done || (done.error().code == ErrorCode::kFailed && !gave_up);
  if (looked && !done)
    check.found = done.error().message;
  check.looked |= looked;
  return check;
}

MeaningCheck check_meaning(const Task& task) {
  return meaning_of(task, task.module, accesses_are_proven(task));
}

std::string check_reference(const Task& task, bool suspect) {
  constexpr double kQuickWork = kInterpretedWork / 10;
  if (!task.reference || task.reference == task.module || (!suspect && work_of(task) > kQuickWork))
    return {};
  s_tir::register_layer();
  return meaning_of(task, task.reference, false).found;
}

Result<void> refuse_faulty(const Task& task) {
  if (accesses_are_proven(task))
    return {};
  const MeaningCheck meaning = meaning_of(task, task.module, false);
  if (meaning.found.empty())
    return {};
  return script::located(Error(ErrorCode::kFailed, meaning.found), task.source_path);
}

std::string gpu_code_text(const codegen::StaticFacts& facts, const ir::Target& gpu) {
  return fmt::format("{} registers, {} {} on a {} (by its {})", facts.registers,
                     facts.resident_blocks, facts.resident_blocks == 1 ? "block" : "blocks",
                     tir::processor_name(gpu.arch), facts.limited_by);
}

Result<EmulatedCheck> check_emulated(Workbench& bench, engine::WorkloadId prepared,
                                     const Task& task, const EmulatedProgram& program,
                                     const Result<std::shared_ptr<const codegen::Artifact>>& loops,
                                     bool look_for_races, uint64_t seed, double limit_seconds) {
  // What has not ended in many times of what it should take will not.
  constexpr double kShortest = 20, kSlowest = 5e5; // seconds; operations in one
  limit_seconds = std::min(limit_seconds, kShortest + work_of(task) / kSlowest);
  EmulatedCheck check;
  if (!program.only_on_gpu.empty()) {
    check.error = program.only_on_gpu;
    check.not_interpreted = program.only_on_gpu;
    return check;
  }
  if (!loops) {
    check.outcome = Outcome::kCompileFailed;
    check.error = loops.error().message;
    return check;
  }
  if (*loops != nullptr) {
    check.compiled = true;
    engine::StopRule once; // its time says nothing of a GPU
    once.max_seconds = 1e-6;
    once.min_samples = 1;
    TEMPER_TRY(measured, bench.measure_on(prepared, task, *loops,
                                          static_cast<int>(limit_seconds * 1e3), once));
    check.outcome = measured.outcome;
    check.error = measured.error;
    check.worst = measured.worst;
    check.printed = measured.log;
    // Of wrong values the interpreter may know why, of what does not end the loop.
    if (!check.right() && !check.worst && check.outcome != Outcome::kTimedOut)
      return check;
  }
  if (!program.not_by_warps.empty()) {
    check.not_interpreted = program.not_by_warps;
    if (!check.compiled)
      check.error = program.why_interpreted + "; " + check.not_interpreted;
    return check;
  }
  if (!look_for_races && check.compiled && check.outcome != Outcome::kTimedOut) {
    check.not_interpreted = "not asked for";
    return check;
  }
  if (work_of(task) > kInterpretedWork) {
    check.not_interpreted = "the shape is too large to run it warp by warp; check a smaller one";
    TEMPER_TRY_VOID(sample_threads(bench, prepared, task, program, seed, limit_seconds, check));
    return check;
  }
  TEMPER_TRY_VOID(interpret_threads(task, program, limit_seconds, check));
  return check;
}

} // namespace temper::tuner
