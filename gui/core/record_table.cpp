#include "gui/core/record_table.h"

#include "gui/core/format.h"
#include "ir/support/number.h"
#include "ir/support/quantities.h"

namespace temper::gui {

namespace {

/// How far apart two commits may be from the order in which they were measured.
constexpr int64_t kDisorderNs = 30'000'000'000;

uint64_t digits(std::string_view id) {
  return id.empty() ? 0 : parse_number<uint64_t>(id.substr(1), 16).value_or(0);
}

} // namespace

QString idText(database::Kind kind, uint64_t value) {
  return QChar(static_cast<char16_t>(kind)) +
         QString::number(value, 16).rightJustified(16, QLatin1Char('0'));
}

uint64_t idDigits(const QString& id) { return digits(id.toStdString()); }

uint32_t RecordPacker::seriesOf(const database::RecordRow& row, std::vector<Series>& added) {
  // Workload, target, machine, toolchain: all that may differ between two rows that share one.
  std::string key;
  for (const std::string* part : {&row.workload, &row.workload_name, &row.target,
                                  &row.environment_class, &row.toolchain, &row.inputs}) {
    key += *part;
    key += '\0';
  }
  key += std::to_string(row.threads) + (row.regime == database::TimingRegime::kHot ? 'h' : 'c') +
         (row.unchecked ? 'u' : ' ');
  const auto [known, isNew] = series_.try_emplace(key, static_cast<uint32_t>(series_.size()));
  if (isNew) {
    Series series;
    series.workloadId = toQString(row.workload);
    series.workload = toQString(row.workload_name);
    const auto parameters = parameters_.find(row.workload);
    series.shape = toQString(format_binding(
        ordered_binding(row.binding_json,
                        parameters == parameters_.end() ? std::string() : parameters->second)
            .dump()));
    series.binding = row.binding_json;
    series.target = toQString(row.target);
    series.environment = toQString(row.environment_class);
    series.toolchain = toQString(row.toolchain);
    series.inputs = toQString(row.inputs);
    series.threads = row.threads;
    series.regime = row.regime;
    series.flops = row.flops;
    if (const auto bytes = bytes_.find(row.workload); bytes != bytes_.end())
      series.bytes = bytes->second;
    series.unchecked = row.unchecked;
    added.push_back(std::move(series));
  }
  return known->second;
}

RecordChunk RecordPacker::pack(const std::vector<database::RecordRow>& rows) {
  RecordChunk chunk;
  chunk.records.reserve(rows.size());
  int64_t newest = newest_;
  for (const database::RecordRow& row : rows) {
    const uint64_t id = digits(row.id);
    if (recent_.count(id) > 0)
      continue;
    newest = std::max(newest, row.measured_at);
    if (row.measured_at >= newest - 2 * kDisorderNs)
      recent_[id] = row.measured_at;
    PackedRecord record;
    record.id = id;
    record.candidate = digits(row.candidate);
    record.run = digits(row.run);
    record.medianNs = row.median_ns;
    record.lowNs = row.low_ns;
    record.highNs = row.high_ns;
    record.measuredAt = row.measured_at;
    record.series = seriesOf(row, chunk.newSeries);
    record.sequence = static_cast<int32_t>(row.sequence);
    record.outcome = row.outcome;
    record.purpose = row.purpose;
    chunk.records.push_back(record);
  }
  if (newest > newest_) {
    newest_ = newest;
    std::erase_if(recent_, [&](const auto& entry) { return entry.second < since(); });
  }
  return chunk;
}

int64_t RecordPacker::since() const { return newest_ > kDisorderNs ? newest_ - kDisorderNs : 0; }

void RecordTable::append(RecordChunk chunk) {
  for (Series& series : chunk.newSeries)
    series_.push_back(std::make_shared<const Series>(std::move(series)));
  for (const PackedRecord& record : chunk.records) {
    if ((size_ & (kChunk - 1)) == 0) {
      chunks_.push_back(std::make_shared<std::vector<PackedRecord>>());
      // Never moved afterwards: readers of a copy hold references into it.
      chunks_.back()->reserve(kChunk);
    }
    chunks_.back()->push_back(record);
    ++size_;
  }
}

void RecordTable::clear() { *this = RecordTable(); }

const PackedRecord& RecordTable::at(uint32_t index) const {
  return chunks_[index >> kChunkBits]->data()[index & (kChunk - 1)];
}

int64_t RecordTable::find(uint64_t id, uint32_t from) const {
  for (uint32_t i = from; i < size_; ++i)
    if (at(i).id == id)
      return i;
  return -1;
}

} // namespace temper::gui
