#include "traces/study_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/plan.h"
#include "traces/atomic_file.h"
#include "traces/toml_node.h"
#include "traces/value.h"

namespace shardlab {
namespace {

constexpr std::int64_t kMostInstances = 100'000;
constexpr int kMostJobs = 10'000;
constexpr int kMostDevices = 4096;
constexpr std::int64_t kMostShards = 400;  // As lower() takes them.
constexpr std::int64_t kMostMinibatches = 1'000'000;
constexpr double kMostLoad = 1000;

double number_within(const toml::node& node, double least, double most) {
  const double value = number(node, least);
  if (value > most) throw Error(fmt::format("must be at most {}, is {}", most, value));
  return value;
}

Duration time_of(const toml::node& node) {
  const Duration time = interval(text(node));
  if (time <= Duration{}) throw Error("must be above 0");
  return time;
}

/// One value, or a list of them.
template <typename Read>
auto list_of(const toml::node& node, const Read& read) {
  std::vector<decltype(read(node))> values;
  const toml::array* array = node.as_array();
  if (array == nullptr) return values = {read(node)};
  if (array->empty()) throw Error("an empty list; give at least one value");
  for (const toml::node& each : *array) values.push_back(read(each));
  return values;
}

/// One value, or a list of the least and the most.
template <typename Read>
auto drawn_from(const toml::node& node, const Read& read) {
  const auto values = list_of(node, read);
  if (values.size() > 2 || values.back() < values.front()) {
    throw Error("must be one value, or a list of the least and the most");
  }
  return DrawnFrom<std::remove_cvref_t<decltype(values[0])>>{values.front(), values.back()};
}

class GridReader {
 public:
  explicit GridReader(const std::string& origin) : origin_(origin) {}

  StudyGrid read(const toml::table& root) const {
    constexpr std::array<std::string_view, 12> kKeys{
        "name",   "about", "instances", "policies", "baseline",  "slots",
        "memory", "jobs",  "devices",   "transfer", "published", "relative_to"};
    refuse_unknown_keys(root, origin_, kKeys);
    StudyGrid grid;
    grid.origin = origin_;
    require(root, "name", [&](const toml::node& node) { grid.name = text(node); });
    with(root, "about", [&](const toml::node& node) { grid.about = text(node); });
    with(root, "relative_to", [&](const toml::node& node) { grid.relative_to = text(node); });
    with(root, "baseline", [&](const toml::node& node) { grid.baseline = text(node); });
    require(root, "instances",
            [&](const toml::node& node) { grid.instances = integer(node, 1, kMostInstances); });
    with(root, "policies", [&](const toml::node& node) {
      grid.policies = list_of(node, text);
      grid.policy_places = list_of(
          node, [&](const toml::node& each) { return place(origin_, each.source(), "policies"); });
    });
    grid.slots = {2};
    with(root, "slots", [&](const toml::node& node) {
      grid.slots = list_of(node, [](const toml::node& each) {
        return static_cast<int>(integer(each, 1, kMostSlots));
      });
    });
    with(root, "memory", [&](const toml::node& node) {
      grid.memory = list_of(node, [](const toml::node& each) {
        return static_cast<int>(integer(each, 1, kMostSlots * kMostSlots));
      });
    });
    for (const toml::table* each : tables(root, origin_, "jobs")) grid.jobs.push_back(jobs(*each));
    for (const toml::table* each : tables(root, origin_, "devices")) {
      grid.devices.push_back(devices(*each));
    }
    for (const toml::table* each : tables(root, origin_, "transfer")) add_transfers(*each, grid);
    if (root.contains("published")) {
      for (const toml::table* each : tables(root, origin_, "published")) publish(*each, grid);
    }
    refuse_repetitions(grid);
    return grid;
  }

 private:
  /// Runs `set` on the key's value, if there is one; what it throws gets file, line and key.
  template <typename Set>
  bool with(const toml::table& table, std::string_view key, const Set& set) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return false;
    in_context(place(origin_, node->source(), key), [&] { set(*node); });
    return true;
  }

  template <typename Set>
  void require(const toml::table& table, std::string_view key, const Set& set) const {
    if (!with(table, key, set)) throw Error(place(origin_, table.source(), key) + ": missing");
  }

  [[nodiscard]] DrawnJobs jobs(const toml::table& table) const {
    constexpr std::array<std::string_view, 9> kKeys{"name",   "count",       "equal",
                                                    "shards", "minibatches", "time",
                                                    "spread", "backward",    "recompute"};
    refuse_unknown_keys(table, origin_, kKeys);
    DrawnJobs jobs;
    const auto flag = [](const toml::node& node) {
      if (!node.is_boolean()) throw Error("must be true or false");
      return node.as_boolean()->get();
    };
    require(table, "name", [&](const toml::node& node) { jobs.name = text(node); });
    require(table, "count", [&](const toml::node& node) {
      jobs.count = static_cast<int>(integer(node, 1, kMostJobs));
    });
    with(table, "equal", [&](const toml::node& node) { jobs.equal = flag(node); });
    with(table, "recompute", [&](const toml::node& node) { jobs.recompute = flag(node); });
    const auto counts = [&](std::string_view key, std::int64_t most, auto& value) {
      require(table, key, [&](const toml::node& node) {
        value = drawn_from(node, [most](const toml::node& each) { return integer(each, 1, most); });
      });
    };
    counts("shards", kMostShards, jobs.shards);
    counts("minibatches", kMostMinibatches, jobs.minibatches);
    require(table, "time", [&](const toml::node& node) { jobs.time = drawn_from(node, time_of); });
    with(table, "spread", [&](const toml::node& node) { jobs.spread = number_within(node, 0, 1); });
    with(table, "backward",
         [&](const toml::node& node) { jobs.backward = number_within(node, 0.01, 100); });
    return jobs;
  }

