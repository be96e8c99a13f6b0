/// temper session: tuning by hand for programs. One JSON object a line comes in, one a line goes
/// out, until the input ends:
///
///   {"id": 1, "do": "open", "record": "m3f9c2"}           or "workload", "parameters"
///   {"id": 1, "subject": {...}, "title": "matmul M=64 ...", "trace": "...", "candidate": "c..."}
///   {"id": 2, "do": "program", "subject": {...}, "trace": "...", "level": "tir"}
///   {"id": 2, "trace": "...", "text": "...", "places": [{"text": "for i in 64", "depth": 1, ...}]}
///   {"id": 3, "do": "steps", "subject": {...}, "trace": "...", "place": 2}
///   {"id": 3, "legal": [{"primitive": "Parallel", "lines": "...", "estimate_ns": 8100.0}, ...],
///             "illegal": [{"primitive": "Vectorize", "reason": "..."}]}
///   {"id": 3, "do": "knobs", "subject": {...}, "trace": "..."}          of a tile program
///   {"id": 3, "knobs": [{"name": "block_M", "choices": [{"value": "64", "trace": "...", ...}]}]}
///   {"id": 3, "do": "sweep", "subject": {...}, "trace": "...", "decision": 0}
///   {"id": 3, "values": [{"value": "[4, 16]", "trace": "...", "estimate_ns": 8100.0}, ...]}
///   {"id": 4, "do": "measure", "subject": {...}, "trace": "...", "parent": "c..."}
///   {"id": 4, "record": "m...", "outcome": "ok", "median_ns": 8140.0, "interval_ns": [...]}
///   {"id": 5, "do": "machine", "fresh": true}             or "speed": false for less
///   {"id": 5, "environment": "cpu:znver4/8-1a2b3c", "toolchain": "t...", "fresh_toolchains":
///   [...],
///    "speed": {...}}
///   {"id": 6, "do": "why", "a": "m...", "b": "m..."}      why one of them is faster
///   {"id": 6, "decisions": [{"name": "v11, v12", "a": "[16, 1]", "b": "[8, 2]", ...}],
///    "model": {"terms": [{"what": "data touched", "change": 0.12, ...}], ...}, "code": [...], ...}
///   {"id": 7, "do": "limits", "record": "m..."}           how near it is to what the machine
///   allows
///   {"id": 7, "machine": [{"what": "multiply-add units", "share": 0.81, ...}], "loop": [...],
///    "findings": [{"what": "...", "gain": 0.9, "proposal": {"label": "...", "trace": "..."}}]}
///   {"id": 8, "do": "model", "record": "m..."}            what a cost model makes of it
///   {"id": 8, "score": 0.91, "average_score": 0.4, "terms": [{"what": "data touched", ...}], ...}
///   {"cancel": 3}                                          if it has not begun
///   {"id": 3, "error": {"code": "interrupted", "message": "..."}}
///
/// A trace is Python or JSON; answers give it in its canonical form, whose names the lines of steps
/// go on with. Requests are answered in their order.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "database/location.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/legal_steps.h"
#include "tuner/hand_tuning.h"
#include "tuner/learnt_model.h"
#include "tuner/limits.h"
#include "tuner/why_faster.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

