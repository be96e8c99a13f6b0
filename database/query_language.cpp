#include "database/query_language.h"

#include "ir/support/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>

namespace temper::database {

namespace {

using Field = QueryField;
using Type = QueryType;

constexpr QueryFieldInfo kFields[] = {
    {Field::kWorkload, "workload", Type::kText, "any of the workload's names"},
    {Field::kLayer, "layer", Type::kText, "s-tir or tir"},
    {Field::kFlops, "flops", Type::kNumber, "floating point operations of one call"},
    {Field::kTarget, "target", Type::kText, "what the code is for"},
    {Field::kThreads, "threads", Type::kNumber, "of the kernel"},
    {Field::kEnvironment, "environment", Type::kText,
     "the class of machine, as best compares them"},
    {Field::kHost, "host", Type::kText, "the machine's name"},
    {Field::kToolchain, "toolchain", Type::kText, "its id, or a part of its description with ~"},
    {Field::kStale, "stale", Type::kFlag, "made with another toolchain than today's"},
    {Field::kCache, "cache", Type::kWord, "hot or cold"},
    {Field::kInputs, "inputs", Type::kText, "distribution of the inputs"},
    {Field::kRecord, "record", Type::kId, "id, or the start of it"},
    {Field::kRun, "run", Type::kId, "id, or the start of it"},
    {Field::kCandidate, "candidate", Type::kId, "id, or the start of it"},
    {Field::kOutcome, "outcome", Type::kWord, "ok, crashed, wrong_result, ..."},
    {Field::kPurpose, "purpose", Type::kWord, "search or confirm"},
    {Field::kStage, "stage", Type::kText, "how far the trial came: compile, run, check, time"},
    {Field::kError, "error", Type::kText, "the text of a failure"},
    {Field::kOrigin, "origin", Type::kText, "why it was proposed"},
    {Field::kStrategy, "strategy", Type::kText, "of its run"},
    {Field::kTime, "time", Type::kDuration, "median, with ns, us, ms or s"},
    {Field::kRate, "gflops", Type::kNumber, "GFLOP/s"},
    {Field::kCompileTime, "compile", Type::kDuration, "how long compiling took"},
    {Field::kMeasured, "measured", Type::kMoment, "when: 3d ago, 2026-11-21"},
    {Field::kUnchecked, "unchecked", Type::kFlag, "not compared with a reference"},
    {Field::kTag, "tag", Type::kText, "of the record, its run, candidate or workload"},
    {Field::kNote, "note", Type::kText, "on the record, its run, candidate or workload"},
    {Field::kTrace, "trace", Type::kProgram, "what the candidate's schedule says: vectorize"},
    {Field::kScript, "script", Type::kProgram, "the workload's program as it is written"},
};

struct Token {
  enum class Kind : uint8_t { kWord, kText, kOperator, kOpen, kClose, kComma, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t column = 1;
};

struct Unit {
  const char* name;
  double ns;
};
constexpr Unit kDurations[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
constexpr Unit kAges[] = {
    {"s", 1e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {"w", 7 * 86400e9}};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// "1.5ms" -> 1.5 and "ms".
bool split_number(const std::string& text, double& number, std::string& unit) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number))
    return false;
  unit.assign(stop, text.data() + text.size());
  return true;
}

std::vector<std::string> words_of(Field field) {
  std::vector<std::string> words;
  switch (field) {
  case Field::kOutcome:
    for (int i = 0; i < kOutcomeCount; ++i)
      words.emplace_back(to_string(static_cast<Outcome>(i)));
    break;
  case Field::kPurpose:
    words = {"search", "confirm"};
    break;
  default:
    words = {"hot", "cold"};
    break;
  }
  return words;
}

class Parser {
public:
  Parser(std::string_view text, int64_t now_ns) : text_(text), now_ns_(now_ns) {}

