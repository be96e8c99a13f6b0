/// temper-opt: reads a program, applies primitives, a trace, rules or passes, prints it.
#include "tuner/cli/output.h"

#include "codegen/cuda/nvrtc.h"
#include "codegen/gpu/backends.h"
#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/json_graph.h"
#include "ir/pass/pass.h"
#include "ir/pass/pipeline_loops.h"
#include "ir/pass/pipelines.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/packs.h"
#include "ir/s_tir/primitives_reference.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/script/intrinsic_file.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/schedule_errors.h"
#include "ir/script/workload_file.h"
#include "ir/support/text.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/emulator/thread_loops.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/lower_simt.h"
#include "tuner/compile_protocol.h"
#include "tuner/gpu_space.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/sketch_space.h"
#include "tuner/templates.h"
#include "tuner/workbench.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>

using namespace temper;

namespace {

struct Options {
  std::string file;
  std::vector<std::string> parameters;
  std::string trace;
  std::vector<std::string> calls; ///< of primitives, lines of a trace
  std::vector<std::string> rules;
  std::vector<std::string> passes;
  bool list_primitives = false;
  bool list_rules = false;
  bool lower = false;
  bool serial = false;
  bool sketches = false;
  bool list_passes = false;
  bool dispatch = false;
  std::string target = "native";
  std::string print = "script";
};

/// The CPU that stands in where the target is a GPU: passes of both can be asked for.
std::string cpu_of(const std::string& target) {
  return target.starts_with("cuda:") || target.starts_with("hip:") ? "native" : target;
}

struct Program {
  ir::IRModule module;
  std::vector<s_tir::Trace> templates; ///< of its file, where its space is asked for
  std::vector<script::RuleFile> rule_files;
};

/// A plain script of prim_funcs, or a workload of a workload file with its parameters bound.
Result<Program> load(const Options& options) {
  const bool is_file =
      options.file.find('.') != std::string::npos || options.file.find('/') != std::string::npos;
  if (is_file && options.parameters.empty() && options.file.find(':') == std::string::npos) {
    TEMPER_TRY(text, read_file(options.file));
    if (text.starts_with("{") && text.find("\"temper.ir/") != std::string::npos) {
      TEMPER_TRY(json, parse_json(text));
      TEMPER_TRY(module, ir::module_from_json(json));
      return Program{module, {}, {}};
    }
    // A workload file does not parse as a module of prim_funcs alone; try that first.
    if (Result<ir::IRModule> module = script::parse_module(text, options.file))
      return Program{*module, {}, {}};
  }
  tuner::WorkbenchOptions settings;
  settings.target = cpu_of(options.target);
  tuner::Workbench bench(settings);
  tuner::WorkloadArguments arguments{options.file, {}, true};
  for (const std::string& word : options.parameters) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos)
      return Error(ErrorCode::kInvalidArgument,
                   "'" + word + "' is not a parameter; write NAME=VALUE, as M=512");
    arguments.parameters[word.substr(0, equals)] = word.substr(equals + 1);
  }
  TEMPER_TRY(task, bench.task(arguments));
  Program program{task.module, {}, {}};
  if (options.sketches && options.rules.empty()) {
    TEMPER_TRY(templates, tuner::templates_of(task));
    program.templates = std::move(templates);
  }
  if (options.sketches || !options.rules.empty()) {
    TEMPER_TRY(files, tuner::rule_files_of(task));
    program.rule_files = std::move(files);
  }
  return program;
}

/// The trace of the file, then the calls of the command line, which may use its names.
Result<s_tir::Trace> load_trace(const Options& options) {
  std::string text;
  if (!options.trace.empty()) {
    TEMPER_TRY(read, read_file(options.trace));
    text = std::move(read);
    if (trim(text).starts_with("[")) {
      TEMPER_TRY(json, parse_json(text));
      // A record of MetaSchedule's has its times and target beside the trace: [0, [trace, ...]].
      const bool is_record = json.is_array() && json.size() == 2 && json[0].is_number_integer() &&
                             json[1].is_array() && !json[1].empty();
      TEMPER_TRY(trace, s_tir::trace_from_json(is_record ? json[1][0] : json));
      text = trace.to_python();
    }
  }
  for (const std::string& calls : options.calls)
    for (const std::string& call : split_text(calls, ';'))
      text += "\n" + call;
  return s_tir::Trace::from_python(text);
}

