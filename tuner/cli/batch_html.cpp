#include "tuner/cli/batch_html.h"

#include "codegen/llvm/compile.h"
#include "tuner/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace temper::cli {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += c;
    }
  return out;
}

/// Best so far over trials: falling steps on a logarithmic scale of times.
std::string convergence_svg(const std::vector<database::ConvergencePoint>& points) {
  constexpr double kWidth = 160;
  constexpr double kHeight = 36;
  double low = 0;
  double high = 0;
  for (const database::ConvergencePoint& point : points)
    if (point.best_ns > 0) {
      low = low == 0 ? point.best_ns : std::min(low, point.best_ns);
      high = std::max(high, point.best_ns);
    }
  if (low <= 0 || points.size() < 2)
    return {};
  const double span = std::max(std::log(high / low), 1e-9);
  std::string path;
  double last = -1;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!(points[i].best_ns > 0))
      continue;
    const double x =
        1 + (kWidth - 2) * static_cast<double>(i) / static_cast<double>(points.size() - 1);
    const double y = 2 + (kHeight - 4) * (1 - std::log(points[i].best_ns / low) / span);
    const double down = kHeight - y;
    if (last >= 0 && std::abs(down - last) < 0.01 && i + 1 < points.size())
      continue; // a step is drawn by its ends
    if (!path.empty())
      path += fmt::format(" {:.1f},{:.1f}", x, last);
    path += fmt::format(" {:.1f},{:.1f}", x, down);
    last = down;
  }
  return fmt::format("<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\">"
                     "<title>best so far over {2} trials, from {3} to {4}</title>"
                     "<polyline points=\"{5}\" fill=\"none\" stroke=\"currentColor\"/></svg>",
                     kWidth, kHeight, points.size(), format_time(high), format_time(low), path);
}

constexpr const char* kStyle = R"(
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 90em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3em .7em; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.won { color: #087f23; } .failed { color: #b3261e; } .unfinished, .elsewhere { color: #8a6d00; }
code { font-size: 12px; } dt { float: left; clear: left; width: 9em; opacity: .7; } dd { margin-left: 10em; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #dde; }
  .won { color: #7bd88f; } .failed { color: #ff8a80; } .unfinished, .elsewhere { color: #e6c86a; } }
)";

} // namespace

Result<std::string> batch_html(tuner::Workbench& bench, const std::string& name,
                               const tuner::BatchResult& result,
                               const std::vector<std::string>& summary) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(environment, bench.environment());
  std::string page = fmt::format("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                 "<title>temper batch {0}</title><style>{1}</style></head>"
                                 "<body>\n<h1>{0}</h1>\n",
                                 escaped(name), kStyle);
  for (const std::string& line : summary)
    page += "<p>" + escaped(line) + "</p>\n";
  page += "<table><thead><tr><th>task</th><th>result</th><th class=\"n\">before</th>"
          "<th class=\"n\">now</th><th class=\"n\">95 %</th><th class=\"n\">faster</th>"
          "<th class=\"n\">rate</th><th class=\"n\">trials</th><th class=\"n\">spent</th>"
          "<th>search</th><th>record</th><th>why</th></tr></thead><tbody>\n";
  for (const tuner::BatchOutcome& outcome : result.outcomes) {
    std::string plot;
    if (!outcome.run.empty()) {
      TEMPER_TRY(points, store->convergence(outcome.run));
      plot = convergence_svg(points);
    }
    const double ratio = outcome.best_ns > 0 ? outcome.baseline_ns() / outcome.best_ns : 0;
    const auto number = [&](const std::string& text) {
      page += "<td class=\"n\">" + escaped(text) + "</td>";
    };
    page += "<tr><td>" + escaped(outcome.title) + "</td>";
    page += fmt::format("<td class=\"{0}\">{0}</td>", to_string(outcome.verdict));
    number(format_time(outcome.baseline_ns()));
    number(format_time(outcome.best_ns));
    number(outcome.best_interval.high > 0 ? format_time(outcome.best_interval.low) + " .. " +
                                                format_time(outcome.best_interval.high)
                                          : "-");
    number(ratio > 0 ? fmt::format("{:.2f}x", ratio) : "-");
    number(format_rate(outcome.flops, outcome.best_ns));
    number(std::to_string(outcome.trials));
    number(format_seconds(outcome.seconds));
    page += "<td>" + plot + "</td><td><code>" + escaped(outcome.record) + "</code></td><td>" +
            escaped(outcome.reason) + "</td></tr>\n";
  }
  page += "</tbody></table>\n<h2>Where this comes from</h2>\n<dl>";
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  const std::pair<const char*, std::string> facts[] = {{"written", format_date(now)},
                                                       {"host", environment.host},
                                                       {"environment", environment.class_name},
                                                       {"compiler", codegen::compiler_version()},
                                                       {"temper", TEMPER_VERSION},
                                                       {"database", store->name()}};
  for (const auto& [key, value] : facts)
    page += fmt::format("<dt>{}</dt><dd>{}</dd>", key, escaped(value));
  page +=
      "</dl>\n<p>before: the best that was known when the batch began, else the program as it is "
      "written. now: the best, measured again beside other finalists on fresh inputs. search: "
      "the best so far over trials, on a logarithmic scale.</p>\n</body></html>\n";
  return page;
}

} // namespace temper::cli
