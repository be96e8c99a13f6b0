/// The node pattern: immutable nodes with an intrusive reference count and a kind tag, no virtual
/// functions. A node is a struct of public fields plus one list that describes them:
///
///   struct Let : ExprNodeOf<Let, ExprKind::kLet> {
///     Var var; Expr value; Expr body;
///     static constexpr auto fields() {
///       return std::tuple{child("value", &Let::value), define("var", &Let::var),
///                         child("body", &Let::body)};
///     }
///   };
///
/// Walks, rebuild-if-changed, structural equality up to renaming, hash and JSON derive from that
/// list, in its order: a definition must be listed before the fields that may use it.
///
/// Field types: numbers, bool, std::string, enums, DataType, Ref<T>, std::vector of those, and
/// value structs that have fields() themselves (Range, IterVar, ...).
#pragma once

#include "ir/dtype.h"
#include "ir/support/check.h"
#include "ir/support/function_ref.h"
#include "ir/support/hash.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace temper::ir {

/// Kinds are unique over all layers. Each layer's list starts at its own base (node_kinds.def).
using Kind = uint16_t;
inline constexpr Kind kExprKinds = 0x000;
inline constexpr Kind kFunctionKinds = 0x080;
inline constexpr Kind kTirKinds = 0x100;
inline constexpr Kind kSTirKinds = 0x200;

/// Where a node's text stood: 1-based line and column; line 0 = made by code. `file` indexes
/// script::source_files().
struct Span {
  uint32_t file = 0;
  uint32_t line = 0;
  uint32_t column = 0;
};

class Node;
struct NodeInfo;

/// A shared reference to an immutable node; may be null. Comparison is identity.
template <typename T> class Ref {
public:
  using element_type = T;

  Ref() = default;
  Ref(std::nullptr_t) {} // NOLINT: implicit
  /// Takes a share of `node`, which may be null.
  explicit Ref(const T* node) : node_(node) { retain(); }
  Ref(const Ref& other) : node_(other.node_) { retain(); }
  Ref(Ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  template <typename U>
  requires std::is_convertible_v<const U*, const T*> Ref(const Ref<U>& other)
      : node_(other.get()) { // NOLINT: implicit
    retain();
  }
  template <typename U>
  requires std::is_convertible_v<const U*, const T*> Ref(Ref<U>&& other)
  noexcept : node_(other.release()) {} // NOLINT: implicit
  ~Ref() { drop(); }

  Ref& operator=(const Ref& other) {
    Ref(other).swap(*this);
    return *this;
  }
  Ref& operator=(Ref&& other) noexcept {
    Ref(std::move(other)).swap(*this);
    return *this;
  }

  const T* get() const { return node_; }
  const T& operator*() const { return *node_; }
  const T* operator->() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }
  bool operator==(const Ref& other) const { return node_ == other.node_; }
  bool operator==(std::nullptr_t) const { return node_ == nullptr; }

  /// The node as a `U` when it is one; null otherwise.
  template <typename U> const U* as() const {
    return node_ != nullptr && node_->kind() == U::kKind ? static_cast<const U*>(node_) : nullptr;
  }
  template <typename U> bool is() const { return as<U>() != nullptr; }
  /// The same node with a more exact type; null when it is another kind.
  template <typename U> Ref<U> as_ref() const { return Ref<U>(as<U>()); }

  void swap(Ref& other) noexcept { std::swap(node_, other.node_); }
  const T* release() { return std::exchange(node_, nullptr); }

private:
  void retain() const;
  void drop();

  const T* node_ = nullptr;
};

/// Identity order and hash, for local lookup tables only (never for anything whose order is seen).
struct RefHash {
  template <typename T> size_t operator()(const Ref<T>& ref) const {
    return std::hash<const void*>()(ref.get());
  }
};

class Node {
public:
  Kind kind() const { return kind_; }
  const NodeInfo& info() const { return *info_; }

