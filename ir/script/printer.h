/// IR to text. What is printed parses back to a structurally equal module, and for s-tir it is what
/// Apache TVM 0.27 prints for the same function.
#pragma once

#include "ir/module.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace temper::script {

/// A statement, block, loop variable or expression to point at: its line ends in
/// "# <-- why".
struct Mark {
  ir::NodeRef node;
  std::string why;
};

/// Which line (1-based) each statement, block, loop variable and function begins on.
using NodeLines = std::unordered_map<const ir::Node*, int>;

struct PrinterOptions {
  /// The comment lines that say which imports the text needs (modules and functions only).
  bool header = true;
  std::vector<Mark> marks;
  NodeLines* lines = nullptr;
};

std::string to_text(const ir::IRModule& module, const PrinterOptions& options = {});
std::string to_text(const ir::PrimFunc& function, const PrinterOptions& options = {});
/// A fragment: variables and buffers from outside print under their own names.
std::string to_text(const ir::Stmt& statement, const PrinterOptions& options = {});
std::string to_text(const ir::Expr& expr);
std::string to_text(const ir::BufferRegion& region);
/// A node of any kind that has text.
std::string to_text(const ir::NodeRef& node, const PrinterOptions& options = {});

/// Prints to stderr; for debuggers.
void dump(const ir::NodeRef& node);

} // namespace temper::script
