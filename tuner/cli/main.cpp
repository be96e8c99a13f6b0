/// temper: the command line.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "ir/script/intrinsic_file.h"
#include "ir/support/passwords.h"
#include "ir/support/text.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

using namespace temper;

namespace {

/// As it was typed, to be kept and shown.
std::string command_line_of(const std::vector<std::string>& words) {
  std::string text = "temper";
  for (const std::string& word : words)
    text += " " + shell_quoted(without_passwords(word));
  return text;
}

/// What the parser says, which may repeat an argument.
void print_sentence(const std::string& sentence) {
  std::fprintf(stderr, "temper: %s\n", without_passwords(sentence).c_str());
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (int i = 1; i < argc; ++i)
    blot_out_passwords(argv[i]); // everybody may read the list of processes
  CLI::App app{"temper finds the fastest correct version of a compute kernel for this machine,\n"
               "shows why it is fastest, and exports it as a library.",
               "temper"};
  app.formatter(std::make_shared<cli::HelpFormatter>());
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("temper ") + TEMPER_VERSION);
  app.failure_message(CLI::FailureMessage::simple);
  cli::Program program{app, {}, command_line_of(words)};
  cli::add_check(program);
  cli::add_tune(program);
  cli::add_resume(program);
  cli::add_batch(program);
  cli::add_bench(program);
  cli::add_list(program);
  cli::add_show(program);
  cli::add_best(program);
  cli::add_compare(program);
  cli::add_report(program);
  cli::add_explain(program);
  cli::add_rerun(program);
  cli::add_remeasure(program);
  cli::add_export(program);
  cli::add_dump(program);
  cli::add_import(program);
  cli::add_tag(program);
  cli::add_note(program);
  cli::add_prune(program);
  cli::add_doctor(program);
  cli::add_score(program);
  cli::add_gui(program);
  cli::add_session(program);
  app.footer("A kernel is named by a workload (temper list workloads), a file (scale.py), or\n"
             "file:function; its parameters follow as NAME=VALUE.\n\n"
             "examples:\n"
             "  temper tune matmul M=512 N=512 K=512 --trials 200\n"
             "  temper best matmul\n"
             "  temper export --name kernels --out out matmul\n"
             "  temper doctor\n\n"
             "exit codes: 0 done, 1 the work failed, 2 wrong usage, 3 the answer is no (wrong\n"
             "result, slower, stale), 4 check could not look, 130 interrupted, can be resumed");
  // Of its own: the commands' options need a wider column than the commands' names.
  const auto formatter = std::make_shared<cli::HelpFormatter>();
  formatter->label("SUBCOMMAND", "COMMAND");
  formatter->column_width(14);
  app.formatter(formatter);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    command->group("Commands");
  if (argc == 1) {
    std::fprintf(stderr, "temper: name a command; temper --help lists them\n");
    return cli::kWrongUsage;
  }
  if (const auto loaded = script::load_tensor_intrinsics(); !loaded) {
    std::fprintf(stderr, "temper: %s\n", loaded.error().to_string().c_str());
    return cli::kWrongUsage;
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend())); // CLI11 takes them reversed
  } catch (const CLI::CallForHelp& request) {
    return app.exit(request);
  } catch (const CLI::CallForAllHelp& request) {
    return app.exit(request);
  } catch (const CLI::CallForVersion& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    // A misspelt command gets the nearest one.
    std::string advice = "; temper --help lists the commands";
    if (argc > 1 && argv[1][0] != '-') {
      std::vector<std::string> names;
      bool known = false;
      for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
        known |= command->get_name() == argv[1];
      }
      const std::string nearest = nearest_name(argv[1], names);
      if (known)
        advice = std::string("; temper ") + argv[1] + " --help shows its options";
      else if (!nearest.empty())
        advice = "; did you mean 'temper " + nearest + "'?";
      if (!known) {
        print_sentence(std::string("there is no command '") + argv[1] + "'" + advice);
        return cli::kWrongUsage;
      }
    }
    std::string sentence = error.what();
    if (sentence.size() > 1 && std::islower(static_cast<unsigned char>(sentence[1])))
      sentence[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(sentence[0])));
    print_sentence(sentence + advice);
    return cli::kWrongUsage;
  }
  try {
    const int code = program.action();
    // An answer that did not arrive is no answer.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      std::fprintf(stderr, "temper: the output cannot be written: %s\n", std::strerror(errno));
      return cli::kFailedWork;
    }
    return code;
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "temper: the output cannot be written: %s\n",
                 error.code().message().c_str());
    return cli::kFailedWork;
  } catch (const std::exception& error) {
    print_sentence(std::string("internal error: ") + error.what());
    return cli::kFailedWork;
  }
}
