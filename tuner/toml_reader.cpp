#include "tuner/toml_reader.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace temper::tuner {

Result<toml::table> TomlReader::parse(std::string_view text) const {
  try {
    return toml::parse(text, file_.string());
  } catch (const toml::parse_error& error) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{}:{}: this is no TOML: {}", file_.string(),
                             error.source().begin.line, error.description()));
  }
}

Result<void> TomlReader::finish() const {
  if (errors_.empty())
    return {};
  Error error(ErrorCode::kInvalidArgument, errors_.front());
  error.notes.assign(errors_.begin() + 1, errors_.end());
  return error;
}

void TomlReader::fail(int line, const std::string& sentence) {
  errors_.push_back(fmt::format("{}:{}: {}", file_.string(), line, sentence));
}

void TomlReader::known_keys(const toml::table& table, const std::vector<std::string>& known,
                            const std::string& where) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (std::find(known.begin(), known.end(), name) != known.end())
      continue;
    const std::string nearest = nearest_name(name, known);
    fail(static_cast<int>(key.source().begin.line),
         "there is no key '" + name + "' in " + where +
             (nearest.empty() ? "; there are " + join(known, ", ")
                              : "; did you mean '" + nearest + "'?"));
  }
}

double TomlReader::number(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr)
    return 0;
  const auto value = node->value<double>();
  if (node->is_number() && value && *value > 0 && std::isfinite(*value))
    return *value;
  fail(line_of(*node), fmt::format("'{}' is a positive number", key));
  return 0;
}

int64_t TomlReader::whole(const toml::table& table, const char* key, int64_t largest) {
  const toml::node* node = table.get(key);
  if (node == nullptr)
    return 0;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() > 0 && value->get() <= largest)
    return value->get();
  fail(line_of(*node), fmt::format("'{}' is a whole number from 1 to {}", key, largest));
  return 0;
}

std::optional<std::string> TomlReader::text(const toml::table& table, const char* key) {
  const toml::node* node = table.get(key);
  if (node == nullptr)
    return std::nullopt;
  if (const auto* value = node->as_string(); value != nullptr && !value->get().empty())
    return value->get();
  fail(line_of(*node), fmt::format("'{}' is a text in quotes", key));
  return std::nullopt;
}

std::optional<std::vector<std::string>> TomlReader::texts(const toml::table& table, const char* key,
                                                          const std::string& example) {
  const toml::node* node = table.get(key);
  if (node == nullptr)
    return std::nullopt;
  std::vector<std::string> values;
  const toml::array* list = node->as_array();
  for (size_t i = 0; list != nullptr && i < list->size(); ++i)
    if (const auto* value = list->get(i)->as_string(); value != nullptr && !value->get().empty())
      values.push_back(value->get());
  if (list != nullptr && values.size() == list->size())
    return values;
  fail(line_of(*node), fmt::format("'{}' is a list of texts, as {}", key, example));
  return std::nullopt;
}

std::vector<ShapeWords> TomlReader::shapes(const toml::table& table) {
  std::vector<ShapeWords> shapes;
  const toml::node* node = table.get("shapes");
  if (node == nullptr)
    return shapes;
  const toml::array* list = node->as_array();
  if (list == nullptr || list->empty()) {
    fail(line_of(*node), "'shapes' is a list of tables, as [{M = 512, N = 512}]");
    return shapes;
  }
  for (const toml::node& item : *list) {
    const toml::table* one = item.as_table();
    if (one == nullptr) {
      fail(line_of(item), "a shape is a table, as {M = 512, N = 512}");
      continue;
    }
    ShapeWords& shape = shapes.emplace_back();
    for (const auto& [key, value] : *one) {
      const std::string name(key.str());
      if (const auto* integer = value.as_integer())
        shape[name] = std::to_string(integer->get());
      else if (const auto* real = value.as_floating_point())
        shape[name] = fmt::format("{}", real->get());
      else if (const auto* flag = value.as_boolean())
        shape[name] = flag->get() ? "True" : "False";
      else if (const auto* word = value.as_string())
        shape[name] = word->get();
      else
        fail(line_of(value), "the parameter '" + name + "' is a number or a text");
    }
  }
  return shapes;
}

std::vector<const toml::table*> TomlReader::tables(const toml::table& root,
                                                   const std::string& key) {
  std::vector<const toml::table*> found;
  const toml::node* node = root.get(key);
  const toml::array* list = node != nullptr ? node->as_array() : nullptr;
  const std::string written = fmt::format("a {0} is written [[{0}]], in double brackets", key);
  if (node != nullptr && list == nullptr)
    fail(line_of(*node), written);
  else if (list == nullptr || list->empty())
    fail(1, "there is no [[" + key + "]], so nothing to do");
  for (size_t i = 0; list != nullptr && i < list->size(); ++i)
    if (const toml::table* table = list->get(i)->as_table())
      found.push_back(table);
    else
      fail(line_of(*list->get(i)), written);
  return found;
}

const toml::table* TomlReader::defaults(const toml::table& root) {
  const toml::node* node = root.get("defaults");
  if (node == nullptr)
    return nullptr;
  if (const toml::table* table = node->as_table())
    return table;
  fail(line_of(*node), "'defaults' is a table, written [defaults]");
  return nullptr;
}

std::string TomlReader::workload(const toml::table& entry) {
  const auto name = text(entry, "workload");
  if (!name)
    return {};
  const size_t colon = name->rfind(':');
  const std::filesystem::path path = name->substr(0, colon);
  if (path.extension() != ".py" && path.extension() != ".cu")
    return *name;
  return beside(path) + (colon == std::string::npos ? "" : name->substr(colon));
}

std::string TomlReader::beside(const std::filesystem::path& path) const {
  return path.is_relative() ? (file_.parent_path() / path).lexically_normal().string()
                            : path.string();
}

} // namespace temper::tuner
