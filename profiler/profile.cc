#include "profiler/profile.h"

#include <algorithm>
#include <cstddef>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include <torch/version.h>

#include "core/error.h"
#include "profiler/lane.h"
#include "profiler/provenance.h"
#include "profiler/rounds.h"

namespace shardlab {
namespace {

std::vector<BenchKey> distinct_models(const Workload& workload) {
  std::vector<BenchKey> keys;
  for (const Job& job : workload.jobs) {
    const BenchKey key{job.model, job.batch, job.optimizer.kind};
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  if (keys.empty()) throw Error("no job to profile");
  return keys;
}

void check(const Cluster& cluster) {
  if (cluster.devices.empty()) throw Error("no device to profile for");
  for (const DeviceSpec& device : cluster.devices) {
    if (device.kind != "cpu")
      throw Error(device.name + ": cannot profile a device of kind " + device.kind + ", only cpu");
  }
}

/// Runs `body` in a thread that computes with `threads`.
template <typename Body>
void in_thread(int threads, const Body& body) {
  std::async(std::launch::async, [&] {
    set_threads(threads);
    body();
  }).get();
}

/// One layer of fixed size, timed several times in the profile's life: what changes is the machine.
class Probe {
 public:
  void run() {
    constexpr int kWarmUp = 5;
    constexpr int kSamples = 25;
    std::vector<LayerSamples> samples;
    for (int i = 0; i < kWarmUp; ++i) bench_.run(samples);
    samples.clear();
    for (int i = 0; i < kSamples; ++i) bench_.run(samples);
    medians_.push_back(seconds(summarize(samples[1].forward).median));
  }

  [[nodiscard]] double drift() const {
    const auto [least, most] = std::ranges::minmax(medians_);
    return most / least - 1;
  }

 private:
  ModelBench bench_{{Architecture::kGpt, 1, 128, 4, 64, 0}, 4, OptimizerKind::kSgd};
  std::vector<double> medians_;
};

HostCosts host_costs(const LaneSamples& samples) {
  return {fit_copy_cost(samples.copies), summarize(samples.overhead).median,
          summarize(samples.hand_over).median};
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

Provenance provenance(const Cluster& cluster, const ProfileOptions& options) {
  Provenance result;
  result.device = describe_processor();
  result.libtorch = TORCH_VERSION;
  result.shardlab = SHARDLAB_VERSION;
  result.date = utc_now();
  result.method = "steady clock per layer, round robin over models, median";
  result.lanes = static_cast<int>(cluster.devices.size());
  result.threads_per_lane = cluster.devices.front().threads;
  result.warm_up = options.warm_up;
  return result;
}

}  // namespace

Profile profile(const Workload& workload, const Cluster& cluster, const ProfileOptions& options,
                const Progress& progress) {
  check(cluster);
  const std::vector<BenchKey> keys = distinct_models(workload);
  const auto report = [&](double done, const char* doing) {
    if (progress) progress(done, doing);
  };
  std::vector<std::unique_ptr<Lane>> own;
  std::vector<Lane*> lanes;
  for (const DeviceSpec& device : cluster.devices) {
    lanes.push_back(own.emplace_back(std::make_unique<Lane>(keys, device.threads)).get());
  }
  Profile result;
  result.provenance = provenance(cluster, options);
  report(0, "counting bytes");
  const int threads = cluster.devices.front().threads;
  in_thread(threads, [&] { result.models = measure_bytes(*lanes.front()); });

  Probe probe;
  const auto run_probe = [&] { probe.run(); };
  in_thread(threads, run_probe);
  const auto alone = run_rounds({lanes.front()}, options, options.seconds / 2,
                                [&](double done) { report(done / 2, "alone"); });
  in_thread(threads, run_probe);
  const auto loaded = run_rounds(lanes, options, options.seconds / 2,
                                 [&](double done) { report(0.5 + done / 2, "all lanes busy"); });
  in_thread(threads, run_probe);
  result.provenance.rounds = std::min(alone.rounds, loaded.rounds);
  result.provenance.drift = probe.drift();
  result.alone = host_costs(alone.samples);
  result.loaded = host_costs(loaded.samples);
  fill(result.models, alone.samples, &LayerCost::alone);
  fill(result.models, loaded.samples, &LayerCost::loaded);
  report(1, "done");
  return result;
}

}  // namespace shardlab
