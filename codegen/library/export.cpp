#include "codegen/library/export.h"

#include "codegen/assertions.h"
#include "codegen/library/runtime/abi.h"
#include "codegen/library/runtime_object.h"
#include "codegen/llvm/compile.h"
#include "codegen/llvm/link.h"
#include "codegen/llvm/stubs.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <dlfcn.h>
#include <set>
#include <span>

namespace temper::codegen {
namespace {

namespace fs = std::filesystem;

bool is_identifier(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])))
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

bool is_c_keyword(std::string_view name) {
  static const std::set<std::string_view> words = {
      "auto",     "break",  "case",     "char",     "class",    "const",     "continue", "default",
      "delete",   "do",     "double",   "else",     "enum",     "extern",    "float",    "for",
      "goto",     "if",     "inline",   "int",      "long",     "namespace", "new",      "operator",
      "private",  "public", "register", "restrict", "return",   "short",     "signed",   "sizeof",
      "static",   "struct", "switch",   "template", "this",     "throw",     "typedef",  "union",
      "unsigned", "using",  "virtual",  "void",     "volatile", "while",     "main"};
  return words.contains(name);
}

std::string c_type(DataType type) {
  if (type.is_bool())
    return "bool";
  if (type.code == TypeCode::kBFloat || (type.is_floating() && type.bits == 16))
    return "uint16_t";
  if (type.is_floating())
    return type.bits == 32 ? "float" : "double";
  return fmt::format("{}int{}_t", type.is_uint() ? "u" : "", static_cast<int>(type.bits));
}

using Signature = std::vector<ArgumentSpec>;

/// How many arguments at the end are extents of other arguments' dimensions. An error names a
/// dimension whose extent no argument there is.
Result<size_t> extent_count(const Signature& signature) {
  size_t first = signature.size();
  for (const ArgumentSpec& argument : signature)
    for (const int64_t extent : argument.shape)
      if (extent < 0)
        first = std::min(first, static_cast<size_t>(-1 - extent));
  for (size_t i = first; i < signature.size(); ++i)
    if (signature[i].is_buffer || !signature[i].dtype.is_int())
      return Error(ErrorCode::kInvalidArgument, "has a symbolic shape");
  return signature.size() - first;
}

/// [m, 64]
std::string shape_text(const Signature& signature, const std::vector<int64_t>& shape) {
  std::vector<std::string> words;
  for (const int64_t extent : shape)
    words.push_back(extent < 0 ? signature[static_cast<size_t>(-1 - extent)].name
                               : std::to_string(extent));
  return "[" + join(words, ", ") + "]";
}

/// The arguments that a caller in Python gives: extents are in the shapes.
std::span<const ArgumentSpec> given_arguments(const Signature& signature) {
  return std::span(signature).first(signature.size() - extent_count(signature).value_or(0));
}

bool is_gpu(const ExportFunction& function) {
  return function.artifact.kind == ArtifactKind::kCubin;
}

/// A name that C takes for a parameter.
std::string parameter_name(const std::string& name, size_t position) {
  return is_identifier(name) && !is_c_keyword(name) ? name : fmt::format("argument{}", position);
}

/// int f(const float* A, float* B)
std::string c_signature(const ExportFunction& function) {
  std::vector<std::string> parameters;
  const std::vector<ArgumentSpec>& signature = function.artifact.signature;
  for (size_t i = 0; i < signature.size(); ++i) {
    const ArgumentSpec& argument = signature[i];
    const std::string type = c_type(argument.dtype);
    const std::string name = parameter_name(argument.name, i);
    if (!argument.is_buffer)
      parameters.push_back(type + " " + name);
    else
      parameters.push_back((argument.is_output ? "" : "const ") + type + "* " + name);
  }
  if (is_gpu(function))
    parameters.push_back("void* stream");
  return fmt::format("int {}({})", function.name,
                     parameters.empty() ? "void" : join(parameters, ", "));
}

