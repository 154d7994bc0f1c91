// The module that cli/engine.h speaks of. Torch's headers stay in models/, exec/ and profiler/.
#include <optional>

#include "cli/engine.h"
#include "profiler/fixed_work.h"

namespace shardlab {
namespace {

class TorchEngine final : public Engine {
 public:
  Profile profile(const Workload& workload, const Cluster& cluster, const ProfileOptions& options,
                  const Progress& progress) override {
    return shardlab::profile(workload, cluster, options, progress);
  }

  void add_records(const Workload& workload, const Cluster& cluster, Profile& profile,
                   const Progress& progress) override {
    shardlab::add_records(workload, cluster, profile, progress);
  }

  RunResult run(const Workload& workload, const Cluster& cluster, const Program& program,
                const std::vector<std::vector<int>>& first_layers, Policy& policy,
                const RunOptions& options) override {
    return shardlab::run(workload, cluster, program, first_layers, policy, options);
  }

  Duration fixed_work(const Cluster& cluster) override {
    if (!fixed_work_) fixed_work_.emplace(cluster);
    return fixed_work_->run();
  }

  LinkReport links(const Cluster& cluster, const LinkOptions& options) override {
    return measure_links(cluster, options);
  }

  [[nodiscard]] std::string libtorch() const override { return SHARDLAB_LIBTORCH; }

 private:
  std::optional<FixedWork> fixed_work_;  ///< Of the one cluster that a command works with.
};

}  // namespace
}  // namespace shardlab

extern "C" shardlab::Engine* shardlab_engine(int version) {
  return version == shardlab::kEngineVersion ? new shardlab::TorchEngine : nullptr;
}
