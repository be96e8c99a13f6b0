#include "ir/json_graph.h"

#include "ir/tir/tile.h"

#include <cmath>
#include <mutex>
#include <set>
#include <unordered_map>

namespace temper::ir {
namespace {

constexpr const char* kSchema = "temper.ir/1";

std::unordered_map<Kind, LoadedNode>& loaded_hooks() {
  static std::unordered_map<Kind, LoadedNode> table;
  return table;
}

std::set<std::pair<std::string, std::string>>& optional_fields() {
  static std::set<std::pair<std::string, std::string>> table;
  return table;
}

Result<NodeRef> check_loop(const NodeRef& node) {
  const auto& loop = static_cast<const tir::For&>(*node);
  if (loop.kind > tir::ForKind::kPipelined)
    return Error{ErrorCode::kCorrupt, "a loop has a kind that does not exist"};
  return node;
}

/// The kinds that this library itself knows.
void register_tir() {
  static std::once_flag once;
  std::call_once(once, [] {
#define TEMPER_EXPR(name) register_node(name::kInfo);
#include "ir/node_kinds.def"
#undef TEMPER_EXPR
#define TEMPER_TIR_STMT(name) register_node(tir::name::kInfo);
#include "ir/tir/node_kinds.def"
#undef TEMPER_TIR_STMT
#define TEMPER_TILE_STMT(name) register_node(tir::name::kInfo);
#include "ir/tir/tile_kinds.def"
#undef TEMPER_TILE_STMT
    register_node(BufferNode::kInfo);
    register_node(IndexMapNode::kInfo);
    register_node(PrimFuncNode::kInfo);
    register_node(IRModuleNode::kInfo);
    for (const auto& [kind, field] : {std::pair{"Buffer", "elem_offset"},
                                      {"Buffer", "layout"},
                                      {"BufferLoad", "predicate"},
                                      {"BufferStore", "predicate"},
                                      {"IfThenElse", "else_case"},
                                      {"Return", "value"},
                                      {"PrimFunc", "buffer"},
                                      {"PrimFunc", "var"}})
      optional_fields().emplace(kind, field);
    loaded_hooks()[tir::For::kKind] = check_loop;
  });
}

class Writer final : public FieldReader {
public:
  int64_t add(const NodeRef& node) {
    if (const auto known = numbers_.find(node.get()); known != numbers_.end())
      return known->second;
    Json object = Json::object();
    object["node"] = node->info().name;
    std::vector<Json*> outer = std::exchange(open_, {&object});
    node->info().read_fields(node.get(), *this);
    open_ = std::move(outer);
    const auto number = static_cast<int64_t>(nodes.size());
    nodes.push_back(std::move(object));
    numbers_.emplace(node.get(), number);
    return number;
  }

  void on_node(const char* name, Role, const NodeRef& node) override {
    // The child's own fields come first: `put` must not hold on to anything across add().
    const Json reference = node ? Json(add(node)) : Json(nullptr);
    put(name, reference);
  }
  void on_int(const char* name, Role role, int64_t value) override {
    // Ignored numbers are identities of this process.
    if (role != Role::kIgnored)
      put(name, value);
  }
  void on_double(const char* name, Role, double value) override {
    if (std::isfinite(value))
      put(name, value);
    else
      put(name, std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
  }
  void on_string(const char* name, Role, const std::string& value) override { put(name, value); }
  void on_dtype(const char* name, Role, DataType value) override { put(name, to_string(value)); }
  void begin_list(const char* name, Role, size_t) override {
    open_.push_back(&put(name, Json::array()));
  }
  void begin_struct(const char* name, Role) override {
    open_.push_back(&put(name, Json::object()));
  }
  void end() override { open_.pop_back(); }

  Json nodes = Json::array();

private:
  Json& put(const char* name, Json value) {
    Json& place = *open_.back();
    if (place.is_array()) {
      place.push_back(std::move(value));
      return place.back();
    }
    return place[name] = std::move(value);
  }

  std::vector<Json*> open_;
  std::unordered_map<const Node*, int64_t> numbers_;
};

/// Fills one node. After an error every call returns something harmless.
class Reader final : public FieldWriter {
public:
  Reader(const Json& object, const char* kind, const std::vector<NodeRef>& nodes)
      : kind_(kind), nodes_(nodes) {
    open_.push_back({&object, 0});
  }

  const std::string& error() const { return error_; }

