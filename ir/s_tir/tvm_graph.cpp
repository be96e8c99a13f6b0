#include "ir/s_tir/tvm_graph.h"

#include "ir/op.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/layer.h"
#include "ir/verify.h"
#include "ir/walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

namespace temper::s_tir {
namespace {

/// Deeper programs are refused: reading recurses.
constexpr int kMaxDepth = 1000;

Error corrupt(const std::string& what) {
  return Error(ErrorCode::kCorrupt, "not one of TVM's object graphs: " + what);
}
Error unsupported(const std::string& what) { return Error(ErrorCode::kUnsupported, what); }

struct ObjectView {
  int64_t index = -1;
  std::string_view type;
  const Json* data = nullptr; ///< null when there is none
};

class Reader {
public:
  explicit Reader(const Json& graph) : graph_(graph) {}

  Result<IRModule> module() {
    TEMPER_TRY(root, root_object("ir.IRModule"));
    TEMPER_TRY(functions, member_map(root, "functions"));
    std::vector<ModuleEntry> entries;
    for (const auto& [key, value] : functions) {
      TEMPER_TRY(name_of, object(key));
      TEMPER_TRY(name, text_member(name_of, "name_hint"));
      TEMPER_TRY(made, function(value, name));
      if (std::any_of(entries.begin(), entries.end(),
                      [&](const ModuleEntry& other) { return other.name == name; }))
        return corrupt(fmt::format("two functions are called {}", name));
      entries.push_back({name, made});
    }
    if (entries.empty())
      return corrupt("the module has no functions");
    return make_module(std::move(entries));
  }

  Result<std::string> index_map(MapForm form) {
    TEMPER_TRY(root, root_object("tirx.IndexMap"));
    TEMPER_TRY(inputs, member_array(root, "initial_indices"));
    TEMPER_TRY(outputs, member_array(root, "final_indices"));
    std::vector<std::string> names;
    for (const int64_t index : inputs) {
      TEMPER_TRY(var, variable(index));
      names.push_back(var->name);
    }
    std::vector<std::string> texts;
    for (const int64_t index : outputs) {
      TEMPER_TRY(value, expr(index, 0));
      TEMPER_TRY(text, print(value));
      texts.push_back(std::move(text));
    }
    if (form == MapForm::kRanges) {
      std::vector<std::string> ranges;
      for (size_t i = 0; i + 1 < texts.size(); i += 2)
        ranges.push_back(fmt::format("({}, {})", texts[i], texts[i + 1]));
      if (texts.size() % 2 != 0)
        return corrupt("a range has a begin and an end");
      return fmt::format("lambda {}: [{}]", fmt::join(names, ", "), fmt::join(ranges, ", "));
    }
    return fmt::format("lambda {}: ({}{})", fmt::join(names, ", "), fmt::join(texts, ", "),
                       texts.size() == 1 ? "," : "");
  }

private:
  // The graph.

  Result<ObjectView> root_object(std::string_view type) {
    if (!graph_.is_object() || !graph_.contains("nodes") || !graph_["nodes"].is_array() ||
        !graph_.contains("root_index") || !graph_["root_index"].is_number_integer())
      return corrupt("it has no nodes and root_index");
    nodes_ = &graph_["nodes"];
    const auto root = graph_["root_index"].get<int64_t>();
    last_ = root + 1;
    TEMPER_TRY(found, object(root));
    if (found.type != type)
      return corrupt(fmt::format("its root is {}, not {}", found.type, type));
    return found;
  }

