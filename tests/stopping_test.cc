// A run that is asked to stop, and one that goes on from what it left; without LibTorch, so that
// ThreadSanitizer can watch.
#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "exec/execution.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "policies/tuners.h"
#include "tests/error_of.h"
#include "tests/mixing_work.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

/// A job on disk.
struct Saved {
  std::int64_t minibatches = 0;
  std::vector<std::uint64_t> state;
};

/// Work that keeps all that it saves.
class SavingWork final : public MixingWork {
 public:
  SavingWork(const Program& program, std::size_t devices)
      : MixingWork(program, devices), saved(program.jobs.size()), minibatches_(saved.size()) {}

  /// Goes on from there.
  void set(std::size_t job, const Saved& from) { begin_with(job, from.state); }

  void keep(JobId job, std::int64_t minibatches) override {
    MixingWork::keep(job, minibatches);
    minibatches_[index(job)] = minibatches;
  }
  void save(JobId job) override { add(job, {minibatches_[index(job)], kept(index(job))}); }
  void save_settled(JobId job, std::int64_t minibatches) override {
    add(job, {minibatches, result(index(job))});
  }

  std::vector<std::vector<Saved>> saved;  ///< Per job, in that order. To be read after the run.

 private:
  void add(JobId job, Saved state) { saved[index(job)].push_back(std::move(state)); }

  std::vector<std::int64_t> minibatches_;
};

Workload searched(const Program& program, StopMethod method) {
  Workload workload;
  workload.jobs.resize(program.jobs.size());
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    workload.jobs[j].minibatches = program.jobs[j].minibatches;
    workload.jobs[j].done = program.jobs[j].done;
  }
  workload.early_stop = EarlyStop{method, 2, 1, 4, "", {}, 1};
  return workload;
}

struct Ran {
  RunResult result;
  std::vector<std::vector<Saved>> saved;
  std::vector<std::vector<std::uint64_t>> state;
};

using Order = std::vector<OrderedUnit>;

/// From `from` on, stopping after so many units; 0: to the end. Under an order where there is one.
Ran run(const Drawn& drawn, const std::vector<Saved>& from, const std::string& policy_name,
        std::int64_t units, Tuner* tuner, const Order& order = {}) {
  Program program = drawn.program;
  SavingWork work(program, drawn.cluster.devices.size());
  std::vector<Checkpoint> checkpoints(from.size());
  std::vector<const Checkpoint*> resume;
  for (std::size_t j = 0; j < from.size(); ++j) {
    program.jobs[j].done = from[j].minibatches;
    if (from[j].minibatches > 0) work.set(j, from[j]);
    resume.push_back(&checkpoints[j]);
  }
  auto policy = make_policy(policy_name, program, 1);
  if (!order.empty()) {
    policy = std::make_unique<Replay>(order, program, drawn.cluster.devices.size(),
                                      Replay::Times::kIgnored);
  }
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> left = units;
  std::mutex mutex;
  std::condition_variable changed;
  bool heard = false;  // The run has.
  work.on_unit = [&] {
    if (units == 0 || --left > 0) return;
    std::unique_lock lock(mutex);
    stop = true;
    changed.wait(lock, [&] { return heard; });
  };
  RunOptions options;
  options.tuner = tuner;
  options.resume = resume;
  options.stop = &stop;
  options.save = [](JobId, const Checkpoint&) {};
  options.notice = [&](const std::string&) {
    const std::lock_guard lock(mutex);
    heard = true;
    changed.notify_all();
  };
  Observer observer(program, options);
  Ran ran;
  ran.result =
      execute(program, drawn.cluster, *policy, {std::shared_ptr<void>(), &work}, observer, options);
  const bool fresh = std::ranges::all_of(from, [](const Saved& job) { return job.state.empty(); });
  if (fresh) expect_valid(ran.result.timeline, program);
  ran.saved = work.saved;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) ran.state.push_back(work.result(j));
  return ran;
}

/// No job is left in the midst of a minibatch, of which nothing would be on disk.
void expect_at_borders(const Ran& ran) {
  for (const UnitSpan& span : ran.result.timeline.units) {
    const std::int64_t border = ran.result.outcome.jobs[index(span.job)].minibatches;
    ASSERT_LT(span.minibatch, border) << "job " << index(span.job) << " unit " << span.unit;
  }
}

std::vector<std::uint64_t> alone_for(const Program& program, std::size_t j, std::int64_t n) {
  Program shorter = program;
  shorter.jobs[j].minibatches = n;
  return alone(shorter, j);
}

constexpr std::int64_t kMinibatches = 12;

Drawn draw_long(std::uint64_t seed) {
  Drawn drawn = draw(seed);
  for (JobProgram& job : drawn.program.jobs) job.minibatches = kMinibatches;
  drawn.program.checkpoints.minibatches = static_cast<std::int64_t>(seed % 4);
  return drawn;
}

