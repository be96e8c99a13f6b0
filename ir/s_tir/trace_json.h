/// JSON of traces, in the instruction format of MetaSchedule's database:
///
///   [[instruction, ...], [[index, decision], ...]]
///   instruction = [name, inputs, attrs, outputs]
///
///   ["Split", ["l2", "None", 16], [1, 0], ["l4", "l5"]]
///
/// Among inputs "l2" is a random variable, "None" none, and strings carry a second pair of quotes;
/// variadic inputs are flattened; attrs and decisions are plain values.
#pragma once

#include "ir/s_tir/trace.h"
#include "ir/support/json.h"

namespace temper::s_tir {

/// One line, floats with 20 significant digits, as MetaSchedule writes them.
std::string trace_to_json_text(const Trace& trace);
/// The same for MetaSchedule itself, whose index maps are object graphs and whose sides of blocks
/// are numbers. Sampled values in a layout's map become the numbers that were decided. kUnsupported
/// for a primitive that TVM has not, and for a value that is still to be sampled there.
Result<std::string> trace_to_tvm_json_text(const Trace& trace);
/// Any numbering of random variables is read; the trace's own is consecutive. An error says which
/// instruction is wrong and how: an unknown name, the number or kind of inputs, a random variable
/// that nothing made, a decision that no instruction takes.
Result<Trace> trace_from_json(const Json& json);
Result<Trace> trace_from_json_text(std::string_view text);

// A search stores thousands of traces that differ in decisions only: the skeleton once (keyed by
// Trace::skeleton_hash), and per candidate its decisions.

/// trace_to_json_text() with an empty list of decisions.
std::string skeleton_to_json(const Trace& trace);
/// [[index, decision], ...]
std::string decisions_to_json(const Trace& trace);
Result<Trace> with_decisions(const Trace& skeleton, const Json& decisions);
Result<Trace> with_decisions_text(const Trace& skeleton, std::string_view decisions);

} // namespace temper::s_tir
