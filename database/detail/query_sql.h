/// A query of the query language as SQL. What it asks of a series (workload, shape, machine, …) is
/// decided here, once per series, of which there are few; only the rest becomes a condition on rows
/// of `measurement`, written so that an index can serve it.
#pragma once

#include "database/query_language.h"
#include "ir/support/json.h"

#include <map>
#include <string>
#include <vector>

namespace temper::database::detail {

/// What a query may ask of a series.
struct SeriesFacts {
  std::vector<std::string> names; ///< of its workload
  std::string layer;
  Json binding;
  double flops = kUnknown;
  std::string target;
  int64_t threads = 1;
  std::string environment_class;
  Id toolchain;
  std::string toolchain_json;
  bool stale = false;
  std::string regime;
  std::string inputs;
  std::string program; ///< of its workload, where a query asks for it
  /// For each comparison with `trace`: numbers of the skeletons that fit, as "1,5,9".
  std::map<const QueryCondition*, std::string> skeletons;
};

/// A condition on `m`, a row of measurement. Its parameters are marked by kMark, one value each.
struct SqlCondition {
  static constexpr char kMark = '\x01';
  enum class Form : uint8_t { kAlways, kNever, kSql };
  Form form = Form::kAlways;
  std::string text;
  std::vector<std::string> values;

  bool operator==(const SqlCondition&) const = default;
};

/// What is left of the query for the rows of one series.
SqlCondition reduce(const QueryCondition& query, const SeriesFacts& series);

/// Rows that carry what `subjects`, a SELECT of ids with one parameter, names: themselves, their
/// run, candidate or workload.
SqlCondition about_row(const std::string& subjects, const std::string& value);

/// The text with its marks replaced by $first, $first+1, …
std::string numbered(const std::string& text, int first);

} // namespace temper::database::detail