namespace temper::cli {
namespace {

using tuner::HandSubject;

// ---- Requests

Error wrong(const std::string& sentence) { return Error(ErrorCode::kInvalidArgument, sentence); }

/// A text of the request; an error when it is missing or something else.
Result<std::string> text_of(const Json& request, const char* name) {
  const auto entry = request.find(name);
  if (entry == request.end() || !entry->is_string())
    return wrong(fmt::format("the request needs \"{}\", a text", name));
  return entry->get<std::string>();
}

Json to_json(const HandSubject& subject) {
  return Json{{"workload", subject.workload},
              {"target", subject.target},
              {"threads", subject.threads},
              {"cache", engine::to_string(subject.regime)}};
}

Result<HandSubject> subject_of(const Json& request) {
  const auto entry = request.find("subject");
  if (entry == request.end() || !entry->is_object())
    return wrong("the request needs \"subject\", as \"open\" gave it");
  HandSubject subject;
  TEMPER_TRY(workload, text_of(*entry, "workload"));
  TEMPER_TRY(target, text_of(*entry, "target"));
  TEMPER_TRY(cache, text_of(*entry, "cache"));
  const auto regime = engine::parse_regime(cache);
  const auto threads = entry->find("threads");
  if (!regime || threads == entry->end() || !threads->is_number_integer() ||
      threads->get<int64_t>() < 1 || threads->get<int64_t>() > 4096)
    return wrong("the subject needs \"cache\" (hot or cold) and \"threads\", as \"open\" gave it");
  subject.workload = workload;
  subject.target = target;
  subject.threads = threads->get<int>();
  subject.regime = *regime;
  return subject;
}

class Session {
public:
  explicit Session(tuner::Workbench& bench) : bench_(bench), hand_(bench) {}

  ~Session() {
    if (refresher_.joinable())
      refresher_.join();
  }

  /// Nobody asks: time for what was put off. Estimates take the machine's figures as they were kept
  /// the last time, so that nobody waits for a second of measuring; they are measured now.
  void idle() {
    if (!refresher_.joinable() && bench_.is_speed_old())
      refresher_ = std::thread([this] {
        bench_.refresh_speed();
        refreshed_ = true;
      });
  }

  Result<Json> answer(const Json& request) {
    TEMPER_TRY(verb, text_of(request, "do"));
    // Two that measure at once would disturb each other.
    if (refresher_.joinable() && (refreshed_ || verb == "measure" || verb == "machine")) {
      refresher_.join();
      refreshed_ = false;
      hand_.forget_estimates();
    }
    if (verb == "open")
      return open(request);
    if (verb == "program")
      return program(request);
    if (verb == "steps")
      return steps(request);
    if (verb == "measure")
      return measure(request);
    if (verb == "sweep")
      return sweep(request);
    if (verb == "machine")
      return machine(request);
    if (verb == "why")
      return why(request);
    if (verb == "limits")
      return limits(request);
    if (verb == "model")
      return model(request);
    if (verb == "knobs")
      return knobs(request);
    return wrong("a session can open, program, steps, knobs, sweep, measure, why, limits, model "
                 "and machine, not '" +
                 verb + "'");
  }

private:
  Result<Json> open(const Json& request) {
    const auto started = [&]() -> Result<tuner::HandStart> {
      if (request.contains("record")) {
        TEMPER_TRY(record, text_of(request, "record"));
        return hand_.open_record(record);
      }
      tuner::WorkloadArguments arguments;
      TEMPER_TRY(name, text_of(request, "workload"));
      arguments.name = name;
      const Json parameters = request.value("parameters", Json::object());
      if (!parameters.is_object())
        return wrong("\"parameters\" is an object, as {\"M\": \"512\"}");
      for (const auto& [parameter, value] : parameters.items())
        arguments.parameters[parameter] =
            value.is_string() ? value.get<std::string>() : value.dump();
      return hand_.open_workload(arguments);
    };
    TEMPER_TRY(start, started());
    return Json{{"subject", to_json(start.subject)},
                {"title", start.title},
                {"trace", start.trace},
                {"candidate", start.candidate},
                {"record", start.record},
                {"outcome", start.outcome},
                {"median_ns", known(start.median_ns)},
                {"interval_ns", {known(start.interval_ns.low), known(start.interval_ns.high)}}};
  }

