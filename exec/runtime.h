#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "core/cluster.h"
#include "exec/lanes.h"
#include "exec/task_thread.h"
#include "exec/watch.h"
#include "exec/work.h"
#include "sched/backend.h"
#include "sched/driver.h"
#include "sched/link.h"

namespace shardlab {

/// The backend whose clock is the wall's. One thread per device computes: it does what the Driver
/// ordered, then takes the lock and runs the Driver itself, so there is no driver thread and no
/// hand-off. A device with copy engines has a thread for each, which copies in the order of the
/// requests. One thread makes optimizer steps on the host, one after another. One more ends the
/// copies that paced links delay and wakes the Driver when jobs arrive; it sleeps until then.
class Runtime final : public Backend {
 public:
  /// Called under the lock; each may be empty.
  struct Observer {
    /// After each unit: what ran and what it gave.
    std::function<void(const UnitRun&, const Work::Pass&)> unit;
    /// A job ends before its time; see Backend::stopped().
    std::function<void(JobId, const std::string& reason)> stopped;
    /// A job went back to the border after so many minibatches.
    std::function<void(JobId, std::int64_t minibatches)> went_back;
    /// A device was lost, and why.
    std::function<void(DeviceId, const std::string& reason)> lost;
    /// A job was not kept at the border after so many minibatches, and why; it goes on.
    std::function<void(JobId, std::int64_t minibatches, const std::string& reason)> not_kept;
    /// The run was told to stop, and jobs come to their borders.
    std::function<void()> stopping;
  };

  /// Requires: the references outlive the Runtime. Throws Error where the system gives no threads.
  Runtime(const Cluster& cluster, Work& work, Observer observer, Watch watch = {});
  /// Waits for all threads: see close().
  ~Runtime() override;
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Runs the plan behind `driver` to its end. `stop`, once true, interrupts it: when what runs and
  /// moves has ended or, `at_borders`, when each job has come to its next border, as far as the
  /// policy lets it. Rethrows the first failure that is not one job's alone; throws Error when
  /// nothing can run any more although jobs are left.
  Outcome run(Driver& driver, const std::atomic<bool>* stop, bool at_borders = false);

  /// A device does not answer, whoever finds that: it is lost. Any thread, during run().
  void take_out(DeviceId device, const std::string& reason);

  /// Has the thread that writes to disk do this, after what it was told before. Any thread.
  void save_soon(std::function<void()> task) { saver_->add(std::move(task)); }

  /// Jobs that are still on their way to disk, if any are after that time. After run().
  [[nodiscard]] std::vector<JobId> still_saving(Duration patience);

  /// Ends the threads. Returns false where one of a lost device has not ended after `grace`: then
  /// the Runtime and the Work must never be destroyed.
  [[nodiscard]] bool close(Duration grace);

  [[nodiscard]] Instant now() const override;
  void start_unit(const UnitRun& run) override;
  void start_link(const Transfer& transfer) override;
  void start_lane_copy(const Transfer& transfer) override;
  void wake_at(Instant instant) override;
  void dropped(JobId job, ItemIndex item, DeviceId from) override;
  bool snapshot(JobId job, std::int64_t minibatches) override;
  bool restore(JobId job, std::int64_t minibatches) override;
  void settled(JobId job, std::int64_t minibatches) override;
  void stopped(JobId job, std::string_view reason) override;
  /// What has been reported since the last call; never blocks. Requires the lock.
  std::span<const Event> wait() override;

 private:
  /// How often a run looks whether it shall stop, and whether all is within its time. Only the main
  /// thread wakes for it.
  static constexpr std::chrono::milliseconds kPoll{50};

