#include "codegen/cuda/print.h"

#include "codegen/artifact.h"
#include "codegen/cuda/prelude.h"
#include "codegen/prefetch.h"
#include "codegen/shared_offsets.h"
#include "codegen/written_buffers.h"
#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/tir/cluster.h"
#include "ir/tir/inline_ptx.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/matrix_text.h"
#include "ir/tir/printing.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace temper::codegen {

using namespace ir;  // NOLINT
using namespace tir; // NOLINT

namespace {

constexpr std::array<const char*, 6> kAxes = {"blockIdx.x",  "blockIdx.y",  "blockIdx.z",
                                              "threadIdx.x", "threadIdx.y", "threadIdx.z"};
constexpr int64_t kUnrolledAtMost = 256;
/// A loop inside of unrolled ones is unrolled by the compiler as it likes, until there are so many
/// copies of its body. Left to itself, ptxas took 66 s for 16 rows of 2048 each, NVVM more than
/// that for 256 accumulators of 32 terms each; with a few copies of each they take 0.03 and 3 s.
constexpr int64_t kCopiesLeftOpen = 2048;
constexpr int64_t kCopies = 256;

/// An expression as text, and how tightly it binds (C++'s levels; 0 binds tightest).
struct Text {
  std::string text;
  int level = 0;
};

bool is_half(DataType dtype) { return dtype == DataType::floating(16); }
bool is_bfloat(DataType dtype) { return dtype == DataType::bfloat16(); }
bool is_small_float(DataType dtype) { return is_half(dtype) || is_bfloat(dtype); }

class Printer {
public:
  explicit Printer(const GpuDialect& dialect) : dialect_(dialect) {}

  Result<CudaSource> run(const PrimFunc& function) {
    function_ = function;
    for (const char* word :
         {"auto",     "bool",      "break",    "case",     "char",         "class",    "const",
          "continue", "default",   "delete",   "do",       "double",       "else",     "enum",
          "extern",   "float",     "for",      "goto",     "if",           "inline",   "int",
          "long",     "namespace", "new",      "operator", "private",      "public",   "register",
          "return",   "short",     "signed",   "sizeof",   "static",       "struct",   "switch",
          "template", "this",      "throw",    "typedef",  "union",        "unsigned", "using",
          "virtual",  "void",      "volatile", "while",    "and",          "or",       "not",
          "xor",      "min",       "max",      "asm",      "shared_memory"})
      used_.insert(word);
    for (const Var& var : function->shape_vars)
      name(var.get(), var->name);
    for (const Param& param : function->params)
      name(param.buffer ? static_cast<const Node*>(param.buffer.get()) : param.var.get(),
           param.name());
    written_ = written_buffers(function);
    host(function->body);
    if (!error_.message.empty())
      return error_;
    if (source_.kernels.empty())
      return Error(ErrorCode::kUnsupported,
                   function->name + " has no kernel; lower it for a GPU first");
    source_.text = dialect_.prelude({wanted_.begin(), wanted_.end()});
    if (const auto own = function->attrs.get_string(kSourceText)) // T.import_source
      source_.text += *own + "\n";
    source_.text += text_;
    return std::move(source_);
  }

private:
  void fail(const Node& where, const std::string& message) {
    // What lowering made has the line of the statement that it is part of.
    const uint32_t line = where.span.line > 0 ? where.span.line : statement_line_;
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported,
                     (line > 0 ? fmt::format("line {}: ", line) : "") + message);
  }
  void want(const std::string& name) { wanted_.insert(name); }
  /// A function of CUDA C++ itself, which other dialects have to say.
  const std::string& builtin(const std::string& name) {
    if (dialect_.own_builtins)
      want(name);
    return name;
  }
  /// no_form("vectors have") + " yet".
  std::string no_form(const std::string& what) const {
    return what + " no " + dialect_.language + " form";
  }

  const std::string& name(const Node* node, const std::string& hint) {
    const auto found = names_.find(node);
    if (found != names_.end())
      return found->second;
    std::string base;
    for (const char c : hint)
      base += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ? c : '_';
    if (base.empty() || std::isdigit(static_cast<unsigned char>(base[0])) != 0)
      base.insert(0, "x");
    std::string unique = base;
    for (int i = 1; !used_.insert(unique).second; ++i)
      unique = fmt::format("{}_{}", base, i);
    fresh_.push_back(node);
    return names_.emplace(node, unique).first->second;
  }
  /// Names made since then are free again: their scope has ended.
  void forget_names(size_t since) {
    while (fresh_.size() > since) {
      const auto found = names_.find(fresh_.back());
      used_.erase(found->second);
      names_.erase(found);
      fresh_.pop_back();
    }
  }
  std::string name_of(const Var& var) { return name(var.get(), var->name); }
  std::string name_of(const Buffer& buffer) { return name(buffer.get(), buffer->name); }

  /// What memory holds.
  std::string storage(DataType dtype, const Node& where) {
    if (is_half(dtype)) {
      want("half_t");
      return "half_t";
    }
    if (is_bfloat(dtype)) {
      want("bfloat_t");
      return "bfloat_t";
    }
    if (dtype.is_bool())
      return "bool";
    if (dtype.is_floating())
      return dtype.bits == 32 ? "float" : "double";
    if (dtype.is_integral()) {
      const char* base = dtype.bits == 8    ? "char"
                         : dtype.bits == 16 ? "short"
                         : dtype.bits == 32 ? "int"
                                            : "long long";
      return (dtype.is_uint() ? "unsigned " : dtype.bits == 8 ? "signed " : "") + std::string(base);
    }
    fail(where, no_form("there is") + " of " + to_string(dtype) + " yet");
    return "int";
  }
  /// What values are: small floats are computed with as float.
  std::string value_type(DataType dtype, const Node& where) {
    if (!dtype.is_scalar())
      fail(where, no_form("vectors have") + " yet; access the elements one by one");
    return is_small_float(dtype) ? "float" : storage(dtype.element(), where);
  }
  std::string stored(DataType dtype, const std::string& value) {
    if (is_half(dtype)) {
      want("half_t");
      return "to_half(" + value + ")";
    }
    if (is_bfloat(dtype)) {
      want("bfloat_t");
      return "to_bfloat(" + value + ")";
    }
    return value;
  }

  // Lines.

  void line(const std::string& text, const Node* where = nullptr) {
    text_ += std::string(static_cast<size_t>(indent_) * 2, ' ') + text;
    if (where != nullptr && where->span.line > 0 && where->span.line != script_line_) {
      script_line_ = where->span.line;
      text_ += fmt::format("  // line {}", script_line_);
    }
    text_ += "\n";
  }

