#include "tuner/cli/html.h"

#include "ir/support/quantities.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace temper::cli::html {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #1a5fb4; --won: #087f23; --bad: #b3261e; --odd: #8a6d00; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em;
  background: #fff; color: #1b1b1f; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3em .7em; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
thead { display: table-header-group; } tr, svg, section { break-inside: avoid; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.won { color: var(--won); } .failed { color: var(--bad); }
.unfinished, .elsewhere, .odd { color: var(--odd); }
.small { font-size: 12px; opacity: .8; }
pre { font-size: 12px; margin: 0; overflow-x: auto; } code { font-size: 12px; overflow-wrap: anywhere; } a { color: inherit; }
section { border-bottom: 1px solid #8884; display: flex; flex-wrap: wrap; gap: 0 2em; }
section h3 { flex-basis: 100%; margin: .8em 0 .3em; } section dl { flex: 1; min-width: 24em; }
dl { margin: .3em 0 1em; } dt { float: left; clear: left; width: 9em; opacity: .7; }
dd { margin-left: 10em; overflow-wrap: anywhere; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
.best { fill: none; stroke: var(--line); stroke-width: 1.6; }
.trial { stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; opacity: .35; fill: none; }
.axis { stroke: currentColor; opacity: .5; fill: none; }
.mark { stroke: currentColor; opacity: .7; stroke-dasharray: 4 3; fill: none; }
.bar { fill: var(--line); } .rest { fill: currentColor; opacity: .15; }
.spot { fill: var(--line); fill-opacity: .75; stroke: none; }
@media (prefers-color-scheme: dark) {
  :root { --line: #78aeed; --won: #7bd88f; --bad: #ff8a80; --odd: #e6c86a; }
  body { background: #16181c; color: #dde; } }
@media print {
  :root { color-scheme: light; --line: #1a5fb4; --won: #087f23; --bad: #b3261e; --odd: #8a6d00; }
  body { background: #fff; color: #000; margin: 0; max-width: none; font-size: 9pt; }
  th, td { padding: .15em .4em; } a { text-decoration: none; } }
)";

/// Positions on a logarithmic axis.
struct LogScale {
  double low = 1;
  double high = 1;
  double from = 0; ///< where `low` is drawn
  double to = 1;

  double at(double value) const {
    const double span = std::log(high / low);
    const double part = span > 0 ? std::log(value / low) / span : 0;
    return from + (to - from) * std::clamp(part, 0.0, 1.0);
  }
};

/// The best so far as the points of a polyline: a step by its ends.
std::string steps(const Course& course, const LogScale& x_of_trial, const LogScale& y) {
  std::string path;
  double last = -1;
  const auto count = static_cast<double>(course.points.size());
  for (size_t i = 0; i < course.points.size(); ++i) {
    if (!(course.points[i].best_ns > 0))
      continue;
    const double x =
        x_of_trial.from + (x_of_trial.to - x_of_trial.from) * static_cast<double>(i) / (count - 1);
    const double down = y.at(course.points[i].best_ns);
    if (last >= 0 && std::abs(down - last) < 0.01 && i + 1 < course.points.size())
      continue;
    if (!path.empty())
      path += fmt::format(" {:.1f},{:.1f}", x, last);
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x, down);
    last = down;
  }
  return path;
}

/// The first and the last best of a course; 0, 0 without any.
std::pair<double, double> range_of(const Course& course) {
  double low = 0;
  double high = 0;
  for (const database::ConvergencePoint& point : course.points)
    if (point.best_ns > 0) {
      low = low == 0 ? point.best_ns : std::min(low, point.best_ns);
      high = std::max(high, point.best_ns);
    }
  return {low, high};
}

std::string picture(double width, double height, const std::string& title,
                    const std::string& content) {
  return fmt::format("<svg width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" "
                     "role=\"img\"><title>{2}</title>{3}</svg>",
                     width, height, escaped(title), content);
}

std::string label(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                     escaped(text));
}

/// Puts names beside what they name so that none covers another, nor what is to be kept free.
class Labels {
public:
  explicit Labels(double left, double top, double right, double bottom)
      : area_{left, top, right, bottom} {}

  void keep_free(double x, double y, double half) {
    taken_.push_back({x - half, y - half, x + half, y + half});
  }
  /// Whether a text that begins at x on the line y was free to go there; it is then.
  bool take(double x, double y, const std::string& text) {
    const Box box{x, y - kHeight, x + width_of(text), y + 2};
    if (box.left < area_.left || box.top < area_.top || box.right > area_.right ||
        box.bottom > area_.bottom ||
        std::ranges::any_of(taken_, [&](const Box& other) { return box.meets(other); }))
      return false;
    taken_.push_back(box);
    return true;
  }
  /// Beside the point, as near as there is room, with a line to it where that is some way off;
  /// empty where there is no room.
  std::string beside(double x, double y, const std::string& text) {
    const double width = width_of(text);
    for (const double radius : {7.0, 12.0, 18.0, 26.0, 36.0, 48.0, 62.0})
      for (const double turn : {-0.25, 0.25, -0.75, 0.75, 0.0, 1.0, -0.5, 0.5, -0.125, 0.125}) {
        const double dx = radius * std::cos(turn * kPi);
        const double dy = radius * std::sin(turn * kPi);
        // The middle of its box lies in that direction.
        const double left = x + dx + (dx < -1 ? -width : dx > 1 ? 0 : -width / 2);
        const double base = y + dy + (dy < -1 ? 0 : dy > 1 ? kHeight - 2 : kHeight / 2 - 1);
        if (!take(left, base, text))
          continue;
        std::string line;
        if (radius > 18)
          line = fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", x, y,
                             x + 0.9 * dx, y + 0.9 * dy);
        return line + label(left, base, "start", text);
      }
    return {};
  }
  /// Of the letters that pages are written with, on the safe side.
  static double width_of(const std::string& text) { return 6.4 * static_cast<double>(text.size()); }

private:
  struct Box {
    double left, top, right, bottom;
    bool meets(const Box& other) const {
      return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
    }
  };
  static constexpr double kPi = 3.14159265358979;
  static constexpr double kHeight = 10;

  Box area_;
  std::vector<Box> taken_;
};

} // namespace

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
      // What XML has no character for.
      if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t')
        out += c;
    }
  return out;
}

std::string head(const std::string& title) {
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">"
                     "<head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
                     "content=\"width=device-width\"/><title>{0}</title><style>{1}</style></head>"
                     "<body>\n<h1>{0}</h1>\n",
                     escaped(title), kStyle);
}

