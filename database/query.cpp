#include "database/query.h"

#include "database/store.h"
#include "database/system.h"
#include "ir/support/json.h"
#include "ir/support/text.h"

#include <algorithm>

namespace temper::database {

namespace {

Error usage(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

bool is_assignment(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return false;
  return std::ranges::all_of(word.substr(0, equals),
                             [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

/// `m3f9c2 (record of matmul, ok)`: one match of an ambiguous prefix.
std::string describe(Store& store, const Id& id) {
  const Result<std::string> short_id = store.short_id(id);
  std::string text = short_id ? *short_id : id;
  switch (static_cast<Kind>(id[0])) {
  case Kind::kMeasurement:
    if (const auto row = store.measurement(id))
      text += std::string(" (") + to_string(row->outcome) + ", run " + row->run.substr(0, 6) + ")";
    break;
  case Kind::kRun:
    if (const auto row = store.run(id))
      text += std::string(" (") + to_string(row->state) + ")";
    break;
  case Kind::kWorkload:
    if (const auto row = store.workload(id))
      text += " (" + row->name + " " + row->binding_json + ")";
    break;
  default:
    break;
  }
  return text;
}

std::string binding_text(const std::map<std::string, std::string>& binding) {
  std::string text;
  for (const auto& [name, value] : binding)
    text += " " + name + "=" + value;
  return text;
}

/// Says what there is, when nothing was found.
Error nothing_found(Store& store, const Selection& selection, const RecordFilter& filter) {
  // The same question without the demands on environment, toolchain and regime.
  RecordFilter wide;
  wide.workload_name = filter.workload_name;
  wide.workloads = filter.workloads;
  wide.binding = filter.binding;
  wide.run = filter.run;
  wide.tag = filter.tag;
  wide.query = filter.query;
  wide.include_stale = true;
  wide.current_toolchains = filter.current_toolchains;
  const std::string what = selection.to_string();
  if (const auto rows = store.best(wide); rows && !rows->empty()) {
    const RecordRow& row = rows->front();
    if (!filter.environment_class.empty() && row.environment_class != filter.environment_class)
      return {ErrorCode::kNotFound, "no record of " + what + " was made on this machine (" +
                                        filter.environment_class + "); there are some from " +
                                        row.environment_class};
    if (row.stale)
      return {ErrorCode::kNotFound,
              "every record of " + what +
                  " was made with an older toolchain; tune again, or ask for stale records too"};
    return {ErrorCode::kNotFound, "no record of " + what +
                                      " fits the target, threads and timing regime asked for; "
                                      "there are some for " +
                                      row.target + ", " + to_string(row.regime) + " cache"};
  }
  wide.limit = 1;
  wide.outcomes = {Outcome::kChecked};
  if (const auto checked = store.list_records(wide); checked && !checked->empty())
    return {ErrorCode::kNotFound,
            "no candidate of " + what + " was timed: some are right for " +
                checked->front().target +
                ", as `temper list records 'query:outcome = checked'` shows, but were checked "
                "without a GPU"};
  wide.outcomes = {Outcome::kNotChecked};
  if (const auto open = store.list_records(wide); open && !open->empty())
    return {ErrorCode::kNotFound,
            "no candidate of " + what + " was timed: some are made for " + open->front().target +
                ", as `temper list records 'query:outcome = not_checked'` shows, but nothing there "
                "could run them"};
  wide.outcomes.clear();
  const auto any = store.list_records(wide);
  if (any && !any->empty())
    return {ErrorCode::kNotFound, "no candidate of " + what +
                                      " was correct and timed; see its failures with "
                                      "`temper show " +
                                      any->front().run.substr(0, kShortIdLength) + "`"};
  if (selection.form == Selection::Form::kWorkload) {
    const auto workloads = store.list_workloads();
    std::vector<std::string> names;
    bool known = false;
    if (workloads)
      for (const WorkloadRow& row : *workloads) {
        names.push_back(row.workload.name);
        known = known || row.workload.name == selection.text;
      }
    if (known)
      return {ErrorCode::kNotFound, "there is no record of " + what + "; `temper list records " +
                                        selection.text + "` shows what there is"};
    const std::string near = nearest_name(selection.text, names);
    return {ErrorCode::kNotFound,
            "'" + selection.text +
                "' is neither the start of a record's id nor a workload that has "
                "records here" +
                (near.empty() ? "; `temper list records` shows what there is, `temper tune " +
                                    selection.text + "` would make some of a workload"
                              : "; did you mean '" + near + "'?")};
  }
  return {ErrorCode::kNotFound, "there is no record for " + what};
}

} // namespace

std::string Selection::to_string() const {
  switch (form) {
  case Form::kId:
    return text;
  case Form::kRun:
    return "run:" + text;
  case Form::kTag:
    return "tag:" + text;
  case Form::kQuery:
    return shell_quoted("query:" + text); // as it is typed
  case Form::kWorkload:
    return text + binding_text(binding);
  }
  TEMPER_UNREACHABLE("form of a selection");
}

Result<Selection> parse_selection(std::span<const std::string> words) {
  if (words.empty())
    return usage("a selection is missing: give a record's id, a workload with its parameters, "
                 "run:ID, tag:NAME or query:\"...\"");
  const std::string& head = words[0];
  Selection selection;
  const auto after = [&](std::string_view prefix) { return head.substr(prefix.size()); };
  if (head.starts_with("query:")) {
    selection.form = Selection::Form::kQuery;
    selection.text = after("query:");
    TEMPER_TRY(query, parse_query(selection.text, System::real().now_ns()));
    selection.query = query;
    if (words.size() > 1)
      return usage("'" + words[1] + "' does not belong here: write it into the query, as and " +
                   words[1]);
    return selection;
  }
  if (head.starts_with("run:") || head.starts_with("tag:")) {
    selection.form = head.starts_with("run:") ? Selection::Form::kRun : Selection::Form::kTag;
    selection.text = after("run:");
    if (selection.text.empty())
      return usage("'" + head + "' names nothing: write " + head + "NAME");
    if (selection.form == Selection::Form::kRun &&
        !(selection.text[0] == 'r' && looks_like_id(selection.text)))
      return usage("'" + selection.text +
                   "' is no id of a run; those are an r and at least 5 hexadecimal digits, as "
                   "r81ab0");
  } else if (is_assignment(head)) {
    return usage("'" + head + "' is a parameter; name the workload before it");
  } else {
    selection.form = looks_like_id(head) ? Selection::Form::kId : Selection::Form::kWorkload;
    selection.text = head;
    if (head.empty())
      return usage("an empty word selects nothing");
  }
  for (const std::string& word : words.subspan(1)) {
    if (!is_assignment(word))
      return usage("'" + word + "' after '" + head + "' is no parameter; write NAME=VALUE");
    if (selection.form == Selection::Form::kRun || selection.form == Selection::Form::kTag)
      return usage("'" + word + "' does not belong here: only a workload has parameters");
    // An id-like word with parameters can only be a workload's name.
    selection.form = Selection::Form::kWorkload;
    const size_t equals = word.find('=');
    if (equals + 1 == word.size())
      return usage("parameter '" + word.substr(0, equals) + "' has no value");
    if (!selection.binding.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
      return usage("parameter '" + word.substr(0, equals) + "' is given twice");
  }
  return selection;
}

Result<std::vector<Selection>> parse_selections(std::span<const std::string> words) {
  std::vector<Selection> selections;
  for (size_t begin = 0; begin < words.size();) {
    size_t end = begin + 1;
    while (end < words.size() && is_assignment(words[end]))
      ++end;
    TEMPER_TRY(selection, parse_selection(words.subspan(begin, end - begin)));
    selections.push_back(std::move(selection));
    begin = end;
  }
  return selections;
}

Result<Id> resolve_id(Store& store, std::string_view prefix) {
  if (!looks_like_id(prefix))
    return usage("'" + std::string(prefix) +
                 "' is no id; ids are a letter and at least 5 hexadecimal digits, as m3f9c2");
  constexpr size_t kShown = 5;
  TEMPER_TRY(matches, store.ids_with_prefix(prefix, kShown + 1));
  const auto kind = static_cast<Kind>(prefix[0]);
  if (matches.empty())
    return Error(ErrorCode::kNotFound, "there is no " + std::string(to_string(kind)) + " " +
                                           std::string(prefix) + " in the database '" +
                                           store.name() + "'");
  if (matches.size() == 1)
    return matches.front();
  std::vector<std::string> shown;
  for (const Id& id : matches)
    if (shown.size() < kShown)
      shown.push_back(describe(store, id));
  return usage("'" + std::string(prefix) + "' is the start of several ids: " + join(shown, ", ") +
               (matches.size() > kShown ? ", …" : "") + "; give more of it");
}

Result<Id> resolve_id(Store& store, std::string_view prefix, Kind kind) {
  if (looks_like_id(prefix) && prefix[0] != static_cast<char>(kind))
    return usage("'" + std::string(prefix) + "' is the id of a " +
                 to_string(static_cast<Kind>(prefix[0])) + "; here it must be that of a " +
                 to_string(kind) + ", which begins with " + static_cast<char>(kind));
  return resolve_id(store, prefix);
}

RecordFilter same_conditions(const RecordRow& row) {
  RecordFilter filter;
  filter.workloads = {row.workload};
  filter.target = row.target;
  filter.threads = row.threads;
  filter.environment_class = row.environment_class;
  filter.regime = row.regime;
  filter.inputs = row.inputs;
  return filter;
}

namespace {

/// The filter, and the form that the selection has once ids are told from names.
Result<RecordFilter> filter_of(Store& store, const Selection& selection,
                               const RecordFilter& defaults, Selection::Form& form) {
  RecordFilter filter = defaults;
  form = selection.form;
  if (form == Selection::Form::kId) {
    // A workload may be called `ebbed0`: a name that is known wins over an id that is not.
    const auto ids = store.ids_with_prefix(selection.text, 1);
    if (ids && ids->empty())
      if (const auto rows = store.list_workloads(selection.text); rows && !rows->empty())
        form = Selection::Form::kWorkload;
  }
  const auto only_run = [&](const Id& id) {
    // Whoever names a run wants its records, wherever and with whatever it was made.
    RecordFilter of_run;
    of_run.run = id;
    of_run.current_toolchains = defaults.current_toolchains;
    of_run.include_stale = true;
    of_run.limit = defaults.limit;
    of_run.order = defaults.order;
    return of_run;
  };
  switch (form) {
  case Selection::Form::kId: {
    TEMPER_TRY(id, resolve_id(store, selection.text));
    switch (static_cast<Kind>(id[0])) {
    case Kind::kMeasurement:
      filter.record = id;
      break;
    case Kind::kRun:
      return only_run(id);
    case Kind::kCandidate:
      filter.candidate = id;
      break;
    case Kind::kWorkload:
      filter.workloads = {id};
      break;
    default:
      return usage("'" + selection.text + "' is the id of a " +
                   to_string(static_cast<Kind>(id[0])) +
                   "; records are selected by a record, run, candidate or workload");
    }
    break;
  }
  case Selection::Form::kRun: {
    TEMPER_TRY(id, resolve_id(store, selection.text, Kind::kRun));
    return only_run(id);
  }
  case Selection::Form::kTag:
    filter.tag = selection.text;
    break;
  case Selection::Form::kWorkload:
    filter.workload_name = selection.text;
    filter.binding = selection.binding;
    break;
  case Selection::Form::kQuery: {
    const QueryCondition& query = *selection.query;
    filter.query = selection.query;
    if (mentions(query, QueryField::kRun) || mentions(query, QueryField::kRecord)) {
      filter = only_run("");
      filter.query = selection.query;
    }
    if (mentions(query, QueryField::kEnvironment) || mentions(query, QueryField::kHost))
      filter.environment_class.clear();
    if (mentions(query, QueryField::kToolchain) || mentions(query, QueryField::kStale))
      filter.include_stale = true;
    if (mentions(query, QueryField::kCache))
      filter.regime.reset();
    if (mentions(query, QueryField::kTarget))
      filter.target.clear();
    if (mentions(query, QueryField::kThreads))
      filter.threads = 0;
    break;
  }
  }
  return filter;
}

} // namespace

Result<RecordFilter> filter_of(Store& store, const Selection& selection,
                               const RecordFilter& defaults) {
  Selection::Form form = selection.form;
  return filter_of(store, selection, defaults, form);
}

Result<std::vector<RecordRow>> resolve_selection(Store& store, const Selection& selection,
                                                 const RecordFilter& defaults) {
  Selection::Form form = selection.form;
  TEMPER_TRY(filter, filter_of(store, selection, defaults, form));
  if (!filter.record.empty()) {
    TEMPER_TRY(row, store.record_row(filter.record, defaults.current_toolchains));
    return std::vector<RecordRow>{std::move(row)};
  }
  TEMPER_TRY(rows, store.best(filter));
  if (rows.empty()) {
    Selection meant = selection;
    meant.form = form;
    return nothing_found(store, meant, filter);
  }
  return std::move(rows);
}

} // namespace temper::database
