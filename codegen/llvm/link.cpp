#include "codegen/llvm/link.h"

#include "codegen/llvm/libraries.h"
#include "codegen/llvm/machine.h"
#include "ir/support/hash.h"
#include "ir/support/text.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/ObjCopy/CommonConfig.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

extern char** environ;

namespace temper::codegen {
namespace {

namespace fs = std::filesystem;
using Elf = llvm::object::ELF64LEFile;

std::string text_of(llvm::Error error) { return llvm::toString(std::move(error)); }

/// A folder for the linker's files, in memory where there is such a place; removed at the end.
class ScratchFolder {
public:
  static Result<ScratchFolder> make() {
    std::vector<std::string> places;
    if (::access("/dev/shm", W_OK) == 0)
      places.emplace_back("/dev/shm");
    if (const char* given = std::getenv("TMPDIR"); given != nullptr && *given != '\0')
      places.emplace_back(given);
    places.emplace_back("/tmp");
    for (const std::string& place : places) {
      std::string name = place + "/temper-link-XXXXXX";
      if (::mkdtemp(name.data()) != nullptr)
        return ScratchFolder(name);
    }
    return Error(ErrorCode::kEnvironment, "cannot make a temporary folder in " +
                                              join(places, ", ") +
                                              "; set TMPDIR to a folder that can be written");
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    if (!path_.empty()) {
      std::error_code ignored;
      fs::remove_all(path_, ignored);
    }
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Plain write: no rename and no flush, nobody else reads these files.
Result<void> write_scratch(const std::string& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  size_t done = 0;
  while (fd >= 0 && done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n <= 0)
      break;
    done += static_cast<size_t>(n);
  }
  const int reason = errno;
  if (fd >= 0)
    ::close(fd);
  if (fd < 0 || done < bytes.size())
    return Error(ErrorCode::kEnvironment,
                 "cannot write '" + path + "': " + std::string(std::strerror(reason)));
  return {};
}

/// lld keeps global state: one link at a time in a process.
std::mutex& lld_mutex() {
  static std::mutex mutex;
  return mutex;
}

enum class LldAnswer { kDone, kFailed, kCannotRun };

LldAnswer run_lld(const std::vector<std::string>& arguments, std::string& output) {
  const std::lock_guard<std::mutex> lock(lld_mutex());
  static bool usable = true;
  if (!usable)
    return LldAnswer::kCannotRun;
  std::vector<const char*> argv{"ld.lld"};
  for (const std::string& argument : arguments)
    argv.push_back(argument.c_str());
  llvm::raw_string_ostream stream(output);
  const lld::Result result = lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  (void)set_llvm_flags(); // lld has reset them; what they are was checked before
  if (result.retCode == 0)
    return LldAnswer::kDone;
  return output.empty() ? LldAnswer::kCannotRun : LldAnswer::kFailed;
}

Result<void> run_ld(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<std::string> words{"ld"};
  for (const std::string& argument : arguments)
    if (!argument.starts_with("--threads"))
      words.push_back(argument);
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, "ld", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    return Error(ErrorCode::kEnvironment, "cannot run the linker 'ld' (package binutils): " +
                                              std::string(std::strerror(failure)));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return {};
  auto said = read_file(log);
  return Error(ErrorCode::kFailed,
               "the linker failed: " + std::string(trim(said ? *said : std::string())));
}

bool has_ld() {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split_text(path == nullptr ? "/usr/bin:/bin" : path, ':'))
    if (!folder.empty() && ::access((folder + "/ld").c_str(), X_OK) == 0)
      return true;
  return false;
}

Result<const Elf> parse_elf(const std::string& object) {
  auto elf = Elf::create(object);
  if (!elf)
    return Error(ErrorCode::kCorrupt, "not a 64-bit ELF object: " + text_of(elf.takeError()));
  return *elf;
}

} // namespace

Result<ObjectSymbols> read_symbols(const std::string& object) {
  TEMPER_TRY(elf, parse_elf(object));
  const auto broken = [](llvm::Error error) {
    return Error(ErrorCode::kCorrupt,
                 "cannot read an object's symbols: " + text_of(std::move(error)));
  };
  ObjectSymbols symbols;
  auto sections = elf.sections();
  if (!sections)
    return broken(sections.takeError());
  bool dynamic = false;
  for (const auto& section : *sections)
    dynamic = dynamic || section.sh_type == llvm::ELF::SHT_DYNSYM;
  for (const auto& section : *sections) {
    if (section.sh_type == (dynamic ? llvm::ELF::SHT_DYNSYM : llvm::ELF::SHT_SYMTAB)) {
      auto names = elf.getStringTableForSymtab(section);
      if (!names)
        return broken(names.takeError());
      auto entries = elf.symbols(&section);
      if (!entries)
        return broken(entries.takeError());
      for (const auto& symbol : *entries) {
        if (symbol.getBinding() == llvm::ELF::STB_LOCAL)
          continue;
        auto name = symbol.getName(*names);
        if (!name)
          return broken(name.takeError());
        (symbol.isUndefined() ? symbols.undefined : symbols.defined).push_back(name->str());
      }
    }
    if (section.sh_type == llvm::ELF::SHT_DYNAMIC) {
      auto entries = elf.dynamicEntries();
      auto names = elf.getLinkAsStrtab(section);
      if (!entries)
        return broken(entries.takeError());
      if (!names)
        return broken(names.takeError());
      for (const auto& entry : *entries)
        if (entry.d_tag == llvm::ELF::DT_NEEDED)
          symbols.needed.emplace_back(names->data() + entry.d_un.d_val);
    }
  }
  return symbols;
}

Result<std::string> link_shared_object(const std::vector<std::string>& objects,
                                       const LinkOptions& options) {
  TEMPER_TRY(folder, ScratchFolder::make());
  std::vector<std::string> undefined;
  std::vector<std::string> defined;
  // No lazy binding and no build id: the bytes depend on the objects alone.
  std::vector<std::string> arguments{"-shared",          "-o",          folder.file("out.so"),
                                     "--build-id=none",  "--threads=1", "-z",
                                     "noexecstack",      "-z",          "now",
                                     "--hash-style=gnu", "-Bsymbolic",  "--no-undefined",
                                     "--gc-sections"};
  for (size_t i = 0; i < objects.size(); ++i) {
    const std::string path = folder.file(std::to_string(i) + ".o");
    TEMPER_TRY_VOID(write_scratch(path, objects[i]));
    arguments.push_back(path);
    TEMPER_TRY(symbols, read_symbols(objects[i]));
    undefined.insert(undefined.end(), symbols.undefined.begin(), symbols.undefined.end());
    defined.insert(defined.end(), symbols.defined.begin(), symbols.defined.end());
  }
  std::sort(defined.begin(), defined.end());
  std::erase_if(undefined, [&](const std::string& name) {
    return name.empty() || std::binary_search(defined.begin(), defined.end(), name);
  });
  TEMPER_TRY(libraries, system_libraries_for(undefined));
  if (!libraries.empty())
    arguments.emplace_back("--as-needed");
  arguments.insert(arguments.end(), libraries.begin(), libraries.end());
  // OpenMP's threads outlive the loop that started them: unloading their library would unmap the
  // code that they run.
  if (std::any_of(undefined.begin(), undefined.end(), is_openmp_symbol))
    arguments.insert(arguments.end(), {"-z", "nodelete"});
  if (!options.soname.empty())
    arguments.push_back("-soname=" + options.soname);
  if (!options.exported.empty()) {
    std::string script = "{ global:";
    for (const std::string& name : options.exported)
      script += " " + name + ";";
    script += " local: *; };\n";
    TEMPER_TRY_VOID(write_scratch(folder.file("exported.map"), script));
    arguments.push_back("--version-script=" + folder.file("exported.map"));
  }
  if (options.own_process && has_ld()) {
    TEMPER_TRY_VOID(run_ld(arguments, folder.file("log")));
    return read_file(folder.file("out.so"));
  }
  std::string output;
  switch (run_lld(arguments, output)) {
  case LldAnswer::kDone:
    break;
  case LldAnswer::kFailed:
    return Error(ErrorCode::kFailed, "the linker failed: " + std::string(trim(output)));
  case LldAnswer::kCannotRun:
    TEMPER_TRY_VOID(run_ld(arguments, folder.file("log")));
    break;
  }
  return read_file(folder.file("out.so"));
}

Result<std::string>
rename_symbols(const std::string& object,
               const std::vector<std::pair<std::string, std::string>>& renames) {
  auto binary = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "object"));
  if (!binary)
    return Error(ErrorCode::kCorrupt, "not an object: " + text_of(binary.takeError()));
  llvm::objcopy::ConfigManager config;
  for (const auto& [from, to] : renames)
    config.Common.SymbolsToRename[from] = to;
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (auto error = llvm::objcopy::executeObjcopyOnBinary(config, **binary, stream))
    return Error(ErrorCode::kFailed, "cannot rename symbols: " + text_of(std::move(error)));
  return std::string(bytes.data(), bytes.size());
}

