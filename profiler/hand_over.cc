#include "profiler/hand_over.h"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace shardlab {
namespace {

/// A token that two threads pass to and fro.
class Token {
 public:
  void pass(int to) {
    {
      const std::lock_guard lock(mutex_);
      holder_ = to;
    }
    changed_.notify_all();
  }

  void wait(int holder) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return holder_ == holder; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int holder_ = 0;
};

}  // namespace

void time_hand_over(int count, Samples& samples) {
  Token token;
  std::jthread partner([&] {
    for (int i = 0; i < count; ++i) {
      token.wait(1);
      token.pass(0);
    }
  });
  for (int i = 0; i < count; ++i) {
    const Duration both = timed([&] {
      token.pass(1);
      token.wait(0);
    });
    samples.push_back(both / 2);
  }
}

}  // namespace shardlab
