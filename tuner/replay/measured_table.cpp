#include "tuner/replay/measured_table.h"

#include "ir/support/json.h"
#include "ir/support/text.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <istream>
#include <limits>
#include <map>
#include <streambuf>
#include <unordered_map>
#include <utility>

namespace temper::tuner {
namespace {

/// A file that may be gzipped, which knows its line.
class TableFile final : public std::streambuf {
public:
  explicit TableFile(const std::filesystem::path& path) : file_(gzopen(path.c_str(), "rb")) {}
  ~TableFile() override {
    if (file_ != nullptr)
      gzclose(file_);
  }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  bool is_open() const { return file_ != nullptr; }
  bool is_empty() const { return lines_before_ == 1 && eback() == egptr(); }
  /// Of the last character that was taken.
  int64_t line() const {
    // The parser has taken the character after a token, which may be the line's end.
    const char* end = gptr() > eback() ? gptr() - 1 : gptr();
    return lines_before_ + std::count(static_cast<const char*>(eback()), end, '\n');
  }
  /// Why reading stopped early, when it was not the end: damaged or truncated compression.
  std::string problem() const {
    int code = Z_OK;
    const char* text = gzerror(file_, &code);
    if (code == Z_BUF_ERROR)
      return "the compressed file is cut off";
    if (code == Z_ERRNO)
      return std::strerror(errno);
    return code == Z_OK || code == Z_STREAM_END ? std::string()
                                                : fmt::format("cannot be decompressed: {}", text);
  }

protected:
  int_type underflow() override {
    lines_before_ += std::count(eback(), egptr(), '\n');
    const int got = gzread(file_, buffer_, sizeof(buffer_));
    setg(buffer_, buffer_, buffer_ + std::max(got, 0));
    return got > 0 ? traits_type::to_int_type(buffer_[0]) : traits_type::eof();
  }

private:
  gzFile file_;
  char buffer_[1 << 16];
  int64_t lines_before_ = 1;
};

/// How score.py writes a float in a key.
std::string number_text(double value) {
  if (std::abs(value) < 1e15 && value == std::trunc(value))
    return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

/// Collects the rows while the file is read. Containers are known by their path: the keys that lead
/// to them, with "" for an element of an array.
class TableReader final : public nlohmann::json_sax<Json> {
public:
  explicit TableReader(const TableFile& file) : file_(file) {}

  bool null() override { return scalar({"None", kNotANumber}); }
  bool boolean(bool value) override { return scalar({value ? "True" : "False", kNotANumber}); }
  bool number_integer(number_integer_t value) override {
    return scalar({std::to_string(value), static_cast<double>(value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return scalar({std::to_string(value), static_cast<double>(value)});
  }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return scalar({number_text(value), value});
  }
  bool string(string_t& value) override { return scalar({value, kNotANumber}); }
  bool binary(binary_t& /*value*/) override { return true; }

  bool start_object(size_t /*size*/) override { return open(true); }
  bool end_object() override { return close(); }
  bool start_array(size_t /*size*/) override { return open(false); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    key_ = name;
    return true;
  }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    problem_ = "this is not valid JSON";
    // The last one of nlohmann's sentences says what was expected.
    const std::string text = error.what();
    if (const size_t at = text.find("syntax error"); at != std::string::npos)
      problem_ += " (" + text.substr(at) + ")";
    line_ = file_.line();
    return false;
  }

  /// What is missing once the file has been read.
  void finish() {
    if (!has_results_ && !has_cache_)
      fail("neither T4 results ('results') nor a Kernel Tuner cache ('cache')");
    else if (table.keys.empty())
      fail("the table has no configuration");
  }

  MeasuredTable table;
  std::vector<std::vector<uint16_t>> columns;

  const std::string& problem() const { return problem_; }
  int64_t line() const { return line_; }

private:
  static constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

  struct Value {
    std::string text;
    double number;
  };
  /// In milliseconds; published results leave the unit of their milliseconds empty.
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1}, {"ms", 1}, {"milliseconds", 1}, {"s", 1e3}, {"us", 1e-3}, {"ns", 1e-6}};
  struct Container {
    std::string path;
    bool object;
  };

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    line_ = file_.line();
    return false;
  }

