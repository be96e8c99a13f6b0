#include "ir/pass/pass.h"

#include "ir/json_graph.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace temper::ir {
namespace {

std::string (*module_renderer)(const IRModule&) = nullptr;

std::string text_of(const IRModule& module, const PassOptions& options) {
  return options.render    ? options.render(module)
         : module_renderer ? module_renderer(module)
                           : to_json(module).dump(1) + "\n";
}

class Dumper {
public:
  Dumper(const IRModule& module, const PassOptions& options) : options_(options) {
    name_ = !options.name.empty()       ? options.name
            : module->functions.empty() ? "module"
                                        : module->functions[0].name;
  }

  Result<void> write(const std::string& pass, const std::string& text) {
    if (!enabled())
      return {};
    if (folder_.empty())
      TEMPER_TRY_VOID(make_folder());
    return write_file(folder_ / fmt::format("{:02}.{}.txt", number_++, pass), text);
  }
  bool enabled() const { return !options_.dump_dir.empty(); }

private:
  /// The first number that is free. Making a folder either succeeds or finds it there, so compile
  /// processes that write side by side get one each.
  Result<void> make_folder() {
    std::error_code failed;
    std::filesystem::create_directories(options_.dump_dir, failed);
    for (int run = 1; !failed; ++run) {
      folder_ = options_.dump_dir / fmt::format("{}.{}", name_, run);
      if (std::filesystem::create_directory(folder_, failed))
        return {};
    }
    return Error(
        ErrorCode::kEnvironment,
        fmt::format("cannot write what the passes do into '{}': {}; set TEMPER_DUMP_DIR to "
                    "a folder that can be written",
                    options_.dump_dir.string(), failed.message()));
  }

  const PassOptions& options_;
  std::string name_;
  std::filesystem::path folder_;
  int number_ = 0;
};

Error with_before(Error error, const IRModule& before, const PassOptions& options) {
  // What names a line of the script is found there.
  if (error.message.starts_with("line "))
    return error;
  if (options.render || module_renderer)
    error.notes.push_back("before this pass:\n" + text_of(before, options));
  return error;
}

} // namespace

void set_module_renderer(std::string (*render)(const IRModule&)) { module_renderer = render; }

Pass function_pass(std::string name, std::function<Result<PrimFunc>(const PrimFunc&)> run) {
  return {std::move(name), [run = std::move(run)](const IRModule& module) -> Result<IRModule> {
            IRModule result = module;
            for (const ModuleEntry& entry : module->functions) {
              const PrimFunc function = entry.function.as_ref<PrimFuncNode>();
              if (!function)
                continue;
              TEMPER_TRY(changed, run(function));
              if (changed != function)
                result = with_function(result, entry.name, changed);
            }
            return result;
          }};
}

PassOptions with_environment(PassOptions options) {
  if (const char* dump = std::getenv("TEMPER_DUMP");
      dump != nullptr && std::string_view(dump).find("passes") != std::string_view::npos) {
    const char* folder = std::getenv("TEMPER_DUMP_DIR");
    options.dump_dir = folder != nullptr && *folder != '\0' ? folder : "temper-dump";
  }
  if (const char* skip = std::getenv("TEMPER_SKIP_PASSES"))
    for (const std::string& name : split_text(skip, ','))
      if (const std::string_view trimmed = trim(name); !trimmed.empty())
        options.skip.emplace_back(trimmed);
  if (const char* verify = std::getenv("TEMPER_VERIFY_PASSES"))
    options.verify = std::string_view(verify) != "0";
  return options;
}

Result<IRModule> run_passes(IRModule module, std::span<const Pass> passes,
                            const PassOptions& options) {
  if (options.verify)
    if (auto good = verify(module); !good)
      return with_before(std::move(good).error(), module, options);
  Dumper dumper(module, options);
  if (dumper.enabled())
    TEMPER_TRY_VOID(dumper.write("input", text_of(module, options)));
  for (const Pass& pass : passes) {
    if (std::find(options.skip.begin(), options.skip.end(), pass.name) != options.skip.end()) {
      TEMPER_TRY_VOID(dumper.write(pass.name, "skipped\n"));
      continue;
    }
    auto result = pass.run(module);
    if (!result)
      return with_before(std::move(result).error().with_note("in pass '" + pass.name + "'"), module,
                         options);
    IRModule after = *std::move(result);
    TEMPER_CHECK(after, "a pass returns a module");
    if (dumper.enabled())
      TEMPER_TRY_VOID(
          dumper.write(pass.name, after == module ? "unchanged\n" : text_of(after, options)));
    if (options.verify && after != module)
      if (auto good = verify(after); !good)
        return with_before(
            Error{ErrorCode::kFailed,
                  "pass '" + pass.name + "' broke the program: " + good.error().to_string()},
            module, options);
    module = std::move(after);
  }
  return module;
}

} // namespace temper::ir
