#include "database/detail/record_json.h"

#include "ir/support/hash.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace temper::database::detail {

std::string encode_base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += k <= count ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  const Error broken(ErrorCode::kCorrupt, "the base64 text is broken");
  if (text.size() % 4 != 0)
    return broken;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t word = 0;
    size_t padding = 0;
    for (size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      uint32_t digit = 0;
      if (c >= 'A' && c <= 'Z')
        digit = static_cast<uint32_t>(c - 'A');
      else if (c >= 'a' && c <= 'z')
        digit = static_cast<uint32_t>(c - 'a') + 26;
      else if (c >= '0' && c <= '9')
        digit = static_cast<uint32_t>(c - '0') + 52;
      else if (c == '+')
        digit = 62;
      else if (c == '/')
        digit = 63;
      else if (c == '=' && i + 4 == text.size() && k >= 2)
        ++padding;
      else
        return broken;
      if (padding > 0 && c != '=')
        return broken;
      word = word << 6 | digit;
    }
    for (size_t k = 0; k + padding < 3; ++k)
      bytes += static_cast<char>(word >> (16 - 8 * k) & 255);
  }
  return bytes;
}

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
  Json json = Json::object();

  void operator()(const char* name, const std::string& text) {
    if (!text.empty())
      json[name] = text;
  }
  void operator()(const char* name, double number) {
    if (!std::isnan(number))
      json[name] = number;
  }
  void operator()(const char* name, int64_t number) { json[name] = number; }
  void operator()(const char* name, int number) { json[name] = number; }
  void operator()(const char* name, bool flag) {
    if (flag)
      json[name] = true;
  }
  void operator()(const char* name, const std::vector<float>& samples) {
    if (!samples.empty())
      json[name] = encode_base64(
          {reinterpret_cast<const char*>(samples.data()), samples.size() * sizeof(float)});
  }
  void operator()(const char* name, Hash hash) { json[name] = hash_to_hex(hash.value); }
  void operator()(const char* name, JsonText text) {
    if (text.value.empty())
      return;
    // As a value, which people and other programs can read, when that loses no byte.
    if (text.value.front() == '{' || text.value.front() == '[')
      if (auto value = parse_json(text.value); value && value->dump() == text.value) {
        json[name] = std::move(*value);
        return;
      }
    json[name] = text.value;
  }
  void operator()(const char* name, Bytes bytes) {
    if (!bytes.value.empty())
      json[name] = encode_base64(bytes.value);
  }
  template <typename Enum> void operator()(const char* name, Word<Enum> word) {
    json[name] = to_string(word.value);
  }
};

struct Reader {
  const Json& json;
  std::string error;

  const Json* find(const char* name) {
    const auto found = json.find(name);
    return found == json.end() ? nullptr : &*found;
  }
  void wrong(const char* name, const std::string& should) {
    if (error.empty())
      error = "'" + std::string(name) + "' should be " + should;
  }
  /// The text of a member that is there and is text.
  const std::string* text(const char* name, const char* should) {
    const Json* value = find(name);
    if (!value)
      return nullptr;
    if (!value->is_string()) {
      wrong(name, should);
      return nullptr;
    }
    return value->get_ptr<const std::string*>();
  }

  void operator()(const char* name, std::string& out) {
    if (const std::string* value = text(name, "text"))
      out = *value;
  }
  void operator()(const char* name, double& out) {
    if (const Json* value = find(name)) {
      if (value->is_number())
        out = value->get<double>();
      else if (!value->is_null()) // how JSON says infinite
        wrong(name, "a number");
    }
  }
  void operator()(const char* name, int64_t& out) {
    if (const Json* value = find(name)) {
      if (value->is_number_integer())
        out = value->get<int64_t>();
      else
        wrong(name, "an integer");
    }
  }
  void operator()(const char* name, int& out) {
    int64_t wide = out;
    (*this)(name, wide);
    out = static_cast<int>(wide);
  }
  void operator()(const char* name, bool& out) {
    if (const Json* value = find(name)) {
      if (value->is_boolean())
        out = value->get<bool>();
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
    if (const std::string* value = text(name, "16 hexadecimal digits")) {
      const char* end = value->data() + value->size();
      const auto [stop, code] = std::from_chars(value->data(), end, out.value, 16);
      if (value->size() != 16 || stop != end || code != std::errc())
        wrong(name, "16 hexadecimal digits");
    }
  }
  void operator()(const char* name, JsonText out) {
    if (const Json* value = find(name))
      out.value = value->is_string() ? value->get<std::string>() : value->dump();
  }
  void operator()(const char* name, Bytes out) {
    if (const std::string* value = text(name, "base64")) {
      auto bytes = decode_base64(*value);
      if (bytes)
        out.value = std::move(*bytes);
      else
        wrong(name, "base64");
    }
  }
  template <typename Enum> void operator()(const char* name, Word<Enum> out) {
    if (const std::string* value = text(name, "text")) {
      if (auto parsed = out.parse(*value))
        out.value = *parsed;
      else if (error.empty())
        error = parsed.error().message;
    }
  }
};

} // namespace

static_assert(std::endian::native == std::endian::little, "samples are little-endian in dumps");

template <typename Row> Json row_to_json(const Row& row) {
  Writer writer;
  describe(writer, const_cast<Row&>(row)); // the writer only reads
  return std::move(writer.json);
}

template <typename Row> Result<Row> row_from_json(const Json& json) {
  Row row;
  Reader reader{json, {}};
  describe(reader, row);
  if (!reader.error.empty())
    return Error(ErrorCode::kCorrupt, reader.error);
  return row;
}

#define TEMPER_ROW(Row)                                                                            \
  template Json row_to_json(const Row&);                                                           \
  template Result<Row> row_from_json(const Json&);
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
