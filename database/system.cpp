#include "database/system.h"

#include "ir/support/clock.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace temper::database {

namespace {

struct NamedMagic {
  uint64_t magic;
  const char* name;
};

// From statfs(2) and linux/magic.h; the headers do not have all of them.
constexpr uint64_t kFuse = 0x65735546;
constexpr std::array kShared = {
    NamedMagic{0x6969, "NFS"},          NamedMagic{0x517b, "SMB"},
    NamedMagic{0xff534d42, "SMB"},      NamedMagic{0xfe534d42, "SMB"},
    NamedMagic{0x564c, "NCP"},          NamedMagic{0x73757245, "Coda"},
    NamedMagic{0x5346414f, "AFS"},      NamedMagic{0x6b414653, "AFS"},
    NamedMagic{0x00c36400, "Ceph"},     NamedMagic{0x0bd00bd0, "Lustre"},
    NamedMagic{0x47504653, "GPFS"},     NamedMagic{0x19830326, "BeeGFS"},
    NamedMagic{0x20030528, "OrangeFS"}, NamedMagic{0xaad7aaea, "PanFS"},
    NamedMagic{0x01161970, "GFS2"},     NamedMagic{0x7461636f, "OCFS2"},
    NamedMagic{0x01021997, "9P"},
};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

constexpr int64_t kDead = 0;
constexpr int64_t kHidden = -1;

/// Field 22 of /proc/PID/stat; kDead when the process has ended, kHidden when it cannot be seen.
int64_t start_ticks_of(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line))
    // With hidepid, another user's process has no folder in /proc, but it has signals.
    return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM ? kHidden : kDead;
  // The command in parentheses may hold blanks and parentheses: count from the last one.
  const size_t end = line.rfind(')');
  if (end == std::string::npos)
    return kHidden;
  std::istringstream rest(line.substr(end + 1));
  std::string field;
  char state = '?';
  rest >> state;
  if (state == 'Z' || state == 'X')
    return kDead; // not yet collected by its parent
  for (int number = 4; number <= 22 && rest; ++number)
    rest >> field;
  return rest ? std::strtoll(field.c_str(), nullptr, 10) : kHidden;
}

/// The type column of the mount that holds the device of `path`.
std::string mount_type(dev_t device) {
  std::ifstream file("/proc/self/mountinfo");
  const std::string wanted = std::to_string(major(device)) + ":" + std::to_string(minor(device));
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string id, parent, number, rest;
    fields >> id >> parent >> number;
    const size_t dash = line.find(" - ");
    if (number != wanted || dash == std::string::npos)
      continue;
    std::istringstream tail(line.substr(dash + 3));
    tail >> rest;
    return rest;
  }
  return {};
}

} // namespace

std::string unsafe_filesystem(const FilesystemInfo& info) {
  if (info.magic == kFuse) {
    // FUSE is also how local disks (NTFS, exFAT) and container roots are mounted; those are safe.
    if (info.type == "fuseblk" || info.type == "fuse.fuse-overlayfs")
      return {};
    return info.type.empty() ? "FUSE" : info.type;
  }
  for (const NamedMagic& shared : kShared)
    if (info.magic == shared.magic)
      return shared.name;
  return {};
}

FilesystemInfo System::filesystem(const std::filesystem::path& path) {
  FilesystemInfo info;
  struct statfs facts;
  if (::statfs(path.c_str(), &facts) != 0)
    return info;
  // f_type is signed on some kernels: SMB's magic would come out negative.
  info.magic = static_cast<uint32_t>(facts.f_type);
  struct stat status;
  if (::stat(path.c_str(), &status) == 0)
    info.type = mount_type(status.st_dev);
  return info;
}

ProcessIdentity System::this_process() {
  ProcessIdentity process;
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0)
    process.host = host;
  char domain[128] = {};
  const ssize_t length = ::readlink("/proc/self/ns/pid", domain, sizeof domain - 1);
  process.domain = process.host + " " + first_line("/proc/sys/kernel/random/boot_id") + " " +
                   std::string(domain, length > 0 ? static_cast<size_t>(length) : 0);
  process.pid = ::getpid();
  process.start_ticks = start_ticks_of(process.pid);
  return process;
}

System::Liveness System::liveness(const ProcessIdentity& process) {
  if (process.pid <= 0)
    return Liveness::kGone;
  if (process.domain != this_process().domain)
    return Liveness::kUnseen;
  const int64_t start = start_ticks_of(process.pid);
  if (start == kDead)
    return Liveness::kGone;
  if (start == kHidden)
    return Liveness::kUnseen;
  return start == process.start_ticks ? Liveness::kAlive : Liveness::kGone;
}

int64_t System::now_ns() {
  return unix_time_ns();
}

uint64_t System::random_word() {
  uint64_t word = 0;
  if (::getrandom(&word, sizeof word, 0) != sizeof word)
    word = static_cast<uint64_t>(now_ns()) ^ static_cast<uint64_t>(::getpid());
  return word;
}

System& System::real() {
  static System system;
  return system;
}

} // namespace temper::database