  Result<ObjectView> object(int64_t index) {
    if (index < 0 || index >= static_cast<int64_t>(nodes_->size()) || index >= last_)
      return corrupt(fmt::format("a reference to node {} of {}", index, nodes_->size()));
    const Json& node = (*nodes_)[static_cast<size_t>(index)];
    const auto type = node.is_object() ? node.find("type") : node.end();
    if (!node.is_object() || type == node.end() || !type->is_string())
      return corrupt(fmt::format("node {} has no type", index));
    const auto data = node.find("data");
    return ObjectView{index, type->get_ref<const std::string&>(),
                      data == node.end() ? nullptr : &*data};
  }
  static Error wrong(const ObjectView& object, std::string_view what) {
    return corrupt(fmt::format("node {}, {}, has no {}", object.index, object.type, what));
  }
  static Result<const Json*> member(const ObjectView& object, const char* name) {
    if (object.data == nullptr || !object.data->is_object())
      return wrong(object, name);
    const auto found = object.data->find(name);
    if (found == object.data->end())
      return wrong(object, name);
    return &*found;
  }
  Result<int64_t> number(const ObjectView& object, const char* name) {
    TEMPER_TRY(value, member(object, name));
    if (!value->is_number_integer())
      return wrong(object, name);
    return value->get<int64_t>();
  }
  /// A member that refers to a node made before this one.
  Result<int64_t> reference(const ObjectView& object, const char* name) {
    TEMPER_TRY(index, number(object, name));
    if (index < 0 || index >= object.index)
      return corrupt(fmt::format("node {} refers to node {}, which does not stand before it",
                                 object.index, index));
    return index;
  }
  Result<ObjectView> member_object(const ObjectView& parent, const char* name) {
    TEMPER_TRY(index, reference(parent, name));
    return object(index);
  }
  Result<std::vector<int64_t>> elements(const ObjectView& list, std::string_view type) {
    if (list.type != type || list.data == nullptr || !list.data->is_array())
      return corrupt(fmt::format("node {} is {}, not {}", list.index, list.type, type));
    std::vector<int64_t> result;
    for (const Json& item : *list.data) {
      if (!item.is_number_integer() || item.get<int64_t>() < 0 || item.get<int64_t>() >= list.index)
        return corrupt(fmt::format("node {} refers to no node before it", list.index));
      result.push_back(item.get<int64_t>());
    }
    return result;
  }
  Result<std::vector<int64_t>> member_array(const ObjectView& parent, const char* name) {
    TEMPER_TRY(list, member_object(parent, name));
    if (list.type == "None")
      return std::vector<int64_t>();
    return elements(list, "ffi.Array");
  }
  using Pairs = std::vector<std::pair<int64_t, int64_t>>;
  Result<Pairs> pairs(const ObjectView& map) {
    if (map.type == "None")
      return Pairs();
    TEMPER_TRY(flat, elements(map, "ffi.Map"));
    if (flat.size() % 2 != 0)
      return corrupt(fmt::format("node {} has a key without a value", map.index));
    Pairs result;
    for (size_t i = 0; i < flat.size(); i += 2)
      result.emplace_back(flat[i], flat[i + 1]);
    return result;
  }
  Result<Pairs> member_map(const ObjectView& parent, const char* name) {
    TEMPER_TRY(map, member_object(parent, name));
    return pairs(map);
  }
  Result<std::string> text(int64_t index) {
    TEMPER_TRY(found, object(index));
    if (found.data == nullptr || !found.data->is_string())
      return corrupt(fmt::format("node {} is {}, not a string", index, found.type));
    return found.data->get<std::string>();
  }
  Result<std::string> text_member(const ObjectView& parent, const char* name) {
    TEMPER_TRY(value, member(parent, name));
    if (value->is_string()) // short ones may stand in place
      return value->get<std::string>();
    TEMPER_TRY(index, reference(parent, name));
    return text(index);
  }
  /// An integer in place, or a node "int".
  Result<int64_t> boxed(const ObjectView& parent, const char* name) {
    TEMPER_TRY(index, reference(parent, name));
    TEMPER_TRY(found, object(index));
    if (found.data == nullptr || !found.data->is_number_integer())
      return wrong(parent, name);
    return found.data->get<int64_t>();
  }

  // Types, variables, buffers.

  Result<DataType> type(int64_t index) {
    TEMPER_TRY(found, object(index));
    if (found.type != "ir.PrimType")
      return unsupported(fmt::format("a value of type {}", found.type));
    TEMPER_TRY(name, text_member(found, "dtype"));
    const auto parsed = parse_data_type(name);
    if (!parsed)
      return unsupported(fmt::format("the data type {}", name));
    return *parsed;
  }
  Result<DataType> type_of(const ObjectView& parent) {
    TEMPER_TRY(index, reference(parent, "ty"));
    return type(index);
  }

