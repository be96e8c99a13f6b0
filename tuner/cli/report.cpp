/// temper report: what is known of a selection as one page.
#include "tuner/cli/command.h"
#include "tuner/cli/html.h"
#include "tuner/cli/output.h"

#include "ir/support/clock.h"
#include "ir/support/significance.h"
#include "ir/support/text.h"
#include "tuner/external_function.h"
#include "tuner/packed_ahead.h"
#include "tuner/record_context.h"
#include "tuner/stored_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace temper::cli {
namespace {

using database::RecordRow;
using tuner::RecordContext;
using tuner::Workbench;

struct ReportOptions {
  CommonOptions common;
  std::vector<std::string> words;
  std::string out;
  std::string title;
  std::vector<std::string> peers; ///< JSON of `temper compare --peers --json`
  bool all = false;
};

/// A library's routine beside a record.
struct PeerTime {
  double ns = 0;
  double ratio = 0; ///< its time over ours
  /// Above 0: ours where they were measured in turns, which is what `ratio` is of, not the record.
  double beside_ns = 0;
  Interval interval;
};

struct ReportedKernel {
  RecordContext context;
  html::Course course;
  double bound_ns = 0;  ///< 0: not known, as of another machine
  double intensity = 0; ///< operations a byte that must be moved; 0: not known
  std::string ahead;    ///< "B packed ahead"
  std::vector<std::string> tags;
  std::vector<std::string> notes;
  std::map<std::string, PeerTime> peers;

  /// Of the machine's bound; 0: not known.
  double share() const {
    return bound_ns > 0 && context.row.median_ns > 0 ? bound_ns / context.row.median_ns : 0;
  }
};

/// Peers' times by record and name, from what `temper compare --peers --json` printed.
class Peers {
public:
  Result<void> read(const std::string& path) {
    TEMPER_TRY(text, read_file(path));
    const auto json = parse_json(text);
    if (!json || !json->is_object() || !json->contains("peers") || !(*json)["peers"].is_array())
      return Error(ErrorCode::kInvalidArgument,
                   "'" + path + "' is not what `temper compare SELECTION --peers --json` prints");
    try {
      for (const Json& kernel : (*json)["peers"]) {
        double ours = 0;
        for (const Json& side : kernel.at("contenders"))
          if (side.at("name") == "tuned" && side.at("outcome") == "ok")
            ours = side.at("median_ns");
        for (const Json& side : kernel.at("contenders")) {
          const std::string name = side.at("name");
          if (name == "tuned" || side.at("outcome") != "ok")
            continue;
          PeerTime& time = times_[kernel.at("record")][name];
          time.ns = side.at("median_ns");
          time.ratio = side.at("ratio");
          const Json& interval = side.at("ratio_interval"); // of nulls where pairs were too few
          time.interval = interval.at(0).is_null() ? ratio_interval({})
                                                   : Interval{interval.at(0), interval.at(1)};
          time.beside_ns = ours;
        }
      }
    } catch (const std::exception& error) {
      return Error(ErrorCode::kInvalidArgument, "'" + path +
                                                    "' has another form than `temper "
                                                    "compare --peers --json` gives: " +
                                                    error.what());
    }
    return {};
  }
  const std::map<std::string, PeerTime>& of(const database::Id& record) const {
    static const std::map<std::string, PeerTime> none;
    const auto found = times_.find(record);
    return found == times_.end() ? none : found->second;
  }

private:
  std::map<database::Id, std::map<std::string, PeerTime>> times_;
};

/// Peers' times as `temper bench` left them in the database, by what they compute.
class StoredPeers {
public:
  Result<void> read(database::Store& store) {
    const auto query = database::parse_query(
        std::string("layer = ") + tuner::kFunctionLayer + " and time > 0ns", 0);
    TEMPER_CHECK(query.has_value(), "the query is ours");
    database::RecordFilter filter;
    filter.query = *query;
    filter.include_stale = true;
    TEMPER_TRY(rows, store.best(filter));
    for (const RecordRow& row : rows) {
      TEMPER_TRY(workload, store.workload(row.workload));
      const std::string computes =
          text_at(parse_json(workload.program).value_or(Json()), "computes");
      if (computes.empty())
        continue;
      TEMPER_TRY(toolchain, store.toolchain(row.toolchain));
      const std::string library = text_at(parse_json(toolchain.json).value_or(Json()), "library");
      const std::string& name = library.empty() ? row.workload_name : library;
      RecordRow& known =
          rows_[computes][{row.environment_class, row.threads, row.regime, row.inputs, name}];
      if (row.measured_at > known.measured_at) // of several versions of a library the newest
        known = row;
    }
    return {};
  }
  /// Those that were measured under the record's conditions.
  Result<void> add_to(std::map<std::string, PeerTime>& times, database::Store& store,
                      const RecordContext& context) const {
    const RecordRow& row = context.row;
    const auto found = rows_.find(row.workload);
    if (found == rows_.end() || !(row.median_ns > 0))
      return {};
    for (const auto& [key, peer] : found->second) {
      const auto& [environment, threads, regime, inputs, name] = key;
      if (environment != row.environment_class || threads != row.threads || regime != row.regime ||
          inputs != row.inputs || times.contains(name))
        continue;
      TEMPER_TRY(record, store.measurement(peer.id));
      const std::vector<double> theirs(record.samples_ns.begin(), record.samples_ns.end());
      const std::vector<double> ours(context.record.samples_ns.begin(),
                                     context.record.samples_ns.end());
      constexpr int kDraws = 400;
      times[name] = {peer.median_ns, peer.median_ns / row.median_ns, 0,
                     std::min(theirs.size(), ours.size()) < tuner::kFewestStoredSamples
                         ? ratio_interval({})
                         : ratio_interval(log_ratio_draws(theirs, ours, 1, kDraws))};
    }
    return {};
  }

private:
  using Key = std::tuple<std::string, int, database::TimingRegime, std::string, std::string>;
  std::map<database::Id, std::map<Key, RecordRow>> rows_;
};

class Reporter {
public:
  Reporter(Workbench& bench, database::Store& store, const ReportOptions& options)
      : bench_(bench), store_(store), options_(options) {}

