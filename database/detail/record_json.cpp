#include "database/detail/record_json.h"

#include "ir/support/hash.h"
#include "ir/support/number.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

namespace temper::database::detail {

namespace {

// What a member is, where its C++ type does not say.
struct Hash {
  uint64_t& value;
};
struct JsonText {
  std::string& value;
};
struct Bytes {
  std::string& value;
};
template <typename Enum> struct Word {
  Enum& value;
  Result<Enum> (*parse)(std::string_view);
};

// One description per row, for both directions.

template <typename V> void describe(V& v, Workload& r) {
  v("id", r.id);
  v("name", r.name);
  v("layer", r.layer);
  v("function", r.function);
  v("structural_hash", Hash{r.structural_hash});
  v("binding", JsonText{r.binding_json});
  v("parameters", JsonText{r.parameters_json});
  v("flops", r.flops);
  v("bytes", r.bytes);
  v("unchecked", r.unchecked);
  v("source_path", r.source_path);
  v("created_at", r.created_at);
  v("program", r.program);
}

template <typename V> void describe(V& v, Space& r) {
  v("id", r.id);
  v("workload", r.workload);
  v("maker", r.maker);
  v("hash", Hash{r.hash});
  v("json", JsonText{r.json});
}

template <typename V> void describe(V& v, Environment& r) {
  v("id", r.id);
  v("fingerprint", Hash{r.fingerprint});
  v("class_name", r.class_name);
  v("host", r.host);
  v("json", JsonText{r.json});
}

template <typename V> void describe(V& v, Toolchain& r) {
  v("id", r.id);
  v("json", JsonText{r.json});
}

template <typename V> void describe(V& v, Run& r) {
  v("id", r.id);
  v("workload", r.workload);
  v("target", r.target);
  v("environment", r.environment);
  v("toolchain", r.toolchain);
  v("space", r.space);
  v("strategy", r.strategy);
  v("seed", Hash{r.seed});
  v("budget_trials", r.budget_trials);
  v("budget_seconds", r.budget_seconds);
  v("parent_run", r.parent_run);
  v("parent_record", r.parent_record);
  v("command_line", r.command_line);
  v("options", JsonText{r.options_json});
  v("started_at", r.started_at);
  v("state", Word<RunState>{r.state, parse_run_state});
  v("requested", Word<RequestedState>{r.requested, parse_requested_state});
  v("stopped_because", r.stopped_because);
  v("ended_at", r.ended_at);
  v("random_state", Hash{r.random_state});
  v("trials", r.trials);
  v("seconds", r.seconds);
  v("funnel", JsonText{r.funnel_json});
  v("strategy_state", JsonText{r.strategy_state_json});
  v("owner_host", r.owner.host);
  v("owner_domain", r.owner.domain);
  v("owner_pid", r.owner.pid);
  v("owner_start", r.owner.start_ticks);
  v("heartbeat_at", r.heartbeat_at);
  v("updated_at", r.updated_at);
}

template <typename V> void describe(V& v, Candidate& r) {
  v("id", r.id);
  v("workload", r.workload);
  v("kind", r.kind);
  v("parent", r.parent);
  v("origin", r.origin);
  v("program", JsonText{r.program});
}

template <typename V> void describe(V& v, Measurement& r) {
  v("id", r.id);
  v("run", r.run);
  v("candidate", r.candidate);
  v("sequence", r.sequence);
  v("outcome", Word<Outcome>{r.outcome, parse_outcome});
  v("purpose", Word<Purpose>{r.purpose, parse_purpose});
  v("stage", r.stage);
  v("median_ns", r.median_ns);
  v("low_ns", r.low_ns);
  v("high_ns", r.high_ns);
  v("samples_f32", r.samples_ns);
  v("gaps_dropped", r.gaps_dropped);
  v("regime", Word<TimingRegime>{r.regime, parse_timing_regime});
  v("inputs", r.inputs);
  v("threads", r.threads);
  v("compile_ms", r.compile_ms);
  v("measure_ms", r.measure_ms);
  v("error", r.error);
  v("worst", JsonText{r.worst_json});
  v("timing", JsonText{r.timing_json});
  v("environment", r.environment);
  v("toolchain", r.toolchain);
  v("code_hash", Hash{r.code_hash});
  v("origin", r.origin);
  v("predicted_score", r.predicted_score);
  v("anchor_drift", r.anchor_drift);
  v("unchecked", r.unchecked);
  v("facts", JsonText{r.facts_json});
  v("counters", JsonText{r.counters_json});
  v("measured_at", r.measured_at);
  v("log", r.log);
}

template <typename V> void describe(V& v, Artifact& r) {
  v("id", r.id);
  v("candidate", r.candidate);
  v("toolchain", r.toolchain);
  v("target", r.target);
  v("code_hash", Hash{r.code_hash});
  v("created_at", r.created_at);
  v("json", JsonText{r.json});
  v("object", Bytes{r.object});
  v("code", Bytes{r.code});
}

template <typename V> void describe(V& v, Model& r) {
  v("id", r.id);
  v("run", r.run);
  v("kind", r.kind);
  v("trials_seen", r.trials_seen);
  v("features", r.features);
  v("created_at", r.created_at);
  v("blob", Bytes{r.blob});
}

template <typename V> void describe(V& v, ModelQuality& r) {
  v("run", r.run);
  v("batch", r.batch);
  v("trials_seen", r.trials_seen);
  v("rank_correlation", r.rank_correlation);
  v("top_recall", r.top_recall);
  v("top_k", r.top_k);
  v("json", JsonText{r.json});
  v("measured_at", r.measured_at);
}

template <typename V> void describe(V& v, Event& r) {
  v("run", r.run);
  v("sequence", r.sequence);
  v("kind", r.kind);
  v("json", JsonText{r.json});
  v("happened_at", r.happened_at);
}

template <typename V> void describe(V& v, Note& r) {
  v("id", r.id);
  v("subject", r.subject);
  v("text", r.text);
  v("author", r.author);
  v("created_at", r.created_at);
}

template <typename V> void describe(V& v, Tag& r) {
  v("subject", r.subject);
  v("tag", r.tag);
  v("created_at", r.created_at);
}

struct Writer {
  std::string& line;