  // Around the kernels.

  void host(const Stmt& stmt) {
    if (!error_.message.empty())
      return;
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        host(child);
      return;
    }
    if (const auto* alloc = stmt.as<AllocBuffer>(); alloc != nullptr) {
      const auto count = alloc->buffer->element_count();
      if (!count)
        return fail(*alloc, "memory between kernels needs a constant shape");
      workspaces_.push_back(alloc->buffer);
      source_.workspaces.push_back(*count * alloc->buffer->dtype.element_bytes());
      return;
    }
    const auto* loop = stmt.as<For>();
    if (stmt.as<KernelLaunch>() != nullptr ||
        (loop != nullptr && loop->kind == ForKind::kThreadBinding))
      return kernel(stmt);
    fail(*stmt, no_form("code outside of a kernel has") + ": it would run on the host");
  }

  void kernel(const Stmt& root) {
    CudaKernel kernel;
    kernel.name = function_->name + "_kernel" +
                  (source_.kernels.empty() ? "" : std::to_string(source_.kernels.size()));
    std::array<int64_t, 6> extents;
    extents.fill(1);
    const auto extent_of = [](const Expr& extent) { return as_int(extent).value_or(0); };
    if (const auto* launch = root.as<KernelLaunch>()) {
      for (size_t d = 0; d < launch->grid.size(); ++d)
        extents[d] = extent_of(launch->grid[d]);
      for (size_t d = 0; d < launch->threads.size(); ++d)
        extents[3 + d] = extent_of(launch->threads[d]);
      if (std::vector<int64_t> dims = cluster_dims(*launch); cluster_blocks(dims) > 1) {
        dims.resize(3, 1);
        kernel.cluster = std::move(dims);
      }
    } else {
      walk(root, [&](const NodeRef& node) {
        const auto* loop = node.as<For>();
        if (loop != nullptr && loop->kind == ForKind::kThreadBinding)
          for (size_t i = 0; i < kAxes.size(); ++i)
            if (loop->thread == kAxes[i])
              extents[i] = extent_of(loop->extent);
        return true;
      });
    }
    kernel.grid.assign(extents.begin(), extents.begin() + 3);
    kernel.block.assign(extents.begin() + 3, extents.end());
    const int64_t threads = kernel.block[0] * kernel.block[1] * kernel.block[2];
    if (threads < 1)
      return fail(*root, "the number of threads must be constant");
    if (const auto source = source_kernel_in(root)) { // its text is there
      kernel.name = source->name;
      kernel.shared_bytes = source->shared_bytes;
      source_.kernels.push_back(std::move(kernel));
      return;
    }
    shared_bytes_ = shared_offsets(root, offsets_);
    kernel.shared_bytes = shared_bytes_;

    // Roles that trade registers need to know how many there are: one block's.
    bool trades = false;
    walk(root, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      trades |= call != nullptr && call->op == "setmaxnreg";
      return !trades;
    });
    std::string head = fmt::format("extern \"C\" __global__ void __launch_bounds__({}{}) {}(",
                                   threads, trades ? ", 1" : "", kernel.name);
    std::string separator;
    const auto pointer = [&](const Buffer& buffer) {
      head += separator + (written_.contains(buffer.get()) ? "" : "const ") +
              storage(buffer->dtype, *root) + "* __restrict__ " + name_of(buffer);
      separator = ", ";
    };
    for (const Param& param : function_->params) {
      if (param.buffer) {
        pointer(param.buffer);
      } else {
        head += separator + value_type(param.var->dtype, *root) + " " + name_of(param.var);
        separator = ", ";
      }
    }
    for (const Buffer& buffer : workspaces_)
      pointer(buffer);
    script_line_ = 0;
    const size_t names = fresh_.size();
    if (!source_.kernels.empty())
      line("");
    maps_.clear();
    script_line_ = 0;
    const size_t head_ends = text_.size() + head.size(); // where tensor maps are added
    line(head + ") {", root.get());
    ++indent_;
    if (shared_bytes_ > 0)
      line("extern __shared__ __align__(1024) unsigned char shared_memory[];");
    const Analyzer::Scope scope(math_);
    if (const auto* launch = root.as<KernelLaunch>()) {
      for (size_t d = 0; d < launch->block_vars.size(); ++d)
        axis(launch->block_vars[d], launch->grid[d], dialect_.axes[d]);
      for (size_t d = 0; d < launch->thread_vars.size(); ++d)
        axis(launch->thread_vars[d], launch->threads[d], dialect_.axes[3 + d]);
      statement(launch->body);
    } else {
      statement(root);
    }
    --indent_;
    line("}");
    forget_names(names);
    std::string parameters;
    for (const auto& [map, map_name] : maps_) {
      parameters += separator + "const __grid_constant__ tensor_map " + map_name;
      separator = ", ";
      kernel.tensor_maps.push_back(map);
    }
    text_.insert(head_ends, parameters);
    source_.kernels.push_back(std::move(kernel));
  }

  void axis(const Var& var, const Expr& extent, const std::string& index,
            const Expr& min = nullptr) {
    math_.bind(var, Range{min ? min : make_int(var->dtype, 0), extent});
    std::string value = "static_cast<" + value_type(var->dtype, *var) + ">(" + index + ")";
    if (var->dtype == DataType::int32())
      value = index;
    if (min && !is_int(min, 0))
      value = at_level(expression(min), 6) + " + " + value;
    line("const " + value_type(var->dtype, *var) + " " + name_of(var) + " = " + value + ";");
  }

  // Statements.

  static bool is_scalar(const Buffer& buffer) {
    return buffer->scope.starts_with("local") && buffer->element_count() == 1;
  }

  void alloc(const AllocBuffer& node) {
    const Buffer& buffer = node.buffer;
    const std::string type = storage(buffer->dtype, node);
    if (tile_scope(buffer->scope) == "shared") {
      if (const Expr annotation = node.annotations.get(kLayoutAnnotation))
        if (auto layout = layout_of(annotation))
          layouts_.insert_or_assign(buffer.get(), *std::move(layout));
      line(fmt::format("{}* const {} = reinterpret_cast<{}*>(shared_memory + {});", type,
                       name_of(buffer), type, offsets_.at(buffer.get())),
           &node);
      return;
    }
    if (!buffer->scope.starts_with("local") || tile_scope(buffer->scope) == "fragment")
      return fail(node, buffer->name + " is in memory that a kernel cannot allocate (" +
                            buffer->scope + ")");
    const auto count = buffer->element_count();
    if (!count)
      return fail(node, "the shape of " + buffer->name + " must be constant");
    if (is_scalar(buffer))
      line(type + " " + name_of(buffer) + ";", &node);
    else // registers that instructions take in pairs and fours
      line(fmt::format("alignas(16) {} {}[{}];", type, name_of(buffer), *count), &node);
  }

  /// Loops that index registers must be unrolled, else the registers are memory.
  bool indexes_registers(const For& loop) const {
    bool found = false;
    walk(loop.body, [&](const NodeRef& node) {
      const auto check = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
        if (!buffer->scope.starts_with("local") || is_scalar(buffer))
          return;
        for (const Expr& index : indices)
          found |= mentions(index, loop.loop_var);
      };
      if (const auto* load = node.as<BufferLoad>())
        check(load->buffer, load->indices);
      if (const auto* store = node.as<BufferStore>())
        check(store->buffer, store->indices);
      return !found;
    });
    return found;
  }

  void block(const Stmt& stmt) {
    const size_t names = fresh_.size();
    ++indent_;
    statement(stmt);
    --indent_;
    forget_names(names);
  }

  void statement(const Stmt& stmt) {
    if (!error_.message.empty())
      return;
    if (stmt->span.line > 0)
      statement_line_ = stmt->span.line;
    if (is_tile_statement(stmt->kind()) || stmt->kind() >= kTileKinds)
      return fail(*stmt,
                  no_form(std::string("a ") + stmt->info().name + " has") + "; lower it first");
    tir::visit(
        stmt,
        [&](const Bind& s) {
          if (s.var->dtype.is_integral() && s.var->dtype.is_scalar())
            math_.bind(s.var, math_.bounds(s.value));
          line("const " + value_type(s.var->dtype, s) + " " + name_of(s.var) + " = " +
                   expression(s.value).text + ";",
               &s);
        },
        [&](const AllocBuffer& s) { alloc(s); },
        [&](const BufferStore& s) {
          if (s.predicate)
            return fail(s, no_form("vectors have") + " yet");
          // A cast to the type of the element is what storing does.
          Expr value = s.value;
          if (const auto* cast = value.as<Cast>(); cast != nullptr && is_small_float(cast->dtype) &&
                                                   cast->value->dtype == DataType::float32())
            value = cast->value;
          line(element(s.buffer, s.indices, s) + " = " +
                   stored(s.buffer->dtype, expression(value).text) + ";",
               &s);
        },
        [&](const Evaluate& s) { evaluate(s); },
        [&](const SeqStmt& s) {
          for (const Stmt& child : s.statements)
            statement(child);
        },
        [&](const IfThenElse& s) {
          line("if (" + expression(s.condition).text + ") {", &s);
          {
            const Analyzer::Scope scope(math_);
            math_.assume(s.condition);
            block(s.then_case);
          }
          if (s.else_case) {
            line("} else {");
            block(s.else_case);
          }
          line("}");
        },
        [&](const For& s) { loop(s); },
        [&](const While& s) {
          line("while (" + expression(s.condition).text + ") {", &s);
          block(s.body);
          line("}");
        },
        [&](const Break& s) { line("break;", &s); },
        [&](const Continue& s) { line("continue;", &s); },
        [&](const Return& s) { line("return;", &s); },
        [&](const Assert& s) {
          line("if (!(" + expression(s.condition).text + "))", &s);
          line("  " + builtin("__trap") + "();");
        });
  }

  void loop(const For& s) {
    const Analyzer::Scope scope(math_);
    if (s.kind == ForKind::kThreadBinding) {
      const auto place = std::find(kAxes.begin(), kAxes.end(), s.thread);
      axis(s.loop_var, s.extent,
           place == kAxes.end() ? s.thread
                                : dialect_.axes[static_cast<size_t>(place - kAxes.begin())],
           s.min);
      statement(s.body);
      return;
    }
    const std::string min = expression(s.min).text;
    const Expr end = math_.simplify(s.min + s.extent);
    const std::string last = at_level(expression(end), 9);
    math_.bind(s.loop_var, Range{s.min, s.extent});
    const auto extent = as_int(s.extent);
    const bool unroll = s.kind == ForKind::kUnrolled || s.kind == ForKind::kVectorized ||
                        (extent && *extent <= kUnrolledAtMost && indexes_registers(s));
    const int64_t around = copies_;
    if (unroll) {
      line("#pragma unroll");
      copies_ *= extent.value_or(1);
    } else if (extent && around > 1 && around * *extent > kCopiesLeftOpen) {
      line(fmt::format("#pragma unroll {}", std::clamp<int64_t>(kCopies / around, 1, 8)));
    }
    const std::string type = value_type(s.loop_var->dtype, s);
    const size_t names = fresh_.size();
    const std::string var = name_of(s.loop_var);
    line(fmt::format("for ({} {} = {}; {} < {}; ++{}) {{", type, var, min, var, last, var), &s);
    block(s.body);
    line("}");
    forget_names(names);
    copies_ = around;
  }

  std::string address(const Expr& expr, const Node& where) {
    const auto* load = expr.as<BufferLoad>();
    if (load == nullptr) {
      fail(where, "an address is an element, as S[i, j]");
      return "0";
    }
    return "&" + element(load->buffer, load->indices, where);
  }

  void evaluate(const Evaluate& s) {
    const auto* call = s.value.as<Call>();
    if (call == nullptr)
      return line("(void)(" + expression(s.value).text + ");", &s);
    const std::string& op = call->op;
    const auto number = [&](size_t i) { return as_int(call->args[i]).value_or(-1); };
    if (op == "sync_threads" && call->args.empty())
      return line(builtin("__syncthreads") + "();", &s);
    if (dialect_.own_builtins && is_of_ptx(*call))
      return fail(s, no_form("T." + op + " is of CUDA; it has"));
    if (op == "sync_threads")
      return line(fmt::format("asm volatile(\"bar.sync %0, %1;\" ::\"r\"({}), \"r\"({}) : "
                              "\"memory\");",
                              expression(call->args[0]).text, expression(call->args[1]).text),
                  &s);
    if (op == "sync_warp")
      return line(builtin("__syncwarp") + "();", &s);
    if (op == "inline_cuda" || op == "inline_ptx")
      return inlined(s, *call);
    if (op == tir::kPrint && dialect_.own_builtins)
      return fail(s, no_form("T.print has") + ": take it out; temper check prints on the CPU");
    if (op == tir::kPrint) {
      std::string values;
      for (size_t i = 1; i < call->args.size(); ++i)
        values += fmt::format(", ({})({})",
                              call->args[i]->dtype.is_floating() ? "double"
                              : call->args[i]->dtype.is_uint()   ? "unsigned long long"
                                                                 : "long long",
                              expression(call->args[i]).text);
      std::string format;
      for (const char c : tir::print_format(*call))
        format += c == '\n'               ? "\\n"
                  : c == '"' || c == '\\' ? std::string("\\") + c
                                          : std::string(1, c);
      return line("printf(\"" + format + "\"" + values + ");", &s);
    }
    if (op == "atomic_max" || op == "atomic_min") {
      const DataType dtype = call->args[0]->dtype;
      const std::string of_float = op + "_float";
      if (dtype == DataType::float32() && dialect_.in_prelude(of_float)) {
        want(of_float);
        return line(of_float + "(" + address(call->args[0], s) + ", " +
                        expression(call->args[1]).text + ");",
                    &s);
      }
      if (!dtype.is_integral() || dtype.bits < 32)
        return fail(s, no_form("T." + op + " of " + to_string(dtype) + " has") +
                           "; it takes float32, and integers of 32 and 64 bits");
      return line(builtin(op == "atomic_max" ? "atomicMax" : "atomicMin") + "(" +
                      address(call->args[0], s) + ", " + expression(call->args[1]).text + ");",
                  &s);
    }
    if (op == "atomic_add") {
      const DataType dtype = call->args[0]->dtype;
      const std::string place = address(call->args[0], s);
      const std::string value = expression(call->args[1]).text;
      const std::string small = is_half(dtype) ? "atomic_add_half" : "atomic_add_bfloat";
      if (is_small_float(dtype) && dialect_.in_prelude(small)) {
        want(small);
        return line(small + "(" + place + ", " + stored(dtype, value) + ");", &s);
      }
      if (is_small_float(dtype) || dtype.bits < 32)
        return fail(s, no_form("T.atomic_add of " + to_string(dtype) + " has") + "; add float32");
      if (dtype == DataType::int64()) // the same bits as without a sign, which CUDA C++ adds
        return line(fmt::format("{0}(reinterpret_cast<unsigned long long*>({1}), "
                                "static_cast<unsigned long long>({2}));",
                                builtin("atomicAdd"), place, value),
                    &s);
      return line(builtin("atomicAdd") + "(" + place + ", " + value + ");", &s);
    }
    if (op == "ptx_cp_async") {
      const int64_t elements = call->args.size() > 2 ? number(2) : 1;
      const int64_t bytes = elements * call->args[0]->dtype.element_bytes();
      if (bytes != 4 && bytes != 8 && bytes != 16)
        return fail(s, fmt::format("T.ptx_cp_async copies 4, 8 or 16 bytes, not {}", bytes));
      want("cp_async");
      return line(fmt::format("cp_async<{}>({}, {}{});", bytes, address(call->args[0], s),
                              address(call->args[1], s),
                              call->args.size() > 3 ? ", " + expression(call->args[3]).text : ""),
                  &s);
    }
    if (op == "copy_vector") {
      want(op);
      return line(fmt::format("copy_vector<{}>({}, {});",
                              number(2) * call->args[0]->dtype.element_bytes(),
                              address(call->args[0], s), address(call->args[1], s)),
                  &s);
    }
    if (op == "ptx_commit_group") {
      want("cp_async_commit");
      return line("cp_async_commit();", &s);
    }
    if (op == "ptx_wait_group") {
      want("cp_async_wait");
      return line(fmt::format("cp_async_wait<{}>();", number(0)), &s);
    }
    if (op.starts_with("mbarrier_") && dialect_.in_prelude(op)) {
      want(op);
      return line(op + "(" + address(call->args[0], s) +
                      (call->args.size() > 1 ? ", " + expression(call->args[1]).text : "") + ");",
                  &s);
    }
    if (op == "ptx_ldmatrix") {
      const std::string function =
          fmt::format("ldmatrix_x{}{}", number(2), number(3) != 0 ? "_trans" : "");
      if (!dialect_.in_prelude(function))
        return fail(s, "T.ptx_ldmatrix loads 1, 2 or 4 matrices");
      want(function);
      return line(
          function + "(" + address(call->args[0], s) + ", " + address(call->args[1], s) + ");", &s);
    }
    if (op == "ptx_mma")
      return mma(s, *call);
    if (op == "amd_mfma")
      return mfma(s, *call);
    if (op == "ptx_wgmma_ss" || op == "ptx_wgmma_rs")
      return wgmma(s, *call);
    if (op.starts_with("tma_load") || op == "tma_store")
      return tma(s, *call);
    if (op == "ptx_stmatrix") {
      const std::string function = fmt::format("stmatrix_x{}", number(2));
      if (!dialect_.in_prelude(function))
        return fail(s, "T.ptx_stmatrix stores 1, 2 or 4 matrices");
      want(function);
      return line(
          function + "(" + address(call->args[0], s) + ", " + address(call->args[1], s) + ");", &s);
    }
    if (op.starts_with("tma_store_") && dialect_.in_prelude(op)) {
      want(op);
      return line(call->args.empty() ? op + "();" : fmt::format("{}<{}>();", op, number(0)), &s);
    }
    if ((op.starts_with("fence_") || op == "cluster_sync" || op.starts_with("warpgroup_")) &&
        dialect_.in_prelude(op)) {
      want(op);
      return line(call->args.empty() ? op + "();" : fmt::format("{}<{}>();", op, number(0)), &s);
    }
    if (op == "prefetch") {
      const std::string at = address(prefetch_address(*call), s);
      if (dialect_.own_builtins)
        return line("__builtin_prefetch(" + at + ");", &s);
      const std::string function = fmt::format("prefetch_l{}", prefetch_level(*call));
      want(function);
      return line(function + "(" + at + ");", &s);
    }
    if (op == "setmaxnreg") {
      want(op);
      return line(fmt::format("setmaxnreg<{}, {}>();", number(0), number(1)), &s);
    }
    const OpInfo* info = find_op(op);
    if (info != nullptr && info->result == OpResult::kStatement)
      return fail(s, no_form("T." + op + " has") + " yet");
    line("(void)(" + expression(s.value).text + ");", &s);
  }

  /// What only PTX has.
  static bool is_of_ptx(const Call& call) {
    for (const char* prefix : {"ptx_", "mbarrier_", "tma_", "warpgroup_", "fence_proxy",
                               "setmaxnreg", "inline_", "sync_threads"}) // of a part of the block
      if (call.op.starts_with(prefix))
        return true;
    return false;
  }

  void mfma(const Evaluate& s, const Call& call) {
    const auto* name = call.args[3].as<StringImm>();
    const std::string function = "mfma_" + (name != nullptr ? name->value : "");
    if (!dialect_.in_prelude(function))
      return fail(s, no_form("T.amd_mfma (" + (name != nullptr ? name->value : "") + ") has"));
    want(function);
    line(fmt::format("{}({}, {}, {});", function, address(call.args[0], s),
                     address(call.args[1], s), address(call.args[2], s)),
         &s);
  }

  /// $0, $1, ... are the values behind the text.
  void inlined(const Evaluate& s, const Call& call) {
    const auto* text = call.args.empty() ? nullptr : call.args[0].as<StringImm>();
    if (text == nullptr)
      return fail(s, "T." + call.op + " begins with its text");
    const bool ptx = call.op == "inline_ptx";
    const size_t values = ptx ? tir::kPtxValues : 1; // the first of them
    std::string code;
    for (size_t i = 0; i < text->value.size(); ++i) {
      if (text->value[i] != '$' || i + 1 == text->value.size() ||
          std::isdigit(static_cast<unsigned char>(text->value[i + 1])) == 0) {
        code += ptx && text->value[i] == '"' ? "\\\"" : std::string(1, text->value[i]);
        continue;
      }
      const auto which = static_cast<size_t>(text->value[++i] - '0');
      if (values + which >= call.args.size())
        return fail(s, fmt::format("T.{} has no value for ${}", call.op, which));
      code += ptx ? "%" + std::to_string(which)
                  : "(" + expression(call.args[values + which]).text + ")";
    }
    if (!ptx)
      return line(code, &s);
    // What is written is read, too: under a predicate it may stay as it was.
    const auto outputs = static_cast<size_t>(tir::ptx_outputs(call));
    std::string lists[2]; // written, read
    for (size_t i = 0; values + i < call.args.size(); ++i) {
      const Expr& value = call.args[values + i];
      const DataType dtype = value->dtype;
      const char* constraint = dtype.is_floating() ? (dtype.bits == 64 ? "d" : "f")
                               : dtype.bits == 64  ? "l"
                                                   : "r";
      std::string& list = lists[i < outputs ? 0 : 1];
      list += fmt::format("{}\"{}{}\"({})", list.empty() ? "" : ", ", i < outputs ? "+" : "",
                          constraint, expression(value).text);
    }
    line("asm volatile(\"" + code + "\" :" + (lists[0].empty() ? "" : " " + lists[0] + " ") + ":" +
             lists[1] + " : \"memory\");",
         &s);
  }

  /// "mma_m16n8k16_f32_f16": the function of the prelude for a product, by `text` and the types of
  /// its sums and operands; empty, with an error, where there is none.
  std::string product_function(const Call& call, const Node& where, const std::string& prefix,
                               const std::string& suffix) {
    const auto* name = call.args[3].as<StringImm>();
    const auto text = parse_matrix_text(name != nullptr ? name->value : "");
    if (!text) {
      fail(where, text.error().message);
      return {};
    }
    const DataType sums = call.args[0]->dtype, a = call.args[1]->dtype, b = call.args[2]->dtype;
    const std::string type_a = ptx_operand_type(text->a, a), type_b = ptx_operand_type(text->b, b);
    std::string function = fmt::format("{}_{}_{}_{}{}{}", prefix, text->shape,
                                       ptx_operand_type(MatrixOperand::kAsStored, sums), type_a,
                                       type_b == type_a ? "" : "_" + type_b, suffix);
    if (!dialect_.in_prelude(function)) {
      fail(where, no_form(fmt::format("T.{} of {} by {} into {} ({}) has", call.op, to_string(a),
                                      to_string(b), to_string(sums), name->value)));
      return {};
    }
    want(function);
    return function;
  }

  void mma(const Evaluate& s, const Call& call) {
    const std::string function = product_function(call, s, "mma", "");
    if (!function.empty())
      line(fmt::format("{}({}, {}, {});", function, address(call.args[0], s),
                       address(call.args[1], s), address(call.args[2], s)),
           &s);
  }

  /// The swizzle of a buffer in shared memory in bytes: 0, 32, 64 or 128.
  int swizzle_bytes(const Buffer& buffer) const {
    const auto found = layouts_.find(buffer.get());
    return found == layouts_.end() || found->second.swizzle.empty()
               ? 0
               : 16 << found->second.swizzle.bits;
  }

  /// The descriptor of a tile in shared memory that wgmma reads; `columns` where its rows are k.
  std::string wgmma_descriptor(const Expr& operand, bool columns, const Node& where) {
    const auto* load = operand.as<BufferLoad>();
    const int bytes = load != nullptr ? swizzle_bytes(load->buffer) : 0;
    const auto rows = load != nullptr && load->buffer->rank() >= 2
                          ? as_int(load->buffer->shape[load->buffer->rank() - 2])
                          : std::nullopt;
    if (bytes == 0 || !rows) {
      fail(where, "wgmma reads tiles that lie with a swizzle of 32, 64 or 128 bytes; annotate the "
                  "layout of its operands");
      return {};
    }
    // Groups of eight rows follow each other; boxes of columns come after all rows.
    want("wgmma_descriptor");
    return fmt::format("wgmma_descriptor<{}, {}, {}>({})", columns ? *rows * bytes : 16, 8 * bytes,
                       bytes == 128  ? 1
                       : bytes == 64 ? 2
                                     : 3,
                       address(operand, where));
  }

  void wgmma(const Evaluate& s, const Call& call) {
    const bool registers_a = call.op == "ptx_wgmma_rs";
    const auto transposed = as_int(call.args[4]);
    if (!transposed)
      return fail(s, "whether B is transposed must be constant for T." + call.op);
    const std::string function =
        product_function(call, s, registers_a ? "wgmma_rs" : "wgmma", *transposed == 0 ? "_n" : "");
    if (function.empty())
      return;
    const std::string a =
        registers_a ? address(call.args[1], s) : wgmma_descriptor(call.args[1], false, s);
    line(fmt::format("{}({}, {}, {}, {});", function, address(call.args[0], s), a,
                     wgmma_descriptor(call.args[2], *transposed == 0, s),
                     expression(call.args[5]).text),
         &s);
  }

  /// tma_load(S[i, j], A[k, l], barrier, extents...), tma_store(A[k, l], S[i, j], extents...),
  /// tma_load_multicast(S[i, j], A[k, l], barrier, blocks, extents...)
  void tma(const Evaluate& s, const Call& call) {
    const bool load = call.op != "tma_store";
    const bool multicast = call.op == "tma_load_multicast";
    const auto* tile = call.args[load ? 0 : 1].as<BufferLoad>();
    const auto* tensor = call.args[load ? 1 : 0].as<BufferLoad>();
    const size_t first_extent = multicast ? 4 : load ? 3 : 2;
    TensorMap map;
    map.argument = -1;
    for (size_t i = 0; i < function_->params.size(); ++i)
      if (tensor != nullptr && function_->params[i].buffer == tensor->buffer)
        map.argument = static_cast<int>(i);
    if (tile == nullptr || map.argument < 0)
      return fail(s, "T." + call.op + " moves boxes of a buffer that is a parameter");
    const int64_t bytes = tensor->buffer->dtype.element_bytes();
    map.dtype = to_string(tensor->buffer->dtype);
    map.swizzle_bytes = swizzle_bytes(tile->buffer);
    int64_t stride = bytes;
    const size_t rank = tensor->buffer->shape.size();
    std::string coordinates;
    for (size_t d = rank; d-- > 0;) {
      const auto extent = as_int(tensor->buffer->shape[d]);
      if (!extent)
        return fail(s, fmt::format("the shape of {} must be constant for T.{}",
                                   tensor->buffer->name, call.op));
      const size_t behind = rank - d; // the innermost is 1
      const auto box = behind <= call.args.size() - first_extent
                           ? as_int(call.args[call.args.size() - behind])
                           : std::optional<int64_t>(1);
      if (!box)
        return fail(s, "the box of T." + call.op + " must be constant");
      map.shape.push_back(*extent);
      map.box.push_back(*box);
      stride *= *extent;
      if (d > 0)
        map.strides_bytes.push_back(stride);
      coordinates += ", " + expression(tensor->indices[d]).text;
    }
    const std::string copy = fmt::format("{}_{}d", call.op, rank);
    if (!dialect_.in_prelude(copy))
      return fail(s, fmt::format("T.{} has no form for {} dimensions", call.op, rank));
    want(copy);
    auto known = std::find_if(maps_.begin(), maps_.end(),
                              [&](const auto& other) { return other.first == map; });
    if (known == maps_.end()) {
      std::string map_name = name_of(tensor->buffer) + "_map";
      for (int i = 1; !used_.insert(map_name).second; ++i)
        map_name = fmt::format("{}_map_{}", name_of(tensor->buffer), i);
      maps_.emplace_back(map, map_name);
      known = maps_.end() - 1;
    }
    const std::string place = address(call.args[load ? 0 : 1], s);
    line(load ? fmt::format("{}({}, &{}, {}{}{});", copy, place, known->second,
                            address(call.args[2], s),
                            multicast ? ", " + expression(call.args[3]).text : "", coordinates)
              : fmt::format("{}(&{}, {}{});", copy, known->second, place, coordinates),
         &s);
  }

  // Expressions.

  static std::string at_level(const Text& text, int level) {
    return text.level > level ? "(" + text.text + ")" : text.text;
  }

  std::string element(const Buffer& buffer, const std::vector<Expr>& indices, const Node& where) {
    if (is_scalar(buffer))
      return name_of(buffer);
    if (const auto layout = layouts_.find(buffer.get()); layout != layouts_.end()) {
      const Expr place = math_.simplify(layout_value(layout->second, indices));
      return name_of(buffer) + "[" + expression(place).text + "]";
    }
    int64_t count = buffer->element_count().value_or(int64_t{1} << 40);
    const bool wide = count > INT32_MAX;
    Expr place;
    std::vector<Expr> strides = buffer->strides;
    if (strides.empty()) {
      Expr stride = make_int(DataType::int32(), 1);
      strides.resize(indices.size());
      for (size_t d = indices.size(); d-- > 0;) {
        strides[d] = stride;
        if (d > 0)
          stride = tile_product(stride, buffer->shape[d]);
      }
    }
    const DataType type = wide ? DataType::int64() : DataType::int32();
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!indices[d]->dtype.is_scalar()) {
        fail(where, no_form("vectors have") + " yet; access the elements one by one");
        return "";
      }
      const Expr term = as_type(type, math_.simplify(indices[d])) * as_type(type, strides[d]);
      place = place ? place + term : term;
    }
    if (!place)
      place = make_int(type, 0);
    return name_of(buffer) + "[" + expression(place).text + "]";
  }
  static Expr as_type(DataType type, const Expr& expr) {
    if (expr->dtype == type)
      return expr;
    if (const auto value = as_int(expr))
      return make_int(type, *value);
    if (const auto* cast = expr.as<Cast>(); cast != nullptr && cast->value->dtype == type)
      return cast->value;
    return make_cast(type, expr);
  }
  static Expr tile_product(const Expr& a, const Expr& b) { return a * as_type(a->dtype, b); }

  Text binary(const Expr& a, const Expr& b, const char* op, int level) {
    // The right side of a chain binds tighter: a - (b - c).
    return {at_level(expression(a), level) + " " + op + " " + at_level(expression(b), level - 1),
            level};
  }
  static Text call(const std::string& function, const std::string& arguments) {
    return {function + "(" + arguments + ")", 1};
  }
  std::string list(const std::vector<Expr>& args) {
    std::string text;
    for (const Expr& arg : args)
      text += (text.empty() ? "" : ", ") + expression(arg).text;
    return text;
  }

  Text divided(const Expr& a, const Expr& b, bool remainder) {
    // As bits where they are a power of two: that rounds down whatever the sign, and compilers need
    // not find out that an index is never negative, which costs them a fifth of their time.
    if (const auto by = as_int(b); by && *by > 1 && std::has_single_bit(static_cast<uint64_t>(*by)))
      return remainder ? Text{at_level(expression(a), 3) + " & " + std::to_string(*by - 1), 11}
                       : Text{at_level(expression(a), 3) + " >> " +
                                  std::to_string(std::countr_zero(static_cast<uint64_t>(*by))),
                              7};
    const auto zero = [](const Expr& e) { return make_int(e->dtype, 0); };
    const bool plain = a->dtype.is_uint() || (math_.can_prove(make_binary<LE>(zero(a), a)) &&
                                              math_.can_prove(make_binary<LT>(zero(b), b)));
    if (plain)
      return binary(a, b, remainder ? "%" : "/", 5);
    want("floor_div");
    Text result = call(remainder ? "floor_mod" : "floor_div", list({a, b}));
    if (a->dtype != DataType::int64())
      result = {"static_cast<" + value_type(a->dtype, *a) + ">(" + result.text + ")", 1};
    return result;
  }

  Text least(const Expr& a, const Expr& b, bool largest) {
    const DataType dtype = a->dtype;
    if (dtype.is_floating())
      return call(std::string(dialect_.math_prefix) + (largest ? "fmax" : "fmin") +
                      (dtype.bits == 64 ? "" : "f"),
                  list({a, b}));
    return call(builtin(largest ? "max" : "min"), list({a, b}));
  }

  std::string float_text(double value, DataType dtype) {
    const bool is_double = dtype.bits == 64;
    if (std::isnan(value))
      return is_double ? builtin("__longlong_as_double") + "(0x7ff8000000000000ll)"
                       : builtin("__int_as_float") + "(0x7fc00000)";
    if (std::isinf(value)) {
      const std::string limit = is_double
                                    ? builtin("__longlong_as_double") + "(0x7ff0000000000000ll)"
                                    : builtin("__int_as_float") + "(0x7f800000)";
      return value > 0 ? limit : "(-" + limit + ")";
    }
    std::string text = is_double ? fmt::format("{:.17g}", value)
                                 : fmt::format("{:.9g}", static_cast<float>(value));
    if (text.find_first_of(".e") == std::string::npos)
      text += ".0";
    return text + (is_double ? "" : "f");
  }

  Text expression(const Expr& expr) {
    if (!error_.message.empty())
      return {"0", 0};
    if (!expr->dtype.is_scalar() && !expr->dtype.is_handle()) {
      fail(*expr, no_form("vectors have") + " yet; access the elements one by one");
      return {"0", 0};
    }
    return ir::visit(
        expr,
        [&](const VarNode& e) -> Text {
          return {name(&e, e.name), 0};
        },
        [&](const IntImm& e) -> Text {
          if (e.dtype.is_bool())
            return {e.value != 0 ? "true" : "false", 0};
          std::string text = std::to_string(e.value);
          if (e.value == INT64_MIN)
            text = "(-9223372036854775807ll - 1)";
          else if (e.dtype.bits == 64)
            text += e.dtype.is_uint() ? "ull" : "ll";
          else if (e.dtype.is_uint())
            text = std::to_string(static_cast<uint32_t>(e.value)) + "u";
          return {text, e.value < 0 ? 3 : 0};
        },
        [&](const FloatImm& e) -> Text {
          return {float_text(e.value, e.dtype), e.value < 0 ? 3 : 0};
        },
        [&](const StringImm& e) -> Text {
          fail(e, no_form("text has"));
          return {"0", 0};
        },
        [&](const ListImm& e) -> Text {
          fail(e, no_form("a list has"));
          return {"0", 0};
        },
        [&](const Cast& e) -> Text { return cast(e); },
        [&](const Add& e) { return binary(e.a, e.b, "+", 6); },
        [&](const Sub& e) { return binary(e.a, e.b, "-", 6); },
        [&](const Mul& e) { return binary(e.a, e.b, "*", 5); },
        [&](const Div& e) { return binary(e.a, e.b, "/", 5); },
        [&](const Mod& e) -> Text {
          if (e.dtype.is_floating()) {
            if (dialect_.own_builtins)
              fail(e, no_form("a remainder of floats has") + " without a library of the device");
            return call(e.dtype.bits == 64 ? "fmod" : "fmodf", list({e.a, e.b}));
          }
          return binary(e.a, e.b, "%", 5);
        },
        [&](const FloorDiv& e) { return divided(e.a, e.b, false); },
        [&](const FloorMod& e) { return divided(e.a, e.b, true); },
        [&](const Min& e) { return least(e.a, e.b, false); },
        [&](const Max& e) { return least(e.a, e.b, true); },
        [&](const EQ& e) { return binary(e.a, e.b, "==", 10); },
        [&](const NE& e) { return binary(e.a, e.b, "!=", 10); },
        [&](const LT& e) { return binary(e.a, e.b, "<", 9); },
        [&](const LE& e) { return binary(e.a, e.b, "<=", 9); },
        [&](const GT& e) { return binary(e.a, e.b, ">", 9); },
        [&](const GE& e) { return binary(e.a, e.b, ">=", 9); },
        [&](const And& e) { return binary(e.a, e.b, "&&", 14); },
        [&](const Or& e) -> Text {
          // GCC-like compilers warn of && in || without brackets.
          return {at_level(expression(e.a), 13) + " || " + at_level(expression(e.b), 13), 15};
        },
        [&](const Not& e) -> Text {
          return {"!" + at_level(expression(e.a), 3), 3};
        },
        [&](const Select& e) { return choice(e.condition, e.true_value, e.false_value); },
        [&](const BufferLoad& e) -> Text {
          if (e.predicate)
            fail(e, no_form("vectors have") + " yet");
          const std::string text = element(e.buffer, e.indices, e);
          if (!is_small_float(e.buffer->dtype))
            return {text, 1};
          storage(e.buffer->dtype, e);
          return call("to_float", text);
        },
        [&](const Ramp& e) -> Text {
          fail(e, no_form("vectors have") + " yet");
          return {"0", 0};
        },
        [&](const Broadcast& e) -> Text {
          fail(e, no_form("vectors have") + " yet");
          return {"0", 0};
        },
        [&](const Shuffle& e) -> Text {
          fail(e, no_form("vectors have") + " yet");
          return {"0", 0};
        },
        [&](const Let& e) -> Text {
          return expression(substitute(e.body, {{e.var, e.value}}));
        },
        [&](const Call& e) { return operation(e); });
  }

  Text choice(const Expr& condition, const Expr& yes, const Expr& no) {
    return {at_level(expression(condition), 14) + " ? " + at_level(expression(yes), 14) + " : " +
                at_level(expression(no), 15),
            16};
  }

  Text cast(const Cast& e) {
    const DataType from = e.value->dtype;
    const Text value = expression(e.value);
    if (is_small_float(e.dtype)) { // rounded, and computed with as float
      const std::string as_float = from == DataType::float32() || is_small_float(from)
                                       ? value.text
                                       : "static_cast<float>(" + value.text + ")";
      if (from == e.dtype)
        return value;
      return call("to_float", stored(e.dtype, as_float));
    }
    if (is_small_float(from) && e.dtype == DataType::float32())
      return value;
    if (from == e.dtype)
      return value;
    if (e.dtype.is_bool())
      return {at_level(value, 9) + " != 0", 10};
    return call("static_cast<" + value_type(e.dtype, e) + ">", value.text);
  }

  /// The name of a mathematical function.
  std::string math(const std::string& op, bool wide, const Call& e) {
    const std::string name = op + (wide ? "" : "f");
    if (!dialect_.own_builtins)
      return name;
    if (dialect_.in_prelude(name)) {
      want(name);
      return name;
    }
    // What the compiler has instructions for; anything else would be a library's.
    static const std::unordered_set<std::string> kInstructions = {
        "expf", "exp2f",  "exp10f", "logf",   "log2f",  "log10f",     "sqrtf", "sinf",
        "cosf", "floorf", "ceilf",  "truncf", "roundf", "nearbyintf", "fmaf",  "copysignf",
        "sqrt", "floor",  "ceil",   "trunc",  "round",  "nearbyint",  "fma",   "copysign"};
    if (!kInstructions.contains(name))
      fail(e, no_form("T." + op + " of " + to_string(e.dtype) + " has") +
                  " without a library of the device");
    return dialect_.math_prefix + name;
  }

  Text operation(const Call& e) {
    const std::string& op = e.op;
    if (op == "if_then_else")
      return choice(e.args[0], e.args[1], e.args[2]);
    if (op == "likely")
      return expression(e.args[0]);
    static const std::unordered_map<std::string, std::pair<const char*, int>> kOperators = {
        {"bitwise_and", {"&", 11}},
        {"bitwise_xor", {"^", 12}},
        {"bitwise_or", {"|", 13}},
        {"shift_left", {"<<", 7}},
        {"shift_right", {">>", 7}}};
    if (const auto found = kOperators.find(op); found != kOperators.end()) {
      // Brackets where C++'s own levels are a riddle.
      return {at_level(expression(e.args[0]), 4) + " " + found->second.first + " " +
                  at_level(expression(e.args[1]), 4),
              found->second.second};
    }
    if (op == "bitwise_not")
      return {"~" + at_level(expression(e.args[0]), 3), 3};
    const DataType dtype = e.dtype;
    const bool wide = dtype.bits == 64;
    static const std::unordered_set<std::string> kMath = {
        "exp",  "exp2",  "exp10", "log",   "log2",      "log10", "log1p", "sqrt", "rsqrt",
        "tanh", "erf",   "sin",   "cos",   "tan",       "asin",  "acos",  "atan", "sinh",
        "cosh", "floor", "ceil",  "trunc", "nearbyint", "pow",   "atan2", "fma",  "copysign"};
    if (op == "exp2" && !wide) { // one instruction, where exp2f is four
      want("approximate_exp2");
      return call("approximate_exp2", list(e.args));
    }
    if (kMath.contains(op) || op == "round")
      return call(math(op, wide, e), list(e.args));
    if (op == "sigmoid") {
      const std::string x = at_level(expression(e.args[0]), 3);
      return {
          fmt::format("1.0{0} / (1.0{0} + {2}(-{1}))", wide ? "" : "f", x, math("exp", wide, e)),
          5};
    }
    if (op == "abs")
      return call(dialect_.math_prefix + std::string(!dtype.is_floating() ? (wide ? "llabs" : "abs")
                                                     : wide               ? "fabs"
                                                                          : "fabsf"),
                  list(e.args));
    if (op == "isnan" || op == "isinf" || op == "isfinite") {
      const std::string x = at_level(expression(e.args[0]), 3);
      if (op == "isnan")
        return {x + " != " + x, 10};
      const bool is_double = e.args[0]->dtype.bits == 64;
      const std::string limit =
          float_text(INFINITY, is_double ? DataType::float64() : DataType::float32());
      return {fmt::format("{}fabs{}({}) {} {}", dialect_.math_prefix, is_double ? "" : "f", x,
                          op == "isinf" ? "==" : "<", limit),
              10};
    }
    if (op == "popcount" || op == "clz")
      return call(builtin(std::string(op == "clz" ? "__clz" : "__popc") +
                          (e.args[0]->dtype.bits == 64 ? "ll" : "")),
                  list(e.args));
    if (op.starts_with("shfl_"))
      return call(builtin("__" + op), "0xffffffffu, " + list(e.args));
    if (op == "reinterpret") {
      const DataType from = e.args[0]->dtype;
      const std::string x = expression(e.args[0]).text;
      if (from == DataType::float32() && dtype == DataType::int32())
        return call(builtin("__float_as_int"), x);
      if (from == DataType::float32() && dtype == DataType::uint(32))
        return call(builtin("__float_as_uint"), x);
      if (from == DataType::int32() && dtype == DataType::float32())
        return call(builtin("__int_as_float"), x);
      if (from == DataType::uint(32) && dtype == DataType::float32())
        return call(builtin("__uint_as_float"), x);
      if (from.is_integral() && dtype.is_integral())
        return call("static_cast<" + value_type(dtype, e) + ">", x);
      // Small floats are values as float, and bits in memory alone.
      if (is_small_float(dtype) && from.is_integral() && from.bits == 16) {
        const std::string made = is_half(dtype) ? "half_of_bits" : "bfloat_of_bits";
        want(made);
        return call("to_float", made + "(" + x + ")");
      }
      if (is_small_float(from) && dtype.is_integral() && dtype.bits == 16) {
        const std::string bits = is_half(from) ? "bits_of_half" : "bits_of_bfloat";
        want(bits);
        return call("static_cast<" + value_type(dtype, e) + ">",
                    bits + "(" + stored(from, x) + ")");
      }
      fail(e,
           no_form("T.reinterpret from " + to_string(from) + " to " + to_string(dtype) + " has") +
               " yet");
      return {"0", 0};
    }
    fail(e, no_form("T." + op + " has") + " yet");
    return {"0", 0};
  }

  const GpuDialect& dialect_;
  uint32_t statement_line_ = 0; ///< of the statement that is printed
  PrimFunc function_;
  CudaSource source_;
  std::vector<Buffer> workspaces_;
  std::unordered_map<const Node*, std::string> names_;
  std::vector<const Node*> fresh_; ///< named nodes, in order
  std::set<std::string> used_;
  std::set<std::string> wanted_;
  std::unordered_set<const BufferNode*> written_;
  std::unordered_map<const BufferNode*, int64_t> offsets_;
  std::unordered_map<const BufferNode*, Layout> layouts_; ///< of tiles that operations know
  std::vector<std::pair<TensorMap, std::string>> maps_;   ///< of the kernel, and their names
  int64_t shared_bytes_ = 0;
  Analyzer math_;
  std::string text_;
  int indent_ = 0;
  int64_t copies_ = 1; ///< of what is printed, that unrolling makes
  uint32_t script_line_ = 0;
  Error error_;
};

} // namespace

std::string gpu_codegen_version() {
  return fmt::format("codegen {}.{}", kCodegenVersion, kGpuCodegenVersion);
}

Result<CudaSource> print_gpu(const PrimFunc& function, const GpuDialect& dialect) {
  return Printer(dialect).run(function);
}

Result<CudaSource> print_cuda(const PrimFunc& function) {
  static const GpuDialect kCuda = {.language = "CUDA",
                                   .axes = kAxes,
                                   .math_prefix = "",
                                   .prelude = cuda_prelude,
                                   .in_prelude = in_cuda_prelude,
                                   .own_builtins = false};
  return print_gpu(function, kCuda);
}

} // namespace temper::codegen