Result<std::string> make_archive(const std::vector<std::pair<std::string, std::string>>& members) {
  std::vector<llvm::NewArchiveMember> list;
  for (const auto& [name, bytes] : members)
    list.emplace_back(llvm::MemoryBufferRef(bytes, name));
  auto archive = llvm::writeArchiveToBuffer(list, llvm::SymtabWritingMode::NormalSymtab,
                                            llvm::object::Archive::K_GNU,
                                            /*Deterministic=*/true, /*Thin=*/false);
  if (!archive)
    return Error(ErrorCode::kFailed, "cannot make an archive: " + text_of(archive.takeError()));
  return (*archive)->getBuffer().str();
}

Result<ObjectCode> measure_object_code(const std::string& object) {
  TEMPER_TRY(elf, parse_elf(object));
  const auto broken = [](llvm::Error error) {
    return Error(ErrorCode::kCorrupt, "cannot read an object: " + text_of(std::move(error)));
  };
  auto sections = elf.sections();
  if (!sections)
    return broken(sections.takeError());
  ObjectCode code;
  uint64_t hash = 1;
  const auto is_code = [](const auto& section) {
    return (section.sh_flags & llvm::ELF::SHF_ALLOC) != 0 && section.sh_size > 0;
  };
  for (const auto& section : *sections) {
    if (is_code(section)) {
      hash = hash_combine(hash, section.sh_flags);
      hash = hash_combine(hash, section.sh_size);
      if ((section.sh_flags & llvm::ELF::SHF_EXECINSTR) != 0)
        code.executable_bytes += static_cast<int64_t>(section.sh_size);
      if (section.sh_type != llvm::ELF::SHT_NOBITS) {
        auto bytes = elf.getSectionContents(section);
        if (!bytes)
          return broken(bytes.takeError());
        hash = hash_combine(
            hash, hash_bytes({reinterpret_cast<const char*>(bytes->data()), bytes->size()}));
      }
    }
    if (section.sh_type != llvm::ELF::SHT_RELA)
      continue;
    auto patched = elf.getSection(section.sh_info);
    if (!patched)
      return broken(patched.takeError());
    if (!is_code(**patched))
      continue;
    auto symbols = elf.getSection(section.sh_link);
    if (!symbols)
      return broken(symbols.takeError());
    auto names = elf.getStringTableForSymtab(**symbols);
    if (!names)
      return broken(names.takeError());
    auto relocations = elf.relas(section);
    if (!relocations)
      return broken(relocations.takeError());
    for (const auto& relocation : *relocations) {
      hash = hash_combine(hash, relocation.r_offset);
      hash = hash_combine(hash, relocation.getType(false));
      hash = hash_combine(hash, static_cast<uint64_t>(relocation.r_addend));
      auto symbol = elf.getRelocationSymbol(relocation, *symbols);
      if (!symbol)
        return broken(symbol.takeError());
      if (*symbol == nullptr)
        continue;
      if ((*symbol)->isUndefined()) {
        auto name = (*symbol)->getName(*names);
        if (!name)
          return broken(name.takeError());
        hash = hash_combine(hash, hash_bytes({name->data(), name->size()}));
      } else {
        hash = hash_combine(hash, (*symbol)->st_shndx);
        hash = hash_combine(hash, (*symbol)->st_value);
      }
    }
  }
  code.hash = hash;
  return code;
}

} // namespace temper::codegen