  Result<Var> variable(int64_t index) {
    if (const auto known = vars_.find(index); known != vars_.end())
      return known->second;
    TEMPER_TRY(found, object(index));
    if (found.type != "ir.Var")
      return corrupt(fmt::format("node {} is {}, not a variable", index, found.type));
    TEMPER_TRY(dtype, type_of(found));
    TEMPER_TRY(name, text_member(found, "name"));
    return vars_.emplace(index, make_var(name, dtype)).first->second;
  }

  Result<bool> is_buffer(int64_t index) {
    TEMPER_TRY(found, object(index));
    if (found.type != "ir.Var")
      return false;
    TEMPER_TRY(ty, member_object(found, "ty"));
    return ty.type == "tirx.BufferType";
  }

  Result<Buffer> buffer(int64_t index) {
    if (const auto known = buffers_.find(index); known != buffers_.end())
      return known->second;
    TEMPER_TRY(found, object(index));
    if (found.type != "ir.Var")
      return corrupt(fmt::format("node {} is {}, not a buffer", index, found.type));
    TEMPER_TRY(name, text_member(found, "name"));
    TEMPER_TRY(ty, member_object(found, "ty"));
    if (ty.type != "tirx.BufferType")
      return corrupt(fmt::format("node {} is no buffer", index));
    TEMPER_TRY(dtype_index, reference(ty, "dtype"));
    TEMPER_TRY(dtype, type(dtype_index));
    TEMPER_TRY(scope, text_member(ty, "storage_scope"));
    TEMPER_TRY(shape, expr_list(ty, "shape", 0));
    TEMPER_TRY(strides, expr_list(ty, "strides", 0));
    TEMPER_TRY(layout, member_object(ty, "layout"));
    if (layout.type != "None")
      return unsupported(fmt::format("the layout of buffer {}", name));
    TEMPER_TRY(offset_at, member_object(ty, "elem_offset"));
    Expr offset;
    if (offset_at.type != "None") {
      TEMPER_TRY(value, expr(offset_at.index, 0));
      if (!is_int(value, 0))
        offset = value;
    }
    TEMPER_TRY(alignment, number(ty, "data_alignment"));
    for (const std::vector<Expr>* list : {&shape, &strides})
      for (const Expr& value : *list)
        if (!value->dtype.is_integral() || !value->dtype.is_scalar())
          return corrupt(fmt::format("a dimension of buffer {} is no integer", name));
    if (!strides.empty() && strides.size() != shape.size())
      return corrupt(fmt::format("buffer {} has {} dimensions and {} strides", name, shape.size(),
                                 strides.size()));
    const Buffer made = copy_node(*make_buffer(name, dtype, shape, scope), [&](BufferNode& node) {
      node.strides = strides;
      node.elem_offset = offset;
      if (alignment > 0)
        node.alignment = alignment;
    });
    return buffers_.emplace(index, made).first->second;
  }

  // Expressions.

  Result<std::vector<Expr>> expr_list(const ObjectView& parent, const char* name, int depth) {
    TEMPER_TRY(indices, member_array(parent, name));
    std::vector<Expr> list;
    for (const int64_t index : indices) {
      TEMPER_TRY(value, expr(index, depth + 1));
      list.push_back(std::move(value));
    }
    return list;
  }
  Result<Expr> member_expr(const ObjectView& parent, const char* name, int depth) {
    TEMPER_TRY(index, reference(parent, name));
    return expr(index, depth + 1);
  }

  Result<std::vector<Expr>> access(const ObjectView& parent, const Buffer& to, int depth) {
    TEMPER_TRY(indices, expr_list(parent, "indices", depth));
    if (indices.size() != to->shape.size())
      return corrupt(fmt::format("{} has {} dimensions and is accessed with {} indices", to->name,
                                 to->shape.size(), indices.size()));
    for (const Expr& index : indices)
      if (!index->dtype.is_integral() || !index->dtype.is_scalar())
        return unsupported(fmt::format("an index of {} that is no integer", to->name));
    return indices;
  }

