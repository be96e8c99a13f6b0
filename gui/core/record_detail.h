/// What the candidate pane shows of one record, and the sentences that it says about it.
#pragma once

#include "database/store.h"

#include <QList>
#include <QString>

#include <optional>

namespace temper::gui {

struct RecordDetail {
  database::RecordRow row;
  database::Measurement measurement;
  database::Candidate candidate;
  database::Workload workload;
  database::Run run;
  database::Environment environment;       ///< empty where it is not known, as of what was imported
  database::Toolchain toolchain;           ///< likewise
  std::optional<database::RecordRow> best; ///< of everything comparable with it
  QString shortRecord;
  QString shortRun;
  QString shape;
  std::vector<database::Tag> tags;
  std::vector<database::Note> notes;

  QString title() const; ///< "matmul M=512 N=512 K=512"
  /// "The best of its kind", "1.32 times the best's time (m3f9c2)", "compile failed: …".
  QString verdict() const;
  struct Fact {
    QString name;
    QString value;
    QString tip; ///< the engine's own name; may be empty
  };
  /// Everything else worth a line.
  QList<Fact> facts() const;
  QString machineText() const;  ///< "cpu:znver4/8-1a2b3c, AMD EPYC 9124, host attic"
  QString systemText() const;   ///< "kernel 6.1.0-18, turbo on", "driver 13.0"
  QString compilerText() const; ///< "LLVM 19.1.7 codegen 5, t3f9c2aa"
};

Result<RecordDetail> loadDetail(database::Store& store, const database::Id& id);

/// What may be said of two stored records: the ratio of b's time to a's, when they may be compared.
struct StoredComparison {
  bool comparable = false;
  QString sentence;
  double ratio = database::kUnknown;
  double low = database::kUnknown;
  double high = database::kUnknown;
};
/// From the numbers as they were recorded, in two batches: the interval is that of both intervals'
/// ends, which is wider than a measurement side by side would give.
StoredComparison compareStored(const RecordDetail& a, const RecordDetail& b);

} // namespace temper::gui
