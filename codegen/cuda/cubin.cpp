#include "codegen/cuda/cubin.h"

#include "ir/support/hash.h"

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <map>

namespace temper::codegen {
namespace {

constexpr size_t kInstructionBytes = 16; // since Volta

// Attributes of .nv.info: a byte for how the value is stored, a byte for what it is, 16 bits that
// hold the value or its size.
constexpr uint8_t kSizedValue = 4;
constexpr uint8_t kFrameSize = 0x11;     // symbol, bytes
constexpr uint8_t kRegisterCount = 0x2f; // symbol, registers

Error broken(const char* what) {
  return {ErrorCode::kCorrupt, std::string("the GPU code is broken: ") + what};
}

template <typename T> bool read(std::string_view bytes, size_t offset, T& value) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof value)
    return false;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return true;
}

struct Section {
  std::string_view name;
  std::string_view bytes; ///< empty where the file has none
  Elf64_Shdr head{};
};

std::string_view text_at(std::string_view table, size_t offset) {
  if (offset >= table.size())
    return {};
  const std::string_view rest = table.substr(offset);
  return rest.substr(0, rest.find('\0'));
}

} // namespace

Result<CubinFacts> read_cubin(std::string_view cubin) {
  Elf64_Ehdr head;
  if (!read(cubin, 0, head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
    return broken("it is no ELF file");
  std::vector<Section> sections(head.e_shnum);
  for (size_t i = 0; i < sections.size(); ++i) {
    Section& section = sections[i];
    if (!read(cubin, head.e_shoff + i * sizeof section.head, section.head))
      return broken("its sections are cut off");
    if (section.head.sh_type == SHT_NOBITS)
      continue;
    if (section.head.sh_offset > cubin.size() ||
        cubin.size() - section.head.sh_offset < section.head.sh_size)
      return broken("a section is cut off");
    section.bytes = cubin.substr(section.head.sh_offset, section.head.sh_size);
  }
  if (head.e_shstrndx >= sections.size())
    return broken("its sections have no names");
  for (Section& section : sections)
    section.name = text_at(sections[head.e_shstrndx].bytes, section.head.sh_name);

  constexpr std::string_view kText = ".text.", kShared = ".nv.shared.", kConstant = ".nv.constant";
  std::map<std::string_view, CubinKernel> kernels;
  std::vector<std::string_view> symbols; ///< by number
  CubinFacts facts;
  for (const Section& section : sections) {
    if (section.head.sh_type == SHT_SYMTAB && section.head.sh_link < sections.size())
      for (size_t at = 0; at + sizeof(Elf64_Sym) <= section.bytes.size(); at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        read(section.bytes, at, symbol);
        symbols.push_back(text_at(sections[section.head.sh_link].bytes, symbol.st_name));
      }
    const bool is_text = section.name.starts_with(kText);
    if (is_text) {
      CubinKernel& kernel = kernels[section.name.substr(kText.size())];
      kernel.instructions = static_cast<int64_t>(section.bytes.size() / kInstructionBytes);
      facts.code_bytes += static_cast<int64_t>(section.bytes.size());
    }
    if (is_text || section.name.starts_with(kConstant))
      facts.code_hash = hash_combine(facts.code_hash, hash_bytes(section.bytes));
  }
  // Of kernels only: there is one that the system keeps for itself.
  for (const Section& section : sections)
    if (section.name.starts_with(kShared))
      if (const auto kernel = kernels.find(section.name.substr(kShared.size()));
          kernel != kernels.end())
        kernel->second.shared_bytes = static_cast<int64_t>(section.head.sh_size);
  for (const Section& section : sections) {
    if (section.name != ".nv.info")
      continue;
    for (size_t at = 0; at + 4 <= section.bytes.size();) {
      const auto format = static_cast<uint8_t>(section.bytes[at]);
      const auto attribute = static_cast<uint8_t>(section.bytes[at + 1]);
      uint16_t size = 0;
      read(section.bytes, at + 2, size);
      at += 4;
      if (format != kSizedValue)
        continue;
      uint32_t symbol = 0, value = 0;
      if (read(section.bytes, at, symbol) && read(section.bytes, at + 4, value) &&
          symbol < symbols.size())
        if (const auto kernel = kernels.find(symbols[symbol]); kernel != kernels.end()) {
          if (attribute == kRegisterCount)
            kernel->second.registers = value;
          if (attribute == kFrameSize)
            kernel->second.frame_bytes = value;
        }
      at += size;
    }
  }
  for (auto& [name, kernel] : kernels) {
    kernel.name = name;
    // How many registers a thread takes decides how many blocks run side by side.
    facts.code_hash = hash_combine(facts.code_hash, static_cast<uint64_t>(kernel.registers));
    facts.kernels.push_back(std::move(kernel));
  }
  return facts;
}

std::vector<std::pair<std::string, int64_t>> ptx_operations(std::string_view ptx) {
  struct Kind {
    const char* name;
    std::initializer_list<std::string_view> prefixes;
  };
  // The first whose prefix fits counts.
  static const Kind kinds[] = {
      {"wgmma", {"wgmma.mma_async"}},
      {"mma.sync", {"mma.sync"}},
      {"ldmatrix", {"ldmatrix"}},
      {"stmatrix", {"stmatrix"}},
      {"cp.async.bulk.tensor", {"cp.async.bulk.tensor"}},
      {"cp.async", {"cp.async.ca", "cp.async.cg"}},
      {"mbarrier", {"mbarrier."}},
      {"bar.sync", {"bar.sync", "barrier.sync"}},
      {"shfl", {"shfl."}},
      {"atomic", {"atom.", "red."}},
      {"ld.global", {"ld.global"}},
      {"st.global", {"st.global"}},
      {"ld.shared", {"ld.shared"}},
      {"st.shared", {"st.shared"}},
      {"ld.local", {"ld.local"}},
      {"st.local", {"st.local"}},
      {"fma", {"fma."}},
      {"dp4a", {"dp4a."}},
  };
  std::vector<std::pair<std::string, int64_t>> counts;
  for (const Kind& kind : kinds)
    counts.emplace_back(kind.name, 0);
  while (!ptx.empty()) {
    const size_t end = ptx.find_first_of(";\n{");
    std::string_view word = ptx.substr(0, end);
    ptx.remove_prefix(end == std::string_view::npos ? ptx.size() : end + 1);
    word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
    if (word.starts_with("@")) // a predicate
      word.remove_prefix(std::min(word.find_first_of(" \t"), word.size()));
    word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
    for (size_t i = 0; i < std::size(kinds); ++i)
      if (std::any_of(kinds[i].prefixes.begin(), kinds[i].prefixes.end(),
                      [&](std::string_view prefix) { return word.starts_with(prefix); })) {
        ++counts[i].second;
        break;
      }
  }
  std::erase_if(counts, [](const auto& count) { return count.second == 0; });
  return counts;
}

namespace {

/// What follows an entry's name; nothing where there is no such entry.
std::optional<std::string_view> after_entry(std::string_view ptx, std::string_view entry) {
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
  };
  const std::string head = ".entry " + std::string(entry);
  size_t at = ptx.find(head);
  while (at != std::string_view::npos && at + head.size() < ptx.size() &&
         is_name(ptx[at + head.size()])) // a longer name
    at = ptx.find(head, at + 1);
  if (at == std::string_view::npos)
    return std::nullopt;
  return ptx.substr(at + head.size());
}

} // namespace

std::optional<int64_t> ptx_max_threads(std::string_view ptx, std::string_view entry) {
  const auto rest = after_entry(ptx, entry);
  if (!rest)
    return std::nullopt;
  // Directives stand between parameters and body: ".maxntid 256", ".maxntid 16, 16, 1".
  const std::string_view head = rest->substr(0, rest->find('{'));
  constexpr std::string_view kDirective = ".maxntid";
  size_t at = head.find(kDirective);
  if (at == std::string_view::npos)
    return std::nullopt;
  at += kDirective.size();
  int64_t threads = 1;
  bool any = false;
  for (; at < head.size() && head[at] != '\n' && head[at] != '.'; ++at)
    if (std::isdigit(static_cast<unsigned char>(head[at])) != 0) {
      int64_t extent = 0;
      for (; at < head.size() && std::isdigit(static_cast<unsigned char>(head[at])) != 0; ++at)
        extent = 10 * extent + (head[at] - '0');
      threads *= extent;
      any = true;
      --at;
    }
  return any ? std::optional(threads) : std::nullopt;
}

std::optional<std::vector<std::string>> ptx_parameters(std::string_view ptx,
                                                       std::string_view entry) {
  const auto rest = after_entry(ptx, entry);
  if (!rest)
    return std::nullopt;
  std::vector<std::string> types;
  if (!rest->starts_with('('))
    return types;
  std::string_view list = rest->substr(1, rest->find(')') - 1);
  constexpr std::string_view kParameter = ".param ";
  for (size_t p = list.find(kParameter); p != std::string_view::npos; p = list.find(kParameter)) {
    list.remove_prefix(p + kParameter.size());
    const size_t digits = list.find_first_of("0123456789");
    // ".u64 .ptr .align 1 name", or ".align 8 .b8 name[128]".
    const bool scalar = list.size() > 2 && list[0] == '.' && digits == 2;
    types.push_back(
        scalar ? std::string(list.substr(2, list.find_first_not_of("0123456789", 2) - 2)) : "?");
  }
  return types;
}

} // namespace temper::codegen
