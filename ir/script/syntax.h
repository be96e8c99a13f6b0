/// The syntax tree of a script: the subset of Python that kernels and workload files need. It says
/// nothing about meaning; evaluator.h gives compile-time Python its meaning, function_builder.h the
/// T language.
#pragma once

#include "ir/script/diagnostic.h"
#include "ir/script/lexer.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::script {

/// Compile-time integers: Python's have no bounds, these have 127 bits; leaving them is reported.
using Int = __int128;

enum class Operator : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kShiftLeft,
  kShiftRight,
  kBitAnd,
  kBitOr,
  kBitXor,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
  kIs,
  kIsNot,
  kNegative,
  kPositive,
  kNot,
  kInvert,
};

inline bool is_comparison(Operator op) {
  return op >= Operator::kEqual && op <= Operator::kGreaterEqual;
}

/// As written: "+", "//", "not in".
const char* spelling(Operator op);

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Type : uint8_t {
    kBad,     ///< did not parse; reported
    kName,    ///< text
    kInt,     ///< integer
    kFloat,   ///< real
    kString,  ///< text
    kFString, ///< items: kString and expressions, `names` their format specifications
    kNone,
    kTrue,
    kFalse,
    kEllipsis,
    kTuple,
    kList,      ///< items
    kDict,      ///< items: key, value, key, value, ...
    kListComp,  ///< items: element, target, iterable, conditions...
    kAttribute, ///< items[0], text
    kCall,      ///< items: callee, arguments; the last names.size() of them are keywords
    kSubscript, ///< items: base, index (a kTuple when there are several)
    kSlice,     ///< items: begin, end, step (each may be null)
    kUnary,     ///< ops[0], items[0]
    kBinary,    ///< ops[0], items
    kCompare,   ///< items[0] ops[0] items[1] ops[1] items[2] ...
    kAnd,
    kOr,      ///< items
    kIfElse,  ///< items: condition, value, other value
    kLambda,  ///< names are the parameters, items[0] the body
    kStarred, ///< items[0]
  };

  Type type = Type::kBad;
  Position position;
  uint16_t depth = 1; ///< of the tree below
  std::string text;
  Int integer = 0;
  double real = 0;
  std::vector<ExpressionPtr> items;
  std::vector<std::string> names;
  std::vector<Operator> ops;
};

struct Statement;
using StatementPtr = std::unique_ptr<Statement>;
using Body = std::vector<StatementPtr>;

struct Parameter {
  std::string name;
  Position position;
  ExpressionPtr annotation;    ///< may be null
  ExpressionPtr default_value; ///< may be null
};

struct Statement {
  enum class Type : uint8_t {
    kExpression, ///< value
    kAssign,     ///< targets = value (a = b = value has two targets)
    kAugmented,  ///< targets[0] op= value
    kAnnotated,  ///< targets[0]: annotation [= value]
    kIf,         ///< value, body, other (elif is an if in `other`)
    kFor,        ///< targets[0], value, body
    kWhile,      ///< value, body
    kWith,       ///< value, [targets[0]], body
    kDef,        ///< name, parameters, decorators, body
    kClass,      ///< name, decorators, body
    kReturn,     ///< value or null
    kAssert,     ///< value, annotation = the message or null
    kImport,     ///< name = module, imports
    kBreak,
    kContinue,
    kPass,
  };

  Type type = Type::kPass;
  Position position;
  std::string name;
  Operator op = Operator::kAdd;
  std::vector<ExpressionPtr> targets;
  ExpressionPtr value;
  ExpressionPtr annotation;
  std::vector<Parameter> parameters;
  std::vector<ExpressionPtr> decorators;
  /// (what, as): `import a as b` has name = "" and imports {("a", "b")}.
  std::vector<std::pair<std::string, std::string>> imports;
  Body body;
  Body other;
};

/// Parses a whole text. Errors are reported; what could be read is returned.
Body parse_syntax(std::string_view text, Diagnostics& diagnostics);

} // namespace temper::script
