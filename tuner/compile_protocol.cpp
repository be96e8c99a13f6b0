#include "tuner/compile_protocol.h"

#include "codegen/artifact_json.h"
#include "codegen/gpu/backends.h"
#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "engine/compile_pool.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/intrinsic_file.h"
#include "ir/script/knobs.h"
#include "ir/script/parser.h"
#include "ir/script/schedule_errors.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/tir/emulator/thread_loops.h"
#include "ir/tir/source_kernel.h"
#include "ir/walk.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/rule.h"
#include "tuner/task.h"

#include <chrono>
#include <cstdio>
#include <unordered_map>

namespace temper::tuner {

namespace {

/// Calls `on_statement` for the statements of the module's functions, in the order of the text.
template <typename F> void each_statement(const ir::IRModule& module, F&& on_statement) {
  for (const ir::ModuleEntry& entry : module->functions)
    if (const auto function = entry.function.as_ref<ir::PrimFuncNode>())
      ir::walk(function->body, [&](const ir::NodeRef& node) {
        if (ir::ExprNode::accepts(node->kind()))
          return false;
        if (ir::StmtNode::accepts(node->kind()))
          on_statement(node);
        return true;
      });
}

bool asserts(const ir::IRModule& module) {
  bool found = false;
  each_statement(module, [&](const ir::NodeRef& node) { found |= node.is<tir::Assert>(); });
  return found;
}

/// Of the statements as the user's file has them. Programs of knobs cost a run of their generator,
/// which is only worth it where a run can end at one of them.
std::vector<uint32_t> places_of(const Task& task, const std::string& trace_json) {
  ir::IRModule program = task.module;
  if (!program)
    return {};
  if (script::has_knobs(program) && !trace_json.empty()) {
    if (!asserts(program))
      return {};
    const auto trace = s_tir::trace_from_json_text(trace_json);
    auto made = trace ? program_of(*trace, program) : Result<ir::IRModule>(trace.error());
    if (!made)
      return {}; // the request itself will say why
    program = *made;
  }
  std::vector<uint32_t> places;
  each_statement(program, [&](const ir::NodeRef& node) {
    places.push_back(node->span.line);
    places.push_back(node->span.column);
  });
  return places;
}

/// Gives the statements the places of the user's file.
void set_places(const ir::IRModule& module, const std::vector<uint32_t>& places) {
  size_t count = 0;
  each_statement(module, [&](const ir::NodeRef&) { ++count; });
  if (2 * count != places.size())
    return;
  size_t at = 0;
  each_statement(module, [&](const ir::NodeRef& node) {
    node->span.line = places[at++];
    node->span.column = places[at++];
  });
}

} // namespace

CompileRequest candidate_request(const Task& task, const std::string& trace_json) {
  CompileRequest request;
  request.places = places_of(task, trace_json);
  request.module_text = task.module_text;
  request.trace_json = trace_json;
  request.target = task.target.to_string();
  request.threads = task.threads;
  return request;
}

CompileRequest reference_request(const Task& task) {
  CompileRequest request;
  request.kind = CompileKind::kReference;
  request.module_text = task.reference_text;
  // What a GPU computes is held against what this machine's processor does.
  request.target = task.target.is_cpu() ? task.target.to_string() : "native";
  return request;
}

CompileRequest thread_loops_request(const Task& task, const std::string& trace_json,
                                    const ir::Target& gpu) {
  CompileRequest request = candidate_request(task, trace_json);
  request.kind = CompileKind::kThreadLoops;
  request.gpu = gpu.to_string();
  return request;
}

CompileRequest gpu_request(const Task& task, const std::string& trace_json, const ir::Target& gpu) {
  CompileRequest request = candidate_request(task, trace_json);
  request.target = gpu.to_string();
  return request;
}

namespace {
constexpr std::pair<CompileKind, const char*> kKinds[] = {
    {CompileKind::kCandidate, "candidate"},
    {CompileKind::kReference, "reference"},
    {CompileKind::kThreadLoops, "thread_loops"}};
} // namespace

std::string encode(const CompileRequest& request) {
  const char* kind = "";
  for (const auto& [one, word] : kKinds)
    if (one == request.kind)
      kind = word;
  return Json{{"kind", kind},
              {"module", request.module_text},
              {"trace", request.trace_json},
              {"target", request.target},
              {"threads", request.threads},
              {"gpu", request.gpu},
              {"places", request.places}}
      .dump();
}

Result<CompileRequest> decode_compile_request(std::string_view bytes) {
  TEMPER_TRY(json, parse_json(bytes));
  try {
    CompileRequest request;
    for (const auto& [kind, word] : kKinds)
      if (json.at("kind").get<std::string>() == word)
        request.kind = kind;
    request.module_text = json.at("module").get<std::string>();
    request.trace_json = json.at("trace").get<std::string>();
    request.target = json.at("target").get<std::string>();
    request.threads = json.at("threads").get<int>();
    request.gpu = json.at("gpu").get<std::string>();
    request.places = json.at("places").get<std::vector<uint32_t>>();
    return request;
  } catch (const Json::exception& error) {
    return Error(ErrorCode::kCorrupt, std::string("a compile request is broken: ") + error.what());
  }
}

namespace {

/// Parsing takes longer than replaying: a worker sees the same workload hundreds of times.
Result<ir::IRModule> parsed_module(const std::string& text) {
  static std::unordered_map<uint64_t, ir::IRModule> cache;
  const uint64_t key = hash_bytes(text);
  if (const auto found = cache.find(key); found != cache.end())
    return found->second;
  TEMPER_TRY(module, script::parse_module(text, "workload"));
  if (cache.size() > 16)
    cache.clear();
  cache.emplace(key, module);
  return module;
}

/// A reference may be slow, but not absurdly: the loop that moves along the last index of what a
/// reduction writes goes innermost, where LLVM vectorises it. The order of the terms of each sum
/// stays, so the result is the same to the bit. Blocks that do not allow it keep their loops.
ir::IRModule with_contiguous_inner_loops(const ir::IRModule& module) {
  using namespace s_tir; // NOLINT
  Schedule schedule(module, 0);
  schedule.set_render_errors(false);
  const auto root = schedule.get_sblock("root");
  if (!root)
    return module;
  const auto blocks = schedule.get_child_blocks(*root);
  if (!blocks)
    return module;
  const auto reorder = [](Schedule& copy, BlockRv block) -> Result<void> {
    const BlockFacts facts = block_facts(copy, block);
    if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init ||
        facts.store == nullptr || facts.store->indices.empty())
      return Error(ErrorCode::kIllegal, "not a plain reduction");
    TEMPER_TRY(loops, copy.get_loops(block));
    std::vector<LoopRv> order;
    std::vector<LoopRv> reduce;
    std::vector<LoopRv> last;
    for (size_t l = 0; l < loops.size(); ++l) {
      const VarNode* axis = facts.block->iter_vars[l].var.get();
      if (facts.classes[l] == LoopClass::kReduce)
        reduce.push_back(loops[l]);
      else if (static_cast<const Node*>(facts.store->indices.back().get()) == axis)
        last.push_back(loops[l]);
      else
        order.push_back(loops[l]);
    }
    if (last.empty() || reduce.empty())
      return Error(ErrorCode::kIllegal, "nothing to move");
    const LoopRv first_reduce = reduce[0];
    order.insert(order.end(), reduce.begin(), reduce.end());
    order.insert(order.end(), last.begin(), last.end());
    TEMPER_TRY_VOID(copy.reorder(order));
    TEMPER_TRY(init, copy.decompose_reduction(block, first_reduce));
    (void)init;
    return {};
  };
  for (const BlockRv& block : *blocks) {
    Schedule copy = schedule;
    if (reorder(copy, block))
      schedule = std::move(copy);
  }
  return schedule.module();
}

} // namespace

