/// Records to a library: their code compiled again under today's toolchain, linked, loaded back and
/// checked on fresh inputs before anything is called done.
#pragma once

#include "codegen/library/export.h"
#include "tuner/workbench.h"

namespace temper::tuner {

struct ExportItem {
  std::string name; ///< of the function; empty: workload, type and sizes
  database::RecordRow record;
};

struct ExportedRecord {
  std::string name;
  std::string signature;
  database::Id record;
  bool checked = false; ///< on fresh inputs; its workload may have no reference, or it is for a GPU
  bool for_gpu = false;
};

struct ExportOutcome {
  std::vector<std::filesystem::path> files;
  std::vector<ExportedRecord> functions;
};

/// An error names the record that cannot be exported, or whose exported form is wrong.
Result<ExportOutcome> export_records(Workbench& bench, const std::string& name,
                                     const std::vector<ExportItem>& items,
                                     const codegen::ExportOptions& options);

} // namespace temper::tuner
