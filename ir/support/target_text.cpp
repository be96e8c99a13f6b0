#include "ir/support/target_text.h"

#include "ir/support/quantities.h"

namespace temper {

namespace {

bool is_gpu(const std::string& target) {
  return target.starts_with("cuda:") || target.starts_with("hip:");
}

} // namespace

std::string thread_text(const std::string& target, int64_t threads) {
  return is_gpu(target) ? std::string() : format_count(threads, "thread");
}

std::string thread_cell(const std::string& target, int64_t threads) {
  return is_gpu(target) ? std::string() : std::to_string(threads);
}

std::string target_and_threads(const std::string& target, int64_t threads) {
  const std::string words = thread_text(target, threads);
  return words.empty() ? target : target + ", " + words;
}

} // namespace temper
