#include "tuner/batch_file.h"

#include "ir/support/text.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <cmath>
#include <limits>
#include <optional>

namespace temper::tuner {
namespace {

const std::vector<std::string> kFileKeys{"defaults", "task", "trials", "seconds"};
const std::vector<std::string> kTaskKeys{"workload", "shapes", "target",  "threads",
                                         "weight",   "trials", "seconds", "tags"};
/// What is said of one task cannot be a default.
const std::vector<std::string> kDefaultKeys{"target", "threads", "weight",
                                            "trials", "seconds", "tags"};

int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }
int line_of(const toml::key& key) { return static_cast<int>(key.source().begin.line); }

class Reader {
public:
  explicit Reader(std::filesystem::path file) : file_(std::move(file)) {}

  Result<BatchFile> read(const toml::table& root) {
    BatchFile batch;
    batch.name = file_.stem().string();
    known_keys(root, kFileKeys, "a batch file");
    batch.trials = whole(root, "trials", std::numeric_limits<int32_t>::max());
    batch.seconds = number(root, "seconds");
    BatchEntry defaults;
    if (const toml::node* node = root.get("defaults")) {
      if (const toml::table* table = node->as_table())
        fill(*table, kDefaultKeys, "[defaults]", defaults, batch);
      else
        fail(line_of(*node), "'defaults' is a table, written [defaults]");
    }
    const toml::node* tasks = root.get("task");
    const toml::array* list = tasks != nullptr ? tasks->as_array() : nullptr;
    if (tasks != nullptr && list == nullptr)
      fail(line_of(*tasks), "a task is written [[task]], in double brackets");
    else if (list == nullptr || list->empty())
      fail(1, "there is no [[task]], so nothing to do");
    if (list != nullptr)
      for (const toml::node& node : *list)
        task(node, defaults, batch);
    if (errors_.empty())
      return batch;
    Error error(ErrorCode::kInvalidArgument, errors_.front());
    error.notes.assign(errors_.begin() + 1, errors_.end());
    return error;
  }

private:
  void fail(int line, const std::string& sentence) {
    errors_.push_back(fmt::format("{}:{}: {}", file_.string(), line, sentence));
  }

  void known_keys(const toml::table& table, const std::vector<std::string>& known,
                  const std::string& where) {
    for (const auto& [key, value] : table) {
      const std::string name(key.str());
      if (std::find(known.begin(), known.end(), name) != known.end())
        continue;
      const std::string nearest = nearest_name(name, known);
      fail(line_of(key), "there is no key '" + name + "' in " + where +
                             (nearest.empty() ? "; there are " + join(known, ", ")
                                              : "; did you mean '" + nearest + "'?"));
    }
  }

  /// A positive number; 0 where the key is not there or wrong.
  double number(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
      return 0;
    const auto value = node->value<double>();
    if (node->is_number() && value && *value > 0 && std::isfinite(*value))
      return *value;
    fail(line_of(*node), fmt::format("'{}' is a positive number", key));
    return 0;
  }

  int64_t whole(const toml::table& table, const char* key, int64_t largest) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
      return 0;
    const auto* value = node->as_integer();
    if (value != nullptr && value->get() > 0 && value->get() <= largest)
      return value->get();
    fail(line_of(*node), fmt::format("'{}' is a whole number from 1 to {}", key, largest));
    return 0;
  }

  std::optional<std::string> text(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
      return std::nullopt;
    if (const auto* value = node->as_string(); value != nullptr && !value->get().empty())
      return value->get();
    fail(line_of(*node), fmt::format("'{}' is a text in quotes", key));
    return std::nullopt;
  }

  /// What defaults and tasks share.
  void fill(const toml::table& table, const std::vector<std::string>& known,
            const std::string& where, BatchEntry& entry, BatchFile& batch) {
    known_keys(table, known, where);
    if (const auto target = text(table, "target"))
      entry.target = *target;
    if (const int64_t threads = whole(table, "threads", 1024))
      entry.threads = static_cast<int>(threads);
    if (const int64_t trials = whole(table, "trials", std::numeric_limits<int32_t>::max()))
      entry.trials = trials;
    if (const double seconds = number(table, "seconds"); seconds > 0)
      entry.seconds = seconds;
    if (const double weight = number(table, "weight"); weight > 0) {
      entry.weight = weight;
      batch.weighted = true;
    }
    if (const toml::node* tags = table.get("tags")) {
      const toml::array* list = tags->as_array();
      entry.tags.clear();
      bool texts = list != nullptr;
      for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
        const auto* value = list->get(i)->as_string();
        if (value != nullptr && !value->get().empty())
          entry.tags.push_back(value->get());
        else
          texts = false;
      }
      if (!texts)
        fail(line_of(*tags), "'tags' is a list of texts, as [\"night\", \"resnet\"]");
    }
  }

  void task(const toml::node& node, const BatchEntry& defaults, BatchFile& batch) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      fail(line_of(node), "a task is written [[task]], in double brackets");
      return;
    }
    BatchEntry entry = defaults;
    entry.line = line_of(node);
    fill(*table, kTaskKeys, "[[task]]", entry, batch);
    if (const auto workload = text(*table, "workload")) {
      entry.workload = *workload;
      // A kernel of the user's own lies beside the batch, wherever that is run from.
      const size_t colon = entry.workload.rfind(':');
      const std::filesystem::path path = entry.workload.substr(0, colon);
      if (path.extension() == ".py" && path.is_relative())
        entry.workload = (file_.parent_path() / path).lexically_normal().string() +
                         (colon == std::string::npos ? "" : entry.workload.substr(colon));
    } else if (!table->contains("workload")) {
      fail(entry.line, "this [[task]] names no workload, as workload = \"matmul\"");
    }
    if (const toml::node* shapes = table->get("shapes"))
      entry.shapes = read_shapes(*shapes);
    batch.entries.push_back(std::move(entry));
  }

  std::vector<std::map<std::string, std::string>> read_shapes(const toml::node& node) {
    std::vector<std::map<std::string, std::string>> shapes;
    const toml::array* list = node.as_array();
    if (list == nullptr || list->empty()) {
      fail(line_of(node), "'shapes' is a list of tables, as [{M = 512, N = 512}]");
      return shapes;
    }
    for (const toml::node& item : *list) {
      const toml::table* table = item.as_table();
      if (table == nullptr) {
        fail(line_of(item), "a shape is a table, as {M = 512, N = 512}");
        continue;
      }
      std::map<std::string, std::string>& shape = shapes.emplace_back();
      for (const auto& [key, value] : *table) {
        const std::string name(key.str());
        if (const auto* number = value.as_integer())
          shape[name] = std::to_string(number->get());
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

  std::filesystem::path file_;
  std::vector<std::string> errors_;
};

} // namespace

Result<BatchFile> parse_batch_file(std::string_view text, const std::filesystem::path& file) {
  try {
    const toml::table root = toml::parse(text, file.string());
    return Reader(file).read(root);
  } catch (const toml::parse_error& error) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{}:{}: this is no TOML: {}", file.string(), error.source().begin.line,
                             error.description()));
  }
}

} // namespace temper::tuner
