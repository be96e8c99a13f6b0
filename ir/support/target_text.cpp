#include "ir/support/target_text.h"

#include "ir/support/quantities.h"

namespace temper {

std::string thread_text(const std::string& target, int64_t threads) {
  const bool gpu = target.starts_with("cuda:") || target.starts_with("hip:");
  return gpu ? std::string() : format_count(threads, "thread");
}

std::string target_and_threads(const std::string& target, int64_t threads) {
  const std::string words = thread_text(target, threads);
  return words.empty() ? target : target + ", " + words;
}

} // namespace temper
