#include "traces/cluster_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/plan.h"
#include "core/suggestion.h"
#include "traces/atomic_file.h"
#include "traces/toml_node.h"

namespace shardlab {
namespace {

constexpr int kMostDevices = 4096;
constexpr double kMostUpkeep = 1e9;
constexpr int kMostSwitches = 4096;
constexpr int kDeepest = 16;  // Switches above one another.

class ClusterReader {
 public:
  explicit ClusterReader(const std::string& origin) : origin_(origin) {}

  void read(const toml::table& root) {
    constexpr std::array<std::string_view, 7> kKeys{
        "host_memory", "host_memory_kind", "host_watts", "disk", "device", "switch", "network"};
    refuse_unknown_keys(root, origin_, kKeys);
    with(root, "host_watts",
         [&](const toml::node& node) { cluster_.host_watts = number_up_to(node, kMostUpkeep); });
    with(root, "host_memory", [&](const toml::node& node) { cluster_.host_memory = size(node); });
    with(root, "host_memory_kind", [&](const toml::node& node) {
      const std::string kind = text(node);
      pageable_ = kind == "pageable";
      if (!pageable_ && kind != "pinned") {
        throw Error(fmt::format("must be \"pinned\" or \"pageable\", is \"{}\"", kind));
      }
    });
    with(root, "network", [&](const toml::node& node) { cluster_.network = link(node); });
    with(root, "disk", [&](const toml::node& node) { cluster_.disk = disk(node); });
    if (root.contains("switch")) read_switches(tables(root, origin_, "switch"));
    for (const toml::table* table : tables(root, origin_, "device")) add(*table);
  }

  Cluster cluster() && { return std::move(cluster_); }

 private:
  /// Runs `set` on the key's value, if there is one; what it throws gets file, line and key.
  template <typename Set>
  bool with(const toml::table& table, std::string_view key, const Set& set) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return false;
    in_context(place(origin_, node->source(), key), [&] { set(*node); });
    return true;
  }

  void read_switches(const std::vector<const toml::table*>& found) {
    if (found.size() > kMostSwitches) {
      throw Error(fmt::format("{}: more than {} switches",
                              place(origin_, found[kMostSwitches]->source()), kMostSwitches));
    }
    for (const toml::table* table : found) add_switch(*table);
    // A parent may stand after its children.
    for (std::size_t s = 0; s < found.size(); ++s) {
      with(*found[s], "parent",
           [&](const toml::node& node) { cluster_.switches[s].parent = switch_called(node); });
    }
    for (std::size_t s = 0; s < found.size(); ++s) refuse_too_deep(s, found[s]->source());
  }

  void add_switch(const toml::table& table) {
    constexpr std::array<std::string_view, 5> kKeys{"name", "rate", "rate_back", "rate_together",
                                                    "parent"};
    refuse_unknown_keys(table, origin_, kKeys);
    SwitchSpec shared;
    const auto rate = [&](std::string_view key, double& value) {
      return with(table, key,
                  [&](const toml::node& node) { value = static_cast<double>(size(node)); });
    };
    const bool there = rate("rate", shared.bytes_per_second);
    shared.back_bytes_per_second = shared.bytes_per_second;
    const bool back = rate("rate_back", shared.back_bytes_per_second);
    const bool together = rate("rate_together", shared.together_bytes_per_second);
    if (!there && !back && !together) {
      throw Error(place(origin_, table.source(), "rate") +
                  ": missing in this switch; give rate, rate_back or rate_together");
    }
    if (!with(table, "name", [&](const toml::node& node) { shared.name = text(node); })) {
      throw Error(place(origin_, table.source(), "name") + ": missing in this switch");
    }
    const auto index = static_cast<int>(cluster_.switches.size());
    if (!switches_.emplace(shared.name, index).second) {
      throw Error(fmt::format("{}: {} is also another switch; names must differ",
                              place(origin_, table.source(), "name"), shared.name));
    }
    cluster_.switches.push_back(shared);
  }

  [[nodiscard]] int switch_called(const toml::node& node) const {
    const std::string name = text(node);
    const auto found = switches_.find(name);
    if (found != switches_.end()) return found->second;
    std::vector<std::string_view> known;
    for (const auto& [other, index] : switches_) known.push_back(other);
    throw Error(fmt::format("there is no [[switch]] called {}{}", name, suggestion(name, known)));
  }

