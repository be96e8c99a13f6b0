#include "ir/structural.h"

#include "ir/buffer.h"
#include "ir/expr.h"
#include "ir/function.h"

#include <bit>
#include <unordered_map>
#include <vector>

namespace temper::ir {
namespace {

bool is_definable(const Node& node) {
  return node.kind() == VarNode::kKind || node.kind() == BufferNode::kKind;
}

/// One node's fields as a flat list of tokens; children are kept as nodes.
struct Token {
  enum class Type : uint8_t { kNode, kInt, kDouble, kString, kBegin, kEnd } type;
  Role role;
  const char* name;
  int64_t integer = 0;
  const std::string* text = nullptr;
  const Node* node = nullptr;
};

int64_t dtype_word(DataType type) {
  return static_cast<int64_t>(type.code) << 32 | static_cast<int64_t>(type.bits) << 16 | type.lanes;
}

class TokenReader final : public FieldReader {
public:
  explicit TokenReader(std::vector<Token>& tokens) : tokens_(tokens) {}

  void on_node(const char* name, Role role, const NodeRef& node) override {
    tokens_.push_back({Token::Type::kNode, effective(role), name, 0, nullptr, node.get()});
  }
  void on_int(const char* name, Role role, int64_t value) override {
    tokens_.push_back({Token::Type::kInt, effective(role), name, value});
  }
  void on_double(const char* name, Role role, double value) override {
    tokens_.push_back({Token::Type::kDouble, effective(role), name,
                       static_cast<int64_t>(std::bit_cast<uint64_t>(value))});
  }
  void on_string(const char* name, Role role, const std::string& value) override {
    tokens_.push_back({Token::Type::kString, effective(role), name, 0, &value});
  }
  void on_dtype(const char* name, Role role, DataType value) override {
    tokens_.push_back({Token::Type::kInt, effective(role), name, dtype_word(value)});
  }
  void begin_list(const char* name, Role role, size_t size) override {
    tokens_.push_back({Token::Type::kBegin, role, name, static_cast<int64_t>(size)});
    roles_.push_back(role);
  }
  void begin_struct(const char* name, Role role) override {
    tokens_.push_back({Token::Type::kBegin, role, name, 0});
    roles_.push_back(role);
  }
  void end() override {
    tokens_.push_back({Token::Type::kEnd, roles_.back(), ""});
    roles_.pop_back();
  }

private:
  /// What stands inside an ignored list is ignored too; a struct in a `define` list says itself
  /// which of its members define.
  Role effective(Role role) const {
    for (Role outer : roles_)
      if (outer == Role::kIgnored)
        return Role::kIgnored;
    return role;
  }

  std::vector<Token>& tokens_;
  std::vector<Role> roles_;
};

std::vector<Token> tokens_of(const Node* node) {
  std::vector<Token> tokens;
  TokenReader reader(tokens);
  node->info().read_fields(node, reader);
  return tokens;
}

class Comparer {
public:
  Comparer(bool map_free, std::string* difference) : map_free_(map_free), difference_(difference) {}

  bool equal(const Node* a, const Node* b, bool defining = false) {
    if (a == nullptr || b == nullptr)
      return a == b || fail("one side has nothing here");
    if (a->kind() != b->kind())
      return fail(std::string(a->info().name) + " against " + b->info().name);
    if (is_definable(*a)) {
      const auto left = forward_.find(a);
      const auto right = backward_.find(b);
      if (left != forward_.end() || right != backward_.end())
        return (left != forward_.end() && left->second == b) ||
               fail("different variables or buffers");
      if (!defining && !map_free_ && a != b)
        return fail("different free variables or buffers");
      forward_[a] = b;
      backward_[b] = a;
    } else if (a == b && forward_.empty()) {
      return true;
    }
    const std::vector<Token> left = tokens_of(a);
    const std::vector<Token> right = tokens_of(b);
    // Numbers among parameters may stand behind the buffers whose shapes mention them.
    if (a->kind() == PrimFuncNode::kKind)
      for (size_t i = 0; i < std::min(left.size(), right.size()); ++i)
        if (is_number(left[i]) && is_number(right[i]) && !equal(left[i].node, right[i].node, true))
          return false;
    for (size_t i = 0; i < left.size(); ++i) {
      if (i >= right.size())
        return fail("different lengths");
      const Token& x = left[i];
      const Token& y = right[i];
      if (x.role == Role::kIgnored && x.type != Token::Type::kBegin)
        continue;
      PathEntry entry(*this, a->info().name, x.name);
      if (x.type != y.type || x.integer != y.integer)
        return fail(x.type == Token::Type::kInt && y.type == Token::Type::kInt
                        ? std::to_string(x.integer) + " against " + std::to_string(y.integer)
                        : "different values or lengths");
      if (x.type == Token::Type::kString && *x.text != *y.text)
        return fail("'" + *x.text + "' against '" + *y.text + "'");
      if (x.type == Token::Type::kNode && !equal(x.node, y.node, x.role == Role::kDefine))
        return false;
    }
    return left.size() == right.size() || fail("different lengths");
  }

private:
  static bool is_number(const Token& token) {
    return token.type == Token::Type::kNode && token.role == Role::kDefine &&
           token.node != nullptr && token.node->kind() == VarNode::kKind;
  }

  struct PathEntry {
    PathEntry(Comparer& owner, const char* node, const char* field) : owner_(owner) {
      owner_.path_.emplace_back(node, field);
    }
    ~PathEntry() { owner_.path_.pop_back(); }
    Comparer& owner_;
  };

  bool fail(const std::string& why) {
    if (difference_ != nullptr && difference_->empty()) {
      for (const auto& [node, field] : path_)
        *difference_ += (difference_->empty() ? std::string(node) + "." : ".") + field;
      *difference_ += ": " + why;
    }
    return false;
  }

  bool map_free_;
  std::string* difference_;
  std::unordered_map<const Node*, const Node*> forward_;
  std::unordered_map<const Node*, const Node*> backward_;
  std::vector<std::pair<const char*, const char*>> path_;
};

class Hasher {
public:
  uint64_t hash(const Node* node) {
    if (node == nullptr)
      return 0x6e756c6cULL;
    if (is_definable(*node)) {
      const auto [place, is_new] = numbers_.try_emplace(node, numbers_.size());
      if (!is_new)
        return hash_combine(0x757365ULL, place->second);
    }
    uint64_t result = hash_bytes(node->info().name);
    for (const Token& token : tokens_of(node)) {
      if (token.role == Role::kIgnored)
        continue;
      switch (token.type) {
      case Token::Type::kNode:
        result = hash_combine(result, hash(token.node));
        break;
      case Token::Type::kString:
        result = hash_combine(result, hash_bytes(*token.text));
        break;
      case Token::Type::kInt:
      case Token::Type::kDouble:
      case Token::Type::kBegin:
        result = hash_combine(result, static_cast<uint64_t>(token.integer));
        break;
      case Token::Type::kEnd:
        break;
      }
    }
    return result;
  }

private:
  std::unordered_map<const Node*, uint64_t> numbers_;
};

} // namespace

bool structural_equal(const NodeRef& a, const NodeRef& b, std::string* difference) {
  if (difference != nullptr)
    difference->clear();
  return Comparer(false, difference).equal(a.get(), b.get());
}

bool structural_equal_free(const NodeRef& a, const NodeRef& b) {
  return Comparer(true, nullptr).equal(a.get(), b.get());
}

uint64_t structural_hash(const NodeRef& node) { return Hasher().hash(node.get()); }

} // namespace temper::ir
