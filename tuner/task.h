/// A task: one workload with its shapes bound, a target, and how it is checked and measured.
#pragma once

#include "codegen/artifact.h"
#include "engine/measurer.h"
#include "ir/module.h"
#include "ir/script/workload_file.h"
#include "ir/target.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace temper::tuner {

struct Task {
  std::string workload; ///< as the user named it: "matmul", "scale.py:scale"
  std::string source_path;
  std::string layer = "s-tir";
  std::string binding_json;    ///< {"K":512,"M":512,"N":512,"dtype":"float32"}
  std::string parameters_json; ///< parameter names in the file's order
  ir::IRModule module;         ///< one function
  std::string module_text;     ///< printed `module`
  ir::IRModule reference;      ///< computes what is right; null: unchecked
  std::string reference_text;
  double flops = 0; ///< 0: not known
  /// Of `flops`: a kernel may leave out what multiplies the zeros of a padded copy.
  double share_besides_padding = 1;
  double bytes = 0;
  std::map<std::string, std::string> inputs;       ///< distribution by argument name
  double tolerance = 0;                            ///< 0: by data type and reduction length
  std::map<std::string, double> output_tolerances; ///< of single outputs (engine/compare.h)
  int64_t reduction_length = 1;                    ///< longest reduction of the program
  ir::Target target;                               ///< resolved
  int threads = 1;
  engine::Regime regime = engine::Regime::kHot;
  std::vector<codegen::ArgumentSpec> signature;
  std::vector<script::Baseline> baselines; ///< library routines to be compared with

  /// Names of the operands that are constant, which may be packed ahead of the kernel's calls.
  std::vector<std::string> constants() const;
  /// That no kernel can leave out; 0: not known.
  double least_flops() const { return flops * share_besides_padding; }
  /// "matmul M=512 N=512 K=512 dtype=float32".
  std::string title() const;
  /// Input distributions as the database's key has them: "normal", or "A=int(0, 4),B=normal".
  std::string inputs_text() const;
};

/// Argument types, shapes and roles of a function; its symbolic dimensions at their extents
/// (ir/extents.h), which are numbers behind the others.
Result<std::vector<codegen::ArgumentSpec>> signature_of(const ir::PrimFunc& function);
/// Nanoseconds that no kernel can stay below, from the task's least_flops() and the widest vectors
/// of its target: eight operations per lane and cycle (four vector units, each with a multiply-add)
/// at 8 GHz, which no processor reaches by far; eight times as much where an argument's elements
/// have 16 bits or less, for matrix units (AMX does 2048 operations on 8 bits a cycle). A
/// measurement below it measured something else, or the workload's flops counts too much. 0 when
/// the flops are not known.
double roofline_ns(const Task& task);
/// What a program sums.
struct Sums {
  /// The largest product of reduce extents of any block (s-tir), or of the loops around a store
  /// that adds to one element all the while; 1 where nothing is summed. Tile operators are not
  /// seen.
  int64_t length = 1;
  /// The type of sums in floats of 16 bits, which lose digits with each term; bfloat16 if any.
  std::optional<DataType> narrow;
};
Sums sums_of(const ir::PrimFunc& function);

} // namespace temper::tuner
