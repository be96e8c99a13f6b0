/// Compilers that are programs of their own: run with a deadline, in a folder that goes with it.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <utility>
#include <vector>

namespace temper::codegen {

/// A folder for one compilation, removed with this.
class ScratchFolder {
public:
  static Result<ScratchFolder> make();
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();
  std::string operator/(const char* name) const { return path_ + "/" + name; }

private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// What a program wrote, both streams. `arguments[0]` is looked for in PATH. kEnvironment: there is
/// no such program. kFailed: it did not end well (the first line that names an error), or took
/// longer than `deadline_seconds` of processor time (0: no deadline), or very much longer by the
/// clock.
Result<std::string> run_program(const std::vector<std::string>& arguments,
                                double deadline_seconds = 0);

} // namespace temper::codegen
