/// A schedule: an immutable module, the trace of what was done to it, and what each random variable
/// of the trace stands for in the module now.
///
///   Schedule sch(module, seed);
///   TEMPER_TRY(block, sch.get_sblock("C"));
///   TEMPER_TRY(loops, sch.get_loops(block));
///   TEMPER_TRY(tile, sch.sample_perfect_tile(loops[0], 2, 16));
///   TEMPER_TRY(split, sch.split(loops[0], {tile[0], tile[1]}));
///   TEMPER_TRY_VOID(sch.parallel(split[0]));
///
/// A call that fails leaves the schedule as it was. Copying is cheap (nodes and instructions are
/// shared) and copies are independent. One thread at a time per schedule.
#pragma once

#include "ir/s_tir/trace.h"

namespace temper::s_tir {

struct ReplayOptions {
  /// Missing decisions are sampled from the schedule's random(); otherwise they are errors.
  bool sample_missing = true;
  /// Decisions that do not fit here (another shape) become the nearest legal ones; otherwise they
  /// are errors.
  bool adapt = false;
};

class Schedule {
public:
  /// Blocks without an id, or with one that another block has, get fresh ones.
  explicit Schedule(IRModule module, uint64_t seed = 0);

  const IRModule& module() const { return module_; }
  const Trace& trace() const { return trace_; }
  Random& random() { return random_; }
  /// Errors carry the marked text of the module (the default). A search turns it off.
  void set_render_errors(bool render) { render_errors_ = render; }

  /// Any primitive: resolves random variables, applies, follows moved handles, appends to the
  /// trace. Missing trailing `attrs` take their defaults. `decision` None is sampled from random().
  Result<std::vector<Rv>> call(const Primitive& primitive, std::vector<Operand> inputs,
                               std::vector<Value> attrs = {}, Value decision = {});
  Result<std::vector<Rv>> call(std::string_view name, std::vector<Operand> inputs,
                               std::vector<Value> attrs = {}, Value decision = {});

  /// The same with handles in place of random variables, as Primitive::enumerate gives them: those
  /// without a name get one by name_of().
  Result<std::vector<Rv>> call(const Primitive& primitive, const Arguments& arguments);
  /// A random variable for a block or loop of the module: the oldest that stands for it, else a new
  /// one, made by getters that are appended to the trace.
  Result<Rv> name_of(const Value& handle);

  /// What a random variable stands for now; an error says which instruction removed it.
  Result<Value> get(Rv rv) const;
  Result<Block> get_block(BlockRv block) const;
  Result<Ref<For>> get_loop(LoopRv loop) const;
  /// Random variables that stand for this block or loop now, oldest first (the editor's names).
  std::vector<Rv> names_of(const Value& handle) const;
  /// What a primitive's check, apply and enumerate are called with.
  Context context() { return {module_, &random_, render_errors_}; }

  /// Replays a trace on top of this schedule, all of it or, when an instruction fails, nothing. See
  /// replay().
  Result<void> apply(const Trace& trace, const ReplayOptions& options = {});

  // One per primitive, as Python's Schedule has them; what each does is in PRIMITIVES.md.
  /// `function` empty: the module's only function.
  Result<BlockRv> get_sblock(const std::string& name, const std::string& function = "");
  Result<std::vector<LoopRv>> get_loops(BlockRv block);
  Result<std::vector<BlockRv>> get_child_blocks(Rv block_or_loop);
  Result<std::vector<BlockRv>> get_producers(BlockRv block);
  Result<std::vector<BlockRv>> get_consumers(BlockRv block);
  Result<std::vector<BlockRv>> get_output_blocks(BlockRv scope_block);

  Result<std::vector<ExprRv>> sample_perfect_tile(LoopRv loop, int n,
                                                  int64_t max_innermost_factor = 16,
                                                  std::vector<int64_t> decision = {});
  Result<ExprRv> sample_categorical(const std::vector<int64_t>& candidates,
                                    const std::vector<double>& probabilities,
                                    std::optional<int64_t> decision = {});
  Result<LoopRv> sample_compute_location(BlockRv block, std::optional<int64_t> decision = {});

