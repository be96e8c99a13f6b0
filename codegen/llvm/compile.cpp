#include "codegen/llvm/compile.h"

#include "codegen/llvm/emit.h"
#include "codegen/llvm/facts.h"
#include "codegen/llvm/link.h"
#include "codegen/llvm/machine.h"
#include "ir/s_tir/packs.h"
#include "ir/support/hash.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/DeadStoreElimination.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/GVN.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopIdiomRecognize.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/LoopUnrollPass.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Vectorize/LoopVectorize.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_set>
#include <vector>

namespace temper::codegen {
namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// A module being compiled: its context, its machine, and what LLVM had to say.
struct Job {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  llvm::TargetMachine* machine = nullptr;
  ir::Target target;
  std::string diagnostics; ///< errors that LLVM reported; empty when all is well
  Emitted emitted;
  double lower_ms = 0;
};

Result<std::unique_ptr<Job>> start_job(const ir::PrimFunc& function, const ir::Target& target,
                                       const CompileOptions& options, bool keep_names) {
  const auto start = Clock::now();
  auto job = std::make_unique<Job>();
  TEMPER_TRY(resolved, resolve_target(target));
  job->target = resolved;
  TEMPER_TRY(machine, target_machine(resolved));
  job->machine = machine;
  job->context.setDiscardValueNames(!keep_names);
  job->context.setDiagnosticHandlerCallBack(
      [](const llvm::DiagnosticInfo* info, void* data) {
        if (info->getSeverity() != llvm::DS_Error)
          return;
        llvm::raw_string_ostream stream(*static_cast<std::string*>(data));
        llvm::DiagnosticPrinterRawOStream printer(stream);
        info->print(printer);
        stream << ' ';
      },
      &job->diagnostics);
  job->module = std::make_unique<llvm::Module>("temper", job->context);
  job->module->setTargetTriple(machine->getTargetTriple().str());
  job->module->setDataLayout(machine->createDataLayout());
  job->module->setPICLevel(llvm::PICLevel::BigPIC);

  EmitOptions emit;
  emit.entry = options.entry;
  emit.parameter_alignment = options.parameter_alignment;
  emit.threads = resolved.threads;
  const bool neon = has_feature(*machine, "neon");
  emit.has_fma = neon || has_feature(*machine, "fma");
  emit.has_avx512 = has_feature(*machine, "avx512f");
  emit.has_avx512dq = has_feature(*machine, "avx512dq");
  emit.has_f16c = neon || has_feature(*machine, "f16c");
  emit.byte_shuffle_bits = has_feature(*machine, "avx512bw") ? 512
                           : has_feature(*machine, "avx2")   ? 256
                           : has_feature(*machine, "ssse3")  ? 128
                                                             : 0;
  auto emitted = emit_function(function, emit, *job->module);
  if (!emitted)
    return std::move(emitted).error();
  job->emitted = *std::move(emitted);

  for (llvm::Function& f : *job->module) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("target-cpu", machine->getTargetCPU());
    f.addFnAttr("target-features", machine->getTargetFeatureString());
    // LLVM's default for these CPUs is 256 bits, for the sake of mixed code; kernels are not mixed.
    f.addFnAttr("prefer-vector-width", emit.has_avx512 ? "512" : "256");
    f.addFnAttr("no-trapping-math", "true");
  }
#ifndef NDEBUG
  std::string complaint;
  llvm::raw_string_ostream stream(complaint);
  TEMPER_CHECK(!llvm::verifyModule(*job->module, &stream), complaint);
#endif
  job->lower_ms = ms_since(start);
  return job;
}

/// Loops that LLVM's unroller would leave alone in the end are marked so: it would look at all that
/// is in them first, once for each loop around it. And so are
///  - loops around a loop that stays one: copies of that gain nothing, and packing a few panels
///    became half of a kernel's code;
///  - small loops beside a large innermost one, which is a register tile: they pack or tidy up, a
///    vector an iteration, which the ports for stores bound and not the loop.
/// True: there is such a register tile.
bool mark_loops(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  constexpr size_t kLargestUnrolled = 600; // the most that LLVM 19 makes of a loop at O2
  constexpr size_t kTile = 64;             // above what it unrolls in part
  auto& evolution = analyses.getResult<llvm::ScalarEvolutionAnalysis>(function);
  const auto loops = analyses.getResult<llvm::LoopAnalysis>(function).getLoopsInPreorder();
  std::unordered_set<const llvm::Loop*> staying;
  std::vector<llvm::Loop*> innermost;
  bool has_tile = false;
  for (llvm::Loop* loop : llvm::reverse(loops)) { // inner ones first
    size_t size = 0;
    for (const llvm::BasicBlock* block : loop->blocks())
      size += static_cast<size_t>(
          std::count_if(block->begin(), block->end(), [](const llvm::Instruction& instruction) {
            return !llvm::isa<llvm::GetElementPtrInst, llvm::PHINode>(instruction);
          }));
    const bool around = std::any_of(loop->begin(), loop->end(), [&](const llvm::Loop* inner) {
      return staying.contains(inner);
    });
    const size_t trips = evolution.getSmallConstantTripCount(loop);
    if (around || trips == 0 || trips * size > kLargestUnrolled)
      staying.insert(loop);
    const bool is_tile = loop->isInnermost() && staying.contains(loop) && size > kTile;
    has_tile |= is_tile;
    if (size > kLargestUnrolled || around || is_tile)
      loop->setLoopAlreadyUnrolled();
    else if (loop->isInnermost() && staying.contains(loop))
      innermost.push_back(loop);
  }
  if (has_tile)
    for (llvm::Loop* loop : innermost)
      loop->setLoopAlreadyUnrolled();
  return has_tile;
}

