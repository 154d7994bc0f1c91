#include "profiler/link_bench.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "profiler/copy_slow_down.h"
#include "profiler/copy_way.h"

namespace shardlab {
namespace {

constexpr const char* kHostMemory = "host memory";

/// A device of the cluster.
struct Named {
  const DeviceSpec* spec = nullptr;
  std::unique_ptr<TorchDevice> device;
};

/// Both ways of one device.
struct Ways {
  const DeviceSpec* spec;
  std::unique_ptr<CopyWay> to_device, to_host;
};

double sum(std::span<const double> values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

/// All of them at once, through what they share. Returns what each then passes.
std::vector<double> copy_together(std::span<CopyWay* const> ways, std::string through,
                                  std::string which, int rounds, LinkReport& report) {
  SharedCopies found;
  found.through = std::move(through);
  found.ways = std::move(which);
  found.pinned = ways.front()->link().pinned;
  found.copying = static_cast<int>(ways.size());
  for (CopyWay* way : ways) found.alone += way->alone(rounds);
  std::vector<double> rates = rates_together(ways, rounds);
  found.together = sum(rates);
  report.shared.push_back(std::move(found));
  return rates;
}

void note_shared_rates(std::span<CopyWay* const> ways, const std::vector<double>& rates) {
  for (std::size_t i = 0; i < ways.size(); ++i) {
    ways[i]->link().shared_rate = rates[i];
    ways[i]->link().copying = static_cast<int>(ways.size());
  }
}

/// Switches that a device's copies pass.
std::set<int> above(const Cluster& cluster, const DeviceSpec& device) {
  std::set<int> found;
  for (int at = device.parent; at != kNoSwitch;
       at = cluster.switches[static_cast<std::size_t>(at)].parent) {
    found.insert(at);
  }
  return found;
}

std::vector<CopyWay*> both(std::span<const Ways> all) {
  std::vector<CopyWay*> result;
  for (const Ways& each : all) {
    result.push_back(each.to_device.get());
    result.push_back(each.to_host.get());
  }
  return result;
}

/// Copies of one kind of host memory: page-locked is an accelerator's alone.
class HostCopies {
 public:
  HostCopies(const Cluster& cluster, const std::vector<Named>& devices, bool pinned,
             const LinkOptions& options)
      : cluster_(cluster), options_(options) {
    for (const auto& [spec, device] : devices) {
      if (pinned && device->is_cpu()) continue;
      const auto way = [&, &spec = spec, &device = device](LinkWay direction) {
        LinkCost link;
        link.device = spec->name;
        link.way = direction;
        link.pinned = pinned;
        return std::make_unique<CopyWay>(*device, nullptr, std::move(link), options.largest);
      };
      ways_.push_back({spec, way(LinkWay::kToDevice), way(LinkWay::kToHost)});
    }
  }

  void measure(LinkReport& report) {
    if (ways_.empty()) return;
    const std::vector<CopyWay*> all = both(ways_);
    for (CopyWay* way : all) way->measure(options_.rounds);
    several_one_way(report);
    note_shared_rates(all, copy_together(all, kHostMemory, "both", options_.rounds, report));
    below_switches(report);
    for (CopyWay* way : all) report.links.push_back(way->link());
  }

  /// Of the devices, by the ways that are here.
  [[nodiscard]] const std::vector<Ways>& ways() const { return ways_; }

 private:
  /// The first two, three ... devices in one direction.
  void several_one_way(LinkReport& report) {
    for (const LinkWay direction : {LinkWay::kToDevice, LinkWay::kToHost}) {
      std::vector<CopyWay*> some;
      for (const Ways& each : ways_) {
        const bool in = direction == LinkWay::kToDevice;
        some.push_back(in ? each.to_device.get() : each.to_host.get());
        if (some.size() < 2) continue;
        copy_together(some, kHostMemory, in ? "to device" : "to host", options_.rounds, report);
      }
    }
  }
  void below_switches(LinkReport& report) {
    for (std::size_t s = 0; s < cluster_.switches.size(); ++s) {
      std::vector<CopyWay*> below;
      for (const Ways& each : ways_) {
        if (!above(cluster_, *each.spec).contains(static_cast<int>(s))) continue;
        below.push_back(each.to_device.get());
        below.push_back(each.to_host.get());
      }
      if (below.empty()) continue;
      copy_together(below, cluster_.switches[s].name, "both", options_.rounds, report);
    }
  }

  const Cluster& cluster_;
  LinkOptions options_;
  std::vector<Ways> ways_;
};

/// From every accelerator to every other, then all at once in a ring.
void measure_peers(const std::vector<Named>& devices, const LinkOptions& options,
                   LinkReport& report) {
  std::vector<const Named*> all;
  std::set<int> ordinals;  // Two lanes of one GPU are no peers.
  for (const Named& each : devices) {
    if (!each.device->is_cpu() && ordinals.insert(each.spec->ordinal).second) all.push_back(&each);
  }
  const auto way = [&](std::size_t from, std::size_t to) {
    LinkCost link;
    link.device = all[from]->spec->name;
    link.way = LinkWay::kToPeer;
    link.peer = all[to]->spec->name;
    return std::make_unique<CopyWay>(*all[from]->device, all[to]->device.get(), std::move(link),
                                     options.largest);
  };
  std::vector<std::unique_ptr<CopyWay>> ring;
  for (std::size_t from = 0; from < all.size(); ++from) {
    for (std::size_t step = 1; step < all.size(); ++step) {
      auto measured = way(from, (from + step) % all.size());
      measured->measure(options.rounds);
      if (step == 1) {
        ring.push_back(std::move(measured));
      } else {
        report.links.push_back(measured->link());
      }
    }
  }
  if (ring.empty()) return;
  std::vector<CopyWay*> together;
  for (const auto& each : ring) together.push_back(each.get());
  note_shared_rates(together,
                    copy_together(together, "device to device", "a ring", options.rounds, report));
  for (CopyWay* way : together) report.links.push_back(way->link());
}

}  // namespace

LinkReport measure_links(const Cluster& cluster, const LinkOptions& options) {
  std::vector<Named> devices;
  for (const DeviceSpec& spec : cluster.devices) {
    devices.push_back({&spec, std::make_unique<TorchDevice>(spec)});
  }
  LinkReport report;
  for (const bool pinned : {true, false}) {
    HostCopies copies(cluster, devices, pinned, options);
    copies.measure(report);
    for (const Ways& each : copies.ways()) {
      const bool own_kind = pinned || each.spec->kind == "cpu";  // As the executor copies.
      if (!own_kind || !options.beside_computing) continue;
      report.slow_downs.push_back(
          copy_slow_down(*each.spec, *each.to_device, *each.to_host, options.rounds));
    }
  }
  measure_peers(devices, options, report);
  return report;
}

}  // namespace shardlab
