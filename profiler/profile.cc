#include "profiler/profile.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <torch/version.h>

#include "core/error.h"
#include "profiler/activity_pass.h"
#include "profiler/fixed_work.h"
#include "profiler/lane.h"
#include "profiler/provenance.h"
#include "profiler/rounds.h"

namespace shardlab {
namespace {

/// Half of the smallest device, as double buffering leaves.
Bytes usual_shard(const Cluster& cluster) {
  Bytes least = kUnlimited;
  for (const DeviceSpec& device : cluster.devices) least = std::min(least, device.memory / 2);
  return least;
}

std::vector<BenchKey> distinct_models(const Workload& workload, const Cluster& cluster) {
  std::vector<BenchKey> keys;
  for (const Job& job : workload.jobs) {
    const BenchKey key{job.model, job.batch, job.optimizer.kind, usual_shard(cluster)};
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  if (keys.empty()) throw Error("no job to profile");
  return keys;
}

void check(const Cluster& cluster) {
  if (cluster.devices.empty()) throw Error("no device to profile for");
  for (const DeviceSpec& device : cluster.devices) {
    if (device.kind == cluster.devices.front().kind) continue;
    throw Error(device.name + " is of kind " + device.kind + ", others are " +
                cluster.devices.front().kind + "; profile one kind at a time");
  }
}

HostCosts host_costs(const LaneSamples& samples) {
  return {fit_copy_cost(samples.copies),
          summarize(samples.overhead).median + summarize(samples.ramp).median,
          summarize(samples.hand_over).median, fit_copy_cost(samples.copies_back)};
}

/// Names and bytes of every layer; times come later.
std::vector<ModelProfile> measure_bytes(Lane& lane) {
  lane.enter();
  std::vector<ModelProfile> models;
  for (std::size_t m = 0; m < lane.models(); ++m) {
    models.push_back(lane.model(m).key());
    models.back().layers = lane.model(m).measure_bytes();
  }
  return models;
}

void fill(std::vector<ModelProfile>& models, const LaneSamples& samples,
          LayerTimes LayerCost::*times) {
  for (std::size_t m = 0; m < models.size(); ++m) {
    for (std::size_t i = 0; i < models[m].layers.size(); ++i) {
      models[m].layers[i].*times = summarize(samples.models[m][i]);
    }
  }
}

void fill_whole(std::vector<ModelProfile>& models, const LaneSamples& samples) {
  for (std::size_t m = 0; m < models.size(); ++m) {
    if (!samples.whole[m].empty()) models[m].whole = summarize(samples.whole[m]);
  }
}

Provenance provenance(const Cluster& cluster, const ProfileOptions& options) {
  Provenance result;
  result.device = describe_device(cluster.devices.front());
  result.libtorch = TORCH_VERSION;
  result.shardlab = SHARDLAB_VERSION;
  result.date = utc_now();
  result.method = std::string(cluster.devices.front().kind == "cpu" ? "steady clock" : "events") +
                  " per layer, round robin over models, median";
  result.lanes = static_cast<int>(cluster.devices.size());
  result.threads_per_lane = cluster.devices.front().threads;
  result.warm_up = options.warm_up;
  return result;
}

/// Rounds of all models alone and with all lanes busy, and of fixed work, in turn: a machine that
/// drifts shows in all of them alike.
class Rounds {
 public:
  Rounds(const std::vector<Lane*>& lanes, const Cluster& cluster, const ProfileOptions& options)
      : lanes_(lanes), probe_(cluster), options_(options) {}

  struct Taken {
    LaneSamples alone, loaded;
    std::vector<Duration> probes;
  };
  [[nodiscard]] const Taken& taken() const { return taken_; }
  [[nodiscard]] int kept() const { return std::max(0, round_ - options_.warm_up); }

  /// One round more, thrown away while warming up; false when there are enough.
  template <typename Report>
  bool next(const Report& report) {
    if (round_ == options_.warm_up) begin_ = Clock::now();
    if (enough()) return false;
    const bool keep = round_ >= options_.warm_up;
    LaneSamples thrown_away;
    if (keep && taken_.probes.empty()) taken_.probes.push_back(probe_.run());
    run_round(two_lanes(), Beside::kInTurn, keep ? taken_.alone : thrown_away,
              [&] { report(share(), "one lane at a time"); });
    run_round(lanes_, Beside::kAtOnce, keep ? taken_.loaded : thrown_away,
              [&] { report(share(), "all lanes busy"); });
    if (keep) taken_.probes.push_back(probe_.run());
    ++round_;
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Enough to take turns; others each round.
  [[nodiscard]] std::vector<Lane*> two_lanes() const {
    const auto lane = [&](int i) { return lanes_[static_cast<std::size_t>(i) % lanes_.size()]; };
    if (lanes_.size() == 1) return lanes_;
    return {lane(round_), lane(round_ + 1)};
  }
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count();
  }
  [[nodiscard]] bool enough() const {
    if (kept() < std::min(options_.min_rounds, options_.max_rounds)) return false;
    return kept() >= options_.max_rounds || elapsed() >= options_.seconds;
  }
  [[nodiscard]] double share() const {
    if (round_ < options_.warm_up) return 0;
    const auto of = [&](int rounds) { return kept() / std::max(1.0, double(rounds)); };
    const double by_time = elapsed() / std::max(options_.seconds, 1e-9);
    return std::min({1.0, of(options_.min_rounds), std::max(by_time, of(options_.max_rounds))});
  }

  const std::vector<Lane*>& lanes_;
  FixedWork probe_;
  const ProfileOptions& options_;
  Taken taken_;
  int round_ = 0;
  Clock::time_point begin_{};
};

}  // namespace

Profile profile(const Workload& workload, const Cluster& cluster, const ProfileOptions& options,
                const Progress& progress) {
  check(cluster);
  const std::vector<BenchKey> keys = distinct_models(workload, cluster);
  const auto report = [&](double done, const char* doing) {
    if (progress) progress(done, doing);
  };
  std::vector<std::unique_ptr<Lane>> own;
  std::vector<Lane*> lanes;
  for (const DeviceSpec& device : cluster.devices) {
    lanes.push_back(own.emplace_back(std::make_unique<Lane>(keys, device)).get());
  }
  Profile result;
  result.provenance = provenance(cluster, options);
  report(0, "counting bytes");
  lanes.front()->worker().run([&] { result.models = measure_bytes(*lanes.front()); });

  Rounds rounds(lanes, cluster, options);
  while (rounds.next(report)) {
  }
  const auto& [alone, loaded, probes] = rounds.taken();
  result.provenance.rounds = rounds.kept();
  const auto [least, most] = std::ranges::minmax(probes);
  result.provenance.drift = seconds(most) / seconds(least) - 1;
  result.provenance.fixed_work = summarize(probes).median;
  result.alone = host_costs(alone);
  result.loaded = host_costs(loaded);
  fill(result.models, alone, &LayerCost::alone);
  fill(result.models, loaded, &LayerCost::loaded);
  fill_whole(result.models, alone);
  if (!lanes.front()->device().is_cpu()) {
    report(1, "recording kernels");
    lanes.front()->worker().run([&] {
      lanes.front()->enter();
      result.provenance.activity = add_busy_times(*lanes.front(), result.models);
    });
  }
  report(1, "done");
  return result;
}

}  // namespace shardlab