  Result<Json> program(const Json& request) {
    TEMPER_TRY(subject, subject_of(request));
    TEMPER_TRY(trace, text_of(request, "trace"));
    TEMPER_TRY(tile, hand_.has_knobs(subject));
    if (tile)
      return tile_program(request, subject, trace);
    TEMPER_TRY(schedule, hand_.replay(subject, trace));
    Json places = Json::array();
    for (const s_tir::Place& place : s_tir::places_of(schedule.module()))
      places.push_back(Json{{"text", place.text},
                            {"name", place.name},
                            {"depth", place.depth},
                            {"block", place.is_block}});
    Json answer{{"trace", schedule.trace().to_python()}, {"places", std::move(places)}};
    if (request.contains("level")) {
      TEMPER_TRY(word, text_of(request, "level"));
      const auto level = tuner::parse_level(word);
      if (!level)
        return wrong("\"level\" is script, tir, llvm, asm, cuda or ptx, not '" + word + "'");
      TEMPER_TRY(text, hand_.text(subject, schedule, *level));
      answer["text"] = std::move(text);
    }
    if (request.value("estimate", Json()) == true)
      answer["estimate_ns"] = estimate(subject, schedule);
    answer["decisions"] = decisions_json(schedule.trace());
    return answer;
  }

  static Json decisions_json(const s_tir::Trace& trace) {
    Json decisions = Json::array();
    for (const tuner::HandTuning::Decision& decision : tuner::HandTuning::decisions(trace))
      decisions.push_back(Json{{"names", decision.names},
                               {"step", decision.step},
                               {"value", decision.value},
                               {"sweep", decision.can_sweep}});
    return decisions;
  }

  /// The same of a tile program, which has knobs and no places.
  Result<Json> tile_program(const Json& request, const HandSubject& subject,
                            const std::string& trace) {
    TEMPER_TRY(candidate, hand_.tile_candidate(subject, trace));
    Json answer{{"trace", candidate->trace.to_python()},
                {"places", Json::array()},
                {"knobs", true},
                {"decisions", decisions_json(candidate->trace)}};
    if (request.contains("level")) {
      TEMPER_TRY(word, text_of(request, "level"));
      const auto level = tuner::parse_level(word);
      if (!level)
        return wrong("\"level\" is script, tir, llvm, asm, cuda or ptx, not '" + word + "'");
      TEMPER_TRY(text, hand_.text(subject, candidate->module, *level));
      answer["text"] = std::move(text);
    }
    if (request.value("estimate", Json()) == true)
      answer["estimate_ns"] = known(hand_.estimate_ns(subject, candidate->module).value_or(0));
    return answer;
  }

  /// What each knob could be, and what the model of the machine thinks of it.
  Result<Json> knobs(const Json& request) {
    TEMPER_TRY(subject, subject_of(request));
    TEMPER_TRY(trace, text_of(request, "trace"));
    TEMPER_TRY(tile, hand_.has_knobs(subject));
    if (!tile)
      return wrong("this workload is scheduled by blocks and loops: it has steps, not knobs");
    TEMPER_TRY(candidate, hand_.tile_candidate(subject, trace));
    TEMPER_TRY(found, hand_.knobs(subject, *candidate));
    Json knobs = Json::array();
    for (const tuner::HandTuning::Knob& knob : found)
      knobs.push_back(Json{{"name", knob.name}, {"choices", alternatives_json(knob.choices)}});
    return Json{{"knobs", std::move(knobs)}};
  }

  static Json alternatives_json(const std::vector<tuner::HandTuning::Alternative>& alternatives) {
    Json values = Json::array();
    for (const tuner::HandTuning::Alternative& alternative : alternatives) {
      Json value{{"value", alternative.value}, {"current", alternative.current}};
      if (alternative.trace.empty()) {
        value["reason"] = alternative.reason;
      } else {
        value["trace"] = alternative.trace;
        value["estimate_ns"] = known(alternative.estimate_ns);
      }
      values.push_back(std::move(value));
    }
    return values;
  }

