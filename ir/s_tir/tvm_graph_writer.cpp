// The other way round from tvm_graph.cpp: programs and index maps as TVM's JSON object graphs.
// Nodes are written children first, so that each refers to smaller numbers; buffers and variables
// once, everything else where it stands (TVM compares structure, not sharing).
#include "ir/s_tir/tvm_graph.h"

#include "ir/op.h"
#include "ir/s_tir/block.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>

namespace temper::s_tir {
namespace {

Error unsupported(std::string what) {
  return Error(ErrorCode::kUnsupported, "TVM has no place for " + std::move(what));
}

constexpr const char* kTvmVersion = "0.27.0.post1";

class Writer {
public:
  Writer() { nodes_.push_back(Json::object({{"type", "None"}})); }

  Result<Json> module(const IRModule& module) {
    Json functions = Json::array();
    Json names = Json::array();
    for (const ModuleEntry& entry : module->functions) {
      const auto function = entry.function.as_ref<PrimFuncNode>();
      if (!function)
        return unsupported(fmt::format("function {}, which is no PrimFunc", entry.name));
      TEMPER_TRY(type, function_type(*function));
      const int64_t name = text(entry.name);
      const int64_t variable =
          object("ir.GlobalVar", {{"span", 0}, {"ty", type}, {"name_hint", name}});
      TEMPER_TRY(written, prim_func(*function, entry.name, type));
      functions.push_back(variable);
      functions.push_back(written);
      names.push_back(name);
      names.push_back(variable);
    }
    const int64_t all = add("ffi.Map", std::move(functions));
    const int64_t by_name = add("ffi.Map", std::move(names));
    const int64_t sources =
        object("ir.SourceMap", Json::object({{"source_map", add("ffi.Map", Json::array())}}));
    const int64_t attrs =
        object("ir.DictAttrs", Json::object({{"__dict__", add("ffi.Map", Json::array())}}));
    const int64_t infos = add("ffi.Map", Json::array());
    return graph(object("ir.IRModule", {{"functions", all},
                                        {"global_var_map_", by_name},
                                        {"source_map", sources},
                                        {"attrs", attrs},
                                        {"global_infos", infos}}));
  }

  Result<Json> index_map(const IndexMap& map) {
    Json inputs = Json::array();
    for (const Var& input : map->inputs)
      inputs.push_back(variable(input));
    TEMPER_TRY(outputs, exprs(map->outputs));
    const int64_t initial = add("ffi.Array", std::move(inputs));
    return graph(object(
        "tirx.IndexMap",
        {{"initial_indices", initial}, {"final_indices", outputs}, {"inverse_index_map", 0}}));
  }

private:
  Json graph(int64_t root) {
    Json result = Json::object();
    result["root_index"] = root;
    result["nodes"] = std::move(nodes_);
    result["metadata"]["tvm_version"] = kTvmVersion;
    return result;
  }

  int64_t add(const char* type, Json data) {
    Json node = Json::object();
    node["type"] = type;
    node["data"] = std::move(data);
    nodes_.push_back(std::move(node));
    return static_cast<int64_t>(nodes_.size()) - 1;
  }
  int64_t object(const char* type, Json fields) { return add(type, std::move(fields)); }
  int64_t text(const std::string& value) {
    const auto [at, fresh] = texts_.emplace(value, 0);
    if (fresh)
      at->second = add("ffi.String", value);
    return at->second;
  }
  int64_t number(int64_t value) {
    const auto [at, fresh] = numbers_.emplace(value, 0);
    if (fresh)
      at->second = add("int", value);
    return at->second;
  }
  int64_t type(DataType dtype) {
    const std::string name = to_string(dtype);
    const auto [at, fresh] = types_.emplace(name, 0);
    if (fresh)
      at->second = object("ir.PrimType", {{"span", 0}, {"dtype", name}});
    return at->second;
  }
  int64_t integer(DataType dtype, int64_t value) {
    const int64_t boxed = number(value);
    return object("ir.IntImm", {{"span", 0}, {"ty", type(dtype)}, {"value", boxed}});
  }

  int64_t variable(const Var& var) {
    if (const auto known = vars_.find(var); known != vars_.end())
      return known->second;
    const int64_t name = text(var->name);
    const int64_t made = object("ir.Var", {{"span", 0}, {"ty", type(var->dtype)}, {"name", name}});
    return vars_.emplace(var, made).first->second;
  }

