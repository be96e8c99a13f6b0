/// How near a record is to what the machine allows, resource by resource, and what could be tried
/// next: what `temper session` answers to "limits". Compiles the program again and asks the
/// analytical model of its alternatives, but runs nothing.
#pragma once

#include "tuner/explain.h"
#include "tuner/hand_tuning.h"

#include <string>
#include <vector>

namespace temper::tuner {

/// A resource of the machine that the record uses up to a share.
struct LimitBar {
  std::string what;     ///< "multiply-add units", "traffic from memory"
  double share = 0;     ///< of the measured time, or of the hot loop's longest; 1: it is the limit
  std::string evidence; ///< "131 of 158 GFLOP/s"
  bool estimated = false; ///< by the analytical model
};

/// A schedule that differs from the record's in one step or decision.
struct Proposal {
  std::string label; ///< "v11, v12 = [8, 2]", "vectorize"
  std::string trace; ///< Python, whole
  double ratio = 0;  ///< of its estimated time over the record's estimate
};

/// Something that may keep it from being faster.
struct Finding {
  std::string what;      ///< a sentence
  std::string evidence;  ///< "128 bits"
  std::string threshold; ///< what it should be: "512 bits"
  double gain = 0;       ///< estimated time over this one's; 0: not known
  Proposal proposal;     ///< empty where nothing can be proposed
  database::Id record;   ///< of a candidate that was measured and is better; empty for none
};

struct Limits {
  std::vector<std::string> sentences; ///< as `temper explain` says them
  std::vector<LimitBar> machine;      ///< shares of the measured time; largest first
  std::vector<LimitBar> loop;         ///< of the hot loop: cycles over the most that one needs
  std::vector<Finding> findings;      ///< largest gain first
  std::vector<std::string> unknown;   ///< what could not be found out, and why
};

/// Bars of an explanation alone.
std::vector<LimitBar> machine_bars(const Explanation& told);

/// Fails only where the record cannot be read.
Result<Limits> limits_of(Workbench& bench, HandTuning& hand, const database::RecordRow& row);

} // namespace temper::tuner
