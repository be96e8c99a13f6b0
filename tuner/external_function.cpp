#include "tuner/external_function.h"

#include "codegen/llvm/link.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/support/number.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;
using engine::CArgument;
using Argument = ExternalFunction::Argument;
using Form = ExternalFunction::Form;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_word) &&
         std::isdigit(static_cast<unsigned char>(text[0])) == 0;
}

/// "const float *A" -> "const float*" and "A"; "M" -> "" and "M".
Argument argument_of(std::string_view text) {
  text = trim(text);
  size_t start = text.size();
  while (start > 0 && (is_word(text[start - 1]) ||
                       std::string_view(".+-").find(text[start - 1]) != std::string_view::npos))
    --start;
  std::string type;
  for (const char c : trim(text.substr(0, start)))
    if (c != ' ' || (!type.empty() && type.back() != ' '))
      type += c;
  while (type.size() > 1 && type.back() == '*' && type[type.size() - 2] == ' ')
    type.erase(type.size() - 2, 1);
  return {std::move(type), std::string(text.substr(start))};
}

/// What a type of C is to a call; by the words of its name.
std::optional<CArgument::Kind> kind_of(const std::string& type) {
  if (type.ends_with('*') || type.ends_with("restrict"))
    return CArgument::Kind::kBuffer;
  static const std::map<std::string, CArgument::Kind> known = {
      {"int", CArgument::Kind::kInt32},          {"int32_t", CArgument::Kind::kInt32},
      {"unsigned", CArgument::Kind::kInt32},     {"uint32_t", CArgument::Kind::kInt32},
      {"unsigned int", CArgument::Kind::kInt32}, {"long", CArgument::Kind::kInt64},
      {"long long", CArgument::Kind::kInt64},    {"int64_t", CArgument::Kind::kInt64},
      {"uint64_t", CArgument::Kind::kInt64},     {"size_t", CArgument::Kind::kInt64},
      {"ptrdiff_t", CArgument::Kind::kInt64},    {"unsigned long", CArgument::Kind::kInt64},
      {"float", CArgument::Kind::kFloat32},      {"double", CArgument::Kind::kFloat64},
  };
  const auto found = known.find(type.starts_with("const ") ? type.substr(6) : type);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

Error does_not_fit(const ExternalFunction& function, size_t number, const std::string& sentence) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("{}, argument {}: {}", function.name(), number + 1, sentence)};
}

/// A number as it stands, or the task's parameter of that name.
template <typename Number>
Result<Number> value_of(const ExternalFunction& function, size_t number, const Json& binding) {
  const std::string& text = function.arguments[number].value;
  if (const auto value = parse_number<Number>(text))
    return *value;
  const auto found = binding.find(text);
  if (found == binding.end()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : binding.items())
      if (value.is_number())
        names.push_back(name);
    return does_not_fit(function, number,
                        "'" + text +
                            "' is neither a number nor a parameter of the workload, "
                            "which are " +
                            join(names, ", "));
  }
  if (!found->is_number() || (std::is_integral_v<Number> && !found->is_number_integer()))
    return does_not_fit(function, number, "the parameter '" + text + "' is " + found->dump());
  return found->get<Number>();
}

Result<CArgument> bound(const ExternalFunction& function, size_t number, const Task& task,
                        const Json& binding) {
  const Argument& argument = function.arguments[number];
  const auto kind = kind_of(argument.type);
  if (!kind)
    return does_not_fit(function, number,
                        "there is no type '" + argument.type +
                            "' here; there are int, unsigned, long, int32_t, int64_t, size_t, "
                            "float, double, and pointers");
  CArgument result;
  result.kind = *kind;
  switch (*kind) {
  case CArgument::Kind::kBuffer: {
    const auto found = std::find_if(task.signature.begin(), task.signature.end(),
                                    [&](const auto& spec) { return spec.name == argument.value; });
    if (found == task.signature.end()) {
      std::vector<std::string> names;
      for (const codegen::ArgumentSpec& spec : task.signature)
        names.push_back(spec.name);
      return does_not_fit(function, number,
                          "the workload has no buffer '" + argument.value + "', but " +
                              join(names, ", "));
    }
    result.buffer = static_cast<size_t>(found - task.signature.begin());
    break;
  }
  case CArgument::Kind::kInt32:
  case CArgument::Kind::kInt64: {
    TEMPER_TRY(value, value_of<int64_t>(function, number, binding));
    if (*kind == CArgument::Kind::kInt32 && value != static_cast<int32_t>(value))
      return does_not_fit(function, number, std::to_string(value) + " is too large for an int");
    result.integer = value;
    break;
  }
  case CArgument::Kind::kFloat32:
  case CArgument::Kind::kFloat64: {
    TEMPER_TRY(value, value_of<double>(function, number, binding));
    result.real = value;
    break;
  }
  }
  return result;
}

