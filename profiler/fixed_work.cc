#include "profiler/fixed_work.h"

namespace shardlab {
namespace {

// Matrices large enough that launches do not matter on a GPU, small enough for a CPU.
const ModelSpec kSmall{Architecture::kGpt, 1, 128, 4, 64, 0};
const ModelSpec kLarge{Architecture::kGpt, 1, 1024, 16, 512, 0};

}  // namespace

FixedWork::Probe::Probe(const DeviceSpec& spec) : device(spec) {
  worker.run([&] {
    device.enter(TorchDevice::Queue::kCompute);
    device.warm_up();
    bench = std::make_unique<ModelBench>(device, spec.kind == "cuda" ? kLarge : kSmall, 4,
                                         OptimizerKind::kSgd);
    if (!device.is_cpu()) run();  // Clocks and libraries: the first time is not like the others.
  });
}

void FixedWork::Probe::run() {
  constexpr int kWarmUp = 3;
  constexpr int kRounds = 25;
  Surroundings whole_units;
  whole_units.by_layer = false;
  std::vector<LayerSamples> samples;
  for (int i = 0; i < kWarmUp; ++i) bench->run(whole_units, samples);
  time = timed([&] {
    for (int i = 0; i < kRounds; ++i) bench->run(whole_units, samples);
  });
}

FixedWork::FixedWork(const Cluster& cluster) {
  for (const DeviceSpec& device : cluster.devices) {
    lanes_.push_back(std::make_unique<Probe>(device));
  }
}

Duration FixedWork::run() {
  for (const auto& lane : lanes_) lane->worker.start([&lane] { lane->run(); });
  Duration sum{};
  for (const auto& lane : lanes_) {
    lane->worker.wait();
    sum += lane->time;
  }
  return sum / static_cast<Duration::rep>(lanes_.size());
}

}  // namespace shardlab