  void refuse_too_deep(std::size_t from, const toml::source_region& source) const {
    std::vector<int> way;
    std::string names;
    const auto refuse = [&](const std::string& why) {
      throw Error(place(origin_, source, "parent") + ": " + why + ": " + names);
    };
    for (int at = static_cast<int>(from); at != kNoSwitch;) {
      const SwitchSpec& shared = cluster_.switches[static_cast<std::size_t>(at)];
      names += (names.empty() ? "" : " → ") + shared.name;
      if (std::ranges::find(way, at) != way.end()) refuse("a switch cannot be above itself");
      way.push_back(at);
      if (way.size() > kDeepest) {
        refuse(fmt::format("more than {} switches above one another", kDeepest));
      }
      at = shared.parent;
    }
  }

  void add(const toml::table& table) {
    constexpr std::array<std::string_view, 25> kKeys{"name",
                                                     "leaves",
                                                     "returns",
                                                     "model",
                                                     "peer",
                                                     "node",
                                                     "speed",
                                                     "costs",
                                                     "count",
                                                     "kind",
                                                     "memory",
                                                     "threads",
                                                     "link",
                                                     "parent",
                                                     "link_back",
                                                     "link_pageable",
                                                     "link_back_pageable",
                                                     "ordinal",
                                                     "copy_engines",
                                                     "buffer_slots",
                                                     "slow_down_promote",
                                                     "slow_down_demote",
                                                     "watts_busy",
                                                     "watts_idle",
                                                     "price_per_hour"};
    refuse_unknown_keys(table, origin_, kKeys);
    DeviceSpec device;
    int count = 1;
    const bool several = with(table, "count", [&](const toml::node& node) {
      count = static_cast<int>(integer(node, 1, kMostDevices));
    });
    with(table, "kind", [&](const toml::node& node) { device.kind = text(node); });
    with(table, "memory", [&](const toml::node& node) { device.memory = size(node); });
    with(table, "threads", [&](const toml::node& node) {
      device.threads = static_cast<int>(integer(node, 1, 4096));
    });
    with(table, "copy_engines", [&](const toml::node& node) {
      device.copy_engines = static_cast<int>(integer(node, 0, 2));
    });
    with(table, "buffer_slots", [&](const toml::node& node) {
      device.buffer_slots = static_cast<int>(integer(node, 0, kMostSlots - 1));
    });
    device.upkeep = upkeep(table);
    read_absences(table, device);
    read_links(table, device);
    with(table, "speed",
         [&](const toml::node& node) { device.speed = number_up_to(node, 1000, 0.001); });
    with(table, "costs", [&](const toml::node& node) { device.costs = text(node); });
    with(table, "model", [&](const toml::node& node) { device.model = text(node); });
    with(table, "slow_down_promote",
         [&](const toml::node& node) { device.slow_down_promote = number_up_to(node, 1000, 1); });
    with(table, "slow_down_demote",
         [&](const toml::node& node) { device.slow_down_demote = number_up_to(node, 1000, 1); });
    device.ordinal = next_ordinal_[device.kind];
    with(table, "ordinal", [&](const toml::node& node) {
      device.ordinal = static_cast<int>(integer(node, 0, kMostDevices));
    });
    if (!with(table, "name", [&](const toml::node& node) { device.name = text(node); })) {
      throw Error(place(origin_, table.source(), "name") + ": missing in this device");
    }
    const std::string base = device.name;
    for (int i = 0; i < count; ++i) {
      if (several) device.name = fmt::format("{}-{}", base, i);
      push(device, table.source());
      next_ordinal_[device.kind] = ++device.ordinal;
    }
  }

  [[nodiscard]] Upkeep upkeep(const toml::table& table) const {
    Upkeep all;
    const auto take = [&](std::string_view key, double& value) {
      return with(table, key,
                  [&](const toml::node& node) { value = number_up_to(node, kMostUpkeep); });
    };
    take("watts_busy", all.watts_busy);
    take("price_per_hour", all.price_per_hour);
    if (take("watts_idle", all.watts_idle) && all.watts_idle > all.watts_busy) {
      throw Error(fmt::format("{}: is above watts_busy, which is {}",
                              place(origin_, table.get("watts_idle")->source(), "watts_idle"),
                              all.watts_busy));
    }
    return all;
  }

  /// When it leaves and returns, in turn.
  void read_absences(const toml::table& table, DeviceSpec& device) const {
    with(table, "leaves", [&](const toml::node& node) { device.leaves = instants(node); });
    const bool returns =
        with(table, "returns", [&](const toml::node& node) { device.returns = instants(node); });
    Instant last = Instant::min();
    for (std::size_t i = 0; i < device.leaves.size() + device.returns.size(); ++i) {
      const std::vector<Instant>& whose = i % 2 == 0 ? device.leaves : device.returns;
      if (i / 2 < whose.size() && whose[i / 2] > last) {
        last = whose[i / 2];
        continue;
      }
      const char* key = returns ? "returns" : "leaves";
      throw Error(place(origin_, table.get(key)->source(), key) +
                  ": a device leaves and returns in turn, each time later: leaves[0] < returns[0] "
                  "< leaves[1] ...");
    }
  }

