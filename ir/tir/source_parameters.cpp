#include "ir/tir/source_parameters.h"

#include "ir/tir/source_kernel.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <utility>

namespace temper::tir {
namespace {

struct Token {
  std::string text;
  std::string where;
};

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Words and single signs of C++, without comments and literals; a line of the preprocessor is "#".
/// What the text defines as macros without arguments goes to `macros`.
std::vector<Token> tokens_of(std::string_view text, std::map<std::string, std::string>& macros) {
  std::vector<Token> tokens;
  int64_t line = 1;
  std::string file;
  const auto where = [&] {
    return file.empty() ? "line " + std::to_string(line) : file + "(" + std::to_string(line) + ")";
  };
  const auto directive = [&](std::string_view words) {
    const auto word = [&] {
      words.remove_prefix(std::min(words.find_first_not_of(" \t"), words.size()));
      size_t end = 0;
      while (end < words.size() && in_word(words[end]))
        ++end;
      const std::string found(words.substr(0, end));
      words.remove_prefix(end);
      return found;
    };
    const std::string kind = word();
    if (kind == "define") {
      const std::string name = word();
      if (!words.starts_with("(")) { // else it takes arguments
        const size_t begin = words.find_first_not_of(" \t");
        const size_t end = words.find_last_not_of(" \t\r");
        macros[name] = begin == std::string_view::npos
                           ? std::string()
                           : std::string(words.substr(begin, end + 1 - begin));
      }
    } else if (kind == "line") {
      const std::string number = word();
      if (number.empty() || number.size() > 9 ||
          !std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return;
      line = std::stoll(number) - 1; // of the line that comes
      const size_t open = words.find('"'), close = words.rfind('"');
      if (open != std::string_view::npos && close > open)
        file = words.substr(open + 1, close - open - 1);
    }
  };
  bool line_begins = true;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
      line_begins = true;
      ++i;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++i;
    } else if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
    } else if (text.substr(i, 2) == "/*") {
      const size_t end = std::min(text.find("*/", i + 2), text.size());
      line += std::count(text.begin() + static_cast<std::ptrdiff_t>(i),
                         text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
      i = std::min(end + 2, text.size());
    } else if (c == '#' && line_begins) {
      size_t end = std::min(text.find('\n', i), text.size());
      directive(text.substr(i + 1, end - i - 1));
      tokens.push_back({"#", where()});
      while (end > i && text[end - 1] == '\\' && end < text.size()) { // goes on
        ++line;
        end = std::min(text.find('\n', end + 1), text.size());
      }
      i = end;
    } else if (c == '"' || c == '\'') {
      for (++i; i < text.size() && text[i] != c && text[i] != '\n'; ++i)
        i += text[i] == '\\' ? 1 : 0;
      tokens.push_back({"\"", where()});
      i += i < text.size() && text[i] == c ? 1 : 0;
      line_begins = false;
    } else {
      size_t end = i + 1;
      if (in_word(c))
        while (end < text.size() && in_word(text[end]))
          ++end;
      tokens.push_back({std::string(text.substr(i, end - i)), where()});
      i = end;
      line_begins = false;
    }
  }
  return tokens;
}

/// Types that the text names anew, as macros: real of "typedef float real;" and of "using real =
/// float;".
void add_aliases(const std::vector<Token>& tokens, std::map<std::string, std::string>& macros) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool is_using = tokens[i].text == "using";
    if (!is_using && tokens[i].text != "typedef")
      continue;
    std::vector<std::string> words;
    size_t end = i + 1;
    for (; end < tokens.size() && tokens[end].text != ";"; ++end)
      words.push_back(tokens[end].text);
    if (words.size() < 2)
      continue;
    std::string name = words.back();
    words.pop_back();
    if (is_using) {
      if (words.size() < 1 || tokens[i + 2].text != "=")
        continue;
      words.push_back(std::exchange(name, words.front()));
      words.erase(words.begin(), words.begin() + 2);
    }
    std::string type;
    for (const std::string& word : words)
      type += (type.empty() ? "" : " ") + word;
    if (in_word(name[0]) && !type.empty() &&
        std::all_of(type.begin(), type.end(), [](char c) { return in_word(c) || c == ' '; }))
      macros.emplace(name, type);
    i = end;
  }
}

