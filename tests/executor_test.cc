#include "exec/executor.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "policies/losses.h"
#include "policies/registry.h"
#include "policies/tuners.h"
#include "sched/lower.h"
#include "sched/shard_cost.h"
#include "tests/error_of.h"
#include "tests/instances.h"
#include "tests/plain_training.h"
#include "tests/small_jobs.h"
#include "tests/timeline_check.h"

namespace shardlab {
namespace {

Cluster cpu_devices(std::size_t count, Bytes memory, LinkSpec link = {}) {
  Cluster cluster;
  for (std::size_t d = 0; d < count; ++d) {
    cluster.devices.push_back({"cpu" + std::to_string(d), "cpu", memory, 1, 0, link});
  }
  return cluster;
}

struct Setting {
  Strategy strategy = Strategy::kSpill;
  std::string policy = "lrtf";
  std::size_t devices = 2;
  int slots = 1;
  int layers_per_shard = 2;
  bool recompute = true;
  int admit = 0;
  LinkSpec link = {};
  Bytes memory = kUnlimited;  ///< kUnlimited: just what the largest units need.
};

RunResult train(const Workload& work, const Setting& setting, const RunOptions& options = {}) {
  const auto first =
      cut(work, setting.strategy == Strategy::kResident ? 99 : setting.layers_per_shard);
  Plan plan;
  plan.slots = setting.slots;
  plan.admit = setting.admit;
  for (const auto& layers : first) {
    JobPlan job{setting.strategy, layers, {}, setting.recompute};
    for (std::size_t s = 0; setting.strategy == Strategy::kModelParallel && s < layers.size();
         ++s) {
      job.device.push_back(device_id(s * setting.devices / layers.size()));
    }
    plan.jobs.push_back(job);
  }
  Cluster cluster = cpu_devices(setting.devices, setting.memory, setting.link);
  const Program program = lower(work, cluster, rough_profile(work), plan);
  if (setting.memory == kUnlimited) {
    for (DeviceSpec& device : cluster.devices) device.memory = instances::tight_budget(program);
  }
  const auto policy = make_policy(setting.policy, work.jobs.size(), 1);
  RunOptions with_weights = options;
  with_weights.keep_weights = true;
  RunResult result = run(work, cluster, program, first, *policy, with_weights);
  expect_valid(result.timeline, program);
  return result;
}

const std::vector<PlainResult>& reference() {
  static const std::vector<PlainResult> kResults = [] {
    at::set_num_threads(1);
    const TextData text = TextData::load(text_file());
    std::vector<PlainResult> all;
    for (const Job& job : small_jobs().jobs) all.push_back(PlainTraining(job, text).run());
    return all;
  }();
  return kResults;
}

void expect_identical(const RunResult& result) {
  for (std::size_t j = 0; j < result.jobs.size(); ++j) {
    EXPECT_TRUE(result.outcome.jobs[j].completed) << result.outcome.jobs[j].reason;
    const PlainResult trained{result.jobs[j].losses, result.jobs[j].parameters};
    EXPECT_TRUE(trained == reference()[j]) << "job " << j;
  }
}

void PrintTo(const Setting&, std::ostream* out) { *out << "see the name"; }

class BitIdentity : public testing::TestWithParam<Setting> {};

TEST_P(BitIdentity, WeightsAndLossesAreThoseOfPlainTraining) {
  expect_identical(train(small_jobs(), GetParam()));
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const PolicyInfo& policy : known_policies()) {
    for (const std::size_t devices : {1u, 2u, 4u}) {
      for (const int slots : {1, 2}) {
        for (const int layers : {1, 3}) {
          for (const Strategy strategy : {Strategy::kSpill, Strategy::kModelParallel}) {
            all.push_back({strategy, std::string(policy.name), devices, slots, layers});
          }
        }
      }
    }
  }
  const LinkSpec link{Duration{20'000}, 2e9};
  all.push_back({Strategy::kSpill, "lrtf", 2, 2, 2, true, 0, link});
  all.push_back({Strategy::kSpill, "fifo", 4, 3, 1, true, 2, link});
  for (const int slots : {1, 2}) {
    all.push_back({Strategy::kModelParallel, "lrtf", 2, slots, 2, true, 1, link});
    all.push_back({Strategy::kModelParallel, "fifo", 2, slots, 2, false, 1, link});
    all.push_back({Strategy::kModelParallel, "fifo", 2, slots, 1, false, 0});
    all.push_back({Strategy::kResident, "lrtf", 2, slots, 99});
    for (const std::size_t devices : {1u, 4u}) {
      all.push_back({Strategy::kModelParallel, "round_robin", devices, slots, 1, true, 2});
      all.push_back({Strategy::kModelParallel, "random", devices, slots, 2, false, 1});
    }
  }
  return all;
}

std::string name(const Setting& s) {
  return to_string(s.strategy) + "_" + s.policy + "_devices" + std::to_string(s.devices) +
         "_slots" + std::to_string(s.slots) + "_layers" + std::to_string(s.layers_per_shard) +
         (s.recompute ? "" : "_kept") + (s.link.paced() ? "_paced" : "") + "_admit" +
         std::to_string(s.admit);
}

INSTANTIATE_TEST_SUITE_P(Executor, BitIdentity, testing::ValuesIn(settings()),
                         [](const auto& info) { return name(info.param); });

TEST(Executor, MeasuredPeakStaysInABudgetFourTimesSmallerThanTheModels) {
  Workload work = small_jobs();
  work.jobs = {small_job("deep", Architecture::kMlp, {30, 256, 1, 8}),
               small_job("deeper", Architecture::kMlp, {38, 256, 1, 8})};
  train_by(work.jobs[0], {}, 4, 2, 1);
  train_by(work.jobs[1], {}, 4, 2, 2);
  Bytes smallest_model = kUnlimited;
  for (const ModelProfile& model : rough_profile(work).models) {
    const ShardCost whole = shard_cost(model, 0, static_cast<int>(model.layers.size()));
    smallest_model = std::min(smallest_model, 2 * whole.parameters + whole.state);
  }
  Setting setting;
  setting.slots = 2;
  setting.layers_per_shard = 1;
  setting.memory = smallest_model / 4;
  const RunResult result = train(work, setting);
  for (const JobEnd& end : result.outcome.jobs) EXPECT_TRUE(end.completed) << end.reason;
  for (std::size_t d = 0; d < 2; ++d) {
    EXPECT_LE(result.timeline.peak[d], setting.memory);
    EXPECT_LE(result.outcome.peak[d], setting.memory);
    EXPECT_GT(result.timeline.peak[d], 0);
  }
}

TEST(Executor, ADivergingJobStopsAloneAndSaysWhy) {
  Workload work = small_jobs();
  work.jobs[1].optimizer.learning_rate = 1e30;
  const RunResult result = train(work, {});
  EXPECT_FALSE(result.outcome.jobs[1].completed);
  EXPECT_NE(result.outcome.jobs[1].reason.find("the loss is"), std::string::npos)
      << result.outcome.jobs[1].reason;
  for (const std::size_t other : {0u, 2u, 3u}) {
    EXPECT_TRUE(result.outcome.jobs[other].completed);
    EXPECT_EQ(result.jobs[other].losses, reference()[other].losses);
  }
}

/// Eight jobs that differ in their learning rate, of which successive halving keeps a half after 1,
/// 2 and 4 minibatches.
Workload search() {
  Workload work;
  for (int j = 0; j < 8; ++j) {
    Job job = small_jobs().jobs.front();
    job.name = "lr-" + std::to_string(j);
    job.minibatches = 6;
    job.optimizer.learning_rate = 1e-5 * std::pow(3.0, j);
    work.jobs.push_back(job);
  }
  work.early_stop = EarlyStop{StopMethod::kSuccessiveHalving, 2, 1, 6, "", {}, 1};
  return work;
}

TEST(Executor, ATunerJudgesByMeasuredLossesAndPausedJobsLoseNothing) {
  const Workload work = search();
  const TextData text = TextData::load(text_file());
  std::vector<PlainResult> plain;
  for (const Job& job : work.jobs) plain.push_back(PlainTraining(job, text).run());
  for (const int slots : {1, 2}) {
    MeasuredLosses losses(work.jobs.size());
    const auto tuner = make_tuner(
        work, [&](JobId job, std::int64_t minibatches) { return losses.after(job, minibatches); });
    RunOptions options;
    std::size_t told = 0;
    options.tuner = tuner.get();
    options.progress = [&](const RunProgress& now) {
      if (now.loss) losses.add(now.job, now.minibatch, *now.loss);
      if (now.tuned) told += now.jobs_ended;
    };
    const RunResult result = train(work, {.slots = slots}, options);
    std::vector<std::size_t> left{0, 1, 2, 3, 4, 5, 6, 7};
    for (const std::int64_t rung : {1, 2, 4}) {
      std::ranges::stable_sort(left, {},
                               [&](std::size_t j) { return losses.after(job_id(j), rung); });
      for (std::size_t i = left.size() / 2; i < left.size(); ++i) {
        EXPECT_EQ(result.outcome.jobs[left[i]].minibatches, rung) << "job " << left[i];
        EXPECT_FALSE(result.outcome.jobs[left[i]].completed);
      }
      left.resize(left.size() / 2);
    }
    EXPECT_TRUE(result.outcome.jobs[left.front()].completed);
    EXPECT_EQ(result.jobs[left.front()].parameters, plain[left.front()].weights);
    EXPECT_EQ(told, 1U + 2 + 3 + 4 + 5 + 6 + 7);
    for (std::size_t j = 0; j < plain.size(); ++j) {
      plain[j].losses.resize(6);
      const auto& measured = result.jobs[j].losses;
      EXPECT_EQ(static_cast<std::int64_t>(measured.size()), result.outcome.jobs[j].minibatches);
      EXPECT_TRUE(std::ranges::equal(measured, std::span(plain[j].losses).first(measured.size())));
    }
  }
}

TEST(Executor, StopsCleanlyWhenAsked) {
  Workload work = small_jobs();
  for (Job& job : work.jobs) job.minibatches = 1'000'000;
  std::atomic<bool> stop{false};
  RunOptions options;
  options.stop = &stop;
  options.progress = [&](const RunProgress& progress) {
    if (progress.minibatch >= 3) stop = true;
  };
  const RunResult result = train(work, {}, options);
  EXPECT_TRUE(result.timeline.interrupted);
  EXPECT_FALSE(result.timeline.units.empty());
  EXPECT_EQ(result.outcome.jobs[0].reason, "interrupted");
}

TEST(Executor, RefusesFrozenParametersNamingTheJob) {
  Workload work = small_jobs();
  work.jobs[1].frozen_layers = 1;
  EXPECT_EQ(error_of([&] { train(work, {}); }),
            work.jobs[1].name +
                ": frozen_layers: frozen parameters are simulated only so far; "
                "take the key out to train it all");
}

TEST(Executor, RefusesMissingDataNamingTheJob) {
  Workload work = small_jobs();
  work.jobs[2].data = "/nowhere/at/all.txt";
  try {
    train(work, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("mlp: "), 0u) << error.what();
  }
}

}  // namespace
}  // namespace shardlab
