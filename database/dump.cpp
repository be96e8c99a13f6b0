#include "database/dump.h"

#include "database/detail/record_json.h"
#include "database/sqlite_store.h"
#include "ir/support/clock.h"
#include "ir/support/json.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <istream>
#include <ostream>
#include <set>
#include <unistd.h>

namespace temper::database {

namespace {

using detail::JsonMember;
using detail::row_from_members;

constexpr const char* kSchema = "temper.dump/";

class Dumper {
public:
  Dumper(Store& store, std::ostream& out, const DumpOptions& options)
      : store_(store), out_(out), options_(options),
        wanted_(options.workloads.begin(), options.workloads.end()) {}

  Result<DumpSummary> run() {
    const int64_t now = unix_time_ns();
    out_ << "{\"schema\":\"" << kSchema << kDumpVersion
         << "\",\"database_schema\":" << current_schema_version() << ",\"created_at\":" << now
         << "}\n";
    const auto any = [](const auto&) { return true; };
    const auto of_run = [this](const auto& row) { return all() || runs_.contains(row.run); };
    const auto of_subject = [this](const auto& row) {
      return all() || subjects_.contains(row.subject);
    };
    TEMPER_TRY_VOID(store_.each_environment(put<Environment>("environment", any)));
    TEMPER_TRY_VOID(store_.each_toolchain(put<Toolchain>("toolchain", any)));
    TEMPER_TRY_VOID(store_.each_workload(put<Workload>("workload", [this](const Workload& row) {
      return keep(row.id, all() || wanted_.contains(row.id));
    })));
    TEMPER_TRY_VOID(store_.each_space(put<Space>("space", [this](const Space& row) {
      return keep(row.id, all() || wanted_.contains(row.workload));
    })));
    TEMPER_TRY_VOID(store_.each_run(put<Run>("run", [this](const Run& row) {
      const bool wanted = all() || wanted_.contains(row.workload);
      if (wanted && !all())
        runs_.insert(row.id);
      return keep(row.id, wanted);
    })));
    TEMPER_TRY_VOID(store_.each_candidate(put<Candidate>("candidate", [this](const Candidate& row) {
      return keep(row.id, all() || wanted_.contains(row.workload));
    })));
    TEMPER_TRY_VOID(
        store_.each_measurement(put<Measurement>("measurement", [this](const Measurement& row) {
          return keep(row.id, all() || wanted_.contains(row.workload));
        })));
    if (options_.artifacts)
      TEMPER_TRY_VOID(store_.each_artifact(put<Artifact>("artifact", [this](const Artifact& row) {
        return all() || subjects_.contains(row.candidate);
      })));
    if (options_.models)
      TEMPER_TRY_VOID(store_.each_model(put<Model>("model", of_run)));
    TEMPER_TRY_VOID(store_.each_model_quality(put<ModelQuality>("model_quality", of_run)));
    TEMPER_TRY_VOID(store_.each_event(put<Event>("event", of_run)));
    TEMPER_TRY_VOID(store_.each_note(put<Note>("note", of_subject)));
    TEMPER_TRY_VOID(store_.each_tag(put<Tag>("tag", of_subject)));
    out_ << "{\"row\":\"end\",\"rows\":" << count_ << "}\n";
    out_.flush();
    if (!out_)
      return cannot_write();
    return std::move(summary_);
  }

private:
  bool all() const { return wanted_.empty(); }
  /// Notes and tags follow the rows that are in the dump.
  bool keep(const Id& id, bool wanted) {
    if (wanted && !all())
      subjects_.insert(id);
    return wanted;
  }
  static Error cannot_write() {
    return {ErrorCode::kEnvironment, "the dump cannot be written: the disk is full, or whoever "
                                     "reads it has gone"};
  }

  template <typename Row, typename Wanted> Visitor<Row> put(const char* kind, Wanted wanted) {
    return [this, kind, wanted](const Row& row) {
      if (!wanted(row))
        return true;
      line_ = "{\"row\":\"";
      line_ += kind;
      line_ += '"';
      detail::append_row(line_, row);
      line_ += "}\n";
      out_ << line_;
      ++summary_.rows[kind];
      ++count_;
      return static_cast<bool>(out_); // stop early on a full disk
    };
  }

  Store& store_;
  std::ostream& out_;
  const DumpOptions& options_;
  std::set<Id> wanted_;
  std::set<Id> runs_;
  std::set<Id> subjects_;
  DumpSummary summary_;
  std::string line_;
  int64_t count_ = 0;
};

/// A row that a later line may not be taken without is checked for an id of the right kind.
Result<void> check_id(const Id& id, Kind kind) {
  if (id.size() == kFullIdLength && looks_like_id(id) && id[0] == static_cast<char>(kind))
    return {};
  return Error(ErrorCode::kCorrupt, "'" + id + "' is no id of a " + std::string(to_string(kind)));
}

class Importer {
public:
  Importer(Store& store, std::istream& in, const std::string& name)
      : store_(store), in_(in), name_(name) {}

