#pragma once

#include <memory>
#include <vector>

#include "core/cluster.h"
#include "core/time.h"
#include "profiler/model_bench.h"

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
    std::unique_ptr<ModelBench> bench;
    int threads = 1;
  };
  static Duration time(const Probe& probe);

  std::vector<Probe> lanes_;
};

}  // namespace shardlab
