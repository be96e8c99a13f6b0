#include "tuner/bench_file.h"

#include "tuner/toml_reader.h"

namespace temper::tuner {
namespace {

const std::vector<std::string> kFileKeys{"defaults", "bench"};
const std::vector<std::string> kDefaultKeys{"target", "threads", "seconds", "tuned", "untuned"};
const std::vector<std::string> kWorkloadKeys{"workload", "shapes",  "target",
                                             "threads",  "seconds", "functions",
                                             "baseline", "tuned",   "untuned"};
const std::vector<std::string> kCommandKeys{"command", "timeout"};

class Reader : public TomlReader {
public:
  using TomlReader::TomlReader;

  Result<BenchFile> read(const toml::table& root) {
    BenchFile file;
    file.name = file_.stem().string();
    known_keys(root, kFileKeys, "a bench file");
    BenchEntry defaults;
    if (const toml::table* table = this->defaults(root)) {
      known_keys(*table, kDefaultKeys, "[defaults]");
      fill(*table, defaults);
    }
    for (const toml::table* table : tables(root, "bench"))
      file.entries.push_back(table->contains("command") ? command(*table)
                                                        : measured(*table, defaults));
    TEMPER_TRY_VOID(finish());
    return file;
  }

private:
  void flag(const toml::table& table, const char* key, bool& value) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
      return;
    if (const auto* said = node->as_boolean())
      value = said->get();
    else
      fail(line_of(*node), std::string("'") + key + "' is true or false");
  }

  void fill(const toml::table& table, BenchEntry& entry) {
    if (const auto target = text(table, "target"))
      entry.target = *target;
    if (const int64_t threads = whole(table, "threads", 1024))
      entry.threads = static_cast<int>(threads);
    if (const double seconds = number(table, "seconds"); seconds > 0)
      entry.seconds = seconds;
    flag(table, "tuned", entry.tuned);
    flag(table, "untuned", entry.untuned);
  }

  /// A library that is named by a relative path with a folder lies beside the file.
  std::optional<ExternalFunction> function(const toml::node& node, const std::string& text) {
    auto parsed = parse_external_function(text);
    if (!parsed) {
      fail(line_of(node), parsed.error().message);
      return std::nullopt;
    }
    if (parsed->library.find('/') != std::string::npos)
      parsed->library = beside(parsed->library);
    return std::move(*parsed);
  }

  BenchEntry measured(const toml::table& table, const BenchEntry& defaults) {
    BenchEntry entry = defaults;
    entry.line = line_of(table);
    known_keys(table, kWorkloadKeys, "[[bench]]");
    fill(table, entry);
    entry.workload = workload(table);
    if (!table.contains("workload"))
      fail(entry.line,
           "this [[bench]] names neither a workload, as workload = \"matmul\", nor a command");
    entry.shapes = shapes(table);
    if (const auto list = texts(table, "functions", "[\"openblas:sgemm(M, N, K)\"]")) {
      entry.functions.emplace();
      for (const std::string& one : *list)
        if (auto parsed = function(*table.get("functions"), one))
          entry.functions->push_back(std::move(*parsed));
    }
    if (const auto one = text(table, "baseline"))
      entry.baseline = function(*table.get("baseline"), *one);
    return entry;
  }

  BenchEntry command(const toml::table& table) {
    BenchEntry entry;
    entry.line = line_of(table);
    known_keys(table, kCommandKeys, "[[bench]] with a command");
    if (auto words = texts(table, "command", "[\"./my_bench\", \"--benchmark_filter=Gemm\"]")) {
      entry.command = std::move(*words);
      if (entry.command.empty())
        fail(entry.line, "'command' is empty");
      else if (entry.command.front().find('/') != std::string::npos)
        entry.command.front() = std::filesystem::absolute(beside(entry.command.front())).string();
    }
    if (const double timeout = number(table, "timeout"); timeout > 0)
      entry.timeout = timeout;
    return entry;
  }
};

} // namespace

Result<BenchFile> parse_bench_file(std::string_view text, const std::filesystem::path& file) {
  Reader reader(file);
  TEMPER_TRY(root, reader.parse(text));
  return reader.read(root);
}

} // namespace temper::tuner
