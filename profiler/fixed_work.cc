#include "profiler/fixed_work.h"

#include <future>

#include "profiler/lane.h"

namespace shardlab {

FixedWork::FixedWork(const Cluster& cluster) {
  constexpr ModelSpec kModel{Architecture::kGpt, 1, 128, 4, 64, 0};
  constexpr int kBatch = 4;
  for (const DeviceSpec& device : cluster.devices) {
    lanes_.push_back(
        {std::make_unique<ModelBench>(kModel, kBatch, OptimizerKind::kSgd), device.threads});
  }
}

Duration FixedWork::run() {
  std::vector<std::future<Duration>> lanes;
  for (const Probe& probe : lanes_) {
    lanes.push_back(std::async(std::launch::async, [&probe] { return time(probe); }));
  }
  Duration sum{};
  for (auto& lane : lanes) sum += lane.get();
  return sum / static_cast<Duration::rep>(lanes.size());
}

Duration FixedWork::time(const Probe& probe) {
  constexpr int kWarmUp = 3;
  constexpr int kRounds = 25;
  set_threads(probe.threads);
  std::vector<LayerSamples> samples;
  for (int i = 0; i < kWarmUp; ++i) probe.bench->run({}, samples);
  return timed([&] {
    for (int i = 0; i < kRounds; ++i) probe.bench->run({}, samples);
  });
}

}  // namespace shardlab