std::string foot() { return "</body></html>\n"; }

std::string facts(std::span<const std::pair<std::string, std::string>> list) {
  std::string text = "<dl>";
  for (const auto& [term, meaning] : list)
    if (!meaning.empty())
      text += "<dt>" + escaped(term) + "</dt><dd>" + escaped(meaning) + "</dd>";
  return text + "</dl>\n";
}

std::string number_cell(const std::string& text) {
  return "<td class=\"n\">" + escaped(text) + "</td>";
}

Result<std::vector<database::ConvergencePoint>> course_of(database::Store& store,
                                                          const database::Run& run) {
  TEMPER_TRY(points, store.convergence(run.id));
  if (static_cast<int64_t>(points.size()) <= run.trials)
    return std::move(points);
  database::RecordFilter filter;
  filter.run = run.id;
  TEMPER_TRY(rows, store.list_records(filter));
  std::map<database::Id, database::Id> searched; // candidates by record
  for (const database::RecordRow& row : rows)
    if (row.purpose == database::Purpose::kSearch)
      searched.emplace(row.id, row.candidate);
  // A search tries no candidate twice, a session by hand may: there the trials include it.
  const bool has_repeats = static_cast<int64_t>(searched.size()) > run.trials;
  std::map<database::Id, size_t> places;
  std::vector<database::ConvergencePoint> trials;
  for (database::ConvergencePoint& point : points) {
    const auto found = searched.find(point.record);
    if (found == searched.end())
      continue;
    const auto [place, is_new] = places.try_emplace(found->second, trials.size());
    if (is_new || !has_repeats)
      trials.push_back(std::move(point));
    else // the later one counts
      trials[place->second] = std::move(point);
  }
  double best = database::kUnknown;
  for (database::ConvergencePoint& point : trials) {
    if (point.outcome == database::Outcome::kOk && !(point.median_ns >= best))
      best = point.median_ns;
    point.best_ns = best;
  }
  return trials;
}

