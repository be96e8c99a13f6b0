#include "tuner/cli/output.h"

#include "ir/support/passwords.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>

namespace temper::cli {

int exit_code(const Error& error) {
  switch (error.code) {
  case ErrorCode::kInvalidArgument:
  case ErrorCode::kNotFound:
  case ErrorCode::kUnsupported:
    return kWrongUsage;
  case ErrorCode::kInterrupted:
    return kInterrupted;
  case ErrorCode::kIllegal:
  case ErrorCode::kEnvironment:
  case ErrorCode::kCorrupt:
  case ErrorCode::kFailed:
    return kFailedWork;
  }
  return kFailedWork;
}

int report(const Error& error) {
  std::fprintf(stderr, "temper: %s\n", without_passwords(error.to_string()).c_str());
  return exit_code(error);
}

size_t terminal_width(int descriptor) {
  winsize size{};
  if (isatty(descriptor) == 0 || ioctl(descriptor, TIOCGWINSZ, &size) != 0)
    return 0;
  return size.ws_col;
}

namespace {

/// At most `width` characters a line, broken at blanks where there are some.
std::vector<std::string> wrapped(std::string_view text, size_t width) {
  if (const size_t end = text.find('\n'); end != std::string_view::npos) {
    std::vector<std::string> lines = wrapped(text.substr(0, end), width);
    for (std::string& line : wrapped(text.substr(end + 1), width))
      lines.push_back(std::move(line));
    return lines;
  }
  std::vector<std::string> lines;
  while (text.size() > width) {
    size_t end = text.rfind(' ', width);
    if (end == std::string_view::npos || end == 0)
      end = width;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  }
  lines.emplace_back(text);
  return lines;
}

/// The longest piece of a text between two of `separators`.
size_t longest_piece(const std::string& text, const char* separators) {
  size_t longest = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  return longest;
}

} // namespace

size_t line_width() {
  constexpr size_t kUsual = 80;
  const size_t width = terminal_width(STDOUT_FILENO);
  return width > 0 ? width : kUsual;
}

void print_wrapped(const std::string& text) { fmt::print("{}\n", wrap_words(text, line_width())); }

std::vector<size_t> Table::widths(size_t limit) const {
  constexpr size_t kNarrowest = 10; // what can still be read
  constexpr size_t kLongWord = 24;
  std::vector<size_t> widths;
  std::vector<size_t> words; // a column that is as wide as its longest word cuts none
  for (const Column& column : columns_) {
    widths.push_back(column.title.size());
    words.push_back(std::max(column.title.size(), kNarrowest));
  }
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], longest_piece(row[i], "\n"));
      words[i] = std::max(words[i], std::min(longest_piece(row[i], " \n"), kLongWord));
    }
  size_t total = 2 * (widths.size() - 1);
  for (size_t width : widths)
    total += width;
  // The widest of those that wrap gives way: first at blanks, then within words.
  for (const bool cuts : {false, true})
    while (limit > 0 && total > limit) {
      size_t* widest = nullptr;
      for (size_t i = 0; i < widths.size(); ++i)
        if (columns_[i].wrap && widths[i] > (cuts ? kNarrowest : words[i]) &&
            (!widest || widths[i] > *widest))
          widest = &widths[i];
      if (!widest)
        break;
      --*widest;
      --total;
    }
  return widths;
}

std::string Table::to_string(size_t limit) const {
  const std::vector<size_t> widths = this->widths(limit);
  std::string text;
  const auto add_row = [&](const std::vector<std::string>& cells) {
    std::vector<std::vector<std::string>> lines(columns_.size());
    size_t height = 1;
    for (size_t i = 0; i < columns_.size() && i < cells.size(); ++i) {
      lines[i] = wrapped(cells[i], widths[i]);
      height = std::max(height, lines[i].size());
    }
    for (size_t line = 0; line < height; ++line) {
      std::string out;
      for (size_t i = 0; i < columns_.size(); ++i) {
        const std::string cell = line < lines[i].size() ? lines[i][line] : std::string();
        const std::string blanks(widths[i] - cell.size(), ' ');
        out += (i > 0 ? "  " : "") + (columns_[i].right ? blanks + cell : cell + blanks);
      }
      out.erase(out.find_last_not_of(' ') + 1);
      text += out + "\n";
    }
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_)
    titles.push_back(column.title);
  add_row(titles);
  for (const auto& row : rows_)
    add_row(row);
  return text;
}

void Table::print() const {
  constexpr size_t kUsual = 100;
  const size_t terminal = terminal_width(STDOUT_FILENO);
  fmt::print("{}", without_passwords(to_string(terminal > 0 ? terminal : kUsual)));
}

void print_json(const std::string& name, const Json& fields) {
  Json object{{"schema", "temper." + name + "/1"}};
  object.update(fields);
  fmt::print("{}\n", without_passwords(object.dump(2, ' ', false, Json::error_handler_t::replace)));
}