/// f(A: float32[4, 4], B: float32[4, 4]), the form of error messages and docs.
std::string python_signature(const ExportFunction& function) {
  std::vector<std::string> parameters;
  for (const ArgumentSpec& argument : given_arguments(function.artifact.signature))
    parameters.push_back(argument.name + ": " + to_string(argument.dtype) +
                         (argument.is_buffer
                              ? shape_text(function.artifact.signature, argument.shape)
                              : std::string()));
  return function.name + "(" + join(parameters, ", ") + ")";
}

/// MATMUL_F32_64X64X64_B_PACKED_BYTES
std::string packed_bytes_macro(const ExportFunction& function, const PackedOperand& operand) {
  const std::string& name = function.artifact.signature[static_cast<size_t>(operand.argument)].name;
  std::string macro =
      function.name + "_" + parameter_name(name, static_cast<size_t>(operand.argument)) + "_bytes";
  std::transform(macro.begin(), macro.end(), macro.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return macro;
}

Json argument_json(const Signature& signature, const ArgumentSpec& argument, bool extent = false) {
  Json json;
  json["name"] = argument.name;
  json["dtype"] = to_string(argument.dtype);
  if (argument.is_buffer) {
    json["shape"] = Json::array();
    for (const int64_t length : argument.shape)
      if (length < 0)
        json["shape"].push_back(signature[static_cast<size_t>(-1 - length)].name);
      else
        json["shape"].push_back(length);
  }
  json["kind"] = extent                ? "extent"
                 : !argument.is_buffer ? "scalar"
                 : argument.is_output  ? "output"
                                       : "input";
  return json;
}

Json function_json(const ExportFunction& function) {
  Json json;
  json["name"] = function.name;
  json["signature"] = c_signature(function);
  json["summary"] = function.summary;
  const Signature& signature = function.artifact.signature;
  const size_t given = given_arguments(signature).size();
  for (size_t i = 0; i < signature.size(); ++i)
    json["arguments"].push_back(argument_json(signature, signature[i], i >= given));
  for (const PackedOperand& operand : function.packed) {
    const ArgumentSpec& packed = function.artifact.signature[static_cast<size_t>(operand.argument)];
    json["packed"].push_back(Json{{"argument", packed.name},
                                  {"from", argument_json(signature, operand.plain)},
                                  {"by", operand.function},
                                  {"bytes", packed.byte_count()}});
  }
  json["target"] = function.artifact.target;
  json["threads"] = function.artifact.launch.threads;
  json["alignment"] = function.alignment;
  json["code_hash"] = hash_to_hex(function.artifact.code_hash);
  json["provenance"] = function.provenance;
  return json;
}

/// What get_function_metadata gives in Python: the schema that tvm-ffi knows, and ours.
std::string metadata_json(const ExportFunction& function) {
  Json schema;
  schema["type"] = "ffi.Function";
  schema["args"] = Json::array({Json{{"type", "None"}}});
  for (const ArgumentSpec& argument : given_arguments(function.artifact.signature))
    schema["args"].push_back(Json{{"type", argument.is_buffer             ? "DLTensor*"
                                           : argument.dtype.is_floating() ? "float"
                                           : argument.dtype.is_bool()     ? "bool"
                                                                          : "int"}});
  Json json;
  json["type_schema"] = schema.dump();
  json["temper"] = function_json(function);
  return json.dump();
}

std::string summary_of(const ExportFunction& function) {
  if (!function.summary.empty())
    return function.summary;
  std::vector<std::string> outputs;
  for (const ArgumentSpec& argument : function.artifact.signature)
    if (argument.is_output)
      outputs.push_back(argument.name);
  return outputs.empty() ? "Writes nothing." : "Writes " + join(outputs, ", ") + ".";
}

/// Text in a comment of the header: no end of comment, no line breaks.
std::string comment_text(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  for (size_t place = text.find("*/"); place != std::string::npos; place = text.find("*/"))
    text.replace(place, 2, "* /");
  return text;
}

std::string header_text(const std::string& name, const std::vector<ExportFunction>& functions,
                        const ExportOptions& options) {
  bool parallel = false;
  bool has_extents = false;
  bool has_gpu = false;
  std::set<std::string> targets;
  for (const ExportFunction& function : functions) {
    has_extents |= extent_count(function.artifact.signature).value_or(0) > 0;
    has_gpu |= is_gpu(function);
    parallel = parallel || function.artifact.launch.threads > 1;
    targets.insert(function.artifact.target);
  }
  std::string guard = name;
  std::transform(guard.begin(), guard.end(), guard.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  guard += "_H";
  std::string text;
  const auto line = [&](const std::string& words) { text += words + "\n"; };
  line(fmt::format("/* {} {}: generated kernels.", name, options.version));
  line(" *");
  line(" * Compiled for");
  for (const std::string& target : targets)
    line(" *   " + target);
  line(" * On a CPU that lacks what a kernel needs, its function returns an error instead of "
       "running.");
  line(" *");
  line(" * Arrays are compact and row-major, in the shapes given at each function. They must be");
  line(" * aligned to their elements, unless a function says more; 64 bytes is fastest. What a");
  line(" * function writes must not overlap its other arrays. float16 and bfloat16 are passed as");
  line(" * their 16 bits.");
  line(" *");
  line(" * A function returns 0, or a code that is not 0 and then");
  line(fmt::format(" * {}_last_error() is one sentence (of this thread's last failure):", name));
  line(" *   -1 a null pointer, -2 an array that is not aligned, -3 arrays that overlap,");
  line(" *   -4 this CPU cannot run it, 1 no memory for temporaries, other codes of the kernel.");
  if (has_extents)
    line(" *   -5 an extent that is negative.");
  if (has_gpu)
    line(" *   -6 no driver of a GPU, -7 the driver refused.");
  line(" *");
  line(" * Functions may be called from several threads at once.");
  if (parallel) {
    line(
        " * Functions marked parallel run on OpenMP's threads (libgomp), as many as are noted or,");
    line(" * where it says \"OpenMP's default\", as OMP_NUM_THREADS says. Inside a parallel region "
         "of");
    line(" * the caller they run on one thread, unless nesting was allowed. A process that forks");
    line(" * after a parallel call must not call one in the child.");
  }
  line(" */");
  line("#ifndef " + guard);
  line("#define " + guard);
  line("");
  line("#include <stdbool.h>");
  line("#include <stdint.h>");
  line("");
  line("#ifdef __cplusplus");
  line("extern \"C\" {");
  line("#endif");
  for (const ExportFunction& function : functions) {
    line("");
    line("/* " + comment_text(summary_of(function)));
    const std::vector<ArgumentSpec>& signature = function.artifact.signature;
    const size_t given = given_arguments(signature).size();
    for (size_t i = 0; i < signature.size(); ++i)
      line(fmt::format(" *   {}: {}{}{}", parameter_name(signature[i].name, i),
                       to_string(signature[i].dtype),
                       signature[i].is_buffer ? shape_text(signature, signature[i].shape) : "",
                       signature[i].is_output ? ", written"
                       : i >= given           ? ", an extent"
                                              : ""));
    for (const PackedOperand& operand : function.packed) {
      const ArgumentSpec& packed = signature[static_cast<size_t>(operand.argument)];
      line(fmt::format(" * {0} is {1} packed ahead: {2}({1}, {0}) makes its {3} bytes, once, while",
                       packed.name, operand.plain.name, operand.function, packed.byte_count()));
      line(fmt::format(" * {} stays the same.", operand.plain.name));
    }
    if (function.artifact.launch.threads > 1)
      line(fmt::format(" * Parallel: {} threads{}.", function.artifact.launch.threads,
                       function.artifact.target.find("threads=") == std::string::npos
                           ? " on the machine it was made on, else OpenMP's default"
                           : ""));
    if (is_gpu(function)) {
      line(
          " * Arrays are in the memory of the current context's GPU (the first one's, where there");
      line(" * is no context). It is started on `stream`, a CUstream or NULL, and not waited for.");
    }
    if (function.alignment > 0)
      line(fmt::format(" * Arrays must be aligned to {} bytes.", function.alignment));
    text.erase(text.size() - 1);
    line(" */");
    line(c_signature(function) + ";");
    for (const PackedOperand& operand : function.packed)
      line(fmt::format("#define {} {}", packed_bytes_macro(function, operand),
                       signature[static_cast<size_t>(operand.argument)].byte_count()));
  }
  line("");
  line("/* Why this thread's last call failed; empty before the first failure. Valid until the "
       "next");
  line(" * failure in this thread. */");
  line(fmt::format("const char* {}_last_error(void);", name));
  line("");
  line("#ifdef __cplusplus");
  line("}");
  line("#endif");
  line("#endif");
  return text;
}

Json manifest_json(const std::string& name, const std::vector<ExportFunction>& functions,
                   const ExportOptions& options) {
  Json json;
  json["schema"] = "temper.library/1";
  json["name"] = name;
  json["version"] = options.version;
  json["library"] = "lib" + name + ".so";
  json["header"] = name + ".h";
  json["compiler"] = compiler_version();
  json["functions"] = Json::array();
  for (const ExportFunction& function : functions)
    json["functions"].push_back(function_json(function));
  for (const auto& [key, value] : options.manifest.items())
    if (!json.contains(key))
      json[key] = value;
  return json;
}

std::string cmake_config(const std::string& name, bool static_archive, bool parallel) {
  std::string text = fmt::format(
      R"(# find_package({0} CONFIG) gives the target {0}::{0}, the library beside this file.
if(TARGET {0}::{0})
  return()
endif()
add_library({0}::{0} SHARED IMPORTED)
set_target_properties({0}::{0} PROPERTIES
  IMPORTED_LOCATION "${{CMAKE_CURRENT_LIST_DIR}}/lib{0}.so"
  IMPORTED_SONAME "lib{0}.so"
  INTERFACE_INCLUDE_DIRECTORIES "${{CMAKE_CURRENT_LIST_DIR}}")
)",
      name);
  if (static_archive)
    text += fmt::format(R"(add_library({0}::static STATIC IMPORTED)
set_target_properties({0}::static PROPERTIES
  IMPORTED_LOCATION "${{CMAKE_CURRENT_LIST_DIR}}/lib{0}.a"
  INTERFACE_INCLUDE_DIRECTORIES "${{CMAKE_CURRENT_LIST_DIR}}"
  INTERFACE_LINK_LIBRARIES "{1}m;dl")
)",
                        name, parallel ? "gomp;" : "");
  return text;
}