  Result<void> read(const std::vector<RecordRow>& rows) {
    Peers peers;
    for (const std::string& path : options_.peers)
      TEMPER_TRY_VOID(peers.read(path));
    StoredPeers stored_peers;
    TEMPER_TRY_VOID(stored_peers.read(store_));
    TEMPER_TRY(here, bench_.environment());
    for (const RecordRow& row : rows) {
      ReportedKernel kernel;
      TEMPER_TRY(context, tuner::context_of(store_, row));
      kernel.context = std::move(context);
      if (kernel.context.workload.layer == tuner::kFunctionLayer)
        continue; // a column beside the kernel that it computes
      TEMPER_TRY(points, html::course_of(store_, kernel.context.search));
      kernel.course.points = std::move(points);
      if (kernel.context.untuned)
        kernel.course.untuned_ns = kernel.context.untuned->median_ns;
      if (row.environment_class == here.class_name)
        rate(kernel);
      kernel.course.bound_ns = kernel.bound_ns;
      const double bytes = kernel.context.workload.bytes;
      if (row.flops > 0 && bytes > 0)
        kernel.intensity = row.flops / bytes;
      if (row.binding_json.find("\"constant\"") != std::string::npos)
        if (const auto candidate = store_.candidate(row.candidate))
          if (const auto packed =
                  tuner::packed_ahead(kernel.context.workload.program, candidate->program))
            kernel.ahead = tuner::short_text(*packed);
      for (const database::Id& subject : {row.id, row.run, row.candidate, row.workload}) {
        TEMPER_TRY(tags, store_.tags(subject));
        for (const database::Tag& tag : tags)
          kernel.tags.push_back(tag.tag);
        TEMPER_TRY(notes, store_.notes(subject));
        for (const database::Note& note : notes)
          kernel.notes.push_back(note.text + (note.author.empty() ? "" : " (" + note.author + ")"));
      }
      kernel.peers = peers.of(row.id);
      TEMPER_TRY_VOID(stored_peers.add_to(kernel.peers, store_, kernel.context));
      for (const auto& [name, time] : kernel.peers)
        peer_names_.insert(name);
      kernels_.push_back(std::move(kernel));
    }
    return {};
  }

  size_t count() const { return kernels_.size(); }

