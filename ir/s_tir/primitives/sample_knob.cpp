#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context&, const Arguments&) {
  return Error(ErrorCode::kIllegal, "knobs belong to tile programs, which are made anew for each "
                                    "choice; this is a schedule of blocks");
}

/// Knobs are set by name and value, so that each decision stands as it is.
Value adapt(const Context&, const Arguments& arguments) { return arguments.decision; }

} // namespace

void register_sample_knob() {
  register_primitive({
      .name = "SampleKnob",
      .python_name = "sample_knob",
      .attrs = {{.name = "name", .kind = ValueKind::kString},
                {.name = "choices", .kind = ValueKind::kAny}},
      .outputs = {},
      .has_decision = true,
      .changes_module = true,
      .summary =
          "A knob of a tile program: a T.tune parameter by its name, or what a tile operator "
          "leaves open, as \"gemm.variant\" (ir/tir/dispatch.h). The decision is the "
          "choice's index.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