SourceParameter parameter_of(std::vector<std::string> words,
                             const std::map<std::string, std::string>& macros) {
  SourceParameter parameter;
  if (const auto given = std::find(words.begin(), words.end(), "="); given != words.end())
    words.erase(given, words.end());
  std::vector<std::string> type;
  for (const std::string& word : words) {
    constexpr std::array kQualifiers = {"const",      "volatile",     "__restrict__",
                                        "__restrict", "__constant__", "__grid_constant__"};
    if (word == "*" || word == "[")
      parameter.pointer = true;
    else if (in_word(word[0]) &&
             std::find(kQualifiers.begin(), kQualifiers.end(), word) == kQualifiers.end())
      type.push_back(word);
    else if (word == "<" || word == "&")
      return {"?", parameter.pointer}; // a template, a reference
  }
  // The last word is the name, where there is one beside the type.
  constexpr std::array kOfTypes = {"unsigned", "signed", "int",   "char",
                                   "short",    "long",   "float", "double"};
  if (type.size() > 1 && std::find(kOfTypes.begin(), kOfTypes.end(), type.back()) == kOfTypes.end())
    type.pop_back();
  for (size_t i = 0; i < type.size(); ++i) {
    std::string word = type[i];
    for (int depth = 0; depth < 8; ++depth)
      if (const auto macro = macros.find(word); macro != macros.end())
        word = macro->second;
    if (word == "std")
      continue;
    parameter.type += (parameter.type.empty() ? "" : " ") + word;
  }
  return parameter;
}

/// What a type of C++ says of its elements.
struct Meaning {
  const char* type;
  enum class Kind : uint8_t { kFloating, kSigned, kUnsigned, kBytes } kind;
  const char* dtype; ///< of kFloating
  int bits;
};
using Kind = Meaning::Kind;
constexpr Meaning kMeanings[] = {{"float", Kind::kFloating, "float32", 32},
                                 {"double", Kind::kFloating, "float64", 64},
                                 {"half", Kind::kFloating, "float16", 16},
                                 {"__half", Kind::kFloating, "float16", 16},
                                 {"_Float16", Kind::kFloating, "float16", 16},
                                 {"__nv_bfloat16", Kind::kFloating, "bfloat16", 16},
                                 {"nv_bfloat16", Kind::kFloating, "bfloat16", 16},
                                 {"__nv_fp8_e4m3", Kind::kFloating, "float8_e4m3fn", 8},
                                 {"__nv_fp8_e5m2", Kind::kFloating, "float8_e5m2", 8},
                                 {"char", Kind::kBytes, "", 8},
                                 {"unsigned char", Kind::kBytes, "", 8},
                                 {"void", Kind::kBytes, "", 8},
                                 {"uint8_t", Kind::kBytes, "", 8},
                                 {"signed char", Kind::kSigned, "", 8},
                                 {"int8_t", Kind::kSigned, "", 8},
                                 {"short", Kind::kSigned, "", 16},
                                 {"short int", Kind::kSigned, "", 16},
                                 {"int16_t", Kind::kSigned, "", 16},
                                 {"unsigned short", Kind::kUnsigned, "", 16},
                                 {"uint16_t", Kind::kUnsigned, "", 16},
                                 {"int", Kind::kSigned, "", 32},
                                 {"signed", Kind::kSigned, "", 32},
                                 {"int32_t", Kind::kSigned, "", 32},
                                 {"unsigned", Kind::kUnsigned, "", 32},
                                 {"unsigned int", Kind::kUnsigned, "", 32},
                                 {"uint32_t", Kind::kUnsigned, "", 32},
                                 {"long", Kind::kSigned, "", 64},
                                 {"long int", Kind::kSigned, "", 64},
                                 {"long long", Kind::kSigned, "", 64},
                                 {"long long int", Kind::kSigned, "", 64},
                                 {"int64_t", Kind::kSigned, "", 64},
                                 {"unsigned long", Kind::kUnsigned, "", 64},
                                 {"unsigned long long", Kind::kUnsigned, "", 64},
                                 {"uint64_t", Kind::kUnsigned, "", 64}};

