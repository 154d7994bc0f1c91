#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace shardlab::fake {

/// Runs works one after another on a thread of its own, which never ends.
class WorkQueue {
 public:
  using Work = std::function<void()>;  ///< Must not throw.
  /// A position: so many works from the start.
  using Ticket = std::uint64_t;

  WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  Ticket push(Work work);
  Ticket end() const;  ///< Of the last work pushed.
  /// A late queue runs only what was demanded or waited for.
  void set_late(bool late);
  void demand(Ticket ticket);
  [[nodiscard]] bool done(Ticket ticket) const;  ///< Demands nothing.
  void wait(Ticket ticket);

 private:
  void run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> works_;
  Ticket pushed_ = 0;
  Ticket demanded_ = 0;
  Ticket done_ = 0;
  bool late_ = false;
};

}  // namespace shardlab::fake
