#include "ir/script/printer.h"

#include "ir/op.h"
#include "ir/s_tir/block.h"
#include "ir/script/regions.h"
#include "ir/tir/inline_ptx.h"
#include "ir/tir/layout.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <unordered_set>

namespace temper::script {

using namespace temper::ir; // NOLINT
using s_tir::IterType;
using s_tir::IterVar;
using s_tir::SBlock;
using s_tir::SBlockRealize;

namespace {

/// Binding strength of Python's operators, weakest first.
enum Strength {
  kOr = 1,
  kAnd,
  kNot,
  kCompare,
  kBitOr,
  kBitXor,
  kBitAnd,
  kShift,
  kSum,
  kProduct,
  kUnary,
  kAtom,
};

struct Piece {
  std::string text;
  int strength = kAtom;
};

std::string quote(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
    case '"':
      result += "\\\"";
      break;
    case '\\':
      result += "\\\\";
      break;
    case '\n':
      result += "\\n";
      break;
    case '\t':
      result += "\\t";
      break;
    case '\r':
      result += "\\r";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        char code[8];
        std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
        result += code;
      } else {
        result += c;
      }
    }
  }
  return result + "\"";
}

/// As TVM prints floats: whole numbers with ".0", others with 17 digits.
std::string float_text(double value) {
  char text[400];
  if (value == std::trunc(value))
    std::snprintf(text, sizeof text, "%.1f", value);
  else
    std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

bool is_python_word(const std::string& name) {
  static const std::unordered_set<std::string> kWords = {
      "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
      "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
      "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
      "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};
  return kWords.count(name) != 0;
}

std::string clean_name(const std::string& hint, const char* otherwise) {
  std::string name;
  for (const char c : hint)
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' ? c : '_';
  if (name.empty())
    name = otherwise;
  if (std::isdigit(static_cast<unsigned char>(name[0])))
    name.insert(name.begin(), '_');
  if (is_python_word(name))
    name += "_";
  return name;
}

/// The name that each variable and buffer prints under. A name is free again at the end of the
/// scope that defined it.
class Names {
public:
  const std::string* find(const Node* node) const {
    const auto found = names_.find(node);
    return found == names_.end() ? nullptr : &found->second;
  }
  const std::string& define(const Node* node, const std::string& hint, const char* otherwise) {
    if (const auto found = names_.find(node); found != names_.end())
      return found->second;
    const std::string base = clean_name(hint, otherwise);
    std::string name = base;
    for (int i = 1; live_.count(name) != 0; ++i)
      name = base + "_" + std::to_string(i);
    live_.insert(name);
    scope_.push_back(node);
    return names_.emplace(node, std::move(name)).first->second;
  }
  /// Takes a name for good (symbolic dimensions of the module).
  void define_as(const Node* node, const std::string& name) {
    names_[node] = name;
    live_.insert(name);
    scope_.push_back(node);
  }
  size_t enter() const { return scope_.size(); }
  /// Forgets what was defined since `mark`.
  void leave(size_t mark) {
    for (; scope_.size() > mark; scope_.pop_back()) {
      const auto found = names_.find(scope_.back());
      live_.erase(found->second);
      names_.erase(found);
    }
  }
  bool is_live(const std::string& name) const { return live_.count(name) != 0; }

private:
  std::unordered_map<const Node*, std::string> names_;
  /// Names in use; those of the printed text itself are from the start.
  std::unordered_set<std::string> live_{"T", "I", "range", "TypeVar"};
  std::vector<const Node*> scope_;
};

class Printer {
public:
  explicit Printer(const PrinterOptions& options) : options_(options) {}

  std::string take() { return std::move(out_); }

  // Modules and functions.

  void module(const IRModule& module) {
    std::vector<PrimFunc> functions;
    for (const ModuleEntry& entry : module->functions)
      if (PrimFunc function = entry.function.as_ref<PrimFuncNode>())
        functions.push_back(std::move(function));
    const std::vector<std::string> dimensions = dimension_names(functions);
    header(!dimensions.empty(), true);
    for (const std::string& name : dimensions)
      line(name + " = TypeVar(\"" + name + "\")");
    line("@I.ir_module");
    note_line(module.get());
    line("class Module:");
    ++indent_;
    if (!module->attrs.empty())
      line("I.module_attrs(" + dict(module->attrs) + ")");
    bool first = true;
    for (const ModuleEntry& entry : module->functions) {
      PrimFunc function = entry.function.as_ref<PrimFuncNode>();
      if (!function)
        continue;
      if (!first)
        out_ += '\n', ++line_;
      first = false;
      prim_func(function, entry.name);
    }
    if (functions.empty() && module->attrs.empty())
      line("pass");
    --indent_;
  }

  void function(const PrimFunc& function) {
    const std::vector<std::string> dimensions = dimension_names({function});
    header(!dimensions.empty(), false);
    for (const std::string& name : dimensions)
      line(name + " = TypeVar(\"" + name + "\")");
    prim_func(function, function->name.empty() ? "main" : function->name);
  }

  // Statements.

  void statement(const Stmt& stmt) {
    note_line(stmt.get());
    if (const auto* launch = stmt.as<tir::KernelLaunch>())
      return kernel(*launch);
    if (const auto* call = stmt.as<tir::TileCall>())
      return tile_call(*call);
    s_tir::visit(
        stmt, [&](const tir::Bind& bind) { this->bind(bind); },
        [&](const tir::AllocBuffer& node) { alloc(node); },
        [&](const tir::BufferStore& store) { this->store(store); },
        [&](const tir::Evaluate& node) {
          const auto* call = node.value.as<Call>();
          const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
          const bool bare =
              call != nullptr && !is_operator(call->op) &&
              (!call->args.empty() || (op != nullptr && op->result == OpResult::kStatement));
          line(bare ? expr(node.value) : "T.evaluate(" + expr(node.value) + ")");
        },
        [&](const tir::SeqStmt& seq) { sequence(seq); },
        [&](const tir::IfThenElse& branch) { if_statement(branch, "if "); },
        [&](const tir::For& loop) { for_loop(loop); },
        [&](const tir::While& loop) {
          line("while " + expr(loop.condition) + ":");
          body(loop.body);
        },
        [&](const tir::Break&) { line("break"); }, [&](const tir::Continue&) { line("continue"); },
        [&](const tir::Return& node) {
          line(node.value ? "return " + expr(node.value) : "return");
        },
        [&](const tir::Assert& node) {
          line("assert " + expr(node.condition) + ", " + quote(node.message));
        },
        [&](const SBlock& block) { block_with(block, nullptr, nullptr); },
        [&](const SBlockRealize& realize) {
          note_line(realize.block.get());
          block_with(*realize.block, &realize, nullptr);
        },
        [&](const StmtNode& node) {
          line(std::string("T.unknown(\"") + node.info().name + "\")");
        });
  }

  std::string expr(const Expr& root) { return piece(root).text; }

  std::string region(const BufferRegion& value) {
    std::string text = buffer_name(value.buffer) + "[";
    for (size_t i = 0; i < value.region.size(); ++i) {
      const Range& range = value.region[i];
      if (i > 0)
        text += ", ";
      if (is_int(range.extent, 1) && range.extent->dtype == range.min->dtype)
        text += expr(range.min);
      else
        text += bounds(range, ":");
    }
    return text + (value.region.empty() ? "()]" : "]");
  }

private:
  void header(bool type_variables, bool has_module) {
    if (!options_.header)
      return;
    if (type_variables)
      line("# from typing import TypeVar");
    if (has_module)
      line("# from tvm.script import ir as I");
    line("# from tvm.script import tirx as T");
    line("# from tvm.tirx.layout import Axis");
    out_ += '\n';
    ++line_;
  }

  /// Names of the 64-bit dimensions of all functions: they stand above the module and are shared by
  /// name. Others are quoted in the shapes.
  std::vector<std::string> dimension_names(const std::vector<PrimFunc>& functions) {
    std::vector<std::string> names;
    for (const PrimFunc& function : functions) {
      std::unordered_set<std::string> own;
      for (const Var& var : function->shape_vars) {
        const std::string base = clean_name(var->name, "n");
        std::string name = base;
        for (int i = 1; own.count(name) != 0 || names_.is_live(name); ++i)
          name = base + "_" + std::to_string(i);
        own.insert(name);
        dimension_[var.get()] = name;
        if (var->dtype == DataType::int64() &&
            std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
      }
    }
    // A name cannot be a dimension of 64 bits here and another type there.
    for (const PrimFunc& function : functions)
      for (const Var& var : function->shape_vars)
        if (var->dtype != DataType::int64()) {
          std::string& name = dimension_[var.get()];
          while (std::find(names.begin(), names.end(), name) != names.end())
            name += "_";
        }
    return names;
  }

  void prim_func(const PrimFunc& function, const std::string& name) {
    const size_t scope = names_.enter();
    std::string decorator = "@T.prim_func";
    std::vector<std::string> flags;
    if (function->is_private)
      flags.emplace_back("private=True");
    if (function->s_tir)
      flags.emplace_back("s_tir=True");
    if (!flags.empty())
      decorator += "(" + joined(flags) + ")";
    line(decorator);
    std::vector<Var> local_dimensions;
    for (const Var& var : function->shape_vars) {
      names_.define_as(var.get(), dimension_[var.get()]);
      if (var->dtype != DataType::int64())
        local_dimensions.push_back(var);
    }
    quoted_ = local_dimensions;
    std::vector<std::string> params;
    for (const Param& param : function->params) {
      if (param.buffer) {
        const std::string type = "T.Buffer(" + buffer_type(*param.buffer, false) + ")";
        params.push_back(names_.define(param.buffer.get(), param.buffer->name, "A") + ": " + type);
      } else {
        params.push_back(names_.define(param.var.get(), param.var->name, "n") + ": T." +
                         temper::to_string(param.var->dtype));
      }
    }
    quoted_.clear();
    note_line(function.get());
    line("def " + clean_name(name, "main") + "(" + joined(params) + "):");
    ++indent_;
    const size_t before = out_.size();
    s_tir_ = function->s_tir;
    find_scalars(function->body);
    for (const Var& var : local_dimensions)
      line(*names_.find(var.get()) + " = T." + temper::to_string(var->dtype) + "()");
    if (!function->attrs.empty())
      line("T.func_attr(" + dict(function->attrs) + ")");
    const auto* realize = function->body ? function->body.as<SBlockRealize>() : nullptr;
    if (function->s_tir && realize != nullptr && is_implicit_root(*realize)) {
      note_line(realize);
      note_line(realize->block.get());
      line("# with T.sblock(\"root\"):");
      for (const Buffer& buffer : realize->block->alloc_buffers)
        block_alloc(buffer);
      statement_list(realize->block->body);
    } else if (function->body) {
      statement_list(function->body);
    }
    if (out_.size() == before)
      line("pass");
    --indent_;
    names_.leave(scope);
  }

  static bool is_implicit_root(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    if (block.name != "root" || !block.iter_vars.empty() || !block.reads.empty() ||
        !block.writes.empty() || !block.annotations.empty() || !block.match_buffers.empty() ||
        block.init || !is_int(realize.predicate, 1))
      return false;
    // A root within the root would be read as the root itself.
    const auto* inner = block.body.as<SBlockRealize>();
    return inner == nullptr || inner->block->name != "root" || !inner->block->iter_vars.empty() ||
           !block.alloc_buffers.empty();
  }

  /// Buffers that print as mutable scalars: one local element, read and written at [0] alone.
  void find_scalars(const NodeRef& root) {
    scalars_.clear();
    if (!root)
      return;
    std::unordered_set<const Node*> bad;
    const auto check = [&](const Buffer& buffer, const std::vector<Expr>& indices,
                           const Expr& predicate) {
      if (indices.size() != 1 || !is_int(indices[0], 0) || indices[0]->dtype != DataType::int32() ||
          predicate)
        bad.insert(buffer.get());
    };
    walk(root, [&](const NodeRef& node) {
      if (node->kind() == tir::AllocBuffer::kKind) {
        const auto& alloc = static_cast<const tir::AllocBuffer&>(*node);
        const BufferNode& buffer = *alloc.buffer;
        if (buffer.scope == "local" && buffer.rank() == 1 && is_int(buffer.shape[0], 1) &&
            buffer.shape[0]->dtype == DataType::int32() && buffer.strides.empty() &&
            !buffer.elem_offset && buffer.alignment == 64 && !buffer.layout &&
            buffer.dtype.lanes >= 1 && alloc.annotations.empty())
          scalars_.insert(&buffer);
      } else if (node->kind() == BufferLoad::kKind) {
        const auto& load = static_cast<const BufferLoad&>(*node);
        check(load.buffer, load.indices, load.predicate);
      } else if (node->kind() == tir::BufferStore::kKind) {
        const auto& store = static_cast<const tir::BufferStore&>(*node);
        check(store.buffer, store.indices, store.predicate);
      } else if (const auto* call = node.as<tir::TileCall>()) {
        for (const BufferRegion& operand : call->regions)
          bad.insert(operand.buffer.get());
      } else if (node->kind() == SBlock::kKind) {
        const auto& block = static_cast<const SBlock&>(*node);
        for (const auto* list : {&block.reads, &block.writes})
          for (const BufferRegion& region : *list)
            bad.insert(region.buffer.get());
        for (const auto& view : block.match_buffers)
          bad.insert(view.source.buffer.get());
      }
      return true;
    });
    for (const Node* node : bad)
      scalars_.erase(node);
  }
  bool is_scalar(const Buffer& buffer) const { return scalars_.count(buffer.get()) != 0; }

  // Lines.

  void line(const std::string& text) {
    out_.append(static_cast<size_t>(indent_) * 4, ' ');
    out_ += text;
    if (!pending_marks_.empty()) {
      out_ += "  # <-- ";
      for (size_t i = 0; i < pending_marks_.size(); ++i)
        out_ += (i > 0 ? "; " : "") + pending_marks_[i];
      pending_marks_.clear();
    }
    out_ += '\n';
    ++line_;
  }

  /// The next line is where `node` begins.
  void note_line(const Node* node) {
    if (options_.lines != nullptr)
      options_.lines->emplace(node, line_);
    note_mark(node);
  }
  void note_mark(const Node* node) {
    for (const Mark& mark : options_.marks)
      if (mark.node.get() == node)
        pending_marks_.push_back(mark.why.empty() ? "here" : mark.why);
  }

  void body(const Stmt& stmt) {
    ++indent_;
    const size_t scope = names_.enter();
    const size_t before = out_.size();
    statement_list(stmt);
    if (out_.size() == before)
      line("pass");
    names_.leave(scope);
    --indent_;
  }
  void statement_list(const Stmt& stmt) {
    if (stmt)
      statement(stmt);
  }

  void sequence(const tir::SeqStmt& seq) {
    const std::vector<Stmt>& list = seq.statements;
    if (list.empty())
      line("pass");
    for (size_t i = 0; i < list.size(); ++i) {
      // x: T.int32 = 0 is an allocation and the store after it.
      const auto* alloc = list[i].as<tir::AllocBuffer>();
      if (alloc != nullptr && is_scalar(alloc->buffer)) {
        const auto* first = i + 1 < list.size() ? list[i + 1].as<tir::BufferStore>() : nullptr;
        if (first != nullptr && first->buffer == alloc->buffer && !mentions(first->value, alloc)) {
          note_line(list[i].get());
          note_line(first);
          const std::string value = expr(first->value);
          line(define_buffer(alloc->buffer) + ": " + type_name(alloc->buffer->dtype) + " = " +
               value);
          ++i;
          continue;
        }
      }
      statement(list[i]);
    }
  }
  static bool mentions(const Expr& value, const tir::AllocBuffer* alloc) {
    bool found = false;
    walk(value, [&](const NodeRef& node) {
      found |= node.get() == alloc->buffer.get();
      return !found;
    });
    return found;
  }

  void bind(const tir::Bind& node) {
    const std::string value = expr(node.value);
    line(names_.define(node.var.get(), node.var->name, "v") + ": T.let[" +
         type_name(node.var->dtype) + "] = " + value);
  }

  void alloc(const tir::AllocBuffer& node) {
    if (is_scalar(node.buffer)) {
      line(define_buffer(node.buffer) + ": " + type_name(node.buffer->dtype));
      return;
    }
    const BufferNode& buffer = *node.buffer;
    std::string text;
    if (buffer.scope == "local")
      text = "T.alloc_local(" + buffer_type(buffer, true, "local");
    else if (buffer.scope == "shared")
      text = "T.alloc_shared(" + buffer_type(buffer, true, "shared");
    else if (buffer.scope == "local.fragment")
      text = "T.alloc_fragment(" + buffer_type(buffer, true, "local.fragment");
    else
      text = "T.alloc_buffer(" + buffer_type(buffer, true);
    // In s-tir the annotations, even empty, say that this is the flat statement, not a block's.
    const bool ambiguous = s_tir_ && buffer.scope != "local" && buffer.scope != "shared" &&
                           buffer.scope != "local.fragment";
    if (!node.annotations.empty() || ambiguous)
      text += ", annotations=" + dict(node.annotations);
    line(define_buffer(node.buffer) + " = " + text + ")");
  }

  void block_alloc(const Buffer& buffer) {
    note_line(buffer.get());
    const std::string type = buffer_type(*buffer, true);
    line(define_buffer(buffer) + " = T.sblock_alloc_buffer(" + type + ")");
  }

  void store(const tir::BufferStore& node) {
    if (is_scalar(node.buffer)) {
      line(buffer_name(node.buffer) + " = " + expr(node.value));
      return;
    }
    if (node.predicate)
      line(buffer_name(node.buffer) + ".vstore([" + list(node.indices) + "], " + expr(node.value) +
           ", predicate=" + expr(node.predicate) + ")");
    else
      line(access(node.buffer, node.indices) + " = " + expr(node.value));
  }

  void if_statement(const tir::IfThenElse& branch, const std::string& word) {
    line(word + expr(branch.condition) + ":");
    body(branch.then_case);
    if (!branch.else_case)
      return;
    const auto* inner = branch.else_case.as<tir::IfThenElse>();
    if (inner != nullptr && !has_let(inner->condition)) {
      note_line(inner);
      if_statement(*inner, "elif ");
      return;
    }
    line("else:");
    body(branch.else_case);
  }

  /// A T.Let needs a line of its own above, for which there is no place before an elif.
  static bool has_let(const Expr& root) {
    bool found = false;
    walk(root, [&](const NodeRef& node) {
      found |= node->kind() == Let::kKind;
      return !found;
    });
    return found;
  }

  /// Nested loops of this sort print as one line.
  static bool is_joinable(const tir::For& loop) {
    return (loop.kind == tir::ForKind::kSerial || loop.kind == tir::ForKind::kTileParallel) &&
           is_int(loop.min, 0) && loop.min->dtype == loop.extent->dtype && loop.annotations.empty();
  }

  void for_loop(const tir::For& first) {
    const size_t scope = names_.enter();
    note_line(first.loop_var.get());
    if (is_joinable(first)) {
      // Nested plain loops whose extents do not depend on each other are one T.grid.
      std::vector<const tir::For*> nest{&first};
      while (true) {
        const auto* next = nest.back()->body.as<tir::For>();
        if (next == nullptr || !is_joinable(*next) || next->kind != first.kind)
          break;
        const bool depends = uses_var(next->extent, [&](const VarNode& var) {
          return std::any_of(nest.begin(), nest.end(),
                             [&](const tir::For* loop) { return loop->loop_var.get() == &var; });
        });
        if (depends)
          break;
        nest.push_back(next);
      }
      if (nest.size() > 1) {
        std::vector<std::string> extents;
        for (const tir::For* loop : nest)
          extents.push_back(expr(loop->extent));
        std::vector<std::string> names;
        for (const tir::For* loop : nest) {
          if (loop != &first) {
            note_line(loop);
            note_line(loop->loop_var.get());
          }
          names.push_back(names_.define(loop->loop_var.get(), loop->loop_var->name, "i"));
          loops_.push_back(loop);
        }
        line("for " + joined(names) + " in " +
             (first.kind == tir::ForKind::kSerial ? "T.grid(" : "T.Parallel(") + joined(extents) +
             "):");
        body(nest.back()->body);
        loops_.resize(loops_.size() - nest.size());
        names_.leave(scope);
        return;
      }
    }
    std::string extents = bounds({first.min, first.extent}, ", ", true);
    std::string call;
    switch (first.kind) {
    case tir::ForKind::kSerial:
      call = first.annotations.empty() ? "range" : "T.serial";
      break;
    case tir::ForKind::kParallel:
      call = "T.parallel";
      break;
    case tir::ForKind::kVectorized:
      call = "T.vectorized";
      break;
    case tir::ForKind::kUnrolled:
      call = "T.unroll";
      break;
    case tir::ForKind::kThreadBinding:
      call = "T.thread_binding";
      extents += ", thread=" + quote(first.thread);
      break;
    case tir::ForKind::kTileParallel:
      call = "T.Parallel";
      break;
    case tir::ForKind::kPipelined:
      call = "T.Pipelined";
      break;
    }
    Annotations annotations = first.annotations;
    if (first.kind == tir::ForKind::kPipelined)
      for (const char* key : {"num_stages", "order", "stage", "sync", "group"})
        if (const Expr value = annotations.get(key)) {
          extents += std::string(", ") + key + "=" + annotation(value);
          annotations = annotations.without(key);
        }
    if (!annotations.empty())
      extents += ", annotations=" + dict(annotations);
    const std::string name = names_.define(first.loop_var.get(), first.loop_var->name, "i");
    loops_.push_back(&first);
    line("for " + name + " in " + call + "(" + extents + "):");
    body(first.body);
    loops_.pop_back();
    names_.leave(scope);
  }

  void kernel(const tir::KernelLaunch& launch) {
    const size_t scope = names_.enter();
    std::string text =
        "with T.Kernel(" + list(launch.grid) + ", threads=" +
        (launch.threads.size() == 1 ? expr(launch.threads[0]) : tuple(launch.threads));
    if (!launch.annotations.empty())
      text += ", annotations=" + dict(launch.annotations);
    std::vector<std::string> names;
    for (const Var& var : launch.block_vars) {
      note_line(var.get());
      names.push_back(names_.define(var.get(), var->name, "b"));
    }
    line(text + ") as " + (names.size() == 1 ? names[0] : "(" + joined(names) + ")") + ":");
    ++indent_;
    const size_t before = out_.size();
    for (size_t d = 0; d < launch.thread_vars.size(); ++d) {
      const Var& var = launch.thread_vars[d];
      if (ir::mentions(launch.body, var))
        line(names_.define(var.get(), var->name, "t") + " = T.get_thread_binding(" +
             std::to_string(d) + ")");
    }
    statement_list(launch.body);
    if (out_.size() == before)
      line("pass");
    --indent_;
    names_.leave(scope);
  }

  void tile_call(const tir::TileCall& call) {
    std::vector<std::string> args;
    for (const BufferRegion& operand : call.regions)
      args.push_back(tile_region(operand));
    for (const Expr& value : call.values)
      args.push_back(expr(value));
    // What the operator does not know is an annotation.
    Annotations others;
    const tir::TileOp* op = tir::find_tile_op(call.op);
    for (const Annotation& entry : call.options.entries) {
      bool known = false;
      if (op != nullptr)
        for (const tir::TileParameter& parameter : op->parameters)
          known |= parameter.name == entry.key;
      if (known)
        args.push_back(entry.key + "=" + annotation(entry.value));
      else
        others = others.with(entry.key, entry.value);
    }
    if (!others.empty())
      args.push_back("annotations=" + dict(others));
    line("T." + call.op + "(" + joined(args) + ")");
  }

  /// The whole buffer is its name alone; an operand of one element says so by a range.
  std::string tile_region(const BufferRegion& value) {
    bool whole = true;
    bool has_range = false;
    for (size_t d = 0; d < value.region.size(); ++d) {
      const Range& range = value.region[d];
      whole &= is_int(range.min, 0) && range.min->dtype == range.extent->dtype &&
               same_bound(range.extent, value.buffer->shape[d]);
      has_range |= !is_int(range.extent, 1);
    }
    if (whole)
      return buffer_name(value.buffer);
    if (has_range || value.region.empty())
      return region(value);
    std::vector<std::string> items;
    for (const Range& range : value.region)
      items.push_back(bounds(range, ":"));
    return buffer_name(value.buffer) + "[" + joined(items) + "]";
  }

  void block_with(const SBlock& block, const SBlockRealize* realize, const char*) {
    const size_t scope = names_.enter();
    line("with T.sblock(" + quote(block.name) + "):");
    ++indent_;
    axes(block, realize);
    if (realize != nullptr && !is_int(realize->predicate, 1))
      line("T.where(" + expr(realize->predicate) + ")");
    // Views and allocations stand below, but regions may only name what is outside.
    line("T.reads(" + regions(block.reads) + ")");
    line("T.writes(" + regions(block.writes) + ")");
    if (!block.annotations.empty())
      line("T.sblock_attr(" + dict(block.annotations) + ")");
    for (const Buffer& buffer : block.alloc_buffers)
      block_alloc(buffer);
    for (const auto& view : block.match_buffers) {
      note_line(view.buffer.get());
      const std::string source = region(view.source);
      const std::string type = buffer_type(*view.buffer, true, view.source.buffer->scope, true);
      line(define_buffer(view.buffer) + " = T.match_buffer(" + source + ", " + type + ")");
    }
    if (block.init) {
      line("with T.init():");
      body(block.init);
    }
    const size_t before = out_.size();
    statement_list(block.body);
    if (out_.size() == before)
      line("pass");
    --indent_;
    names_.leave(scope);
  }

  void axes(const SBlock& block, const SBlockRealize* realize) {
    std::vector<size_t> run; // neighbouring axes that are loops as they are
    const auto name_of = [&](const IterVar& iter) {
      return names_.define(iter.var.get(), iter.var->name, "v");
    };
    const auto print_one = [&](size_t i) {
      const IterVar& iter = block.iter_vars[i];
      static constexpr const char* kKinds[] = {"spatial", "reduce", "scan", "opaque"};
      std::string domain;
      if (is_int(iter.domain.min, 0))
        domain = expr(iter.domain.extent);
      else
        domain = "(" + bounds(iter.domain, ", ", true) + ")";
      const std::string value =
          realize != nullptr ? expr(realize->iter_values[i]) : std::string("...");
      note_line(iter.var.get());
      line(name_of(iter) + " = T.axis." + kKinds[static_cast<int>(iter.type)] + "(" + domain +
           ", " + value + ")");
    };
    const auto flush = [&] {
      if (run.size() == 1) {
        print_one(run[0]);
      } else if (run.size() > 1) {
        std::string kinds;
        std::vector<std::string> names;
        std::vector<std::string> values;
        for (const size_t i : run) {
          kinds += block.iter_vars[i].type == IterType::kSpatial ? 'S' : 'R';
          values.push_back(expr(realize->iter_values[i]));
        }
        for (const size_t i : run) {
          note_line(block.iter_vars[i].var.get());
          names.push_back(name_of(block.iter_vars[i]));
        }
        line(joined(names) + " = T.axis.remap(" + quote(kinds) + ", [" + joined(values) + "])");
      }
      run.clear();
    };
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      if (realize != nullptr && is_remap(block.iter_vars[i], realize->iter_values[i])) {
        run.push_back(i);
        continue;
      }
      flush();
      print_one(i);
    }
    flush();
  }

  bool is_remap(const IterVar& iter, const Expr& value) const {
    if (iter.type != IterType::kSpatial && iter.type != IterType::kReduce)
      return false;
    for (const tir::For* loop : loops_)
      if (loop->loop_var.get() == value.get())
        return same_bound(loop->min, iter.domain.min) &&
               same_bound(loop->extent, iter.domain.extent) &&
               iter.var->dtype == loop->loop_var->dtype;
    return false;
  }
  static bool same_bound(const Expr& a, const Expr& b) {
    if (a == b)
      return true;
    const auto x = as_int(a);
    const auto y = as_int(b);
    return x && y && *x == *y && a->dtype == b->dtype;
  }

  std::string regions(const std::vector<BufferRegion>& list) {
    std::vector<std::string> items;
    for (const BufferRegion& item : list)
      items.push_back(region(item));
    return joined(items);
  }

  // Buffers.

  const std::string& define_buffer(const Buffer& buffer) {
    return names_.define(buffer.get(), buffer->name, "buffer");
  }
  const std::string& buffer_name(const Buffer& buffer) { return define_buffer(buffer); }

  /// The arguments of T.Buffer and of the functions that make buffers.
  std::string buffer_type(const BufferNode& buffer, bool omit_float32,
                          const std::string& default_scope = "global", bool always_scope = false) {
    std::string text = tuple(buffer.shape);
    if (!omit_float32 || buffer.dtype != DataType::float32())
      text += ", " + quote(temper::to_string(buffer.dtype));
    if (!buffer.strides.empty())
      text += ", strides=" + tuple(buffer.strides);
    if (buffer.elem_offset)
      text += ", elem_offset=" + expr(buffer.elem_offset);
    if (always_scope ? buffer.scope != default_scope || buffer.scope != "global"
                     : buffer.scope != default_scope)
      text += ", scope=" + quote(buffer.scope);
    if (buffer.alignment != 64)
      text += ", align=" + std::to_string(buffer.alignment);
    if (buffer.layout) {
      const size_t scope = names_.enter();
      std::vector<std::string> inputs;
      for (const Var& var : buffer.layout->inputs)
        inputs.push_back(names_.define(var.get(), var->name, "i"));
      text += ", layout=T.index_map(lambda " + joined(inputs) + ": " +
              tuple(buffer.layout->outputs) + ")";
      names_.leave(scope);
    }
    return text;
  }

  std::string access(const Buffer& buffer, const std::vector<Expr>& indices) {
    return buffer_name(buffer) + "[" + (indices.empty() ? "()" : list(indices)) + "]";
  }

  /// "begin, end" or "begin:end"; a begin of 0 is left out where `short_form` says so.
  std::string bounds(const Range& range, const char* separator, bool short_form = false) {
    if (short_form && is_int(range.min, 0) && range.min->dtype == range.extent->dtype)
      return expr(range.extent);
    return expr(range.min) + separator + expr(end_of(range));
  }

  std::string list(const std::vector<Expr>& values) {
    std::vector<std::string> items;
    for (const Expr& value : values)
      items.push_back(expr(value));
    return joined(items);
  }
  std::string tuple(const std::vector<Expr>& values) {
    return "(" + list(values) + (values.size() == 1 ? ",)" : ")");
  }
  static std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (size_t i = 0; i < items.size(); ++i)
      text += (i > 0 ? ", " : "") + items[i];
    return text;
  }

  // Annotations: plain Python values.

  std::string dict(const Annotations& annotations) {
    std::vector<std::string> items;
    for (const Annotation& entry : annotations.entries)
      items.push_back(quote(entry.key) + ": " + annotation(entry.value));
    return "{" + joined(items) + "}";
  }
  std::string annotation(const Expr& value) {
    if (value->dtype.is_bool())
      if (const auto constant = as_int(value))
        return *constant != 0 ? "True" : "False";
    if (const auto* imm = value.as<FloatImm>();
        imm != nullptr && imm->dtype == DataType::float64() && std::isfinite(imm->value))
      return float_text(imm->value);
    if (const auto* items = value.as<ListImm>()) {
      std::vector<std::string> parts;
      for (const Expr& item : items->values)
        parts.push_back(annotation(item));
      return "[" + joined(parts) + "]";
    }
    return expr(value);
  }

  // Expressions.

  static std::string type_name(DataType dtype) { return "T." + temper::to_string(dtype); }

  static bool is_operator(const std::string& op) {
    for (const char* name :
         {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "shift_left", "shift_right"})
      if (op == name)
        return true;
    return false;
  }

  /// Prints as a bare number, which takes its type from what it stands with.
  static bool is_bare(const Expr& expr) {
    return expr.is<IntImm>() && expr->dtype == DataType::int32();
  }

  std::string wrapped(const Piece& piece, int least) const {
    return piece.strength < least ? "(" + piece.text + ")" : piece.text;
  }

  /// `a op b`, or T.Name(a, b) where TVM's reader would make one number, or one operand, of it.
  Piece infix(const Expr& a, const Expr& b, const char* op, int strength) {
    if (const char* name = folded_by_tvm(a, b, op))
      return function_call(name, {expr(a), expr(b)});
    // Of two bare numbers our reader would make one: the first says its type.
    const Piece left = is_bare(a) && is_bare(b) ? typed_int(*a.as<IntImm>()) : piece(a);
    const int left_least = strength == kCompare ? strength + 1 : strength;
    return {wrapped(left, left_least) + " " + op + " " + wrapped(piece(b), strength + 1), strength};
  }

  /// A number; nothing for any other expression.
  static std::optional<double> number(const Expr& expr) {
    if (const auto* integer = expr.as<IntImm>())
      return static_cast<double>(integer->value);
    if (const auto* real = expr.as<FloatImm>())
      return real->value;
    return std::nullopt;
  }

  /// TVM's name of the operation, where its operator would fold these operands; null elsewhere.
  static const char* folded_by_tvm(const Expr& a, const Expr& b, std::string_view op) {
    struct Operation {
      std::string_view op;
      const char* name;
      // Numbers that make the result, or leave the other operand.
      std::array<std::optional<double>, 2> left;
      std::array<std::optional<double>, 2> right;
    };
    static const std::array<Operation, 12> kOperations{{
        {"+", "T.Add", {0, 0}, {0, 0}},
        {"-", "T.Sub", {}, {0, 0}},
        {"*", "T.Mul", {0, 1}, {0, 1}},
        {"/", "T.Div", {0, 0}, {1, 1}},
        {"//", "T.FloorDiv", {0, 0}, {1, 1}},
        {"%", "T.FloorMod", {0, 0}, {1, 1}},
        {"==", "T.EQ", {}, {}},
        {"!=", "T.NE", {}, {}},
        {"<", "T.LT", {}, {}},
        {"<=", "T.LE", {}, {}},
        {">", "T.GT", {}, {}},
        {">=", "T.GE", {}, {}},
    }};
    const auto x = number(a);
    const auto y = number(b);
    if (!x && !y)
      return nullptr;
    const auto among = [](const std::optional<double>& value, const auto& numbers) {
      return value && std::find(numbers.begin(), numbers.end(), value) != numbers.end();
    };
    for (const Operation& operation : kOperations)
      if (operation.op == op)
        return (x && y) || among(x, operation.left) || among(y, operation.right) ? operation.name
                                                                                 : nullptr;
    return nullptr;
  }

  /// T.min of numbers alone, or of one thing twice, would be one of them.
  Piece extremum(const Expr& a, const Expr& b, const char* name, const char* kept) {
    const bool folds = (number(a) && number(b)) || a == b;
    return function_call(folds ? kept : name, {expr(a), expr(b)});
  }

  static Piece typed_int(const IntImm& imm) {
    if (imm.dtype.is_bool())
      return {imm.value != 0 ? "T.bool(True)" : "T.bool(False)", kAtom};
    const std::string value = imm.dtype.is_uint() ? std::to_string(static_cast<uint64_t>(imm.value))
                                                  : std::to_string(imm.value);
    return {type_name(imm.dtype) + "(" + value + ")", kAtom};
  }

  Piece function_call(const std::string& name, std::initializer_list<std::string> args) {
    return {name + "(" + joined(std::vector<std::string>(args)) + ")", kAtom};
  }

  Piece piece(const Expr& root) {
    if (!root)
      return {"None", kAtom};
    if (!options_.marks.empty())
      note_mark(root.get());
    return visit(
        root,
        [&](const VarNode& var) -> Piece {
          return {variable(var), kAtom};
        },
        [&](const IntImm& imm) -> Piece {
          if (imm.dtype == DataType::int32())
            return {std::to_string(imm.value), imm.value < 0 ? kUnary : kAtom};
          return typed_int(imm);
        },
        [&](const FloatImm& imm) -> Piece {
          return {type_name(imm.dtype) + "(" + float_argument(imm.value) + ")", kAtom};
        },
        [&](const StringImm& imm) -> Piece {
          return {quote(imm.value), kAtom};
        },
        [&](const ListImm& imm) -> Piece {
          return {"[" + list(imm.values) + "]", kAtom};
        },
        [&](const Cast& cast) -> Piece {
          return function_call("T.Cast", {quote(temper::to_string(cast.dtype)), expr(cast.value)});
        },
        [&](const Add& x) -> Piece { return infix(x.a, x.b, "+", kSum); },
        [&](const Sub& x) -> Piece { return infix(x.a, x.b, "-", kSum); },
        [&](const Mul& x) -> Piece { return infix(x.a, x.b, "*", kProduct); },
        [&](const Div& x) -> Piece {
          return x.dtype.is_floating() ? infix(x.a, x.b, "/", kProduct)
                                       : function_call("T.Div", {expr(x.a), expr(x.b)});
        },
        [&](const Mod& x) -> Piece {
          return function_call("T.truncmod", {expr(x.a), expr(x.b)});
        },
        [&](const FloorDiv& x) -> Piece { return infix(x.a, x.b, "//", kProduct); },
        [&](const FloorMod& x) -> Piece { return infix(x.a, x.b, "%", kProduct); },
        [&](const Min& x) -> Piece { return extremum(x.a, x.b, "T.min", "T.Min"); },
        [&](const Max& x) -> Piece { return extremum(x.a, x.b, "T.max", "T.Max"); },
        [&](const EQ& x) -> Piece { return infix(x.a, x.b, "==", kCompare); },
        [&](const NE& x) -> Piece { return infix(x.a, x.b, "!=", kCompare); },
        [&](const LT& x) -> Piece { return infix(x.a, x.b, "<", kCompare); },
        [&](const LE& x) -> Piece { return infix(x.a, x.b, "<=", kCompare); },
        [&](const GT& x) -> Piece { return infix(x.a, x.b, ">", kCompare); },
        [&](const GE& x) -> Piece { return infix(x.a, x.b, ">=", kCompare); },
        [&](const And& x) -> Piece { return infix(x.a, x.b, "and", kAnd); },
        [&](const Or& x) -> Piece { return infix(x.a, x.b, "or", kOr); },
        [&](const Not& x) -> Piece {
          return {"not " + wrapped(piece(x.a), kNot), kNot};
        },
        [&](const Select& x) -> Piece {
          return function_call("T.Select",
                               {expr(x.condition), expr(x.true_value), expr(x.false_value)});
        },
        [&](const BufferLoad& load) -> Piece { return this->load(load); },
        [&](const Ramp& x) -> Piece {
          return function_call("T.Ramp", {expr(x.base), expr(x.stride), std::to_string(x.lanes())});
        },
        [&](const Broadcast& x) -> Piece {
          return function_call("T.Broadcast", {expr(x.value), std::to_string(x.lanes())});
        },
        [&](const Shuffle& x) -> Piece {
          return function_call("T.Shuffle",
                               {"[" + list(x.vectors) + "]", "[" + list(x.indices) + "]"});
        },
        [&](const Let& let) -> Piece { return this->let(let); },
        [&](const Call& call) -> Piece { return this->call(call); });
  }

  static std::string float_argument(double value) {
    if (std::isinf(value))
      return value < 0 ? "\"-inf\"" : "\"inf\"";
    if (std::isnan(value)) {
      const auto bits = std::bit_cast<uint64_t>(value);
      if (bits == std::bit_cast<uint64_t>(std::numeric_limits<double>::quiet_NaN()))
        return "\"nan\"";
      char text[40];
      std::snprintf(text, sizeof text, "\"nan:0x%016llx\"", static_cast<unsigned long long>(bits));
      return text;
    }
    return float_text(value);
  }

  std::string variable(const VarNode& var) {
    const std::string& name = names_.define(&var, var.name, "v");
    for (const Var& dimension : quoted_)
      if (dimension.get() == &var)
        return quote(name);
    return name;
  }

  Piece load(const BufferLoad& load) {
    if (is_scalar(load.buffer))
      return {buffer_name(load.buffer), kAtom};
    if (load.predicate)
      return {buffer_name(load.buffer) + ".vload([" + list(load.indices) +
                  "], predicate=" + expr(load.predicate) + ")",
              kAtom};
    return {access(load.buffer, load.indices), kAtom};
  }

  /// T.Let names a variable that a line above makes: x = T.int32().
  Piece let(const Let& let) {
    const std::string value = expr(let.value);
    const bool known = names_.find(let.var.get()) != nullptr;
    const std::string name = names_.define(let.var.get(), let.var->name, "v");
    if (!known)
      out_.append(static_cast<size_t>(indent_) * 4, ' '),
          out_ += name + " = " + type_name(let.var->dtype) + "()\n", ++line_;
    return function_call("T.Let", {expr(let.body), "where={" + name + ": " + value + "}"});
  }

  Piece call(const Call& call) {
    struct Infix {
      const char* op;
      const char* text;
      int strength;
    };
    static constexpr Infix kInfix[] = {
        {"bitwise_and", "&", kBitAnd}, {"bitwise_or", "|", kBitOr},   {"bitwise_xor", "^", kBitXor},
        {"shift_left", "<<", kShift},  {"shift_right", ">>", kShift},
    };
    for (const Infix& entry : kInfix)
      if (call.op == entry.op && call.args.size() == 2)
        return infix(call.args[0], call.args[1], entry.text, entry.strength);
    if (call.op == "bitwise_not" && call.args.size() == 1) {
      const Piece arg =
          is_bare(call.args[0]) ? typed_int(*call.args[0].as<IntImm>()) : piece(call.args[0]);
      return {"~" + wrapped(arg, kUnary), kUnary};
    }
    if (call.op == "Layout")
      if (const auto layout = tir::layout_of(Expr(&call)))
        return {tir::to_text(*layout), kAtom};
    std::string name = call.op;
    if (name == "abs" && call.dtype.is_floating())
      name = "fabs";
    std::vector<std::string> args;
    const OpInfo* info = find_op(call.op);
    if (info == nullptr || info->result == OpResult::kExplicit)
      args.push_back(quote(temper::to_string(call.dtype)));
    for (const Expr& arg : call.args)
      args.push_back(expr(arg));
    if (call.op == "inline_ptx" && args.size() > tir::kPtxOutputs) {
      args.erase(args.begin() + tir::kPtxOutputs);
      if (const int64_t outputs = tir::ptx_outputs(call); outputs > 0)
        args.push_back("outputs=" + std::to_string(outputs));
    }
    return {"T." + name + "(" + joined(args) + ")", kAtom};
  }

  const PrinterOptions& options_;
  std::string out_;
  int line_ = 1;
  int indent_ = 0;
  bool s_tir_ = false;
  Names names_;
  std::unordered_map<const Node*, std::string> dimension_;
  std::vector<Var> quoted_;
  std::vector<const tir::For*> loops_;
  std::unordered_set<const Node*> scalars_;
  std::vector<std::string> pending_marks_;

public:
  void fragment(const Stmt& stmt) {
    find_scalars(stmt);
    statement(stmt);
  }
};

} // namespace