std::string cmake_version(const std::string& version) {
  return fmt::format(R"(set(PACKAGE_VERSION "{0}")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
)",
                     version);
}

/// A kernel with operands that are packed ahead is followed by the functions that pack them.
std::vector<ExportFunction> with_pack_functions(const std::vector<ExportFunction>& given) {
  std::vector<ExportFunction> functions;
  for (const ExportFunction& function : given) {
    ExportFunction kernel = function;
    std::vector<ExportFunction> packing;
    for (size_t i = 0; i < function.artifact.packs.size(); ++i) {
      const PackStep& step = function.artifact.packs[i];
      const ArgumentSpec plain = function.artifact.signature[static_cast<size_t>(step.argument)];
      ExportFunction pack;
      pack.name =
          function.name + "_pack_" + parameter_name(plain.name, static_cast<size_t>(step.argument));
      pack.artifact = function.artifact;
      pack.artifact.packs.clear();
      pack.artifact.object = step.object;
      pack.artifact.entry = step.entry;
      pack.artifact.signature = {plain, step.packed};
      pack.artifact.signature[1].is_output = true;
      pack.alignment = function.alignment;
      pack.summary =
          fmt::format("Packs {} for {}, in the layout that it takes.", plain.name, function.name);
      pack.provenance = function.provenance;
      pack.provenance["packs"] = Json{{"argument", plain.name}, {"for", function.name}};
      kernel.artifact.signature[static_cast<size_t>(step.argument)] = step.packed;
      kernel.packed.push_back({step.argument, pack.name, plain});
      packing.push_back(std::move(pack));
    }
    functions.push_back(std::move(kernel));
    functions.insert(functions.end(), packing.begin(), packing.end());
  }
  return functions;
}