/// Whether the file of a library has the function, before anything is run. Where it does not, but
/// is linked to libraries that are not the system's, those may, and the loader has to tell.
Result<void> check_function(const std::string& file, const std::string& symbol,
                            const std::string& library, const std::string& function) {
  const auto bytes = read_file(file);
  const auto symbols = bytes ? codegen::read_symbols(*bytes) : bytes.error();
  if (!symbols || std::ranges::find(symbols->defined, symbol) != symbols->defined.end())
    return {};
  const auto is_system = [](const std::string& needed) {
    return std::ranges::any_of(
        std::initializer_list<const char*>{"libc.", "libm.", "libdl.", "libpthread.", "librt.",
                                           "ld-linux", "libgcc_s.", "libstdc++.", "libgomp.",
                                           "libgfortran.", "libquadmath.", "libffi."},
        [&](const char* start) { return needed.starts_with(start); });
  };
  if (!std::ranges::all_of(symbols->needed, is_system))
    return {};
  std::vector<std::string> names;
  const std::string prefix = symbol.substr(0, symbol.size() - function.size());
  for (const std::string& name : symbols->defined)
    if (name.starts_with(prefix))
      names.push_back(name.substr(prefix.size()));
  std::sort(names.begin(), names.end()); // of two that are as near always the same
  const std::string nearest = nearest_name(function, names);
  return Error(ErrorCode::kNotFound,
               library + " has no function '" + function + "'" +
                   (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

Result<engine::Peer> baseline_peer(const Task& task, const std::string& library,
                                   const script::Baseline& baseline) {
  TEMPER_TRY(peer, engine::peer_artifact(library, baseline.entry, task.signature, baseline.sizes,
                                         task.threads));
  TEMPER_TRY_VOID(check_function(peer.artifact->library_path, baseline.entry,
                                 "temper's adapter for " + peer.name, baseline.entry));
  const std::vector<std::string> constants = task.constants();
  if (constants.empty())
    return std::move(peer);
  const std::string packed_entry = baseline.entry + "_packed";
  TEMPER_TRY(file, read_file(peer.artifact->library_path));
  TEMPER_TRY(symbols, codegen::read_symbols(file));
  if (std::find(symbols.defined.begin(), symbols.defined.end(), packed_entry) ==
      symbols.defined.end()) {
    peer.name += " (plain " + join(constants, ", ") + ")";
    return std::move(peer);
  }
  TEMPER_TRY(packed, engine::peer_artifact(library, packed_entry, task.signature, baseline.sizes,
                                           task.threads));
  packed.name += " (packed ahead)";
  return std::move(packed);
}

} // namespace

std::string ExternalFunction::name() const {
  const std::string file = fs::path(library).filename().string();
  return function.empty() ? file : file + ":" + function;
}

Result<ExternalFunction> parse_external_function(std::string_view written) {
  const std::string_view text = trim(written);
  const auto wrong = [&](const std::string& sentence) {
    return Error(ErrorCode::kInvalidArgument, "the function '" + std::string(text) + "' " +
                                                  sentence +
                                                  "; write LIBRARY, LIBRARY:ROUTINE(SIZES) or "
                                                  "FILE.so:FUNCTION(TYPE ARGUMENT, ...)");
  };
  ExternalFunction result;
  const size_t open = text.find('(');
  const size_t colon = text.substr(0, open).rfind(':');
  result.library = std::string(trim(text.substr(0, std::min(colon, open))));
  if (result.library.empty())
    return wrong("names no library");
  if (colon == std::string_view::npos) {
    if (open != std::string_view::npos || result.library.find('/') != std::string::npos)
      return wrong("names no function");
    return result;
  }
  result.function = std::string(trim(text.substr(
      colon + 1, open == std::string_view::npos ? std::string_view::npos : open - colon - 1)));
  if (!is_name(result.function))
    return wrong("names no function");
  if (open == std::string_view::npos) {
    result.form = Form::kFfi;
    return result;
  }
  if (!text.ends_with(')'))
    return wrong("has no closing parenthesis");
  const std::string inside(trim(text.substr(open + 1, text.size() - open - 2)));
  bool typed = false;
  bool untyped = false;
  if (!inside.empty())
    for (const std::string& one : split_text(inside, ',')) {
      Argument argument = argument_of(one);
      if (argument.value.empty())
        return wrong("has an argument '" + std::string(trim(one)) + "' without a name");
      (argument.type.empty() ? untyped : typed) = true;
      result.arguments.push_back(std::move(argument));
    }
  if (typed && untyped)
    return wrong("has arguments with a type and without one");
  result.form = typed ? Form::kC : Form::kRoutine;
  return result;
}

std::vector<ExternalFunction> baseline_functions(const Task& task) {
  std::vector<ExternalFunction> functions;
  for (const script::Baseline& baseline : task.baselines)
    for (const std::string& library : engine::libraries_of(baseline.library))
      functions.push_back({Form::kBaseline, library, {}, {}});
  return functions;
}

Result<engine::Peer> external_peer(const ExternalFunction& function, const Task& task) {
  const Json binding = parse_json(task.binding_json).value_or(Json::object());
  switch (function.form) {
  case Form::kBaseline: {
    for (const script::Baseline& baseline : task.baselines)
      for (const std::string& library : engine::libraries_of(baseline.library))
        if (library == function.library)
          return baseline_peer(task, library, baseline);
    return Error(ErrorCode::kInvalidArgument, task.workload + " names no routine of '" +
                                                  function.library +
                                                  "'; write it out, as openblas:sgemm(M, N, K)");
  }
  case Form::kRoutine: {
    script::Baseline baseline{function.library, function.function, {}};
    for (size_t i = 0; i < function.arguments.size(); ++i) {
      TEMPER_TRY(size, value_of<int64_t>(function, i, binding));
      baseline.sizes.push_back(size);
    }
    return baseline_peer(task, function.library, baseline);
  }
  case Form::kC: {
    std::vector<CArgument> arguments;
    for (size_t i = 0; i < function.arguments.size(); ++i) {
      TEMPER_TRY(argument, bound(function, i, task, binding));
      arguments.push_back(argument);
    }
    TEMPER_TRY(peer, engine::c_peer(function.library, function.function, arguments, task.signature,
                                    task.threads));
    TEMPER_TRY_VOID(check_function(peer.file, function.function, peer.name, function.function));
    return std::move(peer);
  }
  case Form::kFfi: {
    TEMPER_TRY(peer, engine::ffi_peer(function.name(), function.library, function.function,
                                      task.signature));
    TEMPER_TRY_VOID(check_function(peer.file, "__tvm_ffi_" + function.function,
                                   fs::path(peer.file).filename().string(), function.function));
    return std::move(peer);
  }
  }
  TEMPER_UNREACHABLE("form of a function");
}

database::Workload function_row(const std::string& name, const engine::Peer& peer, const Task& task,
                                const database::Id& computes) {
  database::Workload row;
  row.name = name;
  row.layer = kFunctionLayer;
  row.function = peer.artifact->entry;
  row.binding_json = task.binding_json;
  row.parameters_json = task.parameters_json;
  if (task.flops > 0)
    row.flops = task.flops;
  if (task.bytes > 0)
    row.bytes = task.bytes;
  row.program = Json{{"computes", computes},
                     {"workload", task.workload},
                     {"function", name},
                     {"sizes", peer.extra_scalars}}
                    .dump();
  row.structural_hash = hash_bytes(row.program);
  row.source_path = peer.file;
  row.unchecked = !task.reference;
  return row;
}

Result<database::Toolchain> library_toolchain(const engine::Peer& peer) {
  Json json{{"library", peer.name}};
  if (!peer.file.empty()) {
    std::error_code failed;
    const fs::path path = fs::canonical(peer.file, failed);
    TEMPER_TRY(bytes, read_file(failed ? fs::path(peer.file) : path));
    json["file"] = path.filename().string(); // libopenblasp-r0.3.21.so: the version, as a rule
    json["hash"] = hash_to_hex(hash_bytes(bytes));
  }
  Json settings = Json::object();
  for (const auto& [name, value] : peer.artifact->environment)
    if (!name.starts_with("TEMPER_PEER_"))
      settings[name] = value;
  json["settings"] = std::move(settings);
  return database::Toolchain{{}, json.dump()};
}

bool is_external(const database::Toolchain& toolchain) {
  const auto json = parse_json(toolchain.json);
  return json && json->is_object() && (json->contains("library") || json->contains("program"));
}

} // namespace temper::tuner
