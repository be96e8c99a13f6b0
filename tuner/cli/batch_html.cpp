#include "tuner/cli/batch_html.h"

#include "codegen/llvm/compile.h"
#include "ir/support/clock.h"
#include "tuner/cli/html.h"
#include "tuner/cli/output.h"

#include <fmt/format.h>

namespace temper::cli {

Result<std::string> batch_html(tuner::Workbench& bench, const std::string& name,
                               const tuner::BatchResult& result,
                               const std::vector<std::string>& summary) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(environment, bench.environment());
  std::string page = html::head("temper batch " + name);
  for (const std::string& line : summary)
    page += "<p>" + html::escaped(line) + "</p>\n";
  page += "<table><thead><tr><th>task</th><th>result</th><th class=\"n\">before</th>"
          "<th class=\"n\">now</th><th class=\"n\">95 %</th><th class=\"n\">faster</th>"
          "<th class=\"n\">rate</th><th class=\"n\">trials</th><th class=\"n\">spent</th>"
          "<th>search</th><th>record</th><th>why</th></tr></thead><tbody>\n";
  for (const tuner::BatchOutcome& outcome : result.outcomes) {
    std::string plot;
    if (!outcome.run.empty()) {
      TEMPER_TRY(run, store->run(outcome.run));
      TEMPER_TRY(points, html::course_of(*store, run));
      plot = html::sparkline({.points = std::move(points)});
    }
    const double ratio = outcome.best_ns > 0 ? outcome.baseline_ns() / outcome.best_ns : 0;
    const auto number = [&](const std::string& text) { page += html::number_cell(text); };
    page += "<tr><td>" + html::escaped(outcome.title) + "</td>";
    page += fmt::format("<td class=\"{0}\">{0}</td>", to_string(outcome.verdict));
    number(format_time(outcome.baseline_ns()));
    number(format_time(outcome.best_ns));
    number(outcome.best_interval.high > 0 ? format_time(outcome.best_interval.low) + " .. " +
                                                format_time(outcome.best_interval.high)
                                          : "-");
    number(ratio > 0 ? fmt::format("{:.2f}x", ratio) : "-");
    number(format_rate(outcome.flops, outcome.best_ns, outcome.binding_json));
    number(std::to_string(outcome.trials));
    number(format_seconds(outcome.seconds));
    page += "<td>" + plot + "</td><td><code>" + html::escaped(outcome.record) + "</code></td><td>" +
            (outcome.reason.find('\n') == std::string::npos
                 ? html::escaped(outcome.reason)
                 : "<pre>" + html::escaped(outcome.reason) + "</pre>") +
            "</td></tr>\n";
  }
  page += "</tbody></table>\n<h2>Where this comes from</h2>\n";
  const int64_t now = unix_time_ns();
  const std::pair<std::string, std::string> facts[] = {{"written", format_date(now)},
                                                       {"host", environment.host},
                                                       {"environment", environment.class_name},
                                                       {"compiler", codegen::compiler_version()},
                                                       {"temper", TEMPER_VERSION},
                                                       {"database", store->name()}};
  page += html::facts(facts);
  page += "<p>before: the best that was known when the batch began, else the program as it is "
          "written. now: the best, measured again beside other finalists on fresh inputs. search: "
          "the best so far over trials, on a logarithmic scale.</p>\n" +
          html::foot();
  return page;
}

} // namespace temper::cli