  std::string page() const {
    std::string page = html::head(options_.title.empty() ? "temper report" : options_.title);
    for (const std::string& line : summary())
      page += "<p>" + html::escaped(line) + "</p>\n";
    page += roofline();
    page += table();
    page += "<p class=\"small\">best: median of the stored samples, with the 95 % interval of the "
            "median. untuned: the program as it is written. faster: untuned over best, with an "
            "interval where both have samples. of bound: the time that the machine's measured "
            "peak rate and bandwidth allow, over the best; only known of the machine that wrote "
            "this page. trials, spent: of the run that found it. search: the best so far over "
            "trials, on a logarithmic scale.";
    if (!peer_names_.empty())
      page +=
          " Libraries: their time over the kernel's, above 1 they are slower. Beside a "
          "time: both were measured in turns in a session of their own (--peers), the kernel took "
          "that time there, and the ratio is the median of the pairs; else stored times of "
          "temper bench over the best.";
    page += "</p>\n<h2>Where each number comes from</h2>\n";
    for (size_t i = 0; i < kernels_.size(); ++i)
      page += section(i);
    const int64_t now = unix_time_ns();
    const std::pair<std::string, std::string> facts[] = {{"written", format_date(now)},
                                                         {"temper", TEMPER_VERSION},
                                                         {"database", store_.name()},
                                                         {"bounds", bounds_fact()}};
    return page + "<h2>This page</h2>\n" + html::facts(facts) + html::foot();
  }

  /// The machine's figures that the bounds are of; null when none is known.
  Json machine_json() const { return speed_ ? engine::to_json(*speed_) : Json(nullptr); }

  Json json() const {
    Json list = Json::array();
    for (const ReportedKernel& kernel : kernels_) {
      const RecordContext& context = kernel.context;
      const Interval gain = context.gain_interval();
      Json peers = Json::object();
      for (const auto& [name, time] : kernel.peers)
        peers[name] =
            Json{{"median_ns", time.ns},
                 {"tuned_ns", known(time.beside_ns)},
                 {"ratio", time.ratio},
                 {"ratio_interval", {number(time.interval.low), number(time.interval.high)}}};
      list.push_back(Json{
          {"record", context.row.id},
          {"workload", context.row.workload_name},
          {"binding", binding_object(context.row.binding_json)},
          {"median_ns", number(context.row.median_ns)},
          {"interval_ns", {number(context.row.low_ns), number(context.row.high_ns)}},
          {"gflops", known(gflops(context.row.flops, context.row.median_ns))},
          {"untuned_ns", known(context.untuned ? context.untuned->median_ns : 0)},
          {"ratio", known(context.gain())},
          {"ratio_interval", std::isfinite(gain.low) ? Json{gain.low, gain.high} : Json(nullptr)},
          {"bound_ns", known(kernel.bound_ns)},
          {"peers", std::move(peers)},
          {"trials", context.search.trials},
          {"seconds", context.search.seconds},
          {"provenance", tuner::provenance_json(context)}});
    }
    return list;
  }

private:
  /// Which measurement of the machine the shares are of. A later one that finds the machine faster
  /// makes them smaller.
  std::string bounds_fact() const {
    if (!speed_)
      return {};
    return engine::describe(*speed_) +
           (speed_->measured_at > 0 ? "; measured " + format_date(speed_->measured_at) : "") +
           " (temper doctor measures again and keeps the faster figures)";
  }

  /// What only this machine knows of its own records: how fast it could be.
  void rate(ReportedKernel& kernel) {
    if (!speed_)
      speed_ = engine::known_machine_speed(engine::read_machine(), engine::cache_folder());
    auto task = bench_.task(kernel.context.workload);
    if (!task)
      return;
    task->threads = kernel.context.row.threads;
    kernel.bound_ns = tuner::machine_bound_ns(*task, *speed_);
  }

  std::vector<std::string> summary() const {
    std::vector<double> gains;
    std::set<std::string> machines;
    std::set<std::string> compilers;
    int64_t first = 0;
    int64_t last = 0;
    for (const ReportedKernel& kernel : kernels_) {
      const RecordContext& context = kernel.context;
      if (context.gain() > 0)
        gains.push_back(context.gain());
      machines.insert((context.environment.host.empty() ? "" : context.environment.host + ", ") +
                      context.environment.class_name);
      compilers.insert(tuner::compiler_of(context.toolchain));
      first = first == 0 ? context.row.measured_at : std::min(first, context.row.measured_at);
      last = std::max(last, context.row.measured_at);
    }
    const auto listed = [](const std::set<std::string>& set) {
      return join(std::vector<std::string>(set.begin(), set.end()), " and ");
    };
    std::vector<std::string> lines{
        fmt::format("{} measured on {} with {}, {} to {}",
                    format_count(static_cast<int64_t>(kernels_.size()), "kernel"), listed(machines),
                    listed(compilers), format_date(first), format_date(last))};
    if (!gains.empty())
      lines.push_back(fmt::format("{:.2f} times as fast as untuned (geometric mean of {})",
                                  geometric_mean(gains),
                                  format_count(static_cast<int64_t>(gains.size()), "kernel")));
    for (const std::string& name : peer_names_) {
      std::vector<double> ratios;
      for (const ReportedKernel& kernel : kernels_)
        if (const auto found = kernel.peers.find(name);
            found != kernel.peers.end() && found->second.ratio > 0)
          ratios.push_back(found->second.ratio);
      if (!ratios.empty())
        lines.push_back(fmt::format("{} takes {:.2f} times as long (geometric mean of {})", name,
                                    geometric_mean(ratios),
                                    format_count(static_cast<int64_t>(ratios.size()), "kernel")));
    }
    return lines;
  }