  void start_threads();
  void start_engine(std::size_t link);
  void join_threads();
  bool prepare_all(std::unique_lock<std::mutex>& lock, const std::atomic<bool>* stop);
  void give_up_preparing();
  /// Of the device's threads: whether `holds` of each.
  template <typename Holds>
  [[nodiscard]] bool every_thread(std::size_t device, const Holds& holds) const {
    bool all = holds(lanes_[device]);
    for (std::size_t link = device; all && link < engines_.size(); link += lanes_.size()) {
      all = !engines_[link].thread.joinable() || holds(engines_[link]);
    }
    return all;
  }
  template <typename Server, typename DoWork>
  void serve(Server& server, std::size_t device, Work::Engine engine, const DoWork& work);
  void serve_lane(std::size_t device);
  template <typename Server>
  void prepare(Server& server, std::size_t device, Work::Engine engine,
               std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool all_prepared() const;
  void carry_out(const ComputeLane::Order& order, std::unique_lock<std::mutex>& lock);
  void run_unit(const UnitRun& run, std::unique_lock<std::mutex>& lock);
  void copy(const Transfer& transfer, std::unique_lock<std::mutex>& lock);
  void report_passed(const Transfer& transfer, Instant from, Instant to);
  void step(const Transfer& transfer, Instant from, Instant to);
  void serve_links();
  void serve_engine(std::size_t link);
  bool copy_next(std::size_t link, std::unique_lock<std::mutex>& lock);
  /// Who failed at a copy, and why; an empty text: nobody.
  struct CopyFailure {
    std::size_t device = 0;
    std::string text = {};
  };
  CopyFailure try_to_copy(const Transfer& transfer, std::size_t device);
  void give(std::size_t device, const ComputeLane::Order& order);
  [[nodiscard]] LaneTask task(Duration estimate) const;
  [[nodiscard]] Duration estimate(const Transfer& transfer) const;
  void report_failure(const UnitRun& run, Instant from, const std::exception_ptr& failure);
  void report_failed_step(const Transfer& transfer, const std::exception_ptr& failure);
  bool may_retry(const UnitRun& run);
  void check_watch();
  void excuse(Instant instant);
  template <typename Look>
  void each_task(const Look& look);
  [[nodiscard]] Instant watch_time() const { return watch_.clock ? watch_.clock() : now(); }
  void lose(std::size_t device, const std::string& reason);
  [[nodiscard]] std::string no_device_left() const;
  [[nodiscard]] bool ended() const;
  void keep(JobId job, std::int64_t minibatches);
  void put_back(JobId job, std::int64_t minibatches);
  void save(JobId job);
  void save_settled(JobId job, std::int64_t minibatches);
  [[nodiscard]] TaskThread::Failed fails();
  void turn();
  void stop(bool at_borders);
  void fail(std::exception_ptr failure);
  [[nodiscard]] bool at_rest() const;
  [[nodiscard]] bool over() const {
    return failure_ != nullptr || (driver_ != nullptr && driver_->finished());
  }

  std::chrono::steady_clock::time_point start_;  ///< Of the clock: when all threads were prepared.
  const Cluster& cluster_;
  Work& work_;
  Observer observer_;
  Watch watch_;
  Instant looked_{};  ///< When check_watch() looked last.
  mutable std::mutex mutex_;
  std::vector<ComputeLane> lanes_;
  std::vector<Link> links_;          ///< By link_index().
  std::vector<CopyEngine> engines_;  ///< Likewise; those without a thread are not used.
  std::vector<Passing> passing_;
  std::condition_variable passing_changed_;
  Instant wake_ = kNever;
  std::condition_variable over_changed_;
  std::thread link_thread_;
  Driver* driver_ = nullptr;
  std::vector<Event> reported_, delivered_;
  std::deque<std::string> failures_;  ///< What reported failures refer to.
  std::exception_ptr failure_;
  std::vector<std::string> lost_;  ///< By device: why; empty while it is there.
  /// Job, unit and minibatch of what found no memory.
  std::set<std::tuple<JobId, std::uint32_t, std::int64_t>> retried_;
  std::condition_variable thread_ended_;
  bool quit_ = false;
  bool stopping_ = false;   ///< Jobs come to their borders.
  std::set<JobId> saving_;  ///< What was kept of them is not on disk yet.
  std::set<JobId> ended_;   ///< The same of what they ended with.
  std::size_t keeping_ = 0;
  std::set<JobId> step_failed_;        ///< No further step of these is tried.
  const char* failed_step_ = nullptr;  ///< The reason of the last one reported.
  std::size_t stepping_ = 0;  ///< Gradients that the host steps with, or that wait for that.
  /// One writes to disk; one copies in memory, so that no job waits at its border for the disk.
  std::optional<TaskThread> saver_, keeper_;
  std::optional<TaskThread> stepper_;  ///< Steps on the host.
};

/// Throws Error where a device's link is paced, by its own rate or by a parent alone, and shares a
/// parent: nothing here divides a bandwidth.
void refuse_shared_pacing(const Cluster& cluster);

}  // namespace shardlab
