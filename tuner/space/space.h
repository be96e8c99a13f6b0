/// A space of candidates of one workload: where strategies sample, mutate and step. Makers: the
/// s-tir design space (sketch_space.h); knobs of tir programs and measured tables come with their
/// issues.
#pragma once

#include "ir/support/random.h"
#include "ir/support/result.h"
#include "tuner/space/candidate.h"

#include <string>
#include <vector>

namespace temper::tuner {

class Space {
public:
  virtual ~Space() = default;

  /// Which maker: "sketches".
  virtual const char* maker() const = 0;
  /// Names the space in the database: prefix, free decisions and locks.
  virtual uint64_t hash() const = 0;
  /// One line for people: how many sketches, decisions, and the size where it is known.
  virtual std::string describe() const = 0;

  /// Whether its functions may be called from several threads at once.
  virtual bool is_shared() const { return false; }

  /// The sketches (structural choices) as traces in Python form, for people.
  virtual std::vector<std::string> sketch_texts() const { return {}; }

  /// The workload as written, lowered as it is: row 0 of every run.
  virtual CandidateRef untuned() const = 0;
  /// A random candidate. The error (kIllegal) says which step refused; callers count it and try
  /// again.
  virtual Result<CandidateRef> sample(Random& random) const = 0;
  /// A candidate one random decision away from `from`.
  virtual Result<CandidateRef> mutate(const Candidate& from, Random& random) const = 0;
  /// Candidates one small step away, each decision in turn; at most `limit`.
  virtual std::vector<CandidateRef> neighbours(const Candidate& from, size_t limit) const = 0;
  /// A stored program (a trace) on this workload; decisions that do not fit its shape are adapted
  /// to the nearest legal ones.
  virtual Result<CandidateRef> apply(const s_tir::Trace& trace, std::string origin) const = 0;
  /// Whether a search here may start from what was measured of this program. One of an earlier
  /// hand-written schedule is not in the space of the schedule that the file has now.
  virtual bool admits(const s_tir::Trace&) const { return true; }
};

} // namespace temper::tuner
