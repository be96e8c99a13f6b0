/// Programs with knobs: parameters of a workload's function that are T.tune([...]) and were not
/// pinned. The module of such a workload is the program with each knob at its first choice that no
/// constraint refuses; the module's attributes hold what makes the program of other choices, so
/// that a stored module can be tuned without its file.
///
///   I.module_attrs({"temper.knobs": [["block_M", 32, 64], ...], "temper.generator": "matmul_tile",
///                   "temper.binding": [["M", 512], ...], "temper.source": "..."})
#pragma once

#include "ir/script/workload_file.h"
#include "ir/support/random.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace temper::script {

struct Knob {
  std::string name;
  std::vector<ParameterValue> choices;
};

inline constexpr const char* kKnobs = "temper.knobs";

/// True when the module has knobs that are open.
bool has_knobs(const ir::IRModule& module);

/// The module for the extents of its symbolic dimensions alone, whatever is chosen
/// (ir/extents.h); itself when it has none.
Result<ir::IRModule> bound_to_extents(const ir::IRModule& module);

/// Safe to use from several threads at once.
class KnobProgram {
public:
  /// An error when the module has no knobs, or its attributes do not fit together.
  static Result<KnobProgram> of(const ir::IRModule& module);

  const std::vector<Knob>& knobs() const { return knobs_; }
  /// The product of the numbers of choices; less than it when it does not fit.
  int64_t size() const;

  /// Knobs whose names stand nowhere but among the parameters: all their choices are one program.
  std::vector<std::string> unread() const;

  /// The program with one choice of each knob, without the attributes. kIllegal when a
  /// T.constraint does not hold: the message is the constraint.
  Result<ir::IRModule> instantiate(std::span<const size_t> choices) const;
  /// The constraints of the generator that do not hold, without building the program.
  Result<std::vector<std::string>> violated(std::span<const size_t> choices) const;

  /// The first combination, the last knob moving fastest, of which there is a program. kIllegal
  /// when there is none: the message is the first constraint that refused one.
  Result<std::vector<size_t>> first_legal() const;
  /// The combination itself where no constraint refuses it, else a legal one that was reached from
  /// it by changing a knob at a time towards fewer refusals. kIllegal when none was found.
  Result<std::vector<size_t>> repaired(std::vector<size_t> choices, Random& random) const;

  /// What the constraints leave of the space. Counted one by one up to `limit` combinations,
  /// estimated from as many random ones in larger spaces.
  struct Count {
    int64_t size = 0;
    int64_t legal = 0;
    bool estimated = false;
    /// By constraint, in the order in which they stand in the file: how many combinations it alone
    /// refuses or refuses together with others.
    std::vector<std::pair<std::string, int64_t>> pruned;
    /// Unless it was estimated: those that no constraint refuses, in order.
    std::vector<std::vector<size_t>> combinations;
  };
  Result<Count> count(int64_t limit = 20000) const;

private:
  struct Generator;
  /// Runs `run(session, binding)` on the file with these choices bound; constraints that do not
  /// hold go into `violations`.
  template <typename Run>
  auto with_choices(std::span<const size_t> choices, std::vector<std::string>& violations,
                    Run&& run) const;
  std::shared_ptr<Generator> generator_;
  std::vector<Knob> knobs_;
};

} // namespace temper::script
