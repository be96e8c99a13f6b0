/// The language of `query:"…"`: which records, by their fields.
///
///   workload = matmul and M >= 1024 and time < 2ms
///   outcome in (crashed, wrong_result) and measured > 3d ago and not tag = known
///
///   query      = all { "or" all }
///   all        = one { "and" one }
///   one        = "not" one | "(" query ")" | comparison
///   comparison = FIELD OPERATOR VALUE | FIELD [ "not" ] "in" "(" VALUE { "," VALUE } ")" | FLAG
///   OPERATOR   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
///   VALUE      = word | "text" | number [ unit ] | number unit "ago" | date
///
/// `~` finds a part of a text whatever its case, or with `*` and `?` the whole of it. Times have
/// ns, us, ms or s; ages s, min, h, d or w; dates are 2026-11-21 or 2026-11-21T14:03, local time.
/// A name that begins with a capital is a parameter of the shape, others are written shape.NAME. A
/// record that has no such number is never found by a comparison with it. `query_fields` lists the
/// fields; database/README.md has the table.
#pragma once

#include "database/records.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper::database {

enum class QueryField : uint8_t {
  kWorkload,
  kLayer,
  kShape, ///< a parameter of the workload; its name is beside it
  kFlops,
  kTarget,
  kThreads,
  kEnvironment,
  kHost,
  kToolchain,
  kStale,
  kCache,
  kInputs,
  kRecord,
  kRun,
  kCandidate,
  kOutcome,
  kPurpose,
  kStage,
  kError,
  kOrigin,
  kStrategy,
  kTime,
  kRate,
  kCompileTime,
  kMeasured,
  kUnchecked,
  kTag,
  kNote,
  kTrace,
  kScript,
};

/// What a field's values are.
/// kProgram: long, so that it is searched (~, !~) and not compared.
enum class QueryType : uint8_t { kText, kWord, kId, kNumber, kDuration, kMoment, kFlag, kProgram };

struct QueryFieldInfo {
  QueryField field;
  const char* name;
  QueryType type;
  const char* meaning;
};
std::span<const QueryFieldInfo> query_fields();

enum class QueryOperator : uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kMore,
  kMoreEqual,
  kLike
};

struct QueryCondition;
using QueryRef = std::shared_ptr<const QueryCondition>;

struct QueryValue {
  std::string text;         ///< as written, without quotes
  double number = kUnknown; ///< in ns, GFLOP/s or as it is; NaN: no number
  int64_t moment = 0;       ///< ns since 1970, of kMoment
};

struct QueryCondition {
  enum class Form : uint8_t { kAll, kAny, kNot, kCompare };
  Form form = Form::kCompare;
  std::vector<QueryRef> parts; ///< of all but kCompare

  QueryField field = QueryField::kWorkload;
  std::string parameter; ///< of kShape
  QueryOperator op = QueryOperator::kEqual;
  QueryValue value;
};

/// The error names the column (from 1) and, for an unknown field or word, the nearest one.
/// `now_ns`: what "ago" counts from.
Result<QueryRef> parse_query(std::string_view text, int64_t now_ns);

/// True when the field is compared anywhere in it.
bool mentions(const QueryCondition& query, QueryField field);
/// The comparisons with the field.
std::vector<const QueryCondition*> conditions_on(const QueryCondition& query, QueryField field);

/// A trace as `trace ~` searches it: small letters, no underscores. It is stored as
/// "SamplePerfectTile" and shown as "sample_perfect_tile"; both are found.
std::string searchable_trace(std::string_view text);

/// `pattern` of `~` in `text`: a part of it, or all of it when the pattern has * or ?. ASCII
/// letters are alike in both cases.
bool matches_pattern(std::string_view text, std::string_view pattern);

} // namespace temper::database
