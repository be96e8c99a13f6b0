#include "tuner/compile_protocol.h"

#include "codegen/artifact_json.h"
#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "engine/compile_pool.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/script/schedule_errors.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "tuner/task.h"

#include <chrono>
#include <unordered_map>

namespace temper::tuner {

std::string encode(const CompileRequest& request) {
  return Json{{"kind", request.kind == CompileKind::kReference ? "reference" : "candidate"},
              {"module", request.module_text},
              {"trace", request.trace_json},
              {"target", request.target},
              {"threads", request.threads}}
      .dump();
}

Result<CompileRequest> decode_compile_request(std::string_view bytes) {
  TEMPER_TRY(json, parse_json(bytes));
  try {
    CompileRequest request;
    request.kind = json.at("kind").get<std::string>() == "reference" ? CompileKind::kReference
                                                                      : CompileKind::kCandidate;
    request.module_text = json.at("module").get<std::string>();
    request.trace_json = json.at("trace").get<std::string>();
    request.target = json.at("target").get<std::string>();
    request.threads = json.at("threads").get<int>();
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

} // namespace

Result<codegen::Artifact> compile_request(const CompileRequest& request) {
  TEMPER_TRY(parsed_target, ir::parse_target(request.target));
  TEMPER_TRY(target, codegen::resolve_target(parsed_target));
  TEMPER_TRY(module, parsed_module(request.module_text));
  const auto start = std::chrono::steady_clock::now();

  codegen::LowerOptions lower;
  TEMPER_TRY(registers, codegen::vector_registers(target));
  lower.vector_bits = registers.bits;
  lower.vector_registers = registers.count;
  lower.serial = request.threads <= 1;

  ir::IRModule program = module;
  if (request.kind == CompileKind::kReference) {
    const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
    program = ir::make_module(codegen::widen_for_reference(function));
    lower.plain = true;
    lower.serial = true;
  } else if (!request.trace_json.empty()) {
    TEMPER_TRY(trace, s_tir::trace_from_json_text(request.trace_json));
    s_tir::ReplayOptions options;
    options.sample_missing = false;
    TEMPER_TRY(schedule, s_tir::replay(trace, module, 0, options));
    program = schedule.module();
  }
  const auto original = program->functions.front().function.as_ref<ir::PrimFuncNode>();
  TEMPER_TRY(signature, signature_of(original));
  script::render_programs(); // for TEMPER_DUMP=passes
  TEMPER_TRY(lowered, codegen::lower_for_cpu(program, lower));
  const double lower_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  target.threads = request.threads;
  codegen::CompileOptions options;
  options.parameter_alignment = 0;
  TEMPER_TRY(artifact, codegen::compile(lowered, target, options));
  artifact.signature = std::move(signature);
  artifact.launch.threads = request.kind == CompileKind::kReference ? 1 : request.threads;
  artifact.facts.lower_ms = lower_ms;
  return std::move(artifact);
}

int compiler_main() {
  return engine::compile_worker_main([](std::string_view bytes) -> Result<std::string> {
    TEMPER_TRY(request, decode_compile_request(bytes));
    TEMPER_TRY(artifact, compile_request(request));
    return codegen::serialize_artifact(artifact);
  });
}

} // namespace temper::tuner
