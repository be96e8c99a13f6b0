/// Result<T>: a value, or an Error that says in one sentence what went wrong, where, and what to
/// do. The interface follows std::expected, so that we can switch to it later.
///
///   Result<int> parse_port(std::string_view text);
///   Result<Socket> open(std::string_view text) {
///     TEMPER_TRY(port, parse_port(text));
///     return Socket(port);
///   }
#pragma once

#include "ir/support/check.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace temper {

/// What kind of failure, for code that must react (exit codes, outcomes); the sentence is for
/// people.
enum class ErrorCode {
  kInvalidArgument, ///< wrong usage: an argument, a parameter, a script that does not parse
  kNotFound,        ///< a file, workload, record, symbol or library that is not there
  kUnsupported,     ///< legal, but this build, host or target cannot do it
  kIllegal,         ///< a schedule primitive's rule is broken
  kEnvironment,     ///< the machine failed us: disk, permission, process, memory
  kCorrupt,         ///< stored data is broken or from a newer version
  kFailed,          ///< the work was done and failed (wrong result, compile error)
  kInterrupted,     ///< stopped by the user; can be resumed
};

/// The word used in messages and JSON, as "invalid_argument".
const char* to_string(ErrorCode code);

/// One sentence, plus notes that callers add on the way up ("while reading matmul.py").
struct Error {
  ErrorCode code = ErrorCode::kFailed;
  std::string message;
  std::vector<std::string> notes;

  Error() = default;
  Error(ErrorCode error_code, std::string sentence)
      : code(error_code), message(std::move(sentence)) {}

  Error&& with_note(std::string note) && {
    notes.push_back(std::move(note));
    return std::move(*this);
  }
  /// The sentence, then each note on a line of its own, indented.
  std::string to_string() const;
};

/// Tag that makes a Result hold an error: `return Unexpected{Error{...}}`. An Error converts by
/// itself, so `return Error{...}` is the usual spelling.
struct Unexpected {
  Error error;
};

template <typename T> class [[nodiscard]] Result {
public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}     // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {} // NOLINT: implicit
  Result(Unexpected unexpected)                                             // NOLINT: implicit
      : state_(std::in_place_index<1>, std::move(unexpected.error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  T value_or(T other) const& { return has_value() ? std::get<0>(state_) : std::move(other); }

private:
  void check() const {
    if (!has_value())
      check_failed(__FILE__, __LINE__, "Result::has_value()", std::get<1>(state_).message);
  }

  std::variant<T, Error> state_;
};

template <> class [[nodiscard]] Result<void> {
public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}                      // NOLINT: implicit
  Result(Unexpected unexpected) : error_(std::move(unexpected.error)) {} // NOLINT: implicit

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  void value() const {
    if (error_)
      check_failed(__FILE__, __LINE__, "Result::has_value()", error_->message);
  }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

private:
  std::optional<Error> error_;
};

} // namespace temper

#define TEMPER_CONCAT_IMPL(a, b) a##b
#define TEMPER_CONCAT(a, b) TEMPER_CONCAT_IMPL(a, b)

/// Declares `name` with the value of `expr`, or returns its error from the enclosing function.
#define TEMPER_TRY(name, expr)                                                                     \
  auto TEMPER_CONCAT(temper_try_, __LINE__) = (expr);                                              \
  if (!TEMPER_CONCAT(temper_try_, __LINE__))                                                       \
    return std::move(TEMPER_CONCAT(temper_try_, __LINE__)).error();                                \
  auto&& name = *std::move(TEMPER_CONCAT(temper_try_, __LINE__))

/// The same for Result<void>, or where the value is not needed: one statement, so that it may stand
/// between an `if` and its `else`.
#define TEMPER_TRY_VOID(expr)                                                                      \
  do {                                                                                             \
    if (auto temper_try_result = (expr); !temper_try_result)                                       \
      return std::move(temper_try_result).error();                                                 \
  } while (false)
