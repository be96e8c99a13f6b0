/// temper tag, note, prune: what a person says of records, and which of them are kept.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "database/system.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>

namespace temper::cli {
namespace {

using database::Selection;
using database::Store;
using tuner::Workbench;

/// The rows that a person means: an id names its row itself (a run's id the run), everything else
/// the best records, or with `all` every record that fits.
Result<std::vector<database::Id>> subjects_of(Workbench& bench,
                                              const std::vector<std::string>& words, bool all) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(selections, database::parse_selections(words));
  TEMPER_TRY(defaults, bench.comparable());
  std::vector<database::Id> ids;
  for (const Selection& selection : selections) {
    if (selection.form == Selection::Form::kRun) {
      TEMPER_TRY(id, database::resolve_id(*store, selection.text, database::Kind::kRun));
      ids.push_back(std::move(id));
      continue;
    }
    if (selection.form == Selection::Form::kId) {
      TEMPER_TRY(found, store->ids_with_prefix(selection.text, 1));
      if (!found.empty()) {
        TEMPER_TRY(id, database::resolve_id(*store, selection.text));
        ids.push_back(std::move(id));
        continue;
      }
    }
    if (all) {
      TEMPER_TRY(filter, database::filter_of(*store, selection, defaults));
      TEMPER_TRY(listed, store->list_record_ids(filter));
      if (listed.empty())
        return Error(ErrorCode::kNotFound, "there is no record for " + selection.to_string());
      ids.insert(ids.end(), listed.begin(), listed.end());
    } else {
      TEMPER_TRY(best, database::resolve_selection(*store, selection, defaults));
      for (const database::RecordRow& row : best)
        ids.push_back(row.id);
    }
  }
  return ids;
}

std::string short_ids(Store& store, const std::vector<database::Id>& ids) {
  constexpr size_t kShown = 5;
  std::vector<std::string> texts;
  for (const database::Id& id : ids) {
    if (texts.size() == kShown) {
      texts.push_back(fmt::format("{} more", ids.size() - kShown));
      break;
    }
    texts.push_back(short_id(store, id));
  }
  return join(texts, ", ");
}

// ---- tag

struct TagOptions {
  CommonOptions common;
  std::string name;
  std::vector<std::string> words;
  bool remove = false;
  bool all = false;
};

int list_tags(Store& store, bool json) {
  std::map<std::string, std::vector<database::Id>> tags;
  auto walked = store.each_tag([&](const database::Tag& tag) {
    tags[tag.tag].push_back(tag.subject);
    return true;
  });
  if (!walked)
    return report(walked.error());
  Json list = Json::array();
  Table table({{"tag"}, {"on"}});
  for (const auto& [name, subjects] : tags) {
    list.push_back(Json{{"tag", name}, {"subjects", subjects}});
    table.add({name, short_ids(store, subjects)});
  }
  if (json)
    print_json("tag", Json{{"tags", std::move(list)}});
  else if (tags.empty())
    fmt::print("there are no tags\n");
  else
    table.print();
  return kDone;
}

/// Whether what was typed as the tag selects something: then the order was meant the other way.
bool is_selection(Store& store, const std::string& name) {
  for (const char* prefix : {"run:", "tag:", "query:"})
    if (name.starts_with(prefix))
      return true;
  const auto workloads = store.list_workloads(name);
  const auto ids = store.ids_with_prefix(name, 1);
  return (workloads && !workloads->empty()) ||
         (database::looks_like_id(name) && ids && !ids->empty());
}

std::string in_order(const TagOptions& options) {
  std::string text = "the tag comes before what gets it: temper tag ";
  text += shell_quoted(options.words.back()) + " " + shell_quoted(options.name);
  for (size_t i = 0; i + 1 < options.words.size(); ++i)
    text += " " + shell_quoted(options.words[i]);
  return text;
}

int run_tag(const TagOptions& options) {
  const bool listing = options.name.empty();
  Workbench bench(listing ? viewing(options.common) : options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  if (listing)
    return list_tags(**store, options.common.json);
  if (options.words.empty())
    return report(Error(ErrorCode::kInvalidArgument,
                        "say what gets the tag, as 'temper tag " + options.name + " m3f9c2'"));
  auto subjects = subjects_of(bench, options.words, options.all);
  if (!subjects && is_selection(**store, options.name))
    return report(std::move(subjects).error().with_note(in_order(options)));
  if (!subjects)
    return report(subjects.error());
  auto done = (*store)->transaction([&]() -> Result<void> {
    for (const database::Id& subject : *subjects) {
      const database::Tag tag{.subject = subject, .tag = options.name};
      TEMPER_TRY_VOID(options.remove ? (*store)->remove(tag) : (*store)->add(tag));
    }
    return {};
  });
  if (!done)
    return report(done.error());
  if (options.common.json)
    print_json("tag",
               Json{{"tag", options.name}, {"removed", options.remove}, {"subjects", *subjects}});
  else
    fmt::print("{} {} {}\n", options.remove ? "removed" : options.name,
               options.remove ? options.name + " from" : "is on", short_ids(**store, *subjects));
  return kDone;
}

// ---- note

struct NoteOptions {
  CommonOptions common;
  std::string text;
  std::vector<std::string> words;
  bool all = false;
};

int run_note(const NoteOptions& options) {
  Workbench bench(options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  if (std::string_view(trim(options.text)).empty())
    return report(Error(ErrorCode::kInvalidArgument, "the note is empty"));
  auto subjects = subjects_of(bench, options.words, options.all);
  if (!subjects)
    return report(subjects.error());
  const char* user = std::getenv("USER");
  auto done = (*store)->transaction([&]() -> Result<void> {
    for (const database::Id& subject : *subjects)
      TEMPER_TRY_VOID((*store)->add(
          database::Note{.subject = subject, .text = options.text, .author = user ? user : ""}));
    return {};
  });
  if (!done)
    return report(done.error());
  if (options.common.json)
    print_json("note", Json{{"text", options.text}, {"subjects", *subjects}});
  else
    fmt::print("noted on {}\n", short_ids(**store, *subjects));
  return kDone;
}

// ---- prune

struct PruneCommand {
  CommonOptions common;
  std::vector<std::string> words;
  std::string older_than = "90d";
  bool dry_run = false;
};

std::string format_bytes(int64_t bytes) {
  return bytes < (1 << 20) ? fmt::format("{:.0f} KiB", static_cast<double>(bytes) / 1024)
                           : fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

int run_prune(const PruneCommand& options) {
  // An age is read as the query language reads it.
  auto age = database::parse_query("measured < " + options.older_than + " ago",
                                   database::System::real().now_ns());
  if (!age || (*age)->form != database::QueryCondition::Form::kCompare)
    return report(
        Error(ErrorCode::kInvalidArgument,
              "--older-than is an age as 90d, 12h or 2w, not '" + options.older_than + "'"));
  Workbench bench(options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  database::PruneOptions prune;
  prune.before = (*age)->value.moment;
  prune.dry_run = options.dry_run;
  if (!options.words.empty()) {
    auto selection = database::parse_selection(options.words);
    if (!selection)
      return report(selection.error());
    auto comparable = bench.comparable();
    if (!comparable)
      return report(comparable.error());
    // Of every machine, toolchain and regime: what is old is seldom of today's.
    database::RecordFilter defaults;
    defaults.current_toolchains = comparable->current_toolchains;
    auto filter = database::filter_of(**store, *selection, defaults);
    if (!filter)
      return report(filter.error());
    prune.filter = std::move(*filter);
  }
  auto summary = (*store)->prune(prune);
  if (!summary)
    return report(summary.error());
  const auto count = [&](const char* kind) {
    const auto found = summary->rows.find(kind);
    return found == summary->rows.end() ? int64_t{0} : found->second;
  };
  if (options.common.json) {
    print_json("prune", Json{{"dry_run", options.dry_run},
                             {"considered", summary->considered},
                             {"dropped", summary->rows},
                             {"records", summary->records},
                             {"bytes_before", summary->bytes_before},
                             {"bytes_after", summary->bytes_after}});
    return kDone;
  }
  if (!summary->records.empty()) {
    Table table({{"workload"}, {"records", true}, {"of these", false, true}});
    for (const auto& [name, outcomes] : summary->records) {
      int64_t total = 0;
      std::vector<std::string> parts;
      for (const auto& [outcome, number] : outcomes) {
        total += number;
        parts.push_back(fmt::format("{} {}", number, outcome));
      }
      table.add({name, std::to_string(total), join(parts, ", ")});
    }
    table.print();
  }
  fmt::print(
      "{} {} of {} older than {}{}; the others are a best, confirmed, pinned, tagged, noted, "
      "or of a run that can go on\n",
      options.dry_run ? "would drop" : "dropped", count("measurement"),
      format_count(summary->considered, "record"), options.older_than,
      count("model") > 0 ? ", and " + format_count(count("model"), "model") : "");
  if (!options.dry_run && count("measurement") + count("model") > 0)
    fmt::print("the database takes {} now, {} before\n", format_bytes(summary->bytes_after),
               format_bytes(summary->bytes_before));
  return kDone;
}

} // namespace

void add_tag(Program& program) {
  auto options = std::make_shared<TagOptions>();
  CLI::App* command = program.app.add_subcommand(
      "tag", "mark records, runs, candidates or workloads with a word; what is pinned stays");
  command->add_option("name", options->name, "the tag; without one, all tags are listed");
  command->add_option("selection", options->words,
                      "SELECTION...: an id names its row itself, everything else the best records");
  command->add_flag("--remove", options->remove, "take the tag away");
  command->add_flag("--all", options->all, "every record that fits, not only the best");
  add_common_options(*command, options->common, false);
  add_examples(*command,
               {"temper tag pinned m3f9c2", "temper tag release-2 matmul conv2d_nchw",
                "temper tag odd --all 'query:outcome = wrong_result and measured > 1d ago'",
                "temper tag --remove pinned m3f9c2", "temper list records tag:odd"});
  command->callback(
      [&program, options] { program.action = [options] { return run_tag(*options); }; });
}

void add_note(Program& program) {
  auto options = std::make_shared<NoteOptions>();
  CLI::App* command = program.app.add_subcommand(
      "note", "write a sentence to records, runs, candidates or workloads; show prints it");
  command->add_option("text", options->text, "the note")->required();
  command
      ->add_option("selection", options->words,
                   "SELECTION...: an id names its row itself, everything else the best records")
      ->required();
  command->add_flag("--all", options->all, "every record that fits, not only the best");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper note 'spills in the epilogue, ask Ada' m3f9c2",
                          "temper list records 'query:note ~ spills'"});
  command->callback(
      [&program, options] { program.action = [options] { return run_note(*options); }; });
}

void add_prune(Program& program) {
  auto options = std::make_shared<PruneCommand>();
  CLI::App* command = program.app.add_subcommand(
      "prune", "drop old records; never a best, a confirmed, pinned, tagged or noted one");
  command->add_option("selection", options->words, "only these records (default: all)");
  command->add_option("--older-than", options->older_than, "age as 90d (default), 12h, 2w");
  command->add_flag("--dry-run", options->dry_run, "say what would be dropped, and drop nothing");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper prune --dry-run", "temper prune --older-than 1w matmul",
                          "temper prune --older-than 1d 'query:outcome != ok'"});
  command->callback(
      [&program, options] { program.action = [options] { return run_prune(*options); }; });
}

} // namespace temper::cli
