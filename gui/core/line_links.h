/// Which lines of two levels of one program belong together: both are of the same loop. Loops of
/// the script, of tir, of LLVM IR and of CUDA C++ (also where a user wrote it) are known by their
/// variables; those of assembly and of PTX by their order and depth, as loops that the compiler
/// unrolled or turned into vectors are none there.
///
///   linkedLines(script, CodeLevel::kScript, 17, assembly, CodeLevel::kAssembly)   // lines 40..71
#pragma once

#include "gui/core/code_loader.h"

#include <QString>
#include <QStringList>

#include <optional>
#include <vector>

namespace temper::gui {

struct LoopRegion {
  QStringList names; ///< of its variables; empty where they are not known
  int first = 0;     ///< lines, from 0
  int last = 0;
  int depth = 0;      ///< loops around it
  double rounds = 0;  ///< how often it goes round, where the text says so; 0: not known
  bool inCode = true; ///< a loop in machine code, too: not of vectors, not unrolled
};

/// C++ with blanks where comments were; lines and columns stay.
QString withoutComments(const QString& text);

/// In the order of their first lines; outer ones before those that they hold.
std::vector<LoopRegion> loopsOf(const QString& text, CodeLevel level);

/// For each region of one level the number of the same loop's region at another, -1 for none.
std::vector<int> partnersOf(const std::vector<LoopRegion>& of, CodeLevel ofLevel,
                            const std::vector<LoopRegion>& in, CodeLevel inLevel);

struct LineRange {
  int first = 0;
  int last = 0;
  bool operator==(const LineRange&) const = default;
};
/// The lines of the loop in `to` that `line` of `from` is in; nothing where it is in none, or it
/// cannot be told.
std::optional<LineRange> linkedLines(const QString& from, CodeLevel fromLevel, int line,
                                     const QString& to, CodeLevel toLevel);

} // namespace temper::gui
