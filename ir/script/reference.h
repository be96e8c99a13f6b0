/// The language reference, generated: ir/tir/LANGUAGE.md and ir/tir/COMPAT.md. Operators and
/// operations come from their registries (ir/tir/tile_ops.h, ir/op.h), everything else from the
/// entries here; a test holds the files and runs every example.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace temper::script {

struct LanguageEntry {
  std::string section;
  std::string name;      ///< "T.Kernel"; of several, separated by ", "
  std::string signature; ///< with its arguments and defaults
  std::string doc;       ///< one or two sentences
  std::string example;   ///< a complete program
  bool on_cpu = true;    ///< false: what only programs for GPUs have
};

/// In the order of the reference.
std::vector<LanguageEntry> language_entries();

std::string language_reference();
/// The workload file that the reference begins with.
std::string workload_example();
std::string compatibility_reference();

} // namespace temper::script