/// Whether there is an array on the stack that could become registers: else what unrolling leaves
/// is tidied up without looking at memory, which takes longer than all the rest.
bool has_small_arrays(const llvm::Function& function) {
  constexpr uint64_t kLargest = 4096; // two files of vector registers
  const llvm::DataLayout& layout = function.getParent()->getDataLayout();
  return llvm::any_of(llvm::instructions(function), [&](const llvm::Instruction& instruction) {
    const auto* array = llvm::dyn_cast<llvm::AllocaInst>(&instruction);
    if (array == nullptr)
      return false;
    const auto size = array->getAllocationSize(layout);
    return !size || size->getFixedValue() <= kLargest;
  });
}

/// A lean O2. What comes in is tiled and vectorised already: one round of clean-up, one of
/// unrolling, one of vectorising and unrolling what was left scalar, and what tidies up after these
/// only where they did something. Beside a register tile nothing at all is unrolled, and induction
/// variables stay as they are, whose rewriting prepares for that: the loops are as they were
/// scheduled, kernels are as fast, and a fifth of the time to compile was spent on copies of loops
/// that pack.
void optimize(Job& job) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(job.machine);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graphs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graphs, modules);

  using namespace llvm; // NOLINT: a list of LLVM's passes
  FunctionPassManager clean;
  clean.addPass(SROAPass(SROAOptions::ModifyCFG));
  clean.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  clean.addPass(SimplifyCFGPass());
  clean.addPass(InstCombinePass());
  LoopPassManager rotate;
  rotate.addPass(LoopRotatePass()); // while loops; counted ones are emitted rotated
  rotate.addPass(LICMPass(LICMOptions()));
  clean.addPass(createFunctionToLoopPassAdaptor(std::move(rotate), /*UseMemorySSA=*/true,
                                                /*UseBlockFrequencyInfo=*/true));

  FunctionPassManager tiled;
  tiled.addPass(createFunctionToLoopPassAdaptor(LoopIdiomRecognizePass()));
  tiled.addPass(LoopVectorizePass(LoopVectorizeOptions()));

  FunctionPassManager canonical;
  LoopPassManager inductions; // these passes do not keep MemorySSA up to date
  inductions.addPass(IndVarSimplifyPass());
  inductions.addPass(LoopIdiomRecognizePass());
  canonical.addPass(createFunctionToLoopPassAdaptor(std::move(inductions)));

  FunctionPassManager unroll;
  LoopPassManager full;
  full.addPass(LoopFullUnrollPass(/*OptLevel=*/2));
  unroll.addPass(createFunctionToLoopPassAdaptor(std::move(full)));
  FunctionPassManager after_unroll; // arrays indexed by what were loop variables become registers
  after_unroll.addPass(SROAPass(SROAOptions::ModifyCFG));
  after_unroll.addPass(GVNPass(GVNOptions().setPRE(false).setLoadPRE(false)));
  after_unroll.addPass(InstCombinePass());
  after_unroll.addPass(DSEPass());
  after_unroll.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), true, true));

  FunctionPassManager vectorize;
  vectorize.addPass(LoopVectorizePass(LoopVectorizeOptions()));
  vectorize.addPass(LoopUnrollPass(LoopUnrollOptions(/*OptLevel=*/2)));
  FunctionPassManager tidy;
  tidy.addPass(EarlyCSEPass(/*UseMemorySSA=*/false));
  tidy.addPass(InstCombinePass());
  tidy.addPass(SimplifyCFGPass());

  for (Function& function : *job.module) {
    if (function.isDeclaration())
      continue;
    const auto run = [&](FunctionPassManager& pipeline) {
      const unsigned before = function.getInstructionCount();
      functions.invalidate(function, pipeline.run(function, functions));
      return function.getInstructionCount() != before;
    };
    run(clean);
    const bool has_tile = mark_loops(function, functions);
    bool is_to_tidy;
    if (has_tile && !has_small_arrays(function)) { // which become registers by unrolling
      is_to_tidy = run(tiled);
    } else {
      run(canonical);
      if (run(unroll))
        run(has_small_arrays(function) ? after_unroll : tidy);
      is_to_tidy = run(vectorize);
    }
    if (is_to_tidy)
      run(tidy);
  }
}

