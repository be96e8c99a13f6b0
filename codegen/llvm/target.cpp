#include "codegen/llvm/compile.h"
#include "codegen/llvm/machine.h"

#include "ir/support/text.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <span>

namespace temper::codegen {
namespace {

/// Processors that this back end makes code for: those of x86-64, which it also runs, measures and
/// exports for, and those of AArch64.
struct Family {
  const char* triple;
  const char* name;
};
constexpr Family kX86{"x86_64-unknown-linux-gnu", "x86-64"};
constexpr Family kArm{"aarch64-unknown-linux-gnu", "AArch64"};

/// Features that change the code of kernels and that a CPU can be asked for; exported libraries
/// check them before they run a kernel.
constexpr const char* kKnownFeatures[] = {
#define TEMPER_CPU_FEATURE(name, word, bit, state) name,
#include "codegen/library/runtime/cpu_features.def"
#undef TEMPER_CPU_FEATURE
};

/// The same of AArch64. Each of its CPUs has the first, which no other has.
constexpr const char* kKnownArmFeatures[] = {"neon", "fullfp16", "dotprod", "i8mm", "bf16", "sve"};

/// Options for LLVM itself, from TEMPER_LLVM_FLAGS, as opt and llc take them.
const std::vector<std::string>& llvm_flags() {
  static const std::vector<std::string> flags = [] {
    const char* text = std::getenv("TEMPER_LLVM_FLAGS");
    std::vector<std::string> words = split_text(text != nullptr ? text : "", ' ');
    std::erase(words, "");
    return words;
  }();
  return flags;
}

Result<const llvm::Target*> back_end(const Family& family) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(family.triple, error);
  if (found == nullptr)
    return Error(ErrorCode::kEnvironment,
                 "this LLVM has no back end for " + std::string(family.name) + ": " + error);
  return found;
}

std::vector<std::string> arm_cpu_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    if (const auto arm = back_end(kArm)) {
      const std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
          (*arm)->createMCSubtargetInfo(kArm.triple, "", ""));
      for (const llvm::SubtargetSubTypeKV& cpu : subtarget->getAllProcessorDescriptions())
        if (std::string_view(cpu.Key) != "generic") // of which family?
          list.emplace_back(cpu.Key);
    }
    return list;
  }();
  return names;
}

const Family& family_of(const std::string& cpu) {
  const std::vector<std::string> names = arm_cpu_names();
  return std::find(names.begin(), names.end(), cpu) != names.end() ? kArm : kX86;
}

std::vector<std::string> cpu_names() {
  llvm::SmallVector<llvm::StringRef, 128> names;
  llvm::X86::fillValidCPUArchList(names, /*Only64Bit=*/true);
  std::vector<std::string> list;
  for (llvm::StringRef name : names)
    list.push_back(name.str());
  return list;
}

std::set<std::string> features_of_cpu(const std::string& cpu) {
  llvm::SmallVector<llvm::StringRef, 64> features;
  llvm::X86::getFeaturesForCPU(cpu, features);
  std::set<std::string> set;
  for (llvm::StringRef feature : features)
    set.insert(feature.str());
  return set;
}

std::string nearest_or_list(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  return nearest.empty() ? std::string() : "; did you mean '" + nearest + "'?";
}

/// "+a,-b": the features that differ from what the CPU's name implies.
Result<std::string> check_features(const std::string& text, const llvm::MCSubtargetInfo& subtarget,
                                   const Family& family) {
  std::vector<std::string> known;
  for (const llvm::SubtargetFeatureKV& feature : subtarget.getAllProcessorFeatures())
    known.push_back(feature.Key);
  std::vector<std::string> parts;
  for (const std::string& part : split_text(text, ',')) {
    const std::string feature(trim(part));
    if (feature.empty())
      continue;
    const bool sign = feature[0] == '+' || feature[0] == '-';
    const std::string name = sign ? feature.substr(1) : feature;
    if (std::find(known.begin(), known.end(), name) == known.end())
      return Error(ErrorCode::kInvalidArgument, "LLVM " LLVM_VERSION_STRING " knows no feature '" +
                                                    name + "' of " + family.name + " CPUs" +
                                                    nearest_or_list(name, known));
    parts.push_back(sign ? feature : "+" + name);
  }
  return join(parts, ",");
}

} // namespace

Result<void> set_llvm_flags() {
  if (llvm_flags().empty())
    return {};
  std::vector<const char*> arguments{"temper"};
  for (const std::string& word : llvm_flags())
    arguments.push_back(word.c_str());
  std::string text;
  llvm::raw_string_ostream errors(text);
  if (llvm::cl::ParseCommandLineOptions(static_cast<int>(arguments.size()), arguments.data(), "",
                                        &errors))
    return {};
  // "temper: Unknown command line argument '-x'.  Try: 'temper --help'"
  std::string sentence = text.substr(0, text.find_first_of(".\n"));
  if (sentence.starts_with("temper: "))
    sentence.erase(0, 8);
  return Error(ErrorCode::kInvalidArgument,
               "TEMPER_LLVM_FLAGS: " + (sentence.empty() ? "LLVM does not take it" : sentence));
}