  [[nodiscard]] DrawnDevices devices(const toml::table& table) const {
    constexpr std::array<std::string_view, 3> kKeys{"name", "count", "speeds"};
    refuse_unknown_keys(table, origin_, kKeys);
    DrawnDevices devices;
    require(table, "name", [&](const toml::node& node) { devices.name = text(node); });
    require(table, "count", [&](const toml::node& node) {
      devices.count = static_cast<int>(integer(node, 1, kMostDevices));
    });
    with(table, "speeds", [&](const toml::node& node) {
      devices.speeds =
          list_of(node, [](const toml::node& each) { return number_within(each, 0.001, 1000); });
    });
    return devices;
  }

  /// One of each load.
  void add_transfers(const toml::table& table, StudyGrid& grid) const {
    constexpr std::array<std::string_view, 2> kKeys{"link", "load"};
    refuse_unknown_keys(table, origin_, kKeys);
    LinkKind kind{};
    require(table, "link", [&](const toml::node& node) {
      const std::string name = text(node);
      for (const LinkKind each : {LinkKind::kNone, LinkKind::kDedicated, LinkKind::kShared}) {
        kind = each;
        if (to_string(each) == name) return;
      }
      throw Error("must be \"none\", \"dedicated\" or \"shared\", is \"" + name + "\"");
    });
    std::vector<double> loads;
    const bool given = with(table, "load", [&](const toml::node& node) {
      if (kind == LinkKind::kNone) throw Error("link = \"none\" carries nothing; take this out");
      loads = list_of(node,
                      [](const toml::node& each) { return number_within(each, 1e-6, kMostLoad); });
    });
    if (kind == LinkKind::kNone) grid.transfers.push_back({to_string(kind), kind, 0});
    if (kind != LinkKind::kNone && !given) {
      throw Error(place(origin_, table.source(), "load") + ": missing beside this link");
    }
    for (const double load : loads) {
      grid.transfers.push_back({fmt::format("{} {:g}", to_string(kind), load), kind, load});
    }
  }

  void publish(const toml::table& table, StudyGrid& grid) const {
    constexpr std::array<std::string_view, 4> kKeys{"jobs", "devices", "policy", "value"};
    refuse_unknown_keys(table, origin_, kKeys);
    PublishedFigure figure;
    const auto one_of = [&](std::string_view key, const auto& settings, std::string& name) {
      require(table, key, [&](const toml::node& node) {
        name = text(node);
        if (std::none_of(settings.begin(), settings.end(),
                         [&](const auto& each) { return each.name == name; })) {
          throw Error(fmt::format("no [[{}]] is called {}", key, name));
        }
      });
    };
    one_of("jobs", grid.jobs, figure.jobs);
    one_of("devices", grid.devices, figure.devices);
    require(table, "policy", [&](const toml::node& node) { figure.policy = text(node); });
    require(table, "value",
            [&](const toml::node& node) { figure.value = number_within(node, 0, 1e9); });
    grid.published.push_back(figure);
  }

  void refuse_repetitions(const StudyGrid& grid) const {
    const auto refuse = [&](const auto& all, std::string_view what, const auto& name_of) {
      std::set<std::string> seen;
      for (const auto& each : all) {
        const std::string name = name_of(each);
        if (!seen.insert(name).second) {
          throw Error(fmt::format("{}: {}: {} twice; names must differ", origin_, what, name));
        }
      }
    };
    const auto name = [](const auto& each) { return each.name; };
    refuse(grid.jobs, "jobs", name);
    refuse(grid.devices, "devices", name);
    refuse(grid.transfers, "transfer", name);
    const auto number = [](int each) { return std::to_string(each); };
    refuse(grid.slots, "slots", number);
    refuse(grid.memory, "memory", number);
    for (const int slots : grid.slots) {
      if (grid.memory.empty() || slots <= *std::ranges::max_element(grid.memory)) continue;
      throw Error(
          fmt::format("{}: memory: none has room for {} slots; add {}", origin_, slots, slots));
    }
  }

  const std::string& origin_;
};

}  // namespace

std::string to_string(LinkKind kind) {
  switch (kind) {
    case LinkKind::kNone:
      return "none";
    case LinkKind::kDedicated:
      return "dedicated";
    case LinkKind::kShared:
      return "shared";
  }
  return "";
}

StudyGrid parse_study_grid(std::string_view text, const std::string& origin) {
  return GridReader(origin).read(parse_toml(text, origin));
}

StudyGrid read_study_grid(const std::string& path) {
  return parse_study_grid(read_whole_file(path), path);
}

}  // namespace shardlab
