#include <cmath>
#include <sstream>
#include <utility>

#include <toml++/toml.h>

#include "traces/cluster_file.h"

namespace shardlab {
namespace {

std::int64_t whole(double bytes_per_second) { return std::llround(bytes_per_second); }

toml::table link_table(const LinkSpec& link) {
  toml::table table;
  if (link.latency > Duration{}) {
    table.insert("latency_us", static_cast<double>(link.latency.count()) * 1e-3);
  }
  if (link.bytes_per_second > 0) table.insert("rate", whole(link.bytes_per_second));
  table.is_inline(true);
  return table;
}

void insert_if(toml::table& table, const char* key, double value, double usual) {
  if (value != usual) table.insert(key, value);
}

void add_links(const Cluster& cluster, const DeviceSpec& device, toml::table& table) {
  if (device.link.paced()) table.insert("link", link_table(device.link));
  if (device.back) table.insert("link_back", link_table(*device.back));
  if (device.peer) table.insert("peer", link_table(*device.peer));
  if (!device.node.empty()) table.insert("node", device.node);
  if (device.parent == kNoSwitch) return;
  table.insert("parent", cluster.switches[static_cast<std::size_t>(device.parent)].name);
}

void add_instants(const char* key, const std::vector<Instant>& instants, toml::table& table) {
  toml::array list;
  for (const Instant at : instants) list.push_back(seconds(at));
  if (!list.empty()) table.insert(key, std::move(list));
}

toml::table device_table(const Cluster& cluster, const DeviceSpec& device) {
  toml::table table{{"name", device.name},
                    {"kind", device.kind},
                    {"threads", device.threads},
                    {"copy_engines", device.copy_engines},
                    {"ordinal", device.ordinal}};
  if (device.memory != kUnlimited) table.insert("memory", device.memory);
  if (device.buffer_slots) table.insert("buffer_slots", *device.buffer_slots);
  add_links(cluster, device, table);
  insert_if(table, "speed", device.speed, 1);
  if (!device.costs.empty()) table.insert("costs", device.costs);
  if (!device.model.empty()) table.insert("model", device.model);
  insert_if(table, "watts_busy", device.upkeep.watts_busy, 0);
  insert_if(table, "watts_idle", device.upkeep.watts_idle, 0);
  insert_if(table, "price_per_hour", device.upkeep.price_per_hour, 0);
  insert_if(table, "slow_down_promote", device.slow_down_promote, 1);
  insert_if(table, "slow_down_demote", device.slow_down_demote, 1);
  add_instants("leaves", device.leaves, table);
  add_instants("returns", device.returns, table);
  return table;
}

toml::table switch_table(const Cluster& cluster, const SwitchSpec& shared) {
  toml::table table{{"name", shared.name}};
  if (shared.bytes_per_second > 0) table.insert("rate", whole(shared.bytes_per_second));
  if (shared.back_bytes_per_second != shared.bytes_per_second) {
    table.insert("rate_back", whole(shared.back_bytes_per_second));
  }
  if (shared.together_bytes_per_second > 0) {
    table.insert("rate_together", whole(shared.together_bytes_per_second));
  }
  if (shared.parent != kNoSwitch) {
    table.insert("parent", cluster.switches[static_cast<std::size_t>(shared.parent)].name);
  }
  return table;
}

toml::table disk_table(const DiskSpec& disk) {
  toml::table table{{"read", link_table(disk.read)}, {"write", link_table(disk.write)}};
  if (disk.memory != kUnlimited) table.insert("memory", disk.memory);
  table.is_inline(true);
  return table;
}

}  // namespace

std::string cluster_toml(const Cluster& cluster) {
  toml::table root;
  if (cluster.host_memory != kUnlimited) root.insert("host_memory", cluster.host_memory);
  insert_if(root, "host_watts", cluster.host_watts, 0);
  if (cluster.disk) root.insert("disk", disk_table(*cluster.disk));
  if (cluster.network) root.insert("network", link_table(*cluster.network));
  toml::array devices, switches;
  for (const DeviceSpec& device : cluster.devices) devices.push_back(device_table(cluster, device));
  for (const SwitchSpec& each : cluster.switches) switches.push_back(switch_table(cluster, each));
  root.insert("device", std::move(devices));
  if (!switches.empty()) root.insert("switch", std::move(switches));
  std::ostringstream text;
  text << root << '\n';
  return text.str();
}

}  // namespace shardlab
