#include "profiler/copy_slow_down.h"

#include <algorithm>
#include <utility>

#include "profiler/fixed_work.h"
#include "profiler/samples.h"

namespace shardlab {

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
  const double base = seconds(summarize(std::move(undisturbed)).median);
  const auto ratio = [&](Samples samples) {
    return std::max(1.0, seconds(summarize(std::move(samples)).median) / base);
  };
  return {device.name, ratio(std::move(promoting)), ratio(std::move(demoting))};
}

}  // namespace shardlab