/// What a launch through the driver has no form for.
Result<void> check_gpu_function(const ExportFunction& function) {
  constexpr size_t kMost = 16; // launch.h
  const auto refused = [&](const std::string& why) {
    return Error(ErrorCode::kInvalidArgument,
                 "function '" + function.name + "' cannot be exported: " + why);
  };
  for (const ArgumentSpec& argument : function.artifact.signature)
    if (!argument.is_buffer && argument.dtype.element_bytes() == 2 && !argument.dtype.is_integral())
      return refused("its kernels take the 16-bit number '" + argument.name + "' as float");
  if (function.artifact.launch.workspaces.size() > kMost)
    return refused("it has more than 16 arrays between its kernels");
  for (const CudaKernel& kernel : function.artifact.launch.kernels) {
    if (kernel.tensor_maps.size() > kMost)
      return refused("a kernel has more than 16 tensor maps");
    for (const int64_t blocks : kernel.grid)
      if (blocks == 0)
        return refused("the number of its blocks depends on its arguments");
  }
  return {};
}

Result<void> check_input(const std::string& name, const std::vector<ExportFunction>& functions) {
  const auto invalid = [](std::string sentence) {
    return Error(ErrorCode::kInvalidArgument, std::move(sentence));
  };
  if (!is_identifier(name))
    return invalid("library name '" + name +
                   "' is no C identifier; use letters, digits and _ (no leading digit)");
  if (functions.empty())
    return invalid("there is nothing to export to library '" + name + "'");
  std::set<std::string> names{name + "_last_error"};
  for (const ExportFunction& function : functions) {
    if (!is_identifier(function.name) || is_c_keyword(function.name))
      return invalid("function name '" + function.name +
                     "' is no C identifier; use letters, digits and _ (no leading digit)");
    if (function.name.starts_with("temper_") || function.name.starts_with("__"))
      return invalid("function name '" + function.name + "' is reserved; choose another");
    if (!names.insert(function.name).second)
      return invalid("two functions of library '" + name + "' are named '" + function.name +
                     "'; name them with NAME:=SELECTION");
    if (function.artifact.kind == ArtifactKind::kLibrary || function.artifact.object.empty() ||
        (is_gpu(function) && function.artifact.launch.kernels.empty()))
      return invalid("function '" + function.name + "' has no object code to export");
    if (is_gpu(function))
      TEMPER_TRY_VOID(check_gpu_function(function));
    for (const ArgumentSpec& argument : function.artifact.signature)
      if (argument.is_symbolic() && !extent_count(function.artifact.signature))
        return invalid("argument '" + argument.name + "' of " + function.name +
                       " has a symbolic shape whose extents are no arguments; bind its sizes to "
                       "numbers to export it");
      else if (!argument.dtype.is_scalar())
        return invalid("function '" + function.name + "' has argument '" + argument.name +
                       "' of the vector type " + to_string(argument.dtype) +
                       ", which neither C nor Python has");
  }
  return {};
}

