#include "report/device_table.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "report/table.h"

namespace shardlab {
namespace {

/// The device's entry of a list that may be left empty.
Bytes entry(const std::vector<Bytes>& list, std::size_t device, Bytes otherwise) {
  return device < list.size() ? list[device] : otherwise;
}

}  // namespace

std::string device_table(const Timeline& timeline, const Metrics& metrics) {
  std::vector<std::string> header{"device",        "occupied %",  "busy %",        "useful %",
                                  "lane copies %", "copy wait %", "memory wait %", "job wait %",
                                  "dispatch %",    "tail %"};
  std::vector<Duration LaneTime::*> seldom;  // Only where some device has any.
  const std::pair<const char*, Duration LaneTime::*> parts[] = {{"reducing %", &LaneTime::reducing},
                                                                {"lost %", &LaneTime::lost},
                                                                {"absent %", &LaneTime::absent}};
  for (const auto& [name, part] : parts) {
    if (std::ranges::all_of(metrics.devices, [&](const DeviceMetrics& device) {
          return device.lane.*part == Duration{};
        })) {
      continue;
    }
    header.emplace_back(name);
    seldom.push_back(part);
  }
  for (const char* name : {"in MiB", "out MiB", "peak MiB", "budget MiB"})
    header.emplace_back(name);
  TextTable table(std::move(header));
  for (std::size_t d = 0; d < metrics.devices.size(); ++d) {
    const DeviceMetrics& device = metrics.devices[d];
    const LaneTime& lane = device.lane;
    std::vector<std::string> cells{timeline.devices[d]};
    for (const Duration part :
         {device.occupied, lane.busy, device.useful, lane.copying, lane.waiting_for_copy,
          lane.waiting_for_memory, lane.waiting_for_job, lane.dispatch, lane.tail}) {
      cells.push_back(fmt::format("{:.1f}", metrics.fraction(part) * 100));
    }
    for (const auto part : seldom) {
      cells.push_back(fmt::format("{:.1f}", metrics.fraction(lane.*part) * 100));
    }
    for (const Bytes bytes : {device.promoted, device.demoted, entry(timeline.peak, d, 0),
                              entry(timeline.budget, d, kUnlimited)}) {
      cells.push_back(format_mebibytes(bytes));
    }
    table.row(std::move(cells));
  }
  return table.text();
}

}  // namespace shardlab
