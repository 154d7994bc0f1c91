#pragma once

#include <memory>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"
#include "profiler/model_bench.h"
#include "profiler/worker.h"

namespace shardlab {

/// The same work on all lanes of a cluster at once, whenever it is run: what changes is the
/// machine.
class FixedWork {
 public:
  explicit FixedWork(const Cluster& cluster);

  /// Time that it takes, the mean over the lanes.
  Duration run();

 private:
  struct Probe {
    explicit Probe(const DeviceSpec& spec);
    void run();

    TorchDevice device;
    std::unique_ptr<ModelBench> bench;
    Duration time{};
    Worker worker;  // Ends before what it uses.
  };
  std::vector<std::unique_ptr<Probe>> lanes_;
};

}  // namespace shardlab