/// The error for a name that is none of `names`.
Error no_such(const std::string& what, const std::string& name,
              const std::vector<std::string>& names, const std::string& option) {
  const std::string nearest = nearest_name(name, names);
  return Error(
      ErrorCode::kInvalidArgument,
      "there is no " + what + " '" + name + "'" +
          (nearest.empty() ? "; " + option + " shows them" : "; did you mean '" + nearest + "'?"));
}

Result<codegen::LowerOptions> lower_options(const Options& options) {
  TEMPER_TRY(parsed, ir::parse_target(cpu_of(options.target)));
  TEMPER_TRY(target, codegen::resolve_target(parsed));
  return tuner::lower_options_for(target, options.serial);
}

/// All passes by name: the blocks' lowering, then tir's.
Result<std::vector<ir::Pass>> passes_of(const codegen::LowerOptions& lower,
                                        const codegen::GpuLimits& gpu) {
  std::vector<ir::Pass> passes{
      ir::function_pass("size_parameters", [](const ir::PrimFunc& function) {
        return Result<ir::PrimFunc>(ir::size_parameters(function));
      })};
  for (ir::Pass& pass : codegen::tile_passes(lower))
    passes.push_back(std::move(pass));
  passes.push_back({"split_packs", s_tir::split_packs});
  const bool for_gpu = gpu.architecture != 0;
  if (!for_gpu) {
    passes.push_back(ir::function_pass("lower_blocks", [](const ir::PrimFunc& function) {
      return Result<ir::PrimFunc>(s_tir::lower_blocks(function));
    }));
    passes.push_back(ir::function_pass("pipeline_loops", ir::pipeline_loops));
  }
  passes.push_back(ir::function_pass("annotate_layouts", [](const ir::PrimFunc& function) {
    return tir::annotate_layouts(function);
  }));
  const auto add = [&](std::vector<ir::Pass> more) {
    for (ir::Pass& pass : more)
      if (std::none_of(passes.begin(), passes.end(),
                       [&](const ir::Pass& other) { return other.name == pass.name; }))
        passes.push_back(std::move(pass));
  };
  if (for_gpu)
    add(codegen::gpu_passes(gpu, true));
  add(codegen::gpu_passes(gpu));
  passes.push_back(ir::function_pass("thread_loops", tir::thread_loops));
  for (const ir::LoweringPass& pass : ir::cpu_passes())
    passes.push_back(ir::function_pass(pass.name, [&pass, lower](const ir::PrimFunc& function) {
      return Result<ir::PrimFunc>(pass.run(function, lower));
    }));
  return passes;
}

Result<void> print_space(const tuner::Space& space) {
  fmt::print("# {}\n", space.describe());
  for (const std::string& text : space.sketch_texts())
    fmt::print("\n{}", text);
  return {};
}

Result<tuner::MachineHints> machine_hints(const Options& options) {
  TEMPER_TRY(parsed, ir::parse_target(cpu_of(options.target)));
  TEMPER_TRY(target, codegen::resolve_target(parsed));
  return tuner::machine_hints_for(target, options.serial ? 1 : 2);
}