/// float4 and its like, by their elements; those of integers are taken for bits.
std::optional<Meaning> vector_of(const std::string& type) {
  struct Base {
    const char* name;
    Meaning meaning;
  };
  static constexpr Base kBases[] = {{"float", {"float", Kind::kFloating, "float32", 32}},
                                    {"double", {"double", Kind::kFloating, "float64", 64}},
                                    {"half", {"half", Kind::kFloating, "float16", 16}},
                                    {"__half", {"half", Kind::kFloating, "float16", 16}},
                                    {"__nv_bfloat16", {"", Kind::kFloating, "bfloat16", 16}},
                                    {"nv_bfloat16", {"", Kind::kFloating, "bfloat16", 16}},
                                    {"char", {"", Kind::kBytes, "", 8}},
                                    {"uchar", {"", Kind::kBytes, "", 8}},
                                    {"short", {"", Kind::kBytes, "", 16}},
                                    {"ushort", {"", Kind::kBytes, "", 16}},
                                    {"int", {"", Kind::kBytes, "", 32}},
                                    {"uint", {"", Kind::kBytes, "", 32}},
                                    {"long", {"", Kind::kBytes, "", 64}},
                                    {"ulong", {"", Kind::kBytes, "", 64}},
                                    {"longlong", {"", Kind::kBytes, "", 64}},
                                    {"ulonglong", {"", Kind::kBytes, "", 64}}};
  if (type.empty() || type.back() < '1' || type.back() > '4')
    return std::nullopt;
  for (const Base& base : kBases)
    if (type.compare(0, type.size() - 1, base.name) == 0)
      return base.meaning;
  return std::nullopt;
}

/// How kernels declare elements of the type.
std::string declared_as(const DataType& dtype) {
  const std::string name = to_string(dtype);
  if (name == "float16")
    return "__half* (of cuda_fp16.h), or as unsigned short* for its bits";
  if (name == "bfloat16")
    return "__nv_bfloat16* (of cuda_bf16.h), or as unsigned short* for its bits";
  for (const Meaning& meaning : kMeanings)
    if (name == meaning.dtype)
      return std::string(meaning.type) + "*";
  for (const Meaning& meaning : kMeanings)
    if (!dtype.is_floating() && meaning.bits == 8 * dtype.element_bytes() &&
        (meaning.kind == Kind::kSigned) == (dtype.code == TypeCode::kInt))
      return std::string(meaning.type) + "*";
  return "unsigned char*, for its bits";
}

/// Whether elements of `dtype` may be looked at as that.
bool may_be(const DataType& dtype, const Meaning& meaning) {
  switch (meaning.kind) {
  case Kind::kFloating:
    return to_string(dtype) == meaning.dtype;
  case Kind::kSigned: // several of them at once are fine, parts of one are not
    return !dtype.is_floating() && meaning.bits >= 8 * dtype.element_bytes();
  case Kind::kUnsigned:
    return dtype.is_floating() || meaning.bits >= 8 * dtype.element_bytes();
  case Kind::kBytes:
    return true;
  }
  return true;
}

} // namespace

std::optional<SourceParameters> source_parameters(std::string_view text, const std::string& name) {
  std::map<std::string, std::string> macros;
  const std::vector<Token> tokens = tokens_of(text, macros);
  add_aliases(tokens, macros);
  std::optional<SourceParameters> found;
  bool kernel = false; // __global__ was said since the last declaration ended
  const auto macro_of_several = [&](const std::string& word) {
    const auto macro = macros.find(word);
    return macro != macros.end() && macro->second.find(',') != std::string::npos;
  };
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::string& token = tokens[i].text;
    if (token == "__global__")
      kernel = true;
    else if (token == ";" || token == "{" || token == "}")
      kernel = false;
    if (!kernel || token != name || tokens[i + 1].text != "(")
      continue;
    SourceParameters one;
    one.where = tokens[i].where;
    std::vector<std::string> words;
    int depth = 1;
    size_t at = i + 2;
    for (; at < tokens.size() && depth > 0; ++at) {
      const std::string& word = tokens[at].text;
      if (word == "#" || word == "(" || macro_of_several(word))
        return std::nullopt; // what they are, the preprocessor says
      depth += word == "(" || word == "<" ? 1 : word == ")" || word == ">" ? -1 : 0;
      if ((depth == 0 || (depth == 1 && word == ",")) && !words.empty()) {
        one.parameters.push_back(parameter_of(std::move(words), macros));
        words = {};
      } else if (depth > 0) {
        words.push_back(word);
      }
    }
    if (one.parameters.size() == 1 && !one.parameters[0].pointer &&
        one.parameters[0].type == "void")
      one.parameters.clear();
    const bool declared_only = at < tokens.size() && tokens[at].text == ";";
    if (declared_only)
      continue;
    if (found)
      return std::nullopt; // which one, the preprocessor says
    found = std::move(one);
  }
  return found;
}