  /// The decisions' trace, of either kind of program.
  Result<s_tir::Trace> trace_of(const HandSubject& subject, const std::string& text) {
    TEMPER_TRY(tile, hand_.has_knobs(subject));
    if (tile) {
      TEMPER_TRY(candidate, hand_.tile_candidate(subject, text));
      return candidate->trace;
    }
    TEMPER_TRY(schedule, hand_.replay(subject, text));
    return schedule.trace();
  }

  Result<Json> sweep(const Json& request) {
    TEMPER_TRY(subject, subject_of(request));
    TEMPER_TRY(text, text_of(request, "trace"));
    TEMPER_TRY(trace, trace_of(subject, text));
    const auto number = request.find("decision");
    if (number == request.end() || !number->is_number_unsigned())
      return wrong("\"decision\" is a number, of those that \"program\" listed");
    TEMPER_TRY(found, hand_.sweep(subject, trace, number->get<size_t>()));
    return Json{{"values", alternatives_json(found)}};
  }

  Result<Json> steps(const Json& request) {
    TEMPER_TRY(subject, subject_of(request));
    TEMPER_TRY(trace, text_of(request, "trace"));
    TEMPER_TRY(schedule, hand_.replay(subject, trace));
    const std::vector<s_tir::Place> places = s_tir::places_of(schedule.module());
    const auto place = request.find("place");
    if (place == request.end() || !place->is_number_unsigned() ||
        place->get<uint64_t>() >= places.size())
      return wrong(
          fmt::format("\"place\" is a number below {}, the places of the program", places.size()));
    const s_tir::Steps found = s_tir::legal_steps(schedule, places[place->get<size_t>()].handle);
    Json legal = Json::array(), illegal = Json::array();
    for (const s_tir::LegalStep& step : found.legal)
      legal.push_back(Json{{"primitive", step.primitive->name}, {"lines", step.lines}});
    if (request.value("estimate", Json()) == true) {
      std::vector<const s_tir::Schedule*> after;
      for (const s_tir::LegalStep& step : found.legal)
        after.push_back(&step.after);
      TEMPER_TRY(estimates, hand_.estimates_ns(subject, after));
      for (size_t i = 0; i < estimates.size(); ++i)
        legal[i]["estimate_ns"] = known(estimates[i]);
    }
    for (const s_tir::IllegalStep& step : found.illegal)
      illegal.push_back(Json{{"primitive", step.primitive->name}, {"reason", step.reason}});
    return Json{{"legal", std::move(legal)}, {"illegal", std::move(illegal)}};
  }

  Result<Json> measure(const Json& request) {
    TEMPER_TRY(subject, subject_of(request));
    TEMPER_TRY(text, text_of(request, "trace"));
    TEMPER_TRY(trace, trace_of(subject, text));
    std::string parent;
    if (request.contains("parent")) {
      TEMPER_TRY(given, text_of(request, "parent"));
      parent = given;
    }
    TEMPER_TRY(trial, hand_.measure(subject, trace, parent));
    const engine::Measurement& measured = trial.measurement;
    return Json{{"record", trial.record},
                {"candidate", trial.candidate},
                {"outcome", engine::to_string(measured.outcome)},
                {"median_ns", known(measured.median_ns)},
                {"interval_ns", {number(measured.interval.low), number(measured.interval.high)}},
                {"reason", measured.error}};
  }

  /// The record that a field of the request names by its id or the start of it.
  Result<database::RecordRow> row_of(const Json& request, const char* field) {
    TEMPER_TRY(store, bench_.store());
    TEMPER_TRY(id, text_of(request, field));
    TEMPER_TRY(record, database::resolve_id(*store, id, database::Kind::kMeasurement));
    return store->record_row(record);
  }