  Result<QueryRef> run() {
    TEMPER_TRY_VOID(scan());
    if (at().kind == Token::Kind::kEnd)
      return wrong(at(), "the query is empty; write as workload = matmul and time < 2ms");
    TEMPER_TRY(query, any());
    if (at().kind != Token::Kind::kEnd)
      return wrong(at(), "'" + at().text + "' is not expected here; join comparisons with and, or");
    return std::move(query);
  }

private:
  static constexpr int kDeepest = 100;

  static Error wrong(const Token& token, const std::string& sentence) {
    return {ErrorCode::kInvalidArgument,
            "query, column " + std::to_string(token.column) + ": " + sentence};
  }

  Result<void> scan() {
    size_t begin = 0;
    size_t end = text_.size();
    // query:"…" with the quotes still there, as when the shell got the word in other ones.
    while (begin < end && std::isspace(static_cast<unsigned char>(text_[begin])))
      ++begin;
    if (end - begin >= 2 && text_[begin] == '"' && text_[end - 1] == '"') {
      ++begin;
      --end;
    }
    for (size_t i = begin; i < end;) {
      const char c = text_[i];
      Token token;
      token.column = i + 1;
      if (std::isspace(static_cast<unsigned char>(c))) {
        ++i;
        continue;
      }
      if (c == '(' || c == ')' || c == ',') {
        token.kind = c == '('   ? Token::Kind::kOpen
                     : c == ')' ? Token::Kind::kClose
                                : Token::Kind::kComma;
        token.text = c;
        ++i;
      } else if (c == '"' || c == '\'') {
        const size_t close = text_.substr(0, end).find(c, i + 1);
        if (close == std::string_view::npos)
          return wrong(token, std::string("the text that begins here has no closing ") + c);
        token.kind = Token::Kind::kText;
        token.text = text_.substr(i + 1, close - i - 1);
        i = close + 1;
      } else if (is_operator(c)) {
        token.kind = Token::Kind::kOperator;
        while (i < end && is_operator(text_[i]))
          token.text += text_[i++];
      } else {
        token.kind = Token::Kind::kWord;
        while (i < end && !std::isspace(static_cast<unsigned char>(text_[i])) &&
               !is_operator(text_[i]) &&
               std::string_view("(),\"'").find(text_[i]) == std::string_view::npos)
          token.text += text_[i++];
      }
      tokens_.push_back(std::move(token));
    }
    tokens_.push_back({Token::Kind::kEnd, "the end", end + 1});
    return {};
  }
  static bool is_operator(char c) {
    return c == '=' || c == '<' || c == '>' || c == '!' || c == '~';
  }

  const Token& at() const { return tokens_[next_]; }
  bool is_keyword(const char* word) const {
    return at().kind == Token::Kind::kWord && lower(at().text) == word;
  }
  bool take_keyword(const char* word) {
    if (!is_keyword(word))
      return false;
    ++next_;
    return true;
  }

  static QueryRef joined(QueryCondition::Form form, std::vector<QueryRef> parts) {
    if (parts.size() == 1 && form != QueryCondition::Form::kNot)
      return std::move(parts[0]);
    auto condition = std::make_shared<QueryCondition>();
    condition->form = form;
    condition->parts = std::move(parts);
    return condition;
  }

  Result<QueryRef> any() {
    std::vector<QueryRef> parts;
    do {
      TEMPER_TRY(part, all());
      parts.push_back(std::move(part));
    } while (take_keyword("or"));
    return joined(QueryCondition::Form::kAny, std::move(parts));
  }

  Result<QueryRef> all() {
    std::vector<QueryRef> parts;
    do {
      TEMPER_TRY(part, one());
      parts.push_back(std::move(part));
    } while (take_keyword("and"));
    return joined(QueryCondition::Form::kAll, std::move(parts));
  }

  Result<QueryRef> one() {
    if (++depth_ > kDeepest)
      return wrong(at(), "the query is nested too deeply");
    Result<QueryRef> result = one_nested();
    --depth_;
    return result;
  }