/// "f32", "bf16", "u8", as in the default names of functions.
std::string short_name(DataType type) {
  if (type.is_bool())
    return "bool";
  const char* letter = type.code == TypeCode::kBFloat ? "bf"
                       : type.is_floating()           ? "f"
                       : type.is_uint()               ? "u"
                                                      : "i";
  return fmt::format("{}{}", letter, static_cast<int>(type.bits));
}

} // namespace

std::string default_function_name(std::string_view workload,
                                  const std::vector<ArgumentSpec>& signature,
                                  const std::vector<int64_t>& sizes) {
  std::string name(workload);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])))
    name = "kernel_" + name;
  std::string output;
  std::vector<std::string> inputs;
  for (const ArgumentSpec& argument : signature) {
    const std::string type = short_name(argument.dtype);
    if (argument.is_output && output.empty())
      output = type;
    else if (!argument.is_output && argument.is_buffer &&
             std::find(inputs.begin(), inputs.end(), type) == inputs.end())
      inputs.push_back(type);
  }
  if (!inputs.empty() && inputs != std::vector<std::string>{output})
    name += fmt::format("_{}", fmt::join(inputs, ""));
  if (!output.empty())
    name += "_" + output;
  if (!sizes.empty())
    name += fmt::format("_{}", fmt::join(sizes, "x"));
  return name;
}

