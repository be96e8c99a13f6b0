/// TVM's JSON object graphs, as far as s-tir programs and index maps are made of them: what
/// MetaSchedule's database holds of workloads, and what traces hold of index maps.
///
///   {"root_index": 158, "nodes": [{"type": "None"}, ...,
///     {"type": "tirx.For", "data": {"loop_var": 86, "min": 87, "extent": 88, ...}}, ...]}
///
/// A node refers to others by their number, always a smaller one. Spans and types of functions are
/// not looked at.
#pragma once

#include "ir/module.h"
#include "ir/support/json.h"

namespace temper::s_tir {

using namespace temper::ir; // NOLINT

/// An ir.IRModule. kCorrupt for what is no such graph, kUnsupported for what s-tir here has not
/// (named), and the verifier's words for a program that makes no sense.
Result<IRModule> module_from_tvm(const Json& graph);

/// A tirx.IndexMap as a lambda: "lambda i, j: (j // 4, i)". Names that are not inputs stay as they
/// are: sampled values, as v27. As ranges the outputs are begins and ends in turn: "lambda i: [(i,
/// i
/// + 2)]".
enum class MapForm : uint8_t { kIndices, kRanges };
Result<std::string> index_map_from_tvm(const Json& graph, MapForm form = MapForm::kIndices);

/// An ir.IRModule of a program of one or several functions with blocks and constant shapes, as TVM
/// 0.27 reads it. kUnsupported, named, for what it or its JSON has not.
Result<Json> module_to_tvm(const IRModule& module);

/// A tirx.IndexMap.
Result<Json> index_map_to_tvm(const IndexMap& map);

} // namespace temper::s_tir