  Result<QueryRef> one_nested() {
    if (take_keyword("not")) {
      TEMPER_TRY(part, one());
      return joined(QueryCondition::Form::kNot, {std::move(part)});
    }
    if (at().kind == Token::Kind::kOpen) {
      const Token open = at();
      ++next_;
      TEMPER_TRY(part, any());
      if (at().kind != Token::Kind::kClose)
        return wrong(open, "this bracket is never closed");
      ++next_;
      return std::move(part);
    }
    return comparison();
  }

  Result<QueryRef> comparison() {
    const Token name = at();
    if (name.kind != Token::Kind::kWord)
      return wrong(name, "a field is expected, not " +
                             (name.kind == Token::Kind::kEnd ? name.text : "'" + name.text + "'"));
    ++next_;
    QueryCondition base;
    Type type = Type::kText;
    TEMPER_TRY_VOID(find_field(name, base, type));
    if (type == Type::kFlag) {
      if (at().kind == Token::Kind::kOperator)
        return wrong(at(), "'" + name.text + "' stands alone, as in: not " + name.text);
      return QueryRef(std::make_shared<QueryCondition>(std::move(base)));
    }
    bool negated = false;
    if (is_keyword("not")) {
      ++next_;
      negated = true;
      if (!is_keyword("in"))
        return wrong(at(), "'not' after a field goes on with in (...)");
    }
    if (type == Type::kProgram && is_keyword("in"))
      return only_searched(at(), name);
    if (take_keyword("in")) {
      if (at().kind != Token::Kind::kOpen)
        return wrong(at(), "'in' is followed by values in brackets: in (a, b)");
      ++next_;
      std::vector<QueryRef> parts;
      while (true) {
        TEMPER_TRY(part, compared(base, type, QueryOperator::kEqual));
        parts.push_back(std::move(part));
        if (at().kind == Token::Kind::kClose)
          break;
        if (at().kind != Token::Kind::kComma)
          return wrong(at(), "a comma or a closing bracket is expected");
        ++next_;
      }
      ++next_;
      QueryRef in = joined(QueryCondition::Form::kAny, std::move(parts));
      return negated ? joined(QueryCondition::Form::kNot, {std::move(in)}) : in;
    }
    const Token sign = at();
    if (sign.kind != Token::Kind::kOperator)
      return wrong(sign, "after '" + name.text + "' an operator is expected: = != < <= > >= ~ in");
    ++next_;
    static constexpr std::pair<const char*, QueryOperator> kOperators[] = {
        {"=", QueryOperator::kEqual},     {"==", QueryOperator::kEqual},
        {"!=", QueryOperator::kNotEqual}, {"<>", QueryOperator::kNotEqual},
        {"<", QueryOperator::kLess},      {"<=", QueryOperator::kLessEqual},
        {">", QueryOperator::kMore},      {">=", QueryOperator::kMoreEqual},
        {"~", QueryOperator::kLike},      {"!~", QueryOperator::kLike}};
    const auto* const found = std::ranges::find_if(
        kOperators, [&](const auto& known) { return sign.text == known.first; });
    if (found == std::end(kOperators))
      return wrong(sign, "'" + sign.text + "' is no operator; there are = != < <= > >= ~ !~ in");
    const QueryOperator op = found->second;
    const bool ordered =
        op != QueryOperator::kEqual && op != QueryOperator::kNotEqual && op != QueryOperator::kLike;
    const bool has_order = type == Type::kNumber || type == Type::kDuration ||
                           type == Type::kMoment || base.field == Field::kShape;
    if (ordered && !has_order)
      return wrong(sign, "'" + name.text + "' has no order; compare it with =, !=, ~ or in");
    if (type == Type::kMoment && !ordered && op != QueryOperator::kLike)
      return wrong(sign, "'" + name.text + "' is compared with < or >, as in measured > 3d ago");
    if (type == Type::kProgram && op != QueryOperator::kLike)
      return only_searched(sign, name);
    if (op == QueryOperator::kLike && type != Type::kText && type != Type::kProgram)
      return wrong(sign, "'" + name.text + "' is no text; compare it with =, != or in");
    TEMPER_TRY(part, compared(base, type, op));
    return sign.text == "!~" ? joined(QueryCondition::Form::kNot, {std::move(part)})
                             : std::move(part);
  }

