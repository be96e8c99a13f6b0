/// How often each line of a program runs in one call, as far as the loops around it say.
///
///   heatOf(tir, CodeLevel::kTir)                     // 1, 64, 4096, ...
///   heatOf(assembly, CodeLevel::kAssembly, tir)      // at most: the compiler may have unrolled
#pragma once

#include "gui/core/code_loader.h"

#include <QString>

#include <vector>

namespace temper::gui {

struct LineHeat {
  double runs = 0;     ///< 0: not known, or nothing that runs
  bool atMost = false; ///< a compiler may do several rounds of the loop at once
  double share = 0;    ///< 0 to 1: of the most frequent line, by orders of magnitude
};

/// One for each line of the text. In CUDA C++ and PTX those of one thread. Machine code says how
/// often its loops go round only through `tir`, the same program's; without it nothing is known
/// of loops there.
std::vector<LineHeat> heatOf(const QString& text, CodeLevel level, const QString& tir = {});

/// "64", "4.1k", "134M": at most five letters.
QString runsText(double runs);

} // namespace temper::gui