  Result<ImportSummary> run() {
    TEMPER_TRY_VOID(read_header());
    TEMPER_TRY(before, store_.row_counts());
    std::string line;
    while (std::getline(in_, line)) {
      ++number_;
      // getline without a newline at the end: the last line may be whole all the same.
      if (!line.empty())
        batch_.push_back({number_, std::move(line)});
      if (batch_.size() >= kBatch)
        TEMPER_TRY_VOID(flush());
    }
    TEMPER_TRY_VOID(flush());
    if (in_.bad())
      return Error(ErrorCode::kEnvironment, "reading '" + name_ + "' failed");
    summary_.truncated = !ended_;
    TEMPER_TRY(after, store_.row_counts());
    for (const auto& [kind, count] : after)
      if (const int64_t added = count - before[kind]; added > 0)
        summary_.added[kind] = added;
    return std::move(summary_);
  }

  /// Is it a dump, and one that this version reads?
  Result<void> read_header() {
    std::string line;
    if (!std::getline(in_, line))
      return refuse(ErrorCode::kCorrupt, "is empty: it is no dump of temper");
    ++number_;
    const auto header = parse_json(line);
    const std::string prefix = kSchema;
    if (!header || !header->is_object() || !header->contains("schema") ||
        !(*header)["schema"].is_string() ||
        !(*header)["schema"].get<std::string>().starts_with(prefix))
      return refuse(ErrorCode::kCorrupt,
                    "is no dump of temper: its first line has no \"schema\":\"temper.dump/…\"");
    const std::string version = (*header)["schema"].get<std::string>().substr(prefix.size());
    if (version != std::to_string(kDumpVersion))
      return refuse(ErrorCode::kCorrupt, "was written by a newer version of temper (dump format " +
                                             version + ", this one knows " +
                                             std::to_string(kDumpVersion) +
                                             "); import it with that version");
    return {};
  }

private:
  struct Line {
    int64_t number;
    std::string text;
  };
  // A commit writes every page that it touched, and ids touch pages at random: ten times the rows
  // are half the writing. Others wait for a batch, half a second.
  static constexpr size_t kBatch = 10'000;

  Error refuse(ErrorCode code, const std::string& what) const {
    return {code, "'" + name_ + "' " + what};
  }

  /// All lines of the batch in one transaction, or, when one of them is broken, each in its own.
  Result<void> flush() {
    if (batch_.empty())
      return {};
    std::map<std::string, int64_t> counts;
    const Result<void> together = store_.transaction([&]() -> Result<void> {
      counts.clear();
      for (const Line& line : batch_)
        TEMPER_TRY_VOID(take(line.text, counts));
      return {};
    });
    if (!together) {
      if (together.error().code == ErrorCode::kEnvironment)
        return together.error();
      counts.clear();
      for (const Line& line : batch_) {
        const Result<void> alone = take(line.text, counts);
        if (alone)
          continue;
        if (alone.error().code == ErrorCode::kEnvironment)
          return alone.error();
        constexpr int64_t kShown = 20;
        if (summary_.problem_count++ < kShown)
          summary_.problems.push_back("'" + name_ + "' line " + std::to_string(line.number) +
                                      " is left out: " + alone.error().message);
      }
    }
    for (const auto& [kind, count] : counts)
      summary_.rows[kind] += count;
    batch_.clear();
    return {};
  }

  Result<void> take(const std::string& text, std::map<std::string, int64_t>& counts) {
    TEMPER_TRY(members, detail::scan_json_object(text));
    const auto row = std::ranges::find(members, "row", &JsonMember::name);
    const auto kind_text = row == members.end() ? Result<std::string>(std::string())
                                                : detail::read_json_string(row->value);
    if (!kind_text || kind_text->empty())
      return Error(ErrorCode::kCorrupt, "it has no \"row\" that says what it is");
    const std::string& kind = *kind_text;
    if (kind == "end") {
      ended_ = true;
      return {};
    }
    TEMPER_TRY_VOID(take_row(kind, members));
    ++counts[kind];
    return {};
  }

  Result<void> take_row(const std::string& kind, const std::vector<JsonMember>& members) {
    if (kind == "measurement") {
      TEMPER_TRY(row, row_from_members<Measurement>(members));
      TEMPER_TRY_VOID(check_id(row.id, Kind::kMeasurement));
      TEMPER_TRY_VOID(store_.import_measurement(row));
      return {};
    }
    if (kind == "candidate")
      return add_with_id<Candidate>(members, Kind::kCandidate);
    if (kind == "run") {
      TEMPER_TRY(row, row_from_members<Run>(members));
      TEMPER_TRY_VOID(check_id(row.id, Kind::kRun));
      TEMPER_TRY_VOID(store_.import_run(row));
      return {};
    }
    if (kind == "workload")
      return add_with_id<Workload>(members, Kind::kWorkload);
    if (kind == "space")
      return add_with_id<Space>(members, Kind::kSpace);
    if (kind == "environment")
      return add_with_id<Environment>(members, Kind::kEnvironment);
    if (kind == "toolchain")
      return add_with_id<Toolchain>(members, Kind::kToolchain);
    if (kind == "artifact")
      return add_with_id<Artifact>(members, Kind::kArtifact);
    if (kind == "model")
      return add_with_id<Model>(members, Kind::kModel);
    if (kind == "note")
      return add_with_id<Note>(members, Kind::kNote);
    if (kind == "model_quality")
      return add_plain<ModelQuality>(members);
    if (kind == "event")
      return add_plain<Event>(members);
    if (kind == "tag")
      return add_plain<Tag>(members);
    return Error(ErrorCode::kCorrupt, "'" + kind + "' is no kind of row that this version knows");
  }

