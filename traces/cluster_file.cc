#include "traces/cluster_file.h"

#include <array>
#include <cmath>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "traces/atomic_file.h"
#include "traces/toml_node.h"

namespace shardlab {
namespace {

constexpr int kMostDevices = 4096;
constexpr double kMostUpkeep = 1e9;

class ClusterReader {
 public:
  explicit ClusterReader(const std::string& origin) : origin_(origin) {}

  void read(const toml::table& root) {
    constexpr std::array<std::string_view, 3> kKeys{"host_memory", "host_watts", "device"};
    refuse_unknown_keys(root, origin_, kKeys);
    with(root, "host_watts",
         [&](const toml::node& node) { cluster_.host_watts = number_up_to(node, kMostUpkeep); });
    with(root, "host_memory", [&](const toml::node& node) { cluster_.host_memory = size(node); });
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

  void add(const toml::table& table) {
    constexpr std::array<std::string_view, 12> kKeys{
        "name", "count",     "kind",    "memory",     "threads",    "copy_engines",
        "link", "link_back", "ordinal", "watts_busy", "watts_idle", "price_per_hour"};
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
    with(table, "link", [&](const toml::node& node) { device.link = link(node); });
    with(table, "link_back", [&](const toml::node& node) { device.back = link(node); });
    device.upkeep = upkeep(table);
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

  static double number_up_to(const toml::node& node, double most) {
    const double value = number(node, 0);
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