Result<codegen::LowerOptions> lower_options_for(const ir::Target& target, bool serial) {
  TEMPER_TRY(registers, codegen::vector_registers(target));
  codegen::LowerOptions lower;
  lower.vector_bits = registers.bits;
  lower.vector_registers = registers.count;
  lower.serial = serial;
  TEMPER_TRY(features, codegen::required_features(target));
  lower.features = std::move(features);
  return lower;
}

namespace {

/// The module with the request's trace applied; as it is where there is none.
Result<ir::IRModule> requested_program(const CompileRequest& request, const ir::IRModule& module,
                                       ir::PassOptions& pass_options) {
  const bool of_knobs = script::has_knobs(module) && !request.trace_json.empty();
  if (!of_knobs)
    set_places(module, request.places);
  if (request.trace_json.empty())
    return module;
  TEMPER_TRY(trace, s_tir::trace_from_json_text(request.trace_json));
  if (!trace.empty())
    pass_options.name = "candidate";
  TEMPER_TRY(program, program_of(trace, module));
  if (of_knobs)
    set_places(program, request.places);
  return std::move(program);
}

ir::PrimFunc function_of(const ir::IRModule& module) {
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

Result<codegen::Artifact> compile_gpu_request(const CompileRequest& request,
                                              const ir::Target& target) {
  // Of processor time, before the pool's own deadline, which costs the process.
  constexpr double kDeadlineSeconds = 25;
  TEMPER_TRY(limits, codegen::gpu_limits(target));
  TEMPER_TRY(module, parsed_module(request.module_text));
  const auto start = std::chrono::steady_clock::now();
  ir::PassOptions pass_options;
  pass_options.name = "untuned";
  TEMPER_TRY(program, requested_program(request, module, pass_options));
  TEMPER_TRY(signature, signature_of(function_of(program)));
  script::render_programs();
  TEMPER_TRY(lowered, codegen::lower_for_gpu(program, target,
                                             ir::with_environment(std::move(pass_options))));
  TEMPER_TRY_VOID(codegen::check_gpu_limits(function_of(lowered), limits));
  const double lower_ms = milliseconds_since(start);
  TEMPER_TRY(artifact, codegen::compile_gpu(lowered, target, kDeadlineSeconds));
  artifact.signature = std::move(signature);
  artifact.facts.lower_ms = lower_ms;
  return std::move(artifact);
}

} // namespace

Result<codegen::Artifact> compile_request(const CompileRequest& request) {
  TEMPER_TRY(parsed_target, ir::parse_target(request.target));
  if (!parsed_target.is_cpu())
    return compile_gpu_request(request, parsed_target);
  TEMPER_TRY(target, codegen::resolve_target(parsed_target));
  TEMPER_TRY(module, parsed_module(request.module_text));
  const auto start = std::chrono::steady_clock::now();

  TEMPER_TRY(lower, lower_options_for(target, request.threads <= 1));

  ir::IRModule program = module;
  ir::PassOptions pass_options; // for TEMPER_DUMP=passes: what a dump is called
  pass_options.name = "untuned";
  if (request.kind == CompileKind::kReference) {
    const auto function = function_of(module);
    program = ir::make_module(codegen::widen_for_reference(function));
    if (function->s_tir)
      program = with_contiguous_inner_loops(program);
    lower.plain = true;
    lower.serial = true;
    pass_options.name = "reference";
  } else {
    TEMPER_TRY(made, requested_program(request, module, pass_options));
    program = made;
    if (tir::source_kernel_in(function_of(program)->body))
      return Error(ErrorCode::kUnsupported, tir::only_on_gpu(function_of(program)->body) +
                                                ": name one, as --target cuda:sm_90a");
  }
  TEMPER_TRY(signature, signature_of(function_of(program)));
  script::render_programs(); // in dumps, and in errors of passes
  if (request.kind == CompileKind::kThreadLoops) {
    TEMPER_TRY(gpu, ir::parse_target(request.gpu));
    TEMPER_TRY(flat, codegen::lower_for_gpu(program, gpu));
    TEMPER_TRY(loops, tir::thread_loops(function_of(flat)));
    program = ir::with_function(flat, flat->functions.front().name, loops);
  }
  TEMPER_TRY(lowered,
             codegen::lower_for_cpu(program, lower, ir::with_environment(std::move(pass_options))));
  const double lower_ms = milliseconds_since(start);
  target.threads = request.threads;
  codegen::CompileOptions options;
  options.parameter_alignment = 0;
  TEMPER_TRY(artifact, codegen::compile(lowered, target, options));
  artifact.signature = std::move(signature);
  artifact.launch.threads = request.kind == CompileKind::kReference ? 1 : request.threads;
  artifact.facts.lower_ms = lower_ms;
  // As tasks have it: by this text the store finds a record's bytes again.
  if (target.threads <= 1)
    target.threads = 0;
  artifact.target = target.to_string();
  return std::move(artifact);
}

int compiler_main() {
  if (const auto loaded = script::load_tensor_intrinsics(); !loaded) {
    std::fprintf(stderr, "temper-compiler: %s\n", loaded.error().to_string().c_str());
    return 2;
  }
  return engine::compile_worker_main([](std::string_view bytes) -> Result<std::string> {
    TEMPER_TRY(request, decode_compile_request(bytes));
    TEMPER_TRY(artifact, compile_request(request));
    return codegen::serialize_artifact(artifact);
  });
}

} // namespace temper::tuner