  static Error only_searched(const Token& where, const Token& name) {
    return wrong(where, "'" + name.text + "' is searched with ~ or !~, as in " + name.text +
                            " ~ vectorize");
  }

  Result<void> find_field(const Token& name, QueryCondition& base, Type& type) {
    const auto* const found =
        std::ranges::find_if(kFields, [&](const auto& known) { return name.text == known.name; });
    if (found != std::end(kFields)) {
      base.field = found->field;
      type = found->type;
      return {};
    }
    constexpr std::string_view kShape = "shape.";
    if (name.text.starts_with(kShape) && name.text.size() > kShape.size()) {
      base.field = Field::kShape;
      base.parameter = name.text.substr(kShape.size());
      return {};
    }
    if (std::isupper(static_cast<unsigned char>(name.text[0]))) {
      base.field = Field::kShape;
      base.parameter = name.text;
      return {};
    }
    std::vector<std::string> names;
    for (const QueryFieldInfo& known : kFields)
      names.emplace_back(known.name);
    const std::string near = nearest_name(name.text, names);
    return wrong(name, "there is no field '" + name.text + "'" +
                           (near.empty() ? "; there are " + join(names, ", ") +
                                               ", and shape.NAME for a parameter"
                                         : "; did you mean '" + near + "'?"));
  }