Result<std::string> machine_code(Job& job, bool assembly, StaticFacts* facts) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (!emit_machine_code(*job.machine, *job.module, stream, assembly, facts))
    return Error(ErrorCode::kFailed, "LLVM cannot emit code for '" + job.target.to_string() + "'");
  if (!job.diagnostics.empty())
    return Error(ErrorCode::kFailed, "LLVM: " + job.diagnostics);
  return std::string(bytes.data(), bytes.size());
}

Result<ir::PrimFunc> entry_function(const ir::IRModule& module) {
  if (const ir::PrimFunc function = module->find_prim_func("main"))
    return function;
  ir::PrimFunc only;
  for (const ir::ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<ir::PrimFuncNode>();
        function && !s_tir::packed_parameter(function)) {
      if (only)
        return Error(ErrorCode::kInvalidArgument,
                     "the module has several functions and none is named 'main'; say which one to "
                     "compile");
      only = function;
    }
  if (!only)
    return Error(ErrorCode::kInvalidArgument, "the module has no function to compile");
  return only;
}

} // namespace

Result<Artifact> compile(const ir::PrimFunc& function, const ir::Target& target,
                         const CompileOptions& options) {
  TEMPER_TRY(job, start_job(function, target, options, false));
  Artifact artifact;
  artifact.facts.lower_ms = job->lower_ms;
  auto start = Clock::now();
  optimize(*job);
  artifact.facts.optimize_ms = ms_since(start);

  start = Clock::now();
  TEMPER_TRY(object, machine_code(*job, false, options.facts ? &artifact.facts : nullptr));
  artifact.object = std::move(object);
  artifact.facts.emit_ms = ms_since(start);

  artifact.entry = options.entry;
  artifact.signature = job->emitted.signature;
  artifact.target = job->target.to_string();
  if (job->emitted.parallel)
    artifact.launch.threads =
        job->target.threads > 0
            ? job->target.threads
            : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  TEMPER_TRY(code, measure_object_code(artifact.object));
  artifact.facts.code_bytes = code.executable_bytes;
  artifact.code_hash = hash_combine(code.hash, static_cast<uint64_t>(artifact.launch.threads));
  if (options.link) {
    start = Clock::now();
    TEMPER_TRY(shared_object, link_shared_object({artifact.object}));
    artifact.code = std::move(shared_object);
    artifact.facts.link_ms = ms_since(start);
  }
  return artifact;
}

Result<Artifact> compile(const ir::IRModule& module, const ir::Target& target,
                         const CompileOptions& options) {
  TEMPER_TRY(function, entry_function(module));
  std::vector<ir::PrimFunc> packing;
  for (const ir::ModuleEntry& entry : module->functions)
    if (const auto other = entry.function.as_ref<ir::PrimFuncNode>();
        other && s_tir::packed_parameter(other))
      packing.push_back(other);
  if (packing.empty())
    return compile(function, target, options);

  // An object each: what packs is not to change how LLVM treats the kernel.
  CompileOptions unlinked = options;
  unlinked.link = false;
  TEMPER_TRY(artifact, compile(function, target, unlinked));
  std::vector<std::string> objects{artifact.object};
  for (const ir::PrimFunc& pack : packing) {
    const size_t parameter = *s_tir::packed_parameter(pack);
    CompileOptions own = unlinked;
    own.entry = fmt::format("{}_pack{}", options.entry, parameter);
    own.facts = false;
    TEMPER_TRY(step, compile(pack, target, own));
    TEMPER_CHECK(parameter < artifact.signature.size() && step.signature.size() == 2,
                 "a function that packs takes the plain operand and writes the packed one");
    step.signature[1].is_output = false; // for the kernel it is an input
    artifact.signature[parameter] = step.signature[0];
    artifact.code_hash = hash_combine(artifact.code_hash, step.code_hash);
    artifact.facts.optimize_ms += step.facts.optimize_ms;
    artifact.facts.emit_ms += step.facts.emit_ms;
    objects.push_back(step.object);
    artifact.packs.push_back(
        {static_cast<int>(parameter), own.entry, step.signature[1], std::move(step.object)});
  }
  if (options.link) {
    const auto start = Clock::now();
    TEMPER_TRY(shared_object, link_shared_object(objects));
    artifact.code = std::move(shared_object);
    artifact.facts.link_ms = ms_since(start);
  }
  return std::move(artifact);
}

Result<std::string> emit_llvm_ir_text(const ir::PrimFunc& function, const ir::Target& target,
                                      const CompileOptions& options, bool optimized) {
  TEMPER_TRY(job, start_job(function, target, options, true));
  if (optimized)
    optimize(*job);
  std::string text;
  llvm::raw_string_ostream stream(text);
  job->module->print(stream, nullptr);
  return text;
}

Result<std::string> emit_assembly_text(const ir::PrimFunc& function, const ir::Target& target,
                                       const CompileOptions& options) {
  TEMPER_TRY(job, start_job(function, target, options, false));
  optimize(*job);
  return machine_code(*job, true, nullptr);
}

} // namespace temper::codegen
