/// How commands print: tables, quantities with units, one JSON object, errors and exit codes, and
/// the live line of a run.
#pragma once

#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/result.h"
#include "tuner/tuning_run.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace temper::cli {

/// Exit codes of every command.
inline constexpr int kDone = 0;
inline constexpr int kFailedWork = 1;    ///< the work failed
inline constexpr int kWrongUsage = 2;    ///< the command line is wrong
inline constexpr int kAnswerIsNo = 3;    ///< wrong result, slower, stale
inline constexpr int kNotLookedAt = 4;   ///< check: nothing here could run it
inline constexpr int kInterrupted = 130; ///< can be resumed

int exit_code(const Error& error);
/// Prints "temper: sentence" and its notes to stderr; returns the exit code.
int report(const Error& error);

/// Columns of the terminal behind a file descriptor; 0 where there is none.
size_t terminal_width(int descriptor);
/// Columns for sentences on stdout: the terminal's, else 80.
size_t line_width();
/// A line that goes on in the next where it is longer than that.
void print_wrapped(const std::string& text);

/// Columns sized to their content, two blanks apart; headers in the first row. `right` aligns
/// numbers. Where the table is wider than it may be, the cells of columns that `wrap` go on in the
/// next line, broken at blanks and, where that is not enough, within words.
class Table {
public:
  struct Column {
    std::string title;
    bool right = false;
    bool wrap = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  /// 0: a row is a line, however long.
  std::string to_string(size_t width = 0) const;
  /// To stdout, within the terminal's width; in a pipe or a file within 100 columns.
  void print() const;

private:
  std::vector<size_t> widths(size_t limit) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Under tables that show two medians and the ratio that pairs of turns have.
inline constexpr const char* kRatiosOfPairs =
    "Ratios are medians over pairs taken in turns, not quotients of the medians beside them: what "
    "slows the machine for a while is in both of a pair.";

/// "[0.98, 1.02]", or that there were too few pairs for an interval.
std::string format_ratio_interval(Interval interval, int digits);

/// One JSON object to stdout: {"schema": "temper.NAME/1", ...fields}.
void print_json(const std::string& name, const Json& fields);
/// NaN and infinity become null.
Json number(double value);
/// What is not above zero was not measured: null.
Json known(double value);

/// A line on stderr that is rewritten on a terminal; elsewhere a plain line every few seconds.
class LiveLine {
public:
  LiveLine();
  ~LiveLine() { finish(); }
  /// Whether `show` would show something now: plain lines are `force`d or 5 s of `seconds` apart.
  bool is_due(double seconds, bool force = false);
  void show(const std::string& line);
  /// Clears the line; for other output and at the end.
  void finish();

private:
  std::string clipped(const std::string& line) const;

  bool terminal_;
  bool open_ = false;
  double last_plain_ = -1e9;
};

/// A line on stderr, once, when it lives longer than `after`: work that should not take long does.
class SlowNotice {
public:
  explicit SlowNotice(std::string line, std::chrono::seconds after = std::chrono::seconds(10));

private:
  std::jthread thread_; ///< ends with it
};

/// Progress of a run on stderr.
class ProgressLine {
public:
  /// `flops` of one call for the rate, and the workload's binding; budgets for the ETA (0: none).
  ProgressLine(double flops, std::string binding_json, int64_t trials, double seconds);
  void update(const tuner::TuneProgress& progress);
  void finish() { line_.finish(); }

private:
  LiveLine line_;
  double flops_;
  std::string binding_json_;
  int64_t budget_trials_;
  double budget_seconds_;
  int64_t first_trials_ = -1;
  double first_seconds_ = 0;
};

/// From now on SIGINT and SIGTERM end the process with exit code 130 and `last_words`, a sentence
/// without "temper: ". Helper processes end with it, and what was recorded is committed.
void install_interrupt_handler(const std::string& last_words = "interrupted");
/// While on, a first signal only sets the flag that runs poll; a second one ends the process. Off
/// where nobody polls, as while a reference is computed.
void postpone_interrupts(bool on);
bool interrupted();

} // namespace temper::cli
