#include "tuner/batch_file.h"

#include "tuner/toml_reader.h"

#include <limits>

namespace temper::tuner {
namespace {

const std::vector<std::string> kFileKeys{"defaults", "task", "trials", "seconds"};
const std::vector<std::string> kTaskKeys{"workload", "shapes", "target",  "threads",
                                         "weight",   "trials", "seconds", "tags"};
/// What is said of one task cannot be a default.
const std::vector<std::string> kDefaultKeys{"target", "threads", "weight",
                                            "trials", "seconds", "tags"};

class Reader : public TomlReader {
public:
  using TomlReader::TomlReader;

  Result<BatchFile> read(const toml::table& root) {
    BatchFile batch;
    batch.name = file_.stem().string();
    known_keys(root, kFileKeys, "a batch file");
    batch.trials = whole(root, "trials", kMostTrials);
    batch.seconds = number(root, "seconds");
    BatchEntry defaults;
    if (const toml::table* table = this->defaults(root))
      fill(*table, kDefaultKeys, "[defaults]", defaults, batch);
    for (const toml::table* table : tables(root, "task"))
      task(*table, defaults, batch);
    TEMPER_TRY_VOID(finish());
    return batch;
  }

private:
  static constexpr int64_t kMostTrials = std::numeric_limits<int32_t>::max();

  /// What defaults and tasks share.
  void fill(const toml::table& table, const std::vector<std::string>& known,
            const std::string& where, BatchEntry& entry, BatchFile& batch) {
    known_keys(table, known, where);
    if (const auto target = text(table, "target"))
      entry.target = *target;
    if (const int64_t threads = whole(table, "threads", 1024))
      entry.threads = static_cast<int>(threads);
    if (const int64_t trials = whole(table, "trials", kMostTrials))
      entry.trials = trials;
    if (const double seconds = number(table, "seconds"); seconds > 0)
      entry.seconds = seconds;
    if (const double weight = number(table, "weight"); weight > 0) {
      entry.weight = weight;
      batch.weighted = true;
    }
    if (auto tags = texts(table, "tags", "[\"night\", \"resnet\"]"))
      entry.tags = std::move(*tags);
  }

  void task(const toml::table& table, const BatchEntry& defaults, BatchFile& batch) {
    BatchEntry entry = defaults;
    entry.line = line_of(table);
    fill(table, kTaskKeys, "[[task]]", entry, batch);
    entry.workload = workload(table);
    if (!table.contains("workload"))
      fail(entry.line, "this [[task]] names no workload, as workload = \"matmul\"");
    entry.shapes = shapes(table);
    batch.entries.push_back(std::move(entry));
  }
};

} // namespace

Result<BatchFile> parse_batch_file(std::string_view text, const std::filesystem::path& file) {
  Reader reader(file);
  TEMPER_TRY(root, reader.parse(text));
  return reader.read(root);
}

} // namespace temper::tuner
