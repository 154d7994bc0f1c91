#include "profiler/rounds.h"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <latch>
#include <mutex>
#include <utility>

namespace shardlab {
namespace {

/// What the lanes of one round share.
class Session {
 public:
  Session(std::size_t lanes, std::size_t models)
      : models_(models), done_(lanes), entered_(static_cast<std::ptrdiff_t>(lanes)) {}

  /// All lanes start together, once all have made their models.
  void start() { entered_.arrive_and_wait(); }

  /// A lane leaves before it has begun.
  void drop() { entered_.count_down(); }

  /// After a lane's next model; false when some lane may have stopped, so that it does not count.
  bool next(std::size_t lane) {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    if (stopped_) return false;
    ++done_[lane];
    stopped_ = *std::ranges::min_element(done_) >= models_;
    if (stopped_) turned_.notify_all();
    return true;
  }

  void stop(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stopped_ = true;
    changed_.notify_all();
    turned_.notify_all();
  }

  [[nodiscard]] bool stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

  /// Calls `tick` after each model until the end.
  void watch(const std::function<void()>& tick) {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      changed_.wait(lock);
      if (stopped_) break;
      lock.unlock();
      tick();
      lock.lock();
    }
  }

  /// Waits for the lane's turn; nobody else computes until pass_turn().
  void take_turn(std::size_t lane) {
    std::unique_lock lock(mutex_);
    turned_.wait(lock, [&] { return stopped_ || turn_ == lane; });
  }
  void pass_turn() {
    const std::lock_guard lock(mutex_);
    turn_ = (turn_ + 1) % done_.size();
    turned_.notify_all();
  }

  /// All lanes before this one have copied, or something was thrown.
  [[nodiscard]] bool may_copy(std::size_t lane) {
    const std::lock_guard lock(mutex_);
    return error_ || copied_ >= lane;
  }
  void wait_to_copy(std::size_t lane) {
    std::unique_lock lock(mutex_);
    turned_.wait(lock, [&] { return error_ || copied_ >= lane; });
  }
  void has_copied() {
    const std::lock_guard lock(mutex_);
    ++copied_;
    turned_.notify_all();
  }

  [[nodiscard]] std::exception_ptr error() const { return error_; }

 private:
  std::size_t models_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable turned_;
  std::size_t turn_ = 0;
  std::vector<std::size_t> done_;  // Models, per lane.
  std::size_t copied_ = 0;         // Lanes, in their order.
  std::latch entered_;
  std::exception_ptr error_;
  bool stopped_ = false;
};

/// Of one model, at the lane's turn where it takes turns. On the CPU, what is kept follows on one
/// more that warms the caches.
void run_model(Session& session, Lane& lane, std::size_t index, Beside beside, std::size_t model,
               LaneSamples& samples) {
  Surroundings around;
  around.promotes = beside == Beside::kAtOnce;
  if (beside == Beside::kInTurn) {
    around.begin = [&] { session.take_turn(index); };
    around.end = [&] { session.pass_turn(); };
  }
  const bool alone = beside == Beside::kNothing, cpu = lane.device().is_cpu();
  if (alone) session.take_turn(index);
  if (cpu && beside != Beside::kAtOnce) {
    LaneSamples thrown_away;
    lane.run(model, around, thrown_away);
  }
  lane.run(model, around, samples);
  if (!alone) return;
  if (cpu) lane.run_whole(model, around, samples);
  session.pass_turn();
}

void run_models(Session& session, Lane& lane, std::size_t index, std::size_t lanes, Beside beside,
                LaneSamples& kept) {
  std::size_t model = beside == Beside::kAtOnce ? index * lane.models() / lanes : 0;
  while (!session.stopped()) {
    LaneSamples samples;
    run_model(session, lane, index, beside, model, samples);
    if (session.next(index)) append(kept, samples);
    model = (model + 1) % lane.models();
  }
}

/// When all lanes before it have, while the others do what they do.
void copy(Session& session, Lane& lane, std::size_t index, std::size_t lanes, Beside beside,
          LaneSamples& kept) {
  const auto go_on_until = [&](std::size_t copied) {
    Surroundings around;
    around.promotes = true;
    LaneSamples thrown_away;
    for (std::size_t m = index; !session.may_copy(copied); ++m) {
      lane.run(m % lane.models(), around, thrown_away);
    }
  };
  if (beside == Beside::kAtOnce) {
    go_on_until(index);
  } else {
    session.wait_to_copy(index);
  }
  lane.run_copies(kept);
  session.has_copied();
  if (beside == Beside::kAtOnce) go_on_until(lanes);
}

void run_lane(Session& session, Lane& lane, std::size_t index, std::size_t lanes, Beside beside,
              LaneSamples& kept) {
  bool entered = false;
  try {
    lane.enter();
    entered = true;
    session.start();
    run_models(session, lane, index, lanes, beside, kept);
    if (beside != Beside::kInTurn) copy(session, lane, index, lanes, beside, kept);
  } catch (...) {
    session.stop(std::current_exception());
    if (!entered) session.drop();
  }
}

}  // namespace

void run_round(const std::vector<Lane*>& lanes, Beside beside, LaneSamples& kept,
               const std::function<void()>& tick) {
  Session session(lanes.size(), lanes.front()->models());
  std::vector<LaneSamples> samples(lanes.size());
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    lanes[i]->worker().start(
        [&, i] { run_lane(session, *lanes[i], i, lanes.size(), beside, samples[i]); });
  }
  try {
    session.watch(tick);
  } catch (...) {
    session.stop(std::current_exception());
  }
  for (Lane* lane : lanes) lane->worker().wait();
  if (session.error()) std::rethrow_exception(session.error());
  for (const LaneSamples& lane : samples) append(kept, lane);
}

}  // namespace shardlab
