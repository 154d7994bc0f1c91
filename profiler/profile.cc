#include "profiler/profile.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <torch/version.h>

#include "core/error.h"
#include "profiler/activity_pass.h"
#include "profiler/conditions.h"
#include "profiler/fixed_work.h"
#include "profiler/lane.h"
#include "profiler/median_interval.h"
#include "profiler/provenance.h"
#include "profiler/rounds.h"
#include "profiler/worker.h"

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
    models.back().layers = lane.measure_bytes(m);
  }
  return models;
}

/// What steps on the host take, with nothing beside them.
void measure_host_steps(Lane& lane, std::vector<ModelProfile>& models) {
  for (std::size_t m = 0; m < models.size(); ++m) {
    const std::vector<Measured> steps = lane.model(m).measure_host_steps();
    for (std::size_t i = 0; i < steps.size(); ++i) models[m].layers[i].host_step = steps[i];
  }
}

/// The widest of all models; none while one is not known.
std::optional<double> widest_interval(const LaneSamples& samples) {
  std::optional<double> widest;
  for (const auto& layers : samples.models) {
    const auto interval = median_interval(layers);
    if (!interval) return std::nullopt;
    widest = std::max(widest.value_or(0), *interval);
  }
  return widest;
}

/// What the passes of a unit lose that starts on a lane which has rested, against one that goes on;
/// the median of all models. None where lanes did not take turns.
Duration cost_of_rest(const LaneSamples& in_turn, const LaneSamples& alone, Lane& lane) {
  Samples per_unit;
  for (std::size_t m = 0; m < in_turn.minibatches.size(); ++m) {
    const Duration rested = summarize(in_turn.minibatches[m]).median;
    const Duration lost = rested - summarize(alone.minibatches[m]).median;
    per_unit.push_back(lost / static_cast<Duration::rep>(lane.model(m).units()));
  }
  return std::max(Duration{}, summarize(std::move(per_unit)).median);
}

/// On a CPU, what layers take is made to add up; on an accelerator it hardly varies, and whether it
/// adds up tells whether events are right.
void fill(std::vector<ModelProfile>& models, const LaneSamples& samples, bool cpu,
          LayerTimes LayerCost::*times) {
  for (std::size_t m = 0; m < models.size(); ++m) {
    const auto layers =
        cpu ? summarize(samples.models[m], samples.minibatches[m]) : summarize(samples.models[m]);
    for (std::size_t i = 0; i < layers.size(); ++i) models[m].layers[i].*times = layers[i];
  }
}