TEST(Stopping, PutsEveryJobAwayAtABorderAndTheRestComesToTheSameEnd) {
  const auto policies = known_policies();
  int put_away = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(40); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw_long(seed);
    const std::string policy(policies[seed % policies.size()].name);
    const std::size_t jobs = drawn.program.jobs.size();
    std::vector<Saved> from(jobs);
    // By an order too: the units of others that it wants first may come no more.
    const Order order = seed / policies.size() % 2 == 0
                            ? Order{}
                            : order_of(run(drawn, from, policy, 0, nullptr).result.timeline);
    for (int times = 0; times < 2; ++times) {
      const auto units = static_cast<std::int64_t>(1 + (seed * 7 + 3) % 40);
      const Ran ran = run(drawn, from, policy, units, nullptr, order);
      expect_at_borders(ran);
      for (std::size_t j = 0; j < jobs; ++j) {
        const JobEnd& end = ran.result.outcome.jobs[j];
        EXPECT_EQ(end.completed, end.minibatches == kMinibatches);
        if (!ran.saved[j].empty()) from[j] = ran.saved[j].back();
        ASSERT_EQ(from[j].minibatches, end.minibatches) << "job " << j << ": what ran is saved";
        if (from[j].minibatches == 0) continue;
        ASSERT_EQ(from[j].state, alone_for(drawn.program, j, end.minibatches)) << "job " << j;
        put_away += end.completed ? 0 : 1;
      }
      const bool all = std::ranges::all_of(ran.result.outcome.jobs, &JobEnd::completed);
      EXPECT_EQ(ran.result.timeline.interrupted, !all);
    }
    const Ran rest = run(drawn, from, policy, 0, nullptr, order);
    for (std::size_t j = 0; j < jobs; ++j) {
      ASSERT_EQ(rest.state[j], alone(drawn.program, j)) << "job " << j;
    }
  }
  EXPECT_GT(put_away, 80);
}

// A kill: of each job some checkpoint is left, and the decisions that were on disk before it.
TEST(Stopping, ASearchGoesOnAfterItsDecisions) {
  constexpr std::array kMethods{StopMethod::kSuccessiveHalving, StopMethod::kAsha,
                                StopMethod::kHyperband};
  int resumed = 0, again = 0;
  for (std::uint64_t seed = 0; seed < instances::seeds(90); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const Drawn drawn = draw_long(seed);
    const std::size_t jobs = drawn.program.jobs.size();
    const StopMethod method = kMethods.at(seed / 3 % 3);
    const Workload workload = searched(drawn.program, method);
    std::vector<Decision> decisions;
    const auto note = [&](const Decision& decision) { decisions.push_back(decision); };
    const auto whole = make_recorded_tuner(workload, {}, {}, note);
    const Ran first = run(drawn, std::vector<Saved>(jobs), "lrtf",
                          static_cast<std::int64_t>(1 + seed * 13 % 150), whole.get());
    instances::Draw pick(seed);
    if (pick(2) == 0) decisions.resize(pick(static_cast<int>(decisions.size()) + 1));
    const auto known = make_recorded_tuner(workload, {}, decisions);
    std::vector<Saved> from(jobs);
    for (std::size_t j = 0; j < jobs; ++j) {
      for (const Saved& each : first.saved[j]) {
        const bool may = each.minibatches <= known->most(job_id(j));
        if (may && pick(4) > 0) from[j] = each;
      }
      resumed += from[j].minibatches > 0 ? 1 : 0;
    }
    Program program = drawn.program;
    for (std::size_t j = 0; j < jobs; ++j) program.jobs[j].done = from[j].minibatches;
    const Workload rest_of = searched(program, method);
    const std::vector<Decision> before = decisions;
    const auto tuner = make_recorded_tuner(rest_of, {}, before, note);
    const Ran rest = run(drawn, from, "fifo", 0, tuner.get());
    EXPECT_FALSE(rest.result.timeline.interrupted);
    const auto undisturbed = make_tuner(workload);
    const Ran plain = run(drawn, std::vector<Saved>(jobs), "lrtf", 0, undisturbed.get());
    for (std::size_t j = 0; j < jobs; ++j) {
      const JobEnd& end = rest.result.outcome.jobs[j];
      ASSERT_EQ(rest.state[j], alone_for(drawn.program, j, end.minibatches)) << "job " << j;
      EXPECT_EQ(end.stopped_early, !end.completed);
      if (method == StopMethod::kAsha) continue;  // Whose decisions depend on who comes first.
      EXPECT_EQ(end.minibatches, plain.result.outcome.jobs[j].minibatches) << "job " << j;
      EXPECT_EQ(end.reason, plain.result.outcome.jobs[j].reason);
    }
    // What was decided in all of it is one search.
    again += static_cast<int>(decisions.size() - before.size());
    EXPECT_NO_THROW(make_recorded_tuner(workload, {}, decisions));
  }
  EXPECT_GT(resumed, 100);
  EXPECT_GT(again, 30);
}

TEST(Stopping, DecisionsOfAnotherSearchAreRefused) {
  const Program program = draw_long(5).program;
  const Workload workload = searched(program, StopMethod::kSuccessiveHalving);
  Decision lies;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    lies.told.push_back({job_id(j), 1, static_cast<double>(j)});
    lies.verdicts.push_back({job_id(j), true});
  }
  EXPECT_EQ(error_of([&] { make_recorded_tuner(workload, {}, {lies}); }),
            "decision 0 comes out otherwise now: the search is another one, or this version's; "
            "begin anew in another folder");
}

}  // namespace
}  // namespace shardlab
