/// T.print("tile[{}, {}] = {}", i, j, tile[i, j]): a statement that writes a line of text, each {}
/// being the next value, to the standard output of who runs the kernel. {{ and }} are one brace.
///
/// Code of the block writes it once a block, T.Parallel once an iteration, code of single threads
/// once a thread; lines of different blocks and threads come in any order.
#pragma once

#include "ir/tir/stmt.h"

#include <functional>
#include <string>
#include <variant>

namespace temper::tir {

inline constexpr const char* kPrint = "print";

/// `text`, to stand in a line's text as it is.
std::string escaped_braces(const std::string& text);
/// How many {} a line's text has.
size_t count_places(const std::string& text);
/// The call that the statement is; null for all else.
const Call* as_print(const Stmt& stmt);
/// The line as a format for printf, with its end: integers as long long (%lld, %llu), floats as
/// double. `%` and what is no {} stand for themselves.
std::string print_format(const Call& call);
/// The line, given the value of each argument (0: the first one behind the text).
std::string print_line(const Call& call,
                       const std::function<std::variant<int64_t, double>(size_t)>& value);
/// To `print`, or where that is null to standard output, at once.
void write_line(const std::function<void(const std::string&)>& print, const std::string& line);

} // namespace temper::tir
