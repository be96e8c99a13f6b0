#include "tuner/space/rules_reference.h"

#include "tuner/space/sketch_space.h"

#include <fmt/format.h>

#include <map>

namespace temper::tuner {
namespace {

struct Description {
  const char* what;
  const char* decides; ///< what it leaves open, as sampled decisions or as sketches
  const char* like;    ///< what a user of TVM knows it by
};

const std::map<std::string, Description>& descriptions() {
  static const std::map<std::string, Description> all = {
      {"auto_inline",
       {"Inlines a block that computes one value per element, from elements, into its consumers, "
        "when that repeats nothing dear: no branch, no math function.",
        "nothing", "AutoInline(into_consumer)"}},
      {"row_fusion",
       {"Programs like softmax and the norms: all blocks are computed inside the row loop of the "
        "last one, so that a row stays in the first-level cache; reductions get vector-wide "
        "partial results.",
        "lanes of the partial results, unrolling", "dlight's GeneralReduction"}},
      {"vector_reduction",
       {"A reduction along the contiguous axis whose output has none (GEMV, row sums) is summed in "
        "vectors of partial results for several rows at a time.",
        "lanes, rows at a time", ""}},
      {"row_streaming",
       {"A product of a vector with a matrix whose contiguous axis is the output's, or sums of "
        "columns: rows run through some at a time, asked for ahead, past sums that stay in cache.",
        "cut of the sums, vectors, rows at a time, how far ahead", ""}},
      {"register_tiling",
       {"Matrix products and everything shaped like them: a tile of the output stays in vector "
        "registers over the whole reduction, operands are packed, loops blocked for the caches; "
        "dot-product instructions and matrix tiles where the machine has them.",
        "which operands are packed and where, cache blocks, unrolling, the instruction", ""}},
      {"window_tiling",
       {"Sums over a short window in which every operand moves with the output along its "
        "contiguous axis (depthwise convolutions, pooling).",
        "tile of the output's rows, unrolling of the window, where the padded input is made", ""}},
      {"multi_level_tiling",
       {"Every spatial axis is split into four, every reduction axis into two loops, ordered "
        "SSRSRS; what the innermost tile accumulates is written through a cache at the first or "
        "second level, or not.",
        "the factors; a sketch for each level of the cache", "MultiLevelTiling(\"SSRSRS\")"}},
      {"add_rfactor",
       {"A reduction that is much longer than what it writes is split, so that its parts run in "
        "parallel.",
        "the factor; a sketch for each position of the new axis", "AddRFactor(16, 64)"}},
      {"spatial_tiling",
       {"Elementwise blocks and copies that no other rule has scheduled: vector lanes of the "
        "innermost loop; a tile where an input moves fastest along another axis (a transpose).",
        "lanes, the tile", ""}},
      {"random_compute_location",
       {"A block that no other rule has placed is moved into a loop of its consumers, or stays.",
        "the place", "RandomComputeLocation"}},
      {"gpu_tensor_cores",
       {"Products of 16-bit floats or bytes (matrix products, batches of them, convolutions as the "
        "product that they are once their axes are fused) whose shape divides into instructions: "
        "tiles as SSSRRSRS, what is below the outer reduction left to the tile operators, which "
        "run "
        "on tensor cores (mma.sync; wgmma on sm_90a) with operands in a pipeline of asynchronous "
        "copies.",
        "the factors, stages; on sm_90a wgmma and who copies",
        "MultiLevelTilingTensorCore(\"SSSRRSRS\", use_software_pipeline)"}},
      {"gpu_multi_level_tiling",
       {"Every spatial axis is split into five loops, every reduction axis into three, ordered "
        "SSSRRSRS and bound to blocks, virtual threads and threads; operands are fetched into "
        "shared memory by all threads together, sums stay in registers.",
        "the factors, how many elements a thread fetches at once",
        "MultiLevelTiling(\"SSSRRSRS\")"}},
      {"gpu_auto_inline",
       {"Inlines a block that computes one value per element into its consumers, math functions "
        "and branches included; the last one into the tile that is written back.",
        "nothing", "AutoInline(into_producer, into_consumer)"}},
      {"gpu_cross_thread_reduction",
       {"A reduction that is not tiled is shared out among the threads of a block, in the row loop "
        "of its consumers where they have one: a softmax or a norm is one kernel.",
        "the number of threads; a sketch without it", "CrossThreadReduction"}},
      {"gpu_auto_bind",
       {"What is bound to nothing yet becomes a thread for each element, in a loop where that "
        "would be too many blocks.",
        "the threads of a block", "AutoBind(256)"}},
  };
  return all;
}

std::string rows_of(const RuleList& rules) {
  std::string text;
  for (const std::unique_ptr<Rule>& rule : rules) {
    const auto found = descriptions().find(rule->name());
    TEMPER_CHECK(found != descriptions().end(), "a rule is not described");
    const Description& description = found->second;
    text += fmt::format("| `{}` | {} | {} | {} |\n", rule->name(), description.what,
                        description.decides, *description.like == 0 ? " " : description.like);
  }
  return text;
}

} // namespace

std::string rules_reference() {
  std::string text =
      "# Rules of the design space\n"
      "\n"
      "Generated from the rules for CPUs (`default_cpu_rules`, `tuner/space/rules/`, a file each); "
      "a "
      "test\n"
      "keeps it fresh, and `TEMPER_UPDATE_GOLDEN=1 tuner_tests` rewrites it. They are applied in "
      "this order,\n"
      "each to every block, producers first; `temper-opt WORKLOAD --rule NAME,NAME` prints what "
      "some of them\n"
      "give.\n"
      "\n"
      "| rule | what it does | what it leaves open | in TVM |\n"
      "| --- | --- | --- | --- |\n";
  text += rows_of(default_cpu_rules(MachineHints()));
  const SketchOptions options;
  text += fmt::format(
      "\n"
      "What is mechanical follows when all decisions are made (`postprocess.h`): outer loops run "
      "in "
      "parallel,\n"
      "up to {} jobs a core; inner ones are vectorised, up to {} elements; unrolling by one of {} "
      "statements,\n"
      "which is a decision too; then the start of each sum is taken out of it. Mutations\n"
      "(`tuner/mutate/mutator.h`) change one decision of a candidate: a tiling, a place, a "
      "choice.\n",
      options.jobs_per_core, options.max_vectorize_extent, fmt::join(options.unroll_steps, ", "));
  const GpuHints gpu;
  text += "\n"
          "## For GPUs\n"
          "\n"
          "`default_gpu_rules` (`tuner/space/gpu_rules.h`); `temper-opt WORKLOAD --target "
          "cuda:sm_90a --sketches`\n"
          "prints what they give.\n"
          "\n"
          "| rule | what it does | what it leaves open | in TVM |\n"
          "| --- | --- | --- | --- |\n";
  text += rows_of(default_gpu_rules(gpu));
  text += fmt::format(
      "\n"
      "Post-processing (`gpu_postprocess.cpp`) is MetaSchedule's: RewriteCooperativeFetch shares "
      "fetches out among\n"
      "the threads, in vectors; RewriteUnboundBlock binds what is left; loops are marked for "
      "unrolling, by one of\n"
      "{} iterations, which is a decision too; RewriteReductionBlock takes the start\n"
      "of each sum out of its loops; VerifyGPUCode refuses more than {} threads of a block, or {} "
      "virtual ones of a\n"
      "thread. Shared memory and registers are held against the GPU's when the program is lowered "
      "(`gpu_pruning.h`).\n",
      fmt::join(gpu.unroll_steps, ", "), gpu.threads, gpu.virtual_threads);
  text += R"(
## By MetaSchedule's names

| in MetaSchedule | here |
| --- | --- |
| ApplyCustomRule | a block's `schedule_rule`, below |
| InlineConstantScalars, AutoInline | `auto_inline`, `gpu_auto_inline` |
| MultiLevelTilingWithIntrin | `register_tiling`, of which the instruction is a decision |
| MultiLevelTilingTensorCore | `gpu_tensor_cores` |
| ParallelizeVectorizeUnroll, RewriteParallelVectorizeUnroll | what is mechanical, above |
| RewriteReductionBlock | the same |
| RewriteTensorize | `tensorize` in the rules themselves: what does not fit is no candidate |
| RewriteLayout | operands that a workload calls `constant` are packed ahead by `register_tiling` |
| DisallowDynamicLoop | rules want constant extents; `def schedule(sch)` takes symbolic ones |
| RewriteCooperativeFetch, RewriteUnboundBlock, VerifyGPUCode | post-processing for GPUs, above |
| MutateTileSize | `tile_size`: nine in ten mutations, where there are tiles |
| MutateUnroll, MutateParallel, MutateThreadBinding | `category`: another choice of a categorical decision |
| MutateComputeLocation | `compute_location`: the place is drawn anew |
| custom rules, post-processors, mutators | functions in a file, below |

## Rules of your own

Functions in a workload's file serve its programs, those in a file that `TEMPER_RULES` names (several
with colons between them) all programs. What a function is, its name says (`ir/script/rule_file.h`):

```python
def stream_rule(sch, block, machine):            # NAME_rule: tried on every block, before the rules above
    if len(sch.get(block).reads) != 1:
        return                                   # nothing done: the rule does not apply
    loops = sch.get_loops(block)
    outer, inner = sch.split(loops[-1], [None, machine["vector_bits"] // 32])
    sch.vectorize(inner)
    sch.annotate(block, "temper.scheduled", 1)   # the rules above leave the block alone

def prefetch_postproc(sch):                      # NAME_postproc: after temper's own, for each candidate
    ...

def halve_mutator(decision, weight=0.1):         # NAME_mutator: a tenth of all mutations
    if decision["kind"] == "tile" and decision["value"][-1] % 2 == 0:
        tile = decision["value"]
        return [[tile[0] * 2] + tile[1:-1] + [tile[-1] // 2]]

def rows(sch, block):                            # for blocks that name it:
    ...                                          #   T.sblock_attr({"schedule_rule": "rows"})
```

`sch` is the schedule that `def schedule(sch)` has: its methods are the primitives
(`ir/s_tir/PRIMITIVES.md`), what is sampled stays open for the search. A rule returns nothing, or a list of
schedules made with `sch.copy()`, each of them a sketch. `sch.can("compute_inline", block)` asks whether a
primitive would be taken; one that refuses is an error at its line. `machine` (a third parameter, where it
is asked for) has `threads`, `vector_bits`, `vector_registers`, `l1_bytes`, `l2_bytes` and `features`.
A block with the annotation `schedule_rule` (MetaSchedule's) gets the rule that it names and no other;
"None" leaves it as it is. A mutator gets one decision (`kind` "tile", "category" or "location", its
`value`, the tile's `extent` and `max_innermost_factor`, or the `candidates` whose index the value is) and
returns a list of what it may become; what is no such decision is an error that names it. Rules may be
printed by `temper-opt WORKLOAD --rule stream_rule`.
)";
  return text;
}

} // namespace temper::tuner
