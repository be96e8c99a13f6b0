/// Inside the verifier: what a layer uses to check its own statements. Private to ir/.
#pragma once

#include "ir/arith/region.h"
#include "ir/support/random.h"
#include "ir/tir/stmt.h"
#include "ir/verify.h"

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace temper::ir::verifier {

enum class Definition : uint8_t { kLoop, kAxis, kValue };

/// What a block declares about its body; accesses inside are compared with it.
struct AccessScope {
  std::string name;
  const std::vector<BufferRegion>* reads = nullptr;
  const std::vector<BufferRegion>* writes = nullptr;
  /// The update may read what the init wrote.
  bool reads_own_writes = false;
  /// False for the root block, which declares nothing.
  bool declares = true;
  /// Places in the verifier's stacks where the scope begins.
  size_t first_inner = 0;
  size_t first_guard = 0;
  size_t first_local = 0;
};

/// One function's check. The first error stops it; every method returns false after one.
class Verifier {
public:
  explicit Verifier(PrimFunc function, const VerifyOptions& options)
      : function_(std::move(function)), options_(options) {}

  Result<void> run();
  /// The same, and whether every access is proven to lie inside of its buffer; what certainly lies
  /// outside in one iteration is an error.
  Result<bool> run_with_accesses();

  bool stmt(const Stmt& stmt);
  bool expr(const Expr& expr);
  /// An expression of that type.
  bool typed(const Expr& expr, DataType dtype, const char* what);
  bool scalar_integer(const Expr& expr, const char* what);
  bool condition(const Expr& expr);
  bool region(const BufferRegion& region);
  bool annotations(const Annotations& annotations, const char* where);

  bool define(const Var& var, Definition definition);
  bool define(const Buffer& buffer);
  bool use(const Buffer& buffer, const NodeRef& where);
  bool is_known(const Var& var) const { return known_.contains(var.get()); }
  /// A buffer's own shape, strides and offset.
  bool buffer_parts(const Buffer& buffer);

  /// Notes the error; always false.
  bool fail(const NodeRef& node, std::string sentence);
  bool failed() const { return failed_; }

  /// An access of the region, in the current scope; checked against what the block declares.
  bool access(const Buffer& buffer, const std::vector<Range>& touched, bool is_write,
              const NodeRef& where);

  /// With accesses: the region, which is touched here, lies inside of its buffer.
  bool inside(const BufferRegion& region, const NodeRef& where);

  /// RAII: definitions, guards, path and inner variables made inside end with it.
  class Scope {
  public:
    Scope(Verifier& verifier, std::string path);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

  private:
    Verifier& verifier_;
    size_t defined_;
    size_t guards_;
    size_t inner_;
    size_t locals_;
    bool has_path_;
    Analyzer::Scope facts_;
  };

  /// A condition that holds in the current scope. What may not run at all has a guard, known or
  /// not.
  void guard(const Expr& condition);
  /// A variable of the current scope with its values, for regions and bounds.
  void inner(const Var& var, const Range& range);
  /// An axis: its values lie in the domain; in one iteration it has `value`.
  void axis(const Var& var, const Range& domain, const Expr& value);
  void local(const Buffer& buffer) { locals_.push_back(buffer.get()); }

  // Blocks.
  int block_depth = 0;
  std::vector<AccessScope> scopes;
  size_t inner_count() const { return inner_.size(); }
  size_t guard_count() const { return guards_.size(); }
  size_t local_count() const { return locals_.size(); }
  /// Loops around that break and continue may leave; 0 inside a new block.
  int breakable_loops = 0;
  /// Kernels around.
  int kernel_depth = 0;
  const PrimFunc& function() const { return function_; }
  bool at_function_body() const { return path_.empty(); }

private:
  struct Known {
    bool in_scope = false;
    Definition definition = Definition::kValue;
    int block_depth = 0;
  };

  bool binary_types(const Expr& expr);
  bool call(const Call& call, const Expr& expr);
  bool load(const BufferLoad& load, const Expr& expr);
  bool indices(const Buffer& buffer, const std::vector<Expr>& indices, const NodeRef& where,
               int* lanes);
  bool counterexample(const AccessScope& scope, const std::vector<const BufferRegion*>& declared,
                      const std::vector<Range>& touched, std::string& values) const;
  using Values = std::unordered_map<const VarNode*, int64_t>;
  /// The `sample`-th iteration that is tried: corners of all ranges first, then random points.
  /// False where it does not run, or nobody knows.
  bool iteration(int sample, Random& random, Values& values) const;
  std::string iteration_text(const Values& values, size_t first_of_block) const;
  bool inside(const Buffer& buffer, std::span<const Range> touched, const NodeRef& where);
  std::string path() const;

  PrimFunc function_;
  const VerifyOptions& options_;
  Analyzer analyzer_;
  std::unordered_map<const Node*, Known> known_;
  std::vector<const Node*> defined_; ///< in scope, in order
  std::unordered_set<const Node*> statements_;
  std::vector<VarRange> inner_;
  std::vector<Expr> guards_; ///< null: something unknown
  std::vector<const BufferNode*> locals_;
  std::vector<std::string> path_;
  bool with_accesses_ = false;
  bool proven_ = true;    ///< every access so far lies inside of its buffer
  bool may_stop_ = false; ///< break, return or an assertion: iterations may not be reached
  bool failed_ = false;
  Error error_;
  friend class Scope;
};

/// Kernels and tile operators (ir/tir/tile_verify.cpp).
bool verify_tile_statement(Verifier& verifier, const Stmt& stmt);

using StmtVerifier = bool (*)(Verifier& verifier, const Stmt& stmt);
void register_verifier(Kind kind, StmtVerifier function);
/// A check of the function as a whole, before its statements.
using FunctionVerifier = bool (*)(Verifier& verifier, const PrimFunc& function);
void register_function_verifier(FunctionVerifier function);

} // namespace temper::ir::verifier
