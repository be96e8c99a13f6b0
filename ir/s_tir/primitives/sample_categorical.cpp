#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

double as_real(const Value& value) {
  return value.as_double() != nullptr ? *value.as_double() : static_cast<double>(*value.as_int());
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value::List& candidates = *arguments.attrs[0].as_list();
  const Value::List& probabilities = *arguments.attrs[1].as_list();
  if (candidates.empty() || candidates.size() != probabilities.size())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("as many probabilities as candidates are expected, and at least one; "
                             "there are {} candidates and {} probabilities",
                             candidates.size(), probabilities.size()));
  std::vector<double> weights;
  for (const Value& probability : probabilities) {
    weights.push_back(as_real(probability));
    if (!(weights.back() >= 0))
      return Error(ErrorCode::kInvalidArgument, "probabilities must not be negative");
  }
  int64_t index = 0;
  if (arguments.decision.is_none()) {
    TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
    index = static_cast<int64_t>(context.random->weighted(weights));
  } else if (arguments.decision.as_int() == nullptr) {
    return Error(ErrorCode::kInvalidArgument, "the decision must be the index of a candidate");
  } else {
    index = *arguments.decision.as_int();
    if (index < 0 || index >= static_cast<int64_t>(candidates.size()))
      return Error(
          ErrorCode::kIllegal,
          fmt::format("decision {} is out of range: there are {} candidates, counted from 0", index,
                      candidates.size()));
  }
  return Applied{.module = context.module,
                 .outputs = {candidates[static_cast<size_t>(index)]},
                 .decision = index};
}

Value adapt(const Context&, const Arguments& arguments) {
  const auto count = static_cast<int64_t>(arguments.attrs[0].as_list()->size());
  if (arguments.decision.as_int() == nullptr || count == 0)
    return {};
  return std::clamp<int64_t>(*arguments.decision.as_int(), 0, count - 1);
}

} // namespace

void register_sample_categorical() {
  register_primitive({
      .name = "SampleCategorical",
      .python_name = "sample_categorical",
      .attrs = {{.name = "candidates", .kind = ValueKind::kIntList},
                {.name = "probs", .kind = ValueKind::kFloatList}},
      .outputs = {ValueKind::kInt},
      .has_decision = true,
      .changes_module = false,
      .summary = "One of the candidates, drawn with the given probabilities. The decision is its "
                 "index.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
