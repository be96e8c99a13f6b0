/// Links relocatable objects to a shared object in memory, and the few other things that exports do
/// with objects. Uses lld as a library, or `ld` by process when lld cannot run again. Thread-safe.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace temper::codegen {

struct LinkOptions {
  std::string soname;                ///< empty: none
  std::vector<std::string> exported; ///< symbols to keep visible; empty: all global ones
  /// Link by `ld` in a process of its own, and by lld only where there is no `ld`. For links that
  /// are rare and large: lld's memory is not safe to reuse after every one of them.
  bool own_process = false;
};

/// The shared object's bytes. What the objects leave undefined must come from the C library, libm
/// or OpenMP's runtime, which are then named in NEEDED; anything else is an error that names it.
Result<std::string> link_shared_object(const std::vector<std::string>& objects,
                                       const LinkOptions& options = {});

/// The object with global symbols renamed (pairs of old and new name).
Result<std::string> rename_symbols(const std::string& object,
                                   const std::vector<std::pair<std::string, std::string>>& renames);

/// A static archive (`ar`) of members: file name and bytes.
Result<std::string> make_archive(const std::vector<std::pair<std::string, std::string>>& members);

/// Global symbols of an object or shared object: defined ones, or those it needs from elsewhere.
struct ObjectSymbols {
  std::vector<std::string> defined;
  std::vector<std::string> undefined;
  std::vector<std::string> needed; ///< DT_NEEDED of a shared object
};
Result<ObjectSymbols> read_symbols(const std::string& object);

/// What an object executes.
struct ObjectCode {
  /// Of its allocated sections and relocations, without the names of its own symbols.
  uint64_t hash = 0;
  int64_t executable_bytes = 0;
};
Result<ObjectCode> measure_object_code(const std::string& object);

} // namespace temper::codegen
