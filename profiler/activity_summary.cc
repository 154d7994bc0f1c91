#include "profiler/activity_summary.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "profiler/intervals.h"

namespace shardlab {
namespace {

Duration both(const Coverage& one, const Coverage& other) {
  Duration sum{};
  for (const Interval& interval : one.intervals()) sum += other.within(interval);
  return sum;
}

struct Device {
  std::vector<Interval> kernels, to_device, to_host;
  std::int64_t first = INT64_MAX, last = 0;
};

void add(ActivitySummary::Copies& copies, const Activity& activity) {
  ++copies.count;
  copies.bytes += activity.bytes;
  if (!activity.pinned) copies.pageable += activity.bytes;
}

void add(ActivitySummary& summary, Device device) {
  std::vector<Interval> all = device.to_device;
  all.insert(all.end(), device.to_host.begin(), device.to_host.end());
  const Coverage kernels(std::move(device.kernels)), copies(std::move(all));
  const Coverage to_device(std::move(device.to_device)), to_host(std::move(device.to_host));
  summary.kernels += kernels.total();
  summary.copies += copies.total();
  summary.hidden += both(copies, kernels);
  summary.hideable += std::min(copies.total(), kernels.total());
  summary.span += Duration{device.last - device.first};
  summary.to_device.busy += to_device.total();
  summary.to_device.beside += both(to_device, kernels);
  summary.to_host.busy += to_host.total();
  summary.to_host.beside += both(to_host, kernels);
}

}  // namespace

std::optional<double> ActivitySummary::hidden_share() const {
  if (hideable == Duration{}) return std::nullopt;
  return seconds(hidden) / seconds(hideable);
}

ActivitySummary summarize(const ActivityLog& log) {
  ActivitySummary summary;
  std::map<std::uint32_t, Device> devices;
  for (const Activity& activity : log.activities) {
    const Interval when{activity.start_ns, activity.end_ns};
    Device& device = devices[activity.device];
    device.first = std::min(device.first, activity.start_ns);
    device.last = std::max(device.last, activity.end_ns);
    if (activity.kind != ActivityKind::kCopy) {
      device.kernels.push_back(when);
    } else if (activity.direction == CopyDirection::kHostToDevice) {
      device.to_device.push_back(when);
      add(summary.to_device, activity);
    } else if (activity.direction == CopyDirection::kDeviceToHost) {
      device.to_host.push_back(when);
      add(summary.to_host, activity);
    }
  }
  for (auto& [id, device] : devices) add(summary, std::move(device));
  return summary;
}

}  // namespace shardlab
