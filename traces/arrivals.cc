#include "traces/arrivals.h"

#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "core/counter_hash.h"
#include "core/error.h"
#include "traces/value.h"

namespace shardlab {
namespace {

struct Process {
  double mean_s = 0;  ///< Between two arrivals.
  std::uint64_t seed = 0;
};

void check_process(const toml::node& node) {
  const std::string name = text(node);
  if (name != "poisson") throw Error(fmt::format("\"{}\" is no process; there is poisson", name));
}

double mean_by_rate(const toml::node& node) {
  const double per_hour = number(node, 0);
  if (per_hour == 0) throw Error("must be above 0");
  return 3600 / per_hour;
}

double mean_interval(const toml::node& node) {
  const Duration mean = interval(std::string_view(text(node)));
  if (mean == Duration{}) throw Error("must be above 0");
  return seconds(mean);
}

Process read_process(const toml::table& table, const std::string& origin) {
  constexpr std::array<std::string_view, 4> kNames{"process", "per_hour", "mean_interval", "seed"};
  refuse_unknown_keys(table, origin, kNames);
  Process process;
  const auto with = [&](std::string_view key, const auto& set) {
    const toml::node* node = table.get(key);
    if (node != nullptr) in_context(place(origin, node->source(), key), [&] { set(*node); });
    return node != nullptr;
  };
  with("process", check_process);
  const bool by_rate = with("per_hour", [&](auto& node) { process.mean_s = mean_by_rate(node); });
  const bool by_mean =
      with("mean_interval", [&](auto& node) { process.mean_s = mean_interval(node); });
  if (!by_rate && !by_mean) {
    throw Error(place(origin, table.source(), "per_hour") +
                ": missing in [arrivals]; or give mean_interval");
  }
  if (by_rate && by_mean) {
    throw Error(place(origin, table.source(), "mean_interval") +
                ": says the same as per_hour; take one out");
  }
  with("seed",
       [&](auto& node) { process.seed = static_cast<std::uint64_t>(integer(node, 0, INT64_MAX)); });
  return process;
}

}  // namespace

void draw_arrivals(const toml::node& arrivals, const std::string& origin, JobList& list) {
  const toml::table* table = arrivals.as_table();
  if (table == nullptr) {
    throw Error(place(origin, arrivals.source(), "arrivals") + ": must be a table: [arrivals]");
  }
  const Process process = read_process(*table, origin);
  double at = 0;
  in_context(place(origin, table->source(), "arrivals"), [&] {
    for (std::size_t j = 0; j < list.jobs.size(); ++j) {
      if (list.arrives[j]) continue;
      at -= std::log(unit_interval(counter_hash({process.seed, j}))) * process.mean_s;
      list.jobs[j].arrival = interval(at);
    }
  });
}

}  // namespace shardlab
