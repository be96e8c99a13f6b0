#include "database/detail/query_sql.h"

#include "ir/support/check.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace temper::database::detail {

namespace {

using Field = QueryField;
using Form = SqlCondition::Form;
using Operator = QueryOperator;

constexpr const char* kMarked = "\x01";

const char* sign_of(Operator op) {
  switch (op) {
  case Operator::kEqual:
    return " = ";
  case Operator::kNotEqual:
    return " <> ";
  case Operator::kLess:
    return " < ";
  case Operator::kLessEqual:
    return " <= ";
  case Operator::kMore:
    return " > ";
  case Operator::kMoreEqual:
    return " >= ";
  case Operator::kLike:
    break;
  }
  TEMPER_UNREACHABLE("an operator without a sign");
}

template <typename Value> bool compare(const Value& a, Operator op, const Value& b) {
  switch (op) {
  case Operator::kEqual:
    return a == b;
  case Operator::kNotEqual:
    return a != b;
  case Operator::kLess:
    return a < b;
  case Operator::kLessEqual:
    return a <= b;
  case Operator::kMore:
    return a > b;
  case Operator::kMoreEqual:
    return a >= b;
  case Operator::kLike:
    break;
  }
  TEMPER_UNREACHABLE("~ compares texts");
}

bool compare_text(const std::string& text, const QueryCondition& query) {
  return query.op == Operator::kLike ? matches_pattern(text, query.value.text)
                                     : compare(text, query.op, query.value.text);
}

bool compare_number(double number, const QueryCondition& query) {
  return !std::isnan(number) && compare(number, query.op, query.value.number);
}

bool compare_shape(const Json& binding, const QueryCondition& query) {
  const auto found = binding.is_object() ? binding.find(query.parameter) : binding.end();
  if (found == binding.end())
    return false;
  if (found->is_number() && !std::isnan(query.value.number) && query.op != Operator::kLike)
    return compare_number(found->get<double>(), query);
  const bool ordered = query.op != Operator::kEqual && query.op != Operator::kNotEqual &&
                       query.op != Operator::kLike;
  if (ordered)
    return false;
  return compare_text(found->is_string() ? found->get<std::string>() : found->dump(), query);
}

std::string number_text(double number) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof(text), number).ptr};
}

SqlCondition always(bool value) { return {value ? Form::kAlways : Form::kNever, {}, {}}; }
SqlCondition sql_of(std::string text, std::vector<std::string> values = {}) {
  return {Form::kSql, std::move(text), std::move(values)};
}

/// `text` is what matches_pattern takes; LIKE has its own two letters for that.
std::string like_pattern(const std::string& text) {
  const bool whole = text.find_first_of("*?") != std::string::npos;
  std::string pattern = whole ? "" : "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\')
      pattern += '\\';
    pattern += c == '*'   ? '%'
               : c == '?' ? '_'
                          : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return pattern + (whole ? "" : "%");
}

/// A comparison of a column that is never NULL.
SqlCondition column(const std::string& name, const QueryCondition& query) {
  if (query.op == Operator::kLike)
    return sql_of("lower(" + name + ") LIKE " + kMarked + " ESCAPE '\\'",
                  {like_pattern(query.value.text)});
  return sql_of(name + sign_of(query.op) + kMarked, {query.value.text});
}

SqlCondition negated(SqlCondition condition) {
  if (condition.form != Form::kSql)
    return always(condition.form == Form::kNever);
  condition.text = "NOT (" + condition.text + ")";
  return condition;
}

/// The start of an id: an index range.
SqlCondition prefix(const std::string& name, const std::string& before, const std::string& after,
                    const QueryCondition& query) {
  SqlCondition condition =
      sql_of(before + name + " >= " + kMarked + " AND " + name + " < " + kMarked + after,
             {query.value.text, query.value.text + "g"});
  condition.text = "(" + condition.text + ")";
  return query.op == Operator::kNotEqual ? negated(std::move(condition)) : condition;
}

/// `x IN (SELECT … WHERE column OP value)`; what is asked of the row is asked positively, so that
/// != means: none is.
SqlCondition among(const std::string& before, const std::string& name,
                   const QueryCondition& query) {
  SqlCondition condition = column(name, query);
  condition.text = before + condition.text + ")";
  return condition;
}

SqlCondition subjects(const char* table, const char* name, const QueryCondition& query) {
  QueryCondition positive = query;
  if (query.op == Operator::kNotEqual)
    positive.op = Operator::kEqual;
  const SqlCondition named = column(name, positive);
  SqlCondition condition = about_row(
      "SELECT subject FROM " + std::string(table) + " WHERE " + named.text, named.values.front());
  return query.op == Operator::kNotEqual ? negated(std::move(condition)) : condition;
}