  NodeRef node(const char* name) override {
    const Json* value = next(name);
    if (value == nullptr)
      return nullptr;
    if (value->is_null()) {
      if (!optional_fields().contains({kind_, name}))
        fail(name, "is null, but must be there");
      return nullptr;
    }
    if (!value->is_number_integer())
      return fail(name, "is not the number of a node"), nullptr;
    const auto number = value->get<int64_t>();
    if (number < 0 || number >= static_cast<int64_t>(nodes_.size()))
      return fail(name,
                  "refers to node " + std::to_string(number) + ", which does not stand before it"),
             nullptr;
    return nodes_[static_cast<size_t>(number)];
  }
  int64_t integer(const char* name) override {
    // Identities are not stored; layers give new ones.
    const Level& level = open_.back();
    if (level.json->is_object() && !level.json->contains(name) && is_identity(name))
      return 0;
    const Json* value = next(name);
    if (value == nullptr)
      return 0;
    if (value->is_boolean())
      return value->get<bool>() ? 1 : 0;
    if (!value->is_number_integer())
      return fail(name, "is not a whole number"), 0;
    return value->get<int64_t>();
  }
  double real(const char* name) override {
    const Json* value = next(name);
    if (value == nullptr)
      return 0;
    if (value->is_number())
      return value->get<double>();
    if (value->is_string()) {
      const auto& text = value->get_ref<const std::string&>();
      if (text == "nan")
        return std::nan("");
      if (text == "inf" || text == "-inf")
        return text == "inf" ? HUGE_VAL : -HUGE_VAL;
    }
    return fail(name, "is not a number"), 0;
  }
  std::string string(const char* name) override {
    const Json* value = next(name);
    if (value == nullptr)
      return {};
    if (!value->is_string())
      return fail(name, "is not text"), std::string();
    return value->get<std::string>();
  }
  DataType dtype(const char* name) override {
    const std::string text = string(name);
    if (!error_.empty())
      return DataType::int32();
    const auto type = parse_data_type(text);
    if (!type)
      fail(name, "is '" + text + "', which is no data type");
    return type.value_or(DataType::int32());
  }
  size_t begin_list(const char* name) override {
    const Json* value = next(name);
    if (value != nullptr && !value->is_array()) {
      fail(name, "is not a list");
      value = nullptr;
    }
    static const Json kEmpty = Json::array();
    open_.push_back({value != nullptr ? value : &kEmpty, 0});
    return open_.back().json->size();
  }
  void begin_struct(const char* name) override {
    const Json* value = next(name);
    if (value != nullptr && !value->is_object()) {
      fail(name, "is not an object");
      value = nullptr;
    }
    static const Json kEmpty = Json::object();
    open_.push_back({value != nullptr ? value : &kEmpty, 0});
  }
  void end() override { open_.pop_back(); }
  void wrong_kind(const char* name) override { fail(name, "refers to a node of a wrong kind"); }

private:
  struct Level {
    const Json* json;
    size_t index;
  };

  /// Only a block's id so far; it is Role::kIgnored and therefore not written.
  static bool is_identity(const char* name) { return std::string_view(name) == "id"; }

  /// The value of the field, or the next item of the open list; null after an error.
  const Json* next(const char* name) {
    if (!error_.empty())
      return nullptr;
    Level& level = open_.back();
    if (level.json->is_array()) {
      if (level.index >= level.json->size())
        return fail(name, "has too few items"), nullptr;
      return &(*level.json)[level.index++];
    }
    const auto found = level.json->find(name);
    if (found == level.json->end())
      return fail(name, "is missing"), nullptr;
    return &*found;
  }

  void fail(const char* name, const std::string& what) {
    if (error_.empty())
      error_ = "field '" + std::string(name) + "' " + what;
  }

  const char* kind_;
  const std::vector<NodeRef>& nodes_;
  std::vector<Level> open_;
  std::string error_;
};

Error corrupt(std::string sentence) { return {ErrorCode::kCorrupt, std::move(sentence)}; }

} // namespace

void register_loaded_node(Kind kind, LoadedNode function) { loaded_hooks()[kind] = function; }

void register_optional_field(std::string kind, std::string field) {
  optional_fields().emplace(std::move(kind), std::move(field));
}

Json to_json(const NodeRef& node) {
  TEMPER_CHECK(node, "there is no node to write");
  Writer writer;
  const int64_t root = writer.add(node);
  Json json = Json::object();
  json["schema"] = kSchema;
  json["root"] = root;
  json["nodes"] = std::move(writer.nodes);
  return json;
}

Result<NodeRef> node_from_json(const Json& json) {
  register_tir();
  if (!json.is_object() || !json.contains("schema") || !json.contains("root") ||
      !json.contains("nodes") || !json["nodes"].is_array())
    return corrupt("this is not a program in JSON: it needs 'schema', 'root' and a list 'nodes'");
  if (json["schema"] != kSchema)
    return corrupt("the program has schema " + json["schema"].dump() + ", this build reads \"" +
                   kSchema + "\"");
  std::vector<NodeRef> nodes;
  nodes.reserve(json["nodes"].size());
  for (const Json& object : json["nodes"]) {
    const std::string place = "node " + std::to_string(nodes.size());
    if (!object.is_object() || !object.contains("node") || !object["node"].is_string())
      return corrupt(place + " is not an object that names its kind in 'node'");
    const auto& kind = object["node"].get_ref<const std::string&>();
    const NodeInfo* info = find_node_info(kind);
    if (info == nullptr)
      return corrupt(place + " has the kind '" + kind + "', which this build does not know");
    Reader reader(object, info->name, nodes);
    NodeRef node = info->build(reader);
    if (!reader.error().empty())
      return corrupt(place + " (" + kind + "): " + reader.error());
    if (const auto hook = loaded_hooks().find(info->kind); hook != loaded_hooks().end()) {
      auto finished = hook->second(node);
      if (!finished)
        return corrupt(place + " (" + kind + "): " + finished.error().message);
      node = *std::move(finished);
    }
    nodes.push_back(std::move(node));
  }
  if (!json["root"].is_number_integer())
    return corrupt("'root' is not the number of a node");
  const auto root = json["root"].get<int64_t>();
  if (root < 0 || root >= static_cast<int64_t>(nodes.size()))
    return corrupt("'root' is node " + std::to_string(root) + ", but there are " +
                   std::to_string(nodes.size()));
  return nodes[static_cast<size_t>(root)];
}

Result<IRModule> module_from_json(const Json& json) {
  TEMPER_TRY(node, node_from_json(json));
  IRModule module = node.template as_ref<IRModuleNode>();
  if (!module)
    return corrupt(std::string("the root is a ") + node->info().name + ", not a module");
  return module;
}

} // namespace temper::ir
