// The module that cli/engine.h speaks of. Torch's headers stay in models/, exec/ and profiler/.
#include <future>
#include <memory>
#include <numeric>
#include <vector>

#include "cli/engine.h"
#include "profiler/lane.h"
#include "profiler/model_bench.h"
#include "profiler/provenance.h"

namespace shardlab {
namespace {

class TorchEngine final : public Engine {
 public:
  Profile profile(const Workload& workload, const Cluster& cluster, const ProfileOptions& options,
                  const Progress& progress) override {
    return shardlab::profile(workload, cluster, options, progress);
  }

  RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
                const std::vector<std::vector<int>>& first_layers, Policy& policy,
                const RunOptions& options) override {
    return shardlab::run(workload, cluster, program, first_layers, policy, options);
  }

  Duration fixed_work(const Cluster& cluster) override {
    while (probes_.size() < cluster.devices.size()) {
      probes_.push_back(std::make_unique<ModelBench>(kProbe, kBatch, OptimizerKind::kSgd));
    }
    std::vector<std::future<Duration>> lanes;
    for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
      lanes.push_back(std::async(std::launch::async,
                                 [&probe = *probes_[d], threads = cluster.devices[d].threads] {
                                   set_threads(threads);
                                   return time(probe);
                                 }));
    }
    Duration sum{};
    for (auto& lane : lanes) sum += lane.get();
    return sum / static_cast<Duration::rep>(lanes.size());
  }

  [[nodiscard]] std::string libtorch() const override { return SHARDLAB_LIBTORCH; }
  [[nodiscard]] std::string processor() const override { return describe_processor(); }

 private:
  static constexpr ModelSpec kProbe{Architecture::kGpt, 1, 128, 4, 64, 0};
  static constexpr int kBatch = 4;

  static Duration time(ModelBench& probe) {
    constexpr int kWarmUp = 3;
    constexpr int kRounds = 25;
    std::vector<LayerSamples> samples;
    for (int i = 0; i < kWarmUp; ++i) probe.run(samples);
    return timed([&] {
      for (int i = 0; i < kRounds; ++i) probe.run(samples);
    });
  }

  std::vector<std::unique_ptr<ModelBench>> probes_;  ///< One per lane.
};

}  // namespace
}  // namespace shardlab

extern "C" shardlab::Engine* shardlab_engine(int version) {
  return version == shardlab::kEngineVersion ? new shardlab::TorchEngine : nullptr;
}