std::string sparkline(const Course& course) {
  constexpr double kWidth = 160;
  constexpr double kHeight = 36;
  const auto [low, high] = range_of(course);
  if (low <= 0 || course.points.size() < 2)
    return {};
  const LogScale x{1, 1, 1, kWidth - 1};
  const LogScale y{low, high, kHeight - 2, 2};
  return picture(kWidth, kHeight,
                 fmt::format("best so far over {} trials, from {} to {}", course.points.size(),
                             format_time(high), format_time(low)),
                 "<polyline class=\"best\" points=\"" + steps(course, x, y) + "\"/>");
}

std::string course_plot(const Course& course) {
  constexpr double kWidth = 460;
  constexpr double kHeight = 170;
  constexpr double kLeft = 74;
  constexpr double kRight = kWidth - 76;
  constexpr double kTop = 8;
  constexpr double kBottom = kHeight - 20;
  const auto [best, worst] = range_of(course);
  if (best <= 0 || course.points.size() < 2)
    return {};
  LogScale y{best, worst, kBottom - 4, kTop};
  if (course.bound_ns > 0)
    y.low = std::min(y.low, course.bound_ns);
  if (course.untuned_ns > 0)
    y.high = std::max(y.high, course.untuned_ns);
  if (y.high < y.low * 1.05) // a flat line has a scale as well
    y.high = y.low * 1.05;
  const LogScale x{1, 1, kLeft, kRight};
  std::string content =
      fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/>", kLeft, kTop, kBottom, kRight);
  // Where the axis begins and ends, and the best unless it is too near to either.
  const auto tick = [&](double ns) {
    content += label(kLeft - 5, y.at(ns) + 4, "end", format_time(ns));
  };
  tick(y.high);
  constexpr double kRoom = 14;
  const auto has_room = [&](double ns) { return std::abs(y.at(ns) - y.at(y.high)) > kRoom; };
  if (has_room(best))
    tick(best);
  if (has_room(y.low) && std::abs(y.at(y.low) - y.at(best)) > kRoom)
    tick(y.low);
  content += label(kLeft, kHeight - 5, "middle", "1");
  content += label(kRight, kHeight - 5, "middle",
                   format_count(static_cast<int64_t>(course.points.size()), "trial"));
  double last_label = -100;
  const auto mark = [&](double ns, const char* name) {
    if (!(ns > 0))
      return;
    const double height = y.at(ns);
    content += fmt::format("<path class=\"mark\" d=\"M{} {:.1f}H{}\"/>", kLeft, height, kRight);
    if (std::abs(height - last_label) > kRoom)
      content += label(kRight + 5, height + 4, "start", name);
    last_label = height;
  };
  mark(course.untuned_ns, "untuned");
  mark(course.bound_ns, "bound");
  // Single trials as dots of one path; of very many an even choice.
  constexpr size_t kDots = 400;
  const size_t stride = course.points.size() / kDots + 1;
  std::string dots;
  for (size_t i = 0; i < course.points.size(); i += stride)
    if (const double ns = course.points[i].median_ns; ns > 0 && ns <= y.high)
      dots += fmt::format("M{:.0f} {:.0f}h0",
                          kLeft + (kRight - kLeft) * static_cast<double>(i) /
                                      static_cast<double>(course.points.size() - 1),
                          y.at(ns));
  if (!dots.empty())
    content += "<path class=\"trial\" d=\"" + dots + "\"/>";
  content += "<polyline class=\"best\" points=\"" + steps(course, x, y) + "\"/>";
  return picture(kWidth, kHeight,
                 fmt::format("best so far over {} trials, from {} to {}; dots are single trials",
                             course.points.size(), format_time(worst), format_time(best)),
                 content);
}