  /// Factors are integers, sampled values, or at most one std::nullopt to be inferred.
  Result<std::vector<LoopRv>> split(LoopRv loop, std::vector<Operand> factors,
                                    bool preserve_unit_iters = true,
                                    bool disable_predication = false);
  Result<LoopRv> fuse(const std::vector<LoopRv>& loops, bool preserve_unit_iters = true);
  Result<void> reorder(const std::vector<LoopRv>& loops);
  Result<void> parallel(LoopRv loop);
  Result<void> vectorize(LoopRv loop);
  Result<void> unroll(LoopRv loop);
  Result<void> annotate(Rv block_or_loop, const std::string& key, Operand value);
  Result<void> unannotate(Rv block_or_loop, const std::string& key);

  Result<BlockRv> cache_read(BlockRv block, int64_t read_buffer_index, const std::string& scope,
                             const std::vector<BlockRv>& consumers = {});
  Result<void> transform_layout(BlockRv block, int64_t buffer_index,
                                const std::string& buffer_index_type, const std::string& index_map,
                                const std::vector<Operand>& parameters = {});
  Result<BlockRv> cache_write(BlockRv block, int64_t write_buffer_index, const std::string& scope,
                              const std::vector<BlockRv>& consumers = {});
  Result<void> compute_at(BlockRv block, LoopRv loop, bool preserve_unit_loops = false,
                          int64_t index = -1);
  Result<void> reverse_compute_at(BlockRv block, LoopRv loop, bool preserve_unit_loops = false,
                                  int64_t index = -1);
  Result<void> compute_inline(BlockRv block);
  Result<void> reverse_compute_inline(BlockRv block);
  Result<BlockRv> decompose_reduction(BlockRv block, LoopRv loop);
  Result<BlockRv> rfactor(LoopRv loop, int64_t factor_axis);
  Result<void> pack_ahead(BlockRv block);
  Result<BlockRv> convert_operand(BlockRv block, int64_t read_buffer_index,
                                  const std::string& dtype);
  /// The blocks that make the operand, the sums of the other one, and the result.
  Result<std::vector<BlockRv>> offset_operand(BlockRv block, int64_t read_buffer_index,
                                              int64_t offset, const std::string& dtype);
  Result<BlockRv> blockize(LoopRv target, bool preserve_unit_iters = true);
  Result<void> tensorize(Rv block_or_loop, const std::string& tensor_intrin,
                         bool preserve_unit_iters = true);
  Result<void> enter_postproc();

private:
  struct Entry {
    Value value;          ///< None when it is gone
    int32_t gone_by = -1; ///< the instruction that removed it
  };
  /// Runs `body`; when that fails the schedule is as it was before.
  template <typename F> auto all_or_nothing(F body);
  Result<void> apply_each(const Trace& trace, const ReplayOptions& options);
  Result<Rv> find_or_make_name(const Value& handle);
  Result<std::vector<Rv>> call_by_handles(const Primitive& primitive, const Arguments& arguments);
  Result<Value> resolve(const Operand& operand) const;
  /// Applies, and takes over module, moved handles and outputs. Returns the decision.
  Result<Value> perform(const Primitive& primitive, const Arguments& arguments,
                        std::vector<Rv>& outputs);

  IRModule module_;
  Trace trace_;
  std::vector<Entry> table_; ///< by random variable
  Random random_;
  bool render_errors_ = true;
};

/// A schedule of `module` made by `trace`. Random variables are numbered anew from 0. The error
/// says which instruction failed.
Result<Schedule> replay(const Trace& trace, const IRModule& module, uint64_t seed = 0,
                        const ReplayOptions& options = {});

} // namespace temper::s_tir