Result<ExportResult> export_library(std::string_view library_name,
                                    const std::vector<ExportFunction>& given,
                                    const ExportOptions& options) {
  const std::string name(library_name);
  std::vector<ExportFunction> functions = with_pack_functions(given);
  TEMPER_TRY_VOID(check_input(name, functions));
  for (ExportFunction& function : functions)
    function.summary = summary_of(function);

  std::vector<std::pair<std::string, std::string>> members;
  std::vector<StubFunction> stubs;
  std::vector<std::string> exported{name + "_last_error"};
  bool parallel = false;
  for (const ExportFunction& function : functions) {
    StubFunction stub;
    stub.name = function.name;
    // Unique over libraries too: archives of two libraries may meet in one program.
    stub.kernel = "temper_kernel_" + name + "_" + function.name;
    stub.signature = python_signature(function);
    stub.metadata = metadata_json(function);
    stub.doc = python_signature(function) + "\n\n" + function.summary;
    stub.target = function.artifact.target;
    stub.alignment = function.alignment;
    stub.arguments = function.artifact.signature;
    TEMPER_TRY(extents, extent_count(function.artifact.signature));
    stub.extents = static_cast<int>(extents);
    if (is_gpu(function)) {
      stub.cubin = function.artifact.code;
      stub.ptx = function.artifact.object;
      stub.launch = function.artifact.launch;
    } else {
      TEMPER_TRY(mask, feature_mask(function.artifact.target));
      stub.features = mask;
      TEMPER_TRY(object, rename_symbols(function.artifact.object,
                                        {{function.artifact.entry, stub.kernel},
                                         {assertions_symbol(function.artifact.entry),
                                          assertions_symbol(stub.kernel)}}));
      members.emplace_back(function.name + ".o", std::move(object));
    }
    for (const char* prefix : {"", "__tvm_ffi_", "__tvm_ffi__metadata_", "__tvm_ffi__doc_"})
      exported.push_back(prefix + function.name);
    stubs.push_back(std::move(stub));
  }
  TEMPER_TRY(entries, emit_stubs(name, stubs));
  members.emplace_back(name + "_entries.o", std::move(entries));
  members.emplace_back("temper_runtime.o", runtime_object());

  std::vector<std::string> objects;
  for (const auto& [file, bytes] : members)
    objects.push_back(bytes);
  TEMPER_TRY(shared, link_shared_object(objects, {.soname = "lib" + name + ".so",
                                                  .exported = exported,
                                                  .own_process = true}));

  // What was linked is looked at again before anybody gets it.
  TEMPER_TRY(symbols, read_symbols(shared));
  std::sort(exported.begin(), exported.end());
  std::sort(symbols.defined.begin(), symbols.defined.end());
  if (symbols.defined != exported)
    return Error(ErrorCode::kFailed, "library '" + name + "' came out with the symbols " +
                                         join(symbols.defined, ", ") + " instead of " +
                                         join(exported, ", "));
  for (const std::string& needed : symbols.needed) {
    parallel = parallel || needed.starts_with("libgomp");
    if (needed != "libc.so.6" && needed != "libm.so.6" && needed != "libgomp.so.1" &&
        needed != "libdl.so.2")
      return Error(ErrorCode::kFailed, "library '" + name + "' came out needing " + needed);
  }

  std::error_code error;
  fs::create_directories(options.directory, error);
  if (error)
    return Error(ErrorCode::kEnvironment,
                 "cannot make the folder '" + options.directory.string() + "': " + error.message());
  ExportResult result;
  const auto write = [&](const std::string& file, const std::string& content) -> Result<void> {
    const fs::path path = options.directory / file;
    TEMPER_TRY_VOID(write_file(path, content));
    result.files.push_back(path);
    return {};
  };
  TEMPER_TRY_VOID(write("lib" + name + ".so", shared));
  result.library = result.files.front();
  fs::permissions(result.library,
                  fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                  fs::perm_options::add, error);
  TEMPER_TRY_VOID(write(name + ".h", header_text(name, functions, options)));
  TEMPER_TRY_VOID(write(name + ".json", manifest_json(name, functions, options).dump(2) + "\n"));
  if (options.static_archive) {
    TEMPER_TRY(archive, make_archive(members));
    TEMPER_TRY_VOID(write("lib" + name + ".a", archive));
  }
  if (options.cmake_package) {
    TEMPER_TRY_VOID(
        write(name + "Config.cmake", cmake_config(name, options.static_archive, parallel)));
    TEMPER_TRY_VOID(write(name + "ConfigVersion.cmake", cmake_version(options.version)));
  }
  for (const ExportFunction& function : functions)
    result.functions.push_back({function.name, c_signature(function)});
  return result;
}