  /// A list of seconds.
  static std::vector<Instant> instants(const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr) throw Error("must be a list of seconds: [60, 3600]");
    constexpr double kMostSeconds = 1e9;
    constexpr std::size_t kMostChanges = 10'000;
    if (list->size() > kMostChanges) {
      throw Error(fmt::format("more than {} of them", kMostChanges));
    }
    std::vector<Instant> found;
    for (const toml::node& each : *list) {
      const double seconds = number_up_to(each, kMostSeconds);
      found.emplace_back(Duration(std::llround(seconds * 1e9)));
    }
    return found;
  }

  void read_links(const toml::table& table, DeviceSpec& device) const {
    LinkSpec pageable;
    std::optional<LinkSpec> pageable_back;
    with(table, "link", [&](const toml::node& node) { device.link = link(node); });
    with(table, "link_back", [&](const toml::node& node) { device.back = link(node); });
    with(table, "peer", [&](const toml::node& node) { device.peer = link(node); });
    with(table, "node", [&](const toml::node& node) { device.node = text(node); });
    const bool known =
        with(table, "link_pageable", [&](const toml::node& node) { pageable = link(node); });
    with(table, "link_back_pageable", [&](const toml::node& node) { pageable_back = link(node); });
    with(table, "parent", [&](const toml::node& node) { device.parent = switch_called(node); });
    if (!pageable_) return;
    if (!known) {
      throw Error(place(origin_, table.source(), "link_pageable") +
                  ": missing in this device; host_memory_kind is \"pageable\"");
    }
    device.link = pageable;
    device.back = pageable_back;
  }

  [[nodiscard]] DiskSpec disk(const toml::node& node) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) throw Error("must be a table: { read = { rate = \"3 GB\" } }");
    DiskSpec result;
    std::optional<LinkSpec> write;
    for (const auto& [key, node_of_key] : *table) {
      in_context(std::string(key.str()), [&, &name = key, &value = node_of_key] {
        if (name == "read") {
          result.read = link(value);
        } else if (name == "write") {
          write = link(value);
        } else if (name == "memory") {
          result.memory = size(value);
        } else {
          throw Error("unknown key; a disk has read, write and memory");
        }
      });
    }
    if (!result.read.paced()) throw Error("read: missing; { rate = \"3 GB\" } is per second");
    result.write = write.value_or(result.read);
    return result;
  }

  [[nodiscard]] LinkSpec link(const toml::node& node) const {
    const toml::table* table = node.as_table();
    if (table == nullptr) throw Error("must be a table: { latency_us = 50, rate = \"400 MB\" }");
    LinkSpec result;
    set_keys(*table, result);
    return result;
  }

  // Its errors would get the place of the link and the place of the key, so they carry the key
  // alone.
  static void set_keys(const toml::table& table, LinkSpec& link) {
    for (const auto& [key, node] : table) {
      in_context(std::string(key.str()), [&, &name = key, &value = node] {
        if (name == "latency_us") {
          link.latency = Duration(std::llround(number_up_to(value, 1e12) * 1e3));
        } else if (name == "rate") {
          link.bytes_per_second = static_cast<double>(size(value));
        } else {
          throw Error("unknown key; a link has latency_us and rate");
        }
      });
    }
  }

  static double number_up_to(const toml::node& node, double most, double least = 0) {
    const double value = number(node, least);
    if (value > most) throw Error(fmt::format("must be at most {}, is {}", most, value));
    return value;
  }

  void push(const DeviceSpec& device, const toml::source_region& source) {
    const auto [other, fresh] = lines_.emplace(device.name, source.begin.line);
    if (!fresh) {
      throw Error(fmt::format("{}: name: {} is also a device of line {}; names must differ",
                              place(origin_, source), device.name, other->second));
    }
    if (lines_.size() > kMostDevices) {
      throw Error(fmt::format("{}: more than {} devices", place(origin_, source), kMostDevices));
    }
    cluster_.devices.push_back(device);
  }

  const std::string& origin_;
  Cluster cluster_;
  bool pageable_ = false;
  std::map<std::string, int> switches_;              // Index by name.
  std::map<std::string, int> next_ordinal_;          // By kind: after the last device.
  std::map<std::string, toml::source_index> lines_;  // Where each name was given.
};

}  // namespace

Cluster parse_cluster(std::string_view text, const std::string& origin) {
  const toml::table root = parse_toml(text, origin);
  ClusterReader reader(origin);
  reader.read(root);
  return std::move(reader).cluster();
}

Cluster read_cluster(const std::string& path) { return parse_cluster(read_whole_file(path), path); }

}  // namespace shardlab
