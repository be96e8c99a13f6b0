/// Reads the body of one prim_func: statements of the T language become statements of the IR. The
/// functions of T (language.cpp) come back here for what belongs to the place they are called at:
/// axes, regions, allocations.
#pragma once

#include "ir/s_tir/tensor_expressions.h"
#include "ir/script/evaluator.h"
#include "ir/tir/buffer_views.h"
#include "ir/tir/reducers.h"

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace temper::script {

class FunctionBuilder {
public:
  FunctionBuilder(Evaluator& evaluator, const Statement& def, const Decorator& decorator,
                  Environment& outer);
  /// Null when something was reported.
  PrimFunc build();
  /// What `say` adds, as statements of an s-tir function whose buffers come from elsewhere, with
  /// the block allocations among them; nothing when something was reported.
  std::optional<s_tir::te::Statements> build_statements(FunctionRef<void()> say);

  /// A block while it is read. The function's own level is the root block of an s-tir function.
  struct BlockFrame {
    bool is_root = false;
    std::string name;
    std::vector<s_tir::IterVar> axes;
    std::vector<Expr> values;
    Expr predicate;
    std::optional<std::vector<BufferRegion>> reads;
    std::optional<std::vector<BufferRegion>> writes;
    std::vector<Buffer> allocated;
    std::vector<s_tir::MatchBufferRegion> views;
    Annotations annotations;
    Stmt init;
    size_t depth = 0; ///< of statement lists: what describes the block stands directly in it
  };

  bool is_s_tir() const { return s_tir_; }
  /// The block whose description may be extended here; reports and returns null elsewhere.
  BlockFrame* describing_block(Position position, const char* what);
  BlockFrame& block() { return *blocks_.back(); }
  bool directly_in_block() const { return lists_.size() == blocks_.back()->depth; }
  bool at_function_level() const { return blocks_.size() == 1 && lists_.size() == 1; }

  /// The name on the left side of the assignment being read.
  std::string pending_name(size_t index, const char* otherwise) const;
  size_t pending_count() const { return pending_.size(); }
  void add(Stmt statement, Position position);
  /// The range of a loop around this place; null when `var` is none's.
  const Range* loop_range(const Var& var) const;
  /// The variable of a symbolic dimension in this function; `dtype` is what its maker says of it.
  Var symbol(const std::string& name, std::optional<DataType> dtype = std::nullopt);
  /// Turns a handle parameter into a buffer; false when `var` is no such parameter.
  bool match_parameter(const Var& var, const Buffer& buffer);
  bool is_parameter(const Var& var) const;
  void set_attrs(const Annotations& attrs);
  /// A buffer from a type; null when the type does not fit (reported).
  Buffer make_typed_buffer(const BufferType& type, const std::string& name, Position position);
  std::optional<BufferRegion> to_region(const Value& value, Position position);
  void store(const Buffer& buffer, const Value& index, const Value& value, Position position,
             Expr predicate = nullptr);
  void note_variable(const Var& var) { free_variables_.push_back(var); }
  /// True for a variable made by x = T.int32() that is no dimension of a parameter.
  bool is_free_variable(const Var& var) const;
  bool has_symbol(const std::string& name) const;
  bool in_loop() const { return loop_depth_ > 0; }
  /// The statements of a macro, at this place.
  /// A macro's statements; what its last one returns, if it is a return.
  Value inline_statements(const Body& body);
  bool in_kernel() const { return kernel_threads_ != nullptr; }
  /// An attribute of the function, as far as it was set.
  std::optional<std::string> text_attr(const std::string& key) const {
    return attrs_.get_string(key);
  }
  /// In no loop or condition of the kernel.
  bool directly_in_kernel() const { return in_kernel() && lists_.size() == kernel_depth_; }
  /// T.sync_grid() stands here.
  void note_grid_sync(Position position) { grid_syncs_.push_back(position); }
  /// The thread variables of the kernel around; null outside of kernels.
  const std::vector<Var>* kernel_threads() const {
    looked_at_threads_ = true;
    return kernel_threads_;
  }
  /// The block variables of the kernel around; null outside of kernels.
  const std::vector<Var>* kernel_blocks() const { return kernel_blocks_; }
  /// Puts an annotation on the allocation of a buffer that is in sight; false when this function
  /// does not allocate it here.
  bool annotate_allocation(const Buffer& buffer, const std::string& key, const Expr& value);
  /// Of the kernel around; null outside of kernels.
  Annotations* kernel_annotations() { return kernel_annotations_; }
  /// Of T.alloc_reducer; `op` is "sum", "max" or "min".
  void note_reducer(const Buffer& buffer, std::string op) {
    reducers_.emplace(buffer.get(), std::move(op));
  }
  bool is_reducer(const Buffer& buffer) const { return reducers_.contains(buffer.get()); }
  /// T.reshape and T.view: what uses `view` uses `buffer`, which is no view.
  void note_view(const Buffer& view, const Buffer& buffer) { views_.emplace(view.get(), buffer); }
  /// The buffer behind a view; the buffer itself where it is none.
  Buffer behind_view(const Buffer& buffer) const {
    const auto found = views_.find(buffer.get());
    return found == views_.end() ? buffer : found->second;
  }
  /// A scalar that changes: its allocation, and its first value when `value` is there.
  Value new_scalar(const std::string& name, DataType dtype, const Value* value, Position position);

private:
  /// The list of statements as the body of what is built; null when something was reported.
  Stmt resolved(std::vector<Stmt> list, size_t errors);
  void parameters(Environment& environment);
  void statements(const Body& body);
  /// The statements of a nested list, in an environment of their own.
  Stmt nested(const Body& body);
  Stmt nested_in(const Body& body, Environment& environment);
  void statement(const Statement& statement);
  void assign(const Statement& statement);
  void assign_to(const Expression& target, const Value& value, Position position);
  void annotated(const Statement& statement);
  void augmented(const Statement& statement);
  void expression(const Statement& statement);
  void if_statement(const Statement& statement);
  void for_loop(const Statement& statement);
  void persistent_loop(const Statement& statement, const LoopSpec& spec);
  void while_loop(const Statement& statement);
  void with(const Statement& statement);
  void sblock(const Statement& statement, const std::string& name);
  void kernel(const Statement& statement, const KernelSpec& spec);
  void assertion(const Statement& statement);
  void define_scalar(const std::string& name, DataType dtype, const Value* value,
                     Position position);
  void set_scalar(const ScalarVar& scalar, const Value& value, Position position);
  Stmt finish_block(BlockFrame& frame, Stmt body, Position position);
  Expr fit_value(const Value& value, DataType dtype, Position position, const std::string& what);

  struct ParameterSlot {
    std::string name;
    Param param;
    Position position;
  };

  Evaluator& evaluator_;
  const Statement& def_;
  Decorator decorator_;
  Environment& outer_;
  bool s_tir_ = false;
  std::vector<ParameterSlot> parameters_;
  std::vector<std::pair<std::string, Var>> symbols_;
  std::unordered_map<std::string, DataType> symbol_types_;
  Annotations attrs_;
  std::vector<std::string> pending_;
  std::vector<std::vector<Stmt>> lists_;
  tir::BufferViews views_;
  tir::Reducers reducers_;
  std::vector<BlockFrame*> blocks_;
  std::vector<std::pair<Var, Range>> loops_;
  int macro_depth_ = 0;
  std::set<const VarNode*> lets_; ///< what x: T.let = ... made
  std::vector<Var> free_variables_;
  int loop_depth_ = 0;
  const std::vector<Var>* kernel_threads_ = nullptr;
  mutable bool looked_at_threads_ = false; ///< what stands in the kernel depends on them
  const std::vector<Var>* kernel_blocks_ = nullptr;
  Annotations* kernel_annotations_ = nullptr;
  size_t kernel_depth_ = 0;          ///< of statement lists: the kernel's own
  std::vector<Position> grid_syncs_; ///< of the kernel at hand
};

} // namespace temper::script
