/// Buffers: typed memory with a shape, strides, a scope, an alignment and a layout. A buffer is its
/// node, as a variable is; `name` is a hint.
#pragma once

#include "ir/expr.h"

namespace temper::ir {

enum class BufferKind : Kind { kBuffer = 0x40, kIndexMap = 0x41 };

/// A map from logical to physical indices: lambda i, j: (i // 16, j, i % 16).
struct IndexMapNode;
class IndexMapBase : public Node {
public:
  static constexpr const char* kind_name(Kind) { return "IndexMap"; }

protected:
  using Node::Node;
};
struct IndexMapNode : NodeOf<IndexMapNode, static_cast<Kind>(BufferKind::kIndexMap), IndexMapBase> {
  std::vector<Var> inputs;
  std::vector<Expr> outputs;
  static constexpr auto fields() {
    return std::tuple{define("inputs", &IndexMapNode::inputs),
                      child("outputs", &IndexMapNode::outputs)};
  }
};
using IndexMap = Ref<IndexMapNode>;

class BufferBase : public Node {
public:
  static constexpr const char* kind_name(Kind) { return "Buffer"; }

protected:
  using Node::Node;
};

struct BufferNode : NodeOf<BufferNode, static_cast<Kind>(BufferKind::kBuffer), BufferBase> {
  std::string name;
  DataType dtype;
  std::vector<Expr> shape;   ///< elements per dimension; may be symbolic in the types
  std::vector<Expr> strides; ///< in elements; empty = compact row-major
  Expr elem_offset;          ///< null = 0
  /// "global", "shared", "shared.dyn", "local", ...: where it lives; registered per back end.
  std::string scope = "global";
  int64_t alignment = 64; ///< bytes
  IndexMap layout;        ///< null = by strides

  static constexpr auto fields() {
    return std::tuple{ignored("name", &BufferNode::name),
                      data("dtype", &BufferNode::dtype),
                      child("shape", &BufferNode::shape),
                      child("strides", &BufferNode::strides),
                      child("elem_offset", &BufferNode::elem_offset),
                      data("scope", &BufferNode::scope),
                      data("alignment", &BufferNode::alignment),
                      child("layout", &BufferNode::layout)};
  }

  int rank() const { return static_cast<int>(shape.size()); }
  /// Product of the shape when constant.
  std::optional<int64_t> element_count() const;
};

Buffer make_buffer(std::string name, DataType dtype, std::vector<Expr> shape,
                   std::string scope = "global");

/// A box of a buffer: A[0:16, k]. Extents of 1 print as a plain index.
struct BufferRegion {
  Buffer buffer;
  std::vector<Range> region;
  static constexpr auto fields() {
    return std::tuple{child("buffer", &BufferRegion::buffer),
                      child("region", &BufferRegion::region)};
  }
};

} // namespace temper::ir