void fill_whole(std::vector<ModelProfile>& models, const LaneSamples& samples) {
  for (std::size_t m = 0; m < models.size(); ++m) {
    if (!samples.whole[m].empty()) models[m].whole = summarize(samples.whole[m]);
    models[m].around = summarize(samples.around[m]);
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
    LaneSamples alone, in_turn, loaded;
    std::vector<Duration> probes;
  };
  [[nodiscard]] const Taken& taken() const { return taken_; }
  [[nodiscard]] int kept() const { return std::max(0, round_ - options_.warm_up); }
  /// Of what was taken; nothing while it is too little to tell.
  [[nodiscard]] std::optional<Repeats> repeats() const {
    if (!interval_) return std::nullopt;
    return Repeats{*interval_, options_.interval, ended_};
  }

  /// One round more, thrown away while warming up; false when there are enough.
  template <typename Report>
  bool next(const Report& report) {
    if (round_ == options_.warm_up) begin_ = Clock::now();
    ended_ = end();
    if (!ended_.empty()) return false;
    const bool keep = round_ >= options_.warm_up;
    LaneSamples thrown_away;
    if (keep && taken_.probes.empty()) taken_.probes.push_back(probe_.run());
    const auto doing = [&](const std::string& what) {
      return interval_ ? what + ", " + interval_text(*interval_) : what;
    };
    const auto run = [&](const std::vector<Lane*>& lanes, Beside beside, LaneSamples& samples,
                         const std::string& what) {
      run_round(lanes, beside, keep ? samples : thrown_away, [&] { report(share(), doing(what)); });
    };
    run(two_lanes(), Beside::kNothing, taken_.alone, "one lane at a time");
    // On an accelerator the ramp says it.
    if (lanes_.size() > 1 && lanes_.front()->device().is_cpu()) {
      run(two_lanes(), Beside::kInTurn, taken_.in_turn, "lanes in turn");
    }
    run(lanes_, Beside::kAtOnce, taken_.loaded, "all lanes busy");
    if (keep) taken_.probes.push_back(probe_.run());
    ++round_;
    update_interval();
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
  void update_interval() {
    const auto alone = widest_interval(taken_.alone), loaded = widest_interval(taken_.loaded);
    interval_ = alone && loaded ? std::optional(std::max(*alone, *loaded)) : std::nullopt;
  }
  /// By what, once there are enough; else empty.
  [[nodiscard]] std::string end() const {
    if (kept() < std::min(options_.min_rounds, options_.max_rounds)) return "";
    if (kept() >= options_.max_rounds) return "rounds";
    if (elapsed() >= options_.seconds) return "time";
    const bool narrow = interval_ && *interval_ < options_.interval;
    return narrow && kept() >= kRoundsOfInterval ? "interval" : "";
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
  std::optional<double> interval_;
  std::string ended_;
  int round_ = 0;
  Clock::time_point begin_{};
};

}  // namespace

Profile profile(const Workload& workload, const Cluster& cluster, const ProfileOptions& options,
                const Progress& progress) {
  check(cluster);
  const std::vector<BenchKey> keys = distinct_models(workload, cluster);
  const auto report = [&](double done, const std::string& doing) {
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
  const std::vector<Reading> before = read_conditions(cluster);
  lanes.front()->worker().run([&] {
    result.models = measure_bytes(*lanes.front());
    result.provenance.allocator_rounding = lanes.front()->device().allocator_rounding();
  });

  Rounds rounds(lanes, cluster, options);
  while (rounds.next(report)) {
  }
  const auto& [alone, in_turn, loaded, probes] = rounds.taken();
  result.provenance.rounds = rounds.kept();
  result.provenance.repeats = rounds.repeats();
  result.provenance.conditions = conditions(before, read_conditions(cluster));
  const auto [least, most] = std::ranges::minmax(probes);
  result.provenance.drift = seconds(most) / seconds(least) - 1;
  result.provenance.fixed_work = summarize(probes).median;
  result.alone = host_costs(alone);
  result.alone.dispatch += cost_of_rest(in_turn, alone, *lanes.front());
  result.loaded = host_costs(loaded);
  const bool cpu = lanes.front()->device().is_cpu();
  fill(result.models, alone, cpu, &LayerCost::alone);
  fill(result.models, loaded, cpu, &LayerCost::loaded);
  fill_whole(result.models, alone);
  report(1, "stepping on the host");
  Worker().run([&] { measure_host_steps(*lanes.front(), result.models); });
  own.clear();
  for (const DeviceSpec& device : cluster.devices) TorchDevice(device).release_unused();
  report(1, "done");
  return result;
}

void add_records(const Workload& workload, const Cluster& cluster, Profile& profile,
                 const Progress& progress) {
  check(cluster);
  const std::vector<BenchKey> keys = distinct_models(workload, cluster);
  const auto same = [](const BenchKey& key, const ModelProfile& model) {
    return key.model == model.model && key.batch == model.batch && key.optimizer == model.optimizer;
  };
  if (!std::ranges::equal(keys, profile.models, same)) {
    throw Error("the profile is not of this workload; profile it again");
  }
  Lane lane(keys, cluster.devices.front());
  if (progress) progress(0, "recording kernels");
  lane.worker().run([&] {
    lane.enter();
    profile.provenance.activity = add_busy_times(lane, profile.models);
  });
  if (progress) progress(1, "recording kernels");
}

}  // namespace shardlab
