/// All records of a database in memory, 72 bytes each, so that any filter and any sort over a
/// million of them takes a moment and no query. What many records share (workload, target, machine)
/// is a Series that they name by number.
///
/// A table only grows, by chunks that never change: a copy of it is a few pointers, and another
/// thread may read the copy while this one grows.
#pragma once

#include "database/query.h"

#include <QString>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <vector>

namespace temper::gui {

struct Series {
  QString workloadId;
  QString workload;    ///< name
  QString shape;       ///< "M=512 N=512", in the order of the workload's declaration
  std::string binding; ///< the same as JSON
  QString target;
  QString environment;
  QString toolchain;
  QString inputs;
  int threads = 1;
  database::TimingRegime regime = database::TimingRegime::kHot;
  double flops = database::kUnknown;
  double bytes = database::kUnknown; ///< that one call must move
  bool unchecked = false;

  /// Everything that two numbers must agree in to be compared.
  bool isComparableWith(const Series& other) const {
    return workloadId == other.workloadId && isSameMachine(other) && inputs == other.inputs;
  }
  /// What kernels of different workloads must agree in to stand in one picture.
  bool isSameMachine(const Series& other) const {
    return environment == other.environment && threads == other.threads && regime == other.regime;
  }
};

/// A record without its program, samples and texts.
struct PackedRecord {
  uint64_t id = 0;        ///< the digits of the id
  uint64_t candidate = 0; ///< likewise
  uint64_t run = 0;       ///< likewise
  double medianNs = database::kUnknown;
  double lowNs = database::kUnknown;
  double highNs = database::kUnknown;
  int64_t measuredAt = 0;
  uint32_t series = 0;
  int32_t sequence = 0;
  database::Outcome outcome = database::Outcome::kOk;
  database::Purpose purpose = database::Purpose::kSearch;
};

QString idText(database::Kind kind, uint64_t digits);
/// The digits of an id; 0 when it is none.
uint64_t idDigits(const QString& id);

/// Records that arrived together, and the series that they are the first of.
struct RecordChunk {
  std::vector<PackedRecord> records;
  std::vector<Series> newSeries;
};

/// Turns rows of the store into chunks. One packer makes all chunks of a table.
class RecordPacker {
public:
  /// `parameters`: the list of a workload's parameters as JSON, by the workload's id.
  explicit RecordPacker(std::unordered_map<std::string, std::string> parameters = {})
      : parameters_(std::move(parameters)) {}

  /// Leaves out what it packed before.
  RecordChunk pack(const std::vector<database::RecordRow>& rows);
  /// From where to ask for new records: a little before the newest, because two processes commit in
  /// another order than they measure. 0 before the first.
  int64_t since() const;
  bool knows(const std::string& workload) const { return parameters_.count(workload) > 0; }
  void setParameters(const std::string& workload, std::string json) {
    parameters_[workload] = std::move(json);
  }
  void setBytes(const std::string& workload, double bytes) { bytes_[workload] = bytes; }

private:
  uint32_t seriesOf(const database::RecordRow& row, std::vector<Series>& added);

  std::unordered_map<std::string, std::string> parameters_;
  std::unordered_map<std::string, double> bytes_;
  std::unordered_map<std::string, uint32_t> series_;
  std::unordered_map<uint64_t, int64_t> recent_; ///< ids near the newest, by time
  int64_t newest_ = 0;
};

class RecordTable {
public:
  void append(RecordChunk chunk);
  void clear();

  uint32_t size() const { return size_; }
  /// All records in their order; faster than asking for each.
  template <typename Visit> void each(const Visit& visit) const {
    uint32_t left = size_;
    for (const auto& chunk : chunks_) {
      const PackedRecord* record = chunk->data();
      for (const PackedRecord* end = record + std::min(left, kChunk); record != end; ++record)
        visit(*record);
      left -= std::min(left, kChunk);
    }
  }
  const PackedRecord& at(uint32_t index) const;
  const Series& seriesOf(const PackedRecord& record) const { return *series_[record.series]; }
  const std::vector<std::shared_ptr<const Series>>& series() const { return series_; }

  /// Number of a record, or -1. A walk over all records from number `from`.
  int64_t find(uint64_t id, uint32_t from = 0) const;

private:
  static constexpr uint32_t kChunkBits = 14;
  static constexpr uint32_t kChunk = 1u << kChunkBits;

  // Chunks are full but for the last, whose vector has its capacity from the start; who copied the
  // table reads only what was there then.
  std::vector<std::shared_ptr<std::vector<PackedRecord>>> chunks_;
  std::vector<std::shared_ptr<const Series>> series_;
  uint32_t size_ = 0;
};

} // namespace temper::gui
