/// What the store must know of the machine: the file system under a path, which processes live,
/// the time. An interface because tests fake all three.
#pragma once

#include "database/records.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace temper::database {

struct FilesystemInfo {
  uint64_t magic = 0; ///< statfs f_type; 0 when unknown
  std::string type;   ///< as in /proc/self/mountinfo, `ext4`, `nfs4`, `fuse.sshfs`; may be empty
};

/// The name of the file system when several machines may share it or when it has no shared memory
/// maps, so that SQLite's write-ahead log would corrupt; empty when it is safe.
std::string unsafe_filesystem(const FilesystemInfo& info);

class System {
public:
  virtual ~System() = default;
  /// Of an existing path.
  virtual FilesystemInfo filesystem(const std::filesystem::path& path);
  virtual ProcessIdentity this_process();
  /// True when the process is on this machine and lives, false when it is gone for certain;
  /// kUnseen when it is elsewhere.
  enum class Liveness : uint8_t { kAlive, kGone, kUnseen };
  virtual Liveness liveness(const ProcessIdentity& process);
  virtual int64_t now_ns(); ///< since 1970 UTC
  virtual uint64_t random_word();

  static System& real();
};

} // namespace temper::database
