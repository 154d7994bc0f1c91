#include "profiler/rounds.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <latch>
#include <mutex>
#include <thread>
#include <utility>

namespace shardlab {
namespace {

using Clock = std::chrono::steady_clock;

/// What the lanes of one measurement share.
class Session {
 public:
  Session(std::size_t lanes, std::size_t models, const ProfileOptions& options, double seconds)
      : options_(options),
        models_(static_cast<int>(models)),
        seconds_(seconds),
        done_(lanes),
        entered_(static_cast<std::ptrdiff_t>(lanes)) {}

  /// All lanes start together, once all have made their models.
  void start() {
    entered_.arrive_and_wait();
    const std::lock_guard lock(mutex_);
    if (begin_ == Clock::time_point{}) begin_ = Clock::now();
  }

  /// A lane leaves before it has begun.
  void drop() { entered_.count_down(); }

  /// After a lane's next round of a model; false when some lane may have stopped, so that the round
  /// does not count.
  bool next(std::size_t lane) {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    if (stopped_) return false;
    ++done_[lane];
    stopped_ = enough();
    return true;
  }

  void stop(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stopped_ = true;
    changed_.notify_all();
  }

  [[nodiscard]] bool stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  /// Calls `tick` after each round until the end.
  void watch(const std::function<void(double)>& tick) {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      changed_.wait(lock);
      if (stopped_) break;
      const double share = share_done();
      lock.unlock();
      tick(share);
      lock.lock();
    }
  }

  [[nodiscard]] bool warming_up(int rounds) const { return rounds < options_.warm_up * models_; }

  [[nodiscard]] int rounds() const {
    return std::max(0, *std::ranges::min_element(done_) / models_ - options_.warm_up);
  }
  [[nodiscard]] std::exception_ptr error() const { return error_; }

 private:
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  [[nodiscard]] bool enough() const {
    const int kept = rounds();
    return kept >= options_.min_rounds && (kept >= options_.max_rounds || elapsed() >= seconds_);
  }

  [[nodiscard]] double share_done() const {
    const int fewest = *std::ranges::min_element(done_);
    const auto share = [&](int rounds) {
      return static_cast<double>(fewest) / std::max(1, (options_.warm_up + rounds) * models_);
    };
    const double by_time =
        std::max(elapsed() / std::max(seconds_, 1e-9), share(options_.max_rounds));
    return std::min({1.0, share(options_.min_rounds), by_time});
  }

  const ProfileOptions& options_;
  int models_;
  double seconds_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> done_;  // Per lane: rounds of a model, warm-up included.
  std::latch entered_;
  Clock::time_point begin_{};
  std::exception_ptr error_;
  bool stopped_ = false;
};

void run_lane(Session& session, Lane& lane, std::size_t index, std::size_t lanes,
              LaneSamples& kept) {
  bool entered = false;
  try {
    lane.enter();
    entered = true;
    session.start();
    std::size_t model = index * lane.models() / lanes;
    for (int round = 0; !session.stopped(); ++round) {
      LaneSamples samples;
      lane.run(model, samples);
      if (session.next(index) && !session.warming_up(round)) append(kept, samples);
      model = (model + 1) % lane.models();
    }
  } catch (...) {
    session.stop(std::current_exception());
    if (!entered) session.drop();
  }
}

}  // namespace

RoundsResult run_rounds(const std::vector<Lane*>& lanes, const ProfileOptions& options,
                        double seconds, const std::function<void(double)>& tick) {
  Session session(lanes.size(), lanes.front()->models(), options, seconds);
  std::vector<LaneSamples> samples(lanes.size());
  {
    std::vector<std::jthread> threads;
    try {
      for (std::size_t i = 0; i < lanes.size(); ++i) {
        threads.emplace_back([&, i] { run_lane(session, *lanes[i], i, lanes.size(), samples[i]); });
      }
      session.watch(tick);
    } catch (...) {
      session.stop(std::current_exception());
      for (std::size_t i = threads.size(); i < lanes.size(); ++i) session.drop();
    }
  }
  if (session.error()) std::rethrow_exception(session.error());
  RoundsResult result{{}, session.rounds()};
  for (const LaneSamples& lane : samples) append(result.samples, lane);
  return result;
}

}  // namespace shardlab