  Result<int64_t> buffer(const Buffer& buffer) {
    if (const auto known = buffers_.find(buffer); known != buffers_.end())
      return known->second;
    if (buffer->layout)
      return unsupported(fmt::format("the layout of buffer {}", buffer->name));
    TEMPER_TRY(shape, exprs(buffer->shape));
    TEMPER_TRY(strides, exprs(buffer->strides));
    const DataType index = buffer->shape.empty() ? DataType::int32() : buffer->shape[0]->dtype;
    TEMPER_TRY(offset, expr(buffer->elem_offset ? buffer->elem_offset : make_int(index, 0)));
    const int64_t dtype = type(buffer->dtype);
    const int64_t scope = text(buffer->scope);
    const int64_t addresses = add("ffi.Array", Json::array());
    const int64_t type = object("tirx.BufferType", {{"span", 0},
                                                    {"dtype", dtype},
                                                    {"storage_scope", scope},
                                                    {"shape", shape},
                                                    {"strides", strides},
                                                    {"elem_offset", offset},
                                                    {"data_alignment", buffer->alignment},
                                                    {"offset_factor", 1},
                                                    {"layout", 0},
                                                    {"allocated_addr", addresses}});
    const int64_t name = text(buffer->name);
    const int64_t made = object("ir.Var", {{"span", 0}, {"ty", type}, {"name", name}});
    return buffers_.emplace(buffer, made).first->second;
  }

  // Expressions.

  Result<int64_t> exprs(const std::vector<Expr>& list) {
    Json items = Json::array();
    for (const Expr& item : list) {
      TEMPER_TRY(written, expr(item));
      items.push_back(written);
    }
    return add("ffi.Array", std::move(items));
  }

  Result<int64_t> binary(const char* name, const Expr& whole, const Expr& left, const Expr& right) {
    TEMPER_TRY(a, expr(left));
    TEMPER_TRY(b, expr(right));
    return object(name, {{"span", 0}, {"ty", type(whole->dtype)}, {"a", a}, {"b", b}});
  }

  Result<int64_t> call(const Call& node) {
    static const std::unordered_map<std::string_view, const char*> kNodes = {
        {"bitwise_and", "prim.BitwiseAnd"},
        {"bitwise_or", "prim.BitwiseOr"},
        {"bitwise_xor", "prim.BitwiseXor"},
        {"shift_left", "prim.LShift"},
        {"shift_right", "prim.RShift"}};
    if (const auto spelled = kNodes.find(node.op); spelled != kNodes.end() && node.args.size() == 2)
      return binary(spelled->second, Expr(&node), node.args[0], node.args[1]);
    if (node.op == "bitwise_not" && node.args.size() == 1) {
      TEMPER_TRY(a, expr(node.args[0]));
      return object("prim.BitwiseNot", {{"span", 0}, {"ty", type(node.dtype)}, {"a", a}});
    }
    const OpInfo* op = find_op(node.op);
    if (op == nullptr || op->result == OpResult::kExplicit || op->result == OpResult::kStatement)
      return unsupported(fmt::format("the operation {}", node.op));
    std::string name = node.op == "abs" ? "fabs" : node.op;
    bool general = false; // of all layers, not of tensor programs
    for (const char* other : {"if_then_else", "likely", "ceil", "log2", "clz"})
      general |= name == other;
    const int64_t written = add("ir.Op", (general ? "prim." : "tirx.") + name);
    TEMPER_TRY(args, exprs(node.args));
    const int64_t types = add("ffi.Array", Json::array());
    return object("ir.Call", {{"span", 0},
                              {"ty", type(node.dtype)},
                              {"op", written},
                              {"args", args},
                              {"attrs", 0},
                              {"ty_args", types}});
  }

