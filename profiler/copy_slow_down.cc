#include "profiler/copy_slow_down.h"

#include <algorithm>
#include <utility>

#include "profiler/fixed_work.h"

namespace shardlab {

double slow_down(Samples beside, const Samples& alone) {
  const double base = seconds(summarize(alone).median);
  return std::max(1.0, seconds(summarize(std::move(beside)).median) / base);
}

CopySlowDown copy_slow_down(const DeviceSpec& device, CopyWay& to_device, CopyWay& to_host,
                            int rounds) {
  constexpr int kEnough = 5;  // The work is long.
  Cluster alone;
  alone.devices.push_back(device);
  FixedWork work(alone);
  Samples undisturbed, promoting, demoting;
  for (int i = 0; i < std::min(rounds, kEnough); ++i) {
    undisturbed.push_back(work.run());
    while_copying(to_device, [&] { promoting.push_back(work.run()); });
    while_copying(to_host, [&] { demoting.push_back(work.run()); });
  }
  return {device.name, slow_down(std::move(promoting), undisturbed),
          slow_down(std::move(demoting), undisturbed)};
}

}  // namespace shardlab
