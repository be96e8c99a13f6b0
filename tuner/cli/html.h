/// Pieces of the pages that commands write: one file each that opens anywhere, without scripts and
/// without anything loaded from elsewhere, light or dark as the reader has it, and printable. Pages
/// are well-formed XML as well, so that any parser reads them.
#pragma once

#include "database/store.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace temper::cli::html {

/// Text for an element or a quoted attribute.
std::string escaped(const std::string& text);

/// From the doctype to the first heading, which is `title`.
std::string head(const std::string& title);
std::string foot();

/// Terms and what they are; empty ones are left out.
std::string facts(std::span<const std::pair<std::string, std::string>> list);

/// A cell with a number, which is aligned to the right.
std::string number_cell(const std::string& text);

/// How a search went, on a logarithmic scale of times: the best so far as falling steps.
struct Course {
  std::vector<database::ConvergencePoint> points;
  double untuned_ns = 0; ///< 0: not known
  double bound_ns = 0;   ///< 0: not known
};
/// Of the run's trials, as many as it counts: what was measured again, among finalists or after the
/// machine drifted, is none.
Result<std::vector<database::ConvergencePoint>> course_of(database::Store& store,
                                                          const database::Run& run);
/// Small, for a cell of a table; empty when there is nothing to draw.
std::string sparkline(const Course& course);
/// With axes, the single trials, and lines where the untuned program and the machine's bound are.
std::string course_plot(const Course& course);

/// Kernels between what the machine computes and what it moves, both scales logarithmic.
struct Roofline {
  struct Roof {
    std::string name;
    double bytes_per_s = 0;
  };
  struct Point {
    std::string name;
    double intensity = 0; ///< operations a byte that must be moved
    double gflops = 0;
  };
  double peak_gflops = 0;
  std::vector<Roof> roofs;
  std::vector<Point> points;
};
std::string roofline_plot(const Roofline& roofline);

/// A bar of `share` (0 to 1) of its length.
std::string share_bar(double share);

} // namespace temper::cli::html