  Result<int64_t> expr(const Expr& value) {
    if (value->dtype.lanes != 1)
      return unsupported("vectors in a program with blocks");
    if (const auto var = value.as_ref<VarNode>())
      return variable(var);
    if (const auto constant = as_int(value))
      return integer(value->dtype, *constant);
    if (const auto* real = value.as<FloatImm>()) {
      // JSON has no other numbers.
      if (!std::isfinite(real->value))
        return unsupported("a number that is not finite in its JSON");
      return object("ir.FloatImm",
                    {{"span", 0}, {"ty", type(value->dtype)}, {"value", real->value}});
    }
    if (const auto* load = value.as<BufferLoad>()) {
      if (load->predicate)
        return unsupported("a load under a mask");
      TEMPER_TRY(source, buffer(load->buffer));
      TEMPER_TRY(indices, exprs(load->indices));
      return object(
          "ir.TensorLoad",
          {{"span", 0}, {"ty", type(value->dtype)}, {"source", source}, {"indices", indices}});
    }
    if (const auto* cast = value.as<Cast>()) {
      TEMPER_TRY(inner, expr(cast->value));
      return object("prim.Cast", {{"span", 0}, {"ty", type(value->dtype)}, {"value", inner}});
    }
    if (const auto* negated = value.as<Not>()) {
      TEMPER_TRY(a, expr(negated->a));
      return object("prim.Not", {{"span", 0}, {"ty", type(value->dtype)}, {"a", a}});
    }
    if (const auto* select = value.as<Select>()) {
      TEMPER_TRY(condition, expr(select->condition));
      TEMPER_TRY(yes, expr(select->true_value));
      TEMPER_TRY(no, expr(select->false_value));
      return object("prim.Select", {{"span", 0},
                                    {"ty", type(value->dtype)},
                                    {"condition", condition},
                                    {"true_value", yes},
                                    {"false_value", no}});
    }
    if (const auto* node = value.as<Call>())
      return call(*node);
#define TEMPER_WRITE_BINARY(name)                                                                  \
  if (const auto* node = value.as<name>())                                                         \
    return binary("prim." #name, value, node->a, node->b);
    TEMPER_WRITE_BINARY(Add)
    TEMPER_WRITE_BINARY(Sub)
    TEMPER_WRITE_BINARY(Mul)
    TEMPER_WRITE_BINARY(Div)
    TEMPER_WRITE_BINARY(Mod)
    TEMPER_WRITE_BINARY(FloorDiv)
    TEMPER_WRITE_BINARY(FloorMod)
    TEMPER_WRITE_BINARY(Min)
    TEMPER_WRITE_BINARY(Max)
    TEMPER_WRITE_BINARY(EQ)
    TEMPER_WRITE_BINARY(NE)
    TEMPER_WRITE_BINARY(LT)
    TEMPER_WRITE_BINARY(LE)
    TEMPER_WRITE_BINARY(GT)
    TEMPER_WRITE_BINARY(GE)
    TEMPER_WRITE_BINARY(And)
    TEMPER_WRITE_BINARY(Or)
#undef TEMPER_WRITE_BINARY
    return unsupported(fmt::format("an expression of kind {}", value->info().name));
  }

  // Statements.

  Result<int64_t> annotation(const Expr& value) {
    if (value->dtype.is_bool() && as_int(value))
      return add("bool", *as_int(value) != 0);
    if (const auto constant = as_int(value))
      return number(*constant);
    if (const auto* real = value.as<FloatImm>(); real != nullptr && std::isfinite(real->value))
      return add("float", real->value);
    if (const auto* word = value.as<StringImm>())
      return text(word->value);
    if (const auto* list = value.as<ListImm>()) {
      Json items = Json::array();
      for (const Expr& item : list->values) {
        TEMPER_TRY(written, annotation(item));
        items.push_back(written);
      }
      return add("ffi.Array", std::move(items));
    }
    return expr(value);
  }
  Result<int64_t> annotations(const Annotations& all) {
    Json pairs = Json::array();
    for (const Annotation& entry : all.entries) {
      const int64_t key = text(entry.key);
      TEMPER_TRY(value, annotation(entry.value));
      pairs.push_back(key);
      pairs.push_back(value);
    }
    return add("ffi.Map", std::move(pairs));
  }

  Result<int64_t> range(const Range& value) {
    TEMPER_TRY(min, expr(value.min));
    TEMPER_TRY(extent, expr(value.extent));
    return object("ir.Range", {{"min", min}, {"extent", extent}, {"span", 0}});
  }
  Result<int64_t> region(const BufferRegion& value) {
    TEMPER_TRY(source, buffer(value.buffer));
    Json ranges = Json::array();
    for (const Range& one : value.region) {
      TEMPER_TRY(written, range(one));
      ranges.push_back(written);
    }
    const int64_t list = add("ffi.Array", std::move(ranges));
    const int64_t type = object("tirx.BufferRegionType", Json::object({{"span", 0}}));
    return object("ir.TensorRegion",
                  {{"span", 0}, {"ty", type}, {"source", source}, {"region", list}});
  }
  Result<int64_t> regions(const std::vector<BufferRegion>& list) {
    Json items = Json::array();
    for (const BufferRegion& item : list) {
      TEMPER_TRY(written, region(item));
      items.push_back(written);
    }
    return add("ffi.Array", std::move(items));
  }

  Result<int64_t> optional_stmt(const Stmt& value) {
    return value ? stmt(value) : Result<int64_t>(0);
  }

  Result<int64_t> stmt(const Stmt& value) {
    if (const auto* seq = value.as<SeqStmt>()) {
      Json items = Json::array();
      for (const Stmt& item : seq->statements) {
        TEMPER_TRY(written, stmt(item));
        items.push_back(written);
      }
      const int64_t list = add("ffi.Array", std::move(items));
      return object("tirx.SeqStmt", {{"span", 0}, {"seq", list}});
    }
    if (const auto* loop = value.as<For>())
      return for_loop(*loop);
    if (const auto* store = value.as<BufferStore>()) {
      if (store->predicate)
        return unsupported("a store under a mask");
      TEMPER_TRY(stored, expr(store->value));
      TEMPER_TRY(target, buffer(store->buffer));
      TEMPER_TRY(indices, exprs(store->indices));
      return object("tirx.BufferStore",
                    {{"span", 0}, {"buffer", target}, {"value", stored}, {"indices", indices}});
    }
    if (const auto* branch = value.as<IfThenElse>()) {
      TEMPER_TRY(condition, expr(branch->condition));
      TEMPER_TRY(then_case, stmt(branch->then_case));
      TEMPER_TRY(else_case, optional_stmt(branch->else_case));
      return object("tirx.IfThenElse", {{"span", 0},
                                        {"condition", condition},
                                        {"then_case", then_case},
                                        {"else_case", else_case}});
    }
    if (const auto* realize = value.as<SBlockRealize>())
      return block_realize(*realize);
    return unsupported(fmt::format("a statement of kind {}", value->info().name));
  }

  Result<int64_t> for_loop(const For& loop) {
    if (loop.kind > ForKind::kThreadBinding)
      return unsupported(fmt::format("the kind of loop {} among blocks", loop.loop_var->name));
    const int64_t var = variable(loop.loop_var);
    TEMPER_TRY(min, expr(loop.min));
    TEMPER_TRY(extent, expr(loop.extent));
    TEMPER_TRY(body, stmt(loop.body));
    int64_t thread = 0;
    if (loop.kind == ForKind::kThreadBinding) {
      const int64_t tag = text(loop.thread);
      // The thread's own variable, which the loop's stands for.
      const int64_t own = variable(make_var(loop.loop_var->name, loop.loop_var->dtype));
      thread =
          object("tirx.IterVar",
                 {{"dom", 0}, {"var", own}, {"iter_type", 1}, {"thread_tag", tag}, {"span", 0}});
    }
    TEMPER_TRY(notes, annotations(loop.annotations));
    return object("tirx.For", {{"span", 0},
                               {"loop_var", var},
                               {"min", min},
                               {"extent", extent},
                               {"kind", static_cast<int64_t>(loop.kind)},
                               {"body", body},
                               {"thread_binding", thread},
                               {"annotations", notes},
                               {"step", 0}});
  }

  Result<int64_t> block_realize(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    TEMPER_TRY(values, exprs(realize.iter_values));
    TEMPER_TRY(predicate, expr(realize.predicate));
    Json axes = Json::array();
    const int64_t no_thread = text("");
    for (const IterVar& axis : block.iter_vars) {
      TEMPER_TRY(domain, range(axis.domain));
      const int64_t var = variable(axis.var);
      const int64_t kind = axis.type == IterType::kSpatial  ? 0
                           : axis.type == IterType::kReduce ? 2
                           : axis.type == IterType::kScan   ? 3
                                                            : 4;
      axes.push_back(object("tirx.IterVar", {{"dom", domain},
                                             {"var", var},
                                             {"iter_type", kind},
                                             {"thread_tag", no_thread},
                                             {"span", 0}}));
    }
    const int64_t iter_vars = add("ffi.Array", std::move(axes));
    Json own = Json::array();
    for (const Buffer& allocated : block.alloc_buffers) {
      TEMPER_TRY(written, buffer(allocated));
      own.push_back(written);
    }
    const int64_t allocated = add("ffi.Array", std::move(own));
    if (!block.match_buffers.empty())
      return unsupported(fmt::format("the views of block {} here", block.name));
    const int64_t matches = add("ffi.Array", Json::array());
    TEMPER_TRY(reads, regions(block.reads));
    TEMPER_TRY(writes, regions(block.writes));
    TEMPER_TRY(notes, annotations(block.annotations));
    TEMPER_TRY(init, optional_stmt(block.init));
    TEMPER_TRY(body, stmt(block.body));
    const int64_t name = text(block.name);
    const int64_t made = object("s_tir.SBlock", {{"span", 0},
                                                 {"iter_vars", iter_vars},
                                                 {"reads", reads},
                                                 {"writes", writes},
                                                 {"name_hint", name},
                                                 {"alloc_buffers", allocated},
                                                 {"match_buffers", matches},
                                                 {"annotations", notes},
                                                 {"init", init},
                                                 {"body", body}});
    return object(
        "s_tir.SBlockRealize",
        {{"span", 0}, {"iter_values", values}, {"predicate", predicate}, {"block", made}});
  }

  // Functions.

  Result<int64_t> function_type(const PrimFuncNode& function) {
    Json params = Json::array();
    for (const Param& param : function.params) {
      if (!param.buffer) {
        params.push_back(type(param.var->dtype));
        continue;
      }
      Json extents = Json::array();
      for (const Expr& extent : param.buffer->shape) {
        const auto known = as_int(extent);
        if (!known)
          return unsupported(
              fmt::format("the symbolic shape of {} in a database", param.buffer->name));
        extents.push_back(integer(DataType::int64(), *known));
      }
      const auto rank = static_cast<int64_t>(param.buffer->rank());
      const int64_t values = add("ffi.Array", std::move(extents));
      const int64_t shape_type =
          object("relax.ShapeType", {{"span", 0}, {"values", values}, {"ndim", rank}});
      const int64_t shape =
          object("relax.expr.ShapeExpr", {{"span", 0}, {"ty", shape_type}, {"values", values}});
      params.push_back(object("relax.TensorType", {{"span", 0},
                                                   {"shape", shape},
                                                   {"dtype", type(param.buffer->dtype)},
                                                   {"vdevice", 0},
                                                   {"ndim", rank}}));
    }
    const int64_t list = add("ffi.Array", std::move(params));
    return object(
        "relax.FuncType",
        {{"span", 0}, {"params", list}, {"ret", nothing()}, {"derive_func", 0}, {"purity", false}});
  }
  int64_t nothing() {
    const int64_t none = add("ffi.Array", Json::array());
    return object("ir.TupleType", {{"span", 0}, {"fields", none}});
  }

  Result<int64_t> prim_func(const PrimFuncNode& function, const std::string& name, int64_t type) {
    if (!function.s_tir)
      return unsupported(fmt::format("function {} among programs with blocks", name));
    Annotations attrs = function.attrs;
    if (!function.is_private)
      attrs = attrs.with("global_symbol", make_string(name));
    attrs = attrs.with("s_tir", make_bool(true));
    TEMPER_TRY(map, annotations(attrs));
    const int64_t attributes = object("ir.DictAttrs", Json::object({{"__dict__", map}}));
    Json list = Json::array();
    for (const Param& param : function.params) {
      if (param.buffer) {
        TEMPER_TRY(written, buffer(param.buffer));
        list.push_back(written);
      } else {
        list.push_back(variable(param.var));
      }
    }
    const int64_t params = add("ffi.Array", std::move(list));
    TEMPER_TRY(body, stmt(function.body));
    return object("tirx.PrimFunc", {{"span", 0},
                                    {"ty", type},
                                    {"attrs", attributes},
                                    {"params", params},
                                    {"ret_type", nothing()},
                                    {"body", body}});
  }

  Json nodes_ = Json::array();
  std::unordered_map<std::string, int64_t> texts_;
  std::unordered_map<int64_t, int64_t> numbers_;
  std::unordered_map<std::string, int64_t> types_;
  std::unordered_map<Var, int64_t, RefHash> vars_;
  std::unordered_map<Buffer, int64_t, RefHash> buffers_;
};

} // namespace

Result<Json> module_to_tvm(const IRModule& module) { return Writer().module(module); }

Result<Json> index_map_to_tvm(const IndexMap& map) { return Writer().index_map(map); }

} // namespace temper::s_tir
