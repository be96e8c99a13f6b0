/// A module as JSON and back: the graph of its nodes, shared nodes once. Fields derive from
/// fields(), so that a new node kind needs nothing here.
///
///   {"schema": "temper.ir/1", "root": 2, "nodes": [
///     {"node": "VarNode", "dtype": "int32", "name": "i"},
///     {"node": "IntImm", "dtype": "int32", "value": 1},
///     {"node": "Add", "dtype": "int32", "a": 0, "b": 1}]}
///
/// A node refers to others by their place in `nodes`, always an earlier one; null is a missing
/// child. What comes back is structurally equal; spans are not kept, and blocks get new ids (an id
/// names a block only within one schedule). Kinds of a layer are known once it is registered
/// (s_tir::register_layer; those of tir always are).
#pragma once

#include "ir/module.h"
#include "ir/support/json.h"

namespace temper::ir {

Json to_json(const NodeRef& node);

/// Broken input is an error (kCorrupt) in one sentence: not JSON of this kind, a missing field or
/// child, a kind that does not fit, a reference forward or beyond the end. What it does not check
/// is whether the program makes sense: verify() does.
Result<NodeRef> node_from_json(const Json& json);
Result<IRModule> module_from_json(const Json& json);

/// For layers: called with each loaded node of the kind; returns the node to use, or an error.
using LoadedNode = Result<NodeRef> (*)(const NodeRef& node);
void register_loaded_node(Kind kind, LoadedNode function);
/// The field may be null; all others of type Ref must be there.
void register_optional_field(std::string kind, std::string field);

} // namespace temper::ir