  template <typename Node> Result<Expr> binary(const ObjectView& from, int depth) {
    TEMPER_TRY(a, member_expr(from, "a", depth));
    TEMPER_TRY(b, member_expr(from, "b", depth));
    if (a->dtype != b->dtype)
      return corrupt(fmt::format("node {}, {}, has operands of two types", from.index, from.type));
    if constexpr (std::is_same_v<Node, And> || std::is_same_v<Node, Or>)
      if (!a->dtype.is_bool())
        return corrupt(
            fmt::format("node {}, {}, has operands that are no conditions", from.index, from.type));
    return make_binary<Node>(a, b);
  }

  Result<Expr> operation(std::string_view name, std::vector<Expr> args) {
    const OpInfo* op = find_op(name);
    if (op == nullptr || op->result == OpResult::kExplicit || op->result == OpResult::kStatement ||
        op->arity != static_cast<int>(args.size()))
      return unsupported(fmt::format("the operation {} of {} arguments", name, args.size()));
    const bool conditional = op->result == OpResult::kSecondArgument;
    for (size_t i = conditional ? 2 : 1; i < args.size(); ++i)
      if (args[i]->dtype != args[i - 1]->dtype)
        return corrupt(fmt::format("the operation {} has arguments of several types", name));
    if (conditional && !args[0]->dtype.is_bool())
      return corrupt(fmt::format("the operation {} has no condition", name));
    return call_op(name, std::move(args));
  }

  Result<Expr> expr(int64_t index, int depth) {
    if (depth > kMaxDepth)
      return unsupported("an expression or statement that is nested too deeply");
    if (const auto known = exprs_.find(index); known != exprs_.end())
      return known->second;
    TEMPER_TRY(made, make_expr(index, depth));
    exprs_.emplace(index, made);
    return made;
  }