std::string to_text(const IRModule& module, const PrinterOptions& options) {
  Printer printer(options);
  printer.module(module);
  return printer.take();
}

std::string to_text(const PrimFunc& function, const PrinterOptions& options) {
  Printer printer(options);
  printer.function(function);
  return printer.take();
}

std::string to_text(const Stmt& statement, const PrinterOptions& options) {
  Printer printer(options);
  printer.fragment(statement);
  return printer.take();
}

std::string to_text(const Expr& expr) {
  const PrinterOptions options;
  Printer printer(options);
  const std::string text = printer.expr(expr);
  return printer.take() + text;
}

std::string to_text(const BufferRegion& region) {
  const PrinterOptions options;
  return Printer(options).region(region);
}

std::string to_text(const NodeRef& node, const PrinterOptions& options) {
  if (!node)
    return "null";
  const Kind kind = node->kind();
  if (IRModuleNode::accepts(kind))
    return to_text(cast_ref<IRModuleNode>(node), options);
  if (PrimFuncNode::accepts(kind))
    return to_text(cast_ref<PrimFuncNode>(node), options);
  if (StmtNode::accepts(kind))
    return to_text(cast_ref<StmtNode>(node), options);
  if (ExprNode::accepts(kind))
    return to_text(cast_ref<ExprNode>(node));
  if (BufferNode::accepts(kind)) {
    const auto& buffer = static_cast<const BufferNode&>(*node);
    std::string text = buffer.name + ": " + temper::to_string(buffer.dtype) + "[";
    for (size_t i = 0; i < buffer.shape.size(); ++i)
      text += (i > 0 ? ", " : "") + to_text(buffer.shape[i]);
    return text + "] " + buffer.scope;
  }
  return node->info().name;
}

void dump(const NodeRef& node) { std::fputs((to_text(node) + "\n").c_str(), stderr); }

} // namespace temper::script