  void name(const char* member) {
    line += ",\"";
    line += member;
    line += "\":";
  }
  template <typename Number> void number(const char* member, Number value) {
    char digits[32];
    name(member);
    line.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }

  void operator()(const char* member, const std::string& text) {
    if (text.empty())
      return;
    name(member);
    append_json_string(line, text);
  }
  void operator()(const char* member, double value) {
    if (std::isfinite(value)) // JSON has no other numbers
      number(member, value);
  }
  void operator()(const char* member, int64_t value) { number(member, value); }
  void operator()(const char* member, int value) { number(member, value); }
  void operator()(const char* member, bool flag) {
    if (!flag)
      return;
    name(member);
    line += "true";
  }
  void operator()(const char* member, const std::vector<float>& samples) {
    if (!samples.empty())
      (*this)(member, encode_base64({reinterpret_cast<const char*>(samples.data()),
                                     samples.size() * sizeof(float)}));
  }
  void operator()(const char* member, Hash hash) { (*this)(member, hash_to_hex(hash.value)); }
  void operator()(const char* member, JsonText text) {
    // As a value, which people and other programs can read, when it is one.
    if (!is_json_container(text.value))
      return (*this)(member, text.value);
    name(member);
    line += text.value;
  }
  void operator()(const char* member, Bytes bytes) { (*this)(member, encode_base64(bytes.value)); }
  template <typename Enum> void operator()(const char* member, Word<Enum> word) {
    (*this)(member, std::string(to_string(word.value)));
  }
};

struct Reader {
  const std::vector<JsonMember>& members;
  std::string error;
  size_t next = 0; // members usually come in the order in which they were written