  Result<QueryRef> compared(const QueryCondition& base, Type type, QueryOperator op) {
    const Token token = at();
    if (token.kind != Token::Kind::kWord && token.kind != Token::Kind::kText)
      return wrong(token,
                   "a value is expected, not " +
                       (token.kind == Token::Kind::kEnd ? token.text : "'" + token.text + "'"));
    ++next_;
    auto condition = std::make_shared<QueryCondition>(base);
    condition->op = op;
    condition->value.text = token.text;
    switch (type) {
    case Type::kNumber:
      TEMPER_TRY_VOID(read_number(token, *condition));
      break;
    case Type::kDuration:
      TEMPER_TRY_VOID(read_duration(token, *condition));
      break;
    case Type::kMoment:
      TEMPER_TRY_VOID(read_moment(token, *condition));
      break;
    case Type::kWord: {
      const std::vector<std::string> words = words_of(base.field);
      if (std::ranges::find(words, token.text) != words.end())
        break;
      const std::string near = nearest_name(token.text, words);
      return wrong(token, "'" + token.text + "' is not among " + join(words, ", ") +
                              (near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    case Type::kId: {
      const char letter = base.field == Field::kRun      ? 'r'
                          : base.field == Field::kRecord ? 'm'
                                                         : 'c';
      if (!looks_like_id(token.text) || token.text[0] != letter)
        return wrong(token, "'" + token.text + "' is no id of a " + name_of(base.field) +
                                "; those are " + letter + " and at least 5 hexadecimal digits");
      break;
    }
    case Type::kProgram:
      break;
    case Type::kText:
    case Type::kFlag: {
      std::string unit;
      double number = 0;
      if (split_number(token.text, number, unit) && unit.empty())
        condition->value.number = number;
      else if (op != QueryOperator::kEqual && op != QueryOperator::kNotEqual &&
               op != QueryOperator::kLike)
        return wrong(token, "'" + token.text + "' is no number");
      break;
    }
    }
    return QueryRef(std::move(condition));
  }

  static std::string name_of(Field field) {
    for (const QueryFieldInfo& known : kFields)
      if (known.field == field)
        return known.name;
    return "shape";
  }

  static Result<void> read_number(const Token& token, QueryCondition& condition) {
    std::string unit;
    if (!split_number(token.text, condition.value.number, unit) || !unit.empty())
      return wrong(token, "'" + token.text + "' is no number");
    return {};
  }

  /// The unit may be a word of its own: 2 ms.
  template <size_t count>
  Result<double> read_quantity(const Token& token, const Unit (&units)[count]) {
    double number = 0;
    std::string unit;
    std::string known;
    for (const Unit& each : units)
      known += (known.empty() ? "" : ", ") + std::string(each.name);
    if (!split_number(token.text, number, unit))
      return wrong(token, "'" + token.text + "' is no number with a unit (" + known + ")");
    if (unit.empty() && at().kind == Token::Kind::kWord &&
        std::ranges::any_of(units, [&](const Unit& each) { return at().text == each.name; })) {
      unit = at().text;
      ++next_;
    }
    for (const Unit& each : units)
      if (unit == each.name)
        return number * each.ns;
    return wrong(token, unit.empty() ? "'" + token.text + "' lacks its unit: " + known
                                     : "'" + unit + "' is no unit here; there are " + known);
  }

  Result<void> read_duration(const Token& token, QueryCondition& condition) {
    TEMPER_TRY(ns, read_quantity(token, kDurations));
    condition.value.number = ns;
    return {};
  }

  Result<void> read_moment(const Token& token, QueryCondition& condition) {
    std::tm date{};
    int read = 0;
    const char* text = token.text.c_str();
    const bool with_time = std::sscanf(text, "%4d-%2d-%2dT%2d:%2d%n", &date.tm_year, &date.tm_mon,
                                       &date.tm_mday, &date.tm_hour, &date.tm_min, &read) == 5;
    if (!with_time) {
      date = {};
      read = 0;
      if (std::sscanf(text, "%4d-%2d-%2d%n", &date.tm_year, &date.tm_mon, &date.tm_mday, &read) !=
          3)
        read = 0;
    }
    if (read > 0 && static_cast<size_t>(read) == token.text.size()) {
      const int day = date.tm_mday;
      const int month = date.tm_mon;
      date.tm_year -= 1900;
      date.tm_mon -= 1;
      date.tm_isdst = -1;
      const std::time_t seconds = std::mktime(&date);
      // mktime makes 1 March of 29 February.
      if (seconds == -1 || date.tm_mday != day || date.tm_mon + 1 != month)
        return wrong(token, "there is no day " + token.text);
      condition.value.moment = static_cast<int64_t>(seconds) * 1'000'000'000;
      return {};
    }
    TEMPER_TRY(ns, read_quantity(token, kAges));
    if (!take_keyword("ago"))
      return wrong(at(), "'ago' is expected, as in measured > 3d ago");
    // What lies before 1970 is as good as the beginning.
    condition.value.moment =
        ns < static_cast<double>(now_ns_) ? now_ns_ - static_cast<int64_t>(ns) : 0;
    return {};
  }

  std::string_view text_;
  int64_t now_ns_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
};

bool matches_glob(std::string_view text, std::string_view pattern) {
  // The last star takes more whenever what follows does not fit.
  size_t t = 0;
  size_t p = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

} // namespace

std::span<const QueryFieldInfo> query_fields() { return kFields; }

Result<QueryRef> parse_query(std::string_view text, int64_t now_ns) {
  return Parser(text, now_ns).run();
}

bool mentions(const QueryCondition& query, QueryField field) {
  if (query.form == QueryCondition::Form::kCompare)
    return query.field == field;
  return std::ranges::any_of(query.parts,
                             [&](const QueryRef& part) { return mentions(*part, field); });
}

std::vector<const QueryCondition*> conditions_on(const QueryCondition& query, QueryField field) {
  if (query.form == QueryCondition::Form::kCompare)
    return query.field == field ? std::vector{&query} : std::vector<const QueryCondition*>();
  std::vector<const QueryCondition*> all;
  for (const QueryRef& part : query.parts)
    for (const QueryCondition* one : conditions_on(*part, field))
      all.push_back(one);
  return all;
}

std::string searchable_trace(std::string_view text) {
  std::string result = lower(text);
  std::erase(result, '_');
  return result;
}

bool matches_pattern(std::string_view text, std::string_view pattern) {
  const std::string all = lower(text);
  const std::string wanted = lower(pattern);
  if (wanted.find_first_of("*?") == std::string::npos)
    return all.find(wanted) != std::string::npos;
  return matches_glob(all, wanted);
}

} // namespace temper::database