  std::string roofline() const {
    if (!speed_)
      return {};
    html::Roofline roofline;
    int threads = 0;
    const DataType single = DataType::floating(32);
    for (const ReportedKernel& kernel : kernels_) {
      const RecordRow& row = kernel.context.row;
      if (!(kernel.bound_ns > 0) || !(kernel.intensity > 0))
        continue;
      threads = std::max(threads, row.threads);
      roofline.points.push_back(
          {kernel.context.title, kernel.intensity, gflops(row.flops, row.median_ns)});
    }
    constexpr size_t kWorthDrawing = 2;
    if (roofline.points.size() < kWorthDrawing)
      return {};
    roofline.peak_gflops = speed_->peak(single) * threads * 1e-9;
    for (const engine::MachineSpeed::Level& level : speed_->levels)
      roofline.roofs.push_back({level.level == 0 ? "memory" : fmt::format("L{}", level.level),
                                level.bytes_per_s * threads});
    const std::string plot = html::roofline_plot(roofline);
    if (plot.empty())
      return {};
    return "<figure>" + plot +
           fmt::format("<figcaption class=\"small\">Under the roofs of this machine: peak rate of "
                       "float32 and bandwidths as measured, of {}. Operations over the bytes of "
                       "the arguments, each moved once.</figcaption></figure>\n",
                       format_count(threads, "core"));
  }

  std::string table() const {
    std::string text = "<table><thead><tr><th class=\"n\"></th><th>kernel</th><th class=\"n\">best"
                       "</th><th class=\"n\">95 %</th><th class=\"n\">rate</th><th class=\"n\">"
                       "untuned</th><th class=\"n\">faster</th>";
    for (const std::string& name : peer_names_)
      text += "<th class=\"n\">" + html::escaped(name) + "</th>";
    text += "<th class=\"n\">of bound</th><th class=\"n\">trials</th><th class=\"n\">spent</th>"
            "<th>search</th><th>record</th></tr></thead><tbody>\n";
    for (size_t i = 0; i < kernels_.size(); ++i) {
      const ReportedKernel& kernel = kernels_[i];
      const RecordContext& context = kernel.context;
      const RecordRow& row = context.row;
      text += "<tr>" + html::number_cell(std::to_string(i + 1));
      text += fmt::format("<td><a href=\"#k{}\">{}</a>", i + 1, html::escaped(context.title));
      if (const std::string marks = marks_of(kernel); !marks.empty())
        text += "<br/><span class=\"small odd\">" + html::escaped(marks) + "</span>";
      text += "</td>" + html::number_cell(format_time(row.median_ns));
      text += html::number_cell(
          row.high_ns > 0 ? format_time(row.low_ns) + " .. " + format_time(row.high_ns) : "-");
      text += html::number_cell(format_rate(row.flops, row.median_ns, row.binding_json));
      text += html::number_cell(context.untuned ? format_time(context.untuned->median_ns)
                                                : std::string("-"));
      const Interval interval = context.gain_interval();
      text += "<td class=\"n\">" +
              (context.gain() > 0 ? fmt::format("{:.2f}x", context.gain()) : std::string("-"));
      if (std::isfinite(interval.low))
        text += fmt::format("<br/><span class=\"small\">[{:.2f}, {:.2f}]</span>", interval.low,
                            interval.high);
      text += "</td>";
      for (const std::string& name : peer_names_) {
        const auto found = kernel.peers.find(name);
        text += "<td class=\"n\">";
        if (found == kernel.peers.end())
          text += "-";
        else
          text += fmt::format("{:.2f}x<br/><span class=\"small\">{}{}</span>", found->second.ratio,
                              std::isfinite(found->second.interval.low)
                                  ? fmt::format("[{:.2f}, {:.2f}] ", found->second.interval.low,
                                                found->second.interval.high)
                                  : std::string(),
                              format_time(found->second.ns));
        if (found != kernel.peers.end() && found->second.beside_ns > 0)
          text += "<br/><span class=\"small\">beside " + format_time(found->second.beside_ns) +
                  "</span>";
        text += "</td>";
      }
      text += "<td class=\"n\">" +
              (kernel.share() > 0 ? fmt::format("{:.0f} % ", kernel.share() * 100) +
                                        html::share_bar(kernel.share())
                                  : std::string("-")) +
              "</td>";
      text += html::number_cell(std::to_string(context.search.trials));
      text += html::number_cell(format_seconds(context.search.seconds));
      text += "<td>" + html::sparkline(kernel.course) + "</td>";
      text += "<td><code>" + html::escaped(short_id(store_, row.id)) + "</code></td></tr>\n";
    }
    return text + "</tbody></table>\n";
  }

