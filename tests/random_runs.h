#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "tests/distributed.h"
#include "tests/instances.h"

/// Random mixtures of strategies, policies, budgets and clusters, and runs that are killed.
namespace shardlab {

using instances::Draw;

/// For each of so many jobs.
inline std::vector<std::string> draw_strategies(Draw& draw, std::size_t jobs) {
  const std::vector<std::string> choices{"spill",
                                         "resident",
                                         "model_parallel",
                                         "gpipe(2,2)",
                                         "gpipe(4,2)",
                                         "one_f_one_b(2,4)",
                                         "interleaved(2,4,2)",
                                         "data_parallel(2)",
                                         "data_parallel(2,gpipe(2,2))",
                                         "data_parallel(2,one_f_one_b(2,2))",
                                         "zero_offload(2)"};
  std::vector<std::string> drawn;
  for (std::size_t j = 0; j < jobs; ++j) drawn.push_back(draw.of(choices));
  return drawn;
}

/// All but the strategies.
inline DistributedSetting draw_setting(Draw& draw, const std::vector<std::string>& strategies) {
  DistributedSetting setting{strategies};
  setting.devices = 4 + draw.below(2);
  setting.slots = 1 + static_cast<int>(draw.below(3));
  setting.recompute = draw.below(2) == 0;
  setting.policy = known_policies()[draw.below(known_policies().size())].name;
  if (draw.below(4) == 0) setting.link = {Duration{20'000}, 2e9};
  setting.peers = draw.below(3) == 0;
  setting.room = std::vector<double>{1, 1.3, 4}[draw.below(3)];
  setting.checkpoints.minibatches = static_cast<std::int64_t>(draw.below(3));
  setting.steps.clear();
  for (std::size_t j = 0; j < strategies.size(); ++j) {
    setting.steps.push_back(draw.below(2) == 0 ? StepPlace::kHost : StepPlace::kDevice);
  }
  return setting;
}

/// What was saved of jobs, as a disk would keep it, until the process is killed.
class Disk {
 public:
  struct Kept {
    Checkpoint state;
    std::vector<std::vector<float>> floats;
  };

  void save(JobId job, const Checkpoint& state) {
    const auto kept = std::make_shared<Kept>();
    kept->state.minibatch = state.minibatch;
    kept->state.losses = state.losses;
    for (const Checkpoint::Layer& layer : state.layers) {
      const auto& parameters =
          kept->floats.emplace_back(layer.parameters.begin(), layer.parameters.end());
      const std::span<const float> of_parameters = parameters;
      const auto& rest = kept->floats.emplace_back(layer.state.begin(), layer.state.end());
      kept->state.layers.push_back({of_parameters, rest});
    }
    const std::lock_guard lock(mutex_);
    kept_[job] = kept;
  }
  /// Null: nothing.
  [[nodiscard]] std::shared_ptr<const Kept> of(JobId job) const {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(job);
    return found == kept_.end() ? nullptr : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<JobId, std::shared_ptr<const Kept>> kept_;
};

/// Trains on what the disk has. Killed after `minibatches` of all jobs together, unless that is 0:
/// nothing is saved any more. Returns whether it was not.
inline bool train_until_killed(const Workload& jobs, const DistributedSetting& setting, Disk& disk,
                               std::int64_t minibatches, Trained& trained) {
  Workload work = jobs;
  std::vector<std::shared_ptr<const Disk::Kept>> from;
  RunOptions options;
  for (std::size_t j = 0; j < work.jobs.size(); ++j) {
    from.push_back(disk.of(job_id(j)));
    work.jobs[j].done = from[j] ? from[j]->state.minibatch : 0;
    options.resume.push_back(from[j] ? &from[j]->state : nullptr);
  }
  std::atomic<bool> killed{false};
  std::int64_t seen = 0;
  options.stop = &killed;  // Only so that it takes less time.
  options.progress = [&](const RunProgress&) { killed = killed || ++seen == minibatches; };
  options.save = [&](JobId job, const Checkpoint& state) {
    if (!killed) disk.save(job, state);
  };
  trained = train(work, setting, options);
  return !killed;
}

/// Killed so many times; each run draws its own cluster, policy and budgets.
inline Trained train_with_kills(const Workload& jobs, Draw& draw, int kills) {
  const std::vector<std::string> strategies = draw_strategies(draw, jobs.jobs.size());
  Disk disk;
  Trained trained;
  for (int run = 0; true; ++run) {
    const auto after = run < kills ? 1 + static_cast<std::int64_t>(draw.below(12)) : 0;
    const DistributedSetting setting = draw_setting(draw, strategies);
    if (train_until_killed(jobs, setting, disk, after, trained)) return trained;
  }
}

}  // namespace shardlab
