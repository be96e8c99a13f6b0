/// A CompilePool without processes: a function answers each request. Responses come back in order,
/// `latency` polls late, so that asynchronous callers are exercised.
#pragma once

#include "engine/compile_pool.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace temper::engine {

class FakeCompilePool : public CompilePool {
public:
  using Compiler = std::function<Result<std::string>(std::string_view request)>;

  explicit FakeCompilePool(Compiler compiler, int latency = 0)
      : compiler_(std::move(compiler)), latency_(latency) {}

  Ticket submit(std::string request, int = 0) override {
    CompileFinished done;
    done.ticket = next_ticket_++;
    done.compile_ms = 1;
    ++submitted;
    if (Result<std::string> response = compiler_(request); response) {
      done.outcome = Outcome::kOk;
      done.response = std::move(*response);
    } else {
      done.error = response.error().message;
    }
    const Ticket ticket = done.ticket;
    if (!lose_from_now_on)
      queue_.push_back({std::move(done), latency_});
    return ticket;
  }
  std::vector<CompileFinished> poll(int) override {
    std::vector<CompileFinished> done;
    while (!queue_.empty() && queue_.front().wait-- <= 0) {
      done.push_back(std::move(queue_.front().done));
      queue_.pop_front();
    }
    return done;
  }
  void cancel(Ticket ticket) override {
    std::erase_if(queue_, [&](const Entry& entry) { return entry.done.ticket == ticket; });
  }
  size_t pending() const override { return queue_.size(); }
  int event_fd() const override { return -1; }
  std::vector<int> worker_pids() const override {
    return std::vector<int>(static_cast<size_t>(workers), 1);
  }

  int submitted = 0;
  int workers = 1;
  bool lose_from_now_on = false; ///< requests vanish, as when every worker is gone

private:
  struct Entry {
    CompileFinished done;
    int wait;
  };
  Compiler compiler_;
  int latency_;
  Ticket next_ticket_ = 1;
  std::deque<Entry> queue_;
};

} // namespace temper::engine