namespace {

/// An error where the text cannot have the kernel: it has others, and the name nowhere.
Result<void> check_kernel_name(std::string_view text, const std::string& name) {
  if (text.find("##") != std::string_view::npos) // names may be made of parts
    return {};
  std::map<std::string, std::string> macros;
  const std::vector<Token> tokens = tokens_of(text, macros);
  for (const auto& [macro, value] : macros)
    if (macro == name || value.find(name) != std::string::npos)
      return {};
  bool kernel = false;
  std::string names;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i].text;
    if (token == name)
      return {};
    if (token == "__global__")
      kernel = true;
    else if (token == "(" && i > 0 && kernel && !tokens[i - 1].text.starts_with("__")) {
      names += (names.empty() ? "" : ", ") + tokens[i - 1].text;
      kernel = false;
    }
  }
  if (names.empty()) // from what it includes
    return {};
  return Error(ErrorCode::kInvalidArgument,
               "the source has no kernel '" + name + "', but " + names +
                   ": T.source_kernel names the one to start, which is declared as extern \"C\" "
                   "__global__ void " +
                   name + "(...)");
}

} // namespace

Result<void> check_source_parameters(const ir::PrimFunc& function) {
  const auto kernel = source_kernel_in(function->body);
  const auto text = function->attrs.get_string(kSourceText);
  if (!kernel || !text)
    return {};
  TEMPER_TRY_VOID(check_kernel_name(*text, kernel->name));
  const auto declared = source_parameters(*text, kernel->name);
  if (!declared)
    return {}; // the compiled kernel says
  if (declared->parameters.size() != function->params.size()) {
    std::string passed;
    for (const ir::Param& param : function->params)
      passed += (passed.empty() ? "" : ", ") + param.name();
    return Error(ErrorCode::kInvalidArgument,
                 declared->where + ": " + kernel->name + " has " +
                     std::to_string(declared->parameters.size()) +
                     " parameters, and the program passes " +
                     std::to_string(function->params.size()) + " (" + passed +
                     "): a kernel takes the function's parameters in their order");
  }
  for (size_t i = 0; i < function->params.size(); ++i) {
    const ir::Param& param = function->params[i];
    const SourceParameter& parameter = declared->parameters[i];
    const auto* known =
        std::find_if(std::begin(kMeanings), std::end(kMeanings),
                     [&](const Meaning& one) { return parameter.type == one.type; });
    const auto vector = vector_of(parameter.type);
    if (known == std::end(kMeanings) && !vector)
      continue;
    const Meaning* meaning = vector ? &*vector : known;
    const DataType dtype = param.buffer ? param.buffer->dtype : param.var->dtype;
    if (parameter.pointer == static_cast<bool>(param.buffer) &&
        (param.buffer ? may_be(dtype, *meaning)
                      : !vector && dtype.is_floating() == (meaning->kind == Kind::kFloating)))
      continue;
    return Error(ErrorCode::kInvalidArgument,
                 declared->where + ": parameter " + std::to_string(i + 1) + " of " + kernel->name +
                     " is " + parameter.type + (parameter.pointer ? "*" : "") +
                     ", and the program passes " + param.name() + ", " +
                     (param.buffer ? "an array of " + to_string(dtype) + "; declare it as " +
                                         declared_as(dtype) +
                                         (vector ? ", or as uint4* for 16 bytes of it" : "")
                                   : "a " + to_string(dtype)) +
                     ", or change the program");
  }
  return {};
}

} // namespace temper::tir
