/// The file a user writes to tune a kernel of their own; everything under workloads/ is one.
///
///   def scale(M, N, dtype="float32"):
///       """B = 2 A"""
///       @T.prim_func(s_tir=True)
///       def main(A: T.Buffer((M, N), dtype), B: T.Buffer((M, N), dtype)):
///           ...
///       return main
///
///   def scale_reference(M, N, dtype="float32"):   # optional for s-tir: the program itself serves
///       ...
///
///   scale_workload = dict(
///       shapes=[dict(M=512, N=512), dict(M=4096, N=4096)],
///       flops="M*N", bytes="2*M*N*sizeof(dtype)",
///       inputs={"A": "normal"}, tolerance=1e-5,  # or by output, {"C": 1e-5, "Q": 1}
///       baseline={"onednn": "relu(M*N)"},
///   )
///
/// `constant=["B"]` there, constant="B" in a shape, or constant=B beside the other parameters on a
/// command line says which operands stay the same from call to call (weights): a schedule may have
/// them packed ahead (ir/s_tir/packs.h). It is part of the binding, so of the workload's identity;
/// constant=none takes a file's word back. (A parameter that the function itself calls `constant`
/// is that parameter.)
///
/// Formulas are text over the parameters, with Python's arithmetic and sizeof(dtype). A file with
/// one undecorated function, or with @T.prim_func functions alone, needs no description.
#pragma once

#include "ir/module.h"
#include "ir/script/diagnostic.h"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace temper::script {

/// The value of a workload's parameter: M=512, dtype=float32, fused=True.
using ParameterValue = std::variant<int64_t, double, bool, std::string>;
/// As typed on a command line.
std::string to_string(const ParameterValue& value);

struct WorkloadParameter {
  std::string name;
  /// Nothing: must be given.
  std::optional<ParameterValue> default_value;
  /// T.tune([...]): the default is the first choice.
  std::vector<ParameterValue> choices;
};

using Binding = std::vector<std::pair<std::string, ParameterValue>>;

/// The entry of a binding that names constant operands, as "B" or "A,B".
inline constexpr const char* kConstant = "constant";

struct WorkloadInfo {
  std::string name;
  std::string description; ///< the first line of its docstring
  std::string layer;       ///< "s-tir" or "tir"
  uint32_t line = 0;
  std::vector<WorkloadParameter> parameters;
  std::vector<Binding> shapes; ///< as the file lists them; defaults are not filled in
  std::string constant;        ///< operands that are constant in every shape: "B", "A,B"
  std::string flops;           ///< the formulas, empty when not given
  std::string bytes;
  bool has_reference = false;
};

/// A library routine to be compared with.
struct Baseline {
  std::string library;        ///< "blas", "openblas", "onednn"
  std::string entry;          ///< "sgemm"
  std::vector<int64_t> sizes; ///< what follows its buffers
};

/// A workload with all its parameters bound.
struct Workload {
  std::string name;
  /// All of them, in the order of the function; then kConstant, where operands are constant, and
  /// the extents of symbolic dimensions.
  Binding parameters;
  ir::IRModule module;
  /// What computes the right result; the module itself when it is its own reference, null when
  /// unchecked.
  ir::IRModule reference;
  bool is_own_reference = false;
  double flops = 0; ///< 0: not known
  double bytes = 0;
  std::map<std::string, std::string> inputs; ///< distribution by buffer: "normal", "int(0, 512)"
  std::optional<double> tolerance;           ///< relative error of floating outputs
  /// Of single outputs, by name: a relative error, or steps where the output is of integers.
  std::map<std::string, double> output_tolerances;
  std::vector<Baseline> baselines;
};

class WorkloadFile {
public:
  static Result<WorkloadFile> read(const std::filesystem::path& path,
                                   std::vector<Diagnostic>* diagnostics = nullptr);
  static Result<WorkloadFile> parse(std::string text, std::string file,
                                    std::vector<Diagnostic>* diagnostics = nullptr);

  const std::string& file() const { return state_->file; }
  const std::vector<WorkloadInfo>& workloads() const { return state_->workloads; }
  /// By name; an empty name means the only workload. The error names the nearest one.
  Result<const WorkloadInfo*> find(const std::string& name) const;

  /// Builds a workload. `parameters` as typed, extents of symbolic dimensions among them
  /// (ir/extents.h); without any the first shape is taken. One sentence
  /// for each mistake: unknown or missing parameters (all of them listed), values that are not
  /// positive integers, shapes too large, a generator that does not return a prim_func, no
  /// reference for a tir program (allowed when `unchecked`).
  Result<Workload> instantiate(const std::string& name,
                               const std::map<std::string, std::string>& parameters,
                               bool unchecked = false) const;
  /// The symbolic dimensions (T.dynamic) of the program that these parameters do not give, by name;
  /// none where there is no such program, which instantiate() explains.
  std::vector<std::string>
  open_dimensions(const std::string& name,
                  const std::map<std::string, std::string>& parameters) const;
  /// The same from typed values, for a shape that the file lists.
  Result<Workload> bind(const std::string& name, const Binding& binding,
                        bool unchecked = false) const;

private:
  struct State {
    std::string file;
    std::string text;
    std::vector<WorkloadInfo> workloads;
  };
  std::shared_ptr<const State> state_;
};

} // namespace temper::script