std::string format_ratio_interval(Interval interval, int digits) {
  return std::isfinite(interval.low)
             ? fmt::format("[{:.{}f}, {:.{}f}]", interval.low, digits, interval.high, digits)
             : "too few pairs";
}

Json known(double value) { return value > 0 ? Json(value) : Json(nullptr); }
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

LiveLine::LiveLine() : terminal_(isatty(STDERR_FILENO) != 0) {}

bool LiveLine::is_due(double seconds, bool force) {
  if (!terminal_ && !force && seconds - last_plain_ < 5)
    return false;
  last_plain_ = seconds;
  return true;
}

void LiveLine::show(const std::string& line) {
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s", clipped(line).c_str());
    open_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

/// A line that wraps cannot be rewritten: what does not fit is left out, part by part.
std::string LiveLine::clipped(const std::string& line) const {
  const size_t width = terminal_width(STDERR_FILENO);
  if (width == 0 || line.size() < width)
    return line;
  const size_t comma = line.rfind(", ", width - 1);
  return line.substr(0, comma == std::string::npos ? width - 1 : comma);
}

void LiveLine::finish() {
  if (open_)
    std::fprintf(stderr, "\r\033[K");
  open_ = false;
}

SlowNotice::SlowNotice(std::string line, std::chrono::seconds after)
    : thread_([line = std::move(line), after](const std::stop_token& ended) {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any never;
        never.wait_for(lock, ended, after, [] { return false; });
        if (!ended.stop_requested())
          fmt::print(stderr, "{}\n", line);
      }) {}

ProgressLine::ProgressLine(double flops, std::string binding_json, int64_t trials, double seconds)
    : flops_(flops), binding_json_(std::move(binding_json)), budget_trials_(trials),
      budget_seconds_(seconds) {}

void ProgressLine::update(const tuner::TuneProgress& progress) {
  if (first_trials_ < 0 && progress.phase != "reference") {
    first_trials_ = progress.trials;
    first_seconds_ = progress.seconds;
  }
  const double spent = progress.seconds - first_seconds_;
  const double rate = first_trials_ >= 0 && spent > 0
                          ? static_cast<double>(progress.trials - first_trials_) / spent
                          : 0;
  const bool last = progress.phase == "confirm";
  if (!line_.is_due(progress.seconds, last))
    return;

  std::string line;
  if (progress.phase == "reference") {
    line = "computing the reference";
  } else if (last) {
    line = format_count(progress.trials, "trial") + ", confirming the best";
  } else {
    line = budget_trials_ > 0 ? fmt::format("{}/{} trials", progress.trials, budget_trials_)
                              : format_count(progress.trials, "trial");
    if (rate > 0)
      line += fmt::format(", {:.1f}/s", rate);
    if (progress.failures > 0)
      line += fmt::format(", {} failed", progress.failures);
    if (progress.best_ns > 0) {
      line += ", best " + format_time(progress.best_ns);
      if (flops_ > 0)
        line += " (" + format_rate(flops_, progress.best_ns, binding_json_) + ")";
    }
    if (progress.quality.candidates > 0)
      line += fmt::format(", model r={:.2f}", progress.quality.rank_correlation);
    double left = -1;
    if (budget_trials_ > 0 && rate > 0)
      left = static_cast<double>(budget_trials_ - progress.trials) / rate;
    if (budget_seconds_ > 0)
      left = left < 0 ? budget_seconds_ - progress.seconds
                      : std::min(left, budget_seconds_ - progress.seconds);
    if (left > 0)
      line += ", " + format_seconds(left) + " left";
  }
  line_.show(line);
}

namespace {

volatile std::sig_atomic_t g_interrupts = 0;
volatile std::sig_atomic_t g_postponed = 0;
// Written before the handler is there; a handler may not allocate.
char g_last_words[2048];
size_t g_last_words_size = 0;

[[noreturn]] void end_interrupted() {
  (void)!write(STDERR_FILENO, g_last_words, g_last_words_size);
  _exit(kInterrupted);
}

void on_interrupt(int) {
  if (!g_postponed || g_interrupts > 0)
    end_interrupted();
  g_interrupts = 1;
}

} // namespace

void install_interrupt_handler(const std::string& last_words) {
  // A terminal has a live line, perhaps, and shows ^C.
  const std::string text =
      (isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "") + ("temper: " + last_words) + "\n";
  g_last_words_size = text.copy(g_last_words, sizeof g_last_words);
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void postpone_interrupts(bool on) {
  g_postponed = on ? 1 : 0;
  if (!on && g_interrupts > 0) // it came when the last poll was over
    end_interrupted();
}

bool interrupted() { return g_interrupts > 0; }

} // namespace temper::cli
