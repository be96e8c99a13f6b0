#include "codegen/hip/clang.h"

#include "codegen/process.h"
#include "ir/support/number.h"
#include "ir/support/text.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>

namespace temper::codegen {
namespace {

std::string clang_program() {
  const char* named = std::getenv("TEMPER_CLANG");
  return named != nullptr && *named != '\0' ? named : "clang-19";
}

/// As run_program, with what to do where there is no clang.
Result<std::string> run_clang(std::vector<std::string> arguments, double deadline_seconds) {
  arguments.insert(arguments.begin(), clang_program());
  auto output = run_program(arguments, deadline_seconds);
  if (!output && output.error().code == ErrorCode::kEnvironment)
    return Error(ErrorCode::kEnvironment,
                 output.error().message + ", which compiles for AMD's GPUs: install clang-19, or "
                                          "name a clang 19 in TEMPER_CLANG");
  return output;
}

/// The value behind "    .vgpr_count:     32"; nothing for another key.
std::optional<std::string> value_of(std::string_view line, std::string_view key) {
  line = trim(line);
  if (line.starts_with("- "))
    line = trim(line.substr(2));
  if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':')
    return std::nullopt;
  return std::string(trim(line.substr(key.size() + 1)));
}

} // namespace

std::vector<AmdKernel> read_amd_metadata(std::string_view assembly) {
  std::vector<AmdKernel> kernels;
  const size_t begin = assembly.find("amdhsa.kernels:");
  if (begin == std::string_view::npos)
    return kernels;
  for (const std::string& line :
       split_text(std::string(assembly.substr(begin + std::string_view("amdhsa.kernels:").size())),
                  '\n')) {
    if (line.starts_with("amdhsa."))
      break;
    if (line.starts_with("  - ")) // of arguments the lists are deeper
      kernels.emplace_back();
    if (kernels.empty())
      continue;
    AmdKernel& kernel = kernels.back();
    const bool of_argument = line.starts_with("      ");
    if (of_argument)
      continue;
    if (auto name = value_of(line, ".name"))
      kernel.name = *std::move(name);
    const auto count = [&](const char* key, int64_t& to) {
      if (const auto text = value_of(line, key))
        to = parse_number<int64_t>(*text).value_or(0);
    };
    count(".vgpr_count", kernel.vgprs);
    count(".sgpr_count", kernel.sgprs);
    count(".vgpr_spill_count", kernel.spilled_vgprs);
    count(".sgpr_spill_count", kernel.spilled_sgprs);
    count(".group_segment_fixed_size", kernel.lds_bytes);
    count(".private_segment_fixed_size", kernel.scratch_bytes);
  }
  return kernels;
}

std::map<std::string, int64_t> amd_operations(std::string_view assembly) {
  struct Kind {
    const char* name;
    std::initializer_list<std::string_view> prefixes;
  };
  // The first whose prefix fits counts.
  static const Kind kinds[] = {
      {"mfma", {"v_mfma_"}},
      {"atomic", {"global_atomic", "ds_add", "ds_max", "ds_min", "flat_atomic"}},
      {"ds_read", {"ds_read"}},
      {"ds_write", {"ds_write"}},
      {"shuffle", {"ds_bpermute", "ds_permute", "ds_swizzle"}},
      {"global_load", {"global_load"}},
      {"global_store", {"global_store"}},
      {"scratch", {"scratch_"}},
      {"s_barrier", {"s_barrier"}},
      {"fma", {"v_fma", "v_fmac", "v_pk_fma", "v_mad"}}};
  std::map<std::string, int64_t> counts;
  for (const std::string& line : split_text(std::string(assembly), '\n')) {
    if (!line.starts_with("\t"))
      continue;
    const std::string_view word = trim(line);
    if (!word.starts_with("v_") && !word.starts_with("s_") && !word.starts_with("ds_") &&
        !word.starts_with("global_") && !word.starts_with("flat_") &&
        !word.starts_with("scratch_") && !word.starts_with("buffer_"))
      continue;
    ++counts["all"];
    for (const Kind& kind : kinds)
      if (std::any_of(kind.prefixes.begin(), kind.prefixes.end(),
                      [&](std::string_view prefix) { return word.starts_with(prefix); })) {
        ++counts[kind.name];
        break;
      }
  }
  return counts;
}

Result<AmdCode> compile_hip_source(const std::string& source, const std::string& architecture,
                                   double deadline_seconds) {
  const auto start = std::chrono::steady_clock::now();
  TEMPER_TRY(folder, ScratchFolder::make());
  const std::string text = folder / "kernel.hip", assembly = folder / "kernel.s",
                    object = folder / "kernel.o";
  TEMPER_TRY_VOID(write_file(text, source));
  TEMPER_TRY(log, run_clang({"-x", "hip", "--cuda-device-only", "--offload-arch=" + architecture,
                             "-nogpulib", "-nogpuinc", "-nostdinc", "-fuse-cuid=none", "-std=c++17",
                             "-O3", "-ffp-contract=fast", "-S", "-o", assembly, text},
                            deadline_seconds));
  AmdCode code;
  for (const std::string& line : split_text(log, '\n'))
    if (const size_t at = line.find("warning:"); at != std::string::npos)
      code.warnings.emplace_back(trim(line.substr(at)));
  TEMPER_TRY(made, read_file(assembly));
  code.assembly = std::move(made);
  TEMPER_TRY_VOID(run_clang(
      {"--target=amdgcn-amd-amdhsa", "-mcpu=" + architecture, "-c", "-o", object, assembly},
      deadline_seconds));
  TEMPER_TRY(bytes, read_file(object));
  code.object = std::move(bytes);
  code.kernels = read_amd_metadata(code.assembly);
  code.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return code;
}

Result<std::string> clang_version() {
  static const Result<std::string> version = []() -> Result<std::string> {
    TEMPER_TRY(text, run_clang({"--version"}, 30));
    constexpr std::string_view kWord = "clang version ";
    const size_t at = text.find(kWord);
    if (at == std::string::npos)
      return Error(ErrorCode::kEnvironment,
                   clang_program() + " does not say which version of clang it is");
    const size_t begin = at + kWord.size();
    const std::string number = text.substr(begin, text.find_first_of(" \n", begin) - begin);
    if (!number.starts_with("19."))
      return Error(ErrorCode::kEnvironment, clang_program() + " is clang " + number +
                                                ", and HIP C++ is printed for clang 19; name one "
                                                "in TEMPER_CLANG");
    return "clang " + number;
  }();
  return version;
}

AmdOccupancy amd_occupancy(int64_t threads, int64_t vgprs, int64_t lds_bytes) {
  // Of a compute unit: four SIMDs, each with 512 registers for every lane, given out in units of 8,
  // and at most 8 waves; 64 KiB of LDS ("CDNA 3 Instruction Set Architecture", "AMD Instinct MI300
  // tuning guide").
  constexpr int64_t kSimds = 4, kRegisters = 512, kUnit = 8, kWaves = 8, kLds = 64 * 1024;
  const int64_t waves = std::max<int64_t>(1, (threads + 63) / 64);
  const int64_t per_wave = std::max<int64_t>(kUnit, (vgprs + kUnit - 1) / kUnit * kUnit);
  AmdOccupancy result{kSimds * kWaves / waves, "threads"};
  const auto limit = [&](int64_t blocks, const char* what) {
    if (blocks < result.blocks)
      result = {blocks, what};
  };
  limit(kSimds * std::min(kWaves, kRegisters / per_wave) / waves, "registers");
  if (lds_bytes > 0)
    limit(kLds / lds_bytes, "shared memory");
  return result;
}

} // namespace temper::codegen
