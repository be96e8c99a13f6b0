/// Runs a command line with stdout and stderr kept apart, in a folder of its own.
#pragma once

#include "ir/support/json.h"
#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::testing {

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
  Json json() const { return parse_json(out).value_or(Json()); }
  /// The array `name` of the answer, which must have entries.
  Json list(const std::string& name) const {
    Json entries = json().value(name, Json::array());
    EXPECT_FALSE(entries.empty()) << out << err;
    return entries;
  }
};

/// A scratch folder, with a database of its own, that goes away with the object.
class Shell {
public:
  Shell() {
    std::string pattern = std::filesystem::temp_directory_path() / "temper-cli-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Shell() { std::filesystem::remove_all(folder_); }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  void write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(write_file(folder_ / name, text));
  }
  Ran run(const std::string& command) const {
    const std::string line =
        "cd " + folder_.string() +
        " && export PATH=" TEMPER_BUILD_DIR "/bin:$PATH TEMPER_DB=" + (folder_ / "t.db").string() +
        " NO_COLOR=1 && { " + command + "\n} >out.txt 2>err.txt </dev/null";
    const int status = std::system(line.c_str());
    Ran ran;
    ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ran.out = read_file(folder_ / "out.txt").value_or("");
    ran.err = read_file(folder_ / "err.txt").value_or("");
    return ran;
  }
  /// Runs `command` and sends it `signal` once `until`, asked again and again, succeeds: waiting
  /// for what the command has done, not for a time, holds on a busy machine too. The exit code is
  /// the command's.
  Ran run_until(const std::string& command, const std::string& until,
                const std::string& signal) const {
    return run(command + " & main=$!\nuntil " + until + " || ! kill -0 $main; do sleep 0.05; done" +
               " >/dev/null 2>&1\nkill -" + signal + " $main; wait $main");
  }

private:
  std::filesystem::path folder_;
};

inline constexpr const char* kScale = R"(
def scale(M, N, dtype="float32"):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), B: T.Buffer((M, N), dtype)):
        for i, j in T.grid(M, N):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * T.float32(2) + T.float32(1)
    return main


scale_workload = dict(
    shapes=[dict(M=64, N=64)],
    flops="2*M*N",
    bytes="8*M*N",
)
)";

/// To be appended to kScale: a reference that computes something else.
inline constexpr const char* kWrongScaleReference = R"(
def scale_reference(M, N, dtype="float32"):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), B: T.Buffer((M, N), dtype)):
        for i, j in T.grid(M, N):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * T.float32(3)
    return main
)";

} // namespace temper::testing