  /// How near a record is to what the machine allows, and what could be tried.
  Result<Json> limits(const Json& request) {
    TEMPER_TRY(row, row_of(request, "record"));
    TEMPER_TRY(limits, tuner::limits_of(bench_, hand_, row));
    const auto bars = [](const std::vector<tuner::LimitBar>& list) {
      Json result = Json::array();
      for (const tuner::LimitBar& bar : list)
        result.push_back(Json{{"what", bar.what},
                              {"share", bar.share},
                              {"evidence", bar.evidence},
                              {"estimated", bar.estimated}});
      return result;
    };
    Json findings = Json::array();
    for (const tuner::Finding& finding : limits.findings) {
      Json entry{{"what", finding.what},
                 {"evidence", finding.evidence},
                 {"threshold", finding.threshold},
                 {"gain", known(finding.gain)}};
      if (!finding.proposal.trace.empty())
        entry["proposal"] = Json{{"label", finding.proposal.label},
                                 {"trace", finding.proposal.trace},
                                 {"ratio", finding.proposal.ratio}};
      if (!finding.record.empty())
        entry["record"] = finding.record;
      findings.push_back(std::move(entry));
    }
    return Json{{"sentences", limits.sentences},
                {"machine", bars(limits.machine)},
                {"loop", bars(limits.loop)},
                {"findings", std::move(findings)},
                {"unknown", limits.unknown}};
  }

  /// What a model that learnt from all of its kernel's records makes of one.
  Result<Json> model(const Json& request) {
    TEMPER_TRY(row, row_of(request, "record"));
    TEMPER_TRY(opinion, tuner::model_opinion(bench_, row));
    return to_json(opinion);
  }

  /// Why one of two records is faster.
  Result<Json> why(const Json& request) {
    database::RecordRow rows[2];
    for (const size_t side : {0u, 1u}) {
      TEMPER_TRY(row, row_of(request, side == 0 ? "a" : "b"));
      rows[side] = std::move(row);
    }
    TEMPER_TRY(why, tuner::why_faster(bench_, rows[0], rows[1]));
    if (!why.refused.empty())
      return Json{{"refused", why.refused}};
    Json decisions = Json::array();
    for (const tuner::ChangedDecision& changed : why.decisions)
      decisions.push_back(Json{{"name", changed.name},
                               {"step", changed.step},
                               {"a", changed.a},
                               {"b", changed.b},
                               {"trace", changed.trace},
                               {"score_change", number(changed.score_change)}});
    const auto facts = [](const std::vector<tuner::CodeFact>& list) {
      Json result = Json::array();
      for (const tuner::CodeFact& fact : list)
        result.push_back(Json{{"what", fact.what},
                              {"a", number(fact.a)},
                              {"b", number(fact.b)},
                              {"unit", fact.unit}});
      return result;
    };
    return Json{{"ratio", number(why.ratio)},
                {"ratio_interval", {number(why.ratio_low), number(why.ratio_high)}},
                {"other_steps", why.other_steps},
                {"decisions", std::move(decisions)},
                {"model",
                 {{"learnt_from", why.learnt_from},
                  {"score_a", number(why.score_a)},
                  {"score_b", number(why.score_b)},
                  {"rank_correlation", number(why.rank_correlation)},
                  {"terms", tuner::to_json(why.terms)}}},
                {"code", facts(why.code)},
                {"machine", facts(why.machine)},
                {"limits", {why.limit_a, why.limit_b}},
                {"counters", facts(why.counters)},
                {"unknown", why.unknown}};
  }

  /// What records are made on here, which toolchains' records are not stale, and how fast it is at
  /// most.
  Result<Json> machine(const Json& request) {
    TEMPER_TRY(environment, bench_.environment());
    TEMPER_TRY(toolchain, bench_.toolchain());
    Json answer{{"environment", environment.class_name}, {"toolchain", toolchain.id}};
    // Asking the database would make one where there is none.
    const std::string& database = bench_.options().database;
    if (request.value("fresh", false) &&
        (database::is_postgres_url(database) || std::filesystem::exists(database))) {
      TEMPER_TRY(fresh, bench_.fresh_toolchains());
      answer["fresh_toolchains"] = std::move(fresh);
    }
    if (request.value("speed", true))
      answer["speed"] = engine::to_json(bench_.machine_speed());
    return answer;
  }

