/// Why a stored kernel is as fast as it is: its schedule, its machine code, what the machine
/// allows, and how it stands beside the program as written and the candidates next to it. What
/// `temper explain` shows. Compiles the program again to look at its code, but runs nothing.
#pragma once

#include "tuner/cost/analytical.h"
#include "tuner/record_context.h"
#include "tuner/workbench.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// An innermost loop of the machine code, counted for one time through it.
struct CodeLoop {
  int depth = 1; ///< loops around it, itself included
  int64_t instructions = 0;
  int64_t multiply_adds = 0; ///< fused, or dot products
  int64_t arithmetic = 0;    ///< other instructions on vector registers that compute
  int64_t loads = 0;         ///< reads of memory, as operands too
  int64_t stores = 0;
  int64_t stack = 0; ///< of loads and stores, those of fixed places on the stack: spills mostly
  int64_t prefetches = 0;
  int64_t calls = 0;
  int vector_bits = 0;      ///< widest vector; 0: scalars only
  int vector_registers = 0; ///< different ones that are used
  int sums = 0;             ///< registers that are added to from one time through to the next
  int64_t longest_sum = 0;  ///< additions to one of them, one after the other
};

/// Innermost loops of x86 assembly as `codegen::emit_assembly_text` prints it (AT&T), in its order.
std::vector<CodeLoop> innermost_loops(std::string_view assembly);
/// The one that does most of the arithmetic: multiply-adds first, then depth; null without loops.
const CodeLoop* hottest(const std::vector<CodeLoop>& loops);

/// What of a core an iteration of a loop needs longest.
struct LoopBound {
  std::string
      what; ///< "multiply-add units", "load ports", "store port", "front end", "chain of sums"
  double cycles = 0;
};
/// Longest first.
std::vector<LoopBound> loop_bounds(const CodeLoop& loop, const MachineRates& rates);

/// A candidate that differs in one decision.
struct Neighbour {
  database::Id record;
  std::string decision; ///< "v11, v12", as the trace calls what was sampled
  std::string here;     ///< this record's, "[19, 9]"
  std::string there;
  double ns = 0;
  double ratio = 0; ///< over this candidate's own in the search
};

struct Explanation {
  RecordContext context;
  database::Candidate candidate;
  std::string origin; ///< why it was proposed: "mutate tile_size"
  std::string trace;  ///< as Python
  Json facts;         ///< static facts that were stored; null without
  bool here = false;  ///< measured on a machine of this class: what follows until `loops` is known

  double bound_ns = 0;   ///< the larger of the next two
  double compute_ns = 0; ///< of its operations at the measured peak; 0: not known
  double memory_ns = 0;  ///< of its arguments at the bandwidth of the level that holds them
  std::string level;     ///< that level: "L2", "memory"
  double bytes = 0;      ///< of the arguments
  MachineRates rates;
  std::optional<KernelEstimate> estimate;

  /// Why there is no program to explain: a library's function, another program's benchmark. Then
  /// only `context` is filled in.
  std::string foreign;

  std::vector<CodeLoop> loops; ///< of the code as today's compiler makes it
  int machine_vector_bits = 0;
  int machine_vector_registers = 0;

  double parent_ns = 0; ///< of the candidate that it came from, in the search; 0: not known
  /// Its first number of a search: what the next three are held against, which are numbers of
  /// searches, too. 0: it has none (`bench` or `remeasure` alone timed it), and no rank.
  double search_ns = 0;
  int64_t rank = 0; ///< among the candidates of its kernel that were timed alike; 1 is the fastest
  int64_t candidates = 0;
  std::vector<Neighbour> neighbours; ///< fastest first
  database::Id best;                 ///< of its kernel, as `temper best` says; empty: none
  double best_ns = 0;
  bool is_best = false;             ///< that is this candidate
  std::vector<std::string> counted; ///< what hardware counters say limits it; of a GPU's records
  std::vector<std::string> unknown; ///< what could not be found out, and why

  /// Whether what its loops ask of a core is most of its time, so that the hot loop is what limits
  /// it; true where no estimate says otherwise.
  bool loop_explains() const;
  /// Sentences on what limits it, the weightiest first. A limit is one that explains most of the
  /// time; where none does, they say that and what each explains.
  std::vector<std::string> limits() const;
};

/// Fails only where the record cannot be read; what else goes wrong is in `unknown`.
Result<Explanation> explain(Workbench& bench, const database::RecordRow& row);

} // namespace temper::tuner
