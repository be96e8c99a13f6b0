/// Tuning by hand: a workload and the trace that somebody writes, step by step. What the trace
/// makes of the program at every level, what may come next and what the model of the machine thinks
/// of it, and a measurement as good as a search's, which becomes a record like any other.
///
///   HandTuning hand(bench);
///   TEMPER_TRY(start, hand.open_record("m3f9c2"));
///   TEMPER_TRY(schedule, hand.replay(start.subject, start.trace));
///   TEMPER_TRY(tried, hand.measure(start.subject, schedule.trace(), start.candidate));
#pragma once

#include "database/records.h"
#include "ir/s_tir/schedule.h"
#include "tuner/space/space.h"
#include "tuner/workbench.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

namespace temper::tuner {

/// LLVM IR and assembly are of processors; CUDA C++ (HIP C++ for AMD's) and PTX (assembly) of GPUs.
enum class ProgramLevel : uint8_t { kScript, kTir, kLlvm, kAssembly, kCuda, kPtx };
/// "script", "tir", "llvm", "asm", "cuda", "ptx"
std::optional<ProgramLevel> parse_level(std::string_view word);

/// What is tuned: a stored workload for a target. One for a GPU that is not here is looked at and
/// changed as any other; to measure it says what is missing.
struct HandSubject {
  database::Id workload;
  std::string target = "native";
  int threads = 1;
  engine::Regime regime = engine::Regime::kHot;
  bool operator<(const HandSubject& other) const {
    return std::tie(workload, target, threads, regime) <
           std::tie(other.workload, other.target, other.threads, other.regime);
  }
};

struct HandStart {
  HandSubject subject;
  std::string title;      ///< "matmul M=512 N=512 K=512"
  std::string trace;      ///< Python; empty for the workload as it is written
  database::Id candidate; ///< that the trace belongs to; empty for none
  database::Id record;
  std::string outcome; ///< of the record; empty without one
  double median_ns = 0;
  Interval interval_ns;
};

struct HandTrial {
  database::Id record;
  database::Id candidate;
  engine::Measurement measurement;
};

class HandTuning {
public:
  explicit HandTuning(Workbench& bench) : bench_(bench) {}

  /// From a record's candidate, or from a workload as it is written (which is stored by this).
  Result<HandStart> open_record(const std::string& record);
  Result<HandStart> open_workload(const WorkloadArguments& arguments);

  /// The trace, as Python or JSON, on the workload. An error says which line or instruction failed
  /// and renders the program with the place marked.
  Result<s_tir::Schedule> replay(const HandSubject& subject, const std::string& trace);
  /// The scheduled program at a level.
  Result<std::string> text(const HandSubject& subject, const s_tir::Schedule& schedule,
                           ProgramLevel level);
  /// Nanoseconds, by the analytical model: good for ranking steps, not for believing. Of code for
  /// a GPU nothing is known: kUnsupported, and 0 among many.
  Result<double> estimate_ns(const HandSubject& subject, const s_tir::Schedule& schedule);
  /// Of many at once, on all processors; 0 where a schedule cannot be lowered, as one in between
  /// may be. What was estimated before is remembered.
  Result<std::vector<double>> estimates_ns(const HandSubject& subject,
                                           const std::vector<const s_tir::Schedule*>& schedules);

  /// After the machine's figures became others.
  void forget_estimates() { estimates_.clear(); }

  /// A value that the trace samples, and what else it could be.
  struct Decision {
    std::vector<std::string> names; ///< "v11", "v12"
    std::string step;               ///< the first that uses it: "split(l6)"
    std::string value;              ///< "[16, 1]", "8"
    bool can_sweep = false;         ///< its alternatives are known without replaying
  };
  static std::vector<Decision> decisions(const s_tir::Trace& trace);

  // Tile programs have knobs instead of blocks. Their traces set them.
  Result<bool> has_knobs(const HandSubject& subject);
  /// What the trace makes of a tile program: knobs that it does not set are at their defaults.
  Result<CandidateRef> tile_candidate(const HandSubject& subject, const std::string& trace);
  Result<std::string> text(const HandSubject& subject, const ir::IRModule& program,
                           ProgramLevel level);
  Result<double> estimate_ns(const HandSubject& subject, const ir::IRModule& program);

  /// The same schedule with another value of one decision.
  struct Alternative {
    std::string value;
    bool current = false;
    std::string trace;  ///< as Python; empty where it is not legal
    std::string reason; ///< why it is not
    double estimate_ns = 0;
  };
  /// Every category; of a tile every innermost factor, what is left going to the outermost one.
  Result<std::vector<Alternative>> sweep(const HandSubject& subject, const s_tir::Trace& trace,
                                         size_t decision);
  struct Knob {
    std::string name;                 ///< "block_M", "gemm.rows"
    std::vector<Alternative> choices; ///< each with the others as they are
  };
  /// Every knob of a candidate with all that it could be.
  Result<std::vector<Knob>> knobs(const HandSubject& subject, const Candidate& candidate);

  /// Compiles, checks, times and records it, in a run of strategy "hand"; `parent` is the candidate
  /// that it was made from, or empty. A failing kernel is a record, too.
  Result<HandTrial> measure(const HandSubject& subject, const s_tir::Trace& trace,
                            const database::Id& parent);

private:
  Result<const Task*> task(const HandSubject& subject);
  Result<ir::PrimFunc> lowered(const Task& task, const ir::IRModule& program);
  Result<const Space*> space(const HandSubject& subject);
  Result<engine::Measurement> measured(const HandSubject& subject, const Task& task,
                                       std::shared_ptr<const codegen::Artifact> artifact);

  struct HandRun {
    database::Run row;
    int64_t trials = 0;
    double seconds = 0;
  };

  Workbench& bench_;
  std::map<HandSubject, Task> tasks_;
  std::map<HandSubject, std::unique_ptr<Space>> spaces_; ///< of tile programs
  std::map<HandSubject, engine::WorkloadId> prepared_;   ///< arguments and references on the device
  std::map<HandSubject, HandRun> runs_;
  /// What the last trace made: nearly always the next question is about the same one.
  struct Replayed {
    HandSubject subject;
    std::string text;
    s_tir::Schedule schedule;
  };
  std::optional<Replayed> replayed_;
  /// Nanoseconds by the subject and the structure of the scheduled program.
  std::map<std::pair<HandSubject, uint64_t>, double> estimates_;
};

} // namespace temper::tuner