std::string roofline_plot(const Roofline& roofline) {
  constexpr double kWidth = 720;
  constexpr double kHeight = 340;
  constexpr double kLeft = 60;
  constexpr double kRight = kWidth - 110;
  constexpr double kTop = 12;
  constexpr double kBottom = kHeight - 34;
  if (!(roofline.peak_gflops > 0) || roofline.points.empty())
    return {};
  LogScale x{0.1, 100, kLeft, kRight};
  LogScale y{roofline.peak_gflops / 100, roofline.peak_gflops * 1.3, kBottom, kTop};
  for (const Roofline::Point& point : roofline.points) {
    x.low = std::min(x.low, point.intensity / 1.5);
    x.high = std::max(x.high, point.intensity * 1.5);
    y.low = std::min(y.low, point.gflops / 1.5);
    y.high = std::max(y.high, point.gflops * 1.1);
  }
  std::string content =
      fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/>", kLeft, kTop, kBottom, kRight);
  const auto powers = [](double low, double high, const auto& each) {
    for (double value = std::pow(10, std::ceil(std::log10(low))); value <= high; value *= 10)
      each(value);
  };
  powers(x.low, x.high, [&](double value) {
    content += label(x.at(value), kBottom + 14, "middle", fmt::format("{:g}", value));
  });
  powers(y.low, y.high, [&](double value) {
    content += label(kLeft - 5, y.at(value) + 4, "end", fmt::format("{:g}", value));
  });
  content += label((kLeft + kRight) / 2, kHeight - 4, "middle",
                   "operations for each byte that must be moved");
  Labels labels(kLeft, 0, kWidth, kBottom);
  for (const Roofline::Point& point : roofline.points)
    labels.keep_free(x.at(point.intensity), y.at(point.gflops), 4);
  labels.take(kLeft + 6, kTop + 10, "GFLOP/s"); // where it always is
  content += label(kLeft + 6, kTop + 10, "start", "GFLOP/s");
  struct Line {
    std::string name;
    double x1, y1, x2, y2;
  };
  const double peak = y.at(roofline.peak_gflops);
  std::vector<Line> lines{{"", kLeft, peak, kRight, peak}};
  for (const Roofline::Roof& roof : roofline.roofs) {
    // From the left or lower edge up to the peak.
    const double gigabytes = roof.bytes_per_s * 1e-9;
    const double start = std::max(x.low, y.low / gigabytes);
    const double ridge = std::min(x.high, roofline.peak_gflops / gigabytes);
    if (gigabytes > 0 && start < ridge)
      lines.push_back(
          {roof.name, x.at(start), y.at(start * gigabytes), x.at(ridge), y.at(ridge * gigabytes)});
  }
  for (const Line& line : lines) {
    content += fmt::format("<path class=\"mark\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", line.x1,
                           line.y1, line.x2, line.y2);
    for (double at = line.x1; at <= line.x2; at += 3)
      labels.keep_free(at, line.y1 + (line.y2 - line.y1) * (at - line.x1) / (line.x2 - line.x1), 1);
  }
  const std::string rate = fmt::format("{:.4g}", roofline.peak_gflops);
  labels.take(kRight + 5, peak + 4, rate);
  content += label(kRight + 5, peak + 4, "start", rate);
  for (const Line& line : lines)
    for (const double part : {0.3, 0.4, 0.5, 0.2, 0.6, 0.7, 0.8, 0.1, 0.9}) {
      const double left = line.x1 + (line.x2 - line.x1) * part - 5 - Labels::width_of(line.name);
      const double base = line.y1 + (line.y2 - line.y1) * part - 4;
      if (line.name.empty() || !labels.take(left, base, line.name))
        continue;
      content += label(left, base, "start", line.name);
      break;
    }
  constexpr size_t kNamed = 60; // more are a crowd; each has its name where the mouse rests
  for (size_t i = 0; i < roofline.points.size(); ++i) {
    const Roofline::Point& point = roofline.points[i];
    const double px = x.at(point.intensity);
    const double py = y.at(point.gflops);
    content +=
        fmt::format("<circle class=\"spot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>{}"
                    "</title></circle>",
                    px, py, escaped(fmt::format("{}: {:.4g} GFLOP/s", point.name, point.gflops)));
    if (roofline.points.size() <= kNamed)
      content += labels.beside(px, py, std::to_string(i + 1));
  }
  return picture(kWidth, kHeight, "kernels under the roofs of this machine", content);
}

std::string share_bar(double share) {
  constexpr double kWidth = 60;
  const double part = kWidth * std::clamp(share, 0.0, 1.0);
  return fmt::format("<svg width=\"{0:g}\" height=\"8\" viewBox=\"0 0 {0:g} 8\"><rect class="
                     "\"rest\" width=\"{0:g}\" height=\"8\"/><rect class=\"bar\" width=\"{1:.1f}\" "
                     "height=\"8\"/></svg>",
                     kWidth, part);
}

} // namespace temper::cli::html