  mutable Span span; ///< set once by the parser; not part of the node's value

protected:
  Node(Kind kind, const NodeInfo* info) : kind_(kind), info_(info) {}
  Node(const Node& other) : span(other.span), kind_(other.kind_), info_(other.info_) {}
  Node& operator=(const Node&) = delete;
  ~Node() = default;

private:
  template <typename T> friend class Ref;
  void retain() const { references_.fetch_add(1, std::memory_order_relaxed); }
  bool drop() const { return references_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  mutable std::atomic<uint32_t> references_{0};
  Kind kind_;
  const NodeInfo* info_;
};

using NodeRef = Ref<Node>;

/// What a field means to generic code.
enum class Role : uint8_t {
  kData,    ///< plain value, compared and hashed
  kChild,   ///< a node below this one (or a use of a variable or buffer)
  kDefine,  ///< defines a variable or buffer: equality maps it instead of comparing it
  kIgnored, ///< not part of the value (hints, identities)
};

template <typename C, typename M> struct Field {
  const char* name;
  M C::*member;
  Role role;
};
template <typename C, typename M> constexpr Field<C, M> data(const char* name, M C::*member) {
  return {name, member, Role::kData};
}
template <typename C, typename M> constexpr Field<C, M> child(const char* name, M C::*member) {
  return {name, member, Role::kChild};
}
template <typename C, typename M> constexpr Field<C, M> define(const char* name, M C::*member) {
  return {name, member, Role::kDefine};
}
template <typename C, typename M> constexpr Field<C, M> ignored(const char* name, M C::*member) {
  return {name, member, Role::kIgnored};
}

/// Callbacks that generic code hands to a node: it visits its fields in order.
class FieldReader {
public:
  virtual void on_node(const char* name, Role role, const NodeRef& node) = 0;
  virtual void on_int(const char* name, Role role, int64_t value) = 0;
  virtual void on_double(const char* name, Role role, double value) = 0;
  virtual void on_string(const char* name, Role role, const std::string& value) = 0;
  virtual void on_dtype(const char* name, Role role, DataType value) = 0;
  /// A list of `size` items follows, each reported by one of the calls here; then end().
  virtual void begin_list(const char* name, Role role, size_t size) = 0;
  /// The fields of a value struct follow; then end().
  virtual void begin_struct(const char* name, Role role) = 0;
  virtual void end() = 0;

protected:
  ~FieldReader() = default;
};

/// The counterpart that fills a new node's fields, in the same order (JSON).
class FieldWriter {
public:
  virtual NodeRef node(const char* name) = 0;
  virtual int64_t integer(const char* name) = 0;
  virtual double real(const char* name) = 0;
  virtual std::string string(const char* name) = 0;
  virtual DataType dtype(const char* name) = 0;
  virtual size_t begin_list(const char* name) = 0;
  virtual void begin_struct(const char* name) = 0;
  virtual void end() = 0;
  /// Reports that a node reference had a kind that does not fit here; the result is thrown away.
  virtual void wrong_kind(const char* name) = 0;

protected:
  ~FieldWriter() = default;
};

using ChildVisitor = FunctionRef<void(const NodeRef&, Role)>;
/// Returns the node that takes the child's place; must be of a type that fits the field.
using ChildMapper = FunctionRef<NodeRef(const NodeRef&, Role)>;

/// What is generated once per node type from its fields().
struct NodeInfo {
  Kind kind;
  const char* name;
  void (*destroy)(const Node* node);
  /// Every non-null Ref field, in order; roles kChild and kDefine (not kIgnored).
  void (*for_each_child)(const Node* node, ChildVisitor visit);
  /// The node with its children replaced; the same node when none changed.
  NodeRef (*map_children)(const Node* node, ChildMapper map);
  void (*read_fields)(const Node* node, FieldReader& reader);
  NodeRef (*build)(FieldWriter& writer);
};

template <typename T> void Ref<T>::retain() const {
  if (node_ != nullptr)
    static_cast<const Node*>(node_)->retain();
}
template <typename T> void Ref<T>::drop() {
  if (node_ != nullptr && static_cast<const Node*>(node_)->drop())
    static_cast<const Node*>(node_)->info().destroy(node_);
  node_ = nullptr;
}

namespace detail {

template <typename T> struct IsRef : std::false_type {};
template <typename T> struct IsRef<Ref<T>> : std::true_type {};
template <typename T> struct IsVector : std::false_type {};
template <typename T> struct IsVector<std::vector<T>> : std::true_type {};
template <typename T>
concept HasFields = requires {
  T::fields();
};

template <typename V> void visit_children(const V& value, Role role, ChildVisitor visit) {
  if constexpr (IsRef<V>::value) {
    if (value)
      visit(value, role);
  } else if constexpr (IsVector<V>::value) {
    for (const auto& item : value)
      visit_children(item, role, visit);
  } else if constexpr (HasFields<V>) {
    std::apply(
        [&](const auto&... field) {
          ((field.role == Role::kIgnored
                ? void()
                : visit_children(value.*(field.member), field.role, visit)),
           ...);
        },
        V::fields());
  }
}

/// Maps in place; true when something changed.
template <typename V> bool map_children(V& value, Role role, ChildMapper map) {
  bool changed = false;
  if constexpr (IsRef<V>::value) {
    if (value) {
      NodeRef mapped = map(value, role);
      if (mapped.get() != value.get()) {
        value = V(static_cast<const typename V::element_type*>(mapped.get()));
        changed = true;
      }
    }
  } else if constexpr (IsVector<V>::value) {
    for (auto& item : value)
      changed |= map_children(item, role, map);
  } else if constexpr (HasFields<V>) {
    std::apply(
        [&](const auto&... field) {
          ((changed |= field.role == Role::kIgnored
                           ? false
                           : map_children(value.*(field.member), field.role, map)),
           ...);
        },
        V::fields());
  }
  return changed;
}

template <typename V>
void read_value(const char* name, Role role, const V& value, FieldReader& reader) {
  if constexpr (IsRef<V>::value) {
    reader.on_node(name, role, value);
  } else if constexpr (IsVector<V>::value) {
    reader.begin_list(name, role, value.size());
    for (const auto& item : value)
      read_value(name, role, item, reader);
    reader.end();
  } else if constexpr (HasFields<V>) {
    reader.begin_struct(name, role);
    std::apply(
        [&](const auto&... field) {
          (read_value(field.name, field.role, value.*(field.member), reader), ...);
        },
        V::fields());
    reader.end();
  } else if constexpr (std::is_same_v<V, std::string>) {
    reader.on_string(name, role, value);
  } else if constexpr (std::is_same_v<V, DataType>) {
    reader.on_dtype(name, role, value);
  } else if constexpr (std::is_floating_point_v<V>) {
    reader.on_double(name, role, value);
  } else {
    static_assert(std::is_integral_v<V> || std::is_enum_v<V>, "no such field type");
    reader.on_int(name, role, static_cast<int64_t>(value));
  }
}

template <typename V> void write_value(const char* name, V& value, FieldWriter& writer) {
  if constexpr (IsRef<V>::value) {
    using T = typename V::element_type;
    const NodeRef node = writer.node(name);
    if (node && !T::accepts(node->kind()))
      writer.wrong_kind(name);
    else
      value = V(static_cast<const T*>(node.get()));
  } else if constexpr (IsVector<V>::value) {
    value.resize(writer.begin_list(name));
    for (auto& item : value)
      write_value(name, item, writer);
    writer.end();
  } else if constexpr (HasFields<V>) {
    writer.begin_struct(name);
    std::apply(
        [&](const auto&... field) {
          (write_value(field.name, value.*(field.member), writer), ...);
        },
        V::fields());
    writer.end();
  } else if constexpr (std::is_same_v<V, std::string>) {
    value = writer.string(name);
  } else if constexpr (std::is_same_v<V, DataType>) {
    value = writer.dtype(name);
  } else if constexpr (std::is_floating_point_v<V>) {
    value = writer.real(name);
  } else {
    value = static_cast<V>(writer.integer(name));
  }
}

} // namespace detail

/// Base of a node struct `T` of the kind `K`; `Base` is the class of its family (ExprNode, ...),
/// whose own fields (as dtype) come first when it has base_fields().
template <typename T, Kind K, typename Base> class NodeOf : public Base {
public:
  static constexpr Kind kKind = K;
  static constexpr bool accepts(Kind kind) { return kind == K; }
  static const NodeInfo kInfo;

protected:
  NodeOf() : Base(K, &kInfo) {}
  NodeOf(const NodeOf&) = default;
};

namespace detail {

template <typename T> constexpr auto all_fields() {
  if constexpr (requires { T::base_fields(); })
    return std::tuple_cat(T::base_fields(), T::fields());
  else
    return T::fields();
}

template <typename T> struct NodeFunctions {
  static void destroy(const Node* node) { delete static_cast<const T*>(node); }

  static void for_each_child(const Node* node, ChildVisitor visit) {
    const T& self = *static_cast<const T*>(node);
    std::apply(
        [&](const auto&... field) {
          ((field.role == Role::kIgnored ? void()
                                         : visit_children(self.*(field.member), field.role, visit)),
           ...);
        },
        T::fields());
  }

  static NodeRef map_children(const Node* node, ChildMapper map) {
    const T& self = *static_cast<const T*>(node);
    // Mapped copies are made field by field; the node itself is copied only on the first change.
    T* copy = nullptr;
    Ref<T> holder;
    std::apply(
        [&](const auto&... field) {
          (
              [&] {
                if (field.role == Role::kIgnored)
                  return;
                auto value = self.*(field.member);
                if (detail::map_children(value, field.role, map)) {
                  if (copy == nullptr) {
                    copy = new T(self);
                    holder = Ref<T>(copy);
                  }
                  copy->*(field.member) = std::move(value);
                }
              }(),
              ...);
        },
        child_fields());
    return copy != nullptr ? NodeRef(holder) : NodeRef(node);
  }

  static void read_fields(const Node* node, FieldReader& reader) {
    const T& self = *static_cast<const T*>(node);
    std::apply(
        [&](const auto&... field) {
          (read_value(field.name, field.role, self.*(field.member), reader), ...);
        },
        all_fields<T>());
  }

  static NodeRef build(FieldWriter& writer) {
    T* node = new T();
    Ref<T> holder(node);
    std::apply(
        [&](const auto&... field) {
          (write_value(field.name, node->*(field.member), writer), ...);
        },
        all_fields<T>());
    return holder;
  }

private:
  /// The fields that can hold nodes: the others are never copied by map_children.
  static constexpr auto child_fields() {
    return std::apply([](const auto&... field) { return std::tuple_cat(keep_if_node(field)...); },
                      T::fields());
  }
  template <typename C, typename M> static constexpr auto keep_if_node(const Field<C, M>& field) {
    if constexpr (IsRef<M>::value || IsVector<M>::value || HasFields<M>)
      return std::tuple{field};
    else
      return std::tuple<>{};
  }
};

} // namespace detail

template <typename T, Kind K, typename Base>
const NodeInfo NodeOf<T, K, Base>::kInfo = {K,
                                            Base::kind_name(K),
                                            &detail::NodeFunctions<T>::destroy,
                                            &detail::NodeFunctions<T>::for_each_child,
                                            &detail::NodeFunctions<T>::map_children,
                                            &detail::NodeFunctions<T>::read_fields,
                                            &detail::NodeFunctions<T>::build};

/// A new node: `fill` gets it once, mutable, before anybody else sees it.
template <typename T, typename F> Ref<T> make_node(F&& fill) {
  T* node = new T();
  Ref<T> ref(node);
  std::forward<F>(fill)(*node);
  return ref;
}

/// A changed copy of `old` (its span is kept).
template <typename T, typename F> Ref<T> copy_node(const T& old, F&& change) {
  T* node = new T(old);
  Ref<T> ref(node);
  std::forward<F>(change)(*node);
  return ref;
}

/// The lambdas of visit() joined into one overload set.
template <typename... Fs> struct Overloaded : Fs... { using Fs::operator()...; };
template <typename... Fs> Overloaded(Fs...) -> Overloaded<Fs...>;

/// Node types by kind and by name, for JSON. Filled by each layer at start.
void register_node(const NodeInfo& info);
const NodeInfo* find_node_info(std::string_view name);

} // namespace temper::ir