  Result<Expr> make_expr(int64_t index, int depth) {
    TEMPER_TRY(from, object(index));
    const std::string_view type_name = from.type;
    if (type_name == "ir.Var") {
      TEMPER_TRY(var, variable(index));
      return Expr(var);
    }
    if (type_name == "ir.IntImm") {
      TEMPER_TRY(dtype, type_of(from));
      TEMPER_TRY(value, boxed(from, "value"));
      if (dtype.is_bool() && dtype.is_scalar())
        return make_bool(value != 0);
      if (!dtype.is_integral() || !dtype.is_scalar())
        return corrupt("an integer of another type");
      return make_int(dtype, value);
    }
    if (type_name == "ir.FloatImm") {
      TEMPER_TRY(dtype, type_of(from));
      TEMPER_TRY(value, member(from, "value"));
      if (!dtype.is_floating() || !dtype.is_scalar())
        return corrupt("a floating-point number of another type");
      if (value->is_number())
        return make_float(dtype, value->get<double>());
      if (value->is_string())
        return make_float(dtype,
                          std::strtod(value->get_ref<const std::string&>().c_str(), nullptr));
      return wrong(from, "value");
    }
    if (type_name == "ir.StringImm") {
      TEMPER_TRY(value, text_member(from, "value"));
      return make_string(value);
    }
    if (type_name == "ir.TensorLoad") {
      TEMPER_TRY(source, reference(from, "source"));
      TEMPER_TRY(loaded, buffer(source));
      TEMPER_TRY(indices, access(from, loaded, depth));
      return make_load(loaded, std::move(indices));
    }
    if (type_name == "prim.Cast") {
      TEMPER_TRY(dtype, type_of(from));
      TEMPER_TRY(value, member_expr(from, "value", depth));
      if (dtype.lanes != value->dtype.lanes || dtype.is_handle() || value->dtype.is_handle())
        return corrupt("a conversion between types that have none");
      return make_cast(dtype, value);
    }
    if (type_name == "prim.Not") {
      TEMPER_TRY(value, member_expr(from, "a", depth));
      if (!value->dtype.is_bool())
        return corrupt("the negation of what is no condition");
      return make_not(value);
    }
    if (type_name == "prim.Select") {
      TEMPER_TRY(condition, member_expr(from, "condition", depth));
      TEMPER_TRY(yes, member_expr(from, "true_value", depth));
      TEMPER_TRY(no, member_expr(from, "false_value", depth));
      if (!condition->dtype.is_bool() || yes->dtype != no->dtype)
        return corrupt("a selection between two types, or without a condition");
      return make_select(condition, yes, no);
    }
    if (type_name == "ir.Call") {
      TEMPER_TRY(op, member_object(from, "op"));
      if (op.type != "ir.Op" || op.data == nullptr || !op.data->is_string())
        return unsupported(fmt::format("a call of {}", op.type));
      std::string name = op.data->get<std::string>();
      name = name.substr(name.rfind('.') + 1);
      if (name == "fabs")
        name = "abs";
      TEMPER_TRY(args, expr_list(from, "args", depth));
      return operation(name, std::move(args));
    }
    if (type_name.starts_with("prim.")) {
      const std::string_view kind = type_name.substr(5);
#define TEMPER_READ_BINARY(name)                                                                   \
  if (kind == #name)                                                                               \
    return binary<name>(from, depth);
      TEMPER_READ_BINARY(Add)
      TEMPER_READ_BINARY(Sub)
      TEMPER_READ_BINARY(Mul)
      TEMPER_READ_BINARY(Div)
      TEMPER_READ_BINARY(Mod)
      TEMPER_READ_BINARY(FloorDiv)
      TEMPER_READ_BINARY(FloorMod)
      TEMPER_READ_BINARY(Min)
      TEMPER_READ_BINARY(Max)
      TEMPER_READ_BINARY(EQ)
      TEMPER_READ_BINARY(NE)
      TEMPER_READ_BINARY(LT)
      TEMPER_READ_BINARY(LE)
      TEMPER_READ_BINARY(GT)
      TEMPER_READ_BINARY(GE)
      TEMPER_READ_BINARY(And)
      TEMPER_READ_BINARY(Or)
#undef TEMPER_READ_BINARY
      static const std::pair<std::string_view, const char*> kBitwise[] = {
          {"LShift", "shift_left"},      {"RShift", "shift_right"},
          {"BitwiseAnd", "bitwise_and"}, {"BitwiseOr", "bitwise_or"},
          {"BitwiseXor", "bitwise_xor"}, {"BitwiseNot", "bitwise_not"}};
      for (const auto& [spelled, name] : kBitwise)
        if (kind == spelled) {
          std::vector<Expr> args;
          TEMPER_TRY(a, member_expr(from, "a", depth));
          args.push_back(a);
          if (kind != "BitwiseNot") {
            TEMPER_TRY(b, member_expr(from, "b", depth));
            args.push_back(b);
          }
          return operation(name, std::move(args));
        }
    }
    return unsupported(fmt::format("{} as an expression", type_name));
  }

  /// An index as Python; only what index maps are made of.
  Result<std::string> print(const Expr& value) {
    if (const auto constant = as_int(value))
      return fmt::format("{}", *constant);
    if (const auto* var = value.as<VarNode>())
      return var->name;
    const auto both = [&](const Expr& a, const char* op, const Expr& b) -> Result<std::string> {
      TEMPER_TRY(left, print(a));
      TEMPER_TRY(right, print(b));
      const auto wrap = [](const Expr& part, const std::string& text) {
        return part.is<VarNode>() || as_int(part) ? text : "(" + text + ")";
      };
      return fmt::format("{} {} {}", wrap(a, left), op, wrap(b, right));
    };
    if (const auto* node = value.as<Add>())
      return both(node->a, "+", node->b);
    if (const auto* node = value.as<Sub>())
      return both(node->a, "-", node->b);
    if (const auto* node = value.as<Mul>())
      return both(node->a, "*", node->b);
    if (const auto* node = value.as<FloorDiv>())
      return both(node->a, "//", node->b);
    if (const auto* node = value.as<FloorMod>())
      return both(node->a, "%", node->b);
    return unsupported("an index map that is not made of + - * // and %");
  }

  // Statements.

  Result<Annotations> annotations(const Pairs& map) {
    Annotations result;
    for (const auto& [key, value] : map) {
      TEMPER_TRY(name, text(key));
      TEMPER_TRY(converted, annotation(value, 0));
      result = result.with(name, converted);
    }
    return result;
  }
  Result<Expr> annotation(int64_t index, int depth) {
    TEMPER_TRY(found, object(index));
    if (depth > 32)
      return unsupported("an annotation that is nested too deeply");
    if (found.data != nullptr) {
      if (found.type == "int" && found.data->is_number_integer()) {
        const auto value = found.data->get<int64_t>();
        const bool narrow = value == static_cast<int32_t>(value);
        return make_int(DataType::integer(narrow ? 32 : 64), value);
      }
      if (found.type == "bool" && found.data->is_boolean())
        return make_bool(found.data->get<bool>());
      if (found.type == "float" && found.data->is_number())
        return make_float(DataType::float32(), found.data->get<double>());
      if (found.type == "ffi.String" && found.data->is_string())
        return make_string(found.data->get<std::string>());
      if (found.type == "ffi.Array") {
        TEMPER_TRY(items, elements(found, "ffi.Array"));
        std::vector<Expr> values;
        for (const int64_t item : items) {
          TEMPER_TRY(value, annotation(item, depth + 1));
          values.push_back(value);
        }
        return make_list(std::move(values));
      }
    }
    return expr(index, 0);
  }

  Result<Range> range(int64_t index) {
    TEMPER_TRY(found, object(index));
    TEMPER_TRY(min, member_expr(found, "min", 0));
    TEMPER_TRY(extent, member_expr(found, "extent", 0));
    if (!min->dtype.is_integral() || !extent->dtype.is_integral())
      return corrupt("a range whose ends are no integers");
    return Range{min, extent};
  }
  Result<BufferRegion> region(int64_t index) {
    TEMPER_TRY(found, object(index));
    if (found.type != "ir.TensorRegion")
      return corrupt(fmt::format("node {} is {}, not a region", index, found.type));
    TEMPER_TRY(source, reference(found, "source"));
    TEMPER_TRY(touched, buffer(source));
    TEMPER_TRY(ranges, member_array(found, "region"));
    BufferRegion result{touched, {}};
    for (const int64_t item : ranges) {
      TEMPER_TRY(one, range(item));
      result.region.push_back(std::move(one));
    }
    if (result.region.size() != touched->shape.size())
      return corrupt(
          fmt::format("a region of {} with {} dimensions", touched->name, result.region.size()));
    return result;
  }
  Result<std::vector<BufferRegion>> regions(const ObjectView& parent, const char* name) {
    TEMPER_TRY(items, member_array(parent, name));
    std::vector<BufferRegion> result;
    for (const int64_t item : items) {
      TEMPER_TRY(one, region(item));
      result.push_back(std::move(one));
    }
    return result;
  }

  Result<Stmt> member_stmt(const ObjectView& parent, const char* name, int depth) {
    TEMPER_TRY(index, reference(parent, name));
    return stmt(index, depth + 1);
  }
  Result<Stmt> optional_stmt(const ObjectView& parent, const char* name, int depth) {
    TEMPER_TRY(found, member_object(parent, name));
    if (found.type == "None")
      return Stmt();
    return stmt(found.index, depth + 1);
  }

  Result<Stmt> stmt(int64_t index, int depth) {
    if (depth > kMaxDepth)
      return unsupported("a statement that is nested too deeply");
    TEMPER_TRY(from, object(index));
    if (!statements_.insert(index).second)
      return unsupported("a statement that occurs twice");
    if (from.type == "tirx.SeqStmt") {
      TEMPER_TRY(items, member_array(from, "seq"));
      std::vector<Stmt> list;
      for (const int64_t item : items) {
        TEMPER_TRY(one, stmt(item, depth + 1));
        list.push_back(std::move(one));
      }
      return make_seq(std::move(list));
    }
    if (from.type == "tirx.For")
      return loop(from, depth);
    if (from.type == "tirx.BufferStore") {
      TEMPER_TRY(at, reference(from, "buffer"));
      TEMPER_TRY(stored, buffer(at));
      TEMPER_TRY(indices, access(from, stored, depth));
      TEMPER_TRY(value, member_expr(from, "value", depth));
      if (value->dtype != stored->dtype)
        return corrupt(fmt::format("a value of another type is stored in {}", stored->name));
      return make_store(stored, std::move(indices), value);
    }
    if (from.type == "tirx.IfThenElse") {
      TEMPER_TRY(condition, member_expr(from, "condition", depth));
      TEMPER_TRY(then_case, member_stmt(from, "then_case", depth));
      TEMPER_TRY(else_case, optional_stmt(from, "else_case", depth));
      if (!condition->dtype.is_bool())
        return corrupt("an if without a condition");
      return make_if(condition, then_case, else_case);
    }
    if (from.type == "s_tir.SBlockRealize")
      return realize(from, depth);
    return unsupported(fmt::format("{} as a statement", from.type));
  }

  Result<Stmt> loop(const ObjectView& from, int depth) {
    TEMPER_TRY(kind, number(from, "kind"));
    if (kind < 0 || kind > 4)
      return corrupt(fmt::format("a loop of kind {}", kind));
    TEMPER_TRY(var_at, reference(from, "loop_var"));
    TEMPER_TRY(var, variable(var_at));
    TEMPER_TRY(min, member_expr(from, "min", depth));
    TEMPER_TRY(extent, member_expr(from, "extent", depth));
    if (min->dtype != var->dtype || extent->dtype != var->dtype || !var->dtype.is_integral())
      return corrupt(fmt::format("loop {} runs over another type", var->name));
    TEMPER_TRY(step, member_object(from, "step"));
    if (step.type != "None") {
      TEMPER_TRY(value, expr(step.index, depth));
      if (!is_int(value, 1))
        return unsupported(fmt::format("loop {} with a step", var->name));
    }
    TEMPER_TRY(body, member_stmt(from, "body", depth));
    TEMPER_TRY(map, member_map(from, "annotations"));
    TEMPER_TRY(notes, annotations(map));
    std::string thread;
    if (kind == 4) {
      TEMPER_TRY(binding, member_object(from, "thread_binding"));
      TEMPER_TRY(tag, text_member(binding, "thread_tag"));
      thread = tag;
    }
    const Stmt made = make_for(var, min, extent, static_cast<ForKind>(kind), body);
    return Stmt(copy_node(*made.as<For>(), [&](For& node) {
      node.annotations = notes;
      node.thread = thread;
    }));
  }

  Result<Stmt> realize(const ObjectView& from, int depth) {
    TEMPER_TRY(values, expr_list(from, "iter_values", depth));
    TEMPER_TRY(predicate, member_expr(from, "predicate", depth));
    TEMPER_TRY(block, member_object(from, "block"));
    if (block.type != "s_tir.SBlock")
      return corrupt(fmt::format("a realize of {}", block.type));
    TEMPER_TRY(iters, member_array(block, "iter_vars"));
    std::vector<IterVar> axes;
    for (const int64_t item : iters) {
      TEMPER_TRY(iter, object(item));
      TEMPER_TRY(domain_at, reference(iter, "dom"));
      TEMPER_TRY(domain, range(domain_at));
      TEMPER_TRY(var_at, reference(iter, "var"));
      TEMPER_TRY(var, variable(var_at));
      TEMPER_TRY(kind, number(iter, "iter_type"));
      const auto axis_type = kind == 0   ? std::optional(IterType::kSpatial)
                             : kind == 2 ? std::optional(IterType::kReduce)
                             : kind == 3 ? std::optional(IterType::kScan)
                             : kind == 4 ? std::optional(IterType::kOpaque)
                                         : std::nullopt;
      if (!axis_type)
        return unsupported(fmt::format("an axis of kind {}", kind));
      axes.push_back({domain, var, *axis_type});
    }
    if (axes.size() != values.size())
      return corrupt(
          fmt::format("a block of {} axes with {} values for them", axes.size(), values.size()));
    TEMPER_TRY(name, text_member(block, "name_hint"));
    TEMPER_TRY(allocated, member_array(block, "alloc_buffers"));
    std::vector<Buffer> own;
    for (const int64_t item : allocated) {
      TEMPER_TRY(one, buffer(item));
      own.push_back(one);
    }
    TEMPER_TRY(matches, member_array(block, "match_buffers"));
    std::vector<MatchBufferRegion> views;
    for (const int64_t item : matches) {
      TEMPER_TRY(match, object(item));
      TEMPER_TRY(view_at, reference(match, "buffer"));
      TEMPER_TRY(view, buffer(view_at));
      TEMPER_TRY(source_at, reference(match, "source"));
      TEMPER_TRY(source, region(source_at));
      views.push_back({source, view});
    }
    TEMPER_TRY(reads, regions(block, "reads"));
    TEMPER_TRY(writes, regions(block, "writes"));
    TEMPER_TRY(map, member_map(block, "annotations"));
    TEMPER_TRY(notes, annotations(map));
    TEMPER_TRY(init, optional_stmt(block, "init", depth));
    TEMPER_TRY(body, member_stmt(block, "body", depth));
    if (!predicate->dtype.is_bool())
      return corrupt("a predicate that is no condition");
    return make_realize(std::move(values), predicate, make_node<SBlock>([&](SBlock& node) {
                          node.id = new_block_id();
                          node.name = name;
                          node.iter_vars = std::move(axes);
                          node.reads = std::move(reads);
                          node.writes = std::move(writes);
                          node.alloc_buffers = std::move(own);
                          node.match_buffers = std::move(views);
                          node.annotations = notes;
                          node.init = init;
                          node.body = body;
                        }));
  }

  Result<PrimFunc> function(int64_t index, const std::string& name) {
    TEMPER_TRY(from, object(index));
    if (from.type != "tirx.PrimFunc")
      return unsupported(fmt::format("function {} is {}, not a PrimFunc", name, from.type));
    TEMPER_TRY(params, member_array(from, "params"));
    std::vector<Param> list;
    for (const int64_t item : params) {
      TEMPER_TRY(tensor, is_buffer(item));
      if (tensor) {
        TEMPER_TRY(one, buffer(item));
        list.push_back({one, nullptr});
      } else {
        TEMPER_TRY(one, variable(item));
        list.push_back({nullptr, one});
      }
    }
    TEMPER_TRY(attrs, member_object(from, "attrs"));
    Pairs map;
    if (attrs.type != "None") {
      TEMPER_TRY(found, member_map(attrs, "__dict__"));
      map = found;
    }
    TEMPER_TRY(all, annotations(map));
    const bool is_private = !all.get("global_symbol");
    const bool blocks = is_int(all.get("s_tir") ? all.get("s_tir") : make_bool(false), 1);
    if (all.get_string("global_symbol") == name)
      all = all.without("global_symbol");
    all = all.without("s_tir");
    TEMPER_TRY(body, member_stmt(from, "body", 0));
    if (!blocks && !body.is<SBlockRealize>())
      return unsupported(fmt::format("function {} is not schedulable: it has no blocks", name));
    // Dimensions that are no parameters by themselves.
    std::vector<Var> symbols;
    for (const Param& param : list)
      if (param.buffer)
        for (const Expr& extent : param.buffer->shape)
          uses_var(extent, [&](const VarNode& used) {
            const Var var(&used);
            if (std::none_of(list.begin(), list.end(),
                             [&](const Param& other) { return other.var == var; }) &&
                std::find(symbols.begin(), symbols.end(), var) == symbols.end())
              symbols.push_back(var);
            return false;
          });
    return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
      node.name = name;
      node.shape_vars = std::move(symbols);
      node.params = std::move(list);
      node.attrs = all;
      node.s_tir = true;
      node.is_private = is_private;
      node.body = body;
    });
  }

  const Json& graph_;
  const Json* nodes_ = nullptr;
  int64_t last_ = 0;
  std::unordered_map<int64_t, Var> vars_;
  std::unordered_map<int64_t, Buffer> buffers_;
  std::unordered_map<int64_t, Expr> exprs_;
  std::unordered_set<int64_t> statements_;
};

} // namespace

Result<IRModule> module_from_tvm(const Json& graph) {
  TEMPER_TRY(module, Reader(graph).module());
  register_layer();
  if (auto good = verify(module); !good)
    return std::move(good).error();
  return module;
}

Result<std::string> index_map_from_tvm(const Json& graph, MapForm form) {
  return Reader(graph).index_map(form);
}

} // namespace temper::s_tir