  const std::string_view* find(const char* name) {
    for (size_t i = 0; i < members.size(); ++i) {
      const size_t at = (next + i) % members.size();
      if (members[at].name == name) {
        next = at + 1;
        return &members[at].value;
      }
    }
    return nullptr;
  }
  void wrong(const char* name, const std::string& should) {
    if (error.empty())
      error = "'" + std::string(name) + "' should be " + should;
  }
  /// The text of a member that is there and is text.
  std::optional<std::string> text(const char* name, const char* should) {
    const std::string_view* value = find(name);
    if (!value)
      return {};
    auto read = read_json_string(*value);
    if (read)
      return std::move(*read);
    wrong(name, should);
    return {};
  }
  template <typename Number> void number(const char* name, Number& out, const char* should) {
    const std::string_view* value = find(name);
    if (!value)
      return;
    if (const auto number = parse_number<Number>(*value))
      out = *number;
    else
      wrong(name, should);
  }

  void operator()(const char* name, std::string& out) {
    if (auto value = text(name, "text"))
      out = std::move(*value);
  }
  void operator()(const char* name, double& out) { number(name, out, "a number"); }
  void operator()(const char* name, int64_t& out) { number(name, out, "an integer"); }
  void operator()(const char* name, int& out) { number(name, out, "an integer"); }
  void operator()(const char* name, bool& out) {
    if (const std::string_view* value = find(name)) {
      if (*value == "true" || *value == "false")
        out = *value == "true";
      else
        wrong(name, "true or false");
    }
  }
  void operator()(const char* name, std::vector<float>& out) {
    std::string bytes;
    (*this)(name, Bytes{bytes});
    if (bytes.size() % sizeof(float) != 0)
      return wrong(name, "float32 values in base64");
    out.resize(bytes.size() / sizeof(float));
    if (!out.empty())
      std::memcpy(out.data(), bytes.data(), bytes.size());
  }
  void operator()(const char* name, Hash out) {
    if (const auto value = text(name, "16 hexadecimal digits")) {
      const auto number = parse_number<uint64_t>(*value, 16);
      if (value->size() == 16 && number)
        out.value = *number;
      else
        wrong(name, "16 hexadecimal digits");
    }
  }
  void operator()(const char* name, JsonText out) {
    const std::string_view* value = find(name);
    if (!value)
      return;
    if (!value->starts_with('"'))
      out.value = *value;
    else if (auto read = read_json_string(*value))
      out.value = std::move(*read);
    else
      wrong(name, "a JSON value");
  }
  void operator()(const char* name, Bytes out) {
    if (const auto value = text(name, "base64")) {
      auto bytes = decode_base64(*value);
      if (bytes)
        out.value = std::move(*bytes);
      else
        wrong(name, "base64");
    }
  }
  template <typename Enum> void operator()(const char* name, Word<Enum> out) {
    if (const auto value = text(name, "text")) {
      if (auto parsed = out.parse(*value))
        out.value = *parsed;
      else if (error.empty())
        error = parsed.error().message;
    }
  }
};

} // namespace

static_assert(std::endian::native == std::endian::little, "samples are little-endian in dumps");

template <typename Row> void append_row(std::string& line, const Row& row) {
  Writer writer{line};
  describe(writer, const_cast<Row&>(row)); // the writer only reads
}

template <typename Row> Result<Row> row_from_members(const std::vector<JsonMember>& members) {
  Row row;
  Reader reader{members, {}};
  describe(reader, row);
  if (!reader.error.empty())
    return Error(ErrorCode::kCorrupt, reader.error);
  return row;
}

#define TEMPER_ROW(Row)                                                                            \
  template void append_row(std::string&, const Row&);                                              \
  template Result<Row> row_from_members(const std::vector<JsonMember>&);
TEMPER_ROW(Workload)
TEMPER_ROW(Space)
TEMPER_ROW(Environment)
TEMPER_ROW(Toolchain)
TEMPER_ROW(Run)
TEMPER_ROW(Candidate)
TEMPER_ROW(Measurement)
TEMPER_ROW(Artifact)
TEMPER_ROW(Model)
TEMPER_ROW(ModelQuality)
TEMPER_ROW(Event)
TEMPER_ROW(Note)
TEMPER_ROW(Tag)
#undef TEMPER_ROW

} // namespace temper::database::detail
