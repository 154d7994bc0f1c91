#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "exec/executor.h"
#include "policies/group_plan.h"
#include "policies/registry.h"
#include "sched/limits.h"
#include "sched/lower.h"
#include "tests/plain_training.h"
#include "tests/small_jobs.h"
#include "tests/timeline_check.h"

/// Jobs of any strategies, trained on CPU lanes or accelerators, and held against plain gradient
/// accumulation.
namespace shardlab {

/// Batches that parts of 1, 2, 4 and 8 divide.
/// Eight parts divide their batches; a batch norm wants two sequences in each.
inline Workload jobs_of_eight() {
  Workload work = small_jobs();
  for (Job& job : work.jobs) job.batch = job.model.batch_norm ? 16 : 8;
  return work;
}

/// With entries for every part of the batch; `host_step` of each layer.
inline Profile profile_of_parts(const Workload& work, Duration host_step = Duration{1000}) {
  Profile profile;
  for (const int parts : {1, 2, 4, 8}) {
    Workload smaller = work;
    for (Job& job : smaller.jobs) job.batch /= parts;
    for (ModelProfile& entry : rough_profile(smaller).models) {
      for (LayerCost& layer : entry.layers) {
        layer.forward_workspace = layer.backward_workspace = layer.saved = Bytes{512} << 10;
        layer.host_step = Measured{host_step, {}, 1};
      }
      profile.models.push_back(std::move(entry));
    }
  }
  return profile;
}

struct DistributedSetting {
  std::vector<std::string> strategies;  ///< Of the jobs, in turn.
  std::size_t devices = 2;
  int slots = 1;
  bool recompute = true;
  unsigned keeping = 0;  ///< Not 0: instead, bound shard s keeps its graph where bit s is set.
  std::string policy = "lrtf";
  LinkSpec link = {};
  bool peers = false;
  std::string kind = "cpu";
  int copy_engines = 0;
  bool one_device = false;  ///< All are lanes of it.
  double room = 1;          ///< Budgets, of what the jobs need at least.
  CheckpointRule checkpoints = {};
  std::vector<StepPlace> steps = {StepPlace::kDevice};  ///< Of jobs of one track, in turn.
  Duration host_step{1000};
};

struct Trained {
  RunResult result;
  std::vector<JobPlan> plans;
  std::vector<bool> on_host;  ///< Per job: some shard stepped there.
};

/// Of two shards.
inline JobPlan chain(Strategy strategy, bool recompute) {
  if (strategy == Strategy::kSpill) return {strategy, {0, 2}, {}};
  if (strategy == Strategy::kResident) return {strategy, {0}, {}, recompute};
  return {strategy, {0, 2}, {device_id(0), device_id(1)}, recompute};
}

/// Requires of `options.resume` that the jobs say the same.
inline Trained train(const Workload& work, const DistributedSetting& setting,
                     RunOptions options = {}) {
  Cluster cluster;
  for (std::size_t d = 0; d < setting.devices; ++d) {
    DeviceSpec device{"device" + std::to_string(d), setting.kind, kUnlimited, 1,
                      setting.copy_engines,         setting.link};
    device.ordinal = setting.one_device ? 0 : static_cast<int>(d);
    if (setting.peers) device.peer = LinkSpec{Duration{1000}, 20e9};
    cluster.devices.push_back(device);
  }
  const Profile profile = profile_of_parts(work, setting.host_step);
  Plan plan;
  plan.slots = setting.slots;
  std::vector<std::vector<int>> first_layers;
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    const StrategyChoice choice =
        parse_strategy_choice(setting.strategies[j % setting.strategies.size()]);
    const bool recompute = setting.recompute || choice.strategy == Strategy::kZeroOffload;
    plan.jobs.push_back(is_chain(choice.strategy, choice.replicas)
                            ? chain(choice.strategy, recompute)
                            : plan_on_group(work.jobs[j], j, cluster, profile, choice, recompute));
    JobPlan& laid_out = plan.jobs.back();
    laid_out.step = is_chain(choice.strategy, choice.replicas)
                        ? setting.steps[j % setting.steps.size()]
                        : StepPlace::kDevice;
    for (int s = 0; s < laid_out.shards() && setting.keeping != 0 && binds(laid_out.strategy);
         ++s) {
      laid_out.recompute_shard.push_back((setting.keeping >> s & 1U) == 0);
    }
    first_layers.push_back(laid_out.first_layer);
  }
  Program program = lower(work, cluster, profile, plan);
  program.checkpoints = setting.checkpoints;
  std::vector<Bytes> budget(setting.devices);
  const std::vector<Bytes> free = headroom(program.jobs, setting.devices);
  for (std::size_t d = 0; d < setting.devices; ++d) {
    for (const JobProgram& job : program.jobs) {
      if (job.held) budget[d] = std::max(budget[d], job.resident ? job.peak[0] : job.peak[d]);
    }
    cluster.devices[d].memory =
        static_cast<Bytes>(setting.room * static_cast<double>(budget[d] + free[d]));
  }
  const auto policy = make_policy(setting.policy, track_count(program), 1);
  options.keep_weights = true;
  Trained trained{run(work, cluster, program, first_layers, *policy, options), plan.jobs, {}};
  for (const JobProgram& job : program.jobs) trained.on_host.push_back(!job.host_step.empty());
  const Outcome& outcome = trained.result.outcome;
  const bool as_planned =
      options.resume.empty() && outcome.redone == 0 && outcome.devices_lost == 0;
  if (as_planned) expect_valid(trained.result.timeline, program);
  for (std::size_t d = 0; d < setting.devices && !setting.one_device; ++d) {
    EXPECT_LE(trained.result.timeline.peak[d], cluster.devices[d].memory);
  }
  return trained;
}

/// One job alone in a plain loop, made once.
inline const PlainResult& plain(const Workload& work, std::size_t j, const JobPlan& plan,
                                const std::string& kind = "cpu", bool host_steps = false) {
  static std::map<std::tuple<std::size_t, int, int, std::string, bool>, PlainResult> known;
  const auto key = std::tuple{j, plan.microbatches, plan.replicas, kind, host_steps};
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  at::set_num_threads(1);
  const TextData text = TextData::load(text_file());
  const c10::Device device(kind == "cpu" ? kind : kind + ":0");
  PlainTraining training(work.jobs[j], text, device, plan.microbatches, plan.replicas, host_steps);
  return known.emplace(key, training.run()).first->second;
}

inline void expect_plain(const Workload& work, std::size_t j, const Trained& trained,
                         const std::string& kind) {
  const TrainedJob& job = trained.result.jobs[j];
  const PlainResult& alone = plain(work, j, trained.plans[j], kind, trained.on_host[j]);
  EXPECT_EQ(job.losses, alone.losses) << "job " << j;
  EXPECT_TRUE((PlainResult{job.losses, job.parameters}) == alone) << "job " << j;
}

inline void expect_plain(const Workload& work, const Trained& trained,
                         const std::string& kind = "cpu") {
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    const JobEnd& end = trained.result.outcome.jobs[j];
    ASSERT_TRUE(end.completed) << end.reason;
    expect_plain(work, j, trained, kind);
  }
}

/// Where devices were lost: how many jobs the others had no room for.
inline int expect_plain_if_completed(const Workload& work, const Trained& trained,
                                     const std::string& kind) {
  int stopped = 0;
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    const JobEnd& end = trained.result.outcome.jobs[j];
    if (end.completed) {
      expect_plain(work, j, trained, kind);
    } else {
      EXPECT_EQ(end.reason, kNoRoomLeft);
      ++stopped;
    }
  }
  return stopped;
}

}  // namespace shardlab