  template <typename Row>
  Result<void> add_with_id(const std::vector<JsonMember>& members, Kind kind) {
    TEMPER_TRY(row, row_from_members<Row>(members));
    TEMPER_TRY_VOID(check_id(row.id, kind));
    TEMPER_TRY_VOID(store_.add(row));
    return {};
  }
  template <typename Row> Result<void> add_plain(const std::vector<JsonMember>& members) {
    TEMPER_TRY(row, row_from_members<Row>(members));
    return store_.add(row);
  }

  Store& store_;
  std::istream& in_;
  const std::string name_;
  int64_t number_ = 0;
  bool ended_ = false;
  std::vector<Line> batch_;
  ImportSummary summary_;
};

} // namespace

Result<DumpSummary> dump(Store& store, std::ostream& out, const DumpOptions& options) {
  DumpSummary summary;
  TEMPER_TRY_VOID(store.snapshot([&]() -> Result<void> {
    TEMPER_TRY(done, Dumper(store, out, options).run());
    summary = std::move(done);
    return {};
  }));
  return summary;
}

namespace {

/// A file that nobody else sees and that goes away with the object.
class Spool {
public:
  Result<void> fill(std::istream& in) {
    std::error_code failed;
    std::string path = (std::filesystem::temp_directory_path(failed) / "temper-XXXXXX").string();
    const int descriptor = ::mkstemp(path.data());
    if (descriptor < 0)
      return cannot(path);
    ::close(descriptor);
    file_.open(path, std::ios::in | std::ios::out | std::ios::binary | std::ios::trunc);
    std::filesystem::remove(path, failed);
    if (in.peek() != std::istream::traits_type::eof())
      file_ << in.rdbuf();
    file_.flush();
    if (!file_)
      return cannot(path);
    file_.seekg(0);
    return {};
  }
  std::istream& stream() { return file_; }

private:
  static Error cannot(const std::string& path) {
    return {ErrorCode::kEnvironment,
            "the dump cannot be put aside as '" + path + "'; is the disk full?"};
  }
  std::fstream file_;
};

/// Whether the end is there. It says so in its last line, with the number of rows.
Result<void> check_complete(std::istream& in, const std::string& name) {
  int64_t lines = 0;
  int64_t rows = -1; // the header is none
  std::string line;
  std::string last;
  bool newline = true;
  while (std::getline(in, line)) {
    ++lines;
    newline = !in.eof();
    if (line.empty() || line == "\r")
      continue;
    ++rows;
    last.swap(line);
  }
  const auto end = parse_json(last);
  const bool parsed = end && end->is_object();
  const bool ended = parsed && end->value("row", "") == "end" && end->contains("rows") &&
                     (*end)["rows"].is_number_integer();
  const int64_t here = rows - 1; // the end line is none
  if (ended && (*end)["rows"].get<int64_t>() <= here)
    return {};
  const std::string where = std::to_string(lines);
  const std::string what = ended ? "lacks lines: its end counts " + (*end)["rows"].dump() +
                                       " rows, and " + std::to_string(here) + " are there"
                           : parsed && newline ? "is cut off after line " + where
                                               : "is cut off in line " + where;
  return Error(ErrorCode::kCorrupt,
               "'" + name + "' " + what +
                   "; nothing was imported: get it again, or take what is complete with --partial");
}

} // namespace

Result<ImportSummary> import_dump(Store& store, std::istream& in, const std::string& name,
                                  const ImportOptions& options) {
  if (options.partial)
    return Importer(store, in, name).run();
  Spool spool;
  std::istream* source = &in;
  std::streampos start = in.tellg(); // fails on a pipe
  if (start == std::streampos(-1)) {
    in.clear();
    TEMPER_TRY_VOID(spool.fill(in));
    source = &spool.stream();
    start = 0;
  }
  // What is no dump at all is told before what is cut off.
  TEMPER_TRY_VOID(Importer(store, *source, name).read_header());
  source->clear();
  source->seekg(start);
  TEMPER_TRY_VOID(check_complete(*source, name));
  source->clear();
  source->seekg(start);
  return Importer(store, *source, name).run();
}

} // namespace temper::database