/// Leaves of `sketch` the rules that --rule names, temper's in that order; none: all of them.
Result<void> choose_rules(const Options& options, tuner::SketchOptions& sketch) {
  if (options.rules.empty())
    return {};
  std::vector<std::string> names;
  std::map<std::string, std::unique_ptr<tuner::Rule>> known;
  for (std::unique_ptr<tuner::Rule>& rule : tuner::default_rules(sketch)) {
    names.emplace_back(rule->name());
    known[names.back()] = std::move(rule);
  }
  for (const script::RuleFile& file : sketch.rule_files)
    names.insert(names.end(), file.rules().begin(), file.rules().end());
  for (const std::string& name : options.rules) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      return no_such("rule", name, names, "--list-rules");
    if (const auto found = known.find(name); found != known.end() && found->second)
      sketch.rules.push_back(std::move(found->second));
  }
  for (script::RuleFile& file : sketch.rule_files) {
    std::vector<std::string> chosen = file.rules();
    std::erase_if(chosen, [&](const std::string& rule) {
      return std::find(options.rules.begin(), options.rules.end(), rule) == options.rules.end();
    });
    file = file.with_rules(std::move(chosen));
  }
  sketch.only_rule_files = true;
  return {};
}

Result<void> print_sketches(const ir::IRModule& module, Program program, const Options& options) {
  TEMPER_TRY(parsed, ir::parse_target(options.target));
  if (!parsed.is_cpu() && !codegen::is_s_tir(module)) {
    TEMPER_TRY(limits, codegen::gpu_limits(parsed));
    TEMPER_TRY(space, tuner::make_gpu_knob_space(module, limits.architecture));
    return print_space(*space);
  }
  TEMPER_TRY(hints, machine_hints(options));
  tuner::SketchOptions sketch;
  sketch.machine = hints;
  if (!parsed.is_cpu()) {
    TEMPER_TRY(limits, codegen::gpu_limits(parsed));
    sketch.gpu = tuner::gpu_hints_of(limits);
  }
  sketch.templates = std::move(program.templates);
  sketch.rule_files = std::move(program.rule_files);
  if (sketch.rule_files.empty()) { // a script that is no workload file
    TEMPER_TRY(files, script::load_rule_files());
    sketch.rule_files = std::move(files);
  }
  TEMPER_TRY_VOID(choose_rules(options, sketch));
  TEMPER_TRY(lower, lower_options(options));
  TEMPER_TRY(space, tuner::is_knob_program(module)
                        ? tuner::make_knob_space(module, lower)
                        : tuner::make_sketch_space(module, std::move(sketch)));
  return print_space(*space);
}

