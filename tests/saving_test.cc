// How jobs are kept and written to disk beside the lanes; without LibTorch, so that ThreadSanitizer
// can watch.
#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/execution.h"
#include "exec/host_need.h"
#include "exec/task_thread.h"
#include "policies/registry.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/mixing_work.h"

namespace shardlab {
namespace {

TEST(TaskThread, TellsWhatATaskThrowsAndGoesOn) {
  std::vector<std::string> told;
  {
    TaskThread thread([&](const std::exception_ptr& failure) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        told.emplace_back(error.what());
      }
    });
    thread.add([] { throw Error("made to fail"); });
    thread.add([&] { told.emplace_back("the next"); });
  }
  EXPECT_EQ(told, (std::vector<std::string>{"made to fail", "the next"}));
}

TEST(TaskThread, IsDoneWhenNothingIsLeft) {
  std::mutex gate;
  TaskThread thread([](const std::exception_ptr&) {});
  EXPECT_TRUE(thread.done_within({}));
  {
    const std::lock_guard shut(gate);
    thread.add([&] { const std::lock_guard open(gate); });
    EXPECT_FALSE(thread.done_within({}));
  }
  EXPECT_TRUE(thread.done_within(std::chrono::hours(1)));
}

/// Work that finds no memory to keep the first job, or whose disk stands still
/// until release().
class SavingWork final : public MixingWork {
 public:
  using MixingWork::MixingWork;

  void keep(JobId job, std::int64_t minibatches) override {
    if (job == JobId{0}) throw std::bad_alloc();
    MixingWork::keep(job, minibatches);
  }
  void save(JobId job) override { note(job); }
  void save_settled(JobId job, std::int64_t) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !stands_still; });
    lock.unlock();
    note(job);
  }
  void release() {
    const std::lock_guard lock(mutex_);
    stands_still = false;
    changed_.notify_all();
  }
  bool stands_still = false;
  std::vector<JobId> saved;  ///< To be read when the run has ended.

 private:
  void note(JobId job) {
    const std::lock_guard lock(mutex_);
    saved.push_back(job);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// What was said, of a run that keeps its jobs at every border.
std::vector<std::string> notices_of(const Drawn& drawn, const std::shared_ptr<SavingWork>& work) {
  const auto policy = make_policy("fifo", drawn.program.jobs.size(), 1);
  std::vector<std::string> notices;
  std::mutex mutex;
  RunOptions options;
  options.notice = [&](const std::string& text) {
    const std::lock_guard lock(mutex);
    notices.push_back(text);
    if (text.starts_with("waiting for the disk: ")) work->release();
  };
  Observer observer(drawn.program, options);
  const RunResult result = execute(drawn.program, drawn.cluster, *policy, work, observer, options);
  for (const JobEnd& end : result.outcome.jobs) EXPECT_TRUE(end.completed) << end.reason;
  for (std::size_t j = 0; j < drawn.program.jobs.size(); ++j) {
    EXPECT_EQ(work->result(j), alone(drawn.program, j)) << "job " << j;
  }
  return notices;
}

TEST(Saving, AJobThatFindsNoMemoryToBeKeptGoesOnAndNothingOfItIsSaved) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Drawn drawn = draw(seed);
    drawn.program.checkpoints.minibatches = 1;
    const auto work = std::make_shared<SavingWork>(drawn.program, drawn.cluster.devices.size());
    const auto notices = notices_of(drawn, work);
    ASSERT_EQ(notices.size(), 3U) << "at each border within 4 minibatches";
    EXPECT_EQ(notices[0], drawn.program.jobs[0].name +
                              ": no snapshot of minibatch 1, training goes on: std::bad_alloc");
    EXPECT_EQ(std::ranges::count(work->saved, JobId{0}), 1) << "its end";
  }
}

// The notice lets the disk go on: without it this would wait for ever.
TEST(Saving, ADiskThatStandsStillAfterTheLastJobIsSaid) {
  const Drawn drawn = draw(3);
  const auto work = std::make_shared<SavingWork>(drawn.program, drawn.cluster.devices.size());
  work->stands_still = true;
  const auto notices = notices_of(drawn, work);
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_NE(notices[0].find(drawn.program.jobs[0].name), std::string::npos) << notices[0];
  EXPECT_EQ(work->saved.size(), drawn.program.jobs.size());
}

TEST(HostNeed, CountsEveryArrayThatARunMakes) {
  JobProgram job;
  job.items = {{ItemKind::kParameters, 0, 100, true, kNoDevice},
               {ItemKind::kState, 0, 200, true, kNoDevice},
               {ItemKind::kActivation, 0, 7, false, kNoDevice},
               {ItemKind::kWeightGradient, 0, 100, false, kNoDevice},
               {ItemKind::kGraph, 0, 1000, false, kNoDevice}};
  Program program;
  program.jobs = {job, job};
  HostNeed need = host_need(program, false);
  EXPECT_EQ(need.current, 2 * 307) << "weight gradients and graphs stay on their devices";
  EXPECT_EQ(need.second, 2 * 300);
  EXPECT_EQ(need.snapshots, 0);
  EXPECT_EQ(host_need(program, true).snapshots, 2 * 300);
  program.jobs[1].host_step = {Duration{1}};
  program.jobs[1].items[0].host_steps = true;
  need = host_need(program, false);
  EXPECT_EQ(need.second, 300 + 100) << "the host steps in place";
  program.jobs[1].tracks = {{0, 0}};  // And is not held: its replicas gather.
  EXPECT_EQ(host_need(program, false).current, 307 + 407);

  Cluster cluster;
  cluster.host_memory = 2 * 907;
  program.jobs = {job, job};
  EXPECT_EQ(error_of([&] { refuse_too_little_host(program, cluster, true); }), "no error");
  cluster.host_memory -= 1;
  EXPECT_EQ(error_of([&] { refuse_too_little_host(program, cluster, true); }),
            "the run needs 1.8 KiB (1814 bytes) of host memory, the cluster's host_memory is 1.8 "
            "KiB (1813 bytes): 614 B for parameters, state and activations, 600 B for the next "
            "versions of parameters and state, 600 B for snapshots (none with --checkpoint-every "
            "never); run fewer jobs at once");
}

}  // namespace
}  // namespace shardlab