SqlCondition compare_one(const QueryCondition& query, const SeriesFacts& series) {
  const std::string number =
      std::isnan(query.value.number) ? std::string() : number_text(query.value.number);
  switch (query.field) {
  case Field::kWorkload: {
    // One of several names is enough, but for !=, which none may be.
    const auto fits = [&](const std::string& name) { return compare_text(name, query); };
    return always(query.op == Operator::kNotEqual ? std::ranges::all_of(series.names, fits)
                                                  : std::ranges::any_of(series.names, fits));
  }
  case Field::kLayer:
    return always(compare_text(series.layer, query));
  case Field::kShape:
    return always(compare_shape(series.binding, query));
  case Field::kFlops:
    return always(compare_number(series.flops, query));
  case Field::kTarget:
    return always(compare_text(series.target, query));
  case Field::kThreads:
    return always(compare_number(static_cast<double>(series.threads), query));
  case Field::kEnvironment:
    return always(compare_text(series.environment_class, query));
  case Field::kToolchain:
    if (query.op == Operator::kLike)
      return always(matches_pattern(series.toolchain, query.value.text) ||
                    matches_pattern(series.toolchain_json, query.value.text));
    return always(series.toolchain.starts_with(query.value.text) == (query.op == Operator::kEqual));
  case Field::kStale:
    return always(series.stale);
  case Field::kCache:
    return always(compare_text(series.regime, query));
  case Field::kInputs:
    return always(compare_text(series.inputs, query));

  case Field::kRecord:
    return prefix("m.id", "", "", query);
  case Field::kRun:
    return prefix("m.run", "", "", query);
  case Field::kCandidate:
    return prefix("id", "m.candidate IN (SELECT n FROM candidate WHERE ", ")", query);
  case Field::kOutcome:
    return column("m.outcome", query);
  case Field::kPurpose:
    return column("m.purpose", query);
  case Field::kStage:
    return column("m.stage", query);
  case Field::kError:
    return column("m.error", query);
  case Field::kOrigin:
    return column("m.origin", query);
  case Field::kHost:
    return among("m.environment IN (SELECT id FROM environment WHERE ", "host", query);
  case Field::kStrategy:
    return among("m.run IN (SELECT id FROM run WHERE ", "strategy", query);
  case Field::kTime:
    return sql_of("(m.median_ns IS NOT NULL AND m.median_ns" + std::string(sign_of(query.op)) +
                  number + ")");
  case Field::kCompileTime:
    return sql_of("(m.compile_ms IS NOT NULL AND m.compile_ms" + std::string(sign_of(query.op)) +
                  number_text(query.value.number * 1e-6) + ")");
  case Field::kRate:
    // FLOP a nanosecond are GFLOP/s. With the series' number as text every series would have a
    // condition of its own.
    return sql_of("coalesce(m.median_ns > 0 AND (SELECT w.flops FROM series s JOIN workload w ON "
                  "w.id = s.workload WHERE s.n = m.series) / m.median_ns" +
                  std::string(sign_of(query.op)) + number + ", FALSE)");
  case Field::kMeasured:
    return sql_of("m.measured_at" + std::string(sign_of(query.op)) +
                  std::to_string(query.value.moment));
  case Field::kUnchecked:
    return sql_of("m.unchecked <> 0");
  case Field::kTag:
    return subjects("tag", "tag", query);
  case Field::kNote:
    return subjects("note", "text", query);
  case Field::kScript:
    return always(matches_pattern(series.program, query.value.text));
  case Field::kTrace: {
    // Programs share their skeletons, which are compressed: the store has looked at those. What has
    // none is a short text of its own.
    const auto found = series.skeletons.find(&query);
    TEMPER_CHECK(found != series.skeletons.end(), "who asks for traces looks for them");
    return sql_of("m.candidate IN (SELECT n FROM candidate WHERE skeleton IN (" + found->second +
                      ") OR (skeleton IS NULL AND replace(lower(decisions), '_', '') LIKE " +
                      kMarked + " ESCAPE '\\'))",
                  {like_pattern(searchable_trace(query.value.text))});
  }
  }
  TEMPER_UNREACHABLE("field of a query");
}

} // namespace

SqlCondition about_row(const std::string& subjects, const std::string& value) {
  return sql_of("(m.id IN (" + subjects + ") OR m.run IN (" + subjects +
                    ") OR m.candidate IN (SELECT n FROM candidate WHERE id IN (" + subjects +
                    ")) OR m.series IN (SELECT n FROM series WHERE workload IN (" + subjects +
                    ")))",
                {value, value, value, value});
}

SqlCondition reduce(const QueryCondition& query, const SeriesFacts& series) {
  if (query.form == QueryCondition::Form::kCompare)
    return compare_one(query, series);
  if (query.form == QueryCondition::Form::kNot)
    return negated(reduce(*query.parts.front(), series));
  const bool all = query.form == QueryCondition::Form::kAll;
  const Form decides = all ? Form::kNever : Form::kAlways; // one of these decides the whole
  SqlCondition result;
  std::string text;
  for (const QueryRef& part : query.parts) {
    SqlCondition one = reduce(*part, series);
    if (one.form == decides)
      return always(!all);
    if (one.form != Form::kSql)
      continue;
    text += (text.empty() ? "" : all ? " AND " : " OR ") + one.text;
    result.values.insert(result.values.end(), one.values.begin(), one.values.end());
  }
  if (text.empty())
    return always(all);
  return sql_of("(" + text + ")", std::move(result.values));
}

std::string numbered(const std::string& text, int first) {
  std::string result;
  for (const char c : text)
    if (c == SqlCondition::kMark)
      result += "$" + std::to_string(first++);
    else
      result += c;
  return result;
}

} // namespace temper::database::detail
