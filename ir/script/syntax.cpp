#include "ir/script/syntax.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace temper::script {

const char* spelling(Operator op) {
  static constexpr const char* kNames[] = {
      "+",  "-", "*",  "/", "//", "%",  "**",     "<<", ">>",     "&", "|", "^",   "==",
      "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not", "-", "+", "not", "~"};
  return kNames[static_cast<int>(op)];
}

namespace {

using E = Expression::Type;
using S = Statement::Type;

/// Nested deeper than this, expressions and blocks are refused: everything that walks them
/// recurses.
constexpr int kExpressionDepth = 400;
constexpr int kBlockDepth = 90;

bool is_keyword(std::string_view word) {
  static constexpr std::string_view kWords[] = {
      "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
      "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
      "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
      "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

class SyntaxParser {
public:
  SyntaxParser(std::string_view text, Diagnostics& diagnostics, Position start, int depth)
      : diagnostics_(diagnostics), list_(tokenize(text, diagnostics, start)), depth_(depth) {}

  Body file() {
    Body body;
    while (!at_end()) {
      if (here().type == TokenType::kNewline) {
        ++at_;
      } else if (here().type == TokenType::kIndent) {
        error(here().position, "this line is indented deeper than the one above; align them");
        ++at_;
      } else if (here().type == TokenType::kDedent) {
        ++at_;
      } else {
        statement(body);
      }
    }
    return body;
  }

  /// One expression and nothing after it (in an f-string).
  ExpressionPtr single() {
    ExpressionPtr result = expression_list();
    if (!failed_ && !at_end())
      fail(here().position, "an f-string's braces hold one expression");
    return result;
  }

private:
  const Token& here() const { return list_.tokens[at_]; }
  const Token& ahead(size_t n) const {
    return list_.tokens[std::min(at_ + n, list_.tokens.size() - 1)];
  }
  bool at_end() const { return here().type == TokenType::kEnd; }
  bool is(std::string_view text) const {
    return (here().type == TokenType::kOperator || here().type == TokenType::kName) &&
           here().text == text;
  }
  bool take(std::string_view text) {
    if (!is(text))
      return false;
    ++at_;
    return true;
  }

  void error(Position position, std::string message) {
    diagnostics_.report(position, std::move(message));
  }
  /// Reports once per statement: the rest of it is skipped.
  void fail(Position position, std::string message) {
    // What an open bracket or string caused is not said a second time.
    if (!failed_ && next_open_ < list_.unclosed.size() &&
        list_.unclosed[next_open_].line <= position.line)
      ++next_open_;
    else if (!failed_)
      error(position, std::move(message));
    failed_ = true;
  }
  std::string describe_here() const {
    switch (here().type) {
    case TokenType::kEnd:
      return "the end of the text";
    case TokenType::kNewline:
      return "the end of the line";
    case TokenType::kIndent:
      return "an indented block";
    case TokenType::kDedent:
      return "the end of the block";
    case TokenType::kString:
    case TokenType::kFString:
      return "a string";
    default:
      return "'" + std::string(here().text) + "'";
    }
  }
  void expect(std::string_view text, const char* where) {
    if (!failed_ && !take(text))
      fail(here().position,
           "expected '" + std::string(text) + "' " + where + ", found " + describe_here());
  }

  ExpressionPtr make(E type, Position position) {
    auto node = std::make_unique<Expression>();
    node->type = type;
    node->position = position;
    return node;
  }
  /// Takes the children in, and refuses what is nested too deeply to be walked.
  template <typename... Ptrs> ExpressionPtr make(E type, Position position, Ptrs... children) {
    auto node = make(type, position);
    (push(*node, std::move(children)), ...);
    return node;
  }
  void push(Expression& node, ExpressionPtr child) {
    if (child) {
      node.depth = std::max<uint16_t>(node.depth, child->depth + 1);
      if (node.depth > kExpressionDepth) {
        fail(node.position, "this expression is nested too deeply; name its parts first");
        child = make(E::kBad, node.position);
      }
    }
    node.items.push_back(std::move(child));
  }
  ExpressionPtr bad() { return make(E::kBad, here().position); }
  static Position span(Position begin, Position end) {
    if (begin.line == end.line && end.column + end.length > begin.column)
      begin.length = end.column + end.length - begin.column;
    return begin;
  }
  Position last() const { return list_.tokens[at_ > 0 ? at_ - 1 : 0].position; }
  /// Widens an expression's place to the token just read.
  void finish(Expression& node) { node.position = span(node.position, last()); }

  // Statements.

  void statement(Body& body) {
    failed_ = false;
    if (here().type == TokenType::kName && compound(body))
      return;
    if (is("@")) {
      decorated(body);
      return;
    }
    simple_line(body);
  }

  /// Skips the rest of a broken line, and the block below it.
  void recover() {
    while (!at_end() && here().type != TokenType::kNewline && here().type != TokenType::kIndent &&
           here().type != TokenType::kDedent)
      ++at_;
    if (here().type == TokenType::kNewline)
      ++at_;
    if (here().type == TokenType::kIndent) {
      int depth = 0;
      do {
        if (here().type == TokenType::kIndent)
          ++depth;
        if (here().type == TokenType::kDedent)
          --depth;
        ++at_;
      } while (depth > 0 && !at_end());
    }
    failed_ = false;
  }

  void simple_line(Body& body) {
    while (true) {
      StatementPtr one = simple();
      if (failed_) {
        recover();
        return;
      }
      body.push_back(std::move(one));
      if (take(";")) {
        if (here().type == TokenType::kNewline)
          break;
        continue;
      }
      break;
    }
    if (here().type != TokenType::kNewline && !at_end()) {
      std::string message = "expected the end of the line, found " + describe_here();
      if (is("="))
        message += "; only names, tuples of names and buffer elements can be assigned";
      else if (is(":"))
        message += "; only for, if, while, with, def and class open a block";
      fail(here().position, message);
      recover();
      return;
    }
    if (!at_end())
      ++at_;
    if (here().type == TokenType::kIndent) {
      error(here().position, "this line is indented deeper than the one above; align them");
      recover();
    }
  }

  StatementPtr make_statement(S type) {
    auto node = std::make_unique<Statement>();
    node->type = type;
    node->position = here().position;
    return node;
  }

  StatementPtr simple() {
    if (here().type == TokenType::kName) {
      const std::string_view word = here().text;
      if (word == "pass" || word == "break" || word == "continue") {
        auto node = make_statement(word == "pass"    ? S::kPass
                                   : word == "break" ? S::kBreak
                                                     : S::kContinue);
        ++at_;
        return node;
      }
      if (word == "return") {
        auto node = make_statement(S::kReturn);
        ++at_;
        if (here().type != TokenType::kNewline && !at_end() && !is(";"))
          node->value = expression_list();
        return node;
      }
      if (word == "assert") {
        auto node = make_statement(S::kAssert);
        ++at_;
        node->value = expression();
        if (take(","))
          node->annotation = expression();
        return node;
      }
      if (word == "import" || word == "from")
        return import();
      for (std::string_view refused : {"global", "nonlocal", "del", "raise", "yield", "await",
                                       "try", "async", "except", "finally"})
        if (word == refused) {
          fail(here().position, "'" + std::string(word) +
                                    "' is not part of the language; scripts use if, for, while, "
                                    "with, def, return and assert");
          return nullptr;
        }
      for (std::string_view stray : {"elif", "else"})
        if (word == stray) {
          fail(here().position,
               "'" + std::string(word) + "' belongs to an if above it, at the same indentation");
          return nullptr;
        }
    }
    auto node = make_statement(S::kExpression);
    ExpressionPtr first = expression_list();
    if (failed_)
      return nullptr;
    if (is("=")) {
      node->type = S::kAssign;
      node->targets.push_back(std::move(first));
      while (take("=")) {
        ExpressionPtr value = expression_list();
        if (is("="))
          node->targets.push_back(std::move(value));
        else
          node->value = std::move(value);
        if (failed_)
          return nullptr;
      }
      for (const ExpressionPtr& target : node->targets)
        check_target(*target);
    } else if (take(":")) {
      node->type = S::kAnnotated;
      if (first->type != E::kName)
        fail(first->position, "only a name can have a type: x: T.int32 = 0");
      node->targets.push_back(std::move(first));
      node->annotation = expression();
      if (take("="))
        node->value = expression_list();
    } else {
      static constexpr std::pair<std::string_view, Operator> kAugmented[] = {
          {"+=", Operator::kAdd},    {"-=", Operator::kSub},        {"*=", Operator::kMul},
          {"/=", Operator::kDiv},    {"//=", Operator::kFloorDiv},  {"%=", Operator::kMod},
          {"**=", Operator::kPow},   {"<<=", Operator::kShiftLeft}, {">>=", Operator::kShiftRight},
          {"&=", Operator::kBitAnd}, {"|=", Operator::kBitOr},      {"^=", Operator::kBitXor}};
      for (const auto& [text, op] : kAugmented)
        if (take(text)) {
          node->type = S::kAugmented;
          node->op = op;
          if (first->type != E::kName && first->type != E::kSubscript)
            fail(first->position,
                 "only a name or a buffer element can stand before " + std::string(text));
          node->targets.push_back(std::move(first));
          node->value = expression_list();
          return node;
        }
      node->value = std::move(first);
    }
    return node;
  }

  void check_target(const Expression& target) {
    if (target.type == E::kTuple || target.type == E::kList) {
      for (const ExpressionPtr& item : target.items)
        check_target(*item);
    } else if (target.type == E::kStarred) {
      check_target(*target.items[0]);
    } else if (target.type != E::kName && target.type != E::kSubscript) {
      fail(target.position, "this cannot be assigned; write a name or a buffer element, as "
                            "C[i, j] = ...");
    }
  }

  StatementPtr import() {
    auto node = make_statement(S::kImport);
    const bool from = here().text == "from";
    ++at_;
    const auto dotted = [&] {
      std::string name;
      while (true) {
        if (here().type != TokenType::kName) {
          fail(here().position, "an import names a module, as: from tvm.script import tirx as T");
          return name;
        }
        name += here().text;
        ++at_;
        if (!take("."))
          return name;
        name += '.';
      }
    };
    if (from) {
      node->name = dotted();
      expect("import", "in a from line");
    }
    const bool parenthesis = take("(");
    do {
      if (parenthesis && is(")"))
        break;
      if (from && is("*")) {
        fail(here().position, "name what is imported instead of *");
        return node;
      }
      std::string what = dotted();
      std::string as = what.substr(0, what.find('.'));
      if (take("as")) {
        as = here().text;
        if (here().type != TokenType::kName)
          fail(here().position, "a name follows 'as'");
        else
          ++at_;
      }
      node->imports.emplace_back(std::move(what), std::move(as));
    } while (!failed_ && take(","));
    if (parenthesis)
      expect(")", "after the imported names");
    return node;
  }

  bool compound(Body& body) {
    const std::string_view word = here().text;
    StatementPtr node;
    if (word == "if" && block_depth_ == 0 && ahead(1).text == "__name__" && ahead(2).text == "==" &&
        ahead(3).text == "__main__") {
      recover(); // what a script does when it is started says nothing about its programs
    } else if (word == "if") {
      node = if_statement();
    } else if (word == "for") {
      node = make_statement(S::kFor);
      ++at_;
      node->targets.push_back(target_list());
      expect("in", "in a for loop");
      if (!failed_)
        node->value = expression_list();
      if (!block(node->body, "for") || !node->value)
        node->value = bad();
      refuse_else("for");
    } else if (word == "while") {
      node = make_statement(S::kWhile);
      ++at_;
      node->value = expression();
      if (!block(node->body, "while"))
        node->value = bad();
      refuse_else("while");
    } else if (word == "with") {
      node = make_statement(S::kWith);
      ++at_;
      node->value = expression();
      if (take("as"))
        node->targets.push_back(target_list());
      if (!block(node->body, "with"))
        node->value = bad();
    } else if (word == "def") {
      node = def({});
    } else if (word == "class") {
      node = class_statement({});
    } else {
      return false;
    }
    if (node)
      body.push_back(std::move(node));
    return true;
  }

  void refuse_else(const char* loop) {
    if (is("else") && ahead(1).text == ":") {
      fail(here().position, std::string("a ") + loop + " loop has no else here; use a flag");
      recover();
    }
  }

  StatementPtr if_statement() {
    auto node = make_statement(S::kIf);
    if (++if_depth_ > 200) {
      fail(here().position, "this chain of elif is too long");
      recover();
      node->value = bad();
      --if_depth_;
      return node;
    }
    ++at_;
    node->value = expression();
    if (!block(node->body, "if"))
      node->value = bad();
    if (is("elif")) {
      node->other.push_back(if_statement());
    } else if (is("else")) {
      ++at_;
      block(node->other, "else");
    }
    --if_depth_;
    return node;
  }

  ExpressionPtr target_list() {
    ExpressionPtr first = target();
    if (!is(","))
      return first;
    ExpressionPtr tuple = make(E::kTuple, first->position);
    push(*tuple, std::move(first));
    while (!failed_ && take(",")) {
      if (is("in") || is("=") || is(":"))
        break;
      push(*tuple, target());
    }
    finish(*tuple);
    return tuple;
  }
  ExpressionPtr target() {
    if (take("(")) {
      ExpressionPtr inner = target_list();
      expect(")", "after the names");
      return inner;
    }
    if (here().type != TokenType::kName || is_keyword(here().text)) {
      fail(here().position, "expected a name, found " + describe_here());
      return bad();
    }
    ExpressionPtr node = make(E::kName, here().position);
    node->text = here().text;
    ++at_;
    return node;
  }

  void decorated(Body& body) {
    std::vector<ExpressionPtr> decorators;
    while (take("@")) {
      decorators.push_back(expression());
      if (failed_) {
        recover();
        failed_ = false;
      }
      while (here().type == TokenType::kNewline)
        ++at_;
    }
    if (is("def")) {
      if (StatementPtr node = def(std::move(decorators)))
        body.push_back(std::move(node));
    } else if (is("class")) {
      if (StatementPtr node = class_statement(std::move(decorators)))
        body.push_back(std::move(node));
    } else {
      fail(here().position, "a decorator stands above def or class");
      recover();
    }
  }

  StatementPtr def(std::vector<ExpressionPtr> decorators) {
    auto node = make_statement(S::kDef);
    node->decorators = std::move(decorators);
    ++at_;
    if (here().type != TokenType::kName) {
      fail(here().position, "a function has a name: def main(...)");
      recover();
      return nullptr;
    }
    node->name = here().text;
    node->position = span(node->position, here().position);
    ++at_;
    expect("(", "after a function's name");
    while (!failed_ && !is(")")) {
      if (is("*") || is("**")) {
        fail(here().position, "functions take named parameters only, no * or **");
        break;
      }
      if (here().type != TokenType::kName) {
        fail(here().position, "expected a parameter's name, found " + describe_here());
        break;
      }
      Parameter parameter;
      parameter.name = here().text;
      parameter.position = here().position;
      ++at_;
      if (take(":"))
        parameter.annotation = expression();
      if (take("="))
        parameter.default_value = expression();
      node->parameters.push_back(std::move(parameter));
      if (!take(","))
        break;
    }
    expect(")", "after the parameters");
    if (!failed_ && take("->"))
      expression();
    const bool head_failed = failed_;
    block(node->body, "def");
    return head_failed ? nullptr : std::move(node);
  }

  StatementPtr class_statement(std::vector<ExpressionPtr> decorators) {
    auto node = make_statement(S::kClass);
    node->decorators = std::move(decorators);
    ++at_;
    if (here().type == TokenType::kName) {
      node->name = here().text;
      ++at_;
    } else {
      fail(here().position, "a class has a name: class Module:");
    }
    if (!failed_ && take("("))
      expect(")", "after a class's name (modules inherit nothing)");
    block(node->body, "class");
    return node;
  }

  /// ":" and an indented block, or statements on the same line. False when the head was broken.
  bool block(Body& body, const char* what) {
    if (!failed_ && !is(":")) {
      std::string message = "expected ':' after " + std::string(what);
      if (is("="))
        message += "; comparison is ==";
      else
        message += ", found " + describe_here();
      fail(here().position, message);
    }
    if (failed_) {
      // The head is broken, its block may not be: read it for more errors, then drop it.
      while (!at_end() && here().type != TokenType::kNewline)
        ++at_;
      if (ahead(1).type == TokenType::kIndent && block_depth_ < kBlockDepth) {
        at_ += 2;
        Body dropped;
        indented(dropped);
      } else {
        recover();
      }
      failed_ = false;
      return false;
    }
    ++at_;
    if (here().type != TokenType::kNewline) {
      simple_line(body);
      return true;
    }
    const Position where = here().position;
    ++at_;
    if (here().type != TokenType::kIndent) {
      error(where, std::string("the block of this ") + what +
                       " is missing; indent the lines below it, or write pass");
      return true;
    }
    if (block_depth_ >= kBlockDepth) {
      error(here().position,
            "blocks are nested too deeply (more than " + std::to_string(kBlockDepth) + ")");
      while (!at_end() && here().type != TokenType::kIndent)
        ++at_;
      recover();
      return true;
    }
    ++at_;
    indented(body);
    return true;
  }

  void indented(Body& body) {
    ++block_depth_;
    while (!at_end() && here().type != TokenType::kDedent) {
      if (here().type == TokenType::kNewline) {
        ++at_;
      } else if (here().type == TokenType::kIndent) {
        error(here().position, "this line is indented deeper than the one above; align them");
        ++at_;
        indented(body);
      } else {
        const size_t before = at_;
        statement(body);
        if (at_ == before)
          ++at_;
      }
    }
    if (here().type == TokenType::kDedent)
      ++at_;
    --block_depth_;
  }

  // Expressions, by precedence.

  struct DepthGuard {
    explicit DepthGuard(SyntaxParser& parser) : parser_(parser) { ++parser_.depth_; }
    ~DepthGuard() { --parser_.depth_; }
    SyntaxParser& parser_;
  };
  bool too_deep() {
    if (depth_ <= kExpressionDepth / 4)
      return false;
    fail(here().position, "this expression is nested too deeply; name its parts first");
    return true;
  }

  /// a, b, c makes a tuple.
  ExpressionPtr expression_list() {
    ExpressionPtr first = starred();
    if (!is(",") || failed_)
      return first;
    ExpressionPtr tuple = make(E::kTuple, first->position);
    push(*tuple, std::move(first));
    while (!failed_ && take(",")) {
      if (here().type == TokenType::kNewline || at_end() || is("=") || is(")") || is("]") ||
          is(":") || is(";"))
        break;
      push(*tuple, starred());
    }
    finish(*tuple);
    return tuple;
  }

  ExpressionPtr starred() {
    if (is("*")) {
      const Position position = here().position;
      ++at_;
      return make(E::kStarred, position, expression());
    }
    return expression();
  }

  ExpressionPtr expression() {
    DepthGuard guard(*this);
    if (failed_ || too_deep())
      return bad();
    if (is("lambda"))
      return lambda();
    ExpressionPtr value = or_test();
    if (!failed_ && is("if")) {
      ++at_;
      ExpressionPtr condition = or_test();
      expect("else", "in a conditional expression (a if condition else b)");
      ExpressionPtr other = expression();
      const Position position = value->position;
      value = make(E::kIfElse, position, std::move(condition), std::move(value), std::move(other));
      finish(*value);
    }
    if (!failed_ && is(":="))
      fail(here().position, "':=' is not part of the language; assign on a line of its own");
    return value;
  }

  ExpressionPtr lambda() {
    ExpressionPtr node = make(E::kLambda, here().position);
    ++at_;
    while (!failed_ && !is(":")) {
      if (here().type != TokenType::kName) {
        fail(here().position, "a lambda takes names: lambda i, j: (j, i)");
        return node;
      }
      node->names.emplace_back(here().text);
      ++at_;
      if (!take(","))
        break;
    }
    expect(":", "after the parameters of a lambda");
    push(*node, expression());
    finish(*node);
    return node;
  }

  ExpressionPtr or_test() { return logic(E::kOr, "or"); }
  ExpressionPtr logic(E type, std::string_view word) {
    const auto operand = [&] { return type == E::kOr ? logic(E::kAnd, "and") : not_test(); };
    ExpressionPtr first = operand();
    if (failed_ || !is(word))
      return first;
    ExpressionPtr node = make(type, first->position);
    push(*node, std::move(first));
    while (!failed_ && take(word))
      push(*node, operand());
    finish(*node);
    return node;
  }

  ExpressionPtr not_test() {
    if (!is("not"))
      return comparison();
    DepthGuard guard(*this);
    if (too_deep())
      return bad();
    const Position position = here().position;
    ++at_;
    ExpressionPtr node = make(E::kUnary, position, not_test());
    node->ops.push_back(Operator::kNot);
    finish(*node);
    return node;
  }

  ExpressionPtr comparison() {
    ExpressionPtr first = binary(0);
    ExpressionPtr node;
    while (!failed_) {
      Operator op;
      if (is("=="))
        op = Operator::kEqual;
      else if (is("!="))
        op = Operator::kNotEqual;
      else if (is("<"))
        op = Operator::kLess;
      else if (is("<="))
        op = Operator::kLessEqual;
      else if (is(">"))
        op = Operator::kGreater;
      else if (is(">="))
        op = Operator::kGreaterEqual;
      else if (is("in"))
        op = Operator::kIn;
      else if (is("is"))
        op = ahead(1).text == "not" ? Operator::kIsNot : Operator::kIs;
      else if (is("not") && ahead(1).text == "in")
        op = Operator::kNotIn;
      else
        break;
      at_ += op == Operator::kIsNot || op == Operator::kNotIn ? 2 : 1;
      if (!node) {
        node = make(E::kCompare, first->position);
        push(*node, std::move(first));
      }
      node->ops.push_back(op);
      push(*node, binary(0));
    }
    if (!node)
      return first;
    finish(*node);
    return node;
  }

  ExpressionPtr binary(int level) {
    struct Entry {
      std::string_view text;
      Operator op;
    };
    static const std::vector<Entry> kLevels[] = {
        {{"|", Operator::kBitOr}},
        {{"^", Operator::kBitXor}},
        {{"&", Operator::kBitAnd}},
        {{"<<", Operator::kShiftLeft}, {">>", Operator::kShiftRight}},
        {{"+", Operator::kAdd}, {"-", Operator::kSub}},
        {{"*", Operator::kMul},
         {"/", Operator::kDiv},
         {"//", Operator::kFloorDiv},
         {"%", Operator::kMod}},
    };
    if (level == 6)
      return unary();
    ExpressionPtr left = binary(level + 1);
    while (!failed_ && here().type == TokenType::kOperator) {
      const Entry* found = nullptr;
      for (const Entry& entry : kLevels[level])
        if (here().text == entry.text)
          found = &entry;
      if (found == nullptr)
        break;
      ++at_;
      const Position position = left->position;
      ExpressionPtr right = binary(level + 1);
      left = make(E::kBinary, position, std::move(left), std::move(right));
      left->ops.push_back(found->op);
      finish(*left);
    }
    return left;
  }

  ExpressionPtr unary() {
    Operator op;
    if (is("-"))
      op = Operator::kNegative;
    else if (is("+"))
      op = Operator::kPositive;
    else if (is("~"))
      op = Operator::kInvert;
    else
      return power();
    DepthGuard guard(*this);
    if (too_deep())
      return bad();
    const Position position = here().position;
    ++at_;
    ExpressionPtr node = make(E::kUnary, position, unary());
    node->ops.push_back(op);
    finish(*node);
    return node;
  }

  ExpressionPtr power() {
    ExpressionPtr base = postfix();
    if (failed_ || !is("**"))
      return base;
    DepthGuard guard(*this);
    if (too_deep())
      return bad();
    ++at_;
    const Position position = base->position;
    ExpressionPtr exponent = unary();
    ExpressionPtr node = make(E::kBinary, position, std::move(base), std::move(exponent));
    node->ops.push_back(Operator::kPow);
    finish(*node);
    return node;
  }

  ExpressionPtr postfix() {
    ExpressionPtr node = atom();
    while (!failed_) {
      const Position position = node->position;
      if (take(".")) {
        if (here().type != TokenType::kName) {
          fail(here().position, "a name follows '.'");
          return node;
        }
        node = make(E::kAttribute, position, std::move(node));
        node->text = here().text;
        ++at_;
      } else if (is("(")) {
        node = call(std::move(node));
      } else if (is("[")) {
        ++at_;
        ExpressionPtr index = subscript();
        expect("]", "after an index");
        node = make(E::kSubscript, position, std::move(node), std::move(index));
      } else {
        break;
      }
      finish(*node);
    }
    return node;
  }

  ExpressionPtr call(ExpressionPtr callee) {
    const Position position = callee->position;
    ExpressionPtr node = make(E::kCall, position, std::move(callee));
    ++at_;
    while (!failed_ && !is(")")) {
      if (here().type == TokenType::kName && ahead(1).type == TokenType::kOperator &&
          ahead(1).text == "=" && !is_keyword(here().text)) {
        node->names.emplace_back(here().text);
        at_ += 2;
        push(*node, expression());
      } else {
        if (!node->names.empty()) {
          fail(here().position, "arguments by position stand before those by keyword");
          break;
        }
        if (is("**")) {
          fail(here().position, "'**' arguments are not part of the language; name them");
          break;
        }
        ExpressionPtr argument = starred();
        if (is("for"))
          argument = comprehension(std::move(argument));
        push(*node, std::move(argument));
      }
      if (!take(","))
        break;
    }
    expect(")", "after the arguments");
    return node;
  }

  ExpressionPtr subscript() {
    const auto one = [&]() -> ExpressionPtr {
      const Position position = here().position;
      ExpressionPtr begin;
      if (!is(":"))
        begin = starred();
      if (!is(":"))
        return begin;
      ++at_;
      ExpressionPtr end;
      ExpressionPtr step;
      if (!is("]") && !is(",") && !is(":"))
        end = expression();
      if (take(":") && !is("]") && !is(","))
        step = expression();
      ExpressionPtr slice =
          make(E::kSlice, position, std::move(begin), std::move(end), std::move(step));
      finish(*slice);
      return slice;
    };
    if (is("]")) {
      fail(here().position, "an index is missing; a buffer without dimensions is read as s[()]");
      return bad();
    }
    ExpressionPtr first = one();
    if (failed_ || !is(","))
      return first;
    ExpressionPtr tuple = make(E::kTuple, first->position);
    push(*tuple, std::move(first));
    while (!failed_ && take(",")) {
      if (is("]"))
        break;
      push(*tuple, one());
    }
    finish(*tuple);
    return tuple;
  }

  ExpressionPtr comprehension(ExpressionPtr element) {
    const Position position = element->position;
    ExpressionPtr node = make(E::kListComp, position, std::move(element));
    ++at_;
    push(*node, target_list());
    expect("in", "in a comprehension");
    push(*node, or_test());
    while (!failed_ && take("if"))
      push(*node, or_test());
    if (!failed_ && is("for"))
      fail(here().position, "a comprehension has one 'for' here; nest two comprehensions");
    return node;
  }

  ExpressionPtr atom() {
    if (failed_)
      return bad();
    const Token& token = here();
    const Position position = token.position;
    switch (token.type) {
    case TokenType::kName: {
      const std::string_view word = token.text;
      if (word == "None" || word == "True" || word == "False") {
        ++at_;
        return make(word == "None" ? E::kNone : word == "True" ? E::kTrue : E::kFalse, position);
      }
      if (is_keyword(word)) {
        fail(position, "expected an expression, found '" + std::string(word) + "'");
        return bad();
      }
      ExpressionPtr node = make(E::kName, position);
      node->text = word;
      ++at_;
      return node;
    }
    case TokenType::kInt:
      return integer();
    case TokenType::kFloat: {
      ExpressionPtr node = make(E::kFloat, position);
      std::string digits;
      for (char c : token.text)
        if (c != '_')
          digits += c;
      node->real = std::strtod(digits.c_str(), nullptr);
      ++at_;
      return node;
    }
    case TokenType::kString:
    case TokenType::kFString:
      return strings();
    case TokenType::kOperator:
      if (token.text == "(")
        return parenthesis();
      if (token.text == "[")
        return list();
      if (token.text == "{")
        return dict();
      if (token.text == "...") {
        ++at_;
        return make(E::kEllipsis, position);
      }
      break;
    default:
      break;
    }
    std::string message = "expected an expression, found " + describe_here();
    if (is("="))
      message += "; comparison is ==";
    fail(position, message);
    return bad();
  }

  ExpressionPtr integer() {
    const Token& token = here();
    ExpressionPtr node = make(E::kInt, token.position);
    std::string_view text = token.text;
    int base = 10;
    if (text.size() > 2 && text[0] == '0' && !std::isdigit(static_cast<unsigned char>(text[1])) &&
        text[1] != '_') {
      const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(text[1])));
      base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
      text.remove_prefix(2);
    } else if (text.size() > 1 && text[0] == '0' &&
               text.find_first_not_of("0_") != std::string_view::npos) {
      fail(token.position, "a number does not begin with 0; octal is 0o17, hexadecimal 0x1f");
      return node;
    }
    Int value = 0;
    for (char c : text) {
      if (c == '_')
        continue;
      const int digit = std::isdigit(static_cast<unsigned char>(c))
                            ? c - '0'
                            : std::tolower(static_cast<unsigned char>(c)) - 'a' + 10;
      if (digit < 0 || digit >= base) {
        fail(token.position, "'" + std::string(token.text) + "' is not a number");
        return node;
      }
      if (value > (static_cast<Int>(1) << 100)) {
        fail(token.position, "this number is too large; integers have at most 64 bits");
        return node;
      }
      value = value * base + digit;
    }
    node->integer = value;
    ++at_;
    return node;
  }

  ExpressionPtr strings() {
    ExpressionPtr whole;
    while (here().type == TokenType::kString || here().type == TokenType::kFString) {
      ExpressionPtr part;
      if (here().type == TokenType::kString) {
        part = make(E::kString, here().position);
        part->text = here().text;
      } else {
        part = f_string(here());
      }
      ++at_;
      if (!whole) {
        whole = std::move(part);
      } else if (whole->type == E::kString && part->type == E::kString) {
        whole->text += part->text;
      } else {
        if (whole->type == E::kString) {
          ExpressionPtr joined = make(E::kFString, whole->position);
          push(*joined, std::move(whole));
          joined->names.emplace_back();
          whole = std::move(joined);
        }
        if (part->type == E::kString) {
          push(*whole, std::move(part));
          whole->names.emplace_back();
        } else {
          for (size_t i = 0; i < part->items.size(); ++i) {
            push(*whole, std::move(part->items[i]));
            whole->names.push_back(part->names[i]);
          }
        }
      }
    }
    return whole;
  }

  /// Takes an f-string apart: literal text and {expression[:format]}.
  ExpressionPtr f_string(const Token& token) {
    ExpressionPtr node = make(E::kFString, token.position);
    const std::string_view text = token.text;
    std::string literal;
    const auto flush = [&] {
      if (literal.empty())
        return;
      ExpressionPtr part = make(E::kString, token.position);
      part->text = literal;
      push(*node, std::move(part));
      node->names.emplace_back();
      literal.clear();
    };
    Position at = token.position;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '\\' && !token.raw && i + 1 < text.size()) {
        const char next = text[++i];
        literal += next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next;
      } else if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
        literal += c;
        ++i;
      } else if (c == '{') {
        flush();
        int depth = 0;
        size_t end = i + 1;
        size_t colon = std::string_view::npos;
        for (; end < text.size(); ++end) {
          const char d = text[end];
          if (d == '(' || d == '[' || d == '{')
            ++depth;
          if (d == '}' && depth == 0)
            break;
          if (d == ')' || d == ']' || d == '}')
            --depth;
          if (d == ':' && depth == 0 && colon == std::string_view::npos)
            colon = end;
        }
        if (end >= text.size()) {
          fail(at, "this f-string has a '{' without '}'; write {{ for a brace");
          return node;
        }
        const size_t stop = std::min(colon, end);
        Position start = token.position;
        start.column += static_cast<uint32_t>(i + 1);
        if (depth_ > 20) {
          fail(at, "f-strings are nested too deeply");
          return node;
        }
        SyntaxParser inner(text.substr(i + 1, stop - i - 1), diagnostics_, start, depth_ + 20);
        ExpressionPtr part = inner.single();
        if (inner.failed_)
          failed_ = true;
        push(*node, std::move(part));
        node->names.emplace_back(colon < end ? text.substr(colon + 1, end - colon - 1)
                                             : std::string_view());
        i = end;
      } else if (c == '}') {
        fail(at, "a single '}' in an f-string; write }}");
        return node;
      } else {
        literal += c;
      }
    }
    flush();
    return node;
  }

  ExpressionPtr parenthesis() {
    const Position position = here().position;
    ++at_;
    if (take(")")) {
      ExpressionPtr node = make(E::kTuple, position);
      finish(*node);
      return node;
    }
    ExpressionPtr node = expression_list();
    if (!failed_ && is("for"))
      node = comprehension(std::move(node));
    expect(")", "to close '('");
    node->position = span(position, last());
    return node;
  }

  ExpressionPtr list() {
    ExpressionPtr node = make(E::kList, here().position);
    ++at_;
    bool first = true;
    while (!failed_ && !is("]")) {
      ExpressionPtr item = starred();
      if (first && is("for")) {
        const Position position = node->position;
        node = comprehension(std::move(item));
        node->position = position;
        break;
      }
      first = false;
      push(*node, std::move(item));
      if (!take(","))
        break;
    }
    expect("]", "to close '['");
    finish(*node);
    return node;
  }

  ExpressionPtr dict() {
    ExpressionPtr node = make(E::kDict, here().position);
    ++at_;
    while (!failed_ && !is("}")) {
      push(*node, expression());
      expect(":", "after a key of a dict");
      push(*node, expression());
      if (!take(","))
        break;
    }
    expect("}", "to close '{'");
    finish(*node);
    return node;
  }

  Diagnostics& diagnostics_;
  TokenList list_;
  size_t at_ = 0;
  size_t next_open_ = 0;
  int depth_ = 0;
  int block_depth_ = 0;
  int if_depth_ = 0;
  bool failed_ = false;
};

} // namespace

Body parse_syntax(std::string_view text, Diagnostics& diagnostics) {
  return SyntaxParser(text, diagnostics, {1, 1, 1}, 0).file();
}

} // namespace temper::script