Result<void> call_exported(const fs::path& library, const std::string& function,
                           const std::vector<ArgumentSpec>& signature,
                           const std::vector<void*>& arguments) {
  TEMPER_CHECK(signature.size() == arguments.size(), "an argument for each of the signature");
  void* handle = ::dlopen(fs::absolute(library).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return Error(ErrorCode::kFailed, "cannot load the library: " + std::string(::dlerror()));
  struct Closer {
    void* handle;
    ~Closer() { ::dlclose(handle); }
  } closer{handle};
  const auto entry =
      reinterpret_cast<temper_ffi_call>(::dlsym(handle, ("__tvm_ffi_" + function).c_str()));
  if (entry == nullptr)
    return Error(ErrorCode::kNotFound,
                 "'" + library.string() + "' has no function '" + function + "'");
  std::string stem = library.stem().string();
  if (stem.starts_with("lib"))
    stem.erase(0, 3);
  const auto last_error =
      reinterpret_cast<const char* (*)()>(::dlsym(handle, (stem + "_last_error").c_str()));

  std::vector<temper_ffi_tensor> tensors(signature.size());
  std::vector<temper_ffi_any> values(signature.size());
  for (size_t i = 0; i < signature.size(); ++i) {
    const ArgumentSpec& spec = signature[i];
    if (spec.is_buffer) {
      temper_ffi_tensor& tensor = tensors[i];
      tensor.data = arguments[i];
      tensor.device = {1, 0};
      tensor.ndim = static_cast<int32_t>(spec.shape.size());
      tensor.dtype = {dlpack_code(spec.dtype), static_cast<uint8_t>(spec.dtype.element_bytes() * 8),
                      spec.dtype.lanes};
      tensor.shape = const_cast<int64_t*>(spec.shape.data());
      values[i].type_index = TEMPER_FFI_DLTENSOR;
      values[i].value.v_ptr = &tensor;
      continue;
    }
    if (spec.dtype.is_floating()) {
      values[i].type_index = TEMPER_FFI_FLOAT;
      if (spec.dtype.bits == 64) {
        std::memcpy(&values[i].value.v_float64, arguments[i], 8);
      } else if (spec.dtype.bits == 32) {
        float value = 0;
        std::memcpy(&value, arguments[i], 4);
        values[i].value.v_float64 = static_cast<double>(value);
      } else {
        return Error(ErrorCode::kUnsupported, "a 16-bit float scalar cannot be passed here");
      }
      continue;
    }
    values[i].type_index = TEMPER_FFI_INT;
    int64_t value = 0;
    std::memcpy(&value, arguments[i], static_cast<size_t>(spec.dtype.element_bytes()));
    if (spec.dtype.is_int() && spec.dtype.bits < 64) {
      const int shift = 64 - spec.dtype.bits;
      value = static_cast<int64_t>(static_cast<uint64_t>(value) << shift) >> shift;
    }
    values[i].value.v_int64 = value;
  }
  temper_ffi_any result{};
  if (entry(nullptr, values.data(), static_cast<int32_t>(values.size()), &result) == 0)
    return {};
  const char* sentence = last_error == nullptr ? "" : last_error();
  return Error(ErrorCode::kFailed, *sentence != '\0' ? sentence : "'" + function + "' failed");
}

} // namespace temper::codegen