Result<void> run(const Options& options) {
  TEMPER_TRY(wanted, ir::parse_target(options.target));
  codegen::GpuLimits gpu;
  gpu.architecture = 0; // operators by their meaning
  if (!wanted.is_cpu()) {
    TEMPER_TRY(limits, codegen::gpu_limits(wanted));
    gpu = limits;
  }
  TEMPER_TRY(lower, lower_options(options));
  TEMPER_TRY(passes, passes_of(lower, gpu));
  if (options.list_primitives) {
    for (const s_tir::Primitive* primitive : s_tir::all_primitives())
      fmt::print("{}\n", s_tir::signature_of(*primitive));
    return {};
  }
  if (options.list_rules) {
    tuner::SketchOptions sketch;
    TEMPER_TRY(machine, machine_hints(options));
    sketch.machine = machine;
    if (!wanted.is_cpu())
      sketch.gpu = tuner::gpu_hints_of(gpu);
    for (const std::unique_ptr<tuner::Rule>& rule : tuner::default_rules(sketch))
      fmt::print("{}\n", rule->name());
    TEMPER_TRY(files, script::load_rule_files());
    for (const script::RuleFile& file : files)
      for (const std::string& rule : file.rules())
        fmt::print("{} ({})\n", rule, file.file());
    return {};
  }
  if (options.list_passes) {
    for (const ir::Pass& pass : passes)
      fmt::print("{}\n", pass.name);
    return {};
  }
  if (options.dispatch && options.file.empty()) {
    fmt::print("{}", tir::dispatch_table(nullptr, lower));
    return {};
  }
  TEMPER_TRY(program, load(options));
  ir::IRModule module = program.module;
  if (options.dispatch) {
    for (const ir::ModuleEntry& entry : module->functions)
      if (const auto function = entry.function.as_ref<ir::PrimFuncNode>())
        fmt::print("{}", wanted.is_cpu() ? tir::dispatch_table(function, lower)
                                         : tir::simt_dispatch(function, gpu.architecture));
    return {};
  }
  s_tir::Trace trace;
  if (!options.trace.empty() || !options.calls.empty()) {
    TEMPER_TRY(loaded, load_trace(options));
    trace = std::move(loaded);
    if (tuner::is_knob_program(module)) {
      TEMPER_TRY(made, tuner::program_of(trace, module));
      module = made;
    } else {
      TEMPER_TRY(schedule, s_tir::replay(trace, module));
      module = schedule.module();
      trace = schedule.trace(); // with what was sampled
    }
  }
  if (options.sketches || !options.rules.empty())
    return print_sketches(module, std::move(program), options);
  std::vector<ir::Pass> chosen;
  for (const std::string& name : options.passes) {
    std::vector<std::string> names;
    for (const ir::Pass& pass : passes) {
      names.push_back(pass.name);
      if (pass.name == name)
        chosen.push_back(pass);
    }
    if (std::find(names.begin(), names.end(), name) == names.end())
      return no_such("pass", name, names, "--list-passes");
  }
  const bool cuda = options.print == "cuda" || options.print == "ptx";
  if (cuda && wanted.is_cpu())
    return Error(ErrorCode::kInvalidArgument,
                 "--print " + options.print + " needs a GPU: --target cuda:sm_90a");
  if (!wanted.is_cpu() && (options.lower || (cuda && options.passes.empty())))
    chosen = codegen::gpu_passes(gpu, codegen::is_s_tir(module));
  else if (options.lower)
    chosen = passes;
  ir::PassOptions settings;
  settings.verify = true;
  settings.render = [](const ir::IRModule& m) { return script::to_text(m); };
  TEMPER_TRY(result, ir::run_passes(module, chosen, ir::with_environment(settings)));
  if (options.print == "script")
    fmt::print("{}", script::to_text(result));
  else if (options.print == "json")
    fmt::print("{}\n", ir::to_json(result).dump(1));
  else if (options.print == "trace")
    fmt::print("{}", trace.to_python());
  else if (options.print == "trace-json")
    fmt::print("{}\n", s_tir::trace_to_json_text(trace));
  else if (options.print == "tvm-trace") {
    TEMPER_TRY(text, s_tir::trace_to_tvm_json_text(trace));
    fmt::print("{}\n", text);
  } else if (options.print == "tvm") {
    TEMPER_TRY(graph, s_tir::module_to_tvm(result));
    fmt::print("{}\n", graph.dump(2));
  } else if (options.print == "llvm" || options.print == "llvm-input" || options.print == "asm") {
    TEMPER_TRY(parsed, ir::parse_target(options.target));
    TEMPER_TRY(target, codegen::resolve_target(parsed));
    const auto function = result->functions.front().function.as_ref<ir::PrimFuncNode>();
    TEMPER_TRY(text, options.print == "asm"
                         ? codegen::emit_assembly_text(function, target)
                         : codegen::emit_llvm_ir_text(function, target, {},
                                                      /*optimized=*/options.print == "llvm"));
    fmt::print("{}", text);
  } else if (cuda) {
    TEMPER_TRY(source, codegen::gpu_source(result, wanted));
    TEMPER_TRY(backend, codegen::gpu_backend(wanted));
    if (options.print == "cuda") {
      fmt::print("{}", source.text);
    } else if (backend != codegen::GpuBackend::kNvrtc) {
      TEMPER_TRY(artifact, codegen::compile_gpu(result, wanted));
      fmt::print("{}\n// {} registers, {} bytes spilled, {} bytes of stack\n", artifact.object,
                 artifact.facts.registers, artifact.facts.spilled_bytes,
                 artifact.facts.stack_bytes);
    } else {
      TEMPER_TRY(nvrtc, codegen::Nvrtc::load());
      TEMPER_TRY(code, nvrtc->compile(source.text, wanted.arch));
      fmt::print("{}\n", code.ptx);
      for (const codegen::CudaFacts& fact : code.facts)
        fmt::print("// {}: {} registers, {} bytes spilled, {} bytes of stack\n", fact.kernel,
                   fact.registers, fact.spill_store_bytes, fact.stack_bytes);
    }
  } else if (options.print != "none") {
    return Error(ErrorCode::kInvalidArgument,
                 "--print is script, json, trace, trace-json, tvm, tvm-trace, llvm-input, llvm, "
                 "asm, cuda, ptx or none, not '" +
                     options.print + "'");
  }
  return {};
}

} // namespace