  std::string child_path() const {
    if (stack_.empty())
      return "$";
    // Rows of a cache are named by their content.
    if (stack_.back().path == "$.cache")
      return "$.cache[]";
    return stack_.back().object ? stack_.back().path + "." + key_ : stack_.back().path + "[]";
  }

  bool open(bool object) {
    std::string path = child_path();
    if (path == "$" && !object)
      return fail("neither T4 results ('results') nor a Kernel Tuner cache ('cache')");
    if (path == "$.results" || path == "$.cache") {
      const bool cache = path == "$.cache";
      if (object != cache)
        return fail(cache ? "'cache' has to be an object" : "'results' has to be an array");
      if (has_results_ || has_cache_)
        return fail("the file has a second table");
      (cache ? has_cache_ : has_results_) = true;
      if (cache && table.parameters.empty())
        return fail("'tune_params_keys' has to stand before 'cache' and name the parameters");
    } else if (path == "$.results[]" || path == "$.cache[]") {
      if (!object)
        return fail("a configuration has to be an object");
      values_.clear();
      measurement_ = {};
      time_.reset();
      invalidity_.reset();
    } else if (path == "$.results[].measurements[]") {
      measurement_ = {};
    }
    stack_.push_back({std::move(path), object});
    return true;
  }

  bool close() {
    const std::string path = std::move(stack_.back().path);
    stack_.pop_back();
    if (path == "$.results[].measurements[]") {
      if (time_ || measurement_.name != "time")
        return true;
      const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const auto& one) {
        return one.first == measurement_.unit;
      });
      if (unit == std::end(kUnits))
        return fail(fmt::format("the unit of 'time' has to be s, ms, us or ns, not '{}'",
                                measurement_.unit));
      time_ = measurement_.value * unit->second;
      return true;
    }
    if (path == "$.cache[]")
      return time_ ? add_row() : fail("a configuration has no 'time'");
    if (path == "$.results[]") {
      if (!invalidity_)
        return fail("a result has no 'invalidity'");
      if (*invalidity_ != "correct")
        time_ = kNotANumber;
      else if (!time_)
        return fail("a correct result has no measurement of 'time'");
      else if (!std::isfinite(*time_) || *time_ <= 0)
        return fail("the 'time' of a correct result has to be a number above 0");
      return add_row();
    }
    return true;
  }

  bool scalar(Value value) {
    if (stack_.empty())
      return fail("neither T4 results ('results') nor a Kernel Tuner cache ('cache')");
    const std::string& inside = stack_.back().path;
    if (inside == "$.results" || inside == "$.cache")
      return fail("a configuration has to be an object");
    if (inside == "$" && (key_ == "results" || key_ == "cache"))
      return fail(fmt::format("'{}' has to hold the configurations", key_));
    if (inside == "$.tune_params_keys") {
      table.parameters.push_back(std::move(value.text));
    } else if (inside == "$.results[].configuration") {
      values_.emplace_back(key_, std::move(value.text));
    } else if (inside == "$.results[]" && key_ == "invalidity") {
      invalidity_ = std::move(value.text);
    } else if (inside == "$.results[].measurements[]") {
      if (key_ == "name")
        measurement_.name = std::move(value.text);
      else if (key_ == "value")
        measurement_.value = value.number;
      else if (key_ == "unit")
        measurement_.unit = std::move(value.text);
    } else if (inside == "$.cache[]") {
      if (key_ == "time")
        time_ = value.number;
      values_.emplace_back(key_, std::move(value.text));
    }
    return true;
  }

  bool add_row() {
    if (table.parameters.empty()) {
      for (const auto& [name, text] : values_)
        table.parameters.push_back(name);
      if (table.parameters.empty())
        return fail("a result has no 'configuration'");
    }
    columns.resize(table.parameters.size());
    codes_.resize(table.parameters.size());
    std::string key;
    for (size_t p = 0; p < table.parameters.size(); ++p) {
      const auto found = std::find_if(values_.begin(), values_.end(), [&](const auto& value) {
        return value.first == table.parameters[p];
      });
      if (found == values_.end())
        return fail(fmt::format("a configuration has no value of '{}'", table.parameters[p]));
      const size_t fresh = codes_[p].size();
      const size_t code = codes_[p].try_emplace(found->second, fresh).first->second;
      if (code > std::numeric_limits<uint16_t>::max())
        return fail(fmt::format("'{}' has more than 65,536 values", table.parameters[p]));
      columns[p].push_back(static_cast<uint16_t>(code));
      key += (p == 0 ? "" : ",") + found->second;
    }
    if (!rows_.emplace(key, table.keys.size()).second)
      return fail(fmt::format("the configuration {} appears twice", key));
    table.keys.push_back(std::move(key));
    const bool usable = std::isfinite(*time_) && *time_ > 0;
    table.times_ms.push_back(usable ? *time_ : kNotANumber);
    return true;
  }

  const TableFile& file_;
  std::vector<Container> stack_;
  std::string key_;
  bool has_results_ = false;
  bool has_cache_ = false;
  // Of the row that is being read.
  std::vector<std::pair<std::string, std::string>> values_;
  struct Reading {
    std::string name;
    double value = 0;
    std::string unit;
  };
  Reading measurement_;
  std::optional<double> time_;
  std::optional<std::string> invalidity_;

  std::vector<std::unordered_map<std::string, size_t>> codes_;
  std::unordered_map<std::string, size_t> rows_;
  std::string problem_;
  int64_t line_ = 0;
};

