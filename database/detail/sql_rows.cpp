#include "database/detail/sql_rows.h"

#include <algorithm>
#include <cstring>

namespace temper::database::detail {

std::string table_of(Kind kind) {
  return kind == Kind::kMeasurement ? "measurement" : to_string(kind);
}

std::string sql(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (std::string_view part : parts)
    text += part;
  return text;
}

Workload read_workload(Query& query, bool with_program) {
  Workload row;
  row.id = query.text();
  row.name = query.text();
  row.layer = query.text();
  row.function = query.text();
  row.structural_hash = query.word();
  row.binding_json = query.text();
  row.parameters_json = query.text();
  row.flops = query.real();
  row.bytes = query.real();
  row.unchecked = query.boolean();
  row.source_path = query.text();
  row.created_at = query.integer();
  if (with_program)
    row.program = query.text();
  return row;
}

Space read_space(Query& query) {
  Space row;
  row.id = query.text();
  row.workload = query.text();
  row.maker = query.text();
  row.hash = query.word();
  row.json = query.text();
  return row;
}

Environment read_environment(Query& query) {
  Environment row;
  row.id = query.text();
  row.fingerprint = query.word();
  row.class_name = query.text();
  row.host = query.text();
  row.json = query.text();
  return row;
}

Toolchain read_toolchain(Query& query) {
  Toolchain row;
  row.id = query.text();
  row.json = query.text();
  return row;
}

Measurement read_measurement(Query& query) {
  Measurement row;
  row.id = query.text();
  row.run = query.text();
  row.candidate = query.text();
  row.sequence = query.integer();
  row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
  row.purpose = word_or(parse_purpose(query.text()), Purpose::kSearch);
  row.stage = query.text();
  row.median_ns = query.real();
  row.low_ns = query.real();
  row.high_ns = query.real();
  row.gaps_dropped = query.integer();
  row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
  row.inputs = query.text();
  row.threads = static_cast<int>(query.integer());
  row.compile_ms = query.real();
  row.measure_ms = query.real();
  row.error = query.text();
  row.worst_json = query.text();
  row.timing_json = query.text();
  row.environment = query.text();
  row.toolchain = query.text();
  row.code_hash = query.word();
  row.origin = query.text();
  row.predicted_score = query.real();
  row.anchor_drift = query.real();
  row.unchecked = query.boolean();
  row.facts_json = query.text();
  row.counters_json = query.text();
  row.measured_at = query.integer();
  row.workload = query.text();
  row.target = query.text();
  row.environment_class = query.text();
  row.log = query.text();
  const std::string bytes = query.blob();
  row.samples_ns.resize(bytes.size() / sizeof(float));
  if (!row.samples_ns.empty()) // memcpy takes no null pointer, not even for nothing
    std::memcpy(row.samples_ns.data(), bytes.data(), row.samples_ns.size() * sizeof(float));
  return row;
}

RecordRow read_row(Query& query, const std::vector<Id>& current_toolchains) {
  RecordRow row;
  row.id = query.text();
  row.run = query.text();
  row.candidate = query.text();
  row.workload = query.text();
  row.workload_name = query.text();
  row.binding_json = query.text();
  row.target = query.text();
  row.threads = static_cast<int>(query.integer());
  row.environment_class = query.text();
  row.toolchain = query.text();
  row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
  row.inputs = query.text();
  row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
  row.purpose = word_or(parse_purpose(query.text()), Purpose::kSearch);
  row.median_ns = query.real();
  row.low_ns = query.real();
  row.high_ns = query.real();
  row.flops = query.real();
  row.sequence = query.integer();
  row.measured_at = query.integer();
  row.unchecked = query.boolean();
  row.stale = !current_toolchains.empty() &&
              std::ranges::find(current_toolchains, row.toolchain) == current_toolchains.end();
  return row;
}

Artifact read_artifact(Query& query) {
  Artifact row;
  row.id = query.text();
  row.candidate = query.text();
  row.toolchain = query.text();
  row.target = query.text();
  row.code_hash = query.word();
  row.created_at = query.integer();
  row.json = query.text();
  row.object = query.blob();
  row.code = query.blob();
  return row;
}

Model read_model(Query& query) {
  Model row;
  row.id = query.text();
  row.run = query.text();
  row.kind = query.text();
  row.trials_seen = query.integer();
  row.features = query.text();
  row.created_at = query.integer();
  row.blob = query.blob();
  return row;
}

ModelQuality read_quality(Query& query) {
  ModelQuality row;
  row.run = query.text();
  row.batch = query.integer();
  row.trials_seen = query.integer();
  row.rank_correlation = query.real();
  row.top_recall = query.real();
  row.top_k = query.integer();
  row.json = query.text();
  row.measured_at = query.integer();
  return row;
}

Event read_event(Query& query) {
  Event row;
  row.run = query.text();
  row.sequence = query.integer();
  row.kind = query.text();
  row.json = query.text();
  row.happened_at = query.integer();
  return row;
}

Note read_note(Query& query) {
  Note row;
  row.id = query.text();
  row.subject = query.text();
  row.text = query.text();
  row.author = query.text();
  row.created_at = query.integer();
  return row;
}

Tag read_tag(Query& query) {
  Tag row;
  row.subject = query.text();
  row.tag = query.text();
  row.created_at = query.integer();
  return row;
}

} // namespace temper::database::detail
