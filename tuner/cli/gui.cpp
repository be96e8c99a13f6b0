/// temper gui: starts the desktop workbench, a program of its own.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace temper::cli {
namespace {

struct GuiOptions {
  std::string database;
  std::string shots;
  std::string save;
  std::string theme;
  std::string link;
};

int run_gui(const GuiOptions& options) {
  const auto program = tuner::find_helper_program("temper-gui");
  if (!program)
    return report(Error(ErrorCode::kEnvironment,
                        "temper-gui is not built: it needs qt6-base-dev, libqcustomplot-dev and "
                        "libqscintilla2-qt6-dev; in a checkout ./dev gui installs and builds it"));
  std::vector<std::string> words{*program};
  for (const auto& [option, value] :
       {std::pair{"--db", &options.database}, std::pair{"--shots", &options.shots},
        std::pair{"--save", &options.save}, std::pair{"--theme", &options.theme}})
    if (!value->empty())
      words.insert(words.end(), {option, *value});
  if (!options.link.empty())
    words.push_back(options.link);
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execv(program->c_str(), arguments.data());
  return report(
      Error(ErrorCode::kEnvironment, "cannot start " + *program + ": " + std::strerror(errno)));
}

} // namespace

void add_gui(Program& program) {
  auto options = std::make_shared<GuiOptions>();
  CLI::App* command =
      program.app.add_subcommand("gui", "the desktop workbench: records, runs, comparisons");
  command->add_option(
      "--db", options->database,
      "database: a file, or postgresql://user@host/name (default: that of the link, $TEMPER_DB, "
      "else temper/temper.db in the data home)");
  command->add_option("link", options->link,
                      "a place in the workbench, copied there with Ctrl+Alt+L: temper://open?...");
  command->add_option("--shots", options->shots,
                      "draw every view to PNG files in this folder and exit; needs no display");
  command->add_option("--save", options->save,
                      "save what the link shows (a plot, a run, a comparison) to this file, .png, "
                      ".svg, .csv or .html, and exit; needs no display");
  command->add_option("--theme", options->theme, "light, dark or auto")
      ->check(CLI::IsMember({"light", "dark", "auto"}));
  add_examples(*command, {"temper gui", "temper gui --db overnight.db",
                          "temper gui 'temper://open?view=library'",
                          "temper gui 'temper://open?plot=parallel' --save plot.svg"});
  command->callback(
      [&program, options] { program.action = [options] { return run_gui(*options); }; });
}

} // namespace temper::cli
