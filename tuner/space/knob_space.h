/// The space of a tile program: its knobs (T.tune parameters that are not pinned) and what its tile
/// operators leave open (ir/tir/dispatch.h). A candidate is the program with all of it decided, and
/// its trace has one SampleKnob for each decision:
///
///   sch.sample_knob(name="block_M", choices=[32, 64, 128], decision=1)
///   sch.sample_knob(name="gemm.variant", choices=["register_tile", "loops"], decision=0)
///   sch.sample_knob(name="gemm.rows", choices=[1, 2, 4, 8], decision=3)
#pragma once

#include "ir/pass/lowering.h"
#include "ir/script/knobs.h"
#include "tuner/space/space.h"

#include <span>

namespace temper::tuner {

/// `module` holds one tile program, with knobs in its attributes or without. `options` says for
/// which machine operators choose their variants. An error says why there is no space: it is no
/// tile program, its shapes are symbolic, nothing is open, or the constraints leave nothing.
Result<std::unique_ptr<Space>> make_knob_space(const ir::IRModule& module,
                                               ir::LowerOptions options);

/// The same for a GPU, of architecture 80 for sm_80: what operators, pipelines and kernels leave
/// open there (ir/tir/lower_simt.h). Its candidates have features of their decisions alone.
///
///   sch.sample_knob(name="kernel.threads", choices=[32, 64, 128, 256, 512], decision=2)
///   sch.sample_knob(name="gemm.variant", choices=["mma_sync", "threads"], decision=0)
///   sch.sample_knob(name="gemm.swizzle_A", choices=[128, 64, 32, 0], decision=0)
Result<std::unique_ptr<Space>> make_gpu_knob_space(const ir::IRModule& module, int architecture);

/// A trace that sets the program's own knobs, for a space's apply(): what is open besides takes its
/// default.
s_tir::Trace knob_trace(std::span<const script::Knob> knobs, std::span<const size_t> chosen);
/// "block_M=64 gemm.variant=mma_sync" of a trace of knobs.
std::string knob_text(const s_tir::Trace& trace);

/// True for programs whose space make_knob_space makes.
bool is_knob_program(const ir::IRModule& module);

/// What each of the features of a candidate with this trace is, kFeatureCount of them: "block_M",
/// "gemm.rows", "estimated time"; empty where none stands.
std::vector<std::string> knob_feature_names(const s_tir::Trace& trace);
/// "knobs of the program": what a feature is one of.
const char* knob_feature_group(size_t feature);

/// The program that the trace makes of the module: a schedule replayed, or knobs set. Attributes
/// that hold the knobs are gone then.
Result<ir::IRModule> program_of(const s_tir::Trace& trace, const ir::IRModule& module);

} // namespace temper::tuner