  /// Null where the program cannot be lowered: a step in between may be so.
  Json estimate(const HandSubject& subject, const s_tir::Schedule& schedule) {
    const auto ns = hand_.estimate_ns(subject, schedule);
    return ns ? known(*ns) : Json();
  }

  tuner::Workbench& bench_;
  tuner::HandTuning hand_;
  std::atomic<bool> refreshed_{false};
  std::thread refresher_; ///< measures the machine while nobody asks
};

// ---- Lines

/// What came in and waits; read on a thread of its own, so that a request that waits can be
/// cancelled while another is at work.
class Requests {
public:
  Requests() : reader_([this] { read(); }) {}
  ~Requests() { reader_.join(); }

  struct Next {
    std::string line;
    bool cancelled = false;
  };
  /// Nothing after the last one. `idle` is called when nothing came for a while.
  std::optional<Next> next(const std::function<void()>& idle) {
    constexpr std::chrono::seconds kWhile(2);
    std::unique_lock lock(mutex_);
    const auto arrived = [&] { return ended_ || !lines_.empty(); };
    if (!arrived_.wait_for(lock, kWhile, arrived)) {
      lock.unlock();
      idle();
      lock.lock();
      arrived_.wait(lock, arrived);
    }
    if (lines_.empty())
      return std::nullopt;
    Next next = std::move(lines_.front());
    lines_.pop_front();
    return next;
  }

private:
  void read() {
    std::string line;
    while (std::getline(std::cin, line)) {
      if (line.find_first_not_of(" \t\r") == std::string::npos)
        continue;
      const std::lock_guard lock(mutex_);
      const auto request = parse_json(line);
      if (request && request->is_object() && request->contains("cancel"))
        cancel((*request)["cancel"]);
      else
        lines_.push_back({line, false});
      arrived_.notify_one();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    arrived_.notify_one();
  }

  void cancel(const Json& id) {
    for (Next& waiting : lines_)
      if (const auto request = parse_json(waiting.line);
          request && request->is_object() && request->value("id", Json()) == id)
        waiting.cancelled = true;
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Next> lines_;
  bool ended_ = false;
  std::thread reader_; ///< last: it uses the others
};

Json error_json(const Error& error) {
  return Json{{"code", to_string(error.code)}, {"message", error.to_string()}};
}

int run_session(CommonOptions& options) {
  s_tir::register_layer();
  options.workbench.kept_speed = true;
  tuner::Workbench bench(options.workbench);
  Session session(bench);
  Requests requests;
  while (const auto next = requests.next([&session] { session.idle(); })) {
    Json reply = Json::object();
    const auto request = parse_json(next->line);
    const bool readable = request && request->is_object();
    reply["id"] = readable ? request->value("id", Json()) : Json();
    if (!readable) {
      reply["error"] = error_json(request ? wrong("a request is a JSON object") : request.error());
    } else if (next->cancelled) {
      reply["error"] = error_json(Error(ErrorCode::kInterrupted, "cancelled before it began"));
    } else if (auto answer = session.answer(*request); answer) {
      reply.update(*answer);
    } else {
      reply["error"] = error_json(answer.error());
    }
    fmt::print("{}\n", reply.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (std::fflush(stdout) != 0)
      std::_Exit(kFailedWork); // nobody listens; the reader may wait for ever
  }
  return kDone;
}

} // namespace

void add_session(Program& program) {
  auto options = std::make_shared<CommonOptions>();
  CLI::App* command = program.app.add_subcommand(
      "session", "tuning by hand for programs: JSON lines in and out (the workbench uses it)");
  add_common_options(*command, *options, true);
  add_examples(*command, {"echo '{\"id\": 1, \"do\": \"open\", \"workload\": \"matmul\"}' | temper "
                          "session"});
  command->callback(
      [&program, options] { program.action = [options] { return run_session(*options); }; });
}

} // namespace temper::cli