namespace {

/// What `make` made of a target's text before, on this thread: a compile process asks for every
/// kernel, and reading a processor's features takes some tenths of a millisecond.
template <typename T, typename Make>
Result<T> remembered(const ir::Target& target, const Make& make) {
  thread_local std::map<std::string, T> known;
  const std::string key = target.to_string();
  if (const auto found = known.find(key); found != known.end())
    return found->second;
  TEMPER_TRY(made, make());
  return known.emplace(key, std::move(made)).first->second;
}

Result<ir::Target> resolve(const ir::Target& target) {
  if (!target.is_cpu())
    return Error(ErrorCode::kUnsupported, "target '" + target.to_string() +
                                              "' is no CPU; this back end compiles for x86-64 "
                                              "and AArch64");
  static const Result<void> flags = set_llvm_flags();
  if (!flags)
    return flags.error();
  ir::Target resolved = target;
  if (target.arch == "native") {
    resolved.arch = llvm::sys::getHostCPUName().str();
    // A virtual machine may hide what its CPU's name promises.
    const auto host = llvm::sys::getHostCPUFeatures();
    const std::set<std::string> implied = features_of_cpu(resolved.arch);
    std::vector<std::string> differences;
    for (const char* feature : kKnownFeatures) {
      const auto place = host.find(feature);
      const bool has = place != host.end() && place->second;
      if (!has && implied.contains(feature))
        differences.push_back("-" + std::string(feature));
      // A generic name says too little: what the host has more is asked for.
      if (has && !implied.contains(feature))
        differences.push_back("+" + std::string(feature));
    }
    std::string features = join(differences, ",");
    if (!target.features.empty())
      features += (features.empty() ? "" : ",") + target.features;
    resolved.features = features;
  }
  const Family& family = family_of(resolved.arch);
  TEMPER_TRY(llvm_target, back_end(family));
  const std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
      llvm_target->createMCSubtargetInfo(family.triple, "", ""));
  std::vector<std::string> names = cpu_names();
  for (const std::string& name : arm_cpu_names())
    names.push_back(name);
  if (!subtarget->isCPUStringValid(resolved.arch) ||
      std::find(names.begin(), names.end(), resolved.arch) == names.end())
    return Error(ErrorCode::kInvalidArgument, "LLVM " LLVM_VERSION_STRING " knows no CPU '" +
                                                  resolved.arch + "'" +
                                                  nearest_or_list(resolved.arch, names));
  TEMPER_TRY(features, check_features(resolved.features, *subtarget, family));
  resolved.features = features;
  return resolved;
}

} // namespace

Result<ir::Target> resolve_target(const ir::Target& target) {
  return remembered<ir::Target>(target, [&] { return resolve(target); });
}

Result<llvm::TargetMachine*> target_machine(const ir::Target& resolved) {
  // One per thread and target: making one costs as much as compiling a small kernel, and it must
  // not be shared between threads.
  thread_local std::map<std::string, std::unique_ptr<llvm::TargetMachine>> machines;
  const std::string key = resolved.arch + "," + resolved.features;
  if (const auto place = machines.find(key); place != machines.end())
    return place->second.get();
  const Family& family = family_of(resolved.arch);
  TEMPER_TRY(llvm_target, back_end(family));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // contraction is on the instructions
  options.UnsafeFPMath = false;
  std::unique_ptr<llvm::TargetMachine> machine(llvm_target->createTargetMachine(
      family.triple, resolved.arch, resolved.features, options, llvm::Reloc::PIC_, std::nullopt,
      llvm::CodeGenOptLevel::Default));
  if (machine == nullptr)
    return Error(ErrorCode::kEnvironment,
                 "LLVM made no target machine for '" + resolved.to_string() + "'");
  return machines.emplace(key, std::move(machine)).first->second.get();
}

bool has_feature(const llvm::TargetMachine& machine, std::string_view feature) {
  const llvm::MCSubtargetInfo& info = *machine.getMCSubtargetInfo();
  // LLVM complains of a feature of another family.
  const auto known = info.getAllProcessorFeatures();
  return std::any_of(known.begin(), known.end(),
                     [&](const llvm::SubtargetFeatureKV& one) { return feature == one.Key; }) &&
         info.checkFeatures("+" + std::string(feature));
}

Result<VectorRegisters> vector_registers(const ir::Target& target) {
  TEMPER_TRY(resolved, resolve_target(target));
  TEMPER_TRY(machine, target_machine(resolved));
  if (has_feature(*machine, "avx512f"))
    return VectorRegisters{512, 32};
  if (has_feature(*machine, "avx"))
    return VectorRegisters{256, 16};
  if (has_feature(*machine, "neon"))
    return VectorRegisters{128, 32};
  return VectorRegisters{};
}

Result<std::vector<std::string>> required_features(const ir::Target& target) {
  using Features = std::vector<std::string>;
  return remembered<Features>(target, [&]() -> Result<Features> {
    TEMPER_TRY(resolved, resolve_target(target));
    TEMPER_TRY(machine, target_machine(resolved));
    Features features;
    const auto look_for = [&](std::span<const char* const> known) {
      for (const char* feature : known)
        if (has_feature(*machine, feature))
          features.emplace_back(feature);
    };
    if (&family_of(resolved.arch) == &kArm)
      look_for(kKnownArmFeatures);
    else
      look_for(kKnownFeatures);
    std::sort(features.begin(), features.end());
    return features;
  });
}

std::string compiler_version() {
  // As kCodegenVersion, of code for CPUs alone.
  constexpr int kCpuCodegenVersion = 2;
  std::string version = fmt::format("LLVM " LLVM_VERSION_STRING " codegen {}.{}", kCodegenVersion,
                                    kCpuCodegenVersion);
  for (const std::string& flag : llvm_flags())
    version += " " + flag;
  return version;
}

} // namespace temper::codegen