int main(int argc, char** argv) {
  s_tir::register_layer(); // the verifier must know blocks
  script::render_schedule_errors();
  if (const auto loaded = script::load_tensor_intrinsics(); !loaded) {
    std::fprintf(stderr, "temper-opt: %s\n", loaded.error().to_string().c_str());
    return 2;
  }
  CLI::App app{
      "Reads a program (a script of prim_funcs, a workload, or JSON), applies primitives of\n"
      "schedules, a trace, rules of the design space, or passes, and prints it. Every pass is\n"
      "followed by the verifier.",
      "temper-opt"};
  Options options;
  app.add_option("file", options.file, "script, FILE.py:FUNCTION, workload or module JSON");
  app.add_option("parameters", options.parameters, "NAME=VALUE of a workload");
  app.add_option("--trace", options.trace,
                 "replay this trace (JSON, Python, or a record's line of MetaSchedule) first");
  app.add_option("--apply", options.calls,
                 "then apply these primitives: lines of a trace, with ';' between them");
  app.add_option("--rule", options.rules,
                 "print the design space that these rules alone give, in order")
      ->delimiter(',');
  app.add_option("--pass", options.passes, "run these passes, in order")->delimiter(',');
  app.add_flag("--lower", options.lower, "run all passes down to what the code generator takes");
  app.add_flag("--serial", options.serial, "for one thread: parallel loops become serial");
  app.add_flag("--sketches", options.sketches, "print the workload's design space");
  app.add_flag("--dispatch", options.dispatch,
               "print the variants of tile operators, and which ones the program takes");
  app.add_flag("--list-passes", options.list_passes, "print the passes' names");
  app.add_flag("--list-primitives", options.list_primitives, "print the primitives' signatures");
  app.add_flag("--list-rules", options.list_rules, "print the rules' names");
  app.add_option("--target", options.target,
                 "native (default), cpu:NAME, cuda:sm_NN or hip:gfx942");
  app.add_option("--print", options.print,
                 "script (default), json, trace (Python), trace-json, tvm (TVM's JSON), tvm-trace, "
                 "llvm-input (before LLVM's passes), llvm, asm, cuda, ptx or none");
  app.footer("examples:\n"
             "  temper-opt matmul M=64 N=64 K=64\n"
             "  temper-opt matmul M=64 N=64 K=64 --trace best.py --lower --serial\n"
             "  temper-opt matmul M=64 N=64 K=64 --apply 'b = sch.get_sblock(\"C\", \"main\"); "
             "i, j, k = sch.get_loops(b); sch.reorder(k, i)'\n"
             "  temper-opt softmax --sketches\n"
             "  temper-opt softmax --rule auto_inline,add_rfactor\n"
             "  temper-opt matmul_tile M=512 N=512 K=512 --target cuda:sm_90a --print cuda\n"
             "  TEMPER_DUMP=passes temper-opt matmul --lower --print none");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "temper-opt: %s; temper-opt --help shows the options\n", error.what());
    return cli::kWrongUsage;
  }
  if (options.file.empty() && !options.list_passes && !options.list_primitives &&
      !options.list_rules && !options.dispatch) {
    std::fprintf(stderr,
                 "temper-opt: name a file or a workload; temper-opt --help shows examples\n");
    return cli::kWrongUsage;
  }
  const Result<void> done = run(options);
  if (!done) {
    std::fprintf(stderr, "temper-opt: %s\n", done.error().to_string().c_str());
    return cli::exit_code(done.error());
  }
  return cli::kDone;
}