bool is_table_name(const std::string& name) {
  const std::string plain = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name;
  return plain.ends_with("_T4.json") || plain.ends_with("_cache.json");
}

} // namespace

size_t MeasuredTable::valid() const {
  return static_cast<size_t>(std::count_if(times_ms.begin(), times_ms.end(),
                                           [](double time) { return std::isfinite(time); }));
}

Result<MeasuredTable> read_measured_table(const std::filesystem::path& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status))
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is a folder, not a table", path.string()));
  errno = 0;
  TableFile file(path);
  if (!file.is_open())
    return Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kEnvironment,
                 fmt::format("cannot read '{}': {}", path.string(),
                             errno == 0 ? "out of memory" : std::strerror(errno)));
  const auto corrupt = [&](int64_t line, const std::string& problem) {
    return Error(ErrorCode::kCorrupt, fmt::format("{}:{}: {}", path.string(), line, problem));
  };
  std::istream stream(&file);
  TableReader reader(file);
  bool complete = false;
  try {
    complete = Json::sax_parse(stream, &reader);
  } catch (const Json::exception& error) {
    return corrupt(file.line(), std::string("this is not valid JSON: ") + error.what());
  }
  if (complete)
    reader.finish();
  // What follows from compression that broke off is not worth saying.
  if (const std::string problem = file.problem(); !problem.empty())
    return corrupt(file.line(), problem);
  if (!complete && stream.eof() && reader.problem().starts_with("this is not valid JSON"))
    return corrupt(file.line(), file.is_empty() ? "the file is empty"
                                                : "the file ends too early; is it cut off?");
  if (!reader.problem().empty())
    return corrupt(reader.line(), reader.problem());

  MeasuredTable table = std::move(reader.table);
  table.name = path.filename().string();
  table.name = table.name.substr(0, table.name.find(".json"));
  table.space = Configurations(std::move(reader.columns));
  return table;
}

Result<std::vector<std::filesystem::path>>
expand_table_paths(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& path : paths) {
    std::error_code status;
    if (!std::filesystem::is_directory(path, status)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::filesystem::path> found;
    for (std::filesystem::directory_iterator entry(path, status), end; !status && entry != end;
         entry.increment(status))
      if (is_table_name(entry->path().filename().string()))
        found.push_back(entry->path());
    if (status)
      return Error(ErrorCode::kEnvironment,
                   fmt::format("cannot list '{}': {}", path.string(), status.message()));
    if (found.empty())
      return Error(ErrorCode::kNotFound,
                   fmt::format("'{}' has no table: no file is named *_T4.json or *_cache.json "
                               "(or the same with .gz)",
                               path.string()));
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

} // namespace temper::tuner