  /// What sets a number apart from the others.
  static std::string marks_of(const ReportedKernel& kernel) {
    const RecordRow& row = kernel.context.row;
    std::vector<std::string> words;
    if (row.threads > 1)
      words.push_back(format_count(row.threads, "thread"));
    if (row.regime == database::TimingRegime::kCold)
      words.emplace_back("cold caches");
    if (row.unchecked)
      words.emplace_back("unchecked");
    if (row.stale)
      words.emplace_back("stale");
    if (row.purpose != database::Purpose::kConfirm)
      words.emplace_back("not confirmed");
    if (!kernel.ahead.empty())
      words.push_back(kernel.ahead);
    return join(words, ", ");
  }

  std::string section(size_t index) const {
    const ReportedKernel& kernel = kernels_[index];
    auto facts = tuner::provenance(kernel.context);
    facts.emplace_back("tags", join(kernel.tags, ", "));
    facts.emplace_back("notes", join(kernel.notes, "; "));
    facts.emplace_back("more", "temper explain " + kernel.context.row.id);
    return fmt::format("<section id=\"k{0}\"><h3>{0}. {1}</h3>\n", index + 1,
                       html::escaped(kernel.context.title)) +
           html::course_plot(kernel.course) + html::facts(facts) + "</section>\n";
  }

  Workbench& bench_;
  database::Store& store_;
  const ReportOptions& options_;
  std::optional<engine::MachineSpeed> speed_;
  std::vector<ReportedKernel> kernels_;
  std::set<std::string> peer_names_;
};

int run_report(ReportOptions& options) {
  Workbench bench(viewing(options.common));
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto rows = best_records(bench, options.words, options.all);
  if (!rows)
    return report(rows.error());
  if (rows->empty())
    return report(Error(ErrorCode::kNotFound, nothing_best(bench)));
  Reporter reporter(bench, **store, options);
  if (auto read = reporter.read(*rows); !read)
    return report(read.error());
  if (reporter.count() == 0)
    return report(Error(ErrorCode::kInvalidArgument,
                        "the selection has only functions of libraries; they are columns beside "
                        "the kernels that they compute"));
  const std::string page = reporter.page();
  if (auto written = write_file(options.out, page); !written)
    return report(written.error());
  if (options.common.json)
    print_json("report", Json{{"file", options.out},
                              {"bytes", page.size()},
                              {"machine", reporter.machine_json()},
                              {"kernels", reporter.json()}});
  else
    fmt::print("{}: {}, {:.0f} KiB\n", options.out,
               format_count(static_cast<int64_t>(reporter.count()), "kernel"),
               static_cast<double>(page.size()) / 1024);
  return kDone;
}

} // namespace

void add_report(Program& program) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = program.app.add_subcommand(
      "report", "one HTML page of kernels: times, searches, and where each number comes from");
  command->add_option("selection", options->words, "SELECTION... (default: every best)");
  command->add_option("--out", options->out, "FILE.html")->required();
  command->add_option("--title", options->title, "heading of the page");
  command->add_option("--peers", options->peers,
                      "FILE...: what temper compare SELECTION --peers --json printed, for columns "
                      "of libraries");
  command->add_flag("--all", options->all, "other machines, toolchains and timing regimes too");
  add_common_options(*command, options->common, true);
  add_examples(*command,
               {"temper report --out kernels.html", "temper report tag:night --out night.html",
                "temper report --all 'query:host = attic' --out attic.html",
                "temper compare matmul --peers --json > peers.json",
                "temper report matmul --peers peers.json --out matmul.html"});
  command->callback(
      [&program, options] { program.action = [options] { return run_report(*options); }; });
}

} // namespace temper::cli
